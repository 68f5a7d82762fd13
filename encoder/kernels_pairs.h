/* encoder/kernels_pairs.h — two inputs of a linear layer of bf16 in the place of
 * one float. */
#ifndef LK_ENCODER_KERNELS_PAIRS_H
#define LK_ENCODER_KERNELS_PAIRS_H

#include <stdint.h>
#include <string.h>

/* Round to nearest, ties to even; a value that is not finite is never here. */
static inline uint32_t bf16_of(float value)
{
    uint32_t bits;

    memcpy(&bits, &value, sizeof(bits));
    return (bits + 0x7FFFU + (bits >> 16 & 1U)) >> 16;
}

/* The first input of a pair is its low half. */
static inline float pair_of(float first, float second)
{
    uint32_t bits = bf16_of(first) | bf16_of(second) << 16;
    float pair;

    memcpy(&pair, &bits, sizeof(pair));
    return pair;
}

#endif
