/* encoder/vision_cct_load.c — a CCT's weights, packed for the kernels. Tensors are
 * named as the authors' program names them; its last layer, `classifier.fc`, is
 * not read. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "encoder/vision_cct.h"

/* Attention takes the square of them. */
#define ROWS_MAX ((size_t)4096)

typedef struct loader {
    lk_packer *pack;
    const lk_vision_config *config;
    const lk_preparation *preparation;
    lk_cct *cct;
} loader;

/* ---- sizes -------------------------------------------------------------- */

/* The side of what a window makes of a map; 0: it does not fit in. */
static size_t side_after(size_t side, size_t kernel, size_t stride,
                         size_t padding)
{
    const size_t padded = side + 2 * padding;

    return padded < kernel ? 0 : (padded - kernel) / stride + 1;
}

static int convolutions_new(lk_cct *cct, const lk_vision_config *config,
                            linkd_error *err)
{
    const lk_cct_sizes *s = &config->cct;
    size_t side = config->image_side;

    cct->convolutions = calloc(s->n_convolutions, sizeof(*cct->convolutions));
    if (cct->convolutions == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < s->n_convolutions; i++) {
        lk_cct_convolution *c = &cct->convolutions[i];

        c->n_planes = i == 0 ? 3 : s->n_planes;
        c->side = side;
        c->side_out = side_after(side, s->kernel, s->stride, s->padding);
        c->side_pooled = side_after(c->side_out, s->pool_kernel, s->pool_stride,
                                    s->pool_padding);
        side = c->side_pooled;
        if (c->side_out == 0 || side == 0)
            return lk_fail(err, LINKD_E_DATA,
                           "config.json: convolution %zu does not fit into "
                           "pictures of img_size %zu",
                           i + 1, config->image_side);
    }
    if (side * side > ROWS_MAX)
        return lk_fail(err, LINKD_E_DATA,
                       "pictures of %zu rows are over the limit of %zu",
                       side * side, ROWS_MAX);
    return LINKD_OK;
}

static size_t rows_count(const lk_cct *cct)
{
    const size_t side =
        cct->convolutions[cct->sizes.n_convolutions - 1].side_pooled;

    return side * side;
}

/* ---- tensors ------------------------------------------------------------ */

/* One output's weights [planes, area], to the order in which a map's rows lie. */
typedef struct turning {
    size_t n_planes, area;
    float *scratch; /* as many as they are */
} turning;

static void row_turn(const void *ctx, size_t row, float *weights)
{
    const turning *t = ctx;

    (void)row;
    for (size_t plane = 0; plane < t->n_planes; plane++)
        for (size_t i = 0; i < t->area; i++)
            t->scratch[i * t->n_planes + plane] = weights[plane * t->area + i];
    memcpy(weights, t->scratch, t->n_planes * t->area * sizeof(*weights));
}

/* One that reads a map. */
static int convolution_load(const loader *l, const char *name, size_t n_out,
                            lk_cct_convolution *c, linkd_error *err)
{
    const size_t area = l->config->cct.kernel * l->config->cct.kernel;
    const size_t n_in = c->n_planes * area;
    const turning t = {c->n_planes, area, malloc(n_in * sizeof(*t.scratch))};
    lk_matrix m = {.n_parts = 1,
                   .n_rows_each = n_out,
                   .n_columns = n_in,
                   .change = row_turn,
                   .change_ctx = &t};
    float *bias;
    int rc = t.scratch != NULL ? LINKD_OK : lk_fail_nomem(err);

    if (rc == LINKD_OK)
        rc = lk_pack_numbers(l->pack, n_out * n_in, &m.parts[0], err, "%s",
                             name);
    if (rc == LINKD_OK)
        rc = lk_pack_matrix(l->pack, &m, &c->linear, &bias, err);
    free(t.scratch);
    return rc;
}

static int convolutions_load(const loader *l, linkd_error *err)
{
    const lk_cct_sizes *s = &l->config->cct;
    int rc = LINKD_OK;

    for (size_t i = 0; i < s->n_convolutions && rc == LINKD_OK; i++) {
        lk_cct_convolution *c = &l->cct->convolutions[i];
        const size_t n_out =
            i + 1 < s->n_convolutions ? s->n_planes : l->config->sizes.dim;
        char name[64];

        (void)snprintf(name, sizeof(name), "tokenizer.conv_layers.%zu.0%s", i,
                       i == 0 ? "" : ".weight");
        if (i > 0) {
            rc = convolution_load(l, name, n_out, c, err);
            continue;
        }
        rc = lk_pixels_load(l->pack, l->preparation, name, false, s->kernel,
                            n_out, &l->cct->pixels, err);
        c->linear = l->cct->pixels.linear;
    }
    return rc;
}

static int positions_load(const loader *l, linkd_error *err)
{
    const size_t dim = l->config->sizes.dim;
    const size_t n = rows_count(l->cct);
    const lk_tensor *tensor = NULL;
    float *rows;
    int rc;

    if (!l->config->cct.has_positions)
        return LINKD_OK;
    rows = lk_pack_take(l->pack, n * lk_stride(dim));
    l->cct->positions = rows;
    rc = lk_pack_numbers(l->pack, n * dim, &tensor, err,
                         "classifier.positional_emb");
    for (size_t i = 0; i < n && rc == LINKD_OK && !l->pack->is_packed; i++)
        rc = lk_pack_values(l->pack, tensor, i * dim, dim,
                            rows + i * lk_stride(dim), err);
    return rc;
}

/* The bias adds the same to all rows' products. */
static int attention_load(const loader *l, linkd_error *err)
{
    const size_t dim = l->config->sizes.dim;
    const lk_tensor *tensor = NULL;
    float *weights = lk_pack_take(l->pack, dim);
    int rc = lk_pack_numbers(l->pack, dim, &tensor, err,
                             "classifier.attention_pool.weight");

    if (rc == LINKD_OK)
        rc = lk_pack_values(l->pack, tensor, 0, dim, weights, err);
    for (size_t i = 0; i < dim && rc == LINKD_OK && !l->pack->is_packed; i++)
        weights[i] = (float)((double)weights[i] * LK_LOG2_E);
    l->cct->attention = weights;
    return rc;
}

static int parts_load(const loader *l, linkd_error *err)
{
    static const lk_stack_names names = {.layers = "classifier.blocks",
                                         .query_key_value = {"self_attn.qkv"},
                                         .attention_norm = "pre_norm",
                                         .attention_out = "self_attn.proj",
                                         .ffn_norm = "norm1",
                                         .ffn_in = "linear1",
                                         .ffn_out = "linear2",
                                         .final_norm = "classifier.norm"};
    int rc = convolutions_load(l, err);

    if (rc == LINKD_OK)
        rc = positions_load(l, err);
    if (rc == LINKD_OK)
        rc = lk_stack_load(l->pack, &l->config->sizes, &names, &l->cct->stack,
                           err);
    if (rc == LINKD_OK)
        rc = attention_load(l, err);
    return rc;
}

int lk_cct_load(lk_packer *packer, const lk_vision_config *config,
                const lk_preparation *preparation, lk_cct *ret_cct,
                linkd_error *err)
{
    const loader l = {.pack = packer,
                      .config = config,
                      .preparation = preparation,
                      .cct = ret_cct};
    int rc;

    *ret_cct = (lk_cct){.sizes = config->cct};
    packer->prefix = "";
    if (preparation->out_width != config->image_side ||
        preparation->out_height != config->image_side)
        return lk_fail(err, LINKD_E_DATA,
                       "preprocessor_config.json makes pictures of %zu x %zu "
                       "pixels, but config.json has img_size %zu",
                       preparation->out_width, preparation->out_height,
                       config->image_side);
    rc = convolutions_new(ret_cct, config, err);
    if (rc == LINKD_OK)
        rc = parts_load(&l, err);
    return rc;
}

void lk_cct_clear(lk_cct *cct)
{
    free(cct->convolutions);
    lk_stack_clear(&cct->stack);
    *cct = (lk_cct){0};
}
