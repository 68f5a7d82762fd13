/* tests/linkage/test_normal.c — sums of products, and what solves them. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "linkage/normal.h"
#include "tests/linkage/near.h"
#include "tests/linkage/random.h"

enum {
    N_COLUMNS = 19,
    STRIDE = 24,
    N_ROWS = 203,
};

static void the_matrix_holds_the_products_of_all_pairs_of_columns(void **state)
{
    size_t size = (size_t)LK_NORMAL_ROWS * STRIDE;
    float *rows = calloc(size, sizeof(*rows));
    double matrix[STRIDE * STRIDE] = {0};
    uint64_t seed = 1;

    (void)state;
    assert_non_null(rows);
    assert_int_equal(lk_normal_stride(N_COLUMNS), STRIDE);
    for (size_t i = 0; i < N_ROWS; i++)
        for (size_t j = 0; j < N_COLUMNS; j++)
            rows[lk_normal_at(i, j)] = random_score(&seed);
    matrix[STRIDE] = 5;
    lk_normal_add(rows, N_ROWS, STRIDE, matrix);
    for (size_t i = 0; i < N_COLUMNS; i++)
        for (size_t j = 0; j <= i; j++) {
            double sum = i == 1 && j == 0 ? 5 : 0; /* it is added to */

            for (size_t k = 0; k < N_ROWS; k++)
                sum += (double)rows[lk_normal_at(k, i)] *
                       (double)rows[lk_normal_at(k, j)];
            assert_near(matrix[i * STRIDE + j], sum, 1e-4);
        }
    free(rows);
}

static void a_positive_matrix_is_solved(void **state)
{
    double matrix[8 * 8] = {0};
    double values[3] = {4 * 1 + 2 * 2 + 1 * 3, 2 * 1 + 5 * 2 + 3 * 3,
                        1 * 1 + 3 * 2 + 6 * 3};

    (void)state;
    matrix[0] = 4;
    matrix[8] = 2;
    matrix[9] = 5;
    matrix[16] = 1;
    matrix[17] = 3;
    matrix[18] = 6;
    assert_true(lk_normal_solve(matrix, 8, 3, values));
    assert_near(values[0], 1, 1e-12);
    assert_near(values[1], 2, 1e-12);
    assert_near(values[2], 3, 1e-12);
}

static void a_matrix_that_is_not_positive_is_refused(void **state)
{
    double saddle[8 * 8] = {[0] = 1, [8] = 2, [9] = 1};
    double poisoned[8 * 8] = {[0] = 1, [8] = (double)NAN, [9] = 1};
    double endless[8 * 8] = {[0] = (double)INFINITY, [9] = 1};
    double values[2] = {1, 1};

    (void)state;
    assert_false(lk_normal_solve(saddle, 8, 2, values));
    assert_false(lk_normal_solve(poisoned, 8, 2, values));
    assert_false(lk_normal_solve(endless, 8, 2, values));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_matrix_holds_the_products_of_all_pairs_of_columns),
        cmocka_unit_test(a_positive_matrix_is_solved),
        cmocka_unit_test(a_matrix_that_is_not_positive_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
