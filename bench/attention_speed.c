/* bench/attention_speed.c — attention alone, by the length of a text.
 *
 *   bench_attention_speed [SECONDS]
 *
 * One head of 64 numbers and all queries of 128, 512, 2,048 and 8,192 tokens, by one
 * thread. The best round counts, in seconds of processor time, since the machine is
 * shared; the core is probed beside it (peak_probe.h). LINKD_ISA and LINKD_PRECISION
 * choose the kernels. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/peak_probe.h"
#include "encoder/kernels.h"

enum { HEAD_DIM = 64 };

static double cpu_seconds(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* Numbers between -1 and 1: their scores are those of a trained model, about. */
static void rows_fill(float *rows, size_t n)
{
    uint32_t seed = 1;

    for (size_t i = 0; i < n; i++) {
        seed = seed * 1664525U + 1013904223U;
        rows[i] = (float)(seed >> 8) * 0x1p-23F - 1.0F;
    }
}

/* GFLOP/s over n tokens, and in *ret_peak those of the core meanwhile. */
static double attention_gflops(const lk_kernels *kernels, size_t n,
                               double seconds, double *ret_peak)
{
    const lk_heads heads = {.n_heads = 1, .head_dim = HEAD_DIM};
    const size_t n_row = lk_stride(3 * (size_t)HEAD_DIM);
    float *qkv = lk_alloc_aligned(n * n_row, sizeof(*qkv));
    float *scratch = lk_alloc_aligned(lk_attention_scratch(kernels, &heads, n),
                                      sizeof(*qkv));
    float *context = lk_alloc_aligned(n * lk_stride(HEAD_DIM), sizeof(*qkv));
    const uint64_t start_ns = lk_clock_ns();
    const int is_bf16 = strcmp(kernels->precision, "bf16") == 0;
    double best = 1e9;
    float sink = 0.0F;

    LK_ASSERT(qkv != NULL && scratch != NULL && context != NULL);
    rows_fill(qkv, n * n_row);
    *ret_peak = 0.0;
    do {
        const double begin = cpu_seconds();
        double taken, operations, rate;

        kernels->attention(&heads, qkv, n, n, scratch, context);
        taken = cpu_seconds() - begin;
        best = taken < best ? taken : best;
        taken = cpu_seconds();
        operations = spin(is_bf16, &sink);
        rate = operations / (cpu_seconds() - taken) * 1e-9;
        *ret_peak = rate > *ret_peak ? rate : *ret_peak;
    } while (lk_clock_seconds_since(start_ns) < seconds);
    LK_ASSERT(sink > 0.0F);
    free(context);
    free(scratch);
    free(qkv);
    return 4.0 * (double)n * (double)n * HEAD_DIM / best * 1e-9;
}

int main(int argc, char **argv)
{
    static const size_t lengths[] = {128, 512, 2048, 8192};
    const double seconds = argc > 1 ? atof(argv[1]) : 2.0;
    const lk_kernels *kernels = NULL;
    linkd_error err;

    if (lk_kernels_wanted(NULL, &kernels, &err) != LINKD_OK) {
        fprintf(stderr, "bench_attention_speed: %s\n", err.message);
        return 1;
    }
    for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
        double peak;
        const double gflops =
            attention_gflops(kernels, lengths[i], seconds, &peak);

        printf("%-11s %-4s %5zu tokens: %6.1f GFLOP/s, %2.0f %% of the "
               "peak (%.0f)\n",
               kernels->isa, kernels->precision, lengths[i], gflops,
               100.0 * gflops / peak, peak);
    }
    return 0;
}
