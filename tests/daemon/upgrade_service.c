/* The collection of upgrade_service.h. */
#include "tests/daemon/upgrade_service.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

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
