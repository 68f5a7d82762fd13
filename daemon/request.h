/* daemon/request.h — private: one request and its answer, as handlers see them.
 * No I/O here and no libuv: the server fills a request in on the loop, a worker
 * runs the handler, the loop writes the response. From submit to completion
 * one side owns both. */
#ifndef LK_DAEMON_REQUEST_H
#define LK_DAEMON_REQUEST_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/base.h"

typedef enum lk_method {
    LK_GET,
    LK_PUT,
    LK_POST,
    LK_DELETE,
    LK_N_METHODS
} lk_method;

/* Each includes the ones before. */
typedef enum lk_role {
    LK_ROLE_NONE,
    LK_ROLE_READ,
    LK_ROLE_WRITE,
    LK_ROLE_ADMIN,
} lk_role;

#define LK_PARAMS_MAX 2 /* {names} in a route's path */

typedef struct lk_header {
    linkd_str name; /* lower case */
    linkd_str value;
} lk_header;

/* Everything lives in the arena or in `body`, and dies with the request. */
typedef struct lk_request {
    lk_arena arena;
    lk_method method;
    linkd_str path;                  /* as sent, without the query */
    linkd_str query;                 /* as sent, without '?' */
    linkd_str params[LK_PARAMS_MAX]; /* of the route, percent-decoded, UTF-8 */
    const lk_header *headers;
    size_t n_headers;
    lk_buf body;
    lk_role role;
    uint64_t deadline_ns; /* lk_clock_ns() at which to give up */
    atomic_bool stopped;  /* the client is gone, or the daemon is stopping */
} lk_request;

/* Whether `a` is `b`, ASCII case ignored. */
bool lk_str_is(linkd_str a, const char *b);

/* The value of a header, by lower-case name; empty if absent. */
linkd_str lk_request_header(const lk_request *request, const char *name);
/* "application/json" of the content type: without parameters, lower case. */
linkd_str lk_request_content_type(const lk_request *request);
/* A parameter of the query, percent-decoded. LINKD_E_ARG: bad escape or not
 * UTF-8. *ret_found false: it is not there. */
LINKD_MUST_CHECK int lk_request_query(lk_request *request, const char *name,
                                      linkd_str *ret_value, bool *ret_found,
                                      linkd_error *err);
/* LINKD_E_ARG: the query has a parameter that is not in `names` (NULL ends). */
LINKD_MUST_CHECK int lk_request_check_query(lk_request *request,
                                            const char *const *names,
                                            linkd_error *err);
/* Whether to stop: a stop_cb for searches. */
bool lk_request_is_over(void *request);

/* A body that is made piece by piece while the client reads. */
typedef enum lk_stream_state {
    LK_STREAM_MORE, /* call again once the client has read enough */
    LK_STREAM_WAIT, /* nothing to say yet: call again in 100 ms */
    LK_STREAM_END,
} lk_stream_state;

typedef struct lk_stream {
    /* Appends to `ret_chunk`, about 64 KiB at most; on a worker. A failure
     * cuts the connection, so that the client sees that the body is not whole. */
    int (*next)(void *ctx, lk_buf *ret_chunk, lk_stream_state *ret_state,
                linkd_error *err);
    void (*free)(void *ctx);
    void *ctx;
} lk_stream;

#define LK_RESPONSE_HEADERS_MAX 6

typedef struct lk_response {
    int status;               /* 0: 200 */
    const char *content_type; /* static; NULL: application/json */
    lk_buf body;
    lk_stream stream; /* if next is set: follows the body, chunked */
    struct {
        const char *name;  /* static */
        const char *value; /* in the request's arena */
    } headers[LK_RESPONSE_HEADERS_MAX];
    size_t n_headers;
    const char *code; /* of a problem document; NULL: by the error's code */
} lk_response;

LINKD_MUST_CHECK int lk_response_add_header(lk_response *response,
                                            lk_request *request,
                                            const char *name, linkd_error *err,
                                            const char *format, ...)
    LK_PRINTF(5, 6);
/* For a failure whose status is not its error's: sets status and code, and
 * returns `rc`, so that a handler can end with it. */
int lk_response_fail(lk_response *response, int status, const char *code,
                     int rc);
/* Turns the response into the problem document of an error. Never fails: out of
 * memory leaves a short static body. */
void lk_response_set_problem(lk_response *response, const linkd_error *err);

#endif
