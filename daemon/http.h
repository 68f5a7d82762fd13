/* daemon/http.h — private: HTTP/1.1 between bytes and requests. No I/O: bytes
 * go in, events come out, so that it can be fuzzed and replayed.
 *
 * Strict where leniency has let requests be smuggled past proxies: one framing
 * (Content-Length or chunked), no folded headers, no bare line feeds, no
 * control bytes. See server.h for the limits. */
#ifndef LK_DAEMON_HTTP_H
#define LK_DAEMON_HTTP_H

#include <llhttp.h>
#include <time.h>

#include "daemon/request.h"
#include "daemon/server.h"

/* Pieces of a head: the target, then name and value of each header. */
#define LK_HTTP_PIECES_MAX (1 + 2 * LK_HEADERS_MAX)

/* About 500 bytes, and a buffer while a head is being read. */
typedef struct lk_http {
    llhttp_t parser;
    /* The request being read; valid from LK_HTTP_HEAD on. */
    lk_method method;  /* LK_N_METHODS: one that no route has */
    bool is_head;      /* the method is HEAD: answers go without a body */
    bool is_http_1_0;  /* no chunked answers */
    bool keep_alive;   /* the client wants to go on with this connection */
    bool has_body;     /* LK_HTTP_END follows, once the body is read */
    bool has_length;   /* Content-Length or chunked was given */
    bool wants_100;    /* Expect: 100-continue */
    uint64_t body_len; /* Content-Length; 0 for chunked */
    uint64_t n_body;   /* bytes of the body so far */
    /* Why LK_HTTP_BAD: what to answer before closing. */
    int status;
    const char *code;
    linkd_error failure;

    bool in_body;
    size_t n_head; /* bytes of the head so far, blanks and line ends included */
    size_t n_extra; /* bytes of trailers and chunk extensions, all ignored */
    lk_buf *body;
    uint64_t body_max;
    size_t n_pieces;
    uint16_t ends[LK_HTTP_PIECES_MAX]; /* piece i is head[ends[i-1], ends[i]) */
    lk_buf head;
} lk_http;

void lk_http_init(lk_http *http);
/* Ready for the next request on the connection. */
void lk_http_reset(lk_http *http);
void lk_http_clear(lk_http *http);

typedef enum lk_http_event {
    LK_HTTP_MORE, /* all bytes are used up: feed the next ones */
    LK_HTTP_HEAD, /* a head; without has_body the request is complete */
    LK_HTTP_END,  /* the body is complete too */
    LK_HTTP_BAD,  /* status, code and failure say why; only reset() helps */
} lk_http_event;

/* Reads until something happens; *ret_used bytes were needed for it. After HEAD
 * with a body, lk_http_set_body() must come before the next call; after a
 * complete request lk_http_reset(). */
lk_http_event lk_http_parse(lk_http *http, const char *bytes, size_t len,
                            size_t *ret_used);

/* Moves the head into the request: method, path, query, headers. LINKD_E_NOMEM.
 */
LINKD_MUST_CHECK int lk_http_take_head(lk_http *http, lk_request *request,
                                       linkd_error *err);

/* Where the body is appended to; the caller may empty it between calls of
 * parse(). More than `max` bytes in all are LK_HTTP_BAD with 413. */
void lk_http_set_body(lk_http *http, lk_buf *body, uint64_t max);

typedef enum lk_http_framing {
    LK_HTTP_LENGTH,      /* Content-Length: of the response's body */
    LK_HTTP_CHUNKED,     /* chunks follow */
    LK_HTTP_UNTIL_CLOSE, /* the end of the connection is the end of the body */
} lk_http_framing;

/* Appends status line and headers. `keep_alive` is what the connection header
 * says. LINKD_E_DATA: a header's value has control bytes in it. */
LINKD_MUST_CHECK int lk_http_put_head(lk_buf *buf, const lk_response *response,
                                      lk_http_framing framing, bool keep_alive,
                                      time_t now, linkd_error *err);

/* What goes before a chunk of `len` bytes, NUL-terminated; "\r\n" goes after
 * it, LK_HTTP_LAST_CHUNK after all. */
#define LK_HTTP_CHUNK_PREFIX_MAX 20
#define LK_HTTP_LAST_CHUNK       "0\r\n\r\n"
size_t lk_http_put_chunk_prefix(char ret_prefix[LK_HTTP_CHUNK_PREFIX_MAX],
                                size_t len);

#endif
