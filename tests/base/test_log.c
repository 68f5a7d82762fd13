#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"

/* What `write_lines` puts on standard error. */
static void capture(void (*write_lines)(void), char *ret_text, size_t capacity)
{
    int saved = dup(STDERR_FILENO);
    int pipe_ends[2];
    ssize_t n;

    assert_int_equal(pipe(pipe_ends), 0);
    assert_int_equal(dup2(pipe_ends[1], STDERR_FILENO), STDERR_FILENO);
    write_lines();
    assert_int_equal(dup2(saved, STDERR_FILENO), STDERR_FILENO);
    close(saved);
    close(pipe_ends[1]);
    n = read(pipe_ends[0], ret_text, capacity - 1);
    close(pipe_ends[0]);
    ret_text[n > 0 ? n : 0] = '\0';
}

static void log_at_both_levels(void)
{
    lk_log_init("linkctl", LK_LOG_WARN);
    lk_log(LK_LOG_ERROR, "could not open %s", "a.csv");
    lk_log(LK_LOG_WARN, "two");
    lk_log_init("linkctl", LK_LOG_ERROR);
    lk_log(LK_LOG_WARN, "three");
}

static void a_line_names_the_program_and_respects_the_level(void **state)
{
    char text[256];

    (void)state;
    capture(log_at_both_levels, text, sizeof(text));
    assert_string_equal(text, "linkctl: could not open a.csv\n"
                              "linkctl: two\n");
}

static void log_a_long_line(void)
{
    static char text[5000];

    memset(text, 'x', sizeof(text) - 1);
    lk_log_init("linkctl", LK_LOG_WARN);
    lk_log(LK_LOG_ERROR, "%s", text);
}

static void a_line_that_is_too_long_is_cut_and_ends_in_a_newline(void **state)
{
    char text[6000];

    (void)state;
    capture(log_a_long_line, text, sizeof(text));
    assert_int_equal(strlen(text), 1023);
    assert_int_equal(text[1022], '\n');
    assert_int_equal(text[1021], 'x');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_names_the_program_and_respects_the_level),
        cmocka_unit_test(a_line_that_is_too_long_is_cut_and_ends_in_a_newline),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
