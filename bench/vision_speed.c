/* bench/vision_speed.c — where an image model's time goes, and how near each part
 * comes to what the core can multiply.
 *
 *   bench_vision_speed MODEL_DIR [SECONDS [MERGED]]
 *
 * Of a ViT, DINOv2 or CLIP. One thread runs each part of a forward pass over all
 * layers by itself, then all of them together, round after round; between them it
 * probes the core (peak_probe.h). The best round of each counts, in seconds of
 * processor time, since the machine is shared. What a part multiplies is counted
 * without padding. MERGED is how many tokens the layers of the whole pass merge
 * away. LINKD_ISA and LINKD_PRECISION choose the kernels. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/peak_probe.h"
#include "encoder/file.h"
#include "encoder/vision_model.h"

typedef struct setup {
    lk_vision_config config;
    lk_preparation preparation;
    lk_weights weights;
    lk_vision_model model;
    lk_block block; /* its numbers */
    lk_stack_space space;
    linkd_image picture;  /* as it is read */
    linkd_image prepared; /* as the model takes it */
    size_t n_rows;
    float *scratch;
    float *vector;
    float sink;
} setup;

static double cpu_seconds(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* ---- parts -------------------------------------------------------------- */

static void prepare(setup *s)
{
    int rc;

    linkd_image_clear(&s->prepared);
    rc = lk_image_prepare(&s->preparation, &s->picture, &s->prepared, NULL);
    LK_ASSERT(rc == LINKD_OK);
}

static void patches(setup *s)
{
    const lk_pixels *p = &s->model.patches;
    float *row = s->space.wide;

    for (size_t i = 1; i < s->n_rows; i++, row += lk_stride(p->linear.n_in))
        lk_pixels_read(p, &s->prepared,
                       (ptrdiff_t)((i - 1) % s->model.n_across * p->side),
                       (ptrdiff_t)((i - 1) / s->model.n_across * p->side), row);
    s->model.stack.kernels->linear(&p->linear, s->space.wide, s->n_rows - 1,
                                   s->space.scratch, s->space.context);
}

static void norms(setup *s)
{
    const lk_stack *stack = &s->model.stack;

    for (size_t i = 0; i < stack->sizes.n_layers; i++) {
        lk_stack_normalise(stack, &stack->layers[i].attention_norm, &s->space,
                           s->n_rows);
        lk_stack_normalise(stack, &stack->layers[i].ffn_norm, &s->space,
                           s->n_rows);
    }
}

static void projection(setup *s)
{
    const lk_stack *stack = &s->model.stack;

    for (size_t i = 0; i < stack->sizes.n_layers; i++)
        stack->kernels->linear(&stack->layers[i].projection, s->space.context,
                               s->n_rows, s->space.scratch, s->space.wide);
}

static void attention(setup *s)
{
    const lk_stack *stack = &s->model.stack;

    for (size_t i = 0; i < stack->sizes.n_layers; i++)
        stack->kernels->attention(&stack->heads, s->space.wide, s->n_rows,
                                  s->n_rows, s->space.scratch,
                                  s->space.context);
}

static void attention_out(setup *s)
{
    const lk_stack *stack = &s->model.stack;

    for (size_t i = 0; i < stack->sizes.n_layers; i++)
        stack->kernels->linear(&stack->layers[i].attention_out,
                               s->space.context, s->n_rows, s->space.scratch,
                               s->space.wide);
}

static void ffn_in(setup *s)
{
    const lk_stack *stack = &s->model.stack;

    for (size_t i = 0; i < stack->sizes.n_layers; i++)
        stack->kernels->linear_activate(
            &stack->layers[i].ffn_in, stack->sizes.activation, s->space.x,
            s->n_rows, s->space.scratch, s->space.wide);
}

static void ffn_out(setup *s)
{
    const lk_stack *stack = &s->model.stack;

    for (size_t i = 0; i < stack->sizes.n_layers; i++)
        stack->kernels->linear(&stack->layers[i].ffn_out, s->space.wide,
                               s->n_rows, s->space.scratch, s->space.context);
}

static void whole_pass(setup *s)
{
    lk_vision_forward(&s->model, &s->prepared, s->scratch, s->vector);
}

/* ---- what they multiply ------------------------------------------------- */

typedef struct part {
    const char *name;
    void (*run)(setup *s);
    double flops;
    double best;
} part;

enum { N_PARTS = 9 };

static void parts_list(const setup *s, part ret_parts[N_PARTS])
{
    const lk_stack_sizes *z = &s->config.sizes;
    const double n = (double)s->n_rows, dim = (double)z->dim;
    const double rows = 2.0 * n * (double)z->n_layers;
    const double inner = (double)z->n_inner;
    const double pixels = (double)s->model.patches.linear.n_in;
    const part parts[N_PARTS] = {
        {"prepare", prepare, 0.0, 1e9},
        {"patches", patches, 2.0 * (n - 1.0) * pixels * dim, 1e9},
        {"norms", norms, 0.0, 1e9},
        {"query, key, value", projection, rows * 3.0 * dim * dim, 1e9},
        {"attention", attention, rows * 2.0 * n * dim, 1e9},
        {"attention's output", attention_out, rows * dim * dim, 1e9},
        {"widening, GELU", ffn_in, rows * dim * inner, 1e9},
        {"narrowing", ffn_out, rows * dim * inner, 1e9},
        /* of the last layer, the class token goes on alone */
        {"all but prepare", whole_pass,
         2.0 * (n - 1.0) * pixels * dim + rows * 2.0 * n * dim +
             (rows - 2.0 * (n - 1.0)) * (dim * dim + 2.0 * dim * inner) +
             rows * 3.0 * dim * dim - 4.0 * (n - 1.0) * n * dim,
         1e9}};

    memcpy(ret_parts, parts, sizeof(parts));
}

/* ---- measuring ---------------------------------------------------------- */

static void probe(setup *s, double peaks[2])
{
    for (int is_bf16 = 0; is_bf16 < 2; is_bf16++) {
        const double start = cpu_seconds();
        const double gflops = spin(is_bf16, &s->sink) * 1e-9;
        const double rate = gflops / (cpu_seconds() - start);

        peaks[is_bf16] = rate > peaks[is_bf16] ? rate : peaks[is_bf16];
    }
}

static void parts_time(setup *s, double seconds, part *parts, double peaks[2])
{
    const uint64_t start_ns = lk_clock_ns();

    while (lk_clock_seconds_since(start_ns) < seconds)
        for (size_t i = 0; i < N_PARTS; i++) {
            double start;

            probe(s, peaks);
            start = cpu_seconds();
            parts[i].run(s);
            start = cpu_seconds() - start;
            parts[i].best = start < parts[i].best ? start : parts[i].best;
        }
}

static void report(const setup *s, const part *parts, const double *peaks)
{
    const char *precision = s->model.stack.kernels->precision;
    const bool is_bf16 = strcmp(precision, "bf16") == 0;
    double all = parts[N_PARTS - 1].best + parts[0].best;

    printf(
        "%s %s, %zu rows; this core now: %.0f GFLOP/s in f32, %.0f in bf16\n",
        s->model.stack.kernels->isa, precision, s->n_rows, peaks[0], peaks[1]);
    for (size_t i = 0; i < N_PARTS; i++) {
        const double rate = parts[i].flops / parts[i].best * 1e-9;

        printf("%-19s %7.2f ms", parts[i].name, parts[i].best * 1e3);
        if (parts[i].flops > 0.0)
            printf(" %6.2f GFLOP %7.1f GFLOP/s, %3.0f %% of the peak",
                   parts[i].flops * 1e-9, rate, 100.0 * rate / peaks[is_bf16]);
        printf("\n");
    }
    printf("%.1f pictures/s with preparing them\n", 1.0 / all);
}

/* ---- setting up --------------------------------------------------------- */

static int settings_read(setup *s, const char *dir, linkd_error *err)
{
    lk_buf path = {0};
    lk_file config = {0}, preparation = {0};
    int rc = lk_file_path(dir, "config.json", &path, err);

    if (rc == LINKD_OK)
        rc = lk_file_map(path.data, &config, err);
    if (rc == LINKD_OK)
        rc = lk_vision_config_parse(config.bytes, config.len, &s->config, err);
    if (rc == LINKD_OK)
        rc = lk_file_path(dir, "preprocessor_config.json", &path, err);
    if (rc == LINKD_OK)
        rc = lk_file_map(path.data, &preparation, err);
    if (rc == LINKD_OK)
        rc = lk_preparation_parse(preparation.bytes, preparation.len,
                                  &s->preparation, err);
    lk_file_unmap(&config);
    lk_file_unmap(&preparation);
    lk_buf_clear(&path);
    return rc;
}

/* A picture of nothing in particular, of a common size. */
static void picture_make(setup *s)
{
    enum { WIDTH = 640, HEIGHT = 480 };

    s->picture = (linkd_image){.width = WIDTH, .height = HEIGHT};
    s->picture.pixels = calloc(3, (size_t)WIDTH * HEIGHT);
    LK_ASSERT(s->picture.pixels != NULL);
    for (size_t i = 0; i < (size_t)3 * WIDTH * HEIGHT; i++)
        s->picture.pixels[i] = (uint8_t)(i * 2654435761U >> 24);
}

static int model_load(lk_packer *packer, void *ctx, linkd_error *err)
{
    setup *s = ctx;

    return lk_vision_model_load(packer, &s->config, &s->preparation, &s->model,
                                err);
}

static void model_clear(void *ctx)
{
    setup *s = ctx;

    lk_vision_model_clear(&s->model);
}

static int setup_open(setup *s, const char *dir, linkd_error *err)
{
    const lk_pack_job job = {model_load, model_clear, s};
    lk_packer packer = {.weights = &s->weights, .prefix = ""};
    int rc = lk_kernels_wanted(NULL, &packer.kernels, err);

    if (rc == LINKD_OK)
        rc = settings_read(s, dir, err);
    if (rc == LINKD_OK)
        rc = lk_weights_open(dir, &s->weights, err);
    if (rc == LINKD_OK)
        rc = lk_block_make(&packer, &job, &s->block, err);
    if (rc != LINKD_OK)
        return rc;
    s->n_rows = 1 + s->model.n_across * s->model.n_down;
    s->scratch = lk_alloc_aligned(lk_vision_scratch(&s->model), 4);
    s->vector = calloc(lk_stack_dim(&s->model.stack), sizeof(*s->vector));
    if (s->scratch == NULL || s->vector == NULL)
        return lk_fail_nomem(err);
    memset(s->scratch, 0, lk_vision_scratch(&s->model) * sizeof(*s->scratch));
    s->space = lk_stack_cut(&s->model.stack, s->scratch, s->n_rows,
                            s->model.patches.linear.n_in);
    picture_make(s);
    return LINKD_OK;
}

int main(int argc, char **argv)
{
    const double seconds = argc > 2 ? strtod(argv[2], NULL) : 5.0;
    setup s = {0};
    part parts[N_PARTS];
    double peaks[2] = {0.0, 0.0};
    linkd_error err = {0};
    int rc;

    if (argc < 2) {
        fprintf(stderr, "usage: bench_vision_speed MODEL_DIR [SECONDS "
                        "[MERGED]]\n");
        return 2;
    }
    rc = setup_open(&s, argv[1], &err);
    if (rc == LINKD_OK) {
        s.model.n_merged = argc > 3 ? strtoul(argv[3], NULL, 10) : 0;
        parts_list(&s, parts);
        parts_time(&s, seconds, parts, peaks);
        report(&s, parts, peaks);
    } else {
        fprintf(stderr, "bench_vision_speed: %s\n", err.message);
    }
    free(s.scratch);
    free(s.vector);
    linkd_image_clear(&s.picture);
    linkd_image_clear(&s.prepared);
    lk_vision_model_clear(&s.model);
    lk_block_clear(&s.block);
    lk_weights_close(&s.weights);
    return rc == LINKD_OK ? 0 : 1;
}
