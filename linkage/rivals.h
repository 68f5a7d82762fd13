/* linkage/rivals.h — private: how a pair stands among the other candidates of
 * its two records. */
#ifndef LK_LINKAGE_RIVALS_H
#define LK_LINKAGE_RIVALS_H

#include "linkage/features.h"

/* Writes two features of every pair, at `column` its rank and at `column` + 1
 * its margin (see rivals.c), by `scores` [n_pairs] within 0 and 1. A pair whose
 * score is NAN is nobody's rival, and both are LK_FEATURE_MISSING. Needs 8
 * bytes a pair and 8 a record for a while. */
LINKD_MUST_CHECK int lk_rivals_compare(const lk_pairset *pairs,
                                       const float *scores, lk_pool *pool,
                                       size_t column, lk_features *features,
                                       linkd_error *err);

/* The same as numbers that nothing was rounded from, of scores of any size. */
typedef struct lk_standing {
    uint32_t rank; /* from 1; of the two records the one that ranks it better */
    float lead; /* sum over both records of: score - that of its best rival */
} lk_standing;

/* `ret_standings` [n_pairs]; no score is NAN. */
LINKD_MUST_CHECK int lk_rivals_stand(const lk_pairset *pairs,
                                     const float *scores, lk_pool *pool,
                                     lk_standing *ret_standings,
                                     linkd_error *err);

#endif
