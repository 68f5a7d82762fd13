/* linkage/disjoint.c — sets that only ever grow together.
 *
 * A forest of parents, as usual, but the root is always the lowest member and
 * never the larger tree: names of sets are then the same in whatever order
 * sets were united. Halving paths alone keeps a chain of n operations within
 * O(n log n) (Tarjan and van Leeuwen 1984). */
#include "linkage/disjoint.h"

#include <stdlib.h>

int lk_disjoint_init(lk_disjoint *sets, size_t n, linkd_error *err)
{
    *sets =
        (lk_disjoint){.parents = calloc(n + 1, sizeof(*sets->parents)), .n = n};
    if (sets->parents == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < n; i++)
        sets->parents[i] = i;
    return LINKD_OK;
}

void lk_disjoint_clear(lk_disjoint *sets)
{
    free(sets->parents);
    *sets = (lk_disjoint){0};
}

size_t lk_disjoint_find(lk_disjoint *sets, size_t item)
{
    size_t *parents = sets->parents;

    while (parents[item] != item) {
        parents[item] = parents[parents[item]];
        item = parents[item];
    }
    return item;
}

void lk_disjoint_unite(lk_disjoint *sets, size_t a, size_t b)
{
    a = lk_disjoint_find(sets, a);
    b = lk_disjoint_find(sets, b);
    sets->parents[a > b ? a : b] = a < b ? a : b;
}

size_t lk_disjoint_number(lk_disjoint *sets, size_t *ret_numbers)
{
    size_t n_sets = 0;

    /* the root comes before all other members, so it has its number already */
    for (size_t i = 0; i < sets->n; i++) {
        size_t root = lk_disjoint_find(sets, i);

        ret_numbers[i] = root == i ? n_sets++ : ret_numbers[root];
    }
    return n_sets;
}
