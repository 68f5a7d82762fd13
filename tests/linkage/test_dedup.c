/* tests/linkage/test_dedup.c — one table to entities, with an encoder whose
 * vectors count letter pairs. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "linkage/linkage.h"
#include "tests/linkage/fake_encoder.h"
#include "tests/linkage/random.h"
#include "tests/linkage/scratch.h"
#include "tests/support/alloc_fail.h"

typedef struct fixture {
    linkd_table *table;
    linkd_encoder encoder;
    lk_pool *pool;
    size_t columns[1];
    linkd_dedup_options options;
    linkd_dedup_result result;
    linkd_error err;
} fixture;

static linkd_table *table_write(const char *text)
{
    linkd_table *table = NULL;
    linkd_error err = {0};

    scratch_write_text("table.csv", text);
    assert_int_equal(linkd_table_read("table.csv", LINKD_FORMAT_CSV, "id", NULL,
                                      &table, &err),
                     LINKD_OK);
    return table;
}

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    f->table = table_write("id,name,town\n"
                           "0,observatory,hull\n"
                           "1,bakery miller,york\n"
                           "2,,\n"
                           "3,garden gnome shop,bath\n"
                           "4,bakery millers,york\n"
                           "5,garden gnome shop,ely\n"
                           "6,,\n"
                           "7,the bakery miller,ely\n");
    assert_int_equal(lk_pool_new(1, &f->pool, &f->err), LINKD_OK);
    f->columns[0] = 1;
    f->options = (linkd_dedup_options){.columns = f->columns,
                                       .n_columns = 1,
                                       .block = LINKD_COLUMN_NONE,
                                       .k = 5,
                                       .threshold = 0.7F,
                                       .cluster = LINKD_CLUSTER_COMPLETE};
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;

    linkd_dedup_result_clear(&f->result);
    lk_pool_free(f->pool);
    free(f->encoder.texts);
    linkd_table_free(f->table);
    free(f);
    return 0;
}

static int dedup_run(fixture *f, const linkd_progress *progress)
{
    linkd_encoder_embedder storage = {&f->encoder, f->pool};
    linkd_embedder embedder = linkd_embedder_of_encoder(&storage);

    return linkd_dedup(f->table, &embedder, f->pool, &f->options, progress,
                       &f->result, &f->err);
}

/* Rows without text are entities of their own, in order with the others. */
static void every_row_gets_an_entity(void **state)
{
    static const size_t expected[] = {0, 1, 2, 3, 1, 3, 4, 1};
    fixture *f = *state;

    for (linkd_cluster method = LINKD_CLUSTER_COMPONENTS;
         method <= LINKD_CLUSTER_COMPLETE; method++) {
        f->options.cluster = method;
        assert_int_equal(dedup_run(f, NULL), LINKD_OK);
        assert_int_equal(f->result.n_entities, 5);
        assert_memory_equal(f->result.entities, expected, sizeof(expected));
        assert_int_equal(f->result.n_empty, 2);
        linkd_dedup_result_clear(&f->result);
    }
}

static void accepted_pairs_are_rows_of_one_entity(void **state)
{
    static const size_t expected[][2] = {{1, 4}, {1, 7}, {3, 5}, {4, 7}};
    fixture *f = *state;

    assert_int_equal(dedup_run(f, NULL), LINKD_OK);
    assert_int_equal(f->result.n_candidates, 6 * 5 / 2);
    assert_int_equal(f->result.n_pairs, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(f->result.pairs[i].left, expected[i][0]);
        assert_int_equal(f->result.pairs[i].right, expected[i][1]);
    }
    assert_float_equal(f->result.pairs[2].score, 1.0F, 1e-6F);
}

/* Equal names in bath and in ely may not meet. */
static void only_rows_of_one_block_are_compared(void **state)
{
    static const size_t expected[] = {0, 1, 2, 3, 1, 4, 5, 6};
    fixture *f = *state;

    f->options.block = 2;
    assert_int_equal(dedup_run(f, NULL), LINKD_OK);
    assert_memory_equal(f->result.entities, expected, sizeof(expected));
    assert_int_equal(f->result.n_candidates, 2);
}

/* Threads of equal rows hold together at threshold 1, by candidates and by the
 * scores that complete linkage asks for beyond the k nearest. */
static void equal_rows_are_one_entity_at_threshold_one(void **state)
{
    enum { N_TEXTS = 40, N_EQUAL = 12 };
    fixture *f = *state;
    lk_buf text = {0};

    assert_int_equal(lk_buf_printf(&text, NULL, "id,name\n"), LINKD_OK);
    for (size_t i = 0; i < (size_t)N_TEXTS * N_EQUAL; i++)
        assert_int_equal(lk_buf_printf(&text, NULL, "%zu,%zx item %zu\n", i,
                                       i % N_TEXTS * 7919, i % N_TEXTS),
                         LINKD_OK);
    linkd_table_free(f->table);
    f->table = table_write(text.data);
    lk_buf_clear(&text);
    f->options.threshold = 1.0F;

    assert_int_equal(dedup_run(f, NULL), LINKD_OK);
    assert_int_equal(f->result.n_entities, N_TEXTS);
    for (size_t i = 0; i < (size_t)N_TEXTS * N_EQUAL; i++)
        assert_int_equal(f->result.entities[i], i % N_TEXTS);
}

static void a_table_without_any_text_is_all_single_rows(void **state)
{
    fixture *f = *state;

    linkd_table_free(f->table);
    f->table = table_write("id,name\n0,\n1,\n");
    assert_int_equal(dedup_run(f, NULL), LINKD_OK);
    assert_int_equal(f->result.n_entities, 2);
    assert_int_equal(f->result.entities[1], 1);
    assert_int_equal(f->result.n_pairs, 0);
}

/* 900 rows are four tiles of queries and two chunks of texts. */
static void two_workers_find_what_one_finds(void **state)
{
    fixture *f = *state;
    linkd_dedup_result one;
    lk_buf text = {0};
    uint64_t random = 5;

    assert_int_equal(lk_buf_printf(&text, NULL, "id,name\n"), LINKD_OK);
    for (size_t i = 0; i < 900; i++)
        assert_int_equal(lk_buf_printf(&text, NULL, "%zu,%c%c%c%c\n", i,
                                       'a' + (char)random_below(&random, 5),
                                       'a' + (char)random_below(&random, 5),
                                       'a' + (char)random_below(&random, 5),
                                       'a' + (char)random_below(&random, 5)),
                         LINKD_OK);
    linkd_table_free(f->table);
    f->table = table_write(text.data);
    lk_buf_clear(&text);

    assert_int_equal(dedup_run(f, NULL), LINKD_OK);
    one = f->result;
    lk_pool_free(f->pool);
    assert_int_equal(lk_pool_new(2, &f->pool, &f->err), LINKD_OK);
    assert_int_equal(dedup_run(f, NULL), LINKD_OK);

    assert_true(one.n_pairs > 100);
    assert_int_equal(f->result.n_pairs, one.n_pairs);
    for (size_t i = 0; i < one.n_pairs; i++) {
        assert_int_equal(f->result.pairs[i].left, one.pairs[i].left);
        assert_int_equal(f->result.pairs[i].right, one.pairs[i].right);
        assert_float_equal(f->result.pairs[i].score, one.pairs[i].score, 0.0F);
    }
    assert_memory_equal(f->result.entities, one.entities,
                        900 * sizeof(*one.entities));
    linkd_dedup_result_clear(&one);
}

static void assert_refused(fixture *f, const char *message)
{
    assert_int_equal(dedup_run(f, NULL), LINKD_E_ARG);
    assert_string_equal(f->err.message, message);
    assert_null(f->result.entities);
}

static void options_that_make_no_sense_are_refused(void **state)
{
    fixture *f = *state;
    linkd_dedup_options good = f->options;

    f->options.k = 0;
    assert_refused(f, "0 neighbours per row find no pair");
    f->options = good;
    f->options.threshold = INFINITY;
    assert_refused(f, "the threshold is not a number");
    f->options = good;
    f->options.n_columns = 0;
    assert_refused(f, "no column of table.csv takes part");
}

static int progress_note(void *ctx, const char *step, uint64_t done,
                         uint64_t total)
{
    char *seen = ctx;
    size_t len = strlen(seen);

    (void)snprintf(seen + len, 200 - len, "%s %d/%d ", step, (int)done,
                   (int)total);
    return 0;
}

static void every_step_is_reported(void **state)
{
    fixture *f = *state;
    char seen[200] = "";
    linkd_progress progress = {progress_note, seen};

    assert_int_equal(dedup_run(f, &progress), LINKD_OK);
    assert_string_equal(
        seen, "encode 0/8 encode 8/8 search 6/6 cluster 0/6 cluster 6/6 ");
}

static void memory_that_runs_out_is_reported(void **state)
{
    fixture *f = *state;

    f->options.block = 2;
    for (size_t nth = 1;; nth++) {
        int rc;

        alloc_fail_at(nth);
        rc = dedup_run(f, NULL);
        if (!alloc_fail_off())
            break;
        assert_int_equal(rc, LINKD_E_NOMEM);
        assert_null(f->result.entities);
    }
    assert_int_equal(f->result.n_entities, 7);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_row_gets_an_entity),
        TEST(accepted_pairs_are_rows_of_one_entity),
        TEST(only_rows_of_one_block_are_compared),
        TEST(equal_rows_are_one_entity_at_threshold_one),
        TEST(a_table_without_any_text_is_all_single_rows),
        TEST(two_workers_find_what_one_finds),
        TEST(options_that_make_no_sense_are_refused),
        TEST(every_step_is_reported),
        TEST(memory_that_runs_out_is_reported),
    };

    return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
