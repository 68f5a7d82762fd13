/* encoder/vision_config_cct.c — what config.json says about a CCT. There is no
 * such file in use for these models: its members are the arguments of CCT() in
 * the authors' program, under the same names (docs/models.md). */
#include "encoder/vision_config_json.h"

#include <string.h>

#define FILE_NAME LK_VISION_CONFIG_FILE

/* nn.LayerNorm's own, which the authors use. */
#define NORM_EPSILON 1e-5F

#define CONVOLUTIONS_MAX ((size_t)16)

static int layers_get(const json_t *json, lk_stack_sizes *sizes,
                      linkd_error *err)
{
    const lk_vision_size all[] = {
        {"embedding_dim", 1, LK_VISION_WIDTH_MAX, 0, &sizes->dim},
        {"num_layers", 1, LK_VISION_LAYERS_MAX, 0, &sizes->n_layers},
        {"num_heads", 1, LK_VISION_WIDTH_MAX, 0, &sizes->n_heads},
    };
    double ratio = 0.0;
    int rc = lk_vision_sizes_get(json, all, sizeof(all) / sizeof(*all), err);

    if (rc != LINKD_OK)
        return rc;
    LK_ASSERT(sizes->n_heads > 0); /* lk_vision_sizes_get() saw to it */
    if (sizes->dim % sizes->n_heads != 0)
        rc = lk_fail(err, LINKD_E_DATA,
                     FILE_NAME ": embedding_dim %zu is not a multiple of "
                               "num_heads %zu",
                     sizes->dim, sizes->n_heads);
    if (rc == LINKD_OK)
        rc = lk_vision_ratio_get(json, sizes->dim, &ratio, err);
    sizes->n_inner = (size_t)((double)sizes->dim * ratio);
    sizes->norm_epsilon = NORM_EPSILON;
    sizes->restarts = true;
    return rc;
}

static int convolutions_get(const json_t *json, lk_vision_config *config,
                            linkd_error *err)
{
    lk_cct_sizes *cct = &config->cct;
    const size_t most = LK_VISION_PATCH_MAX;
    const lk_vision_size all[] = {
        {"img_size", 1, LK_VISION_SIDE_MAX, 0, &config->image_side},
        {"n_conv_layers", 1, CONVOLUTIONS_MAX, 0, &cct->n_convolutions},
        {"in_planes", 1, LK_VISION_WIDTH_MAX, 64, &cct->n_planes},
        {"kernel_size", 1, most, 0, &cct->kernel},
        {"stride", 1, most, 0, &cct->stride},
        {"padding", 0, most, 0, &cct->padding},
        {"pooling_kernel_size", 1, most, 3, &cct->pool_kernel},
        {"pooling_stride", 1, most, 2, &cct->pool_stride},
        {"pooling_padding", 0, most, 1, &cct->pool_padding},
    };
    int rc = lk_vision_sizes_get(json, all, sizeof(all) / sizeof(*all), err);

    if (rc == LINKD_OK && 2 * cct->pool_padding > cct->pool_kernel)
        rc = lk_fail(err, LINKD_E_DATA,
                     FILE_NAME ": pooling_padding is over half of "
                               "pooling_kernel_size");
    config->patch_side = cct->kernel;
    return rc;
}

/* Those of a sine are in the weights, too. */
static int positions_get(const json_t *json, bool *ret_has, linkd_error *err)
{
    const json_t *value = json_object_get(json, "positional_embedding");
    const char *name = value == NULL ? "learnable" : json_string_value(value);

    *ret_has = name != NULL && strcmp(name, "none") != 0;
    if (name != NULL && (!*ret_has || strcmp(name, "learnable") == 0 ||
                         strcmp(name, "sine") == 0))
        return LINKD_OK;
    return lk_fail(err, LINKD_E_DATA,
                   FILE_NAME ": positional_embedding is not learnable, sine "
                             "or none");
}

static int options_check(const json_t *json, linkd_error *err)
{
    static const struct {
        const char *key;
        bool wanted;
    } options[] = {
        {"seq_pool", true}, {"max_pool", true}, {"conv_bias", false}};
    const json_t *channels = json_object_get(json, "n_input_channels");

    if (channels != NULL && json_integer_value(channels) != 3)
        return lk_fail(err, LINKD_E_DATA,
                       FILE_NAME ": n_input_channels is not 3");
    for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++) {
        int rc = lk_vision_option_check(json, options[i].key, options[i].wanted,
                                        err);

        if (rc != LINKD_OK)
            return rc;
    }
    return LINKD_OK;
}

int lk_cct_config_read(const json_t *json, lk_vision_config *config,
                       linkd_error *err)
{
    int rc = options_check(json, err);

    if (rc == LINKD_OK)
        rc = layers_get(json, &config->sizes, err);
    if (rc == LINKD_OK)
        rc = convolutions_get(json, config, err);
    if (rc == LINKD_OK)
        rc = positions_get(json, &config->cct.has_positions, err);
    return rc;
}
