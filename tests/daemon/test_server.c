/* tests/daemon/test_server.c — how the server begins, limits and ends, driven
 * over its socket as clients do. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "tests/daemon/server_fixture.h"

/* ---- beginning and end --------------------------------------------------------------------- */

static void health_is_answered_while_the_daemon_loads(void **state)
{
    fixture *f = *state;
    int fd;

    server_start(f);
    fd = client_open(f);
    client_send(fd, GET("/health"));
    check_reply(fd, 200, "phase 0");
    client_send(fd, GET("/echo?x"));
    check_reply(fd, 503, "the daemon is starting");
    flag_set(&load_is_allowed);
    while (atomic_load(&f->service.phase) != LK_PHASE_READY)
        wait_a_little();
    client_send(fd, GET("/echo?x"));
    check_reply(fd, 200, "x");
    (void)close(fd);
}

static void a_failure_to_load_ends_the_server_with_it(void **state)
{
    fixture *f = *state;

    f->load_fails = true;
    load_is_allowed = true;
    server_begin(f);
    server_join(f);
    assert_int_equal(f->rc, LINKD_E_DATA);
    assert_string_equal(f->err.message, "the store is damaged");
}

static void sigterm_lets_requests_in_flight_finish(void **state)
{
    fixture *f = *state;
    reply r = {0};
    int busy, idle, watcher, late;

    server_start_ready(f);
    busy = client_open(f);
    idle = client_open(f);
    watcher = client_open(f);
    client_send(idle, GET("/echo?x"));
    check_reply(idle, 200, "x");
    client_send(watcher, GET("/watch"));
    client_send(busy, GET("/wait"));
    while (!(atomic_load(&n_waiting) == 1 && atomic_load(&n_streams) == 1))
        wait_a_little();
    assert_int_equal(kill(getpid(), SIGTERM), 0);
    while (atomic_load(&f->service.phase) != LK_PHASE_DRAINING)
        wait_a_little();
    while ((late = client_try(f)) >= 0) {
        (void)close(late);
        wait_a_little();
    }
    client_send(idle, GET("/echo?late"));
    client_receive(idle, &r);
    assert_true(r.status == 503 && r.closes);
    client_receive(watcher, &r); /* would never end by itself */
    assert_false(r.is_whole);
    flag_set(&gate_is_open);
    client_receive(busy, &r);
    assert_true(r.status == 200 && r.closes);
    assert_string_equal(r.body.data, "waited");
    server_join(f);
    assert_int_equal(f->rc, LINKD_OK);
    (void)close(busy);
    (void)close(idle);
    (void)close(watcher);
    lk_buf_clear(&r.body);
}

static void a_second_signal_stops_requests_in_flight(void **state)
{
    fixture *f = *state;
    int fd;

    server_start_ready(f);
    fd = client_open(f);
    client_send(fd, GET("/wait"));
    while (atomic_load(&n_waiting) != 1)
        wait_a_little();
    assert_int_equal(kill(getpid(), SIGINT), 0);
    while (atomic_load(&f->service.phase) != LK_PHASE_DRAINING)
        wait_a_little();
    assert_int_equal(kill(getpid(), SIGTERM), 0);
    server_join(f);
    assert_int_equal(f->rc, LINKD_OK);
    assert_int_equal(atomic_load(&n_stopped), 1);
    assert_true(client_is_closed(fd));
    (void)close(fd);
}

static void a_socket_that_cannot_be_made_is_an_error(void **state)
{
    static char nowhere[] = "/nonexistent/socket";
    fixture *f = *state;

    f->config.socket = nowhere;
    server_begin(f);
    server_join(f);
    assert_int_equal(f->rc, LINKD_E_IO);
    assert_non_null(strstr(f->err.message, "/nonexistent/socket"));
    f->rc = LINKD_OK; /* as the teardown expects of all others */
}

/* ---- over TCP ------------------------------------------------------------ */

static int free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    (void)close(fd);
    return ntohs(address.sin_port);
}

static int tcp_open(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)),
                     0);
    return fd;
}

static void over_tcp_each_request_needs_the_token(void **state)
{
    static const char token[] = "0123456789abcdef0123456789abcdef";
    fixture *f = *state;
    char path[64], listen[32];
    int port = free_port();
    FILE *file;
    int fd;

    (void)snprintf(path, sizeof(path), "%s/token", f->dir);
    (void)snprintf(listen, sizeof(listen), "127.0.0.1:%d", port);
    file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fchmod(fileno(file), 0600), 0);
    assert_true(fputs(token, file) >= 0);
    assert_int_equal(fclose(file), 0);
    f->config.token_file = path;
    f->config.listen = listen;
    server_start_ready(f);
    fd = tcp_open(port);
    client_send(fd, GET("/echo?a"));
    check_reply(fd, 401, "unauthorized");
    client_send(fd, "GET /echo?a HTTP/1.1\r\n" HOST
                    "Authorization: Bearer wrong\r\n\r\n");
    check_reply(fd, 401, "unauthorized");
    client_send(fd, "GET /echo?a HTTP/1.1\r\n" HOST "Authorization: Bearer "
                    "0123456789abcdef0123456789abcdef\r\n\r\n");
    check_reply(fd, 200, "a");
    (void)close(fd);
    (void)unlink(path);
}

/* ---- limits ------------------------------------------------------------------------------ */

static void a_client_that_leaves_stops_its_handler(void **state)
{
    fixture *f = *state;
    int fd;

    server_start_ready(f);
    fd = client_open(f);
    client_send(fd, GET("/wait"));
    while (atomic_load(&n_waiting) != 1)
        wait_a_little();
    (void)close(fd);
    while (atomic_load(&n_stopped) != 1)
        wait_a_little();
    assert_int_equal(atomic_load(&n_waited), 0);
}

static void a_full_queue_is_503_and_the_rest_is_served(void **state)
{
    fixture *f = *state;
    static int fds[N_IMPATIENT];
    int n_served = 0;
    reply r = {0};

    server_start_ready(f);
    for (size_t i = 0; i < N_IMPATIENT; i++) {
        fds[i] = client_open(f);
        client_send(fds[i], GET("/wait"));
    }
    /* Two run, 1024 wait. */
    while (atomic_load(&n_refused) != N_IMPATIENT - LK_QUEUE_MAX - 2)
        wait_a_little();
    flag_set(&gate_is_open);
    for (size_t i = 0; i < N_IMPATIENT; i++) {
        client_receive(fds[i], &r);
        n_served += r.status == 200;
        if (r.status != 200) {
            assert_int_equal(r.status, 503);
            assert_non_null(strstr(r.head, "Retry-After: 1"));
            assert_false(r.closes);
        }
        (void)close(fds[i]);
    }
    assert_int_equal(n_served, LK_QUEUE_MAX + 2);
    lk_buf_clear(&r.body);
}

static void a_request_that_waited_too_long_is_504_and_not_run(void **state)
{
    fixture *f = *state;
    uint64_t start_ns;
    int first[2];
    int fd;

    server_start_ready(f);
    for (int i = 0; i < 2; i++) {
        first[i] = client_open(f);
        client_send(first[i], GET("/wait"));
    }
    while (atomic_load(&n_waiting) != 2)
        wait_a_little();
    fd = client_open(f);
    client_send(fd, "GET /wait HTTP/1.1\r\n" HOST
                    "Linkd-Timeout-Ms: 1\r\n\r\n" GET("/echo?after"));
    start_ns = lk_clock_ns();
    while (lk_clock_seconds_since(start_ns) < 0.05)
        wait_a_little();
    flag_set(&gate_is_open);
    check_reply(fd, 504, "deadline");
    check_reply(fd, 200, "after");
    for (int i = 0; i < 2; i++) {
        check_reply(first[i], 200, "waited");
        (void)close(first[i]);
    }
    assert_int_equal(atomic_load(&n_waited), 2);
    (void)close(fd);
}

static void a_handler_that_runs_too_long_is_504(void **state)
{
    fixture *f = *state;
    int fd;

    server_start_ready(f);
    fd = client_open(f);
    client_send(fd,
                "GET /wait HTTP/1.1\r\n" HOST "Linkd-Timeout-Ms: 20\r\n\r\n");
    check_reply(fd, 504, "the time for this request ran out");
    (void)close(fd);
}

static void one_connection_too_many_is_503(void **state)
{
    fixture *f = *state;
    int fds[3];

    f->config.max_connections = 2;
    server_start_ready(f);
    for (int i = 0; i < 3; i++)
        fds[i] = client_open(f);
    check_reply(fds[2], 503, "too many connections are open");
    assert_true(client_is_closed(fds[2]));
    client_send(fds[0], GET("/echo?a"));
    check_reply(fds[0], 200, "a");
    for (int i = 0; i < 3; i++)
        (void)close(fds[i]);
}

static void an_idle_connection_is_closed(void **state)
{
    fixture *f = *state;
    int fd;

    f->config.idle_timeout_ms = 20;
    server_start_ready(f);
    fd = client_open(f);
    assert_true(client_is_closed(fd));
    (void)close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SERVER_TEST(health_is_answered_while_the_daemon_loads),
        SERVER_TEST(a_failure_to_load_ends_the_server_with_it),
        SERVER_TEST(sigterm_lets_requests_in_flight_finish),
        SERVER_TEST(a_second_signal_stops_requests_in_flight),
        SERVER_TEST(a_socket_that_cannot_be_made_is_an_error),
        SERVER_TEST(over_tcp_each_request_needs_the_token),
        SERVER_TEST(a_client_that_leaves_stops_its_handler),
        SERVER_TEST(a_full_queue_is_503_and_the_rest_is_served),
        SERVER_TEST(a_request_that_waited_too_long_is_504_and_not_run),
        SERVER_TEST(a_handler_that_runs_too_long_is_504),
        SERVER_TEST(one_connection_too_many_is_503),
        SERVER_TEST(an_idle_connection_is_closed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
