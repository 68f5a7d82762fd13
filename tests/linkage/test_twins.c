/* tests/linkage/test_twins.c — pairs that are as good as another of their
 * record, on a handful of pairs made here. Records 0 and 1 are left ones, 2 and
 * up right ones. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "linkage/decision.h"
#include "tests/support/alloc_fail.h"

enum { N = 5 };

static uint32_t a[N] = {0, 0, 0, 1, 1};
static uint32_t b[N] = {2, 3, 4, 4, 5};
static const float log_ratios[N] = {3.0F, 1.0F, 3.1F, 3.0F, 2.95F};
static const float posteriors[N] = {0.25F, 0.125F, 0.25F, 0.25F, 0.5F};
static const lk_pairset pairs = {
    .a = a, .b = b, .n = N, .n_records = 6, .n_left = 2};

static void assert_sums(const float *of, lk_multiplicity multiplicity,
                        const double *expected)
{
    float sums[N] = {0};

    assert_int_equal(lk_twins(&pairs, log_ratios, of, multiplicity, sums, NULL),
                     LINKD_OK);
    for (size_t i = 0; i < N; i++)
        assert_true(fabs((double)sums[i] - expected[i]) < 1e-6);
}

/* Pairs 0 and 2 are of record 0, 3 and 4 of record 1; 1 is not as good. */
static void twins_share_their_left_record(void **state)
{
    static const double expected[N] = {0.5, 0.125, 0.5, 0.75, 0.75};

    (void)state;
    assert_sums(posteriors, LK_MANY_TO_ONE, expected);
}

/* Pairs 2 and 3 are of record 4. */
static void twins_share_their_right_record(void **state)
{
    static const double expected[N] = {0.25, 0.125, 0.5, 0.5, 0.5};

    (void)state;
    assert_sums(posteriors, LK_ONE_TO_MANY, expected);
}

static void of_two_records_the_more_doubtful_counts(void **state)
{
    static const double expected[N] = {0.5, 0.125, 0.5, 0.75, 0.75};

    (void)state;
    assert_sums(posteriors, LK_ONE_TO_ONE, expected);
}

static void pairs_that_do_not_compete_have_no_twins(void **state)
{
    static const double expected[N] = {0.25, 0.125, 0.25, 0.25, 0.5};

    (void)state;
    assert_sums(posteriors, LK_MANY_TO_MANY, expected);
}

/* Pair 2 looks like pair 0, but its right record has a better partner. */
static void a_pair_out_of_the_question_is_nobodys_twin(void **state)
{
    static const float lost[N] = {0.25F, 0.125F, 0.0F, 0.25F, 0.5F};
    static const double expected[N] = {0.25, 0.125, 0.0, 0.75, 0.75};

    (void)state;
    assert_sums(lost, LK_MANY_TO_ONE, expected);
}

static void running_out_of_memory_is_an_error(void **state)
{
    float sums[N];

    (void)state;
    alloc_fail_at(1);
    assert_int_equal(
        lk_twins(&pairs, log_ratios, posteriors, LK_ONE_TO_ONE, sums, NULL),
        LINKD_E_NOMEM);
    assert_true(alloc_fail_off());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(twins_share_their_left_record),
        cmocka_unit_test(twins_share_their_right_record),
        cmocka_unit_test(of_two_records_the_more_doubtful_counts),
        cmocka_unit_test(pairs_that_do_not_compete_have_no_twins),
        cmocka_unit_test(a_pair_out_of_the_question_is_nobodys_twin),
        cmocka_unit_test(running_out_of_memory_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
