/* encoder/kernels_avx2_vec.h — 16 floats in two registers of AVX2 with FMA, for
 * the tables that are made of them. */
#include <immintrin.h>
#include <stddef.h>

typedef struct vec {
    __m256 low;
    __m256 high;
} vec;

static inline vec vec_load(const float *from)
{
    return (vec){_mm256_loadu_ps(from), _mm256_loadu_ps(from + 8)};
}

static inline void vec_store(float *to, vec v)
{
    _mm256_storeu_ps(to, v.low);
    _mm256_storeu_ps(to + 8, v.high);
}

static inline vec vec_set(float x)
{
    return (vec){_mm256_set1_ps(x), _mm256_set1_ps(x)};
}

static inline vec vec_add(vec a, vec b)
{
    return (vec){_mm256_add_ps(a.low, b.low), _mm256_add_ps(a.high, b.high)};
}

static inline vec vec_sub(vec a, vec b)
{
    return (vec){_mm256_sub_ps(a.low, b.low), _mm256_sub_ps(a.high, b.high)};
}

static inline vec vec_mul(vec a, vec b)
{
    return (vec){_mm256_mul_ps(a.low, b.low), _mm256_mul_ps(a.high, b.high)};
}

static inline vec vec_div(vec a, vec b)
{
    return (vec){_mm256_div_ps(a.low, b.low), _mm256_div_ps(a.high, b.high)};
}

static inline vec vec_fma(vec a, vec b, vec c)
{
    return (vec){_mm256_fmadd_ps(a.low, b.low, c.low),
                 _mm256_fmadd_ps(a.high, b.high, c.high)};
}

static inline vec vec_min(vec a, vec b)
{
    return (vec){_mm256_min_ps(a.low, b.low), _mm256_min_ps(a.high, b.high)};
}

static inline vec vec_max(vec a, vec b)
{
    return (vec){_mm256_max_ps(a.low, b.low), _mm256_max_ps(a.high, b.high)};
}

static inline vec vec_first(vec v, size_t n)
{
    const __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    const __m256i below = _mm256_set1_epi32((int)n);
    const __m256i eight = _mm256_set1_epi32(8);
    __m256i low = _mm256_cmpgt_epi32(below, lanes);
    __m256i high = _mm256_cmpgt_epi32(below, _mm256_add_epi32(lanes, eight));

    return (vec){_mm256_and_ps(v.low, _mm256_castsi256_ps(low)),
                 _mm256_and_ps(v.high, _mm256_castsi256_ps(high))};
}

static inline vec zip(__m256 a, __m256 b)
{
    __m256 outer = _mm256_unpacklo_ps(a, b); /* 0 and 1, 4 and 5 */
    __m256 inner = _mm256_unpackhi_ps(a, b);

    return (vec){_mm256_permute2f128_ps(outer, inner, 0x20),
                 _mm256_permute2f128_ps(outer, inner, 0x31)};
}

static inline void vec_zip(vec a, vec b, vec ret_both[2])
{
    ret_both[0] = zip(a.low, b.low);
    ret_both[1] = zip(a.high, b.high);
}

static inline __m256 shift_exponent(__m256 v, __m256 n)
{
    __m256i shift = _mm256_slli_epi32(_mm256_castps_si256(n), 23);

    return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(v), shift));
}

static inline vec vec_shift_exponent(vec v, vec n)
{
    return (vec){shift_exponent(v.low, n.low), shift_exponent(v.high, n.high)};
}

static inline float vec_sum(vec v)
{
    __m256 eight = _mm256_add_ps(v.low, v.high);
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight),
                             _mm256_extractf128_ps(eight, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));

    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

static inline float vec_largest(vec v)
{
    __m256 eight = _mm256_max_ps(v.low, v.high);
    __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight),
                             _mm256_extractf128_ps(eight, 1));
    __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));

    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}
