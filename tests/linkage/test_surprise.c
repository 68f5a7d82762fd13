/* tests/linkage/test_surprise.c — surprise by hand, and best pairs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "linkage/decision.h"
#include "tests/linkage/random.h"
#include "tests/support/alloc_fail.h"

enum {
    N_FEATURES = 5,
    N_RANDOM = 200,
    N_PAIRS = 4,
    N_MANY = 40000,
};

/* Field 0 is compared twice, field 1 once, the record twice. */
static lk_feature list[N_FEATURES] = {{0, LK_COMPARE_GRAM},
                                      {0, LK_COMPARE_EDIT},
                                      {1, LK_COMPARE_NUMBER},
                                      {LK_FIELD_RECORD, LK_COMPARE_GRAM},
                                      {LK_FIELD_RECORD, LK_COMPARE_SOFT}};

typedef struct fixture {
    lk_pool *pool;
    uint8_t random_values[N_RANDOM][N_FEATURES];
    lk_features random;
} fixture;

/* Random pairs 0 … 199: field 0 has likeness (i + 0) / 2 of 254, field 1 only
 * in every third pair, the record always 0. */
static int setup(void **state)
{
    fixture *f = calloc(1, sizeof(*f));

    if (f == NULL || lk_pool_new(2, &f->pool, NULL) != LINKD_OK)
        return -1;
    for (size_t i = 0; i < N_RANDOM; i++) {
        f->random_values[i][0] = (uint8_t)i;
        f->random_values[i][2] = i % 3 == 0 ? 10 : LK_FEATURE_MISSING;
    }
    f->random = (lk_features){.values = &f->random_values[0][0],
                              .n_pairs = N_RANDOM,
                              .features = list,
                              .n = N_FEATURES};
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;

    lk_pool_free(f->pool);
    free(f);
    return 0;
}

static double surprise_of(size_t n_as_alike)
{
    return -log(((double)n_as_alike + 0.5) / (N_RANDOM + 1.0));
}

static void surprise_counts_random_pairs_at_least_as_alike(void **state)
{
    fixture *f = *state;
    uint8_t values[N_PAIRS][N_FEATURES] = {
        /* mean 75: as alike as (150 + 0) / 2, so 50 of 200 are; record 1 */
        {100, 50, 254, 254, 254},
        /* only one comparator: 180 is more than any */
        {180, LK_FEATURE_MISSING, 254, 254, 254},
        /* field 0 is missing: only the record surprises, by half */
        {LK_FEATURE_MISSING, LK_FEATURE_MISSING, 254, 127, 127},
        /* the record has no words */
        {254, 254, 254, LK_FEATURE_MISSING, LK_FEATURE_MISSING}};
    lk_features features = {&values[0][0], N_PAIRS, list, N_FEATURES};
    float surprise[N_PAIRS];

    assert_int_equal(
        lk_surprise(&features, &f->random, f->pool, surprise, NULL), LINKD_OK);
    /* Field 1 has 67 random values: too few to tell. */
    assert_true(fabs((double)surprise[0] - (surprise_of(50) + surprise_of(0))) <
                1e-5);
    assert_true(fabs((double)surprise[1] - (surprise_of(0) + surprise_of(0))) <
                1e-5);
    assert_true(fabs((double)surprise[2] - 0.5 * surprise_of(0)) < 1e-5);
    assert_true(surprise[3] == 0.0F);
}

static void without_features_of_the_record_fields_count_in_full(void **state)
{
    fixture *f = *state;
    uint8_t values[3] = {100, 50, 254};
    lk_features features = {values, 1, list, 3};
    float surprise;

    assert_int_equal(
        lk_surprise(&features, &f->random, f->pool, &surprise, NULL), LINKD_OK);
    assert_true(fabs((double)surprise - surprise_of(50)) < 1e-5);
}

static void any_number_of_workers_gives_the_same_bytes(void **state)
{
    fixture *f = *state;
    size_t n_bytes = (size_t)N_MANY * N_FEATURES;
    lk_features features = {malloc(n_bytes), N_MANY, list, N_FEATURES};
    float *one = calloc(N_MANY, sizeof(*one));
    float *two = calloc(N_MANY, sizeof(*two));
    lk_pool *alone = NULL;
    uint64_t random = 11;

    assert_true(features.values != NULL && one != NULL && two != NULL);
    for (size_t i = 0; i < n_bytes; i++)
        features.values[i] = (uint8_t)random_below(&random, 256);
    assert_int_equal(lk_pool_new(1, &alone, NULL), LINKD_OK);
    assert_int_equal(lk_surprise(&features, &f->random, alone, one, NULL),
                     LINKD_OK);
    assert_int_equal(lk_surprise(&features, &f->random, f->pool, two, NULL),
                     LINKD_OK);
    assert_memory_equal(one, two, N_MANY * sizeof(*one));
    assert_true(one[N_MANY - 1] > 0.0F);
    lk_pool_free(alone);
    free(features.values);
    free(one);
    free(two);
}

static void memory_that_runs_out_is_reported(void **state)
{
    fixture *f = *state;
    uint8_t values[N_FEATURES] = {0};
    lk_features features = {values, 1, list, N_FEATURES};
    float surprise;
    linkd_error err;

    for (size_t nth = 1;; nth++) {
        int rc;

        alloc_fail_at(nth);
        rc = lk_surprise(&features, &f->random, f->pool, &surprise, &err);
        if (!alloc_fail_off()) {
            assert_int_equal(rc, LINKD_OK);
            assert_int_equal(nth, 5);
            return;
        }
        assert_int_equal(rc, LINKD_E_NOMEM);
    }
}

/* ---- best pairs --------------------------------------------------------- */

static void of_equal_scores_the_earlier_pair_is_the_best(void **state)
{
    uint32_t a[] = {0, 0, 1, 1};
    uint32_t b[] = {2, 3, 2, 3};
    lk_pairset pairs = {.a = a, .b = b, .n = 4, .n_records = 4, .n_left = 2};
    static const float scores[] = {0.5F, 0.5F, 0.5F, 0.7F};
    static const bool expected_a[] = {true, false, false, true};
    static const bool expected_b[] = {true, false, false, true};
    bool best_a[4];
    bool best_b[4];
    uint32_t scratch[4];

    (void)state;
    lk_best_pairs(&pairs, scores, best_a, best_b, scratch);
    assert_memory_equal(best_a, expected_a, sizeof(best_a));
    assert_memory_equal(best_b, expected_b, sizeof(best_b));
}

/* 0 - 1 - 2: the better pair of record 1 has it as `a`, the other as `b`. */
static void within_a_table_all_pairs_of_a_record_are_rivals(void **state)
{
    uint32_t a[] = {0, 1};
    uint32_t b[] = {1, 2};
    lk_pairset pairs = {
        .a = a, .b = b, .n = 2, .n_records = 3, .n_left = 3, .within = true};
    static const float scores[] = {0.4F, 0.6F};
    bool best_a[2];
    bool best_b[2];
    uint32_t scratch[3];

    (void)state;
    lk_best_pairs(&pairs, scores, best_a, best_b, scratch);
    assert_true(best_a[0] && !best_b[0]);
    assert_true(best_a[1] && best_b[1]);
}

/* Record 0 with 1, and with 2, which it is more like. */
static void the_most_surprising_pair_of_a_record_is_its_best(void **state)
{
    fixture *f = *state;
    uint8_t values[2][3] = {{100, 50, 254}, {180, 150, 254}};
    lk_features features = {&values[0][0], 2, list, 3};
    uint32_t a[] = {0, 0};
    uint32_t b[] = {1, 2};
    lk_pairset pairs = {.a = a, .b = b, .n = 2, .n_records = 3, .n_left = 1};
    lk_decision_input input = {.pairs = &pairs,
                               .features = &features,
                               .random = &f->random,
                               .pool = f->pool};
    bool best_a[2] = {false};
    bool best_b[2] = {false};
    int rc;

    for (size_t nth = 1;; nth++) {
        alloc_fail_at(nth);
        rc = lk_most_surprising(&input, best_a, best_b, NULL);
        if (!alloc_fail_off())
            break;
        assert_int_equal(rc, LINKD_E_NOMEM);
        assert_false(best_b[0]);
    }
    assert_int_equal(rc, LINKD_OK);
    assert_true(!best_a[0] && best_a[1]);
    assert_true(best_b[0] && best_b[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(surprise_counts_random_pairs_at_least_as_alike),
        cmocka_unit_test(without_features_of_the_record_fields_count_in_full),
        cmocka_unit_test(any_number_of_workers_gives_the_same_bytes),
        cmocka_unit_test(memory_that_runs_out_is_reported),
        cmocka_unit_test(of_equal_scores_the_earlier_pair_is_the_best),
        cmocka_unit_test(within_a_table_all_pairs_of_a_record_are_rivals),
        cmocka_unit_test(the_most_surprising_pair_of_a_record_is_its_best),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
