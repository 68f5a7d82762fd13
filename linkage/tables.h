/* linkage/tables.h — files to tables of records, and which of their columns take
 * part. Part of linkage.h. */
#ifndef LINKD_LINKAGE_TABLES_H
#define LINKD_LINKAGE_TABLES_H

#include <stdbool.h>

#include "base/base.h"
#include "encoder/encoder.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- messages ----------------------------------------------------------- */

/* Foreign text as a message shows it: on one line, and short enough to leave
 * room for the rest of the 248 bytes. */
typedef struct lk_label {
    char text[64];
} lk_label;

/* Keeps the beginning. */
lk_label lk_label_of(linkd_str text);
/* Keeps the end, since that is where a path differs from others. */
lk_label lk_label_of_path(const char *path);

/* ---- reading tables ----------------------------------------------------- */

typedef enum linkd_format {
    LINKD_FORMAT_AUTO, /* by the name's ending: .csv .tsv .jsonl .ndjson;
                          without one of these, CSV */
    LINKD_FORMAT_CSV,  /* RFC 4180 with a header line, UTF-8, BOM allowed */
    LINKD_FORMAT_TSV,
    LINKD_FORMAT_JSONL, /* one object a line */
} linkd_format;

#define LINKD_COLUMN_NONE SIZE_MAX

/* Limits on what a file may make us keep. */
#define LINKD_FIELD_MAX_BYTES ((size_t)16 << 20)
#define LINKD_COLUMNS_MAX     ((size_t)1 << 21)

typedef enum linkd_cell_kind {
    LINKD_CELL_TEXT,
    LINKD_CELL_MISSING, /* the record has no such field, or it is null */
    LINKD_CELL_LITERAL, /* a JSON number, true, false, array or object */
} linkd_cell_kind;

typedef struct linkd_cell {
    const char *bytes; /* valid UTF-8 without NUL */
    uint32_t len;
    uint32_t kind; /* linkd_cell_kind */
} linkd_cell;

/* One record as it comes from the file. Borrowed from the reader until the
 * next read. A JSONL record has the columns that were seen up to its line. */
typedef struct linkd_record {
    const linkd_cell *cells;
    size_t n_cells;
    uint64_t row;  /* 1 for the first record */
    uint64_t line; /* 1 for the first line of the file */
} linkd_record;

/* Reads a file record by record in memory that does not grow with it. */
typedef struct linkd_reader linkd_reader;

/* `path` "-" is standard input. An empty file, or one with no record after its
 * header, is LINKD_E_DATA (the latter at the first read). */
LINKD_MUST_CHECK int linkd_reader_open(const char *path, linkd_format format,
                                       linkd_reader **ret_reader,
                                       linkd_error *err);
/* The same for a table in memory, which is borrowed until the reader is closed;
 * messages call it `name`. */
LINKD_MUST_CHECK int linkd_reader_open_bytes(const char *name, linkd_str bytes,
                                             linkd_format format,
                                             linkd_reader **ret_reader,
                                             linkd_error *err);
void linkd_reader_close(linkd_reader *reader);

/* Reads the next record. At the end *ret_more is false. LINKD_E_DATA: ragged
 * row, unterminated quote, invalid UTF-8, NUL byte, field over the limit, bad
 * JSON; the message names file, row, line and column. */
LINKD_MUST_CHECK int linkd_reader_next(linkd_reader *reader,
                                       linkd_record *ret_record, bool *ret_more,
                                       linkd_error *err);

const char *linkd_reader_path(const linkd_reader *reader);
size_t linkd_reader_n_columns(const linkd_reader *reader);
linkd_str linkd_reader_column(const linkd_reader *reader, size_t column);
/* The column's position, or LINKD_COLUMN_NONE: not there, or not yet. */
size_t linkd_reader_find_column(const linkd_reader *reader, linkd_str name);
/* Bytes read so far, and the file's size (0 for a pipe). */
uint64_t linkd_reader_bytes_done(const linkd_reader *reader);
uint64_t linkd_reader_bytes_total(const linkd_reader *reader);

/* ---- the column of the ids ---------------------------------------------- */

/* How the first column does as the ids, where none was named: one repeated
 * value makes row numbers of all ids, and nobody wants that of a column that
 * would have had them. {0} before the first row. */
typedef struct linkd_id_trial {
    uint64_t n_rows;    /* looked at */
    uint64_t n_bad;     /* of these, without a value or with an earlier one's */
    uint64_t row, line; /* the first bad one; 0: none */
    uint64_t equal_row; /* that has its value, too; 0: unknown */
    lk_label column;
    lk_label value;  /* of the first bad row; empty: it has none */
    bool has_blanks; /* a value has white space, as names have and ids do not */
} linkd_id_trial;

/* `equal_row` is an earlier row with the same `id`; 0: unknown, or `is_new`. */
void linkd_id_trial_add(linkd_id_trial *trial, const linkd_reader *reader,
                        const linkd_record *record, linkd_cell id, bool is_new,
                        uint64_t equal_row);
/* Are these ids with a mistake? At most half of the rows are bad and the column
 * is called so (id, key, sku, uuid, guid, …_id, …Id), or 1 of 20 at most and
 * no value has white space. */
bool linkd_id_trial_is_flawed(const linkd_id_trial *trial);

/* A whole table in memory. */
typedef struct linkd_table linkd_table;

/* Reads all of `path`. `id_column` names the column of the ids; NULL takes the
 * first column when its values are unique and not empty, else row numbers
 * (then linkd_table_id_column is LINKD_COLUMN_NONE). LINKD_E_ARG: there is no
 * such column. LINKD_E_DATA: an id of a named column is missing, empty or
 * repeated, and all that
 * linkd_reader_next says. Reports the step "read" in bytes. */
LINKD_MUST_CHECK int linkd_table_read(const char *path, linkd_format format,
                                      const char *id_column,
                                      const linkd_progress *progress,
                                      linkd_table **ret_table,
                                      linkd_error *err);
/* The same for what an earlier step wrote: no rows are no error, since a result
 * without pairs is a result. As JSON lines it has not a single byte, so the
 * table has no columns. */
LINKD_MUST_CHECK int
linkd_table_read_result(const char *path, linkd_format format,
                        const char *id_column, const linkd_progress *progress,
                        linkd_table **ret_table, linkd_error *err);
void linkd_table_free(linkd_table *table);

const char *linkd_table_path(const linkd_table *table);
size_t linkd_table_n_rows(const linkd_table *table);
size_t linkd_table_n_columns(const linkd_table *table);
linkd_str linkd_table_column(const linkd_table *table, size_t column);
/* The column's position, or LINKD_COLUMN_NONE. */
size_t linkd_table_find_column(const linkd_table *table, linkd_str name);
linkd_cell linkd_table_cell(const linkd_table *table, size_t row,
                            size_t column);
size_t linkd_table_id_column(const linkd_table *table);
/* Why ids are row numbers although the first column looks like ids, borrowed
 * from the table; NULL: this is not so. */
const linkd_id_trial *linkd_table_id_flaw(const linkd_table *table);
linkd_str linkd_table_id(const linkd_table *table, size_t row);
/* A column that holds a row's text as it is embedded when evidence is gathered,
 * in place of the columns that are compared; it is not compared itself. A new
 * table has LINKD_COLUMN_NONE. */
void linkd_table_set_text_column(linkd_table *table, size_t column);
size_t linkd_table_text_column(const linkd_table *table);

/* ---- which columns take part, and how a record becomes text ------------- */

/* One column of each side that are compared with each other; a column that has
 * no counterpart stands alone, the other side being LINKD_COLUMN_NONE. */
typedef struct linkd_column_pair {
    size_t left;
    size_t right;
    float similarity; /* of their contents, 1 for equal names */
} linkd_column_pair;

/* Pairs every column but the ids (which are compared where a table has nothing
 * else) and the text column: equal names first (ASCII case ignored), then
 * by the likeness of their contents. `ret_pairs` is freed with free(). */
LINKD_MUST_CHECK int linkd_columns_pair(const linkd_table *left,
                                        const linkd_table *right,
                                        linkd_column_pair **ret_pairs,
                                        size_t *ret_n_pairs, linkd_error *err);

/* The text that the encoder sees: the cells of `columns` in that order, without
 * those that are empty or hold only white space and invisible characters.
 * Appends to `ret_text`; an empty record appends nothing. */
LINKD_MUST_CHECK int linkd_record_text(const linkd_cell *cells, size_t n_cells,
                                       const size_t *columns, size_t n_columns,
                                       lk_buf *ret_text, linkd_error *err);

/* ---- what a column holds ------------------------------------------------ */

typedef enum linkd_holds {
    LINKD_HOLDS_EMPTY,    /* nothing */
    LINKD_HOLDS_NAME,     /* short texts: names, titles, addresses */
    LINKD_HOLDS_TEXT,     /* long texts */
    LINKD_HOLDS_CODE,     /* identifiers: mostly distinct, letters and digits */
    LINKD_HOLDS_NUMBER,   /* quantities: years, prices */
    LINKD_HOLDS_DATE,     /* calendar dates */
    LINKD_HOLDS_CATEGORY, /* one of few */
    LINKD_N_HOLDS,
} linkd_holds;

/* One column, as `linkctl profile` prints it. Strings are borrowed from the
 * table. Cells of blanks alone count as empty. */
typedef struct linkd_column_profile {
    linkd_str name;
    linkd_holds type;
    uint64_t n_rows;
    uint64_t n_filled;
    uint64_t n_distinct; /* of the filled ones, compared as lk_words_append()
                            makes them; where that is nothing, as they are */
    double mean_chars;   /* of the filled ones, counted in the same form */
    double mean_words;
    /* LINKD_HOLDS_NUMBER, LINKD_HOLDS_DATE (days since 1970-01-01) */
    double low, high; /* 5th and 95th percentile */
    double spread; /* (75th - 25th percentile) / 1.35: robust deviation; where
                         that is 0, (95th - 5th) / 3.29 */
    bool logarithmic; /* all positive, and high / low > 20 */
    bool month_first; /* LINKD_HOLDS_DATE */
    linkd_str common; /* the most frequent value as it is first written */
    uint64_t n_common;
} linkd_column_profile;

extern const char *const linkd_holds_words[LINKD_N_HOLDS];

LINKD_MUST_CHECK int
linkd_column_profile_make(const linkd_table *table, size_t column,
                          linkd_column_profile *ret_profile, linkd_error *err);
/* The profile of two columns that are compared, as if they were one. `tables`
 * [1] NULL: the first alone. */
LINKD_MUST_CHECK int
linkd_field_profile_make(const linkd_table *const tables[2],
                         const size_t columns[2],
                         linkd_column_profile *ret_profile, linkd_error *err);

#ifdef __cplusplus
}
#endif
#endif
