/* tests/linkage/test_classify.c — rows to labels, with an encoder whose vectors
 * count letter pairs. */
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
    linkd_table *rows, *examples;
    linkd_encoder encoder;
    lk_pool *pool;
    linkd_column_pair columns[1];
    linkd_classify_options options;
    linkd_classify_result result;
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
    f->rows = table_read("rows.csv", "id,name\n"
                                     "0,bakery millers\n"
                                     "1,\n"
                                     "2,garden gnomes\n");
    f->examples = table_read("examples.csv", "id,text,kind\n"
                                             "0,bakery miller, food \n"
                                             "1,the bakery,food\n"
                                             "2,garden gnome,toy\n"
                                             "3,gnome garden,toy\n"
                                             "4,,toy\n"
                                             "5,bakery miller, \n");
    assert_int_equal(lk_pool_new(1, &f->pool, &f->err), LINKD_OK);
    f->columns[0] = (linkd_column_pair){1, 1, 1};
    f->options = (linkd_classify_options){
        .columns = f->columns, .n_columns = 1, .label_column = 2, .k = 2};
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;

    linkd_classify_result_clear(&f->result);
    lk_pool_free(f->pool);
    free(f->encoder.texts);
    linkd_table_free(f->rows);
    linkd_table_free(f->examples);
    free(f);
    return 0;
}

static int run(fixture *f)
{
    linkd_encoder_embedder storage = {&f->encoder, f->pool};
    linkd_embedder embedder = linkd_embedder_of_encoder(&storage);

    linkd_classify_result_clear(&f->result);
    return linkd_classify_rows(f->rows, f->examples, &embedder, f->pool,
                               &f->options, NULL, &f->result, &f->err);
}

static void assert_label(const fixture *f, size_t row, const char *label)
{
    linkd_str name = f->result.names[f->result.labels[row]];

    assert_int_equal(name.len, strlen(label));
    assert_memory_equal(name.bytes, label, name.len);
    assert_true(f->result.confidences[row] > 0.5F);
}

static void rows_get_the_label_of_examples_like_them(void **state)
{
    fixture *f = *state;

    for (int method = 0; method < 2; method++) {
        f->options.method = (linkd_classify_method)method;
        assert_int_equal(run(f), LINKD_OK);
        assert_int_equal(f->result.n_names, 2);
        assert_label(f, 0, "food");
        assert_label(f, 2, "toy");
        assert_int_equal(f->result.n_examples, 4);
    }
}

static void an_empty_row_gets_no_label(void **state)
{
    fixture *f = *state;

    assert_int_equal(run(f), LINKD_OK);
    assert_int_equal(f->result.labels[1], LINKD_LABEL_NONE);
    assert_int_equal(f->result.n_empty, 1);
}

static void examples_without_a_label_are_not_encoded(void **state)
{
    fixture *f = *state;

    assert_int_equal(run(f), LINKD_OK);
    assert_int_equal(f->result.encode.n_texts, 4 + 2);
}

static void examples_are_asked_for_by_folds(void **state)
{
    fixture *f = *state;

    assert_int_equal(run(f), LINKD_OK);
    assert_int_equal(f->result.n_asked, 4);
    assert_int_equal(f->result.n_right, 4);
    assert_int_equal(f->result.n_most_frequent, 2);
}

/* The label says nothing about the text here, but each text is there twice: a
 * copy in another fold would answer rightly every time. */
static void a_copy_does_not_answer_for_itself(void **state)
{
    fixture *f = *state;
    lk_buf text = {0};

    assert_int_equal(lk_buf_printf(&text, NULL, "id,text,kind\n"), LINKD_OK);
    for (int i = 0; i < 200; i++)
        assert_int_equal(lk_buf_printf(&text, NULL, "%d,%c%c%c,%s\n", i,
                                       'a' + i / 2 % 10, 'a' + i / 2 * 7 % 23,
                                       'a' + i / 2 * 5 % 19,
                                       i / 2 * 37 % 100 % 2 ? "x" : "y"),
                         LINKD_OK);
    linkd_table_free(f->examples);
    f->examples = table_read("copies.csv", text.data);
    lk_buf_clear(&text);
    f->options.k = 1;
    assert_int_equal(run(f), LINKD_OK);
    assert_int_equal(f->result.n_asked, 200);
    assert_true(f->result.n_right < 150);
}

static void a_single_example_is_taken_at_its_word(void **state)
{
    fixture *f = *state;

    linkd_table_free(f->examples);
    f->examples = table_read("one.csv", "id,text,kind\n0,bakery,food\n");
    assert_int_equal(run(f), LINKD_OK);
    assert_label(f, 2, "food");
    assert_int_equal(f->result.n_asked, 0);
}

/* Beyond 2,000 answers the accuracy is known well enough. */
static void many_examples_are_not_all_asked_for(void **state)
{
    fixture *f = *state;
    lk_buf text = {0};

    assert_int_equal(lk_buf_printf(&text, NULL, "id,text,kind\n"), LINKD_OK);
    for (int i = 0; i < 4000; i++)
        assert_int_equal(lk_buf_printf(&text, NULL, "%d,%c%c%c%c,%d\n", i,
                                       'a' + i % 23, 'a' + i / 23 % 23,
                                       'a' + i / 529 % 23, 'a' + i % 7, i % 3),
                         LINKD_OK);
    linkd_table_free(f->examples);
    f->examples = table_read("many.csv", text.data);
    lk_buf_clear(&text);
    assert_int_equal(run(f), LINKD_OK);
    assert_true(f->result.n_asked >= 2000 && f->result.n_asked < 3500);
}

static void assert_refused(fixture *f, int code, const char *message)
{
    assert_int_equal(run(f), code);
    assert_string_equal(f->err.message, message);
    assert_null(f->result.labels);
}

static void what_teaches_nothing_is_refused(void **state)
{
    fixture *f = *state;
    lk_buf text = {0};

    f->options.k = 0;
    assert_refused(f, LINKD_E_ARG, "0 examples have no vote");
    f->options.k = 2;
    linkd_table_free(f->examples);
    f->examples = table_read("none.csv", "id,text,kind\n0,,toy\n1,garden,\n");
    assert_refused(f, LINKD_E_DATA,
                   "none.csv has no row with both a label and a text");
    assert_int_equal(lk_buf_printf(&text, NULL, "id,text,kind\n"), LINKD_OK);
    for (int i = 0; i < 1001; i++)
        assert_int_equal(lk_buf_printf(&text, NULL, "%d,abc,%d\n", i, i),
                         LINKD_OK);
    linkd_table_free(f->examples);
    f->examples = table_read("texts.csv", text.data);
    lk_buf_clear(&text);
    assert_refused(f, LINKD_E_DATA,
                   "texts.csv has 1001 different labels, more than 1000");
}

static void memory_that_runs_out_is_reported(void **state)
{
    fixture *f = *state;

    for (int method = 0; method < 2; method++)
        for (size_t nth = 1;; nth++) {
            int rc;

            f->options.method = (linkd_classify_method)method;
            linkd_classify_result_clear(&f->result);
            alloc_fail_at(nth);
            rc = run(f);
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
        CASE(rows_get_the_label_of_examples_like_them),
        CASE(an_empty_row_gets_no_label),
        CASE(examples_without_a_label_are_not_encoded),
        CASE(examples_are_asked_for_by_folds),
        CASE(a_copy_does_not_answer_for_itself),
        CASE(a_single_example_is_taken_at_its_word),
        CASE(many_examples_are_not_all_asked_for),
        CASE(what_teaches_nothing_is_refused),
        CASE(memory_that_runs_out_is_reported),
    };

    return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
