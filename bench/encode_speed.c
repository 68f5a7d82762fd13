/* bench/encode_speed.c — how close a forward pass comes to the processor's peak.
 *
 *   bench_encode_speed MODEL_DIR [SECONDS]
 *
 * For texts of 8 to 8,192 tokens, as far as the model takes them, one thread runs
 * all layers over tiles of 128 tokens (one text if longer), without tokenizing, and
 * the best round counts, in seconds of processor time: the machine is shared, and only the
 * fastest round tells what the code can do. Before and after each, the model's widest layer is timed by itself;
 * the difference to it is what attention, norms and memory cost. Compare the
 * GFLOP/s with bench_peak's of the same minute; they are counted as if all layers
 * saw all tokens, and without a gate: of ModernBERT heed texts/s. LINKD_ISA and LINKD_PRECISION
 * choose the kernels. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "encoder/forward.h"

#define TILE_TOKENS ((size_t)128)
#define FIRST_ID    1000 /* of WordPiece's words; any id would do */

typedef struct setup {
    lk_config config;
    lk_weights weights;
    lk_model model;
    lk_scratch scratch;
    double seconds;
} setup;

static double cpu_seconds(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static double layer_flops(const setup *s)
{
    const double dim = (double)s->config.dim;
    const double inner = (double)s->config.n_inner;

    return 2.0 * (4.0 * dim * dim + 2.0 * dim * inner);
}

/* Operations for one token of a text of n tokens. */
static double token_flops(const setup *s, size_t n)
{
    const double attention = 4.0 * (double)n * (double)s->config.dim;

    return (double)s->config.n_layers * (layer_flops(s) + attention);
}

/* GFLOP/s of the first feed-forward matrix alone, on 128 rows. */
static double matrix_gflops(setup *s)
{
    const lk_linear *linear = &s->model.layers[0].ffn_in;
    const double flops = 2.0 * (double)(linear->n_in * linear->n_out);
    float *x = lk_alloc_aligned(TILE_TOKENS * lk_stride(linear->n_in), 4);
    float *y = lk_alloc_aligned(TILE_TOKENS * lk_stride(linear->n_out), 4);
    float *scratch = lk_alloc_aligned(
        lk_linear_scratch(s->model.kernels, linear->n_in, TILE_TOKENS) + 1, 4);
    const uint64_t start_ns = lk_clock_ns();
    double best = 1e9;

    LK_ASSERT(x != NULL && y != NULL && scratch != NULL);
    memset(x, 0, TILE_TOKENS * lk_stride(linear->n_in) * sizeof(*x));
    while (lk_clock_seconds_since(start_ns) < s->seconds / 4) {
        const double round_start = cpu_seconds();
        double seconds;

        s->model.kernels->linear(linear, x, TILE_TOKENS, scratch, y);
        seconds = cpu_seconds() - round_start;
        best = seconds < best ? seconds : best;
    }
    free(scratch);
    free(x);
    free(y);
    return flops * (double)TILE_TOKENS / best * 1e-9;
}

/* Seconds of the best round over a tile. */
static double tile_seconds(setup *s, const lk_batch *batch, float *vectors)
{
    const uint64_t start_ns = lk_clock_ns();
    double best = 1e9;

    while (lk_clock_seconds_since(start_ns) < s->seconds) {
        const double round_start = cpu_seconds();
        linkd_error err;
        double seconds;

        LK_ASSERT(lk_forward(&s->model, s->config.pooling, batch, &s->scratch,
                             vectors, &err) == LINKD_OK);
        seconds = cpu_seconds() - round_start;
        best = seconds < best ? seconds : best;
    }
    return best;
}

static void length_time(setup *s, size_t n_tokens)
{
    const size_t n = n_tokens < TILE_TOKENS ? TILE_TOKENS / n_tokens : 1;
    uint32_t *ids = calloc(n_tokens, sizeof(*ids));
    lk_tokens *tokens = calloc(n, sizeof(*tokens));
    size_t *starts = calloc(n + 1, sizeof(*starts));
    float *vectors = calloc(n * s->config.dim, sizeof(*vectors));
    const lk_batch batch = {.sequences = tokens, .starts = starts, .n = n};
    double seconds;
    double before;

    LK_ASSERT(ids && tokens && starts && vectors);
    for (size_t i = 0; i < n_tokens; i++)
        ids[i] = (uint32_t)((FIRST_ID + i) % s->config.vocab_size);
    for (size_t i = 0; i < n; i++) {
        tokens[i] = (lk_tokens){.ids = ids, .n = n_tokens};
        starts[i + 1] = starts[i] + n_tokens;
    }
    before = matrix_gflops(s);
    seconds = tile_seconds(s, &batch, vectors);
    printf("%-11s %-4s %4zu tokens x %2zu: %7.1f texts/s %8.0f tokens/s %6.1f "
           "GFLOP/s (matrix alone %.1f, %.1f), scratch %.1f MB\n",
           s->model.kernels->isa, s->model.kernels->precision, n_tokens, n,
           (double)n / seconds, (double)(n * n_tokens) / seconds,
           (double)(n * n_tokens) / seconds * token_flops(s, n_tokens) * 1e-9,
           before, matrix_gflops(s),
           (double)(s->scratch.capacity * sizeof(float)) * 1e-6);
    free(ids);
    free(tokens);
    free(starts);
    free(vectors);
}

static int setup_open(setup *s, const char *dir, linkd_error *err)
{
    const lk_kernels *kernels = NULL;
    int rc = lk_kernels_choose(getenv("LINKD_ISA"), getenv("LINKD_PRECISION"),
                               &kernels, err);

    if (rc == LINKD_OK)
        rc = lk_config_read(dir, &s->config, err);
    if (rc == LINKD_OK)
        rc = lk_weights_open(dir, &s->weights, err);
    if (rc == LINKD_OK)
        rc = lk_model_load(&s->weights, &s->config, kernels, NULL, &s->model,
                           err);
    return rc;
}

int main(int argc, char **argv)
{
    static const size_t lengths[] = {8, 32, 128, 256, 512, 2048, 8192};
    setup s = {.seconds = argc > 2 ? strtod(argv[2], NULL) : 1.0};
    linkd_error err = {0};
    int rc;

    if (argc < 2) {
        fprintf(stderr, "usage: bench_encode_speed MODEL_DIR [SECONDS]\n");
        return 2;
    }
    rc = setup_open(&s, argv[1], &err);
    if (rc != LINKD_OK)
        fprintf(stderr, "bench_encode_speed: %s\n", err.message);
    for (size_t i = 0; rc == LINKD_OK && i < sizeof(lengths) / sizeof(*lengths);
         i++)
        if (lengths[i] <= s.config.max_tokens)
            length_time(&s, lengths[i]);
    lk_scratch_clear(&s.scratch);
    lk_model_clear(&s.model);
    lk_weights_close(&s.weights);
    return rc == LINKD_OK ? 0 : 1;
}
