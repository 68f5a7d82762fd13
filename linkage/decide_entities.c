/* linkage/decide_entities.c — the entities of one table, once every candidate
 * has its log-odds: the last step of decide_dedup.c.
 *
 *   average      two parts merge while the mean log-odds of all pairs between
 *                them, compared or not, is above the cut: one weak pair, or a
 *                few, cannot outvote the many that say no
 *   complete     every two rows of an entity are a candidate above the cut
 *   components   a chain of pairs above the cut is enough
 *   centre       pairs above the cut, best first, gather rows around centres
 *
 * A pair that was never compared counts as in cluster_average.c there, and as no
 * pair at all in the others.
 *
 * The mean of a large entity includes pairs that were never compared, and rows
 * that say little: it may well be below even odds while most of its pairs are
 * right. So the cut is looked for as it is for links: where the expected F1 is
 * best. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "linkage/decision.h"

/* Below even odds; much further down, the pairs that were never compared, of
 * which nothing is expected here, decide. */
static const double cuts[] = {0.4, 0.3, 0.2};

/* Rows of any two candidates, for complete linkage. */
typedef struct scores {
    const lk_pairset *pairs;
    const float *log_odds;
} scores;

static float rows_score(const void *ctx, size_t a, size_t b)
{
    const scores *s = ctx;
    size_t pair = lk_pairset_find(s->pairs, a < b ? a : b, a < b ? b : a);

    return pair == SIZE_MAX ? -INFINITY : s->log_odds[pair];
}

static int average_find(const scores *s, float stop,
                        const lk_cluster_limits *limits, size_t *ret_entities,
                        linkd_error *err)
{
    linkd_edges edges = {.a = s->pairs->a,
                         .b = s->pairs->b,
                         .log_odds = s->log_odds,
                         .n = s->pairs->n,
                         .n_records = s->pairs->n_records};
    lk_average_options options = LK_AVERAGE_OPTIONS_INIT;
    size_t n_entities;

    options.stop = stop > options.missing ? stop : options.missing;
    options.limits = *limits;
    return lk_cluster_average(&edges, &options, ret_entities, &n_entities, err);
}

static int threshold_find(const scores *s, float stop,
                          const lk_entities_rule *rule, size_t *ret_entities,
                          linkd_error *err)
{
    const lk_pairset *pairs = s->pairs;
    linkd_pair *links = calloc(pairs->n + 1, sizeof(*links));
    lk_cluster_input input = {.candidates = links,
                              .n_rows = pairs->n_records,
                              .threshold = stop,
                              .score = rows_score,
                              .ctx = s,
                              .limits = rule->limits};
    size_t n_entities;
    int rc;

    if (links == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < pairs->n; i++)
        if (s->log_odds[i] >= stop)
            links[input.n++] = (linkd_pair){.left = pairs->a[i],
                                            .right = pairs->b[i],
                                            .score = s->log_odds[i]};
    rc = lk_cluster(&input, rule->method, ret_entities, &n_entities, err);
    free(links);
    return rc;
}

int lk_decide_entities(const lk_pairset *pairs, const float *log_odds,
                       float stop, const lk_entities_rule *rule,
                       size_t *ret_entities, linkd_error *err)
{
    const lk_cluster_limits none = {0};
    scores s = {pairs, log_odds};

    if (rule != NULL && rule->method != LINKD_CLUSTER_AVERAGE)
        return threshold_find(&s, stop, rule, ret_entities, err);
    return average_find(&s, stop, rule != NULL ? &rule->limits : &none,
                        ret_entities, err);
}

float lk_decide_entities_stop(double threshold)
{
    double p = fmin(fmax(threshold, 1e-6), 1.0 - 1e-6);

    return (float)log(p / (1.0 - p));
}

int lk_decide_entities_cut(const lk_pairset *pairs,
                           const lk_entities_rule *rule, double n_unseen,
                           lk_outcome *outcome, size_t *entities,
                           linkd_error *err)
{
    size_t n_bytes = pairs->n_records * sizeof(*entities);
    size_t *others = malloc(n_bytes + 1);
    int rc = others != NULL ? LINKD_OK : lk_fail_nomem(err);

    for (size_t i = 0; i < sizeof(cuts) / sizeof(*cuts) && rc == LINKD_OK;
         i++) {
        linkd_verdict verdict = outcome->verdict;

        if (cuts[i] >= outcome->threshold)
            continue;
        rc = lk_decide_entities(pairs, outcome->log_odds,
                                lk_decide_entities_stop(cuts[i]), rule, others,
                                err);
        if (rc != LINKD_OK)
            break;
        lk_expected_of_entities(pairs, outcome->posteriors, others, n_unseen,
                                &verdict);
        if (verdict.f1 <= outcome->verdict.f1)
            continue;
        outcome->verdict = verdict;
        outcome->threshold = cuts[i];
        memcpy(entities, others, n_bytes);
    }
    free(others);
    return rc;
}
