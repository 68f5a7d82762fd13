/* tests/linkage/test_profile.c — what a column holds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "linkage/linkage.h"
#include "tests/linkage/scratch.h"
#include "tests/support/alloc_fail.h"

static linkd_table *table_of(const char *text)
{
    const linkd_progress silent = {0};
    linkd_table *table = NULL;
    linkd_error err = {0};
    int rc;

    scratch_write_text("t.csv", text);
    rc = linkd_table_read("t.csv", LINKD_FORMAT_CSV, NULL, &silent, &table,
                          &err);
    assert_string_equal(err.message, "");
    assert_int_equal(rc, LINKD_OK);
    return table;
}

/* A table of an id and a column "x" whose cells are written as a format of the
 * row's number. */
static linkd_table *table_count(size_t n, const char *format, size_t factor,
                                size_t modulus)
{
    lk_buf text = {0};
    linkd_table *table;

    assert_int_equal(lk_buf_printf(&text, NULL, "id,x\n"), LINKD_OK);
    for (size_t i = 0; i < n; i++) {
        char cell[128];
        size_t number = i * factor % modulus;

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        (void)snprintf(cell, sizeof(cell), format, number);
#pragma GCC diagnostic pop
        assert_int_equal(lk_buf_printf(&text, NULL, "%zu,\"%s\"\n", i, cell),
                         LINKD_OK);
    }
    table = table_of(text.data);
    lk_buf_clear(&text);
    return table;
}

static linkd_column_profile profile_of(const linkd_table *table, size_t column)
{
    linkd_column_profile profile = {0};
    linkd_error err = {0};

    assert_int_equal(linkd_column_profile_make(table, column, &profile, &err),
                     LINKD_OK);
    return profile;
}

static void assert_holds(linkd_table *table, linkd_holds expected)
{
    linkd_column_profile profile = profile_of(table, 1);

    assert_string_equal(linkd_holds_words[profile.type],
                        linkd_holds_words[expected]);
    linkd_table_free(table);
}

static void assert_str(linkd_str text, const char *expected)
{
    assert_int_equal(text.len, strlen(expected));
    assert_memory_equal(text.bytes, expected, text.len);
}

static void a_profile_counts_what_is_there(void **state)
{
    linkd_table *table = table_of("id,who\n1,Ada Lovelace\n2,\n3,ada LOVELACE\n"
                                  "4, \n5,\xC3\x89mile Zola\n");
    linkd_column_profile p = profile_of(table, 1);

    (void)state;
    assert_str(p.name, "who");
    assert_int_equal(p.type, LINKD_HOLDS_NAME);
    assert_int_equal(p.n_rows, 5);
    assert_int_equal(p.n_filled, 3);
    assert_int_equal(p.n_distinct, 2);
    assert_true(p.mean_chars > 11.33 && p.mean_chars < 11.34);
    assert_true(p.mean_words == 2.0);
    assert_str(p.common, "Ada Lovelace");
    assert_int_equal(p.n_common, 2);
    linkd_table_free(table);
}

static void of_equally_common_values_the_first_is_named(void **state)
{
    linkd_table *table = table_of("id,x\n1,b\n2,a\n3,c\n4,a\n5,b\n");
    linkd_column_profile p = profile_of(table, 1);

    (void)state;
    assert_str(p.common, "b");
    assert_int_equal(p.n_common, 2);
    linkd_table_free(table);
}

static void values_without_a_word_are_told_apart_as_they_are(void **state)
{
    linkd_table *table = table_of("id,x\n1,!\n2,?\n3,!\n4,???\n");
    linkd_column_profile p = profile_of(table, 1);

    (void)state;
    assert_int_equal(p.n_filled, 4);
    assert_int_equal(p.n_distinct, 3);
    assert_true(p.mean_chars == 1.5);
    assert_true(p.mean_words == 0.0);
    assert_str(p.common, "!");
    linkd_table_free(table);
}

static void a_column_of_blanks_is_empty(void **state)
{
    linkd_table *table = table_of("id,x\n1,\n2, \n3,\xC2\xA0\n");
    linkd_column_profile p = profile_of(table, 1);

    (void)state;
    assert_int_equal(p.type, LINKD_HOLDS_EMPTY);
    assert_int_equal(p.n_rows, 3);
    assert_int_equal(p.n_filled, 0);
    assert_int_equal(p.n_distinct, 0);
    assert_int_equal(p.common.len, 0);
    assert_true(p.mean_chars == 0.0);
    linkd_table_free(table);
}

static void quantities_are_numbers(void **state)
{
    (void)state;
    assert_holds(table_count(200, "%zu", 37, 2026), LINKD_HOLDS_NUMBER);
    assert_holds(table_count(200, "19%02zu", 7, 100), LINKD_HOLDS_NUMBER);
    assert_holds(table_count(200, "$%zu.99", 77, 90000), LINKD_HOLDS_NUMBER);
    assert_holds(table_count(200, "1%zu,000", 7, 90), LINKD_HOLDS_NUMBER);
    /* few values: a quantity all the same */
    assert_holds(table_count(200, "%zu", 1, 5), LINKD_HOLDS_NUMBER);
    /* long, but measured */
    assert_holds(table_count(200, "-122.%06zu41550000001", 7919, 1000000),
                 LINKD_HOLDS_NUMBER);
    assert_holds(table_of("id,x\n1,5\n2,7\n3,n/a\n4,12\n5,9\n"),
                 LINKD_HOLDS_NUMBER);
    assert_holds(table_of("id,x\n1,5\n2,7\n3,n/a\n4,none\n5,9\n"),
                 LINKD_HOLDS_NAME);
}

static void numbers_that_measure_nothing_are_codes(void **state)
{
    (void)state;
    /* postcodes, telephones, social security numbers, EANs */
    assert_holds(table_count(200, "%05zu", 4567, 100000), LINKD_HOLDS_CODE);
    assert_holds(table_count(200, "9%04zu", 17, 10000), LINKD_HOLDS_CODE);
    assert_holds(table_count(200, "555%07zu", 7919, 10000000),
                 LINKD_HOLDS_CODE);
    assert_holds(table_count(200, "(020) 7946-%04zu", 31, 10000),
                 LINKD_HOLDS_CODE);
    assert_holds(table_count(200, "123-45-%04zu", 31, 10000), LINKD_HOLDS_CODE);
    assert_holds(table_count(200, "40063810%05zu", 31, 100000),
                 LINKD_HOLDS_CODE);
    /* zeros in front, in some */
    assert_holds(table_of("id,x\n1,042\n2,1234\n3,77\n"), LINKD_HOLDS_CODE);
}

static void letters_and_digits_are_codes(void **state)
{
    (void)state;
    assert_holds(table_count(200, "KX-TG%zuS", 31, 10000), LINKD_HOLDS_CODE);
    assert_holds(table_count(200, "SW%zuA 1AA", 1, 1000), LINKD_HOLDS_CODE);
    assert_holds(
        table_count(200, "550e8400-e29b-41d4-a716-44665544%04zu", 7, 10000),
        LINKD_HOLDS_CODE);
    assert_holds(table_count(200, "%zu Main Street", 7, 1000),
                 LINKD_HOLDS_NAME);
}

static void few_values_that_repeat_are_categories(void **state)
{
    (void)state;
    assert_holds(table_count(200, "class %zu of paper", 1, 50),
                 LINKD_HOLDS_CATEGORY);
    assert_holds(table_count(204, "class %zu of paper", 1, 51),
                 LINKD_HOLDS_NAME);
    /* the same two postcodes again and again */
    assert_holds(table_count(200, "1234%zu", 1, 2), LINKD_HOLDS_CATEGORY);
    /* each row twice is what tables with duplicates look like */
    assert_holds(table_count(60, "person %zu of many", 1, 30),
                 LINKD_HOLDS_NAME);
}

/* `n_slips` of 300 cells are spelt as no other. */
static linkd_table *table_with_slips(size_t n_slips)
{
    lk_buf text = {0};
    linkd_table *table;

    assert_int_equal(lk_buf_printf(&text, NULL, "id,x\n"), LINKD_OK);
    for (size_t i = 0; i < 300; i++) {
        const char *colour = i % 2 == 0 ? "red" : "blue";

        assert_int_equal(
            i < n_slips
                ? lk_buf_printf(&text, NULL, "%zu,%s%zu\n", i, colour, i)
                : lk_buf_printf(&text, NULL, "%zu,%s\n", i, colour),
            LINKD_OK);
    }
    table = table_of(text.data);
    lk_buf_clear(&text);
    return table;
}

static void a_slip_in_a_hundred_leaves_a_category(void **state)
{
    (void)state;
    assert_holds(table_with_slips(3), LINKD_HOLDS_CATEGORY);
    assert_holds(table_with_slips(4), LINKD_HOLDS_NAME);
}

static void length_tells_names_from_texts(void **state)
{
    (void)state;
    assert_holds(
        table_count(9, "%zu abcdefgh abcdefghi abcdefghi abcdefghi", 1, 9),
        LINKD_HOLDS_NAME);
    assert_holds(
        table_count(9, "%zu abcdefghi abcdefghi abcdefghij abcdefghi", 1, 9),
        LINKD_HOLDS_TEXT);
}

static void dates_have_a_range_and_an_order(void **state)
{
    linkd_table *table = table_of("id,x\n1,04/05/2001\n2,02/28/2001\n3,?\n"
                                  "4,03/01/2001\n5,12/31/2000\n");
    linkd_column_profile p = profile_of(table, 1);

    (void)state;
    assert_int_equal(p.type, LINKD_HOLDS_DATE);
    assert_true(p.month_first);
    assert_true(p.low == 11322.0);
    assert_true(p.high == 11417.0);
    assert_false(p.logarithmic);
    linkd_table_free(table);
    table = table_of("id,x\n1,04/05/2001\n2,28/02/2001\n");
    p = profile_of(table, 1);
    assert_int_equal(p.type, LINKD_HOLDS_DATE);
    assert_false(p.month_first);
    assert_true(p.low == 11381.0);
    assert_true(p.high == 11446.0);
    linkd_table_free(table);
    /* eight digits that are days are no code */
    assert_holds(table_count(28, "200102%02zu", 1, 29), LINKD_HOLDS_DATE);
}

static void numbers_have_percentiles_and_a_spread(void **state)
{
    linkd_table *table = table_count(101, "%zu", 37, 101);
    linkd_column_profile p = profile_of(table, 1);

    (void)state;
    assert_true(p.low == 5.0);
    assert_true(p.high == 95.0);
    assert_true(p.spread > 37.03 && p.spread < 37.04);
    assert_false(p.logarithmic); /* one is 0 */
    linkd_table_free(table);
    table = table_of("id,x\n1,1\n2,10\n3,100\n4,1000\n5,10.5\n");
    assert_true(profile_of(table, 1).logarithmic);
    linkd_table_free(table);
    table = table_of("id,x\n1,100\n2,110\n3,99\n4,180\n5,1.5e2\n");
    assert_false(profile_of(table, 1).logarithmic);
    linkd_table_free(table);
}

/* Quartiles alone would make any difference endless. */
static void a_value_that_most_rows_have_leaves_a_spread(void **state)
{
    linkd_table *table = table_of("id,x\n1,5\n2,5\n3,5\n4,5\n5,5\n6,5\n7,9\n");
    linkd_column_profile p = profile_of(table, 1);

    (void)state;
    assert_true(p.spread > 1.215 && p.spread < 1.216);
    linkd_table_free(table);
}

static void two_columns_are_profiled_as_one(void **state)
{
    linkd_table *left = table_of("id,a,b\n1,,Ada\n2,,Alan\n");
    linkd_table *right = table_of("id,c\n1,ADA\n2,Grace\n3,\n");
    const linkd_table *tables[2] = {left, right};
    size_t columns[2] = {2, 1};
    linkd_column_profile p;

    (void)state;
    assert_int_equal(linkd_field_profile_make(tables, columns, &p, NULL),
                     LINKD_OK);
    assert_str(p.name, "b");
    assert_int_equal(p.n_rows, 5);
    assert_int_equal(p.n_filled, 4);
    assert_int_equal(p.n_distinct, 3);
    assert_str(p.common, "Ada");
    columns[0] = LINKD_COLUMN_NONE;
    assert_int_equal(linkd_field_profile_make(tables, columns, &p, NULL),
                     LINKD_OK);
    assert_str(p.name, "c");
    assert_int_equal(p.n_rows, 3);
    assert_int_equal(p.n_filled, 2);
    linkd_table_free(left);
    linkd_table_free(right);
}

static void many_values_are_counted_exactly(void **state)
{
    linkd_table *table = table_count(20000, "%zu", 7919, 5003);
    linkd_column_profile p = profile_of(table, 1);

    (void)state;
    assert_int_equal(p.n_distinct, 5003);
    assert_int_equal(p.n_common, 4);
    assert_str(p.common, "0");
    linkd_table_free(table);
}

static void running_out_of_memory_is_an_error_at_every_point(void **state)
{
    linkd_table *table = table_count(100, "%zu.5", 1, 100);

    (void)state;
    for (size_t n = 1;; n++) {
        linkd_column_profile profile = {.n_rows = 42};
        int rc;

        alloc_fail_at(n);
        rc = linkd_column_profile_make(table, 1, &profile, NULL);
        if (!alloc_fail_off()) {
            assert_int_equal(rc, LINKD_OK);
            assert_true(n > 3);
            break;
        }
        assert_int_equal(rc, LINKD_E_NOMEM);
        assert_int_equal(profile.n_rows, 42);
    }
    linkd_table_free(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_profile_counts_what_is_there),
        cmocka_unit_test(of_equally_common_values_the_first_is_named),
        cmocka_unit_test(values_without_a_word_are_told_apart_as_they_are),
        cmocka_unit_test(a_column_of_blanks_is_empty),
        cmocka_unit_test(quantities_are_numbers),
        cmocka_unit_test(numbers_that_measure_nothing_are_codes),
        cmocka_unit_test(letters_and_digits_are_codes),
        cmocka_unit_test(few_values_that_repeat_are_categories),
        cmocka_unit_test(a_slip_in_a_hundred_leaves_a_category),
        cmocka_unit_test(length_tells_names_from_texts),
        cmocka_unit_test(dates_have_a_range_and_an_order),
        cmocka_unit_test(numbers_have_percentiles_and_a_spread),
        cmocka_unit_test(a_value_that_most_rows_have_leaves_a_spread),
        cmocka_unit_test(two_columns_are_profiled_as_one),
        cmocka_unit_test(many_values_are_counted_exactly),
        cmocka_unit_test(running_out_of_memory_is_an_error_at_every_point),
    };

    return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
