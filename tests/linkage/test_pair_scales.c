/* tests/linkage/test_pair_scales.c — scores of records of two models let in as many
 * strangers as those of the first one alone. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "linkage/bridge.h"
#include "tests/linkage/bridged_store.h"
#include "tests/support/alloc_fail.h"

static bridged *made;
static fitted fits;
static linkd_view *view;
static linkd_bridges *bridges;
static uint32_t old_mark, new_mark;

static int group_enter(void **state)
{
    (void)state;
    made = bridged_make(0.4, 0.1);
    fits = fitted_make(made);
    return 0;
}

static int group_leave(void **state)
{
    (void)state;
    fitted_clear(&fits);
    bridged_free(made);
    return 0;
}

/* Half of the records are moved. */
static void firms_open(blobs *b)
{
    firms_make(made);
    firms_upgrade(b);
    firms_move(made, N_ANCHORS / 2);
    view = firms_view();
    assert_int_equal(linkd_bridges_open(view, &bridges, &err), LINKD_OK);
}

static int setup(void **state)
{
    linkd_generation generations[LINKD_GENERATIONS_MAX];
    blobs b = blobs_make(made, &fits);
    int rc = scratch_store_enter(state);

    firms_open(&b);
    assert_int_equal(linkd_view_generations(view, generations), 2);
    old_mark = linkd_model_mark(generations[0].fingerprint);
    new_mark = linkd_model_mark(generations[1].fingerprint);
    assert_int_not_equal(old_mark, new_mark);
    blobs_clear(&b);
    return rc;
}

static int teardown(void **state)
{
    linkd_bridges_close(bridges);
    linkd_view_close(view);
    return scratch_store_leave(state);
}

static linkd_pair_scales *scales_make(void)
{
    linkd_pair_scales *scales = NULL;

    if (linkd_pair_scales_make(bridges, view, 2, &scales, &err) != LINKD_OK)
        fail_msg("%s", err.message);
    return scales;
}

/* An anchor as jobs compare it. */
static void vector_of(size_t i, bool is_old, float *ret_vector)
{
    if (!is_old)
        memcpy(ret_vector, made->new_anchors + i * NEW_DIM,
               NEW_DIM * sizeof(*ret_vector));
    else
        assert_int_equal(linkd_bridges_map(bridges, 1, 2,
                                           made->old_anchors + i * OLD_DIM,
                                           ret_vector, &err),
                         LINKD_OK);
}

/* Strangers with at least the score: of the first model, as it was. */
static size_t count_before(float limit)
{
    size_t n = 0;

    for (size_t i = 0; i < N_ANCHORS; i++)
        for (size_t j = 0; j < i; j++)
            n += linkd_index_score(made->old_anchors + i * OLD_DIM,
                                   made->old_anchors + j * OLD_DIM,
                                   OLD_DIM) >= limit;
    return n;
}

/* The same where `n_old` of a pair are mapped; by cosines, if there are no scales. */
static size_t count_after(const linkd_pair_scales *scales, float limit,
                          size_t n_old)
{
    size_t n = 0;

    for (size_t i = 0; i < N_ANCHORS; i++)
        for (size_t j = 0; j < i; j++) {
            bool old[2] = {n_old > 1, n_old > 0};
            float a[NEW_DIM], b[NEW_DIM];
            float score;

            vector_of(i, old[0], a);
            vector_of(j, old[1], b);
            score = linkd_index_score(a, b, NEW_DIM);
            if (scales != NULL)
                score = linkd_pair_scales_score(
                    scales, old[0] ? old_mark : new_mark,
                    old[1] ? old_mark : new_mark, score);
            n += score >= limit;
        }
    return n;
}

static void every_kind_of_pair_lets_in_as_many_strangers(void **state)
{
    linkd_pair_scales *scales = scales_make();
    size_t before = count_before(0.7F);
    size_t n_off = 0; /* kinds of which the same cosine lets in others */

    (void)state;
    assert_true(before > 200);
    for (size_t n_old = 0; n_old <= 2; n_old++) {
        size_t after = count_after(scales, 0.7F, n_old);
        size_t raw = count_after(NULL, 0.7F, n_old);

        if (after * 100 < before * 85 || after * 100 > before * 115)
            fail_msg("%zu of two old: %zu strangers before, %zu after", n_old,
                     before, after);
        n_off += raw * 100 < before * 85 || raw * 100 > before * 115;
    }
    assert_true(n_off >= 2); /* or this shows nothing */
    linkd_pair_scales_free(scales);
}

static void scores_stay_in_order_and_in_range(void **state)
{
    linkd_pair_scales *scales = scales_make();
    uint32_t marks[] = {old_mark, new_mark};

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        float last = -1.0F;

        for (int percent = -100; percent <= 100; percent++) {
            float score = linkd_pair_scales_score(
                scales, marks[i / 2], marks[i % 2], (float)percent / 100.0F);

            assert_true(score >= last && score <= 1.0F);
            last = score;
        }
        assert_true(linkd_pair_scales_score(scales, marks[i / 2], marks[i % 2],
                                            1.0F) == 1.0F);
    }
    linkd_pair_scales_free(scales);
}

/* Rows of a file are of the model that serves. */
static void an_unknown_model_is_the_one_that_serves(void **state)
{
    linkd_pair_scales *scales = scales_make();

    (void)state;
    assert_true(linkd_pair_scales_score(scales, 0, old_mark, 0.6F) ==
                linkd_pair_scales_score(scales, new_mark, old_mark, 0.6F));
    assert_true(linkd_pair_scales_score(scales, 0, 0, 0.6F) ==
                linkd_pair_scales_score(scales, new_mark, new_mark, 0.6F));
    linkd_pair_scales_free(scales);
}

static void bytes_say_the_same_again(void **state)
{
    linkd_pair_scales *scales = scales_make();
    linkd_pair_scales *again = NULL;
    lk_buf bytes = {0};

    (void)state;
    assert_int_equal(linkd_pair_scales_encode(scales, &bytes, &err), LINKD_OK);
    assert_int_equal(linkd_pair_scales_decode(
                         (linkd_str){bytes.data, bytes.len}, &again, &err),
                     LINKD_OK);
    assert_true(linkd_pair_scales_score(scales, old_mark, new_mark, 0.6F) ==
                linkd_pair_scales_score(again, old_mark, new_mark, 0.6F));
    linkd_pair_scales_free(again);
    bytes.data[bytes.len / 2] ^= 1;
    assert_int_equal(linkd_pair_scales_decode(
                         (linkd_str){bytes.data, bytes.len}, &again, &err),
                     LINKD_E_DATA);
    assert_string_equal(err.message, "scales of pairs are damaged");
    assert_int_equal(linkd_pair_scales_decode(
                         (linkd_str){bytes.data, bytes.len - 1}, &again, &err),
                     LINKD_E_DATA);
    lk_buf_clear(&bytes);
    linkd_pair_scales_free(scales);
}

/* As many, but of another model: they would be mapped as what they are not. */
static void anchors_of_another_model_are_refused(void **state)
{
    blobs b = blobs_make(made, &fits);
    linkd_pair_scales *scales = NULL;

    teardown(state);
    assert_int_equal(scratch_store_enter(state), 0);
    lk_buf_reset(&b.bytes[BLOB_OLD_ANCHORS]);
    assert_int_equal(linkd_vectors_encode(made->new_anchors, N_ANCHORS, NEW_DIM,
                                          &b.bytes[BLOB_OLD_ANCHORS], &err),
                     LINKD_OK);
    firms_open(&b);
    assert_int_equal(linkd_pair_scales_make(bridges, view, 2, &scales, &err),
                     LINKD_E_DATA);
    assert_string_equal(err.message,
                        "damaged database: generation 1 has other anchors");
    blobs_clear(&b);
}

static void no_memory_is_reported(void **state)
{
    linkd_pair_scales *scales = NULL;

    (void)state;
    for (size_t n = 1;; n++) {
        int rc;

        alloc_fail_at(n);
        rc = linkd_pair_scales_make(bridges, view, 2, &scales, &err);
        if (!alloc_fail_off()) {
            assert_int_equal(rc, LINKD_OK);
            break;
        }
        assert_int_equal(rc, LINKD_E_NOMEM);
    }
    linkd_pair_scales_free(scales);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_kind_of_pair_lets_in_as_many_strangers),
        TEST(scores_stay_in_order_and_in_range),
        TEST(an_unknown_model_is_the_one_that_serves),
        TEST(bytes_say_the_same_again),
        TEST(anchors_of_another_model_are_refused),
        TEST(no_memory_is_reported),
    };

    return cmocka_run_group_tests(tests, group_enter, group_leave);
}
