/* index/layout.h — private: what lies in the tables. Keys are big-endian, so
 * that LMDB's bytewise order is numeric order; values are little-endian and
 * begin with the XXH3 (64 bit) of the key followed by the rest of the value, so
 * that a value under the wrong key is noticed too.
 *
 *   table        key                          value (after u64 checksum)
 *   META         "format" "next_collection"   u64
 *                "next_job" "seq" "uuid"
 *   COLLECTIONS  collection u32               lk_collection_row: name, options,
 *                                             counters, state (live, dropped)
 *   NAMES        name                         collection u64
 *   GENERATIONS  collection u32, gen u32      fingerprint, model, dim, n_slots,
 *                                             state
 *   BLOBS        collection u32, gen u32,     bytes of the caller's that belong
 *                kind u8, other gen u32       to a generation, or to two
 *   RECORDS      collection u32, number u64   seq, id, fields
 *   IDS          collection u32, id           number u64
 *   VECTORS      collection, gen, chunk u64   first slot u64, 64 numbers
 *                                             u64, 64 x dim f32
 *   SLOTS        collection, gen, number      slot u64
 *   DEAD         collection, gen, slot u64    (empty, or 'i'; no checksum)
 *   FIELDS       collection, field, kind,     (empty: no checksum)
 *                value, number u64
 *   LOG          seq u64                      collection u32, op u8, number u64
 *   SEGMENTS     collection, gen, segment u64 file's length and hash, slots,
 *                                             n, factory
 *   ENTITIES     collection, number           entity u64
 *   MEMBERS      collection, entity, number   (empty: no checksum)
 *   EVENTS       collection, seq, counter u32 merged or split, entity, other, reason
 *   REVIEWS      collection, XXH3-128 of      answer, both ids
 *                both ids
 *   JOBS         job u64                      state
 *   ONCE         key                          request hash, unix ms, result
 *
 * A slot is the place of a vector: chunk slot / 64, row slot % 64. Slots are
 * given out in order and never again. A record that gets a new vector gets a
 * new slot, and its old one is listed in DEAD. A chunk whose slots are all dead
 * is removed (and its DEAD entries with it): a slot that lies in no chunk is
 * dead too. Rows of the last chunk beyond n_slots are zero.
 *
 * A record's vector is alive in one generation at most. Where it has moved on
 * to a newer one, its slot in the older one is in DEAD with the value 'i', for
 * inactive: searches pass over it as over any dead one, but it keeps its row of
 * SLOTS and stays in segments, so that going back is a matter of removing such
 * entries. The generation that serves has none. */
#ifndef LK_INDEX_LAYOUT_H
#define LK_INDEX_LAYOUT_H

#include "index/store.h"

#define LK_FORMAT_VERSION  LINKD_STORE_FORMAT
#define LK_FORMAT_FIRST    UINT64_C(1) /* one generation a collection */
#define LK_ROWS_PER_CHUNK  ((size_t)64)
#define LK_KEY_MAX_BYTES   ((size_t)511)
#define LK_CHECKSUM_BYTES  ((size_t)8)
#define LK_LOG_MAX_CHANGES ((uint64_t)1000000)

/* ---- keys --------------------------------------------------------------- */

typedef struct lk_key {
    size_t len;
    unsigned char bytes[LK_KEY_MAX_BYTES];
} lk_key;

void lk_key_begin(lk_key *key);
void lk_key_add_u8(lk_key *key, uint8_t value);
void lk_key_add_u32(lk_key *key, uint32_t value);
void lk_key_add_u64(lk_key *key, uint64_t value);
/* The caller has checked that it fits. */
void lk_key_add_bytes(lk_key *key, linkd_str bytes);
linkd_str lk_key_str(const lk_key *key);
/* The last 8 bytes of a key, as a number; LINKD_ID_NONE if it has fewer. */
uint64_t lk_key_tail_u64(linkd_str key);
bool lk_str_starts_with(linkd_str bytes, linkd_str prefix);

/* ---- values ------------------------------------------------------------- */

/* The checksum of a value: XXH3-64 of the key followed by the rest of it. */
uint64_t lk_value_hash(linkd_str key, const void *bytes, size_t len);

/* Checks length and checksum of `value` and returns what follows the latter.
 * LINKD_E_DATA: names the table. */
LINKD_MUST_CHECK int lk_value_open(lk_table table, linkd_str key,
                                   linkd_str value, linkd_str *ret_body,
                                   linkd_error *err);
/* Puts checksum and body under the key. The body must not be borrowed from the
 * transaction. */
LINKD_MUST_CHECK int lk_value_put(lk_txn *txn, lk_table table, linkd_str key,
                                  linkd_str body, linkd_error *err);

/* A row of COLLECTIONS as it is in memory; strings live in an arena or borrow
 * from the value. Kept small: it is rewritten by every write. */
typedef struct lk_collection_row {
    linkd_str name;
    linkd_collection_options options;
    bool dropped;
    uint32_t generation;
    uint64_t created_unix_ms;
    uint64_t next_number; /* of the next new record */
    uint64_t next_entity;
    uint64_t next_segment;
    uint64_t n_records;
    uint64_t n_entities;
} lk_collection_row;

typedef enum lk_generation_state {
    LK_GENERATION_OPEN,    /* serves, or could be gone back to */
    LK_GENERATION_CLOSED,  /* what is inactive in it is being freed */
    LK_GENERATION_DROPPED, /* all of it is */
} lk_generation_state;

/* The last three are on disk only if one of them is not 0: format 1 had none. */
typedef struct lk_generation_row {
    linkd_str model;
    linkd_str fingerprint;
    uint64_t dim;
    uint64_t n_slots;
    uint64_t n_vectors; /* alive */
    lk_generation_state state;
    uint32_t previous;   /* that served before it; 0: none */
    uint64_t n_inactive; /* slots in DEAD with an 'i' */
} lk_generation_row;

typedef struct lk_record_row {
    uint64_t seq;
    linkd_str id;
    const linkd_field *fields;
    size_t n_fields;
} lk_record_row;

typedef struct lk_segment_row {
    uint64_t file_bytes;
    uint64_t file_hash; /* XXH3-64 of the whole file */
    uint64_t
        slot_begin; /* every slot in [begin, end) that was alive is in it */
    uint64_t slot_end;
    uint64_t n; /* vectors in it */
    linkd_str factory;
} lk_segment_row;

/* encode appends the body to `ret_body`; decode checks every length (foreign
 * bytes: it is fuzzed) and borrows strings from the body; arrays live in the
 * arena. LINKD_E_DATA: the body does not have this form. encode refuses with
 * LINKD_E_ARG what decode would refuse; part of it may be in `ret_body` then. */
LINKD_MUST_CHECK int lk_collection_row_encode(const lk_collection_row *row,
                                              lk_buf *ret_body,
                                              linkd_error *err);
LINKD_MUST_CHECK int lk_collection_row_decode(linkd_str body, lk_arena *arena,
                                              lk_collection_row *ret_row,
                                              linkd_error *err);
LINKD_MUST_CHECK int lk_generation_row_encode(const lk_generation_row *row,
                                              lk_buf *ret_body,
                                              linkd_error *err);
LINKD_MUST_CHECK int lk_generation_row_decode(linkd_str body,
                                              lk_generation_row *ret_row,
                                              linkd_error *err);
LINKD_MUST_CHECK int lk_record_row_encode(const lk_record_row *row,
                                          lk_buf *ret_body, linkd_error *err);
LINKD_MUST_CHECK int lk_record_row_decode(linkd_str body, lk_arena *arena,
                                          lk_record_row *ret_row,
                                          linkd_error *err);
LINKD_MUST_CHECK int lk_segment_row_encode(const lk_segment_row *row,
                                           lk_buf *ret_body, linkd_error *err);
LINKD_MUST_CHECK int lk_segment_row_decode(linkd_str body,
                                           lk_segment_row *ret_row,
                                           linkd_error *err);

/* ---- chunks ------------------------------------------------------------- */

/* VECTORS values: checksum, first slot, numbers u64 [64], vectors f32 [64, dim].
 * LMDB puts large values 16 bytes into a page, so that vectors lie at a multiple
 * of 16 and are read in place. Zeros lengthen what would be too short for that,
 * up to a page size of 32 KB. The checksum covers all that follows it. */
#define LK_CHUNK_MIN_BYTES ((size_t)16384 - 16)
size_t lk_chunk_bytes(size_t dim);
typedef struct lk_chunk {
    const uint64_t *numbers; /* [64] of records */
    const float *vectors;    /* [64, dim] */
} lk_chunk;
/* LINKD_E_DATA: wrong length or first slot, or (when `verify`) wrong checksum. */
LINKD_MUST_CHECK int lk_chunk_open(linkd_str key, linkd_str value, size_t dim,
                                   bool verify, lk_chunk *ret_chunk,
                                   linkd_error *err);

/* ---- keys of FIELDS ----------------------------------------------------- */

/* collection, XXH3-64 of the field's name u64, kind u8, value, number u64:
 *   kind  0 exists (value empty: one for every field of a record), 1 number
 *         (8 bytes that sort as the number does), 2 boolean (1 byte), 3 text
 * A text is followed by 00, and has its bytes 00 and 01 spelled 01 01 and 01 02:
 * no value's key begins another's. A text longer than 200 bytes is cut there and
 * followed by 0xff and the XXH3-64 of all of it: equal texts have equal keys,
 * and order holds up to the cut. Literals that are arrays or objects only exist.
 */
#define LK_FIELD_TEXT_MAX ((size_t)200)
/* Behind a text that was not cut: a zero, and the record's number. */
#define LK_FIELD_TEXT_TAIL (1 + sizeof(uint64_t))
typedef enum lk_field_key_kind {
    LK_FIELD_KEY_EXISTS = 0,
    LK_FIELD_KEY_NUMBER = 1,
    LK_FIELD_KEY_BOOL = 2,
    LK_FIELD_KEY_TEXT = 3,
} lk_field_key_kind;

/* Whether the collection's filters may use the field. */
bool lk_field_is_filtered(const linkd_collection_options *options,
                          linkd_str name);
/* The key up to and without value and number. */
void lk_field_key_begin(lk_key *key, uint32_t collection, linkd_str field,
                        lk_field_key_kind kind);
void lk_field_key_add_text(lk_key *key, linkd_str text);
void lk_field_key_add_number(lk_key *key, double number); /* not NaN */
/* Is the text, or JSON literal, wholly a number in decimal digits? */
bool lk_field_number_parse(linkd_str literal, double *ret_number);
void lk_field_key_add_bool(lk_key *key, bool boolean);
/* What a stored field's value is to filters: its kind, and its key up to and
 * without the number. EXISTS for what has no value to compare with: arrays,
 * objects, and numbers that no finite double is near. */
lk_field_key_kind lk_field_key_of(lk_key *key, uint32_t collection,
                                  const linkd_field *field);

#endif
