/* linkage/classify_nearest.c — the nearest examples vote.
 *
 * A vote weighs exp((cosine - 1) / SOFTNESS): an example that is the same text
 * outweighs any number of others that are merely of the same kind, and of equally
 * near ones each counts the same. The confidence is the winner's share. */
#include <math.h>
#include <stdlib.h>

#include "linkage/classify.h"

#define SOFTNESS      0.1 /* a guess: 0.1 nearer is 2.7 times the vote */
#define ROWS_PER_TILE ((size_t)256)

typedef struct voting {
    const lk_labelled *examples;
    const float *queries;
    size_t n_queries;
    size_t k;
    linkd_index *index;
    linkd_hit *hits; /* [n_queries, k] */
    lk_vote *votes;
} voting;

/* A few hits: the labels are looked for among them, not in a list of all. A tie
 * goes to the label of the nearest. */
static lk_vote vote_of(const voting *v, const linkd_hit *hits)
{
    lk_vote vote = {0, 0.0F};
    double best = -1.0;
    double total = 0.0;

    for (size_t i = 0; i < v->k && hits[i].id != LINKD_ID_NONE; i++) {
        uint32_t label = v->examples->labels[hits[i].id];
        double sum = 0.0;

        for (size_t j = 0; j < v->k && hits[j].id != LINKD_ID_NONE; j++)
            if (v->examples->labels[hits[j].id] == label)
                sum += exp(((double)hits[j].score - 1.0) / SOFTNESS);
        total += exp(((double)hits[i].score - 1.0) / SOFTNESS);
        if (sum > best) {
            best = sum;
            vote.label = label;
        }
    }
    vote.confidence = (float)(best / total);
    return vote;
}

static int tile_task(void *ctx, size_t tile, size_t worker, linkd_error *err)
{
    const voting *v = ctx;
    size_t dim = v->examples->dim;
    size_t first = tile * ROWS_PER_TILE;
    size_t n_left = v->n_queries - first;
    size_t n = n_left < ROWS_PER_TILE ? n_left : ROWS_PER_TILE;
    int rc = linkd_index_search(v->index, v->queries + first * dim, n, v->k,
                                v->hits + first * v->k, err);

    (void)worker;
    for (size_t i = first; i < first + n && rc == LINKD_OK; i++)
        v->votes[i] = vote_of(v, v->hits + i * v->k);
    return rc;
}

int lk_classify_nearest(const lk_labelled *examples, size_t k,
                        const float *queries, size_t n_queries, lk_pool *pool,
                        lk_vote *ret_votes, linkd_error *err)
{
    voting v = {.examples = examples,
                .queries = queries,
                .n_queries = n_queries,
                .k = k < examples->n ? k : examples->n,
                .votes = ret_votes};
    int rc = linkd_index_new(examples->dim, &v.index, err);

    if (rc == LINKD_OK)
        rc = linkd_index_add(v.index, examples->vectors, examples->n, err);
    if (rc == LINKD_OK) {
        v.hits = calloc(n_queries * v.k + 1, sizeof(*v.hits));
        rc = v.hits == NULL
                 ? lk_fail_nomem(err)
                 : lk_pool_run(pool,
                               (n_queries + ROWS_PER_TILE - 1) / ROWS_PER_TILE,
                               tile_task, &v, err);
    }
    free(v.hits);
    linkd_index_free(v.index);
    return rc;
}
