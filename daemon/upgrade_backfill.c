/* daemon/upgrade_backfill.c — records into the generation that serves.
 *
 *   view: next records that are elsewhere ─► texts ─► model ─► one transaction
 *      └──────────────── again, until there are none ◄────────────┘
 *
 * What is done shows in the store, so that there is no cursor to keep: a run
 * after a crash passes over what has moved. Each batch begins with the records
 * that searches have found most often since (hits.h); the rest follows in the
 * order of record numbers, which is that of creation.
 *
 * Nothing is encoded twice. What start had to encode is kept with the generation as
 * its anchors, and is found again by its text: of a collection of 4,000 records that
 * is nearly all. A model that is a head on an older generation's needs no text there:
 * the stored vectors are mapped. Either is what encoding would come to, bit for bit.
 *
 * A record that is written meanwhile is of the new model by that, and is left
 * alone. One whose text has no word that the new model knows would have no
 * vector there, and stays where it is. */
#include "daemon/upgrade.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/bridges.h"
#include "daemon/hits.h"
#include "daemon/vector_sources.h"

#define BATCH ((size_t)256)
/* Looks at whether to stop. */
#define PAUSE_NS 50000000L

typedef struct batch {
    linkd_move moves[BATCH];
    linkd_str texts[BATCH];
    size_t n;
    lk_arena arena;
} batch;

typedef struct backfill {
    const lk_job_run *run;
    linkd_settings settings;
    uint32_t collection; /* its number */
    uint32_t generation;
    uint32_t base; /* generation whose vectors are those under the model's head;
                      0: none */
    lk_model *model;
    lk_model_embedder storage;
    linkd_embedder below;
    lk_known *known; /* the generation's anchors */
    linkd_embedder embedder;
    uint64_t next; /* record number */
    uint64_t n_total;
    uint64_t n_seen;
    uint64_t n_moved;
    uint64_t n_encoded; /* texts: not what was known or could be mapped */
    uint64_t n_unknown;
    uint64_t begin_ns;
    bool at_end;
} backfill;

/* Maps a record's vector in the base's generation. */
static int record_map(backfill *b, linkd_view *view, uint64_t number,
                      batch *ret, linkd_error *err)
{
    const float *vector = NULL;
    float *mapped =
        lk_arena_alloc(&ret->arena, b->embedder.dim * sizeof(*mapped));
    int rc = mapped == NULL ? lk_fail_nomem(err)
                            : linkd_view_turn_to(view, b->base, err);

    if (rc == LINKD_OK)
        rc = linkd_view_vector(view, number, &vector, err);
    if (rc == LINKD_OK && vector != NULL)
        rc = linkd_model_head_apply(lk_model_head_of(b->model), vector, 1,
                                    mapped, err);
    if (rc == LINKD_OK && vector != NULL)
        ret->moves[ret->n].vector = mapped;
    return rc;
}

/* Takes a record that is alive in an older generation, if the new model can make
 * anything of it. One that is gone is in no generation. */
static int record_take(backfill *b, linkd_view *view, uint64_t number,
                       batch *ret, bool *ret_is_older, linkd_error *err)
{
    uint32_t generation = 0;
    linkd_stored record;
    lk_buf text = {0};
    char *copy = NULL;
    int rc = linkd_view_locate(view, number, &generation, err);

    *ret_is_older = generation != 0 && generation != b->generation;
    if (rc != LINKD_OK || !*ret_is_older)
        return rc;
    rc = linkd_view_read(view, number, &ret->arena, &record, err);
    if (rc == LINKD_OK)
        rc = linkd_settings_text(&b->settings, record.fields, record.n_fields,
                                 &text, err);
    if (rc == LINKD_OK && text.len > 0 &&
        b->embedder.knows(b->embedder.ctx, (linkd_str){text.data, text.len})) {
        copy = lk_arena_copy(&ret->arena, text.data, text.len);
        ret->texts[ret->n] = (linkd_str){copy, text.len};
        ret->moves[ret->n] = (linkd_move){.number = number, .seq = record.seq};
        rc = copy == NULL ? lk_fail_nomem(err) : LINKD_OK;
        if (rc == LINKD_OK && generation == b->base)
            rc = record_map(b, view, number, ret, err);
        ret->n++;
    }
    lk_buf_clear(&text);
    return rc;
}

/* No more than the limit leaves, or than may be moved in a second. */
static size_t batch_room(const backfill *b)
{
    size_t limit = b->run->spec->limit;
    size_t rate = b->run->spec->rate;
    uint64_t left = limit > b->n_moved ? limit - b->n_moved : 0;
    size_t n = rate > 0 && rate < BATCH ? rate : BATCH;

    return limit == 0 || left > n ? n : (size_t)left;
}

/* Those that were hit. */
static int hits_collect(backfill *b, linkd_view *view, size_t n_room,
                        batch *ret, linkd_error *err)
{
    uint64_t numbers[BATCH];
    size_t n =
        lk_hits_take(b->run->service->hits, b->collection, numbers, n_room);
    bool is_older;
    int rc = LINKD_OK;

    for (size_t i = 0; i < n && rc == LINKD_OK; i++)
        rc = record_take(b, view, numbers[i], ret, &is_older, err);
    b->n_seen += ret->n;
    return rc;
}

static bool batch_has(const batch *taken, size_t n, uint64_t number)
{
    for (size_t i = 0; i < n; i++)
        if (taken->moves[i].number == number)
            return true;
    return false;
}

/* The next record by number, unless it is among the first `n_hit`. */
static int next_collect(backfill *b, linkd_view *view, size_t n_hit, batch *ret,
                        linkd_error *err)
{
    size_t n_before = ret->n;
    bool is_older = false;
    bool found = true;
    int rc = linkd_view_next(view, b->next, &b->next, &found, err);

    b->at_end = rc == LINKD_OK && !found;
    if (rc != LINKD_OK || !found)
        return rc;
    if (!batch_has(ret, n_hit, b->next))
        rc = record_take(b, view, b->next, ret, &is_older, err);
    b->next++;
    b->n_seen += is_older;
    b->n_unknown += is_older && ret->n == n_before;
    return rc;
}

static int batch_collect(backfill *b, batch *ret, linkd_error *err)
{
    size_t n_room = batch_room(b);
    size_t n_hit;
    linkd_view *view = NULL;
    int rc = linkd_view_open(b->run->service->store, b->run->spec->collection,
                             &view, err);

    if (rc == LINKD_OK)
        rc = hits_collect(b, view, n_room, ret, err);
    n_hit = ret->n;
    while (rc == LINKD_OK && ret->n < n_room && !b->at_end)
        rc = next_collect(b, view, n_hit, ret, err);
    linkd_view_close(view);
    return rc;
}

/* Encodes what has no vector yet. */
static int batch_embed(backfill *b, batch *taken, linkd_error *err)
{
    linkd_str texts[BATCH];
    size_t n = 0;
    uint64_t n_found = lk_known_n_found(b->known);
    float *vectors = lk_arena_alloc(&taken->arena, taken->n * b->embedder.dim *
                                                       sizeof(*vectors));
    int rc = vectors == NULL ? lk_fail_nomem(err) : LINKD_OK;

    for (size_t i = 0; i < taken->n; i++)
        if (taken->moves[i].vector == NULL)
            texts[n++] = taken->texts[i];
    if (rc == LINKD_OK && n > 0)
        rc = b->embedder.embed(b->embedder.ctx, texts, n, vectors, NULL, err);
    b->n_encoded += n - (lk_known_n_found(b->known) - n_found);
    n = 0;
    for (size_t i = 0; i < taken->n && rc == LINKD_OK; i++)
        if (taken->moves[i].vector == NULL)
            taken->moves[i].vector = vectors + n++ * b->embedder.dim;
    return rc;
}

static int batch_move(backfill *b, batch *taken, linkd_error *err)
{
    uint64_t n_moved = 0;
    int rc = batch_embed(b, taken, err);

    if (rc == LINKD_OK)
        rc = linkd_store_move(b->run->service->store, b->run->spec->collection,
                              b->generation, taken->moves, taken->n, &n_moved,
                              err);
    b->n_moved += n_moved;
    return rc;
}

/* Waits until no more than `rate` records a second were moved. */
static int rate_keep(const backfill *b, linkd_error *err)
{
    static const struct timespec pause = {.tv_nsec = PAUSE_NS};
    double rate = (double)b->run->spec->rate;

    while (rate > 0.0 && !b->at_end &&
           (double)b->n_moved > rate * lk_clock_seconds_since(b->begin_ns)) {
        if (b->run->stop_cb(b->run->stop_ctx))
            return lk_fail(err, LINKD_E_CANCELLED, "interrupted");
        (void)nanosleep(&pause, NULL);
    }
    return LINKD_OK;
}

static int batch_do(backfill *b, linkd_error *err)
{
    batch *taken = calloc(1, sizeof(*taken));
    int rc = taken == NULL ? lk_fail_nomem(err) : batch_collect(b, taken, err);

    if (rc == LINKD_OK && taken->n > 0)
        rc = batch_move(b, taken, err);
    if (rc == LINKD_OK)
        rc = lk_progress_report(b->run->progress, "backfill", b->n_seen,
                                b->n_total, err);
    if (taken != NULL)
        lk_arena_clear(&taken->arena);
    free(taken);
    return rc == LINKD_OK ? rate_keep(b, err) : rc;
}

static int fingerprint_check(const backfill *b, linkd_str fingerprint,
                             linkd_error *err)
{
    const char *found = b->below.fingerprint;

    if (lk_fingerprint_is(fingerprint, found))
        return LINKD_OK;
    return lk_fail(err, LINKD_E_CONFLICT,
                   "the collection's model is another one by now: its "
                   "fingerprint is %s, not %s",
                   found, lk_label_of(fingerprint).text);
}

bool lk_upgrade_is_base(const lk_model *model,
                        const linkd_generation *generation)
{
    const linkd_model_head *head = lk_model_head_of(model);

    return head != NULL && generation->fingerprint.len == LINKD_MODEL_DIGITS &&
           memcmp(linkd_compat_map_info(head->map).from,
                  generation->fingerprint.bytes, LINKD_MODEL_DIGITS) == 0;
}

/* The anchors' texts and vectors, if the generation has any. */
static int anchors_copy(linkd_view *view, uint32_t generation,
                        lk_known_writer *file, linkd_error *err)
{
    lk_arena arena = {0};
    linkd_str bytes;
    linkd_str *texts = NULL;
    float *vectors = NULL;
    size_t dim = 0;
    size_t n = 0;
    size_t n_texts = 0;
    bool found = false;
    int rc = linkd_view_blob(view, 0, LINKD_BLOB_TEXTS, 0, &bytes, &found, err);

    if (rc == LINKD_OK && found)
        rc = linkd_texts_decode(bytes, &arena, &texts, &n_texts, err);
    if (rc == LINKD_OK && found)
        rc = linkd_view_blob(view, generation, LINKD_BLOB_ANCHORS, 0, &bytes,
                             &found, err);
    if (rc == LINKD_OK && found)
        rc = linkd_vectors_decode(bytes, &arena, &vectors, &n, &dim, err);
    if (rc == LINKD_OK && (n > n_texts || dim != linkd_view_dim(view)) && found)
        rc = lk_fail(err, LINKD_E_DATA,
                     "damaged database: generation %u has other anchors",
                     (unsigned)generation);
    for (size_t i = 0; i < n && rc == LINKD_OK; i++)
        rc = lk_known_writer_add(file, texts[i], vectors + i * dim, err);
    lk_arena_clear(&arena);
    return rc;
}

/* What is damaged is encoded again: it is kept to spare that alone. */
static int anchors_write(const backfill *b, lk_known_writer *file,
                         linkd_error *err)
{
    linkd_error damage = {0};
    linkd_view *view = NULL;
    int rc = linkd_view_open(b->run->service->store, b->run->spec->collection,
                             &view, &damage);

    if (rc == LINKD_OK)
        rc = anchors_copy(view, b->generation, file, &damage);
    linkd_view_close(view);
    if (rc == LINKD_OK || rc == LINKD_E_DATA)
        return LINKD_OK;
    if (err != NULL)
        *err = damage;
    return rc;
}

/* Puts what start has encoded before the model. */
static int anchors_open(backfill *b, linkd_error *err)
{
    lk_known_writer *file = NULL;
    lk_buf path = {0};
    int rc = lk_buf_printf(&path, err, "%s/known", b->run->dir);

    if (rc == LINKD_OK)
        rc = lk_known_writer_open(path.data, b->below.dim, &file, err);
    if (rc == LINKD_OK)
        rc = anchors_write(b, file, err);
    if (file != NULL) {
        int rc_close = lk_known_writer_close(file, rc == LINKD_OK,
                                             rc == LINKD_OK ? err : NULL);

        rc = rc == LINKD_OK ? rc_close : rc;
    }
    if (rc == LINKD_OK)
        rc = lk_known_open((const char *[]){path.data}, 1, b->below.dim,
                           &b->below, &b->known, err);
    if (rc == LINKD_OK)
        b->embedder = lk_known_embedder(b->known);
    lk_buf_clear(&path);
    return rc;
}

/* The model that serves, and what need not be encoded with it. */
static int model_open(backfill *b, const linkd_collection_options *options,
                      const linkd_generation *all, size_t n, linkd_error *err)
{
    int rc =
        lk_models_get(b->run->service->models, options->model, &b->model, err);

    if (rc != LINKD_OK)
        return rc;
    b->storage = (lk_model_embedder){.model = b->model,
                                     .urgency = LK_JOB,
                                     .use = LINKD_USE_RECORD,
                                     .stop_cb = b->run->stop_cb,
                                     .stop_ctx = b->run->stop_ctx};
    b->below = lk_model_embedder_of(&b->storage);
    rc = fingerprint_check(b, options->fingerprint, err);
    for (size_t i = n; i > 0; i--)
        if (lk_upgrade_is_base(b->model, &all[i - 1]))
            b->base = all[i - 1].number;
    return rc == LINKD_OK ? anchors_open(b, err) : rc;
}

static int backfill_open(backfill *b, lk_arena *arena, linkd_error *err)
{
    const lk_job_run *run = b->run;
    linkd_collection_info info;
    linkd_generation all[LINKD_GENERATIONS_MAX] = {0};
    size_t n = 0;
    int rc = linkd_store_describe(run->service->store, run->spec->collection,
                                  arena, &info, err);

    if (rc == LINKD_OK)
        rc = linkd_settings_parse(info.options.settings, arena, &b->settings,
                                  err);
    if (rc == LINKD_OK)
        rc = lk_generations_list(run->service->store, run->spec->collection,
                                 arena, all, &n, err);
    for (size_t i = 0; i < n; i++)
        if (all[i].number != info.generation)
            b->n_total += all[i].n_vectors;
    b->collection = info.number;
    b->generation = info.generation;
    if (rc == LINKD_OK && b->n_total > 0)
        rc = model_open(b, &info.options, all, n, err);
    return rc;
}

int lk_upgrade_backfill(const lk_job_run *run, lk_job_outcome *outcome,
                        linkd_error *err)
{
    backfill b = {.run = run, .begin_ns = lk_clock_ns()};
    lk_arena arena = {0};
    int rc = backfill_open(&b, &arena, err);

    b.at_end = b.n_total == 0;
    while (rc == LINKD_OK && !b.at_end && batch_room(&b) > 0)
        rc = batch_do(&b, err);
    lk_known_close(b.known);
    lk_arena_clear(&arena);
    if (rc != LINKD_OK)
        return rc;
    outcome->counts = json_pack(
        "{s:I, s:I, s:I}", "moved", (json_int_t)b.n_moved, "encoded",
        (json_int_t)b.n_encoded, "without_words", (json_int_t)b.n_unknown);
    return outcome->counts == NULL ? lk_fail_nomem(err) : LINKD_OK;
}

int lk_upgrade_gc(const lk_job_run *run, lk_job_outcome *outcome,
                  linkd_error *err)
{
    linkd_freed freed = {0};
    int rc = linkd_store_free_inactive(
        run->service->store, run->spec->collection, run->progress, &freed, err);

    if (rc != LINKD_OK)
        return rc;
    outcome->counts =
        json_pack("{s:I, s:I}", "vectors", (json_int_t)freed.n_vectors,
                  "generations", (json_int_t)freed.n_generations);
    return outcome->counts == NULL ? lk_fail_nomem(err) : LINKD_OK;
}
