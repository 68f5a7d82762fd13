/* How int8 learns of outliers: what a pass in f32 notes of a model's inputs, and
 * what packing makes of it. A tiny model of random weights. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "encoder/forward.h"
#include "encoder/self_check.h"
#include "tests/encoder/tiny_model.h"

enum { N_RANGES = TINY_LAYERS * 2, STRIDE = 64, N_ROWS = 20, OUTLIER = 3 };

typedef struct fixture {
    tiny_model *files;
    lk_config config;
    lk_weights weights;
    lk_tokenizer *tokenizer;
    float ranges[N_RANGES * STRIDE];
} fixture;

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof(*f));
    const tiny_options options = {0};

    assert_non_null(f);
    f->files = tiny_model_new(&options);
    assert_int_equal(lk_config_read(tiny_model_dir(f->files), &f->config, NULL),
                     LINKD_OK);
    assert_int_equal(
        lk_weights_open(tiny_model_dir(f->files), &f->weights, NULL), LINKD_OK);
    assert_int_equal(
        lk_tokenizer_open(tiny_model_dir(f->files), &f->tokenizer, NULL),
        LINKD_OK);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;

    lk_tokenizer_close(f->tokenizer);
    lk_weights_close(&f->weights);
    tiny_model_free(f->files);
    free(f);
    return 0;
}

static const lk_kernels *kernels_of(const char *precision)
{
    const lk_kernels *kernels = NULL;

    assert_int_equal(lk_kernels_choose("scalar", precision, &kernels, NULL),
                     LINKD_OK);
    return kernels;
}

static lk_model loaded(const fixture *f, const char *precision,
                       const float *ranges)
{
    lk_model model = {0};

    assert_int_equal(lk_model_load(&f->weights, &f->config,
                                   kernels_of(precision), ranges, &model, NULL),
                     LINKD_OK);
    return model;
}

/* The vector of a text of three words. */
static void forward(const lk_model *model, float *ret_vector)
{
    uint32_t ids[] = {TINY_CLS, TINY_FIRST_WORD, TINY_FIRST_WORD + 7,
                      TINY_FIRST_WORD + 2, TINY_SEP};
    const lk_tokens tokens = {.ids = ids, .n = 5};
    const size_t starts[] = {0, 5};
    const lk_batch batch = {.sequences = &tokens, .starts = starts, .n = 1};
    lk_scratch scratch = {0};

    assert_int_equal(
        lk_forward(model, LK_POOLING_MEAN, &batch, &scratch, ret_vector, NULL),
        LINKD_OK);
    lk_scratch_clear(&scratch);
}

static void a_pass_notes_how_large_every_input_gets(void **state)
{
    fixture *f = *state;
    lk_model model = loaded(f, "f32", NULL);
    float before[TINY_DIM], after[TINY_DIM];

    forward(&model, before);
    model.ranges = f->ranges;
    forward(&model, after);
    assert_memory_equal(before, after, sizeof(before));
    for (size_t i = 0; i < N_RANGES; i++)
        for (size_t k = 0; k < STRIDE; k++) {
            const float range = f->ranges[i * STRIDE + k];

            assert_true(k < TINY_DIM ? range > 0.01F : range == 0.0F);
        }
    lk_model_clear(&model);
}

/* y = W x + b for rows whose third input is a hundred times the others. */
static void outliers_multiply(const lk_model *model, float *ret_y)
{
    const lk_linear *linear = &model->layers[0].projection;
    const lk_kernels *kernels = model->kernels;
    float *x = lk_alloc_aligned((size_t)N_ROWS * STRIDE, sizeof(*x));
    float *scratch = lk_alloc_aligned(
        lk_linear_scratch(kernels, TINY_DIM, N_ROWS) + 1, sizeof(*scratch));

    assert_true(x != NULL && scratch != NULL);
    for (size_t i = 0; i < (size_t)N_ROWS * STRIDE; i++)
        x[i] = (float)(i * 2654435761U % 1000) * 0.002F - 1.0F;
    for (size_t i = 0; i < N_ROWS; i++)
        x[i * STRIDE + OUTLIER] *= 100.0F;
    kernels->linear(linear, x, N_ROWS, scratch, ret_y);
    free(scratch);
    free(x);
}

/* The root of the mean square of what int8 is off. */
static double error_of_int8(const fixture *f, const float *ranges)
{
    const size_t n = N_ROWS * lk_stride((size_t)3 * TINY_DIM);
    float *exact = lk_alloc_aligned(n, sizeof(*exact));
    float *bytes = lk_alloc_aligned(n, sizeof(*bytes));
    lk_model f32 = loaded(f, "f32", NULL);
    lk_model int8 = loaded(f, "int8", ranges);
    double sum = 0.0;

    assert_true(exact != NULL && bytes != NULL);
    outliers_multiply(&f32, exact);
    outliers_multiply(&int8, bytes);
    for (size_t i = 0; i < n; i++)
        sum += pow((double)exact[i] - (double)bytes[i], 2.0);
    lk_model_clear(&f32);
    lk_model_clear(&int8);
    free(exact);
    free(bytes);
    return sqrt(sum / (double)n);
}

static void int8_bears_outliers_that_it_knows_of(void **state)
{
    fixture *f = *state;
    double unknown, known;

    for (size_t i = 0; i < (size_t)N_RANGES * STRIDE; i++)
        f->ranges[i] = i % STRIDE == OUTLIER ? 100.0F : 1.0F;
    unknown = error_of_int8(f, NULL);
    known = error_of_int8(f, f->ranges);
    assert_true(known > 0.0);
    assert_true(known < 0.7 * unknown);
}

static void ranges_of_zeros_give_a_model_that_works(void **state)
{
    fixture *f = *state;

    assert_true(isfinite(error_of_int8(f, f->ranges)));
}

static void int8_takes_its_scales_from_a_pass_in_f32(void **state)
{
    fixture *f = *state;
    lk_model blind = loaded(f, "int8", NULL);
    lk_model model = {0};
    size_t n_scaled = 0;

    assert_int_equal(lk_checked_load(&f->weights, &f->config,
                                     kernels_of("int8"), f->tokenizer, &model,
                                     NULL),
                     LINKD_OK);
    for (size_t i = 0; i < TINY_LAYERS; i++)
        for (size_t k = 0; k < TINY_DIM; k++) {
            const lk_layer *layer = &model.layers[i];

            assert_true(blind.layers[i].projection.input_scales[k] == 1.0F);
            assert_true(blind.layers[i].ffn_in.input_scales[k] == 1.0F);
            n_scaled += layer->projection.input_scales[k] != 1.0F;
            n_scaled += layer->ffn_in.input_scales[k] != 1.0F;
        }
    assert_int_equal(n_scaled, 2 * TINY_LAYERS * TINY_DIM);
    lk_model_clear(&blind);
    lk_model_clear(&model);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_pass_notes_how_large_every_input_gets),
        TEST(int8_bears_outliers_that_it_knows_of),
        TEST(ranges_of_zeros_give_a_model_that_works),
        TEST(int8_takes_its_scales_from_a_pass_in_f32),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
