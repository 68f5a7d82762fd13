/* index/layout.c — how keys and values are spelled in bytes (layout.h draws the
 * tables).
 *
 * Keys are built in a lk_key, big-endian, so that LMDB's bytewise order is the
 * numbers' order. Values are read back from a disk that LMDB does not check:
 *
 *   value = checksum u64 | body        checksum = XXH3-64(key, body)
 *   body  = numbers, little-endian and of fixed width, and
 *           strings: len u32 | bytes
 *
 * Bodies are small and read often, so there is no schema and no map: one
 * encode and one decode a row, which list the same parts in the same order.
 * Both keep the first failure and go on without effect, so that neither needs
 * an `if` a part; both refuse what is over a limit, so that what was written
 * can be read. A decode never trusts a length, and refuses what is left over.
 *
 * Chunks are read in place, without a copy. That is why they are native, and
 * why this compiles on little-endian machines only. */
#include "index/layout.h"

#include <endian.h>
#include <inttypes.h>
#include <string.h>

#define XXH_STATIC_LINKING_ONLY /* the hash's state on the stack */
#include <xxhash.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "chunks are read in place");

/* Guess: model names and settings are some hundred bytes. */
static const size_t TEXT_MAX_BYTES = (size_t)1 << 20;

/* ---- keys --------------------------------------------------------------- */

void lk_key_begin(lk_key *key)
{
    key->len = 0;
}

static void key_add(lk_key *key, const void *bytes, size_t len)
{
    LK_ASSERT(len <= sizeof(key->bytes) - key->len);
    if (len > 0)
        memcpy(key->bytes + key->len, bytes, len);
    key->len += len;
}

void lk_key_add_u8(lk_key *key, uint8_t value)
{
    key_add(key, &value, sizeof(value));
}

void lk_key_add_u32(lk_key *key, uint32_t value)
{
    value = htobe32(value);
    key_add(key, &value, sizeof(value));
}

void lk_key_add_u64(lk_key *key, uint64_t value)
{
    value = htobe64(value);
    key_add(key, &value, sizeof(value));
}

void lk_key_add_bytes(lk_key *key, linkd_str bytes)
{
    key_add(key, bytes.bytes, bytes.len);
}

linkd_str lk_key_str(const lk_key *key)
{
    return (linkd_str){(const char *)key->bytes, key->len};
}

uint64_t lk_key_tail_u64(linkd_str key)
{
    uint64_t value;

    if (key.len < sizeof(value))
        return LINKD_ID_NONE;
    memcpy(&value, key.bytes + key.len - sizeof(value), sizeof(value));
    return be64toh(value);
}

bool lk_str_starts_with(linkd_str bytes, linkd_str prefix)
{
    return bytes.len >= prefix.len &&
           (prefix.len == 0 ||
            memcmp(bytes.bytes, prefix.bytes, prefix.len) == 0);
}

/* ---- values ------------------------------------------------------------- */

uint64_t lk_value_hash(linkd_str key, const void *bytes, size_t len)
{
    XXH3_state_t state;

    XXH3_INITSTATE(&state);
    (void)XXH3_64bits_reset(&state);
    if (key.len > 0)
        (void)XXH3_64bits_update(&state, key.bytes, key.len);
    if (len > 0)
        (void)XXH3_64bits_update(&state, bytes, len);
    return XXH3_64bits_digest(&state);
}

int lk_value_open(lk_table table, linkd_str key, linkd_str value,
                  linkd_str *ret_body, linkd_error *err)
{
    uint64_t checksum;
    linkd_str body;

    if (value.len < sizeof(checksum))
        return lk_fail(err, LINKD_E_DATA,
                       "damaged database: a value of table %s is cut short",
                       lk_table_name(table));
    memcpy(&checksum, value.bytes, sizeof(checksum));
    body.bytes = value.bytes + sizeof(checksum);
    body.len = value.len - sizeof(checksum);
    if (checksum != lk_value_hash(key, body.bytes, body.len))
        return lk_fail(err, LINKD_E_DATA,
                       "damaged database: a checksum of table %s is wrong",
                       lk_table_name(table));
    *ret_body = body;
    return LINKD_OK;
}

int lk_value_put(lk_txn *txn, lk_table table, linkd_str key, linkd_str body,
                 linkd_error *err)
{
    uint64_t checksum = lk_value_hash(key, body.bytes, body.len);
    void *room;
    int rc = lk_txn_reserve(txn, table, key, sizeof(checksum) + body.len, &room,
                            err);

    if (rc != LINKD_OK)
        return rc;
    memcpy(room, &checksum, sizeof(checksum));
    if (body.len > 0)
        memcpy((char *)room + sizeof(checksum), body.bytes, body.len);
    return LINKD_OK;
}

/* ---- parts of bodies ---------------------------------------------------- */

typedef struct encoder {
    lk_buf *body;
    linkd_error *err;
    int rc; /* of the first failure; nothing is appended after it */
} encoder;

static void put_bytes(encoder *e, const void *bytes, size_t len)
{
    if (e->rc == LINKD_OK)
        e->rc = lk_buf_append(e->body, bytes, len, e->err);
}

static void put_u8(encoder *e, uint8_t value)
{
    put_bytes(e, &value, sizeof(value));
}

static void put_u32(encoder *e, uint32_t value)
{
    value = htole32(value);
    put_bytes(e, &value, sizeof(value));
}

static void put_u64(encoder *e, uint64_t value)
{
    value = htole64(value);
    put_bytes(e, &value, sizeof(value));
}

/* Refuses what the decoder would refuse. */
static void put_check(encoder *e, bool is_valid, const char *what)
{
    if (e->rc == LINKD_OK && !is_valid)
        e->rc = lk_fail(e->err, LINKD_E_ARG, "%s is out of range", what);
}

static void put_str(encoder *e, linkd_str str, size_t min, size_t max,
                    const char *what)
{
    put_check(e, str.len >= min && str.len <= max, what);
    put_u32(e, (uint32_t)str.len);
    put_bytes(e, str.bytes, str.len);
}

typedef struct decoder {
    const char *next;
    size_t left;
    bool failed; /* everything is zero and empty from there on */
} decoder;

static const char *take_bytes(decoder *d, size_t len)
{
    const char *bytes = d->next;

    if (d->failed || len > d->left) {
        d->failed = true;
        return NULL;
    }
    d->next += len;
    d->left -= len;
    return bytes;
}

static void take_check(decoder *d, bool is_valid)
{
    if (!is_valid)
        d->failed = true;
}

static uint8_t take_u8(decoder *d, uint8_t max)
{
    const char *byte = take_bytes(d, 1);
    uint8_t value = byte != NULL ? (uint8_t)*byte : 0;

    take_check(d, value <= max);
    return value <= max ? value : 0;
}

static uint32_t take_u32(decoder *d)
{
    const char *bytes = take_bytes(d, sizeof(uint32_t));
    uint32_t value = 0;

    if (bytes != NULL)
        memcpy(&value, bytes, sizeof(value));
    return le32toh(value);
}

static uint64_t take_u64(decoder *d)
{
    const char *bytes = take_bytes(d, sizeof(uint64_t));
    uint64_t value = 0;

    if (bytes != NULL)
        memcpy(&value, bytes, sizeof(value));
    return le64toh(value);
}

static linkd_str take_str(decoder *d, size_t min, size_t max)
{
    size_t len = take_u32(d);
    const char *bytes;

    take_check(d, len >= min && len <= max);
    bytes = take_bytes(d, len);
    return bytes != NULL ? (linkd_str){bytes, len} : (linkd_str){"", 0};
}

static int decoder_end(const decoder *d, const char *what, linkd_error *err)
{
    if (d->failed || d->left > 0)
        return lk_fail(err, LINKD_E_DATA,
                       "damaged database: a row of table %s has a wrong form",
                       what);
    return LINKD_OK;
}

/* ---- collections -------------------------------------------------------- */

static bool dim_is_valid(uint64_t dim)
{
    return dim > 0 && dim <= LINKD_DIM_MAX;
}

/* NULL, for all fields, is not the same as a list of none. */
static void put_filter_fields(encoder *e, const linkd_str *fields, size_t n)
{
    put_u8(e, fields != NULL);
    if (fields == NULL)
        return;
    put_check(e, n <= LINKD_FIELDS_MAX, "the number of filter fields");
    put_u32(e, (uint32_t)n);
    for (size_t i = 0; e->rc == LINKD_OK && i < n; i++)
        put_str(e, fields[i], 0, TEXT_MAX_BYTES, "the name of a filter field");
}

static int take_filter_fields(decoder *d, lk_arena *arena,
                              linkd_collection_options *options,
                              linkd_error *err)
{
    linkd_str *fields;
    size_t n;

    if (take_u8(d, 1) == 0)
        return LINKD_OK;
    n = take_u32(d);
    take_check(d, n <= LINKD_FIELDS_MAX);
    if (d->failed)
        return LINKD_OK;
    fields = lk_arena_alloc(arena, n * sizeof(*fields));
    if (fields == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < n; i++)
        fields[i] = take_str(d, 0, TEXT_MAX_BYTES);
    options->filter_fields = fields;
    options->n_filter_fields = n;
    return LINKD_OK;
}

static void put_collection_options(encoder *e,
                                   const linkd_collection_options *options)
{
    put_check(e, dim_is_valid(options->dim), "the dimension");
    put_check(e, (unsigned)options->index <= LINKD_INDEX_IVF, "the index kind");
    put_u64(e, options->dim);
    put_u8(e, (uint8_t)options->index);
    put_str(e, options->model, 0, TEXT_MAX_BYTES, "the model's name");
    put_str(e, options->fingerprint, 0, TEXT_MAX_BYTES, "the fingerprint");
    put_str(e, options->settings, 0, TEXT_MAX_BYTES, "the settings");
    put_filter_fields(e, options->filter_fields, options->n_filter_fields);
}

static int take_collection_options(decoder *d, lk_arena *arena,
                                   linkd_collection_options *options,
                                   linkd_error *err)
{
    uint64_t dim = take_u64(d);

    take_check(d, dim_is_valid(dim));
    options->dim = (size_t)dim;
    options->index = (linkd_index_kind)take_u8(d, LINKD_INDEX_IVF);
    options->model = take_str(d, 0, TEXT_MAX_BYTES);
    options->fingerprint = take_str(d, 0, TEXT_MAX_BYTES);
    options->settings = take_str(d, 0, TEXT_MAX_BYTES);
    return take_filter_fields(d, arena, options, err);
}

int lk_collection_row_encode(const lk_collection_row *row, lk_buf *ret_body,
                             linkd_error *err)
{
    encoder e = {.body = ret_body, .err = err};

    put_str(&e, row->name, 1, LINKD_NAME_MAX_BYTES, "the collection's name");
    put_collection_options(&e, &row->options);
    put_u8(&e, row->dropped);
    put_u32(&e, row->generation);
    put_u64(&e, row->created_unix_ms);
    put_u64(&e, row->next_number);
    put_u64(&e, row->next_entity);
    put_u64(&e, row->next_segment);
    put_u64(&e, row->n_records);
    put_u64(&e, row->n_entities);
    return e.rc;
}

int lk_collection_row_decode(linkd_str body, lk_arena *arena,
                             lk_collection_row *ret_row, linkd_error *err)
{
    decoder d = {.next = body.bytes, .left = body.len};
    lk_collection_row row = {0};
    int rc;

    row.name = take_str(&d, 1, LINKD_NAME_MAX_BYTES);
    rc = take_collection_options(&d, arena, &row.options, err);
    if (rc != LINKD_OK)
        return rc;
    row.dropped = take_u8(&d, 1) != 0;
    row.generation = take_u32(&d);
    row.created_unix_ms = take_u64(&d);
    row.next_number = take_u64(&d);
    row.next_entity = take_u64(&d);
    row.next_segment = take_u64(&d);
    row.n_records = take_u64(&d);
    row.n_entities = take_u64(&d);
    rc = decoder_end(&d, lk_table_name(LK_TABLE_COLLECTIONS), err);
    if (rc == LINKD_OK)
        *ret_row = row;
    return rc;
}

/* ---- generations -------------------------------------------------------- */

static bool counts_fit(const lk_generation_row *row)
{
    return row->n_vectors <= row->n_slots &&
           row->n_inactive <= row->n_slots - row->n_vectors;
}

static bool generation_has_tail(const lk_generation_row *row)
{
    return row->state != LK_GENERATION_OPEN || row->previous != 0 ||
           row->n_inactive != 0;
}

int lk_generation_row_encode(const lk_generation_row *row, lk_buf *ret_body,
                             linkd_error *err)
{
    encoder e = {.body = ret_body, .err = err};

    put_check(&e, dim_is_valid(row->dim), "the dimension");
    put_check(&e, counts_fit(row), "the number of vectors");
    put_check(&e, (unsigned)row->state <= LK_GENERATION_DROPPED, "the state");
    put_str(&e, row->model, 0, TEXT_MAX_BYTES, "the model's name");
    put_str(&e, row->fingerprint, 0, TEXT_MAX_BYTES, "the fingerprint");
    put_u64(&e, row->dim);
    put_u64(&e, row->n_slots);
    put_u64(&e, row->n_vectors);
    if (generation_has_tail(row)) {
        put_u8(&e, (uint8_t)row->state);
        put_u32(&e, row->previous);
        put_u64(&e, row->n_inactive);
    }
    return e.rc;
}

static void take_generation_tail(decoder *d, lk_generation_row *row)
{
    row->state = (lk_generation_state)take_u8(d, LK_GENERATION_DROPPED);
    row->previous = take_u32(d);
    row->n_inactive = take_u64(d);
    take_check(d, generation_has_tail(row));
}

int lk_generation_row_decode(linkd_str body, lk_generation_row *ret_row,
                             linkd_error *err)
{
    decoder d = {.next = body.bytes, .left = body.len};
    lk_generation_row row = {0};
    int rc;

    row.model = take_str(&d, 0, TEXT_MAX_BYTES);
    row.fingerprint = take_str(&d, 0, TEXT_MAX_BYTES);
    row.dim = take_u64(&d);
    row.n_slots = take_u64(&d);
    row.n_vectors = take_u64(&d);
    if (d.left > 0)
        take_generation_tail(&d, &row);
    take_check(&d, dim_is_valid(row.dim) && counts_fit(&row));
    rc = decoder_end(&d, lk_table_name(LK_TABLE_GENERATIONS), err);
    if (rc == LINKD_OK)
        *ret_row = row;
    return rc;
}

/* ---- records ------------------------------------------------------------ */

static bool fields_fit(const linkd_field *fields, size_t n)
{
    size_t left = LINKD_RECORD_MAX_BYTES;

    for (size_t i = 0; i < n; i++) {
        if (fields[i].name.len > left ||
            fields[i].value.len > left - fields[i].name.len)
            return false;
        left -= fields[i].name.len + fields[i].value.len;
    }
    return true;
}

int lk_record_row_encode(const lk_record_row *row, lk_buf *ret_body,
                         linkd_error *err)
{
    encoder e = {.body = ret_body, .err = err};

    put_u64(&e, row->seq);
    put_str(&e, row->id, 1, LINKD_ID_MAX_BYTES, "the record's id");
    put_check(&e, row->n_fields <= LINKD_FIELDS_MAX, "the number of fields");
    put_u32(&e, (uint32_t)row->n_fields);
    if (e.rc == LINKD_OK)
        put_check(&e, fields_fit(row->fields, row->n_fields),
                  "the size of all fields");
    for (size_t i = 0; e.rc == LINKD_OK && i < row->n_fields; i++) {
        const linkd_field *field = &row->fields[i];

        put_check(&e, (unsigned)field->kind <= LINKD_FIELD_LITERAL,
                  "the kind of a field");
        put_u8(&e, (uint8_t)field->kind);
        put_str(&e, field->name, 0, LINKD_RECORD_MAX_BYTES, "a field's name");
        put_str(&e, field->value, 0, LINKD_RECORD_MAX_BYTES, "a field's value");
    }
    return e.rc;
}

static int take_fields(decoder *d, lk_arena *arena, lk_record_row *row,
                       linkd_error *err)
{
    linkd_field *fields;
    size_t n = take_u32(d);

    take_check(d, n <= LINKD_FIELDS_MAX);
    if (d->failed)
        return LINKD_OK;
    fields = lk_arena_alloc(arena, n * sizeof(*fields));
    if (fields == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < n; i++) {
        fields[i].kind = (linkd_field_kind)take_u8(d, LINKD_FIELD_LITERAL);
        fields[i].name = take_str(d, 0, LINKD_RECORD_MAX_BYTES);
        fields[i].value = take_str(d, 0, LINKD_RECORD_MAX_BYTES);
    }
    take_check(d, fields_fit(fields, n));
    row->fields = fields;
    row->n_fields = n;
    return LINKD_OK;
}

int lk_record_row_decode(linkd_str body, lk_arena *arena,
                         lk_record_row *ret_row, linkd_error *err)
{
    decoder d = {.next = body.bytes, .left = body.len};
    lk_record_row row = {0};
    int rc;

    row.seq = take_u64(&d);
    row.id = take_str(&d, 1, LINKD_ID_MAX_BYTES);
    rc = take_fields(&d, arena, &row, err);
    if (rc == LINKD_OK)
        rc = decoder_end(&d, lk_table_name(LK_TABLE_RECORDS), err);
    if (rc == LINKD_OK)
        *ret_row = row;
    return rc;
}

/* ---- segments ----------------------------------------------------------- */

static bool segment_is_valid(const lk_segment_row *row)
{
    return row->slot_begin <= row->slot_end &&
           row->n <= row->slot_end - row->slot_begin;
}

int lk_segment_row_encode(const lk_segment_row *row, lk_buf *ret_body,
                          linkd_error *err)
{
    encoder e = {.body = ret_body, .err = err};

    put_check(&e, segment_is_valid(row), "the range of a segment");
    put_u64(&e, row->file_bytes);
    put_u64(&e, row->file_hash);
    put_u64(&e, row->slot_begin);
    put_u64(&e, row->slot_end);
    put_u64(&e, row->n);
    put_str(&e, row->factory, 0, TEXT_MAX_BYTES, "the factory string");
    return e.rc;
}

int lk_segment_row_decode(linkd_str body, lk_segment_row *ret_row,
                          linkd_error *err)
{
    decoder d = {.next = body.bytes, .left = body.len};
    lk_segment_row row;
    int rc;

    row.file_bytes = take_u64(&d);
    row.file_hash = take_u64(&d);
    row.slot_begin = take_u64(&d);
    row.slot_end = take_u64(&d);
    row.n = take_u64(&d);
    row.factory = take_str(&d, 0, TEXT_MAX_BYTES);
    take_check(&d, segment_is_valid(&row));
    rc = decoder_end(&d, lk_table_name(LK_TABLE_SEGMENTS), err);
    if (rc == LINKD_OK)
        *ret_row = row;
    return rc;
}

/* ---- chunks ------------------------------------------------------------- */

static const size_t CHUNK_HEAD_BYTES = 2 * sizeof(uint64_t);

size_t lk_chunk_bytes(size_t dim)
{
    size_t bytes = CHUNK_HEAD_BYTES + LK_ROWS_PER_CHUNK * sizeof(uint64_t) +
                   LK_ROWS_PER_CHUNK * dim * sizeof(float);

    return bytes < LK_CHUNK_MIN_BYTES ? LK_CHUNK_MIN_BYTES : bytes;
}

static int chunk_fail(uint64_t chunk, const char *reason, linkd_error *err)
{
    return lk_fail(err, LINKD_E_DATA,
                   "damaged database: vectors from slot %" PRIu64 ": %s",
                   chunk * LK_ROWS_PER_CHUNK, reason);
}

int lk_chunk_open(linkd_str key, linkd_str value, size_t dim, bool verify,
                  lk_chunk *ret_chunk, linkd_error *err)
{
    uint64_t chunk = lk_key_tail_u64(key), head[2];
    const void *numbers, *vectors;

    if (value.len != lk_chunk_bytes(dim))
        return chunk_fail(chunk, "wrong length", err);
    memcpy(head, value.bytes, sizeof(head));
    numbers = value.bytes + CHUNK_HEAD_BYTES;
    vectors =
        value.bytes + CHUNK_HEAD_BYTES + LK_ROWS_PER_CHUNK * sizeof(uint64_t);
    if (head[1] != chunk * LK_ROWS_PER_CHUNK)
        return chunk_fail(chunk, "wrong slot", err);
    if ((uintptr_t)numbers % sizeof(uint64_t) != 0)
        return chunk_fail(chunk, "wrong place in the file", err);
    if (verify && head[0] != lk_value_hash(key, value.bytes + sizeof(head[0]),
                                           value.len - sizeof(head[0])))
        return chunk_fail(chunk, "wrong checksum", err);
    *ret_chunk = (lk_chunk){.numbers = numbers, .vectors = vectors};
    return LINKD_OK;
}
