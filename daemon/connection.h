/* daemon/connection.h — private: one client's socket. All of it is the loop's. */
#ifndef LK_DAEMON_CONNECTION_H
#define LK_DAEMON_CONNECTION_H

#include <uv.h>

#include "daemon/exchange.h"

typedef struct lk_connection lk_connection;

/* A read takes at most this much; what cannot be parsed yet is kept, and once a
 * connection has kept that much it is read no further. */
#define LK_READ_BYTES ((size_t)64 << 10)

/* What all connections share. */
typedef struct lk_hub {
    lk_service *service;
    uv_loop_t *loop;
    lk_workers *workers;
    lk_roles *roles;
    size_t max_connections;
    lk_connection *connections; /* all that are open */
    size_t n_connections;       /* those whose memory is not freed yet */
    size_t n_exchanges;
    size_t n_body_bytes;   /* of bodies in memory: LK_BODIES_MAX_BYTES */
    size_t n_answer_bytes; /* of answers in memory: LK_ANSWERS_MAX_BYTES */
    bool is_draining;      /* no keep-alive, no waiting streams */
    /* Called when an exchange or a connection is gone. */
    void (*quiet_cb)(struct lk_hub *hub);
    char read_buffer[LK_READ_BYTES]; /* every read is parsed at once */
} lk_hub;

/* Takes one waiting client of `listener`. LINKD_E_NOMEM: it still waits, and
 * the listener stands still until this is called again. */
LINKD_MUST_CHECK int lk_connection_accept(lk_hub *hub, uv_stream_t *listener,
                                          bool is_tcp, linkd_error *err);

/* Ends what would never end by itself: streams that wait for news. */
void lk_connections_drain(lk_hub *hub);
/* Closes all; handlers that run are told to stop. */
void lk_connections_close(lk_hub *hub);

#endif
