/* tests/compat/test_adam.c — steps of AdamW. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "compat/adam.h"
#include "tests/compat/spaces.h"
#include "tests/support/alloc_fail.h"

/* The paper's algorithm, step by step, for one value. */
static void steps_are_those_of_the_paper(void **state)
{
    static const float gradients[4] = {0.5F, -0.2F, 3.0F, 0.0F};
    lk_adam adam = {0};
    float value = 1.0F;
    double m = 0.0;
    double v = 0.0;
    double expected = 1.0;

    (void)state;
    assert_int_equal(lk_adam_init(&adam, 1, NULL), LINKD_OK);
    for (size_t t = 1; t <= 4; t++) {
        double g = (double)gradients[t - 1];

        m = 0.9 * m + 0.1 * g;
        v = 0.999 * v + 0.001 * g * g;
        expected -= 0.01 * (m / (1 - pow(0.9, (double)t)) /
                                (sqrt(v / (1 - pow(0.999, (double)t))) + 1e-8) +
                            0.3 * expected);
        lk_adam_step(&adam, (lk_adam_step_size){0.01, 0.3, t},
                     &gradients[t - 1], &value);
        assert_near((double)value, expected, 1e-6);
    }
    lk_adam_clear(&adam);
}

/* A bowl that is a hundred times as steep one way as the other. */
static void it_finds_the_bottom_of_a_bowl(void **state)
{
    lk_adam adam = {0};
    float x[2] = {3.0F, -2.0F};

    (void)state;
    assert_int_equal(lk_adam_init(&adam, 2, NULL), LINKD_OK);
    for (size_t t = 1; t <= 500; t++) {
        float gradient[2] = {100.0F * (x[0] - 1.0F), x[1] - 0.5F};

        lk_adam_step(&adam,
                     (lk_adam_step_size){0.1 * lk_cosine_share(t, 500), 0.0, t},
                     gradient, x);
    }
    assert_near(x[0], 1.0F, 1e-3F);
    assert_near(x[1], 0.5F, 1e-3F);
    lk_adam_clear(&adam);
}

static void a_rate_falls_along_half_a_cosine(void **state)
{
    (void)state;
    assert_near(lk_cosine_share(1, 10), 1.0, 1e-12);
    assert_near(lk_cosine_share(6, 10), 0.5, 1e-12);
    assert_true(lk_cosine_share(10, 10) > 0.0);
    assert_true(lk_cosine_share(10, 10) < 0.03);
}

static void it_says_when_memory_is_out(void **state)
{
    lk_adam adam = {0};

    (void)state;
    for (size_t nth = 1; nth <= 2; nth++) {
        alloc_fail_at(nth);
        assert_int_equal(lk_adam_init(&adam, 3, NULL), LINKD_E_NOMEM);
        assert_true(alloc_fail_off());
        assert_null(adam.first);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_are_those_of_the_paper),
        cmocka_unit_test(it_finds_the_bottom_of_a_bowl),
        cmocka_unit_test(a_rate_falls_along_half_a_cosine),
        cmocka_unit_test(it_says_when_memory_is_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
