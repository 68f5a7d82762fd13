/* cli/compared.h — the tables that a command compares, two or one with itself,
 * and by which columns: what all commands that gather evidence share. */
#ifndef LINKD_CLI_COMPARED_H
#define LINKD_CLI_COMPARED_H

#include "cli/columns.h"
#include "cli/decide.h"

/* As the command line says it. */
typedef struct lk_compared_values {
    lk_on_values on;
    const char *block, *left_block, *right_block;
    const char *id, *left_id, *right_id;
    int format;
} lk_compared_values;

/* Rows of an option table; `at` is the offset of an lk_compared_values. */
#define LK_COMPARED_OPTION(at, member, name, value, help)                      \
 {                                                                             \
  name, 0, LK_OPTION_TEXT, (at) + offsetof(lk_compared_values, member), value, \
      NULL, 0, 0, help                                                         \
 }
#define LK_ON_OPTION(at)                                                       \
 LK_COMPARED_OPTION(at, on.on, "on", "A,B",                                    \
                    "columns to compare, of the same names on both sides;\n"   \
                    "without it all but the ids, paired by name and content")
#define LK_BLOCK_OPTION(at)                                                    \
 LK_COMPARED_OPTION(at, block, "block", "COLUMN",                              \
                    "compare only rows with equal values in this column")
#define LK_ID_OPTION(at)                                                       \
 LK_COMPARED_OPTION(at, id, "id", "COLUMN",                                    \
                    "column of the ids; without it the first column if its\n"  \
                    "values are unique, else the row number")
#define LK_COLUMNS_OPTIONS(at)                                                 \
 LK_ON_OPTION(at),                                                             \
     LK_COMPARED_OPTION(                                                       \
         at, on.left_on, "left-on", "A,B",                                     \
         "columns of LEFT to compare with those of --right-on"),               \
     LK_COMPARED_OPTION(at, on.right_on, "right-on", "A,B",                    \
                        "as many columns of RIGHT, in the same order"),        \
     LK_BLOCK_OPTION(at),                                                      \
     LK_COMPARED_OPTION(                                                       \
         at, left_block, "left-block", "COLUMN",                               \
         "the same where the names differ: the column of LEFT"),               \
     LK_COMPARED_OPTION(at, right_block, "right-block", "COLUMN",              \
                        "and that of RIGHT")
#define LK_SIDE_ID_OPTIONS(at)                                                 \
 LK_COMPARED_OPTION(at, left_id, "left-id", "COLUMN",                          \
                    "column of the ids of LEFT"),                              \
     LK_COMPARED_OPTION(at, right_id, "right-id", "COLUMN",                    \
                        "column of the ids of RIGHT")
/* All of two tables, or one. */
#define LK_COMPARED_OPTIONS(at)                                                \
 LK_COLUMNS_OPTIONS(at), LK_ID_OPTION(at), LK_SIDE_ID_OPTIONS(at)
#define LK_FORMAT_OPTION(at)                                                   \
 {                                                                             \
  "format", 0, LK_OPTION_WORD, (at) + offsetof(lk_compared_values, format),    \
      "FORMAT", lk_format_words, 0, 0,                                         \
      "csv, tsv or jsonl, whatever the names end in: of\n"                     \
      "standard input if one table comes from there, else of\nboth"            \
 }

typedef struct lk_compared {
    linkd_table *left;
    linkd_table *right;           /* NULL: one table */
    const linkd_table *tables[2]; /* in one table twice the same */
    linkd_column_pair *columns;
    size_t n_columns;
    size_t blocks[2];
    linkd_pair_model *pair_model; /* which then names the columns, or NULL */
    double read_seconds;
} lk_compared;

/* LINKD_E_ARG: --on, --left-on and --right-on contradict each other, or name a
 * side of one table. */
LINKD_MUST_CHECK int lk_on_check(const lk_on_values *on, bool within,
                                 linkd_error *err);
/* The same of these and the others. `pair_model` is a file, or NULL. */
LINKD_MUST_CHECK int lk_compared_check(const lk_compared_values *values,
                                       const char *pair_model, bool within,
                                       linkd_error *err);
/* Reads the first operand, and the second unless it is `within` one table. The
 * format tells what standard input is, so it leaves the other table alone. */
LINKD_MUST_CHECK int lk_compared_read(lk_cli *cli,
                                      const lk_compared_values *values,
                                      bool within, lk_compared *ret_compared,
                                      linkd_error *err);
/* Columns and blocks of tables that were read: as the values say, or as the
 * file of a pair model does, which is read. */
LINKD_MUST_CHECK int lk_compared_pair(lk_cli *cli,
                                      const lk_compared_values *values,
                                      const char *pair_model,
                                      lk_compared *compared, linkd_error *err);
/* The blocks alone. */
LINKD_MUST_CHECK int lk_compared_block(lk_cli *cli,
                                       const lk_compared_values *values,
                                       lk_compared *compared, linkd_error *err);
void lk_compared_clear(lk_compared *compared);

/* Of one table: columns by their numbers [n_columns], freed with free(). */
LINKD_MUST_CHECK int lk_compared_numbers(const lk_compared *compared,
                                         size_t **ret_columns,
                                         linkd_error *err);

/* As the manifest tells it: the tables, how long it took to read them, and the
 * columns, by one name each where there is one table. */
void lk_compared_manifest(const lk_compared *compared, lk_manifest *manifest);

/* All of it as the input of a decision; the rest is left to the caller. */
lk_decide_input lk_compared_input(const lk_compared *compared,
                                  const lk_engine *engine, size_t k);

#endif
