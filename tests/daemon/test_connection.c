/* tests/daemon/test_connection.c — how connections read, answer and end,
 * driven over the socket as clients do. */
#include <poll.h>
#include <sys/socket.h>

#include "tests/daemon/server_fixture.h"

/* ---- requests and answers --------------------------------------------------------- */

static void one_connection_serves_many_requests(void **state)
{
    fixture *f = *state;
    int fd;

    server_start_ready(f);
    fd = client_open(f);
    for (int i = 0; i < 50; i++) {
        client_send(fd, GET("/echo?hello"));
        check_reply(fd, 200, "hello");
        client_send(fd, POST("/echo") "Content-Length: 3\r\n\r\nabc");
        check_reply(fd, 200, "abc");
        client_send(fd, GET("/health"));
        check_reply(fd, 200, "phase 1");
    }
    assert_int_equal(atomic_load(&n_counted), 150);
    (void)close(fd);
}

static void pipelined_requests_are_answered_in_order(void **state)
{
    fixture *f = *state;
    int fd;

    server_start_ready(f);
    fd = client_open(f);
    client_send(fd, GET("/wait") GET("/health")
                        POST("/echo") "Transfer-Encoding: chunked\r\n\r\n"
                                      "2\r\nab\r\n1\r\nc\r\n0\r\n\r\n" GET(
                                          "/nowhere") GET("/echo?last"));
    while (atomic_load(&n_waiting) != 1)
        wait_a_little();
    assert_int_equal(atomic_load(&n_counted), 0);
    flag_set(&gate_is_open);
    check_reply(fd, 200, "waited");
    check_reply(fd, 200, "phase 1");
    check_reply(fd, 200, "abc");
    check_reply(fd, 404, "no such path");
    check_reply(fd, 200, "last");
    (void)close(fd);
}

/* What is read while a request runs is kept, but not without a limit. */
static void a_client_that_only_sends_is_read_no_further(void **state)
{
    fixture *f = *state;
    static char flood[4 * MIB];
    size_t sent = 0;
    int fd;
    ssize_t n;

    for (size_t i = 0; i < sizeof(flood); i++)
        flood[i] = GET("/echo?x")[i % strlen(GET("/echo?x"))];
    server_start_ready(f);
    fd = client_open(f);
    client_send(fd, GET("/wait"));
    while (atomic_load(&n_waiting) != 1)
        wait_a_little();
    for (int idle = 0; idle < 50 && sent < sizeof(flood);) {
        n = send(fd, flood + sent, sizeof(flood) - sent,
                 MSG_NOSIGNAL | MSG_DONTWAIT);
        sent += n > 0 ? (size_t)n : 0;
        idle = n > 0 ? 0 : idle + 1;
        (void)poll(NULL, 0, 1);
    }
    assert_true(sent < MIB); /* 64 KiB and what the kernel keeps */
    flag_set(&gate_is_open);
    check_reply(fd, 200, "waited");
    for (size_t i = 0; i < sent / strlen(GET("/echo?x")); i++)
        check_reply(fd, 200, "x");
    (void)close(fd);
}

static void a_client_may_close_after_one_answer(void **state)
{
    fixture *f = *state;
    reply r = {0};
    int fd;

    server_start_ready(f);
    fd = client_open(f);
    client_send(fd,
                "GET /echo?a HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
    client_receive(fd, &r);
    assert_true(r.status == 200 && r.closes && r.is_whole);
    assert_true(client_is_closed(fd));
    (void)close(fd);
    fd = client_open(f);
    client_send(fd, "GET /stream HTTP/1.0\r\n\r\n");
    client_receive(fd, &r);
    assert_true(r.status == 200 && r.closes);
    assert_null(strstr(r.head, "chunked"));
    assert_true(client_read_body(fd, &r.body, 5 + N_STREAM * PIECE_BYTES));
    assert_true(client_is_closed(fd));
    (void)close(fd);
    lk_buf_clear(&r.body);
}

static void what_is_refused_by_its_head(void **state)
{
    static const struct {
        const char *request;
        int status;
        const char *code;
        bool closes; /* the body would have to be read, or it is not HTTP */
    } samples[] = {
        {GET("/nowhere"), 404, "absent", false},
        {"DELETE /echo HTTP/1.1\r\n" HOST "\r\n", 405, "method_not_allowed",
         false},
        {POST("/echo") "\r\n", 411, "length_required", false},
        {POST("/echo") "Content-Length: 2097153\r\n\r\n", 413, "too_large",
         true},
        {POST(
             "/echo") "Content-Length: 2097153\r\nExpect: 100-continue\r\n\r\n",
         413, "too_large", true},
        {"GET /echo HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\nx", 413,
         "too_large", true},
        {"GET /echo HTTP/1.1\r\n" HOST "Linkd-Timeout-Ms: 0\r\n\r\n", 400,
         "bad_request", false},
        {"GET /echo HTTP/1.1\r\n" HOST "Linkd-Timeout-Ms: 3600001\r\n\r\n", 400,
         "bad_request", false},
        {"GET /echo HTTP/1.1\r\n" HOST "Linkd-Timeout-Ms: 1s\r\n\r\n", 400,
         "bad_request", false},
        {"GET /echo HTTP/1.1\r\n\r\n", 400, "bad_request", true},
        {"BREW /pot HTTP/1.1\r\n" HOST "\r\n", 501, "not_supported", true},
        {"GET / HTTP/3.0\r\n", 505, "not_supported", true},
    };
    fixture *f = *state;
    reply r = {0};

    server_start_ready(f);
    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
        int fd = client_open(f);

        client_send(fd, samples[i].request);
        client_receive(fd, &r);
        assert_int_equal(r.status, samples[i].status);
        assert_non_null(strstr(r.head, "application/problem+json"));
        assert_non_null(strstr(r.body.data, samples[i].code));
        assert_int_equal(r.closes, samples[i].closes);
        if (samples[i].closes)
            assert_true(client_is_closed(fd));
        (void)close(fd);
    }
    lk_buf_clear(&r.body);
}

/* As of "curl -X POST" where there is nothing to say. */
static void a_body_that_is_not_needed_needs_no_length(void **state)
{
    fixture *f = *state;
    int fd;

    server_start_ready(f);
    fd = client_open(f);
    client_send(fd, "PUT /echo HTTP/1.1\r\n" HOST "\r\n");
    check_reply(fd, 200, "");
    client_send(fd,
                "PUT /echo HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\nok");
    check_reply(fd, 200, "ok");
    (void)close(fd);
}

static void an_answer_to_head_has_no_body(void **state)
{
    fixture *f = *state;
    reply r = {0};
    int fd;

    server_start_ready(f);
    fd = client_open(f);
    client_send(fd, "HEAD /echo HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
    client_receive(fd, &r);
    assert_int_equal(r.status, 405);
    assert_non_null(strstr(r.head, "Allow: GET, POST"));
    assert_int_equal(r.body.len, 0);
    (void)close(fd);
    lk_buf_clear(&r.body);
}

static void a_body_is_asked_for_when_the_head_is_accepted(void **state)
{
    fixture *f = *state;
    int fd;

    server_start_ready(f);
    fd = client_open(f);
    client_send(fd, POST("/echo") "Content-Length: 3\r\n"
                                  "Expect: 100-continue\r\n\r\n");
    check_reply(fd, 100, "");
    client_send(fd, "abc");
    check_reply(fd, 200, "abc");
    (void)close(fd);
}

/* The client is still sending when it is refused, and must get to read why. */
static void a_body_that_grows_too_large_is_refused(void **state)
{
    static char chunk[MIB + 16];
    fixture *f = *state;
    reply r = {0};
    int fd;

    server_start_ready(f);
    fd = client_open(f);
    memset(chunk, 'x', sizeof(chunk));
    memcpy(chunk, "100000\r\n", 8);
    memcpy(chunk + MIB + 8, "\r\n", 2);
    client_send(fd, POST("/echo") "Transfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 4; i++)
        client_send_bytes(fd, chunk, MIB + 10);
    client_receive(fd, &r);
    assert_int_equal(r.status, 413);
    assert_true(r.closes && r.is_whole);
    (void)close(fd);
    lk_buf_clear(&r.body);
}

/* ---- answers in pieces -------------------------------------------------------------- */

static void a_stream_comes_whole(void **state)
{
    fixture *f = *state;
    reply r = {0};
    int fd;

    server_start_ready(f);
    fd = client_open(f);
    for (int i = 0; i < 2; i++) {
        client_send(fd, GET("/stream"));
        client_receive(fd, &r);
        assert_true(r.status == 200 && r.is_whole && !r.closes);
        assert_int_equal(r.body.len, 5 + N_STREAM * PIECE_BYTES);
        assert_memory_equal(r.body.data, "begin\0\0", 7);
    }
    (void)close(fd);
    lk_buf_clear(&r.body);
}

static void a_stream_that_fails_is_cut_off(void **state)
{
    fixture *f = *state;
    reply r = {0};
    int fd;

    server_start_ready(f);
    fd = client_open(f);
    client_send(fd, GET("/stream?fails"));
    client_receive(fd, &r);
    assert_int_equal(r.status, 200);
    assert_int_equal(r.body.len, 5 + N_STREAM * PIECE_BYTES);
    assert_false(r.is_whole);
    (void)close(fd);
    lk_buf_clear(&r.body);
}

static void slow_readers_hold_one_piece_and_nobody_up(void **state)
{
    enum { N_SLOW = 20 };
    fixture *f = *state;
    int slow[N_SLOW];
    int fd, before;

    server_start_ready(f);
    for (int i = 0; i < N_SLOW; i++) {
        slow[i] = client_open(f);
        client_send(slow[i], GET("/endless"));
    }
    fd = client_open(f);
    do { /* until nothing more is made for them */
        before = atomic_load(&n_pieces);
        for (int i = 0; i < 200; i++) {
            client_send(fd, GET("/echo?quick"));
            check_reply(fd, 200, "quick");
        }
    } while (before == 0 || before != atomic_load(&n_pieces));
    /* The kernel takes some 200 KiB a socket, one piece waits. */
    assert_true(before <= N_SLOW * 8);
    for (int i = 0; i < N_SLOW; i++)
        (void)close(slow[i]);
    while (atomic_load(&n_streams) != 0)
        wait_a_little();
    (void)close(fd);
}

static void watchers_that_wait_for_news_occupy_no_worker(void **state)
{
    enum { N_WATCHERS = 50 };
    fixture *f = *state;
    int watchers[N_WATCHERS];
    int fd;

    server_start_ready(f);
    for (int i = 0; i < N_WATCHERS; i++) {
        watchers[i] = client_open(f);
        client_send(watchers[i], GET("/watch"));
    }
    while (atomic_load(&n_streams) != N_WATCHERS)
        wait_a_little();
    fd = client_open(f);
    for (int i = 0; i < 50; i++) {
        client_send(fd, GET("/echo?still"));
        check_reply(fd, 200, "still");
    }
    (void)close(watchers[0]); /* one does not wait for the end */
    atomic_store(&news, true);
    for (int i = 1; i < N_WATCHERS; i++) {
        check_reply(watchers[i], 200, "news");
        (void)close(watchers[i]);
    }
    while (atomic_load(&n_streams) != 0)
        wait_a_little();
    (void)close(fd);
}

/* ---- bodies to files -------------------------------------------------------------------- */

/* Sends `n` bytes of i % 251 in chunks of 100,000. */
static void client_send_upload(int fd, size_t n, bool is_ended)
{
    static char bytes[100000];
    char prefix[32];
    size_t at = 0;

    while (at < n) {
        size_t len = n - at < sizeof(bytes) ? n - at : sizeof(bytes);

        for (size_t i = 0; i < len; i++)
            bytes[i] = (char)((at + i) % 251);
        (void)snprintf(prefix, sizeof(prefix), "%zx\r\n", len);
        client_send(fd, prefix);
        client_send_bytes(fd, bytes, len);
        client_send(fd, "\r\n");
        at += len;
    }
    if (is_ended)
        client_send(fd, "0\r\n\r\n");
}

static void a_large_body_comes_as_a_file(void **state)
{
    const size_t n = 7 * MIB + 3;
    fixture *f = *state;
    char expected[64];
    unsigned long sum = 0;
    int fd;

    for (size_t i = 0; i < n; i++)
        sum += i % 251;
    (void)snprintf(expected, sizeof(expected), "%zu %lu", n, sum);
    server_start_ready(f);
    fd = client_open(f);
    client_send(fd, POST("/upload") "Transfer-Encoding: chunked\r\n\r\n");
    client_send_upload(fd, n, true);
    check_reply(fd, 200, expected);
    client_send(fd, POST("/upload") "Content-Length: 0\r\n\r\n");
    check_reply(fd, 200, "0 0");
    client_send(fd, GET("/echo?next"));
    check_reply(fd, 200, "next");
    (void)close(fd);
}

static void the_file_of_a_failed_upload_is_removed(void **state)
{
    fixture *f = *state;
    int fd;

    server_start_ready(f);
    fd = client_open(f);
    client_send(fd, POST("/upload?fails") "Content-Length: 2\r\n\r\nab");
    check_reply(fd, 400, "the file is no table");
    while (count_files(f->dir) != 0)
        wait_a_little();
    (void)close(fd);
    fd = client_open(f);
    client_send(fd, POST("/upload") "Transfer-Encoding: chunked\r\n\r\n");
    client_send_upload(fd, 3 * MIB, false);
    while (count_files(f->dir) != 1)
        wait_a_little();
    (void)close(fd); /* in the middle of it */
    while (count_files(f->dir) != 0)
        wait_a_little();
}

static void an_upload_that_cannot_be_stored_is_500(void **state)
{
    static char nowhere[] = "/nonexistent";
    fixture *f = *state;
    int fd;

    f->service.upload_dir = nowhere;
    server_start_ready(f);
    fd = client_open(f);
    client_send(fd, POST("/upload") "Content-Length: 2\r\n\r\nab");
    check_reply(fd, 500, "could not make a file for the upload");
    (void)close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SERVER_TEST(one_connection_serves_many_requests),
        SERVER_TEST(pipelined_requests_are_answered_in_order),
        SERVER_TEST(a_client_that_only_sends_is_read_no_further),
        SERVER_TEST(a_client_may_close_after_one_answer),
        SERVER_TEST(what_is_refused_by_its_head),
        SERVER_TEST(a_body_that_is_not_needed_needs_no_length),
        SERVER_TEST(an_answer_to_head_has_no_body),
        SERVER_TEST(a_body_is_asked_for_when_the_head_is_accepted),
        SERVER_TEST(a_body_that_grows_too_large_is_refused),
        SERVER_TEST(a_stream_comes_whole),
        SERVER_TEST(a_stream_that_fails_is_cut_off),
        SERVER_TEST(slow_readers_hold_one_piece_and_nobody_up),
        SERVER_TEST(watchers_that_wait_for_news_occupy_no_worker),
        SERVER_TEST(a_large_body_comes_as_a_file),
        SERVER_TEST(the_file_of_a_failed_upload_is_removed),
        SERVER_TEST(an_upload_that_cannot_be_stored_is_500),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
