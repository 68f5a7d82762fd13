/* daemon/handle_collections.c — collections: created, listed, described and
 * dropped.
 *
 * What a body says about texts is checked by linkage and kept in the store as
 * linkage prints it; the description shows it as it is kept. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/handlers.h"
#include "daemon/idempotency.h"
#include "daemon/json.h"
#include "daemon/models.h"
#include "daemon/service.h"

/* Guess: as many fields as anybody has named. */
#define FILTER_FIELDS_MAX ((size_t)256)

static const char *const index_names[] = {
    [LINKD_INDEX_AUTO] = "auto",
    [LINKD_INDEX_EXACT] = "exact",
    [LINKD_INDEX_HNSW] = "hnsw",
    [LINKD_INDEX_IVF] = "ivf",
};
#define N_INDEX_NAMES (sizeof(index_names) / sizeof(index_names[0]))

/* ---- describing ---------------------------------------------------------- */

static int string_or_null_print(lk_buf *buf, linkd_str text, linkd_error *err)
{
    if (text.len == 0)
        return lk_buf_append(buf, "null", 4, err);
    return lk_json_put_string(buf, text, err);
}

static int filter_fields_print(lk_buf *buf,
                               const linkd_collection_options *options,
                               linkd_error *err)
{
    int rc;

    if (options->filter_fields == NULL)
        return lk_buf_append(buf, "null", 4, err);
    rc = lk_buf_append(buf, "[", 1, err);
    for (size_t i = 0; i < options->n_filter_fields && rc == LINKD_OK; i++) {
        if (i > 0)
            rc = lk_buf_append(buf, ",", 1, err);
        if (rc == LINKD_OK)
            rc = lk_json_put_string(buf, options->filter_fields[i], err);
    }
    return rc == LINKD_OK ? lk_buf_append(buf, "]", 1, err) : rc;
}

/* The settings' members, as they are kept, without their braces. */
static int settings_print(lk_buf *buf, linkd_str settings, linkd_error *err)
{
    if (settings.len <= 2)
        return LINKD_OK;
    return lk_buf_printf(buf, err, "%.*s,", (int)settings.len - 2,
                         settings.bytes + 1);
}

static int counts_print(lk_buf *buf, const linkd_collection_info *info,
                        linkd_error *err)
{
    time_t seconds = (time_t)(info->created_unix_ms / 1000);
    char created[32] = "";
    struct tm utc;

    if (gmtime_r(&seconds, &utc) != NULL)
        (void)strftime(created, sizeof(created), "%Y-%m-%dT%H:%M:%SZ", &utc);
    return lk_buf_printf(
        buf, err,
        ",\"index\":\"%s\",\"created\":\"%s\",\"records\":%" PRIu64
        ",\"vectors\":%" PRIu64 ",\"unindexed\":%" PRIu64
        ",\"segments\":%" PRIu64 ",\"entities\":%" PRIu64 "}",
        index_names[info->options.index], created, info->n_records,
        info->n_vectors, info->n_unindexed, info->n_segments, info->n_entities);
}

static int collection_print(lk_buf *buf, const linkd_collection_info *info,
                            linkd_error *err)
{
    int rc = lk_buf_append(buf, "{\"name\":", 8, err);

    if (rc == LINKD_OK)
        rc = lk_json_put_string(buf, info->name, err);
    if (rc == LINKD_OK)
        rc = lk_buf_append(buf, ",\"model\":", 9, err);
    if (rc == LINKD_OK)
        rc = string_or_null_print(buf, info->options.model, err);
    if (rc == LINKD_OK)
        rc = lk_buf_printf(buf, err, ",\"dim\":%zu,\"generation\":%" PRIu32 ",",
                           info->options.dim, info->generation);
    if (rc == LINKD_OK)
        rc = settings_print(buf, info->options.settings, err);
    if (rc == LINKD_OK)
        rc = lk_buf_append(buf, "\"filter\":", 9, err);
    if (rc == LINKD_OK)
        rc = filter_fields_print(buf, &info->options, err);
    return rc == LINKD_OK ? counts_print(buf, info, err) : rc;
}

static int answer_print(lk_service *service, lk_request *request,
                        lk_response *response, linkd_error *err)
{
    linkd_collection_info info;
    int rc = linkd_store_describe(service->store, request->params[0],
                                  &request->arena, &info, err);

    if (rc == LINKD_OK)
        rc = collection_print(&response->body, &info, err);
    return rc == LINKD_OK ? lk_buf_append(&response->body, "\n", 1, err) : rc;
}

int lk_handle_get_collection(lk_service *service, lk_request *request,
                             lk_response *response, linkd_error *err)
{
    return answer_print(service, request, response, err);
}

int lk_handle_list_collections(lk_service *service, lk_request *request,
                               lk_response *response, linkd_error *err)
{
    linkd_collection_info *infos = NULL;
    lk_buf *body = &response->body;
    size_t n = 0;
    int rc = linkd_store_list(service->store, &request->arena, &infos, &n, err);

    if (rc == LINKD_OK)
        rc = lk_buf_append(body, "{\"collections\":[", 16, err);
    for (size_t i = 0; i < n && rc == LINKD_OK; i++) {
        if (i > 0)
            rc = lk_buf_append(body, ",", 1, err);
        if (rc == LINKD_OK)
            rc = collection_print(body, &infos[i], err);
    }
    return rc == LINKD_OK ? lk_buf_append(body, "]}\n", 3, err) : rc;
}

/* ---- creating ------------------------------------------------------------ */

/* What a new collection will be; strings live in the arena or in the body. */
typedef struct plan {
    linkd_collection_options options;
    lk_model *model; /* NULL: vectors come ready-made */
    lk_buf settings;
} plan;

/* The members that are linkage's business, checked and printed anew. */
static int settings_read(const json_t *body, lk_arena *arena, plan *p,
                         linkd_error *err)
{
    static const char *const names[] = {"text", "template", "image",
                                        "threshold"};
    json_t *members = json_object();
    linkd_settings settings;
    char *text;
    int rc;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        json_t *value = json_object_get(body, names[i]);

        if (value != NULL)
            (void)json_object_set(members, names[i], value);
    }
    text = json_dumps(members, JSON_COMPACT);
    json_decref(members);
    if (text == NULL)
        return lk_fail_nomem(err);
    rc = linkd_settings_parse((linkd_str){text, strlen(text)}, arena, &settings,
                              err);
    if (rc == LINKD_OK && p->model != NULL)
        rc = lk_model_check(p->model, &settings, err);
    else if (rc == LINKD_OK && settings.image.len > 0)
        rc = lk_fail(err, LINKD_E_ARG,
                     "\"image\" needs a model: without one vectors are given");
    if (rc == LINKD_OK)
        rc = linkd_settings_print(&settings, &p->settings, err);
    free(text);
    p->options.settings = (linkd_str){p->settings.data, p->settings.len};
    return rc;
}

static int filter_fields_read(const json_t *value, lk_arena *arena, plan *p,
                              linkd_error *err)
{
    size_t n = json_array_size(value);
    linkd_str *names;

    if (value == NULL || json_is_null(value))
        return LINKD_OK;
    if (!json_is_array(value) || n > FILTER_FIELDS_MAX)
        return lk_fail(err, LINKD_E_ARG,
                       "\"filter\" is not an array of at most %zu fields",
                       FILTER_FIELDS_MAX);
    names = lk_arena_alloc(arena, (n + 1) * sizeof(*names));
    if (names == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < n; i++) {
        const json_t *name = json_array_get(value, i);

        if (!json_is_string(name) || json_string_length(name) == 0)
            return lk_fail(err, LINKD_E_ARG,
                           "\"filter\": item %zu is not a field's name", i);
        names[i] =
            (linkd_str){json_string_value(name), json_string_length(name)};
    }
    p->options.filter_fields = names;
    p->options.n_filter_fields = n;
    return LINKD_OK;
}

static int index_read(const json_t *body, plan *p, linkd_error *err)
{
    linkd_str name = {"auto", 4};
    int rc = lk_json_get_string(body, "index", &name, err);

    if (rc != LINKD_OK)
        return rc;
    for (size_t i = 0; i < N_INDEX_NAMES; i++) {
        if (lk_str_is(name, index_names[i])) {
            p->options.index = (linkd_index_kind)i;
            return LINKD_OK;
        }
    }
    return lk_fail(err, LINKD_E_ARG,
                   "\"index\" is none of auto, exact, hnsw and ivf");
}

/* A model that is not there is a wrong body, not a wrong path. */
static int model_find(lk_service *service, linkd_str name, plan *p,
                      linkd_error *err)
{
    const linkd_encoder_info *info;
    linkd_error why = {0};
    int rc = lk_models_get(service->models, name, &p->model, &why);

    if (rc != LINKD_OK)
        return lk_fail(err, rc == LINKD_E_ABSENT ? LINKD_E_ARG : rc, "%s",
                       why.message);
    info = lk_model_describe(p->model);
    if (p->options.dim != 0 && p->options.dim != info->dim)
        return lk_fail(err, LINKD_E_ARG,
                       "\"dim\" is %zu, but vectors of the model have %zu "
                       "numbers",
                       p->options.dim, info->dim);
    p->options.dim = info->dim;
    p->options.model = name;
    p->options.fingerprint =
        (linkd_str){info->fingerprint, strlen(info->fingerprint)};
    return LINKD_OK;
}

static int model_read(lk_service *service, const json_t *body, plan *p,
                      linkd_error *err)
{
    const json_t *value = json_object_get(body, "model");
    const char *usual = service->config->model;
    linkd_str name = {"", 0};
    int rc =
        lk_json_get_size(body, "dim", 1, LINKD_DIM_MAX, &p->options.dim, err);

    if (rc == LINKD_OK)
        rc = lk_json_get_string(body, "model", &name, err);
    if (rc != LINKD_OK)
        return rc;
    if (value == NULL && usual != NULL)
        name = (linkd_str){usual, strlen(usual)};
    if (value == NULL && usual == NULL)
        return lk_fail(err, LINKD_E_ARG,
                       "\"model\" is missing and the daemon has no default; "
                       "null is for ready-made vectors");
    if (!json_is_null(value))
        return model_find(service, name, p, err);
    if (p->options.dim == 0)
        return lk_fail(err, LINKD_E_ARG,
                       "\"dim\" is missing: without a model it is required");
    return LINKD_OK;
}

static int plan_read(lk_service *service, lk_request *request,
                     const json_t *body, plan *p, linkd_error *err)
{
    static const char *const members[] = {"model",  "dim",       "text",
                                          "filter", "index",     "template",
                                          "image",  "threshold", NULL};
    int rc = lk_json_check_members(body, "the body", members, err);

    if (rc == LINKD_OK)
        rc = model_read(service, body, p, err);
    if (rc == LINKD_OK)
        rc = settings_read(body, &request->arena, p, err);
    if (rc == LINKD_OK)
        rc = filter_fields_read(json_object_get(body, "filter"),
                                &request->arena, p, err);
    return rc == LINKD_OK ? index_read(body, p, err) : rc;
}

int lk_handle_create_collection(lk_service *service, lk_request *request,
                                lk_response *response, linkd_error *err)
{
    linkd_str text = {request->body.data, request->body.len};
    linkd_once once = {0};
    bool replayed = false;
    json_t *body = NULL;
    plan p = {0};
    int rc = lk_json_parse(text, &body, err);

    if (rc == LINKD_OK)
        rc = plan_read(service, request, body, &p, err);
    if (rc == LINKD_OK)
        rc = lk_once_read(request, &once, err);
    if (rc == LINKD_OK)
        rc = linkd_store_create_collection(service->store, request->params[0],
                                           &p.options, &once, &replayed, err);
    if (rc == LINKD_OK)
        rc = answer_print(service, request, response, err);
    if (rc == LINKD_OK)
        rc = lk_once_mark(response, request, replayed, err);
    if (rc == LINKD_OK)
        response->status = 201;
    lk_buf_clear(&p.settings);
    json_decref(body);
    return rc;
}

/* ---- dropping ------------------------------------------------------------ */

int lk_handle_drop_collection(lk_service *service, lk_request *request,
                              lk_response *response, linkd_error *err)
{
    linkd_once once = {0};
    bool replayed = false;
    int rc = lk_once_read(request, &once, err);

    if (rc == LINKD_OK)
        rc = linkd_store_drop_collection(service->store, request->params[0],
                                         &once, &replayed, err);
    if (rc == LINKD_OK)
        rc = lk_once_mark(response, request, replayed, err);
    if (rc == LINKD_OK)
        rc = lk_buf_append(&response->body, "{\"dropped\":", 11, err);
    if (rc == LINKD_OK)
        rc = lk_json_put_string(&response->body, request->params[0], err);
    return rc == LINKD_OK ? lk_buf_append(&response->body, "}\n", 2, err) : rc;
}
