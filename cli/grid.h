/* cli/grid.h — a table for people: columns of equal width. */
#ifndef LINKD_CLI_GRID_H
#define LINKD_CLI_GRID_H

#include <stdio.h>

#include "base/base.h"

#define LK_GRID_COLUMNS_MAX 12

/* Cells are kept until all are known. {0} with `n_columns` set is empty. */
typedef struct lk_grid {
    size_t n_columns;
    size_t cell_max;                    /* characters; 0: no limit */
    bool is_right[LK_GRID_COLUMNS_MAX]; /* numbers */
    const char **cells;
    size_t n_cells;
    size_t capacity;
    lk_arena arena;
} lk_grid;

/* The next cell, row by row. The text is copied; control characters, which
 * could move the cursor, become blanks, and what is too long ends in "...". */
LINKD_MUST_CHECK int lk_grid_add(lk_grid *grid, linkd_str text,
                                 linkd_error *err);
LINKD_MUST_CHECK int lk_grid_printf(lk_grid *grid, linkd_error *err,
                                    const char *format, ...) LK_PRINTF(3, 4);
/* The next `n` cells. */
LINKD_MUST_CHECK int lk_grid_row(lk_grid *grid, const char *const *cells,
                                 size_t n, linkd_error *err);
/* Two blanks between columns, none at the end of a line. */
void lk_grid_print(const lk_grid *grid, FILE *out);
void lk_grid_clear(lk_grid *grid);

#endif
