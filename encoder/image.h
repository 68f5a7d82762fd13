/* encoder/image.h — image files to pixels, one decoder a format.
 *
 * Every decoder gives what Pillow's Image.open(file).convert("RGB") gives, to
 * the bit, as image models were trained on that; scripts/check-image-parity
 * compares the two. All read hostile input: the size is checked by the header,
 * before anything of that size is allocated. */
#ifndef LK_ENCODER_IMAGE_H
#define LK_ENCODER_IMAGE_H

#include "encoder/encoder.h"

/* The file as it is in memory, and what its decoder has to obey. */
typedef struct lk_image_file {
    const uint8_t *bytes;
    size_t len;
    size_t max_pixels;
} lk_image_file;

/* Each fills `ret_image`, which comes as {0} and is to be cleared whatever is
 * returned, and says how the camera was held.
 *   ret_orientation  1 to 8 as in Exif; NULL: not asked for
 * LINKD_E_DATA: the file is damaged, cut off, or of a kind that cannot be
 * read; LINKD_E_NOMEM. */
LINKD_MUST_CHECK int lk_jpeg_decode(const lk_image_file *file,
                                    linkd_image *ret_image,
                                    unsigned *ret_orientation,
                                    linkd_error *err);
LINKD_MUST_CHECK int lk_png_decode(const lk_image_file *file,
                                   linkd_image *ret_image,
                                   unsigned *ret_orientation, linkd_error *err);
LINKD_MUST_CHECK int lk_webp_decode(const lk_image_file *file,
                                    linkd_image *ret_image,
                                    unsigned *ret_orientation,
                                    linkd_error *err);

/* Checks the size and allocates the pixels of `ret_image`, uninitialised.
 * LINKD_E_DATA: the size is 0 or over a limit. LINKD_E_NOMEM. */
LINKD_MUST_CHECK int lk_image_new(const lk_image_file *file, size_t width,
                                  size_t height, linkd_image *ret_image,
                                  linkd_error *err);

/* The orientation in an Exif block, with or without "Exif\0\0" before it; 1,
 * upright, where there is none or it makes no sense. */
unsigned lk_exif_orientation(const uint8_t *bytes, size_t len);

/* Turns and mirrors the image so that it stands upright. LINKD_E_NOMEM. */
LINKD_MUST_CHECK int lk_image_orient(linkd_image *image, unsigned orientation,
                                     linkd_error *err);

#endif
