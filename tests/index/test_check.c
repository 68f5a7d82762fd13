/* tests/index/test_check.c — damage that a check must find, made on purpose. */
#include "tests/index/oracle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/support/alloc_fail.h"

#define NEEDLE     "a needle in a database"
#define LONG_BYTES ((size_t)300)
#define FAULTS_MAX ((size_t)8)

typedef struct faults {
    size_t n;
    char lines[FAULTS_MAX][248];
} faults;

static void fault_take(void *ctx, const char *message)
{
    faults *f = ctx;

    if (f->n < FAULTS_MAX)
        (void)snprintf(f->lines[f->n], sizeof(f->lines[0]), "%s", message);
    f->n++;
}

static linkd_check_report check_run(faults *ret_faults)
{
    linkd_check_report report = {0};

    *ret_faults = (faults){0};
    assert_int_equal(
        linkd_store_check(store, NULL, fault_take, ret_faults, &report, &err),
        LINKD_OK);
    assert_int_equal(report.n_faults, ret_faults->n);
    return report;
}

static void quiet_open(void)
{
    linkd_store_options options = LINKD_STORE_OPTIONS_INIT;

    options.read_only_check = true;
    assert_int_equal(linkd_store_open("data", &options, &store, &err),
                     LINKD_OK);
}

/* 300 records, some changed, deleted and joined; one of them with a text. */
static void store_fill(void)
{
    static char text[LONG_BYTES];
    linkd_field field = {.name = {"text", 4}, .value = {text, LONG_BYTES}};
    linkd_put puts[2] = {{.id = str_of("r1"), .fields = &field, .n_fields = 1},
                         {.id = str_of("joined"), .join = str_of("r2")}};
    linkd_write_result result;
    linkd_collection_options options = {.dim = 2};
    uint64_t job = 0;

    oracle_reset(8);
    oracle_fill(0, 300);
    for (size_t i = 0; i < 100; i++)
        oracle_change();
    memset(text, 'x', LONG_BYTES);
    memcpy(text + LONG_BYTES - strlen(NEEDLE), NEEDLE, strlen(NEEDLE));
    oracle_fill(1, 3);
    puts[0].dim = DIM;
    puts[0].vector = oracle[1].vector;
    assert_int_equal(
        linkd_store_put(store, str_of("people"), puts, 2, NULL, &result, &err),
        LINKD_OK);
    assert_int_equal(linkd_store_put_review(store, str_of("people"),
                                            str_of("r1"), str_of("r2"),
                                            LINKD_REVIEW_MATCH, &err),
                     LINKD_OK);
    assert_int_equal(
        linkd_store_put_job(store, &job, str_of("state"), NULL, &err),
        LINKD_OK);
    assert_int_equal(linkd_store_create_collection(store, str_of("empty"),
                                                   &options, NULL, NULL, &err),
                     LINKD_OK);
}

static void a_sound_store_has_no_faults(void **state)
{
    linkd_check_report report;
    linkd_collection_info info;
    faults f;

    (void)state;
    store_fill();
    info = info_of("people");
    report = check_run(&f);
    assert_string_equal(f.lines[0], "");
    assert_int_equal(report.n_faults, 0);
    assert_int_equal(report.n_collections, 2);
    assert_int_equal(report.n_records, info.n_records);
    assert_int_equal(report.n_vectors, info.n_vectors);
    assert_true(info.n_vectors < info.n_slots);
    assert_int_equal(info.n_entities, 1);
    assert_int_equal(report.n_jobs, 1);
    assert_int_equal(report.n_segments, 0);
    assert_int_equal(
        linkd_store_drop_collection(store, str_of("people"), NULL, NULL, &err),
        LINKD_OK);
    assert_int_equal(check_run(&f).n_faults, 0);
}

/* Flips a bit of each copy of `bytes` in the database; pages that are not in
 * use any more may have one too. */
static void database_flip(const void *bytes, size_t len)
{
    FILE *file = fopen("data/data.mdb", "r+b");
    char *content = NULL;
    size_t n_flipped = 0;
    long size;

    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    size = ftell(file);
    assert_true(size > 0);
    content = malloc((size_t)size);
    assert_non_null(content);
    rewind(file);
    assert_int_equal(fread(content, 1, (size_t)size, file), size);
    for (char *at = content;;) {
        at = memmem(at, (size_t)(content + size - at), bytes, len);
        if (at == NULL)
            break;
        *at++ ^= 1;
        n_flipped++;
    }
    assert_true(n_flipped > 0);
    rewind(file);
    assert_int_equal(fwrite(content, 1, (size_t)size, file), size);
    assert_int_equal(fclose(file), 0);
    free(content);
}

static void a_flipped_bit_in_a_record_is_found(void **state)
{
    char expected[64];
    faults f;

    (void)state;
    store_fill();
    scratch_store_close();
    database_flip(NEEDLE, strlen(NEEDLE));
    scratch_store_open(0);
    (void)check_run(&f);
    (void)snprintf(expected, sizeof(expected),
                   "collection \"people\": records, entry %zu: ",
                   (size_t)oracle[1].number);
    assert_memory_equal(f.lines[0], expected, strlen(expected));
}

static void a_flipped_bit_in_a_vector_is_found(void **state)
{
    faults f;

    (void)state;
    store_fill();
    scratch_store_close();
    database_flip(oracle[2].vector, sizeof(oracle[2].vector));
    scratch_store_open(0);
    (void)check_run(&f);
    assert_true(f.n > 0);
    assert_non_null(
        strstr(f.lines[0], "collection \"people\": vectors, entry"));
}

/* Removes the first entry of a table behind the writer's back. */
static void first_entry_remove(lk_table table)
{
    lk_txn *txn = NULL;
    lk_cursor *cursor = NULL;
    linkd_str key;
    linkd_str value;
    lk_key copy;
    bool found = false;

    assert_int_equal(lk_txn_begin_write(store->env, &txn, &err), LINKD_OK);
    assert_int_equal(lk_cursor_open(txn, table, &cursor, &err), LINKD_OK);
    assert_int_equal(
        lk_cursor_seek(cursor, str_of(""), &key, &value, &found, &err),
        LINKD_OK);
    assert_true(found);
    lk_key_begin(&copy);
    lk_key_add_bytes(&copy, key);
    lk_cursor_close(cursor);
    assert_int_equal(lk_txn_remove(txn, table, lk_key_str(&copy), &found, &err),
                     LINKD_OK);
    assert_int_equal(lk_txn_commit(txn, &err), LINKD_OK);
}

static void a_lost_entry_of(lk_table table, const char *says)
{
    faults f;
    bool is_said = false;

    store_fill();
    scratch_store_close();
    quiet_open();
    first_entry_remove(table);
    (void)check_run(&f);
    for (size_t i = 0; i < f.n && i < FAULTS_MAX; i++)
        is_said = is_said || strstr(f.lines[i], says) != NULL;
    if (!is_said)
        fail_msg("%zu faults: %s", f.n, f.lines[0]);
}

static void a_lost_record_is_found(void **state)
{
    (void)state;
    a_lost_entry_of(LK_TABLE_RECORDS, "which is not its own");
}

static void a_lost_id_is_found(void **state)
{
    (void)state;
    a_lost_entry_of(LK_TABLE_IDS, "its id does not lead to it");
}

static void a_lost_slot_is_found(void **state)
{
    (void)state;
    a_lost_entry_of(LK_TABLE_SLOTS, "does not lead to it");
}

static void a_lost_chunk_is_found(void **state)
{
    (void)state;
    a_lost_entry_of(LK_TABLE_VECTORS, "its vector is not in slot");
}

static void a_lost_note_of_death_is_found(void **state)
{
    (void)state;
    a_lost_entry_of(LK_TABLE_DEAD, "vectors, but there are");
}

static void a_lost_field_key_is_found(void **state)
{
    (void)state;
    a_lost_entry_of(LK_TABLE_FIELDS, "filters cannot find its field");
}

static void a_lost_entity_is_found(void **state)
{
    (void)state;
    a_lost_entry_of(LK_TABLE_ENTITIES, "does not lead to it");
}

static void a_lost_member_is_found(void **state)
{
    (void)state;
    a_lost_entry_of(LK_TABLE_MEMBERS, "is not among the members");
}

static void a_lost_name_is_found(void **state)
{
    (void)state;
    a_lost_entry_of(LK_TABLE_NAMES, "its name does not lead to it");
}

static void a_lost_collection_is_found(void **state)
{
    (void)state;
    a_lost_entry_of(LK_TABLE_COLLECTIONS, "of its entries belong to nothing");
}

static void damaged_and_lost_segments_are_told_apart(void **state)
{
    linkd_check_report report;
    lk_buf path = {0};
    FILE *file;
    faults f;

    (void)state;
    store_fill();
    scratch_store_close();
    quiet_open();
    oracle_list_segment(&path);
    report = check_run(&f);
    assert_string_equal(f.lines[0], "");
    assert_int_equal(report.n_segments, 1);

    file = fopen(path.data, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, 100, SEEK_SET), 0);
    assert_int_equal(fputc(0xA5, file), 0xA5);
    assert_int_equal(fclose(file), 0);
    report = check_run(&f);
    assert_string_equal(
        f.lines[0],
        "collection \"people\": segment 0 is damaged: it will be built anew");
    assert_int_equal(report.n_bad_segments, 1);

    assert_int_equal(truncate(path.data, 50), 0);
    (void)check_run(&f);
    assert_non_null(strstr(f.lines[0], "has a wrong length"));
    assert_int_equal(unlink(path.data), 0);
    (void)check_run(&f);
    assert_non_null(strstr(f.lines[0], "is gone"));
    lk_buf_clear(&path);
}

static int progress_stop(void *ctx, const char *step, uint64_t done,
                         uint64_t total)
{
    assert_string_equal(step, "check");
    assert_true(done <= total);
    return ++*(int *)ctx;
}

static void a_check_stops_when_it_is_told_to(void **state)
{
    int n_reports = 0;
    linkd_progress progress = {.report = progress_stop, .ctx = &n_reports};
    linkd_check_report report;

    (void)state;
    store_fill();
    assert_int_equal(
        linkd_store_check(store, &progress, NULL, NULL, &report, &err),
        LINKD_E_CANCELLED);
    assert_int_equal(n_reports, 1);
}

static void running_out_of_memory_is_no_fault(void **state)
{
    linkd_check_report report = {0};
    int rc = LINKD_OK;

    (void)state;
    oracle_reset(9);
    oracle_fill(0, 3);
    scratch_store_close();
    quiet_open();
    for (size_t n = 1;; n++) {
        alloc_fail_at(n);
        rc = linkd_store_check(store, NULL, NULL, NULL, &report, &err);
        if (!alloc_fail_off())
            break;
        assert_int_equal(rc, LINKD_E_NOMEM);
    }
    assert_int_equal(rc, LINKD_OK);
    assert_int_equal(report.n_faults, 0);
}

int main(void)
{
#define TEST(name)                                                             \
 cmocka_unit_test_setup_teardown(name, scratch_store_enter, scratch_store_leave)
    const struct CMUnitTest tests[] = {
        TEST(a_sound_store_has_no_faults),
        TEST(a_flipped_bit_in_a_record_is_found),
        TEST(a_flipped_bit_in_a_vector_is_found),
        TEST(a_lost_record_is_found),
        TEST(a_lost_id_is_found),
        TEST(a_lost_slot_is_found),
        TEST(a_lost_chunk_is_found),
        TEST(a_lost_note_of_death_is_found),
        TEST(a_lost_field_key_is_found),
        TEST(a_lost_entity_is_found),
        TEST(a_lost_member_is_found),
        TEST(a_lost_name_is_found),
        TEST(a_lost_collection_is_found),
        TEST(damaged_and_lost_segments_are_told_apart),
        TEST(a_check_stops_when_it_is_told_to),
        TEST(running_out_of_memory_is_no_fault),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
