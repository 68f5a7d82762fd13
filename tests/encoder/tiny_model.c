/* tests/encoder/tiny_model.c — a BERT directory of random weights. */
#include "tests/encoder/tiny_model.h"

#include <ftw.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { N_TENSORS_MAX = 64 };

typedef struct tensor {
    char name[80];
    size_t n_rows;
    size_t n_columns; /* 0: a vector */
    float *values;
} tensor;

struct tiny_model {
    tiny_options options;
    char dir[64];
    tensor tensors[N_TENSORS_MAX];
    size_t n_tensors;
    uint32_t seed;
};

/* ---- weights ------------------------------------------------------------ */

static size_t tensor_n(const tensor *t)
{
    return t->n_rows * (t->n_columns == 0 ? 1 : t->n_columns);
}

static float random_number(tiny_model *model)
{
    model->seed = model->seed * 1664525U + 1013904223U;
    return (float)(model->seed >> 8) * 0x1p-23F - 1.0F;
}

static uint16_t bf16(float value)
{
    uint32_t bits;

    memcpy(&bits, &value, sizeof(bits));
    return (uint16_t)(bits >> 16);
}

static void tensor_add(tiny_model *model, const char *name, size_t n_rows,
                       size_t n_columns, float offset, float spread)
{
    tensor *t = &model->tensors[model->n_tensors++];
    const char *prefix = model->options.prefix;

    assert_true(model->n_tensors <= N_TENSORS_MAX);
    (void)snprintf(t->name, sizeof(t->name), "%s%s",
                   prefix != NULL ? prefix : "", name);
    t->n_rows = n_rows;
    t->n_columns = n_columns;
    t->values = malloc(tensor_n(t) * sizeof(*t->values));
    assert_non_null(t->values);
    for (size_t i = 0; i < tensor_n(t); i++) {
        float value = offset + spread * random_number(model);

        /* multiples of 1/64 below 4 fit into bf16's 8 significant bits */
        t->values[i] =
            model->options.is_bf16 ? roundf(value * 64.0F) / 64.0F : value;
    }
}

static void dense_add(tiny_model *model, size_t layer, const char *name,
                      size_t n_out, size_t n_in)
{
    char path[80];

    (void)snprintf(path, sizeof(path), "encoder.layer.%zu.%s.weight", layer,
                   name);
    tensor_add(model, path, n_out, n_in, 0.0F, 0.3F);
    (void)snprintf(path, sizeof(path), "encoder.layer.%zu.%s.bias", layer,
                   name);
    tensor_add(model, path, n_out, 0, 0.0F, 0.5F);
}

static void norm_add(tiny_model *model, const char *name)
{
    char path[80];

    (void)snprintf(path, sizeof(path), "%s.weight", name);
    tensor_add(model, path, TINY_DIM, 0, 1.0F, 0.5F);
    (void)snprintf(path, sizeof(path), "%s.bias", name);
    tensor_add(model, path, TINY_DIM, 0, 0.0F, 0.3F);
}

static void tensors_add(tiny_model *model)
{
    tensor_add(model, "embeddings.word_embeddings.weight", TINY_VOCAB, TINY_DIM,
               0.0F, 1.0F);
    tensor_add(model, "embeddings.position_embeddings.weight", TINY_POSITIONS,
               TINY_DIM, 0.0F, 0.5F);
    tensor_add(model, "embeddings.token_type_embeddings.weight", 2, TINY_DIM,
               0.0F, 0.5F);
    norm_add(model, "embeddings.LayerNorm");
    for (size_t i = 0; i < TINY_LAYERS; i++) {
        char path[80];

        dense_add(model, i, "attention.self.query", TINY_DIM, TINY_DIM);
        dense_add(model, i, "attention.self.key", TINY_DIM, TINY_DIM);
        dense_add(model, i, "attention.self.value", TINY_DIM, TINY_DIM);
        dense_add(model, i, "attention.output.dense", TINY_DIM, TINY_DIM);
        (void)snprintf(path, sizeof(path),
                       "encoder.layer.%zu.attention.output.LayerNorm", i);
        norm_add(model, path);
        dense_add(model, i, "intermediate.dense", TINY_INNER, TINY_DIM);
        dense_add(model, i, "output.dense", TINY_DIM, TINY_INNER);
        (void)snprintf(path, sizeof(path), "encoder.layer.%zu.output.LayerNorm",
                       i);
        norm_add(model, path);
    }
}

/* ---- files -------------------------------------------------------------- */

static FILE *file_create(const tiny_model *model, const char *name)
{
    char path[160];
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s/%s", model->dir, name);
    file = fopen(path, "wb");
    assert_non_null(file);
    return file;
}

static void header_write(const tiny_model *model, size_t first, size_t end,
                         FILE *file)
{
    const size_t size = model->options.is_bf16 ? 2 : 4;
    uint8_t length[8] = {0};
    lk_buf text = {0};
    size_t offset = 0;
    int rc = lk_buf_printf(&text, NULL, "{\"__metadata__\":{\"a\":\"b\"}");

    for (size_t i = first; i < end && rc == LINKD_OK; i++) {
        const tensor *t = &model->tensors[i];

        rc = lk_buf_printf(&text, NULL,
                           ",\"%s\":{\"dtype\":\"%s\",\"shape\":[%zu", t->name,
                           size == 2 ? "BF16" : "F32", t->n_rows);
        if (rc == LINKD_OK && t->n_columns > 0)
            rc = lk_buf_printf(&text, NULL, ",%zu", t->n_columns);
        if (rc == LINKD_OK)
            rc = lk_buf_printf(&text, NULL, "],\"data_offsets\":[%zu,%zu]}",
                               offset, offset + tensor_n(t) * size);
        offset += tensor_n(t) * size;
    }
    assert_int_equal(rc, LINKD_OK);
    assert_int_equal(lk_buf_append(&text, "}", 1, NULL), LINKD_OK);
    length[0] = (uint8_t)text.len;
    length[1] = (uint8_t)(text.len >> 8);
    assert_int_equal(fwrite(length, 1, 8, file), 8);
    assert_int_equal(fwrite(text.data, 1, text.len, file), text.len);
    lk_buf_clear(&text);
}

static void safetensors_write(const tiny_model *model, const char *name,
                              size_t first, size_t end)
{
    FILE *file = file_create(model, name);

    header_write(model, first, end, file);
    for (size_t i = first; i < end; i++) {
        const tensor *t = &model->tensors[i];

        for (size_t j = 0; j < tensor_n(t); j++) {
            uint16_t half = bf16(t->values[j]);
            const void *bytes =
                model->options.is_bf16 ? (const void *)&half : &t->values[j];

            assert_int_equal(
                fwrite(bytes, model->options.is_bf16 ? 2 : 4, 1, file), 1);
        }
    }
    assert_int_equal(fclose(file), 0);
}

static void index_write(const tiny_model *model, size_t half)
{
    FILE *file = file_create(model, "model.safetensors.index.json");

    fprintf(file, "{\"metadata\":{},\"weight_map\":{");
    for (size_t i = 0; i < model->n_tensors; i++)
        fprintf(file, "%s\"%s\":\"part-%d.safetensors\"", i == 0 ? "" : ",",
                model->tensors[i].name, i < half ? 1 : 2);
    fprintf(file, "}}");
    assert_int_equal(fclose(file), 0);
}

static void weights_write(const tiny_model *model)
{
    const size_t half = model->n_tensors / 2;

    if (!model->options.is_sharded) {
        safetensors_write(model, "model.safetensors", 0, model->n_tensors);
        return;
    }
    safetensors_write(model, "part-1.safetensors", 0, half);
    safetensors_write(model, "part-2.safetensors", half, model->n_tensors);
    index_write(model, half);
}

void tiny_model_activate(const tiny_model *model, const char *activation)
{
    char text[512];

    (void)snprintf(
        text, sizeof(text),
        "{\"model_type\":\"bert\",\"hidden_act\":\"%s\",\"hidden_size\":%d,"
        "\"intermediate_size\":%d,\"num_hidden_layers\":%d,"
        "\"num_attention_heads\":%d,\"vocab_size\":%d,"
        "\"max_position_embeddings\":%d,\"type_vocab_size\":2,"
        "\"layer_norm_eps\":1e-12}",
        activation, TINY_DIM, TINY_INNER, TINY_LAYERS, TINY_HEADS, TINY_VOCAB,
        TINY_POSITIONS);
    tiny_model_put(model, "config.json", text);
}

static void configs_write(const tiny_model *model)
{
    char text[64];
    char path[96];

    (void)snprintf(path, sizeof(path), "%s/1_Pooling", model->dir);
    assert_int_equal(mkdir(path, 0700), 0);
    tiny_model_activate(model, "gelu");
    tiny_model_put(model, "modules.json",
                   "[{\"path\":\"\",\"type\":\"m.Transformer\"},"
                   "{\"path\":\"1_Pooling\",\"type\":\"m.Pooling\"}]");
    tiny_model_put(model, "1_Pooling/config.json",
                   "{\"pooling_mode_mean_tokens\":true}");
    (void)snprintf(text, sizeof(text), "{\"max_seq_length\":%d}",
                   TINY_MAX_TOKENS);
    tiny_model_put(model, "sentence_bert_config.json", text);
}

static void vocab_write(const tiny_model *model)
{
    FILE *file = file_create(model, "vocab.txt");

    fprintf(file, "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n");
    for (int i = 0; i < TINY_WORDS; i++)
        fprintf(file, "w%d\n", i);
    assert_int_equal(fclose(file), 0);
}

/* ---- the directory ------------------------------------------------------ */

tiny_model *tiny_model_new(const tiny_options *options)
{
    tiny_model *model = calloc(1, sizeof(*model));

    assert_non_null(model);
    if (options != NULL)
        model->options = *options;
    model->seed = 20261124;
    (void)snprintf(model->dir, sizeof(model->dir), "/tmp/linkd-tiny-XXXXXX");
    assert_non_null(mkdtemp(model->dir));
    tensors_add(model);
    model->tensors[0].values[7] += model->options.nan_in_word;
    model->tensors[10].values[7] += model->options.nan_in_word;
    weights_write(model);
    configs_write(model);
    vocab_write(model);
    return model;
}

static int remove_entry(const char *path, const struct stat *status, int type,
                        struct FTW *place)
{
    (void)status;
    (void)type;
    (void)place;
    return remove(path);
}

void tiny_model_free(tiny_model *model)
{
    if (model == NULL)
        return;
    assert_int_equal(nftw(model->dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS),
                     0);
    for (size_t i = 0; i < model->n_tensors; i++)
        free(model->tensors[i].values);
    free(model);
}

const char *tiny_model_dir(const tiny_model *model)
{
    return model->dir;
}

void tiny_model_put(const tiny_model *model, const char *name,
                    const char *content)
{
    char path[160];
    FILE *file;

    if (content == NULL) {
        (void)snprintf(path, sizeof(path), "%s/%s", model->dir, name);
        assert_int_equal(remove(path), 0);
        return;
    }
    file = file_create(model, name);
    fputs(content, file);
    assert_int_equal(fclose(file), 0);
}

void tiny_model_change(tiny_model *model, float factor)
{
    model->tensors[0].values[0] *= factor;
    weights_write(model);
}

void tiny_model_spoil_bytes(tiny_model *model)
{
    for (size_t i = 0; i < model->n_tensors; i++) {
        const tensor *t = &model->tensors[i];

        if (t->n_columns == TINY_INNER)
            for (size_t row = 0; row < t->n_rows; row++)
                t->values[row * t->n_columns] *= 1000.0F;
    }
    weights_write(model);
}

/* ---- the forward pass by definition ------------------------------------- */

LK_PRINTF(2, 3)
static const float *values_of(const tiny_model *model, const char *format, ...)
{
    const char *prefix = model->options.prefix;
    char name[80];
    int len = snprintf(name, sizeof(name), "%s", prefix != NULL ? prefix : "");
    va_list args;

    va_start(args, format);
    (void)vsnprintf(name + len, sizeof(name) - (size_t)len, format, args);
    va_end(args);
    for (size_t i = 0; i < model->n_tensors; i++)
        if (strcmp(model->tensors[i].name, name) == 0)
            return model->tensors[i].values;
    fail_msg("no tensor %s", name);
    return NULL;
}

static void norm(const tiny_model *model, const char *name, double *row)
{
    const float *gamma = values_of(model, "%s.weight", name);
    const float *beta = values_of(model, "%s.bias", name);
    double mean = 0.0;
    double variance = 0.0;

    for (size_t k = 0; k < TINY_DIM; k++)
        mean += row[k] / TINY_DIM;
    for (size_t k = 0; k < TINY_DIM; k++)
        variance += (row[k] - mean) * (row[k] - mean) / TINY_DIM;
    for (size_t k = 0; k < TINY_DIM; k++)
        row[k] = (row[k] - mean) / sqrt(variance + 1e-12) * (double)gamma[k] +
                 (double)beta[k];
}

/* y = W x + b for n rows. */
static void dense(const tiny_model *model, size_t layer, const char *name,
                  const double *x, size_t n, size_t n_in, size_t n_out,
                  double *ret_y)
{
    const float *weights =
        values_of(model, "encoder.layer.%zu.%s.weight", layer, name);
    const float *bias =
        values_of(model, "encoder.layer.%zu.%s.bias", layer, name);

    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n_out; j++) {
            double sum = (double)bias[j];

            for (size_t k = 0; k < n_in; k++)
                sum += x[i * n_in + k] * (double)weights[j * n_in + k];
            ret_y[i * n_out + j] = sum;
        }
}

typedef struct activations {
    double x[TINY_POSITIONS * TINY_DIM];
    double query[TINY_POSITIONS * TINY_DIM];
    double key[TINY_POSITIONS * TINY_DIM];
    double value[TINY_POSITIONS * TINY_DIM];
    double context[TINY_POSITIONS * TINY_DIM];
    double inner[TINY_POSITIONS * TINY_INNER];
    double out[TINY_POSITIONS * TINY_DIM];
} activations;

/* What one query takes from all values, in one head. */
static void attend(activations *a, size_t n, size_t row, size_t first)
{
    const size_t head_dim = TINY_DIM / TINY_HEADS;
    double *context = a->context + row * TINY_DIM + first;
    double total = 0.0;

    memset(context, 0, head_dim * sizeof(*context));
    for (size_t j = 0; j < n; j++) {
        double score = 0.0;

        for (size_t k = first; k < first + head_dim; k++)
            score += a->query[row * TINY_DIM + k] * a->key[j * TINY_DIM + k];
        score = exp(score / sqrt((double)head_dim));
        total += score;
        for (size_t k = 0; k < head_dim; k++)
            context[k] += score * a->value[j * TINY_DIM + first + k];
    }
    for (size_t k = 0; k < head_dim; k++)
        context[k] /= total;
}

static void add_and_norm(const tiny_model *model, size_t layer,
                         const char *name, activations *a, size_t n)
{
    char path[80];

    (void)snprintf(path, sizeof(path), "encoder.layer.%zu.%s.LayerNorm", layer,
                   name);
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < TINY_DIM; k++)
            a->x[i * TINY_DIM + k] += a->out[i * TINY_DIM + k];
        norm(model, path, a->x + i * TINY_DIM);
    }
}

static void layer_run(const tiny_model *model, size_t l, activations *a,
                      size_t n)
{
    dense(model, l, "attention.self.query", a->x, n, TINY_DIM, TINY_DIM,
          a->query);
    dense(model, l, "attention.self.key", a->x, n, TINY_DIM, TINY_DIM, a->key);
    dense(model, l, "attention.self.value", a->x, n, TINY_DIM, TINY_DIM,
          a->value);
    for (size_t i = 0; i < n; i++)
        for (size_t head = 0; head < TINY_HEADS; head++)
            attend(a, n, i, head * (TINY_DIM / TINY_HEADS));
    dense(model, l, "attention.output.dense", a->context, n, TINY_DIM, TINY_DIM,
          a->out);
    add_and_norm(model, l, "attention.output", a, n);
    dense(model, l, "intermediate.dense", a->x, n, TINY_DIM, TINY_INNER,
          a->inner);
    for (size_t i = 0; i < n * TINY_INNER; i++)
        a->inner[i] *= 0.5 * (1.0 + erf(a->inner[i] / sqrt(2.0)));
    dense(model, l, "output.dense", a->inner, n, TINY_INNER, TINY_DIM, a->out);
    add_and_norm(model, l, "output", a, n);
}

static void pool(const double *x, size_t n, double *ret_vector)
{
    double squares = 0.0;

    for (size_t k = 0; k < TINY_DIM; k++) {
        ret_vector[k] = 0.0;
        for (size_t i = 0; i < n; i++)
            ret_vector[k] += x[i * TINY_DIM + k];
        squares += ret_vector[k] * ret_vector[k];
    }
    for (size_t k = 0; k < TINY_DIM; k++)
        ret_vector[k] /= sqrt(squares);
}

void tiny_model_reference(const tiny_model *model, const uint32_t *ids,
                          size_t n, int is_cls, double *ret_vector)
{
    const float *words = values_of(model, "embeddings.word_embeddings.weight");
    const float *positions =
        values_of(model, "embeddings.position_embeddings.weight");
    const float *types =
        values_of(model, "embeddings.token_type_embeddings.weight");
    activations *a = calloc(1, sizeof(*a));

    assert_non_null(a);
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < TINY_DIM; k++)
            a->x[i * TINY_DIM + k] = (double)words[ids[i] * TINY_DIM + k] +
                                     (double)positions[i * TINY_DIM + k] +
                                     (double)types[k];
        norm(model, "embeddings.LayerNorm", a->x + i * TINY_DIM);
    }
    for (size_t l = 0; l < TINY_LAYERS; l++)
        layer_run(model, l, a, n);
    pool(a->x, is_cls ? 1 : n, ret_vector);
    free(a);
}
