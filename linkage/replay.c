/* linkage/replay.c — see replay.h.
 *
 *   for each query   scores with all anchors: old, fused, mapped, new
 *                      ├─► the rank of its answer by each way, among anchors
 *                      │   that no map was fitted on (bridge_held.c), and by
 *                      │   each model alone among all
 *                      ├─► histograms, before and after calibration
 *                      ├─► rank at each share encoded anew, by log-odds, as a
 *                      │   mixed collection is searched (mixed.c): of older
 *                      │   records those that fused queries find first
 *                      └─► cascade: the best by fused and by mapped score have
 *                          the new score
 *
 * Every anchor has a place between 0 and 1, from a hash of its number: at share
 * s those below s are of the new model. So a larger share has all of a smaller
 * one's, as in a backfill.
 *
 * All counts are integers and ranks are kept by query: the same for any number
 * of workers. */
#include "linkage/replay.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "linkage/bridge.h"

/* Beyond these log-odds everything is as good as certain. */
#define LOG_ODDS_MOST 20.0

typedef struct candidate {
    float score;
    uint32_t anchor;
} candidate;

/* One worker's. */
typedef struct desk {
    float *fused;   /* [old dim] */
    float *ranking; /* [old dim]; decides the order of what fused finds */
    float *mapped;  /* [old dim] */
    float *scores[LINKD_N_TRIAL_SCORES];    /* [n_anchors] each */
    double *log_odds[LINKD_N_TRIAL_SCORES]; /* likewise */
    double *mixed;                          /* likewise */
    candidate *candidates[2]; /* likewise: by fused score, by mapped */
    bool *taken;              /* likewise */
    linkd_histogram raw[LINKD_N_TRIAL_SCORES];
    linkd_histogram calibrated[LINKD_N_TRIAL_SCORES];
} desk;

typedef struct replay {
    const lk_replay_task *task;
    size_t n;           /* anchors */
    const size_t *held; /* [n_held]: those that ranks are told among */
    size_t n_held;
    size_t n_first;        /* of the older ones, by fused queries, are found */
    const double *places;  /* [n] */
    uint32_t *curve_ranks; /* [LINKD_TRIAL_SHARES, n_queries] */
    linkd_trial *result;
    desk *desks;
    size_t n_desks;
} replay;

/* ---- one query -------------------------------------------------------------- */

/* The anchor that is query `i` comes after all others. */
static void anchors_score(const replay *t, size_t i, const float *query,
                          const linkd_model_sample *sample, float *ret_scores)
{
    for (size_t j = 0; j < t->n; j++)
        ret_scores[j] =
            lk_bridge_asks(t->task->sample, i, j)
                ? -INFINITY
                : linkd_index_score(query, sample->anchors + j * sample->dim,
                                    sample->dim);
}

static void way_score(const replay *t, size_t i, const float *query,
                      const linkd_model_sample *sample, linkd_trial_way way,
                      desk *d)
{
    float *scores = d->scores[way];
    linkd_standing standing = {.calibrator =
                                   way == LINKD_TRIAL_OLD
                                       ? &t->task->old_native->calibrator
                                       : &t->task->new_native->calibrator};

    anchors_score(t, i, query, sample, scores);
    standing.level = lk_cohort_level_of(t->task->sample, i, scores);
    for (size_t j = 0; j < t->n; j++)
        d->log_odds[way][j] =
            linkd_standing_log_odds(&standing, (double)scores[j]);
}

static void histogram_add(linkd_histogram *h, double value, bool is_match)
{
    double at =
        (value - h->low) / (h->high - h->low) * (double)LINKD_TRIAL_BINS;
    size_t bin = at > 0.0 ? (size_t)at : 0;

    if (bin >= LINKD_TRIAL_BINS)
        bin = LINKD_TRIAL_BINS - 1;
    if (is_match)
        h->matches[bin]++;
    else
        h->others[bin]++;
}

static void histograms_add(const replay *t, size_t query, desk *d)
{
    for (size_t way = 0; way < LINKD_N_TRIAL_SCORES; way++)
        for (size_t j = 0; j < t->n; j++) {
            bool is_match = lk_bridge_answers(t->task->sample, query, j);

            if (lk_bridge_asks(t->task->sample, query, j))
                continue;
            histogram_add(&d->raw[way], (double)d->scores[way][j], is_match);
            histogram_add(&d->calibrated[way], d->log_odds[way][j], is_match);
        }
}

static size_t first_of(const replay *t, const float *scores)
{
    size_t first = t->held[0];

    for (size_t i = 1; i < t->n_held; i++)
        if (scores[t->held[i]] > scores[first])
            first = t->held[i];
    return first;
}

/* Of equal ones the earlier anchor is better. */
static bool is_before(const double *log_odds, size_t a, size_t b)
{
    return log_odds[a] > log_odds[b] || (a < b && log_odds[a] == log_odds[b]);
}

/* Of the query's first answer among all anchors. */
static uint32_t rank_among_all(const replay *t, size_t query,
                               const double *log_odds)
{
    size_t best = t->task->sample->answers[query];
    size_t rank = 1;

    for (size_t j = 0; j < t->n; j++)
        if (is_before(log_odds, j, best) &&
            lk_bridge_answers(t->task->sample, query, j))
            best = j;
    for (size_t j = 0; j < t->n; j++)
        rank += is_before(log_odds, j, best);
    return rank <= LK_RANKS_K ? (uint32_t)rank : 0;
}

/* The same among those that are held out. */
static uint32_t rank_of(const replay *t, size_t query, const double *log_odds)
{
    size_t best = t->task->sample->answers[query];
    size_t rank = 1;

    for (size_t i = 0; i < t->n_held; i++)
        if (is_before(log_odds, t->held[i], best) &&
            lk_bridge_answers(t->task->sample, query, t->held[i]))
            best = t->held[i];
    for (size_t i = 0; i < t->n_held; i++)
        rank += is_before(log_odds, t->held[i], best);
    return rank <= LK_RANKS_K ? (uint32_t)rank : 0;
}

/* `candidates[0]` are in order of fused scores. */
static void share_mix(const replay *t, double share, desk *d)
{
    size_t n_older = 0;

    for (size_t i = 0; i < t->n_held; i++) {
        size_t j = d->candidates[0][i].anchor;
        bool is_new = t->places[j] < share;

        n_older += !is_new;
        if (is_new)
            d->mixed[j] = d->log_odds[LINKD_TRIAL_NEW][j];
        else
            d->mixed[j] = n_older <= t->n_first
                              ? d->log_odds[LINKD_TRIAL_FUSE][j]
                              : -(double)INFINITY;
    }
}

static int candidate_compare(const void *a, const void *b)
{
    const candidate *x = a;
    const candidate *y = b;

    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return (x->anchor > y->anchor) - (x->anchor < y->anchor);
}

/* Gives the first n candidates their scores with a query of the old model, and puts
 * them in order. */
static void candidates_order(const replay *t, size_t i, const float *query,
                             candidate *candidates, size_t n)
{
    const linkd_model_sample *old = t->task->old_sample;

    for (size_t k = 0; k < n; k++) {
        size_t j = candidates[k].anchor;

        candidates[k].score =
            lk_bridge_asks(t->task->sample, i, j)
                ? -INFINITY
                : linkd_index_score(query, old->anchors + j * old->dim,
                                    old->dim);
    }
    qsort(candidates, n, sizeof(*candidates), candidate_compare);
}

/* Held anchors, in order of their scores with fused queries and with mapped ones. */
static void candidates_find(const replay *t, size_t query, desk *d)
{
    for (size_t list = 0; list < 2; list++) {
        for (size_t i = 0; i < t->n_held; i++)
            d->candidates[list][i].anchor = (uint32_t)t->held[i];
        candidates_order(t, query, list == 0 ? d->fused : d->mapped,
                         d->candidates[list], t->n_held);
    }
}

/* Of the first answer among the candidates by mapped score. */
static uint32_t align_rank(const replay *t, size_t query, const desk *d)
{
    for (uint32_t i = 0; i < LK_RANKS_K && i < t->n_held; i++)
        if (lk_bridge_answers(t->task->sample, query,
                              d->candidates[1][i].anchor))
            return i + 1;
    return 0;
}

/* As linkd_mixed_candidates() finds them, in turn. Puts the first fused ones in the
 * order of the ranking. */
static uint32_t cascade_rank(const replay *t, size_t query, desk *d)
{
    size_t n_taken = 0;

    share_mix(t, 0.0, d);
    candidates_order(t, query, d->ranking, d->candidates[0], t->n_first);
    memset(d->taken, 0, t->n * sizeof(*d->taken));
    for (size_t i = 0; i < 2 * t->n_held && n_taken < t->task->n_candidates;
         i++) {
        size_t anchor = d->candidates[i % 2][i / 2].anchor;

        n_taken += !d->taken[anchor];
        d->taken[anchor] = true;
        d->mixed[anchor] = d->log_odds[LINKD_TRIAL_NEW][anchor];
    }
    return rank_of(t, query, d->mixed);
}

/* Where the answer is by each way, and at each share. The last changes the order of
 * the candidates. */
static void answer_rank(const replay *t, size_t i, desk *d)
{
    uint32_t **ranks = t->result->ranks;

    candidates_find(t, i, d);
    ranks[LINKD_TRIAL_OLD][i] = rank_of(t, i, d->log_odds[LINKD_TRIAL_OLD]);
    ranks[LINKD_TRIAL_NEW][i] = rank_of(t, i, d->log_odds[LINKD_TRIAL_NEW]);
    ranks[LINKD_TRIAL_ALIGN][i] = align_rank(t, i, d);
    for (size_t s = 0; s < LINKD_TRIAL_SHARES; s++) {
        share_mix(t, linkd_trial_shares[s], d);
        t->curve_ranks[s * t->task->sample->n_queries + i] =
            rank_of(t, i, d->mixed);
    }
    ranks[LINKD_TRIAL_FUSE][i] = t->curve_ranks[i]; /* at share 0 */
    ranks[LINKD_TRIAL_CASCADE][i] = cascade_rank(t, i, d);
}

static int query_try(void *ctx, size_t i, size_t worker, linkd_error *err)
{
    replay *t = ctx;
    desk *d = &t->desks[worker];
    const lk_replay_task *task = t->task;
    const linkd_model_sample *old = task->old_sample;
    const float *old_query = old->queries + i * old->dim;
    const float *new_query =
        task->new_sample->queries + i * task->new_sample->dim;
    bool is_strange = false;
    int rc = lk_bridge_fuse(task->to_old, old_query, new_query, d->fused,
                            &is_strange, err);

    if (rc == LINKD_OK && task->to_old->ranking.maps.home != NULL &&
        !is_strange)
        rc =
            lk_bridge_rank(task->to_old, old_query, new_query, d->ranking, err);
    else if (rc == LINKD_OK)
        memcpy(d->ranking, d->fused, old->dim * sizeof(*d->ranking));
    if (rc == LINKD_OK)
        rc = lk_bridge_map(task->to_old, new_query, d->mapped, err);
    if (rc != LINKD_OK)
        return rc;
    way_score(t, i, old_query, old, LINKD_TRIAL_OLD, d);
    way_score(t, i, d->ranking, old, LINKD_TRIAL_FUSE, d);
    anchors_score(t, i, d->fused, old, d->scores[LINKD_TRIAL_FUSE]);
    way_score(t, i, new_query, task->new_sample, LINKD_TRIAL_NEW, d);
    histograms_add(t, i, d);
    t->result->firsts[0][i] = first_of(t, d->scores[LINKD_TRIAL_OLD]);
    t->result->firsts[1][i] = first_of(t, d->scores[LINKD_TRIAL_NEW]);
    t->result->all_ranks[0][i] =
        rank_among_all(t, i, d->log_odds[LINKD_TRIAL_OLD]);
    t->result->all_ranks[1][i] =
        rank_among_all(t, i, d->log_odds[LINKD_TRIAL_NEW]);
    answer_rank(t, i, d);
    return LINKD_OK;
}

/* ---- all queries --------------------------------------------------------------- */

static void histograms_begin(linkd_histogram *raw, linkd_histogram *calibrated)
{
    for (size_t way = 0; way < LINKD_N_TRIAL_SCORES; way++) {
        raw[way] = (linkd_histogram){.low = -1.0, .high = 1.0};
        calibrated[way] =
            (linkd_histogram){.low = -LOG_ODDS_MOST, .high = LOG_ODDS_MOST};
    }
}

static void histogram_sum(linkd_histogram *sum, const linkd_histogram *more)
{
    for (size_t bin = 0; bin < LINKD_TRIAL_BINS; bin++) {
        sum->matches[bin] += more->matches[bin];
        sum->others[bin] += more->others[bin];
    }
}

static void desk_clear(desk *d)
{
    free(d->fused);
    free(d->ranking);
    free(d->mapped);
    for (size_t way = 0; way < LINKD_N_TRIAL_SCORES; way++) {
        free(d->scores[way]);
        free(d->log_odds[way]);
    }
    free(d->mixed);
    free(d->candidates[0]);
    free(d->candidates[1]);
    free(d->taken);
}

static int desk_make(const replay *t, desk *d, linkd_error *err)
{
    bool ok;

    d->fused = lk_alloc_aligned(t->task->old_sample->dim, sizeof(*d->fused));
    d->ranking =
        lk_alloc_aligned(t->task->old_sample->dim, sizeof(*d->ranking));
    d->mixed = lk_alloc_aligned(t->n, sizeof(*d->mixed));
    d->mapped = lk_alloc_aligned(t->task->old_sample->dim, sizeof(*d->mapped));
    for (size_t i = 0; i < 2; i++)
        d->candidates[i] = lk_alloc_aligned(t->n, sizeof(**d->candidates));
    d->taken = lk_alloc_aligned(t->n, sizeof(*d->taken));
    ok = d->fused != NULL && d->ranking != NULL && d->mapped != NULL &&
         d->mixed != NULL && d->candidates[0] != NULL &&
         d->candidates[1] != NULL && d->taken != NULL;
    for (size_t way = 0; way < LINKD_N_TRIAL_SCORES; way++) {
        d->scores[way] = lk_alloc_aligned(t->n, sizeof(**d->scores));
        d->log_odds[way] = lk_alloc_aligned(t->n, sizeof(**d->log_odds));
        ok = ok && d->scores[way] != NULL && d->log_odds[way] != NULL;
    }
    histograms_begin(d->raw, d->calibrated);
    return ok ? LINKD_OK : lk_fail_nomem(err);
}

static int desks_make(replay *t, size_t n, linkd_error *err)
{
    int rc = LINKD_OK;

    t->desks = calloc(n, sizeof(*t->desks));
    if (t->desks == NULL)
        return lk_fail_nomem(err);
    t->n_desks = n;
    for (size_t i = 0; i < n && rc == LINKD_OK; i++)
        rc = desk_make(t, &t->desks[i], err);
    return rc;
}

static double *places_make(size_t n)
{
    double *places = lk_alloc_aligned(n, sizeof(*places));

    for (size_t i = 0; places != NULL && i < n; i++) {
        uint64_t number = i;

        places[i] =
            (double)(XXH3_64bits(&number, sizeof(number)) >> 11) * 0x1p-53;
    }
    return places;
}

static void trial_sum(replay *t)
{
    linkd_trial *r = t->result;
    size_t n = t->task->sample->n_queries;

    histograms_begin(r->scores, r->log_odds);
    for (size_t i = 0; i < t->n_desks; i++)
        for (size_t way = 0; way < LINKD_N_TRIAL_SCORES; way++) {
            histogram_sum(&r->scores[way], &t->desks[i].raw[way]);
            histogram_sum(&r->log_odds[way], &t->desks[i].calibrated[way]);
        }
    for (size_t s = 0; s < LINKD_TRIAL_SHARES; s++)
        r->curve[s] = linkd_compat_metrics_of(t->curve_ranks + s * n, n).mrr_10;
    r->area = linkd_compat_backfill_area(linkd_trial_shares, r->curve,
                                         LINKD_TRIAL_SHARES);
}

int lk_replay_run(const lk_replay_task *task, linkd_trial *ret_trial,
                  linkd_error *err)
{
    linkd_trial result = {0};
    const linkd_bridge_task *sample = task->sample;
    double *places = places_make(sample->n_anchors);
    replay t = {.task = task,
                .n = sample->n_anchors,
                .held = task->held->places,
                .n_held = task->held->task.n_anchors,
                .n_first = lk_rerank_n_first(&task->held->task),
                .places = places,
                .result = &result};
    int rc = lk_trial_make(sample->n_queries, &result, err);

    t.curve_ranks =
        calloc(sample->n_queries + 1, LINKD_TRIAL_SHARES * sizeof(uint32_t));
    if (rc == LINKD_OK && (places == NULL || t.curve_ranks == NULL))
        rc = lk_fail_nomem(err);
    if (rc == LINKD_OK)
        rc = desks_make(&t, lk_pool_n_workers(sample->pool), err);
    if (rc == LINKD_OK)
        rc = lk_pool_run(sample->pool, sample->n_queries, query_try, &t, err);
    if (rc == LINKD_OK)
        trial_sum(&t);
    for (size_t i = 0; i < t.n_desks; i++)
        desk_clear(&t.desks[i]);
    free(t.desks);
    free(t.curve_ranks);
    free(places);
    if (rc == LINKD_OK)
        *ret_trial = result;
    else
        linkd_trial_clear(&result);
    return rc;
}
