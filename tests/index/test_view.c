/* tests/index/test_view.c — what a view shows, and that it goes on showing it. */
#include "tests/index/oracle.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/alloc_fail.h"

static const float east[DIM] = {1.0F};
static const float north[DIM] = {0.0F, 1.0F};

static uint64_t find(linkd_view *view, const char *id)
{
    uint64_t number = LINKD_ID_NONE;
    bool found = false;

    assert_int_equal(linkd_view_find(view, str_of(id), &number, &found, &err),
                     LINKD_OK);
    return found ? number : LINKD_ID_NONE;
}

static const float *vector_of(linkd_view *view, uint64_t number)
{
    const float *vector = NULL;

    assert_int_equal(linkd_view_vector(view, number, &vector, &err), LINKD_OK);
    return vector;
}

static void a_collection_that_is_not_there_has_no_view(void **state)
{
    linkd_view *view = NULL;

    (void)state;
    assert_int_equal(linkd_view_open(store, str_of("nobody"), &view, &err),
                     LINKD_E_ABSENT);
    assert_string_equal(err.message, "there is no collection \"nobody\"");
    assert_null(view);
    assert_int_equal(
        linkd_store_drop_collection(store, str_of("people"), NULL, NULL, &err),
        LINKD_OK);
    assert_int_equal(linkd_view_open(store, str_of("people"), &view, &err),
                     LINKD_E_ABSENT);
}

static void a_record_is_read_as_it_was_put(void **state)
{
    linkd_field fields[] = {{.name = str_of("name"), .value = str_of("Ann")},
                            {.name = str_of("age"),
                             .value = str_of("31"),
                             .kind = LINKD_FIELD_LITERAL}};
    linkd_put put = {.id = str_of("a"),
                     .fields = fields,
                     .n_fields = 2,
                     .dim = DIM,
                     .vector = north,
                     .new_entity = true};
    linkd_write_result result;
    linkd_stored stored;
    lk_arena arena = {0};
    linkd_view *view;

    (void)state;
    assert_int_equal(
        linkd_store_put(store, str_of("people"), &put, 1, NULL, &result, &err),
        LINKD_OK);
    view = view_open();
    assert_int_equal(linkd_view_seq(view), result.seq);
    assert_int_equal(linkd_view_dim(view), DIM);
    assert_int_equal(linkd_view_n_records(view), 1);
    assert_int_equal(
        linkd_view_read(view, find(view, "a"), &arena, &stored, &err),
        LINKD_OK);
    assert_memory_equal(stored.id.bytes, "a", 1);
    assert_int_equal(stored.seq, result.seq);
    assert_int_equal(stored.entity, result.entity);
    assert_int_equal(stored.n_fields, 2);
    assert_memory_equal(stored.fields[0].value.bytes, "Ann", 3);
    assert_int_equal(stored.fields[1].kind, LINKD_FIELD_LITERAL);
    assert_memory_equal(vector_of(view, stored.number), north, sizeof(north));
    assert_int_equal(linkd_view_read(view, 99, &arena, &stored, &err),
                     LINKD_E_ABSENT);
    assert_string_equal(err.message, "there is no record number 99");
    linkd_view_close(view);
    lk_arena_clear(&arena);
}

static void what_is_not_there_is_not_found(void **state)
{
    char long_id[LINKD_ID_MAX_BYTES + 2];
    linkd_view *view;

    (void)state;
    (void)put_one("a", NULL);
    view = view_open();
    memset(long_id, 'a', sizeof(long_id) - 1);
    long_id[sizeof(long_id) - 1] = '\0';
    assert_true(find(view, "b") == LINKD_ID_NONE);
    assert_true(find(view, "") == LINKD_ID_NONE);
    assert_true(find(view, long_id) == LINKD_ID_NONE);
    assert_null(vector_of(view, find(view, "a")));
    linkd_view_close(view);
}

static void a_view_keeps_its_picture_while_others_write(void **state)
{
    uint64_t number;
    linkd_view *before;
    linkd_view *after;

    (void)state;
    (void)put_one("a", north);
    before = view_open();
    number = find(before, "a");
    (void)put_one("a", east);
    (void)put_one("b", east);
    assert_memory_equal(vector_of(before, number), north, sizeof(north));
    assert_true(find(before, "b") == LINKD_ID_NONE);
    assert_int_equal(delete_one("a").n_deleted, 1);
    after = view_open();
    assert_int_equal(find(before, "a"), number);
    assert_int_equal(linkd_view_n_records(before), 1);
    assert_true(find(after, "a") == LINKD_ID_NONE);
    assert_memory_equal(vector_of(after, find(after, "b")), east, sizeof(east));
    assert_true(linkd_view_seq(after) > linkd_view_seq(before));
    linkd_view_close(after);
    linkd_view_close(before);
}

static void records_come_in_the_order_of_their_numbers(void **state)
{
    uint64_t number = 0;
    bool found = true;
    size_t n = 0;
    linkd_view *view;

    (void)state;
    oracle_reset(10);
    oracle_fill(0, 20);
    assert_int_equal(delete_one("r3").n_deleted, 1);
    view = view_open();
    for (uint64_t from = 0;; from = number + 1, n++) {
        assert_int_equal(linkd_view_next(view, from, &number, &found, &err),
                         LINKD_OK);
        if (!found)
            break;
        assert_true(number >= from && number != oracle[3].number);
    }
    assert_int_equal(n, 19);
    linkd_view_close(view);
}

static void members_events_and_reviews_are_read(void **state)
{
    linkd_str ids[] = {str_of("a"), str_of("b"), str_of("c")};
    static const uint64_t apart[] = {1, 2, 2};
    static const uint64_t together[] = {1, 1, 1};
    linkd_write_result result;
    linkd_entity_event event = {0};
    linkd_review_answer answer = LINKD_REVIEW_NONE;
    uint64_t number = 0;
    uint64_t entity;
    size_t n = 0;
    bool found = true;
    linkd_view *view;

    (void)state;
    (void)put_one("a", NULL);
    (void)put_one("b", NULL);
    (void)put_one("c", NULL);
    assert_int_equal(
        linkd_store_assign_entities(
            store, str_of("people"),
            &(linkd_assignment){.ids = ids, .groups = apart, .n = 3}, &result,
            &err),
        LINKD_OK);
    assert_int_equal(
        linkd_store_assign_entities(
            store, str_of("people"),
            &(linkd_assignment){.ids = ids, .groups = together, .n = 3},
            &result, &err),
        LINKD_OK);
    assert_int_equal(linkd_store_put_review(store, str_of("people"), ids[0],
                                            ids[1], LINKD_REVIEW_DIFFERENT,
                                            &err),
                     LINKD_OK);
    entity = entity_of("a");
    view = view_open();
    for (uint64_t from = 0;; from = number + 1, n++) {
        assert_int_equal(
            linkd_view_next_member(view, entity, from, &number, &found, &err),
            LINKD_OK);
        if (!found)
            break;
    }
    assert_int_equal(n, 3);
    assert_int_equal(linkd_view_next_event(view, 0, &event, &found, &err),
                     LINKD_OK);
    assert_true(found && event.merged);
    assert_int_equal(event.entity, entity);
    assert_int_equal(
        linkd_view_next_event(view, event.seq + 1, &event, &found, &err),
        LINKD_OK);
    assert_false(found);
    assert_int_equal(linkd_view_review(view, ids[1], ids[0], &answer, &err),
                     LINKD_OK);
    assert_int_equal(answer, LINKD_REVIEW_DIFFERENT);
    assert_int_equal(linkd_view_review(view, ids[1], ids[2], &answer, &err),
                     LINKD_OK);
    assert_int_equal(answer, LINKD_REVIEW_NONE);
    linkd_view_close(view);
}

static void changes_are_those_of_the_collection(void **state)
{
    linkd_collection_options options = {.dim = DIM};
    linkd_put put = {.id = str_of("z")};
    linkd_write_result result;
    linkd_change change = {0};
    uint64_t number;
    bool found = false;
    linkd_view *view;

    (void)state;
    assert_int_equal(linkd_store_create_collection(store, str_of("other"),
                                                   &options, NULL, NULL, &err),
                     LINKD_OK);
    (void)put_one("a", NULL);
    number = number_of("a");
    assert_int_equal(
        linkd_store_put(store, str_of("other"), &put, 1, NULL, &result, &err),
        LINKD_OK);
    (void)delete_one("a");
    view = view_open();
    assert_int_equal(linkd_view_next_change(view, 0, &change, &found, &err),
                     LINKD_OK);
    assert_true(found && change.op == LINKD_CHANGE_PUT);
    assert_int_equal(change.number, number);
    assert_int_equal(
        linkd_view_next_change(view, change.seq + 1, &change, &found, &err),
        LINKD_OK);
    assert_true(found && change.op == LINKD_CHANGE_DELETE);
    assert_int_equal(change.seq, linkd_view_seq(view));
    assert_int_equal(
        linkd_view_next_change(view, change.seq + 1, &change, &found, &err),
        LINKD_OK);
    assert_false(found);
    linkd_view_close(view);
}

static void *writes_run(void *ctx)
{
    atomic_bool *done = ctx;

    for (size_t i = 0; i < 200; i++)
        (void)put_one("a", i % 2 == 0 ? north : east);
    atomic_store(done, true);
    return NULL;
}

/* Whatever the moment, the record has exactly one vector, and is a hit. */
static void views_are_whole_in_the_midst_of_writes(void **state)
{
    linkd_search_options options = LINKD_SEARCH_OPTIONS_INIT;
    linkd_hit hits[10];
    linkd_error error = {0};
    atomic_bool done = false;
    pthread_t thread;

    (void)state;
    (void)put_one("a", north);
    assert_int_equal(pthread_create(&thread, NULL, writes_run, &done), 0);
    while (!atomic_load(&done)) {
        linkd_view *view = NULL;

        assert_int_equal(
            linkd_view_open(store, str_of("people"), &view, &error), LINKD_OK);
        assert_int_equal(
            linkd_view_search(view, north, 1, &options, hits, NULL, &error),
            LINKD_OK);
        assert_int_equal(hits[0].id, 0);
        assert_true(hits[1].id == LINKD_ID_NONE);
        linkd_view_close(view);
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
}

static void running_out_of_memory_is_reported(void **state)
{
    linkd_view *view = NULL;
    int rc = LINKD_OK;

    (void)state;
    (void)put_one("a", north);
    for (size_t n = 1;; n++) {
        alloc_fail_at(n);
        rc = linkd_view_open(store, str_of("people"), &view, &err);
        if (!alloc_fail_off())
            break;
        assert_int_equal(rc, LINKD_E_NOMEM);
    }
    assert_int_equal(rc, LINKD_OK);
    linkd_view_close(view);
}

int main(void)
{
#define TEST(name)                                                             \
 cmocka_unit_test_setup_teardown(name, scratch_store_enter, scratch_store_leave)
    const struct CMUnitTest tests[] = {
        TEST(a_collection_that_is_not_there_has_no_view),
        TEST(a_record_is_read_as_it_was_put),
        TEST(what_is_not_there_is_not_found),
        TEST(a_view_keeps_its_picture_while_others_write),
        TEST(records_come_in_the_order_of_their_numbers),
        TEST(members_events_and_reviews_are_read),
        TEST(changes_are_those_of_the_collection),
        TEST(views_are_whole_in_the_midst_of_writes),
        TEST(running_out_of_memory_is_reported),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
