/* cli/remote_link.h — linkctl link through linkd. */
#ifndef LINKD_CLI_REMOTE_LINK_H
#define LINKD_CLI_REMOTE_LINK_H

#include "cli/remote.h"

/* Options of link that linkd knows, too; NULL: not given. */
typedef struct lk_remote_link {
    lk_remote_options options;
    const char *on, *left_on, *right_on;
    int assign;
} lk_remote_link;

/* Links the two operands and writes the pairs. `syntax` and `values` are for
 * the manifest. */
LINKD_MUST_CHECK int lk_remote_link_run(lk_cli *cli, const lk_syntax *syntax,
                                        const void *values,
                                        const lk_remote_link *link,
                                        linkd_error *err);

#endif
