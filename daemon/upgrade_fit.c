/* daemon/upgrade_fit.c — bridges between the new model and every generation, both
 * ways, and all that is kept of them as blobs of the store.
 *
 *   new ──► old   queries, as long as records are alive there
 *   old ──► new   after a rollback; and jobs, which compare in one space */
#include "daemon/upgrade.h"

#include <string.h>

#define SEED UINT64_C(20231) /* any: the same fit again has the same bytes */

linkd_bridge_task lk_upgrade_task_of(const lk_job_run *run,
                                     const lk_upgrade_sample *s, lk_pool *pool)
{
    return (linkd_bridge_task){.n_anchors = s->n,
                               .n_kept = s->n_kept,
                               .n_queries = s->n_queries,
                               .answers = s->answers,
                               .asked = s->asked,
                               .labels = s->labels,
                               .groups = s->groups,
                               .held = s->held,
                               .n_records = s->n_records,
                               .head = run->spec->head,
                               .auto_head = run->spec->auto_head,
                               .seed = SEED,
                               .fitted = s->fitted,
                               .pool = pool,
                               .progress = run->progress};
}

/* Of several older models some may have no head of the simplex: these are mapped. */
static linkd_bridge_task generation_task(const linkd_bridge_task *task,
                                         const lk_upgrade_sample *s, size_t i)
{
    linkd_bridge_task own = *task;

    if (i != lk_upgrade_serving(s)) /* the trial has nothing of these */
        own.fitted = NULL;
    own.auto_head = task->auto_head || (task->head == LINKD_HEAD_SIMPLEX &&
                                        lk_model_head_of(s->models[i]) == NULL);
    return own;
}

static int generation_fit(const linkd_bridge_task *task,
                          const lk_upgrade_sample *s, size_t i,
                          lk_upgrade_fit *fit, linkd_error *err)
{
    linkd_bridge_task there = generation_task(task, s, i);
    linkd_bridge_task back =
        linkd_bridge_task_back(&there, &s->samples[i], &s->sample);
    int rc = linkd_bridge_fit(&there, &s->sample, &s->samples[i],
                              &fit->to_old[i], err);

    if (rc == LINKD_OK)
        rc = linkd_bridge_fit(&back, &s->samples[i], &s->sample,
                              &fit->from_old[i], err);
    if (rc == LINKD_OK)
        rc = linkd_bridge_native(task, &s->samples[i], &fit->natives[i], err);
    return rc;
}

static int all_fit(const linkd_bridge_task *task, const lk_upgrade_sample *s,
                   lk_upgrade_fit *fit, linkd_error *err)
{
    int rc = LINKD_OK;

    for (size_t i = 0; i < s->n_generations && rc == LINKD_OK; i++) {
        rc =
            lk_progress_report(task->progress, "fit", i, s->n_generations, err);
        if (rc == LINKD_OK)
            rc = generation_fit(task, s, i, fit, err);
    }
    return rc == LINKD_OK
               ? linkd_bridge_native(task, &s->sample, &fit->native, err)
               : rc;
}

static int probe_fit(const linkd_bridge_task *task, const lk_upgrade_sample *s,
                     lk_upgrade_fit *fit, linkd_error *err)
{
    size_t serving = lk_upgrade_serving(s);
    int rc = lk_progress_report(task->progress, "fit", 0, 1, err);

    return rc == LINKD_OK
               ? linkd_bridge_fit(task, &s->sample, &s->samples[serving],
                                  &fit->to_old[serving], err)
               : rc;
}

int lk_upgrade_fit_run(const lk_job_run *run, const lk_upgrade_sample *sample,
                       lk_upgrade_fit *ret_fit, linkd_error *err)
{
    lk_pool *pool = NULL;
    linkd_bridge_task task;
    int rc = lk_pool_new(run->service->config->n_encode_threads, &pool, err);

    *ret_fit = (lk_upgrade_fit){0};
    task = lk_upgrade_task_of(run, sample, pool);
    if (rc == LINKD_OK && run->spec->kind == LK_JOB_UPGRADE_START)
        rc = all_fit(&task, sample, ret_fit, err);
    else if (rc == LINKD_OK)
        rc = probe_fit(&task, sample, ret_fit, err);
    lk_pool_free(pool);
    return rc;
}

void lk_upgrade_fit_clear(lk_upgrade_fit *fit)
{
    linkd_bridge_clear(&fit->native);
    for (size_t i = 0; i < LINKD_GENERATIONS_MAX; i++) {
        linkd_bridge_clear(&fit->natives[i]);
        linkd_bridge_clear(&fit->to_old[i]);
        linkd_bridge_clear(&fit->from_old[i]);
    }
}

/* ---- what is kept ------------------------------------------------------------ */

/* The next blob; its bytes are appended by the caller. */
static lk_buf *blob_begin(lk_upgrade_blobs *b, uint32_t generation,
                          uint8_t kind, uint32_t other)
{
    LK_ASSERT(b->n < LK_UPGRADE_BLOBS_MAX);
    b->blobs[b->n] =
        (linkd_blob){.generation = generation, .kind = kind, .other = other};
    return &b->bytes[b->n++];
}

static int map_add(lk_upgrade_blobs *b, uint32_t from, uint32_t to,
                   const linkd_compat_map *map, linkd_error *err)
{
    lk_buf *bytes = blob_begin(b, from, LINKD_BLOB_MAP, to);
    unsigned char *encoded = NULL;
    size_t len = 0;
    int rc = linkd_compat_map_encode(map, &encoded, &len, err);

    if (rc == LINKD_OK)
        rc = lk_buf_append(bytes, encoded, len, err);
    free(encoded);
    return rc;
}

static int bridge_add(lk_upgrade_blobs *b, uint32_t from, uint32_t to,
                      const linkd_bridge *bridge, linkd_error *err)
{
    int rc = linkd_scales_encode(
        bridge, blob_begin(b, from, LINKD_BLOB_SCALES, to), err);

    return rc == LINKD_OK && bridge->map != NULL
               ? map_add(b, from, to, bridge->map, err)
               : rc;
}

/* Vectors of a generation that none of its own blobs has yet. */
static int generation_add(lk_upgrade_blobs *b, uint32_t number, size_t n,
                          const linkd_model_sample *sample, lk_model *model,
                          linkd_error *err)
{
    float *canaries =
        lk_alloc_aligned(LINKD_N_CANARIES, sample->dim * sizeof(*canaries));
    int rc = canaries == NULL ? lk_fail_nomem(err)
                              : lk_canaries_embed(model, canaries, err);

    if (rc == LINKD_OK)
        rc = linkd_vectors_encode(canaries, LINKD_N_CANARIES, sample->dim,
                                  blob_begin(b, number, LINKD_BLOB_CANARIES, 0),
                                  err);
    if (rc == LINKD_OK)
        rc = linkd_vectors_encode(sample->anchors, n, sample->dim,
                                  blob_begin(b, number, LINKD_BLOB_ANCHORS, 0),
                                  err);
    free(canaries);
    return rc;
}

static int old_add(lk_upgrade_blobs *b, const lk_upgrade_sample *s,
                   const lk_upgrade_fit *fit, size_t i, uint32_t number,
                   linkd_error *err)
{
    uint32_t old = s->generations[i].number;
    int rc = bridge_add(b, number, old, &fit->to_old[i], err);

    if (rc == LINKD_OK)
        rc = bridge_add(b, old, number, &fit->from_old[i], err);
    if (rc == LINKD_OK)
        rc = bridge_add(b, old, old, &fit->natives[i], err);
    if (rc == LINKD_OK && s->is_new)
        rc = generation_add(b, old, s->n_kept, &s->samples[i], s->models[i],
                            err);
    /* what thresholds mean from then on: scores of the first model */
    if (rc == LINKD_OK && s->is_new)
        rc = linkd_scales_encode(
            &fit->natives[i], blob_begin(b, 0, LINKD_BLOB_REFERENCE, 0), err);
    return rc;
}

int lk_upgrade_blobs_make(const lk_upgrade_sample *sample,
                          const lk_upgrade_fit *fit, const json_t *verdict,
                          uint32_t number, linkd_way way,
                          lk_upgrade_blobs *ret_blobs, linkd_error *err)
{
    lk_upgrade_blobs *b = ret_blobs;
    int rc = LINKD_OK;

    *b = (lk_upgrade_blobs){0};
    if (sample->is_new)
        rc = linkd_texts_encode(sample->texts, sample->n_kept,
                                blob_begin(b, 0, LINKD_BLOB_TEXTS, 0), err);
    for (size_t i = 0; i < sample->n_generations && rc == LINKD_OK; i++)
        rc = old_add(b, sample, fit, i, number, err);
    if (rc == LINKD_OK)
        rc = bridge_add(b, number, number, &fit->native, err);
    if (rc == LINKD_OK)
        rc = generation_add(b, number, sample->n_kept, &sample->sample,
                            sample->model, err);
    if (rc == LINKD_OK)
        rc = lk_buf_printf(blob_begin(b, number, LINKD_BLOB_WAY, 0), err, "%s",
                           linkd_way_words[way]);
    if (rc == LINKD_OK)
        rc = lk_upgrade_quality_encode(
            verdict, sample, blob_begin(b, number, LINKD_BLOB_QUALITY, 0), err);
    for (size_t i = 0; i < b->n; i++)
        b->blobs[i].bytes = (linkd_str){b->bytes[i].data, b->bytes[i].len};
    return rc;
}

void lk_upgrade_blobs_clear(lk_upgrade_blobs *blobs)
{
    for (size_t i = 0; i < blobs->n; i++)
        lk_buf_clear(&blobs->bytes[i]);
    *blobs = (lk_upgrade_blobs){0};
}
