/* tests/base/test_str.c — texts in order, and those that are the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"

static const linkd_str none = {NULL, 0};

static linkd_str str(const char *text)
{
    return (linkd_str){text, strlen(text)};
}

static void assert_before(linkd_str a, linkd_str b)
{
    assert_true(lk_str_compare(a, b) < 0);
    assert_true(lk_str_compare(b, a) > 0);
    assert_false(lk_str_equal(a, b));
    assert_false(lk_str_equal(b, a));
}

static void assert_same(linkd_str a, linkd_str b)
{
    assert_int_equal(lk_str_compare(a, b), 0);
    assert_true(lk_str_equal(a, b));
}

static void texts_come_in_the_order_of_their_bytes(void **state)
{
    (void)state;
    assert_before(str("ab"), str("b"));
    assert_before(str("ab"), str("ac"));
    assert_before(str("z"), str("\xC3\xA4")); /* bytes have no sign */
    assert_before((linkd_str){"a\0a", 3}, (linkd_str){"a\0b", 3});
}

static void a_text_comes_before_a_longer_one_that_begins_with_it(void **state)
{
    (void)state;
    assert_before(str("ab"), str("abc"));
    assert_before(none, str("a"));
}

static void the_same_bytes_elsewhere_are_the_same(void **state)
{
    char copy[] = "ab";

    (void)state;
    assert_same(str("ab"), str(copy));
    assert_same((linkd_str){"abc", 2}, (linkd_str){"abd", 2});
    assert_same(none, str(""));
    assert_same(none, none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_come_in_the_order_of_their_bytes),
        cmocka_unit_test(a_text_comes_before_a_longer_one_that_begins_with_it),
        cmocka_unit_test(the_same_bytes_elsewhere_are_the_same),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
