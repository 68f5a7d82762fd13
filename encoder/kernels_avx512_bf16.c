/* encoder/kernels_avx512_bf16.c — the kernels for AVX-512 with bf16 products:
 * twice the multiply-adds of f32 an instruction, and half the bytes of weights. */
#include "encoder/kernels_avx512_vec.h"
#include "encoder/kernels_isa.h"

#define VEC_ISA       "avx512_bf16"
#define VEC_TABLE     lk_kernels_avx512_bf16
#define VEC_TILE_ROWS 14
#define VEC_TILE_VECS 2
#define VEC_STEP      STEP_PAIRS

static inline vec vec_dot(vec a, vec b, vec c)
{
    return _mm512_dpbf16_ps(c, (__m512bh)a, (__m512bh)b);
}

static inline vec vec_round(const float *x)
{
    return (vec)_mm512_cvtne2ps_pbh(_mm512_loadu_ps(x + 16),
                                    _mm512_loadu_ps(x));
}

#include "encoder/kernels_impl.h"
