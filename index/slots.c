/* index/slots.c — where vectors go. A slot is given out once and never again:
 * whoever scans by slots sees a changed vector as a dead slot and a new one,
 * and never another vector under a slot it knows.
 *
 *   chunk 0            chunk 1            chunk 2 (the last one)
 *   [. . x . . x .]    [x x x x x x x]    [. . . 0 0 0 0]
 *        dead             vacuumed              ^ n_slots
 *
 * New vectors are appended in runs: a write of 10,000 vectors writes each chunk
 * once, a write of one rewrites the last chunk. A vacuum appends what is alive
 * in a chunk and removes the chunk, which frees its pages for new chunks, since
 * all have one size. It leaves the last chunk alone. */
#include "index/edit.h"

#include <stdlib.h>
#include <string.h>

/* Body: first slot u64, numbers u64 [64], vectors f32 [64, dim]. */
#define NUMBERS_AT sizeof(uint64_t)
#define VECTORS_AT (NUMBERS_AT + LK_ROWS_PER_CHUNK * sizeof(uint64_t))

/* ---- the edit ------------------------------------------------------------ */

/* Parts the generation that is worked on from the others. */
static int generations_read(lk_edit *edit, linkd_error *err)
{
    bool found = false;
    size_t n = 0;
    int rc = lk_generations_read(edit->txn, edit->collection, &edit->arena,
                                 edit->others, &n, err);

    for (size_t i = 0; i < n; i++) {
        if (edit->others[i].number == edit->number) {
            edit->generation = edit->others[i].row;
            found = edit->generation.state != LK_GENERATION_DROPPED;
        } else {
            edit->others[edit->n_others++] = edit->others[i];
        }
    }
    if (rc == LINKD_OK && !found)
        rc = lk_fail(err, LINKD_E_ABSENT,
                     "the collection has no generation %u any more",
                     (unsigned)edit->number);
    return rc;
}

int lk_edit_begin_in(lk_edit *edit, lk_txn *txn, uint64_t *seq,
                     uint32_t collection, uint32_t generation, linkd_error *err)
{
    int rc;

    *edit = (lk_edit){.txn = txn, .seq = seq, .collection = collection};
    rc = lk_collection_get(txn, collection, &edit->arena, &edit->row, err);
    if (rc == LINKD_OK && edit->row.dropped)
        rc = LINKD_E_ABSENT;
    if (rc == LINKD_E_ABSENT)
        return lk_fail(err, rc, "the collection was dropped");
    edit->number = generation != 0 ? generation : edit->row.generation;
    return rc == LINKD_OK ? generations_read(edit, err) : rc;
}

int lk_edit_begin(lk_edit *edit, lk_txn *txn, uint64_t *seq,
                  uint32_t collection, linkd_error *err)
{
    return lk_edit_begin_in(edit, txn, seq, collection, 0, err);
}

static int others_put(lk_edit *edit, linkd_error *err)
{
    int rc = LINKD_OK;

    for (size_t i = 0; i < edit->n_others && rc == LINKD_OK; i++)
        rc = lk_generation_put(edit->txn, edit->collection,
                               edit->others[i].number, &edit->others[i].row,
                               err);
    return rc;
}

int lk_edit_end(lk_edit *edit, linkd_error *err)
{
    int rc = lk_edit_give_slots(edit, err);

    if (rc == LINKD_OK)
        rc = lk_generation_put(edit->txn, edit->collection, edit->number,
                               &edit->generation, err);
    if (rc == LINKD_OK && edit->others_changed)
        rc = others_put(edit, err);
    if (rc == LINKD_OK)
        rc = lk_collection_put(edit->txn, edit->collection, &edit->row, err);
    return rc;
}

void lk_edit_clear(lk_edit *edit)
{
    free(edit->arrivals);
    free(edit->chunk);
    lk_buf_clear(&edit->body);
    lk_arena_clear(&edit->arena);
}

int lk_edit_find(lk_edit *edit, linkd_str id, uint64_t *ret_number,
                 bool *ret_found, linkd_error *err)
{
    lk_key key;

    lk_key_id(&key, edit->collection, id);
    return lk_number_find(edit->txn, LK_TABLE_IDS, lk_key_str(&key), ret_number,
                          ret_found, err);
}

/* ---- chunks -------------------------------------------------------------- */

static void key_of(const lk_edit *edit, uint64_t number, lk_key *ret_key)
{
    lk_key_slot(ret_key, edit->collection, edit->number, number);
}

static int chunk_find(lk_edit *edit, uint64_t number, bool verify,
                      lk_chunk *ret_chunk, bool *ret_found, linkd_error *err)
{
    linkd_str value;
    lk_key key;
    int rc;

    key_of(edit, number, &key);
    rc = lk_txn_find(edit->txn, LK_TABLE_VECTORS, lk_key_str(&key), &value,
                     ret_found, err);
    if (rc != LINKD_OK || !*ret_found)
        return rc;
    return lk_chunk_open(lk_key_str(&key), value, (size_t)edit->generation.dim,
                         verify, ret_chunk, err);
}

/* Makes edit->chunk the body of chunk `number`: what lies in it when some of its
 * rows are given out, else zeros. The checksum is verified, because the new one
 * would bless a damaged row. */
static int chunk_load(lk_edit *edit, uint64_t number, bool has_rows,
                      linkd_error *err)
{
    size_t dim = (size_t)edit->generation.dim;
    uint64_t first_slot = number * LK_ROWS_PER_CHUNK;
    lk_chunk chunk;
    bool found = false;
    char *body = edit->chunk;
    int rc = LINKD_OK;

    memset(body, 0, edit->chunk_len);
    memcpy(body, &first_slot, sizeof(first_slot));
    if (!has_rows)
        return LINKD_OK;
    rc = chunk_find(edit, number, true, &chunk, &found, err);
    if (rc == LINKD_OK && !found)
        rc = lk_fail(err, LINKD_E_DATA, "the last chunk of vectors is gone");
    if (rc != LINKD_OK)
        return rc;
    memcpy(body + NUMBERS_AT, chunk.numbers,
           LK_ROWS_PER_CHUNK * sizeof(*chunk.numbers));
    memcpy(body + VECTORS_AT, chunk.vectors,
           LK_ROWS_PER_CHUNK * dim * sizeof(*chunk.vectors));
    return LINKD_OK;
}

static void rows_fill(char *body, size_t row, const lk_arrival *arrivals,
                      size_t n, size_t dim)
{
    size_t vector_bytes = dim * sizeof(float);

    for (size_t i = 0; i < n; i++, row++) {
        memcpy(body + NUMBERS_AT + row * sizeof(uint64_t), &arrivals[i].number,
               sizeof(uint64_t));
        memcpy(body + VECTORS_AT + row * vector_bytes, arrivals[i].vector,
               vector_bytes);
    }
}

/* Appends a run of arrivals that fits into one chunk. */
static int run_append(lk_edit *edit, const lk_arrival *arrivals, size_t n,
                      linkd_error *err)
{
    uint64_t slot = edit->generation.n_slots;
    uint64_t number = slot / LK_ROWS_PER_CHUNK;
    size_t row = (size_t)(slot % LK_ROWS_PER_CHUNK);
    lk_key key;
    int rc = chunk_load(edit, number, row > 0, err);

    if (rc != LINKD_OK)
        return rc;
    rows_fill(edit->chunk, row, arrivals, n, (size_t)edit->generation.dim);
    key_of(edit, number, &key);
    rc = lk_value_put(edit->txn, LK_TABLE_VECTORS, lk_key_str(&key),
                      (linkd_str){edit->chunk, edit->chunk_len}, err);
    for (size_t i = 0; rc == LINKD_OK && i < n; i++) {
        key_of(edit, arrivals[i].number, &key);
        rc = lk_number_put(edit->txn, LK_TABLE_SLOTS, lk_key_str(&key),
                           slot + i, err);
    }
    edit->slots_changed = true;
    edit->generation.n_slots += n;
    edit->generation.n_vectors += n;
    return rc;
}

static int chunk_reserve(lk_edit *edit, linkd_error *err)
{
    edit->chunk_len =
        lk_chunk_bytes((size_t)edit->generation.dim) - LK_CHECKSUM_BYTES;
    if (edit->chunk == NULL)
        edit->chunk = malloc(edit->chunk_len);
    return edit->chunk == NULL ? lk_fail_nomem(err) : LINKD_OK;
}

int lk_edit_give_slots(lk_edit *edit, linkd_error *err)
{
    int rc = LINKD_OK;
    size_t n;

    if (edit->n_arrivals == 0)
        return LINKD_OK;
    rc = chunk_reserve(edit, err);
    for (size_t i = 0; rc == LINKD_OK && i < edit->n_arrivals; i += n) {
        size_t room = LK_ROWS_PER_CHUNK -
                      (size_t)(edit->generation.n_slots % LK_ROWS_PER_CHUNK);

        n = edit->n_arrivals - i < room ? edit->n_arrivals - i : room;
        rc = run_append(edit, edit->arrivals + i, n, err);
    }
    edit->n_arrivals = 0;
    return rc;
}

/* ---- one record's vector ------------------------------------------------- */

static int arrival_add(lk_edit *edit, uint64_t number, const float *vector,
                       linkd_error *err)
{
    void *arrivals = edit->arrivals;
    int rc = lk_grow(&arrivals, &edit->arrivals_capacity, edit->n_arrivals + 1,
                     sizeof(*edit->arrivals), err);

    edit->arrivals = arrivals;
    if (rc == LINKD_OK)
        edit->arrivals[edit->n_arrivals++] = (lk_arrival){number, vector};
    return rc;
}

static int slot_holds(lk_edit *edit, uint64_t slot, const float *vector,
                      bool *ret_equal, linkd_error *err)
{
    size_t dim = (size_t)edit->generation.dim;
    lk_chunk chunk;
    bool found;
    int rc =
        chunk_find(edit, slot / LK_ROWS_PER_CHUNK, false, &chunk, &found, err);

    if (rc != LINKD_OK)
        return rc;
    *ret_equal = found && memcmp(chunk.vectors + slot % LK_ROWS_PER_CHUNK * dim,
                                 vector, dim * sizeof(*vector)) == 0;
    return LINKD_OK;
}

static int slot_kill(lk_edit *edit, uint64_t slot, linkd_error *err)
{
    lk_key key;

    key_of(edit, slot, &key);
    edit->slots_changed = true;
    edit->generation.n_vectors--;
    return lk_txn_put(edit->txn, LK_TABLE_DEAD, lk_key_str(&key),
                      (linkd_str){"", 0}, err);
}

int lk_edit_set_vector(lk_edit *edit, uint64_t number, bool is_new,
                       const float *vector, linkd_error *err)
{
    uint64_t slot = 0;
    bool found = false;
    bool equal = false;
    bool was_alive;
    lk_key key;
    int rc = LINKD_OK;

    if (!is_new)
        rc = lk_edit_leave_others(edit, number, LK_LEAVE_FOR_GOOD, &was_alive,
                                  err);
    key_of(edit, number, &key);
    if (rc == LINKD_OK && !is_new)
        rc = lk_number_find(edit->txn, LK_TABLE_SLOTS, lk_key_str(&key), &slot,
                            &found, err);
    if (rc == LINKD_OK && found && vector != NULL)
        rc = slot_holds(edit, slot, vector, &equal, err);
    if (rc != LINKD_OK || equal)
        return rc;
    if (found)
        rc = slot_kill(edit, slot, err);
    if (rc == LINKD_OK && vector != NULL)
        return arrival_add(edit, number, vector, err);
    if (rc == LINKD_OK && found)
        rc = lk_txn_remove(edit->txn, LK_TABLE_SLOTS, lk_key_str(&key), &found,
                           err);
    return rc;
}

/* ---- vacuum -------------------------------------------------------------- */

/* Lets an alive row arrive again. Its vector is copied: the chunk goes. */
static int row_rescue(lk_edit *edit, uint64_t number, const float *vector,
                      linkd_error *err)
{
    void *copy = lk_arena_copy(&edit->arena, vector,
                               (size_t)edit->generation.dim * sizeof(*vector));

    if (copy == NULL)
        return lk_fail_nomem(err);
    edit->generation.n_vectors--; /* counted again when it arrives */
    return arrival_add(edit, number, copy, err);
}

static int rows_rescue(lk_edit *edit, uint64_t number, const lk_chunk *chunk,
                       linkd_error *err)
{
    linkd_str value;
    lk_key key;
    bool dead;
    int rc = LINKD_OK;

    for (size_t i = 0; rc == LINKD_OK && i < LK_ROWS_PER_CHUNK; i++) {
        key_of(edit, number * LK_ROWS_PER_CHUNK + i, &key);
        rc = lk_txn_find(edit->txn, LK_TABLE_DEAD, lk_key_str(&key), &value,
                         &dead, err);
        if (rc == LINKD_OK && !dead)
            rc = row_rescue(edit, chunk->numbers[i],
                            chunk->vectors + i * (size_t)edit->generation.dim,
                            err);
    }
    return rc;
}

static int chunk_remove(lk_edit *edit, uint64_t number, linkd_error *err)
{
    lk_key key;
    bool found;
    int rc;

    key_of(edit, number, &key);
    rc = lk_txn_remove(edit->txn, LK_TABLE_VECTORS, lk_key_str(&key), &found,
                       err);
    for (size_t i = 0; rc == LINKD_OK && i < LK_ROWS_PER_CHUNK; i++) {
        key_of(edit, number * LK_ROWS_PER_CHUNK + i, &key);
        rc = lk_txn_remove(edit->txn, LK_TABLE_DEAD, lk_key_str(&key), &found,
                           err);
    }
    return rc;
}

static int chunk_vacuum(lk_edit *edit, uint64_t number, linkd_error *err)
{
    lk_chunk chunk;
    bool found;
    int rc;

    if (number >= edit->generation.n_slots / LK_ROWS_PER_CHUNK)
        return LINKD_OK;
    rc = chunk_find(edit, number, true, &chunk, &found, err);
    if (rc != LINKD_OK || !found)
        return rc;
    rc = rows_rescue(edit, number, &chunk, err);
    if (rc == LINKD_OK)
        rc = chunk_remove(edit, number, err);
    return rc;
}

int lk_vacuum_apply(void *ctx, lk_txn *txn, uint64_t *seq, linkd_error *err)
{
    lk_vacuum *vacuum = ctx;
    lk_edit edit;
    int rc = lk_edit_begin_in(&edit, txn, seq, vacuum->collection,
                              vacuum->generation, err);

    vacuum->ret_n_moved = 0;
    if (rc != LINKD_OK)
        goto done;
    for (size_t i = 0; rc == LINKD_OK && i < vacuum->n_chunks; i++)
        rc = chunk_vacuum(&edit, vacuum->chunks[i], err);
    vacuum->ret_n_moved = edit.n_arrivals;
    if (rc == LINKD_OK)
        rc = lk_edit_end(&edit, err);
done:
    lk_edit_clear(&edit);
    return rc;
}

size_t lk_vacuum_cost(size_t n_chunks, size_t dim)
{
    return n_chunks * lk_chunk_bytes(dim);
}

/* ---- rows of SEGMENTS ---------------------------------------------------- */

static int segment_put(lk_txn *txn, const lk_segments_change *change,
                       linkd_error *err)
{
    lk_buf body = {0};
    lk_key key;
    int rc = lk_segment_row_encode(change->added, &body, err);

    lk_key_slot(&key, change->collection, change->generation, change->number);
    if (rc == LINKD_OK)
        rc = lk_value_put(txn, LK_TABLE_SEGMENTS, lk_key_str(&key),
                          (linkd_str){body.data, body.len}, err);
    lk_buf_clear(&body);
    return rc;
}

int lk_segments_apply(void *ctx, lk_txn *txn, uint64_t *seq, linkd_error *err)
{
    const lk_segments_change *change = ctx;
    lk_edit edit;
    lk_key key;
    bool found;
    int rc = lk_edit_begin(&edit, txn, seq, change->collection, err);

    for (size_t i = 0; rc == LINKD_OK && i < change->n_removed; i++) {
        lk_key_slot(&key, change->collection, change->generation,
                    change->removed[i]);
        rc = lk_txn_remove(txn, LK_TABLE_SEGMENTS, lk_key_str(&key), &found,
                           err);
    }
    if (rc == LINKD_OK && change->added != NULL) {
        rc = segment_put(txn, change, err);
        if (edit.row.next_segment <= change->number)
            edit.row.next_segment = change->number + 1;
    }
    if (rc == LINKD_OK)
        rc = lk_edit_end(&edit, err);
    lk_edit_clear(&edit);
    return rc;
}
