/* compat/losses.h — private: what trained heads make small, with gradients.
 *
 * Each takes a head's rows y [n, dim] of any length, works on their directions
 * z = y / |y|, answers the mean over rows, and writes its gradient by y to
 * ret_gradient [n, dim]. `scratch` is lk_loss_scratch(n, dim, n_scores) floats.
 * Rows of length zero have a gradient of zero. */
#ifndef LK_COMPAT_LOSSES_H
#define LK_COMPAT_LOSSES_H

#include "base/base.h"

typedef struct lk_loss_rows {
    const float *y;         /* [n, dim] */
    const uint64_t *labels; /* [n], or NULL where a loss needs none */
    size_t n, dim;
} lk_loss_rows;

/* From a gradient by z = y / length [dim] to one by y, in place:
 * (g - <z, g> z) / length. */
void lk_direction_gradient(const float *z, float length, size_t dim,
                           float *gradient);

/* n_scores: n, and the number of classes for lk_loss_simplex(). */
size_t lk_loss_scratch(size_t n, size_t dim, size_t n_scores);

/* 1 - <z_i, t_i>, with targets t [n, dim] of length 1. */
double lk_loss_cosine(const lk_loss_rows *rows, const float *targets,
                      float *ret_gradient);

/* InfoNCE (van den Oord et al. 2018) over the batch:
 *   -log( e^(<z_i, t_i> / T) / sum_j e^(<z_i, t_j> / T) )
 * where j runs over i and the rows with other labels than i's: another row of
 * the same entity is neither right nor wrong. */
double lk_loss_infonce(const lk_loss_rows *rows, const float *targets,
                       double temperature, float *scratch, float *ret_gradient);

/* Cross-entropy of scale * <z_i, w_k> over the n_classes = dim + 1 vertices w of
 * a simplex (simplex.h); labels are the classes. */
double lk_loss_simplex(const lk_loss_rows *rows, double scale, float *scratch,
                       float *ret_gradient);

/* HOC-NCE (Biondi et al., CVPR 2024), with the old generation's rows o [n, dim]
 * of length 1 and S_ij = scale * <o_i, z_j>, 0 where the labels are the same:
 *   -scale * <o_i, z_i> + log sum_j e^(S_ij)
 * As in the authors' code a pair of one label adds e^0 to the sum, and the
 * positive is not in it. */
double lk_loss_hoc(const lk_loss_rows *rows, const float *old, double scale,
                   float *scratch, float *ret_gradient);

#endif
