#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/percent.h"

static int decode(const char *text, bool plus_is_space, char ret[40],
                  linkd_error *err)
{
    lk_arena arena = {0};
    linkd_str decoded;
    int rc = lk_percent_decode(&arena, (linkd_str){text, strlen(text)},
                               plus_is_space, &decoded, err);

    if (rc == LINKD_OK) {
        assert_true(decoded.len < 40);
        assert_int_equal(decoded.bytes[decoded.len], '\0');
        memcpy(ret, decoded.bytes, decoded.len + 1);
    }
    lk_arena_clear(&arena);
    return rc;
}

static void escapes_become_their_bytes(void **state)
{
    char text[40];

    (void)state;
    assert_int_equal(decode("a%20b%2Fc%2f%C3%A4", false, text, NULL), LINKD_OK);
    assert_string_equal(text, "a b/c/\xC3\xA4");
    assert_int_equal(decode("", false, text, NULL), LINKD_OK);
    assert_string_equal(text, "");
}

static void plus_is_a_space_in_queries_only(void **state)
{
    char text[40];

    (void)state;
    assert_int_equal(decode("a+b%2Bc", true, text, NULL), LINKD_OK);
    assert_string_equal(text, "a b+c");
    assert_int_equal(decode("a+b", false, text, NULL), LINKD_OK);
    assert_string_equal(text, "a+b");
}

static void cut_and_wrong_escapes_are_refused(void **state)
{
    static const char *const cases[] = {"%",   "a%4",  "%g0",
                                        "%0g", "%%20", "%-1"};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        linkd_error err = {0};
        char text[40];

        assert_int_equal(decode(cases[i], false, text, &err), LINKD_E_ARG);
        assert_memory_equal(err.message, "bad percent escape", 18);
    }
}

/* A NUL would end the name in the middle for whoever reads a C string. */
static void what_is_not_utf8_or_has_a_nul_is_refused(void **state)
{
    static const char *const cases[] = {"%00", "a%FF", "%C3", "\xFF"};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        linkd_error err = {0};
        char text[40];

        assert_int_equal(decode(cases[i], false, text, &err), LINKD_E_ARG);
        assert_string_equal(err.message,
                            "the URL does not decode to UTF-8 without NUL");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(escapes_become_their_bytes),
        cmocka_unit_test(plus_is_a_space_in_queries_only),
        cmocka_unit_test(cut_and_wrong_escapes_are_refused),
        cmocka_unit_test(what_is_not_utf8_or_has_a_nul_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
