/* cli/explanation.h — why a pair is what it is, for people and programs. */
#ifndef LINKD_CLI_EXPLANATION_H
#define LINKD_CLI_EXPLANATION_H

#include <stdio.h>

#include "linkage/linkage.h"

/* An explanation and what it is about. Borrowed. */
typedef struct lk_told {
    const linkd_explanation *explanation;
    const linkd_decision *decision;
    const linkd_table *tables[2]; /* both the same: one table */
} lk_told;

/* The id of a row as text: of a table without ids its number. `ret_id` lives
 * while the table and `storage` do. */
typedef struct lk_id_storage {
    char text[24];
} lk_id_storage;
linkd_str lk_id_text(const linkd_table *table, size_t row,
                     lk_id_storage *storage);

/* A table of parts, then the words of each field, then the runners-up. */
LINKD_MUST_CHECK int lk_explanation_print(const lk_told *told, FILE *out,
                                          linkd_error *err);
/* Appends one JSON object on one line, with a line feed. */
LINKD_MUST_CHECK int lk_explanation_json(const lk_told *told, lk_buf *ret_line,
                                         linkd_error *err);
/* Appends a waterfall as SVG: what each part adds, from left to right. */
LINKD_MUST_CHECK int lk_explanation_svg(const lk_told *told, lk_buf *ret_svg,
                                        linkd_error *err);

#endif
