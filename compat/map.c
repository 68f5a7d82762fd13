/* compat/map.c — applying a map, whatever head made it (map.h). */
#include "compat/map.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "compat/blas.h"

/* Rows at once: their intermediate values stay in a core's cache. */
enum {
    TILE = 256,
};

static bool floats_make(float **array, size_t n)
{
    if (n == 0)
        return true;
    *array = lk_alloc_aligned(n, sizeof(**array));
    if (*array != NULL)
        memset(*array, 0, n * sizeof(**array));
    return *array != NULL;
}

int lk_map_new(const linkd_compat_info *info, size_t n_hidden, size_t n_basis,
               linkd_compat_map **ret_map, linkd_error *err)
{
    linkd_compat_map *map = calloc(1, sizeof(*map));

    if (map == NULL)
        return lk_fail_nomem(err);
    atomic_init(&map->n_owners, 1);
    map->info = *info;
    map->n_hidden = n_hidden;
    map->n_basis = n_basis;
    if (!floats_make(&map->weights, info->dim_from * info->dim_to) ||
        !floats_make(&map->bias, info->dim_to) ||
        !floats_make(&map->hidden_weights, info->dim_from * n_hidden) ||
        !floats_make(&map->hidden_bias, n_hidden) ||
        !floats_make(&map->out_weights, n_hidden * info->dim_to) ||
        !floats_make(&map->basis, n_basis * n_basis)) {
        linkd_compat_map_free(map);
        return lk_fail_nomem(err);
    }
    *ret_map = map;
    return LINKD_OK;
}

linkd_compat_map *linkd_compat_map_ref(linkd_compat_map *map)
{
    (void)atomic_fetch_add(&map->n_owners, 1);
    return map;
}

void linkd_compat_map_free(linkd_compat_map *map)
{
    if (map == NULL || atomic_fetch_sub(&map->n_owners, 1) > 1)
        return;
    free(map->weights);
    free(map->bias);
    free(map->hidden_weights);
    free(map->hidden_bias);
    free(map->out_weights);
    free(map->basis);
    free(map);
}

linkd_compat_info linkd_compat_map_info(const linkd_compat_map *map)
{
    return map->info;
}

void lk_map_parts(const linkd_compat_map *m, lk_map_part ret[LK_MAP_PARTS])
{
    size_t p = m->info.dim_from;
    size_t q = m->info.dim_to;

    ret[0] = (lk_map_part){m->weights, p * q};
    ret[1] = (lk_map_part){m->bias, q};
    ret[2] = (lk_map_part){m->hidden_weights, p * m->n_hidden};
    ret[3] = (lk_map_part){m->hidden_bias, m->n_hidden};
    ret[4] = (lk_map_part){m->out_weights, m->n_hidden * q};
    ret[5] = (lk_map_part){m->basis, m->n_basis * m->n_basis};
}

/* ---- applying ----------------------------------------------------------- */

void lk_affine(const float *rows, size_t n, size_t dim_from,
               const float *weights, const float *bias, size_t dim_to,
               float *ret)
{
    for (size_t i = 0; i < n; i++)
        memcpy(ret + i * dim_to, bias, dim_to * sizeof(*ret));
    lk_multiply_f32((lk_product){LK_PLAIN, LK_PLAIN, n, dim_to, dim_from}, 1.0F,
                    rows, weights, 1.0F, ret);
}

/* The Gaussian error linear unit in its sigmoid form (Hendrycks and Gimpel
 * 2016, section 2), in place. */
static void gelu(float *values, size_t n)
{
    for (size_t i = 0; i < n; i++)
        values[i] /= 1.0F + expf(-1.702F * values[i]);
}

static void tile_apply(const linkd_compat_map *map, const float *x, size_t n,
                       float *scratch, float *y)
{
    size_t p = map->info.dim_from;
    size_t q = map->info.dim_to;

    lk_affine(x, n, p, map->weights, map->bias, q, y);
    if (map->n_hidden > 0) {
        lk_affine(x, n, p, map->hidden_weights, map->hidden_bias, map->n_hidden,
                  scratch);
        gelu(scratch, n * map->n_hidden);
        lk_multiply_f32((lk_product){LK_PLAIN, LK_PLAIN, n, q, map->n_hidden},
                        1.0F, scratch, map->out_weights, 1.0F, y);
    }
    for (size_t i = 0; map->n_unit > 0 && i < n; i++)
        (void)lk_row_normalise(y + i * q, map->n_unit);
    for (size_t i = 0; map->n_basis > 0 && i < n; i++) {
        memcpy(scratch, y + i * q, map->n_basis * sizeof(*y));
        lk_multiply_f32(
            (lk_product){LK_PLAIN, LK_PLAIN, 1, map->n_basis, map->n_basis},
            1.0F, scratch, map->basis, 0.0F, y + i * q);
    }
}

int lk_map_apply(const linkd_compat_map *map, const float *rows, size_t n,
                 float *ret_rows, linkd_error *err)
{
    size_t width = map->n_hidden > map->n_basis ? map->n_hidden : map->n_basis;
    float *scratch = lk_alloc_aligned(TILE, (width + 1) * sizeof(*scratch));

    if (scratch == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < n; i += TILE)
        tile_apply(map, rows + i * map->info.dim_from,
                   n - i < TILE ? n - i : TILE, scratch,
                   ret_rows + i * map->info.dim_to);
    free(scratch);
    return LINKD_OK;
}

int linkd_compat_map_apply(const linkd_compat_map *map, const linkd_rows *rows,
                           float *ret_rows, linkd_error *err)
{
    float *normal;
    int rc;

    if (rows->dim != map->info.dim_from)
        return lk_fail(err, LINKD_E_ARG,
                       "the map is for %zu dimensions, the rows have %zu",
                       map->info.dim_from, rows->dim);
    normal = lk_alloc_aligned(rows->n + 1, rows->dim * sizeof(*normal));
    if (normal == NULL)
        return lk_fail_nomem(err);
    rc = linkd_compat_normalise(rows, "the vectors", normal, err);
    if (rc == LINKD_OK)
        rc = lk_map_apply(map, normal, rows->n, ret_rows, err);
    free(normal);
    return rc;
}

int lk_map_cosine(const linkd_compat_map *map, const lk_pairs *pairs,
                  double *ret_cosine, linkd_error *err)
{
    size_t q = map->info.dim_to;
    size_t d = map->info.dim_compat;
    float *mapped = lk_alloc_aligned(pairs->n + 1, q * sizeof(*mapped));
    double sum = 0.0;
    int rc = mapped == NULL
                 ? lk_fail_nomem(err)
                 : lk_map_apply(map, pairs->from, pairs->n, mapped, err);

    for (size_t i = 0; rc == LINKD_OK && i < pairs->n; i++) {
        (void)lk_row_normalise(mapped + i * q, d);
        for (size_t j = 0; j < d; j++)
            sum += (double)mapped[i * q + j] * (double)pairs->to[i * d + j];
    }
    free(mapped);
    if (rc == LINKD_OK)
        *ret_cosine = pairs->n > 0 ? sum / (double)pairs->n : 0.0;
    return rc;
}
