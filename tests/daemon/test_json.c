#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/json.h"
#include "tests/support/alloc_fail.h"

static linkd_error err;

static int parse(const char *text, json_t **ret_json)
{
    return lk_json_parse((linkd_str){text, strlen(text)}, ret_json, &err);
}

static json_t *parsed(const char *text)
{
    json_t *json = NULL;

    if (parse(text, &json) != LINKD_OK)
        fail_msg("%s", err.message);
    return json;
}

/* ---- parsing ------------------------------------------------------------- */

static void bodies_that_are_not_json_are_refused(void **state)
{
    static const char *const bodies[] = {
        "",        "{",           "{\"a\":1}x", "{\"a\":1,\"a\":2}",
        "NaN",     "[1,]",        "\"\xFF\"",   "\"\\ud800\"",
        "[1e999]", "\"\\u0000\"", "{\"a\":01}", "'a'",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        json_t *json = NULL;

        assert_int_equal(parse(bodies[i], &json), LINKD_E_ARG);
        assert_null(json);
    }
    assert_int_equal(parse("{\n \"a\": tru}", &(json_t *){NULL}), LINKD_E_ARG);
    assert_memory_equal(err.message, "not valid JSON: line 2 column ", 30);
}

/* jansson's recursion is bounded before it begins. */
static void nesting_has_a_limit(void **state)
{
    char text[2 * LK_JSON_DEPTH_MAX + 3];
    json_t *json = NULL;

    (void)state;
    memset(text, '[', LK_JSON_DEPTH_MAX);
    memset(text + LK_JSON_DEPTH_MAX, ']', LK_JSON_DEPTH_MAX);
    text[2 * LK_JSON_DEPTH_MAX] = '\0';
    json_decref(parsed(text));
    memset(text, '[', LK_JSON_DEPTH_MAX + 1);
    memset(text + LK_JSON_DEPTH_MAX + 1, ']', LK_JSON_DEPTH_MAX + 1);
    text[2 * LK_JSON_DEPTH_MAX + 2] = '\0';
    assert_int_equal(parse(text, &json), LINKD_E_ARG);
    assert_string_equal(err.message, "JSON is nested deeper than 64 levels");
}

static void brackets_in_strings_do_not_nest(void **state)
{
    char text[300] = "\"\\\"";

    (void)state;
    memset(text + 3, '[', 200);
    text[203] = '"';
    json_decref(parsed(text));
}

static void unknown_members_are_refused(void **state)
{
    static const char *const names[] = {"a", "b", NULL};
    json_t *json = parsed("{\"a\":1}");

    (void)state;
    assert_int_equal(lk_json_check_members(json, "record 3", names, &err),
                     LINKD_OK);
    json_decref(json);
    json = parsed("{\"a\":1,\"c\":2}");
    assert_int_equal(lk_json_check_members(json, "record 3", names, &err),
                     LINKD_E_ARG);
    assert_string_equal(err.message, "record 3 has an unknown member \"c\"");
    json_decref(json);
    json = parsed("[]");
    assert_int_equal(lk_json_check_members(json, "record 3", names, &err),
                     LINKD_E_ARG);
    assert_string_equal(err.message, "record 3 is not an object");
    json_decref(json);
}

/* ---- members ------------------------------------------------------------- */

static void members_have_their_kinds(void **state)
{
    json_t *json = parsed("{\"s\":\"x\",\"n\":7,\"f\":0.5,\"b\":true}");
    linkd_str text = {0};
    size_t size = 0;
    linkd_limit limit = {LINKD_LIMIT_NONE, 0.0};
    bool flag = false;

    (void)state;
    assert_int_equal(lk_json_get_string(json, "s", &text, &err), LINKD_OK);
    assert_int_equal(text.len, 1);
    assert_int_equal(lk_json_get_size(json, "n", 1, 7, &size, &err), LINKD_OK);
    assert_int_equal(size, 7);
    assert_int_equal(lk_json_get_limit(json, "f", &limit, &err), LINKD_OK);
    assert_true(limit.kind == LINKD_LIMIT_SCORE && limit.value == 0.5);
    assert_int_equal(lk_json_get_bool(json, "b", &flag, &err), LINKD_OK);
    assert_true(flag);

    assert_int_equal(lk_json_get_string(json, "n", &text, &err), LINKD_E_ARG);
    assert_string_equal(err.message, "\"n\" is not a string");
    assert_int_equal(lk_json_get_size(json, "f", 0, 7, &size, &err),
                     LINKD_E_ARG);
    assert_string_equal(err.message, "\"f\" is not an integer from 0 to 7");
    assert_int_equal(lk_json_get_size(json, "n", 0, 6, &size, &err),
                     LINKD_E_ARG);
    assert_int_equal(lk_json_get_size(json, "n", 8, 9, &size, &err),
                     LINKD_E_ARG);
    assert_int_equal(lk_json_get_limit(json, "s", &limit, &err), LINKD_E_ARG);
    assert_int_equal(lk_json_get_bool(json, "n", &flag, &err), LINKD_E_ARG);
    assert_string_equal(err.message, "\"n\" is not true or false");
    json_decref(json);
}

static void absent_and_null_leave_the_default(void **state)
{
    json_t *json = parsed("{\"a\":null}");
    static const char *const names[] = {"a", "b"};
    linkd_str text = {"x", 1};
    size_t size = 3;
    linkd_limit limit = {LINKD_LIMIT_SCORE, 0.25};
    bool flag = true;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(lk_json_get_string(json, names[i], &text, &err),
                         LINKD_OK);
        assert_int_equal(lk_json_get_size(json, names[i], 1, 9, &size, &err),
                         LINKD_OK);
        assert_int_equal(lk_json_get_limit(json, names[i], &limit, &err),
                         LINKD_OK);
        assert_int_equal(lk_json_get_bool(json, names[i], &flag, &err),
                         LINKD_OK);
    }
    assert_string_equal(text.bytes, "x");
    assert_int_equal(size, 3);
    assert_true(limit.value == 0.25);
    assert_true(flag);
    json_decref(json);
}

static void a_limit_without_memory_is_no_wrong_one(void **state)
{
    json_t *json = parsed("{\"f\":0.5}");
    linkd_limit limit = {LINKD_LIMIT_NONE, 0.0};

    (void)state;
    alloc_fail_at(1);
    assert_int_equal(lk_json_get_limit(json, "f", &limit, &err), LINKD_E_NOMEM);
    assert_true(alloc_fail_off());
    assert_int_equal(limit.kind, LINKD_LIMIT_NONE);
    json_decref(json);
}

static void a_size_below_zero_is_refused(void **state)
{
    json_t *json = parsed("{\"n\":-1}");
    size_t size = 0;

    (void)state;
    assert_int_equal(lk_json_get_size(json, "n", 0, SIZE_MAX, &size, &err),
                     LINKD_E_ARG);
    json_decref(json);
}

/* ---- vectors ------------------------------------------------------------- */

static int vector_get(const char *text, lk_arena *arena, const float **ret)
{
    json_t *json = parsed(text);
    int rc = lk_json_get_vector(json, 2, "record 3", arena, ret, &err);

    json_decref(json);
    return rc;
}

static void arrays_and_base64_are_vectors_of_length_1(void **state)
{
    static const char *const same[] = {"[3,4]", "[0.3,0.4]",
                                       "\"AABAQAAAgEA=\""};
    lk_arena arena = {0};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        const float *vector = NULL;

        assert_int_equal(vector_get(same[i], &arena, &vector), LINKD_OK);
        assert_true(fabsf(vector[0] - 0.6F) < 1e-6F);
        assert_true(fabsf(vector[1] - 0.8F) < 1e-6F);
    }
    lk_arena_clear(&arena);
}

static void vectors_that_are_none_are_refused(void **state)
{
    static const char *const cases[][2] = {
        {"[1]", "record 3 has 1 numbers, not the collection's 2"},
        {"[1,2,3]", "record 3 has 3 numbers, not the collection's 2"},
        {"[1,\"2\"]", "record 3: number 1 is not a number"},
        {"[0,0]", "record 3 is all zero"},
        {"[0,1e39]", "record 3: number 1 is not finite"},
        {"\"AABAQA==\"",
         "record 3 is base64 of 4 bytes, not of the collection's 2 numbers"},
        {"\"AABAQAAA!EA=\"", "record 3: character 8 is not one of base64"},
        {"\"AADAfwAAgEA=\"", "record 3: number 0 is not finite"},
        {"7", "record 3 is neither array nor base64"},
    };
    lk_arena arena = {0};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const float *vector = NULL;

        assert_int_equal(vector_get(cases[i][0], &arena, &vector), LINKD_E_ARG);
        assert_string_equal(err.message, cases[i][1]);
        assert_null(vector);
    }
    lk_arena_clear(&arena);
}

/* Squares of floats overflow floats, and vanish in them. */
static void tiny_and_huge_vectors_are_scaled_too(void **state)
{
    float huge[2] = {3e38F, 3e38F};
    float tiny[2] = {1e-38F, 0.0F};

    (void)state;
    assert_int_equal(lk_vector_normalize(huge, 2, "it", &err), LINKD_OK);
    assert_true(fabsf(huge[0] - 0.70710678F) < 1e-6F);
    assert_int_equal(lk_vector_normalize(tiny, 2, "it", &err), LINKD_OK);
    assert_true(fabsf(tiny[0] - 1.0F) < 1e-6F);
}

/* ---- printing ------------------------------------------------------------ */

static void strings_are_escaped_and_come_back(void **state)
{
    static const char text[] = "a\"b\\c\n\t\x01\x1f/\xC3\xA4";
    lk_buf buf = {0};
    json_t *json;

    (void)state;
    assert_int_equal(
        lk_json_put_string(&buf, (linkd_str){text, sizeof(text) - 1}, &err),
        LINKD_OK);
    json = parsed(buf.data);
    assert_string_equal(json_string_value(json), text);
    json_decref(json);
    lk_buf_reset(&buf);
    assert_int_equal(lk_json_put_string(&buf, (linkd_str){"", 0}, &err),
                     LINKD_OK);
    assert_string_equal(buf.data, "\"\"");
    lk_buf_clear(&buf);
}

static void values_are_compact(void **state)
{
    json_t *json = parsed("{ \"a\" : [ 1 , null , \"x\" ] }");
    lk_buf buf = {0};

    (void)state;
    assert_int_equal(lk_json_put_value(&buf, json, &err), LINKD_OK);
    assert_string_equal(buf.data, "{\"a\":[1,null,\"x\"]}");
    lk_buf_clear(&buf);
    json_decref(json);
}

static void too_many_values_are_refused_before_they_are_made(void **state)
{
    size_t len = 2 * (LK_JSON_VALUES_MAX + 2) + 1;
    char *text = malloc(len);
    json_t *json = NULL;

    (void)state;
    assert_non_null(text);
    for (size_t i = 0; i < len; i++)
        text[i] = i % 2 == 0 ? ',' : '0';
    text[0] = '[';
    text[len - 1] = ']';
    assert_int_equal(lk_json_parse((linkd_str){text, len}, &json, &err),
                     LINKD_E_ARG);
    assert_string_equal(
        err.message,
        "JSON has more than 2097152 values: send vectors as base64");
    free(text);
}

static void numbers_are_printed_as_they_were_read(void **state)
{
    static const char *const texts[] = {"0.1", "-2.5", "0.30000000000000004",
                                        "12345678901",
                                        "{\"a\":0.1,\"b\":[1e300,-2.5]}"};
    lk_buf buf = {0};

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        linkd_str given = {texts[i], strlen(texts[i])};
        json_t *json = NULL;

        lk_buf_reset(&buf);
        assert_int_equal(lk_json_parse(given, &json, &err), LINKD_OK);
        assert_int_equal(lk_json_put_value(&buf, json, &err), LINKD_OK);
        assert_string_equal(buf.data, texts[i]);
        json_decref(json);
    }
    lk_buf_clear(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bodies_that_are_not_json_are_refused),
        cmocka_unit_test(too_many_values_are_refused_before_they_are_made),
        cmocka_unit_test(numbers_are_printed_as_they_were_read),
        cmocka_unit_test(nesting_has_a_limit),
        cmocka_unit_test(brackets_in_strings_do_not_nest),
        cmocka_unit_test(unknown_members_are_refused),
        cmocka_unit_test(members_have_their_kinds),
        cmocka_unit_test(absent_and_null_leave_the_default),
        cmocka_unit_test(a_limit_without_memory_is_no_wrong_one),
        cmocka_unit_test(a_size_below_zero_is_refused),
        cmocka_unit_test(arrays_and_base64_are_vectors_of_length_1),
        cmocka_unit_test(vectors_that_are_none_are_refused),
        cmocka_unit_test(tiny_and_huge_vectors_are_scaled_too),
        cmocka_unit_test(strings_are_escaped_and_come_back),
        cmocka_unit_test(values_are_compact),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
