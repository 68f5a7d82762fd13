#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/rows.h"
#include "tests/cli/scratch_dir.h"

static const linkd_str columns[] = {{"id", 2}, {"na\"me", 5}, {"n", 1}};

static linkd_str str(const char *text)
{
    return (linkd_str){text, strlen(text)};
}

static linkd_cell cell(const char *text, linkd_cell_kind kind)
{
    return (linkd_cell){text, (uint32_t)strlen(text), (uint32_t)kind};
}

/* One row: an id, `second` and the number 7, as far as there are columns. */
static char *written(linkd_format format, size_t n_columns, linkd_cell first,
                     linkd_cell second)
{
    lk_output *output = NULL;
    lk_rows rows;
    linkd_error err;

    assert_int_equal(lk_output_open("out", NULL, 0, &output, &err), LINKD_OK);
    assert_int_equal(
        lk_rows_init(&rows, output, format, columns, n_columns, &err),
        LINKD_OK);
    lk_rows_cell(&rows, first);
    if (n_columns > 1)
        lk_rows_cell(&rows, second);
    if (n_columns > 2)
        lk_rows_count(&rows, 7);
    assert_int_equal(lk_rows_end(&rows, &err), LINKD_OK);
    assert_int_equal(lk_output_commit(&output, 1, &err), LINKD_OK);
    lk_rows_clear(&rows);
    lk_output_close(output);
    return file_read("out", NULL);
}

static void assert_written(linkd_format format, const char *second,
                           const char *expected)
{
    char *text = written(format, 3, cell("1", LINKD_CELL_TEXT),
                         cell(second, LINKD_CELL_TEXT));

    assert_string_equal(text, expected);
    free(text);
}

static void csv_quotes_what_needs_it_and_nothing_else(void **state)
{
    (void)state;
    assert_written(LINKD_FORMAT_CSV, "plain text",
                   "id,\"na\"\"me\",n\n1,plain text,7\n");
    assert_written(LINKD_FORMAT_CSV, "a,b", "id,\"na\"\"me\",n\n1,\"a,b\",7\n");
    assert_written(LINKD_FORMAT_CSV, "\"q\"",
                   "id,\"na\"\"me\",n\n1,\"\"\"q\"\"\",7\n");
    assert_written(LINKD_FORMAT_CSV, "two\nlines",
                   "id,\"na\"\"me\",n\n1,\"two\nlines\",7\n");
    assert_written(LINKD_FORMAT_CSV, " outer ",
                   "id,\"na\"\"me\",n\n1,\" outer \",7\n");
    assert_written(LINKD_FORMAT_CSV, "", "id,\"na\"\"me\",n\n1,,7\n");
}

static void tsv_quotes_tabs_but_no_commas(void **state)
{
    (void)state;
    assert_written(LINKD_FORMAT_TSV, "a,b", "id\t\"na\"\"me\"\tn\n1\ta,b\t7\n");
    assert_written(LINKD_FORMAT_TSV, "a\tb",
                   "id\t\"na\"\"me\"\tn\n1\t\"a\tb\"\t7\n");
}

static void a_lone_empty_cell_does_not_become_a_blank_line(void **state)
{
    char *text = written(LINKD_FORMAT_CSV, 1, cell("", LINKD_CELL_TEXT),
                         cell("", LINKD_CELL_TEXT));

    (void)state;
    assert_string_equal(text, "id\n\"\"\n");
    free(text);
}

static void json_lines_escape_and_name_their_members(void **state)
{
    (void)state;
    assert_written(LINKD_FORMAT_JSONL, "a\"\\\n\x01\xC3\xA9",
                   "{\"id\": \"1\", \"na\\\"me\": \"a\\\"\\\\\\n\\u0001\xC3\xA9"
                   "\", \"n\": 7}\n");
}

static void json_values_go_through_json_lines_unchanged(void **state)
{
    char *text = written(LINKD_FORMAT_JSONL, 3, cell("12", LINKD_CELL_LITERAL),
                         cell("", LINKD_CELL_MISSING));

    (void)state;
    assert_string_equal(text, "{\"id\": 12, \"n\": 7}\n");
    free(text);
    text = written(LINKD_FORMAT_CSV, 3, cell("[1,2]", LINKD_CELL_LITERAL),
                   cell("", LINKD_CELL_MISSING));
    assert_string_equal(text, "id,\"na\"\"me\",n\n\"[1,2]\",,7\n");
    free(text);
}

static void scores_have_six_decimals_and_no_negative_zero(void **state)
{
    static const linkd_str names[] = {{"s", 1}, {"p", 1}};
    lk_output *output = NULL;
    lk_rows rows;
    linkd_error err;
    char *text;

    (void)state;
    assert_int_equal(lk_output_open("out", NULL, 0, &output, &err), LINKD_OK);
    assert_int_equal(
        lk_rows_init(&rows, output, LINKD_FORMAT_CSV, names, 2, &err),
        LINKD_OK);
    lk_rows_score(&rows, 0.9123456F);
    lk_rows_none(&rows);
    assert_int_equal(lk_rows_end(&rows, &err), LINKD_OK);
    lk_rows_score(&rows, -1e-9F);
    lk_rows_text(&rows, str("x"));
    assert_int_equal(lk_rows_end(&rows, &err), LINKD_OK);
    assert_int_equal(lk_output_commit(&output, 1, &err), LINKD_OK);
    lk_rows_clear(&rows);
    lk_output_close(output);
    text = file_read("out", NULL);
    assert_string_equal(text, "s,p\n0.912346,\n0.000000,x\n");
    free(text);
}

static void the_ending_of_a_name_tells_the_format(void **state)
{
    (void)state;
    assert_int_equal(lk_rows_format("a.csv"), LINKD_FORMAT_CSV);
    assert_int_equal(lk_rows_format("a.TSV"), LINKD_FORMAT_TSV);
    assert_int_equal(lk_rows_format("a.jsonl"), LINKD_FORMAT_JSONL);
    assert_int_equal(lk_rows_format("a.ndjson"), LINKD_FORMAT_JSONL);
    assert_int_equal(lk_rows_format("-"), LINKD_FORMAT_CSV);
}

static void row_add(void *of, lk_rows *rows, size_t row)
{
    const uint64_t *first = of;

    lk_rows_count(rows, *first + row);
    lk_rows_none(rows);
}

static bool is_even(const void *of, size_t row)
{
    (void)of;
    return row % 2 == 0;
}

static int added_write(lk_added *added, linkd_error *err)
{
    linkd_table *table = NULL;
    lk_output *output = NULL;
    int rc;

    file_write("in.csv", "id,name\na,x\nb,\nc,z\n");
    assert_int_equal(
        linkd_table_read("in.csv", LINKD_FORMAT_CSV, NULL, NULL, &table, err),
        LINKD_OK);
    assert_int_equal(lk_output_open("out", NULL, 0, &output, err), LINKD_OK);
    rc = lk_rows_write_added(table, added, output, LINKD_FORMAT_CSV, err);
    if (rc == LINKD_OK)
        rc = lk_output_commit(&output, 1, err);
    lk_output_close(output);
    linkd_table_free(table);
    return rc;
}

static void a_table_is_written_with_columns_added(void **state)
{
    static const linkd_str names[] = {{"n", 1}, {"m", 1}};
    uint64_t first = 5;
    lk_added added = {
        .columns = names, .n_columns = 2, .cells_add = row_add, .of = &first};
    linkd_error err;
    char *text;

    (void)state;
    assert_int_equal(added_write(&added, &err), LINKD_OK);
    text = file_read("out", NULL);
    assert_string_equal(text, "id,name,n,m\na,x,5,\nb,,6,\nc,z,7,\n");
    free(text);
    added.takes = is_even;
    assert_int_equal(added_write(&added, &err), LINKD_OK);
    text = file_read("out", NULL);
    assert_string_equal(text, "id,name,n,m\na,x,5,\nc,z,7,\n");
    free(text);
}

int main(void)
{
#define TEST(name)                                                             \
 cmocka_unit_test_setup_teardown(name, scratch_dir_enter, scratch_dir_leave)
    const struct CMUnitTest tests[] = {
        TEST(csv_quotes_what_needs_it_and_nothing_else),
        TEST(tsv_quotes_tabs_but_no_commas),
        TEST(a_lone_empty_cell_does_not_become_a_blank_line),
        TEST(json_lines_escape_and_name_their_members),
        TEST(json_values_go_through_json_lines_unchanged),
        TEST(scores_have_six_decimals_and_no_negative_zero),
        TEST(the_ending_of_a_name_tells_the_format),
        TEST(a_table_is_written_with_columns_added),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
