/* linkage/learn.h — private: probabilities learned from answered pairs. */
#ifndef LK_LINKAGE_LEARN_H
#define LK_LINKAGE_LEARN_H

#include "linkage/learned.h"

/* What labels teach beyond a decision that was made without them: a model if it
 * foretells labels that it did not see better than `outcome` does. `context` is
 * that of lk_learn_context(). */
LINKD_MUST_CHECK int lk_learn_fit(const lk_decision_input *input,
                                  const lk_outcome *outcome,
                                  const lk_features *context,
                                  lk_learned *ret_learned, linkd_error *err);

/* What a model sees of each pair beside its features (stack.h); `outcome` was
 * decided without labels. */
LINKD_MUST_CHECK int lk_learn_context(const lk_decision_input *input,
                                      const lk_outcome *outcome,
                                      lk_features *ret_context,
                                      linkd_error *err);

/* Improves a decision that was made without labels by those of `input`: its
 * model, log-odds and posteriors are replaced if something was learned. What was
 * answered is pinned in any case. Tells what it did in verdict.learned.
 * `outcome` is unchanged on failure. */
LINKD_MUST_CHECK int lk_learn(const lk_decision_input *input,
                              lk_outcome *outcome, linkd_error *err);

#endif
