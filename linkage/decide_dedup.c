/* linkage/decide_dedup.c — which rows of one table are one thing, told by the
 * table itself.
 *
 *   surprise ─► mixture ─► ┌ fit a model ─► log-odds ┐ x ROUNDS
 *              (fs_em.h)   └ same entity? ◄─ average ┘
 *                                            linkage
 *
 * A mixture over the fields gives the first answers, a discriminative model
 * learns from them, its log-odds are clustered by average linkage, and "in one
 * entity" is the next round's answer: so a pair is judged by its neighbours,
 * too.
 *
 * A mixture always finds two kinds of pairs. Where a table has few duplicates
 * they are "similar" and "not": then pairs form chains that do not close, the
 * friends of a friend being strangers. If so, records are given at most one
 * partner each, and compete as links do. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "linkage/decision.h"
#include "linkage/fs_em.h"

#define ROUNDS 3

/* The mixture is believed if few records have partners, or if enough of the
 * pairs of partners are pairs themselves. Measured with the rest. */
#define DEGREE_MAX  1.2
#define CLOSURE_MIN 0.35

/* More of what was found explained by chance, and it is similar strangers: 0.97 to
 * 1 of the pairs in tables of few or no duplicates. Between the two it depends:
 * 0.8 in a table of near-variants as in one of authors under several names. */
#define CHANCE_SURE 0.9
#define CHANCE_MAX  0.5

typedef struct deduper {
    const lk_decision_input *input;
    const lk_pairset *pairs;
    size_t n;
    bool *seeds;
    uint8_t *answers;
    float *log_odds;  /* of the current round; then those that decide */
    float *sums;      /* over the rounds */
    float *chances;   /* see lk_chance() */
    bool is_reseeded; /* chance explained the mixture */
    size_t *entities;
    lk_logistic model;
    lk_matching matching;
    lk_rounds rounds;
} deduper;

/* ---- start -------------------------------------------------------------- */

/* Seeds are each other's most surprising pair. */
static int seeds_sow(deduper *d, linkd_error *err)
{
    bool *best_b = calloc(d->n + 1, sizeof(*best_b));
    int rc = best_b == NULL
                 ? lk_fail_nomem(err)
                 : lk_most_surprising(d->input, d->seeds, best_b, err);

    for (size_t i = 0; i < d->n && rc == LINKD_OK; i++)
        d->seeds[i] = d->seeds[i] && best_b[i];
    free(best_b);
    return rc;
}

static int deduper_init(deduper *d, const lk_decision_input *input,
                        size_t *entities, linkd_error *err)
{
    int rc;

    *d = (deduper){.input = input,
                   .pairs = input->pairs,
                   .n = input->pairs->n,
                   .entities = entities};
    /* the mixture and what remains behind the fits count as one each */
    rc = lk_rounds_begin(input->progress, 1 + ROUNDS + 1, &d->rounds, err);
    if (rc != LINKD_OK)
        return rc;
    d->seeds = calloc(d->n + 1, sizeof(*d->seeds));
    d->answers = calloc(d->n + 1, sizeof(*d->answers));
    d->log_odds = calloc(d->n + 1, sizeof(*d->log_odds));
    d->sums = calloc(d->n + 1, sizeof(*d->sums));
    d->chances = calloc(d->n + 1, sizeof(*d->chances));
    if (d->seeds == NULL || d->answers == NULL || d->log_odds == NULL ||
        d->sums == NULL || d->chances == NULL)
        return lk_fail_nomem(err);
    return seeds_sow(d, err);
}

static void deduper_clear(deduper *d)
{
    lk_matching_clear(&d->matching);
    lk_logistic_clear(&d->model);
    free(d->chances);
    free(d->sums);
    free(d->log_odds);
    free(d->answers);
    free(d->seeds);
}

/* Too few to learn from, or nothing to tell them from. */
static bool is_hopeless(const deduper *d)
{
    return !lk_answers_teach(d->answers, d->n);
}

static size_t seeds_count(const deduper *d)
{
    size_t n = 0;

    for (size_t i = 0; i < d->n; i++)
        n += d->seeds[i];
    return n;
}

/* ---- does the mixture mean "same"? -------------------------------------- */

/* Marks the pairs of one record's accepted partners that are accepted, too. */
static size_t triangles_count(const deduper *d)
{
    const lk_pairset *p = d->pairs;
    size_t n = 0;
    size_t begin = 0;

    while (begin < d->n) {
        size_t end = begin;

        while (end < d->n && p->a[end] == p->a[begin])
            end++;
        for (size_t i = begin; i < end; i++)
            for (size_t j = i + 1; d->log_odds[i] > 0.0F && j < end; j++) {
                size_t third = d->log_odds[j] > 0.0F
                                   ? lk_pairset_find(p, p->b[i], p->b[j])
                                   : SIZE_MAX;

                n += third != SIZE_MAX && d->log_odds[third] > 0.0F;
            }
        begin = end;
    }
    return n;
}

static int mixture_is_chained(const deduper *d, bool *ret_chained,
                              double *ret_closure, linkd_error *err)
{
    size_t n_records = d->pairs->n_records;
    size_t *degrees = calloc(n_records + 1, sizeof(*degrees));
    double wedges = 0.0;
    double sum = 0.0;
    double n = 0.0;

    if (degrees == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < d->n; i++) {
        degrees[d->pairs->a[i]] += d->log_odds[i] > 0.0F;
        degrees[d->pairs->b[i]] += d->log_odds[i] > 0.0F;
    }
    for (size_t r = 0; r < n_records; r++) {
        double degree = (double)degrees[r];

        wedges += degree * (degree - 1.0) / 2.0;
        sum += degree;
        n += degrees[r] > 0;
    }
    free(degrees);
    *ret_closure =
        wedges > 0.0 ? 3.0 * (double)triangles_count(d) / wedges : 1.0;
    *ret_chained =
        n > 0.0 && sum / n > DEGREE_MAX && *ret_closure < CLOSURE_MIN;
    return LINKD_OK;
}

/* ---- is it more than chance? --------------------------------------------- */

static int chance_find(deduper *d, double *ret_share, linkd_error *err)
{
    double n = (double)d->pairs->n_records;
    int rc = lk_chance(d->input->features, d->input->random,
                       n * (n - 1.0) / 2.0, d->chances, err);

    *ret_share = rc == LINKD_OK
                     ? lk_chance_mean(d->chances, d->log_odds, 0.0F, d->n)
                     : 0.0;
    return rc;
}

/* Starts anew from the pairs that chance does not explain. */
static void reseed(deduper *d)
{
    lk_logistic_clear(&d->model);
    for (size_t i = 0; i < d->n; i++) {
        /* neither: it teaches nothing at first */
        d->log_odds[i] = d->chances[i] < LK_CHANCE_SURE ? 3.0F
                         : d->chances[i] < 1.0F         ? 0.0F
                                                        : -3.0F;
        d->sums[i] = 0.0F;
    }
}

/* ---- any number of records an entity ------------------------------------ */

static double threshold_of(const deduper *d)
{
    return d->input->threshold >= 0.0 ? d->input->threshold
                                      : LK_ENTITIES_CUT_FIRST;
}

static float stop_of(const deduper *d)
{
    return lk_decide_entities_stop(threshold_of(d));
}

static int entities_cluster(deduper *d, float stop, linkd_error *err)
{
    return lk_decide_entities(d->pairs, d->log_odds, stop, NULL, d->entities,
                              err);
}

static int round_of_clusters(deduper *d, size_t round, linkd_error *err)
{
    bool is_last = round + 1 == ROUNDS;
    int rc;

    lk_logistic_clear(&d->model);
    rc = lk_cross_fit(d->input->features, d->pairs, d->answers, d->input->pool,
                      d->log_odds, is_last ? &d->model : NULL, err);
    if (rc != LINKD_OK)
        return rc;
    for (size_t i = 0; i < d->n; i++) {
        d->sums[i] += d->log_odds[i];
        if (is_last)
            d->log_odds[i] = d->sums[i] / (float)ROUNDS;
    }
    rc = entities_cluster(d, is_last ? stop_of(d) : 0.0F, err);
    for (size_t i = 0; i < d->n && rc == LINKD_OK; i++)
        d->answers[i] =
            d->entities[d->pairs->a[i]] == d->entities[d->pairs->b[i]];
    return rc;
}

static int clusters_fit(deduper *d, linkd_error *err)
{
    int rc = LINKD_OK;

    for (size_t i = 0; i < d->n; i++)
        d->answers[i] = d->log_odds[i] > 0.0F   ? 1
                        : d->log_odds[i] < 0.0F ? 0
                                                : LK_UNANSWERED;
    if (is_hopeless(d))
        return entities_cluster(d, stop_of(d), err);
    for (size_t round = 0; round < ROUNDS && rc == LINKD_OK; round++) {
        if (!is_hopeless(d))
            rc = round_of_clusters(d, round, err);
        if (rc == LINKD_OK)
            rc = lk_rounds_next(&d->rounds, err);
    }
    return rc;
}

/* ---- at most two records an entity -------------------------------------- */

static int round_of_pairs(deduper *d, size_t round, linkd_error *err)
{
    bool is_last = round + 1 == ROUNDS;
    double n_seeds = (double)lk_answers_count(d->answers, d->n, 1);
    float prior = (float)log(n_seeds / ((double)d->n - n_seeds));
    float *ratios;
    int rc;

    lk_logistic_clear(&d->model);
    lk_matching_clear(&d->matching);
    rc = lk_cross_fit(d->input->features, d->pairs, d->answers, d->input->pool,
                      d->log_odds, is_last ? &d->model : NULL, err);
    if (rc != LINKD_OK)
        return rc;
    ratios = calloc(d->n + 1, sizeof(*ratios));
    if (ratios == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < d->n; i++) {
        d->sums[i] += d->log_odds[i] - prior;
        ratios[i] =
            is_last ? d->sums[i] / (float)ROUNDS : d->log_odds[i] - prior;
    }
    rc = lk_matching_infer(d->pairs, ratios, LK_ONE_TO_ONE, n_seeds,
                           d->input->pool, &d->matching, err);
    for (size_t i = 0; i < d->n && rc == LINKD_OK; i++) {
        float p = d->matching.posteriors[i];

        d->answers[i] = p > LK_SURE_MIN    ? 1
                        : p > LK_DOUBT_MIN ? LK_UNANSWERED
                                           : 0;
    }
    free(ratios);
    return rc;
}

static int pairs_fit(deduper *d, linkd_error *err)
{
    int rc = LINKD_OK;

    for (size_t i = 0; i < d->n; i++)
        d->answers[i] = d->seeds[i];
    for (size_t round = 0; round < ROUNDS && rc == LINKD_OK; round++) {
        if (!is_hopeless(d))
            rc = round_of_pairs(d, round, err);
        if (rc == LINKD_OK)
            rc = lk_rounds_next(&d->rounds, err);
    }
    return rc;
}

/* Log-odds of the posteriors, so that clustering at 0 accepts p > 1/2. */
static void posteriors_to_log_odds(deduper *d)
{
    for (size_t i = 0; i < d->n; i++) {
        double p = d->matching.posteriors != NULL
                       ? (double)d->matching.posteriors[i]
                       : 0.0;

        p = fmin(fmax(p, 1e-7), 1.0 - 1e-7);
        d->log_odds[i] = (float)log(p / (1.0 - p));
    }
}

/* ---- all ---------------------------------------------------------------- */

static float *posteriors_of(const deduper *d)
{
    float *posteriors = calloc(d->n + 1, sizeof(*posteriors));

    for (size_t i = 0; posteriors != NULL && i < d->n; i++)
        posteriors[i] = (float)(1.0 / (1.0 + exp(-(double)d->log_odds[i])));
    return posteriors;
}

static int outcome_fill(deduper *d, lk_outcome *outcome, linkd_error *err)
{
    linkd_verdict *verdict = &outcome->verdict;
    lk_unseen unseen = {0};
    int rc;

    outcome->posteriors = posteriors_of(d);
    if (outcome->posteriors == NULL)
        return lk_fail_nomem(err);
    rc = lk_unseen_count(d->pairs, d->input->features, outcome->posteriors,
                         &unseen, err);
    if (rc != LINKD_OK)
        return rc;
    lk_expected_of_entities(d->pairs, outcome->posteriors, d->entities, 0.0,
                            verdict);
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): the outcome owns posteriors */
    lk_doubt_consider(verdict, unseen.share_compared);
    lk_expected_of_entities(d->pairs, outcome->posteriors, d->entities,
                            unseen.n_matches, verdict);
    outcome->log_odds = d->log_odds;
    d->log_odds = NULL;
    outcome->model.logistic = d->model;
    d->model = (lk_logistic){0};
    outcome->threshold = threshold_of(d);
    if (d->input->threshold >= 0.0 || !verdict->supported)
        return LINKD_OK;
    return lk_decide_entities_cut(d->pairs, d->input->entities,
                                  unseen.n_matches, outcome, d->entities, err);
}

static void mode_explain(const deduper *d, bool chained, double closure,
                         linkd_verdict *verdict)
{
    verdict->assign =
        chained ? LINKD_ASSIGN_ONE_TO_ONE : LINKD_ASSIGN_MANY_TO_MANY;
    if (d->is_reseeded)
        (void)snprintf(verdict->why, sizeof(verdict->why),
                       "any number of rows an entity; what chance explains was "
                       "left out");
    else
        (void)snprintf(verdict->why, sizeof(verdict->why),
                       "%s, since %.0f %% of the partners of one row are alike "
                       "themselves",
                       chained ? "at most two rows an entity"
                               : "any number of rows an entity",
                       100.0 * closure);
}

static int entities_find(deduper *d, linkd_verdict *verdict, linkd_error *err)
{
    bool chained = false;
    double closure = 1.0;
    int rc = LINKD_OK;

    if (d->is_reseeded)
        /* too few to tell chains by */
        reseed(d);
    else
        rc = mixture_is_chained(d, &chained, &closure, err);
    if (rc != LINKD_OK)
        return rc;
    mode_explain(d, chained, closure, verdict);
    if (!chained)
        return clusters_fit(d, err);
    rc = pairs_fit(d, err);
    if (rc != LINKD_OK)
        return rc;
    posteriors_to_log_odds(d);
    return entities_cluster(d, stop_of(d), err);
}

/* Nothing speaks against what was found but chance. */
static int is_sharp(const deduper *d, bool *ret_sharp, linkd_error *err)
{
    linkd_verdict verdict = {0};
    float *posteriors = posteriors_of(d);

    if (posteriors == NULL)
        return lk_fail_nomem(err);
    lk_expected_of_entities(d->pairs, posteriors, d->entities, 0.0, &verdict);
    lk_doubt_consider(&verdict, 1.0);
    *ret_sharp = verdict.supported;
    free(posteriors);
    return LINKD_OK;
}

static int duplicates_find(deduper *d, linkd_verdict *verdict, linkd_error *err)
{
    double share = 0.0;
    bool sharp = false;
    int rc;

    if (seeds_count(d) < LK_SEEDS_MIN) {
        verdict->assign = LINKD_ASSIGN_MANY_TO_MANY;
        lk_doubt_too_few(verdict);
        lk_fallback_log_odds(d->input->features, d->log_odds);
        return entities_cluster(d, stop_of(d), err);
    }
    rc = lk_fs_em(d->input->features, d->seeds, d->input->pool, d->log_odds,
                  err);
    if (rc == LINKD_OK)
        rc = chance_find(d, &share, err);
    if (rc == LINKD_OK)
        rc = lk_rounds_next(&d->rounds, err);
    d->is_reseeded = share > CHANCE_SURE;
    if (rc == LINKD_OK)
        rc = entities_find(d, verdict, err);
    if (rc == LINKD_OK && share > CHANCE_MAX && share <= CHANCE_SURE)
        rc = is_sharp(d, &sharp, err);
    if (rc != LINKD_OK || !sharp)
        return rc;
    /* a clear line, but between families, not between things */
    d->is_reseeded = true;
    d->rounds.total = d->rounds.done + ROUNDS + 1;
    return entities_find(d, verdict, err);
}

int lk_decide_dedup(const lk_decision_input *input, lk_outcome *ret_outcome,
                    size_t *ret_entities, linkd_error *err)
{
    lk_outcome outcome = {0};
    deduper d;
    int rc = deduper_init(&d, input, ret_entities, err);

    if (rc == LINKD_OK)
        rc = duplicates_find(&d, &outcome.verdict, err);
    if (rc == LINKD_OK && input->entities != NULL)
        rc = lk_decide_entities(d.pairs, d.log_odds, stop_of(&d),
                                input->entities, ret_entities, err);
    if (rc == LINKD_OK)
        rc = outcome_fill(&d, &outcome, err);
    if (rc == LINKD_OK) {
        d.rounds.done = d.rounds.total - 1; /* some may not have been needed */
        rc = lk_rounds_next(&d.rounds, err);
    }
    deduper_clear(&d);
    if (rc == LINKD_OK)
        *ret_outcome = outcome;
    else
        lk_outcome_clear(&outcome);
    return rc;
}
