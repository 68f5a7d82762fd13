/* encoder/kernels_avx512_vec.h — 16 floats in a register of AVX-512 (F, DQ, BW,
 * VL), for the tables that are made of them. */
#include <immintrin.h>

typedef __m512 vec;

static inline vec vec_load(const float *from)
{
    return _mm512_loadu_ps(from);
}

static inline void vec_store(float *to, vec v)
{
    _mm512_storeu_ps(to, v);
}

static inline vec vec_set(float x)
{
    return _mm512_set1_ps(x);
}

static inline vec vec_add(vec a, vec b)
{
    return _mm512_add_ps(a, b);
}

static inline vec vec_sub(vec a, vec b)
{
    return _mm512_sub_ps(a, b);
}

static inline vec vec_mul(vec a, vec b)
{
    return _mm512_mul_ps(a, b);
}

static inline vec vec_div(vec a, vec b)
{
    return _mm512_div_ps(a, b);
}

static inline vec vec_fma(vec a, vec b, vec c)
{
    return _mm512_fmadd_ps(a, b, c);
}

static inline vec vec_min(vec a, vec b)
{
    return _mm512_min_ps(a, b);
}

static inline vec vec_max(vec a, vec b)
{
    return _mm512_max_ps(a, b);
}

static inline vec vec_first(vec v, size_t n)
{
    return _mm512_maskz_mov_ps((__mmask16)((1U << n) - 1), v);
}

static inline void vec_zip(vec a, vec b, vec ret_both[2])
{
    const __m512i low = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5,
                                          21, 6, 22, 7, 23);
    const __m512i high = _mm512_add_epi32(low, _mm512_set1_epi32(8));

    ret_both[0] = _mm512_permutex2var_ps(a, low, b);
    ret_both[1] = _mm512_permutex2var_ps(a, high, b);
}

static inline vec vec_shift_exponent(vec v, vec n)
{
    __m512i shift = _mm512_slli_epi32(_mm512_castps_si512(n), 23);

    return _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(v), shift));
}

static inline float vec_sum(vec v)
{
    __m256 eight =
        _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight),
                             _mm256_extractf128_ps(eight, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));

    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

static inline float vec_largest(vec v)
{
    __m256 eight =
        _mm256_max_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight),
                             _mm256_extractf128_ps(eight, 1));
    __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));

    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}
