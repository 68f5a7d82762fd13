/* cli/http.c — requests over HTTP: the one place that knows libcurl.
 *
 * linkctl speaks to two kinds of servers: hubs of models, over the network, and
 * linkd, over a Unix socket. Both want the same things: bodies that are streamed
 * and never kept here, and a failure told as one line. libcurl reports a failed
 * callback as its own error, so the callback's error is kept beside and wins.
 *
 * A server on a socket is on this machine and may work as long as it likes:
 * there is no timeout. */
#include "cli/http.h"

#include <curl/curl.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define CONNECT_SECONDS 20L
#define STALL_SECONDS   60L /* without a byte in that time, give up */
#define REDIRECTS_MAX   8L

struct lk_http {
    CURL *curl;
};

typedef struct exchange {
    const lk_http_request *request;
    CURL *curl;
    linkd_error *err;
    int rc; /* of the callback that failed */
} exchange;

int lk_http_open(lk_http **ret_http, linkd_error *err)
{
    lk_http *http = malloc(sizeof(*http));

    if (http == NULL)
        return lk_fail_nomem(err);
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        free(http);
        return lk_fail_nomem(err);
    }
    http->curl = curl_easy_init();
    if (http->curl == NULL) {
        lk_http_close(http);
        return lk_fail_nomem(err);
    }
    *ret_http = http;
    return LINKD_OK;
}

void lk_http_close(lk_http *http)
{
    if (http == NULL)
        return;
    curl_easy_cleanup(http->curl);
    curl_global_cleanup();
    free(http);
}

const char *lk_http_header(const char *line, size_t len, const char *name,
                           size_t *ret_len)
{
    size_t n = strlen(name);

    if (len <= n || strncasecmp(line, name, n) != 0 || line[n] != ':')
        return NULL;
    line += n + 1;
    len -= n + 1;
    while (len > 0 && (*line == ' ' || *line == '"')) {
        line++;
        len--;
    }
    while (len > 0 && strchr("\r\n \"", line[len - 1]) != NULL)
        len--;
    *ret_len = len;
    return line;
}

/* ---- what libcurl calls ------------------------------------------------- */

static long status_of(CURL *curl)
{
    long status = 0;

    (void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    return status;
}

static size_t header_take(char *line, size_t size, size_t n, void *opaque)
{
    const exchange *x = opaque;

    x->request->header_cb(x->request->ctx, line, size * n);
    return size * n;
}

static size_t body_take(char *bytes, size_t size, size_t n, void *opaque)
{
    exchange *x = opaque;
    size_t len = size * n;

    if (x->request->body_cb == NULL)
        return len;
    x->rc = x->request->body_cb(x->request->ctx, status_of(x->curl), bytes, len,
                                x->err);
    return x->rc == LINKD_OK ? len : CURL_WRITEFUNC_ERROR;
}

static size_t body_give(char *to, size_t size, size_t n, void *opaque)
{
    exchange *x = opaque;
    ssize_t len;

    do
        len = read(x->request->body_fd, to, size * n);
    while (len < 0 && errno == EINTR);
    if (len >= 0)
        return (size_t)len;
    x->rc = lk_fail(x->err, LINKD_E_IO, "could not read what is sent: %s",
                    strerror(errno));
    return CURL_READFUNC_ABORT;
}

static int moved_take(void *opaque, curl_off_t total, curl_off_t now,
                      curl_off_t up_total, curl_off_t up_now)
{
    exchange *x = opaque;
    lk_http_moved moved = {(uint64_t)up_now, (uint64_t)up_total, (uint64_t)now,
                           (uint64_t)total};

    x->rc = x->request->moved_cb(x->request->ctx, &moved);
    if (x->rc != LINKD_OK)
        x->rc = lk_fail(x->err, LINKD_E_CANCELLED, "interrupted");
    return x->rc;
}

/* ---- one request -------------------------------------------------------- */

static void place_prepare(CURL *curl, const lk_http_request *request)
{
    const char *allowed =
        strncasecmp(request->url, "https:", 6) == 0 ? "https" : "http,https";

    (void)curl_easy_setopt(curl, CURLOPT_URL, request->url);
    (void)curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, allowed);
    if (request->socket_path != NULL) {
        (void)curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH,
                               request->socket_path);
        /* signals stay ours: SIGPIPE ends linkctl as that of any filter */
        (void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
        return;
    }
    (void)curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, allowed);
    (void)curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_MAXREDIRS, REDIRECTS_MAX);
    (void)curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, CONNECT_SECONDS);
    (void)curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, STALL_SECONDS);
}

static void body_prepare(CURL *curl, exchange *x)
{
    const lk_http_request *request = x->request;

    if (request->body_fd >= 0) {
        (void)curl_easy_setopt(curl, CURLOPT_POST, 1L);
        (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE,
                               (curl_off_t)request->body_fd_bytes);
        (void)curl_easy_setopt(curl, CURLOPT_READFUNCTION, body_give);
        (void)curl_easy_setopt(curl, CURLOPT_READDATA, x);
    } else if (request->body.bytes != NULL) {
        (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE,
                               (curl_off_t)request->body.len);
        (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request->body.bytes);
    }
    /* after the others, which choose a method of their own */
    if (request->method != NULL)
        (void)curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->method);
}

static void callbacks_prepare(CURL *curl, exchange *x)
{
    (void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, body_take);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, x);
    if (x->request->header_cb != NULL) {
        (void)curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, header_take);
        (void)curl_easy_setopt(curl, CURLOPT_HEADERDATA, x);
    }
    if (x->request->moved_cb != NULL) {
        (void)curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, moved_take);
        (void)curl_easy_setopt(curl, CURLOPT_XFERINFODATA, x);
        (void)curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    }
}

static int headers_prepare(CURL *curl, const char *const *headers,
                           struct curl_slist **ret_list, linkd_error *err)
{
    /* a server that asks for patience before a body is not worth the wait */
    struct curl_slist *list = curl_slist_append(NULL, "Expect:");

    for (size_t i = 0; list != NULL && headers != NULL && headers[i]; i++) {
        struct curl_slist *longer = curl_slist_append(list, headers[i]);

        if (longer == NULL)
            curl_slist_free_all(list);
        list = longer;
    }
    if (list == NULL)
        return lk_fail_nomem(err);
    (void)curl_easy_setopt(curl, CURLOPT_HTTPHEADER, list);
    *ret_list = list;
    return LINKD_OK;
}

static int fail_transfer(const exchange *x, CURLcode code)
{
    const char *reason = curl_easy_strerror(code);
    bool is_refused = code == CURLE_COULDNT_CONNECT;
    long os_errno = 0;

    if (x->rc != LINKD_OK)
        return x->rc;
    if (code == CURLE_OUT_OF_MEMORY)
        return lk_fail_nomem(x->err);
    (void)curl_easy_getinfo(x->curl, CURLINFO_OS_ERRNO, &os_errno);
    if (is_refused && os_errno != 0)
        reason = strerror((int)os_errno);
    return lk_fail(x->err, is_refused ? LINKD_E_BUSY : LINKD_E_IO, "%s: %s",
                   x->request->failure, reason);
}

int lk_http_run(lk_http *http, const lk_http_request *request, long *ret_status,
                linkd_error *err)
{
    exchange x = {.request = request, .curl = http->curl, .err = err};
    struct curl_slist *headers = NULL;
    char range[32];
    CURLcode code;
    int rc;

    curl_easy_reset(http->curl);
    rc = headers_prepare(http->curl, request->headers, &headers, err);
    if (rc != LINKD_OK)
        return rc;
    (void)curl_easy_setopt(http->curl, CURLOPT_USERAGENT,
                           "linkctl/" LINKD_VERSION);
    place_prepare(http->curl, request);
    body_prepare(http->curl, &x);
    callbacks_prepare(http->curl, &x);
    if (request->range_from > 0) {
        (void)snprintf(range, sizeof(range), "%" PRIu64 "-",
                       request->range_from);
        (void)curl_easy_setopt(http->curl, CURLOPT_RANGE, range);
    }
    code = curl_easy_perform(http->curl);
    if (code != CURLE_OK)
        rc = fail_transfer(&x, code);
    else
        *ret_status = status_of(http->curl);
    curl_slist_free_all(headers);
    return rc;
}
