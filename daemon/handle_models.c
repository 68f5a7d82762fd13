/* daemon/handle_models.c — texts to vectors and the models that do it, in the
 * shape that OpenAI's clients know.
 *
 * Where that shape is met: input as text or array of texts, float or base64,
 * usage in tokens. Where it is not: arrays of token numbers are refused, since
 * they are another tokenizer's, and vectors are never shortened. */
#include <dirent.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "daemon/handlers.h"
#include "daemon/json.h"
#include "daemon/models.h"
#include "daemon/print.h"
#include "daemon/service.h"

#define INPUTS_MAX ((size_t)2048) /* as OpenAI's */
/* Up to here somebody may be waiting for a query; more is bulk. A guess. */
#define URGENT_MAX ((size_t)16)

/* ---- embeddings ---------------------------------------------------------- */

typedef struct job {
    lk_model *model;
    linkd_use use;
    linkd_str model_name;
    linkd_str *texts;
    size_t n;
    bool is_base64;
    float *vectors; /* [n, dim] */
    uint64_t n_tokens;
} job;

static int text_read(const json_t *value, size_t i, linkd_str *ret_text,
                     linkd_error *err)
{
    if (json_is_number(value) || json_is_array(value))
        return lk_fail(err, LINKD_E_ARG,
                       "\"input\" has token numbers: only texts are taken");
    if (!json_is_string(value))
        return lk_fail(err, LINKD_E_ARG, "\"input\": item %zu is not a text",
                       i);
    *ret_text =
        (linkd_str){json_string_value(value), json_string_length(value)};
    return LINKD_OK;
}

static int input_read(const json_t *input, lk_arena *arena, job *j,
                      linkd_error *err)
{
    size_t n = json_is_array(input) ? json_array_size(input) : 1;
    int rc = LINKD_OK;

    if (input == NULL)
        return lk_fail(err, LINKD_E_ARG, "\"input\" is missing");
    if (n == 0 || n > INPUTS_MAX)
        return lk_fail(err, LINKD_E_ARG,
                       "\"input\" has %zu texts, not 1 to %zu", n, INPUTS_MAX);
    j->texts = lk_arena_alloc(arena, n * sizeof(*j->texts));
    if (j->texts == NULL)
        return lk_fail_nomem(err);
    j->n = n;
    for (size_t i = 0; i < n && rc == LINKD_OK; i++)
        rc = text_read(json_is_array(input) ? json_array_get(input, i) : input,
                       i, &j->texts[i], err);
    return rc;
}

static int encoding_read(const json_t *body, job *j, linkd_error *err)
{
    linkd_str name = {"float", 5};
    int rc = lk_json_get_string(body, "encoding_format", &name, err);

    if (rc != LINKD_OK)
        return rc;
    j->is_base64 = lk_str_is(name, "base64");
    if (!j->is_base64 && !lk_str_is(name, "float"))
        return lk_fail(err, LINKD_E_ARG,
                       "\"encoding_format\" is neither float nor base64");
    return LINKD_OK;
}

/* As other servers of this shape have it for models that ask for prompts. */
static int use_read(const json_t *body, job *j, linkd_error *err)
{
    linkd_str name = {0};
    int rc = lk_json_get_string(body, "input_type", &name, err);

    if (rc != LINKD_OK || name.bytes == NULL)
        return rc;
    j->use = lk_str_is(name, "query") ? LINKD_USE_QUERY : LINKD_USE_RECORD;
    if (j->use == LINKD_USE_RECORD && !lk_str_is(name, "document"))
        return lk_fail(err, LINKD_E_ARG,
                       "\"input_type\" is neither query nor document");
    return LINKD_OK;
}

static int model_read(lk_service *service, const json_t *body, job *j,
                      linkd_error *err)
{
    const char *usual = service->config->model;
    size_t wanted = 0;
    size_t dim;
    int rc;

    if (usual != NULL)
        j->model_name = (linkd_str){usual, strlen(usual)};
    rc = lk_json_get_string(body, "model", &j->model_name, err);
    if (rc == LINKD_OK && j->model_name.len == 0)
        rc = lk_fail(err, LINKD_E_ARG,
                     "\"model\" is missing and the daemon has no default");
    if (rc == LINKD_OK)
        rc = lk_models_get(service->models, j->model_name, &j->model, err);
    if (rc == LINKD_OK)
        rc = lk_json_get_size(body, "dimensions", 1, LINKD_DIM_MAX, &wanted,
                              err);
    if (rc != LINKD_OK)
        return rc;
    if (!lk_model_reads_texts(j->model))
        return lk_fail(err, LINKD_E_ARG,
                       "model \"%s\" reads pictures alone, and no texts",
                       lk_label_of(j->model_name).text);
    dim = lk_model_describe(j->model)->dim;
    if (wanted != 0 && wanted != dim)
        return lk_fail(err, LINKD_E_ARG,
                       "\"dimensions\" is %zu, but vectors of the model have "
                       "%zu numbers",
                       wanted, dim);
    return LINKD_OK;
}

static int body_read(lk_service *service, lk_request *request,
                     const json_t *body, job *j, linkd_error *err)
{
    static const char *const members[] = {
        "input", "model", "encoding_format", "dimensions", "input_type",
        "user",  NULL};
    int rc = lk_json_check_members(body, "the body", members, err);

    if (rc == LINKD_OK)
        rc = encoding_read(body, j, err);
    if (rc == LINKD_OK)
        rc = use_read(body, j, err);
    if (rc == LINKD_OK)
        rc =
            input_read(json_object_get(body, "input"), &request->arena, j, err);
    return rc == LINKD_OK ? model_read(service, body, j, err) : rc;
}

static int texts_embed(lk_request *request, job *j, linkd_error *err)
{
    const lk_model_embedder e = {.model = j->model,
                                 .urgency =
                                     j->n <= URGENT_MAX ? LK_URGENT : LK_BULK,
                                 .use = j->use,
                                 .stop_cb = lk_request_is_over,
                                 .stop_ctx = request};
    size_t dim = lk_model_describe(j->model)->dim;
    int rc = LINKD_OK;

    j->vectors =
        lk_arena_alloc(&request->arena, j->n * dim * sizeof(*j->vectors));
    if (j->vectors == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < j->n && rc == LINKD_OK; i++) {
        size_t n_tokens = 0;

        rc = lk_model_count_tokens(j->model, j->use, j->texts[i], &n_tokens,
                                   err);
        j->n_tokens += n_tokens;
    }
    if (rc != LINKD_OK)
        return rc;
    return lk_model_embed(&e, j->texts, j->n, j->vectors, NULL, err);
}

static int embedding_print(const job *j, size_t i, lk_buf *body,
                           linkd_error *err)
{
    size_t dim = lk_model_describe(j->model)->dim;
    const float *vector = j->vectors + i * dim;
    int rc = lk_buf_printf(body, err,
                           "%s{\"object\":\"embedding\",\"index\":%zu,"
                           "\"embedding\":",
                           i > 0 ? "," : "", i);

    if (rc == LINKD_OK && !j->is_base64)
        rc = lk_print_vector(body, vector, dim, err);
    if (rc == LINKD_OK && j->is_base64) {
        rc = lk_buf_append(body, "\"", 1, err);
        if (rc == LINKD_OK)
            rc = lk_base64_encode(vector, dim * sizeof(*vector), body, err);
        if (rc == LINKD_OK)
            rc = lk_buf_append(body, "\"", 1, err);
    }
    return rc == LINKD_OK ? lk_buf_append(body, "}", 1, err) : rc;
}

static int embeddings_print(const job *j, lk_buf *body, linkd_error *err)
{
    int rc = lk_buf_printf(body, err, "{\"object\":\"list\",\"data\":[");

    for (size_t i = 0; i < j->n && rc == LINKD_OK; i++)
        rc = embedding_print(j, i, body, err);
    if (rc == LINKD_OK)
        rc = lk_buf_append(body, "],\"model\":", 10, err);
    if (rc == LINKD_OK)
        rc = lk_json_put_string(body, j->model_name, err);
    if (rc == LINKD_OK)
        rc = lk_buf_printf(body, err,
                           ",\"usage\":{\"prompt_tokens\":%" PRIu64
                           ",\"total_tokens\":%" PRIu64 "}}\n",
                           j->n_tokens, j->n_tokens);
    return rc;
}

int lk_handle_embeddings(lk_service *service, lk_request *request,
                         lk_response *response, linkd_error *err)
{
    linkd_str text = {request->body.data, request->body.len};
    json_t *body = NULL;
    job j = {0};
    int rc = lk_json_parse(text, &body, err);

    if (rc == LINKD_OK)
        rc = body_read(service, request, body, &j, err);
    if (rc == LINKD_OK)
        rc = texts_embed(request, &j, err);
    if (rc == LINKD_OK)
        rc = embeddings_print(&j, &response->body, err);
    json_decref(body);
    return rc;
}

/* ---- models -------------------------------------------------------------- */

/* A model is a directory of the model store. What only its files tell is shown
 * once it is open; listing opens none. */
static int model_print(lk_service *service, linkd_str name,
                       const struct stat *status, lk_buf *body,
                       linkd_error *err)
{
    lk_model *model = lk_models_find(service->models, name);
    int rc = lk_buf_append(body, "{\"id\":", 6, err);

    if (rc == LINKD_OK)
        rc = lk_json_put_string(body, name, err);
    if (rc == LINKD_OK)
        rc = lk_buf_printf(body, err,
                           ",\"object\":\"model\",\"created\":%lld,"
                           "\"owned_by\":\"linkd\"",
                           (long long)status->st_mtime);
    if (rc == LINKD_OK && model != NULL) {
        const linkd_encoder_info *info = lk_model_describe(model);

        rc = lk_buf_printf(body, err,
                           ",\"dim\":%zu,\"max_tokens\":%zu,"
                           "\"fingerprint\":\"%s\"",
                           info->dim, info->max_tokens, info->fingerprint);
    }
    return rc == LINKD_OK ? lk_buf_append(body, "}", 1, err) : rc;
}

/* Files, and what a fetch has not finished yet, are no models. */
static bool is_model(int store_fd, const char *name, struct stat *ret_status)
{
    return name[0] != '.' && strchr(name, '/') == NULL &&
           lk_utf8_check(name, strlen(name)) == strlen(name) &&
           fstatat(store_fd, name, ret_status, 0) == 0 &&
           S_ISDIR(ret_status->st_mode);
}

/* The model store; NULL when there is none yet. */
static int store_open(DIR **ret_store, linkd_error *err)
{
    lk_buf path = {0};
    int rc = linkd_encoder_store_path(&path, err);

    if (rc == LINKD_OK)
        *ret_store = opendir(path.data);
    lk_buf_clear(&path);
    return rc;
}

static int names_compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names of all models in order, in the arena. */
static int names_read(DIR *store, lk_arena *arena, char ***ret_names,
                      size_t *ret_n, linkd_error *err)
{
    void *names = NULL;
    size_t capacity = 0;
    size_t n = 0;
    const struct dirent *entry;
    struct stat status;
    int rc = LINKD_OK;

    while (rc == LINKD_OK && (entry = readdir(store)) != NULL) {
        if (!is_model(dirfd(store), entry->d_name, &status))
            continue;
        rc = lk_grow(&names, &capacity, n + 1, sizeof(char *), err);
        if (rc != LINKD_OK)
            break;
        ((char **)names)[n] =
            lk_arena_copy(arena, entry->d_name, strlen(entry->d_name));
        if (((char **)names)[n++] == NULL)
            rc = lk_fail_nomem(err);
    }
    if (rc == LINKD_OK && n > 0)
        qsort(names, n, sizeof(char *), names_compare);
    if (rc != LINKD_OK)
        free(names);
    else
        *ret_names = names;
    *ret_n = n;
    return rc;
}

static int list_print(lk_service *service, DIR *store, char *const *names,
                      size_t n, lk_buf *body, linkd_error *err)
{
    size_t n_printed = 0;
    int rc = LINKD_OK;

    for (size_t i = 0; i < n && rc == LINKD_OK; i++) {
        linkd_str name = {names[i], strlen(names[i])};
        struct stat status;

        if (!is_model(dirfd(store), names[i], &status))
            continue;
        if (n_printed++ > 0)
            rc = lk_buf_append(body, ",", 1, err);
        if (rc == LINKD_OK)
            rc = model_print(service, name, &status, body, err);
    }
    return rc;
}

int lk_handle_list_models(lk_service *service, lk_request *request,
                          lk_response *response, linkd_error *err)
{
    lk_buf *body = &response->body;
    char **names = NULL;
    DIR *store = NULL;
    size_t n = 0;
    int rc = store_open(&store, err);

    if (rc == LINKD_OK && store != NULL)
        rc = names_read(store, &request->arena, &names, &n, err);
    if (rc == LINKD_OK)
        rc = lk_buf_printf(body, err, "{\"object\":\"list\",\"data\":[");
    if (rc == LINKD_OK && n > 0)
        rc = list_print(service, store, names, n, body, err);
    if (rc == LINKD_OK)
        rc = lk_buf_append(body, "]}\n", 3, err);
    free(names);
    if (store != NULL)
        (void)closedir(store);
    return rc;
}

int lk_handle_get_model(lk_service *service, lk_request *request,
                        lk_response *response, linkd_error *err)
{
    linkd_str name = request->params[0]; /* NUL-terminated: it was decoded */
    struct stat status = {0};
    DIR *store = NULL;
    int rc = store_open(&store, err);

    if (rc == LINKD_OK &&
        (store == NULL || !is_model(dirfd(store), name.bytes, &status)))
        rc = lk_fail(err, LINKD_E_ABSENT,
                     "there is no model \"%s\" in the model store",
                     lk_label_of(name).text);
    if (rc == LINKD_OK)
        rc = model_print(service, name, &status, &response->body, err);
    if (store != NULL)
        (void)closedir(store);
    return rc == LINKD_OK ? lk_buf_append(&response->body, "\n", 1, err) : rc;
}
