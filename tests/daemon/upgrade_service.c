/* The collection of upgrade_service.h. */
#include "tests/daemon/upgrade_service.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/models.h"

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
