/* encoder/stack_load.c — a pre-norm transformer's layers, packed.
 *
 * Folded while loading, without changing the result beyond rounding:
 *   - query, key and value become one matrix; log2(e) / sqrt(head_dim) goes into
 *     the query, the key's bias goes away, and the value's moves through the
 *     output matrix into its bias, as in model_bert.c;
 *   - DINOv2's layer scales go into the layers before them.
 * Norms keep their weights, biases and means: what folding these would save is in
 * docs/benchmarks.md. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "encoder/stack.h"

typedef struct loader {
    lk_packer *pack;
    const lk_stack_sizes *sizes;
    const lk_stack_names *names;
    float *value_bias; /* [dim] of the layer being loaded */
} loader;

/* The n numbers of "<layers>.<i>.<part><kind>". */
static int tensor_get(const loader *l, size_t layer, const char *part,
                      const char *kind, size_t n, const lk_tensor **ret_tensor,
                      linkd_error *err)
{
    return lk_pack_numbers(l->pack, n, ret_tensor, err, "%s.%zu.%s%s",
                           l->names->layers, layer, part, kind);
}

/* ---- linear layers ------------------------------------------------------ */

/* DINOv2's scales of a layer's outputs; {0}: it has none. */
typedef struct scaling {
    float *factors; /* [n_out] */
    size_t n_in;
} scaling;

static void row_scale(const void *ctx, size_t row, float *values)
{
    const scaling *s = ctx;

    for (size_t k = 0; k < s->n_in; k++)
        values[k] *= s->factors[row];
}

static int scaling_read(const loader *l, size_t layer, const char *part,
                        size_t n_out, scaling *ret_scaling, linkd_error *err)
{
    const lk_tensor *tensor = NULL;
    int rc = tensor_get(l, layer, part, "", n_out, &tensor, err);

    LK_ASSERT(n_out > 0);
    if (rc != LINKD_OK)
        return rc;
    ret_scaling->factors = calloc(n_out, sizeof(*ret_scaling->factors));
    if (ret_scaling->factors == NULL)
        return lk_fail_nomem(err);
    return lk_pack_values(l->pack, tensor, 0, n_out, ret_scaling->factors, err);
}

/* A layer's matrix and bias, and what goes into them. */
typedef struct dense {
    const char *part;
    const char *scale_part; /* DINOv2's scales; NULL: there are none */
    const float *shift;     /* [n_in] added to all inputs; or NULL */
    size_t n_in, n_out;
} dense;

static int bias_load(const loader *l, size_t layer, const dense *d,
                     const lk_tensor *weights, float *bias, linkd_error *err)
{
    const lk_tensor *tensor = NULL;
    int rc = tensor_get(l, layer, d->part, ".bias", d->n_out, &tensor, err);

    if (rc == LINKD_OK)
        rc = lk_pack_values(l->pack, tensor, 0, d->n_out, bias, err);
    if (rc == LINKD_OK && d->shift != NULL)
        rc = lk_pack_shift(l->pack, weights, d->n_out, d->shift, d->n_in, bias,
                           err);
    return rc;
}

static int scaled_load(const loader *l, size_t layer, const dense *d,
                       const scaling *scales, lk_linear *ret_linear,
                       linkd_error *err)
{
    lk_matrix m = {.n_parts = 1, .n_rows_each = d->n_out, .n_columns = d->n_in};
    float *bias = NULL;
    int rc = tensor_get(l, layer, d->part, ".weight", d->n_in * d->n_out,
                        &m.parts[0], err);

    if (scales->factors != NULL) {
        m.change = row_scale;
        m.change_ctx = scales;
    }
    if (rc == LINKD_OK)
        rc = lk_pack_matrix(l->pack, &m, ret_linear, &bias, err);
    if (rc == LINKD_OK)
        rc = bias_load(l, layer, d, m.parts[0], bias, err);
    if (rc != LINKD_OK || scales->factors == NULL || l->pack->is_packed)
        return rc;
    for (size_t i = 0; i < d->n_out; i++)
        bias[i] *= scales->factors[i];
    return LINKD_OK;
}

static int dense_load(const loader *l, size_t layer, dense d,
                      lk_linear *ret_linear, linkd_error *err)
{
    scaling scales = {.n_in = d.n_in};
    int rc = LINKD_OK;

    if (d.scale_part != NULL)
        rc = scaling_read(l, layer, d.scale_part, d.n_out, &scales, err);
    if (rc == LINKD_OK)
        rc = scaled_load(l, layer, &d, &scales, ret_linear, err);
    free(scales.factors);
    return rc;
}

/* The biases of the three, of which qkv_bias may be off. Only the query's is left
 * in place: the key's adds the same to all scores, the value's is kept for the
 * output matrix. */
static int qkv_bias_load(const loader *l, size_t layer, const lk_matrix *m,
                         float *bias, linkd_error *err)
{
    const size_t n = m->n_rows_each;
    const size_t dim = l->sizes->dim;
    int rc = LINKD_OK;

    for (size_t i = 0; i < m->n_parts && rc == LINKD_OK; i++) {
        const char *part = l->names->query_key_value[i];
        const lk_tensor *tensor = NULL;

        if (i == 1 || !lk_pack_has(l->pack, "%s.%zu.%s.bias", l->names->layers,
                                   layer, part))
            continue;
        rc = tensor_get(l, layer, part, ".bias", n, &tensor, err);
        if (rc == LINKD_OK && !l->pack->is_packed)
            rc = lk_pack_values(l->pack, tensor, 0, n, bias + i * n, err);
    }
    if (l->pack->is_packed)
        return rc;
    for (size_t i = 0; i < m->n_scaled; i++)
        bias[i] = (float)((double)bias[i] * m->factor);
    memcpy(l->value_bias, bias + 2 * dim, dim * sizeof(*bias));
    memset(bias + dim, 0, 2 * dim * sizeof(*bias));
    return rc;
}

static int qkv_load(const loader *l, size_t layer, lk_linear *ret_linear,
                    linkd_error *err)
{
    const size_t dim = l->sizes->dim;
    const size_t head_dim = dim / l->sizes->n_heads;
    const size_t n = l->names->query_key_value[1] == NULL ? 1 : 3;
    lk_matrix m = {.n_parts = n,
                   .n_rows_each = 3 / n * dim,
                   .n_columns = dim,
                   .n_scaled = dim,
                   .factor = LK_LOG2_E / sqrt((double)head_dim)};
    float *bias = NULL;
    int rc = LINKD_OK;

    for (size_t i = 0; i < n && rc == LINKD_OK; i++)
        rc = tensor_get(l, layer, l->names->query_key_value[i], ".weight",
                        m.n_rows_each * dim, &m.parts[i], err);
    if (rc == LINKD_OK)
        rc = lk_pack_matrix(l->pack, &m, ret_linear, &bias, err);
    if (rc == LINKD_OK)
        rc = qkv_bias_load(l, layer, &m, bias, err);
    return rc;
}

/* To the shared space of CLIP's towers: no bias, and no tower's prefix. */
static int out_load(const loader *l, lk_linear *ret_linear, linkd_error *err)
{
    const lk_stack_sizes *s = l->sizes;
    const char *prefix = l->pack->prefix;
    lk_matrix m = {.n_parts = 1, .n_rows_each = s->n_out, .n_columns = s->dim};
    float *bias;
    int rc;

    if (s->n_out == 0)
        return LINKD_OK;
    l->pack->prefix = "";
    rc = lk_pack_numbers(l->pack, s->n_out * s->dim, &m.parts[0], err, "%s",
                         l->names->projection);
    l->pack->prefix = prefix;
    return rc == LINKD_OK ? lk_pack_matrix(l->pack, &m, ret_linear, &bias, err)
                          : rc;
}

/* ---- layers ------------------------------------------------------------- */

static int norm_load(const loader *l, size_t layer, const char *part,
                     lk_norm *ret_norm, linkd_error *err)
{
    char name[128];

    (void)snprintf(name, sizeof(name), "%s.%zu.%s", l->names->layers, layer,
                   part);
    return lk_pack_norm(l->pack, name, l->sizes->dim, l->sizes->norm_epsilon,
                        ret_norm, err);
}

static int layer_load(const loader *l, size_t i, lk_stack_layer *layer,
                      linkd_error *err)
{
    const lk_stack_sizes *s = l->sizes;
    const lk_stack_names *n = l->names;
    const dense out = {.part = n->attention_out,
                       .scale_part = n->attention_scale,
                       .shift = l->value_bias,
                       .n_in = s->dim,
                       .n_out = s->dim};
    const dense ffn_in = {
        .part = n->ffn_in, .n_in = s->dim, .n_out = s->n_inner};
    const dense ffn_out = {.part = n->ffn_out,
                           .scale_part = n->ffn_scale,
                           .n_in = s->n_inner,
                           .n_out = s->dim};
    int rc = norm_load(l, i, n->attention_norm, &layer->attention_norm, err);

    if (rc == LINKD_OK)
        rc = qkv_load(l, i, &layer->projection, err);
    if (rc == LINKD_OK)
        rc = dense_load(l, i, out, &layer->attention_out, err);
    if (rc == LINKD_OK)
        rc = norm_load(l, i, n->ffn_norm, &layer->ffn_norm, err);
    if (rc == LINKD_OK)
        rc = dense_load(l, i, ffn_in, &layer->ffn_in, err);
    if (rc == LINKD_OK)
        rc = dense_load(l, i, ffn_out, &layer->ffn_out, err);
    return rc;
}

int lk_stack_load(lk_packer *packer, const lk_stack_sizes *sizes,
                  const lk_stack_names *names, lk_stack *ret_stack,
                  linkd_error *err)
{
    const loader l = {.pack = packer,
                      .sizes = sizes,
                      .names = names,
                      .value_bias = calloc(sizes->dim + 1, sizeof(float))};
    int rc = LINKD_OK;

    *ret_stack = (lk_stack){.kernels = packer->kernels,
                            .sizes = *sizes,
                            .heads = {.n_heads = sizes->n_heads,
                                      .head_dim = sizes->dim / sizes->n_heads}};
    ret_stack->layers = calloc(sizes->n_layers, sizeof(*ret_stack->layers));
    if (ret_stack->layers == NULL || l.value_bias == NULL)
        rc = lk_fail_nomem(err);
    for (size_t i = 0; i < sizes->n_layers && rc == LINKD_OK; i++)
        rc = layer_load(&l, i, &ret_stack->layers[i], err);
    if (rc == LINKD_OK && names->final_norm != NULL)
        rc = lk_pack_norm(packer, names->final_norm, sizes->dim,
                          sizes->norm_epsilon, &ret_stack->final_norm, err);
    if (rc == LINKD_OK)
        rc = out_load(&l, &ret_stack->projection, err);
    free(l.value_bias);
    return rc;
}

void lk_stack_clear(lk_stack *stack)
{
    free(stack->layers);
    *stack = (lk_stack){0};
}
