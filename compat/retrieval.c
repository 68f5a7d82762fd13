/* compat/retrieval.c — where the first relevant row of each query stands.
 *
 * A rank needs no sorted list: it is one more than the number of rows that beat
 * the best relevant one. A worker takes a tile of queries at a time and keeps
 * their scores on the whole gallery, 64 bytes for each of its rows. */
#include <stdlib.h>

#include "compat/blas.h"
#include "compat/compat.h"

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

int linkd_compat_ranks(const linkd_retrieval *retrieval, size_t k,
                       lk_pool *pool, uint32_t *ret_ranks, linkd_error *err)
{
    ranking r = {.task = retrieval, .k = k, .ranks = ret_ranks};
    int rc;

    if (retrieval->queries.dim > retrieval->gallery.dim)
        return lk_fail(err, LINKD_E_ARG,
                       "queries have %zu dimensions, the gallery only %zu",
                       retrieval->queries.dim, retrieval->gallery.dim);
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

static double mrr_at(const linkd_retrieval *old_task,
                     const linkd_rows *new_queries, float weight, float *fused,
                     uint32_t *ranks, lk_pool *pool, int *rc, linkd_error *err)
{
    linkd_retrieval task = *old_task;
    size_t dim = old_task->queries.dim;

    for (size_t i = 0; i < task.queries.n; i++)
        linkd_compat_slerp(old_task->queries.data + i * dim,
                           new_queries->data + i * new_queries->dim, dim,
                           weight, fused + i * dim);
    task.queries.data = fused;
    *rc = linkd_compat_ranks(&task, FUSED_K, pool, ranks, err);
    return *rc == LINKD_OK
               ? linkd_compat_metrics_of(ranks, task.queries.n).mrr_10
               : 0.0;
}

int linkd_compat_choose_weight(const linkd_retrieval *old_task,
                               const linkd_rows *new_queries, lk_pool *pool,
                               float *ret_weight, linkd_error *err)
{
    size_t n = old_task->queries.n;
    float *fused;
    uint32_t *ranks;
    double best = -1.0;
    float weight = 0.0F;
    int rc = LINKD_OK;

    if (new_queries->n != n || new_queries->dim < old_task->queries.dim)
        return lk_fail(err, LINKD_E_ARG,
                       "every old query needs a mapped new one of its size");
    fused = lk_alloc_aligned(n + 1, old_task->queries.dim * sizeof(*fused));
    ranks = malloc((n + 1) * sizeof(*ranks));
    if (fused == NULL || ranks == NULL)
        rc = lk_fail_nomem(err);
    for (size_t i = 0; i <= WEIGHTS && rc == LINKD_OK; i++) {
        float tried = (float)i / WEIGHTS;
        double mrr =
            mrr_at(old_task, new_queries, tried, fused, ranks, pool, &rc, err);

        if (rc == LINKD_OK && mrr > best) {
            best = mrr;
            weight = tried;
        }
    }
    free(ranks);
    free(fused);
    if (rc == LINKD_OK)
        *ret_weight = weight;
    return rc;
}
