/* daemon/bridges.c — see bridges.h.
 *
 * Bridges are a megabyte each, cohorts of 4,000 records with 384 numbers another
 * one and a half for each generation. They are read once and found by a key over
 * what they were read from (linkd_bridges_key()), so that nobody has to tell the
 * cache of a change: a changed collection has another key, and what nobody uses
 * any more goes when there is no room. */
#include "daemon/bridges.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* Collections whose model is being changed at one time: guess. */
#define ENTRIES_MAX ((size_t)16)

typedef struct entry {
    uint64_t key;
    uint64_t used; /* when it was last asked for */
    linkd_bridges *bridges;
    size_t n_refs;
} entry;

struct lk_bridge_cache {
    pthread_mutex_t lock; /* guards all below */
    uint64_t clock;
    entry *entries;
    size_t n;
    size_t capacity;
};

int lk_bridge_cache_new(lk_bridge_cache **ret_cache, linkd_error *err)
{
    lk_bridge_cache *cache = calloc(1, sizeof(*cache));

    if (cache == NULL)
        return lk_fail_nomem(err);
    (void)pthread_mutex_init(&cache->lock, NULL);
    *ret_cache = cache;
    return LINKD_OK;
}

void lk_bridge_cache_free(lk_bridge_cache *cache)
{
    if (cache == NULL)
        return;
    for (size_t i = 0; i < cache->n; i++) {
        LK_ASSERT(cache->entries[i].n_refs == 0);
        linkd_bridges_close(cache->entries[i].bridges);
    }
    free(cache->entries);
    (void)pthread_mutex_destroy(&cache->lock);
    free(cache);
}

/* Under the lock, as all of this part. */
static entry *entry_find(lk_bridge_cache *cache, uint64_t key)
{
    for (size_t i = 0; i < cache->n; i++)
        if (cache->entries[i].key == key)
            return &cache->entries[i];
    return NULL;
}

/* Makes room: the one that was asked for longest ago. */
static void entry_evict(lk_bridge_cache *cache)
{
    size_t oldest = SIZE_MAX;

    for (size_t i = 0; i < cache->n; i++)
        if (cache->entries[i].n_refs == 0 &&
            (oldest == SIZE_MAX ||
             cache->entries[i].used < cache->entries[oldest].used))
            oldest = i;
    if (cache->n < ENTRIES_MAX || oldest == SIZE_MAX)
        return;
    linkd_bridges_close(cache->entries[oldest].bridges);
    cache->entries[oldest] = cache->entries[--cache->n];
}

static int entry_add(lk_bridge_cache *cache, uint64_t key, linkd_view *view,
                     entry **ret_entry, linkd_error *err)
{
    void *entries = cache->entries;
    int rc;

    entry_evict(cache);
    rc = lk_grow(&entries, &cache->capacity, cache->n + 1, sizeof(entry), err);
    cache->entries = entries;
    if (rc != LINKD_OK)
        return rc;
    cache->entries[cache->n] = (entry){.key = key};
    rc = linkd_bridges_open(view, &cache->entries[cache->n].bridges, err);
    if (rc == LINKD_OK)
        *ret_entry = &cache->entries[cache->n++];
    return rc;
}

int lk_bridges_get(lk_bridge_cache *cache, linkd_view *view,
                   const linkd_bridges **ret_bridges, linkd_error *err)
{
    uint64_t key = 0;
    entry *e;
    int rc = linkd_bridges_key(view, &key, err);

    *ret_bridges = NULL;
    if (rc != LINKD_OK || key == 0)
        return rc;
    (void)pthread_mutex_lock(&cache->lock);
    e = entry_find(cache, key);
    if (e == NULL)
        rc = entry_add(cache, key, view, &e, err);
    if (rc == LINKD_OK) {
        e->n_refs++;
        e->used = ++cache->clock;
        *ret_bridges = e->bridges;
    }
    (void)pthread_mutex_unlock(&cache->lock);
    return rc;
}

void lk_bridges_release(lk_bridge_cache *cache, const linkd_bridges *bridges)
{
    if (bridges == NULL)
        return;
    (void)pthread_mutex_lock(&cache->lock);
    for (size_t i = 0; i < cache->n; i++)
        if (cache->entries[i].bridges == bridges)
            cache->entries[i].n_refs--;
    (void)pthread_mutex_unlock(&cache->lock);
}

int lk_damage_name(int rc, linkd_str collection, linkd_error *err)
{
    linkd_error damage;

    if (rc != LINKD_E_DATA || err == NULL)
        return rc;
    damage = *err;
    return lk_fail(err, rc, "collection \"%s\": %s",
                   lk_label_of(collection).text, damage.message);
}

/* ---- queries of older models ------------------------------------------------- */

static int str_keep(lk_arena *arena, linkd_str *str, linkd_error *err)
{
    str->bytes = lk_arena_copy(arena, str->bytes, str->len);
    return str->bytes == NULL ? lk_fail_nomem(err) : LINKD_OK;
}

int lk_generations_list(linkd_store *store, linkd_str collection,
                        lk_arena *arena, linkd_generation *ret_generations,
                        size_t *ret_n, linkd_error *err)
{
    linkd_view *view = NULL;
    size_t n = 0;
    int rc = linkd_view_open(store, collection, &view, err);

    if (rc == LINKD_OK)
        n = linkd_view_generations(view, ret_generations);
    for (size_t i = 0; i < n && rc == LINKD_OK; i++) {
        rc = str_keep(arena, &ret_generations[i].model, err);
        if (rc == LINKD_OK)
            rc = str_keep(arena, &ret_generations[i].fingerprint, err);
    }
    linkd_view_close(view);
    *ret_n = n;
    return rc;
}

int lk_way_find(linkd_store *store, linkd_str collection, linkd_way *ret_way,
                linkd_error *err)
{
    linkd_view *view = NULL;
    int rc = linkd_view_open(store, collection, &view, err);

    if (rc == LINKD_OK)
        rc = linkd_way_read(view, ret_way, err);
    linkd_view_close(view);
    return rc;
}

bool lk_fingerprint_is(linkd_str stored, const char *fingerprint)
{
    return stored.len == strlen(fingerprint) &&
           memcmp(stored.bytes, fingerprint, stored.len) == 0;
}

int lk_fingerprint_check(linkd_str stored, const char *fingerprint,
                         linkd_str model, linkd_str collection,
                         linkd_error *err)
{
    if (lk_fingerprint_is(stored, fingerprint))
        return LINKD_OK;
    return lk_fail(err, LINKD_E_CONFLICT,
                   "model \"%s\" is not that of collection \"%s\": its "
                   "fingerprint is %s, not %s",
                   lk_label_of(model).text, lk_label_of(collection).text,
                   fingerprint, lk_label_of(stored).text);
}

bool lk_generation_model(lk_service *service,
                         const linkd_generation *generation,
                         lk_model **ret_model)
{
    return lk_models_get(service->models, generation->model, ret_model, NULL) ==
               LINKD_OK &&
           lk_fingerprint_is(generation->fingerprint,
                             lk_model_describe(*ret_model)->fingerprint);
}

static int home_embed(lk_request *request, lk_model *model,
                      const linkd_generation *generation,
                      const linkd_str *texts, size_t n, lk_homes *homes,
                      linkd_error *err)
{
    const lk_model_embedder queries = {.model = model,
                                       .urgency = LK_URGENT,
                                       .use = LINKD_USE_QUERY,
                                       .stop_cb = lk_request_is_over,
                                       .stop_ctx = request};
    float *vectors =
        lk_arena_alloc(&request->arena, n * generation->dim * sizeof(*vectors));

    if (vectors == NULL)
        return lk_fail_nomem(err);
    homes->generations[homes->n] = generation->number;
    homes->dims[homes->n] = generation->dim;
    homes->vectors[homes->n++] = vectors;
    return lk_model_embed(&queries, texts, n, vectors, NULL, err);
}

/* The models of the older generations, since no view is open while encoding. */
typedef struct older {
    linkd_generation generations[LINKD_GENERATIONS_MAX];
    lk_model *models[LINKD_GENERATIONS_MAX];
    size_t n;
} older;

static int older_find(lk_service *service, linkd_str collection,
                      lk_arena *arena, older *ret, linkd_error *err)
{
    linkd_generation all[LINKD_GENERATIONS_MAX];
    size_t n = 0;
    int rc =
        lk_generations_list(service->store, collection, arena, all, &n, err);

    for (size_t i = 0; i < n && rc == LINKD_OK; i++)
        if (all[i].state != LINKD_GENERATION_SERVING && all[i].n_vectors > 0 &&
            lk_generation_model(service, &all[i], &ret->models[ret->n]))
            ret->generations[ret->n++] = all[i];
    return rc;
}

int lk_homes_embed(lk_service *service, lk_request *request,
                   linkd_str collection, const linkd_str *texts, size_t n,
                   lk_homes *ret_homes, linkd_error *err)
{
    older o = {.n = 0};
    lk_homes homes = {0};
    int rc = older_find(service, collection, &request->arena, &o, err);

    for (size_t i = 0; i < o.n && rc == LINKD_OK; i++)
        rc = home_embed(request, o.models[i], &o.generations[i], texts, n,
                        &homes, err);
    if (rc == LINKD_OK)
        *ret_homes = homes;
    return rc;
}

int lk_homes_find(lk_service *service, lk_request *request,
                  linkd_str collection, lk_model_embedder *storage,
                  linkd_home *ret_homes, size_t *ret_n, linkd_error *err)
{
    older o = {.n = 0};
    int rc = older_find(service, collection, &request->arena, &o, err);

    for (size_t i = 0; i < o.n; i++) {
        storage[i] = (lk_model_embedder){.model = o.models[i],
                                         .urgency = LK_URGENT,
                                         .use = LINKD_USE_RECORD,
                                         .stop_cb = lk_request_is_over,
                                         .stop_ctx = request};
        ret_homes[i] = (linkd_home){o.generations[i].number,
                                    lk_model_embedder_of(&storage[i])};
    }
    *ret_n = o.n;
    return rc;
}

void lk_homes_add(const lk_homes *homes, size_t i, linkd_mixed_query *query)
{
    for (size_t h = 0; h < homes->n; h++) {
        query->homes[query->n_homes].generation = homes->generations[h];
        query->homes[query->n_homes++].vector =
            homes->vectors[h] + i * homes->dims[h];
    }
}
