/* tests/linkage/test_matching.c — the posteriors against an enumeration of all
 * matchings.
 *
 * With six pairs the number of matches is held at three (its least value, and
 * half the pairs), so that the prior is known and one enumeration is the truth.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "linkage/matching.h"
#include "tests/linkage/random.h"
#include "tests/support/alloc_fail.h"

#define N_PAIRS   ((size_t)6)
#define N_MATCHES 3.0

typedef struct fixture {
    lk_pool *pool;
} fixture;

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof(*f));

    if (f == NULL || lk_pool_new(2, &f->pool, NULL) != LINKD_OK)
        return -1;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;

    lk_pool_free(f->pool);
    free(f);
    return 0;
}

/* A graph of six pairs, and whose posteriors are asked. */
typedef struct graph {
    uint32_t a[N_PAIRS];
    uint32_t b[N_PAIRS];
    float log_ratios[N_PAIRS];
    size_t n_records;
    size_t n_left;
    bool within;
} graph;

/* l0 - r4 - l1 - r5 - l2 - r6 - l3: no way round. */
static const graph path = {.a = {0, 1, 1, 2, 2, 3},
                           .b = {4, 4, 5, 5, 6, 6},
                           .log_ratios = {2.0F, 1.5F, 0.5F, 1.0F, -1.0F, 0.2F},
                           .n_records = 7,
                           .n_left = 4};

/* l0, l1, l2 and r3, r4 all know each other: loops of four. */
static const graph loops = {.a = {0, 0, 1, 1, 2, 2},
                            .b = {3, 4, 3, 4, 3, 4},
                            .log_ratios = {2.0F, 0.0F, 0.5F, 1.0F, -1.0F, 0.2F},
                            .n_records = 5,
                            .n_left = 3};

/* One table: a star around record 1, with a tail. */
static const graph star = {.a = {0, 1, 1, 1, 4, 5},
                           .b = {1, 2, 3, 4, 5, 6},
                           .log_ratios = {1.0F, 2.0F, 0.0F, 1.5F, 0.5F, -0.5F},
                           .n_records = 7,
                           .n_left = 7,
                           .within = true};

static double prior_odds(const graph *g, bool single_a, bool single_b)
{
    double n = (double)N_PAIRS;
    double m = N_MATCHES;
    double n_a = (double)g->n_left;
    double n_b = (double)(g->n_records - g->n_left);
    double free_a = fmax(n_a - m, 0.01 * n_a);
    double free_b = fmax(n_b - m, 0.01 * n_b);

    if (!single_a && !single_b)
        return m / (n - m);
    if (g->within) {
        double free_both = fmax(n_a - 2.0 * m, 0.01 * n_a);

        return m /
               (free_both * free_both / 2.0 * n / (n_a * (n_a - 1.0) / 2.0));
    }
    if (single_a && single_b)
        return m / (free_a * free_b * n / (n_a * n_b));
    if (single_a)
        return m / free_a / (n / n_a);
    return m / free_b / (n / n_b);
}

static bool is_allowed(const graph *g, size_t set, bool single_a, bool single_b)
{
    size_t degrees[8] = {0};

    for (size_t i = 0; i < N_PAIRS; i++) {
        if ((set >> i & 1) == 0)
            continue;
        if ((single_a && degrees[g->a[i]]++ > 0) ||
            (single_b && degrees[g->b[i]]++ > 0))
            return false;
    }
    return true;
}

static void enumerate(const graph *g, bool single_a, bool single_b,
                      double *ret_posteriors)
{
    double prior = prior_odds(g, single_a, single_b);
    double total = 0.0;

    memset(ret_posteriors, 0, N_PAIRS * sizeof(*ret_posteriors));
    for (size_t set = 0; set < (size_t)1 << N_PAIRS; set++) {
        double weight = 1.0;

        if (!is_allowed(g, set, single_a, single_b))
            continue;
        for (size_t i = 0; i < N_PAIRS; i++)
            if ((set >> i & 1) != 0)
                weight *= prior * exp((double)g->log_ratios[i]);
        total += weight;
        for (size_t i = 0; i < N_PAIRS; i++)
            if ((set >> i & 1) != 0)
                ret_posteriors[i] += weight;
    }
    for (size_t i = 0; i < N_PAIRS; i++)
        ret_posteriors[i] /= total;
}

/* Borrows the graph, casting const away as lk_pairset owns its arrays. */
static lk_pairset pairs_of(graph *g)
{
    return (lk_pairset){.a = g->a,
                        .b = g->b,
                        .n = N_PAIRS,
                        .n_records = g->n_records,
                        .n_left = g->n_left,
                        .within = g->within};
}

static void assert_near_enumeration(void **state, graph g,
                                    lk_multiplicity multiplicity,
                                    double tolerance)
{
    fixture *f = *state;
    bool single_a =
        multiplicity == LK_ONE_TO_ONE || multiplicity == LK_MANY_TO_ONE;
    bool single_b =
        multiplicity == LK_ONE_TO_ONE || multiplicity == LK_ONE_TO_MANY;
    lk_pairset pairs = pairs_of(&g);
    lk_matching matching = {0};
    double expected[N_PAIRS];
    double sum = 0.0;

    enumerate(&g, single_a, single_b, expected);
    assert_int_equal(lk_matching_infer(&pairs, g.log_ratios, multiplicity,
                                       N_MATCHES, f->pool, &matching, NULL),
                     LINKD_OK);
    for (size_t i = 0; i < N_PAIRS; i++) {
        assert_true(fabs((double)matching.posteriors[i] - expected[i]) <
                    tolerance);
        sum += (double)matching.posteriors[i];
    }
    assert_true(fabs(sum - matching.n_matches) < 1e-6);
    lk_matching_clear(&matching);
}

static void pairs_of_a_forest_get_exact_posteriors(void **state)
{
    assert_near_enumeration(state, path, LK_ONE_TO_ONE, 1e-5);
}

static void pairs_of_small_loops_get_close_posteriors(void **state)
{
    graph weak = loops;

    /* Every posterior is between .1 and .7 here; two records on one side for
     * three on the other is as loopy as it gets. */
    assert_near_enumeration(state, loops, LK_ONE_TO_ONE, 0.08);
    /* A pair without rivals in sight has nothing to be wrong about. */
    for (size_t i = 0; i < N_PAIRS; i++)
        weak.log_ratios[i] -= 12.0F;
    assert_near_enumeration(state, weak, LK_ONE_TO_ONE, 1e-3);
}

static void
records_of_one_table_have_one_partner_whatever_its_side(void **state)
{
    assert_near_enumeration(state, star, LK_ONE_TO_ONE, 1e-5);
}

/* On a side without competition there are no loops either. */
static void one_side_may_have_several_partners(void **state)
{
    assert_near_enumeration(state, path, LK_ONE_TO_MANY, 1e-6);
    assert_near_enumeration(state, path, LK_MANY_TO_ONE, 1e-6);
    assert_near_enumeration(state, loops, LK_ONE_TO_MANY, 1e-6);
    assert_near_enumeration(state, loops, LK_MANY_TO_ONE, 1e-6);
}

static void pairs_that_do_not_compete_keep_their_odds(void **state)
{
    assert_near_enumeration(state, loops, LK_MANY_TO_MANY, 1e-6);
    assert_near_enumeration(state, star, LK_MANY_TO_MANY, 1e-6);
}

static void hopeless_pairs_still_get_a_posterior(void **state)
{
    graph g = path;

    g.log_ratios[0] = -14.5F;
    g.log_ratios[5] = -14.5F;
    assert_near_enumeration(state, g, LK_ONE_TO_ONE, 1e-5);
    assert_near_enumeration(state, g, LK_ONE_TO_MANY, 1e-5);
}

/* ---- many pairs --------------------------------------------------------- */

enum {
    SIDE = 30000,
    RIVALS = 5, /* pairs of a record: its partner, if any, and others */
};

typedef struct crowd {
    lk_pairset pairs;
    float *log_ratios;
    size_t n_matches;
} crowd;

/* Two of three left records have a partner, which agrees clearly. */
static void crowd_make(crowd *c)
{
    size_t n = (size_t)SIDE * RIVALS;
    uint64_t random = 7;

    *c = (crowd){.pairs = {.n = n, .n_records = 2 * SIDE, .n_left = SIDE}};
    c->pairs.a = malloc(n * sizeof(*c->pairs.a));
    c->pairs.b = malloc(n * sizeof(*c->pairs.b));
    c->log_ratios = malloc(n * sizeof(*c->log_ratios));
    assert_true(c->pairs.a != NULL && c->pairs.b != NULL &&
                c->log_ratios != NULL);
    for (size_t i = 0; i < n; i++) {
        size_t a = i / RIVALS;
        size_t rival = i % RIVALS;
        bool match = rival == 0 && a % 3 != 0;

        c->pairs.a[i] = (uint32_t)a;
        c->pairs.b[i] = (uint32_t)(SIDE + (a + rival * 17) % SIDE);
        c->log_ratios[i] =
            (match ? 6.0F : -9.0F) + 4.0F * random_score(&random);
        c->n_matches += match;
    }
}

static void crowd_clear(crowd *c)
{
    free(c->pairs.a);
    free(c->pairs.b);
    free(c->log_ratios);
}

static void the_number_of_matches_is_found_from_a_wrong_start(void **state)
{
    fixture *f = *state;
    crowd c;

    crowd_make(&c);
    for (double start = 50.0; start < 100000.0; start *= 40.0) {
        lk_matching matching = {0};
        size_t n_right = 0;

        assert_int_equal(lk_matching_infer(&c.pairs, c.log_ratios,
                                           LK_ONE_TO_ONE, start, f->pool,
                                           &matching, NULL),
                         LINKD_OK);
        assert_true(fabs(matching.n_matches - (double)c.n_matches) <
                    0.02 * (double)c.n_matches);
        for (size_t i = 0; i < c.pairs.n; i++)
            n_right += (matching.posteriors[i] > 0.5F) ==
                       (i % RIVALS == 0 && i / RIVALS % 3 != 0);
        assert_true(n_right > c.pairs.n / 100 * 99);
        lk_matching_clear(&matching);
    }
    crowd_clear(&c);
}

static void any_number_of_workers_gives_the_same_bytes(void **state)
{
    fixture *f = *state;
    lk_pool *alone = NULL;
    crowd c;

    crowd_make(&c);
    assert_int_equal(lk_pool_new(1, &alone, NULL), LINKD_OK);
    for (int within = 0; within < 2; within++) {
        lk_matching one = {0};
        lk_matching two = {0};

        c.pairs.within = within != 0;
        c.pairs.n_left = within ? 2 * SIDE : SIDE;
        assert_int_equal(lk_matching_infer(&c.pairs, c.log_ratios,
                                           LK_ONE_TO_ONE, 900.0, alone, &one,
                                           NULL),
                         LINKD_OK);
        assert_int_equal(lk_matching_infer(&c.pairs, c.log_ratios,
                                           LK_ONE_TO_ONE, 900.0, f->pool, &two,
                                           NULL),
                         LINKD_OK);
        assert_memory_equal(one.posteriors, two.posteriors,
                            c.pairs.n * sizeof(*one.posteriors));
        assert_memory_equal(&one.n_matches, &two.n_matches, sizeof(double));
        lk_matching_clear(&one);
        lk_matching_clear(&two);
    }
    lk_pool_free(alone);
    crowd_clear(&c);
}

static void no_pairs_are_no_matches(void **state)
{
    fixture *f = *state;
    lk_pairset none = {.n_records = 3, .n_left = 1};
    lk_matching matching = {.n_matches = 7.0};

    assert_int_equal(lk_matching_infer(&none, NULL, LK_ONE_TO_ONE, 1.0, f->pool,
                                       &matching, NULL),
                     LINKD_OK);
    assert_true(matching.n_matches == 0.0);
    lk_matching_clear(&matching);
}

static void memory_that_runs_out_is_reported(void **state)
{
    fixture *f = *state;
    graph g = path;
    lk_pairset pairs = pairs_of(&g);

    for (size_t nth = 1;; nth++) {
        lk_matching matching = {0};
        linkd_error err = {0};
        int rc;

        alloc_fail_at(nth);
        rc = lk_matching_infer(&pairs, g.log_ratios, LK_ONE_TO_ONE, N_MATCHES,
                               f->pool, &matching, &err);
        if (!alloc_fail_off()) {
            assert_int_equal(rc, LINKD_OK);
            assert_true(nth > 5);
            lk_matching_clear(&matching);
            return;
        }
        assert_int_equal(rc, LINKD_E_NOMEM);
        assert_string_equal(err.message, "out of memory");
        assert_null(matching.posteriors);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pairs_of_a_forest_get_exact_posteriors),
        cmocka_unit_test(pairs_of_small_loops_get_close_posteriors),
        cmocka_unit_test(
            records_of_one_table_have_one_partner_whatever_its_side),
        cmocka_unit_test(one_side_may_have_several_partners),
        cmocka_unit_test(pairs_that_do_not_compete_keep_their_odds),
        cmocka_unit_test(hopeless_pairs_still_get_a_posterior),
        cmocka_unit_test(the_number_of_matches_is_found_from_a_wrong_start),
        cmocka_unit_test(any_number_of_workers_gives_the_same_bytes),
        cmocka_unit_test(no_pairs_are_no_matches),
        cmocka_unit_test(memory_that_runs_out_is_reported),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
