/* linkage/fitted.c — maps that are fitted once and used for several bridges.
 *
 * No map has seen a query. So a start and both halves of its trial, which differ in
 * their queries alone, would fit the same maps three times; at 4,000 records that
 * is most of what they take. */
#include "linkage/bridge.h"

static linkd_fitted_map *place_find(linkd_fitted *fitted,
                                    const linkd_model_sample *from,
                                    const linkd_model_sample *to, int role)
{
    for (size_t i = 0; i < fitted->n; i++) {
        linkd_fitted_map *m = &fitted->maps[i];

        if (m->from == from->anchors && m->to == to->anchors && m->role == role)
            return m;
    }
    return NULL;
}

linkd_compat_map *lk_fitted_find(linkd_fitted *fitted,
                                 const linkd_model_sample *from,
                                 const linkd_model_sample *to, int role)
{
    const linkd_fitted_map *found =
        fitted != NULL ? place_find(fitted, from, to, role) : NULL;

    return found != NULL ? linkd_compat_map_ref(found->map) : NULL;
}

void lk_fitted_keep(linkd_fitted *fitted, const linkd_model_sample *from,
                    const linkd_model_sample *to, int role,
                    linkd_compat_map *map)
{
    if (fitted == NULL || fitted->n == LINKD_FITTED_MAX)
        return;
    fitted->maps[fitted->n++] = (linkd_fitted_map){
        from->anchors, to->anchors, role, linkd_compat_map_ref(map)};
}

void linkd_fitted_clear(linkd_fitted *fitted)
{
    for (size_t i = 0; i < fitted->n; i++)
        linkd_compat_map_free(fitted->maps[i].map);
    fitted->n = 0;
}
