/* The store of scratch_store.h. */
#include "tests/index/scratch_store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <ftw.h>

#include "tests/linkage/scratch.h"

linkd_store *store;
linkd_error err;
static lk_arena arena;

static int path_remove(const char *path, const struct stat *status, int kind,
                       struct FTW *walk)
{
    (void)status;
    (void)kind;
    (void)walk;
    return remove(path);
}

void scratch_store_open(uint64_t map_bytes)
{
    linkd_store_options options = LINKD_STORE_OPTIONS_INIT;

    if (map_bytes > 0)
        options.map_bytes = map_bytes;
    assert_int_equal(linkd_store_open("data", &options, &store, &err),
                     LINKD_OK);
}

void scratch_store_close(void)
{
    linkd_store_close(store);
    store = NULL;
    lk_arena_clear(&arena);
}

void scratch_store_reopen(void)
{
    scratch_store_close();
    scratch_store_open(0);
}

int scratch_store_enter(void **state)
{
    linkd_collection_options options = {.dim = DIM};

    if (scratch_enter(state) != 0)
        return -1;
    err = (linkd_error){0};
    scratch_store_open(0);
    assert_int_equal(linkd_store_create_collection(store, str_of("people"),
                                                   &options, NULL, NULL, &err),
                     LINKD_OK);
    return 0;
}

int scratch_store_leave(void **state)
{
    scratch_store_close();
    (void)nftw("data", path_remove, 8, FTW_DEPTH | FTW_PHYS);
    return scratch_leave(state);
}

linkd_str str_of(const char *text)
{
    return (linkd_str){text, strlen(text)};
}

linkd_write_result put_one(const char *id, const float *vector)
{
    linkd_put put = {.id = str_of(id), .dim = DIM, .vector = vector};
    linkd_write_result result = {0};

    assert_int_equal(
        linkd_store_put(store, str_of("people"), &put, 1, NULL, &result, &err),
        LINKD_OK);
    return result;
}

linkd_write_result delete_one(const char *id)
{
    linkd_str ids[1] = {str_of(id)};
    linkd_write_result result = {0};

    assert_int_equal(linkd_store_delete(store, str_of("people"), ids, 1, NULL,
                                        &result, &err),
                     LINKD_OK);
    return result;
}

/* ---- reading ------------------------------------------------------------- */

linkd_collection_info info_of(const char *collection)
{
    linkd_collection_info info = {0};

    assert_int_equal(
        linkd_store_describe(store, str_of(collection), &arena, &info, &err),
        LINKD_OK);
    return info;
}

static lk_txn *txn_begin(void)
{
    lk_txn *txn = NULL;

    assert_int_equal(lk_txn_begin_read(store->env, &txn, &err), LINKD_OK);
    return txn;
}

static uint64_t number_at(lk_table table, const lk_key *key)
{
    lk_txn *txn = txn_begin();
    uint64_t number = LINKD_ID_NONE;
    bool found = false;

    assert_int_equal(
        lk_number_find(txn, table, lk_key_str(key), &number, &found, &err),
        LINKD_OK);
    lk_txn_abort(txn);
    return found ? number : LINKD_ID_NONE;
}

uint64_t number_of(const char *id)
{
    lk_key key;

    lk_key_id(&key, info_of("people").number, str_of(id));
    return number_at(LK_TABLE_IDS, &key);
}

uint64_t slot_of(const char *id)
{
    lk_key key;

    lk_key_slot(&key, info_of("people").number, 1, number_of(id));
    return number_at(LK_TABLE_SLOTS, &key);
}

uint64_t entity_of(const char *id)
{
    lk_key key;

    lk_key_record(&key, info_of("people").number, number_of(id));
    return number_at(LK_TABLE_ENTITIES, &key);
}

uint64_t meta_of(const char *name)
{
    lk_key key;

    lk_key_begin(&key);
    lk_key_add_bytes(&key, str_of(name));
    return number_at(LK_TABLE_META, &key);
}

uint64_t count_of(lk_table table)
{
    lk_txn *txn = txn_begin();
    uint64_t n = 0;

    assert_int_equal(lk_txn_count(txn, table, &n, &err), LINKD_OK);
    lk_txn_abort(txn);
    return n;
}

bool is_dead(uint64_t slot)
{
    lk_txn *txn;
    linkd_str value;
    lk_key key;
    bool found = false;

    lk_key_slot(&key, info_of("people").number, 1, slot);
    txn = txn_begin();
    assert_int_equal(
        lk_txn_find(txn, LK_TABLE_DEAD, lk_key_str(&key), &value, &found, &err),
        LINKD_OK);
    lk_txn_abort(txn);
    return found;
}

bool vector_read(uint64_t slot, float *ret_vector)
{
    size_t row = (size_t)(slot % LK_ROWS_PER_CHUNK);
    lk_txn *txn;
    linkd_str value;
    lk_chunk chunk;
    lk_key key;
    bool found = false;

    lk_key_slot(&key, info_of("people").number, 1, slot / LK_ROWS_PER_CHUNK);
    txn = txn_begin();
    assert_int_equal(lk_txn_find(txn, LK_TABLE_VECTORS, lk_key_str(&key),
                                 &value, &found, &err),
                     LINKD_OK);
    if (found) {
        assert_int_equal(
            lk_chunk_open(lk_key_str(&key), value, DIM, true, &chunk, &err),
            LINKD_OK);
        memcpy(ret_vector, chunk.vectors + row * DIM, DIM * sizeof(float));
    }
    lk_txn_abort(txn);
    return found;
}

lk_record_row record_of(const char *id)
{
    uint64_t number = number_of(id);
    lk_record_row row = {0};
    lk_txn *txn;
    linkd_str value;
    linkd_str body;
    lk_key key;
    bool found = false;

    lk_key_record(&key, info_of("people").number, number);
    txn = txn_begin();
    assert_int_equal(lk_txn_find(txn, LK_TABLE_RECORDS, lk_key_str(&key),
                                 &value, &found, &err),
                     LINKD_OK);
    assert_true(found);
    assert_int_equal(
        lk_value_open(LK_TABLE_RECORDS, lk_key_str(&key), value, &body, &err),
        LINKD_OK);
    body.bytes = lk_arena_copy(&arena, body.bytes, body.len);
    assert_non_null(body.bytes);
    assert_int_equal(lk_record_row_decode(body, &arena, &row, &err), LINKD_OK);
    lk_txn_abort(txn);
    return row;
}
