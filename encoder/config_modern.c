/* encoder/config_modern.c — what config.json says of ModernBERT alone. Files of
 * transformers 4 have `global_attn_every_n_layers`, `global_rope_theta` and
 * `local_rope_theta`, those of 5 `layer_types` and `rope_parameters`. */
#include <math.h>
#include <string.h>

#include "encoder/config_json.h"

/* What a file means that is silent (transformers' ModernBertConfig). */
#define THETA_DEFAULT        160000.0
#define LOCAL_THETA_DEFAULT  10000.0
#define WINDOW_DEFAULT       ((size_t)128) /* both sides */
#define GLOBAL_EVERY_DEFAULT ((size_t)3)

bool lk_config_is_local(const lk_config *config, size_t layer)
{
    return layer % config->global_every != 0;
}

static bool is_there(const json_t *value)
{
    return value != NULL && !json_is_null(value);
}

/* Biases that no published model has. */
static int biases_check(const json_t *json, linkd_error *err)
{
    static const char *const flags[] = {"attention_bias", "mlp_bias",
                                        "norm_bias"};

    for (size_t i = 0; i < sizeof(flags) / sizeof(*flags); i++)
        if (json_is_true(json_object_get(json, flags[i])))
            return lk_fail(err, LINKD_E_DATA,
                           LK_CONFIG_FILE ": %s is not supported", flags[i]);
    return LINKD_OK;
}

/* A theta where it is there and not null. */
static int theta_find(const json_t *json, const char *key, double *ret_theta,
                      linkd_error *err)
{
    const json_t *value = json_object_get(json, key);

    if (!is_there(value))
        return LINKD_OK;
    if (!(json_number_value(value) >= 1.0) ||
        !isfinite(json_number_value(value)))
        return lk_fail(err, LINKD_E_DATA,
                       LK_CONFIG_FILE ": %s is not a number from 1 on", key);
    *ret_theta = json_number_value(value);
    return LINKD_OK;
}

/* rope_parameters' entry for one kind of layers. */
static int rotary_get(const json_t *json, const char *layers, double *ret_theta,
                      linkd_error *err)
{
    const json_t *entry =
        json_object_get(json_object_get(json, "rope_parameters"), layers);
    const json_t *type = json_object_get(entry, "rope_type");

    if (is_there(type) && (!json_is_string(type) ||
                           strcmp(json_string_value(type), "default") != 0))
        return lk_fail(err, LINKD_E_DATA,
                       LK_CONFIG_FILE ": rope_type \"%.60s\" is not supported, "
                                      "only \"default\" is",
                       json_is_string(type) ? json_string_value(type) : "");
    return theta_find(entry, "rope_theta", ret_theta, err);
}

static int thetas_get(const json_t *json, lk_config *config, linkd_error *err)
{
    int rc;

    if (is_there(json_object_get(json, "rope_scaling")))
        return lk_fail(err, LINKD_E_DATA,
                       LK_CONFIG_FILE ": rope_scaling is not supported");
    config->rotary_theta = THETA_DEFAULT;
    config->local_theta = LOCAL_THETA_DEFAULT;
    rc = theta_find(json, "global_rope_theta", &config->rotary_theta, err);
    if (rc == LINKD_OK)
        rc = theta_find(json, "local_rope_theta", &config->local_theta, err);
    if (rc == LINKD_OK)
        rc = rotary_get(json, "full_attention", &config->rotary_theta, err);
    if (rc == LINKD_OK)
        rc = rotary_get(json, "sliding_attention", &config->local_theta, err);
    return rc;
}

static bool type_is(const json_t *types, size_t layer, const char *wanted)
{
    const char *type = json_string_value(json_array_get(types, layer));

    return type != NULL && strcmp(type, wanted) == 0;
}

/* The list must be what some global_every says. */
static int layer_types_get(const json_t *types, lk_config *config,
                           linkd_error *err)
{
    size_t every = 1;

    while (every < config->n_layers && !type_is(types, every, "full_attention"))
        every++;
    config->global_every = every;
    for (size_t i = 0; i < config->n_layers; i++)
        if (!type_is(types, i,
                     lk_config_is_local(config, i) ? "sliding_attention"
                                                   : "full_attention"))
            return lk_fail(err, LINKD_E_DATA,
                           LK_CONFIG_FILE ": layer_types is not one global "
                                          "layer in so many");
    return LINKD_OK;
}

static int windows_get(const json_t *json, lk_config *config, linkd_error *err)
{
    const json_t *types = json_object_get(json, "layer_types");
    size_t both = WINDOW_DEFAULT;
    int rc = LINKD_OK;

    config->global_every = GLOBAL_EVERY_DEFAULT;
    if (is_there(json_object_get(json, "local_attention")))
        rc = lk_config_size(json, LK_CONFIG_FILE, "local_attention",
                            LK_WIDTH_MAX, &both, err);
    config->window = both / 2;
    if (rc == LINKD_OK && is_there(types))
        return layer_types_get(types, config, err);
    if (rc == LINKD_OK &&
        is_there(json_object_get(json, "global_attn_every_n_layers")))
        rc = lk_config_size(json, LK_CONFIG_FILE, "global_attn_every_n_layers",
                            LK_WIDTH_MAX, &config->global_every, err);
    return rc;
}

int lk_config_modern(const json_t *json, lk_config *config, linkd_error *err)
{
    int rc = biases_check(json, err);

    if (rc == LINKD_OK && config->dim / config->n_heads % 2 != 0)
        rc = lk_fail(err, LINKD_E_DATA,
                     LK_CONFIG_FILE ": heads of %zu numbers cannot be turned, "
                                    "which takes pairs",
                     config->dim / config->n_heads);
    if (rc == LINKD_OK)
        rc = thetas_get(json, config, err);
    if (rc == LINKD_OK)
        rc = windows_get(json, config, err);
    return rc;
}
