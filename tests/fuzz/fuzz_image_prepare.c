/* A preprocessor_config.json of any bytes. What is accepted prepares a picture
 * that is wide and one that is tall. */
#include <stdint.h>

#include "encoder/image_prepare.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t pixels[5 * 2 * 3] = {200, 100, 50};
    const linkd_image images[] = {{5, 2, pixels}, {2, 5, pixels}};
    lk_preparation preparation;
    linkd_error err;

    if (lk_preparation_parse(data, size, &preparation, &err) != LINKD_OK ||
        preparation.out_width * preparation.out_height > 4096)
        return 0;
    for (size_t i = 0; i < 2; i++) {
        linkd_image prepared = {0};

        if (lk_image_prepare(&preparation, &images[i], &prepared, &err) ==
            LINKD_OK) {
            LK_ASSERT(prepared.width == preparation.out_width);
            LK_ASSERT(prepared.height == preparation.out_height);
        }
        linkd_image_clear(&prepared);
    }
    return 0;
}
