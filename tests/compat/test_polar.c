/* tests/compat/test_polar.c — the nearest orthonormal matrix. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "compat/polar.h"
#include "compat/random.h"
#include "tests/compat/spaces.h"
#include "tests/support/alloc_fail.h"

static void fill(double *a, size_t n, uint64_t seed)
{
    lk_random random = {seed};

    for (size_t i = 0; i < n; i++)
        a[i] = lk_random_normal(&random);
}

/* Orthonormal columns, or rows if there are fewer of them. */
static void assert_orthonormal(const double *q, size_t m, size_t n)
{
    size_t r = m < n ? m : n;

    for (size_t i = 0; i < r; i++)
        for (size_t j = 0; j < r; j++) {
            double sum = 0.0;

            for (size_t k = 0; k < (m < n ? n : m); k++)
                sum += m < n ? q[i * n + k] * q[j * n + k]
                             : q[k * n + i] * q[k * n + j];
            assert_near(sum, i == j ? 1.0 : 0.0, 1e-9);
        }
}

/* The factor of c = q s with s symmetric and positive definite is q. */
static void the_rotation_of_a_stretched_rotation_is_found(void **state)
{
    static const size_t sizes[][2] = {{8, 8}, {12, 5}, {5, 12}, {1, 1}};

    (void)state;
    for (size_t t = 0; t < 4; t++) {
        size_t m = sizes[t][0];
        size_t n = sizes[t][1];
        double raw[144], q[144], c[144] = {0}, found[144];

        fill(raw, m * n, t + 1);
        assert_int_equal(lk_polar(raw, m, n, q, NULL), LINKD_OK);
        assert_orthonormal(q, m, n);
        /* stretched along the axes of the smaller side */
        for (size_t i = 0; i < m; i++)
            for (size_t j = 0; j < n; j++)
                c[i * n + j] =
                    q[i * n + j] * (double)(1 + (m < n ? i : j) * 37);
        assert_int_equal(lk_polar(c, m, n, found, NULL), LINKD_OK);
        for (size_t i = 0; i < m * n; i++)
            assert_near(found[i], q[i], 1e-7);
    }
}

/* Two columns are the same: the iteration never ends, singular vectors do. */
static void a_matrix_of_low_rank_has_a_factor_too(void **state)
{
    double c[30], found[30], again[30];

    (void)state;
    fill(c, 30, 5);
    for (size_t i = 0; i < 10; i++)
        c[i * 3 + 2] = c[i * 3 + 1];
    assert_int_equal(lk_polar(c, 10, 3, found, NULL), LINKD_OK);
    assert_orthonormal(found, 10, 3);
    assert_int_equal(lk_polar(c, 10, 3, again, NULL), LINKD_OK);
    assert_memory_equal(found, again, sizeof(found));
}

static void nothing_has_no_direction(void **state)
{
    static const double c[4] = {0};
    double found[4];
    linkd_error err;

    (void)state;
    assert_int_equal(lk_polar(c, 2, 2, found, &err), LINKD_E_DATA);
    assert_string_equal(err.message,
                        "the rows of the two sides have nothing in common");
}

static void it_says_when_memory_is_out(void **state)
{
    double c[30], found[30];

    (void)state;
    fill(c, 30, 5);
    for (size_t i = 0; i < 10; i++)
        c[i + 10] = c[i]; /* 3 x 10 of rank 2: all ways are gone */
    for (size_t nth = 1;; nth++) {
        int rc;

        alloc_fail_at(nth);
        rc = lk_polar(c, 3, 10, found, NULL);
        if (!alloc_fail_off()) {
            assert_int_equal(rc, LINKD_OK);
            assert_true(nth > 4);
            break;
        }
        assert_int_equal(rc, LINKD_E_NOMEM);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_rotation_of_a_stretched_rotation_is_found),
        cmocka_unit_test(a_matrix_of_low_rank_has_a_factor_too),
        cmocka_unit_test(nothing_has_no_direction),
        cmocka_unit_test(it_says_when_memory_is_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
