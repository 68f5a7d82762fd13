/* compat/map.h — private: what a fitted map is, whatever its head.
 *
 *   x = row / |row|
 *   y = x W + b  [ + gelu(x W1 + b1) W2 ]
 *   y[0 : n_unit] /= |y[0 : n_unit]|
 *   y[0 : n_basis] = y[0 : n_basis] B
 *
 * Centring is in the bias: (x - m) W + t = x W + (t - m W). */
#ifndef LK_COMPAT_MAP_H
#define LK_COMPAT_MAP_H

#include <stdatomic.h>

#include "compat/pairs.h"

struct linkd_compat_map {
    atomic_size_t n_owners;
    linkd_compat_info info;
    float *weights;        /* [dim_from, dim_to] */
    float *bias;           /* [dim_to] */
    size_t n_hidden;       /* 0: no network */
    float *hidden_weights; /* [dim_from, n_hidden] */
    float *hidden_bias;    /* [n_hidden] */
    float *out_weights;    /* [n_hidden, dim_to] */
    size_t n_unit;
    size_t n_basis; /* 0: none */
    float *basis;   /* [n_basis, n_basis], orthonormal */
};

/* A map of zeros: its sizes are info's and those given. LINKD_E_NOMEM. */
LINKD_MUST_CHECK int lk_map_new(const linkd_compat_info *info, size_t n_hidden,
                                size_t n_basis, linkd_compat_map **ret_map,
                                linkd_error *err);

/* The arrays of a map, in the order of the struct, which is a map file's too. */
typedef struct lk_map_part {
    float *values;
    size_t n;
} lk_map_part;

enum {
    LK_MAP_PARTS = 6,
};

void lk_map_parts(const linkd_compat_map *map, lk_map_part ret[LK_MAP_PARTS]);

/* ret [n, dim_to] = rows [n, dim_from] W + b */
void lk_affine(const float *rows, size_t n, size_t dim_from,
               const float *weights, const float *bias, size_t dim_to,
               float *ret);

/* As linkd_compat_map_apply() for rows that have length 1 already. */
LINKD_MUST_CHECK int lk_map_apply(const linkd_compat_map *map,
                                  const float *rows, size_t n, float *ret_rows,
                                  linkd_error *err);

/* The mean cosine of mapped rows' compat block and true rows. */
LINKD_MUST_CHECK int lk_map_cosine(const linkd_compat_map *map,
                                   const lk_pairs *pairs, double *ret_cosine,
                                   linkd_error *err);

#endif
