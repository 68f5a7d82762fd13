/* linkage/cluster.h — private: pairs to entities. */
#ifndef LK_LINKAGE_CLUSTER_H
#define LK_LINKAGE_CLUSTER_H

#include "linkage/disjoint.h"
#include "linkage/linkage.h"

typedef struct lk_cluster_input {
    const linkd_pair *candidates; /* distinct, left < right, sorted */
    size_t n;
    size_t n_rows;
    float threshold;
    /* The score of any two rows, the same as in candidates and symmetric. */
    float (*score)(const void *ctx, size_t a, size_t b);
    const void *ctx;
} lk_cluster_input;

/* Numbers entities from 0 in order of their first rows. A row without an
 * accepted pair is an entity by itself.
 *   ret_entities [n_rows] */
LINKD_MUST_CHECK int lk_cluster(const lk_cluster_input *input,
                                linkd_cluster method, size_t *ret_entities,
                                size_t *ret_n_entities, linkd_error *err);

/* LINKD_CLUSTER_COMPLETE: unites, in `sets`, the rows of each entity. */
LINKD_MUST_CHECK int lk_cluster_complete(const lk_cluster_input *input,
                                         lk_disjoint *sets, linkd_error *err);

#endif
