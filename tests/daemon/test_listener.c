#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/listener.h"

static char token_file[] = "unread";

typedef struct fixture {
    char dir[64];
    char path[96];
    lk_config config;
    lk_listeners listeners;
    linkd_error err;
} fixture;

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    (void)snprintf(f->dir, sizeof(f->dir), "/tmp/linkd-listen-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    (void)snprintf(f->path, sizeof(f->path), "%s/s", f->dir);
    f->config.socket = f->path;
    f->config.socket_mode = 0660;
    lk_log_init("linkd", LK_LOG_ERROR);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;

    lk_listeners_close(&f->listeners);
    (void)unlink(f->path);
    assert_int_equal(rmdir(f->dir), 0);
    free(f);
    return 0;
}

static int listen_try(fixture *f)
{
    return lk_listeners_open(&f->config, &f->listeners, &f->err);
}

/* Whether somebody answers at the path. */
static bool answers(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    int rc;

    memcpy(address.sun_path, path, strlen(path) + 1);
    rc = connect(fd, (const struct sockaddr *)&address, sizeof(address));
    close(fd);
    return rc == 0;
}

/* A socket at the path whose owner is gone, as after kill -9. */
static void dead_socket_make(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    memcpy(address.sun_path, path, strlen(path) + 1);
    assert_int_equal(
        bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 1), 0);
    close(fd);
}

static void the_socket_gets_its_mode_and_goes_when_closed(void **state)
{
    fixture *f = *state;
    struct stat info;

    f->config.socket_mode = 0640;
    assert_int_equal(listen_try(f), LINKD_OK);
    assert_int_equal(f->listeners.n, 1);
    assert_false(f->listeners.items[0].is_tcp);
    assert_true(answers(f->path));
    assert_int_equal(lstat(f->path, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0640);
    lk_listeners_close(&f->listeners);
    assert_int_equal(lstat(f->path, &info), -1);
}

static void a_dead_socket_is_replaced(void **state)
{
    fixture *f = *state;

    dead_socket_make(f->path);
    assert_false(answers(f->path));
    assert_int_equal(listen_try(f), LINKD_OK);
    assert_true(answers(f->path));
}

static void a_live_socket_is_left_to_its_owner(void **state)
{
    fixture *f = *state;
    lk_listeners second;
    char message[192];

    (void)snprintf(message, sizeof(message),
                   "%s: another process answers on this socket", f->path);
    assert_int_equal(listen_try(f), LINKD_OK);
    assert_int_equal(lk_listeners_open(&f->config, &second, &f->err),
                     LINKD_E_BUSY);
    assert_string_equal(f->err.message, message);
    assert_true(answers(f->path));
}

static void a_file_that_is_no_socket_is_never_removed(void **state)
{
    fixture *f = *state;
    struct stat info;
    char message[192];
    int fd = open(f->path, O_CREAT | O_WRONLY, 0600);

    close(fd);
    (void)snprintf(message, sizeof(message),
                   "%s exists and is not a socket: it stays as it is", f->path);
    assert_int_equal(listen_try(f), LINKD_E_ARG);
    assert_string_equal(f->err.message, message);
    assert_int_equal(lstat(f->path, &info), 0);
}

static void a_missing_directory_is_named_as_the_reason(void **state)
{
    fixture *f = *state;
    char path[128];
    char message[256];

    (void)snprintf(path, sizeof(path), "%s/none/s", f->dir);
    (void)snprintf(message, sizeof(message),
                   "could not make socket %s: its directory does not exist",
                   path);
    f->config.socket = path;
    assert_int_equal(listen_try(f), LINKD_E_IO);
    assert_string_equal(f->err.message, message);
}

/* libuv would cut it in silence and listen somewhere else. */
static void a_path_of_107_bytes_is_taken_and_one_of_108_refused(void **state)
{
    fixture *f = *state;
    char path[109];
    size_t len = strlen(f->dir);

    memset(path, 'x', sizeof(path) - 1);
    path[sizeof(path) - 1] = '\0';
    memcpy(path, f->dir, len);
    path[len] = '/';
    f->config.socket = path;
    assert_int_equal(listen_try(f), LINKD_E_ARG);
    assert_memory_equal(
        f->err.message,
        "the socket's path has 108 bytes, the system allows 107", 54);
    path[107] = '\0';
    assert_int_equal(listen_try(f), LINKD_OK);
    assert_true(answers(path));
}

/* Otherwise a daemon that ends late would cut off its successor. */
static void a_socket_that_is_another_s_by_now_is_left_alone(void **state)
{
    fixture *f = *state;
    struct stat info;

    assert_int_equal(listen_try(f), LINKD_OK);
    /* the new inode must be another one: keep the old one in use */
    char kept[128];
    (void)snprintf(kept, sizeof(kept), "%s.old", f->path);
    assert_int_equal(rename(f->path, kept), 0);
    dead_socket_make(f->path);
    lk_listeners_close(&f->listeners);
    assert_int_equal(lstat(f->path, &info), 0);
    assert_int_equal(unlink(kept), 0);
}

typedef struct bad_address {
    const char *text;
    int code;
    const char *message;
} bad_address;

static void tcp_is_for_this_machine_only(void **state)
{
    static const bad_address addresses[] = {
        {"8765", LINKD_E_ARG, "is not an address such as 127.0.0.1:8765"},
        {"127.0.0.1:", LINKD_E_ARG, "is not an address such as"},
        {"127.0.0.1:65536", LINKD_E_ARG, "is not an address such as"},
        {"127.0.0.1:+1", LINKD_E_ARG, "is not an address such as"},
        {"localhost:80", LINKD_E_ARG, "is not an address such as"},
        {"::1:80", LINKD_E_ARG, "is not an address such as"},
        {"0.0.0.0:80", LINKD_E_ARG, "TCP is for 127.0.0.1 and [::1] only"},
        {"[::]:80", LINKD_E_ARG, "TCP is for 127.0.0.1 and [::1] only"},
        {"192.168.0.1:80", LINKD_E_ARG, "TCP is for 127.0.0.1 and [::1] only"},
    };
    fixture *f = *state;
    static char text[32]; /* f->config keeps it */

    f->config.token_file = token_file;
    f->config.listen = text;
    for (size_t i = 0; i < sizeof(addresses) / sizeof(*addresses); i++) {
        (void)snprintf(text, sizeof(text), "%s", addresses[i].text);
        assert_int_equal(listen_try(f), addresses[i].code);
        assert_non_null(strstr(f->err.message, addresses[i].message));
    }
}

static void tcp_listens_beside_the_unix_socket(void **state)
{
    fixture *f = *state;
    char any_port[] = "127.0.0.1:0";
    struct sockaddr_in address = {0};
    socklen_t len = sizeof(address);

    f->config.token_file = token_file;
    f->config.listen = any_port;
    assert_int_equal(listen_try(f), LINKD_OK);
    assert_int_equal(f->listeners.n, 2);
    assert_true(f->listeners.items[1].is_tcp);
    assert_int_equal(getsockname(f->listeners.items[1].fd,
                                 (struct sockaddr *)&address, &len),
                     0);
    assert_int_equal(ntohl(address.sin_addr.s_addr), INADDR_LOOPBACK);
}

static void tcp_on_a_taken_port_says_so_and_takes_the_path_back(void **state)
{
    fixture *f = *state;
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof(address);
    int taken = socket(AF_INET, SOCK_STREAM, 0);
    struct stat info;
    static char text[32]; /* f->config keeps it */

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(taken, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(taken, 1), 0);
    assert_int_equal(getsockname(taken, (struct sockaddr *)&address, &len), 0);
    (void)snprintf(text, sizeof(text), "127.0.0.1:%d", ntohs(address.sin_port));
    f->config.token_file = token_file;
    f->config.listen = text;
    assert_int_equal(listen_try(f), LINKD_E_BUSY);
    assert_non_null(strstr(f->err.message, "another process listens"));
    assert_int_equal(lstat(f->path, &info), -1);
    close(taken);
}

/* Variables that were meant for a parent process must not be believed. */
static void sockets_meant_for_another_process_are_not_taken(void **state)
{
    fixture *f = *state;

    assert_int_equal(setenv("LISTEN_PID", "1", 1), 0);
    assert_int_equal(setenv("LISTEN_FDS", "1", 1), 0);
    assert_int_equal(listen_try(f), LINKD_OK);
    assert_string_equal(f->listeners.path, f->path);
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
}

static void a_passed_descriptor_that_does_not_listen_is_refused(void **state)
{
    fixture *f = *state;
    char pid[16];
    int pipe_ends[2];

    assert_int_equal(pipe(pipe_ends), 0);
    if (pipe_ends[0] != 3)
        assert_int_equal(dup2(pipe_ends[0], 3), 3);
    (void)snprintf(pid, sizeof(pid), "%d", (int)getpid());
    assert_int_equal(setenv("LISTEN_PID", pid, 1), 0);
    assert_int_equal(setenv("LISTEN_FDS", "1", 1), 0);
    assert_int_equal(listen_try(f), LINKD_E_ARG);
    assert_string_equal(f->err.message, "file 3 from systemd is not a stream "
                                        "socket that listens");
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(the_socket_gets_its_mode_and_goes_when_closed),
        TEST(a_dead_socket_is_replaced),
        TEST(a_live_socket_is_left_to_its_owner),
        TEST(a_file_that_is_no_socket_is_never_removed),
        TEST(a_missing_directory_is_named_as_the_reason),
        TEST(a_path_of_107_bytes_is_taken_and_one_of_108_refused),
        TEST(a_socket_that_is_another_s_by_now_is_left_alone),
        TEST(tcp_is_for_this_machine_only),
        TEST(tcp_listens_beside_the_unix_socket),
        TEST(tcp_on_a_taken_port_says_so_and_takes_the_path_back),
        TEST(sockets_meant_for_another_process_are_not_taken),
        TEST(a_passed_descriptor_that_does_not_listen_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
