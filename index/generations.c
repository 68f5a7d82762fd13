/* index/generations.c — a collection while its model is being changed.
 *
 *   add     a new generation serves; all records are alive in older ones
 *   move    record by record into it; the older vector stays, inactive
 *   serve   back to an older one: what is inactive there is alive again
 *   free    inactive vectors go, and generations that have nothing alive
 *
 *   generation 1   SLOTS 7 -> 3   DEAD 3 'i'      record 7 has moved on
 *   generation 2   SLOTS 7 -> 0
 *
 * Invariants: a record's vector is alive in one generation at most; who has an
 * inactive one has an alive one elsewhere; the generation that serves has no
 * inactive ones. Each step is one transaction, so these hold after a crash at
 * any moment, and there is nothing to repair. What a step does to one vector is
 * in inactive.c.
 *
 * Going back costs a few table entries for each record that moved, in one
 * transaction: about 5 us each. Other writers wait for it, readers do not.
 *
 * The first added generation makes the store's format 2: an older linkd would
 * not look for records in generations that do not serve. */
#include "index/edit.h"

#include <inttypes.h>
#include <math.h>

/* Entries of one step of freeing: some milliseconds. A guess. */
#define FREE_STEP ((size_t)2000)
#define STEP_COST ((size_t)1 << 20)
/* Roughly what going back writes. A guess: beyond it a group ends anyway. */
#define SERVE_COST ((size_t)1 << 20)

/* ---- reading ------------------------------------------------------------- */

static int str_keep(lk_arena *arena, linkd_str *str, linkd_error *err)
{
    str->bytes = lk_arena_copy(arena, str->bytes, str->len);
    return str->bytes == NULL ? lk_fail_nomem(err) : LINKD_OK;
}

static uint32_t number_of(linkd_str key)
{
    return (uint32_t)(lk_key_tail_u64(key) & UINT32_MAX);
}

/* The value's strings are copied: what LMDB hands out within a write transaction
 * is gone after the next write. */
static int generation_read(linkd_str key, linkd_str value, lk_arena *arena,
                           lk_generation *ret_generation, linkd_error *err)
{
    linkd_str body;
    int rc = lk_value_open(LK_TABLE_GENERATIONS, key, value, &body, err);

    ret_generation->number = number_of(key);
    if (rc == LINKD_OK)
        rc = lk_generation_row_decode(body, &ret_generation->row, err);
    if (rc == LINKD_OK)
        rc = str_keep(arena, &ret_generation->row.model, err);
    if (rc == LINKD_OK)
        rc = str_keep(arena, &ret_generation->row.fingerprint, err);
    return rc;
}

int lk_generations_read(lk_txn *txn, uint32_t collection, lk_arena *arena,
                        lk_generation *ret_generations, size_t *ret_n,
                        linkd_error *err)
{
    lk_cursor *cursor = NULL;
    linkd_str key;
    linkd_str value;
    lk_key prefix;
    bool found = false;
    size_t n = 0;
    int rc = lk_cursor_open(txn, LK_TABLE_GENERATIONS, &cursor, err);

    lk_key_begin(&prefix);
    lk_key_add_u32(&prefix, collection);
    if (rc == LINKD_OK)
        rc = lk_cursor_seek(cursor, lk_key_str(&prefix), &key, &value, &found,
                            err);
    while (rc == LINKD_OK && found &&
           lk_str_starts_with(key, lk_key_str(&prefix))) {
        if (n == LINKD_GENERATIONS_MAX)
            rc = lk_fail(err, LINKD_E_DATA,
                         "damaged database: a collection has more than %zu "
                         "generations",
                         LINKD_GENERATIONS_MAX);
        if (rc == LINKD_OK)
            rc = generation_read(key, value, arena, &ret_generations[n++], err);
        if (rc == LINKD_OK)
            rc = lk_cursor_next(cursor, &key, &value, &found, err);
    }
    lk_cursor_close(cursor);
    *ret_n = n;
    return rc;
}

void lk_key_blob(lk_key *key, uint32_t collection, uint32_t generation,
                 uint8_t kind, uint32_t other)
{
    lk_key_begin(key);
    lk_key_add_u32(key, collection);
    lk_key_add_u32(key, generation);
    lk_key_add_u8(key, kind);
    lk_key_add_u32(key, other);
}

/* ---- adding --------------------------------------------------------------- */

typedef struct addition {
    linkd_str collection;
    const linkd_generation *generation;
    const linkd_blob *blobs;
    size_t n_blobs;
} addition;

static int blobs_put(lk_txn *txn, uint32_t collection, const addition *a,
                     linkd_error *err)
{
    linkd_str value;
    bool found = false;
    lk_key key;
    int rc = LINKD_OK;

    for (size_t i = 0; i < a->n_blobs && rc == LINKD_OK; i++) {
        const linkd_blob *blob = &a->blobs[i];

        lk_key_blob(&key, collection, blob->generation, blob->kind,
                    blob->other);
        rc = lk_txn_find(txn, LK_TABLE_BLOBS, lk_key_str(&key), &value, &found,
                         err);
        if (rc == LINKD_OK && !found)
            rc = lk_value_put(txn, LK_TABLE_BLOBS, lk_key_str(&key),
                              blob->bytes, err);
    }
    return rc;
}

/* Whether it is the next one, after the one that serves. */
static int addition_check(const lk_edit *edit, const linkd_generation *added,
                          linkd_error *err)
{
    uint32_t highest = edit->number;

    for (size_t i = 0; i < edit->n_others; i++)
        if (edit->others[i].number > highest)
            highest = edit->others[i].number;
    if (added->previous != edit->number || added->number != highest + 1)
        return lk_fail(err, LINKD_E_CONFLICT,
                       "the collection has changed its generations meanwhile");
    if (edit->n_others + 1 == LINKD_GENERATIONS_MAX)
        return lk_fail(err, LINKD_E_CONFLICT,
                       "the collection has %zu generations already",
                       LINKD_GENERATIONS_MAX);
    return LINKD_OK;
}

static void options_serve(lk_edit *edit, uint32_t number,
                          const lk_generation_row *row)
{
    edit->row.generation = number;
    edit->row.options.dim = (size_t)row->dim;
    edit->row.options.model = row->model;
    edit->row.options.fingerprint = row->fingerprint;
}

static int collection_find(lk_txn *txn, linkd_str name, uint32_t *ret_number,
                           linkd_error *err)
{
    bool found = false;
    int rc = lk_collection_find(txn, name, ret_number, &found, err);

    if (rc == LINKD_OK && !found)
        rc = lk_fail(err, LINKD_E_ABSENT, "there is no collection \"%.*s\"",
                     (int)(name.len < LINKD_NAME_MAX_BYTES
                               ? name.len
                               : LINKD_NAME_MAX_BYTES),
                     name.bytes);
    return rc;
}

static int add_apply(void *ctx, lk_txn *txn, uint64_t *seq, linkd_error *err)
{
    const addition *a = ctx;
    lk_generation_row row = {
        .model = a->generation->model,
        .fingerprint = a->generation->fingerprint,
        .dim = a->generation->dim,
        .previous = a->generation->previous,
    };
    uint32_t collection = 0;
    lk_edit edit = {0};
    int rc = collection_find(txn, a->collection, &collection, err);

    if (rc == LINKD_OK)
        rc = lk_edit_begin(&edit, txn, seq, collection, err);
    if (rc == LINKD_OK)
        rc = addition_check(&edit, a->generation, err);
    if (rc == LINKD_OK)
        rc = lk_generation_put(txn, collection, a->generation->number, &row,
                               err);
    if (rc == LINKD_OK)
        rc = blobs_put(txn, collection, a, err);
    if (rc == LINKD_OK)
        rc = lk_meta_put(txn, "format", LK_FORMAT_VERSION, err);
    if (rc == LINKD_OK) {
        options_serve(&edit, a->generation->number, &row);
        (*seq)++;
        rc = lk_edit_end(&edit, err);
    }
    lk_edit_clear(&edit);
    return rc;
}

int linkd_store_add_generation(linkd_store *store, linkd_str collection,
                               const linkd_generation *generation,
                               const linkd_blob *blobs, size_t n_blobs,
                               linkd_error *err)
{
    addition a = {collection, generation, blobs, n_blobs};
    size_t cost = 0;
    int rc;

    if (generation->dim == 0 || generation->dim > LINKD_DIM_MAX)
        return lk_fail(err, LINKD_E_ARG,
                       "vectors have 1 to %zu numbers, not %zu", LINKD_DIM_MAX,
                       generation->dim);
    for (size_t i = 0; i < n_blobs; i++)
        cost += blobs[i].bytes.len;
    rc = lk_writer_run(store->writer, add_apply, &a, cost, NULL, err);
    if (rc == LINKD_OK)
        lk_builder_wake(store->builder);
    return rc;
}

static int blob_apply(void *ctx, lk_txn *txn, uint64_t *seq, linkd_error *err)
{
    const addition *a = ctx;
    uint32_t collection = 0;
    lk_key key;
    int rc = collection_find(txn, a->collection, &collection, err);

    (void)seq;
    lk_key_blob(&key, collection, a->blobs->generation, a->blobs->kind,
                a->blobs->other);
    return rc == LINKD_OK ? lk_value_put(txn, LK_TABLE_BLOBS, lk_key_str(&key),
                                         a->blobs->bytes, err)
                          : rc;
}

int linkd_store_put_blob(linkd_store *store, linkd_str collection,
                         const linkd_blob *blob, linkd_error *err)
{
    addition a = {.collection = collection, .blobs = blob, .n_blobs = 1};

    return lk_writer_run(store->writer, blob_apply, &a, blob->bytes.len, NULL,
                         err);
}

/* ---- serving again --------------------------------------------------------- */

typedef struct serving {
    linkd_str collection;
    uint32_t generation;
    uint64_t n_moved; /* set anew by each run */
} serving;

static int serve_apply(void *ctx, lk_txn *txn, uint64_t *seq, linkd_error *err)
{
    serving *s = ctx;
    uint32_t collection = 0;
    lk_edit edit = {0};
    int rc = collection_find(txn, s->collection, &collection, err);

    if (rc == LINKD_OK)
        rc = lk_edit_begin_in(&edit, txn, seq, collection, s->generation, err);
    if (rc == LINKD_OK && edit.row.generation == s->generation)
        rc = lk_fail(err, LINKD_E_CONFLICT,
                     "generation %" PRIu32 " serves already", s->generation);
    if (rc == LINKD_OK && edit.generation.state != LK_GENERATION_OPEN)
        rc = lk_fail(err, LINKD_E_CONFLICT,
                     "generation %" PRIu32 " was closed: what had moved on "
                     "from it is freed",
                     s->generation);
    if (rc == LINKD_OK)
        rc = lk_edit_revive_all(&edit, &s->n_moved, err);
    if (rc == LINKD_OK) {
        options_serve(&edit, s->generation, &edit.generation);
        (*seq)++;
        rc = lk_edit_end(&edit, err);
    }
    lk_edit_clear(&edit);
    return rc;
}

int linkd_store_serve_generation(linkd_store *store, linkd_str collection,
                                 uint32_t generation, uint64_t *ret_n_moved,
                                 linkd_error *err)
{
    serving s = {collection, generation, 0};
    int rc;

    if (generation == 0)
        return lk_fail(err, LINKD_E_ABSENT, "there is no generation 0");
    rc = lk_writer_run(store->writer, serve_apply, &s, SERVE_COST, NULL, err);
    if (rc != LINKD_OK)
        return rc;
    *ret_n_moved = s.n_moved;
    lk_builder_wake(store->builder);
    return LINKD_OK;
}

/* ---- moving ---------------------------------------------------------------- */

typedef struct moving {
    linkd_str collection;
    uint32_t generation;
    const linkd_move *moves;
    size_t n;
    uint64_t n_moved; /* set anew by each run */
} moving;

/* Whether the record is there, as it was when its text was read. */
static int is_unchanged(lk_edit *edit, const linkd_move *move, bool *ret_same,
                        linkd_error *err)
{
    lk_arena arena = {0};
    lk_record_row row = {0};
    linkd_str value;
    linkd_str body = {0};
    lk_key key;
    bool found = false;
    int rc;

    lk_key_record(&key, edit->collection, move->number);
    rc = lk_txn_find(edit->txn, LK_TABLE_RECORDS, lk_key_str(&key), &value,
                     &found, err);
    if (rc == LINKD_OK && found)
        rc = lk_value_open(LK_TABLE_RECORDS, lk_key_str(&key), value, &body,
                           err);
    if (rc == LINKD_OK && found)
        rc = lk_record_row_decode(body, &arena, &row, err);
    *ret_same = found && row.seq == move->seq;
    lk_arena_clear(&arena);
    return rc;
}

static int record_move(lk_edit *edit, const linkd_move *move, bool *ret_moved,
                       linkd_error *err)
{
    uint64_t slot;
    lk_key key;
    bool same = false;
    bool is_there = false;
    int rc = is_unchanged(edit, move, &same, err);

    *ret_moved = false;
    lk_key_slot(&key, edit->collection, edit->number, move->number);
    if (rc == LINKD_OK && same)
        rc = lk_number_find(edit->txn, LK_TABLE_SLOTS, lk_key_str(&key), &slot,
                            &is_there, err);
    if (rc == LINKD_OK && same && !is_there)
        rc = lk_edit_leave_others(edit, move->number, LK_LEAVE_INACTIVE,
                                  ret_moved, err);
    /* it is new here; and others were left */
    if (rc == LINKD_OK && *ret_moved)
        rc = lk_edit_set_vector(edit, move->number, true, move->vector, err);
    return rc;
}

static int move_apply(void *ctx, lk_txn *txn, uint64_t *seq, linkd_error *err)
{
    moving *m = ctx;
    uint32_t collection = 0;
    lk_edit edit = {0};
    bool moved = false;
    int rc = collection_find(txn, m->collection, &collection, err);

    m->n_moved = 0;
    if (rc == LINKD_OK)
        rc = lk_edit_begin(&edit, txn, seq, collection, err);
    if (rc == LINKD_OK && edit.number != m->generation)
        rc = lk_fail(err, LINKD_E_CONFLICT,
                     "generation %" PRIu32 " does not serve any more",
                     m->generation);
    for (size_t i = 0; i < m->n && rc == LINKD_OK; i++) {
        rc = record_move(&edit, &m->moves[i], &moved, err);
        m->n_moved += moved;
    }
    if (rc == LINKD_OK)
        rc = lk_edit_end(&edit, err);
    lk_edit_clear(&edit);
    return rc;
}

static int moves_check(const linkd_move *moves, size_t n, size_t dim,
                       linkd_error *err)
{
    if (n > LINKD_PUT_MAX)
        return lk_fail(err, LINKD_E_ARG,
                       "%zu records in one write, most is %zu", n,
                       LINKD_PUT_MAX);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < dim; j++)
            if (!isfinite(moves[i].vector[j]))
                return lk_fail(err, LINKD_E_ARG,
                               "number %zu of a vector is not finite", j);
    return LINKD_OK;
}

int linkd_store_move(linkd_store *store, linkd_str collection,
                     uint32_t generation, const linkd_move *moves, size_t n,
                     uint64_t *ret_n_moved, linkd_error *err)
{
    moving m = {collection, generation, moves, n, 0};
    lk_arena arena = {0};
    linkd_collection_info info;
    int rc = linkd_store_describe(store, collection, &arena, &info, err);

    lk_arena_clear(&arena);
    if (rc == LINKD_OK && info.generation != generation)
        rc = lk_fail(err, LINKD_E_CONFLICT,
                     "generation %" PRIu32 " does not serve any more",
                     generation);
    if (rc == LINKD_OK)
        rc = moves_check(moves, n, info.options.dim, err);
    if (rc == LINKD_OK)
        rc = lk_writer_run(store->writer, move_apply, &m,
                           n * info.options.dim * sizeof(float), NULL, err);
    if (rc != LINKD_OK)
        return rc;
    *ret_n_moved = m.n_moved;
    lk_builder_wake(store->builder);
    return LINKD_OK;
}

/* ---- freeing --------------------------------------------------------------- */

typedef struct freeing {
    linkd_str collection;
    uint32_t collection_number; /* all below set anew by each run */
    uint32_t generation;        /* that was worked on */
    size_t n_left;              /* of the step */
    uint64_t n_vectors;
    bool dropped; /* the generation's row is gone */
    bool more;
} freeing;

/* Removes blobs of others about a generation. */
static int pair_blobs_remove(lk_txn *txn, uint32_t collection,
                             uint32_t generation, linkd_error *err)
{
    lk_cursor *cursor = NULL;
    linkd_str key;
    linkd_str value;
    lk_key at;
    bool found = false;
    bool removed;
    int rc = lk_cursor_open(txn, LK_TABLE_BLOBS, &cursor, err);

    lk_key_begin(&at);
    lk_key_add_u32(&at, collection);
    for (;;) {
        if (rc == LINKD_OK)
            rc = lk_cursor_seek(cursor, lk_key_str(&at), &key, &value, &found,
                                err);
        if (rc != LINKD_OK || !found ||
            !lk_str_starts_with(key, (linkd_str){(const char *)at.bytes, 4}))
            break;
        lk_key_begin(&at);
        lk_key_add_bytes(&at, key);
        if (number_of(key) == generation)
            rc = lk_txn_remove(txn, LK_TABLE_BLOBS, lk_key_str(&at), &removed,
                               err);
        lk_key_add_u8(&at, 0); /* the next one */
    }
    lk_cursor_close(cursor);
    return rc;
}

/* Removes a dropped generation's entries, its own row last. */
static int generation_purge(lk_txn *txn, uint32_t collection,
                            uint32_t generation, freeing *f, linkd_error *err)
{
    static const lk_table tables[] = {LK_TABLE_SEGMENTS, LK_TABLE_VECTORS,
                                      LK_TABLE_SLOTS, LK_TABLE_DEAD,
                                      LK_TABLE_BLOBS};
    lk_key key;
    int rc = LINKD_OK;

    lk_key_begin(&key);
    lk_key_add_u32(&key, collection);
    lk_key_add_u32(&key, generation);
    for (size_t i = 0; rc == LINKD_OK && i < sizeof(tables) / sizeof(*tables);
         i++)
        rc = lk_table_purge(txn, tables[i], lk_key_str(&key), &f->n_left, err);
    if (rc != LINKD_OK || f->n_left == 0)
        return rc;
    f->dropped = true;
    rc = pair_blobs_remove(txn, collection, generation, err);
    if (rc == LINKD_OK)
        rc = lk_table_purge(txn, LK_TABLE_GENERATIONS, lk_key_str(&key),
                            &f->n_left, err);
    return rc;
}

/* The first generation that there is something to do about. */
static const lk_generation *generation_choose(const lk_edit *edit)
{
    for (size_t i = 0; i < edit->n_others; i++) {
        const lk_generation_row *row = &edit->others[i].row;

        if (row->state != LK_GENERATION_CLOSED || row->n_inactive > 0 ||
            row->n_vectors == 0)
            return &edit->others[i];
    }
    return NULL;
}

static int generation_free(lk_txn *txn, uint64_t *seq, uint32_t collection,
                           uint32_t generation, freeing *f, linkd_error *err)
{
    lk_edit edit;
    int rc = lk_edit_begin_in(&edit, txn, seq, collection, generation, err);

    if (rc == LINKD_OK && edit.generation.state == LK_GENERATION_OPEN)
        edit.generation.state = LK_GENERATION_CLOSED;
    if (rc == LINKD_OK)
        rc = lk_edit_free_inactive(&edit, &f->n_left, &f->n_vectors, err);
    if (rc == LINKD_OK && edit.generation.n_vectors == 0 &&
        edit.generation.n_inactive == 0)
        edit.generation.state = LK_GENERATION_DROPPED;
    if (rc == LINKD_OK)
        rc = lk_edit_end(&edit, err);
    lk_edit_clear(&edit);
    return rc;
}

static int free_apply(void *ctx, lk_txn *txn, uint64_t *seq, linkd_error *err)
{
    freeing *f = ctx;
    uint32_t collection = 0;
    const lk_generation *chosen = NULL;
    lk_edit edit = {0};
    int rc = collection_find(txn, f->collection, &collection, err);

    *f = (freeing){.collection = f->collection,
                   .collection_number = collection,
                   .n_left = FREE_STEP};
    if (rc == LINKD_OK)
        rc = lk_edit_begin(&edit, txn, seq, collection, err);
    if (rc == LINKD_OK)
        chosen = generation_choose(&edit);
    if (chosen != NULL) {
        f->more = true;
        f->generation = chosen->number;
        rc =
            chosen->row.state == LK_GENERATION_DROPPED
                ? generation_purge(txn, collection, chosen->number, f, err)
                : generation_free(txn, seq, collection, chosen->number, f, err);
    }
    lk_edit_clear(&edit);
    return rc;
}

int linkd_store_free_inactive(linkd_store *store, linkd_str collection,
                              const linkd_progress *progress,
                              linkd_freed *ret_freed, linkd_error *err)
{
    freeing f = {.collection = collection, .more = true};
    linkd_freed freed = {0};
    int rc = LINKD_OK;

    while (rc == LINKD_OK && f.more) {
        rc = lk_writer_run(store->writer, free_apply, &f, STEP_COST, NULL, err);
        freed.n_vectors += f.n_vectors;
        if (rc == LINKD_OK && f.dropped) {
            freed.n_generations++;
            lk_sets_drop_generation(store->sets, f.collection_number,
                                    f.generation);
        }
        if (rc == LINKD_OK)
            rc = lk_progress_report(progress, "free", freed.n_vectors, 0, err);
    }
    lk_builder_wake(store->builder);
    if (rc == LINKD_OK)
        *ret_freed = freed;
    return rc;
}
