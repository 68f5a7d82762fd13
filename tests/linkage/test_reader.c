#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

#include "linkage/linkage.h"
#include "tests/linkage/scratch.h"
#include "tests/support/alloc_fail.h"

/* ---- arranging and asserting -------------------------------------------- */

/* A record as "1:2 a|b": row, line, cells; "~" is a missing cell and "=" stands
 * before a literal. */
static void record_show(const linkd_record *record, lk_buf *ret_text)
{
    assert_int_equal(lk_buf_printf(ret_text, NULL, "%u:%u ",
                                   (unsigned)record->row,
                                   (unsigned)record->line),
                     LINKD_OK);
    for (size_t i = 0; i < record->n_cells; i++) {
        static const char *const marks[] = {"", "~", "="};
        linkd_cell cell = record->cells[i];

        assert_int_equal(lk_buf_printf(ret_text, NULL, "%s%s%.*s",
                                       i > 0 ? "|" : "", marks[cell.kind],
                                       (int)cell.len, cell.bytes),
                         LINKD_OK);
    }
    assert_int_equal(lk_buf_append(ret_text, "\n", 1, NULL), LINKD_OK);
}

/* Reads the whole file; `ret_text` takes what the records are. */
static int file_read(const char *path, lk_buf *ret_text, linkd_error *err)
{
    linkd_reader *reader = NULL;
    linkd_record record;
    bool more = true;
    int rc = linkd_reader_open(path, LINKD_FORMAT_AUTO, &reader, err);

    while (rc == LINKD_OK && more) {
        rc = linkd_reader_next(reader, &record, &more, err);
        if (rc == LINKD_OK && more && ret_text != NULL)
            record_show(&record, ret_text);
    }
    linkd_reader_close(reader);
    return rc;
}

static void assert_file_reads(const char *path, const char *records)
{
    lk_buf text = {0};
    linkd_error err = {0};
    int rc = file_read(path, &text, &err);

    assert_string_equal(err.message, "");
    assert_int_equal(rc, LINKD_OK);
    assert_string_equal(text.data, records);
    lk_buf_clear(&text);
}

static void assert_file_fails(const char *path, int code, const char *message)
{
    linkd_error err = {0};
    int rc = file_read(path, NULL, &err);

    assert_string_equal(err.message, message);
    assert_int_equal(rc, code);
    assert_int_equal(err.code, code);
}

static void assert_csv_reads(const char *bytes, const char *records)
{
    scratch_write_text("t.csv", bytes);
    assert_file_reads("t.csv", records);
}

static void assert_csv_fails(const char *bytes, const char *message)
{
    scratch_write_text("t.csv", bytes);
    assert_file_fails("t.csv", LINKD_E_DATA, message);
}

static void assert_jsonl_reads(const char *bytes, const char *records)
{
    scratch_write_text("t.jsonl", bytes);
    assert_file_reads("t.jsonl", records);
}

static void assert_jsonl_fails(const char *bytes, const char *message)
{
    scratch_write_text("t.jsonl", bytes);
    assert_file_fails("t.jsonl", LINKD_E_DATA, message);
}

/* `n` times the byte between two texts. */
static char *padded(const char *before, size_t n, const char *after)
{
    size_t len = strlen(before);
    char *bytes = malloc(len + n + strlen(after) + 1);

    assert_non_null(bytes);
    memcpy(bytes, before, len);
    memset(bytes + len, 'x', n);
    memcpy(bytes + len + n, after, strlen(after) + 1);
    return bytes;
}

/* ---- csv that works ----------------------------------------------------- */

static void a_csv_file_gives_its_records_with_row_and_line(void **state)
{
    (void)state;
    assert_csv_reads("id,name\n1,a\n2,b\n", "1:2 1|a\n2:3 2|b\n");
}

static void bytes_in_memory_read_like_a_file(void **state)
{
    static const char bytes[] = "id,name\n1,Acme\n2,\"B, Inc\"\n3\n";
    linkd_str memory = {bytes, sizeof(bytes) - 1};
    linkd_reader *reader = NULL;
    lk_buf text = {0};
    linkd_record record;
    linkd_error err;
    bool more = true;

    (void)state;
    assert_int_equal(linkd_reader_open_bytes("the body", memory,
                                             LINKD_FORMAT_CSV, &reader, &err),
                     LINKD_OK);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(linkd_reader_next(reader, &record, &more, &err),
                         LINKD_OK);
        record_show(&record, &text);
    }
    assert_string_equal(text.data, "1:2 1|Acme\n2:3 2|B, Inc\n");
    assert_int_equal(linkd_reader_next(reader, &record, &more, &err),
                     LINKD_E_DATA);
    assert_memory_equal(err.message, "the body: row 3 (line 4)", 24);
    linkd_reader_close(reader);
    lk_buf_clear(&text);
}

static void the_last_line_needs_no_line_end(void **state)
{
    (void)state;
    assert_csv_reads("a,b\n1,2", "1:2 1|2\n");
    assert_csv_reads("a,b\n1,", "1:2 1|\n");
    assert_csv_reads("a,b\n1,\"2\"", "1:2 1|2\n");
}

static void any_kind_of_line_end_ends_a_line(void **state)
{
    (void)state;
    assert_csv_reads("a,b\r\n1,2\r\n3,4\r\n", "1:2 1|2\n2:3 3|4\n");
    assert_csv_reads("a,b\r1,2\r3,4\r", "1:2 1|2\n2:3 3|4\n");
    assert_csv_reads("a,b\n1,2\r\n3,4\r5,6", "1:2 1|2\n2:3 3|4\n3:4 5|6\n");
}

static void a_byte_order_mark_is_not_part_of_the_first_name(void **state)
{
    linkd_reader *reader;

    (void)state;
    scratch_write_text("t.csv", "\xEF\xBB\xBF\"id\",b\n1,2\n");
    assert_int_equal(
        linkd_reader_open("t.csv", LINKD_FORMAT_AUTO, &reader, NULL), LINKD_OK);
    assert_int_equal(linkd_reader_n_columns(reader), 2);
    assert_int_equal(linkd_reader_column(reader, 0).len, 2);
    assert_memory_equal(linkd_reader_column(reader, 0).bytes, "id", 2);
    linkd_reader_close(reader);
}

static void blank_lines_are_no_records_but_count_as_lines(void **state)
{
    (void)state;
    assert_csv_reads("\n  \na,b\n\n1,2\n \t \n3,4\n\n", "1:5 1|2\n2:7 3|4\n");
}

static void an_empty_cell_of_a_lone_column_is_written_in_quotes(void **state)
{
    (void)state;
    assert_csv_reads("a\n\n\"\"\nx\n", "1:3 \n2:4 x\n");
}

static void spaces_belong_to_the_field(void **state)
{
    (void)state;
    assert_csv_reads("a,b\n 1 ,\t2\n\"  3 \",4\n", "1:2  1 |\t2\n2:3   3 |4\n");
}

static void quotes_protect_delimiters_quotes_and_line_ends(void **state)
{
    (void)state;
    assert_csv_reads(
        "a,b\n\"x,y\",\"say \"\"hi\"\"\"\n\"1\r\n2\n\n3\",z\nq,r\n",
        "1:2 x,y|say \"hi\"\n2:3 1\r\n2\n\n3|z\n3:7 q|r\n");
}

static void a_quote_inside_an_unquoted_field_is_taken_literally(void **state)
{
    (void)state;
    assert_csv_reads("a,b\n5\" disk,say \"hi\"\n \"x\",y\n",
                     "1:2 5\" disk|say \"hi\"\n2:3  \"x\"|y\n");
}

static void spaces_behind_a_closing_quote_are_dropped(void **state)
{
    (void)state;
    assert_csv_reads("a,b\n\"1\"  ,\"2\" \n\"3\"\t,4\n", "1:2 1|2\n2:3 3|4\n");
}

static void one_column_may_have_no_name(void **state)
{
    (void)state;
    assert_csv_reads(",name\n0,x\n", "1:2 0|x\n");
}

static void tsv_differs_in_the_delimiter_only(void **state)
{
    (void)state;
    scratch_write_text("t.tsv", "a\tb\n1,5\t\"x\ty\"\n\t\n");
    assert_file_reads("t.tsv", "1:2 1,5|x\ty\n2:3 |\n");
}

static void the_format_is_told_by_the_ending_in_any_case(void **state)
{
    (void)state;
    scratch_write_text("T.TSV", "a\tb\n1\t2\n");
    assert_file_reads("T.TSV", "1:2 1|2\n");
    scratch_write_text("t.NDJSON", "{\"a\": \"x\"}\n");
    assert_file_reads("t.NDJSON", "1:1 x\n");
    scratch_write_text("t.txt", "a,b\n1,2\n");
    assert_file_reads("t.txt", "1:2 1|2\n");
}

static void text_of_any_script_passes_unchanged(void **state)
{
    (void)state;
    assert_csv_reads("a,b\n\xC3\xA9t\xC3\xA9,\xE6\x9D\xB1\xE4\xBA\xAC\n"
                     "\xD7\x92'\xD7\x95,\xF0\x9F\x98\x80\n",
                     "1:2 \xC3\xA9t\xC3\xA9|\xE6\x9D\xB1\xE4\xBA\xAC\n"
                     "2:3 \xD7\x92'\xD7\x95|\xF0\x9F\x98\x80\n");
}

static void lines_longer_than_the_window_are_read_whole(void **state)
{
    char *bytes = padded("a,b\n1,2\n3,", 700000, "\n4,5\n");
    linkd_reader *reader;
    linkd_record record;
    bool more;

    (void)state;
    scratch_write_text("t.csv", bytes);
    assert_int_equal(
        linkd_reader_open("t.csv", LINKD_FORMAT_AUTO, &reader, NULL), LINKD_OK);
    for (int i = 0; i < 2; i++)
        assert_int_equal(linkd_reader_next(reader, &record, &more, NULL),
                         LINKD_OK);
    assert_int_equal(record.cells[1].len, 700000);
    assert_int_equal(linkd_reader_next(reader, &record, &more, NULL), LINKD_OK);
    assert_int_equal(record.line, 4);
    assert_memory_equal(record.cells[1].bytes, "5", 1);
    linkd_reader_close(reader);
    free(bytes);
}

/* Wherever the window ends, in a CRLF too, the line numbers stay right. */
static void a_line_end_across_the_windows_end_is_counted_once(void **state)
{
    (void)state;
    for (size_t n = (256 << 10) - 14; n < (256 << 10) + 2; n++) {
        char *bytes = padded("a,b\r\n\"", n, "\",2\r\n3,4,5\r\n");

        assert_csv_fails(
            bytes, "t.csv: row 2 (line 3): 3 fields where the header has 2");
        free(bytes);
    }
}

static void a_row_of_a_million_empty_cells_is_read(void **state)
{
    lk_buf bytes = {0};
    linkd_reader *reader;
    linkd_record record;
    bool more;

    (void)state;
    for (int i = 0; i < 1000000; i++)
        assert_int_equal(lk_buf_printf(&bytes, NULL, i > 0 ? ",c%d" : "c%d", i),
                         LINKD_OK);
    assert_int_equal(lk_buf_append(&bytes, "\n", 1, NULL), LINKD_OK);
    for (int i = 0; i < 999999; i++)
        assert_int_equal(lk_buf_append(&bytes, ",", 1, NULL), LINKD_OK);
    scratch_write("t.csv", bytes.data, bytes.len);
    assert_int_equal(
        linkd_reader_open("t.csv", LINKD_FORMAT_AUTO, &reader, NULL), LINKD_OK);
    assert_int_equal(linkd_reader_next(reader, &record, &more, NULL), LINKD_OK);
    assert_int_equal(record.n_cells, 1000000);
    assert_int_equal(record.cells[999999].len, 0);
    linkd_reader_close(reader);
    lk_buf_clear(&bytes);
}

static void progress_is_known_in_bytes(void **state)
{
    linkd_reader *reader;
    linkd_record record;
    bool more;

    (void)state;
    scratch_write_text("t.csv", "a,b\n1,2\n3,4\n");
    assert_int_equal(
        linkd_reader_open("t.csv", LINKD_FORMAT_AUTO, &reader, NULL), LINKD_OK);
    assert_int_equal(linkd_reader_bytes_total(reader), 12);
    assert_int_equal(linkd_reader_next(reader, &record, &more, NULL), LINKD_OK);
    assert_int_equal(linkd_reader_bytes_done(reader), 8);
    linkd_reader_close(reader);
}

static void standard_input_is_read_in_whatever_parts_it_comes(void **state)
{
    int ends[2], saved = dup(STDIN_FILENO);
    linkd_reader *reader;
    linkd_record record;
    bool more;

    (void)state;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(dup2(ends[0], STDIN_FILENO), STDIN_FILENO);
    assert_int_equal(write(ends[1], "a", 1), 1);
    assert_int_equal(write(ends[1], ",b\n1,2\n", 7), 7);
    (void)close(ends[1]);
    assert_int_equal(linkd_reader_open("-", LINKD_FORMAT_AUTO, &reader, NULL),
                     LINKD_OK);
    assert_int_equal(linkd_reader_next(reader, &record, &more, NULL), LINKD_OK);
    assert_memory_equal(record.cells[1].bytes, "2", 1);
    assert_int_equal(linkd_reader_bytes_total(reader), 0);
    assert_int_equal(linkd_reader_next(reader, &record, &more, NULL), LINKD_OK);
    assert_false(more);
    linkd_reader_close(reader);
    (void)dup2(saved, STDIN_FILENO);
    (void)close(saved);
    (void)close(ends[0]);
}

static void on_alarm(int signal_number)
{
    (void)signal_number;
}

/* Ctrl-C must end a program that waits for its terminal. */
static void a_signal_ends_a_read_that_waits(void **state)
{
    const struct sigaction action = {.sa_handler = on_alarm};
    const struct itimerval often = {{0, 5000}, {0, 5000}}, never = {{0}, {0}};
    struct sigaction before;
    linkd_reader *reader = NULL;
    linkd_error err = {0};
    int ends[2], rc;
    char path[32];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", ends[0]);
    assert_int_equal(sigaction(SIGALRM, &action, &before), 0);
    assert_int_equal(setitimer(ITIMER_REAL, &often, NULL), 0);
    rc = linkd_reader_open(path, LINKD_FORMAT_CSV, &reader, &err);
    assert_int_equal(setitimer(ITIMER_REAL, &never, NULL), 0);
    assert_int_equal(sigaction(SIGALRM, &before, NULL), 0);
    assert_int_equal(rc, LINKD_E_CANCELLED);
    assert_string_equal(err.message, "interrupted");
    assert_null(reader);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

/* ---- csv that does not -------------------------------------------------- */

static void a_missing_file_is_named(void **state)
{
    (void)state;
    assert_file_fails("none.csv", LINKD_E_IO,
                      "could not open none.csv: No such file or directory");
}

static void a_directory_is_no_table(void **state)
{
    (void)state;
    assert_int_equal(mkdir("dir.csv", 0700), 0);
    assert_file_fails("dir.csv", LINKD_E_IO,
                      "could not read dir.csv: Is a directory");
}

static void a_long_path_is_shown_by_its_end(void **state)
{
    char path[200], message[200];
    linkd_error err;

    (void)state;
    memset(path, 'p', sizeof(path));
    memcpy(path + sizeof(path) - 5, ".csv", 5);
    assert_int_equal(file_read(path, NULL, &err), LINKD_E_IO);
    memcpy(message, "could not open ...", 18);
    memset(message + 18, 'p', 56);
    memcpy(message + 74, ".csv: ", 7);
    assert_memory_equal(err.message, message, 80);
}

static void an_empty_file_is_an_error(void **state)
{
    (void)state;
    assert_csv_fails("", "t.csv: file is empty");
    assert_csv_fails("\n \n", "t.csv: file is empty");
    assert_csv_fails("\xEF\xBB\xBF", "t.csv: file is empty");
}

static void a_header_without_rows_is_an_error(void **state)
{
    (void)state;
    assert_csv_fails("a,b\n", "t.csv: file has a header but no rows");
    assert_csv_fails("a,b", "t.csv: file has a header but no rows");
}

static void a_ragged_row_is_named_by_row_and_line(void **state)
{
    (void)state;
    assert_csv_fails("a,b,c\n1,2,\"x\ny\"\n\n1\n",
                     "t.csv: row 2 (line 5): 1 field where the header has 3");
    assert_csv_fails("a,b\n1,2,3\n",
                     "t.csv: row 1 (line 2): 3 fields where the header has 2");
}

static void an_unterminated_quote_is_named_by_its_line(void **state)
{
    (void)state;
    assert_csv_fails("a,b\n1,2\n3,\"x\ny\nz\n",
                     "t.csv: row 2 (line 3), column \"b\": quote opened at "
                     "line 3 is never closed");
    assert_csv_fails("a,b\n\"1\n\n\",\"x\n",
                     "t.csv: row 1 (line 2), column \"b\": quote opened at "
                     "line 4 is never closed");
    assert_csv_fails("a,\"b\n1,2\n",
                     "t.csv: header (line 1), field 2: quote opened at line 1 "
                     "is never closed");
}

static void text_behind_a_closing_quote_is_an_error(void **state)
{
    (void)state;
    assert_csv_fails("a,b\n1,\"x\"y\n",
                     "t.csv: row 1 (line 2), column \"b\": text after the "
                     "closing quote of a field");
    assert_csv_fails("a,b\n\"x\" \"y\",1\n",
                     "t.csv: row 1 (line 2), column \"a\": text after the "
                     "closing quote of a field");
}

static void invalid_utf8_is_named_by_its_byte(void **state)
{
    (void)state;
    assert_csv_fails("id,name\n1,abcdefghijk\xE9\n",
                     "t.csv: row 1 (line 2), column \"name\": invalid UTF-8 at "
                     "byte 12");
    assert_csv_fails(
        "id,na\xFFme\n1,2\n",
        "t.csv: header (line 1), field 2: invalid UTF-8 at byte 3");
    assert_csv_fails(",b\n\xC3,\xA9\n",
                     "t.csv: row 1 (line 2), field 1: invalid UTF-8 at byte 1");
}

static void a_nul_byte_is_named_by_its_byte(void **state)
{
    static const char bytes[] = "id,name\n1,ab\0c\n";

    (void)state;
    scratch_write("t.csv", bytes, sizeof(bytes) - 1);
    assert_file_fails("t.csv", LINKD_E_DATA,
                      "t.csv: row 1 (line 2), column \"name\": NUL at byte 3");
}

static void repeated_and_empty_names_are_errors(void **state)
{
    (void)state;
    assert_csv_fails("a,b,a\n1,2,3\n", "t.csv: header (line 1): fields 1 and 3 "
                                       "have the same name \"a\"");
    assert_csv_fails("a,,\n1,2,3\n",
                     "t.csv: header (line 1): fields 2 and 3 have no name");
}

static void a_header_without_a_comma_tells_the_separator(void **state)
{
    (void)state;
    assert_csv_reads("id;name\n1;a, b\n2;\"c;d\"\n", "1:2 1|a, b\n2:3 2|c;d\n");
    assert_csv_reads("\xEF\xBB\xBF\nid;\"last, first\"\r\n1;a\r\n",
                     "1:3 1|a\n");
    assert_csv_reads("id\tname\n1\ta;b\n", "1:2 1|a;b\n");
    assert_csv_reads("\"a;b\"\n1\n", "1:2 1\n");
    assert_csv_fails("id;name\n1,a\n", "t.csv: row 1 (line 2): 1 field where "
                                       "the header has 2");
}

static void a_comma_in_the_header_wins_over_other_separators(void **state)
{
    (void)state;
    assert_csv_reads("id,a;b\n1,2\n", "1:2 1|2\n");
    assert_csv_reads("id,a\tb\n1,2\n", "1:2 1|2\n");
    /* a line of blanks before it is none */
    assert_csv_reads("\t\nid,a\n1,2\n", "1:3 1|2\n");
}

static void a_line_of_excel_names_the_separator(void **state)
{
    (void)state;
    assert_csv_reads("sep=;\r\nid;a,b\r\n1;2\r\n", "1:3 1|2\n");
    assert_csv_reads("\"SEP=|\"\nid|a;b\n1|2\n", "1:3 1|2\n");
    assert_csv_reads("sep=,\nid,a;b\n1,2\n", "1:3 1|2\n");
    assert_csv_reads("sep=x\n1\n", "1:2 1\n");
    assert_csv_fails("sep=;\n", "t.csv: file is empty");
}

static void a_name_that_would_break_the_message_is_made_harmless(void **state)
{
    (void)state;
    assert_csv_fails("\"a\nb\",c\n\xFF,1\n",
                     "t.csv: row 1 (line 3), column \"a?b\": invalid UTF-8 at "
                     "byte 1");
}

static void a_field_over_the_limit_is_refused_while_it_grows(void **state)
{
    char *bytes = padded("a,b\n1,\"", (size_t)17 << 20, "\n");

    (void)state;
    assert_csv_fails(bytes,
                     "t.csv: row 1 (line 2), column \"b\": field is larger "
                     "than 16 MiB; is a quote left open at line 2?");
    memcpy(bytes, "a,b\n1,xx", 8);
    assert_csv_fails(bytes, "t.csv: row 1 (line 2), column \"b\": field is "
                            "larger than 16 MiB");
    free(bytes);
}

static void a_field_at_the_limit_is_read(void **state)
{
    char *bytes = padded("a,b\n1,\"", LINKD_FIELD_MAX_BYTES, "\"\n");
    linkd_error err = {0};

    (void)state;
    scratch_write_text("t.csv", bytes);
    assert_int_equal(file_read("t.csv", NULL, &err), LINKD_OK);
    free(bytes);
}

static void a_row_over_the_limit_is_refused(void **state)
{
    lk_buf bytes = {0};
    char *field = padded("\n", (size_t)14 << 20, "");

    (void)state;
    assert_int_equal(lk_buf_append(&bytes, "a,b,c,d,e", 9, NULL), LINKD_OK);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(lk_buf_append(&bytes, field, strlen(field), NULL),
                         LINKD_OK);
        field[0] = ',';
    }
    scratch_write("t.csv", bytes.data, bytes.len);
    assert_file_fails("t.csv", LINKD_E_DATA,
                      "t.csv: row 1 (line 2): row is larger than 64 MiB");
    lk_buf_clear(&bytes);
    free(field);
}

static void other_kinds_of_file_are_told_by_their_first_bytes(void **state)
{
    (void)state;
    assert_csv_fails("\x1F\x8B\x08",
                     "t.csv: file is gzip-compressed, unpack it "
                     "first");
    assert_csv_fails("PK\x03\x04", "t.csv: file is a zip or Excel file, export "
                                   "it as CSV first");
    assert_csv_fails("PAR1\x15",
                     "t.csv: file is a Parquet file, export it as CSV first");
    assert_csv_fails("BZh91AY&SY\x8A",
                     "t.csv: file is bzip2-compressed, unpack it first");
    assert_csv_fails("\xFF\xFE"
                     "a",
                     "t.csv: file is UTF-16, convert it to UTF-8 first");
}

static void letters_that_other_kinds_begin_with_may_be_a_name(void **state)
{
    (void)state;
    assert_csv_reads("PAR1,x\n1,2\n", "1:2 1|2\n");
    assert_csv_reads("PAR1\n1\n", "1:2 1\n");
    assert_csv_reads("BZhID\n1\n", "1:2 1\n");
    assert_csv_reads("BZh9,1AY&SY\n1,2\n", "1:2 1|2\n");
}

/* ---- jsonl -------------------------------------------------------------- */

static void a_json_line_gives_a_record_with_columns_as_they_come(void **state)
{
    (void)state;
    assert_jsonl_reads("{\"id\": \"1\", \"n\": \"a\"}\n"
                       "\n"
                       "{\"x\": \"c\", \"id\": \"2\"}\r\n"
                       "{}",
                       "1:1 1|a\n2:3 2|~|c\n3:4 ~|~|~\n");
}

static void json_literals_keep_their_spelling(void **state)
{
    (void)state;
    assert_jsonl_reads(
        "{\"a\": 1.10, \"b\":-0 ,\"c\":12345678901234567890123, \"d\": 1E+2,"
        " \"e\": true, \"f\": false, \"g\": null}",
        "1:1 =1.10|=-0|=12345678901234567890123|=1E+2|=true|=false|~\n");
}

static void json_strings_are_unescaped(void **state)
{
    (void)state;
    assert_jsonl_reads("{\"\\u00e9\\\"}{\": \"a\\tb, \\ud83d\\ude00\","
                       " \"b\": \"\"}",
                       "1:1 a\tb, \xF0\x9F\x98\x80|\n");
}

static void json_containers_are_compact_text(void **state)
{
    (void)state;
    assert_jsonl_reads(
        "{\"a\": [ 1.50 , \"x y\", {\"k\" : [ ] } ],"
        " \"b\": {\"q\\\"]\": \"caf\\u00e9 \\ud83d\\ude00 \\u0041\"}, \"c\": "
        "1}",
        "1:1 =[1.50,\"x y\",{\"k\":[]}]|"
        "={\"q\\\"]\":\"caf\xC3\xA9 \xF0\x9F\x98\x80 \\u0041\"}|=1\n");
}

static void a_json_line_longer_than_the_window_is_read_whole(void **state)
{
    char *bytes = padded("{\"a\":\"", 700000, "\",\"b\": 7}\n{\"b\": 8}\n");
    linkd_reader *reader;
    linkd_record record;
    bool more;

    (void)state;
    scratch_write_text("t.jsonl", bytes);
    assert_int_equal(
        linkd_reader_open("t.jsonl", LINKD_FORMAT_AUTO, &reader, NULL),
        LINKD_OK);
    assert_int_equal(linkd_reader_next(reader, &record, &more, NULL), LINKD_OK);
    assert_int_equal(record.cells[0].len, 700000);
    assert_memory_equal(record.cells[1].bytes, "7", 1);
    assert_int_equal(linkd_reader_next(reader, &record, &more, NULL), LINKD_OK);
    assert_int_equal(record.line, 2);
    linkd_reader_close(reader);
    free(bytes);
}

static void an_empty_jsonl_file_is_an_error(void **state)
{
    (void)state;
    assert_jsonl_fails("", "t.jsonl: file is empty");
    assert_jsonl_fails("\n\n", "t.jsonl: file has no records");
}

static void bad_json_is_named_by_row_and_line(void **state)
{
    (void)state;
    assert_jsonl_fails("{\"a\": 1}\n\n{\"a\": }\n",
                       "t.jsonl: row 2 (line 3): invalid JSON at byte 7: "
                       "unexpected token near '}'");
    assert_jsonl_fails("{\"a\": 1}\n[1, 2]\n",
                       "t.jsonl: row 2 (line 2): an array where a JSON object "
                       "should be");
    assert_jsonl_fails("{\"a\": 1, \"a\": 2}\n",
                       "t.jsonl: row 1 (line 1): invalid JSON at byte 12: "
                       "duplicate object key near '\"a\"'");
    assert_jsonl_fails("{\"a\": 1} {\n",
                       "t.jsonl: row 1 (line 1): invalid JSON at byte 10: end "
                       "of file expected near '{'");
}

static void a_json_array_is_told_from_json_lines(void **state)
{
    (void)state;
    assert_jsonl_fails("[{\"a\": 1}]\n", "t.jsonl: file is a JSON array, make "
                                         "JSON lines of it first");
    assert_jsonl_fails("\n [\n{\"a\": 1}\n]\n",
                       "t.jsonl: file is a JSON array, make JSON lines of it "
                       "first");
}

static void bytes_that_are_no_text_fail_in_jsonl_too(void **state)
{
    (void)state;
    assert_jsonl_fails("{\"a\": \"x\xFF\"}\n",
                       "t.jsonl: row 1 (line 1): invalid UTF-8 at byte 9");
    assert_jsonl_fails("{\"a\": \"x\\u0000\"}\n",
                       "t.jsonl: row 1 (line 1): NUL (\\u0000) at byte 15");
    scratch_write("t.jsonl", "{\"a\0\": 1}\n", 10);
    assert_file_fails("t.jsonl", LINKD_E_DATA,
                      "t.jsonl: row 1 (line 1): NUL at byte 4");
}

static void json_that_is_nested_without_end_is_refused(void **state)
{
    lk_buf bytes = {0};
    linkd_error err;

    (void)state;
    assert_int_equal(lk_buf_append(&bytes, "{\"a\":", 5, NULL), LINKD_OK);
    for (int i = 0; i < 100000; i++)
        assert_int_equal(lk_buf_append(&bytes, "[", 1, NULL), LINKD_OK);
    scratch_write("t.jsonl", bytes.data, bytes.len);
    assert_int_equal(file_read("t.jsonl", NULL, &err), LINKD_E_DATA);
    assert_non_null(strstr(err.message, "maximum parsing depth"));
    lk_buf_clear(&bytes);
}

static void a_json_line_or_field_over_the_limit_is_refused(void **state)
{
    char *bytes = padded("{\"a\":\"", (size_t)17 << 20, "\"}");

    (void)state;
    assert_jsonl_fails(bytes, "t.jsonl: row 1 (line 1), column \"a\": field is "
                              "larger than 16 MiB");
    free(bytes);
    bytes = padded("{\"a\":\"", (size_t)65 << 20, "\"}");
    assert_jsonl_fails(bytes,
                       "t.jsonl: row 1 (line 1): line is larger than 64 MiB");
    free(bytes);
}

static void jsonl_columns_have_a_limit(void **state)
{
    lk_buf bytes = {0};

    (void)state;
    for (int i = 0; i <= 4096; i++)
        assert_int_equal(lk_buf_printf(&bytes, NULL, "{\"k%d\":1}\n", i),
                         LINKD_OK);
    scratch_write("t.jsonl", bytes.data, bytes.len);
    assert_file_fails(
        "t.jsonl", LINKD_E_DATA,
        "t.jsonl: row 4097 (line 4097): more than 4096 different keys so far");
    lk_buf_clear(&bytes);
}

/* ---- memory ------------------------------------------------------------- */

static void assert_every_failed_allocation_is_reported(const char *path)
{
    for (size_t n = 1;; n++) {
        linkd_error err = {0};
        int rc;

        alloc_fail_at(n);
        rc = file_read(path, NULL, &err);
        if (!alloc_fail_off()) {
            assert_int_equal(rc, LINKD_OK);
            assert_true(n > 4);
            break;
        }
        assert_int_equal(rc, LINKD_E_NOMEM);
        assert_int_equal(err.code, LINKD_E_NOMEM);
    }
}

static linkd_reader *reader_of(const char *path, const char *bytes)
{
    linkd_reader *reader = NULL;

    scratch_write_text(path, bytes);
    assert_int_equal(linkd_reader_open(path, LINKD_FORMAT_AUTO, &reader, NULL),
                     LINKD_OK);
    return reader;
}

static size_t column_of(const linkd_reader *reader, const char *name)
{
    return linkd_reader_find_column(reader, (linkd_str){name, strlen(name)});
}

static void a_column_is_found_once_it_was_seen(void **state)
{
    linkd_reader *csv = reader_of("t.csv", "id,,name\n1,2,3\n");
    linkd_reader *jsonl = reader_of("t.jsonl", "{\"id\": 1}\n{\"k\": 2}\n");
    linkd_record record;
    bool more;

    (void)state;
    assert_int_equal(column_of(csv, "name"), 2);
    assert_int_equal(column_of(csv, ""), 1);
    assert_int_equal(column_of(csv, "nam"), LINKD_COLUMN_NONE);
    assert_int_equal(column_of(csv, "Name"), LINKD_COLUMN_NONE);
    assert_int_equal(column_of(jsonl, "id"), LINKD_COLUMN_NONE);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(column_of(jsonl, "k"), LINKD_COLUMN_NONE);
        assert_int_equal(linkd_reader_next(jsonl, &record, &more, NULL),
                         LINKD_OK);
    }
    assert_int_equal(column_of(jsonl, "k"), 1);
    linkd_reader_close(jsonl);
    linkd_reader_close(csv);
}

static void running_out_of_memory_is_an_error_at_every_point(void **state)
{
    char *bytes = padded("{\"a\":\"", 300000, "\",\"b\": [1, 2]}\n");

    (void)state;
    scratch_write_text("t.csv", "a,b\n1,2\n3,some longer text than before\n");
    assert_every_failed_allocation_is_reported("t.csv");
    scratch_write_text("t.jsonl", bytes);
    assert_every_failed_allocation_is_reported("t.jsonl");
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_csv_file_gives_its_records_with_row_and_line),
        cmocka_unit_test(bytes_in_memory_read_like_a_file),
        cmocka_unit_test(the_last_line_needs_no_line_end),
        cmocka_unit_test(any_kind_of_line_end_ends_a_line),
        cmocka_unit_test(a_byte_order_mark_is_not_part_of_the_first_name),
        cmocka_unit_test(blank_lines_are_no_records_but_count_as_lines),
        cmocka_unit_test(an_empty_cell_of_a_lone_column_is_written_in_quotes),
        cmocka_unit_test(spaces_belong_to_the_field),
        cmocka_unit_test(quotes_protect_delimiters_quotes_and_line_ends),
        cmocka_unit_test(a_quote_inside_an_unquoted_field_is_taken_literally),
        cmocka_unit_test(spaces_behind_a_closing_quote_are_dropped),
        cmocka_unit_test(one_column_may_have_no_name),
        cmocka_unit_test(tsv_differs_in_the_delimiter_only),
        cmocka_unit_test(the_format_is_told_by_the_ending_in_any_case),
        cmocka_unit_test(text_of_any_script_passes_unchanged),
        cmocka_unit_test(lines_longer_than_the_window_are_read_whole),
        cmocka_unit_test(a_line_end_across_the_windows_end_is_counted_once),
        cmocka_unit_test(a_row_of_a_million_empty_cells_is_read),
        cmocka_unit_test(progress_is_known_in_bytes),
        cmocka_unit_test(standard_input_is_read_in_whatever_parts_it_comes),
        cmocka_unit_test(a_signal_ends_a_read_that_waits),
        cmocka_unit_test(a_missing_file_is_named),
        cmocka_unit_test(a_directory_is_no_table),
        cmocka_unit_test(a_long_path_is_shown_by_its_end),
        cmocka_unit_test(an_empty_file_is_an_error),
        cmocka_unit_test(a_header_without_rows_is_an_error),
        cmocka_unit_test(a_ragged_row_is_named_by_row_and_line),
        cmocka_unit_test(an_unterminated_quote_is_named_by_its_line),
        cmocka_unit_test(text_behind_a_closing_quote_is_an_error),
        cmocka_unit_test(invalid_utf8_is_named_by_its_byte),
        cmocka_unit_test(a_nul_byte_is_named_by_its_byte),
        cmocka_unit_test(repeated_and_empty_names_are_errors),
        cmocka_unit_test(a_header_without_a_comma_tells_the_separator),
        cmocka_unit_test(a_comma_in_the_header_wins_over_other_separators),
        cmocka_unit_test(a_line_of_excel_names_the_separator),
        cmocka_unit_test(a_name_that_would_break_the_message_is_made_harmless),
        cmocka_unit_test(a_field_over_the_limit_is_refused_while_it_grows),
        cmocka_unit_test(a_field_at_the_limit_is_read),
        cmocka_unit_test(a_row_over_the_limit_is_refused),
        cmocka_unit_test(other_kinds_of_file_are_told_by_their_first_bytes),
        cmocka_unit_test(letters_that_other_kinds_begin_with_may_be_a_name),
        cmocka_unit_test(a_json_line_gives_a_record_with_columns_as_they_come),
        cmocka_unit_test(json_literals_keep_their_spelling),
        cmocka_unit_test(json_strings_are_unescaped),
        cmocka_unit_test(json_containers_are_compact_text),
        cmocka_unit_test(a_json_line_longer_than_the_window_is_read_whole),
        cmocka_unit_test(an_empty_jsonl_file_is_an_error),
        cmocka_unit_test(bad_json_is_named_by_row_and_line),
        cmocka_unit_test(a_json_array_is_told_from_json_lines),
        cmocka_unit_test(bytes_that_are_no_text_fail_in_jsonl_too),
        cmocka_unit_test(json_that_is_nested_without_end_is_refused),
        cmocka_unit_test(a_json_line_or_field_over_the_limit_is_refused),
        cmocka_unit_test(jsonl_columns_have_a_limit),
        cmocka_unit_test(a_column_is_found_once_it_was_seen),
        cmocka_unit_test(running_out_of_memory_is_an_error_at_every_point),
    };

    return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
