#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"

static linkd_str str_of(const char *text)
{
    return (linkd_str){text, strlen(text)};
}

/* RFC 4648 §10. */
static void the_vectors_of_the_rfc_go_both_ways(void **state)
{
    static const char *const cases[][2] = {
        {"", ""},
        {"f", "Zg=="},
        {"fo", "Zm8="},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"},
        {"\xFB\xEF\xFF", "++//"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t len = strlen(cases[i][0]);
        char bytes[8] = "";
        lk_buf text = {0};

        assert_int_equal(lk_base64_encode(cases[i][0], len, &text, NULL),
                         LINKD_OK);
        assert_int_equal(text.len, strlen(cases[i][1]));
        if (len > 0)
            assert_string_equal(text.data, cases[i][1]);
        assert_int_equal(lk_base64_decoded_len(str_of(cases[i][1])), len);
        assert_int_equal(lk_base64_decode(str_of(cases[i][1]), bytes, NULL),
                         LINKD_OK);
        assert_memory_equal(bytes, cases[i][0], len);
        lk_buf_clear(&text);
    }
}

/* Equal bytes have one spelling: what is hashed must not depend on leniency. */
static void other_spellings_are_refused(void **state)
{
    static const char *const cases[][2] = {
        {"Zg", "base64 of 2 characters is not a multiple of 4"},
        {"Zg=", "base64 of 3 characters is not a multiple of 4"},
        {"Zh==", "base64 ends within a byte"},
        {"Zm9=", "base64 ends within a byte"},
        {"Zm 9", "character 2 is not one of base64"},
        {"Zm-_", "character 2 is not one of base64"},
        {"Z===", "character 1 is not one of base64"},
        {"=Zg=", "character 0 is not one of base64"},
        {"Zg==Zg==", "character 2 is not one of base64"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        linkd_error err = {0};
        char bytes[8];

        assert_in_range(lk_base64_decoded_len(str_of(cases[i][0])), 0,
                        sizeof(bytes));
        assert_int_equal(lk_base64_decode(str_of(cases[i][0]), bytes, &err),
                         LINKD_E_ARG);
        assert_string_equal(err.message, cases[i][1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_vectors_of_the_rfc_go_both_ways),
        cmocka_unit_test(other_spellings_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
