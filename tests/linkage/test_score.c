/* tests/linkage/test_score.c — cosines of named pairs and of all, with an
 * encoder whose vectors count letter pairs. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "linkage/linkage.h"
#include "tests/linkage/fake_encoder.h"
#include "tests/linkage/scratch.h"
#include "tests/support/alloc_fail.h"

typedef struct fixture {
    linkd_table *left, *right;
    linkd_encoder encoder;
    lk_pool *pool;
    linkd_column_pair columns[1];
    linkd_score_options options;
    linkd_score_stats stats;
    linkd_pair seen[64];
    size_t n_seen;
    size_t n_calls;
    linkd_error err;
} fixture;

static linkd_table *table_read(const char *name, const char *text)
{
    linkd_table *table = NULL;

    scratch_write_text(name, text);
    assert_int_equal(
        linkd_table_read(name, LINKD_FORMAT_CSV, "id", NULL, &table, NULL),
        LINKD_OK);
    return table;
}

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    f->left = table_read("left.csv", "id,name\n"
                                     "0,observatory\n"
                                     "1,\n"
                                     "2,bakery miller\n");
    f->right = table_read("right.csv", "id,name\n"
                                       "0,bakery miller\n"
                                       "1,garden gnome\n"
                                       "2,bakery millers\n"
                                       "3,???\n");
    assert_int_equal(lk_pool_new(1, &f->pool, &f->err), LINKD_OK);
    f->columns[0] = (linkd_column_pair){1, 1, 1};
    f->options = (linkd_score_options){
        .columns = f->columns, .n_columns = 1, .least = -1.0F};
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;

    lk_pool_free(f->pool);
    free(f->encoder.texts);
    linkd_table_free(f->left);
    linkd_table_free(f->right);
    free(f);
    return 0;
}

static int seen_cb(void *ctx, const linkd_pair *pairs, size_t n,
                   linkd_error *err)
{
    fixture *f = ctx;

    (void)err;
    assert_true(f->n_seen + n <= 64);
    memcpy(f->seen + f->n_seen, pairs, n * sizeof(*pairs));
    f->n_seen += n;
    f->n_calls++;
    return LINKD_OK;
}

static int run_all(fixture *f, const linkd_table *right)
{
    linkd_encoder_embedder storage = {&f->encoder, f->pool};
    linkd_embedder embedder = linkd_embedder_of_encoder(&storage);

    f->n_seen = 0;
    f->n_calls = 0;
    return linkd_score_all(f->left, right, &embedder, f->pool, &f->options,
                           NULL, seen_cb, f, &f->stats, &f->err);
}

static int run_pairs(fixture *f, const linkd_table *right, linkd_pair *pairs,
                     size_t n)
{
    linkd_encoder_embedder storage = {&f->encoder, f->pool};
    linkd_embedder embedder = linkd_embedder_of_encoder(&storage);

    return linkd_score_pairs(f->left, right, &embedder, &f->options, NULL,
                             pairs, n, &f->stats, &f->err);
}

static void named_pairs_get_their_cosines_in_any_order(void **state)
{
    fixture *f = *state;
    linkd_pair pairs[] = {{2, 2, 9}, {0, 1, 9}, {2, 0, 9}, {2, 2, 9}};

    assert_int_equal(run_pairs(f, f->right, pairs, 4), LINKD_OK);
    assert_float_equal(pairs[2].score, 1.0F, 0.0F);
    assert_true(pairs[0].score > 0.9F && pairs[0].score < 1.0F);
    assert_true(pairs[1].score < 0.5F);
    assert_float_equal(pairs[3].score, pairs[0].score, 0.0F);
    assert_int_equal(pairs[0].left, 2);
    assert_int_equal(f->stats.n_scored, 4);
}

/* A million rows need not be encoded for the sake of a thousand pairs. */
static void only_rows_in_a_pair_are_encoded(void **state)
{
    fixture *f = *state;
    linkd_pair pairs[] = {{2, 1, 0}};

    assert_int_equal(run_pairs(f, f->right, pairs, 1), LINKD_OK);
    assert_string_equal(f->encoder.texts, "bakery miller\ngarden gnome\n");
    assert_int_equal(f->stats.encode.n_texts, 2);
    assert_int_equal(f->stats.n_empty[0], 0);
}

/* The empty text has a vector, which is near to all other empty ones: a score
 * would say that two rows without a name are the same. */
static void a_pair_with_an_empty_row_has_no_score(void **state)
{
    fixture *f = *state;
    linkd_pair pairs[] = {{1, 0, 0}, {2, 3, 0}, {1, 3, 0}, {2, 0, 0}};

    assert_int_equal(run_pairs(f, f->right, pairs, 4), LINKD_OK);
    for (size_t i = 0; i < 3; i++)
        assert_true(isnan(pairs[i].score));
    assert_float_equal(pairs[3].score, 1.0F, 0.0F);
    assert_int_equal(f->stats.n_scored, 1);
    assert_int_equal(f->stats.n_empty[0], 1);
    assert_int_equal(f->stats.n_empty[1], 1);
}

static void pairs_of_one_table_are_scored_too(void **state)
{
    fixture *f = *state;
    linkd_pair pairs[] = {{2, 0, 0}, {0, 0, 0}};

    assert_int_equal(run_pairs(f, NULL, pairs, 2), LINKD_OK);
    assert_true(pairs[0].score < 0.5F);
    assert_float_equal(pairs[1].score, 1.0F, 0.0F);
}

static void all_pairs_come_by_left_row_then_right_row(void **state)
{
    static const size_t expected[][2] = {{0, 0}, {0, 1}, {0, 2},
                                         {2, 0}, {2, 1}, {2, 2}};
    fixture *f = *state;

    assert_int_equal(run_all(f, f->right), LINKD_OK);
    assert_int_equal(f->n_seen, 6);
    assert_int_equal(f->n_calls, 2);
    for (size_t i = 0; i < 6; i++) {
        linkd_pair pair = {expected[i][0], expected[i][1], 0};

        assert_int_equal(f->seen[i].left, pair.left);
        assert_int_equal(f->seen[i].right, pair.right);
        assert_int_equal(run_pairs(f, f->right, &pair, 1), LINKD_OK);
        assert_float_equal(f->seen[i].score, pair.score, 0.0F);
    }
    assert_int_equal(run_all(f, f->right), LINKD_OK);
    assert_int_equal(f->stats.n_empty[0], 1);
    assert_int_equal(f->stats.n_empty[1], 1);
    assert_int_equal(f->stats.n_scored, 6);
}

static void only_scores_from_the_least_on_are_told(void **state)
{
    fixture *f = *state;

    f->options.least = 0.9F;
    assert_int_equal(run_all(f, f->right), LINKD_OK);
    assert_int_equal(f->n_seen, 2);
    assert_int_equal(f->seen[0].right, 0);
    assert_int_equal(f->seen[1].right, 2);
    f->options.least = 1.0F; /* a score at the limit counts */
    assert_int_equal(run_all(f, f->right), LINKD_OK);
    assert_int_equal(f->n_seen, 1);
}

static void one_table_has_each_pair_once(void **state)
{
    fixture *f = *state;

    assert_int_equal(run_all(f, NULL), LINKD_OK);
    assert_int_equal(f->n_seen, 1);
    assert_int_equal(f->seen[0].left, 0);
    assert_int_equal(f->seen[0].right, 2);
}

/* LinkTransformer pairs a row with the table's last one when it has fewer than k
 * neighbours. */
static void the_best_of_each_left_row_come_best_first(void **state)
{
    fixture *f = *state;

    f->options.k = 2;
    assert_int_equal(run_all(f, f->right), LINKD_OK);
    assert_int_equal(f->n_seen, 4);
    assert_int_equal(f->seen[2].left, 2);
    assert_int_equal(f->seen[2].right, 0);
    assert_int_equal(f->seen[3].right, 2);
    f->options.k = 9;
    assert_int_equal(run_all(f, f->right), LINKD_OK);
    assert_int_equal(f->n_seen, 6);
    assert_true(f->seen[0].score >= f->seen[1].score);
    assert_true(f->seen[1].score >= f->seen[2].score);
    f->options.least = 0.99F; /* both limits hold */
    assert_int_equal(run_all(f, f->right), LINKD_OK);
    assert_int_equal(f->n_seen, 1);
}

static void of_one_table_each_row_has_its_best_others(void **state)
{
    fixture *f = *state;

    f->options.k = 1;
    linkd_table_free(f->left);
    f->left = table_read("left.csv", "id,name\n"
                                     "0,bakery miller\n"
                                     "1,garden gnome\n"
                                     "2,bakery millers\n");
    assert_int_equal(run_all(f, NULL), LINKD_OK);
    assert_int_equal(f->n_seen, 3);
    assert_int_equal(f->seen[0].right, 2);
    assert_int_equal(f->seen[2].left, 2);
    assert_int_equal(f->seen[2].right, 0);
}

static linkd_table *many_make(const char *name, size_t n, size_t factor)
{
    lk_buf text = {0};
    linkd_table *table;

    assert_int_equal(lk_buf_printf(&text, NULL, "id,name\n"), LINKD_OK);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(lk_buf_printf(&text, NULL, "%zu,%c%c%c\n", i,
                                       (int)('a' + i * factor % 23),
                                       (int)('a' + i * factor % 19),
                                       (int)('a' + i % 17)),
                         LINKD_OK);
    table = table_read(name, text.data);
    lk_buf_clear(&text);
    return table;
}

typedef struct sum {
    uint64_t hash;
    size_t n;
} sum;

static int sum_cb(void *ctx, const linkd_pair *pairs, size_t n,
                  linkd_error *err)
{
    sum *s = ctx;

    (void)err;
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;

        memcpy(&bits, &pairs[i].score, sizeof(bits));
        s->hash =
            (s->hash ^ bits ^ (pairs[i].left << 40) ^ (pairs[i].right << 20)) *
            UINT64_C(1099511628211);
    }
    s->n += n;
    return LINKD_OK;
}

static int best_cb(void *ctx, const linkd_pair *pairs, size_t n,
                   linkd_error *err)
{
    size_t *n_wrong = ctx;

    (void)err;
    *n_wrong += n != 3;
    for (size_t i = 0; i < n; i++) /* 3 of the 5 equal rows, lowest first */
        *n_wrong += pairs[i].score != 1.0F || pairs[i].right != 3 + 7 * i;
    return LINKD_OK;
}

/* The good ones come among many others, more than are ever kept. */
static void the_best_are_found_wherever_they_are(void **state)
{
    fixture *f = *state;
    linkd_encoder_embedder storage = {&f->encoder, f->pool};
    linkd_embedder embedder = linkd_embedder_of_encoder(&storage);
    size_t n_wrong = 0;
    lk_buf text = {0};
    linkd_table *right;

    assert_int_equal(lk_buf_printf(&text, NULL, "id,name\n"), LINKD_OK);
    for (size_t i = 0; i < 35; i++)
        assert_int_equal(lk_buf_printf(&text, NULL, "%zu,%s\n", i,
                                       i % 7 == 3 ? "observatory" : "obser"),
                         LINKD_OK);
    right = table_read("many.csv", text.data);
    lk_buf_clear(&text);
    linkd_table_free(f->left);
    f->left = table_read("left.csv", "id,name\n0,observatory\n");
    f->options.k = 3;
    assert_int_equal(linkd_score_all(f->left, right, &embedder, f->pool,
                                     &f->options, NULL, best_cb, &n_wrong,
                                     &f->stats, &f->err),
                     LINKD_OK);
    assert_int_equal(n_wrong, 0);
    linkd_table_free(right);
}

/* 6,000 right rows make rounds of 696 left rows: there are two of them. */
static void rounds_and_workers_change_nothing(void **state)
{
    fixture *f = *state;
    linkd_table *left = many_make("many_left.csv", 801, 7);
    linkd_table *right = many_make("many_right.csv", 6000, 5);
    sum sums[2] = {{0, 0}, {0, 0}};

    for (size_t i = 0; i < 2; i++) {
        linkd_encoder_embedder storage = {&f->encoder, f->pool};
        linkd_embedder embedder;

        lk_pool_free(f->pool);
        assert_int_equal(lk_pool_new(i + 1, &f->pool, NULL), LINKD_OK);
        storage.pool = f->pool;
        embedder = linkd_embedder_of_encoder(&storage);
        assert_int_equal(linkd_score_all(left, right, &embedder, f->pool,
                                         &f->options, NULL, sum_cb, &sums[i],
                                         &f->stats, &f->err),
                         LINKD_OK);
    }
    assert_int_equal(sums[0].n, 801 * 6000);
    assert_int_equal(sums[1].n, 801 * 6000);
    assert_true(sums[0].hash == sums[1].hash);
    linkd_table_free(left);
    linkd_table_free(right);
}

static int stop_cb(void *ctx, const linkd_pair *pairs, size_t n,
                   linkd_error *err)
{
    (void)ctx;
    (void)pairs;
    (void)n;
    return lk_fail(err, LINKD_E_IO, "the disk is full");
}

static void what_the_callback_fails_with_is_passed_on(void **state)
{
    fixture *f = *state;
    linkd_encoder_embedder storage = {&f->encoder, f->pool};
    linkd_embedder embedder = linkd_embedder_of_encoder(&storage);

    assert_int_equal(linkd_score_all(f->left, f->right, &embedder, f->pool,
                                     &f->options, NULL, stop_cb, f, &f->stats,
                                     &f->err),
                     LINKD_E_IO);
    assert_string_equal(f->err.message, "the disk is full");
}

static void a_side_without_columns_is_refused(void **state)
{
    fixture *f = *state;

    f->columns[0].right = LINKD_COLUMN_NONE;
    assert_int_equal(run_all(f, f->right), LINKD_E_ARG);
    assert_string_equal(f->err.message, "no column of right.csv takes part");
}

static void memory_that_runs_out_is_reported(void **state)
{
    fixture *f = *state;

    for (int all = 0; all < 2; all++)
        for (size_t nth = 1;; nth++) {
            linkd_pair pair = {2, 2, 0};
            int rc;

            alloc_fail_at(nth);
            rc = all ? run_all(f, f->right) : run_pairs(f, f->right, &pair, 1);
            if (!alloc_fail_off()) {
                assert_int_equal(rc, LINKD_OK);
                break;
            }
            assert_int_equal(rc, LINKD_E_NOMEM);
        }
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(named_pairs_get_their_cosines_in_any_order),
        CASE(only_rows_in_a_pair_are_encoded),
        CASE(a_pair_with_an_empty_row_has_no_score),
        CASE(pairs_of_one_table_are_scored_too),
        CASE(all_pairs_come_by_left_row_then_right_row),
        CASE(only_scores_from_the_least_on_are_told),
        CASE(one_table_has_each_pair_once),
        CASE(the_best_of_each_left_row_come_best_first),
        CASE(of_one_table_each_row_has_its_best_others),
        CASE(the_best_are_found_wherever_they_are),
        CASE(rounds_and_workers_change_nothing),
        CASE(what_the_callback_fails_with_is_passed_on),
        CASE(a_side_without_columns_is_refused),
        CASE(memory_that_runs_out_is_reported),
    };

    return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
