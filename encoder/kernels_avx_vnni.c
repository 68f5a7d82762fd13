/* encoder/kernels_avx_vnni.c — the kernels of int8 for AVX-VNNI, which processors
 * without AVX-512 have. */
#include "encoder/kernels_avx2_bytes.h"
#include "encoder/kernels_isa.h"

#define VEC_ISA       "avx_vnni"
#define VEC_TABLE     lk_kernels_avx_vnni
#define VEC_TILE_ROWS 6
#define VEC_TILE_VECS 1
#define VEC_STEP      STEP_BYTES

static inline __m256 dot(__m256 a, __m256 b, __m256 c)
{
    return _mm256_castsi256_ps(_mm256_dpbusd_avx_epi32(_mm256_castps_si256(c),
                                                       _mm256_castps_si256(a),
                                                       _mm256_castps_si256(b)));
}

static inline vec vec_dot(vec a, vec b, vec c)
{
    return (vec){dot(a.low, b.low, c.low), dot(a.high, b.high, c.high)};
}

#include "encoder/kernels_impl.h"
