/* encoder/vision_merge.c — layers whose rows become fewer.
 *
 *   norm ─► query, key, value ─► attention + log2 size ─► match by keys ─► merge
 *   x and context ─► attention's output, + x ─► feed-forward
 *
 * Rows merge before attention's output, not after it as in the paper: that layer
 * is linear and the weights of a mean add up to 1, so nothing changes but that it
 * has fewer rows. In the last layer, of which one row is wanted, none do. Where we
 * differ: keys come without their bias (stack_load.c), so likeness is measured from
 * another origin. What is left is in the paper's order, first the rows that were
 * compared and stay, then those they were compared with: the next layer pairs
 * them by it. */
#include "encoder/vision_merge.h"

#include <math.h>
#include <string.h>

/* A row that has found nobody. */
#define NOBODY (-2.0F)

/* ---- memory ------------------------------------------------------------- */

static size_t left_count(size_t n_rows)
{
    return (n_rows + 1) / 2;
}

static size_t panels_count(const lk_stack *stack, size_t n_rows)
{
    const size_t width = stack->kernels->panel_width;

    return (n_rows / 2 + width - 1) / width;
}

/* Of n_rows numbers. */
static size_t row_floats(size_t n_rows)
{
    return lk_round_up(n_rows, LK_STRIDE_UNIT);
}

static size_t left_floats(const lk_stack *stack, size_t n_rows)
{
    return left_count(n_rows) * lk_stride(stack->heads.head_dim);
}

static size_t right_floats(const lk_stack *stack, size_t n_rows)
{
    return row_floats(panels_count(stack, n_rows) *
                      stack->kernels->panel_width * stack->heads.head_dim);
}

static size_t panel_floats(const lk_stack *stack, size_t n_rows)
{
    return row_floats(panels_count(stack, n_rows) *
                      lk_panel_floats(stack->kernels, stack->heads.head_dim));
}

size_t lk_merge_floats(const lk_stack *stack, size_t n_rows)
{
    return 6 * row_floats(n_rows) + left_floats(stack, n_rows) +
           right_floats(stack, n_rows) + panel_floats(stack, n_rows) +
           left_count(n_rows) * lk_stride(n_rows / 2);
}

lk_merge_space lk_merge_cut(const lk_stack *stack, float *floats, size_t n_rows)
{
    lk_merge_space m = {.sizes = floats};

    m.log_sizes = m.sizes + row_floats(n_rows);
    m.totals = m.log_sizes + row_floats(n_rows);
    m.best = m.totals + row_floats(n_rows);
    m.no_bias = m.best + row_floats(n_rows);
    m.targets = (uint32_t *)(void *)(m.no_bias + row_floats(n_rows));
    m.left = m.no_bias + 2 * row_floats(n_rows);
    m.right = m.left + left_floats(stack, n_rows);
    m.panels = m.right + right_floats(stack, n_rows);
    m.scores = m.panels + panel_floats(stack, n_rows);
    memset(m.no_bias, 0, row_floats(n_rows) * sizeof(*m.no_bias));
    for (size_t i = 0; i < n_rows; i++) {
        m.sizes[i] = 1.0F;
        m.log_sizes[i] = 0.0F;
    }
    return m;
}

/* ---- who is most alike -------------------------------------------------- */

/* The direction of the mean of a row's keys over all heads. */
static void key_direction(const lk_heads *heads, const float *row,
                          float *ret_direction)
{
    const size_t dim = heads->head_dim;
    const float *keys = row + heads->n_heads * dim;
    float squares = 0.0F, scale;

    memcpy(ret_direction, keys, dim * sizeof(*keys));
    for (size_t h = 1; h < heads->n_heads; h++)
        for (size_t k = 0; k < dim; k++)
            ret_direction[k] += keys[h * dim + k];
    for (size_t k = 0; k < dim; k++)
        squares += ret_direction[k] * ret_direction[k];
    scale = squares > 0.0F ? 1.0F / sqrtf(squares) : 0.0F;
    for (size_t k = 0; k < dim; k++)
        ret_direction[k] *= scale;
}

/* Cosines of rows 0, 2, 4, … with rows 1, 3, 5, …, by the kernel of a layer. */
static void scores_fill(const lk_stack *stack, const lk_merge_space *m,
                        const float *wide, size_t n_rows, float *scratch)
{
    const lk_kernels *kernels = stack->kernels;
    const size_t dim = stack->heads.head_dim;
    const size_t stride = lk_stride(3 * stack->sizes.dim);
    const size_t n_panels = panels_count(stack, n_rows);
    const size_t panel = lk_panel_floats(kernels, dim);
    const lk_linear linear = {.n_in = dim,
                              .n_out = n_rows / 2,
                              .panels = m->panels,
                              .bias = m->no_bias};

    memset(m->right, 0, right_floats(stack, n_rows) * sizeof(*m->right));
    for (size_t i = 0; i < n_rows; i += 2)
        key_direction(&stack->heads, wide + i * stride,
                      m->left + i / 2 * lk_stride(dim));
    for (size_t i = 1; i < n_rows; i += 2)
        key_direction(&stack->heads, wide + i * stride, m->right + i / 2 * dim);
    for (size_t i = 0; i < n_panels; i++)
        kernels->pack(m->right + i * kernels->panel_width * dim, dim,
                      m->panels + i * panel);
    kernels->linear(&linear, m->left, left_count(n_rows), scratch, m->scores);
}

static size_t largest(const float *values, size_t n)
{
    size_t at = 0;

    for (size_t i = 1; i < n; i++)
        at = values[i] > values[at] ? i : at;
    return at;
}

/* Numbers what is left, once those that go have their targets, and adds sizes up. */
static void targets_fill(const lk_merge_space *m, size_t n_rows, size_t n_stay)
{
    uint32_t next = 0;

    memset(m->totals, 0, n_rows * sizeof(*m->totals));
    for (size_t i = 0; i < n_rows; i++) {
        if (i % 2 == 1)
            m->targets[i] = (uint32_t)(n_stay + i / 2);
        else if (m->targets[i] == UINT32_MAX)
            m->targets[i] = next++;
        m->totals[m->targets[i]] += m->sizes[i];
    }
}

size_t lk_merge_match(const lk_stack *stack, const lk_merge_space *m,
                      const float *wide, size_t n_rows, size_t n_merged,
                      float *scratch)
{
    const size_t n_left = left_count(n_rows);
    const size_t n_right = n_rows / 2;
    const size_t stride = lk_stride(n_right);
    const size_t most = n_left - 1 < n_right ? n_left - 1 : n_right;
    const size_t n = n_merged < most ? n_merged : most;

    if (n > 0)
        scores_fill(stack, m, wide, n_rows, scratch);
    for (size_t i = 0; i < n_left; i++) {
        const float *row = m->scores + i * stride;

        m->targets[2 * i] = UINT32_MAX;
        m->best[i] = i == 0 || n == 0 ? NOBODY : row[largest(row, n_right)];
    }
    for (size_t i = 0; i < n; i++) {
        const size_t left = largest(m->best, n_left);
        const size_t right = largest(m->scores + left * stride, n_right);

        m->targets[2 * left] = (uint32_t)(n_left - n + right);
        m->best[left] = NOBODY;
    }
    targets_fill(m, n_rows, n_left - n);
    return n_rows - n;
}

/* ---- rows become one ---------------------------------------------------- */

void lk_merge_rows(const lk_merge_space *m, size_t n_rows, size_t n_left,
                   size_t dim, float *scratch, float *x)
{
    const size_t stride = lk_stride(dim);

    memset(scratch, 0, n_left * stride * sizeof(*scratch));
    for (size_t i = 0; i < n_rows; i++) {
        float *out = scratch + m->targets[i] * stride;
        const float share = m->sizes[i] / m->totals[m->targets[i]];

        for (size_t k = 0; k < dim; k++)
            out[k] += share * x[i * stride + k];
    }
    memcpy(x, scratch, n_left * stride * sizeof(*x));
}

void lk_merge_sizes(const lk_merge_space *m, size_t n_left)
{
    for (size_t i = 0; i < n_left; i++) {
        m->sizes[i] = m->totals[i];
        m->log_sizes[i] = log2f(m->sizes[i]);
    }
}

/* ---- the pass ----------------------------------------------------------- */

typedef struct pass {
    const lk_stack *stack;
    const lk_stack_space *space;
    const lk_merge_space *merge;
    size_t n_rows;
    size_t n_merged; /* by every layer */
} pass;

static void merge_away(pass *p)
{
    const size_t dim = p->stack->sizes.dim;
    const lk_stack_space *space = p->space;
    const size_t n_left =
        lk_merge_match(p->stack, p->merge, space->wide, p->n_rows, p->n_merged,
                       space->scratch);

    if (n_left == p->n_rows)
        return;
    lk_merge_rows(p->merge, p->n_rows, n_left, dim, space->wide, space->x);
    lk_merge_rows(p->merge, p->n_rows, n_left, dim, space->wide,
                  space->context);
    lk_merge_sizes(p->merge, n_left);
    p->n_rows = n_left;
}

static void layer_run(pass *p, const lk_stack_layer *layer, bool is_last)
{
    const lk_stack *s = p->stack;
    const lk_stack_space *space = p->space;
    lk_heads heads = s->heads;

    heads.key_biases = p->merge->log_sizes;
    lk_stack_normalise(s, &layer->attention_norm, space, p->n_rows);
    s->kernels->linear(&layer->projection, space->context, p->n_rows,
                       space->scratch, space->wide);
    s->kernels->attention(&heads, space->wide, p->n_rows,
                          is_last ? 1 : p->n_rows, space->scratch,
                          space->context);
    if (is_last)
        p->n_rows = 1;
    else
        merge_away(p);
    s->kernels->linear(&layer->attention_out, space->context, p->n_rows,
                       space->scratch, space->wide);
    lk_stack_add(s, space->wide, p->n_rows, space->x);
    lk_stack_feed_forward(s, layer, space, p->n_rows);
}

void lk_merge_run(const lk_stack *stack, const lk_stack_space *space,
                  const lk_merge_space *merge, size_t n_rows, size_t n_merged,
                  float *ret_vector)
{
    pass p = {.stack = stack,
              .space = space,
              .merge = merge,
              .n_rows = n_rows,
              .n_merged = n_merged};

    for (size_t i = 0; i < stack->sizes.n_layers; i++)
        layer_run(&p, &stack->layers[i], i + 1 == stack->sizes.n_layers);
    lk_stack_vectors(stack, space, p.n_rows, ret_vector);
}
