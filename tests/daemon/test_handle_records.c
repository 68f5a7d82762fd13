#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/daemon/service.h"

static void people_create(void)
{
    collection_create("p", "{\"text\":[\"name\"],\"filter\":[\"town\"]}");
    record_put(
        "p", "{\"id\":\"a\",\"fields\":{\"name\":\"anna\",\"town\":\"Bonn\"}},"
             "{\"id\":\"b\",\"fields\":{\"name\":\"bert\",\"town\":\"Ulm\"}},"
             "{\"id\":\"c\",\"fields\":{\"name\":\"carl\",\"town\":\"Bonn\"}},"
             "{\"id\":\"d\",\"fields\":{\"age\":7.50}}");
}

static int scroll(const char *query, const char *accept)
{
    return call_run(&(call){.handler = lk_handle_scroll_records,
                            .collection = "p",
                            .query = query,
                            .accept = accept});
}

static int record_get(const char *id, const char *query)
{
    return call_run(&(call){.handler = lk_handle_get_record,
                            .collection = "p",
                            .name = id,
                            .query = query});
}

static void a_put_says_what_it_did(void **state)
{
    (void)state;
    people_create();
    assert_json_at("created", "4");
    assert_json_at("updated", "0");
    record_put("p", "{\"id\":\"a\",\"fields\":{\"name\":\"anne\"}},"
                    "{\"id\":\"e\"}");
    assert_json_at("created", "1");
    assert_json_at("updated", "1");
    assert_int_equal(record_get("a", NULL), 200);
    assert_json_at("", "{\"id\":\"a\",\"fields\":{\"name\":\"anne\"}}");
}

static void all_or_none_of_a_request_is_written(void **state)
{
    (void)state;
    people_create();
    assert_int_equal(call_json(lk_handle_put_records, "p",
                               "{\"records\":[{\"id\":\"x\"},{\"id\":\"\"}]}"),
                     400);
    assert_problem(400, "bad_request", "record 1 has no \"id\"");
    assert_int_equal(record_get("x", NULL), 404);
    assert_problem(404, "absent", "there is no record \"x\"");
}

static void an_id_twice_in_a_request_is_refused(void **state)
{
    (void)state;
    people_create();
    assert_int_equal(call_json(lk_handle_put_records, "p",
                               "{\"records\":[{\"id\":\"x\"},{\"id\":\"x\"}]}"),
                     400);
    assert_int_equal(record_get("x", NULL), 404);
}

static void a_key_makes_a_repetition_safe(void **state)
{
    call c = {.handler = lk_handle_put_records,
              .collection = "p",
              .body = "{\"records\":[{\"id\":\"x\"}]}",
              .key = "once"};

    (void)state;
    people_create();
    assert_int_equal(call_run(&c), 200);
    assert_json_at("created", "1");
    assert_false(last.replayed);
    assert_int_equal(call_run(&c), 200);
    assert_json_at("created", "1");
    assert_true(last.replayed);
    c.body = "{\"records\":[{\"id\":\"y\"}]}";
    assert_int_equal(call_run(&c), 409);
    assert_int_equal(record_get("y", NULL), 404);
}

static void a_type_that_is_none_of_ours_is_415(void **state)
{
    (void)state;
    people_create();
    assert_int_equal(call_run(&(call){.handler = lk_handle_put_records,
                                      .collection = "p",
                                      .body = "<p>",
                                      .content_type = "text/html"}),
                     415);
    assert_text_at("code", "unsupported_type");
}

static void csv_takes_its_ids_from_the_query(void **state)
{
    (void)state;
    people_create();
    assert_int_equal(
        call_run(&(call){.handler = lk_handle_put_records,
                         .collection = "p",
                         .body = "code,name\nq1,\"a\nb\"\n",
                         .query = "id=code",
                         .content_type = "text/csv; charset=utf-8"}),
        200);
    assert_int_equal(record_get("q1", NULL), 200);
    assert_json_at("fields", "{\"name\":\"a\\nb\"}");
}

static void numbers_and_nested_values_come_back_as_they_were(void **state)
{
    (void)state;
    people_create();
    record_put("p", "{\"id\":\"n\",\"fields\":{\"deep\":{\"a\":[1,{\"b\":2}]},"
                    "\"big\":12345678901234567}}");
    assert_int_equal(record_get("n", NULL), 200);
    assert_json_at("fields", "{\"deep\":{\"a\":[1,{\"b\":2}]},"
                             "\"big\":12345678901234567}");
}

static void a_vector_comes_only_when_asked_for(void **state)
{
    (void)state;
    people_create();
    assert_int_equal(record_get("a", NULL), 200);
    assert_false(is_there("vector"));
    assert_int_equal(record_get("a", "vectors=true"), 200);
    assert_int_equal(size_at("vector"), TINY_DIM);
    assert_int_equal(record_get("d", "vectors=true"), 200);
    assert_false(is_there("vector")); /* it has no text */
    assert_int_equal(record_get("a", "vectors=yes"), 400);
    assert_problem(400, "bad_request", "\"vectors\" is not true or false");
}

static void a_vector_that_is_read_can_be_put_again(void **state)
{
    (void)state;
    collection_create("p", "{\"model\":null,\"dim\":3}");
    record_put("p", "{\"id\":\"a\",\"vector\":[1,2,3]}");
    assert_int_equal(record_get("a", "vectors=true"), 200);
    for (size_t i = 0; i < 3; i++) {
        char path[16];
        double found;

        (void)snprintf(path, sizeof(path), "vector.%zu", i);
        found = json_real_value(at(path)) * json_real_value(at(path)) * 14.0;
        assert_in_range((uintmax_t)(found * 1000.0 + 0.5),
                        (i + 1) * (i + 1) * 1000 - 1,
                        (i + 1) * (i + 1) * 1000 + 1);
    }
}

static void pages_make_up_the_whole(void **state)
{
    char query[64] = "limit=3";

    (void)state;
    people_create();
    assert_int_equal(scroll(query, NULL), 200);
    assert_int_equal(size_at("records"), 3);
    assert_text_at("records.2.id", "c");
    (void)snprintf(query, sizeof(query), "limit=3&cursor=%s",
                   json_string_value(at("cursor")));
    assert_int_equal(scroll(query, NULL), 200);
    assert_int_equal(size_at("records"), 1);
    assert_text_at("records.0.id", "d");
    assert_json_at("cursor", "null");
}

static void a_page_may_be_filtered(void **state)
{
    (void)state;
    people_create();
    assert_int_equal(
        scroll("filter=%7B%22eq%22%3A%7B%22town%22%3A%22Bonn%22%7D%7D", NULL),
        200);
    assert_int_equal(size_at("records"), 2);
    assert_text_at("records.1.id", "c");
}

static void ndjson_is_everything_from_the_cursor_on(void **state)
{
    (void)state;
    people_create();
    assert_int_equal(scroll(NULL, "application/x-ndjson"), 200);
    assert_string_equal(
        last.body.data,
        "{\"id\":\"a\",\"fields\":{\"name\":\"anna\",\"town\":\"Bonn\"}}\n"
        "{\"id\":\"b\",\"fields\":{\"name\":\"bert\",\"town\":\"Ulm\"}}\n"
        "{\"id\":\"c\",\"fields\":{\"name\":\"carl\",\"town\":\"Bonn\"}}\n"
        "{\"id\":\"d\",\"fields\":{\"age\":7.5}}\n");
}

/* More than one piece of a stream. */
static void a_long_stream_has_every_record_once(void **state)
{
    lk_buf body = {0};
    size_t n_lines = 0;
    int rc = lk_buf_printf(&body, NULL, "{\"records\":[");

    (void)state;
    collection_create("p", "{\"model\":null,\"dim\":1}");
    for (int i = 0; i < 5000 && rc == LINKD_OK; i++)
        rc = lk_buf_printf(&body, NULL,
                           "%s{\"id\":\"record-%d\",\"vector\":[1],"
                           "\"fields\":{\"n\":%d}}",
                           i > 0 ? "," : "", i, i);
    assert_int_equal(lk_buf_printf(&body, NULL, "]}"), LINKD_OK);
    assert_int_equal(call_json(lk_handle_put_records, "p", body.data), 200);
    lk_buf_clear(&body);
    assert_int_equal(scroll(NULL, "application/x-ndjson"), 200);
    assert_true(last.body.len > 128 * 1024);
    for (const char *at_line = last.body.data; *at_line != '\0'; n_lines++) {
        char expected[32];
        int len = snprintf(expected, sizeof(expected), "{\"id\":\"record-%zu\"",
                           n_lines);

        assert_memory_equal(at_line, expected, (size_t)len);
        at_line = strchr(at_line, '\n') + 1;
    }
    assert_int_equal(n_lines, 5000);
}

static void scrolls_that_make_no_sense_are_refused(void **state)
{
    static const struct {
        const char *query;
        const char *detail;
    } cases[] = {
        {"limit=0", "\"limit\" is not from 1 to 10000"},
        {"limit=10001", "\"limit\" is not from 1 to 10000"},
        {"limit=-1", "\"limit\" is not a number: \"-1\""},
        {"limit=18446744073709551616",
         "\"limit\" is not a number: \"18446744073709551616\""},
        {"cursor=", "\"cursor\" is not a number: \"\""},
    };

    (void)state;
    people_create();
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(scroll(cases[i].query, NULL), 400);
        assert_problem(400, "bad_request", cases[i].detail);
    }
    assert_int_equal(scroll("size=1", NULL), 400);
    assert_int_equal(scroll("filter=%7B", NULL), 400);
}

static void records_are_deleted_one_by_one_and_in_bulk(void **state)
{
    const call one = {
        .handler = lk_handle_delete_record, .collection = "p", .name = "a"};

    (void)state;
    people_create();
    assert_int_equal(call_run(&one), 200);
    assert_json_at("deleted", "1");
    assert_int_equal(call_run(&one), 404);
    assert_problem(404, "absent", "there is no record \"a\"");
    assert_int_equal(call_json(lk_handle_delete_records, "p",
                               "{\"ids\":[\"b\",\"zz\",\"c\"]}"),
                     200);
    assert_json_at("deleted", "2");
    assert_int_equal(scroll(NULL, NULL), 200);
    assert_int_equal(size_at("records"), 1);
}

static void deletions_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    people_create();
    assert_int_equal(call_json(lk_handle_delete_records, "p", "{}"), 400);
    assert_problem(400, "bad_request",
                   "\"ids\" is not an array of at most 65536 ids");
    assert_int_equal(
        call_json(lk_handle_delete_records, "p", "{\"ids\":[\"a\",1]}"), 400);
    assert_problem(400, "bad_request", "id 1 is not a string");
    assert_int_equal(record_get("a", NULL), 200);
}

#define RECORDS_TEST(name)                                                     \
 cmocka_unit_test_setup_teardown(name, service_enter, service_leave)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RECORDS_TEST(a_put_says_what_it_did),
        RECORDS_TEST(all_or_none_of_a_request_is_written),
        RECORDS_TEST(an_id_twice_in_a_request_is_refused),
        RECORDS_TEST(a_key_makes_a_repetition_safe),
        RECORDS_TEST(a_type_that_is_none_of_ours_is_415),
        RECORDS_TEST(csv_takes_its_ids_from_the_query),
        RECORDS_TEST(numbers_and_nested_values_come_back_as_they_were),
        RECORDS_TEST(a_vector_comes_only_when_asked_for),
        RECORDS_TEST(a_vector_that_is_read_can_be_put_again),
        RECORDS_TEST(pages_make_up_the_whole),
        RECORDS_TEST(a_page_may_be_filtered),
        RECORDS_TEST(ndjson_is_everything_from_the_cursor_on),
        RECORDS_TEST(a_long_stream_has_every_record_once),
        RECORDS_TEST(scrolls_that_make_no_sense_are_refused),
        RECORDS_TEST(records_are_deleted_one_by_one_and_in_bulk),
        RECORDS_TEST(deletions_that_make_no_sense_are_refused),
    };

    return cmocka_run_group_tests(tests, service_group_enter,
                                  service_group_leave);
}
