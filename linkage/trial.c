/* linkage/trial.c — see trial.h.
 *
 *   queries ─┬─ half A ─► bridges A ─► asked with half B ─┬─► all ranks
 *            └─ half B ─► bridges B ─► asked with half A ─┘
 *
 * Weights and the rest are chosen as the best of several, so that what they are
 * chosen by flatters them: a weight of 0 is the old model, and no choice can be
 * worse than it there. The maps have seen no query at all, and each half's are the
 * same, but for the head. A start fits on all queries: what is
 * judged here are two fits with half as many, which choose a little worse. */
#include "linkage/trial.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "linkage/bridge.h"
#include "linkage/replay.h"

const double linkd_trial_shares[LINKD_TRIAL_SHARES] = {0.0,  0.1, 0.25, 0.5,
                                                       0.75, 0.9, 1.0};

/* Some of the queries, and what they choose. They are judged on what is held. */
typedef struct half {
    size_t *places; /* [n]: of all */
    size_t n;
    size_t *answers, *asked; /* [n] */
    float *queries[2];       /* [n, dim]: old, new */
    linkd_model_sample samples[2];
    linkd_bridge_task task;
    lk_held held;
    float *held_rows; /* of the new model */
    linkd_bridge natives[2];
    linkd_bridge to_old, to_new;
} half;

/* ---- halves ------------------------------------------------------------------- */

static void half_clear(half *h)
{
    free(h->places);
    free(h->answers);
    free(h->asked);
    lk_held_clear(&h->held);
    free(h->held_rows);
    for (size_t m = 0; m < 2; m++) {
        free(h->queries[m]);
        linkd_bridge_clear(&h->natives[m]);
    }
    linkd_bridge_clear(&h->to_old);
    linkd_bridge_clear(&h->to_new);
}

/* The half of each query: that of an earlier one with the same answer, or the
 * smaller half. */
static int queries_halve(const linkd_bridge_task *t, half *halves,
                         linkd_error *err)
{
    uint8_t *half_of = calloc(t->n_anchors + 1, sizeof(*half_of)); /* 0: none */
    int rc = half_of == NULL ? lk_fail_nomem(err) : LINKD_OK;

    for (size_t side = 0; side < 2 && rc == LINKD_OK; side++) {
        halves[side].places =
            calloc(t->n_queries + 1, sizeof(*halves[side].places));
        rc = halves[side].places == NULL ? lk_fail_nomem(err) : LINKD_OK;
    }
    for (size_t i = 0; i < t->n_queries && rc == LINKD_OK; i++) {
        size_t group = lk_bridge_group(t, t->answers[i]);
        uint8_t *side = &half_of[group];
        half *h;

        LK_ASSERT(group < t->n_anchors);
        if (*side == 0)
            *side = halves[1].n < halves[0].n ? 2 : 1;
        h = &halves[*side - 1];
        h->places[h->n++] = i;
    }
    free(half_of);
    if (rc == LINKD_OK && (halves[0].n < 2 || halves[1].n < 2))
        rc = lk_fail(err, LINKD_E_ARG,
                     "the queries look for too few records: some choose "
                     "weights and others judge them");
    return rc;
}

static float *rows_pick(const half *h, const linkd_model_sample *sample)
{
    float *rows = lk_alloc_aligned(h->n, sample->dim * sizeof(*rows));

    for (size_t i = 0; rows != NULL && i < h->n; i++)
        memcpy(rows + i * sample->dim,
               sample->queries + h->places[i] * sample->dim,
               sample->dim * sizeof(*rows));
    return rows;
}

/* The sample as if there were only these queries. */
static int half_fill(const linkd_trial_task *task, half *h, linkd_error *err)
{
    const linkd_model_sample *samples[2] = {task->old_sample, task->new_sample};
    const linkd_bridge_task *t = task->sample;
    bool ok;

    h->answers = calloc(h->n + 1, sizeof(*h->answers));
    h->asked = calloc(h->n + 1, sizeof(*h->asked));
    ok = h->answers != NULL && h->asked != NULL;
    for (size_t m = 0; m < 2; m++) {
        h->queries[m] = rows_pick(h, samples[m]);
        h->samples[m] = *samples[m];
        h->samples[m].queries = h->queries[m];
        ok = ok && h->queries[m] != NULL;
    }
    for (size_t i = 0; i < h->n && ok; i++) {
        h->answers[i] = t->answers[h->places[i]];
        h->asked[i] = t->asked != NULL ? t->asked[h->places[i]] : SIZE_MAX;
    }
    h->task = *t;
    h->task.n_queries = h->n;
    h->task.answers = h->answers;
    h->task.no_scales = true;
    h->task.asked = h->asked;
    return ok ? LINKD_OK : lk_fail_nomem(err);
}

static int half_hold(half *h, linkd_error *err)
{
    int rc = lk_held_make(&h->task, &h->held, err);

    if (rc != LINKD_OK)
        return rc;
    h->held_rows = lk_held_rows(&h->held, &h->samples[1]);
    return h->held_rows != NULL ? LINKD_OK : lk_fail_nomem(err);
}

/* Of a poor model's few queries no score may tell the answer: then all of them
 * calibrate it. That is no choice that would flatter, since scores of one model stay
 * in their order. */
static int native_choose(const linkd_trial_task *task, half *h, size_t m,
                         linkd_error *err)
{
    const linkd_model_sample *all =
        m == 0 ? task->old_sample : task->new_sample;
    linkd_bridge_task whole = *task->sample;
    int rc = linkd_bridge_native(&h->task, &h->samples[m], &h->natives[m], err);

    whole.no_scales = true;
    return rc == LINKD_E_DATA
               ? linkd_bridge_native(&whole, all, &h->natives[m], err)
               : rc;
}

static int half_choose(const linkd_trial_task *task, half *h, linkd_error *err)
{
    const linkd_model_sample *older = &h->samples[0];
    const linkd_model_sample *newer = &h->samples[1];
    linkd_bridge_task back;
    int rc = half_fill(task, h, err);

    if (rc == LINKD_OK)
        rc = half_hold(h, err);
    if (rc == LINKD_OK)
        rc = native_choose(task, h, 0, err);
    if (rc == LINKD_OK)
        rc = native_choose(task, h, 1, err);
    if (rc == LINKD_OK)
        rc = linkd_bridge_fit(&h->task, newer, older, &h->to_old, err);
    back = linkd_bridge_task_back(&h->task, older, newer);
    if (rc == LINKD_OK)
        rc = linkd_bridge_fit(&back, older, newer, &h->to_new, err);
    return rc;
}

/* ---- the old model's queries on the new one's vectors ---------------------------- */

/* [n, dim of the new model] each. */
typedef struct returns {
    float *mapped, *fused, *ranked_by;
    uint32_t *ranks; /* [n] */
} returns;

static int returns_fill(const half *asked, const linkd_bridge *bridge,
                        returns *r, linkd_error *err)
{
    const linkd_model_sample *from = &asked->samples[0];
    const linkd_model_sample *to = &asked->samples[1];
    int rc = LINKD_OK;

    for (size_t i = 0; i < asked->n && rc == LINKD_OK; i++) {
        const float *own = to->queries + i * to->dim;
        const float *query = from->queries + i * from->dim;
        float *fused = r->fused + i * to->dim;
        float *ranked_by = r->ranked_by + i * to->dim;
        bool is_strange = false;

        rc = lk_bridge_map(bridge, query, r->mapped + i * to->dim, err);
        if (rc == LINKD_OK)
            rc = lk_bridge_fuse(bridge, own, query, fused, &is_strange, err);
        if (rc == LINKD_OK && bridge->ranking.maps.home != NULL && !is_strange)
            rc = lk_bridge_rank(bridge, own, query, ranked_by, err);
        else if (rc == LINKD_OK)
            memcpy(ranked_by, fused, to->dim * sizeof(*fused));
    }
    return rc;
}

/* MRR@10 of queries that `found_by` finds and `ranked_by` puts in order, by their
 * part of all. */
static int returns_judge(const half *asked, size_t n_all, const float *found_by,
                         const float *ranked_by, uint32_t *ranks,
                         double *ret_mrr_10, linkd_error *err)
{
    const linkd_model_sample held = {asked->samples[1].dim, asked->held_rows,
                                     asked->samples[1].queries};
    const lk_rerank_task task = {&asked->held.task, &held, found_by, ranked_by};
    int rc = lk_rerank(&task, ranks, err);

    if (rc == LINKD_OK)
        *ret_mrr_10 += linkd_compat_metrics_of(ranks, asked->n).mrr_10 *
                       (double)asked->n / (double)n_all;
    return rc;
}

static int back_judge(const half *asked, const linkd_bridge *bridge,
                      size_t n_all, double *back_mrr_10, linkd_error *err)
{
    size_t bytes = asked->samples[1].dim * sizeof(float);
    returns r = {.mapped = lk_alloc_aligned(asked->n, bytes),
                 .fused = lk_alloc_aligned(asked->n, bytes),
                 .ranked_by = lk_alloc_aligned(asked->n, bytes),
                 .ranks = calloc(asked->n + 1, sizeof(*r.ranks))};
    int rc = r.mapped == NULL || r.fused == NULL || r.ranked_by == NULL ||
                     r.ranks == NULL
                 ? lk_fail_nomem(err)
                 : returns_fill(asked, bridge, &r, err);

    if (rc == LINKD_OK)
        rc = returns_judge(asked, n_all, r.mapped, r.mapped, r.ranks,
                           &back_mrr_10[LINKD_WAY_ALIGN], err);
    if (rc == LINKD_OK)
        rc = returns_judge(asked, n_all, r.fused, r.ranked_by, r.ranks,
                           &back_mrr_10[LINKD_WAY_FUSE], err);
    free(r.mapped);
    free(r.fused);
    free(r.ranked_by);
    free(r.ranks);
    return rc;
}

/* ---- all of it ------------------------------------------------------------------- */

static void histogram_sum(linkd_histogram *sum, const linkd_histogram *more)
{
    sum->low = more->low;
    sum->high = more->high;
    for (size_t bin = 0; bin < LINKD_TRIAL_BINS; bin++) {
        sum->matches[bin] += more->matches[bin];
        sum->others[bin] += more->others[bin];
    }
}

/* Puts what one half was answered where it belongs. */
static void trial_join(const half *asked, size_t n_all, const linkd_trial *part,
                       linkd_trial *all)
{
    for (size_t way = 0; way < LINKD_N_TRIAL_SCORES; way++) {
        histogram_sum(&all->scores[way], &part->scores[way]);
        histogram_sum(&all->log_odds[way], &part->log_odds[way]);
    }
    for (size_t s = 0; s < LINKD_TRIAL_SHARES; s++)
        all->curve[s] += part->curve[s] * (double)asked->n / (double)n_all;
    for (size_t i = 0; i < asked->n; i++) {
        for (size_t way = 0; way < LINKD_N_TRIAL_WAYS; way++)
            all->ranks[way][asked->places[i]] = part->ranks[way][i];
        for (size_t m = 0; m < 2; m++) {
            all->firsts[m][asked->places[i]] = part->firsts[m][i];
            all->all_ranks[m][asked->places[i]] = part->all_ranks[m][i];
        }
    }
}

static int half_judge(const linkd_trial_task *task, const half *chosen,
                      const half *asked, linkd_trial *all, linkd_error *err)
{
    const lk_replay_task replay = {
        .sample = &asked->task,
        .held = &asked->held,
        .old_sample = &asked->samples[0],
        .new_sample = &asked->samples[1],
        .old_native = &chosen->natives[0],
        .new_native = &chosen->natives[1],
        .to_old = &chosen->to_old,
        .n_candidates = linkd_trial_candidates(task->n_candidates,
                                               asked->held.task.n_anchors,
                                               task->sample->n_records)};
    size_t n_all = task->sample->n_queries;
    linkd_trial part = {0};
    int rc = lk_replay_run(&replay, &part, err);

    all->n_candidates = replay.n_candidates;
    if (rc == LINKD_OK)
        trial_join(asked, n_all, &part, all);
    linkd_trial_clear(&part);
    if (rc == LINKD_OK)
        rc = back_judge(asked, &chosen->to_new, n_all, all->back_mrr_10, err);
    return rc;
}

int linkd_trial_run(const linkd_trial_task *task, linkd_trial *ret_trial,
                    linkd_error *err)
{
    half halves[2] = {{0}, {0}};
    linkd_trial trial = {0};
    int rc = lk_trial_make(task->sample->n_queries, &trial, err);

    if (rc == LINKD_OK)
        rc = queries_halve(task->sample, halves, err);
    for (size_t side = 0; side < 2 && rc == LINKD_OK; side++)
        rc = half_choose(task, &halves[side], err);
    for (size_t side = 0; side < 2 && rc == LINKD_OK; side++)
        rc = half_judge(task, &halves[1 - side], &halves[side], &trial, err);
    half_clear(&halves[0]);
    half_clear(&halves[1]);
    if (rc == LINKD_OK) {
        trial.area = linkd_compat_backfill_area(linkd_trial_shares, trial.curve,
                                                LINKD_TRIAL_SHARES);
        *ret_trial = trial;
    } else {
        linkd_trial_clear(&trial);
    }
    return rc;
}

int lk_trial_make(size_t n_queries, linkd_trial *ret_trial, linkd_error *err)
{
    bool ok = true;

    for (size_t way = 0; way < LINKD_N_TRIAL_WAYS; way++) {
        ret_trial->ranks[way] =
            calloc(n_queries + 1, sizeof(*ret_trial->ranks[way]));
        ok = ok && ret_trial->ranks[way] != NULL;
    }
    for (size_t m = 0; m < 2; m++) {
        ret_trial->firsts[m] =
            calloc(n_queries + 1, sizeof(*ret_trial->firsts[m]));
        ret_trial->all_ranks[m] =
            calloc(n_queries + 1, sizeof(*ret_trial->all_ranks[m]));
        ok = ok && ret_trial->firsts[m] != NULL &&
             ret_trial->all_ranks[m] != NULL;
    }
    return ok ? LINKD_OK : lk_fail_nomem(err);
}

void linkd_trial_clear(linkd_trial *trial)
{
    for (size_t way = 0; way < LINKD_N_TRIAL_WAYS; way++)
        free(trial->ranks[way]);
    for (size_t m = 0; m < 2; m++) {
        free(trial->firsts[m]);
        free(trial->all_ranks[m]);
    }
    *trial = (linkd_trial){0};
}

size_t linkd_trial_candidates(size_t n_candidates, size_t n_sample,
                              uint64_t n_records)
{
    double share =
        n_records > n_sample ? (double)n_sample / (double)n_records : 1.0;
    size_t n = (size_t)ceil((double)n_candidates * share);

    return n > LK_RANKS_K ? n : LK_RANKS_K;
}
