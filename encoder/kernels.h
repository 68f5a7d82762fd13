/* encoder/kernels.h — the arithmetic of a transformer layer, one table of
 * functions per instruction set.
 *
 * Every table of precision f32 gives the same bits: the functions are written
 * once (kernels_impl.h) over a vector of 16 floats, every multiply-add is one
 * fused operation, and sums are taken in one fixed order. A table of precision
 * bf16 rounds weights and the linear layers' inputs to 8 significant bits, and so
 * attention's queries, keys, values and what weighs them; one of int8 rounds weights
 * and inputs to bytes; and they do the rest as f32 does, but for int8's GELU. Tables
 * of int8 give the same bits, too. In all of them a row depends on itself alone.
 * Nothing here allocates.
 *
 * Activations are row-major float arrays. A row of `width` numbers takes
 * lk_stride(width) floats; the numbers past `width` are zero or unread. */
#ifndef LK_ENCODER_KERNELS_H
#define LK_ENCODER_KERNELS_H

#include "base/base.h"

/* Rows are padded to this many floats: the widest panel of any table, so that
 * a panel is always stored whole. */
#define LK_STRIDE_UNIT ((size_t)64)

static inline size_t lk_round_up(size_t n, size_t unit)
{
    return (n + unit - 1) / unit * unit;
}

/* Floats from one row of `width` numbers to the next. */
static inline size_t lk_stride(size_t width)
{
    return lk_round_up(width, LK_STRIDE_UNIT);
}

/* y = W x + b. The matrix lies in panels of `panel_width` outputs, so that the
 * inner loop reads it straight through; outputs past n_out are zero rows.
 *   f32   panels [n_panels][n_in][panel_width] floats
 *   bf16  panels [n_panels][n_in / 2][panel_width] pairs of inputs, 2 bytes each;
 *         of an odd n_in the last pair has a zero
 *   int8  panels [scales, sums, lk_stride(n_in) / 4][panel_width]: each output's
 *         scale, the sum of its bytes, and quartets of bytes, 16 inputs from one
 *         to the next, with zeros past n_in; inputs are mixed (kernels_bytes.h) */
typedef struct lk_linear {
    size_t n_in;
    size_t n_out;
    const float *panels; /* lk_panel_floats() for each */
    const float *bias;   /* [lk_stride(n_out)], zero past n_out */
    /* int8: what inputs are multiplied by before they are rounded, and the
     * panels' weights were divided by: [lk_stride(n_in)]. NULL: nothing. */
    const float *input_scales;
} lk_linear;

/* y = (x - mean) / sqrt(variance + epsilon) * gamma + beta */
typedef struct lk_norm {
    size_t width;
    float epsilon;
    const float *gamma; /* [lk_stride(width)], zero past width */
    const float *beta;  /* likewise */
} lk_norm;

/* Where a token's query, key and value lie in a row of the fused projection:
 * [query | key | value], each n_heads * head_dim wide. Queries come scaled by
 * log2(e) / sqrt(head_dim), so that softmax is a plain power of two. */
typedef struct lk_heads {
    size_t n_heads;
    size_t head_dim;
    /* What is added to a score, by how far the key is from the query, times
     * log2(e): of head h and the key d tokens on at
     * distances[h * distance_stride + n_distances + d]. NULL: nothing. */
    const float *distances;
    size_t distance_stride;
    size_t n_distances; /* one less than the most tokens */
    /* What else is added, by query and key, times log2(e): of head h
     * biases[(h * n_tokens + query) * n_tokens + key], and of every head
     * mask[query * n_tokens + key]. NULL: nothing. */
    const float *biases;
    const float *mask;
    /* And by key alone: [n_tokens], of every head. NULL: nothing. */
    const float *key_biases;
    /* A query sees that many keys to either side of its own, and no others; 0:
     * all. */
    size_t window;
} lk_heads;

/* What goes between two layers, number by number. */
typedef enum lk_activation {
    LK_ACTIVATION_GELU, /* x Phi(x), Phi the normal distribution function */
    LK_ACTIVATION_GELU_TANH, /* x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2 */
    LK_ACTIVATION_QUICK_GELU, /* x / (1 + e^(-1.702 x)) */
    LK_ACTIVATION_NONE,
} lk_activation;

typedef struct lk_kernels {
    const char *isa;
    const char *precision;
    size_t panel_width;
    size_t tile_rows; /* rows that the inner loop takes at once */
    size_t step;      /* inputs in 4 bytes: 1, 2 or 4 */

    /* Rows [panel_width, n_in] of a weight matrix to one panel. */
    void (*pack)(const float *rows, size_t n_in, float *ret_panel);

    /* y = W x + b for n_rows rows.
     *   scratch  lk_linear_scratch() floats, 64-byte aligned */
    void (*linear)(const lk_linear *linear, const float *x, size_t n_rows,
                   float *scratch, float *ret_y);
    /* y = activation(W x + b), to 1e-6; GELU of int8, whose next layer rounds it
     * to bytes, to 1.7e-4. */
    void (*linear_activate)(const lk_linear *linear, lk_activation activation,
                            const float *x, size_t n_rows, float *scratch,
                            float *ret_y);
    /* y = norm(y + W x + b): the residual is updated in place. */
    void (*linear_add_norm)(const lk_linear *linear, const lk_norm *norm,
                            const float *x, size_t n_rows, float *scratch,
                            float *y);
    /* y = norm(y + addend), for n_rows rows of both. */
    void (*add_norm)(const lk_norm *norm, const float *addend, size_t n_rows,
                     float *y);

    /* Self-attention of one sequence: what its first n_queries tokens take
     * from all of them.
     *   qkv          [n_tokens, lk_stride(3 * width)]
     *   scratch      lk_attention_scratch() floats, 64-byte aligned
     *   ret_context  [n_queries, lk_stride(width)] */
    void (*attention)(const lk_heads *heads, const float *qkv, size_t n_tokens,
                      size_t n_queries, float *scratch, float *ret_context);

    /* The unit vector along the sum of n_rows rows: their mean's direction.
     * ret_vector holds lk_stride(width) floats, and may be the first row. */
    void (*pool)(const float *x, size_t n_rows, size_t width,
                 float *ret_vector);
} lk_kernels;

/* Floats that a panel of weights takes. */
size_t lk_panel_floats(const lk_kernels *kernels, size_t n_in);

/* Scratch floats that a linear layer over `n_rows` rows needs. */
size_t lk_linear_scratch(const lk_kernels *kernels, size_t n_in, size_t n_rows);

/* Scratch floats that attention over `n_tokens` needs. */
size_t lk_attention_scratch(const lk_kernels *kernels, const lk_heads *heads,
                            size_t n_tokens);

/* Rows per pass over the weights at most: so many of 1,536 floats are 864 KiB,
 * which leaves a panel its room in an L2 cache of 1 MiB. Passes share the rows
 * evenly: one over a single row, of 257, would read all weights for it. */
#define LK_BLOCK_ROWS ((size_t)144)

/* The table that `isa` names, or for NULL the fastest that this processor can
 * run; of that precision ("f32", "bf16" or "int8"), or for NULL of f32 or bf16.
 * "scalar" runs everywhere and has all three, f32 for NULL; it is bf16's only
 * where it is named, since it is a reference and far slower than f32.
 * LINKD_E_ARG: a name is unknown, or the processor lacks what is asked for. */
LINKD_MUST_CHECK int lk_kernels_choose(const char *isa, const char *precision,
                                       const lk_kernels **ret_kernels,
                                       linkd_error *err);
/* The same for a model that is opened: $LINKD_ISA names the table, and
 * $LINKD_PRECISION the precision if `precision` is NULL; "auto" is as NULL. */
LINKD_MUST_CHECK int lk_kernels_wanted(const char *precision,
                                       const lk_kernels **ret_kernels,
                                       linkd_error *err);

#endif
