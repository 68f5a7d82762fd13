/* encoder/stack_load.c — a pre-norm transformer's layers, packed.
 *
 * Folded while loading, without changing the result beyond rounding:
 *   - query, key and value become one matrix; log2(e) / sqrt(head_dim) goes into
 *     the query, and the key's bias goes away, as in encoder/model.c;
 *   - DINOv2's layer scales go into the layers before them. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "encoder/stack.h"

#define LOG2_E 1.44269504088896340736

typedef struct loader {
    lk_loader *tensors;
    const lk_stack_sizes *sizes;
    const lk_stack_names *names;
} loader;

/* "<layers>.<i>.<part><kind>" */
typedef struct tensor_name {
    char text[128];
} tensor_name;

static tensor_name layer_name(const loader *l, size_t layer, const char *part,
                              const char *kind)
{
    tensor_name name;

    (void)snprintf(name.text, sizeof(name.text), "%s.%zu.%s%s",
                   l->names->layers, layer, part, kind);
    return name;
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
    lk_loader *p = l->tensors;
    float *bias = lk_loader_floats(p, lk_stride(n_out), err);
    float *scales = NULL;
    int rc;

    if (bias == NULL)
        return LINKD_E_NOMEM;
    rc = lk_loader_read(p, layer_name(l, layer, part, ".weight").text,
                        n_in * n_out, p->rows, err);
    if (rc == LINKD_OK)
        rc = lk_loader_read(p, layer_name(l, layer, part, ".bias").text, n_out,
                            bias, err);
    if (rc == LINKD_OK && scale_part != NULL) {
        LK_ASSERT(n_out > 0);
        scales = calloc(n_out, sizeof(*scales));
        if (scales == NULL)
            return lk_fail_nomem(err);
        rc = lk_loader_read(p, layer_name(l, layer, scale_part, "").text, n_out,
                            scales, err);
        if (rc == LINKD_OK)
            outputs_scale(p->rows, bias, scales, n_in, n_out);
        free(scales);
    }
    if (rc == LINKD_OK)
        rc = lk_loader_linear(p, n_in, n_out, bias, ret_linear, err);
    return rc;
}

/* A matrix [n * dim, dim] of the three, from the `first`, to its rows. */
static int qkv_part_read(loader *l, size_t layer, size_t first, size_t n,
                         float *bias, linkd_error *err)
{
    lk_loader *p = l->tensors;
    const size_t dim = l->sizes->dim;
    const char *part = l->names->query_key_value[first];
    const tensor_name name = layer_name(l, layer, part, ".bias");
    int rc = lk_loader_read(p, layer_name(l, layer, part, ".weight").text,
                            n * dim * dim, p->rows + first * dim * dim, err);

    /* qkv_bias may be off; the key's adds the same to all scores */
    if (rc == LINKD_OK && first != 1 && lk_loader_has(p, name.text))
        rc = lk_loader_read(p, name.text, n * dim, bias + first * dim, err);
    return rc;
}

static int qkv_load(loader *l, size_t layer, lk_linear *ret_linear,
                    linkd_error *err)
{
    lk_loader *p = l->tensors;
    const size_t dim = l->sizes->dim;
    const size_t n = l->names->query_key_value[1] == NULL ? 3 : 1;
    const size_t head_dim = dim / l->sizes->n_heads;
    const double factor = LOG2_E / sqrt((double)head_dim);
    float *bias = lk_loader_floats(p, lk_stride(3 * dim), err);
    int rc = bias != NULL ? LINKD_OK : LINKD_E_NOMEM;

    for (size_t i = 0; i < 3 && rc == LINKD_OK; i += n)
        rc = qkv_part_read(l, layer, i, n, bias, err);
    if (rc != LINKD_OK)
        return rc;
    for (size_t i = 0; i < dim * dim; i++)
        p->rows[i] = (float)((double)p->rows[i] * factor);
    for (size_t i = 0; i < dim; i++)
        bias[i] = (float)((double)bias[i] * factor);
    return lk_loader_linear(p, dim, 3 * dim, bias, ret_linear, err);
}

static int layer_load(loader *l, size_t i, lk_stack_layer *layer,
                      linkd_error *err)
{
    const lk_stack_sizes *s = l->sizes;
    const lk_stack_names *n = l->names;
    int rc =
        lk_loader_norm(l->tensors, layer_name(l, i, n->attention_norm, "").text,
                       s->dim, s->norm_epsilon, &layer->attention_norm, err);

    if (rc == LINKD_OK)
        rc = qkv_load(l, i, &layer->projection, err);
    if (rc == LINKD_OK)
        rc = dense_load(l, i, n->attention_out, n->attention_scale, s->dim,
                        s->dim, &layer->attention_out, err);
    if (rc == LINKD_OK)
        rc = lk_loader_norm(l->tensors, layer_name(l, i, n->ffn_norm, "").text,
                            s->dim, s->norm_epsilon, &layer->ffn_norm, err);
    if (rc == LINKD_OK)
        rc = dense_load(l, i, n->ffn_in, NULL, s->dim, s->n_inner,
                        &layer->ffn_in, err);
    if (rc == LINKD_OK)
        rc = dense_load(l, i, n->ffn_out, n->ffn_scale, s->n_inner, s->dim,
                        &layer->ffn_out, err);
    return rc;
}

/* To the shared space of CLIP's towers: no bias, and no tower's prefix. */
static int out_load(loader *l, lk_linear *ret_linear, linkd_error *err)
{
    const lk_stack_sizes *s = l->sizes;
    lk_loader bare = *l->tensors;
    float *bias;
    int rc;

    if (s->n_out == 0)
        return LINKD_OK;
    bare.prefix[0] = '\0';
    rc = lk_loader_read(&bare, l->names->projection, s->n_out * s->dim,
                        l->tensors->rows, err);
    if (rc != LINKD_OK)
        return rc;
    bias = lk_loader_floats(l->tensors, lk_stride(s->n_out), err);
    if (bias == NULL)
        return LINKD_E_NOMEM;
    return lk_loader_linear(l->tensors, s->dim, s->n_out, bias, ret_linear,
                            err);
}

int lk_stack_reserve(lk_loader *tensors, const lk_stack_sizes *sizes,
                     size_t n_out, size_t n_in, linkd_error *err)
{
    const size_t shapes[][2] = {{3 * sizes->dim, sizes->dim},
                                {sizes->n_inner, sizes->dim},
                                {sizes->dim, sizes->n_inner},
                                {sizes->n_out, sizes->dim},
                                {n_out, n_in}};

    return lk_loader_reserve(tensors, sizeof(shapes) / sizeof(*shapes), shapes,
                             err);
}

int lk_stack_load(lk_loader *tensors, const lk_stack_sizes *sizes,
                  const lk_stack_names *names, lk_stack *ret_stack,
                  linkd_error *err)
{
    loader l = {.tensors = tensors, .sizes = sizes, .names = names};
    int rc = LINKD_OK;

    *ret_stack = (lk_stack){.kernels = tensors->kernels,
                            .sizes = *sizes,
                            .heads = {.n_heads = sizes->n_heads,
                                      .head_dim = sizes->dim / sizes->n_heads}};
    ret_stack->layers = calloc(sizes->n_layers, sizeof(*ret_stack->layers));
    if (ret_stack->layers == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < sizes->n_layers && rc == LINKD_OK; i++)
        rc = layer_load(&l, i, &ret_stack->layers[i], err);
    if (rc == LINKD_OK && names->final_norm != NULL)
        rc = lk_loader_norm(tensors, names->final_norm, sizes->dim,
                            sizes->norm_epsilon, &ret_stack->final_norm, err);
    if (rc == LINKD_OK)
        rc = out_load(&l, &ret_stack->projection, err);
    return rc;
}

void lk_stack_clear(lk_stack *stack)
{
    free(stack->layers);
    *stack = (lk_stack){0};
}
