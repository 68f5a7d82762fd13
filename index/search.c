/* index/search.c — the nearest records to a query.
 *
 * Segments hold most vectors and answer approximately; what they do not cover
 * (written since, or all of it while a segment is built anew) is scanned.
 *
 *   slots   0 ······· segment ······· 70000 ·· segment ·· 90000 ······· n_slots
 *           └── FAISS: n_asked candidates ──┘                └── scan ──┘
 *                        │ nearest first: position ─► slot ─► chunk row
 *                        ▼
 *     dead, not selected, excluded: dropped ─► exact score of the first few
 *                                                └─► top k of all
 *
 * FAISS only proposes: scores come from the stored vectors, so they are the
 * same whichever way a record was found. What is dead is looked up in the
 * view's transaction, and segments never need to know.
 *
 * Promise: a row is short only if no more records exist that pass. FAISS knows
 * neither filters nor deletions and cannot keep it, so when fewer than k of its
 * candidates are admitted it is asked for twice as many, and where that would
 * cost more than comparing with all vectors of the segment, these are scanned.
 * Selections of few records never reach FAISS: their vectors are visited.
 *
 * The rows that the caller gave are the heaps of the search, so that a call
 * allocates little however many queries it has; after an error they are
 * undefined. A search stays on the thread that called it. */
#include "index/filter.h"
#include "index/scan.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Candidates per hit, and at least; the larger a graph, the more: the cube root
 * of its vectors times WIDTH_SCALE. Recall@10 of 384 dimensions, encoded texts,
 * 2026-11-24: of 100,000 vectors .960 by 32 and .977 by 48, of a million .966 by
 * 64 and .978 by 96. */
#define CANDIDATES_PER_HIT ((size_t)2)
#define CANDIDATES_MIN     ((size_t)32)
#define WIDTH_SCALE        0.75
/* Scored exactly are so many candidates per hit, and at least; of those that are
 * asked for, one in so many. The first 12 by FAISS's bytes hold the ten nearest
 * of a query (faiss.c). The rest is for vectors that bytes suit less: guess. */
#define SCORED_PER_HIT       ((size_t)2)
#define SCORED_MIN           ((size_t)32)
#define CANDIDATES_PER_SCORE ((size_t)4)
/* Measured there, too: a candidate costs FAISS some 4 us, for it visits its
 * neighbours at random places in memory; a vector costs a pass 0.1 us, and 1 us
 * if it is looked up. */
#define VECTORS_PER_CANDIDATE ((size_t)40)
#define VISITS_PER_CANDIDATE  ((uint64_t)4)
/* A pass that leaves out what is not selected is the better one from this share
 * on: less than the tenth above, since it is in order. Guess. */
#define PASS_PER_VISIT ((uint64_t)4)
/* What of a selection's over-fetching is for its uneven spread. */
#define SPREAD 1.5

typedef struct search {
    lk_scan scan;
    lk_segment_set *set; /* NULL: scan everything */
    size_t k;
    size_t n_asked; /* candidates, at first */
    uint64_t n_segments;
    float *scores;      /* [capacity] what FAISS says */
    int64_t *positions; /* [capacity] */
    linkd_hit *hits;    /* [capacity] the admitted ones, rescored */
    size_t capacity;
} search;

/* ---- candidates ---------------------------------------------------------- */

static void room_clear(search *s)
{
    free(s->scores);
    free(s->positions);
    free(s->hits);
    s->scores = NULL;
    s->positions = NULL;
    s->hits = NULL;
    s->capacity = 0;
}

static int room_make(search *s, size_t n, linkd_error *err)
{
    if (n <= s->capacity)
        return LINKD_OK;
    room_clear(s);
    s->scores = lk_alloc_aligned(n, sizeof(*s->scores));
    s->positions = lk_alloc_aligned(n, sizeof(*s->positions));
    s->hits = lk_alloc_aligned(n, sizeof(*s->hits));
    if (s->scores == NULL || s->positions == NULL || s->hits == NULL)
        return lk_fail_nomem(err);
    s->capacity = n;
    return LINKD_OK;
}

/* The vector in a slot, or NULL if it is dead. */
static int slot_find(const lk_scan *scan, uint64_t slot, uint64_t *ret_number,
                     const float **ret_vector, linkd_error *err)
{
    const linkd_view *view = scan->view;
    lk_key key;
    lk_chunk chunk;
    linkd_str value;
    bool is_dead = false;
    bool found = false;
    int rc;

    *ret_vector = NULL;
    lk_key_slot(&key, view->collection, view->number, slot);
    rc = lk_txn_find(view->txn, LK_TABLE_DEAD, lk_key_str(&key), &value,
                     &is_dead, err);
    if (rc != LINKD_OK || is_dead)
        return rc;
    lk_key_slot(&key, view->collection, view->number, slot / LK_ROWS_PER_CHUNK);
    rc = lk_txn_find(view->txn, LK_TABLE_VECTORS, lk_key_str(&key), &value,
                     &found, err);
    if (rc != LINKD_OK || !found)
        return rc;
    rc = lk_chunk_open(lk_key_str(&key), value, scan->dim, false, &chunk, err);
    if (rc != LINKD_OK)
        return rc;
    *ret_number = chunk.numbers[slot % LK_ROWS_PER_CHUNK];
    *ret_vector = chunk.vectors + slot % LK_ROWS_PER_CHUNK * scan->dim;
    return LINKD_OK;
}

/* How many candidates are scored that may be hits. */
static size_t scored_count(size_t k, size_t n_asked)
{
    size_t n = n_asked / CANDIDATES_PER_SCORE;

    n = n < k * SCORED_PER_HIT ? k * SCORED_PER_HIT : n;
    return n < SCORED_MIN ? SCORED_MIN : n;
}

/* Scores the first candidates that may be hits; *ret_n counts them. */
static int candidates_rescore(search *s, const lk_segment *segment,
                              const float *query, size_t n_asked, size_t *ret_n,
                              linkd_error *err)
{
    size_t n_enough = scored_count(s->k, n_asked);
    const float *vector;
    uint64_t number;
    size_t n = 0;
    int rc = LINKD_OK;

    for (size_t i = 0; i < n_asked && n < n_enough && rc == LINKD_OK; i++) {
        if (s->positions[i] < 0)
            break;
        LK_ASSERT((uint64_t)s->positions[i] < segment->n);
        rc = slot_find(&s->scan, segment->slots[s->positions[i]], &number,
                       &vector, err);
        if (rc != LINKD_OK || vector == NULL ||
            !lk_scan_admits(&s->scan, number))
            continue;
        s->hits[n].id = number;
        s->hits[n++].score = linkd_index_score(query, vector, s->scan.dim);
    }
    *ret_n = n;
    return rc;
}

static void hits_offer(const search *s, size_t n, lk_top *top)
{
    for (size_t i = 0; i < n; i++)
        if (s->hits[i].score >= s->scan.options->threshold)
            lk_top_offer(top, s->hits[i]);
}

/* Of one segment, unless the caller says how many. */
static size_t candidates_least(const search *s, const lk_segment *segment)
{
    size_t n = (size_t)(WIDTH_SCALE * cbrt((double)segment->n));

    return s->scan.options->effort > 0 || n < s->n_asked ? s->n_asked : n;
}

/* Asks a segment for ever more candidates until k are admitted. *ret_enough is
 * false when a scan is the better way to find them; nothing was offered. */
static int candidates_find(search *s, const lk_segment *segment,
                           const float *query, lk_top *top, bool *ret_enough,
                           linkd_error *err)
{
    bool is_told = s->scan.options->effort > 0;
    size_t n_most = segment->n / VECTORS_PER_CANDIDATE;
    size_t n_asked = candidates_least(s, segment);
    size_t n = 0;
    int rc = LINKD_OK;

    *ret_enough = false;
    for (; n_asked < segment->n && (is_told || n_asked <= n_most);
         n_asked *= 2, is_told = false) {
        rc = room_make(s, n_asked, err);
        if (rc == LINKD_OK)
            rc = lk_ann_search(segment->ann, query, n_asked, s->scores,
                               s->positions, err);
        if (rc == LINKD_OK)
            rc = candidates_rescore(s, segment, query, n_asked, &n, err);
        if (rc == LINKD_OK)
            rc = lk_scan_count(&s->scan, n, err);
        if (rc != LINKD_OK)
            return rc;
        s->n_segments++;
        *ret_enough = n >= s->k;
        if (*ret_enough || s->positions[n_asked - 1] < 0)
            break; /* there are no more to find */
    }
    if (*ret_enough)
        hits_offer(s, n, top);
    return LINKD_OK;
}

static int segment_search(search *s, const lk_segment *segment,
                          const float *query, lk_top *top, linkd_error *err)
{
    bool enough = false;
    int rc = candidates_find(s, segment, query, top, &enough, err);

    if (rc == LINKD_OK && !enough)
        rc = lk_scan_range(&s->scan, query, top, 1, segment->slot_begin,
                           segment->slot_end, err);
    return rc;
}

/* ---- all slots ----------------------------------------------------------- */

static int segments_search(search *s, const float *query, lk_top *top,
                           linkd_error *err)
{
    int rc = LINKD_OK;

    for (size_t i = 0; i < s->set->n && rc == LINKD_OK; i++)
        rc = segment_search(s, s->set->segments[i], query, top, err);
    return rc;
}

/* Scans what no segment covers, for all queries together. */
static int gaps_scan(search *s, const float *queries, lk_top *tops,
                     size_t n_queries, linkd_error *err)
{
    size_t n_segments = s->set == NULL ? 0 : s->set->n;
    uint64_t begin = 0;
    int rc = LINKD_OK;

    for (size_t i = 0; i < n_segments && rc == LINKD_OK; i++) {
        const lk_segment *segment = s->set->segments[i];

        rc = lk_scan_range(&s->scan, queries, tops, n_queries, begin,
                           segment->slot_begin, err);
        begin = segment->slot_end;
    }
    if (rc == LINKD_OK)
        rc = lk_scan_range(&s->scan, queries, tops, n_queries, begin,
                           s->scan.view->generation.n_slots, err);
    return rc;
}

static int queries_search(search *s, const float *queries, lk_top *tops,
                          size_t n_queries, linkd_error *err)
{
    int rc = gaps_scan(s, queries, tops, n_queries, err);

    if (s->set == NULL)
        return rc;
    lk_ann_set_threads(1);
    for (size_t i = 0; i < n_queries && rc == LINKD_OK; i++)
        rc = segments_search(s, queries + i * s->scan.dim, &tops[i], err);
    return rc;
}

/* ---- the way to go ------------------------------------------------------- */

static int slot_compare(const void *a, const void *b)
{
    const uint64_t *x = a;
    const uint64_t *y = b;

    return (*x > *y) - (*x < *y);
}

/* Looks up the slots of all selected records. Record numbers and slots mostly
 * grow together, so sorting is mostly done already. */
static int slots_read(lk_scan *scan, linkd_error *err)
{
    const linkd_selection *selection = scan->options->selection;
    const linkd_view *view = scan->view;
    uint64_t number = lk_selection_next(selection, 0);
    uint64_t slot = 0;
    bool is_sorted = true;
    bool found = false;
    int rc = LINKD_OK;

    scan->slots =
        lk_alloc_aligned((size_t)selection->count + 1, sizeof(*scan->slots));
    if (scan->slots == NULL)
        return lk_fail_nomem(err);
    for (; number != LINKD_ID_NONE && rc == LINKD_OK;
         number = lk_selection_next(selection, number + 1)) {
        rc = lk_view_slot(view, number, &slot, &found, err);
        if (rc != LINKD_OK || !found)
            continue;
        if (scan->n_slots > 0 && slot < scan->slots[scan->n_slots - 1])
            is_sorted = false;
        scan->slots[scan->n_slots++] = slot;
    }
    if (!is_sorted)
        qsort(scan->slots, scan->n_slots, sizeof(*scan->slots), slot_compare);
    return rc;
}

/* How many candidates contain k selected ones, if these are spread evenly. */
static size_t candidates_select(const search *s, uint64_t n_selected)
{
    double n = (double)s->scan.view->generation.n_vectors;
    double share = (double)n_selected < n ? (double)n_selected / n : 1.0;
    double n_asked;

    if (n_selected == 0)
        return s->n_asked;
    n_asked = (double)s->k / share * SPREAD;
    return n_asked < (double)s->n_asked ? s->n_asked : (size_t)n_asked;
}

static int selection_plan(search *s, linkd_error *err)
{
    const linkd_search_options *options = s->scan.options;
    uint64_t n = s->scan.view->generation.n_vectors;
    uint64_t n_selected = options->selection->count;
    size_t n_asked = candidates_select(s, n_selected);

    if (n_selected <= VISITS_PER_CANDIDATE * n_asked)
        s->set = NULL;
    else if (options->effort == 0)
        s->n_asked = n_asked;
    if (n_selected < n / PASS_PER_VISIT || n_selected == 0)
        return slots_read(&s->scan, err);
    return LINKD_OK;
}

/* Where records have moved on, inactive vectors come up among the candidates. */
static void inactive_plan(search *s)
{
    const lk_generation_row *row = &s->scan.view->generation;
    uint64_t n_kept = row->n_vectors + row->n_inactive;

    if (row->n_inactive == 0 || s->scan.options->effort > 0)
        return;
    s->n_asked = (size_t)((double)s->n_asked * (double)n_kept /
                          (double)(row->n_vectors > 0 ? row->n_vectors : 1));
}

static size_t candidates_count(const linkd_search_options *options, size_t k)
{
    size_t n = options->effort;

    if (n == 0)
        n = k * CANDIDATES_PER_HIT < CANDIDATES_MIN ? CANDIDATES_MIN
                                                    : k * CANDIDATES_PER_HIT;
    return n < k ? k : n;
}

/* Fills the tops, sorted. */
static int tops_search(linkd_view *view, const float *queries, lk_top *tops,
                       size_t n_queries, size_t k,
                       const linkd_search_options *options,
                       linkd_search_stats *ret_stats, linkd_error *err)
{
    search s = {
        .scan = {.view = view, .options = options, .dim = linkd_view_dim(view)},
        .set = options->exact ? NULL : view->set,
        .k = k,
        .n_asked = candidates_count(options, k)};
    int rc = LINKD_OK;

    if (options->selection != NULL)
        rc = selection_plan(&s, err);
    inactive_plan(&s);
    if (rc == LINKD_OK && view->generation.n_vectors > 0)
        rc = queries_search(&s, queries, tops, n_queries, err);
    for (size_t i = 0; i < n_queries && rc == LINKD_OK; i++)
        lk_top_sort(&tops[i]);
    if (rc == LINKD_OK && ret_stats != NULL)
        *ret_stats = (linkd_search_stats){.exact = s.n_segments == 0,
                                          .n_scanned = s.scan.n_scanned,
                                          .n_segments = s.n_segments};
    room_clear(&s);
    free(s.scan.slots);
    return rc;
}

/* ---- public -------------------------------------------------------------- */

static int queries_check(const linkd_view *view, const float *queries, size_t n,
                         const linkd_search_options *options, linkd_error *err)
{
    size_t dim = linkd_view_dim(view);

    if (isnan(options->threshold))
        return lk_fail(err, LINKD_E_ARG, "the threshold is not a number");
    for (size_t i = 0; i < n * dim; i++)
        if (!isfinite(queries[i]))
            return lk_fail(err, LINKD_E_ARG, "query %zu is not finite",
                           i / dim);
    return LINKD_OK;
}

int linkd_view_search(linkd_view *view, const float *queries, size_t n_queries,
                      const linkd_search_options *options, linkd_hit *ret_hits,
                      linkd_search_stats *ret_stats, linkd_error *err)
{
    size_t k = options->k;
    lk_top *tops = NULL;
    int rc = queries_check(view, queries, n_queries, options, err);

    if (rc != LINKD_OK)
        return rc;
    if (k == 0 || k > LINKD_K_MAX)
        return lk_fail(err, LINKD_E_ARG, "k is %zu, not 1 to %zu", k,
                       LINKD_K_MAX);
    tops = lk_alloc_aligned(n_queries + 1, sizeof(*tops));
    if (tops == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < n_queries; i++)
        tops[i] = (lk_top){.hits = ret_hits + i * k, .k = k};
    rc =
        tops_search(view, queries, tops, n_queries, k, options, ret_stats, err);
    for (size_t i = 0; i < n_queries && rc == LINKD_OK; i++)
        for (size_t j = tops[i].n; j < k; j++)
            tops[i].hits[j] = (linkd_hit){.id = LINKD_ID_NONE};
    free(tops);
    return rc;
}

/* The first number of hits that a range search hopes to do with. Guess. */
#define RANGE_K_FIRST ((size_t)256)
#define RANGE_K_STEP  ((size_t)8)

/* Searches for ever more neighbours until the last one is below the threshold.
 * A scan needs no such steps: it finds all at once. */
static int range_search(linkd_view *view, const float *query,
                        const linkd_search_options *options, lk_top *top,
                        linkd_search_stats *ret_stats, linkd_error *err)
{
    size_t n_most = LINKD_RANGE_MAX + 1;
    size_t k = options->exact || view->set == NULL ? n_most : RANGE_K_FIRST;
    int rc;

    for (;;) {
        top->n = 0;
        top->k = k;
        rc = tops_search(view, query, top, 1, k, options, ret_stats, err);
        if (rc != LINKD_OK || top->n < k || k == n_most)
            return rc;
        k = k * RANGE_K_STEP < n_most ? k * RANGE_K_STEP : n_most;
    }
}

int linkd_view_range(linkd_view *view, const float *query,
                     const linkd_search_options *options, linkd_hit **ret_hits,
                     size_t *ret_n, linkd_search_stats *ret_stats,
                     linkd_error *err)
{
    lk_top top = {0};
    linkd_hit *hits = NULL;
    int rc = queries_check(view, query, 1, options, err);

    if (rc != LINKD_OK)
        return rc;
    top.hits = malloc((LINKD_RANGE_MAX + 1) * sizeof(*top.hits));
    if (top.hits == NULL)
        return lk_fail_nomem(err);
    rc = range_search(view, query, options, &top, ret_stats, err);
    if (rc == LINKD_OK && top.n > LINKD_RANGE_MAX)
        rc =
            lk_fail(err, LINKD_E_ARG, "more than %zu records score at least %g",
                    LINKD_RANGE_MAX, (double)options->threshold);
    if (rc != LINKD_OK) {
        free(top.hits);
        return rc;
    }
    *ret_hits = top.hits;
    hits = realloc(top.hits, (top.n + 1) * sizeof(*hits));
    if (hits != NULL)
        *ret_hits = hits;
    *ret_n = top.n;
    return LINKD_OK;
}
