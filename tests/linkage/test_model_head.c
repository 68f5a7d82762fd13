/* tests/linkage/test_model_head.c — a head on a model, as files and in use. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "linkage/linkage.h"
#include "tests/linkage/random.h"
#include "tests/linkage/scratch.h"
#include "tests/support/alloc_fail.h"

enum {
    N = 80,
    DIM = 6,
    N_CLASSES = 5,
    HEAD_DIM = N_CLASSES - 1,
};

static const char digits[] = "0123456789abcdef0123456789abcdef";
static float rows[N * DIM];
static linkd_compat_map *map;
static linkd_error err;

/* A head, as files in "m". */
static int group_enter(void **state)
{
    uint64_t labels[N];
    linkd_compat_fit_options options = {.from = (const unsigned char *)digits,
                                        .labels = labels,
                                        .n_epochs = 1,
                                        .n_classes = N_CLASSES};
    linkd_rows r = {rows, N, DIM};
    uint64_t random = 5;

    for (size_t i = 0; i < (size_t)N * DIM; i++)
        rows[i] = random_score(&random) - 0.3F;
    for (size_t i = 0; i < N; i++)
        labels[i] = i % N_CLASSES;
    if (linkd_compat_fit_simplex(&r, NULL, &options, &(linkd_progress){0}, &map,
                                 &err) != LINKD_OK)
        return -1;
    return scratch_enter(state) != 0 || mkdir("m", 0700) != 0 ||
                   mkdir("none", 0700) != 0
               ? -1
               : 0;
}

static int group_leave(void **state)
{
    linkd_compat_map_free(map);
    (void)remove("m/base");
    (void)remove("m/head.map");
    (void)remove("m");
    (void)remove("none");
    return scratch_leave(state);
}

static const linkd_head_labels learnt = {40, UINT64_C(0xfedcba9876543210), 7};

static int setup(void **state)
{
    (void)state;
    return linkd_model_head_write("m", "tiny", &learnt, map, &err);
}

static linkd_model_head head_read(void)
{
    linkd_model_head head = {0};

    if (linkd_model_head_read("m", &head, &err) != LINKD_OK)
        fail_msg("%s", err.message);
    assert_non_null(head.map);
    return head;
}

static void a_head_comes_back_as_it_was(void **state)
{
    linkd_model_head head = head_read();
    float expected[N * HEAD_DIM];
    float mapped[N * HEAD_DIM];

    (void)state;
    assert_string_equal(head.base, "tiny");
    assert_int_equal(head.labels.n_entities, 40);
    assert_int_equal(head.labels.entities, UINT64_C(0xfedcba9876543210));
    assert_int_equal(head.labels.records, 7);
    assert_int_equal(strlen(head.fingerprint), LINKD_MODEL_DIGITS);
    assert_int_equal(linkd_compat_map_apply(map, &(linkd_rows){rows, 1, DIM},
                                            expected, &err),
                     LINKD_OK);
    assert_int_equal(linkd_model_head_apply(&head, rows, 1, mapped, &err),
                     LINKD_OK);
    assert_memory_equal(mapped, expected, HEAD_DIM * sizeof(float));
    linkd_model_head_clear(&head);
    assert_null(head.map);
    assert_null(head.base);
}

static void an_earlier_head_tells_nothing_of_its_labels(void **state)
{
    linkd_model_head head;
    FILE *file = fopen("m/base", "w");

    (void)state;
    assert_non_null(file);
    assert_true(fputs("tiny\n", file) >= 0);
    assert_int_equal(fclose(file), 0);
    head = head_read();
    assert_string_equal(head.base, "tiny");
    assert_int_equal(head.labels.n_entities, 0);
    linkd_model_head_clear(&head);
}

/* Vectors are compared bit for bit, however they came together. */
static void a_row_does_not_depend_on_the_others(void **state)
{
    linkd_model_head head = head_read();
    float together[N * HEAD_DIM];
    float alone[HEAD_DIM];

    (void)state;
    assert_int_equal(linkd_model_head_apply(&head, rows, N, together, &err),
                     LINKD_OK);
    for (size_t i = 0; i < N; i++) {
        assert_int_equal(
            linkd_model_head_apply(&head, rows + i * DIM, 1, alone, &err),
            LINKD_OK);
        assert_memory_equal(alone, together + i * HEAD_DIM, sizeof(alone));
    }
    linkd_model_head_clear(&head);
}

static void a_directory_without_a_head_has_none(void **state)
{
    linkd_model_head head = {.base = (char *)(uintptr_t)digits};

    (void)state;
    assert_int_equal(linkd_model_head_read("none", &head, &err), LINKD_OK);
    assert_null(head.map);
    assert_null(head.base);
    assert_int_equal(
        linkd_model_head_write("absent", "tiny", &learnt, map, &err),
        LINKD_E_IO);
    assert_string_equal(err.message,
                        "could not write base: No such file or directory");
}

static void a_head_is_for_its_own_model_only(void **state)
{
    linkd_model_head head = head_read();

    (void)state;
    assert_int_equal(linkd_model_head_check(&head, digits, DIM, &err),
                     LINKD_OK);
    assert_int_equal(linkd_model_head_check(
                         &head, "0123456789abcdef0123456789abcdee", DIM, &err),
                     LINKD_E_CONFLICT);
    assert_string_equal(err.message, "the head was learnt from another model "
                                     "than \"tiny\" is by now");
    assert_int_equal(linkd_model_head_check(&head, "0123", DIM, &err),
                     LINKD_E_CONFLICT);
    assert_int_equal(linkd_model_head_check(&head, digits, DIM + 1, &err),
                     LINKD_E_CONFLICT);
    linkd_model_head_clear(&head);
}

static void read_fails(const char *message)
{
    linkd_model_head head = {0};

    assert_int_equal(linkd_model_head_read("m", &head, &err), LINKD_E_DATA);
    assert_string_equal(err.message, message);
    assert_null(head.map);
}

static void every_flipped_byte_is_found(void **state)
{
    unsigned char *bytes = NULL;
    size_t len = 0;

    (void)state;
    assert_int_equal(linkd_compat_map_encode(map, &bytes, &len, &err),
                     LINKD_OK);
    for (size_t i = 0; i < len; i += 7) {
        linkd_model_head head = {0};

        bytes[i] ^= 1;
        scratch_write("m/head.map", bytes, len);
        assert_int_equal(linkd_model_head_read("m", &head, &err), LINKD_E_DATA);
        assert_null(head.map);
        bytes[i] ^= 1;
    }
    scratch_write("m/head.map", bytes, len - 1);
    read_fails("head.map: not a map: its checksum is wrong");
    scratch_write("m/head.map", bytes, 0);
    read_fails("head.map: not a map: it does not begin as one");
    free(bytes);
}

static void a_head_without_its_model_is_named(void **state)
{
    char name[300];

    (void)state;
    scratch_write("m/base", "\n", 1);
    read_fails("base names no model");
    scratch_write("m/base", "", 0);
    read_fails("head.map is there, and no base that names its model");
    memset(name, 'x', sizeof(name));
    scratch_write("m/base", name, sizeof(name));
    read_fails("could not read base: it is too long");
    assert_int_equal(remove("m/base"), 0);
    read_fails("head.map is there, and no base that names its model");
}

static void reading_without_memory_leaves_nothing(void **state)
{
    (void)state;
    for (size_t n = 1;; n++) {
        linkd_model_head head = {0};
        int rc;

        alloc_fail_at(n);
        rc = linkd_model_head_read("m", &head, &err);
        if (!alloc_fail_off()) {
            assert_int_equal(rc, LINKD_OK);
            linkd_model_head_clear(&head);
            break;
        }
        assert_int_equal(rc, LINKD_E_NOMEM);
        assert_null(head.map);
    }
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_head_comes_back_as_it_was),
        TEST(an_earlier_head_tells_nothing_of_its_labels),
        TEST(a_row_does_not_depend_on_the_others),
        TEST(a_directory_without_a_head_has_none),
        TEST(a_head_is_for_its_own_model_only),
        TEST(every_flipped_byte_is_found),
        TEST(a_head_without_its_model_is_named),
        TEST(reading_without_memory_leaves_nothing),
    };

    return cmocka_run_group_tests(tests, group_enter, group_leave);
}
