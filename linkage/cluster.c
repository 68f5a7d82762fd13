/* linkage/cluster.c — pairs to entities, by one of two methods: whatever a
 * chain of pairs connects (here), or complete linkage (cluster_complete.c).
 * Both see only candidates that reach the threshold. */
#include "linkage/cluster.h"

static void components_unite(const lk_cluster_input *input, lk_disjoint *sets)
{
    for (size_t i = 0; i < input->n; i++)
        if (input->candidates[i].score >= input->threshold)
            lk_disjoint_unite(sets, input->candidates[i].left,
                              input->candidates[i].right);
}

int lk_cluster(const lk_cluster_input *input, linkd_cluster method,
               size_t *ret_entities, size_t *ret_n_entities, linkd_error *err)
{
    lk_disjoint sets;
    int rc = lk_disjoint_init(&sets, input->n_rows, err);

    if (rc == LINKD_OK && method == LINKD_CLUSTER_COMPONENTS)
        components_unite(input, &sets);
    if (rc == LINKD_OK && method == LINKD_CLUSTER_COMPLETE)
        rc = lk_cluster_complete(input, &sets, err);
    if (rc == LINKD_OK)
        *ret_n_entities = lk_disjoint_number(&sets, ret_entities);
    lk_disjoint_clear(&sets);
    return rc;
}
