/* index/scan.c — exact search: a query against every vector of a range.
 *
 * Vectors are read where they lie, in chunks of 64 in LMDB's mapping. One chunk
 * (98 kB for 384 dimensions) stays in the processor's cache while all queries
 * of a call are compared with it, so that the memory is read once per call:
 *
 *   VECTORS  chunk 0 ─► chunk 1 ─► …          rows = in range, alive, admitted
 *   DEAD     slot 3, slot 70, …    (alongside)        │
 *                                                     ▼
 *                          for each query: score of each row ─► its lk_top
 *
 * If the caller knows the slots (few records are selected), only these are
 * visited, in their order.
 *
 * Invariant: a score is linkd_index_score()'s, bit for bit, and a top holds the
 * k first in the order (score descending, number ascending) of all it was
 * offered, in whichever order. A scan is thus the same however it is divided.
 *
 * Nothing is allocated but cursors: the hits lie in the caller's memory. */
#include "index/scan.h"

#include "index/filter.h"

#include <stdlib.h>

/* Products and sums between two questions to stop_cb: about 1 ms at the 4 per
 * ns that linkd_index_score() does (measured 2026-11, one AMD EPYC core). */
#define FLOATS_PER_STOP ((size_t)4 << 20)

/* ---- the best so far ----------------------------------------------------- */

static bool hit_is_before(const linkd_hit *a, const linkd_hit *b)
{
    return a->score > b->score || (a->score == b->score && a->id < b->id);
}

static void hits_swap(linkd_hit *a, linkd_hit *b)
{
    linkd_hit hit = *a;

    *a = *b;
    *b = hit;
}

/* Lets the hit at the root sink below those that are worse. */
static void heap_sink(linkd_hit *hits, size_t n)
{
    size_t at = 0;

    for (size_t child = 1; child < n; child = 2 * at + 1) {
        if (child + 1 < n && hit_is_before(&hits[child], &hits[child + 1]))
            child++;
        if (!hit_is_before(&hits[at], &hits[child]))
            return;
        hits_swap(&hits[at], &hits[child]);
        at = child;
    }
}

static void heap_rise(linkd_hit *hits, size_t at)
{
    while (at > 0 && hit_is_before(&hits[(at - 1) / 2], &hits[at])) {
        hits_swap(&hits[(at - 1) / 2], &hits[at]);
        at = (at - 1) / 2;
    }
}

void lk_top_offer(lk_top *top, linkd_hit hit)
{
    if (top->n < top->k) {
        top->hits[top->n++] = hit;
        heap_rise(top->hits, top->n - 1);
    } else if (hit_is_before(&hit, &top->hits[0])) {
        top->hits[0] = hit;
        heap_sink(top->hits, top->n);
    }
}

void lk_top_sort(lk_top *top)
{
    for (size_t n = top->n; n > 1; n--) {
        hits_swap(&top->hits[0], &top->hits[n - 1]);
        heap_sink(top->hits, n - 1);
    }
}

/* ---- what may be a hit --------------------------------------------------- */

bool lk_scan_admits(const lk_scan *scan, uint64_t number)
{
    const linkd_search_options *options = scan->options;

    return number != options->exclude &&
           (options->selection == NULL ||
            linkd_selection_has(options->selection, number));
}

int lk_scan_count(lk_scan *scan, size_t n, linkd_error *err)
{
    const linkd_search_options *options = scan->options;

    scan->n_scanned += n;
    scan->n_floats += n * scan->dim;
    if (scan->n_floats < FLOATS_PER_STOP)
        return LINKD_OK;
    scan->n_floats = 0;
    if (options->stop_cb != NULL && options->stop_cb(options->stop_ctx))
        return lk_fail(err, LINKD_E_CANCELLED, "the search was stopped");
    return LINKD_OK;
}

/* ---- a pass -------------------------------------------------------------- */

typedef struct pass {
    lk_scan *scan;
    const float *queries;
    lk_top *tops;
    size_t n_queries;
    uint64_t begin;
    uint64_t end;
    linkd_str prefix; /* of the generation's keys, within `key` */
    lk_key key;
    lk_cursor *vectors;
    lk_cursor *dead;
    uint64_t next_dead; /* UINT64_MAX: none follows */
} pass;

/* The rows of a chunk that are compared. */
typedef struct rows {
    size_t at[LK_ROWS_PER_CHUNK];
    size_t n;
} rows;

static void key_seek(pass *p, uint64_t number)
{
    const linkd_view *view = p->scan->view;

    lk_key_slot(&p->key, view->collection, view->number, number);
    p->prefix = lk_key_str(&p->key);
    p->prefix.len -= sizeof(number);
}

static void dead_take(pass *p, linkd_str key, bool found)
{
    p->next_dead = found && lk_str_starts_with(key, p->prefix)
                       ? lk_key_tail_u64(key)
                       : UINT64_MAX;
}

static int dead_seek(pass *p, uint64_t slot, linkd_error *err)
{
    linkd_str key;
    linkd_str value;
    bool found = false;
    int rc;

    key_seek(p, slot);
    rc =
        lk_cursor_seek(p->dead, lk_key_str(&p->key), &key, &value, &found, err);
    if (rc == LINKD_OK)
        dead_take(p, key, found);
    return rc;
}

/* Marks the dead rows of the chunk that begins at `first`. */
static int dead_mark(pass *p, uint64_t first, bool *is_dead, linkd_error *err)
{
    linkd_str key;
    linkd_str value;
    bool found = false;
    int rc = LINKD_OK;

    while (rc == LINKD_OK && p->next_dead < first + LK_ROWS_PER_CHUNK) {
        if (p->next_dead >= first)
            is_dead[p->next_dead - first] = true;
        rc = lk_cursor_next(p->dead, &key, &value, &found, err);
        if (rc == LINKD_OK)
            dead_take(p, key, found);
    }
    return rc;
}

static int rows_choose(pass *p, uint64_t first, const lk_chunk *chunk,
                       rows *ret_rows, linkd_error *err)
{
    bool is_dead[LK_ROWS_PER_CHUNK] = {false};
    int rc = dead_mark(p, first, is_dead, err);

    ret_rows->n = 0;
    for (size_t row = 0; row < LK_ROWS_PER_CHUNK; row++)
        if (!is_dead[row] && first + row >= p->begin && first + row < p->end &&
            lk_scan_admits(p->scan, chunk->numbers[row]))
            ret_rows->at[ret_rows->n++] = row;
    return rc;
}

static void query_compare(const pass *p, size_t query, const lk_chunk *chunk,
                          const rows *chosen)
{
    size_t dim = p->scan->dim;
    float threshold = p->scan->options->threshold;
    const float *vector = p->queries + query * dim;

    for (size_t i = 0; i < chosen->n; i++) {
        size_t row = chosen->at[i];
        linkd_hit hit = {.id = chunk->numbers[row]};

        hit.score = linkd_index_score(vector, chunk->vectors + row * dim, dim);
        if (hit.score >= threshold)
            lk_top_offer(&p->tops[query], hit);
    }
}

static int chunk_compare(pass *p, const lk_chunk *chunk, const rows *chosen,
                         linkd_error *err)
{
    int rc = LINKD_OK;

    for (size_t i = 0; i < p->n_queries && rc == LINKD_OK; i++) {
        query_compare(p, i, chunk, chosen);
        rc = lk_scan_count(p->scan, chosen->n, err);
    }
    return rc;
}

static int every_chunk_compare(pass *p, linkd_error *err)
{
    linkd_str key;
    linkd_str value;
    lk_chunk chunk;
    rows chosen;
    uint64_t first;
    bool found = false;
    int rc =
        dead_seek(p, p->begin / LK_ROWS_PER_CHUNK * LK_ROWS_PER_CHUNK, err);

    if (rc != LINKD_OK)
        return rc;
    key_seek(p, p->begin / LK_ROWS_PER_CHUNK);
    rc = lk_cursor_seek(p->vectors, lk_key_str(&p->key), &key, &value, &found,
                        err);
    while (rc == LINKD_OK && found && lk_str_starts_with(key, p->prefix)) {
        first = lk_key_tail_u64(key) * LK_ROWS_PER_CHUNK;
        if (first >= p->end)
            break;
        rc = lk_chunk_open(key, value, p->scan->dim, false, &chunk, err);
        if (rc == LINKD_OK)
            rc = rows_choose(p, first, &chunk, &chosen, err);
        if (rc == LINKD_OK)
            rc = chunk_compare(p, &chunk, &chosen, err);
        if (rc == LINKD_OK)
            rc = lk_cursor_next(p->vectors, &key, &value, &found, err);
    }
    return rc;
}

/* ---- a pass over known slots --------------------------------------------- */

/* The first of the known slots >= `slot`. */
static size_t slots_search(const lk_scan *scan, uint64_t slot)
{
    size_t low = 0;
    size_t high = scan->n_slots;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (scan->slots[middle] < slot)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int chunk_find(pass *p, uint64_t number, lk_chunk *ret_chunk,
                      linkd_error *err)
{
    linkd_str value;
    bool found = false;
    int rc;

    key_seek(p, number);
    rc = lk_txn_find(p->scan->view->txn, LK_TABLE_VECTORS, lk_key_str(&p->key),
                     &value, &found, err);
    if (rc == LINKD_OK && !found)
        rc = lk_fail(err, LINKD_E_DATA, "a chunk of vectors is gone");
    if (rc == LINKD_OK)
        rc = lk_chunk_open(lk_key_str(&p->key), value, p->scan->dim, false,
                           ret_chunk, err);
    return rc;
}

static int known_slots_compare(pass *p, linkd_error *err)
{
    const lk_scan *scan = p->scan;
    size_t i = slots_search(scan, p->begin);
    size_t end = slots_search(scan, p->end);
    lk_chunk chunk;
    rows chosen;
    int rc = LINKD_OK;

    while (i < end && rc == LINKD_OK) {
        uint64_t number = scan->slots[i] / LK_ROWS_PER_CHUNK;

        rc = chunk_find(p, number, &chunk, err);
        if (rc != LINKD_OK)
            break;
        chosen.n = 0;
        for (; i < end && scan->slots[i] / LK_ROWS_PER_CHUNK == number; i++) {
            size_t row = (size_t)(scan->slots[i] % LK_ROWS_PER_CHUNK);

            if (chunk.numbers[row] != scan->options->exclude)
                chosen.at[chosen.n++] = row;
        }
        rc = chunk_compare(p, &chunk, &chosen, err);
    }
    return rc;
}

int lk_scan_range(lk_scan *scan, const float *queries, lk_top *tops,
                  size_t n_queries, uint64_t begin, uint64_t end,
                  linkd_error *err)
{
    pass p = {.scan = scan,
              .queries = queries,
              .tops = tops,
              .n_queries = n_queries,
              .begin = begin,
              .end = end};
    lk_txn *txn = scan->view->txn;
    int rc;

    if (begin >= end)
        return LINKD_OK;
    if (scan->slots != NULL)
        return known_slots_compare(&p, err);
    rc = lk_cursor_open(txn, LK_TABLE_VECTORS, &p.vectors, err);
    if (rc == LINKD_OK)
        rc = lk_cursor_open(txn, LK_TABLE_DEAD, &p.dead, err);
    if (rc == LINKD_OK)
        rc = every_chunk_compare(&p, err);
    lk_cursor_close(p.dead);
    lk_cursor_close(p.vectors);
    return rc;
}
