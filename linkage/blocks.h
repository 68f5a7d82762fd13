/* linkage/blocks.h — private: which vectors may be compared at all. */
#ifndef LK_LINKAGE_BLOCKS_H
#define LK_LINKAGE_BLOCKS_H

#include "base/base.h"

/* One side of the comparison, or the only one. */
typedef struct lk_side {
    const float *vectors;  /* [n, dim] */
    const linkd_str *keys; /* [n] block values, or NULL: all are equal */
    size_t n;
} lk_side;

/* members[side][begin[side]] … + n[side] are one block's vector numbers. */
typedef struct lk_block {
    size_t begin[2];
    size_t n[2];
} lk_block;

typedef struct lk_blocks {
    size_t *members[2]; /* ascending within a block; [1] NULL for one side */
    lk_block *blocks;   /* by key */
    size_t n;
} lk_blocks;

/* Groups vectors by equal keys that are not empty, and keeps the groups in
 * which there is something to compare: members on both sides, or at least two
 * on the only side (`right` NULL). */
LINKD_MUST_CHECK int lk_blocks_init(lk_blocks *blocks, const lk_side *left,
                                    const lk_side *right, linkd_error *err);
void lk_blocks_clear(lk_blocks *blocks);

#endif
