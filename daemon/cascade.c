/* daemon/cascade.c — see cascade.h.
 *
 * The view is closed while texts are encoded, some tenths of a second for a
 * hundred: a record that changes meanwhile is told by its sequence number, when
 * it is scored (linkage/mixed.c) as when it is moved (index/generations.c).
 *
 * Texts wait in the model's bulk queue, so that a cascade holds up no query; one
 * that finds the queue full goes without. */
#include "daemon/cascade.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/bridges.h"
#include "daemon/throttle.h"

void lk_cascade_open(lk_service *service, lk_request *request,
                     linkd_str collection, const linkd_collection_info *info,
                     size_t n_most, lk_cascade *ret_cascade)
{
    linkd_generation serving = {.model = info->options.model,
                                .fingerprint = info->options.fingerprint};
    lk_cascade *c = ret_cascade;
    lk_model *model = NULL;

    *c = (lk_cascade){.service = service,
                      .request = request,
                      .collection = collection,
                      .generation = info->generation,
                      .n_most = n_most < LK_CASCADE_TEXTS_MAX
                                    ? n_most
                                    : LK_CASCADE_TEXTS_MAX};
    c->candidates = lk_arena_alloc(&request->arena, LK_CASCADE_TEXTS_MAX *
                                                        sizeof(*c->candidates));
    if (c->candidates != NULL &&
        linkd_settings_parse(info->options.settings, &request->arena,
                             &c->settings, NULL) == LINKD_OK &&
        lk_generation_model(service, &serving, &model))
        c->model = model;
    else
        lk_metrics_count_degraded(service->metrics);
}

/* Gives up; the search goes on without. */
static void cascade_drop(lk_cascade *c)
{
    c->n = 0;
    c->n_fresh = 0;
    lk_metrics_count_degraded(c->service->metrics);
}

void lk_cascade_add(lk_cascade *c, const linkd_found *found, size_t n)
{
    for (size_t i = 0; i < n && c->n < c->n_most; i++)
        if (found[i].generation != c->generation) {
            c->candidates[c->n] =
                (lk_candidate){.number = found[i].id, .place = c->n};
            c->n++;
        }
}

/* ---- texts ------------------------------------------------------------------- */

static int number_compare(const void *a, const void *b)
{
    const lk_candidate *x = a;
    const lk_candidate *y = b;

    if (x->number != y->number)
        return x->number < y->number ? -1 : 1;
    return (x->place > y->place) - (x->place < y->place);
}

static int place_compare(const void *a, const void *b)
{
    const lk_candidate *x = a;
    const lk_candidate *y = b;

    return (x->place > y->place) - (x->place < y->place);
}

/* Each record once, at its best place. */
static void candidates_sort(lk_cascade *c)
{
    size_t n = 0;

    if (c->n > 0)
        qsort(c->candidates, c->n, sizeof(*c->candidates), number_compare);
    for (size_t i = 0; i < c->n; i++)
        if (n == 0 || c->candidates[i].number != c->candidates[n - 1].number)
            c->candidates[n++] = c->candidates[i];
    c->n = n;
}

/* ret->text is empty if the model could make nothing of it. */
static int text_read(lk_cascade *c, linkd_view *view,
                     const linkd_embedder *embedder, lk_candidate *ret,
                     linkd_error *err)
{
    lk_arena arena = {0};
    lk_buf text = {0};
    linkd_stored record = {0};
    char *copy = NULL;
    int rc = linkd_view_read(view, ret->number, &arena, &record, err);

    if (rc == LINKD_OK)
        rc = linkd_settings_text(&c->settings, record.fields, record.n_fields,
                                 &text, err);
    if (rc == LINKD_OK && text.len > 0 &&
        embedder->knows(embedder->ctx, (linkd_str){text.data, text.len})) {
        copy = lk_arena_copy(&c->request->arena, text.data, text.len);
        rc = copy == NULL ? lk_fail_nomem(err) : LINKD_OK;
    }
    if (copy != NULL)
        ret->text = (linkd_str){copy, text.len};
    ret->seq = record.seq;
    lk_buf_clear(&text);
    lk_arena_clear(&arena);
    return rc;
}

void lk_cascade_read(lk_cascade *c, linkd_view *view)
{
    lk_model_embedder storage = {.model = c->model};
    linkd_embedder embedder;
    size_t n = 0;
    int rc = LINKD_OK;

    if (c->n == 0)
        return;
    embedder = lk_model_embedder_of(&storage);
    candidates_sort(c);
    for (size_t i = 0; i < c->n && rc == LINKD_OK; i++) {
        lk_candidate candidate = c->candidates[i];

        rc = text_read(c, view, &embedder, &candidate, NULL);
        if (rc == LINKD_OK && candidate.text.len > 0)
            c->candidates[n++] = candidate;
    }
    c->n = n;
    if (rc != LINKD_OK)
        cascade_drop(c);
}

/* ---- vectors ------------------------------------------------------------------ */

typedef struct deadline {
    lk_request *request;
    uint64_t at_ns;
} deadline;

static bool deadline_is_over(void *ctx)
{
    const deadline *d = ctx;

    return lk_clock_ns() >= d->at_ns || lk_request_is_over(d->request);
}

static deadline deadline_of(lk_request *request)
{
    uint64_t now_ns = lk_clock_ns();
    uint64_t left_ns =
        request->deadline_ns > now_ns ? request->deadline_ns - now_ns : 0;

    return (deadline){request, now_ns + left_ns / 2};
}

static void fresh_fill(lk_cascade *c, const float *vectors, size_t dim)
{
    for (size_t i = 0; i < c->n; i++) {
        lk_candidate *candidate = &c->candidates[i];

        candidate->vector = vectors + i * dim;
        c->fresh[i] = (linkd_fresh){.number = candidate->number,
                                    .seq = candidate->seq,
                                    .vector = candidate->vector};
    }
    c->n_fresh = c->n;
}

void lk_cascade_encode(lk_cascade *c)
{
    lk_arena *arena = &c->request->arena;
    deadline until = deadline_of(c->request);
    const lk_model_embedder records = {.model = c->model,
                                       .urgency = LK_BULK,
                                       .use = LINKD_USE_RECORD,
                                       .stop_cb = deadline_is_over,
                                       .stop_ctx = &until};
    size_t dim;
    linkd_str *texts;
    float *vectors;

    if (c->n == 0)
        return;
    dim = lk_model_describe(c->model)->dim;
    texts = lk_arena_alloc(arena, c->n * sizeof(*texts));
    vectors = lk_arena_alloc(arena, c->n * dim * sizeof(*vectors));
    c->fresh = lk_arena_alloc(arena, c->n * sizeof(*c->fresh));
    if (texts == NULL || vectors == NULL || c->fresh == NULL) {
        cascade_drop(c);
        return;
    }
    for (size_t i = 0; i < c->n; i++)
        texts[i] = c->candidates[i].text;
    if (lk_model_embed(&records, texts, c->n, vectors, NULL, NULL) !=
        LINKD_OK) {
        cascade_drop(c);
        return;
    }
    fresh_fill(c, vectors, dim);
    lk_metrics_count_cascade(c->service->metrics, c->n, 0);
}

/* ---- writing ------------------------------------------------------------------ */

void lk_cascade_write(lk_cascade *c)
{
    size_t n = c->n_fresh > 0 ? lk_throttle_take(&c->service->cascades,
                                                 c->n_fresh, lk_clock_ns())
                              : 0;
    linkd_move *moves;
    uint64_t n_moved = 0;

    if (n == 0)
        return;
    moves = lk_arena_alloc(&c->request->arena, n * sizeof(*moves));
    if (moves == NULL) {
        lk_metrics_count_degraded(c->service->metrics);
        return;
    }
    qsort(c->candidates, c->n, sizeof(*c->candidates), place_compare);
    for (size_t i = 0; i < n; i++)
        moves[i] = (linkd_move){c->candidates[i].number, c->candidates[i].seq,
                                c->candidates[i].vector};
    if (linkd_store_move(c->service->store, c->collection, c->generation, moves,
                         n, &n_moved, NULL) != LINKD_OK)
        lk_metrics_count_degraded(c->service->metrics);
    lk_metrics_count_cascade(c->service->metrics, 0, n_moved);
}
