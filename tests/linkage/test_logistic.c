/* tests/linkage/test_logistic.c — what a given model says of pairs. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "linkage/logistic.h"
#include "tests/linkage/near.h"
#include "tests/linkage/random.h"
#include "tests/support/alloc_fail.h"

#define N_FEATURES ((size_t)6)

/* Six features: a loop by fours, and its rest. */
static double weights[1 + 3 * N_FEATURES] = {
    -2, 1, 2, -0.5, 3, 0, 0.25, 0, -4, 1, 2, 2, -1, 0.5, 0.5, 0.125, 7, -3, 4,
};
static const lk_logistic model = {weights, N_FEATURES};

static void a_pair_is_the_sum_of_the_parts_of_its_features(void **state)
{
    static const uint8_t values[N_FEATURES] = {127, 254, 255, 0, 255, 254};
    double parts[N_FEATURES];
    double sum = weights[0];

    (void)state;
    lk_logistic_parts(&model, values, parts);
    assert_near(parts[0], 0.5 * 1 + 0.25 * 2, 1e-12);
    assert_near(parts[1], 3, 1e-12);
    assert_near(parts[2], 1, 1e-12); /* missing, not 255 / 254 */
    assert_near(parts[3], 0, 1e-12); /* different is not missing */
    assert_near(parts[4], 0.125, 1e-12);
    assert_near(parts[5], 4, 1e-12);
    for (size_t i = 0; i < N_FEATURES; i++)
        sum += parts[i];
    assert_near(lk_logistic_log_odds(&model, values), sum, 1e-12);
}

static void a_table_says_what_the_model_does(void **state)
{
    lk_logistic_table table = {0};
    uint64_t seed = 1;

    (void)state;
    assert_int_equal(lk_logistic_table_make(&model, &table, NULL), LINKD_OK);
    for (size_t i = 0; i < 1000; i++) {
        uint8_t values[N_FEATURES];

        for (size_t k = 0; k < N_FEATURES; k++)
            values[k] = (uint8_t)random_below(&seed, 256);
        assert_near(lk_logistic_table_log_odds(&table, values),
                    lk_logistic_log_odds(&model, values), 1e-5);
    }
    lk_logistic_table_clear(&table);
}

static void memory_that_runs_out_is_reported(void **state)
{
    (void)state;
    for (size_t nth = 1;; nth++) {
        lk_logistic_table table = {0};
        linkd_error err;
        int rc;

        alloc_fail_at(nth);
        rc = lk_logistic_table_make(&model, &table, &err);
        lk_logistic_table_clear(&table);
        if (!alloc_fail_off())
            break;
        assert_int_equal(rc, LINKD_E_NOMEM);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pair_is_the_sum_of_the_parts_of_its_features),
        cmocka_unit_test(a_table_says_what_the_model_does),
        cmocka_unit_test(memory_that_runs_out_is_reported),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
