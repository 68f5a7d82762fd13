/* How fast and how late a daemon on a Unix socket answers.
 *
 *   serve_load --socket PATH --target /v1/... --bodies FILE [OPTION]...
 *
 * Each line of FILE is the body of one POST; the lines are sent round and round
 * over N keep-alive connections, one request in flight on each. Two ways:
 *
 *   --rate 0   closed loop: a connection asks again as soon as it is answered.
 *              Gives the highest rate, and latencies that mean little.
 *   --rate R   open loop: requests fall due at random (Poisson) moments, R a
 *              second, whether or not the last was answered. One that finds
 *              all connections busy waits, and its latency counts from when it
 *              was due, not from when it was sent: else a stalled server would
 *              be asked less just when it is slow, and its stalls would not
 *              show ("coordinated omission").
 *
 * What falls due is a sequence, so no queue is kept: `due_ns` stays in the past
 * until a connection is free. --seconds 0 sends every line once instead, which
 * with --answers FILE collects the answers in order of lines, for recall.
 *
 * One thread and poll(): it shares two cores with the daemon, and a benchmark has
 * tens of connections. Understands what linkd answers, HTTP/1.1 with a
 * Content-Length, and nothing more. Prints one JSON object. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/base.h"

enum {
    MAX_CONNECTIONS = 4096,
    READ_BYTES = 65536,
    N_STATUSES = 600, /* HTTP's go up to 599 */
    DRAIN_SECONDS = 10,
};
#define SECOND_NS UINT64_C(1000000000)

typedef struct options {
    const char *socket_path, *target, *bodies_path, *answers_path;
    size_t n_connections;
    double rate, seconds, warmup_seconds;
} options;

/* All requests, head and body, one after the other. */
typedef struct request_list {
    lk_buf bytes;
    size_t *ends;
    size_t n_requests;
} request_list;

typedef struct connection {
    int fd;
    int busy;
    size_t request; /* of the script; meaningful while busy */
    size_t n_sent;
    uint64_t due_ns;
    lk_buf answer;
} connection;

typedef struct load_state {
    options opts;
    request_list script;
    struct sockaddr_un address;
    connection *connections;
    struct pollfd *polls;
    lk_buf *answers; /* [n_requests], first answer of each; NULL: not kept */
    uint64_t start_ns, end_ns; /* of what is measured */
    uint64_t due_ns;           /* of the next request, in the open loop */
    uint64_t last_answer_ns;
    size_t n_begun, n_busy;
    unsigned short random_state[3];
    uint64_t *latencies_ns;
    size_t n_latencies, latencies_capacity;
    uint64_t n_by_status[N_STATUSES];
    uint64_t n_broken; /* connections that ended before their answer */
} load_state;

/* ---- requests ------------------------------------------------------------ */

static int file_read(const char *path, lk_buf *buf, linkd_error *err)
{
    char chunk[READ_BYTES];
    FILE *file = fopen(path, "rb");
    int rc = LINKD_OK;
    size_t n;

    if (file == NULL)
        return lk_fail(err, LINKD_E_IO, "could not open \"%s\": %s", path,
                       strerror(errno));
    while (rc == LINKD_OK && (n = fread(chunk, 1, sizeof(chunk), file)) > 0)
        rc = lk_buf_append(buf, chunk, n, err);
    if (rc == LINKD_OK && ferror(file))
        rc = lk_fail(err, LINKD_E_IO, "could not read \"%s\"", path);
    fclose(file);
    return rc;
}

static int script_add(request_list *script, const char *target, linkd_str body,
                      size_t *capacity, linkd_error *err)
{
    int rc = lk_grow((void **)&script->ends, capacity, script->n_requests + 1,
                     sizeof(*script->ends), err);

    if (rc == LINKD_OK)
        rc = lk_buf_printf(&script->bytes, err,
                           "POST %s HTTP/1.1\r\nHost: localhost\r\n"
                           "Content-Type: application/json\r\n"
                           "Content-Length: %zu\r\n\r\n",
                           target, body.len);
    if (rc == LINKD_OK)
        rc = lk_buf_append(&script->bytes, body.bytes, body.len, err);
    if (rc == LINKD_OK)
        script->ends[script->n_requests++] = script->bytes.len;
    return rc;
}

static int script_read(request_list *script, const options *opts,
                       linkd_error *err)
{
    lk_buf bodies = {0};
    size_t capacity = 0;
    int rc = file_read(opts->bodies_path, &bodies, err);

    for (size_t at = 0, len; rc == LINKD_OK && at < bodies.len; at += len + 1) {
        const char *line = bodies.data + at;
        const char *end = memchr(line, '\n', bodies.len - at);

        len = end == NULL ? bodies.len - at : (size_t)(end - line);
        if (len > 0)
            rc = script_add(script, opts->target, (linkd_str){line, len},
                            &capacity, err);
    }
    if (rc == LINKD_OK && script->n_requests == 0)
        rc =
            lk_fail(err, LINKD_E_DATA, "\"%s\" has no line", opts->bodies_path);
    lk_buf_clear(&bodies);
    return rc;
}

static linkd_str script_request(const request_list *script, size_t i)
{
    size_t start = i == 0 ? 0 : script->ends[i - 1];

    return (linkd_str){script->bytes.data + start, script->ends[i] - start};
}

/* ---- connections --------------------------------------------------------- */

static int connection_open(load_state *load, connection *conn, linkd_error *err)
{
    conn->busy = 0;
    lk_buf_reset(&conn->answer);
    conn->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (conn->fd < 0 ||
        connect(conn->fd, (const struct sockaddr *)&load->address,
                sizeof(load->address)) != 0 ||
        fcntl(conn->fd, F_SETFL, O_NONBLOCK) != 0)
        return lk_fail(err, LINKD_E_IO, "could not connect to \"%s\": %s",
                       load->address.sun_path, strerror(errno));
    return LINKD_OK;
}

/* The server hung up: its request counts as broken, the next one goes on. */
static int connection_reopen(load_state *load, connection *conn,
                             linkd_error *err)
{
    if (conn->busy) {
        load->n_broken++;
        load->n_busy--;
    }
    close(conn->fd);
    return connection_open(load, conn, err);
}

static int connection_send(load_state *load, connection *conn, linkd_error *err)
{
    linkd_str request = script_request(&load->script, conn->request);

    while (conn->n_sent < request.len) {
        ssize_t n = send(conn->fd, request.bytes + conn->n_sent,
                         request.len - conn->n_sent, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return LINKD_OK;
        if (n < 0)
            return connection_reopen(load, conn, err);
        conn->n_sent += (size_t)n;
    }
    return LINKD_OK;
}

static int connection_begin(load_state *load, connection *conn, uint64_t due_ns,
                            linkd_error *err)
{
    conn->busy = 1;
    conn->request = load->n_begun++ % load->script.n_requests;
    conn->n_sent = 0;
    conn->due_ns = due_ns;
    load->n_busy++;
    return connection_send(load, conn, err);
}

/* ---- answers ------------------------------------------------------------- */

/* The value of Content-Length, or SIZE_MAX. `head` ends in a blank line. */
static size_t content_length(linkd_str head)
{
    static const char name[] = "content-length:";
    const char *end = head.bytes + head.len;

    for (const char *line = head.bytes; line != NULL && line < end;
         line = memchr(line, '\n', (size_t)(end - line))) {
        line += *line == '\n';
        if (strncasecmp(line, name, sizeof(name) - 1) == 0)
            return strtoul(line + sizeof(name) - 1, NULL, 10);
    }
    return SIZE_MAX;
}

/* Answers whether the connection holds one whole answer, and where. */
static int answer_find(const lk_buf *in, int *ret_status, linkd_str *ret_body,
                       linkd_error *err)
{
    const char *blank =
        in->len == 0 ? NULL : memmem(in->data, in->len, "\r\n\r\n", 4);
    size_t head_len, body_len;

    if (blank == NULL)
        return 0;
    head_len = (size_t)(blank - in->data) + 4;
    body_len = content_length((linkd_str){in->data, head_len});
    *ret_status = head_len > 12 ? atoi(in->data + 9) : 0; /* "HTTP/1.1 200" */
    if (body_len == SIZE_MAX || *ret_status < 100 || *ret_status >= N_STATUSES)
        return lk_fail(err, LINKD_E_DATA,
                       "an answer has no status or no content-length");
    if (in->len - head_len < body_len)
        return 0;
    *ret_body = (linkd_str){in->data + head_len, body_len};
    return 1;
}

static int answer_keep(load_state *load, const connection *conn, int status,
                       linkd_str body, linkd_error *err)
{
    uint64_t now = lk_clock_ns();
    int rc;

    if (load->answers != NULL && load->answers[conn->request].data == NULL) {
        rc = lk_buf_append(&load->answers[conn->request], body.bytes, body.len,
                           err);
        if (rc != LINKD_OK)
            return rc;
    }
    if (conn->due_ns < load->start_ns)
        return LINKD_OK;
    rc = lk_grow((void **)&load->latencies_ns, &load->latencies_capacity,
                 load->n_latencies + 1, sizeof(*load->latencies_ns), err);
    if (rc != LINKD_OK)
        return rc;
    load->latencies_ns[load->n_latencies++] = now - conn->due_ns;
    load->n_by_status[status]++;
    load->last_answer_ns = now;
    return LINKD_OK;
}

static int connection_receive(load_state *load, connection *conn,
                              linkd_error *err)
{
    char chunk[READ_BYTES];
    ssize_t n = recv(conn->fd, chunk, sizeof(chunk), 0);
    linkd_str body = {0};
    int status = 0, rc;

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return LINKD_OK;
    if (n <= 0)
        return connection_reopen(load, conn, err);
    rc = lk_buf_append(&conn->answer, chunk, (size_t)n, err);
    if (rc != LINKD_OK)
        return rc;
    rc = answer_find(&conn->answer, &status, &body, err);
    if (rc != 1)
        return rc;
    rc = answer_keep(load, conn, status, body, err);
    lk_buf_reset(&conn->answer);
    conn->busy = 0;
    load->n_busy--;
    return rc;
}

/* ---- the loop ------------------------------------------------------------ */

/* When the next request should leave; UINT64_MAX when there is none. */
static uint64_t load_next_due(const load_state *load, uint64_t now)
{
    uint64_t due = load->opts.rate > 0 ? load->due_ns : now;
    int over = load->opts.seconds > 0
                   ? due >= load->end_ns
                   : load->n_begun == load->script.n_requests;

    return over ? UINT64_MAX : due;
}

static int load_begin_due(load_state *load, uint64_t now, linkd_error *err)
{
    int rc = LINKD_OK;

    for (size_t i = 0; i < load->opts.n_connections && rc == LINKD_OK; i++) {
        uint64_t due = load_next_due(load, now);

        if (load->connections[i].busy)
            continue;
        if (due > now)
            break;
        rc = connection_begin(load, &load->connections[i], due, err);
        if (load->opts.rate > 0)
            load->due_ns += (uint64_t)(-log1p(-erand48(load->random_state)) /
                                       load->opts.rate * (double)SECOND_NS);
    }
    return rc;
}

/* Sleeps until a socket is ready or, when a connection is free to take it, the
 * next request is due. */
static int load_wait(load_state *load, uint64_t now, linkd_error *err)
{
    int all_busy = load->n_busy == load->opts.n_connections;
    uint64_t due = all_busy ? UINT64_MAX : load_next_due(load, now);
    uint64_t wait_ns = due == UINT64_MAX ? SECOND_NS
                       : due > now       ? due - now
                                         : 0;
    struct timespec wait = {.tv_sec = (time_t)(wait_ns / SECOND_NS),
                            .tv_nsec = (long)(wait_ns % SECOND_NS)};

    for (size_t i = 0; i < load->opts.n_connections; i++) {
        const connection *conn = &load->connections[i];
        size_t len = script_request(&load->script, conn->request).len;
        int sending = conn->busy && conn->n_sent < len;

        load->polls[i] = (struct pollfd){
            .fd = conn->fd,
            .events = (short)(sending ? POLLIN | POLLOUT : POLLIN)};
    }
    if (ppoll(load->polls, load->opts.n_connections, &wait, NULL) < 0 &&
        errno != EINTR)
        return lk_fail(err, LINKD_E_IO, "could not wait: %s", strerror(errno));
    return LINKD_OK;
}

static int load_serve_ready(load_state *load, linkd_error *err)
{
    int rc = LINKD_OK;

    for (size_t i = 0; i < load->opts.n_connections && rc == LINKD_OK; i++) {
        connection *conn = &load->connections[i];
        short events = load->polls[i].revents;

        if ((events & POLLOUT) != 0)
            rc = connection_send(load, conn, err);
        else if (events != 0)
            rc = connection_receive(load, conn, err);
    }
    return rc;
}

static int load_run(load_state *load, linkd_error *err)
{
    uint64_t now = lk_clock_ns();
    int rc = LINKD_OK;

    load->due_ns = now;
    load->start_ns =
        now + (uint64_t)(load->opts.warmup_seconds * (double)SECOND_NS);
    load->end_ns =
        load->start_ns + (uint64_t)(load->opts.seconds * (double)SECOND_NS);
    while (rc == LINKD_OK &&
           (load->n_busy > 0 || load_next_due(load, now) != UINT64_MAX)) {
        if (load->opts.seconds > 0 &&
            now > load->end_ns + DRAIN_SECONDS * SECOND_NS)
            break;
        rc = load_begin_due(load, now, err);
        if (rc == LINKD_OK)
            rc = load_wait(load, now, err);
        if (rc == LINKD_OK)
            rc = load_serve_ready(load, err);
        now = lk_clock_ns();
    }
    return rc;
}

/* ---- report -------------------------------------------------------------- */

static int latency_compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static double latency_ms(const load_state *load, double share)
{
    size_t i = (size_t)(share * (double)load->n_latencies);

    if (load->n_latencies == 0)
        return 0;
    if (i >= load->n_latencies)
        i = load->n_latencies - 1;
    return (double)load->latencies_ns[i] * 1e-6;
}

static void load_print(load_state *load)
{
    uint64_t span_ns =
        load->n_latencies == 0 ? 0 : load->last_answer_ns - load->start_ns;
    double seconds = (double)span_ns / (double)SECOND_NS;
    const char *comma = "";

    if (load->n_latencies > 0)
        qsort(load->latencies_ns, load->n_latencies,
              sizeof(*load->latencies_ns), latency_compare);
    printf("{\"requests\": %zu, \"seconds\": %.3f, \"qps\": %.1f, ",
           load->n_latencies, seconds,
           seconds > 0 ? (double)load->n_latencies / seconds : 0);
    printf("\"p50_ms\": %.3f, \"p90_ms\": %.3f, \"p99_ms\": %.3f, "
           "\"p999_ms\": %.3f, \"max_ms\": %.3f, ",
           latency_ms(load, 0.5), latency_ms(load, 0.9), latency_ms(load, 0.99),
           latency_ms(load, 0.999), latency_ms(load, 1));
    printf("\"broken\": %" PRIu64 ", \"unanswered\": %zu, \"status\": {",
           load->n_broken, load->n_busy);
    for (size_t status = 0; status < N_STATUSES; status++) {
        if (load->n_by_status[status] == 0)
            continue;
        printf("%s\"%zu\": %" PRIu64, comma, status, load->n_by_status[status]);
        comma = ", ";
    }
    printf("}}\n");
}

static int answers_write(const load_state *load, linkd_error *err)
{
    FILE *file = fopen(load->opts.answers_path, "wb");
    int failed;

    if (file == NULL)
        return lk_fail(err, LINKD_E_IO, "could not create \"%s\": %s",
                       load->opts.answers_path, strerror(errno));
    for (size_t i = 0; i < load->script.n_requests; i++) {
        const lk_buf *answer = &load->answers[i];

        if (answer->len > 0)
            fwrite(answer->data, 1, answer->len, file);
        if (answer->len == 0 || answer->data[answer->len - 1] != '\n')
            fputc('\n', file);
    }
    failed = ferror(file);
    if (fclose(file) != 0 || failed)
        return lk_fail(err, LINKD_E_IO, "could not write \"%s\"",
                       load->opts.answers_path);
    return LINKD_OK;
}

/* ---- main ---------------------------------------------------------------- */

static int usage(void)
{
    fprintf(stderr,
            "usage: serve_load --socket PATH --target PATH --bodies FILE\n"
            "  [--connections 8] [--rate R] [--seconds 10] [--warmup 1]\n"
            "  [--answers FILE]\n");
    return 2;
}

static int options_parse(options *opts, int argc, char **argv)
{
    static const struct option known[] = {
        {"socket", required_argument, NULL, 's'},
        {"target", required_argument, NULL, 't'},
        {"bodies", required_argument, NULL, 'b'},
        {"connections", required_argument, NULL, 'c'},
        {"rate", required_argument, NULL, 'r'},
        {"seconds", required_argument, NULL, 'd'},
        {"warmup", required_argument, NULL, 'w'},
        {"answers", required_argument, NULL, 'a'},
        {0},
    };
    int name;

    while ((name = getopt_long(argc, argv, "", known, NULL)) != -1) {
        switch (name) {
        case 's':
            opts->socket_path = optarg;
            break;
        case 't':
            opts->target = optarg;
            break;
        case 'b':
            opts->bodies_path = optarg;
            break;
        case 'c':
            opts->n_connections = strtoul(optarg, NULL, 10);
            break;
        case 'r':
            opts->rate = strtod(optarg, NULL);
            break;
        case 'd':
            opts->seconds = strtod(optarg, NULL);
            break;
        case 'w':
            opts->warmup_seconds = strtod(optarg, NULL);
            break;
        case 'a':
            opts->answers_path = optarg;
            break;
        default:
            return -1;
        }
    }
    if (opts->seconds <= 0)
        opts->warmup_seconds = 0; /* each line once: all of them count */
    return opts->socket_path == NULL || opts->target == NULL ||
                   opts->bodies_path == NULL || opts->n_connections == 0 ||
                   opts->n_connections > MAX_CONNECTIONS || optind != argc
               ? -1
               : 0;
}

static int load_init(load_state *load, linkd_error *err)
{
    const options *opts = &load->opts;
    int rc = script_read(&load->script, opts, err);

    if (rc != LINKD_OK)
        return rc;
    if (strlen(opts->socket_path) >= sizeof(load->address.sun_path))
        return lk_fail(err, LINKD_E_ARG, "socket path is too long");
    load->address.sun_family = AF_UNIX;
    strcpy(load->address.sun_path, opts->socket_path);
    load->connections = calloc(opts->n_connections, sizeof(*load->connections));
    load->polls = calloc(opts->n_connections, sizeof(*load->polls));
    if (opts->answers_path != NULL)
        load->answers = calloc(load->script.n_requests, sizeof(lk_buf));
    if (load->connections == NULL || load->polls == NULL ||
        (opts->answers_path != NULL && load->answers == NULL))
        return lk_fail_nomem(err);
    for (size_t i = 0; i < opts->n_connections; i++)
        load->connections[i].fd = -1;
    for (size_t i = 0; i < opts->n_connections && rc == LINKD_OK; i++)
        rc = connection_open(load, &load->connections[i], err);
    return rc;
}

static void load_clear(load_state *load)
{
    for (size_t i = 0;
         load->connections != NULL && i < load->opts.n_connections; i++) {
        if (load->connections[i].fd >= 0)
            close(load->connections[i].fd);
        lk_buf_clear(&load->connections[i].answer);
    }
    for (size_t i = 0; load->answers != NULL && i < load->script.n_requests;
         i++)
        lk_buf_clear(&load->answers[i]);
    free(load->connections);
    free(load->polls);
    free(load->answers);
    free(load->latencies_ns);
    free(load->script.ends);
    lk_buf_clear(&load->script.bytes);
}

int main(int argc, char **argv)
{
    load_state load = {
        .opts = {.n_connections = 8, .seconds = 10, .warmup_seconds = 1},
        .random_state = {1, 2, 3}};
    linkd_error err = {0};
    int rc;

    if (options_parse(&load.opts, argc, argv) != 0)
        return usage();
    rc = load_init(&load, &err);
    if (rc == LINKD_OK)
        rc = load_run(&load, &err);
    if (rc == LINKD_OK)
        load_print(&load);
    if (rc == LINKD_OK && load.opts.answers_path != NULL)
        rc = answers_write(&load, &err);
    if (rc != LINKD_OK)
        fprintf(stderr, "serve_load: %s\n", err.message);
    load_clear(&load);
    return rc == LINKD_OK ? 0 : 1;
}
