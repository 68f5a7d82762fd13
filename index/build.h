/* index/build.h — private to the builder: what is there (load.c, survey.c), what
 * to do about it (plan.c), and how a segment is made (build.c). */
#ifndef LK_INDEX_BUILD_H
#define LK_INDEX_BUILD_H

#include <stdatomic.h>

#include "index/parts.h"

/* Removes the files that SEGMENTS does not list. On the thread that makes them.
 * A failure does no harm: the next sweep comes. */
void lk_segments_sweep(linkd_store *store);
/* Reads and verifies those that it lists, and puts them into the sets. Tells of
 * each that is damaged or gone. */
LINKD_MUST_CHECK int lk_segments_load(linkd_store *store, lk_pool *pool,
                                      uint64_t *ret_n_damaged,
                                      linkd_error *err);

/* Most chunks that one survey finds for a vacuum: a survey walks over all that
 * is dead, so it has to be worth it. */
#define LK_VACUUM_CHUNKS ((size_t)16384)

/* A range of slots that one segment covers, or none. Bounds are those of
 * chunks. */
typedef struct lk_span {
    uint64_t begin;
    uint64_t end;
    uint64_t n_alive;
    uint64_t n_indexed; /* vectors in its segment, dead ones too; 0: no
                           segment */
} lk_span;

/* A row of SEGMENTS. */
typedef struct lk_listed {
    uint64_t number;
    uint64_t begin;
    uint64_t end;   /* 0: the row cannot be read */
    bool is_loaded; /* it is in the current set */
} lk_listed;

/* One generation of a collection at one moment. The spans lie end to end
 * from slot 0 to the end of the last full chunk. */
typedef struct lk_survey {
    uint32_t collection;
    uint32_t generation;
    size_t dim;
    linkd_index_kind kind;
    uint64_t n_vectors; /* alive or inactive: what is alive below is both, so
                           that segments have what going back needs */
    uint64_t next_segment;
    lk_span *spans;
    size_t n_spans;
    lk_listed *listed;
    size_t n_listed;
    size_t listed_capacity;
    uint64_t vacuum[LK_VACUUM_CHUNKS]; /* chunks that are at least half dead */
    size_t n_vacuum;
} lk_survey;

/* LINKD_E_ABSENT: the collection or the generation is gone or dropped. */
LINKD_MUST_CHECK int lk_survey_take(linkd_store *store, uint32_t collection,
                                    uint32_t generation, lk_survey *ret_survey,
                                    linkd_error *err);
void lk_survey_clear(lk_survey *survey);

typedef enum lk_step {
    LK_STEP_NONE,
    LK_STEP_VACUUM, /* the survey's chunks */
    LK_STEP_FORGET, /* the segments listed within [begin, end) */
    LK_STEP_BUILD,  /* one segment of [begin, end) in place of those within */
} lk_step;

typedef struct lk_plan {
    lk_step step;
    uint64_t begin;
    uint64_t end;
} lk_plan;

/* `quiet`: nothing has been written for a while. */
lk_plan lk_plan_make(const lk_survey *survey, uint64_t exact_below, bool quiet);

typedef struct lk_build {
    linkd_store *store;
    uint32_t collection;
    uint32_t generation;
    uint64_t begin; /* slots, at bounds of chunks */
    uint64_t end;
    uint64_t n_alive; /* about */
    size_t dim;
    linkd_index_kind kind;
    const atomic_bool *stop; /* looked at between blocks */
} lk_build;

/* Makes a segment of the slots that are alive, in memory, on this thread and as
 * many as lk_ann_set_threads() gave it. Its number is 0. `ret_factory` gets
 * FAISS's name for what it is. LINKD_E_CANCELLED: stop. LINKD_E_ABSENT: the
 * collection was dropped, or nothing is alive. LINKD_E_DATA: a chunk is
 * damaged. */
#define LK_FACTORY_BYTES ((size_t)32)
LINKD_MUST_CHECK int lk_build_run(const lk_build *build,
                                  lk_segment **ret_segment,
                                  char ret_factory[LK_FACTORY_BYTES],
                                  linkd_error *err);

/* LINKD_E_ABSENT unless collection and generation are there and not dropped.
 * Strings of the row live in the arena, the generation's in the transaction. */
LINKD_MUST_CHECK int
lk_build_check_current(lk_txn *txn, uint32_t collection, uint32_t generation,
                       lk_arena *arena, lk_collection_row *ret_row,
                       lk_generation_row *ret_generation, linkd_error *err);

/* Visits the chunks of a generation in order, with what is dead in each. Ends
 * before its transaction. */
typedef struct lk_walk {
    uint32_t collection;
    uint32_t generation;
    size_t dim;
    lk_cursor *chunks;
    lk_cursor *dead;
    uint64_t next_dead; /* slot, LINKD_ID_NONE: no more */
    bool next_is_inactive;
    lk_key key; /* of the generation */
    bool is_begun;
} lk_walk;

typedef struct lk_walked {
    uint64_t number; /* the chunk's */
    linkd_str key;
    linkd_str value;
    uint64_t dead;     /* bit i: slot number * 64 + i is dead for good */
    uint64_t inactive; /* likewise */
} lk_walked;

/* Starts before chunk `from`. */
LINKD_MUST_CHECK int lk_walk_begin(lk_walk *walk, lk_txn *txn,
                                   uint32_t collection, uint32_t generation,
                                   uint64_t from, linkd_error *err);
LINKD_MUST_CHECK int lk_walk_next(lk_walk *walk, lk_walked *ret_chunk,
                                  bool *ret_found, linkd_error *err);
void lk_walk_end(lk_walk *walk);

#endif
