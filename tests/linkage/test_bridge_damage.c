/* tests/linkage/test_bridge_damage.c — what is damaged of a bridge is refused
 * instead of used, and that alone. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "linkage/bridge.h"
#include "tests/linkage/bridged_group.h"

/* Bits of what is damaged: 1 to 1, 1 to 2, 2 to 1, 2 to 2. */
enum { ONE = 1, BACK = 2, THERE = 4, TWO = 8 };

/* That alone fails, and says why. */
static void assert_damaged(blobs *b, unsigned damaged, const char *message)
{
    linkd_bridges *bridges = NULL;

    firms_upgrade(b);
    assert_int_equal(open_rc(&bridges), LINKD_OK);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(leads(bridges, 1 + i / 2, 1 + i % 2, message),
                         (damaged >> i & 1U) == 0);
    linkd_bridges_close(bridges);
    blobs_clear(b);
}

static void a_flipped_byte_of_a_map_is_refused(void **state)
{
    blobs b = blobs_make(made, &fits);

    (void)state;
    b.bytes[BLOB_BACK_MAP].data[b.bytes[BLOB_BACK_MAP].len / 2] ^= 1;
    assert_damaged(&b, BACK, "checksum");
}

static void a_cut_map_is_refused(void **state)
{
    blobs b = blobs_make(made, &fits);

    (void)state;
    b.bytes[BLOB_THERE_MAP].len /= 2;
    assert_damaged(&b, THERE, "map");
}

static void scales_of_another_version_are_refused(void **state)
{
    blobs b = blobs_make(made, &fits);

    (void)state;
    b.bytes[BLOB_NEW_SCALES].data[0] = 99;
    assert_damaged(&b, TWO, "damaged database: a blob has a wrong form");
}

static void cut_scales_are_refused(void **state)
{
    blobs b = blobs_make(made, &fits);

    (void)state;
    b.bytes[BLOB_OLD_SCALES].len--;
    assert_damaged(&b, ONE, "damaged database: a blob has a wrong form");
}

static void cut_and_flipped_rankings_are_refused(void **state)
{
    linkd_bridge there = ranked_there();

    for (int i = 0; i < 4; i++) {
        blobs b = scales_blobs(&there);
        lk_buf *bytes = &b.bytes[BLOB_THERE_SCALES];

        if (i > 0) {
            scratch_store_leave(state);
            bridged_enter(state);
        }
        if (i == 0)
            bytes->len--;
        if (i == 1)
            bytes->len = b.bytes[BLOB_BACK_SCALES].len + 7;
        if (i == 2) /* the last bit of its weight, which is a float's */
            bytes->data[b.bytes[BLOB_BACK_SCALES].len] ^= 1;
        if (i == 3)
            bytes->data[bytes->len - 40] ^= 1;
        assert_damaged(&b, THERE,
                       i < 3 ? "damaged database: a blob has a wrong form"
                             : "not a map: its checksum is wrong");
    }
    linkd_whitened_clear(&there.ranking.maps);
}

static void a_ranking_between_other_models_is_refused(void **state)
{
    linkd_bridge there = ranked_there();
    linkd_compat_map *home = there.ranking.maps.home;
    blobs b;

    (void)state;
    there.ranking.maps.home =
        there.ranking.maps.map; /* from 12 dimensions, not from 8 */
    b = scales_blobs(&there);
    assert_damaged(&b, THERE,
                   "damaged database: a map leads from another model");
    there.ranking.maps.home = home;
    linkd_whitened_clear(&there.ranking.maps);
}

static void a_weight_beyond_1_is_refused(void **state)
{
    linkd_bridge there = ranked_there();
    blobs b;

    (void)state;
    there.ranking.weight = 1.5F;
    b = scales_blobs(&there);
    assert_damaged(&b, THERE, "damaged database: a scale is no scale");
    linkd_whitened_clear(&there.ranking.maps);
}

static void queries_that_nothing_tells_strange_are_refused(void **state)
{
    linkd_bridge there = fits.there;
    blobs b;

    there.cosine_least = NAN;
    b = scales_blobs(&there);
    assert_damaged(&b, THERE, "damaged database: a scale is no scale");
    scratch_store_leave(state);
    bridged_enter(state);
    there = fits.there;
    there.strange_weight = -0.1F;
    b = scales_blobs(&there);
    assert_damaged(&b, THERE, "damaged database: a scale is no scale");
}

/* A slope that is not above 0 would turn the order of hits, NaN any of it. */
static void scales_that_are_no_numbers_are_refused(void **state)
{
    static const double slopes[] = {NAN, 0.0, -3.0, INFINITY};

    for (size_t i = 0; i < 4; i++) {
        linkd_bridge bridge = fits.new_native;
        blobs b = blobs_make(made, &fits);
        lk_buf *bytes = &b.bytes[BLOB_NEW_SCALES];

        if (i > 0) {
            scratch_store_leave(state);
            bridged_enter(state);
        }
        bridge.calibrator.slope = slopes[i];
        lk_buf_reset(bytes);
        assert_int_equal(linkd_scales_encode(&bridge, bytes, &err), LINKD_OK);
        assert_damaged(&b, TWO, "damaged database: a scale is no scale");
    }
}

static void anchors_encode(lk_buf *bytes, size_t n, size_t dim)
{
    lk_buf_reset(bytes);
    assert_int_equal(
        linkd_vectors_encode(made->new_anchors, n, dim, bytes, &err), LINKD_OK);
}

/* Scores are put on one scale by what the same records have in each generation. */
static void anchors_that_are_others_are_refused(void **state)
{
    for (int i = 0; i < 4; i++) {
        blobs b = blobs_make(made, &fits);

        if (i > 0) {
            scratch_store_leave(state);
            bridged_enter(state);
        }
        if (i == 0)
            anchors_encode(&b.bytes[BLOB_NEW_ANCHORS], N_ANCHORS - 1, NEW_DIM);
        if (i == 1)
            anchors_encode(&b.bytes[BLOB_NEW_ANCHORS], N_ANCHORS, OLD_DIM);
        if (i == 2)
            anchors_encode(&b.bytes[BLOB_NEW_ANCHORS], 0, NEW_DIM);
        if (i == 3)
            b.of[BLOB_NEW_ANCHORS].kind = LINKD_BLOB_CANARIES;
        assert_damaged(&b, BACK | TWO,
                       i == 0
                           ? "damaged database: generation 2 has other anchors"
                           : "damaged database: generation 2 has no anchors");
    }
}

/* Queries would be read beyond their end. */
static void a_map_between_other_models_is_refused(void **state)
{
    blobs b = blobs_make(made, &fits);
    lk_buf there = b.bytes[BLOB_THERE_MAP];

    /* from 8 dimensions to 12 where 12 lead to 8 */
    b.bytes[BLOB_THERE_MAP] = b.bytes[BLOB_BACK_MAP];
    b.bytes[BLOB_BACK_MAP] = there;
    (void)state;
    assert_damaged(&b, THERE | BACK,
                   "damaged database: a map leads from another model");
}

static void a_map_to_another_model_is_refused(void **state)
{
    bridged *b = made;
    linkd_bridge self = {0};
    blobs all = blobs_make(made, &fits);
    unsigned char *bytes = NULL;
    size_t len = 0;

    (void)state;
    assert_int_equal(
        linkd_bridge_fit(&b->task, &b->newer, &b->newer, &self, &err),
        LINKD_OK);
    assert_int_equal(linkd_compat_map_encode(self.map, &bytes, &len, &err),
                     LINKD_OK);
    lk_buf_reset(&all.bytes[BLOB_THERE_MAP]);
    assert_int_equal(
        lk_buf_append(&all.bytes[BLOB_THERE_MAP], bytes, len, &err), LINKD_OK);
    free(bytes);
    linkd_bridge_clear(&self);
    assert_damaged(&all, THERE,
                   "damaged database: a map leads to another model");
}

static void a_map_that_is_gone_is_named(void **state)
{
    blobs b = blobs_make(made, &fits);

    (void)state;
    b.of[BLOB_THERE_MAP].kind = 77;
    assert_damaged(&b, THERE, "damaged database: a map between models is gone");
}

static void anchors_of_the_first_model_are_missed_there_alone(void **state)
{
    blobs b = blobs_make(made, &fits);

    (void)state;
    b.of[BLOB_OLD_ANCHORS].kind = 77;
    assert_damaged(&b, ONE | THERE,
                   "damaged database: generation 1 has no anchors");
}

static void scales_of_records_that_are_none_are_refused(void **state)
{
    for (int i = 0; i < 3; i++) {
        blobs b = blobs_make(made, &fits);
        linkd_bridge bridge = fits.new_native;
        lk_buf *bytes = &b.bytes[BLOB_NEW_SCALES];

        if (i > 0) {
            scratch_store_leave(state);
            bridged_enter(state);
        }
        if (i == 0)
            bridge.scales[LINKD_WAY_NATIVE].records.scores[7] = NAN;
        if (i == 1)
            bridge.scales[LINKD_WAY_NATIVE].records.n = 1;
        lk_buf_reset(bytes);
        assert_int_equal(linkd_scales_encode(&bridge, bytes, &err), LINKD_OK);
        if (i == 2) /* said to be there, and are not */
            memset(bytes->data + bytes->len - 3 * (8 + 4 * LINKD_QUANTILES), 0,
                   3 * (8 + 4 * LINKD_QUANTILES));
        assert_damaged(&b, TWO, "damaged database: a scale is no scale");
    }
}

#define TEST(name)                                                             \
 cmocka_unit_test_setup_teardown(name, bridged_enter, scratch_store_leave)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_flipped_byte_of_a_map_is_refused),
        TEST(a_cut_map_is_refused),
        TEST(scales_of_another_version_are_refused),
        TEST(cut_scales_are_refused),
        TEST(queries_that_nothing_tells_strange_are_refused),
        TEST(scales_that_are_no_numbers_are_refused),
        TEST(anchors_that_are_others_are_refused),
        TEST(anchors_of_the_first_model_are_missed_there_alone),
        TEST(cut_and_flipped_rankings_are_refused),
        TEST(a_ranking_between_other_models_is_refused),
        TEST(a_weight_beyond_1_is_refused),
        TEST(a_map_between_other_models_is_refused),
        TEST(a_map_to_another_model_is_refused),
        TEST(a_map_that_is_gone_is_named),
        TEST(scales_of_records_that_are_none_are_refused),
    };

    return cmocka_run_group_tests(tests, bridged_group_enter,
                                  bridged_group_leave);
}
