/* How many operations a second this machine can do right now (peak_probe.h).
 * Benchmarks run it before and after, since a virtual machine's cores are shared
 * and their clock moves.
 *
 *   bench_peak [SECONDS]  ─►  {"one_thread": GFLOP/s, "two_threads": GFLOP/s,
 *                              "one_thread_bf16": GFLOP/s, 0: has no bf16}
 *
 * Two threads on two cores give twice the figure of one; on the two
 * hyper-threads of a single core they give the same. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/base.h"
#include "bench/peak_probe.h"

typedef struct probe {
    double seconds;
    double gflops;
    int is_bf16;
    float sink; /* keeps the compiler from dropping the work */
} probe;

/* The best rate seen over the probe's time. */
static void *run_probe(void *arg)
{
    probe *p = arg;
    uint64_t start = lk_clock_ns();

    while (lk_clock_seconds_since(start) < p->seconds) {
        uint64_t round = lk_clock_ns();
        double gflops = spin(p->is_bf16, &p->sink) * 1e-9;

        gflops /= lk_clock_seconds_since(round);
        if (gflops > p->gflops)
            p->gflops = gflops;
    }
    return NULL;
}

int main(int argc, char **argv)
{
    double seconds = argc > 1 ? strtod(argv[1], NULL) : 0.3;
    probe alone = {.seconds = seconds};
    probe pairs = {.seconds = seconds, .is_bf16 = 1};
    probe here = {.seconds = seconds}, there = {.seconds = seconds};
    pthread_t other;

    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) {
        fprintf(stderr, "bench_peak: this processor has no AVX2\n");
        return 1;
    }
    run_probe(&alone);
    run_probe(&pairs);
    if (pthread_create(&other, NULL, run_probe, &there) != 0)
        return 1;
    run_probe(&here);
    pthread_join(other, NULL);
    printf("{\"one_thread\": %.1f, \"two_threads\": %.1f, "
           "\"one_thread_bf16\": %.1f}\n",
           alone.gflops, here.gflops + there.gflops, pairs.gflops);
    return 0;
}
