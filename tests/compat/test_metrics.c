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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranks_become_metrics),
        cmocka_unit_test(flips_are_first_answers_won_and_lost),
        cmocka_unit_test(the_area_under_a_straight_line_is_its_middle),
        cmocka_unit_test(a_gain_lies_in_its_interval),
        cmocka_unit_test(where_nothing_is_gained_there_is_no_share_of_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
