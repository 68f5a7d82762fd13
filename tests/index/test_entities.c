/* tests/index/test_entities.c — entity ids stay where people left them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/index/scratch_store.h"
#include "tests/support/alloc_fail.h"

static linkd_write_result put_joined(const char *id, const char *join,
                                     bool new_entity)
{
    linkd_put record = {
        .id = str_of(id), .join = str_of(join), .new_entity = new_entity};
    linkd_write_result result = {0};

    assert_int_equal(linkd_store_put(store, str_of("people"), &record, 1, NULL,
                                     &result, &err),
                     LINKD_OK);
    return result;
}

/* Record i, named by the i-th letter of `ids`, belongs to the group named by
 * the i-th letter of `groups`. */
static const linkd_entity_edge *edges;
static size_t n_edges;

static int assign(const char *ids, const char *groups,
                  linkd_write_result *ret_result)
{
    linkd_str strs[16];
    uint64_t numbers[16];
    size_t n = strlen(ids);

    for (size_t i = 0; i < n; i++) {
        strs[i] = (linkd_str){ids + i, 1};
        numbers[i] = (uint64_t)groups[i];
    }
    return linkd_store_assign_entities(
        store, str_of("people"),
        &(linkd_assignment){strs, numbers, n, edges, n_edges}, ret_result,
        &err);
}

static void records_put(const char *ids)
{
    for (; *ids != '\0'; ids++) {
        char id[2] = {*ids, '\0'};

        put_one(id, NULL);
    }
}

/* Record i has the entity of the i-th digit. */
static void assert_entities(const char *ids, const char *entities)
{
    for (size_t i = 0; ids[i] != '\0'; i++) {
        char id[2] = {ids[i], '\0'};

        assert_int_equal(entity_of(id), (uint64_t)(entities[i] - '0'));
    }
    assert_int_equal(count_of(LK_TABLE_MEMBERS), count_of(LK_TABLE_ENTITIES));
}

static void assigned(const char *ids, const char *groups, const char *entities)
{
    linkd_write_result result;

    assert_int_equal(assign(ids, groups, &result), LINKD_OK);
    assert_entities(ids, entities);
}

/* The i-th event, oldest first. */
static linkd_entity_event event_at(size_t i)
{
    linkd_entity_event event = {0};
    lk_txn *txn = NULL;
    lk_cursor *cursor = NULL;
    linkd_str key;
    linkd_str value;
    linkd_str body;
    lk_key from;
    bool found = false;

    lk_key_event(&from, info_of("people").number, 0);
    assert_int_equal(lk_txn_begin_read(store->env, &txn, &err), LINKD_OK);
    assert_int_equal(lk_cursor_open(txn, LK_TABLE_EVENTS, &cursor, &err),
                     LINKD_OK);
    assert_int_equal(
        lk_cursor_seek(cursor, lk_key_str(&from), &key, &value, &found, &err),
        LINKD_OK);
    for (; i > 0; i--)
        assert_int_equal(lk_cursor_next(cursor, &key, &value, &found, &err),
                         LINKD_OK);
    assert_true(found);
    assert_int_equal(lk_value_open(LK_TABLE_EVENTS, key, value, &body, &err),
                     LINKD_OK);
    assert_int_equal(lk_event_decode(body, 0, &event, &err), LINKD_OK);
    lk_cursor_close(cursor);
    lk_txn_abort(txn);
    return event;
}

static void assert_event(size_t i, bool merged, uint64_t entity, uint64_t other)
{
    linkd_entity_event event = event_at(i);

    assert_int_equal(event.merged, merged);
    assert_int_equal(event.entity, entity);
    assert_int_equal(event.other, other);
}

/* ---- joining ----------------------------------------------------------------- */

static void a_joining_record_and_the_joined_get_one_entity(void **state)
{
    (void)state;
    put_one("a", NULL);
    assert_int_equal(entity_of("a"), LINKD_ID_NONE);
    assert_int_equal(put_joined("b", "a", false).entity, 1);
    assert_entities("ab", "11");
    assert_int_equal(put_joined("c", "b", false).entity, 1);
    assert_int_equal(info_of("people").n_entities, 1);
}

static void a_record_without_a_match_gets_a_new_entity(void **state)
{
    (void)state;
    assert_int_equal(put_joined("a", "", true).entity, 1);
    assert_int_equal(put_joined("b", "", true).entity, 2);
    assert_int_equal(info_of("people").n_entities, 2);
}

static void a_replaced_record_stays_in_its_entity(void **state)
{
    (void)state;
    put_joined("a", "", true);
    put_joined("b", "", true);
    assert_int_equal(put_joined("b", "a", false).entity, 2);
    put_one("b", NULL);
    assert_entities("ab", "12");
}

/* Between the search that found it and this write it was deleted: the caller
 * has to search again. */
static void joining_a_record_that_is_gone_conflicts(void **state)
{
    linkd_put record = {.id = str_of("b"), .join = str_of("a")};
    linkd_write_result result;

    (void)state;
    put_one("a", NULL);
    delete_one("a");
    assert_int_equal(linkd_store_put(store, str_of("people"), &record, 1, NULL,
                                     &result, &err),
                     LINKD_E_CONFLICT);
    assert_string_equal(err.message, "record 0: the record to join is gone");
    assert_int_equal(number_of("b"), LINKD_ID_NONE);
}

static void a_deleted_record_leaves_its_entity(void **state)
{
    (void)state;
    put_joined("a", "", true);
    put_joined("b", "a", false);
    delete_one("a");
    assert_int_equal(info_of("people").n_entities, 1);
    delete_one("b");
    assert_int_equal(info_of("people").n_entities, 0);
    assert_int_equal(count_of(LK_TABLE_MEMBERS), 0);
    assert_int_equal(count_of(LK_TABLE_ENTITIES), 0);
    assert_int_equal(put_joined("c", "", true).entity, 2); /* never 1 again */
}

/* ---- assigning ---------------------------------------------------------------- */

static void ids_stay_when_the_same_groups_come_again(void **state)
{
    linkd_write_result result;

    (void)state;
    records_put("abcd");
    assigned("abcd", "xxyz", "1123");
    assert_int_equal(assign("dcba", "1299", &result), LINKD_OK);
    assert_entities("abcd", "1123");
    assert_int_equal(result.n_updated, 0);
    assert_int_equal(result.entity, 1); /* of a, the last one */
    assert_int_equal(count_of(LK_TABLE_EVENTS), 0);
    assert_int_equal(info_of("people").n_entities, 3);
}

static void ids_stay_after_a_restart(void **state)
{
    (void)state;
    records_put("abc");
    assigned("abc", "xxy", "112");
    scratch_store_reopen();
    assigned("abc", "ppq", "112");
}

static void the_majority_names_the_merged_entity(void **state)
{
    (void)state;
    records_put("abcde");
    assigned("abcde", "xxyyy", "11222");
    assigned("abcde", "zzzzz", "22222");
    assert_int_equal(count_of(LK_TABLE_EVENTS), 1);
    assert_event(0, true, 2, 1);
    assert_int_equal(info_of("people").n_entities, 1);
}

static void the_lowest_of_several_names_it(void **state)
{
    (void)state;
    records_put("abcd");
    assigned("abcd", "yyxx", "2211"); /* new ids go by the groups' order */
    assigned("abcd", "zzzz", "1111");
    assert_event(0, true, 1, 2);
}

static void a_split_leaves_the_id_to_the_larger_part(void **state)
{
    (void)state;
    records_put("abcde");
    assigned("abcde", "xxxxx", "11111");
    assigned("abcde", "ppqqq", "22111");
    assert_int_equal(count_of(LK_TABLE_EVENTS), 1);
    assert_event(0, false, 1, 2);
    assert_int_equal(info_of("people").n_entities, 2);
}

/* Of equal parts the one with the oldest record is the entity. */
static void edges_set(const linkd_entity_edge *new_edges, size_t n)
{
    edges = new_edges;
    n_edges = n;
}

static void assert_reason(linkd_view *view, uint64_t *from, const char *first,
                          const char *second, float probability)
{
    linkd_entity_event event = {0};
    bool found = false;

    assert_int_equal(linkd_view_next_event(view, *from, &event, &found, &err),
                     LINKD_OK);
    assert_true(found);
    assert_int_equal(event.ids[0].len, strlen(first));
    assert_int_equal(event.ids[1].len, strlen(second));
    assert_memory_equal(event.ids[0].bytes, first, strlen(first));
    assert_memory_equal(event.ids[1].bytes, second, strlen(second));
    assert_true(event.probability == probability);
    *from = event.seq + 1;
}

/* The best edge between the parts, and no better one inside a part: from the
 * part that moved to any record of its new group, or of its old entity. */
static void a_merge_and_a_split_tell_their_reason(void **state)
{
    static const linkd_entity_edge merging[] = {
        {0, 1, 0.99F}, {2, 3, 0.98F}, {1, 2, 0.75F}, {0, 3, 0.5F}};
    static const linkd_entity_edge splitting[] = {
        {0, 1, 0.99F}, {2, 3, 0.98F}, {3, 0, 0.125F}, {1, 2, 0.25F}};
    linkd_view *view = NULL;
    uint64_t from = 0;

    (void)state;
    records_put("abcd");
    assigned("abcd", "xxyy", "1122");
    edges_set(merging, 4);
    assigned("abcd", "xxxx", "1111");
    edges_set(splitting, 4);
    assigned("abcd", "xxyy", "1133");
    edges_set(NULL, 0);
    assigned("abcd", "xxxx", "1111");
    assert_event(0, true, 1, 2);
    assert_event(1, false, 1, 3);
    assert_event(2, true, 1, 3);
    assert_int_equal(linkd_view_open(store, str_of("people"), &view, &err),
                     LINKD_OK);
    assert_reason(view, &from, "b", "c", 0.75F);
    assert_reason(view, &from, "b", "c", 0.25F);
    assert_reason(view, &from, "", "", 0.0F);
    linkd_view_close(view);
}

/* A new record may be what brings two entities together. */
static void a_merge_through_a_new_record_tells_it(void **state)
{
    static const linkd_entity_edge through[] = {{0, 2, 0.75F}, {2, 1, 0.875F}};
    linkd_view *view = NULL;
    uint64_t from = 0;

    (void)state;
    records_put("abc");
    assigned("ab", "xy", "12");
    edges_set(through, 2);
    assigned("abc", "xxx", "111");
    edges_set(NULL, 0);
    assert_event(0, true, 1, 2);
    assert_int_equal(linkd_view_open(store, str_of("people"), &view, &err),
                     LINKD_OK);
    assert_reason(view, &from, "c", "b", 0.875F);
    linkd_view_close(view);
}

static void an_edge_of_a_record_that_is_not_named_is_refused(void **state)
{
    static const linkd_entity_edge wrong[] = {{0, 1, 0.75F}, {1, 2, 0.75F}};
    linkd_write_result result;

    (void)state;
    records_put("ab");
    edges_set(wrong, 2);
    assert_int_equal(assign("ab", "xx", &result), LINKD_E_ARG);
    edges_set(NULL, 0);
    assert_string_equal(err.message, "edge 1: there are only 2 records");
}

static void an_id_is_kept_by_one_group(void **state)
{
    (void)state;
    records_put("ab");
    assigned("ab", "xx", "11");
    assigned("ba", "pq", "21");
}

static void a_group_falls_back_on_its_second_vote(void **state)
{
    (void)state;
    records_put("abcdefg");
    assigned("abcdefg", "xxxxxyy", "1111122");
    /* 1 goes to the group of three; the other one has had 2 as well */
    assigned("abcdefg", "pppqqqr", "1112223");
    assert_int_equal(count_of(LK_TABLE_EVENTS), 2);
    assert_event(0, false, 1, 2);
    assert_event(1, false, 2, 3);
}

/* The request is about a part of the collection. */
static void records_that_are_not_named_stay(void **state)
{
    (void)state;
    records_put("abcd");
    assigned("abc", "xxx", "111");
    assigned("cd", "yy", "11");
    assigned("ad", "pq", "12");
    assert_entities("abcd", "1112");
    assert_int_equal(info_of("people").n_entities, 2);
}

static void an_id_that_is_not_there_changes_nothing(void **state)
{
    linkd_write_result result;

    (void)state;
    records_put("a");
    assert_int_equal(assign("ab", "xx", &result), LINKD_E_ABSENT);
    assert_string_equal(err.message, "record 1: there is no record \"b\"");
    assert_int_equal(entity_of("a"), LINKD_ID_NONE);
    assert_int_equal(assign("aa", "xy", &result), LINKD_E_ARG);
    assert_string_equal(err.message, "record 1: id \"a\" is repeated");
}

static void assigning_survives_failing_allocations(void **state)
{
    static const linkd_entity_edge all[] = {{0, 1, 0.5F}, {1, 2, 0.5F}};
    linkd_write_result result;
    int rc;

    (void)state;
    records_put("abc");
    assigned("abc", "xxx", "111");
    edges_set(all, 2);
    for (size_t n = 1;; n++) {
        alloc_fail_at(n);
        rc = assign("abc", "pqr", &result);
        if (!alloc_fail_off() || rc == LINKD_OK)
            break;
        assert_int_equal(rc, LINKD_E_NOMEM);
        assert_entities("abc", "111");
        assert_int_equal(count_of(LK_TABLE_EVENTS), 0);
    }
    edges_set(NULL, 0);
    assert_int_equal(rc, LINKD_OK);
    assert_entities("abc", "123");
}

/* ---- reviews ------------------------------------------------------------------- */

static linkd_review_answer answer_of(const char *left, const char *right)
{
    linkd_review_answer answer = LINKD_REVIEW_NONE;
    linkd_str lower;
    linkd_str higher;
    linkd_str value;
    linkd_str body;
    lk_txn *txn = NULL;
    lk_key key;
    bool found = false;

    lk_key_review(&key, info_of("people").number, str_of(left), str_of(right));
    assert_int_equal(lk_txn_begin_read(store->env, &txn, &err), LINKD_OK);
    assert_int_equal(lk_txn_find(txn, LK_TABLE_REVIEWS, lk_key_str(&key),
                                 &value, &found, &err),
                     LINKD_OK);
    if (found) {
        assert_int_equal(lk_value_open(LK_TABLE_REVIEWS, lk_key_str(&key),
                                       value, &body, &err),
                         LINKD_OK);
        assert_int_equal(lk_review_decode(body, &lower, &higher, &answer, &err),
                         LINKD_OK);
        assert_int_equal(lower.len + higher.len, strlen(left) + strlen(right));
    }
    lk_txn_abort(txn);
    return answer;
}

static int review(const char *left, const char *right,
                  linkd_review_answer answer)
{
    return linkd_store_put_review(store, str_of("people"), str_of(left),
                                  str_of(right), answer, &err);
}

static void an_answer_is_found_in_either_order(void **state)
{
    (void)state;
    assert_int_equal(review("b", "aa", LINKD_REVIEW_DIFFERENT), LINKD_OK);
    assert_int_equal(answer_of("b", "aa"), LINKD_REVIEW_DIFFERENT);
    assert_int_equal(answer_of("aa", "b"), LINKD_REVIEW_DIFFERENT);
    assert_int_equal(answer_of("a", "ab"), LINKD_REVIEW_NONE);
    assert_int_equal(review("aa", "b", LINKD_REVIEW_MATCH), LINKD_OK);
    assert_int_equal(answer_of("b", "aa"), LINKD_REVIEW_MATCH);
    assert_int_equal(count_of(LK_TABLE_REVIEWS), 1);
}

static void an_answer_can_be_taken_back(void **state)
{
    (void)state;
    assert_int_equal(review("a", "b", LINKD_REVIEW_MATCH), LINKD_OK);
    assert_int_equal(review("b", "a", LINKD_REVIEW_NONE), LINKD_OK);
    assert_int_equal(count_of(LK_TABLE_REVIEWS), 0);
}

static void a_record_is_not_reviewed_against_itself(void **state)
{
    (void)state;
    assert_int_equal(review("a", "a", LINKD_REVIEW_MATCH), LINKD_E_ARG);
}

int main(void)
{
#define TEST(name)                                                             \
 cmocka_unit_test_setup_teardown(name, scratch_store_enter, scratch_store_leave)
    const struct CMUnitTest tests[] = {
        TEST(a_joining_record_and_the_joined_get_one_entity),
        TEST(a_record_without_a_match_gets_a_new_entity),
        TEST(a_replaced_record_stays_in_its_entity),
        TEST(joining_a_record_that_is_gone_conflicts),
        TEST(a_deleted_record_leaves_its_entity),
        TEST(ids_stay_when_the_same_groups_come_again),
        TEST(ids_stay_after_a_restart),
        TEST(the_majority_names_the_merged_entity),
        TEST(the_lowest_of_several_names_it),
        TEST(a_split_leaves_the_id_to_the_larger_part),
        TEST(a_merge_and_a_split_tell_their_reason),
        TEST(a_merge_through_a_new_record_tells_it),
        TEST(an_edge_of_a_record_that_is_not_named_is_refused),
        TEST(an_id_is_kept_by_one_group),
        TEST(a_group_falls_back_on_its_second_vote),
        TEST(records_that_are_not_named_stay),
        TEST(an_id_that_is_not_there_changes_nothing),
        TEST(assigning_survives_failing_allocations),
        TEST(an_answer_is_found_in_either_order),
        TEST(an_answer_can_be_taken_back),
        TEST(a_record_is_not_reviewed_against_itself),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
