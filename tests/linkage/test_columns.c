#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
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

static void name_show(const linkd_table *table, size_t column, lk_buf *text)
{
    linkd_str name = {"-", 1};

    if (column != LINKD_COLUMN_NONE)
        name = linkd_table_column(table, column);
    assert_int_equal(
        lk_buf_printf(text, NULL, "%.*s", (int)name.len, name.bytes), LINKD_OK);
}

/* Asserts pairs written as "left=right left=-". */
static void assert_pairs(const char *left_text, const char *right_text,
                         const char *expected)
{
    linkd_table *left = table_of(left_text), *right = table_of(right_text);
    linkd_column_pair *pairs;
    size_t n_pairs;
    lk_buf text = {0};

    assert_int_equal(linkd_columns_pair(left, right, &pairs, &n_pairs, NULL),
                     LINKD_OK);
    for (size_t i = 0; i < n_pairs; i++) {
        assert_int_equal(lk_buf_append(&text, " ", i > 0 ? 1 : 0, NULL),
                         LINKD_OK);
        name_show(left, pairs[i].left, &text);
        assert_int_equal(lk_buf_append(&text, "=", 1, NULL), LINKD_OK);
        name_show(right, pairs[i].right, &text);
    }
    assert_string_equal(text.data != NULL ? text.data : "", expected);
    lk_buf_clear(&text);
    free(pairs);
    linkd_table_free(left);
    linkd_table_free(right);
}

static const char PEOPLE[] = "id,person,phone,born\n"
                             "1,Ada Lovelace,020 7946 0001,1815-12-10\n"
                             "2,Alan Turing,020 7946 0002,1912-06-23\n"
                             "3,Grace Hopper,020 7946 0003,1906-12-09\n";

static void equal_names_pair_whatever_they_hold(void **state)
{
    (void)state;
    assert_pairs("id,name,x\n1,abc,q\n2,abd,q\n",
                 "id, NAME ,y\n1,123,\n2,456,\n", "name= NAME  x=- -=y");
}

static void other_columns_pair_by_what_they_hold(void **state)
{
    (void)state;
    assert_pairs(PEOPLE,
                 "key,date,tel,who\n"
                 "x,1912-06-24,020 7946 0009,Alan M. Turing\n"
                 "y,1815-10-12,020 7946 0008,Lovelace Ada\n",
                 "person=who phone=tel born=date");
}

static void dates_pair_however_they_are_written(void **state)
{
    (void)state;
    assert_pairs("id,name,born\n1,Anna,1936-03-04\n2,Bo,1971-12-30\n",
                 "id,who,dob,shelf\n1,Anna,04.03.1936,A-1936\n"
                 "2,Bo,30.12.1971,B-1971\n",
                 "name=who born=dob -=shelf");
    assert_pairs("id,name,born\n1,Anna,1936-03-04\n2,Bo,1971-12-30\n",
                 "id,who,dob\n1,Anna,3/4/1936\n2,Bo,12/30/1971\n",
                 "name=who born=dob");
}

static void columns_without_a_counterpart_stand_alone(void **state)
{
    (void)state;
    assert_pairs(PEOPLE,
                 "key,title,phone\n"
                 "x,\xE6\x9D\xB1\xE4\xBA\xAC,020\n"
                 "y,\xE5\xA4\xA7\xE9\x98\xAA,030\n",
                 "person=- phone=phone born=- -=title");
}

static void id_columns_take_no_part(void **state)
{
    (void)state;
    assert_pairs("id,a\nk1,x\nk2,x\n", "id,b\nk1,x\nk2,x\n", "a=b");
    /* here the right table has no ids, so its "id" is a column like others */
    assert_pairs("id,a\nk1,x\nk2,x\n", "id,b\nx,9\nx,8\n", "a=id -=b");
}

static void a_text_column_takes_no_part(void **state)
{
    linkd_table *left = table_of("id,all,name\n1,ada bonn,ada\n2,alan,alan\n");
    linkd_table *right = table_of("id,all\n1,ada\n2,alan\n");
    linkd_column_pair *pairs;
    size_t n_pairs;

    (void)state;
    assert_int_equal(linkd_table_text_column(left), LINKD_COLUMN_NONE);
    linkd_table_set_text_column(left, 1);
    assert_int_equal(linkd_table_text_column(left), 1);
    assert_int_equal(linkd_columns_pair(left, right, &pairs, &n_pairs, NULL),
                     LINKD_OK);
    assert_int_equal(n_pairs, 1);
    assert_int_equal(pairs[0].left, 2);
    assert_int_equal(pairs[0].right, 1);
    free(pairs);
    linkd_table_free(left);
    linkd_table_free(right);
}

/* "lead" is most like "maker", but then "crew" would be left alone. */
static void ids_that_are_all_a_table_has_take_part(void **state)
{
    (void)state;
    assert_pairs("name\nada\nalan\n", "name\nalan\nada\n", "name=name");
    assert_pairs("name\nada\nalan\n", "id,who\n1,alan\n2,ada\n", "name=who");
    assert_pairs("id,who\n1,alan\n2,ada\n", "name\nada\nalan\n", "who=name");
}

static void pairs_are_chosen_by_the_greatest_sum(void **state)
{
    (void)state;
    assert_pairs("id,lead,crew\n1,aaaaa,aaaaa\n2,bbbbb,ccccc\n3,aaaaa,aaaaa\n",
                 "id,maker,cast\n1,aaaaa,bbbbb\n2,aaaaa,ddddd\n3,aaaaa,\n",
                 "lead=cast crew=maker");
}

static void empty_columns_look_like_nothing(void **state)
{
    (void)state;
    assert_pairs("id,a\n1,\n2,\n", "id,b\n1,\n2,\n", "a=- -=b");
}

static void a_pair_tells_how_alike_it_is(void **state)
{
    linkd_table *left = table_of("id,a,b\n1,x,hello\n2,y,world\n");
    linkd_table *right = table_of("id,a,c\n1,z,HELLO\n2,w,World \n");
    linkd_column_pair *pairs;
    size_t n_pairs;

    (void)state;
    assert_int_equal(linkd_columns_pair(left, right, &pairs, &n_pairs, NULL),
                     LINKD_OK);
    assert_int_equal(n_pairs, 2);
    assert_true(pairs[0].similarity == 1.0F);
    assert_true(pairs[1].similarity > 0.9999F);
    free(pairs);
    linkd_table_free(left);
    linkd_table_free(right);
}

static char *wide_table(const char *prefix, int n_columns)
{
    lk_buf text = {0};

    assert_int_equal(lk_buf_append(&text, "id", 2, NULL), LINKD_OK);
    for (int i = 0; i < n_columns; i++)
        assert_int_equal(lk_buf_printf(&text, NULL, ",%s%d", prefix, i),
                         LINKD_OK);
    assert_int_equal(lk_buf_append(&text, "\n1", 2, NULL), LINKD_OK);
    for (int i = 0; i < n_columns; i++)
        assert_int_equal(lk_buf_append(&text, ",same", 5, NULL), LINKD_OK);
    return text.data;
}

static void wide_tables_pair_by_name_and_compare_a_bounded_part(void **state)
{
    char *left_text = wide_table("l", 50000);
    char *right_text = wide_table("r", 50000);
    linkd_table *left = table_of(left_text), *right = table_of(right_text);
    linkd_column_pair *pairs;
    size_t n_pairs, n_joined = 0;

    (void)state;
    assert_int_equal(linkd_columns_pair(left, right, &pairs, &n_pairs, NULL),
                     LINKD_OK);
    for (size_t i = 0; i < n_pairs; i++)
        n_joined += pairs[i].left != LINKD_COLUMN_NONE &&
                    pairs[i].right != LINKD_COLUMN_NONE;
    assert_int_equal(n_joined, 256);
    assert_int_equal(n_pairs, 2 * 50000 - 256);
    free(pairs);
    assert_int_equal(linkd_columns_pair(left, left, &pairs, &n_pairs, NULL),
                     LINKD_OK);
    assert_int_equal(n_pairs, 50000);
    free(pairs);
    linkd_table_free(left);
    linkd_table_free(right);
    free(left_text);
    free(right_text);
}

static void running_out_of_memory_is_an_error_at_every_point(void **state)
{
    linkd_table *left = table_of(PEOPLE);
    linkd_table *right = table_of("key,who,phone\nx,Ada,1\ny,Alan,2\n");

    (void)state;
    for (size_t n = 1;; n++) {
        linkd_column_pair *pairs = NULL;
        size_t n_pairs;
        int rc;

        alloc_fail_at(n);
        rc = linkd_columns_pair(left, right, &pairs, &n_pairs, NULL);
        if (!alloc_fail_off()) {
            assert_int_equal(rc, LINKD_OK);
            assert_true(n > 12);
            free(pairs);
            break;
        }
        assert_int_equal(rc, LINKD_E_NOMEM);
        assert_null(pairs);
    }
    linkd_table_free(left);
    linkd_table_free(right);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_names_pair_whatever_they_hold),
        cmocka_unit_test(other_columns_pair_by_what_they_hold),
        cmocka_unit_test(dates_pair_however_they_are_written),
        cmocka_unit_test(columns_without_a_counterpart_stand_alone),
        cmocka_unit_test(id_columns_take_no_part),
        cmocka_unit_test(a_text_column_takes_no_part),
        cmocka_unit_test(ids_that_are_all_a_table_has_take_part),
        cmocka_unit_test(pairs_are_chosen_by_the_greatest_sum),
        cmocka_unit_test(empty_columns_look_like_nothing),
        cmocka_unit_test(a_pair_tells_how_alike_it_is),
        cmocka_unit_test(wide_tables_pair_by_name_and_compare_a_bounded_part),
        cmocka_unit_test(running_out_of_memory_is_an_error_at_every_point),
    };

    return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
