/* encoder/vision_config_swin.c — what config.json says about a Swin. Whether
 * query, key and value have biases (qkv_bias) shows in the weights. */
#include "encoder/vision_config_json.h"

#define FILE_NAME LK_VISION_CONFIG_FILE

/* A window's rows meet each other: 64 x 64 would be more pairs than a picture of
 * a ViT has. */
#define WINDOW_MAX ((size_t)64)

/* A list of a number per stage, as long as the first list that was read. */
static int stages_get(const json_t *json, const char *key, size_t most,
                      size_t *n_stages, size_t *ret_numbers, linkd_error *err)
{
    const json_t *list = json_object_get(json, key);
    const size_t n = json_array_size(list);

    if (n < 1 || n > LK_SWIN_STAGES_MAX || (*n_stages > 0 && n != *n_stages))
        return lk_fail(err, LINKD_E_DATA,
                       FILE_NAME ": %s is not a list of a number per stage, "
                                 "of %d at most",
                       key, LK_SWIN_STAGES_MAX);
    for (size_t i = 0; i < n; i++) {
        const json_int_t value = json_integer_value(json_array_get(list, i));

        if (value < 1 || value > (json_int_t)most)
            return lk_fail(err, LINKD_E_DATA,
                           FILE_NAME
                           ": %s holds what is no number between 1 and %zu",
                           key, most);
        ret_numbers[i] = (size_t)value;
    }
    *n_stages = n;
    return LINKD_OK;
}

static int sizes_get(const json_t *json, lk_vision_config *config,
                     linkd_error *err)
{
    lk_swin_sizes *swin = &config->swin;
    const lk_vision_size sizes[] = {
        {"embed_dim", 1, LK_VISION_WIDTH_MAX, 0, &config->sizes.dim},
        {"image_size", 1, LK_VISION_SIDE_MAX, 0, &config->image_side},
        {"patch_size", 1, LK_VISION_PATCH_MAX, 0, &config->patch_side},
        {"window_size", 1, WINDOW_MAX, 0, &swin->window},
    };
    int rc =
        lk_vision_sizes_get(json, sizes, sizeof(sizes) / sizeof(*sizes), err);

    if (rc == LINKD_OK)
        rc = stages_get(json, "depths", LK_VISION_LAYERS_MAX, &swin->n_stages,
                        swin->n_layers, err);
    if (rc == LINKD_OK)
        rc = stages_get(json, "num_heads", LK_VISION_WIDTH_MAX, &swin->n_stages,
                        swin->n_heads, err);
    if (rc == LINKD_OK)
        rc =
            lk_vision_ratio_get(json, config->sizes.dim, &swin->mlp_ratio, err);
    return rc;
}

static int sizes_check(const lk_vision_config *config, linkd_error *err)
{
    const lk_swin_sizes *swin = &config->swin;
    size_t dim = config->sizes.dim;

    for (size_t i = 0; i < swin->n_stages; i++, dim *= 2) {
        LK_ASSERT(swin->n_heads[i] > 0); /* stages_get() saw to it */
        if (dim > LK_VISION_WIDTH_MAX || dim % swin->n_heads[i] != 0)
            return lk_fail(err, LINKD_E_DATA,
                           FILE_NAME
                           ": stage %zu has rows of %zu numbers, which is not "
                           "a multiple of its num_heads %zu up to %zu",
                           i + 1, dim, swin->n_heads[i], LK_VISION_WIDTH_MAX);
    }
    return LINKD_OK;
}

int lk_swin_config_read(const json_t *json, lk_vision_config *config,
                        linkd_error *err)
{
    lk_stack_sizes *first = &config->sizes;
    int rc =
        lk_vision_option_check(json, "use_absolute_embeddings", false, err);

    if (rc == LINKD_OK)
        rc = sizes_get(json, config, err);
    if (rc == LINKD_OK)
        rc = sizes_check(config, err);
    if (rc == LINKD_OK)
        rc = lk_vision_epsilon_get(json, 1e-5, &first->norm_epsilon, err);
    first->n_layers = config->swin.n_layers[0];
    first->n_heads = config->swin.n_heads[0];
    first->n_inner = (size_t)((double)first->dim * config->swin.mlp_ratio);
    return rc;
}
