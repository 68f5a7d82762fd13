/* encoder/config_clip.c — the tower for texts in a CLIP's config.json. What
 * text_config does not say is as in ViT-B/32 (CLIPTextConfig's defaults), so that
 * a file may hold what differs alone. */
#include <string.h>

#include "encoder/activation.h"
#include "encoder/config_json.h"

#define LAYERS_MAX ((size_t)1024)

/* `usual` where the file is silent. */
static int size_find(const json_t *json, const char *key, size_t max,
                     size_t usual, size_t *ret_size, linkd_error *err)
{
    *ret_size = usual;
    if (json_object_get(json, key) == NULL)
        return LINKD_OK;
    return lk_config_size(json, LK_CONFIG_FILE, key, max, ret_size, err);
}

static int sizes_get(const json_t *json, lk_config *config, linkd_error *err)
{
    const struct {
        const char *key;
        size_t max, usual;
        size_t *size;
    } sizes[] = {
        {"hidden_size", LK_WIDTH_MAX, 512, &config->dim},
        {"intermediate_size", LK_WIDTH_MAX, 2048, &config->n_inner},
        {"num_hidden_layers", LAYERS_MAX, 12, &config->n_layers},
        {"num_attention_heads", LK_WIDTH_MAX, 8, &config->n_heads},
        {"vocab_size", LK_COUNT_MAX, 49408, &config->vocab_size},
        {"max_position_embeddings", LK_WIDTH_MAX, 77, &config->n_positions},
        {"eos_token_id", LK_COUNT_MAX, 49407, &config->end_id},
    };
    int rc = LINKD_OK;

    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes) && rc == LINKD_OK;
         i++)
        rc = size_find(json, sizes[i].key, sizes[i].max, sizes[i].usual,
                       sizes[i].size, err);
    return rc;
}

static int sizes_check(const lk_config *config, linkd_error *err)
{
    LK_ASSERT(config->n_heads > 0); /* size_find() saw to it */
    if (config->dim % config->n_heads != 0)
        return lk_fail(err, LINKD_E_DATA,
                       LK_CONFIG_FILE ": hidden_size %zu is not a multiple of "
                                      "num_attention_heads %zu",
                       config->dim, config->n_heads);
    if (config->n_positions < LK_TOKENS_MIN)
        return lk_fail(err, LINKD_E_DATA,
                       LK_CONFIG_FILE
                       ": max_position_embeddings %zu leaves no room "
                       "for a token",
                       config->n_positions);
    return LINKD_OK;
}

static int epsilon_get(const json_t *json, lk_config *config, linkd_error *err)
{
    const json_t *value = json_object_get(json, "layer_norm_eps");
    const double epsilon = value == NULL ? 1e-5 : json_number_value(value);

    if (!(epsilon > 0.0 && epsilon < 1.0))
        return lk_fail(err, LINKD_E_DATA,
                       LK_CONFIG_FILE
                       ": layer_norm_eps is not between 0 and 1");
    config->norm_epsilon = (float)epsilon;
    return LINKD_OK;
}

int lk_config_clip(const json_t *root, lk_config *config, linkd_error *err)
{
    const json_t *json = json_object_get(root, "text_config");
    int rc = LINKD_OK;

    config->architecture = LK_CLIP;
    config->pooling = LK_POOLING_END;
    config->activation = LK_ACTIVATION_QUICK_GELU;
    if (!json_is_object(json))
        return lk_fail(err, LINKD_E_DATA,
                       LK_CONFIG_FILE ": text_config is not an object");
    rc = sizes_get(json, config, err);
    if (rc == LINKD_OK)
        rc = sizes_check(config, err);
    if (rc == LINKD_OK)
        rc = lk_activation_get(json, "hidden_act", &config->activation, err);
    if (rc == LINKD_OK)
        rc = epsilon_get(json, config, err);
    if (rc == LINKD_OK)
        rc = size_find(root, "projection_dim", LK_WIDTH_MAX, 512,
                       &config->n_out, err);
    return rc;
}
