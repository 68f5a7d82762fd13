/* A whole table in memory, and the ids of its rows.
 *
 *   arena       the bytes of row 0, of row 1, …, then the columns' names
 *   cells       row 0's | row 1's | …            16 bytes each
 *   row_starts  0 ────────┘        └ n_rows + 1 of them
 *
 * A row ends with its last cell that is not missing, so that the rows of a
 * JSONL file that came before a column was seen need no rewriting, and sparse
 * rows are short. Bytes and cells are all that grows with the file.
 *
 * Ids are checked as the rows come: a repeated id is reported with its line,
 * and before the rest of a long file is read. Without a named id column the
 * first column is tried, and given up at its first empty or repeated value. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "linkage/linkage.h"
#include "linkage/strset.h"
#include "linkage/text.h"

enum {
    /* Some hundred reports a second at the speed of reading. */
    REPORT_BYTES = 1 << 20,
};

struct linkd_table {
    lk_arena arena;
    const char *path;
    linkd_str *columns;
    size_t n_columns;
    linkd_cell *cells;
    size_t n_cells, cells_capacity;
    size_t *row_starts;
    size_t n_rows, row_starts_capacity;
    size_t id_column;
    linkd_str *row_numbers; /* the ids, if id_column is LINKD_COLUMN_NONE */
};

/* Ids seen so far. */
typedef struct id_check {
    linkd_table *table;
    const char *name; /* of the column, or NULL: try the first */
    lk_strset seen;
} id_check;

/* ---- rows --------------------------------------------------------------- */

static int room_make(linkd_table *table, size_t n_cells, linkd_error *err)
{
    void *cells = table->cells, *row_starts = table->row_starts;
    int rc = lk_grow(&cells, &table->cells_capacity, table->n_cells + n_cells,
                     sizeof(*table->cells), err);

    if (rc != LINKD_OK)
        return rc;
    table->cells = cells;
    rc = lk_grow(&row_starts, &table->row_starts_capacity, table->n_rows + 2,
                 sizeof(*table->row_starts), err);
    if (rc != LINKD_OK)
        return rc;
    table->row_starts = row_starts;
    return LINKD_OK;
}

static size_t cells_used(const linkd_record *record)
{
    size_t n = record->n_cells;

    while (n > 0 && record->cells[n - 1].kind == LINKD_CELL_MISSING)
        n--;
    return n;
}

static int row_add(linkd_table *table, const linkd_record *record,
                   linkd_error *err)
{
    size_t n_cells = cells_used(record), n_bytes = 0;
    char *bytes;
    int rc = room_make(table, n_cells, err);

    if (rc != LINKD_OK)
        return rc;
    for (size_t i = 0; i < n_cells; i++)
        n_bytes += record->cells[i].len;
    bytes = lk_arena_alloc(&table->arena, n_bytes);
    if (bytes == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < n_cells; i++) {
        linkd_cell cell = record->cells[i];

        if (cell.len > 0)
            memcpy(bytes, cell.bytes, cell.len);
        cell.bytes = bytes;
        bytes += cell.len;
        table->cells[table->n_cells++] = cell;
    }
    table->row_starts[table->n_rows] = table->n_cells - n_cells;
    table->row_starts[++table->n_rows] = table->n_cells;
    return LINKD_OK;
}

linkd_cell linkd_table_cell(const linkd_table *table, size_t row, size_t column)
{
    size_t at;

    LK_ASSERT(row < table->n_rows && column < table->n_columns);
    at = table->row_starts[row] + column;
    if (at < table->row_starts[row + 1])
        return table->cells[at];
    return (linkd_cell){.bytes = "", .kind = LINKD_CELL_MISSING};
}

/* ---- ids ---------------------------------------------------------------- */

static linkd_str id_key(const void *ctx, size_t index)
{
    return linkd_table_id(ctx, index);
}

/* Sets id_column when the first row has come: a JSONL file has no columns
 * before. */
static int id_column_find(id_check *check, const linkd_reader *reader,
                          linkd_error *err)
{
    size_t n_columns = linkd_reader_n_columns(reader);
    linkd_str name;

    check->table->id_column = n_columns > 0 ? 0 : LINKD_COLUMN_NONE;
    if (check->name == NULL)
        return LINKD_OK;
    name = (linkd_str){check->name, strlen(check->name)};
    check->table->id_column = linkd_reader_find_column(reader, name);
    if (check->table->id_column != LINKD_COLUMN_NONE)
        return LINKD_OK;
    return lk_fail(err, LINKD_E_ARG, "%s: no column \"%s\"",
                   lk_label_of_path(linkd_reader_path(reader)).text,
                   lk_label_of(name).text);
}

static int id_fail(const id_check *check, const linkd_record *record,
                   linkd_str id, size_t equal_row, linkd_error *err)
{
    lk_label path = lk_label_of_path(check->table->path);
    lk_label name = lk_label_of((linkd_str){check->name, strlen(check->name)});

    if (id.len == 0)
        return lk_fail(err, LINKD_E_DATA,
                       "%s: row %" PRIu64 " (line %" PRIu64
                       "), column \"%s\": the id is empty",
                       path.text, record->row, record->line, name.text);
    return lk_fail(err, LINKD_E_DATA,
                   "%s: row %" PRIu64 " (line %" PRIu64
                   "), column \"%s\": row %zu has the id \"%s\" too",
                   path.text, record->row, record->line, name.text,
                   equal_row + 1, lk_label_of(id).text);
}

/* Looks at the id of the row that was added last. */
static int id_add(id_check *check, const linkd_reader *reader,
                  const linkd_record *record, linkd_error *err)
{
    linkd_table *table = check->table;
    size_t row = table->n_rows - 1, equal_row = row;
    linkd_str id;
    int rc = LINKD_OK;

    if (row == 0)
        rc = id_column_find(check, reader, err);
    if (rc != LINKD_OK || table->id_column == LINKD_COLUMN_NONE)
        return rc;
    table->n_columns = linkd_reader_n_columns(reader);
    id = linkd_table_id(table, row);
    if (id.len > 0)
        rc = lk_strset_add(&check->seen, row, &equal_row, err);
    if (rc != LINKD_OK || (id.len > 0 && equal_row == row))
        return rc;
    if (check->name != NULL)
        return id_fail(check, record, id, equal_row, err);
    table->id_column = LINKD_COLUMN_NONE;
    lk_strset_clear(&check->seen);
    return LINKD_OK;
}

static int row_numbers_make(linkd_table *table, linkd_error *err)
{
    table->row_numbers = calloc(table->n_rows, sizeof(*table->row_numbers));
    if (table->row_numbers == NULL)
        return lk_fail_nomem(err);
    for (size_t row = 0; row < table->n_rows; row++) {
        char digits[24];
        int len = snprintf(digits, sizeof(digits), "%zu", row + 1);
        char *copy = lk_arena_copy(&table->arena, digits, (size_t)len);

        if (copy == NULL)
            return lk_fail_nomem(err);
        table->row_numbers[row] = (linkd_str){copy, (size_t)len};
    }
    return LINKD_OK;
}

size_t linkd_table_id_column(const linkd_table *table)
{
    return table->id_column;
}

linkd_str linkd_table_id(const linkd_table *table, size_t row)
{
    linkd_cell cell;

    LK_ASSERT(row < table->n_rows);
    if (table->id_column == LINKD_COLUMN_NONE)
        return table->row_numbers[row];
    cell = linkd_table_cell(table, row, table->id_column);
    return (linkd_str){cell.bytes, cell.len};
}

/* ---- reading ------------------------------------------------------------ */

static int rows_read(linkd_reader *reader, id_check *check,
                     const linkd_progress *progress, linkd_error *err)
{
    uint64_t next_report = 0;

    for (;;) {
        uint64_t done;
        linkd_record record;
        bool more;
        int rc = linkd_reader_next(reader, &record, &more, err);

        if (rc != LINKD_OK)
            return rc;
        done = linkd_reader_bytes_done(reader);
        if (!more || done >= next_report) {
            rc = lk_progress_report(progress, "read", done,
                                    linkd_reader_bytes_total(reader), err);
            next_report = done + REPORT_BYTES;
        }
        if (rc != LINKD_OK || !more)
            return rc;
        rc = row_add(check->table, &record, err);
        if (rc == LINKD_OK)
            rc = id_add(check, reader, &record, err);
        if (rc != LINKD_OK)
            return rc;
    }
}

static int columns_copy(linkd_table *table, const linkd_reader *reader,
                        linkd_error *err)
{
    table->n_columns = linkd_reader_n_columns(reader);
    table->columns = calloc(table->n_columns + 1, sizeof(*table->columns));
    if (table->columns == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < table->n_columns; i++) {
        linkd_str name = linkd_reader_column(reader, i);
        char *copy = lk_arena_copy(&table->arena, name.bytes, name.len);

        if (copy == NULL)
            return lk_fail_nomem(err);
        table->columns[i] = (linkd_str){copy, name.len};
    }
    return LINKD_OK;
}

int linkd_table_read(const char *path, linkd_format format,
                     const char *id_column, const linkd_progress *progress,
                     linkd_table **ret_table, linkd_error *err)
{
    linkd_table *table = calloc(1, sizeof(*table));
    linkd_reader *reader = NULL;
    id_check check = {.table = table,
                      .name = id_column,
                      .seen = {.key = id_key, .ctx = table}};
    int rc;

    if (table == NULL)
        return lk_fail_nomem(err);
    table->path = lk_arena_copy(&table->arena, path, strlen(path));
    rc = table->path != NULL ? LINKD_OK : lk_fail_nomem(err);
    if (rc == LINKD_OK)
        rc = linkd_reader_open(path, format, &reader, err);
    if (rc == LINKD_OK)
        rc = rows_read(reader, &check, progress, err);
    if (rc == LINKD_OK)
        rc = columns_copy(table, reader, err);
    if (rc == LINKD_OK && table->id_column == LINKD_COLUMN_NONE)
        rc = row_numbers_make(table, err);
    lk_strset_clear(&check.seen);
    linkd_reader_close(reader);
    if (rc != LINKD_OK)
        linkd_table_free(table);
    else
        *ret_table = table;
    return rc;
}

void linkd_table_free(linkd_table *table)
{
    if (table == NULL)
        return;
    free(table->columns);
    free(table->cells);
    free(table->row_starts);
    free(table->row_numbers);
    lk_arena_clear(&table->arena);
    free(table);
}

/* ---- asking ------------------------------------------------------------- */

const char *linkd_table_path(const linkd_table *table)
{
    return table->path;
}

size_t linkd_table_n_rows(const linkd_table *table)
{
    return table->n_rows;
}

size_t linkd_table_n_columns(const linkd_table *table)
{
    return table->n_columns;
}

linkd_str linkd_table_column(const linkd_table *table, size_t column)
{
    LK_ASSERT(column < table->n_columns);
    return table->columns[column];
}

size_t linkd_table_find_column(const linkd_table *table, linkd_str name)
{
    for (size_t i = 0; i < table->n_columns; i++) {
        linkd_str column = table->columns[i];

        if (column.len == name.len &&
            (name.len == 0 || memcmp(column.bytes, name.bytes, name.len) == 0))
            return i;
    }
    return LINKD_COLUMN_NONE;
}
