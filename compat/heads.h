/* compat/heads.h — private: one function a head, from pairs to a map. */
#ifndef LK_COMPAT_HEADS_H
#define LK_COMPAT_HEADS_H

#include "compat/map.h"

typedef struct lk_fit_input {
    const lk_pairs *pairs; /* to fit on */
    const lk_pairs *held;  /* to choose by; never fitted on */
    const linkd_compat_fit_options *options;
    const linkd_progress *progress;
} lk_fit_input;

/* Each makes a map whose info has head, dims, n_pairs and seed; errors as
 * linkd_compat_fit(). */
typedef int lk_head_fn(const lk_fit_input *input, linkd_compat_map **ret_map,
                       linkd_error *err);

/* linear.c: R = polar((X - m)'(Y - t)), centred orthogonal Procrustes. */
lk_head_fn lk_fit_procrustes;
/* linear.c: W = ((X - m)'(X - m) + penalty n I)^-1 (X - m)'(Y - t). */
lk_head_fn lk_fit_ridge;
/* bt2.c: z = [x R ; x N] with N the orthogonal complement of R, uncentred. */
lk_head_fn lk_fit_bt2;
/* mlp.c: y = x W + b + gelu(x W1 + b1) W2, by 1 - cosine. */
lk_head_fn lk_fit_mlp;
/* contrast.c: y = x W + b, by InfoNCE. */
lk_head_fn lk_fit_contrast;

#endif
