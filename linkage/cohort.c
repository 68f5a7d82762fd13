/* linkage/cohort.c — the records with which each query's scores are put on one
 * scale (linkd_level): some of the anchors, which every generation has vectors
 * of.
 *
 * Every query is compared with all of a cohort in every generation, so that each
 * number has a byte: directions, scaled so that the largest number there is 127.
 * A score is off by .0005 or so, where deviations are .01 and more. Rows are stored
 * with 128 added, as products want them (products.h), and a query's sum takes that
 * away again.
 *
 * That only the ten highest scores and the spread of all count saves nothing for
 * sure: four bits of each number say a score to .10 to .13, which leaves 36 to 100
 * of 100 rows among the ten, and half of the numbers say less. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "linkage/bridge.h"
#include "linkage/products.h"

#define BYTE_MAX 127.0
#define ADDED    128

size_t lk_cohort_stride(size_t n_anchors)
{
    return (n_anchors + LK_COHORT_MAX - 1) / LK_COHORT_MAX;
}

/* What the numbers have to be multiplied by; 0: there is no direction. */
static float quantise(const float *vector, size_t dim, int8_t *ret_row)
{
    double most = 0.0;
    bool is_finite = true;

    for (size_t k = 0; k < dim; k++) {
        most = fmax(most, fabs((double)vector[k]));
        is_finite = is_finite && isfinite(vector[k]);
    }
    memset(ret_row, 0, dim * sizeof(*ret_row));
    if (!is_finite || !isnormal(most))
        return 0.0F;
    for (size_t k = 0; k < dim; k++)
        ret_row[k] = (int8_t)lrint((double)vector[k] / most * BYTE_MAX);
    return (float)(most / BYTE_MAX);
}

static void row_put(lk_cohort *cohort, size_t i, const float *vector)
{
    int8_t row[LINKD_DIM_MAX];
    uint8_t *put = cohort->rows + i * cohort->width;

    cohort->scales[i] = quantise(vector, cohort->dim, row);
    memset(put, ADDED, cohort->width);
    for (size_t k = 0; k < cohort->dim; k++)
        put[k] = (uint8_t)(row[k] + ADDED);
}

int lk_cohort_make(const void *anchors, size_t n_anchors, size_t dim,
                   lk_cohort *ret_cohort, linkd_error *err)
{
    size_t stride = lk_cohort_stride(n_anchors);
    lk_cohort cohort = {.dim = dim,
                        .width = (dim + LK_PRODUCTS_STEP - 1) /
                                 LK_PRODUCTS_STEP * LK_PRODUCTS_STEP};
    float vector[LINKD_DIM_MAX];

    LK_ASSERT(n_anchors > 0 && dim <= LINKD_DIM_MAX);
    cohort.rows = lk_alloc_aligned(n_anchors / stride + 1,
                                   cohort.width * sizeof(*cohort.rows));
    cohort.scales =
        lk_alloc_aligned(n_anchors / stride + 1, sizeof(*cohort.scales));
    if (cohort.rows == NULL || cohort.scales == NULL) {
        lk_cohort_clear(&cohort);
        return lk_fail_nomem(err);
    }
    for (size_t i = 0; i < n_anchors; i += stride) {
        memcpy(vector, (const char *)anchors + i * dim * sizeof(*vector),
               dim * sizeof(*vector));
        row_put(&cohort, cohort.n++, vector);
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

linkd_level lk_cohort_level(const lk_cohort *cohort, const float *query)
{
    float scores[LK_COHORT_MAX];
    int32_t products[LK_COHORT_MAX];
    int8_t row[LINKD_DIM_MAX] = {0};
    float scale = quantise(query, cohort->dim, row);
    int32_t added = 0;

    LK_ASSERT(cohort->n > 0 && cohort->n <= LK_COHORT_MAX);
    for (size_t k = 0; k < cohort->dim; k++)
        added += row[k] * ADDED;
    lk_products_nth(0)(row, cohort->rows, cohort->n, cohort->width, products);
    for (size_t i = 0; i < cohort->n; i++)
        scores[i] = (float)(products[i] - added) * cohort->scales[i] * scale;
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
