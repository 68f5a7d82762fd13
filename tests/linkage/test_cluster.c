/* tests/linkage/test_cluster.c — what the two methods make of one chain. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "linkage/cluster.h"
#include "tests/support/alloc_fail.h"

#define N_ROWS ((size_t)6)

/* 1 - 2 - 3 - 5 is a chain, whose ends have nothing in common; 0 and 4 are
 * alone, 4 because its only pair is below the threshold. */
static const linkd_pair chain[] = {
    {1, 2, 0.9F}, {2, 3, 0.8F}, {3, 5, 0.85F}, {4, 5, 0.6F}};

static float chain_score(const void *ctx, size_t a, size_t b)
{
    (void)ctx;
    for (size_t i = 0; i < sizeof(chain) / sizeof(chain[0]); i++)
        if ((chain[i].left == a && chain[i].right == b) ||
            (chain[i].left == b && chain[i].right == a))
            return chain[i].score;
    return 0.1F;
}

static const lk_cluster_input input = {.candidates = chain,
                                       .n = 4,
                                       .n_rows = N_ROWS,
                                       .threshold = 0.7F,
                                       .score = chain_score};

static void components_follow_a_chain_to_its_end(void **state)
{
    static const size_t expected[N_ROWS] = {0, 1, 1, 1, 2, 1};
    size_t entities[N_ROWS];
    size_t n = 0;

    (void)state;
    assert_int_equal(
        lk_cluster(&input, LINKD_CLUSTER_COMPONENTS, entities, &n, NULL),
        LINKD_OK);
    assert_int_equal(n, 3);
    assert_memory_equal(entities, expected, sizeof(expected));
}

static void complete_linkage_cuts_a_chain(void **state)
{
    static const size_t expected[N_ROWS] = {0, 1, 1, 2, 3, 2};
    size_t entities[N_ROWS];
    size_t n = 0;

    (void)state;
    assert_int_equal(
        lk_cluster(&input, LINKD_CLUSTER_COMPLETE, entities, &n, NULL),
        LINKD_OK);
    assert_int_equal(n, 4);
    assert_memory_equal(entities, expected, sizeof(expected));
}

static void without_candidates_every_row_is_alone(void **state)
{
    lk_cluster_input none = {.n_rows = 2, .score = chain_score};
    size_t entities[2];
    size_t n = 0;

    (void)state;
    assert_int_equal(
        lk_cluster(&none, LINKD_CLUSTER_COMPLETE, entities, &n, NULL),
        LINKD_OK);
    assert_int_equal(n, 2);
    assert_int_equal(entities[1], 1);
}

static void memory_that_runs_out_is_reported(void **state)
{
    size_t entities[N_ROWS];
    linkd_error err;
    size_t n;

    (void)state;
    for (linkd_cluster method = LINKD_CLUSTER_COMPONENTS;
         method <= LINKD_CLUSTER_COMPLETE; method++)
        for (size_t nth = 1;; nth++) {
            int rc;

            alloc_fail_at(nth);
            rc = lk_cluster(&input, method, entities, &n, &err);
            if (!alloc_fail_off())
                break;
            assert_int_equal(rc, LINKD_E_NOMEM);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(components_follow_a_chain_to_its_end),
        cmocka_unit_test(complete_linkage_cuts_a_chain),
        cmocka_unit_test(without_candidates_every_row_is_alone),
        cmocka_unit_test(memory_that_runs_out_is_reported),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
