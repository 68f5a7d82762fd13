/* linkage/collection.c — records into a collection that has a model: their texts
 * are encoded here, and the store gets the vectors.
 *
 *   put     texts ─► vectors ─► store
 *   attach  text ─► vector ─► [ key known? ─► view: nearest ─► store ]
 *
 * What is in brackets happens under a lock, so that of two equal records that
 * are attached at once the second finds the first: a commit is visible to the
 * next view. Encoding, which takes longest, stays outside.
 *
 * Invariant: an attach that was repeated under its idempotency key answers what
 * the first one did. Match and score are no part of what the store keeps, so
 * they go into the key's note:
 *   is_new u8, score f32, id of the match
 *
 * In a collection whose model was changed the nearest is looked for in all its
 * generations (mixed.c); the record itself goes into the one that serves.
 *
 * What this does not do: keep others from deleting the matched record between
 * search and write. The store refuses to join what is gone, and the search is
 * done again. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "linkage/linkage.h"

/* Texts of one call of the embedder: it may be shared, and others wait. */
#define CHUNK_TEXTS ((size_t)512)
/* A match that vanished is found to be gone by the next search; a guess at how
 * often that happens in a row. */
#define ATTACH_ATTEMPTS 5

/* ---- putting ------------------------------------------------------------- */

/* The contents of records that have something to encode, one after another. */
typedef struct texts {
    lk_buf bytes;
    size_t *ends;    /* text i ends here, and begins where i - 1 ends */
    size_t *places;  /* of its record among the puts */
    linkd_str *strs; /* made when bytes no longer move */
    float *vectors;  /* [n, dim] */
    size_t n;
} texts;

static void texts_clear(texts *t)
{
    lk_buf_clear(&t->bytes);
    free(t->ends);
    free(t->places);
    free(t->strs);
    free(t->vectors);
    *t = (texts){0};
}

static void unusable_note(linkd_unusable *unusable, size_t place,
                          const linkd_error *why)
{
    if (unusable == NULL)
        return;
    if (unusable->n < LINKD_IMAGE_PROBLEMS_MAX) {
        unusable->first[unusable->n].put = place;
        unusable->first[unusable->n].why = *why;
    }
    unusable->n++;
}

/* Cuts a picture that cannot be used off the content that is last in the buffer,
 * and tells whether anything is left that the model knows. A picture is decoded
 * here, so that the model is asked about texts alone. */
static int content_judge(texts *t, size_t begin, const linkd_settings *settings,
                         const linkd_embedder *embedder, const linkd_put *put,
                         linkd_error *why, bool *ret_is_known)
{
    linkd_str all = {t->bytes.data + begin, t->bytes.len - begin};
    int rc = linkd_settings_check_picture(settings, put, why);

    *ret_is_known = rc == LINKD_OK && settings->image.len > 0 &&
                    linkd_content_split(all).picture.len > 0;
    if (rc != LINKD_OK) {
        all = linkd_content_split(all).text;
        t->bytes.len = begin + all.len;
    }
    if (!*ret_is_known && all.len > 0)
        *ret_is_known = embedder->knows(embedder->ctx, all);
    return rc;
}

/* Adds the content of puts[place], unless there is nothing to encode. */
static int texts_add(texts *t, const linkd_settings *settings,
                     const linkd_embedder *embedder, const linkd_put *puts,
                     size_t place, linkd_unusable *unusable, linkd_error *err)
{
    size_t begin = t->bytes.len;
    bool is_known = false;
    linkd_error why;
    int rc = linkd_settings_text(settings, puts[place].fields,
                                 puts[place].n_fields, &t->bytes, err);

    if (rc != LINKD_OK)
        return rc;
    rc = content_judge(t, begin, settings, embedder, &puts[place], &why,
                       &is_known);
    if (rc == LINKD_E_NOMEM)
        return lk_fail_nomem(err);
    if (rc != LINKD_OK)
        unusable_note(unusable, place, &why);
    if (!is_known) {
        t->bytes.len = begin;
        return LINKD_OK;
    }
    t->ends[t->n] = t->bytes.len;
    t->places[t->n++] = place;
    return LINKD_OK;
}

static int texts_collect(texts *t, const linkd_settings *settings,
                         const linkd_embedder *embedder, const linkd_put *puts,
                         size_t n, linkd_unusable *unusable, linkd_error *err)
{
    int rc = LINKD_OK;

    t->ends = calloc(n + 1, sizeof(*t->ends));
    t->places = calloc(n + 1, sizeof(*t->places));
    t->strs = calloc(n + 1, sizeof(*t->strs));
    if (t->ends == NULL || t->places == NULL || t->strs == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < n && rc == LINKD_OK; i++) {
        if (puts[i].vector == NULL)
            rc = texts_add(t, settings, embedder, puts, i, unusable, err);
    }
    for (size_t i = 0; i < t->n && rc == LINKD_OK; i++) {
        size_t begin = i > 0 ? t->ends[i - 1] : 0;

        t->strs[i] = (linkd_str){t->bytes.data + begin, t->ends[i] - begin};
    }
    return rc;
}

static int texts_embed(texts *t, const linkd_embedder *embedder,
                       linkd_error *err)
{
    int rc = LINKD_OK;

    if (t->n == 0)
        return LINKD_OK;
    t->vectors = lk_alloc_aligned(t->n, embedder->dim * sizeof(*t->vectors));
    if (t->vectors == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < t->n && rc == LINKD_OK; i += CHUNK_TEXTS) {
        size_t n = t->n - i < CHUNK_TEXTS ? t->n - i : CHUNK_TEXTS;

        rc = embedder->embed(embedder->ctx, t->strs + i, n,
                             t->vectors + i * embedder->dim, NULL, err);
    }
    return rc;
}

int linkd_collection_put(linkd_store *store, linkd_str collection,
                         const linkd_settings *settings,
                         const linkd_embedder *embedder, const linkd_put *puts,
                         size_t n, const linkd_once *once,
                         linkd_write_result *ret_result,
                         linkd_unusable *ret_unusable, linkd_error *err)
{
    linkd_put *filled = NULL;
    texts t = {0};
    int rc;

    if (n > LINKD_PUT_MAX)
        return lk_fail(err, LINKD_E_ARG,
                       "%zu records in one write, most is %zu", n,
                       LINKD_PUT_MAX);
    rc = texts_collect(&t, settings, embedder, puts, n, ret_unusable, err);
    if (rc == LINKD_OK)
        rc = texts_embed(&t, embedder, err);
    if (rc != LINKD_OK)
        goto done;
    filled = calloc(n + 1, sizeof(*filled));
    if (filled == NULL) {
        rc = lk_fail_nomem(err);
        goto done;
    }
    for (size_t i = 0; i < n; i++)
        filled[i] = puts[i];
    for (size_t i = 0; i < t.n; i++) {
        linkd_put *put = &filled[t.places[i]];

        put->dim = embedder->dim;
        put->vector = t.vectors + i * embedder->dim;
    }
    rc = linkd_store_put(store, collection, filled, n, once, ret_result, err);
done:
    free(filled);
    texts_clear(&t);
    return rc;
}

/* ---- attaching: one at a time in a collection ---------------------------- */

/* A few locks for all collections, by the hash of the name: two collections
 * that share one wait for each other, which costs time and nothing else. */
#define N_LOCKS 16
#define LOCK    PTHREAD_MUTEX_INITIALIZER
static pthread_mutex_t attach_locks[N_LOCKS] = {
    LOCK, LOCK, LOCK, LOCK, LOCK, LOCK, LOCK, LOCK,
    LOCK, LOCK, LOCK, LOCK, LOCK, LOCK, LOCK, LOCK,
};

static pthread_mutex_t *lock_of(linkd_str collection)
{
    XXH64_hash_t hash = XXH3_64bits(collection.bytes, collection.len);

    return &attach_locks[hash % N_LOCKS];
}

/* ---- the note of an attach ----------------------------------------------- */

/*   flags u8 | score f32 | [MIXED: generation u32 | way u8 | probability f32] | id */
#define NOTE_HEAD  (sizeof(uint8_t) + sizeof(float))
#define NOTE_MIXED (sizeof(uint32_t) + sizeof(uint8_t) + sizeof(float))
#define IS_NEW     1
#define IS_MIXED   2 /* the collection's model was changed */

typedef struct note {
    char bytes[NOTE_HEAD + NOTE_MIXED + LINKD_ID_MAX_BYTES];
    size_t len;
} note;

static void note_add(note *n, const void *bytes, size_t len)
{
    if (len > 0)
        memcpy(n->bytes + n->len, bytes, len);
    n->len += len;
}

/* In the byte order of the machine, like the vectors beside it. */
static note note_of(const linkd_attached *attached)
{
    bool is_mixed = attached->generation != 0;
    uint8_t flags =
        (uint8_t)((attached->is_new ? IS_NEW : 0) | (is_mixed ? IS_MIXED : 0));
    uint8_t way = (uint8_t)attached->way;
    note n = {.len = 0};

    note_add(&n, &flags, sizeof(flags));
    note_add(&n, &attached->score, sizeof(attached->score));
    if (is_mixed) {
        note_add(&n, &attached->generation, sizeof(attached->generation));
        note_add(&n, &way, sizeof(way));
        note_add(&n, &attached->probability, sizeof(attached->probability));
    }
    note_add(&n, attached->match.data, attached->match.len);
    return n;
}

/* NOTE_MIXED bytes. */
static bool mixed_read(const char *bytes, linkd_attached *ret_attached)
{
    uint8_t way = (uint8_t)bytes[sizeof(uint32_t)];

    memcpy(&ret_attached->generation, bytes, sizeof(uint32_t));
    memcpy(&ret_attached->probability,
           bytes + sizeof(uint32_t) + sizeof(uint8_t), sizeof(float));
    ret_attached->way = way < LINKD_N_WAYS ? (linkd_way)way : LINKD_WAY_NATIVE;
    return way < LINKD_N_WAYS;
}

static int note_read(linkd_str text, linkd_attached *ret_attached,
                     linkd_error *err)
{
    bool is_mixed = text.len > 0 && (text.bytes[0] & IS_MIXED) != 0;
    size_t head = NOTE_HEAD + (is_mixed ? NOTE_MIXED : 0);

    if (text.len < head ||
        (is_mixed && !mixed_read(text.bytes + NOTE_HEAD, ret_attached)))
        return lk_fail(err, LINKD_E_CONFLICT,
                       "the idempotency key was used for another request");
    ret_attached->is_new = (text.bytes[0] & IS_NEW) != 0;
    memcpy(&ret_attached->score, text.bytes + 1, sizeof(ret_attached->score));
    return lk_buf_append(&ret_attached->match, text.bytes + head,
                         text.len - head, err);
}

/* Answers from the key, if it was used. */
static int replay(linkd_store *store, const linkd_once *once,
                  linkd_attached *ret_attached, bool *ret_found,
                  linkd_error *err)
{
    linkd_write_result result;
    lk_buf text = {0};
    int rc;

    *ret_found = false;
    if (once->key.len == 0)
        return LINKD_OK;
    rc = linkd_store_find_once(store, once, &result, &text, ret_found, err);
    if (rc == LINKD_OK && *ret_found) {
        ret_attached->entity = result.entity;
        ret_attached->seq = result.seq;
        ret_attached->replayed = true;
        rc = note_read((linkd_str){text.data, text.len}, ret_attached, err);
    }
    lk_buf_clear(&text);
    return rc;
}

/* ---- deciding ------------------------------------------------------------ */

/* The record itself, if it is there already. */
static int self_find(linkd_view *view, linkd_str id, uint64_t *ret_number,
                     uint64_t *ret_entity, linkd_error *err)
{
    lk_arena arena = {0};
    linkd_stored record;
    bool found = false;
    int rc = linkd_view_find(view, id, ret_number, &found, err);

    if (!found)
        *ret_number = LINKD_ID_NONE;
    if (rc != LINKD_OK || !found)
        return rc;
    rc = linkd_view_read(view, *ret_number, &arena, &record, err);
    if (rc == LINKD_OK)
        *ret_entity = record.entity;
    lk_arena_clear(&arena);
    return rc;
}

static int match_set(linkd_view *view, const linkd_found *hit,
                     linkd_attached *attached, linkd_error *err)
{
    lk_arena arena = {0};
    linkd_stored record;
    int rc = linkd_view_read(view, hit->id, &arena, &record, err);

    if (rc == LINKD_OK)
        rc = lk_buf_append(&attached->match, record.id.bytes, record.id.len,
                           err);
    attached->score = hit->score;
    attached->generation = hit->generation;
    attached->way = hit->way;
    attached->probability = (float)linkd_found_probability(hit);
    lk_arena_clear(&arena);
    return rc;
}

/* The vector of the record that is attached, under every model. */
typedef struct candidate {
    const linkd_put *put;
    const float *homes[LINKD_GENERATIONS_MAX]; /* of options->homes */
} candidate;

/* In all generations; what is within the limit is already rounded to it. */
static int mixed_nearest(const linkd_bridges *bridges, linkd_view *view,
                         const candidate *c,
                         const linkd_attach_options *options,
                         const linkd_search_options *search,
                         linkd_found *ret_hit, linkd_error *err)
{
    linkd_mixed_query query = {.generation = c->put->generation,
                               .vector = c->put->vector,
                               .is_record = true};
    linkd_found found;
    linkd_search_stats stats;
    size_t n = 0;
    int rc;

    for (size_t i = 0; i < options->n_homes; i++) {
        query.homes[query.n_homes].generation = options->homes[i].generation;
        query.homes[query.n_homes++].vector = c->homes[i];
    }
    rc = linkd_mixed_search(bridges, view, &query, search, &options->threshold,
                            &found, &n, &stats, err);
    if (rc != LINKD_OK || n == 0)
        return rc;
    *ret_hit = found;
    ret_hit->score = lk_score_round(found.score);
    return LINKD_OK;
}

static int plain_nearest(linkd_view *view, const linkd_put *put,
                         const linkd_attach_options *options,
                         linkd_search_options *search, linkd_found *ret_hit,
                         linkd_error *err)
{
    linkd_limit limit = options->threshold;
    linkd_hit hit = {.id = LINKD_ID_NONE};
    linkd_search_stats stats;
    int rc;

    if (put->dim != linkd_view_dim(view))
        return lk_fail(err, LINKD_E_ARG,
                       "the vector has %zu numbers, not the collection's %zu",
                       put->dim, linkd_view_dim(view));
    rc = linkd_rates_settle(options->rates, view, &limit, err);
    if (rc != LINKD_OK)
        return rc;
    search->threshold = lk_score_margin((float)limit.value);
    rc = linkd_view_search(view, put->vector, 1, search, &hit, &stats, err);
    hit.score = lk_score_round(hit.score);
    if (rc == LINKD_OK && hit.id != LINKD_ID_NONE &&
        hit.score >= lk_score_round((float)limit.value))
        *ret_hit = (linkd_found){.id = hit.id, .score = hit.score};
    return rc;
}

static int nearest_find(linkd_view *view, const candidate *c,
                        const linkd_attach_options *options,
                        linkd_search_options *search, linkd_found *ret_hit,
                        linkd_error *err)
{
    linkd_bridges *bridges = NULL;
    int rc;

    if (c->put->vector == NULL)
        return LINKD_OK;
    rc = linkd_bridges_open(view, &bridges, err);
    if (rc == LINKD_OK && bridges != NULL)
        rc = mixed_nearest(bridges, view, c, options, search, ret_hit, err);
    else if (rc == LINKD_OK)
        rc = plain_nearest(view, c->put, options, search, ret_hit, err);
    linkd_bridges_close(bridges);
    return rc;
}

/* Finds the record to join: match and score, and whether the entity will be a
 * new one. */
static int match_find(linkd_store *store, linkd_str collection,
                      const candidate *c, const linkd_attach_options *options,
                      linkd_attached *attached, linkd_error *err)
{
    linkd_search_options search = LINKD_SEARCH_OPTIONS_INIT;
    linkd_selection *selection = NULL;
    linkd_view *view = NULL;
    linkd_found hit = {.id = LINKD_ID_NONE};
    const linkd_put *put = c->put;
    uint64_t entity = LINKD_ID_NONE;
    int rc = linkd_view_open(store, collection, &view, err);

    search.k = 1;
    if (rc == LINKD_OK)
        rc = self_find(view, put->id, &search.exclude, &entity, err);
    if (rc == LINKD_OK && options->filter != NULL)
        rc = linkd_view_select(view, options->filter, NULL, NULL, &selection,
                               err);
    search.selection = selection;
    if (rc == LINKD_OK)
        rc = nearest_find(view, c, options, &search, &hit, err);
    if (rc == LINKD_OK && hit.id != LINKD_ID_NONE)
        rc = match_set(view, &hit, attached, err);
    attached->is_new = hit.id == LINKD_ID_NONE && entity == LINKD_ID_NONE;
    linkd_selection_free(selection);
    linkd_view_close(view);
    return rc;
}

/* One attempt, with the lock held. */
static int attach_try(linkd_store *store, linkd_str collection,
                      const candidate *c, const linkd_attach_options *options,
                      linkd_attached *attached, linkd_error *err)
{
    linkd_put joined = *c->put;
    linkd_once once = options->once;
    linkd_write_result result;
    note n;
    int rc;

    lk_buf_reset(&attached->match);
    attached->score = 0.0F;
    attached->generation = 0;
    rc = match_find(store, collection, c, options, attached, err);
    if (rc != LINKD_OK)
        return rc;
    joined.join = (linkd_str){attached->match.data, attached->match.len};
    joined.new_entity = true;
    n = note_of(attached);
    once.note = (linkd_str){n.bytes, n.len};
    rc = linkd_store_put(store, collection, &joined, 1, &once, &result, err);
    if (rc == LINKD_OK) {
        attached->entity = result.entity;
        attached->seq = result.seq;
        attached->replayed = result.replayed;
    }
    return rc;
}

static int attach_run(linkd_store *store, linkd_str collection,
                      const candidate *c, const linkd_attach_options *options,
                      linkd_attached *attached, linkd_error *err)
{
    pthread_mutex_t *lock = lock_of(collection);
    bool is_known = false;
    int rc;

    (void)pthread_mutex_lock(lock);
    rc = replay(store, &options->once, attached, &is_known, err);
    if (rc == LINKD_OK && !is_known) {
        rc = LINKD_E_CONFLICT;
        for (int i = 0; i < ATTACH_ATTEMPTS && rc == LINKD_E_CONFLICT; i++)
            rc = attach_try(store, collection, c, options, attached, err);
    }
    (void)pthread_mutex_unlock(lock);
    return rc;
}

/* What the older models make of the text. */
static int homes_embed(const texts *t, const linkd_attach_options *options,
                       lk_arena *arena, candidate *c, linkd_error *err)
{
    int rc = LINKD_OK;

    LK_ASSERT(options->n_homes <= LINKD_GENERATIONS_MAX);
    for (size_t i = 0; i < options->n_homes && rc == LINKD_OK; i++) {
        const linkd_embedder *home = &options->homes[i].embedder;
        float *vector = lk_arena_alloc(arena, home->dim * sizeof(*vector));

        if (vector == NULL)
            return lk_fail_nomem(err);
        rc = home->embed(home->ctx, t->strs, 1, vector, NULL, err);
        c->homes[i] = vector;
    }
    return rc;
}

int linkd_collection_attach(linkd_store *store, linkd_str collection,
                            const linkd_settings *settings,
                            const linkd_embedder *embedder,
                            const linkd_put *put,
                            const linkd_attach_options *options,
                            linkd_attached *ret_attached, linkd_error *err)
{
    linkd_attached attached = {0};
    linkd_put filled = *put;
    candidate c = {.put = &filled};
    lk_arena arena = {0};
    texts t = {0};
    int rc = linkd_limit_check(&options->threshold, "threshold", err);

    LK_ASSERT(options->threshold.kind != LINKD_LIMIT_NONE);
    if (rc == LINKD_OK && embedder != NULL)
        rc = texts_collect(&t, settings, embedder, put, 1, NULL, err);
    if (rc == LINKD_OK && t.n > 0)
        rc = texts_embed(&t, embedder, err);
    if (t.n > 0) {
        filled.dim = embedder->dim;
        filled.vector = t.vectors;
    }
    if (rc == LINKD_OK && t.n > 0)
        rc = homes_embed(&t, options, &arena, &c, err);
    if (rc == LINKD_OK)
        rc = attach_run(store, collection, &c, options, &attached, err);
    texts_clear(&t);
    lk_arena_clear(&arena);
    if (rc == LINKD_OK)
        *ret_attached = attached;
    else
        lk_buf_clear(&attached.match);
    return rc;
}
