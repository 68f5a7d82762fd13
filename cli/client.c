/* cli/client.c — linkd as linkctl sees it: requests and their answers.
 *
 * A failure reaches the person as linkd worded it (the `detail` of its problem
 * document). What has no such document, because no linkd is there or something
 * else listens, is told with where it was looked for. */
#include "cli/client.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define SOCKET_DEFAULT    "/run/linkd/linkd.sock"
#define PROBLEM_MAX_BYTES ((size_t)64 << 10)
#define HEADERS_MAX       5
#define URL_ORIGIN        "http://localhost"
/* How long a request may wait and work before linkd answers 504: batches of
 * long texts on a slow processor. */
#define TIMEOUT_HEADER "Linkd-Timeout-Ms: 600000"

/* ---- where linkd is ----------------------------------------------------- */

static bool is_set(const char *text)
{
    return text != NULL && text[0] != '\0';
}

int lk_socket_path(const char *option, lk_buf *ret_path, linkd_error *err)
{
    const char *named = option != NULL ? option : getenv("LINKD_SOCKET");
    const char *dir = getenv("XDG_RUNTIME_DIR");

    if (is_set(named))
        return lk_buf_printf(ret_path, err, "%s", named);
    if (is_set(dir))
        return lk_buf_printf(ret_path, err, "%s/linkd.sock", dir);
    return lk_buf_printf(ret_path, err, "%s", SOCKET_DEFAULT);
}

int lk_client_open(lk_cli *cli, const char *socket_option,
                   lk_client *ret_client, linkd_error *err)
{
    lk_client client = {.cli = cli};
    int rc = lk_socket_path(socket_option, &client.socket_path, err);

    if (rc == LINKD_OK)
        rc = lk_http_open(&client.http, err);
    if (rc != LINKD_OK) {
        lk_client_close(&client);
        return rc;
    }
    *ret_client = client;
    return LINKD_OK;
}

void lk_client_close(lk_client *client)
{
    lk_http_close(client->http);
    lk_buf_clear(&client->socket_path);
    *client = (lk_client){0};
}

int lk_url_append(lk_buf *url, const char *text, linkd_error *err)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "abcdefghijklmnopqrstuvwxyz0123456789-._~";
    int rc = LINKD_OK;

    while (*text != '\0' && rc == LINKD_OK) {
        size_t n = strspn(text, plain);

        if (n > 0)
            rc = lk_buf_append(url, text, n, err);
        text += n;
        if (*text != '\0' && rc == LINKD_OK)
            rc = lk_buf_printf(url, err, "%%%02X", (unsigned char)*text++);
    }
    return rc;
}

int lk_collection_path(lk_buf *ret_path, const char *name, const char *rest,
                       linkd_error *err)
{
    int rc = lk_buf_printf(ret_path, err, "/v1/collections/");

    if (rc == LINKD_OK)
        rc = lk_url_append(ret_path, name, err);
    return rc == LINKD_OK ? lk_buf_printf(ret_path, err, "%s", rest) : rc;
}

void lk_absence_hint(lk_cli *cli, int rc, const linkd_error *err)
{
    if (rc != LINKD_E_ABSENT)
        return;
    if (strstr(err->message, "there is no collection") != NULL)
        lk_cli_hint(cli, "linkctl collection list shows those that exist");
    else if (strstr(err->message, "model") != NULL)
        lk_cli_hint(cli, "linkctl model list shows those that exist");
}

/* ---- failures ----------------------------------------------------------- */

static int code_of(long status)
{
    switch (status) {
    case 400:
    case 413:
    case 415:
        return LINKD_E_ARG;
    case 404:
        return LINKD_E_ABSENT;
    case 409:
        return LINKD_E_CONFLICT;
    case 503:
    case 504:
        return LINKD_E_BUSY;
    case 507:
        return LINKD_E_FULL;
    default: /* not LINKD_E_IO: asking again would not help */
        return LINKD_E_DATA;
    }
}

int lk_fail_problem(long status, linkd_str body, linkd_error *err)
{
    json_t *problem =
        body.len > 0 ? json_loadb(body.bytes, body.len, 0, NULL) : NULL;
    const char *detail = json_string_value(json_object_get(problem, "detail"));
    int rc;

    if (detail != NULL)
        rc = lk_fail(err, code_of(status), "%s", detail);
    else
        rc = lk_fail(err, LINKD_E_DATA,
                     "what listens there answers %ld, not as "
                     "linkd would",
                     status);
    json_decref(problem);
    return rc;
}

static int fail_unreachable(lk_client *client, int rc)
{
    if (rc == LINKD_E_BUSY)
        lk_cli_hint(client->cli, "is linkd running? start it with: linkd "
                                 "--data DIR --socket PATH");
    return rc;
}

/* ---- one request -------------------------------------------------------- */

typedef struct answer {
    lk_client *client;
    const lk_ask *ask;
    lk_buf problem;
} answer;

static int body_take(void *opaque, long status, const char *bytes, size_t len,
                     linkd_error *err)
{
    answer *a = opaque;

    if (status >= 200 && status <= 299)
        return a->ask->body_cb != NULL
                   ? a->ask->body_cb(a->ask->ctx, bytes, len, err)
                   : LINKD_OK;
    if (a->problem.len + len > PROBLEM_MAX_BYTES)
        return LINKD_OK; /* no problem of linkd's is that long */
    return lk_buf_append(&a->problem, bytes, len, err);
}

static int moved_take(void *opaque, const lk_http_moved *moved)
{
    answer *a = opaque;

    if (moved->sent == 0)
        return LINKD_OK;
    return lk_progress_report(&a->client->cli->progress, a->ask->sending,
                              moved->sent, a->ask->body_fd_bytes, NULL);
}

/* Appends "Name: value" to the list, if there is a value. */
static int header_add(lk_arena *arena, const char **headers, size_t *n,
                      const char *name, const char *value, linkd_error *err)
{
    size_t len;
    char *line;

    if (value == NULL)
        return LINKD_OK;
    LK_ASSERT(*n < HEADERS_MAX);
    len = strlen(name) + strlen(value) + 3;
    line = lk_arena_alloc(arena, len);
    if (line == NULL)
        return lk_fail_nomem(err);
    (void)snprintf(line, len, "%s: %s", name, value);
    headers[(*n)++] = line;
    return LINKD_OK;
}

static int headers_make(const lk_ask *ask, lk_arena *arena,
                        const char *headers[HEADERS_MAX + 1], linkd_error *err)
{
    size_t n = 0;
    int rc =
        header_add(arena, headers, &n, "Content-Type", ask->content_type, err);

    if (rc == LINKD_OK)
        rc = header_add(arena, headers, &n, "Accept", ask->accept, err);
    if (rc == LINKD_OK)
        rc = header_add(arena, headers, &n, "Idempotency-Key", ask->key, err);
    headers[n++] = TIMEOUT_HEADER;
    return rc;
}

static int answer_receive(answer *a, const lk_http_request *request,
                          linkd_error *err)
{
    long status = 0;
    int rc = lk_http_run(a->client->http, request, &status, err);

    if (rc != LINKD_OK)
        return fail_unreachable(a->client, rc);
    if (status >= 200 && status <= 299)
        return LINKD_OK;
    return lk_fail_problem(status, (linkd_str){a->problem.data, a->problem.len},
                           err);
}

int lk_client_ask(lk_client *client, const lk_ask *ask, linkd_error *err)
{
    answer a = {.client = client, .ask = ask};
    lk_http_request request = LK_HTTP_REQUEST_INIT;
    const char *headers[HEADERS_MAX + 1] = {NULL};
    lk_arena arena = {0};
    lk_buf url = {0};
    lk_buf failure = {0};
    int rc = lk_buf_printf(&url, err, "%s%s", URL_ORIGIN, ask->path);

    if (rc == LINKD_OK)
        rc = lk_buf_printf(&failure, err, "could not reach linkd at %s",
                           lk_label_of_path(client->socket_path.data).text);
    if (rc == LINKD_OK)
        rc = headers_make(ask, &arena, headers, err);
    if (rc == LINKD_OK) {
        request.method = ask->method;
        request.url = url.data;
        request.failure = failure.data;
        request.socket_path = client->socket_path.data;
        request.headers = headers;
        request.body = ask->body;
        request.body_fd = ask->body_fd;
        request.body_fd_bytes = ask->body_fd_bytes;
        request.body_cb = body_take;
        request.moved_cb = ask->sending != NULL ? moved_take : NULL;
        request.ctx = &a;
        rc = answer_receive(&a, &request, err);
    }
    lk_buf_clear(&a.problem);
    lk_buf_clear(&failure);
    lk_buf_clear(&url);
    lk_arena_clear(&arena);
    return rc;
}

/* ---- JSON --------------------------------------------------------------- */

static int collect(void *ctx, const char *bytes, size_t len, linkd_error *err)
{
    return lk_buf_append(ctx, bytes, len, err);
}

static int fail_answer(linkd_error *err)
{
    return lk_fail(err, LINKD_E_IO, "linkd answers something that is not JSON");
}

static int answer_parse(const lk_buf *text, json_t **ret_answer,
                        linkd_error *err)
{
    if (ret_answer == NULL)
        return LINKD_OK;
    *ret_answer =
        text->len > 0 ? json_loadb(text->data, text->len, 0, NULL) : NULL;
    return *ret_answer != NULL ? LINKD_OK : fail_answer(err);
}

int lk_client_json(lk_client *client, const char *method, const char *path,
                   const json_t *body, json_t **ret_answer, linkd_error *err)
{
    lk_ask ask = LK_ASK_INIT;
    lk_buf text = {0};
    char *sent = NULL;
    int rc;

    ask.method = method;
    ask.path = path;
    ask.body_cb = collect;
    ask.ctx = &text;
    if (body != NULL) {
        sent = json_dumps(body, JSON_COMPACT | JSON_REAL_PRECISION(9));
        if (sent == NULL)
            return lk_fail_nomem(err);
        ask.content_type = "application/json";
        ask.body = (linkd_str){sent, strlen(sent)};
    } else if (method != NULL && strcmp(method, "POST") == 0) {
        ask.body = (linkd_str){"", 0};
    }
    rc = lk_client_ask(client, &ask, err);
    if (rc == LINKD_OK)
        rc = answer_parse(&text, ret_answer, err);
    free(sent);
    lk_buf_clear(&text);
    return rc;
}

typedef struct row_stream {
    int (*row_cb)(void *ctx, const json_t *row, linkd_error *err);
    void *ctx;
    lk_lines lines;
} row_stream;

static int row_line(void *ctx, linkd_str line, linkd_error *err)
{
    row_stream *rows = ctx;
    json_t *row = json_loadb(line.bytes, line.len, 0, NULL);
    int rc;

    if (row == NULL)
        return fail_answer(err);
    rc = rows->row_cb(rows->ctx, row, err);
    json_decref(row);
    return rc;
}

static int row_bytes(void *ctx, const char *bytes, size_t len, linkd_error *err)
{
    row_stream *rows = ctx;

    return lk_lines_take(&rows->lines, bytes, len, err);
}

int lk_client_rows(lk_client *client, const char *path,
                   int (*row_cb)(void *ctx, const json_t *row,
                                 linkd_error *err),
                   void *ctx, linkd_error *err)
{
    row_stream rows = {.row_cb = row_cb, .ctx = ctx};
    lk_ask ask = LK_ASK_INIT;
    int rc;

    rows.lines = (lk_lines){.line_cb = row_line, .ctx = &rows};
    ask.path = path;
    ask.accept = "application/x-ndjson";
    ask.body_cb = row_bytes;
    ask.ctx = &rows;
    rc = lk_client_ask(client, &ask, err);
    if (rc == LINKD_OK)
        rc = lk_lines_end(&rows.lines, err);
    lk_lines_clear(&rows.lines);
    return rc;
}

int lk_json_print(const json_t *json, linkd_error *err)
{
    char *text = json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(9));
    int n;

    if (text == NULL)
        return lk_fail_nomem(err);
    n = printf("%s\n", text);
    free(text);
    if (n < 0)
        return lk_fail(err, LINKD_E_IO,
                       "could not write to standard output: %s",
                       strerror(errno));
    return LINKD_OK;
}
