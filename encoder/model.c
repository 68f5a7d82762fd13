/* encoder/model.c — a checkpoint of the BERT family, packed for the kernels.
 *
 * All packed numbers lie in one block, in the order in which a forward pass
 * reads them, so that they are one allocation and may sit on huge pages:
 *
 *   distances │ positions │ norm │ layer 0: projection, out, norm, in, out, norm │ layer 1 …
 *
 * Loading folds what can be folded without changing the result beyond rounding
 * (research: encoder.md §2.2):
 *   - query, key and value become one matrix;
 *   - log2(e) / sqrt(head_dim) goes into the query, so softmax is 2^x;
 *   - the key's bias goes away: it adds the same to all scores of a query;
 *   - the value's bias moves through the output matrix into its bias, since a
 *     softmax row sums to 1;
 *   - the type embedding of a single segment is added to the positions;
 *   - what MPNet adds by the distance of two tokens is looked up by distance, no
 *     longer by bucket.
 *
 * The word table stays in the mapped file, where a text touches the few rows
 * that it needs. */
#include "encoder/model.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "encoder/file.h"

#define LOG2_E 1.44269504088896340736

/* Keys further off than this share MPNet's last bucket. */
#define FAR_DISTANCE 128.0

/* Parts of the block begin on cache lines. */
#define LINE_FLOATS ((size_t)16)

/* What an architecture calls its tensors: `prefix` where the checkpoint has a
 * head, then `layers`, a layer's number and one of the rest. */
typedef struct layout {
    const char *prefix;
    const char *layers;
    const char *query_key_value[3];
    const char *attention_out, *attention_norm;
    const char *ffn_in, *ffn_out, *ffn_norm;
} layout;

#define BERT_LAYOUT(prefix, query, key, value)                                 \
 {                                                                             \
  prefix, "encoder.layer", {query, key, value}, "attention.output.dense",      \
      "attention.output.LayerNorm", "intermediate.dense", "output.dense",      \
      "output.LayerNorm"                                                       \
 }

static const layout layouts[] = {
    [LK_BERT] = BERT_LAYOUT("bert.", "attention.self.query",
                            "attention.self.key", "attention.self.value"),
    [LK_ROBERTA] = BERT_LAYOUT("roberta.", "attention.self.query",
                               "attention.self.key", "attention.self.value"),
    [LK_DISTILBERT] = {"distilbert.",
                       "transformer.layer",
                       {"attention.q_lin", "attention.k_lin",
                        "attention.v_lin"},
                       "attention.out_lin",
                       "sa_layer_norm",
                       "ffn.lin1",
                       "ffn.lin2",
                       "output_layer_norm"},
    [LK_MPNET] = {"mpnet.",
                  "encoder.layer",
                  {"attention.attn.q", "attention.attn.k", "attention.attn.v"},
                  "attention.attn.o",
                  "attention.LayerNorm",
                  "intermediate.dense",
                  "output.dense",
                  "output.LayerNorm"},
    [LK_STATIC] = {.prefix = ""},
};

/* What loading needs besides the model. */
typedef struct loader {
    const layout *layout;
    const lk_weights *weights;
    const lk_kernels *kernels;
    size_t dim;
    size_t n_inner;
    const char *prefix; /* the layout's, or "" */
    float *next;        /* the unused rest of the block */
    float *end;         /* of the block */
    float *rows;        /* a panel's rows before they are packed */
    float *value_bias;  /* [lk_stride(dim)] of the layer being loaded */
} loader;

/* Tensors [n_rows_each, n_columns] on top of one another; the first is
 * multiplied by a factor. */
typedef struct matrix {
    const lk_tensor *parts[3];
    size_t n_parts;
    size_t n_rows_each;
    size_t n_columns;
    double first_factor;
} matrix;

/* ---- the block ---------------------------------------------------------- */

static size_t linear_floats(const lk_kernels *kernels, size_t n_in,
                            size_t n_out)
{
    size_t n_panels = (n_out + kernels->panel_width - 1) / kernels->panel_width;

    return lk_round_up(n_panels * lk_panel_floats(kernels, n_in), LINE_FLOATS) +
           lk_stride(n_out);
}

/* From one head's distances to the next; the last query needs as many behind
 * its own place as the first one before. */
static size_t distance_stride(const lk_config *config)
{
    return lk_round_up(2 * config->max_tokens, LINE_FLOATS);
}

static size_t distances_floats(const lk_config *config)
{
    return config->n_buckets > 0 ? config->n_heads * distance_stride(config)
                                 : 0;
}

static size_t block_floats(const lk_kernels *kernels, const lk_config *config)
{
    const size_t dim = config->dim;
    const size_t inner = config->n_inner;
    const size_t norm = 2 * lk_stride(dim);
    const size_t layer = linear_floats(kernels, dim, 3 * dim) +
                         linear_floats(kernels, dim, dim) + norm +
                         linear_floats(kernels, dim, inner) +
                         linear_floats(kernels, inner, dim) + norm;

    return distances_floats(config) + config->max_tokens * lk_stride(dim) +
           norm + config->n_layers * layer;
}

/* The next n floats of the block, zeroed. */
static float *block_take(loader *l, size_t n)
{
    float *taken = l->next;

    n = lk_round_up(n, LINE_FLOATS);
    LK_ASSERT(taken != NULL && n <= (size_t)(l->end - taken));
    l->next += n;
    memset(taken, 0, n * sizeof(*taken));
    return taken;
}

/* ---- tensors ------------------------------------------------------------ */

/* The tensor `<prefix><format>` of that shape; n_columns 0 is a vector. */
LK_PRINTF(6, 7)
static int tensor_get(const loader *l, size_t n_rows, size_t n_columns,
                      const lk_tensor **ret_tensor, linkd_error *err,
                      const char *format, ...)
{
    char name[128];
    int len = snprintf(name, sizeof(name), "%s", l->prefix);
    va_list args;

    va_start(args, format);
    (void)vsnprintf(name + len, sizeof(name) - (size_t)len, format, args);
    va_end(args);
    return lk_weights_get(l->weights, name, n_rows, n_columns, ret_tensor, err);
}

/* One value that is not finite would spread to every vector. */
static int values_read(const lk_tensor *tensor, size_t first, size_t n,
                       float *ret_values, linkd_error *err)
{
    lk_tensor_read(tensor, first, n, ret_values);
    for (size_t i = 0; i < n; i++)
        if (!isfinite(ret_values[i]))
            return lk_fail(err, LINKD_E_DATA,
                           "tensor \"%s\" holds a value that is not finite",
                           tensor->name);
    return LINKD_OK;
}

/* ---- linear layers ------------------------------------------------------ */

static int rows_read(const matrix *m, size_t first, size_t n, float *ret_rows,
                     linkd_error *err)
{
    for (size_t i = 0; i < n; i++) {
        size_t part = (first + i) / m->n_rows_each;
        size_t row = (first + i) % m->n_rows_each;
        float *out = ret_rows + i * m->n_columns;
        int rc = values_read(m->parts[part], row * m->n_columns, m->n_columns,
                             out, err);

        if (rc != LINKD_OK)
            return rc;
        for (size_t k = 0; part == 0 && k < m->n_columns; k++)
            out[k] = (float)((double)out[k] * m->first_factor);
    }
    return LINKD_OK;
}

/* Packs panel by panel, and gives the tensors' memory back. The bias is left
 * zero. */
static int matrix_pack(loader *l, const matrix *m, lk_linear *ret_linear,
                       float **ret_bias, linkd_error *err)
{
    const size_t width = l->kernels->panel_width;
    const size_t n_rows = m->n_parts * m->n_rows_each;
    const size_t panel_floats = lk_panel_floats(l->kernels, m->n_columns);
    float *panels = block_take(l, (n_rows + width - 1) / width * panel_floats);

    for (size_t first = 0; first < n_rows; first += width) {
        size_t n = n_rows - first < width ? n_rows - first : width;
        int rc = rows_read(m, first, n, l->rows, err);

        if (rc != LINKD_OK)
            return rc;
        memset(l->rows + n * m->n_columns, 0,
               (width - n) * m->n_columns * sizeof(*l->rows));
        l->kernels->pack(l->rows, m->n_columns,
                         panels + first / width * panel_floats);
    }
    for (size_t i = 0; i < m->n_parts; i++)
        lk_file_release(m->parts[i]->data, m->parts[i]->n_bytes);
    *ret_bias = block_take(l, lk_stride(n_rows));
    *ret_linear = (lk_linear){.n_in = m->n_columns,
                              .n_out = n_rows,
                              .panels = panels,
                              .bias = *ret_bias};
    return LINKD_OK;
}

static int dense_load(loader *l, size_t layer, const char *name, size_t n_in,
                      size_t n_out, lk_linear *ret_linear, float **ret_bias,
                      linkd_error *err)
{
    matrix m = {.n_parts = 1,
                .n_rows_each = n_out,
                .n_columns = n_in,
                .first_factor = 1.0};
    const lk_tensor *bias = NULL;
    int rc = tensor_get(l, n_out, n_in, &m.parts[0], err, "%s.%zu.%s.weight",
                        l->layout->layers, layer, name);

    if (rc == LINKD_OK)
        rc = tensor_get(l, n_out, 0, &bias, err, "%s.%zu.%s.bias",
                        l->layout->layers, layer, name);
    if (rc == LINKD_OK)
        rc = matrix_pack(l, &m, ret_linear, ret_bias, err);
    if (rc == LINKD_OK)
        rc = values_read(bias, 0, n_out, *ret_bias, err);
    return rc;
}

/* Query, key and value in one. Of the biases only the query's is left in
 * place; the value's is kept for output_load(). */
static int projection_load(loader *l, size_t layer, size_t head_dim,
                           lk_linear *ret_linear, linkd_error *err)
{
    const char *const *names = l->layout->query_key_value;
    const double factor = LOG2_E / sqrt((double)head_dim);
    matrix m = {.n_parts = 3,
                .n_rows_each = l->dim,
                .n_columns = l->dim,
                .first_factor = factor};
    const lk_tensor *biases[3] = {NULL};
    float *bias = NULL;
    int rc = LINKD_OK;

    for (size_t i = 0; i < 3 && rc == LINKD_OK; i++) {
        rc = tensor_get(l, l->dim, l->dim, &m.parts[i], err, "%s.%zu.%s.weight",
                        l->layout->layers, layer, names[i]);
        if (rc == LINKD_OK)
            rc = tensor_get(l, l->dim, 0, &biases[i], err, "%s.%zu.%s.bias",
                            l->layout->layers, layer, names[i]);
    }
    if (rc == LINKD_OK)
        rc = matrix_pack(l, &m, ret_linear, &bias, err);
    if (rc == LINKD_OK)
        rc = values_read(biases[0], 0, l->dim, bias, err);
    if (rc == LINKD_OK)
        rc = values_read(biases[2], 0, l->dim, l->value_bias, err);
    for (size_t i = 0; i < l->dim && rc == LINKD_OK; i++)
        bias[i] = (float)((double)bias[i] * factor);
    return rc;
}

/* Adds to the bias what the layer makes of the value's bias. */
static int bias_fold(loader *l, const lk_tensor *weights, float *bias,
                     linkd_error *err)
{
    for (size_t i = 0; i < l->dim; i++) {
        double sum = (double)bias[i];
        int rc = values_read(weights, i * l->dim, l->dim, l->rows, err);

        if (rc != LINKD_OK)
            return rc;
        for (size_t k = 0; k < l->dim; k++)
            sum += (double)l->rows[k] * (double)l->value_bias[k];
        bias[i] = (float)sum;
    }
    return LINKD_OK;
}

static int output_load(loader *l, size_t layer, lk_linear *ret_linear,
                       linkd_error *err)
{
    const char *name = l->layout->attention_out;
    const lk_tensor *weights = NULL;
    float *bias = NULL;
    int rc = tensor_get(l, l->dim, l->dim, &weights, err, "%s.%zu.%s.weight",
                        l->layout->layers, layer, name);

    if (rc == LINKD_OK)
        rc = dense_load(l, layer, name, l->dim, l->dim, ret_linear, &bias, err);
    if (rc == LINKD_OK)
        rc = bias_fold(l, weights, bias, err);
    return rc;
}

/* ---- the other parts ---------------------------------------------------- */

/* `name` is the norm's tensors' name without ".weight" and ".bias". */
static int norm_load(loader *l, const char *name, float epsilon,
                     lk_norm *ret_norm, linkd_error *err)
{
    const lk_tensor *gamma = NULL;
    const lk_tensor *beta = NULL;
    float *values = block_take(l, 2 * lk_stride(l->dim));
    int rc = tensor_get(l, l->dim, 0, &gamma, err, "%s.weight", name);

    if (rc == LINKD_OK)
        rc = tensor_get(l, l->dim, 0, &beta, err, "%s.bias", name);
    if (rc == LINKD_OK)
        rc = values_read(gamma, 0, l->dim, values, err);
    if (rc == LINKD_OK)
        rc = values_read(beta, 0, l->dim, values + lk_stride(l->dim), err);
    *ret_norm = (lk_norm){.width = l->dim,
                          .epsilon = epsilon,
                          .gamma = values,
                          .beta = values + lk_stride(l->dim)};
    return rc;
}

static int layer_norm_load(loader *l, size_t layer, const char *name,
                           float epsilon, lk_norm *ret_norm, linkd_error *err)
{
    char path[64];

    (void)snprintf(path, sizeof(path), "%s.%zu.%s", l->layout->layers, layer,
                   name);
    return norm_load(l, path, epsilon, ret_norm, err);
}

static int layer_load(loader *l, size_t i, const lk_config *config,
                      size_t head_dim, lk_layer *layer, linkd_error *err)
{
    float *bias;
    int rc = projection_load(l, i, head_dim, &layer->projection, err);

    if (rc == LINKD_OK)
        rc = output_load(l, i, &layer->attention_out, err);
    if (rc == LINKD_OK)
        rc = layer_norm_load(l, i, l->layout->attention_norm,
                             config->norm_epsilon, &layer->attention_norm, err);
    if (rc == LINKD_OK)
        rc = dense_load(l, i, l->layout->ffn_in, l->dim, l->n_inner,
                        &layer->ffn_in, &bias, err);
    if (rc == LINKD_OK)
        rc = dense_load(l, i, l->layout->ffn_out, l->n_inner, l->dim,
                        &layer->ffn_out, &bias, err);
    if (rc == LINKD_OK)
        rc = layer_norm_load(l, i, l->layout->ffn_norm, config->norm_epsilon,
                             &layer->ffn_norm, err);
    return rc;
}

/* Position plus type 0: linkd's texts have one segment. */
static int positions_load(loader *l, const lk_config *config,
                          const float **ret_positions, linkd_error *err)
{
    const lk_tensor *positions = NULL;
    const lk_tensor *types = NULL;
    float *rows = block_take(l, config->max_tokens * lk_stride(l->dim));
    int rc = tensor_get(l, config->n_positions, l->dim, &positions, err,
                        "embeddings.position_embeddings.weight");

    memset(l->rows, 0, l->dim * sizeof(*l->rows));
    if (rc == LINKD_OK && config->n_types > 0)
        rc = tensor_get(l, config->n_types, l->dim, &types, err,
                        "embeddings.token_type_embeddings.weight");
    if (rc == LINKD_OK && types != NULL)
        rc = values_read(types, 0, l->dim, l->rows, err);
    for (size_t i = 0; i < config->max_tokens && rc == LINKD_OK; i++) {
        float *row = rows + i * lk_stride(l->dim);

        rc = values_read(positions, (config->first_position + i) * l->dim,
                         l->dim, row, err);
        for (size_t k = 0; k < l->dim; k++)
            row[k] += l->rows[k];
    }
    *ret_positions = rows;
    return rc;
}

/* MPNet's bucket of a distance: one each for the near ones, the others by
 * their logarithm, keys behind the query in the upper half. In float, as the
 * reference: at the buckets' borders every bit counts. */
static size_t bucket_of(size_t n_buckets, long distance)
{
    const size_t half = n_buckets / 2, n_exact = half / 2;
    const size_t first = distance > 0 ? half : 0;
    const size_t far = (size_t)labs(distance);
    const float ratio = logf((float)far / (float)n_exact) /
                        (float)log(FAR_DISTANCE / (double)n_exact);
    size_t bucket;

    if (far < n_exact)
        return first + far;
    bucket = n_exact + (size_t)(ratio * (float)(half - n_exact));
    return first + (bucket < half ? bucket : half - 1);
}

/* The values of the distances' buckets, for softmax as a power of two. */
static int distances_load(loader *l, const lk_config *config, lk_heads *heads,
                          linkd_error *err)
{
    const size_t stride = distance_stride(config);
    const long most = (long)config->max_tokens - 1;
    const size_t n_values = config->n_buckets * config->n_heads;
    const lk_tensor *tensor = NULL;
    float *distances, *values;
    int rc;

    if (config->n_buckets == 0)
        return LINKD_OK;
    rc = tensor_get(l, config->n_buckets, config->n_heads, &tensor, err,
                    "encoder.relative_attention_bias.weight");
    values = malloc(n_values * sizeof(*values));
    if (rc == LINKD_OK && values == NULL)
        rc = lk_fail_nomem(err);
    if (rc == LINKD_OK)
        rc = values_read(tensor, 0, n_values, values, err);
    distances = block_take(l, distances_floats(config));
    for (long d = -most; d <= most && rc == LINKD_OK; d++) {
        const size_t bucket = bucket_of(config->n_buckets, d);

        for (size_t head = 0; head < config->n_heads; head++)
            distances[head * stride + (size_t)(most + d)] =
                (float)(LOG2_E *
                        (double)values[bucket * config->n_heads + head]);
    }
    free(values);
    heads->distances = distances;
    heads->distance_stride = stride;
    heads->n_distances = (size_t)most;
    return rc;
}

static int embeddings_load(loader *l, const lk_config *config, lk_model *model,
                           linkd_error *err)
{
    int rc = tensor_get(l, config->vocab_size, l->dim, &model->words, err,
                        "embeddings.word_embeddings.weight");

    if (rc == LINKD_OK)
        rc = distances_load(l, config, &model->heads, err);
    if (rc == LINKD_OK)
        rc = positions_load(l, config, &model->positions, err);
    if (rc == LINKD_OK)
        rc = norm_load(l, "embeddings.LayerNorm", config->norm_epsilon,
                       &model->embedding_norm, err);
    return rc;
}

/* ---- the model ---------------------------------------------------------- */

/* A forward pass walks over the whole block; on small pages that costs 1 to 2 %
 * (measured 2026-11-24). Advice: without huge pages all works as well. */
static void use_huge_pages(float *block, size_t n)
{
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    const uintptr_t begin = lk_round_up((uintptr_t)block, page);
    const uintptr_t end = (uintptr_t)(block + n) / page * page;

    if (begin < end)
        (void)madvise((void *)begin, end - begin, MADV_HUGEPAGE);
}

static int block_new(const lk_config *config, lk_model *model, loader *l,
                     linkd_error *err)
{
    const size_t n = block_floats(model->kernels, config);
    const size_t widest =
        config->dim > config->n_inner ? config->dim : config->n_inner;
    const size_t n_rows = model->kernels->panel_width * widest;
    const size_t stride = lk_stride(config->dim);

    model->layers = calloc(config->n_layers + 1, sizeof(*model->layers));
    model->block = lk_alloc_aligned(n, sizeof(float));
    l->rows = lk_alloc_aligned(n_rows + stride, sizeof(float));
    if (model->layers == NULL || model->block == NULL || l->rows == NULL)
        return lk_fail_nomem(err);
    model->n_layers = config->n_layers;
    l->value_bias = l->rows + n_rows;
    use_huge_pages(model->block, n);
    l->next = model->block;
    l->end = model->block + n;
    return LINKD_OK;
}

static const char *prefix_of(const lk_weights *weights, const layout *names)
{
    char name[64];

    (void)snprintf(name, sizeof(name), "%sembeddings.word_embeddings.weight",
                   names->prefix);
    return lk_weights_find(weights, name) != NULL ? names->prefix : "";
}

/* model2vec's file: the vectors, and how much each counts. */
static int static_load(const loader *l, const lk_config *config,
                       lk_model *model, linkd_error *err)
{
    int rc = LINKD_OK;

    if (lk_weights_find(l->weights, "mapping") != NULL)
        return lk_fail(err, LINKD_E_DATA,
                       "a static table with a mapping is not supported");
    rc = lk_weights_get(l->weights, "embeddings", config->vocab_size, l->dim,
                        &model->words, err);
    if (rc == LINKD_OK && lk_weights_find(l->weights, "weights") != NULL)
        rc = lk_weights_get(l->weights, "weights", config->vocab_size, 0,
                            &model->word_weights, err);
    return rc;
}

/* Everything into the block. */
static int parts_load(loader *l, const lk_config *config, lk_model *model,
                      linkd_error *err)
{
    int rc;

    if (config->architecture == LK_STATIC)
        return static_load(l, config, model, err);
    rc = embeddings_load(l, config, model, err);
    for (size_t i = 0; i < config->n_layers && rc == LINKD_OK; i++)
        rc = layer_load(l, i, config, model->heads.head_dim, &model->layers[i],
                        err);
    return rc;
}

int lk_model_load(const lk_weights *weights, const lk_config *config,
                  const lk_kernels *kernels, lk_model *ret_model,
                  linkd_error *err)
{
    lk_model model = {.kernels = kernels,
                      .heads = {.n_heads = config->n_heads,
                                .head_dim = config->dim / config->n_heads},
                      .dim = config->dim,
                      .n_inner = config->n_inner,
                      .max_tokens = config->max_tokens};
    loader l = {.weights = weights,
                .kernels = kernels,
                .dim = config->dim,
                .n_inner = config->n_inner,
                .layout = &layouts[config->architecture],
                .prefix = prefix_of(weights, &layouts[config->architecture])};
    int rc = block_new(config, &model, &l, err);

    if (rc != LINKD_OK)
        goto done;
    rc = parts_load(&l, config, &model, err);
    if (rc != LINKD_OK)
        goto done;
    *ret_model = model;
    model = (lk_model){0};
done:
    free(l.rows);
    lk_model_clear(&model);
    return rc;
}

void lk_model_clear(lk_model *model)
{
    free(model->layers);
    free(model->block);
    *model = (lk_model){0};
}
