/* tests/fuzz/image_fuzz.h — what holds for every decoder of pictures. */
#ifndef LINKD_TESTS_IMAGE_FUZZ_H
#define LINKD_TESTS_IMAGE_FUZZ_H

#include <stdint.h>

#include "encoder/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef int image_decode_fn(const lk_image_file *file, linkd_image *ret_image,
                            unsigned *ret_orientation, linkd_error *err);

/* A file of any bytes, at most 4,096 pixels large, so that an input costs
 * little; every pixel that is answered is read. */
static inline int image_fuzz(image_decode_fn *decode, const uint8_t *data,
                             size_t size)
{
    const lk_image_file file = {.bytes = data, .len = size, .max_pixels = 4096};
    size_t sum = 0;
    unsigned orientation = 1;
    linkd_image image = {0};
    linkd_error err;

    if (decode(&file, &image, &orientation, &err) == LINKD_OK) {
        LK_ASSERT(orientation >= 1 && orientation <= 8);
        LK_ASSERT(image.width * image.height <= file.max_pixels);
        if (lk_image_orient(&image, orientation, &err) == LINKD_OK)
            for (size_t i = 0; i < image.width * image.height * 3; i++)
                sum += image.pixels[i];
    }
    LK_ASSERT(sum <= image.width * image.height * 3 * 255);
    linkd_image_clear(&image);
    return 0;
}

#endif
