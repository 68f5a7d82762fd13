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

/* What is read from: the root, or of CLIP its vision_config. */
typedef struct source {
    const json_t *json;
    lk_vision_kind kind;
} source;

/* A size may be missing where `usual` says what it is then; 0: it may not. */
static int size_get(const json_t *json, const char *key, size_t max,
                    size_t usual, size_t *ret_size, linkd_error *err)
{
    const json_t *value = json_object_get(json, key);

    if (value == NULL && usual > 0) {
        *ret_size = usual;
        return LINKD_OK;
    }
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

    for (lk_vision_kind kind = LK_VISION_VIT; kind <= LK_VISION_CLIP; kind++)
        if (type != NULL && strcmp(type, lk_vision_kind_name(kind)) == 0) {
            *ret_kind = kind;
            return LINKD_OK;
        }
    return lk_fail(err, LINKD_E_DATA,
                   FILE_NAME ": model_type \"%.60s\" is no image model "
                             "that is supported (vit, dinov2, clip)",
                   type != NULL ? type : "");
}

static int activation_get(const source *s, lk_activation *ret_activation,
                          linkd_error *err)
{
    const json_t *act = json_object_get(s->json, "hidden_act");
    const bool is_clip = s->kind == LK_VISION_CLIP;
    const char *name = json_string_value(act);

    *ret_activation = is_clip ? LK_ACTIVATION_QUICK_GELU : LK_ACTIVATION_GELU;
    if (act == NULL)
        return LINKD_OK;
    if (name != NULL && strcmp(name, "gelu") == 0) {
        *ret_activation = LK_ACTIVATION_GELU;
        return LINKD_OK;
    }
    if (is_clip && name != NULL && strcmp(name, "quick_gelu") == 0)
        return LINKD_OK;
    return lk_fail(err, LINKD_E_DATA, FILE_NAME ": hidden_act is not %sgelu",
                   is_clip ? "quick_gelu or " : "");
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

/* DINOv2 names the ratio, 4 if nothing is said. */
static int inner_get(const source *s, lk_stack_sizes *sizes, linkd_error *err)
{
    const json_t *value = json_object_get(s->json, "mlp_ratio");
    const double ratio = value == NULL ? 4.0 : json_number_value(value);

    if (s->kind != LK_VISION_DINOV2)
        return size_get(s->json, "intermediate_size", WIDTH_MAX,
                        s->kind == LK_VISION_CLIP ? 3072 : 0, &sizes->n_inner,
                        err);
    if (!(ratio > 0.0 && ratio <= RATIO_MAX) ||
        (double)sizes->dim * ratio < 1.0)
        return lk_fail(err, LINKD_E_DATA,
                       FILE_NAME ": mlp_ratio is not between 0 and %.0f",
                       RATIO_MAX);
    sizes->n_inner = (size_t)((double)sizes->dim * ratio);
    return LINKD_OK;
}

/* What CLIP's config.json does not say is as in ViT-B/32. */
static int sizes_get(const source *s, lk_vision_config *config,
                     linkd_error *err)
{
    const struct {
        const char *key;
        size_t max, usual;
        size_t *size;
    } sizes[] = {
        {"hidden_size", WIDTH_MAX, 768, &config->sizes.dim},
        {"num_hidden_layers", LAYERS_MAX, 12, &config->sizes.n_layers},
        {"num_attention_heads", WIDTH_MAX, 12, &config->sizes.n_heads},
        {"image_size", SIDE_MAX, 224, &config->image_side},
        {"patch_size", PATCH_MAX, 32, &config->patch_side},
    };
    int rc = LINKD_OK;

    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes) && rc == LINKD_OK;
         i++)
        rc = size_get(s->json, sizes[i].key, sizes[i].max,
                      s->kind == LK_VISION_CLIP ? sizes[i].usual : 0,
                      sizes[i].size, err);
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

static int epsilon_get(const source *s, lk_stack_sizes *sizes, linkd_error *err)
{
    static const double usual[] = {[LK_VISION_VIT] = 1e-12,
                                   [LK_VISION_DINOV2] = 1e-6,
                                   [LK_VISION_CLIP] = 1e-5};
    const json_t *value = json_object_get(s->json, "layer_norm_eps");
    const double epsilon =
        value == NULL ? usual[s->kind] : json_number_value(value);

    if (!(epsilon > 0.0 && epsilon < 1.0))
        return lk_fail(err, LINKD_E_DATA,
                       FILE_NAME ": layer_norm_eps is not between 0 and 1");
    sizes->norm_epsilon = (float)epsilon;
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

static int model_parse(const json_t *json, lk_vision_config *config,
                       linkd_error *err)
{
    source s = {0};
    int rc = source_get(json, &s, err);

    config->kind = s.kind;
    if (rc == LINKD_OK)
        rc = options_check(&s, err);
    if (rc == LINKD_OK)
        rc = activation_get(&s, &config->sizes.activation, err);
    if (rc == LINKD_OK)
        rc = sizes_get(&s, config, err);
    if (rc == LINKD_OK)
        rc = sizes_check(config, err);
    if (rc == LINKD_OK)
        rc = epsilon_get(&s, &config->sizes, err);
    if (rc == LINKD_OK && s.kind == LK_VISION_CLIP)
        rc = size_get(json, "projection_dim", WIDTH_MAX, 512,
                      &config->sizes.n_out, err);
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
                                        [LK_VISION_CLIP] = "clip"};

    return names[kind];
}
