/* linkage/assign.h — private: which candidates become links. */
#ifndef LK_LINKAGE_ASSIGN_H
#define LK_LINKAGE_ASSIGN_H

#include "linkage/linkage.h"

/* Chooses among candidates, which are distinct and sorted by left, then right.
 * Rows are numbered below n_left and n_right. */
typedef struct lk_assign_input {
    const linkd_pair *candidates;
    size_t n;
    size_t n_left;
    size_t n_right;
    float threshold; /* a pair needs score >= threshold */
} lk_assign_input;

/* `ret_pairs` has room for input->n pairs; the chosen ones come in the order
 * of the candidates. Of equal scores the lower row is the better one. */
LINKD_MUST_CHECK int lk_assign(const lk_assign_input *input, linkd_assign mode,
                               linkd_pair *ret_pairs, size_t *ret_n,
                               linkd_error *err);

/* LINKD_ASSIGN_ONE_TO_ONE: sets ret_chosen[i] for each candidate i of the
 * one-to-one choice with the greatest sum of (score - threshold). */
LINKD_MUST_CHECK int lk_assign_one_to_one(const lk_assign_input *input,
                                          bool *ret_chosen, linkd_error *err);

#endif
