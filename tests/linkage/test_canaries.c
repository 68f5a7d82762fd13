/* tests/linkage/test_canaries.c — a model that makes other vectors is told. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "linkage/bridge.h"
#include "tests/linkage/bridged_group.h"

static void canaries_tell_a_changed_model(void **state)
{
    float stored[LINKD_N_CANARIES * OLD_DIM];
    float now[LINKD_N_CANARIES * OLD_DIM];

    (void)state;
    memcpy(stored, made->old_anchors, sizeof(stored));
    for (size_t i = 0; i < LINKD_N_CANARIES * OLD_DIM; i++)
        now[i] = 2.0F * stored[i] * (1.0F + 1e-4F * (float)(i % 3));
    assert_int_equal(linkd_canaries_check(stored, now, OLD_DIM, &err),
                     LINKD_OK);
    now[5 * OLD_DIM] += 0.5F;
    assert_int_equal(linkd_canaries_check(stored, now, OLD_DIM, &err),
                     LINKD_E_CONFLICT);
    assert_non_null(strstr(err.message, "the model makes other vectors than it "
                                        "did: cosine "));
    assert_non_null(strstr(err.message, " for canary 6"));
}

static void canaries_that_are_no_vectors_are_a_change(void **state)
{
    static const float values[] = {NAN, INFINITY, 0.0F};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        float now[LINKD_N_CANARIES * OLD_DIM];

        memcpy(now, made->old_anchors, sizeof(now));
        for (size_t j = 0; j < OLD_DIM; j++)
            now[j] = values[i];
        assert_int_equal(
            linkd_canaries_check(made->old_anchors, now, OLD_DIM, &err),
            LINKD_E_CONFLICT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(canaries_tell_a_changed_model),
        cmocka_unit_test(canaries_that_are_no_vectors_are_a_change),
    };

    return cmocka_run_group_tests(tests, bridged_group_enter,
                                  bridged_group_leave);
}
