/* tests/index/test_backup.c — copies that open, and failures that leave nothing.
 */
#include "tests/index/oracle.h"

#include <dirent.h>
#include <ftw.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/support/alloc_fail.h"

static int path_remove(const char *path, const struct stat *status, int kind,
                       struct FTW *walk)
{
    (void)status;
    (void)kind;
    (void)walk;
    return remove(path);
}

static int leave(void **state)
{
    (void)nftw("copy", path_remove, 8, FTW_DEPTH | FTW_PHYS);
    return scratch_store_leave(state);
}

/* Files and directories beside the data directory. */
static size_t entries_count(void)
{
    DIR *stream = opendir(".");
    const struct dirent *entry;
    size_t n = 0;

    assert_non_null(stream);
    for (entry = readdir(stream); entry != NULL; entry = readdir(stream))
        if (entry->d_name[0] != '.' && strcmp(entry->d_name, "data") != 0)
            n++;
    (void)closedir(stream);
    return n;
}

static linkd_check_report copy_check(void)
{
    linkd_store_options options = LINKD_STORE_OPTIONS_INIT;
    linkd_check_report report = {0};
    linkd_store *copy = NULL;

    options.read_only_check = true;
    assert_int_equal(linkd_store_open("copy", &options, &copy, &err), LINKD_OK);
    assert_int_equal(linkd_store_check(copy, NULL, NULL, NULL, &report, &err),
                     LINKD_OK);
    linkd_store_close(copy);
    return report;
}

static void *writes_run(void *ctx)
{
    atomic_bool *stop = ctx;

    while (!atomic_load(stop))
        oracle_change();
    return NULL;
}

static void a_backup_under_writes_is_whole(void **state)
{
    linkd_error error = {0};
    atomic_bool stop = false;
    pthread_t thread;

    (void)state;
    oracle_reset(11);
    oracle_fill(0, ORACLE_IDS);
    assert_int_equal(pthread_create(&thread, NULL, writes_run, &stop), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(linkd_store_backup(store, "copy/", NULL, &error),
                         LINKD_OK);
        assert_int_equal(copy_check().n_faults, 0);
        assert_int_equal(nftw("copy", path_remove, 8, FTW_DEPTH | FTW_PHYS), 0);
    }
    atomic_store(&stop, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(entries_count(), 0);
}

static void a_backup_holds_what_was_there_and_not_what_came_later(void **state)
{
    linkd_check_report report;

    (void)state;
    oracle_reset(12);
    oracle_fill(0, 100);
    assert_int_equal(linkd_store_backup(store, "copy", NULL, &err), LINKD_OK);
    oracle_fill(100, 200);
    report = copy_check();
    assert_int_equal(report.n_records, 100);
    assert_int_equal(report.n_vectors, 100);
    assert_int_equal(report.n_faults, 0);
}

/* Opens the store again without threads of its own. */
static void quiet_reopen(void)
{
    linkd_store_options options = LINKD_STORE_OPTIONS_INIT;

    scratch_store_close();
    options.read_only_check = true;
    assert_int_equal(linkd_store_open("data", &options, &store, &err),
                     LINKD_OK);
}

static void segments_come_along_and_may_be_missing(void **state)
{
    linkd_check_report report;
    lk_buf path = {0};

    (void)state;
    oracle_reset(13);
    oracle_fill(0, 200);
    quiet_reopen();
    oracle_list_segment(&path);
    assert_int_equal(linkd_store_backup(store, "copy", NULL, &err), LINKD_OK);
    report = copy_check();
    assert_int_equal(report.n_segments, 1);
    assert_int_equal(report.n_faults, 0);

    assert_int_equal(nftw("copy", path_remove, 8, FTW_DEPTH | FTW_PHYS), 0);
    assert_int_equal(unlink(path.data), 0);
    assert_int_equal(linkd_store_backup(store, "copy", NULL, &err), LINKD_OK);
    report = copy_check();
    assert_int_equal(report.n_bad_segments, 1);
    assert_int_equal(report.n_faults, 1);
    lk_buf_clear(&path);
}

static void a_backup_never_replaces_anything(void **state)
{
    (void)state;
    assert_int_equal(mkdir("copy", 0700), 0);
    assert_int_equal(linkd_store_backup(store, "copy", NULL, &err),
                     LINKD_E_CONFLICT);
    assert_string_equal(err.message, "\"copy\" exists already");
    assert_int_equal(linkd_store_backup(store, "absent/copy", NULL, &err),
                     LINKD_E_IO);
    assert_int_equal(linkd_store_backup(store, "", NULL, &err), LINKD_E_ARG);
    assert_int_equal(entries_count(), 1);
}

typedef struct stopper {
    int n_left;
    uint64_t done;
    uint64_t total;
} stopper;

static int report_until(void *ctx, const char *step, uint64_t done,
                        uint64_t total)
{
    stopper *s = ctx;

    assert_string_equal(step, "backup");
    assert_true(done >= s->done && done <= total);
    s->done = done;
    s->total = total;
    return s->n_left-- == 0;
}

static void a_stopped_backup_leaves_nothing(void **state)
{
    stopper s = {.n_left = 1};
    linkd_progress progress = {.report = report_until, .ctx = &s};

    (void)state;
    oracle_reset(14);
    oracle_fill(0, 100);
    assert_int_equal(linkd_store_backup(store, "copy", &progress, &err),
                     LINKD_E_CANCELLED);
    assert_true(s.done > 0);
    assert_int_equal(entries_count(), 0);
}

static void running_out_of_memory_leaves_nothing(void **state)
{
    int rc = LINKD_OK;

    (void)state;
    oracle_reset(15);
    oracle_fill(0, 100);
    quiet_reopen();
    for (size_t n = 1;; n++) {
        alloc_fail_at(n);
        rc = linkd_store_backup(store, "copy", NULL, &err);
        if (!alloc_fail_off())
            break;
        assert_int_equal(rc, LINKD_E_NOMEM);
        assert_int_equal(entries_count(), 0);
    }
    assert_int_equal(rc, LINKD_OK);
    assert_int_equal(copy_check().n_faults, 0);
}

static void compacting_gives_space_back_and_keeps_the_records(void **state)
{
    uint64_t before = 0;
    uint64_t after = 0;
    linkd_view *view;
    linkd_hit hit;
    linkd_hit expected;
    linkd_search_options options = LINKD_SEARCH_OPTIONS_INIT;

    (void)state;
    oracle_reset(16);
    oracle_fill(0, ORACLE_IDS);
    for (size_t i = 0; i < ORACLE_IDS; i += 500)
        oracle_fill(i, i + 500);
    assert_int_equal(linkd_store_compact("data", &before, &after, &err),
                     LINKD_E_BUSY);
    scratch_store_close();
    assert_int_equal(linkd_store_compact("data", &before, &after, &err),
                     LINKD_OK);
    assert_true(after < before);
    assert_int_equal(access("data/data.mdb.tmp", F_OK), -1);
    scratch_store_open(0);
    options.k = 1;
    view = view_open();
    assert_int_equal(linkd_view_search(view, oracle[5].vector, 1, &options,
                                       &hit, NULL, &err),
                     LINKD_OK);
    (void)oracle_search(oracle[5].vector, 1, 1000, &expected);
    assert_int_equal(hit.id, expected.id);
    linkd_view_close(view);
    assert_int_equal(linkd_store_compact("nothing", &before, &after, &err),
                     LINKD_E_ABSENT);
}

int main(void)
{
#define TEST(name)                                                             \
 cmocka_unit_test_setup_teardown(name, scratch_store_enter, leave)
    const struct CMUnitTest tests[] = {
        TEST(a_backup_under_writes_is_whole),
        TEST(a_backup_holds_what_was_there_and_not_what_came_later),
        TEST(segments_come_along_and_may_be_missing),
        TEST(a_backup_never_replaces_anything),
        TEST(a_stopped_backup_leaves_nothing),
        TEST(running_out_of_memory_leaves_nothing),
        TEST(compacting_gives_space_back_and_keeps_the_records),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
