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
    const lk_stack_space *space;
    size_t n_rows;
} pass;

size_t lk_stack_dim(const lk_stack *stack)
{
    return stack->sizes.n_out > 0 ? stack->sizes.n_out : stack->sizes.dim;
}

static size_t wide_stride(const lk_stack *s, size_t n_wide)
{
    return lk_larger(
        lk_stride(lk_larger(n_wide, s->sizes.n_out)),
        lk_larger(lk_stride(3 * s->sizes.dim), lk_stride(s->sizes.n_inner)));
}

size_t lk_stack_floats(const lk_stack *stack, size_t n_rows, size_t n_longest,
                       size_t n_wide)
{
    const size_t dim = stack->sizes.dim;
    const size_t widest =
        lk_larger(n_wide, lk_larger(dim, stack->sizes.n_inner));
    const size_t kernel = lk_larger(
        lk_linear_scratch(stack->kernels, widest, n_rows),
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

void lk_stack_add(const lk_stack *stack, const float *addend, size_t n_rows,
                  float *x)
{
    const size_t n = n_rows * lk_stride(stack->sizes.dim);

    for (size_t i = 0; i < n; i++)
        x[i] += addend[i];
}

void lk_stack_normalise(const lk_stack *stack, const lk_norm *norm,
                        const lk_stack_space *space, size_t n_rows)
{
    const size_t n = n_rows * lk_stride(stack->sizes.dim);

    memset(space->context, 0, n * sizeof(*space->context));
    stack->kernels->add_norm(norm, space->x, n_rows, space->context);
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

        s->kernels->attention(&s->heads,
                              p->space->wide + row * lk_stride(3 * dim), n,
                              is_last ? b->wanted[i] + 1 : n, p->space->scratch,
                              p->space->context + row * lk_stride(dim));
    }
}

/* Keeps the wanted rows of x and context. */
static void reduce(pass *p)
{
    const size_t stride = lk_stride(p->stack->sizes.dim);
    const lk_stack_batch *b = p->batch;

    for (size_t i = 0; i < b->n; i++) {
        const size_t row = b->starts[i] - b->starts[0] + b->wanted[i];

        memmove(p->space->x + i * stride, p->space->x + row * stride,
                stride * sizeof(*p->space->x));
        memmove(p->space->context + i * stride,
                p->space->context + row * stride,
                stride * sizeof(*p->space->context));
    }
    p->n_rows = b->n;
}

void lk_stack_feed_forward(const lk_stack *stack, const lk_stack_layer *layer,
                           const lk_stack_space *space, size_t n_rows)
{
    const lk_kernels *kernels = stack->kernels;
    const size_t n = n_rows * lk_stride(stack->sizes.dim);

    lk_stack_normalise(stack, &layer->ffn_norm, space, n_rows);
    if (stack->sizes.restarts)
        memcpy(space->x, space->context, n * sizeof(*space->x));
    kernels->linear_activate(&layer->ffn_in, stack->sizes.activation,
                             space->context, n_rows, space->scratch,
                             space->wide);
    kernels->linear(&layer->ffn_out, space->wide, n_rows, space->scratch,
                    space->context);
    lk_stack_add(stack, space->context, n_rows, space->x);
}

static void layer_run(pass *p, const lk_stack_layer *layer, bool is_last)
{
    const lk_stack *s = p->stack;
    const lk_stack_space *space = p->space;

    lk_stack_normalise(s, &layer->attention_norm, space, p->n_rows);
    s->kernels->linear(&layer->projection, space->context, p->n_rows,
                       space->scratch, space->wide);
    attend(p, is_last);
    if (is_last)
        reduce(p);
    s->kernels->linear(&layer->attention_out, space->context, p->n_rows,
                       space->scratch, space->wide);
    lk_stack_add(s, space->wide, p->n_rows, space->x);
    lk_stack_feed_forward(s, layer, space, p->n_rows);
}

void lk_stack_vectors(const lk_stack *s, const lk_stack_space *space,
                      size_t n_rows, float *ret_vectors)
{
    const size_t dim = lk_stack_dim(s);
    float *rows = space->context;

    lk_stack_normalise(s, &s->final_norm, space, n_rows);
    if (s->sizes.n_out > 0) {
        s->kernels->linear(&s->projection, space->context, n_rows,
                           space->scratch, space->wide);
        rows = space->wide;
    }
    for (size_t i = 0; i < n_rows; i++) {
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
              .space = space,
              .n_rows = batch->starts[batch->n] - batch->starts[0]};

    for (size_t i = 0; i < stack->sizes.n_layers; i++)
        layer_run(&p, &stack->layers[i], i + 1 == stack->sizes.n_layers);
    lk_stack_vectors(stack, space, p.n_rows, ret_vectors);
}

void lk_stack_run_whole(const lk_stack *stack, const lk_stack_space *space,
                        size_t n_rows)
{
    const size_t starts[] = {0, n_rows};
    const lk_stack_batch batch = {.starts = starts, .n = 1};
    pass p = {
        .stack = stack, .batch = &batch, .space = space, .n_rows = n_rows};

    for (size_t i = 0; i < stack->sizes.n_layers; i++)
        layer_run(&p, &stack->layers[i], false);
    lk_stack_normalise(stack, &stack->final_norm, space, n_rows);
}
