/* tests/index/test_ann.c — approximate answers are near enough to the exact
 * ones, and wider searches nearer. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>

#include "index/ann.h"
#include "tests/index/clusters.h"
#include "tests/support/alloc_fail.h"

#define DIM       ((size_t)24)
#define N         ((size_t)4000)
#define N_QUERIES ((size_t)100)
#define K         ((size_t)10)
#define ASKED_MAX ((size_t)256)

typedef struct fixture {
    float vectors[N * DIM];
    float queries[N_QUERIES * DIM];
    linkd_hit exact[N_QUERIES * K];
    lk_ann *ann;
    linkd_error err;
} fixture;

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof(*f));
    linkd_index *index = NULL;

    assert_non_null(f);
    clusters_fill(f->vectors, N, DIM, 1);
    clusters_fill(f->queries, N_QUERIES, DIM, 2);
    assert_int_equal(linkd_index_new(DIM, &index, &f->err), LINKD_OK);
    assert_int_equal(linkd_index_add(index, f->vectors, N, &f->err), LINKD_OK);
    assert_int_equal(
        linkd_index_search(index, f->queries, N_QUERIES, K, f->exact, &f->err),
        LINKD_OK);
    linkd_index_free(index);
    lk_ann_set_threads(1);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;

    lk_ann_free(f->ann);
    free(f);
    return 0;
}

static void ann_build(fixture *f, const char *factory)
{
    assert_int_equal(lk_ann_new(factory, DIM, &f->ann, &f->err), LINKD_OK);
    assert_int_equal(lk_ann_train(f->ann, f->vectors, N, &f->err), LINKD_OK);
    for (size_t i = 0; i < N; i += 1000)
        assert_int_equal(
            lk_ann_add(f->ann, f->vectors + i * DIM, 1000, &f->err), LINKD_OK);
}

static size_t hits_found(const fixture *f, size_t query, size_t n_asked)
{
    float scores[ASKED_MAX];
    int64_t positions[ASKED_MAX];
    size_t n_found = 0;
    linkd_error err;

    assert_int_equal(lk_ann_search(f->ann, f->queries + query * DIM, n_asked,
                                   scores, positions, &err),
                     LINKD_OK);
    for (size_t i = 0; i < K; i++) {
        for (size_t j = 0; j < n_asked; j++)
            n_found += positions[j] == (int64_t)f->exact[query * K + i].id;
    }
    return n_found;
}

static size_t all_found(const fixture *f, size_t n_asked)
{
    size_t n_found = 0;

    for (size_t i = 0; i < N_QUERIES; i++)
        n_found += hits_found(f, i, n_asked);
    return n_found;
}

/* Of the ten nearest of each query. */
static double recall_measure(const fixture *f, size_t n_asked)
{
    return (double)all_found(f, n_asked) / (double)(N_QUERIES * K);
}

static void a_graph_finds_nineteen_of_twenty(void **state)
{
    fixture *f = *state;

    ann_build(f, "HNSW32,SQ8_direct");
    assert_int_equal(lk_ann_count(f->ann), N);
    assert_true(recall_measure(f, 64) >= 0.95);
}

static void lists_find_nineteen_of_twenty(void **state)
{
    fixture *f = *state;

    ann_build(f, "IVF64,SQ8");
    assert_true(recall_measure(f, 64) >= 0.95);
}

/* As FAISS makes a graph, k alone does not make it look further: asking for 256
 * would find what asking for 16 finds. */
static void asking_for_more_searches_wider(void **state)
{
    fixture *f = *state;
    float scores[ASKED_MAX];
    int64_t narrow[16], wide[ASKED_MAX];
    size_t n_new = 0;

    ann_build(f, "HNSW4,SQ8_direct");
    assert_true(recall_measure(f, ASKED_MAX) > recall_measure(f, 16) + 0.02);
    assert_int_equal(
        lk_ann_search(f->ann, f->queries, 16, scores, narrow, &f->err),
        LINKD_OK);
    assert_int_equal(
        lk_ann_search(f->ann, f->queries, ASKED_MAX, scores, wide, &f->err),
        LINKD_OK);
    for (size_t i = 0; i < ASKED_MAX; i++)
        n_new += wide[i] >= 0;
    assert_int_equal(n_new, ASKED_MAX);
}

static void what_is_not_there_is_position_minus_one(void **state)
{
    fixture *f = *state;
    float scores[8];
    int64_t positions[8];

    assert_int_equal(lk_ann_new("HNSW32,SQ8_direct", DIM, &f->ann, &f->err),
                     LINKD_OK);
    assert_int_equal(lk_ann_train(f->ann, f->vectors, 100, &f->err), LINKD_OK);
    assert_int_equal(lk_ann_add(f->ann, f->vectors, 3, &f->err), LINKD_OK);
    assert_int_equal(
        lk_ann_search(f->ann, f->vectors + DIM, 8, scores, positions, &f->err),
        LINKD_OK);
    assert_int_equal(positions[0], 1);
    for (size_t i = 3; i < 8; i++)
        assert_int_equal(positions[i], -1);
}

typedef struct searcher {
    const fixture *f;
    size_t n_asked;
    size_t n_found;
} searcher;

static void *searcher_main(void *arg)
{
    searcher *s = arg;

    for (size_t i = 0; i < N_QUERIES; i++)
        s->n_found += hits_found(s->f, i, s->n_asked);
    return NULL;
}

/* How wide one of them is must not depend on the others. */
static void searches_of_any_width_run_at_once(void **state)
{
    fixture *f = *state;
    static const size_t asked[4] = {16, 200, 16, 64};
    searcher searchers[4];
    pthread_t threads[4];

    ann_build(f, "HNSW8,SQ8_direct");
    for (size_t i = 0; i < 4; i++) {
        searchers[i] = (searcher){.f = f, .n_asked = asked[i]};
        assert_int_equal(
            pthread_create(&threads[i], NULL, searcher_main, &searchers[i]), 0);
    }
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(searchers[i].n_found, all_found(f, asked[i]));
}

static void an_unknown_kind_is_refused(void **state)
{
    fixture *f = *state;

    static const char *unknown[] = {"HNSW32,SQ8",       "HNSW,SQ8_direct",
                                    "HNSW0,SQ8_direct", "HNSW8,SQ8_direct,x",
                                    "HNSW32,XY",        "Flat"};

    for (size_t i = 0; i < sizeof(unknown) / sizeof(*unknown); i++)
        assert_int_equal(lk_ann_new(unknown[i], DIM, &f->ann, &f->err),
                         LINKD_E_ARG);
    assert_int_equal(lk_ann_new("HNSW32,SQ8_direct", 0, &f->ann, &f->err),
                     LINKD_E_ARG);
    assert_int_equal(
        lk_ann_new("HNSW32,SQ8_direct", LINKD_DIM_MAX + 1, &f->ann, &f->err),
        LINKD_E_ARG);
    assert_null(f->ann);
}

static void steps_out_of_order_are_refused(void **state)
{
    fixture *f = *state;
    float score;
    int64_t position;

    assert_int_equal(lk_ann_new("HNSW32,SQ8_direct", DIM, &f->ann, &f->err),
                     LINKD_OK);
    assert_int_equal(lk_ann_add(f->ann, f->vectors, 1, &f->err), LINKD_E_ARG);
    assert_int_equal(lk_ann_train(f->ann, f->vectors, 0, &f->err), LINKD_E_ARG);
    assert_int_equal(
        lk_ann_search(f->ann, f->queries, 0, &score, &position, &f->err),
        LINKD_E_ARG);
}

static void answers_survive_a_file(void **state)
{
    fixture *f = *state;
    FILE *file = tmpfile();
    size_t before;

    assert_non_null(file);
    ann_build(f, "HNSW32,SQ8_direct");
    before = all_found(f, 32);
    assert_int_equal(lk_ann_write(f->ann, file, &f->err), LINKD_OK);
    lk_ann_free(f->ann);
    f->ann = NULL;
    rewind(file);
    assert_int_equal(lk_ann_read(file, DIM, &f->ann, &f->err), LINKD_OK);
    assert_int_equal(lk_ann_count(f->ann), N);
    assert_int_equal(all_found(f, 32), before);

    rewind(file);
    lk_ann_free(f->ann);
    f->ann = NULL;
    assert_int_equal(lk_ann_read(file, 2 * DIM, &f->ann, &f->err),
                     LINKD_E_DATA);
    assert_null(f->ann);
    (void)fclose(file);
}

/* Writes the index and reads it back with another range in front. */
static int ann_read_as(fixture *f, size_t dim, float range)
{
    FILE *file = tmpfile();
    int rc;

    assert_non_null(file);
    assert_int_equal(lk_ann_write(f->ann, file, &f->err), LINKD_OK);
    rewind(file);
    assert_int_equal(fwrite(&range, sizeof(range), 1, file), 1);
    rewind(file);
    lk_ann_free(f->ann);
    f->ann = NULL;
    rc = lk_ann_read(file, dim, &f->ann, &f->err);
    (void)fclose(file);
    return rc;
}

/* A graph has a range, lists have none: it tells which of them follows. */
static void an_index_of_the_other_kind_is_refused(void **state)
{
    fixture *f = *state;
    size_t dim = 32; /* nothing to pad, or the lengths would differ */

    assert_int_equal(lk_ann_new("HNSW4,SQ8_direct", dim, &f->ann, &f->err),
                     LINKD_OK);
    assert_int_equal(ann_read_as(f, dim, 0.0F), LINKD_E_DATA);
    assert_string_equal(f->err.message, "the index is not one of lists");
    assert_int_equal(lk_ann_new("IVF4,SQ8", dim, &f->ann, &f->err), LINKD_OK);
    assert_int_equal(lk_ann_train(f->ann, f->vectors, 256, &f->err), LINKD_OK);
    assert_int_equal(ann_read_as(f, dim, 1.0F), LINKD_E_DATA);
    assert_string_equal(f->err.message, "the index is not a graph of bytes");
    assert_null(f->ann);
}

/* A byte that wraps around would put what is farthest out on the other side. */
static void what_is_beyond_the_range_counts_as_its_end(void **state)
{
    fixture *f = *state;
    float narrow[DIM];
    float range = 0.0F;

    for (size_t i = 0; i < N * DIM; i++)
        range = fmaxf(range, fabsf(f->vectors[i]));
    for (size_t i = 0; i < DIM; i++)
        narrow[i] = 0.6F * range;
    assert_int_equal(lk_ann_new("HNSW32,SQ8_direct", DIM, &f->ann, &f->err),
                     LINKD_OK);
    assert_int_equal(lk_ann_train(f->ann, narrow, 1, &f->err), LINKD_OK);
    assert_int_equal(lk_ann_add(f->ann, f->vectors, N, &f->err), LINKD_OK);
    assert_true(recall_measure(f, 64) >= 0.95);
}

/* FAISS's own allocations are not routed through the counter. */
static void memory_that_runs_out_is_reported(void **state)
{
    fixture *f = *state;

    for (size_t n = 1;; n++) {
        int rc;

        alloc_fail_at(n);
        rc = lk_ann_new("HNSW32,SQ8_direct", DIM, &f->ann, &f->err);
        if (!alloc_fail_off()) {
            assert_int_equal(rc, LINKD_OK);
            assert_true(n > 1);
            break;
        }
        assert_int_equal(rc, LINKD_E_NOMEM);
        assert_null(f->ann);
    }
}

static void memory_that_runs_out_leaves_the_index_as_it_was(void **state)
{
    fixture *f = *state;
    float scores[16];
    int64_t positions[16];

    ann_build(f, "HNSW8,SQ8_direct");
    for (size_t n = 1; n <= 2; n++) {
        alloc_fail_at(n);
        assert_int_equal(lk_ann_add(f->ann, f->vectors, 1, &f->err),
                         LINKD_E_NOMEM);
        assert_true(alloc_fail_off());
        alloc_fail_at(n);
        assert_int_equal(
            lk_ann_search(f->ann, f->queries, 16, scores, positions, &f->err),
            LINKD_E_NOMEM);
        assert_true(alloc_fail_off());
    }
    assert_int_equal(lk_ann_count(f->ann), N);
    assert_true(recall_measure(f, 64) >= 0.9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(a_graph_finds_nineteen_of_twenty),
        TEST(lists_find_nineteen_of_twenty),
        TEST(asking_for_more_searches_wider),
        TEST(what_is_not_there_is_position_minus_one),
        TEST(searches_of_any_width_run_at_once),
        TEST(an_unknown_kind_is_refused),
        TEST(steps_out_of_order_are_refused),
        TEST(answers_survive_a_file),
        TEST(an_index_of_the_other_kind_is_refused),
        TEST(what_is_beyond_the_range_counts_as_its_end),
        TEST(memory_that_runs_out_is_reported),
        TEST(memory_that_runs_out_leaves_the_index_as_it_was),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
