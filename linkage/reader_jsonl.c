/* linkage/reader_jsonl.c — JSON Lines by jansson: one object a line, its keys
 * are the columns, and a key that was not seen before is a new column from here
 * on.
 *
 * jansson says whether a line is valid and unescapes keys and strings. It does
 * not keep how a number was written, and 1.10 or an id of twenty digits must
 * come out as they went in. So the spelling is taken from the line itself:
 * jansson keeps an object's order, and in valid JSON the values' bounds are easy
 * to see.
 *
 *   line   {"id": 007e2, "name": "caf\u00e9", "tags": ["a", "b"]}
 *   cells        └ in the line    └ in jansson's string   └ in the line, compact
 *
 * So cells are copies of nothing. Arrays and objects are made compact in place,
 * white space dropped and \u escapes of non-ASCII characters decoded, because
 * that is the text that the encoder sees.
 *
 * null is a missing cell. Repeated keys are an error, as jansson's own limits
 * are: depth 2048, numbers that are no finite double. */
#include "linkage/reader.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

enum {
    /* A table has one cell for each row and column, so columns that are found
     * on the way multiply. A guess, far above what records have. */
    JSONL_COLUMNS_MAX = 4096,
};

typedef struct jsonl_state {
    lk_buf long_line; /* a line that did not fit into the window */
    json_t *object;   /* the record; its strings are cells */
} jsonl_state;

/* ---- lines -------------------------------------------------------------- */

static bool is_json_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool is_blank(const char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (!is_json_space(bytes[i]))
            return false;
    }
    return true;
}

static bool is_line_end(char c)
{
    return c == '\n' || c == '\r';
}

/* Joins the pieces of a line that is longer than the window. */
static int long_line_read(linkd_reader *reader, char **bytes, size_t *len,
                          linkd_error *err)
{
    jsonl_state *state = reader->format_state;

    lk_buf_reset(&state->long_line);
    for (;;) {
        bool is_last = *len == 0 || is_line_end((*bytes)[*len - 1]);
        int rc;

        if (*len > LK_RECORD_MAX_BYTES - state->long_line.len)
            return lk_reader_fail(reader, LINKD_COLUMN_NONE, err,
                                  "line is larger than 64 MiB");
        rc = lk_buf_append(&state->long_line, *bytes, *len, err);
        if (rc != LINKD_OK)
            return rc;
        if (is_last)
            break;
        rc = lk_reader_piece(reader, bytes, len, err);
        if (rc != LINKD_OK)
            return rc;
    }
    *bytes = state->long_line.data;
    *len = state->long_line.len;
    return LINKD_OK;
}

/* The next line that is not blank; len 0 at the end of the file. */
static int line_read(linkd_reader *reader, char **ret_bytes, size_t *ret_len,
                     linkd_error *err)
{
    int rc;

    do {
        rc = lk_reader_piece(reader, ret_bytes, ret_len, err);
        if (rc != LINKD_OK)
            return rc;
        reader->record_line = reader->line;
        if (*ret_len > 0 && !is_line_end((*ret_bytes)[*ret_len - 1])) {
            rc = long_line_read(reader, ret_bytes, ret_len, err);
            if (rc != LINKD_OK)
                return rc;
        }
    } while (*ret_len > 0 && is_blank(*ret_bytes, *ret_len));
    return LINKD_OK;
}

/* ---- spelling ----------------------------------------------------------- */

/* The character behind a string that begins at `at`. Valid JSON only, as all
 * functions of this section. */
static char *string_end(char *at)
{
    for (at++; *at != '"'; at++) {
        if (*at == '\\')
            at++;
    }
    return at + 1;
}

static char *space_end(char *at)
{
    while (is_json_space(*at))
        at++;
    return at;
}

static char *literal_end(char *at)
{
    while (*at != ',' && *at != '}' && !is_json_space(*at))
        at++;
    return at;
}

static char *container_end(char *at)
{
    size_t depth = 0;

    do {
        if (*at == '"') {
            at = string_end(at);
            continue;
        }
        if (*at == '[' || *at == '{')
            depth++;
        else if (*at == ']' || *at == '}')
            depth--;
        at++;
    } while (depth > 0);
    return at;
}

static char *value_end(char *at)
{
    if (*at == '"')
        return string_end(at);
    if (*at == '[' || *at == '{')
        return container_end(at);
    return literal_end(at);
}

/* From behind a value, or from the object's brace, to its next value. */
static char *value_next(char *at)
{
    at = space_end(at) + 1;              /* the brace or comma */
    at = string_end(space_end(at));      /* the key */
    return space_end(space_end(at) + 1); /* the colon */
}

static uint32_t hex4(const char *digits)
{
    uint32_t value = 0;

    for (size_t i = 0; i < 4; i++) {
        unsigned char c = (unsigned char)digits[i];

        value = value * 16 + (c <= '9' ? c - (uint32_t)'0'
                                       : (c | 0x20U) - (uint32_t)'a' + 10);
    }
    return value;
}

static char *utf8_put(char *out, uint32_t c)
{
    unsigned shift = c < 0x800 ? 6 : c < 0x10000 ? 12 : 18;
    uint32_t lead = c < 0x800 ? 0xC0 : c < 0x10000 ? 0xE0 : 0xF0;

    *out++ = (char)(lead | c >> shift);
    while (shift > 0) {
        shift -= 6;
        *out++ = (char)(0x80U | (c >> shift & 0x3FU));
    }
    return out;
}

/* Writes the escape at *in to `out`: decoded if it stands for a non-ASCII
 * character, else as it is, since it may be there for a reason. */
static char *escape_copy(const char **in, char *out)
{
    const char *at = *in;
    uint32_t c = at[1] == 'u' ? hex4(at + 2) : 0;

    if (c < 0x80) {
        memmove(out, at, 2);
        *in = at + 2;
        return out + 2;
    }
    *in = at + 6;
    if (c >= 0xD800 && c <= 0xDBFF) { /* first half of a surrogate pair */
        c = 0x10000 + ((c - 0xD800) << 10) + (hex4(at + 8) - 0xDC00);
        *in = at + 12;
    }
    return utf8_put(out, c);
}

/* Rewrites an array or object in place and returns its new length. */
static size_t container_compact(char *bytes, size_t len)
{
    const char *in = bytes, *end = bytes + len;
    char *out = bytes;
    bool is_in_string = false;

    while (in < end) {
        if (is_in_string && *in == '\\') {
            out = escape_copy(&in, out);
            continue;
        }
        if (*in == '"')
            is_in_string = !is_in_string;
        if (is_in_string || !is_json_space(*in))
            *out++ = *in;
        in++;
    }
    return (size_t)(out - bytes);
}

/* ---- records ------------------------------------------------------------ */

static int json_fail(const linkd_reader *reader, const json_error_t *cause,
                     linkd_error *err)
{
    linkd_str text = {cause->text, strlen(cause->text)};

    if (json_error_code(cause) == json_error_out_of_memory)
        return lk_fail_nomem(err);
    if (json_error_code(cause) == json_error_null_character ||
        json_error_code(cause) == json_error_null_byte_in_key)
        return lk_reader_fail(reader, LINKD_COLUMN_NONE, err,
                              "NUL (\\u0000) at byte %d", cause->position);
    return lk_reader_fail(reader, LINKD_COLUMN_NONE, err,
                          "invalid JSON at byte %d: %s", cause->position,
                          lk_label_of(text).text);
}

static int object_load(linkd_reader *reader, const char *bytes, size_t len,
                       linkd_error *err)
{
    jsonl_state *state = reader->format_state;
    size_t valid_len = lk_utf8_check(bytes, len);
    json_error_t cause;

    if (valid_len < len)
        return lk_reader_fail(
            reader, LINKD_COLUMN_NONE, err, "%s at byte %zu",
            bytes[valid_len] == '\0' ? "NUL" : "invalid UTF-8", valid_len + 1);
    /* As reals, integers of any length are valid. */
    state->object = json_loadb(
        bytes, len, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, &cause);
    if (state->object == NULL)
        return json_fail(reader, &cause, err);
    if (!json_is_object(state->object))
        return lk_reader_fail(reader, LINKD_COLUMN_NONE, err,
                              "an array where a JSON object should be");
    return LINKD_OK;
}

static int column_find(linkd_reader *reader, linkd_str name, size_t *ret_column,
                       linkd_error *err)
{
    size_t column = lk_strset_find(&reader->column_set, name);

    if (column == SIZE_MAX) {
        int rc;

        if (reader->n_columns == JSONL_COLUMNS_MAX)
            return lk_reader_fail(reader, LINKD_COLUMN_NONE, err,
                                  "more than %d different keys so far",
                                  JSONL_COLUMNS_MAX);
        rc = lk_reader_column_add(reader, name, &column, err);
        if (rc != LINKD_OK)
            return rc;
    }
    *ret_column = column;
    return LINKD_OK;
}

/* Makes room for a cell in every column, the new ones missing. */
static int cells_extend(linkd_reader *reader, linkd_error *err)
{
    void *cells = reader->cells;
    int rc = lk_grow(&cells, &reader->cells_capacity, reader->n_columns,
                     sizeof(*reader->cells), err);

    if (rc != LINKD_OK)
        return rc;
    reader->cells = cells;
    while (reader->n_cells < reader->n_columns)
        reader->cells[reader->n_cells++] =
            (linkd_cell){.bytes = "", .kind = LINKD_CELL_MISSING};
    return LINKD_OK;
}

static int cell_set(linkd_reader *reader, size_t column, const json_t *value,
                    char *spelling, size_t spelling_len, linkd_error *err)
{
    const char *bytes = spelling;
    size_t len = spelling_len;

    if (json_is_null(value))
        return LINKD_OK;
    if (json_is_string(value)) {
        bytes = json_string_value(value);
        len = json_string_length(value);
    } else if (json_is_array(value) || json_is_object(value)) {
        len = container_compact(spelling, spelling_len);
    }
    if (len > LINKD_FIELD_MAX_BYTES)
        return lk_reader_fail(reader, column, err,
                              "field is larger than 16 MiB");
    reader->cells[column] = (linkd_cell){
        .bytes = bytes,
        .len = (uint32_t)len,
        .kind = json_is_string(value) ? LINKD_CELL_TEXT : LINKD_CELL_LITERAL};
    return LINKD_OK;
}

static int object_use(linkd_reader *reader, json_t *object, char *line,
                      linkd_error *err)
{
    char *at = space_end(line);

    reader->n_cells = 0;
    for (void *member = json_object_iter(object); member != NULL;
         member = json_object_iter_next(object, member)) {
        linkd_str key = {json_object_iter_key(member),
                         json_object_iter_key_len(member)};
        char *value = value_next(at);
        size_t column = 0;
        int rc;

        at = value_end(value);
        rc = column_find(reader, key, &column, err);
        if (rc == LINKD_OK)
            rc = cells_extend(reader, err);
        if (rc == LINKD_OK)
            rc = cell_set(reader, column, json_object_iter_value(member), value,
                          (size_t)(at - value), err);
        if (rc != LINKD_OK)
            return rc;
    }
    return cells_extend(reader, err);
}

/* ---- the format --------------------------------------------------------- */

static int jsonl_open(linkd_reader *reader, linkd_error *err)
{
    reader->format_state = calloc(1, sizeof(jsonl_state));
    return reader->format_state != NULL ? LINKD_OK : lk_fail_nomem(err);
}

static int jsonl_next(linkd_reader *reader, bool *ret_more, linkd_error *err)
{
    jsonl_state *state = reader->format_state;
    char *line;
    size_t len;
    int rc;

    json_decref(state->object);
    state->object = NULL;
    rc = line_read(reader, &line, &len, err);
    if (rc != LINKD_OK)
        return rc;
    *ret_more = len > 0;
    if (len == 0)
        return LINKD_OK;
    if (reader->row == 1 && *space_end(line) == '[')
        return lk_fail(err, LINKD_E_DATA,
                       "%s: file is a JSON array, make JSON lines of it first",
                       reader->label.text);
    rc = object_load(reader, line, len, err);
    if (rc != LINKD_OK)
        return rc;
    return object_use(reader, state->object, line, err);
}

static void jsonl_close(linkd_reader *reader)
{
    jsonl_state *state = reader->format_state;

    if (state == NULL)
        return;
    json_decref(state->object);
    lk_buf_clear(&state->long_line);
    free(state);
}

const lk_reader_format lk_reader_jsonl = {jsonl_open, jsonl_next, jsonl_close,
                                          "file has no records"};
