/* cli/ids.c — ids in a file to rows of a table, by a sorted list of the table's
 * ids, and what is said of ids that repeat. A table without ids has the numbers of its rows, from 1. */
#include "cli/ids.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/explanation.h"

typedef struct lk_id_row {
    linkd_str id;
    size_t row;
} lk_id_row;

static int by_id(const void *a, const void *b)
{
    return lk_str_compare(((const lk_id_row *)a)->id,
                          ((const lk_id_row *)b)->id);
}

static int ids_fill(lk_ids *ids, const linkd_table *table, linkd_error *err)
{
    for (size_t row = 0; row < ids->n; row++) {
        lk_id_storage storage;
        linkd_str id = lk_id_text(table, row, &storage);

        if (id.bytes == storage.text) {
            id.bytes = lk_arena_copy(&ids->arena, id.bytes, id.len);
            if (id.bytes == NULL)
                return lk_fail_nomem(err);
        }
        ids->items[row] = (lk_id_row){id, row};
    }
    return LINKD_OK;
}

int lk_ids_list(const linkd_table *table, lk_ids *ret_ids, linkd_error *err)
{
    lk_ids ids = {.n = linkd_table_n_rows(table)};
    int rc;

    ids.items = calloc(ids.n + 1, sizeof(*ids.items));
    rc = ids.items == NULL ? lk_fail_nomem(err) : ids_fill(&ids, table, err);
    if (rc != LINKD_OK) {
        lk_ids_clear(&ids);
        return rc;
    }
    qsort(ids.items, ids.n, sizeof(*ids.items), by_id);
    *ret_ids = ids;
    return LINKD_OK;
}

void lk_ids_clear(lk_ids *ids)
{
    free(ids->items);
    lk_arena_clear(&ids->arena);
    *ids = (lk_ids){0};
}

size_t lk_ids_find(const lk_ids *ids, linkd_cell cell)
{
    lk_id_row key = {{cell.len > 0 ? cell.bytes : "", cell.len}, 0};
    const lk_id_row *found =
        bsearch(&key, ids->items, ids->n, sizeof(*ids->items), by_id);

    return found != NULL ? found->row : SIZE_MAX;
}

/* ---- ids with a mistake -------------------------------------------------- */

typedef struct flaw_text {
    char text[400]; /* as an error's message it is cut short */
} flaw_text;

static flaw_text flaw_tell(const char *path, const linkd_id_trial *flaw)
{
    flaw_text told;
    char as[48] = "";

    if (flaw->equal_row != 0)
        (void)snprintf(as, sizeof(as), ", as row %" PRIu64 " has",
                       flaw->equal_row);
    if (flaw->value.text[0] == '\0')
        (void)snprintf(told.text, sizeof(told.text),
                       "%s: column \"%s\" looks like ids, but row %" PRIu64
                       " (line %" PRIu64 ") has none",
                       lk_label_of_path(path).text, flaw->column.text,
                       flaw->row, flaw->line);
    else
        (void)snprintf(told.text, sizeof(told.text),
                       "%s: column \"%s\" looks like ids, but row %" PRIu64
                       " (line %" PRIu64 ") has \"%s\" again%s",
                       lk_label_of_path(path).text, flaw->column.text,
                       flaw->row, flaw->line, flaw->value.text, as);
    return told;
}

void lk_ids_flaw_warn(const lk_cli *cli, const char *path,
                      const linkd_id_trial *flaw)
{
    if (!cli->args.quiet)
        (void)fprintf(stderr,
                      "%s: ids are row numbers, and it is a field as others "
                      "are (--id)\n",
                      flaw_tell(path, flaw).text);
}

int lk_ids_flaw_fail(lk_cli *cli, const char *path, const linkd_id_trial *flaw,
                     linkd_error *err)
{
    lk_cli_hint(cli,
                "--id names the column of the ids; a pipe (\"-\") gets row "
                "numbers");
    return lk_fail(err, LINKD_E_DATA, "%s", flaw_tell(path, flaw).text);
}
