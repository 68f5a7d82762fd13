/* linkage/fs_em.h — private: a first guess at which pairs are matches, by a
 * mixture of matches and others whose likeness is independent from field to
 * field: Fellegi and Sunter 1969, fitted by EM (Winkler 1988). */
#ifndef LK_LINKAGE_FS_EM_H
#define LK_LINKAGE_FS_EM_H

#include "linkage/features.h"

/* Starts from `seeds` [n_pairs]: pairs that are likely matches. Writes log-odds
 * of all pairs, ret_log_odds [n_pairs]. Same result for any number of workers.
 */
LINKD_MUST_CHECK int lk_fs_em(const lk_features *features, const bool *seeds,
                              lk_pool *pool, float *ret_log_odds,
                              linkd_error *err);

#endif
