/* linkage/candidates.c — the pairs that are worth a decision.
 *
 * Every vector asks for its k nearest on the other side, within its block.
 * Both directions are needed: a row that is nobody's neighbour still has
 * neighbours of its own, and "each is the other's best" can only be told when
 * both were asked. Every query owns k slots, so it does not matter which
 * worker answers it when:
 *
 *   slots [left 0: k][left 1: k] … [right 0: k] …  ─► sort, drop equal ─► pairs
 *
 * Blocks of up to ROWS_PER_TILE rows a side are shared out whole, each with an
 * index of its own, for there may be 50,000 of them. A larger block is indexed
 * shard by shard, and all its queries are asked of each shard by tiles:
 *
 *   asked   [shard 0][shard 1] …      one index at a time, so the work can be
 *   asking  [tile][tile][tile] …      stopped after any tile x shard
 *
 * That is n * n comparisons. Where the caller says that this is too many, a
 * block is made into graphs (graphs.h), which take the place of the shards: they
 * are larger, few, and looked through in a few hundred steps a query.
 *
 * The answers of a shard are merged into the slots, which are kept best first.
 * Members ascend with shards, so of equal scores the one in its slot is first,
 * as it would be in one index of everything.
 *
 * Memory per row, besides its vector of 4 * dim bytes: 24 * k for its slots.
 * One shard is in memory once more (twice when the block's rows are scattered,
 * until they are indexed). Graphs keep dim + 270 bytes a row.
 *
 * The outcome does not depend on the number of workers: scores and hits are
 * index/'s, which are the same on any thread. Scores are rounded
 * before anything is decided by them, see lk_score_round(). */
#include "linkage/candidates.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "linkage/graphs.h"

/* Queries of one matrix product, enough for its full speed. */
#define ROWS_PER_TILE ((size_t)256)
/* Numbers of one shard, 32 MB: a tile x shard takes 0.05 to 0.1 s on a core
 * that has little else to do. Measured 2026-11-24 with 200,000 vectors of 384
 * dims on two busy cores: at most 0.4 s between two reports, 4.4 to 7 s with
 * one index of everything; the whole was no slower beyond the noise. */
#define FLOATS_PER_SHARD ((size_t)1 << 23)
/* But so many rows for each neighbour, a guess: every shard answers with k, and
 * scoring those must cost less than finding them. */
#define ROWS_PER_SHARD_AND_K ((size_t)32)
/* Rows that are looked at in each graph, and for each neighbour: see
 * linkd_graph_search(). Four graphs look at four times as many. */
#define GRAPH_WIDTH_MIN   ((size_t)32)
#define GRAPH_WIDTH_PER_K ((size_t)2)
/* Items per worker between two progress reports. A pair of rows costs
 * 0.1 us each way when a search has to look at every vector: 2^21 are 0.4 s. */
#define TILES_PER_ROUND  ((size_t)2)
#define BLOCKS_PER_ROUND ((size_t)512)
#define PAIRS_PER_ROUND  ((size_t)1 << 21)

#define SLOT_UNUSED SIZE_MAX /* as the left number */

/* What one worker writes to. */
typedef struct scratch {
    float *rows;     /* [ROWS_PER_TILE, dim] */
    linkd_hit *hits; /* [ROWS_PER_TILE, k + 1] */
} scratch;

typedef struct finder {
    lk_side sides[2];
    lk_blocks blocks;
    bool is_self; /* one side, compared with itself */
    size_t dim;
    size_t k;
    size_t rows_per_shard;
    size_t graph_rows;
    lk_pool *pool;
    const linkd_progress *progress;
    uint64_t n_done; /* before the current round, or the current direction */
    uint64_t n_total;
    linkd_pair *slots; /* [n_slots], scores not rounded yet */
    size_t n_slots;
    scratch *scratches; /* [n_workers] */
    size_t n_workers;
} finder;

/* One block in one direction. */
typedef struct search {
    finder *finder;
    const lk_block *block;
    linkd_index *index;       /* over members of the block's `to` side, */
    const linkd_graph *graph; /* or the same as a graph */
    size_t first;             /* of them */
    size_t from;              /* the side that asks */
    size_t to;
    size_t first_tile; /* of this round */
    size_t n_shards;
    size_t n_asked; /* queries, summed over shards */
} search;

/* ---- scores --------------------------------------------------------------- */

#define SCORE_STEPS 1e6 /* six decimals: f32 has seven digits below 1 */

/* The inner product of a unit vector with itself is 0.9999998 to 1.0000002 in
 * f32. Unrounded, equal rows would miss a threshold of 1, and a pair printed
 * with the very score that was asked for could be missing. */
float lk_score_round(float cosine)
{
    double score = round((double)cosine * SCORE_STEPS) / SCORE_STEPS;

    /* + 0.0 makes -0.0, which would be printed with its sign, 0.0 */
    return (float)(fmax(-1.0, fmin(score, 1.0)) + 0.0);
}

float lk_score_margin(float threshold)
{
    return threshold - (float)(1.0 / SCORE_STEPS);
}

/* ---- the answers of some queries ----------------------------------------- */

static size_t *block_members(const finder *f, const lk_block *block,
                             size_t side)
{
    return f->blocks.members[side] + block->begin[side];
}

static void rows_gather(const finder *f, size_t side, const size_t *numbers,
                        size_t n, float *ret_rows)
{
    for (size_t i = 0; i < n; i++)
        memcpy(ret_rows + i * f->dim,
               f->sides[side].vectors + numbers[i] * f->dim,
               f->dim * sizeof(float));
}

static linkd_pair pair_make(const search *s, size_t asker, size_t other,
                            float score)
{
    bool swap = s->finder->is_self ? other < asker : s->from == 1;

    return swap ? (linkd_pair){other, asker, score}
                : (linkd_pair){asker, other, score};
}

/* Moves the hits that are one to the front, with members for positions. */
static size_t hits_resolve(const search *s, size_t asker, linkd_hit *hits,
                           size_t n_hits)
{
    const size_t *others = block_members(s->finder, s->block, s->to) + s->first;
    size_t n = 0;

    for (size_t i = 0; i < n_hits && hits[i].id != LINKD_ID_NONE; i++) {
        size_t other = others[hits[i].id];

        if (!s->finder->is_self || other != asker)
            hits[n++] = (linkd_hit){.id = other, .score = hits[i].score};
    }
    return n;
}

/* Merges the answers to one query into its slots: first how many of either
 * stay, then from the last one on, so that nothing is overwritten. */
static void slots_merge(const search *s, size_t asker, linkd_hit *hits,
                        size_t n_hits)
{
    const finder *f = s->finder;
    size_t first = s->from == 1 ? f->sides[0].n : 0;
    linkd_pair *slots = f->slots + (first + asker) * f->k;
    size_t n_new = hits_resolve(s, asker, hits, n_hits);
    size_t old = 0;
    size_t new = 0;

    while (old + new < f->k) {
        bool is_old = slots[old].left != SLOT_UNUSED;

        if (is_old && (new == n_new || slots[old].score >= hits[new].score))
            old++;
        else if (new < n_new)
            new ++;
        else
            break;
    }
    while (new > 0) {
        size_t at = old + new - 1;

        if (old > 0 && slots[old - 1].score < hits[new - 1].score) {
            slots[at] = slots[--old];
        } else {
            new --;
            slots[at] = pair_make(s, asker, hits[new].id, hits[new].score);
        }
    }
}

static int rows_ask(const search *s, const float *rows, size_t n, size_t k,
                    linkd_hit *ret_hits, linkd_error *err)
{
    size_t width = k * GRAPH_WIDTH_PER_K;

    if (s->graph == NULL)
        return linkd_index_search(s->index, rows, n, k, ret_hits, err);
    return linkd_graph_search(s->graph, rows, n, k,
                              width > GRAPH_WIDTH_MIN ? width : GRAPH_WIDTH_MIN,
                              ret_hits, err);
}

/* Answers `n` queries of the block from the one at `begin` on. */
static int tile_search(const search *s, size_t begin, size_t n, scratch *work,
                       linkd_error *err)
{
    const finder *f = s->finder;
    const size_t *askers = block_members(f, s->block, s->from) + begin;
    size_t k = f->is_self ? f->k + 1 : f->k;
    int rc;

    rows_gather(f, s->from, askers, n, work->rows);
    rc = rows_ask(s, work->rows, n, k, work->hits, err);
    for (size_t i = 0; i < n && rc == LINKD_OK; i++)
        slots_merge(s, askers[i], work->hits + i * k, k);
    return rc;
}

/* ---- blocks: small ones whole, large ones by tiles ----------------------- */

static size_t n_directions(const finder *f)
{
    return f->is_self ? 1 : 2;
}

static search search_of(finder *f, const lk_block *block, size_t from)
{
    return (search){.finder = f,
                    .block = block,
                    .from = from,
                    .to = f->is_self ? 0 : 1 - from};
}

static int rows_index(search *s, const float *rows, size_t n, linkd_error *err)
{
    int rc = linkd_index_new(s->finder->dim, &s->index, err);

    if (rc == LINKD_OK)
        rc = linkd_index_add(s->index, rows, n, err);
    return rc;
}

static bool block_is_small(const lk_block *block)
{
    return block->n[0] <= ROWS_PER_TILE && block->n[1] <= ROWS_PER_TILE;
}

static int small_block_search(finder *f, const lk_block *block, scratch *work,
                              linkd_error *err)
{
    int rc = LINKD_OK;

    for (size_t from = 0; from < n_directions(f) && rc == LINKD_OK; from++) {
        search s = search_of(f, block, from);

        rows_gather(f, s.to, block_members(f, block, s.to), block->n[s.to],
                    work->rows);
        rc = rows_index(&s, work->rows, block->n[s.to], err);
        if (rc == LINKD_OK)
            rc = tile_search(&s, 0, block->n[from], work, err);
        linkd_index_free(s.index);
    }
    return rc;
}

/* Some of the finder's blocks. */
typedef struct block_round {
    finder *finder;
    size_t first;
} block_round;

static int small_block_task(void *ctx, size_t item, size_t worker,
                            linkd_error *err)
{
    block_round *round = ctx;
    finder *f = round->finder;
    const lk_block *block = &f->blocks.blocks[round->first + item];

    if (!block_is_small(block))
        return LINKD_OK;
    return small_block_search(f, block, &f->scratches[worker], err);
}

static int tile_task(void *ctx, size_t item, size_t worker, linkd_error *err)
{
    search *s = ctx;
    size_t begin = (s->first_tile + item) * ROWS_PER_TILE;
    size_t n = s->block->n[s->from] - begin;

    return tile_search(s, begin, n < ROWS_PER_TILE ? n : ROWS_PER_TILE,
                       &s->finder->scratches[worker], err);
}

static int report(const finder *f, size_t n_more, linkd_error *err)
{
    return lk_progress_report(f->progress, "search", f->n_done + n_more,
                              f->n_total, err);
}

static int tiles_run(search *s, linkd_error *err)
{
    finder *f = s->finder;
    size_t n_askers = s->block->n[s->from];
    size_t n_round = TILES_PER_ROUND * f->n_workers;
    size_t n_tiles = (n_askers + ROWS_PER_TILE - 1) / ROWS_PER_TILE;
    int rc = LINKD_OK;

    for (size_t at = 0; at < n_tiles && rc == LINKD_OK; at += n_round) {
        size_t n = n_tiles - at < n_round ? n_tiles - at : n_round;
        size_t end = (at + n) * ROWS_PER_TILE;

        s->first_tile = at;
        rc = lk_pool_run(f->pool, n, tile_task, s, err);
        s->n_asked += (end < n_askers ? end : n_askers) - at * ROWS_PER_TILE;
        if (rc == LINKD_OK)
            rc = report(f, s->n_asked / s->n_shards, err);
    }
    return rc;
}

/* Without blocking the side lies in memory as the index wants it; only the
 * rows of a block among others have to be collected first. */
static int shard_index(search *s, size_t n, linkd_error *err)
{
    const finder *f = s->finder;
    const size_t *members = block_members(f, s->block, s->to) + s->first;
    float *rows = NULL;
    int rc;

    if (members[n - 1] - members[0] == n - 1)
        return rows_index(s, f->sides[s->to].vectors + members[0] * f->dim, n,
                          err);
    rows = lk_alloc_aligned(n, f->dim * sizeof(*rows));
    if (rows == NULL)
        return lk_fail_nomem(err);
    rows_gather(f, s->to, members, n, rows);
    rc = rows_index(s, rows, n, err);
    free(rows);
    return rc;
}

static int shards_search(search *s, linkd_error *err)
{
    size_t n = s->block->n[s->to];
    size_t n_most = s->finder->rows_per_shard;
    int rc = LINKD_OK;

    s->n_shards = (n + n_most - 1) / n_most;
    for (; s->first < n && rc == LINKD_OK; s->first += n_most) {
        size_t n_left = n - s->first;

        rc = shard_index(s, n_left < n_most ? n_left : n_most, err);
        if (rc == LINKD_OK)
            rc = tiles_run(s, err);
        linkd_index_free(s->index);
        s->index = NULL;
    }
    return rc;
}

static int graphs_search(search *s, linkd_error *err)
{
    const finder *f = s->finder;
    lk_graphs_source source = {.vectors = f->sides[s->to].vectors,
                               .rows = block_members(f, s->block, s->to),
                               .n = s->block->n[s->to],
                               .dim = f->dim,
                               .pool = f->pool,
                               .progress = f->progress};
    lk_graphs graphs = {0};
    int rc = lk_graphs_make(&source, &graphs, err);

    s->n_shards = LK_GRAPHS;
    for (size_t i = 0; i < LK_GRAPHS && rc == LINKD_OK; i++) {
        s->graph = graphs.graphs[i];
        s->first = graphs.begins[i];
        rc = tiles_run(s, err);
    }
    lk_graphs_clear(&graphs);
    return rc;
}

static int large_block_search(finder *f, const lk_block *block,
                              linkd_error *err)
{
    int rc = LINKD_OK;

    for (size_t from = 0; from < n_directions(f) && rc == LINKD_OK; from++) {
        search s = search_of(f, block, from);
        bool is_huge = f->graph_rows > 0 && block->n[s.to] >= f->graph_rows;

        rc = is_huge ? graphs_search(&s, err) : shards_search(&s, err);
        f->n_done += block->n[from];
    }
    return rc;
}

/* How many blocks make a round: few if there is much to compare in them. */
static size_t round_count(const finder *f, size_t first)
{
    const lk_block *blocks = f->blocks.blocks + first;
    size_t n_most = f->blocks.n - first;
    size_t n_pairs = 0;
    size_t n = 0;

    if (n_most > BLOCKS_PER_ROUND)
        n_most = BLOCKS_PER_ROUND;
    while (n < n_most && n_pairs < PAIRS_PER_ROUND * f->n_workers) {
        if (block_is_small(&blocks[n]))
            n_pairs += blocks[n].n[0] * blocks[n].n[f->is_self ? 0 : 1];
        n++;
    }
    return n;
}

static int blocks_search(finder *f, linkd_error *err)
{
    const lk_blocks *blocks = &f->blocks;
    int rc = LINKD_OK;

    for (size_t at = 0, n; at < blocks->n && rc == LINKD_OK; at += n) {
        block_round round = {f, at};
        size_t n_small_rows = 0;

        n = round_count(f, at);
        rc = lk_pool_run(f->pool, n, small_block_task, &round, err);
        for (size_t i = at; i < at + n && rc == LINKD_OK; i++)
            if (block_is_small(&blocks->blocks[i]))
                n_small_rows += blocks->blocks[i].n[0] + blocks->blocks[i].n[1];
            else
                rc = large_block_search(f, &blocks->blocks[i], err);
        f->n_done += n_small_rows;
        if (rc == LINKD_OK)
            rc = report(f, 0, err);
    }
    return rc;
}

/* ---- all of it ----------------------------------------------------------- */

static size_t rows_per_shard(size_t dim, size_t k)
{
    size_t n = FLOATS_PER_SHARD / dim;

    return n > ROWS_PER_SHARD_AND_K * k ? n : ROWS_PER_SHARD_AND_K * k;
}

static int scratches_init(finder *f, linkd_error *err)
{
    f->n_workers = lk_pool_n_workers(f->pool);
    f->scratches = calloc(f->n_workers, sizeof(*f->scratches));
    if (f->scratches == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < f->n_workers; i++) {
        scratch *work = &f->scratches[i];

        work->rows =
            lk_alloc_aligned(ROWS_PER_TILE, f->dim * sizeof(*work->rows));
        work->hits =
            lk_alloc_aligned(ROWS_PER_TILE, (f->k + 1) * sizeof(*work->hits));
        if (work->rows == NULL || work->hits == NULL)
            return lk_fail_nomem(err);
    }
    return LINKD_OK;
}

static int finder_init(finder *f, const lk_side *left, const lk_side *right,
                       const lk_search_options *options, linkd_error *err)
{
    size_t n_right = right != NULL ? right->n : 0;
    size_t n_most = left->n > n_right ? left->n : n_right;
    int rc;

    *f = (finder){.sides = {*left, right != NULL ? *right : (lk_side){0}},
                  .is_self = right == NULL,
                  .dim = options->dim,
                  .k = options->k < n_most ? options->k : n_most,
                  .rows_per_shard = options->rows_per_shard,
                  .graph_rows = options->graph_rows,
                  .pool = options->pool,
                  .progress = options->progress};
    if (f->rows_per_shard == 0)
        f->rows_per_shard = rows_per_shard(f->dim, f->k);
    rc = lk_blocks_init(&f->blocks, left, right, err);
    if (rc == LINKD_OK)
        rc = scratches_init(f, err);
    if (rc != LINKD_OK)
        return rc;
    for (size_t i = 0; i < f->blocks.n; i++)
        f->n_total += f->blocks.blocks[i].n[0] + f->blocks.blocks[i].n[1];
    f->n_slots = (left->n + n_right) * f->k;
    f->slots = lk_alloc_aligned(f->n_slots + 1, sizeof(*f->slots));
    if (f->slots == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < f->n_slots; i++)
        f->slots[i].left = SLOT_UNUSED;
    return LINKD_OK;
}

static void finder_clear(finder *f)
{
    for (size_t i = 0; f->scratches != NULL && i < f->n_workers; i++) {
        free(f->scratches[i].hits);
        free(f->scratches[i].rows);
    }
    free(f->scratches);
    free(f->slots);
    lk_blocks_clear(&f->blocks);
}

int lk_pair_compare(const void *a, const void *b)
{
    const linkd_pair *x = a;
    const linkd_pair *y = b;

    if (x->left != y->left)
        return x->left > y->left ? 1 : -1;
    return (x->right > y->right) - (x->right < y->right);
}

/* Sorts the used slots, moves the distinct ones to the front and rounds. */
static size_t slots_unite(linkd_pair *slots, size_t n_slots)
{
    size_t n_used = 0;
    size_t n = 0;

    for (size_t i = 0; i < n_slots; i++)
        if (slots[i].left != SLOT_UNUSED)
            slots[n_used++] = slots[i];
    qsort(slots, n_used, sizeof(*slots), lk_pair_compare);
    for (size_t i = 0; i < n_used; i++)
        if (n == 0 || lk_pair_compare(&slots[n - 1], &slots[i]) != 0) {
            slots[n] = slots[i];
            slots[n++].score = lk_score_round(slots[i].score);
        }
    return n;
}

int lk_candidates_search(const lk_side *left, const lk_side *right,
                         const lk_search_options *options,
                         lk_candidates *ret_candidates, linkd_error *err)
{
    finder f;
    int rc = finder_init(&f, left, right, options, err);

    if (rc == LINKD_OK)
        rc = blocks_search(&f, err);
    if (rc == LINKD_OK) {
        ret_candidates->n = slots_unite(f.slots, f.n_slots);
        ret_candidates->pairs = f.slots;
        f.slots = NULL;
    }
    finder_clear(&f);
    return rc;
}

void lk_candidates_clear(lk_candidates *candidates)
{
    free(candidates->pairs);
    *candidates = (lk_candidates){0};
}
