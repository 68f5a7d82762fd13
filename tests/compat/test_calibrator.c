/* tests/compat/test_calibrator.c — scores as log-odds. */
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

enum {
    N = 20000,
};

/* Answers drawn from a known line are told back as that line. */
static void the_line_that_made_the_answers_is_found(void **state)
{
    lk_random random = {7};
    linkd_calibrator c;
    float *scores = malloc(N * sizeof(*scores));
    bool *matches = malloc(N * sizeof(*matches));

    (void)state;
    assert_true(scores != NULL && matches != NULL);
    for (size_t i = 0; i < N; i++) {
        double p;

        scores[i] = (float)lk_random_below(&random, 1000) / 1000.0F;
        p = 1.0 / (1.0 + exp(-(20.0 * (double)scores[i] - 14.0)));
        matches[i] = (double)lk_random_below(&random, 1000000) < p * 1e6;
    }
    assert_int_equal(linkd_calibrator_fit(scores, matches, N, &c, NULL),
                     LINKD_OK);
    assert_near(c.slope, 20.0, 1.0);
    assert_near(c.offset, -14.0, 0.7);
    assert_near(linkd_calibrator_log_odds(&c, 0.7), c.slope * 0.7 + c.offset,
                1e-12);
    assert_near(linkd_calibrator_score(&c, 0.0), -c.offset / c.slope, 1e-12);
    free(matches);
    free(scores);
}

/* A line through separable answers would be upright: order must survive. */
static void separable_scores_have_a_finite_slope(void **state)
{
    static const float scores[6] = {0.1F, 0.2F, 0.3F, 0.7F, 0.8F, 0.9F};
    static const bool matches[6] = {0, 0, 0, 1, 1, 1};
    linkd_calibrator c;

    (void)state;
    assert_int_equal(linkd_calibrator_fit(scores, matches, 6, &c, NULL),
                     LINKD_OK);
    assert_true(c.slope > 0.0 && c.slope < 100.0);
    assert_near(linkd_calibrator_score(&c, 0.0), 0.5, 0.01);
}

static void answers_that_teach_nothing_are_refused(void **state)
{
    static const float scores[4] = {0.1F, 0.2F, 0.8F, 0.9F};
    static const float flat[4] = {0.5F, 0.5F, 0.5F, 0.5F};
    static const float broken[4] = {0.1F, INFINITY, 0.8F, 0.9F};
    static const bool upside_down[4] = {1, 1, 0, 0};
    static const bool right[4] = {0, 0, 1, 1};
    static const bool all[4] = {1, 1, 1, 1};
    linkd_calibrator c;
    linkd_error err;

    (void)state;
    assert_int_equal(linkd_calibrator_fit(scores, all, 4, &c, &err),
                     LINKD_E_ARG);
    assert_int_equal(linkd_calibrator_fit(flat, right, 4, &c, &err),
                     LINKD_E_DATA);
    assert_int_equal(linkd_calibrator_fit(broken, right, 4, &c, &err),
                     LINKD_E_DATA);
    assert_int_equal(linkd_calibrator_fit(scores, upside_down, 4, &c, &err),
                     LINKD_E_DATA);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_line_that_made_the_answers_is_found),
        cmocka_unit_test(separable_scores_have_a_finite_slope),
        cmocka_unit_test(answers_that_teach_nothing_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
