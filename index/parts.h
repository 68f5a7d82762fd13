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
 *   queue_lock (writer.c), build_lock (builder.c), sets_lock (sets.c). */
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
 * others' changes too. It may run again: when one change of a group fails, the
 * group is rolled back and parted. It must not keep anything from an earlier
 * run. `seq` is the store's last one; raise it for each change.
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

/* ---- rows.c: rows that have no struct in layout.h ------------------------- */

/* A number within a body, little-endian, wherever it lies. */
void lk_u64_write(void *bytes, uint64_t value);
uint64_t lk_u64_read(const char *bytes);

/* Rows whose value is one number: META (u64 under a name), NAMES, IDS, SLOTS
 * and ENTITIES. LINKD_E_DATA: the checksum or the length is wrong. */
LINKD_MUST_CHECK int lk_number_find(lk_txn *txn, lk_table table, linkd_str key,
                                    uint64_t *ret_number, bool *ret_found,
                                    linkd_error *err);
LINKD_MUST_CHECK int lk_number_put(lk_txn *txn, lk_table table, linkd_str key,
                                   uint64_t number, linkd_error *err);
/* One of META: "seq", "format", "uuid", "next_job", "next_collection". */
LINKD_MUST_CHECK int lk_meta_find(lk_txn *txn, const char *name,
                                  uint64_t *ret_number, bool *ret_found,
                                  linkd_error *err);
LINKD_MUST_CHECK int lk_meta_put(lk_txn *txn, const char *name, uint64_t number,
                                 linkd_error *err);

/* Keys of tables of (collection, number) and (collection, generation, number).
 */
void lk_key_record(lk_key *key, uint32_t collection, uint64_t number);
void lk_key_slot(lk_key *key, uint32_t collection, uint32_t generation,
                 uint64_t number);
void lk_key_id(lk_key *key, uint32_t collection, linkd_str id);

/* LOG: body collection u32, op u8, number u64 under the change's seq. */
typedef struct lk_log_row {
    uint32_t collection;
    linkd_change_op op;
    uint64_t number;
} lk_log_row;
LINKD_MUST_CHECK int lk_log_put(lk_txn *txn, uint64_t seq,
                                const lk_log_row *row, linkd_error *err);
LINKD_MUST_CHECK int lk_log_row_decode(linkd_str body, lk_log_row *ret_row,
                                       linkd_error *err);

/* EVENTS: every event has a seq of its own, so that a reader goes on at seq + 1;
 * the counter in its key is 0. Body: merged u8, entity u64, other u64; where a
 * reason is known also probability f32, length u16 of the first id, both ids. */
void lk_key_event(lk_key *key, uint32_t collection, uint64_t seq);
LINKD_MUST_CHECK int lk_event_put(lk_txn *txn, uint32_t collection,
                                  const linkd_entity_event *event,
                                  linkd_error *err);
/* `seq` is the key's. */
LINKD_MUST_CHECK int lk_event_decode(linkd_str body, uint64_t seq,
                                     linkd_entity_event *ret_event,
                                     linkd_error *err);

/* REVIEWS: body answer u8, length u32 and bytes of the lower id, then of the
 * higher one. A pair has one answer, in whichever order its ids are given. */
void lk_key_review(lk_key *key, uint32_t collection, linkd_str left,
                   linkd_str right);
LINKD_MUST_CHECK int lk_review_put(lk_txn *txn, uint32_t collection,
                                   linkd_str left, linkd_str right,
                                   linkd_review_answer answer,
                                   linkd_error *err);
LINKD_MUST_CHECK int lk_review_decode(linkd_str body, linkd_str *ret_lower,
                                      linkd_str *ret_higher,
                                      linkd_review_answer *ret_answer,
                                      linkd_error *err);

/* ---- open.c --------------------------------------------------------------- */

uint64_t lk_unix_ms(void);

/* ---- collections.c: rows of COLLECTIONS and GENERATIONS ----------------- */

/* The first row with a number >= `from`, dropped ones too; strings live in the
 * arena. */
LINKD_MUST_CHECK int lk_collection_next(lk_txn *txn, uint32_t from,
                                        lk_arena *arena, uint32_t *ret_number,
                                        lk_collection_row *ret_row,
                                        bool *ret_found, linkd_error *err);
/* Removes entries whose keys begin with `prefix`, at most *n_left, which is
 * lowered by as many. */
LINKD_MUST_CHECK int lk_table_purge(lk_txn *txn, lk_table table,
                                    linkd_str prefix, size_t *n_left,
                                    linkd_error *err);
/* An lk_apply_fn: frees some of a dropped collection's rows, in the end the
 * collection's own. Run it again while `ret_more`. One that is not dropped, or
 * gone, is left alone. */
typedef struct lk_purge {
    uint32_t collection;
    bool ret_more;
} lk_purge;
LINKD_MUST_CHECK int lk_collection_purge_step(void *ctx, lk_txn *txn,
                                              uint64_t *seq, linkd_error *err);

/* The number of a collection that is there, in a transaction of its own.
 * LINKD_E_ABSENT. */
LINKD_MUST_CHECK int lk_collection_number(linkd_store *store, linkd_str name,
                                          uint32_t *ret_number,
                                          linkd_error *err);
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

/* ---- generations.c -------------------------------------------------------- */

/* A generation under its number. */
typedef struct lk_generation {
    uint32_t number;
    lk_generation_row row;
} lk_generation;

/* Reads the rows of all generations of a collection, dropped ones too, in the
 * order of their numbers; strings live in the arena. ret_generations
 * [LINKD_GENERATIONS_MAX]. LINKD_E_DATA: there are more. */
LINKD_MUST_CHECK int lk_generations_read(lk_txn *txn, uint32_t collection,
                                         lk_arena *arena,
                                         lk_generation *ret_generations,
                                         size_t *ret_n, linkd_error *err);
void lk_key_blob(lk_key *key, uint32_t collection, uint32_t generation,
                 uint8_t kind, uint32_t other);

/* ---- inactive.c ----------------------------------------------------------- */

/* Values of DEAD. */
#define LK_DEAD_INACTIVE "i"
bool lk_dead_is_inactive(linkd_str value);

/* ---- slots.c: what the builder changes in the tables ---------------------- */

/* An lk_apply_fn: moves the alive rows of some chunks into new slots and removes
 * the chunks with their entries in DEAD. The last chunk, which may still be
 * filled, and chunks that are gone are skipped. LINKD_E_ABSENT: the collection
 * was dropped. */
typedef struct lk_vacuum {
    uint32_t collection;
    uint32_t generation;
    const uint64_t *chunks;
    size_t n_chunks;
    size_t ret_n_moved;
} lk_vacuum;
LINKD_MUST_CHECK int lk_vacuum_apply(void *ctx, lk_txn *txn, uint64_t *seq,
                                     linkd_error *err);
/* What a vacuum of n chunks costs, for lk_writer_run(). */
size_t lk_vacuum_cost(size_t n_chunks, size_t dim);

/* An lk_apply_fn: puts one row into SEGMENTS and removes others, in one step.
 * Take `number` from lk_collection_row.next_segment, which this raises.
 * LINKD_E_ABSENT: the collection was dropped. */
typedef struct lk_segments_change {
    uint32_t collection;
    uint32_t generation;
    uint64_t number;
    const lk_segment_row *added; /* NULL: only removes */
    const uint64_t *removed;
    size_t n_removed;
} lk_segments_change;
LINKD_MUST_CHECK int lk_segments_apply(void *ctx, lk_txn *txn, uint64_t *seq,
                                       linkd_error *err);

/* ---- sets.c: which segments are current --------------------------------- */

LINKD_MUST_CHECK int lk_sets_new(lk_sets **ret_sets, linkd_error *err);
void lk_sets_free(lk_sets *sets);
/* Forgets one generation's set. */
void lk_sets_drop_generation(lk_sets *sets, uint32_t collection,
                             uint32_t generation);
/* The current set, referenced; NULL when there is none. Take it before the
 * read transaction begins: then every alive slot that the set's segments lack
 * within their ranges is dead in the transaction, and none is unknown to it. */
lk_segment_set *lk_sets_get(lk_sets *sets, uint32_t collection,
                            uint32_t generation);
/* Adds `take_added` (may be NULL) in place of the segments within its range or
 * of `n_removed` numbers. It is taken even when this fails. */
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
    uint32_t collection;
    lk_arena arena; /* of the rows below */
    lk_collection_row row;
    lk_generation generations[LINKD_GENERATIONS_MAX];
    lk_segment_set *sets[LINKD_GENERATIONS_MAX]; /* of each; may be NULL */
    size_t n_generations;
    /* The one that the view is turned to. */
    uint32_t number;
    lk_generation_row generation;
    lk_segment_set *set; /* may be NULL */
    uint64_t seq;
};

/* The slot in which a record is alive in the generation that the view is turned
 * to. */
LINKD_MUST_CHECK int lk_view_slot(const linkd_view *view, uint64_t number,
                                  uint64_t *ret_slot, bool *ret_found,
                                  linkd_error *err);

#endif
