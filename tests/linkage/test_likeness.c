/* tests/linkage/test_likeness.c — what is averaged, and how exactly. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "linkage/likeness.h"
#include "tests/support/alloc_fail.h"

static lk_feature list[] = {
    {0, LK_COMPARE_GRAM},
    {LK_FIELD_RECORD, LK_COMPARE_SOFT},
    {0, LK_COMPARE_EVIDENCE},
    {0, LK_COMPARE_EDIT},
    {1, LK_COMPARE_DENSE},
    {0, LK_COMPARE_EXACT},
    {LK_FIELD_RECORD, LK_COMPARE_CODE},
};

static const lk_features features = {.features = list, .n = 7};

static void fields_are_listed_with_their_bounded_comparators(void **state)
{
    lk_likeness *likeness = NULL;
    size_t n = 0;

    (void)state;
    assert_int_equal(lk_likeness_list(&features, &likeness, &n, NULL),
                     LINKD_OK);
    assert_int_equal(n, 2);
    assert_int_equal(likeness[0].field, 0);
    assert_int_equal(likeness[0].n_columns, 3);
    assert_int_equal(likeness[0].columns[0], 0);
    assert_int_equal(likeness[0].columns[1], 3);
    assert_int_equal(likeness[0].columns[2], 5);
    assert_true(likeness[1].field == LK_FIELD_RECORD);
    assert_int_equal(likeness[1].n_columns, 1);
    assert_int_equal(likeness[1].columns[0], 1);
    free(likeness);
}

static void what_is_missing_is_no_part_of_the_mean(void **state)
{
    static const lk_likeness likeness = {.n_columns = 3, .columns = {0, 1, 2}};
    static const uint8_t all[] = {254, 0, 101};
    static const uint8_t two[] = {254, LK_FEATURE_MISSING, 101};
    static const uint8_t none[] = {LK_FEATURE_MISSING, LK_FEATURE_MISSING,
                                   LK_FEATURE_MISSING};
    static const uint8_t same[] = {254, 254, 254};

    (void)state;
    assert_int_equal(lk_likeness_of(&likeness, all), 355 * 20);
    assert_int_equal(lk_likeness_of(&likeness, two), 355 * 30);
    assert_int_equal(lk_likeness_of(&likeness, none), LK_LIKENESS_MISSING);
    assert_int_equal(lk_likeness_of(&likeness, same), LK_LIKENESS_ONE);
}

static void a_feature_is_found_by_field_and_comparator(void **state)
{
    (void)state;
    assert_int_equal(
        lk_feature_find(&features, LK_FIELD_RECORD, LK_COMPARE_CODE), 6);
    assert_int_equal(lk_feature_find(&features, 0, LK_COMPARE_EDIT), 3);
    assert_true(lk_feature_find(&features, 1, LK_COMPARE_EDIT) == SIZE_MAX);
}

static void memory_that_runs_out_is_reported(void **state)
{
    lk_likeness *likeness = NULL;
    size_t n = 0;
    linkd_error err;
    int rc;

    (void)state;
    alloc_fail_at(1);
    rc = lk_likeness_list(&features, &likeness, &n, &err);
    assert_true(alloc_fail_off());
    assert_int_equal(rc, LINKD_E_NOMEM);
    assert_null(likeness);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_are_listed_with_their_bounded_comparators),
        cmocka_unit_test(what_is_missing_is_no_part_of_the_mean),
        cmocka_unit_test(a_feature_is_found_by_field_and_comparator),
        cmocka_unit_test(memory_that_runs_out_is_reported),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
