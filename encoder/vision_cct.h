/* encoder/vision_cct.h — CCT (Hassani et al. 2021, "Escaping the Big Data Paradigm
 * with Compact Transformers"): convolutions instead of patches, and a weighted
 * mean of all rows instead of a class token. */
#ifndef LK_ENCODER_VISION_CCT_H
#define LK_ENCODER_VISION_CCT_H

#include "encoder/vision_config.h"
#include "encoder/vision_pixels.h"

/* Square maps: a row of lk_stride(planes) floats for every place. */
typedef struct lk_cct_convolution {
    lk_linear linear; /* a row is [kernel, kernel, planes before]; of the first
                         * one, that reads pixels, [3, kernel, kernel] */
    size_t n_planes;  /* before */
    size_t side;      /* of the map before */
    size_t side_out;  /* after the convolution */
    size_t side_pooled; /* and after the maximum over surroundings */
} lk_cct_convolution;

/* {0} holds nothing. */
typedef struct lk_cct {
    lk_cct_sizes sizes;
    lk_pixels pixels; /* the first convolution's */
    lk_cct_convolution *convolutions;
    lk_stack stack;
    const float *positions; /* [side_pooled^2, lk_stride(dim)], or NULL */
    const float *attention; /* [dim] the rows' weights are the softmax of their
                             * products with it; times log2(e) */
} lk_cct;

/* Packs the weights for pictures as `preparation` leaves them. LINKD_E_DATA: a
 * tensor is missing or does not fit, a value is not finite, or the model is for
 * pictures of another size. Whatever it answers, lk_cct_clear() frees all but the
 * numbers. */
LINKD_MUST_CHECK int lk_cct_load(lk_packer *packer,
                                 const lk_vision_config *config,
                                 const lk_preparation *preparation,
                                 lk_cct *ret_cct, linkd_error *err);
void lk_cct_clear(lk_cct *cct);

/* Floats of scratch that one forward pass needs, 64-byte aligned. */
size_t lk_cct_scratch(const lk_cct *cct);

/* One prepared picture to its unit vector [dim]. */
void lk_cct_forward(const lk_cct *cct, const linkd_image *image, float *scratch,
                    float *ret_vector);

#endif
