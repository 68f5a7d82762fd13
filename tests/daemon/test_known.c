#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/vector_sources.h"
#include "tests/linkage/scratch.h"
#include "tests/support/alloc_fail.h"

#define DIM ((size_t)2)

static size_t n_encoded;

static int below_embed(void *ctx, const linkd_str *texts, size_t n,
                       float *ret_vectors, linkd_encode_stats *stats,
                       linkd_error *err)
{
    (void)ctx;
    (void)err;
    for (size_t i = 0; i < n; i++) {
        ret_vectors[i * DIM] = (float)texts[i].bytes[0];
        ret_vectors[i * DIM + 1] = -1.0F;
    }
    n_encoded += n;
    if (stats != NULL)
        stats->n_texts += n;
    return LINKD_OK;
}

static bool below_knows(void *ctx, linkd_str text)
{
    (void)ctx;
    return text.bytes[0] != '?';
}

static const linkd_embedder below = {.embed = below_embed,
                                     .knows = below_knows,
                                     .dim = DIM,
                                     .fingerprint = "below"};

static linkd_str str_of(const char *text)
{
    return (linkd_str){text, strlen(text)};
}

static void file_write(const char *path, const char *const *texts)
{
    lk_known_writer *writer = NULL;
    linkd_error err;

    assert_int_equal(lk_known_writer_open(path, DIM, &writer, &err), LINKD_OK);
    for (size_t i = 0; texts[i] != NULL; i++) {
        const float vector[DIM] = {(float)texts[i][0], (float)i};

        assert_int_equal(
            lk_known_writer_add(writer, str_of(texts[i]), vector, &err),
            LINKD_OK);
    }
    assert_int_equal(lk_known_writer_close(writer, true, &err), LINKD_OK);
}

static int enter(void **state)
{
    static const char *const left[] = {"a", "b", "c", NULL};
    static const char *const right[] = {"d", "a", NULL};

    (void)state;
    n_encoded = 0;
    file_write("left", left);
    file_write("right", right);
    return 0;
}

static lk_known *known_open(const linkd_embedder *over)
{
    static const char *const paths[] = {"left", "right"};
    lk_known *known = NULL;
    linkd_error err = {0};

    if (lk_known_open(paths, 2, DIM, over, &known, &err) != LINKD_OK)
        fail_msg("%s", err.message);
    return known;
}

static void known_texts_are_looked_up_and_others_encoded(void **state)
{
    static const linkd_str texts[] = {{"d", 1}, {"x", 1}, {"c", 1}, {"y", 1}};
    const float expected[] = {'d', 0, 'x', -1, 'c', 2, 'y', -1};
    float vectors[4 * DIM];
    linkd_encode_stats stats = {0};
    lk_known *known = known_open(&below);
    linkd_embedder embedder = lk_known_embedder(known);

    (void)state;
    assert_int_equal(
        embedder.embed(embedder.ctx, texts, 4, vectors, &stats, NULL),
        LINKD_OK);
    assert_memory_equal(vectors, expected, sizeof(expected));
    assert_int_equal(n_encoded, 2);
    assert_int_equal(stats.n_texts, 4);
    assert_int_equal(lk_known_n_found(known), 2);
    assert_string_equal(embedder.fingerprint, "below");
    lk_known_close(known);
}

/* A text that no model knows a word of has no vector, in a job as in a file. */
static void the_model_says_what_is_known(void **state)
{
    lk_known *known = known_open(&below);
    linkd_embedder embedder = lk_known_embedder(known);

    (void)state;
    assert_true(embedder.knows(embedder.ctx, str_of("z")));
    assert_false(embedder.knows(embedder.ctx, str_of("?")));
    lk_known_close(known);
}

static void without_a_model_the_files_are_all_there_is(void **state)
{
    static const linkd_str texts[] = {{"b", 1}, {"x", 1}};
    float vectors[2 * DIM];
    linkd_error err = {0};
    lk_known *known = known_open(NULL);
    linkd_embedder embedder = lk_known_embedder(known);

    (void)state;
    assert_true(embedder.knows(embedder.ctx, str_of("b")));
    assert_false(embedder.knows(embedder.ctx, str_of("x")));
    assert_int_equal(
        embedder.embed(embedder.ctx, texts, 1, vectors, NULL, &err), LINKD_OK);
    assert_int_equal(
        embedder.embed(embedder.ctx, texts, 2, vectors, NULL, &err),
        LINKD_E_DATA);
    assert_string_equal(err.message,
                        "a record's vector is missing among the job's");
    assert_string_equal(embedder.fingerprint, "");
    lk_known_close(known);
}

static void no_file_knows_nothing(void **state)
{
    static const char *const paths[] = {NULL, NULL};
    lk_known *known = NULL;
    linkd_embedder embedder;
    float vectors[DIM];
    const linkd_str text = {"a", 1};

    (void)state;
    assert_int_equal(lk_known_open(paths, 2, DIM, &below, &known, NULL),
                     LINKD_OK);
    embedder = lk_known_embedder(known);
    assert_int_equal(
        embedder.embed(embedder.ctx, &text, 1, vectors, NULL, NULL), LINKD_OK);
    assert_int_equal(n_encoded, 1);
    lk_known_close(known);
}

static size_t file_read(const char *path, unsigned char *bytes, size_t room)
{
    FILE *file = fopen(path, "rb");
    size_t len;

    assert_non_null(file);
    len = fread(bytes, 1, room, file);
    (void)fclose(file);
    return len;
}

static void assert_damaged(void)
{
    static const char *const paths[] = {"damaged", NULL};
    lk_known *known = NULL;
    linkd_error err = {0};

    assert_int_equal(lk_known_open(paths, 2, DIM, &below, &known, &err),
                     LINKD_E_DATA);
    assert_string_equal(err.message, "the file of a job's vectors is damaged");
    assert_null(known);
}

static void every_damage_is_noticed(void **state)
{
    unsigned char whole[512];
    size_t len = file_read("left", whole, sizeof(whole));

    (void)state;
    assert_int_equal(len, 24 + 3 * (16 + DIM * sizeof(float)) + 8);
    for (size_t cut = 0; cut < len; cut++) {
        scratch_write("damaged", whole, cut);
        assert_damaged();
    }
    for (size_t bit = 0; bit < len * 8; bit++) {
        whole[bit / 8] ^= (unsigned char)(1U << bit % 8);
        scratch_write("damaged", whole, len);
        assert_damaged();
        whole[bit / 8] ^= (unsigned char)(1U << bit % 8);
    }
}

static void many_texts_are_all_found(void **state)
{
    static const char *const paths[] = {"many", NULL};
    lk_known_writer *writer = NULL;
    lk_known *known = NULL;
    linkd_embedder embedder;

    (void)state;
    assert_int_equal(lk_known_writer_open("many", DIM, &writer, NULL),
                     LINKD_OK);
    for (size_t i = 0; i < 5000; i++) {
        const float vector[DIM] = {(float)i, 0.5F};
        char text[16];

        (void)snprintf(text, sizeof(text), "t%zu", i);
        assert_int_equal(
            lk_known_writer_add(writer, str_of(text), vector, NULL), LINKD_OK);
    }
    assert_int_equal(lk_known_writer_close(writer, true, NULL), LINKD_OK);
    assert_int_equal(lk_known_open(paths, 2, DIM, NULL, &known, NULL),
                     LINKD_OK);
    embedder = lk_known_embedder(known);
    for (size_t i = 0; i < 5000; i++) {
        float vector[DIM];
        char text[16];
        linkd_str str;

        (void)snprintf(text, sizeof(text), "t%zu", i);
        str = str_of(text);
        assert_int_equal(
            embedder.embed(embedder.ctx, &str, 1, vector, NULL, NULL),
            LINKD_OK);
        assert_true(vector[0] == (float)i);
    }
    lk_known_close(known);
}

static void a_file_that_is_given_up_is_removed(void **state)
{
    lk_known_writer *writer = NULL;

    (void)state;
    assert_int_equal(lk_known_writer_open("half", DIM, &writer, NULL),
                     LINKD_OK);
    assert_int_equal(lk_known_writer_close(writer, false, NULL), LINKD_OK);
    assert_int_equal(access("half", F_OK), -1);
    assert_int_equal(lk_known_writer_open("no/where", DIM, &writer, NULL),
                     LINKD_E_IO);
}

static void every_lack_of_memory_is_told(void **state)
{
    static const char *const paths[] = {"left", "right"};
    static const linkd_str texts[] = {{"a", 1}, {"x", 1}};
    size_t n_failures = 0;

    (void)state;
    for (size_t n = 1;; n++) {
        lk_known *known = NULL;
        float vectors[2 * DIM];
        int rc;

        alloc_fail_at(n);
        rc = lk_known_open(paths, 2, DIM, &below, &known, NULL);
        if (rc == LINKD_OK) {
            linkd_embedder embedder = lk_known_embedder(known);

            rc = embedder.embed(embedder.ctx, texts, 2, vectors, NULL, NULL);
        }
        lk_known_close(known);
        if (!alloc_fail_off())
            break;
        if (rc == LINKD_OK) /* the C library's own for a stream */
            continue;
        n_failures++;
    }
    assert_true(n_failures >= 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(known_texts_are_looked_up_and_others_encoded,
                               enter),
        cmocka_unit_test_setup(the_model_says_what_is_known, enter),
        cmocka_unit_test_setup(without_a_model_the_files_are_all_there_is,
                               enter),
        cmocka_unit_test_setup(no_file_knows_nothing, enter),
        cmocka_unit_test_setup(every_damage_is_noticed, enter),
        cmocka_unit_test_setup(many_texts_are_all_found, enter),
        cmocka_unit_test_setup(a_file_that_is_given_up_is_removed, enter),
        cmocka_unit_test_setup(every_lack_of_memory_is_told, enter),
    };

    return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
