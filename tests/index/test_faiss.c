/* tests/index/test_faiss.c — the index against a search that anybody can read,
 * and the promise that hits depend on the query alone. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "index/index.h"
#include "tests/support/alloc_fail.h"

#define DIM       ((size_t)100) /* not a multiple of the 16 partial sums */
#define N         ((size_t)1500)
#define N_QUERIES ((size_t)500)
#define K         ((size_t)10)

typedef struct fixture {
    linkd_index *index;
    float vectors[N * DIM];
    float queries[N_QUERIES * DIM];
    linkd_hit hits[N_QUERIES * K];
    linkd_error err;
} fixture;

static uint64_t random_state;

static float random_next(void)
{
    random_state = random_state * 6364136223846793005U + 1442695040888963407U;
    return (float)(int32_t)(random_state >> 32) / 2147483648.0F;
}

static void unit_rows_fill(float *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        double sum = 0.0;
        float *row = rows + i * DIM;

        for (size_t j = 0; j < DIM; j++) {
            row[j] = random_next();
            sum += (double)row[j] * (double)row[j];
        }
        for (size_t j = 0; j < DIM; j++)
            row[j] /= (float)sqrt(sum);
    }
}

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    random_state = 20261124;
    unit_rows_fill(f->vectors, N);
    unit_rows_fill(f->queries, N_QUERIES);
    assert_int_equal(linkd_index_new(DIM, &f->index, &f->err), LINKD_OK);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;

    linkd_index_free(f->index);
    free(f);
    return 0;
}

static void vectors_add(fixture *f)
{
    assert_int_equal(linkd_index_add(f->index, f->vectors, N, &f->err),
                     LINKD_OK);
}

/* The k first of all vectors by (score descending, id), one at a time. */
static void naive_search(const float *vectors, size_t n, const float *query,
                         linkd_hit *ret_hits, size_t k)
{
    linkd_hit last = {.score = INFINITY};

    for (size_t i = 0; i < k; i++) {
        linkd_hit best = {.id = LINKD_ID_NONE, .score = -INFINITY};

        for (size_t id = 0; id < n; id++) {
            float score = linkd_index_score(query, vectors + id * DIM, DIM);
            int after = i == 0 || score < last.score ||
                        (score == last.score && id > last.id);

            if (after && score > best.score)
                best = (linkd_hit){.id = id, .score = score};
        }
        ret_hits[i] = last = best;
    }
}

static void assert_hits_equal(const linkd_hit *a, const linkd_hit *b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(a[i].id, b[i].id);
        assert_memory_equal(&a[i].score, &b[i].score, sizeof(a[i].score));
    }
}

static void a_score_is_the_inner_product(void **state)
{
    fixture *f = *state;

    for (size_t dim = 1; dim <= DIM; dim++) {
        double expected = 0.0;

        for (size_t j = 0; j < dim; j++)
            expected += (double)f->vectors[j] * (double)f->queries[j];
        assert_float_equal(linkd_index_score(f->vectors, f->queries, dim),
                           expected, 1e-6);
    }
}

/* The order of additions is part of the promise: 1 + 2^-24 rounds to 1, so
 * lanes 0 and 8 must meet before lane 0 meets the big number in lane 4. */
static void a_score_adds_sixteen_lanes_in_a_tree(void **state)
{
    float a[16] = {0};
    float ones[16];

    (void)state;
    for (size_t i = 0; i < 16; i++)
        ones[i] = 1.0F;
    a[0] = 0x1p-24F;
    a[8] = 0x1p-24F;
    a[4] = 1.0F;

    assert_float_equal(linkd_index_score(a, ones, 16), 1.0F + 0x1p-23F, 0.0F);
}

static void hits_are_those_of_a_naive_search(void **state)
{
    fixture *f = *state;
    linkd_hit expected[K];

    vectors_add(f);
    assert_int_equal(linkd_index_search(f->index, f->queries, N_QUERIES, K,
                                        f->hits, &f->err),
                     LINKD_OK);
    for (size_t i = 0; i < N_QUERIES; i++) {
        naive_search(f->vectors, N, f->queries + i * DIM, expected, K);
        assert_hits_equal(f->hits + i * K, expected, K);
    }
}

/* FAISS takes another way for one query than for many; nobody may notice. */
static void a_query_gets_the_same_hits_alone_and_among_others(void **state)
{
    fixture *f = *state;
    linkd_hit alone[K];

    vectors_add(f);
    assert_int_equal(linkd_index_search(f->index, f->queries, N_QUERIES, K,
                                        f->hits, &f->err),
                     LINKD_OK);
    for (size_t i = 0; i < N_QUERIES; i++) {
        assert_int_equal(linkd_index_search(f->index, f->queries + i * DIM, 1,
                                            K, alone, &f->err),
                         LINKD_OK);
        assert_hits_equal(f->hits + i * K, alone, K);
    }
}

/* More equal vectors than FAISS is asked for: only a scan finds the lowest
 * ids, and FAISS by itself would return any of them. */
static void equal_scores_are_ordered_by_id(void **state)
{
    fixture *f = *state;

    for (size_t id = 300; id < 400; id++)
        memcpy(f->vectors + id * DIM, f->queries, DIM * sizeof(float));
    /* nearer than those, but found after them */
    for (size_t j = 0; j < DIM; j++)
        f->vectors[900 * DIM + j] = 2.0F * f->queries[j];
    vectors_add(f);
    assert_int_equal(
        linkd_index_search(f->index, f->queries, 1, K, f->hits, &f->err),
        LINKD_OK);
    assert_int_equal(f->hits[0].id, 900);
    for (size_t i = 1; i < K; i++)
        assert_int_equal(f->hits[i].id, 299 + i);
}

static void vectors_are_numbered_on_by_later_additions(void **state)
{
    fixture *f = *state;

    vectors_add(f);
    assert_int_equal(linkd_index_add(f->index, f->queries, 3, &f->err),
                     LINKD_OK);
    assert_int_equal(linkd_index_search(f->index, f->queries + 2 * DIM, 1, 1,
                                        f->hits, &f->err),
                     LINKD_OK);
    assert_int_equal(f->hits[0].id, N + 2);
    assert_float_equal(f->hits[0].score, 1.0F, 1e-6F);
}

static void a_short_row_is_filled_with_no_id(void **state)
{
    fixture *f = *state;

    assert_int_equal(linkd_index_add(f->index, f->vectors, 2, &f->err),
                     LINKD_OK);
    assert_int_equal(
        linkd_index_search(f->index, f->queries, 2, 4, f->hits, &f->err),
        LINKD_OK);
    for (size_t i = 0; i < 2; i++) {
        assert_true(f->hits[i * 4 + 1].id < 2);
        assert_true(f->hits[i * 4 + 2].id == LINKD_ID_NONE);
        assert_true(f->hits[i * 4 + 3].id == LINKD_ID_NONE);
        assert_float_equal(f->hits[i * 4 + 3].score, 0.0F, 0.0F);
    }
}

static void an_empty_index_finds_nothing(void **state)
{
    fixture *f = *state;

    assert_int_equal(
        linkd_index_search(f->index, f->queries, 1, 2, f->hits, &f->err),
        LINKD_OK);
    assert_true(f->hits[0].id == LINKD_ID_NONE);
    assert_true(f->hits[1].id == LINKD_ID_NONE);
}

static void a_query_that_is_not_finite_changes_nothing(void **state)
{
    fixture *f = *state;

    vectors_add(f);
    f->queries[DIM + 7] = INFINITY;
    f->hits[0] = (linkd_hit){.id = 42, .score = 0.5F};

    assert_int_equal(
        linkd_index_search(f->index, f->queries, 2, 1, f->hits, &f->err),
        LINKD_E_ARG);
    assert_string_equal(f->err.message, "query 1 is not finite");
    assert_int_equal(f->hits[0].id, 42);
}

static void a_vector_that_is_not_finite_adds_nothing(void **state)
{
    fixture *f = *state;

    f->vectors[3 * DIM] = NAN;
    assert_int_equal(linkd_index_add(f->index, f->vectors, N, &f->err),
                     LINKD_E_ARG);
    assert_string_equal(f->err.message, "vector 3 is not finite");
    assert_int_equal(
        linkd_index_search(f->index, f->queries, 1, 1, f->hits, &f->err),
        LINKD_OK);
    assert_true(f->hits[0].id == LINKD_ID_NONE);
}

static void sizes_of_zero_are_refused(void **state)
{
    fixture *f = *state;
    linkd_index *index = NULL;

    assert_int_equal(
        linkd_index_search(f->index, f->queries, 1, 0, f->hits, &f->err),
        LINKD_E_ARG);
    assert_string_equal(f->err.message, "a search for 0 neighbours");
    assert_int_equal(linkd_index_new(0, &index, &f->err), LINKD_E_ARG);
    assert_string_equal(f->err.message,
                        "vectors of length 0 cannot be searched");
    assert_null(index);
}

static int item_search(void *ctx, size_t item, size_t worker, linkd_error *err)
{
    fixture *f = ctx;

    (void)worker;
    return linkd_index_search(f->index, f->queries + item * DIM, 1, K,
                              f->hits + item * K, err);
}

static void several_threads_find_what_one_finds(void **state)
{
    fixture *f = *state;
    linkd_hit *expected = malloc(sizeof(f->hits));
    lk_pool *pool = NULL;

    assert_non_null(expected);
    vectors_add(f);
    assert_int_equal(linkd_index_search(f->index, f->queries, N_QUERIES, K,
                                        expected, &f->err),
                     LINKD_OK);
    assert_int_equal(lk_pool_new(4, &pool, &f->err), LINKD_OK);
    assert_int_equal(lk_pool_run(pool, N_QUERIES, item_search, f, &f->err),
                     LINKD_OK);
    assert_hits_equal(f->hits, expected, N_QUERIES * K);
    lk_pool_free(pool);
    free(expected);
}

static void memory_that_runs_out_is_reported(void **state)
{
    fixture *f = *state;
    bool failed = true;

    for (size_t nth = 1; failed; nth++) {
        linkd_index *index = NULL;
        int rc;

        alloc_fail_at(nth);
        rc = linkd_index_new(DIM, &index, &f->err);
        if (rc == LINKD_OK)
            rc = linkd_index_add(index, f->vectors, N, &f->err);
        if (rc == LINKD_OK)
            rc = linkd_index_search(index, f->queries, 1, K, f->hits, &f->err);
        failed = alloc_fail_off();
        assert_int_equal(rc, failed ? LINKD_E_NOMEM : LINKD_OK);
        linkd_index_free(index);
    }
    assert_true(f->hits[K - 1].id < N);
}

static void the_library_is_named_with_its_version(void **state)
{
    (void)state;
    assert_memory_equal(linkd_index_library(), "faiss 1.", 8);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_score_is_the_inner_product),
        TEST(a_score_adds_sixteen_lanes_in_a_tree),
        TEST(hits_are_those_of_a_naive_search),
        TEST(a_query_gets_the_same_hits_alone_and_among_others),
        TEST(equal_scores_are_ordered_by_id),
        TEST(vectors_are_numbered_on_by_later_additions),
        TEST(a_short_row_is_filled_with_no_id),
        TEST(an_empty_index_finds_nothing),
        TEST(a_query_that_is_not_finite_changes_nothing),
        TEST(a_vector_that_is_not_finite_adds_nothing),
        TEST(sizes_of_zero_are_refused),
        TEST(several_threads_find_what_one_finds),
        TEST(memory_that_runs_out_is_reported),
        TEST(the_library_is_named_with_its_version),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
