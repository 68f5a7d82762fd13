/* index/jobs.c — the states of jobs: bytes under a number. What they mean is
 * their owner's business; here they are only as durable as everything else. */
#include "index/parts.h"

#include <inttypes.h>

#include "index/once.h"

typedef struct job_change {
    uint64_t number; /* 0: of a new one */
    linkd_str state;
    const linkd_once *once;
    uint64_t ret_number;
} job_change;

static void key_job(lk_key *key, uint64_t number)
{
    lk_key_begin(key);
    lk_key_add_u64(key, number);
}

static int absent_fail(uint64_t number, linkd_error *err)
{
    return lk_fail(err, LINKD_E_ABSENT, "there is no job %" PRIu64, number);
}

static int job_write(lk_txn *txn, uint64_t number, linkd_str state,
                     linkd_error *err)
{
    lk_key key;

    key_job(&key, number);
    return lk_value_put(txn, LK_TABLE_JOBS, lk_key_str(&key), state, err);
}

/* A submission that is sent again finds its job, and under the same number also
 * if the job was removed: a crash in between may have been the reason. */
static int job_recreate(const job_change *change, lk_txn *txn, linkd_error *err)
{
    linkd_str value;
    lk_key key;
    bool found;
    int rc;

    key_job(&key, change->ret_number);
    rc = lk_txn_find(txn, LK_TABLE_JOBS, lk_key_str(&key), &value, &found, err);
    if (rc != LINKD_OK || found)
        return rc;
    return job_write(txn, change->ret_number, change->state, err);
}

static int job_create(job_change *change, lk_txn *txn, linkd_error *err)
{
    bool found = false;
    int rc =
        lk_once_find(txn, change->once, &change->ret_number, 1, &found, err);

    if (rc == LINKD_OK && found)
        return job_recreate(change, txn, err);
    if (rc != LINKD_OK)
        return rc;
    change->ret_number = 1;
    rc = lk_meta_find(txn, "next_job", &change->ret_number, &found, err);
    if (rc == LINKD_OK)
        rc = lk_meta_put(txn, "next_job", change->ret_number + 1, err);
    if (rc == LINKD_OK)
        rc = job_write(txn, change->ret_number, change->state, err);
    if (rc == LINKD_OK)
        rc = lk_once_put(txn, change->once, &change->ret_number, 1, err);
    return rc;
}

static int job_put_apply(void *ctx, lk_txn *txn, uint64_t *seq,
                         linkd_error *err)
{
    job_change *change = ctx;
    linkd_str value;
    lk_key key;
    bool found;
    int rc;

    (void)seq; /* of records' changes */
    if (change->number == 0)
        return job_create(change, txn, err);
    key_job(&key, change->number);
    rc = lk_txn_find(txn, LK_TABLE_JOBS, lk_key_str(&key), &value, &found, err);
    if (rc == LINKD_OK && !found)
        rc = absent_fail(change->number, err);
    if (rc == LINKD_OK)
        rc = job_write(txn, change->number, change->state, err);
    change->ret_number = change->number;
    return rc;
}

int linkd_store_put_job(linkd_store *store, uint64_t *number, linkd_str state,
                        const linkd_once *once, linkd_error *err)
{
    job_change change = {.number = *number, .state = state, .once = once};
    int rc = lk_once_check(once, err);

    if (rc == LINKD_OK && state.len > LINKD_RECORD_MAX_BYTES)
        rc = lk_fail(err, LINKD_E_ARG,
                     "the state of a job has %zu bytes, most is %zu", state.len,
                     LINKD_RECORD_MAX_BYTES);
    if (rc == LINKD_OK)
        rc = lk_writer_run(store->writer, job_put_apply, &change, state.len,
                           NULL, err);
    if (rc == LINKD_OK)
        *number = change.ret_number;
    return rc;
}

int linkd_store_find_job(linkd_store *store, const linkd_once *once,
                         uint64_t *ret_number, bool *ret_found,
                         linkd_error *err)
{
    lk_txn *txn = NULL;
    int rc = lk_once_check(once, err);

    if (rc == LINKD_OK)
        rc = lk_txn_begin_read(store->env, &txn, err);
    if (rc == LINKD_OK)
        rc = lk_once_find(txn, once, ret_number, 1, ret_found, err);
    lk_txn_abort(txn);
    return rc;
}

static int job_delete_apply(void *ctx, lk_txn *txn, uint64_t *seq,
                            linkd_error *err)
{
    const job_change *change = ctx;
    lk_key key;
    bool found = false;
    int rc;

    (void)seq;
    key_job(&key, change->number);
    rc = lk_txn_remove(txn, LK_TABLE_JOBS, lk_key_str(&key), &found, err);
    if (rc == LINKD_OK && !found)
        rc = absent_fail(change->number, err);
    return rc;
}

int linkd_store_delete_job(linkd_store *store, uint64_t number,
                           linkd_error *err)
{
    job_change change = {.number = number};

    return lk_writer_run(store->writer, job_delete_apply, &change, 0, NULL,
                         err);
}

int linkd_store_next_job(linkd_store *store, uint64_t from, lk_arena *arena,
                         uint64_t *ret_number, linkd_str *ret_state,
                         bool *ret_found, linkd_error *err)
{
    lk_txn *txn = NULL;
    lk_cursor *cursor = NULL;
    linkd_str found_key;
    linkd_str value;
    linkd_str state;
    lk_key key;
    bool found = false;
    int rc = lk_txn_begin_read(store->env, &txn, err);

    if (rc == LINKD_OK)
        rc = lk_cursor_open(txn, LK_TABLE_JOBS, &cursor, err);
    key_job(&key, from);
    if (rc == LINKD_OK)
        rc = lk_cursor_seek(cursor, lk_key_str(&key), &found_key, &value,
                            &found, err);
    if (rc != LINKD_OK || !found)
        goto done;
    rc = lk_value_open(LK_TABLE_JOBS, found_key, value, &state, err);
    if (rc != LINKD_OK)
        goto done;
    state.bytes = lk_arena_copy(arena, state.bytes, state.len);
    if (state.bytes == NULL) {
        rc = lk_fail_nomem(err);
        goto done;
    }
    *ret_number = lk_key_tail_u64(found_key);
    *ret_state = state;
done:
    lk_cursor_close(cursor);
    lk_txn_abort(txn);
    if (rc == LINKD_OK)
        *ret_found = found;
    return rc;
}
