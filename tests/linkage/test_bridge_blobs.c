/* tests/linkage/test_bridge_blobs.c — vectors and texts come back from their bytes
 * as they were, and other bytes are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "linkage/bridge.h"
#include "tests/linkage/bridged_group.h"
#include "tests/support/alloc_fail.h"

static void vectors_come_back_as_they_were(void **state)
{
    lk_buf bytes = {0};
    lk_arena arena = {0};
    float *vectors = NULL;
    size_t n = 0;
    size_t dim = 0;

    (void)state;
    assert_int_equal(
        linkd_vectors_encode(made->old_anchors, 9, OLD_DIM, &bytes, &err),
        LINKD_OK);
    assert_int_equal(linkd_vectors_decode((linkd_str){bytes.data, bytes.len},
                                          &arena, &vectors, &n, &dim, &err),
                     LINKD_OK);
    assert_int_equal(n, 9);
    assert_int_equal(dim, OLD_DIM);
    assert_memory_equal(vectors, made->old_anchors,
                        9 * OLD_DIM * sizeof(float));
    for (size_t len = 0; len < bytes.len; len++)
        assert_int_equal(linkd_vectors_decode((linkd_str){bytes.data, len},
                                              &arena, &vectors, &n, &dim, &err),
                         LINKD_E_DATA);
    lk_arena_clear(&arena);
    lk_buf_clear(&bytes);
}

/* Sizes that a product of two would wrap around, or that nobody can have. */
static void impossible_sizes_of_vectors_are_refused(void **state)
{
    static const uint64_t heads[][2] = {{0, 0},
                                        {1, 0},
                                        {1, LINKD_DIM_MAX + 1},
                                        {LINKD_ANCHORS_MAX + 1, 1},
                                        {UINT64_MAX, 1},
                                        {UINT64_MAX / 4 + 1, 4},
                                        {2, UINT64_MAX / 2}};
    lk_arena arena = {0};
    float *vectors = NULL;
    size_t n, dim;

    (void)state;
    for (size_t i = 0; i < sizeof(heads) / sizeof(*heads); i++)
        assert_int_equal(
            linkd_vectors_decode(
                (linkd_str){(const char *)heads[i], sizeof(heads[i])}, &arena,
                &vectors, &n, &dim, &err),
            LINKD_E_DATA);
    assert_null(vectors);
    lk_arena_clear(&arena);
}

static void texts_come_back_as_they_were(void **state)
{
    const linkd_str texts[] = {
        str_of("Zürich"), str_of(""), {"a\0b", 3}, str_of("the end")};
    lk_buf bytes = {0};
    lk_arena arena = {0};
    linkd_str *read = NULL;
    size_t n = 0;

    (void)state;
    assert_int_equal(linkd_texts_encode(texts, 4, &bytes, &err), LINKD_OK);
    assert_int_equal(linkd_texts_decode((linkd_str){bytes.data, bytes.len},
                                        &arena, &read, &n, &err),
                     LINKD_OK);
    assert_int_equal(n, 4);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(read[i].len, texts[i].len);
        assert_memory_equal(read[i].bytes, texts[i].bytes, texts[i].len);
    }
    for (size_t len = 0; len < bytes.len; len++)
        assert_int_equal(linkd_texts_decode((linkd_str){bytes.data, len},
                                            &arena, &read, &n, &err),
                         LINKD_E_DATA);
    assert_int_equal(lk_buf_append(&bytes, "x", 1, &err), LINKD_OK);
    assert_int_equal(linkd_texts_decode((linkd_str){bytes.data, bytes.len},
                                        &arena, &read, &n, &err),
                     LINKD_E_DATA);
    lk_arena_clear(&arena);
    lk_buf_clear(&bytes);
}

static void texts_longer_than_their_bytes_are_refused(void **state)
{
    const uint64_t n_texts[] = {1, LINKD_ANCHORS_MAX + 1, UINT64_MAX / 4};
    lk_arena arena = {0};
    linkd_str *read = NULL;
    size_t n = 0;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        char bytes[12];
        const uint32_t len = UINT32_MAX;

        memcpy(bytes, &n_texts[i], 8);
        memcpy(bytes + 8, &len, 4);
        assert_int_equal(
            linkd_texts_decode((linkd_str){bytes, 12}, &arena, &read, &n, &err),
            LINKD_E_DATA);
    }
    lk_arena_clear(&arena);
}

static void decoding_without_memory_fails(void **state)
{
    const linkd_str text = str_of("text");
    lk_buf bytes[2] = {{0}, {0}};

    (void)state;
    assert_int_equal(
        linkd_vectors_encode(made->old_anchors, 1, OLD_DIM, &bytes[0], &err),
        LINKD_OK);
    assert_int_equal(linkd_texts_encode(&text, 1, &bytes[1], &err), LINKD_OK);
    for (size_t i = 0; i < 2; i++) {
        linkd_str blob = {bytes[i].data, bytes[i].len};
        lk_arena arena = {0};
        linkd_str *texts;
        float *vectors;
        size_t n, dim;
        int rc;

        alloc_fail_at(1);
        rc = i == 0
                 ? linkd_vectors_decode(blob, &arena, &vectors, &n, &dim, &err)
                 : linkd_texts_decode(blob, &arena, &texts, &n, &err);
        assert_true(alloc_fail_off());
        assert_int_equal(rc, LINKD_E_NOMEM);
        lk_arena_clear(&arena);
        lk_buf_clear(&bytes[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors_come_back_as_they_were),
        cmocka_unit_test(impossible_sizes_of_vectors_are_refused),
        cmocka_unit_test(texts_come_back_as_they_were),
        cmocka_unit_test(texts_longer_than_their_bytes_are_refused),
        cmocka_unit_test(decoding_without_memory_fails),
    };

    return cmocka_run_group_tests(tests, bridged_group_enter,
                                  bridged_group_leave);
}
