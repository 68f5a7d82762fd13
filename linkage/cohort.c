/* linkage/cohort.c — the records with which each query's scores are put on one
 * scale (linkd_level): some of the anchors, which every generation has vectors
 * of. */
#include <stdlib.h>
#include <string.h>

#include "linkage/bridge.h"

size_t lk_cohort_stride(size_t n_anchors)
{
    return (n_anchors + LK_COHORT_MAX - 1) / LK_COHORT_MAX;
}

int lk_cohort_copy(const float *anchors, size_t n_anchors, size_t dim,
                   float **ret_cohort, size_t *ret_n, linkd_error *err)
{
    size_t stride = lk_cohort_stride(n_anchors);
    float *cohort =
        lk_alloc_aligned(n_anchors / stride + 1, dim * sizeof(*cohort));
    size_t n = 0;

    if (cohort == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < n_anchors; i += stride)
        memcpy(cohort + n++ * dim, anchors + i * dim, dim * sizeof(*cohort));
    *ret_cohort = cohort;
    *ret_n = n;
    return LINKD_OK;
}

linkd_level lk_cohort_level(const float *cohort, size_t n, size_t dim,
                            const float *query)
{
    float scores[LK_COHORT_MAX];

    LK_ASSERT(n > 0 && n <= LK_COHORT_MAX);
    for (size_t i = 0; i < n; i++)
        scores[i] = linkd_index_score(query, cohort + i * dim, dim);
    return linkd_level_of(scores, n);
}

linkd_level lk_cohort_level_of(const linkd_bridge_task *task, size_t query,
                               const float *scores)
{
    float kept[LK_COHORT_MAX];
    size_t n_kept = task->n_kept > 0 ? task->n_kept : task->n_anchors;
    size_t stride = lk_cohort_stride(n_kept);
    bool is_half = task->n_records <= 2 * (n_kept / stride);
    size_t n = 0;

    for (size_t i = 0; i < n_kept; i += stride)
        if ((is_half || !lk_bridge_answers(task, query, i)) &&
            !lk_bridge_asks(task, query, i))
            kept[n++] = scores[i];
    return n > 0 ? linkd_level_of(kept, n) : linkd_level_of(scores, 1);
}
