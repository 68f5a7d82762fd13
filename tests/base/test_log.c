#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
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
    assert_int_equal(strlen(text), 1024);
    assert_int_equal(text[1023], '\n');
    assert_int_equal(text[1022], 'x');
}

/* ---- services ------------------------------------------------------------ */

enum { TEXT_MAX = 4096 };

typedef struct fixture {
    char dir[64];
    char path[96];
    char moved[96];
    linkd_error err;
} fixture;

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    (void)snprintf(f->dir, sizeof(f->dir), "/tmp/linkd-log-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    (void)snprintf(f->path, sizeof(f->path), "%s/log", f->dir);
    (void)snprintf(f->moved, sizeof(f->moved), "%s/log.1", f->dir);
    lk_log_init("linkd", LK_LOG_INFO);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;

    lk_log_close();
    (void)unlink(f->path);
    (void)rmdir(f->path);
    (void)unlink(f->moved);
    assert_int_equal(rmdir(f->dir), 0);
    free(f);
    return 0;
}

static void file_read(const char *path, char *ret_text)
{
    FILE *file = fopen(path, "r");
    size_t n;

    assert_non_null(file);
    n = fread(ret_text, 1, TEXT_MAX - 1, file);
    ret_text[n] = '\0';
    (void)fclose(file);
}

/* The time is checked by its shape: digits count as 9. */
static void digits_hide(char *text, size_t len)
{
    for (size_t i = 0; i < len && text[i] != '\0'; i++) {
        if (text[i] >= '0' && text[i] <= '9')
            text[i] = '9';
    }
}

static void a_service_logs_time_level_and_message_to_its_file(void **state)
{
    fixture *f = *state;
    char text[TEXT_MAX];

    assert_int_equal(lk_log_open(f->path, false, &f->err), LINKD_OK);
    lk_log(LK_LOG_INFO, "ready after %d ms", 5);
    lk_log(LK_LOG_DEBUG, "not shown");
    file_read(f->path, text);
    digits_hide(text, 24);
    assert_string_equal(text,
                        "9999-99-99T99:99:99.999Z info ready after 5 ms\n");
}

static void json_lines_escape_what_json_needs_escaped(void **state)
{
    fixture *f = *state;
    char text[TEXT_MAX];

    assert_int_equal(lk_log_open(f->path, true, &f->err), LINKD_OK);
    lk_log(LK_LOG_WARN, "no \"a\\b\" in h\xC3\xBCtte");
    file_read(f->path, text);
    digits_hide(text, 33);
    assert_string_equal(text, "{\"time\":\"9999-99-99T99:99:99.999Z\","
                              "\"level\":\"warn\",\"message\":"
                              "\"no \\\"a\\\\b\\\" in h\xC3\xBCtte\"}\n");
}

/* Otherwise a client could write lines of its own into the log. */
static void what_a_client_sent_stays_on_one_line_of_utf8(void **state)
{
    fixture *f = *state;
    char text[TEXT_MAX];

    assert_int_equal(lk_log_open(f->path, false, &f->err), LINKD_OK);
    lk_log(LK_LOG_INFO, "path /a\nb\x1B[1m\xFF: \xC3");
    file_read(f->path, text);
    assert_string_equal(text + 25, "info path /a b [1m?: ?\n");
}

static void a_long_message_is_cut_and_its_json_stays_whole(void **state)
{
    fixture *f = *state;
    char text[TEXT_MAX];
    char message[3000];

    memset(message, '"', sizeof(message) - 1);
    message[sizeof(message) - 1] = '\0';
    assert_int_equal(lk_log_open(f->path, true, &f->err), LINKD_OK);
    lk_log(LK_LOG_INFO, "%s", message);
    file_read(f->path, text);
    assert_in_range(strlen(text), 900, 1024);
    assert_string_equal(text + strlen(text) - 5, "\\\"\"}\n");
}

static void reopening_goes_on_in_a_new_file(void **state)
{
    fixture *f = *state;
    char text[TEXT_MAX];

    assert_int_equal(lk_log_open(f->path, false, &f->err), LINKD_OK);
    lk_log(LK_LOG_INFO, "one");
    assert_int_equal(rename(f->path, f->moved), 0);
    lk_log(LK_LOG_INFO, "two");
    lk_log_reopen();
    lk_log(LK_LOG_INFO, "three");
    file_read(f->path, text);
    assert_string_equal(text + 25, "info three\n");
    file_read(f->moved, text);
    assert_non_null(strstr(text, "two"));
}

static void a_file_that_cannot_be_reopened_leaves_the_old_one(void **state)
{
    fixture *f = *state;
    char text[TEXT_MAX];

    assert_int_equal(lk_log_open(f->path, false, &f->err), LINKD_OK);
    assert_int_equal(rename(f->path, f->moved), 0);
    assert_int_equal(mkdir(f->path, 0700), 0);
    lk_log_reopen();
    lk_log(LK_LOG_INFO, "still here");
    file_read(f->moved, text);
    assert_non_null(strstr(text, "error could not open log "));
    assert_non_null(strstr(text, "info still here\n"));
}

static void a_log_that_cannot_be_opened_is_an_error(void **state)
{
    fixture *f = *state;
    char message[256];

    (void)snprintf(message, sizeof(message),
                   "could not open log %s/none/log: No such file or directory",
                   f->dir);
    (void)snprintf(f->moved, sizeof(f->moved), "%s/none/log", f->dir);
    assert_int_equal(lk_log_open(f->moved, false, &f->err), LINKD_E_IO);
    assert_string_equal(f->err.message, message);
}

/* A write to /dev/full fails as on a full disk. */
static void a_full_disk_neither_blocks_nor_ends_the_service(void **state)
{
    fixture *f = *state;

    assert_int_equal(lk_log_open("/dev/full", false, &f->err), LINKD_OK);
    errno = EDOM;
    lk_log(LK_LOG_INFO, "lost");
    assert_int_equal(errno, EDOM);
}

static void a_pipe_that_nobody_reads_does_not_block(void **state)
{
    fixture *f = *state;
    int reader;

    assert_int_equal(mkfifo(f->path, 0600), 0);
    reader = open(f->path, O_RDONLY | O_NONBLOCK);
    assert_true(reader >= 0);
    assert_int_equal(lk_log_open(f->path, false, &f->err), LINKD_OK);
    for (int i = 0; i < 5000; i++) /* a pipe holds 64 KiB */
        lk_log(LK_LOG_INFO, "line %d", i);
    close(reader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_names_the_program_and_respects_the_level),
        cmocka_unit_test(a_line_that_is_too_long_is_cut_and_ends_in_a_newline),
        cmocka_unit_test_setup_teardown(
            a_service_logs_time_level_and_message_to_its_file, setup, teardown),
        cmocka_unit_test_setup_teardown(
            json_lines_escape_what_json_needs_escaped, setup, teardown),
        cmocka_unit_test_setup_teardown(
            what_a_client_sent_stays_on_one_line_of_utf8, setup, teardown),
        cmocka_unit_test_setup_teardown(
            a_long_message_is_cut_and_its_json_stays_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(reopening_goes_on_in_a_new_file, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            a_file_that_cannot_be_reopened_leaves_the_old_one, setup, teardown),
        cmocka_unit_test_setup_teardown(a_log_that_cannot_be_opened_is_an_error,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(
            a_full_disk_neither_blocks_nor_ends_the_service, setup, teardown),
        cmocka_unit_test_setup_teardown(a_pipe_that_nobody_reads_does_not_block,
                                        setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
