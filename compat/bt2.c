/* compat/bt2.c — BT² without training (Zhou et al., ICCV 2023, arXiv 2211.03989,
 * after its idea; the closed form is the "augmented space" of later work).
 *
 *   z = [ x R ; x N ]    R [dim_from, dim_to] orthonormal columns, uncentred
 *                        Procrustes; N their orthogonal complement
 *
 * [R N] is a rotation of the whole space, so that new/new scores are the native
 * ones, and old records (u ; 0) score <x R, u> with new ones. Where we differ
 * from the paper: the model is not trained along, so there is no trade-off
 * between the blocks, and the published gains of training are not had. */
#include <stdlib.h>
#include <string.h>

#include "compat/blas.h"
#include "compat/heads.h"
#include "compat/polar.h"

static double *as_double(const float *rows, size_t n)
{
    double *copy = lk_alloc_aligned(n, sizeof(*copy));

    for (size_t i = 0; copy != NULL && i < n; i++)
        copy[i] = (double)rows[i];
    return copy;
}

static int rotation_find(const lk_pairs *pairs, double *ret_rotation,
                         linkd_error *err)
{
    size_t p = pairs->dim_from;
    size_t q = pairs->dim_to;
    double *x = as_double(pairs->from, pairs->n * p);
    double *y = as_double(pairs->to, pairs->n * q);
    double *cross = malloc(p * q * sizeof(*cross));
    int rc = LINKD_OK;

    if (x == NULL || y == NULL || cross == NULL) {
        rc = lk_fail_nomem(err);
        goto done;
    }
    lk_multiply((lk_product){LK_TRANSPOSED, LK_PLAIN, p, q, pairs->n}, 1.0, x,
                y, 0.0, cross);
    rc = lk_polar(cross, p, q, ret_rotation, err);
done:
    free(cross);
    free(y);
    free(x);
    return rc;
}

/* Puts columns `from` [p, n] of a map's weights at column `first`. */
static void columns_put(linkd_compat_map *map, const double *from, size_t n,
                        size_t first)
{
    for (size_t i = 0; i < map->info.dim_from; i++)
        for (size_t j = 0; j < n; j++)
            map->weights[i * map->info.dim_to + first + j] =
                (float)from[i * n + j];
}

int lk_fit_bt2(const lk_fit_input *input, linkd_compat_map **ret_map,
               linkd_error *err)
{
    size_t p = input->pairs->dim_from;
    size_t q = input->pairs->dim_to;
    linkd_compat_info info = {
        .head = LINKD_HEAD_BT2, .dim_from = p, .dim_to = p, .dim_compat = q};
    linkd_compat_map *map = NULL;
    double *rotation, *rest;
    int rc;

    if (p < q)
        return lk_fail(err, LINKD_E_ARG,
                       "a lossless head needs a new model of at least as many "
                       "dimensions as the old one: %zu < %zu",
                       p, q);
    rotation = malloc(p * p * sizeof(*rotation));
    if (rotation == NULL)
        return lk_fail_nomem(err);
    rest = rotation + p * q;
    rc = rotation_find(input->pairs, rotation, err);
    if (rc == LINKD_OK && p > q)
        rc = lk_complement(rotation, p, q, rest, err);
    if (rc == LINKD_OK)
        rc = lk_map_new(&info, 0, 0, &map, err);
    if (rc == LINKD_OK) {
        columns_put(map, rotation, q, 0);
        columns_put(map, rest, p - q, q);
        *ret_map = map;
    }
    free(rotation);
    return rc;
}
