/* cli/pairs.h — accepted pairs to a file. */
#ifndef LINKD_CLI_PAIRS_H
#define LINKD_CLI_PAIRS_H

#include "cli/rows.h"

typedef struct lk_pairs {
    const linkd_table *left;
    const linkd_table *right; /* the same table in dedup */
    const linkd_pair *pairs;
    const float *probabilities; /* [n_pairs]; NULL: none are known */
    size_t n_pairs;
    bool wide; /* both rows' columns, too */
} lk_pairs;

/* left_id, right_id, score, probability. */
enum {
    LK_PAIR_COLUMNS = 4,
};
extern const linkd_str lk_pair_columns[LK_PAIR_COLUMNS];

LINKD_MUST_CHECK int lk_pairs_write(const lk_pairs *pairs, lk_output *output,
                                    linkd_format format, linkd_error *err);

/* side, id of the rows that are in no pair. With `output` NULL they are only
 * counted. */
LINKD_MUST_CHECK int lk_unmatched_write(const lk_pairs *pairs,
                                        lk_output *output, linkd_format format,
                                        size_t *ret_n_left, size_t *ret_n_right,
                                        linkd_error *err);

/* The next cell of `rows`: the id of a row, in JSON as it was in the table. */
void lk_rows_id(lk_rows *rows, const linkd_table *table, size_t row);

#endif
