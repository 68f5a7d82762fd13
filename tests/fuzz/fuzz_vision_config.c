/* An image model's config.json of any bytes. What is accepted must be safe to
 * compute with. */
#include <stdint.h>

#include "encoder/vision_config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    linkd_error err;
    lk_vision_config config;

    if (lk_vision_config_parse(data, size, &config, &err) != LINKD_OK)
        return 0;
    LK_ASSERT(config.n_heads > 0 && config.dim % config.n_heads == 0);
    LK_ASSERT(config.n_inner > 0 && config.n_layers > 0);
    LK_ASSERT(config.image_side >= config.patch_side && config.patch_side > 0);
    return 0;
}
