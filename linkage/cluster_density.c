/* linkage/cluster_density.c — clusters as what lies densely: by chains of near
 * vectors, and DBSCAN (Ester, Kriegel, Sander and Xu 1996).
 *
 * Single linkage, cut at a distance, is exactly what a chain of pairs within
 * that distance connects. So no dendrogram is needed (SLINK, Sibson 1973, would
 * build it in the square of n as well), and memory is linear: pairs are united as
 * they are found.
 *
 * DBSCAN asks which vectors have min_samples others near them, themselves
 * included: those are cores, and near cores belong together. Each vector's
 * neighbours are seen once and not kept. Of two near cores, whichever is seen
 * second knows that the first is one. A vector that is no core belongs to its
 * nearest core, of equals to the lowest, where the paper takes whichever comes
 * first; that one may be seen before it or after it, so both look:
 *
 *   states   0 not seen yet, else a core or not
 *   owners   the best core so far of each vector that is none, and its score */
#include "linkage/cluster_vectors.h"

#include <math.h>
#include <stdlib.h>

/* ---- chains -------------------------------------------------------------- */

static void chain_near(void *ctx, size_t number, const linkd_hit *hits,
                       size_t n)
{
    lk_disjoint *sets = ctx;

    for (size_t i = 0; i < n; i++)
        lk_disjoint_unite(sets, number, hits[i].id);
}

int lk_space_components(const lk_space *space, float least, lk_disjoint *sets,
                        linkd_error *err)
{
    return lk_near_range(space, least, chain_near, sets, err);
}

/* ---- DBSCAN -------------------------------------------------------------- */

typedef enum state { STATE_UNSEEN, STATE_CORE, STATE_OTHER } state;

typedef struct owner {
    float score;
    uint32_t core;
} owner;

typedef struct dbscan {
    size_t min_samples;
    uint8_t *states; /* [n] */
    owner *owners;   /* [n] */
    lk_disjoint sets;
} dbscan;

static void owner_offer(owner *best, float score, size_t core)
{
    if (score > best->score || (score == best->score && core < best->core))
        *best = (owner){score, (uint32_t)core};
}

static void dbscan_near(void *ctx, size_t number, const linkd_hit *hits,
                        size_t n)
{
    dbscan *d = ctx;
    bool is_core = n >= d->min_samples;

    d->states[number] = is_core ? STATE_CORE : STATE_OTHER;
    for (size_t i = 0; i < n; i++) {
        size_t other = hits[i].id;

        if (is_core && d->states[other] == STATE_CORE)
            lk_disjoint_unite(&d->sets, number, other);
        else if (is_core)
            owner_offer(&d->owners[other], hits[i].score, number);
        else if (d->states[other] == STATE_CORE)
            owner_offer(&d->owners[number], hits[i].score, other);
    }
}

static int dbscan_init(dbscan *d, size_t n, linkd_error *err)
{
    d->states = calloc(n + 1, sizeof(*d->states));
    d->owners = calloc(n + 1, sizeof(*d->owners));
    if (d->states == NULL || d->owners == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < n; i++)
        d->owners[i] = (owner){-INFINITY, UINT32_MAX};
    return lk_disjoint_init(&d->sets, n, err);
}

/* The name of every vector's cluster. */
static void dbscan_name(dbscan *d, size_t n, size_t *ret_clusters)
{
    for (size_t i = 0; i < n; i++)
        if (d->states[i] == STATE_CORE)
            ret_clusters[i] = lk_disjoint_find(&d->sets, i);
        else if (d->owners[i].core != UINT32_MAX)
            ret_clusters[i] = lk_disjoint_find(&d->sets, d->owners[i].core);
        else
            ret_clusters[i] = LINKD_CLUSTER_NOISE;
}

int lk_space_dbscan(const lk_space *space, float least, size_t min_samples,
                    size_t *ret_clusters, size_t *ret_n, linkd_error *err)
{
    dbscan d = {.min_samples = min_samples};
    int rc = dbscan_init(&d, space->n, err);

    if (rc == LINKD_OK)
        rc = lk_near_range(space, least, dbscan_near, &d, err);
    if (rc == LINKD_OK) {
        dbscan_name(&d, space->n, ret_clusters);
        rc = lk_clusters_number(ret_clusters, space->n, ret_n, err);
    }
    lk_disjoint_clear(&d.sets);
    free(d.owners);
    free(d.states);
    return rc;
}
