/* tests/linkage/test_limits.c — limits as JSON, and back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "linkage/linkage.h"

static linkd_error err;

static int parse(const char *json, linkd_limit *ret)
{
    return linkd_limit_parse((linkd_str){json, strlen(json)}, "least", ret,
                             &err);
}

static void what_was_given_is_printed(void **state)
{
    static const struct {
        const char *json;
        linkd_limit_kind kind;
        double value;
    } cases[] = {
        {"0.74", LINKD_LIMIT_SCORE, (double)0.74F},
        {"-1", LINKD_LIMIT_SCORE, -1.0},
        {"1", LINKD_LIMIT_SCORE, 1.0},
        {"{\"false_match_rate\":0.001}", LINKD_LIMIT_FALSE_MATCH_RATE, 0.001},
        {"{\"false_match_rate\":1e-05}", LINKD_LIMIT_FALSE_MATCH_RATE, 1e-5},
        {"{\"probability\":0.123456789012}", LINKD_LIMIT_PROBABILITY,
         0.123456789012},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        linkd_limit limit = {LINKD_LIMIT_NONE, 0.0};
        lk_buf text = {0};

        assert_int_equal(parse(cases[i].json, &limit), LINKD_OK);
        assert_int_equal(limit.kind, cases[i].kind);
        assert_true(limit.value == cases[i].value);
        assert_int_equal(linkd_limit_print(&limit, &text, &err), LINKD_OK);
        assert_string_equal(text.data, cases[i].json);
        lk_buf_clear(&text);
    }
}

static void no_limit_is_null(void **state)
{
    linkd_limit limit = {LINKD_LIMIT_NONE, 0.0};
    lk_buf text = {0};

    (void)state;
    assert_int_equal(linkd_limit_check(&limit, "least", &err), LINKD_OK);
    assert_int_equal(linkd_limit_print(&limit, &text, &err), LINKD_OK);
    assert_string_equal(text.data, "null");
    lk_buf_clear(&text);
}

static void what_is_no_limit_is_refused_by_its_name(void **state)
{
    static const char no_limit[] =
        "\"least\" is not a number from -1 to 1, or an object of one "
        "\"false_match_rate\" or \"probability\"";
    static const char no_score[] = "\"least\" is not a number from -1 to 1";
    static const char no_rate[] =
        "\"least\": \"false_match_rate\" is not a number between 0 and 1";
    static const char *const cases[][2] = {
        {"\"0.5\"", no_limit},
        {"[0.5]", no_limit},
        {"true", no_limit},
        {"{}", no_limit},
        {"0.5 0.5", no_limit},
        {"{\"rate\":0.5}", no_limit},
        {"{\"false_match_rate\":0.5,\"probability\":0.5}", no_limit},
        {"1.001", no_score},
        {"-1.001", no_score},
        {"1e300", no_score},
        {"{\"false_match_rate\":0}", no_rate},
        {"{\"false_match_rate\":1}", no_rate},
        {"{\"false_match_rate\":-0.1}", no_rate},
        {"{\"false_match_rate\":\"0.1\"}", no_rate},
        {"{\"false_match_rate\":null}", no_rate},
        {"{\"probability\":1.5}",
         "\"least\": \"probability\" is not a number between 0 and 1"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        linkd_limit limit = {LINKD_LIMIT_SCORE, 0.25};

        assert_int_equal(parse(cases[i][0], &limit), LINKD_E_ARG);
        assert_string_equal(err.message, cases[i][1]);
        assert_true(limit.value == 0.25);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_given_is_printed),
        cmocka_unit_test(no_limit_is_null),
        cmocka_unit_test(what_is_no_limit_is_refused_by_its_name),
    };

    return cmocka_run_group_tests_name("linkage/limits", tests, NULL, NULL);
}
