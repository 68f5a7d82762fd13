/* What is folded while a checkpoint is loaded changes nothing beyond rounding. A
 * tiny checkpoint of random numbers, one tensor of which is made so large that
 * what it does cannot be missed, goes through the kernels and through the model's
 * definition, in double precision and with nothing folded. Both are off by last
 * bits; a folding that went wrong is off by tenths. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "encoder/forward.h"
#include "encoder/stack.h"
#include "encoder/vision_pixels.h"

#define DIFFERENCE_MAX 1e-5

enum {
    DIM = 12, /* no multiple of a vector */
    HEADS = 2,
    HEAD_DIM = DIM / HEADS,
    INNER = 10,
    TOKENS = 9,
    BUCKETS = 8,
    SIDE = 2, /* of a patch */
    PATCH = 3 * SIDE * SIDE,
    NUMBERS_MAX = DIM * DIM,
};

/* ---- a checkpoint ------------------------------------------------------- */

#define LAYER     "encoder.layer.0."
#define QUERY     LAYER "attention.self.query"
#define KEY       LAYER "attention.self.key"
#define VALUE     LAYER "attention.self.value"
#define ATTENTION LAYER "attention.output.dense"
#define NORM_1    LAYER "attention.output.LayerNorm"
#define FFN_IN    LAYER "intermediate.dense"
#define FFN_OUT   LAYER "output.dense"
#define NORM_2    LAYER "output.LayerNorm"
#define SCALE_1   LAYER "scale1"
#define SCALE_2   LAYER "scale2"
#define WORDS     "embeddings.word_embeddings"
#define POSITIONS "embeddings.position_embeddings"
#define TYPES     "embeddings.token_type_embeddings"
#define NORM_0    "embeddings.LayerNorm"
#define DISTANCES "encoder.relative_attention_bias"
#define PATCHES   "patches"

#define WEIGHT ".weight"
#define BIAS   ".bias"

static const struct shape {
    const char *name;
    size_t n_rows, n_columns; /* 0: a vector */
    float middle;
} shapes[] = {
    {WORDS WEIGHT, TOKENS, DIM, 0}, {POSITIONS WEIGHT, TOKENS, DIM, 0},
    {TYPES WEIGHT, 2, DIM, 0},      {NORM_0 WEIGHT, DIM, 0, 1},
    {NORM_0 BIAS, DIM, 0, 0},       {QUERY WEIGHT, DIM, DIM, 0},
    {QUERY BIAS, DIM, 0, 0},        {KEY WEIGHT, DIM, DIM, 0},
    {KEY BIAS, DIM, 0, 0},          {VALUE WEIGHT, DIM, DIM, 0},
    {VALUE BIAS, DIM, 0, 0},        {ATTENTION WEIGHT, DIM, DIM, 0},
    {ATTENTION BIAS, DIM, 0, 0},    {NORM_1 WEIGHT, DIM, 0, 1},
    {NORM_1 BIAS, DIM, 0, 0},       {FFN_IN WEIGHT, INNER, DIM, 0},
    {FFN_IN BIAS, INNER, 0, 0},     {FFN_OUT WEIGHT, DIM, INNER, 0},
    {FFN_OUT BIAS, DIM, 0, 0},      {NORM_2 WEIGHT, DIM, 0, 1},
    {NORM_2 BIAS, DIM, 0, 0},       {SCALE_1, DIM, 0, 0},
    {SCALE_2, DIM, 0, 0},           {DISTANCES WEIGHT, BUCKETS, HEADS, 0},
    {PATCHES BIAS, DIM, 0, 0},      {PATCHES WEIGHT, DIM, PATCH, 0},
};

enum { N_TENSORS = sizeof(shapes) / sizeof(*shapes) };

typedef struct checkpoint {
    float values[N_TENSORS][NUMBERS_MAX];
    lk_weights weights;
    const lk_kernels *kernels;
} checkpoint;

static uint32_t seed;

static float next_number(void)
{
    seed = seed * 1664525U + 1013904223U;
    return (float)(seed >> 8) * 0x1p-23F - 1.0F;
}

static size_t numbers(size_t i)
{
    return shapes[i].n_rows *
           (shapes[i].n_columns > 0 ? shapes[i].n_columns : 1);
}

/* Their file is as long as its mapping lives. */
static void weights_map(checkpoint *c)
{
    char dir[] = "/tmp/linkd-foldings-XXXXXX";
    char path[64];
    lk_buf text = {0};
    size_t offset = 0;
    uint8_t length[8] = {0};
    FILE *file;

    for (size_t i = 0; i < N_TENSORS; i++) {
        const struct shape *s = &shapes[i];
        const size_t n_bytes = numbers(i) * sizeof(float);

        assert_int_equal(
            lk_buf_printf(&text, NULL,
                          "%s\"%s\":{\"dtype\":\"F32\",\"shape\":[%zu%s%.0zu],"
                          "\"data_offsets\":[%zu,%zu]}",
                          i == 0 ? "{" : ",", s->name, s->n_rows,
                          s->n_columns > 0 ? "," : "", s->n_columns, offset,
                          offset + n_bytes),
            LINKD_OK);
        offset += n_bytes;
    }
    assert_int_equal(lk_buf_append(&text, "}", 1, NULL), LINKD_OK);
    length[0] = (uint8_t)text.len;
    length[1] = (uint8_t)(text.len >> 8);
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof(path), "%s/model.safetensors", dir);
    file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(length, 1, 8, file), 8);
    assert_int_equal(fwrite(text.data, 1, text.len, file), text.len);
    for (size_t i = 0; i < N_TENSORS; i++)
        assert_int_equal(fwrite(c->values[i], sizeof(float), numbers(i), file),
                         numbers(i));
    assert_int_equal(fclose(file), 0);
    assert_int_equal(lk_weights_open(dir, &c->weights, NULL), LINKD_OK);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(dir), 0);
    lk_buf_clear(&text);
}

/* One tensor is `factor` times as large as the others. */
static checkpoint *checkpoint_new(const char *large, float factor)
{
    checkpoint *c = calloc(1, sizeof(*c));

    assert_non_null(c);
    seed = 20261129;
    for (size_t i = 0; i < N_TENSORS; i++)
        for (size_t k = 0; k < numbers(i); k++) {
            const float value = shapes[i].middle + 0.4F * next_number();

            c->values[i][k] =
                strcmp(shapes[i].name, large) == 0 ? factor * value : value;
        }
    weights_map(c);
    assert_int_equal(lk_kernels_choose(NULL, "f32", &c->kernels, NULL),
                     LINKD_OK);
    return c;
}

static void checkpoint_free(checkpoint *c)
{
    lk_weights_close(&c->weights);
    free(c);
}

/* ---- the definition ----------------------------------------------------- */

static const float *values_of(const checkpoint *c, const char *name,
                              const char *kind)
{
    char path[80];

    (void)snprintf(path, sizeof(path), "%s%s", name, kind);
    for (size_t i = 0; i < N_TENSORS; i++)
        if (strcmp(shapes[i].name, path) == 0)
            return c->values[i];
    fail_msg("no tensor %s", path);
    return NULL;
}

static void norm(const checkpoint *c, const char *name, const double *row,
                 double *ret_row)
{
    const float *gamma = values_of(c, name, WEIGHT);
    const float *beta = values_of(c, name, BIAS);
    double mean = 0.0, variance = 0.0;

    for (size_t k = 0; k < DIM; k++)
        mean += row[k] / DIM;
    for (size_t k = 0; k < DIM; k++)
        variance += (row[k] - mean) * (row[k] - mean) / DIM;
    for (size_t k = 0; k < DIM; k++)
        ret_row[k] =
            (row[k] - mean) / sqrt(variance + 1e-5) * (double)gamma[k] +
            (double)beta[k];
}

static void dense(const checkpoint *c, const char *name, const double *row,
                  size_t n_in, size_t n_out, double *ret_row)
{
    const float *weights = values_of(c, name, WEIGHT);
    const float *bias = values_of(c, name, BIAS);

    for (size_t j = 0; j < n_out; j++) {
        ret_row[j] = (double)bias[j];
        for (size_t k = 0; k < n_in; k++)
            ret_row[j] += (double)weights[j * n_in + k] * row[k];
    }
}

/* MPNet's bucket of the key that many places after the query. */
static size_t bucket_of(long distance)
{
    const size_t half = BUCKETS / 2, n_exact = half / 2;
    const size_t far = (size_t)labs(distance);
    const double ratio =
        log((double)far / (double)n_exact) / log(128.0 / (double)n_exact);
    const size_t bucket =
        far < n_exact ? far
                      : n_exact + (size_t)(ratio * (double)(half - n_exact));

    return (distance > 0 ? half : 0) + (bucket < half ? bucket : half - 1);
}

typedef double rows[TOKENS][DIM];

static double score_of(const checkpoint *c, rows query, rows key, size_t i,
                       size_t j, size_t head, bool has_distances)
{
    const size_t bucket = bucket_of((long)j - (long)i);
    double score = 0.0;

    for (size_t k = head * HEAD_DIM; k < (head + 1) * HEAD_DIM; k++)
        score += query[i][k] * key[j][k];
    score /= sqrt((double)HEAD_DIM);
    return has_distances
               ? score + (double)values_of(c, DISTANCES,
                                           WEIGHT)[bucket * HEADS + head]
               : score;
}

static void attention(const checkpoint *c, rows x, bool has_distances,
                      rows ret_rows)
{
    rows query, key, value, context = {{0}};

    for (size_t i = 0; i < TOKENS; i++) {
        dense(c, QUERY, x[i], DIM, DIM, query[i]);
        dense(c, KEY, x[i], DIM, DIM, key[i]);
        dense(c, VALUE, x[i], DIM, DIM, value[i]);
    }
    for (size_t at = 0; at < TOKENS * HEADS; at++) {
        const size_t i = at / HEADS, head = at % HEADS;
        double scores[TOKENS], largest = -INFINITY, total = 0.0;

        for (size_t j = 0; j < TOKENS; j++) {
            scores[j] = score_of(c, query, key, i, j, head, has_distances);
            largest = fmax(largest, scores[j]);
        }
        for (size_t j = 0; j < TOKENS; j++)
            total += scores[j] = exp(scores[j] - largest);
        for (size_t j = 0; j < TOKENS; j++)
            for (size_t k = head * HEAD_DIM; k < (head + 1) * HEAD_DIM; k++)
                context[i][k] += scores[j] / total * value[j][k];
    }
    for (size_t i = 0; i < TOKENS; i++)
        dense(c, ATTENTION, context[i], DIM, DIM, ret_rows[i]);
}

static void feed_forward(const checkpoint *c, const double *row,
                         double *ret_row)
{
    double inner[INNER];

    dense(c, FFN_IN, row, DIM, INNER, inner);
    for (size_t k = 0; k < INNER; k++)
        inner[k] *= 0.5 * (1.0 + erf(inner[k] / sqrt(2.0)));
    dense(c, FFN_OUT, inner, INNER, DIM, ret_row);
}

static void add(const double *addend, double *row)
{
    for (size_t k = 0; k < DIM; k++)
        row[k] += addend[k];
}

/* Norms stand behind the layers, as in BERT; the text is token after token of the
 * vocabulary. */
static void text_define(const checkpoint *c, rows x)
{
    rows answer;

    for (size_t i = 0; i < TOKENS; i++) {
        for (size_t k = 0; k < DIM; k++)
            x[i][k] = (double)values_of(c, WORDS, WEIGHT)[i * DIM + k] +
                      (double)values_of(c, POSITIONS, WEIGHT)[i * DIM + k] +
                      (double)values_of(c, TYPES, WEIGHT)[k];
        norm(c, NORM_0, x[i], x[i]);
    }
    attention(c, x, true, answer);
    for (size_t i = 0; i < TOKENS; i++) {
        add(answer[i], x[i]);
        norm(c, NORM_1, x[i], x[i]);
        feed_forward(c, x[i], answer[i]);
        add(answer[i], x[i]);
        norm(c, NORM_2, x[i], x[i]);
    }
}

/* Norms stand before the layers, and layers' answers are scaled, as in DINOv2. */
static void stack_define(const checkpoint *c, bool restarts, rows x)
{
    rows normed, answer;

    for (size_t i = 0; i < TOKENS; i++)
        norm(c, NORM_1, x[i], normed[i]);
    attention(c, normed, false, answer);
    for (size_t i = 0; i < TOKENS; i++) {
        for (size_t k = 0; k < DIM; k++)
            x[i][k] += (double)values_of(c, SCALE_1, "")[k] * answer[i][k];
        norm(c, NORM_2, x[i], normed[i]);
        feed_forward(c, normed[i], answer[i]);
        for (size_t k = 0; k < DIM; k++)
            x[i][k] = (restarts ? normed[i][k] : x[i][k]) +
                      (double)values_of(c, SCALE_2, "")[k] * answer[i][k];
        norm(c, NORM_0, x[i], x[i]);
    }
}

/* ---- what the kernels make of it ---------------------------------------- */

static const lk_config text_config = {.architecture = LK_BERT,
                                      .dim = DIM,
                                      .n_inner = INNER,
                                      .n_layers = 1,
                                      .n_heads = HEADS,
                                      .vocab_size = TOKENS,
                                      .n_positions = TOKENS,
                                      .n_types = 2,
                                      .n_buckets = BUCKETS,
                                      .norm_epsilon = 1e-5F,
                                      .max_tokens = TOKENS};

static void text_load(const checkpoint *c, lk_model *ret_model)
{
    linkd_error err;

    if (lk_model_load(&c->weights, &text_config, c->kernels, NULL, ret_model,
                      &err) != LINKD_OK)
        fail_msg("%s", err.message);
}

static void text_run(const checkpoint *c, float *ret_vector)
{
    uint32_t ids[TOKENS];
    const lk_tokens tokens = {.ids = ids, .n = TOKENS};
    const size_t starts[] = {0, TOKENS};
    const lk_batch batch = {&tokens, starts, 1};
    lk_scratch scratch = {0};
    lk_model model;

    for (uint32_t i = 0; i < TOKENS; i++)
        ids[i] = i;
    text_load(c, &model);
    assert_int_equal(
        lk_forward(&model, LK_POOLING_MEAN, &batch, &scratch, ret_vector, NULL),
        LINKD_OK);
    lk_scratch_clear(&scratch);
    lk_model_clear(&model);
}

static const lk_stack_names stack_names = {
    .layers = "encoder.layer",
    .query_key_value = {"attention.self.query", "attention.self.key",
                        "attention.self.value"},
    .attention_norm = "attention.output.LayerNorm",
    .attention_out = "attention.output.dense",
    .attention_scale = "scale1",
    .ffn_norm = "output.LayerNorm",
    .ffn_in = "intermediate.dense",
    .ffn_out = "output.dense",
    .ffn_scale = "scale2",
    .final_norm = NORM_0};

/* The layers with the block that they stand on. */
typedef struct layers {
    lk_stack stack;
    lk_block block;
    bool restarts;
} layers;

static int layers_load(lk_packer *packer, void *ctx, linkd_error *err)
{
    layers *l = ctx;
    const lk_stack_sizes sizes = {.dim = DIM,
                                  .n_inner = INNER,
                                  .n_layers = 1,
                                  .n_heads = HEADS,
                                  .norm_epsilon = 1e-5F,
                                  .restarts = l->restarts};

    return lk_stack_load(packer, &sizes, &stack_names, &l->stack, err);
}

static void layers_clear(void *ctx)
{
    layers *l = ctx;

    lk_stack_clear(&l->stack);
}

static void layers_open(const checkpoint *c, bool restarts, layers *ret_layers)
{
    const lk_pack_job job = {layers_load, layers_clear, ret_layers};
    lk_packer packer = {
        .weights = &c->weights, .kernels = c->kernels, .prefix = ""};
    linkd_error err;

    *ret_layers = (layers){.restarts = restarts};
    if (lk_block_make(&packer, &job, &ret_layers->block, &err) != LINKD_OK)
        fail_msg("%s", err.message);
}

static void layers_close(layers *l)
{
    lk_stack_clear(&l->stack);
    lk_block_clear(&l->block);
}

/* The rows of `x` through the layer and the final norm. */
static void stack_run(const checkpoint *c, bool restarts, rows x)
{
    lk_stack_space space;
    layers l;
    float *floats;

    layers_open(c, restarts, &l);
    floats = lk_alloc_aligned(lk_stack_floats(&l.stack, TOKENS, TOKENS, 0),
                              sizeof(*floats));
    assert_non_null(floats);
    space = lk_stack_cut(&l.stack, floats, TOKENS, 0);
    memset(space.x, 0, TOKENS * lk_stride(DIM) * sizeof(float));
    for (size_t i = 0; i < TOKENS * DIM; i++)
        space.x[i / DIM * lk_stride(DIM) + i % DIM] =
            (float)x[i / DIM][i % DIM];
    lk_stack_run_whole(&l.stack, &space, TOKENS);
    for (size_t i = 0; i < TOKENS * DIM; i++)
        x[i / DIM][i % DIM] =
            (double)space.context[i / DIM * lk_stride(DIM) + i % DIM];
    free(floats);
    layers_close(&l);
}

/* ---- the tests ---------------------------------------------------------- */

static void foldings_of_a_text_model_change_nothing(void **state)
{
    static const struct {
        const char *large;
        float factor;
    } foldings[] = {
        {QUERY WEIGHT, 4}, /* 1 / sqrt(head_dim), log2 e; one matrix of three */
        {QUERY BIAS, 20},  /* which these go into, too */
        {KEY BIAS, 20},    /* dropped */
        {VALUE BIAS, 20},  /* in the output's bias */
        {TYPES WEIGHT, 20},     /* added to the positions */
        {DISTANCES WEIGHT, 20}, /* by distance in place of bucket */
    };

    (void)state;
    for (size_t f = 0; f < sizeof(foldings) / sizeof(*foldings); f++) {
        checkpoint *c = checkpoint_new(foldings[f].large, foldings[f].factor);
        float vector[DIM];
        double wanted[DIM] = {0}, squares = 0.0;
        rows x;

        text_define(c, x);
        for (size_t i = 0; i < TOKENS; i++)
            add(x[i], wanted);
        for (size_t k = 0; k < DIM; k++)
            squares += wanted[k] * wanted[k];
        text_run(c, vector);
        for (size_t k = 0; k < DIM; k++)
            if (!(fabs((double)vector[k] - wanted[k] / sqrt(squares)) <=
                  DIFFERENCE_MAX))
                fail_msg("%s: %.9g instead of %.9g", foldings[f].large,
                         (double)vector[k], wanted[k] / sqrt(squares));
        checkpoint_free(c);
    }
}

static void check_stack(const char *large, float factor, bool restarts)
{
    checkpoint *c = checkpoint_new(large, factor);
    rows x, wanted;

    for (size_t i = 0; i < TOKENS * DIM; i++)
        x[i / DIM][i % DIM] = (double)next_number();
    memcpy(wanted, x, sizeof(x));
    stack_define(c, restarts, wanted);
    stack_run(c, restarts, x);
    for (size_t i = 0; i < TOKENS * DIM; i++)
        if (!(fabs(x[i / DIM][i % DIM] - wanted[i / DIM][i % DIM]) <=
              DIFFERENCE_MAX))
            fail_msg("%s: %.9g instead of %.9g", large, x[i / DIM][i % DIM],
                     wanted[i / DIM][i % DIM]);
    checkpoint_free(c);
}

static void foldings_of_an_image_models_layers_change_nothing(void **state)
{
    static const struct {
        const char *large;
        float factor;
    } foldings[] = {
        {QUERY WEIGHT, 4},  {QUERY BIAS, 20},   {KEY BIAS, 20},
        {VALUE BIAS, 20},   {SCALE_1, 20}, /* LayerScale, in the layer before it */
        {SCALE_2, 20},      {NORM_1 WEIGHT, 4}, {NORM_1 BIAS, 20},
        {NORM_2 WEIGHT, 4}, {NORM_2 BIAS, 20},
    };

    (void)state;
    for (size_t f = 0; f < sizeof(foldings) / sizeof(*foldings); f++) {
        check_stack(foldings[f].large, foldings[f].factor, false);
        check_stack(foldings[f].large, foldings[f].factor, true);
    }
}

typedef struct patches {
    lk_pixels pixels;
    lk_block block;
} patches;

static const lk_preparation preparation = {.scales = {0.017F, 0.0175F, 0.0174F},
                                           .shifts = {-2.1F, -2.0F, -1.8F}};

static int patches_load(lk_packer *packer, void *ctx, linkd_error *err)
{
    patches *p = ctx;

    return lk_pixels_load(packer, &preparation, PATCHES, true, SIDE, DIM,
                          &p->pixels, err);
}

static void patches_clear(void *ctx)
{
    (void)ctx;
}

/* What normalising makes of the patch whose first column is x; beyond the
 * picture is 0. */
static void patch_define(const uint8_t *bytes, size_t x, double *ret_values)
{
    for (size_t i = 0; i < PATCH; i++) {
        const size_t colour = i / SIDE / SIDE;
        const size_t down = i / SIDE % SIDE;
        const size_t across = i % SIDE + x;

        ret_values[i] = 0.0;
        if (across < SIDE)
            ret_values[i] = (double)bytes[(down * SIDE + across) * 3 + colour] *
                                (double)preparation.scales[colour] +
                            (double)preparation.shifts[colour];
    }
}

static void
normalising_a_picture_in_its_first_layer_changes_nothing(void **state)
{
    checkpoint *c = checkpoint_new(PATCHES BIAS, 20);
    uint8_t bytes[PATCH];
    const linkd_image image = {.pixels = bytes, .width = SIDE, .height = SIDE};
    patches p = {0};
    const lk_pack_job job = {patches_load, patches_clear, &p};
    lk_packer packer = {
        .weights = &c->weights, .kernels = c->kernels, .prefix = ""};

    (void)state;
    for (size_t i = 0; i < PATCH; i++)
        bytes[i] = (uint8_t)(127.5F * (next_number() + 1.0F));
    assert_int_equal(lk_block_make(&packer, &job, &p.block, NULL), LINKD_OK);
    for (size_t x = 0; x < 2; x++) {
        float row[LK_STRIDE_UNIT], answer[LK_STRIDE_UNIT];
        double values[PATCH], wanted[DIM];

        patch_define(bytes, x, values);
        dense(c, PATCHES, values, PATCH, DIM, wanted);
        lk_pixels_read(&p.pixels, &image, (ptrdiff_t)x, 0, row);
        c->kernels->linear(&p.pixels.linear, row, 1, NULL, answer);
        for (size_t k = 0; k < DIM; k++)
            assert_true(fabs((double)answer[k] - wanted[k]) <= DIFFERENCE_MAX);
    }
    lk_block_clear(&p.block);
    checkpoint_free(c);
}

static void assert_bias_is_of_queries_alone(const lk_linear *projection)
{
    float others = 0.0F;

    assert_int_equal(projection->n_out, 3 * DIM);
    assert_true(projection->bias[0] != 0.0F);
    for (size_t k = DIM; k < 3 * DIM; k++)
        others = fmaxf(others, fabsf(projection->bias[k]));
    assert_true(others == 0.0F);
}

/* The key's adds the same to all scores of a query; the value's is in the
 * output's. */
static void keys_and_values_have_no_bias_of_their_own(void **state)
{
    checkpoint *c = checkpoint_new("", 1);
    lk_model model;
    layers l;

    (void)state;
    text_load(c, &model);
    assert_bias_is_of_queries_alone(&model.layers[0].projection);
    lk_model_clear(&model);
    layers_open(c, false, &l);
    assert_bias_is_of_queries_alone(&l.stack.layers[0].projection);
    layers_close(&l);
    checkpoint_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(foldings_of_a_text_model_change_nothing),
        cmocka_unit_test(foldings_of_an_image_models_layers_change_nothing),
        cmocka_unit_test(
            normalising_a_picture_in_its_first_layer_changes_nothing),
        cmocka_unit_test(keys_and_values_have_no_bias_of_their_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
