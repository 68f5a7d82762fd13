/* index/store.h — private: LMDB behind ordered tables of bytes. store.c is the
 * one file that sees LMDB; whatever lies in the tables is layout.h's. */
#ifndef LK_INDEX_STORE_H
#define LK_INDEX_STORE_H

#include "index/index.h"

/* One LMDB database each. Keys are bytes, at most 511, in memcmp order. */
typedef enum lk_table {
    LK_TABLE_META,
    LK_TABLE_COLLECTIONS,
    LK_TABLE_NAMES,
    LK_TABLE_GENERATIONS,
    LK_TABLE_BLOBS,
    LK_TABLE_RECORDS,
    LK_TABLE_IDS,
    LK_TABLE_VECTORS,
    LK_TABLE_SLOTS,
    LK_TABLE_DEAD,
    LK_TABLE_FIELDS,
    LK_TABLE_LOG,
    LK_TABLE_SEGMENTS,
    LK_TABLE_ENTITIES,
    LK_TABLE_MEMBERS,
    LK_TABLE_EVENTS,
    LK_TABLE_REVIEWS,
    LK_TABLE_JOBS,
    LK_TABLE_ONCE,
    LK_N_TABLES
} lk_table;

/* "records", for messages. */
const char *lk_table_name(lk_table table);

typedef struct lk_env lk_env;
typedef struct lk_txn lk_txn;
typedef struct lk_cursor lk_cursor;

/* Opens <dir>/data.mdb, made if absent, and all tables; once in a process.
 * Takes a smaller map where the system refuses `map_bytes`. Every failure below
 * is LINKD_E_FULL (disk or map full, or too much in one transaction),
 * LINKD_E_NOMEM, LINKD_E_BUSY (readers' table full), LINKD_E_DATA (LMDB's own
 * pages are damaged) or LINKD_E_IO, with the reason in the message. */
LINKD_MUST_CHECK int lk_env_open(const char *dir, uint64_t map_bytes,
                                 lk_env **ret_env, linkd_error *err);
/* No transaction may be open. NULL is fine. */
void lk_env_close(lk_env *env);
/* Limit and used bytes of the map; free pages within count as used. */
void lk_env_read_size(lk_env *env, uint64_t *ret_map_bytes,
                      uint64_t *ret_used_bytes);
/* Writes a compacted copy of the database, as of one moment, to the new file
 * `path`, and syncs it (not its directory). A failed copy is removed.
 * LINKD_E_CONFLICT: the file exists. */
LINKD_MUST_CHECK int lk_env_copy(lk_env *env, const char *path,
                                 linkd_error *err);

/* Write transactions on one thread only, one at a time; readers on any, but
 * each used by one thread at a time. Everything read is borrowed until the end
 * of the transaction, in a write transaction until the next write. */
LINKD_MUST_CHECK int lk_txn_begin_read(lk_env *env, lk_txn **ret_txn,
                                       linkd_error *err);
LINKD_MUST_CHECK int lk_txn_begin_write(lk_env *env, lk_txn **ret_txn,
                                        linkd_error *err);
/* Returns after the data is on disk. Frees the transaction, failed or not. */
LINKD_MUST_CHECK int lk_txn_commit(lk_txn *txn, linkd_error *err);
void lk_txn_abort(lk_txn *txn); /* NULL is fine */

LINKD_MUST_CHECK int lk_txn_find(lk_txn *txn, lk_table table, linkd_str key,
                                 linkd_str *ret_value, bool *ret_found,
                                 linkd_error *err);
LINKD_MUST_CHECK int lk_txn_put(lk_txn *txn, lk_table table, linkd_str key,
                                linkd_str value, linkd_error *err);
/* Room for `len` bytes of value, written by the caller before the next call. */
LINKD_MUST_CHECK int lk_txn_reserve(lk_txn *txn, lk_table table, linkd_str key,
                                    size_t len, void **ret_bytes,
                                    linkd_error *err);
LINKD_MUST_CHECK int lk_txn_remove(lk_txn *txn, lk_table table, linkd_str key,
                                   bool *ret_found, linkd_error *err);
/* Entries of a table. */
LINKD_MUST_CHECK int lk_txn_count(lk_txn *txn, lk_table table, uint64_t *ret_n,
                                  linkd_error *err);

/* Cursors end before their transaction. seek: the first entry with key >= `key`;
 * next: the one after. *ret_found false: there is none, nor after it. Seek again
 * after a write to the table. */
LINKD_MUST_CHECK int lk_cursor_open(lk_txn *txn, lk_table table,
                                    lk_cursor **ret_cursor, linkd_error *err);
void lk_cursor_close(lk_cursor *cursor);
LINKD_MUST_CHECK int lk_cursor_seek(lk_cursor *cursor, linkd_str key,
                                    linkd_str *ret_key, linkd_str *ret_value,
                                    bool *ret_found, linkd_error *err);
LINKD_MUST_CHECK int lk_cursor_next(lk_cursor *cursor, linkd_str *ret_key,
                                    linkd_str *ret_value, bool *ret_found,
                                    linkd_error *err);

#endif
