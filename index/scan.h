/* index/scan.h — private: the best hits so far, and comparing queries with every
 * vector of a range of slots. */
#ifndef LK_INDEX_SCAN_H
#define LK_INDEX_SCAN_H

#include "index/parts.h"

/* The k best of the hits that were offered, in memory of the caller's. */
typedef struct lk_top {
    linkd_hit *hits; /* [k], a heap with the worst first until it is sorted */
    size_t n;
    size_t k; /* > 0 */
} lk_top;

void lk_top_offer(lk_top *top, linkd_hit hit);
/* Best first, equal scores by number. Nothing may be offered any more. */
void lk_top_sort(lk_top *top);

/* What one search works with, whichever way it goes. */
typedef struct lk_scan {
    linkd_view *view;
    const linkd_search_options *options;
    size_t dim;
    uint64_t *slots; /* those of the selected records, ascending; NULL: look at
                        every slot and ask the selection */
    size_t n_slots;
    uint64_t n_scanned; /* vectors compared */
    size_t n_floats;    /* compared since stop_cb was asked */
} lk_scan;

/* Whether a record may be a hit as far as selection and exclusion go. */
bool lk_scan_admits(const lk_scan *scan, uint64_t number);

/* Counts `n` comparisons; asks stop_cb when it is time to.
 * LINKD_E_CANCELLED. */
LINKD_MUST_CHECK int lk_scan_count(lk_scan *scan, size_t n, linkd_error *err);

/* Offers every alive and admitted record with a slot in [begin, end) to each of
 * the queries [n_queries, dim], in one pass over the vectors. */
LINKD_MUST_CHECK int lk_scan_range(lk_scan *scan, const float *queries,
                                   lk_top *tops, size_t n_queries,
                                   uint64_t begin, uint64_t end,
                                   linkd_error *err);

#endif
