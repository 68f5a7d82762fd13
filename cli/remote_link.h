/* cli/remote_link.h — linkctl link through linkd. */
#ifndef LINKD_CLI_REMOTE_LINK_H
#define LINKD_CLI_REMOTE_LINK_H

#include "cli/command.h"

/* Options of link that linkd knows, too; NULL: not given. */
typedef struct lk_remote_link {
    const char *socket;
    const char *on, *left_on, *right_on;
    const char *block;
    const char *model;
    const char *output;
    size_t k;
    double threshold;
    int assign;
    linkd_format format;
    bool json;
} lk_remote_link;

/* Links the two operands and writes the pairs. `syntax` and `values` are for
 * the manifest. */
LINKD_MUST_CHECK int lk_remote_link_run(lk_cli *cli, const lk_syntax *syntax,
                                        const void *values,
                                        const lk_remote_link *link,
                                        linkd_error *err);

#endif
