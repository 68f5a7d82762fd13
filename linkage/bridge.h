/* linkage/bridge.h — private: one bridge put to use. */
#ifndef LK_LINKAGE_BRIDGE_H
#define LK_LINKAGE_BRIDGE_H

#include "linkage/collection.h"

/* Maps a vector; ret_vector [dim of the other model], of length 1.
 * LINKD_E_DATA: it is zero or not finite. */
LINKD_MUST_CHECK int lk_bridge_map(const linkd_bridge *bridge,
                                   const float *vector, float *ret_vector,
                                   linkd_error *err);

/* Whether an anchor is an answer to a query. */
bool lk_bridge_answers(const linkd_bridge_task *task, size_t query,
                       size_t anchor);
/* Whether it is the query. */
bool lk_bridge_asks(const linkd_bridge_task *task, size_t query, size_t anchor);

/* ---- the cohort: every so-manieth anchor ------------------------------------ */

/* As many as there are unless more are asked for: with half of them linking over
 * two generations loses twice as much F1 at most, with a quarter four times
 * (docs/compat.md). Six megabytes of 384 numbers each, .2 ms a query. */
#define LK_COHORT_MAX ((size_t)4096)

/* Of so many anchors one is of the cohort, from the first. */
size_t lk_cohort_stride(size_t n_anchors);
/* Its vectors, [*ret_n, dim] of [n_anchors, dim], freed with free(). */
LINKD_MUST_CHECK int lk_cohort_copy(const float *anchors, size_t n_anchors,
                                    size_t dim, float **ret_cohort,
                                    size_t *ret_n, linkd_error *err);
/* Where the scores of a query [dim] lie with a cohort. */
linkd_level lk_cohort_level(const float *cohort, size_t n, size_t dim,
                            const float *query);
/* The same for a query of a task, whose `scores` [n_anchors] are with all
 * anchors. What answers it is left out, as most collections have answers that are
 * not of the cohort; of a small one the cohort has half of all records. */
linkd_level lk_cohort_level_of(const linkd_bridge_task *task, size_t query,
                               const float *scores);
/* Of a generation's vectors; NULL: there is no such one. */
const float *lk_bridges_cohort(const linkd_bridges *bridges,
                               uint32_t generation, size_t *ret_n);

/* The query that is searched for with LINKD_WAY_FUSE: `own` is of the model that
 * the bridge leads to, `vector` of the other. ret_vector [dim of `own`], another
 * array. LINKD_E_DATA: one of them is zero or not finite. */
LINKD_MUST_CHECK int lk_bridge_fuse(const linkd_bridge *bridge,
                                    const float *own, const float *vector,
                                    float *ret_vector, linkd_error *err);

/* Such a query again, for the order of what the first one finds. The bridge has a
 * ranking. */
LINKD_MUST_CHECK int lk_bridge_rank(const linkd_bridge *bridge,
                                    const float *own, const float *vector,
                                    float *ret_vector, linkd_error *err);

#endif
