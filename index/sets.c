/* index/sets.c — which segments are current, for each generation of vectors.
 *
 * A set never changes once it can be seen: a change makes a new set of the same
 * segments and puts it in the old one's place. A search that holds the old set
 * goes on with it, whose segments live as long as somebody refers to them.
 *
 *   lk_sets ─► (collection, generation) ─► set ─► segment ─► FAISS index
 *              (collection, generation) ─► set ──┘  by slot_begin, apart
 *
 * The lock is held for looking up and for exchanging pointers, never while a
 * segment is searched, built or freed. There are few generations, so looking
 * one up is a walk over all. */
#include "index/parts.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

typedef struct entry {
    uint32_t collection;
    uint32_t generation;
    lk_segment_set *set; /* never NULL */
} entry;

struct lk_sets {
    pthread_mutex_t sets_lock; /* guards all below */
    entry *entries;
    size_t n;
    size_t capacity;
};

int lk_sets_new(lk_sets **ret_sets, linkd_error *err)
{
    lk_sets *sets = calloc(1, sizeof(*sets));

    if (sets == NULL)
        return lk_fail_nomem(err);
    if (pthread_mutex_init(&sets->sets_lock, NULL) != 0) {
        free(sets);
        return lk_fail_nomem(err);
    }
    *ret_sets = sets;
    return LINKD_OK;
}

void lk_sets_free(lk_sets *sets)
{
    if (sets == NULL)
        return;
    for (size_t i = 0; i < sets->n; i++)
        lk_segment_set_unref(sets->entries[i].set);
    free(sets->entries);
    (void)pthread_mutex_destroy(&sets->sets_lock);
    free(sets);
}

/* Under the lock. NULL: there is none. */
static entry *entry_find(lk_sets *sets, uint32_t collection,
                         uint32_t generation)
{
    for (size_t i = 0; i < sets->n; i++) {
        entry *e = &sets->entries[i];

        if (e->collection == collection && e->generation == generation)
            return e;
    }
    return NULL;
}

lk_segment_set *lk_sets_get(lk_sets *sets, uint32_t collection,
                            uint32_t generation)
{
    lk_segment_set *set = NULL;
    entry *e;

    (void)pthread_mutex_lock(&sets->sets_lock);
    e = entry_find(sets, collection, generation);
    if (e != NULL)
        set = lk_segment_set_ref(e->set);
    (void)pthread_mutex_unlock(&sets->sets_lock);
    return set;
}

/* ---- replacing ---------------------------------------------------------- */

static bool segment_stays(const lk_segment *segment, const lk_segment *added,
                          const uint64_t *removed, size_t n_removed)
{
    if (added != NULL && segment->slot_begin >= added->slot_begin &&
        segment->slot_end <= added->slot_end)
        return false;
    for (size_t i = 0; i < n_removed; i++) {
        if (segment->number == removed[i])
            return false;
    }
    return true;
}

/* Room for those of `old` (may be NULL) and one more, with one reference. */
static lk_segment_set *set_new(const lk_segment_set *old)
{
    size_t n = (old == NULL ? 0 : old->n) + 1;
    lk_segment_set *set = calloc(1, sizeof(*set));

    if (set == NULL)
        return NULL;
    set->segments = calloc(n, sizeof(lk_segment *));
    if (set->segments == NULL) {
        free(set);
        return NULL;
    }
    atomic_init(&set->n_refs, 1);
    return set;
}

/* Keeps the order by slot_begin. */
static void set_insert(lk_segment_set *set, lk_segment *segment)
{
    size_t at = set->n++;

    while (at > 0 && set->segments[at - 1]->slot_begin > segment->slot_begin) {
        set->segments[at] = set->segments[at - 1];
        at--;
    }
    LK_ASSERT(at == 0 ||
              set->segments[at - 1]->slot_end <= segment->slot_begin);
    LK_ASSERT(at + 1 == set->n ||
              segment->slot_end <= set->segments[at + 1]->slot_begin);
    set->segments[at] = segment;
}

/* What `old` becomes. NULL: out of memory. */
static lk_segment_set *set_make(const lk_segment_set *old, lk_segment *added,
                                const uint64_t *removed, size_t n_removed)
{
    lk_segment_set *set = set_new(old);

    if (set == NULL)
        return NULL;
    for (size_t i = 0; old != NULL && i < old->n; i++) {
        if (segment_stays(old->segments[i], added, removed, n_removed)) {
            lk_segment_ref(old->segments[i]);
            set_insert(set, old->segments[i]);
        }
    }
    if (added != NULL) {
        lk_segment_ref(added);
        set_insert(set, added);
    }
    return set;
}

/* Under the lock: puts `next` into its place and returns what was there. An
 * empty set has no place. */
static lk_segment_set *set_exchange(lk_sets *sets, entry *e, entry next)
{
    lk_segment_set *old = e == NULL ? NULL : e->set;

    if (next.set->n > 0 && e == NULL)
        sets->entries[sets->n++] = next;
    else if (next.set->n > 0)
        e->set = next.set;
    else if (e != NULL)
        *e = sets->entries[--sets->n];
    return old;
}

int lk_sets_replace(lk_sets *sets, uint32_t collection, uint32_t generation,
                    lk_segment *take_added, const uint64_t *removed,
                    size_t n_removed, linkd_error *err)
{
    lk_segment_set *old = NULL;
    lk_segment_set *set = NULL;
    bool is_empty = false;
    void *entries;
    entry *e = NULL;
    int rc;

    (void)pthread_mutex_lock(&sets->sets_lock);
    entries = sets->entries;
    rc = lk_grow(&entries, &sets->capacity, sets->n + 1, sizeof(entry), err);
    sets->entries = entries;
    if (rc == LINKD_OK) {
        e = entry_find(sets, collection, generation);
        set =
            set_make(e == NULL ? NULL : e->set, take_added, removed, n_removed);
        if (set == NULL)
            rc = lk_fail_nomem(err);
    }
    if (rc == LINKD_OK) {
        is_empty = set->n == 0;
        old = set_exchange(sets, e, (entry){collection, generation, set});
    }
    (void)pthread_mutex_unlock(&sets->sets_lock);
    lk_segment_set_unref(old);
    if (rc == LINKD_OK && is_empty)
        lk_segment_set_unref(set);
    lk_segment_unref(take_added);
    return rc;
}

void lk_sets_drop(lk_sets *sets, uint32_t collection)
{
    lk_segment_set *set;

    do {
        set = NULL;
        (void)pthread_mutex_lock(&sets->sets_lock);
        for (size_t i = 0; i < sets->n && set == NULL; i++) {
            if (sets->entries[i].collection == collection) {
                set = sets->entries[i].set;
                sets->entries[i] = sets->entries[--sets->n];
            }
        }
        (void)pthread_mutex_unlock(&sets->sets_lock);
        lk_segment_set_unref(set);
    } while (set != NULL);
}

void lk_sets_drop_generation(lk_sets *sets, uint32_t collection,
                             uint32_t generation)
{
    lk_segment_set *set = NULL;
    entry *e;

    (void)pthread_mutex_lock(&sets->sets_lock);
    e = entry_find(sets, collection, generation);
    if (e != NULL) {
        set = e->set;
        *e = sets->entries[--sets->n];
    }
    (void)pthread_mutex_unlock(&sets->sets_lock);
    lk_segment_set_unref(set);
}

void lk_sets_read_stats(lk_sets *sets, linkd_store_stats *stats)
{
    stats->n_segments = 0;
    stats->segment_bytes = 0;
    (void)pthread_mutex_lock(&sets->sets_lock);
    for (size_t i = 0; i < sets->n; i++) {
        const lk_segment_set *set = sets->entries[i].set;

        stats->n_segments += set->n;
        for (size_t j = 0; j < set->n; j++)
            stats->segment_bytes += set->segments[j]->file_bytes;
    }
    (void)pthread_mutex_unlock(&sets->sets_lock);
}
