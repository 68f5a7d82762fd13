/* index/inactive.c — vectors of records that have moved on to another generation:
 * how they are left behind, revived and freed. generations.c has the steps that do
 * so, and what holds after each of them.
 *
 * A vector is inactive by its row of DEAD, which has an 'i', while SLOTS still
 * leads to it: so reviving it is removing that row. */
#include "index/edit.h"

bool lk_dead_is_inactive(linkd_str value)
{
    return value.len > 0;
}

/* ---- leaving -------------------------------------------------------------- */

static int dead_find(lk_txn *txn, const lk_key *key, bool *ret_found,
                     bool *ret_inactive, linkd_error *err)
{
    linkd_str value = {"", 0};
    int rc = lk_txn_find(txn, LK_TABLE_DEAD, lk_key_str(key), &value, ret_found,
                         err);

    *ret_inactive = rc == LINKD_OK && *ret_found && lk_dead_is_inactive(value);
    return rc;
}

static int dead_put(lk_txn *txn, const lk_key *key, bool inactive,
                    linkd_error *err)
{
    static const linkd_str mark = {LK_DEAD_INACTIVE,
                                   sizeof(LK_DEAD_INACTIVE) - 1};

    return lk_txn_put(txn, LK_TABLE_DEAD, lk_key_str(key),
                      inactive ? mark : (linkd_str){"", 0}, err);
}

/* The record's slot in one generation is dead, or inactive, from now on. */
static int slot_leave(lk_edit *edit, lk_generation *from, uint64_t number,
                      uint64_t slot, lk_leaving leaving, bool *ret_was_alive,
                      linkd_error *err)
{
    bool stays = leaving == LK_LEAVE_INACTIVE;
    bool found = false;
    bool was_inactive = false;
    lk_key key;
    int rc;

    lk_key_slot(&key, edit->collection, from->number, slot);
    rc = dead_find(edit->txn, &key, &found, &was_inactive, err);
    *ret_was_alive = *ret_was_alive || !was_inactive;
    if (rc != LINKD_OK || (was_inactive && stays))
        return rc;
    rc = dead_put(edit->txn, &key, stays, err);
    from->row.n_vectors -= !was_inactive;
    from->row.n_inactive -= was_inactive;
    from->row.n_inactive += stays;
    edit->others_changed = true;
    edit->slots_changed = true;
    if (rc != LINKD_OK || stays)
        return rc;
    lk_key_slot(&key, edit->collection, from->number, number);
    return lk_txn_remove(edit->txn, LK_TABLE_SLOTS, lk_key_str(&key), &found,
                         err);
}

int lk_edit_leave_others(lk_edit *edit, uint64_t number, lk_leaving leaving,
                         bool *ret_was_alive, linkd_error *err)
{
    uint64_t slot = 0;
    bool found = false;
    lk_key key;
    int rc = LINKD_OK;

    *ret_was_alive = false;
    for (size_t i = 0; i < edit->n_others && rc == LINKD_OK; i++) {
        lk_generation *from = &edit->others[i];

        if (from->row.state == LK_GENERATION_DROPPED)
            continue;
        lk_key_slot(&key, edit->collection, from->number, number);
        rc = lk_number_find(edit->txn, LK_TABLE_SLOTS, lk_key_str(&key), &slot,
                            &found, err);
        if (rc == LINKD_OK && found)
            rc = slot_leave(edit, from, number, slot, leaving, ret_was_alive,
                            err);
    }
    return rc;
}

/* ---- finding -------------------------------------------------------------- */

/* The record whose vector is in a slot of the edited generation. */
static int slot_owner(lk_edit *edit, uint64_t slot, uint64_t *ret_number,
                      linkd_error *err)
{
    linkd_str value;
    lk_chunk chunk;
    lk_key key;
    bool found = false;
    int rc;

    lk_key_slot(&key, edit->collection, edit->number, slot / LK_ROWS_PER_CHUNK);
    rc = lk_txn_find(edit->txn, LK_TABLE_VECTORS, lk_key_str(&key), &value,
                     &found, err);
    if (rc == LINKD_OK && !found)
        rc = lk_fail(err, LINKD_E_DATA, "an inactive vector is gone");
    if (rc == LINKD_OK)
        rc = lk_chunk_open(lk_key_str(&key), value,
                           (size_t)edit->generation.dim, false, &chunk, err);
    if (rc == LINKD_OK)
        *ret_number = chunk.numbers[slot % LK_ROWS_PER_CHUNK];
    return rc;
}

/* The first inactive slot >= `from` of the edited generation. */
static int inactive_next(lk_edit *edit, lk_cursor *cursor, uint64_t from,
                         uint64_t *ret_slot, bool *ret_found, linkd_error *err)
{
    linkd_str key;
    linkd_str value;
    lk_key first;
    bool found = false;
    int rc;

    *ret_found = false;
    lk_key_slot(&first, edit->collection, edit->number, from);
    rc = lk_cursor_seek(cursor, lk_key_str(&first), &key, &value, &found, err);
    first.len -= sizeof(uint64_t); /* the generation's entries */
    while (rc == LINKD_OK && found &&
           lk_str_starts_with(key, lk_key_str(&first))) {
        if (lk_dead_is_inactive(value)) {
            *ret_slot = lk_key_tail_u64(key);
            *ret_found = true;
            return LINKD_OK;
        }
        rc = lk_cursor_next(cursor, &key, &value, &found, err);
    }
    return rc;
}

/* ---- reviving and freeing ------------------------------------------------- */

static int slot_revive(lk_edit *edit, uint64_t slot, linkd_error *err)
{
    uint64_t number = 0;
    bool was_alive;
    bool found;
    lk_key key;
    int rc = slot_owner(edit, slot, &number, err);

    lk_key_slot(&key, edit->collection, edit->number, slot);
    if (rc == LINKD_OK)
        rc = lk_txn_remove(edit->txn, LK_TABLE_DEAD, lk_key_str(&key), &found,
                           err);
    edit->generation.n_inactive--;
    edit->generation.n_vectors++;
    if (rc == LINKD_OK)
        rc = lk_edit_leave_others(edit, number, LK_LEAVE_INACTIVE, &was_alive,
                                  err);
    return rc;
}

int lk_edit_revive_all(lk_edit *edit, uint64_t *ret_n, linkd_error *err)
{
    lk_cursor *cursor = NULL;
    uint64_t slot = 0;
    bool found = true;
    int rc = lk_cursor_open(edit->txn, LK_TABLE_DEAD, &cursor, err);

    *ret_n = 0;
    while (rc == LINKD_OK) {
        rc = inactive_next(edit, cursor, slot, &slot, &found, err);
        if (rc != LINKD_OK || !found)
            break;
        rc = slot_revive(edit, slot++, err);
        ++*ret_n;
    }
    lk_cursor_close(cursor);
    return rc;
}

int lk_edit_free_inactive(lk_edit *edit, size_t *n_left, uint64_t *n_freed,
                          linkd_error *err)
{
    lk_cursor *cursor = NULL;
    uint64_t slot = 0;
    uint64_t number = 0;
    bool found = true;
    bool removed;
    lk_key key;
    int rc = lk_cursor_open(edit->txn, LK_TABLE_DEAD, &cursor, err);

    for (; rc == LINKD_OK && *n_left > 0; --*n_left, slot++) {
        rc = inactive_next(edit, cursor, slot, &slot, &found, err);
        if (rc != LINKD_OK || !found)
            break;
        rc = slot_owner(edit, slot, &number, err);
        lk_key_slot(&key, edit->collection, edit->number, slot);
        if (rc == LINKD_OK)
            rc = dead_put(edit->txn, &key, false, err);
        lk_key_slot(&key, edit->collection, edit->number, number);
        if (rc == LINKD_OK)
            rc = lk_txn_remove(edit->txn, LK_TABLE_SLOTS, lk_key_str(&key),
                               &removed, err);
        edit->generation.n_inactive--;
        edit->slots_changed = true;
        ++*n_freed;
    }
    lk_cursor_close(cursor);
    return rc;
}
