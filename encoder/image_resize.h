/* encoder/image_resize.h — Pillow's resize, to the bit. */
#ifndef LK_ENCODER_IMAGE_RESIZE_H
#define LK_ENCODER_IMAGE_RESIZE_H

#include "encoder/encoder.h"

/* Numbered as in Pillow and preprocessor_config.json. */
typedef enum lk_filter {
    LK_FILTER_LANCZOS = 1,
    LK_FILTER_BILINEAR = 2,
    LK_FILTER_BICUBIC = 3,
} lk_filter;

/* A part of an image. */
typedef struct lk_window {
    size_t left;
    size_t top;
    size_t width;
    size_t height;
} lk_window;

/* The window (inside and not empty) of what `image` is when it is resized to
 * `width` x `height`; the rest is not computed. `ret_image` is cleared by the
 * caller. LINKD_E_NOMEM. */
LINKD_MUST_CHECK int lk_image_resize(const linkd_image *image, size_t width,
                                     size_t height, const lk_window *window,
                                     lk_filter filter, linkd_image *ret_image,
                                     linkd_error *err);

#endif
