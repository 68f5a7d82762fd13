/* cli/http.h — requests over HTTP: the one place that knows libcurl. */
#ifndef LINKD_CLI_HTTP_H
#define LINKD_CLI_HTTP_H

#include "base/base.h"

/* Makes requests one after the other and keeps the connection in between. */
typedef struct lk_http lk_http;

LINKD_MUST_CHECK int lk_http_open(lk_http **ret_http, linkd_error *err);
void lk_http_close(lk_http *http);

/* Bytes of bodies; a total of 0 is not known. */
typedef struct lk_http_moved {
    uint64_t sent, to_send;
    uint64_t received, to_receive;
} lk_http_moved;

typedef struct lk_http_request {
    const char *method; /* NULL: GET */
    const char *url;
    const char *failure;        /* begins the message when the request fails */
    const char *socket_path;    /* NULL: over the network */
    const char *const *headers; /* "Name: value", ends in NULL; may be NULL */
    uint64_t range_from;        /* asks for what begins there, if not 0 */
    linkd_str body;             /* bytes NULL: none, or that of `body_fd` */
    int body_fd;                /* -1: none. Read from where it stands on */
    uint64_t body_fd_bytes;
    /* What comes back, while it comes; each may be NULL. A negative answer
     * ends the request and is its result. */
    void (*header_cb)(void *ctx, const char *line, size_t len);
    int (*body_cb)(void *ctx, long status, const char *bytes, size_t len,
                   linkd_error *err);
    int (*moved_cb)(void *ctx, const lk_http_moved *moved);
    void *ctx;
} lk_http_request;
#define LK_HTTP_REQUEST_INIT                                                   \
 {                                                                             \
  .body_fd = -1                                                                \
 }

/* Sends the request and receives all of the answer, of whatever status. Over
 * the network redirects are followed, from https to https only, and a server
 * that is silent for a minute is given up. LINKD_E_BUSY: nobody listens.
 * LINKD_E_IO: the connection broke. */
LINKD_MUST_CHECK int lk_http_run(lk_http *http, const lk_http_request *request,
                                 long *ret_status, linkd_error *err);

/* The value of the header `name` in a line, without quotes around it, or
 * NULL. */
const char *lk_http_header(const char *line, size_t len, const char *name,
                           size_t *ret_len);

#endif
