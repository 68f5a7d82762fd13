/* cli/rows.c — records to CSV, TSV or JSON lines.
 *
 * CSV and TSV are quoted as RFC 4180 says, and also where a reader would
 * otherwise change a value: outer blanks, which some readers trim, and a lone
 * empty cell, which would be an empty line and so no row at all. Lines end in
 * a single line feed. JSON lines keep numbers, booleans and nested values of a
 * JSON input as they were. A row is put together in memory and written whole.
 */
#include "cli/rows.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

bool lk_path_ends_in(const char *path, const char *ending)
{
    size_t len = strlen(path);
    size_t n = strlen(ending);

    return len >= n && strcasecmp(path + len - n, ending) == 0;
}

linkd_format lk_rows_format(const char *path)
{
    static const struct {
        const char *ending;
        linkd_format format;
    } endings[] = {
        {".tsv", LINKD_FORMAT_TSV},
        {".jsonl", LINKD_FORMAT_JSONL},
        {".ndjson", LINKD_FORMAT_JSONL},
        {".json", LINKD_FORMAT_JSONL},
    };

    for (size_t i = 0; i < sizeof(endings) / sizeof(*endings); i++) {
        if (lk_path_ends_in(path, endings[i].ending))
            return endings[i].format;
    }
    return LINKD_FORMAT_CSV;
}

static void append(lk_rows *rows, const char *bytes, size_t len)
{
    if (rows->failed == LINKD_OK)
        rows->failed = lk_buf_append(&rows->line, bytes, len, NULL);
}

/* A member of the row's JSON object, up to and with its colon. */
static void member_begin(lk_rows *rows)
{
    append(rows, rows->line.len == 0 ? "{" : ", ", rows->line.len == 0 ? 1 : 2);
    if (rows->failed == LINKD_OK)
        rows->failed =
            lk_json_append(&rows->line, rows->columns[rows->next], NULL);
    append(rows, ": ", 2);
}

static void cell_begin(lk_rows *rows)
{
    LK_ASSERT(rows->next < rows->n_columns);
    if (rows->format == LINKD_FORMAT_JSONL)
        member_begin(rows);
    else if (rows->next > 0)
        append(rows, rows->format == LINKD_FORMAT_TSV ? "\t" : ",", 1);
    rows->next++;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static bool needs_quotes(const lk_rows *rows, linkd_str text)
{
    char separator = rows->format == LINKD_FORMAT_TSV ? '\t' : ',';

    if (text.len == 0)
        return rows->n_columns == 1;
    if (is_blank(text.bytes[0]) || is_blank(text.bytes[text.len - 1]))
        return true;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.bytes[i];

        if (c == separator || c == '"' || c == '\n' || c == '\r')
            return true;
    }
    return false;
}

static void quoted_append(lk_rows *rows, linkd_str text)
{
    size_t from = 0;

    append(rows, "\"", 1);
    for (size_t i = 0; i < text.len; i++) {
        if (text.bytes[i] != '"')
            continue;
        append(rows, text.bytes + from, i + 1 - from);
        from = i; /* once more: a quote is doubled */
    }
    append(rows, text.bytes + from, text.len - from);
    append(rows, "\"", 1);
}

void lk_rows_text(lk_rows *rows, linkd_str text)
{
    cell_begin(rows);
    if (rows->format == LINKD_FORMAT_JSONL) {
        if (rows->failed == LINKD_OK)
            rows->failed = lk_json_append(&rows->line, text, NULL);
    } else if (needs_quotes(rows, text)) {
        quoted_append(rows, text);
    } else if (text.len > 0) {
        append(rows, text.bytes, text.len);
    }
}

static void number_append(lk_rows *rows, const char *digits)
{
    cell_begin(rows);
    append(rows, digits, strlen(digits));
}

void lk_rows_count(lk_rows *rows, uint64_t n)
{
    char digits[24];

    (void)snprintf(digits, sizeof(digits), "%" PRIu64, n);
    number_append(rows, digits);
}

void lk_rows_score(lk_rows *rows, float score)
{
    char digits[64];

    (void)snprintf(digits, sizeof(digits), "%.6f", (double)score);
    number_append(rows, strcmp(digits, "-0.000000") == 0 ? digits + 1 : digits);
}

void lk_rows_none(lk_rows *rows)
{
    if (rows->format == LINKD_FORMAT_JSONL)
        number_append(rows, "null");
    else
        lk_rows_text(rows, (linkd_str){"", 0});
}

/* A record without the field: nothing in JSON, not even null. */
static void absent(lk_rows *rows)
{
    if (rows->format == LINKD_FORMAT_JSONL)
        rows->next++;
    else
        lk_rows_none(rows);
}

void lk_rows_cell(lk_rows *rows, linkd_cell cell)
{
    if (cell.kind == LINKD_CELL_MISSING) {
        absent(rows);
    } else if (cell.kind == LINKD_CELL_LITERAL &&
               rows->format == LINKD_FORMAT_JSONL) {
        cell_begin(rows);
        append(rows, cell.bytes, cell.len);
    } else {
        lk_rows_text(rows, (linkd_str){cell.bytes, cell.len});
    }
}

int lk_rows_end(lk_rows *rows, linkd_error *err)
{
    int rc;

    LK_ASSERT(rows->next == rows->n_columns);
    if (rows->format == LINKD_FORMAT_JSONL)
        append(rows, rows->line.len == 0 ? "{}" : "}",
               rows->line.len == 0 ? 2 : 1);
    append(rows, "\n", 1);
    if (rows->failed != LINKD_OK)
        return lk_fail_nomem(err);
    rc = lk_output_write(rows->output, rows->line.data, rows->line.len, err);
    lk_buf_reset(&rows->line);
    rows->next = 0;
    return rc;
}

int lk_rows_init(lk_rows *rows, lk_output *output, linkd_format format,
                 const linkd_str *columns, size_t n_columns, linkd_error *err)
{
    *rows = (lk_rows){.output = output,
                      .format = format,
                      .columns = columns,
                      .n_columns = n_columns};
    if (format == LINKD_FORMAT_JSONL)
        return LINKD_OK;
    for (size_t i = 0; i < n_columns; i++)
        lk_rows_text(rows, columns[i]);
    return lk_rows_end(rows, err);
}

void lk_rows_clear(lk_rows *rows)
{
    lk_buf_clear(&rows->line);
}

/* Length of the run of bytes that JSON takes as they are. */
static size_t plain_run(linkd_str text, size_t from)
{
    size_t i = from;

    while (i < text.len && (unsigned char)text.bytes[i] >= 0x20 &&
           text.bytes[i] != '"' && text.bytes[i] != '\\')
        i++;
    return i - from;
}

static int escape_append(lk_buf *buf, char c, linkd_error *err)
{
    switch (c) {
    case '"':
        return lk_buf_append(buf, "\\\"", 2, err);
    case '\\':
        return lk_buf_append(buf, "\\\\", 2, err);
    case '\n':
        return lk_buf_append(buf, "\\n", 2, err);
    case '\r':
        return lk_buf_append(buf, "\\r", 2, err);
    case '\t':
        return lk_buf_append(buf, "\\t", 2, err);
    default:
        return lk_buf_printf(buf, err, "\\u%04x", (unsigned)c);
    }
}

int lk_json_append(lk_buf *buf, linkd_str text, linkd_error *err)
{
    int rc = lk_buf_append(buf, "\"", 1, err);
    size_t at = 0;

    while (rc == LINKD_OK && at < text.len) {
        size_t n = plain_run(text, at);

        if (n > 0)
            rc = lk_buf_append(buf, text.bytes + at, n, err);
        at += n;
        if (rc == LINKD_OK && at < text.len)
            rc = escape_append(buf, text.bytes[at++], err);
    }
    if (rc != LINKD_OK)
        return rc;
    return lk_buf_append(buf, "\"", 1, err);
}

/* ---- a table with columns added ----------------------------------------- */

static int added_rows_write(const linkd_table *table, const lk_added *added,
                            lk_rows *rows, linkd_error *err)
{
    const size_t n_columns = linkd_table_n_columns(table);
    int rc = LINKD_OK;

    for (size_t row = 0; row < linkd_table_n_rows(table) && rc == LINKD_OK;
         row++) {
        if (added->takes != NULL && !added->takes(added->of, row))
            continue;
        for (size_t i = 0; i < n_columns; i++)
            lk_rows_cell(rows, linkd_table_cell(table, row, i));
        added->cells_add(added->of, rows, row);
        rc = lk_rows_end(rows, err);
    }
    return rc;
}

int lk_rows_write_added(const linkd_table *table, const lk_added *added,
                        lk_output *output, linkd_format format,
                        linkd_error *err)
{
    const size_t n_own = linkd_table_n_columns(table);
    const size_t n = n_own + added->n_columns;
    linkd_str *names = calloc(n, sizeof(*names));
    lk_rows rows = {0};
    int rc;

    if (names == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < n_own; i++)
        names[i] = linkd_table_column(table, i);
    memcpy(names + n_own, added->columns, added->n_columns * sizeof(*names));
    rc = lk_rows_init(&rows, output, format, names, n, err);
    if (rc == LINKD_OK)
        rc = added_rows_write(table, added, &rows, err);
    lk_rows_clear(&rows);
    free(names);
    return rc;
}
