/* linkage/cohort.c — the records with which each query's scores are put on one
 * scale (linkd_level): some of the anchors, which every generation has vectors
 * of.
 *
 * Every query is compared with all of a cohort in every generation, so that a
 * number of the cohort has a byte, and one of the query two: directions, scaled so
 * that the largest number there is 127, or that the length is UNIT. A score is off
 * by .0005 or so, where deviations are .01 and more. Sums are of integers: no
 * order gives another one. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "linkage/bridge.h"

/* Of a query and a row, [LINKD_DIM_MAX] at most, products have place in 32 bits. */
#define UNIT     16384.0
#define BYTE_MAX 127.0

size_t lk_cohort_stride(size_t n_anchors)
{
    return (n_anchors + LK_COHORT_MAX - 1) / LK_COHORT_MAX;
}

/* What a row's numbers have to be multiplied by; 0: it has no direction. */
static float row_quantise(const float *vector, size_t dim, int8_t *ret_row)
{
    double most = 0.0;

    for (size_t k = 0; k < dim; k++)
        most = fmax(most, fabs((double)vector[k]));
    memset(ret_row, 0, dim * sizeof(*ret_row));
    if (!isnormal(most))
        return 0.0F;
    for (size_t k = 0; k < dim; k++)
        ret_row[k] = (int8_t)lrint((double)vector[k] / most * BYTE_MAX);
    return (float)(most / BYTE_MAX);
}

/* The same of a query. */
static float query_quantise(const float *vector, size_t dim, int16_t *ret_row)
{
    double squares = 0.0;
    double length;

    for (size_t k = 0; k < dim; k++)
        squares += (double)vector[k] * (double)vector[k];
    length = sqrt(squares);
    memset(ret_row, 0, dim * sizeof(*ret_row));
    if (!isnormal(length))
        return 0.0F;
    for (size_t k = 0; k < dim; k++)
        ret_row[k] = (int16_t)lrint((double)vector[k] / length * UNIT);
    return (float)(length / UNIT);
}

int lk_cohort_make(const void *anchors, size_t n_anchors, size_t dim,
                   lk_cohort *ret_cohort, linkd_error *err)
{
    size_t stride = lk_cohort_stride(n_anchors);
    lk_cohort cohort = {.dim = dim};
    float vector[LINKD_DIM_MAX];

    LK_ASSERT(n_anchors > 0 && dim <= LINKD_DIM_MAX);
    cohort.rows =
        lk_alloc_aligned(n_anchors / stride + 1, dim * sizeof(*cohort.rows));
    cohort.scales =
        lk_alloc_aligned(n_anchors / stride + 1, sizeof(*cohort.scales));
    if (cohort.rows == NULL || cohort.scales == NULL) {
        lk_cohort_clear(&cohort);
        return lk_fail_nomem(err);
    }
    for (size_t i = 0; i < n_anchors; i += stride, cohort.n++) {
        memcpy(vector, (const char *)anchors + i * dim * sizeof(*vector),
               dim * sizeof(*vector));
        cohort.scales[cohort.n] =
            row_quantise(vector, dim, cohort.rows + cohort.n * dim);
    }
    *ret_cohort = cohort;
    return LINKD_OK;
}

void lk_cohort_clear(lk_cohort *cohort)
{
    free(cohort->scales);
    free(cohort->rows);
    *cohort = (lk_cohort){0};
}

static int32_t product(const int16_t *a, const int8_t *b, size_t dim)
{
    int32_t sum = 0;

    for (size_t k = 0; k < dim; k++)
        sum += (int32_t)a[k] * (int32_t)b[k];
    return sum;
}

linkd_level lk_cohort_level(const lk_cohort *cohort, const float *query)
{
    float scores[LK_COHORT_MAX];
    int16_t row[LINKD_DIM_MAX];
    size_t dim = cohort->dim;
    float scale = query_quantise(query, dim, row);

    LK_ASSERT(cohort->n > 0 && cohort->n <= LK_COHORT_MAX);
    for (size_t i = 0; i < cohort->n; i++)
        scores[i] = (float)product(row, cohort->rows + i * dim, dim) *
                    cohort->scales[i] * scale;
    return linkd_level_of(scores, cohort->n);
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
