/* tests/compat/test_map_file.c — maps as bytes. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "compat/map.h"
#include "tests/compat/spaces.h"
#include "tests/support/alloc_fail.h"

/* Every part of a map has some values. */
static linkd_compat_map *full_map(void)
{
    linkd_compat_info info = {.head = LINKD_HEAD_RIDGE,
                              .dim_from = 3,
                              .dim_to = 4,
                              .dim_compat = 2,
                              .from = {1, 2, 3},
                              .to = {4, 5},
                              .n_pairs = 77,
                              .seed = 99,
                              .cosine = 0.5F};
    linkd_compat_map *map;

    assert_int_equal(lk_map_new(&info, 5, 2, &map, NULL), LINKD_OK);
    map->n_unit = 4;
    for (size_t i = 0; i < 12; i++)
        map->weights[i] = 0.1F * (float)i;
    for (size_t i = 0; i < 15; i++)
        map->hidden_weights[i] = 0.2F * (float)i;
    for (size_t i = 0; i < 20; i++)
        map->out_weights[i] = -0.1F * (float)i;
    for (size_t i = 0; i < 4; i++)
        map->bias[i] = map->basis[i] = (float)i;
    for (size_t i = 0; i < 5; i++)
        map->hidden_bias[i] = (float)i;
    return map;
}

static void a_map_comes_back_as_it_was(void **state)
{
    static const float row[3] = {0.3F, -0.2F, 0.9F};
    linkd_rows rows = {row, 1, 3};
    linkd_compat_map *map = full_map();
    linkd_compat_map *back = NULL;
    linkd_compat_info a = linkd_compat_map_info(map);
    linkd_compat_info b;
    unsigned char *bytes = NULL;
    float first[4], second[4];
    size_t len;

    (void)state;
    assert_int_equal(linkd_compat_map_encode(map, &bytes, &len, NULL),
                     LINKD_OK);
    assert_int_equal(linkd_compat_map_decode(bytes, len, &back, NULL),
                     LINKD_OK);
    b = linkd_compat_map_info(back);
    assert_int_equal(b.head, a.head);
    assert_int_equal(b.dim_compat, 2);
    assert_int_equal(b.n_pairs, 77);
    assert_int_equal(b.seed, 99);
    assert_near(b.cosine, 0.5F, 0);
    assert_memory_equal(a.from, b.from, sizeof(a.from));
    assert_memory_equal(a.to, b.to, sizeof(a.to));
    assert_int_equal(linkd_compat_map_apply(map, &rows, first, NULL), LINKD_OK);
    assert_int_equal(linkd_compat_map_apply(back, &rows, second, NULL),
                     LINKD_OK);
    assert_memory_equal(first, second, sizeof(first));
    free(bytes);
    linkd_compat_map_free(back);
    linkd_compat_map_free(map);
}

/* Every byte flipped, every length cut: never a map, never a crash. */
static void a_flipped_byte_or_a_cut_is_noticed(void **state)
{
    linkd_compat_map *map = full_map();
    linkd_compat_map *back = NULL;
    unsigned char *bytes = NULL;
    size_t len;
    linkd_error err;

    (void)state;
    assert_int_equal(linkd_compat_map_encode(map, &bytes, &len, NULL),
                     LINKD_OK);
    for (size_t i = 0; i < len; i++) {
        bytes[i] ^= 0x10;
        assert_int_equal(linkd_compat_map_decode(bytes, len, &back, &err),
                         LINKD_E_DATA);
        bytes[i] ^= 0x10;
        assert_int_equal(linkd_compat_map_decode(bytes, i, &back, &err),
                         LINKD_E_DATA);
    }
    assert_null(back);
    free(bytes);
    linkd_compat_map_free(map);
}

static void it_says_when_memory_is_out(void **state)
{
    linkd_compat_map *map = full_map();
    unsigned char *bytes = NULL;
    size_t len;

    (void)state;
    alloc_fail_at(1);
    assert_int_equal(linkd_compat_map_encode(map, &bytes, &len, NULL),
                     LINKD_E_NOMEM);
    assert_true(alloc_fail_off());
    assert_int_equal(linkd_compat_map_encode(map, &bytes, &len, NULL),
                     LINKD_OK);
    for (size_t nth = 1;; nth++) {
        linkd_compat_map *back = NULL;
        int rc;

        alloc_fail_at(nth);
        rc = linkd_compat_map_decode(bytes, len, &back, NULL);
        if (!alloc_fail_off()) {
            assert_int_equal(rc, LINKD_OK);
            linkd_compat_map_free(back);
            break;
        }
        assert_int_equal(rc, LINKD_E_NOMEM);
    }
    free(bytes);
    linkd_compat_map_free(map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_map_comes_back_as_it_was),
        cmocka_unit_test(a_flipped_byte_or_a_cut_is_noticed),
        cmocka_unit_test(it_says_when_memory_is_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
