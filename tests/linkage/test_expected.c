/* tests/linkage/test_expected.c — the cut against trying every cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>

#include "linkage/decision.h"
#include "tests/linkage/random.h"

enum {
    N_MANY = 1000,
};

static int descending(const void *a, const void *b)
{
    float x = *(const float *)a;
    float y = *(const float *)b;

    return (x < y) - (x > y);
}

/* The best expected F1 of the first k pairs, for any k. */
static double best_by_trying(float *posteriors, size_t n, double extra)
{
    double total = extra;
    double sum = 0.0;
    double best = 0.0;

    qsort(posteriors, n, sizeof(*posteriors), descending);
    for (size_t i = 0; i < n; i++)
        total += (double)posteriors[i];
    for (size_t i = 0; i < n; i++) {
        sum += (double)posteriors[i];
        best = fmax(best, 2.0 * sum / ((double)(i + 1) + total));
    }
    return best;
}

static void assert_near(double value, double expected)
{
    assert_true(fabs(value - expected) < 1e-6);
}

/* The sum is 2.5. Two pairs: 2 x 1.7 / 4.5 = .756; three: 2 x 2.2 / 5.5 = .8;
 * four: 2 x 2.5 / 6.5 = .769. */
static void the_cut_is_where_expected_f1_is_highest(void **state)
{
    static const float posteriors[] = {0.5F, 0.9F, 0.3F, 0.8F};
    lk_expected expected;

    (void)state;
    assert_int_equal(lk_expected_cut(posteriors, 4, 0.0, &expected, NULL),
                     LINKD_OK);
    assert_near(expected.threshold, 0.5);
    assert_near(expected.precision, 2.2 / 3.0);
    assert_near(expected.recall, 2.2 / 2.5);
    assert_near(expected.f1, 0.8);
}

static void matches_beyond_the_candidates_lower_recall_and_cut(void **state)
{
    static const float posteriors[] = {0.5F, 0.9F, 0.3F, 0.8F};
    lk_expected expected;

    (void)state;
    assert_int_equal(lk_expected_cut(posteriors, 4, 7.5, &expected, NULL),
                     LINKD_OK);
    assert_near(expected.threshold, 0.3);
    assert_near(expected.recall, 0.25);
    assert_near(expected.f1, 2.0 * 2.5 / 14.0);
}

static void no_other_cut_is_better(void **state)
{
    float posteriors[N_MANY];
    uint64_t random = 3;

    (void)state;
    for (size_t round = 0; round < 50; round++) {
        lk_expected expected;
        double power = 0.2 + 0.2 * (double)round;

        for (size_t i = 0; i < N_MANY; i++)
            posteriors[i] = (float)pow((double)random_score(&random), power);
        assert_int_equal(
            lk_expected_cut(posteriors, N_MANY, 3.0, &expected, NULL),
            LINKD_OK);
        assert_near(expected.f1, best_by_trying(posteriors, N_MANY, 3.0));
    }
}

static void a_cut_that_was_asked_for_is_judged_as_it_is(void **state)
{
    static const float posteriors[] = {0.5F, 0.9F, 0.3F, 0.8F};
    lk_expected expected = lk_expected_at(posteriors, 4, 0.8, 0.5);

    (void)state;
    assert_near(expected.threshold, 0.8);
    assert_near(expected.precision, 1.7 / 2.0);
    assert_near(expected.recall, 1.7 / 3.0);
    assert_near(expected.f1, 2.0 * 1.7 / 5.0);
    expected = lk_expected_at(posteriors, 4, 0.95, 0.5);
    assert_near(expected.precision, 0.0);
    assert_near(expected.f1, 0.0);
}

static void where_nothing_is_expected_nothing_is_accepted(void **state)
{
    static const float zeros[] = {0.0F, 0.0F};
    lk_expected expected;

    (void)state;
    for (size_t n = 0; n <= 2; n++) {
        assert_int_equal(lk_expected_cut(zeros, n, 0.0, &expected, NULL),
                         LINKD_OK);
        assert_near(expected.threshold, 1.0);
        assert_near(expected.f1, 0.0);
    }
}

/* The best expected F1 is that of the nearest stranger, 2 x .0002 / 1.0003. */
static void what_is_next_to_impossible_is_not_accepted(void **state)
{
    static const float posteriors[] = {0.0002F, 0.0001F};
    lk_expected expected;

    (void)state;
    assert_int_equal(lk_expected_cut(posteriors, 2, 0.0, &expected, NULL),
                     LINKD_OK);
    assert_near(expected.threshold, 0.05);
    assert_near(expected.f1, 0.0);
}

static void what_is_no_probability_is_refused(void **state)
{
    static const float wrong[] = {1.5F, -0.1F, NAN};
    linkd_error err;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        float posteriors[2] = {0.5F, wrong[i]};
        lk_expected expected = {.f1 = 0.125};

        assert_int_equal(lk_expected_cut(posteriors, 2, 0.0, &expected, &err),
                         LINKD_E_ARG);
        assert_string_equal(err.message, "posterior 1 is not a probability");
        assert_near(expected.f1, 0.125);
    }
}

/* Entities {0, 1, 2} and {3}: of 2.5 matches and 1.5 that are unseen, three
 * accepted pairs hold 2. */
static void entities_accept_the_pairs_within_them(void **state)
{
    uint32_t a[] = {0, 0, 1, 2};
    uint32_t b[] = {1, 2, 2, 3};
    lk_pairset pairs = {.a = a, .b = b, .n = 4, .n_records = 4};
    const float posteriors[] = {0.75F, 0.75F, 0.5F, 0.5F};
    const size_t entities[] = {0, 0, 0, 1};
    linkd_verdict verdict = {0};

    (void)state;
    lk_expected_of_entities(&pairs, posteriors, entities, 1.5, &verdict);
    assert_near(verdict.precision, 2.0 / 3.0);
    assert_near(verdict.recall, 2.0 / 4.0);
    assert_near(verdict.f1, 4.0 / 7.0);
    assert_near(verdict.n_matches, 2.5);
    assert_near(verdict.n_unseen, 1.5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entities_accept_the_pairs_within_them),
        cmocka_unit_test(the_cut_is_where_expected_f1_is_highest),
        cmocka_unit_test(matches_beyond_the_candidates_lower_recall_and_cut),
        cmocka_unit_test(no_other_cut_is_better),
        cmocka_unit_test(a_cut_that_was_asked_for_is_judged_as_it_is),
        cmocka_unit_test(where_nothing_is_expected_nothing_is_accepted),
        cmocka_unit_test(what_is_next_to_impossible_is_not_accepted),
        cmocka_unit_test(what_is_no_probability_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
