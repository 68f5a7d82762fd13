/* daemon/upgrade_sample.c — the anchors of an upgrade.
 *
 *   records ─ evenly spread ─► texts ─┬─► old vectors: as they are stored
 *                                     ├─► new model ─► new vectors
 *                                     └─► queries (upgrade_queries.c) ─► every
 *                                         model
 *
 * The texts are kept in the store with the first upgrade, and their vectors under
 * each generation: a later model is fitted to every older generation directly,
 * though records have changed meanwhile. Maps are never chained.
 *
 * What was encoded lies in the job's directory, so that a start that was killed
 * does not pay for it again; anchors are chosen anew then, and are the same if
 * nothing was written. */
#include "daemon/upgrade.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/bridges.h"
#include "daemon/vector_sources.h"

#define CHUNK_TEXTS ((size_t)256)

void lk_upgrade_sample_clear(lk_upgrade_sample *sample)
{
    if (sample->fitted != NULL)
        linkd_fitted_clear(sample->fitted);
    lk_arena_clear(&sample->arena);
    *sample = (lk_upgrade_sample){0};
}

size_t lk_upgrade_serving(const lk_upgrade_sample *s)
{
    size_t place = 0;

    while (s->generations[place].number != s->serving)
        place++;
    return place;
}

void *lk_upgrade_room(lk_upgrade_sample *s, size_t n, size_t size)
{
    return n < SIZE_MAX / 2 / size ? lk_arena_alloc(&s->arena, (n + 1) * size)
                                   : NULL;
}

/* ---- choosing ------------------------------------------------------------- */

/* Takes a record's text and its vector, if it has both. */
static int anchor_take(lk_upgrade_sample *s, linkd_view *view, uint64_t number,
                       float *vectors, linkd_error *err)
{
    lk_arena arena = {0};
    lk_buf text = {0};
    linkd_stored record = {0};
    const float *vector = NULL;
    size_t dim = linkd_view_dim(view);
    int rc = linkd_view_vector(view, number, &vector, err);

    if (rc == LINKD_OK && vector != NULL)
        rc = linkd_view_read(view, number, &arena, &record, err);
    if (rc == LINKD_OK && vector != NULL)
        rc = linkd_settings_text(&s->settings, record.fields, record.n_fields,
                                 &text, err);
    if (rc == LINKD_OK && text.len > 0) {
        char *copy = lk_arena_copy(&s->arena, text.data, text.len);

        memcpy(vectors + s->n * dim, vector, dim * sizeof(*vector));
        s->texts[s->n] = (linkd_str){copy, text.len};
        s->n += copy != NULL;
        rc = copy == NULL ? lk_fail_nomem(err) : LINKD_OK;
    }
    lk_buf_clear(&text);
    lk_arena_clear(&arena);
    return rc;
}

/* Pictures are held in memory as they are stored, and once more for each query
 * that is made of them. Of smaller ones there are as many anchors as were wanted:
 * photographs of 100 kB make 2,000 of them. A guess at what a service has to
 * spare. */
#define PICTURES_MAX_BYTES ((size_t)256 << 20)
#define PICTURES_MEASURED  ((size_t)32)

/* So many anchors that their pictures fit, if the first ones are like the rest. */
static int anchors_bound(const lk_upgrade_sample *s, linkd_view *view,
                         size_t *n_wanted, linkd_error *err)
{
    lk_arena arena = {0};
    lk_buf content = {0};
    linkd_stored record;
    uint64_t number = 0;
    size_t n = 0;
    bool found = true;
    int rc = LINKD_OK;

    for (; rc == LINKD_OK && n < PICTURES_MEASURED; n++, number++) {
        rc = linkd_view_next(view, number, &number, &found, err);
        if (rc != LINKD_OK || !found)
            break;
        rc = linkd_view_read(view, number, &arena, &record, err);
        if (rc == LINKD_OK)
            rc = linkd_settings_text(&s->settings, record.fields,
                                     record.n_fields, &content, err);
    }
    if (content.len > 0 && n * PICTURES_MAX_BYTES / content.len < *n_wanted)
        *n_wanted = n * PICTURES_MAX_BYTES / content.len;
    lk_buf_clear(&content);
    lk_arena_clear(&arena);
    return rc;
}

/* Of n records every (n / n_wanted)th. */
static int anchors_choose(lk_upgrade_sample *s, linkd_view *view,
                          size_t n_wanted, linkd_error *err)
{
    size_t dim = linkd_view_dim(view);
    size_t n_most = s->n_records < n_wanted ? (size_t)s->n_records : n_wanted;
    float *vectors = lk_upgrade_room(s, n_most, dim * sizeof(*vectors));
    uint64_t number = 0;
    bool found = true;
    int rc = LINKD_OK;

    s->texts = lk_upgrade_room(s, n_most, sizeof(*s->texts));
    if (vectors == NULL || s->texts == NULL)
        return lk_fail_nomem(err);
    for (uint64_t i = 0; rc == LINKD_OK && i < s->n_records; i++, number++) {
        rc = linkd_view_next(view, number, &number, &found, err);
        if (rc != LINKD_OK || !found)
            break;
        if (s->n < n_most &&
            (i + 1) * n_most / s->n_records > i * n_most / s->n_records)
            rc = anchor_take(s, view, number, vectors, err);
    }
    s->samples[0] = (linkd_model_sample){.dim = dim, .anchors = vectors};
    return rc;
}

/* The vectors that a generation keeps of the anchors. */
static int anchors_read(lk_upgrade_sample *s, linkd_view *view, size_t i,
                        linkd_error *err)
{
    linkd_str bytes;
    float *vectors = NULL;
    size_t n = 0;
    bool found = false;
    int rc = linkd_view_blob(view, s->generations[i].number, LINKD_BLOB_ANCHORS,
                             0, &bytes, &found, err);

    if (rc == LINKD_OK && found)
        rc = linkd_vectors_decode(bytes, &s->arena, &vectors, &n,
                                  &s->samples[i].dim, err);
    if (rc == LINKD_OK &&
        (!found || n != s->n || s->samples[i].dim != s->generations[i].dim))
        rc = lk_fail(err, LINKD_E_DATA,
                     "damaged database: generation %u has no anchors",
                     (unsigned)s->generations[i].number);
    s->samples[i].anchors = vectors;
    return rc;
}

static int anchors_find(lk_upgrade_sample *s, linkd_view *view, size_t n_wanted,
                        linkd_error *err)
{
    linkd_str bytes;
    bool found = false;
    int rc = linkd_view_blob(view, 0, LINKD_BLOB_TEXTS, 0, &bytes, &found, err);

    s->is_new = !found;
    if (rc == LINKD_OK && !found && s->settings.image.len > 0)
        rc = anchors_bound(s, view, &n_wanted, err);
    if (rc == LINKD_OK && !found)
        return anchors_choose(s, view, n_wanted, err);
    if (rc == LINKD_OK)
        rc = linkd_texts_decode(bytes, &s->arena, &s->texts, &s->n, err);
    for (size_t i = 0; i < s->n_generations && rc == LINKD_OK; i++)
        rc = anchors_read(s, view, i, err);
    return rc;
}

static int view_read(const lk_job_run *run, lk_upgrade_sample *s,
                     linkd_error *err)
{
    linkd_view *view = NULL;
    int rc =
        lk_generations_list(run->service->store, run->spec->collection,
                            &s->arena, s->generations, &s->n_generations, err);

    if (rc == LINKD_OK)
        rc = linkd_view_open(run->service->store, run->spec->collection, &view,
                             err);
    if (rc == LINKD_OK) {
        s->n_records = linkd_view_n_records(view);
        rc = anchors_find(s, view, run->spec->n_anchors, err);
    }
    if (rc == LINKD_OK && s->n < LINKD_ANCHORS_MIN)
        rc = lk_fail(err, LINKD_E_ARG,
                     "collection \"%s\" has %zu records to learn from, at "
                     "least %zu are needed",
                     lk_label_of(run->spec->collection).text, s->n,
                     LINKD_ANCHORS_MIN);
    if (rc == LINKD_OK)
        rc = lk_upgrade_queries_make(s, view, run->spec, err);
    linkd_view_close(view);
    for (size_t i = 0; i < s->n_generations; i++)
        if (s->generations[i].state == LINKD_GENERATION_SERVING)
            s->serving = s->generations[i].number;
    return rc;
}

/* ---- encoding ---------------------------------------------------------------- */

typedef struct encoding {
    const lk_job_run *run;
    const char *step;
    size_t n_done;
    size_t n_total;
} encoding;

static int texts_embed(encoding *e, const linkd_embedder *embedder,
                       const linkd_str *texts, size_t n, float *vectors,
                       linkd_error *err)
{
    int rc = LINKD_OK;

    for (size_t i = 0; i < n && rc == LINKD_OK; i += CHUNK_TEXTS) {
        size_t n_chunk = n - i < CHUNK_TEXTS ? n - i : CHUNK_TEXTS;

        rc = lk_progress_report(e->run->progress, e->step, e->n_done,
                                e->n_total, err);
        if (rc == LINKD_OK)
            rc = embedder->embed(embedder->ctx, texts + i, n_chunk,
                                 vectors + i * embedder->dim, NULL, err);
        e->n_done += n_chunk;
    }
    return rc;
}

/* The vectors of all texts, of which some may be known. */
static int gallery_embed(encoding *e, lk_upgrade_sample *s,
                         const linkd_embedder *embedder,
                         linkd_model_sample *sample, linkd_error *err)
{
    size_t n_known = sample->anchors != NULL ? s->n_kept : 0;
    float *vectors;
    int rc;

    if (n_known == s->n)
        return LINKD_OK;
    vectors = lk_upgrade_room(s, s->n, embedder->dim * sizeof(*vectors));
    if (vectors == NULL)
        return lk_fail_nomem(err);
    if (n_known > 0)
        memcpy(vectors, sample->anchors,
               n_known * embedder->dim * sizeof(*vectors));
    rc = texts_embed(e, embedder, s->texts + n_known, s->n - n_known,
                     vectors + n_known * embedder->dim, err);
    sample->anchors = vectors;
    return rc;
}

/* Encodes queries, and other texts where they are not known, with one model. */
static int sample_embed(encoding *e, lk_upgrade_sample *s, lk_model *model,
                        const char *name, linkd_model_sample *sample,
                        uint64_t *ret_n_reused, linkd_error *err)
{
    lk_model_embedder storage = {.model = model,
                                 .urgency = LK_JOB,
                                 .use = LINKD_USE_RECORD,
                                 .stop_cb = e->run->stop_cb,
                                 .stop_ctx = e->run->stop_ctx};
    linkd_embedder below = lk_model_embedder_of(&storage);
    linkd_embedder embedder;
    lk_checkpoint *checkpoint = NULL;
    float *queries =
        lk_upgrade_room(s, s->n_queries, below.dim * sizeof(*queries));
    lk_buf path = {0};
    int rc = lk_buf_printf(&path, err, "%s/%s", e->run->dir, name);

    if (rc == LINKD_OK)
        rc = lk_checkpoint_open(path.data, &below, &checkpoint, err);
    lk_buf_clear(&path);
    if (rc != LINKD_OK)
        return rc;
    embedder = lk_checkpoint_embedder(checkpoint);
    sample->dim = below.dim;
    sample->queries = queries;
    rc = queries == NULL ? lk_fail_nomem(err)
                         : gallery_embed(e, s, &embedder, sample, err);
    storage.use = LINKD_USE_QUERY;
    if (rc == LINKD_OK)
        rc = texts_embed(e, &embedder, s->queries, s->n_queries, queries, err);
    *ret_n_reused = lk_checkpoint_n_reused(checkpoint);
    lk_checkpoint_close(checkpoint);
    return rc;
}

static int old_embed(encoding *e, lk_upgrade_sample *s, size_t i,
                     linkd_error *err)
{
    const linkd_generation *g = &s->generations[i];
    uint64_t n_reused;
    char name[32];

    if (!lk_generation_model(e->run->service, g, &s->models[i]))
        return lk_fail(
            err, LINKD_E_ABSENT,
            "model \"%s\", of which older vectors are, is not in the "
            "model store, or is another one by now",
            lk_label_of(g->model).text);
    (void)snprintf(name, sizeof(name), "queries-%u", (unsigned)g->number);
    return sample_embed(e, s, s->models[i], name, &s->samples[i], &n_reused,
                        err);
}

size_t lk_upgrade_sample_n_texts(const lk_upgrade_sample *s)
{
    return s->n + (s->n - s->n_kept) * s->n_generations +
           s->n_queries * (s->n_generations + 1);
}

/* With the new model, which is timed: what was there before it was interrupted takes
 * no time. */
static int new_embed(encoding *e, lk_upgrade_sample *s, linkd_error *err)
{
    uint64_t begin_ns = lk_clock_ns();
    uint64_t n_reused = 0;
    int rc =
        sample_embed(e, s, s->model, "anchors", &s->sample, &n_reused, err);
    uint64_t n_timed = s->n + s->n_queries - n_reused;

    if (rc == LINKD_OK && n_timed > 0)
        s->seconds_per_text =
            lk_clock_seconds_since(begin_ns) / (double)n_timed;
    return rc;
}

int lk_upgrade_sample_take(const lk_job_run *run, lk_upgrade_sample *ret_sample,
                           linkd_error *err)
{
    lk_upgrade_sample *s = ret_sample;
    encoding e = {.run = run, .step = "encode"};
    linkd_collection_info info;
    int rc;

    *s = (lk_upgrade_sample){0};
    rc = linkd_store_describe(run->service->store, run->spec->collection,
                              &s->arena, &info, err);
    if (rc == LINKD_OK)
        rc = linkd_settings_parse(info.options.settings, &s->arena,
                                  &s->settings, err);
    if (rc == LINKD_OK)
        rc = view_read(run, s, err);
    if (rc == LINKD_OK)
        rc = lk_models_get(run->service->models, run->spec->model, &s->model,
                           err);
    s->fitted = lk_upgrade_room(s, 1, sizeof(*s->fitted));
    if (s->fitted != NULL)
        *s->fitted = (linkd_fitted){0};
    else if (rc == LINKD_OK)
        rc = lk_fail_nomem(err);
    e.n_total = lk_upgrade_sample_n_texts(s);
    if (rc == LINKD_OK)
        rc = new_embed(&e, s, err);
    for (size_t i = 0; i < s->n_generations && rc == LINKD_OK; i++)
        rc = old_embed(&e, s, i, err);
    return rc;
}
