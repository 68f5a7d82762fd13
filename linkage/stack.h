/* linkage/stack.h — private: what a model with labels sees of a pair beside its
 * features, as more of them:
 *
 *   features  [ gram soft edit … ]            of the pair alone
 *   context   [ rank margin … | guess chance guess-rank guess-margin ]
 *
 * Its place among its rivals, and what was decided without labels. A model that
 * finds nothing in the labels can repeat that decision from two columns of this,
 * so labels add to it instead of starting anew (Wolpert 1992: stacking). */
#ifndef LK_LINKAGE_STACK_H
#define LK_LINKAGE_STACK_H

#include "linkage/features.h"

/* What was decided without labels; each [n_pairs]. */
typedef struct lk_guess {
    const float *log_odds;
    const float *probabilities;
} lk_guess;

/* Rank and margin go by the record's gram and soft, by its vectors where it has
 * a dense feature, and by the guess. Same result for any number of workers. */
LINKD_MUST_CHECK int lk_stack_make(const lk_pairset *pairs,
                                   const lk_features *features,
                                   const lk_guess *guess, lk_pool *pool,
                                   lk_features *ret_context, linkd_error *err);

/* The features of one pair, then its context; ret_row [features->n +
 * context->n]. */
void lk_stack_row(const lk_features *features, const lk_features *context,
                  size_t pair, uint8_t *ret_row);

#endif
