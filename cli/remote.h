/* cli/remote.h — link and dedup as jobs of linkd. */
#ifndef LINKD_CLI_REMOTE_H
#define LINKD_CLI_REMOTE_H

#include "cli/job.h"

/* What stands before the name of a collection where a file could be. */
#define LK_COLLECTION_PREFIX "collection:"

/* The collection that an operand names, or NULL: it is a file. */
const char *lk_operand_collection(const char *operand);

/* Does the command ask linkd: is --socket given, or a collection named? */
bool lk_is_remote(const lk_cli *cli, const char *socket);

/* LINKD_E_ARG: one of the options `names` (ends in NULL) was given, which only
 * work on files without linkd, or an operand is standard input. */
LINKD_MUST_CHECK int lk_remote_check(const lk_cli *cli, const lk_syntax *syntax,
                                     const char *const *names,
                                     linkd_error *err);

/* Sets `member` of a job's request to an operand: {"collection": NAME}, or
 * {"file": …} after it was uploaded. */
LINKD_MUST_CHECK int lk_remote_side(lk_client *client, const char *operand,
                                    linkd_format format, json_t *request,
                                    const char *member, linkd_error *err);
/* Sets `member` to the columns of an option such as --on; NULL is left out. */
LINKD_MUST_CHECK int lk_remote_columns(json_t *request, const char *member,
                                       const char *option, const char *columns,
                                       linkd_error *err);
/* The same for a text; NULL is left out. */
LINKD_MUST_CHECK int lk_remote_text(json_t *request, const char *member,
                                    const char *text, linkd_error *err);

/* Fetches the rows of a job that is done, and has it forgotten. */
LINKD_MUST_CHECK int lk_remote_rows(lk_client *client, const json_t *job,
                                    int (*row_cb)(void *ctx, const json_t *row,
                                                  linkd_error *err),
                                    void *ctx, linkd_error *err);

#endif
