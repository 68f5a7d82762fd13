/* tests/linkage/test_products.c — every way to multiply bytes gives the same
 * sums. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "linkage/products.h"
#include "tests/linkage/random.h"

enum { N = 5, MOST = LINKD_DIM_MAX };

static _Alignas(64) int8_t query[MOST];
static _Alignas(64) uint8_t rows[N * MOST];

static void random_fill(void)
{
    uint64_t random = 5;

    for (size_t k = 0; k < MOST; k++)
        query[k] = (int8_t)((int)random_below(&random, 255) - 127);
    for (size_t k = 0; k < sizeof(rows); k++)
        rows[k] = (uint8_t)random_below(&random, 256);
}

static void assert_products(size_t dim)
{
    int32_t expected[N] = {0};
    size_t n_ways = 0;

    for (size_t i = 0; i < N; i++)
        for (size_t k = 0; k < dim; k++)
            expected[i] += query[k] * rows[i * dim + k];
    for (; lk_products_nth(n_ways) != NULL; n_ways++) {
        int32_t products[N + 1] = {0};

        products[N] = 42;
        lk_products_nth(n_ways)(query, rows, N, dim, products);
        assert_memory_equal(products, expected, sizeof(expected));
        assert_int_equal(products[N], 42);
    }
    assert_true(n_ways > 0);
}

static void all_ways_agree(void **state)
{
    (void)state;
    random_fill();
    for (size_t dim = LK_PRODUCTS_STEP; dim <= 16 * LK_PRODUCTS_STEP;
         dim += LK_PRODUCTS_STEP)
        assert_products(dim);
}

/* Instructions for sums of such products saturate at 16 bits. */
static void the_largest_sums_have_place(void **state)
{
    (void)state;
    memset(rows, 255, sizeof(rows));
    memset(query, 127, sizeof(query));
    assert_products(MOST);
    memset(query, -127, sizeof(query));
    assert_products(MOST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_ways_agree),
        cmocka_unit_test(the_largest_sums_have_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
