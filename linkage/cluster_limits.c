/* linkage/cluster_limits.c — how far entities may grow: in rows, and to no more
 * than one row of each source (a register that has no duplicates itself).
 *
 * A set is a chain of rows. Whether two sets share a source is found by walking
 * both: sources of the first are marked with a new tick, and a source of the
 * second that carries it is shared. Without limits there is nothing to keep. */
#include "linkage/cluster.h"

#include <stdlib.h>

#define ROW_NONE UINT32_MAX

int lk_groups_init(lk_groups *groups, const lk_cluster_limits *limits,
                   lk_disjoint *sets, linkd_error *err)
{
    size_t n = sets->n;

    *groups = (lk_groups){.sets = sets, .limits = *limits};
    if (limits->max_rows == 0 && limits->sources == NULL)
        return LINKD_OK;
    if (n >= ROW_NONE)
        return lk_fail(err, LINKD_E_ARG, "too many rows to cluster");
    groups->sizes = calloc(n + 1, sizeof(*groups->sizes));
    groups->next = calloc(n + 1, sizeof(*groups->next));
    groups->last = calloc(n + 1, sizeof(*groups->last));
    groups->seen = calloc(limits->n_sources + 1, sizeof(*groups->seen));
    if (groups->sizes == NULL || groups->next == NULL || groups->last == NULL ||
        groups->seen == NULL) {
        lk_groups_clear(groups);
        return lk_fail_nomem(err);
    }
    for (size_t i = 0; i < n; i++) {
        groups->sizes[i] = 1;
        groups->next[i] = ROW_NONE;
        groups->last[i] = (uint32_t)i;
    }
    return LINKD_OK;
}

void lk_groups_clear(lk_groups *groups)
{
    free(groups->sizes);
    free(groups->next);
    free(groups->last);
    free(groups->seen);
    *groups = (lk_groups){0};
}

static uint32_t tick_next(lk_groups *groups)
{
    if (++groups->tick == 0) { /* once in four billion: begin again */
        for (size_t i = 0; i < groups->limits.n_sources; i++)
            groups->seen[i] = 0;
        groups->tick = 1;
    }
    return groups->tick;
}

static bool sources_meet(lk_groups *groups, size_t a, size_t b)
{
    const uint32_t *sources = groups->limits.sources;
    uint32_t tick = tick_next(groups);

    for (size_t i = a; i != ROW_NONE; i = groups->next[i]) {
        LK_ASSERT(sources[i] < groups->limits.n_sources);
        groups->seen[sources[i]] = tick;
    }
    for (size_t i = b; i != ROW_NONE; i = groups->next[i]) {
        LK_ASSERT(sources[i] < groups->limits.n_sources);
        if (groups->seen[sources[i]] == tick)
            return true;
    }
    return false;
}

bool lk_groups_may_unite(lk_groups *groups, size_t a, size_t b)
{
    const lk_cluster_limits *limits = &groups->limits;

    if (limits->max_rows > 0 &&
        (size_t)groups->sizes[a] + groups->sizes[b] > limits->max_rows)
        return false;
    return limits->sources == NULL || !sources_meet(groups, a, b);
}

void lk_groups_unite(lk_groups *groups, size_t a, size_t b)
{
    size_t low = a < b ? a : b;
    size_t high = a < b ? b : a;

    lk_disjoint_unite(groups->sets, a, b);
    if (groups->sizes == NULL)
        return;
    groups->sizes[low] += groups->sizes[high];
    groups->next[groups->last[low]] = (uint32_t)high;
    groups->last[low] = groups->last[high];
}
