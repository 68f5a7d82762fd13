/* daemon/server.h — private: the event loop, its connections and workers.
 *
 *   loop thread   accept ─► read ─► http.c ─► route ─► queue of a lane
 *                   ▲                                     │
 *                   └── uv_async ◄── completions ◄── workers: handler()
 *
 * The loop never computes, waits for a lock that is held longer than a few
 * instructions, or touches the store. Every queue is bounded: a full one is
 * 503 with Retry-After. */
#ifndef LK_DAEMON_SERVER_H
#define LK_DAEMON_SERVER_H

#include "daemon/service.h"

/* Sources: research on peers' defaults (service.md §3.1), else a guess. */
#define LK_HEADERS_MAX_BYTES  ((size_t)16 << 10)
#define LK_HEADERS_MAX        64
#define LK_URI_MAX_BYTES      ((size_t)8 << 10)
#define LK_QUEUE_MAX          1024 /* requests waiting for a lane */
#define LK_HEADERS_TIMEOUT_MS 10000
#define LK_BODY_TIMEOUT_MS    30000 /* without progress */
#define LK_WRITE_TIMEOUT_MS   30000 /* without progress */
#define LK_DRAIN_TIMEOUT_MS   10000
#define LK_BODIES_MAX_BYTES   ((size_t)512 << 20) /* of all requests at once */
#define LK_ANSWERS_MAX_BYTES  ((size_t)512 << 20) /* that wait to be read */
#define LK_ANSWER_SMALL_BYTES ((size_t)64 << 10)  /* never refused for it */

/* Listens and serves until SIGTERM or SIGINT has drained it (a second one ends
 * it at once). The loop runs from the beginning, so that /healthz answers and
 * /readyz says 503 while `load` works on a thread of its own; when it returns,
 * the phase becomes READY. SIGHUP reopens the log. `load` failing ends the
 * server with its error. */
LINKD_MUST_CHECK int lk_server_run(lk_service *service,
                                   int (*load)(lk_service *service,
                                               linkd_error *err),
                                   linkd_error *err);

#endif
