#include <setjmp.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "index/layout.h"
#include "tests/linkage/scratch.h"
#include "tests/support/alloc_fail.h"

static linkd_error err;

static linkd_str str(const char *text)
{
    return (linkd_str){text, strlen(text)};
}

static linkd_str buf_str(const lk_buf *buf)
{
    return (linkd_str){buf->data, buf->len};
}

static void assert_str(linkd_str actual, linkd_str expected)
{
    assert_int_equal(actual.len, expected.len);
    if (expected.len > 0)
        assert_memory_equal(actual.bytes, expected.bytes, expected.len);
}

/* ---- keys --------------------------------------------------------------- */

static void numbers_of_a_key_are_big_endian(void **state)
{
    static const unsigned char expected[] = {7, 0, 0, 1, 2, 0,   0,  0,
                                             0, 0, 0, 3, 4, 'a', 'b'};
    lk_key key;

    (void)state;
    lk_key_begin(&key);
    lk_key_add_u8(&key, 7);
    lk_key_add_u32(&key, 0x102);
    lk_key_add_u64(&key, 0x304);
    lk_key_add_bytes(&key, str("ab"));
    assert_int_equal(key.len, sizeof(expected));
    assert_memory_equal(key.bytes, expected, sizeof(expected));
    assert_int_equal(lk_key_str(&key).len, sizeof(expected));
    lk_key_begin(&key);
    assert_int_equal(key.len, 0);
}

static void the_tail_of_a_key_is_its_last_number(void **state)
{
    lk_key key;

    (void)state;
    lk_key_begin(&key);
    lk_key_add_u32(&key, 9);
    lk_key_add_u64(&key, 0x0123456789abcdefU);
    assert_true(lk_key_tail_u64(lk_key_str(&key)) == 0x0123456789abcdefU);
    assert_true(lk_key_tail_u64(str("1234567")) == LINKD_ID_NONE);
}

static void a_prefix_is_at_most_the_whole(void **state)
{
    (void)state;
    assert_true(lk_str_starts_with(str("abc"), str("ab")));
    assert_true(lk_str_starts_with(str("abc"), str("abc")));
    assert_true(lk_str_starts_with(str("abc"), str("")));
    assert_true(lk_str_starts_with(str(""), str("")));
    assert_false(lk_str_starts_with(str("abc"), str("abd")));
    assert_false(lk_str_starts_with(str("abc"), str("abcd")));
}

/* ---- values ------------------------------------------------------------- */

static void a_value_comes_back_and_every_flipped_bit_is_noticed(void **state)
{
    unsigned char copy[64];
    lk_env *env = NULL;
    lk_txn *txn = NULL;
    linkd_str value, body;
    bool found;

    (void)state;
    assert_int_equal(lk_env_open(".", 1U << 20, &env, &err), LINKD_OK);
    assert_int_equal(lk_txn_begin_write(env, &txn, &err), LINKD_OK);
    assert_int_equal(
        lk_value_put(txn, LK_TABLE_JOBS, str("key"), str("the body"), &err),
        LINKD_OK);
    assert_int_equal(
        lk_txn_find(txn, LK_TABLE_JOBS, str("key"), &value, &found, &err),
        LINKD_OK);
    assert_true(found);
    assert_int_equal(value.len, 16);
    assert_int_equal(
        lk_value_open(LK_TABLE_JOBS, str("key"), value, &body, &err), LINKD_OK);
    assert_str(body, str("the body"));

    memcpy(copy, value.bytes, value.len);
    value.bytes = (const char *)copy;
    for (size_t bit = 0; bit < value.len * 8; bit++) {
        copy[bit / 8] ^= (unsigned char)(1U << bit % 8);
        assert_int_equal(
            lk_value_open(LK_TABLE_JOBS, str("key"), value, &body, &err),
            LINKD_E_DATA);
        copy[bit / 8] ^= (unsigned char)(1U << bit % 8);
    }
    assert_string_equal(err.message,
                        "damaged database: a checksum of table jobs is wrong");
    for (; value.len > 0; value.len--)
        assert_int_equal(lk_value_open(LK_TABLE_JOBS, str("key"),
                                       (linkd_str){value.bytes, value.len - 1},
                                       &body, &err),
                         LINKD_E_DATA);
    assert_string_equal(err.message,
                        "damaged database: a value of table jobs is cut short");
    lk_txn_abort(txn);
    lk_env_close(env);
}

/* A page that LMDB finds under a key it does not belong to. */
static void a_value_under_another_key_is_noticed(void **state)
{
    uint64_t checksum = lk_value_hash(str("key"), "body", 4);
    char value[12];
    linkd_str body;

    (void)state;
    memcpy(value, &checksum, 8);
    memcpy(value + 8, "body", 4);
    assert_int_equal(lk_value_open(LK_TABLE_JOBS, str("key"),
                                   (linkd_str){value, 12}, &body, &err),
                     LINKD_OK);
    assert_int_equal(lk_value_open(LK_TABLE_JOBS, str("kez"),
                                   (linkd_str){value, 12}, &body, &err),
                     LINKD_E_DATA);
}

/* The checksum is part of the format. The number is what libxxhash 0.8.1 says to
 * XXH3_64bits("linkd", 5). */
static const uint64_t HASH_OF_LINKD = 0x7ba5ac7c11214ffeU;

static void a_checksum_is_the_hash_of_key_and_rest(void **state)
{
    (void)state;
    assert_true(lk_value_hash(str("li"), "nkd", 3) == HASH_OF_LINKD);
    assert_true(lk_value_hash(str(""), "linkd", 5) == HASH_OF_LINKD);
}

/* ---- rows --------------------------------------------------------------- */

static const linkd_str FILTER_FIELDS[] = {{"city", 4}, {"", 0}, {"zip", 3}};

static const lk_collection_row COLLECTIONS[] = {
    {
        .name = {"people", 6},
        .options = {.dim = 384,
                    .index = LINKD_INDEX_IVF,
                    .model = {"MiniLM", 6},
                    .fingerprint = {"f00d", 4},
                    .settings = {"{\"a\":1}", 7},
                    .filter_fields = FILTER_FIELDS,
                    .n_filter_fields = 3},
        .dropped = true,
        .generation = 2,
        .created_unix_ms = 1700000000000,
        .next_number = 11,
        .next_entity = UINT64_MAX,
        .next_segment = 13,
        .n_records = 14,
        .n_entities = 15,
    },
    {.name = {"a", 1}, .options = {.dim = LINKD_DIM_MAX}, .generation = 1},
    {.name = {"b", 1}, .options = {.dim = 1, .filter_fields = FILTER_FIELDS}},
};

static void collection_encode(const lk_collection_row *row, lk_buf *body)
{
    lk_buf_reset(body);
    assert_int_equal(lk_collection_row_encode(row, body, &err), LINKD_OK);
}

static void a_collection_comes_back_as_it_was(void **state)
{
    lk_arena arena = {0};
    lk_buf body = {0};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        const lk_collection_row *in = &COLLECTIONS[i];
        lk_collection_row out;

        collection_encode(in, &body);
        assert_int_equal(
            lk_collection_row_decode(buf_str(&body), &arena, &out, &err),
            LINKD_OK);
        assert_str(out.name, in->name);
        assert_int_equal(out.options.dim, in->options.dim);
        assert_int_equal(out.options.index, in->options.index);
        assert_str(out.options.model, in->options.model);
        assert_str(out.options.fingerprint, in->options.fingerprint);
        assert_str(out.options.settings, in->options.settings);
        assert_int_equal(out.options.filter_fields == NULL,
                         in->options.filter_fields == NULL);
        assert_int_equal(out.options.n_filter_fields,
                         in->options.n_filter_fields);
        for (size_t j = 0; j < in->options.n_filter_fields; j++)
            assert_str(out.options.filter_fields[j], FILTER_FIELDS[j]);
        assert_int_equal(out.dropped, in->dropped);
        assert_int_equal(out.generation, in->generation);
        assert_int_equal(out.created_unix_ms, in->created_unix_ms);
        assert_int_equal(out.next_number, in->next_number);
        assert_true(out.next_entity == in->next_entity);
        assert_int_equal(out.next_segment, in->next_segment);
        assert_int_equal(out.n_records, in->n_records);
        assert_int_equal(out.n_entities, in->n_entities);
    }
    lk_buf_clear(&body);
    lk_arena_clear(&arena);
}

static const lk_generation_row GENERATION = {
    .model = {"MiniLM", 6},
    .fingerprint = {"f00d", 4},
    .dim = 384,
    .n_slots = 100,
    .n_vectors = 99,
};

static void a_generation_comes_back_as_it_was(void **state)
{
    lk_generation_row out;
    lk_buf body = {0};

    (void)state;
    assert_int_equal(lk_generation_row_encode(&GENERATION, &body, &err),
                     LINKD_OK);
    assert_int_equal(lk_generation_row_decode(buf_str(&body), &out, &err),
                     LINKD_OK);
    assert_str(out.model, GENERATION.model);
    assert_str(out.fingerprint, GENERATION.fingerprint);
    assert_int_equal(out.dim, 384);
    assert_int_equal(out.n_slots, 100);
    assert_int_equal(out.n_vectors, 99);
    lk_buf_clear(&body);
}

static const linkd_field FIELDS[] = {
    {.name = {"name", 4}, .value = {"Ada\0 L", 6}, .kind = LINKD_FIELD_TEXT},
    {.name = {"", 0}, .value = {"", 0}, .kind = LINKD_FIELD_TEXT},
    {.name = {"year", 4}, .value = {"1815", 4}, .kind = LINKD_FIELD_LITERAL},
};
static const lk_record_row RECORD = {
    .seq = 0x0102030405060708U,
    .id = {"r-1", 3},
    .fields = FIELDS,
    .n_fields = 3,
};

static void a_record_comes_back_as_it_was(void **state)
{
    lk_arena arena = {0};
    lk_record_row out;
    lk_buf body = {0};

    (void)state;
    assert_int_equal(lk_record_row_encode(&RECORD, &body, &err), LINKD_OK);
    assert_int_equal(lk_record_row_decode(buf_str(&body), &arena, &out, &err),
                     LINKD_OK);
    assert_true(out.seq == RECORD.seq);
    assert_str(out.id, RECORD.id);
    assert_int_equal(out.n_fields, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_str(out.fields[i].name, FIELDS[i].name);
        assert_str(out.fields[i].value, FIELDS[i].value);
        assert_int_equal(out.fields[i].kind, FIELDS[i].kind);
    }
    lk_buf_clear(&body);
    lk_arena_clear(&arena);
}

static const lk_segment_row SEGMENT = {
    .file_bytes = 1234,
    .file_hash = 0xfedcba9876543210U,
    .slot_begin = 64,
    .slot_end = 128,
    .n = 64,
    .factory = {"HNSW32,SQ8", 10},
};

static void a_segment_comes_back_as_it_was(void **state)
{
    lk_segment_row out;
    lk_buf body = {0};

    (void)state;
    assert_int_equal(lk_segment_row_encode(&SEGMENT, &body, &err), LINKD_OK);
    assert_int_equal(lk_segment_row_decode(buf_str(&body), &out, &err),
                     LINKD_OK);
    assert_int_equal(out.file_bytes, 1234);
    assert_true(out.file_hash == SEGMENT.file_hash);
    assert_int_equal(out.slot_begin, 64);
    assert_int_equal(out.slot_end, 128);
    assert_int_equal(out.n, 64);
    assert_str(out.factory, SEGMENT.factory);
    lk_buf_clear(&body);
}

/* ---- rows that are wrong ------------------------------------------------ */

static int any_decode(lk_table table, linkd_str body)
{
    lk_arena arena = {0};
    lk_collection_row collection;
    lk_generation_row generation;
    lk_record_row record;
    lk_segment_row segment;
    int rc = LINKD_E_ARG;

    if (table == LK_TABLE_COLLECTIONS)
        rc = lk_collection_row_decode(body, &arena, &collection, &err);
    else if (table == LK_TABLE_GENERATIONS)
        rc = lk_generation_row_decode(body, &generation, &err);
    else if (table == LK_TABLE_RECORDS)
        rc = lk_record_row_decode(body, &arena, &record, &err);
    else if (table == LK_TABLE_SEGMENTS)
        rc = lk_segment_row_decode(body, &segment, &err);
    lk_arena_clear(&arena);
    return rc;
}

static void any_encode(lk_table table, lk_buf *body)
{
    int rc = LINKD_E_ARG;

    if (table == LK_TABLE_COLLECTIONS)
        rc = lk_collection_row_encode(&COLLECTIONS[0], body, &err);
    else if (table == LK_TABLE_GENERATIONS)
        rc = lk_generation_row_encode(&GENERATION, body, &err);
    else if (table == LK_TABLE_RECORDS)
        rc = lk_record_row_encode(&RECORD, body, &err);
    else if (table == LK_TABLE_SEGMENTS)
        rc = lk_segment_row_encode(&SEGMENT, body, &err);
    assert_int_equal(rc, LINKD_OK);
}

static const lk_table ROW_TABLES[] = {LK_TABLE_COLLECTIONS,
                                      LK_TABLE_GENERATIONS, LK_TABLE_RECORDS,
                                      LK_TABLE_SEGMENTS};

static void a_row_that_is_cut_short_or_too_long_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        lk_buf body = {0};

        any_encode(ROW_TABLES[i], &body);
        assert_int_equal(any_decode(ROW_TABLES[i], buf_str(&body)), LINKD_OK);
        for (size_t len = 0; len < body.len; len++)
            assert_int_equal(
                any_decode(ROW_TABLES[i], (linkd_str){body.data, len}),
                LINKD_E_DATA);
        assert_int_equal(lk_buf_append(&body, "", 1, &err), LINKD_OK);
        assert_int_equal(any_decode(ROW_TABLES[i], buf_str(&body)),
                         LINKD_E_DATA);
        lk_buf_clear(&body);
    }
    assert_string_equal(
        err.message,
        "damaged database: a row of table segments has a wrong form");
}

/* One byte of a good row is set to what its part may not be. */
static void a_part_that_is_out_of_range_is_refused(void **state)
{
    enum { ANY_COLLECTION = 4 + 6 }; /* the name comes first */
    static const struct {
        lk_table table;
        size_t at;
        uint8_t value;
    } cases[] = {
        {LK_TABLE_COLLECTIONS, 0, 0},                       /* name's length */
        {LK_TABLE_COLLECTIONS, 3, 0xFF},                    /* name's length */
        {LK_TABLE_COLLECTIONS, ANY_COLLECTION + 1, 0xFF},   /* dim */
        {LK_TABLE_COLLECTIONS, ANY_COLLECTION + 8, 4},      /* index kind */
        {LK_TABLE_COLLECTIONS, ANY_COLLECTION + 9 + 29, 2}, /* has a list */
        {LK_TABLE_COLLECTIONS, ANY_COLLECTION + 9 + 32, 1}, /* its length */
        {LK_TABLE_GENERATIONS, 18 + 7, 1},                  /* dim */
        {LK_TABLE_GENERATIONS, 18 + 8, 98},                 /* n_slots */
        {LK_TABLE_RECORDS, 8, 0},                           /* id's length */
        {LK_TABLE_RECORDS, 9, 2},                           /* id's length */
        {LK_TABLE_RECORDS, 8 + 7 + 1, 0x11},                /* n_fields */
        {LK_TABLE_RECORDS, 8 + 7 + 4, 2},                   /* field's kind */
        {LK_TABLE_SEGMENTS, 16, 129},                       /* slot_begin */
        {LK_TABLE_SEGMENTS, 32, 65},                        /* n */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        lk_buf body = {0};

        any_encode(cases[i].table, &body);
        assert_in_range(cases[i].at, 0, body.len - 1);
        assert_int_not_equal((uint8_t)body.data[cases[i].at], cases[i].value);
        body.data[cases[i].at] = (char)cases[i].value;
        assert_int_equal(any_decode(cases[i].table, buf_str(&body)),
                         LINKD_E_DATA);
        lk_buf_clear(&body);
    }
}

static void assert_refused(int rc, const char *message)
{
    assert_int_equal(rc, LINKD_E_ARG);
    assert_string_equal(err.message, message);
}

/* What could not be read again must not be written. */
static void rows_over_a_limit_are_not_encoded(void **state)
{
    lk_collection_row collection = COLLECTIONS[0];
    lk_generation_row generation = GENERATION;
    lk_record_row record = RECORD;
    lk_segment_row segment = SEGMENT;
    linkd_field huge[2] = {FIELDS[0], FIELDS[1]};
    lk_buf body = {0};

    (void)state;
    collection.name.len = 0;
    assert_refused(lk_collection_row_encode(&collection, &body, &err),
                   "the collection's name is out of range");
    collection.name.len = 1;
    collection.options.dim = LINKD_DIM_MAX + 1;
    assert_refused(lk_collection_row_encode(&collection, &body, &err),
                   "the dimension is out of range");
    collection.options.dim = 1;
    collection.options.n_filter_fields = LINKD_FIELDS_MAX + 1;
    assert_refused(lk_collection_row_encode(&collection, &body, &err),
                   "the number of filter fields is out of range");
    generation.n_vectors = 101;
    assert_refused(lk_generation_row_encode(&generation, &body, &err),
                   "the number of vectors is out of range");
    record.id.len = LINKD_ID_MAX_BYTES + 1;
    assert_refused(lk_record_row_encode(&record, &body, &err),
                   "the record's id is out of range");
    record.id.len = 3;
    record.n_fields = LINKD_FIELDS_MAX + 1;
    assert_refused(lk_record_row_encode(&record, &body, &err),
                   "the number of fields is out of range");
    huge[0].value.len = LINKD_RECORD_MAX_BYTES - 4;
    huge[1].name.len = 1;
    record.fields = huge;
    record.n_fields = 2;
    assert_refused(lk_record_row_encode(&record, &body, &err),
                   "the size of all fields is out of range");
    segment.n = 65;
    assert_refused(lk_segment_row_encode(&segment, &body, &err),
                   "the range of a segment is out of range");
    lk_buf_clear(&body);
}

static void a_failed_allocation_is_reported(void **state)
{
    lk_buf good = {0};

    (void)state;
    collection_encode(&COLLECTIONS[0], &good);
    for (size_t n = 1;; n++) {
        lk_collection_row row = {0};
        lk_arena arena = {0};
        lk_buf body = {0};
        int rc;

        alloc_fail_at(n);
        rc = lk_collection_row_encode(&COLLECTIONS[0], &body, &err);
        if (rc == LINKD_OK)
            rc = lk_record_row_encode(&RECORD, &body, &err);
        if (rc == LINKD_OK)
            rc = lk_collection_row_decode(buf_str(&good), &arena, &row, &err);
        lk_buf_clear(&body);
        lk_arena_clear(&arena);
        if (!alloc_fail_off())
            break;
        assert_int_equal(rc, LINKD_E_NOMEM);
        assert_int_equal(row.name.len, 0);
    }
    lk_buf_clear(&good);
}

/* ---- chunks ------------------------------------------------------------- */

enum { DIM = 100 };

typedef struct chunk_bytes {
    alignas(16) uint64_t checksum;
    uint64_t first_slot;
    uint64_t numbers[64];
    float vectors[64][DIM];
} chunk_bytes;

static void chunk_make(lk_key *key, chunk_bytes *chunk)
{
    lk_key_begin(key);
    lk_key_add_u32(key, 1);
    lk_key_add_u32(key, 1);
    lk_key_add_u64(key, 5);
    *chunk = (chunk_bytes){.first_slot = 320};
    for (size_t i = 0; i < 64; i++) {
        chunk->numbers[i] = 1000 + i;
        chunk->vectors[i][DIM - 1] = (float)i;
    }
    chunk->checksum = lk_value_hash(lk_key_str(key), &chunk->first_slot,
                                    sizeof(*chunk) - sizeof(uint64_t));
}

static void a_chunk_is_read_in_place(void **state)
{
    chunk_bytes bytes;
    linkd_str value = {(const char *)&bytes, sizeof(bytes)};
    lk_chunk chunk;
    lk_key key;

    (void)state;
    chunk_make(&key, &bytes);
    assert_int_equal(lk_chunk_bytes(DIM), sizeof(bytes));
    assert_int_equal(
        lk_chunk_open(lk_key_str(&key), value, DIM, true, &chunk, &err),
        LINKD_OK);
    assert_ptr_equal(chunk.numbers, bytes.numbers);
    assert_ptr_equal(chunk.vectors, bytes.vectors);
    assert_int_equal(chunk.numbers[63], 1063);
    assert_true(chunk.vectors[63 * DIM + DIM - 1] == 63.0F);
}

static void a_small_chunk_is_lengthened(void **state)
{
    (void)state;
    assert_int_equal(lk_chunk_bytes(1), LK_CHUNK_MIN_BYTES);
    assert_int_equal(lk_chunk_bytes(61), LK_CHUNK_MIN_BYTES);
    assert_int_equal(lk_chunk_bytes(62), 16 + 64 * 8 + 64 * 62 * 4);
}

static void a_flipped_bit_of_a_chunk_is_noticed(void **state)
{
    chunk_bytes bytes;
    unsigned char *raw = (unsigned char *)&bytes;
    linkd_str value = {(const char *)&bytes, sizeof(bytes)};
    lk_chunk chunk;
    lk_key key;

    (void)state;
    chunk_make(&key, &bytes);
    for (size_t bit = 0; bit < sizeof(bytes) * 8; bit += 61) {
        raw[bit / 8] ^= (unsigned char)(1U << bit % 8);
        assert_int_equal(
            lk_chunk_open(lk_key_str(&key), value, DIM, true, &chunk, &err),
            LINKD_E_DATA);
        raw[bit / 8] ^= (unsigned char)(1U << bit % 8);
    }
    assert_string_equal(err.message, "damaged database: vectors from slot 320: "
                                     "wrong checksum");
}

static void a_chunk_of_another_size_or_place_is_refused(void **state)
{
    chunk_bytes bytes;
    linkd_str value = {(const char *)&bytes, sizeof(bytes)};
    lk_chunk chunk;
    lk_key key;

    (void)state;
    chunk_make(&key, &bytes);
    assert_int_equal(
        lk_chunk_open(lk_key_str(&key), value, DIM + 1, false, &chunk, &err),
        LINKD_E_DATA);
    assert_string_equal(
        err.message, "damaged database: vectors from slot 320: wrong length");
    value.len--;
    assert_int_equal(
        lk_chunk_open(lk_key_str(&key), value, DIM, false, &chunk, &err),
        LINKD_E_DATA);
    value.len++;
    key.bytes[key.len - 1] = 6;
    assert_int_equal(
        lk_chunk_open(lk_key_str(&key), value, DIM, false, &chunk, &err),
        LINKD_E_DATA);
    assert_string_equal(err.message,
                        "damaged database: vectors from slot 384: wrong slot");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_of_a_key_are_big_endian),
        cmocka_unit_test(the_tail_of_a_key_is_its_last_number),
        cmocka_unit_test(a_prefix_is_at_most_the_whole),
        cmocka_unit_test_setup_teardown(
            a_value_comes_back_and_every_flipped_bit_is_noticed, scratch_enter,
            scratch_leave),
        cmocka_unit_test(a_value_under_another_key_is_noticed),
        cmocka_unit_test(a_checksum_is_the_hash_of_key_and_rest),
        cmocka_unit_test(a_collection_comes_back_as_it_was),
        cmocka_unit_test(a_generation_comes_back_as_it_was),
        cmocka_unit_test(a_record_comes_back_as_it_was),
        cmocka_unit_test(a_segment_comes_back_as_it_was),
        cmocka_unit_test(a_row_that_is_cut_short_or_too_long_is_refused),
        cmocka_unit_test(a_part_that_is_out_of_range_is_refused),
        cmocka_unit_test(rows_over_a_limit_are_not_encoded),
        cmocka_unit_test(a_failed_allocation_is_reported),
        cmocka_unit_test(a_chunk_is_read_in_place),
        cmocka_unit_test(a_small_chunk_is_lengthened),
        cmocka_unit_test(a_flipped_bit_of_a_chunk_is_noticed),
        cmocka_unit_test(a_chunk_of_another_size_or_place_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
