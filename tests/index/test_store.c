/* The disk is faked here, so that it is full or broken when a test says so:
 * LMDB finds pwrite, writev and write below before the system's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <lmdb.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "index/store.h"
#include "tests/linkage/scratch.h"
#include "tests/support/alloc_fail.h"

static const uint64_t MAP_BYTES = (uint64_t)64 << 20;

/* Nothing is visible to LMDB unless it says so. */
#define FAKE __attribute__((visibility("default")))

static struct {
    bool is_full;     /* writes are cut short, nothing is free */
    bool is_broken;   /* writes are EIO */
    size_t map_limit; /* larger maps are refused; 0: none is */
    size_t map_bytes; /* asked for last */
} fake;

FAKE ssize_t pwrite(int fd, const void *bytes, size_t len, off_t at)
{
    if (fake.is_broken) {
        errno = EIO;
        return -1;
    }
    return syscall(SYS_pwrite64, fd, bytes, fake.is_full ? len / 2 : len, at);
}

FAKE ssize_t writev(int fd, const struct iovec *parts, int n)
{
    if (fake.is_broken) {
        errno = EIO;
        return -1;
    }
    return syscall(SYS_writev, fd, parts, fake.is_full ? 1 : n);
}

FAKE ssize_t write(int fd, const void *bytes, size_t len)
{
    if (fake.is_full) {
        errno = ENOSPC;
        return -1;
    }
    return syscall(SYS_write, fd, bytes, len);
}

FAKE int fstatvfs(int fd, struct statvfs *ret_disk)
{
    (void)fd;
    *ret_disk = (struct statvfs){.f_frsize = 4096,
                                 .f_bavail = fake.is_full ? 3 : 1U << 30};
    return 0;
}

/* Wrapped by the linker. A faked mmap would be in the way of sanitizers. */
int __real_mdb_env_set_mapsize(MDB_env *mdb, size_t len);
int __wrap_mdb_env_set_mapsize(MDB_env *mdb, size_t len);
int __real_mdb_env_open(MDB_env *mdb, const char *dir, unsigned flags,
                        mdb_mode_t mode);
int __wrap_mdb_env_open(MDB_env *mdb, const char *dir, unsigned flags,
                        mdb_mode_t mode);

int __wrap_mdb_env_set_mapsize(MDB_env *mdb, size_t len)
{
    fake.map_bytes = len;
    return __real_mdb_env_set_mapsize(mdb, len);
}

int __wrap_mdb_env_open(MDB_env *mdb, const char *dir, unsigned flags,
                        mdb_mode_t mode)
{
    if (fake.map_limit != 0 && fake.map_bytes > fake.map_limit)
        return ENOMEM;
    return __real_mdb_env_open(mdb, dir, flags, mode);
}

/* ---- arranging ---------------------------------------------------------- */

static linkd_error err;
static lk_env *env;

static void env_open_sized(uint64_t map_bytes)
{
    assert_int_equal(lk_env_open(".", map_bytes, &env, &err), LINKD_OK);
}

static int enter(void **state)
{
    int rc = scratch_enter(state);

    err = (linkd_error){0};
    if (rc == 0)
        env_open_sized(MAP_BYTES);
    return rc;
}

static int leave(void **state)
{
    lk_env_close(env);
    env = NULL;
    return scratch_leave(state);
}

static linkd_str str(const char *text)
{
    return (linkd_str){text, strlen(text)};
}

static void assert_str(linkd_str actual, const char *expected)
{
    assert_int_equal(actual.len, strlen(expected));
    assert_memory_equal(actual.bytes, expected, actual.len);
}

static lk_txn *begin_read(void)
{
    lk_txn *txn = NULL;

    assert_int_equal(lk_txn_begin_read(env, &txn, &err), LINKD_OK);
    return txn;
}

static lk_txn *begin_write(void)
{
    lk_txn *txn = NULL;

    assert_int_equal(lk_txn_begin_write(env, &txn, &err), LINKD_OK);
    return txn;
}

static void put(const char *key, const char *value)
{
    lk_txn *txn = begin_write();

    assert_int_equal(
        lk_txn_put(txn, LK_TABLE_RECORDS, str(key), str(value), &err),
        LINKD_OK);
    assert_int_equal(lk_txn_commit(txn, &err), LINKD_OK);
}

/* What lies under the key, or NULL expected. */
static void assert_in_txn(lk_txn *txn, const char *key, const char *expected)
{
    linkd_str value;
    bool found;

    assert_int_equal(
        lk_txn_find(txn, LK_TABLE_RECORDS, str(key), &value, &found, &err),
        LINKD_OK);
    assert_int_equal(found, expected != NULL);
    if (expected != NULL)
        assert_str(value, expected);
}

static void assert_stored(const char *key, const char *expected)
{
    lk_txn *txn = begin_read();

    assert_in_txn(txn, key, expected);
    lk_txn_abort(txn);
}

/* ---- transactions ------------------------------------------------------- */

static void what_was_committed_is_there_after_a_reopen(void **state)
{
    (void)state;
    put("a", "1");
    put("b", "");
    lk_env_close(env);
    env_open_sized(MAP_BYTES);
    assert_stored("a", "1");
    assert_stored("b", "");
    assert_stored("c", NULL);
}

static void what_was_aborted_is_not_there(void **state)
{
    lk_txn *txn = begin_write();

    (void)state;
    assert_int_equal(
        lk_txn_put(txn, LK_TABLE_RECORDS, str("a"), str("1"), &err), LINKD_OK);
    assert_in_txn(txn, "a", "1");
    lk_txn_abort(txn);
    assert_stored("a", NULL);
}

static void each_reader_sees_the_state_it_began_with(void **state)
{
    lk_txn *first, *second, *third;

    (void)state;
    put("a", "1");
    first = begin_read();
    put("a", "2");
    second = begin_read();
    put("a", "3");
    third = begin_read();
    assert_in_txn(first, "a", "1");
    assert_in_txn(second, "a", "2");
    assert_in_txn(third, "a", "3");
    lk_txn_abort(second);
    second = begin_read(); /* the same one, renewed */
    assert_in_txn(second, "a", "3");
    assert_in_txn(first, "a", "1");
    lk_txn_abort(first);
    lk_txn_abort(second);
    lk_txn_abort(third);
}

/* More than are kept for reuse, several times over: a slot of the readers'
 * table that leaked would run the table out of its 1024. */
static void readers_that_ended_leave_no_trace(void **state)
{
    lk_txn *txns[200];

    (void)state;
    put("a", "1");
    for (int round = 0; round < 20; round++) {
        for (size_t i = 0; i < 200; i++)
            txns[i] = begin_read();
        for (size_t i = 0; i < 200; i++)
            lk_txn_abort(txns[i]);
    }
    assert_stored("a", "1");
}

static void too_many_readers_are_busy(void **state)
{
    lk_txn *txns[1025];
    size_t n = 0;
    int rc = LINKD_OK;

    (void)state;
    while (n < 1025) {
        rc = lk_txn_begin_read(env, &txns[n], &err);
        if (rc != LINKD_OK)
            break;
        n++;
    }
    assert_int_equal(rc, LINKD_E_BUSY);
    assert_int_equal(n, 1024);
    assert_string_equal(
        err.message, "could not begin a transaction: too many readers at once");
    while (n > 0)
        lk_txn_abort(txns[--n]);
    assert_stored("a", NULL);
}

static void tables_do_not_mix(void **state)
{
    lk_txn *txn = begin_write();
    linkd_str value;
    uint64_t n;
    bool found;

    (void)state;
    for (int i = 0; i < LK_N_TABLES; i++)
        assert_int_equal(lk_txn_put(txn, (lk_table)i, str("key"),
                                    str(lk_table_name((lk_table)i)), &err),
                         LINKD_OK);
    for (int i = 0; i < LK_N_TABLES; i++) {
        assert_int_equal(
            lk_txn_find(txn, (lk_table)i, str("key"), &value, &found, &err),
            LINKD_OK);
        assert_true(found);
        assert_str(value, lk_table_name((lk_table)i));
        assert_int_equal(lk_txn_count(txn, (lk_table)i, &n, &err), LINKD_OK);
        assert_int_equal(n, 1);
    }
    lk_txn_abort(txn);
}

static void reserved_bytes_are_written_in_place(void **state)
{
    lk_txn *txn = begin_write();
    void *room = NULL;

    (void)state;
    assert_int_equal(
        lk_txn_reserve(txn, LK_TABLE_RECORDS, str("a"), 5, &room, &err),
        LINKD_OK);
    memcpy(room, "hello", 5);
    assert_int_equal(lk_txn_commit(txn, &err), LINKD_OK);
    assert_stored("a", "hello");
}

/* Vectors are read where they lie: index/layout.h relies on this. */
static void large_values_lie_at_multiples_of_16(void **state)
{
    static const size_t lens[] = {16384 - 16, 20000, 99000};
    linkd_str value;
    void *room;
    bool found;
    lk_txn *txn = begin_write();

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        char name[2] = {(char)('a' + i), '\0'};

        assert_int_equal(lk_txn_reserve(txn, LK_TABLE_VECTORS, str(name),
                                        lens[i], &room, &err),
                         LINKD_OK);
        assert_int_equal((uintptr_t)room % 16, 0);
        memset(room, 'x', lens[i]);
    }
    assert_int_equal(lk_txn_commit(txn, &err), LINKD_OK);
    txn = begin_read();
    for (size_t i = 0; i < 3; i++) {
        char name[2] = {(char)('a' + i), '\0'};

        assert_int_equal(
            lk_txn_find(txn, LK_TABLE_VECTORS, str(name), &value, &found, &err),
            LINKD_OK);
        assert_int_equal((uintptr_t)value.bytes % 16, 0);
        assert_int_equal(value.len, lens[i]);
    }
    lk_txn_abort(txn);
}

static void removing_tells_whether_there_was_something(void **state)
{
    lk_txn *txn;
    bool found;

    (void)state;
    put("a", "1");
    txn = begin_write();
    assert_int_equal(
        lk_txn_remove(txn, LK_TABLE_RECORDS, str("a"), &found, &err), LINKD_OK);
    assert_true(found);
    assert_int_equal(
        lk_txn_remove(txn, LK_TABLE_RECORDS, str("a"), &found, &err), LINKD_OK);
    assert_false(found);
    assert_int_equal(
        lk_txn_remove(txn, LK_TABLE_RECORDS, str(""), &found, &err), LINKD_OK);
    assert_false(found);
    assert_int_equal(lk_txn_commit(txn, &err), LINKD_OK);
    assert_stored("a", NULL);
}

static void an_empty_key_is_never_found(void **state)
{
    (void)state;
    put("a", "1");
    assert_stored("", NULL);
}

/* ---- cursors ------------------------------------------------------------ */

static void letters_put(void)
{
    static const char *const keys[] = {"d", "b", "f", "bb"};

    for (size_t i = 0; i < 4; i++)
        put(keys[i], keys[i]);
}

static lk_cursor *cursor_open(lk_txn *txn)
{
    lk_cursor *cursor = NULL;

    assert_int_equal(lk_cursor_open(txn, LK_TABLE_RECORDS, &cursor, &err),
                     LINKD_OK);
    return cursor;
}

static void a_cursor_walks_in_bytewise_order(void **state)
{
    static const char *const sorted[] = {"b", "bb", "d", "f"};
    linkd_str key, value;
    lk_cursor *cursor;
    lk_txn *txn;
    bool found;

    (void)state;
    letters_put();
    txn = begin_read();
    cursor = cursor_open(txn);
    assert_int_equal(
        lk_cursor_seek(cursor, str(""), &key, &value, &found, &err), LINKD_OK);
    for (size_t i = 0; i < 4; i++) {
        assert_true(found);
        assert_str(key, sorted[i]);
        assert_str(value, sorted[i]);
        assert_int_equal(lk_cursor_next(cursor, &key, &value, &found, &err),
                         LINKD_OK);
    }
    assert_false(found);
    assert_int_equal(lk_cursor_next(cursor, &key, &value, &found, &err),
                     LINKD_OK);
    assert_false(found);
    lk_cursor_close(cursor);
    lk_txn_abort(txn);
}

/* Where each seek leads; NULL: nowhere. */
static void a_seek_finds_the_next_entry(void **state)
{
    static const struct {
        const char *key, *at_or_after;
    } cases[] = {
        {"", "b"},  {"a", "b"}, {"b", "b"},   {"ba", "bb"},   {"bb", "bb"},
        {"c", "d"}, {"f", "f"}, {"fa", NULL}, {"\xff", NULL},
    };
    linkd_str key, value;
    lk_cursor *cursor;
    lk_txn *txn;
    bool found;

    (void)state;
    letters_put();
    txn = begin_read();
    cursor = cursor_open(txn);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(lk_cursor_seek(cursor, str(cases[i].key), &key, &value,
                                        &found, &err),
                         LINKD_OK);
        assert_int_equal(found, cases[i].at_or_after != NULL);
        if (found)
            assert_str(key, cases[i].at_or_after);
    }
    lk_cursor_close(cursor);
    lk_txn_abort(txn);
}

static void a_seek_past_the_end_does_not_start_over(void **state)
{
    linkd_str key, value;
    lk_cursor *cursor;
    lk_txn *txn;
    bool found;

    (void)state;
    letters_put();
    txn = begin_read();
    cursor = cursor_open(txn);
    assert_int_equal(
        lk_cursor_seek(cursor, str("z"), &key, &value, &found, &err), LINKD_OK);
    assert_false(found);
    assert_int_equal(lk_cursor_next(cursor, &key, &value, &found, &err),
                     LINKD_OK);
    assert_false(found);
    assert_int_equal(
        lk_cursor_seek(cursor, str("d"), &key, &value, &found, &err), LINKD_OK);
    assert_int_equal(lk_cursor_next(cursor, &key, &value, &found, &err),
                     LINKD_OK);
    assert_true(found);
    assert_str(key, "f");
    lk_cursor_close(cursor);
    lk_txn_abort(txn);
}

static void an_empty_table_has_no_next_entry(void **state)
{
    lk_txn *txn = begin_read();
    lk_cursor *cursor = cursor_open(txn);
    linkd_str key, value;
    bool found = true;

    (void)state;
    assert_int_equal(
        lk_cursor_seek(cursor, str("a"), &key, &value, &found, &err), LINKD_OK);
    assert_false(found);
    lk_cursor_close(cursor);
    lk_txn_abort(txn);
}

/* ---- what can go wrong -------------------------------------------------- */

/* Puts 64 kB under each number until the store refuses, one commit each. */
static int fill(unsigned *ret_n)
{
    static char block[65536];
    lk_txn *txn;
    char key[16];
    int rc = LINKD_OK;

    for (*ret_n = 0; *ret_n < 1000; (*ret_n)++) {
        (void)snprintf(key, sizeof(key), "%u", *ret_n);
        memset(block, (int)(*ret_n & 0x7F), sizeof(block));
        txn = begin_write();
        rc = lk_txn_put(txn, LK_TABLE_RECORDS, str(key),
                        (linkd_str){block, sizeof(block)}, &err);
        if (rc != LINKD_OK) {
            lk_txn_abort(txn);
            break;
        }
        rc = lk_txn_commit(txn, &err);
        if (rc != LINKD_OK)
            break;
    }
    return rc;
}

static void assert_filled(unsigned n)
{
    lk_txn *txn = begin_read();
    linkd_str value;
    char key[16];
    bool found;

    for (unsigned i = 0; i < n; i++) {
        (void)snprintf(key, sizeof(key), "%u", i);
        assert_int_equal(
            lk_txn_find(txn, LK_TABLE_RECORDS, str(key), &value, &found, &err),
            LINKD_OK);
        assert_true(found);
        assert_int_equal(value.len, 65536);
        assert_int_equal(value.bytes[0], i & 0x7F);
        assert_int_equal(value.bytes[65535], i & 0x7F);
    }
    lk_txn_abort(txn);
}

static void a_full_map_keeps_what_is_in_it(void **state)
{
    unsigned n;

    (void)state;
    lk_env_close(env);
    env_open_sized((uint64_t)1 << 20);
    assert_int_equal(fill(&n), LINKD_E_FULL);
    assert_string_equal(err.message,
                        "could not write table records: the database has "
                        "reached its size limit");
    assert_in_range(n, 8, 16);
    assert_filled(n);
    lk_env_close(env);
    env_open_sized(MAP_BYTES);
    assert_filled(n);
    put("more", "1");
    assert_stored("more", "1");
}

/* LMDB says EIO when a write was cut short, as a full disk does. */
static void a_full_disk_is_no_fault_and_loses_nothing(void **state)
{
    lk_txn *txn;

    (void)state;
    put("a", "1");
    txn = begin_write();
    assert_int_equal(
        lk_txn_put(txn, LK_TABLE_RECORDS, str("a"), str("2"), &err), LINKD_OK);
    fake.is_full = true;
    assert_int_equal(lk_txn_commit(txn, &err), LINKD_E_FULL);
    fake.is_full = false;
    assert_string_equal(err.message,
                        "could not commit changes: No space left on device");
    assert_stored("a", "1");
    put("a", "3");
    assert_stored("a", "3");
}

static void a_disk_that_fails_is_a_fault(void **state)
{
    lk_txn *txn;

    (void)state;
    put("a", "1");
    txn = begin_write();
    assert_int_equal(
        lk_txn_put(txn, LK_TABLE_RECORDS, str("a"), str("2"), &err), LINKD_OK);
    fake.is_broken = true;
    assert_int_equal(lk_txn_commit(txn, &err), LINKD_E_IO);
    fake.is_broken = false;
    assert_string_equal(err.message,
                        "could not commit changes: Input/output error");
    assert_stored("a", "1");
}

static void a_smaller_map_is_taken_where_the_system_refuses(void **state)
{
    uint64_t map_bytes, used_bytes;

    (void)state;
    lk_env_close(env);
    fake.map_limit = (size_t)3 << 30;
    env_open_sized((uint64_t)16 << 30);
    fake.map_limit = 0;
    lk_env_read_size(env, &map_bytes, &used_bytes);
    assert_int_equal(map_bytes, (uint64_t)2 << 30);
    put("a", "1");
    assert_stored("a", "1");
}

static void a_map_below_the_least_is_not_taken(void **state)
{
    (void)state;
    lk_env_close(env);
    env = NULL;
    fake.map_limit = (size_t)1 << 29;
    assert_int_equal(lk_env_open(".", (uint64_t)16 << 30, &env, &err),
                     LINKD_E_NOMEM);
    fake.map_limit = 0;
    assert_null(env);
    assert_string_equal(err.message, "could not open database \"./data.mdb\": "
                                     "Cannot allocate memory");
}

static void a_size_grows_with_what_is_stored(void **state)
{
    uint64_t map_bytes, before, after;
    lk_txn *txn = begin_write();
    void *room;

    (void)state;
    lk_env_read_size(env, &map_bytes, &before);
    assert_int_equal(map_bytes, MAP_BYTES);
    assert_int_equal(
        lk_txn_reserve(txn, LK_TABLE_VECTORS, str("a"), 1U << 20, &room, &err),
        LINKD_OK);
    memset(room, 0, 1U << 20);
    assert_int_equal(lk_txn_commit(txn, &err), LINKD_OK);
    lk_env_read_size(env, &map_bytes, &after);
    assert_in_range(after - before, 1U << 20, (1U << 20) + (64U << 10));
}

static void only_the_owner_may_read_the_file(void **state)
{
    struct stat file;

    (void)state;
    assert_int_equal(stat("data.mdb", &file), 0);
    assert_int_equal(file.st_mode & 0777, 0600);
}

static void a_file_of_another_kind_is_refused(void **state)
{
    char junk[8192];

    (void)state;
    lk_env_close(env);
    env = NULL;
    memset(junk, 'x', sizeof(junk));
    scratch_write("data.mdb", junk, sizeof(junk));
    assert_int_equal(lk_env_open(".", MAP_BYTES, &env, &err), LINKD_E_DATA);
    assert_string_equal(
        err.message,
        "could not open database \"./data.mdb\": not an LMDB file");
}

static void a_directory_that_is_not_there_is_an_io_error(void **state)
{
    lk_env *none = NULL;

    (void)state;
    assert_int_equal(lk_env_open("absent", MAP_BYTES, &none, &err), LINKD_E_IO);
    assert_null(none);
}

/* Opens and reads everything: LINKD_OK, or how the first failure is called. */
static int read_all(void)
{
    linkd_str key, value;
    lk_cursor *cursor = NULL;
    lk_txn *txn = NULL;
    bool found = true;
    int rc = lk_env_open(".", MAP_BYTES, &env, &err);

    if (rc != LINKD_OK)
        return rc;
    txn = begin_read();
    rc = lk_cursor_open(txn, LK_TABLE_RECORDS, &cursor, &err);
    if (rc == LINKD_OK)
        rc = lk_cursor_seek(cursor, str(""), &key, &value, &found, &err);
    while (rc == LINKD_OK && found) {
        volatile char last = value.bytes[value.len - 1];

        (void)last; /* a missing page would be a SIGBUS here */
        rc = lk_cursor_next(cursor, &key, &value, &found, &err);
    }
    lk_cursor_close(cursor);
    lk_txn_abort(txn);
    lk_env_close(env);
    env = NULL;
    return rc;
}

static void a_file_that_was_cut_short_does_not_kill_us(void **state)
{
    unsigned n, n_data = 0;
    struct stat file;
    int rc;

    (void)state;
    lk_env_close(env);
    env_open_sized((uint64_t)1 << 20);
    assert_int_equal(fill(&n), LINKD_E_FULL);
    lk_env_close(env);
    env = NULL;
    assert_int_equal(stat("data.mdb", &file), 0);
    for (off_t size = file.st_size - 4096; size >= 8192; size -= 4096) {
        assert_int_equal(truncate("data.mdb", size), 0);
        rc = read_all();
        assert_true(rc == LINKD_OK || rc == LINKD_E_DATA);
        n_data += rc == LINKD_E_DATA;
        assert_int_equal(truncate("data.mdb", size), 0);
    }
    assert_in_range(n_data, 1, 1000);
}

static void a_failed_allocation_is_reported(void **state)
{
    lk_txn *txn = NULL;
    lk_cursor *cursor = NULL;

    (void)state;
    lk_env_close(env);
    env = NULL;
    for (size_t n = 1;; n++) {
        int rc;

        alloc_fail_at(n);
        rc = lk_env_open(".", MAP_BYTES, &env, &err);
        if (rc == LINKD_OK)
            rc = lk_txn_begin_read(env, &txn, &err);
        if (rc == LINKD_OK)
            rc = lk_cursor_open(txn, LK_TABLE_META, &cursor, &err);
        if (!alloc_fail_off())
            break;
        assert_int_equal(rc, LINKD_E_NOMEM);
        lk_txn_abort(txn);
        txn = NULL;
        lk_env_close(env);
        env = NULL;
    }
    assert_non_null(cursor);
    lk_cursor_close(cursor);
    lk_txn_abort(txn);
}

/* ---- copies ------------------------------------------------------------- */

static void a_copy_holds_the_same_without_free_pages(void **state)
{
    struct stat before, after;
    lk_txn *txn;
    bool found;

    (void)state;
    put("a", "1");
    txn = begin_write();
    for (int i = 0; i < 50; i++) {
        char key[16];
        void *room;

        (void)snprintf(key, sizeof(key), "big%d", i);
        assert_int_equal(
            lk_txn_reserve(txn, LK_TABLE_RECORDS, str(key), 65536, &room, &err),
            LINKD_OK);
        memset(room, 'x', 65536);
    }
    assert_int_equal(lk_txn_commit(txn, &err), LINKD_OK);
    txn = begin_write();
    for (int i = 0; i < 50; i++) {
        char key[16];

        (void)snprintf(key, sizeof(key), "big%d", i);
        assert_int_equal(
            lk_txn_remove(txn, LK_TABLE_RECORDS, str(key), &found, &err),
            LINKD_OK);
    }
    assert_int_equal(lk_txn_commit(txn, &err), LINKD_OK);

    assert_int_equal(lk_env_copy(env, "copy.mdb", &err), LINKD_OK);

    assert_int_equal(stat("data.mdb", &before), 0);
    assert_int_equal(stat("copy.mdb", &after), 0);
    assert_in_range(before.st_size, 50 * 65536, 80 * 65536);
    assert_in_range(after.st_size, 8192, 65536);
    assert_int_equal(after.st_mode & 0777, 0600);
    lk_env_close(env);
    assert_int_equal(rename("copy.mdb", "data.mdb"), 0);
    env_open_sized(MAP_BYTES);
    assert_stored("a", "1");
    assert_stored("big0", NULL);
}

static void a_copy_does_not_replace_a_file(void **state)
{
    struct stat file;

    (void)state;
    scratch_write_text("there.mdb", "mine");
    assert_int_equal(lk_env_copy(env, "there.mdb", &err), LINKD_E_CONFLICT);
    assert_string_equal(err.message,
                        "could not create \"there.mdb\": File exists");
    assert_int_equal(stat("there.mdb", &file), 0);
    assert_int_equal(file.st_size, 4);
}

static void a_copy_that_fails_is_removed(void **state)
{
    (void)state;
    put("a", "1");
    fake.is_full = true;
    assert_int_equal(lk_env_copy(env, "copy.mdb", &err), LINKD_E_FULL);
    fake.is_full = false;
    assert_string_equal(err.message, "could not copy the database to "
                                     "\"copy.mdb\": No space left on device");
    assert_int_equal(access("copy.mdb", F_OK), -1);
    assert_int_equal(lk_env_copy(env, "copy.mdb", &err), LINKD_OK);
}

static void a_copy_to_nowhere_is_an_io_error(void **state)
{
    (void)state;
    assert_int_equal(lk_env_copy(env, "absent/copy.mdb", &err), LINKD_E_IO);
}

#define STORE_TEST(name) cmocka_unit_test_setup_teardown(name, enter, leave)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(what_was_committed_is_there_after_a_reopen),
        STORE_TEST(what_was_aborted_is_not_there),
        STORE_TEST(each_reader_sees_the_state_it_began_with),
        STORE_TEST(readers_that_ended_leave_no_trace),
        STORE_TEST(too_many_readers_are_busy),
        STORE_TEST(tables_do_not_mix),
        STORE_TEST(reserved_bytes_are_written_in_place),
        STORE_TEST(large_values_lie_at_multiples_of_16),
        STORE_TEST(removing_tells_whether_there_was_something),
        STORE_TEST(an_empty_key_is_never_found),
        STORE_TEST(a_cursor_walks_in_bytewise_order),
        STORE_TEST(a_seek_finds_the_next_entry),
        STORE_TEST(a_seek_past_the_end_does_not_start_over),
        STORE_TEST(an_empty_table_has_no_next_entry),
        STORE_TEST(a_full_map_keeps_what_is_in_it),
        STORE_TEST(a_full_disk_is_no_fault_and_loses_nothing),
        STORE_TEST(a_disk_that_fails_is_a_fault),
        STORE_TEST(a_smaller_map_is_taken_where_the_system_refuses),
        STORE_TEST(a_map_below_the_least_is_not_taken),
        STORE_TEST(a_size_grows_with_what_is_stored),
        STORE_TEST(only_the_owner_may_read_the_file),
        STORE_TEST(a_file_of_another_kind_is_refused),
        STORE_TEST(a_directory_that_is_not_there_is_an_io_error),
        STORE_TEST(a_file_that_was_cut_short_does_not_kill_us),
        STORE_TEST(a_failed_allocation_is_reported),
        STORE_TEST(a_copy_holds_the_same_without_free_pages),
        STORE_TEST(a_copy_does_not_replace_a_file),
        STORE_TEST(a_copy_that_fails_is_removed),
        STORE_TEST(a_copy_to_nowhere_is_an_io_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
