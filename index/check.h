/* index/check.h — private: one check of a data directory (check.c), and what its
 * single entries must be like (visit.c). */
#ifndef LK_INDEX_CHECK_H
#define LK_INDEX_CHECK_H

#include "index/parts.h"

#define LK_CHECK_ROOM ((size_t)1 << 20)

typedef struct lk_check {
    linkd_store *store;
    lk_txn *txn;
    const linkd_progress *progress;
    void (*fault_cb)(void *ctx, const char *message);
    void *fault_ctx;
    linkd_check_report report;
    uint64_t n_done;
    uint64_t n_total;
    uint64_t n_visited[LK_N_TABLES];
    lk_arena arena; /* of one entry */
    char *room;     /* [LK_CHECK_ROOM] */

    /* The collection that is walked, and the generation. */
    uint32_t collection;
    const lk_collection_row *row; /* NULL: none, or dropped */
    uint32_t generation_number;
    lk_generation_row generation;
    uint64_t n_records;
    uint64_t n_entities;
    uint64_t last_entity;                        /* of the last member seen */
    uint64_t n_slots;                            /* entries of SLOTS */
    uint64_t n_alive;                            /* rows of chunks */
    uint64_t n_inactive;                         /* likewise */
    lk_generation others[LINKD_GENERATIONS_MAX]; /* and itself */
    size_t n_others;
} lk_check;

/* One line about what is wrong, after the collection's name. */
void lk_check_fault(lk_check *c, const char *format, ...) LK_PRINTF(2, 3);

/* Whether the row of one number is there and holds `expected`. */
LINKD_MUST_CHECK int lk_check_number(const lk_check *c, lk_table table,
                                     const lk_key *key, uint64_t expected,
                                     bool *ret_matches, linkd_error *err);
/* LINKD_E_DATA: the body is not one number. */
LINKD_MUST_CHECK int lk_check_take_number(linkd_str body, uint64_t *ret_number,
                                          linkd_error *err);

/* Looks at one entry, whose checksum is right; `body` is the value without it.
 * LINKD_E_DATA: it does not have its form, which is told as a fault. */
typedef int lk_check_visit_fn(lk_check *c, linkd_str key, linkd_str body,
                              linkd_error *err);
lk_check_visit_fn lk_check_record;
lk_check_visit_fn lk_check_id;
lk_check_visit_fn lk_check_field;
lk_check_visit_fn lk_check_chunk;
lk_check_visit_fn lk_check_slot;
lk_check_visit_fn lk_check_dead;
lk_check_visit_fn lk_check_entity;
lk_check_visit_fn lk_check_member;
lk_check_visit_fn lk_check_event;
lk_check_visit_fn lk_check_review;
lk_check_visit_fn lk_check_segment;

#endif
