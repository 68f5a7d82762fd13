/* encoder/image_prepare.h — what preprocessor_config.json says is done to a
 * picture before the model sees it. */
#ifndef LK_ENCODER_IMAGE_PREPARE_H
#define LK_ENCODER_IMAGE_PREPARE_H

#include "encoder/image_resize.h"

/* Resize, cut out the centre, then scale * byte + shift. */
typedef struct lk_preparation {
    bool resizes;
    bool crops;
    lk_filter filter;
    size_t shortest_edge; /* the shorter side's new length, or 0: then */
    size_t width;         /* the new size itself */
    size_t height;
    size_t out_width; /* of every prepared picture */
    size_t out_height;
    float scales[3]; /* of red, green and blue */
    float shifts[3];
} lk_preparation;

/* Reads hostile bytes. LINKD_E_DATA: it is not JSON, asks for what is not
 * supported, or leaves pictures of different sizes; the message says which. */
LINKD_MUST_CHECK int lk_preparation_parse(const void *bytes, size_t len,
                                          lk_preparation *ret_preparation,
                                          linkd_error *err);

/* Resizes and crops: what transformers' image processor, the slow one that uses
 * Pillow, does to the same picture, to the bit. `ret_image` has out_width x
 * out_height pixels and is cleared by the caller. LINKD_E_NOMEM. */
LINKD_MUST_CHECK int lk_image_prepare(const lk_preparation *preparation,
                                      const linkd_image *image,
                                      linkd_image *ret_image, linkd_error *err);

#endif
