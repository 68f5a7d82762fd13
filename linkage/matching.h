/* linkage/matching.h — private: pairs compete. Turns each pair's likelihood
 * ratio into the probability that it is a match, given that a record has at most
 * one partner (on the sides where that holds), and finds how many matches there
 * are on the way: belief propagation inside an EM over the number of matches.
 * research: Bayati, Shah, Sharma 2008 for belief propagation on matchings. */
#ifndef LK_LINKAGE_MATCHING_H
#define LK_LINKAGE_MATCHING_H

#include "linkage/pairset.h"

/* Who may have several partners. Within one table only the first and the last
 * mean anything: at most one partner a record, or any number. */
typedef enum lk_multiplicity {
    LK_ONE_TO_ONE,
    LK_ONE_TO_MANY,  /* a left record may have several right ones */
    LK_MANY_TO_ONE,  /* a right record may have several left ones */
    LK_MANY_TO_MANY, /* pairs do not compete */
} lk_multiplicity;

typedef struct lk_matching {
    float *posteriors; /* [n_pairs] */
    double n_matches;  /* expected: their sum */
} lk_matching;

/* `log_ratios` [pairs->n]: ln P(features | match) / P(features | no match).
 * Starts from `n_matches` > 0. Same result for any number of workers. */
LINKD_MUST_CHECK int
lk_matching_infer(const lk_pairset *pairs, const float *log_ratios,
                  lk_multiplicity multiplicity, double n_matches, lk_pool *pool,
                  lk_matching *ret_matching, linkd_error *err);
void lk_matching_clear(lk_matching *matching);

#endif
