/* daemon/job_decide.c — a job's decision, by probability or by scores alone. */
#include "daemon/job_decide.h"

#include <math.h>
#include <stdlib.h>

/* ---- by probability ------------------------------------------------------ */

static int accepted_take(lk_job_decided *d, linkd_error *err)
{
    linkd_candidate *accepted = NULL;
    int rc = linkd_decision_accepted(&d->decision, &accepted, err);

    if (rc != LINKD_OK)
        return rc;
    d->n_pairs = d->decision.n_accepted;
    d->pairs = calloc(d->n_pairs + 1, sizeof(*d->pairs));
    if (d->pairs == NULL)
        rc = lk_fail_nomem(err);
    for (size_t i = 0; i < d->n_pairs && rc == LINKD_OK; i++)
        d->pairs[i] = (lk_job_pair){.left = accepted[i].left,
                                    .right = accepted[i].right,
                                    .score = accepted[i].score,
                                    .probability = accepted[i].probability};
    free(accepted);
    return rc;
}

static int probability_decide(const lk_job_deciding *in, lk_job_decided *d,
                              linkd_error *err)
{
    const lk_job_tables *t = in->tables;
    linkd_evidence_options gathering = {.columns = t->columns,
                                        .n_columns = t->n_columns,
                                        .left_block = t->blocks[0],
                                        .right_block = t->blocks[1],
                                        .k = t->spec->k,
                                        .channels = LINKD_CHANNEL_ALL};
    linkd_decide_options deciding = {.assign = t->spec->assign,
                                     .threshold = t->spec->threshold};
    linkd_evidence *evidence = NULL;
    int rc = linkd_evidence_gather(t->tables[0], t->tables[1], in->embedder,
                                   in->pool, &gathering, in->progress,
                                   &evidence, err);

    if (rc == LINKD_OK)
        rc = linkd_evidence_decide(evidence, &deciding, in->progress,
                                   &d->decision, err);
    if (rc == LINKD_OK) {
        const linkd_funnel *funnel = linkd_evidence_funnel(evidence);

        d->n_candidates = funnel->n_candidates;
        d->n_empty[0] = funnel->n_empty[0];
        d->n_empty[1] = funnel->n_empty[1];
        d->entities = d->decision.entities;
        d->n_entities = d->decision.n_entities;
        rc = accepted_take(d, err);
    }
    linkd_evidence_free(evidence);
    return rc;
}

/* ---- by scores alone ----------------------------------------------------- */

static int pairs_take(lk_job_decided *d, const linkd_pair *pairs, size_t n,
                      linkd_error *err)
{
    d->pairs = calloc(n + 1, sizeof(*d->pairs));
    if (d->pairs == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < n; i++)
        d->pairs[i] = (lk_job_pair){.left = pairs[i].left,
                                    .right = pairs[i].right,
                                    .score = pairs[i].score,
                                    .probability = NAN};
    d->n_pairs = n;
    return LINKD_OK;
}

static int score_link(const lk_job_deciding *in, lk_job_decided *d,
                      linkd_error *err)
{
    const lk_job_tables *t = in->tables;
    linkd_link_options options = {.columns = t->columns,
                                  .n_columns = t->n_columns,
                                  .left_block = t->blocks[0],
                                  .right_block = t->blocks[1],
                                  .k = t->spec->k,
                                  .threshold = (float)t->spec->min_score,
                                  .assign = t->spec->assign,
                                  .rescoring = in->rescoring};
    linkd_link_result result = {0};
    int rc = linkd_link(t->tables[0], t->tables[1], in->embedder, in->pool,
                        &options, in->progress, &result, err);

    if (rc == LINKD_OK)
        rc = pairs_take(d, result.pairs, result.n_pairs, err);
    d->n_candidates = result.n_candidates;
    d->n_empty[0] = result.n_left_empty;
    d->n_empty[1] = result.n_right_empty;
    linkd_link_result_clear(&result);
    return rc;
}

static int score_dedup(const lk_job_deciding *in, lk_job_decided *d,
                       linkd_error *err)
{
    const lk_job_tables *t = in->tables;
    size_t *columns = calloc(t->n_columns + 1, sizeof(*columns));
    linkd_dedup_options options = {.columns = columns,
                                   .n_columns = t->n_columns,
                                   .block = t->blocks[0],
                                   .k = t->spec->k,
                                   .threshold = (float)t->spec->min_score,
                                   .cluster = t->spec->cluster,
                                   .rescoring = in->rescoring};
    linkd_dedup_result *result = &d->by_score;
    int rc;

    if (columns == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < t->n_columns; i++)
        columns[i] = t->columns[i].left;
    rc = linkd_dedup(t->tables[0], in->embedder, in->pool, &options,
                     in->progress, result, err);
    if (rc == LINKD_OK)
        rc = pairs_take(d, result->pairs, result->n_pairs, err);
    d->n_candidates = result->n_candidates;
    d->n_empty[0] = result->n_empty;
    d->entities = result->entities;
    d->n_entities = result->n_entities;
    free(columns);
    return rc;
}

/* ---- either -------------------------------------------------------------- */

int lk_job_decide(const lk_job_deciding *deciding, lk_job_decided *ret_decided,
                  linkd_error *err)
{
    const lk_job_spec *spec = deciding->tables->spec;
    lk_job_decided d = {0};
    int rc;

    d.by_probability = isnan(spec->min_score);
    if (d.by_probability)
        rc = probability_decide(deciding, &d, err);
    else if (spec->kind == LK_JOB_LINK)
        rc = score_link(deciding, &d, err);
    else
        rc = score_dedup(deciding, &d, err);
    if (rc == LINKD_OK)
        *ret_decided = d;
    else
        lk_job_decided_clear(&d);
    return rc;
}

void lk_job_decided_clear(lk_job_decided *decided)
{
    free(decided->pairs);
    linkd_dedup_result_clear(&decided->by_score);
    linkd_decision_clear(&decided->decision);
    *decided = (lk_job_decided){0};
}
