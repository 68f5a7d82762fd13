/* tests/linkage/test_features.c — the bytes that are known of a pair. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "linkage/evidence.h"
#include "linkage/likeness.h"
#include "tests/linkage/scratch.h"

typedef struct fixture {
    linkd_table *tables[2];
    lk_pool *pool;
    linkd_evidence *evidence;
    linkd_error err;
} fixture;

static int setup(void **state)
{
    static const linkd_column_pair columns[] = {{1, 1, 1}, {2, 2, 1}};
    linkd_evidence_options options = {.columns = columns,
                                      .n_columns = 2,
                                      .left_block = LINKD_COLUMN_NONE,
                                      .right_block = LINKD_COLUMN_NONE,
                                      .channels = LINKD_CHANNEL_ALL};
    fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    assert_int_equal(lk_pool_new(2, &f->pool, &f->err), LINKD_OK);
    scratch_write_text("l.csv", "id,name,year\n"
                                "1,anna maria schmidt,1901\n"
                                "2,berthold krause,1950\n"
                                "3,anna krause,\n");
    scratch_write_text("r.csv", "id,name,year\n"
                                "x,anna maria schmidt,1901\n"
                                "y,bertold krause,1952\n"
                                "z,anna maria weber,1933\n");
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(linkd_table_read(i == 0 ? "l.csv" : "r.csv",
                                          LINKD_FORMAT_CSV, "id", NULL,
                                          &f->tables[i], &f->err),
                         LINKD_OK);
    assert_int_equal(linkd_evidence_gather(f->tables[0], f->tables[1], NULL,
                                           f->pool, &options, NULL,
                                           &f->evidence, &f->err),
                     LINKD_OK);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;

    linkd_evidence_free(f->evidence);
    linkd_table_free(f->tables[0]);
    linkd_table_free(f->tables[1]);
    lk_pool_free(f->pool);
    free(f);
    return 0;
}

/* `a` is a left row, `b` a right one. */
static uint8_t value(const fixture *f, size_t a, size_t b, size_t field,
                     lk_comparator comparator)
{
    const lk_features *features = &f->evidence->features;
    size_t column = lk_feature_find(features, field, comparator);
    size_t pair = lk_pairset_find(&f->evidence->pairs, a, b + 3);

    assert_int_not_equal(column, SIZE_MAX);
    assert_int_not_equal(pair, SIZE_MAX);
    return features->values[pair * features->n + column];
}

static void equal_cells_are_one_in_every_comparator(void **state)
{
    fixture *f = *state;

    assert_int_equal(value(f, 0, 0, 0, LK_COMPARE_GRAM), LK_FEATURE_ONE);
    assert_int_equal(value(f, 0, 0, 0, LK_COMPARE_EXACT), LK_FEATURE_ONE);
    assert_int_equal(value(f, 0, 0, 1, LK_COMPARE_NUMBER), LK_FEATURE_ONE);
    assert_int_equal(value(f, 0, 0, LK_FIELD_RECORD, LK_COMPARE_SOFT),
                     LK_FEATURE_ONE);
}

static void a_typing_error_costs_little_and_is_not_exact(void **state)
{
    fixture *f = *state;
    uint8_t edit = value(f, 1, 1, 0, LK_COMPARE_EDIT);

    /* one letter of fifteen */
    assert_int_equal(edit, lk_feature_of(1.0F - 1.0F / 15.0F));
    assert_int_equal(value(f, 1, 1, 0, LK_COMPARE_EXACT), 0);
}

/* Absence is not difference: it has a byte of its own. */
static void an_empty_cell_is_missing(void **state)
{
    fixture *f = *state;

    assert_int_equal(value(f, 2, 2, 1, LK_COMPARE_NUMBER), LK_FEATURE_MISSING);
    assert_int_equal(value(f, 2, 2, 1, LK_COMPARE_EXACT), LK_FEATURE_MISSING);
    assert_int_not_equal(value(f, 2, 2, 0, LK_COMPARE_GRAM),
                         LK_FEATURE_MISSING);
}

static void numbers_that_are_near_are_alike(void **state)
{
    fixture *f = *state;
    uint8_t near = value(f, 1, 1, 1, LK_COMPARE_NUMBER);

    assert_in_range(near, 1, LK_FEATURE_ONE - 1);
    assert_true(value(f, 0, 2, 1, LK_COMPARE_NUMBER) < near);
}

/* A model without labels would learn from them how its seeds were chosen. */
static void evidence_has_no_rank(void **state)
{
    fixture *f = *state;

    assert_int_equal(lk_feature_find(&f->evidence->features, LK_FIELD_RECORD,
                                     LK_COMPARE_RANK),
                     SIZE_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(equal_cells_are_one_in_every_comparator,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(
            a_typing_error_costs_little_and_is_not_exact, setup, teardown),
        cmocka_unit_test_setup_teardown(an_empty_cell_is_missing, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(numbers_that_are_near_are_alike, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(evidence_has_no_rank, setup, teardown),
    };

    return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
