#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>

#include "cli/survey.h"
#include "tests/cli/scratch_dir.h"

#define N_SLOTS 64 /* room for 32 fingerprints: many passes */

/* Rows with the ids first … first + n - 1 behind those already there. */
static void ids_append(const char *path, const char *mode, int first, int n)
{
    FILE *file = fopen(path, mode);

    assert_non_null(file);
    if (*mode == 'w')
        (void)fputs("key,name\n", file);
    for (int i = first; i < first + n; i++)
        (void)fprintf(file, "k%d,somebody\n", i);
    (void)fclose(file);
}

static int survey(const char *path, const char *id, lk_survey *ret_survey,
                  linkd_error *err)
{
    return lk_survey_file(path, LINKD_FORMAT_AUTO, id, N_SLOTS, NULL,
                          ret_survey, err);
}

static void unique_ids_are_recognised_in_many_passes(void **state)
{
    lk_survey s;
    linkd_error err;

    (void)state;
    ids_append("t.csv", "w", 0, 3000);
    assert_int_equal(survey("t.csv", NULL, &s, &err), LINKD_OK);
    assert_int_equal(s.n_rows, 3000);
    assert_int_equal(s.id_column, 0);
}

/* Each one of the ids is repeated at the end in turn: none falls between two
 * windows of fingerprints. */
static void no_repeated_id_escapes(void **state)
{
    (void)state;
    for (int i = 0; i < 200; i++) {
        lk_survey s;
        linkd_error err;

        ids_append("t.csv", "w", 0, 200);
        ids_append("t.csv", "a", i, 1);
        assert_int_equal(survey("t.csv", NULL, &s, &err), LINKD_OK);
        assert_int_equal(s.n_rows, 201);
        assert_int_equal(s.id_column, LINKD_COLUMN_NONE);
    }
}

/* Of 3,000 rows the window holds some thirty, which tell it as well. */
static void one_repeated_id_is_a_flaw_and_many_are_none(void **state)
{
    lk_survey s;
    linkd_error err;

    (void)state;
    ids_append("t.csv", "w", 0, 3000);
    ids_append("t.csv", "a", 7, 1);
    file_write("names.csv", "name,x\na,1\nb,1\na,1\nb,1\n");
    assert_int_equal(survey("t.csv", NULL, &s, &err), LINKD_OK);
    assert_int_equal(s.id_column, LINKD_COLUMN_NONE);
    assert_true(linkd_id_trial_is_flawed(&s.id_trial));
    assert_int_equal(s.id_trial.row, 3001);
    assert_int_equal(s.id_trial.line, 3002);
    assert_string_equal(s.id_trial.value.text, "k7");
    assert_int_equal(survey("names.csv", NULL, &s, &err), LINKD_OK);
    assert_false(linkd_id_trial_is_flawed(&s.id_trial));
    /* a third of all rows repeat; the first 2,000 do not */
    ids_append("t.csv", "w", 0, 2000);
    ids_append("t.csv", "a", 0, 1000);
    assert_int_equal(survey("t.csv", NULL, &s, &err), LINKD_OK);
    assert_int_equal(s.id_column, LINKD_COLUMN_NONE);
    assert_true(s.id_trial.n_bad * 20 > s.id_trial.n_rows);
    file_write("t.csv", "id,x\na,1\n,1\nb,1\n");
    assert_int_equal(survey("t.csv", NULL, &s, &err), LINKD_OK);
    assert_true(linkd_id_trial_is_flawed(&s.id_trial));
    assert_int_equal(s.id_trial.row, 2);
}

static void a_named_column_must_be_unique_and_full(void **state)
{
    lk_survey s;
    linkd_error err;

    (void)state;
    file_write("t.csv", "name,key\na,1\na,2\nb,1\n");
    assert_int_equal(survey("t.csv", "key", &s, &err), LINKD_E_DATA);
    assert_string_equal(err.message, "t.csv: row 3 (line 4), column \"key\": "
                                     "the id is repeated");
    file_write("t.csv", "name,key\na,1\na,\n");
    assert_int_equal(survey("t.csv", "key", &s, &err), LINKD_E_DATA);
    assert_string_equal(err.message, "t.csv: row 2 (line 3), column \"key\": "
                                     "the id is empty");
    file_write("t.csv", "name,key\na,1\na,2\n");
    assert_int_equal(survey("t.csv", "key", &s, &err), LINKD_OK);
    assert_int_equal(s.id_column, 1);
}

static void an_unknown_id_column_is_wrong_usage(void **state)
{
    lk_survey s;
    linkd_error err;

    (void)state;
    file_write("t.csv", "name,key\na,1\n");
    assert_int_equal(survey("t.csv", "kee", &s, &err), LINKD_E_ARG);
    assert_string_equal(err.message, "t.csv has no column \"kee\"");
}

static void a_field_that_comes_late_is_missing_and_not_unknown(void **state)
{
    lk_survey s;
    linkd_error err;

    (void)state;
    file_write("t.jsonl", "{\"a\": 1}\n{\"a\": 2, \"key\": 7}\n");
    assert_int_equal(survey("t.jsonl", "key", &s, &err), LINKD_E_DATA);
    assert_string_equal(err.message, "t.jsonl: row 1 (line 1), column \"key\": "
                                     "the id is missing");
    assert_int_equal(survey("t.jsonl", "kee", &s, &err), LINKD_E_ARG);
    assert_string_equal(err.message, "t.jsonl has no column \"kee\"");
}

static void a_name_with_a_line_feed_keeps_the_message_on_one_line(void **state)
{
    lk_survey s;
    linkd_error err;

    (void)state;
    file_write("t.csv", "a,\"k\ny\"\n1,\n");
    assert_int_equal(survey("t.csv", "k\ny", &s, &err), LINKD_E_DATA);
    assert_null(strchr(err.message, '\n'));
}

int main(void)
{
#define TEST(name)                                                             \
 cmocka_unit_test_setup_teardown(name, scratch_dir_enter, scratch_dir_leave)
    const struct CMUnitTest tests[] = {
        TEST(unique_ids_are_recognised_in_many_passes),
        TEST(no_repeated_id_escapes),
        TEST(one_repeated_id_is_a_flaw_and_many_are_none),
        TEST(a_named_column_must_be_unique_and_full),
        TEST(an_unknown_id_column_is_wrong_usage),
        TEST(a_field_that_comes_late_is_missing_and_not_unknown),
        TEST(a_name_with_a_line_feed_keeps_the_message_on_one_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
