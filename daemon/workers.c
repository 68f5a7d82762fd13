/* daemon/workers.c — threads that handlers run on.
 *
 * Not uv_queue_work: its threads are few, shared with name look-ups and file
 * calls, and its queue is without a limit. There are more threads than
 * processors on purpose, since handlers spend much of their time waiting: for a
 * batch of the encoder, for a group commit. Searches that compute do share the
 * processors then; with equal work for all that costs the median and not the
 * maximum.
 *
 *   submit ─► queue of the lane (lock, FIFO) ─► run() on one of its threads
 *                                                    │
 *   done_cb() on the loop ◄── uv_async ◄── completions (lock-free list)
 *
 * uv_async_send() coalesces, so each wake-up takes the whole list; whoever
 * pushes onto an empty list sends, the others find it sent. */
#include "daemon/workers.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/server.h"

/* As much as a main thread has. Address space only: pages that are never
 * touched cost nothing. */
#define STACK_BYTES ((size_t)8 << 20)

typedef struct lane_queue {
    pthread_mutex_t lock; /* guards: all below */
    pthread_cond_t wake;  /* there is work, or stopping */
    lk_work *first, *last;
    size_t n_waiting;
    bool stopping;
} lane_queue;

struct lk_workers {
    lane_queue lanes[LK_N_LANES];
    pthread_t *threads;
    size_t n_threads;
    uv_async_t async;
    _Atomic(lk_work *) completions; /* newest first */
};

typedef struct start {
    lk_workers *workers;
    lane_queue *lane;
} start;

static _Thread_local bool is_worker;

bool lk_workers_is_worker(void)
{
    return is_worker;
}

/* ---- on the workers -------------------------------------------------------- */

/* The next piece of work, or NULL when the lane is stopping and empty. */
static lk_work *lane_take(lane_queue *lane)
{
    lk_work *work;

    pthread_mutex_lock(&lane->lock);
    while (lane->first == NULL && !lane->stopping)
        pthread_cond_wait(&lane->wake, &lane->lock);
    work = lane->first;
    if (work != NULL) {
        lane->first = work->next;
        lane->n_waiting--;
    }
    pthread_mutex_unlock(&lane->lock);
    return work;
}

static void completion_push(lk_workers *workers, lk_work *work)
{
    lk_work *head = atomic_load(&workers->completions);

    do
        work->next = head;
    while (!atomic_compare_exchange_weak(&workers->completions, &head, work));
    if (head == NULL)
        (void)uv_async_send(&workers->async);
}

static void *thread_main(void *arg)
{
    start at = *(start *)arg;
    lk_work *work;

    free(arg);
    is_worker = true;
    while ((work = lane_take(at.lane)) != NULL) {
        work->run(work);
        completion_push(at.workers, work);
    }
    return NULL;
}

/* ---- on the loop ----------------------------------------------------------- */

static void on_async(uv_async_t *async)
{
    lk_workers *workers = async->data;
    lk_work *newest = atomic_exchange(&workers->completions, NULL);
    lk_work *oldest = NULL;

    while (newest != NULL) {
        lk_work *next = newest->next;

        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    while (oldest != NULL) {
        lk_work *work = oldest;

        oldest = work->next; /* done_cb may free or resubmit the work */
        work->done_cb(work);
    }
}

static int thread_start(lk_workers *workers, lane_queue *lane, const char *name,
                        linkd_error *err)
{
    pthread_t *thread = &workers->threads[workers->n_threads];
    start *at = malloc(sizeof(*at));
    pthread_attr_t attr;
    int rc;

    if (at == NULL)
        return lk_fail_nomem(err);
    *at = (start){workers, lane};
    pthread_attr_init(&attr);
    (void)pthread_attr_setstacksize(&attr, STACK_BYTES);
    rc = pthread_create(thread, &attr, thread_main, at);
    pthread_attr_destroy(&attr);
    if (rc != 0) {
        free(at);
        return lk_fail(err, LINKD_E_NOMEM, "could not start worker %zu",
                       workers->n_threads + 1);
    }
    (void)pthread_setname_np(*thread, name);
    workers->n_threads++;
    return LINKD_OK;
}

/* Signals are the loop's: threads inherit a mask that blocks them all. */
static int threads_start(lk_workers *workers, const size_t *n_threads,
                         linkd_error *err)
{
    static const char *const names[LK_N_LANES] = {
        [LK_LANE_READ] = "linkd-read",
        [LK_LANE_WRITE] = "linkd-write",
        [LK_LANE_EMBED] = "linkd-embed",
    };
    sigset_t all, before;
    int rc = LINKD_OK;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (size_t i = LK_LANE_LOOP + 1; i < LK_N_LANES; i++)
        for (size_t j = 0; rc == LINKD_OK && j < n_threads[i]; j++)
            rc = thread_start(workers, &workers->lanes[i], names[i], err);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc;
}

static void on_closed(uv_handle_t *handle)
{
    lk_workers *workers = handle->data;

    for (size_t i = 0; i < LK_N_LANES; i++) {
        pthread_cond_destroy(&workers->lanes[i].wake);
        pthread_mutex_destroy(&workers->lanes[i].lock);
    }
    free(workers->threads);
    free(workers);
}

int lk_workers_new(uv_loop_t *loop, const size_t n_threads[LK_N_LANES],
                   lk_workers **ret_workers, linkd_error *err)
{
    lk_workers *workers = calloc(1, sizeof(*workers));
    size_t n = 0;
    int rc;

    if (workers == NULL)
        return lk_fail_nomem(err);
    for (size_t i = LK_LANE_LOOP + 1; i < LK_N_LANES; i++)
        n += n_threads[i];
    workers->threads = calloc(n, sizeof(*workers->threads));
    if (workers->threads == NULL) {
        free(workers);
        return lk_fail_nomem(err);
    }
    if (uv_async_init(loop, &workers->async, on_async) != 0) {
        free(workers->threads);
        free(workers);
        return lk_fail(err, LINKD_E_IO, "could not make the loop's wake-up");
    }
    workers->async.data = workers;
    for (size_t i = 0; i < LK_N_LANES; i++) {
        pthread_mutex_init(&workers->lanes[i].lock, NULL);
        pthread_cond_init(&workers->lanes[i].wake, NULL);
    }
    rc = threads_start(workers, n_threads, err);
    if (rc != LINKD_OK) {
        lk_workers_close(workers);
        return rc;
    }
    *ret_workers = workers;
    return LINKD_OK;
}

/* Whether the work was let in. */
static bool lane_put(lane_queue *lane, lk_work *work, size_t max)
{
    bool let_in;

    work->next = NULL;
    pthread_mutex_lock(&lane->lock);
    let_in = lane->n_waiting < max;
    if (let_in) {
        if (lane->first != NULL)
            lane->last->next = work;
        else
            lane->first = work;
        lane->last = work;
        lane->n_waiting++;
        pthread_cond_signal(&lane->wake);
    }
    pthread_mutex_unlock(&lane->lock);
    return let_in;
}

int lk_workers_submit(lk_workers *workers, lk_lane lane, lk_work *work,
                      linkd_error *err)
{
    if (!lane_put(&workers->lanes[lane], work, LK_QUEUE_MAX))
        return lk_fail(err, LINKD_E_BUSY,
                       "%d requests are waiting already: try again later",
                       LK_QUEUE_MAX);
    return LINKD_OK;
}

void lk_workers_resubmit(lk_workers *workers, lk_lane lane, lk_work *work)
{
    (void)lane_put(&workers->lanes[lane], work, SIZE_MAX);
}

void lk_workers_close(lk_workers *workers)
{
    if (workers == NULL)
        return;
    for (size_t i = 0; i < LK_N_LANES; i++) {
        pthread_mutex_lock(&workers->lanes[i].lock);
        workers->lanes[i].stopping = true;
        pthread_cond_broadcast(&workers->lanes[i].wake);
        pthread_mutex_unlock(&workers->lanes[i].lock);
    }
    for (size_t i = 0; i < workers->n_threads; i++)
        pthread_join(workers->threads[i], NULL);
    LK_ASSERT(atomic_load(&workers->completions) == NULL);
    uv_close((uv_handle_t *)&workers->async, on_closed);
}
