/* daemon/upgrade_start.c — a collection gets another model, or is told whether it
 * is worth it.
 *
 *   sample ─► fit ─► verdict ─► (start only) one transaction: the new generation,
 *                                its bridges, and that it serves
 *
 * Nothing is written before that transaction, so a start that fails or is killed
 * leaves the collection as it was; one that is killed after it finds the model
 * in its place when it runs again, and is done.
 *
 * A model that the collection had before a rollback serves again without a fit:
 * its generation is still there.
 */
#include "daemon/upgrade.h"

#include <string.h>

#include "daemon/bridges.h"

/* ---- asking ---------------------------------------------------------------- */

/* The generation of a fingerprint; NULL: there is none. */
static const linkd_generation *
fingerprint_find(const linkd_generation *generations, size_t n,
                 const char *fingerprint)
{
    for (size_t i = 0; i < n; i++)
        if (lk_fingerprint_is(generations[i].fingerprint, fingerprint))
            return &generations[i];
    return NULL;
}

/* What is there of the wanted model. */
typedef struct wanted {
    lk_arena arena;
    lk_model *model;
    linkd_generation generations[LINKD_GENERATIONS_MAX];
    size_t n;
    const linkd_generation *own; /* of the model; NULL: none yet */
} wanted;

static int model_check(lk_service *service, linkd_str collection, wanted *w,
                       linkd_error *err)
{
    linkd_collection_info info;
    linkd_settings settings;
    int rc =
        linkd_store_describe(service->store, collection, &w->arena, &info, err);

    if (rc == LINKD_OK)
        rc = linkd_settings_parse(info.options.settings, &w->arena, &settings,
                                  err);
    return rc == LINKD_OK ? lk_model_check(w->model, &settings, err) : rc;
}

static int wanted_find(lk_service *service, linkd_str collection,
                       linkd_str model, wanted *ret, linkd_error *err)
{
    int rc;

    *ret = (wanted){0};
    rc = lk_generations_list(service->store, collection, &ret->arena,
                             ret->generations, &ret->n, err);
    if (rc == LINKD_OK && ret->generations[ret->n - 1].model.len == 0)
        rc = lk_fail(err, LINKD_E_ARG,
                     "the vectors of collection \"%s\" came ready-made: it has "
                     "no model to change",
                     lk_label_of(collection).text);
    if (rc == LINKD_OK)
        rc = lk_models_get(service->models, model, &ret->model, err);
    if (rc == LINKD_OK)
        rc = model_check(service, collection, ret, err);
    if (rc == LINKD_OK)
        ret->own = fingerprint_find(ret->generations, ret->n,
                                    lk_model_describe(ret->model)->fingerprint);
    return rc;
}

/* Without heads of one simplex under both models "dsimplex" would compare what does
 * not compare, and nothing would show. */
static int simplex_check(lk_service *service, const lk_job_spec *spec,
                         const wanted *w, linkd_error *err)
{
    const linkd_generation *serving = w->generations;
    lk_model *old = NULL;
    linkd_str without = {0};

    while (serving->state != LINKD_GENERATION_SERVING)
        serving++;
    if (lk_model_head_of(w->model) == NULL)
        without = spec->model;
    else if (lk_generation_model(service, serving, &old) &&
             lk_model_head_of(old) == NULL)
        without = serving->model;
    if (without.len > 0)
        return lk_fail(err, LINKD_E_ARG,
                       "\"dsimplex\" is for two models that have such a head: "
                       "\"%s\" has none",
                       lk_label_of(without).text);
    if (old != NULL && lk_model_describe(w->model)->dim != serving->dim)
        return lk_fail(err, LINKD_E_ARG,
                       "the heads of \"%s\" and \"%s\" have no simplex in "
                       "common: %zu and %zu dimensions",
                       lk_label_of(spec->model).text,
                       lk_label_of(serving->model).text,
                       lk_model_describe(w->model)->dim, serving->dim);
    return LINKD_OK;
}

static int lossless_check(const wanted *w, linkd_error *err)
{
    size_t dim = lk_model_describe(w->model)->dim;

    for (size_t i = 0; i < w->n; i++)
        if (dim < w->generations[i].dim)
            return lk_fail(err, LINKD_E_ARG,
                           "a lossless head needs a new model of at least as "
                           "many dimensions as the old one: %zu < %zu",
                           dim, w->generations[i].dim);
    return LINKD_OK;
}

/* What has to be so for a fit, and for a generation that is added. */
static int fit_check(lk_service *service, const lk_job_spec *spec,
                     const wanted *w, linkd_error *err)
{
    if (w->n == LINKD_GENERATIONS_MAX)
        return lk_fail(err, LINKD_E_CONFLICT,
                       "collection \"%s\" has %zu generations already, as many "
                       "as there can be",
                       lk_label_of(spec->collection).text, w->n);
    if (!spec->auto_head && spec->head == LINKD_HEAD_SIMPLEX)
        return simplex_check(service, spec, w, err);
    return !spec->auto_head && spec->head == LINKD_HEAD_BT2
               ? lossless_check(w, err)
               : LINKD_OK;
}

int lk_upgrade_check(lk_service *service, const lk_job_spec *spec,
                     linkd_error *err)
{
    wanted w;
    int rc = wanted_find(service, spec->collection, spec->model, &w, err);

    if (rc == LINKD_OK && w.own == NULL)
        rc = fit_check(service, spec, &w, err);
    if (rc == LINKD_OK && w.own != NULL &&
        w.own->state == LINKD_GENERATION_SERVING)
        rc = lk_fail(err, LINKD_E_CONFLICT,
                     "collection \"%s\" has the model \"%s\" already",
                     lk_label_of(spec->collection).text,
                     lk_label_of(spec->model).text);
    lk_arena_clear(&w.arena);
    return rc;
}

/* ---- running ------------------------------------------------------------------ */

static int counts_make(uint32_t generation, uint64_t n_records,
                       uint64_t n_encoded, lk_job_outcome *outcome,
                       linkd_error *err)
{
    outcome->counts = json_pack(
        "{s:I, s:I, s:I}", "generation", (json_int_t)generation, "records",
        (json_int_t)n_records, "encoded", (json_int_t)n_encoded);
    return outcome->counts == NULL ? lk_fail_nomem(err) : LINKD_OK;
}

/* The one transaction. */
static int generation_serve(const lk_job_run *run, const wanted *w,
                            const lk_upgrade_sample *s,
                            const lk_upgrade_fit *fit, const json_t *verdict,
                            uint32_t *ret_number, linkd_error *err)
{
    const linkd_encoder_info *info = lk_model_describe(w->model);
    linkd_generation generation = {
        .number = s->generations[s->n_generations - 1].number + 1,
        .previous = s->serving,
        .model = run->spec->model,
        .fingerprint = {info->fingerprint, strlen(info->fingerprint)},
        .dim = info->dim};
    lk_upgrade_blobs blobs = {0};
    int rc = lk_upgrade_blobs_make(s, fit, verdict, generation.number,
                                   run->spec->way, &blobs, err);

    if (rc == LINKD_OK)
        rc = linkd_store_add_generation(run->service->store,
                                        run->spec->collection, &generation,
                                        blobs.blobs, blobs.n, err);
    lk_upgrade_blobs_clear(&blobs);
    *ret_number = generation.number;
    return rc;
}

static int fitted_start(const lk_job_run *run, const wanted *w,
                        lk_job_outcome *outcome, linkd_error *err)
{
    lk_upgrade_sample s = {0};
    lk_upgrade_fit fit = {0};
    uint32_t number = 0;
    int rc = lk_upgrade_sample_take(run, &s, err);

    if (rc == LINKD_OK)
        rc = lk_upgrade_fit_run(run, &s, &fit, err);
    if (rc == LINKD_OK)
        rc = lk_upgrade_verdict_make(run, &s, &fit, &outcome->verdict, err);
    if (rc == LINKD_OK && run->spec->kind == LK_JOB_UPGRADE_START)
        rc = generation_serve(run, w, &s, &fit, outcome->verdict, &number, err);
    if (rc == LINKD_OK)
        rc = counts_make(number, s.n_records, lk_upgrade_sample_n_texts(&s),
                         outcome, err);
    lk_upgrade_fit_clear(&fit);
    lk_upgrade_sample_clear(&s);
    return rc;
}

static int way_keep(const lk_job_run *run, uint32_t generation,
                    linkd_error *err)
{
    const char *word = linkd_way_words[run->spec->way];
    linkd_blob blob = {.generation = generation,
                       .kind = LINKD_BLOB_WAY,
                       .bytes = {word, strlen(word)}};

    return linkd_store_put_blob(run->service->store, run->spec->collection,
                                &blob, err);
}

/* Its generation is there, from before a rollback. */
static int known_start(const lk_job_run *run, const wanted *w,
                       lk_job_outcome *outcome, linkd_error *err)
{
    uint64_t n_moved = 0;
    int rc = LINKD_OK;

    if (run->spec->kind == LK_JOB_UPGRADE_START &&
        w->own->state != LINKD_GENERATION_SERVING)
        rc = linkd_store_serve_generation(run->service->store,
                                          run->spec->collection, w->own->number,
                                          &n_moved, err);
    if (rc == LINKD_OK && run->spec->kind == LK_JOB_UPGRADE_START)
        rc = way_keep(run, w->own->number, err);
    return rc == LINKD_OK
               ? counts_make(w->own->number, n_moved, 0, outcome, err)
               : rc;
}

int lk_upgrade_start(const lk_job_run *run, lk_job_outcome *outcome,
                     linkd_error *err)
{
    wanted w;
    int rc = wanted_find(run->service, run->spec->collection, run->spec->model,
                         &w, err);

    if (rc == LINKD_OK && w.own == NULL)
        rc = fit_check(run->service, run->spec, &w, err);
    if (rc == LINKD_OK)
        rc = w.own != NULL ? known_start(run, &w, outcome, err)
                           : fitted_start(run, &w, outcome, err);
    lk_arena_clear(&w.arena);
    return rc;
}
