#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "daemon/vector_sources.h"
#include "tests/linkage/scratch.h"
#include "tests/support/alloc_fail.h"

#define DIM     ((size_t)3)
#define N_CALLS ((size_t)3)
#define PATH    "vectors"

static const linkd_str texts[] = {{"a", 1},  {"bb", 2},    {"ccc", 3},
                                  {"dd", 2}, {"eeeee", 5}, {"f", 1}};
/* What each call asks for: one block of the file. */
static const struct {
    size_t begin, n;
} calls[N_CALLS] = {{0, 2}, {2, 3}, {5, 1}};

static uint64_t n_encoded;

static float number_of(linkd_str text, size_t i)
{
    return (float)text.bytes[0] + (float)(text.len * i);
}

static int plain_embed(void *ctx, const linkd_str *strs, size_t n,
                       float *ret_vectors, linkd_encode_stats *stats,
                       linkd_error *err)
{
    (void)ctx;
    (void)stats;
    (void)err;
    for (size_t t = 0; t < n; t++)
        for (size_t i = 0; i < DIM; i++)
            ret_vectors[t * DIM + i] = number_of(strs[t], i);
    n_encoded += n;
    return LINKD_OK;
}

static bool plain_knows(void *ctx, linkd_str text)
{
    (void)ctx;
    return text.bytes[0] != '?';
}

static const linkd_embedder plain = {.embed = plain_embed,
                                     .knows = plain_knows,
                                     .dim = DIM,
                                     .fingerprint = "plain"};

/* A run: asks for every text and checks each vector. Returns how many texts
 * were read back. */
static uint64_t run(void)
{
    lk_checkpoint *checkpoint = NULL;
    linkd_embedder embedder;
    linkd_error err = {0};
    uint64_t n_reused;

    n_encoded = 0;
    assert_int_equal(lk_checkpoint_open(PATH, &plain, &checkpoint, &err),
                     LINKD_OK);
    embedder = lk_checkpoint_embedder(checkpoint);
    assert_string_equal(embedder.fingerprint, "plain");
    for (size_t c = 0; c < N_CALLS; c++) {
        float vectors[6 * DIM] = {0};
        linkd_encode_stats stats = {0};

        assert_int_equal(embedder.embed(embedder.ctx, texts + calls[c].begin,
                                        calls[c].n, vectors, &stats, &err),
                         LINKD_OK);
        for (size_t t = 0; t < calls[c].n; t++)
            for (size_t i = 0; i < DIM; i++)
                assert_true(vectors[t * DIM + i] ==
                            number_of(texts[calls[c].begin + t], i));
    }
    n_reused = lk_checkpoint_n_reused(checkpoint);
    lk_checkpoint_close(checkpoint);
    return n_reused;
}

static size_t file_read(unsigned char *bytes, size_t room)
{
    FILE *file = fopen(PATH, "rb");
    size_t len;

    assert_non_null(file);
    len = fread(bytes, 1, room, file);
    (void)fclose(file);
    return len;
}

static int enter(void **state)
{
    (void)state;
    (void)remove(PATH);
    return 0;
}

static void a_second_run_encodes_nothing(void **state)
{
    (void)state;
    assert_int_equal(run(), 0);
    assert_int_equal(n_encoded, 6);
    assert_int_equal(run(), 6);
    assert_int_equal(n_encoded, 0);
}

/* How many texts are in blocks that end at or before `place`. */
static uint64_t texts_before(size_t place)
{
    size_t end = 0;
    uint64_t n = 0;

    for (size_t c = 0; c < N_CALLS; c++) {
        end += 16 + calls[c].n * DIM * sizeof(float) + 8;
        if (end > place)
            break;
        n += calls[c].n;
    }
    return n;
}

static void a_file_cut_anywhere_is_used_up_to_there(void **state)
{
    unsigned char whole[1024];
    size_t len;

    (void)state;
    assert_int_equal(run(), 0);
    len = file_read(whole, sizeof(whole));
    for (size_t cut = 0; cut <= len; cut++) {
        unsigned char again[1024];

        scratch_write(PATH, whole, cut);
        assert_int_equal(run(), texts_before(cut));
        assert_int_equal(n_encoded, 6 - texts_before(cut));
        assert_int_equal(file_read(again, sizeof(again)), len);
        assert_memory_equal(again, whole, len);
    }
}

static void a_flipped_bit_is_never_a_vector(void **state)
{
    unsigned char whole[1024];
    size_t len;

    (void)state;
    assert_int_equal(run(), 0);
    len = file_read(whole, sizeof(whole));
    for (size_t bit = 0; bit < len * 8; bit++) {
        unsigned char damaged[1024];

        memcpy(damaged, whole, len);
        damaged[bit / 8] ^= (unsigned char)(1U << bit % 8);
        scratch_write(PATH, damaged, len);
        assert_int_equal(run(), texts_before(bit / 8));
    }
}

/* A crash can leave the later part of a block on disk without the earlier. */
static void a_hole_is_no_block(void **state)
{
    unsigned char whole[1024];
    size_t len;

    (void)state;
    assert_int_equal(run(), 0);
    len = file_read(whole, sizeof(whole));
    memset(whole, 0, 40);
    scratch_write(PATH, whole, len);
    assert_int_equal(run(), 0);
}

static void other_texts_are_encoded_from_there_on(void **state)
{
    static const linkd_str other[] = {{"x", 1}, {"bb", 2}};
    lk_checkpoint *checkpoint = NULL;
    linkd_embedder embedder;
    float vectors[2 * DIM];
    struct stat status;

    (void)state;
    assert_int_equal(run(), 0);
    assert_int_equal(lk_checkpoint_open(PATH, &plain, &checkpoint, NULL),
                     LINKD_OK);
    embedder = lk_checkpoint_embedder(checkpoint);
    assert_int_equal(
        embedder.embed(embedder.ctx, other, 2, vectors, NULL, NULL), LINKD_OK);
    assert_true(vectors[0] == (float)'x');
    assert_int_equal(lk_checkpoint_n_reused(checkpoint), 0);
    lk_checkpoint_close(checkpoint);
    assert_int_equal(stat(PATH, &status), 0);
    assert_int_equal(status.st_size, 16 + 2 * DIM * sizeof(float) + 8);
}

static void what_is_known_is_the_models_business(void **state)
{
    lk_checkpoint *checkpoint = NULL;
    linkd_embedder embedder;

    (void)state;
    assert_int_equal(lk_checkpoint_open(PATH, &plain, &checkpoint, NULL),
                     LINKD_OK);
    embedder = lk_checkpoint_embedder(checkpoint);
    assert_false(embedder.knows(embedder.ctx, (linkd_str){"?", 1}));
    assert_true(embedder.knows(embedder.ctx, (linkd_str){"a", 1}));
    lk_checkpoint_close(checkpoint);
}

static void a_place_that_cannot_be_written_is_told(void **state)
{
    lk_checkpoint *checkpoint = NULL;
    linkd_error err = {0};

    (void)state;
    assert_int_equal(lk_checkpoint_open("no/where", &plain, &checkpoint, &err),
                     LINKD_E_IO);
    assert_string_equal(err.message, "could not open the job's checkpoint: "
                                     "No such file or directory");
    alloc_fail_at(1);
    assert_int_equal(lk_checkpoint_open(PATH, &plain, &checkpoint, &err),
                     LINKD_E_NOMEM);
    assert_true(alloc_fail_off());
    assert_null(checkpoint);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_second_run_encodes_nothing, enter),
        cmocka_unit_test_setup(a_file_cut_anywhere_is_used_up_to_there, enter),
        cmocka_unit_test_setup(a_flipped_bit_is_never_a_vector, enter),
        cmocka_unit_test_setup(a_hole_is_no_block, enter),
        cmocka_unit_test_setup(other_texts_are_encoded_from_there_on, enter),
        cmocka_unit_test_setup(what_is_known_is_the_models_business, enter),
        cmocka_unit_test_setup(a_place_that_cannot_be_written_is_told, enter),
    };

    return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
