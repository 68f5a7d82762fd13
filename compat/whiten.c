/* compat/whiten.c — two maps for a query that both models made, to where stored
 * vectors of the old model can be scored by both.
 *
 *   u stored, of mean t and covariance C    x the new model's, of mean m
 *   K = mean of (u - t)'(x - m)             v = trace(C) / dim, s the shrinkage
 *
 *   home:  q_old -> (1 - b) q_old + b k (q_old - t) (C + s v I)^-1
 *   map:   q_new -> (q_new - m) K' (C + s v I)^-1
 *
 *   b  the metric's share; k makes both parts' scores spread as widely:
 *      k^2 = trace(C^2) / trace((C (C + s v I)^-1)^2)
 *
 * A map that makes an old query of a new one can at best find what an old query
 * finds. So the regression goes the other way: the new vector of a record is
 * foretold from its old one, x ~ (u - t) C^-1 K, and what the new model would
 * score is q_new x' = (q_new K' C^-1) (u - t)', which is a query for u. Ridge's
 * penalty is s v.
 *
 * The old model's scores are put in the same metric, Mahalanobis's, in which
 * directions that all records share count for little. That alone helps many a
 * model, without any new one; who measures fused queries has to say how much
 * (`home` alone is the control). A part of it helps more often than all of it:
 * what is common in a collection still says something.
 *
 * C is that of stored vectors, of which there are more than pairs. They should
 * include what is searched: vectors that C has seen are a little nearer to its
 * mean than others of their kind. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "compat/blas.h"
#include "compat/heads.h"

typedef struct whitening {
    const lk_pairs *pairs;
    const float *stored; /* [n_stored, dim_to] of length 1 */
    size_t n_stored;
    double *mean_from, *mean_to; /* of the pairs */
    double *mean_stored;         /* [dim_to] */
    double *covariance;          /* [dim_to, dim_to] */
    double *cross;               /* [dim_from, dim_to] */
    double variance;             /* the mean of covariance's diagonal */
} whitening;

static void whitening_clear(whitening *w)
{
    free(w->mean_from);
    free(w->mean_to);
    free(w->mean_stored);
    free(w->covariance);
    free(w->cross);
}

/* ret [p, q] = the mean of (a - mean_a)'(b - mean_b) */
static int covariance_make(const float *a, size_t p, const double *mean_a,
                           const float *b, size_t q, const double *mean_b,
                           size_t n, double *ret, linkd_error *err)
{
    double *x = lk_rows_centred(a, n, p, mean_a);
    double *y = a == b ? x : lk_rows_centred(b, n, q, mean_b);
    int rc = x == NULL || y == NULL ? lk_fail_nomem(err) : LINKD_OK;

    if (rc == LINKD_OK)
        lk_multiply((lk_product){LK_TRANSPOSED, LK_PLAIN, p, q, n},
                    1.0 / (double)n, x, y, 0.0, ret);
    if (y != x)
        free(y);
    free(x);
    return rc;
}

static int whitening_make(whitening *w, linkd_error *err)
{
    const lk_pairs *pairs = w->pairs;
    size_t p = pairs->dim_from;
    size_t q = pairs->dim_to;
    int rc;

    w->mean_from = malloc(p * sizeof(double));
    w->mean_to = malloc(q * sizeof(double));
    w->mean_stored = malloc(q * sizeof(double));
    w->covariance = malloc(q * q * sizeof(double));
    w->cross = malloc(p * q * sizeof(double));
    if (w->mean_from == NULL || w->mean_to == NULL || w->mean_stored == NULL ||
        w->covariance == NULL || w->cross == NULL)
        return lk_fail_nomem(err);
    lk_rows_mean(pairs->from, pairs->n, p, w->mean_from);
    lk_rows_mean(pairs->to, pairs->n, q, w->mean_to);
    lk_rows_mean(w->stored, w->n_stored, q, w->mean_stored);
    rc = covariance_make(w->stored, q, w->mean_stored, w->stored, q,
                         w->mean_stored, w->n_stored, w->covariance, err);
    if (rc == LINKD_OK)
        rc = covariance_make(pairs->from, p, w->mean_from, pairs->to, q,
                             w->mean_to, pairs->n, w->cross, err);
    for (size_t i = 0; rc == LINKD_OK && i < q; i++)
        w->variance += w->covariance[i * q + i] / (double)q;
    return rc;
}

/* ret_inverse [q, q] = (C + shrinkage v I)^-1 */
static int inverse_make(const whitening *w, double shrinkage,
                        double *ret_inverse, linkd_error *err)
{
    size_t q = w->pairs->dim_to;
    double *square = malloc(q * q * sizeof(*square));
    int rc;

    if (square == NULL)
        return lk_fail_nomem(err);
    memcpy(square, w->covariance, q * q * sizeof(*square));
    memset(ret_inverse, 0, q * q * sizeof(*ret_inverse));
    for (size_t i = 0; i < q; i++) {
        square[i * q + i] += shrinkage * w->variance;
        ret_inverse[i * q + i] = 1.0;
    }
    rc = lk_solve_definite(square, q, ret_inverse, q, err);
    free(square);
    return rc;
}

/* y = (x - mean) W + plain x, of length 1 */
static int map_make(const double *weights, const double *mean, double plain,
                    size_t p, size_t q, linkd_compat_map **ret_map,
                    linkd_error *err)
{
    linkd_compat_info info = {.head = LINKD_HEAD_WHITENED,
                              .dim_from = p,
                              .dim_to = q,
                              .dim_compat = q};
    linkd_compat_map *map;
    int rc = lk_map_new(&info, 0, 0, &map, err);

    if (rc != LINKD_OK)
        return rc;
    map->n_unit = q;
    for (size_t j = 0; j < q; j++) {
        double sum = 0.0;

        for (size_t i = 0; i < p; i++) {
            map->weights[i * q + j] =
                (float)(weights[i * q + j] + (i == j ? plain : 0.0));
            sum -= mean[i] * weights[i * q + j];
        }
        map->bias[j] = (float)sum;
    }
    *ret_map = map;
    return LINKD_OK;
}

/* The trace of a square matrix times itself. */
static double square_trace(const double *matrix, size_t n)
{
    double sum = 0.0;

    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++)
            sum += matrix[i * n + j] * matrix[j * n + i];
    return sum;
}

static int home_fit(const whitening *w, const double *inverse, double share,
                    linkd_compat_map **ret_map, linkd_error *err)
{
    size_t q = w->pairs->dim_to;
    double *weights = malloc(q * q * sizeof(*weights));
    double scale;
    int rc;

    if (weights == NULL)
        return lk_fail_nomem(err);
    lk_multiply((lk_product){LK_PLAIN, LK_PLAIN, q, q, q}, 1.0, w->covariance,
                inverse, 0.0, weights);
    scale =
        share * sqrt(square_trace(w->covariance, q) / square_trace(weights, q));
    for (size_t i = 0; i < q * q; i++)
        weights[i] = scale * inverse[i];
    rc = map_make(weights, w->mean_stored, 1.0 - share, q, q, ret_map, err);
    free(weights);
    return rc;
}

/* `ret->home` is left out without a share. */
static int maps_fit(const whitening *w, const linkd_whitening *options,
                    linkd_whitened *ret, linkd_error *err)
{
    size_t p = w->pairs->dim_from;
    size_t q = w->pairs->dim_to;
    double *inverse = malloc(q * q * sizeof(*inverse));
    double *weights = malloc(p * q * sizeof(*weights));
    int rc = inverse == NULL || weights == NULL
                 ? lk_fail_nomem(err)
                 : inverse_make(w, options->shrinkage, inverse, err);

    if (rc == LINKD_OK && options->share > 0.0)
        rc = home_fit(w, inverse, options->share, &ret->home, err);
    if (rc == LINKD_OK) {
        lk_multiply((lk_product){LK_PLAIN, LK_PLAIN, p, q, q}, 1.0, w->cross,
                    inverse, 0.0, weights);
        rc = map_make(weights, w->mean_from, 0.0, p, q, &ret->map, err);
    }
    free(weights);
    free(inverse);
    return rc;
}

void linkd_whitened_clear(linkd_whitened *whitened)
{
    linkd_compat_map_free(whitened->home);
    linkd_compat_map_free(whitened->map);
    *whitened = (linkd_whitened){0};
}

static int stored_make(const linkd_rows *stored, size_t dim, float **ret,
                       linkd_error *err)
{
    float *rows;
    int rc;

    if (stored->dim != dim || stored->n < LINKD_COMPAT_PAIRS_MIN)
        return lk_fail(err, LINKD_E_ARG,
                       "at least %zu stored rows of %zu dimensions are needed, "
                       "not %zu of %zu",
                       LINKD_COMPAT_PAIRS_MIN, dim, stored->n, stored->dim);
    rows = lk_alloc_aligned(stored->n, dim * sizeof(*rows));
    if (rows == NULL)
        return lk_fail_nomem(err);
    rc = linkd_compat_normalise(stored, "the stored rows", rows, err);
    if (rc == LINKD_OK)
        *ret = rows;
    else
        free(rows);
    return rc;
}

int linkd_compat_fit_whitened(const linkd_rows *from, const linkd_rows *to,
                              const linkd_rows *stored,
                              const linkd_whitening *options,
                              linkd_whitened *ret_whitened, linkd_error *err)
{
    lk_pairs pairs = {0};
    whitening w = {.pairs = &pairs, .n_stored = stored->n};
    float *rows = NULL;
    int rc = lk_pairs_check(from, to, err);

    if (rc == LINKD_OK)
        rc = stored_make(stored, to->dim, &rows, err);
    if (rc == LINKD_OK)
        rc = lk_pairs_make(from, to, &(linkd_compat_fit_options){0}, &pairs,
                           err);
    w.stored = rows;
    if (rc == LINKD_OK)
        rc = whitening_make(&w, err);
    *ret_whitened = (linkd_whitened){0};
    if (rc == LINKD_OK)
        rc = maps_fit(&w, options, ret_whitened, err);
    if (rc != LINKD_OK)
        linkd_whitened_clear(ret_whitened);
    whitening_clear(&w);
    lk_pairs_clear(&pairs);
    free(rows);
    return rc;
}

/* The map alone: the pairs' own rows are what is stored. */
#define SHRINKAGE 0.1

int lk_fit_whitened(const lk_fit_input *input, linkd_compat_map **ret_map,
                    linkd_error *err)
{
    double asked = input->options->penalty;
    whitening w = {.pairs = input->pairs,
                   .stored = input->pairs->to,
                   .n_stored = input->pairs->n};
    linkd_whitened whitened = {0};
    int rc = whitening_make(&w, err);

    if (rc == LINKD_OK)
        rc = maps_fit(&w,
                      &(linkd_whitening){asked > 0.0 ? asked : SHRINKAGE, 0.0},
                      &whitened, err);
    whitening_clear(&w);
    if (rc == LINKD_OK)
        *ret_map = whitened.map;
    return rc;
}
