/* The byte trie alone: what is prefix of what, and its limits. */
#include "encoder/trie.h"
#include "tests/support/alloc_fail.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum {
    N_KEYS = 5000,
};

static linkd_str str(const char *text)
{
    return (linkd_str){text, strlen(text)};
}

static int set_up(void **state)
{
    static lk_trie trie;

    *state = &trie;
    return lk_trie_init(&trie, 2, NULL);
}

static int tear_down(void **state)
{
    lk_trie_clear(*state);
    return 0;
}

static void insert(lk_trie *trie, uint32_t root, const char *key,
                   uint32_t value)
{
    assert_int_equal(lk_trie_insert(trie, root, str(key), value, NULL),
                     LINKD_OK);
}

static void the_longest_key_that_begins_a_text_is_matched(void **state)
{
    lk_trie *trie = *state;
    size_t len;

    insert(trie, 0, "a", 1);
    insert(trie, 0, "abcd", 2);
    insert(trie, 0, "ab", 3);

    assert_int_equal(lk_trie_match(trie, 0, str("abcx"), &len), 3);
    assert_int_equal(len, 2);
    assert_int_equal(lk_trie_match(trie, 0, str("abcde"), &len), 2);
    assert_int_equal(len, 4);
    assert_int_equal(lk_trie_match(trie, 0, str("xa"), &len), LK_TRIE_NONE);
    assert_int_equal(len, 0);
    assert_int_equal(lk_trie_match(trie, 0, str(""), &len), LK_TRIE_NONE);
}

static void only_a_whole_key_is_found(void **state)
{
    lk_trie *trie = *state;

    insert(trie, 0, "abc", 7);

    assert_int_equal(lk_trie_find(trie, 0, str("abc")), 7);
    assert_int_equal(lk_trie_find(trie, 0, str("ab")), LK_TRIE_NONE);
    assert_int_equal(lk_trie_find(trie, 0, str("abcd")), LK_TRIE_NONE);
    assert_int_equal(lk_trie_find(trie, 0, str("")), LK_TRIE_NONE);
}

static void keys_of_one_root_are_not_seen_from_another(void **state)
{
    lk_trie *trie = *state;

    insert(trie, 0, "same", 1);
    insert(trie, 1, "same", 2);

    assert_int_equal(lk_trie_find(trie, 0, str("same")), 1);
    assert_int_equal(lk_trie_find(trie, 1, str("same")), 2);
}

static void a_key_cannot_be_inserted_twice(void **state)
{
    lk_trie *trie = *state;
    linkd_error err;

    insert(trie, 0, "a\xff", 1);

    assert_int_equal(lk_trie_insert(trie, 0, str("a\xff"), 2, &err),
                     LINKD_E_DATA);
    assert_string_equal(err.message, "token occurs twice");
    assert_int_equal(lk_trie_find(trie, 0, str("a\xff")), 1);
}

static void keys_are_still_found_after_the_table_has_grown(void **state)
{
    lk_trie *trie = *state;
    char key[16];

    for (uint32_t i = 0; i < N_KEYS; i++) {
        (void)snprintf(key, sizeof(key), "%u", (unsigned)i * 7919);
        insert(trie, i % 2, key, i);
    }
    assert_true(trie->n_nodes > N_KEYS);
    for (uint32_t i = 0; i < N_KEYS; i++) {
        (void)snprintf(key, sizeof(key), "%u", (unsigned)i * 7919);
        assert_int_equal(lk_trie_find(trie, i % 2, str(key)), i);
    }
}

static void a_vocabulary_beyond_the_limit_of_nodes_is_refused(void **state)
{
    lk_trie *trie = *state;
    linkd_str key = {malloc(LK_TRIE_NODES_MAX), LK_TRIE_NODES_MAX};
    linkd_error err;

    assert_non_null(key.bytes);
    memset((void *)(uintptr_t)key.bytes, 'x', key.len);
    assert_int_equal(lk_trie_insert(trie, 0, key, 1, &err), LINKD_E_DATA);
    assert_string_equal(err.message, "vocabulary is too large");
    free((void *)(uintptr_t)key.bytes);
}

static int trie_fill(lk_trie *trie)
{
    int rc = lk_trie_init(trie, 1, NULL);

    for (uint32_t i = 0; i < 600 && rc == LINKD_OK; i++) {
        char key[] = {(char)(i % 30 + 1), (char)(i / 30 + 1), 'x', '\0'};

        rc = lk_trie_insert(trie, 0, str(key), i, NULL);
    }
    return rc;
}

static void running_out_of_memory_leaves_nothing_behind(void **state)
{
    lk_trie trie = {0};
    size_t n = 1;

    (void)state;
    for (;; n++) {
        int rc;

        alloc_fail_at(n);
        rc = trie_fill(&trie);
        lk_trie_clear(&trie);
        if (!alloc_fail_off())
            break;
        assert_int_equal(rc, LINKD_E_NOMEM);
    }
    assert_true(n > 4);
}

static int borrow(const lk_trie *trie, uint32_t n_values, lk_trie *ret_trie)
{
    assert_int_equal(lk_trie_init(ret_trie, 2, NULL), LINKD_OK);
    return lk_trie_borrow(ret_trie, trie->edges, trie->n_slots, trie->values,
                          trie->n_nodes, n_values, NULL);
}

static void a_borrowed_tree_matches_as_the_original_does(void **state)
{
    lk_trie *trie = *state, borrowed;

    insert(trie, 0, "ab", 3);
    insert(trie, 1, "a", 1);
    assert_int_equal(borrow(trie, 4, &borrowed), LINKD_OK);
    assert_int_equal(lk_trie_find(&borrowed, 0, str("ab")), 3);
    assert_int_equal(lk_trie_find(&borrowed, 1, str("a")), 1);
    assert_int_equal(lk_trie_find(&borrowed, 0, str("a")), LK_TRIE_NONE);
    /* it may lie where nobody can write */
    assert_int_equal(lk_trie_insert(&borrowed, 0, str("ab"), 2, NULL),
                     LINKD_E_DATA);
    assert_int_equal(lk_trie_insert(&borrowed, 0, str("abc"), 2, NULL),
                     LINKD_E_DATA);
    lk_trie_clear(&borrowed);
    assert_int_equal(lk_trie_find(trie, 0, str("ab")), 3);
}

static void assert_no_tree(const lk_trie *trie, uint32_t n_values)
{
    lk_trie borrowed;

    assert_int_equal(borrow(trie, n_values, &borrowed), LINKD_E_DATA);
    lk_trie_clear(&borrowed);
}

/* Each of them would let a walk leave the memory, or never end. */
static void what_is_no_tree_is_not_borrowed(void **state)
{
    lk_trie *trie = *state, lying;
    uint32_t child_byte;
    size_t used = 0;

    insert(trie, 0, "a", 3);
    assert_no_tree(trie, 3); /* a value too large */
    while (trie->edges[used].child_byte == 0)
        used++;
    child_byte = trie->edges[used].child_byte;
    trie->edges[used].child_byte = trie->n_nodes << 8 | 'a'; /* to nowhere */
    assert_no_tree(trie, 4);
    for (size_t i = 0; i < trie->n_slots; i++)
        trie->edges[i].child_byte = child_byte; /* no slot is free */
    assert_no_tree(trie, 4);
    lying = *trie;
    lying.n_slots = 1023; /* no power of two */
    assert_no_tree(&lying, 4);
    lying.n_slots = 0;
    assert_no_tree(&lying, 4);
    lying.n_slots = trie->n_slots;
    lying.n_nodes = 1; /* without its second root */
    assert_no_tree(&lying, 4);
}

int main(void)
{
#define WITH_TRIE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        WITH_TRIE(the_longest_key_that_begins_a_text_is_matched),
        WITH_TRIE(only_a_whole_key_is_found),
        WITH_TRIE(keys_of_one_root_are_not_seen_from_another),
        WITH_TRIE(a_key_cannot_be_inserted_twice),
        WITH_TRIE(keys_are_still_found_after_the_table_has_grown),
        WITH_TRIE(a_vocabulary_beyond_the_limit_of_nodes_is_refused),
        WITH_TRIE(a_borrowed_tree_matches_as_the_original_does),
        WITH_TRIE(what_is_no_tree_is_not_borrowed),
        cmocka_unit_test(running_out_of_memory_leaves_nothing_behind),
    };

    return cmocka_run_group_tests_name("trie", tests, NULL, NULL);
}
