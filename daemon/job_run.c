/* daemon/job_run.c — one job from its inputs to its results.
 *
 *   tables ─► columns ─► decision ─► results.csv.tmp ─► .csv
 *                          ▲ vectors: known ─► checkpoint ─► model
 *
 * Backup and fsck are jobs because they take long, not because they resume. */
#include "daemon/job_run.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/bridges.h"
#include "daemon/job_apply.h"
#include "daemon/job_results.h"
#include "daemon/job_scales.h"
#include "daemon/models.h"
#include "daemon/upgrade.h"
#include "daemon/vector_sources.h"

/* ---- vectors ------------------------------------------------------------- */

/* The chain that the vectors of a run come through. */
typedef struct chain {
    lk_model_embedder storage;
    linkd_embedder model;
    linkd_embedder checkpointed;
    linkd_embedder top;
    lk_checkpoint *checkpoint;
    lk_known *known;
} chain;

static int chain_model(const lk_job_run *run, chain *c, linkd_error *err)
{
    const lk_job_vectors *vectors = run->vectors;
    lk_buf path = {0};
    int rc;

    c->storage = (lk_model_embedder){.urgency = LK_JOB,
                                     .use = LINKD_USE_RECORD,
                                     .stop_cb = run->stop_cb,
                                     .stop_ctx = run->stop_ctx};
    rc = lk_models_get(run->service->models, vectors->model, &c->storage.model,
                       err);
    if (rc != LINKD_OK)
        return rc;
    c->model = lk_model_embedder_of(&c->storage);
    if (!lk_fingerprint_is(vectors->fingerprint, c->model.fingerprint))
        return lk_fail(err, LINKD_E_CONFLICT,
                       "model \"%s\" is not the one that the job began with: "
                       "its fingerprint is %s, not %s",
                       lk_label_of(vectors->model).text, c->model.fingerprint,
                       lk_label_of(vectors->fingerprint).text);
    rc = lk_buf_printf(&path, err, "%s/vectors", run->dir);
    if (rc == LINKD_OK)
        rc = lk_checkpoint_open(path.data, &c->model, &c->checkpoint, err);
    if (rc == LINKD_OK)
        c->checkpointed = lk_checkpoint_embedder(c->checkpoint);
    lk_buf_clear(&path);
    return rc;
}

static int chain_open(const lk_job_run *run, chain *c, linkd_error *err)
{
    const linkd_embedder *below = NULL;
    lk_buf paths[2] = {{0}, {0}};
    const char *names[2] = {NULL, NULL};
    int rc = LINKD_OK;

    *c = (chain){0};
    if (run->vectors->dim == 0)
        return LINKD_OK;
    if (run->vectors->model.len > 0) {
        rc = chain_model(run, c, err);
        below = &c->checkpointed;
    }
    for (size_t i = 0; i < 2 && rc == LINKD_OK; i++) {
        rc = lk_job_input_known(run->dir, i, &paths[i], err);
        names[i] = paths[i].len > 0 ? paths[i].data : NULL;
    }
    if (rc == LINKD_OK)
        rc = lk_known_open(names, 2, run->vectors->dim, below, &c->known, err);
    if (rc == LINKD_OK)
        c->top = lk_known_embedder(c->known);
    lk_buf_clear(&paths[0]);
    lk_buf_clear(&paths[1]);
    return rc;
}

static void chain_close(chain *c)
{
    lk_known_close(c->known);
    lk_checkpoint_close(c->checkpoint);
}

/* ---- rows ---------------------------------------------------------------- */

static int pair_write(lk_job_results *r, const lk_job_tables *t,
                      const lk_job_pair *pair, linkd_error *err)
{
    char numbers[64];
    int rc = lk_job_results_cell(r, linkd_table_id(t->tables[0], pair->left),
                                 ',', err);

    if (rc == LINKD_OK)
        rc = lk_job_results_cell(r, linkd_table_id(t->tables[1], pair->right),
                                 ',', err);
    if (isnan(pair->probability))
        (void)snprintf(numbers, sizeof(numbers), "%.6f,\n",
                       (double)pair->score);
    else
        (void)snprintf(numbers, sizeof(numbers), "%.6f,%.6f\n",
                       (double)pair->score, (double)pair->probability);
    return rc == LINKD_OK ? lk_job_results_number(r, numbers, err) : rc;
}

static int pairs_write(const char *dir, const lk_job_tables *t,
                       const lk_job_decided *d, linkd_error *err)
{
    lk_job_results r = {0};
    int rc = lk_job_results_open(dir, "left_id,right_id,score,probability\n",
                                 &r, err);

    for (size_t i = 0; i < d->n_pairs && rc == LINKD_OK; i++)
        rc = pair_write(&r, t, &d->pairs[i], err);
    return lk_job_results_close(dir, &r, rc, err);
}

static int entities_write(const char *dir, const linkd_table *table,
                          const size_t *entities, linkd_error *err)
{
    lk_job_results r = {0};
    int rc = lk_job_results_open(dir, "id,entity_id\n", &r, err);

    for (size_t i = 0; i < linkd_table_n_rows(table) && rc == LINKD_OK; i++) {
        char number[32];

        (void)snprintf(number, sizeof(number), "%zu\n", entities[i] + 1);
        rc = lk_job_results_cell(&r, linkd_table_id(table, i), ',', err);
        if (rc == LINKD_OK)
            rc = lk_job_results_number(&r, number, err);
    }
    return lk_job_results_close(dir, &r, rc, err);
}

/* ---- what came of it ----------------------------------------------------- */

/* Takes a value that may be NULL for lack of memory. */
static int json_take(json_t *take_value, json_t **ret_value, linkd_error *err)
{
    *ret_value = take_value;
    return take_value == NULL ? lk_fail_nomem(err) : LINKD_OK;
}

static json_t *rounded(double value)
{
    return json_real(round(value * 1e6) / 1e6);
}

/* As in the manifests of linkctl. */
static int verdict_make(const linkd_decision *decision, json_t **ret_json,
                        linkd_error *err)
{
    const linkd_verdict *v = &decision->verdict;

    return json_take(
        json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:s}",
                  "assign", lk_job_assign_name(v->assign), "why", v->why,
                  "threshold", rounded(decision->threshold), "precision",
                  rounded(v->precision), "recall", rounded(v->recall), "f1",
                  rounded(v->f1), "matches", rounded(v->n_matches), "unseen",
                  rounded(v->n_unseen), "supported", (int)v->supported, "doubt",
                  v->doubt),
        ret_json, err);
}

/* Rows that are in no pair. */
static int unmatched_count(const lk_job_tables *t, const lk_job_decided *d,
                           size_t ret_n[2], linkd_error *err)
{
    size_t n_left = linkd_table_n_rows(t->tables[0]);
    size_t n_right = linkd_table_n_rows(t->tables[1]);
    bool *seen = calloc(n_left + n_right + 1, sizeof(*seen));

    if (seen == NULL)
        return lk_fail_nomem(err);
    ret_n[0] = n_left;
    ret_n[1] = n_right;
    for (size_t i = 0; i < d->n_pairs; i++) {
        bool *left = &seen[d->pairs[i].left];
        bool *right = &seen[n_left + d->pairs[i].right];

        ret_n[0] -= !*left;
        ret_n[1] -= !*right;
        *left = *right = true;
    }
    free(seen);
    return LINKD_OK;
}

static int link_counts(const lk_job_tables *t, const lk_job_decided *d,
                       json_t **ret_counts, linkd_error *err)
{
    size_t n[2];
    int rc = unmatched_count(t, d, n, err);

    if (rc != LINKD_OK)
        return rc;
    return json_take(
        json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "left_rows",
                  (json_int_t)linkd_table_n_rows(t->tables[0]), "right_rows",
                  (json_int_t)linkd_table_n_rows(t->tables[1]), "left_empty",
                  (json_int_t)d->n_empty[0], "right_empty",
                  (json_int_t)d->n_empty[1], "candidates",
                  (json_int_t)d->n_candidates, "pairs", (json_int_t)d->n_pairs,
                  "left_unmatched", (json_int_t)n[0], "right_unmatched",
                  (json_int_t)n[1]),
        ret_counts, err);
}

static int dedup_counts(const lk_job_tables *t, const lk_job_decided *d,
                        json_t **ret_counts, linkd_error *err)
{
    return json_take(json_pack("{s:I, s:I, s:I, s:I, s:I}", "rows",
                               (json_int_t)linkd_table_n_rows(t->tables[0]),
                               "empty", (json_int_t)d->n_empty[0], "candidates",
                               (json_int_t)d->n_candidates, "pairs",
                               (json_int_t)d->n_pairs, "entities",
                               (json_int_t)d->n_entities),
                     ret_counts, err);
}

/* ---- linkage ------------------------------------------------------------- */

static int decided_keep(const lk_job_run *run, const lk_job_tables *t,
                        const lk_job_decided *d, lk_job_outcome *outcome,
                        linkd_error *err)
{
    bool is_link = run->spec->kind == LK_JOB_LINK;
    int rc = is_link ? pairs_write(run->dir, t, d, err)
                     : entities_write(run->dir, t->tables[0], d->entities, err);
    if (rc == LINKD_OK)
        rc = is_link ? link_counts(t, d, &outcome->counts, err)
                     : dedup_counts(t, d, &outcome->counts, err);
    if (rc == LINKD_OK && d->by_probability)
        rc = verdict_make(&d->decision, &outcome->verdict, err);
    return rc;
}

static int linkage_do(const lk_job_run *run, lk_job_outcome *outcome,
                      linkd_error *err)
{
    lk_job_tables tables = {0};
    lk_job_deciding deciding = {.tables = &tables, .progress = run->progress};
    lk_job_decided decided = {0};
    lk_job_scales scales = {0};
    chain c;
    int rc = chain_open(run, &c, err);

    if (c.known != NULL)
        deciding.embedder = &c.top;
    if (rc == LINKD_OK)
        rc = lk_pool_new(run->service->config->n_encode_threads, &deciding.pool,
                         err);
    if (rc == LINKD_OK)
        rc = lk_job_tables_read(run->dir, run->spec, run->vectors,
                                run->progress, &tables, err);
    if (rc == LINKD_OK)
        rc = lk_job_apply_check(&tables, err);
    if (rc == LINKD_OK)
        rc = lk_job_scales_open(run->dir, &tables, &scales, err);
    if (scales.scales != NULL)
        deciding.rescoring = &scales.rescoring;
    if (rc == LINKD_OK)
        rc = lk_job_decide(&deciding, &decided, err);
    if (rc == LINKD_OK && run->spec->apply)
        rc = lk_job_apply(run, &deciding, &decided, err);
    if (rc == LINKD_OK)
        rc = decided_keep(run, &tables, &decided, outcome, err);
    lk_job_decided_clear(&decided);
    lk_job_scales_clear(&scales);
    lk_job_tables_clear(&tables);
    lk_pool_free(deciding.pool);
    chain_close(&c);
    return rc;
}

/* ---- keeping ------------------------------------------------------------- */

static void fault_write(void *ctx, const char *message)
{
    lk_job_results *r = ctx;

    /* a full disk is found when the file is closed */
    (void)!lk_job_results_cell(r, (linkd_str){message, strlen(message)}, '\n',
                               NULL);
}

static int fsck_do(const lk_job_run *run, lk_job_outcome *outcome,
                   linkd_error *err)
{
    linkd_check_report report = {0};
    lk_job_results r = {0};
    int rc = lk_job_results_open(run->dir, "fault\n", &r, err);

    if (rc == LINKD_OK)
        rc = linkd_store_check(run->service->store, run->progress, fault_write,
                               &r, &report, err);
    rc = lk_job_results_close(run->dir, &r, rc, err);
    if (rc != LINKD_OK)
        return rc;
    return json_take(json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
                               "collections", (json_int_t)report.n_collections,
                               "records", (json_int_t)report.n_records,
                               "vectors", (json_int_t)report.n_vectors,
                               "segments", (json_int_t)report.n_segments,
                               "jobs", (json_int_t)report.n_jobs, "faults",
                               (json_int_t)report.n_faults, "bad_segments",
                               (json_int_t)report.n_bad_segments),
                     &outcome->counts, err);
}

static int backup_do(const lk_job_run *run, lk_job_outcome *outcome,
                     linkd_error *err)
{
    lk_buf dir = {0};
    int rc = lk_buf_append(&dir, run->spec->directory.bytes,
                           run->spec->directory.len, err);

    if (rc == LINKD_OK)
        rc = linkd_store_backup(run->service->store, dir.data, run->progress,
                                err);
    if (rc == LINKD_OK)
        rc = json_take(json_object(), &outcome->counts, err);
    lk_buf_clear(&dir);
    return rc;
}

int lk_job_do(const lk_job_run *run, lk_job_outcome *ret_outcome,
              linkd_error *err)
{
    switch (run->spec->kind) {
    case LK_JOB_BACKUP:
        return backup_do(run, ret_outcome, err);
    case LK_JOB_FSCK:
        return fsck_do(run, ret_outcome, err);
    case LK_JOB_UPGRADE_PROBE:
    case LK_JOB_UPGRADE_START:
        return lk_upgrade_start(run, ret_outcome, err);
    case LK_JOB_UPGRADE_BACKFILL:
        return lk_upgrade_backfill(run, ret_outcome, err);
    case LK_JOB_UPGRADE_GC:
        return lk_upgrade_gc(run, ret_outcome, err);
    case LK_JOB_LINK:
    case LK_JOB_DEDUP:
    default:
        return linkage_do(run, ret_outcome, err);
    }
}
