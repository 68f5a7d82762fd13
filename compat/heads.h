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

/* How good a map is on pairs that it was not fitted on. */
typedef int lk_measure_fn(const linkd_compat_map *map, const lk_pairs *held,
                          double *ret_cosine, linkd_error *err);

/* fit.c: fits on nine tenths of the pairs, to measure on the rest, then on all;
 * the map's info has what was measured, the options' fingerprints and seed. */
LINKD_MUST_CHECK int lk_fit_measured(lk_head_fn *fit, lk_measure_fn *measure,
                                     const linkd_compat_fit_options *options,
                                     const linkd_progress *progress,
                                     const lk_pairs *all,
                                     linkd_compat_map **ret_map,
                                     linkd_error *err);

/* linear.c: R = polar((X - m)'(Y - t)), centred orthogonal Procrustes. */
lk_head_fn lk_fit_procrustes;
/* linear.c: W = ((X - m)'(X - m) + penalty n I)^-1 (X - m)'(Y - t). */
lk_head_fn lk_fit_ridge;
/* bt2.c: z = [x R ; x N] with N the orthogonal complement of R, uncentred. */
lk_head_fn lk_fit_bt2;
/* mlp.c: y = x W + b + gelu(x W1 + b1) W2, by 1 - cosine. */
lk_head_fn lk_fit_mlp;
/* bt2_train.c: [ o ; C x P ], its first values times B (bt2_train.h). */
lk_head_fn lk_fit_bt2_trained;
/* whiten.c: W = K' (C + penalty v I)^-1, which foretells the new scores. */
lk_head_fn lk_fit_whitened;
/* contrast.c: y = x W + b, by InfoNCE. */
lk_head_fn lk_fit_contrast;
/* simplex_fit.c: y = x, of rows that two simplex heads have made. */
lk_head_fn lk_fit_common;

#endif
