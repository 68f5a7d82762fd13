/* encoder/model_modern.c — ModernBERT's checkpoints (arXiv 2412.13663). What
 * differs from BERT: norms stand before the layers and have no beta, no linear
 * layer has a bias, positions turn queries and keys (encoder/rotary.h), most
 * layers see a window of tokens only, and the feed-forward layer is GELU of one
 * half times the other.
 *
 * Folded while loading: log2(e) / sqrt(head_dim) goes into the query, which may
 * be turned before or after. Norms keep their weights and means: they take less
 * than 1 % of the time (docs/benchmarks.md). */
#include <math.h>
#include <stdio.h>

#include "encoder/model.h"

/* ---- parts -------------------------------------------------------------- */

static int norm_load(lk_packer *packer, const lk_config *config,
                     const char *name, lk_norm *ret_norm, linkd_error *err)
{
    float *values = lk_pack_take(packer, lk_stride(config->dim));
    float *zeros = lk_pack_take(packer, lk_stride(config->dim));
    const lk_tensor *gamma = NULL;
    int rc =
        lk_pack_tensor(packer, config->dim, 0, &gamma, err, "%s.weight", name);

    *ret_norm = (lk_norm){.width = config->dim,
                          .epsilon = config->norm_epsilon,
                          .gamma = values,
                          .beta = zeros};
    if (rc == LINKD_OK)
        rc = lk_pack_values(packer, gamma, 0, config->dim, values, err);
    return rc;
}

static int layer_norm_load(lk_packer *packer, const lk_config *config,
                           size_t layer, const char *name, lk_norm *ret_norm,
                           linkd_error *err)
{
    char path[64];

    (void)snprintf(path, sizeof(path), "layers.%zu.%s", layer, name);
    return norm_load(packer, config, path, ret_norm, err);
}

static int projection_load(lk_packer *packer, const lk_config *config,
                           size_t layer, lk_linear *ret_linear,
                           linkd_error *err)
{
    const size_t dim = config->dim;
    const size_t head_dim = dim / config->n_heads;
    lk_matrix m = {.n_parts = 1,
                   .n_rows_each = 3 * dim,
                   .n_columns = dim,
                   .n_scaled = dim,
                   .factor = LK_LOG2_E / sqrt((double)head_dim),
                   .scales_inputs = true,
                   .ranges =
                       lk_pack_ranges(packer, dim, layer, LK_NOTED_PROJECTION)};
    float *bias;
    int rc = lk_pack_tensor(packer, 3 * dim, dim, &m.parts[0], err,
                            "layers.%zu.attn.Wqkv.weight", layer);

    if (rc == LINKD_OK)
        rc = lk_pack_matrix(packer, &m, ret_linear, &bias, err);
    return rc;
}

static int dense_load(lk_packer *packer, size_t layer, const char *name,
                      size_t n_in, size_t n_out, lk_linear *ret_linear,
                      linkd_error *err)
{
    lk_matrix m = {.n_parts = 1, .n_rows_each = n_out, .n_columns = n_in};
    float *bias;
    int rc = lk_pack_tensor(packer, n_out, n_in, &m.parts[0], err,
                            "layers.%zu.%s.weight", layer, name);

    if (rc == LINKD_OK)
        rc = lk_pack_matrix(packer, &m, ret_linear, &bias, err);
    return rc;
}

/* One tensor: what goes through GELU, and below it what that is multiplied
 * with. */
static int gated_load(lk_packer *packer, const lk_config *config, size_t layer,
                      lk_layer *ret_layer, linkd_error *err)
{
    const size_t inner = config->n_inner;
    lk_matrix m = {
        .n_parts = 1,
        .n_rows_each = inner,
        .n_columns = config->dim,
        .scales_inputs = true,
        .ranges = lk_pack_ranges(packer, config->dim, layer, LK_NOTED_FFN_IN)};
    float *bias;
    int rc = lk_pack_tensor(packer, 2 * inner, config->dim, &m.parts[0], err,
                            "layers.%zu.mlp.Wi.weight", layer);

    if (rc == LINKD_OK)
        rc = lk_pack_matrix(packer, &m, &ret_layer->ffn_in, &bias, err);
    m.first_row = inner;
    if (rc == LINKD_OK)
        rc = lk_pack_matrix(packer, &m, &ret_layer->ffn_gate, &bias, err);
    return rc;
}

/* The first layer's input is normalised already. */
static int layer_load(lk_packer *packer, const lk_config *config, size_t i,
                      lk_layer *layer, linkd_error *err)
{
    const size_t dim = config->dim;
    int rc = LINKD_OK;

    layer->is_local = lk_config_is_local(config, i);
    if (i > 0)
        rc = layer_norm_load(packer, config, i, "attn_norm",
                             &layer->attention_norm, err);
    if (rc == LINKD_OK)
        rc = projection_load(packer, config, i, &layer->projection, err);
    if (rc == LINKD_OK)
        rc = dense_load(packer, i, "attn.Wo", dim, dim, &layer->attention_out,
                        err);
    if (rc == LINKD_OK)
        rc = layer_norm_load(packer, config, i, "mlp_norm", &layer->ffn_norm,
                             err);
    if (rc == LINKD_OK)
        rc = gated_load(packer, config, i, layer, err);
    if (rc == LINKD_OK)
        rc = dense_load(packer, i, "mlp.Wo", config->n_inner, dim,
                        &layer->ffn_out, err);
    return rc;
}

static const float *rotary_load(lk_packer *packer, const lk_config *config,
                                double theta)
{
    const size_t n = config->max_tokens;
    const size_t head_dim = config->dim / config->n_heads;
    float *turns = lk_pack_take(packer, lk_rotary_floats(n, head_dim));

    if (!packer->is_packed)
        lk_rotary_fill(theta, n, head_dim, turns);
    return turns;
}

/* ---- the model ---------------------------------------------------------- */

int lk_modern_load(lk_packer *packer, const lk_config *config, lk_model *model,
                   linkd_error *err)
{
    int rc =
        lk_pack_tensor(packer, config->vocab_size, config->dim, &model->words,
                       err, "embeddings.tok_embeddings.weight");

    model->norms_first = true;
    model->window = config->window;
    model->turns = rotary_load(packer, config, config->rotary_theta);
    model->local_turns = rotary_load(packer, config, config->local_theta);
    if (rc == LINKD_OK)
        rc = norm_load(packer, config, "embeddings.norm",
                       &model->embedding_norm, err);
    for (size_t i = 0; i < config->n_layers && rc == LINKD_OK; i++)
        rc = layer_load(packer, config, i, &model->layers[i], err);
    if (rc == LINKD_OK)
        rc = norm_load(packer, config, "final_norm", &model->final_norm, err);
    return rc;
}
