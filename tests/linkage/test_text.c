#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "linkage/linkage.h"
#include "linkage/text.h"
#include "tests/support/alloc_fail.h"

static linkd_cell cell_of(const char *text, linkd_cell_kind kind)
{
    return (linkd_cell){text, (uint32_t)strlen(text), kind};
}

static const size_t FIRST_THREE[] = {0, 1, 2};

static void filled_cells_are_joined_in_the_columns_order(void **state)
{
    const linkd_cell cells[] = {cell_of("a", LINKD_CELL_TEXT),
                                cell_of("b", LINKD_CELL_TEXT),
                                cell_of("7.50", LINKD_CELL_LITERAL)};
    const size_t columns[] = {2, 0};
    lk_buf text = {0};

    (void)state;
    assert_int_equal(linkd_record_text(cells, 3, columns, 2, &text, NULL),
                     LINKD_OK);
    assert_string_equal(text.data, "7.50, a");
    lk_buf_clear(&text);
}

static void cells_without_text_leave_no_trace(void **state)
{
    const linkd_cell cells[] = {cell_of(" \t\r\n", LINKD_CELL_TEXT),
                                cell_of("", LINKD_CELL_MISSING),
                                cell_of("  x y\n", LINKD_CELL_TEXT)};
    lk_buf text = {0};

    (void)state;
    assert_int_equal(linkd_record_text(cells, 3, FIRST_THREE, 3, &text, NULL),
                     LINKD_OK);
    assert_string_equal(text.data, "x y");
    lk_buf_clear(&text);
}

static void assert_trims(const char *text, const char *expected)
{
    linkd_str trimmed = lk_str_trim((linkd_str){text, strlen(text)});

    assert_int_equal(trimmed.len, strlen(expected));
    assert_memory_equal(trimmed.bytes, expected, trimmed.len);
}

/* No-break space, ideographic space, zero-width space, joiners, BOM: cells of
 * these alone looked alike to the encoder. */
static void blanks_of_any_script_are_trimmed(void **state)
{
    static const char *const blanks[] = {" ",
                                         "\t",
                                         "\r\n",
                                         "\xC2\xA0",
                                         "\xC2\x85",
                                         "\xC2\xAD",
                                         "\xE1\x9A\x80",
                                         "\xE2\x80\x80",
                                         "\xE2\x80\x8A",
                                         "\xE2\x80\x8B",
                                         "\xE2\x80\x8D",
                                         "\xE2\x80\xA8",
                                         "\xE2\x80\xAF",
                                         "\xE2\x81\xA0",
                                         "\xE3\x80\x80",
                                         "\xEF\xBB\xBF"};

    (void)state;
    for (size_t i = 0; i < sizeof(blanks) / sizeof(blanks[0]); i++) {
        char text[32];

        assert_trims(blanks[i], "");
        (void)snprintf(text, sizeof(text), "%s\xC3\xA9%sx%s%s", blanks[i],
                       blanks[i], blanks[i], blanks[i]);
        text[strlen(text) - 2 * strlen(blanks[i])] = '\0';
        assert_trims(text, text + strlen(blanks[i]));
        (void)snprintf(text, sizeof(text), "\xF0\x9D\x84\x9E%s%s", blanks[i],
                       blanks[i]);
        assert_trims(text, "\xF0\x9D\x84\x9E");
    }
    assert_trims("\xE2\x80\x90", "\xE2\x80\x90"); /* a hyphen */
    assert_trims("\xE3\x80\x81", "\xE3\x80\x81"); /* a comma */
}

static void an_empty_record_appends_nothing(void **state)
{
    const linkd_cell cells[] = {cell_of("", LINKD_CELL_TEXT)};
    lk_buf text = {0};

    (void)state;
    assert_int_equal(lk_buf_append(&text, "before", 6, NULL), LINKD_OK);
    assert_int_equal(linkd_record_text(cells, 1, FIRST_THREE, 1, &text, NULL),
                     LINKD_OK);
    assert_string_equal(text.data, "before");
    lk_buf_clear(&text);
}

static void columns_behind_the_records_end_are_missing(void **state)
{
    const linkd_cell cells[] = {cell_of("a", LINKD_CELL_TEXT)};
    lk_buf text = {0};

    (void)state;
    assert_int_equal(linkd_record_text(cells, 1, FIRST_THREE, 3, &text, NULL),
                     LINKD_OK);
    assert_string_equal(text.data, "a");
    lk_buf_clear(&text);
}

static void a_text_that_finds_no_memory_is_an_error(void **state)
{
    const linkd_cell cells[] = {cell_of("a", LINKD_CELL_TEXT)};
    lk_buf text = {0};

    (void)state;
    alloc_fail_at(1);
    assert_int_equal(linkd_record_text(cells, 1, FIRST_THREE, 1, &text, NULL),
                     LINKD_E_NOMEM);
    assert_true(alloc_fail_off());
    lk_buf_clear(&text);
}

/* ---- labels ------------------------------------------------------------- */

static void a_long_label_is_cut_at_a_whole_character(void **state)
{
    char bytes[200];
    lk_label label;

    (void)state;
    for (size_t i = 0; i < sizeof(bytes); i += 2)
        memcpy(bytes + i, "\xC3\xA9", 2);
    label = lk_label_of((linkd_str){bytes, sizeof(bytes)});
    assert_int_equal(strlen(label.text), 63);
    assert_memory_equal(label.text + 58, "\xC3\xA9...", 6);
    label = lk_label_of((linkd_str){bytes + 1, sizeof(bytes) - 1});
    assert_int_equal(strlen(label.text), 62);
    assert_memory_equal(label.text + 57, "\xC3\xA9...", 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(filled_cells_are_joined_in_the_columns_order),
        cmocka_unit_test(cells_without_text_leave_no_trace),
        cmocka_unit_test(blanks_of_any_script_are_trimmed),
        cmocka_unit_test(an_empty_record_appends_nothing),
        cmocka_unit_test(columns_behind_the_records_end_are_missing),
        cmocka_unit_test(a_text_that_finds_no_memory_is_an_error),
        cmocka_unit_test(a_long_label_is_cut_at_a_whole_character),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
