/* daemon/connection_parts.h — private to connection.c and answer.c: what a
 * connection is made of, and its states. */
#ifndef LK_DAEMON_CONNECTION_PARTS_H
#define LK_DAEMON_CONNECTION_PARTS_H

#include "daemon/connection.h"

typedef enum lk_connection_state {
    LK_IDLE,   /* nothing of a request has come */
    LK_HEAD,   /* some of its head */
    LK_BODY,   /* the head is accepted */
    LK_SPOOL,  /* a worker stores a piece of the body */
    LK_RUN,    /* a worker makes the answer or a piece of it */
    LK_WRITE,  /* the socket takes it */
    LK_WAIT,   /* the stream has nothing to say yet */
    LK_LINGER, /* answered; what still comes is thrown away */
    LK_CLOSED,
} lk_connection_state;

struct lk_connection {
    lk_hub *hub;
    lk_connection *prev, *next;
    union {
        uv_handle_t any;
        uv_stream_t stream;
        uv_pipe_t pipe;
        uv_tcp_t tcp;
    } socket;
    uv_timer_t timer;
    int n_open_handles;
    lk_connection_state state;
    bool is_read;    /* the loop watches the socket for bytes */
    bool is_feeding; /* feed() is on the stack */
    bool keep_alive; /* after the answer */
    lk_peer peer;
    lk_http http;
    lk_buf pending;  /* read, not parsed */
    size_t n_queued; /* bytes in the socket's queue when last looked at */
    lk_exchange *exchange;
};

/* Begins the state and its time limit. */
void lk_connection_set_state(lk_connection *connection,
                             lk_connection_state state);
/* Any number of times; the memory goes when libuv lets go of the socket. */
void lk_connection_close(lk_connection *connection);
/* The connection of an exchange that comes back from a worker; NULL: the client
 * left meanwhile, and the exchange is dropped. */
lk_connection *lk_connection_reclaim(lk_work *work);
/* The answer is written: on to the next request, or to the end. */
void lk_connection_go_on(lk_connection *connection);

#endif
