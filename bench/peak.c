/* How many f32 operations a second this machine can do right now: independent
 * fused multiply-adds on registers, nothing else. Benchmarks run it before and
 * after, since a virtual machine's cores are shared and their clock moves.
 *
 *   bench_peak [SECONDS]  ─►  {"one_thread": GFLOP/s, "two_threads": GFLOP/s}
 *
 * Two threads on two cores give twice the figure of one; on the two
 * hyper-threads of a single core they give the same. */
#include <immintrin.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/base.h"

enum { N_CHAINS = 24, N_STEPS = 20000 }; /* 24: above latency x ports (4 x 2) */

typedef struct probe {
    double seconds;
    double gflops;
    float sink; /* keeps the compiler from dropping the work */
} probe;

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

/* The best rate seen over the probe's time. */
static void *run_probe(void *arg)
{
    probe *p = arg;
    int wide = __builtin_cpu_supports("avx512f");
    double flops = (wide ? N_CHAINS * 32.0 : N_CHAINS / 2 * 16.0) * N_STEPS;
    uint64_t start = lk_clock_ns();

    while (lk_clock_seconds_since(start) < p->seconds) {
        uint64_t round = lk_clock_ns();
        double gflops;

        p->sink += wide ? spin_avx512() : spin_avx2();
        gflops = flops * 1e-9 / lk_clock_seconds_since(round);
        if (gflops > p->gflops)
            p->gflops = gflops;
    }
    return NULL;
}

int main(int argc, char **argv)
{
    double seconds = argc > 1 ? atof(argv[1]) : 0.3;
    probe alone = {.seconds = seconds};
    probe here = {.seconds = seconds}, there = {.seconds = seconds};
    pthread_t other;

    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) {
        fprintf(stderr, "bench_peak: this processor has no AVX2\n");
        return 1;
    }
    run_probe(&alone);
    if (pthread_create(&other, NULL, run_probe, &there) != 0)
        return 1;
    run_probe(&here);
    pthread_join(other, NULL);
    printf("{\"one_thread\": %.1f, \"two_threads\": %.1f}\n", alone.gflops,
           here.gflops + there.gflops);
    return 0;
}
