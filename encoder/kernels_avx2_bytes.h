/* encoder/kernels_avx2_bytes.h — what AVX2 tables of int8 need beside a product
 * of bytes. */
#include "encoder/kernels_avx2_vec.h"

static inline vec vec_of_integers(vec v)
{
    return (vec){_mm256_cvtepi32_ps(_mm256_castps_si256(v.low)),
                 _mm256_cvtepi32_ps(_mm256_castps_si256(v.high))};
}

static inline __m256 merge_bytes(__m256 a, __m256 b, __m256 c, __m256 d)
{
    const __m256i lowest = _mm256_set1_epi32(255);
    __m256i first = _mm256_and_si256(_mm256_castps_si256(a), lowest);
    __m256i second = _mm256_and_si256(_mm256_castps_si256(b), lowest);
    __m256i third = _mm256_and_si256(_mm256_castps_si256(c), lowest);
    __m256i fourth = _mm256_slli_epi32(_mm256_castps_si256(d), 24);
    __m256i low = _mm256_or_si256(first, _mm256_slli_epi32(second, 8));
    __m256i high = _mm256_or_si256(_mm256_slli_epi32(third, 16), fourth);

    return _mm256_castsi256_ps(_mm256_or_si256(low, high));
}

static inline vec vec_merge_bytes(vec a, vec b, vec c, vec d)
{
    return (vec){merge_bytes(a.low, b.low, c.low, d.low),
                 merge_bytes(a.high, b.high, c.high, d.high)};
}
