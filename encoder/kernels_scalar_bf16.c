/* encoder/kernels_scalar_bf16.c — the kernels of bf16 in plain C, the reference
 * for AVX-512's: the same bits but for numbers below 2^-126, which the
 * instruction takes for 0. Far slower than f32, so only who names it gets it
 * (kernels.c). */
#include "encoder/kernels_isa.h"
#include "encoder/kernels_pairs.h"
#include "encoder/kernels_scalar_vec.h"

#define VEC_ISA       "scalar"
#define VEC_TABLE     lk_kernels_scalar_bf16
#define VEC_TILE_ROWS 1
#define VEC_TILE_VECS 1
#define VEC_STEP      STEP_PAIRS

/* Half 0 or 1 of a pair. */
static inline float half_of(float pair, int half)
{
    uint32_t bits;
    float value;

    memcpy(&bits, &pair, sizeof(bits));
    bits = half == 0 ? bits << 16 : bits & 0xFFFF0000U;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

/* The high halves come first, each product in one rounding with its sum. */
static inline vec vec_dot(vec a, vec b, vec c)
{
    for (int half = 1; half >= 0; half--)
        for (int i = 0; i < 16; i++)
            c.lane[i] = fmaf(half_of(a.lane[i], half), half_of(b.lane[i], half),
                             c.lane[i]);
    return c;
}

static inline vec vec_round(const float *x)
{
    vec pairs;

    for (size_t i = 0; i < 16; i++)
        pairs.lane[i] = pair_of(x[2 * i], x[2 * i + 1]);
    return pairs;
}

static inline vec vec_pair(vec first, vec second)
{
    for (int i = 0; i < 16; i++)
        first.lane[i] = pair_of(first.lane[i], second.lane[i]);
    return first;
}

#include "encoder/kernels_impl.h"
