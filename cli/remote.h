/* cli/remote.h — link and dedup as jobs of linkd. */
#ifndef LINKD_CLI_REMOTE_H
#define LINKD_CLI_REMOTE_H

#include "cli/decide.h"
#include "cli/job.h"
#include "cli/rows.h"

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

/* Options of both commands that linkd knows, too; NULL: not given. */
typedef struct lk_remote_options {
    const char *socket;
    const char *block;
    const char *model;
    const char *output;
    size_t k; /* 0: not given */
    lk_decide_values decide;
    linkd_format format;
    bool apply;
    bool json;
} lk_remote_options;

/* One command from its request to its rows. */
typedef struct lk_remote {
    lk_cli *cli;
    const lk_remote_options *options;
    lk_client client;
    json_t *request;
    json_t *job; /* when it is done */
    lk_output *output;
    lk_rows rows;
    lk_manifest manifest;
} lk_remote;

/* Starts the outputs and reaches linkd. `syntax` and `values` are for the
 * manifest. Followed by lk_remote_close() even when it fails. */
LINKD_MUST_CHECK int lk_remote_open(lk_cli *cli, const lk_syntax *syntax,
                                    const void *values,
                                    const lk_remote_options *options,
                                    lk_remote *ret_remote, linkd_error *err);
void lk_remote_close(lk_remote *remote);

/* Sets `member` of the request to an operand: {"collection": NAME}, or
 * {"file": …} after it was uploaded. */
LINKD_MUST_CHECK int lk_remote_side(lk_remote *remote, const char *operand,
                                    const char *member, linkd_error *err);
/* Sets `member` to the columns of an option such as --on; NULL is left out. */
LINKD_MUST_CHECK int lk_remote_columns(lk_remote *remote, const char *member,
                                       const char *option, const char *columns,
                                       linkd_error *err);
LINKD_MUST_CHECK int lk_remote_word(lk_remote *remote, const char *member,
                                    const char *word, linkd_error *err);

/* Adds what both commands say to the request, and waits for the job. */
LINKD_MUST_CHECK int lk_remote_run(lk_remote *remote, linkd_error *err);
/* Fetches the rows of the job, and has it forgotten. */
LINKD_MUST_CHECK int lk_remote_rows(lk_remote *remote,
                                    int (*row_cb)(void *ctx, const json_t *row,
                                                  linkd_error *err),
                                    void *ctx, linkd_error *err);
/* Commits the outputs, then says what came of it: counts by `counts_note`,
 * and the verdict. */
LINKD_MUST_CHECK int lk_remote_finish(lk_remote *remote,
                                      void (*counts_note)(const json_t *job),
                                      linkd_error *err);

#endif
