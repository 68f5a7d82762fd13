/* tests/linkage/test_candidates.c — candidates of given vectors against a
 * search of all pairs. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "index/index.h"
#include "linkage/candidates.h"
#include "tests/linkage/random.h"
#include "tests/support/alloc_fail.h"

#define DIM     ((size_t)24)
#define N_LEFT  ((size_t)700) /* three tiles of queries */
#define N_RIGHT ((size_t)560)
#define N_MOST  N_LEFT
#define K       ((size_t)4)

typedef struct fixture {
    float left[N_LEFT * DIM];
    float right[N_RIGHT * DIM];
    char values[N_MOST][8]; /* of the blocks */
    linkd_str left_keys[N_LEFT];
    linkd_str right_keys[N_RIGHT];
    bool expected[N_LEFT][N_MOST];
    lk_side sides[2];
    lk_pool *pools[2]; /* of one and of two workers */
    lk_search_options options;
    linkd_error err;
} fixture;

static void unit_rows_fill(float *rows, size_t n, uint64_t *random)
{
    for (size_t i = 0; i < n; i++) {
        float *row = rows + i * DIM;
        double sum = 0.0;

        for (size_t j = 0; j < DIM; j++) {
            row[j] = (float)(int32_t)random_next(random);
            sum += (double)row[j] * (double)row[j];
        }
        for (size_t j = 0; j < DIM; j++)
            row[j] /= (float)sqrt(sum);
    }
}

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof(*f));
    uint64_t random = 3;

    assert_non_null(f);
    unit_rows_fill(f->left, N_LEFT, &random);
    unit_rows_fill(f->right, N_RIGHT, &random);
    f->sides[0] = (lk_side){.vectors = f->left, .n = N_LEFT};
    f->sides[1] = (lk_side){.vectors = f->right, .n = N_RIGHT};
    assert_int_equal(lk_pool_new(1, &f->pools[0], &f->err), LINKD_OK);
    assert_int_equal(lk_pool_new(2, &f->pools[1], &f->err), LINKD_OK);
    f->options = (lk_search_options){.dim = DIM, .k = K, .pool = f->pools[0]};
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;

    lk_pool_free(f->pools[1]);
    lk_pool_free(f->pools[0]);
    free(f);
    return 0;
}

/* Row i of either side gets the value `i mod n_blocks`, or none for block 0. */
static void blocks_set(fixture *f, size_t n_blocks)
{
    for (size_t i = 0; i < N_MOST; i++) {
        size_t value = i % n_blocks;

        (void)snprintf(f->values[i], sizeof(f->values[i]), "%zu", value);
        if (i < N_LEFT)
            f->left_keys[i] = (linkd_str){
                f->values[i], value == 0 ? 0 : strlen(f->values[i])};
        if (i < N_RIGHT)
            f->right_keys[i] = f->left_keys[i];
    }
    f->sides[0].keys = f->left_keys;
    f->sides[1].keys = f->right_keys;
}

static bool keys_allow(const lk_side *a, size_t i, const lk_side *b, size_t j)
{
    return a->keys == NULL ||
           (a->keys[i].len > 0 && a->keys[i].len == b->keys[j].len &&
            memcmp(a->keys[i].bytes, b->keys[j].bytes, a->keys[i].len) == 0);
}

/* Marks the k best `b` rows of row i of `a`. */
static void neighbours_mark(fixture *f, const lk_side *a, size_t i,
                            const lk_side *b, size_t k)
{
    bool used[N_MOST] = {false};

    for (size_t round = 0; round < k; round++) {
        float best = -INFINITY;
        size_t at = SIZE_MAX;

        for (size_t j = 0; j < b->n; j++) {
            float score = linkd_index_score(a->vectors + i * DIM,
                                            b->vectors + j * DIM, DIM);

            if (used[j] || (a == b && i == j) || score <= best ||
                !keys_allow(a, i, b, j))
                continue;
            best = score;
            at = j;
        }
        if (at == SIZE_MAX)
            return;
        used[at] = true;
        if (a == b ? at < i : a == &f->sides[1])
            f->expected[at][i] = true;
        else
            f->expected[i][at] = true;
    }
}

static void expected_mark(fixture *f, bool is_self)
{
    const lk_side *right = is_self ? &f->sides[0] : &f->sides[1];

    memset(f->expected, 0, sizeof(f->expected));
    for (size_t i = 0; i < N_LEFT; i++)
        neighbours_mark(f, &f->sides[0], i, right, f->options.k);
    for (size_t i = 0; i < N_RIGHT && !is_self; i++)
        neighbours_mark(f, right, i, &f->sides[0], f->options.k);
}

/* Candidates are exactly the expected pairs, in order, with their scores. */
static void assert_candidates(const fixture *f, const lk_side *right,
                              const lk_candidates *candidates)
{
    size_t at = 0;

    for (size_t i = 0; i < N_LEFT; i++)
        for (size_t j = 0; j < right->n; j++) {
            const linkd_pair *pair = &candidates->pairs[at];

            if (!f->expected[i][j])
                continue;
            assert_true(at < candidates->n);
            assert_int_equal(pair->left, i);
            assert_int_equal(pair->right, j);
            assert_float_equal(
                pair->score,
                lk_score_round(linkd_index_score(
                    f->left + i * DIM, right->vectors + j * DIM, DIM)),
                0.0F);
            at++;
        }
    assert_int_equal(at, candidates->n);
}

static void search_and_assert(fixture *f, const lk_side *right)
{
    expected_mark(f, right == NULL);
    for (size_t i = 0; i < 2; i++) {
        lk_candidates candidates = {0};

        f->options.pool = f->pools[i];
        assert_int_equal(lk_candidates_search(&f->sides[0], right, &f->options,
                                              &candidates, &f->err),
                         LINKD_OK);
        assert_candidates(f, right != NULL ? right : &f->sides[0], &candidates);
        lk_candidates_clear(&candidates);
    }
}

static void both_sides_ask_for_their_nearest(void **state)
{
    fixture *f = *state;

    search_and_assert(f, &f->sides[1]);
}

static void a_side_asks_itself_and_skips_the_row_that_asks(void **state)
{
    fixture *f = *state;

    search_and_assert(f, NULL);
}

/* Two blocks of 350 and 280 rows, too large to be searched in one piece, and
 * scattered over the sides. */
static void large_blocks_are_searched_apart(void **state)
{
    fixture *f = *state;

    blocks_set(f, 2);
    search_and_assert(f, &f->sides[1]);
    search_and_assert(f, NULL);
}

/* Also where equal rows lie in different shards and the tie is the lower's. */
static void shards_give_what_one_index_gives(void **state)
{
    fixture *f = *state;

    for (size_t i = 60; i < N_LEFT; i += 60)
        memcpy(f->left + i * DIM, f->left, DIM * sizeof(float));
    f->options.rows_per_shard = 50;
    search_and_assert(f, &f->sides[1]);
    search_and_assert(f, NULL);
    blocks_set(f, 2);
    search_and_assert(f, &f->sides[1]);
    search_and_assert(f, NULL);
}

static void small_blocks_are_searched_apart(void **state)
{
    fixture *f = *state;

    blocks_set(f, 90);
    search_and_assert(f, &f->sides[1]);
    search_and_assert(f, NULL);
}

/* More neighbours than there are rows in a block: all of them. */
static void a_block_gives_no_more_than_it_has(void **state)
{
    fixture *f = *state;

    blocks_set(f, 300);
    f->options.k = 1000;
    search_and_assert(f, &f->sides[1]);
}

static void an_empty_side_has_no_candidates(void **state)
{
    fixture *f = *state;
    lk_candidates candidates = {0};

    f->sides[1].n = 0;
    assert_int_equal(lk_candidates_search(&f->sides[0], &f->sides[1],
                                          &f->options, &candidates, &f->err),
                     LINKD_OK);
    assert_int_equal(candidates.n, 0);
    lk_candidates_clear(&candidates);
}

/* Equal rows: the one that asks need not be among its own first k + 1. */
static void a_row_among_equal_ones_is_not_its_own_neighbour(void **state)
{
    fixture *f = *state;
    lk_candidates candidates = {0};

    for (size_t i = 1; i < 20; i++)
        memcpy(f->left + i * DIM, f->left, DIM * sizeof(float));
    f->sides[0].n = 20;
    f->options.k = 2;
    assert_int_equal(lk_candidates_search(&f->sides[0], NULL, &f->options,
                                          &candidates, &f->err),
                     LINKD_OK);
    /* 0 and 1 with all the others, and 2 with nobody else */
    assert_int_equal(candidates.n, 1 + 18 + 18);
    for (size_t i = 0; i < candidates.n; i++)
        assert_true(candidates.pairs[i].left < 2);
    lk_candidates_clear(&candidates);
}

/* Which of the expected pairs are there, in their order. */
static size_t expected_count(const fixture *f, const lk_candidates *candidates)
{
    size_t n = 0;

    for (size_t i = 0; i < candidates->n; i++) {
        const linkd_pair *pair = &candidates->pairs[i];

        n += f->expected[pair->left][pair->right];
        if (i > 0)
            assert_true(
                pair->left > pair[-1].left ||
                (pair->left == pair[-1].left && pair->right > pair[-1].right));
    }
    return n;
}

static size_t pairs_count(const fixture *f)
{
    size_t n = 0;

    for (size_t i = 0; i < N_LEFT; i++)
        for (size_t j = 0; j < N_MOST; j++)
            n += f->expected[i][j];
    return n;
}

/* Through graphs nearly all of them come, the same on one worker and on two. */
static void graphs_assert(fixture *f, const lk_side *right)
{
    lk_candidates candidates[2] = {{0}, {0}};

    expected_mark(f, right == NULL);
    for (size_t i = 0; i < 2; i++) {
        f->options.pool = f->pools[i];
        assert_int_equal(lk_candidates_search(&f->sides[0], right, &f->options,
                                              &candidates[i], &f->err),
                         LINKD_OK);
    }
    assert_true((double)expected_count(f, &candidates[0]) >=
                0.95 * (double)pairs_count(f));
    assert_int_equal(candidates[0].n, candidates[1].n);
    for (size_t i = 0; i < candidates[0].n; i++) {
        const linkd_pair *one = &candidates[0].pairs[i];
        const linkd_pair *two = &candidates[1].pairs[i];

        assert_true(one->left == two->left && one->right == two->right &&
                    one->score == two->score);
    }
    lk_candidates_clear(&candidates[0]);
    lk_candidates_clear(&candidates[1]);
}

static void graphs_give_nearly_what_shards_give(void **state)
{
    fixture *f = *state;

    f->options.graph_rows = 300;
    graphs_assert(f, &f->sides[1]);
    graphs_assert(f, NULL);
    blocks_set(f, 2); /* scattered rows */
    graphs_assert(f, NULL);
}

typedef struct seen {
    uint64_t last;
    uint64_t total;
    uint64_t stop_at;
} seen;

static int progress_see(void *ctx, const char *step, uint64_t done,
                        uint64_t total)
{
    seen *s = ctx;

    assert_string_equal(step, "search");
    assert_true(done >= s->last);
    s->last = done;
    s->total = total;
    return done >= s->stop_at;
}

static void progress_counts_every_vector_that_asked(void **state)
{
    fixture *f = *state;
    seen s = {.stop_at = UINT64_MAX};
    linkd_progress progress = {progress_see, &s};
    lk_candidates candidates = {0};

    blocks_set(f, 3); /* a third of the rows has no value */
    f->options.progress = &progress;
    assert_int_equal(lk_candidates_search(&f->sides[0], &f->sides[1],
                                          &f->options, &candidates, &f->err),
                     LINKD_OK);
    assert_int_equal(s.total, 233 + 233 + 187 + 186);
    assert_int_equal(s.last, s.total);
    lk_candidates_clear(&candidates);
}

static void a_search_stops_when_told(void **state)
{
    fixture *f = *state;
    seen s = {.stop_at = 1};
    linkd_progress progress = {progress_see, &s};
    lk_candidates candidates = {0};

    f->options.progress = &progress;
    assert_int_equal(lk_candidates_search(&f->sides[0], &f->sides[1],
                                          &f->options, &candidates, &f->err),
                     LINKD_E_CANCELLED);
    assert_null(candidates.pairs);
}

static void scores_have_six_decimals_between_minus_one_and_one(void **state)
{
    (void)state;
    assert_true(lk_score_round(0.99999976F) == 1.0F);
    assert_true(lk_score_round(1.00000024F) == 1.0F);
    assert_true(lk_score_round(-1.0000002F) == -1.0F);
    assert_true(lk_score_round(1.5F) == 1.0F);
    assert_true(lk_score_round(0.63999963F) == 0.64F);
    assert_true(lk_score_round(0.63999945F) == 0.639999F);
    assert_true(lk_score_round(-0.1234564F) == -0.123456F);
}

static void every_allocation_fails(fixture *f)
{
    for (size_t nth = 1;; nth++) {
        lk_candidates candidates = {0};
        int rc;

        alloc_fail_at(nth);
        rc = lk_candidates_search(&f->sides[0], &f->sides[1], &f->options,
                                  &candidates, &f->err);
        if (!alloc_fail_off()) {
            lk_candidates_clear(&candidates);
            break;
        }
        assert_int_equal(rc, LINKD_E_NOMEM);
        assert_null(candidates.pairs);
    }
}

static void memory_that_runs_out_is_reported(void **state)
{
    fixture *f = *state;

    blocks_set(f, 2); /* large and scattered: every allocation there is */
    every_allocation_fails(f);
    f->sides[0].keys = NULL;
    f->sides[1].keys = NULL;
    f->sides[0].n = 300;
    f->sides[1].n = 20;
    f->options.graph_rows = 300;
    every_allocation_fails(f);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(both_sides_ask_for_their_nearest),
        TEST(a_side_asks_itself_and_skips_the_row_that_asks),
        TEST(large_blocks_are_searched_apart),
        TEST(shards_give_what_one_index_gives),
        TEST(graphs_give_nearly_what_shards_give),
        TEST(small_blocks_are_searched_apart),
        TEST(a_block_gives_no_more_than_it_has),
        TEST(an_empty_side_has_no_candidates),
        TEST(a_row_among_equal_ones_is_not_its_own_neighbour),
        TEST(progress_counts_every_vector_that_asked),
        TEST(a_search_stops_when_told),
        TEST(memory_that_runs_out_is_reported),
        cmocka_unit_test(scores_have_six_decimals_between_minus_one_and_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
