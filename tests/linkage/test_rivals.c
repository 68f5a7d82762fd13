/* tests/linkage/test_rivals.c — where a pair stands among its records' others. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "linkage/rivals.h"
#include "tests/linkage/random.h"
#include "tests/support/alloc_fail.h"

enum { N_PAIRS = 6, N_FEATURES = 4, COLUMN = 1 };

/*          record 3   record 4   record 5
 * record 0   .9         .5
 * record 1   .7         .7         (no score)
 * record 2                         .2          */
static uint32_t of_a[N_PAIRS] = {0, 0, 1, 1, 1, 2};
static uint32_t of_b[N_PAIRS] = {3, 4, 3, 4, 5, 5};
static const float scores[N_PAIRS] = {0.9F, 0.5F, 0.7F, 0.7F, NAN, 0.2F};
static const lk_pairset pairs = {
    .a = of_a, .b = of_b, .n = N_PAIRS, .n_records = 6, .n_left = 3};

static int run(uint8_t *values, linkd_error *err)
{
    lk_features features = {
        .values = values, .n_pairs = N_PAIRS, .n = N_FEATURES};
    lk_pool *pool = NULL;
    int rc = lk_pool_new(1, &pool, err);

    memset(values, 77, (size_t)N_PAIRS * N_FEATURES);
    if (rc == LINKD_OK)
        rc = lk_rivals_compare(&pairs, scores, pool, COLUMN, &features, err);
    lk_pool_free(pool);
    return rc;
}

static void the_better_of_both_ranks_counts(void **state)
{
    static const uint8_t expected[N_PAIRS] = {254, 127, 254, 254, 255, 254};
    uint8_t values[N_PAIRS * N_FEATURES];

    (void)state;
    assert_int_equal(run(values, NULL), LINKD_OK);
    for (size_t p = 0; p < N_PAIRS; p++)
        assert_int_equal(values[p * N_FEATURES + COLUMN], expected[p]);
}

/* Pair 0 leads by .2 over pair 2, pair 1 is .4 behind pair 0, pair 2 is .2
 * behind pair 0, pair 3 ties with pair 2, pair 5 is alone. */
static void the_margin_is_the_lead_over_the_best_rival_of_either(void **state)
{
    static const float expected[N_PAIRS] = {0.6F, 0.3F, 0.4F, 0.5F, NAN, 0.6F};
    uint8_t values[N_PAIRS * N_FEATURES];

    (void)state;
    assert_int_equal(run(values, NULL), LINKD_OK);
    for (size_t p = 0; p < N_PAIRS; p++)
        assert_int_equal(values[p * N_FEATURES + COLUMN + 1],
                         lk_feature_of(expected[p]));
}

static void other_columns_are_left_alone(void **state)
{
    uint8_t values[N_PAIRS * N_FEATURES];

    (void)state;
    assert_int_equal(run(values, NULL), LINKD_OK);
    for (size_t p = 0; p < N_PAIRS; p++) {
        assert_int_equal(values[p * N_FEATURES], 77);
        assert_int_equal(values[p * N_FEATURES + 3], 77);
    }
}

static void memory_that_runs_out_is_reported(void **state)
{
    uint8_t values[N_PAIRS * N_FEATURES];

    (void)state;
    for (size_t nth = 1;; nth++) {
        int rc;

        alloc_fail_at(nth);
        rc = run(values, NULL);
        if (!alloc_fail_off())
            break;
        assert_int_equal(rc, LINKD_E_NOMEM);
    }
}

/* In one table a record is the lower of some pairs and the higher of others;
 * here against counting by hand. */
static void many_ties_within_one_table_agree_with_counting(void **state)
{
    enum { N = 40 };
    static uint32_t a[N * N], b[N * N];
    static float own[N * N];
    static uint8_t values[2 * N * N];
    lk_features features = {.values = values, .n = 2};
    lk_pairset within = {.a = a, .b = b, .n_records = N, .n_left = N};
    lk_pool *pool = NULL;
    uint64_t random = 9;

    (void)state;
    for (uint32_t i = 0; i < N; i++)
        for (uint32_t j = i + 1; j < N; j++)
            if (random_below(&random, 3) == 0) {
                a[within.n] = i;
                b[within.n] = j;
                own[within.n++] = random_score(&random);
            }
    within.within = true;
    features.n_pairs = within.n;
    assert_int_equal(lk_pool_new(2, &pool, NULL), LINKD_OK);
    assert_int_equal(lk_rivals_compare(&within, own, pool, 0, &features, NULL),
                     LINKD_OK);
    lk_pool_free(pool);

    assert_true(within.n > 200);
    for (size_t p = 0; p < within.n; p++) {
        size_t better[2] = {0, 0};
        float best = 0.0F;

        for (size_t q = 0; q < within.n; q++) {
            bool of_first = a[q] == a[p] || b[q] == a[p];
            bool of_second = a[q] == b[p] || b[q] == b[p];

            if (p == q)
                continue;
            better[0] += of_first && own[q] > own[p];
            better[1] += of_second && own[q] > own[p];
            if (of_first || of_second)
                best = fmaxf(best, own[q]);
        }
        assert_int_equal(
            values[2 * p],
            lk_feature_of(1.0F /
                          (1.0F + (float)(better[0] < better[1] ? better[0]
                                                                : better[1]))));
        assert_int_equal(values[2 * p + 1],
                         lk_feature_of(0.5F + 0.5F * (own[p] - best)));
    }
}

/* As above, with numbers: pair 1 is the second best of record 0, but the best
 * that record 4 has after pair 3, which scores .7. */
static void a_lead_is_summed_over_both_records(void **state)
{
    static const float finite[N_PAIRS] = {0.9F, 0.5F, 0.7F, 0.7F, 0.0F, 0.2F};
    static const uint32_t ranks[N_PAIRS] = {1, 2, 1, 1, 2, 1};
    static const float leads[N_PAIRS] = {0.4F + 0.2F,  -0.4F - 0.2F,
                                         -0.2F + 0.0F, 0.0F + 0.2F,
                                         -0.7F - 0.2F, 0.2F + 0.2F};
    lk_standing standings[N_PAIRS];
    lk_pool *pool = NULL;

    (void)state;
    assert_int_equal(lk_pool_new(1, &pool, NULL), LINKD_OK);
    assert_int_equal(lk_rivals_stand(&pairs, finite, pool, standings, NULL),
                     LINKD_OK);
    lk_pool_free(pool);
    for (size_t p = 0; p < N_PAIRS; p++) {
        assert_int_equal(standings[p].rank, ranks[p]);
        assert_true(fabsf(standings[p].lead - leads[p]) < 1e-6F);
    }
}

static void memory_for_standings_that_runs_out_is_reported(void **state)
{
    lk_standing standings[N_PAIRS];
    lk_pool *pool = NULL;

    (void)state;
    assert_int_equal(lk_pool_new(1, &pool, NULL), LINKD_OK);
    for (size_t nth = 1;; nth++) {
        int rc;

        alloc_fail_at(nth);
        rc = lk_rivals_stand(&pairs, scores, pool, standings, NULL);
        if (!alloc_fail_off())
            break;
        assert_int_equal(rc, LINKD_E_NOMEM);
    }
    lk_pool_free(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_better_of_both_ranks_counts),
        cmocka_unit_test(the_margin_is_the_lead_over_the_best_rival_of_either),
        cmocka_unit_test(other_columns_are_left_alone),
        cmocka_unit_test(memory_that_runs_out_is_reported),
        cmocka_unit_test(many_ties_within_one_table_agree_with_counting),
        cmocka_unit_test(a_lead_is_summed_over_both_records),
        cmocka_unit_test(memory_for_standings_that_runs_out_is_reported),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
