/* tests/linkage/test_cluster.c — what the methods make of one chain, and
 * what limits make of them. */
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

/* ((1 2) 3): 1-3 was no candidate and counts 0, so the mean of 3 with 1 and 2 is
 * 0.4; 3-5 is better than that. */
static void average_linkage_asks_for_likeness_on_the_whole(void **state)
{
    static const size_t expected[N_ROWS] = {0, 1, 1, 2, 3, 2};
    static const size_t expected_low[N_ROWS] = {0, 1, 1, 1, 1, 1};
    lk_cluster_input low = input;
    size_t entities[N_ROWS];
    size_t n = 0;

    (void)state;
    assert_int_equal(
        lk_cluster(&input, LINKD_CLUSTER_AVERAGE, entities, &n, NULL),
        LINKD_OK);
    assert_int_equal(n, 4);
    assert_memory_equal(entities, expected, sizeof(expected));
    low.threshold = 0.1F;
    assert_int_equal(
        lk_cluster(&low, LINKD_CLUSTER_AVERAGE, entities, &n, NULL), LINKD_OK);
    assert_memory_equal(entities, expected_low, sizeof(expected_low));
}

static void average_linkage_takes_pairs_at_the_threshold(void **state)
{
    lk_cluster_input exact = input;
    size_t entities[N_ROWS];
    size_t n = 0;

    (void)state;
    exact.threshold = 0.9F;
    assert_int_equal(
        lk_cluster(&exact, LINKD_CLUSTER_AVERAGE, entities, &n, NULL),
        LINKD_OK);
    assert_int_equal(n, 5);
    assert_int_equal(entities[2], entities[1]);
}

static void average_linkage_needs_a_threshold_above_nothing(void **state)
{
    lk_cluster_input zero = input;
    size_t entities[N_ROWS];
    size_t n = 0;
    linkd_error err = {0};

    (void)state;
    zero.threshold = 0.0F;
    assert_int_equal(
        lk_cluster(&zero, LINKD_CLUSTER_AVERAGE, entities, &n, &err),
        LINKD_E_ARG);
    assert_string_equal(err.message,
                        "average linkage needs a threshold above 0");
}

/* 1-2 makes 1 a centre. 3-5 makes 3 one, and 2-3 then is between two entities.
 * With 0.6, 4 is like 5, which is no centre. */
static void centres_take_what_is_like_them_and_no_more(void **state)
{
    static const size_t expected[N_ROWS] = {0, 1, 1, 2, 3, 2};
    lk_cluster_input low = input;
    size_t entities[N_ROWS];
    size_t n = 0;

    (void)state;
    low.threshold = 0.5F;
    assert_int_equal(lk_cluster(&low, LINKD_CLUSTER_CENTRE, entities, &n, NULL),
                     LINKD_OK);
    assert_int_equal(n, 4);
    assert_memory_equal(entities, expected, sizeof(expected));
}

/* 2 is the higher row of its best pair, but joins as soon as 3, the centre of
 * 3-4, is paired with it; and 0 joins a centre above it. */
static void rows_join_centres_on_either_side(void **state)
{
    static const linkd_pair pairs[] = {
        {0, 3, 0.7F}, {1, 3, 0.6F}, {2, 3, 0.8F}, {3, 4, 0.9F}};
    static const size_t expected[] = {0, 0, 0, 0, 0};
    lk_cluster_input star = {
        .candidates = pairs, .n = 4, .n_rows = 5, .threshold = 0.5F};
    size_t entities[5];
    size_t n = 0;

    (void)state;
    assert_int_equal(
        lk_cluster(&star, LINKD_CLUSTER_CENTRE, entities, &n, NULL), LINKD_OK);
    assert_int_equal(n, 1);
    assert_memory_equal(entities, expected, sizeof(expected));
    star.limits.max_rows = 3;
    assert_int_equal(
        lk_cluster(&star, LINKD_CLUSTER_CENTRE, entities, &n, NULL), LINKD_OK);
    assert_int_equal(n, 3);
    assert_int_equal(entities[2], entities[3]);
    assert_int_equal(entities[3], entities[4]);
}

/* 1-2 and 3-5 are the better pairs, so 2-3 is the one that is left out. */
static void no_method_breaks_the_greatest_size(void **state)
{
    static const size_t expected[N_ROWS] = {0, 1, 1, 2, 3, 2};
    lk_cluster_input limited = input;
    size_t entities[N_ROWS];
    size_t n = 0;

    (void)state;
    limited.limits.max_rows = 3;
    for (linkd_cluster method = LINKD_CLUSTER_COMPONENTS;
         method <= LINKD_CLUSTER_CENTRE; method++) {
        assert_int_equal(lk_cluster(&limited, method, entities, &n, NULL),
                         LINKD_OK);
        assert_memory_equal(entities, expected, sizeof(expected));
    }
}

/* 1 and 2 are of one source, so their pair, the best of all, is none. */
static void no_method_takes_two_rows_of_one_source(void **state)
{
    static const uint32_t sources[N_ROWS] = {0, 1, 1, 2, 3, 4};
    lk_cluster_input limited = input;
    size_t entities[N_ROWS];
    size_t n = 0;

    (void)state;
    limited.limits =
        (lk_cluster_limits){.sources = sources, .n_sources = N_ROWS};
    for (linkd_cluster method = LINKD_CLUSTER_COMPONENTS;
         method <= LINKD_CLUSTER_CENTRE; method++) {
        assert_int_equal(lk_cluster(&limited, method, entities, &n, NULL),
                         LINKD_OK);
        assert_int_not_equal(entities[1], entities[2]);
        assert_int_equal(entities[3], entities[5]);
    }
}

static void memory_that_runs_out_is_reported(void **state)
{
    lk_cluster_input limited = input;
    size_t entities[N_ROWS];
    linkd_error err;
    size_t n;

    (void)state;
    limited.limits.max_rows = 4;
    for (linkd_cluster method = LINKD_CLUSTER_COMPONENTS;
         method <= LINKD_CLUSTER_CENTRE; method++)
        for (size_t nth = 1;; nth++) {
            int rc;

            alloc_fail_at(nth);
            rc = lk_cluster(&limited, method, entities, &n, &err);
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
        cmocka_unit_test(average_linkage_asks_for_likeness_on_the_whole),
        cmocka_unit_test(average_linkage_takes_pairs_at_the_threshold),
        cmocka_unit_test(average_linkage_needs_a_threshold_above_nothing),
        cmocka_unit_test(centres_take_what_is_like_them_and_no_more),
        cmocka_unit_test(rows_join_centres_on_either_side),
        cmocka_unit_test(no_method_breaks_the_greatest_size),
        cmocka_unit_test(no_method_takes_two_rows_of_one_source),
        cmocka_unit_test(without_candidates_every_row_is_alone),
        cmocka_unit_test(memory_that_runs_out_is_reported),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
