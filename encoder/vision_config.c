/* encoder/vision_config.c — what config.json says about an image model. What
 * would change a vector and is not implemented is refused by name. */
#include "encoder/vision_config_json.h"

#include <string.h>

#include "encoder/activation.h"
#include "encoder/json.h"

#define FILE_NAME LK_VISION_CONFIG_FILE

#define RATIO_MAX 16.0

/* What is read from: the root, or of CLIP its vision_config. */
typedef struct source {
    const json_t *json;
    lk_vision_kind kind;
} source;

static int size_get(const json_t *json, const lk_vision_size *size,
                    linkd_error *err)
{
    const json_t *value = json_object_get(json, size->key);

    if (value == NULL && size->usual > 0) {
        *size->ret_size = size->usual;
        return LINKD_OK;
    }
    if (!json_is_integer(value) ||
        json_integer_value(value) < (json_int_t)size->least ||
        json_integer_value(value) > (json_int_t)size->most)
        return lk_fail(err, LINKD_E_DATA,
                       FILE_NAME ": %s is not a number between %zu and %zu",
                       size->key, size->least, size->most);
    *size->ret_size = (size_t)json_integer_value(value);
    return LINKD_OK;
}

int lk_vision_sizes_get(const json_t *json, const lk_vision_size *sizes,
                        size_t n, linkd_error *err)
{
    int rc = LINKD_OK;

    for (size_t i = 0; i < n && rc == LINKD_OK; i++)
        rc = size_get(json, &sizes[i], err);
    return rc;
}

int lk_vision_ratio_get(const json_t *json, size_t dim, double *ret_ratio,
                        linkd_error *err)
{
    const json_t *value = json_object_get(json, "mlp_ratio");
    const double ratio = value == NULL ? 4.0 : json_number_value(value);

    if (!(ratio > 0.0 && ratio <= RATIO_MAX) || (double)dim * ratio < 1.0)
        return lk_fail(err, LINKD_E_DATA,
                       FILE_NAME ": mlp_ratio is not between 0 and %.0f",
                       RATIO_MAX);
    *ret_ratio = ratio;
    return LINKD_OK;
}

int lk_vision_epsilon_get(const json_t *json, double usual, float *ret_epsilon,
                          linkd_error *err)
{
    const json_t *value = json_object_get(json, "layer_norm_eps");
    const double epsilon = value == NULL ? usual : json_number_value(value);

    if (!(epsilon > 0.0 && epsilon < 1.0))
        return lk_fail(err, LINKD_E_DATA,
                       FILE_NAME ": layer_norm_eps is not between 0 and 1");
    *ret_epsilon = (float)epsilon;
    return LINKD_OK;
}

int lk_vision_option_check(const json_t *json, const char *key, bool wanted,
                           linkd_error *err)
{
    const json_t *value = json_object_get(json, key);

    if (value == NULL ||
        (json_is_boolean(value) && json_is_true(value) == wanted))
        return LINKD_OK;
    return lk_fail(err, LINKD_E_DATA, FILE_NAME ": %s is not %s", key,
                   wanted ? "true" : "false");
}

bool lk_vision_kind_find(const char *model_type, lk_vision_kind *ret_kind)
{
    for (lk_vision_kind kind = LK_VISION_VIT; kind <= LK_VISION_CCT; kind++)
        if (strcmp(model_type, lk_vision_kind_name(kind)) == 0) {
            *ret_kind = kind;
            return true;
        }
    return false;
}

static int kind_get(const json_t *json, lk_vision_kind *ret_kind,
                    linkd_error *err)
{
    const char *type = json_string_value(json_object_get(json, "model_type"));

    if (type != NULL && lk_vision_kind_find(type, ret_kind))
        return LINKD_OK;
    return lk_fail(err, LINKD_E_DATA,
                   FILE_NAME ": model_type \"%.60s\" is no image model "
                             "that is supported (vit, dinov2, clip, "
                             "swin, cct)",
                   type != NULL ? type : "");
}

static int options_check(const source *s, linkd_error *err)
{
    const json_t *channels = json_object_get(s->json, "num_channels");

    if (channels != NULL && json_integer_value(channels) != 3)
        return lk_fail(err, LINKD_E_DATA, FILE_NAME ": num_channels is not 3");
    if (json_is_true(json_object_get(s->json, "use_swiglu_ffn")))
        return lk_fail(err, LINKD_E_DATA,
                       FILE_NAME ": use_swiglu_ffn is not supported");
    return LINKD_OK;
}

/* DINOv2 names the ratio. */
static int inner_get(const source *s, lk_stack_sizes *sizes, linkd_error *err)
{
    const lk_vision_size inner = {"intermediate_size", 1, LK_VISION_WIDTH_MAX,
                                  s->kind == LK_VISION_CLIP ? 3072 : 0,
                                  &sizes->n_inner};
    double ratio = 0.0;
    int rc;

    if (s->kind != LK_VISION_DINOV2)
        return lk_vision_sizes_get(s->json, &inner, 1, err);
    rc = lk_vision_ratio_get(s->json, sizes->dim, &ratio, err);
    sizes->n_inner = (size_t)((double)sizes->dim * ratio);
    return rc;
}

/* What CLIP's config.json does not say is as in ViT-B/32. */
static int sizes_get(const source *s, lk_vision_config *config,
                     linkd_error *err)
{
    const size_t clip = s->kind == LK_VISION_CLIP;
    const lk_vision_size sizes[] = {
        {"hidden_size", 1, LK_VISION_WIDTH_MAX, clip * 768, &config->sizes.dim},
        {"num_hidden_layers", 1, LK_VISION_LAYERS_MAX, clip * 12,
         &config->sizes.n_layers},
        {"num_attention_heads", 1, LK_VISION_WIDTH_MAX, clip * 12,
         &config->sizes.n_heads},
        {"image_size", 1, LK_VISION_SIDE_MAX, clip * 224, &config->image_side},
        {"patch_size", 1, LK_VISION_PATCH_MAX, clip * 32, &config->patch_side},
    };
    int rc = lk_vision_sizes_get(s->json, sizes, sizeof(sizes) / sizeof(*sizes),
                                 err);

    if (rc == LINKD_OK)
        rc = inner_get(s, &config->sizes, err);
    return rc;
}

static int sizes_check(const lk_vision_config *config, linkd_error *err)
{
    LK_ASSERT(config->sizes.n_heads > 0); /* size_get() saw to it */
    if (config->sizes.dim % config->sizes.n_heads != 0)
        return lk_fail(err, LINKD_E_DATA,
                       FILE_NAME ": hidden_size %zu is not a multiple of "
                                 "num_attention_heads %zu",
                       config->sizes.dim, config->sizes.n_heads);
    if (config->image_side < config->patch_side)
        return lk_fail(err, LINKD_E_DATA,
                       FILE_NAME ": image_size is below patch_size");
    return LINKD_OK;
}

static int source_get(const json_t *json, source *ret_source, linkd_error *err)
{
    int rc = kind_get(json, &ret_source->kind, err);

    ret_source->json = json;
    if (rc == LINKD_OK && ret_source->kind == LK_VISION_CLIP) {
        ret_source->json = json_object_get(json, "vision_config");
        if (!json_is_object(ret_source->json))
            rc = lk_fail(err, LINKD_E_DATA,
                         FILE_NAME ": vision_config is not an object");
    }
    return rc;
}

/* CLIP's vectors are those of its projection. */
static int projection_get(const json_t *json, lk_stack_sizes *sizes,
                          linkd_error *err)
{
    const lk_vision_size size = {"projection_dim", 1, LK_VISION_WIDTH_MAX, 512,
                                 &sizes->n_out};

    return lk_vision_sizes_get(json, &size, 1, err);
}

/* ViT, DINOv2 and CLIP. */
static int plain_parse(const source *s, lk_vision_config *config,
                       linkd_error *err)
{
    static const double epsilons[] = {[LK_VISION_VIT] = 1e-12,
                                      [LK_VISION_DINOV2] = 1e-6,
                                      [LK_VISION_CLIP] = 1e-5};
    int rc = sizes_get(s, config, err);

    if (rc == LINKD_OK)
        rc = sizes_check(config, err);
    if (rc == LINKD_OK)
        rc = lk_vision_epsilon_get(s->json, epsilons[s->kind],
                                   &config->sizes.norm_epsilon, err);
    return rc;
}

static int model_parse(const json_t *json, lk_vision_config *config,
                       linkd_error *err)
{
    source s = {0};
    int rc = source_get(json, &s, err);

    config->kind = s.kind;
    if (s.kind == LK_VISION_CLIP)
        config->sizes.activation = LK_ACTIVATION_QUICK_GELU;
    if (rc == LINKD_OK)
        rc = options_check(&s, err);
    if (rc == LINKD_OK)
        rc = lk_activation_get(s.json, "hidden_act", &config->sizes.activation,
                               err);
    if (rc != LINKD_OK)
        return rc;
    if (s.kind == LK_VISION_SWIN)
        return lk_swin_config_read(json, config, err);
    if (s.kind == LK_VISION_CCT)
        return lk_cct_config_read(json, config, err);
    rc = plain_parse(&s, config, err);
    if (rc == LINKD_OK && s.kind == LK_VISION_CLIP)
        rc = projection_get(json, &config->sizes, err);
    return rc;
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
        rc = model_parse(json, &config, err);
    if (rc == LINKD_OK)
        *ret_config = config;
    json_decref(json);
    return rc;
}

const char *lk_vision_kind_name(lk_vision_kind kind)
{
    static const char *const names[] = {[LK_VISION_VIT] = "vit",
                                        [LK_VISION_DINOV2] = "dinov2",
                                        [LK_VISION_CLIP] = "clip",
                                        [LK_VISION_SWIN] = "swin",
                                        [LK_VISION_CCT] = "cct"};

    return names[kind];
}
