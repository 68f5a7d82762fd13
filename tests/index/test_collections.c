/* tests/index/test_collections.c — collections come, go and say what they are.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/index/scratch_store.h"
#include "tests/support/alloc_fail.h"

static int create(const char *name, const linkd_collection_options *options)
{
    return linkd_store_create_collection(store, str_of(name), options, NULL,
                                         NULL, &err);
}

static const linkd_collection_options PLAIN = {.dim = DIM};

static void options_come_back_after_a_restart(void **state)
{
    const linkd_str fields[] = {str_of("city"), str_of("born")};
    const linkd_collection_options options = {
        .dim = 384,
        .index = LINKD_INDEX_HNSW,
        .model = str_of("all-MiniLM-L6-v2"),
        .fingerprint = str_of("f00d"),
        .settings = str_of("{\"template\":\"{name}\"}"),
        .filter_fields = fields,
        .n_filter_fields = 2,
    };
    linkd_collection_info info;

    (void)state;
    assert_int_equal(create("papers", &options), LINKD_OK);
    scratch_store_reopen();
    info = info_of("papers");
    assert_int_equal(info.options.dim, 384);
    assert_int_equal(info.options.index, LINKD_INDEX_HNSW);
    assert_memory_equal(info.options.fingerprint.bytes, "f00d", 4);
    assert_int_equal(info.options.settings.len, options.settings.len);
    assert_int_equal(info.options.n_filter_fields, 2);
    assert_memory_equal(info.options.filter_fields[1].bytes, "born", 4);
    assert_int_equal(info.generation, 1);
    assert_true(info.created_unix_ms > 0);
    assert_int_equal(info.n_records, 0);
}

static void a_name_is_taken_once(void **state)
{
    (void)state;
    assert_int_equal(create("people", &PLAIN), LINKD_E_CONFLICT);
    assert_string_equal(err.message, "collection \"people\" exists");
}

static void names_and_options_that_are_wrong_are_refused(void **state)
{
    static const char *const names[] = {"", ".hidden", "a/b", "a b", "caf\xc3"};
    static char long_name[LINKD_NAME_MAX_BYTES + 2];
    static char text[70000];
    linkd_collection_options options = PLAIN;

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        assert_int_equal(create(names[i], &PLAIN), LINKD_E_ARG);
    memset(long_name, 'a', sizeof(long_name) - 1);
    assert_int_equal(create(long_name, &PLAIN), LINKD_E_ARG);
    assert_int_equal(create(long_name + 1, &PLAIN), LINKD_OK);
    options.dim = 0;
    assert_int_equal(create("x", &options), LINKD_E_ARG);
    options.dim = LINKD_DIM_MAX + 1;
    assert_int_equal(create("x", &options), LINKD_E_ARG);
    assert_string_equal(err.message,
                        "vectors have 1 to 8192 numbers, not 8193");
    options = PLAIN;
    options.settings = (linkd_str){text, sizeof(text)};
    assert_int_equal(create("x", &options), LINKD_E_ARG);
}

static void collections_are_listed_by_name(void **state)
{
    lk_arena arena = {0};
    linkd_collection_info *infos = NULL;
    size_t n = 0;

    (void)state;
    assert_int_equal(create("zoo", &PLAIN), LINKD_OK);
    assert_int_equal(create("-first", &PLAIN), LINKD_OK);
    assert_int_equal(linkd_store_list(store, &arena, &infos, &n, &err),
                     LINKD_OK);
    assert_int_equal(n, 3);
    assert_memory_equal(infos[0].name.bytes, "-first", 6);
    assert_memory_equal(infos[1].name.bytes, "people", 6);
    assert_memory_equal(infos[2].name.bytes, "zoo", 3);
    lk_arena_clear(&arena);
}

static void what_is_not_there_is_absent(void **state)
{
    lk_arena arena = {0};
    linkd_collection_info info;

    (void)state;
    assert_int_equal(
        linkd_store_describe(store, str_of("nobody"), &arena, &info, &err),
        LINKD_E_ABSENT);
    assert_int_equal(
        linkd_store_drop_collection(store, str_of("nobody"), NULL, NULL, &err),
        LINKD_E_ABSENT);
    assert_string_equal(err.message, "there is no collection \"nobody\"");
    lk_arena_clear(&arena);
}

/* ---- dropping ----------------------------------------------------------------- */

static void purge(uint32_t number)
{
    lk_purge step = {.collection = number, .ret_more = true};

    while (step.ret_more)
        assert_int_equal(lk_writer_run(store->writer, lk_collection_purge_step,
                                       &step, 1, NULL, &err),
                         LINKD_OK);
}

static void a_dropped_collection_frees_its_name_at_once(void **state)
{
    static const float vector[DIM] = {1.0F};
    uint32_t number = info_of("people").number;

    (void)state;
    put_one("a", vector);
    assert_int_equal(
        linkd_store_drop_collection(store, str_of("people"), NULL, NULL, &err),
        LINKD_OK);
    assert_int_equal(create("people", &PLAIN), LINKD_OK);
    assert_int_not_equal(info_of("people").number, number);
    assert_int_equal(info_of("people").n_records, 0);
    assert_int_equal(number_of("a"), LINKD_ID_NONE);
}

static void the_rows_of_a_dropped_collection_are_removed(void **state)
{
    static const float vector[DIM] = {1.0F};
    const linkd_field field = {str_of("x"), str_of("1"), LINKD_FIELD_TEXT};
    const linkd_put record = {.id = str_of("a"),
                              .fields = &field,
                              .n_fields = 1,
                              .dim = DIM,
                              .vector = vector,
                              .new_entity = true};
    uint32_t number = info_of("people").number;
    linkd_write_result result;

    (void)state;
    assert_int_equal(create("others", &PLAIN), LINKD_OK);
    for (int i = 0; i < 2; i++)
        assert_int_equal(linkd_store_put(store,
                                         str_of(i == 0 ? "others" : "people"),
                                         &record, 1, NULL, &result, &err),
                         LINKD_OK);
    assert_int_equal(count_of(LK_TABLE_RECORDS), 2);
    assert_int_equal(
        linkd_store_drop_collection(store, str_of("people"), NULL, NULL, &err),
        LINKD_OK);
    purge(number);
    assert_int_equal(count_of(LK_TABLE_COLLECTIONS), 1);
    assert_int_equal(count_of(LK_TABLE_GENERATIONS), 1);
    assert_int_equal(count_of(LK_TABLE_RECORDS), 1);
    assert_int_equal(count_of(LK_TABLE_IDS), 1);
    assert_int_equal(count_of(LK_TABLE_FIELDS), 2);
    assert_int_equal(count_of(LK_TABLE_VECTORS), 1);
    assert_int_equal(count_of(LK_TABLE_SLOTS), 1);
    assert_int_equal(count_of(LK_TABLE_ENTITIES), 1);
    assert_int_equal(count_of(LK_TABLE_MEMBERS), 1);
    assert_int_equal(info_of("others").n_records, 1);
}

/* The builder may be in the middle of something when a collection goes. */
static void a_segment_of_a_dropped_collection_is_refused(void **state)
{
    const lk_segment_row row = {.slot_end = 64, .n = 3};
    lk_segments_change change = {
        .collection = info_of("people").number,
        .generation = 1,
        .number = 1,
        .added = &row,
    };

    (void)state;
    assert_int_equal(
        linkd_store_drop_collection(store, str_of("people"), NULL, NULL, &err),
        LINKD_OK);
    assert_int_equal(
        lk_writer_run(store->writer, lk_segments_apply, &change, 1, NULL, &err),
        LINKD_E_ABSENT);
    assert_int_equal(count_of(LK_TABLE_SEGMENTS), 0);
}

static void a_live_collection_is_not_purged(void **state)
{
    (void)state;
    put_one("a", NULL);
    purge(info_of("people").number);
    assert_int_equal(info_of("people").n_records, 1);
}

static void creating_survives_failing_allocations(void **state)
{
    int rc;

    (void)state;
    for (size_t n = 1;; n++) {
        alloc_fail_at(n);
        rc = create("papers", &PLAIN);
        if (!alloc_fail_off() || rc == LINKD_OK)
            break;
        assert_int_equal(rc, LINKD_E_NOMEM);
        assert_int_equal(count_of(LK_TABLE_COLLECTIONS), 1);
    }
    assert_int_equal(rc, LINKD_OK);
    assert_int_equal(info_of("papers").options.dim, DIM);
}

int main(void)
{
#define TEST(name)                                                             \
 cmocka_unit_test_setup_teardown(name, scratch_store_enter, scratch_store_leave)
    const struct CMUnitTest tests[] = {
        TEST(options_come_back_after_a_restart),
        TEST(a_name_is_taken_once),
        TEST(names_and_options_that_are_wrong_are_refused),
        TEST(collections_are_listed_by_name),
        TEST(what_is_not_there_is_absent),
        TEST(a_dropped_collection_frees_its_name_at_once),
        TEST(the_rows_of_a_dropped_collection_are_removed),
        TEST(a_segment_of_a_dropped_collection_is_refused),
        TEST(a_live_collection_is_not_purged),
        TEST(creating_survives_failing_allocations),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
