/* index/records.c — creating, replacing and deleting records.
 *
 * What can be checked without the database is checked on the caller's thread,
 * so that the writer only meets requests that it can carry out:
 *
 *   caller: check ids, fields, vectors ─► queue ─► writer: put_apply
 *
 * One record is a row in RECORDS, its id in IDS, its searchable fields in
 * FIELDS, an entry in LOG, a slot for its vector (slots.c) and perhaps an entity
 * (entities.c). All of a request is one transaction with others' requests.
 *
 * Invariant: FIELDS has exactly the keys of the fields in RECORDS. A replaced
 * record's old keys are computed from its old row, which is why a row that
 * cannot be read cannot be replaced. */
#include "index/edit.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "index/names.h"
#include "index/once.h"

/* What one request may make the writer hold: LMDB keeps the pages of a
 * transaction in memory until it is committed. */
#define WRITE_MAX_BYTES ((size_t)512 << 20)
/* Keys, headers and half-filled pages of one record. A guess. */
#define RECORD_COST ((size_t)1024)

/* ---- checks on the caller's thread --------------------------------------- */

static int vector_check(const linkd_put *put, size_t dim, size_t i,
                        linkd_error *err)
{
    if (put->vector != NULL && put->dim != dim)
        return lk_fail(err, LINKD_E_ARG,
                       "record %zu: its vector has %zu numbers, not the "
                       "collection's %zu",
                       i, put->dim, dim);
    for (size_t j = 0; put->vector != NULL && j < dim; j++) {
        if (!isfinite(put->vector[j]))
            return lk_fail(err, LINKD_E_ARG,
                           "record %zu: number %zu of its vector is not finite",
                           i, j);
    }
    return LINKD_OK;
}

/* Adds up the bytes of a record's fields. */
static int fields_check(const linkd_put *put, size_t i, lk_names *names,
                        size_t *ret_bytes, linkd_error *err)
{
    size_t repeated = 0;
    size_t bytes = 0;
    int rc;

    if (put->n_fields > LINKD_FIELDS_MAX)
        return lk_fail(err, LINKD_E_ARG,
                       "record %zu: it has %zu fields, most is %zu", i,
                       put->n_fields, LINKD_FIELDS_MAX);
    lk_names_reset(names);
    for (size_t f = 0; f < put->n_fields; f++) {
        const linkd_field *field = &put->fields[f];

        if (field->name.len > LINKD_RECORD_MAX_BYTES - bytes ||
            field->value.len > LINKD_RECORD_MAX_BYTES - bytes - field->name.len)
            return lk_fail(err, LINKD_E_ARG,
                           "record %zu: its fields have more than %zu bytes", i,
                           LINKD_RECORD_MAX_BYTES);
        bytes += field->name.len + field->value.len;
        rc = lk_names_add(names, field->name, err);
        if (rc != LINKD_OK)
            return rc;
    }
    if (lk_names_repeated(names, &repeated))
        return lk_fail(err, LINKD_E_ARG,
                       "record %zu: field \"%.*s\" is "
                       "repeated",
                       i, (int)put->fields[repeated].name.len,
                       put->fields[repeated].name.bytes);
    *ret_bytes = bytes;
    return LINKD_OK;
}

static int id_check(linkd_str id, const char *what, size_t i, linkd_error *err)
{
    if (id.len == 0 || id.len > LINKD_ID_MAX_BYTES)
        return lk_fail(err, LINKD_E_ARG,
                       "record %zu: %s has %zu bytes, not 1 to %zu", i, what,
                       id.len, LINKD_ID_MAX_BYTES);
    return LINKD_OK;
}

static int put_check(const linkd_put *put, size_t i, size_t dim,
                     lk_names *names, size_t *ret_bytes, linkd_error *err)
{
    int rc = id_check(put->id, "its id", i, err);

    if (rc == LINKD_OK && put->join.len > 0)
        rc = id_check(put->join, "the id to join", i, err);
    if (rc == LINKD_OK)
        rc = vector_check(put, dim, i, err);
    if (rc == LINKD_OK)
        rc = fields_check(put, i, names, ret_bytes, err);
    return rc;
}

static int count_check(size_t n, linkd_error *err)
{
    if (n > LINKD_PUT_MAX)
        return lk_fail(err, LINKD_E_ARG,
                       "%zu records in one write, most is %zu", n,
                       LINKD_PUT_MAX);
    return LINKD_OK;
}

static int each_put_check(const linkd_put *puts, size_t n, size_t dim,
                          size_t *ret_cost, linkd_error *err)
{
    lk_names names = {0};
    size_t cost = 0;
    size_t bytes = 0;
    int rc = LINKD_OK;

    for (size_t i = 0; rc == LINKD_OK && i < n; i++) {
        rc = put_check(&puts[i], i, dim, &names, &bytes, err);
        cost += bytes + RECORD_COST;
        cost += puts[i].vector != NULL ? dim * sizeof(float) : 0;
        if (rc == LINKD_OK && cost > WRITE_MAX_BYTES)
            rc = lk_fail(err, LINKD_E_ARG,
                         "record %zu: one write holds at most %zu MB", i,
                         WRITE_MAX_BYTES >> 20);
    }
    lk_names_clear(&names);
    *ret_cost = cost;
    return rc;
}

static int put_ids_check(const linkd_put *puts, size_t n, linkd_error *err)
{
    lk_names names = {0};
    size_t i = 0;
    int rc = LINKD_OK;

    for (size_t j = 0; rc == LINKD_OK && j < n; j++)
        rc = lk_names_add(&names, puts[j].id, err);
    if (rc == LINKD_OK && lk_names_repeated(&names, &i))
        rc = lk_fail(err, LINKD_E_ARG, "record %zu: id \"%.*s\" is repeated", i,
                     (int)puts[i].id.len, puts[i].id.bytes);
    lk_names_clear(&names);
    return rc;
}

/* ---- the fields that filters use ------------------------------------------ */

static int field_key_change(lk_edit *edit, lk_key *key, uint64_t number,
                            bool add, linkd_error *err)
{
    bool found;

    lk_key_add_u64(key, number);
    if (add)
        return lk_txn_put(edit->txn, LK_TABLE_FIELDS, lk_key_str(key),
                          (linkd_str){"", 0}, err);
    return lk_txn_remove(edit->txn, LK_TABLE_FIELDS, lk_key_str(key), &found,
                         err);
}

/* Adds or removes the keys of all fields: that each exists, and its value. */
static int fields_change(lk_edit *edit, uint64_t number,
                         const linkd_field *fields, size_t n, bool add,
                         linkd_error *err)
{
    lk_key key;
    int rc = LINKD_OK;

    for (size_t i = 0; rc == LINKD_OK && i < n; i++) {
        if (!lk_field_is_filtered(&edit->row.options, fields[i].name))
            continue;
        lk_field_key_begin(&key, edit->collection, fields[i].name,
                           LK_FIELD_KEY_EXISTS);
        rc = field_key_change(edit, &key, number, add, err);
        if (rc == LINKD_OK &&
            lk_field_key_of(&key, edit->collection, &fields[i]) !=
                LK_FIELD_KEY_EXISTS)
            rc = field_key_change(edit, &key, number, add, err);
    }
    return rc;
}

static bool fields_equal(const linkd_put *put, const lk_record_row *row)
{
    if (put->n_fields != row->n_fields)
        return false;
    for (size_t i = 0; i < put->n_fields; i++) {
        const linkd_field *a = &put->fields[i];
        const linkd_field *b = &row->fields[i];

        if (a->kind != b->kind || !lk_str_equal(a->name, b->name) ||
            !lk_str_equal(a->value, b->value))
            return false;
    }
    return true;
}

/* ---- rows of RECORDS ------------------------------------------------------ */

/* The row with all it refers to in the arena. */
static int record_read(lk_edit *edit, uint64_t number, lk_arena *arena,
                       lk_record_row *ret_row, linkd_error *err)
{
    linkd_str value;
    linkd_str body;
    lk_key key;
    bool found;
    int rc;

    lk_key_record(&key, edit->collection, number);
    rc = lk_txn_find(edit->txn, LK_TABLE_RECORDS, lk_key_str(&key), &value,
                     &found, err);
    if (rc == LINKD_OK && !found)
        rc =
            lk_fail(err, LINKD_E_DATA,
                    "damaged database: record %" PRIu64 " has an id and no row",
                    number);
    if (rc == LINKD_OK)
        rc = lk_value_open(LK_TABLE_RECORDS, lk_key_str(&key), value, &body,
                           err);
    if (rc != LINKD_OK)
        return rc;
    body.bytes = lk_arena_copy(arena, body.bytes, body.len);
    if (body.bytes == NULL)
        return lk_fail_nomem(err);
    return lk_record_row_decode(body, arena, ret_row, err);
}

static int record_write(lk_edit *edit, uint64_t number, const linkd_put *put,
                        linkd_error *err)
{
    lk_record_row row = {
        .seq = *edit->seq,
        .id = put->id,
        .fields = put->fields,
        .n_fields = put->n_fields,
    };
    lk_key key;
    int rc;

    lk_key_record(&key, edit->collection, number);
    lk_buf_reset(&edit->body);
    rc = lk_record_row_encode(&row, &edit->body, err);
    if (rc != LINKD_OK)
        return rc;
    return lk_value_put(edit->txn, LK_TABLE_RECORDS, lk_key_str(&key),
                        (linkd_str){edit->body.data, edit->body.len}, err);
}

static int change_log(lk_edit *edit, uint64_t number, linkd_change_op op,
                      linkd_error *err)
{
    lk_log_row row = {edit->collection, op, number};

    return lk_log_put(edit->txn, *edit->seq, &row, err);
}

/* ---- requests -------------------------------------------------------------- */

typedef struct request {
    uint32_t collection;
    const linkd_put *puts; /* of a put */
    const linkd_str *ids;  /* of a deletion */
    size_t n;
    const linkd_once *once;
    linkd_write_result result; /* set anew by each run */
    bool slots_changed;        /* likewise */
} request;

/* The note is borrowed from the transaction. */
static int replay_find(lk_txn *txn, const linkd_once *once,
                       linkd_write_result *ret_result, linkd_str *ret_note,
                       bool *ret_found, linkd_error *err)
{
    uint64_t answers[LK_ONCE_ANSWERS_MAX] = {0};
    int rc = lk_once_find_note(txn, once, answers, LK_ONCE_ANSWERS_MAX,
                               ret_note, ret_found, err);

    *ret_result = (linkd_write_result){
        .seq = answers[0],
        .n_created = answers[1],
        .n_updated = answers[2],
        .n_deleted = answers[3],
        .entity = answers[4],
        .replayed = true,
    };
    return rc;
}

int linkd_store_find_once(linkd_store *store, const linkd_once *once,
                          linkd_write_result *ret_result, lk_buf *ret_note,
                          bool *ret_found, linkd_error *err)
{
    linkd_str note = {"", 0};
    lk_txn *txn = NULL;
    int rc = lk_once_check(once, err);

    if (rc == LINKD_OK)
        rc = lk_txn_begin_read(store->env, &txn, err);
    if (rc == LINKD_OK)
        rc = replay_find(txn, once, ret_result, &note, ret_found, err);
    if (rc == LINKD_OK && *ret_found)
        rc = lk_buf_append(ret_note, note.bytes, note.len, err);
    lk_txn_abort(txn);
    return rc;
}

static int replay_put(const request *r, lk_txn *txn, linkd_error *err)
{
    uint64_t answers[LK_ONCE_ANSWERS_MAX] = {
        r->result.seq, r->result.n_created, r->result.n_updated,
        r->result.n_deleted, r->result.entity};

    return lk_once_put(txn, r->once, answers, LK_ONCE_ANSWERS_MAX, err);
}

/* Runs `apply` for each record of a request, unless its key answers it. */
static int request_apply(request *r, lk_txn *txn, uint64_t *seq,
                         int (*apply)(lk_edit *edit, request *r, size_t i,
                                      linkd_error *err),
                         linkd_error *err)
{
    lk_edit edit = {0};
    bool replayed = false;
    linkd_str note;
    int rc = replay_find(txn, r->once, &r->result, &note, &replayed, err);

    if (rc != LINKD_OK || replayed)
        return rc;
    r->result = (linkd_write_result){.entity = LINKD_ID_NONE};
    rc = lk_edit_begin(&edit, txn, seq, r->collection, err);
    for (size_t i = 0; rc == LINKD_OK && i < r->n; i++)
        rc = apply(&edit, r, i, err);
    if (rc == LINKD_OK)
        rc = lk_edit_end(&edit, err);
    r->result.seq = *seq;
    r->slots_changed = edit.slots_changed;
    if (rc == LINKD_OK)
        rc = replay_put(r, txn, err);
    lk_edit_clear(&edit);
    return rc;
}

static int request_run(linkd_store *store, request *r, lk_apply_fn *apply,
                       size_t cost_bytes, linkd_write_result *ret_result,
                       linkd_error *err)
{
    int rc = lk_writer_run(store->writer, apply, r, cost_bytes, NULL, err);

    if (rc != LINKD_OK)
        return rc;
    *ret_result = r->result;
    if (r->slots_changed)
        lk_builder_wake(store->builder);
    return LINKD_OK;
}

/* Which collection the request is about, and how long its vectors are. */
static int target_find(linkd_store *store, linkd_str name,
                       uint32_t *ret_collection, size_t *ret_dim,
                       linkd_error *err)
{
    lk_arena arena = {0};
    linkd_collection_info info;
    int rc = linkd_store_describe(store, name, &arena, &info, err);

    if (rc == LINKD_OK) {
        *ret_collection = info.number;
        *ret_dim = info.options.dim;
    }
    lk_arena_clear(&arena);
    return rc;
}

/* ---- putting ---------------------------------------------------------------- */

static int number_create(lk_edit *edit, linkd_str id, uint64_t *ret_number,
                         linkd_error *err)
{
    uint64_t number = edit->row.next_number++;
    lk_key key;

    edit->row.n_records++;
    *ret_number = number;
    lk_key_id(&key, edit->collection, id);
    return lk_number_put(edit->txn, LK_TABLE_IDS, lk_key_str(&key), number,
                         err);
}

/* Puts the keys of the new fields in place of those of the old ones. */
static int fields_replace(lk_edit *edit, uint64_t number, bool is_new,
                          const linkd_put *put, linkd_error *err)
{
    lk_arena arena = {0};
    lk_record_row old = {0};
    int rc = LINKD_OK;

    if (!is_new)
        rc = record_read(edit, number, &arena, &old, err);
    if (rc != LINKD_OK || fields_equal(put, &old))
        goto done;
    rc = fields_change(edit, number, old.fields, old.n_fields, false, err);
    if (rc == LINKD_OK)
        rc = fields_change(edit, number, put->fields, put->n_fields, true, err);
done:
    lk_arena_clear(&arena);
    return rc;
}

static int entity_choose(lk_edit *edit, uint64_t number, const linkd_put *put,
                         size_t i, linkd_error *err)
{
    uint64_t joined = LINKD_ID_NONE;
    uint64_t entity = LINKD_ID_NONE;
    bool found = true;
    int rc;

    if (put->join.len == 0 && !put->new_entity)
        return LINKD_OK;
    rc = lk_edit_entity(edit, number, &entity, err);
    if (rc != LINKD_OK || entity != LINKD_ID_NONE)
        return rc;
    if (put->join.len > 0)
        rc = lk_edit_find(edit, put->join, &joined, &found, err);
    if (rc == LINKD_OK && !found)
        rc = lk_fail(err, LINKD_E_CONFLICT,
                     "record %zu: the record to join is gone", i);
    if (rc == LINKD_OK)
        rc = lk_edit_join(edit, number, joined, err);
    return rc;
}

/* Its vector was made while another model served: it would be found nowhere. */
static int generation_check(const lk_edit *edit, const linkd_put *put,
                            linkd_error *err)
{
    if (put->vector == NULL || put->generation == 0 ||
        put->generation == edit->number)
        return LINKD_OK;
    return lk_fail(err, LINKD_E_BUSY,
                   "the collection changed its model meanwhile: send it again");
}

static int record_put(lk_edit *edit, request *r, size_t i, linkd_error *err)
{
    const linkd_put *put = &r->puts[i];
    uint64_t number = 0;
    bool found = false;
    int rc = generation_check(edit, put, err);

    if (rc == LINKD_OK && put->vector != NULL &&
        put->dim != (size_t)edit->generation.dim)
        rc = lk_fail(err, LINKD_E_BUSY,
                     "the collection changed its model meanwhile: send it "
                     "again");
    if (rc == LINKD_OK)
        rc = lk_edit_find(edit, put->id, &number, &found, err);

    if (rc == LINKD_OK && !found)
        rc = number_create(edit, put->id, &number, err);
    if (rc != LINKD_OK)
        return rc;
    r->result.n_created += !found;
    r->result.n_updated += found;
    (*edit->seq)++;
    rc = fields_replace(edit, number, !found, put, err);
    if (rc == LINKD_OK)
        rc = record_write(edit, number, put, err);
    if (rc == LINKD_OK)
        rc = change_log(edit, number, LINKD_CHANGE_PUT, err);
    if (rc == LINKD_OK)
        rc = lk_edit_set_vector(edit, number, !found, put->vector, err);
    if (rc == LINKD_OK)
        rc = entity_choose(edit, number, put, i, err);
    if (rc == LINKD_OK && i + 1 == r->n)
        rc = lk_edit_entity(edit, number, &r->result.entity, err);
    return rc;
}

static int put_apply(void *ctx, lk_txn *txn, uint64_t *seq, linkd_error *err)
{
    return request_apply(ctx, txn, seq, record_put, err);
}

int linkd_store_put(linkd_store *store, linkd_str collection,
                    const linkd_put *puts, size_t n, const linkd_once *once,
                    linkd_write_result *ret_result, linkd_error *err)
{
    request r = {.puts = puts, .n = n, .once = once};
    size_t cost = 0;
    size_t dim = 0;
    int rc = count_check(n, err);

    if (rc == LINKD_OK)
        rc = lk_once_check(once, err);
    if (rc == LINKD_OK)
        rc = target_find(store, collection, &r.collection, &dim, err);
    if (rc == LINKD_OK)
        rc = each_put_check(puts, n, dim, &cost, err);
    if (rc == LINKD_OK)
        rc = put_ids_check(puts, n, err);
    if (rc != LINKD_OK)
        return rc;
    return request_run(store, &r, put_apply, cost, ret_result, err);
}

/* ---- deleting ---------------------------------------------------------------- */

static int record_row_delete(lk_edit *edit, uint64_t number, linkd_error *err)
{
    lk_arena arena = {0};
    lk_record_row row;
    lk_key key;
    bool found;
    int rc = record_read(edit, number, &arena, &row, err);

    if (rc == LINKD_OK)
        rc = fields_change(edit, number, row.fields, row.n_fields, false, err);
    lk_arena_clear(&arena);
    if (rc != LINKD_OK)
        return rc;
    lk_key_record(&key, edit->collection, number);
    return lk_txn_remove(edit->txn, LK_TABLE_RECORDS, lk_key_str(&key), &found,
                         err);
}

static int record_delete(lk_edit *edit, request *r, size_t i, linkd_error *err)
{
    uint64_t number = 0;
    lk_key key;
    bool found;
    int rc = lk_edit_find(edit, r->ids[i], &number, &found, err);

    if (rc != LINKD_OK || !found)
        return rc;
    r->result.n_deleted++;
    edit->row.n_records--;
    (*edit->seq)++;
    rc = record_row_delete(edit, number, err);
    lk_key_id(&key, edit->collection, r->ids[i]);
    if (rc == LINKD_OK)
        rc = lk_txn_remove(edit->txn, LK_TABLE_IDS, lk_key_str(&key), &found,
                           err);
    if (rc == LINKD_OK)
        rc = lk_edit_set_vector(edit, number, false, NULL, err);
    if (rc == LINKD_OK)
        rc = lk_edit_move(edit, number, LINKD_ID_NONE, err);
    if (rc == LINKD_OK)
        rc = change_log(edit, number, LINKD_CHANGE_DELETE, err);
    return rc;
}

static int delete_apply(void *ctx, lk_txn *txn, uint64_t *seq, linkd_error *err)
{
    return request_apply(ctx, txn, seq, record_delete, err);
}

int linkd_store_delete(linkd_store *store, linkd_str collection,
                       const linkd_str *ids, size_t n, const linkd_once *once,
                       linkd_write_result *ret_result, linkd_error *err)
{
    request r = {.ids = ids, .n = n, .once = once};
    size_t dim = 0;
    int rc = count_check(n, err);

    for (size_t i = 0; rc == LINKD_OK && i < n; i++)
        rc = id_check(ids[i], "its id", i, err);
    if (rc == LINKD_OK)
        rc = lk_once_check(once, err);
    if (rc == LINKD_OK)
        rc = target_find(store, collection, &r.collection, &dim, err);
    if (rc != LINKD_OK)
        return rc;
    return request_run(store, &r, delete_apply, n * RECORD_COST, ret_result,
                       err);
}
