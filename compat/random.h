/* compat/random.h — private: random numbers that are the same everywhere. */
#ifndef LK_COMPAT_RANDOM_H
#define LK_COMPAT_RANDOM_H

#include "base/base.h"

/* SplitMix64 (Steele, Lea, Flood 2014). {seed} is ready to use. */
typedef struct lk_random {
    uint64_t state;
} lk_random;

/* Below n > 0; the bias of the remainder is at most n / 2^64. */
size_t lk_random_below(lk_random *random, size_t n);
/* Of the standard normal distribution. */
double lk_random_normal(lk_random *random);
/* A random order of 0 … n - 1; ret_order [n]. */
void lk_random_order(lk_random *random, size_t n, size_t *ret_order);

#endif
