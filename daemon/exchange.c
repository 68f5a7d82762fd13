/* daemon/exchange.c — one request and its answer on their way through.
 *
 * The loop fills a request in and decides by its head whether it may go on; a
 * worker runs the handler; the loop writes the answer. Large bodies take a
 * detour over a file:
 *
 *   head ─► admit ─┬─► body in memory ───────────────────────┬─► handler
 *                  └─► body ─► upload (1 MiB at a time) ─► path ┘
 *
 * The file is the exchange's until the handler has succeeded, which has then
 * moved or removed it. */
#include "daemon/exchange.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/connection.h"

#define TIMEOUT_MAX_MS 3600000 /* guess: an hour; what takes longer is a job */
#define NS_PER_MS      1000000U

lk_exchange *lk_exchange_new(lk_connection *connection, lk_hub *hub)
{
    lk_exchange *exchange = calloc(1, sizeof(*exchange));

    if (exchange == NULL)
        return NULL;
    exchange->hub = hub;
    exchange->service = hub->service;
    exchange->connection = connection;
    exchange->request.method = LK_N_METHODS;
    exchange->upload_fd = -1;
    exchange->uid = -1;
    atomic_init(&exchange->request.stopped, false);
    hub->n_exchanges++;
    return exchange;
}

/* ---- admission ------------------------------------------------------------- */

/* Fails with a status that is not the error's usual one. */
static int refuse(lk_exchange *exchange, int status, const char *code,
                  const char *message)
{
    return lk_response_fail(
        &exchange->response, status, code,
        lk_fail(&exchange->err, LINKD_E_ARG, "%s", message));
}

static int find_route(lk_exchange *exchange)
{
    lk_response *response = &exchange->response;
    lk_buf allow = {0};
    int rc = lk_routes_find(&exchange->request, &exchange->route, &allow,
                            &exchange->err);

    if (rc == LINKD_E_CONFLICT) {
        rc = lk_response_fail(response, 405, "method_not_allowed", rc);
        if (lk_response_add_header(response, &exchange->request, "Allow",
                                   &exchange->err, "%s",
                                   allow.data) != LINKD_OK)
            rc = lk_response_fail(response, 503, "busy", LINKD_E_NOMEM);
    }
    lk_buf_clear(&allow);
    return rc;
}

static int check_role(lk_exchange *exchange, const lk_roles *roles,
                      const lk_peer *peer)
{
    lk_request *request = &exchange->request;
    linkd_str token = lk_request_header(request, "authorization");

    request->role = peer->is_tcp ? lk_roles_of_token(roles, token) : peer->role;
    if (request->role >= exchange->route->role)
        return LINKD_OK;
    if (peer->is_tcp && request->role == LK_ROLE_NONE) {
        if (lk_response_add_header(&exchange->response, request,
                                   "WWW-Authenticate", &exchange->err,
                                   "Bearer") != LINKD_OK)
            return LINKD_E_NOMEM;
        return refuse(exchange, 401, "unauthorized",
                      "a bearer token is needed");
    }
    return refuse(exchange, 403, "forbidden",
                  "this user may not make this request");
}

/* What the loop answers itself, it answers in every phase. */
static int check_phase(lk_exchange *exchange)
{
    int phase = atomic_load(&exchange->service->phase);

    if (phase == LK_PHASE_READY || exchange->route->lane == LK_LANE_LOOP)
        return LINKD_OK;
    return lk_fail(&exchange->err, LINKD_E_BUSY, "%s",
                   phase == LK_PHASE_LOADING ? "the daemon is starting"
                                             : "the daemon is stopping");
}

uint64_t lk_exchange_body_max(const lk_exchange *exchange)
{
    const lk_config *config = exchange->service->config;
    size_t max = exchange->route->max_body;
    size_t own =
        exchange->route->body_to_file ? config->max_upload : config->max_body;

    return max < own ? max : own;
}

/* Without a length there is no body, which is fine where none is needed. */
static bool needs_body(const lk_route *route)
{
    return route->request != NULL || route->body_to_file;
}

static int check_length(lk_exchange *exchange, const lk_http *http)
{
    uint64_t max = lk_exchange_body_max(exchange);

    if (http->has_body && max == 0)
        return refuse(exchange, 413, "too_large", "this request takes no body");
    if (http->body_len > max)
        return refuse(exchange, 413, "too_large", "the body is too large");
    if (needs_body(exchange->route) && !http->has_length)
        return refuse(exchange, 411, "length_required",
                      "the request needs a Content-Length");
    return LINKD_OK;
}

/* Until the request is complete, the deadline is how long it may take. */
static int read_timeout(lk_exchange *exchange)
{
    linkd_str text = lk_request_header(&exchange->request, "linkd-timeout-ms");
    uint64_t ms = 0;

    if (text.len == 0)
        ms = exchange->service->config->request_timeout_ms;
    for (size_t i = 0; i < text.len && ms <= TIMEOUT_MAX_MS; i++) {
        if (text.bytes[i] < '0' || text.bytes[i] > '9')
            return lk_fail(&exchange->err, LINKD_E_ARG,
                           "Linkd-Timeout-Ms is not a number");
        ms = ms * 10 + (uint64_t)(text.bytes[i] - '0');
    }
    if (ms < 1 || (text.len > 0 && ms > TIMEOUT_MAX_MS))
        return lk_fail(&exchange->err, LINKD_E_ARG,
                       "Linkd-Timeout-Ms is not in 1 ... %d", TIMEOUT_MAX_MS);
    exchange->request.deadline_ns = ms * NS_PER_MS;
    return LINKD_OK;
}

int lk_exchange_admit(lk_exchange *exchange, const lk_http *http,
                      const lk_roles *roles, const lk_peer *peer)
{
    int rc = find_route(exchange);

    if (rc == LINKD_OK)
        rc = check_role(exchange, roles, peer);
    if (rc == LINKD_OK)
        rc = check_phase(exchange);
    if (rc == LINKD_OK)
        rc = check_length(exchange, http);
    return rc == LINKD_OK ? read_timeout(exchange) : rc;
}

void lk_exchange_set_problem(lk_exchange *exchange)
{
    lk_response *response = &exchange->response;

    lk_response_set_problem(response, &exchange->err);
    if (response->status == 503 &&
        response->n_headers < LK_RESPONSE_HEADERS_MAX) {
        response->headers[response->n_headers].name = "Retry-After";
        response->headers[response->n_headers].value = "1";
        response->n_headers++;
    }
}

void lk_exchange_charge_answer(lk_exchange *exchange)
{
    lk_response *response = &exchange->response;
    lk_hub *hub = exchange->hub;
    bool is_small = response->body.capacity <= LK_ANSWER_SMALL_BYTES;

    if (!is_small && response->stream.next == NULL &&
        hub->n_answer_bytes + response->body.capacity > LK_ANSWERS_MAX_BYTES) {
        (void)lk_fail(&exchange->err, LINKD_E_BUSY,
                      "the answers that wait to be read are too large "
                      "together: try again later");
        lk_metrics_count_refused(exchange->service->metrics);
        lk_buf_clear(&response->body);
        response->code = NULL;
        response->n_headers = 0;
        lk_exchange_set_problem(exchange);
    }
    exchange->n_answer = response->body.capacity;
    hub->n_answer_bytes += exchange->n_answer;
}

/* ---- on workers ------------------------------------------------------------ */

/* A cancelled handler does not know why it was cancelled. */
static void explain_cancellation(lk_exchange *exchange)
{
    if (atomic_load(&exchange->request.stopped))
        (void)lk_fail(&exchange->err, LINKD_E_BUSY, "the daemon is stopping");
    else
        (void)lk_fail(&exchange->err, LINKD_E_CANCELLED,
                      "the time for this request ran out");
}

void lk_exchange_run_handler(lk_work *work)
{
    lk_exchange *exchange = (lk_exchange *)work;
    lk_request *request = &exchange->request;

    exchange->is_handled = true;
    if (lk_request_is_over(request))
        exchange->rc = LINKD_E_CANCELLED;
    else
        exchange->rc = exchange->route->handler(
            exchange->service, request, &exchange->response, &exchange->err);
    if (exchange->rc == LINKD_OK) {
        exchange->upload_path = NULL;
        return;
    }
    if (exchange->rc == LINKD_E_CANCELLED)
        explain_cancellation(exchange);
    exchange->err.code = exchange->rc;
    lk_exchange_set_problem(exchange);
}

/* work.run: clears away what must not be cleared away on the loop. */
static void run_clear(lk_work *work)
{
    lk_exchange *exchange = (lk_exchange *)work;
    lk_stream *stream = &exchange->response.stream;

    LK_OFF_LOOP();
    if (stream->next != NULL && stream->free != NULL)
        stream->free(stream->ctx);
    *stream = (lk_stream){0};
    if (exchange->upload_fd >= 0)
        (void)close(exchange->upload_fd);
    exchange->upload_fd = -1;
    if (exchange->upload_path != NULL)
        (void)unlink(exchange->upload_path);
    exchange->upload_path = NULL;
}

void lk_exchange_run_stream(lk_work *work)
{
    lk_exchange *exchange = (lk_exchange *)work;
    lk_stream *stream = &exchange->response.stream;

    LK_OFF_LOOP();
    lk_buf_reset(&exchange->chunk);
    exchange->rc = stream->next(stream->ctx, &exchange->chunk,
                                &exchange->stream_state, &exchange->err);
    if (exchange->rc != LINKD_OK || exchange->stream_state == LK_STREAM_END)
        run_clear(work);
}

static int upload_open(lk_exchange *exchange)
{
    char path[4096];
    int len;

    len = snprintf(path, sizeof(path), "%s/upload-XXXXXX",
                   exchange->service->upload_dir);
    if (len < 0 || (size_t)len >= sizeof(path))
        return lk_fail(&exchange->err, LINKD_E_IO,
                       "the data directory's path is too long");
    exchange->upload_fd = mkostemp(path, O_CLOEXEC);
    if (exchange->upload_fd < 0)
        return lk_fail(
            &exchange->err, errno == ENOSPC ? LINKD_E_FULL : LINKD_E_IO,
            "could not make a file for the upload: %s", strerror(errno));
    exchange->upload_path =
        lk_arena_copy(&exchange->request.arena, path, (size_t)len);
    if (exchange->upload_path == NULL) {
        (void)unlink(path);
        return lk_fail_nomem(&exchange->err);
    }
    return LINKD_OK;
}

static int upload_append(lk_exchange *exchange)
{
    const lk_buf *body = &exchange->request.body;
    size_t done = 0;

    while (done < body->len) {
        ssize_t n =
            write(exchange->upload_fd, body->data + done, body->len - done);

        if (n < 0 && errno != EINTR)
            return lk_fail(&exchange->err, lk_errno_code(errno),
                           "could not store the upload: %s", strerror(errno));
        if (n > 0)
            done += (size_t)n;
    }
    return LINKD_OK;
}

/* Some file systems report a full disk no earlier than at close(). */
static int upload_close(lk_exchange *exchange)
{
    int fd = exchange->upload_fd;

    exchange->upload_fd = -1;
    if (close(fd) != 0)
        return lk_fail(&exchange->err, lk_errno_code(errno),
                       "could not store the upload: %s", strerror(errno));
    return lk_buf_append(&exchange->request.body, exchange->upload_path,
                         strlen(exchange->upload_path), &exchange->err);
}

void lk_exchange_run_upload(lk_work *work)
{
    lk_exchange *exchange = (lk_exchange *)work;
    int rc = LINKD_OK;

    LK_OFF_LOOP();
    if (exchange->upload_fd < 0)
        rc = upload_open(exchange);
    if (rc == LINKD_OK)
        rc = upload_append(exchange);
    lk_buf_reset(&exchange->request.body);
    if (rc == LINKD_OK && exchange->upload_is_whole)
        rc = upload_close(exchange);
    exchange->rc = rc;
}

/* ---- the end -------------------------------------------------------------- */

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
    hub->n_answer_bytes -= exchange->n_answer;
    lk_buf_clear(&exchange->request.body);
    lk_buf_clear(&exchange->response.body);
    lk_buf_clear(&exchange->chunk);
    lk_buf_clear(&exchange->head);
    lk_arena_clear(&exchange->request.arena);
    free(exchange);
    hub->n_exchanges--;
    hub->quiet_cb(hub);
}

static void on_cleared(lk_work *work)
{
    exchange_end((lk_exchange *)work);
}

/* What must not be cleared away on the loop. */
static bool has_leavings(const lk_exchange *exchange)
{
    return exchange->response.stream.next != NULL || exchange->upload_fd >= 0 ||
           exchange->upload_path != NULL;
}

void lk_exchange_drop(lk_exchange *exchange)
{
    if (exchange == NULL)
        return;
    if (!has_leavings(exchange)) {
        exchange_end(exchange);
        return;
    }
    exchange->work.run = run_clear;
    exchange->work.done_cb = on_cleared;
    lk_workers_resubmit(exchange->hub->workers, LK_LANE_READ, &exchange->work);
}
