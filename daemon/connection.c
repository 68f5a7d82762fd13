/* daemon/connection.c — one client's socket.
 *
 * A connection reads one request, has it answered, and goes on with the next:
 *
 *   IDLE ─► HEAD ─┬──────────────────────► RUN ─► WRITE ─┬─► IDLE
 *                 └─► BODY ◄─► SPOOL ─────►┘ ▲      │    └─► LINGER ─► CLOSED
 *                                            └ WAIT ◄ stream
 *
 * One timer serves all states, as each has one thing to wait for. Ten thousand
 * idle clients must fit, so an idle connection is this struct (about 1.5 KiB)
 * and nothing else: reads go into one buffer that all share and are parsed at
 * once, an exchange exists from a request's head to the end of its answer.
 *
 * It is read while its request runs, since that is how the loop learns that a
 * client has left. What arrives meanwhile is kept in `pending` up to a limit.
 * The end of the client's stream counts as leaving: HTTP clients do not close
 * one half, and a query for nobody would go on costing its full price.
 *
 * Answers in pieces are made one at a time: the next is not asked for before
 * the socket has taken the last, so that a slow reader holds one piece.
 *
 * Invariant: in RUN and SPOOL a worker has the exchange. If the connection is
 * closed then, the exchange is let go (connection is NULL) and clears itself away
 * when the worker is done. */
#include "daemon/connection.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define STREAM_WAIT_MS 100  /* of request.h */
#define LINGER_MS      2000 /* guess: an answer's way to a slow client */

typedef enum connection_state {
    IDLE,   /* nothing of a request has come */
    HEAD,   /* some of its head */
    BODY,   /* the head is accepted */
    SPOOL,  /* a worker stores a piece of the body */
    RUN,    /* a worker makes the answer or a piece of it */
    WRITE,  /* the socket takes it */
    WAIT,   /* the stream has nothing to say yet */
    LINGER, /* answered; what still comes is thrown away */
    CLOSED,
} connection_state;

struct lk_connection {
    lk_hub *hub;
    lk_connection *prev, *next;
    union {
        uv_handle_t any;
        uv_stream_t stream;
        uv_pipe_t pipe;
        uv_tcp_t tcp;
    } socket;
    uv_timer_t timer;
    int n_open_handles;
    connection_state state;
    bool is_read;    /* the loop watches the socket for bytes */
    bool is_feeding; /* feed() is on the stack */
    bool keep_alive; /* after the answer */
    lk_peer peer;
    lk_http http;
    lk_buf pending;  /* read, not parsed */
    size_t n_queued; /* bytes in the socket's queue when last looked at */
    lk_exchange *exchange;
};

static void on_timer(uv_timer_t *timer);
static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf);
static void watch(lk_connection *connection);
static void resume(lk_connection *connection);
static lk_connection *reclaim(lk_work *work);

/* ---- exchanges that end ----------------------------------------------------- */

static void exchange_log(const lk_exchange *exchange)
{
    static const char *const methods[] = {"GET", "PUT", "POST", "DELETE",
                                          "other"};
    const lk_request *request = &exchange->request;
    int status = exchange->response.status;

    if (exchange->n_written == 0)
        return; /* the client left before the answer */
    lk_log(status >= 500 ? LK_LOG_INFO : LK_LOG_DEBUG,
           "%s %.*s %d %" PRIu64 " bytes %.1f ms uid %" PRId64,
           methods[request->method], (int)request->path.len,
           request->path.len > 0 ? request->path.bytes : "", status,
           exchange->n_written, exchange->seconds * 1e3, exchange->uid);
}

static void exchange_end(lk_exchange *exchange)
{
    lk_hub *hub = exchange->hub;

    exchange_log(exchange);
    hub->n_body_bytes -= exchange->n_charged;
    lk_exchange_free(exchange);
    hub->n_exchanges--;
    hub->quiet_cb(hub);
}

static void on_cleared(lk_work *work)
{
    exchange_end((lk_exchange *)work);
}

/* The exchange is nobody's any more. */
static void exchange_drop(lk_exchange *exchange)
{
    if (exchange == NULL)
        return;
    if (!lk_exchange_has_leavings(exchange)) {
        exchange_end(exchange);
        return;
    }
    exchange->work.run = lk_exchange_run_clear;
    exchange->work.done_cb = on_cleared;
    lk_workers_resubmit(exchange->hub->workers, LK_LANE_READ, &exchange->work);
}

/* ---- states ------------------------------------------------------------------ */

static uint64_t timeout_ms(const lk_connection *connection,
                           connection_state state)
{
    switch (state) {
    case IDLE:
        return connection->hub->service->config->idle_timeout_ms;
    case HEAD:
        return LK_HEADERS_TIMEOUT_MS;
    case BODY:
        return LK_BODY_TIMEOUT_MS;
    case WRITE:
        return LK_WRITE_TIMEOUT_MS;
    case WAIT:
        return STREAM_WAIT_MS;
    case LINGER:
        return LINGER_MS;
    default:
        return 0; /* workers and close callbacks take the time they need */
    }
}

static void set_state(lk_connection *connection, connection_state state)
{
    uint64_t ms = timeout_ms(connection, state);

    connection->state = state;
    if (ms > 0)
        (void)uv_timer_start(&connection->timer, on_timer, ms, 0);
    else
        (void)uv_timer_stop(&connection->timer);
}

static bool is_parsing(const lk_connection *connection)
{
    return connection->state == IDLE || connection->state == HEAD ||
           connection->state == BODY;
}

static void on_closed(uv_handle_t *handle)
{
    lk_connection *connection = handle->data;
    lk_hub *hub = connection->hub;

    if (--connection->n_open_handles > 0)
        return;
    exchange_drop(connection->exchange);
    lk_http_clear(&connection->http);
    lk_buf_clear(&connection->pending);
    free(connection);
    lk_metrics_add_connections(hub->service->metrics, -1);
    hub->n_connections--;
    hub->quiet_cb(hub);
}

/* What a worker has is let go; what the socket has comes back, by libuv's
 * promise, before on_closed(). */
static void connection_close(lk_connection *connection)
{
    lk_exchange *exchange = connection->exchange;

    if (connection->state == CLOSED)
        return;
    if (connection->state == RUN || connection->state == SPOOL) {
        atomic_store(&exchange->request.stopped, true);
        exchange->connection = NULL;
        connection->exchange = NULL;
    }
    set_state(connection, CLOSED);
    if (connection->prev != NULL)
        connection->prev->next = connection->next;
    else
        connection->hub->connections = connection->next;
    if (connection->next != NULL)
        connection->next->prev = connection->prev;
    uv_close((uv_handle_t *)&connection->timer, on_closed);
    uv_close(&connection->socket.any, on_closed);
}

/* ---- writing ------------------------------------------------------------------ */

/* Tells the client that nothing more comes, and waits for it to have read all:
 * closing a socket that holds unread bytes would destroy the answer. */
static void linger(lk_connection *connection)
{
    uv_os_fd_t fd;

    lk_buf_clear(&connection->pending);
    lk_http_clear(&connection->http);
    if (uv_fileno(&connection->socket.any, &fd) == 0)
        (void)shutdown(fd, SHUT_WR);
    set_state(connection, LINGER);
    watch(connection);
}

static void finish(lk_connection *connection)
{
    lk_exchange *exchange = connection->exchange;

    connection->exchange = NULL;
    exchange_drop(exchange);
    if (connection->state == CLOSED)
        return; /* it was the last one of a daemon that stops */
    if (!connection->keep_alive) {
        linger(connection);
        return;
    }
    lk_http_reset(&connection->http);
    set_state(connection, IDLE);
    resume(connection);
}

static void on_piece(lk_work *work);

static void ask_stream(lk_connection *connection)
{
    lk_exchange *exchange = connection->exchange;

    exchange->work.run = lk_exchange_run_stream;
    exchange->work.done_cb = on_piece;
    lk_workers_resubmit(connection->hub->workers, LK_LANE_READ,
                        &exchange->work);
    set_state(connection, RUN);
}

static void on_written(lk_connection *connection)
{
    const lk_exchange *exchange = connection->exchange;

    if (!exchange->is_stream || exchange->stream_state == LK_STREAM_END)
        finish(connection);
    else if (exchange->stream_state == LK_STREAM_MORE)
        ask_stream(connection);
    else if (connection->hub->is_draining)
        connection_close(connection);
    else
        set_state(connection, WAIT);
}

static void on_write(uv_write_t *write, int status)
{
    lk_connection *connection = write->data;

    if (connection->state == CLOSED)
        return;
    if (status < 0)
        connection_close(connection);
    else
        on_written(connection);
}

/* Skips what is written already; returns how many buffers are left. */
static unsigned int bufs_skip(uv_buf_t *bufs, unsigned int n, size_t written)
{
    unsigned int first = 0;

    while (first < n && written >= bufs[first].len)
        written -= bufs[first++].len;
    if (first == n)
        return 0;
    bufs[first].base += written;
    bufs[first].len -= written;
    memmove(bufs, bufs + first, (n - first) * sizeof(*bufs));
    return n - first;
}

static void write_bufs(lk_connection *connection, uv_buf_t *bufs,
                       unsigned int n)
{
    lk_exchange *exchange = connection->exchange;
    uv_stream_t *stream = &connection->socket.stream;
    int rc;

    for (unsigned int i = 0; i < n; i++)
        exchange->n_written += bufs[i].len;
    rc = uv_try_write(stream, bufs, n);
    if (rc < 0 && rc != UV_EAGAIN) {
        connection_close(connection);
        return;
    }
    n = bufs_skip(bufs, n, rc > 0 ? (size_t)rc : 0);
    if (n == 0) {
        on_written(connection);
        return;
    }
    exchange->write.data = connection;
    set_state(connection, WRITE);
    if (uv_write(&exchange->write, stream, bufs, n, on_write) != 0)
        connection_close(connection);
    else
        connection->n_queued = uv_stream_get_write_queue_size(stream);
}

/* A slow reader is fine, one that reads nothing is not. */
static void check_write(lk_connection *connection)
{
    size_t n = uv_stream_get_write_queue_size(&connection->socket.stream);

    if (n == connection->n_queued) {
        connection_close(connection);
        return;
    }
    connection->n_queued = n;
    set_state(connection, WRITE);
}

/* Adds a piece of the body, as a chunk if the answer is chunked; at least three
 * buffers must be free. */
static unsigned int put_piece(lk_exchange *exchange, const lk_buf *piece,
                              uv_buf_t *bufs, unsigned int n)
{
    static char line_end[] = "\r\n";
    size_t len;

    if (piece->len == 0)
        return n; /* as a chunk it would be the last */
    if (exchange->is_chunked) {
        len = lk_http_put_chunk_prefix(exchange->chunk_prefix, piece->len);
        bufs[n++] = uv_buf_init(exchange->chunk_prefix, (unsigned int)len);
    }
    bufs[n++] = (uv_buf_t){.base = piece->data, .len = piece->len};
    if (exchange->is_chunked)
        bufs[n++] = uv_buf_init(line_end, sizeof(line_end) - 1);
    return n;
}

/* A worker has made the stream's next piece. */
static void on_piece(lk_work *work)
{
    static char last_chunk[] = LK_HTTP_LAST_CHUNK;
    lk_exchange *exchange = (lk_exchange *)work;
    lk_connection *connection = reclaim(work);
    unsigned int n;
    uv_buf_t bufs[4];

    if (connection == NULL)
        return;
    if (exchange->rc != LINKD_OK) {
        lk_log(LK_LOG_WARN, "an answer was cut off: %s", exchange->err.message);
        connection_close(connection);
        return;
    }
    n = put_piece(exchange, &exchange->chunk, bufs, 0);
    if (exchange->is_chunked && exchange->stream_state == LK_STREAM_END)
        bufs[n++] = uv_buf_init(last_chunk, sizeof(last_chunk) - 1);
    if (n > 0)
        write_bufs(connection, bufs, n);
    else
        on_written(connection);
}

/* Status line and headers; an answer whose headers cannot be sent becomes a
 * problem. */
static int put_head(lk_connection *connection)
{
    lk_exchange *exchange = connection->exchange;
    lk_response *response = &exchange->response;
    lk_http_framing framing = LK_HTTP_LENGTH;
    int rc;

    exchange->is_stream = response->stream.next != NULL;
    exchange->is_chunked = exchange->is_stream && !connection->http.is_http_1_0;
    if (exchange->is_stream)
        framing = exchange->is_chunked ? LK_HTTP_CHUNKED : LK_HTTP_UNTIL_CLOSE;
    if (framing == LK_HTTP_UNTIL_CLOSE || connection->hub->is_draining)
        connection->keep_alive = false;
    rc = lk_http_put_head(&exchange->head, response, framing,
                          connection->keep_alive, time(NULL), &exchange->err);
    if (rc == LINKD_OK || exchange->is_stream)
        return rc;
    lk_buf_reset(&exchange->head);
    response->n_headers = 0;
    lk_exchange_set_problem(exchange);
    return lk_http_put_head(&exchange->head, response, framing,
                            connection->keep_alive, time(NULL), NULL);
}

static void count(const lk_exchange *exchange)
{
    size_t route = exchange->route != NULL
                       ? (size_t)(exchange->route - lk_routes)
                       : lk_n_routes;

    lk_metrics_count_request(exchange->service->metrics, route,
                             exchange->response.status, exchange->seconds);
}

/* The response is made: sends it, or its beginning if it is a stream. */
static void answer(lk_connection *connection)
{
    lk_exchange *exchange = connection->exchange;
    unsigned int n = 0;
    uv_buf_t bufs[4];

    if (exchange->response.status == 0)
        exchange->response.status = 200;
    if (exchange->read_ns > 0)
        exchange->seconds = lk_clock_seconds_since(exchange->read_ns);
    if (put_head(connection) != LINKD_OK) {
        connection_close(connection);
        return;
    }
    count(exchange);
    bufs[n++] =
        (uv_buf_t){.base = exchange->head.data, .len = exchange->head.len};
    if (!connection->http.is_head)
        n = put_piece(exchange, &exchange->response.body, bufs, n);
    write_bufs(connection, bufs, n);
}

/* ---- running ------------------------------------------------------------------- */

/* The connection of an exchange that comes back from a worker; NULL: the client
 * left meanwhile, and the exchange is dropped. */
static lk_connection *reclaim(lk_work *work)
{
    lk_exchange *exchange = (lk_exchange *)work;
    lk_connection *connection = exchange->connection;

    LK_ON_LOOP();
    if (connection == NULL)
        exchange_drop(exchange);
    else
        set_state(connection, WRITE); /* no worker has it now */
    return connection;
}

/* Answers with the error that is in the exchange. */
static void refuse(lk_connection *connection)
{
    lk_exchange_set_problem(connection->exchange);
    answer(connection);
}

static void on_handled(lk_work *work)
{
    lk_connection *connection = reclaim(work);

    if (connection != NULL)
        answer(connection);
}

static void run(lk_connection *connection)
{
    lk_exchange *exchange = connection->exchange;
    lk_lane lane = exchange->route->lane;

    exchange->work.run = lk_exchange_run_handler;
    exchange->work.done_cb = on_handled;
    if (lane == LK_LANE_LOOP) {
        lk_exchange_run_handler(&exchange->work);
        answer(connection);
    } else if (lk_workers_submit(connection->hub->workers, lane,
                                 &exchange->work, &exchange->err) == LINKD_OK) {
        set_state(connection, RUN);
    } else {
        lk_metrics_count_refused(exchange->service->metrics);
        refuse(connection);
    }
}

static void on_spooled(lk_work *work)
{
    lk_exchange *exchange = (lk_exchange *)work;
    lk_connection *connection = reclaim(work);

    if (connection == NULL)
        return;
    if (exchange->rc != LINKD_OK) {
        connection->keep_alive &= exchange->upload_is_whole;
        refuse(connection);
    } else if (exchange->upload_is_whole) {
        run(connection);
    } else {
        set_state(connection, BODY);
        resume(connection);
    }
}

static void spool(lk_connection *connection)
{
    lk_exchange *exchange = connection->exchange;

    exchange->work.run = lk_exchange_run_upload;
    exchange->work.done_cb = on_spooled;
    set_state(connection, SPOOL);
    lk_workers_resubmit(connection->hub->workers, LK_LANE_WRITE,
                        &exchange->work);
}

/* ---- reading ------------------------------------------------------------------- */

static void on_alloc(uv_handle_t *handle, size_t size, uv_buf_t *ret_buf)
{
    lk_connection *connection = handle->data;

    (void)size;
    *ret_buf = uv_buf_init(connection->hub->read_buffer, LK_READ_BYTES);
}

/* Reads on unless enough is waiting to be parsed. */
static void watch(lk_connection *connection)
{
    bool wanted = connection->pending.len < LK_READ_BYTES;

    if (wanted == connection->is_read || connection->state == CLOSED)
        return;
    connection->is_read = wanted;
    if (!wanted)
        (void)uv_read_stop(&connection->socket.stream);
    else if (uv_read_start(&connection->socket.stream, on_alloc, on_read) != 0)
        connection_close(connection);
}

static bool exchange_open(lk_connection *connection)
{
    lk_exchange *exchange =
        lk_exchange_new(connection->hub, connection->hub->service);

    if (exchange == NULL) {
        connection_close(connection);
        return false;
    }
    exchange->connection = connection;
    exchange->uid = connection->peer.uid;
    exchange->request.method = LK_N_METHODS;
    connection->exchange = exchange;
    connection->hub->n_exchanges++;
    return true;
}

/* The client waits for this before it sends a body. */
static void send_continue(lk_connection *connection)
{
    static char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
    uv_buf_t buf = uv_buf_init(text, sizeof(text) - 1);

    /* It has read its last answer, or it would not wait: there is room. */
    if (uv_try_write(&connection->socket.stream, &buf, 1) != (int)buf.len)
        connection_close(connection);
}

/* All of the request has come. */
static void on_request(lk_connection *connection)
{
    lk_exchange *exchange = connection->exchange;

    exchange->read_ns = lk_clock_ns();
    exchange->request.deadline_ns += exchange->read_ns;
    exchange->upload_is_whole = exchange->route->body_to_file;
    if (exchange->upload_is_whole)
        spool(connection);
    else
        run(connection);
}

static void on_head(lk_connection *connection)
{
    lk_http *http = &connection->http;
    lk_exchange *exchange;
    int rc;

    if (!exchange_open(connection))
        return;
    exchange = connection->exchange;
    connection->keep_alive = http->keep_alive;
    rc = lk_http_take_head(http, &exchange->request, &exchange->err);
    if (rc == LINKD_OK)
        rc = lk_exchange_admit(exchange, http, connection->hub->roles,
                               &connection->peer);
    if (rc != LINKD_OK) {
        connection->keep_alive &= !http->has_body;
        refuse(connection);
    } else if (!http->has_body) {
        on_request(connection);
    } else {
        lk_http_set_body(http, &exchange->request.body,
                         lk_exchange_body_max(exchange));
        set_state(connection, BODY);
        if (http->wants_100)
            send_continue(connection);
    }
}

/* Whether the memory for bodies suffices; else the request is refused. */
static bool charge_body(lk_connection *connection)
{
    lk_exchange *exchange = connection->exchange;
    lk_hub *hub = connection->hub;
    size_t capacity = exchange->request.body.capacity;

    hub->n_body_bytes += capacity - exchange->n_charged;
    exchange->n_charged = capacity;
    if (hub->n_body_bytes <= LK_BODIES_MAX_BYTES)
        return true;
    (void)lk_fail(&exchange->err, LINKD_E_BUSY,
                  "the requests being read are too large together: try again "
                  "later");
    lk_buf_clear(&exchange->request.body);
    lk_metrics_count_refused(hub->service->metrics);
    connection->keep_alive = false;
    refuse(connection);
    return false;
}

static void on_body(lk_connection *connection)
{
    const lk_exchange *exchange = connection->exchange;

    if (!charge_body(connection))
        return;
    if (exchange->route->body_to_file &&
        exchange->request.body.len >= LK_UPLOAD_PIECE_BYTES)
        spool(connection);
    else
        set_state(connection, BODY); /* progress: the time begins anew */
}

/* Not HTTP, or too slow: says so and gives the connection up. */
static void give_up(lk_connection *connection, int status, const char *code,
                    const char *message)
{
    if (connection->exchange == NULL && !exchange_open(connection))
        return;
    connection->keep_alive = false;
    (void)lk_response_fail(
        &connection->exchange->response, status, code,
        lk_fail(&connection->exchange->err, LINKD_E_ARG, "%s", message));
    refuse(connection);
}

static size_t parse(lk_connection *connection, const char *bytes, size_t len)
{
    lk_http *http = &connection->http;
    size_t used;

    if (connection->state == IDLE)
        set_state(connection, HEAD);
    switch (lk_http_parse(http, bytes, len, &used)) {
    case LK_HTTP_MORE:
        if (connection->state == BODY)
            on_body(connection);
        break;
    case LK_HTTP_HEAD:
        on_head(connection);
        break;
    case LK_HTTP_END:
        if (charge_body(connection))
            on_request(connection);
        break;
    case LK_HTTP_BAD:
        give_up(connection, http->status, http->code, http->failure.message);
        break;
    }
    return used;
}

/* Parses as far as the connection's state allows; returns how far that was. */
static size_t feed(lk_connection *connection, const char *bytes, size_t len)
{
    size_t used = 0;

    connection->is_feeding = true;
    while (used < len && is_parsing(connection))
        used += parse(connection, bytes + used, len - used);
    connection->is_feeding = false;
    return used;
}

/* After some parsing: gives back memory that an idle connection does not need,
 * and reads on if there is room. */
static void settle(lk_connection *connection)
{
    if (connection->pending.len == 0)
        lk_buf_clear(&connection->pending);
    if (connection->state == IDLE)
        lk_http_clear(&connection->http);
    watch(connection);
}

/* Goes on with what has come while the connection was busy. */
static void resume(lk_connection *connection)
{
    lk_buf *pending = &connection->pending;
    size_t used;

    if (connection->is_feeding)
        return; /* feed() sees the new state itself */
    if (pending->len > 0) {
        used = feed(connection, pending->data, pending->len);
        if (pending->len > 0) {
            memmove(pending->data, pending->data + used, pending->len - used);
            pending->len -= used;
        }
    }
    settle(connection);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    lk_connection *connection = stream->data;
    size_t used = 0;

    LK_ON_LOOP();
    if (n < 0) {
        connection_close(connection);
        return;
    }
    if (connection->state == LINGER)
        return;
    if (connection->pending.len == 0)
        used = feed(connection, buf->base, (size_t)n);
    if (connection->state != LINGER && connection->state != CLOSED &&
        lk_buf_append(&connection->pending, buf->base + used, (size_t)n - used,
                      NULL) != LINKD_OK)
        connection_close(connection);
    settle(connection);
}

static void on_timer(uv_timer_t *timer)
{
    lk_connection *connection = timer->data;

    switch (connection->state) {
    case HEAD:
    case BODY:
        give_up(connection, 408, "timeout", "the request came too slowly");
        break;
    case WRITE:
        check_write(connection);
        break;
    case WAIT:
        ask_stream(connection);
        break;
    default:
        connection_close(connection);
    }
}

/* ---- opening ------------------------------------------------------------------- */

static void find_peer(lk_connection *connection, bool is_tcp)
{
    struct ucred credentials;
    socklen_t len = sizeof(credentials);
    linkd_error err;
    uv_os_fd_t fd;

    connection->peer = (lk_peer){is_tcp, LK_ROLE_NONE, -1};
    if (is_tcp) {
        (void)uv_tcp_nodelay(&connection->socket.tcp, 1);
        return;
    }
    if (uv_fileno(&connection->socket.any, &fd) != 0)
        return;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &len) == 0)
        connection->peer.uid = (int64_t)credentials.uid;
    if (lk_roles_of_peer(connection->hub->roles, fd, &connection->peer.role,
                         &err) != LINKD_OK)
        lk_log(LK_LOG_WARN, "a client has no role: %s", err.message);
}

/* One client too many gets an answer if it can be had for nothing. */
static void turn_away(lk_connection *connection)
{
    static char text[] =
        "HTTP/1.1 503 Service Unavailable\r\n"
        "Content-Type: application/problem+json\r\n"
        "Content-Length: 121\r\nRetry-After: 1\r\nConnection: close\r\n\r\n"
        "{\"type\":\"about:blank\",\"title\":\"Service Unavailable\","
        "\"status\":503,\"code\":\"busy\",\"detail\":\"too many connections "
        "are open\"}\n";
    uv_buf_t buf = uv_buf_init(text, sizeof(text) - 1);

    (void)uv_try_write(&connection->socket.stream, &buf, 1);
    lk_metrics_count_refused(connection->hub->service->metrics);
    connection_close(connection);
}

static void list_add(lk_hub *hub, lk_connection *connection)
{
    connection->next = hub->connections;
    if (hub->connections != NULL)
        hub->connections->prev = connection;
    hub->connections = connection;
    hub->n_connections++;
    lk_metrics_add_connections(hub->service->metrics, 1);
}

int lk_connection_accept(lk_hub *hub, uv_stream_t *listener, bool is_tcp,
                         linkd_error *err)
{
    lk_connection *connection = calloc(1, sizeof(*connection));

    LK_ON_LOOP();
    if (connection == NULL)
        return lk_fail_nomem(err);
    connection->hub = hub;
    lk_http_init(&connection->http);
    if (is_tcp)
        (void)uv_tcp_init(hub->loop, &connection->socket.tcp);
    else
        (void)uv_pipe_init(hub->loop, &connection->socket.pipe, 0);
    (void)uv_timer_init(hub->loop, &connection->timer);
    connection->socket.any.data = connection;
    connection->timer.data = connection;
    connection->n_open_handles = 2;
    list_add(hub, connection);
    if (uv_accept(listener, &connection->socket.stream) != 0) {
        connection_close(connection);
        return LINKD_OK; /* the client has left already */
    }
    find_peer(connection, is_tcp);
    if (hub->n_connections > hub->max_connections) {
        turn_away(connection);
        return LINKD_OK;
    }
    set_state(connection, IDLE);
    watch(connection);
    return LINKD_OK;
}

void lk_connections_drain(lk_hub *hub)
{
    lk_connection *next;

    hub->is_draining = true;
    for (lk_connection *c = hub->connections; c != NULL; c = next) {
        next = c->next;
        if (c->state == WAIT)
            connection_close(c);
    }
}

void lk_connections_close(lk_hub *hub)
{
    while (hub->connections != NULL)
        connection_close(hub->connections);
}
