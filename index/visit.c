/* index/visit.c — what each entry of a collection must be like: its form, and
 * the entries of other tables that it leads to or that lead to it.
 *
 * An entry that cannot be read is told where it is visited itself; whoever is
 * led to it only says so. */
#include "index/check.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

static int entry_exists(const lk_check *c, lk_table table, const lk_key *key,
                        bool *ret_found, linkd_error *err)
{
    linkd_str value;

    return lk_txn_find(c->txn, table, lk_key_str(key), &value, ret_found, err);
}

/* ---- records, ids, fields ------------------------------------------------ */

static int field_check(lk_check *c, uint64_t number, const linkd_field *field,
                       linkd_error *err)
{
    lk_key key;
    bool found = true;
    bool has_value;
    int rc;

    if (!lk_field_is_filtered(&c->row->options, field->name))
        return LINKD_OK;
    has_value =
        lk_field_key_of(&key, c->collection, field) != LK_FIELD_KEY_EXISTS;
    lk_key_add_u64(&key, number);
    rc = entry_exists(c, LK_TABLE_FIELDS, &key, &found, err);
    if (rc == LINKD_OK && found && has_value) {
        lk_field_key_begin(&key, c->collection, field->name,
                           LK_FIELD_KEY_EXISTS);
        lk_key_add_u64(&key, number);
        rc = entry_exists(c, LK_TABLE_FIELDS, &key, &found, err);
    }
    if (rc == LINKD_OK && !found)
        lk_check_fault(
            c, "record %" PRIu64 ": filters cannot find its field \"%.*s\"",
            number, (int)(field->name.len < 64 ? field->name.len : 64),
            field->name.bytes);
    return rc;
}

int lk_check_record(lk_check *c, linkd_str key, linkd_str body,
                    linkd_error *err)
{
    uint64_t number = lk_key_tail_u64(key);
    lk_record_row row;
    lk_key id_key;
    bool matches = false;
    int rc = lk_record_row_decode(body, &c->arena, &row, err);

    c->report.n_records++;
    c->n_records++;
    if (rc != LINKD_OK)
        return rc;
    if (number >= c->row->next_number)
        lk_check_fault(c, "record %" PRIu64 ": its number was never given out",
                       number);
    if (row.id.len == 0 || row.id.len > LINKD_ID_MAX_BYTES)
        return lk_fail(err, LINKD_E_DATA, "its id has %zu bytes", row.id.len);
    lk_key_id(&id_key, c->collection, row.id);
    rc = lk_check_number(c, LK_TABLE_IDS, &id_key, number, &matches, err);
    if (rc == LINKD_OK && !matches)
        lk_check_fault(c, "record %" PRIu64 ": its id does not lead to it",
                       number);
    for (size_t i = 0; i < row.n_fields && rc == LINKD_OK; i++)
        rc = field_check(c, number, &row.fields[i], err);
    return rc;
}

/* Tells when something is kept for a record that is not there. */
static int record_expect(lk_check *c, uint64_t number, const char *what,
                         linkd_error *err)
{
    lk_key key;
    bool found = false;
    int rc;

    lk_key_record(&key, c->collection, number);
    rc = entry_exists(c, LK_TABLE_RECORDS, &key, &found, err);
    if (rc == LINKD_OK && !found)
        lk_check_fault(c, "record %" PRIu64 " is not there, but its %s is",
                       number, what);
    return rc;
}

/* Reads the id that a record says it has; an empty one if it cannot be read,
 * which is told when it is visited. */
static int record_id(lk_check *c, uint64_t number, linkd_str *ret_id,
                     linkd_error *err)
{
    lk_key key;
    linkd_str value;
    linkd_str body = {"", 0};
    lk_record_row row = {0};
    bool found = false;
    int rc;

    lk_key_record(&key, c->collection, number);
    rc = lk_txn_find(c->txn, LK_TABLE_RECORDS, lk_key_str(&key), &value, &found,
                     err);
    if (rc == LINKD_OK && found)
        rc = lk_value_open(LK_TABLE_RECORDS, lk_key_str(&key), value, &body,
                           err);
    if (rc == LINKD_OK && found)
        rc = lk_record_row_decode(body, &c->arena, &row, err);
    if (rc != LINKD_OK && rc != LINKD_E_DATA)
        return rc;
    *ret_id = rc == LINKD_OK ? row.id : (linkd_str){NULL, 0};
    return LINKD_OK;
}

int lk_check_id(lk_check *c, linkd_str key, linkd_str body, linkd_error *err)
{
    linkd_str id = {key.bytes + sizeof(uint32_t), key.len - sizeof(uint32_t)};
    linkd_str id_of_record;
    uint64_t number = 0;
    int rc = lk_check_take_number(body, &number, err);

    if (rc == LINKD_OK)
        rc = record_id(c, number, &id_of_record, err);
    if (rc == LINKD_OK && !lk_str_equal(id, id_of_record))
        lk_check_fault(
            c, "id \"%.*s\" leads to record %" PRIu64 ", which is not its own",
            (int)(id.len < 64 ? id.len : 64), id.bytes, number);
    return rc;
}

int lk_check_field(lk_check *c, linkd_str key, linkd_str body, linkd_error *err)
{
    (void)body;
    return record_expect(c, lk_key_tail_u64(key), "key for filters", err);
}

/* ---- vectors ------------------------------------------------------------- */

static void generation_key(const lk_check *c, uint64_t number, lk_key *key)
{
    lk_key_slot(key, c->collection, c->generation_number, number);
}

typedef enum slot_state {
    SLOT_ALIVE,
    SLOT_INACTIVE,
    SLOT_DEAD,
} slot_state;

static int slot_state_find(const lk_check *c, uint32_t generation,
                           uint64_t slot, slot_state *ret_state,
                           linkd_error *err)
{
    linkd_str value = {"", 0};
    bool found = false;
    lk_key key;
    int rc;

    lk_key_slot(&key, c->collection, generation, slot);
    rc = lk_txn_find(c->txn, LK_TABLE_DEAD, lk_key_str(&key), &value, &found,
                     err);
    *ret_state = !found                       ? SLOT_ALIVE
                 : lk_dead_is_inactive(value) ? SLOT_INACTIVE
                                              : SLOT_DEAD;
    return rc;
}

static int row_visit(lk_check *c, uint64_t slot, uint64_t number,
                     linkd_error *err)
{
    lk_key key;
    slot_state state = SLOT_DEAD;
    bool matches = false;
    int rc = slot_state_find(c, c->generation_number, slot, &state, err);

    if (rc != LINKD_OK || state == SLOT_DEAD)
        return rc;
    c->n_alive += state == SLOT_ALIVE;
    c->n_inactive += state == SLOT_INACTIVE;
    c->report.n_vectors++;
    generation_key(c, number, &key);
    rc = lk_check_number(c, LK_TABLE_SLOTS, &key, slot, &matches, err);
    if (rc == LINKD_OK && !matches)
        lk_check_fault(c,
                       "vector in slot %" PRIu64 ": its record %" PRIu64
                       " does not lead to it",
                       slot, number);
    return rc;
}

int lk_check_chunk(lk_check *c, linkd_str key, linkd_str value,
                   linkd_error *err)
{
    uint64_t first = lk_key_tail_u64(key) * LK_ROWS_PER_CHUNK;
    lk_chunk chunk;
    int rc =
        lk_chunk_open(key, value, (size_t)c->generation.dim, true, &chunk, err);

    if (rc == LINKD_OK && first >= c->generation.n_slots)
        lk_check_fault(
            c, "vectors from slot %" PRIu64 " on were never given a slot",
            first);
    for (uint64_t i = 0; i < LK_ROWS_PER_CHUNK && rc == LINKD_OK; i++)
        if (first + i < c->generation.n_slots)
            rc = row_visit(c, first + i, chunk.numbers[i], err);
    return rc;
}

/* Whether a slot lies in a chunk, and which record the chunk says it is of. */
static int slot_owner(const lk_check *c, uint64_t slot, uint64_t *ret_number,
                      bool *ret_found, linkd_error *err)
{
    lk_key key;
    linkd_str value;
    lk_chunk chunk;
    int rc;

    generation_key(c, slot / LK_ROWS_PER_CHUNK, &key);
    rc = lk_txn_find(c->txn, LK_TABLE_VECTORS, lk_key_str(&key), &value,
                     ret_found, err);
    if (rc != LINKD_OK || !*ret_found)
        return rc;
    if (lk_chunk_open(lk_key_str(&key), value, (size_t)c->generation.dim, false,
                      &chunk, NULL) == LINKD_OK)
        *ret_number = chunk.numbers[slot % LK_ROWS_PER_CHUNK];
    return LINKD_OK;
}

/* In how many other generations a record's vector is alive. */
static int alive_elsewhere(const lk_check *c, uint64_t number, size_t *ret_n,
                           linkd_error *err)
{
    uint64_t slot = 0;
    bool found = false;
    slot_state state = SLOT_DEAD;
    lk_key key;
    int rc = LINKD_OK;

    *ret_n = 0;
    for (size_t i = 0; i < c->n_others && rc == LINKD_OK; i++) {
        uint32_t generation = c->others[i].number;

        if (generation == c->generation_number ||
            c->others[i].row.state == LK_GENERATION_DROPPED)
            continue;
        lk_key_slot(&key, c->collection, generation, number);
        rc = lk_number_find(c->txn, LK_TABLE_SLOTS, lk_key_str(&key), &slot,
                            &found, err);
        if (rc == LINKD_OK && found)
            rc = slot_state_find(c, generation, slot, &state, err);
        *ret_n += found && state == SLOT_ALIVE;
    }
    return rc == LINKD_E_DATA ? LINKD_OK : rc; /* told where it is visited */
}

/* A record's vector is alive in one generation, whatever it has left behind. */
static int generations_check(lk_check *c, uint64_t number, slot_state state,
                             linkd_error *err)
{
    size_t n = 0;
    int rc = alive_elsewhere(c, number, &n, err);

    n += state == SLOT_ALIVE;
    if (rc == LINKD_OK && n != 1)
        lk_check_fault(c,
                       "record %" PRIu64 ": its vector is alive in %zu "
                       "generations",
                       number, n);
    if (rc == LINKD_OK && state == SLOT_INACTIVE &&
        c->generation_number == c->row->generation)
        lk_check_fault(c,
                       "record %" PRIu64 ": its vector is inactive in the "
                       "generation that serves",
                       number);
    return rc;
}

int lk_check_slot(lk_check *c, linkd_str key, linkd_str body, linkd_error *err)
{
    uint64_t number = lk_key_tail_u64(key);
    uint64_t owner = LINKD_ID_NONE;
    uint64_t slot = 0;
    slot_state state = SLOT_DEAD;
    bool found = false;
    int rc = lk_check_take_number(body, &slot, err);

    if (rc != LINKD_OK)
        return rc;
    c->n_slots++;
    rc = slot_owner(c, slot, &owner, &found, err);
    if (rc == LINKD_OK)
        rc = slot_state_find(c, c->generation_number, slot, &state, err);
    if (rc != LINKD_OK)
        return rc;
    if (!found || owner != number || state == SLOT_DEAD ||
        slot >= c->generation.n_slots)
        lk_check_fault(c,
                       "record %" PRIu64 ": its vector is not in slot %" PRIu64,
                       number, slot);
    if (c->n_others > 1)
        rc = generations_check(c, number, state, err);
    return rc == LINKD_OK ? record_expect(c, number, "vector", err) : rc;
}

int lk_check_dead(lk_check *c, linkd_str key, linkd_str body, linkd_error *err)
{
    uint64_t slot = lk_key_tail_u64(key);
    uint64_t owner = 0;
    bool found = false;
    int rc = slot_owner(c, slot, &owner, &found, err);

    (void)body;
    if (rc == LINKD_OK && (!found || slot >= c->generation.n_slots))
        lk_check_fault(
            c, "slot %" PRIu64 " is noted as dead, but was never filled", slot);
    return rc;
}

/* ---- entities ------------------------------------------------------------ */

int lk_check_entity(lk_check *c, linkd_str key, linkd_str body,
                    linkd_error *err)
{
    uint64_t number = lk_key_tail_u64(key);
    uint64_t entity = 0;
    lk_key member_key;
    bool found = false;
    int rc = lk_check_take_number(body, &entity, err);

    if (rc != LINKD_OK)
        return rc;
    lk_key_record(&member_key, c->collection, entity);
    lk_key_add_u64(&member_key, number);
    rc = entry_exists(c, LK_TABLE_MEMBERS, &member_key, &found, err);
    if (rc == LINKD_OK && !found)
        lk_check_fault(c,
                       "record %" PRIu64
                       " is not among the members of its entity "
                       "%" PRIu64,
                       number, entity);
    return rc == LINKD_OK ? record_expect(c, number, "entity", err) : rc;
}

int lk_check_member(lk_check *c, linkd_str key, linkd_str body,
                    linkd_error *err)
{
    uint64_t number = lk_key_tail_u64(key);
    uint64_t entity =
        lk_key_tail_u64((linkd_str){key.bytes, key.len - sizeof(uint64_t)});
    lk_key entity_key;
    bool matches = false;
    int rc;

    (void)body;
    if (c->n_entities == 0 || entity != c->last_entity)
        c->n_entities++;
    c->last_entity = entity;
    lk_key_record(&entity_key, c->collection, number);
    rc = lk_check_number(c, LK_TABLE_ENTITIES, &entity_key, entity, &matches,
                         err);
    if (rc == LINKD_OK && !matches)
        lk_check_fault(
            c, "entity %" PRIu64 ": its member %" PRIu64 " does not lead to it",
            entity, number);
    return rc;
}

int lk_check_event(lk_check *c, linkd_str key, linkd_str body, linkd_error *err)
{
    linkd_entity_event event;

    (void)c;
    (void)key;
    return lk_event_decode(body, 0, &event, err);
}

int lk_check_review(lk_check *c, linkd_str key, linkd_str body,
                    linkd_error *err)
{
    linkd_str lower;
    linkd_str higher;
    linkd_review_answer answer;
    lk_key expected;
    int rc = lk_review_decode(body, &lower, &higher, &answer, err);

    if (rc != LINKD_OK)
        return rc;
    if (lower.len > LINKD_ID_MAX_BYTES || higher.len > LINKD_ID_MAX_BYTES)
        return lk_fail(err, LINKD_E_DATA, "an id in a review is too long");
    lk_key_review(&expected, c->collection, lower, higher);
    if (!lk_str_equal(key, lk_key_str(&expected)))
        lk_check_fault(c, "the review of \"%.*s\" lies in another's place",
                       (int)(lower.len < 64 ? lower.len : 64), lower.bytes);
    return LINKD_OK;
}

/* ---- segments ------------------------------------------------------------ */

static int file_hash(lk_check *c, FILE *file, uint64_t *ret_bytes,
                     uint64_t *ret_hash, linkd_error *err)
{
    XXH3_state_t *state = XXH3_createState();
    uint64_t n_bytes = 0;
    size_t n;

    if (state == NULL)
        return lk_fail_nomem(err);
    (void)XXH3_64bits_reset(state);
    for (n = fread(c->room, 1, LK_CHECK_ROOM, file); n > 0;
         n = fread(c->room, 1, LK_CHECK_ROOM, file)) {
        (void)XXH3_64bits_update(state, c->room, n);
        n_bytes += n;
    }
    *ret_bytes = n_bytes;
    *ret_hash = XXH3_64bits_digest(state);
    (void)XXH3_freeState(state);
    return LINKD_OK;
}

/* The builder may have replaced a segment since the transaction began. */
static int row_is_current(lk_check *c, linkd_str key, bool *ret_current,
                          linkd_error *err)
{
    lk_txn *txn = NULL;
    linkd_str value;
    int rc = lk_txn_begin_read(c->store->env, &txn, err);

    if (rc == LINKD_OK)
        rc = lk_txn_find(txn, LK_TABLE_SEGMENTS, key, &value, ret_current, err);
    lk_txn_abort(txn);
    return rc;
}

static int segment_fault(lk_check *c, linkd_str key, const char *what,
                         linkd_error *err)
{
    bool is_current = false;
    int rc = row_is_current(c, key, &is_current, err);

    if (rc != LINKD_OK || !is_current)
        return rc;
    c->report.n_bad_segments++;
    lk_check_fault(c, "segment %" PRIu64 " %s: it will be built anew",
                   lk_key_tail_u64(key), what);
    return LINKD_OK;
}

static int segment_file_check(lk_check *c, linkd_str key, const char *path,
                              const lk_segment_row *row, linkd_error *err)
{
    FILE *file = fopen(path, "rbe");
    uint64_t n_bytes = 0;
    uint64_t hash = 0;
    int rc;

    if (file == NULL && errno == ENOENT)
        return segment_fault(c, key, "is gone", err);
    if (file == NULL)
        return lk_fail(err, errno == ENOMEM ? LINKD_E_NOMEM : LINKD_E_IO,
                       "could not open \"%s\": %s", path, strerror(errno));
    rc = file_hash(c, file, &n_bytes, &hash, err);
    (void)fclose(file);
    if (rc == LINKD_OK && n_bytes != row->file_bytes)
        return segment_fault(c, key, "has a wrong length", err);
    if (rc == LINKD_OK && hash != row->file_hash)
        return segment_fault(c, key, "is damaged", err);
    return rc;
}

int lk_check_segment(lk_check *c, linkd_str key, linkd_str body,
                     linkd_error *err)
{
    uint64_t pair =
        lk_key_tail_u64((linkd_str){key.bytes, key.len - sizeof(uint64_t)});
    lk_segment_row row;
    lk_buf path = {0};
    int rc = lk_segment_row_decode(body, &row, err);

    c->report.n_segments++;
    if (rc == LINKD_OK)
        rc = lk_segment_path(c->store->dir, c->collection,
                             (uint32_t)(pair & UINT32_MAX),
                             lk_key_tail_u64(key), &path, err);
    if (rc == LINKD_OK)
        rc = segment_file_check(c, key, path.data, &row, err);
    lk_buf_clear(&path);
    return rc;
}
