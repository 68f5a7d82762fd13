/* tests/linkage/test_cluster_health.c — weakest links and bridges. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "linkage/linkage.h"
#include "tests/linkage/random.h"
#include "tests/support/alloc_fail.h"

/* Entity 0 is a triangle 0 1 2 and a pair 3 4, tied by 2-3 alone; entity 1 is
 * record 5; entity 2 is 6 7. 0-4 was compared, but is no link; 4-6 is between
 * entities. */
#define N_RECORDS ((size_t)8)
static const uint32_t a[] = {0, 2, 0, 3, 4, 4, 4, 6};
static const uint32_t b[] = {1, 1, 2, 2, 3, 0, 6, 7};
static const float log_odds[] = {5, 3, 4, 1, 6, -2, 2, 2};
static const size_t entities[N_RECORDS] = {0, 0, 0, 0, 0, 1, 2, 2};
static const linkd_edges edges = {a, b, log_odds, 8, N_RECORDS};

static void the_weakest_entity_comes_first_with_its_link(void **state)
{
    linkd_entity_health *health = NULL;
    size_t n = 0;

    (void)state;
    assert_int_equal(
        linkd_entities_check(&edges, entities, 3, 0.0F, &health, &n, NULL),
        LINKD_OK);
    assert_int_equal(n, 2);
    assert_int_equal(health[0].entity, 0);
    assert_int_equal(health[0].n_records, 5);
    assert_int_equal(health[0].n_compared, 6);
    assert_int_equal(health[0].n_links, 5);
    assert_int_equal(health[0].n_bridges, 2); /* 2-3 and 3-4 */
    assert_int_equal(health[0].a, 2);
    assert_int_equal(health[0].b, 3);
    assert_float_equal(health[0].weakest, 1.0F, 0.0F);
    assert_int_equal(health[0].n_smaller, 2);
    assert_float_equal(health[0].mean, 17.0F / 6.0F, 1e-6F);
    assert_int_equal(health[1].entity, 2);
    assert_int_equal(health[1].n_bridges, 1);
    assert_float_equal(health[1].weakest, 2.0F, 0.0F);
    free(health);
}

static void an_entity_that_its_links_do_not_reach_is_the_weakest(void **state)
{
    linkd_entity_health *health = NULL;
    size_t n = 0;

    (void)state;
    assert_int_equal(
        linkd_entities_check(&edges, entities, 3, 1.5F, &health, &n, NULL),
        LINKD_OK);
    assert_int_equal(health[0].entity, 0);
    assert_true(isinf(health[0].weakest));
    assert_int_equal(health[0].a, UINT32_MAX);
    assert_int_equal(health[0].n_smaller, 0);
    assert_int_equal(health[0].n_bridges, 1); /* 3-4 */
    free(health);
}

/* ---- bridges against a slow way ------------------------------------------ */

#define ROWS_MAX ((size_t)12)

typedef struct graph {
    uint32_t a[ROWS_MAX * ROWS_MAX];
    uint32_t b[ROWS_MAX * ROWS_MAX];
    float log_odds[ROWS_MAX * ROWS_MAX];
    size_t n;
} graph;

/* How many parts there are without one edge. */
static size_t parts_without(const graph *g, size_t without)
{
    size_t parts[ROWS_MAX];
    size_t n = ROWS_MAX;

    for (size_t i = 0; i < ROWS_MAX; i++)
        parts[i] = i;
    for (size_t e = 0; e < g->n; e++) {
        size_t from = parts[g->a[e]];
        size_t to = parts[g->b[e]];

        n -= e != without && from != to;
        for (size_t i = 0; i < ROWS_MAX && e != without; i++)
            parts[i] = parts[i] == from ? to : parts[i];
    }
    return n;
}

static void
bridges_are_the_links_without_which_there_are_more_parts(void **state)
{
    static const size_t one[ROWS_MAX] = {0};
    uint64_t random = 3;

    (void)state;
    for (size_t i = 0; i < 200; i++) {
        graph g = {.n = 0};
        linkd_entity_health *health = NULL;
        linkd_edges all = {g.a, g.b, g.log_odds, 0, ROWS_MAX};
        size_t expected = 0;
        size_t n = 0;

        for (uint32_t x = 0; x < ROWS_MAX; x++)
            for (uint32_t y = 0; y < x; y++)
                if (random_below(&random, 3 + i % 4) == 0) {
                    g.a[g.n] = x;
                    g.b[g.n] = y;
                    g.log_odds[g.n++] = random_score(&random);
                }
        for (size_t e = 0; e < g.n; e++)
            expected += parts_without(&g, e) > parts_without(&g, g.n);
        all.n = g.n;
        assert_int_equal(
            linkd_entities_check(&all, one, 1, 0.0F, &health, &n, NULL),
            LINKD_OK);
        assert_int_equal(health[0].n_bridges, expected);
        free(health);
    }
}

static void running_out_of_memory_is_an_error_at_every_step(void **state)
{
    (void)state;
    for (size_t nth = 1;; nth++) {
        linkd_entity_health *health = NULL;
        size_t n = 0;
        int rc;

        alloc_fail_at(nth);
        rc = linkd_entities_check(&edges, entities, 3, 0.0F, &health, &n, NULL);
        if (!alloc_fail_off()) {
            free(health);
            assert_true(nth > 10);
            return;
        }
        assert_int_equal(rc, LINKD_E_NOMEM);
        assert_null(health);
    }
}

static void more_pairs_than_can_be_counted_are_refused(void **state)
{
    linkd_edges many = {a, b, log_odds, UINT32_MAX, N_RECORDS};
    linkd_entity_health *health = NULL;
    size_t n = 0;
    linkd_error err = {0};

    (void)state;
    assert_int_equal(
        linkd_entities_check(&many, entities, 3, 0.0F, &health, &n, &err),
        LINKD_E_ARG);
    assert_string_equal(err.message, "too many pairs to check");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_weakest_entity_comes_first_with_its_link),
        cmocka_unit_test(an_entity_that_its_links_do_not_reach_is_the_weakest),
        cmocka_unit_test(
            bridges_are_the_links_without_which_there_are_more_parts),
        cmocka_unit_test(running_out_of_memory_is_an_error_at_every_step),
        cmocka_unit_test(more_pairs_than_can_be_counted_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
