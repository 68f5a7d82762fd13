/* linkage/learned.h — private: what labels taught, and what it says of pairs. */
#ifndef LK_LINKAGE_LEARNED_H
#define LK_LINKAGE_LEARNED_H

#include "linkage/decision.h"

/* log-odds = slope * the model's + shift */
typedef struct lk_calibration {
    double slope; /* LK_SLOPE_MIN to LK_SLOPE_MAX */
    double shift;
} lk_calibration;

/* Guesses: beyond them it is the labels that are strange. */
#define LK_SLOPE_MIN 0.25
#define LK_SLOPE_MAX 4.0

typedef struct lk_learned {
    /* On features and context (stack.h), before calibration; without prior and
     * context of its own. Empty where info.learner is LINKD_LEARNER_NONE. */
    lk_fitted_model model;
    lk_calibration calibration;
    linkd_learned_info info;
} lk_learned;

void lk_learned_clear(lk_learned *learned);

/* What a model of a row's features, then context, says. */
double lk_fitted_model_log_odds(const lk_fitted_model *model,
                                const uint8_t *row);

/* Puts what the model says in place of the outcome's log-odds, posteriors and
 * model, and takes the outcome's doubts away: held-out labels speak for it.
 * `context` is taken (and then empty) on success; on failure nothing has
 * changed. Something has to be fitted. Same result for any number of workers. */
LINKD_MUST_CHECK int lk_learned_apply(const lk_learned *learned,
                                      const lk_decision_input *input,
                                      lk_features *take_context,
                                      lk_outcome *outcome, linkd_error *err);

/* One line of what was learned, from this run's labels or before (`saved`). */
void lk_learned_tell(const linkd_learned_info *info, bool saved,
                     linkd_verdict *verdict);

#endif
