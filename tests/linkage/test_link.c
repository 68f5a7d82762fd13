/* tests/linkage/test_link.c — two tables to pairs of rows, with an encoder
 * whose vectors count letter pairs. */
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
#include "tests/linkage/scratch.h"
#include "tests/support/alloc_fail.h"

typedef struct fixture {
    linkd_table *left;
    linkd_table *right;
    linkd_encoder encoder;
    lk_pool *pool;
    linkd_column_pair columns[2];
    linkd_link_options options;
    linkd_link_result result;
    linkd_error err;
} fixture;

static linkd_table *table_write(const char *name, const char *text)
{
    linkd_table *table = NULL;
    linkd_error err = {0};

    scratch_write_text(name, text);
    assert_int_equal(
        linkd_table_read(name, LINKD_FORMAT_CSV, "id", NULL, &table, &err),
        LINKD_OK);
    return table;
}

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    /* rows 1 and 5 (left) and 0 (right) have nothing to compare */
    f->left = table_write("left.csv", "id,name,town,other\n"
                                      "l0,bakery miller,york,zz\n"
                                      "l1,, ,zz\n"
                                      "l2,garden gnome shop,bath,zz\n"
                                      "l3,bakery mueller,york,zz\n"
                                      "l4,observatory,hull,zz\n"
                                      "l5,,,zz\n");
    f->right = table_write("right.csv", "id,town,title\n"
                                        "r0,,\n"
                                        "r1, york ,the bakery mueller\n"
                                        "r2,bath,garden gnomes shop\n"
                                        "r3,york,quay 7\n");
    assert_int_equal(lk_pool_new(2, &f->pool, &f->err), LINKD_OK);
    f->columns[0] = (linkd_column_pair){.left = 1, .right = 2};
    f->columns[1] = (linkd_column_pair){.left = 2, .right = 1};
    f->options = (linkd_link_options){.columns = f->columns,
                                      .n_columns = 1,
                                      .left_block = LINKD_COLUMN_NONE,
                                      .right_block = LINKD_COLUMN_NONE,
                                      .k = 5,
                                      .threshold = 0.6F,
                                      .assign = LINKD_ASSIGN_RECIPROCAL};
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;

    linkd_link_result_clear(&f->result);
    lk_pool_free(f->pool);
    free(f->encoder.texts);
    linkd_table_free(f->right);
    linkd_table_free(f->left);
    free(f);
    return 0;
}

static int link_run(fixture *f, const linkd_progress *progress)
{
    linkd_encoder_embedder storage = {&f->encoder, f->pool};
    linkd_embedder embedder = linkd_embedder_of_encoder(&storage);

    return linkd_link(f->left, f->right, &embedder, f->pool, &f->options,
                      progress, &f->result, &f->err);
}

static void pairs_are_rows_of_the_tables(void **state)
{
    fixture *f = *state;

    assert_int_equal(link_run(f, NULL), LINKD_OK);
    assert_int_equal(f->result.n_pairs, 2);
    assert_int_equal(f->result.pairs[0].left, 2);
    assert_int_equal(f->result.pairs[0].right, 2);
    assert_int_equal(f->result.pairs[1].left, 3);
    assert_int_equal(f->result.pairs[1].right, 1);
    assert_in_range((int)(f->result.pairs[1].score * 100.0F), 60, 99);
}

static void the_encoder_sees_the_paired_columns_in_order(void **state)
{
    fixture *f = *state;

    f->options.n_columns = 2;
    assert_int_equal(link_run(f, NULL), LINKD_OK);
    assert_string_equal(f->encoder.texts, "bakery miller, york\n"
                                          "garden gnome shop, bath\n"
                                          "bakery mueller, york\n"
                                          "observatory, hull\n"
                                          "the bakery mueller, york\n"
                                          "garden gnomes shop, bath\n"
                                          "quay 7, york\n");
}

static void a_column_of_one_side_alone_takes_part_there(void **state)
{
    fixture *f = *state;

    f->columns[1].right = LINKD_COLUMN_NONE;
    f->options.n_columns = 2;
    assert_int_equal(link_run(f, NULL), LINKD_OK);
    assert_non_null(strstr(f->encoder.texts, "observatory, hull\n"));
    assert_non_null(strstr(f->encoder.texts, "\nquay 7\n"));
}

static void rows_without_text_are_counted_and_not_compared(void **state)
{
    fixture *f = *state;

    f->options.assign = LINKD_ASSIGN_MANY_TO_MANY;
    f->options.threshold = -1.0F;
    assert_int_equal(link_run(f, NULL), LINKD_OK);
    assert_int_equal(f->result.n_left_empty, 2);
    assert_int_equal(f->result.n_right_empty, 1);
    assert_int_equal(f->result.encode.n_texts, 7);
    assert_int_equal(f->result.n_candidates, 4 * 3);
    assert_int_equal(f->result.n_pairs, 4 * 3);
    for (size_t i = 0; i < f->result.n_pairs; i++) {
        assert_true(f->result.pairs[i].left != 1);
        assert_true(f->result.pairs[i].left != 5);
        assert_true(f->result.pairs[i].right != 0);
    }
}

static void
rows_that_the_model_does_not_know_are_as_those_without_text(void **state)
{
    fixture *f = *state;

    linkd_table_free(f->left);
    linkd_table_free(f->right);
    f->left = table_write("left.csv", "id,name\n0,ab\n1,???\n2,c?\n");
    f->right = table_write("right.csv", "id,k,name\n0,,???\n1,,ab\n2,,c?\n");
    f->options.threshold = -1.0F;

    assert_int_equal(link_run(f, NULL), LINKD_OK);
    assert_string_equal(f->encoder.texts, "ab\nc?\nab\nc?\n");
    assert_int_equal(f->result.n_left_empty, 1);
    assert_int_equal(f->result.n_right_empty, 1);
    assert_int_equal(f->result.n_pairs, 2);
    assert_int_equal(f->result.pairs[0].right, 1);
    assert_int_equal(f->result.pairs[1].left, 2);
}

static void pairs_of_a_left_row_come_best_first(void **state)
{
    fixture *f = *state;

    f->options.assign = LINKD_ASSIGN_MANY_TO_MANY;
    f->options.threshold = -1.0F;
    assert_int_equal(link_run(f, NULL), LINKD_OK);
    for (size_t i = 1; i < f->result.n_pairs; i++) {
        const linkd_pair *a = &f->result.pairs[i - 1];
        const linkd_pair *b = &f->result.pairs[i];

        assert_true(a->left < b->left ||
                    (a->left == b->left && a->score >= b->score));
    }
}

/* " york " and "york" are one block; "hull" is on the left only. */
static void only_rows_of_one_block_are_compared(void **state)
{
    fixture *f = *state;

    f->options.left_block = 2;
    f->options.right_block = 1;
    f->options.assign = LINKD_ASSIGN_MANY_TO_MANY;
    f->options.threshold = -1.0F;
    assert_int_equal(link_run(f, NULL), LINKD_OK);
    assert_int_equal(f->result.n_candidates, 2 * 2 + 1);
}

/* Unrounded, the product of a unit vector with itself is often below 1. */
static void
a_table_linked_to_itself_at_threshold_one_gives_every_row(void **state)
{
    enum { N_ROWS = 300 };
    fixture *f = *state;
    lk_buf text = {0};

    assert_int_equal(lk_buf_printf(&text, NULL, "id,town,name\n"), LINKD_OK);
    for (size_t i = 0; i < N_ROWS; i++)
        assert_int_equal(lk_buf_printf(&text, NULL, "%zu,,%zx item %zu\n", i,
                                       i * 7919, i * i),
                         LINKD_OK);
    linkd_table_free(f->left);
    linkd_table_free(f->right);
    f->left = table_write("left.csv", text.data);
    f->right = table_write("right.csv", text.data);
    lk_buf_clear(&text);
    f->columns[0] = (linkd_column_pair){.left = 2, .right = 2};
    f->options.threshold = 1.0F;
    f->options.assign = LINKD_ASSIGN_ONE_TO_ONE;

    assert_int_equal(link_run(f, NULL), LINKD_OK);
    assert_int_equal(f->result.n_pairs, N_ROWS);
    for (size_t i = 0; i < N_ROWS; i++)
        assert_int_equal(f->result.pairs[i].right, i);
}

static void tables_without_any_text_have_no_pairs(void **state)
{
    fixture *f = *state;

    linkd_table_free(f->right);
    f->right = table_write("right.csv", "id,town,title\nr0,x,\n");
    assert_int_equal(link_run(f, NULL), LINKD_OK);
    assert_int_equal(f->result.n_pairs, 0);
    assert_int_equal(f->result.n_right_empty, 1);
}

static void assert_refused(fixture *f, const char *message)
{
    assert_int_equal(link_run(f, NULL), LINKD_E_ARG);
    assert_string_equal(f->err.message, message);
    assert_null(f->result.pairs);
}

static void options_that_make_no_sense_are_refused(void **state)
{
    fixture *f = *state;
    linkd_link_options good = f->options;

    f->options.k = 0;
    assert_refused(f, "0 neighbours per row find no pair");
    f->options = good;
    f->options.threshold = NAN;
    assert_refused(f, "the threshold is not a number");
    f->options = good;
    f->options.left_block = 2;
    assert_refused(f, "a block column is named for one table only");
    f->options = good;
    f->columns[0].right = LINKD_COLUMN_NONE;
    assert_refused(f, "no column of right.csv takes part");
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

    assert_int_equal(link_run(f, &progress), LINKD_OK);
    assert_string_equal(seen, "encode 0/10 encode 6/10 encode 10/10 search 7/7 "
                              "assign 0/12 assign 12/12 ");
}

static int progress_stop(void *ctx, const char *step, uint64_t done,
                         uint64_t total)
{
    (void)done;
    (void)total;
    return strcmp(step, ctx) == 0;
}

static void it_can_be_stopped_at_every_step(void **state)
{
    fixture *f = *state;
    char steps[3][8] = {"encode", "search", "assign"};

    for (size_t i = 0; i < 3; i++) {
        linkd_progress progress = {progress_stop, steps[i]};

        assert_int_equal(link_run(f, &progress), LINKD_E_CANCELLED);
        assert_string_equal(f->err.message, "interrupted");
        assert_null(f->result.pairs);
    }
}

static void memory_that_runs_out_is_reported(void **state)
{
    fixture *f = *state;

    f->options.left_block = 2;
    f->options.right_block = 1;
    for (size_t nth = 1;; nth++) {
        int rc;

        alloc_fail_at(nth);
        rc = link_run(f, NULL);
        if (!alloc_fail_off())
            break;
        assert_int_equal(rc, LINKD_E_NOMEM);
        assert_null(f->result.pairs);
    }
    assert_int_equal(f->result.n_pairs, 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(pairs_are_rows_of_the_tables),
        TEST(the_encoder_sees_the_paired_columns_in_order),
        TEST(a_column_of_one_side_alone_takes_part_there),
        TEST(rows_without_text_are_counted_and_not_compared),
        TEST(rows_that_the_model_does_not_know_are_as_those_without_text),
        TEST(pairs_of_a_left_row_come_best_first),
        TEST(only_rows_of_one_block_are_compared),
        TEST(a_table_linked_to_itself_at_threshold_one_gives_every_row),
        TEST(tables_without_any_text_have_no_pairs),
        TEST(options_that_make_no_sense_are_refused),
        TEST(every_step_is_reported),
        TEST(it_can_be_stopped_at_every_step),
        TEST(memory_that_runs_out_is_reported),
    };

    return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
