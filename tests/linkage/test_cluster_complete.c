/* tests/linkage/test_cluster_complete.c — complete linkage by heap and lists
 * against complete linkage as one would write it down. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "linkage/cluster.h"
#include "tests/linkage/random.h"

#define ROWS_MAX  ((size_t)24)
#define N_INPUTS  ((size_t)400)
#define THRESHOLD 0.4F

typedef struct fixture {
    float scores[ROWS_MAX][ROWS_MAX];
    bool joined[ROWS_MAX][ROWS_MAX]; /* is a candidate */
    linkd_pair candidates[ROWS_MAX * ROWS_MAX];
    lk_cluster_input input;
} fixture;

static float fixture_score(const void *ctx, size_t a, size_t b)
{
    const fixture *f = ctx;

    return f->scores[a][b];
}

/* Every pair has a score; one in `sparsity` is a candidate. */
static void fixture_fill(fixture *f, uint64_t *random, size_t sparsity)
{
    size_t n_rows = 2 + random_below(random, ROWS_MAX - 1);
    size_t n = 0;

    memset(f->joined, 0, sizeof(f->joined));
    for (size_t a = 0; a < n_rows; a++)
        for (size_t b = a + 1; b < n_rows; b++) {
            float score = 0.3F + 0.7F * random_score(random);

            f->scores[a][b] = f->scores[b][a] = score;
            if (random_below(random, sparsity) > 0)
                continue;
            f->joined[a][b] = f->joined[b][a] = score >= THRESHOLD;
            f->candidates[n++] = (linkd_pair){a, b, score};
        }
    f->input = (lk_cluster_input){.candidates = f->candidates,
                                  .n = n,
                                  .n_rows = n_rows,
                                  .threshold = THRESHOLD,
                                  .score = fixture_score,
                                  .ctx = f};
}

/* The least score between two entities, or 0 if no candidate joins them. */
static float naive_score(const fixture *f, const size_t *entities, size_t x,
                         size_t y)
{
    float least = 1.0F;
    bool joined = false;

    for (size_t a = 0; a < f->input.n_rows; a++)
        for (size_t b = 0; b < f->input.n_rows; b++)
            if (entities[a] == x && entities[b] == y) {
                least = f->scores[a][b] < least ? f->scores[a][b] : least;
                joined = joined || f->joined[a][b];
            }
    return joined ? least : 0.0F;
}

/* Entities go by their lowest row. */
static void naive_cluster(const fixture *f, size_t *entities)
{
    size_t n = f->input.n_rows;

    for (size_t row = 0; row < n; row++)
        entities[row] = row;
    for (;;) {
        float best = 0.0F;
        size_t best_x = 0;
        size_t best_y = 0;

        for (size_t x = 0; x < n; x++)
            for (size_t y = x + 1; y < n; y++) {
                float score = naive_score(f, entities, x, y);

                if (score > best) {
                    best = score;
                    best_x = x;
                    best_y = y;
                }
            }
        if (best < THRESHOLD)
            return;
        for (size_t row = 0; row < n; row++)
            if (entities[row] == best_y)
                entities[row] = best_x;
    }
}

static void entities_are_those_of_the_naive_method(void **state)
{
    static fixture f;
    uint64_t random = 7;

    (void)state;
    for (size_t i = 0; i < N_INPUTS; i++) {
        size_t expected[ROWS_MAX];
        lk_disjoint sets;

        fixture_fill(&f, &random, 1 + i % 4);
        naive_cluster(&f, expected);
        assert_int_equal(lk_disjoint_init(&sets, f.input.n_rows, NULL),
                         LINKD_OK);
        assert_int_equal(lk_cluster_complete(&f.input, &sets, NULL), LINKD_OK);
        for (size_t row = 0; row < f.input.n_rows; row++)
            assert_int_equal(lk_disjoint_find(&sets, row), expected[row]);
        lk_disjoint_clear(&sets);
    }
}

/* 0-1 and 2-3 are merged first; 1-2 is a candidate, but 0-3 is not alike, and
 * 0-3 is no candidate: its score has to be asked for. */
static void pairs_that_are_no_candidates_count_too(void **state)
{
    static fixture f;
    lk_disjoint sets;

    (void)state;
    for (size_t a = 0; a < 4; a++)
        for (size_t b = 0; b < 4; b++)
            f.scores[a][b] = 0.8F;
    f.scores[0][3] = f.scores[3][0] = 0.3F;
    f.candidates[0] = (linkd_pair){0, 1, 0.9F};
    f.candidates[1] = (linkd_pair){1, 2, 0.8F};
    f.candidates[2] = (linkd_pair){2, 3, 0.9F};
    f.input = (lk_cluster_input){.candidates = f.candidates,
                                 .n = 3,
                                 .n_rows = 4,
                                 .threshold = THRESHOLD,
                                 .score = fixture_score,
                                 .ctx = &f};
    assert_int_equal(lk_disjoint_init(&sets, 4, NULL), LINKD_OK);
    assert_int_equal(lk_cluster_complete(&f.input, &sets, NULL), LINKD_OK);
    assert_int_equal(lk_disjoint_find(&sets, 1), 0);
    assert_int_equal(lk_disjoint_find(&sets, 2), 2);
    assert_int_equal(lk_disjoint_find(&sets, 3), 2);
    lk_disjoint_clear(&sets);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entities_are_those_of_the_naive_method),
        cmocka_unit_test(pairs_that_are_no_candidates_count_too),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
