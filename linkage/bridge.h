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

/* The query that is searched for with LINKD_WAY_FUSE: `own` is of the model that
 * the bridge leads to, `vector` of the other. ret_vector [dim of `own`], another
 * array. LINKD_E_DATA: one of them is zero or not finite. */
LINKD_MUST_CHECK int lk_bridge_fuse(const linkd_bridge *bridge,
                                    const float *own, const float *vector,
                                    float *ret_vector, linkd_error *err);

#endif
