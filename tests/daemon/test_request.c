#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "daemon/request.h"

static lk_request request;
static lk_response response;
static linkd_error err;

static int enter(void **state)
{
    static const lk_header headers[] = {
        {{"content-type", 12}, {"Application/JSON; charset=utf-8", 31}},
        {{"x-empty", 7}, {"", 0}},
    };

    (void)state;
    request = (lk_request){.headers = headers, .n_headers = 2};
    request.deadline_ns = UINT64_MAX;
    response = (lk_response){0};
    return 0;
}

static int leave(void **state)
{
    (void)state;
    lk_arena_clear(&request.arena);
    lk_buf_clear(&response.body);
    return 0;
}

static void query_set(const char *text)
{
    request.query = (linkd_str){text, strlen(text)};
}

/* ---- asking -------------------------------------------------------------- */

static void headers_are_found_by_name(void **state)
{
    (void)state;
    assert_int_equal(lk_request_header(&request, "content-type").len, 31);
    assert_int_equal(lk_request_header(&request, "x-empty").len, 0);
    assert_int_equal(lk_request_header(&request, "x-absent").len, 0);
    assert_non_null(lk_request_header(&request, "x-absent").bytes);
}

static void the_content_type_is_without_its_parameters(void **state)
{
    (void)state;
    assert_true(
        lk_str_is(lk_request_content_type(&request), "application/json"));
    assert_false(
        lk_str_is(lk_request_content_type(&request), "application/jso"));
}

static void a_query_is_decoded_and_its_first_value_counts(void **state)
{
    linkd_str value = {0};
    bool found = false;

    (void)state;
    query_set("a=1&b=x%26y+z&b=2&c&=d");
    assert_int_equal(lk_request_query(&request, "b", &value, &found, &err),
                     LINKD_OK);
    assert_true(found);
    assert_string_equal(value.bytes, "x&y z");
    assert_int_equal(lk_request_query(&request, "c", &value, &found, &err),
                     LINKD_OK);
    assert_true(found);
    assert_int_equal(value.len, 0);
    assert_int_equal(lk_request_query(&request, "d", &value, &found, &err),
                     LINKD_OK);
    assert_false(found);
    query_set("b=%F");
    assert_int_equal(lk_request_query(&request, "b", &value, &found, &err),
                     LINKD_E_ARG);
}

static void unknown_parameters_are_refused(void **state)
{
    static const char *const names[] = {"a", "bc", NULL};

    (void)state;
    query_set("");
    assert_int_equal(lk_request_check_query(&request, names, &err), LINKD_OK);
    query_set("bc=1&a=2&a");
    assert_int_equal(lk_request_check_query(&request, names, &err), LINKD_OK);
    query_set("a=1&b=2");
    assert_int_equal(lk_request_check_query(&request, names, &err),
                     LINKD_E_ARG);
    assert_string_equal(err.message, "unknown query parameter \"b\"");
}

static void a_request_is_over_when_stopped_or_late(void **state)
{
    (void)state;
    assert_false(lk_request_is_over(&request));
    request.deadline_ns = lk_clock_ns();
    assert_true(lk_request_is_over(&request));
    request.deadline_ns = UINT64_MAX;
    atomic_store(&request.stopped, true);
    assert_true(lk_request_is_over(&request));
}

/* ---- answering ----------------------------------------------------------- */

static void headers_are_added_as_printed(void **state)
{
    (void)state;
    assert_int_equal(lk_response_add_header(&response, &request, "Location",
                                            &err, "/v1/jobs/%d", 7),
                     LINKD_OK);
    assert_int_equal(response.n_headers, 1);
    assert_string_equal(response.headers[0].name, "Location");
    assert_string_equal(response.headers[0].value, "/v1/jobs/7");
}

static const char *problem_member(json_t *json, const char *name)
{
    return json_string_value(json_object_get(json, name));
}

static void every_error_has_its_status_and_code(void **state)
{
    static const struct {
        int error;
        int status;
        const char *code;
        const char *title;
    } cases[] = {
        {LINKD_E_ARG, 400, "bad_request", "Bad Request"},
        {LINKD_E_ABSENT, 404, "absent", "Not Found"},
        {LINKD_E_CONFLICT, 409, "conflict", "Conflict"},
        {LINKD_E_DATA, 500, "damaged", "Internal Server Error"},
        {LINKD_E_IO, 500, "internal", "Internal Server Error"},
        {LINKD_E_BUSY, 503, "busy", "Service Unavailable"},
        {LINKD_E_NOMEM, 503, "busy", "Service Unavailable"},
        {LINKD_E_CANCELLED, 504, "deadline", "Gateway Timeout"},
        {LINKD_E_FULL, 507, "full", "Insufficient Storage"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        linkd_error failure = {cases[i].error, "no \"such\"\nluck"};
        json_t *json;

        lk_buf_clear(&response.body);
        response = (lk_response){0};
        lk_response_set_problem(&response, &failure);
        assert_int_equal(response.status, cases[i].status);
        assert_string_equal(response.content_type, "application/problem+json");
        json = json_loads(response.body.data, JSON_REJECT_DUPLICATES, NULL);
        assert_string_equal(problem_member(json, "type"), "about:blank");
        assert_string_equal(problem_member(json, "title"), cases[i].title);
        assert_string_equal(problem_member(json, "code"), cases[i].code);
        assert_string_equal(problem_member(json, "detail"),
                            "no \"such\"\nluck");
        assert_int_equal(json_integer_value(json_object_get(json, "status")),
                         cases[i].status);
        json_decref(json);
    }
}

static void a_handler_may_say_another_status(void **state)
{
    linkd_error failure = {LINKD_E_ABSENT, "which type"};

    (void)state;
    assert_int_equal(
        lk_response_fail(&response, 415, "unsupported_type", LINKD_E_ABSENT),
        LINKD_E_ABSENT);
    lk_response_set_problem(&response, &failure);
    assert_int_equal(response.status, 415);
    assert_non_null(strstr(response.body.data, "\"unsupported_type\""));
}

static int n_freed;

static void stream_free(void *ctx)
{
    (void)ctx;
    n_freed++;
}

/* What had been printed before the failure must not be in front of it. */
static void a_problem_replaces_body_and_stream(void **state)
{
    linkd_error failure = {LINKD_E_IO, "the disk said no"};

    (void)state;
    n_freed = 0;
    response.stream.free = stream_free;
    assert_int_equal(lk_buf_append(&response.body, "{\"hits\":[", 9, NULL),
                     LINKD_OK);
    lk_response_set_problem(&response, &failure);
    assert_int_equal(n_freed, 1);
    assert_null(response.stream.next);
    assert_int_equal(response.body.data[0], '{');
    assert_null(strstr(response.body.data, "hits"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, enter, leave)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(headers_are_found_by_name),
        TEST(the_content_type_is_without_its_parameters),
        TEST(a_query_is_decoded_and_its_first_value_counts),
        TEST(unknown_parameters_are_refused),
        TEST(a_request_is_over_when_stopped_or_late),
        TEST(headers_are_added_as_printed),
        TEST(every_error_has_its_status_and_code),
        TEST(a_handler_may_say_another_status),
        TEST(a_problem_replaces_body_and_stream),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
