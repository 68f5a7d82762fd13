/* cli/columns.h — column names on the command line to columns of a table. */
#ifndef LINKD_CLI_COLUMNS_H
#define LINKD_CLI_COLUMNS_H

#include "cli/command.h"

typedef struct json_t json_t;

/* Names as --on takes them. */
typedef struct lk_name_list {
    linkd_str *names;
    size_t n;
    lk_arena arena;
} lk_name_list;

/* Splits "a,b" or "\"last, first\",b": quoted as a line of a CSV file.
 * LINKD_E_ARG: a name is empty, or a quote is not closed. */
LINKD_MUST_CHECK int lk_name_list_split(const char *option, const char *text,
                                        lk_name_list *ret_names,
                                        linkd_error *err);
void lk_name_list_clear(lk_name_list *names);
/* The same as an array of JSON, freed with json_decref(). */
LINKD_MUST_CHECK int lk_name_list_json(const char *option, const char *text,
                                       json_t **ret_array, linkd_error *err);

/* Says "<file> has no column "<name>"" as LINKD_E_ARG. */
int lk_fail_column(const char *path, linkd_str name, linkd_error *err);

/* The column of this name; NULL is LINKD_COLUMN_NONE. LINKD_E_ARG: there is
 * no such column; the hint lists those that exist. */
LINKD_MUST_CHECK int lk_column_find(lk_cli *cli, const linkd_table *table,
                                    const char *name, size_t *ret_column,
                                    linkd_error *err);

/* LINKD_E_DATA: the table has a column of that name, which `command` is about to
 * write; the hint says so. */
LINKD_MUST_CHECK int lk_column_check_free(lk_cli *cli, const linkd_table *table,
                                          const char *name, const char *command,
                                          linkd_error *err);

/* What --on, or --left-on and --right-on, pair; all three NULL: all columns but
 * the ids, paired by name and content. `ret_pairs` is freed with free().
 * LINKD_E_ARG: no such column, or not as many on both sides. */
typedef struct lk_on_values {
    const char *on, *left_on, *right_on;
} lk_on_values;
LINKD_MUST_CHECK int lk_columns_pair(lk_cli *cli, const linkd_table *left,
                                     const linkd_table *right,
                                     const lk_on_values *values,
                                     linkd_column_pair **ret_pairs,
                                     size_t *ret_n_pairs, linkd_error *err);

/* Sets the hint to the columns of an open reader, or of a file to be opened. */
void lk_columns_hint(lk_cli *cli, const linkd_reader *reader);
void lk_columns_hint_file(lk_cli *cli, const char *path, linkd_format format);

#endif
