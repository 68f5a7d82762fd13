/* compat/simplex.h — private: the vertices of a regular simplex as a classifier
 * that is never trained (Pernici et al. 2019; Biondi et al., CVPR 2024).
 *
 * K vertices in n = K - 1 dimensions: e_0 … e_(n-1) and c (1, …, 1) with
 * c = (1 - sqrt(1 + n)) / n, less their mean, of length 1. So
 *   w_k = s (e_k - m 1) for k < n,   w_n = s (c - m) 1,   m = (1 + c) / K
 * and a product with all of them takes K steps instead of K^2. */
#ifndef LK_COMPAT_SIMPLEX_H
#define LK_COMPAT_SIMPLEX_H

#include "base/base.h"

/* ret [n_classes - 1]; n_classes > 1, k < n_classes. */
void lk_simplex_vertex(size_t n_classes, size_t k, float *ret);

/* ret_scores [n_classes]: <row, w_k> for row [n_classes - 1]. */
void lk_simplex_scores(const float *row, size_t n_classes, float *ret_scores);

/* ret_row [n_classes - 1]: the sum of scores_k w_k, the transposed product. */
void lk_simplex_sum(const float *scores, size_t n_classes, float *ret_row);

#endif
