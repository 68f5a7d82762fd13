/* tests/daemon/transcript.h — what the HTTP codec makes of a stream of bytes,
 * written out, so that two ways of feeding it can be compared. */
#ifndef LINKD_TESTS_TRANSCRIPT_H
#define LINKD_TESTS_TRANSCRIPT_H

#include <string.h>

#include "daemon/http.h"

#define TRANSCRIPT_BODY_MAX 64

typedef struct transcript {
    lk_http http;
    lk_request request;
    lk_buf text;
    int status; /* of what was refused; 0: nothing was */
} transcript;

static inline void transcript_begin(transcript *t)
{
    *t = (transcript){0};
    lk_http_init(&t->http);
}

static inline void transcript_end(transcript *t)
{
    lk_http_clear(&t->http);
    lk_arena_clear(&t->request.arena);
    lk_buf_clear(&t->request.body);
    lk_buf_clear(&t->text);
}

static inline void transcript_put(transcript *t, const char *label,
                                  linkd_str text)
{
    linkd_error err;

    LK_ASSERT(lk_buf_printf(&t->text, &err, "%s<%.*s>", label, (int)text.len,
                            text.len > 0 ? text.bytes : "") == LINKD_OK);
}

static inline void transcript_next(transcript *t)
{
    lk_http_reset(&t->http);
    lk_arena_clear(&t->request.arena);
    lk_buf_reset(&t->request.body);
}

static inline void transcript_head(transcript *t)
{
    static const char *const methods[] = {"GET ", "PUT ", "POST ", "DELETE ",
                                          "OTHER "};
    lk_request *request = &t->request;
    linkd_error err;

    LK_ASSERT(lk_http_take_head(&t->http, request, &err) == LINKD_OK);
    transcript_put(t, methods[request->method], request->path);
    transcript_put(t, "?", request->query);
    for (size_t i = 0; i < request->n_headers; i++) {
        transcript_put(t, " ", request->headers[i].name);
        transcript_put(t, "=", request->headers[i].value);
    }
    LK_ASSERT(lk_buf_printf(&t->text, &err, " keep=%d", t->http.keep_alive) ==
              LINKD_OK);
    if (t->http.has_body)
        lk_http_set_body(&t->http, &request->body, TRANSCRIPT_BODY_MAX);
    else
        transcript_next(t);
}

/* Feeds some bytes; does nothing more after something was refused. */
static inline void transcript_feed(transcript *t, const char *bytes, size_t len)
{
    size_t used = 0;

    for (size_t at = 0; at < len && t->status == 0; at += used) {
        switch (lk_http_parse(&t->http, bytes + at, len - at, &used)) {
        case LK_HTTP_MORE:
            LK_ASSERT(used == len - at);
            break;
        case LK_HTTP_HEAD:
            transcript_head(t);
            break;
        case LK_HTTP_END:
            transcript_put(
                t, " body=",
                (linkd_str){t->request.body.data, t->request.body.len});
            transcript_next(t);
            break;
        case LK_HTTP_BAD:
            t->status = t->http.status;
            LK_ASSERT(t->status >= 400 && t->http.code != NULL &&
                      t->http.failure.message[0] != '\0');
        }
        LK_ASSERT(used <= len - at);
    }
}

#endif
