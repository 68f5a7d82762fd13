/* compat/pairs.c — foreign rows to rows that can be fitted on: checked, of
 * length 1, and in a random order, so that any part is a sample. */
#include "compat/pairs.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "compat/random.h"

float lk_row_normalise(float *row, size_t dim)
{
    double sum = 0.0;
    float scale;

    for (size_t j = 0; j < dim; j++)
        sum += (double)row[j] * (double)row[j];
    if (!(sum > 0.0))
        return 0.0F;
    scale = (float)(1.0 / sqrt(sum));
    for (size_t j = 0; j < dim; j++)
        row[j] *= scale;
    return (float)sqrt(sum);
}

int lk_pairs_check(const linkd_rows *from, const linkd_rows *to,
                   linkd_error *err)
{
    if (from->n != to->n)
        return lk_fail(err, LINKD_E_ARG,
                       "row i of both sides is one record, but there are %zu "
                       "and %zu rows",
                       from->n, to->n);
    if (from->n < LINKD_COMPAT_PAIRS_MIN)
        return lk_fail(err, LINKD_E_ARG,
                       "%zu records are too few to fit a map on: %zu at least",
                       from->n, LINKD_COMPAT_PAIRS_MIN);
    if (from->n > LINKD_COMPAT_PAIRS_MAX)
        return lk_fail(err, LINKD_E_ARG,
                       "%zu records are too many: %zu at most, and nothing is "
                       "gained beyond a few thousand",
                       from->n, LINKD_COMPAT_PAIRS_MAX);
    if (from->dim == 0 || from->dim > LINKD_COMPAT_DIM_MAX || to->dim == 0 ||
        to->dim > LINKD_COMPAT_DIM_MAX)
        return lk_fail(err, LINKD_E_ARG,
                       "rows have 1 to %zu dimensions, these have %zu and %zu",
                       LINKD_COMPAT_DIM_MAX, from->dim, to->dim);
    return LINKD_OK;
}

static int row_check(const float *row, size_t dim, size_t number,
                     const char *what, linkd_error *err)
{
    double sum = 0.0;

    for (size_t j = 0; j < dim; j++)
        sum += (double)row[j] * (double)row[j];
    if (!isfinite(sum))
        return lk_fail(err, LINKD_E_DATA,
                       "row %zu of %s has a value that is not finite",
                       number + 1, what);
    /* Below, the length has no accurate inverse in float. */
    if (sum < 1e-30)
        return lk_fail(err, LINKD_E_DATA, "row %zu of %s is zero", number + 1,
                       what);
    return LINKD_OK;
}

int linkd_compat_normalise(const linkd_rows *rows, const char *what,
                           float *ret_rows, linkd_error *err)
{
    for (size_t i = 0; i < rows->n; i++) {
        const float *row = rows->data + i * rows->dim;
        int rc = row_check(row, rows->dim, i, what, err);

        if (rc != LINKD_OK)
            return rc;
        memmove(ret_rows + i * rows->dim, row, rows->dim * sizeof(*row));
        (void)lk_row_normalise(ret_rows + i * rows->dim, rows->dim);
    }
    return LINKD_OK;
}

void lk_rows_mean(const float *rows, size_t n, size_t dim, double *ret_mean)
{
    memset(ret_mean, 0, dim * sizeof(*ret_mean));
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < dim; j++)
            ret_mean[j] += (double)rows[i * dim + j];
    for (size_t j = 0; j < dim; j++)
        ret_mean[j] /= (double)n;
}

double *lk_rows_centred(const float *rows, size_t n, size_t dim,
                        const double *mean)
{
    double *copy = lk_alloc_aligned(n, dim * sizeof(*copy));

    for (size_t i = 0; copy != NULL && i < n; i++)
        for (size_t j = 0; j < dim; j++)
            copy[i * dim + j] = (double)rows[i * dim + j] - mean[j];
    return copy;
}

/* The mean squared distance from the mean, against which all maps are fitted. */
static int variety_check(const float *rows, size_t n, size_t dim,
                         const char *side, linkd_error *err)
{
    double *mean = malloc(dim * sizeof(*mean));
    double length = 0.0;

    if (mean == NULL)
        return lk_fail_nomem(err);
    lk_rows_mean(rows, n, dim, mean);
    for (size_t j = 0; j < dim; j++)
        length += mean[j] * mean[j];
    free(mean);
    if (1.0 - length < 1e-6)
        return lk_fail(err, LINKD_E_DATA, "the rows of %s are all alike", side);
    return LINKD_OK;
}

static void rows_reorder(const linkd_rows *rows, const size_t *order,
                         float *ret)
{
    for (size_t i = 0; i < rows->n; i++)
        memcpy(ret + i * rows->dim, rows->data + order[i] * rows->dim,
               rows->dim * sizeof(*ret));
}

/* Normalised in their own order, so that a fault names the caller's row. */
static int side_make(const linkd_rows *rows, const size_t *order,
                     const char *side, float **ret, linkd_error *err)
{
    linkd_rows normal = *rows;
    float *first = lk_alloc_aligned(rows->n, rows->dim * sizeof(*first));
    float *second = lk_alloc_aligned(rows->n, rows->dim * sizeof(*second));
    int rc = LINKD_OK;

    if (first == NULL || second == NULL)
        rc = lk_fail_nomem(err);
    else
        rc = linkd_compat_normalise(rows, side, first, err);
    if (rc == LINKD_OK)
        rc = variety_check(first, rows->n, rows->dim, side, err);
    if (rc == LINKD_OK) {
        normal.data = first;
        rows_reorder(&normal, order, second);
        *ret = second;
        second = NULL;
    }
    free(second);
    free(first);
    return rc;
}

static int labels_make(const uint64_t *labels, const size_t *order,
                       lk_pairs *pairs, linkd_error *err)
{
    uint64_t *copy;

    if (labels == NULL)
        return LINKD_OK;
    copy = malloc(pairs->n * sizeof(*copy));
    if (copy == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < pairs->n; i++)
        copy[i] = labels[order[i]];
    pairs->labels = copy;
    return LINKD_OK;
}

const char *lk_from_name(const linkd_compat_fit_options *options)
{
    return options->from_name != NULL ? options->from_name : "the first side";
}

int lk_pairs_make(const linkd_rows *from, const linkd_rows *to,
                  const linkd_compat_fit_options *options, lk_pairs *ret_pairs,
                  linkd_error *err)
{
    lk_pairs pairs = {.n = from->n,
                      .dim_from = from->dim,
                      .dim_to = to == NULL ? 0 : to->dim};
    lk_random random = {options->seed};
    size_t *order = malloc((from->n + 1) * sizeof(*order));
    int rc;

    if (order == NULL)
        return lk_fail_nomem(err);
    lk_random_order(&random, from->n, order);
    rc = side_make(from, order, lk_from_name(options), &pairs.from, err);
    if (rc == LINKD_OK && to != NULL)
        rc = side_make(to, order,
                       options->to_name != NULL ? options->to_name
                                                : "the second side",
                       &pairs.to, err);
    if (rc == LINKD_OK)
        rc = labels_make(options->labels, order, &pairs, err);
    free(order);
    if (rc == LINKD_OK)
        *ret_pairs = pairs;
    else
        lk_pairs_clear(&pairs);
    return rc;
}

void lk_pairs_clear(lk_pairs *pairs)
{
    free(pairs->from);
    free(pairs->to);
    free(pairs->labels);
    *pairs = (lk_pairs){0};
}

lk_pairs lk_pairs_part(const lk_pairs *pairs, size_t first, size_t n)
{
    return (lk_pairs){
        .from = pairs->from + first * pairs->dim_from,
        .to = pairs->to == NULL ? NULL : pairs->to + first * pairs->dim_to,
        .labels = pairs->labels == NULL ? NULL : pairs->labels + first,
        .n = n,
        .dim_from = pairs->dim_from,
        .dim_to = pairs->dim_to,
    };
}
