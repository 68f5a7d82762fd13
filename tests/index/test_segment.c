/* tests/index/test_segment.c — a segment file is read whole or not at all.
 *
 * LINKD_TEST_FLIPS and LINKD_TEST_CUTS say how many damaged copies are tried
 * (200 and 50). The disk is faked: write and fsync below are found before the
 * system's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "index/segment.h"
#include "tests/index/clusters.h"
#include "tests/linkage/scratch.h"
#include "tests/support/alloc_fail.h"

#define DIM  ((size_t)8)
#define N    ((size_t)300)
#define PATH "segments/1-1-7.segment"
#define TMP  "segments/1-1-7.tmp"

static struct {
    size_t room;    /* bytes until the disk is full */
    int fsync_left; /* calls until fsync fails */
} fake;

ssize_t write(int fd, const void *bytes, size_t len)
{
    if (len > fake.room) {
        errno = ENOSPC;
        return -1;
    }
    fake.room -= len;
    return syscall(SYS_write, fd, bytes, len);
}

int fsync(int fd)
{
    if (fake.fsync_left-- == 0) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_fsync, fd);
}

/* ---- arranging ---------------------------------------------------------- */

static linkd_error err;
static float vectors[N * DIM];
static lk_segment *segment;
static lk_segment_row row;

static int setup(void **state)
{
    (void)state;
    fake.room = SIZE_MAX;
    fake.fsync_left = -1;
    clusters_fill(vectors, N, DIM, 1);
    segment = calloc(1, sizeof(*segment));
    assert_non_null(segment);
    atomic_init(&segment->n_refs, 1);
    segment->slot_begin = 64;
    segment->slot_end = 64 + 3 * N;
    segment->n = N;
    segment->slots = calloc(N, sizeof(*segment->slots));
    assert_non_null(segment->slots);
    for (size_t i = 0; i < N; i++)
        segment->slots[i] = 64 + 3 * i;
    lk_ann_set_threads(1);
    assert_int_equal(lk_ann_new("HNSW8,SQ8_direct", DIM, &segment->ann, &err),
                     LINKD_OK);
    assert_int_equal(lk_ann_train(segment->ann, vectors, N, &err), LINKD_OK);
    assert_int_equal(lk_ann_add(segment->ann, vectors, N, &err), LINKD_OK);
    row = (lk_segment_row){
        .slot_begin = 64, .slot_end = 64 + 3 * N, .n = segment->n};
    (void)mkdir("segments", 0700);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    lk_segment_unref(segment);
    (void)remove(PATH);
    (void)remove(TMP);
    return 0;
}

static void segment_write(void)
{
    assert_int_equal(lk_segment_write(segment, PATH, DIM, &row, &err),
                     LINKD_OK);
}

static int segment_read(void)
{
    lk_segment *read = NULL;
    int rc = lk_segment_read(PATH, DIM, &row, &read, &err);

    if (rc == LINKD_OK)
        lk_segment_unref(read);
    else
        assert_null(read);
    return rc;
}

static bool exists(const char *path)
{
    return access(path, F_OK) == 0;
}

static char *bytes_read(size_t *ret_len)
{
    FILE *file = fopen(PATH, "rb");
    char *bytes = malloc((size_t)row.file_bytes);

    assert_non_null(file);
    assert_non_null(bytes);
    *ret_len = fread(bytes, 1, (size_t)row.file_bytes, file);
    (void)fclose(file);
    return bytes;
}

static size_t count_from(const char *variable, size_t usual)
{
    const char *text = getenv(variable);

    return text == NULL ? usual : (size_t)strtoul(text, NULL, 10);
}

/* ---- tests -------------------------------------------------------------- */

static void a_path_names_collection_generation_and_number(void **state)
{
    lk_buf path = {0};

    (void)state;
    assert_int_equal(lk_segment_path("data", 3, 2, 9, &path, &err), LINKD_OK);
    assert_string_equal(path.data, "data/segments/3-2-9.segment");
    lk_buf_clear(&path);
}

static void what_is_read_is_what_was_written(void **state)
{
    lk_segment *read = NULL;
    struct stat info;
    float scores[10], scores_read[10];
    int64_t found[10], found_read[10];

    (void)state;
    segment_write();
    assert_int_equal(stat(PATH, &info), 0);
    assert_int_equal(row.file_bytes, (uint64_t)info.st_size);
    assert_false(exists(TMP));
    assert_int_equal(lk_segment_read(PATH, DIM, &row, &read, &err), LINKD_OK);
    assert_int_equal(read->n, N);
    assert_int_equal(read->slot_begin, 64);
    assert_int_equal(read->slot_end, 64 + 3 * N);
    assert_int_equal(read->file_bytes, row.file_bytes);
    assert_memory_equal(read->slots, segment->slots, N * sizeof(uint64_t));
    for (size_t i = 0; i < N; i += 29) {
        const float *query = vectors + i * DIM;

        assert_int_equal(
            lk_ann_search(segment->ann, query, 10, scores, found, &err),
            LINKD_OK);
        assert_int_equal(
            lk_ann_search(read->ann, query, 10, scores_read, found_read, &err),
            LINKD_OK);
        assert_memory_equal(found, found_read, sizeof(found));
        assert_memory_equal(scores, scores_read, sizeof(scores));
    }
    lk_segment_unref(read);
}

static void any_flipped_bit_is_noticed(void **state)
{
    size_t n = count_from("LINKD_TEST_FLIPS", 200);
    uint64_t random = 20261124;
    size_t len;
    char *bytes;

    (void)state;
    segment_write();
    bytes = bytes_read(&len);
    for (size_t i = 0; i < n; i++) {
        size_t at =
            (size_t)((random = random * 6364136223846793005U + 1) >> 20) % len;

        bytes[at] = (char)(bytes[at] ^ (1 << i % 8));
        scratch_write(PATH, bytes, len);
        assert_int_equal(segment_read(), LINKD_E_DATA);
        assert_string_equal(err.message,
                            "segment 1-1-7.segment has a wrong checksum");
        bytes[at] = (char)(bytes[at] ^ (1 << i % 8));
    }
    scratch_write(PATH, bytes, len);
    assert_int_equal(segment_read(), LINKD_OK);
    free(bytes);
}

static void any_other_length_is_noticed(void **state)
{
    size_t n = count_from("LINKD_TEST_CUTS", 50);
    size_t len;
    char *bytes;

    (void)state;
    segment_write();
    bytes = bytes_read(&len);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(truncate(PATH, (off_t)(len * i / n)), 0);
        assert_int_equal(segment_read(), LINKD_E_DATA);
        scratch_write(PATH, bytes, len);
    }
    assert_int_equal(truncate(PATH, (off_t)len + 1), 0);
    assert_int_equal(segment_read(), LINKD_E_DATA);
    free(bytes);
}

/* A file that is sound, but not the one that its row means. */
static void a_file_that_does_not_fit_its_row_is_refused(void **state)
{
    lk_segment_row good;
    lk_segment *read = NULL;

    (void)state;
    segment_write();
    good = row;
    row.n = N - 1;
    assert_int_equal(segment_read(), LINKD_E_DATA);
    row = good;
    row.slot_begin = 65;
    assert_int_equal(segment_read(), LINKD_E_DATA);
    row = good;
    row.slot_end = 64 + 3 * N - 3;
    assert_int_equal(segment_read(), LINKD_E_DATA);
    assert_string_equal(err.message, "segment 1-1-7.segment has wrong slots");
    row = good;
    assert_int_equal(lk_segment_read(PATH, DIM + 1, &row, &read, &err),
                     LINKD_E_DATA);
    segment->slots[5] = segment->slots[4];
    segment_write();
    assert_int_equal(segment_read(), LINKD_E_DATA);
}

static void a_missing_file_is_absent(void **state)
{
    (void)state;
    segment_write();
    assert_int_equal(remove(PATH), 0);
    assert_int_equal(segment_read(), LINKD_E_ABSENT);
    assert_string_equal(err.message, "segment 1-1-7.segment is gone");
    assert_int_equal(mkdir(PATH, 0700), 0);
    assert_int_equal(segment_read(), LINKD_E_DATA);
}

static void a_full_disk_leaves_no_file(void **state)
{
    size_t len;

    (void)state;
    segment_write();
    len = (size_t)row.file_bytes;
    assert_int_equal(remove(PATH), 0);
    for (size_t i = 0; i < 20; i++) {
        fake.room = len * i / 20;
        assert_int_equal(lk_segment_write(segment, PATH, DIM, &row, &err),
                         LINKD_E_FULL);
        assert_string_equal(err.message, "could not write segment 1-1-7.tmp: "
                                         "No space left on device");
        assert_false(exists(PATH));
        assert_false(exists(TMP));
    }
}

/* Of the file, then of its directory. */
static void a_sync_that_fails_leaves_no_file(void **state)
{
    lk_segment_row before = row;

    (void)state;
    for (int i = 0; i < 2; i++) {
        fake.fsync_left = i;
        assert_int_equal(lk_segment_write(segment, PATH, DIM, &row, &err),
                         LINKD_E_IO);
        assert_int_equal(row.file_hash, before.file_hash);
        assert_false(exists(PATH));
        assert_false(exists(TMP));
    }
}

static void memory_that_runs_out_is_reported(void **state)
{
    (void)state;
    segment_write();
    for (size_t n = 1;; n++) {
        lk_segment *read = NULL;
        int rc;

        alloc_fail_at(n);
        rc = lk_segment_read(PATH, DIM, &row, &read, &err);
        if (!alloc_fail_off()) {
            assert_int_equal(rc, LINKD_OK);
            lk_segment_unref(read);
            assert_true(n > 3);
            break;
        }
        assert_int_equal(rc, LINKD_E_NOMEM);
        assert_null(read);
    }
}

static void memory_that_runs_out_leaves_no_file(void **state)
{
    (void)state;
    for (size_t n = 1;; n++) {
        int rc;

        alloc_fail_at(n);
        rc = lk_segment_write(segment, PATH, DIM, &row, &err);
        if (!alloc_fail_off()) {
            assert_int_equal(rc, LINKD_OK);
            assert_true(n > 2);
            break;
        }
        assert_int_equal(rc, LINKD_E_NOMEM);
        assert_false(exists(PATH));
        assert_false(exists(TMP));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(a_path_names_collection_generation_and_number),
        TEST(what_is_read_is_what_was_written),
        TEST(any_flipped_bit_is_noticed),
        TEST(any_other_length_is_noticed),
        TEST(a_file_that_does_not_fit_its_row_is_refused),
        TEST(a_missing_file_is_absent),
        TEST(a_full_disk_leaves_no_file),
        TEST(a_sync_that_fails_leaves_no_file),
        TEST(memory_that_runs_out_is_reported),
        TEST(memory_that_runs_out_leaves_no_file),
    };

    return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
