/* linkage/cluster_vectors.h — private: vectors to clusters, without a matrix of
 * all distances. */
#ifndef LK_LINKAGE_CLUSTER_VECTORS_H
#define LK_LINKAGE_CLUSTER_VECTORS_H

#include "linkage/disjoint.h"
#include "linkage/linkage.h"

/* Vectors of length 1, known by their numbers. Borrowed. */
typedef struct lk_space {
    const float *vectors; /* [n, dim] */
    size_t n;             /* < 2^32 */
    size_t dim;
    lk_pool *pool;
    const linkd_progress *progress; /* steps "search" and "cluster" */
} lk_space;

/* The cosine of two of them, as it is decided on. */
float lk_space_score(const lk_space *space, size_t a, size_t b);

/* ---- neighbours --------------------------------------------------------- */

/* `hits` [n] are those of vector `number`, itself included. */
typedef void lk_near_fn(void *ctx, size_t number, const linkd_hit *hits,
                        size_t n);

/* Calls back, on the calling thread, for every vector once, in an order that
 * only depends on the vectors: with all that have a score of at least `least`.
 * Scores of hits are rounded. */
LINKD_MUST_CHECK int lk_near_range(const lk_space *space, float least,
                                   lk_near_fn *near_cb, void *ctx,
                                   linkd_error *err);
/* The same with the `k` nearest, best first, or all if there are fewer. */
LINKD_MUST_CHECK int lk_near_count(const lk_space *space, size_t k,
                                   lk_near_fn *near_cb, void *ctx,
                                   linkd_error *err);

/* ---- methods ------------------------------------------------------------ */

/* Unites, in `sets`, what a chain of scores of at least `least` connects. */
LINKD_MUST_CHECK int lk_space_components(const lk_space *space, float least,
                                         lk_disjoint *sets, linkd_error *err);

/* ret_clusters [n]: a number below *ret_n, or LINKD_CLUSTER_NOISE; clusters are
 * numbered from 0 in order of their first vectors. */
LINKD_MUST_CHECK int lk_space_dbscan(const lk_space *space, float least,
                                     size_t min_samples, size_t *ret_clusters,
                                     size_t *ret_n, linkd_error *err);
LINKD_MUST_CHECK int lk_space_hdbscan(const lk_space *space, size_t min_size,
                                      size_t min_samples, size_t *ret_clusters,
                                      size_t *ret_n, linkd_error *err);
/* Never LINKD_LINKAGE_SINGLE, which is lk_space_components(). */
LINKD_MUST_CHECK int lk_space_agglomerate(const lk_space *space,
                                          linkd_linkage linkage, float distance,
                                          lk_disjoint *sets, linkd_error *err);

/* An edge of a spanning tree. */
typedef struct lk_span {
    float distance;
    uint32_t a, b;
} lk_span;

/* The spanning tree of least sum of the distance that is the greatest of
 * 1 - score and both vectors' `cores` [n]; ret_spans [n - 1], n > 0. */
LINKD_MUST_CHECK int lk_space_span(const lk_space *space, const float *cores,
                                   lk_span *ret_spans, linkd_error *err);
/* The clusters of a spanning tree of n things, that last longest; sorts
 * `spans`. As lk_space_hdbscan(). */
LINKD_MUST_CHECK int lk_spans_condense(lk_span *spans, size_t n,
                                       size_t min_size, size_t *ret_clusters,
                                       size_t *ret_n, linkd_error *err);

/* Numbers what has names (lowest members, or LINKD_CLUSTER_NOISE) in order of
 * first members, in place; answers how many there are. */
LINKD_MUST_CHECK int lk_clusters_number(size_t *clusters, size_t n,
                                        size_t *ret_n, linkd_error *err);

#endif
