/* tests/cli/test_grid.c — a table for people. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/grid.h"

/* Prints a grid of these cells and compares the text. */
static void assert_grid(lk_grid *grid, const char *const *cells, size_t n,
                        const char *wanted)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    linkd_error err = {0};

    assert_int_equal(lk_grid_printf(grid, &err, "%s", cells[0]), LINKD_OK);
    assert_int_equal(lk_grid_row(grid, cells + 1, n - 1, &err), LINKD_OK);
    lk_grid_print(grid, out);
    assert_int_equal(fclose(out), 0);
    assert_string_equal(text, wanted);
    free(text);
    lk_grid_clear(grid);
}

static void columns_line_up_and_numbers_stand_right(void **state)
{
    static const char *const cells[] = {"N",    "NAME", "CITY", "10", "a",
                                        "Bonn", "9",    "long", "Rom"};
    lk_grid grid = {.n_columns = 3, .is_right = {true}};
    (void)state;

    assert_grid(&grid, cells, 9,
                " N  NAME  CITY\n"
                "10  a     Bonn\n"
                " 9  long  Rom\n");
}

static void a_character_of_many_bytes_is_one_wide(void **state)
{
    static const char *const cells[] = {"M\xc3\xbcnchen", "x", "Koblenz", "y"};
    lk_grid grid = {.n_columns = 2};
    (void)state;

    assert_grid(&grid, cells, 4, "M\xc3\xbcnchen  x\nKoblenz  y\n");
}

static void empty_cells_at_the_end_leave_no_blanks(void **state)
{
    static const char *const cells[] = {"a", "b", "c", "", "", ""};
    lk_grid grid = {.n_columns = 2};
    (void)state;

    assert_grid(&grid, cells, 6, "a  b\nc\n\n");
}

/* A terminal obeys control characters: data must not reach it with them. */
static void control_characters_become_blanks(void **state)
{
    static const char *const cells[] = {"a\033[2Jb\n"};
    lk_grid grid = {.n_columns = 1};
    (void)state;

    assert_grid(&grid, cells, 1, "a [2Jb \n");
}

static void a_long_cell_is_cut_at_a_whole_character(void **state)
{
    static const char *const cells[] = {
        "\xc3\xa4\xc3\xb6\xc3\xbc\xc3\x9f\xc3\xa9"
        "x",
        "12345"};
    lk_grid grid = {.n_columns = 1, .cell_max = 5};
    (void)state;

    assert_grid(&grid, cells, 2, "\xc3\xa4\xc3\xb6...\n12345\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_line_up_and_numbers_stand_right),
        cmocka_unit_test(a_character_of_many_bytes_is_one_wide),
        cmocka_unit_test(empty_cells_at_the_end_leave_no_blanks),
        cmocka_unit_test(control_characters_become_blanks),
        cmocka_unit_test(a_long_cell_is_cut_at_a_whole_character),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
