#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "linkage/linkage.h"
#include "tests/linkage/scratch.h"
#include "tests/support/alloc_fail.h"

static int table_read(const char *path, const char *id_column,
                      linkd_table **ret_table, linkd_error *err)
{
    const linkd_progress silent = {0};

    return linkd_table_read(path, LINKD_FORMAT_AUTO, id_column, &silent,
                            ret_table, err);
}

static linkd_table *table_of(const char *path, const char *text,
                             const char *id_column)
{
    linkd_table *table = NULL;
    linkd_error err = {0};
    int rc;

    scratch_write_text(path, text);
    rc = table_read(path, id_column, &table, &err);
    assert_string_equal(err.message, "");
    assert_int_equal(rc, LINKD_OK);
    return table;
}

static void assert_str(linkd_str text, const char *expected)
{
    assert_int_equal(text.len, strlen(expected));
    assert_memory_equal(text.bytes, expected, text.len);
}

static void assert_cell(const linkd_table *table, size_t row, size_t column,
                        linkd_cell_kind kind, const char *expected)
{
    linkd_cell cell = linkd_table_cell(table, row, column);

    assert_int_equal(cell.kind, kind);
    assert_str((linkd_str){cell.bytes, cell.len}, expected);
}

static void assert_fails(const char *path, const char *text,
                         const char *id_column, int code, const char *message)
{
    linkd_table *table = NULL;
    linkd_error err = {0};
    int rc;

    scratch_write_text(path, text);
    rc = table_read(path, id_column, &table, &err);
    assert_string_equal(err.message, message);
    assert_int_equal(rc, code);
    assert_null(table);
}

static void a_table_holds_every_cell_of_its_file(void **state)
{
    linkd_table *table = table_of("t.csv", "id,name\n7,x\n8,\n", NULL);

    (void)state;
    assert_string_equal(linkd_table_path(table), "t.csv");
    assert_int_equal(linkd_table_n_rows(table), 2);
    assert_int_equal(linkd_table_n_columns(table), 2);
    assert_str(linkd_table_column(table, 1), "name");
    assert_cell(table, 0, 0, LINKD_CELL_TEXT, "7");
    assert_cell(table, 0, 1, LINKD_CELL_TEXT, "x");
    assert_cell(table, 1, 1, LINKD_CELL_TEXT, "");
    linkd_table_free(table);
}

static void a_column_is_found_by_its_exact_name(void **state)
{
    linkd_table *table = table_of("t.csv", "id,name\n7,x\n", NULL);

    (void)state;
    assert_int_equal(linkd_table_find_column(table, (linkd_str){"name", 4}), 1);
    assert_int_equal(linkd_table_find_column(table, (linkd_str){"nam", 3}),
                     LINKD_COLUMN_NONE);
    assert_int_equal(linkd_table_find_column(table, (linkd_str){"Name", 4}),
                     LINKD_COLUMN_NONE);
    linkd_table_free(table);
}

static void rows_before_a_json_key_was_seen_miss_it(void **state)
{
    linkd_table *table = table_of("t.jsonl",
                                  "{\"a\": \"x\"}\n"
                                  "{\"b\": 2, \"c\": null}\n"
                                  "{\"c\": \"z\"}\n",
                                  NULL);

    (void)state;
    assert_int_equal(linkd_table_n_columns(table), 3);
    assert_cell(table, 0, 0, LINKD_CELL_TEXT, "x");
    assert_cell(table, 0, 2, LINKD_CELL_MISSING, "");
    assert_cell(table, 1, 1, LINKD_CELL_LITERAL, "2");
    assert_cell(table, 1, 2, LINKD_CELL_MISSING, "");
    assert_cell(table, 2, 2, LINKD_CELL_TEXT, "z");
    linkd_table_free(table);
}

static void a_first_column_of_unique_values_is_the_id(void **state)
{
    linkd_table *table = table_of("t.csv", "k,v\na,1\nb,1\n", NULL);

    (void)state;
    assert_int_equal(linkd_table_id_column(table), 0);
    assert_str(linkd_table_id(table, 1), "b");
    linkd_table_free(table);
}

static void without_a_unique_first_column_row_numbers_are_the_ids(void **state)
{
    static const char *const texts[] = {"k,v\na,1\nb,2\na,3\n",
                                        "k,v\na,1\n,2\nb,3\n"};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        linkd_table *table = table_of("t.csv", texts[i], NULL);

        assert_int_equal(linkd_table_id_column(table), LINKD_COLUMN_NONE);
        assert_str(linkd_table_id(table, 0), "1");
        assert_str(linkd_table_id(table, 2), "3");
        linkd_table_free(table);
    }
}

/* A table of `n` rows whose column `name` has the value `value` in row 2 and in
 * the last one; the others differ. */
static linkd_table *repeating_table(const char *name, const char *value, int n)
{
    char text[4096];
    int len = snprintf(text, sizeof(text), "%s,v\n", name);

    for (int row = 1; row <= n; row++) {
        char *at = text + len;
        size_t room = sizeof(text) - (size_t)len;

        len += row == 2 || row == n ? snprintf(at, room, "%s,x\n", value)
                                    : snprintf(at, room, "k%d,x\n", row);
    }
    return table_of("t.csv", text, NULL);
}

static bool is_flawed(const char *name, const char *value, int n)
{
    linkd_table *table = repeating_table(name, value, n);
    bool flawed = linkd_table_id_flaw(table) != NULL;

    assert_int_equal(linkd_table_id_column(table), LINKD_COLUMN_NONE);
    linkd_table_free(table);
    return flawed;
}

static void ids_with_a_mistake_are_told_with_its_rows(void **state)
{
    linkd_table *table = repeating_table("word", "seven", 20);
    const linkd_id_trial *flaw = linkd_table_id_flaw(table);

    (void)state;
    assert_non_null(flaw);
    assert_string_equal(flaw->column.text, "word");
    assert_string_equal(flaw->value.text, "seven");
    assert_int_equal(flaw->row, 20);
    assert_int_equal(flaw->line, 21);
    assert_int_equal(flaw->equal_row, 2);
    assert_int_equal(flaw->n_rows, 20);
    assert_int_equal(flaw->n_bad, 1);
    linkd_table_free(table);
    table = table_of("t.csv", "id,v\na,1\n,2\n", NULL);
    flaw = linkd_table_id_flaw(table);
    assert_non_null(flaw);
    assert_string_equal(flaw->value.text, "");
    assert_int_equal(flaw->row, 2);
    linkd_table_free(table);
}

static void names_and_groups_are_no_ids_with_a_mistake(void **state)
{
    linkd_table *table = table_of("t.csv", "id,v\na,1\nb,2\n", NULL);

    (void)state;
    assert_null(linkd_table_id_flaw(table));
    linkd_table_free(table);
    assert_true(is_flawed("word", "seven", 20));
    assert_false(is_flawed("word", "seven", 19));
    assert_false(is_flawed("word", "ann lee", 20));
    assert_true(is_flawed("ID", "ann lee", 3));
    assert_true(is_flawed("sku", "seven", 3));
    assert_true(is_flawed("product_id", "seven", 3));
    assert_true(is_flawed("productId", "seven", 3));
    assert_false(is_flawed("paid", "seven", 3));
    table = table_of("t.csv", "group_id,v\na,1\na,2\na,3\n", NULL);
    assert_null(linkd_table_id_flaw(table));
    linkd_table_free(table);
}

static void a_json_table_without_keys_has_row_numbers(void **state)
{
    linkd_table *table = table_of("t.jsonl", "{}\n{}\n", NULL);

    (void)state;
    assert_int_equal(linkd_table_n_columns(table), 0);
    assert_str(linkd_table_id(table, 1), "2");
    linkd_table_free(table);
}

static void a_named_column_is_the_id(void **state)
{
    linkd_table *table = table_of("t.csv", "k,v\na,1\na,2\n", "v");

    (void)state;
    assert_int_equal(linkd_table_id_column(table), 1);
    assert_str(linkd_table_id(table, 0), "1");
    linkd_table_free(table);
}

static void a_named_id_column_must_exist(void **state)
{
    (void)state;
    assert_fails("t.csv", "k,v\na,1\n", "id", LINKD_E_ARG,
                 "t.csv: no column \"id\"");
    assert_fails("t.jsonl", "{\"k\": 1}\n{\"k\": 2}\n", "id", LINKD_E_ARG,
                 "t.jsonl: no column \"id\"");
    /* known before the second row, which is bad */
    assert_fails("t.csv", "k,v\na,1\nb\n", "id", LINKD_E_ARG,
                 "t.csv: no column \"id\"");
}

static void a_repeated_id_is_named_with_both_rows(void **state)
{
    (void)state;
    assert_fails("t.csv", "v,id\n1,x\n2,y\n\n3,x\n", "id", LINKD_E_DATA,
                 "t.csv: row 3 (line 5), column \"id\": row 1 has the id \"x\" "
                 "too");
}

static void an_empty_or_missing_id_is_an_error(void **state)
{
    (void)state;
    assert_fails("t.csv", "v,id\n1,x\n2,\n", "id", LINKD_E_DATA,
                 "t.csv: row 2 (line 3), column \"id\": the id is empty");
    assert_fails("t.jsonl", "{\"id\": 1}\n{\"k\": 1}\n", "id", LINKD_E_DATA,
                 "t.jsonl: row 2 (line 2), column \"id\": the id is missing");
    assert_fails("t.jsonl", "\n{\"k\": 1}\n{\"k\": 1}\n{\"id\": 1}\n", "id",
                 LINKD_E_DATA,
                 "t.jsonl: row 1 (line 2), column \"id\": the id is missing");
}

static void ids_are_compared_as_they_are_written(void **state)
{
    linkd_table *table =
        table_of("t.csv", "id,v\n1,a\n01,b\n 1,c\nA,d\na,e\n", "id");

    (void)state;
    assert_int_equal(linkd_table_n_rows(table), 5);
    linkd_table_free(table);
}

static void ten_thousand_ids_are_told_apart(void **state)
{
    lk_buf text = {0};
    linkd_table *table;
    linkd_error err = {0};

    (void)state;
    assert_int_equal(lk_buf_append(&text, "id\n", 3, NULL), LINKD_OK);
    for (int i = 0; i < 10000; i++)
        assert_int_equal(lk_buf_printf(&text, NULL, "r%d\n", i), LINKD_OK);
    table = table_of("t.csv", text.data, "id");
    assert_int_equal(linkd_table_n_rows(table), 10000);
    assert_str(linkd_table_id(table, 9999), "r9999");
    linkd_table_free(table);
    assert_int_equal(lk_buf_append(&text, "r4711\n", 6, NULL), LINKD_OK);
    scratch_write_text("t.csv", text.data);
    assert_int_equal(table_read("t.csv", "id", &table, &err), LINKD_E_DATA);
    assert_string_equal(err.message,
                        "t.csv: row 10001 (line 10002), column \"id\": row "
                        "4712 has the id \"r4711\" too");
    lk_buf_clear(&text);
}

static size_t rows_of_result(const char *path, const char *text)
{
    linkd_table *table = NULL;
    size_t n_rows;

    scratch_write_text(path, text);
    assert_int_equal(linkd_table_read_result(path, LINKD_FORMAT_AUTO, NULL,
                                             NULL, &table, NULL),
                     LINKD_OK);
    n_rows = linkd_table_n_rows(table);
    linkd_table_free(table);
    return n_rows;
}

static void only_a_result_may_have_no_rows(void **state)
{
    (void)state;
    assert_int_equal(rows_of_result("t.csv", "left_id,right_id\n"), 0);
    assert_int_equal(rows_of_result("t.jsonl", ""), 0);
    assert_int_equal(rows_of_result("t.csv", "a\n1\n"), 1);
    assert_fails("t.csv", "left_id,right_id\n", NULL, LINKD_E_DATA,
                 "t.csv: file has a header but no rows");
    assert_fails("t.jsonl", "", NULL, LINKD_E_DATA, "t.jsonl: file is empty");
}

static void a_bad_file_makes_no_table(void **state)
{
    (void)state;
    assert_fails("t.csv", "a,b\n1\n", NULL, LINKD_E_DATA,
                 "t.csv: row 1 (line 2): 1 field where the header has 2");
}

static int report_count(void *ctx, const char *step, uint64_t done,
                        uint64_t total)
{
    uint64_t *last = ctx;

    assert_string_equal(step, "read");
    assert_int_equal(total, 8);
    assert_true(done <= total);
    *last = done;
    return 0;
}

static void reading_reports_bytes_up_to_the_end(void **state)
{
    uint64_t last = 0;
    const linkd_progress progress = {report_count, &last};
    linkd_table *table;

    (void)state;
    scratch_write_text("t.csv", "a,b\n1,2\n");
    assert_int_equal(linkd_table_read("t.csv", LINKD_FORMAT_AUTO, NULL,
                                      &progress, &table, NULL),
                     LINKD_OK);
    assert_int_equal(last, 8);
    linkd_table_free(table);
}

static int report_stop(void *ctx, const char *step, uint64_t done,
                       uint64_t total)
{
    (void)ctx;
    (void)step;
    (void)done;
    (void)total;
    return 1;
}

static void reading_stops_when_its_caller_says_so(void **state)
{
    const linkd_progress progress = {report_stop, NULL};
    linkd_table *table = NULL;

    (void)state;
    scratch_write_text("t.csv", "a,b\n1,2\n");
    assert_int_equal(linkd_table_read("t.csv", LINKD_FORMAT_AUTO, NULL,
                                      &progress, &table, NULL),
                     LINKD_E_CANCELLED);
    assert_null(table);
}

static void assert_every_failed_allocation_is_reported(const char *id_column)
{
    for (size_t n = 1;; n++) {
        linkd_table *table = NULL;
        linkd_error err = {0};
        int rc;

        alloc_fail_at(n);
        rc = table_read("t.csv", id_column, &table, &err);
        if (!alloc_fail_off()) {
            assert_int_equal(rc, LINKD_OK);
            assert_true(n > 8);
            linkd_table_free(table);
            break;
        }
        assert_int_equal(rc, LINKD_E_NOMEM);
        assert_int_equal(err.code, LINKD_E_NOMEM);
        assert_null(table);
    }
}

static void running_out_of_memory_is_an_error_at_every_point(void **state)
{
    lk_buf text = {0};

    (void)state;
    assert_int_equal(lk_buf_append(&text, "k,v\nx,1\nx,2\n", 12, NULL),
                     LINKD_OK);
    for (int i = 3; i < 1000; i++)
        assert_int_equal(lk_buf_printf(&text, NULL, "%d,%d\n", i, i), LINKD_OK);
    scratch_write_text("t.csv", text.data);
    assert_every_failed_allocation_is_reported("v");
    assert_every_failed_allocation_is_reported(NULL);
    lk_buf_clear(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_table_holds_every_cell_of_its_file),
        cmocka_unit_test(a_column_is_found_by_its_exact_name),
        cmocka_unit_test(rows_before_a_json_key_was_seen_miss_it),
        cmocka_unit_test(a_first_column_of_unique_values_is_the_id),
        cmocka_unit_test(without_a_unique_first_column_row_numbers_are_the_ids),
        cmocka_unit_test(ids_with_a_mistake_are_told_with_its_rows),
        cmocka_unit_test(names_and_groups_are_no_ids_with_a_mistake),
        cmocka_unit_test(a_json_table_without_keys_has_row_numbers),
        cmocka_unit_test(a_named_column_is_the_id),
        cmocka_unit_test(a_named_id_column_must_exist),
        cmocka_unit_test(a_repeated_id_is_named_with_both_rows),
        cmocka_unit_test(an_empty_or_missing_id_is_an_error),
        cmocka_unit_test(ids_are_compared_as_they_are_written),
        cmocka_unit_test(ten_thousand_ids_are_told_apart),
        cmocka_unit_test(only_a_result_may_have_no_rows),
        cmocka_unit_test(a_bad_file_makes_no_table),
        cmocka_unit_test(reading_reports_bytes_up_to_the_end),
        cmocka_unit_test(reading_stops_when_its_caller_says_so),
        cmocka_unit_test(running_out_of_memory_is_an_error_at_every_point),
    };

    return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
