/* bench/peak_probe.h — what one thread can multiply at most: independent
 * multiply-adds on registers, nothing else. */
#ifndef LK_BENCH_PEAK_PROBE_H
#define LK_BENCH_PEAK_PROBE_H

#include <immintrin.h>

enum { N_CHAINS = 24, N_STEPS = 20000 }; /* 24: above latency x ports (4 x 2) */

__attribute__((target("avx512f"))) static float spin_avx512(void)
{
    __m512 sums[N_CHAINS];
    __m512 a = _mm512_set1_ps(0.999F), b = _mm512_set1_ps(0.001F);

    for (int i = 0; i < N_CHAINS; i++)
        sums[i] = _mm512_set1_ps((float)i);
    for (int step = 0; step < N_STEPS; step++) {
#pragma GCC unroll 24
        for (int i = 0; i < N_CHAINS; i++)
            sums[i] = _mm512_fmadd_ps(sums[i], a, b);
    }
    for (int i = 1; i < N_CHAINS; i++)
        sums[0] = _mm512_add_ps(sums[0], sums[i]);
    return _mm512_reduce_add_ps(sums[0]);
}

__attribute__((target("avx2,fma"))) static float spin_avx2(void)
{
    __m256 sums[N_CHAINS / 2];
    __m256 a = _mm256_set1_ps(0.999F), b = _mm256_set1_ps(0.001F);

    for (int i = 0; i < N_CHAINS / 2; i++)
        sums[i] = _mm256_set1_ps((float)i);
    for (int step = 0; step < N_STEPS; step++) {
#pragma GCC unroll 12
        for (int i = 0; i < N_CHAINS / 2; i++)
            sums[i] = _mm256_fmadd_ps(sums[i], a, b);
    }
    for (int i = 1; i < N_CHAINS / 2; i++)
        sums[0] = _mm256_add_ps(sums[0], sums[i]);
    return _mm256_cvtss_f32(sums[0]);
}

/* Two products and two sums a lane. */
__attribute__((target("avx512f,avx512bf16"))) static float spin_bf16(void)
{
    __m512 sums[N_CHAINS];
    const __m512bh a = (__m512bh)_mm512_set1_epi32(0x3F7F3C00);
    const __m512bh b = (__m512bh)_mm512_set1_epi32(0x3C003F7F);

    for (int i = 0; i < N_CHAINS; i++)
        sums[i] = _mm512_set1_ps((float)i);
    for (int step = 0; step < N_STEPS; step++) {
#pragma GCC unroll 24
        for (int i = 0; i < N_CHAINS; i++)
            sums[i] = _mm512_dpbf16_ps(sums[i], a, b);
    }
    for (int i = 1; i < N_CHAINS; i++)
        sums[0] = _mm512_add_ps(sums[0], sums[i]);
    return _mm512_reduce_add_ps(sums[0]);
}

/* One spin in f32 or bf16, and how many operations it was; 0: the processor has no
 * such instruction. */
static double spin(int is_bf16, float *sink)
{
    const int is_wide = __builtin_cpu_supports("avx512f");

    if (is_bf16 && !__builtin_cpu_supports("avx512bf16"))
        return 0.0;
    *sink += is_bf16 ? spin_bf16() : is_wide ? spin_avx512() : spin_avx2();
    return (is_bf16   ? N_CHAINS * 64.0
            : is_wide ? N_CHAINS * 32.0
                      : N_CHAINS / 2 * 16.0) *
           N_STEPS;
}

#endif
