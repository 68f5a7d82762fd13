/* linkage/bridge_lead.c — a query led over one bridge: mapped, mixed with what the
 * other model makes of it, and once more for the order of what is found. */
#include <string.h>

#include "linkage/bridge.h"

static int map_one(const linkd_compat_map *map, const float *vector,
                   float *ret_vector, linkd_error *err)
{
    float mapped[2 * LINKD_DIM_MAX]; /* a lossless map has two blocks */
    linkd_compat_info info = linkd_compat_map_info(map);
    linkd_rows rows = {vector, 1, info.dim_from};
    int rc;

    LK_ASSERT(info.dim_to <= sizeof(mapped) / sizeof(*mapped));
    rc = linkd_compat_map_apply(map, &rows, mapped, err);
    if (rc != LINKD_OK)
        return rc;
    rows = (linkd_rows){mapped, 1, info.dim_compat};
    return linkd_compat_normalise(&rows, "a mapped vector", ret_vector, err);
}

int lk_bridge_map(const linkd_bridge *bridge, const float *vector,
                  float *ret_vector, linkd_error *err)
{
    return map_one(bridge->map, vector, ret_vector, err);
}

/* What slerp would leave out, by a weight of 0 or 1, is not mapped: a map takes as
 * long as all else that is done to a query. But whether a query is strange only its
 * mapped vector says: this one is asked for nothing where it changes nothing. */
static bool is_alone(const linkd_bridge *bridge)
{
    bool tells =
        bridge->cosine_least > -1.0F &&
        (bridge->strange_weight > 0.0F || bridge->ranking.maps.home != NULL);

    return bridge->weight == 0.0F && !tells;
}

int lk_bridge_fuse(const linkd_bridge *bridge, const float *own,
                   const float *vector, float *ret_vector, bool *ret_is_strange,
                   linkd_error *err)
{
    linkd_compat_info info = linkd_compat_map_info(bridge->map);
    linkd_rows rows = {vector, 1, info.dim_from};
    float checked[LINKD_DIM_MAX];
    float weight = bridge->weight;
    bool is_strange = false;
    int rc;

    LK_ASSERT(info.dim_from <= LINKD_DIM_MAX);
    if (is_alone(bridge))
        rc = linkd_compat_normalise(&rows, "the vectors", checked, err);
    else
        rc = map_one(bridge->map, vector, ret_vector, err);
    if (rc != LINKD_OK)
        return rc;
    if (!is_alone(bridge)) {
        is_strange = linkd_index_score(own, ret_vector, info.dim_compat) <
                     bridge->cosine_least;
        weight = is_strange ? bridge->strange_weight : weight;
    }
    if (weight == 0.0F)
        memcpy(ret_vector, own, info.dim_compat * sizeof(*ret_vector));
    else
        linkd_compat_slerp(own, ret_vector, info.dim_compat, weight,
                           ret_vector);
    if (ret_is_strange != NULL)
        *ret_is_strange = is_strange;
    return LINKD_OK;
}

int lk_bridge_rank(const linkd_bridge *bridge, const float *own,
                   const float *vector, float *ret_vector, linkd_error *err)
{
    const linkd_reranking *ranking = &bridge->ranking;
    size_t dim = linkd_compat_map_info(bridge->map).dim_compat;
    float home[LINKD_DIM_MAX];
    int rc;

    LK_ASSERT(dim <= LINKD_DIM_MAX);
    if (ranking->weight == 0.0F)
        return map_one(ranking->maps.home, own, ret_vector, err);
    rc = map_one(ranking->maps.map, vector, ret_vector, err);
    if (ranking->weight == 1.0F)
        return rc;
    if (rc == LINKD_OK)
        rc = map_one(ranking->maps.home, own, home, err);
    if (rc == LINKD_OK)
        linkd_compat_slerp(home, ret_vector, dim, ranking->weight, ret_vector);
    return rc;
}
