/* tests/linkage/test_cluster_average.c — average linkage on sparse log-odds
 * against average linkage as one would write it down. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "linkage/cluster.h"
#include "tests/linkage/random.h"
#include "tests/support/alloc_fail.h"

#define ROWS_MAX  ((size_t)24)
#define EDGES_MAX (ROWS_MAX * ROWS_MAX)
#define N_INPUTS  ((size_t)900)
#define MISSING   (-3.0)

typedef struct fixture {
    double values[ROWS_MAX][ROWS_MAX];
    uint32_t a[EDGES_MAX];
    uint32_t b[EDGES_MAX];
    float log_odds[EDGES_MAX];
    uint32_t sources[ROWS_MAX];
    linkd_edges edges;
    lk_average_options options;
} fixture;

static void fixture_add(fixture *f, size_t a, size_t b, float log_odds)
{
    size_t n = f->edges.n++;

    f->a[n] = (uint32_t)a;
    f->b[n] = (uint32_t)b;
    f->log_odds[n] = log_odds;
    f->values[a][b] = f->values[b][a] = (double)log_odds;
}

static void fixture_init(fixture *f, size_t n_records)
{
    for (size_t a = 0; a < ROWS_MAX; a++)
        for (size_t b = 0; b < ROWS_MAX; b++)
            f->values[a][b] = MISSING;
    f->edges = (linkd_edges){f->a, f->b, f->log_odds, 0, n_records};
    f->options = (lk_average_options)LK_AVERAGE_OPTIONS_INIT;
}

/* Eighths, so that sums are exact and ties are many; one pair in `sparsity` is
 * compared, the later row first in some. */
static void fixture_fill(fixture *f, uint64_t *random, size_t sparsity)
{
    fixture_init(f, 2 + random_below(random, ROWS_MAX - 1));
    for (size_t a = 0; a < f->edges.n_records; a++)
        for (size_t b = a + 1; b < f->edges.n_records; b++) {
            float value = (float)random_below(random, 64) / 8.0F - 3.5F;
            bool swapped = random_below(random, 2) == 0;

            if (random_below(random, sparsity) == 0)
                fixture_add(f, swapped ? b : a, swapped ? a : b, value);
        }
}

/* ---- the naive method ---------------------------------------------------- */

static double naive_mean(const fixture *f, const size_t *entities, size_t x,
                         size_t y)
{
    double sum = 0.0;
    double n = 0.0;

    for (size_t a = 0; a < f->edges.n_records; a++)
        for (size_t b = 0; b < f->edges.n_records; b++)
            if (entities[a] == x && entities[b] == y) {
                sum += f->values[a][b];
                n += 1.0;
            }
    return n > 0.0 ? sum / n : -(double)INFINITY;
}

static bool naive_may_unite(const fixture *f, const size_t *entities, size_t x,
                            size_t y)
{
    const lk_cluster_limits *limits = &f->options.limits;
    size_t n = 0;

    for (size_t a = 0; a < f->edges.n_records; a++) {
        if (entities[a] != x && entities[a] != y)
            continue;
        n++;
        for (size_t b = 0; b < a; b++)
            if (limits->sources != NULL &&
                (entities[b] == x || entities[b] == y) &&
                limits->sources[a] == limits->sources[b])
                return false;
    }
    return limits->max_rows == 0 || n <= limits->max_rows;
}

static bool naive_merge(const fixture *f, size_t *entities)
{
    double best = (double)f->options.stop;
    size_t best_x = 0;
    size_t best_y = 0;

    for (size_t x = 0; x < f->edges.n_records; x++)
        for (size_t y = x + 1; y < f->edges.n_records; y++) {
            double mean = naive_mean(f, entities, x, y);

            if (mean > best && naive_may_unite(f, entities, x, y)) {
                best = mean;
                best_x = x;
                best_y = y;
            }
        }
    for (size_t row = 0; row < f->edges.n_records && best_x != best_y; row++)
        if (entities[row] == best_y)
            entities[row] = best_x;
    return best_x != best_y;
}

/* Entities go by their lowest row. */
static void naive_cluster(const fixture *f, size_t *entities)
{
    for (size_t row = 0; row < f->edges.n_records; row++)
        entities[row] = row;
    while (naive_merge(f, entities)) {
    }
}

static void assert_as_naive(const fixture *f)
{
    size_t expected[ROWS_MAX];
    lk_disjoint sets;

    naive_cluster(f, expected);
    assert_int_equal(lk_disjoint_init(&sets, f->edges.n_records, NULL),
                     LINKD_OK);
    assert_int_equal(
        lk_cluster_average_unite(&f->edges, &f->options, &sets, NULL),
        LINKD_OK);
    for (size_t row = 0; row < f->edges.n_records; row++)
        assert_int_equal(lk_disjoint_find(&sets, row), expected[row]);
    lk_disjoint_clear(&sets);
}

/* ---- tests --------------------------------------------------------------- */

static void entities_are_those_of_the_naive_method(void **state)
{
    static fixture f;
    uint64_t random = 11;

    (void)state;
    for (size_t i = 0; i < N_INPUTS; i++) {
        fixture_fill(&f, &random, 1 + i % 4);
        f.options.stop = i % 3 == 0 ? -1.0F : 0.0F;
        assert_as_naive(&f);
    }
}

static void limits_are_those_of_the_naive_method(void **state)
{
    static fixture f;
    uint64_t random = 12;

    (void)state;
    for (size_t i = 0; i < N_INPUTS; i++) {
        fixture_fill(&f, &random, 1 + i % 3);
        for (size_t row = 0; row < f.edges.n_records; row++)
            f.sources[row] = (uint32_t)random_below(&random, 5);
        if (i % 3 != 0)
            f.options.limits.max_rows = 2 + i % 4;
        if (i % 3 != 1) {
            f.options.limits.sources = f.sources;
            f.options.limits.n_sources = 5;
        }
        assert_as_naive(&f);
    }
}

static void assert_entities(const fixture *f, const size_t *expected)
{
    size_t entities[ROWS_MAX];
    size_t n = 0;

    assert_int_equal(
        lk_cluster_average(&f->edges, &f->options, entities, &n, NULL),
        LINKD_OK);
    for (size_t row = 0; row < f->edges.n_records; row++)
        assert_int_equal(entities[row], expected[row]);
}

/* 0-1 and 2-3 are sure. Then 1-2 with 2 is all that joins them: with three
 * pairs that were never compared the mean is (2 - 9) / 4. */
static void one_good_pair_does_not_glue_two_entities(void **state)
{
    static fixture f;

    (void)state;
    fixture_init(&f, 4);
    fixture_add(&f, 0, 1, 5.0F);
    fixture_add(&f, 2, 3, 5.0F);
    fixture_add(&f, 1, 2, 2.0F);
    assert_entities(&f, (const size_t[]){0, 0, 1, 1});
    f.options.stop = -1.76F;
    assert_entities(&f, (const size_t[]){0, 0, 0, 0});
    f.options.missing = 0.0F;
    f.options.stop = 0.0F;
    assert_entities(&f, (const size_t[]){0, 0, 0, 0});
}

static void a_mean_that_equals_the_stop_does_not_merge(void **state)
{
    static fixture f;

    (void)state;
    fixture_init(&f, 2);
    fixture_add(&f, 1, 0, 0.0F);
    assert_entities(&f, (const size_t[]){0, 1});
}

static void no_pairs_and_no_records_are_no_error(void **state)
{
    static fixture f;

    (void)state;
    fixture_init(&f, 3);
    assert_entities(&f, (const size_t[]){0, 1, 2});
    fixture_init(&f, 0);
    assert_entities(&f, NULL);
}

static void assert_refused(const fixture *f, const char *message)
{
    size_t entities[ROWS_MAX];
    size_t n = 77;
    linkd_error err = {0};

    assert_int_equal(
        lk_cluster_average(&f->edges, &f->options, entities, &n, &err),
        LINKD_E_ARG);
    assert_string_equal(err.message, message);
    assert_int_equal(n, 77);
}

static void pairs_that_make_no_sense_are_refused(void **state)
{
    static fixture f;

    (void)state;
    fixture_init(&f, 3);
    fixture_add(&f, 0, 1, 1.0F);
    fixture_add(&f, 2, 2, 1.0F);
    assert_refused(&f, "pair 1 is not of two records");
    f.b[1] = 3;
    assert_refused(&f, "pair 1 is not of two records");
    f.b[1] = 1;
    f.log_odds[1] = NAN;
    assert_refused(&f, "the log-odds of pair 1 are not finite");
    f.options.missing = 0.5F;
    assert_refused(&f, "log-odds of pairs that were never compared must not be "
                       "above those at which merging stops");
    f.options.missing = 0.0F;
    f.edges.n = UINT32_MAX;
    assert_refused(&f, "too many pairs to cluster");
}

static void running_out_of_memory_is_an_error_at_every_step(void **state)
{
    static fixture f;
    uint64_t random = 13;
    size_t entities[ROWS_MAX];

    (void)state;
    fixture_fill(&f, &random, 1);
    f.options.limits.max_rows = 3;
    for (size_t nth = 1;; nth++) {
        size_t n = 0;
        int rc;

        alloc_fail_at(nth);
        rc = lk_cluster_average(&f.edges, &f.options, entities, &n, NULL);
        if (!alloc_fail_off()) {
            assert_int_equal(rc, LINKD_OK);
            assert_true(nth > 10);
            return;
        }
        assert_int_equal(rc, LINKD_E_NOMEM);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entities_are_those_of_the_naive_method),
        cmocka_unit_test(limits_are_those_of_the_naive_method),
        cmocka_unit_test(one_good_pair_does_not_glue_two_entities),
        cmocka_unit_test(a_mean_that_equals_the_stop_does_not_merge),
        cmocka_unit_test(no_pairs_and_no_records_are_no_error),
        cmocka_unit_test(pairs_that_make_no_sense_are_refused),
        cmocka_unit_test(running_out_of_memory_is_an_error_at_every_step),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
