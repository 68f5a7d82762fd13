/* encoder/config.c — what a model directory's JSON files say about the model.
 *
 *   config.json                the transformer: sizes, activation
 *   modules.json               what follows it: [Transformer, Pooling, Normalize]
 *   1_Pooling/config.json      mean or CLS
 *   sentence_bert_config.json  max_seq_length
 *
 * Whatever would change a vector and is not implemented is refused by name, so
 * that a model either gives its own vectors or none. Vectors always come out
 * with length 1, whether or not modules.json ends in Normalize. */
#include "encoder/config.h"

#include <jansson.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "encoder/file.h"
#include "encoder/json.h"

#define MODEL_FILE      "config.json"
#define MODULES_FILE    "modules.json"
#define LIMIT_FILE      "sentence_bert_config.json"
#define POOLING_DIR     "1_Pooling"
#define POOLING_DIR_MAX ((size_t)64)

/* Larger than any encoder known, and small enough that no product of two
 * overflows: sizes from a file are multiplied freely after this check. */
#define WIDTH_MAX  ((size_t)1 << 16)
#define COUNT_MAX  ((size_t)1 << 24)
#define LAYERS_MAX ((size_t)1024)

/* [CLS], one token and [SEP]. */
#define TOKENS_MIN ((size_t)3)

/* ---- reading values ----------------------------------------------------- */

static int size_get(const json_t *json, const char *file, const char *key,
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

/* A text that must be `wanted`, or not be there. */
static int text_require(const json_t *json, const char *key, const char *wanted,
                        linkd_error *err)
{
    const json_t *value = json_object_get(json, key);

    if (value == NULL)
        return LINKD_OK;
    if (!json_is_string(value))
        return lk_fail(err, LINKD_E_DATA,
                       MODEL_FILE ": %s is missing or not a text", key);
    if (strcmp(json_string_value(value), wanted) != 0)
        return lk_fail(err, LINKD_E_DATA,
                       MODEL_FILE ": %s \"%.60s\" is not supported, only "
                                  "\"%s\" is",
                       key, json_string_value(value), wanted);
    return LINKD_OK;
}

static int object_parse(const void *bytes, size_t len, const char *name,
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

/* ---- config.json -------------------------------------------------------- */

/* What the architectures call their sizes; NULL: they have none. */
typedef struct family {
    const char *model_type;
    lk_architecture architecture;
    const char *activation;
    const char *dim, *n_inner, *n_layers, *n_heads, *n_types, *n_buckets;
} family;

#define BERT_SIZES                                                             \
 "hidden_act", "hidden_size", "intermediate_size", "num_hidden_layers",        \
     "num_attention_heads"

static const family families[] = {
    {"bert", LK_BERT, BERT_SIZES, "type_vocab_size", NULL},
    {"roberta", LK_ROBERTA, BERT_SIZES, "type_vocab_size", NULL},
    {"xlm-roberta", LK_ROBERTA, BERT_SIZES, "type_vocab_size", NULL},
    {"camembert", LK_ROBERTA, BERT_SIZES, "type_vocab_size", NULL},
    {"distilbert", LK_DISTILBERT, "activation", "dim", "hidden_dim", "n_layers",
     "n_heads", NULL, NULL},
    {"mpnet", LK_MPNET, BERT_SIZES, NULL, "relative_attention_num_buckets"},
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
    int rc = text_require(json, names->activation, "gelu", err);

    if (rc == LINKD_OK)
        rc = text_require(json, "position_embedding_type", "absolute", err);
    if (rc == LINKD_OK && json_is_true(json_object_get(json, "is_decoder")))
        rc = lk_fail(err, LINKD_E_DATA,
                     MODEL_FILE ": is_decoder is not supported");
    return rc;
}

static int sizes_check(const lk_config *config, const family *names,
                       linkd_error *err)
{
    if (config->dim % config->n_heads != 0)
        return lk_fail(err, LINKD_E_DATA,
                       MODEL_FILE ": %s %zu is not a multiple of %s %zu",
                       names->dim, config->dim, names->n_heads,
                       config->n_heads);
    if (config->n_positions < config->first_position + TOKENS_MIN)
        return lk_fail(err, LINKD_E_DATA,
                       MODEL_FILE ": max_position_embeddings %zu leaves no "
                                  "room for a token",
                       config->n_positions);
    if (config->n_buckets % 4 != 0)
        return lk_fail(err, LINKD_E_DATA,
                       MODEL_FILE ": %s %zu is not a multiple of 4",
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
    if (padding < 0 || padding > (json_int_t)WIDTH_MAX)
        return lk_fail(err, LINKD_E_DATA,
                       MODEL_FILE ": pad_token_id is not between 0 and %zu",
                       WIDTH_MAX);
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
        {names->dim, WIDTH_MAX, &config->dim},
        {names->n_inner, WIDTH_MAX, &config->n_inner},
        {names->n_layers, LAYERS_MAX, &config->n_layers},
        {names->n_heads, WIDTH_MAX, &config->n_heads},
        {"vocab_size", COUNT_MAX, &config->vocab_size},
        {"max_position_embeddings", WIDTH_MAX, &config->n_positions},
        {names->n_types, WIDTH_MAX, &config->n_types},
        {names->n_buckets, WIDTH_MAX, &config->n_buckets},
    };

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        int rc = sizes[i].key == NULL
                     ? LINKD_OK
                     : size_get(json, MODEL_FILE, sizes[i].key, sizes[i].max,
                                sizes[i].value, err);

        if (rc != LINKD_OK)
            return rc;
    }
    return LINKD_OK;
}

static int epsilon_get(const json_t *json, lk_config *config, linkd_error *err)
{
    const json_t *value = json_object_get(json, "layer_norm_eps");
    /* the format's default */
    double epsilon = value == NULL ? 1e-12 : json_number_value(value);

    if (!(epsilon > 0.0 && epsilon < 1.0))
        return lk_fail(err, LINKD_E_DATA,
                       MODEL_FILE ": layer_norm_eps is not between 0 and 1");
    config->norm_epsilon = (float)epsilon;
    return LINKD_OK;
}

/* What model2vec's own code reads of a text (model.py, encode), as far as its
 * config.json does not ask for less. */
#define STATIC_TOKENS_MAX ((size_t)512)

static int static_parse(const json_t *json, lk_config *config, linkd_error *err)
{
    size_t n = STATIC_TOKENS_MAX;
    int rc =
        size_get(json, MODEL_FILE, "hidden_dim", WIDTH_MAX, &config->dim, err);

    if (rc == LINKD_OK && json_object_get(json, "max_length") != NULL)
        rc = size_get(json, MODEL_FILE, "max_length", COUNT_MAX, &n, err);
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
                       MODEL_FILE ": model_type is missing or not a text");
    if (strcmp(type, "model2vec") == 0)
        return static_parse(json, config, err);
    if (names == NULL)
        return lk_fail(err, LINKD_E_DATA,
                       MODEL_FILE ": model_type \"%.60s\" is not supported",
                       type);
    config->architecture = names->architecture;
    rc = options_check(json, names, err);
    if (rc == LINKD_OK)
        rc = sizes_get(json, names, config, err);
    if (rc == LINKD_OK)
        rc = first_position_get(json, config, err);
    if (rc == LINKD_OK)
        rc = sizes_check(config, names, err);
    if (rc == LINKD_OK)
        rc = epsilon_get(json, config, err);
    return rc;
}

int lk_config_parse_model(const void *bytes, size_t len, lk_config *ret_config,
                          linkd_error *err)
{
    lk_config config = {.pooling = LK_POOLING_MEAN};
    json_t *json = NULL;
    int rc = object_parse(bytes, len, MODEL_FILE, &json, err);

    if (rc == LINKD_OK)
        rc = model_parse(json, &config, err);
    if (rc == LINKD_OK) {
        config.max_tokens = config.n_positions - config.first_position;
        *ret_config = config;
    }
    json_decref(json);
    return rc;
}

/* ---- modules.json ------------------------------------------------------- */

/* "Pooling" of "sentence_transformers.models.Pooling": the classes' modules
 * have moved between versions, the classes' names have not. */
static const char *class_name(const char *type)
{
    const char *dot = strrchr(type, '.');

    return dot != NULL ? dot + 1 : type;
}

static int pooling_dir_take(const char *path, lk_buf *ret_dir, linkd_error *err)
{
    if (path[0] == '\0' || path[0] == '.' || strchr(path, '/') != NULL ||
        strlen(path) > POOLING_DIR_MAX)
        return lk_fail(err, LINKD_E_DATA,
                       MODULES_FILE ": path \"%.60s\" is not a plain directory "
                                    "name",
                       path);
    lk_buf_reset(ret_dir);
    return lk_buf_append(ret_dir, path, strlen(path), err);
}

static int module_take(const json_t *module, lk_buf *ret_pooling_dir,
                       linkd_error *err)
{
    const char *type = json_string_value(json_object_get(module, "type"));
    const char *path = json_string_value(json_object_get(module, "path"));
    const char *name = type != NULL ? class_name(type) : NULL;

    if (name == NULL || path == NULL)
        return lk_fail(err, LINKD_E_DATA,
                       MODULES_FILE ": a module has no type or no path");
    if (strcmp(name, "Pooling") == 0)
        return pooling_dir_take(path, ret_pooling_dir, err);
    if (strcmp(name, "Normalize") == 0)
        return LINKD_OK;
    if (strcmp(name, "Transformer") != 0)
        return lk_fail(err, LINKD_E_DATA,
                       MODULES_FILE ": module \"%.60s\" is not supported",
                       type);
    if (path[0] != '\0')
        return lk_fail(err, LINKD_E_DATA,
                       MODULES_FILE ": a transformer in its own directory "
                                    "\"%.60s\" is not supported",
                       path);
    return LINKD_OK;
}

int lk_config_parse_modules(const void *bytes, size_t len,
                            lk_buf *ret_pooling_dir, linkd_error *err)
{
    json_t *modules = NULL;
    int rc = lk_json_parse_bytes(bytes, len, MODULES_FILE, &modules, err);

    if (rc == LINKD_OK && !json_is_array(modules))
        rc = lk_fail(err, LINKD_E_DATA, MODULES_FILE ": is not a JSON array");
    for (size_t i = 0; rc == LINKD_OK && i < json_array_size(modules); i++)
        rc = module_take(json_array_get(modules, i), ret_pooling_dir, err);
    if (rc == LINKD_OK && ret_pooling_dir->len == 0)
        rc = lk_fail(err, LINKD_E_DATA, MODULES_FILE ": has no pooling module");
    json_decref(modules);
    return rc;
}

/* ---- 1_Pooling/config.json ---------------------------------------------- */

#define POOLING_PREFIX "pooling_mode_"

/* By the older files' flag, without its prefix, or the newer files' text. A sum
 * over the root of the length has the direction of the mean, and vectors have
 * length 1 anyway. */
static bool pooling_find(const char *name, lk_pooling *ret_pooling)
{
    static const struct {
        const char *flag, *mode;
        lk_pooling pooling;
    } poolings[] = {
        {"mean_tokens", "mean", LK_POOLING_MEAN},
        {"mean_sqrt_len_tokens", "mean_sqrt_len_tokens", LK_POOLING_MEAN},
        {"cls_token", "cls", LK_POOLING_CLS},
        {"lasttoken", "lasttoken", LK_POOLING_LAST},
        {"max_tokens", "max", LK_POOLING_MAX},
    };

    for (size_t i = 0; i < sizeof(poolings) / sizeof(*poolings); i++) {
        if (strcmp(name, poolings[i].flag) != 0 &&
            strcmp(name, poolings[i].mode) != 0)
            continue;
        *ret_pooling = poolings[i].pooling;
        return true;
    }
    return false;
}

/* Older files have one flag per kind, of which exactly one must be set. */
static int pooling_from_flags(const json_t *json, const char *name,
                              lk_pooling *ret_pooling, linkd_error *err)
{
    const size_t prefix = strlen(POOLING_PREFIX);
    size_t n_set = 0;
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)json, key, value)
    {
        if (strncmp(key, POOLING_PREFIX, prefix) != 0 || !json_is_true(value))
            continue;
        n_set++;
        if (!pooling_find(key + prefix, ret_pooling))
            return lk_fail(err, LINKD_E_DATA, "%s: %.60s is not supported",
                           name, key);
    }
    if (n_set != 1)
        return lk_fail(err, LINKD_E_DATA,
                       "%s: %zu pooling modes are set, one is needed", name,
                       n_set);
    return LINKD_OK;
}

/* Newer files have one text. */
static int pooling_from_mode(const json_t *mode, const char *name,
                             lk_pooling *ret_pooling, linkd_error *err)
{
    const char *text = json_string_value(mode);

    if (text == NULL || !pooling_find(text, ret_pooling))
        return lk_fail(err, LINKD_E_DATA,
                       "%s: pooling_mode \"%.60s\" is not supported", name,
                       text != NULL ? text : "");
    return LINKD_OK;
}

static int pooling_width_check(const json_t *json, const char *name,
                               const lk_config *config, linkd_error *err)
{
    size_t width = config->dim;
    int rc = LINKD_OK;

    if (json_object_get(json, "word_embedding_dimension") != NULL)
        rc = size_get(json, name, "word_embedding_dimension", WIDTH_MAX, &width,
                      err);
    if (rc == LINKD_OK && width != config->dim)
        rc = lk_fail(err, LINKD_E_DATA,
                     "%s: word_embedding_dimension is %zu, but hidden_size in "
                     "config.json is %zu",
                     name, width, config->dim);
    return rc;
}

int lk_config_parse_pooling(const void *bytes, size_t len, const char *name,
                            lk_config *config, linkd_error *err)
{
    lk_pooling pooling = LK_POOLING_MEAN;
    const json_t *mode;
    json_t *json = NULL;
    int rc = object_parse(bytes, len, name, &json, err);

    if (rc != LINKD_OK)
        return rc;
    rc = pooling_width_check(json, name, config, err);
    if (rc != LINKD_OK)
        goto done;
    mode = json_object_get(json, "pooling_mode");
    if (mode != NULL)
        rc = pooling_from_mode(mode, name, &pooling, err);
    else
        rc = pooling_from_flags(json, name, &pooling, err);
    if (rc == LINKD_OK)
        config->pooling = pooling;
done:
    json_decref(json);
    return rc;
}

/* ---- sentence_bert_config.json ------------------------------------------ */

int lk_config_parse_limit(const void *bytes, size_t len, lk_config *config,
                          linkd_error *err)
{
    size_t limit = config->max_tokens;
    const json_t *value;
    json_t *json = NULL;
    int rc = object_parse(bytes, len, LIMIT_FILE, &json, err);

    if (rc != LINKD_OK)
        return rc;
    value = json_object_get(json, "max_seq_length");
    if (value != NULL && !json_is_null(value))
        rc = size_get(json, LIMIT_FILE, "max_seq_length", COUNT_MAX, &limit,
                      err);
    if (rc == LINKD_OK && limit < TOKENS_MIN)
        rc = lk_fail(err, LINKD_E_DATA,
                     LIMIT_FILE ": max_seq_length %zu leaves no room for a "
                                "token",
                     limit);
    if (rc == LINKD_OK && limit < config->max_tokens)
        config->max_tokens = limit;
    json_decref(json);
    return rc;
}

/* ---- the directory ------------------------------------------------------ */

static int optional_map(const char *dir, const char *name, lk_file *ret_file,
                        linkd_error *err)
{
    lk_buf path = {0};
    int rc = lk_file_path(dir, name, &path, err);

    if (rc == LINKD_OK && lk_file_exists(path.data))
        rc = lk_file_map(path.data, ret_file, err);
    lk_buf_clear(&path);
    return rc;
}

static int model_read(const char *dir, lk_config *config, linkd_error *err)
{
    lk_file file = {0};
    lk_buf path = {0};
    int rc = lk_file_path(dir, MODEL_FILE, &path, err);

    if (rc == LINKD_OK)
        rc = lk_file_map(path.data, &file, err);
    if (rc == LINKD_OK)
        rc = lk_config_parse_model(file.bytes, file.len, config, err);
    lk_file_unmap(&file);
    lk_buf_clear(&path);
    return rc;
}

/* Appends the pooling module's directory; it has a usual name when there is no
 * modules.json. */
static int modules_read(const char *dir, lk_buf *ret_pooling_dir,
                        linkd_error *err)
{
    lk_file file = {0};
    int rc = optional_map(dir, MODULES_FILE, &file, err);

    if (rc == LINKD_OK && file.bytes != NULL)
        rc =
            lk_config_parse_modules(file.bytes, file.len, ret_pooling_dir, err);
    else if (rc == LINKD_OK)
        rc = lk_buf_append(ret_pooling_dir, POOLING_DIR, strlen(POOLING_DIR),
                           err);
    lk_file_unmap(&file);
    return rc;
}

static int pooling_read(const char *dir, lk_config *config, linkd_error *err)
{
    lk_file file = {0};
    lk_buf name = {0};
    int rc = modules_read(dir, &name, err);

    if (rc != LINKD_OK)
        goto done;
    rc = lk_buf_printf(&name, err, "/%s", MODEL_FILE);
    if (rc != LINKD_OK)
        goto done;
    rc = optional_map(dir, name.data, &file, err);
    if (rc == LINKD_OK && file.bytes != NULL)
        rc = lk_config_parse_pooling(file.bytes, file.len, name.data, config,
                                     err);
done:
    lk_file_unmap(&file);
    lk_buf_clear(&name);
    return rc;
}

static int limit_read(const char *dir, lk_config *config, linkd_error *err)
{
    lk_file file = {0};
    int rc = optional_map(dir, LIMIT_FILE, &file, err);

    if (rc == LINKD_OK && file.bytes != NULL)
        rc = lk_config_parse_limit(file.bytes, file.len, config, err);
    lk_file_unmap(&file);
    return rc;
}

int lk_config_read(const char *dir, lk_config *ret_config, linkd_error *err)
{
    lk_config config;
    int rc = model_read(dir, &config, err);

    /* the modules after a static table say nothing more */
    if (rc == LINKD_OK && config.architecture != LK_STATIC)
        rc = pooling_read(dir, &config, err);
    if (rc == LINKD_OK && config.architecture != LK_STATIC)
        rc = limit_read(dir, &config, err);
    if (rc == LINKD_OK)
        *ret_config = config;
    return rc;
}

const char *lk_architecture_name(lk_architecture architecture)
{
    static const char *const names[] = {[LK_BERT] = "bert",
                                        [LK_ROBERTA] = "roberta",
                                        [LK_DISTILBERT] = "distilbert",
                                        [LK_MPNET] = "mpnet",
                                        [LK_STATIC] = "static"};

    return names[architecture];
}

const char *lk_pooling_name(lk_pooling pooling)
{
    static const char *const names[] = {[LK_POOLING_MEAN] = "mean",
                                        [LK_POOLING_CLS] = "cls",
                                        [LK_POOLING_LAST] = "last",
                                        [LK_POOLING_MAX] = "max"};

    return names[pooling];
}
