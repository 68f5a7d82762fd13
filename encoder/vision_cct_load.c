/* encoder/vision_cct_load.c — a CCT's weights, packed for the kernels. Tensors are
 * named as the authors' program names them; its last layer, `classifier.fc`, is
 * not read. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "encoder/vision_cct.h"

#define LOG2_E 1.44269504088896340736

/* Attention takes the square of them. */
#define ROWS_MAX ((size_t)4096)

typedef struct loader {
    lk_loader tensors;
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

/* Weights [planes, kernel, kernel] of one output, to the order in which a map's
 * rows lie. */
static void output_turn(float *weights, size_t n_planes, size_t area,
                        float *scratch)
{
    for (size_t plane = 0; plane < n_planes; plane++)
        for (size_t i = 0; i < area; i++)
            scratch[i * n_planes + plane] = weights[plane * area + i];
    memcpy(weights, scratch, n_planes * area * sizeof(*weights));
}

/* One that reads a map. */
static int convolution_load(loader *l, const char *name, size_t n_out,
                            lk_cct_convolution *c, linkd_error *err)
{
    const size_t area = l->config->cct.kernel * l->config->cct.kernel;
    const size_t n_in = c->n_planes * area;
    float *bias = lk_loader_floats(&l->tensors, lk_stride(n_out), err);
    float *scratch = malloc(n_in * sizeof(*scratch));
    int rc = LINKD_OK;

    if (bias == NULL || scratch == NULL)
        rc = lk_fail_nomem(err);
    if (rc == LINKD_OK)
        rc = lk_loader_read(&l->tensors, name, n_out * n_in, l->tensors.rows,
                            err);
    for (size_t i = 0; i < n_out && rc == LINKD_OK; i++)
        output_turn(l->tensors.rows + i * n_in, c->n_planes, area, scratch);
    if (rc == LINKD_OK)
        rc = lk_loader_linear(&l->tensors, n_in, n_out, bias, &c->linear, err);
    free(scratch);
    return rc;
}

static int convolutions_load(loader *l, linkd_error *err)
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
        rc = lk_pixels_load(&l->tensors, l->preparation, name, false, s->kernel,
                            n_out, &l->cct->pixels, err);
        c->linear = l->cct->pixels.linear;
    }
    return rc;
}

static int positions_load(loader *l, linkd_error *err)
{
    const size_t dim = l->config->sizes.dim;
    const size_t n = rows_count(l->cct);
    float *packed, *rows;
    int rc;

    if (!l->config->cct.has_positions)
        return LINKD_OK;
    packed = malloc(n * dim * sizeof(*packed));
    if (packed == NULL)
        return lk_fail_nomem(err);
    rows = lk_loader_floats(&l->tensors, n * lk_stride(dim), err);
    rc = rows == NULL ? LINKD_E_NOMEM
                      : lk_loader_read(&l->tensors, "classifier.positional_emb",
                                       n * dim, packed, err);
    for (size_t i = 0; i < n * dim && rc == LINKD_OK; i++)
        rows[i / dim * lk_stride(dim) + i % dim] = packed[i];
    l->cct->positions = rows;
    free(packed);
    return rc;
}

/* The bias adds the same to all rows' products. */
static int attention_load(loader *l, linkd_error *err)
{
    const size_t dim = l->config->sizes.dim;
    float *weights = lk_loader_floats(&l->tensors, dim, err);
    int rc;

    if (weights == NULL)
        return LINKD_E_NOMEM;
    rc = lk_loader_read(&l->tensors, "classifier.attention_pool.weight", dim,
                        weights, err);
    for (size_t i = 0; i < dim; i++)
        weights[i] = (float)((double)weights[i] * LOG2_E);
    l->cct->attention = weights;
    return rc;
}

static int reserve(loader *l, linkd_error *err)
{
    const lk_stack_sizes *s = &l->config->sizes;
    const lk_cct_sizes *c = &l->config->cct;
    const size_t area = c->kernel * c->kernel;
    const size_t widest = s->dim > c->n_planes ? s->dim : c->n_planes;
    const size_t planes = c->n_planes > 3 ? c->n_planes : 3;

    return lk_stack_reserve(&l->tensors, s, widest, planes * area, err);
}

static int parts_load(loader *l, linkd_error *err)
{
    static const lk_stack_names names = {.layers = "classifier.blocks",
                                         .query_key_value = {"self_attn.qkv"},
                                         .attention_norm = "pre_norm",
                                         .attention_out = "self_attn.proj",
                                         .ffn_norm = "norm1",
                                         .ffn_in = "linear1",
                                         .ffn_out = "linear2",
                                         .final_norm = "classifier.norm"};
    int rc = reserve(l, err);

    if (rc == LINKD_OK)
        rc = convolutions_load(l, err);
    if (rc == LINKD_OK)
        rc = positions_load(l, err);
    if (rc == LINKD_OK)
        rc = lk_stack_load(&l->tensors, &l->config->sizes, &names,
                           &l->cct->stack, err);
    if (rc == LINKD_OK)
        rc = attention_load(l, err);
    return rc;
}

int lk_cct_load(const lk_weights *weights, const lk_vision_config *config,
                const lk_preparation *preparation, const lk_kernels *kernels,
                lk_cct *ret_cct, linkd_error *err)
{
    lk_cct cct = {.sizes = config->cct};
    loader l = {.tensors = {.weights = weights,
                            .kernels = kernels,
                            .arrays = &cct.arrays},
                .config = config,
                .preparation = preparation,
                .cct = &cct};
    int rc;

    if (preparation->out_width != config->image_side ||
        preparation->out_height != config->image_side)
        return lk_fail(err, LINKD_E_DATA,
                       "preprocessor_config.json makes pictures of %zu x %zu "
                       "pixels, but config.json has img_size %zu",
                       preparation->out_width, preparation->out_height,
                       config->image_side);
    rc = convolutions_new(&cct, config, err);
    if (rc == LINKD_OK)
        rc = parts_load(&l, err);
    free(l.tensors.rows);
    if (rc == LINKD_OK)
        *ret_cct = cct;
    else
        lk_cct_clear(&cct);
    return rc;
}

void lk_cct_clear(lk_cct *cct)
{
    free(cct->convolutions);
    lk_stack_clear(&cct->stack);
    lk_arrays_clear(&cct->arrays);
    *cct = (lk_cct){0};
}
