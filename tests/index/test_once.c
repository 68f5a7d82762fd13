/* tests/index/test_once.c — keys are remembered for a day, and then go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "index/once.h"
#include "tests/index/scratch_store.h"

#define DAY_MS ((uint64_t)24 * 60 * 60 * 1000)

/* Puts the row of a key that was used `age_ms` ago. */
typedef struct old_key {
    const char *key;
    uint64_t age_ms;
} old_key;

static int old_key_apply(void *ctx, lk_txn *txn, uint64_t *seq,
                         linkd_error *ret_err)
{
    const old_key *old = ctx;
    uint64_t body[3] = {77, lk_unix_ms() - old->age_ms, 0};

    (void)seq;
    return lk_value_put(txn, LK_TABLE_ONCE, str_of(old->key),
                        (linkd_str){(const char *)body, sizeof(body)}, ret_err);
}

static void key_put(const char *key, uint64_t age_ms)
{
    old_key old = {key, age_ms};

    assert_int_equal(
        lk_writer_run(store->writer, old_key_apply, &old, 1, NULL, &err),
        LINKD_OK);
}

static int key_find(const char *key, uint64_t request_hash, bool *ret_found)
{
    const linkd_once once = {.key = str_of(key), .request_hash = request_hash};
    lk_txn *txn = NULL;
    uint64_t answer;
    int rc;

    assert_int_equal(lk_txn_begin_read(store->env, &txn, &err), LINKD_OK);
    rc = lk_once_find(txn, &once, &answer, 0, ret_found, &err);
    lk_txn_abort(txn);
    return rc;
}

static void a_key_is_known_for_a_day(void **state)
{
    bool found = false;

    (void)state;
    key_put("young", DAY_MS - 60000);
    assert_int_equal(key_find("young", 77, &found), LINKD_OK);
    assert_true(found);
    assert_int_equal(key_find("young", 78, &found), LINKD_E_CONFLICT);
}

/* Even before its row is removed. */
static void an_older_key_may_be_used_again(void **state)
{
    bool found = true;
    lk_txn *txn = NULL;

    (void)state;
    key_put("young", 0); /* so that the sweep has something else to look at */
    assert_int_equal(lk_txn_begin_write(store->env, &txn, &err), LINKD_OK);
    assert_int_equal(
        old_key_apply(&(old_key){"old", DAY_MS + 60000}, txn, NULL, &err),
        LINKD_OK);
    assert_int_equal(lk_txn_commit(txn, &err), LINKD_OK);
    assert_int_equal(key_find("old", 78, &found), LINKD_OK);
    assert_false(found);
}

static void old_keys_are_swept_and_young_ones_stay(void **state)
{
    static const char *const keys[] = {"a", "b", "c", "d", "e", "f"};
    bool found = false;

    (void)state;
    for (size_t i = 0; i < 6; i++)
        key_put(keys[i], i % 2 == 0 ? DAY_MS + 1000 : 1000);
    for (int i = 0; i < 6; i++) /* two keys are looked at by each */
        put_one("x", NULL);
    assert_int_equal(count_of(LK_TABLE_ONCE), 3);
    for (size_t i = 1; i < 6; i += 2) {
        assert_int_equal(key_find(keys[i], 77, &found), LINKD_OK);
        assert_true(found);
    }
}

/* A clock that was wrong for a while must not make writes happen twice. */
static void a_key_from_the_future_is_known(void **state)
{
    bool found = false;

    (void)state;
    key_put("future", (uint64_t)0 - DAY_MS);
    put_one("x", NULL);
    assert_int_equal(key_find("future", 77, &found), LINKD_OK);
    assert_true(found);
}

static void a_write_without_a_key_is_not_remembered(void **state)
{
    (void)state;
    put_one("x", NULL);
    assert_int_equal(count_of(LK_TABLE_ONCE), 0);
}

static void a_note_comes_back_with_its_key(void **state)
{
    linkd_once once = {
        .key = str_of("k"), .request_hash = 1, .note = str_of("matched r7")};
    const linkd_put record = {.id = str_of("a")};
    linkd_write_result result = {0};
    lk_buf note = {0};
    bool found = false;

    (void)state;
    assert_int_equal(linkd_store_put(store, str_of("people"), &record, 1, &once,
                                     &result, &err),
                     LINKD_OK);
    scratch_store_reopen();
    assert_int_equal(
        linkd_store_find_once(store, &once, &result, &note, &found, &err),
        LINKD_OK);
    assert_true(found);
    assert_true(result.replayed);
    assert_int_equal(result.n_created, 1);
    assert_string_equal(note.data, "matched r7");
    lk_buf_clear(&note);
}

int main(void)
{
#define TEST(name)                                                             \
 cmocka_unit_test_setup_teardown(name, scratch_store_enter, scratch_store_leave)
    const struct CMUnitTest tests[] = {
        TEST(a_key_is_known_for_a_day),
        TEST(an_older_key_may_be_used_again),
        TEST(old_keys_are_swept_and_young_ones_stay),
        TEST(a_key_from_the_future_is_known),
        TEST(a_write_without_a_key_is_not_remembered),
        TEST(a_note_comes_back_with_its_key),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
