/* linkage/normal.h — private: normal equations. Sums the products of many short
 * rows with themselves and solves what comes of it.
 *
 *   rows    [LK_NORMAL_ROWS, n]       floats, in panels: see lk_normal_at()
 *   matrix  [stride, stride] doubles  sum over the rows of row' x row; of it
 *                                     the lower triangle counts
 *   stride  n rounded up to a multiple of LK_NORMAL_PANEL */
#ifndef LK_LINKAGE_NORMAL_H
#define LK_LINKAGE_NORMAL_H

#include "base/base.h"

enum {
    LK_NORMAL_ROWS = 256, /* of one lk_normal_add() at most */
    LK_NORMAL_PANEL = 8,  /* columns that lie together */
};

static inline size_t lk_normal_stride(size_t n)
{
    return (n + LK_NORMAL_PANEL - 1) / LK_NORMAL_PANEL * LK_NORMAL_PANEL;
}

/* Where a row's column lies: the rows of columns 0 … 7, then of 8 … 15, … */
static inline size_t lk_normal_at(size_t row, size_t column)
{
    return (column / LK_NORMAL_PANEL * LK_NORMAL_ROWS + row) * LK_NORMAL_PANEL +
           column % LK_NORMAL_PANEL;
}

/* Adds the products of `n_rows` rows to the matrix. The columns from n to the
 * stride must be zero in every row. */
void lk_normal_add(const float *rows, size_t n_rows, size_t stride,
                   double *matrix);

/* Solves matrix x = values for x, which takes the place of the values [n]; the
 * factor takes the place of the matrix. False, with both spoilt: the matrix is
 * not positive definite. */
bool lk_normal_solve(double *matrix, size_t stride, size_t n, double *values);

#endif
