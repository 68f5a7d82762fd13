/* linkage/pairset.c — pairs from many channels, each kept once.
 *
 * A few tens of millions of pairs arrive in any order, most of them twice: once
 * from either record, and again from other channels. Two stable counting sorts,
 * by b and then by a, put them in order in linear time whatever their
 * distribution; equal pairs are neighbours then, and their channels are united.
 *
 *   keys  [a:u32 b:u32]  ─ by b ─► spare  ─ by a ─► keys  ─► a, b, channels
 *
 * Memory: 9 bytes for each pair that was added (up to half more while the
 * arrays grow), the same again for the spare while sorting. */
#include "linkage/pairset.h"

#include <stdlib.h>
#include <string.h>

static uint32_t key_a(uint64_t key)
{
    return (uint32_t)(key >> 32);
}

static uint32_t key_b(uint64_t key)
{
    return (uint32_t)key;
}

/* ---- collecting ----------------------------------------------------------- */

static int builder_reserve(lk_pairset_builder *builder, size_t n,
                           linkd_error *err)
{
    void *keys = builder->keys;
    void *channels = builder->channels;
    int rc = lk_grow(&keys, &builder->capacity, builder->n + n,
                     sizeof(*builder->keys), err);

    builder->keys = keys;
    if (rc == LINKD_OK)
        rc = lk_grow(&channels, &builder->capacity_channels, builder->n + n,
                     sizeof(*builder->channels), err);
    builder->channels = channels;
    return rc;
}

/* There is room. */
static void pair_put(lk_pairset_builder *builder, size_t a, size_t b,
                     lk_channel channel)
{
    size_t low = a < b ? a : b;
    size_t high = a < b ? b : a;

    LK_ASSERT(high < UINT32_MAX);
    if (low == high)
        return;
    builder->keys[builder->n] = (uint64_t)low << 32 | (uint64_t)high;
    builder->channels[builder->n++] = (uint8_t)channel;
}

int lk_pairset_add(lk_pairset_builder *builder, size_t a, size_t b,
                   lk_channel channel, linkd_error *err)
{
    int rc = builder_reserve(builder, 1, err);

    if (rc == LINKD_OK)
        pair_put(builder, a, b, channel);
    return rc;
}

int lk_pairset_add_neighbours(lk_pairset_builder *builder,
                              const lk_neighbours *neighbours,
                              lk_channel channel, linkd_error *err)
{
    int rc = builder_reserve(builder, neighbours->offsets[neighbours->n], err);

    for (size_t q = 0; q < neighbours->n && rc == LINKD_OK; q++)
        for (size_t i = neighbours->offsets[q]; i < neighbours->offsets[q + 1];
             i++)
            if (neighbours->neighbours[i].record != UINT32_MAX)
                pair_put(builder, q, neighbours->neighbours[i].record, channel);
    return rc;
}

void lk_pairset_builder_clear(lk_pairset_builder *builder)
{
    free(builder->channels);
    free(builder->keys);
    *builder = (lk_pairset_builder){0};
}

/* ---- sorting -------------------------------------------------------------- */

typedef struct run {
    uint64_t *keys;
    uint8_t *channels;
} run;

/* A stable counting sort by one half of the keys. `counts` is [n_records + 1];
 * what it holds does not matter. */
static void run_sort(const run *from, run *to, size_t n,
                     uint32_t (*half)(uint64_t), size_t *counts,
                     size_t n_records)
{
    size_t total = 0;

    memset(counts, 0, (n_records + 1) * sizeof(*counts));
    for (size_t i = 0; i < n; i++)
        counts[half(from->keys[i])]++;
    for (size_t r = 0; r < n_records; r++) {
        size_t count = counts[r];

        counts[r] = total;
        total += count;
    }
    for (size_t i = 0; i < n; i++) {
        size_t at = counts[half(from->keys[i])]++;

        to->keys[at] = from->keys[i];
        to->channels[at] = from->channels[i];
    }
}

static int builder_sort(lk_pairset_builder *builder, size_t n_records,
                        linkd_error *err)
{
    run own = {builder->keys, builder->channels};
    run spare = {lk_alloc_aligned(builder->n, sizeof(*spare.keys)),
                 lk_alloc_aligned(builder->n, sizeof(*spare.channels))};
    size_t *counts = lk_alloc_aligned(n_records + 1, sizeof(*counts));
    int rc = LINKD_OK;

    if (spare.keys == NULL || spare.channels == NULL || counts == NULL) {
        rc = lk_fail_nomem(err);
    } else {
        run_sort(&own, &spare, builder->n, key_b, counts, n_records);
        run_sort(&spare, &own, builder->n, key_a, counts, n_records);
    }
    free(counts);
    free(spare.channels);
    free(spare.keys);
    return rc;
}

/* Moves the distinct pairs to the front. */
static void builder_unite(lk_pairset_builder *builder)
{
    size_t n = 0;

    for (size_t i = 0; i < builder->n; i++)
        if (n > 0 && builder->keys[n - 1] == builder->keys[i]) {
            builder->channels[n - 1] |= builder->channels[i];
        } else {
            builder->keys[n] = builder->keys[i];
            builder->channels[n++] = builder->channels[i];
        }
    builder->n = n;
}

static int pairs_split(const lk_pairset_builder *builder, lk_pairset *pairs,
                       linkd_error *err)
{
    pairs->n = builder->n;
    pairs->a = lk_alloc_aligned(pairs->n, sizeof(*pairs->a));
    pairs->b = lk_alloc_aligned(pairs->n, sizeof(*pairs->b));
    pairs->channels = lk_alloc_aligned(pairs->n, sizeof(*pairs->channels));
    if (pairs->a == NULL || pairs->b == NULL || pairs->channels == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < pairs->n; i++) {
        pairs->a[i] = key_a(builder->keys[i]);
        pairs->b[i] = key_b(builder->keys[i]);
        pairs->channels[i] = builder->channels[i];
    }
    return LINKD_OK;
}

int lk_pairset_build(lk_pairset_builder *builder, size_t n_records,
                     size_t n_left, lk_pairset *ret_pairs, linkd_error *err)
{
    lk_pairset pairs = {.n_records = n_records,
                        .n_left = n_left,
                        .within = n_left == n_records};
    int rc;

    for (size_t i = 0; i < builder->n; i++)
        LK_ASSERT(key_b(builder->keys[i]) < n_records);
    rc = builder_sort(builder, n_records, err);
    if (rc == LINKD_OK) {
        builder_unite(builder);
        rc = pairs_split(builder, &pairs, err);
    }
    lk_pairset_builder_clear(builder);
    if (rc == LINKD_OK)
        *ret_pairs = pairs;
    else
        lk_pairset_clear(&pairs);
    return rc;
}

void lk_pairset_clear(lk_pairset *pairs)
{
    free(pairs->channels);
    free(pairs->b);
    free(pairs->a);
    *pairs = (lk_pairset){0};
}

size_t lk_pairset_find(const lk_pairset *pairs, size_t a, size_t b)
{
    size_t low = 0;
    size_t high = pairs->n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (pairs->a[middle] < a ||
            (pairs->a[middle] == a && pairs->b[middle] < b))
            low = middle + 1;
        else
            high = middle;
    }
    return low < pairs->n && pairs->a[low] == a && pairs->b[low] == b
               ? low
               : SIZE_MAX;
}
