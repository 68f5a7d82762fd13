/* daemon/upgrade_estimate.c — what a probe will cost, measured on some records
 * before it begins. */
#include "daemon/upgrade.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/bridges.h"

/* So many that a length is typical, and that it is over soon. A guess. */
#define TEXTS_MEASURED ((size_t)32)

typedef struct measured {
    lk_arena arena;
    linkd_settings settings;
    linkd_str texts[TEXTS_MEASURED];
    size_t n;
    uint64_t n_records;
} measured;

static int text_add(measured *m, linkd_view *view, uint64_t number,
                    linkd_error *err)
{
    linkd_stored record;
    lk_buf text = {0};
    char *copy;
    int rc = linkd_view_read(view, number, &m->arena, &record, err);

    if (rc == LINKD_OK)
        rc = linkd_settings_text(&m->settings, record.fields, record.n_fields,
                                 &text, err);
    if (rc == LINKD_OK && text.len > 0) {
        copy = lk_arena_copy(&m->arena, text.data, text.len);
        m->texts[m->n] = (linkd_str){copy, text.len};
        m->n += copy != NULL;
        rc = copy == NULL ? lk_fail_nomem(err) : LINKD_OK;
    }
    lk_buf_clear(&text);
    return rc;
}

/* Records that are spread over the collection. */
static int texts_read(measured *m, linkd_view *view, linkd_error *err)
{
    uint64_t number = 0;
    bool found = true;
    int rc = LINKD_OK;

    m->n_records = linkd_view_n_records(view);
    for (size_t i = 0; i < TEXTS_MEASURED && rc == LINKD_OK && found; i++) {
        uint64_t from = m->n_records * i / TEXTS_MEASURED;

        if (i > 0 && from <= number)
            from = number + 1;
        rc = linkd_view_next(view, from, &number, &found, err);
        if (rc == LINKD_OK && found)
            rc = text_add(m, view, number, err);
    }
    return rc;
}

static int measured_read(lk_service *service, linkd_str collection, measured *m,
                         linkd_error *err)
{
    linkd_collection_info info;
    linkd_view *view = NULL;
    int rc =
        linkd_store_describe(service->store, collection, &m->arena, &info, err);

    if (rc == LINKD_OK)
        rc = linkd_settings_parse(info.options.settings, &m->arena,
                                  &m->settings, err);
    if (rc == LINKD_OK)
        rc = linkd_view_open(service->store, collection, &view, err);
    if (rc == LINKD_OK)
        rc = texts_read(m, view, err);
    linkd_view_close(view);
    return rc;
}

/* Seconds that the model takes for a text; 0: there is none. */
static int speed_measure(measured *m, lk_model *model, lk_request *request,
                         double *ret_seconds, linkd_error *err)
{
    size_t dim = lk_model_describe(model)->dim;
    float *vectors = lk_alloc_aligned(m->n + 1, dim * sizeof(*vectors));
    const lk_model_embedder records = {.model = model,
                                       .urgency = LK_BULK,
                                       .use = LINKD_USE_RECORD,
                                       .stop_cb = lk_request_is_over,
                                       .stop_ctx = request};
    uint64_t begin_ns = lk_clock_ns();
    int rc = vectors == NULL
                 ? lk_fail_nomem(err)
                 : lk_model_embed(&records, m->texts, m->n, vectors, NULL, err);

    *ret_seconds =
        m->n > 0 ? lk_clock_seconds_since(begin_ns) / (double)m->n : 0.0;
    free(vectors);
    return rc;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Of the sample there are at most so many. */
typedef struct sizes {
    size_t anchors;
    size_t queries;
    size_t added; /* answers, and what labels teach, that are no anchors */
} sizes;

static sizes sizes_of(const lk_job_spec *spec, uint64_t n_records)
{
    size_t n_anchors = least((size_t)n_records, spec->n_anchors);
    /* labels ask one for each entity, which has two records at least */
    size_t n_asked = spec->n_queries > 0 ? spec->n_queries : spec->n_labels / 2;
    size_t n_given = least(n_asked, LK_QUERIES_MOST);
    size_t n_made = (n_anchors + LINKD_ANCHORS_HELD - 1) / LINKD_ANCHORS_HELD;

    return (sizes){
        .anchors = n_anchors,
        .queries = n_given > 0 ? n_given : n_made,
        .added = least(spec->n_queries + spec->n_labels,
                       (size_t)n_records - n_anchors),
    };
}

/* See lk_upgrade_sample_n_texts(). */
static double texts_of(sizes s, size_t n_generations)
{
    return (double)(s.anchors + (s.queries + s.added) * (n_generations + 1));
}

/* Processor seconds of a start with 4,000 anchors, 800 queries and 384 numbers
 * under both models (2026-11-29, busy machine): of the trial, and of each
 * generation what grows with the queries, and the maps both ways. */
#define JUDGE_SECONDS   3.1
#define QUERIES_SECONDS 3.5
#define MAPS_SECONDS    1.3
/* More than the closed forms, both ways. */
static const double head_seconds[LINKD_N_HEADS] = {
    [LINKD_HEAD_MLP] = 8.0,
    [LINKD_HEAD_CONTRAST] = 5.8,
};

static double fit_seconds_of(const lk_job_spec *spec, sizes s, double dim_new,
                             const linkd_generation *generations, size_t n)
{
    double anchors = (double)(s.anchors + s.added) / 4000.0;
    double pairs = anchors * (double)s.queries / 800.0;
    double maps =
        MAPS_SECONDS + (spec->auto_head ? 0.0 : head_seconds[spec->head]);
    double seconds = 0.0;

    for (size_t i = 0; i < n; i++) {
        double dim_old = (double)generations[i].dim;

        if (generations[i].state == LINKD_GENERATION_SERVING)
            seconds += JUDGE_SECONDS * pairs * (dim_old + dim_new) / 768.0;
        seconds += QUERIES_SECONDS * pairs * (dim_old + dim_new) / 768.0 +
                   maps * anchors * dim_old * dim_new / (384.0 * 384.0);
    }
    return seconds;
}

/* Whether the collection had the model before: nothing is encoded then. */
static bool is_known(const linkd_generation *generations, size_t n,
                     const lk_model *model)
{
    const char *fingerprint = lk_model_describe(model)->fingerprint;
    bool known = false;

    for (size_t i = 0; i < n; i++)
        known =
            known || lk_fingerprint_is(generations[i].fingerprint, fingerprint);
    return known;
}

int lk_upgrade_estimate(lk_service *service, lk_request *request,
                        const lk_job_spec *spec, lk_buf *ret_json,
                        linkd_error *err)
{
    linkd_generation generations[LINKD_GENERATIONS_MAX];
    size_t n_generations = 0;
    measured m = {.n = 0};
    lk_model *model = NULL;
    double seconds = 0.0;
    double fit_seconds = 0.0;
    double n_texts = 0.0;
    int rc = lk_models_get(service->models, spec->model, &model, err);

    if (rc == LINKD_OK)
        rc = lk_generations_list(service->store, spec->collection, &m.arena,
                                 generations, &n_generations, err);
    if (rc == LINKD_OK)
        rc = measured_read(service, spec->collection, &m, err);
    if (rc == LINKD_OK)
        rc = speed_measure(&m, model, request, &seconds, err);
    if (rc == LINKD_OK && !is_known(generations, n_generations, model)) {
        sizes s = sizes_of(spec, m.n_records);

        n_texts = texts_of(s, n_generations);
        fit_seconds =
            fit_seconds_of(spec, s, (double)lk_model_describe(model)->dim,
                           generations, n_generations);
    }
    if (rc == LINKD_OK)
        rc = lk_buf_printf(ret_json, err,
                           "{\"records\":%.0f,\"texts\":%.0f,"
                           "\"seconds_per_text\":%.6f,\"fit_seconds\":%.3f,"
                           "\"seconds\":%.3f,\"backfill_seconds\":%.3f}\n",
                           (double)m.n_records, n_texts, seconds, fit_seconds,
                           seconds * n_texts + fit_seconds,
                           seconds * (double)m.n_records);
    lk_arena_clear(&m.arena);
    return rc;
}
