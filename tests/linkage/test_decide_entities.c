/* tests/linkage/test_decide_entities.c — pairs with log-odds to entities. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "linkage/decision.h"
#include "tests/support/alloc_fail.h"

enum { N_ROWS = 8, N_PAIRS = 13 };

/* Two entities of four rows, all pairs of which are sure, and one weak pair
 * between them:  0 1 2 3 ═ 4 5 6 7, where 3-4 is more likely than not. */
static uint32_t of_a[N_PAIRS] = {0, 0, 0, 1, 1, 2, 3, 4, 4, 4, 5, 5, 6};
static uint32_t of_b[N_PAIRS] = {1, 2, 3, 2, 3, 3, 4, 5, 6, 7, 6, 7, 7};
static const float log_odds[N_PAIRS] = {6, 6, 6, 6, 6, 6, 1, 6, 6, 6, 6, 6, 6};
static const lk_pairset pairs = {.a = of_a,
                                 .b = of_b,
                                 .n = N_PAIRS,
                                 .n_records = N_ROWS,
                                 .n_left = N_ROWS,
                                 .within = true};

static void decide(const float *odds, float stop, const lk_entities_rule *rule,
                   const size_t expected[N_ROWS])
{
    size_t entities[N_ROWS];

    assert_int_equal(
        lk_decide_entities(&pairs, odds, stop, rule, entities, NULL), LINKD_OK);
    for (size_t i = 0; i < N_ROWS; i++)
        assert_int_equal(entities[i], expected[i]);
}

/* What dedup does if nobody says otherwise. */
static void one_weak_pair_merges_nothing_by_default(void **state)
{
    static const size_t apart[N_ROWS] = {0, 0, 0, 0, 1, 1, 1, 1};

    (void)state;
    decide(log_odds, 0.0F, NULL, apart);
}

static void a_chain_is_enough_for_components_alone(void **state)
{
    static const size_t apart[N_ROWS] = {0, 0, 0, 0, 1, 1, 1, 1};
    static const size_t whole[N_ROWS] = {0};
    lk_entities_rule rule = {.method = LINKD_CLUSTER_COMPONENTS};

    (void)state;
    decide(log_odds, 0.0F, &rule, whole);
    decide(log_odds, 1.5F, &rule, apart); /* above what 3-4 has */
    rule.method = LINKD_CLUSTER_COMPLETE;
    decide(log_odds, 0.0F, &rule, apart);
    rule.method = LINKD_CLUSTER_CENTRE;
    decide(log_odds, 0.0F, &rule, apart);
    rule.method = LINKD_CLUSTER_AVERAGE;
    decide(log_odds, 0.0F, &rule, apart);
}

/* 0-2 is compared and below the cut: the mean of 0-2 and 1-2 is above. */
static void complete_linkage_asks_for_every_pair(void **state)
{
    static const float doubtful[N_PAIRS] = {6, -1, 6, 6, 6, 6, -9,
                                            6, 6,  6, 6, 6, 6};
    static const size_t whole[N_ROWS] = {0, 0, 0, 0, 1, 1, 1, 1};
    static const size_t split[N_ROWS] = {0, 0, 1, 0, 2, 2, 2, 2};
    lk_entities_rule rule = {.method = LINKD_CLUSTER_COMPLETE};

    (void)state;
    decide(doubtful, 0.0F, NULL, whole);
    decide(doubtful, 0.0F, &rule, split);
}

static void limits_hold_with_every_method(void **state)
{
    static const uint32_t sources[N_ROWS] = {0, 1, 2, 0, 3, 4, 5, 6};

    (void)state;
    for (linkd_cluster method = LINKD_CLUSTER_COMPONENTS;
         method <= LINKD_CLUSTER_CENTRE; method++) {
        lk_entities_rule rule = {
            .method = method,
            .limits = {.max_rows = 3, .sources = sources, .n_sources = 7}};
        size_t entities[N_ROWS];
        size_t sizes[N_ROWS] = {0};

        assert_int_equal(
            lk_decide_entities(&pairs, log_odds, 0.0F, &rule, entities, NULL),
            LINKD_OK);
        assert_int_not_equal(entities[0], entities[3]);
        for (size_t i = 0; i < N_ROWS; i++)
            assert_true(++sizes[entities[i]] <= 3);
        assert_int_equal(sizes[entities[7]] + sizes[entities[4]] > 3, 1);
    }
}

static void memory_that_runs_out_is_reported(void **state)
{
    (void)state;
    for (linkd_cluster method = LINKD_CLUSTER_COMPONENTS;
         method <= LINKD_CLUSTER_CENTRE; method++) {
        lk_entities_rule rule = {.method = method, .limits = {.max_rows = 3}};
        size_t entities[N_ROWS];

        for (size_t nth = 1;; nth++) {
            int rc;

            alloc_fail_at(nth);
            rc = lk_decide_entities(&pairs, log_odds, 0.0F, &rule, entities,
                                    NULL);
            if (!alloc_fail_off())
                break;
            assert_int_equal(rc, LINKD_E_NOMEM);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_weak_pair_merges_nothing_by_default),
        cmocka_unit_test(a_chain_is_enough_for_components_alone),
        cmocka_unit_test(complete_linkage_asks_for_every_pair),
        cmocka_unit_test(limits_hold_with_every_method),
        cmocka_unit_test(memory_that_runs_out_is_reported),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
