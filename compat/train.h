/* compat/train.h — private: training a map by minibatches. */
#ifndef LK_COMPAT_TRAIN_H
#define LK_COMPAT_TRAIN_H

#include "compat/heads.h"

typedef struct lk_train_plan {
    size_t n_batch;     /* rows; all, where there are fewer */
    size_t n_epochs;    /* passes over the pairs, each in an order of its own */
    size_t n_steps_min; /* more passes, where these make fewer steps */
    double rate;        /* falls to zero along a cosine */
    double decay;       /* of weights */
} lk_train_plan;

/* The gradient by y [batch->n, dim_to], what the map makes of batch->from
 * before normalisation. It may train what else belongs to the head, at its own
 * rate times `share`, which falls from 1 to 0. */
typedef int lk_loss_fn(void *ctx, const lk_pairs *batch, const float *y,
                       double share, float *ret_gradient, linkd_error *err);

/* How many rows a batch of the plan has. */
size_t lk_train_batch(const lk_train_plan *plan, const lk_pairs *pairs);

/* Trains all of `map` but its basis on input->pairs. Rows are centred while it
 * trains, so that their common part does not stand in its way. Rows that do not
 * fill a batch wait for the next epoch's order. options->n_epochs, if given,
 * goes before the plan's. LINKD_E_NOMEM, LINKD_E_CANCELLED. */
LINKD_MUST_CHECK int lk_train(const lk_fit_input *input,
                              const lk_train_plan *plan, linkd_compat_map *map,
                              lk_loss_fn *loss, void *ctx, linkd_error *err);

#endif
