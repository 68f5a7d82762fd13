#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "linkage/texts.h"
#include "tests/linkage/scratch.h"
#include "tests/support/alloc_fail.h"

static void assert_words(const char *cell, const char *expected)
{
    lk_buf words = {0};
    linkd_error err = {0};

    assert_int_equal(
        lk_words_append((linkd_str){cell, strlen(cell)}, &words, &err),
        LINKD_OK);
    assert_string_equal(words.data, expected);
    assert_int_equal(words.len, strlen(expected));
    lk_buf_clear(&words);
}

static void ascii_is_lower_case_words_with_one_space_between(void **state)
{
    (void)state;
    assert_words("Sony PSLX350H", "sony pslx350h");
    assert_words("  O'Brien & Sons,\tLtd.  ", "o brien sons ltd");
    assert_words("Z[a`z{@/:9", "z a z 9");
}

static void what_holds_no_letter_or_digit_has_no_words(void **state)
{
    (void)state;
    assert_words("", "");
    assert_words("-- ... --", "");
    assert_words("\xE2\x80\x94\xE3\x80\x80", ""); /* dash, wide space */
    assert_words("\xCC\x81", "");                 /* a mark alone */
}

/* A mark may stand by itself or in its letter, and case is more than a-z. */
static void marks_and_case_do_not_tell_words_apart(void **state)
{
    (void)state;
    assert_words("M\xC3\xBCller", "muller");
    assert_words("Mu\xCC\x88ller", "muller");
    assert_words("STRASSE Stra\xC3\x9F"
                 "e",
                 "strasse strasse");
    assert_words("\xC4\xB0stanbul", "istanbul");
    /* sigma within and at the end of a word */
    assert_words("\xCE\xA3\xCE\xA3", "\xCF\x83\xCF\x83");
    assert_words("\xCF\x82", "\xCF\x83");
}

static void compatibility_forms_become_what_they_stand_for(void **state)
{
    (void)state;
    assert_words("\xEF\xBC\xAD\xEF\xBC\x91", "m1"); /* full width M1 */
    assert_words("m\xC2\xB2", "m2");
    assert_words("\xEF\xAC\x81n", "fin");            /* ligature fi */
    assert_words("\xF0\x9D\x90\x80", "a");           /* bold A */
    assert_words("\xE3\x88\xB1x", "\xE6\xA0\xAA x"); /* (stock) in brackets */
    assert_words("1\xC2\xBD", "11 2");               /* 1/2 in one character */
    assert_words("\xEF\xB7\xBA"
                 "a",
                 "\xD8\xB5\xD9\x84\xD9\x89 "
                 "\xD8\xA7\xD9\x84\xD9\x84\xD9\x87 "
                 "\xD8\xB9\xD9\x84\xD9\x8A\xD9\x87 "
                 "\xD9\x88\xD8\xB3\xD9\x84\xD9\x85"
                 "a"); /* the longest there is */
}

static void letters_and_digits_of_other_scripts_stay(void **state)
{
    (void)state;
    /* Tokyo tower in kanji and katakana; the voicing mark is a mark */
    assert_words(
        "\xE6\x9D\xB1\xE4\xBA\xAC\xE3\x82\xBF\xE3\x83\xAF\xE3\x83\xBC",
        "\xE6\x9D\xB1\xE4\xBA\xAC\xE3\x82\xBF\xE3\x83\xAF\xE3\x83\xBC");
    assert_words("\xE3\x81\x8C", "\xE3\x81\x8B");
    /* Hebrew with a point under the letter and a maqaf between words */
    assert_words("\xD7\xA9\xD6\xB8\xD7\x9C\xD6\xBE\xD7\x9D",
                 "\xD7\xA9\xD7\x9C \xD7\x9D");
    assert_words("\xD9\xA3\xD9\xA4", "\xD9\xA3\xD9\xA4"); /* Arabic digits */
    assert_words("\xF0\xA0\xAE\xB7", "\xF0\xA0\xAE\xB7"); /* beyond 16 bits */
}

static void words_are_appended_behind_a_space(void **state)
{
    lk_buf words = {0};

    (void)state;
    assert_int_equal(lk_words_append((linkd_str){"-", 1}, &words, NULL),
                     LINKD_OK);
    assert_int_equal(lk_words_append((linkd_str){"A-", 2}, &words, NULL),
                     LINKD_OK);
    assert_int_equal(lk_words_append((linkd_str){"", 0}, &words, NULL),
                     LINKD_OK);
    assert_int_equal(lk_words_append((linkd_str){" b", 2}, &words, NULL),
                     LINKD_OK);
    assert_string_equal(words.data, "a b");
    lk_buf_clear(&words);
}

/* The collecting piece is smaller than the cell, and characters straddle it. */
static void a_long_cell_is_not_cut(void **state)
{
    static char cell[9000];
    lk_buf words = {0};

    (void)state;
    for (size_t i = 0; i < sizeof(cell); i += 3)
        memcpy(cell + i, i % 2 == 0 ? "\xE6\x9D\xB1" : "X-y", 3);
    assert_int_equal(
        lk_words_append((linkd_str){cell, sizeof(cell)}, &words, NULL),
        LINKD_OK);
    assert_int_equal(words.len, sizeof(cell));
    for (size_t i = 0; i < sizeof(cell); i += 3)
        assert_memory_equal(words.data + i, i % 2 == 0 ? "\xE6\x9D\xB1" : "x y",
                            3);
    lk_buf_clear(&words);
}

static void bytes_that_are_no_characters_split(void **state)
{
    (void)state;
    assert_words("a\xFF"
                 "b\xE6\x9D",
                 "a b");
}

/* ---- tables --------------------------------------------------------------- */

static linkd_table *table_of(const char *path, const char *text)
{
    const linkd_progress silent = {0};
    linkd_table *table = NULL;

    scratch_write_text(path, text);
    assert_int_equal(
        linkd_table_read(path, LINKD_FORMAT_AUTO, "id", &silent, &table, NULL),
        LINKD_OK);
    return table;
}

static void assert_record(const lk_texts *texts, size_t record,
                          const char *expected)
{
    linkd_str text = lk_texts_get(texts, record);

    assert_int_equal(text.len, strlen(expected));
    assert_memory_equal(text.bytes, expected, text.len);
}

static void records_of_both_tables_hold_the_words_of_their_columns(void **state)
{
    linkd_table *left =
        table_of("l.jsonl", "{\"id\":1,\"a\":\"Ann\",\"b\":2.5}\n"
                            "{\"id\":2,\"a\":null}\n"
                            "{\"id\":3,\"a\":\"--\",\"b\":\"Bo\"}\n");
    linkd_table *right = table_of("r.csv", "id,n\n7,X Y\n");
    const size_t left_columns[] = {1, 2};
    const size_t right_columns[] = {1};
    lk_texts_source source = {
        {left, right}, {left_columns, right_columns}, {2, 1}};
    lk_texts texts = {0};
    lk_pool *pool = NULL;

    (void)state;
    assert_int_equal(lk_pool_new(1, &pool, NULL), LINKD_OK);
    assert_int_equal(lk_texts_make(&source, pool, &texts, NULL), LINKD_OK);
    assert_int_equal(texts.n, 4);
    assert_int_equal(texts.n_left, 3);
    assert_record(&texts, 0, "ann 2 5");
    assert_record(&texts, 1, "");
    assert_record(&texts, 2, "bo");
    assert_record(&texts, 3, "x y");
    lk_texts_clear(&texts);
    lk_pool_free(pool);
    linkd_table_free(right);
    linkd_table_free(left);
}

static linkd_table *large_table(size_t n)
{
    lk_buf text = {0};
    linkd_table *table;

    assert_int_equal(lk_buf_printf(&text, NULL, "id,n\n"), LINKD_OK);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(
            lk_buf_printf(&text, NULL, "%zu,N\xC3\xB6 %zu\n", i, i), LINKD_OK);
    table = table_of("large.csv", text.data);
    lk_buf_clear(&text);
    return table;
}

static void the_number_of_workers_changes_nothing(void **state)
{
    enum { N = 5000 };

    linkd_table *table = large_table(N);
    const size_t columns[] = {1};
    lk_texts_source source = {{table, NULL}, {columns, NULL}, {1, 0}};
    char expected[32];

    (void)state;
    for (size_t n_workers = 1; n_workers <= 3; n_workers++) {
        lk_texts texts = {0};
        lk_pool *pool = NULL;

        assert_int_equal(lk_pool_new(n_workers, &pool, NULL), LINKD_OK);
        assert_int_equal(lk_texts_make(&source, pool, &texts, NULL), LINKD_OK);
        assert_int_equal(texts.n, N);
        assert_int_equal(texts.n_left, N);
        for (size_t i = 0; i < N; i++) {
            (void)snprintf(expected, sizeof(expected), "no %zu", i);
            assert_record(&texts, i, expected);
        }
        lk_texts_clear(&texts);
        lk_pool_free(pool);
    }
    linkd_table_free(table);
}

static void running_out_of_memory_is_an_error_at_every_point(void **state)
{
    linkd_table *table = large_table(2000);
    const size_t columns[] = {1};
    lk_texts_source source = {{table, NULL}, {columns, NULL}, {1, 0}};
    lk_pool *pool = NULL;

    (void)state;
    assert_int_equal(lk_pool_new(1, &pool, NULL), LINKD_OK);
    for (size_t n = 1;; n++) {
        lk_texts texts = {0};
        linkd_error err = {0};
        int rc;

        alloc_fail_at(n);
        rc = lk_texts_make(&source, pool, &texts, &err);
        if (!alloc_fail_off()) {
            assert_int_equal(rc, LINKD_OK);
            assert_true(n > 4);
            lk_texts_clear(&texts);
            break;
        }
        assert_int_equal(rc, LINKD_E_NOMEM);
        assert_int_equal(err.code, LINKD_E_NOMEM);
        assert_null(texts.bytes);
    }
    lk_pool_free(pool);
    linkd_table_free(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ascii_is_lower_case_words_with_one_space_between),
        cmocka_unit_test(what_holds_no_letter_or_digit_has_no_words),
        cmocka_unit_test(marks_and_case_do_not_tell_words_apart),
        cmocka_unit_test(compatibility_forms_become_what_they_stand_for),
        cmocka_unit_test(letters_and_digits_of_other_scripts_stay),
        cmocka_unit_test(words_are_appended_behind_a_space),
        cmocka_unit_test(a_long_cell_is_not_cut),
        cmocka_unit_test(bytes_that_are_no_characters_split),
        cmocka_unit_test(
            records_of_both_tables_hold_the_words_of_their_columns),
        cmocka_unit_test(the_number_of_workers_changes_nothing),
        cmocka_unit_test(running_out_of_memory_is_an_error_at_every_point),
    };

    return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
