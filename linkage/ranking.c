/* linkage/ranking.c — which candidates to look at first, before any decision.
 *
 * Where two tables list the same things, a pair that is much alike says little
 * as long as its rows have other pairs that are as much alike. So it is put
 * forward by its lead, in surprise, over the best rival of each of its rows.
 * Measured 2026-11 without a model, candidates needed for 0.90 of the true
 * pairs: by surprise alone 4,202 (abt-buy) and 2,104 (dblp-acm), by the better
 * rank 1,283 and 2,034, by the lead 1,139 and 2,006.
 *
 * Tables with too few pairs to tell what is surprising go by the score instead.
 * Within one table a row may have any number of equals, which are no rivals:
 * there surprise itself is the order. */
#include <stdlib.h>

#include "linkage/evidence.h"
#include "linkage/rivals.h"

typedef struct place {
    float worth;
    uint32_t candidate;
} place;

static int place_compare(const void *a, const void *b)
{
    const place *x = a;
    const place *y = b;

    if (x->worth != y->worth)
        return x->worth < y->worth ? 1 : -1;
    return (x->candidate > y->candidate) - (x->candidate < y->candidate);
}

/* `places` [n] is scratch. */
static void order_fill(const linkd_evidence *e, const float *surprise,
                       const lk_standing *standings, place *places,
                       linkd_ranking *ranking)
{
    for (size_t i = 0; i < ranking->n; i++) {
        places[i] = (place){e->pairs.within ? surprise[i] : standings[i].lead,
                            (uint32_t)i};
        ranking->ranks[i] = standings[i].rank;
    }
    qsort(places, ranking->n, sizeof(*places), place_compare);
    for (size_t i = 0; i < ranking->n; i++)
        ranking->order[i] = places[i].candidate;
}

static int surprise_find(const linkd_evidence *e, float *ret_surprise,
                         linkd_error *err)
{
    bool is_told = false;
    int rc = lk_surprise(&e->features, &e->random, e->pool, ret_surprise, err);

    for (size_t i = 0; i < e->pairs.n && rc == LINKD_OK; i++)
        is_told = is_told || ret_surprise[i] > 0.0F;
    for (size_t i = 0; i < e->pairs.n && rc == LINKD_OK && !is_told; i++)
        ret_surprise[i] = e->scores[i];
    return rc;
}

static int pairs_rank(const linkd_evidence *e, linkd_ranking *ranking,
                      linkd_error *err)
{
    float *surprise = calloc(e->pairs.n + 1, sizeof(*surprise));
    lk_standing *standings = calloc(e->pairs.n + 1, sizeof(*standings));
    place *places = calloc(e->pairs.n + 1, sizeof(*places));
    int rc = LINKD_OK;

    if (surprise == NULL || standings == NULL || places == NULL)
        rc = lk_fail_nomem(err);
    if (rc == LINKD_OK)
        rc = surprise_find(e, surprise, err);
    if (rc == LINKD_OK)
        rc = lk_rivals_stand(&e->pairs, surprise, e->pool, standings, err);
    if (rc == LINKD_OK)
        order_fill(e, surprise, standings, places, ranking);
    free(places);
    free(standings);
    free(surprise);
    return rc;
}

int linkd_evidence_rank(const linkd_evidence *evidence,
                        linkd_ranking *ret_ranking, linkd_error *err)
{
    size_t n = evidence->pairs.n;
    linkd_ranking ranking = {.n = n,
                             .order = calloc(n + 1, sizeof(*ranking.order)),
                             .ranks = calloc(n + 1, sizeof(*ranking.ranks))};
    int rc =
        ranking.order == NULL || ranking.ranks == NULL
            ? lk_fail_nomem(err)
            : lk_evidence_candidates(evidence, NULL, &ranking.candidates, err);

    if (rc == LINKD_OK)
        rc = pairs_rank(evidence, &ranking, err);
    if (rc == LINKD_OK)
        *ret_ranking = ranking;
    else
        linkd_ranking_clear(&ranking);
    return rc;
}

void linkd_ranking_clear(linkd_ranking *ranking)
{
    free(ranking->ranks);
    free(ranking->order);
    free(ranking->candidates);
    *ranking = (linkd_ranking){0};
}
