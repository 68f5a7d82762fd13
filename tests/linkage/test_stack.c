/* tests/linkage/test_stack.c — what a model with labels sees beside features. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "linkage/stack.h"
#include "tests/support/alloc_fail.h"

enum { N_PAIRS = 3, N_FEATURES = 3 };

/* Record 0 has the candidates 2 and 3, record 1 has 3. */
static uint32_t of_a[N_PAIRS] = {0, 0, 1};
static uint32_t of_b[N_PAIRS] = {2, 3, 3};
static const lk_pairset pairs = {
    .a = of_a, .b = of_b, .n = N_PAIRS, .n_records = 4, .n_left = 2};
static uint8_t values[N_PAIRS * N_FEATURES] = {254, 254, 10,  127, 127,
                                               20,  200, 200, 255};
static lk_feature names[N_FEATURES] = {{LK_FIELD_RECORD, LK_COMPARE_GRAM},
                                       {LK_FIELD_RECORD, LK_COMPARE_SOFT},
                                       {LK_FIELD_RECORD, LK_COMPARE_DENSE}};
static const float log_odds[N_PAIRS] = {15.0F, 0.0F, -99.0F};
static const float probabilities[N_PAIRS] = {1.0F, 0.5F, 0.0F};

static int stack(size_t n_features, lk_features *ret_context, linkd_error *err)
{
    lk_features features = {values, N_PAIRS, names, N_FEATURES};
    lk_guess guess = {log_odds, probabilities};
    lk_pool *pool = NULL;
    int rc = lk_pool_new(1, &pool, err);

    features.n = n_features;
    if (rc == LINKD_OK)
        rc = lk_stack_make(&pairs, &features, &guess, pool, ret_context, err);
    lk_pool_free(pool);
    return rc;
}

static const uint8_t *row_of(const lk_features *context, size_t pair)
{
    return context->values + pair * context->n;
}

static void the_guess_and_the_ranks_are_columns(void **state)
{
    lk_features context = {0};

    (void)state;
    assert_int_equal(stack(N_FEATURES, &context, NULL), LINKD_OK);
    assert_int_equal(context.n, 8);
    assert_int_equal(context.features[0].comparator, LK_COMPARE_RANK);
    assert_int_equal(context.features[4].comparator, LK_COMPARE_GUESS);
    assert_int_equal(row_of(&context, 0)[0], LK_FEATURE_ONE); /* the best */
    assert_int_equal(row_of(&context, 1)[0], LK_FEATURE_ONE / 2);
    assert_int_equal(row_of(&context, 2)[2],
                     LK_FEATURE_MISSING); /* no vector */
    assert_int_equal(row_of(&context, 0)[4], LK_FEATURE_ONE);
    assert_int_equal(row_of(&context, 1)[4], LK_FEATURE_ONE / 2);
    assert_int_equal(row_of(&context, 2)[4], 0);
    assert_int_equal(row_of(&context, 1)[5], LK_FEATURE_ONE / 2);
    /* behind pair 0 by half of all there is */
    assert_int_equal(row_of(&context, 1)[7], lk_feature_of(0.25F));
    lk_features_clear(&context);
}

static void without_vectors_there_are_no_ranks_by_them(void **state)
{
    lk_features features = {values, N_PAIRS, names, 2};
    lk_features context = {0};
    uint8_t row[2 + 6];

    (void)state;
    assert_int_equal(stack(2, &context, NULL), LINKD_OK);
    assert_int_equal(context.n, 6);
    lk_stack_row(&features, &context, 1, row);
    assert_int_equal(row[0], values[2]);
    assert_memory_equal(row + 2, row_of(&context, 1), 6);
    lk_features_clear(&context);
}

static void running_out_of_memory_is_reported(void **state)
{
    lk_features context = {0};
    size_t n = 1;

    (void)state;
    for (;; n++) {
        int rc;

        alloc_fail_at(n);
        rc = stack(N_FEATURES, &context, NULL);
        if (!alloc_fail_off())
            break;
        assert_int_equal(rc, LINKD_E_NOMEM);
    }
    assert_true(n > 4);
    lk_features_clear(&context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_guess_and_the_ranks_are_columns),
        cmocka_unit_test(without_vectors_there_are_no_ranks_by_them),
        cmocka_unit_test(running_out_of_memory_is_reported),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
