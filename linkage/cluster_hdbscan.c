/* linkage/cluster_hdbscan.c — clusters that last over many densities: HDBSCAN
 * (Campello, Moulavi and Sander 2013).
 *
 *   vectors ─► core distances ─► spanning tree ─► tree of merges
 *                                    ─► tree of clusters ─► those that last
 *
 * The core distance of a vector is that of its min_samples-th nearest, itself
 * being the first. Merges along the spanning tree, nearest first, are a binary
 * tree. Read from its root, density (lambda = 1 / distance) grows: where a part
 * of fewer than min_size vectors splits off, these leave the cluster; where both
 * parts are larger, it dies and two are born. A cluster's stability is the sum,
 * over its vectors, of the range of lambda in which they belonged to it. Of all
 * ways to choose clusters that do not overlap, the one with the greatest sum of
 * stabilities is taken, never the root, since one cluster of everything is no
 * answer. Vectors in none of them are noise.
 *
 *   nodes      [2 n - 1]  0 … n - 1 vectors, then merges, nearest first
 *   clusters   [≤ 2 n]    parents before children
 *
 * Children come before parents among nodes and after them among clusters, so
 * loops up or down take the place of recursion. */
#include "linkage/cluster_vectors.h"

#include <stdlib.h>

/* Cosines have six decimals: no distance is known better than this. */
#define DISTANCE_MIN 5e-7

typedef struct node {
    uint32_t children[2]; /* merges only */
    uint32_t size;
    float distance;
    uint32_t cluster; /* that it is part of, or left */
    bool left;
} node;

typedef struct group {
    uint32_t parent;
    bool is_parent; /* two clusters were born from it */
    bool chosen;
    double birth; /* lambda */
    double stability;
    double children; /* the best sum of those below */
    size_t number;
} group;

typedef struct condense {
    size_t n;
    size_t min_size;
    node *nodes;
    group *groups;
    size_t n_groups;
    lk_disjoint sets;
    uint32_t *tops; /* [n]: the node of each set, by name */
} condense;

/* ---- the tree of merges -------------------------------------------------- */

static int span_compare(const void *x, const void *y)
{
    const lk_span *s = x;
    const lk_span *t = y;

    if (s->distance != t->distance)
        return s->distance > t->distance ? 1 : -1;
    if (s->a != t->a)
        return s->a > t->a ? 1 : -1;
    return (s->b > t->b) - (s->b < t->b);
}

static void nodes_fill(condense *c, const lk_span *spans)
{
    for (size_t i = 0; i < c->n; i++) {
        c->nodes[i].size = 1;
        c->tops[i] = (uint32_t)i;
    }
    for (size_t i = 0; i + 1 < c->n; i++) {
        size_t a = lk_disjoint_find(&c->sets, spans[i].a);
        size_t b = lk_disjoint_find(&c->sets, spans[i].b);
        node *merge = &c->nodes[c->n + i];

        *merge = (node){.children = {c->tops[a], c->tops[b]},
                        .distance = spans[i].distance};
        merge->size = c->nodes[merge->children[0]].size +
                      c->nodes[merge->children[1]].size;
        lk_disjoint_unite(&c->sets, a, b);
        c->tops[a < b ? a : b] = (uint32_t)(c->n + i);
    }
}

/* ---- the tree of clusters ------------------------------------------------ */

static double node_lambda(const node *merge)
{
    double distance = (double)merge->distance;

    return 1.0 / (distance > DISTANCE_MIN ? distance : DISTANCE_MIN);
}

/* `size` vectors were part of the group until lambda. */
static void group_live(group *g, double lambda, uint32_t size)
{
    g->stability += (lambda - g->birth) * size;
}

/* The cluster that vectors leave at lambda. Where distances are equal, they may
 * leave a cluster as it is born; then they were never part of it. */
static uint32_t group_left(const condense *c, uint32_t g, double lambda)
{
    while (g > 0 && c->groups[g].birth >= lambda)
        g = c->groups[g].parent;
    return g;
}

static void node_split(condense *c, const node *merge)
{
    double lambda = node_lambda(merge);
    bool both = c->nodes[merge->children[0]].size >= c->min_size &&
                c->nodes[merge->children[1]].size >= c->min_size;

    for (size_t i = 0; i < 2; i++) {
        node *child = &c->nodes[merge->children[i]];

        child->cluster = merge->cluster;
        child->left = merge->left || child->size < c->min_size;
        if (merge->left)
            continue;
        if (both || child->left)
            group_live(&c->groups[merge->cluster], lambda, child->size);
        if (child->left)
            child->cluster = group_left(c, merge->cluster, lambda);
        if (both) {
            child->cluster = (uint32_t)c->n_groups;
            c->groups[merge->cluster].is_parent = true;
            c->groups[c->n_groups++] =
                (group){.parent = merge->cluster, .birth = lambda};
        }
    }
}

static void groups_find(condense *c)
{
    node *root = &c->nodes[2 * c->n - 2];

    c->groups[c->n_groups++] = (group){0};
    root->left = root->size < c->min_size;
    for (size_t i = 2 * c->n - 1; i-- > c->n;)
        node_split(c, &c->nodes[i]);
}

/* ---- choosing ------------------------------------------------------------ */

static void groups_choose(condense *c)
{
    for (size_t i = c->n_groups; i-- > 1;) {
        group *g = &c->groups[i];

        g->chosen = !g->is_parent || g->stability >= g->children;
        c->groups[g->parent].children += g->chosen ? g->stability : g->children;
    }
    /* what is chosen hides what is below it */
    c->groups[0].number = LINKD_CLUSTER_NOISE;
    for (size_t i = 1; i < c->n_groups; i++) {
        group *g = &c->groups[i];
        size_t above = c->groups[g->parent].number;

        g->number = above != LINKD_CLUSTER_NOISE ? above
                    : g->chosen                  ? i
                                                 : LINKD_CLUSTER_NOISE;
    }
}

/* Names clusters by their first vectors. */
static int clusters_name(const condense *c, size_t *ret_clusters,
                         linkd_error *err)
{
    size_t *first = calloc(c->n_groups, sizeof(*first));

    if (first == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < c->n_groups; i++)
        first[i] = LINKD_CLUSTER_NOISE;
    for (size_t i = 0; i < c->n; i++) {
        size_t number = c->groups[c->nodes[i].cluster].number;

        if (number != LINKD_CLUSTER_NOISE && first[number] > i)
            first[number] = i;
        ret_clusters[i] =
            number == LINKD_CLUSTER_NOISE ? number : first[number];
    }
    free(first);
    return LINKD_OK;
}

static int condense_init(condense *c, linkd_error *err)
{
    c->nodes = calloc(2 * c->n, sizeof(*c->nodes));
    c->groups = calloc(2 * c->n, sizeof(*c->groups));
    c->tops = calloc(c->n, sizeof(*c->tops));
    if (c->nodes == NULL || c->groups == NULL || c->tops == NULL)
        return lk_fail_nomem(err);
    return lk_disjoint_init(&c->sets, c->n, err);
}

int lk_spans_condense(lk_span *spans, size_t n, size_t min_size,
                      size_t *ret_clusters, size_t *ret_n, linkd_error *err)
{
    condense c = {.n = n, .min_size = min_size};
    int rc = condense_init(&c, err);

    if (rc == LINKD_OK) {
        qsort(spans, n - 1, sizeof(*spans), span_compare);
        nodes_fill(&c, spans);
        groups_find(&c);
        groups_choose(&c);
        rc = clusters_name(&c, ret_clusters, err);
    }
    if (rc == LINKD_OK)
        rc = lk_clusters_number(ret_clusters, n, ret_n, err);
    lk_disjoint_clear(&c.sets);
    free(c.tops);
    free(c.groups);
    free(c.nodes);
    return rc;
}

/* ---- all of it ----------------------------------------------------------- */

static void core_near(void *ctx, size_t number, const linkd_hit *hits, size_t n)
{
    float *cores = ctx;

    cores[number] = 1.0F - hits[n - 1].score;
}

static int rows_check(size_t n, linkd_error *err)
{
    if (n > LINKD_CLUSTER_PAIRWISE_MAX)
        return lk_fail(err, LINKD_E_ARG,
                       "hdbscan compares each row with each: %zu rows are "
                       "more than its limit of %zu",
                       n, LINKD_CLUSTER_PAIRWISE_MAX);
    return LINKD_OK;
}

int lk_space_hdbscan(const lk_space *space, size_t min_size, size_t min_samples,
                     size_t *ret_clusters, size_t *ret_n, linkd_error *err)
{
    float *cores = calloc(space->n + 1, sizeof(*cores));
    lk_span *spans = calloc(space->n + 1, sizeof(*spans));
    int rc = rows_check(space->n, err);

    if (rc == LINKD_OK && (cores == NULL || spans == NULL))
        rc = lk_fail_nomem(err);
    if (rc == LINKD_OK && min_samples > 1)
        rc = lk_near_count(space, min_samples, core_near, cores, err);
    if (rc == LINKD_OK && space->n == 0)
        *ret_n = 0;
    if (rc == LINKD_OK && space->n > 0)
        rc = lk_space_span(space, cores, spans, err);
    if (rc == LINKD_OK && space->n > 0)
        rc = lk_spans_condense(spans, space->n, min_size, ret_clusters, ret_n,
                               err);
    free(spans);
    free(cores);
    return rc;
}
