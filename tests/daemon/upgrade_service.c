/* The collection of upgrade_service.h. */
#include "tests/daemon/upgrade_service.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/bridges.h"
#include "daemon/models.h"

#define NAME_BYTES ((size_t)64)

int upgrade_group_enter(void **state)
{
    int rc = service_group_enter(state);

    if (rc == 0) {
        model_make("other", 7);
        model_make("third", 8);
    }
    return rc;
}

/* Words that differ in their letters, since that is all that a model sees. */
void name_write(int i, char *ret_name, size_t size)
{
    static const char *const heads[] = {"quartz", "melody", "bishop", "vortex",
                                        "gallop", "fjord",  "kiwi",   "plaza",
                                        "nickel", "dwarf",  "oxygen", "thumb"};
    static const char *const tails[] = {"zigzag", "cobweb", "jumbo", "hyphen",
                                        "rhythm", "syrup",  "waltz", "lagoon"};

    (void)snprintf(ret_name, size, "%s %s %d", heads[i % 12], tails[i / 12 % 8],
                   i * 7919 % 1000);
}

void records_put(const char *collection, int from, int to)
{
    lk_buf body = {0};
    char name[64];
    int rc = lk_buf_printf(&body, NULL, "{\"records\":[");

    for (int i = from; i < to && rc == LINKD_OK; i++) {
        name_write(i, name, sizeof(name));
        rc = lk_buf_printf(&body, NULL,
                           "%s{\"id\":\"r%d\",\"fields\":{\"name\":\"%s\"}}",
                           i > from ? "," : "", i, name);
    }
    assert_int_equal(rc, LINKD_OK);
    assert_int_equal(lk_buf_printf(&body, NULL, "]}"), LINKD_OK);
    if (call_json(lk_handle_put_records, collection, body.data) != 200)
        fail_msg("%s", last.body.data);
    lk_buf_clear(&body);
}

void firms_make(void)
{
    collection_create("firms", "{\"text\":[\"name\"]}");
    records_put("firms", 0, N_RECORDS);
}

/* Runs the job of a route to its end. */
uint64_t upgrade_run(lk_handler *handler, const char *body)
{
    uint64_t number;

    if (call_json(handler, "firms", body) != 202)
        fail_msg("%s", last.body.data);
    number = (uint64_t)json_integer_value(at("job"));
    job_wait(number);
    return number;
}

void upgrade_do(lk_handler *handler, const char *body)
{
    (void)upgrade_run(handler, body);
    assert_text_at("state", "done");
}

void start(const char *model)
{
    char body[64];

    (void)snprintf(body, sizeof(body), "{\"model\":\"%s\"}", model);
    upgrade_do(lk_handle_upgrade_start, body);
}

void search_for(int i, const char *options)
{
    char name[64];
    char body[256];

    name_write(i, name, sizeof(name));
    (void)snprintf(body, sizeof(body), "{\"text\":\"%s\"%s}", name, options);
    assert_int_equal(call_json(lk_handle_search, "firms", body), 200);
}

static void fault_fail(void *ctx, const char *message)
{
    (void)ctx;
    fail_msg("%s", message);
}

void store_check(void)
{
    linkd_check_report report;
    linkd_error err = {0};

    assert_int_equal(
        linkd_store_check(service.store, NULL, fault_fail, NULL, &report, &err),
        LINKD_OK);
}

void assert_found(int from, int to, int generation, const char *way)
{
    char id[16];

    for (int i = from; i < to; i++) {
        search_for(i, ",\"k\":1");
        (void)snprintf(id, sizeof(id), "r%d", i);
        assert_text_at("hits.0.id", id);
        assert_int_equal(json_integer_value(at("hits.0.generation")),
                         generation);
        assert_text_at("hits.0.way", way);
        assert_true(json_real_value(at("hits.0.probability")) > 0.0);
    }
}

char *first_answers(const char *options)
{
    lk_buf answers = {0};

    for (int i = 0; i < 20; i++) {
        search_for(i, options);
        for (size_t j = 0; j < size_at("hits"); j++) {
            char path[32];
            const json_t *hit;

            (void)snprintf(path, sizeof(path), "hits.%zu", j);
            hit = at(path);
            assert_int_equal(
                lk_buf_printf(&answers, NULL, "%s %.9g\n",
                              json_string_value(json_object_get(hit, "id")),
                              json_real_value(json_object_get(hit, "score"))),
                LINKD_OK);
        }
    }
    return answers.data;
}

void attach_one(const char *id, int i)
{
    char name[64];
    char body[160];

    name_write(i, name, sizeof(name));
    (void)snprintf(body, sizeof(body),
                   "{\"id\":\"%s\",\"fields\":{\"name\":\"%s\"},"
                   "\"threshold\":0.97}",
                   id, name);
    if (call_json(lk_handle_attach, "firms", body) != 200)
        fail_msg("%s", last.body.data);
}

void assert_untouched(void)
{
    assert_int_equal(call_json(lk_handle_get_upgrade, "firms", NULL), 200);
    assert_json_at("serving", "1");
    assert_int_equal(size_at("generations"), 1);
    store_check();
}

void blob_flip(uint32_t generation, uint8_t kind, uint32_t other)
{
    static const linkd_str name = {"firms", 5};
    linkd_blob blob = {.generation = generation, .kind = kind, .other = other};
    linkd_view *view = NULL;
    linkd_str bytes;
    char *flipped;
    bool found = false;

    assert_int_equal(linkd_view_open(service.store, name, &view, NULL),
                     LINKD_OK);
    assert_int_equal(linkd_view_blob(view, blob.generation, blob.kind,
                                     blob.other, &bytes, &found, NULL),
                     LINKD_OK);
    assert_true(found);
    flipped = malloc(bytes.len);
    assert_non_null(flipped);
    memcpy(flipped, bytes.bytes, bytes.len);
    flipped[kind == LINKD_BLOB_MAP ? bytes.len / 2 : 1] ^= 4;
    blob.bytes = (linkd_str){flipped, bytes.len};
    linkd_view_close(view);
    assert_int_equal(linkd_store_put_blob(service.store, name, &blob, NULL),
                     LINKD_OK);
    free(flipped);
    lk_bridge_cache_free(service.bridges); /* as after a new start of linkd */
    assert_int_equal(lk_bridge_cache_new(&service.bridges, NULL), LINKD_OK);
}

/* The names of N_NAMES records; NULL: out of memory. */
static char *names_make(lk_upgrade_sample *s)
{
    char *names = lk_upgrade_room(s, N_NAMES, NAME_BYTES);

    for (size_t i = 0; names != NULL && i < N_NAMES; i++)
        name_write((int)i, names + i * NAME_BYTES, NAME_BYTES);
    return names;
}

static int anchors_make(lk_upgrade_sample *s, size_t n, linkd_error *err)
{
    const char *names = names_make(s);

    s->texts = lk_upgrade_room(s, n, sizeof(*s->texts));
    if (names == NULL || s->texts == NULL)
        return lk_fail_nomem(err);
    for (; s->n < n; s->n++) {
        const char *name = names + s->n % N_NAMES * NAME_BYTES;

        s->texts[s->n] = (linkd_str){name, strlen(name)};
    }
    return LINKD_OK;
}

int sample_make(const lk_job_spec *spec, size_t n_anchors,
                lk_upgrade_sample *ret_sample, linkd_error *err)
{
    static const linkd_str firms = {"firms", 5};
    lk_upgrade_sample *s = ret_sample;
    linkd_collection_info info;
    linkd_view *view = NULL;
    int rc;

    *s = (lk_upgrade_sample){0};
    rc = linkd_store_describe(service.store, firms, &s->arena, &info, err);
    if (rc == LINKD_OK)
        rc = linkd_settings_parse(info.options.settings, &s->arena,
                                  &s->settings, err);
    if (rc == LINKD_OK)
        rc = linkd_view_open(service.store, firms, &view, err);
    if (rc == LINKD_OK)
        rc = anchors_make(s, n_anchors, err);
    if (rc == LINKD_OK)
        rc = lk_upgrade_queries_make(s, view, spec, err);
    linkd_view_close(view);
    return rc;
}

void model_hide(const char *model)
{
    char from[64];
    char to[64];

    (void)snprintf(from, sizeof(from), "models/%s", model);
    (void)snprintf(to, sizeof(to), "models/hidden-%s", model);
    assert_int_equal(rename(from, to), 0);
    /* a model that is open stays open */
    lk_models_free(service.models);
    assert_int_equal(lk_models_new(1, service.metrics, &service.models, NULL),
                     LINKD_OK);
}

void model_show(const char *model)
{
    char from[64];
    char to[64];

    (void)snprintf(from, sizeof(from), "models/hidden-%s", model);
    (void)snprintf(to, sizeof(to), "models/%s", model);
    assert_int_equal(rename(from, to), 0);
}
