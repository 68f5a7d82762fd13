/* cli/remote_dedup.h — linkctl dedup through linkd. */
#ifndef LINKD_CLI_REMOTE_DEDUP_H
#define LINKD_CLI_REMOTE_DEDUP_H

#include "cli/remote.h"

/* Options of dedup that linkd knows, too; NULL: not given. */
typedef struct lk_remote_dedup {
    lk_remote_options options;
    const char *on;
    int cluster;
} lk_remote_dedup;

/* Finds the entities of the operand and writes them: of a file its rows with
 * entity_id, of a collection id and entity_id. */
LINKD_MUST_CHECK int lk_remote_dedup_run(lk_cli *cli, const lk_syntax *syntax,
                                         const void *values,
                                         const lk_remote_dedup *dedup,
                                         linkd_error *err);

#endif
