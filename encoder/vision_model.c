/* encoder/vision_model.c — a ViT or DINOv2 checkpoint, packed for the kernels.
 *
 * Folded while loading, without changing the result beyond rounding:
 *   - rescaling and normalising go into the patch layer, which reads bytes:
 *     W (scale * byte + shift) + b = (W scale) byte + (W shift + b). Bytes are
 *     exact in bf16, too;
 *   - DINOv2's layer scales go into the layers before them;
 *   - query, key and value become one matrix; log2(e) / sqrt(head_dim) goes into
 *     the query, and the key's bias goes away, as in encoder/model.c.
 *
 * DINOv2 interpolates its positions to the picture's size (bicubic with a =
 * -0.75 and half-pixel centres, as PyTorch does); ViT takes its own size only. */
#include "encoder/vision_model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOG2_E  1.44269504088896340736
#define CUBIC_A (-0.75)

/* Attention takes the square of them; 224 x 224 pixels have 256. */
#define PATCHES_MAX ((size_t)4096)

/* How checkpoints name the parts of a layer. */
typedef struct names {
    const char *prefix; /* where the checkpoint has a head */
    const char *attention_norm;
    const char *ffn_norm;
    const char *ffn_in;
    const char *ffn_out;
} names;

static const names all_names[] = {
    [LK_VISION_VIT] = {"vit.", "layernorm_before", "layernorm_after",
                       "intermediate.dense", "output.dense"},
    [LK_VISION_DINOV2] = {"dinov2.", "norm1", "norm2", "mlp.fc1", "mlp.fc2"},
};

typedef struct loader {
    const lk_weights *weights;
    const lk_vision_config *config;
    const lk_preparation *preparation;
    const lk_kernels *kernels;
    const names *names;
    const char *prefix;
    lk_vision_model *model;
    float *rows;   /* [widest matrix] before it is packed */
    double factor; /* log2(e) / sqrt(head_dim) */
} loader;

/* ---- memory and tensors ------------------------------------------------- */

/* Zeroed, and freed with the model. */
static float *floats_new(loader *l, size_t n, linkd_error *err)
{
    lk_vision_model *m = l->model;
    void *blocks = (void *)m->blocks;
    float *floats;

    if (lk_grow(&blocks, &m->blocks_capacity, m->n_blocks + 1,
                sizeof(*m->blocks), err) != LINKD_OK)
        return NULL;
    m->blocks = blocks;
    floats = lk_alloc_aligned(n, sizeof(*floats));
    if (floats == NULL) {
        (void)lk_fail_nomem(err);
        return NULL;
    }
    memset(floats, 0, n * sizeof(*floats));
    m->blocks[m->n_blocks++] = floats;
    return floats;
}

/* Reads a whole tensor of that many numbers, whatever its shape. */
static int values_read(const loader *l, const char *name, size_t n,
                       float *ret_values, linkd_error *err)
{
    char path[160];
    const lk_tensor *tensor;

    (void)snprintf(path, sizeof(path), "%s%s", l->prefix, name);
    tensor = lk_weights_find(l->weights, path);
    if (tensor == NULL)
        return lk_fail(err, LINKD_E_DATA, "weights have no tensor \"%s\"",
                       path);
    if (tensor->dtype == LK_DTYPE_OTHER || tensor->n_elements != n)
        return lk_fail(err, LINKD_E_DATA,
                       "tensor \"%s\" is not %zu numbers, as config.json says",
                       path, n);
    lk_tensor_read(tensor, 0, n, ret_values);
    for (size_t i = 0; i < n; i++)
        if (!isfinite(ret_values[i]))
            return lk_fail(err, LINKD_E_DATA,
                           "tensor \"%s\" holds a value that is not finite",
                           path);
    return LINKD_OK;
}

static bool has_tensor(const loader *l, const char *name)
{
    char path[160];

    (void)snprintf(path, sizeof(path), "%s%s", l->prefix, name);
    return lk_weights_find(l->weights, path) != NULL;
}

/* "encoder.layer.<i>.<part>.<kind>" */
typedef struct tensor_name {
    char text[128];
} tensor_name;

static tensor_name layer_name(size_t layer, const char *part, const char *kind)
{
    tensor_name name;

    (void)snprintf(name.text, sizeof(name.text), "encoder.layer.%zu.%s.%s",
                   layer, part, kind);
    return name;
}

/* ---- linear layers ------------------------------------------------------ */

/* `l->rows` [n_out, n_in] and the bias, which must be the model's. */
static int rows_pack(loader *l, size_t n_in, size_t n_out, const float *bias,
                     lk_linear *ret_linear, linkd_error *err)
{
    const size_t width = l->kernels->panel_width;
    const size_t panel = lk_panel_floats(l->kernels, n_in);
    const size_t n_panels = (n_out + width - 1) / width;
    float *panels = floats_new(l, n_panels * panel, err);

    if (panels == NULL)
        return LINKD_E_NOMEM;
    /* `rows` has room for a last panel that is not full */
    memset(l->rows + n_out * n_in, 0,
           (n_panels * width - n_out) * n_in * sizeof(*l->rows));
    for (size_t i = 0; i < n_panels; i++)
        l->kernels->pack(l->rows + i * width * n_in, n_in, panels + i * panel);
    *ret_linear = (lk_linear){
        .n_in = n_in, .n_out = n_out, .panels = panels, .bias = bias};
    return LINKD_OK;
}

/* Multiplies every output of the layer whose rows are read. */
static void outputs_scale(float *rows, float *bias, const float *scales,
                          size_t n_in, size_t n_out)
{
    for (size_t i = 0; i < n_out; i++) {
        for (size_t k = 0; k < n_in; k++)
            rows[i * n_in + k] *= scales[i];
        bias[i] *= scales[i];
    }
}

/* `scale_part` names DINOv2's scale of the outputs; NULL: there is none. */
static int dense_load(loader *l, size_t layer, const char *part,
                      const char *scale_part, size_t n_in, size_t n_out,
                      lk_linear *ret_linear, linkd_error *err)
{
    float *bias = floats_new(l, lk_stride(n_out), err);
    float *scales = NULL;
    int rc;

    if (bias == NULL)
        return LINKD_E_NOMEM;
    rc = values_read(l, layer_name(layer, part, "weight").text, n_in * n_out,
                     l->rows, err);
    if (rc == LINKD_OK)
        rc = values_read(l, layer_name(layer, part, "bias").text, n_out, bias,
                         err);
    if (rc == LINKD_OK && scale_part != NULL) {
        scales = calloc(n_out, sizeof(*scales));
        if (scales == NULL)
            return lk_fail_nomem(err);
        rc = values_read(l, layer_name(layer, scale_part, "lambda1").text,
                         n_out, scales, err);
        if (rc == LINKD_OK)
            outputs_scale(l->rows, bias, scales, n_in, n_out);
        free(scales);
    }
    if (rc == LINKD_OK)
        rc = rows_pack(l, n_in, n_out, bias, ret_linear, err);
    return rc;
}

static int projection_load(loader *l, size_t layer, lk_linear *ret_linear,
                           linkd_error *err)
{
    static const char *const parts[3] = {"attention.attention.query",
                                         "attention.attention.key",
                                         "attention.attention.value"};
    const size_t dim = l->config->dim;
    float *bias = floats_new(l, lk_stride(3 * dim), err);
    int rc = bias != NULL ? LINKD_OK : LINKD_E_NOMEM;

    for (size_t i = 0; i < 3 && rc == LINKD_OK; i++) {
        const tensor_name name = layer_name(layer, parts[i], "bias");

        rc = values_read(l, layer_name(layer, parts[i], "weight").text,
                         dim * dim, l->rows + i * dim * dim, err);
        /* qkv_bias may be off; the key's adds the same to all scores */
        if (rc == LINKD_OK && i != 1 && has_tensor(l, name.text))
            rc = values_read(l, name.text, dim, bias + i * dim, err);
    }
    if (rc != LINKD_OK)
        return rc;
    for (size_t i = 0; i < dim * dim; i++)
        l->rows[i] = (float)((double)l->rows[i] * l->factor);
    for (size_t i = 0; i < dim; i++)
        bias[i] = (float)((double)bias[i] * l->factor);
    return rows_pack(l, dim, 3 * dim, bias, ret_linear, err);
}

static int norm_load(loader *l, const char *weight, const char *bias,
                     lk_norm *ret_norm, linkd_error *err)
{
    const size_t dim = l->config->dim;
    float *values = floats_new(l, 2 * lk_stride(dim), err);
    int rc;

    if (values == NULL)
        return LINKD_E_NOMEM;
    *ret_norm = (lk_norm){.width = dim,
                          .epsilon = l->config->norm_epsilon,
                          .gamma = values,
                          .beta = values + lk_stride(dim)};
    rc = values_read(l, weight, dim, values, err);
    if (rc == LINKD_OK)
        rc = values_read(l, bias, dim, values + lk_stride(dim), err);
    return rc;
}

static int layer_load(loader *l, size_t i, lk_vision_layer *layer,
                      linkd_error *err)
{
    const lk_vision_config *c = l->config;
    const names *n = l->names;
    const bool is_scaled = c->kind == LK_VISION_DINOV2;
    int rc = norm_load(l, layer_name(i, n->attention_norm, "weight").text,
                       layer_name(i, n->attention_norm, "bias").text,
                       &layer->attention_norm, err);

    if (rc == LINKD_OK)
        rc = projection_load(l, i, &layer->projection, err);
    if (rc == LINKD_OK)
        rc = dense_load(l, i, "attention.output.dense",
                        is_scaled ? "layer_scale1" : NULL, c->dim, c->dim,
                        &layer->attention_out, err);
    if (rc == LINKD_OK)
        rc = norm_load(l, layer_name(i, n->ffn_norm, "weight").text,
                       layer_name(i, n->ffn_norm, "bias").text,
                       &layer->ffn_norm, err);
    if (rc == LINKD_OK)
        rc = dense_load(l, i, n->ffn_in, NULL, c->dim, c->n_inner,
                        &layer->ffn_in, err);
    if (rc == LINKD_OK)
        rc = dense_load(l, i, n->ffn_out, is_scaled ? "layer_scale2" : NULL,
                        c->n_inner, c->dim, &layer->ffn_out, err);
    return rc;
}

/* ---- embeddings --------------------------------------------------------- */

#define PATCHES "embeddings.patch_embeddings.projection"

static int patches_load(loader *l, linkd_error *err)
{
    const size_t area = l->config->patch_side * l->config->patch_side;
    const size_t dim = l->config->dim;
    float *bias = floats_new(l, lk_stride(dim), err);
    int rc;

    if (bias == NULL)
        return LINKD_E_NOMEM;
    rc = values_read(l, PATCHES ".weight", dim * 3 * area, l->rows, err);
    if (rc == LINKD_OK)
        rc = values_read(l, PATCHES ".bias", dim, bias, err);
    if (rc != LINKD_OK)
        return rc;
    for (size_t i = 0; i < dim; i++) {
        double sum = (double)bias[i];

        for (size_t k = 0; k < 3 * area; k++) {
            float *weight = &l->rows[i * 3 * area + k];
            const size_t c = k / area;

            sum += (double)*weight * (double)l->preparation->shifts[c];
            *weight *= l->preparation->scales[c];
        }
        bias[i] = (float)sum;
    }
    return rows_pack(l, 3 * area, dim, bias, &l->model->patches, err);
}

/* Weights of the four points around a place `t` after the second. */
static void cubic_weights(double t, double *ret_weights)
{
    for (int i = 0; i < 4; i++) {
        const double x = fabs(t - (double)(i - 1));

        ret_weights[i] =
            x <= 1.0 ? ((CUBIC_A + 2.0) * x - (CUBIC_A + 3.0)) * x * x + 1.0
                     : ((CUBIC_A * x - 5.0 * CUBIC_A) * x + 8.0 * CUBIC_A) * x -
                           4.0 * CUBIC_A;
    }
}

/* One direction of an interpolation from n to n_out points: where point i is
 * made of. Points beyond the border are the border's. */
typedef struct cubic {
    size_t from[4];
    double weights[4];
} cubic;

static cubic cubic_at(size_t i, size_t n, size_t n_out)
{
    const double place = ((double)i + 0.5) * (double)n / (double)n_out - 0.5;
    const double before = floor(place);
    cubic result;

    cubic_weights(place - before, result.weights);
    for (int k = 0; k < 4; k++) {
        const double at = before + (double)(k - 1);

        result.from[k] = at <= 0.0               ? 0
                         : at >= (double)(n - 1) ? n - 1
                                                 : (size_t)at;
    }
    return result;
}

/* table [1 + n * n, dim] of the checkpoint to the model's positions. */
static void positions_interpolate(const loader *l, const float *table, size_t n,
                                  float *ret_rows)
{
    const lk_vision_model *m = l->model;
    float *row = ret_rows + lk_stride(m->dim);

    for (size_t y = 0; y < m->n_down; y++)
        for (size_t x = 0; x < m->n_across; x++, row += lk_stride(m->dim)) {
            const cubic down = cubic_at(y, n, m->n_down);
            const cubic across = cubic_at(x, n, m->n_across);

            for (size_t d = 0; d < m->dim; d++) {
                double sum = 0.0;

                for (size_t i = 0; i < 16; i++)
                    sum += down.weights[i / 4] * across.weights[i % 4] *
                           (double)table[(1 + down.from[i / 4] * n +
                                          across.from[i % 4]) *
                                             m->dim +
                                         d];
                row[d] = (float)sum;
            }
        }
}

static int positions_load(loader *l, linkd_error *err)
{
    lk_vision_model *m = l->model;
    const size_t side = l->config->image_side / l->config->patch_side;
    const size_t n_own = 1 + side * side;
    const size_t n = 1 + m->n_down * m->n_across;
    float *table = lk_alloc_aligned(n_own + 1, m->dim * sizeof(*table));
    float *rows = NULL;
    int rc;

    if (table == NULL)
        return lk_fail_nomem(err);
    rc = values_read(l, "embeddings.position_embeddings", n_own * m->dim, table,
                     err);
    if (rc == LINKD_OK)
        rc = values_read(l, "embeddings.cls_token", m->dim,
                         table + n_own * m->dim, err);
    if (rc == LINKD_OK)
        rows = floats_new(l, n * lk_stride(m->dim), err);
    if (rc == LINKD_OK && rows == NULL)
        rc = LINKD_E_NOMEM;
    for (size_t d = 0; d < m->dim && rc == LINKD_OK; d++)
        rows[d] = table[d] + table[n_own * m->dim + d];
    if (rc == LINKD_OK)
        positions_interpolate(l, table, side, rows);
    m->positions = rows;
    free(table);
    return rc;
}

/* ---- the model ---------------------------------------------------------- */

static int size_check(const lk_vision_config *c, const lk_preparation *p,
                      linkd_error *err)
{
    const size_t n_patches =
        (p->out_width / c->patch_side) * (p->out_height / c->patch_side);
    const bool is_own =
        p->out_width == c->image_side && p->out_height == c->image_side;

    if (p->out_width < c->patch_side || p->out_height < c->patch_side ||
        (c->kind == LK_VISION_VIT && !is_own))
        return lk_fail(err, LINKD_E_DATA,
                       "preprocessor_config.json makes pictures of %zu x %zu "
                       "pixels, but config.json has image_size %zu",
                       p->out_width, p->out_height, c->image_side);
    if (n_patches > PATCHES_MAX)
        return lk_fail(err, LINKD_E_DATA,
                       "pictures of %zu patches are over the limit of %zu",
                       n_patches, PATCHES_MAX);
    return LINKD_OK;
}

/* Room for the widest matrix, its last panel filled up. */
static int rows_new(loader *l, linkd_error *err)
{
    const lk_vision_config *c = l->config;
    const size_t patch = 3 * c->patch_side * c->patch_side;
    const size_t width = l->kernels->panel_width;
    size_t most = (3 * c->dim + width) * c->dim;

    if (most < (c->n_inner + width) * c->dim)
        most = (c->n_inner + width) * c->dim;
    if (most < (c->dim + width) * c->n_inner)
        most = (c->dim + width) * c->n_inner;
    if (most < (c->dim + width) * patch)
        most = (c->dim + width) * patch;
    l->rows = lk_alloc_aligned(most, sizeof(*l->rows));
    return l->rows != NULL ? LINKD_OK : lk_fail_nomem(err);
}

static int parts_load(loader *l, linkd_error *err)
{
    lk_vision_model *m = l->model;
    int rc = rows_new(l, err);

    if (rc == LINKD_OK)
        rc = patches_load(l, err);
    if (rc == LINKD_OK)
        rc = positions_load(l, err);
    if (rc != LINKD_OK)
        return rc;
    m->layers = calloc(l->config->n_layers, sizeof(*m->layers));
    if (m->layers == NULL)
        return lk_fail_nomem(err);
    m->n_layers = l->config->n_layers;
    for (size_t i = 0; i < m->n_layers && rc == LINKD_OK; i++)
        rc = layer_load(l, i, &m->layers[i], err);
    if (rc == LINKD_OK)
        rc = norm_load(l, "layernorm.weight", "layernorm.bias", &m->final_norm,
                       err);
    return rc;
}

int lk_vision_model_load(const lk_weights *weights,
                         const lk_vision_config *config,
                         const lk_preparation *preparation,
                         const lk_kernels *kernels, lk_vision_model *ret_model,
                         linkd_error *err)
{
    const size_t head_dim = config->dim / config->n_heads;
    lk_vision_model model = {
        .kernels = kernels,
        .heads = {.n_heads = config->n_heads, .head_dim = head_dim},
        .dim = config->dim,
        .n_inner = config->n_inner,
        .patch_side = config->patch_side,
        .n_across = preparation->out_width / config->patch_side,
        .n_down = preparation->out_height / config->patch_side};
    loader l = {.weights = weights,
                .config = config,
                .preparation = preparation,
                .kernels = kernels,
                .names = &all_names[config->kind],
                .prefix = "",
                .model = &model,
                .factor = LOG2_E / sqrt((double)head_dim)};
    int rc = size_check(config, preparation, err);

    if (!has_tensor(&l, "embeddings.cls_token"))
        l.prefix = l.names->prefix;
    if (rc == LINKD_OK)
        rc = parts_load(&l, err);
    free(l.rows);
    if (rc == LINKD_OK)
        *ret_model = model;
    else
        lk_vision_model_clear(&model);
    return rc;
}

void lk_vision_model_clear(lk_vision_model *model)
{
    for (size_t i = 0; i < model->n_blocks; i++)
        free(model->blocks[i]);
    free((void *)model->blocks);
    free(model->layers);
    *model = (lk_vision_model){0};
}
