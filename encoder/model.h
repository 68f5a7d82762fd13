/* encoder/model.h — a transformer's weights, packed for the kernels. */
#ifndef LK_ENCODER_MODEL_H
#define LK_ENCODER_MODEL_H

#include "encoder/config.h"
#include "encoder/dense.h"
#include "encoder/model_pack.h"
#include "encoder/rotary.h"

#include <stdbool.h>

typedef struct lk_layer {
    lk_linear projection; /* to query, key and value at once */
    lk_linear attention_out;
    lk_norm attention_norm; /* width 0: there is none */
    lk_linear ffn_in;
    lk_linear ffn_gate; /* what ffn_in's answer is multiplied by, where norms
                         * come first */
    lk_linear ffn_out;
    lk_norm ffn_norm;
    bool is_local; /* attends to a window only */
} lk_layer;

/* {0} holds nothing. */
typedef struct lk_model {
    const lk_kernels *kernels;
    lk_heads heads;
    size_t dim;
    size_t n_inner;
    lk_activation activation; /* between the feed-forward layer's halves */
    size_t max_tokens;
    const lk_tensor *words; /* [vocab_size, dim], looked up in the file */
    const float *positions; /* [max_tokens, lk_stride(dim)], with type 0 added;
                     * NULL: of a static table, which has no norm either, or
                     * where positions are turns */
    const lk_tensor *word_weights; /* [vocab_size] of a static table, or NULL */
    lk_norm embedding_norm;
    /* ModernBERT: norms stand before attention and feed-forward layer, and
     * queries and keys are turned by their position (encoder/rotary.h) */
    bool norms_first;
    const float *turns;
    const float *local_turns; /* of local layers */
    size_t window;            /* tokens to either side that these see */
    lk_norm final_norm;
    const lk_dense *dense; /* behind the pooling; NULL: nothing. Whoever has the
                            * model puts it here */
    lk_layer *layers;
    size_t n_layers;
    lk_block block; /* every number above but `words` */
    /* Where a pass notes the largest magnitude of each input:
     * [n_layers][lk_noted][lk_stride(dim)]. NULL, as it is unless somebody puts it
     * here: nowhere. */
    float *ranges;
    struct lk_clip_text *clip; /* in place of all but kernels, dim and
                                * max_tokens; or NULL */
} lk_model;

/* Packs the weights and gives the memory behind their file pages back. The
 * model borrows `weights` for its word table. `ranges` is what a pass of the same
 * weights noted, by which int8 tells inputs with outliers, or NULL. LINKD_E_DATA: a tensor is missing
 * or its shape does not fit `config`. */
LINKD_MUST_CHECK int lk_model_load(const lk_weights *weights,
                                   const lk_config *config,
                                   const lk_kernels *kernels,
                                   const float *ranges, lk_model *ret_model,
                                   linkd_error *err);
/* The same on the block of a model that was loaded from the same weights, with
 * the same configuration and kernels: borrows it, and reads no weights.
 * LINKD_E_DATA also: the block is not of that size. */
LINKD_MUST_CHECK int lk_model_place(const lk_weights *weights,
                                    const lk_config *config,
                                    const lk_kernels *kernels,
                                    const float *block, size_t n_floats,
                                    lk_model *ret_model, linkd_error *err);
void lk_model_clear(lk_model *model);

/* Loaders of a family, for model.c. `model` has its sizes and `layers`. */
LINKD_MUST_CHECK int lk_bert_load(lk_packer *packer, const lk_config *config,
                                  lk_model *model, linkd_error *err);
LINKD_MUST_CHECK int lk_modern_load(lk_packer *packer, const lk_config *config,
                                    lk_model *model, linkd_error *err);

#endif
