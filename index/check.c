/* index/check.c — is everything in a data directory as it was written, and does
 * it fit together?
 *
 * One read transaction sees one moment. Each collection is walked table by
 * table; every value's checksum is verified, and every reference is followed:
 *
 *   RECORDS ◄──id──► IDS             SLOTS ◄──slot, number──► VECTORS ── DEAD
 *      │  └─► FIELDS (both ways)     ENTITIES ◄──entity, number──► MEMBERS
 *      └ counted against COLLECTIONS and GENERATIONS, and alive in one of these
 *
 * A reference is checked from each of its ends, so that a lost entry shows at
 * the one that is left. Entries under the number of a collection that does not
 * exist show as a difference between a table's entries and those visited.
 *
 * What a single entry must be like is in visit.c. Faults are told line by line
 * and never repaired: segments heal by themselves (builder.c), for the rest
 * there are backups. A collection that was dropped and is not yet freed has its
 * checksums verified and nothing more. */
#include "index/check.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STEP               "check"
#define ENTRIES_PER_REPORT ((uint64_t)1024)

/* ---- faults -------------------------------------------------------------- */

void lk_check_fault(lk_check *c, const char *format, ...)
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
static int damage_note(lk_check *c, int rc, lk_table table, linkd_str key,
                       const linkd_error *damage, linkd_error *err)
{
    if (rc == LINKD_E_DATA && key.len >= sizeof(uint64_t))
        lk_check_fault(c, "%s, entry %" PRIu64 ": %s", lk_table_name(table),
                       lk_key_tail_u64(key), damage->message);
    else if (rc == LINKD_E_DATA)
        lk_check_fault(c, "%s: %s", lk_table_name(table), damage->message);
    else if (rc != LINKD_OK)
        return lk_fail(err, rc, "%s", damage->message);
    return LINKD_OK;
}

/* ---- looking up ---------------------------------------------------------- */

int lk_check_number(const lk_check *c, lk_table table, const lk_key *key,
                    uint64_t expected, bool *ret_matches, linkd_error *err)
{
    uint64_t number = 0;
    bool found = false;
    int rc =
        lk_number_find(c->txn, table, lk_key_str(key), &number, &found, err);

    *ret_matches = rc == LINKD_OK && found && number == expected;
    return rc == LINKD_E_DATA ? LINKD_OK : rc; /* told when it is visited */
}

int lk_check_take_number(linkd_str body, uint64_t *ret_number, linkd_error *err)
{
    if (body.len != sizeof(uint64_t))
        return lk_fail(err, LINKD_E_DATA, "a number has %zu bytes", body.len);
    *ret_number = lk_u64_read(body.bytes);
    return LINKD_OK;
}

/* ---- walking ------------------------------------------------------------- */

/* Keys alone have no checksum; that of a chunk is verified with it. */
static bool has_plain_value(lk_table table)
{
    return table == LK_TABLE_DEAD || table == LK_TABLE_FIELDS ||
           table == LK_TABLE_MEMBERS || table == LK_TABLE_VECTORS;
}

static int entry_visit(lk_check *c, lk_table table, linkd_str key,
                       linkd_str value, lk_check_visit_fn *visit,
                       linkd_error *err)
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
static int table_walk(lk_check *c, lk_table table, linkd_str prefix, size_t len,
                      lk_check_visit_fn *visit, linkd_error *err)
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
            lk_check_fault(c, "%s: a key has %zu bytes", lk_table_name(table),
                           key.len);
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
    lk_check_visit_fn *visit;
} walk;

static int walks_run(lk_check *c, const walk *walks, size_t n, linkd_str prefix,
                     linkd_error *err)
{
    int rc = LINKD_OK;

    for (size_t i = 0; i < n && rc == LINKD_OK; i++)
        rc = table_walk(c, walks[i].table, prefix, walks[i].key_bytes,
                        c->row != NULL ? walks[i].visit : NULL, err);
    return rc;
}

static void count_expect(lk_check *c, const char *what, uint64_t counted,
                         uint64_t expected)
{
    if (counted != expected)
        lk_check_fault(c, "it counts %" PRIu64 " %s, but there are %" PRIu64,
                       expected, what, counted);
}

static int generation_visit(lk_check *c, linkd_str key, linkd_str body,
                            linkd_error *err)
{
    static const walk walks[] = {{LK_TABLE_VECTORS, 16, lk_check_chunk},
                                 {LK_TABLE_SLOTS, 16, lk_check_slot},
                                 {LK_TABLE_DEAD, 16, lk_check_dead}};
    static const walk freed[] = {{LK_TABLE_VECTORS, 16, NULL},
                                 {LK_TABLE_SLOTS, 16, NULL},
                                 {LK_TABLE_DEAD, 16, NULL}};
    int rc = lk_generation_row_decode(body, &c->generation, err);

    if (rc != LINKD_OK)
        return rc;
    if (c->generation.dim == 0 || c->generation.dim > LINKD_DIM_MAX)
        return lk_fail(err, LINKD_E_DATA, "vectors of %" PRIu64 " numbers",
                       c->generation.dim);
    c->generation_number = (uint32_t)(lk_key_tail_u64(key) & UINT32_MAX);
    c->n_slots = 0;
    c->n_alive = 0;
    c->n_inactive = 0;
    if (c->generation.state == LK_GENERATION_DROPPED)
        return walks_run(c, freed, sizeof(freed) / sizeof(*freed), key, err);
    rc = walks_run(c, walks, sizeof(walks) / sizeof(*walks), key, err);
    if (rc == LINKD_OK) {
        count_expect(c, "vectors", c->n_alive, c->generation.n_vectors);
        count_expect(c, "inactive vectors", c->n_inactive,
                     c->generation.n_inactive);
        count_expect(c, "slots in use", c->n_slots,
                     c->generation.n_vectors + c->generation.n_inactive);
    }
    return rc;
}

/* Who is serving has to be there. */
static int generations_find(lk_check *c, linkd_error *err)
{
    lk_arena arena = {0};
    bool found = false;
    int rc = lk_generations_read(c->txn, c->collection, &arena, c->others,
                                 &c->n_others, err);

    if (rc == LINKD_E_DATA) { /* told when it is visited */
        c->n_others = 0;
        found = true;
        rc = LINKD_OK;
    }
    for (size_t i = 0; i < c->n_others; i++)
        found = found || c->others[i].number == c->row->generation;
    if (rc == LINKD_OK && !found)
        lk_check_fault(c, "the generation that serves, %" PRIu32 ", is gone",
                       c->row->generation);
    lk_arena_clear(&arena);
    return rc;
}

static int collection_walk(lk_check *c, linkd_error *err)
{
    static const walk walks[] = {{LK_TABLE_RECORDS, 12, lk_check_record},
                                 {LK_TABLE_IDS, 5, lk_check_id},
                                 {LK_TABLE_FIELDS, 21, lk_check_field},
                                 {LK_TABLE_GENERATIONS, 8, generation_visit},
                                 {LK_TABLE_SEGMENTS, 16, lk_check_segment},
                                 {LK_TABLE_ENTITIES, 12, lk_check_entity},
                                 {LK_TABLE_MEMBERS, 20, lk_check_member},
                                 {LK_TABLE_EVENTS, 16, lk_check_event},
                                 {LK_TABLE_REVIEWS, 20, lk_check_review},
                                 {LK_TABLE_BLOBS, 13, NULL}};
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
static int dropped_walk(lk_check *c, linkd_error *err)
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

static int name_expect(lk_check *c, linkd_error *err)
{
    lk_key key;
    bool matches = false;
    int rc;

    lk_key_begin(&key);
    lk_key_add_bytes(&key, c->row->name);
    rc = lk_check_number(c, LK_TABLE_NAMES, &key, c->collection, &matches, err);
    if (rc == LINKD_OK && !matches)
        lk_check_fault(c, "its name does not lead to it");
    return rc;
}

static int collection_visit(lk_check *c, linkd_str key, linkd_str body,
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
        rc = generations_find(c, err);
    if (rc == LINKD_OK)
        rc = collection_walk(c, err);
    c->row = NULL;
done:
    lk_arena_clear(&arena);
    return rc;
}

/* ---- what belongs to no collection --------------------------------------- */

static int name_visit(lk_check *c, linkd_str key, linkd_str body,
                      linkd_error *err)
{
    uint64_t number = 0;
    lk_collection_row row;
    int rc = lk_check_take_number(body, &number, err);

    if (rc != LINKD_OK)
        return rc;
    rc = lk_collection_get(c->txn, (uint32_t)number, &c->arena, &row, err);
    if (rc == LINKD_E_ABSENT ||
        (rc == LINKD_OK && (row.dropped || !lk_str_equal(row.name, key)))) {
        lk_check_fault(c, "the name \"%.*s\" leads to no collection",
                       (int)key.len, key.bytes);
        return LINKD_OK;
    }
    return rc == LINKD_E_DATA ? LINKD_OK : rc; /* told when it is visited */
}

static int log_visit(lk_check *c, linkd_str key, linkd_str body,
                     linkd_error *err)
{
    lk_log_row row;

    (void)c;
    (void)key;
    return lk_log_row_decode(body, &row, err);
}

static int job_visit(lk_check *c, linkd_str key, linkd_str body,
                     linkd_error *err)
{
    (void)key;
    (void)body;
    (void)err;
    c->report.n_jobs++;
    return LINKD_OK;
}

static int meta_visit(lk_check *c, linkd_str key, linkd_str body,
                      linkd_error *err)
{
    uint64_t number = 0;

    (void)c;
    (void)key;
    return lk_check_take_number(body, &number, err);
}

static int tables_count(lk_check *c, linkd_error *err)
{
    uint64_t n = 0;
    int rc = LINKD_OK;

    for (lk_table table = 0; table < LK_N_TABLES && rc == LINKD_OK; table++) {
        rc = lk_txn_count(c->txn, table, &n, err);
        c->n_total += n;
    }
    return rc;
}

static int strays_count(lk_check *c, linkd_error *err)
{
    uint64_t n = 0;
    int rc = LINKD_OK;

    for (lk_table table = 0; table < LK_N_TABLES && rc == LINKD_OK; table++) {
        rc = lk_txn_count(c->txn, table, &n, err);
        if (rc == LINKD_OK && n > c->n_visited[table])
            lk_check_fault(c,
                           "%s: %" PRIu64 " of its entries belong to nothing",
                           lk_table_name(table), n - c->n_visited[table]);
    }
    return rc;
}

static int tables_walk(lk_check *c, linkd_error *err)
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
    lk_check c = {.store = store,
                  .progress = progress,
                  .fault_cb = fault_cb,
                  .fault_ctx = ctx,
                  .room = malloc(LK_CHECK_ROOM)};
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
