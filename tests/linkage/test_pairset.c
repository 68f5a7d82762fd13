#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "linkage/pairset.h"
#include "tests/linkage/random.h"
#include "tests/support/alloc_fail.h"

static void add(lk_pairset_builder *builder, size_t a, size_t b,
                lk_channel channel)
{
    assert_int_equal(lk_pairset_add(builder, a, b, channel, NULL), LINKD_OK);
}

static void assert_pair(const lk_pairset *pairs, size_t i, size_t a, size_t b,
                        int channels)
{
    assert_int_equal(pairs->a[i], a);
    assert_int_equal(pairs->b[i], b);
    assert_int_equal(pairs->channels[i], channels);
}

static void pairs_are_sorted_and_their_channels_united(void **state)
{
    lk_pairset_builder builder = {0};
    lk_pairset pairs = {0};

    (void)state;
    add(&builder, 5, 2, LK_CHANNEL_FIELD);
    add(&builder, 0, 9, LK_CHANNEL_DENSE);
    add(&builder, 2, 4, LK_CHANNEL_WORDS);
    add(&builder, 2, 5, LK_CHANNEL_LEXICAL);
    add(&builder, 0, 1, LK_CHANNEL_ASKED);
    add(&builder, 2, 5, LK_CHANNEL_LEXICAL);
    assert_int_equal(lk_pairset_build(&builder, 10, 10, &pairs, NULL),
                     LINKD_OK);
    assert_int_equal(pairs.n, 4);
    assert_pair(&pairs, 0, 0, 1, LK_CHANNEL_ASKED);
    assert_pair(&pairs, 1, 0, 9, LK_CHANNEL_DENSE);
    assert_pair(&pairs, 2, 2, 4, LK_CHANNEL_WORDS);
    assert_pair(&pairs, 3, 2, 5, LK_CHANNEL_FIELD | LK_CHANNEL_LEXICAL);
    assert_int_equal(pairs.n_records, 10);
    assert_int_equal(pairs.n_left, 10);
    assert_true(pairs.within);
    lk_pairset_clear(&pairs);
}

/* A builder can be used again. */
static void building_leaves_the_builder_empty(void **state)
{
    lk_pairset_builder builder = {0};
    lk_pairset pairs = {0};

    (void)state;
    add(&builder, 0, 2, LK_CHANNEL_DENSE);
    assert_int_equal(lk_pairset_build(&builder, 3, 2, &pairs, NULL), LINKD_OK);
    assert_false(pairs.within);
    lk_pairset_clear(&pairs);
    assert_int_equal(builder.n, 0);
    assert_null(builder.keys);
    assert_int_equal(lk_pairset_build(&builder, 3, 2, &pairs, NULL), LINKD_OK);
    assert_int_equal(pairs.n, 0);
    assert_int_equal(lk_pairset_find(&pairs, 0, 2), SIZE_MAX);
    lk_pairset_clear(&pairs);
}

static void a_record_is_no_pair_with_itself(void **state)
{
    lk_pairset_builder builder = {0};
    lk_pairset pairs = {0};

    (void)state;
    add(&builder, 1, 1, LK_CHANNEL_ASKED);
    assert_int_equal(lk_pairset_build(&builder, 2, 2, &pairs, NULL), LINKD_OK);
    assert_int_equal(pairs.n, 0);
    lk_pairset_clear(&pairs);
}

static void neighbours_become_pairs_from_either_side(void **state)
{
    lk_neighbour found[] = {
        {2, 0.9F}, {UINT32_MAX, 0.0F}, {2, 0.5F}, {1, 0.5F}, {0, 0.4F}};
    size_t offsets[] = {0, 2, 3, 5};
    lk_neighbours neighbours = {found, offsets, 3};
    lk_pairset_builder builder = {0};
    lk_pairset pairs = {0};

    (void)state;
    assert_int_equal(lk_pairset_add_neighbours(&builder, &neighbours,
                                               LK_CHANNEL_LEXICAL, NULL),
                     LINKD_OK);
    assert_int_equal(lk_pairset_build(&builder, 3, 2, &pairs, NULL), LINKD_OK);
    assert_int_equal(pairs.n, 2);
    assert_pair(&pairs, 0, 0, 2, LK_CHANNEL_LEXICAL);
    assert_pair(&pairs, 1, 1, 2, LK_CHANNEL_LEXICAL);
    lk_pairset_clear(&pairs);
}

static void random_pairs_are_what_a_table_of_all_pairs_says(void **state)
{
    enum { N = 60, N_ADDED = 3000 };

    static int expected[N][N];
    lk_pairset_builder builder = {0};
    lk_pairset pairs = {0};
    uint64_t random = 7;
    size_t n = 0;

    (void)state;
    for (size_t i = 0; i < N_ADDED; i++) {
        size_t a = random_below(&random, N - 1);
        size_t b = a + 1 + random_below(&random, N - 1 - a);
        lk_channel channel = (lk_channel)(1U << random_below(&random, 5));

        add(&builder, i % 2 ? a : b, i % 2 ? b : a, channel);
        expected[a][b] |= (int)channel;
    }
    assert_int_equal(lk_pairset_build(&builder, N, N, &pairs, NULL), LINKD_OK);
    for (size_t a = 0; a < N; a++)
        for (size_t b = 0; b < N; b++)
            if (expected[a][b] != 0) {
                assert_int_equal(lk_pairset_find(&pairs, a, b), n);
                assert_pair(&pairs, n++, a, b, expected[a][b]);
            } else {
                assert_int_equal(lk_pairset_find(&pairs, a, b), SIZE_MAX);
            }
    assert_int_equal(pairs.n, n);
    lk_pairset_clear(&pairs);
}

static int pairs_make(lk_pairset *ret_pairs, linkd_error *err)
{
    lk_pairset_builder builder = {0};
    int rc = LINKD_OK;

    for (size_t i = 0; i < 50 && rc == LINKD_OK; i++)
        rc = lk_pairset_add(&builder, i, i + 1, LK_CHANNEL_DENSE, err);
    if (rc == LINKD_OK)
        rc = lk_pairset_build(&builder, 51, 51, ret_pairs, err);
    lk_pairset_builder_clear(&builder);
    return rc;
}

static void running_out_of_memory_is_an_error_at_every_point(void **state)
{
    (void)state;
    for (size_t n = 1;; n++) {
        lk_pairset pairs = {0};
        linkd_error err = {0};
        int rc;

        alloc_fail_at(n);
        rc = pairs_make(&pairs, &err);
        if (!alloc_fail_off()) {
            assert_int_equal(rc, LINKD_OK);
            assert_int_equal(pairs.n, 50);
            assert_true(n > 8);
            lk_pairset_clear(&pairs);
            break;
        }
        assert_int_equal(rc, LINKD_E_NOMEM);
        assert_int_equal(err.code, LINKD_E_NOMEM);
        assert_null(pairs.a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pairs_are_sorted_and_their_channels_united),
        cmocka_unit_test(building_leaves_the_builder_empty),
        cmocka_unit_test(a_record_is_no_pair_with_itself),
        cmocka_unit_test(neighbours_become_pairs_from_either_side),
        cmocka_unit_test(random_pairs_are_what_a_table_of_all_pairs_says),
        cmocka_unit_test(running_out_of_memory_is_an_error_at_every_point),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
