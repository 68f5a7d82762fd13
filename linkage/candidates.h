/* linkage/candidates.h — private: the pairs that are worth a decision. */
#ifndef LK_LINKAGE_CANDIDATES_H
#define LK_LINKAGE_CANDIDATES_H

#include "linkage/blocks.h"
#include "linkage/linkage.h"

/* How to search. */
typedef struct lk_search_options {
    size_t dim;
    size_t k;              /* neighbours per vector and direction, at least 1 */
    size_t rows_per_shard; /* indexed at once; 0: what keeps reports coming */
    /* Blocks that have so many rows on the side that is asked are searched
     * through graphs, which miss some neighbours; 0: none. */
    size_t graph_rows;
    lk_pool *pool;
    const linkd_progress *progress; /* step "search", in vectors; "graphs" */
} lk_search_options;

/* Distinct pairs of vector numbers, by left, then right; scores are rounded. */
typedef struct lk_candidates {
    linkd_pair *pairs;
    size_t n;
} lk_candidates;

/* Finds the `k` nearest right vectors of every left one and the other way
 * round, within blocks. `right` NULL compares the left side with itself; then
 * `left` is the lower number of a pair. */
LINKD_MUST_CHECK int lk_candidates_search(const lk_side *left,
                                          const lk_side *right,
                                          const lk_search_options *options,
                                          lk_candidates *ret_candidates,
                                          linkd_error *err);
void lk_candidates_clear(lk_candidates *candidates);

/* For qsort: pairs by left, then right. */
int lk_pair_compare(const void *a, const void *b);

#endif
