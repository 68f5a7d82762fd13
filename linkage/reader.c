/* linkage/reader.c — reads a table record by record: opens the file, refuses
 * what is no text, hands its lines to the format and says where something went
 * wrong.
 *
 * Memory stays the same however long the file is: one window that slides over
 * it, and one record.
 *
 *   file ─read()─► [ handed out | begin … lines … end | free ]   window
 *                                 └─► format ─► cells of one record
 *
 * A line that is cut by the end of the window is moved to its front before more
 * is read, so a format sees whole lines, except for those longer than the
 * window, which come in pieces. CR, LF and CRLF all end a line: files that went
 * through old spreadsheets have bare CRs.
 *
 * Positions in messages: a row is a record, 1 for the first one (after the
 * header); a line is a line of the file, the one where the record begins.
 *
 * The first bytes tell files that are not text at all, since "invalid UTF-8 at
 * byte 1" helps nobody who passed a spreadsheet. A BOM is skipped.
 *
 * Not done here: decompression, other encodings than UTF-8. */
#include "linkage/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    /* 64 KiB to 4 MiB differ by less than the noise (2026-11-24). */
    WINDOW_BYTES = 256 << 10,
};

/* ---- failing ------------------------------------------------------------ */

static void position_print(const linkd_reader *reader, size_t column,
                           char *ret_text, size_t size)
{
    char row[64];

    if (reader->row == 0)
        (void)snprintf(row, sizeof(row), "header (line %" PRIu64 ")",
                       reader->record_line);
    else
        (void)snprintf(row, sizeof(row), "row %" PRIu64 " (line %" PRIu64 ")",
                       reader->row, reader->record_line);
    if (column == LINKD_COLUMN_NONE)
        (void)snprintf(ret_text, size, "%s", row);
    else if (reader->row > 0 && column < reader->n_columns &&
             reader->columns[column].len > 0)
        (void)snprintf(ret_text, size, "%s, column \"%s\"", row,
                       lk_label_of(reader->columns[column]).text);
    else
        (void)snprintf(ret_text, size, "%s, field %zu", row, column + 1);
}

int lk_reader_fail(const linkd_reader *reader, size_t column, linkd_error *err,
                   const char *format, ...)
{
    char position[160], message[160];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    position_print(reader, column, position, sizeof(position));
    return lk_fail(err, LINKD_E_DATA, "%s: %s: %s", reader->label.text,
                   position, message);
}

static int system_fail(const linkd_reader *reader, const char *verb,
                       linkd_error *err)
{
    return lk_fail(err, LINKD_E_IO, "could not %s %s: %s", verb,
                   reader->label.text, strerror(errno));
}

/* ---- the window --------------------------------------------------------- */

/* What read() does, from the bytes of linkd_reader_open_bytes(). */
static ssize_t memory_read(linkd_reader *reader)
{
    size_t n = reader->rest.len;

    if (n > WINDOW_BYTES - reader->end)
        n = WINDOW_BYTES - reader->end;
    if (n > 0)
        memcpy(reader->window + reader->end, reader->rest.bytes, n);
    reader->rest.bytes += n;
    reader->rest.len -= n;
    return (ssize_t)n;
}

/* Reads once, behind what is in the window. */
static int window_read(linkd_reader *reader, linkd_error *err)
{
    ssize_t n;

    if (reader->begin > 0) {
        memmove(reader->window, reader->window + reader->begin,
                reader->end - reader->begin);
        reader->end -= reader->begin;
        reader->begin = 0;
    }
    if (reader->fd < 0)
        n = memory_read(reader);
    else
        n = read(reader->fd, reader->window + reader->end,
                 WINDOW_BYTES - reader->end);
    /* A handler without SA_RESTART is somebody who wants to be let out of a
     * read that may wait for a terminal forever. */
    if (n < 0 && errno == EINTR)
        return lk_fail(err, LINKD_E_CANCELLED, "interrupted");
    if (n < 0)
        return system_fail(reader, "read", err);
    reader->is_at_end = n == 0;
    reader->end += (size_t)n;
    reader->bytes_read += (size_t)n;
    return LINKD_OK;
}

/* Bytes of the first line with its line end, or 0 if the end is not in sight:
 * a CR at the very end may be half of a CRLF. */
static size_t line_len(const char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] == '\n')
            return i + 1;
        if (bytes[i] != '\r')
            continue;
        if (i + 1 == len)
            return 0;
        return bytes[i + 1] == '\n' ? i + 2 : i + 1;
    }
    return 0;
}

/* Counts lines. A line that is longer than the window comes in several pieces,
 * and so does a CRLF that falls on the window's end. */
static void piece_count(linkd_reader *reader, const char *bytes, size_t len)
{
    bool is_rest_of_crlf = reader->last_byte == '\r' && bytes[0] == '\n';
    bool is_new = reader->last_byte == '\n' ||
                  (reader->last_byte == '\r' && !is_rest_of_crlf);

    if (is_new)
        reader->line++;
    reader->last_byte = bytes[len - 1];
}

int lk_reader_peek(linkd_reader *reader, char **ret_bytes, size_t *ret_len,
                   linkd_error *err)
{
    size_t len;

    for (;;) {
        size_t available = reader->end - reader->begin;
        int rc;

        len = line_len(reader->window + reader->begin, available);
        if (len > 0)
            break;
        len = available;
        if (reader->is_at_end || available == WINDOW_BYTES)
            break;
        rc = window_read(reader, err);
        if (rc != LINKD_OK)
            return rc;
    }
    *ret_bytes = reader->window + reader->begin;
    *ret_len = len;
    return LINKD_OK;
}

int lk_reader_piece(linkd_reader *reader, char **ret_bytes, size_t *ret_len,
                    linkd_error *err)
{
    int rc = lk_reader_peek(reader, ret_bytes, ret_len, err);

    if (rc != LINKD_OK)
        return rc;
    if (*ret_len > 0)
        piece_count(reader, *ret_bytes, *ret_len);
    reader->begin += *ret_len;
    return LINKD_OK;
}

/* ---- columns ------------------------------------------------------------ */

static linkd_str column_key(const void *ctx, size_t index)
{
    const linkd_reader *reader = ctx;

    return reader->columns[index];
}

int lk_reader_column_add(linkd_reader *reader, linkd_str name,
                         size_t *ret_column, linkd_error *err)
{
    void *columns = reader->columns;
    char *copy;
    int rc = lk_grow(&columns, &reader->columns_capacity, reader->n_columns + 1,
                     sizeof(*reader->columns), err);

    if (rc != LINKD_OK)
        return rc;
    reader->columns = columns;
    copy = lk_arena_copy(&reader->arena, name.bytes, name.len);
    if (copy == NULL)
        return lk_fail_nomem(err);
    reader->columns[reader->n_columns] = (linkd_str){copy, name.len};
    rc = lk_strset_add(&reader->column_set, reader->n_columns, ret_column, err);
    if (rc == LINKD_OK && *ret_column == reader->n_columns)
        reader->n_columns++;
    return rc;
}

/* ---- opening ------------------------------------------------------------ */

/* What a file is that is no text, by its first bytes; '?' is any byte. A CSV
 * may begin with a column named "PAR1" or "BZh": so of bzip2 the level and the
 * first block's mark are asked for too, of Parquet the byte behind, which is
 * Thrift's for "field 1, an integer" with or without rows. */
static const struct magic {
    const char *bytes;
    size_t len;
    const char *what;
} magics[] = {
    {"\x1F\x8B", 2, "is gzip-compressed, unpack it first"},
    {"BZh?1AY&SY", 10, "is bzip2-compressed, unpack it first"},
    {"\xFD"
     "7zXZ",
     5, "is xz-compressed, unpack it first"},
    {"\x28\xB5\x2F\xFD", 4, "is zstd-compressed, unpack it first"},
    {"PK\x03\x04", 4, "is a zip or Excel file, export it as CSV first"},
    {"\xD0\xCF\x11\xE0", 4, "is an old Excel file, export it as CSV first"},
    {"PAR1\x15", 5, "is a Parquet file, export it as CSV first"},
    {"\xFF\xFE", 2, "is UTF-16, convert it to UTF-8 first"},
    {"\xFE\xFF", 2, "is UTF-16, convert it to UTF-8 first"},
};

static const char BOM[] = "\xEF\xBB\xBF";

static bool window_begins_with(const linkd_reader *reader, const char *bytes,
                               size_t len)
{
    if (reader->end - reader->begin < len)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] != '?' && bytes[i] != reader->window[reader->begin + i])
            return false;
    }
    return true;
}

/* Looks at the beginning of the file before any of it is handed out. */
static int beginning_check(linkd_reader *reader, linkd_error *err)
{
    size_t longest = 10; /* of the magics; a pipe may bring less at once */

    while (reader->end < longest && !reader->is_at_end) {
        int rc = window_read(reader, err);

        if (rc != LINKD_OK)
            return rc;
    }
    if (reader->end == 0 && !reader->may_be_empty)
        return lk_fail(err, LINKD_E_DATA, "%s: file is empty",
                       reader->label.text);
    for (size_t i = 0; i < sizeof(magics) / sizeof(magics[0]); i++) {
        if (window_begins_with(reader, magics[i].bytes, magics[i].len))
            return lk_fail(err, LINKD_E_DATA, "%s: file %s", reader->label.text,
                           magics[i].what);
    }
    if (window_begins_with(reader, BOM, sizeof(BOM) - 1))
        reader->begin += sizeof(BOM) - 1;
    return LINKD_OK;
}

static bool ends_with(const char *path, const char *ending)
{
    size_t len = strlen(path), ending_len = strlen(ending);

    return len >= ending_len &&
           strcasecmp(path + len - ending_len, ending) == 0;
}

static linkd_format format_by_ending(const char *path)
{
    if (ends_with(path, ".tsv"))
        return LINKD_FORMAT_TSV;
    if (ends_with(path, ".jsonl") || ends_with(path, ".ndjson") ||
        ends_with(path, ".json"))
        return LINKD_FORMAT_JSONL;
    return LINKD_FORMAT_CSV;
}

static const lk_reader_format *format_choose(const char *path,
                                             linkd_format format)
{
    if (format == LINKD_FORMAT_AUTO)
        format = format_by_ending(path);
    if (format == LINKD_FORMAT_TSV)
        return &lk_reader_tsv;
    if (format == LINKD_FORMAT_JSONL)
        return &lk_reader_jsonl;
    return &lk_reader_csv;
}

static int file_open(linkd_reader *reader, linkd_error *err)
{
    struct stat status;

    reader->label = lk_label_of_path(reader->path);
    if (strcmp(reader->path, "-") == 0)
        reader->fd = STDIN_FILENO;
    else
        reader->fd = open(reader->path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (reader->fd < 0)
        return system_fail(reader, "open", err);
    if (fstat(reader->fd, &status) != 0)
        return system_fail(reader, "read", err);
    if (S_ISREG(status.st_mode))
        reader->bytes_total = (uint64_t)status.st_size;
    return LINKD_OK;
}

/* Of a file, or of `memory` where it is not NULL. */
static int reader_open(const char *path, const linkd_str *memory,
                       linkd_format format, bool may_be_empty,
                       linkd_reader **ret_reader, linkd_error *err)
{
    linkd_reader *reader = calloc(1, sizeof(*reader));
    int rc;

    if (reader == NULL)
        return lk_fail_nomem(err);
    reader->fd = -1;
    reader->line = 1;
    reader->may_be_empty = may_be_empty;
    reader->format = format_choose(path, format);
    reader->column_set = (lk_strset){.key = column_key, .ctx = reader};
    reader->path = lk_arena_copy(&reader->arena, path, strlen(path));
    reader->window = malloc(WINDOW_BYTES);
    if (reader->path == NULL || reader->window == NULL) {
        rc = lk_fail_nomem(err);
        goto done;
    }
    if (memory != NULL) {
        reader->label = lk_label_of_path(reader->path);
        reader->rest = *memory;
        reader->bytes_total = memory->len;
        rc = LINKD_OK;
    } else {
        rc = file_open(reader, err);
    }
    if (rc != LINKD_OK)
        goto done;
    rc = beginning_check(reader, err);
    if (rc != LINKD_OK)
        goto done;
    rc = reader->format->open(reader, err);
done:
    if (rc != LINKD_OK)
        linkd_reader_close(reader);
    else
        *ret_reader = reader;
    return rc;
}

int linkd_reader_open(const char *path, linkd_format format,
                      linkd_reader **ret_reader, linkd_error *err)
{
    return reader_open(path, NULL, format, false, ret_reader, err);
}

int linkd_reader_open_bytes(const char *name, linkd_str bytes,
                            linkd_format format, linkd_reader **ret_reader,
                            linkd_error *err)
{
    return reader_open(name, &bytes, format, false, ret_reader, err);
}

int lk_reader_open(const char *path, linkd_format format, bool may_be_empty,
                   linkd_reader **ret_reader, linkd_error *err)
{
    return reader_open(path, NULL, format, may_be_empty, ret_reader, err);
}

void linkd_reader_close(linkd_reader *reader)
{
    if (reader == NULL)
        return;
    reader->format->close(reader);
    if (reader->fd >= 0 && reader->fd != STDIN_FILENO)
        (void)close(reader->fd);
    free(reader->window);
    free(reader->cells);
    free(reader->columns);
    lk_strset_clear(&reader->column_set);
    lk_arena_clear(&reader->arena);
    free(reader);
}

/* ---- reading ------------------------------------------------------------ */

int linkd_reader_next(linkd_reader *reader, linkd_record *ret_record,
                      bool *ret_more, linkd_error *err)
{
    bool more = false;
    int rc;

    reader->row++;
    rc = reader->format->next(reader, &more, err);
    if (rc != LINKD_OK)
        return rc;
    if (!more) {
        reader->row--;
        if (reader->row == 0 && !reader->may_be_empty)
            return lk_fail(err, LINKD_E_DATA, "%s: %s", reader->label.text,
                           reader->format->no_records);
    } else {
        *ret_record = (linkd_record){.cells = reader->cells,
                                     .n_cells = reader->n_cells,
                                     .row = reader->row,
                                     .line = reader->record_line};
    }
    *ret_more = more;
    return LINKD_OK;
}

const char *linkd_reader_path(const linkd_reader *reader)
{
    return reader->path;
}

size_t linkd_reader_n_columns(const linkd_reader *reader)
{
    return reader->n_columns;
}

linkd_str linkd_reader_column(const linkd_reader *reader, size_t column)
{
    LK_ASSERT(column < reader->n_columns);
    return reader->columns[column];
}

size_t linkd_reader_find_column(const linkd_reader *reader, linkd_str name)
{
    /* SIZE_MAX, the set's "none", is LINKD_COLUMN_NONE */
    return lk_strset_find(&reader->column_set, name);
}

uint64_t linkd_reader_bytes_done(const linkd_reader *reader)
{
    return reader->bytes_read - (reader->end - reader->begin);
}

uint64_t linkd_reader_bytes_total(const linkd_reader *reader)
{
    return reader->bytes_total;
}
