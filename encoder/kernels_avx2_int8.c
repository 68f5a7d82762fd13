/* encoder/kernels_avx2_int8.c — the kernels of int8 for AVX2 without VNNI.
 * AVX2 multiplies bytes only with a sum that saturates, so bytes become 16 bits
 * wide, the even and the odd ones apart. The tile of 4 x 16 leaves room for both
 * halves of the weights. */
#include "encoder/kernels_avx2_bytes.h"
#include "encoder/kernels_isa.h"

#define VEC_ISA       "avx2"
#define VEC_TABLE     lk_kernels_avx2_int8
#define VEC_TILE_ROWS 4
#define VEC_TILE_VECS 1
#define VEC_STEP      STEP_BYTES

static inline __m256 dot(__m256 a, __m256 b, __m256 c)
{
    __m256i inputs = _mm256_castps_si256(a);
    __m256i weights = _mm256_castps_si256(b);
    __m256i even =
        _mm256_madd_epi16(_mm256_and_si256(inputs, _mm256_set1_epi16(255)),
                          _mm256_srai_epi16(_mm256_slli_epi16(weights, 8), 8));
    __m256i odd = _mm256_madd_epi16(_mm256_srli_epi16(inputs, 8),
                                    _mm256_srai_epi16(weights, 8));
    __m256i sum =
        _mm256_add_epi32(_mm256_castps_si256(c), _mm256_add_epi32(even, odd));

    return _mm256_castsi256_ps(sum);
}

static inline vec vec_dot(vec a, vec b, vec c)
{
    return (vec){dot(a.low, b.low, c.low), dot(a.high, b.high, c.high)};
}

#include "encoder/kernels_impl.h"
