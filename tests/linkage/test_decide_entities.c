/* tests/linkage/test_decide_entities.c — pairs with log-odds to entities. */
#include <math.h>
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

/* Three rows of which 0-1 is sure: the mean of the two others is -0.75, which
 * is a probability of 0.32. */
enum { N_TRIO = 3 };
static uint32_t trio_a[N_TRIO] = {0, 0, 1};
static uint32_t trio_b[N_TRIO] = {1, 2, 2};
static const lk_pairset trio = {.a = trio_a,
                                .b = trio_b,
                                .n = N_TRIO,
                                .n_records = N_TRIO,
                                .n_left = N_TRIO,
                                .within = true};

/* What is chosen from 0.5 on; ret_entities [N_TRIO]. */
static int trio_cut(float *odds, double n_unseen, lk_outcome *outcome,
                    size_t *ret_entities)
{
    static float posteriors[N_TRIO];

    for (size_t i = 0; i < N_TRIO; i++)
        posteriors[i] = 1.0F / (1.0F + expf(-odds[i]));
    *outcome = (lk_outcome){
        .log_odds = odds, .posteriors = posteriors, .threshold = 0.5};
    memcpy(ret_entities, (size_t[N_TRIO]){0, 0, 1},
           N_TRIO * sizeof(*ret_entities));
    lk_expected_of_entities(&trio, posteriors, ret_entities, n_unseen,
                            &outcome->verdict);
    return lk_decide_entities_cut(&trio, NULL, n_unseen, outcome, ret_entities,
                                  NULL);
}

static void a_lower_cut_is_taken_where_more_is_expected_of_it(void **state)
{
    float odds[N_TRIO] = {6.0F, 2.0F, -3.5F};
    size_t entities[N_TRIO];
    lk_outcome outcome;

    (void)state;
    assert_int_equal(trio_cut(odds, 1.0, &outcome, entities), LINKD_OK);
    assert_true(outcome.threshold == 0.3);
    assert_int_equal(entities[2], entities[0]);
    /* 1.907 of 3 accepted pairs, and of 2.907 matches */
    assert_true(fabs(outcome.verdict.precision - 0.636) < 0.001);
    assert_true(fabs(outcome.verdict.recall - 0.656) < 0.001);
    assert_true(fabs(outcome.verdict.n_unseen - 1.0) < 1e-9);
}

static void even_odds_stay_where_less_is_expected_below(void **state)
{
    float odds[N_TRIO] = {6.0F, 0.0F, -1.5F};
    size_t entities[N_TRIO];
    lk_outcome outcome;

    (void)state;
    assert_int_equal(trio_cut(odds, 0.0, &outcome, entities), LINKD_OK);
    assert_true(outcome.threshold == 0.5);
    assert_int_equal(entities[1], entities[0]);
    assert_int_not_equal(entities[2], entities[0]);
    assert_true(fabs(outcome.verdict.f1 - 0.744) < 0.001);
}

static void a_cut_without_memory_is_reported(void **state)
{
    float odds[N_TRIO] = {6.0F, 2.0F, -3.5F};
    size_t entities[N_TRIO];
    lk_outcome outcome;

    (void)state;
    for (size_t nth = 1;; nth++) {
        int rc;

        alloc_fail_at(nth);
        rc = trio_cut(odds, 0.0, &outcome, entities);
        if (!alloc_fail_off())
            break;
        assert_int_equal(rc, LINKD_E_NOMEM);
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
        cmocka_unit_test(a_lower_cut_is_taken_where_more_is_expected_of_it),
        cmocka_unit_test(even_odds_stay_where_less_is_expected_below),
        cmocka_unit_test(a_cut_without_memory_is_reported),
        cmocka_unit_test(memory_that_runs_out_is_reported),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
