/* encoder/vision_merge.h — token merging (Bolya et al. 2023, "Token Merging: Your
 * ViT But Faster", ICLR): in every layer the rows that are most alike become one,
 * so that later layers have less to do. */
#ifndef LK_ENCODER_VISION_MERGE_H
#define LK_ENCODER_VISION_MERGE_H

#include "encoder/stack.h"

/* What a pass needs beside lk_stack_space, cut from one run of floats. */
typedef struct lk_merge_space {
    float *sizes;      /* [rows] how many patches a row stands for */
    float *log_sizes;  /* [rows] log2 of them: what attention adds to scores */
    float *totals;     /* [rows] sizes of what is left after merging */
    float *best;       /* [rows / 2] cosine of the nearest */
    float *no_bias;    /* [rows] zeros */
    uint32_t *targets; /* [rows] which row each becomes a part of */
    float *left;       /* [rows / 2, head_dim] what rows are compared by */
    float *right;      /* likewise, filled up to whole panels */
    float *panels;     /* the right ones as a layer's weights */
    float *scores;     /* [rows / 2, rows / 2] cosines */
} lk_merge_space;

/* Floats that a pass over n_rows rows takes for it. */
size_t lk_merge_floats(const lk_stack *stack, size_t n_rows);
/* Cuts as many of them, 64-byte aligned; every row is one patch. */
lk_merge_space lk_merge_cut(const lk_stack *stack, float *floats,
                            size_t n_rows);

/* Finds the n_merged rows to merge away, fewer if there are not so many. `wide`
 * holds n_rows rows of queries, keys and values. Every other row, from the first
 * on, is compared with all those between by the means of their heads' keys, and
 * those become a part of their nearest whose nearest is nearest. Row 0 stays. Fills
 * `targets` and `totals`, and answers how many rows are left.
 *   scratch  lk_linear_scratch() for rows of head_dim */
size_t lk_merge_match(const lk_stack *stack, const lk_merge_space *merge,
                      const float *wide, size_t n_rows, size_t n_merged,
                      float *scratch);

/* Rows to the means, weighted by size, of those that have one target.
 *   x        [n_rows, lk_stride(dim)] to [n_left, lk_stride(dim)]
 *   scratch  as much as x */
void lk_merge_rows(const lk_merge_space *merge, size_t n_rows, size_t n_left,
                   size_t dim, float *scratch, float *x);
/* Makes the totals of what is left its sizes, once all rows are merged. */
void lk_merge_sizes(const lk_merge_space *merge, size_t n_left);

/* One picture's n_rows embedded rows in x, the class token first, to its unit
 * vector [lk_stack_dim()]; every layer but the last merges n_merged rows away. With
 * 0 it is what lk_stack_run() answers. */
void lk_merge_run(const lk_stack *stack, const lk_stack_space *space,
                  const lk_merge_space *merge, size_t n_rows, size_t n_merged,
                  float *ret_vector);

#endif
