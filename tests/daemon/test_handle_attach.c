#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/daemon/service.h"

static void attach(const char *body)
{
    if (call_json(lk_handle_attach, "v", body) != 200)
        fail_msg("%s", last.body.data);
}

static void vectors_create(void)
{
    collection_create("v", "{\"model\":null,\"dim\":2,\"threshold\":0.7}");
}

static void the_first_record_is_an_entity_of_its_own(void **state)
{
    (void)state;
    vectors_create();
    attach("{\"id\":\"a\",\"vector\":[1,0]}");
    assert_text_at("id", "a");
    assert_json_at("new", "true");
    assert_json_at("match", "null");
    assert_true(json_is_integer(at("entity")));
    assert_true(json_is_integer(at("seq")));
}

static void a_record_that_is_near_joins(void **state)
{
    json_int_t entity;

    (void)state;
    vectors_create();
    attach("{\"id\":\"a\",\"vector\":[1,0]}");
    entity = json_integer_value(at("entity"));
    attach("{\"id\":\"b\",\"vector\":[0.8,0.6]}");
    assert_json_at("new", "false");
    assert_text_at("match.id", "a");
    assert_json_at("match.score", "0.8");
    assert_int_equal(json_integer_value(at("entity")), entity);
    attach("{\"id\":\"c\",\"vector\":[0,1]}");
    assert_json_at("new", "true");
    assert_int_not_equal(json_integer_value(at("entity")), entity);
}

static void threshold_and_filter_are_the_requests(void **state)
{
    (void)state;
    vectors_create();
    attach("{\"id\":\"a\",\"vector\":[1,0],\"fields\":{\"city\":\"Bonn\"}}");
    attach("{\"id\":\"b\",\"vector\":[0.8,0.6],\"threshold\":0.9}");
    assert_json_at("new", "true");
    attach("{\"id\":\"c\",\"vector\":[1,0],"
           "\"filter\":{\"eq\":{\"city\":\"Kiel\"}}}");
    assert_json_at("new", "true");
}

/* Its vector times itself is less than 1 in f32. */
#define SHORT "[1,1]"

static void an_equal_record_is_known_at_a_threshold_of_1(void **state)
{
    (void)state;
    vectors_create();
    attach("{\"id\":\"a\",\"vector\":" SHORT "}");
    attach("{\"id\":\"b\",\"vector\":" SHORT ",\"threshold\":1}");
    assert_text_at("match.id", "a");
    assert_json_at("entity", "1");
}

static void texts_are_attached_by_what_they_say(void **state)
{
    (void)state;
    collection_create("v", "{}");
    attach("{\"id\":\"1\",\"fields\":{\"name\":\"acme corp\"}}");
    attach("{\"id\":\"2\",\"fields\":{\"name\":\"acme corp\"}}");
    assert_json_at("new", "false");
    assert_text_at("match.id", "1");
    assert_json_at("match.score", "1.0");
}

/* What is attached becomes a record, so it is compared as one. */
static void texts_are_attached_as_records(void **state)
{
    (void)state;
    prompted_model_make(
        "prompted", 1,
        "{\"prompts\": {\"query\": \"xyz \", \"document\": \"a\"}}");
    collection_create("v", "{\"model\":\"prompted\"}");
    record_put("v", "{\"id\":\"1\",\"fields\":{\"name\":\"acme corp\"}}");
    attach("{\"id\":\"2\",\"fields\":{\"name\":\"acme corp\"}}");
    assert_text_at("match.id", "1");
    assert_json_at("match.score", "1.0");
}

/* The same answer, though by then the record itself is the nearest. */
static void a_repeated_attach_answers_what_the_first_did(void **state)
{
    static const call again = {.handler = lk_handle_attach,
                               .collection = "v",
                               .body = "{\"id\":\"b\",\"vector\":[0.8,0.6]}",
                               .key = "key-1"};
    lk_buf first = {0};

    (void)state;
    vectors_create();
    attach("{\"id\":\"a\",\"vector\":[1,0]}");
    assert_int_equal(call_run(&again), 200);
    assert_false(last.replayed);
    assert_int_equal(lk_buf_append(&first, last.body.data, last.body.len, NULL),
                     LINKD_OK);
    attach("{\"id\":\"c\",\"vector\":[0.8,0.6]}");
    assert_int_equal(call_run(&again), 200);
    assert_true(last.replayed);
    assert_string_equal(last.body.data, first.data);
    lk_buf_clear(&first);
}

static void a_key_of_another_request_is_a_conflict(void **state)
{
    call c = {.handler = lk_handle_attach,
              .collection = "v",
              .body = "{\"id\":\"a\",\"vector\":[1,0]}",
              .key = "key-1"};

    (void)state;
    vectors_create();
    assert_int_equal(call_run(&c), 200);
    c.body = "{\"id\":\"b\",\"vector\":[1,0]}";
    (void)call_run(&c);
    assert_problem(409, "conflict",
                   "the idempotency key was used for another request");
}

static void wrong_bodies_are_refused_and_store_nothing(void **state)
{
    static const char *const bodies[] = {
        "{\"vector\":[1,0]}", /* no id */
        "{\"id\":\"a\",\"vector\":[1,0,0]}",
        "{\"id\":\"a\",\"vector\":[1,0],\"k\":3}",
        "{\"id\":\"a\",\"vector\":[1,0],\"threshold\":\"high\"}",
        "{\"id\":\"a\",\"vector\":[1,0],\"threshold\":1.01}",
        "{\"id\":\"a\",\"vector\":[1,0],\"threshold\":-1.01}",
        "{\"id\":\"a\",\"vector\":[1,0],\"filter\":7}",
        "[]",
    };

    (void)state;
    vectors_create();
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        assert_int_equal(call_json(lk_handle_attach, "v", bodies[i]), 400);
        assert_text_at("code", "bad_request");
    }
    assert_int_equal(call_json(lk_handle_get_collection, "v", NULL), 200);
    assert_json_at("records", "0");
}

static int entity_get(const char *entity)
{
    return call_run(&(call){
        .handler = lk_handle_get_entity, .collection = "v", .name = entity});
}

static void an_entity_lists_its_records(void **state)
{
    char number[24];

    (void)state;
    vectors_create();
    attach("{\"id\":\"a\",\"vector\":[1,0]}");
    attach("{\"id\":\"x\",\"vector\":[0,1]}");
    attach("{\"id\":\"b\",\"vector\":[1,0]}");
    (void)snprintf(number, sizeof(number), "%lld",
                   (long long)json_integer_value(at("entity")));
    assert_int_equal(entity_get(number), 200);
    assert_json_at("records", "[\"a\",\"b\"]");
    assert_json_at("entity", number);
}

static void an_entity_that_is_not_there_is_404(void **state)
{
    (void)state;
    vectors_create();
    (void)entity_get("77");
    assert_problem(404, "absent", "there is no entity 77");
    assert_int_equal(entity_get("first"), 400);
}

static void hits_tell_their_entity(void **state)
{
    (void)state;
    vectors_create();
    attach("{\"id\":\"a\",\"vector\":[1,0]}");
    assert_int_equal(call_json(lk_handle_search, "v", "{\"vector\":[1,0]}"),
                     200);
    assert_true(json_is_integer(at("hits.0.entity")));
}

#define TEST(name)                                                             \
 cmocka_unit_test_setup_teardown(name, service_enter, service_leave)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_first_record_is_an_entity_of_its_own),
        TEST(a_record_that_is_near_joins),
        TEST(threshold_and_filter_are_the_requests),
        TEST(an_equal_record_is_known_at_a_threshold_of_1),
        TEST(texts_are_attached_by_what_they_say),
        TEST(texts_are_attached_as_records),
        TEST(a_repeated_attach_answers_what_the_first_did),
        TEST(a_key_of_another_request_is_a_conflict),
        TEST(wrong_bodies_are_refused_and_store_nothing),
        TEST(an_entity_lists_its_records),
        TEST(an_entity_that_is_not_there_is_404),
        TEST(hits_tell_their_entity),
    };

    return cmocka_run_group_tests(tests, service_group_enter,
                                  service_group_leave);
}
