/* The service of service.h. */
#include "tests/daemon/service.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/bridges.h"
#include "daemon/hits.h"
#include "daemon/models.h"
#include "tests/linkage/scratch.h"

lk_service service;
lk_config config;
answer last;

static int path_remove(const char *path, const struct stat *status, int kind,
                       struct FTW *walk)
{
    (void)status;
    (void)kind;
    (void)walk;
    return remove(path);
}

int service_group_enter(void **state)
{
    char models[512];
    char *cwd;

    if (scratch_enter(state) != 0 || mkdir("models", 0700) != 0 ||
        system(MAKE_TINY_MODEL " models/tiny") != 0)
        return -1;
    cwd = getcwd(NULL, 0);
    (void)snprintf(models, sizeof(models), "%s/models", cwd);
    free(cwd);
    return setenv("LINKD_MODELS", models, 1);
}

void model_make(const char *name, int seed)
{
    char command[512];

    (void)snprintf(command, sizeof(command), MAKE_TINY_MODEL " models/%s %d",
                   name, seed);
    assert_int_equal(system(command), 0);
}

void prompted_model_make(const char *name, int seed, const char *prompts)
{
    char path[128];
    FILE *file;

    model_make(name, seed);
    (void)snprintf(path, sizeof(path),
                   "models/%s/config_sentence_transformers.json", name);
    file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(prompts, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

int service_group_leave(void **state)
{
    (void)nftw("models", path_remove, 8, FTW_DEPTH | FTW_PHYS);
    return scratch_leave(state);
}

int service_enter(void **state)
{
    static char tiny[] = "tiny";
    linkd_store_options options = LINKD_STORE_OPTIONS_INIT;
    linkd_error err = {0};

    (void)state;
    config = (lk_config){.model = tiny};
    service = (lk_service){.config = &config};
    service.phase = LK_PHASE_READY;
    assert_int_equal(linkd_store_open("data", &options, &service.store, &err),
                     LINKD_OK);
    assert_int_equal(lk_metrics_new(&service.metrics, &err), LINKD_OK);
    assert_int_equal(lk_models_new(1, service.metrics, &service.models, &err),
                     LINKD_OK);
    assert_int_equal(lk_bridge_cache_new(&service.bridges, &err), LINKD_OK);
    assert_int_equal(linkd_rates_new(&service.rates, &err), LINKD_OK);
    assert_int_equal(lk_hits_new(&service.hits, &err), LINKD_OK);
    lk_throttle_init(&service.cascades, config.cascade_rate, lk_clock_ns());
    return 0;
}

static void answer_clear(void)
{
    lk_buf_clear(&last.body);
    json_decref(last.json);
    json_decref(last.headers);
    last = (answer){0};
}

int service_leave(void **state)
{
    (void)state;
    answer_clear();
    lk_models_free(service.models);
    lk_bridge_cache_free(service.bridges);
    linkd_rates_free(service.rates);
    lk_hits_free(service.hits);
    lk_throttle_clear(&service.cascades);
    lk_metrics_free(service.metrics);
    linkd_store_close(service.store);
    return nftw("data", path_remove, 8, FTW_DEPTH | FTW_PHYS);
}

static linkd_str str_of(const char *text)
{
    return text != NULL ? (linkd_str){text, strlen(text)} : (linkd_str){"", 0};
}

static void request_fill(lk_request *request, const call *c,
                         lk_header headers[3])
{
    size_t len = c->body_len > 0 ? c->body_len : str_of(c->body).len;

    headers[0] = (lk_header){
        str_of("content-type"),
        str_of(c->content_type != NULL ? c->content_type : "application/json")};
    headers[1] = (lk_header){str_of("accept"), str_of(c->accept)};
    headers[2] = (lk_header){str_of("idempotency-key"), str_of(c->key)};
    request->headers = headers;
    request->n_headers = c->key != NULL ? 3 : 2;
    request->method = LK_POST;
    request->path = str_of(c->collection);
    request->query = str_of(c->query);
    request->params[0] = str_of(c->collection);
    request->params[1] = str_of(c->name);
    request->deadline_ns = lk_clock_ns() + 60U * UINT64_C(1000000000);
    request->role = LK_ROLE_ADMIN;
    atomic_init(&request->stopped, c->is_over);
    if (c->body != NULL)
        assert_int_equal(lk_buf_append(&request->body, c->body, len, NULL),
                         LINKD_OK);
}

/* As the server does it, but for the pauses. */
static int stream_read(lk_response *response, linkd_error *err)
{
    static const struct timespec pause = {.tv_nsec = 20000000L};
    const lk_stream *stream = &response->stream;
    lk_stream_state state = LK_STREAM_MORE;
    int rc = LINKD_OK;

    while (stream->next != NULL && rc == LINKD_OK && state != LK_STREAM_END) {
        if (state == LK_STREAM_WAIT)
            (void)nanosleep(&pause, NULL);
        rc = stream->next(stream->ctx, &response->body, &state, err);
    }
    if (stream->next != NULL)
        stream->free(stream->ctx);
    return rc;
}

static void headers_keep(const lk_response *response)
{
    last.headers = json_object();
    for (size_t i = 0; i < response->n_headers; i++)
        (void)json_object_set_new(last.headers, response->headers[i].name,
                                  json_string(response->headers[i].value));
    last.replayed = header_of("Idempotency-Replayed") != NULL;
}

const char *header_of(const char *name)
{
    return json_string_value(json_object_get(last.headers, name));
}

int call_run(const call *c)
{
    lk_request request = {0};
    lk_response response = {0};
    lk_header headers[3];
    linkd_error err = {0};
    int rc;

    answer_clear();
    request_fill(&request, c, headers);
    rc = c->handler(&service, &request, &response, &err);
    if (rc == LINKD_OK)
        rc = stream_read(&response, &err);
    if (rc != LINKD_OK) {
        assert_int_equal(err.code, rc);
        lk_response_set_problem(&response, &err);
    }
    last.status = response.status != 0 ? response.status : 200;
    last.body = response.body;
    last.json =
        json_loadb(last.body.data, last.body.len, JSON_REJECT_DUPLICATES, NULL);
    headers_keep(&response);
    lk_buf_clear(&request.body);
    lk_arena_clear(&request.arena);
    return last.status;
}

int call_json(lk_handler *handler, const char *collection, const char *body)
{
    return call_run(
        &(call){.handler = handler, .collection = collection, .body = body});
}

static const json_t *value_find(const char *path)
{
    const json_t *value = last.json;

    while (value != NULL && *path != '\0') {
        size_t len = strcspn(path, ".");
        char part[64];

        assert_true(len < sizeof(part));
        memcpy(part, path, len);
        part[len] = '\0';
        value = json_is_array(value)
                    ? json_array_get(value, strtoul(part, NULL, 10))
                    : json_object_get(value, part);
        path += len + (path[len] == '.');
    }
    return value;
}

bool is_there(const char *path)
{
    return value_find(path) != NULL;
}

const json_t *at(const char *path)
{
    const json_t *value = value_find(path);

    if (value == NULL)
        fail_msg("no %s in %s", path, last.body.data);
    return value;
}

void assert_text_at(const char *path, const char *expected)
{
    const char *text = json_string_value(at(path));

    assert_non_null(text);
    assert_string_equal(text, expected);
}

void assert_json_at(const char *path, const char *expected)
{
    json_t *wanted = json_loads(expected, JSON_DECODE_ANY, NULL);
    char *text = json_dumps(at(path), JSON_ENCODE_ANY | JSON_COMPACT);

    assert_non_null(wanted);
    if (!json_equal(at(path), wanted))
        fail_msg("%s is %s, not %s", path, text, expected);
    free(text);
    json_decref(wanted);
}

size_t size_at(const char *path)
{
    assert_true(json_is_array(at(path)));
    return json_array_size(at(path));
}

void assert_problem(int status, const char *code, const char *detail)
{
    assert_text_at("detail", detail);
    assert_text_at("code", code);
    assert_int_equal(last.status, status);
    assert_int_equal(json_integer_value(at("status")), status);
}

void collection_create(const char *name, const char *body)
{
    if (call_json(lk_handle_create_collection, name, body) != 201)
        fail_msg("%s", last.body.data);
}

void record_put(const char *collection, const char *record)
{
    lk_buf body = {0};

    assert_int_equal(lk_buf_printf(&body, NULL, "{\"records\":[%s]}", record),
                     LINKD_OK);
    if (call_json(lk_handle_put_records, collection, body.data) != 200)
        fail_msg("%s", last.body.data);
    lk_buf_clear(&body);
}
