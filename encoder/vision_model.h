/* encoder/vision_model.h — an image transformer's weights, packed for the
 * kernels, and its forward pass. */
#ifndef LK_ENCODER_VISION_MODEL_H
#define LK_ENCODER_VISION_MODEL_H

#include "encoder/image_prepare.h"
#include "encoder/kernels.h"
#include "encoder/vision_config.h"
#include "encoder/weights.h"

typedef struct lk_vision_layer {
    lk_norm attention_norm; /* before, not after: the residual stream itself */
    lk_linear projection;   /* is never normalised */
    lk_linear attention_out;
    lk_norm ffn_norm;
    lk_linear ffn_in;
    lk_linear ffn_out;
} lk_vision_layer;

/* {0} holds nothing. */
typedef struct lk_vision_model {
    const lk_kernels *kernels;
    lk_heads heads;
    size_t dim;
    size_t n_inner;
    size_t patch_side;
    size_t n_across; /* patches */
    size_t n_down;
    lk_linear patches;      /* bytes of a patch to a row: [3, side, side] */
    const float *positions; /* [1 + n_down * n_across, lk_stride(dim)]; the
                             * first one has the class token added */
    lk_vision_layer *layers;
    size_t n_layers;
    lk_norm final_norm;
    void **blocks; /* all numbers above */
    size_t n_blocks;
    size_t blocks_capacity;
} lk_vision_model;

/* Packs the weights for pictures as `preparation` leaves them. LINKD_E_DATA: a
 * tensor is missing or does not fit, a value is not finite, or the model is for
 * pictures of another size. */
LINKD_MUST_CHECK int lk_vision_model_load(const lk_weights *weights,
                                          const lk_vision_config *config,
                                          const lk_preparation *preparation,
                                          const lk_kernels *kernels,
                                          lk_vision_model *ret_model,
                                          linkd_error *err);
void lk_vision_model_clear(lk_vision_model *model);

/* Floats of scratch that one forward pass needs, 64-byte aligned. */
size_t lk_vision_scratch(const lk_vision_model *model);

/* One prepared picture to its unit vector [dim]: that of the class token. */
void lk_vision_forward(const lk_vision_model *model, const linkd_image *image,
                       float *scratch, float *ret_vector);

#endif
