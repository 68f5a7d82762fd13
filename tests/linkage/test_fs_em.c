/* tests/linkage/test_fs_em.c — a planted mixture is found again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>

#include "linkage/fs_em.h"
#include "tests/linkage/random.h"
#include "tests/support/alloc_fail.h"

enum {
    N_FEATURES = 5,
    N_PAIRS = 50000,
    MATCH_EVERY = 25, /* pairs: 0, 25, 50, … are matches */
};

static lk_feature list[N_FEATURES] = {{0, LK_COMPARE_GRAM},
                                      {1, LK_COMPARE_SOFT},
                                      {2, LK_COMPARE_EDIT},
                                      {LK_FIELD_RECORD, LK_COMPARE_CODE},
                                      {LK_FIELD_RECORD, LK_COMPARE_EVIDENCE}};

typedef struct fixture {
    lk_pool *pool;
    lk_pool *alone;
    lk_features features;
    bool *seeds;
    float *log_odds;
} fixture;

/* Matches are alike in most fields, others in few; every twentieth value
 * is missing. One match in three is a seed. */
static void values_draw(fixture *f)
{
    uint64_t random = 5;

    for (size_t i = 0; i < N_PAIRS; i++) {
        bool match = i % MATCH_EVERY == 0;

        for (size_t c = 0; c < N_FEATURES; c++) {
            bool alike = random_below(&random, 20) < (match ? 19U : 1U);
            size_t value = random_below(&random, 100) + (alike ? 150 : 0);

            f->features.values[i * N_FEATURES + c] =
                random_below(&random, 20) == 0 ? LK_FEATURE_MISSING
                                               : (uint8_t)value;
        }
        f->seeds[i] = match && random_below(&random, 3) == 0;
    }
}

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof(*f));

    if (f == NULL || lk_pool_new(2, &f->pool, NULL) != LINKD_OK ||
        lk_pool_new(1, &f->alone, NULL) != LINKD_OK)
        return -1;
    f->features = (lk_features){malloc((size_t)N_PAIRS * N_FEATURES), N_PAIRS,
                                list, N_FEATURES};
    f->seeds = calloc(N_PAIRS, sizeof(*f->seeds));
    f->log_odds = calloc(N_PAIRS, sizeof(*f->log_odds));
    if (f->features.values == NULL || f->seeds == NULL || f->log_odds == NULL)
        return -1;
    values_draw(f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;

    lk_pool_free(f->pool);
    lk_pool_free(f->alone);
    free(f->features.values);
    free(f->seeds);
    free(f->log_odds);
    free(f);
    return 0;
}

static void matches_are_told_from_a_third_of_them(void **state)
{
    fixture *f = *state;
    size_t n_found = 0;
    size_t n_right = 0;

    assert_int_equal(
        lk_fs_em(&f->features, f->seeds, f->pool, f->log_odds, NULL), LINKD_OK);
    for (size_t i = 0; i < N_PAIRS; i++) {
        n_found += f->log_odds[i] > 0.0F;
        n_right += f->log_odds[i] > 0.0F && i % MATCH_EVERY == 0;
    }
    /* Of 2,000; the overlap of the two kinds does not allow for all. */
    assert_in_range(n_right, 1800, 2000);
    assert_in_range(n_found, n_right, n_right + 150);
}

/* What is missing in all columns leaves the prior, which is the share of
 * matches: 1 in 25. */
static void missing_values_say_nothing(void **state)
{
    fixture *f = *state;

    for (size_t c = 0; c < N_FEATURES; c++)
        f->features.values[N_FEATURES + c] = LK_FEATURE_MISSING;
    assert_int_equal(
        lk_fs_em(&f->features, f->seeds, f->pool, f->log_odds, NULL), LINKD_OK);
    assert_true(fabs((double)f->log_odds[1] - log(1.0 / 24.0)) < 0.15);
}

static void any_number_of_workers_gives_the_same_bytes(void **state)
{
    fixture *f = *state;
    float *one = calloc(N_PAIRS, sizeof(*one));

    assert_non_null(one);
    assert_int_equal(lk_fs_em(&f->features, f->seeds, f->alone, one, NULL),
                     LINKD_OK);
    assert_int_equal(
        lk_fs_em(&f->features, f->seeds, f->pool, f->log_odds, NULL), LINKD_OK);
    assert_memory_equal(one, f->log_odds, N_PAIRS * sizeof(*one));
    free(one);
}

static void no_pairs_need_no_answer(void **state)
{
    fixture *f = *state;
    lk_features none = {NULL, 0, list, N_FEATURES};

    assert_int_equal(lk_fs_em(&none, NULL, f->pool, NULL, NULL), LINKD_OK);
}

static void without_features_all_pairs_have_the_share_of_seeds(void **state)
{
    fixture *f = *state;
    static const bool seeds[4] = {true, false, false, false};
    lk_features bare = {f->features.values, 4, NULL, 0};
    double share = (0.8 + 3.0 * 0.02) / 4.0;
    float log_odds[4];

    assert_int_equal(lk_fs_em(&bare, seeds, f->pool, log_odds, NULL), LINKD_OK);
    for (size_t i = 0; i < 4; i++)
        assert_true(fabs((double)log_odds[i] - log(share / (1.0 - share))) <
                    1e-5);
}

static void memory_that_runs_out_is_reported(void **state)
{
    fixture *f = *state;
    lk_features few = f->features;
    linkd_error err;

    few.n_pairs = 100;
    for (size_t nth = 1;; nth++) {
        int rc;

        alloc_fail_at(nth);
        rc = lk_fs_em(&few, f->seeds, f->alone, f->log_odds, &err);
        if (!alloc_fail_off()) {
            assert_int_equal(rc, LINKD_OK);
            assert_int_equal(nth, 4 + N_FEATURES + 1);
            return;
        }
        assert_int_equal(rc, LINKD_E_NOMEM);
        assert_string_equal(err.message, "out of memory");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matches_are_told_from_a_third_of_them),
        cmocka_unit_test(missing_values_say_nothing),
        cmocka_unit_test(any_number_of_workers_gives_the_same_bytes),
        cmocka_unit_test(no_pairs_need_no_answer),
        cmocka_unit_test(without_features_all_pairs_have_the_share_of_seeds),
        cmocka_unit_test(memory_that_runs_out_is_reported),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
