/* linkage/learn.h — private: probabilities learned from answered pairs. */
#ifndef LK_LINKAGE_LEARN_H
#define LK_LINKAGE_LEARN_H

#include "linkage/decision.h"

/* Improves a decision that was made without labels by those of `input`: its
 * model, log-odds and posteriors are replaced if a model that learned from the
 * labels foretells labels that it did not see better than the decision does.
 * What was answered is pinned in any case. Tells what it did in
 * verdict.learned. `outcome` is unchanged on failure. */
LINKD_MUST_CHECK int lk_learn(const lk_decision_input *input,
                              lk_outcome *outcome, linkd_error *err);

#endif
