/* tests/linkage/test_bridge.c — what is kept of a change of the model comes back as
 * it was. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "linkage/bridge.h"
#include "tests/linkage/bridged_group.h"
#include "tests/support/alloc_fail.h"

static void a_collection_of_one_model_has_no_bridges(void **state)
{
    linkd_bridges *bridges = (void *)(uintptr_t)1;

    (void)state;
    assert_int_equal(open_rc(&bridges), LINKD_OK);
    assert_null(bridges);
    assert_int_equal(key_get(), 0);
    linkd_bridges_close(NULL);
}

static void assert_bridge_equal(const linkd_bridge *read,
                                const linkd_bridge *fit)
{
    assert_non_null(read);
    assert_true(read->weight == fit->weight);
    assert_true(read->cosine_least == fit->cosine_least);
    assert_true(read->strange_weight == fit->strange_weight);
    assert_true(read->calibrator.slope == fit->calibrator.slope);
    assert_true(read->calibrator.offset == fit->calibrator.offset);
    for (size_t i = 0; i < LINKD_N_SCALES; i++) {
        assert_true(read->mrr_10[i] == fit->mrr_10[i]);
        assert_int_equal(read->scales[i].impostors.n,
                         fit->scales[i].impostors.n);
        assert_memory_equal(read->scales[i].impostors.scores,
                            fit->scales[i].impostors.scores,
                            sizeof(fit->scales[i].impostors.scores));
        assert_int_equal(read->scales[i].records.n, fit->scales[i].records.n);
        assert_memory_equal(read->scales[i].records.scores,
                            fit->scales[i].records.scores,
                            sizeof(fit->scales[i].records.scores));
    }
}

static void bridges_come_back_as_they_were_fitted(void **state)
{
    blobs b;
    linkd_bridges *bridges = NULL;
    linkd_rows row = {made->new_anchors, 1, NEW_DIM};
    float expected[OLD_DIM];
    float mapped[OLD_DIM];

    (void)state;
    fits.there.strange_weight = 0.7F;
    b = blobs_make(made, &fits);
    firms_upgrade(&b);
    assert_int_equal(open_rc(&bridges), LINKD_OK);
    assert_bridge_equal(linkd_bridges_find(bridges, 2, 1), &fits.there);
    assert_bridge_equal(linkd_bridges_find(bridges, 1, 2), &fits.back);
    assert_bridge_equal(linkd_bridges_find(bridges, 1, 1), &fits.old_native);
    assert_bridge_equal(linkd_bridges_find(bridges, 2, 2), &fits.new_native);
    assert_null(linkd_bridges_find(bridges, 3, 1));
    assert_null(linkd_bridges_find(bridges, 2, 0));
    assert_int_equal(
        linkd_compat_map_apply(fits.there.map, &row, expected, &err), LINKD_OK);
    assert_int_equal(
        linkd_bridges_map(bridges, 2, 1, made->new_anchors, mapped, &err),
        LINKD_OK);
    assert_memory_equal(mapped, expected, sizeof(mapped));
    linkd_bridges_close(bridges);
    blobs_clear(&b);
}

static void what_cannot_be_mapped_says_why(void **state)
{
    blobs b = blobs_make(made, &fits);
    linkd_bridges *bridges = NULL;
    float vector[NEW_DIM] = {0.0F};
    float mapped[OLD_DIM] = {42.0F};

    (void)state;
    firms_upgrade(&b);
    assert_int_equal(open_rc(&bridges), LINKD_OK);
    assert_int_equal(linkd_bridges_map(bridges, 2, 1, vector, mapped, &err),
                     LINKD_E_DATA);
    assert_string_equal(err.message, "row 1 of the vectors is zero");
    vector[3] = NAN;
    assert_int_equal(linkd_bridges_map(bridges, 2, 1, vector, mapped, &err),
                     LINKD_E_DATA);
    assert_int_equal(
        linkd_bridges_map(bridges, 2, 2, made->new_anchors, mapped, &err),
        LINKD_E_DATA);
    assert_string_equal(err.message, "there is no map from generation 2 to 2");
    assert_int_equal(
        linkd_bridges_map(bridges, 2, 7, made->new_anchors, mapped, &err),
        LINKD_E_DATA);
    assert_true(mapped[0] == 42.0F);
    linkd_bridges_close(bridges);
    blobs_clear(&b);
}

/* Searches after a restart are those before it. */
static void a_ranking_comes_back_as_it_was_fitted(void **state)
{
    linkd_bridge there = ranked_there();
    blobs b = scales_blobs(&there);
    linkd_bridges *bridges = NULL;
    float expected[OLD_DIM];
    float ranking[OLD_DIM];

    (void)state;
    firms_upgrade(&b);
    assert_int_equal(open_rc(&bridges), LINKD_OK);
    assert_int_equal(lk_bridge_rank(&there, made->old_queries,
                                    made->new_queries, expected, &err),
                     LINKD_OK);
    assert_int_equal(lk_bridge_rank(linkd_bridges_find(bridges, 2, 1),
                                    made->old_queries, made->new_queries,
                                    ranking, &err),
                     LINKD_OK);
    assert_memory_equal(ranking, expected, sizeof(ranking));
    assert_int_equal(lk_bridge_fuse(&there, made->old_queries,
                                    made->new_queries, expected, NULL, &err),
                     LINKD_OK);
    assert_memory_not_equal(ranking, expected, sizeof(ranking));
    linkd_bridges_close(bridges);
    linkd_whitened_clear(&there.ranking.maps);
    blobs_clear(&b);
}

/* The cache in front of bridges rests on it. */
static void the_key_is_that_of_the_scales(void **state)
{
    blobs b = blobs_make(made, &fits);
    uint64_t keys[2];

    (void)state;
    firms_upgrade(&b);
    keys[0] = key_get();
    assert_true(keys[0] != 0);
    assert_true(key_get() == keys[0]);
    scratch_store_reopen();
    assert_true(key_get() == keys[0]);
    scratch_store_leave(state);
    bridged_enter(state);
    b.bytes[BLOB_THERE_SCALES].data[5] ^= 1; /* of the weight */
    firms_upgrade(&b);
    keys[1] = key_get();
    assert_true(keys[1] != 0 && keys[1] != keys[0]);
    blobs_clear(&b);
}

/* ---- the way --------------------------------------------------------------------- */

static int way_get(linkd_way *ret_way)
{
    linkd_view *view = firms_view();
    int rc = linkd_way_read(view, ret_way, &err);

    linkd_view_close(view);
    return rc;
}

static void way_put(uint32_t generation, const char *word)
{
    const linkd_blob blob = {
        generation, LINKD_BLOB_WAY, 0, {word, strlen(word)}};

    assert_int_equal(linkd_store_put_blob(store, str_of("firms"), &blob, &err),
                     LINKD_OK);
}

static void a_collection_goes_the_way_of_what_serves(void **state)
{
    blobs b = blobs_make(made, &fits);
    linkd_way way = LINKD_N_WAYS;

    (void)state;
    assert_int_equal(way_get(&way), LINKD_OK);
    assert_int_equal(way, LINKD_WAY_FUSE);
    firms_upgrade(&b);
    way_put(1, "align");
    assert_int_equal(way_get(&way), LINKD_OK);
    assert_int_equal(way, LINKD_WAY_FUSE);
    way_put(2, "cascade");
    assert_int_equal(way_get(&way), LINKD_OK);
    assert_int_equal(way, LINKD_WAY_CASCADE);
    way_put(2, "native");
    assert_int_equal(way_get(&way), LINKD_E_DATA);
    assert_int_equal(way, LINKD_WAY_CASCADE);
    blobs_clear(&b);
}

static void opening_without_memory_leaves_nothing(void **state)
{
    blobs b = blobs_make(made, &fits);
    linkd_view *view;

    (void)state;
    firms_upgrade(&b);
    view = firms_view();
    for (size_t n = 1;; n++) {
        linkd_bridges *bridges = NULL;
        int rc;

        alloc_fail_at(n);
        rc = linkd_bridges_open(view, &bridges, &err);
        if (!alloc_fail_off()) {
            assert_int_equal(rc, LINKD_OK);
            linkd_bridges_close(bridges);
            break;
        }
        assert_int_equal(rc, LINKD_E_NOMEM);
        assert_null(bridges);
    }
    linkd_view_close(view);
    blobs_clear(&b);
}

#define TEST(name)                                                             \
 cmocka_unit_test_setup_teardown(name, bridged_enter, scratch_store_leave)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_collection_of_one_model_has_no_bridges),
        TEST(bridges_come_back_as_they_were_fitted),
        TEST(a_ranking_comes_back_as_it_was_fitted),
        TEST(what_cannot_be_mapped_says_why),
        TEST(the_key_is_that_of_the_scales),
        TEST(a_collection_goes_the_way_of_what_serves),
        TEST(opening_without_memory_leaves_nothing),
    };

    return cmocka_run_group_tests(tests, bridged_group_enter,
                                  bridged_group_leave);
}
