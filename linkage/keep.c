/* linkage/keep.c — the row that stands for an entity. */
#include <stdlib.h>

#include "linkage/linkage.h"
#include "linkage/text.h"

/* What a row has to offer: more of the first counts, then of the second. */
typedef struct worth {
    size_t n_filled;
    size_t n_bytes;
} worth;

static worth worth_of(const linkd_table *table, size_t row, linkd_keep keep)
{
    worth w = {0, 0};

    if (keep == LINKD_KEEP_FIRST)
        return w;
    for (size_t i = 0; i < linkd_table_n_columns(table); i++) {
        linkd_cell cell = linkd_table_cell(table, row, i);
        size_t len = lk_str_trim((linkd_str){cell.bytes, cell.len}).len;

        w.n_filled += len > 0 && keep == LINKD_KEEP_COMPLETE;
        w.n_bytes += len;
    }
    return w;
}

static bool is_worth_more(worth a, worth b)
{
    if (a.n_filled != b.n_filled)
        return a.n_filled > b.n_filled;
    return a.n_bytes > b.n_bytes;
}

int linkd_entities_keep(const linkd_table *table, const size_t *entities,
                        size_t n_entities, linkd_keep keep, size_t **ret_rows,
                        linkd_error *err)
{
    size_t *rows = calloc(n_entities + 1, sizeof(*rows));
    worth *best = calloc(n_entities + 1, sizeof(*best));

    if (rows == NULL || best == NULL) {
        free(best);
        free(rows);
        return lk_fail_nomem(err);
    }
    for (size_t i = 0; i < n_entities; i++)
        rows[i] = SIZE_MAX;
    for (size_t row = 0; row < linkd_table_n_rows(table); row++) {
        size_t entity = entities[row];
        worth own = worth_of(table, row, keep);

        LK_ASSERT(entity < n_entities);
        if (rows[entity] != SIZE_MAX && !is_worth_more(own, best[entity]))
            continue;
        rows[entity] = row;
        best[entity] = own;
    }
    free(best);
    *ret_rows = rows;
    return LINKD_OK;
}
