/* linkage/cluster_near.c — all that is near every vector, without keeping it.
 *
 * The index answers the k nearest. Where the last of them is too far away, all
 * that are near enough are among them; the other vectors ask again for more, and
 * those with very many neighbours are compared with all vectors in the end, for
 * the index keeps its answers in heaps, which is slow for long ones:
 *
 *   pending ─► tiles of rows ─► workers: index, or scan ─► slots ─► callback
 *      ▲                                                     └─ more? ─┐
 *      └───────────────────────────────────────────────────────────────┘
 *
 * Tiles and rounds have sizes that depend on k and n alone, and the callback
 * hears the slots in order, so nothing depends on how many workers there are.
 * Memory is the index (which copies the vectors) and 64 MB of hits, or 256 bytes
 * a vector where that is more. Time is the square of the number of vectors. */
#include "linkage/cluster_vectors.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define HITS_PER_TILE   ((size_t)65536) /* 1 MB */
#define ROWS_PER_TILE   ((size_t)256)
#define TILES_PER_ROUND ((size_t)16)
#define K_FIRST         ((size_t)32)
#define K_LAST          ((size_t)256)    /* then a scan */
#define SCAN_HITS       ((size_t)262144) /* 4 MB a tile */
#define SCAN_ROWS       ((size_t)8)

typedef struct near {
    const lk_space *space;
    linkd_index *index;
    bool is_range;
    float least;  /* is_range */
    bool is_scan; /* this level compares with all vectors: k is n */
    lk_near_fn *near_cb;
    void *ctx;
    /* the level */
    size_t k;
    size_t rows_per_tile;
    uint32_t *pending; /* [n]; those of the next level move to its front */
    size_t n_pending;
    /* the round */
    size_t at;       /* first pending row of the round */
    float *queries;  /* [TILES_PER_ROUND, rows_per_tile, dim] */
    linkd_hit *hits; /* [TILES_PER_ROUND, rows_per_tile, k] */
    size_t n_done;
} near;

float lk_space_score(const lk_space *space, size_t a, size_t b)
{
    return lk_score_round(linkd_index_score(space->vectors + a * space->dim,
                                            space->vectors + b * space->dim,
                                            space->dim));
}

/* ---- one round ----------------------------------------------------------- */

/* How many rows a tile of this round has. */
static size_t tile_rows(const near *w, size_t tile)
{
    size_t begin = w->at + tile * w->rows_per_tile;
    size_t n_left = w->n_pending > begin ? w->n_pending - begin : 0;

    return n_left < w->rows_per_tile ? n_left : w->rows_per_tile;
}

/* All vectors against a tile's rows, which stay in the cache. */
static void tile_scan(const near *w, size_t first, size_t n_rows)
{
    size_t n_hits[SCAN_ROWS] = {0};

    for (size_t i = 0; i < w->space->n; i++)
        for (size_t row = 0; row < n_rows; row++) {
            float score =
                lk_space_score(w->space, w->pending[w->at + first + row], i);

            if (score >= w->least)
                w->hits[(first + row) * w->k + n_hits[row]++] =
                    (linkd_hit){i, score};
        }
    for (size_t row = 0; row < n_rows; row++)
        if (n_hits[row] < w->k)
            w->hits[(first + row) * w->k + n_hits[row]].id = LINKD_ID_NONE;
}

static int tile_task(void *ctx, size_t tile, size_t worker, linkd_error *err)
{
    const near *w = ctx;
    size_t dim = w->space->dim;
    size_t first = tile * w->rows_per_tile;
    size_t n = tile_rows(w, tile);

    (void)worker;
    if (w->is_scan) {
        tile_scan(w, first, n);
        return LINKD_OK;
    }
    for (size_t i = 0; i < n; i++)
        memcpy(w->queries + (first + i) * dim,
               w->space->vectors + w->pending[w->at + first + i] * dim,
               dim * sizeof(*w->queries));
    return linkd_index_search(w->index, w->queries + first * dim, n, w->k,
                              w->hits + first * w->k, err);
}

/* The hits that count; rounds their scores. */
static size_t hits_cut(const near *w, linkd_hit *hits)
{
    size_t n = 0;

    while (n < w->k && hits[n].id != LINKD_ID_NONE) {
        hits[n].score = lk_score_round(hits[n].score);
        if (w->is_range && hits[n].score < w->least)
            break;
        n++;
    }
    return n;
}

/* Calls back for the rows of a round; answers where the front ends. */
static size_t round_report(near *w, size_t n_rows, size_t n_front)
{
    for (size_t i = 0; i < n_rows; i++) {
        uint32_t number = w->pending[w->at + i];
        linkd_hit *hits = w->hits + i * w->k;
        size_t n = hits_cut(w, hits);

        if (w->is_range && n == w->k && n < w->space->n) {
            w->pending[n_front++] = number;
        } else {
            w->near_cb(w->ctx, number, hits, n);
            w->n_done++;
        }
    }
    return n_front;
}

/* ---- one level ----------------------------------------------------------- */

static size_t tile_size(const near *w)
{
    size_t most = w->is_scan ? SCAN_ROWS : ROWS_PER_TILE;
    size_t n = (w->is_scan ? SCAN_HITS : HITS_PER_TILE) / w->k;

    if (n > most)
        return most;
    return n > 0 ? n : 1;
}

static int level_init(near *w, size_t k, linkd_error *err)
{
    size_t n_rows;

    w->is_scan = w->is_range && k > K_LAST;
    w->k = k < w->space->n && !w->is_scan ? k : w->space->n;
    w->rows_per_tile = tile_size(w);
    n_rows = w->rows_per_tile * TILES_PER_ROUND;
    free(w->queries);
    free(w->hits);
    w->queries = lk_alloc_aligned(n_rows, w->space->dim * sizeof(*w->queries));
    w->hits = lk_alloc_aligned(n_rows, w->k * sizeof(*w->hits));
    return w->queries != NULL && w->hits != NULL ? LINKD_OK
                                                 : lk_fail_nomem(err);
}

static int level_run(near *w, linkd_error *err)
{
    size_t n_round = w->rows_per_tile * TILES_PER_ROUND;
    size_t n_front = 0;
    int rc = LINKD_OK;

    for (w->at = 0; w->at < w->n_pending && rc == LINKD_OK; w->at += n_round) {
        size_t n_left = w->n_pending - w->at;
        size_t n = n_left < n_round ? n_left : n_round;

        rc = lk_pool_run(w->space->pool,
                         (n + w->rows_per_tile - 1) / w->rows_per_tile,
                         tile_task, w, err);
        if (rc == LINKD_OK) {
            n_front = round_report(w, n, n_front);
            rc = lk_progress_report(w->space->progress, "search", w->n_done,
                                    w->space->n, err);
        }
    }
    w->n_pending = n_front;
    return rc;
}

static int near_init(near *w, linkd_error *err)
{
    const lk_space *space = w->space;
    int rc = linkd_index_new(space->dim, &w->index, err);

    if (rc == LINKD_OK)
        rc = linkd_index_add(w->index, space->vectors, space->n, err);
    if (rc != LINKD_OK)
        return rc;
    w->pending = calloc(space->n + 1, sizeof(*w->pending));
    if (w->pending == NULL)
        return lk_fail_nomem(err);
    w->n_pending = space->n;
    for (size_t i = 0; i < space->n; i++)
        w->pending[i] = (uint32_t)i;
    return LINKD_OK;
}

static int near_run(near *w, size_t k, linkd_error *err)
{
    int rc = w->space->n > 0 ? near_init(w, err) : LINKD_OK;

    while (rc == LINKD_OK && w->n_pending > 0) {
        rc = level_init(w, k, err);
        if (rc == LINKD_OK)
            rc = level_run(w, err);
        k = k < K_LAST ? K_LAST : SIZE_MAX;
    }
    free(w->hits);
    free(w->queries);
    free(w->pending);
    linkd_index_free(w->index);
    return rc;
}

int lk_near_range(const lk_space *space, float least, lk_near_fn *near_cb,
                  void *ctx, linkd_error *err)
{
    near w = {.space = space,
              .is_range = true,
              .least = least,
              .near_cb = near_cb,
              .ctx = ctx};

    return near_run(&w, K_FIRST, err);
}

int lk_near_count(const lk_space *space, size_t k, lk_near_fn *near_cb,
                  void *ctx, linkd_error *err)
{
    near w = {.space = space, .near_cb = near_cb, .ctx = ctx};

    return near_run(&w, k, err);
}
