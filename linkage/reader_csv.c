/* linkage/reader_csv.c — CSV and TSV by libcsv: which bytes belong to which
 * field of which record.
 *
 * libcsv pushes fields at callbacks and cannot be stopped, while our reader is
 * pulled. So it is fed one line at a time: a line completes one record at most.
 *
 *   line ─► csv_parse ─► field_cb: appends to text, cells[i].len
 *                     └► record_cb: the record is complete, cells[i].bytes
 *
 * What is accepted, where RFC 4180 leaves it open or files disobey it:
 * - Spaces belong to the field. A field that begins with one is not quoted.
 * - A quote inside an unquoted field is a character like others: 5" disk.
 * - Spaces between a closing quote and the delimiter are dropped; anything else
 *   there is an error, because the field's end can only be guessed, and a wrong
 *   guess swallows rows.
 * - A line of nothing but spaces and tabs (that are no delimiters) between two
 *   records is blank and no record. So an empty cell of a one-column file must
 *   be written as "".
 * - One column may have no name: tools write the row index that way.
 * - The delimiter is a comma; without one in the header, a semicolon or a tab
 *   that is there; in any case what Excel's line "sep=;" in front of it says.
 * TSV differs in the delimiter only, as Python's "excel-tab" does.
 *
 * libcsv's strict mode is what reports the odd quotes; csv_exception() then lets
 * the harmless ones through by relaxing it for one byte.
 *
 * Memory: a field is bounded while it grows, since libcsv's own buffer is looked
 * at after each piece; a record is bounded in bytes and in fields. */
#include "linkage/reader.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <csv.h>

enum {
    /* libcsv grows its field buffer by a constant; its default of 128 bytes
     * means 130,000 reallocations for the largest field. */
    FIELD_STEP_BYTES = 64 << 10,
};

typedef struct csv_state {
    struct csv_parser parser;
    char *text; /* of all fields of the record, one behind the other */
    size_t text_len, text_capacity;
    size_t n_fields; /* so far; those above max_fields are only counted */
    size_t max_fields;
    uint64_t field_line; /* where the field began that is being read */
    bool is_in_record;
    bool is_complete; /* the record's end was seen */
    int failure;      /* of a callback */
    linkd_reader *reader;
    linkd_error *err; /* of the call that is under way */
} csv_state;

static const unsigned char STRICT_OPTIONS = CSV_STRICT | CSV_STRICT_FINI;

/* ---- callbacks ---------------------------------------------------------- */

static int no_spaces(unsigned char c)
{
    (void)c;
    return 0;
}

static int field_check(const csv_state *state, const char *bytes, size_t len)
{
    const linkd_reader *reader = state->reader;
    size_t column = state->n_fields;
    size_t valid_len = lk_utf8_check(bytes, len);

    if (len > LINKD_FIELD_MAX_BYTES)
        return lk_reader_fail(reader, column, state->err,
                              "field is larger than 16 MiB");
    if (valid_len == len)
        return LINKD_OK;
    return lk_reader_fail(reader, column, state->err, "%s at byte %zu",
                          bytes[valid_len] == '\0' ? "NUL" : "invalid UTF-8",
                          valid_len + 1);
}

static int field_add(csv_state *state, const char *bytes, size_t len)
{
    linkd_reader *reader = state->reader;
    void *cells = reader->cells, *text = state->text;
    int rc = field_check(state, bytes, len);

    if (rc != LINKD_OK)
        return rc;
    if (len > LK_RECORD_MAX_BYTES - state->text_len)
        return lk_reader_fail(reader, LINKD_COLUMN_NONE, state->err,
                              "row is larger than 64 MiB");
    rc = lk_grow(&cells, &reader->cells_capacity, state->n_fields + 1,
                 sizeof(*reader->cells), state->err);
    if (rc != LINKD_OK)
        return rc;
    reader->cells = cells;
    rc = lk_grow(&text, &state->text_capacity, state->text_len + len, 1,
                 state->err);
    if (rc != LINKD_OK)
        return rc;
    state->text = text;
    if (len > 0)
        memcpy(state->text + state->text_len, bytes, len);
    state->text_len += len;
    reader->cells[state->n_fields] =
        (linkd_cell){.len = (uint32_t)len, .kind = LINKD_CELL_TEXT};
    return LINKD_OK;
}

static void field_cb(void *bytes, size_t len, void *ctx)
{
    csv_state *state = ctx;

    if (state->failure != LINKD_OK)
        return;
    if (state->n_fields < state->max_fields)
        state->failure = field_add(state, bytes, len);
    state->n_fields++;
    state->field_line = state->reader->line;
}

static void record_cb(int c, void *ctx)
{
    csv_state *state = ctx;

    (void)c;
    state->is_complete = true;
}

/* ---- feeding ------------------------------------------------------------ */

static size_t parse(csv_state *state, const char *bytes, size_t len)
{
    return csv_parse(&state->parser, bytes, len, field_cb, record_cb, state);
}

/* Strict libcsv stopped at *byte: accepts it if it is harmless. */
static int csv_exception(csv_state *state, const char *byte)
{
    struct csv_parser *parser = &state->parser;

    if (csv_error(parser) != CSV_EPARSE)
        return lk_fail_nomem(state->err);
    if (!parser->quoted) { /* a quote inside an unquoted field */
        (void)csv_set_opts(parser, 0);
        if (parse(state, byte, 1) != 1)
            return lk_fail_nomem(state->err);
        (void)csv_set_opts(parser, STRICT_OPTIONS);
        return LINKD_OK;
    }
    if (*byte == ' ' || *byte == '\t') { /* behind a closing quote */
        csv_set_space_func(parser, NULL);
        if (parse(state, byte, 1) != 1)
            return lk_fail_nomem(state->err);
        csv_set_space_func(parser, no_spaces);
        return LINKD_OK;
    }
    return lk_reader_fail(state->reader, state->n_fields, state->err,
                          "text after the closing quote of a field");
}

/* libcsv has no limit and grows its buffer by a constant. Called after each
 * piece, this gives it the one, and makes it grow by half instead. */
static int growth_check(csv_state *state)
{
    csv_set_blk_size(&state->parser,
                     FIELD_STEP_BYTES + state->parser.entry_pos / 2);
    if (state->parser.entry_pos <= LINKD_FIELD_MAX_BYTES)
        return LINKD_OK;
    if (!state->parser.quoted)
        return lk_reader_fail(state->reader, state->n_fields, state->err,
                              "field is larger than 16 MiB");
    return lk_reader_fail(state->reader, state->n_fields, state->err,
                          "field is larger than 16 MiB; is a quote left open "
                          "at line %" PRIu64 "?",
                          state->field_line);
}

static int feed(csv_state *state, const char *bytes, size_t len)
{
    while (len > 0) {
        size_t n = parse(state, bytes, len);
        int rc = LINKD_OK;

        if (state->failure == LINKD_OK && n < len)
            rc = csv_exception(state, bytes + n);
        if (state->failure != LINKD_OK)
            return state->failure;
        if (rc != LINKD_OK)
            return rc;
        if (n == len)
            break;
        bytes += n + 1;
        len -= n + 1;
    }
    return growth_check(state);
}

/* At the end of the file: completes a last record that has no line end. */
static int finish(csv_state *state)
{
    if (csv_fini(&state->parser, field_cb, record_cb, state) != 0)
        return lk_reader_fail(state->reader, state->n_fields, state->err,
                              "quote opened at line %" PRIu64
                              " is never closed",
                              state->field_line);
    return state->failure;
}

static bool is_blank(const char *bytes, size_t len, unsigned char separator)
{
    for (size_t i = 0; i < len; i++) {
        bool is_space = bytes[i] == ' ' || bytes[i] == '\r' ||
                        bytes[i] == '\n' ||
                        (bytes[i] == '\t' && separator != CSV_TAB);

        if (!is_space)
            return false;
    }
    return true;
}

static void record_begin(csv_state *state)
{
    state->is_in_record = true;
    state->field_line = state->reader->line;
    state->reader->record_line = state->reader->line;
}

/* Feeds lines until a record is complete or the file ends. */
static int record_read(csv_state *state, linkd_error *err)
{
    state->err = err;
    state->n_fields = 0;
    state->text_len = 0;
    state->is_in_record = false;
    state->is_complete = false;
    while (!state->is_complete) {
        char *bytes;
        size_t len;
        int rc = lk_reader_piece(state->reader, &bytes, &len, err);

        if (rc != LINKD_OK)
            return rc;
        if (len == 0)
            return finish(state);
        if (!state->is_in_record) {
            if (is_blank(bytes, len, state->parser.delim_char))
                continue;
            record_begin(state);
        }
        rc = feed(state, bytes, len);
        if (rc != LINKD_OK)
            return rc;
    }
    return LINKD_OK;
}

/* The text has stopped moving: lets the cells point into it. */
static void cells_place(csv_state *state)
{
    linkd_reader *reader = state->reader;
    const char *at = state->text;

    for (size_t i = 0; i < state->n_fields; i++) {
        reader->cells[i].bytes = reader->cells[i].len > 0 ? at : "";
        if (reader->cells[i].len > 0)
            at += reader->cells[i].len;
    }
    reader->n_cells = state->n_fields;
}

/* ---- header ------------------------------------------------------------- */

static int header_use(csv_state *state, linkd_error *err)
{
    linkd_reader *reader = state->reader;

    for (size_t i = 0; i < state->n_fields; i++) {
        linkd_str name = {reader->cells[i].bytes, reader->cells[i].len};
        size_t column;
        int rc = lk_reader_column_add(reader, name, &column, err);

        if (rc != LINKD_OK)
            return rc;
        if (column == i)
            continue;
        if (name.len == 0)
            return lk_reader_fail(reader, LINKD_COLUMN_NONE, err,
                                  "fields %zu and %zu have no name", column + 1,
                                  i + 1);
        return lk_reader_fail(reader, LINKD_COLUMN_NONE, err,
                              "fields %zu and %zu have the same name \"%s\"",
                              column + 1, i + 1, lk_label_of(name).text);
    }
    return LINKD_OK;
}

static int header_read(csv_state *state, linkd_error *err)
{
    linkd_reader *reader = state->reader;
    int rc;

    state->max_fields = LINKD_COLUMNS_MAX;
    rc = record_read(state, err);
    if (rc != LINKD_OK)
        return rc;
    if (!state->is_complete)
        return lk_fail(err, LINKD_E_DATA, "%s: file is empty",
                       reader->label.text);
    if (state->n_fields > LINKD_COLUMNS_MAX)
        return lk_reader_fail(reader, LINKD_COLUMN_NONE, err,
                              "%zu columns, more than the %zu supported",
                              state->n_fields, LINKD_COLUMNS_MAX);
    cells_place(state);
    rc = header_use(state, err);
    state->max_fields = reader->n_columns;
    return rc;
}

/* ---- separator ----------------------------------------------------------- */

static bool is_separator(char c)
{
    return c == ',' || c == ';' || c == '|' || c == '\t';
}

/* Excel's first line "sep=;", quoted or not: what it names, else 0. */
static unsigned char separator_named(const char *line, size_t len)
{
    while (len > 0 && (line[len - 1] == '\n' || line[len - 1] == '\r'))
        len--;
    if (len >= 2 && line[0] == '"' && line[len - 1] == '"') {
        line++;
        len -= 2;
    }
    if (len != 5 || strncasecmp(line, "sep=", 4) != 0 || !is_separator(line[4]))
        return 0;
    return (unsigned char)line[4];
}

/* Commas, if a header has one outside of quotes. Spreadsheets of many countries
 * write semicolons; read with commas, such a file is one column of whole lines,
 * and would be linked by them without a word. */
static unsigned char separator_of(const char *header, size_t len)
{
    size_t n_semicolons = 0, n_tabs = 0;
    bool is_quoted = false;

    for (size_t i = 0; i < len; i++) {
        if (header[i] == '"')
            is_quoted = !is_quoted;
        else if (header[i] == ',' && !is_quoted)
            return CSV_COMMA;
        n_semicolons += header[i] == ';' && !is_quoted;
        n_tabs += header[i] == '\t' && !is_quoted;
    }
    if (n_semicolons > 0 && n_semicolons >= n_tabs)
        return ';';
    return n_tabs > 0 ? CSV_TAB : CSV_COMMA;
}

static int separator_find(linkd_reader *reader, unsigned char *ret_separator,
                          linkd_error *err)
{
    char *line;
    size_t len;
    int rc = lk_reader_peek(reader, &line, &len, err);

    while (rc == LINKD_OK && len > 0 && is_blank(line, len, CSV_COMMA)) {
        rc = lk_reader_piece(reader, &line, &len, err);
        if (rc == LINKD_OK)
            rc = lk_reader_peek(reader, &line, &len, err);
    }
    if (rc != LINKD_OK)
        return rc;
    *ret_separator = separator_named(line, len);
    if (*ret_separator != 0)
        return lk_reader_piece(reader, &line, &len, err);
    *ret_separator = separator_of(line, len);
    return LINKD_OK;
}

/* ---- the format --------------------------------------------------------- */

static int delimited_open(linkd_reader *reader, unsigned char delimiter,
                          linkd_error *err)
{
    csv_state *state = calloc(1, sizeof(*state));

    if (state == NULL)
        return lk_fail_nomem(err);
    reader->format_state = state;
    state->reader = reader;
    if (csv_init(&state->parser, STRICT_OPTIONS) != 0)
        return lk_fail_nomem(err);
    csv_set_delim(&state->parser, delimiter);
    csv_set_space_func(&state->parser, no_spaces);
    csv_set_blk_size(&state->parser, FIELD_STEP_BYTES);
    return header_read(state, err);
}

static int csv_open(linkd_reader *reader, linkd_error *err)
{
    unsigned char separator;
    int rc = separator_find(reader, &separator, err);

    return rc == LINKD_OK ? delimited_open(reader, separator, err) : rc;
}

static int tsv_open(linkd_reader *reader, linkd_error *err)
{
    return delimited_open(reader, CSV_TAB, err);
}

static int csv_next(linkd_reader *reader, bool *ret_more, linkd_error *err)
{
    csv_state *state = reader->format_state;
    int rc = record_read(state, err);

    if (rc != LINKD_OK)
        return rc;
    *ret_more = state->is_complete;
    if (!state->is_complete)
        return LINKD_OK;
    if (state->n_fields != reader->n_columns)
        return lk_reader_fail(reader, LINKD_COLUMN_NONE, err,
                              "%zu field%s where the header has %zu",
                              state->n_fields, state->n_fields == 1 ? "" : "s",
                              reader->n_columns);
    cells_place(state);
    return LINKD_OK;
}

static void csv_close(linkd_reader *reader)
{
    csv_state *state = reader->format_state;

    if (state == NULL)
        return;
    csv_free(&state->parser);
    free(state->text);
    free(state);
}

static const char NO_ROWS[] = "file has a header but no rows";

const lk_reader_format lk_reader_csv = {csv_open, csv_next, csv_close, NO_ROWS};
const lk_reader_format lk_reader_tsv = {tsv_open, csv_next, csv_close, NO_ROWS};
