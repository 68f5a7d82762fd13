/* tests/compat/test_metrics.c — what a change does to search. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/compat/spaces.h"
#include "tests/support/alloc_fail.h"

static void ranks_become_metrics(void **state)
{
    static const uint32_t ranks[5] = {1, 2, 10, 11, 0};
    linkd_compat_metrics m = linkd_compat_metrics_of(ranks, 5);

    (void)state;
    assert_near(m.recall_1, 0.2, 1e-12);
    assert_near(m.recall_10, 0.6, 1e-12);
    assert_near(m.mrr_10, (1.0 + 0.5 + 0.1) / 5.0, 1e-12);
    m = linkd_compat_metrics_of(ranks, 0);
    assert_near(m.mrr_10, 0.0, 0);
}

static void flips_are_first_answers_won_and_lost(void **state)
{
    static const uint32_t before[4] = {1, 1, 2, 0};
    static const uint32_t after[4] = {1, 3, 1, 1};
    linkd_flips flips = linkd_compat_flips(before, after, 4);

    (void)state;
    assert_near(flips.positive, 0.5, 1e-12);
    assert_near(flips.negative, 0.25, 1e-12);
}

static void the_area_under_a_straight_line_is_its_middle(void **state)
{
    static const double shares[3] = {0.0, 0.25, 1.0};
    static const double metrics[3] = {0.4, 0.5, 0.8};

    (void)state;
    assert_near(linkd_compat_backfill_area(shares, metrics, 3), 0.6, 1e-12);
    assert_near(linkd_compat_backfill_area(shares, metrics, 1), 0.4, 1e-12);
}

enum {
    N = 400,
};

/* Old finds every second query at rank 2, the way at 1 half of the time. */
static void a_gain_lies_in_its_interval(void **state)
{
    uint32_t old_ranks[N], way[N], new_ranks[N];
    linkd_interval gain, again, difference;

    (void)state;
    for (size_t i = 0; i < N; i++) {
        old_ranks[i] = 2;
        new_ranks[i] = 1;
        way[i] = i % 2 == 0 ? 1 : 2;
    }
    assert_int_equal(
        linkd_compat_gain(old_ranks, way, new_ranks, N, 1, &gain, NULL),
        LINKD_OK);
    assert_near(gain.value, 0.5, 1e-12);
    /* binomial: 0.5 +- 1.96 * 0.025 */
    assert_near(gain.low, 0.451, 0.012);
    assert_near(gain.high, 0.549, 0.012);
    assert_int_equal(
        linkd_compat_gain(old_ranks, way, new_ranks, N, 1, &again, NULL),
        LINKD_OK);
    assert_memory_equal(&gain, &again, sizeof(gain));
    assert_int_equal(
        linkd_compat_difference(old_ranks, way, N, 1, &difference, NULL),
        LINKD_OK);
    assert_near(difference.value, 0.25, 1e-12);
    assert_true(difference.low > 0.2 && difference.high < 0.3);
}

static void where_nothing_is_gained_there_is_no_share_of_it(void **state)
{
    static const uint32_t same[3] = {1, 2, 3};
    linkd_interval gain;

    (void)state;
    assert_int_equal(linkd_compat_gain(same, same, same, 3, 1, &gain, NULL),
                     LINKD_OK);
    assert_true(isnan(gain.value) && isnan(gain.low) && isnan(gain.high));
    alloc_fail_at(1);
    assert_int_equal(linkd_compat_gain(same, same, same, 3, 1, &gain, NULL),
                     LINKD_E_NOMEM);
    assert_true(alloc_fail_off());
}

/* One query of three is better, so that a third of the resamples, (2/3)^3, have
 * no better one: their share of the gain is noise, as low as you like. */
static void where_a_gain_is_not_sure_there_is_no_share_of_it(void **state)
{
    static const uint32_t old_ranks[3] = {1, 2, 2};
    static const uint32_t new_ranks[3] = {1, 2, 1};
    static const uint32_t way[3] = {10, 10, 1};
    linkd_interval gain, difference;

    (void)state;
    assert_int_equal(
        linkd_compat_difference(old_ranks, new_ranks, 3, 1, &difference, NULL),
        LINKD_OK);
    assert_true(difference.value > 0.0 && !(difference.low > 0.0));
    assert_int_equal(
        linkd_compat_gain(old_ranks, way, new_ranks, 3, 1, &gain, NULL),
        LINKD_OK);
    assert_true(isnan(gain.value) && isnan(gain.low) && isnan(gain.high));
}

/* ---- chains -------------------------------------------------------------- */

static void compatibility_is_what_is_better_than_home(void **state)
{
    /* .5 > .4 and .6 > .4, .5 is not > .5; above the diagonal is not read */
    static const double matrix[9] = {0.4, 9.0, 9.0, 0.5, 0.5,
                                     9.0, 0.6, 0.5, 0.8};
    linkd_compatibility c = linkd_compat_matrix_mean(matrix, 3);

    (void)state;
    assert_int_equal(c.n_cells, 3);
    assert_near(c.ac, 2.0 / 3.0, 1e-12);
    assert_near(c.am, (0.4 + 0.5 + 0.5 + 0.6 + 0.5 + 0.8) / 6.0, 1e-12);
}

static void a_cell_that_does_not_count_is_in_neither_mean(void **state)
{
    double matrix[9] = {0.4, 0.0, 0.0, (double)NAN, 0.5, 0.0, 0.3, 0.6, 0.0};
    linkd_compatibility c = linkd_compat_matrix_mean(matrix, 3);

    (void)state;
    assert_int_equal(c.n_cells, 2);
    assert_near(c.ac, 0.5, 1e-12);
    /* a zero is a result */
    assert_near(c.am, (0.4 + 0.5 + 0.3 + 0.6) / 5.0, 1e-12);
    matrix[0] = (double)NAN;
    assert_int_equal(linkd_compat_matrix_mean(matrix, 3).n_cells, 1);
    assert_near(linkd_compat_matrix_mean(matrix, 3).ac, 1.0, 1e-12);
}

static void one_model_is_no_chain(void **state)
{
    static const double home[1] = {0.7};
    linkd_compatibility c = linkd_compat_matrix_mean(home, 1);

    (void)state;
    assert_int_equal(c.n_cells, 0);
    assert_true(isnan(c.ac));
    assert_near(c.am, 0.7, 1e-12);
    assert_true(isnan(linkd_compat_matrix_mean(home, 0).am));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranks_become_metrics),
        cmocka_unit_test(flips_are_first_answers_won_and_lost),
        cmocka_unit_test(the_area_under_a_straight_line_is_its_middle),
        cmocka_unit_test(a_gain_lies_in_its_interval),
        cmocka_unit_test(where_nothing_is_gained_there_is_no_share_of_it),
        cmocka_unit_test(where_a_gain_is_not_sure_there_is_no_share_of_it),
        cmocka_unit_test(compatibility_is_what_is_better_than_home),
        cmocka_unit_test(a_cell_that_does_not_count_is_in_neither_mean),
        cmocka_unit_test(one_model_is_no_chain),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
