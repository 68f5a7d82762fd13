/* linkage/cluster_complete.c — complete linkage without a matrix.
 *
 * Every two rows of an entity must reach the threshold, so one wrong pair
 * cannot glue two entities together as it does with components. Starting from
 * single rows, the two clusters whose *least* similar rows are most similar are
 * merged, again and again, while that least score reaches the threshold.
 *
 * The textbook keeps a matrix of all cluster pairs. Here a pair of clusters is
 * looked at only if a candidate pair of rows joins them, so it is kept in
 * neighbour lists, and the next merge comes from a heap:
 *
 *   heap      (least, a, b, versions)   greatest least first, then lowest rows
 *   cluster   members as a chain of rows; neighbours [(row, least)…]
 *
 * Merging a and b: a neighbour x of both gets the lesser of its two scores. A
 * neighbour x of a alone: scores of all rows of b with all rows of x are asked
 * for, until one is below the threshold. So the least score is exact over all
 * cross pairs, candidates or not. As it only ever falls, a pair of clusters
 * once below the threshold stays there; it remains in the lists, where it
 * saves asking again, and leaves the heap.
 *
 * Lists and heap are cleaned lazily. A cluster is named by its lowest row; an
 * entry of a list names any row that was once its neighbour's name, and the
 * least of all entries of one neighbour is the valid one. A heap entry is
 * valid while the versions of both its clusters are. Before either grows it
 * drops what is outdated, so memory stays within some times the number of
 * candidates; a component of 20,000 rows needs no more per row than a small
 * one. Time is near linear for many small clusters and at worst the square of
 * the largest cluster, which is what checking its pairs takes.
 *
 * The outcome depends on the input alone: ties are broken by lowest rows. */
#include "linkage/cluster.h"

#include <math.h>
#include <stdlib.h>

#define ROW_NONE SIZE_MAX

typedef struct neighbour {
    size_t row;  /* was, or is, the neighbour's name */
    float least; /* of all cross pairs when this was written */
} neighbour;

typedef struct cluster {
    neighbour *neighbours;
    size_t n;
    size_t capacity;
    size_t version; /* grows when its rows change */
    size_t last;    /* of its chain of rows, which starts at its name */
} cluster;

typedef struct merge {
    float least;
    size_t a; /* names, a < b */
    size_t b;
    size_t version_a;
    size_t version_b;
} merge;

typedef struct linkage {
    const lk_cluster_input *input;
    lk_disjoint *sets;
    lk_groups groups;
    cluster *clusters; /* [n_rows], by name */
    size_t *next;      /* [n_rows]: the chains of rows */
    merge *heap;
    size_t n_heap;
    size_t heap_capacity;
} linkage;

/* ---- the heap of possible merges ----------------------------------------- */

static bool merge_before(const merge *x, const merge *y)
{
    if (x->least != y->least)
        return x->least > y->least;
    return x->a != y->a ? x->a < y->a : x->b < y->b;
}

static bool merge_is_valid(const linkage *l, const merge *m)
{
    return l->clusters[m->a].version == m->version_a &&
           l->clusters[m->b].version == m->version_b;
}

static void heap_sift_down(linkage *l, size_t at)
{
    merge moving = l->heap[at];

    for (;;) {
        size_t child = 2 * at + 1;

        if (child + 1 < l->n_heap &&
            merge_before(&l->heap[child + 1], &l->heap[child]))
            child++;
        if (child >= l->n_heap || !merge_before(&l->heap[child], &moving))
            break;
        l->heap[at] = l->heap[child];
        at = child;
    }
    l->heap[at] = moving;
}

static void heap_clean(linkage *l)
{
    size_t n = 0;

    for (size_t i = 0; i < l->n_heap; i++)
        if (merge_is_valid(l, &l->heap[i]))
            l->heap[n++] = l->heap[i];
    l->n_heap = n;
    for (size_t i = n / 2; i-- > 0;)
        heap_sift_down(l, i);
}

/* Makes room for one more; cleaning pays off when it frees half the room. */
static int heap_reserve(linkage *l, linkd_error *err)
{
    void *heap = l->heap;
    int rc;

    if (l->n_heap < l->heap_capacity)
        return LINKD_OK;
    heap_clean(l);
    if (l->n_heap < l->heap_capacity / 2)
        return LINKD_OK;
    rc = lk_grow(&heap, &l->heap_capacity, 2 * l->n_heap + 64, sizeof(merge),
                 err);
    l->heap = heap;
    return rc;
}

static int heap_push(linkage *l, size_t x, size_t y, float least,
                     linkd_error *err)
{
    size_t a = x < y ? x : y;
    size_t b = x < y ? y : x;
    merge m = {least, a, b, l->clusters[a].version, l->clusters[b].version};
    int rc = heap_reserve(l, err);
    size_t at;

    if (rc != LINKD_OK)
        return rc;
    for (at = l->n_heap++; at > 0 && merge_before(&m, &l->heap[(at - 1) / 2]);
         at = (at - 1) / 2)
        l->heap[at] = l->heap[(at - 1) / 2];
    l->heap[at] = m;
    return LINKD_OK;
}

static merge heap_pop(linkage *l)
{
    merge top = l->heap[0];

    l->heap[0] = l->heap[--l->n_heap];
    if (l->n_heap > 0)
        heap_sift_down(l, 0);
    return top;
}

/* ---- neighbour lists ----------------------------------------------------- */

static int neighbour_compare(const void *a, const void *b)
{
    const neighbour *x = a;
    const neighbour *y = b;

    if (x->row != y->row)
        return x->row > y->row ? 1 : -1;
    return (x->least > y->least) - (x->least < y->least);
}

/* One entry for each neighbour, under its name of today, sorted. */
static void neighbours_clean(linkage *l, size_t name)
{
    cluster *c = &l->clusters[name];
    size_t n = 0;

    for (size_t i = 0; i < c->n; i++)
        c->neighbours[i].row = lk_disjoint_find(l->sets, c->neighbours[i].row);
    if (c->n > 1)
        qsort(c->neighbours, c->n, sizeof(*c->neighbours), neighbour_compare);
    for (size_t i = 0; i < c->n; i++)
        if (n == 0 || c->neighbours[n - 1].row != c->neighbours[i].row)
            c->neighbours[n++] = c->neighbours[i];
    c->n = n;
}

static int neighbour_add(linkage *l, size_t name, size_t row, float least,
                         linkd_error *err)
{
    cluster *c = &l->clusters[name];
    void *neighbours;
    int rc = LINKD_OK;

    if (c->n == c->capacity) {
        neighbours_clean(l, name);
        if (c->n >= c->capacity / 2) {
            neighbours = c->neighbours;
            rc = lk_grow(&neighbours, &c->capacity, 2 * c->n + 4,
                         sizeof(*c->neighbours), err);
            c->neighbours = neighbours;
        }
    }
    if (rc == LINKD_OK)
        c->neighbours[c->n++] = (neighbour){row, least};
    return rc;
}

/* ---- merging ------------------------------------------------------------- */

/* The least score between two clusters' rows, or the first below the
 * threshold. */
static float cross_score(const linkage *l, size_t x, size_t y)
{
    const lk_cluster_input *input = l->input;
    float least = 0.0F;
    bool is_first = true;

    for (size_t a = x; a != ROW_NONE; a = l->next[a])
        for (size_t b = y; b != ROW_NONE; b = l->next[b]) {
            float score = input->score(input->ctx, a, b);

            least = is_first || score < least ? score : least;
            is_first = false;
            if (least < input->threshold)
                return least;
        }
    return least;
}

/* The least score of `known`, a neighbour of one cluster, with that cluster
 * and with `other`, of which it is none. */
static float score_extend(const linkage *l, const neighbour *known,
                          size_t other)
{
    float cross;

    if (known->least < l->input->threshold)
        return known->least;
    cross = cross_score(l, other, known->row);
    return cross < known->least ? cross : known->least;
}

/* The neighbours of a and b together, but for a and b themselves, in a list
 * with room for all. Both lists are clean. */
static size_t neighbours_unite(const linkage *l, size_t a, size_t b,
                               neighbour *ret_list)
{
    const cluster *ca = &l->clusters[a];
    const cluster *cb = &l->clusters[b];
    size_t n = 0;
    size_t i = 0;
    size_t j = 0;

    while (i < ca->n || j < cb->n) {
        size_t row_a = i < ca->n ? ca->neighbours[i].row : ROW_NONE;
        size_t row_b = j < cb->n ? cb->neighbours[j].row : ROW_NONE;
        size_t row = row_a < row_b ? row_a : row_b;

        if (row != a && row != b) {
            float least;

            if (row_a < row_b)
                least = score_extend(l, &ca->neighbours[i], b);
            else if (row_b < row_a)
                least = score_extend(l, &cb->neighbours[j], a);
            else
                least = fminf(ca->neighbours[i].least, cb->neighbours[j].least);
            ret_list[n++] = (neighbour){row, least};
        }
        i += row_a == row;
        j += row_b == row;
    }
    return n;
}

/* Makes b's rows part of a, whose neighbours are now `take_list`. */
static void clusters_join(linkage *l, size_t a, size_t b, neighbour *take_list,
                          size_t n, size_t capacity)
{
    cluster *ca = &l->clusters[a];
    cluster *cb = &l->clusters[b];

    lk_groups_unite(&l->groups, a, b);
    l->next[ca->last] = b;
    ca->last = cb->last;
    ca->version++;
    cb->version++;
    free(ca->neighbours);
    free(cb->neighbours);
    ca->neighbours = take_list;
    ca->n = n;
    ca->capacity = capacity;
    cb->neighbours = NULL;
    cb->n = 0;
    cb->capacity = 0;
}

static int merge_apply(linkage *l, size_t a, size_t b, linkd_error *err)
{
    neighbour *list = NULL;
    size_t capacity;
    size_t n;
    int rc = LINKD_OK;

    neighbours_clean(l, a);
    neighbours_clean(l, b);
    capacity = l->clusters[a].n + l->clusters[b].n;
    list = calloc(capacity, sizeof(*list)); /* not 0: each has the other */
    if (list == NULL)
        return lk_fail_nomem(err);
    n = neighbours_unite(l, a, b, list);
    clusters_join(l, a, b, list, n, capacity);
    for (size_t i = 0; i < n && rc == LINKD_OK; i++) {
        rc = neighbour_add(l, list[i].row, a, list[i].least, err);
        if (rc == LINKD_OK && list[i].least >= l->input->threshold)
            rc = heap_push(l, a, list[i].row, list[i].least, err);
    }
    return rc;
}

/* ---- all of it ----------------------------------------------------------- */

static int linkage_init(linkage *l, const lk_cluster_input *input,
                        lk_disjoint *sets, linkd_error *err)
{
    int rc;

    *l = (linkage){
        .input = input,
        .sets = sets,
        .clusters = calloc(input->n_rows + 1, sizeof(*l->clusters)),
        .next = calloc(input->n_rows + 1, sizeof(*l->next)),
    };
    if (l->clusters == NULL || l->next == NULL)
        return lk_fail_nomem(err);
    rc = lk_groups_init(&l->groups, &input->limits, sets, err);
    if (rc != LINKD_OK)
        return rc;
    for (size_t row = 0; row < input->n_rows; row++) {
        l->clusters[row].last = row;
        l->next[row] = ROW_NONE;
    }
    for (size_t i = 0; i < input->n && rc == LINKD_OK; i++) {
        const linkd_pair *pair = &input->candidates[i];

        if (pair->score < input->threshold)
            continue;
        rc = neighbour_add(l, pair->left, pair->right, pair->score, err);
        if (rc == LINKD_OK)
            rc = neighbour_add(l, pair->right, pair->left, pair->score, err);
        if (rc == LINKD_OK)
            rc = heap_push(l, pair->left, pair->right, pair->score, err);
    }
    return rc;
}

static void linkage_clear(linkage *l)
{
    for (size_t row = 0; l->clusters != NULL && row < l->input->n_rows; row++)
        free(l->clusters[row].neighbours);
    free(l->heap);
    free(l->next);
    free(l->clusters);
    lk_groups_clear(&l->groups);
}

int lk_cluster_complete(const lk_cluster_input *input, lk_disjoint *sets,
                        linkd_error *err)
{
    linkage l;
    int rc = linkage_init(&l, input, sets, err);

    while (rc == LINKD_OK && l.n_heap > 0) {
        merge best = heap_pop(&l);

        if (merge_is_valid(&l, &best) &&
            lk_groups_may_unite(&l.groups, best.a, best.b))
            rc = merge_apply(&l, best.a, best.b, err);
    }
    linkage_clear(&l);
    return rc;
}
