/* index/survey.c — how many vectors are alive, and which segments have them.
 *
 * Walks two tables side by side, which are both in the order of slots:
 *
 *   VECTORS  chunk 0        chunk 1         (gone)         chunk 3
 *   DEAD       3  17          64 … 127                       200
 *   alive        62              0             0              63
 *
 * Only keys are read, so a walk over a million vectors touches some hundred
 * pages and no vector. Segments end where chunks do: the last chunk, which may
 * still be filled, belongs to none. */
#include "index/build.h"

#include <stdlib.h>
#include <string.h>

/* A chunk of which so many slots are dead is worth emptying: half. */
#define DEAD_PER_CHUNK 32

_Static_assert(LK_ROWS_PER_CHUNK == 64, "a word has a bit for each row");

/* ---- walking ------------------------------------------------------------ */

/* Does a key belong to the generation? */
static bool walk_owns(const lk_walk *walk, linkd_str key)
{
    linkd_str own = {(const char *)walk->key.bytes,
                     walk->key.len - sizeof(uint64_t)};

    return lk_str_starts_with(key, own);
}

static void dead_take(lk_walk *walk, linkd_str key, linkd_str value, bool found)
{
    bool is_ours = found && walk_owns(walk, key);

    walk->next_dead = is_ours ? lk_key_tail_u64(key) : LINKD_ID_NONE;
    walk->next_is_inactive = is_ours && lk_dead_is_inactive(value);
}

int lk_walk_begin(lk_walk *walk, lk_txn *txn, uint32_t collection,
                  uint32_t generation, uint64_t from, linkd_error *err)
{
    linkd_str key, value;
    bool found = false;
    int rc;

    *walk = (lk_walk){.collection = collection, .generation = generation};
    rc = lk_cursor_open(txn, LK_TABLE_VECTORS, &walk->chunks, err);
    if (rc == LINKD_OK)
        rc = lk_cursor_open(txn, LK_TABLE_DEAD, &walk->dead, err);
    if (rc != LINKD_OK)
        return rc;
    lk_key_slot(&walk->key, collection, generation, from * LK_ROWS_PER_CHUNK);
    rc = lk_cursor_seek(walk->dead, lk_key_str(&walk->key), &key, &value,
                        &found, err);
    if (rc != LINKD_OK)
        return rc;
    dead_take(walk, key, value, found);
    lk_key_slot(&walk->key, collection, generation, from);
    return LINKD_OK;
}

void lk_walk_end(lk_walk *walk)
{
    lk_cursor_close(walk->dead);
    lk_cursor_close(walk->chunks);
    *walk = (lk_walk){0};
}

/* The dead and the inactive slots below `end`, as bits from `end` - 64 on. */
static int dead_collect(lk_walk *walk, uint64_t end, lk_walked *chunk,
                        linkd_error *err)
{
    uint64_t begin = end - LK_ROWS_PER_CHUNK;

    while (walk->next_dead < end) {
        linkd_str key, value;
        bool found = false;
        int rc;

        if (walk->next_dead >= begin && walk->next_is_inactive)
            chunk->inactive |= (uint64_t)1 << (walk->next_dead - begin);
        else if (walk->next_dead >= begin)
            chunk->dead |= (uint64_t)1 << (walk->next_dead - begin);
        rc = lk_cursor_next(walk->dead, &key, &value, &found, err);
        if (rc != LINKD_OK)
            return rc;
        dead_take(walk, key, value, found);
    }
    return LINKD_OK;
}

int lk_walk_next(lk_walk *walk, lk_walked *ret_chunk, bool *ret_found,
                 linkd_error *err)
{
    lk_walked chunk = {0};
    bool found = false;
    int rc;

    if (walk->is_begun)
        rc =
            lk_cursor_next(walk->chunks, &chunk.key, &chunk.value, &found, err);
    else
        rc = lk_cursor_seek(walk->chunks, lk_key_str(&walk->key), &chunk.key,
                            &chunk.value, &found, err);
    walk->is_begun = true;
    if (rc != LINKD_OK)
        return rc;
    *ret_found = found && walk_owns(walk, chunk.key);
    if (!*ret_found)
        return LINKD_OK;
    chunk.number = lk_key_tail_u64(chunk.key);
    if (chunk.number >= UINT64_MAX / LK_ROWS_PER_CHUNK)
        return lk_fail(err, LINKD_E_DATA, "a chunk of vectors has a wrong key");
    rc =
        dead_collect(walk, (chunk.number + 1) * LK_ROWS_PER_CHUNK, &chunk, err);
    if (rc == LINKD_OK)
        *ret_chunk = chunk;
    return rc;
}

/* ---- spans -------------------------------------------------------------- */

static void span_add(lk_survey *s, uint64_t begin, uint64_t end, size_t n)
{
    if (begin < end)
        s->spans[s->n_spans++] =
            (lk_span){.begin = begin, .end = end, .n_indexed = n};
}

/* Cuts [0, n_slots) at the bounds of the segments. */
static int spans_lay(lk_survey *s, const lk_segment_set *set, uint64_t n_slots,
                     linkd_error *err)
{
    size_t n_segments = set == NULL ? 0 : set->n;
    uint64_t at = 0;

    s->spans = calloc(2 * n_segments + 1, sizeof(*s->spans));
    if (s->spans == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < n_segments; i++) {
        const lk_segment *segment = set->segments[i];

        span_add(s, at, segment->slot_begin, 0);
        span_add(s, segment->slot_begin, segment->slot_end, segment->n);
        at = segment->slot_end;
    }
    span_add(s, at, n_slots - n_slots % LK_ROWS_PER_CHUNK, 0);
    return LINKD_OK;
}

/* Adds up what is alive in each span. */
static int spans_count(lk_survey *s, lk_txn *txn, linkd_error *err)
{
    lk_walk walk = {0};
    lk_walked chunk = {0};
    bool found = true;
    size_t at = 0;
    int rc = lk_walk_begin(&walk, txn, s->collection, s->generation, 0, err);

    while (rc == LINKD_OK) {
        uint64_t slot;
        int n_dead;

        rc = lk_walk_next(&walk, &chunk, &found, err);
        if (rc != LINKD_OK || !found)
            break;
        slot = chunk.number * LK_ROWS_PER_CHUNK;
        n_dead = __builtin_popcountll(chunk.dead);
        while (at < s->n_spans && s->spans[at].end <= slot)
            at++;
        if (at == s->n_spans)
            break;
        s->spans[at].n_alive += LK_ROWS_PER_CHUNK - (unsigned)n_dead;
        /* moving a row would forget that it is inactive */
        if (n_dead >= DEAD_PER_CHUNK && chunk.inactive == 0 &&
            s->n_vacuum < LK_VACUUM_CHUNKS)
            s->vacuum[s->n_vacuum++] = chunk.number;
    }
    lk_walk_end(&walk);
    return rc;
}

/* ---- rows of SEGMENTS --------------------------------------------------- */

static bool set_has(const lk_segment_set *set, uint64_t number)
{
    for (size_t i = 0; set != NULL && i < set->n; i++) {
        if (set->segments[i]->number == number)
            return true;
    }
    return false;
}

static int listed_add(lk_survey *s, const lk_segment_set *set, linkd_str key,
                      linkd_str value, linkd_error *err)
{
    lk_listed listed = {.number = lk_key_tail_u64(key)};
    lk_segment_row row;
    linkd_str body;
    void *array = s->listed;
    int rc = lk_grow(&array, &s->listed_capacity, s->n_listed + 1,
                     sizeof(listed), err);

    s->listed = array;
    if (rc != LINKD_OK)
        return rc;
    if (lk_value_open(LK_TABLE_SEGMENTS, key, value, &body, NULL) == LINKD_OK &&
        lk_segment_row_decode(body, &row, NULL) == LINKD_OK) {
        listed.begin = row.slot_begin;
        listed.end = row.slot_end;
        listed.is_loaded = set_has(set, listed.number);
    }
    s->listed[s->n_listed++] = listed;
    return LINKD_OK;
}

static int listed_read(lk_survey *s, const lk_segment_set *set, lk_txn *txn,
                       linkd_error *err)
{
    lk_cursor *cursor = NULL;
    linkd_str key, value, own;
    bool found = false;
    lk_key from;
    int rc = lk_cursor_open(txn, LK_TABLE_SEGMENTS, &cursor, err);

    lk_key_slot(&from, s->collection, s->generation, 0);
    own = (linkd_str){(const char *)from.bytes, from.len - sizeof(uint64_t)};
    if (rc == LINKD_OK)
        rc = lk_cursor_seek(cursor, lk_key_str(&from), &key, &value, &found,
                            err);
    while (rc == LINKD_OK && found && lk_str_starts_with(key, own)) {
        rc = listed_add(s, set, key, value, err);
        if (rc == LINKD_OK)
            rc = lk_cursor_next(cursor, &key, &value, &found, err);
    }
    lk_cursor_close(cursor);
    return rc;
}

/* ---- surveys ------------------------------------------------------------ */

int lk_build_check_current(lk_txn *txn, uint32_t collection,
                           uint32_t generation, lk_arena *arena,
                           lk_collection_row *ret_row,
                           lk_generation_row *ret_generation, linkd_error *err)
{
    int rc = lk_collection_get(txn, collection, arena, ret_row, err);

    if (rc == LINKD_OK && !ret_row->dropped)
        rc =
            lk_generation_get(txn, collection, generation, ret_generation, err);
    if (rc == LINKD_OK &&
        (ret_row->dropped || ret_generation->state == LK_GENERATION_DROPPED))
        return lk_fail(err, LINKD_E_ABSENT,
                       "collection %u or its generation %u has been dropped",
                       (unsigned)collection, (unsigned)generation);
    return rc;
}

static int survey_read(lk_survey *s, const lk_segment_set *set, lk_txn *txn,
                       linkd_error *err)
{
    lk_arena arena = {0};
    lk_collection_row row;
    lk_generation_row generation = {0};
    int rc = lk_build_check_current(txn, s->collection, s->generation, &arena,
                                    &row, &generation, err);

    if (rc != LINKD_OK)
        goto done;
    s->dim = (size_t)generation.dim;
    s->kind = row.options.index;
    s->n_vectors = generation.n_vectors + generation.n_inactive;
    s->next_segment = row.next_segment;
    rc = spans_lay(s, set, generation.n_slots, err);
    if (rc == LINKD_OK)
        rc = spans_count(s, txn, err);
    if (rc == LINKD_OK)
        rc = listed_read(s, set, txn, err);
done:
    lk_arena_clear(&arena);
    return rc;
}

int lk_survey_take(linkd_store *store, uint32_t collection, uint32_t generation,
                   lk_survey *ret_survey, linkd_error *err)
{
    lk_survey s = {.collection = collection, .generation = generation};
    lk_segment_set *set = lk_sets_get(store->sets, collection, generation);
    lk_txn *txn = NULL;
    int rc = lk_txn_begin_read(store->env, &txn, err);

    if (rc == LINKD_OK)
        rc = survey_read(&s, set, txn, err);
    lk_txn_abort(txn);
    lk_segment_set_unref(set);
    if (rc == LINKD_OK)
        *ret_survey = s;
    else
        lk_survey_clear(&s);
    return rc;
}

void lk_survey_clear(lk_survey *survey)
{
    free(survey->spans);
    free(survey->listed);
    *survey = (lk_survey){0};
}
