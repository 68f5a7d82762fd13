/* tests/index/test_graph.c — a graph over borrowed vectors finds nearly all that
 * exact search finds, with the same scores. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "index/index.h"
#include "tests/index/clusters.h"
#include "tests/support/alloc_fail.h"

#define DIM       ((size_t)24)
#define N         ((size_t)4000)
#define N_QUERIES ((size_t)100)
#define K         ((size_t)10)
#define WIDTH     ((size_t)64)

typedef struct fixture {
    float vectors[N * DIM];
    float queries[N_QUERIES * DIM];
    size_t rows[N / 2];
    linkd_hit exact[N_QUERIES * K];
    linkd_hit found[N_QUERIES * K];
    linkd_graph *graph;
    linkd_error err;
} fixture;

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    clusters_fill(f->vectors, N, DIM, 1);
    clusters_fill(f->queries, N_QUERIES, DIM, 2);
    for (size_t i = 0; i < N / 2; i++)
        f->rows[i] = 2 * i + 1;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;

    linkd_graph_free(f->graph);
    free(f);
    return 0;
}

static void exact_search(fixture *f, const float *vectors, size_t n)
{
    linkd_index *index = NULL;

    assert_int_equal(linkd_index_new(DIM, &index, &f->err), LINKD_OK);
    assert_int_equal(linkd_index_add(index, vectors, n, &f->err), LINKD_OK);
    assert_int_equal(
        linkd_index_search(index, f->queries, N_QUERIES, K, f->exact, &f->err),
        LINKD_OK);
    linkd_index_free(index);
}

static void graph_build(fixture *f, const size_t *rows, size_t n)
{
    assert_int_equal(
        linkd_graph_new(f->vectors, rows, n, DIM, &f->graph, &f->err),
        LINKD_OK);
    for (size_t i = 0; i < n; i += 700)
        assert_int_equal(linkd_graph_grow(f->graph, 700, &f->err), LINKD_OK);
    assert_int_equal(linkd_graph_count(f->graph), n);
}

static void graph_search(fixture *f, size_t width)
{
    assert_int_equal(linkd_graph_search(f->graph, f->queries, N_QUERIES, K,
                                        width, f->found, &f->err),
                     LINKD_OK);
}

/* Of the ten nearest of each query; what is found has the exact score. */
static double recall_measure(const fixture *f)
{
    size_t n = 0;

    for (size_t q = 0; q < N_QUERIES; q++)
        for (size_t i = 0; i < K; i++)
            for (size_t j = 0; j < K; j++)
                if (f->found[q * K + j].id == f->exact[q * K + i].id) {
                    n++;
                    assert_float_equal(f->found[q * K + j].score,
                                       f->exact[q * K + i].score, 0.0F);
                }
    return (double)n / (double)(N_QUERIES * K);
}

static void it_finds_nineteen_of_twenty(void **state)
{
    fixture *f = *state;

    exact_search(f, f->vectors, N);
    graph_build(f, NULL, N);
    graph_search(f, WIDTH);
    assert_true(recall_measure(f) >= 0.95);
}

static void a_wider_search_finds_more(void **state)
{
    fixture *f = *state;
    double narrow;

    exact_search(f, f->vectors, N);
    graph_build(f, NULL, N);
    graph_search(f, 16);
    narrow = recall_measure(f);
    graph_search(f, 256);
    assert_true(recall_measure(f) > narrow);
}

static void hits_come_best_first_and_of_equals_the_lower(void **state)
{
    fixture *f = *state;

    for (size_t i = 100; i < N; i += 100)
        memcpy(f->vectors + i * DIM, f->vectors, DIM * sizeof(float));
    memcpy(f->queries, f->vectors, DIM * sizeof(float));
    graph_build(f, NULL, N);
    graph_search(f, WIDTH);
    for (size_t i = 0; i < N_QUERIES * K; i++) {
        const linkd_hit *hit = &f->found[i];

        if (i % K > 0)
            assert_true(hit->score < hit[-1].score ||
                        (hit->score == hit[-1].score && hit->id > hit[-1].id));
    }
    assert_true(f->found[0].score > 0.9999F);
}

/* A block among others: only its rows are in the graph, by their own numbers. */
static void scattered_rows_are_numbered_from_zero(void **state)
{
    fixture *f = *state;
    float *odd = calloc(N / 2 * DIM, sizeof(*odd));

    assert_non_null(odd);
    for (size_t i = 0; i < N / 2; i++)
        memcpy(odd + i * DIM, f->vectors + f->rows[i] * DIM,
               DIM * sizeof(*odd));
    exact_search(f, odd, N / 2);
    free(odd);
    graph_build(f, f->rows, N / 2);
    graph_search(f, WIDTH);
    assert_true(recall_measure(f) >= 0.95);
}

static void two_graphs_of_the_same_rows_answer_alike(void **state)
{
    fixture *f = *state;

    graph_build(f, NULL, N);
    graph_search(f, 16);
    memcpy(f->exact, f->found, sizeof(f->exact));
    linkd_graph_free(f->graph);
    graph_build(f, NULL, N);
    graph_search(f, 16);
    assert_true(recall_measure(f) == 1.0);
}

static void a_graph_with_too_few_rows_fills_up_with_none(void **state)
{
    fixture *f = *state;

    graph_build(f, NULL, 3);
    graph_search(f, WIDTH);
    assert_true(f->found[2].id != LINKD_ID_NONE);
    assert_true(f->found[3].id == LINKD_ID_NONE);
    linkd_graph_free(f->graph);
    graph_build(f, NULL, 0);
    graph_search(f, WIDTH);
    assert_true(f->found[0].id == LINKD_ID_NONE);
}

static void a_search_narrower_than_its_answer_is_refused(void **state)
{
    fixture *f = *state;

    graph_build(f, NULL, 100);
    assert_int_equal(linkd_graph_search(f->graph, f->queries, 1, K, K - 1,
                                        f->found, &f->err),
                     LINKD_E_ARG);
    assert_string_equal(f->err.message,
                        "10 neighbours cannot be chosen from 9 candidates");
    assert_int_equal(linkd_graph_search(f->graph, f->queries, 1, 0, WIDTH,
                                        f->found, &f->err),
                     LINKD_E_ARG);
}

static void out_of_memory_is_reported(void **state)
{
    fixture *f = *state;
    int rc = LINKD_OK;

    for (size_t n = 1;; n++) {
        alloc_fail_at(n);
        rc = linkd_graph_new(f->vectors, NULL, 300, DIM, &f->graph, &f->err);
        if (rc == LINKD_OK)
            rc = linkd_graph_grow(f->graph, 300, &f->err);
        if (rc == LINKD_OK)
            rc = linkd_graph_search(f->graph, f->queries, 1, K, WIDTH, f->found,
                                    &f->err);
        if (!alloc_fail_off())
            break;
        assert_int_equal(rc, LINKD_E_NOMEM);
        linkd_graph_free(f->graph);
        f->graph = NULL;
    }
    assert_int_equal(rc, LINKD_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(it_finds_nineteen_of_twenty, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_wider_search_finds_more, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            hits_come_best_first_and_of_equals_the_lower, setup, teardown),
        cmocka_unit_test_setup_teardown(scattered_rows_are_numbered_from_zero,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(
            two_graphs_of_the_same_rows_answer_alike, setup, teardown),
        cmocka_unit_test_setup_teardown(
            a_graph_with_too_few_rows_fills_up_with_none, setup, teardown),
        cmocka_unit_test_setup_teardown(
            a_search_narrower_than_its_answer_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(out_of_memory_is_reported, setup,
                                        teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
