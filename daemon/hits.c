/* daemon/hits.c — see hits.h.
 *
 * Open addressing with linear probing, in a table twice as large as what it may
 * hold. When it is full every count is halved and what is left of none goes, so
 * that old fame fades: a backfill wants the records of today. The table is made
 * when the first hit is counted: most linkds never change a model. */
#include "daemon/hits.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#define PLACES (2 * LK_HITS_MAX)

typedef struct entry {
    uint64_t record;
    uint32_t collection;
    uint32_t count; /* 0: the place is free */
} entry;

struct lk_hits {
    pthread_mutex_t lock; /* guards: all below */
    entry *entries;       /* [PLACES], or NULL */
    size_t n;
};

int lk_hits_new(lk_hits **ret_hits, linkd_error *err)
{
    lk_hits *hits = calloc(1, sizeof(*hits));

    if (hits == NULL)
        return lk_fail_nomem(err);
    (void)pthread_mutex_init(&hits->lock, NULL);
    *ret_hits = hits;
    return LINKD_OK;
}

void lk_hits_free(lk_hits *hits)
{
    if (hits == NULL)
        return;
    (void)pthread_mutex_destroy(&hits->lock);
    free(hits->entries);
    free(hits);
}

/* ---- the table, with the lock ----------------------------------------------- */

/* Where the record is, or the free place where it would be. */
static entry *place_find(entry *entries, uint32_t collection, uint64_t record)
{
    size_t at =
        (size_t)XXH3_64bits_withSeed(&record, sizeof(record), collection) %
        PLACES;

    while (entries[at].count > 0 && (entries[at].record != record ||
                                     entries[at].collection != collection))
        at = (at + 1) % PLACES;
    return &entries[at];
}

/* Puts what `stays` into a new table: with linear probing nothing can be taken
 * out of one. The old table stays where there is no memory for that. */
static bool rebuild(lk_hits *hits, bool (*stays)(entry *e, const void *ctx),
                    const void *ctx)
{
    entry *entries = calloc(PLACES, sizeof(*entries));
    size_t n = 0;

    if (entries == NULL)
        return false;
    for (size_t i = 0; i < PLACES; i++) {
        entry e = hits->entries[i];

        if (e.count == 0 || !stays(&e, ctx))
            continue;
        *place_find(entries, e.collection, e.record) = e;
        n++;
    }
    free(hits->entries);
    hits->entries = entries;
    hits->n = n;
    return true;
}

static bool fade(entry *e, const void *ctx)
{
    (void)ctx;
    e->count /= 2;
    return e->count > 0;
}

static bool has_room(lk_hits *hits)
{
    if (hits->entries == NULL)
        hits->entries = calloc(PLACES, sizeof(*hits->entries));
    if (hits->entries == NULL)
        return false;
    return hits->n < LK_HITS_MAX ||
           (rebuild(hits, fade, NULL) && hits->n < LK_HITS_MAX);
}

void lk_hits_count(lk_hits *hits, uint32_t collection, uint64_t record)
{
    entry *e;

    (void)pthread_mutex_lock(&hits->lock);
    if (has_room(hits)) {
        e = place_find(hits->entries, collection, record);
        hits->n += e->count == 0;
        if (e->count < UINT32_MAX)
            *e = (entry){record, collection, e->count + 1};
    }
    (void)pthread_mutex_unlock(&hits->lock);
}

/* ---- taking ------------------------------------------------------------------ */

static int entry_compare(const void *a, const void *b)
{
    const entry *x = a;
    const entry *y = b;

    if (x->count != y->count)
        return x->count > y->count ? -1 : 1;
    return (x->record > y->record) - (x->record < y->record);
}

typedef struct taken {
    uint32_t collection;
    entry last; /* in order of entry_compare() */
} taken;

static bool is_left(entry *e, const void *ctx)
{
    const taken *t = ctx;

    return e->collection != t->collection || entry_compare(e, &t->last) > 0;
}

/* The collection's entries, in order; NULL: there are none. */
static entry *entries_sort(const lk_hits *hits, uint32_t collection,
                           size_t *ret_n)
{
    entry *sorted = calloc(hits->n + 1, sizeof(*sorted));
    size_t n = 0;

    for (size_t i = 0; sorted != NULL && i < PLACES; i++)
        if (hits->entries[i].count > 0 &&
            hits->entries[i].collection == collection)
            sorted[n++] = hits->entries[i];
    if (n > 0)
        qsort(sorted, n, sizeof(*sorted), entry_compare);
    *ret_n = n;
    return sorted;
}

size_t lk_hits_take(lk_hits *hits, uint32_t collection, uint64_t *ret_records,
                    size_t n)
{
    entry *sorted = NULL;
    size_t n_sorted = 0;
    size_t n_taken = 0;

    (void)pthread_mutex_lock(&hits->lock);
    if (hits->n > 0)
        sorted = entries_sort(hits, collection, &n_sorted);
    n_taken = n_sorted < n ? n_sorted : n;
    if (n_taken > 0) {
        taken t = {collection, sorted[n_taken - 1]};

        for (size_t i = 0; i < n_taken; i++)
            ret_records[i] = sorted[i].record;
        if (!rebuild(hits, is_left, &t))
            n_taken = 0; /* nothing is taken twice */
    }
    (void)pthread_mutex_unlock(&hits->lock);
    free(sorted);
    return n_taken;
}
