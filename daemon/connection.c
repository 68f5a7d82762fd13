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
 * Invariant: in RUN and SPOOL a worker has the exchange. If the connection is
 * closed then, the exchange is let go (connection is NULL) and clears itself away
 * when the worker is done. */
#include "daemon/answer.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define STREAM_WAIT_MS 100  /* of request.h */
#define LINGER_MS      2000 /* guess: an answer's way to a slow client */

static void on_timer(uv_timer_t *timer);
static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf);
static void watch(lk_connection *connection);
static void resume(lk_connection *connection);

/* ---- states ------------------------------------------------------------------ */

static uint64_t timeout_ms(const lk_connection *connection,
                           lk_connection_state state)
{
    switch (state) {
    case LK_IDLE:
        return connection->hub->service->config->idle_timeout_ms;
    case LK_HEAD:
        return LK_HEADERS_TIMEOUT_MS;
    case LK_BODY:
        return LK_BODY_TIMEOUT_MS;
    case LK_WAIT:
        return STREAM_WAIT_MS;
    case LK_WRITE:
        return LK_WRITE_TIMEOUT_MS;
    case LK_LINGER:
        return LINGER_MS;
    default:
        return 0; /* workers and close callbacks take the time they need */
    }
}

void lk_connection_set_state(lk_connection *connection,
                             lk_connection_state state)
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
    return connection->state == LK_IDLE || connection->state == LK_HEAD ||
           connection->state == LK_BODY;
}

static void on_closed(uv_handle_t *handle)
{
    lk_connection *connection = handle->data;
    lk_hub *hub = connection->hub;

    if (--connection->n_open_handles > 0)
        return;
    lk_exchange_drop(connection->exchange);
    lk_http_clear(&connection->http);
    lk_buf_clear(&connection->pending);
    free(connection);
    lk_metrics_add_connections(hub->service->metrics, -1);
    hub->n_connections--;
    hub->quiet_cb(hub);
}

/* What a worker has is let go; what the socket has comes back, by libuv's
 * promise, before on_closed(). */
void lk_connection_close(lk_connection *connection)
{
    lk_exchange *exchange = connection->exchange;

    if (connection->state == LK_CLOSED)
        return;
    if (connection->state == LK_RUN || connection->state == LK_SPOOL) {
        atomic_store(&exchange->request.stopped, true);
        exchange->connection = NULL;
        connection->exchange = NULL;
    }
    lk_connection_set_state(connection, LK_CLOSED);
    if (connection->prev != NULL)
        connection->prev->next = connection->next;
    else
        connection->hub->connections = connection->next;
    if (connection->next != NULL)
        connection->next->prev = connection->prev;
    uv_close((uv_handle_t *)&connection->timer, on_closed);
    uv_close(&connection->socket.any, on_closed);
}

/* ---- after an answer ----------------------------------------------------------- */

/* Tells the client that nothing more comes, and waits for it to have read all:
 * closing a socket that holds unread bytes would destroy the answer. */
static void linger(lk_connection *connection)
{
    uv_os_fd_t fd;

    lk_buf_clear(&connection->pending);
    lk_http_clear(&connection->http);
    if (uv_fileno(&connection->socket.any, &fd) == 0)
        (void)shutdown(fd, SHUT_WR);
    lk_connection_set_state(connection, LK_LINGER);
    watch(connection);
}

void lk_connection_go_on(lk_connection *connection)
{
    lk_exchange *exchange = connection->exchange;

    connection->exchange = NULL;
    lk_exchange_drop(exchange);
    if (connection->state == LK_CLOSED)
        return; /* it was the last one of a daemon that stops */
    if (!connection->keep_alive) {
        linger(connection);
        return;
    }
    lk_http_reset(&connection->http);
    lk_connection_set_state(connection, LK_IDLE);
    resume(connection);
}

/* ---- running ------------------------------------------------------------------- */

lk_connection *lk_connection_reclaim(lk_work *work)
{
    lk_exchange *exchange = (lk_exchange *)work;
    lk_connection *connection = exchange->connection;

    LK_ON_LOOP();
    if (connection == NULL)
        lk_exchange_drop(exchange);
    else /* not RUN any more: no worker has it */
        lk_connection_set_state(connection, LK_WRITE);
    return connection;
}

/* Answers with the error that is in the exchange. */
static void refuse(lk_connection *connection)
{
    lk_exchange_set_problem(connection->exchange);
    lk_answer_send(connection);
}

static void on_handled(lk_work *work)
{
    lk_connection *connection = lk_connection_reclaim(work);

    if (connection != NULL)
        lk_answer_send(connection);
}

static void run(lk_connection *connection)
{
    lk_exchange *exchange = connection->exchange;
    lk_lane lane = exchange->route->lane;

    exchange->work.run = lk_exchange_run_handler;
    exchange->work.done_cb = on_handled;
    if (lane == LK_LANE_LOOP) {
        lk_exchange_run_handler(&exchange->work);
        lk_answer_send(connection);
    } else if (lk_workers_submit(connection->hub->workers, lane,
                                 &exchange->work, &exchange->err) == LINKD_OK) {
        lk_connection_set_state(connection, LK_RUN);
    } else {
        lk_metrics_count_refused(exchange->service->metrics);
        refuse(connection);
    }
}

static void on_spooled(lk_work *work)
{
    lk_exchange *exchange = (lk_exchange *)work;
    lk_connection *connection = lk_connection_reclaim(work);

    if (connection == NULL)
        return;
    if (exchange->rc != LINKD_OK) {
        connection->keep_alive &= exchange->upload_is_whole;
        refuse(connection);
    } else if (exchange->upload_is_whole) {
        run(connection);
    } else {
        lk_connection_set_state(connection, LK_BODY);
        resume(connection);
    }
}

static void spool(lk_connection *connection)
{
    lk_exchange *exchange = connection->exchange;

    exchange->work.run = lk_exchange_run_upload;
    exchange->work.done_cb = on_spooled;
    lk_connection_set_state(connection, LK_SPOOL);
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

    if (wanted == connection->is_read || connection->state == LK_CLOSED)
        return;
    connection->is_read = wanted;
    if (!wanted)
        (void)uv_read_stop(&connection->socket.stream);
    else if (uv_read_start(&connection->socket.stream, on_alloc, on_read) != 0)
        lk_connection_close(connection);
}

static bool exchange_open(lk_connection *connection)
{
    lk_exchange *exchange = lk_exchange_new(connection, connection->hub);

    if (exchange == NULL) {
        lk_connection_close(connection);
        return false;
    }
    exchange->uid = connection->peer.uid;
    connection->exchange = exchange;
    return true;
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
        lk_connection_set_state(connection, LK_BODY);
        if (http->wants_100)
            lk_answer_put_continue(connection);
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
    else /* progress: the time begins anew */
        lk_connection_set_state(connection, LK_BODY);
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

    if (connection->state == LK_IDLE)
        lk_connection_set_state(connection, LK_HEAD);
    switch (lk_http_parse(http, bytes, len, &used)) {
    case LK_HTTP_MORE:
        if (connection->state == LK_BODY)
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
    if (connection->state == LK_IDLE)
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
        lk_connection_close(connection);
        return;
    }
    if (connection->state == LK_LINGER)
        return;
    if (connection->pending.len == 0)
        used = feed(connection, buf->base, (size_t)n);
    if (connection->state != LK_LINGER && connection->state != LK_CLOSED &&
        lk_buf_append(&connection->pending, buf->base + used, (size_t)n - used,
                      NULL) != LINKD_OK)
        lk_connection_close(connection);
    settle(connection);
}

static void on_timer(uv_timer_t *timer)
{
    lk_connection *connection = timer->data;

    switch (connection->state) {
    case LK_HEAD:
    case LK_BODY:
        give_up(connection, 408, "timeout", "the request came too slowly");
        break;
    case LK_WRITE:
        lk_answer_check_progress(connection);
        break;
    case LK_WAIT:
        lk_answer_ask_stream(connection);
        break;
    default:
        lk_connection_close(connection);
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
    lk_connection_close(connection);
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
        lk_connection_close(connection);
        return LINKD_OK; /* the client has left already */
    }
    find_peer(connection, is_tcp);
    if (hub->n_connections > hub->max_connections) {
        turn_away(connection);
        return LINKD_OK;
    }
    lk_connection_set_state(connection, LK_IDLE);
    watch(connection);
    return LINKD_OK;
}

void lk_connections_drain(lk_hub *hub)
{
    lk_connection *next;

    hub->is_draining = true;
    for (lk_connection *c = hub->connections; c != NULL; c = next) {
        next = c->next;
        if (c->state == LK_WAIT)
            lk_connection_close(c);
    }
}

void lk_connections_close(lk_hub *hub)
{
    while (hub->connections != NULL)
        lk_connection_close(hub->connections);
}
