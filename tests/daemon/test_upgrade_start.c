/* tests/daemon/test_upgrade_start.c — a start that cannot be is refused, and the
 * collection is as it was. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/daemon/upgrade_service.h"

static void what_cannot_be_started_is_refused_at_once(void **state)
{
    (void)state;
    firms_make();
    collection_create("bare", "{\"model\":null,\"dim\":4}");
    assert_int_equal(
        call_json(lk_handle_upgrade_start, "firms", "{\"model\":\"tiny\"}"),
        409);
    assert_problem(409, "conflict",
                   "collection \"firms\" has the model \"tiny\" already");
    assert_int_equal(
        call_json(lk_handle_upgrade_start, "firms", "{\"model\":\"absent\"}"),
        404);
    assert_int_equal(
        call_json(lk_handle_upgrade_start, "nowhere", "{\"model\":\"other\"}"),
        404);
    assert_int_equal(
        call_json(lk_handle_upgrade_start, "bare", "{\"model\":\"other\"}"),
        400);
    assert_int_equal(call_json(lk_handle_upgrade_start, "firms", "{}"), 400);
    assert_problem(400, "bad_request", "\"model\" is missing");
    assert_int_equal(call_json(lk_handle_upgrade_start, "firms",
                               "{\"model\":\"other\",\"head\":\"hat\"}"),
                     400);
    assert_int_equal(call_json(lk_handle_upgrade_start, "firms",
                               "{\"model\":\"other\",\"anchors\":7}"),
                     400);
    assert_int_equal(call_json(lk_handle_upgrade_start, "firms",
                               "{\"model\":\"other\",\"kind\":\"backup\"}"),
                     400);
    assert_int_equal(call_json(lk_handle_upgrade_start, "firms",
                               "{\"model\":\"other\",\"way\":\"native\"}"),
                     400);
    assert_problem(400, "bad_request", "\"way\" is not fuse, align or cascade");
    assert_int_equal(call_json(lk_handle_upgrade_probe, "firms",
                               "{\"model\":\"other\",\"way\":\"fuse\"}"),
                     400);
    assert_int_equal(call_json(lk_handle_upgrade_rollback, "firms", ""), 409);
    assert_untouched();
}

static void start_fails(const char *reason)
{
    (void)upgrade_run(lk_handle_upgrade_start, "{\"model\":\"other\"}");
    assert_text_at("state", "failed");
    if (strstr(json_string_value(at("error")), reason) == NULL)
        fail_msg("%s", last.body.data);
    assert_untouched();
}

static void too_few_records_are_refused(void **state)
{
    (void)state;
    collection_create("firms", "{\"text\":[\"name\"]}");
    records_put("firms", 0, 99);
    start_fails("has 99 records to learn from, at least 100 are needed");
}

static void records_that_are_all_alike_are_refused(void **state)
{
    char body[80];

    (void)state;
    collection_create("firms", "{\"text\":[\"name\"]}");
    for (int i = 0; i < 120; i++) {
        (void)snprintf(body, sizeof(body),
                       "{\"id\":\"s%d\",\"fields\":{\"name\":\"same\"}}", i);
        record_put("firms", body);
    }
    start_fails("alike");
}

/* A contrast head learns from labels, and there are none. */
static void a_head_without_its_labels_is_refused(void **state)
{
    (void)state;
    firms_make();
    assert_int_equal(call_json(lk_handle_upgrade_start, "firms",
                               "{\"model\":\"other\",\"head\":\"contrast\"}"),
                     400);
    assert_problem(400, "bad_request", "the head contrast needs \"labels\"");
    assert_untouched();
}

/* Vectors of two ordinary models of one size would be taken for comparable. */
static void a_simplex_that_models_have_not_is_refused(void **state)
{
    lk_handler *const handlers[] = {lk_handle_upgrade_estimate,
                                    lk_handle_upgrade_probe,
                                    lk_handle_upgrade_start};

    (void)state;
    firms_make();
    for (size_t i = 0; i < sizeof(handlers) / sizeof(*handlers); i++) {
        assert_int_equal(
            call_json(handlers[i], "firms",
                      "{\"model\":\"other\",\"head\":\"dsimplex\"}"),
            400);
        assert_problem(400, "bad_request",
                       "\"dsimplex\" is for two models that have such a head: "
                       "\"other\" has none");
    }
    assert_untouched();
}

/* Before anything is encoded. */
static void a_generation_too_many_is_refused_at_once(void **state)
{
    lk_handler *const handlers[] = {lk_handle_upgrade_estimate,
                                    lk_handle_upgrade_probe,
                                    lk_handle_upgrade_start};
    linkd_generation g = {
        .model = {"gone", 4}, .fingerprint = {"x", 1}, .dim = 4};
    linkd_error err;

    (void)state;
    firms_make();
    for (g.previous = 1; g.previous < LINKD_GENERATIONS_MAX; g.previous++) {
        g.number = g.previous + 1;
        assert_int_equal(linkd_store_add_generation(service.store,
                                                    (linkd_str){"firms", 5}, &g,
                                                    NULL, 0, &err),
                         LINKD_OK);
    }
    for (size_t i = 0; i < sizeof(handlers) / sizeof(*handlers); i++) {
        assert_int_equal(
            call_json(handlers[i], "firms", "{\"model\":\"other\"}"), 409);
        assert_problem(409, "conflict",
                       "collection \"firms\" has 8 generations already, as "
                       "many as there can be");
    }
    upgrade_do(lk_handle_upgrade_gc, "{}");
    assert_json_at("counts.generations", "6");
    assert_int_equal(
        call_json(lk_handle_upgrade_estimate, "firms", "{\"model\":\"other\"}"),
        200);
}

/* Its name is the same and its weights are not: old vectors are not its own. */
static void an_older_model_that_is_another_by_now_is_refused(void **state)
{
    (void)state;
    firms_make();
    model_hide("tiny");
    model_make("tiny", 9);
    start_fails("model \"tiny\", of which older vectors are, is not in the "
                "model store, or is another one by now");
    assert_int_equal(system("rm -r models/tiny"), 0);
    model_show("tiny");
}

static void an_older_model_that_is_gone_is_named(void **state)
{
    (void)state;
    firms_make();
    model_hide("tiny");
    start_fails("model \"tiny\", of which older vectors are, is not in the "
                "model store");
    model_show("tiny");
}

#define TEST(name)                                                             \
 cmocka_unit_test_setup_teardown(name, job_service_enter, job_service_leave)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_cannot_be_started_is_refused_at_once),
        TEST(too_few_records_are_refused),
        TEST(records_that_are_all_alike_are_refused),
        TEST(a_head_without_its_labels_is_refused),
        TEST(a_simplex_that_models_have_not_is_refused),
        TEST(a_generation_too_many_is_refused_at_once),
        TEST(an_older_model_that_is_another_by_now_is_refused),
        TEST(an_older_model_that_is_gone_is_named),
    };

    return cmocka_run_group_tests(tests, upgrade_group_enter,
                                  service_group_leave);
}
