#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/notify.h"

/* What systemd would receive at a socket of that name. */
static void notice_check(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t len = strlen(name);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    char text[64] = "";

    memcpy(address.sun_path, name, len);
    if (name[0] == '@')
        address.sun_path[0] = '\0';
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, size), 0);
    assert_int_equal(setenv("NOTIFY_SOCKET", name, 1), 0);
    lk_notify_send("READY=1");
    assert_int_equal(recv(fd, text, sizeof(text), MSG_DONTWAIT), 7);
    assert_string_equal(text, "READY=1");
    close(fd);
    unsetenv("NOTIFY_SOCKET");
}

static void a_notice_reaches_a_socket_with_a_path(void **state)
{
    char path[64];

    (void)state;
    (void)snprintf(path, sizeof(path), "/tmp/linkd-notify-%d", (int)getpid());
    notice_check(path);
    assert_int_equal(unlink(path), 0);
}

static void a_notice_reaches_an_abstract_socket(void **state)
{
    char name[64];

    (void)state;
    (void)snprintf(name, sizeof(name), "@linkd-notify-%d", (int)getpid());
    notice_check(name);
}

/* The service works without: a missing or wrong socket is not its trouble. */
static void without_a_socket_nothing_happens(void **state)
{
    char text[200];

    (void)state;
    unsetenv("NOTIFY_SOCKET");
    lk_notify_send("READY=1");
    assert_int_equal(setenv("NOTIFY_SOCKET", "/none/socket", 1), 0);
    lk_notify_send("READY=1");
    memset(text, '/', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    assert_int_equal(setenv("NOTIFY_SOCKET", text, 1), 0);
    lk_notify_send("READY=1");
    unsetenv("NOTIFY_SOCKET");
}

static void the_watchdog_is_told_twice_in_its_time(void **state)
{
    char pid[16];

    (void)state;
    unsetenv("WATCHDOG_PID");
    assert_int_equal(setenv("WATCHDOG_USEC", "30000000", 1), 0);
    assert_int_equal(lk_notify_watchdog_ms(), 15000);
    (void)snprintf(pid, sizeof(pid), "%d", (int)getpid());
    assert_int_equal(setenv("WATCHDOG_PID", pid, 1), 0);
    assert_int_equal(lk_notify_watchdog_ms(), 15000);
    assert_int_equal(setenv("WATCHDOG_USEC", "1", 1), 0);
    assert_int_equal(lk_notify_watchdog_ms(), 1);
}

static void a_watchdog_that_is_not_ours_is_not_told(void **state)
{
    (void)state;
    assert_int_equal(setenv("WATCHDOG_USEC", "30000000", 1), 0);
    assert_int_equal(setenv("WATCHDOG_PID", "1", 1), 0);
    assert_int_equal(lk_notify_watchdog_ms(), 0);
    unsetenv("WATCHDOG_PID");
    assert_int_equal(setenv("WATCHDOG_USEC", "soon", 1), 0);
    assert_int_equal(lk_notify_watchdog_ms(), 0);
    unsetenv("WATCHDOG_USEC");
    assert_int_equal(lk_notify_watchdog_ms(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_notice_reaches_a_socket_with_a_path),
        cmocka_unit_test(a_notice_reaches_an_abstract_socket),
        cmocka_unit_test(without_a_socket_nothing_happens),
        cmocka_unit_test(the_watchdog_is_told_twice_in_its_time),
        cmocka_unit_test(a_watchdog_that_is_not_ours_is_not_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
