/* A pool of threads that share out the items of one task at a time.
 *
 * Not uv_queue_work (its threads are shared with DNS and file calls) and not
 * OpenMP (it cannot be sized per task, and its threads spin). Items are handed
 * out by a counter, so a slow item holds up nobody; which worker runs an item is
 * up to chance, so a task may use the worker's number for scratch memory but
 * never for its result.
 *
 *   run():   task, n_items ─► generation + 1 ─► wake all
 *   worker:  take next_item until none is left ─► n_active - 1 ─► last one wakes
 *            the caller
 *
 * The calling thread is worker 0. `lock` guards everything below it in the
 * struct except next_item and failed, which are atomic: they are touched once
 * an item, the rest once a task.
 *
 * Does not queue: run() by two threads at once is a bug of the caller. */
#include "base/base.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

typedef struct worker {
    lk_pool *pool;
    size_t number;
    pthread_t thread;
} worker;

struct lk_pool {
    size_t n_workers; /* the caller included */
    size_t n_threads; /* started so far: n_workers - 1 after new() */
    worker *workers;  /* [n_workers - 1] */
    atomic_size_t next_item;
    atomic_bool failed;

    pthread_mutex_t lock; /* guards: all below */
    pthread_cond_t start; /* generation has changed, or stopping */
    pthread_cond_t done;  /* n_active is 0 */
    uint64_t generation;
    size_t n_active; /* threads that have not finished this generation */
    bool stopping;
    lk_task_fn *task;
    void *ctx;
    size_t n_items;
    size_t failed_item; /* lowest so far */
    linkd_error failure;
};

static void record_failure(lk_pool *pool, size_t item, int code,
                           const linkd_error *err)
{
    pthread_mutex_lock(&pool->lock);
    if (!atomic_load(&pool->failed) || item < pool->failed_item) {
        pool->failed_item = item;
        pool->failure = *err;
        pool->failure.code = code;
    }
    atomic_store(&pool->failed, true);
    pthread_mutex_unlock(&pool->lock);
}

/* Items are taken in rising order, so when one fails, all lower ones have been
 * taken and will be finished: the lowest failure is the same in every run. */
static void take_items(lk_pool *pool, lk_task_fn *task, void *ctx,
                       size_t n_items, size_t number)
{
    while (!atomic_load(&pool->failed)) {
        size_t item = atomic_fetch_add(&pool->next_item, 1);
        linkd_error err = {0};
        int rc;

        if (item >= n_items)
            return;
        rc = task(ctx, item, number, &err);
        if (rc != LINKD_OK)
            record_failure(pool, item, rc, &err);
    }
}

static void *worker_main(void *arg)
{
    const worker *self = arg;
    lk_pool *pool = self->pool;
    uint64_t seen = 0;

    pthread_mutex_lock(&pool->lock);
    for (;;) {
        while (pool->generation == seen && !pool->stopping)
            pthread_cond_wait(&pool->start, &pool->lock);
        if (pool->stopping)
            break;
        seen = pool->generation;

        lk_task_fn *task = pool->task;
        void *ctx = pool->ctx;
        size_t n_items = pool->n_items;

        pthread_mutex_unlock(&pool->lock);
        take_items(pool, task, ctx, n_items, self->number);
        pthread_mutex_lock(&pool->lock);
        if (--pool->n_active == 0)
            pthread_cond_signal(&pool->done);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

static size_t count_processors(void)
{
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof(set), &set) != 0)
        return 1;
    return (size_t)CPU_COUNT(&set);
}

static int start_threads(lk_pool *pool, linkd_error *err)
{
    for (size_t i = 0; i + 1 < pool->n_workers; i++) {
        worker *self = &pool->workers[i];

        *self = (worker){.pool = pool, .number = i + 1};
        if (pthread_create(&self->thread, NULL, worker_main, self) != 0)
            return lk_fail(err, LINKD_E_NOMEM,
                           "could not start thread %zu of %zu", i + 2,
                           pool->n_workers);
        pool->n_threads++;
    }
    return LINKD_OK;
}

int lk_pool_new(size_t n_workers, lk_pool **ret_pool, linkd_error *err)
{
    lk_pool *pool = calloc(1, sizeof(*pool));
    int rc;

    if (pool == NULL)
        return lk_fail_nomem(err);
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->start, NULL);
    pthread_cond_init(&pool->done, NULL);
    pool->n_workers = n_workers > 0 ? n_workers : count_processors();
    pool->workers = calloc(pool->n_workers, sizeof(*pool->workers));
    rc = pool->workers != NULL ? start_threads(pool, err) : lk_fail_nomem(err);
    if (rc != LINKD_OK) {
        lk_pool_free(pool);
        return rc;
    }
    *ret_pool = pool;
    return LINKD_OK;
}

void lk_pool_free(lk_pool *pool)
{
    if (pool == NULL)
        return;
    pthread_mutex_lock(&pool->lock);
    pool->stopping = true;
    pthread_cond_broadcast(&pool->start);
    pthread_mutex_unlock(&pool->lock);
    for (size_t i = 0; i < pool->n_threads; i++)
        pthread_join(pool->workers[i].thread, NULL);
    pthread_cond_destroy(&pool->done);
    pthread_cond_destroy(&pool->start);
    pthread_mutex_destroy(&pool->lock);
    free(pool->workers);
    free(pool);
}

size_t lk_pool_n_workers(const lk_pool *pool)
{
    return pool->n_workers;
}

/* Wakes the threads for a task that has work for more than the caller. */
static void start_task(lk_pool *pool, lk_task_fn *task, void *ctx,
                       size_t n_items)
{
    pthread_mutex_lock(&pool->lock);
    LK_ASSERT(pool->n_active == 0);
    pool->task = task;
    pool->ctx = ctx;
    pool->n_items = n_items;
    pool->n_active = pool->n_threads;
    pool->generation++;
    pthread_cond_broadcast(&pool->start);
    pthread_mutex_unlock(&pool->lock);
}

static void wait_for_threads(lk_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    while (pool->n_active > 0)
        pthread_cond_wait(&pool->done, &pool->lock);
    pthread_mutex_unlock(&pool->lock);
}

int lk_pool_run(lk_pool *pool, size_t n_items, lk_task_fn *task, void *ctx,
                linkd_error *err)
{
    atomic_store(&pool->next_item, 0);
    atomic_store(&pool->failed, false);
    if (n_items > 1)
        start_task(pool, task, ctx, n_items);
    take_items(pool, task, ctx, n_items, 0);
    wait_for_threads(pool);
    if (!atomic_load(&pool->failed))
        return LINKD_OK;
    if (err != NULL)
        *err = pool->failure;
    return pool->failure.code;
}
