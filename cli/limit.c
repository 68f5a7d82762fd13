/* cli/limit.c — see limit.h. */
#include "cli/limit.h"

#include <math.h>

int lk_limit_put(const lk_limit_values *values, json_t *body, linkd_error *err)
{
    bool has_score = !isnan(values->score);
    bool has_rate = !isnan(values->false_match_rate);
    bool has_probability = !isnan(values->probability);
    json_t *limit;

    if (has_score + has_rate + has_probability > 1)
        return lk_fail(err, LINKD_E_ARG,
                       "--threshold, --false-match-rate and --probability "
                       "exclude each other");
    if (has_score)
        limit = json_real(values->score);
    else if (has_rate)
        limit =
            json_pack("{s:f}", "false_match_rate", values->false_match_rate);
    else if (has_probability)
        limit = json_pack("{s:f}", "probability", values->probability);
    else
        return LINKD_OK;
    return json_object_set_new(body, "threshold", limit) == 0
               ? LINKD_OK
               : lk_fail_nomem(err);
}
