/* encoder/model_bert.c — checkpoints of the BERT family. Folded while loading,
 * without changing the result beyond rounding (research: encoder.md §2.2):
 *   - query, key and value become one matrix;
 *   - log2(e) / sqrt(head_dim) goes into the query, so softmax is 2^x;
 *   - the key's bias goes away: it adds the same to all scores of a query;
 *   - the value's bias moves through the output matrix into its bias, since a
 *     softmax row sums to 1;
 *   - the type embedding of a single segment is added to the positions;
 *   - what MPNet adds by the distance of two tokens is looked up by distance, no
 *     longer by bucket. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "encoder/model.h"

/* Keys further off than this share MPNet's last bucket. */
#define FAR_DISTANCE 128.0

/* What an architecture calls its tensors: `layers`, a layer's number and one of
 * the rest. */
typedef struct layout {
    const char *layers;
    const char *query_key_value[3];
    const char *attention_out, *attention_norm;
    const char *ffn_in, *ffn_out, *ffn_norm;
} layout;

#define BERT_LAYOUT(query, key, value)                                         \
 {                                                                             \
  "encoder.layer", {query, key, value}, "attention.output.dense",              \
      "attention.output.LayerNorm", "intermediate.dense", "output.dense",      \
      "output.LayerNorm"                                                       \
 }

static const layout layouts[] = {
    [LK_BERT] = BERT_LAYOUT("attention.self.query", "attention.self.key",
                            "attention.self.value"),
    [LK_ROBERTA] = BERT_LAYOUT("attention.self.query", "attention.self.key",
                               "attention.self.value"),
    [LK_DISTILBERT] = {"transformer.layer",
                       {"attention.q_lin", "attention.k_lin",
                        "attention.v_lin"},
                       "attention.out_lin",
                       "sa_layer_norm",
                       "ffn.lin1",
                       "ffn.lin2",
                       "output_layer_norm"},
    [LK_MPNET] = {"encoder.layer",
                  {"attention.attn.q", "attention.attn.k", "attention.attn.v"},
                  "attention.attn.o",
                  "attention.LayerNorm",
                  "intermediate.dense",
                  "output.dense",
                  "output.LayerNorm"},
};

/* From one head's distances to the next; the last query needs as many behind
 * its own place as the first one before. */
static size_t distance_stride(const lk_config *config)
{
    return lk_round_up(2 * config->max_tokens, LK_LINE_FLOATS);
}

/* A checkpoint that is being read. */
typedef struct loader {
    lk_packer *pack;
    const layout *names;
    size_t dim;
    size_t n_inner;
    float *value_bias; /* [dim] of the layer being loaded */
} loader;

/* ---- linear layers ------------------------------------------------------ */

static int dense_load(loader *l, size_t layer, const char *name, lk_matrix m,
                      lk_linear *ret_linear, float **ret_bias, linkd_error *err)
{
    const size_t n_in = m.n_columns, n_out = m.n_rows_each;
    const lk_tensor *bias = NULL;
    int rc = lk_pack_tensor(l->pack, n_out, n_in, &m.parts[0], err,
                            "%s.%zu.%s.weight", l->names->layers, layer, name);

    if (rc == LINKD_OK)
        rc = lk_pack_tensor(l->pack, n_out, 0, &bias, err, "%s.%zu.%s.bias",
                            l->names->layers, layer, name);
    if (rc == LINKD_OK)
        rc = lk_pack_matrix(l->pack, &m, ret_linear, ret_bias, err);
    if (rc == LINKD_OK)
        rc = lk_pack_values(l->pack, bias, 0, n_out, *ret_bias, err);
    return rc;
}

/* Query, key and value in one. Of the biases only the query's is left in
 * place; the value's is kept for output_load(). */
static int projection_load(loader *l, size_t layer, size_t head_dim,
                           lk_linear *ret_linear, linkd_error *err)
{
    const char *const *names = l->names->query_key_value;
    const double factor = LK_LOG2_E / sqrt((double)head_dim);
    lk_matrix m = {
        .n_parts = 3,
        .n_rows_each = l->dim,
        .n_columns = l->dim,
        .n_scaled = l->dim,
        .factor = factor,
        .scales_inputs = true,
        .ranges = lk_pack_ranges(l->pack, l->dim, layer, LK_NOTED_PROJECTION)};
    const lk_tensor *biases[3] = {NULL};
    float *bias = NULL;
    int rc = LINKD_OK;

    for (size_t i = 0; i < 3 && rc == LINKD_OK; i++) {
        rc = lk_pack_tensor(l->pack, l->dim, l->dim, &m.parts[i], err,
                            "%s.%zu.%s.weight", l->names->layers, layer,
                            names[i]);
        if (rc == LINKD_OK)
            rc = lk_pack_tensor(l->pack, l->dim, 0, &biases[i], err,
                                "%s.%zu.%s.bias", l->names->layers, layer,
                                names[i]);
    }
    if (rc == LINKD_OK)
        rc = lk_pack_matrix(l->pack, &m, ret_linear, &bias, err);
    if (rc == LINKD_OK)
        rc = lk_pack_values(l->pack, biases[0], 0, l->dim, bias, err);
    if (rc == LINKD_OK)
        rc = lk_pack_values(l->pack, biases[2], 0, l->dim, l->value_bias, err);
    for (size_t i = 0; i < l->dim && rc == LINKD_OK && !l->pack->is_packed; i++)
        bias[i] = (float)((double)bias[i] * factor);
    return rc;
}

static int output_load(loader *l, size_t layer, lk_linear *ret_linear,
                       linkd_error *err)
{
    const char *name = l->names->attention_out;
    const lk_matrix m = {
        .n_parts = 1, .n_rows_each = l->dim, .n_columns = l->dim};
    const lk_tensor *weights = NULL;
    float *bias = NULL;
    int rc = lk_pack_tensor(l->pack, l->dim, l->dim, &weights, err,
                            "%s.%zu.%s.weight", l->names->layers, layer, name);

    if (rc == LINKD_OK)
        rc = dense_load(l, layer, name, m, ret_linear, &bias, err);
    if (rc == LINKD_OK)
        rc = lk_pack_shift(l->pack, weights, l->dim, l->value_bias, l->dim,
                           bias, err);
    return rc;
}

/* ---- the other parts ---------------------------------------------------- */

static int layer_norm_load(loader *l, size_t layer, const char *name,
                           float epsilon, lk_norm *ret_norm, linkd_error *err)
{
    char path[64];

    (void)snprintf(path, sizeof(path), "%s.%zu.%s", l->names->layers, layer,
                   name);
    return lk_pack_norm(l->pack, path, l->dim, epsilon, ret_norm, err);
}

static int layer_load(loader *l, size_t i, const lk_config *config,
                      size_t head_dim, lk_layer *layer, linkd_error *err)
{
    const lk_matrix in = {
        .n_parts = 1,
        .n_rows_each = l->n_inner,
        .n_columns = l->dim,
        .scales_inputs = true,
        .ranges = lk_pack_ranges(l->pack, l->dim, i, LK_NOTED_FFN_IN)};
    const lk_matrix out = {
        .n_parts = 1, .n_rows_each = l->dim, .n_columns = l->n_inner};
    float *bias;
    int rc = projection_load(l, i, head_dim, &layer->projection, err);

    if (rc == LINKD_OK)
        rc = output_load(l, i, &layer->attention_out, err);
    if (rc == LINKD_OK)
        rc = layer_norm_load(l, i, l->names->attention_norm,
                             config->norm_epsilon, &layer->attention_norm, err);
    if (rc == LINKD_OK)
        rc = dense_load(l, i, l->names->ffn_in, in, &layer->ffn_in, &bias, err);
    if (rc == LINKD_OK)
        rc = dense_load(l, i, l->names->ffn_out, out, &layer->ffn_out, &bias,
                        err);
    if (rc == LINKD_OK)
        rc = layer_norm_load(l, i, l->names->ffn_norm, config->norm_epsilon,
                             &layer->ffn_norm, err);
    return rc;
}

/* Position plus type 0: linkd's texts have one segment. */
static int positions_fill(const loader *l, const lk_config *config,
                          const lk_tensor *positions, const lk_tensor *types,
                          float *rows, linkd_error *err)
{
    float *type = l->pack->rows;
    int rc = LINKD_OK;

    memset(type, 0, l->dim * sizeof(*type));
    if (types != NULL)
        rc = lk_pack_values(l->pack, types, 0, l->dim, type, err);
    for (size_t i = 0; i < config->max_tokens && rc == LINKD_OK; i++) {
        float *row = rows + i * lk_stride(l->dim);

        rc = lk_pack_values(l->pack, positions,
                            (config->first_position + i) * l->dim, l->dim, row,
                            err);
        for (size_t k = 0; k < l->dim; k++)
            row[k] += type[k];
    }
    return rc;
}

static int positions_load(loader *l, const lk_config *config,
                          const float **ret_positions, linkd_error *err)
{
    const lk_tensor *positions = NULL;
    const lk_tensor *types = NULL;
    float *rows = lk_pack_take(l->pack, config->max_tokens * lk_stride(l->dim));
    int rc = lk_pack_tensor(l->pack, config->n_positions, l->dim, &positions,
                            err, "embeddings.position_embeddings.weight");

    if (rc == LINKD_OK && config->n_types > 0)
        rc = lk_pack_tensor(l->pack, config->n_types, l->dim, &types, err,
                            "embeddings.token_type_embeddings.weight");
    if (rc == LINKD_OK && !l->pack->is_packed)
        rc = positions_fill(l, config, positions, types, rows, err);
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
static int distances_fill(const loader *l, const lk_config *config,
                          const lk_tensor *tensor, float *distances,
                          linkd_error *err)
{
    const size_t stride = distance_stride(config);
    const long most = (long)config->max_tokens - 1;
    const size_t n_values = config->n_buckets * config->n_heads;
    float *values = malloc(n_values * sizeof(*values));
    int rc = values != NULL
                 ? lk_pack_values(l->pack, tensor, 0, n_values, values, err)
                 : lk_fail_nomem(err);

    for (long d = -most; d <= most && rc == LINKD_OK; d++) {
        const size_t bucket = bucket_of(config->n_buckets, d);

        for (size_t head = 0; head < config->n_heads; head++)
            distances[head * stride + (size_t)(most + d)] =
                (float)(LK_LOG2_E *
                        (double)values[bucket * config->n_heads + head]);
    }
    free(values);
    return rc;
}

static int distances_load(loader *l, const lk_config *config, lk_heads *heads,
                          linkd_error *err)
{
    const lk_tensor *tensor = NULL;
    float *distances;
    int rc;

    if (config->n_buckets == 0)
        return LINKD_OK;
    rc = lk_pack_tensor(l->pack, config->n_buckets, config->n_heads, &tensor,
                        err, "encoder.relative_attention_bias.weight");
    distances =
        lk_pack_take(l->pack, config->n_heads * distance_stride(config));
    if (rc == LINKD_OK && !l->pack->is_packed)
        rc = distances_fill(l, config, tensor, distances, err);
    heads->distances = distances;
    heads->distance_stride = distance_stride(config);
    heads->n_distances = config->max_tokens - 1;
    return rc;
}

static int embeddings_load(loader *l, const lk_config *config, lk_model *model,
                           linkd_error *err)
{
    int rc = lk_pack_tensor(l->pack, config->vocab_size, l->dim, &model->words,
                            err, "embeddings.word_embeddings.weight");

    if (rc == LINKD_OK)
        rc = distances_load(l, config, &model->heads, err);
    if (rc == LINKD_OK)
        rc = positions_load(l, config, &model->positions, err);
    if (rc == LINKD_OK)
        rc = lk_pack_norm(l->pack, "embeddings.LayerNorm", l->dim,
                          config->norm_epsilon, &model->embedding_norm, err);
    return rc;
}

/* ---- the model ---------------------------------------------------------- */

int lk_bert_load(lk_packer *packer, const lk_config *config, lk_model *model,
                 linkd_error *err)
{
    loader l = {.pack = packer,
                .names = &layouts[config->architecture],
                .dim = config->dim,
                .n_inner = config->n_inner,
                .value_bias = calloc(config->dim, sizeof(float))};
    int rc = l.value_bias != NULL ? LINKD_OK : lk_fail_nomem(err);

    if (rc == LINKD_OK)
        rc = embeddings_load(&l, config, model, err);
    for (size_t i = 0; i < config->n_layers && rc == LINKD_OK; i++)
        rc = layer_load(&l, i, config, model->heads.head_dim, &model->layers[i],
                        err);
    free(l.value_bias);
    return rc;
}
