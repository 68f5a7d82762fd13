/* index/store.c — LMDB behind ordered tables of bytes: the place where what was
 * acknowledged survives a kill -9 and a power cut.
 *
 * LMDB is a copy-on-write B+tree in one memory-mapped file. A commit writes the
 * changed pages, syncs, writes a meta page that points to them, syncs: there is
 * no log to replay, and a reader goes on seeing the tree that it began with.
 *
 *   lk_env ── MDB_env, data.mdb + lock.mdb (who reads which tree)
 *     ├─ tables[]  one LMDB database each, opened once
 *     └─ idle[]    read transactions that were reset: beginning one of these
 *                  again costs neither an allocation nor a lock of the file
 *
 * Choices:
 * - MDB_NOTLS, since a read transaction may move between threads of a pool.
 *   Nothing that trades safety for speed (NOSYNC, WRITEMAP): one writer that
 *   commits in groups makes full durability cheap.
 * - No DUPSORT and no MDB_CURRENT: Debian's 0.9.24 has known faults there.
 * - The map is as large as it will ever be from the start. It is address space
 *   only, and growing it would need a moment without transactions.
 * - LMDB checks no pages. layout.h's checksums find flipped bits; a file that
 *   was cut short is lengthened by zeros, because a missing page would be
 *   a SIGBUS while a page of zeros is an error.
 *
 * Does not know what lies in the tables, and does not stop a second process:
 * the store's own lock file does. */
#include "index/store.h"

#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum {
    MAX_READERS = 1024, /* 64 bytes each in lock.mdb */
    MAX_IDLE = 64,      /* guess: more than threads that search at once */
    MAX_KEY_BYTES = 511 /* LMDB's default build */
};

/* Below this the map is not halved any more. */
static const uint64_t MAP_MIN_BYTES = (uint64_t)1 << 30;
/* What the largest group of writes needs (parts.h). */
static const uint64_t DISK_MIN_BYTES = (uint64_t)64 << 20;

static const char *const TABLE_NAMES[LK_N_TABLES] = {
    [LK_TABLE_META] = "meta",         [LK_TABLE_COLLECTIONS] = "collections",
    [LK_TABLE_NAMES] = "names",       [LK_TABLE_GENERATIONS] = "generations",
    [LK_TABLE_BLOBS] = "blobs",       [LK_TABLE_RECORDS] = "records",
    [LK_TABLE_IDS] = "ids",           [LK_TABLE_VECTORS] = "vectors",
    [LK_TABLE_SLOTS] = "slots",       [LK_TABLE_DEAD] = "dead",
    [LK_TABLE_FIELDS] = "fields",     [LK_TABLE_LOG] = "log",
    [LK_TABLE_SEGMENTS] = "segments", [LK_TABLE_ENTITIES] = "entities",
    [LK_TABLE_MEMBERS] = "members",   [LK_TABLE_EVENTS] = "events",
    [LK_TABLE_REVIEWS] = "reviews",   [LK_TABLE_JOBS] = "jobs",
    [LK_TABLE_ONCE] = "once",
};

struct lk_env {
    MDB_env *mdb;
    MDB_dbi tables[LK_N_TABLES];
    pthread_mutex_t idle_lock; /* guards: idle, n_idle */
    lk_txn *idle[MAX_IDLE];
    size_t n_idle;
};

struct lk_txn {
    lk_env *env;
    MDB_txn *mdb;
    bool writes;
};

struct lk_cursor {
    lk_txn *txn;
    MDB_cursor *mdb;
    lk_table table;
    bool at_end; /* LMDB would go on from the start */
};

const char *lk_table_name(lk_table table)
{
    LK_ASSERT((unsigned)table < LK_N_TABLES);
    return TABLE_NAMES[table];
}

/* ---- errors ------------------------------------------------------------- */

static int code_of(int rc)
{
    switch (rc) {
    case MDB_MAP_FULL:
    case MDB_TXN_FULL:
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return LINKD_E_FULL;
    case MDB_READERS_FULL:
        return LINKD_E_BUSY;
    case ENOMEM:
        return LINKD_E_NOMEM;
    case MDB_INVALID:
    case MDB_VERSION_MISMATCH:
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INCOMPATIBLE:
        return LINKD_E_DATA;
    default:
        return LINKD_E_IO;
    }
}

/* LMDB's own words, but for those that say how it is made. */
static const char *reason_of(int rc)
{
    switch (rc) {
    case MDB_MAP_FULL:
        return "the database has reached its size limit";
    case MDB_TXN_FULL:
        return "too many changes at once";
    case MDB_READERS_FULL:
        return "too many readers at once";
    case MDB_INVALID:
        return "not an LMDB file";
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INCOMPATIBLE:
        return "the file is damaged";
    default:
        return mdb_strerror(rc);
    }
}

static bool disk_is_full(MDB_env *mdb)
{
    struct statvfs disk;
    int fd;

    return mdb_env_get_fd(mdb, &fd) == 0 && fstatvfs(fd, &disk) == 0 &&
           (uint64_t)disk.f_bavail * disk.f_frsize < DISK_MIN_BYTES;
}

/* A write that a full disk cut short is EIO to LMDB, which looks only at the
 * length. Nothing was committed then, and nothing is broken. */
static int fail(MDB_env *mdb, int rc, const char *verb, const char *object,
                linkd_error *err)
{
    if (rc == EIO && disk_is_full(mdb))
        rc = ENOSPC;
    return lk_fail(err, code_of(rc), "could not %s %s: %s", verb, object,
                   reason_of(rc));
}

static int table_fail(const lk_txn *txn, int rc, const char *verb,
                      lk_table table, linkd_error *err)
{
    char object[32] = "table ";

    (void)strncat(object, lk_table_name(table),
                  sizeof(object) - sizeof("table "));
    return fail(txn->env->mdb, rc, verb, object, err);
}

/* ---- environment -------------------------------------------------------- */

/* Read-ahead fetches neighbours that a random read does not want, and throws
 * out what is wanted once not everything fits into memory. */
static unsigned flags_for(const char *path)
{
    long pages = sysconf(_SC_PHYS_PAGES), page_bytes = sysconf(_SC_PAGESIZE);
    struct stat file;

    if (stat(path, &file) != 0 || pages <= 0 || page_bytes <= 0)
        return MDB_NOTLS;
    return (uint64_t)file.st_size / (uint64_t)page_bytes > (uint64_t)pages / 2
               ? MDB_NOTLS | MDB_NORDAHEAD
               : MDB_NOTLS;
}

static int map_open(const char *dir, unsigned flags, uint64_t map_bytes,
                    MDB_env **ret_mdb)
{
    MDB_env *mdb = NULL;
    int rc = mdb_env_create(&mdb);

    if (rc != 0)
        return rc;
    rc = mdb_env_set_maxreaders(mdb, MAX_READERS);
    if (rc == 0)
        rc = mdb_env_set_maxdbs(mdb, LK_N_TABLES);
    if (rc == 0)
        rc = mdb_env_set_mapsize(mdb, (size_t)map_bytes);
    if (rc == 0)
        rc = mdb_env_open(mdb, dir, flags, 0600);
    if (rc != 0)
        mdb_env_close(mdb);
    else
        *ret_mdb = mdb;
    return rc;
}

/* The largest map up to `map_bytes` that the system gives. */
static int map_open_largest(const char *dir, unsigned flags, uint64_t map_bytes,
                            MDB_env **ret_mdb)
{
    uint64_t page_mask = (uint64_t)sysconf(_SC_PAGESIZE) - 1;
    int rc = map_open(dir, flags, map_bytes & ~page_mask, ret_mdb);

    while ((rc == ENOMEM || rc == EINVAL) && map_bytes / 2 >= MAP_MIN_BYTES) {
        map_bytes /= 2;
        rc = map_open(dir, flags, map_bytes & ~page_mask, ret_mdb);
    }
    return rc;
}

static int tables_open(lk_env *env)
{
    MDB_txn *txn = NULL;
    int rc = mdb_txn_begin(env->mdb, NULL, 0, &txn);

    for (size_t i = 0; rc == 0 && i < LK_N_TABLES; i++)
        rc = mdb_dbi_open(txn, TABLE_NAMES[i], MDB_CREATE, &env->tables[i]);
    if (rc == 0)
        return mdb_txn_commit(txn); /* writes only if a table was made */
    mdb_txn_abort(txn);
    return rc;
}

static uint64_t env_used_bytes(MDB_env *mdb)
{
    MDB_envinfo info;
    MDB_stat stat;

    (void)mdb_env_info(mdb, &info);
    (void)mdb_env_stat(mdb, &stat);
    return ((uint64_t)info.me_last_pgno + 1) * stat.ms_psize;
}

/* The file may end early by right, too: free pages are not always written. */
static int file_lengthen(MDB_env *mdb)
{
    uint64_t used_bytes = env_used_bytes(mdb);
    struct stat file;
    int fd;
    int rc = mdb_env_get_fd(mdb, &fd);

    if (rc != 0)
        return rc;
    if (fstat(fd, &file) != 0)
        return errno;
    if ((uint64_t)file.st_size < used_bytes &&
        ftruncate(fd, (off_t)used_bytes) != 0)
        return errno;
    return 0;
}

int lk_env_open(const char *dir, uint64_t map_bytes, lk_env **ret_env,
                linkd_error *err)
{
    lk_env *env = calloc(1, sizeof(*env));
    lk_buf path = {0};
    int rc;

    if (env == NULL || lk_buf_printf(&path, err, "%s/data.mdb", dir) != 0) {
        free(env);
        return lk_fail_nomem(err);
    }
    (void)pthread_mutex_init(&env->idle_lock, NULL);
    rc = map_open_largest(dir, flags_for(path.data), map_bytes, &env->mdb);
    if (rc == 0)
        rc = file_lengthen(env->mdb);
    if (rc == 0) /* forgets readers whose process died */
        rc = mdb_reader_check(env->mdb, NULL);
    if (rc == 0)
        rc = tables_open(env);
    if (rc == 0) {
        *ret_env = env;
    } else {
        rc = lk_fail(err, code_of(rc), "could not open database \"%s\": %s",
                     path.data, reason_of(rc));
        lk_env_close(env);
    }
    lk_buf_clear(&path);
    return rc;
}

void lk_env_close(lk_env *env)
{
    if (env == NULL)
        return;
    for (size_t i = 0; i < env->n_idle; i++) {
        mdb_txn_abort(env->idle[i]->mdb);
        free(env->idle[i]);
    }
    if (env->mdb != NULL)
        mdb_env_close(env->mdb);
    (void)pthread_mutex_destroy(&env->idle_lock);
    free(env);
}

void lk_env_read_size(lk_env *env, uint64_t *ret_map_bytes,
                      uint64_t *ret_used_bytes)
{
    MDB_envinfo info;

    (void)mdb_env_info(env->mdb, &info);
    *ret_map_bytes = info.me_mapsize;
    *ret_used_bytes = env_used_bytes(env->mdb);
}

int lk_env_copy(lk_env *env, const char *path, linkd_error *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    int rc;

    if (fd < 0)
        return lk_fail(err, errno == EEXIST ? LINKD_E_CONFLICT : code_of(errno),
                       "could not create \"%s\": %s", path, strerror(errno));
    rc = mdb_env_copyfd2(env->mdb, fd, MDB_CP_COMPACT);
    if (rc == 0 && fsync(fd) != 0)
        rc = errno;
    if (close(fd) != 0 && rc == 0)
        rc = errno;
    if (rc == 0)
        return LINKD_OK;
    (void)unlink(path);
    return lk_fail(err, code_of(rc),
                   "could not copy the database to \"%s\": %s", path,
                   reason_of(rc));
}

/* ---- transactions ------------------------------------------------------- */

static lk_txn *idle_take(lk_env *env)
{
    lk_txn *txn = NULL;

    (void)pthread_mutex_lock(&env->idle_lock);
    if (env->n_idle > 0)
        txn = env->idle[--env->n_idle];
    (void)pthread_mutex_unlock(&env->idle_lock);
    return txn;
}

static bool idle_keep(lk_env *env, lk_txn *txn)
{
    bool kept;

    (void)pthread_mutex_lock(&env->idle_lock);
    kept = env->n_idle < MAX_IDLE;
    if (kept)
        env->idle[env->n_idle++] = txn;
    (void)pthread_mutex_unlock(&env->idle_lock);
    return kept;
}

static int txn_begin(lk_env *env, bool writes, lk_txn **ret_txn,
                     linkd_error *err)
{
    lk_txn *txn = malloc(sizeof(*txn));
    int rc;

    if (txn == NULL)
        return lk_fail_nomem(err);
    *txn = (lk_txn){.env = env, .writes = writes};
    rc = mdb_txn_begin(env->mdb, NULL, writes ? 0 : MDB_RDONLY, &txn->mdb);
    if (rc != 0) {
        free(txn);
        return fail(env->mdb, rc, "begin", "a transaction", err);
    }
    *ret_txn = txn;
    return LINKD_OK;
}

int lk_txn_begin_read(lk_env *env, lk_txn **ret_txn, linkd_error *err)
{
    lk_txn *txn = idle_take(env);
    int rc;

    if (txn == NULL)
        return txn_begin(env, false, ret_txn, err);
    rc = mdb_txn_renew(txn->mdb);
    if (rc != 0) {
        mdb_txn_abort(txn->mdb);
        free(txn);
        return fail(env->mdb, rc, "begin", "a transaction", err);
    }
    *ret_txn = txn;
    return LINKD_OK;
}

int lk_txn_begin_write(lk_env *env, lk_txn **ret_txn, linkd_error *err)
{
    return txn_begin(env, true, ret_txn, err);
}

int lk_txn_commit(lk_txn *txn, linkd_error *err)
{
    lk_env *env = txn->env;
    int rc;

    LK_ASSERT(txn->writes);
    rc = mdb_txn_commit(txn->mdb);
    free(txn);
    return rc == 0 ? LINKD_OK : fail(env->mdb, rc, "commit", "changes", err);
}

void lk_txn_abort(lk_txn *txn)
{
    if (txn == NULL)
        return;
    if (!txn->writes) {
        mdb_txn_reset(txn->mdb);
        if (idle_keep(txn->env, txn))
            return;
    }
    mdb_txn_abort(txn->mdb);
    free(txn);
}

/* ---- entries ------------------------------------------------------------ */

/* LMDB takes what it only reads through pointers that are not const. */
static MDB_val val_of(linkd_str str)
{
    return (MDB_val){.mv_size = str.len,
                     .mv_data = (void *)(uintptr_t)str.bytes};
}

static linkd_str str_of(const MDB_val *val)
{
    return (linkd_str){.bytes = val->mv_data, .len = val->mv_size};
}

int lk_txn_find(lk_txn *txn, lk_table table, linkd_str key,
                linkd_str *ret_value, bool *ret_found, linkd_error *err)
{
    MDB_val mdb_key = val_of(key), value;
    int rc = MDB_NOTFOUND; /* the answer for an empty key */

    if (key.len > 0)
        rc = mdb_get(txn->mdb, txn->env->tables[table], &mdb_key, &value);
    if (rc != 0 && rc != MDB_NOTFOUND)
        return table_fail(txn, rc, "read", table, err);
    *ret_found = rc == 0;
    if (rc == 0)
        *ret_value = str_of(&value);
    return LINKD_OK;
}

int lk_txn_put(lk_txn *txn, lk_table table, linkd_str key, linkd_str value,
               linkd_error *err)
{
    MDB_val mdb_key = val_of(key), mdb_value = val_of(value);
    int rc;

    LK_ASSERT(key.len > 0 && key.len <= MAX_KEY_BYTES);
    rc = mdb_put(txn->mdb, txn->env->tables[table], &mdb_key, &mdb_value, 0);
    return rc == 0 ? LINKD_OK : table_fail(txn, rc, "write", table, err);
}

int lk_txn_reserve(lk_txn *txn, lk_table table, linkd_str key, size_t len,
                   void **ret_bytes, linkd_error *err)
{
    MDB_val mdb_key = val_of(key), value = {.mv_size = len};
    int rc;

    LK_ASSERT(key.len > 0 && key.len <= MAX_KEY_BYTES);
    rc = mdb_put(txn->mdb, txn->env->tables[table], &mdb_key, &value,
                 MDB_RESERVE);
    if (rc != 0)
        return table_fail(txn, rc, "write", table, err);
    *ret_bytes = value.mv_data;
    return LINKD_OK;
}

int lk_txn_remove(lk_txn *txn, lk_table table, linkd_str key, bool *ret_found,
                  linkd_error *err)
{
    MDB_val mdb_key = val_of(key);
    int rc = MDB_NOTFOUND;

    if (key.len > 0)
        rc = mdb_del(txn->mdb, txn->env->tables[table], &mdb_key, NULL);
    if (rc != 0 && rc != MDB_NOTFOUND)
        return table_fail(txn, rc, "write", table, err);
    *ret_found = rc == 0;
    return LINKD_OK;
}

int lk_txn_count(lk_txn *txn, lk_table table, uint64_t *ret_n, linkd_error *err)
{
    MDB_stat stat;
    int rc = mdb_stat(txn->mdb, txn->env->tables[table], &stat);

    if (rc != 0)
        return table_fail(txn, rc, "read", table, err);
    *ret_n = stat.ms_entries;
    return LINKD_OK;
}

/* ---- cursors ------------------------------------------------------------ */

int lk_cursor_open(lk_txn *txn, lk_table table, lk_cursor **ret_cursor,
                   linkd_error *err)
{
    lk_cursor *cursor = malloc(sizeof(*cursor));
    int rc;

    if (cursor == NULL)
        return lk_fail_nomem(err);
    *cursor = (lk_cursor){.txn = txn, .table = table};
    rc = mdb_cursor_open(txn->mdb, txn->env->tables[table], &cursor->mdb);
    if (rc != 0) {
        free(cursor);
        return table_fail(txn, rc, "read", table, err);
    }
    *ret_cursor = cursor;
    return LINKD_OK;
}

void lk_cursor_close(lk_cursor *cursor)
{
    if (cursor == NULL)
        return;
    mdb_cursor_close(cursor->mdb);
    free(cursor);
}

/* What a move of the cursor led to. */
static int cursor_answer(lk_cursor *cursor, int rc, const MDB_val *key,
                         const MDB_val *value, linkd_str *ret_key,
                         linkd_str *ret_value, bool *ret_found,
                         linkd_error *err)
{
    if (rc != 0 && rc != MDB_NOTFOUND)
        return table_fail(cursor->txn, rc, "read", cursor->table, err);
    cursor->at_end = rc == MDB_NOTFOUND;
    *ret_found = rc == 0;
    if (rc == 0) {
        *ret_key = str_of(key);
        *ret_value = str_of(value);
    }
    return LINKD_OK;
}

/* To the first entry with a key >= `key`; LMDB does not seek an empty one. */
static int cursor_seek(lk_cursor *cursor, MDB_val *key, MDB_val *value)
{
    return mdb_cursor_get(cursor->mdb, key, value,
                          key->mv_size > 0 ? MDB_SET_RANGE : MDB_FIRST);
}

int lk_cursor_seek(lk_cursor *cursor, linkd_str key, linkd_str *ret_key,
                   linkd_str *ret_value, bool *ret_found, linkd_error *err)
{
    MDB_val mdb_key = val_of(key), value;
    int rc = cursor_seek(cursor, &mdb_key, &value);

    return cursor_answer(cursor, rc, &mdb_key, &value, ret_key, ret_value,
                         ret_found, err);
}

int lk_cursor_next(lk_cursor *cursor, linkd_str *ret_key, linkd_str *ret_value,
                   bool *ret_found, linkd_error *err)
{
    MDB_val key, value;
    int rc = MDB_NOTFOUND;

    if (!cursor->at_end)
        rc = mdb_cursor_get(cursor->mdb, &key, &value, MDB_NEXT);
    return cursor_answer(cursor, rc, &key, &value, ret_key, ret_value,
                         ret_found, err);
}
