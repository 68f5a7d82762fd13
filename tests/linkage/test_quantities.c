/* tests/linkage/test_quantities.c — prices, years and dates of small tables. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "linkage/quantities.h"
#include "linkage/similarity.h"
#include "tests/linkage/scratch.h"
#include "tests/support/alloc_fail.h"

typedef struct fixture {
    linkd_table *tables[2];
    lk_field field;
    lk_quantities quantities;
    linkd_error err;
} fixture;

static linkd_table *table_read(const char *text)
{
    linkd_table *table = NULL;
    linkd_error err = {0};

    scratch_write_text("table.csv", text);
    assert_int_equal(linkd_table_read("table.csv", LINKD_FORMAT_CSV, "id", NULL,
                                      &table, &err),
                     LINKD_OK);
    return table;
}

/* The columns have different places on the two sides. */
static int setup(void **state)
{
    fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    f->tables[0] = table_read("id,amount,day\n"
                              "0,$10.00,03/04/2001\n"
                              "1, 20 ,04/04/2001\n"
                              "2,many,soon\n"
                              "3,,\n");
    f->tables[1] = table_read("id,name,amount,day\n"
                              "0,a,30,2001-03-05\n"
                              "1,b,40,2001-03-04\n");
    f->field =
        (lk_field){.columns = {1, 2},
                   .profile = {.type = LINKD_HOLDS_NUMBER, .spread = 40.0}};
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;

    lk_quantities_clear(&f->quantities);
    linkd_table_free(f->tables[1]);
    linkd_table_free(f->tables[0]);
    free(f);
    return 0;
}

static int make(fixture *f)
{
    const linkd_table *tables[2] = {f->tables[0], f->tables[1]};

    return lk_quantities_make(tables, &f->field, &f->quantities, &f->err);
}

static void distances_are_measured_in_quarters_of_the_spread(void **state)
{
    fixture *f = *state;

    assert_int_equal(make(f), LINKD_OK);
    assert_float_equal(f->quantities.width, 10.0, 0.0);
    assert_float_equal(lk_quantities_closeness(&f->quantities, 0, 1),
                       expf(-1.0F), 1e-6F);
    assert_float_equal(lk_quantities_closeness(&f->quantities, 0, 4),
                       expf(-2.0F), 1e-6F);
    assert_float_equal(lk_quantities_closeness(&f->quantities, 5, 5), 1.0F,
                       0.0F);
}

static void what_is_no_number_is_missing(void **state)
{
    fixture *f = *state;

    assert_int_equal(make(f), LINKD_OK);
    assert_true(isnan(lk_quantities_closeness(&f->quantities, 0, 2)));
    assert_true(isnan(lk_quantities_closeness(&f->quantities, 3, 4)));
    assert_true(isnan(lk_quantities_closeness(&f->quantities, 3, 3)));
}

/* Logarithms of 10, 20, 30, 40: the quartiles are those of 20 and 40. */
static void wide_ranges_are_compared_by_their_logarithms(void **state)
{
    fixture *f = *state;
    double width = 0.25 * (log(40.0) - log(20.0)) / 1.35;

    f->field.profile.logarithmic = true;
    assert_int_equal(make(f), LINKD_OK);
    assert_float_equal(f->quantities.width, width, 1e-12);
    assert_float_equal(lk_quantities_closeness(&f->quantities, 0, 1),
                       exp(-log(2.0) / width), 1e-6);
    assert_true(isnan(f->quantities.values[2]));
}

/* 4 March, read month first, is a day before 5 March. */
static void dates_are_compared_by_days(void **state)
{
    fixture *f = *state;

    f->field = (lk_field){.columns = {2, 3},
                          .profile = {.type = LINKD_HOLDS_DATE,
                                      .spread = 8.0,
                                      .month_first = true}};
    assert_int_equal(make(f), LINKD_OK);
    assert_float_equal(lk_quantities_closeness(&f->quantities, 0, 4),
                       expf(-0.5F), 1e-6F);
    assert_float_equal(lk_quantities_closeness(&f->quantities, 0, 5), 1.0F,
                       0.0F);
    assert_true(isnan(lk_quantities_closeness(&f->quantities, 0, 2)));
}

static void one_table_is_its_own_other_side(void **state)
{
    fixture *f = *state;
    const linkd_table *tables[2] = {f->tables[0], NULL};

    f->field.columns[1] = 1;
    assert_int_equal(
        lk_quantities_make(tables, &f->field, &f->quantities, &f->err),
        LINKD_OK);
    assert_float_equal(lk_quantities_closeness(&f->quantities, 0, 1),
                       expf(-1.0F), 1e-6F);
}

static void memory_that_runs_out_is_reported(void **state)
{
    fixture *f = *state;

    f->field.profile.logarithmic = true;
    for (size_t nth = 1;; nth++) {
        int rc;

        alloc_fail_at(nth);
        rc = make(f);
        if (!alloc_fail_off())
            break;
        assert_int_equal(rc, LINKD_E_NOMEM);
        assert_null(f->quantities.values);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(distances_are_measured_in_quarters_of_the_spread),
        TEST(what_is_no_number_is_missing),
        TEST(wide_ranges_are_compared_by_their_logarithms),
        TEST(dates_are_compared_by_days),
        TEST(one_table_is_its_own_other_side),
        TEST(memory_that_runs_out_is_reported),
    };

    return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
