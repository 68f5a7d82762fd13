/* tests/linkage/test_boost.c — what two given trees say of pairs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "linkage/boost.h"
#include "tests/linkage/near.h"

#define N_FEATURES ((size_t)2)

/*   0: f0 <= 100?          5: f1 <= 50, missing left?
 *      1: -1    2: f1 <= 9?    6: 0.5   7: 4
 *               3: 2  4: 8                          */
static lk_boost_node nodes[] = {
    {.feature = 0, .below = 100, .left = 1, .right = 2},
    {.feature = LK_BOOST_LEAF, .value = -1},
    {.feature = 1, .below = 9, .left = 3, .right = 4, .value = 3},
    {.feature = LK_BOOST_LEAF, .value = 2},
    {.feature = LK_BOOST_LEAF, .value = 8},
    {.feature = 1, .below = 50, .missing_left = true, .left = 6, .right = 7},
    {.feature = LK_BOOST_LEAF, .value = 0.5F},
    {.feature = LK_BOOST_LEAF, .value = 4},
};
static uint32_t roots[] = {0, 5};
static const lk_boost model = {.nodes = nodes,
                               .n_nodes = 8,
                               .roots = roots,
                               .n_trees = 2,
                               .base = -3,
                               .n_features = N_FEATURES};

static void a_pair_gets_the_leaves_it_falls_into(void **state)
{
    static const uint8_t low[] = {100, 51}, high[] = {101, 9};
    static const uint8_t missing[] = {LK_FEATURE_MISSING, LK_FEATURE_MISSING};

    (void)state;
    assert_near(lk_boost_log_odds(&model, low), -3 - 1 + 4, 1e-12);
    assert_near(lk_boost_log_odds(&model, high), -3 + 2 + 0.5, 1e-12);
    assert_near(lk_boost_log_odds(&model, missing), -3 + 8 + 0.5, 1e-12);
}

static void a_feature_adds_what_its_splits_change(void **state)
{
    static const uint8_t high[] = {101, 9};
    double parts[N_FEATURES];

    (void)state;
    lk_boost_parts(&model, high, parts);
    assert_near(parts[0], 3, 1e-12);
    assert_near(parts[1], (2 - 3) + 0.5, 1e-12);
    assert_near(model.base + parts[0] + parts[1],
                lk_boost_log_odds(&model, high), 1e-12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pair_gets_the_leaves_it_falls_into),
        cmocka_unit_test(a_feature_adds_what_its_splits_change),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
