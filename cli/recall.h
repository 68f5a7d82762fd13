/* cli/recall.h — eval --candidates: how many of the true pairs are candidates,
 * and how many candidates that takes. */
#ifndef LINKD_CLI_RECALL_H
#define LINKD_CLI_RECALL_H

#include "cli/compared.h"

typedef struct lk_recall_values {
    lk_compared_values compared;
    const char *channels;
    const char *model;
    size_t k;     /* 0: what suits the tables */
    size_t first; /* 0, or how many candidates somebody will look at */
    size_t n_threads;
} lk_recall_values;

/* The operands are LEFT RIGHT TRUTH, or FILE TRUTH. Gathers candidates as link
 * and dedup do, and prints on standard output. */
LINKD_MUST_CHECK int lk_recall_run(lk_cli *cli, const lk_recall_values *values,
                                   bool json, linkd_error *err);

#endif
