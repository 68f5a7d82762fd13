/* tests/linkage/test_values.c — numbers and dates as people write them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "linkage/similarity.h"

#define N(array) (sizeof(array) / sizeof(*(array)))

static linkd_str str(const char *text)
{
    return (linkd_str){text, strlen(text)};
}

/* ---- numbers ------------------------------------------------------------ */

static void assert_number(const char *text, double expected)
{
    double value = 4711.0;

    if (!lk_number_parse(str(text), &value) || value != expected)
        print_error("\"%s\" is read as %.17g\n", text, value);
    assert_true(value == expected);
}

static void assert_no_number(const char *text)
{
    double value = 4711.0;

    if (lk_number_parse(str(text), &value))
        print_error("\"%s\" is read as %.17g\n", text, value);
    assert_true(value == 4711.0);
}

static void plain_numbers_are_read(void **state)
{
    (void)state;
    assert_number("0", 0.0);
    assert_number("42", 42.0);
    assert_number(" 1998 ", 1998.0);
    assert_number("-3.25", -3.25);
    assert_number("+7", 7.0);
    assert_number(".5", 0.5);
    assert_number("5.", 5.0);
    assert_number("007", 7.0);
    assert_number("0.1", 0.1);
    assert_number("149.99", 149.99);
    assert_number("\xE2\x88\x92"
                  "5",
                  -5.0); /* a minus, not a hyphen */
}

static void exponents_scale(void **state)
{
    (void)state;
    assert_number("1e3", 1000.0);
    assert_number("2.5E-3", 0.0025);
    assert_number("1e+2", 100.0);
    assert_number("0e9999", 0.0);
    assert_number("1e-9999", 0.0);
    assert_no_number("1e9999");
    assert_no_number("1e");
    assert_no_number("1e12345");
    assert_no_number("e3");
}

static void thousands_are_separated_as_in_any_country(void **state)
{
    (void)state;
    assert_number("1,299", 1299.0);
    assert_number("1,299.00", 1299.0);
    assert_number("1.299,00", 1299.0);
    assert_number("1 299", 1299.0);
    assert_number("1\xC2\xA0"
                  "299,5",
                  1299.5);
    assert_number("12\xE2\x80\xAF"
                  "345\xE2\x80\xAF"
                  "678",
                  12345678.0);
    assert_number("1'299.50", 1299.5);
    assert_number("1,234,567", 1234567.0);
    assert_number("1.234.567", 1234567.0);
    assert_number("12,34,567", 1234567.0);
    assert_number("12,34,567.5", 1234567.5);
}

static void one_mark_may_be_a_decimal_one(void **state)
{
    (void)state;
    assert_number("1.299", 1.299);
    assert_number("0,299", 0.299);
    assert_number("3,5", 3.5);
    assert_number("12,34", 12.34);
    assert_number("1234,567", 1234.567);
}

static void currency_and_percent_are_signs_of_a_number(void **state)
{
    (void)state;
    assert_number("$1,299.00", 1299.0);
    assert_number("$ 5", 5.0);
    assert_number("-$5", -5.0);
    assert_number("$-5", -5.0);
    assert_number("\xE2\x82\xAC"
                  "12",
                  12.0);
    assert_number("12,50 \xE2\x82\xAC", 12.5);
    assert_number("45%", 45.0);
    assert_number("45 %", 45.0);
}

static void what_is_no_number_is_refused(void **state)
{
    static const char *const texts[] = {
        "",
        " ",
        "abc",
        "-",
        "$",
        ".",
        ",",
        "12a",
        "a12",
        "1-2",
        "1.2.3",
        "1,2,3",
        "192.168.0.1",
        "1,23,45",
        "--5",
        "+-5",
        "5 5",
        "020 794 601",
        "1 2345",
        "1,299,00",
        "0x10",
        "nan",
        "inf",
        "1/2",
        "12:30",
        "$$5",
        "5$%",
        "1,299 299",
        "12 345,6,7",
        "1..2",
        "555-12-34",
        "(5)",
        "1,,299",
        "1 299 ,5",
        "00000000000000000000000000000000000000000000000000000000000000001",
    };

    (void)state;
    for (size_t i = 0; i < N(texts); i++)
        assert_no_number(texts[i]);
}

static void long_numbers_keep_their_size(void **state)
{
    (void)state;
    assert_number("12345678901234567890", 12345678901234567890.0);
    assert_number("100000000000000000000000000", 1e26);
    assert_number("0.00000000000000000000000012", 12e-26);
    assert_number("1.00000000000000000000000000", 1.0);
}

static void closeness_falls_with_the_distance(void **state)
{
    float close;

    (void)state;
    assert_true(lk_number_closeness(3.0, 3.0, 0.0) == 1.0F);
    assert_true(lk_number_closeness(3.0, 4.0, 0.0) == 0.0F);
    close = lk_number_closeness(3.0, 4.0, 1.0);
    assert_true(close > 0.36787F && close < 0.36789F);
    assert_true(lk_number_closeness(4.0, 3.0, 1.0) == close);
    assert_true(lk_number_closeness(-1e308, 1e308, 1e-300) == 0.0F);
}

/* ---- dates -------------------------------------------------------------- */

static void assert_date(const char *text, bool month_first, int64_t expected)
{
    int64_t days = INT64_MIN;

    if (!lk_date_parse(str(text), month_first, &days) || days != expected)
        print_error("\"%s\" is read as day %lld\n", text, (long long)days);
    assert_true(days == expected);
}

static void assert_no_date(const char *text, bool month_first)
{
    int64_t days = INT64_MIN;

    if (lk_date_parse(str(text), month_first, &days))
        print_error("\"%s\" is read as day %lld\n", text, (long long)days);
    assert_true(days == INT64_MIN);
}

/* Days that date(1) gives. */
static void days_are_counted_from_1970(void **state)
{
    (void)state;
    assert_date("1970-01-01", false, 0);
    assert_date("1969-12-31", false, -1);
    assert_date("2000-02-29", false, 11016);
    assert_date("2000-03-01", false, 11017);
    assert_date("2001-02-28", false, 11381);
    assert_date("1815-12-10", false, -56270);
    assert_date("0001-01-01", false, -719162);
    assert_date("9999-12-31", false, 2932896);
}

static void a_date_has_many_forms(void **state)
{
    static const char *const texts[] = {
        "2001-02-28",   "2001/2/28",        "2001.02.28",        "20010228",
        "28.02.2001",   "28/02/2001",       "28-2-2001",         "28 Feb 2001",
        "28-Feb-2001",  "28 february 2001", "February 28, 2001", "Feb. 28 2001",
        "FEB 28, 2001", " 2001-02-28 ",     "28. Feb 2001",
    };

    (void)state;
    for (size_t i = 0; i < N(texts); i++)
        assert_date(texts[i], false, 11381);
    assert_date("02/28/2001", true, 11381);
    assert_date("2.28.2001", true, 11381);
}

static void a_time_may_follow(void **state)
{
    static const char *const texts[] = {
        "2001-02-28T12:34:56Z",     "2001-02-28 12:34",
        "2001-02-28 12:34:56.789",  "2001-02-28T00:00:00+01:00",
        "2001-02-28T00:00:00-0500", "2001-02-28 00:00:00 UTC",
        "28/02/2001 3:45 PM",       "February 28, 2001, 12:00",
        "20010228 12:00",
    };

    (void)state;
    for (size_t i = 0; i < N(texts); i++)
        assert_date(texts[i], false, 11381);
}

static void the_column_says_which_number_is_the_month(void **state)
{
    (void)state;
    assert_date("04/05/2001", false, 11446); /* 4 May */
    assert_date("04/05/2001", true, 11417);  /* 5 April */
    assert_no_date("28/02/2001", true);
    assert_no_date("02/28/2001", false);
    /* where the form says it, nobody else does */
    assert_date("2001-04-05", false, 11417);
    assert_date("2001-04-05", true, 11417);
}

static void what_is_no_date_is_refused(void **state)
{
    static const char *const texts[] = {
        "",
        "1998",
        "2001-02",
        "2001-02-29",
        "1900-02-29",
        "2001-13-01",
        "2001-00-10",
        "2001-01-00",
        "0000-01-01",
        "20011301",
        "00010101",
        "31/04/2001",
        "28/02/01",
        "28 Foo 2001",
        "28 Ma 2001",
        "Feb 2001",
        "2001-02/28",
        "28.02/2001",
        "2001-02-280",
        "28/02/20011",
        "200102281",
        "28 02 2001",
        "2001-02-28x",
        "2001-02-28T",
        "2001-02-28 25:00",
        "2001-02-28 12",
        "2001-02-28 12:60",
        "2001-02-28 12:00 +99",
        "2001-02-28 12:00 x",
        "020 7946 0001",
        "Februaryy 28, 2001",
        "February 28 of 2001",
    };

    (void)state;
    for (size_t i = 0; i < N(texts); i++) {
        assert_no_date(texts[i], false);
        assert_no_date(texts[i], true);
    }
}

static void a_column_tells_the_order_by_the_days_above_12(void **state)
{
    static const char *const texts[] = {
        "04/05/2001", "28/02/2001", "02/28/2001", "13.12.1999",
        "2001-02-28", "1 May 2001", "30/30/2001", "nothing"};
    lk_date_order order = {0};

    (void)state;
    for (size_t i = 0; i < N(texts); i++)
        lk_date_order_see(&order, str(texts[i]));
    assert_int_equal(order.n_day_first, 2);
    assert_int_equal(order.n_month_first, 1);
    assert_int_equal(order.n_either, 3);
}

/* Every day of 800 years: one after the other, and none twice. */
static void days_follow_each_other(void **state)
{
    static const unsigned lengths[] = {31, 28, 31, 30, 31, 30,
                                       31, 31, 30, 31, 30, 31};
    int64_t expected = -135140; /* 1600-01-01 */

    (void)state;
    for (unsigned year = 1600; year < 2400; year++) {
        bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

        for (unsigned month = 1; month <= 12; month++) {
            unsigned n = lengths[month - 1] + (month == 2 && leap);

            for (unsigned day = 1; day <= n; day++) {
                char text[32];

                (void)snprintf(text, sizeof(text), "%04u-%02u-%02u", year,
                               month, day);
                assert_date(text, false, expected++);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_numbers_are_read),
        cmocka_unit_test(exponents_scale),
        cmocka_unit_test(thousands_are_separated_as_in_any_country),
        cmocka_unit_test(one_mark_may_be_a_decimal_one),
        cmocka_unit_test(currency_and_percent_are_signs_of_a_number),
        cmocka_unit_test(what_is_no_number_is_refused),
        cmocka_unit_test(long_numbers_keep_their_size),
        cmocka_unit_test(closeness_falls_with_the_distance),
        cmocka_unit_test(days_are_counted_from_1970),
        cmocka_unit_test(a_date_has_many_forms),
        cmocka_unit_test(a_time_may_follow),
        cmocka_unit_test(the_column_says_which_number_is_the_month),
        cmocka_unit_test(what_is_no_date_is_refused),
        cmocka_unit_test(a_column_tells_the_order_by_the_days_above_12),
        cmocka_unit_test(days_follow_each_other),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
