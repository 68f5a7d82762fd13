/* linkage/strset.h — private: which strings are already there. */
#ifndef LK_LINKAGE_STRSET_H
#define LK_LINKAGE_STRSET_H

#include "base/base.h"

/* A set of the numbers of strings that the owner keeps elsewhere: `key` tells
 * string number `index`. Fill in key and ctx; the rest starts as zeros. */
typedef struct lk_strset {
    linkd_str (*key)(const void *ctx, size_t index);
    const void *ctx;
    struct lk_strset_slot *slots;
    size_t n_slots; /* a power of two, or 0 */
    size_t n_used;
} lk_strset;

/* Adds string number `index` unless an equal one is there; *ret_index is the
 * number under which it is found now. */
LINKD_MUST_CHECK int lk_strset_add(lk_strset *set, size_t index,
                                   size_t *ret_index, linkd_error *err);

/* The number of the string that equals `text`, or SIZE_MAX. */
size_t lk_strset_find(const lk_strset *set, linkd_str text);

void lk_strset_clear(lk_strset *set);

#endif
