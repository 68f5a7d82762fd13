/* encoder/vision_config.h — what config.json says about an image model. */
#ifndef LK_ENCODER_VISION_CONFIG_H
#define LK_ENCODER_VISION_CONFIG_H

#include "encoder/stack.h"

typedef enum lk_vision_kind {
    LK_VISION_VIT,
    LK_VISION_DINOV2, /* layers are scaled, positions interpolated */
    LK_VISION_CLIP,   /* the tower for pictures, with its projection */
    LK_VISION_SWIN,   /* windows, and ever fewer and wider rows */
    LK_VISION_CCT, /* convolutions before, a weighted mean after the layers */
} lk_vision_kind;

enum { LK_SWIN_STAGES_MAX = 8 };

/* Of Swin; each stage's rows are twice as wide as those of the one before. */
typedef struct lk_swin_sizes {
    size_t n_stages;
    size_t n_layers[LK_SWIN_STAGES_MAX];
    size_t n_heads[LK_SWIN_STAGES_MAX];
    size_t window;    /* rows to a side */
    double mlp_ratio; /* of the widths of feed-forward layers and rows */
} lk_swin_sizes;

/* Of CCT's tokenizer: convolutions, each followed by a maximum over its
 * surroundings. */
typedef struct lk_cct_sizes {
    size_t n_convolutions;
    size_t n_planes; /* that all but the last make */
    size_t kernel, stride, padding;
    size_t pool_kernel, pool_stride, pool_padding;
    bool has_positions;
} lk_cct_sizes;

typedef struct lk_vision_config {
    lk_vision_kind kind;
    lk_stack_sizes sizes; /* of Swin those of the first stage */
    size_t image_side;    /* of the square pictures that positions are for */
    size_t patch_side;    /* of CCT as `kernel` */
    lk_swin_sizes swin;   /* of that kind only */
    lk_cct_sizes cct;     /* likewise */
} lk_vision_config;

/* Reads hostile bytes. LINKD_E_DATA: it is not JSON, a number is missing or
 * unusable, or the model is of a kind that is not supported. */
LINKD_MUST_CHECK int lk_vision_config_parse(const void *bytes, size_t len,
                                            lk_vision_config *ret_config,
                                            linkd_error *err);

/* Whether a model_type is that of an image model, and of which kind. */
bool lk_vision_kind_find(const char *model_type, lk_vision_kind *ret_kind);

/* The model_type: "vit", "dinov2", "clip", "swin" or "cct". */
const char *lk_vision_kind_name(lk_vision_kind kind);

#endif
