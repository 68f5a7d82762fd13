/* daemon/exchange.h — private: one request and its answer on their way through
 * the daemon. What is decided about them and what workers do to them; the
 * socket is the connection's. */
#ifndef LK_DAEMON_EXCHANGE_H
#define LK_DAEMON_EXCHANGE_H

#include "daemon/http.h"
#include "daemon/roles.h"
#include "daemon/workers.h"

/* An upload goes to disk in pieces of this size (guess: a write of 1 MiB hides
 * the way to a worker and back). */
#define LK_UPLOAD_PIECE_BYTES ((size_t)1 << 20)

/* Owned by the loop, except from submit until done_cb: then by a worker, and
 * the loop touches request.stopped and nothing else. */
typedef struct lk_exchange {
    lk_work work;
    lk_service *service;
    struct lk_hub *hub;
    struct lk_connection *connection; /* NULL: the client is gone */
    const lk_route *route;            /* NULL: none was found */
    lk_request request;
    lk_response response;
    linkd_error err;
    int rc; /* of the worker's last step */

    uint64_t read_ns;   /* when the request was complete */
    double seconds;     /* from then to the answer */
    uint64_t n_written; /* bytes of the answer */
    size_t n_charged;   /* bytes of the body, as counted against the limit */
    size_t n_answer;    /* bytes of the answer, likewise */
    int64_t uid;        /* of the peer; -1 over TCP */
    bool is_handled;    /* the handler has run */

    int upload_fd;     /* -1: none open */
    char *upload_path; /* in the arena; NULL: there is no file */
    bool upload_is_whole;

    bool is_stream;  /* the answer is made piece by piece */
    bool is_chunked; /* and told apart in chunks */
    lk_stream_state stream_state;
    lk_buf chunk; /* the stream's next piece */
    lk_buf head;  /* status line and headers of the answer */
    char chunk_prefix[LK_HTTP_CHUNK_PREFIX_MAX];
    uv_write_t write;
} lk_exchange;

/* NULL when memory is out. */
lk_exchange *lk_exchange_new(struct lk_connection *connection,
                             struct lk_hub *hub);
/* It is nobody's any more: logs it and frees it, if need be after a worker has
 * cleared it away. NULL is fine. */
void lk_exchange_drop(lk_exchange *exchange);

/* Who sent the request. */
typedef struct lk_peer {
    bool is_tcp;
    lk_role role; /* of the Unix socket's peer */
    int64_t uid;
} lk_peer;

/* Decides by the head alone whether the request may go on: route, role, phase,
 * length, deadline. On failure the response has status, code and headers, and
 * the error is in exchange->err. */
LINKD_MUST_CHECK int lk_exchange_admit(lk_exchange *exchange,
                                       const lk_http *http,
                                       const lk_roles *roles,
                                       const lk_peer *peer);
/* How long a body the route takes. */
uint64_t lk_exchange_body_max(const lk_exchange *exchange);

/* Counts the made answer against the limit until the exchange ends. A large one
 * beyond it becomes a problem document: clients are slow to read others. */
void lk_exchange_charge_answer(lk_exchange *exchange);

/* Makes the response the problem document of exchange->err. */
void lk_exchange_set_problem(lk_exchange *exchange);

/* work.run: calls the handler, unless nobody waits any more. A failure has
 * become a problem document afterwards. */
void lk_exchange_run_handler(lk_work *work);
/* work.run: exchange->chunk becomes the stream's next piece. */
void lk_exchange_run_stream(lk_work *work);
/* work.run: appends the body to the upload's file and empties it; when the
 * upload is whole, the body becomes the file's path. */
void lk_exchange_run_upload(lk_work *work);

#endif
