/* linkage/table.c — a whole table in memory, and the ids of its rows.
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
 * and before the rest of a long file is read. Only whether a JSONL file lacks
 * the named column, or just its first row does, is told by all of it. Without
 * a named id column the first column is tried to the end, since how many values
 * are empty or repeated tells whether these are ids with a mistake. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "linkage/reader.h"

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
    linkd_id_trial id_trial; /* of the first column, if none was named */
    size_t text_column;
    linkd_str *row_numbers; /* the ids, if id_column is LINKD_COLUMN_NONE */
};

/* Ids seen so far. */
typedef struct id_check {
    linkd_table *table;
    const char *name;    /* of the column, or NULL: try the first */
    bool may_be_empty;   /* no row at all is no error */
    uint64_t first_line; /* of row 1 */
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

static int name_fail(const id_check *check, linkd_error *err)
{
    linkd_str name = {check->name, strlen(check->name)};

    return lk_fail(err, LINKD_E_ARG, "%s: no column \"%s\"",
                   lk_label_of_path(check->table->path).text,
                   lk_label_of(name).text);
}

static int id_fail(const id_check *check, uint64_t row, uint64_t line,
                   const char *what, linkd_error *err)
{
    linkd_str name = {check->name, strlen(check->name)};

    return lk_fail(err, LINKD_E_DATA,
                   "%s: row %" PRIu64 " (line %" PRIu64 "), column \"%s\": %s",
                   lk_label_of_path(check->table->path).text, row, line,
                   lk_label_of(name).text, what);
}

static int id_fail_repeated(const id_check *check, const linkd_record *record,
                            size_t equal_row, linkd_str id, linkd_error *err)
{
    char what[128];

    (void)snprintf(what, sizeof(what), "row %zu has the id \"%s\" too",
                   equal_row + 1, lk_label_of(id).text);
    return id_fail(check, record->row, record->line, what, err);
}

/* Looks for the column of the ids in what is known of the columns: those of a
 * JSONL file come with its rows. */
static int id_column_find(id_check *check, const linkd_reader *reader,
                          const linkd_record *record, linkd_error *err)
{
    linkd_table *table = check->table;

    if (record->row == 1)
        check->first_line = record->line;
    if (check->name == NULL) {
        if (record->row == 1 && linkd_reader_n_columns(reader) > 0)
            table->id_column = 0;
        return LINKD_OK;
    }
    table->id_column = linkd_reader_find_column(
        reader, (linkd_str){check->name, strlen(check->name)});
    if (record->row > 1 && table->id_column != LINKD_COLUMN_NONE)
        return id_fail(check, 1, check->first_line, "the id is missing", err);
    return LINKD_OK;
}

/* Looks at the id of the row that was added last. */
static int id_add(id_check *check, const linkd_reader *reader,
                  const linkd_record *record, linkd_error *err)
{
    linkd_table *table = check->table;
    size_t row = table->n_rows - 1, equal_row = row;
    linkd_cell id;
    int rc = LINKD_OK;

    if (table->id_column == LINKD_COLUMN_NONE)
        rc = id_column_find(check, reader, record, err);
    if (rc != LINKD_OK || table->id_column == LINKD_COLUMN_NONE)
        return rc;
    table->n_columns = linkd_reader_n_columns(reader);
    id = linkd_table_cell(table, row, table->id_column);
    if (id.len > 0)
        rc = lk_strset_add(&check->seen, row, &equal_row, err);
    if (rc == LINKD_OK && check->name == NULL)
        linkd_id_trial_add(&table->id_trial, reader, record, id,
                           equal_row == row,
                           equal_row == row ? 0 : equal_row + 1);
    if (rc != LINKD_OK || check->name == NULL ||
        (id.len > 0 && equal_row == row))
        return rc;
    if (id.len > 0)
        return id_fail_repeated(check, record, equal_row,
                                (linkd_str){id.bytes, id.len}, err);
    return id_fail(check, record->row, record->line,
                   id.kind == LINKD_CELL_MISSING ? "the id is missing"
                                                 : "the id is empty",
                   err);
}

static int row_numbers_make(linkd_table *table, linkd_error *err)
{
    table->row_numbers = calloc(table->n_rows + 1, sizeof(*table->row_numbers));
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

const linkd_id_trial *linkd_table_id_flaw(const linkd_table *table)
{
    return linkd_id_trial_is_flawed(&table->id_trial) ? &table->id_trial : NULL;
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

void linkd_table_set_text_column(linkd_table *table, size_t column)
{
    table->text_column = column;
}

size_t linkd_table_text_column(const linkd_table *table)
{
    return table->text_column;
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

static bool id_column_is_lacking(const id_check *check,
                                 const linkd_reader *reader)
{
    return check->name != NULL &&
           linkd_reader_find_column(
               reader, (linkd_str){check->name, strlen(check->name)}) ==
               LINKD_COLUMN_NONE;
}

static int table_fill(linkd_table *table, linkd_reader *reader, id_check *check,
                      const linkd_progress *progress, linkd_error *err)
{
    bool has_header = linkd_reader_n_columns(reader) > 0;
    int rc;

    if (has_header && id_column_is_lacking(check, reader))
        return name_fail(check, err);
    rc = rows_read(reader, check, progress, err);
    if (rc == LINKD_OK && table->n_rows > 0 &&
        id_column_is_lacking(check, reader))
        rc = name_fail(check, err);
    if (table->id_trial.row != 0)
        table->id_column = LINKD_COLUMN_NONE;
    if (rc == LINKD_OK)
        rc = columns_copy(table, reader, err);
    if (rc == LINKD_OK && table->id_column == LINKD_COLUMN_NONE)
        rc = row_numbers_make(table, err);
    return rc;
}

static int table_read(const char *path, linkd_format format, id_check check,
                      const linkd_progress *progress, linkd_table **ret_table,
                      linkd_error *err)
{
    linkd_table *table = calloc(1, sizeof(*table));
    linkd_reader *reader = NULL;
    int rc;

    if (table == NULL)
        return lk_fail_nomem(err);
    table->id_column = LINKD_COLUMN_NONE;
    table->text_column = LINKD_COLUMN_NONE;
    check.table = table;
    check.seen = (lk_strset){.key = id_key, .ctx = table};
    table->path = lk_arena_copy(&table->arena, path, strlen(path));
    rc = table->path != NULL ? LINKD_OK : lk_fail_nomem(err);
    if (rc == LINKD_OK)
        rc = lk_reader_open(path, format, check.may_be_empty, &reader, err);
    if (rc == LINKD_OK)
        rc = table_fill(table, reader, &check, progress, err);
    lk_strset_clear(&check.seen);
    linkd_reader_close(reader);
    if (rc != LINKD_OK)
        linkd_table_free(table);
    else
        *ret_table = table;
    return rc;
}

int linkd_table_read(const char *path, linkd_format format,
                     const char *id_column, const linkd_progress *progress,
                     linkd_table **ret_table, linkd_error *err)
{
    return table_read(path, format, (id_check){.name = id_column}, progress,
                      ret_table, err);
}

int linkd_table_read_result(const char *path, linkd_format format,
                            const char *id_column,
                            const linkd_progress *progress,
                            linkd_table **ret_table, linkd_error *err)
{
    return table_read(path, format,
                      (id_check){.name = id_column, .may_be_empty = true},
                      progress, ret_table, err);
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
