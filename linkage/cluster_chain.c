/* linkage/cluster_chain.c — agglomeration of vectors by chains of nearest
 * neighbours (Benzecri 1982; Murtagh 1983).
 *
 * From any cluster, go to its nearest, from there to that one's nearest, until
 * two are each other's nearest: these merge. For linkages where a merge brings
 * no cluster nearer, that yields the same tree as merging the nearest pair of
 * all again and again. We cut the tree at a distance, so when the end of the
 * chain has nothing within it, it is finished and leaves.
 *
 * Means over all pairs of two clusters need no pairs, only sums of vectors:
 *
 *   average   1 - (sum A . sum B) / (|A| |B|)
 *   ward      sqrt(2 |A| |B| / (|A| + |B|)) * |mean A - mean B|, which is the
 *             plain distance, not that of cosines, for two single vectors
 *   complete  a triangle of distances, of which two lines become their greatest
 *
 * A mean or a greatest distance within the limit needs one pair within it, so
 * for these two only what a chain of near pairs connects is looked at together,
 * and that is rarely much. Ward's distance gives no such promise. Time is the
 * square of the rows looked at together, hence the limits. Not parallel. */
#include "linkage/cluster_vectors.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PLACE_NONE SIZE_MAX

/* Vectors that are looked at together, in places 0 … n - 1, ascending. */
typedef struct crowd {
    const lk_space *space;
    linkd_linkage linkage;
    float limit;
    const size_t *numbers; /* [n] */
    size_t n;
    float *sums;      /* [n, dim]; NULL for complete */
    float *triangle;  /* [n (n - 1) / 2]; only for complete */
    float *squares;   /* [n]: of the sums' lengths */
    float *sizes;     /* [n] */
    size_t *active;   /* clusters that may still merge, by place */
    size_t *position; /* [n]: in `active` */
    size_t n_active;
    size_t *chain;
    size_t n_chain;
} crowd;

/* ---- distances ----------------------------------------------------------- */

static float *triangle_cell(const crowd *c, size_t a, size_t b)
{
    size_t low = a < b ? a : b;
    size_t high = a < b ? b : a;

    return &c->triangle[high * (high - 1) / 2 + low];
}

static float sums_product(const crowd *c, size_t a, size_t b)
{
    size_t dim = c->space->dim;

    return linkd_index_score(c->sums + a * dim, c->sums + b * dim, dim);
}

static float ward_distance(const crowd *c, size_t a, size_t b)
{
    float na = c->sizes[a];
    float nb = c->sizes[b];
    float square = c->squares[a] / (na * na) + c->squares[b] / (nb * nb) -
                   2.0F * sums_product(c, a, b) / (na * nb);

    return sqrtf(2.0F * na * nb / (na + nb) * fmaxf(square, 0.0F));
}

static float distance_get(const crowd *c, size_t a, size_t b)
{
    if (c->linkage == LINKD_LINKAGE_COMPLETE)
        return *triangle_cell(c, a, b);
    if (c->linkage == LINKD_LINKAGE_WARD)
        return ward_distance(c, a, b);
    return 1.0F -
           lk_score_round(sums_product(c, a, b) / (c->sizes[a] * c->sizes[b]));
}

/* ---- the chain ----------------------------------------------------------- */

/* The nearest of the end of the chain; of equals the one before it in the
 * chain, so that chains end, then the lowest. */
static size_t nearest_find(const crowd *c, float *ret_distance)
{
    size_t end = c->chain[c->n_chain - 1];
    size_t before = c->n_chain > 1 ? c->chain[c->n_chain - 2] : PLACE_NONE;
    size_t nearest = before;
    float least =
        before != PLACE_NONE ? distance_get(c, end, before) : INFINITY;

    for (size_t i = 0; i < c->n_active; i++) {
        size_t place = c->active[i];
        float distance;

        if (place == end || place == before)
            continue;
        distance = distance_get(c, end, place);
        if (distance < least ||
            (distance == least && nearest != before && place < nearest)) {
            least = distance;
            nearest = place;
        }
    }
    *ret_distance = least;
    return nearest;
}

static void active_remove(crowd *c, size_t place)
{
    size_t last = c->active[--c->n_active];

    c->active[c->position[place]] = last;
    c->position[last] = c->position[place];
}

/* `low` takes in `high`. */
static void crowd_merge(crowd *c, size_t low, size_t high)
{
    size_t dim = c->space->dim;

    active_remove(c, high);
    c->sizes[low] += c->sizes[high];
    if (c->linkage == LINKD_LINKAGE_COMPLETE) {
        for (size_t i = 0; i < c->n_active; i++) {
            size_t place = c->active[i];

            if (place != low)
                *triangle_cell(c, low, place) =
                    fmaxf(*triangle_cell(c, low, place),
                          *triangle_cell(c, high, place));
        }
        return;
    }
    for (size_t i = 0; i < dim; i++)
        c->sums[low * dim + i] += c->sums[high * dim + i];
    c->squares[low] = sums_product(c, low, low);
}

static void chain_step(crowd *c, lk_disjoint *sets)
{
    size_t end = c->chain[c->n_chain - 1];
    float distance;
    size_t nearest = nearest_find(c, &distance);

    if (!(distance <= c->limit)) {
        active_remove(c, end); /* nothing will ever be near it */
        c->n_chain--;
    } else if (c->n_chain > 1 && nearest == c->chain[c->n_chain - 2]) {
        size_t low = end < nearest ? end : nearest;
        size_t high = end < nearest ? nearest : end;

        c->n_chain -= 2;
        lk_disjoint_unite(sets, c->numbers[low], c->numbers[high]);
        crowd_merge(c, low, high);
    } else {
        c->chain[c->n_chain++] = nearest;
    }
}

/* ---- one crowd ----------------------------------------------------------- */

static void distances_fill(crowd *c)
{
    size_t dim = c->space->dim;

    for (size_t i = 0; i < c->n; i++) {
        c->sizes[i] = 1.0F;
        c->active[i] = c->position[i] = i;
        for (size_t j = 0; j < i && c->triangle != NULL; j++)
            *triangle_cell(c, i, j) =
                1.0F - lk_space_score(c->space, c->numbers[i], c->numbers[j]);
        if (c->sums == NULL)
            continue;
        memcpy(c->sums + i * dim, c->space->vectors + c->numbers[i] * dim,
               dim * sizeof(*c->sums));
        c->squares[i] = sums_product(c, i, i);
    }
    c->n_active = c->n;
}

static int crowd_init(crowd *c, linkd_error *err)
{
    bool complete = c->linkage == LINKD_LINKAGE_COMPLETE;
    size_t limit =
        complete ? LINKD_CLUSTER_MATRIX_MAX : LINKD_CLUSTER_PAIRWISE_MAX;

    if (c->n > limit)
        return lk_fail(err, LINKD_E_ARG,
                       "%zu rows would have to be compared each with each, "
                       "more than the limit of %zu",
                       c->n, limit);
    if (complete)
        c->triangle = calloc(c->n * (c->n - 1) / 2, sizeof(*c->triangle));
    else
        c->sums = lk_alloc_aligned(c->n, c->space->dim * sizeof(*c->sums));
    c->squares = calloc(c->n, sizeof(*c->squares));
    c->sizes = calloc(c->n, sizeof(*c->sizes));
    c->active = calloc(c->n, sizeof(*c->active));
    c->position = calloc(c->n, sizeof(*c->position));
    c->chain = calloc(c->n + 1, sizeof(*c->chain));
    if ((c->triangle == NULL && c->sums == NULL) || c->squares == NULL ||
        c->sizes == NULL || c->active == NULL || c->position == NULL ||
        c->chain == NULL)
        return lk_fail_nomem(err);
    distances_fill(c);
    return LINKD_OK;
}

static void crowd_clear(crowd *c)
{
    free(c->triangle);
    free(c->sums);
    free(c->squares);
    free(c->sizes);
    free(c->active);
    free(c->position);
    free(c->chain);
}

/* Agglomerates the vectors `numbers` [n], n > 1. */
static int crowd_run(crowd c, lk_disjoint *sets, linkd_error *err)
{
    int rc = crowd_init(&c, err);

    while (rc == LINKD_OK && c.n_active > 0) {
        if (c.n_chain == 0) {
            c.chain[c.n_chain++] = c.active[0];
            rc = lk_progress_report(c.space->progress, "cluster",
                                    c.n - c.n_active, c.n, err);
        }
        if (rc == LINKD_OK)
            chain_step(&c, sets);
    }
    crowd_clear(&c);
    return rc;
}

/* ---- all crowds ---------------------------------------------------------- */

/* Vectors by their group, ascending within each; starts [n_groups + 1]. */
typedef struct grouping {
    size_t *groups;
    size_t *members;
    size_t *starts;
    size_t n_groups;
} grouping;

static int grouping_make(grouping *g, lk_disjoint *near, linkd_error *err)
{
    size_t n = near->n;

    g->groups = calloc(n + 1, sizeof(*g->groups));
    g->members = calloc(n + 1, sizeof(*g->members));
    g->starts = calloc(n + 2, sizeof(*g->starts));
    if (g->groups == NULL || g->members == NULL || g->starts == NULL)
        return lk_fail_nomem(err);
    g->n_groups = lk_disjoint_number(near, g->groups);
    for (size_t i = 0; i < n; i++)
        g->starts[g->groups[i] + 1]++;
    for (size_t i = 0; i < g->n_groups; i++)
        g->starts[i + 1] += g->starts[i];
    for (size_t i = n; i-- > 0;) /* from the back: starts become begins */
        g->members[--g->starts[g->groups[i] + 1]] = i;
    for (size_t i = 0; i < g->n_groups; i++)
        g->starts[i] = g->starts[i + 1];
    g->starts[g->n_groups] = n;
    return LINKD_OK;
}

static int groups_agglomerate(crowd c, const grouping *g, lk_disjoint *sets,
                              linkd_error *err)
{
    int rc = LINKD_OK;

    for (size_t i = 0; i < g->n_groups && rc == LINKD_OK; i++) {
        c.numbers = g->members + g->starts[i];
        c.n = g->starts[i + 1] - g->starts[i];
        if (c.n > 1)
            rc = crowd_run(c, sets, err);
    }
    return rc;
}

/* Which vectors have to be looked at together. */
static int crowds_find(const crowd *c, lk_disjoint *near, linkd_error *err)
{
    if (c->linkage != LINKD_LINKAGE_WARD)
        return lk_space_components(c->space, lk_score_round(1.0F - c->limit),
                                   near, err);
    for (size_t i = 1; i < near->n; i++)
        lk_disjoint_unite(near, 0, i);
    return LINKD_OK;
}

int lk_space_agglomerate(const lk_space *space, linkd_linkage linkage,
                         float distance, lk_disjoint *sets, linkd_error *err)
{
    crowd c = {.space = space, .linkage = linkage, .limit = distance};
    lk_disjoint near = {0};
    grouping g = {0};
    int rc = lk_disjoint_init(&near, space->n, err);

    if (linkage != LINKD_LINKAGE_WARD) /* exactly what rounded scores give */
        c.limit = 1.0F - lk_score_round(1.0F - distance);
    if (rc == LINKD_OK)
        rc = crowds_find(&c, &near, err);
    if (rc == LINKD_OK)
        rc = grouping_make(&g, &near, err);
    if (rc == LINKD_OK)
        rc = groups_agglomerate(c, &g, sets, err);
    free(g.groups);
    free(g.members);
    free(g.starts);
    lk_disjoint_clear(&near);
    return rc;
}
