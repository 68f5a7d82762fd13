/* cli/asked.c — pairs that a file asks about by their ids. */
#include "cli/asked.h"

#include "cli/ids.h"

typedef struct asking {
    const linkd_table *file;
    const lk_compared *compared;
    bool within;       /* one table */
    size_t columns[2]; /* left_id, right_id */
    lk_ids ids[2];     /* within one table only the first */
} asking;

static int fail_unknown_id(const asking *a, size_t row, size_t side,
                           linkd_cell cell, linkd_error *err)
{
    return lk_fail(
        err, LINKD_E_DATA, "%s: row %zu: %s has no row with id \"%s\"",
        lk_label_of_path(linkd_table_path(a->file)).text, row + 1,
        lk_label_of_path(linkd_table_path(a->compared->tables[side])).text,
        lk_label_of((linkd_str){cell.bytes, cell.len}).text);
}

static int pair_resolve(const asking *a, size_t row, linkd_pair *ret_pair,
                        linkd_error *err)
{
    size_t rows[2];

    for (size_t side = 0; side < 2; side++) {
        linkd_cell cell = linkd_table_cell(a->file, row, a->columns[side]);

        rows[side] = lk_ids_find(&a->ids[a->within ? 0 : side], cell);
        if (rows[side] == SIZE_MAX)
            return fail_unknown_id(a, row, side, cell, err);
    }
    if (a->within && rows[0] == rows[1])
        return lk_fail(
            err, LINKD_E_DATA, "%s: row %zu pairs a record with itself",
            lk_label_of_path(linkd_table_path(a->file)).text, row + 1);
    *ret_pair = (linkd_pair){.left = rows[0], .right = rows[1]};
    return LINKD_OK;
}

static int columns_find(asking *a, linkd_error *err)
{
    a->columns[0] = linkd_table_find_column(a->file, (linkd_str){"left_id", 7});
    a->columns[1] =
        linkd_table_find_column(a->file, (linkd_str){"right_id", 8});
    if (linkd_table_n_rows(a->file) > 0 &&
        (a->columns[0] == LINKD_COLUMN_NONE ||
         a->columns[1] == LINKD_COLUMN_NONE))
        return lk_fail(err, LINKD_E_DATA, "%s has no left_id and right_id",
                       lk_label_of_path(linkd_table_path(a->file)).text);
    return LINKD_OK;
}

int lk_asked_resolve(const linkd_table *file, const lk_compared *compared,
                     linkd_pair *ret_pairs, linkd_error *err)
{
    asking a = {
        .file = file, .compared = compared, .within = compared->right == NULL};
    int rc = columns_find(&a, err);

    if (rc == LINKD_OK)
        rc = lk_ids_list(compared->left, &a.ids[0], err);
    if (rc == LINKD_OK && !a.within)
        rc = lk_ids_list(compared->right, &a.ids[1], err);
    for (size_t row = 0; row < linkd_table_n_rows(file) && rc == LINKD_OK;
         row++)
        rc = pair_resolve(&a, row, &ret_pairs[row], err);
    lk_ids_clear(&a.ids[0]);
    lk_ids_clear(&a.ids[1]);
    return rc;
}
