/* daemon/workers.h — private: threads that handlers run on, one set a lane, and
 * the way back to the loop. */
#ifndef LK_DAEMON_WORKERS_H
#define LK_DAEMON_WORKERS_H

#include <uv.h>

#include "daemon/routes.h"

typedef struct lk_workers lk_workers;

/* A piece of work, embedded in what it works on. From submit until done_cb is
 * called it belongs to the workers. */
typedef struct lk_work {
    void (*run)(struct lk_work *work);     /* on a worker */
    void (*done_cb)(struct lk_work *work); /* on the loop, after run */
    struct lk_work *next;
} lk_work;

/* n_threads is by lane; the one of LK_LANE_LOOP is not looked at. */
LINKD_MUST_CHECK int lk_workers_new(uv_loop_t *loop,
                                    const size_t n_threads[LK_N_LANES],
                                    lk_workers **ret_workers, linkd_error *err);

/* LINKD_E_BUSY: LK_QUEUE_MAX pieces wait in the lane already. */
LINKD_MUST_CHECK int lk_workers_submit(lk_workers *workers, lk_lane lane,
                                       lk_work *work, linkd_error *err);
/* For work that goes on with a request that was let in: never refused, as there
 * is at most one piece of it a connection. */
void lk_workers_resubmit(lk_workers *workers, lk_lane lane, lk_work *work);

/* Ends the threads and lets go of the loop; on the loop, when all work is done.
 * The memory is freed by the loop's next turn. */
void lk_workers_close(lk_workers *workers);

/* Whether this thread is a worker. */
bool lk_workers_is_worker(void);
#define LK_ON_LOOP()  LK_ASSERT(!lk_workers_is_worker())
#define LK_OFF_LOOP() LK_ASSERT(lk_workers_is_worker())

#endif
