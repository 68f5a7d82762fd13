/* tests/cli/test_limit.c — three options, of which one may be given. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/limit.h"

#define NONE ((double)NAN)

static void assert_put(lk_limit_values values, const char *expected)
{
    json_t *body = json_object();
    linkd_error err = {0};
    char *text;

    assert_int_equal(lk_limit_put(&values, body, &err), LINKD_OK);
    text = json_dumps(body, JSON_COMPACT);
    assert_string_equal(text, expected);
    free(text);
    json_decref(body);
}

static void each_has_its_form(void **state)
{
    (void)state;
    assert_put((lk_limit_values){NONE, NONE, NONE}, "{}");
    assert_put((lk_limit_values){0.5, NONE, NONE}, "{\"threshold\":0.5}");
    assert_put((lk_limit_values){NONE, 0.25, NONE},
               "{\"threshold\":{\"false_match_rate\":0.25}}");
    assert_put((lk_limit_values){NONE, NONE, 0.75},
               "{\"threshold\":{\"probability\":0.75}}");
}

static void two_of_them_are_refused(void **state)
{
    static const lk_limit_values both[] = {
        {0.5, 0.5, NONE}, {0.5, NONE, 0.5}, {NONE, 0.5, 0.5}};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        json_t *body = json_object();
        linkd_error err = {0};

        assert_int_equal(lk_limit_put(&both[i], body, &err), LINKD_E_ARG);
        assert_string_equal(err.message,
                            "--threshold, --false-match-rate and --probability "
                            "exclude each other");
        assert_int_equal(json_object_size(body), 0);
        json_decref(body);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_has_its_form),
        cmocka_unit_test(two_of_them_are_refused),
    };

    return cmocka_run_group_tests_name("cli/limit", tests, NULL, NULL);
}
