/* daemon/answer.h — private: the way of an answer into the socket. All of it is
 * the loop's. Each may close the connection. */
#ifndef LK_DAEMON_ANSWER_H
#define LK_DAEMON_ANSWER_H

#include "daemon/connection_parts.h"

/* Sends the exchange's response, which is made; if it is a stream, its
 * beginning, and the rest as it comes. */
void lk_answer_send(lk_connection *connection);
/* Sends "100 Continue", which the client waits for before it sends a body. */
void lk_answer_put_continue(lk_connection *connection);
/* In WRITE, when the time is up: a client that read nothing in it is given up,
 * a slow one is not. */
void lk_answer_check_progress(lk_connection *connection);
/* In WAIT: asks the stream again. */
void lk_answer_ask_stream(lk_connection *connection);

#endif
