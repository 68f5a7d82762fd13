/* encoder/vision_pixels.h — the layer of an image model that reads pixels. */
#ifndef LK_ENCODER_VISION_PIXELS_H
#define LK_ENCODER_VISION_PIXELS_H

#include "encoder/image_prepare.h"
#include "encoder/model_pack.h"

/* A convolution with square kernels. Rescaling and normalising are folded into
 * it, so that it takes bytes. */
typedef struct lk_pixels {
    lk_linear linear; /* a row is [3, side, side] */
    size_t side;
    float padding[3]; /* the byte that is 0 once normalised, by colour */
} lk_pixels;

/* `<name>.weight` [dim, 3, side, side] and `<name>.bias`, which may be missing
 * unless `needs_bias`. LINKD_E_DATA: a tensor is missing or does not fit, or a
 * value is not finite. */
LINKD_MUST_CHECK int lk_pixels_load(lk_packer *packer,
                                    const lk_preparation *preparation,
                                    const char *name, bool needs_bias,
                                    size_t side, size_t dim,
                                    lk_pixels *ret_pixels, linkd_error *err);

/* The bytes under the kernel whose corner is at (x, y) to a row of
 * lk_stride(3 * side * side) floats. What lies outside the picture is padding. */
void lk_pixels_read(const lk_pixels *pixels, const linkd_image *image,
                    ptrdiff_t x, ptrdiff_t y, float *ret_row);

#endif
