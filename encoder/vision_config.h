/* encoder/vision_config.h — what config.json says about an image model. */
#ifndef LK_ENCODER_VISION_CONFIG_H
#define LK_ENCODER_VISION_CONFIG_H

#include "encoder/stack.h"

typedef enum lk_vision_kind {
    LK_VISION_VIT,
    LK_VISION_DINOV2, /* layers are scaled, positions interpolated */
    LK_VISION_CLIP,   /* the tower for pictures, with its projection */
} lk_vision_kind;

typedef struct lk_vision_config {
    lk_vision_kind kind;
    lk_stack_sizes sizes;
    size_t image_side; /* of the square pictures that positions are for */
    size_t patch_side;
} lk_vision_config;

/* Reads hostile bytes. LINKD_E_DATA: it is not JSON, a number is missing or
 * unusable, or the model is of a kind that is not supported. */
LINKD_MUST_CHECK int lk_vision_config_parse(const void *bytes, size_t len,
                                            lk_vision_config *ret_config,
                                            linkd_error *err);

/* "vit", "dinov2" or "clip" */
const char *lk_vision_kind_name(lk_vision_kind kind);

#endif
