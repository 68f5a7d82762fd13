/* tests/index/test_records.c — what a put and a deletion leave in the tables,
 * and what they refuse before they reach the writer. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/index/scratch_store.h"
#include "tests/support/alloc_fail.h"

static const float NORTH[DIM] = {1.0F, 0.0F, 0.0F, 0.0F};
static const float EAST[DIM] = {0.0F, 1.0F, 0.0F, 0.0F};

static int put(const linkd_put *puts, size_t n, const linkd_once *once,
               linkd_write_result *ret_result)
{
    return linkd_store_put(store, str_of("people"), puts, n, once, ret_result,
                           &err);
}

static void put_fails(const linkd_put *puts, size_t n, int code,
                      const char *message)
{
    linkd_write_result result;

    assert_int_equal(put(puts, n, NULL, &result), code);
    assert_string_equal(err.message, message);
}

/* `n` records "r0" … with vectors that start with their number. */
#define MANY_MAX ((size_t)1000)
static linkd_put many[MANY_MAX];
static char many_ids[MANY_MAX][8];
static float many_vectors[MANY_MAX][DIM];

static void many_make(size_t n)
{
    for (size_t i = 0; i < n; i++) {
        (void)snprintf(many_ids[i], sizeof(many_ids[i]), "r%zu", i);
        many_vectors[i][0] = (float)i;
        many_vectors[i][1] = 1.0F;
        many[i] = (linkd_put){
            .id = str_of(many_ids[i]), .dim = DIM, .vector = many_vectors[i]};
    }
}

static void many_put(size_t n)
{
    linkd_write_result result;

    many_make(n);
    assert_int_equal(put(many, n, NULL, &result), LINKD_OK);
    assert_int_equal(result.n_created, n);
}

static void assert_vector(const char *id, const float *expected)
{
    float vector[DIM];

    assert_true(vector_read(slot_of(id), vector));
    assert_memory_equal(vector, expected, sizeof(vector));
}

/* ---- putting -------------------------------------------------------------- */

static void a_record_comes_back_after_a_restart(void **state)
{
    const linkd_field fields[] = {
        {str_of("name"), str_of("Ada"), LINKD_FIELD_TEXT},
        {str_of("born"), str_of("1815"), LINKD_FIELD_LITERAL},
    };
    const linkd_put record = {.id = str_of("a"),
                              .fields = fields,
                              .n_fields = 2,
                              .dim = DIM,
                              .vector = NORTH};
    linkd_write_result result;
    lk_record_row row;

    (void)state;
    assert_int_equal(put(&record, 1, NULL, &result), LINKD_OK);
    assert_int_equal(result.n_created, 1);
    assert_int_equal(result.entity, LINKD_ID_NONE);
    scratch_store_reopen();
    row = record_of("a");
    assert_int_equal(row.seq, result.seq);
    assert_int_equal(row.n_fields, 2);
    assert_memory_equal(row.fields[0].value.bytes, "Ada", 3);
    assert_int_equal(row.fields[1].kind, LINKD_FIELD_LITERAL);
    assert_vector("a", NORTH);
    assert_int_equal(info_of("people").n_records, 1);
    assert_int_equal(info_of("people").n_vectors, 1);
    assert_int_equal(meta_of("seq"), result.seq);
}

/* A number is what segments, entities and links know a record by. */
static void a_replaced_record_keeps_its_number(void **state)
{
    linkd_write_result result;
    uint64_t number;

    (void)state;
    put_one("a", NORTH);
    put_one("b", EAST);
    number = number_of("b");
    result = put_one("b", NORTH);
    assert_int_equal(result.n_updated, 1);
    assert_int_equal(result.n_created, 0);
    assert_int_equal(number_of("b"), number);
    assert_int_equal(info_of("people").n_records, 2);
}

static void a_changed_vector_gets_a_new_slot(void **state)
{
    (void)state;
    put_one("a", NORTH);
    put_one("a", EAST);
    assert_int_equal(slot_of("a"), 1);
    assert_true(is_dead(0));
    assert_false(is_dead(1));
    assert_vector("a", EAST);
    assert_int_equal(info_of("people").n_vectors, 1);
    assert_int_equal(info_of("people").n_slots, 2);
}

/* Else every change of a field would make a segment worse. */
static void an_equal_vector_keeps_its_slot(void **state)
{
    (void)state;
    put_one("a", NORTH);
    put_one("a", NORTH);
    assert_int_equal(slot_of("a"), 0);
    assert_int_equal(count_of(LK_TABLE_DEAD), 0);
    assert_int_equal(info_of("people").n_slots, 1);
}

static void a_record_put_without_its_vector_loses_it(void **state)
{
    (void)state;
    put_one("a", NORTH);
    put_one("a", NULL);
    assert_int_equal(slot_of("a"), LINKD_ID_NONE);
    assert_true(is_dead(0));
    assert_int_equal(info_of("people").n_vectors, 0);
}

static void vectors_of_many_puts_fill_chunks_in_order(void **state)
{
    (void)state;
    many_put(100); /* a chunk and a half */
    many_make(200);
    for (size_t i = 100; i < 200; i++)
        put_one(many_ids[i], many_vectors[i]);
    assert_int_equal(count_of(LK_TABLE_VECTORS), 4);
    for (size_t i = 0; i < 200; i++) {
        assert_int_equal(slot_of(many_ids[i]), i);
        assert_vector(many_ids[i], many_vectors[i]);
    }
}

static void every_change_is_one_entry_of_the_log(void **state)
{
    linkd_write_result result;

    (void)state;
    many_put(3);
    result = delete_one("r1");
    assert_int_equal(count_of(LK_TABLE_LOG), 4);
    assert_int_equal(record_of("r2").seq, result.seq - 1);
}

/* ---- fields ---------------------------------------------------------------- */

static void put_field(const char *name, const char *value,
                      linkd_field_kind kind)
{
    linkd_field field = {str_of(name), str_of(value), kind};
    linkd_put record = {.id = str_of("a"), .fields = &field, .n_fields = 1};
    linkd_write_result result;

    assert_int_equal(put(&record, 1, NULL, &result), LINKD_OK);
}

static bool has_text_key(const char *name, const char *value)
{
    lk_txn *txn = NULL;
    linkd_str ignored;
    lk_key key;
    bool found = false;

    lk_field_key_begin(&key, info_of("people").number, str_of(name),
                       LK_FIELD_KEY_TEXT);
    lk_field_key_add_text(&key, str_of(value));
    lk_key_add_u64(&key, number_of("a"));
    assert_int_equal(lk_txn_begin_read(store->env, &txn, &err), LINKD_OK);
    assert_int_equal(lk_txn_find(txn, LK_TABLE_FIELDS, lk_key_str(&key),
                                 &ignored, &found, &err),
                     LINKD_OK);
    lk_txn_abort(txn);
    return found;
}

static void filters_find_the_new_value_and_not_the_old_one(void **state)
{
    (void)state;
    put_field("city", "Bern", LINKD_FIELD_TEXT);
    assert_true(has_text_key("city", "Bern"));
    put_field("city", "Basel", LINKD_FIELD_TEXT);
    assert_true(has_text_key("city", "Basel"));
    assert_false(has_text_key("city", "Bern"));
    assert_int_equal(count_of(LK_TABLE_FIELDS), 2); /* exists, and its value */
}

static void only_the_filter_fields_of_a_collection_get_keys(void **state)
{
    const linkd_str names[] = {str_of("city")};
    const linkd_collection_options options = {
        .dim = DIM, .filter_fields = names, .n_filter_fields = 1};
    const linkd_field fields[] = {
        {str_of("city"), str_of("Bern"), LINKD_FIELD_TEXT},
        {str_of("name"), str_of("Ada"), LINKD_FIELD_TEXT}};
    const linkd_put record = {
        .id = str_of("a"), .fields = fields, .n_fields = 2};
    linkd_write_result result;

    (void)state;
    assert_int_equal(linkd_store_create_collection(store, str_of("few"),
                                                   &options, NULL, NULL, &err),
                     LINKD_OK);
    assert_int_equal(
        linkd_store_put(store, str_of("few"), &record, 1, NULL, &result, &err),
        LINKD_OK);
    assert_int_equal(count_of(LK_TABLE_FIELDS), 2);
}

/* ---- deleting -------------------------------------------------------------- */

static void a_deleted_record_leaves_only_its_log_and_its_dead_slot(void **state)
{
    linkd_write_result result;

    (void)state;
    put_field("city", "Bern", LINKD_FIELD_TEXT);
    put_one("b", NORTH);
    delete_one("a");
    result = delete_one("b");
    assert_int_equal(result.n_deleted, 1);
    assert_int_equal(count_of(LK_TABLE_RECORDS), 0);
    assert_int_equal(count_of(LK_TABLE_IDS), 0);
    assert_int_equal(count_of(LK_TABLE_FIELDS), 0);
    assert_int_equal(count_of(LK_TABLE_SLOTS), 0);
    assert_true(is_dead(0));
    assert_int_equal(info_of("people").n_records, 0);
}

static void deleting_what_is_not_there_deletes_nothing(void **state)
{
    linkd_write_result result;

    (void)state;
    put_one("a", NORTH);
    result = delete_one("b");
    assert_int_equal(result.n_deleted, 0);
    assert_int_equal(info_of("people").n_records, 1);
}

/* Somebody may still hold the old number. */
static void a_record_that_is_put_again_gets_another_number(void **state)
{
    uint64_t number;

    (void)state;
    put_one("a", NORTH);
    number = number_of("a");
    delete_one("a");
    put_one("a", NORTH);
    assert_int_not_equal(number_of("a"), number);
}

/* ---- refusing --------------------------------------------------------------- */

static void a_wrong_record_is_named_and_nothing_is_written(void **state)
{
    static const float bad[DIM] = {0.0F, NAN, 0.0F, 0.0F};
    static char long_id[LINKD_ID_MAX_BYTES + 1];
    linkd_field twice[2] = {{str_of("x"), str_of("1"), LINKD_FIELD_TEXT},
                            {str_of("x"), str_of("2"), LINKD_FIELD_TEXT}};
    linkd_put puts[3] = {
        {.id = str_of("a")}, {.id = str_of("b")}, {.id = str_of("a")}};

    (void)state;
    put_fails(puts, 3, LINKD_E_ARG, "record 2: id \"a\" is repeated");
    puts[2] = (linkd_put){.id = str_of("c"), .dim = DIM, .vector = bad};
    put_fails(puts, 3, LINKD_E_ARG,
              "record 2: number 1 of its vector is not finite");
    puts[2] = (linkd_put){.id = str_of("c"), .dim = DIM - 1, .vector = NORTH};
    put_fails(puts, 3, LINKD_E_ARG,
              "record 2: its vector has 3 numbers, not the collection's 4");
    puts[2] = (linkd_put){.id = str_of("")};
    put_fails(puts, 3, LINKD_E_ARG,
              "record 2: its id has 0 bytes, not 1 to 480");
    puts[2] = (linkd_put){.id = {long_id, sizeof(long_id)}};
    put_fails(puts, 3, LINKD_E_ARG,
              "record 2: its id has 481 bytes, not 1 to 480");
    puts[2] = (linkd_put){.id = str_of("c"), .fields = twice, .n_fields = 2};
    put_fails(puts, 3, LINKD_E_ARG, "record 2: field \"x\" is repeated");
    assert_int_equal(count_of(LK_TABLE_RECORDS), 0);
}

static void limits_of_one_write_hold(void **state)
{
    linkd_field big = {
        str_of("x"), {"", LINKD_RECORD_MAX_BYTES}, LINKD_FIELD_TEXT};
    linkd_put record = {.id = str_of("a"), .fields = &big, .n_fields = 1};

    (void)state;
    put_fails(&record, 1, LINKD_E_ARG,
              "record 0: its fields have more than 16777216 bytes");
    record.n_fields = LINKD_FIELDS_MAX + 1;
    put_fails(&record, 1, LINKD_E_ARG,
              "record 0: it has 4097 fields, most is 4096");
    put_fails(&record, LINKD_PUT_MAX + 1, LINKD_E_ARG,
              "65537 records in one write, most is 65536");
}

static void a_collection_that_is_not_there_is_absent(void **state)
{
    linkd_put record = {.id = str_of("a")};
    linkd_write_result result;

    (void)state;
    assert_int_equal(linkd_store_put(store, str_of("nobody"), &record, 1, NULL,
                                     &result, &err),
                     LINKD_E_ABSENT);
    assert_string_equal(err.message, "there is no collection \"nobody\"");
}

static void an_allocation_that_fails_leaves_the_store_as_it_was(void **state)
{
    const linkd_field field = {str_of("city"), str_of("Bern"),
                               LINKD_FIELD_TEXT};
    linkd_put puts[2] = {
        {.id = str_of("a"),
         .fields = &field,
         .n_fields = 1,
         .dim = DIM,
         .vector = EAST},
        {.id = str_of("b"), .dim = DIM, .vector = NORTH, .new_entity = true}};
    uint64_t seq = put_one("a", NORTH).seq;
    linkd_write_result result;
    int rc;

    (void)state;
    for (size_t n = 1;; n++) {
        alloc_fail_at(n);
        rc = put(puts, 2, NULL, &result);
        if (!alloc_fail_off())
            break;
        if (rc == LINKD_OK) { /* it was the builder's allocation */
            seq = result.seq;
            continue;
        }
        assert_int_equal(rc, LINKD_E_NOMEM);
        assert_int_equal(meta_of("seq"), seq);
    }
    assert_int_equal(rc, LINKD_OK);
    assert_int_equal(info_of("people").n_records, 2);
    assert_vector("a", EAST);
}

/* ---- keys ------------------------------------------------------------------- */

static void a_repeated_key_answers_the_first_result(void **state)
{
    const linkd_once once = {.key = str_of("key-1"), .request_hash = 77};
    const linkd_put record = {
        .id = str_of("a"), .dim = DIM, .vector = NORTH, .new_entity = true};
    linkd_write_result first;
    linkd_write_result second;

    (void)state;
    assert_int_equal(put(&record, 1, &once, &first), LINKD_OK);
    assert_false(first.replayed);
    scratch_store_reopen();
    assert_int_equal(put(&record, 1, &once, &second), LINKD_OK);
    assert_true(second.replayed);
    assert_int_equal(second.seq, first.seq);
    assert_int_equal(second.n_created, 1);
    assert_int_equal(second.entity, first.entity);
    assert_int_equal(meta_of("seq"), first.seq);
}

static void a_key_of_another_request_conflicts(void **state)
{
    const linkd_once once = {.key = str_of("key-1"), .request_hash = 77};
    const linkd_once other = {.key = str_of("key-1"), .request_hash = 78};
    const linkd_put record = {.id = str_of("a")};
    linkd_write_result result;

    (void)state;
    assert_int_equal(put(&record, 1, &once, &result), LINKD_OK);
    assert_int_equal(put(&record, 1, &other, &result), LINKD_E_CONFLICT);
    assert_string_equal(err.message,
                        "the idempotency key was used for another request");
}

static void a_key_that_is_too_long_is_refused(void **state)
{
    static char key[LINKD_KEY_MAX_BYTES + 1];
    const linkd_once once = {.key = {key, sizeof(key)}, .request_hash = 1};
    const linkd_put record = {.id = str_of("a")};
    linkd_write_result result;

    (void)state;
    assert_int_equal(put(&record, 1, &once, &result), LINKD_E_ARG);
}

/* ---- what the builder changes ----------------------------------------------- */

static void a_vacuum_moves_what_is_alive_and_removes_the_chunk(void **state)
{
    const uint64_t chunks[] = {0, 1, 9};
    lk_vacuum vacuum = {.generation = 1, .chunks = chunks, .n_chunks = 3};
    float vector[DIM];

    (void)state;
    many_put(100);
    for (size_t i = 1; i < 64; i++)
        delete_one(many_ids[i]);
    vacuum.collection = info_of("people").number;
    assert_int_equal(
        lk_writer_run(store->writer, lk_vacuum_apply, &vacuum, 1, NULL, &err),
        LINKD_OK);
    assert_int_equal(vacuum.ret_n_moved, 1);
    assert_int_equal(slot_of("r0"), 100);
    assert_vector("r0", many_vectors[0]);
    assert_false(vector_read(0, vector));
    assert_int_equal(count_of(LK_TABLE_DEAD), 0);
    assert_int_equal(slot_of("r64"), 64); /* the last chunk stays */
    assert_int_equal(info_of("people").n_vectors, 37);
}

static void segments_are_exchanged_in_one_step(void **state)
{
    const uint64_t removed[] = {1, 2};
    const lk_segment_row row = {.slot_end = 64, .n = 3, .factory = str_of("x")};
    lk_segments_change change = {.generation = 1, .number = 1, .added = &row};
    lk_arena arena = {0};
    lk_collection_row collection;
    lk_txn *txn = NULL;

    (void)state;
    change.collection = info_of("people").number;
    for (change.number = 1; change.number <= 2; change.number++)
        assert_int_equal(lk_writer_run(store->writer, lk_segments_apply,
                                       &change, 1, NULL, &err),
                         LINKD_OK);
    assert_int_equal(count_of(LK_TABLE_SEGMENTS), 2);
    change.removed = removed;
    change.n_removed = 2;
    assert_int_equal(
        lk_writer_run(store->writer, lk_segments_apply, &change, 1, NULL, &err),
        LINKD_OK);
    assert_int_equal(count_of(LK_TABLE_SEGMENTS), 1);
    assert_int_equal(lk_txn_begin_read(store->env, &txn, &err), LINKD_OK);
    assert_int_equal(
        lk_collection_get(txn, change.collection, &arena, &collection, &err),
        LINKD_OK);
    lk_txn_abort(txn);
    assert_int_equal(collection.next_segment, 4);
    lk_arena_clear(&arena);
}

int main(void)
{
#define TEST(name)                                                             \
 cmocka_unit_test_setup_teardown(name, scratch_store_enter, scratch_store_leave)
    const struct CMUnitTest tests[] = {
        TEST(a_record_comes_back_after_a_restart),
        TEST(a_replaced_record_keeps_its_number),
        TEST(a_changed_vector_gets_a_new_slot),
        TEST(an_equal_vector_keeps_its_slot),
        TEST(a_record_put_without_its_vector_loses_it),
        TEST(vectors_of_many_puts_fill_chunks_in_order),
        TEST(every_change_is_one_entry_of_the_log),
        TEST(filters_find_the_new_value_and_not_the_old_one),
        TEST(only_the_filter_fields_of_a_collection_get_keys),
        TEST(a_deleted_record_leaves_only_its_log_and_its_dead_slot),
        TEST(deleting_what_is_not_there_deletes_nothing),
        TEST(a_record_that_is_put_again_gets_another_number),
        TEST(a_wrong_record_is_named_and_nothing_is_written),
        TEST(limits_of_one_write_hold),
        TEST(a_collection_that_is_not_there_is_absent),
        TEST(an_allocation_that_fails_leaves_the_store_as_it_was),
        TEST(a_repeated_key_answers_the_first_result),
        TEST(a_key_of_another_request_conflicts),
        TEST(a_key_that_is_too_long_is_refused),
        TEST(a_vacuum_moves_what_is_alive_and_removes_the_chunk),
        TEST(segments_are_exchanged_in_one_step),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
