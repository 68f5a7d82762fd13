/* encoder/vision_config.c — what config.json says about an image model. What
 * would change a vector and is not implemented is refused by name. */
#include "encoder/vision_config.h"

#include <string.h>

#include "encoder/json.h"

#define FILE_NAME "config.json"

/* Larger than any image model known, and small enough that no product of three
 * overflows. */
#define WIDTH_MAX  ((size_t)1 << 16)
#define LAYERS_MAX ((size_t)1024)
#define SIDE_MAX   ((size_t)4096)
#define PATCH_MAX  ((size_t)64)
#define RATIO_MAX  16.0

static int size_get(const json_t *json, const char *key, size_t max,
                    size_t *ret_size, linkd_error *err)
{
    const json_t *value = json_object_get(json, key);

    if (!json_is_integer(value) || json_integer_value(value) < 1 ||
        json_integer_value(value) > (json_int_t)max)
        return lk_fail(err, LINKD_E_DATA,
                       FILE_NAME ": %s is not a number between 1 and %zu", key,
                       max);
    *ret_size = (size_t)json_integer_value(value);
    return LINKD_OK;
}

static int kind_get(const json_t *json, lk_vision_kind *ret_kind,
                    linkd_error *err)
{
    const char *type = json_string_value(json_object_get(json, "model_type"));

    if (type != NULL && strcmp(type, "vit") == 0)
        *ret_kind = LK_VISION_VIT;
    else if (type != NULL && strcmp(type, "dinov2") == 0)
        *ret_kind = LK_VISION_DINOV2;
    else
        return lk_fail(err, LINKD_E_DATA,
                       FILE_NAME ": model_type \"%.60s\" is no image model "
                                 "that is supported (vit, dinov2)",
                       type != NULL ? type : "");
    return LINKD_OK;
}

static int options_check(const json_t *json, linkd_error *err)
{
    const json_t *act = json_object_get(json, "hidden_act");
    const json_t *channels = json_object_get(json, "num_channels");

    if (act != NULL &&
        (!json_is_string(act) || strcmp(json_string_value(act), "gelu") != 0))
        return lk_fail(err, LINKD_E_DATA, FILE_NAME ": hidden_act is not gelu");
    if (channels != NULL && json_integer_value(channels) != 3)
        return lk_fail(err, LINKD_E_DATA, FILE_NAME ": num_channels is not 3");
    if (json_is_true(json_object_get(json, "use_swiglu_ffn")))
        return lk_fail(err, LINKD_E_DATA,
                       FILE_NAME ": use_swiglu_ffn is not supported");
    return LINKD_OK;
}

/* DINOv2 names the ratio, 4 if nothing is said. */
static int inner_get(const json_t *json, lk_vision_config *config,
                     linkd_error *err)
{
    const json_t *value = json_object_get(json, "mlp_ratio");
    const double ratio = value == NULL ? 4.0 : json_number_value(value);

    if (config->kind == LK_VISION_VIT)
        return size_get(json, "intermediate_size", WIDTH_MAX, &config->n_inner,
                        err);
    if (!(ratio > 0.0 && ratio <= RATIO_MAX) ||
        (double)config->dim * ratio < 1.0)
        return lk_fail(err, LINKD_E_DATA,
                       FILE_NAME ": mlp_ratio is not between 0 and %.0f",
                       RATIO_MAX);
    config->n_inner = (size_t)((double)config->dim * ratio);
    return LINKD_OK;
}

static int sizes_get(const json_t *json, lk_vision_config *config,
                     linkd_error *err)
{
    int rc = size_get(json, "hidden_size", WIDTH_MAX, &config->dim, err);

    if (rc == LINKD_OK)
        rc = size_get(json, "num_hidden_layers", LAYERS_MAX, &config->n_layers,
                      err);
    if (rc == LINKD_OK)
        rc = size_get(json, "num_attention_heads", WIDTH_MAX, &config->n_heads,
                      err);
    if (rc == LINKD_OK)
        rc = size_get(json, "image_size", SIDE_MAX, &config->image_side, err);
    if (rc == LINKD_OK)
        rc = size_get(json, "patch_size", PATCH_MAX, &config->patch_side, err);
    if (rc == LINKD_OK)
        rc = inner_get(json, config, err);
    if (rc != LINKD_OK)
        return rc;
    LK_ASSERT(config->n_heads > 0); /* size_get() saw to it */
    if (config->dim % config->n_heads != 0)
        return lk_fail(err, LINKD_E_DATA,
                       FILE_NAME ": hidden_size %zu is not a multiple of "
                                 "num_attention_heads %zu",
                       config->dim, config->n_heads);
    if (config->image_side < config->patch_side)
        return lk_fail(err, LINKD_E_DATA,
                       FILE_NAME ": image_size is below patch_size");
    return LINKD_OK;
}

static int epsilon_get(const json_t *json, lk_vision_config *config,
                       linkd_error *err)
{
    const json_t *value = json_object_get(json, "layer_norm_eps");
    const double usual = config->kind == LK_VISION_VIT ? 1e-12 : 1e-6;
    const double epsilon = value == NULL ? usual : json_number_value(value);

    if (!(epsilon > 0.0 && epsilon < 1.0))
        return lk_fail(err, LINKD_E_DATA,
                       FILE_NAME ": layer_norm_eps is not between 0 and 1");
    config->norm_epsilon = (float)epsilon;
    return LINKD_OK;
}

int lk_vision_config_parse(const void *bytes, size_t len,
                           lk_vision_config *ret_config, linkd_error *err)
{
    lk_vision_config config = {0};
    json_t *json = NULL;
    int rc = lk_json_parse_bytes(bytes, len, FILE_NAME, &json, err);

    if (rc == LINKD_OK && !json_is_object(json))
        rc = lk_fail(err, LINKD_E_DATA, FILE_NAME ": is not a JSON object");
    if (rc == LINKD_OK)
        rc = kind_get(json, &config.kind, err);
    if (rc == LINKD_OK)
        rc = options_check(json, err);
    if (rc == LINKD_OK)
        rc = sizes_get(json, &config, err);
    if (rc == LINKD_OK)
        rc = epsilon_get(json, &config, err);
    if (rc == LINKD_OK)
        *ret_config = config;
    json_decref(json);
    return rc;
}

const char *lk_vision_kind_name(lk_vision_kind kind)
{
    return kind == LK_VISION_DINOV2 ? "dinov2" : "vit";
}
