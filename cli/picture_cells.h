/* cli/picture_cells.h — pictures of rows that are sent to linkd, which opens no
 * files for clients: linkctl reads them, and linkd says which it cannot use. */
#ifndef LINKD_CLI_PICTURE_CELLS_H
#define LINKD_CLI_PICTURE_CELLS_H

#include <jansson.h>

#include "cli/command.h"

/* Rows of one request: a picture takes linkd up to a tenth of a second. */
#define LK_PICTURE_ROWS ((size_t)64)

typedef struct lk_picture_cells {
    const char *table_path;
    lk_buf field;       /* that has the picture; empty: there is none */
    lk_buf uri;         /* of the row at hand */
    uint64_t first_row; /* of the request, from 1 */
    lk_label labels[LK_PICTURE_ROWS]; /* of the request's pictures */
    uint64_t n_empty;
    linkd_image_problems problems;
} lk_picture_cells;

void lk_picture_cells_clear(lk_picture_cells *cells);

bool lk_picture_cells_is(const lk_picture_cells *cells, linkd_str column);

/* Turns a cell of the request's row into a data URI, which stays until the next
 * call; an empty one: the row has no picture, or none that can be read, which is
 * noted. LINKD_E_NOMEM. */
LINKD_MUST_CHECK int lk_picture_cells_read(lk_picture_cells *cells, size_t row,
                                           linkd_str source, linkd_str *ret_uri,
                                           linkd_error *err);
/* Notes what linkd answers about the pictures of the request. LINKD_E_NOMEM. */
LINKD_MUST_CHECK int lk_picture_cells_answer(lk_picture_cells *cells,
                                             const json_t *answer,
                                             linkd_error *err);

#endif
