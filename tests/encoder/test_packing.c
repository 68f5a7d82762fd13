/* Image models and CLIP from what was packed of them, on the tiny checkpoints of
 * tests/golden. Texts are in test_encoder.c, the file alone in test_packed.c. */
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <xxhash.h>

#include "encoder/encoder.h"
#include "encoder/file.h"
#include "encoder/packed.h"
#include "tests/support/alloc_fail.h"

#define GOLDEN "tests/golden/"
#define VISION "/linkd-packed-scalar-f32-vision.bin"
#define TEXT   "/linkd-packed-scalar-f32.bin"

enum {
    DIM = 20,
    PAGE = 4096,
    N_FLOATS_AT = 32, /* in the header of a packed file */
    CONTENT_HASH_AT = 40,
    FINGERPRINT_AT = 48,
    HEADER_HASH_AT = 80, /* bytes before it */
};

static const char *const kinds[] = {"vision/bare", "vision/dinov2-larger",
                                    "vision/swin-padded", "vision/cct", "clip"};
enum { N_KINDS = sizeof(kinds) / sizeof(*kinds) };

typedef struct fixture {
    char dir[32];
    linkd_image image;
} fixture;

static int remove_entry(const char *path, const struct stat *status, int type,
                        struct FTW *place)
{
    (void)status;
    (void)type;
    (void)place;
    return remove(path);
}

static void directory_remove(const fixture *f)
{
    assert_int_equal(nftw(f->dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS), 0);
}

static void file_write(const char *dir, const char *name, const void *bytes,
                       size_t len)
{
    char path[128];
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

/* An own directory with the files of a golden one. */
static void golden_copy(fixture *f, const char *kind)
{
    static const char *const names[] = {"config.json", "model.safetensors",
                                        "preprocessor_config.json",
                                        "tokenizer.json"};

    (void)snprintf(f->dir, sizeof(f->dir), "/tmp/linkd-packing-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        char path[128];
        lk_file file = {0};

        (void)snprintf(path, sizeof(path), GOLDEN "%s/%s", kind, names[i]);
        if (lk_file_map(path, &file, NULL) == LINKD_OK)
            file_write(f->dir, names[i], file.bytes, file.len);
        lk_file_unmap(&file);
    }
}

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof(*f));
    lk_file file = {0};

    assert_non_null(f);
    assert_int_equal(lk_file_map(GOLDEN "image/jpeg-95-0.jpg", &file, NULL),
                     LINKD_OK);
    assert_int_equal(
        linkd_image_decode((linkd_str){(const char *)file.bytes, file.len},
                           NULL, &f->image, NULL),
        LINKD_OK);
    lk_file_unmap(&file);
    setenv("LINKD_ISA", "scalar", 1);
    setenv("LINKD_PACKED", "on", 1);
    lk_packed_settle_seconds = 0;
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;

    linkd_image_clear(&f->image);
    free(f);
    return 0;
}

/* What a model answers, opened for it alone. */
typedef struct answer {
    float vector[DIM];
    char fingerprint[33];
} answer;

static answer picture_answer(const fixture *f)
{
    linkd_vision *vision = NULL;
    linkd_error err = {0};
    answer a;

    if (linkd_vision_open(f->dir, "f32", 1, &vision, &err) != LINKD_OK)
        fail_msg("%s", err.message);
    assert_int_equal(linkd_vision_describe(vision)->dim, DIM);
    assert_int_equal(linkd_vision_encode(vision, 0, &f->image, a.vector, NULL),
                     LINKD_OK);
    strcpy(a.fingerprint, linkd_vision_describe(vision)->fingerprint);
    linkd_vision_close(vision);
    return a;
}

static answer text_answer(const fixture *f)
{
    const linkd_str text = {"the caf\xc3\xa9", 9};
    linkd_encoder *encoder = NULL;
    lk_pool *pool = NULL;
    linkd_error err = {0};
    answer a;

    if (linkd_encoder_open(f->dir, "f32", &encoder, &err) != LINKD_OK)
        fail_msg("%s", err.message);
    assert_int_equal(lk_pool_new(1, &pool, NULL), LINKD_OK);
    assert_int_equal(
        linkd_encoder_encode(encoder, pool, &text, 1, a.vector, NULL, NULL),
        LINKD_OK);
    strcpy(a.fingerprint, linkd_encoder_describe(encoder)->fingerprint);
    lk_pool_free(pool);
    linkd_encoder_close(encoder);
    return a;
}

static void hash_put(uint8_t *at, const uint8_t *bytes, size_t len)
{
    const uint64_t hash = XXH3_64bits(bytes, len);

    memcpy(at, &hash, sizeof(hash));
}

/* Gives the packed file another fingerprint, which who uses it shows, and
 * n_fewer floats less, with hashes that hold. */
static void packed_change(const fixture *f, const char *name, size_t n_fewer)
{
    char path[128];
    lk_file file = {0};
    uint8_t *bytes;
    uint64_t n_floats;
    size_t len;

    (void)snprintf(path, sizeof(path), "%s%s", f->dir, name);
    assert_int_equal(lk_file_map(path, &file, NULL), LINKD_OK);
    bytes = malloc(file.len);
    assert_non_null(bytes);
    memcpy(bytes, file.bytes, file.len);
    len = file.len - n_fewer * sizeof(float);
    lk_file_unmap(&file);
    memcpy(&n_floats, bytes + N_FLOATS_AT, sizeof(n_floats));
    n_floats -= n_fewer;
    memcpy(bytes + N_FLOATS_AT, &n_floats, sizeof(n_floats));
    memset(bytes + FINGERPRINT_AT, 'x', 32);
    hash_put(bytes + CONTENT_HASH_AT, bytes + PAGE, len - PAGE);
    hash_put(bytes + HEADER_HASH_AT, bytes, HEADER_HASH_AT);
    file_write(f->dir, name, bytes, len);
    free(bytes);
}

static bool is_marked(const answer *a)
{
    return strspn(a->fingerprint, "x") == 32;
}

static void image_models_open_from_what_was_packed(void **state)
{
    fixture *f = *state;

    for (size_t i = 0; i < N_KINDS; i++) {
        answer made, found;

        golden_copy(f, kinds[i]);
        made = picture_answer(f);
        found = picture_answer(f);
        assert_string_equal(found.fingerprint, made.fingerprint);
        packed_change(f, VISION, 0);
        found = picture_answer(f);
        assert_true(is_marked(&found));
        assert_memory_equal(found.vector, made.vector, sizeof(made.vector));
        directory_remove(f);
    }
}

/* Hashes are no proof: somebody may have made the file to do harm. */
static void a_block_of_another_size_is_made_anew(void **state)
{
    fixture *f = *state;

    for (size_t i = 0; i < N_KINDS; i++)
        for (size_t n_fewer = 1; n_fewer < 1000; n_fewer += 500) {
            answer made, again;

            golden_copy(f, kinds[i]);
            made = picture_answer(f);
            packed_change(f, VISION, n_fewer);
            again = picture_answer(f);
            assert_string_equal(again.fingerprint, made.fingerprint);
            assert_memory_equal(again.vector, made.vector, sizeof(made.vector));
            directory_remove(f);
        }
}

static void the_towers_of_a_clip_are_packed_apart(void **state)
{
    fixture *f = *state;
    answer text, picture, found;

    golden_copy(f, "clip");
    text = text_answer(f);
    picture = picture_answer(f);
    assert_string_equal(text.fingerprint, picture.fingerprint);
    packed_change(f, TEXT, 0);
    found = text_answer(f);
    assert_true(is_marked(&found));
    assert_memory_equal(found.vector, text.vector, sizeof(text.vector));
    found = picture_answer(f);
    assert_false(is_marked(&found));
    packed_change(f, VISION, 0);
    found = picture_answer(f);
    assert_true(is_marked(&found));
    assert_memory_equal(found.vector, picture.vector, sizeof(picture.vector));
    directory_remove(f);
}

static void pictures_that_are_prepared_otherwise_are_another_model(void **state)
{
    static const char other[] =
        "{\"size\":{\"height\":32,\"width\":32},\"resample\":3,"
        "\"image_mean\":[0.4,0.5,0.6],\"image_std\":[0.5,0.5,0.5]}";
    fixture *f = *state;
    answer made, changed;

    golden_copy(f, "vision/cct");
    made = picture_answer(f);
    packed_change(f, VISION, 0);
    file_write(f->dir, "preprocessor_config.json", other, sizeof(other) - 1);
    changed = picture_answer(f);
    assert_false(is_marked(&changed));
    assert_string_not_equal(changed.fingerprint, made.fingerprint);
    directory_remove(f);
}

static void check_without_memory(const fixture *f)
{
    for (size_t n = 1;; n++) {
        linkd_vision *vision = NULL;
        int rc;

        alloc_fail_at(n);
        rc = linkd_vision_open(f->dir, "f32", 1, &vision, NULL);
        linkd_vision_close(vision);
        if (!alloc_fail_off()) {
            assert_int_equal(rc, LINKD_OK);
            assert_true(n > 10);
            return;
        }
        assert_int_equal(rc, LINKD_E_NOMEM);
    }
}

/* Both ways: nothing is there yet, and it is. */
static void memory_that_runs_out_is_reported(void **state)
{
    fixture *f = *state;

    for (size_t i = 0; i < N_KINDS; i++) {
        answer found;

        golden_copy(f, kinds[i]);
        check_without_memory(f);
        packed_change(f, VISION, 0);
        check_without_memory(f);
        found = picture_answer(f);
        assert_true(is_marked(&found));
        directory_remove(f);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(image_models_open_from_what_was_packed),
        TEST(a_block_of_another_size_is_made_anew),
        TEST(the_towers_of_a_clip_are_packed_apart),
        TEST(pictures_that_are_prepared_otherwise_are_another_model),
        TEST(memory_that_runs_out_is_reported),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
