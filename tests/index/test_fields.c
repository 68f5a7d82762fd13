#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <float.h>
#include <math.h>

#include "index/layout.h"
#include "tests/linkage/random.h"

enum { TEXT_CAPACITY = 600 };

static linkd_str str(const char *text)
{
    return (linkd_str){text, strlen(text)};
}

static lk_key number_key(double number)
{
    lk_key key;

    lk_field_key_begin(&key, 1, str("f"), LK_FIELD_KEY_NUMBER);
    lk_field_key_add_number(&key, number);
    return key;
}

static lk_key text_key(linkd_str text)
{
    lk_key key;

    lk_field_key_begin(&key, 1, str("f"), LK_FIELD_KEY_TEXT);
    lk_field_key_add_text(&key, text);
    return key;
}

/* Below, equal, above: -1, 0, 1. */
static int bytes_compare(linkd_str a, linkd_str b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int order = len > 0 ? memcmp(a.bytes, b.bytes, len) : 0;

    if (order == 0)
        return (a.len > b.len) - (a.len < b.len);
    return order < 0 ? -1 : 1;
}

static int key_compare(const lk_key *a, const lk_key *b)
{
    return bytes_compare(lk_key_str(a), lk_key_str(b));
}

/* ---- numbers ------------------------------------------------------------ */

static void keys_sort_as_their_numbers_do(void **state)
{
    static const double sorted[] = {
        -HUGE_VAL, -DBL_MAX, -1e15,    -2.0,    -1.5, -1.0,    -DBL_MIN,
        -4.9e-324, 0.0,      4.9e-324, DBL_MIN, 0.5,  1.0,     1.0000000000001,
        2.0,       255.0,    256.0,    1e15,    1e16, DBL_MAX, HUGE_VAL,
    };
    const size_t n = sizeof(sorted) / sizeof(sorted[0]);

    (void)state;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++) {
            lk_key a = number_key(sorted[i]), b = number_key(sorted[j]);

            assert_int_equal(key_compare(&a, &b), (i > j) - (i < j));
        }
}

static double random_double(uint64_t *seed)
{
    double number;

    do {
        uint64_t bits = (uint64_t)random_next(seed) << 32;

        bits |= random_next(seed);
        memcpy(&number, &bits, sizeof(number));
    } while (isnan(number));
    return number;
}

static void keys_sort_as_any_two_numbers_do(void **state)
{
    uint64_t seed = 3;

    (void)state;
    for (int i = 0; i < 100000; i++) {
        double x = random_double(&seed), y = random_double(&seed);
        lk_key a = number_key(x), b = number_key(y);

        assert_int_equal(key_compare(&a, &b), (x > y) - (x < y));
    }
}

static void minus_zero_is_zero(void **state)
{
    lk_key a = number_key(-0.0), b = number_key(0.0);

    (void)state;
    assert_int_equal(key_compare(&a, &b), 0);
}

/* ---- texts -------------------------------------------------------------- */

/* Few different bytes, those that are special among them, so that one text
 * often begins another. */
static linkd_str random_text(uint64_t *seed, size_t max, char *room)
{
    static const char letters[] = {0, 1, 2, 'a', '\xff'};
    size_t len = random_below(seed, max + 1);

    for (size_t i = 0; i < len; i++)
        room[i] = letters[random_below(seed, sizeof(letters))];
    return (linkd_str){room, len};
}

static bool begins(const lk_key *a, const lk_key *b)
{
    return lk_str_starts_with(lk_key_str(b), lk_key_str(a));
}

static void keys_sort_as_any_two_texts_do(void **state)
{
    char room_a[TEXT_CAPACITY], room_b[TEXT_CAPACITY];
    uint64_t seed = 4;

    (void)state;
    for (int i = 0; i < 100000; i++) {
        linkd_str x = random_text(&seed, 6, room_a);
        linkd_str y = random_text(&seed, 6, room_b);
        lk_key a = text_key(x), b = text_key(y);
        int order = bytes_compare(x, y);

        assert_int_equal(key_compare(&a, &b), order);
        if (order != 0)
            assert_false(begins(&a, &b) || begins(&b, &a));
    }
}

/* A number follows the value: it must not be taken for more text. */
static void a_record_number_does_not_disturb_the_order(void **state)
{
    lk_key a = text_key(str("ab")), b = text_key((linkd_str){"ab\0c", 4});

    (void)state;
    lk_key_add_u64(&a, UINT64_MAX);
    lk_key_add_u64(&b, 0);
    assert_int_equal(key_compare(&a, &b), -1);
}

static void long_texts_are_told_apart_behind_the_cut(void **state)
{
    char x[300], y[300];
    lk_key a, b;

    (void)state;
    memset(x, 'a', sizeof(x));
    memset(y, 'a', sizeof(y));
    a = text_key((linkd_str){x, 300});
    b = text_key((linkd_str){y, 300});
    assert_int_equal(key_compare(&a, &b), 0);
    y[299] = 'b';
    b = text_key((linkd_str){y, 300});
    assert_int_not_equal(key_compare(&a, &b), 0);
    b = text_key((linkd_str){x, 299});
    assert_int_not_equal(key_compare(&a, &b), 0);
    assert_false(begins(&a, &b) || begins(&b, &a));
}

static void order_holds_up_to_the_cut(void **state)
{
    char x[300], y[300];
    lk_key a, b;

    (void)state;
    memset(x, 'a', sizeof(x));
    memset(y, 'a', sizeof(y));
    y[LK_FIELD_TEXT_MAX - 1] = 'b';
    a = text_key((linkd_str){x, 300});
    b = text_key((linkd_str){y, LK_FIELD_TEXT_MAX});
    assert_int_equal(key_compare(&a, &b), -1);
    b = text_key((linkd_str){x, LK_FIELD_TEXT_MAX}); /* whole, and shorter */
    assert_int_equal(key_compare(&b, &a), -1);
    b = text_key((linkd_str){y, 300});
    assert_int_equal(key_compare(&a, &b), -1);
}

/* lk_key_add_u64 asserts that it fits. */
static void the_longest_key_leaves_room_for_a_number(void **state)
{
    static const char bytes[] = {0, 1, 'a', '\xff'};
    char text[TEXT_CAPACITY];

    (void)state;
    for (size_t i = 0; i < sizeof(bytes); i++)
        for (size_t len = 0; len <= sizeof(text); len++) {
            lk_key key;

            memset(text, bytes[i], sizeof(text));
            key = text_key((linkd_str){text, len});
            lk_key_add_u64(&key, 1);
            assert_in_range(key.len, 13 + 1 + 8, LK_KEY_MAX_BYTES);
        }
}

/* ---- stored fields ------------------------------------------------------ */

static void assert_kind(const char *literal, lk_field_key_kind expected)
{
    linkd_field field = {
        .name = {"f", 1}, .value = str(literal), .kind = LINKD_FIELD_LITERAL};
    lk_key key, begun;

    assert_int_equal(lk_field_key_of(&key, 1, &field), expected);
    lk_field_key_begin(&begun, 1, field.name, expected);
    assert_true(begins(&begun, &key));
}

static void literals_are_what_json_says(void **state)
{
    (void)state;
    assert_kind("true", LK_FIELD_KEY_BOOL);
    assert_kind("false", LK_FIELD_KEY_BOOL);
    assert_kind("0", LK_FIELD_KEY_NUMBER);
    assert_kind("-12.5e-3", LK_FIELD_KEY_NUMBER);
    assert_kind("123456789012345678901234567890", LK_FIELD_KEY_NUMBER);
    assert_kind("1e-999", LK_FIELD_KEY_NUMBER);
    assert_kind("1e999", LK_FIELD_KEY_EXISTS);
    assert_kind("-1e999", LK_FIELD_KEY_EXISTS);
    assert_kind("[1,2]", LK_FIELD_KEY_EXISTS);
    assert_kind("{}", LK_FIELD_KEY_EXISTS);
}

/* strtod would take all of these. */
static void what_only_looks_like_a_number_exists(void **state)
{
    static const char *const words[] = {
        "",    "-",  "nan", "inf",    "0x10",  " 1",  "1 ",   "truely",
        "1-2", "1e", "tru", "NaN(1)", "12abc", "1,5", "null", "."};

    (void)state;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        assert_kind(words[i], LK_FIELD_KEY_EXISTS);
}

static void a_number_of_too_many_digits_exists(void **state)
{
    char digits[402];

    (void)state;
    memset(digits, '0', sizeof(digits));
    digits[1] = '.';
    digits[400] = '\0';
    assert_kind(digits, LK_FIELD_KEY_NUMBER);
    digits[400] = '0';
    digits[401] = '\0';
    assert_kind(digits, LK_FIELD_KEY_EXISTS);
}

static void a_stored_value_has_the_key_that_a_filter_builds(void **state)
{
    linkd_field field = {
        .name = {"f", 1}, .value = {"1e1", 3}, .kind = LINKD_FIELD_LITERAL};
    lk_key key, expected = number_key(10.0);

    (void)state;
    assert_int_equal(lk_field_key_of(&key, 1, &field), LK_FIELD_KEY_NUMBER);
    assert_int_equal(key_compare(&key, &expected), 0);
    field.value = str("true");
    assert_int_equal(lk_field_key_of(&key, 1, &field), LK_FIELD_KEY_BOOL);
    lk_field_key_begin(&expected, 1, str("f"), LK_FIELD_KEY_BOOL);
    lk_field_key_add_bool(&expected, true);
    assert_int_equal(key_compare(&key, &expected), 0);
    field.kind = LINKD_FIELD_TEXT; /* a text that says true is no boolean */
    assert_int_equal(lk_field_key_of(&key, 1, &field), LK_FIELD_KEY_TEXT);
    expected = text_key(str("true"));
    assert_int_equal(key_compare(&key, &expected), 0);
}

static void keys_of_collections_fields_and_kinds_lie_apart(void **state)
{
    lk_key key, other;

    (void)state;
    lk_field_key_begin(&key, 1, str("f"), LK_FIELD_KEY_TEXT);
    assert_int_equal(key.len, 4 + 8 + 1);
    lk_field_key_begin(&other, 2, str("f"), LK_FIELD_KEY_TEXT);
    assert_int_equal(key_compare(&key, &other), -1);
    lk_field_key_begin(&other, 1, str("g"), LK_FIELD_KEY_TEXT);
    assert_int_not_equal(key_compare(&key, &other), 0);
    lk_field_key_begin(&other, 1, str("f"), LK_FIELD_KEY_BOOL);
    assert_int_equal(key_compare(&other, &key), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_sort_as_their_numbers_do),
        cmocka_unit_test(keys_sort_as_any_two_numbers_do),
        cmocka_unit_test(minus_zero_is_zero),
        cmocka_unit_test(keys_sort_as_any_two_texts_do),
        cmocka_unit_test(a_record_number_does_not_disturb_the_order),
        cmocka_unit_test(long_texts_are_told_apart_behind_the_cut),
        cmocka_unit_test(order_holds_up_to_the_cut),
        cmocka_unit_test(the_longest_key_leaves_room_for_a_number),
        cmocka_unit_test(literals_are_what_json_says),
        cmocka_unit_test(what_only_looks_like_a_number_exists),
        cmocka_unit_test(a_number_of_too_many_digits_exists),
        cmocka_unit_test(a_stored_value_has_the_key_that_a_filter_builds),
        cmocka_unit_test(keys_of_collections_fields_and_kinds_lie_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
