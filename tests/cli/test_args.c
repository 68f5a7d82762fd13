#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/args.h"

typedef struct values {
    const char *text;
    size_t count;
    double real;
    int word;
    bool flag;
} values;

static const char *const words[] = {"reciprocal", "one-to-one", NULL};

static const lk_option options[] = {
    {"model", 'm', LK_OPTION_TEXT, offsetof(values, text), "NAME", NULL, 0, 0,
     "a text"},
    {"threads", 0, LK_OPTION_COUNT, offsetof(values, count), "N", NULL, 1, 64,
     "a count"},
    {"threshold", 't', LK_OPTION_REAL, offsetof(values, real), "P", NULL, -1, 1,
     "a real"},
    {"assign", 0, LK_OPTION_WORD, offsetof(values, word), "HOW", words, 0, 0,
     "a word"},
    {"wide", 'w', LK_OPTION_FLAG, offsetof(values, flag), NULL, NULL, 0, 0,
     "a flag"},
};

static const char *const operands[] = {"LEFT", "RIGHT"};

static const lk_syntax syntax = {.name = "link",
                                 .operands = operands,
                                 .n_operands_min = 1,
                                 .n_operands_max = 2,
                                 .options = options,
                                 .n_options = 5,
                                 .summary = "Links."};

typedef struct fixture {
    values values;
    lk_args args;
    lk_buf hint;
    linkd_error err;
} fixture;

static int set_up(void **state)
{
    *state = calloc(1, sizeof(fixture));
    return *state == NULL;
}

static int tear_down(void **state)
{
    fixture *f = *state;

    lk_buf_clear(&f->hint);
    free(f);
    return 0;
}

/* Parses the words of `line`, which are separated by one space each. */
static int parse(fixture *f, const char *line)
{
    static char copy[256];
    char *argv[16];
    int argc = 0;

    (void)snprintf(copy, sizeof(copy), "%s", line);
    for (char *at = strtok(copy, " "); at != NULL; at = strtok(NULL, " "))
        argv[argc++] = at;
    return lk_args_parse(&syntax, argc, argv, &f->values, &f->args, &f->hint,
                         &f->err);
}

static void assert_refused(fixture *f, const char *line, const char *message)
{
    lk_buf_reset(&f->hint);
    assert_int_equal(parse(f, line), LINKD_E_ARG);
    assert_string_equal(f->err.message, message);
}

static void values_come_after_a_space_or_an_equals_sign(void **state)
{
    fixture *f = *state;

    assert_int_equal(parse(f, "a.csv --model x --threads=8 --threshold -0.5 "
                              "--assign=one-to-one --wide b.csv"),
                     LINKD_OK);
    assert_string_equal(f->values.text, "x");
    assert_int_equal(f->values.count, 8);
    assert_true(f->values.real == -0.5);
    assert_int_equal(f->values.word, 1);
    assert_true(f->values.flag);
    assert_int_equal(f->args.n_operands, 2);
    assert_string_equal(f->args.operands[0], "a.csv");
    assert_string_equal(f->args.operands[1], "b.csv");
}

static void the_first_of_options_that_exclude_others_is_told(void **state)
{
    static const char *const excluded[] = {"threads", "wide", "assign", NULL};
    fixture *f = *state;

    assert_int_equal(parse(f, "a.csv --assign=one-to-one -m x -w"), LINKD_OK);
    assert_string_equal(lk_args_first_given(&syntax, &f->args, excluded),
                        "wide");
    assert_int_equal(parse(f, "a.csv -m x"), LINKD_OK);
    assert_null(lk_args_first_given(&syntax, &f->args, excluded));
}

static void letters_can_be_joined_with_each_other_and_a_value(void **state)
{
    fixture *f = *state;

    assert_int_equal(parse(f, "-qwmx -t 0.25 -"), LINKD_OK);
    assert_true(f->args.quiet);
    assert_true(f->values.flag);
    assert_string_equal(f->values.text, "x");
    assert_true(f->values.real == 0.25);
    assert_string_equal(f->args.operands[0], "-");
}

static void two_dashes_end_the_options(void **state)
{
    fixture *f = *state;

    assert_int_equal(parse(f, "-- --wide -q"), LINKD_OK);
    assert_false(f->values.flag);
    assert_string_equal(f->args.operands[0], "--wide");
    assert_string_equal(f->args.operands[1], "-q");
}

static void an_unknown_option_brings_the_nearest_to_mind(void **state)
{
    fixture *f = *state;

    assert_refused(f, "a --treshold 0.5", "link has no option --treshold");
    assert_string_equal(f->hint.data, "did you mean --threshold?");
    assert_refused(f, "a --zzzzzz", "link has no option --zzzzzz");
    assert_string_equal(f->hint.data, "see linkctl link --help");
    assert_refused(f, "a -wx", "link has no option -x");
    assert_refused(f, "a -w\xC3\xA9z", "link has no option -\xC3\xA9");
}

static void an_option_given_twice_is_refused(void **state)
{
    fixture *f = *state;

    assert_refused(f, "a --model x -m y", "--model is given twice");
    assert_refused(f, "a -ww", "--wide is given twice");
}

static void a_forgotten_value_is_noticed(void **state)
{
    fixture *f = *state;

    assert_refused(f, "a --model", "--model needs a value: NAME");
    assert_refused(f, "a --model --wide", "--model needs a value: NAME");
    assert_refused(f, "a --model=", "--model is empty");
    assert_refused(f, "a --wide=yes", "--wide takes no value");
}

static void numbers_are_read_to_their_end_and_within_their_range(void **state)
{
    fixture *f = *state;

    assert_refused(f, "a --threads 4x",
                   "--threads: \"4x\" is not a whole number");
    assert_refused(f, "a --threads -1",
                   "--threads: \"-1\" is not a whole number");
    assert_refused(f, "a --threads 65",
                   "--threads: 65 is not between 1 and 64");
    assert_refused(
        f, "a --threads 99999999999999999999999",
        "--threads: 99999999999999999999999 is not between 1 and 64");
    assert_refused(f, "a -t 0.5.5", "--threshold: \"0.5.5\" is not a number");
    assert_refused(f, "a -t nan", "--threshold: \"nan\" is not a number");
    assert_refused(f, "a -t 1.01", "--threshold: 1.01 is not between -1 and 1");
    assert_int_equal(f->values.count, 0);
}

static void a_wrong_word_is_answered_with_the_right_ones(void **state)
{
    fixture *f = *state;

    assert_refused(f, "a --assign greedy", "--assign cannot be \"greedy\"");
    assert_string_equal(f->hint.data, "it can be reciprocal, one-to-one");
}

static void too_few_or_too_many_operands_are_named(void **state)
{
    fixture *f = *state;

    assert_refused(f, "--wide", "link needs LEFT");
    assert_refused(f, "a b c", "link does not know what to do with c");
}

static void help_needs_nothing_else_and_ends_parsing(void **state)
{
    fixture *f = *state;

    assert_int_equal(parse(f, "--help --nonsense"), LINKD_OK);
    assert_true(f->args.help);
}

static void the_nearest_word_is_none_when_all_are_far(void **state)
{
    static const char *const names[] = {"link", "dedup", NULL};

    (void)state;
    assert_string_equal(lk_nearest("lnik", names), "link");
    assert_string_equal(lk_nearest("dedupe", names), "dedup");
    assert_null(lk_nearest("frobnicate", names));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(values_come_after_a_space_or_an_equals_sign),
        TEST(the_first_of_options_that_exclude_others_is_told),
        TEST(letters_can_be_joined_with_each_other_and_a_value),
        TEST(two_dashes_end_the_options),
        TEST(an_unknown_option_brings_the_nearest_to_mind),
        TEST(an_option_given_twice_is_refused),
        TEST(a_forgotten_value_is_noticed),
        TEST(numbers_are_read_to_their_end_and_within_their_range),
        TEST(a_wrong_word_is_answered_with_the_right_ones),
        TEST(too_few_or_too_many_operands_are_named),
        TEST(help_needs_nothing_else_and_ends_parsing),
        TEST(the_nearest_word_is_none_when_all_are_far),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
