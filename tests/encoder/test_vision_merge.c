/* Token merging: what has to hold of any rows, and vectors against
 * scripts/token_merging.py on a tiny DINOv2 (tests/golden/vision/merged). */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "encoder/encoder.h"
#include "encoder/file.h"
#include "encoder/vision_merge.h"
#include "tests/support/alloc_fail.h"

#define GOLDEN "tests/golden/"
#define MERGED GOLDEN "vision/merged"

enum {
    DIM = 20,
    N_INNER = 4 * DIM,
    N_PICTURES = 2,
    N_NUMBERS = N_PICTURES * DIM,
    N_MERGED = 5
};

static const char *const pictures[N_PICTURES] = {"jpeg-95-0.jpg",
                                                 "turned-1.png"};

/* ---- rows --------------------------------------------------------------- */

enum {
    N_HEADS = 2,
    HEAD_DIM = 3,
    WIDTH = N_HEADS * HEAD_DIM,
    WIDE = 3 * WIDTH, /* queries, keys and values */
    ROWS_MAX = 19
};

static uint32_t seed;

static float next_number(void)
{
    seed = seed * 1664525U + 1013904223U;
    return (float)(seed >> 8) * 0x1p-23F - 1.0F;
}

typedef struct fixture {
    lk_stack stack;
    float *floats;
    float *wide;    /* [rows, WIDE] */
    float *x;       /* [rows, WIDTH] */
    float *scratch; /* as much as x, or as match takes */
    lk_merge_space merge;
} fixture;

static float *floats_new(size_t n)
{
    float *floats = lk_alloc_aligned(n, sizeof(*floats));

    assert_non_null(floats);
    memset(floats, 0, n * sizeof(*floats));
    return floats;
}

static fixture setup(size_t n_rows)
{
    fixture f = {
        .stack = {.sizes = {.dim = WIDTH},
                  .heads = {.n_heads = N_HEADS, .head_dim = HEAD_DIM}}};

    assert_int_equal(lk_kernels_choose("scalar", "f32", &f.stack.kernels, NULL),
                     LINKD_OK);
    f.floats = floats_new(lk_merge_floats(&f.stack, n_rows));
    f.wide = floats_new(n_rows * lk_stride(WIDE));
    f.x = floats_new(n_rows * lk_stride(WIDTH));
    f.scratch = floats_new(n_rows * lk_stride(WIDTH));
    for (size_t i = 0; i < n_rows * lk_stride(WIDE); i++)
        f.wide[i] = next_number();
    for (size_t i = 0; i < n_rows * lk_stride(WIDTH); i++)
        f.x[i] = next_number();
    f.merge = lk_merge_cut(&f.stack, f.floats, n_rows);
    return f;
}

static void teardown(fixture *f)
{
    free(f->floats);
    free(f->wide);
    free(f->x);
    free(f->scratch);
}

static double sum(const float *values, size_t n)
{
    double total = 0.0;

    for (size_t i = 0; i < n; i++)
        total += (double)values[i];
    return total;
}

/* By the definition: the cosine of two rows' mean keys. */
static double likeness(const fixture *f, size_t a, size_t b)
{
    double dot = 0.0, a_square = 0.0, b_square = 0.0;

    for (size_t k = 0; k < HEAD_DIM; k++) {
        double key[2] = {0.0, 0.0};

        for (size_t h = 0; h < N_HEADS; h++) {
            const size_t at = WIDTH + h * HEAD_DIM + k;

            key[0] += (double)f->wide[a * lk_stride(WIDE) + at];
            key[1] += (double)f->wide[b * lk_stride(WIDE) + at];
        }
        dot += key[0] * key[1];
        a_square += key[0] * key[0];
        b_square += key[1] * key[1];
    }
    return dot / sqrt(a_square * b_square);
}

static size_t nearest(const fixture *f, size_t row, size_t n_rows)
{
    size_t best = 1;

    for (size_t i = 3; i < n_rows; i += 2)
        if (likeness(f, row, i) > likeness(f, row, best))
            best = i;
    return best;
}

static void merge_once(fixture *f, size_t *n_rows, size_t n_merged)
{
    const size_t n_left = lk_merge_match(&f->stack, &f->merge, f->wide, *n_rows,
                                         n_merged, f->scratch);

    lk_merge_rows(&f->merge, *n_rows, n_left, WIDTH, f->scratch, f->x);
    lk_merge_sizes(&f->merge, n_left);
    *n_rows = n_left;
}

static void rows_merge_into_the_most_alike(void **state)
{
    (void)state;
    for (size_t n = 2; n <= ROWS_MAX; n++) {
        fixture f = setup(n);
        const size_t n_left =
            lk_merge_match(&f.stack, &f.merge, f.wide, n, 3, f.scratch);
        const size_t most = (n - 1) / 2;
        double worst = 2.0; /* of those that merge */

        assert_int_equal(n_left, n - (most < 3 ? most : 3));
        assert_int_equal(f.merge.targets[0], 0);
        for (size_t i = 2; i < n; i += 2) {
            const size_t right = nearest(&f, i, n);

            if (f.merge.targets[i] != f.merge.targets[right])
                continue;
            worst = fmin(worst, likeness(&f, i, right));
        }
        for (size_t i = 2; i < n; i += 2) {
            const size_t right = nearest(&f, i, n);

            if (f.merge.targets[i] != f.merge.targets[right])
                assert_true(likeness(&f, i, right) <= worst);
        }
        /* what stays keeps its order, and what was compared with comes last */
        for (size_t i = 3; i < n; i += 2)
            assert_int_equal(f.merge.targets[i], f.merge.targets[i - 2] + 1);
        assert_int_equal(f.merge.targets[n - 1 - n % 2], n_left - 1);
        teardown(&f);
    }
}

static void merged_rows_are_means_weighted_by_size(void **state)
{
    const size_t stride = lk_stride(WIDTH);
    size_t n_rows = ROWS_MAX;
    fixture f = setup(n_rows);
    float first[WIDTH];
    double sums[WIDTH];

    (void)state;
    memcpy(first, f.x, sizeof(first));
    for (size_t k = 0; k < WIDTH; k++) {
        sums[k] = 0.0;
        for (size_t i = 0; i < n_rows; i++)
            sums[k] += (double)f.x[i * stride + k];
    }
    for (size_t round = 0; round < 4; round++) {
        merge_once(&f, &n_rows, 4);
        assert_true(sum(f.merge.sizes, n_rows) == (double)ROWS_MAX);
        for (size_t i = 0; i < n_rows; i++) {
            assert_true(f.merge.sizes[i] >= 1.0F);
            assert_true(f.merge.log_sizes[i] == log2f(f.merge.sizes[i]));
        }
        assert_memory_equal(f.x, first, sizeof(first)); /* the class token */
        for (size_t k = 0; k < WIDTH; k++) {
            double total = 0.0;

            for (size_t i = 0; i < n_rows; i++)
                total += (double)f.merge.sizes[i] * (double)f.x[i * stride + k];
            assert_true(fabs(total - sums[k]) < 1e-5);
        }
    }
    assert_int_equal(n_rows, ROWS_MAX - 4 - 4 - 4 - 3);
    teardown(&f);
}

static void two_equal_rows_become_one_of_size_two(void **state)
{
    const size_t stride = lk_stride(WIDE);
    size_t n_rows = 5;
    fixture f = setup(n_rows);

    (void)state;
    memcpy(f.wide + 4 * stride, f.wide + 1 * stride,
           stride * sizeof(*f.wide)); /* its keys are those of row 1 */
    for (size_t k = 0; k < WIDTH; k++) {
        f.x[1 * lk_stride(WIDTH) + k] = 1.0F;
        f.x[4 * lk_stride(WIDTH) + k] = 2.0F;
    }
    merge_once(&f, &n_rows, 1);
    assert_int_equal(n_rows, 4); /* rows 0, 2, 1 with 4, 3 */
    assert_true(f.merge.sizes[2] == 2.0F);
    assert_true(f.merge.log_sizes[2] == 1.0F);
    assert_true(f.merge.sizes[3] == 1.0F);
    for (size_t k = 0; k < WIDTH; k++)
        assert_true(f.x[2 * lk_stride(WIDTH) + k] == 1.5F);
    teardown(&f);
}

/* ---- vectors ------------------------------------------------------------ */

static void picture_read(const char *name, linkd_image *ret_image)
{
    char path[128];
    lk_file file = {0};
    linkd_error err;

    (void)snprintf(path, sizeof(path), GOLDEN "image/%s", name);
    if (lk_file_map(path, &file, &err) != LINKD_OK ||
        linkd_image_decode((linkd_str){(const char *)file.bytes, file.len},
                           NULL, ret_image, &err) != LINKD_OK)
        fail_msg("%s", err.message);
    lk_file_unmap(&file);
}

static linkd_vision *vision_new(const char *dir, const char *precision,
                                size_t n_merged)
{
    linkd_vision *vision = NULL;
    linkd_error err;

    if (linkd_vision_open(dir, precision, 1, &vision, &err) != LINKD_OK ||
        linkd_vision_merge_tokens(vision, n_merged, &err) != LINKD_OK)
        fail_msg("%s", err.message);
    return vision;
}

static void encode(const char *precision, size_t n_merged, size_t picture,
                   float *ret_vector)
{
    linkd_vision *vision = vision_new(MERGED, precision, n_merged);
    linkd_image image = {0};

    picture_read(pictures[picture], &image);
    assert_int_equal(linkd_vision_encode(vision, 0, &image, ret_vector, NULL),
                     LINKD_OK);
    linkd_image_clear(&image);
    linkd_vision_close(vision);
}

static double cosine(const float *a, const float *b)
{
    double total = 0.0;

    for (size_t i = 0; i < DIM; i++)
        total += (double)a[i] * (double)b[i];
    return total;
}

static void vectors_are_those_of_the_paper(void **state)
{
    float expected[N_NUMBERS];
    FILE *file = fopen(MERGED "/vectors.f32", "rb");

    (void)state;
    assert_non_null(file);
    assert_int_equal(fread(expected, sizeof(*expected), N_NUMBERS, file),
                     N_NUMBERS);
    (void)fclose(file);
    for (size_t i = 0; i < N_PICTURES; i++) {
        float vector[DIM];

        encode("f32", N_MERGED, i, vector);
        assert_true(cosine(vector, expected + i * DIM) >= 0.99999);
        encode("f32", 0, i, vector); /* they are others */
        assert_true(cosine(vector, expected + i * DIM) < 0.9999);
    }
}

/* A stack of layers whose weights are all but random. */
typedef struct layers {
    lk_stack stack;
    lk_block block;
    lk_weights weights;
} layers;

static int layers_load(lk_packer *packer, void *ctx, linkd_error *err)
{
    layers *l = ctx;
    static const lk_stack_names names = {
        .layers = "encoder.layer",
        .query_key_value = {"attention.attention.query",
                            "attention.attention.key",
                            "attention.attention.value"},
        .attention_norm = "norm1",
        .attention_out = "attention.output.dense",
        .attention_scale = "layer_scale1.lambda1",
        .ffn_norm = "norm2",
        .ffn_in = "mlp.fc1",
        .ffn_out = "mlp.fc2",
        .ffn_scale = "layer_scale2.lambda1",
        .final_norm = "layernorm"};
    const lk_stack_sizes sizes = {.dim = DIM,
                                  .n_inner = N_INNER,
                                  .n_layers = 4,
                                  .n_heads = 4,
                                  .norm_epsilon = 1e-6F};

    return lk_stack_load(packer, &sizes, &names, &l->stack, err);
}

static void layers_clear(void *ctx)
{
    layers *l = ctx;

    lk_stack_clear(&l->stack);
}

static void layers_open(layers *l)
{
    const lk_pack_job job = {layers_load, layers_clear, l};
    lk_packer packer = {.weights = &l->weights, .prefix = ""};

    *l = (layers){0};
    assert_int_equal(lk_kernels_choose(NULL, "f32", &packer.kernels, NULL),
                     LINKD_OK);
    assert_int_equal(lk_weights_open(MERGED, &l->weights, NULL), LINKD_OK);
    assert_int_equal(lk_block_make(&packer, &job, &l->block, NULL), LINKD_OK);
}

static void layers_close(layers *l)
{
    lk_stack_clear(&l->stack);
    lk_block_clear(&l->block);
    lk_weights_close(&l->weights);
}

/* By the whole stack: sizes of 1 add nothing to any score. */
static void merging_nothing_changes_no_bit(void **state)
{
    const size_t starts[] = {0, ROWS_MAX};
    const size_t wanted = 0;
    const lk_stack_batch batch = {.starts = starts, .wanted = &wanted, .n = 1};
    float whole[DIM], unmerged[DIM], merged[DIM];
    float *const vectors[] = {whole, unmerged, merged};
    layers l;

    (void)state;
    layers_open(&l);
    for (size_t i = 0; i < 3; i++) {
        float *floats =
            floats_new(lk_stack_floats(&l.stack, ROWS_MAX, ROWS_MAX, 0));
        float *more = floats_new(lk_merge_floats(&l.stack, ROWS_MAX));
        const lk_stack_space space =
            lk_stack_cut(&l.stack, floats, ROWS_MAX, 0);
        const lk_merge_space merge = lk_merge_cut(&l.stack, more, ROWS_MAX);

        seed = 1;
        for (size_t row = 0; row < ROWS_MAX; row++)
            for (size_t k = 0; k < DIM; k++)
                space.x[row * lk_stride(DIM) + k] = next_number();
        if (i == 0)
            lk_stack_run(&l.stack, &batch, &space, vectors[i]);
        else
            lk_merge_run(&l.stack, &space, &merge, ROWS_MAX, i - 1, vectors[i]);
        free(floats);
        free(more);
    }
    assert_memory_equal(whole, unmerged, sizeof(whole));
    assert_memory_not_equal(whole, merged, sizeof(whole));
    layers_close(&l);
}

static void every_tier_gives_the_same_bits(void **state)
{
    static const char *const tiers[] = {"scalar", "avx2", "avx512"};
    const lk_kernels *kernels = NULL;
    float first[DIM], vector[DIM];

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        if (lk_kernels_choose(tiers[i], "f32", &kernels, NULL) != LINKD_OK)
            continue; /* not what this processor has */
        setenv("LINKD_ISA", tiers[i], 1);
        encode("f32", N_MERGED, 0, vector);
        if (i == 0)
            memcpy(first, vector, sizeof(first));
        assert_memory_equal(vector, first, sizeof(first));
    }
    unsetenv("LINKD_ISA");
}

/* Until but one row of two is left; the class token always is. */
static void more_than_there_is_may_be_merged(void **state)
{
    float vector[DIM];

    (void)state;
    encode("f32", 1000000, 0, vector);
    assert_true(fabs(cosine(vector, vector) - 1.0) < 1e-6);
}

static void vectors_of_another_number_have_another_fingerprint(void **state)
{
    char prints[3][64];

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        linkd_vision *vision = vision_new(MERGED, "f32", i);

        (void)snprintf(prints[i], sizeof(prints[i]), "%s",
                       linkd_vision_describe(vision)->fingerprint);
        assert_int_equal(strlen(prints[i]), 32);
        linkd_vision_close(vision);
    }
    assert_string_not_equal(prints[0], prints[1]);
    assert_string_not_equal(prints[0], prints[2]);
    assert_string_not_equal(prints[1], prints[2]);
}

static void other_kinds_of_models_are_refused(void **state)
{
    static const char *const dirs[] = {GOLDEN "vision/swin-padded",
                                       GOLDEN "vision/cct", GOLDEN "clip"};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        linkd_vision *vision = vision_new(dirs[i], "f32", 0);
        linkd_error err;
        char message[96];

        assert_int_equal(linkd_vision_merge_tokens(vision, 1, &err),
                         LINKD_E_ARG);
        (void)snprintf(message, sizeof(message),
                       "tokens of a %s model cannot be merged, only of vit and "
                       "dinov2",
                       linkd_vision_describe(vision)->architecture);
        assert_string_equal(err.message, message);
        linkd_vision_close(vision);
    }
}

static void memory_that_runs_out_is_reported(void **state)
{
    (void)state;
    for (size_t n = 1;; n++) {
        linkd_vision *vision = NULL;
        int rc;

        alloc_fail_at(n);
        rc = linkd_vision_open(MERGED, "f32", 1, &vision, NULL);
        if (rc == LINKD_OK)
            rc = linkd_vision_merge_tokens(vision, N_MERGED, NULL);
        linkd_vision_close(vision);
        if (!alloc_fail_off()) {
            assert_int_equal(rc, LINKD_OK);
            break;
        }
        assert_int_equal(rc, LINKD_E_NOMEM);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_merge_into_the_most_alike),
        cmocka_unit_test(merged_rows_are_means_weighted_by_size),
        cmocka_unit_test(two_equal_rows_become_one_of_size_two),
        cmocka_unit_test(vectors_are_those_of_the_paper),
        cmocka_unit_test(merging_nothing_changes_no_bit),
        cmocka_unit_test(every_tier_gives_the_same_bits),
        cmocka_unit_test(more_than_there_is_may_be_merged),
        cmocka_unit_test(vectors_of_another_number_have_another_fingerprint),
        cmocka_unit_test(other_kinds_of_models_are_refused),
        cmocka_unit_test(memory_that_runs_out_is_reported),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
