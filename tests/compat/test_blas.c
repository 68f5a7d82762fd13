/* tests/compat/test_blas.c — products, solutions and factors, by row. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "compat/blas.h"
#include "compat/random.h"
#include "tests/compat/spaces.h"
#include "tests/support/alloc_fail.h"

static void products_turn_what_they_are_told_to(void **state)
{
    static const double a[6] = {1, 2, 3, 4, 5, 6};  /* 2 x 3, or 3 x 2 turned */
    static const double b[6] = {1, 0, 2, 1, 1, -1}; /* 3 x 2 */
    static const float af[6] = {1, 2, 3, 4, 5, 6};
    static const float bf[6] = {1, 0, 2, 1, 1, -1};
    double c[4] = {1, 1, 1, 1};
    double turned[9];
    float cf[4];

    (void)state;
    lk_multiply((lk_product){LK_PLAIN, LK_PLAIN, 2, 2, 3}, 2.0, a, b, 1.0, c);
    assert_near(c[0], 2 * (1 + 4 + 3) + 1, 0);
    assert_near(c[1], 2 * (0 + 2 - 3) + 1, 0);
    assert_near(c[2], 2 * (4 + 10 + 6) + 1, 0);
    assert_near(c[3], 2 * (0 + 5 - 6) + 1, 0);
    lk_multiply((lk_product){LK_TRANSPOSED, LK_TRANSPOSED, 3, 3, 2}, 1.0, a, b,
                0.0, turned); /* a' [3, 2] b' [2, 3] */
    assert_near(turned[0], 1 * 1 + 4 * 0, 0);
    assert_near(turned[1], 1 * 2 + 4 * 1, 0);
    assert_near(turned[5], 2 * 1 + 5 * -1, 0);
    lk_multiply_f32((lk_product){LK_PLAIN, LK_PLAIN, 2, 2, 3}, 1.0F, af, bf,
                    0.0F, cf);
    assert_near(cf[2], 20.0F, 0);
    lk_inner_products(af, 2, bf, 2, 2, 3, cf); /* first two of three values */
    assert_near(cf[0], 1.0F * 1, 0);
    assert_near(cf[1], 1.0F * 1 + 2.0F * 1, 0);
    assert_near(cf[3], 3.0F * 1 + 4.0F * 1, 0);
}

static void systems_are_solved(void **state)
{
    double definite[9] = {4, 1, 0, 1, 3, 1, 0, 1, 2};
    double general[9] = {0, 2, 1, 1, -2, -3, -1, 1, 2};
    double x[6] = {1, 2, 3, 4, 5, 6};
    double b[6];
    linkd_error err;

    (void)state;
    lk_multiply((lk_product){LK_PLAIN, LK_PLAIN, 3, 2, 3}, 1.0, definite, x,
                0.0, b);
    assert_int_equal(lk_solve_definite(definite, 3, b, 2, NULL), LINKD_OK);
    for (size_t i = 0; i < 6; i++)
        assert_near(b[i], x[i], 1e-12);
    lk_multiply((lk_product){LK_PLAIN, LK_PLAIN, 3, 2, 3}, 1.0, general, x, 0.0,
                b);
    assert_int_equal(lk_solve(general, 3, b, 2, NULL), LINKD_OK);
    for (size_t i = 0; i < 6; i++)
        assert_near(b[i], x[i], 1e-12);
    memset(definite, 0, sizeof(definite));
    assert_int_equal(lk_solve_definite(definite, 3, b, 2, &err), LINKD_E_DATA);
    assert_int_equal(lk_solve(definite, 3, b, 2, &err), LINKD_E_DATA);
}

static void factors_multiply_to_the_matrix(void **state)
{
    double a[12], copy[12], u[9], s[3], vt[12], back[12];
    lk_random random = {3};

    (void)state;
    for (size_t i = 0; i < 12; i++)
        copy[i] = a[i] = lk_random_normal(&random);
    assert_int_equal(lk_svd(a, 3, 4, u, s, vt, NULL), LINKD_OK);
    assert_true(s[0] >= s[1] && s[1] >= s[2] && s[2] > 0);
    for (size_t i = 0; i < 3; i++)
        for (size_t j = 0; j < 3; j++)
            u[i * 3 + j] *= s[j];
    lk_multiply((lk_product){LK_PLAIN, LK_PLAIN, 3, 4, 3}, 1.0, u, vt, 0.0,
                back);
    for (size_t i = 0; i < 12; i++)
        assert_near(back[i], copy[i], 1e-12);
}

static void a_complement_is_orthogonal_to_all_and_to_itself(void **state)
{
    static const double q[8] = {0.6, 0, 0.8, 0, 0, 1, 0, 0}; /* 4 x 2 */
    double rest[8];

    (void)state;
    assert_int_equal(lk_complement(q, 4, 2, rest, NULL), LINKD_OK);
    for (size_t i = 0; i < 2; i++)
        for (size_t j = 0; j < 2; j++) {
            double with_q = 0.0;
            double with_rest = 0.0;

            for (size_t k = 0; k < 4; k++) {
                with_q += q[k * 2 + i] * rest[k * 2 + j];
                with_rest += rest[k * 2 + i] * rest[k * 2 + j];
            }
            assert_near(with_q, 0.0, 1e-12);
            assert_near(with_rest, i == j ? 1.0 : 0.0, 1e-12);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_turn_what_they_are_told_to),
        cmocka_unit_test(systems_are_solved),
        cmocka_unit_test(factors_multiply_to_the_matrix),
        cmocka_unit_test(a_complement_is_orthogonal_to_all_and_to_itself),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
