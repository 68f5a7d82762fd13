/* tests/linkage/random.h — numbers that look random and are the same always. */
#ifndef LINKD_TESTS_RANDOM_H
#define LINKD_TESTS_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* Any number is a good start. Knuth's MMIX constants. */
static inline uint32_t random_next(uint64_t *state)
{
    *state = *state * 6364136223846793005U + 1442695040888963407U;
    return (uint32_t)(*state >> 32);
}

static inline size_t random_below(uint64_t *state, size_t n)
{
    return random_next(state) % n;
}

/* A multiple of 1/64 in [0, 1): few different values, so that there are ties.
 */
static inline float random_score(uint64_t *state)
{
    return (float)random_below(state, 64) / 64.0F;
}

#endif
