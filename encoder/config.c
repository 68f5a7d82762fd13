/* encoder/config.c — what a model directory's JSON files say about the model.
 *
 *   config.json                the transformer: sizes, activation
 *   modules.json               what follows it: [Transformer, Pooling, Dense,
 *                              Normalize]
 *   1_Pooling/config.json      mean or CLS
 *   2_Dense/config.json        a linear layer and its activation
 *   sentence_bert_config.json  do_lower_case, max_seq_length, or else
 *   tokenizer_config.json      model_max_length
 *
 * Whatever would change a vector and is not implemented is refused by name, so
 * that a model either gives its own vectors or none. Vectors always come out
 * with length 1, whether or not modules.json ends in Normalize. */
#include "encoder/config.h"

#include <stdbool.h>
#include <string.h>

#include "encoder/config_json.h"
#include "encoder/file.h"

#define MODULES_FILE   "modules.json"
#define LIMIT_FILE     "sentence_bert_config.json"
#define TOKENIZER_FILE "tokenizer_config.json"
#define POOLING_DIR    "1_Pooling"

/* ---- modules.json ------------------------------------------------------- */

/* "Pooling" of "sentence_transformers.models.Pooling": the classes' modules
 * have moved between versions, the classes' names have not. */
static const char *class_name(const char *type)
{
    const char *dot = strrchr(type, '.');

    return dot != NULL ? dot + 1 : type;
}

static int dir_check(const char *path, linkd_error *err)
{
    if (path[0] == '\0' || path[0] == '.' || strchr(path, '/') != NULL ||
        strlen(path) > LK_MODULE_DIR_MAX)
        return lk_fail(err, LINKD_E_DATA,
                       MODULES_FILE ": path \"%.60s\" is not a plain directory "
                                    "name",
                       path);
    return LINKD_OK;
}

/* What has been read of the modules. */
typedef struct modules {
    lk_config *config;
    lk_buf *pooling_dir;
    bool is_normalized;
} modules;

static int pooling_take(modules *m, const char *path, linkd_error *err)
{
    int rc = dir_check(path, err);

    if (rc != LINKD_OK)
        return rc;
    lk_buf_reset(m->pooling_dir);
    return lk_buf_append(m->pooling_dir, path, strlen(path), err);
}

static int dense_take(modules *m, const char *path, linkd_error *err)
{
    lk_config *config = m->config;
    int rc = dir_check(path, err);

    if (rc != LINKD_OK)
        return rc;
    if (m->pooling_dir->len == 0 || m->is_normalized)
        return lk_fail(err, LINKD_E_DATA,
                       MODULES_FILE ": \"%.60s\" is not between Pooling and "
                                    "Normalize, which is not supported",
                       path);
    if (config->n_dense == LK_DENSE_MAX)
        return lk_fail(err, LINKD_E_DATA,
                       MODULES_FILE ": has more than %d dense layers",
                       LK_DENSE_MAX);
    memcpy(config->dense[config->n_dense++].dir, path, strlen(path) + 1);
    return LINKD_OK;
}

static int module_take(modules *m, const json_t *module, linkd_error *err)
{
    const char *type = json_string_value(json_object_get(module, "type"));
    const char *path = json_string_value(json_object_get(module, "path"));
    const char *name = type != NULL ? class_name(type) : NULL;

    if (name == NULL || path == NULL)
        return lk_fail(err, LINKD_E_DATA,
                       MODULES_FILE ": a module has no type or no path");
    if (strcmp(name, "Pooling") == 0)
        return pooling_take(m, path, err);
    if (strcmp(name, "Dense") == 0)
        return dense_take(m, path, err);
    if (strcmp(name, "Normalize") == 0) {
        m->is_normalized = true;
        return LINKD_OK;
    }
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

int lk_config_parse_modules(const void *bytes, size_t len, lk_config *config,
                            lk_buf *ret_pooling_dir, linkd_error *err)
{
    modules m = {.config = config, .pooling_dir = ret_pooling_dir};
    json_t *json = NULL;
    int rc = lk_json_parse_bytes(bytes, len, MODULES_FILE, &json, err);

    if (rc == LINKD_OK && !json_is_array(json))
        rc = lk_fail(err, LINKD_E_DATA, MODULES_FILE ": is not a JSON array");
    for (size_t i = 0; rc == LINKD_OK && i < json_array_size(json); i++)
        rc = module_take(&m, json_array_get(json, i), err);
    if (rc == LINKD_OK && ret_pooling_dir->len == 0)
        rc = lk_fail(err, LINKD_E_DATA, MODULES_FILE ": has no pooling module");
    json_decref(json);
    return rc;
}

/* ---- 2_Dense/config.json ------------------------------------------------ */

static int activation_get(const json_t *json, const char *name,
                          lk_dense_activation *ret_activation, linkd_error *err)
{
    static const struct {
        const char *class;
        lk_dense_activation activation;
    } known[] = {{"Identity", LK_DENSE_NONE},
                 {"Tanh", LK_DENSE_TANH},
                 {"ReLU", LK_DENSE_RELU}};
    const char *text =
        json_string_value(json_object_get(json, "activation_function"));

    for (size_t i = 0; text != NULL && i < sizeof(known) / sizeof(*known);
         i++) {
        if (strcmp(class_name(text), known[i].class) != 0)
            continue;
        *ret_activation = known[i].activation;
        return LINKD_OK;
    }
    return lk_fail(err, LINKD_E_DATA,
                   "%s: activation_function \"%.60s\" is not supported", name,
                   text != NULL ? text : "");
}

/* Newer files name what is read and written; a text has one vector here. */
static int dense_ends_check(const json_t *json, const char *name,
                            linkd_error *err)
{
    static const char *const keys[] = {"module_input_name",
                                       "module_output_name"};

    for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
        const json_t *value = json_object_get(json, keys[i]);
        const char *text = json_string_value(value);

        if (value != NULL && !json_is_null(value) &&
            (text == NULL || strcmp(text, "sentence_embedding") != 0))
            return lk_fail(err, LINKD_E_DATA,
                           "%s: %s \"%.60s\" is not supported", name, keys[i],
                           text != NULL ? text : "");
    }
    return LINKD_OK;
}

int lk_config_parse_dense(const void *bytes, size_t len, const char *name,
                          size_t n_in, lk_dense_config *dense, linkd_error *err)
{
    size_t inputs = 0;
    json_t *json = NULL;
    int rc = lk_config_object(bytes, len, name, &json, err);

    if (rc != LINKD_OK)
        return rc;
    dense->has_bias = !json_is_false(json_object_get(json, "bias"));
    rc = lk_config_size(json, name, "in_features", LK_WIDTH_MAX, &inputs, err);
    if (rc == LINKD_OK && inputs != n_in)
        rc = lk_fail(err, LINKD_E_DATA,
                     "%s: in_features is %zu, but %zu numbers come", name,
                     inputs, n_in);
    if (rc == LINKD_OK)
        rc = lk_config_size(json, name, "out_features", LK_WIDTH_MAX,
                            &dense->n_out, err);
    if (rc == LINKD_OK)
        rc = activation_get(json, name, &dense->activation, err);
    if (rc == LINKD_OK)
        rc = dense_ends_check(json, name, err);
    json_decref(json);
    return rc;
}

/* ---- 1_Pooling/config.json ---------------------------------------------- */

#define POOLING_PREFIX "pooling_mode_"
#define ROOT_MODE      "mean_sqrt_len_tokens"
#define ROOT_FLAG      POOLING_PREFIX ROOT_MODE

/* By the older files' flag, without its prefix, or the newer files' text. A sum
 * over the root of the length has the direction of the mean, and vectors have
 * length 1 anyway, unless a dense layer comes between. */
static bool pooling_find(const char *name, lk_pooling *ret_pooling)
{
    static const struct {
        const char *flag, *mode;
        lk_pooling pooling;
    } poolings[] = {
        {"mean_tokens", "mean", LK_POOLING_MEAN},
        {ROOT_MODE, ROOT_MODE, LK_POOLING_MEAN},
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
        rc = lk_config_size(json, name, "word_embedding_dimension",
                            LK_WIDTH_MAX, &width, err);
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
    int rc = lk_config_object(bytes, len, name, &json, err);

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
    if (rc == LINKD_OK) {
        config->pooling = pooling;
        config->skips_prompts =
            json_is_false(json_object_get(json, "include_prompt"));
        config->pools_by_root =
            json_is_true(json_object_get(json, ROOT_FLAG)) ||
            strcmp(mode != NULL ? json_string_value(mode) : "", ROOT_MODE) == 0;
    }
done:
    json_decref(json);
    return rc;
}

/* ---- sentence_bert_config.json ------------------------------------------ */

static int limit_apply(size_t limit, const char *name, lk_config *config,
                       linkd_error *err)
{
    if (limit < LK_TOKENS_MIN)
        return lk_fail(err, LINKD_E_DATA, "%s %zu leaves no room for a token",
                       name, limit);
    if (limit < config->max_tokens)
        config->max_tokens = limit;
    return LINKD_OK;
}

static int lowercases_get(const json_t *json, bool *ret_lowercases,
                          linkd_error *err)
{
    const json_t *value = json_object_get(json, "do_lower_case");

    if (value != NULL && !json_is_boolean(value) && !json_is_null(value))
        return lk_fail(err, LINKD_E_DATA,
                       LIMIT_FILE ": do_lower_case is neither true nor false");
    *ret_lowercases = json_is_true(value);
    return LINKD_OK;
}

int lk_config_parse_limit(const void *bytes, size_t len, lk_config *config,
                          bool *ret_is_set, linkd_error *err)
{
    size_t limit = 0;
    const json_t *value;
    json_t *json = NULL;
    int rc = lk_config_object(bytes, len, LIMIT_FILE, &json, err);

    if (rc == LINKD_OK)
        rc = lowercases_get(json, &config->lowercases, err);
    if (rc != LINKD_OK)
        goto done;
    value = json_object_get(json, "max_seq_length");
    *ret_is_set = value != NULL && !json_is_null(value);
    if (*ret_is_set)
        rc = lk_config_size(json, LIMIT_FILE, "max_seq_length", LK_COUNT_MAX,
                            &limit, err);
    if (rc == LINKD_OK && *ret_is_set)
        rc = limit_apply(limit, LIMIT_FILE ": max_seq_length", config, err);
done:
    json_decref(json);
    return rc;
}

static int cut_get(const json_t *side, lk_cut *ret_cut, linkd_error *err)
{
    const char *text = json_string_value(side);

    if (side == NULL || json_is_null(side))
        return LINKD_OK;
    if (text == NULL ||
        (strcmp(text, "left") != 0 && strcmp(text, "right") != 0))
        return lk_fail(err, LINKD_E_DATA,
                       TOKENIZER_FILE ": truncation_side \"%.60s\" is neither "
                                      "\"left\" nor \"right\"",
                       text != NULL ? text : "");
    *ret_cut = text[0] == 'l' ? LK_CUT_BEGINNING : LK_CUT_END;
    return LINKD_OK;
}

/* Files without a limit have a number beyond all sense, often not an integer. */
int lk_config_parse_tokenizer(const void *bytes, size_t len, bool takes_limit,
                              lk_config *config, linkd_error *err)
{
    json_t *json = NULL;
    int rc = lk_config_object(bytes, len, TOKENIZER_FILE, &json, err);
    double limit = json_number_value(json_object_get(json, "model_max_length"));

    if (rc == LINKD_OK)
        rc = cut_get(json_object_get(json, "truncation_side"), &config->cut,
                     err);
    if (rc == LINKD_OK && takes_limit && limit > 0.0 &&
        limit <= (double)LK_COUNT_MAX)
        rc = limit_apply((size_t)limit, TOKENIZER_FILE ": model_max_length",
                         config, err);
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
    int rc = lk_file_path(dir, LK_CONFIG_FILE, &path, err);

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
static int modules_read(const char *dir, lk_config *config,
                        lk_buf *ret_pooling_dir, linkd_error *err)
{
    lk_file file = {0};
    int rc = optional_map(dir, MODULES_FILE, &file, err);

    if (rc == LINKD_OK && file.bytes != NULL)
        rc = lk_config_parse_modules(file.bytes, file.len, config,
                                     ret_pooling_dir, err);
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
    int rc = modules_read(dir, config, &name, err);

    if (rc != LINKD_OK)
        goto done;
    rc = lk_buf_printf(&name, err, "/%s", LK_CONFIG_FILE);
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

static int dense_read(const char *dir, size_t n_in, lk_dense_config *dense,
                      linkd_error *err)
{
    lk_file file = {0};
    lk_buf name = {0};
    lk_buf path = {0};
    int rc = lk_buf_printf(&name, err, "%s/%s", dense->dir, LK_CONFIG_FILE);

    if (rc == LINKD_OK)
        rc = lk_file_path(dir, name.data, &path, err);
    if (rc == LINKD_OK)
        rc = lk_file_map(path.data, &file, err);
    if (rc == LINKD_OK)
        rc = lk_config_parse_dense(file.bytes, file.len, name.data, n_in, dense,
                                   err);
    lk_file_unmap(&file);
    lk_buf_clear(&path);
    lk_buf_clear(&name);
    return rc;
}

static int dense_layers_read(const char *dir, lk_config *config,
                             linkd_error *err)
{
    size_t n_in = config->dim;
    int rc = LINKD_OK;

    if (config->n_dense > 0 && config->pools_by_root)
        return lk_fail(err, LINKD_E_DATA,
                       MODULES_FILE ": a dense layer behind " ROOT_MODE
                                    " is not supported");
    for (size_t i = 0; i < config->n_dense && rc == LINKD_OK; i++) {
        rc = dense_read(dir, n_in, &config->dense[i], err);
        n_in = config->dense[i].n_out;
    }
    return rc;
}

/* The tokenizer's limit counts where the model's file has none. */
static int limit_read(const char *dir, lk_config *config, linkd_error *err)
{
    lk_file file = {0};
    bool is_set = false;
    int rc = optional_map(dir, LIMIT_FILE, &file, err);

    if (rc == LINKD_OK && file.bytes != NULL)
        rc = lk_config_parse_limit(file.bytes, file.len, config, &is_set, err);
    lk_file_unmap(&file);
    file = (lk_file){0};
    if (rc == LINKD_OK)
        rc = optional_map(dir, TOKENIZER_FILE, &file, err);
    if (rc == LINKD_OK && file.bytes != NULL)
        rc = lk_config_parse_tokenizer(file.bytes, file.len, !is_set, config,
                                       err);
    lk_file_unmap(&file);
    return rc;
}

/* Those after a static table say nothing more, and CLIP has its own pooling. */
static bool has_modules(const lk_config *config)
{
    return config->architecture != LK_STATIC && config->architecture != LK_CLIP;
}

int lk_config_read(const char *dir, lk_config *ret_config, linkd_error *err)
{
    lk_config config;
    int rc = model_read(dir, &config, err);

    if (rc == LINKD_OK && has_modules(&config))
        rc = pooling_read(dir, &config, err);
    if (rc == LINKD_OK && has_modules(&config))
        rc = dense_layers_read(dir, &config, err);
    if (rc == LINKD_OK && has_modules(&config))
        rc = limit_read(dir, &config, err);
    if (rc == LINKD_OK)
        *ret_config = config;
    return rc;
}

const char *lk_pooling_name(lk_pooling pooling)
{
    static const char *const names[] = {[LK_POOLING_MEAN] = "mean",
                                        [LK_POOLING_CLS] = "cls",
                                        [LK_POOLING_LAST] = "last",
                                        [LK_POOLING_MAX] = "max",
                                        [LK_POOLING_END] = "end"};

    return names[pooling];
}
