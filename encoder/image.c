/* encoder/image.c — which decoder reads a file, and what is common to all. */
#include "encoder/image.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define CHANNELS ((size_t)3)

void linkd_image_clear(linkd_image *image)
{
    free(image->pixels);
    *image = (linkd_image){0};
}

int lk_image_new(const lk_image_file *file, size_t width, size_t height,
                 linkd_image *ret_image, linkd_error *err)
{
    if (width == 0 || height == 0)
        return lk_fail(err, LINKD_E_DATA, "image has no pixels");
    if (width > LINKD_IMAGE_SIDE_MAX || height > LINKD_IMAGE_SIDE_MAX)
        return lk_fail(err, LINKD_E_DATA,
                       "image of %zu x %zu pixels has a side over the limit of "
                       "%zu",
                       width, height, LINKD_IMAGE_SIDE_MAX);
    if (width * height > file->max_pixels)
        return lk_fail(err, LINKD_E_DATA,
                       "image of %zu x %zu pixels is over the limit of %zu",
                       width, height, file->max_pixels);
    ret_image->pixels = lk_alloc_aligned(width * height, CHANNELS);
    if (ret_image->pixels == NULL)
        return lk_fail_nomem(err);
    ret_image->width = width;
    ret_image->height = height;
    return LINKD_OK;
}

/* ---- orientation -------------------------------------------------------- */

/* The eight orientations are: swap rows and columns or not, then count the
 * rows or the columns from the other end or not. */
int lk_image_orient(linkd_image *image, unsigned orientation, linkd_error *err)
{
    const bool swaps = orientation >= 5;
    const bool from_bottom = orientation == 3 || orientation == 4 ||
                             orientation == 6 || orientation == 7;
    const bool from_right = orientation == 2 || orientation == 3 ||
                            orientation == 7 || orientation == 8;
    const size_t width = swaps ? image->height : image->width;
    const size_t height = swaps ? image->width : image->height;
    uint8_t *pixels;
    uint8_t *out;

    if (orientation <= 1 || orientation > 8)
        return LINKD_OK;
    out = pixels = lk_alloc_aligned(width * height, CHANNELS);
    if (pixels == NULL)
        return lk_fail_nomem(err);
    for (size_t y = 0; y < height; y++)
        for (size_t x = 0; x < width; x++, out += CHANNELS) {
            size_t row = swaps ? x : y;
            size_t column = swaps ? y : x;

            if (from_bottom)
                row = image->height - 1 - row;
            if (from_right)
                column = image->width - 1 - column;
            memcpy(out,
                   image->pixels + (row * image->width + column) * CHANNELS,
                   CHANNELS);
        }
    free(image->pixels);
    *image = (linkd_image){.width = width, .height = height, .pixels = pixels};
    return LINKD_OK;
}

/* ---- decode ------------------------------------------------------------- */

typedef int decode_fn(const lk_image_file *file, linkd_image *ret_image,
                      unsigned *ret_orientation, linkd_error *err);

static bool has_bytes(const lk_image_file *file, size_t at, const char *wanted,
                      size_t n)
{
    return file->len >= at + n && memcmp(file->bytes + at, wanted, n) == 0;
}

/* By the first bytes, whatever the file is called. */
static decode_fn *decoder_of(const lk_image_file *file)
{
    if (has_bytes(file, 0, "\xFF\xD8\xFF", 3))
        return lk_jpeg_decode;
    if (has_bytes(file, 0, "\x89PNG\r\n\x1A\n", 8))
        return lk_png_decode;
    if (has_bytes(file, 0, "RIFF", 4) && has_bytes(file, 8, "WEBP", 4))
        return lk_webp_decode;
    return NULL;
}

int linkd_image_decode(linkd_str bytes, const linkd_image_options *options,
                       linkd_image *ret_image, linkd_error *err)
{
    static const linkd_image_options defaults = LINKD_IMAGE_OPTIONS_INIT;
    const lk_image_file file = {.bytes = (const uint8_t *)bytes.bytes,
                                .len = bytes.len,
                                .max_pixels = options != NULL
                                                  ? options->max_pixels
                                                  : defaults.max_pixels};
    const bool orients = options != NULL && options->orient;
    decode_fn *decode = decoder_of(&file);
    linkd_image image = {0};
    unsigned orientation = 1;
    int rc;

    if (decode == NULL)
        return lk_fail(err, LINKD_E_DATA,
                       bytes.len == 0 ? "image file is empty"
                                      : "image is no JPEG, PNG or WebP file");
    rc = decode(&file, &image, orients ? &orientation : NULL, err);
    if (rc == LINKD_OK)
        rc = lk_image_orient(&image, orientation, err);
    if (rc == LINKD_OK)
        *ret_image = image;
    else
        linkd_image_clear(&image);
    return rc;
}
