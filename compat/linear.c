/* compat/linear.c — the two maps with a closed form.
 *
 * Both subtract the mean of either side first: embeddings of one model share a
 * large common part (they lie in a cone), and a rotation that has to carry one
 * cone's axis to the other's has little freedom left for the rest. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "compat/blas.h"
#include "compat/heads.h"
#include "compat/polar.h"

/* Sums over centred pairs, in double. */
typedef struct moments {
    double *mean_from; /* [dim_from] */
    double *mean_to;   /* [dim_to] */
    double *cross;     /* [dim_from, dim_to]: sum of (x - m)'(y - t) */
    double *square; /* [dim_from, dim_from]: sum of (x - m)'(x - m), or NULL */
} moments;

static void moments_clear(moments *m)
{
    free(m->mean_from);
    free(m->mean_to);
    free(m->cross);
    free(m->square);
    *m = (moments){0};
}

static int moments_make(const lk_pairs *pairs, bool with_square, moments *ret,
                        linkd_error *err)
{
    size_t p = pairs->dim_from;
    size_t q = pairs->dim_to;
    moments m = {.mean_from = malloc(p * sizeof(double)),
                 .mean_to = malloc(q * sizeof(double)),
                 .cross = malloc(p * q * sizeof(double)),
                 .square = with_square ? malloc(p * p * sizeof(double)) : NULL};
    double *x = NULL;
    double *y = NULL;
    int rc = LINKD_OK;

    if (m.mean_from == NULL || m.mean_to == NULL || m.cross == NULL ||
        (with_square && m.square == NULL)) {
        rc = lk_fail_nomem(err);
        goto done;
    }
    lk_rows_mean(pairs->from, pairs->n, p, m.mean_from);
    lk_rows_mean(pairs->to, pairs->n, q, m.mean_to);
    x = lk_rows_centred(pairs->from, pairs->n, p, m.mean_from);
    y = lk_rows_centred(pairs->to, pairs->n, q, m.mean_to);
    if (x == NULL || y == NULL) {
        rc = lk_fail_nomem(err);
        goto done;
    }
    lk_multiply((lk_product){LK_TRANSPOSED, LK_PLAIN, p, q, pairs->n}, 1.0, x,
                y, 0.0, m.cross);
    if (with_square)
        lk_multiply((lk_product){LK_TRANSPOSED, LK_PLAIN, p, p, pairs->n}, 1.0,
                    x, x, 0.0, m.square);
done:
    free(y);
    free(x);
    if (rc == LINKD_OK)
        *ret = m;
    else
        moments_clear(&m);
    return rc;
}

static linkd_compat_info info_of(const lk_fit_input *input,
                                 linkd_compat_head head)
{
    return (linkd_compat_info){
        .head = head,
        .dim_from = input->pairs->dim_from,
        .dim_to = input->pairs->dim_to,
        .dim_compat = input->pairs->dim_to,
    };
}

/* bias = mean_to - mean_from W */
static int map_make(const lk_fit_input *input, linkd_compat_head head,
                    const moments *m, const double *weights,
                    linkd_compat_map **ret_map, linkd_error *err)
{
    linkd_compat_info info = info_of(input, head);
    linkd_compat_map *map;
    int rc = lk_map_new(&info, 0, 0, &map, err);

    if (rc != LINKD_OK)
        return rc;
    map->n_unit = info.dim_to;
    for (size_t i = 0; i < info.dim_from * info.dim_to; i++)
        map->weights[i] = (float)weights[i];
    for (size_t j = 0; j < info.dim_to; j++) {
        double sum = m->mean_to[j];

        for (size_t i = 0; i < info.dim_from; i++)
            sum -= m->mean_from[i] * weights[i * info.dim_to + j];
        map->bias[j] = (float)sum;
    }
    *ret_map = map;
    return LINKD_OK;
}

int lk_fit_procrustes(const lk_fit_input *input, linkd_compat_map **ret_map,
                      linkd_error *err)
{
    size_t p = input->pairs->dim_from;
    size_t q = input->pairs->dim_to;
    moments m = {0};
    double *rotation = malloc(p * q * sizeof(*rotation));
    int rc = rotation == NULL ? lk_fail_nomem(err)
                              : moments_make(input->pairs, false, &m, err);

    if (rc == LINKD_OK)
        rc = lk_polar(m.cross, p, q, rotation, err);
    if (rc == LINKD_OK)
        rc = map_make(input, LINKD_HEAD_PROCRUSTES, &m, rotation, ret_map, err);
    moments_clear(&m);
    free(rotation);
    return rc;
}

/* ---- ridge -------------------------------------------------------------- */

static int ridge_solve(const lk_fit_input *input, const moments *m,
                       double penalty, linkd_compat_map **ret_map,
                       linkd_error *err)
{
    size_t p = input->pairs->dim_from;
    size_t q = input->pairs->dim_to;
    double *square = malloc(p * p * sizeof(*square));
    double *weights = malloc(p * q * sizeof(*weights));
    int rc = LINKD_OK;

    if (square == NULL || weights == NULL) {
        rc = lk_fail_nomem(err);
        goto done;
    }
    memcpy(square, m->square, p * p * sizeof(*square));
    memcpy(weights, m->cross, p * q * sizeof(*weights));
    for (size_t i = 0; i < p; i++)
        square[i * p + i] += penalty * (double)input->pairs->n;
    rc = lk_solve_definite(square, p, weights, q, err);
    if (rc == LINKD_OK)
        rc = map_make(input, LINKD_HEAD_RIDGE, m, weights, ret_map, err);
done:
    free(weights);
    free(square);
    return rc;
}

/* The better of two maps on held-out pairs stays. */
static int keep_better(const lk_fit_input *input, linkd_compat_map *candidate,
                       linkd_compat_map **best, double *best_cosine,
                       linkd_error *err)
{
    double cosine = 0.0;
    int rc = lk_map_cosine(candidate, input->held, &cosine, err);

    if (rc == LINKD_OK && (*best == NULL || cosine > *best_cosine)) {
        linkd_compat_map *worse = *best;

        *best = candidate;
        *best_cosine = cosine;
        candidate = worse;
    }
    linkd_compat_map_free(candidate);
    return rc;
}

int lk_fit_ridge(const lk_fit_input *input, linkd_compat_map **ret_map,
                 linkd_error *err)
{
    static const double penalties[] = {1e-5, 1e-4, 1e-3};
    double asked = input->options->penalty;
    linkd_compat_map *best = NULL;
    double cosine = 0.0;
    moments m = {0};
    int rc = moments_make(input->pairs, true, &m, err);

    if (rc == LINKD_OK && asked > 0.0)
        rc = ridge_solve(input, &m, asked, &best, err);
    for (size_t i = 0; rc == LINKD_OK && !(asked > 0.0) && i < 3; i++) {
        linkd_compat_map *map = NULL;

        rc = ridge_solve(input, &m, penalties[i], &map, err);
        if (rc == LINKD_OK)
            rc = keep_better(input, map, &best, &cosine, err);
    }
    moments_clear(&m);
    if (rc == LINKD_OK)
        *ret_map = best;
    else
        linkd_compat_map_free(best);
    return rc;
}
