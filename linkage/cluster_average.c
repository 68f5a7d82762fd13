/* linkage/cluster_average.c — greedy average linkage on sparse log-odds.
 *
 * The two clusters whose mean log-odds over all cross pairs are greatest become
 * one, again and again, while that mean is above `stop`. A pair that was never
 * compared counts `missing`: no channel proposed it, which speaks against it. So
 * this is average linkage on a full matrix of which nearly all cells are equal.
 *
 *   mean(A, B) = (sum of compared + missing * (|A| |B| - compared)) / (|A| |B|)
 *
 * Sums add up, so nothing has to be rewritten when clusters merge:
 *
 *   arcs     [(row, count, sum)…]  one block for each row, both directions
 *   blocks    a cluster is a chain of blocks: merging ties two chains
 *   best      the neighbour of the greatest mean, for each cluster
 *   heap      clusters by the mean of their best, then lowest names
 *
 * A cluster is named by its lowest row. A arc names a row that was once its
 * neighbour's name; before a cluster looks for its best neighbour, its arcs are
 * packed: those of one neighbour are added up, those inside it are dropped, and
 * what is left moves to the front of the chain. That takes linear time, since a
 * table by name says where a neighbour is.
 *
 * Average linkage is reducible: mean(A+B, C) is at most the greater of
 * mean(A, C) and mean(B, C). So the best of a cluster, once found, only becomes
 * worse through merges of others, and of equals lower names win both before and
 * after. Hence an outdated entry of the heap is an upper bound: it is looked at
 * again only when it comes to the top, and a valid entry at the top is the best
 * of all. Limits keep this true: a pair once refused stays refused.
 *
 * A row with no pair above `stop` of its own can never get a mean above it, so
 * its pairs are dropped first: mostly that is nearly all of them. Memory is 32
 * bytes for each pair kept, and up to 72 for each row. Not parallel. */
#include "linkage/cluster.h"

#include <math.h>
#include <stdlib.h>

#define ROW_NONE UINT32_MAX

typedef struct arc {
    uint32_t row; /* was, or is, the neighbour's name */
    uint32_t count;
    double sum;
} arc;

/* The arcs that lie at a row's place, and whose they are next. */
typedef struct block {
    uint32_t n;
    uint32_t next; /* row, or ROW_NONE */
} block;

typedef struct best {
    double mean;
    uint32_t low; /* the two names, low < high */
    uint32_t high;
    uint32_t cluster; /* whose best this is: low or high */
    uint32_t version; /* of the cluster when this was found, */
    uint32_t version_other;
} best;

typedef struct average {
    const linkd_edges *edges;
    const lk_average_options *options;
    lk_groups groups;
    size_t *starts; /* [n_records + 1]: of each row's arcs */
    arc *arcs;
    block *blocks;      /* [n_records] */
    uint32_t *tails;    /* [n_records], by name: last block of the chain */
    uint32_t *sizes;    /* [n_records], by name */
    uint32_t *versions; /* [n_records]: grows when a name's rows change */
    uint32_t *places;   /* [n_records], by name: scratch of packing */
    best *heap;
    size_t n_heap;
} average;

/* ---- the heap ------------------------------------------------------------ */

static bool best_before(const best *x, const best *y)
{
    if (x->mean != y->mean)
        return x->mean > y->mean;
    if (x->low != y->low)
        return x->low < y->low;
    return x->high != y->high ? x->high < y->high : x->cluster < y->cluster;
}

static void heap_sift_down(average *v, size_t at)
{
    best moving = v->heap[at];

    for (;;) {
        size_t child = 2 * at + 1;

        if (child + 1 < v->n_heap &&
            best_before(&v->heap[child + 1], &v->heap[child]))
            child++;
        if (child >= v->n_heap || !best_before(&v->heap[child], &moving))
            break;
        v->heap[at] = v->heap[child];
        at = child;
    }
    v->heap[at] = moving;
}

static void heap_drop_top(average *v)
{
    v->heap[0] = v->heap[--v->n_heap];
    if (v->n_heap > 0)
        heap_sift_down(v, 0);
}

/* ---- the arcs of a cluster ---------------------------------------------- */

/* A place in a chain of blocks. */
typedef struct cursor {
    uint32_t row;
    uint32_t at;
} cursor;

/* Where arcs of a chain are read, and where those that stay are written: never
 * beyond, since a block has as much room as it had arcs at first. */
static arc *cursor_write(average *v, cursor *to)
{
    size_t room = v->starts[to->row + 1] - v->starts[to->row];

    while (to->at == room) {
        v->blocks[to->row].n = to->at;
        *to = (cursor){v->blocks[to->row].next, 0};
        room = v->starts[to->row + 1] - v->starts[to->row];
    }
    return &v->arcs[v->starts[to->row] + to->at++];
}

/* Takes one arc of `name` into what is packed already. */
static void arc_pack(average *v, uint32_t name, arc taken, cursor *to)
{
    uint32_t row = (uint32_t)lk_disjoint_find(v->groups.sets, taken.row);
    arc *packed;

    if (row == name)
        return;
    if (v->places[row] == ROW_NONE) {
        packed = cursor_write(v, to);
        *packed = (arc){row, taken.count, taken.sum};
        /* arcs are fewer than 2^32, see edges_check() */
        v->places[row] = (uint32_t)(packed - v->arcs);
        return;
    }
    packed = &v->arcs[v->places[row]];
    packed->count += taken.count;
    packed->sum += taken.sum;
}

static void arcs_pack(average *v, uint32_t name)
{
    cursor to = {name, 0};
    uint32_t next = name;

    for (uint32_t row = name; row != ROW_NONE; row = next) {
        uint32_t n = v->blocks[row].n;

        next = v->blocks[row].next;
        for (uint32_t i = 0; i < n; i++)
            arc_pack(v, name, v->arcs[v->starts[row] + i], &to);
    }
    v->blocks[to.row] = (block){to.at, ROW_NONE};
    v->tails[name] = to.row;
}

static double arc_mean(const average *v, uint32_t name, const arc *l)
{
    double n_pairs = (double)v->sizes[name] * v->sizes[l->row];
    double missing = (double)v->options->missing;

    return (l->sum + missing * (n_pairs - l->count)) / n_pairs;
}

/* Is this neighbour better than the best so far? */
static void arc_offer(average *v, uint32_t name, const arc *l, best *ret_best)
{
    best offered = {.mean = arc_mean(v, name, l),
                    .low = name < l->row ? name : l->row,
                    .high = name < l->row ? l->row : name,
                    .cluster = name,
                    .version = v->versions[name],
                    .version_other = v->versions[l->row]};

    if (offered.mean > (double)v->options->stop &&
        best_before(&offered, ret_best) &&
        lk_groups_may_unite(&v->groups, name, l->row))
        *ret_best = offered;
}

/* The best neighbour of a cluster; false: it has none to merge with. */
static bool best_find(average *v, uint32_t name, best *ret_best)
{
    best found = {.mean = -(double)INFINITY};

    arcs_pack(v, name);
    for (uint32_t row = name; row != ROW_NONE; row = v->blocks[row].next)
        for (uint32_t i = 0; i < v->blocks[row].n; i++) {
            const arc *l = &v->arcs[v->starts[row] + i];

            v->places[l->row] = ROW_NONE;
            arc_offer(v, name, l, &found);
        }
    *ret_best = found;
    return found.mean > (double)v->options->stop;
}

/* ---- merging ------------------------------------------------------------- */

static bool best_is_valid(const average *v, const best *b)
{
    uint32_t other = b->cluster == b->low ? b->high : b->low;

    return v->versions[b->cluster] == b->version &&
           v->versions[other] == b->version_other;
}

/* The cluster at the top has a new best neighbour, or none. */
static void top_renew(average *v, uint32_t name)
{
    if (best_find(v, name, &v->heap[0]))
        heap_sift_down(v, 0);
    else
        heap_drop_top(v);
}

static void clusters_merge(average *v, uint32_t low, uint32_t high)
{
    lk_groups_unite(&v->groups, low, high);
    v->blocks[v->tails[low]].next = high;
    v->tails[low] = v->tails[high];
    v->sizes[low] += v->sizes[high];
    v->versions[low]++;
    v->versions[high]++;
    v->sizes[high] = 0;
}

static void clusters_find(average *v)
{
    while (v->n_heap > 0) {
        best top = v->heap[0];

        if (v->sizes[top.cluster] == 0) {
            heap_drop_top(v); /* it is part of another by now */
        } else if (!best_is_valid(v, &top)) {
            top_renew(v, top.cluster);
        } else {
            clusters_merge(v, top.low, top.high);
            if (top.cluster == top.low)
                top_renew(v, top.low);
            else
                heap_drop_top(v); /* low has an entry, outdated by now */
        }
    }
}

/* ---- setting up ---------------------------------------------------------- */

static int edges_check(const linkd_edges *edges,
                       const lk_average_options *options, linkd_error *err)
{
    if (!isfinite(options->stop) || !isfinite(options->missing) ||
        options->missing > options->stop)
        return lk_fail(err, LINKD_E_ARG,
                       "log-odds of pairs that were never compared must not "
                       "be above those at which merging stops");
    if (edges->n_records >= ROW_NONE || edges->n > UINT32_MAX / 2)
        return lk_fail(err, LINKD_E_ARG, "too many pairs to cluster");
    for (size_t i = 0; i < edges->n; i++) {
        if (edges->a[i] >= edges->n_records ||
            edges->b[i] >= edges->n_records || edges->a[i] == edges->b[i])
            return lk_fail(err, LINKD_E_ARG, "pair %zu is not of two records",
                           i);
        if (!isfinite(edges->log_odds[i]))
            return lk_fail(err, LINKD_E_ARG,
                           "the log-odds of pair %zu are not finite", i);
    }
    return LINKD_OK;
}

/* places[] tells for now which rows have a pair above `stop`. */
static void rows_choose(average *v)
{
    const linkd_edges *edges = v->edges;

    for (size_t i = 0; i < edges->n; i++)
        if (edges->log_odds[i] > v->options->stop)
            v->places[edges->a[i]] = v->places[edges->b[i]] = 1;
}

static bool edge_is_kept(const average *v, size_t i)
{
    return v->places[v->edges->a[i]] != 0 && v->places[v->edges->b[i]] != 0;
}

/* starts[row + 1] counts a row's arcs, and then where they end. */
static void arcs_count(average *v)
{
    size_t n = v->edges->n_records;

    for (size_t i = 0; i < v->edges->n; i++)
        if (edge_is_kept(v, i)) {
            v->starts[v->edges->a[i] + 1]++;
            v->starts[v->edges->b[i] + 1]++;
        }
    for (size_t row = 0; row < n; row++)
        v->starts[row + 1] += v->starts[row];
}

static void arc_add(average *v, uint32_t from, uint32_t to, float log_odds)
{
    v->arcs[v->starts[from] + v->blocks[from].n++] =
        (arc){to, 1, (double)log_odds};
}

static int arcs_fill(average *v, linkd_error *err)
{
    const linkd_edges *edges = v->edges;

    v->arcs = calloc(v->starts[edges->n_records] + 1, sizeof(*v->arcs));
    if (v->arcs == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < edges->n; i++)
        if (edge_is_kept(v, i)) {
            arc_add(v, edges->a[i], edges->b[i], edges->log_odds[i]);
            arc_add(v, edges->b[i], edges->a[i], edges->log_odds[i]);
        }
    return LINKD_OK;
}

static int heap_fill(average *v, linkd_error *err)
{
    size_t n = 0;

    for (size_t row = 0; row < v->edges->n_records; row++)
        n += v->blocks[row].n > 0;
    v->heap = calloc(n + 1, sizeof(*v->heap));
    if (v->heap == NULL)
        return lk_fail_nomem(err);
    for (size_t row = 0; row < v->edges->n_records; row++)
        if (v->blocks[row].n > 0 &&
            best_find(v, (uint32_t)row, &v->heap[v->n_heap]))
            v->n_heap++;
    for (size_t i = v->n_heap / 2; i-- > 0;)
        heap_sift_down(v, i);
    return LINKD_OK;
}

static int arrays_make(average *v, linkd_error *err)
{
    size_t n = v->edges->n_records;

    v->starts = calloc(n + 2, sizeof(*v->starts));
    v->blocks = calloc(n + 1, sizeof(*v->blocks));
    v->tails = calloc(n + 1, sizeof(*v->tails));
    v->sizes = calloc(n + 1, sizeof(*v->sizes));
    v->versions = calloc(n + 1, sizeof(*v->versions));
    v->places = calloc(n + 1, sizeof(*v->places));
    if (v->starts == NULL || v->blocks == NULL || v->tails == NULL ||
        v->sizes == NULL || v->versions == NULL || v->places == NULL)
        return lk_fail_nomem(err);
    for (size_t row = 0; row < n; row++) {
        v->blocks[row].next = ROW_NONE;
        v->tails[row] = (uint32_t)row;
        v->sizes[row] = 1;
    }
    return LINKD_OK;
}

static int average_init(average *v, linkd_error *err)
{
    int rc = arrays_make(v, err);

    if (rc != LINKD_OK)
        return rc;
    rows_choose(v);
    arcs_count(v);
    rc = arcs_fill(v, err);
    for (size_t row = 0; row < v->edges->n_records; row++)
        v->places[row] = ROW_NONE;
    return rc == LINKD_OK ? heap_fill(v, err) : rc;
}

static void average_clear(average *v)
{
    lk_groups_clear(&v->groups);
    free(v->heap);
    free(v->places);
    free(v->versions);
    free(v->sizes);
    free(v->tails);
    free(v->blocks);
    free(v->arcs);
    free(v->starts);
}

int lk_cluster_average_unite(const linkd_edges *edges,
                             const lk_average_options *options,
                             lk_disjoint *sets, linkd_error *err)
{
    average v = {.edges = edges, .options = options};
    int rc = edges_check(edges, options, err);

    if (rc == LINKD_OK)
        rc = lk_groups_init(&v.groups, &options->limits, sets, err);
    if (rc == LINKD_OK)
        rc = average_init(&v, err);
    if (rc == LINKD_OK)
        clusters_find(&v);
    average_clear(&v);
    return rc;
}

int lk_cluster_average(const linkd_edges *edges,
                       const lk_average_options *options, size_t *ret_entities,
                       size_t *ret_n_entities, linkd_error *err)
{
    lk_disjoint sets;
    int rc = lk_disjoint_init(&sets, edges->n_records, err);

    if (rc == LINKD_OK)
        rc = lk_cluster_average_unite(edges, options, &sets, err);
    if (rc == LINKD_OK)
        *ret_n_entities = lk_disjoint_number(&sets, ret_entities);
    lk_disjoint_clear(&sets);
    return rc;
}
