/* tests/compat/test_slerp.c — between two queries. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/compat/spaces.h"

static void it_goes_from_one_to_the_other_at_constant_speed(void **state)
{
    static const float a[2] = {1.0F, 0.0F};
    float b[2] = {cosf(1.2F), sinf(1.2F)};

    (void)state;
    for (size_t i = 0; i <= 10; i++) {
        float w = (float)i / 10.0F;
        float q[2];

        linkd_compat_slerp(a, b, 2, w, q);
        assert_near(hypotf(q[0], q[1]), 1.0F, 1e-6F);
        assert_near(atan2f(q[1], q[0]), 1.2F * w, 1e-6F);
    }
}

static void the_same_and_opposite_directions_do_not_divide_by_zero(void **state)
{
    static const float a[2] = {0.6F, 0.8F};
    float b[2] = {-0.6F, -0.8F};
    float q[2];

    (void)state;
    linkd_compat_slerp(a, a, 2, 0.3F, q);
    assert_near(q[0], 0.6F, 1e-6F);
    assert_near(q[1], 0.8F, 1e-6F);
    linkd_compat_slerp(a, b, 2, 0.25F, q);
    assert_true(isfinite(q[0]) && isfinite(q[1]));
}

static void the_answer_may_be_where_an_input_is(void **state)
{
    float a[2] = {1.0F, 0.0F};
    static const float b[2] = {0.0F, 1.0F};

    (void)state;
    linkd_compat_slerp(a, b, 2, 0.5F, a);
    assert_near(a[0], sqrtf(0.5F), 1e-6F);
    assert_near(a[1], sqrtf(0.5F), 1e-6F);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_goes_from_one_to_the_other_at_constant_speed),
        cmocka_unit_test(
            the_same_and_opposite_directions_do_not_divide_by_zero),
        cmocka_unit_test(the_answer_may_be_where_an_input_is),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
