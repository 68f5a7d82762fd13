/* index/edit.h — private: one collection while a change of the writer's works
 * on it. The rows that every write changes are read once at its beginning and
 * written once at its end; vectors wait for their slots until the end, so that
 * a bulk write fills each chunk once. */
#ifndef LK_INDEX_EDIT_H
#define LK_INDEX_EDIT_H

#include "index/parts.h"

/* A vector that waits for a slot: borrowed until lk_edit_end(). */
typedef struct lk_arrival {
    uint64_t number;
    const float *vector;
} lk_arrival;

typedef struct lk_edit {
    lk_txn *txn;
    uint64_t *seq;
    uint32_t collection;
    lk_collection_row row;
    uint32_t number;              /* of the generation that is worked on */
    lk_generation_row generation; /* that one's row */
    lk_generation
        others[LINKD_GENERATIONS_MAX]; /* the collection's other ones */
    size_t n_others;
    bool others_changed;
    lk_arena arena; /* of their strings */
    lk_arrival *arrivals;
    size_t n_arrivals;
    size_t arrivals_capacity;
    bool slots_changed; /* some were given out, or died */
    lk_buf body;        /* of the record's row that is being written */
    char *chunk;        /* body of the chunk that is being filled */
    size_t chunk_len;
} lk_edit;

/* Works on the generation that serves, or on another one. LINKD_E_ABSENT: the
 * collection or the generation was dropped. Clear it in any case. */
LINKD_MUST_CHECK int lk_edit_begin(lk_edit *edit, lk_txn *txn, uint64_t *seq,
                                   uint32_t collection, linkd_error *err);
LINKD_MUST_CHECK int lk_edit_begin_in(lk_edit *edit, lk_txn *txn, uint64_t *seq,
                                      uint32_t collection, uint32_t generation,
                                      linkd_error *err);
/* Gives slots to what has arrived and writes the rows. */
LINKD_MUST_CHECK int lk_edit_end(lk_edit *edit, linkd_error *err);
void lk_edit_clear(lk_edit *edit);

/* Finds a record's number by its id. */
LINKD_MUST_CHECK int lk_edit_find(lk_edit *edit, linkd_str id,
                                  uint64_t *ret_number, bool *ret_found,
                                  linkd_error *err);

/* ---- slots.c ------------------------------------------------------------- */

/* Gives a record this vector, or none (NULL), in place of what it has. An
 * equal vector stays where it is. `is_new`: it has none yet. */
LINKD_MUST_CHECK int lk_edit_set_vector(lk_edit *edit, uint64_t number,
                                        bool is_new, const float *vector,
                                        linkd_error *err);
LINKD_MUST_CHECK int lk_edit_give_slots(lk_edit *edit, linkd_error *err);

/* ---- inactive.c ---------------------------------------------------------- */

/* What becomes of a record's vectors in the other generations. */
typedef enum lk_leaving {
    LK_LEAVE_FOR_GOOD, /* they are dead */
    LK_LEAVE_INACTIVE, /* the one that was alive is inactive */
} lk_leaving;
LINKD_MUST_CHECK int lk_edit_leave_others(lk_edit *edit, uint64_t number,
                                          lk_leaving leaving,
                                          bool *ret_was_alive,
                                          linkd_error *err);
/* All inactive vectors of the edited generation are alive again, and those of
 * their records elsewhere inactive. */
LINKD_MUST_CHECK int lk_edit_revive_all(lk_edit *edit, uint64_t *ret_n,
                                        linkd_error *err);
/* Inactive vectors of the edited generation are dead, *n_left of them at most,
 * of which what is left over stays; *n_freed rises by their number. */
LINKD_MUST_CHECK int lk_edit_free_inactive(lk_edit *edit, size_t *n_left,
                                           uint64_t *n_freed, linkd_error *err);

/* ---- entities.c ---------------------------------------------------------- */

/* LINKD_ID_NONE: it has none. */
LINKD_MUST_CHECK int lk_edit_entity(lk_edit *edit, uint64_t number,
                                    uint64_t *ret_entity, linkd_error *err);
/* Moves a record out of its entity, if it has one, and into another, unless
 * that is LINKD_ID_NONE. */
LINKD_MUST_CHECK int lk_edit_move(lk_edit *edit, uint64_t number, uint64_t to,
                                  linkd_error *err);
/* Gives a record without an entity that of `joined`, or a new one when there
 * is no `joined` (LINKD_ID_NONE). */
LINKD_MUST_CHECK int lk_edit_join(lk_edit *edit, uint64_t number,
                                  uint64_t joined, linkd_error *err);

#endif
