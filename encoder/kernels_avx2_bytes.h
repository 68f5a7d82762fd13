/* encoder/kernels_avx2_bytes.h — what AVX2 tables of int8 need beside a product
 * of bytes. */
#include <string.h>

#include "encoder/kernels_avx2_vec.h"

static inline vec vec_of_integers(vec v)
{
    return (vec){_mm256_cvtepi32_ps(_mm256_castps_si256(v.low)),
                 _mm256_cvtepi32_ps(_mm256_castps_si256(v.high))};
}

static inline void vec_store_bytes(float *to, vec v)
{
    const __m256i lowest = _mm256_set1_epi32(255);
    __m256i low = _mm256_and_si256(_mm256_castps_si256(v.low), lowest);
    __m256i high = _mm256_and_si256(_mm256_castps_si256(v.high), lowest);
    __m256i words = _mm256_permute4x64_epi64(_mm256_packus_epi32(low, high),
                                             _MM_SHUFFLE(3, 1, 2, 0));
    __m128i bytes = _mm_packus_epi16(_mm256_castsi256_si128(words),
                                     _mm256_extracti128_si256(words, 1));

    memcpy(to, &bytes, sizeof(bytes));
}
