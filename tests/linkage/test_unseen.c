/* tests/linkage/test_unseen.c — matches that rows with empty fields cannot
 * show, counted on pairs made here: row i of the left with row i of the right,
 * and nothing else. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "linkage/decision.h"
#include "tests/support/alloc_fail.h"

enum {
    N = 100,          /* rows of a side */
    N_FIELDS_MAX = 12 /* more than are looked at */
};

static lk_feature names[N_FIELDS_MAX];
static uint32_t a[N];
static uint32_t b[N];
static uint8_t values[N * N_FIELDS_MAX];
static float posteriors[N];

/* Pairs of row i and row N + i; of one table if `within`. */
static lk_pairset pairs_make(size_t n_fields, bool within)
{
    for (uint32_t i = 0; i < N; i++) {
        a[i] = i;
        b[i] = N + i;
        posteriors[i] = 0.0F;
    }
    for (size_t i = 0; i < n_fields; i++)
        names[i] = (lk_feature){i, LK_COMPARE_GRAM};
    memset(values, 100, sizeof(values));
    return (lk_pairset){.a = a,
                        .b = b,
                        .n = N,
                        .n_records = (size_t)2 * N,
                        .n_left = within ? (size_t)2 * N : (size_t)N,
                        .within = within};
}

/* What is unseen if rows from `first` on lack the first field. */
static lk_unseen count_without(size_t first, size_t n_fields, bool within)
{
    lk_pairset pairs = pairs_make(n_fields, within);
    lk_features features = {
        .values = values, .n_pairs = N, .features = names, .n = n_fields};
    lk_unseen unseen = {-1.0, -1.0};

    for (size_t i = 0; i < N; i++) {
        posteriors[i] = i < first ? 0.75F : 0.25F;
        if (i >= first)
            values[i * n_fields] = LK_FEATURE_MISSING;
    }
    assert_int_equal(
        lk_unseen_count(&pairs, &features, posteriors, &unseen, NULL),
        LINKD_OK);
    return unseen;
}

static void assert_near(double value, double expected)
{
    assert_true(fabs(value - expected) < 1e-6);
}

/* 60 rows find .75 partners each, 40 with an empty field .25: at .75 they
 * would have found 20 more. */
static void rows_with_empty_fields_have_as_many_partners(void **state)
{
    (void)state;
    assert_near(count_without(60, 2, false).n_matches, 20.0);
    assert_near(count_without(60, 2, true).n_matches, 20.0);
    assert_near(count_without(100, 2, false).n_matches, 0.0);
}

/* 40 rows say nothing about 60. */
static void few_rows_tell_nothing_of_many(void **state)
{
    (void)state;
    assert_near(count_without(40, 2, false).n_matches, 0.0);
}

/* Rows that have more matches with less filled miss none; neither do rows that
 * have one field where others have another. */
static void only_rows_that_have_all_that_and_more_are_compared(void **state)
{
    lk_pairset pairs = pairs_make(2, false);
    lk_features features = {
        .values = values, .n_pairs = N, .features = names, .n = 2};
    lk_unseen unseen = {-1.0, -1.0};

    (void)state;
    for (size_t i = 0; i < N; i++) {
        posteriors[i] = i < 60 ? 0.75F : 0.25F;
        values[2 * i + (i < 60)] = LK_FEATURE_MISSING;
    }
    assert_int_equal(
        lk_unseen_count(&pairs, &features, posteriors, &unseen, NULL),
        LINKD_OK);
    assert_near(unseen.n_matches, 0.0);
}

/* Fields 10 and 11 are not looked at, and do no harm. */
static void more_fields_than_are_looked_at_do_no_harm(void **state)
{
    (void)state;
    assert_near(count_without(60, N_FIELDS_MAX, false).n_matches, 20.0);
}

/* 50 rows of 100 on either side are in a pair. */
static void rows_without_any_pair_are_told(void **state)
{
    lk_pairset pairs = pairs_make(1, false);
    lk_features features = {
        .values = values, .n_pairs = N, .features = names, .n = 1};
    lk_unseen unseen = {-1.0, -1.0};

    (void)state;
    pairs.n = features.n_pairs = N / 2;
    assert_int_equal(
        lk_unseen_count(&pairs, &features, posteriors, &unseen, NULL),
        LINKD_OK);
    assert_near(unseen.share_compared, 0.5);
}

static void running_out_of_memory_is_an_error_at_every_point(void **state)
{
    lk_pairset pairs = pairs_make(1, false);
    lk_features features = {
        .values = values, .n_pairs = N, .features = names, .n = 1};
    lk_unseen unseen;
    size_t n_failed = 0;
    bool failed = true;

    (void)state;
    for (unsigned long i = 1; failed; i++) {
        int rc;

        alloc_fail_at(i);
        rc = lk_unseen_count(&pairs, &features, posteriors, &unseen, NULL);
        failed = alloc_fail_off();
        assert_int_equal(rc, failed ? LINKD_E_NOMEM : LINKD_OK);
        n_failed += failed;
    }
    assert_int_equal(n_failed, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_with_empty_fields_have_as_many_partners),
        cmocka_unit_test(few_rows_tell_nothing_of_many),
        cmocka_unit_test(only_rows_that_have_all_that_and_more_are_compared),
        cmocka_unit_test(more_fields_than_are_looked_at_do_no_harm),
        cmocka_unit_test(rows_without_any_pair_are_told),
        cmocka_unit_test(running_out_of_memory_is_an_error_at_every_point),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
