#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/config.h"
#include "index/index.h"
#include "tests/support/alloc_fail.h"

typedef struct fixture {
    lk_config config;
    linkd_error err;
    char path[64]; /* of a config file, if file_write() was called */
} fixture;

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;

    lk_config_clear(&f->config);
    if (f->path[0] != '\0')
        (void)unlink(f->path);
    free(f);
    return 0;
}

static void file_write(fixture *f, const char *text)
{
    int fd;

    (void)snprintf(f->path, sizeof(f->path), "/tmp/linkd-config-XXXXXX");
    fd = mkstemp(f->path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

enum { ARGS_MAX = 8 };

/* Reads flags; NULL ends them. */
static int flags_read(fixture *f, const char *first, ...)
{
    char *argv[ARGS_MAX + 1] = {(char[]){"linkd"}};
    char copies[ARGS_MAX][128];
    bool is_help = true;
    int argc = 1;
    va_list args;
    int rc;

    va_start(args, first);
    for (const char *arg = first; arg != NULL; arg = va_arg(args, char *)) {
        assert_true(argc < ARGS_MAX);
        (void)snprintf(copies[argc], sizeof(copies[argc]), "%s", arg);
        argv[argc] = copies[argc];
        argc++;
    }
    va_end(args);
    rc = lk_config_read_args(argc, argv, &f->config, &is_help, &f->err);
    if (rc == LINKD_OK)
        assert_false(is_help);
    return rc;
}

static void without_options_every_default_is_set(void **state)
{
    fixture *f = *state;

    assert_int_equal(flags_read(f, NULL), LINKD_OK);
    assert_string_equal(f->config.data, "/var/lib/linkd");
    assert_string_equal(f->config.socket, "/run/linkd/linkd.sock");
    assert_int_equal(f->config.socket_mode, 0660);
    assert_null(f->config.listen);
    assert_null(f->config.token_file);
    assert_string_equal(f->config.model, "all-MiniLM-L6-v2");
    assert_null(f->config.log_file);
    assert_false(f->config.log_json);
    assert_int_equal(f->config.log_level, LK_LOG_INFO);
    assert_int_equal(f->config.n_build_threads, 0);
    assert_int_equal(f->config.cascade_rate, 100);
    assert_int_equal(f->config.exact_below, LINKD_EXACT_BELOW);
    assert_int_equal(f->config.map_bytes, UINT64_C(1) << 40);
    assert_int_equal(f->config.max_body, 128 << 20);
    assert_int_equal(f->config.idle_timeout_ms, 75000);
    assert_int_equal(f->config.request_timeout_ms, 30000);
}

static void flags_take_values_in_both_spellings(void **state)
{
    fixture *f = *state;

    assert_int_equal(flags_read(f, "--max-body=64K", "--socket-mode", "0600",
                                "--log-format", "json", "--log-level=debug",
                                NULL),
                     LINKD_OK);
    assert_int_equal(f->config.max_body, 65536);
    assert_int_equal(f->config.socket_mode, 0600);
    assert_true(f->config.log_json);
    assert_int_equal(f->config.log_level, LK_LOG_DEBUG);
}

static void the_file_is_read_and_flags_win_over_it(void **state)
{
    fixture *f = *state;

    file_write(f, "# where\n"
                  "data = /srv/linkd data\n"
                  "\n"
                  "  max-upload=2G\r\n"
                  "idle-timeout = 5");
    assert_int_equal(
        flags_read(f, "--idle-timeout", "6", "--config", f->path, NULL),
        LINKD_OK);
    assert_string_equal(f->config.data, "/srv/linkd data");
    assert_int_equal(f->config.max_upload, UINT64_C(2) << 30);
    assert_int_equal(f->config.idle_timeout_ms, 6000);
}

typedef struct bad_file {
    const char *text;
    const char *message;
} bad_file;

static void what_is_wrong_in_a_file_is_said_with_its_line(void **state)
{
    static const bad_file files[] = {
        {"\n\nsokcet = /x\n", "c line 3: sokcet: there is no such option"},
        {"data = /a\ndata = /b\n", "c line 2: data: given twice"},
        {"data\n", "c line 1: this is not \"name = value\""},
        {"data =\n", "c line 1: data: the value is empty"},
        {"data = \xFF\n", "c line 1: this is not UTF-8 text"},
        {"max-body = 64MB\n",
         "c line 1: max-body: \"64MB\" is not a size such as 64M"},
        {"max-body = 1\n",
         "c line 1: max-body: 1 is not between 1024 and 1073741824"},
        {"max-body = 99999999999999999999999T\n",
         "c line 1: max-body: 99999999999999999999999T is not between 1024 "
         "and 1073741824"},
        {"idle-timeout = 1.5\n",
         "c line 1: idle-timeout: \"1.5\" is not a whole number"},
        {"idle-timeout = -1\n",
         "c line 1: idle-timeout: \"-1\" is not a whole number"},
        {"socket-mode = 0888\n",
         "c line 1: socket-mode: \"0888\" is not a mode such as 0660"},
        {"socket-mode = 1000\n",
         "c line 1: socket-mode: 1000 is not between 0000 and 0777"},
        {"log-level = loud\n", "c line 1: log-level: \"loud\" is not one of "
                               "error|warn|info|debug"},
        {"config = other\n", "c line 1: config: there is no such option"},
    };
    fixture *f = *state;

    for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
        linkd_str text = {files[i].text, strlen(files[i].text)};

        assert_int_equal(lk_config_init(&f->config, &f->err), LINKD_OK);
        assert_int_equal(lk_config_parse(text, "c", &f->config, &f->err),
                         LINKD_E_ARG);
        assert_string_equal(f->err.message, files[i].message);
        lk_config_clear(&f->config);
    }
}

static void fail_with(fixture *f, int rc, const char *message)
{
    assert_int_equal(rc, LINKD_E_ARG);
    assert_string_equal(f->err.message, message);
}

static void wrong_flags_are_errors_that_name_them(void **state)
{
    fixture *f = *state;

    fail_with(f, flags_read(f, "--sokcet", "/x", NULL),
              "--sokcet: there is no such option");
    fail_with(f, flags_read(f, "--hepl", NULL),
              "--hepl: there is no such option");
    fail_with(f, flags_read(f, "--data", "/a", "--data", "/b", NULL),
              "--data: given twice");
    fail_with(f, flags_read(f, "--config", "/a", "--config", "/b", NULL),
              "--config: given twice");
    fail_with(f, flags_read(f, "--data", NULL), "--data needs a value");
    fail_with(f, flags_read(f, "--config", NULL), "--config needs a value");
    fail_with(f, flags_read(f, "--data", "--model", NULL),
              "--data needs a value");
    fail_with(f, flags_read(f, "--data=", NULL), "--data: the value is empty");
    fail_with(f, flags_read(f, "serve", NULL),
              "cannot make sense of \"serve\"");
    fail_with(f, flags_read(f, "--config", "/none/linkd.conf", NULL),
              "could not read config /none/linkd.conf: "
              "No such file or directory");
}

/* A TCP listener without a token would be open to every local user. */
static void tcp_without_a_token_is_refused(void **state)
{
    fixture *f = *state;

    fail_with(f, flags_read(f, "--listen", "127.0.0.1:1", NULL),
              "listen: TCP needs a token: set token-file");
}

static void a_config_that_never_ends_is_refused(void **state)
{
    fixture *f = *state;

    fail_with(f, flags_read(f, "--config", "/dev/zero", NULL),
              "config /dev/zero is too large");
}

static void running_out_of_memory_is_an_error_and_leaks_nothing(void **state)
{
    fixture *f = *state;

    file_write(f, "data = /srv\nadmin-user = a,b\n");
    for (size_t n = 1;; n++) {
        int rc;

        alloc_fail_at(n);
        rc = flags_read(f, "--config", f->path, NULL);
        if (!alloc_fail_off())
            break;
        assert_int_equal(rc, LINKD_E_NOMEM);
    }
    assert_string_equal(f->config.admin_users, "a,b");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(without_options_every_default_is_set),
        TEST(flags_take_values_in_both_spellings),
        TEST(the_file_is_read_and_flags_win_over_it),
        TEST(what_is_wrong_in_a_file_is_said_with_its_line),
        TEST(wrong_flags_are_errors_that_name_them),
        TEST(tcp_without_a_token_is_refused),
        TEST(a_config_that_never_ends_is_refused),
        TEST(running_out_of_memory_is_an_error_and_leaks_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
