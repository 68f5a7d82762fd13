/* daemon/batches.c — texts of many workers, encoded together.
 *
 *   worker ─► ticket {texts, vectors} ─► urgent or bulk ─► encoding thread
 *      ◄────────────── its condition, when the last text is encoded ◄──┘
 *
 * The encoding thread takes what waits when it is free, so batches are as large
 * as the load makes them and nobody waits for a batch to fill. Urgent texts are
 * taken first, all of them up to LK_BATCH_MAX; bulk texts only when no urgent
 * ones wait, SLICE_MAX at a time, tickets in turn: a query waits for one slice. A
 * vector depends on its text alone, so none of this shows in results.
 *
 * A picture takes as long as a dozen texts, so that a slice has as many as there
 * are threads at most.
 *
 * A ticket lives on its worker's stack. While none of its texts is with the
 * encoder (n_taken == n_done), whoever holds `lock` may unlink it: that is how
 * a waiting worker gives up. */
#include "daemon/batches.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* What a query may have to wait for: 30 ms of short texts on two cores. */
#define SLICE_MAX   ((size_t)16)
#define WAITING_MAX ((size_t)4096)
/* How often a waiting worker looks at its stop_cb. */
#define STOP_CHECK_NS 20000000L

typedef struct ticket {
    struct ticket *next;
    const linkd_str *texts;
    float *vectors; /* [n, dim] */
    size_t n;
    size_t n_taken; /* texts given to the encoder so far */
    size_t n_done;
    bool failed;
    linkd_error error;
    pthread_cond_t done;
} ticket;

typedef struct queue {
    ticket *first;
    ticket *last;
    size_t n_waiting; /* texts */
} queue;

struct lk_batches {
    lk_batch_encoder encoder;
    float *vectors; /* [LK_BATCH_MAX, dim], the thread's */
    pthread_t thread;
    bool has_thread;
    pthread_mutex_t lock; /* guards: all below, and every ticket */
    pthread_cond_t work;
    queue urgent;
    queue bulk;
    bool stopping;
};

/* ---- the encoding thread ------------------------------------------------- */

/* A run of one ticket's texts within a batch. */
typedef struct part {
    ticket *owner;
    size_t begin;
    size_t n;
} part;

typedef struct batch {
    part parts[LK_BATCH_MAX];
    size_t n_parts;
    linkd_str texts[LK_BATCH_MAX];
    size_t n;
} batch;

/* How many of n contents are taken before there are `n_pictures`. */
static size_t run_length(const linkd_str *contents, size_t n,
                         size_t *n_pictures)
{
    for (size_t i = 0; i < n; i++) {
        if (*n_pictures == 0)
            return i;
        *n_pictures -= linkd_content_split(contents[i]).picture.len > 0;
    }
    return n;
}

/* Adds texts of the queue's tickets until the batch has `limit`, or `n_pictures`
 * of them; tickets whose last text was taken leave the queue. */
static void queue_take(queue *q, size_t limit, size_t n_pictures, batch *b)
{
    while (q->first != NULL && b->n < limit) {
        ticket *t = q->first;
        size_t n = t->n - t->n_taken;

        if (n > limit - b->n)
            n = limit - b->n;
        n = run_length(t->texts + t->n_taken, n, &n_pictures);
        if (n == 0)
            return;
        memcpy(b->texts + b->n, t->texts + t->n_taken, n * sizeof(*t->texts));
        b->parts[b->n_parts++] = (part){t, t->n_taken, n};
        b->n += n;
        t->n_taken += n;
        q->n_waiting -= n;
        if (t->n_taken < t->n)
            return;
        q->first = t->next;
    }
}

/* Bulk tickets take turns: one that had its slice goes to the end. */
static void queue_rotate(queue *q)
{
    ticket *t = q->first;

    if (t == NULL || t->next == NULL || t->n_taken == 0)
        return;
    q->first = t->next;
    t->next = NULL;
    q->last->next = t;
    q->last = t;
}

static void batch_finish(lk_batches *batches, batch *b, int rc,
                         const linkd_error *err)
{
    size_t at = 0;

    for (size_t i = 0; i < b->n_parts; i++) {
        part *p = &b->parts[i];
        ticket *t = p->owner;

        if (rc != LINKD_OK) {
            t->failed = true;
            t->error = *err;
        } else {
            memcpy(t->vectors + p->begin * batches->encoder.dim,
                   batches->vectors + at * batches->encoder.dim,
                   p->n * batches->encoder.dim * sizeof(float));
        }
        at += p->n;
        t->n_done += p->n;
        if (t->n_done == t->n)
            (void)pthread_cond_signal(&t->done);
    }
}

/* Encodes one batch; called and returns with the lock. */
static void batch_encode(lk_batches *batches, batch *b)
{
    linkd_error err = {0};
    int rc;

    b->n = 0;
    b->n_parts = 0;
    queue_take(&batches->urgent, LK_BATCH_MAX, LK_BATCH_MAX, b);
    if (b->n == 0) {
        queue_take(&batches->bulk, SLICE_MAX, batches->encoder.n_pictures, b);
        queue_rotate(&batches->bulk);
    }
    (void)pthread_mutex_unlock(&batches->lock);
    rc = batches->encoder.encode(batches->encoder.ctx, b->texts, b->n,
                                 batches->vectors, &err);
    (void)pthread_mutex_lock(&batches->lock);
    batch_finish(batches, b, rc, &err);
}

static bool has_work(const lk_batches *batches)
{
    return batches->urgent.first != NULL || batches->bulk.first != NULL;
}

static void *encode_all(void *arg)
{
    lk_batches *batches = arg;
    batch b;

    (void)pthread_mutex_lock(&batches->lock);
    for (;;) {
        while (!batches->stopping && !has_work(batches))
            (void)pthread_cond_wait(&batches->work, &batches->lock);
        if (!has_work(batches))
            break;
        batch_encode(batches, &b);
    }
    (void)pthread_mutex_unlock(&batches->lock);
    return NULL;
}

/* ---- waiting for vectors ------------------------------------------------- */

static void queue_append(queue *q, ticket *t)
{
    t->next = NULL;
    if (q->first == NULL)
        q->first = t;
    else
        q->last->next = t;
    q->last = t;
}

static void queue_unlink(queue *q, ticket *t)
{
    ticket *before = NULL;

    for (ticket *at = q->first; at != t; at = at->next)
        before = at;
    if (before == NULL)
        q->first = t->next;
    else
        before->next = t->next;
    if (q->last == t)
        q->last = before;
}

/* Waits for the ticket's texts, or until `stop_cb` says so; then what was not
 * taken yet is taken back. Called with the lock. */
static int ticket_wait(lk_batches *batches, queue *q, ticket *t,
                       const lk_waiting *waiting, linkd_error *err)
{
    while (t->n_done < t->n) {
        struct timespec until;

        if (waiting->stop_cb != NULL && t->n_taken == t->n_done &&
            waiting->stop_cb(waiting->stop_ctx)) {
            queue_unlink(q, t);
            q->n_waiting -= t->n - t->n_done;
            return lk_fail(err, LINKD_E_CANCELLED,
                           "the time for the request ran out");
        }
        (void)clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += STOP_CHECK_NS;
        if (until.tv_nsec >= 1000000000L) {
            until.tv_nsec -= 1000000000L;
            until.tv_sec++;
        }
        (void)pthread_cond_timedwait(&t->done, &batches->lock, &until);
    }
    if (t->failed) {
        if (err != NULL)
            *err = t->error;
        return t->error.code;
    }
    return LINKD_OK;
}

static int cond_init(pthread_cond_t *cond, linkd_error *err)
{
    pthread_condattr_t attr;

    if (pthread_condattr_init(&attr) != 0)
        return lk_fail_nomem(err);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    if (pthread_cond_init(cond, &attr) != 0) {
        (void)pthread_condattr_destroy(&attr);
        return lk_fail_nomem(err);
    }
    (void)pthread_condattr_destroy(&attr);
    return LINKD_OK;
}

int lk_batches_embed(lk_batches *batches, const lk_waiting *waiting,
                     const linkd_str *texts, size_t n, float *ret_vectors,
                     linkd_error *err)
{
    queue *q =
        waiting->urgency == LK_URGENT ? &batches->urgent : &batches->bulk;
    ticket t = {.texts = texts, .vectors = ret_vectors, .n = n};
    int rc = cond_init(&t.done, err);

    if (rc != LINKD_OK)
        return rc;
    (void)pthread_mutex_lock(&batches->lock);
    if (batches->stopping)
        rc = lk_fail(err, LINKD_E_BUSY, "the daemon is stopping");
    else if (waiting->urgency != LK_JOB && q->n_waiting > 0 &&
             q->n_waiting + t.n > WAITING_MAX)
        rc = lk_fail(err, LINKD_E_BUSY, "%zu texts wait to be encoded already",
                     q->n_waiting);
    if (rc == LINKD_OK) {
        q->n_waiting += t.n;
        queue_append(q, &t);
        (void)pthread_cond_signal(&batches->work);
        rc = ticket_wait(batches, q, &t, waiting, err);
    }
    (void)pthread_mutex_unlock(&batches->lock);
    (void)pthread_cond_destroy(&t.done);
    return rc;
}

/* ---- beginning and end ---------------------------------------------------- */

int lk_batches_new(const lk_batch_encoder *encoder, lk_batches **ret_batches,
                   linkd_error *err)
{
    lk_batches *batches = calloc(1, sizeof(*batches));

    if (batches == NULL)
        return lk_fail_nomem(err);
    batches->encoder = *encoder;
    (void)pthread_mutex_init(&batches->lock, NULL);
    (void)pthread_cond_init(&batches->work, NULL);
    batches->vectors =
        lk_alloc_aligned(LK_BATCH_MAX, encoder->dim * sizeof(float));
    if (batches->vectors == NULL ||
        pthread_create(&batches->thread, NULL, encode_all, batches) != 0) {
        lk_batches_free(batches);
        return lk_fail_nomem(err);
    }
    batches->has_thread = true;
    *ret_batches = batches;
    return LINKD_OK;
}

void lk_batches_free(lk_batches *batches)
{
    if (batches == NULL)
        return;
    if (batches->has_thread) {
        (void)pthread_mutex_lock(&batches->lock);
        batches->stopping = true;
        (void)pthread_cond_signal(&batches->work);
        (void)pthread_mutex_unlock(&batches->lock);
        (void)pthread_join(batches->thread, NULL);
    }
    (void)pthread_cond_destroy(&batches->work);
    (void)pthread_mutex_destroy(&batches->lock);
    free(batches->vectors);
    free(batches);
}
