/* An image model's config.json of any bytes. What is accepted must be safe to
 * compute with. */
#include <stdint.h>

#include "encoder/vision_config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void swin_check(const lk_vision_config *config)
{
    const lk_swin_sizes *swin = &config->swin;

    LK_ASSERT(swin->n_stages > 0 && swin->n_stages <= LK_SWIN_STAGES_MAX);
    LK_ASSERT(swin->window > 0);
    for (size_t i = 0; i < swin->n_stages; i++) {
        LK_ASSERT(swin->n_layers[i] > 0 && swin->n_heads[i] > 0);
        LK_ASSERT((config->sizes.dim << i) % swin->n_heads[i] == 0);
    }
}

static void cct_check(const lk_cct_sizes *cct)
{
    LK_ASSERT(cct->n_convolutions > 0 && cct->n_planes > 0);
    LK_ASSERT(cct->kernel > 0 && cct->stride > 0);
    LK_ASSERT(cct->pool_kernel > 0 && cct->pool_stride > 0);
    LK_ASSERT(2 * cct->pool_padding <= cct->pool_kernel);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    linkd_error err;
    lk_vision_config config;
    const lk_stack_sizes *sizes = &config.sizes;

    if (lk_vision_config_parse(data, size, &config, &err) != LINKD_OK)
        return 0;
    LK_ASSERT(sizes->n_heads > 0 && sizes->dim % sizes->n_heads == 0);
    LK_ASSERT(sizes->n_inner > 0 && sizes->n_layers > 0);
    LK_ASSERT(config.image_side > 0 && config.patch_side > 0);
    if (config.kind == LK_VISION_SWIN)
        swin_check(&config);
    else if (config.kind == LK_VISION_CCT)
        cct_check(&config.cct);
    else
        LK_ASSERT(config.image_side >= config.patch_side);
    return 0;
}
