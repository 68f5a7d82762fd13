/* index/filter.h — private: what a selection is made of. */
#ifndef LK_INDEX_FILTER_H
#define LK_INDEX_FILTER_H

#include "index/index.h"

struct linkd_selection {
    uint64_t *words; /* bit n % 64 of word n / 64 is record number n */
    uint64_t n_bits;
    uint64_t count;
};

/* The first selected number >= `from`, or LINKD_ID_NONE. */
uint64_t lk_selection_next(const linkd_selection *selection, uint64_t from);

#endif
