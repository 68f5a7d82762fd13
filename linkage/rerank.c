/* linkage/rerank.c — how well a ranking puts the sample's anchors in order where,
 * as in searches, it has only those that fused queries find first.
 *
 * Searches give it LK_RANKED hits; of a sample of the collection as large a share
 * is as many as they would see (linkd_trial_candidates). What is behind these stays
 * behind, and is not among the first ten. */
#include "linkage/bridge.h"
#include "linkage/trial.h"

typedef struct reranking {
    const lk_rerank_task *task;
    size_t n_first;
    uint32_t *ranks;
} reranking;

typedef struct place {
    float score;
    size_t anchor;
} place;

/* Of equal ones the earlier anchor is before the other. */
static bool is_before(const place *a, const place *b)
{
    return a->score > b->score ||
           (a->score == b->score && a->anchor < b->anchor);
}

/* Puts an anchor among the first n, best first, if it belongs there; their number
 * then, n_most at most. */
static size_t first_add(place *first, size_t n, size_t n_most, place more)
{
    size_t at = n;

    if (n == n_most && !is_before(&more, &first[n - 1]))
        return n;
    if (n == n_most)
        at--;
    else
        n++;
    for (; at > 0 && is_before(&more, &first[at - 1]); at--)
        first[at] = first[at - 1];
    first[at] = more;
    return n;
}

static float score_of(const lk_rerank_task *t, const float *queries,
                      size_t query, size_t anchor)
{
    size_t dim = t->to->dim;

    return linkd_index_score(queries + query * dim,
                             t->to->anchors + anchor * dim, dim);
}

/* 0: no answer is among the first ten. */
static uint32_t rank_of(const reranking *r, size_t query, const place *first,
                        size_t n)
{
    const place *best = NULL;
    uint32_t rank = 1;

    for (size_t i = 0; i < n; i++)
        if (lk_bridge_answers(r->task->sample, query, first[i].anchor) &&
            (best == NULL || is_before(&first[i], best)))
            best = &first[i];
    for (size_t i = 0; i < n && best != NULL; i++)
        rank += is_before(&first[i], best);
    return best != NULL && rank <= LK_RANKS_K ? rank : 0;
}

static int query_rerank(void *ctx, size_t i, size_t worker, linkd_error *err)
{
    const reranking *r = ctx;
    const lk_rerank_task *t = r->task;
    place first[LK_RANKED] = {{0}};
    size_t n = 0;

    (void)worker;
    (void)err;
    for (size_t j = 0; j < t->sample->n_anchors; j++)
        if (!lk_bridge_asks(t->sample, i, j))
            n = first_add(first, n, r->n_first,
                          (place){score_of(t, t->found_by, i, j), j});
    for (size_t j = 0; j < n; j++)
        first[j].score = score_of(t, t->ranked_by, i, first[j].anchor);
    r->ranks[i] = rank_of(r, i, first, n);
    return LINKD_OK;
}

size_t lk_rerank_n_first(const linkd_bridge_task *sample)
{
    size_t n =
        linkd_trial_candidates(LK_RANKED, sample->n_anchors, sample->n_records);

    return n < sample->n_anchors ? n : sample->n_anchors;
}

int lk_rerank(const lk_rerank_task *task, uint32_t *ret_ranks, linkd_error *err)
{
    reranking r = {.task = task,
                   .n_first = lk_rerank_n_first(task->sample),
                   .ranks = ret_ranks};

    return lk_pool_run(task->sample->pool, task->sample->n_queries,
                       query_rerank, &r, err);
}
