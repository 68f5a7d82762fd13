/* linkage/disjoint.h — private: sets that only ever grow together. */
#ifndef LK_LINKAGE_DISJOINT_H
#define LK_LINKAGE_DISJOINT_H

#include "base/base.h"

/* Union-find over 0 … n - 1; every set is named by its lowest member. */
typedef struct lk_disjoint {
    size_t *parents;
    size_t n;
} lk_disjoint;

/* Every number starts as a set of its own. */
LINKD_MUST_CHECK int lk_disjoint_init(lk_disjoint *sets, size_t n,
                                      linkd_error *err);
void lk_disjoint_clear(lk_disjoint *sets);

/* The lowest member of the set that holds `item`. */
size_t lk_disjoint_find(lk_disjoint *sets, size_t item);
void lk_disjoint_unite(lk_disjoint *sets, size_t a, size_t b);

/* Numbers the sets from 0 in order of their lowest members; answers how many
 * there are. `ret_numbers` [n] tells the set of every item. */
size_t lk_disjoint_number(lk_disjoint *sets, size_t *ret_numbers);

#endif
