/* index/check.c — is everything in a data directory as it was written, and does
 * it fit together?
 *
 * One read transaction sees one moment. Each collection is walked table by
 * table; every value's checksum is verified, and every reference is followed:
 *
 *   RECORDS ◄──id──► IDS             SLOTS ◄──slot, number──► VECTORS ── DEAD
 *      │  └─► FIELDS (both ways)     ENTITIES ◄──entity, number──► MEMBERS
 *      └ counted against COLLECTIONS and GENERATIONS
 *
 * A reference is checked from each of its ends, so that a lost entry shows at
 * the one that is left. Entries under the number of a collection that does not
 * exist show as a difference between a table's entries and those visited.
 *
 * What is found is told line by line and never repaired: segments heal by
 * themselves (builder.c), for the rest there are backups. A collection that was
 * dropped and is not yet freed has its checksums verified and nothing more. */
#include "index/names.h"
#include "index/parts.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define STEP               "check"
#define ENTRIES_PER_REPORT ((uint64_t)1024)
#define READ_BYTES         ((size_t)1 << 20)

typedef struct check {
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
    char *room;     /* [READ_BYTES] */

    /* The collection that is walked, and the generation. */
    uint32_t collection;
    const lk_collection_row *row; /* NULL: none, or dropped */
    uint32_t generation_number;
    lk_generation_row generation;
    uint64_t n_records;
    uint64_t n_entities;
    uint64_t last_entity; /* of the last member seen */
    uint64_t n_slots;     /* entries of SLOTS */
    uint64_t n_alive;     /* rows of chunks */
} check;

/* Looks at one entry. `body` is the value without its checksum. */
typedef int visit_fn(check *c, linkd_str key, linkd_str body, linkd_error *err);

/* ---- faults -------------------------------------------------------------- */

static void fault(check *c, const char *format, ...) LK_PRINTF(2, 3);

static void fault(check *c, const char *format, ...)
{
    char message[sizeof(((linkd_error *)NULL)->message)];
    size_t at = 0;
    va_list args;

    if (c->row != NULL)
        at = (size_t)snprintf(message, sizeof(message),
                              "collection \"%.*s\": ", (int)c->row->name.len,
                              c->row->name.bytes);
    va_start(args, format);
    (void)vsnprintf(message + at, sizeof(message) - at, format, args);
    va_end(args);
    c->report.n_faults++;
    if (c->fault_cb != NULL)
        c->fault_cb(c->fault_ctx, message);
}

/* Damage is what a check is for; everything else ends it. */
static int damage_note(check *c, int rc, lk_table table, linkd_str key,
                       const linkd_error *damage, linkd_error *err)
{
    if (rc == LINKD_E_DATA && key.len >= sizeof(uint64_t))
        fault(c, "%s, entry %" PRIu64 ": %s", lk_table_name(table),
              lk_key_tail_u64(key), damage->message);
    else if (rc == LINKD_E_DATA)
        fault(c, "%s: %s", lk_table_name(table), damage->message);
    else if (rc != LINKD_OK)
        return lk_fail(err, rc, "%s", damage->message);
    return LINKD_OK;
}

/* ---- looking up ---------------------------------------------------------- */

static int entry_exists(const check *c, lk_table table, const lk_key *key,
                        bool *ret_found, linkd_error *err)
{
    linkd_str value;

    return lk_txn_find(c->txn, table, lk_key_str(key), &value, ret_found, err);
}

/* Whether the row of one number is there and holds `expected`. */
static int number_matches(const check *c, lk_table table, const lk_key *key,
                          uint64_t expected, bool *ret_matches,
                          linkd_error *err)
{
    uint64_t number = 0;
    bool found = false;
    int rc =
        lk_number_find(c->txn, table, lk_key_str(key), &number, &found, err);

    *ret_matches = rc == LINKD_OK && found && number == expected;
    return rc == LINKD_E_DATA ? LINKD_OK : rc; /* told when it is visited */
}

static uint64_t body_number(linkd_str body)
{
    uint64_t number = 0;

    for (size_t i = body.len; i > 0; i--)
        number = number << 8 | (unsigned char)body.bytes[i - 1];
    return number;
}

static int number_take(linkd_str body, uint64_t *ret_number, linkd_error *err)
{
    if (body.len != sizeof(uint64_t))
        return lk_fail(err, LINKD_E_DATA, "a number has %zu bytes", body.len);
    *ret_number = body_number(body);
    return LINKD_OK;
}

/* ---- records, ids, fields ------------------------------------------------ */

static bool is_filtered(const check *c, linkd_str name)
{
    const linkd_collection_options *options = &c->row->options;

    if (options->filter_fields == NULL)
        return true;
    for (size_t i = 0; i < options->n_filter_fields; i++)
        if (lk_str_equal(options->filter_fields[i], name))
            return true;
    return false;
}

static int field_check(check *c, uint64_t number, const linkd_field *field,
                       linkd_error *err)
{
    lk_key key;
    bool found = true;
    bool has_value;
    int rc;

    if (!is_filtered(c, field->name))
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
        fault(c, "record %" PRIu64 ": filters cannot find its field \"%.*s\"",
              number, (int)(field->name.len < 64 ? field->name.len : 64),
              field->name.bytes);
    return rc;
}

static int record_visit(check *c, linkd_str key, linkd_str body,
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
        fault(c, "record %" PRIu64 ": its number was never given out", number);
    if (row.id.len == 0 || row.id.len > LINKD_ID_MAX_BYTES)
        return lk_fail(err, LINKD_E_DATA, "its id has %zu bytes", row.id.len);
    lk_key_id(&id_key, c->collection, row.id);
    rc = number_matches(c, LK_TABLE_IDS, &id_key, number, &matches, err);
    if (rc == LINKD_OK && !matches)
        fault(c, "record %" PRIu64 ": its id does not lead to it", number);
    for (size_t i = 0; i < row.n_fields && rc == LINKD_OK; i++)
        rc = field_check(c, number, &row.fields[i], err);
    return rc;
}

/* Tells when something is kept for a record that is not there. */
static int record_expect(check *c, uint64_t number, const char *what,
                         linkd_error *err)
{
    lk_key key;
    bool found = false;
    int rc;

    lk_key_record(&key, c->collection, number);
    rc = entry_exists(c, LK_TABLE_RECORDS, &key, &found, err);
    if (rc == LINKD_OK && !found)
        fault(c, "record %" PRIu64 " is not there, but its %s is", number,
              what);
    return rc;
}

/* Reads the id that a record says it has; an empty one if it cannot be read,
 * which is told when it is visited. */
static int record_id(check *c, uint64_t number, linkd_str *ret_id,
                     linkd_error *err)
{
    lk_key key;
    linkd_str value;
    linkd_str body;
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

static int id_visit(check *c, linkd_str key, linkd_str body, linkd_error *err)
{
    linkd_str id = {key.bytes + sizeof(uint32_t), key.len - sizeof(uint32_t)};
    linkd_str id_of_record;
    uint64_t number = 0;
    int rc = number_take(body, &number, err);

    if (rc == LINKD_OK)
        rc = record_id(c, number, &id_of_record, err);
    if (rc == LINKD_OK && !lk_str_equal(id, id_of_record))
        fault(c,
              "id \"%.*s\" leads to record %" PRIu64 ", which is not its own",
              (int)(id.len < 64 ? id.len : 64), id.bytes, number);
    return rc;
}

static int field_visit(check *c, linkd_str key, linkd_str body,
                       linkd_error *err)
{
    (void)body;
    return record_expect(c, lk_key_tail_u64(key), "key for filters", err);
}

/* ---- vectors ------------------------------------------------------------- */

static void generation_key(const check *c, uint64_t number, lk_key *key)
{
    lk_key_slot(key, c->collection, c->generation_number, number);
}

static int row_visit(check *c, uint64_t slot, uint64_t number, linkd_error *err)
{
    lk_key key;
    bool is_dead = false;
    bool matches = false;
    int rc;

    generation_key(c, slot, &key);
    rc = entry_exists(c, LK_TABLE_DEAD, &key, &is_dead, err);
    if (rc != LINKD_OK || is_dead)
        return rc;
    c->n_alive++;
    c->report.n_vectors++;
    generation_key(c, number, &key);
    rc = number_matches(c, LK_TABLE_SLOTS, &key, slot, &matches, err);
    if (rc == LINKD_OK && !matches)
        fault(c,
              "vector in slot %" PRIu64 ": its record %" PRIu64
              " does not lead to it",
              slot, number);
    return rc;
}

static int chunk_visit(check *c, linkd_str key, linkd_str value,
                       linkd_error *err)
{
    uint64_t first = lk_key_tail_u64(key) * LK_ROWS_PER_CHUNK;
    lk_chunk chunk;
    int rc =
        lk_chunk_open(key, value, (size_t)c->generation.dim, true, &chunk, err);

    if (rc == LINKD_OK && first >= c->generation.n_slots)
        fault(c, "vectors from slot %" PRIu64 " on were never given a slot",
              first);
    for (uint64_t i = 0; i < LK_ROWS_PER_CHUNK && rc == LINKD_OK; i++)
        if (first + i < c->generation.n_slots)
            rc = row_visit(c, first + i, chunk.numbers[i], err);
    return rc;
}

/* Whether a slot lies in a chunk, and which record the chunk says it is of. */
static int slot_owner(const check *c, uint64_t slot, uint64_t *ret_number,
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

static int slot_visit(check *c, linkd_str key, linkd_str body, linkd_error *err)
{
    uint64_t number = lk_key_tail_u64(key);
    uint64_t owner = LINKD_ID_NONE;
    uint64_t slot = 0;
    lk_key dead_key;
    bool found = false;
    bool is_dead = false;
    int rc = number_take(body, &slot, err);

    if (rc != LINKD_OK)
        return rc;
    c->n_slots++;
    rc = slot_owner(c, slot, &owner, &found, err);
    generation_key(c, slot, &dead_key);
    if (rc == LINKD_OK)
        rc = entry_exists(c, LK_TABLE_DEAD, &dead_key, &is_dead, err);
    if (rc != LINKD_OK)
        return rc;
    if (!found || owner != number || is_dead || slot >= c->generation.n_slots)
        fault(c, "record %" PRIu64 ": its vector is not in slot %" PRIu64,
              number, slot);
    return record_expect(c, number, "vector", err);
}

static int dead_visit(check *c, linkd_str key, linkd_str body, linkd_error *err)
{
    uint64_t slot = lk_key_tail_u64(key);
    uint64_t owner = 0;
    bool found = false;
    int rc = slot_owner(c, slot, &owner, &found, err);

    (void)body;
    if (rc == LINKD_OK && (!found || slot >= c->generation.n_slots))
        fault(c, "slot %" PRIu64 " is noted as dead, but was never filled",
              slot);
    return rc;
}

/* ---- entities ------------------------------------------------------------ */

static int entity_visit(check *c, linkd_str key, linkd_str body,
                        linkd_error *err)
{
    uint64_t number = lk_key_tail_u64(key);
    uint64_t entity = 0;
    lk_key member_key;
    bool found = false;
    int rc = number_take(body, &entity, err);

    if (rc != LINKD_OK)
        return rc;
    lk_key_record(&member_key, c->collection, entity);
    lk_key_add_u64(&member_key, number);
    rc = entry_exists(c, LK_TABLE_MEMBERS, &member_key, &found, err);
    if (rc == LINKD_OK && !found)
        fault(c,
              "record %" PRIu64 " is not among the members of its entity "
              "%" PRIu64,
              number, entity);
    return rc == LINKD_OK ? record_expect(c, number, "entity", err) : rc;
}

static int member_visit(check *c, linkd_str key, linkd_str body,
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
    rc = number_matches(c, LK_TABLE_ENTITIES, &entity_key, entity, &matches,
                        err);
    if (rc == LINKD_OK && !matches)
        fault(c,
              "entity %" PRIu64 ": its member %" PRIu64 " does not lead to it",
              entity, number);
    return rc;
}

static int event_visit(check *c, linkd_str key, linkd_str body,
                       linkd_error *err)
{
    linkd_entity_event event;

    (void)c;
    (void)key;
    return lk_event_decode(body, 0, &event, err);
}

static int review_visit(check *c, linkd_str key, linkd_str body,
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
        fault(c, "the review of \"%.*s\" lies in another's place",
              (int)(lower.len < 64 ? lower.len : 64), lower.bytes);
    return LINKD_OK;
}

/* ---- segments ------------------------------------------------------------ */

static int file_hash(check *c, FILE *file, uint64_t *ret_bytes,
                     uint64_t *ret_hash, linkd_error *err)
{
    XXH3_state_t *state = XXH3_createState();
    uint64_t n_bytes = 0;
    size_t n;

    if (state == NULL)
        return lk_fail_nomem(err);
    (void)XXH3_64bits_reset(state);
    for (n = fread(c->room, 1, READ_BYTES, file); n > 0;
         n = fread(c->room, 1, READ_BYTES, file)) {
        (void)XXH3_64bits_update(state, c->room, n);
        n_bytes += n;
    }
    *ret_bytes = n_bytes;
    *ret_hash = XXH3_64bits_digest(state);
    (void)XXH3_freeState(state);
    return LINKD_OK;
}

/* The builder may have replaced a segment since the transaction began. */
static int row_is_current(check *c, linkd_str key, bool *ret_current,
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

static int segment_fault(check *c, linkd_str key, const char *what,
                         linkd_error *err)
{
    bool is_current = false;
    int rc = row_is_current(c, key, &is_current, err);

    if (rc != LINKD_OK || !is_current)
        return rc;
    c->report.n_bad_segments++;
    fault(c, "segment %" PRIu64 " %s: it will be built anew",
          lk_key_tail_u64(key), what);
    return LINKD_OK;
}

static int segment_file_check(check *c, linkd_str key, const char *path,
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

static int segment_visit(check *c, linkd_str key, linkd_str body,
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

/* ---- walking ------------------------------------------------------------- */

/* Keys alone have no checksum; that of a chunk is verified with it. */
static bool has_plain_value(lk_table table)
{
    return table == LK_TABLE_DEAD || table == LK_TABLE_FIELDS ||
           table == LK_TABLE_MEMBERS || table == LK_TABLE_VECTORS;
}

static int entry_visit(check *c, lk_table table, linkd_str key, linkd_str value,
                       visit_fn *visit, linkd_error *err)
{
    linkd_error damage = {0};
    linkd_str body = value;
    int rc = LINKD_OK;

    c->n_visited[table]++;
    if (++c->n_done % ENTRIES_PER_REPORT == 0)
        rc = lk_progress_report(c->progress, STEP, c->n_done, c->n_total, err);
    if (rc != LINKD_OK)
        return rc;
    if (!has_plain_value(table))
        rc = lk_value_open(table, key, value, &body, &damage);
    if (rc == LINKD_OK && visit != NULL)
        rc = visit(c, key, body, &damage);
    lk_arena_clear(&c->arena);
    return damage_note(c, rc, table, key, &damage, err);
}

/* Visits the entries whose keys begin with `prefix`, of at least `len` bytes. */
static int table_walk(check *c, lk_table table, linkd_str prefix, size_t len,
                      visit_fn *visit, linkd_error *err)
{
    lk_cursor *cursor = NULL;
    linkd_str key;
    linkd_str value;
    bool found = false;
    int rc = lk_cursor_open(c->txn, table, &cursor, err);

    if (rc == LINKD_OK)
        rc = lk_cursor_seek(cursor, prefix, &key, &value, &found, err);
    while (rc == LINKD_OK && found && lk_str_starts_with(key, prefix)) {
        if (key.len < len) {
            c->n_visited[table]++;
            fault(c, "%s: a key has %zu bytes", lk_table_name(table), key.len);
        } else {
            rc = entry_visit(c, table, key, value, visit, err);
        }
        if (rc == LINKD_OK)
            rc = lk_cursor_next(cursor, &key, &value, &found, err);
    }
    lk_cursor_close(cursor);
    return rc;
}

typedef struct walk {
    lk_table table;
    size_t key_bytes; /* at least */
    visit_fn *visit;
} walk;

static int walks_run(check *c, const walk *walks, size_t n, linkd_str prefix,
                     linkd_error *err)
{
    int rc = LINKD_OK;

    for (size_t i = 0; i < n && rc == LINKD_OK; i++)
        rc = table_walk(c, walks[i].table, prefix, walks[i].key_bytes,
                        c->row != NULL ? walks[i].visit : NULL, err);
    return rc;
}

static void count_expect(check *c, const char *what, uint64_t counted,
                         uint64_t expected)
{
    if (counted != expected)
        fault(c, "it counts %" PRIu64 " %s, but there are %" PRIu64, expected,
              what, counted);
}

static int generation_visit(check *c, linkd_str key, linkd_str body,
                            linkd_error *err)
{
    static const walk walks[] = {{LK_TABLE_VECTORS, 16, chunk_visit},
                                 {LK_TABLE_SLOTS, 16, slot_visit},
                                 {LK_TABLE_DEAD, 16, dead_visit}};
    int rc = lk_generation_row_decode(body, &c->generation, err);

    if (rc != LINKD_OK)
        return rc;
    if (c->generation.dim == 0 || c->generation.dim > LINKD_DIM_MAX)
        return lk_fail(err, LINKD_E_DATA, "vectors of %" PRIu64 " numbers",
                       c->generation.dim);
    c->generation_number = (uint32_t)(lk_key_tail_u64(key) & UINT32_MAX);
    c->n_slots = 0;
    c->n_alive = 0;
    rc = walks_run(c, walks, sizeof(walks) / sizeof(*walks), key, err);
    if (rc == LINKD_OK) {
        count_expect(c, "vectors", c->n_alive, c->generation.n_vectors);
        count_expect(c, "slots in use", c->n_slots, c->generation.n_vectors);
    }
    return rc;
}

static int collection_walk(check *c, linkd_error *err)
{
    static const walk walks[] = {{LK_TABLE_RECORDS, 12, record_visit},
                                 {LK_TABLE_IDS, 5, id_visit},
                                 {LK_TABLE_FIELDS, 21, field_visit},
                                 {LK_TABLE_GENERATIONS, 8, generation_visit},
                                 {LK_TABLE_SEGMENTS, 16, segment_visit},
                                 {LK_TABLE_ENTITIES, 12, entity_visit},
                                 {LK_TABLE_MEMBERS, 20, member_visit},
                                 {LK_TABLE_EVENTS, 16, event_visit},
                                 {LK_TABLE_REVIEWS, 20, review_visit}};
    lk_key prefix;
    int rc;

    lk_key_begin(&prefix);
    lk_key_add_u32(&prefix, c->collection);
    c->n_records = 0;
    c->n_entities = 0;
    rc = walks_run(c, walks, sizeof(walks) / sizeof(*walks),
                   lk_key_str(&prefix), err);
    if (rc == LINKD_OK && c->row != NULL) {
        count_expect(c, "records", c->n_records, c->row->n_records);
        count_expect(c, "entities", c->n_entities, c->row->n_entities);
    }
    return rc;
}

/* The chunks, slots and dead of a dropped collection: what is below its
 * generations is not looked at one by one. */
static int dropped_walk(check *c, linkd_error *err)
{
    static const walk walks[] = {{LK_TABLE_VECTORS, 16, NULL},
                                 {LK_TABLE_SLOTS, 16, NULL},
                                 {LK_TABLE_DEAD, 16, NULL}};
    lk_key prefix;
    int rc = collection_walk(c, err);

    lk_key_begin(&prefix);
    lk_key_add_u32(&prefix, c->collection);
    if (rc == LINKD_OK)
        rc = walks_run(c, walks, sizeof(walks) / sizeof(*walks),
                       lk_key_str(&prefix), err);
    return rc;
}

static int name_expect(check *c, linkd_error *err)
{
    lk_key key;
    bool matches = false;
    int rc;

    lk_key_begin(&key);
    lk_key_add_bytes(&key, c->row->name);
    rc = number_matches(c, LK_TABLE_NAMES, &key, c->collection, &matches, err);
    if (rc == LINKD_OK && !matches)
        fault(c, "its name does not lead to it");
    return rc;
}

static int collection_visit(check *c, linkd_str key, linkd_str body,
                            linkd_error *err)
{
    lk_arena arena = {0};
    lk_collection_row row;
    int rc = lk_collection_row_decode(body, &arena, &row, err);

    if (rc == LINKD_OK &&
        (row.name.len == 0 || row.name.len > LINKD_NAME_MAX_BYTES))
        rc = lk_fail(err, LINKD_E_DATA, "a name has %zu bytes", row.name.len);
    if (rc != LINKD_OK)
        goto done;
    c->collection = 0;
    for (size_t i = 0; i < sizeof(uint32_t); i++)
        c->collection = c->collection << 8 | (unsigned char)key.bytes[i];
    if (row.dropped) {
        rc = dropped_walk(c, err);
        goto done;
    }
    c->report.n_collections++;
    c->row = &row;
    rc = name_expect(c, err);
    if (rc == LINKD_OK)
        rc = collection_walk(c, err);
    c->row = NULL;
done:
    lk_arena_clear(&arena);
    return rc;
}

/* ---- what belongs to no collection --------------------------------------- */

static int name_visit(check *c, linkd_str key, linkd_str body, linkd_error *err)
{
    uint64_t number = 0;
    lk_collection_row row;
    int rc = number_take(body, &number, err);

    if (rc != LINKD_OK)
        return rc;
    rc = lk_collection_get(c->txn, (uint32_t)number, &c->arena, &row, err);
    if (rc == LINKD_E_ABSENT ||
        (rc == LINKD_OK && (row.dropped || !lk_str_equal(row.name, key)))) {
        fault(c, "the name \"%.*s\" leads to no collection", (int)key.len,
              key.bytes);
        return LINKD_OK;
    }
    return rc == LINKD_E_DATA ? LINKD_OK : rc; /* told when it is visited */
}

static int log_visit(check *c, linkd_str key, linkd_str body, linkd_error *err)
{
    lk_log_row row;

    (void)c;
    (void)key;
    return lk_log_row_decode(body, &row, err);
}

static int job_visit(check *c, linkd_str key, linkd_str body, linkd_error *err)
{
    (void)key;
    (void)body;
    (void)err;
    c->report.n_jobs++;
    return LINKD_OK;
}

static int meta_visit(check *c, linkd_str key, linkd_str body, linkd_error *err)
{
    uint64_t number = 0;

    (void)c;
    (void)key;
    return number_take(body, &number, err);
}

static int tables_count(check *c, linkd_error *err)
{
    uint64_t n = 0;
    int rc = LINKD_OK;

    for (lk_table table = 0; table < LK_N_TABLES && rc == LINKD_OK; table++) {
        rc = lk_txn_count(c->txn, table, &n, err);
        c->n_total += n;
    }
    return rc;
}

static int strays_count(check *c, linkd_error *err)
{
    uint64_t n = 0;
    int rc = LINKD_OK;

    for (lk_table table = 0; table < LK_N_TABLES && rc == LINKD_OK; table++) {
        rc = lk_txn_count(c->txn, table, &n, err);
        if (rc == LINKD_OK && n > c->n_visited[table])
            fault(c, "%s: %" PRIu64 " of its entries belong to nothing",
                  lk_table_name(table), n - c->n_visited[table]);
    }
    return rc;
}

static int tables_walk(check *c, linkd_error *err)
{
    static const walk walks[] = {{LK_TABLE_META, 1, meta_visit},
                                 {LK_TABLE_NAMES, 1, name_visit},
                                 {LK_TABLE_COLLECTIONS, 4, collection_visit},
                                 {LK_TABLE_LOG, 8, log_visit},
                                 {LK_TABLE_JOBS, 8, job_visit},
                                 {LK_TABLE_ONCE, 1, NULL}};
    static const linkd_str all = {"", 0};
    int rc = tables_count(c, err);

    for (size_t i = 0; i < sizeof(walks) / sizeof(*walks) && rc == LINKD_OK;
         i++)
        rc = table_walk(c, walks[i].table, all, walks[i].key_bytes,
                        walks[i].visit, err);
    if (rc == LINKD_OK)
        rc = strays_count(c, err);
    if (rc == LINKD_OK)
        rc = lk_progress_report(c->progress, STEP, c->n_total, c->n_total, err);
    return rc;
}

int linkd_store_check(linkd_store *store, const linkd_progress *progress,
                      void (*fault_cb)(void *ctx, const char *message),
                      void *ctx, linkd_check_report *ret_report,
                      linkd_error *err)
{
    check c = {.store = store,
               .progress = progress,
               .fault_cb = fault_cb,
               .fault_ctx = ctx,
               .room = malloc(READ_BYTES)};
    int rc;

    if (c.room == NULL)
        return lk_fail_nomem(err);
    rc = lk_txn_begin_read(store->env, &c.txn, err);
    if (rc == LINKD_OK)
        rc = tables_walk(&c, err);
    lk_txn_abort(c.txn);
    lk_arena_clear(&c.arena);
    free(c.room);
    if (rc == LINKD_OK)
        *ret_report = c.report;
    return rc;
}
