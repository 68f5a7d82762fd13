/* Values of the store as a damaged disk may return them. The first byte says
 * what the rest is. What is accepted must be within its limits, and encode to
 * the same bytes again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "index/layout.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void body_check(const lk_buf *again, int rc, linkd_str body)
{
    LK_ASSERT(rc == LINKD_OK);
    LK_ASSERT(again->len == body.len);
    LK_ASSERT(memcmp(again->data, body.bytes, body.len) == 0);
}

static void collection_check(linkd_str body, lk_arena *arena, lk_buf *again)
{
    lk_collection_row row;
    linkd_error err;
    int rc = lk_collection_row_decode(body, arena, &row, &err);

    if (rc != LINKD_OK)
        return;
    LK_ASSERT(row.name.len <= LINKD_NAME_MAX_BYTES);
    LK_ASSERT(row.options.dim > 0 && row.options.dim <= LINKD_DIM_MAX);
    body_check(again, lk_collection_row_encode(&row, again, &err), body);
}

static void generation_check(linkd_str body, lk_buf *again)
{
    lk_generation_row row;
    linkd_error err;

    if (lk_generation_row_decode(body, &row, &err) == LINKD_OK)
        body_check(again, lk_generation_row_encode(&row, again, &err), body);
}

static void record_check(linkd_str body, lk_arena *arena, lk_buf *again)
{
    lk_record_row row;
    linkd_error err;
    lk_key key;

    if (lk_record_row_decode(body, arena, &row, &err) != LINKD_OK)
        return;
    LK_ASSERT(row.n_fields <= LINKD_FIELDS_MAX);
    for (size_t i = 0; i < row.n_fields; i++) {
        (void)lk_field_key_of(&key, 1, &row.fields[i]);
        lk_key_add_u64(&key, 1); /* asserts that it fits */
    }
    body_check(again, lk_record_row_encode(&row, again, &err), body);
}

static void segment_check(linkd_str body, lk_buf *again)
{
    lk_segment_row row;
    linkd_error err;

    if (lk_segment_row_decode(body, &row, &err) != LINKD_OK)
        return;
    LK_ASSERT(row.n <= row.slot_end - row.slot_begin);
    body_check(again, lk_segment_row_encode(&row, again, &err), body);
}

/* The bytes are the head of a chunk; its other vectors are zero. */
static void chunk_check(linkd_str bytes)
{
    static const size_t dim = 64;
    size_t len = lk_chunk_bytes(dim);
    char *value = lk_alloc_aligned(1, len);
    const char key[8] = {0};
    linkd_error err;
    lk_chunk chunk;

    LK_ASSERT(value != NULL);
    memset(value, 0, len);
    if (bytes.len > len)
        bytes.len = len;
    if (bytes.len > 0)
        memcpy(value, bytes.bytes, bytes.len);
    if (lk_chunk_open((linkd_str){key, 8}, (linkd_str){value, len}, dim, false,
                      &chunk, &err) == LINKD_OK)
        LK_ASSERT((const char *)(chunk.vectors + LK_ROWS_PER_CHUNK * dim) ==
                  value + len);
    free(value);
}

/* What is opened hashes to the checksum before it. */
static void value_check(linkd_str value)
{
    static const linkd_str key = {"key", 3};
    linkd_str body;
    linkd_error err;
    uint64_t checksum;

    if (lk_value_open(LK_TABLE_JOBS, key, value, &body, &err) != LINKD_OK)
        return;
    checksum = lk_value_hash(key, body.bytes, body.len);
    LK_ASSERT(body.len + sizeof(checksum) == value.len);
    LK_ASSERT(memcmp(&checksum, value.bytes, sizeof(checksum)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    linkd_str rest = {(const char *)data + 1, size - 1};
    lk_arena arena = {0};
    lk_buf again = {0};

    if (size == 0)
        return 0;
    switch (data[0]) {
    case 'c':
        collection_check(rest, &arena, &again);
        break;
    case 'g':
        generation_check(rest, &again);
        break;
    case 'r':
        record_check(rest, &arena, &again);
        break;
    case 's':
        segment_check(rest, &again);
        break;
    case 'v':
        chunk_check(rest);
        break;
    default:
        value_check(rest);
    }
    lk_buf_clear(&again);
    lk_arena_clear(&arena);
    return 0;
}
