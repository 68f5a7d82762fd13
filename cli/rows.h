/* cli/rows.h — records to CSV, TSV or JSON lines. */
#ifndef LINKD_CLI_ROWS_H
#define LINKD_CLI_ROWS_H

#include "cli/output.h"
#include "linkage/linkage.h"

typedef struct lk_rows {
    lk_output *output;
    linkd_format format; /* never LINKD_FORMAT_AUTO */
    const linkd_str *columns;
    size_t n_columns;
    size_t next; /* column that the next cell belongs to */
    lk_buf line;
    int failed; /* first failure since the last lk_rows_end */
} lk_rows;

/* Upper and lower case are the same. */
bool lk_path_ends_in(const char *path, const char *ending);

/* The format that a name's ending asks for; CSV without one. */
linkd_format lk_rows_format(const char *path);

/* Writes the header line where the format has one. The names are borrowed
 * until lk_rows_clear. */
LINKD_MUST_CHECK int lk_rows_init(lk_rows *rows, lk_output *output,
                                  linkd_format format, const linkd_str *columns,
                                  size_t n_columns, linkd_error *err);
void lk_rows_clear(lk_rows *rows);

/* The next cell of the row. Failures are kept for lk_rows_end. */
void lk_rows_cell(lk_rows *rows, linkd_cell cell);
void lk_rows_text(lk_rows *rows, linkd_str text);
void lk_rows_count(lk_rows *rows, uint64_t n);
void lk_rows_score(lk_rows *rows, float score); /* six decimals */
void lk_rows_none(lk_rows *rows);               /* empty; null in JSON */

/* Writes the row, which must have all its cells. */
LINKD_MUST_CHECK int lk_rows_end(lk_rows *rows, linkd_error *err);

/* What a table is written with behind its own columns. */
typedef struct lk_added {
    const linkd_str *columns;
    size_t n_columns;
    void (*cells_add)(void *of, lk_rows *rows, size_t row);
    bool (*takes)(const void *of, size_t row); /* NULL: every row is written */
    void *of;
} lk_added;

/* Writes the table as it came, with columns added. */
LINKD_MUST_CHECK int lk_rows_write_added(const linkd_table *table,
                                         const lk_added *added,
                                         lk_output *output, linkd_format format,
                                         linkd_error *err);

/* Appends `text` as a JSON string, quotes included. */
LINKD_MUST_CHECK int lk_json_append(lk_buf *buf, linkd_str text,
                                    linkd_error *err);

#endif
