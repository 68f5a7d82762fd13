/* cli/ids.h — ids in a file to rows of a table, and ids that repeat. */
#ifndef LINKD_CLI_IDS_H
#define LINKD_CLI_IDS_H

#include "cli/command.h"

/* The ids of a table, sorted. Borrows the table. */
typedef struct lk_ids {
    struct lk_id_row *items; /* [n] */
    size_t n;
    lk_arena arena;
} lk_ids;

LINKD_MUST_CHECK int lk_ids_list(const linkd_table *table, lk_ids *ret_ids,
                                 linkd_error *err);
void lk_ids_clear(lk_ids *ids);

/* The row of that id, or SIZE_MAX. */
size_t lk_ids_find(const lk_ids *ids, linkd_cell cell);

/* The first column of `path` looks like ids, and a mistake in it makes row
 * numbers of them. Said, unless --quiet; or LINKD_E_DATA with a hint. */
void lk_ids_flaw_warn(const lk_cli *cli, const char *path,
                      const linkd_id_trial *flaw);
LINKD_MUST_CHECK int lk_ids_flaw_fail(lk_cli *cli, const char *path,
                                      const linkd_id_trial *flaw,
                                      linkd_error *err);

#endif
