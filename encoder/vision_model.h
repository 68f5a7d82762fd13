/* encoder/vision_model.h — an image transformer's weights, packed for the
 * kernels, and its forward pass. */
#ifndef LK_ENCODER_VISION_MODEL_H
#define LK_ENCODER_VISION_MODEL_H

#include "encoder/vision_config.h"
#include "encoder/vision_pixels.h"

/* {0} holds nothing. */
typedef struct lk_vision_model {
    lk_stack stack;
    size_t n_across; /* patches */
    size_t n_down;
    lk_pixels patches;
    const float *positions; /* [1 + n_down * n_across, lk_stride(dim)]; the
                             * first one has the class token added */
    lk_norm embedding_norm; /* of CLIP; width 0: there is none */
    size_t n_merged;        /* rows that each layer merges away */
} lk_vision_model;

/* Packs the weights for pictures as `preparation` leaves them. LINKD_E_DATA: a
 * tensor is missing or does not fit, a value is not finite, or the model is for
 * pictures of another size. Whatever it answers, lk_vision_model_clear() frees all
 * but the numbers. */
LINKD_MUST_CHECK int lk_vision_model_load(lk_packer *packer,
                                          const lk_vision_config *config,
                                          const lk_preparation *preparation,
                                          lk_vision_model *ret_model,
                                          linkd_error *err);
void lk_vision_model_clear(lk_vision_model *model);

/* Floats of scratch that one forward pass needs, 64-byte aligned. */
size_t lk_vision_scratch(const lk_vision_model *model);

/* One prepared picture to its unit vector [lk_stack_dim()]: that of the class
 * token. */
void lk_vision_forward(const lk_vision_model *model, const linkd_image *image,
                       float *scratch, float *ret_vector);

#endif
