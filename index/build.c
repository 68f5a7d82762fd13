/* index/build.c — a segment out of slots.
 *
 *   VECTORS ─► sample, evenly spread ─► train
 *      └─────► block ─► FAISS, block ─► FAISS, …     (a read transaction each)
 *
 * Vectors pass through one block: a segment of a million is built beside those
 * that it will replace without a second copy of the vectors in memory. A read
 * transaction keeps the pages that were freed after it from being used again,
 * so none lasts longer than copying a block. That each sees a later moment does
 * no harm: a slot never changes but to die, and what died since its block was
 * read is found dead by the search.
 *
 * Chunks are verified here: what is wrong in one would stay in the graph after
 * the chunk was mended. */
#include "index/build.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A block: in it FAISS cannot be interrupted, so it is under a second of work,
 * and calls that are much smaller cost FAISS a walk over all vectors each. */
#define BLOCK_ROWS  ((size_t)2048)
#define BLOCK_BYTES ((size_t)64 << 20)
/* What the range of components is learned from: the .9999 quantile would do as
 * well as the largest (faiss.c), so what a sample misses is no loss. And what
 * k-means wants per list. */
#define SAMPLE_ROWS   ((size_t)16384)
#define ROWS_PER_LIST ((size_t)40)
/* 1638 lists. K-means cannot be interrupted: 1024 lists of 41,000 rows took
 * 5.8 s (2026-11-24), and it grows with both. */
#define LISTS_ROWS_MAX ((size_t)65536)
#define SAMPLE_BYTES   ((size_t)256 << 20)

/* Of 100,000 x 384 encoded names and addresses, 2026-11-24: hnswlib with as many
 * links is as good and as fast, and has four times the bytes. Half the links
 * need a search at least twice as wide. */
#define FACTORY_GRAPH "HNSW32,SQ8_direct"

typedef struct block {
    const lk_build *build;
    float *rows; /* [capacity, dim] */
    uint64_t *slots;
    size_t n;
    size_t capacity;
    uint64_t next_chunk;
    bool at_end;
} block;

static size_t rows_that_fit(size_t n, size_t bytes, size_t dim)
{
    size_t n_fit = bytes / (dim * sizeof(float));

    n_fit = n_fit < n ? n_fit : n;
    return n_fit < LK_ROWS_PER_CHUNK ? LK_ROWS_PER_CHUNK : n_fit;
}

static int stop_check(const lk_build *build, linkd_error *err)
{
    if (build->stop != NULL && atomic_load(build->stop))
        return lk_fail(err, LINKD_E_CANCELLED, "interrupted");
    return LINKD_OK;
}

/* ---- reading ------------------------------------------------------------ */

static void block_take(block *b, const lk_walked *walked, const lk_chunk *chunk)
{
    size_t dim = b->build->dim;

    for (size_t i = 0; i < LK_ROWS_PER_CHUNK; i++) {
        if ((walked->dead >> i & 1) != 0)
            continue;
        memcpy(b->rows + b->n * dim, chunk->vectors + i * dim,
               dim * sizeof(*b->rows));
        b->slots[b->n++] = walked->number * LK_ROWS_PER_CHUNK + i;
    }
}

/* Takes in whole chunks from next_chunk on, until the block is full. */
static int block_walk(block *b, lk_txn *txn, linkd_error *err)
{
    const lk_build *build = b->build;
    lk_walk walk = {0};
    lk_walked walked;
    lk_chunk chunk;
    bool found = false;
    int rc = lk_walk_begin(&walk, txn, build->collection, build->generation,
                           b->next_chunk, err);

    while (rc == LINKD_OK && b->n + LK_ROWS_PER_CHUNK <= b->capacity) {
        rc = lk_walk_next(&walk, &walked, &found, err);
        if (rc != LINKD_OK)
            break;
        b->at_end = !found || walked.number >= build->end / LK_ROWS_PER_CHUNK;
        if (b->at_end)
            break;
        rc = lk_chunk_open(walked.key, walked.value, build->dim, true, &chunk,
                           err);
        if (rc == LINKD_OK)
            block_take(b, &walked, &chunk);
        b->next_chunk = walked.number + 1;
    }
    lk_walk_end(&walk);
    return rc;
}

static int block_read(block *b, linkd_error *err)
{
    const lk_build *build = b->build;
    lk_txn *txn = NULL;
    lk_arena arena = {0};
    lk_collection_row row;
    lk_generation_row generation;
    int rc = stop_check(build, err);

    if (rc == LINKD_OK)
        rc = lk_txn_begin_read(build->store->env, &txn, err);
    if (rc == LINKD_OK)
        rc = lk_build_check_current(txn, build->collection, build->generation,
                                    &arena, &row, &generation, err);
    if (rc == LINKD_OK)
        rc = block_walk(b, txn, err);
    lk_txn_abort(txn);
    lk_arena_clear(&arena);
    return rc;
}

static int block_init(block *b, const lk_build *build, size_t capacity,
                      linkd_error *err)
{
    *b = (block){.build = build,
                 .capacity = capacity,
                 .next_chunk = build->begin / LK_ROWS_PER_CHUNK};
    b->rows = lk_alloc_aligned(capacity * build->dim, sizeof(*b->rows));
    b->slots = lk_alloc_aligned(capacity, sizeof(*b->slots));
    if (b->rows == NULL || b->slots == NULL)
        return lk_fail_nomem(err);
    return LINKD_OK;
}

static void block_clear(block *b)
{
    free(b->rows);
    free(b->slots);
}

/* ---- training ----------------------------------------------------------- */

/* Lists for a search that looks into a part of them: FAISS's advice is 4 to 16
 * times the root, but k-means wants its share of rows for each. */
static size_t n_lists_for(uint64_t n_alive, size_t dim)
{
    size_t n_most = n_alive < LISTS_ROWS_MAX ? n_alive : LISTS_ROWS_MAX;
    size_t n_sample = rows_that_fit(n_most, SAMPLE_BYTES, dim);
    size_t n_lists = (size_t)(4.0 * sqrt((double)n_alive));

    if (n_lists > n_sample / ROWS_PER_LIST)
        n_lists = n_sample / ROWS_PER_LIST;
    return n_lists == 0 ? 1 : n_lists;
}

/* What to build, and from how many rows it learns. */
static size_t factory_choose(const lk_build *build,
                             char ret_factory[LK_FACTORY_BYTES])
{
    size_t n_lists = n_lists_for(build->n_alive, build->dim);

    if (build->kind != LINKD_INDEX_IVF) {
        (void)snprintf(ret_factory, LK_FACTORY_BYTES, "%s", FACTORY_GRAPH);
        return SAMPLE_ROWS;
    }
    (void)snprintf(ret_factory, LK_FACTORY_BYTES, "IVF%zu,SQ8", n_lists);
    return n_lists * ROWS_PER_LIST > SAMPLE_ROWS ? n_lists * ROWS_PER_LIST
                                                 : SAMPLE_ROWS;
}

/* Fills the sample from runs of chunks that are spread over all. */
static int sample_read(block *sample, linkd_error *err)
{
    const lk_build *build = sample->build;
    uint64_t first = build->begin / LK_ROWS_PER_CHUNK;
    uint64_t n_chunks = build->end / LK_ROWS_PER_CHUNK - first;
    size_t capacity = sample->capacity;
    size_t n_runs = capacity / BLOCK_ROWS + 8;
    int rc = LINKD_OK;

    if (build->n_alive + LK_ROWS_PER_CHUNK <= capacity)
        n_runs = 1;
    for (size_t i = 0; rc == LINKD_OK && i < n_runs; i++) {
        uint64_t at = first + n_chunks * i / n_runs;

        if (at > sample->next_chunk)
            sample->next_chunk = at;
        sample->capacity = capacity / n_runs * (i + 1);
        rc = block_read(sample, err);
    }
    sample->capacity = capacity;
    return rc;
}

static int ann_train(lk_ann *ann, const lk_build *build, size_t n_sample,
                     linkd_error *err)
{
    block sample;
    int rc = block_init(&sample, build,
                        rows_that_fit(n_sample, SAMPLE_BYTES, build->dim), err);

    if (rc == LINKD_OK)
        rc = sample_read(&sample, err);
    if (rc == LINKD_OK && sample.n == 0)
        rc = lk_fail(err, LINKD_E_ABSENT, "no vector is alive any more");
    if (rc == LINKD_OK)
        rc = lk_ann_train(ann, sample.rows, sample.n, err);
    block_clear(&sample);
    return rc;
}

/* ---- adding ------------------------------------------------------------- */

static int segment_add(lk_segment *segment, size_t *capacity, const block *b,
                       linkd_error *err)
{
    void *slots = segment->slots;
    int rc = lk_grow(&slots, capacity, segment->n + b->n,
                     sizeof(*segment->slots), err);

    segment->slots = slots;
    if (rc == LINKD_OK)
        rc = lk_ann_add(segment->ann, b->rows, b->n, err);
    if (rc != LINKD_OK)
        return rc;
    memcpy(segment->slots + segment->n, b->slots,
           b->n * sizeof(*segment->slots));
    segment->n += b->n;
    return LINKD_OK;
}

static int segment_fill(lk_segment *segment, const lk_build *build,
                        linkd_error *err)
{
    block b;
    size_t slots_capacity = 0;
    int rc = block_init(
        &b, build, rows_that_fit(BLOCK_ROWS, BLOCK_BYTES, build->dim), err);

    while (rc == LINKD_OK && !b.at_end) {
        b.n = 0;
        rc = block_read(&b, err);
        if (rc == LINKD_OK && b.n > 0)
            rc = segment_add(segment, &slots_capacity, &b, err);
    }
    if (rc == LINKD_OK && segment->n == 0)
        rc = lk_fail(err, LINKD_E_ABSENT, "no vector is alive any more");
    if (rc == LINKD_OK)
        lk_ann_settle(segment->ann);
    block_clear(&b);
    return rc;
}

int lk_build_run(const lk_build *build, lk_segment **ret_segment,
                 char ret_factory[LK_FACTORY_BYTES], linkd_error *err)
{
    size_t n_sample = factory_choose(build, ret_factory);
    lk_segment *segment = calloc(1, sizeof(*segment));
    int rc;

    if (segment == NULL)
        return lk_fail_nomem(err);
    atomic_init(&segment->n_refs, 1);
    segment->slot_begin = build->begin;
    segment->slot_end = build->end;
    rc = lk_ann_new(ret_factory, build->dim, &segment->ann, err);
    if (rc == LINKD_OK)
        rc = ann_train(segment->ann, build, n_sample, err);
    if (rc == LINKD_OK)
        rc = segment_fill(segment, build, err);
    if (rc == LINKD_OK)
        *ret_segment = segment;
    else
        lk_segment_unref(segment);
    return rc;
}
