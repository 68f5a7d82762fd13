/* cli/compared.h — the tables that a command compares, two or one with itself,
 * and by which columns: what explain and eval --candidates share. */
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

typedef struct lk_compared {
    linkd_table *left;
    linkd_table *right;           /* NULL: one table */
    const linkd_table *tables[2]; /* in one table twice the same */
    linkd_column_pair *columns;
    size_t n_columns;
    size_t blocks[2];
} lk_compared;

/* LINKD_E_ARG: options contradict each other, or name a side of one table. */
LINKD_MUST_CHECK int lk_compared_check(const lk_compared_values *values,
                                       bool within, linkd_error *err);
/* Reads `paths`, of which the second is NULL for one table. */
LINKD_MUST_CHECK int lk_compared_read(lk_cli *cli,
                                      const lk_compared_values *values,
                                      const char *const paths[2],
                                      lk_compared *ret_compared,
                                      linkd_error *err);
/* Columns and blocks of tables that were read. */
LINKD_MUST_CHECK int lk_compared_pair(lk_cli *cli,
                                      const lk_compared_values *values,
                                      lk_compared *compared, linkd_error *err);
void lk_compared_clear(lk_compared *compared);

/* All of it as the input of a decision; the rest is left to the caller. */
lk_decide_input lk_compared_input(const lk_compared *compared);

#endif
