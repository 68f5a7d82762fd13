/* cli/limit.h — what hits have to reach, as linkd takes it: one of --threshold,
 * --false-match-rate and --probability. */
#ifndef LK_CLI_LIMIT_H
#define LK_CLI_LIMIT_H

#include <jansson.h>

#include "linkage/linkage.h"

/* What was not given is NAN. */
typedef struct lk_limit_values {
    double score;
    double false_match_rate;
    double probability;
} lk_limit_values;

/* Sets "threshold" in `body`, if one was given. LINKD_E_ARG: several were. */
LINKD_MUST_CHECK int lk_limit_put(const lk_limit_values *values, json_t *body,
                                  linkd_error *err);

#endif
