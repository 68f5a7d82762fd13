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

/* Lane by lane: `first` in the low half. */
static inline vec vec_pair(vec first, vec second)
{
    const __m512i low =
        _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(first));
    const __m512i high =
        _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(second));

    return _mm512_castsi512_ps(
        _mm512_or_si512(low, _mm512_slli_epi32(high, 16)));
}

#include "encoder/kernels_impl.h"
