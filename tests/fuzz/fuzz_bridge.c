/* tests/fuzz/fuzz_bridge.c — what is kept of a change of the model, as a store may
 * return it: the first byte says what the rest is. What is decoded has to be as
 * long as it says, and scales have to be such that hits can be put in order. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "linkage/linkage.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void scales_use(const linkd_bridge *bridge)
{
    const linkd_scale *scale = &bridge->scales[LINKD_WAY_NATIVE];
    double score = linkd_quantiles_score(&scale->impostors, 0.01);

    LK_ASSERT(linkd_calibrator_log_odds(&bridge->calibrator, 1.0) >=
              linkd_calibrator_log_odds(&bridge->calibrator, 0.5));
    LK_ASSERT(isfinite(score));
    LK_ASSERT(linkd_quantiles_false_match_rate(&scale->impostors, score) <=
              1.0);
}

static void scales_try(linkd_str blob)
{
    linkd_bridge bridge = {0};
    lk_buf again = {0};

    if (linkd_scales_decode(blob, &bridge, NULL) == LINKD_OK) {
        LK_ASSERT(linkd_scales_encode(&bridge, &again, NULL) == LINKD_OK);
        LK_ASSERT(again.len == blob.len);
        LK_ASSERT(memcmp(again.data, blob.bytes, blob.len) == 0);
        if (linkd_scales_check(&bridge, NULL) == LINKD_OK)
            scales_use(&bridge);
    }
    lk_buf_clear(&again);
    linkd_bridge_clear(&bridge);
}

static void vectors_try(linkd_str blob)
{
    lk_arena arena = {0};
    float *vectors = NULL;
    lk_buf again = {0};
    size_t n, dim;

    if (linkd_vectors_decode(blob, &arena, &vectors, &n, &dim, NULL) ==
        LINKD_OK) {
        LK_ASSERT(linkd_vectors_encode(vectors, n, dim, &again, NULL) ==
                  LINKD_OK);
        LK_ASSERT(again.len == blob.len);
        LK_ASSERT(memcmp(again.data, blob.bytes, blob.len) == 0);
        if (n >= LINKD_N_CANARIES && dim > 0)
            (void)!linkd_canaries_check(vectors, vectors, dim, NULL);
    }
    lk_buf_clear(&again);
    lk_arena_clear(&arena);
}

static void texts_try(linkd_str blob)
{
    lk_arena arena = {0};
    linkd_str *texts = NULL;
    lk_buf again = {0};
    size_t n;

    if (linkd_texts_decode(blob, &arena, &texts, &n, NULL) == LINKD_OK) {
        LK_ASSERT(linkd_texts_encode(texts, n, &again, NULL) == LINKD_OK);
        LK_ASSERT(again.len == blob.len);
        LK_ASSERT(memcmp(again.data, blob.bytes, blob.len) == 0);
    }
    lk_buf_clear(&again);
    lk_arena_clear(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    linkd_str rest = {(const char *)data + 1, size - 1};

    if (size == 0)
        return 0;
    switch (data[0]) {
    case 's':
        scales_try(rest);
        break;
    case 'v':
        vectors_try(rest);
        break;
    default:
        texts_try(rest);
    }
    return 0;
}
