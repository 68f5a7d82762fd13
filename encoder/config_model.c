/* encoder/config_model.c — config.json: which transformer it is, and its sizes.
 * Whatever would change a vector and is not implemented is refused by name. */
#include <math.h>
#include <string.h>

#include "encoder/activation.h"
#include "encoder/config_json.h"

#define LAYERS_MAX ((size_t)1024)

/* ---- reading values ----------------------------------------------------- */

int lk_config_size(const json_t *json, const char *file, const char *key,
                   size_t max, size_t *ret_size, linkd_error *err)
{
    const json_t *value = json_object_get(json, key);

    if (!json_is_integer(value))
        return lk_fail(err, LINKD_E_DATA, "%s: %s is missing or not a number",
                       file, key);
    if (json_integer_value(value) < 1 ||
        json_integer_value(value) > (json_int_t)max)
        return lk_fail(err, LINKD_E_DATA,
                       "%s: %s is %" JSON_INTEGER_FORMAT
                       ", not between 1 and %zu",
                       file, key, json_integer_value(value), max);
    *ret_size = (size_t)json_integer_value(value);
    return LINKD_OK;
}

int lk_config_object(const void *bytes, size_t len, const char *name,
                     json_t **ret_json, linkd_error *err)
{
    json_t *json = NULL;
    int rc = lk_json_parse_bytes(bytes, len, name, &json, err);

    if (rc != LINKD_OK)
        return rc;
    if (!json_is_object(json)) {
        json_decref(json);
        return lk_fail(err, LINKD_E_DATA, "%s: is not a JSON object", name);
    }
    *ret_json = json;
    return LINKD_OK;
}

/* A text that must be `wanted`, or not be there. */
static int text_require(const json_t *json, const char *key, const char *wanted,
                        linkd_error *err)
{
    const json_t *value = json_object_get(json, key);

    if (value == NULL)
        return LINKD_OK;
    if (!json_is_string(value))
        return lk_fail(err, LINKD_E_DATA,
                       LK_CONFIG_FILE ": %s is missing or not a text", key);
    if (strcmp(json_string_value(value), wanted) != 0)
        return lk_fail(err, LINKD_E_DATA,
                       LK_CONFIG_FILE ": %s \"%.60s\" is not supported, only "
                                      "\"%s\" is",
                       key, json_string_value(value), wanted);
    return LINKD_OK;
}

/* ---- config.json -------------------------------------------------------- */

/* What the architectures call their sizes; NULL: they have none. */
typedef struct family {
    const char *model_type;
    lk_architecture architecture;
    const char *activation;
    const char *dim, *n_inner, *n_layers, *n_heads, *n_types, *n_buckets;
    const char *epsilon;
    double default_epsilon;
} family;

#define BERT_EPSILON "layer_norm_eps", 1e-12
#define BERT_SIZES                                                             \
 "hidden_act", "hidden_size", "intermediate_size", "num_hidden_layers",        \
     "num_attention_heads"

static const family families[] = {
    {"bert", LK_BERT, BERT_SIZES, "type_vocab_size", NULL, BERT_EPSILON},
    {"roberta", LK_ROBERTA, BERT_SIZES, "type_vocab_size", NULL, BERT_EPSILON},
    {"xlm-roberta", LK_ROBERTA, BERT_SIZES, "type_vocab_size", NULL,
     BERT_EPSILON},
    {"camembert", LK_ROBERTA, BERT_SIZES, "type_vocab_size", NULL,
     BERT_EPSILON},
    {"distilbert", LK_DISTILBERT, "activation", "dim", "hidden_dim", "n_layers",
     "n_heads", NULL, NULL, BERT_EPSILON},
    {"mpnet", LK_MPNET, BERT_SIZES, NULL, "relative_attention_num_buckets",
     BERT_EPSILON},
    {"modernbert", LK_MODERNBERT, "hidden_activation", "hidden_size",
     "intermediate_size", "num_hidden_layers", "num_attention_heads", NULL,
     NULL, "norm_eps", 1e-5},
};

/* NULL: it is none of them. */
static const family *family_find(const char *model_type)
{
    for (size_t i = 0; i < sizeof(families) / sizeof(*families); i++)
        if (strcmp(model_type, families[i].model_type) == 0)
            return &families[i];
    return NULL;
}

static int options_check(const json_t *json, const family *names,
                         linkd_error *err)
{
    int rc = LINKD_OK;

    /* ModernBERT's files may have any and its code reads none */
    if (names->architecture != LK_MODERNBERT)
        rc = text_require(json, "position_embedding_type", "absolute", err);
    if (rc == LINKD_OK && json_is_true(json_object_get(json, "is_decoder")))
        rc = lk_fail(err, LINKD_E_DATA,
                     LK_CONFIG_FILE ": is_decoder is not supported");
    return rc;
}

static int sizes_check(const lk_config *config, const family *names,
                       linkd_error *err)
{
    if (config->dim % config->n_heads != 0)
        return lk_fail(err, LINKD_E_DATA,
                       LK_CONFIG_FILE ": %s %zu is not a multiple of %s %zu",
                       names->dim, config->dim, names->n_heads,
                       config->n_heads);
    if (config->n_positions < config->first_position + LK_TOKENS_MIN)
        return lk_fail(err, LINKD_E_DATA,
                       LK_CONFIG_FILE ": max_position_embeddings %zu leaves no "
                                      "room for a token",
                       config->n_positions);
    if (config->n_buckets % 4 != 0)
        return lk_fail(err, LINKD_E_DATA,
                       LK_CONFIG_FILE ": %s %zu is not a multiple of 4",
                       names->n_buckets, config->n_buckets);
    return LINKD_OK;
}

/* RoBERTa and MPNet count positions from the one behind the padding's, which is
 * their token 1 by default. */
static int first_position_get(const json_t *json, lk_config *config,
                              linkd_error *err)
{
    const json_t *value = json_object_get(json, "pad_token_id");
    const json_int_t padding = value == NULL ? 1 : json_integer_value(value);

    if (config->architecture != LK_ROBERTA && config->architecture != LK_MPNET)
        return LINKD_OK;
    if (padding < 0 || padding > (json_int_t)LK_WIDTH_MAX)
        return lk_fail(err, LINKD_E_DATA,
                       LK_CONFIG_FILE ": pad_token_id is not between 0 and %zu",
                       LK_WIDTH_MAX);
    config->first_position = (size_t)padding + 1;
    return LINKD_OK;
}

static int sizes_get(const json_t *json, const family *names, lk_config *config,
                     linkd_error *err)
{
    const struct {
        const char *key;
        size_t max;
        size_t *value;
    } sizes[] = {
        {names->dim, LK_WIDTH_MAX, &config->dim},
        {names->n_inner, LK_WIDTH_MAX, &config->n_inner},
        {names->n_layers, LAYERS_MAX, &config->n_layers},
        {names->n_heads, LK_WIDTH_MAX, &config->n_heads},
        {"vocab_size", LK_COUNT_MAX, &config->vocab_size},
        {"max_position_embeddings", LK_WIDTH_MAX, &config->n_positions},
        {names->n_types, LK_WIDTH_MAX, &config->n_types},
        {names->n_buckets, LK_WIDTH_MAX, &config->n_buckets},
    };

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        int rc = sizes[i].key == NULL
                     ? LINKD_OK
                     : lk_config_size(json, LK_CONFIG_FILE, sizes[i].key,
                                      sizes[i].max, sizes[i].value, err);

        if (rc != LINKD_OK)
            return rc;
    }
    return LINKD_OK;
}

static int epsilon_get(const json_t *json, const family *names,
                       lk_config *config, linkd_error *err)
{
    const json_t *value = json_object_get(json, names->epsilon);
    double epsilon =
        value == NULL ? names->default_epsilon : json_number_value(value);

    if (!(epsilon > 0.0 && epsilon < 1.0))
        return lk_fail(err, LINKD_E_DATA,
                       LK_CONFIG_FILE ": %s is not between 0 and 1",
                       names->epsilon);
    config->norm_epsilon = (float)epsilon;
    return LINKD_OK;
}

/* What model2vec's own code reads of a text (model.py, encode), as far as its
 * config.json does not ask for less. */
#define STATIC_TOKENS_MAX ((size_t)512)

static int static_parse(const json_t *json, lk_config *config, linkd_error *err)
{
    size_t n = STATIC_TOKENS_MAX;
    int rc = lk_config_size(json, LK_CONFIG_FILE, "hidden_dim", LK_WIDTH_MAX,
                            &config->dim, err);

    if (rc == LINKD_OK && json_object_get(json, "max_length") != NULL)
        rc = lk_config_size(json, LK_CONFIG_FILE, "max_length", LK_COUNT_MAX,
                            &n, err);
    config->architecture = LK_STATIC;
    config->n_heads = 1;
    config->n_positions = n < STATIC_TOKENS_MAX ? n : STATIC_TOKENS_MAX;
    return rc;
}

static int model_parse(const json_t *json, lk_config *config, linkd_error *err)
{
    const char *type = json_string_value(json_object_get(json, "model_type"));
    const family *names = type != NULL ? family_find(type) : NULL;
    int rc;

    if (type == NULL)
        return lk_fail(err, LINKD_E_DATA,
                       LK_CONFIG_FILE ": model_type is missing or not a text");
    if (strcmp(type, "model2vec") == 0)
        return static_parse(json, config, err);
    if (strcmp(type, "clip") == 0)
        return lk_config_clip(json, config, err);
    if (names == NULL)
        return lk_fail(err, LINKD_E_DATA,
                       LK_CONFIG_FILE ": model_type \"%.60s\" is not supported",
                       type);
    config->architecture = names->architecture;
    rc = options_check(json, names, err);
    if (rc == LINKD_OK)
        rc = lk_activation_get(json, names->activation, &config->activation,
                               err);
    if (rc == LINKD_OK)
        rc = sizes_get(json, names, config, err);
    if (rc == LINKD_OK)
        rc = first_position_get(json, config, err);
    if (rc == LINKD_OK)
        rc = sizes_check(config, names, err);
    if (rc == LINKD_OK)
        rc = epsilon_get(json, names, config, err);
    if (rc == LINKD_OK && config->architecture == LK_MODERNBERT)
        rc = lk_config_modern(json, config, err);
    return rc;
}

int lk_config_parse_model(const void *bytes, size_t len, lk_config *ret_config,
                          linkd_error *err)
{
    lk_config config = {.pooling = LK_POOLING_MEAN};
    json_t *json = NULL;
    int rc = lk_config_object(bytes, len, LK_CONFIG_FILE, &json, err);

    if (rc == LINKD_OK)
        rc = model_parse(json, &config, err);
    if (rc == LINKD_OK) {
        config.max_tokens = config.n_positions - config.first_position;
        *ret_config = config;
    }
    json_decref(json);
    return rc;
}

const char *lk_architecture_name(lk_architecture architecture)
{
    static const char *const names[] = {[LK_BERT] = "bert",
                                        [LK_ROBERTA] = "roberta",
                                        [LK_DISTILBERT] = "distilbert",
                                        [LK_MPNET] = "mpnet",
                                        [LK_MODERNBERT] = "modernbert",
                                        [LK_CLIP] = "clip",
                                        [LK_STATIC] = "static"};

    return names[architecture];
}
