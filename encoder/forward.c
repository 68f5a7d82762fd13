/* encoder/forward.c — packed tokens to unit vectors.
 *
 * The sequences of a batch lie one after the other, without padding: everything
 * but attention works on rows and does not care where a sequence ends, and
 * attention takes each sequence by itself at its true length. (The layout is
 * ByteTransformer's, arXiv 2210.03052; on a CPU no kernel has to be written for
 * it.) One worker runs all layers over a batch, whose rows stay in its L2
 * cache, while the weights stream by.
 *
 *   x       [rows, dim]       the residual stream
 *   wide    [rows, 3 dim]     query, key, value; then
 *           [rows, n_inner]   the feed-forward layer's inside
 *   context [rows, dim]       what attention answers
 *
 * ModernBERT's norms come first: what they make of x lies in context, x itself is
 * only added to, and gate [rows, n_inner] is what GELU's answer is multiplied by.
 *
 * With CLS pooling the last layer is asked for the first token of each sequence
 * alone. All tokens are projected, since it looks at their keys and values, and
 * from then on x, wide and context have a row per sequence. */
#include "encoder/forward.h"

#include "encoder/clip.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct pass {
    const lk_model *model;
    const lk_batch *batch;
    size_t n_rows;
    float *x;
    float *wide;
    float *context;
    float *gate;    /* where norms come first */
    float *scratch; /* of the kernel that runs */
    int is_reduced; /* to the first row of each sequence */
} pass;

void lk_scratch_clear(lk_scratch *scratch)
{
    free(scratch->floats);
    *scratch = (lk_scratch){0};
}

static size_t sequence_len(const lk_batch *batch, size_t i)
{
    return batch->starts[i + 1] - batch->starts[i];
}

/* Where the sequence's rows begin in x and context. */
static size_t first_row(const pass *p, size_t i)
{
    return p->is_reduced ? i : p->batch->starts[i] - p->batch->starts[0];
}

static size_t longest(const lk_batch *batch)
{
    size_t most = 0;

    for (size_t i = 0; i < batch->n; i++)
        if (sequence_len(batch, i) > most)
            most = sequence_len(batch, i);
    return most;
}

int lk_scratch_reserve(lk_scratch *scratch, size_t n_floats, linkd_error *err)
{
    if (n_floats <= scratch->capacity)
        return LINKD_OK;
    lk_scratch_clear(scratch);
    scratch->floats = lk_alloc_aligned(n_floats, sizeof(*scratch->floats));
    if (scratch->floats == NULL)
        return lk_fail_nomem(err);
    scratch->capacity = n_floats;
    return LINKD_OK;
}

static size_t kernel_scratch(const pass *p)
{
    const lk_model *model = p->model;
    const size_t widest =
        model->dim > model->n_inner ? model->dim : model->n_inner;
    const size_t linear = lk_linear_scratch(model->kernels, widest, p->n_rows);
    const size_t attention =
        lk_attention_scratch(model->kernels, &model->heads, longest(p->batch));

    const size_t dense =
        model->dense != NULL ? lk_dense_scratch(model->dense) : 0;
    const size_t most = linear > attention ? linear : attention;

    return most > dense ? most : dense;
}

static int pass_begin(pass *p, lk_scratch *scratch, linkd_error *err)
{
    const lk_model *model = p->model;
    const size_t narrow = lk_stride(model->dim);
    const size_t qkv = lk_stride(3 * model->dim);
    const size_t inner = lk_stride(model->n_inner);
    const size_t wide = qkv > inner ? qkv : inner;
    const size_t gate = model->norms_first ? inner : 0;
    int rc = lk_scratch_reserve(
        scratch, p->n_rows * (2 * narrow + wide + gate) + kernel_scratch(p),
        err);

    if (rc != LINKD_OK)
        return rc;
    p->x = scratch->floats;
    p->wide = p->x + p->n_rows * narrow;
    p->context = p->wide + p->n_rows * wide;
    p->gate = p->context + p->n_rows * narrow;
    p->scratch = p->gate + p->n_rows * gate;
    return LINKD_OK;
}

static void word_weigh(const lk_model *model, uint32_t id, float *x)
{
    float weight;

    lk_tensor_read(model->word_weights, id, 1, &weight);
    for (size_t k = 0; k < model->dim; k++)
        x[k] *= weight;
}

static void words_look_up(const lk_model *model, const lk_tokens *tokens,
                          float *ret_x)
{
    const size_t stride = lk_stride(model->dim);
    const size_t padding = stride - model->dim;

    for (size_t i = 0; i < tokens->n; i++, ret_x += stride) {
        lk_tensor_read(model->words, tokens->ids[i] * model->dim, model->dim,
                       ret_x);
        memset(ret_x + model->dim, 0, padding * sizeof(*ret_x));
        if (model->word_weights != NULL)
            word_weigh(model, tokens->ids[i], ret_x);
    }
}

/* x = norm(x), where norms come first. */
static void normalise_all(const pass *p, const lk_norm *norm)
{
    const size_t n = p->n_rows * lk_stride(p->model->dim);

    memset(p->context, 0, n * sizeof(*p->context));
    p->model->kernels->add_norm(norm, p->context, p->n_rows, p->x);
}

static void embed(const pass *p)
{
    const lk_model *model = p->model;
    const lk_batch *batch = p->batch;

    for (size_t i = 0; i < batch->n; i++) {
        float *x = p->x + (batch->starts[i] - batch->starts[0]) *
                              lk_stride(model->dim);

        words_look_up(model, &batch->sequences[i], x);
        if (model->positions == NULL)
            continue;
        model->kernels->add_norm(&model->embedding_norm, model->positions,
                                 sequence_len(batch, i), x);
    }
    if (model->norms_first)
        normalise_all(p, &model->embedding_norm);
}

static void attend(const pass *p, const lk_layer *layer)
{
    const lk_model *model = p->model;
    const lk_batch *batch = p->batch;
    lk_heads heads = model->heads;

    heads.window = layer->is_local ? model->window : 0;

    for (size_t i = 0; i < batch->n; i++) {
        size_t row = batch->starts[i] - batch->starts[0];
        size_t n = sequence_len(batch, i);

        model->kernels->attention(
            &heads, p->wide + row * lk_stride(3 * model->dim), n,
            p->is_reduced ? 1 : n, p->scratch,
            p->context + first_row(p, i) * lk_stride(model->dim));
    }
}

/* Keeps the first row of each sequence. */
static void reduce(pass *p)
{
    const size_t stride = lk_stride(p->model->dim);

    for (size_t i = 0; i < p->batch->n; i++)
        memmove(p->x + i * stride, p->x + first_row(p, i) * stride,
                stride * sizeof(*p->x));
    p->n_rows = p->batch->n;
    p->is_reduced = 1;
}

/* What the model's ranges are for, if it has some. */
static void note(const pass *p, const lk_layer *layer, lk_noted noted,
                 const float *x)
{
    const lk_model *model = p->model;
    const size_t stride = lk_stride(model->dim);
    const size_t at = 2 * (size_t)(layer - model->layers) + noted;

    for (size_t i = 0; model->ranges != NULL && i < p->n_rows; i++)
        for (size_t k = 0; k < model->dim; k++) {
            float *range = &model->ranges[at * stride + k];

            *range = fmaxf(*range, fabsf(x[i * stride + k]));
        }
}

static void layer_run(pass *p, const lk_layer *layer, int reduces)
{
    const lk_kernels *kernels = p->model->kernels;

    note(p, layer, LK_NOTED_PROJECTION, p->x);
    kernels->linear(&layer->projection, p->x, p->n_rows, p->scratch, p->wide);
    if (reduces)
        reduce(p);
    attend(p, layer);
    kernels->linear_add_norm(&layer->attention_out, &layer->attention_norm,
                             p->context, p->n_rows, p->scratch, p->x);
    note(p, layer, LK_NOTED_FFN_IN, p->x);
    kernels->linear_activate(&layer->ffn_in, p->model->activation, p->x,
                             p->n_rows, p->scratch, p->wide);
    kernels->linear_add_norm(&layer->ffn_out, &layer->ffn_norm, p->wide,
                             p->n_rows, p->scratch, p->x);
}

/* Queries and keys by their positions. */
static void turn(const pass *p, const lk_layer *layer)
{
    const lk_model *model = p->model;
    const lk_batch *batch = p->batch;
    const lk_heads *heads = &model->heads;
    const float *turns = layer->is_local ? model->local_turns : model->turns;

    for (size_t i = 0; i < batch->n; i++) {
        const size_t stride = lk_stride(3 * model->dim);
        float *row = p->wide + (batch->starts[i] - batch->starts[0]) * stride;

        for (size_t at = 0; at < sequence_len(batch, i); at++, row += stride)
            lk_rotary_turn(turns, at, 2 * heads->n_heads, heads->head_dim, row);
    }
}

static void rows_add(float *x, const float *addend, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] += addend[i];
}

/* norm(x), or x itself where the layer has no norm. */
static const float *normalised(const pass *p, const lk_norm *norm)
{
    const size_t n = p->n_rows * lk_stride(p->model->dim);

    if (norm->width == 0)
        return p->x;
    memset(p->context, 0, n * sizeof(*p->context));
    p->model->kernels->add_norm(norm, p->x, p->n_rows, p->context);
    return p->context;
}

static void gated_run(pass *p, const lk_layer *layer)
{
    const lk_kernels *kernels = p->model->kernels;
    const float *x = normalised(p, &layer->ffn_norm);
    const size_t n = p->n_rows * lk_stride(p->model->n_inner);

    note(p, layer, LK_NOTED_FFN_IN, x);
    kernels->linear_activate(&layer->ffn_in, p->model->activation, x, p->n_rows,
                             p->scratch, p->wide);
    kernels->linear(&layer->ffn_gate, x, p->n_rows, p->scratch, p->gate);
    for (size_t i = 0; i < n; i++)
        p->wide[i] *= p->gate[i];
    kernels->linear(&layer->ffn_out, p->wide, p->n_rows, p->scratch,
                    p->context);
}

static void modern_layer_run(pass *p, const lk_layer *layer, int reduces)
{
    const lk_kernels *kernels = p->model->kernels;
    const size_t stride = lk_stride(p->model->dim);
    const float *x = normalised(p, &layer->attention_norm);

    note(p, layer, LK_NOTED_PROJECTION, x);
    kernels->linear(&layer->projection, x, p->n_rows, p->scratch, p->wide);
    turn(p, layer);
    if (reduces)
        reduce(p);
    attend(p, layer);
    kernels->linear(&layer->attention_out, p->context, p->n_rows, p->scratch,
                    p->wide);
    rows_add(p->x, p->wide, p->n_rows * stride);
    gated_run(p, layer);
    rows_add(p->x, p->context, p->n_rows * stride);
}

static void layers_run(pass *p, lk_pooling pooling)
{
    const lk_model *model = p->model;

    for (size_t i = 0; i < model->n_layers; i++) {
        const lk_layer *layer = &model->layers[i];
        const int reduces =
            pooling == LK_POOLING_CLS && i + 1 == model->n_layers;

        if (model->norms_first)
            modern_layer_run(p, layer, reduces);
        else
            layer_run(p, layer, reduces);
    }
    if (model->norms_first)
        normalise_all(p, &model->final_norm);
}

/* The largest of each dimension over rows, in the first of them. */
static void rows_max(float *rows, size_t n_rows, size_t dim)
{
    for (size_t i = 1; i < n_rows; i++)
        for (size_t k = 0; k < dim; k++)
            if (rows[i * lk_stride(dim) + k] > rows[k])
                rows[k] = rows[i * lk_stride(dim) + k];
}

/* The mean of rows, in the first of them. */
static void rows_mean(float *rows, size_t n_rows, size_t dim)
{
    for (size_t k = 0; k < dim; k++) {
        double sum = 0.0;

        for (size_t i = 0; i < n_rows; i++)
            sum += (double)rows[i * lk_stride(dim) + k];
        rows[k] = (float)(sum / (double)n_rows);
    }
}

/* All but the mean over all rows is one over a single row. */
static void pool(const pass *p, lk_pooling pooling, float *ret_vectors)
{
    const lk_model *model = p->model;
    const lk_batch *batch = p->batch;

    for (size_t i = 0; i < batch->n; i++) {
        const size_t n_rows = sequence_len(batch, i);
        float *rows = p->x + first_row(p, i) * lk_stride(model->dim);

        if (pooling == LK_POOLING_LAST)
            rows += (n_rows - 1) * lk_stride(model->dim);
        if (pooling == LK_POOLING_MAX)
            rows_max(rows, n_rows, model->dim);
        if (model->dense != NULL) {
            if (pooling == LK_POOLING_MEAN)
                rows_mean(rows, n_rows, model->dim);
            lk_dense_run(model->dense, rows, p->scratch,
                         ret_vectors + i * model->dense->dim);
            continue;
        }
        model->kernels->pool(rows, pooling == LK_POOLING_MEAN ? n_rows : 1,
                             model->dim, p->context);
        memcpy(ret_vectors + i * model->dim, p->context,
               model->dim * sizeof(*ret_vectors));
    }
}

int lk_forward(const lk_model *model, lk_pooling pooling, const lk_batch *batch,
               lk_scratch *scratch, float *ret_vectors, linkd_error *err)
{
    pass p = {.model = model,
              .batch = batch,
              .n_rows = batch->starts[batch->n] - batch->starts[0]};
    int rc;

    if (model->clip != NULL)
        return lk_clip_text_forward(model->clip, batch, scratch, ret_vectors,
                                    err);
    rc = pass_begin(&p, scratch, err);
    if (rc != LINKD_OK)
        return rc;
    embed(&p);
    layers_run(&p, pooling);
    pool(&p, pooling, ret_vectors);
    return LINKD_OK;
}
