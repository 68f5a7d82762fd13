/* daemon/answer.c — the way of an answer into the socket.
 *
 * A plain answer is a head and a body, written together. One that is made piece
 * by piece alternates between a worker and the socket: the next piece is not
 * asked for before the socket has taken the last, so that a slow reader holds
 * one piece. What has nothing to say yet waits on the connection's timer and
 * occupies no worker.
 *
 *   head + body ─► written ─┬─────────────────────► the connection goes on
 *                      ▲    └─ stream: WAIT ─► worker: next piece ─┐
 *                      └───────────────────────────────────────────┘
 *
 * The socket is tried first; libuv's queue gets what did not fit. There is never
 * more than one write in it, so that its length shows whether the client
 * reads. */
#include "daemon/answer.h"

#include <string.h>

static void on_piece(lk_work *work);

void lk_answer_ask_stream(lk_connection *connection)
{
    lk_exchange *exchange = connection->exchange;

    lk_buf_clear(&exchange->response.body); /* written: the first piece */
    exchange->work.run = lk_exchange_run_stream;
    exchange->work.done_cb = on_piece;
    lk_workers_resubmit(connection->hub->workers, LK_LANE_READ,
                        &exchange->work);
    lk_connection_set_state(connection, LK_RUN);
}

static void on_written(lk_connection *connection)
{
    const lk_exchange *exchange = connection->exchange;

    if (!exchange->is_stream || exchange->stream_state == LK_STREAM_END)
        lk_connection_go_on(connection);
    else if (exchange->stream_state == LK_STREAM_MORE)
        lk_answer_ask_stream(connection);
    else if (connection->hub->is_draining)
        lk_connection_close(connection);
    else
        lk_connection_set_state(connection, LK_WAIT);
}

static void on_write(uv_write_t *write, int status)
{
    lk_connection *connection = write->data;

    if (connection->state == LK_CLOSED)
        return;
    if (status < 0)
        lk_connection_close(connection);
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
        lk_connection_close(connection);
        return;
    }
    n = bufs_skip(bufs, n, rc > 0 ? (size_t)rc : 0);
    if (n == 0) {
        on_written(connection);
        return;
    }
    exchange->write.data = connection;
    lk_connection_set_state(connection, LK_WRITE);
    if (uv_write(&exchange->write, stream, bufs, n, on_write) != 0)
        lk_connection_close(connection);
    else
        connection->n_queued = uv_stream_get_write_queue_size(stream);
}

void lk_answer_check_progress(lk_connection *connection)
{
    size_t n = uv_stream_get_write_queue_size(&connection->socket.stream);

    if (n == connection->n_queued) {
        lk_connection_close(connection);
        return;
    }
    connection->n_queued = n;
    lk_connection_set_state(connection, LK_WRITE);
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
    lk_connection *connection = lk_connection_reclaim(work);
    unsigned int n;
    uv_buf_t bufs[4];

    if (connection == NULL)
        return;
    if (exchange->rc != LINKD_OK) {
        lk_log(LK_LOG_WARN, "an answer was cut off: %s", exchange->err.message);
        lk_connection_close(connection);
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

void lk_answer_send(lk_connection *connection)
{
    lk_exchange *exchange = connection->exchange;
    unsigned int n = 0;
    uv_buf_t bufs[4];

    if (exchange->response.status == 0)
        exchange->response.status = 200;
    if (exchange->read_ns > 0)
        exchange->seconds = lk_clock_seconds_since(exchange->read_ns);
    lk_exchange_charge_answer(exchange);
    if (put_head(connection) != LINKD_OK) {
        lk_connection_close(connection);
        return;
    }
    count(exchange);
    bufs[n++] =
        (uv_buf_t){.base = exchange->head.data, .len = exchange->head.len};
    if (!connection->http.is_head)
        n = put_piece(exchange, &exchange->response.body, bufs, n);
    write_bufs(connection, bufs, n);
}

void lk_answer_put_continue(lk_connection *connection)
{
    static char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
    uv_buf_t buf = uv_buf_init(text, sizeof(text) - 1);

    /* It has read its last answer, or it would not wait: there is room. */
    if (uv_try_write(&connection->socket.stream, &buf, 1) != (int)buf.len)
        lk_connection_close(connection);
}
