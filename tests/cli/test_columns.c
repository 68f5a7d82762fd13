#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <jansson.h>

#include "cli/columns.h"
#include "tests/support/alloc_fail.h"

static void assert_split(const char *text, size_t n, const char *const *parts)
{
    linkd_error err;
    lk_name_list names;

    assert_int_equal(lk_name_list_split("on", text, &names, &err), LINKD_OK);
    assert_int_equal(names.n, n);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(names.names[i].len, strlen(parts[i]));
        assert_memory_equal(names.names[i].bytes, parts[i], strlen(parts[i]));
    }
    lk_name_list_clear(&names);
}

static void assert_refused(const char *text, const char *message)
{
    linkd_error err;
    lk_name_list names;

    assert_int_equal(lk_name_list_split("on", text, &names, &err), LINKD_E_ARG);
    assert_string_equal(err.message, message);
}

static void names_are_split_at_commas_only(void **state)
{
    static const char *const parts[] = {"full name", "straße"};

    (void)state;
    assert_split("full name,straße", 2, parts);
}

static void a_quoted_name_may_hold_commas_and_quotes(void **state)
{
    static const char *const parts[] = {"last, first", "5\" disk", "c"};

    (void)state;
    assert_split("\"last, first\",\"5\"\" disk\",c", 3, parts);
}

static void a_list_that_is_not_well_formed_is_refused(void **state)
{
    (void)state;
    assert_refused("a,,b", "--on: a column name is empty");
    assert_refused("a,", "--on: a column name is empty");
    assert_refused("\"a", "--on: a quote is not closed");
    assert_refused("\"a\"b", "--on: a comma is missing before \"b\"");
    assert_refused("a,b,a", "--on names column \"a\" twice");
}

static void names_become_an_array_of_json(void **state)
{
    json_t *array = NULL;
    linkd_error err;
    int rc;

    (void)state;
    for (size_t nth = 1;; nth++) {
        alloc_fail_at(nth);
        rc = lk_name_list_json("on", "\"last, first\",b", &array, &err);
        if (!alloc_fail_off())
            break;
        assert_int_equal(rc, LINKD_E_NOMEM);
        assert_null(array);
    }
    assert_int_equal(rc, LINKD_OK);
    assert_int_equal(json_array_size(array), 2);
    assert_string_equal(json_string_value(json_array_get(array, 0)),
                        "last, first");
    assert_string_equal(json_string_value(json_array_get(array, 1)), "b");
    json_decref(array);
    assert_int_equal(lk_name_list_json("on", "a,,b", &array, &err),
                     LINKD_E_ARG);
    assert_string_equal(err.message, "--on: a column name is empty");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_split_at_commas_only),
        cmocka_unit_test(a_quoted_name_may_hold_commas_and_quotes),
        cmocka_unit_test(a_list_that_is_not_well_formed_is_refused),
        cmocka_unit_test(names_become_an_array_of_json),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
