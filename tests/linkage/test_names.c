/* tests/linkage/test_names.c — strings to numbers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "linkage/names.h"

static void equal_strings_get_equal_numbers(void **state)
{
    static const char *texts[] = {"a", "b", "a", "", "b", ""};
    static const size_t expected[] = {0, 1, 0, 2, 1, 2};
    lk_name_numbers names = {0};

    (void)state;
    assert_true(lk_name_numbers_find(&names, (linkd_str){"a", 1}) == SIZE_MAX);
    for (size_t i = 0; i < 6; i++) {
        linkd_str name = {texts[i], texts[i][0] != '\0'};
        size_t number = 42;

        assert_int_equal(lk_name_numbers_add(&names, name, &number, NULL),
                         LINKD_OK);
        assert_int_equal(number, expected[i]);
        assert_int_equal(lk_name_numbers_find(&names, name), expected[i]);
    }
    assert_int_equal(names.n, 3);
    assert_true(lk_name_numbers_find(&names, (linkd_str){"c", 1}) == SIZE_MAX);
    lk_name_numbers_clear(&names);
}

static void many_strings_keep_their_numbers(void **state)
{
    static char texts[5000][8];
    lk_name_numbers names = {0};

    (void)state;
    for (size_t i = 0; i < 5000; i++) {
        int len = snprintf(texts[i], sizeof(texts[i]), "%zu", i);
        size_t number;

        assert_int_equal(lk_name_numbers_add(&names,
                                             (linkd_str){texts[i], (size_t)len},
                                             &number, NULL),
                         LINKD_OK);
        assert_int_equal(number, i);
    }
    assert_int_equal(lk_name_numbers_find(&names, (linkd_str){"4321", 4}),
                     4321);
    lk_name_numbers_clear(&names);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_strings_get_equal_numbers),
        cmocka_unit_test(many_strings_keep_their_numbers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
