/* compat/bt2_train.h — private: BT² (Zhou et al., ICCV 2023) with trained
 * blocks, on vectors that stay as they are.
 *
 *   f = x, of length 1                      [dim_new]
 *   o = an affine map of f, of length 1     [n_added]
 *   w = [ o ; C f P ]                       [n_added + dim_new]
 *   z = [ w[0 : dim_old] B ; w[dim_old :] ]
 *
 * B [dim_old, dim_old] and P [dim_new, dim_new] are orthonormal, so that
 * <z, z'> = <o, o'> + C^2 <f, f'> whatever they are, and |z|^2 = 1 + C^2. The
 * first dim_old values of z compare with old vectors.
 *
 * Where we differ: f is the new model's own vector and not trained along, so
 * that the paper's losses of f (its classifier, and its likeness to an
 * independent new model) are constant. What remains is the likeness to old
 * vectors, 1 - cos(z[0 : dim_old], u); the cross-entropy on old class means is
 * left out. P and B move by Cayley steps. The paper's 32 added values compete
 * for an old space of 128; with f fixed as many as dim_old are better, which is
 * our default. Then o B is an affine map of f for any B, P has no part in the
 * compared block, and neither is trained. */
#ifndef LK_COMPAT_BT2_TRAIN_H
#define LK_COMPAT_BT2_TRAIN_H

#include "compat/pairs.h"

/* C, by which f outweighs o; the paper's configuration. */
#define LK_BT2_SCALE 2.0F

/* {0} is empty. */
typedef struct lk_bt2 {
    size_t dim_new, dim_old, n_added;
    size_t n_seen; /* dim_old - n_added: columns of P in the compared block */
    double *basis; /* B */
    double *rotation;      /* P */
    float *basis_gradient; /* [dim_old, dim_old] */
    float *seen_gradient;  /* [dim_new, n_seen]: by those columns of P */
    /* of a batch of up to n_max rows, and copies in float */
    float *basis_now, *seen_now; /* as the gradients */
    float *lengths;              /* [n_max]: of o before it has length 1 */
    float *w, *y, *y_gradient;   /* [n_max, dim_old] */
    float *part;                 /* [n_max, max(n_added, n_seen)] */
    double *scratch;             /* of Cayley steps */
} lk_bt2;

/* B and P are identities. LINKD_E_NOMEM. */
LINKD_MUST_CHECK int lk_bt2_init(lk_bt2 *bt2, size_t dim_new, size_t dim_old,
                                 size_t n_added, size_t n_max,
                                 linkd_error *err);
void lk_bt2_clear(lk_bt2 *bt2);

/* The loss of a batch (f and u are its rows) and its gradients by o
 * [n, n_added], B and P. */
double lk_bt2_loss(lk_bt2 *bt2, const lk_pairs *batch, const float *o,
                   float *ret_o_gradient);

#endif
