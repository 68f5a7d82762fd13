/* tests/linkage/bridged_store.c — see bridged_store.h. */
#include "tests/linkage/bridged_store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

fitted fitted_make(const bridged *b)
{
    fitted f = {0};

    if (linkd_bridge_fit(&b->task, &b->newer, &b->older, &f.there, &err) !=
            LINKD_OK ||
        linkd_bridge_fit(&b->task, &b->older, &b->newer, &f.back, &err) !=
            LINKD_OK ||
        linkd_bridge_native(&b->task, &b->older, &f.old_native, &err) !=
            LINKD_OK ||
        linkd_bridge_native(&b->task, &b->newer, &f.new_native, &err) !=
            LINKD_OK)
        fail_msg("%s", err.message);
    return f;
}

void fitted_clear(fitted *f)
{
    linkd_bridge_clear(&f->there);
    linkd_bridge_clear(&f->back);
    linkd_bridge_clear(&f->old_native);
    linkd_bridge_clear(&f->new_native);
}

/* ---- blobs ------------------------------------------------------------------ */

static void map_encode(const linkd_bridge *bridge, lk_buf *ret_bytes)
{
    unsigned char *bytes = NULL;
    size_t len = 0;

    assert_int_equal(linkd_compat_map_encode(bridge->map, &bytes, &len, &err),
                     LINKD_OK);
    assert_int_equal(lk_buf_append(ret_bytes, bytes, len, &err), LINKD_OK);
    free(bytes);
}

static void scales_encode(const linkd_bridge *bridge, lk_buf *ret_bytes)
{
    assert_int_equal(linkd_scales_encode(bridge, ret_bytes, &err), LINKD_OK);
}

static void anchors_encode(const linkd_model_sample *sample, lk_buf *ret_bytes)
{
    assert_int_equal(linkd_vectors_encode(sample->anchors, N_ANCHORS,
                                          sample->dim, ret_bytes, &err),
                     LINKD_OK);
}

blobs blobs_make(const bridged *made, const fitted *f)
{
    static const linkd_blob keys[N_BLOBS] = {
        [BLOB_THERE_MAP] = {2, LINKD_BLOB_MAP, 1, {NULL, 0}},
        [BLOB_THERE_SCALES] = {2, LINKD_BLOB_SCALES, 1, {NULL, 0}},
        [BLOB_BACK_MAP] = {1, LINKD_BLOB_MAP, 2, {NULL, 0}},
        [BLOB_BACK_SCALES] = {1, LINKD_BLOB_SCALES, 2, {NULL, 0}},
        [BLOB_OLD_SCALES] = {1, LINKD_BLOB_SCALES, 1, {NULL, 0}},
        [BLOB_NEW_SCALES] = {2, LINKD_BLOB_SCALES, 2, {NULL, 0}},
        [BLOB_REFERENCE] = {0, LINKD_BLOB_REFERENCE, 0, {NULL, 0}},
        [BLOB_OLD_ANCHORS] = {1, LINKD_BLOB_ANCHORS, 0, {NULL, 0}},
        [BLOB_NEW_ANCHORS] = {2, LINKD_BLOB_ANCHORS, 0, {NULL, 0}},
    };
    blobs b = {0};

    for (size_t i = 0; i < N_BLOBS; i++)
        b.of[i] = keys[i];
    map_encode(&f->there, &b.bytes[BLOB_THERE_MAP]);
    scales_encode(&f->there, &b.bytes[BLOB_THERE_SCALES]);
    map_encode(&f->back, &b.bytes[BLOB_BACK_MAP]);
    scales_encode(&f->back, &b.bytes[BLOB_BACK_SCALES]);
    scales_encode(&f->old_native, &b.bytes[BLOB_OLD_SCALES]);
    scales_encode(&f->new_native, &b.bytes[BLOB_NEW_SCALES]);
    scales_encode(&f->old_native, &b.bytes[BLOB_REFERENCE]);
    anchors_encode(&made->older, &b.bytes[BLOB_OLD_ANCHORS]);
    anchors_encode(&made->newer, &b.bytes[BLOB_NEW_ANCHORS]);
    return b;
}

void blobs_clear(blobs *b)
{
    for (size_t i = 0; i < N_BLOBS; i++)
        lk_buf_clear(&b->bytes[i]);
}

/* ---- the collection ------------------------------------------------------------ */

void firms_make(const bridged *made)
{
    linkd_collection_options options = {
        .dim = OLD_DIM, .model = str_of("old"), .fingerprint = str_of("beef")};
    linkd_put puts[N_ANCHORS];
    char ids[N_ANCHORS][8];
    linkd_write_result result;

    assert_int_equal(linkd_store_create_collection(store, str_of("firms"),
                                                   &options, NULL, NULL, &err),
                     LINKD_OK);
    for (size_t i = 0; i < N_ANCHORS; i++) {
        (void)snprintf(ids[i], sizeof(ids[i]), "r%zu", i);
        puts[i] = (linkd_put){.id = str_of(ids[i]),
                              .dim = OLD_DIM,
                              .vector = made->old_anchors + i * OLD_DIM};
    }
    assert_int_equal(linkd_store_put(store, str_of("firms"), puts, N_ANCHORS,
                                     NULL, &result, &err),
                     LINKD_OK);
}

void firms_upgrade(blobs *b)
{
    const linkd_generation generation = {.number = 2,
                                         .previous = 1,
                                         .model = str_of("new"),
                                         .fingerprint = str_of("cafe"),
                                         .dim = NEW_DIM};

    for (size_t i = 0; i < N_BLOBS; i++)
        b->of[i].bytes = (linkd_str){b->bytes[i].data, b->bytes[i].len};
    assert_int_equal(linkd_store_add_generation(store, str_of("firms"),
                                                &generation, b->of, N_BLOBS,
                                                &err),
                     LINKD_OK);
}

linkd_view *firms_view(void)
{
    linkd_view *view = NULL;

    assert_int_equal(linkd_view_open(store, str_of("firms"), &view, &err),
                     LINKD_OK);
    return view;
}

void firms_move(const bridged *made, size_t n)
{
    linkd_move moves[N_ANCHORS];
    linkd_view *view = firms_view();
    uint64_t n_moved = 0;

    for (size_t i = 0; i < n; i++) {
        lk_arena arena = {0};
        linkd_stored record;
        char id[24];
        bool found = false;

        (void)snprintf(id, sizeof(id), "r%zu", i);
        assert_int_equal(
            linkd_view_find(view, str_of(id), &moves[i].number, &found, &err),
            LINKD_OK);
        assert_true(found);
        assert_int_equal(
            linkd_view_read(view, moves[i].number, &arena, &record, &err),
            LINKD_OK);
        moves[i].seq = record.seq;
        moves[i].vector = made->new_anchors + i * NEW_DIM;
        lk_arena_clear(&arena);
    }
    linkd_view_close(view);
    assert_int_equal(
        linkd_store_move(store, str_of("firms"), 2, moves, n, &n_moved, &err),
        LINKD_OK);
    assert_int_equal(n_moved, n);
}
