/* cli/user_queries.h — what users ask, and the records that answer it. */
#ifndef LINKD_CLI_USER_QUERIES_H
#define LINKD_CLI_USER_QUERIES_H

#include <jansson.h>

#include "cli/command.h"

/* Reads a table with columns query and id, and puts its rows into `body` as
 * "queries". LINKD_E_DATA: a column is missing. */
LINKD_MUST_CHECK int lk_user_queries_read(lk_cli *cli, const char *path,
                                          json_t *body, linkd_error *err);

#endif
