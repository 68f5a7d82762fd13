/* linkage/cluster_health.c — which entities hang by a thread.
 *
 * Links, the pairs inside entities that are strong enough, are taken strongest
 * first, and those that tie two parts of an entity together make a spanning tree
 * of the greatest sum. Its last link is the weakest one: without it, and all
 * that are weaker, the entity falls in two, and how many records lie on the
 * smaller side is known at that moment.
 *
 * Bridges are links that are in no circle: a walk in depth numbers the records
 * in order of finding, and a link down to a part from which no other link leads
 * as high as its upper end, or higher, is one (Tarjan 1974). Without recursion,
 * since an entity may be a chain of any length.
 *
 *   order    links by strength       starts, ends   links of each record
 *   sets     parts so far            found, lowest  numbers of the walk */
#include "linkage/cluster.h"

#include <math.h>
#include <stdlib.h>

#define NONE UINT32_MAX

typedef struct check {
    const linkd_edges *edges;
    const size_t *entities;
    size_t n_entities;
    float least;
    linkd_entity_health *health; /* [n_entities] */
    uint32_t *order;             /* [n_links]: positions of edges */
    size_t n_links;
    size_t *n_ties;  /* [n_entities]: links of the tree */
    uint32_t *sizes; /* [n_records]: of the part with that name */
    lk_disjoint sets;
    /* the walk */
    size_t *starts;   /* [n_records + 1] */
    uint32_t *ends;   /* [2 * n_links]: positions in `order` */
    size_t *cursors;  /* [n_records]: next link to follow */
    uint32_t *found;  /* [n_records]: number from 1, 0 not yet */
    uint32_t *lowest; /* [n_records] */
    uint32_t *above;  /* [n_records]: the link that led here, or NONE */
    uint32_t *path;   /* [n_records] */
} check;

/* ---- counting ------------------------------------------------------------ */

static bool edge_is_inside(const check *c, size_t i)
{
    return c->entities[c->edges->a[i]] == c->entities[c->edges->b[i]];
}

static void pairs_count(check *c)
{
    const linkd_edges *edges = c->edges;

    for (size_t i = 0; i < c->n_entities; i++)
        c->health[i] = (linkd_entity_health){
            .entity = i, .weakest = -INFINITY, .a = NONE, .b = NONE};
    for (size_t i = 0; i < edges->n_records; i++)
        c->health[c->entities[i]].n_records++;
    for (size_t i = 0; i < edges->n; i++) {
        linkd_entity_health *h = &c->health[c->entities[edges->a[i]]];

        if (!edge_is_inside(c, i))
            continue;
        h->n_compared++;
        h->mean += (double)edges->log_odds[i];
        if (edges->log_odds[i] < c->least)
            continue;
        h->n_links++;
        c->n_links++;
    }
    for (size_t i = 0; i < c->n_entities; i++)
        if (c->health[i].n_compared > 0)
            c->health[i].mean /= (double)c->health[i].n_compared;
}

/* ---- the weakest link ---------------------------------------------------- */

/* A link, sorted by strength, then records. */
typedef struct link_key {
    float log_odds;
    uint32_t a, b; /* a < b */
    uint32_t edge;
} link_key;

static int link_compare(const void *x, const void *y)
{
    const link_key *k = x;
    const link_key *l = y;

    if (k->log_odds != l->log_odds)
        return k->log_odds < l->log_odds ? 1 : -1;
    if (k->a != l->a)
        return k->a > l->a ? 1 : -1;
    return (k->b > l->b) - (k->b < l->b);
}

static int links_sort(check *c, linkd_error *err)
{
    const linkd_edges *e = c->edges;
    link_key *keys = calloc(c->n_links + 1, sizeof(*keys));
    size_t n = 0;

    c->order = calloc(c->n_links + 1, sizeof(*c->order));
    if (keys == NULL || c->order == NULL) {
        free(keys);
        return lk_fail_nomem(err);
    }
    for (size_t i = 0; i < e->n; i++)
        if (edge_is_inside(c, i) && !(e->log_odds[i] < c->least))
            keys[n++] = (link_key){
                e->log_odds[i], e->a[i] < e->b[i] ? e->a[i] : e->b[i],
                e->a[i] < e->b[i] ? e->b[i] : e->a[i], (uint32_t)i};
    qsort(keys, n, sizeof(*keys), link_compare);
    for (size_t i = 0; i < n; i++)
        c->order[i] = keys[i].edge;
    free(keys);
    return LINKD_OK;
}

/* A link that ties two parts is the weakest so far. */
static void link_tie(check *c, uint32_t edge)
{
    uint32_t from = c->edges->a[edge];
    uint32_t to = c->edges->b[edge];
    size_t a = lk_disjoint_find(&c->sets, from);
    size_t b = lk_disjoint_find(&c->sets, to);
    linkd_entity_health *h = &c->health[c->entities[from]];

    if (a == b)
        return;
    h->n_smaller = c->sizes[a] < c->sizes[b] ? c->sizes[a] : c->sizes[b];
    h->a = from < to ? from : to;
    h->b = from < to ? to : from;
    h->weakest = c->edges->log_odds[edge];
    c->n_ties[h->entity]++;
    c->sizes[a < b ? a : b] = c->sizes[a] + c->sizes[b];
    lk_disjoint_unite(&c->sets, a, b);
}

static void weakest_find(check *c)
{
    for (size_t i = 0; i < c->edges->n_records; i++)
        c->sizes[i] = 1;
    for (size_t i = 0; i < c->n_links; i++)
        link_tie(c, c->order[i]);
    for (size_t i = 0; i < c->n_entities; i++) {
        linkd_entity_health *h = &c->health[i];

        if (c->n_ties[i] + 1 >= h->n_records)
            continue;
        h->weakest = -INFINITY;
        h->a = h->b = NONE;
        h->n_smaller = 0;
    }
}

/* ---- bridges ------------------------------------------------------------- */

static void ends_fill(check *c)
{
    const linkd_edges *e = c->edges;

    for (size_t i = 0; i < c->n_links; i++) {
        c->starts[e->a[c->order[i]] + 1]++;
        c->starts[e->b[c->order[i]] + 1]++;
    }
    for (size_t i = 0; i < e->n_records; i++) {
        c->starts[i + 1] += c->starts[i];
        c->cursors[i] = c->starts[i];
    }
    for (size_t i = 0; i < c->n_links; i++) {
        c->ends[c->cursors[e->a[c->order[i]]]++] = c->order[i];
        c->ends[c->cursors[e->b[c->order[i]]]++] = c->order[i];
    }
    for (size_t i = 0; i < e->n_records; i++)
        c->cursors[i] = c->starts[i];
}

/* Follows one link of the path's end; answers the path's new length. */
static size_t walk_on(check *c, size_t n_path, uint32_t *n_found)
{
    uint32_t record = c->path[n_path - 1];
    uint32_t edge = c->ends[c->cursors[record]++];
    uint32_t other =
        c->edges->a[edge] == record ? c->edges->b[edge] : c->edges->a[edge];

    if (edge == c->above[record])
        return n_path;
    if (c->found[other] != 0) {
        if (c->found[other] < c->lowest[record])
            c->lowest[record] = c->found[other];
        return n_path;
    }
    c->above[other] = edge;
    c->found[other] = c->lowest[other] = ++*n_found;
    c->path[n_path] = other;
    return n_path + 1;
}

/* All links of the path's end were followed: what did they lead to? */
static void walk_back(check *c, size_t n_path)
{
    uint32_t record = c->path[n_path - 1];
    uint32_t upper;

    if (n_path < 2)
        return;
    upper = c->path[n_path - 2];
    if (c->lowest[record] < c->lowest[upper])
        c->lowest[upper] = c->lowest[record];
    if (c->lowest[record] > c->found[upper])
        c->health[c->entities[record]].n_bridges++;
}

static void bridges_count(check *c)
{
    uint32_t n_found = 0;

    ends_fill(c);
    for (size_t i = 0; i < c->edges->n_records; i++) {
        size_t n_path = 1;

        if (c->found[i] != 0)
            continue;
        c->path[0] = (uint32_t)i;
        c->above[i] = NONE;
        c->found[i] = c->lowest[i] = ++n_found;
        while (n_path > 0) {
            uint32_t end = c->path[n_path - 1];

            if (c->cursors[end] < c->starts[end + 1])
                n_path = walk_on(c, n_path, &n_found);
            else
                walk_back(c, n_path--);
        }
    }
}

/* ---- all of it ----------------------------------------------------------- */

static int arrays_make(check *c, linkd_error *err)
{
    size_t n = c->edges->n_records + 1;

    c->n_ties = calloc(c->n_entities + 1, sizeof(*c->n_ties));
    c->sizes = calloc(n, sizeof(*c->sizes));
    c->starts = calloc(n + 1, sizeof(*c->starts));
    c->ends = calloc(2 * c->n_links + 1, sizeof(*c->ends));
    c->cursors = calloc(n, sizeof(*c->cursors));
    c->found = calloc(n, sizeof(*c->found));
    c->lowest = calloc(n, sizeof(*c->lowest));
    c->above = calloc(n, sizeof(*c->above));
    c->path = calloc(n, sizeof(*c->path));
    if (c->n_ties == NULL || c->sizes == NULL || c->starts == NULL ||
        c->ends == NULL || c->cursors == NULL || c->found == NULL ||
        c->lowest == NULL || c->above == NULL || c->path == NULL)
        return lk_fail_nomem(err);
    return lk_disjoint_init(&c->sets, c->edges->n_records, err);
}

static void check_clear(check *c)
{
    lk_disjoint_clear(&c->sets);
    free(c->order);
    free(c->n_ties);
    free(c->sizes);
    free(c->starts);
    free(c->ends);
    free(c->cursors);
    free(c->found);
    free(c->lowest);
    free(c->above);
    free(c->path);
}

static int health_compare(const void *a, const void *b)
{
    const linkd_entity_health *x = a;
    const linkd_entity_health *y = b;

    if (x->weakest != y->weakest)
        return x->weakest > y->weakest ? 1 : -1;
    return (x->entity > y->entity) - (x->entity < y->entity);
}

/* Drops single records, and sorts. */
static size_t health_sort(linkd_entity_health *health, size_t n)
{
    size_t n_kept = 0;

    for (size_t i = 0; i < n; i++)
        if (health[i].n_records > 1)
            health[n_kept++] = health[i];
    qsort(health, n_kept, sizeof(*health), health_compare);
    return n_kept;
}

int linkd_entities_check(const linkd_edges *edges, const size_t *entities,
                         size_t n_entities, float least,
                         linkd_entity_health **ret_health, size_t *ret_n_health,
                         linkd_error *err)
{
    check c = {.edges = edges,
               .entities = entities,
               .n_entities = n_entities,
               .least = least};
    int rc = LINKD_OK;

    if (edges->n_records >= NONE || edges->n >= NONE)
        return lk_fail(err, LINKD_E_ARG, "too many pairs to check");
    c.health = calloc(n_entities + 1, sizeof(*c.health));
    if (c.health == NULL)
        return lk_fail_nomem(err);
    pairs_count(&c);
    rc = links_sort(&c, err);
    if (rc == LINKD_OK)
        rc = arrays_make(&c, err);
    if (rc == LINKD_OK) {
        weakest_find(&c);
        bridges_count(&c);
        *ret_n_health = health_sort(c.health, n_entities);
        *ret_health = c.health;
    } else {
        free(c.health);
    }
    check_clear(&c);
    return rc;
}
