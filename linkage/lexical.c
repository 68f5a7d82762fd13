/* linkage/lexical.c — records that share terms, without comparing all records.
 *
 * For each direction (whose side asks, whose side is asked) an inverted index of
 * the side that is asked is made. Then every record of the other side picks, from
 * the rarest on, as many of its terms as its budget of postings pays for, and
 * their lists are added up to partial scores, span by span of positions:
 *
 *   term 0  pos, pos, │ pos, pos, …         one span's partial scores stay in a
 *   term 1  pos,      │ pos, pos, pos, …    core's cache, and are zero again
 *   partial [span 0]  │ [span 1] …          when its lists have been read twice
 *
 * The best of all spans (FINALISTS times as many as are wanted) are then scored
 * by all of their terms. If the rare terms met too few records to choose from,
 * the first list that is not paid for is visited in part: a window of it that
 * lies where the query itself lies among its side, since files are often in a
 * similar order, and its beginning would favour the same records every time.
 *
 * Records are put in positions by block, within it by number. A block is then a
 * range of positions, and its part of each list is found by bisection: records
 * of other blocks cost nothing, and do not make a term frequent.
 *
 *   position  0 1 2 | 3 4 | …       record  4 7 9 | 0 2 | …
 *              block 0  block 1
 *
 * Terms that are in too many records are not in the index at all. A search
 * visits n * budget postings at most.
 *
 * Every query writes to its own chunk's array, so the outcome does not depend on
 * the number of workers. Partial scores are sums in the order of the query's
 * lists, final ones in the order of term ids: the same for (a, b) and (b, a).
 *
 * Memory: 8 bytes a posting, besides the terms. */
#include "linkage/lexical.h"

#include <float.h>
#include <stdlib.h>
#include <string.h>

/* Of so many times the wanted neighbours the exact scores are computed: a guess
 * between the cost of one (0.3 us) and what partial scores get wrong. */
#define FINALISTS ((size_t)4)
/* df_share does not apply to terms of so few records (decision notes). */
#define DF_FREE ((size_t)50)

/* Finalists lie anywhere in memory: so many before its turn comes, the terms of
 * one are sent for. */
#define PREFETCH ((size_t)6)

#define QUERIES_PER_CHUNK ((size_t)64)
/* Chunks per worker between two progress reports: 1,000 queries of 0.1 ms. */
#define CHUNKS_PER_ROUND ((size_t)16)

/* Positions of a span: 128 kB of partial scores, which stay in a core's cache.
 * Measured 2026-11-29 with 300,000 persons of 50 3-grams each and a budget of
 * 20,000 on two cores: 16 s for 2^14 and 2^15, 18 s for 2^16, 30 s for one span
 * of everything. That is 2.0e8 postings/s on a core, exact scores included. */
#define SPAN ((size_t)1 << 15)

#define BLOCK_NONE UINT32_MAX

typedef struct posting {
    uint32_t position;
    float weight;
} posting;

/* A term of the query, and the part of its list that may be visited. */
typedef struct list {
    const posting *postings;
    size_t n;
    float weight;  /* of the query's term */
    size_t n_span; /* postings of the current span */
} list;

/* A record that was met. */
typedef struct met {
    uint32_t position;
    float score;
} met;

typedef struct scratch {
    float *partial; /* [SPAN] 0 between spans */
    list *lists;    /* [terms of the longest record] */
    met *finalists; /* [searcher's n_finalists] a heap, the worst at its root */
    size_t n_finalists;
    lk_neighbour *found; /* [searcher's n_finalists] */
    float *query;        /* [n_ids] by term; 0 between queries */
} scratch;

/* What the queries of one chunk found. */
typedef struct chunk {
    lk_neighbour *neighbours;
    size_t n;
    size_t capacity;
} chunk;

typedef struct range {
    size_t begin;
    size_t end;
} range;

typedef struct searcher {
    const lk_terms *terms;
    const lk_lexical_options *options;
    size_t n_finalists;
    scratch *scratches; /* [n_workers] */
    size_t n_workers;
    size_t *counts; /* [n + 1]: of each query; later offsets */
    chunk *chunks;  /* [n_chunks] of both directions, one after the other */
    size_t n_chunks;
    size_t n_chunks_done;
    uint64_t n_done; /* queries */

    /* of the current direction */
    range askers; /* records */
    range asked;
    bool is_self;
    size_t *starts; /* [n_ids + 1] into postings */
    posting *postings;
    uint32_t *records; /* [n_positions] by block, then by number */
    size_t n_positions;
    range *blocks; /* [n_blocks] positions; NULL: one block of everything */
    size_t n_blocks;
    size_t first_chunk; /* of this round, in this direction */
} searcher;

/* ---- index ---------------------------------------------------------------- */

static size_t range_len(range r)
{
    return r.end - r.begin;
}

static size_t block_count(const searcher *s)
{
    size_t n = 0;

    for (size_t r = 0; r < s->terms->n; r++) {
        uint32_t block = s->options->blocks[r];

        if (block != BLOCK_NONE && block >= n)
            n = (size_t)block + 1;
    }
    return n;
}

/* A counting sort of the asked records by block. */
static void blocks_fill(searcher *s)
{
    const uint32_t *blocks = s->options->blocks;
    size_t total = 0;

    for (size_t r = s->asked.begin; r < s->asked.end; r++)
        if (blocks[r] != BLOCK_NONE)
            s->blocks[blocks[r]].end++;
    for (size_t b = 0; b < s->n_blocks; b++) {
        size_t n = s->blocks[b].end;

        s->blocks[b] = (range){total, total};
        total += n;
    }
    for (size_t r = s->asked.begin; r < s->asked.end; r++)
        if (blocks[r] != BLOCK_NONE)
            s->records[s->blocks[blocks[r]].end++] = (uint32_t)r;
    s->n_positions = total;
}

static int positions_make(searcher *s, linkd_error *err)
{
    s->n_positions = range_len(s->asked);
    s->records = lk_alloc_aligned(s->n_positions + 1, sizeof(*s->records));
    if (s->records == NULL)
        return lk_fail_nomem(err);
    if (s->options->blocks == NULL) {
        for (size_t i = 0; i < s->n_positions; i++)
            s->records[i] = (uint32_t)(s->asked.begin + i);
        return LINKD_OK;
    }
    s->n_blocks = block_count(s);
    s->blocks = calloc(s->n_blocks + 1, sizeof(*s->blocks));
    if (s->blocks == NULL)
        return lk_fail_nomem(err);
    blocks_fill(s);
    return LINKD_OK;
}

/* Counts each term's postings and leaves out what is too frequent. */
static void starts_fill(searcher *s, size_t *ends)
{
    const lk_terms *t = s->terms;
    double share = (double)s->options->df_share * (double)s->n_positions;
    size_t df_max = share > (double)DF_FREE ? (size_t)share : DF_FREE;
    size_t total = 0;

    for (size_t p = 0; p < s->n_positions; p++)
        for (size_t i = t->offsets[s->records[p]];
             i < t->offsets[s->records[p] + 1]; i++)
            ends[t->terms[i].id]++;
    for (size_t id = 0; id < t->n_ids; id++) {
        s->starts[id] = total;
        total += ends[id] <= df_max ? ends[id] : 0;
        ends[id] = s->starts[id];
    }
    s->starts[t->n_ids] = total;
}

static void postings_fill(searcher *s, size_t *ends)
{
    const lk_terms *t = s->terms;
    bool by_cosine = s->options->score == LK_LEXICAL_COSINE;

    for (size_t p = 0; p < s->n_positions; p++)
        for (size_t i = t->offsets[s->records[p]];
             i < t->offsets[s->records[p] + 1]; i++) {
            lk_term term = t->terms[i];

            if (s->starts[term.id] < s->starts[term.id + 1])
                s->postings[ends[term.id]++] =
                    (posting){(uint32_t)p, by_cosine ? term.weight : 1.0F};
        }
}

static int index_make(searcher *s, linkd_error *err)
{
    size_t n_ids = s->terms->n_ids;
    size_t *ends = calloc(n_ids + 1, sizeof(*ends));
    int rc = positions_make(s, err);

    s->starts = calloc(n_ids + 1, sizeof(*s->starts));
    if (rc == LINKD_OK && (ends == NULL || s->starts == NULL))
        rc = lk_fail_nomem(err);
    if (rc == LINKD_OK) {
        starts_fill(s, ends);
        s->postings = lk_alloc_aligned(s->starts[n_ids], sizeof(*s->postings));
        if (s->postings != NULL)
            postings_fill(s, ends);
        else
            rc = lk_fail_nomem(err);
    }
    free(ends);
    return rc;
}

static void index_clear(searcher *s)
{
    free(s->blocks);
    free(s->records);
    free(s->postings);
    free(s->starts);
    s->blocks = NULL;
    s->records = NULL;
    s->postings = NULL;
    s->starts = NULL;
}

/* ---- a query's lists ------------------------------------------------------ */

static size_t postings_below(const posting *postings, size_t n, size_t position)
{
    size_t low = 0;

    while (low < n) {
        size_t middle = low + (n - low) / 2;

        if (postings[middle].position < position)
            low = middle + 1;
        else
            n = middle;
    }
    return low;
}

/* The part of the term's list within the block. */
static list list_of(const searcher *s, lk_term term, range block)
{
    const posting *postings = s->postings + s->starts[term.id];
    size_t n = s->starts[term.id + 1] - s->starts[term.id];
    bool by_cosine = s->options->score == LK_LEXICAL_COSINE;

    if (s->blocks != NULL) {
        size_t first = postings_below(postings, n, block.begin);

        n = first + postings_below(postings + first, n - first, block.end);
        postings += first;
        n -= first;
    }
    return (list){.postings = postings,
                  .n = n,
                  .weight = by_cosine ? term.weight
                                      : lk_terms_idf(s->terms, term.id)};
}

/* Shortest first; the address makes the order total: it is that of the ids. */
static int list_compare(const void *a, const void *b)
{
    const list *x = a;
    const list *y = b;

    if (x->n != y->n)
        return x->n > y->n ? 1 : -1;
    return (x->postings > y->postings) - (x->postings < y->postings);
}

static size_t lists_make(const searcher *s, size_t query, range block,
                         list *ret_lists)
{
    const lk_terms *t = s->terms;
    size_t n = 0;

    for (size_t i = t->offsets[query]; i < t->offsets[query + 1]; i++) {
        list l = list_of(s, t->terms[i], block);

        if (l.n > 0)
            ret_lists[n++] = l;
    }
    qsort(ret_lists, n, sizeof(*ret_lists), list_compare);
    return n;
}

/* ---- which lists are visited ---------------------------------------------- */

/* Of a list that is too long: as many postings as are allowed, around the place
 * that the query has among its own side. */
static list list_window(const searcher *s, const list *l, size_t query,
                        size_t n)
{
    double place =
        (double)(query - s->askers.begin) / (double)range_len(s->askers);
    size_t middle = (size_t)(place * (double)l->n);
    size_t first = middle > n / 2 ? middle - n / 2 : 0;

    if (first > l->n - n)
        first = l->n - n;
    return (list){.postings = l->postings + first, .n = n, .weight = l->weight};
}

/* How many of the sorted lists the budget pays for. */
static size_t lists_choose(const searcher *s, size_t query, size_t n_lists,
                           list *lists)
{
    size_t budget = s->options->budget;
    size_t n_visits = 0;
    size_t n = 0;

    while (n < n_lists && lists[n].n <= budget - n_visits)
        n_visits += lists[n++].n;
    if (n < n_lists && n_visits <= s->n_finalists && n_visits < budget) {
        lists[n] = list_window(s, &lists[n], query, budget - n_visits);
        n++;
    }
    return n;
}

/* ---- visiting ------------------------------------------------------------- */

/* Adds what the list says of the records of a span, from where the span before
 * has left it. */
static void list_visit(list *l, range span, float *partial)
{
    const posting *p = l->postings;
    const posting *end = p + l->n;

    for (; p < end && p->position < span.end; p++)
        partial[p->position - span.begin] += l->weight * p->weight;
    l->n_span = (size_t)(p - l->postings);
}

/* ---- the best by partial score ------------------------------------------- */

/* Of equal scores the later position is worse: within a block, positions rise
 * with records. */
static bool met_is_worse(met a, met b)
{
    return a.score < b.score || (a.score == b.score && a.position > b.position);
}

static void heap_sink(met *heap, size_t n, met item)
{
    size_t at = 0;

    for (size_t child = 1; child < n; child = 2 * at + 1) {
        if (child + 1 < n && met_is_worse(heap[child + 1], heap[child]))
            child++;
        if (!met_is_worse(heap[child], item))
            break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = item;
}

static void heap_rise(met *heap, size_t at, met item)
{
    while (at > 0 && met_is_worse(item, heap[(at - 1) / 2])) {
        heap[at] = heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    heap[at] = item;
}

/* Takes an item among the best if it is one of them. */
static void finalist_offer(const searcher *s, size_t query, met item,
                           scratch *work)
{
    if (s->is_self && s->records[item.position] == query)
        return;
    if (work->n_finalists < s->n_finalists)
        heap_rise(work->finalists, work->n_finalists++, item);
    else if (met_is_worse(work->finalists[0], item))
        heap_sink(work->finalists, work->n_finalists, item);
}

/* The least partial score that could take part. */
static float finalists_floor(const searcher *s, const scratch *work)
{
    return work->n_finalists < s->n_finalists ? FLT_MIN
                                              : work->finalists[0].score;
}

/* Goes over the span's part of a list again, and makes what it reads zero: a
 * record that is in several lists is offered once. This costs less than to
 * write down, while visiting, which records were met. */
static void list_harvest(const searcher *s, size_t query, list *l, range span,
                         scratch *work)
{
    float floor = finalists_floor(s, work);
    const posting *end = l->postings + l->n_span;

    for (const posting *p = l->postings; p < end; p++) {
        float *partial = &work->partial[p->position - span.begin];
        float score = *partial;

        *partial = 0.0F;
        if (score >= floor) {
            finalist_offer(s, query, (met){p->position, score}, work);
            floor = finalists_floor(s, work);
        }
    }
    l->postings = end;
    l->n -= l->n_span;
}

static void finalists_find(const searcher *s, size_t query, range block,
                           scratch *work)
{
    size_t n = lists_make(s, query, block, work->lists);

    n = lists_choose(s, query, n, work->lists);
    work->n_finalists = 0;
    for (size_t at = block.begin; at < block.end; at += SPAN) {
        range span = {at, at + SPAN};

        for (size_t i = 0; i < n; i++)
            list_visit(&work->lists[i], span, work->partial);
        for (size_t i = 0; i < n; i++)
            list_harvest(s, query, &work->lists[i], span, work);
    }
}

/* ---- exact scores --------------------------------------------------------- */

static void query_spread(const searcher *s, size_t query, bool on,
                         scratch *work)
{
    const lk_terms *t = s->terms;
    bool by_cosine = s->options->score == LK_LEXICAL_COSINE;

    for (size_t i = t->offsets[query]; i < t->offsets[query + 1]; i++) {
        lk_term term = t->terms[i];
        float weight = by_cosine ? term.weight : lk_terms_idf(t, term.id);

        work->query[term.id] = on ? weight : 0.0F;
    }
}

/* With the cosine, bit for bit what lk_terms_cosine() answers: adding 0 for the
 * terms that are not shared changes nothing. */
static float score_of(const searcher *s, size_t record, const float *query)
{
    const lk_terms *t = s->terms;
    double sum = 0.0;

    if (s->options->score == LK_LEXICAL_IDF) {
        for (size_t i = t->offsets[record]; i < t->offsets[record + 1]; i++)
            sum += (double)query[t->terms[i].id];
        return (float)sum;
    }
    for (size_t i = t->offsets[record]; i < t->offsets[record + 1]; i++)
        sum += (double)query[t->terms[i].id] * (double)t->terms[i].weight;
    return sum < 1.0 ? (float)sum : 1.0F;
}

static int neighbour_compare(const void *a, const void *b)
{
    const lk_neighbour *x = a;
    const lk_neighbour *y = b;

    if (x->score != y->score)
        return x->score < y->score ? 1 : -1;
    return (x->record > y->record) - (x->record < y->record);
}

/* How many of the sorted ones are wanted. */
static size_t found_cut(const lk_lexical_options *o, const lk_neighbour *found,
                        size_t n)
{
    size_t at = 0;

    while (at < n && found[at].score >= o->score_min &&
           (at < o->k || (at < o->k_far &&
                          found[at].score >= o->far_share * found[0].score)))
        at++;
    return at;
}

static uint32_t finalist_record(const searcher *s, const scratch *work,
                                size_t i)
{
    return s->records[work->finalists[i].position];
}

static size_t finalists_score(const searcher *s, size_t query, scratch *work)
{
    const lk_terms *t = s->terms;
    size_t n = work->n_finalists;

    query_spread(s, query, true, work);
    for (size_t i = 0; i < n; i++) {
        uint32_t record = finalist_record(s, work, i);

        if (i + PREFETCH < n)
            __builtin_prefetch(
                &t->terms[t->offsets[finalist_record(s, work, i + PREFETCH)]]);
        work->found[i] =
            (lk_neighbour){record, score_of(s, record, work->query)};
    }
    query_spread(s, query, false, work);
    qsort(work->found, n, sizeof(*work->found), neighbour_compare);
    return found_cut(s->options, work->found, n);
}

/* ---- queries -------------------------------------------------------------- */

/* The positions that the query may meet. */
static range query_block(const searcher *s, size_t query)
{
    uint32_t block;

    if (s->blocks == NULL)
        return (range){0, s->n_positions};
    block = s->options->blocks[query];
    return block != BLOCK_NONE ? s->blocks[block] : (range){0, 0};
}

static int query_run(searcher *s, size_t query, chunk *out, scratch *work,
                     linkd_error *err)
{
    range block = query_block(s, query);
    size_t n = 0;
    void *array = out->neighbours;
    int rc;

    if (range_len(block) > 0 && s->n_finalists > 0) {
        finalists_find(s, query, block, work);
        n = finalists_score(s, query, work);
    }
    rc = lk_grow(&array, &out->capacity, out->n + n, sizeof(*out->neighbours),
                 err);
    out->neighbours = array;
    if (rc != LINKD_OK)
        return rc;
    if (n > 0)
        memcpy(out->neighbours + out->n, work->found,
               n * sizeof(*out->neighbours));
    out->n += n;
    s->counts[query] = n;
    return LINKD_OK;
}

static int chunk_task(void *ctx, size_t item, size_t worker, linkd_error *err)
{
    searcher *s = ctx;
    size_t number = s->first_chunk + item;
    size_t begin = s->askers.begin + number * QUERIES_PER_CHUNK;
    size_t end = begin + QUERIES_PER_CHUNK;
    int rc = LINKD_OK;

    if (end > s->askers.end)
        end = s->askers.end;
    for (size_t q = begin; q < end && rc == LINKD_OK; q++)
        rc = query_run(s, q, &s->chunks[s->n_chunks_done + number],
                       &s->scratches[worker], err);
    return rc;
}

static size_t chunk_count(size_t n_queries)
{
    return (n_queries + QUERIES_PER_CHUNK - 1) / QUERIES_PER_CHUNK;
}

static int queries_run(searcher *s, linkd_error *err)
{
    size_t n_queries = range_len(s->askers);
    size_t n_chunks = chunk_count(n_queries);
    size_t n_round = CHUNKS_PER_ROUND * s->n_workers;
    int rc = LINKD_OK;

    for (size_t at = 0; at < n_chunks && rc == LINKD_OK; at += n_round) {
        size_t n = n_chunks - at < n_round ? n_chunks - at : n_round;
        size_t end = (at + n) * QUERIES_PER_CHUNK;

        s->first_chunk = at;
        rc = lk_pool_run(s->options->pool, n, chunk_task, s, err);
        if (rc == LINKD_OK)
            rc = lk_progress_report(s->options->progress, "candidates",
                                    s->n_done +
                                        (end < n_queries ? end : n_queries),
                                    s->terms->n, err);
    }
    s->n_done += n_queries;
    s->n_chunks_done += n_chunks;
    return rc;
}

/* ---- one direction -------------------------------------------------------- */

static void scratches_clear(searcher *s)
{
    for (size_t i = 0; s->scratches != NULL && i < s->n_workers; i++) {
        scratch *work = &s->scratches[i];

        free(work->query);
        free(work->found);
        free(work->finalists);
        free(work->lists);
        free(work->partial);
    }
    free(s->scratches);
    s->scratches = NULL;
}

static int scratch_init(const searcher *s, size_t n_lists, scratch *work,
                        linkd_error *err)
{
    work->partial = calloc(SPAN, sizeof(*work->partial));
    work->lists = lk_alloc_aligned(n_lists, sizeof(*work->lists));
    work->finalists =
        lk_alloc_aligned(s->n_finalists, sizeof(*work->finalists));
    work->found = lk_alloc_aligned(s->n_finalists, sizeof(*work->found));
    work->query = calloc((size_t)s->terms->n_ids + 1, sizeof(*work->query));
    if (work->partial == NULL || work->lists == NULL ||
        work->finalists == NULL || work->found == NULL || work->query == NULL)
        return lk_fail_nomem(err);
    return LINKD_OK;
}

static int scratches_init(searcher *s, linkd_error *err)
{
    const size_t *offsets = s->terms->offsets;
    size_t n_lists = 0;
    int rc = LINKD_OK;

    for (size_t r = s->askers.begin; r < s->askers.end; r++)
        if (offsets[r + 1] - offsets[r] > n_lists)
            n_lists = offsets[r + 1] - offsets[r];
    s->scratches = calloc(s->n_workers, sizeof(*s->scratches));
    if (s->scratches == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < s->n_workers && rc == LINKD_OK; i++)
        rc = scratch_init(s, n_lists, &s->scratches[i], err);
    return rc;
}

/* No more than there are records. */
static size_t finalists_count(const searcher *s)
{
    const lk_lexical_options *o = s->options;
    size_t n_wanted = o->k > o->k_far ? o->k : o->k_far;
    size_t n_most = range_len(s->asked);

    return n_wanted < n_most / FINALISTS ? n_wanted * FINALISTS : n_most;
}

static int direction_run(searcher *s, range askers, range asked,
                         linkd_error *err)
{
    int rc;

    s->askers = askers;
    s->asked = asked;
    s->is_self = askers.begin == asked.begin;
    s->n_finalists = finalists_count(s);
    rc = index_make(s, err);
    if (rc == LINKD_OK)
        rc = scratches_init(s, err);
    if (rc == LINKD_OK)
        rc = queries_run(s, err);
    scratches_clear(s);
    index_clear(s);
    return rc;
}

/* ---- all ------------------------------------------------------------------ */

static int searcher_init(searcher *s, const lk_terms *terms,
                         const lk_lexical_options *options, linkd_error *err)
{
    *s = (searcher){.terms = terms,
                    .options = options,
                    .n_workers = lk_pool_n_workers(options->pool),
                    .n_chunks = chunk_count(terms->n_left) +
                                chunk_count(terms->n - terms->n_left)};
    LK_ASSERT(terms->n < UINT32_MAX);
    s->counts = calloc(terms->n + 1, sizeof(*s->counts));
    s->chunks = calloc(s->n_chunks + 1, sizeof(*s->chunks));
    if (s->counts == NULL || s->chunks == NULL)
        return lk_fail_nomem(err);
    return LINKD_OK;
}

static void searcher_clear(searcher *s)
{
    for (size_t i = 0; s->chunks != NULL && i < s->n_chunks; i++)
        free(s->chunks[i].neighbours);
    free(s->chunks);
    free(s->counts);
}

/* Puts the chunks' arrays one behind the other, and makes counts offsets. */
static int chunks_join(searcher *s, lk_neighbours *ret_neighbours,
                       linkd_error *err)
{
    size_t n = s->terms->n;
    size_t total = 0;
    lk_neighbour *all;

    for (size_t i = 0; i < s->n_chunks; i++)
        total += s->chunks[i].n;
    all = lk_alloc_aligned(total, sizeof(*all));
    if (all == NULL)
        return lk_fail_nomem(err);
    total = 0;
    for (size_t i = 0; i < s->n_chunks; i++) {
        chunk *c = &s->chunks[i];

        if (c->n > 0)
            memcpy(all + total, c->neighbours, c->n * sizeof(*all));
        total += c->n;
        free(c->neighbours);
        c->neighbours = NULL;
    }
    total = 0;
    for (size_t q = 0; q <= n; q++) {
        size_t count = s->counts[q];

        s->counts[q] = total;
        total += count;
    }
    *ret_neighbours = (lk_neighbours){all, s->counts, n};
    s->counts = NULL;
    return LINKD_OK;
}

int lk_lexical_search(const lk_terms *terms, const lk_lexical_options *options,
                      lk_neighbours *ret_neighbours, linkd_error *err)
{
    range left = {0, terms->n_left};
    range right = {terms->n_left, terms->n};
    bool two = terms->n_left < terms->n;
    searcher s;
    int rc = searcher_init(&s, terms, options, err);

    if (rc == LINKD_OK)
        rc = direction_run(&s, left, two ? right : left, err);
    if (rc == LINKD_OK && two)
        rc = direction_run(&s, right, left, err);
    if (rc == LINKD_OK)
        rc = chunks_join(&s, ret_neighbours, err);
    searcher_clear(&s);
    return rc;
}

void lk_neighbours_clear(lk_neighbours *neighbours)
{
    free(neighbours->offsets);
    free(neighbours->neighbours);
    *neighbours = (lk_neighbours){0};
}
