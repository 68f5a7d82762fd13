/* The file of packed weights alone: what is written is found again, and nothing
 * else is taken for it. */
#include <dirent.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utime.h>

#include <cmocka.h>
#include <xxhash.h>

#include "encoder/packed.h"
#include "tests/support/alloc_fail.h"

enum {
    N_FLOATS = 300,
    PAGE = 4096,
    HEADER_HASH_AT = 80, /* bytes of the header before it */
};

#define LAYOUT "scalar-f32"
static const lk_packed_key KEY = {1, 2};
static const char IMAGE[] = "what a tokenizer would write";

typedef struct fixture {
    char root[32];
    char model[48]; /* root/model */
    char cache[48]; /* root/cache, for XDG_CACHE_HOME */
    float block[N_FLOATS];
    lk_packed content;
} fixture;

static int remove_entry(const char *path, const struct stat *status, int type,
                        struct FTW *place)
{
    (void)status;
    (void)type;
    (void)place;
    return remove(path);
}

static uint8_t *file_read(const char *path, size_t *ret_len)
{
    FILE *file = fopen(path, "rb");
    struct stat status;
    uint8_t *bytes;

    assert_non_null(file);
    assert_int_equal(fstat(fileno(file), &status), 0);
    *ret_len = (size_t)status.st_size;
    bytes = malloc(*ret_len);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, *ret_len, file), *ret_len);
    (void)fclose(file);
    return bytes;
}

static void file_write(const char *path, const char *content)
{
    FILE *file = fopen(path, "wb");

    assert_non_null(file);
    fputs(content, file);
    assert_int_equal(fclose(file), 0);
}

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    (void)snprintf(f->root, sizeof(f->root), "/tmp/linkd-packed-XXXXXX");
    assert_non_null(mkdtemp(f->root));
    (void)snprintf(f->model, sizeof(f->model), "%s/model", f->root);
    (void)snprintf(f->cache, sizeof(f->cache), "%s/cache", f->root);
    assert_int_equal(mkdir(f->model, 0700), 0);
    setenv("XDG_CACHE_HOME", f->cache, 1);
    for (size_t i = 0; i < N_FLOATS; i++)
        f->block[i] = (float)i / 7.0F;
    f->content = (lk_packed){.fingerprint = "0123456789abcdef0123456789abcdef",
                             .tokenizer = {IMAGE, sizeof(IMAGE)},
                             .block = f->block,
                             .n_floats = N_FLOATS};
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;

    unsetenv("XDG_CACHE_HOME");
    assert_int_equal(nftw(f->root, remove_entry, 8, FTW_DEPTH | FTW_PHYS), 0);
    free(f);
    return 0;
}

static void save(const fixture *f, const char *layout)
{
    assert_int_equal(lk_packed_save(f->model, layout, KEY, &f->content, NULL),
                     LINKD_OK);
}

static bool finds(const fixture *f, lk_packed_key key)
{
    lk_packed found = {0};
    bool is_there;

    assert_int_equal(lk_packed_open(f->model, LAYOUT, key, &found, NULL),
                     LINKD_OK);
    is_there = found.block != NULL;
    lk_packed_close(&found);
    return is_there;
}

static char *path_of(const fixture *f)
{
    static char path[128];

    (void)snprintf(path, sizeof(path), "%s/linkd-packed-" LAYOUT ".bin",
                   f->model);
    return path;
}

static void assert_content(const fixture *f, const lk_packed *found)
{
    assert_string_equal(found->fingerprint, f->content.fingerprint);
    assert_int_equal(found->tokenizer.len, f->content.tokenizer.len);
    assert_memory_equal(found->tokenizer.bytes, f->content.tokenizer.bytes,
                        f->content.tokenizer.len);
    assert_int_equal(found->n_floats, N_FLOATS);
    assert_memory_equal(found->block, f->block, sizeof(f->block));
    assert_int_equal((uintptr_t)found->block % 64, 0);
}

static void what_is_saved_is_found(void **state)
{
    const fixture *f = *state;
    lk_packed found = {0};

    assert_false(finds(f, KEY));
    save(f, LAYOUT);
    assert_int_equal(access(path_of(f), R_OK), 0);
    assert_int_equal(lk_packed_open(f->model, LAYOUT, KEY, &found, NULL),
                     LINKD_OK);
    assert_content(f, &found);
    lk_packed_close(&found);
    assert_int_not_equal(access(f->cache, F_OK), 0); /* nor is a cache made */
}

static void a_tokenizer_without_an_image_takes_no_room(void **state)
{
    fixture *f = *state;
    lk_packed found = {0};

    f->content.tokenizer = (linkd_str){NULL, 0};
    save(f, LAYOUT);
    assert_int_equal(lk_packed_open(f->model, LAYOUT, KEY, &found, NULL),
                     LINKD_OK);
    assert_int_equal(found.file.len, PAGE + sizeof(f->block));
    assert_content(f, &found);
    lk_packed_close(&found);
}

static void other_sources_or_another_layout_are_not_it(void **state)
{
    const fixture *f = *state;

    save(f, "avx2-f32");
    assert_false(finds(f, KEY));
    save(f, LAYOUT);
    assert_false(finds(f, (lk_packed_key){1, 3}));
    assert_false(finds(f, (lk_packed_key){0, 2}));
    assert_true(finds(f, KEY));
}

/* One bit anywhere that is read: a whole run over all of them is cheap. */
static void a_damaged_bit_is_noticed(void **state)
{
    const fixture *f = *state;
    size_t len = 0;
    uint8_t *bytes;
    lk_packed found;

    save(f, LAYOUT);
    bytes = file_read(path_of(f), &len);
    assert_true(lk_packed_parse(bytes, len, KEY, &found));
    for (size_t i = 0; i < len; i++) {
        if (i == HEADER_HASH_AT + 8)
            i = PAGE; /* the header's page is not filled */
        bytes[i] ^= 16;
        assert_false(lk_packed_parse(bytes, len, KEY, &found));
        bytes[i] ^= 16;
    }
    for (size_t cut = 0; cut < len; cut += cut < PAGE ? 8 : 4)
        assert_false(lk_packed_parse(bytes, cut, KEY, &found));
    free(bytes);
}

/* A header that lies about lengths, with hashes that hold. */
static void a_header_that_lies_is_refused(void **state)
{
    const fixture *f = *state;
    const uint64_t lies[] = {
        0, UINT64_MAX, UINT64_MAX / 4, UINT64_MAX / 4 + 2, 8192, 8193};
    size_t len = 0;
    uint8_t *bytes;
    lk_packed found;

    save(f, LAYOUT);
    bytes = file_read(path_of(f), &len);
    for (size_t field = 3; field <= 4; field++)
        for (size_t i = 0; i < sizeof(lies) / sizeof(*lies); i++) {
            uint8_t lied[PAGE];
            uint64_t hash;

            memcpy(lied, bytes, PAGE);
            memcpy(bytes + field * 8, &lies[i], 8);
            hash = XXH3_64bits(bytes, HEADER_HASH_AT);
            memcpy(bytes + HEADER_HASH_AT, &hash, 8);
            assert_false(lk_packed_parse(bytes, len, KEY, &found));
            memcpy(bytes, lied, PAGE);
        }
    free(bytes);
}

static void saving_again_replaces_the_file(void **state)
{
    fixture *f = *state;
    lk_packed found = {0};

    save(f, LAYOUT);
    f->block[7] = -1.0F;
    save(f, LAYOUT);
    assert_int_equal(lk_packed_open(f->model, LAYOUT, KEY, &found, NULL),
                     LINKD_OK);
    assert_content(f, &found);
    lk_packed_close(&found);
}

/* Nobody, not even root, may write into this one. */
static void model_protect(const fixture *f)
{
    assert_int_equal(rmdir(f->model), 0);
    assert_int_equal(symlink("/proc/self", f->model), 0);
}

static void a_model_that_cannot_be_written_to_is_cached_elsewhere(void **state)
{
    const fixture *f = *state;
    lk_packed found = {0};

    model_protect(f);
    save(f, LAYOUT);
    assert_int_equal(lk_packed_open(f->model, LAYOUT, KEY, &found, NULL),
                     LINKD_OK);
    assert_non_null(found.block);
    assert_content(f, &found);
    lk_packed_close(&found);
}

/* Files of the cache; each is made older than those that come after it. */
static size_t cache_count(const fixture *f)
{
    char dir[64], path[400];
    const struct utimbuf long_ago = {1000000000, 1000000000};
    DIR *stream;
    size_t n = 0;

    (void)snprintf(dir, sizeof(dir), "%s/linkd", f->cache);
    stream = opendir(dir);
    assert_non_null(stream);
    for (const struct dirent *entry; (entry = readdir(stream)) != NULL;) {
        if (entry->d_name[0] == '.')
            continue;
        (void)snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
        assert_int_equal(utime(path, &long_ago), 0);
        n++;
    }
    closedir(stream);
    return n;
}

static void the_cache_keeps_the_eight_that_were_written_last(void **state)
{
    const fixture *f = *state;
    char name[32];

    model_protect(f);
    save(f, LAYOUT);
    for (int i = 2; i <= 8; i++) {
        (void)snprintf(name, sizeof(name), "layout-%d", i);
        assert_int_equal(cache_count(f), i - 1);
        save(f, name);
    }
    assert_int_equal(cache_count(f), 8);
    save(f, LAYOUT); /* again: now it is the newest */
    save(f, "layout-9");
    assert_int_equal(cache_count(f), 8);
    assert_true(finds(f, KEY));
}

/* One half written by a process that is at work, or died. */
static void an_old_half_written_file_is_swept_away(void **state)
{
    const fixture *f = *state;
    const struct utimbuf long_ago = {1000000000, 1000000000};
    char path[160];

    (void)snprintf(path, sizeof(path), "%s.new", path_of(f));
    file_write(path, "half");
    save(f, LAYOUT);
    assert_false(finds(f, KEY)); /* another process is at it */
    assert_int_equal(utime(path, &long_ago), 0);
    save(f, LAYOUT);
    assert_true(finds(f, KEY));
    assert_int_not_equal(access(path, F_OK), 0);
}

static void a_directory_in_its_place_is_no_reason_to_fail(void **state)
{
    const fixture *f = *state;
    char path[160];

    assert_int_equal(mkdir(path_of(f), 0700), 0);
    assert_false(finds(f, KEY));
    save(f, LAYOUT);
    assert_false(finds(f, KEY));
    (void)snprintf(path, sizeof(path), "%s.new", path_of(f));
    assert_int_not_equal(access(path, F_OK), 0); /* and nothing is left */
}

static void it_is_wanted_unless_it_is_off(void **state)
{
    (void)state;
    unsetenv("LINKD_PACKED");
    assert_true(lk_packed_is_wanted());
    setenv("LINKD_PACKED", "off", 1);
    assert_false(lk_packed_is_wanted());
}

static void memory_that_runs_out_is_said(void **state)
{
    const fixture *f = *state;
    size_t n = 1;

    for (;; n++) {
        lk_packed found = {0};
        int rc;

        alloc_fail_at(n);
        rc = lk_packed_save(f->model, LAYOUT, KEY, &f->content, NULL);
        if (rc == LINKD_OK)
            rc = lk_packed_open(f->model, LAYOUT, KEY, &found, NULL);
        lk_packed_close(&found);
        if (!alloc_fail_off()) {
            assert_int_equal(rc, LINKD_OK);
            break;
        }
        assert_int_equal(rc, LINKD_E_NOMEM);
    }
    assert_true(n > 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_saved_is_found),
        TEST(a_tokenizer_without_an_image_takes_no_room),
        TEST(other_sources_or_another_layout_are_not_it),
        TEST(a_damaged_bit_is_noticed),
        TEST(a_header_that_lies_is_refused),
        TEST(saving_again_replaces_the_file),
        TEST(a_model_that_cannot_be_written_to_is_cached_elsewhere),
        TEST(the_cache_keeps_the_eight_that_were_written_last),
        TEST(an_old_half_written_file_is_swept_away),
        TEST(a_directory_in_its_place_is_no_reason_to_fail),
        TEST(it_is_wanted_unless_it_is_off),
        TEST(memory_that_runs_out_is_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
