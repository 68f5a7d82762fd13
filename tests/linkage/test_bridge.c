/* tests/linkage/test_bridge.c — what is kept of a change of the model comes back as
 * it was, and what is damaged is refused instead of used. */
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

/* ---- vectors and texts -------------------------------------------------------- */

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

/* ---- canaries ------------------------------------------------------------------ */

static void canaries_tell_a_changed_model(void **state)
{
    float stored[LINKD_N_CANARIES * OLD_DIM];
    float now[LINKD_N_CANARIES * OLD_DIM];

    (void)state;
    memcpy(stored, made->old_anchors, sizeof(stored));
    for (size_t i = 0; i < LINKD_N_CANARIES * OLD_DIM; i++)
        now[i] = 2.0F * stored[i] * (1.0F + 1e-4F * (float)(i % 3));
    assert_int_equal(linkd_canaries_check(stored, now, OLD_DIM, &err),
                     LINKD_OK);
    now[5 * OLD_DIM] += 0.5F;
    assert_int_equal(linkd_canaries_check(stored, now, OLD_DIM, &err),
                     LINKD_E_CONFLICT);
    assert_non_null(strstr(err.message, "the model makes other vectors than it "
                                        "did: cosine "));
    assert_non_null(strstr(err.message, " for canary 6"));
}

static void canaries_that_are_no_vectors_are_a_change(void **state)
{
    static const float values[] = {NAN, INFINITY, 0.0F};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        float now[LINKD_N_CANARIES * OLD_DIM];

        memcpy(now, made->old_anchors, sizeof(now));
        for (size_t j = 0; j < OLD_DIM; j++)
            now[j] = values[i];
        assert_int_equal(
            linkd_canaries_check(made->old_anchors, now, OLD_DIM, &err),
            LINKD_E_CONFLICT);
    }
}

/* ---- bridges -------------------------------------------------------------------- */

static int setup(void **state)
{
    int rc = scratch_store_enter(state);

    firms_make(made);
    return rc;
}

/* Opens the bridges of "firms" as they are in the store. */
static int open_rc(linkd_bridges **ret_bridges)
{
    linkd_view *view = firms_view();
    int rc = linkd_bridges_open(view, ret_bridges, &err);

    linkd_view_close(view);
    return rc;
}

static uint64_t key_get(void)
{
    linkd_view *view = firms_view();
    uint64_t key = 0;

    assert_int_equal(linkd_bridges_key(view, &key, &err), LINKD_OK);
    linkd_view_close(view);
    return key;
}

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

static linkd_bridge ranked_there(void)
{
    linkd_bridge bridge = fits.there;
    const linkd_whitening options = {0.3, 0.5};

    assert_int_equal(linkd_compat_fit_whitened(
                         &(linkd_rows){made->new_anchors, N_ANCHORS, NEW_DIM},
                         &(linkd_rows){made->old_anchors, N_ANCHORS, OLD_DIM},
                         &(linkd_rows){made->old_anchors, N_ANCHORS, OLD_DIM},
                         &options, &bridge.ranking.maps, &err),
                     LINKD_OK);
    bridge.ranking.weight = 0.4F;
    return bridge;
}

static blobs scales_blobs(const linkd_bridge *there)
{
    blobs b = blobs_make(made, &fits);
    lk_buf *bytes = &b.bytes[BLOB_THERE_SCALES];

    lk_buf_reset(bytes);
    assert_int_equal(linkd_scales_encode(there, bytes, &err), LINKD_OK);
    return b;
}

static void unit(float *vector)
{
    linkd_rows row = {vector, 1, OLD_DIM};

    assert_int_equal(linkd_compat_normalise(&row, "row", vector, &err),
                     LINKD_OK);
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

/* What is left out of a query is not mapped, but has to be a vector all the same. */
static void a_weight_of_0_or_1_is_one_side_alone(void **state)
{
    linkd_bridge there = ranked_there();
    linkd_rows own = {made->old_queries, 1, OLD_DIM};
    linkd_rows foreign = {made->new_queries, 1, NEW_DIM};
    const float zeros[NEW_DIM] = {0.0F};
    float expected[OLD_DIM];
    float query[OLD_DIM];

    (void)state;
    there.weight = there.ranking.weight = 0.0F;
    assert_int_equal(lk_bridge_fuse(&there, own.data, zeros, query, NULL, &err),
                     LINKD_E_DATA);
    assert_int_equal(
        lk_bridge_fuse(&there, own.data, foreign.data, query, NULL, &err),
        LINKD_OK);
    assert_memory_equal(query, own.data, sizeof(query));
    assert_int_equal(
        linkd_compat_map_apply(there.ranking.maps.home, &own, expected, &err),
        LINKD_OK);
    unit(expected);
    assert_int_equal(
        lk_bridge_rank(&there, own.data, foreign.data, query, &err), LINKD_OK);
    assert_memory_equal(query, expected, sizeof(query));
    there.ranking.weight = 1.0F;
    assert_int_equal(linkd_compat_map_apply(there.ranking.maps.map, &foreign,
                                            expected, &err),
                     LINKD_OK);
    unit(expected);
    assert_int_equal(
        lk_bridge_rank(&there, own.data, foreign.data, query, &err), LINKD_OK);
    assert_memory_equal(query, expected, sizeof(query));
    linkd_whitened_clear(&there.ranking.maps);
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
    setup(state);
    b.bytes[BLOB_THERE_SCALES].data[5] ^= 1; /* of the weight */
    firms_upgrade(&b);
    keys[1] = key_get();
    assert_true(keys[1] != 0 && keys[1] != keys[0]);
    blobs_clear(&b);
}

/* ---- damage ---------------------------------------------------------------------- */

/* Whether one generation's model has a way to another's records; `message` is why
 * it has none. */
static bool leads(const linkd_bridges *bridges, uint32_t from, uint32_t to,
                  const char *message)
{
    const linkd_bridge *bridge = NULL;
    int rc = linkd_bridges_need(bridges, from, to, &bridge, &err);

    if (rc == LINKD_OK) {
        assert_non_null(bridge);
        return true;
    }
    assert_int_equal(rc, LINKD_E_DATA);
    if (strstr(err.message, message) == NULL)
        fail_msg("%s", err.message);
    return false;
}

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
            setup(state);
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
    setup(state);
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
            setup(state);
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
            setup(state);
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

/* ---- limits ------------------------------------------------------------------------ */

static float limit_of(const linkd_bridges *bridges, const linkd_limit *limit,
                      const linkd_standing *standing)
{
    float score = NAN;

    assert_int_equal(linkd_limit_score(bridges, limit, standing, &score, &err),
                     LINKD_OK);
    return score;
}

static float limit_score(const linkd_bridges *bridges, linkd_limit_kind kind,
                         double value, const linkd_scale *scale)
{
    linkd_limit limit = {kind, value};
    linkd_standing standing = {.scale = scale,
                               .level = {0.5, 0.1},
                               .calibrator = &fits.new_native.calibrator};

    return limit_of(bridges, &limit, &standing);
}

static float record_limit_score(const linkd_bridges *bridges,
                                linkd_limit_kind kind, double value,
                                const linkd_scale *scale)
{
    linkd_limit limit = {kind, value};
    linkd_standing standing = {.scale = scale, .is_record = true};

    return limit_of(bridges, &limit, &standing);
}

/* What a threshold lets in of strangers under the first model it lets in under
 * every other one. */
static void a_score_keeps_its_share_of_impostors(void **state)
{
    blobs b = blobs_make(made, &fits);
    linkd_bridges *bridges = NULL;
    const linkd_scale *reference = &fits.old_native.scales[LINKD_WAY_NATIVE];
    const linkd_scale *scale = &fits.there.scales[LINKD_WAY_FUSE];
    float low = reference->impostors.scores[0];
    float high = reference->impostors.scores[LINKD_QUANTILES - 1];

    (void)state;
    firms_upgrade(&b);
    assert_int_equal(open_rc(&bridges), LINKD_OK);
    for (size_t i = 10; i < LINKD_QUANTILES - 1; i += 25) {
        double t = (double)reference->impostors.scores[i];
        double before =
            linkd_quantiles_false_match_rate(&reference->impostors, t);
        double after = linkd_quantiles_false_match_rate(
            &scale->impostors,
            (double)limit_score(bridges, LINKD_LIMIT_SCORE, t, scale));

        assert_true(fabs(log(after / before)) < 0.05);
    }
    /* bit for bit where the model is the first one */
    assert_true(limit_score(bridges, LINKD_LIMIT_SCORE, 0.7, reference) ==
                0.7F);
    assert_true(limit_score(bridges, LINKD_LIMIT_SCORE, (double)low, scale) ==
                -INFINITY);
    /* beyond all impostors: above theirs, and 1 stays 1 */
    assert_true(
        limit_score(bridges, LINKD_LIMIT_SCORE, (double)high + 1e-3, scale) >
        scale->impostors.scores[LINKD_QUANTILES - 1]);
    assert_true(
        fabs((double)limit_score(bridges, LINKD_LIMIT_SCORE, 1.0, scale) -
             1.0) < 1e-6);
    linkd_bridges_close(bridges);
    blobs_clear(&b);
}

static void other_limits_are_of_the_way_itself(void **state)
{
    blobs b = blobs_make(made, &fits);
    linkd_bridges *bridges = NULL;
    const linkd_scale *scale = &fits.there.scales[LINKD_WAY_ALIGN];
    double score;

    (void)state;
    firms_upgrade(&b);
    assert_int_equal(open_rc(&bridges), LINKD_OK);
    score = (double)limit_score(bridges, LINKD_LIMIT_PROBABILITY, 0.9, scale);
    assert_true(
        fabs(linkd_found_probability(&(linkd_found){
                 .log_odds = linkd_calibrator_log_odds(
                     &fits.new_native.calibrator, (score - 0.5) / 0.1)}) -
             0.9) < 1e-5);
    score =
        (double)limit_score(bridges, LINKD_LIMIT_FALSE_MATCH_RATE, 0.01, scale);
    assert_true(
        fabs(linkd_quantiles_false_match_rate(&scale->impostors, score) -
             0.01) < 1e-4);
    assert_true(limit_score(bridges, LINKD_LIMIT_NONE, 0.0, scale) ==
                -INFINITY);
    linkd_bridges_close(bridges);
    blobs_clear(&b);
}

static void anchors_of_the_first_model_are_missed_there_alone(void **state)
{
    blobs b = blobs_make(made, &fits);

    (void)state;
    b.of[BLOB_OLD_ANCHORS].kind = 77;
    assert_damaged(&b, ONE | THERE,
                   "damaged database: generation 1 has no anchors");
}

/* Records score otherwise than queries, the more so if a model has a prompt for
 * each. */
static void limits_of_records_are_of_their_scores(void **state)
{
    blobs b = blobs_make(made, &fits);
    linkd_bridges *bridges = NULL;
    const linkd_scale *reference = &fits.old_native.scales[LINKD_WAY_NATIVE];
    const linkd_scale *scale = &fits.there.scales[LINKD_WAY_FUSE];
    size_t n_apart = 0;

    (void)state;
    firms_upgrade(&b);
    assert_int_equal(open_rc(&bridges), LINKD_OK);
    for (size_t i = 10; i < LINKD_QUANTILES - 1; i += 25) {
        double t = (double)reference->records.scores[i];
        double rate = linkd_quantiles_false_match_rate(&reference->records, t);
        float score = record_limit_score(bridges, LINKD_LIMIT_SCORE, t, scale);

        assert_true(fabs(log(linkd_quantiles_false_match_rate(&scale->records,
                                                              (double)score) /
                             rate)) < 0.05);
        assert_true(fabs((double)(record_limit_score(
                                      bridges, LINKD_LIMIT_FALSE_MATCH_RATE,
                                      rate, scale) -
                                  score)) < 1e-3);
        n_apart += fabsf(score - limit_score(bridges, LINKD_LIMIT_SCORE, t,
                                             scale)) > 1e-2F;
    }
    assert_true(n_apart > 0);
    linkd_bridges_close(bridges);
    blobs_clear(&b);
}

/* ---- the scale of limits is damaged ------------------------------------------------- */

/* Its other half lies in the first generation, and nothing is missed. */
static void damaged_limits_go_by_their_copy(void **state)
{
    const linkd_scale *scale = &fits.there.scales[LINKD_WAY_FUSE];

    for (int i = 0; i < 3; i++) {
        blobs b = blobs_make(made, &fits);
        linkd_bridges *whole = NULL;
        linkd_bridges *bridges = NULL;

        firms_upgrade(&b);
        assert_int_equal(open_rc(&whole), LINKD_OK);
        assert_int_equal(linkd_bridges_check_limits(whole, &err), LINKD_OK);
        scratch_store_leave(state);
        setup(state);
        if (i == 0)
            b.bytes[BLOB_REFERENCE].len--;
        if (i == 1) /* the first number of the native scale is no number */
            memset(b.bytes[BLOB_REFERENCE].data + 48, 0xFF, 4);
        if (i == 2)
            b.of[BLOB_REFERENCE].kind = 77;
        firms_upgrade(&b);
        assert_true(key_get() != 0);
        assert_int_equal(open_rc(&bridges), LINKD_OK);
        assert_int_equal(linkd_bridges_check_limits(bridges, &err),
                         LINKD_E_DATA);
        assert_non_null(strstr(err.message, "the scale of limits has only its "
                                            "copy, which goes with generation "
                                            "1: damaged database: "));
        for (double score = -1.0; score <= 1.0; score += 0.125)
            assert_true(limit_score(bridges, LINKD_LIMIT_SCORE, score, scale) ==
                        limit_score(whole, LINKD_LIMIT_SCORE, score, scale));
        linkd_bridges_close(bridges);
        linkd_bridges_close(whole);
        blobs_clear(&b);
        scratch_store_leave(state);
        setup(state);
    }
}

static void without_their_copy_only_scores_are_no_limits(void **state)
{
    const linkd_scale *scale = &fits.there.scales[LINKD_WAY_FUSE];
    const linkd_standing standing = {.scale = scale};
    const linkd_limit limit = {LINKD_LIMIT_SCORE, 0.5};
    blobs b = blobs_make(made, &fits);
    linkd_bridges *bridges = NULL;
    float score = 42.0F;

    (void)state;
    b.bytes[BLOB_REFERENCE].len--;
    b.bytes[BLOB_OLD_SCALES].len--;
    firms_upgrade(&b);
    assert_int_equal(open_rc(&bridges), LINKD_OK);
    assert_int_equal(
        linkd_limit_score(bridges, &limit, &standing, &score, &err),
        LINKD_E_DATA);
    assert_string_equal(err.message,
                        "scores cannot be limits any more, but probabilities "
                        "and false-match rates can: damaged database: a blob "
                        "has a wrong form");
    assert_true(score == 42.0F);
    assert_true(limit_score(bridges, LINKD_LIMIT_FALSE_MATCH_RATE, 0.01,
                            scale) > -1.0F);
    assert_true(limit_score(bridges, LINKD_LIMIT_PROBABILITY, 0.5, scale) >
                -1.0F);
    assert_true(limit_score(bridges, LINKD_LIMIT_NONE, 0.0, scale) ==
                -INFINITY);
    assert_true(leads(bridges, 2, 1, ""));
    linkd_bridges_close(bridges);
    blobs_clear(&b);
}

static void scales_of_records_that_are_none_are_refused(void **state)
{
    for (int i = 0; i < 3; i++) {
        blobs b = blobs_make(made, &fits);
        linkd_bridge bridge = fits.new_native;
        lk_buf *bytes = &b.bytes[BLOB_NEW_SCALES];

        if (i > 0) {
            scratch_store_leave(state);
            setup(state);
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
 cmocka_unit_test_setup_teardown(name, setup, scratch_store_leave)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors_come_back_as_they_were),
        cmocka_unit_test(impossible_sizes_of_vectors_are_refused),
        cmocka_unit_test(texts_come_back_as_they_were),
        cmocka_unit_test(texts_longer_than_their_bytes_are_refused),
        cmocka_unit_test(decoding_without_memory_fails),
        cmocka_unit_test(canaries_tell_a_changed_model),
        cmocka_unit_test(canaries_that_are_no_vectors_are_a_change),
        TEST(a_collection_of_one_model_has_no_bridges),
        TEST(bridges_come_back_as_they_were_fitted),
        TEST(a_ranking_comes_back_as_it_was_fitted),
        TEST(a_weight_of_0_or_1_is_one_side_alone),
        TEST(what_cannot_be_mapped_says_why),
        TEST(the_key_is_that_of_the_scales),
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
        TEST(a_collection_goes_the_way_of_what_serves),
        TEST(opening_without_memory_leaves_nothing),
        TEST(a_score_keeps_its_share_of_impostors),
        TEST(other_limits_are_of_the_way_itself),
        TEST(limits_of_records_are_of_their_scores),
        TEST(damaged_limits_go_by_their_copy),
        TEST(without_their_copy_only_scores_are_no_limits),
        TEST(scales_of_records_that_are_none_are_refused),
    };

    return cmocka_run_group_tests(tests, group_enter, group_leave);
}
