/* tests/index/test_open.c — which directories are ours, and whose they are now.
 *
 * fsync below is found before the system's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/index/scratch_store.h"
#include "tests/linkage/scratch.h"
#include "tests/support/alloc_fail.h"

static bool database_is_named; /* its directory was synced while it was there */

__attribute__((visibility("default"))) int fsync(int fd)
{
    if (faccessat(fd, "data.mdb", F_OK, 0) == 0)
        database_is_named = true;
    return (int)syscall(SYS_fsync, fd);
}

static int open_rc(const char *dir, bool only_checks)
{
    linkd_store_options options = LINKD_STORE_OPTIONS_INIT;
    linkd_store *other = NULL;
    int rc;

    options.read_only_check = only_checks;
    rc = linkd_store_open(dir, &options, &other, &err);
    linkd_store_close(other);
    return rc;
}

static void a_new_data_directory_is_private(void **state)
{
    struct stat status;

    (void)state;
    assert_int_equal(stat("data", &status), 0);
    assert_int_equal(status.st_mode & 0777, 0700);
    assert_int_equal(meta_of("format"), LK_FORMAT_FIRST);
}

static void the_directory_keeps_its_identity(void **state)
{
    uint64_t uuid = meta_of("uuid");

    (void)state;
    scratch_store_reopen();
    assert_int_equal(meta_of("uuid"), uuid);
}

static void a_directory_in_use_is_busy(void **state)
{
    (void)state;
    assert_int_equal(open_rc("data", false), LINKD_E_BUSY);
    assert_string_equal(err.message,
                        "data directory \"data\" is in use by another process");
    scratch_store_close();
    assert_int_equal(open_rc("data", false), LINKD_OK);
}

static void a_directory_of_somebody_else_is_left_alone(void **state)
{
    (void)state;
    assert_int_equal(mkdir("photos", 0700), 0);
    scratch_write_text("photos/cat.jpg", "meow");
    assert_int_equal(open_rc("photos", false), LINKD_E_DATA);
    assert_string_equal(err.message,
                        "\"photos\" has files, but is not a data directory");
    assert_int_equal(unlink("photos/cat.jpg"), 0);
    assert_int_equal(rmdir("photos"), 0); /* nothing else lies in it */
}

/* The root of a file system is a good place for data. */
static void a_lost_and_found_does_not_count(void **state)
{
    (void)state;
    scratch_store_close();
    assert_int_equal(unlink("data/data.mdb"), 0);
    assert_int_equal(unlink("data/lock.mdb"), 0);
    assert_int_equal(unlink("data/LOCK"), 0);
    assert_int_equal(mkdir("data/lost+found", 0700), 0);
    assert_int_equal(open_rc("data", false), LINKD_OK);
}

static void meta_write(const char *name, uint64_t number)
{
    lk_env *env = NULL;
    lk_txn *txn = NULL;

    assert_int_equal(lk_env_open("data", (uint64_t)1 << 30, &env, &err),
                     LINKD_OK);
    assert_int_equal(lk_txn_begin_write(env, &txn, &err), LINKD_OK);
    assert_int_equal(lk_meta_put(txn, name, number, &err), LINKD_OK);
    assert_int_equal(lk_txn_commit(txn, &err), LINKD_OK);
    lk_env_close(env);
}

static void a_newer_format_is_refused(void **state)
{
    (void)state;
    scratch_store_close();
    meta_write("format", 7);
    assert_int_equal(open_rc("data", false), LINKD_E_DATA);
    assert_string_equal(err.message,
                        "file is version 7, newest known is 2: \"data\"");
    meta_write("format", 1);
    assert_int_equal(open_rc("data", false), LINKD_OK);
}

static void a_database_without_a_format_is_not_ours(void **state)
{
    lk_env *env = NULL;

    (void)state;
    scratch_store_close();
    assert_int_equal(unlink("data/data.mdb"), 0);
    assert_int_equal(unlink("data/LOCK"), 0);
    assert_int_equal(lk_env_open("data", (uint64_t)1 << 30, &env, &err),
                     LINKD_OK);
    lk_env_close(env);
    assert_int_equal(open_rc("data", false), LINKD_E_DATA);
    assert_string_equal(err.message,
                        "the database in \"data\" is not one of linkd");
}

/* It would begin at record 0 again, over the old ones. */
static void a_database_that_lost_its_format_is_not_made_new(void **state)
{
    lk_env *env = NULL;
    lk_txn *txn = NULL;
    bool found = false;

    (void)state;
    put_one("a", NULL);
    scratch_store_close();
    assert_int_equal(lk_env_open("data", (uint64_t)1 << 30, &env, &err),
                     LINKD_OK);
    assert_int_equal(lk_txn_begin_write(env, &txn, &err), LINKD_OK);
    assert_int_equal(
        lk_txn_remove(txn, LK_TABLE_META, str_of("format"), &found, &err),
        LINKD_OK);
    assert_true(found);
    assert_int_equal(lk_txn_commit(txn, &err), LINKD_OK);
    lk_env_close(env);
    assert_int_equal(open_rc("data", false), LINKD_E_DATA);
    meta_write("format", 1);
    scratch_store_open(0);
    assert_int_equal(meta_of("seq"), 2);
}

/* A power cut may forget a file whose directory was not synced, all that was
 * written to it included. */
static void the_name_of_a_new_database_is_on_disk(void **state)
{
    (void)state;
    scratch_store_close();
    assert_int_equal(unlink("data/data.mdb"), 0);
    database_is_named = false;
    assert_int_equal(open_rc("data", false), LINKD_OK);
    assert_true(database_is_named);
}

static void a_check_makes_nothing(void **state)
{
    (void)state;
    assert_int_equal(open_rc("nowhere", true), LINKD_E_ABSENT);
    assert_int_equal(access("nowhere", F_OK), -1);
    assert_int_equal(open_rc("nowhere/deeper", false), LINKD_E_ABSENT);
}

static void a_store_for_checking_takes_no_writes(void **state)
{
    linkd_store_options options = LINKD_STORE_OPTIONS_INIT;
    linkd_put record = {.id = str_of("a")};
    linkd_write_result result;

    (void)state;
    scratch_store_close();
    options.read_only_check = true;
    assert_int_equal(linkd_store_open("data", &options, &store, &err),
                     LINKD_OK);
    assert_int_equal(linkd_store_put(store, str_of("people"), &record, 1, NULL,
                                     &result, &err),
                     LINKD_E_BUSY);
    assert_string_equal(err.message, "the store is open for reading only");
}

static void the_stats_say_what_was_written(void **state)
{
    linkd_store_stats stats;

    (void)state;
    put_one("a", NULL);
    linkd_store_read_stats(store, &stats);
    assert_int_equal(stats.seq, 2); /* the collection, and the record */
    assert_int_equal(stats.n_writes, 2);
    assert_int_equal(stats.n_commits, 2);
    assert_int_equal(stats.n_queued, 0);
    assert_true(stats.used_bytes > 0 && stats.used_bytes < stats.map_bytes);
    assert_false(stats.fenced);
    scratch_store_reopen();
    linkd_store_read_stats(store, &stats);
    assert_int_equal(stats.seq, 2);
    assert_int_equal(stats.n_writes, 0);
}

static char told[300];

static void event_note(void *ctx, linkd_store_event event, const char *message)
{
    assert_ptr_equal(ctx, told);
    assert_int_equal(event, LINKD_STORE_DAMAGED);
    (void)snprintf(told, sizeof(told), "%s", message);
}

static void events_reach_whoever_asked_for_them(void **state)
{
    (void)state;
    lk_store_tell(store, LINKD_STORE_DAMAGED, "nobody hears this");
    scratch_store_close();
    assert_int_equal(
        linkd_store_open("data",
                         &(linkd_store_options){.map_bytes = 1U << 30,
                                                .event_cb = event_note,
                                                .event_ctx = told},
                         &store, &err),
        LINKD_OK);
    lk_store_tell(store, LINKD_STORE_DAMAGED, "segment %d is damaged", 3);
    assert_string_equal(told, "segment 3 is damaged");
}

static void opening_survives_failing_allocations(void **state)
{
    int rc;

    (void)state;
    scratch_store_close();
    for (size_t n = 1;; n++) {
        alloc_fail_at(n);
        rc = open_rc("data", false);
        if (!alloc_fail_off())
            break;
        assert_true(rc == LINKD_E_NOMEM || rc == LINKD_OK);
    }
    assert_int_equal(rc, LINKD_OK);
}

int main(void)
{
#define TEST(name)                                                             \
 cmocka_unit_test_setup_teardown(name, scratch_store_enter, scratch_store_leave)
    const struct CMUnitTest tests[] = {
        TEST(a_new_data_directory_is_private),
        TEST(the_directory_keeps_its_identity),
        TEST(a_directory_in_use_is_busy),
        TEST(a_directory_of_somebody_else_is_left_alone),
        TEST(a_lost_and_found_does_not_count),
        TEST(a_newer_format_is_refused),
        TEST(a_database_without_a_format_is_not_ours),
        TEST(a_database_that_lost_its_format_is_not_made_new),
        TEST(the_name_of_a_new_database_is_on_disk),
        TEST(a_check_makes_nothing),
        TEST(a_store_for_checking_takes_no_writes),
        TEST(the_stats_say_what_was_written),
        TEST(events_reach_whoever_asked_for_them),
        TEST(opening_survives_failing_allocations),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
