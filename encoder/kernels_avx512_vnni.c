/* encoder/kernels_avx512_vnni.c — the kernels of int8 for AVX-512 with VNNI: four
 * times the multiply-adds of f32 an instruction. */
#include "encoder/kernels_avx512_vec.h"
#include "encoder/kernels_isa.h"

#define VEC_ISA       "avx512_vnni"
#define VEC_TABLE     lk_kernels_avx512_vnni
#define VEC_TILE_ROWS 14
#define VEC_TILE_VECS 2
#define VEC_STEP      STEP_BYTES

static inline vec vec_dot(vec a, vec b, vec c)
{
    return _mm512_castsi512_ps(_mm512_dpbusd_epi32(_mm512_castps_si512(c),
                                                   _mm512_castps_si512(a),
                                                   _mm512_castps_si512(b)));
}

/* The empty instruction keeps gcc 12 from carrying the sums of the loop before it
 * as integers and floats at once, with a copy of each in every step. */
static inline vec vec_of_integers(vec v)
{
    __asm__("" : "+v"(v));
    return _mm512_cvtepi32_ps(_mm512_castps_si512(v));
}

static inline void vec_store_bytes(float *to, vec v)
{
    _mm_storeu_si128((__m128i *)(void *)to,
                     _mm512_cvtepi32_epi8(_mm512_castps_si512(v)));
}

#include "encoder/kernels_impl.h"
