/* tests/compat/test_quantiles.c — false-match rates and the scores that have them. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "compat/random.h"
#include "tests/compat/spaces.h"
#include "tests/support/alloc_fail.h"

enum {
    N = 200000,
};

static float *uniform_scores(uint64_t seed, double scale)
{
    lk_random random = {seed};
    float *scores = malloc(N * sizeof(*scores));

    assert_non_null(scores);
    for (size_t i = 0; i < N; i++)
        scores[i] = (float)(scale * (double)lk_random_below(&random, 1000000) /
                            1000000.0);
    return scores;
}

/* Of scores that are uniform on [0, 1) a share r lies above 1 - r. */
static void a_rate_and_its_score_are_inverse(void **state)
{
    static const double rates[] = {0.5, 0.1, 1e-2, 1e-3, 1e-4};
    linkd_quantiles q;
    float *scores = uniform_scores(1, 1.0);

    (void)state;
    assert_int_equal(linkd_quantiles_make(scores, N, &q, NULL), LINKD_OK);
    for (size_t i = 0; i < 5; i++) {
        double score = linkd_quantiles_score(&q, rates[i]);

        assert_near(1.0 - score, rates[i], 0.25 * rates[i] + 1e-5);
        /* where two knots share a score, the step between them */
        assert_near(linkd_quantiles_false_match_rate(&q, score), rates[i],
                    0.03 * rates[i]);
    }
    assert_near(linkd_quantiles_false_match_rate(&q, -1.0), 1.0, 0);
    assert_near(linkd_quantiles_false_match_rate(&q, 1.0), 0.0, 0);
    assert_near(linkd_quantiles_score(&q, 1.0), (double)q.scores[0], 0);
    assert_near(linkd_quantiles_score(&q, 0.0),
                (double)q.scores[LINKD_QUANTILES - 1], 0);
    free(scores);
}

/* What a change of models needs: the same rate on another scale of scores. */
static void a_threshold_keeps_its_rate_on_another_scale(void **state)
{
    linkd_quantiles old_q, new_q;
    float *old_scores = uniform_scores(2, 1.0);
    float *new_scores = uniform_scores(3, 0.5);
    double rate, moved;

    (void)state;
    assert_int_equal(linkd_quantiles_make(old_scores, N, &old_q, NULL),
                     LINKD_OK);
    assert_int_equal(linkd_quantiles_make(new_scores, N, &new_q, NULL),
                     LINKD_OK);
    rate = linkd_quantiles_false_match_rate(&old_q, 0.999);
    moved = linkd_quantiles_score(&new_q, rate);
    assert_near(rate, 1e-3, 1.5e-4);
    assert_near(moved, 0.4995, 1e-4);
    free(new_scores);
    free(old_scores);
}

static void few_and_broken_scores_are_refused(void **state)
{
    linkd_quantiles q;
    linkd_error err;
    float *scores = uniform_scores(4, 1.0);

    (void)state;
    assert_int_equal(
        linkd_quantiles_make(scores, LINKD_QUANTILES - 1, &q, &err),
        LINKD_E_ARG);
    scores[41] = NAN;
    assert_int_equal(linkd_quantiles_make(scores, N, &q, &err), LINKD_E_DATA);
    assert_string_equal(err.message, "score 42 is not finite");
    free(scores);
}

/* All the same: no division by the width of a step. */
static void equal_scores_have_a_rate(void **state)
{
    linkd_quantiles q;
    float scores[LINKD_QUANTILES];

    (void)state;
    for (size_t i = 0; i < LINKD_QUANTILES; i++)
        scores[i] = 0.5F;
    assert_int_equal(linkd_quantiles_make(scores, LINKD_QUANTILES, &q, NULL),
                     LINKD_OK);
    assert_near(linkd_quantiles_false_match_rate(&q, 0.5), 1.0, 0);
    assert_near(linkd_quantiles_false_match_rate(&q, 0.6), 0.0, 0);
}

/* Sorted as numbers, though it is bits that are sorted. */
static void scores_of_both_signs_are_put_in_order(void **state)
{
    linkd_quantiles q;
    float *scores = uniform_scores(5, 2.0);

    (void)state;
    for (size_t i = 0; i < N; i++)
        scores[i] = (scores[i] - 1.0F) * (i % 2 == 0 ? 1.0F : 1e-3F);
    assert_int_equal(linkd_quantiles_make(scores, N, &q, NULL), LINKD_OK);
    for (size_t i = 1; i < N; i++)
        assert_true(scores[i - 1] <= scores[i]);
    assert_near((double)scores[0], -1.0, 1e-4);
    assert_near((double)q.scores[0], (double)scores[0], 0);
    assert_near((double)q.scores[LINKD_QUANTILES - 1], (double)scores[N - 1],
                0);
    free(scores);
}

static void without_memory_scores_stay_as_they_are(void **state)
{
    linkd_quantiles q;
    linkd_error err;
    float *scores = uniform_scores(6, 1.0);
    float first = scores[0];
    int rc;

    (void)state;
    alloc_fail_at(1);
    rc = linkd_quantiles_make(scores, N, &q, &err);
    assert_true(alloc_fail_off());
    assert_int_equal(rc, LINKD_E_NOMEM);
    assert_near((double)scores[0], (double)first, 0);
    free(scores);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rate_and_its_score_are_inverse),
        cmocka_unit_test(a_threshold_keeps_its_rate_on_another_scale),
        cmocka_unit_test(few_and_broken_scores_are_refused),
        cmocka_unit_test(equal_scores_have_a_rate),
        cmocka_unit_test(scores_of_both_signs_are_put_in_order),
        cmocka_unit_test(without_memory_scores_stay_as_they_are),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
