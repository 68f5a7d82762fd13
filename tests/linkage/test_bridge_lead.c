/* tests/linkage/test_bridge_lead.c — a query is led over a bridge, by one model or
 * by both. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "linkage/bridge.h"
#include "tests/linkage/bridged_group.h"

static void unit(float *vector)
{
    linkd_rows row = {vector, 1, OLD_DIM};

    assert_int_equal(linkd_compat_normalise(&row, "row", vector, &err),
                     LINKD_OK);
}

/* What is left out of a query is not mapped, but has to be a vector all the same. */
static void a_weight_of_0_or_1_is_one_side_alone(void **state)
{
    linkd_bridge there = ranked_there();
    linkd_rows own = {made->old_queries, 1, OLD_DIM};
    linkd_rows foreign = {made->new_queries, 1, NEW_DIM};
    const float zeros[NEW_DIM] = {0.0F};
    float expected[OLD_DIM];
    float query[OLD_DIM];

    (void)state;
    there.weight = there.ranking.weight = 0.0F;
    assert_int_equal(lk_bridge_fuse(&there, own.data, zeros, query, NULL, &err),
                     LINKD_E_DATA);
    assert_int_equal(
        lk_bridge_fuse(&there, own.data, foreign.data, query, NULL, &err),
        LINKD_OK);
    assert_memory_equal(query, own.data, sizeof(query));
    assert_int_equal(
        linkd_compat_map_apply(there.ranking.maps.home, &own, expected, &err),
        LINKD_OK);
    unit(expected);
    assert_int_equal(
        lk_bridge_rank(&there, own.data, foreign.data, query, &err), LINKD_OK);
    assert_memory_equal(query, expected, sizeof(query));
    there.ranking.weight = 1.0F;
    assert_int_equal(linkd_compat_map_apply(there.ranking.maps.map, &foreign,
                                            expected, &err),
                     LINKD_OK);
    unit(expected);
    assert_int_equal(
        lk_bridge_rank(&there, own.data, foreign.data, query, &err), LINKD_OK);
    assert_memory_equal(query, expected, sizeof(query));
    linkd_whitened_clear(&there.ranking.maps);
}

#define TEST(name)                                                             \
 cmocka_unit_test_setup_teardown(name, bridged_enter, scratch_store_leave)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_weight_of_0_or_1_is_one_side_alone),
    };

    return cmocka_run_group_tests(tests, bridged_group_enter,
                                  bridged_group_leave);
}
