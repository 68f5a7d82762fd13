/* compat/network.h — private: the part of a map that is trained by gradients,
 *   y = x W + b  [ + gelu(x W1 + b1) W2 ]
 * before any normalisation, which is the losses' own. */
#ifndef LK_COMPAT_NETWORK_H
#define LK_COMPAT_NETWORK_H

#include "compat/adam.h"
#include "compat/map.h"

enum {
    LK_NETWORK_PARTS = LK_MAP_PARTS - 1, /* all but the basis */
};

/* {0} is empty. */
typedef struct lk_network {
    linkd_compat_map *map;      /* borrowed: what is trained */
    linkd_compat_map *gradient; /* of the same sizes, by each value of map */
    lk_adam adams[LK_NETWORK_PARTS];
    float *before; /* [n_max, n_hidden]: x W1 + b1 of the last forward pass */
    float *after;  /* [n_max, n_hidden]: its gelu */
} lk_network;

/* For batches of up to n_max rows. LINKD_E_NOMEM. */
LINKD_MUST_CHECK int lk_network_init(lk_network *network, linkd_compat_map *map,
                                     size_t n_max, linkd_error *err);
void lk_network_clear(lk_network *network);

/* ret_y [n, dim_to] for x [n, dim_from]. */
void lk_network_forward(lk_network *network, const float *x, size_t n,
                        float *ret_y);
/* Fills `gradient` from the gradient by y [n, dim_to], after the forward pass of
 * the same x. */
void lk_network_backward(lk_network *network, const float *x, size_t n,
                         const float *y_gradient);
void lk_network_step(lk_network *network, lk_adam_step_size size);

#endif
