/* cli/truth.h — which candidates are true, as a file of the truth says. */
#ifndef LINKD_CLI_TRUTH_H
#define LINKD_CLI_TRUTH_H

#include "linkage/linkage.h"

typedef struct lk_truth {
    bool *is_match; /* [n_candidates] */
    size_t n_true;  /* pairs in truth, candidates or not */
} lk_truth;

/* `path` holds pairs (left_id, right_id), or within one table (`right` NULL)
 * also entities (an id and entity_id). Pairs of ids that the tables do not have
 * count as true ones that were not found. LINKD_E_DATA: it holds neither. */
LINKD_MUST_CHECK int lk_truth_read(const char *path, const linkd_table *left,
                                   const linkd_table *right,
                                   const linkd_decision *decision,
                                   const linkd_progress *progress,
                                   lk_truth *ret_truth, linkd_error *err);
void lk_truth_clear(lk_truth *truth);

#endif
