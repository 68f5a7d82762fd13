/* compat/retrieval.c — where the first relevant row of each query stands.
 *
 * A rank needs no sorted list: it is one more than the number of rows that beat
 * the best relevant one. A worker takes a tile of queries at a time and keeps
 * their scores on the whole gallery, 64 bytes for each of its rows. */
#include <stdlib.h>

#include "compat/blas.h"
#include "compat/compat.h"
#include "compat/slerp.h"

enum {
    TILE = 16,
};

typedef struct ranking {
    const linkd_retrieval *task;
    size_t k;
    float *scores; /* [n_workers, TILE, gallery.n] */
    uint32_t *ranks;
} ranking;

static bool counts(const linkd_retrieval *t, size_t query, size_t row)
{
    return t->query_rows == NULL || t->query_rows[query] != row;
}

/* The rank of the best relevant row; of equal scores the earlier one is better,
 * relevant or not. */
static uint32_t rank_of(const ranking *r, size_t query, const float *scores)
{
    const linkd_retrieval *t = r->task;
    uint64_t group = t->query_groups[query];
    size_t best = SIZE_MAX;
    size_t rank = 1;

    for (size_t i = 0; i < t->gallery.n; i++)
        if (t->gallery_groups[i] == group && counts(t, query, i) &&
            (best == SIZE_MAX || scores[i] > scores[best]))
            best = i;
    if (best == SIZE_MAX)
        return 0;
    for (size_t i = 0; i < t->gallery.n && rank <= r->k; i++)
        if ((scores[i] > scores[best] ||
             (i < best && scores[i] == scores[best])) &&
            counts(t, query, i))
            rank++;
    return rank <= r->k ? (uint32_t)rank : 0;
}

static int tile_rank(void *ctx, size_t item, size_t worker, linkd_error *err)
{
    ranking *r = ctx;
    const linkd_retrieval *t = r->task;
    size_t first = item * TILE;
    size_t n = t->queries.n - first < TILE ? t->queries.n - first : TILE;
    float *scores = r->scores + worker * TILE * t->gallery.n;

    (void)err;
    lk_inner_products(t->queries.data + first * t->queries.dim, n,
                      t->gallery.data, t->gallery.n, t->queries.dim,
                      t->gallery.dim, scores);
    for (size_t i = 0; i < n; i++)
        r->ranks[first + i] = rank_of(r, first + i, scores + i * t->gallery.n);
    return LINKD_OK;
}

static int gallery_fail(const linkd_retrieval *task, linkd_error *err)
{
    return lk_fail(err, LINKD_E_ARG,
                   "queries have %zu dimensions, the gallery only %zu",
                   task->queries.dim, task->gallery.dim);
}

int linkd_compat_ranks(const linkd_retrieval *retrieval, size_t k,
                       lk_pool *pool, uint32_t *ret_ranks, linkd_error *err)
{
    ranking r = {.task = retrieval, .k = k, .ranks = ret_ranks};
    int rc;

    if (retrieval->queries.dim > retrieval->gallery.dim)
        return gallery_fail(retrieval, err);
    r.scores = lk_alloc_aligned(lk_pool_n_workers(pool) * TILE,
                                (retrieval->gallery.n + 1) * sizeof(float));
    if (r.scores == NULL)
        return lk_fail_nomem(err);
    rc = lk_pool_run(pool, (retrieval->queries.n + TILE - 1) / TILE, tile_rank,
                     &r, err);
    free(r.scores);
    return rc;
}

/* ---- the weight of a fused query ---------------------------------------- */

enum {
    WEIGHTS = 10, /* steps from 0 to 1 (research: the grid of SLERP's paper) */
    FUSED_K = 10,
};

typedef struct weighing {
    const linkd_retrieval *task; /* of the old queries */
    const linkd_rows *new_queries;
    float *scores;   /* [n_workers, 3, TILE, gallery.n]: old, new, fused */
    uint32_t *ranks; /* [WEIGHTS + 1, queries.n] */
} weighing;

static double row_cosine(const float *a, const float *b, size_t dim)
{
    double sum = 0.0;

    for (size_t j = 0; j < dim; j++)
        sum += (double)a[j] * (double)b[j];
    return sum;
}

/* A fused query is a sum of the two, and so are its scores. */
static void query_weigh(const weighing *w, size_t query, const float *of_old,
                        const float *of_new, float *fused)
{
    const linkd_retrieval *t = w->task;
    const ranking r = {.task = t, .k = FUSED_K};
    size_t dim = t->queries.dim;
    double cosine =
        row_cosine(t->queries.data + query * dim,
                   w->new_queries->data + query * w->new_queries->dim, dim);

    for (size_t i = 0; i <= WEIGHTS; i++) {
        double parts[2];

        lk_slerp_parts(cosine, (double)i / WEIGHTS, parts);
        for (size_t j = 0; j < t->gallery.n; j++)
            fused[j] = (float)(parts[0] * (double)of_old[j] +
                               parts[1] * (double)of_new[j]);
        w->ranks[i * t->queries.n + query] = rank_of(&r, query, fused);
    }
}

static int tile_weigh(void *ctx, size_t item, size_t worker, linkd_error *err)
{
    const weighing *w = ctx;
    const linkd_retrieval *t = w->task;
    const linkd_rows *new_queries = w->new_queries;
    size_t first = item * TILE;
    size_t n = t->queries.n - first < TILE ? t->queries.n - first : TILE;
    size_t plane = TILE * t->gallery.n;
    float *scores = w->scores + 3 * worker * plane;
    /* rows with more dimensions than count are no matrix */
    size_t n_each = new_queries->dim == t->queries.dim ? n : 1;

    (void)err;
    lk_inner_products(t->queries.data + first * t->queries.dim, n,
                      t->gallery.data, t->gallery.n, t->queries.dim,
                      t->gallery.dim, scores);
    for (size_t i = 0; i < n; i += n_each)
        lk_inner_products(new_queries->data + (first + i) * new_queries->dim,
                          n_each, t->gallery.data, t->gallery.n, t->queries.dim,
                          t->gallery.dim, scores + plane + i * t->gallery.n);
    for (size_t i = 0; i < n; i++)
        query_weigh(w, first + i, scores + i * t->gallery.n,
                    scores + plane + i * t->gallery.n, scores + 2 * plane);
    return LINKD_OK;
}

static float best_weight(const weighing *w)
{
    size_t n = w->task->queries.n;
    double best = -1.0;
    float weight = 0.0F;

    for (size_t i = 0; i <= WEIGHTS; i++) {
        double mrr = linkd_compat_metrics_of(w->ranks + i * n, n).mrr_10;

        if (mrr > best) {
            best = mrr;
            weight = (float)i / WEIGHTS;
        }
    }
    return weight;
}

int linkd_compat_choose_weight(const linkd_retrieval *old_task,
                               const linkd_rows *new_queries, lk_pool *pool,
                               float *ret_weight, linkd_error *err)
{
    weighing w = {.task = old_task, .new_queries = new_queries};
    size_t n = old_task->queries.n;
    int rc = LINKD_OK;

    if (new_queries->n != n || new_queries->dim < old_task->queries.dim)
        return lk_fail(err, LINKD_E_ARG,
                       "every old query needs a mapped new one of its size");
    if (old_task->queries.dim > old_task->gallery.dim)
        return gallery_fail(old_task, err);
    w.scores = lk_alloc_aligned(lk_pool_n_workers(pool) * 3 * TILE,
                                (old_task->gallery.n + 1) * sizeof(float));
    w.ranks = malloc((WEIGHTS + 1) * (n + 1) * sizeof(*w.ranks));
    if (w.scores == NULL || w.ranks == NULL)
        rc = lk_fail_nomem(err);
    else
        rc = lk_pool_run(pool, (n + TILE - 1) / TILE, tile_weigh, &w, err);
    if (rc == LINKD_OK)
        *ret_weight = best_weight(&w);
    free(w.ranks);
    free(w.scores);
    return rc;
}
