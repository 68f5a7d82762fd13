/* encoder/stack.h — the layers of a pre-norm transformer: those of ViT, DINOv2,
 * both towers of CLIP and CCT, and in parts those of Swin.
 *
 *   x ─► [ + attention(norm x) ─► + feed-forward(norm x) ] … ─► one row of each
 *        sequence ─► norm ─► projection, where there is one ─► length 1 */
#ifndef LK_ENCODER_STACK_H
#define LK_ENCODER_STACK_H

#include "encoder/model_pack.h"

static inline size_t lk_larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

typedef struct lk_stack_sizes {
    size_t dim;
    size_t n_inner; /* width of the feed-forward layer */
    size_t n_layers;
    size_t n_heads;
    size_t n_out; /* of the projection; 0: there is none */
    float norm_epsilon;
    lk_activation activation;
    bool restarts; /* the feed-forward layer's answer is added to norm x, not to
                    * x, as CCT has it */
} lk_stack_sizes;

/* What a checkpoint calls its tensors. A layer's parts follow `layers` and the
 * layer's number, the rest stands alone. */
typedef struct lk_stack_names {
    const char *layers;
    const char *query_key_value[3]; /* or the first alone: all three in one */
    const char *attention_norm, *attention_out, *attention_scale;
    const char *ffn_norm, *ffn_in, *ffn_out, *ffn_scale;
    const char *final_norm; /* NULL: there is none */
    const char *projection; /* without the packer's prefix */
} lk_stack_names;

/* Of both towers of CLIP. */
#define LK_CLIP_STACK_NAMES(norm, out)                                         \
 {                                                                             \
  .layers = "encoder.layers",                                                  \
  .query_key_value = {"self_attn.q_proj", "self_attn.k_proj",                  \
                      "self_attn.v_proj"},                                     \
  .attention_norm = "layer_norm1", .attention_out = "self_attn.out_proj",      \
  .ffn_norm = "layer_norm2", .ffn_in = "mlp.fc1", .ffn_out = "mlp.fc2",        \
  .final_norm = (norm), .projection = (out)                                    \
 }

typedef struct lk_stack_layer {
    lk_norm attention_norm; /* before, not after: the residual stream itself */
    lk_linear projection;   /* is never normalised */
    lk_linear attention_out;
    lk_norm ffn_norm;
    lk_linear ffn_in;
    lk_linear ffn_out;
} lk_stack_layer;

/* {0} holds nothing. */
typedef struct lk_stack {
    const lk_kernels *kernels;
    lk_stack_sizes sizes;
    lk_heads heads; /* the caller may add distances */
    lk_stack_layer *layers;
    lk_norm final_norm;
    lk_linear projection; /* n_out 0: there is none */
} lk_stack;

/* Numbers of a vector. */
size_t lk_stack_dim(const lk_stack *stack);

/* Packs the layers. On failure `ret_stack` may hold a part, to be cleared.
 * LINKD_E_DATA: a tensor is missing or does not fit, or a value is not finite. */
LINKD_MUST_CHECK int lk_stack_load(lk_packer *packer,
                                   const lk_stack_sizes *sizes,
                                   const lk_stack_names *names,
                                   lk_stack *ret_stack, linkd_error *err);
/* Frees all but the numbers. */
void lk_stack_clear(lk_stack *stack);

/* Sequences one after the other, without padding. */
typedef struct lk_stack_batch {
    const size_t *starts; /* [n + 1]; only their differences count */
    const size_t *wanted; /* [n] the row of each that becomes its vector */
    size_t n;
} lk_stack_batch;

/* A forward pass' memory, cut from one run of floats. */
typedef struct lk_stack_space {
    float *x;       /* [rows, dim] the residual stream */
    float *context; /* [rows, dim] normalised rows; what attention answers */
    float *wide;    /* [rows, widest] query, key, value; inside feed-forward */
    float *scratch; /* of the kernel that runs */
} lk_stack_space;

/* Floats that a pass over n_rows rows takes whose longest sequence has n_longest,
 * where `wide` also has to hold rows of n_wide numbers that go into a layer. */
size_t lk_stack_floats(const lk_stack *stack, size_t n_rows, size_t n_longest,
                       size_t n_wide);
/* Cuts as many of them, 64-byte aligned. */
lk_stack_space lk_stack_cut(const lk_stack *stack, float *floats, size_t n_rows,
                            size_t n_wide);

/* x holds the embedded rows, and is overwritten.
 *   ret_vectors  [n, lk_stack_dim()], every row of length 1 */
void lk_stack_run(const lk_stack *stack, const lk_stack_batch *batch,
                  const lk_stack_space *space, float *ret_vectors);

/* One sequence of n_rows embedded rows in x, through all layers and the final
 * norm into context. */
void lk_stack_run_whole(const lk_stack *stack, const lk_stack_space *space,
                        size_t n_rows);

/* Parts of a pass over n_rows rows: context = norm x, x += feed-forward, x +=
 * addend, and rows of x to unit vectors [n_rows, lk_stack_dim()]. */
void lk_stack_normalise(const lk_stack *stack, const lk_norm *norm,
                        const lk_stack_space *space, size_t n_rows);
void lk_stack_feed_forward(const lk_stack *stack, const lk_stack_layer *layer,
                           const lk_stack_space *space, size_t n_rows);
void lk_stack_add(const lk_stack *stack, const float *addend, size_t n_rows,
                  float *x);
void lk_stack_vectors(const lk_stack *stack, const lk_stack_space *space,
                      size_t n_rows, float *ret_vectors);

#endif
