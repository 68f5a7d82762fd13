/* tests/daemon/test_server.c — the server with routes of its own, driven over
 * its socket as clients do.
 *
 * The server runs on a thread of this process, so that a test can hold up a
 * handler at a gate and look at what it was told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <dirent.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/server.h"

#define KIB         ((size_t)1 << 10)
#define MIB         ((size_t)1 << 20)
#define PIECE_BYTES (64 * KIB)
#define N_STREAM    40 /* pieces of /stream */
#define PATIENCE_MS 20000
#define BODY_MAX    (2 * MIB)
#define N_IMPATIENT (LK_QUEUE_MAX + 8)
#define HOST        "Host: a\r\n"
#define GET(path)   "GET " path " HTTP/1.1\r\n" HOST "\r\n"
#define POST(path)  "POST " path " HTTP/1.1\r\n" HOST

/* ---- what handlers and tests share ------------------------------------------ */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool gate_is_open;    /* /wait goes on; guarded by lock */
static bool load_is_allowed; /* guarded by lock */
static atomic_int n_waiting; /* handlers at the gate */
static atomic_int n_stopped; /* of these, that were told to stop */
static atomic_int n_waited;  /* that passed the gate */
static atomic_int n_pieces;  /* made by streams */
static atomic_int n_streams; /* that are not freed yet */
static atomic_bool news;     /* for /watch */
static atomic_int n_counted; /* requests, by the metrics */
static atomic_int n_refused; /* likewise */
static atomic_int n_connections;
static atomic_int last_status;

/* Metrics that a test can look at. */
void lk_metrics_count_request(lk_metrics *metrics, size_t route, int status,
                              double seconds)
{
    (void)metrics;
    assert_true(route <= lk_n_routes && seconds >= 0.0);
    atomic_store(&last_status, status);
    atomic_fetch_add(&n_counted, 1);
}

void lk_metrics_count_refused(lk_metrics *metrics)
{
    (void)metrics;
    atomic_fetch_add(&n_refused, 1);
}

void lk_metrics_add_connections(lk_metrics *metrics, int n)
{
    (void)metrics;
    atomic_fetch_add(&n_connections, n);
}

/* ---- handlers ---------------------------------------------------------------- */

static int handle_health(lk_service *service, lk_request *request,
                         lk_response *response, linkd_error *err)
{
    (void)request;
    return lk_buf_printf(&response->body, err, "phase %d",
                         atomic_load(&service->phase));
}

static int handle_echo(lk_service *service, lk_request *request,
                       lk_response *response, linkd_error *err)
{
    (void)service;
    if (request->method == LK_GET)
        return lk_buf_append(&response->body, request->query.bytes,
                             request->query.len, err);
    return lk_buf_append(&response->body, request->body.data, request->body.len,
                         err);
}

static int handle_wait(lk_service *service, lk_request *request,
                       lk_response *response, linkd_error *err)
{
    bool is_over = false;

    (void)service;
    atomic_fetch_add(&n_waiting, 1);
    pthread_mutex_lock(&lock);
    while (!gate_is_open && !is_over) {
        struct timespec until;

        (void)clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += 1000000;
        if (until.tv_nsec >= 1000000000) {
            until.tv_nsec -= 1000000000;
            until.tv_sec++;
        }
        (void)pthread_cond_timedwait(&changed, &lock, &until);
        is_over = lk_request_is_over(request);
    }
    pthread_mutex_unlock(&lock);
    atomic_fetch_sub(&n_waiting, 1);
    if (is_over) {
        atomic_fetch_add(&n_stopped, 1);
        return lk_fail(err, LINKD_E_CANCELLED, "told to stop");
    }
    atomic_fetch_add(&n_waited, 1);
    return lk_buf_printf(&response->body, err, "waited");
}

typedef struct pieces {
    int n_left; /* -1: for ever */
    bool fails; /* at the end */
} pieces;

static int next_piece(void *ctx, lk_buf *ret_chunk, lk_stream_state *ret_state,
                      linkd_error *err)
{
    static const char zeros[PIECE_BYTES];
    pieces *p = ctx;

    atomic_fetch_add(&n_pieces, 1);
    if (p->n_left == 0 && p->fails)
        return lk_fail(err, LINKD_E_IO, "the disk is gone");
    *ret_state = p->n_left == 0 ? LK_STREAM_END : LK_STREAM_MORE;
    if (p->n_left == 0)
        return LINKD_OK;
    if (p->n_left > 0)
        p->n_left--;
    return lk_buf_append(ret_chunk, zeros, sizeof(zeros), err);
}

static int next_news(void *ctx, lk_buf *ret_chunk, lk_stream_state *ret_state,
                     linkd_error *err)
{
    (void)ctx;
    *ret_state = atomic_load(&news) ? LK_STREAM_END : LK_STREAM_WAIT;
    return *ret_state == LK_STREAM_END
               ? lk_buf_append(ret_chunk, "news", 4, err)
               : LINKD_OK;
}

static void free_stream(void *ctx)
{
    free(ctx);
    atomic_fetch_sub(&n_streams, 1);
}

static int stream_answer(lk_response *response, int n, bool fails,
                         linkd_error *err)
{
    pieces *p = calloc(1, sizeof(*p));

    if (p == NULL)
        return lk_fail_nomem(err);
    *p = (pieces){n, fails};
    response->stream = (lk_stream){next_piece, free_stream, p};
    atomic_fetch_add(&n_streams, 1);
    return lk_buf_append(&response->body, "begin", 5, err);
}

static int handle_stream(lk_service *service, lk_request *request,
                         lk_response *response, linkd_error *err)
{
    (void)service;
    return stream_answer(response, N_STREAM, lk_str_is(request->query, "fails"),
                         err);
}

static int handle_endless(lk_service *service, lk_request *request,
                          lk_response *response, linkd_error *err)
{
    (void)service;
    (void)request;
    return stream_answer(response, -1, false, err);
}

static int handle_watch(lk_service *service, lk_request *request,
                        lk_response *response, linkd_error *err)
{
    (void)service;
    (void)request;
    (void)err;
    response->stream = (lk_stream){next_news, free_stream, NULL};
    atomic_fetch_add(&n_streams, 1);
    return LINKD_OK;
}

/* Answers with the length and the sum of the bytes; the query "fails" makes it
 * fail after that. */
static int handle_upload(lk_service *service, lk_request *request,
                         lk_response *response, linkd_error *err)
{
    FILE *file = fopen(request->body.data, "r");
    unsigned long sum = 0;
    unsigned long n = 0;
    int byte;

    (void)service;
    if (file == NULL)
        return lk_fail(err, LINKD_E_IO, "there is no file");
    while ((byte = getc(file)) != EOF) {
        sum += (unsigned long)byte;
        n++;
    }
    (void)fclose(file);
    if (lk_str_is(request->query, "fails"))
        return lk_fail(err, LINKD_E_ARG, "the file is no table");
    (void)unlink(request->body.data);
    return lk_buf_printf(&response->body, err, "%lu %lu", n, sum);
}

#define ROUTE(method, path, handler, lane, max, to_file)                       \
 {                                                                             \
  method, path, handler, LK_ROLE_READ, lane, max, to_file, "", "", NULL, NULL  \
 }

const lk_route lk_routes[] = {
    ROUTE(LK_GET, "/health", handle_health, LK_LANE_LOOP, 0, false),
    ROUTE(LK_GET, "/echo", handle_echo, LK_LANE_READ, 0, false),
    ROUTE(LK_POST, "/echo", handle_echo, LK_LANE_WRITE, BODY_MAX, false),
    ROUTE(LK_GET, "/wait", handle_wait, LK_LANE_READ, 0, false),
    ROUTE(LK_GET, "/stream", handle_stream, LK_LANE_READ, 0, false),
    ROUTE(LK_GET, "/endless", handle_endless, LK_LANE_READ, 0, false),
    ROUTE(LK_GET, "/watch", handle_watch, LK_LANE_READ, 0, false),
    ROUTE(LK_POST, "/upload", handle_upload, LK_LANE_WRITE, 64 * MIB, true),
};
const size_t lk_n_routes = sizeof(lk_routes) / sizeof(lk_routes[0]);

int lk_routes_find(lk_request *request, const lk_route **ret_route,
                   lk_buf *ret_allow, linkd_error *err)
{
    bool has_path = false;

    for (size_t i = 0; i < lk_n_routes; i++) {
        if (!lk_str_is(request->path, lk_routes[i].path))
            continue;
        has_path = true;
        if (lk_routes[i].method == request->method) {
            *ret_route = &lk_routes[i];
            return LINKD_OK;
        }
    }
    if (!has_path)
        return lk_fail(err, LINKD_E_ABSENT, "no such path");
    if (lk_buf_append(ret_allow, "GET, POST", 9, err) != LINKD_OK)
        return LINKD_E_NOMEM;
    return lk_fail(err, LINKD_E_CONFLICT, "no such method");
}

/* ---- the server on a thread --------------------------------------------------- */

typedef struct fixture {
    char dir[32];
    char socket[64];
    lk_config config;
    lk_service service;
    pthread_t thread;
    bool is_running;
    bool load_fails;
    int rc;
    linkd_error err;
} fixture;

static fixture *current; /* for load() */

static int load(lk_service *service, linkd_error *err)
{
    (void)service;
    pthread_mutex_lock(&lock);
    while (!load_is_allowed)
        (void)pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
    if (current->load_fails)
        return lk_fail(err, LINKD_E_DATA, "the store is damaged");
    return LINKD_OK;
}

static void *server_main(void *arg)
{
    fixture *f = arg;

    f->rc = lk_server_run(&f->service, load, &f->err);
    return NULL;
}

static void flag_set(bool *flag)
{
    pthread_mutex_lock(&lock);
    *flag = true;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

static int n_waits;

/* Between two looks at a condition: the only way in which these tests wait. */
static void wait_a_little(void)
{
    assert_true(n_waits++ < PATIENCE_MS);
    (void)poll(NULL, 0, 1);
}

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    strcpy(f->dir, "/tmp/linkd-test-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    (void)snprintf(f->socket, sizeof(f->socket), "%s/socket", f->dir);
    f->config = (lk_config){.data = f->dir,
                            .socket = f->socket,
                            .socket_mode = 0600,
                            .n_search_threads = 2,
                            .max_connections = 10000,
                            .max_body = 64 * MIB,
                            .max_upload = 64 * MIB,
                            .idle_timeout_ms = 60000,
                            .request_timeout_ms = 60000};
    f->service.config = &f->config;
    f->service.upload_dir = f->dir;
    n_waits = 0;
    gate_is_open = false;
    load_is_allowed = false;
    atomic_store(&news, false);
    atomic_store(&n_stopped, 0);
    atomic_store(&n_waited, 0);
    atomic_store(&n_pieces, 0);
    atomic_store(&n_counted, 0);
    atomic_store(&n_refused, 0);
    lk_log_init("test", LK_LOG_ERROR);
    current = f;
    *state = f;
    return 0;
}

static void server_start(fixture *f)
{
    struct stat st;

    assert_int_equal(pthread_create(&f->thread, NULL, server_main, f), 0);
    f->is_running = true;
    while (stat(f->socket, &st) != 0)
        wait_a_little();
}

static void server_start_ready(fixture *f)
{
    load_is_allowed = true;
    server_start(f);
    while (atomic_load(&f->service.phase) != LK_PHASE_READY)
        wait_a_little();
}

static void server_join(fixture *f)
{
    assert_int_equal(pthread_join(f->thread, NULL), 0);
    f->is_running = false;
}

static size_t count_files(const char *dir)
{
    DIR *stream = opendir(dir);
    const struct dirent *entry;
    size_t n = 0;

    assert_non_null(stream);
    while ((entry = readdir(stream)) != NULL)
        n += strncmp(entry->d_name, "upload-", 7) == 0;
    (void)closedir(stream);
    return n;
}

static int teardown(void **state)
{
    fixture *f = *state;

    flag_set(&load_is_allowed);
    flag_set(&gate_is_open);
    atomic_store(&news, true);
    if (f->is_running) {
        assert_int_equal(kill(getpid(), SIGTERM), 0);
        server_join(f);
    }
    assert_int_equal(f->rc, f->load_fails ? LINKD_E_DATA : LINKD_OK);
    assert_int_equal(atomic_load(&n_connections), 0);
    assert_int_equal(atomic_load(&n_streams), 0);
    assert_int_equal(count_files(f->dir), 0);
    assert_int_equal(rmdir(f->dir), 0); /* the socket is gone as well */
    free(f);
    return 0;
}

/* ---- clients -------------------------------------------------------------------- */

static int client_try(const fixture *f)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    strcpy(address.sun_path, f->socket);
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
        return fd;
    (void)close(fd);
    return -1;
}

static int client_open(const fixture *f)
{
    int fd;

    while ((fd = client_try(f)) < 0)
        wait_a_little();
    return fd;
}

static void client_send_bytes(int fd, const char *bytes, size_t len)
{
    size_t done = 0;

    while (done < len) {
        ssize_t n = send(fd, bytes + done, len - done, MSG_NOSIGNAL);

        assert_true(n > 0);
        done += (size_t)n;
    }
}

static void client_send(int fd, const char *text)
{
    client_send_bytes(fd, text, strlen(text));
}

typedef struct reply {
    int status;
    bool closes;
    bool is_whole; /* the body's end was seen */
    char head[1024];
    lk_buf body;
} reply;

/* 0 at the end of the stream; an aborted connection counts as that. */
static size_t client_read(int fd, char *bytes, size_t len)
{
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    ssize_t n;

    assert_int_equal(poll(&wait, 1, PATIENCE_MS), 1);
    n = recv(fd, bytes, len, 0);
    return n > 0 ? (size_t)n : 0;
}

/* One line without its end, as far as it fits. */
static bool client_read_line(int fd, char *line, size_t capacity)
{
    size_t n = 0;
    char c = '\0';

    while (client_read(fd, &c, 1) == 1 && c != '\n')
        if (c != '\r' && n + 1 < capacity)
            line[n++] = c;
    line[n] = '\0';
    return c == '\n';
}

static bool client_read_body(int fd, lk_buf *body, size_t len)
{
    char bytes[4096];

    while (len > 0) {
        size_t n =
            client_read(fd, bytes, len < sizeof(bytes) ? len : sizeof(bytes));

        if (n == 0)
            return false;
        assert_int_equal(lk_buf_append(body, bytes, n, NULL), LINKD_OK);
        len -= n;
    }
    return true;
}

static bool client_read_chunks(int fd, lk_buf *body)
{
    char line[64];

    while (client_read_line(fd, line, sizeof(line))) {
        size_t len = strtoul(line, NULL, 16);

        if (!client_read_body(fd, body, len) ||
            !client_read_line(fd, line, sizeof(line)))
            return false;
        if (len == 0)
            return true;
    }
    return false;
}

/* Reads one answer; status 0: there was none. */
static void client_receive(int fd, reply *ret)
{
    char line[256];
    size_t len = 0;
    bool is_chunked = false;

    ret->status = 0;
    ret->closes = false;
    ret->head[0] = '\0';
    lk_buf_reset(&ret->body);
    if (!client_read_line(fd, line, sizeof(line)))
        return;
    assert_memory_equal(line, "HTTP/1.1 ", 9);
    ret->status = (int)strtol(line + 9, NULL, 10);
    while (client_read_line(fd, line, sizeof(line)) && line[0] != '\0') {
        strncat(ret->head, line, sizeof(ret->head) - strlen(ret->head) - 1);
        ret->closes |= strcmp(line, "Connection: close") == 0;
        is_chunked |= strcmp(line, "Transfer-Encoding: chunked") == 0;
        if (strncmp(line, "Content-Length: ", 16) == 0)
            len = strtoul(line + 16, NULL, 10);
    }
    ret->is_whole = is_chunked ? client_read_chunks(fd, &ret->body)
                               : client_read_body(fd, &ret->body, len);
}

static void check_reply(int fd, int status, const char *body)
{
    reply r = {0};

    client_receive(fd, &r);
    assert_int_equal(r.status, status);
    assert_true(r.is_whole);
    if (strstr(r.body.data != NULL ? r.body.data : "", body) == NULL)
        fail_msg("\"%s\" does not have \"%s\"", r.body.data, body);
    lk_buf_clear(&r.body);
}

static bool client_is_closed(int fd)
{
    char c;

    return client_read(fd, &c, 1) == 0;
}

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
    assert_int_equal(pthread_create(&f->thread, NULL, server_main, f), 0);
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
    linkd_error err = {0};

    f->config.socket = nowhere;
    assert_int_not_equal(lk_server_run(&f->service, load, &err), LINKD_OK);
    assert_non_null(strstr(err.message, "/nonexistent/socket"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_connection_serves_many_requests),
        TEST(pipelined_requests_are_answered_in_order),
        TEST(a_client_that_only_sends_is_read_no_further),
        TEST(a_client_may_close_after_one_answer),
        TEST(what_is_refused_by_its_head),
        TEST(an_answer_to_head_has_no_body),
        TEST(a_body_is_asked_for_when_the_head_is_accepted),
        TEST(a_body_that_grows_too_large_is_refused),
        TEST(a_stream_comes_whole),
        TEST(a_stream_that_fails_is_cut_off),
        TEST(slow_readers_hold_one_piece_and_nobody_up),
        TEST(watchers_that_wait_for_news_occupy_no_worker),
        TEST(a_large_body_comes_as_a_file),
        TEST(the_file_of_a_failed_upload_is_removed),
        TEST(an_upload_that_cannot_be_stored_is_500),
        TEST(a_client_that_leaves_stops_its_handler),
        TEST(a_full_queue_is_503_and_the_rest_is_served),
        TEST(a_request_that_waited_too_long_is_504_and_not_run),
        TEST(a_handler_that_runs_too_long_is_504),
        TEST(one_connection_too_many_is_503),
        TEST(an_idle_connection_is_closed),
        TEST(health_is_answered_while_the_daemon_loads),
        TEST(a_failure_to_load_ends_the_server_with_it),
        TEST(sigterm_lets_requests_in_flight_finish),
        TEST(a_second_signal_stops_requests_in_flight),
        TEST(a_socket_that_cannot_be_made_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
