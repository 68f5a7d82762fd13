/* tests/daemon/test_upgrade_memory.c — memory that runs out in an upgrade, at each
 * allocation in turn: it is told, and nothing is left behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "daemon/upgrade.h"
#include "tests/daemon/upgrade_service.h"
#include "tests/support/alloc_fail.h"

static bool never(void *ctx)
{
    (void)ctx;
    return false;
}

/* A job's request, and what was read of it. */
typedef struct request {
    json_t *json;
    lk_arena arena;
    lk_job_spec spec;
    linkd_progress progress;
    lk_job_run run;
} request;

static request *request_make(const char *members)
{
    request *r = calloc(1, sizeof(*r));
    lk_buf body = {0};

    assert_non_null(r);
    assert_int_equal(
        lk_buf_printf(&body, NULL,
                      "{\"kind\":\"upgrade-probe\",\"collection\":\"firms\","
                      "\"model\":\"other\"%s}",
                      members),
        LINKD_OK);
    r->json = json_loads(body.data, 0, NULL);
    assert_non_null(r->json);
    lk_buf_clear(&body);
    assert_int_equal(lk_job_spec_read(r->json, &r->arena, &r->spec, NULL),
                     LINKD_OK);
    r->run = (lk_job_run){.service = &service,
                          .spec = &r->spec,
                          .dir = ".",
                          .progress = &r->progress,
                          .stop_cb = never};
    return r;
}

static void request_free(request *r)
{
    json_decref(r->json);
    lk_arena_clear(&r->arena);
    free(r);
}

/* That a failed allocation was told. The service's own threads, which run beside,
 * may have met it: then the same one is tried again, but not for ever. */
static void told_check(int rc, bool failed, size_t *n)
{
    static size_t n_again = 0;

    if (failed && rc == LINKD_OK) {
        assert_true(++n_again < 20);
        --*n;
        return;
    }
    n_again = 0;
    assert_int_equal(rc, failed ? LINKD_E_NOMEM : LINKD_OK);
}

/* ---- queries ------------------------------------------------------------------- */

static void queries_run_out(const char *members)
{
    request *r = request_make(members);
    bool failed = true;

    for (size_t n = 1; failed; n++) {
        lk_upgrade_sample sample;
        linkd_error err = {0};
        int rc;

        alloc_fail_at(n);
        rc = sample_make(&r->spec, N_NAMES, &sample, &err);
        failed = alloc_fail_off();
        told_check(rc, failed, &n);
        lk_upgrade_sample_clear(&sample);
    }
    request_free(r);
}

static void made_queries_tell_of_it(void **state)
{
    (void)state;
    firms_make();
    queries_run_out("");
}

static void given_queries_tell_of_it(void **state)
{
    lk_buf body = {0};
    int rc = lk_buf_printf(&body, NULL, ",\"queries\":[");

    (void)state;
    firms_make();
    for (int i = 0; i < 12 && rc == LINKD_OK; i++)
        rc = lk_buf_printf(&body, NULL, "%s{\"query\":\"q%d\",\"id\":\"r%d\"}",
                           i > 0 ? "," : "", i, 2 * i);
    if (rc == LINKD_OK)
        rc = lk_buf_printf(&body, NULL, "]");
    assert_int_equal(rc, LINKD_OK);
    queries_run_out(body.data);
    lk_buf_clear(&body);
}

static void labels_tell_of_it(void **state)
{
    lk_buf body = {0};
    int rc = lk_buf_printf(&body, NULL, ",\"head\":\"contrast\",\"labels\":[");

    (void)state;
    firms_make();
    for (int i = 0; i < 48 && rc == LINKD_OK; i++)
        rc = lk_buf_printf(&body, NULL, "%s{\"id\":\"r%d\",\"entity\":\"e%d\"}",
                           i > 0 ? "," : "", 5 * i, i / 2);
    if (rc == LINKD_OK)
        rc = lk_buf_printf(&body, NULL, "]");
    assert_int_equal(rc, LINKD_OK);
    queries_run_out(body.data);
    lk_buf_clear(&body);
}

/* ---- a backfill ------------------------------------------------------------------ */

static void a_backfill_tells_of_it(void **state)
{
    bool failed = true;
    request *r;

    (void)state;
    firms_make();
    start("other");
    r = request_make("");
    r->spec.limit = 3;
    for (size_t n = 1; failed; n++) {
        lk_job_outcome outcome = {0};
        linkd_error err = {0};
        int rc;

        alloc_fail_at(n);
        rc = lk_upgrade_backfill(&r->run, &outcome, &err);
        failed = alloc_fail_off();
        told_check(rc, failed, &n);
        json_decref(outcome.counts);
    }
    request_free(r);
}

/* ---- the estimate ---------------------------------------------------------------- */

static void an_estimate_tells_of_it(void **state)
{
    lk_request answered = {.deadline_ns = UINT64_MAX};
    linkd_error err = {0};
    bool failed = true;
    request *r;

    (void)state;
    firms_make();
    assert_int_equal(
        call_json(lk_handle_upgrade_estimate, "firms", "{\"model\":\"other\"}"),
        200); /* opens the model */
    r = request_make("");
    for (size_t n = 1; failed; n++) {
        lk_buf json = {0};
        int rc;

        alloc_fail_at(n);
        rc = lk_upgrade_estimate(&service, &answered, &r->spec, &json, &err);
        failed = alloc_fail_off();
        told_check(rc, failed, &n);
        lk_buf_clear(&json);
    }
    request_free(r);
}

/* ---- the verdict ------------------------------------------------------------------- */

/* Of the many values not each is failed, but always another one. */
static void a_verdict_tells_of_it(void **state)
{
    request *r;
    lk_upgrade_sample sample = {0};
    lk_upgrade_fit fit = {0};
    linkd_error err = {0};
    bool failed = true;

    (void)state;
    firms_make();
    r = request_make("");
    assert_int_equal(lk_upgrade_sample_take(&r->run, &sample, &err), LINKD_OK);
    assert_int_equal(lk_upgrade_fit_run(&r->run, &sample, &fit, &err),
                     LINKD_OK);
    json_set_alloc_funcs(malloc, free); /* those that fail */
    for (size_t n = 1; failed; n += 1 + n / 16) {
        json_t *verdict = NULL;
        int rc;

        alloc_fail_at(n);
        rc = lk_upgrade_verdict_make(&r->run, &sample, &fit, &verdict, &err);
        failed = alloc_fail_off();
        assert_int_equal(verdict != NULL, rc == LINKD_OK);
        told_check(rc, failed, &n);
        json_decref(verdict);
    }
    lk_upgrade_fit_clear(&fit);
    lk_upgrade_sample_clear(&sample);
    request_free(r);
}

#define TEST(name)                                                             \
 cmocka_unit_test_setup_teardown(name, job_service_enter, job_service_leave)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(made_queries_tell_of_it), TEST(given_queries_tell_of_it),
        TEST(labels_tell_of_it),       TEST(a_backfill_tells_of_it),
        TEST(an_estimate_tells_of_it), TEST(a_verdict_tells_of_it),
    };

    return cmocka_run_group_tests(tests, upgrade_group_enter,
                                  service_group_leave);
}
