#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"

static void every_code_point_is_valid_and_every_surrogate_is_not(void **state)
{
    (void)state;
    for (uint32_t c = 1; c <= 0x110FFF; c++) {
        char bytes[4];
        size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
        bool is_character = c <= 0x10FFFF && (c < 0xD800 || c > 0xDFFF);
        static const uint32_t leads[] = {0, 0, 0xC0, 0xE0, 0xF0};

        for (size_t i = 0; i < n; i++)
            bytes[n - 1 - i] = (char)(0x80U | (c >> (6 * i) & 0x3FU));
        bytes[0] = (char)(leads[n] | c >> (6 * (n - 1)));
        assert_int_equal(lk_utf8_check(bytes, n), is_character ? n : 0);
        if (n > 1) /* cut short it never is */
            assert_int_equal(lk_utf8_check(bytes, n - 1), 0);
    }
}

static void overlong_forms_and_stray_bytes_are_invalid(void **state)
{
    static const char *const texts[] = {
        "\xC0\x80", "\xC1\xBF", "\xE0\x9F\xBF", "\xF0\x8F\xBF\xBF",
        "\x80",     "\xFF",     "\xF8\x88\x80", "\xE2\x28\xA1"};

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_int_equal(lk_utf8_check(texts[i], strlen(texts[i])), 0);
}

static void a_bad_byte_is_found_at_any_place(void **state)
{
    static const char bad[] = {'\0', '\xFF', '\x80'};

    (void)state;
    for (size_t at = 0; at < 40; at++) {
        for (size_t i = 0; i < sizeof(bad); i++) {
            char bytes[40];

            memset(bytes, 'a', sizeof(bytes));
            assert_int_equal(lk_utf8_check(bytes, sizeof(bytes)), 40);
            bytes[at] = bad[i];
            assert_int_equal(lk_utf8_check(bytes, sizeof(bytes)), at);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_point_is_valid_and_every_surrogate_is_not),
        cmocka_unit_test(overlong_forms_and_stray_bytes_are_invalid),
        cmocka_unit_test(a_bad_byte_is_found_at_any_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
