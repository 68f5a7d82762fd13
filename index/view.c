/* index/view.c — one consistent picture of a collection.
 *
 * LMDB keeps the pages that an open read transaction sees, so a view is such a
 * transaction, and nothing of the store is copied into memory for it. What the
 * transaction cannot hold are the segments, which live in files: the view has a
 * reference to the sets that were current, one for each generation.
 *
 *   time ──► sets taken ──► transaction begins ──► reads
 *
 * Invariant: sets are taken before the transaction begins. Their segments then
 * hold no vector that the transaction does not know, and every vector that is
 * alive in the transaction lies in a segment or outside of all their ranges.
 * The sets' names (collection, generation) are only known from a transaction, so
 * an earlier one is asked for them, and asked again if they have changed.
 *
 * Checksums are verified for every value that is read here but for the chunks
 * of vectors: hashing those would double what a scan costs. linkd_store_check()
 * and the builder verify them. */
#include "index/parts.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Guess: generations change about once in a model's life. */
#define OPEN_ATTEMPTS_MAX 100

/* The first entry of a table at or after `from` whose key begins with the first
 * `n_prefix` bytes of `from`. */
static int entry_find(lk_txn *txn, lk_table table, const lk_key *from,
                      size_t n_prefix, linkd_str *ret_key, linkd_str *ret_value,
                      bool *ret_found, linkd_error *err)
{
    linkd_str prefix = {(const char *)from->bytes, n_prefix};
    lk_cursor *cursor = NULL;
    int rc = lk_cursor_open(txn, table, &cursor, err);

    if (rc != LINKD_OK)
        return rc;
    rc = lk_cursor_seek(cursor, lk_key_str(from), ret_key, ret_value, ret_found,
                        err);
    if (rc == LINKD_OK && *ret_found)
        *ret_found = lk_str_starts_with(*ret_key, prefix);
    lk_cursor_close(cursor);
    return rc;
}

/* ---- opening ------------------------------------------------------------- */

/* The number of a collection that is there, and its row. */
static int row_find(lk_txn *txn, linkd_str name, lk_arena *arena,
                    uint32_t *ret_number, lk_collection_row *ret_row,
                    linkd_error *err)
{
    bool found = false;
    int rc = lk_collection_find(txn, name, ret_number, &found, err);

    if (rc != LINKD_OK)
        return rc;
    if (found)
        rc = lk_collection_get(txn, *ret_number, arena, ret_row, err);
    if (rc == LINKD_OK && (!found || ret_row->dropped))
        rc = lk_fail(err, LINKD_E_ABSENT, "there is no collection \"%.*s\"",
                     (int)(name.len < LINKD_NAME_MAX_BYTES
                               ? name.len
                               : LINKD_NAME_MAX_BYTES),
                     name.bytes);
    return rc;
}

/* Reads collection and generations, those being freed left out. */
static int rows_read(linkd_view *view, lk_txn *txn, linkd_str name,
                     linkd_error *err)
{
    size_t n = 0;
    int rc =
        row_find(txn, name, &view->arena, &view->collection, &view->row, err);

    if (rc == LINKD_OK)
        rc = lk_generations_read(txn, view->collection, &view->arena,
                                 view->generations, &n, err);
    view->n_generations = 0;
    for (size_t i = 0; rc == LINKD_OK && i < n; i++)
        if (view->generations[i].row.state != LK_GENERATION_DROPPED)
            view->generations[view->n_generations++] = view->generations[i];
    return rc;
}

/* What the sets of segments are found by. */
static int names_read(linkd_view *view, linkd_str name, linkd_error *err)
{
    lk_txn *txn = NULL;
    int rc = lk_txn_begin_read(view->store->env, &txn, err);

    if (rc != LINKD_OK)
        return rc;
    rc = rows_read(view, txn, name, err);
    lk_txn_abort(txn);
    return rc;
}

/* Forgets what an attempt to open has found. */
static void view_reset(linkd_view *view)
{
    lk_txn_abort(view->txn);
    for (size_t i = 0; i < LINKD_GENERATIONS_MAX; i++)
        lk_segment_set_unref(view->sets[i]);
    lk_arena_clear(&view->arena);
    *view = (linkd_view){.store = view->store};
}

/* What tells one state of generations from another; 0 ends the list. */
typedef struct set_names {
    uint32_t collection;
    uint32_t generations[LINKD_GENERATIONS_MAX];
} set_names;

static set_names set_names_of(const linkd_view *view)
{
    set_names names = {.collection = view->collection};

    for (size_t i = 0; i < view->n_generations; i++)
        names.generations[i] = view->generations[i].number;
    return names;
}

/* Takes the sets, then the transaction. *ret_same is false when they do not
 * belong together. */
static int view_fill(linkd_view *view, linkd_str name, bool *ret_same,
                     linkd_error *err)
{
    set_names before;
    set_names after;
    bool found = false; /* not before the first change */
    int rc = names_read(view, name, err);

    if (rc != LINKD_OK)
        return rc;
    before = set_names_of(view);
    for (size_t i = 0; i < view->n_generations; i++)
        view->sets[i] = lk_sets_get(view->store->sets, view->collection,
                                    view->generations[i].number);
    rc = lk_txn_begin_read(view->store->env, &view->txn, err);
    if (rc == LINKD_OK)
        rc = rows_read(view, view->txn, name, err);
    if (rc == LINKD_OK)
        rc = lk_meta_find(view->txn, "seq", &view->seq, &found, err);
    if (rc != LINKD_OK)
        return rc;
    after = set_names_of(view);
    *ret_same = memcmp(&before, &after, sizeof(after)) == 0;
    return *ret_same ? linkd_view_turn_to(view, view->row.generation, err)
                     : LINKD_OK;
}

int linkd_view_open(linkd_store *store, linkd_str collection,
                    linkd_view **ret_view, linkd_error *err)
{
    linkd_view *view = calloc(1, sizeof(*view));
    bool same = false;
    int rc = LINKD_OK;

    if (view == NULL)
        return lk_fail_nomem(err);
    view->store = store;
    for (int i = 0; i < OPEN_ATTEMPTS_MAX && rc == LINKD_OK && !same; i++) {
        view_reset(view);
        rc = view_fill(view, collection, &same, err);
    }
    if (rc == LINKD_OK && !same)
        rc = lk_fail(err, LINKD_E_BUSY, "the collection keeps changing");
    if (rc != LINKD_OK) {
        linkd_view_close(view);
        return rc;
    }
    *ret_view = view;
    return LINKD_OK;
}

void linkd_view_close(linkd_view *view)
{
    if (view == NULL)
        return;
    view_reset(view);
    free(view);
}

/* ---- generations --------------------------------------------------------- */

int linkd_view_turn_to(linkd_view *view, uint32_t generation, linkd_error *err)
{
    for (size_t i = 0; i < view->n_generations; i++) {
        if (view->generations[i].number != generation)
            continue;
        view->number = generation;
        view->generation = view->generations[i].row;
        view->set = view->sets[i];
        return LINKD_OK;
    }
    return lk_fail(err, LINKD_E_ABSENT, "there is no generation %" PRIu32,
                   generation);
}

static linkd_generation_state state_of(const linkd_view *view,
                                       const lk_generation *generation)
{
    if (generation->number == view->row.generation)
        return LINKD_GENERATION_SERVING;
    return generation->row.state == LK_GENERATION_OPEN
               ? LINKD_GENERATION_OLD
               : LINKD_GENERATION_CLOSED;
}

size_t linkd_view_generations(const linkd_view *view,
                              linkd_generation *ret_generations)
{
    for (size_t i = 0; i < view->n_generations; i++) {
        const lk_generation *g = &view->generations[i];

        ret_generations[i] = (linkd_generation){
            .number = g->number,
            .state = state_of(view, g),
            .previous = g->row.previous,
            .model = g->row.model,
            .fingerprint = g->row.fingerprint,
            .dim = (size_t)g->row.dim,
            .n_vectors = g->row.n_vectors,
            .n_inactive = g->row.n_inactive,
        };
    }
    return view->n_generations;
}

/* The slot of a record in a generation, if it is alive there. */
static int slot_find(const linkd_view *view, const lk_generation *generation,
                     uint64_t number, uint64_t *ret_slot, bool *ret_found,
                     linkd_error *err)
{
    linkd_str value;
    bool is_inactive = false;
    lk_key key;
    int rc;

    lk_key_slot(&key, view->collection, generation->number, number);
    rc = lk_number_find(view->txn, LK_TABLE_SLOTS, lk_key_str(&key), ret_slot,
                        ret_found, err);
    if (rc != LINKD_OK || !*ret_found || generation->row.n_inactive == 0)
        return rc;
    lk_key_slot(&key, view->collection, generation->number, *ret_slot);
    rc = lk_txn_find(view->txn, LK_TABLE_DEAD, lk_key_str(&key), &value,
                     &is_inactive, err);
    *ret_found = !is_inactive;
    return rc;
}

int lk_view_slot(const linkd_view *view, uint64_t number, uint64_t *ret_slot,
                 bool *ret_found, linkd_error *err)
{
    return slot_find(view, &(lk_generation){view->number, view->generation},
                     number, ret_slot, ret_found, err);
}

int linkd_view_locate(linkd_view *view, uint64_t number,
                      uint32_t *ret_generation, linkd_error *err)
{
    uint64_t slot;
    bool found = false;
    int rc = LINKD_OK;

    *ret_generation = 0;
    for (size_t i = view->n_generations; i > 0 && rc == LINKD_OK && !found;
         i--) {
        rc = slot_find(view, &view->generations[i - 1], number, &slot, &found,
                       err);
        if (rc == LINKD_OK && found)
            *ret_generation = view->generations[i - 1].number;
    }
    return rc;
}

int linkd_view_blob(linkd_view *view, uint32_t generation, uint8_t kind,
                    uint32_t other, linkd_str *ret_bytes, bool *ret_found,
                    linkd_error *err)
{
    linkd_str value;
    lk_key key;
    int rc;

    lk_key_blob(&key, view->collection, generation, kind, other);
    rc = lk_txn_find(view->txn, LK_TABLE_BLOBS, lk_key_str(&key), &value,
                     ret_found, err);
    if (rc == LINKD_OK && *ret_found)
        rc = lk_value_open(LK_TABLE_BLOBS, lk_key_str(&key), value, ret_bytes,
                           err);
    return rc;
}

/* ---- what it shows ------------------------------------------------------- */

uint64_t linkd_view_seq(const linkd_view *view)
{
    return view->seq;
}

uint32_t linkd_view_collection(const linkd_view *view)
{
    return view->collection;
}

size_t linkd_view_dim(const linkd_view *view)
{
    return (size_t)view->generation.dim;
}

uint64_t linkd_view_n_records(const linkd_view *view)
{
    return view->row.n_records;
}

uint64_t linkd_view_n_numbers(const linkd_view *view)
{
    return view->row.next_number;
}

uint64_t linkd_view_n_slots(const linkd_view *view)
{
    return view->generation.n_slots;
}

/* ---- records ------------------------------------------------------------- */

int linkd_view_find(linkd_view *view, linkd_str id, uint64_t *ret_number,
                    bool *ret_found, linkd_error *err)
{
    lk_key key;

    *ret_found = false;
    if (id.len == 0 || id.len > LINKD_ID_MAX_BYTES)
        return LINKD_OK;
    lk_key_id(&key, view->collection, id);
    return lk_number_find(view->txn, LK_TABLE_IDS, lk_key_str(&key), ret_number,
                          ret_found, err);
}

static int row_read(linkd_view *view, uint64_t number, lk_arena *arena,
                    lk_record_row *ret_row, linkd_error *err)
{
    lk_key key;
    linkd_str value;
    linkd_str body;
    bool found = false;
    int rc;

    lk_key_record(&key, view->collection, number);
    rc = lk_txn_find(view->txn, LK_TABLE_RECORDS, lk_key_str(&key), &value,
                     &found, err);
    if (rc == LINKD_OK && !found)
        return lk_fail(err, LINKD_E_ABSENT,
                       "there is no record number %" PRIu64, number);
    if (rc == LINKD_OK)
        rc = lk_value_open(LK_TABLE_RECORDS, lk_key_str(&key), value, &body,
                           err);
    if (rc == LINKD_OK)
        rc = lk_record_row_decode(body, arena, ret_row, err);
    return rc;
}

int linkd_view_read(linkd_view *view, uint64_t number, lk_arena *arena,
                    linkd_stored *ret_record, linkd_error *err)
{
    lk_record_row row;
    lk_key key;
    uint64_t entity = LINKD_ID_NONE;
    bool found = false;
    int rc = row_read(view, number, arena, &row, err);

    if (rc != LINKD_OK)
        return rc;
    lk_key_record(&key, view->collection, number);
    rc = lk_number_find(view->txn, LK_TABLE_ENTITIES, lk_key_str(&key), &entity,
                        &found, err);
    if (rc != LINKD_OK)
        return rc;
    *ret_record = (linkd_stored){.number = number,
                                 .id = row.id,
                                 .seq = row.seq,
                                 .entity = entity,
                                 .fields = row.fields,
                                 .n_fields = row.n_fields};
    return LINKD_OK;
}

int linkd_view_vector(linkd_view *view, uint64_t number,
                      const float **ret_vector, linkd_error *err)
{
    size_t dim = linkd_view_dim(view);
    uint64_t slot = 0;
    lk_key key;
    linkd_str value;
    lk_chunk chunk;
    bool found = false;
    int rc;

    rc = lk_view_slot(view, number, &slot, &found, err);
    if (rc != LINKD_OK || !found) {
        *ret_vector = NULL;
        return rc;
    }
    lk_key_slot(&key, view->collection, view->number, slot / LK_ROWS_PER_CHUNK);
    rc = lk_txn_find(view->txn, LK_TABLE_VECTORS, lk_key_str(&key), &value,
                     &found, err);
    if (rc == LINKD_OK && !found)
        rc = lk_fail(err, LINKD_E_DATA,
                     "the vector of record number %" PRIu64 " is gone", number);
    if (rc == LINKD_OK)
        rc = lk_chunk_open(lk_key_str(&key), value, dim, false, &chunk, err);
    if (rc == LINKD_OK)
        *ret_vector = chunk.vectors + slot % LK_ROWS_PER_CHUNK * dim;
    return rc;
}

int linkd_view_next(linkd_view *view, uint64_t from, uint64_t *ret_number,
                    bool *ret_found, linkd_error *err)
{
    lk_key key;
    linkd_str found_key;
    linkd_str value;
    int rc;

    lk_key_record(&key, view->collection, from);
    rc = entry_find(view->txn, LK_TABLE_RECORDS, &key, sizeof(uint32_t),
                    &found_key, &value, ret_found, err);
    if (rc == LINKD_OK && *ret_found)
        *ret_number = lk_key_tail_u64(found_key);
    return rc;
}

/* ---- entities, events, reviews, changes ---------------------------------- */

int linkd_view_next_member(linkd_view *view, uint64_t entity, uint64_t from,
                           uint64_t *ret_number, bool *ret_found,
                           linkd_error *err)
{
    lk_key key;
    linkd_str found_key;
    linkd_str value;
    size_t n_prefix;
    int rc;

    lk_key_record(&key, view->collection, entity);
    n_prefix = key.len;
    lk_key_add_u64(&key, from);
    rc = entry_find(view->txn, LK_TABLE_MEMBERS, &key, n_prefix, &found_key,
                    &value, ret_found, err);
    if (rc == LINKD_OK && *ret_found)
        *ret_number = lk_key_tail_u64(found_key);
    return rc;
}

/* The seq in the key of an event: collection u32, seq u64, u32. */
static uint64_t event_seq(linkd_str key)
{
    return lk_key_tail_u64((linkd_str){key.bytes, key.len - sizeof(uint32_t)});
}

int linkd_view_next_event(linkd_view *view, uint64_t from,
                          linkd_entity_event *ret_event, bool *ret_found,
                          linkd_error *err)
{
    lk_key key;
    linkd_str found_key;
    linkd_str value;
    linkd_str body;
    int rc;

    lk_key_event(&key, view->collection, from);
    rc = entry_find(view->txn, LK_TABLE_EVENTS, &key, sizeof(uint32_t),
                    &found_key, &value, ret_found, err);
    if (rc != LINKD_OK || !*ret_found)
        return rc;
    rc = lk_value_open(LK_TABLE_EVENTS, found_key, value, &body, err);
    if (rc == LINKD_OK)
        rc = lk_event_decode(body, event_seq(found_key), ret_event, err);
    return rc;
}

int linkd_view_review(linkd_view *view, linkd_str left_id, linkd_str right_id,
                      linkd_review_answer *ret_answer, linkd_error *err)
{
    lk_key key;
    linkd_str value;
    linkd_str body;
    linkd_str lower;
    linkd_str higher;
    bool found = false;
    int rc;

    if (left_id.len > LINKD_ID_MAX_BYTES || right_id.len > LINKD_ID_MAX_BYTES) {
        *ret_answer = LINKD_REVIEW_NONE;
        return LINKD_OK;
    }
    lk_key_review(&key, view->collection, left_id, right_id);
    rc = lk_txn_find(view->txn, LK_TABLE_REVIEWS, lk_key_str(&key), &value,
                     &found, err);
    if (rc != LINKD_OK)
        return rc;
    if (!found) {
        *ret_answer = LINKD_REVIEW_NONE;
        return LINKD_OK;
    }
    rc = lk_value_open(LK_TABLE_REVIEWS, lk_key_str(&key), value, &body, err);
    if (rc == LINKD_OK)
        rc = lk_review_decode(body, &lower, &higher, ret_answer, err);
    return rc;
}

/* The log is shared by all collections: others' changes are passed over. */
static int change_find(linkd_view *view, lk_cursor *cursor, uint64_t from,
                       linkd_change *ret_change, bool *ret_found,
                       linkd_error *err)
{
    lk_log_row row;
    lk_key first;
    linkd_str key;
    linkd_str value;
    linkd_str body;
    int rc;

    lk_key_begin(&first);
    lk_key_add_u64(&first, from);
    rc = lk_cursor_seek(cursor, lk_key_str(&first), &key, &value, ret_found,
                        err);
    while (rc == LINKD_OK && *ret_found) {
        rc = lk_value_open(LK_TABLE_LOG, key, value, &body, err);
        if (rc == LINKD_OK)
            rc = lk_log_row_decode(body, &row, err);
        if (rc != LINKD_OK)
            break;
        if (row.collection == view->collection) {
            *ret_change = (linkd_change){.seq = lk_key_tail_u64(key),
                                         .number = row.number,
                                         .op = row.op};
            break;
        }
        rc = lk_cursor_next(cursor, &key, &value, ret_found, err);
    }
    return rc;
}

int linkd_view_next_change(linkd_view *view, uint64_t from,
                           linkd_change *ret_change, bool *ret_found,
                           linkd_error *err)
{
    lk_cursor *cursor = NULL;
    int rc = lk_cursor_open(view->txn, LK_TABLE_LOG, &cursor, err);

    if (rc == LINKD_OK)
        rc = change_find(view, cursor, from, ret_change, ret_found, err);
    lk_cursor_close(cursor);
    return rc;
}
