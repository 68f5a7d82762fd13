/* tests/daemon/server_fixture.c — see server_fixture.h. The routes, the handlers
 * and the metrics here take the place of linkd's own. */
#include "tests/daemon/server_fixture.h"

#include <dirent.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

/* ---- what handlers and tests share ------------------------------------------ */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
bool gate_is_open;    /* /wait goes on; guarded by lock */
bool load_is_allowed; /* guarded by lock */
atomic_int n_waiting; /* handlers at the gate */
atomic_int n_stopped; /* of these, that were told to stop */
atomic_int n_waited;  /* that passed the gate */
atomic_int n_pieces;  /* made by streams */
atomic_int n_streams; /* that are not freed yet */
atomic_bool news;     /* for /watch */
atomic_int n_counted; /* requests, by the metrics */
atomic_int n_refused; /* likewise */
atomic_int n_connections;
atomic_int last_status;

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

#define ROUTE_OF(method, path, handler, lane, max, to_file, schema)            \
 {                                                                             \
  method, path, handler, LK_ROLE_READ, lane, max, to_file, "", "", schema,     \
      NULL                                                                     \
 }
#define ROUTE(method, path, handler, lane, max, to_file)                       \
 ROUTE_OF(method, path, handler, lane, max, to_file, NULL)

const lk_route lk_routes[] = {
    ROUTE(LK_GET, "/health", handle_health, LK_LANE_LOOP, 0, false),
    ROUTE(LK_GET, "/echo", handle_echo, LK_LANE_READ, 0, false),
    ROUTE_OF(LK_POST, "/echo", handle_echo, LK_LANE_WRITE, BODY_MAX, false,
             "{}"),
    ROUTE(LK_PUT, "/echo", handle_echo, LK_LANE_WRITE, BODY_MAX, false),
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

void flag_set(bool *flag)
{
    pthread_mutex_lock(&lock);
    *flag = true;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

static int n_waits;

void wait_a_little(void)
{
    assert_true(n_waits++ < PATIENCE_MS);
    (void)poll(NULL, 0, 1);
}

int server_setup(void **state)
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

void server_begin(fixture *f)
{
    assert_int_equal(pthread_create(&f->thread, NULL, server_main, f), 0);
    f->is_running = true;
}

void server_start(fixture *f)
{
    struct stat st;

    server_begin(f);
    while (stat(f->socket, &st) != 0)
        wait_a_little();
}

void server_start_ready(fixture *f)
{
    load_is_allowed = true;
    server_start(f);
    while (atomic_load(&f->service.phase) != LK_PHASE_READY)
        wait_a_little();
}

void server_join(fixture *f)
{
    assert_int_equal(pthread_join(f->thread, NULL), 0);
    f->is_running = false;
}

size_t count_files(const char *dir)
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

int server_teardown(void **state)
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

int client_try(const fixture *f)
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

int client_open(const fixture *f)
{
    int fd;

    while ((fd = client_try(f)) < 0)
        wait_a_little();
    return fd;
}

void client_send_bytes(int fd, const char *bytes, size_t len)
{
    size_t done = 0;

    while (done < len) {
        ssize_t n = send(fd, bytes + done, len - done, MSG_NOSIGNAL);

        assert_true(n > 0);
        done += (size_t)n;
    }
}

void client_send(int fd, const char *text)
{
    client_send_bytes(fd, text, strlen(text));
}

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

bool client_read_body(int fd, lk_buf *body, size_t len)
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

void client_receive(int fd, reply *ret)
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

void check_reply(int fd, int status, const char *body)
{
    reply r = {0};

    client_receive(fd, &r);
    assert_int_equal(r.status, status);
    assert_true(r.is_whole);
    if (strstr(r.body.data != NULL ? r.body.data : "", body) == NULL)
        fail_msg("\"%s\" does not have \"%s\"", r.body.data, body);
    lk_buf_clear(&r.body);
}

bool client_is_closed(int fd)
{
    char c;

    return client_read(fd, &c, 1) == 0;
}
