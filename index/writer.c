/* index/writer.c — the one thread that writes.
 *
 * A commit costs one fdatasync however much it holds, so changes are grouped:
 * while one group is being committed, the next one queues up.
 *
 *   callers ─► queue ─► group (all that waits, to 64 MB) ─► one transaction
 *      ▲                   apply, apply, … , seq, trim ─► commit ─► wake
 *      └──────────────────────────────────────────────────────────────┘
 *
 * A change lives on its caller's stack; the caller sleeps until it is done and
 * then owns it again. Nobody is woken before the commit returned: what was
 * acknowledged is on disk.
 *
 * LMDB cannot roll back a part of a transaction. When a change of a group fails
 * the whole group is rolled back and each half of it is a group again, so that
 * a failure is the failing one's alone and costs the others a few commits: of
 * 4096 changes one that fails makes 12 groups. A full disk or map is such a
 * failure: the next group finds its room again when space was freed.
 *
 * An I/O error at commit is another matter: what is on disk then is not known,
 * and a second fdatasync may well succeed without having written what the first
 * one lost. The writer fences itself; only a restart, which reads what is
 * really there, goes on. */
#include "index/parts.h"

#include <pthread.h>
#include <stdlib.h>

#include "index/once.h"

#define GROUP_COST_MAX ((size_t)64 << 20) /* of dirty pages held in memory */
#define QUEUE_MAX      ((size_t)4096)
/* Old entries removed for each one that is added: the log falls back to its
 * length even after a longer one was allowed. */
#define TRIM_PER_CHANGE ((uint64_t)2)

typedef struct change {
    lk_apply_fn *apply;
    void *ctx;
    size_t cost_bytes;
    uint64_t seq; /* after it */
    int rc;
    linkd_error err;
    bool done;
    struct change *next;
} change;

struct lk_writer {
    linkd_store *store;
    pthread_t thread;
    bool has_thread;
    pthread_mutex_t queue_lock; /* guards: all that follows, down to fenced */
    pthread_cond_t queued;
    pthread_cond_t finished;
    change *first;
    change *last;
    size_t n_queued;
    size_t n_callers; /* within lk_writer_run() */
    bool stopping;
    bool fenced;
    uint64_t seq; /* of the last commit */
    uint64_t n_commits;
    uint64_t n_writes;
    uint64_t commit_ns;
    lk_key once_hand; /* the writer thread's own */
};

/* ---- housekeeping in each transaction ----------------------------------- */

/* Removes the oldest entries of the log that are beyond its length, at most
 * `n_max`. */
static int log_trim(lk_txn *txn, uint64_t seq, uint64_t n_max, linkd_error *err)
{
    lk_cursor *cursor = NULL;
    linkd_str found_key;
    linkd_str value;
    lk_key key;
    bool found = true;
    int rc;

    if (seq <= LK_LOG_MAX_CHANGES)
        return LINKD_OK;
    rc = lk_cursor_open(txn, LK_TABLE_LOG, &cursor, err);
    lk_key_begin(&key);
    lk_key_add_u64(&key, 0);
    for (uint64_t i = 0; rc == LINKD_OK && i < n_max; i++) {
        rc = lk_cursor_seek(cursor, lk_key_str(&key), &found_key, &value,
                            &found, err);
        if (rc != LINKD_OK || !found ||
            lk_key_tail_u64(found_key) > seq - LK_LOG_MAX_CHANGES)
            break;
        lk_key_begin(&key);
        lk_key_add_bytes(&key, found_key);
        rc = lk_txn_remove(txn, LK_TABLE_LOG, lk_key_str(&key), &found, err);
    }
    lk_cursor_close(cursor);
    return rc;
}

static int group_finish(lk_writer *writer, lk_txn *txn, uint64_t seq,
                        size_t n_changes, linkd_error *err)
{
    int rc = LINKD_OK;

    if (seq > writer->seq) {
        rc = lk_meta_put(txn, "seq", seq, err);
        if (rc == LINKD_OK)
            rc = log_trim(txn, seq, TRIM_PER_CHANGE * (seq - writer->seq), err);
    }
    if (rc == LINKD_OK)
        rc = lk_once_sweep(txn, &writer->once_hand, 2 * n_changes, err);
    return rc;
}

/* ---- groups, on the writer thread ---------------------------------------- */

typedef enum group_outcome {
    GROUP_DONE,
    GROUP_REFUSED, /* rolled back: a change, or room for all, was missing */
    GROUP_FENCED,
} group_outcome;

static group_outcome group_commit(lk_writer *writer, lk_txn *txn, uint64_t seq,
                                  size_t n_changes, linkd_error *err)
{
    uint64_t start_ns = lk_clock_ns();
    int rc = lk_txn_commit(txn, err);

    pthread_mutex_lock(&writer->queue_lock);
    writer->commit_ns += lk_clock_ns() - start_ns;
    if (rc == LINKD_OK) {
        writer->seq = seq;
        writer->n_commits++;
        writer->n_writes += n_changes;
    }
    writer->fenced = rc == LINKD_E_IO;
    pthread_mutex_unlock(&writer->queue_lock);
    if (rc == LINKD_OK)
        return GROUP_DONE;
    return rc == LINKD_E_IO ? GROUP_FENCED : GROUP_REFUSED;
}

/* Applies `n` changes in one transaction. What fails is told in `err`. */
static group_outcome group_try(lk_writer *writer, change *first, size_t n,
                               linkd_error *err)
{
    uint64_t seq = writer->seq;
    lk_txn *txn = NULL;
    change *at = first;
    int rc = lk_txn_begin_write(writer->store->env, &txn, err);

    for (size_t i = 0; rc == LINKD_OK && i < n; i++, at = at->next) {
        rc = at->apply(at->ctx, txn, &seq, err);
        at->seq = seq;
    }
    if (rc == LINKD_OK)
        rc = group_finish(writer, txn, seq, n, err);
    if (rc == LINKD_OK)
        return group_commit(writer, txn, seq, n, err);
    lk_txn_abort(txn);
    return GROUP_REFUSED;
}

static void changes_fail(change *first, size_t n, const linkd_error *err)
{
    LK_ASSERT(err->code != LINKD_OK); /* else it would pass for written */
    for (size_t i = 0; i < n; i++, first = first->next) {
        first->rc = err->code;
        first->err = *err;
    }
}

static const linkd_error fence_error = {
    LINKD_E_BUSY, "writes are stopped after an I/O error: restart"};

static void group_run(lk_writer *writer, change *first, size_t n)
{
    linkd_error err = {0};
    bool fenced = writer->fenced; /* written on this thread only */
    size_t half = n / 2;
    group_outcome outcome;

    if (fenced) {
        changes_fail(first, n, &fence_error);
        return;
    }
    outcome = group_try(writer, first, n, &err);
    if (outcome == GROUP_FENCED || (outcome == GROUP_REFUSED && n == 1))
        changes_fail(first, n, &err);
    if (outcome != GROUP_REFUSED || n == 1)
        return;
    group_run(writer, first, half);
    for (size_t i = 0; i < half; i++)
        first = first->next;
    group_run(writer, first, n - half);
}

/* ---- the queue ----------------------------------------------------------- */

/* Takes what is queued, up to the cost of a group. Under queue_lock. */
static change *group_take(lk_writer *writer, size_t *ret_n)
{
    change *first = writer->first;
    change *at = first;
    size_t cost = at->cost_bytes;
    size_t n = 1;

    while (at->next != NULL && at->next->cost_bytes <= GROUP_COST_MAX &&
           cost + at->next->cost_bytes <= GROUP_COST_MAX) {
        at = at->next;
        cost += at->cost_bytes;
        n++;
    }
    writer->first = at->next;
    if (at->next == NULL)
        writer->last = NULL;
    writer->n_queued -= n;
    *ret_n = n;
    return first;
}

static void *writer_main(void *arg)
{
    lk_writer *writer = arg;
    change *group;
    size_t n = 0;

    pthread_mutex_lock(&writer->queue_lock);
    for (;;) {
        while (writer->first == NULL && !writer->stopping)
            pthread_cond_wait(&writer->queued, &writer->queue_lock);
        if (writer->first == NULL)
            break;
        group = group_take(writer, &n);
        pthread_mutex_unlock(&writer->queue_lock);
        group_run(writer, group, n);
        pthread_mutex_lock(&writer->queue_lock);
        for (size_t i = 0; i < n; i++, group = group->next)
            group->done = true;
        pthread_cond_broadcast(&writer->finished);
    }
    pthread_mutex_unlock(&writer->queue_lock);
    return NULL;
}

/* Why no change is taken now, or LINKD_OK. Under queue_lock. */
static int queue_check(const lk_writer *writer, linkd_error *err)
{
    if (writer->stopping)
        return lk_fail(err, LINKD_E_BUSY, "the store is being closed");
    if (writer->fenced)
        return lk_fail(err, fence_error.code, "%s", fence_error.message);
    if (writer->n_queued >= QUEUE_MAX)
        return lk_fail(err, LINKD_E_BUSY, "%zu writes are waiting already",
                       writer->n_queued);
    return LINKD_OK;
}

static void queue_append(lk_writer *writer, change *added)
{
    if (writer->last != NULL)
        writer->last->next = added;
    else
        writer->first = added;
    writer->last = added;
    writer->n_queued++;
    pthread_cond_signal(&writer->queued);
}

int lk_writer_run(lk_writer *writer, lk_apply_fn *apply, void *ctx,
                  size_t cost_bytes, uint64_t *ret_seq, linkd_error *err)
{
    change own = {.apply = apply, .ctx = ctx, .cost_bytes = cost_bytes};
    int rc;

    if (writer == NULL)
        return lk_fail(err, LINKD_E_BUSY, "the store is open for reading only");
    pthread_mutex_lock(&writer->queue_lock);
    rc = queue_check(writer, err);
    if (rc == LINKD_OK) {
        writer->n_callers++;
        queue_append(writer, &own);
        while (!own.done)
            pthread_cond_wait(&writer->finished, &writer->queue_lock);
        if (--writer->n_callers == 0 && writer->stopping)
            pthread_cond_broadcast(&writer->finished);
        rc = own.rc;
        if (rc != LINKD_OK && err != NULL)
            *err = own.err;
        if (rc == LINKD_OK && ret_seq != NULL)
            *ret_seq = own.seq;
    }
    pthread_mutex_unlock(&writer->queue_lock);
    return rc;
}

/* ---- life ---------------------------------------------------------------- */

static int seq_read(lk_env *env, uint64_t *ret_seq, linkd_error *err)
{
    lk_txn *txn = NULL;
    bool found;
    int rc = lk_txn_begin_read(env, &txn, err);

    if (rc == LINKD_OK)
        rc = lk_meta_find(txn, "seq", ret_seq, &found, err);
    lk_txn_abort(txn);
    return rc;
}

int lk_writer_new(linkd_store *store, lk_writer **ret_writer, linkd_error *err)
{
    lk_writer *writer = calloc(1, sizeof(*writer));
    int rc;

    if (writer == NULL)
        return lk_fail_nomem(err);
    writer->store = store;
    pthread_mutex_init(&writer->queue_lock, NULL);
    pthread_cond_init(&writer->queued, NULL);
    pthread_cond_init(&writer->finished, NULL);
    rc = seq_read(store->env, &writer->seq, err);
    if (rc == LINKD_OK &&
        pthread_create(&writer->thread, NULL, writer_main, writer) != 0)
        rc = lk_fail(err, LINKD_E_NOMEM, "could not start the writer thread");
    if (rc != LINKD_OK) {
        lk_writer_free(writer);
        return rc;
    }
    writer->has_thread = true;
    *ret_writer = writer;
    return LINKD_OK;
}

void lk_writer_free(lk_writer *writer)
{
    if (writer == NULL)
        return;
    pthread_mutex_lock(&writer->queue_lock);
    writer->stopping = true;
    pthread_cond_signal(&writer->queued);
    while (writer->n_callers > 0)
        pthread_cond_wait(&writer->finished, &writer->queue_lock);
    pthread_mutex_unlock(&writer->queue_lock);
    if (writer->has_thread)
        pthread_join(writer->thread, NULL);
    pthread_cond_destroy(&writer->finished);
    pthread_cond_destroy(&writer->queued);
    pthread_mutex_destroy(&writer->queue_lock);
    free(writer);
}

void lk_writer_read_stats(lk_writer *writer, linkd_store_stats *stats)
{
    pthread_mutex_lock(&writer->queue_lock);
    stats->seq = writer->seq;
    stats->n_commits = writer->n_commits;
    stats->n_writes = writer->n_writes;
    stats->n_queued = writer->n_queued;
    stats->commit_ns = writer->commit_ns;
    stats->fenced = writer->fenced;
    pthread_mutex_unlock(&writer->queue_lock);
}
