/* tests/linkage/test_keep.c — the row that stands for an entity. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "linkage/linkage.h"
#include "tests/linkage/scratch.h"
#include "tests/support/alloc_fail.h"

enum { N_ENTITIES = 3 };

/* Entity 0: rows 0, 2, 3; entity 1: row 1; entity 2: rows 4, 5. */
static const size_t entities[] = {0, 1, 0, 0, 2, 2};

static linkd_table *table_make(void)
{
    linkd_table *table = NULL;

    scratch_write_text("table.csv", "id,name,city\n"
                                    "0,ann,\n"
                                    "1,,\n"
                                    "2,ann b smithson the elder,    \n"
                                    "3,ann b,york\n"
                                    "4,bo,oslo\n"
                                    "5,bo,oslo\n");
    assert_int_equal(linkd_table_read("table.csv", LINKD_FORMAT_CSV, "id", NULL,
                                      &table, NULL),
                     LINKD_OK);
    return table;
}

static void assert_kept(linkd_keep keep, size_t a, size_t b, size_t c)
{
    linkd_table *table = table_make();
    size_t *rows = NULL;

    assert_int_equal(
        linkd_entities_keep(table, entities, N_ENTITIES, keep, &rows, NULL),
        LINKD_OK);
    assert_int_equal(rows[0], a);
    assert_int_equal(rows[1], b);
    assert_int_equal(rows[2], c);
    free(rows);
    linkd_table_free(table);
}

static void the_first_row_is_kept(void **state)
{
    (void)state;
    assert_kept(LINKD_KEEP_FIRST, 0, 1, 4);
}

/* Blanks fill no cell; of equal rows the first is kept. */
static void the_row_with_most_cells_is_kept(void **state)
{
    (void)state;
    assert_kept(LINKD_KEEP_COMPLETE, 3, 1, 4);
}

static void the_row_with_most_text_is_kept(void **state)
{
    (void)state;
    assert_kept(LINKD_KEEP_LONGEST, 2, 1, 4);
}

static void memory_that_runs_out_is_reported(void **state)
{
    linkd_table *table = table_make();
    size_t *rows = NULL;

    (void)state;
    for (size_t nth = 1;; nth++) {
        int rc;

        alloc_fail_at(nth);
        rc = linkd_entities_keep(table, entities, N_ENTITIES,
                                 LINKD_KEEP_COMPLETE, &rows, NULL);
        if (!alloc_fail_off()) {
            assert_int_equal(rc, LINKD_OK);
            break;
        }
        assert_int_equal(rc, LINKD_E_NOMEM);
        assert_null(rows);
    }
    free(rows);
    linkd_table_free(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_row_is_kept),
        cmocka_unit_test(the_row_with_most_cells_is_kept),
        cmocka_unit_test(the_row_with_most_text_is_kept),
        cmocka_unit_test(memory_that_runs_out_is_reported),
    };

    return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
