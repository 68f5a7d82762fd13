/* linkage/reader.h — private: what the formats share. reader.c knows the file,
 * reader_csv.c and reader_jsonl.c know what its lines mean. */
#ifndef LK_LINKAGE_READER_H
#define LK_LINKAGE_READER_H

#include "linkage/linkage.h"
#include "linkage/strset.h"
#include "linkage/text.h"

/* One CSV record or one JSON line. A guess: four times the largest field, and
 * room for a row of LINKD_COLUMNS_MAX short ones. */
#define LK_RECORD_MAX_BYTES ((size_t)64 << 20)

/* As linkd_reader_open(), with the choice that a file without a record is no
 * error: it may have a header alone and, as JSON lines, no bytes at all. */
LINKD_MUST_CHECK int lk_reader_open(const char *path, linkd_format format,
                                    bool may_be_empty,
                                    linkd_reader **ret_reader,
                                    linkd_error *err);

/* What one format does. `state` is the reader's format_state. */
typedef struct lk_reader_format {
    int (*open)(linkd_reader *reader, linkd_error *err);
    /* Fills reader->cells, n_cells and record_line; *ret_more false: the end */
    int (*next)(linkd_reader *reader, bool *ret_more, linkd_error *err);
    void (*close)(linkd_reader *reader);
    const char *no_records; /* said of a file that ends before the first */
} lk_reader_format;

extern const lk_reader_format lk_reader_csv;
extern const lk_reader_format lk_reader_tsv;
extern const lk_reader_format lk_reader_jsonl;

struct linkd_reader {
    lk_arena arena; /* of path and column names */
    const char *path;
    lk_label label; /* of the path, for messages */
    const lk_reader_format *format;
    void *format_state;

    int fd; /* -1: what is read is `rest`, of memory */
    linkd_str rest;
    char *window; /* window[begin .. end) is read and not yet handed out */
    size_t begin, end;
    bool is_at_end; /* of the file */
    bool may_be_empty;
    char last_byte; /* handed out: whether a new line begins after it */
    uint64_t line;  /* of the last piece */
    uint64_t bytes_read, bytes_total;

    linkd_str *columns;
    size_t n_columns, columns_capacity;
    lk_strset column_set;

    uint64_t row;         /* being read; 0 in the header */
    uint64_t record_line; /* where it began */
    linkd_cell *cells;
    size_t n_cells, cells_capacity;
};

/* The next line of the file with its line end (CR, LF or CRLF), or the next
 * part of a line that is longer than the window. The bytes may be changed and
 * last until the next call. len 0: the end of the file. */
LINKD_MUST_CHECK int lk_reader_piece(linkd_reader *reader, char **ret_bytes,
                                     size_t *ret_len, linkd_error *err);
/* The same, without going on behind it. */
LINKD_MUST_CHECK int lk_reader_peek(linkd_reader *reader, char **ret_bytes,
                                    size_t *ret_len, linkd_error *err);

/* Copies the name. Answers the column that has it already, if there is one. */
LINKD_MUST_CHECK int lk_reader_column_add(linkd_reader *reader, linkd_str name,
                                          size_t *ret_column, linkd_error *err);

/* Fills `err` with LINKD_E_DATA and "<file>: row <n> (line <n>), column <name>:
 * <message>", without the column where it is LINKD_COLUMN_NONE. */
int lk_reader_fail(const linkd_reader *reader, size_t column, linkd_error *err,
                   const char *format, ...) LK_PRINTF(4, 5);

#endif
