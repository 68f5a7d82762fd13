/* index/load.c — the segment files of a data directory, when it is opened.
 *
 * SEGMENTS says what there should be. A file that it does not list is what was
 * left of a build when the process died, before its row was written or after
 * its row was removed: it goes. A listed file that is damaged or gone is no
 * error either: its segment stays out of the set, its row stays, and by that
 * the builder knows what to build again. */
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "index/build.h"

/* ---- files -------------------------------------------------------------- */

static int segments_dir(const linkd_store *store, lk_buf *ret_path,
                        linkd_error *err)
{
    return lk_buf_printf(ret_path, err, "%s/segments", store->dir);
}

static bool name_ends_with(const char *name, const char *suffix)
{
    size_t len = strlen(name), suffix_len = strlen(suffix);

    return len >= suffix_len && strcmp(name + len - suffix_len, suffix) == 0;
}

/* Cuts a number and the text behind it off `name`. */
static bool number_cut(const char **name, const char *behind,
                       uint64_t *ret_number)
{
    char *end = NULL;
    size_t len = strlen(behind);

    if (**name < '0' || **name > '9')
        return false;
    *ret_number = strtoull(*name, &end, 10);
    *name = end + len;
    return strncmp(end, behind, len) == 0;
}

/* Is it a file of ours that nothing refers to? Others are left alone. */
static bool file_is_stale(lk_txn *txn, const char *name)
{
    uint64_t collection, generation, number;
    linkd_str value;
    bool found = false;
    lk_key key;

    if (name_ends_with(name, ".tmp"))
        return true;
    if (!number_cut(&name, "-", &collection) ||
        !number_cut(&name, "-", &generation) ||
        !number_cut(&name, ".segment", &number) || *name != '\0')
        return false;
    lk_key_slot(&key, (uint32_t)collection, (uint32_t)generation, number);
    return lk_txn_find(txn, LK_TABLE_SEGMENTS, lk_key_str(&key), &value, &found,
                       NULL) == LINKD_OK &&
           !found;
}

void lk_segments_sweep(linkd_store *store)
{
    lk_txn *txn = NULL;
    lk_buf path = {0};
    DIR *dir = NULL;
    const struct dirent *entry;

    if (segments_dir(store, &path, NULL) != LINKD_OK ||
        lk_txn_begin_read(store->env, &txn, NULL) != LINKD_OK)
        goto done;
    dir = opendir(path.data);
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        if (file_is_stale(txn, entry->d_name))
            (void)unlinkat(dirfd(dir), entry->d_name, 0);
    }
done:
    if (dir != NULL)
        (void)closedir(dir);
    lk_txn_abort(txn);
    lk_buf_clear(&path);
}

/* ---- loading ------------------------------------------------------------ */

typedef struct load {
    uint32_t collection;
    uint32_t generation;
    uint64_t number;
    size_t dim;
    bool is_readable; /* the row */
    lk_segment_row row;
    lk_segment *segment;
} load;

typedef struct loads {
    linkd_store *store;
    load *items;
    size_t n;
    size_t capacity;
    _Atomic uint64_t n_damaged;
} loads;

/* Keys are collection u32, generation u32, number u64. */
static bool load_parse_key(load *item, linkd_str key)
{
    const unsigned char *bytes = (const unsigned char *)key.bytes;

    if (key.len != 16)
        return false;
    for (size_t i = 0; i < 4; i++) {
        item->collection = item->collection << 8 | bytes[i];
        item->generation = item->generation << 8 | bytes[i + 4];
    }
    item->number = lk_key_tail_u64(key);
    return true;
}

/* A row of a collection or a generation that is gone or cannot be read is not
 * loaded. */
static int loads_add(loads *all, lk_txn *txn, linkd_str key, linkd_str value,
                     linkd_error *err)
{
    load item = {0};
    lk_arena arena = {0};
    lk_collection_row collection;
    lk_generation_row generation;
    linkd_str body;
    void *items = all->items;
    int rc;

    if (!load_parse_key(&item, key))
        return LINKD_OK;
    rc = lk_build_check_current(txn, item.collection, item.generation, &arena,
                                &collection, &generation, err);
    lk_arena_clear(&arena);
    if (rc == LINKD_E_ABSENT || rc == LINKD_E_DATA)
        return LINKD_OK;
    if (rc == LINKD_OK)
        rc = lk_grow(&items, &all->capacity, all->n + 1, sizeof(item), err);
    all->items = items;
    if (rc != LINKD_OK)
        return rc;
    item.dim = (size_t)generation.dim;
    item.is_readable =
        lk_value_open(LK_TABLE_SEGMENTS, key, value, &body, NULL) == LINKD_OK &&
        lk_segment_row_decode(body, &item.row, NULL) == LINKD_OK;
    item.row.factory = (linkd_str){0}; /* was borrowed */
    all->items[all->n++] = item;
    return LINKD_OK;
}

static int loads_list(loads *all, linkd_error *err)
{
    lk_txn *txn = NULL;
    lk_cursor *cursor = NULL;
    linkd_str key, value;
    bool found = false;
    int rc = lk_txn_begin_read(all->store->env, &txn, err);

    if (rc == LINKD_OK)
        rc = lk_cursor_open(txn, LK_TABLE_SEGMENTS, &cursor, err);
    if (rc == LINKD_OK)
        rc = lk_cursor_seek(cursor, (linkd_str){"", 0}, &key, &value, &found,
                            err);
    while (rc == LINKD_OK && found) {
        rc = loads_add(all, txn, key, value, err);
        if (rc == LINKD_OK)
            rc = lk_cursor_next(cursor, &key, &value, &found, err);
    }
    lk_cursor_close(cursor);
    lk_txn_abort(txn);
    return rc;
}

/* A task of the pool. What cannot be loaded stays out of the set: the survey
 * finds it listed but not there. */
static int load_run(void *ctx, size_t at, size_t worker, linkd_error *err)
{
    loads *all = ctx;
    linkd_store *store = all->store;
    load *item = &all->items[at];
    lk_buf path = {0};
    linkd_error reason = {0};
    int rc = lk_segment_path(store->dir, item->collection, item->generation,
                             item->number, &path, err);

    (void)worker;
    if (rc != LINKD_OK)
        return rc;
    if (!item->is_readable)
        rc = lk_fail(&reason, LINKD_E_DATA,
                     "segment %" PRIu64 " has a damaged row", item->number);
    else
        rc = lk_segment_read(path.data, item->dim, &item->row, &item->segment,
                             &reason);
    lk_buf_clear(&path);
    if (rc == LINKD_OK) {
        item->segment->number = item->number;
    } else {
        (void)atomic_fetch_add(&all->n_damaged, 1);
        lk_store_tell(store, LINKD_STORE_DAMAGED,
                      "%s; it is built again, until then all is scanned",
                      reason.message);
    }
    return LINKD_OK;
}

static int loads_publish(loads *all, linkd_error *err)
{
    int rc = LINKD_OK;

    for (size_t i = 0; rc == LINKD_OK && i < all->n; i++) {
        load *item = &all->items[i];

        if (item->segment == NULL)
            continue;
        rc = lk_sets_replace(all->store->sets, item->collection,
                             item->generation, item->segment, NULL, 0, err);
        item->segment = NULL; /* taken */
    }
    return rc;
}

int lk_segments_load(linkd_store *store, lk_pool *pool, uint64_t *ret_n_damaged,
                     linkd_error *err)
{
    loads all = {.store = store};
    int rc = loads_list(&all, err);

    if (rc == LINKD_OK)
        rc = lk_pool_run(pool, all.n, load_run, &all, err);
    if (rc == LINKD_OK)
        rc = loads_publish(&all, err);
    if (rc == LINKD_OK)
        *ret_n_damaged = atomic_load(&all.n_damaged);
    for (size_t i = 0; i < all.n; i++)
        lk_segment_unref(all.items[i].segment);
    free(all.items);
    return rc;
}
