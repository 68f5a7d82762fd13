/* daemon/upgrade_verdict.c — what a change of the model is worth, as JSON.
 *
 * The same queries are asked in five ways, and MRR@10 is compared:
 *
 *   old      the model so far, on its own vectors
 *   align    the new model's queries, mapped to the old vectors
 *   fuse     those mixed with the old model's
 *   cascade  the first of fuse and of align encoded anew, and scored by the new
 *            model
 *   new      the new model on vectors of its own
 *
 * What is chosen by queries (head, weight, ranking, calibrators) is judged by others,
 * among records that no map was fitted on (linkage/trial.h). Whether the new model is
 * the better one is told among all records of the sample: that takes no map.
 *
 * The sample stands for the collection: it is smaller, so all figures are higher
 * than in the collection, and a cascade takes as large a share of it as it would
 * of the collection. */
#include "daemon/upgrade.h"

#include <math.h>
#include <string.h>

#include "daemon/cascade.h"

#define SEED UINT64_C(1)
/* Of the gain, from which on fused queries alone are recommended, and a cascade.
 * Guesses: below the latter there is more to get by encoding all records. */
#define FUSE_GAIN    0.4
#define CASCADE_GAIN 0.8
/* Queries that are shown as examples, and bytes of a text. */
#define EXAMPLES_MAX   ((size_t)5)
#define TEXT_MAX_BYTES ((size_t)200)

static const linkd_trial_way ways[] = {LINKD_TRIAL_OLD, LINKD_TRIAL_ALIGN,
                                       LINKD_TRIAL_FUSE, LINKD_TRIAL_CASCADE,
                                       LINKD_TRIAL_NEW};
static const char *const way_words[LINKD_N_TRIAL_WAYS] = {
    [LINKD_TRIAL_OLD] = "old",   [LINKD_TRIAL_ALIGN] = "align",
    [LINKD_TRIAL_FUSE] = "fuse", [LINKD_TRIAL_CASCADE] = "cascade",
    [LINKD_TRIAL_NEW] = "new",
};

typedef struct judged {
    const lk_upgrade_sample *sample;
    const lk_upgrade_fit *fit;
    linkd_trial trial;
    linkd_interval gains[LINKD_N_TRIAL_WAYS]; /* share of `difference` */
    linkd_interval difference;                /* of new, to old */
} judged;

/* ---- judging ---------------------------------------------------------------- */

static int trial_run(const lk_job_run *run, judged *j, linkd_error *err)
{
    const lk_upgrade_sample *s = j->sample;
    lk_pool *pool = NULL;
    linkd_bridge_task sample;
    linkd_trial_task task;
    int rc = lk_pool_new(run->service->config->n_encode_threads, &pool, err);

    sample = lk_upgrade_task_of(run, s, pool);
    task = (linkd_trial_task){.sample = &sample,
                              .old_sample = &s->samples[lk_upgrade_serving(s)],
                              .new_sample = &s->sample,
                              .n_candidates = LK_CASCADE};
    if (rc == LINKD_OK)
        rc = lk_progress_report(run->progress, "judge", 0, 1, err);
    if (rc == LINKD_OK)
        rc = linkd_trial_run(&task, &j->trial, err);
    lk_pool_free(pool);
    return rc;
}

static int judge(const lk_job_run *run, judged *j, linkd_error *err)
{
    const lk_upgrade_sample *s = j->sample;
    uint32_t *const *ranks = j->trial.ranks;
    int rc = trial_run(run, j, err);

    if (rc == LINKD_OK)
        rc = linkd_compat_difference(j->trial.all_ranks[0],
                                     j->trial.all_ranks[1], s->n_queries, SEED,
                                     &j->difference, err);
    for (size_t way = 0; way < LINKD_N_TRIAL_WAYS && rc == LINKD_OK; way++)
        rc = linkd_compat_gain(ranks[LINKD_TRIAL_OLD], ranks[way],
                               ranks[LINKD_TRIAL_NEW], s->n_queries, SEED,
                               &j->gains[way], err);
    return rc;
}

const char *lk_upgrade_verdict_word(const linkd_interval *difference,
                                    double fuse_gain, double cascade_gain)
{
    if (difference->high < 0.0)
        return "refuse"; /* the new model is worse */
    if (!(difference->low > 0.0))
        return "no-upgrade-needed";
    if (fuse_gain >= FUSE_GAIN)
        return "fuse";
    return cascade_gain >= CASCADE_GAIN ? "cascade" : "backfill";
}

/* ---- figures ----------------------------------------------------------------- */

static json_t *rounded(double value)
{
    return isfinite(value) ? json_real(round(value * 1e6) / 1e6) : json_null();
}

static json_t *interval_json(const linkd_interval *interval)
{
    return json_pack("{s:o, s:o, s:o}", "value", rounded(interval->value),
                     "low", rounded(interval->low), "high",
                     rounded(interval->high));
}

/* The container, or NULL, to which jansson adds nothing, after a failure. */
static json_t *kept(json_t *container, int rc)
{
    if (rc == 0)
        return container;
    json_decref(container);
    return NULL;
}

static linkd_compat_metrics metrics_of(const judged *j, linkd_trial_way way)
{
    return linkd_compat_metrics_of(j->trial.ranks[way], j->sample->n_queries);
}

static json_t *ways_json(const judged *j)
{
    json_t *object = json_object();

    for (size_t i = 0; i < LINKD_N_TRIAL_WAYS; i++) {
        linkd_compat_metrics m = metrics_of(j, ways[i]);

        object = kept(
            object,
            json_object_set_new(object, way_words[ways[i]],
                                json_pack("{s:o, s:o, s:o, s:o}", "mrr_10",
                                          rounded(m.mrr_10), "recall_1",
                                          rounded(m.recall_1), "recall_10",
                                          rounded(m.recall_10), "gain",
                                          interval_json(&j->gains[ways[i]]))));
    }
    return object;
}

/* Rows are the queries' model, columns the records'. */
static json_t *cells_json(const double *cells)
{
    return json_pack("[[o,o],[o,o]]", rounded(cells[0]), rounded(cells[1]),
                     rounded(cells[2]), rounded(cells[3]));
}

static json_t *matrix_json(const judged *j, linkd_str old_name,
                           linkd_str new_name)
{
    const double *back = j->trial.back_mrr_10;
    double old_mrr = metrics_of(j, LINKD_TRIAL_OLD).mrr_10;
    double new_mrr = metrics_of(j, LINKD_TRIAL_NEW).mrr_10;
    const double align[] = {old_mrr, back[LINKD_WAY_ALIGN],
                            metrics_of(j, LINKD_TRIAL_ALIGN).mrr_10, new_mrr};
    const double fuse[] = {old_mrr, back[LINKD_WAY_FUSE],
                           metrics_of(j, LINKD_TRIAL_FUSE).mrr_10, new_mrr};

    return json_pack("{s:[s%,s%], s:o, s:o}", "models", old_name.bytes,
                     old_name.len, new_name.bytes, new_name.len, "align",
                     cells_json(align), "fuse", cells_json(fuse));
}

static json_t *curve_json(const linkd_trial *trial)
{
    json_t *points = json_array();

    for (size_t i = 0; i < LINKD_TRIAL_SHARES; i++)
        points = kept(
            points, json_array_append_new(
                        points, json_pack("{s:o, s:o}", "share",
                                          rounded(linkd_trial_shares[i]),
                                          "mrr_10", rounded(trial->curve[i]))));
    return json_pack("{s:o, s:o}", "points", points, "area",
                     rounded(trial->area));
}

static json_t *counts_json(const uint64_t *counts)
{
    json_t *array = json_array();

    for (size_t i = 0; i < LINKD_TRIAL_BINS; i++)
        array = kept(array, json_array_append_new(
                                array, json_integer((json_int_t)counts[i])));
    return array;
}

static json_t *histograms_json(const linkd_histogram *histograms)
{
    json_t *object = json_object();

    for (size_t way = 0; way < LINKD_N_TRIAL_SCORES; way++) {
        const linkd_histogram *h = &histograms[way];

        object = kept(object,
                      json_object_set_new(
                          object, way_words[way],
                          json_pack("{s:o, s:o, s:o, s:o}", "low",
                                    rounded(h->low), "high", rounded(h->high),
                                    "matches", counts_json(h->matches),
                                    "others", counts_json(h->others))));
    }
    return object;
}

/* ---- examples ------------------------------------------------------------------ */

static double reciprocal(uint32_t rank)
{
    return rank > 0 ? 1.0 / (double)rank : 0.0;
}

/* By how much a query's answer rose (or fell, if `sign` is negative). */
static double rise_of(const judged *j, size_t i, double sign)
{
    return sign * (reciprocal(j->trial.ranks[LINKD_TRIAL_NEW][i]) -
                   reciprocal(j->trial.ranks[LINKD_TRIAL_OLD][i]));
}

/* The next best query after `last`, which rose by `least`; n_queries: none. */
static size_t example_next(const judged *j, double sign, size_t last)
{
    size_t n = j->sample->n_queries;
    size_t best = n;

    for (size_t i = 0; i < n; i++) {
        double rise = rise_of(j, i, sign);
        bool is_left = last == n || rise < rise_of(j, last, sign) ||
                       (rise == rise_of(j, last, sign) && i > last);

        if (is_left && rise > 0.0 &&
            (best == n || rise > rise_of(j, best, sign)))
            best = i;
    }
    return best;
}

/* The beginning of a text, in whole characters. */
static json_t *text_json(linkd_str text)
{
    size_t n = text.len < TEXT_MAX_BYTES ? text.len : TEXT_MAX_BYTES;

    return json_stringn(text.bytes, lk_utf8_check(text.bytes, n));
}

static json_t *example_json(const judged *j, size_t i)
{
    const lk_upgrade_sample *s = j->sample;
    json_t *ranks = json_object();

    for (size_t k = 0; k < LINKD_N_TRIAL_WAYS; k++)
        ranks =
            kept(ranks,
                 json_object_set_new(ranks, way_words[ways[k]],
                                     json_integer(j->trial.ranks[ways[k]][i])));
    return json_pack(
        "{s:o, s:o, s:o, s:o, s:o}", "query", text_json(s->queries[i]),
        "answer", text_json(s->texts[s->answers[i]]), "old_first",
        text_json(s->texts[j->trial.firsts[0][i]]), "new_first",
        text_json(s->texts[j->trial.firsts[1][i]]), "ranks", ranks);
}

static json_t *examples_json(const judged *j, double sign)
{
    size_t n = j->sample->n_queries;
    size_t i = n;
    json_t *array = json_array();

    while (array != NULL && json_array_size(array) < EXAMPLES_MAX &&
           (i = example_next(j, sign, i)) < n)
        array = kept(array, json_array_append_new(array, example_json(j, i)));
    return array;
}

/* ---- all of it --------------------------------------------------------------- */

static const char *queries_word(const lk_job_spec *spec)
{
    return spec->n_queries > 0  ? "given"
           : spec->n_labels > 0 ? "labelled"
                                : "provisional";
}

/* Of the new model in what decides the order of hits. */
static float order_weight(const linkd_bridge *b)
{
    return b->ranking.maps.home != NULL ? b->ranking.weight : b->weight;
}

/* Of the query that decides the order of the best hits; null: their scores do. */
static json_t *ranking_json(const linkd_reranking *ranking)
{
    return ranking->maps.home != NULL ? rounded((double)ranking->weight)
                                      : json_null();
}

static json_t *verdict_json(const judged *j, const lk_job_run *run)
{
    const lk_upgrade_sample *s = j->sample;
    const linkd_bridge *b = &j->fit->to_old[lk_upgrade_serving(s)];

    return json_pack(
        "{s:s, s:s, s:I, s:I, s:I, s:s, s:o, s:o, s:I, s:o, s:o, s:o, s:o, "
        "s:o, s:o, s:{s:o, s:o}, s:o}",
        "verdict",
        lk_upgrade_verdict_word(&j->difference,
                                j->gains[LINKD_TRIAL_FUSE].value,
                                j->gains[LINKD_TRIAL_CASCADE].value),
        "queries", queries_word(run->spec), "n_queries",
        (json_int_t)s->n_queries, "anchors", (json_int_t)s->n_kept, "records",
        (json_int_t)s->n_records, "head",
        lk_job_head_name(linkd_compat_map_info(b->map).head), "weight",
        rounded((double)order_weight(b)), "ranking_weight",
        ranking_json(&b->ranking), "candidates",
        (json_int_t)j->trial.n_candidates, "ways", ways_json(j), "difference",
        interval_json(&j->difference), "matrix",
        matrix_json(j, s->generations[lk_upgrade_serving(s)].model,
                    run->spec->model),
        "curve", curve_json(&j->trial), "scores",
        histograms_json(j->trial.scores), "log_odds",
        histograms_json(j->trial.log_odds), "examples", "better",
        examples_json(j, 1.0), "worse", examples_json(j, -1.0),
        "backfill_seconds",
        s->seconds_per_text > 0.0
            ? rounded(s->seconds_per_text * (double)s->n_records)
            : json_null());
}

int lk_upgrade_verdict_make(const lk_job_run *run,
                            const lk_upgrade_sample *sample,
                            const lk_upgrade_fit *fit, json_t **ret_verdict,
                            linkd_error *err)
{
    judged j = {.sample = sample, .fit = fit};
    int rc = judge(run, &j, err);

    if (rc == LINKD_OK) {
        *ret_verdict = verdict_json(&j, run);
        rc = *ret_verdict == NULL ? lk_fail_nomem(err) : LINKD_OK;
    }
    linkd_trial_clear(&j.trial);
    return rc;
}
