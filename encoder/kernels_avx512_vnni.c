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

/* The lowest bits of `low`, and of `high` the others. */
static inline __m512i bits_join(int lowest, __m512i low, __m512i high)
{
    return _mm512_ternarylogic_epi32(_mm512_set1_epi32(lowest), low, high,
                                     0xCA);
}

static inline vec vec_merge_bytes(vec a, vec b, vec c, vec d)
{
    __m512i two = bits_join(0xFF, _mm512_castps_si512(a),
                            _mm512_slli_epi32(_mm512_castps_si512(b), 8));
    __m512i others = bits_join(0xFF, _mm512_castps_si512(c),
                               _mm512_slli_epi32(_mm512_castps_si512(d), 8));

    return _mm512_castsi512_ps(
        bits_join(0xFFFF, two, _mm512_slli_epi32(others, 16)));
}

#include "encoder/kernels_impl.h"
