#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/daemon/service.h"

static void a_created_collection_is_described(void **state)
{
    (void)state;
    assert_int_equal(
        call_json(lk_handle_create_collection, "firms",
                  "{\"model\":\"tiny\",\"text\":[\"name\",\"city\"],"
                  "\"template\":\"{name}, {city}\",\"image\":null,"
                  "\"filter\":[\"city\",\"founded\"],\"index\":\"exact\","
                  "\"threshold\":0.8}"),
        201);
    assert_text_at("name", "firms");
    assert_text_at("model", "tiny");
    assert_json_at("dim", "32");
    assert_json_at("generation", "1");
    assert_json_at("text", "[\"name\",\"city\"]");
    assert_text_at("template", "{name}, {city}");
    assert_json_at("image", "null");
    assert_json_at("filter", "[\"city\",\"founded\"]");
    assert_text_at("index", "exact");
    assert_json_at("threshold", "0.8");
    assert_json_at("records", "0");
    assert_json_at("entities", "0");
    assert_int_equal(strlen(json_string_value(at("created"))),
                     strlen("2026-11-24T19:00:00Z"));
}

static void what_is_not_said_has_a_default(void **state)
{
    (void)state;
    collection_create("firms", "{}");
    assert_text_at("model", "tiny");
    assert_json_at("text", "null");
    assert_json_at("template", "null");
    assert_json_at("filter", "null");
    assert_text_at("index", "auto");
    assert_json_at("threshold", "0.74");
}

static void a_threshold_is_shown_as_it_was_given(void **state)
{
    static const char *const thresholds[] = {
        "0.123456", "{\"false_match_rate\":0.001}", "{\"probability\":0.95}"};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        char name[8];
        char body[96];

        (void)snprintf(name, sizeof(name), "c%zu", i);
        (void)snprintf(body, sizeof(body), "{\"threshold\":%s}", thresholds[i]);
        collection_create(name, body);
        assert_int_equal(call_json(lk_handle_get_collection, name, NULL), 200);
        assert_json_at("threshold", thresholds[i]);
    }
}

static void ready_made_vectors_need_their_length(void **state)
{
    (void)state;
    (void)call_json(lk_handle_create_collection, "v", "{\"model\":null}");
    assert_problem(400, "bad_request",
                   "\"dim\" is missing: without a model it is required");
    collection_create("v", "{\"model\":null,\"dim\":4}");
    assert_json_at("model", "null");
    assert_json_at("dim", "4");
}

static void without_a_default_the_model_must_be_named(void **state)
{
    (void)state;
    config.model = NULL;
    (void)call_json(lk_handle_create_collection, "v", "{}");
    assert_problem(400, "bad_request",
                   "\"model\" is missing and the daemon has no default; null "
                   "is for ready-made vectors");
}

/* Not 404, which would say that the path is wrong. */
static void a_model_that_is_not_there_is_a_bad_request(void **state)
{
    (void)state;
    (void)call_json(lk_handle_create_collection, "v", "{\"model\":\"nope\"}");
    assert_problem(400, "bad_request",
                   "there is no model \"nope\" in the model store");
}

static void wrong_bodies_are_refused_and_nothing_is_created(void **state)
{
    static const char *const cases[][2] = {
        {"{\"modell\":null}", "the body has an unknown member \"modell\""},
        {"{\"dim\":7}", "\"dim\" is 7, but vectors of the model have 32 "
                        "numbers"},
        {"{\"model\":null,\"dim\":0}",
         "\"dim\" is not an integer from 1 to 8192"},
        {"{\"model\":7}", "\"model\" is not a string"},
        {"{\"index\":\"tree\"}",
         "\"index\" is none of auto, exact, hnsw and ivf"},
        {"{\"filter\":\"city\"}",
         "\"filter\" is not an array of at most 256 fields"},
        {"{\"filter\":[7]}", "\"filter\": item 0 is not a field's name"},
        {"{\"text\":7}", "\"text\" is not an array of 1 to 256 fields"},
        {"{\"threshold\":2}", "\"threshold\" is not a number from -1 to 1"},
        {"{\"threshold\":{\"false_match_rate\":1}}",
         "\"threshold\": \"false_match_rate\" is not a number between 0 and 1"},
        {"{\"threshold\":{\"rate\":0.1}}",
         "\"threshold\" is not a number from -1 to 1, or an object of one "
         "\"false_match_rate\" or \"probability\""},
        {"", "the body is empty, not JSON"},
        {"[]", "the body is not an object"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        (void)call_json(lk_handle_create_collection, "firms", cases[i][0]);
        assert_problem(400, "bad_request", cases[i][1]);
    }
    assert_int_equal(call_json(lk_handle_list_collections, NULL, NULL), 200);
    assert_int_equal(size_at("collections"), 0);
}

/* What a client does that did not hear the first answer. */
static void repeating_under_a_key_answers_as_the_first_time(void **state)
{
    call create = {.handler = lk_handle_create_collection,
                   .collection = "v",
                   .body = "{\"model\":null,\"dim\":2}",
                   .key = "key-1"};
    call drop = {.handler = lk_handle_drop_collection,
                 .collection = "v",
                 .key = "key-2"};

    (void)state;
    assert_int_equal(call_run(&create), 201);
    assert_false(last.replayed);
    assert_int_equal(call_run(&create), 201);
    assert_true(last.replayed);
    assert_text_at("name", "v");
    create.body = "{\"model\":null,\"dim\":3}";
    (void)call_run(&create);
    assert_problem(409, "conflict",
                   "the idempotency key was used for another request");

    assert_int_equal(call_run(&drop), 200);
    assert_false(last.replayed);
    assert_int_equal(call_run(&drop), 200);
    assert_true(last.replayed);
    assert_text_at("dropped", "v");
    drop.key = NULL;
    assert_int_equal(call_run(&drop), 404);
}

static void a_name_is_taken_once(void **state)
{
    (void)state;
    collection_create("firms", "{}");
    assert_int_equal(call_json(lk_handle_create_collection, "firms", "{}"),
                     409);
    assert_text_at("code", "conflict");
    assert_int_equal(call_json(lk_handle_create_collection, ".hidden", "{}"),
                     400);
}

static void all_collections_are_listed_by_name(void **state)
{
    (void)state;
    collection_create("b", "{}");
    collection_create("a", "{\"model\":null,\"dim\":3}");
    assert_int_equal(call_json(lk_handle_list_collections, NULL, NULL), 200);
    assert_int_equal(size_at("collections"), 2);
    assert_text_at("collections.0.name", "a");
    assert_json_at("collections.0.dim", "3");
    assert_text_at("collections.1.name", "b");
}

static void a_description_counts_what_is_there(void **state)
{
    (void)state;
    collection_create("firms", "{}");
    record_put("firms", "{\"id\":\"1\",\"fields\":{\"name\":\"acme\"}},"
                        "{\"id\":\"2\",\"fields\":{\"n\":7}}");
    assert_int_equal(call_json(lk_handle_get_collection, "firms", NULL), 200);
    assert_json_at("records", "2");
    assert_json_at("vectors", "1");
    assert_json_at("unindexed", "1");
    assert_json_at("segments", "0");
}

static void a_dropped_collection_is_gone(void **state)
{
    (void)state;
    collection_create("firms", "{}");
    assert_int_equal(call_json(lk_handle_drop_collection, "firms", NULL), 200);
    assert_json_at("dropped", "\"firms\"");
    assert_int_equal(call_json(lk_handle_get_collection, "firms", NULL), 404);
    assert_text_at("code", "absent");
    assert_int_equal(call_json(lk_handle_drop_collection, "firms", NULL), 404);
    assert_text_at("code", "absent");
}

/* An empty list of fields is not the same as none given. */
static void filters_may_be_forbidden_altogether(void **state)
{
    (void)state;
    collection_create("firms", "{\"filter\":[]}");
    assert_json_at("filter", "[]");
}

#define TEST(name)                                                             \
 cmocka_unit_test_setup_teardown(name, service_enter, service_leave)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_created_collection_is_described),
        TEST(what_is_not_said_has_a_default),
        TEST(a_threshold_is_shown_as_it_was_given),
        TEST(ready_made_vectors_need_their_length),
        TEST(without_a_default_the_model_must_be_named),
        TEST(a_model_that_is_not_there_is_a_bad_request),
        TEST(wrong_bodies_are_refused_and_nothing_is_created),
        TEST(repeating_under_a_key_answers_as_the_first_time),
        TEST(a_name_is_taken_once),
        TEST(all_collections_are_listed_by_name),
        TEST(a_description_counts_what_is_there),
        TEST(a_dropped_collection_is_gone),
        TEST(filters_may_be_forbidden_altogether),
    };

    return cmocka_run_group_tests(tests, service_group_enter,
                                  service_group_leave);
}
