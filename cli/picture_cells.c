/* cli/picture_cells.c — see picture_cells.h. */
#include "cli/picture_cells.h"

#include <inttypes.h>
#include <string.h>

void lk_picture_cells_clear(lk_picture_cells *cells)
{
    lk_buf_clear(&cells->field);
    lk_buf_clear(&cells->uri);
    lk_buf_clear(&cells->problems.lines);
}

bool lk_picture_cells_is(const lk_picture_cells *cells, linkd_str column)
{
    return cells->field.len > 0 && cells->field.len == column.len &&
           memcmp(cells->field.data, column.bytes, column.len) == 0;
}

static int problem_note(lk_picture_cells *cells, size_t row, const char *why,
                        linkd_error *err)
{
    if (++cells->problems.n > LINKD_IMAGE_PROBLEMS_MAX)
        return LINKD_OK;
    return lk_buf_printf(&cells->problems.lines, err,
                         "row %" PRIu64 ": %s: %s\n", cells->first_row + row,
                         cells->labels[row].text, why);
}

int lk_picture_cells_read(lk_picture_cells *cells, size_t row, linkd_str source,
                          linkd_str *ret_uri, linkd_error *err)
{
    linkd_error why = {0};
    int rc = LINKD_OK;

    LK_ASSERT(row < LK_PICTURE_ROWS);
    *ret_uri = (linkd_str){"", 0};
    cells->n_empty += source.len == 0;
    if (source.len == 0)
        return LINKD_OK;
    cells->labels[row] = lk_label_of(
        linkd_is_data_uri(source) ? (linkd_str){"data URI", 8} : source);
    lk_buf_reset(&cells->uri);
    rc = linkd_picture_uri(cells->table_path, source, &cells->uri, &why);
    if (rc == LINKD_E_NOMEM)
        return lk_fail_nomem(err);
    if (rc != LINKD_OK)
        return problem_note(cells, row, why.message, err);
    *ret_uri = (linkd_str){cells->uri.data, cells->uri.len};
    return LINKD_OK;
}

int lk_picture_cells_answer(lk_picture_cells *cells, const json_t *answer,
                            linkd_error *err)
{
    const json_t *list = json_object_get(answer, "image_problems");
    const size_t n =
        (size_t)json_integer_value(json_object_get(answer, "unusable_images"));
    size_t n_told = json_array_size(list);
    int rc = LINKD_OK;

    if (n_told > n)
        n_told = n;
    for (size_t i = 0; i < n_told && rc == LINKD_OK; i++) {
        const json_t *problem = json_array_get(list, i);
        const size_t row =
            (size_t)json_integer_value(json_object_get(problem, "record"));
        const char *why =
            json_string_value(json_object_get(problem, "problem"));

        if (row < LK_PICTURE_ROWS && why != NULL)
            rc = problem_note(cells, row, why, err);
    }
    cells->problems.n += n - n_told;
    return rc;
}
