/* tests/compat/test_cayley.c — steps among rotations. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "compat/cayley.h"
#include "compat/polar.h"
#include "compat/random.h"
#include "tests/compat/spaces.h"
#include "tests/support/alloc_fail.h"

enum {
    N = 8,
};

static void rotation_make(uint64_t seed, double *ret)
{
    lk_random random = {seed};
    double raw[N * N];

    for (size_t i = 0; i < (size_t)N * N; i++)
        raw[i] = lk_random_normal(&random);
    assert_int_equal(lk_polar(raw, N, N, ret, NULL), LINKD_OK);
}

static double far_from_orthonormal(const double *q)
{
    double worst = 0.0;

    for (size_t i = 0; i < N; i++)
        for (size_t j = 0; j < N; j++) {
            double sum = 0.0;

            for (size_t k = 0; k < N; k++)
                sum += q[i * N + k] * q[j * N + k];
            worst = fmax(worst, fabs(sum - (i == j ? 1.0 : 0.0)));
        }
    return worst;
}

/* |q - target|^2 / 2 has the gradient q - target. Steps end at the target,
 * which is a turn away (no step can change the determinant's sign). */
static void steps_lead_to_a_rotation_and_stay_orthonormal(void **state)
{
    double q[N * N], target[N * N], gradient[N * N];
    double scratch[2 * N * N];

    (void)state;
    rotation_make(1, q);
    memcpy(target, q, sizeof(target));
    /* two columns turned by a right angle, two others by half of one */
    for (size_t i = 0; i < N; i++) {
        target[i * N] = -q[i * N + 1];
        target[i * N + 1] = q[i * N];
        target[i * N + 2] = (q[i * N + 2] - q[i * N + 3]) * sqrt(0.5);
        target[i * N + 3] = (q[i * N + 2] + q[i * N + 3]) * sqrt(0.5);
    }
    for (size_t step = 0; step < 600; step++) {
        for (size_t i = 0; i < (size_t)N * N; i++)
            gradient[i] = q[i] - target[i];
        assert_int_equal(lk_cayley_step(gradient, 0.1, N, q, scratch, NULL),
                         LINKD_OK);
    }
    assert_true(far_from_orthonormal(q) < 1e-12);
    for (size_t i = 0; i < (size_t)N * N; i++)
        assert_near(q[i], target[i], 1e-6);
}

/* The loss <c, q> falls by rate / 2 |A|^2, to first order. */
static void a_small_step_goes_down(void **state)
{
    double q[N * N], was[N * N], c[N * N], a2 = 0.0, change = 0.0;
    double scratch[2 * N * N];
    lk_random random = {4};

    (void)state;
    rotation_make(2, q);
    memcpy(was, q, sizeof(was));
    for (size_t i = 0; i < (size_t)N * N; i++)
        c[i] = lk_random_normal(&random);
    assert_int_equal(lk_cayley_step(c, 1e-5, N, q, scratch, NULL), LINKD_OK);
    for (size_t i = 0; i < N; i++)
        for (size_t j = 0; j < N; j++) {
            double a = 0.0;

            for (size_t k = 0; k < N; k++)
                a += c[i * N + k] * was[j * N + k] -
                     was[i * N + k] * c[j * N + k];
            a2 += a * a;
            change += c[i * N + j] * (q[i * N + j] - was[i * N + j]);
        }
    assert_near(change / (-0.5e-5 * a2), 1.0, 1e-3);
}

static void it_says_when_memory_is_out(void **state)
{
    double q[N * N], was[N * N], scratch[2 * N * N];

    (void)state;
    rotation_make(3, q);
    memcpy(was, q, sizeof(was));
    alloc_fail_at(1);
    assert_int_equal(lk_cayley_step(was, 0.1, N, q, scratch, NULL),
                     LINKD_E_NOMEM);
    assert_true(alloc_fail_off());
    assert_memory_equal(q, was, sizeof(q));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_lead_to_a_rotation_and_stay_orthonormal),
        cmocka_unit_test(a_small_step_goes_down),
        cmocka_unit_test(it_says_when_memory_is_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
