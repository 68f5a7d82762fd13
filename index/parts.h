/* index/parts.h — private: what a linkd_store is made of, and which thread
 * works on what.
 *
 *   callers ──► writer.c  one thread: queue ─► transaction ─► commit ─► wake
 *        │          │ tells builder.c that slots were added or died
 *        │          ▼
 *        │      builder.c one thread: seal, merge, vacuum, repair; publishes sets
 *        ▼                             of segments under sets_lock
 *      view.c  = read transaction + set of segments ─► search.c, filter.c
 *
 * Locks, in this order, none held across a commit or a search:
 *   queue_lock (writer.c), build_lock (builder.c), sets_lock (segments.c). */
#ifndef LK_INDEX_PARTS_H
#define LK_INDEX_PARTS_H

#include <pthread.h>

#include "index/segment.h"

typedef struct lk_writer lk_writer;
typedef struct lk_builder lk_builder;
typedef struct lk_sets lk_sets;

struct linkd_store {
    char *dir;
    int lock_fd;
    linkd_store_options options;
    lk_env *env;
    lk_writer *writer;   /* NULL when read_only_check */
    lk_builder *builder; /* likewise */
    lk_sets *sets;
};

void lk_store_tell(linkd_store *store, linkd_store_event event,
                   const char *format, ...) LK_PRINTF(3, 4);

/* ---- writer.c: the one thread with write transactions ------------------- */

/* A change that is applied within the writer's transaction, which may hold
 * others' changes too. It may run twice: when one change of a group fails, the
 * group is rolled back and each is applied alone. It must not keep anything
 * from the first run. `seq` is the store's last one; raise it for each change.
 */
typedef int lk_apply_fn(void *ctx, lk_txn *txn, uint64_t *seq,
                        linkd_error *err);

LINKD_MUST_CHECK int lk_writer_new(linkd_store *store, lk_writer **ret_writer,
                                   linkd_error *err);
/* Applies what is queued, refuses the rest. */
void lk_writer_free(lk_writer *writer);
/* Queues the change and returns when it is on disk, or was refused: its own
 * error, or the commit's. `ret_seq` may be NULL. `cost_bytes` is roughly what
 * it writes: a group ends at 64 MB. LINKD_E_BUSY: stopping or fenced. */
LINKD_MUST_CHECK int lk_writer_run(lk_writer *writer, lk_apply_fn *apply,
                                   void *ctx, size_t cost_bytes,
                                   uint64_t *ret_seq, linkd_error *err);
void lk_writer_read_stats(lk_writer *writer, linkd_store_stats *stats);

/* ---- collections.c: rows of COLLECTIONS and GENERATIONS ----------------- */

LINKD_MUST_CHECK int lk_collection_find(lk_txn *txn, linkd_str name,
                                        uint32_t *ret_number, bool *ret_found,
                                        linkd_error *err);
LINKD_MUST_CHECK int lk_collection_get(lk_txn *txn, uint32_t number,
                                       lk_arena *arena,
                                       lk_collection_row *ret_row,
                                       linkd_error *err);
LINKD_MUST_CHECK int lk_collection_put(lk_txn *txn, uint32_t number,
                                       const lk_collection_row *row,
                                       linkd_error *err);
LINKD_MUST_CHECK int lk_generation_get(lk_txn *txn, uint32_t collection,
                                       uint32_t generation,
                                       lk_generation_row *ret_row,
                                       linkd_error *err);
LINKD_MUST_CHECK int lk_generation_put(lk_txn *txn, uint32_t collection,
                                       uint32_t generation,
                                       const lk_generation_row *row,
                                       linkd_error *err);

/* ---- sets.c: which segments are current --------------------------------- */

LINKD_MUST_CHECK int lk_sets_new(lk_sets **ret_sets, linkd_error *err);
void lk_sets_free(lk_sets *sets);
/* The current set, referenced; NULL when there is none. Take it before the
 * read transaction begins: then every alive slot that the set's segments lack
 * within their ranges is dead in the transaction, and none is unknown to it. */
lk_segment_set *lk_sets_get(lk_sets *sets, uint32_t collection,
                            uint32_t generation);
/* Adds `take_added` (may be NULL) in place of the segments within its range or
 * of `n_removed` numbers. */
LINKD_MUST_CHECK int lk_sets_replace(lk_sets *sets, uint32_t collection,
                                     uint32_t generation,
                                     lk_segment *take_added,
                                     const uint64_t *removed, size_t n_removed,
                                     linkd_error *err);
void lk_sets_drop(lk_sets *sets, uint32_t collection);
void lk_sets_read_stats(lk_sets *sets, linkd_store_stats *stats);

/* ---- builder.c: segments in the background ------------------------------ */

/* Loads and verifies the segments that SEGMENTS lists, removes files that it
 * does not list, then starts the thread. */
LINKD_MUST_CHECK int lk_builder_new(linkd_store *store,
                                    lk_builder **ret_builder, linkd_error *err);
void lk_builder_free(lk_builder *builder);
/* Something changed that may be worth building. Any thread. */
void lk_builder_wake(lk_builder *builder);
void lk_builder_read_stats(lk_builder *builder, linkd_store_stats *stats);

/* ---- view.c ------------------------------------------------------------- */

struct linkd_view {
    linkd_store *store;
    lk_txn *txn;
    lk_segment_set *set; /* may be NULL */
    uint32_t collection;
    lk_arena arena; /* of the rows below */
    lk_collection_row row;
    lk_generation_row generation;
    uint64_t seq;
};

#endif
