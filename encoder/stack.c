/* encoder/stack.c — embedded rows through all layers of a pre-norm transformer.
 *
 * Norms stand before attention and before the feed-forward layer, and what these
 * answer is added to x. Of the last layer only one row of each sequence is
 * wanted: all rows are projected, since that one looks at their keys and values,
 * and from then on x and context have a row per sequence. */
#include "encoder/stack.h"

#include <string.h>

typedef struct pass {
    const lk_stack *stack;
    const lk_stack_batch *batch;
    size_t n_rows;
    float *x;
    float *context;
    float *wide;
    float *scratch;
} pass;

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

size_t lk_stack_dim(const lk_stack *stack)
{
    return stack->sizes.n_out > 0 ? stack->sizes.n_out : stack->sizes.dim;
}

static size_t wide_stride(const lk_stack *s, size_t n_wide)
{
    return larger(
        lk_stride(larger(n_wide, s->sizes.n_out)),
        larger(lk_stride(3 * s->sizes.dim), lk_stride(s->sizes.n_inner)));
}

size_t lk_stack_floats(const lk_stack *stack, size_t n_rows, size_t n_longest,
                       size_t n_wide)
{
    const size_t dim = stack->sizes.dim;
    const size_t widest = larger(n_wide, larger(dim, stack->sizes.n_inner));
    const size_t kernel =
        larger(lk_linear_scratch(stack->kernels, widest, n_rows),
               lk_attention_scratch(stack->kernels, &stack->heads, n_longest));

    return n_rows * (2 * lk_stride(dim) + wide_stride(stack, n_wide)) + kernel;
}

lk_stack_space lk_stack_cut(const lk_stack *stack, float *floats, size_t n_rows,
                            size_t n_wide)
{
    const size_t narrow = n_rows * lk_stride(stack->sizes.dim);
    float *wide = floats + 2 * narrow;

    return (lk_stack_space){.x = floats,
                            .context = floats + narrow,
                            .wide = wide,
                            .scratch =
                                wide + n_rows * wide_stride(stack, n_wide)};
}

static void rows_add(float *x, const float *addend, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] += addend[i];
}

/* context = norm(x) */
static void normalise(const pass *p, const lk_norm *norm)
{
    const size_t n = p->n_rows * lk_stride(p->stack->sizes.dim);

    memset(p->context, 0, n * sizeof(*p->context));
    p->stack->kernels->add_norm(norm, p->x, p->n_rows, p->context);
}

/* `is_last`: up to the wanted rows only. */
static void attend(const pass *p, bool is_last)
{
    const lk_stack *s = p->stack;
    const size_t dim = s->sizes.dim;
    const lk_stack_batch *b = p->batch;

    for (size_t i = 0; i < b->n; i++) {
        const size_t row = b->starts[i] - b->starts[0];
        const size_t n = b->starts[i + 1] - b->starts[i];

        s->kernels->attention(&s->heads, p->wide + row * lk_stride(3 * dim), n,
                              is_last ? b->wanted[i] + 1 : n, p->scratch,
                              p->context + row * lk_stride(dim));
    }
}

/* Keeps the wanted rows of x and context. */
static void reduce(pass *p)
{
    const size_t stride = lk_stride(p->stack->sizes.dim);
    const lk_stack_batch *b = p->batch;

    for (size_t i = 0; i < b->n; i++) {
        const size_t row = b->starts[i] - b->starts[0] + b->wanted[i];

        memmove(p->x + i * stride, p->x + row * stride, stride * sizeof(*p->x));
        memmove(p->context + i * stride, p->context + row * stride,
                stride * sizeof(*p->context));
    }
    p->n_rows = b->n;
}

static void layer_run(pass *p, const lk_stack_layer *layer, bool is_last)
{
    const lk_stack *s = p->stack;
    const size_t stride = lk_stride(s->sizes.dim);

    normalise(p, &layer->attention_norm);
    s->kernels->linear(&layer->projection, p->context, p->n_rows, p->scratch,
                       p->wide);
    attend(p, is_last);
    if (is_last)
        reduce(p);
    s->kernels->linear(&layer->attention_out, p->context, p->n_rows, p->scratch,
                       p->wide);
    rows_add(p->x, p->wide, p->n_rows * stride);
    normalise(p, &layer->ffn_norm);
    if (s->sizes.activation == LK_ACTIVATION_QUICK_GELU)
        s->kernels->linear_quick_gelu(&layer->ffn_in, p->context, p->n_rows,
                                      p->scratch, p->wide);
    else
        s->kernels->linear_gelu(&layer->ffn_in, p->context, p->n_rows,
                                p->scratch, p->wide);
    s->kernels->linear(&layer->ffn_out, p->wide, p->n_rows, p->scratch,
                       p->context);
    rows_add(p->x, p->context, p->n_rows * stride);
}

/* Rows of x to unit vectors. */
static void vectors_write(const pass *p, float *ret_vectors)
{
    const lk_stack *s = p->stack;
    const size_t dim = lk_stack_dim(s);
    float *rows = p->context;

    normalise(p, &s->final_norm);
    if (s->sizes.n_out > 0) {
        s->kernels->linear(&s->projection, p->context, p->n_rows, p->scratch,
                           p->wide);
        rows = p->wide;
    }
    for (size_t i = 0; i < p->n_rows; i++) {
        float *row = rows + i * lk_stride(dim);

        s->kernels->pool(row, 1, dim, row);
        memcpy(ret_vectors + i * dim, row, dim * sizeof(*row));
    }
}

void lk_stack_run(const lk_stack *stack, const lk_stack_batch *batch,
                  const lk_stack_space *space, float *ret_vectors)
{
    pass p = {.stack = stack,
              .batch = batch,
              .n_rows = batch->starts[batch->n] - batch->starts[0],
              .x = space->x,
              .context = space->context,
              .wide = space->wide,
              .scratch = space->scratch};

    for (size_t i = 0; i < stack->sizes.n_layers; i++)
        layer_run(&p, &stack->layers[i], i + 1 == stack->sizes.n_layers);
    vectors_write(&p, ret_vectors);
}
