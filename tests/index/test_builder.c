/* tests/index/test_builder.c — segments appear, heal and go by themselves, and
 * searches find the same records all the while.
 *
 * Waiting is waiting for what the store tells of its work, never for time.
 * fsync below is found before the system's: the disk fails when a test says so.
 * lk_sets_replace goes through a wrapper, and memory ends in it likewise. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "index/build.h"
#include "tests/index/clusters.h"
#include "tests/linkage/scratch.h"

#define DIM         ((size_t)16)
#define N           ((size_t)3000)
#define PATH_BYTES  300
#define EXACT_BELOW 500
#define WAIT_S      120 /* then something hangs */

static atomic_bool disk_is_broken;

int fsync(int fd)
{
    if (atomic_load(&disk_is_broken)) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_fsync, fd);
}

static atomic_bool sets_are_full;

int __real_lk_sets_replace(lk_sets *sets, uint32_t collection,
                           uint32_t generation, lk_segment *take_added,
                           const uint64_t *removed, size_t n_removed,
                           linkd_error *ret_err);
int __wrap_lk_sets_replace(lk_sets *sets, uint32_t collection,
                           uint32_t generation, lk_segment *take_added,
                           const uint64_t *removed, size_t n_removed,
                           linkd_error *ret_err);

int __wrap_lk_sets_replace(lk_sets *sets, uint32_t collection,
                           uint32_t generation, lk_segment *take_added,
                           const uint64_t *removed, size_t n_removed,
                           linkd_error *ret_err)
{
    if (!atomic_load(&sets_are_full))
        return __real_lk_sets_replace(sets, collection, generation, take_added,
                                      removed, n_removed, ret_err);
    lk_segment_unref(take_added);
    return lk_fail_nomem(ret_err);
}

/* ---- arranging ---------------------------------------------------------- */

static struct {
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t told;
    size_t n_told[3];  /* by event */
    char last[3][256]; /* message, by event */
} events = {.lock = PTHREAD_MUTEX_INITIALIZER,
            .told = PTHREAD_COND_INITIALIZER};

static linkd_store *store;
static linkd_error err;
static float vectors[N * DIM];

static void event_note(void *ctx, linkd_store_event event, const char *message)
{
    (void)ctx;
    (void)pthread_mutex_lock(&events.lock);
    events.n_told[event]++;
    (void)snprintf(events.last[event], sizeof(events.last[event]), "%s",
                   message);
    (void)pthread_cond_broadcast(&events.told);
    (void)pthread_mutex_unlock(&events.lock);
}

typedef bool condition_fn(void);

/* Looks again whenever the store tells something. */
static void wait_for(condition_fn *holds)
{
    struct timespec until;

    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += WAIT_S;
    for (;;) {
        size_t n_before, n_now;
        int rc = 0;

        (void)pthread_mutex_lock(&events.lock);
        n_before =
            events.n_told[LINKD_STORE_INFO] + events.n_told[LINKD_STORE_FAILED];
        (void)pthread_mutex_unlock(&events.lock);
        if (holds())
            return;
        (void)pthread_mutex_lock(&events.lock);
        do {
            n_now = events.n_told[LINKD_STORE_INFO] +
                    events.n_told[LINKD_STORE_FAILED];
            if (n_now == n_before)
                rc = pthread_cond_timedwait(&events.told, &events.lock, &until);
        } while (n_now == n_before && rc == 0);
        (void)pthread_mutex_unlock(&events.lock);
        assert_int_equal(rc, 0);
    }
}

static void store_open(void)
{
    linkd_store_options options = LINKD_STORE_OPTIONS_INIT;

    options.exact_below = EXACT_BELOW;
    options.n_build_threads = 1;
    options.map_bytes = (uint64_t)1 << 30;
    options.event_cb = event_note;
    memset(events.n_told, 0, sizeof(events.n_told));
    memset(events.last, 0, sizeof(events.last));
    assert_int_equal(linkd_store_open("data", &options, &store, &err),
                     LINKD_OK);
}

static void store_close(void)
{
    linkd_store_close(store);
    store = NULL;
}

static linkd_str str_of(const char *text)
{
    return (linkd_str){text, strlen(text)};
}

static void collection_create(linkd_index_kind kind)
{
    linkd_collection_options options = {.dim = DIM, .index = kind};

    assert_int_equal(linkd_store_create_collection(store, str_of("people"),
                                                   &options, NULL, NULL, &err),
                     LINKD_OK);
}

static int setup_kind(linkd_index_kind kind, void **state)
{
    int rc = scratch_enter(state);

    clusters_fill(vectors, N, DIM, 1);
    atomic_store(&disk_is_broken, false);
    store_open();
    collection_create(kind);
    return rc;
}

static int setup(void **state)
{
    return setup_kind(LINKD_INDEX_AUTO, state);
}

static int setup_lists(void **state)
{
    return setup_kind(LINKD_INDEX_IVF, state);
}

static int setup_exact(void **state)
{
    return setup_kind(LINKD_INDEX_EXACT, state);
}

static int path_remove(const char *path, const struct stat *status, int kind,
                       struct FTW *walk)
{
    (void)status;
    (void)kind;
    (void)walk;
    return remove(path);
}

static int teardown(void **state)
{
    atomic_store(&disk_is_broken, false);
    atomic_store(&sets_are_full, false);
    store_close();
    (void)nftw("data", path_remove, 8, FTW_DEPTH | FTW_PHYS);
    return scratch_leave(state);
}

typedef char id_text[16];

static void ids_fill(id_text *ids, size_t from, size_t n)
{
    for (size_t i = 0; i < n; i++)
        (void)snprintf(ids[i], sizeof(ids[i]), "%zu", from + i);
}

static void records_put(size_t from, size_t n)
{
    id_text *ids = calloc(n, sizeof(*ids));
    linkd_put *puts = calloc(n, sizeof(*puts));
    linkd_write_result result;

    assert_non_null(ids);
    assert_non_null(puts);
    ids_fill(ids, from, n);
    for (size_t i = 0; i < n; i++)
        puts[i] = (linkd_put){.id = str_of(ids[i]),
                              .dim = DIM,
                              .vector = vectors + (from + i) * DIM};
    assert_int_equal(
        linkd_store_put(store, str_of("people"), puts, n, NULL, &result, &err),
        LINKD_OK);
    free(puts);
    free(ids);
}

/* Of 0 to n - 1 those whose number divided by 10 leaves less than `below`. */
static void records_delete(size_t n, size_t below)
{
    id_text *texts = calloc(n, sizeof(*texts));
    linkd_str *ids = calloc(n, sizeof(*ids));
    linkd_write_result result;
    size_t n_ids = 0;

    assert_non_null(texts);
    assert_non_null(ids);
    ids_fill(texts, 0, n);
    for (size_t i = 0; i < n; i++) {
        if (i % 10 < below)
            ids[n_ids++] = str_of(texts[i]);
    }
    assert_int_equal(linkd_store_delete(store, str_of("people"), ids, n_ids,
                                        NULL, &result, &err),
                     LINKD_OK);
    assert_int_equal(result.n_deleted, n_ids);
    free(ids);
    free(texts);
}

/* ---- looking ------------------------------------------------------------ */

static linkd_store_stats stats_of(void)
{
    linkd_store_stats stats;

    linkd_store_read_stats(store, &stats);
    return stats;
}

static uint64_t n_unindexed(void)
{
    lk_arena arena = {0};
    linkd_collection_info info;
    uint64_t n;

    assert_int_equal(
        linkd_store_describe(store, str_of("people"), &arena, &info, &err),
        LINKD_OK);
    n = info.n_unindexed;
    lk_arena_clear(&arena);
    return n;
}

/* Vectors in all segments of the first generation, dead ones too. */
static size_t n_in_segments(void)
{
    lk_segment_set *set = lk_sets_get(store->sets, 1, 1);
    size_t n = 0;

    for (size_t i = 0; set != NULL && i < set->n; i++)
        n += set->segments[i]->n;
    lk_segment_set_unref(set);
    return n;
}

static bool is_indexed(void)
{
    return n_in_segments() > 0 && n_unindexed() < LK_ROWS_PER_CHUNK;
}

static bool has_failed(void)
{
    bool failed;

    (void)pthread_mutex_lock(&events.lock);
    failed = events.n_told[LINKD_STORE_FAILED] > 0;
    (void)pthread_mutex_unlock(&events.lock);
    return failed;
}

static uint64_t rows_count(lk_table table)
{
    lk_txn *txn = NULL;
    uint64_t n = 0;

    assert_int_equal(lk_txn_begin_read(store->env, &txn, &err), LINKD_OK);
    assert_int_equal(lk_txn_count(txn, table, &n, &err), LINKD_OK);
    lk_txn_abort(txn);
    return n;
}

/* Files below data/segments; `ret_name` gets the name of one. */
static size_t files_count(char ret_name[PATH_BYTES])
{
    DIR *dir = opendir("data/segments");
    const struct dirent *entry;
    size_t n = 0;

    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        (void)snprintf(ret_name, PATH_BYTES, "data/segments/%s", entry->d_name);
        n++;
    }
    (void)closedir(dir);
    return n;
}

/* How many of the records 0, 7, 14, … a search for their vector finds first. */
static size_t selves_found(size_t n, size_t *ret_n_asked)
{
    linkd_search_options options = LINKD_SEARCH_OPTIONS_INIT;
    linkd_view *view = NULL;
    size_t n_found = 0;
    linkd_error own; /* the caller may be a thread of its own */

    *ret_n_asked = 0;
    assert_int_equal(linkd_view_open(store, str_of("people"), &view, &own),
                     LINKD_OK);
    for (size_t i = 0; i < n; i += 7) {
        linkd_search_stats stats;
        linkd_hit hits[10];
        uint64_t number;
        id_text id;
        bool found;

        (void)snprintf(id, sizeof(id), "%zu", i);
        assert_int_equal(
            linkd_view_find(view, str_of(id), &number, &found, &own), LINKD_OK);
        if (!found)
            continue;
        assert_int_equal(linkd_view_search(view, vectors + i * DIM, 1, &options,
                                           hits, &stats, &own),
                         LINKD_OK);
        (*ret_n_asked)++;
        n_found += hits[0].id == number;
    }
    linkd_view_close(view);
    return n_found;
}

static void assert_records_found(size_t n)
{
    size_t n_asked;
    size_t n_found = selves_found(n, &n_asked);

    assert_true(n_found * 20 >= n_asked * 19);
}

/* ---- tests -------------------------------------------------------------- */

static void enough_vectors_become_a_segment(void **state)
{
    char name[PATH_BYTES];

    (void)state;
    records_put(0, EXACT_BELOW - 1);
    assert_int_equal(files_count(name), 0);
    records_put(EXACT_BELOW - 1, 200);
    wait_for(is_indexed);
    assert_int_equal(stats_of().n_segments, 1);
    assert_int_equal(stats_of().n_built, 1);
    assert_true(stats_of().segment_bytes > n_in_segments() * DIM);
    assert_int_equal(rows_count(LK_TABLE_SEGMENTS), 1);
    assert_int_equal(files_count(name), 1);
    assert_string_equal(name, "data/segments/1-1-1.segment");
    assert_records_found(EXACT_BELOW + 199);
}

static void vectors_become_lists_where_that_is_asked(void **state)
{
    (void)state;
    records_put(0, N);
    wait_for(is_indexed);
    assert_records_found(N);
}

static void an_exact_collection_gets_none(void **state)
{
    (void)state;
    records_put(0, N);
    store_close();
    store_open();
    store_close(); /* joins the builder */
    store_open();
    assert_int_equal(rows_count(LK_TABLE_SEGMENTS), 0);
    assert_records_found(N);
}

static void segments_are_there_after_a_restart(void **state)
{
    (void)state;
    records_put(0, N);
    wait_for(is_indexed);
    store_close();
    store_open();
    assert_int_equal(stats_of().n_segments, rows_count(LK_TABLE_SEGMENTS));
    assert_true(is_indexed());
    assert_int_equal(stats_of().n_damaged, 0);
    assert_int_equal(events.n_told[LINKD_STORE_DAMAGED], 0);
    assert_records_found(N);
}

static void file_flip(const char *path)
{
    FILE *file = fopen(path, "r+b");
    int byte;

    assert_non_null(file);
    assert_int_equal(fseek(file, 1000, SEEK_SET), 0);
    byte = fgetc(file);
    assert_int_equal(fseek(file, 1000, SEEK_SET), 0);
    assert_int_equal(fputc(byte ^ 4, file), byte ^ 4);
    assert_int_equal(fclose(file), 0);
}

/* Opens a store whose segment was damaged while it was closed. */
static void healing_watch(const char *what)
{
    char name[PATH_BYTES];

    store_open();
    assert_int_equal(stats_of().n_damaged, 1);
    assert_int_equal(events.n_told[LINKD_STORE_DAMAGED], 1);
    assert_non_null(strstr(events.last[LINKD_STORE_DAMAGED], what));
    assert_records_found(1000);
    wait_for(is_indexed);
    assert_records_found(1000);
    assert_int_equal(rows_count(LK_TABLE_SEGMENTS), 1);
    assert_int_equal(files_count(name), 1);
    assert_string_equal(name, "data/segments/1-1-2.segment");
    store_close();
    store_open();
    assert_int_equal(stats_of().n_damaged, 0);
    assert_int_equal(stats_of().n_segments, 1);
}

static void a_damaged_segment_is_told_and_built_again(void **state)
{
    char name[PATH_BYTES];

    (void)state;
    records_put(0, 1000);
    wait_for(is_indexed);
    store_close();
    (void)files_count(name);
    file_flip(name);
    healing_watch("segment 1-1-1.segment has a wrong checksum");
}

static void a_missing_segment_is_told_and_built_again(void **state)
{
    char name[PATH_BYTES];

    (void)state;
    records_put(0, 1000);
    wait_for(is_indexed);
    store_close();
    (void)files_count(name);
    assert_int_equal(remove(name), 0);
    healing_watch("segment 1-1-1.segment is gone");
}

/* What a crash leaves: a build that was not finished, a file whose row was not
 * written yet or removed already. */
static void files_without_a_row_are_removed(void **state)
{
    char name[PATH_BYTES];

    (void)state;
    store_close();
    scratch_write_text("data/segments/1-1-0.tmp", "x");
    scratch_write_text("data/segments/1-1-0.segment", "x");
    scratch_write_text("data/segments/9-2-77.segment", "x");
    scratch_write_text("data/segments/notes", "x");
    store_open();
    assert_int_equal(files_count(name), 1);
    assert_string_equal(name, "data/segments/notes");
}

static bool dead_are_left_out(void)
{
    return n_in_segments() > 0 && n_in_segments() <= N * 7 / 10;
}

static void deletions_lead_to_a_new_segment(void **state)
{
    (void)state;
    records_put(0, N);
    wait_for(is_indexed);
    records_delete(N, 3);
    wait_for(dead_are_left_out);
    assert_true(stats_of().n_built >= 2);
    assert_records_found(N);
}

/* Half-dead chunks are emptied into new ones, which are indexed in turn. */
static bool chunks_are_freed(void)
{
    return rows_count(LK_TABLE_VECTORS) <= N / LK_ROWS_PER_CHUNK / 2 &&
           is_indexed();
}

static void chunks_that_are_half_dead_are_freed(void **state)
{
    (void)state;
    records_put(0, N);
    wait_for(is_indexed);
    records_delete(N, 6);
    wait_for(chunks_are_freed);
    assert_int_equal(rows_count(LK_TABLE_SLOTS), N * 4 / 10);
    assert_records_found(N);
}

static bool has_no_segment(void)
{
    return stats_of().n_segments == 0 && rows_count(LK_TABLE_SEGMENTS) == 0;
}

static void segments_go_when_few_records_are_left(void **state)
{
    char name[PATH_BYTES];

    (void)state;
    records_put(0, 1000);
    wait_for(is_indexed);
    records_delete(1000, 9);
    wait_for(has_no_segment);
    assert_int_equal(files_count(name), 0);
    assert_records_found(1000);
}

static bool is_purged(void)
{
    return rows_count(LK_TABLE_COLLECTIONS) == 0;
}

static void a_dropped_collection_leaves_nothing(void **state)
{
    char name[PATH_BYTES];

    (void)state;
    records_put(0, N);
    wait_for(is_indexed);
    assert_int_equal(
        linkd_store_drop_collection(store, str_of("people"), NULL, NULL, &err),
        LINKD_OK);
    wait_for(is_purged);
    assert_int_equal(stats_of().n_segments, 0);
    assert_int_equal(rows_count(LK_TABLE_VECTORS), 0);
    assert_int_equal(rows_count(LK_TABLE_SEGMENTS), 0);
    assert_int_equal(rows_count(LK_TABLE_RECORDS), 0);
    assert_int_equal(files_count(name), 0);
}

static void a_build_that_is_stopped_gives_nothing(void **state)
{
    atomic_bool stop = true;
    char factory[LK_FACTORY_BYTES];
    lk_segment *segment = NULL;
    lk_build build = {.store = store,
                      .collection = 1,
                      .generation = 1,
                      .end = 448,
                      .n_alive = 448,
                      .dim = DIM,
                      .stop = &stop};

    (void)state;
    records_put(0, EXACT_BELOW - 1);
    assert_int_equal(lk_build_run(&build, &segment, factory, &err),
                     LINKD_E_CANCELLED);
    assert_null(segment);
    atomic_store(&stop, false);
    assert_int_equal(lk_build_run(&build, &segment, factory, &err), LINKD_OK);
    assert_int_equal(segment->n, 448);
    lk_segment_unref(segment);
}

/* Wherever the builder is when the store is closed. */
static void closing_leaves_files_and_rows_in_step(void **state)
{
    (void)state;
    for (size_t i = 0; i < 8; i++) {
        char name[PATH_BYTES] = "";
        size_t n_files;

        records_put(i * 300, 300);
        store_close();
        n_files = files_count(name);
        assert_null(strstr(name, ".tmp"));
        store_open();
        assert_int_equal(stats_of().n_damaged, 0);
        assert_true(n_files <= rows_count(LK_TABLE_SEGMENTS) + 1);
    }
    records_put(2400, N - 2400);
    wait_for(is_indexed);
    assert_records_found(N);
}

static void what_fails_is_told_and_tried_again(void **state)
{
    char name[PATH_BYTES];

    (void)state;
    atomic_store(&disk_is_broken, true);
    records_put(0, 1000);
    wait_for(has_failed);
    assert_string_equal(events.last[LINKD_STORE_FAILED],
                        "could not index collection 1: could not write segment "
                        "1-1-1.tmp: Input/output error");
    assert_int_equal(files_count(name), 0);
    assert_records_found(1000);
    atomic_store(&disk_is_broken, false);
    wait_for(is_indexed);
    assert_int_equal(events.n_told[LINKD_STORE_FAILED], 1);
}

/* The rows are written by then. Segments that were to go must not be searched
 * on: the next build would be planned around them, and overlap the new rows. */
static void segments_that_cannot_be_shown_leave_a_scan(void **state)
{
    (void)state;
    records_put(0, 1000);
    wait_for(is_indexed);
    atomic_store(&sets_are_full, true);
    records_put(1000, 1500);
    wait_for(has_failed);
    assert_int_equal(n_in_segments(), 0);
    assert_records_found(2500);
    atomic_store(&sets_are_full, false);
    wait_for(is_indexed);
    assert_records_found(2500);
}

static int row_damage(void *ctx, lk_txn *txn, uint64_t *seq,
                      linkd_error *ret_err)
{
    const uint32_t *collection = ctx;
    lk_key key;

    (void)seq;
    lk_key_begin(&key);
    lk_key_add_u32(&key, *collection);
    return lk_txn_put(txn, LK_TABLE_COLLECTIONS, lk_key_str(&key),
                      str_of("no checksum of anything"), ret_err);
}

static void a_damaged_collection_does_not_hold_up_others(void **state)
{
    linkd_collection_options options = {.dim = DIM};
    uint32_t firms = 2, people = 1;

    (void)state;
    assert_int_equal(linkd_store_create_collection(store, str_of("firms"),
                                                   &options, NULL, NULL, &err),
                     LINKD_OK);
    assert_int_equal(
        lk_writer_run(store->writer, row_damage, &firms, 1, NULL, &err),
        LINKD_OK);
    records_put(0, N);
    wait_for(is_indexed);
    assert_true(has_failed());
    assert_int_equal(
        lk_writer_run(store->writer, row_damage, &people, 1, NULL, &err),
        LINKD_OK);
    store_close();
    store_open(); /* though there are segments that may be of any length */
    assert_int_equal(stats_of().n_segments, 0);
}

/* Flips a bit of a vector wherever it lies in the database. */
static void vector_flip(const float *vector)
{
    FILE *file = fopen("data/data.mdb", "r+b");
    size_t n_flipped = 0;
    float row[DIM];

    assert_non_null(file);
    for (long at = 0; fseek(file, at, SEEK_SET) == 0 &&
                      fread(row, sizeof(row), 1, file) == 1;
         at += (long)sizeof(*row)) {
        if (memcmp(row, vector, sizeof(row)) != 0)
            continue;
        row[3] = -row[3];
        assert_int_equal(fseek(file, at, SEEK_SET), 0);
        assert_int_equal(fwrite(row, sizeof(row), 1, file), 1);
        n_flipped++;
    }
    assert_int_equal(fclose(file), 0);
    assert_true(n_flipped > 0);
}

/* What is wrong in a graph would stay there after the chunk was mended. */
static void a_damaged_chunk_is_told_and_not_indexed(void **state)
{
    (void)state;
    records_put(0, EXACT_BELOW - 1);
    store_close();
    vector_flip(vectors + 70 * DIM);
    store_open();
    records_put(EXACT_BELOW - 1, 500);
    wait_for(has_failed);
    assert_non_null(strstr(events.last[LINKD_STORE_FAILED], "checksum"));
    assert_int_equal(stats_of().n_segments, 0);
    assert_records_found(EXACT_BELOW + 499);
}

static atomic_bool searching;

static void *searcher_main(void *arg)
{
    size_t n_asked = 0;

    (void)arg;
    while (atomic_load(&searching))
        (void)selves_found(700, &n_asked);
    return NULL;
}

/* For the thread sanitizer, and for views that were opened before a change. */
static void searches_run_while_segments_change(void **state)
{
    pthread_t thread;

    (void)state;
    records_put(0, 700);
    atomic_store(&searching, true);
    assert_int_equal(pthread_create(&thread, NULL, searcher_main, NULL), 0);
    for (size_t i = 700; i < 2000; i += 130)
        records_put(i, 130);
    records_put(2000, N - 2000); /* enough for a segment, whatever is left */
    wait_for(is_indexed);
    records_delete(N, 3);
    wait_for(dead_are_left_out);
    atomic_store(&searching, false);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_records_found(N);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(enough_vectors_become_a_segment),
        cmocka_unit_test_setup_teardown(
            vectors_become_lists_where_that_is_asked, setup_lists, teardown),
        cmocka_unit_test_setup_teardown(an_exact_collection_gets_none,
                                        setup_exact, teardown),
        TEST(segments_are_there_after_a_restart),
        TEST(a_damaged_segment_is_told_and_built_again),
        TEST(a_missing_segment_is_told_and_built_again),
        TEST(files_without_a_row_are_removed),
        TEST(deletions_lead_to_a_new_segment),
        TEST(chunks_that_are_half_dead_are_freed),
        TEST(segments_go_when_few_records_are_left),
        TEST(a_dropped_collection_leaves_nothing),
        TEST(a_build_that_is_stopped_gives_nothing),
        TEST(closing_leaves_files_and_rows_in_step),
        TEST(what_fails_is_told_and_tried_again),
        TEST(segments_that_cannot_be_shown_leave_a_scan),
        TEST(a_damaged_collection_does_not_hold_up_others),
        TEST(a_damaged_chunk_is_told_and_not_indexed),
        TEST(searches_run_while_segments_change),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
