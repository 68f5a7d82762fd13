/* compat/adam.h — private: one array of values that are trained. */
#ifndef LK_COMPAT_ADAM_H
#define LK_COMPAT_ADAM_H

#include "base/base.h"

/* Running means of a gradient and of its square, [n] each. {0} is empty. */
typedef struct lk_adam {
    float *first;
    float *second;
    size_t n;
} lk_adam;

/* LINKD_E_NOMEM. */
LINKD_MUST_CHECK int lk_adam_init(lk_adam *adam, size_t n, linkd_error *err);
void lk_adam_clear(lk_adam *adam);

typedef struct lk_adam_step_size {
    double rate;
    double decay; /* of the values, times rate */
    size_t step;  /* from 1 */
} lk_adam_step_size;

/* Moves values [n] against their gradient [n]. */
void lk_adam_step(lk_adam *adam, lk_adam_step_size size, const float *gradient,
                  float *values);

/* The share of a rate at `step` of 1 … n_steps: half a cosine, from 1 to 0
 * (Loshchilov and Hutter 2017, one period). */
double lk_cosine_share(size_t step, size_t n_steps);

#endif
