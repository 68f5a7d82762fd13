/* linkage/replay.h — private: searches in a sample that is half encoded anew, with
 * bridges that are there. */
#ifndef LK_LINKAGE_REPLAY_H
#define LK_LINKAGE_REPLAY_H

#include "linkage/bridge.h"
#include "linkage/trial.h"

typedef struct lk_replay_task {
    const linkd_bridge_task *sample; /* whose queries are asked */
    const lk_held *held;             /* of it: what ranks are told among */
    const linkd_model_sample *old_sample, *new_sample;
    const linkd_bridge *old_native, *new_native;
    const linkd_bridge *to_old; /* of the new model's queries */
    size_t n_candidates;        /* of `held`, that a cascade encodes anew */
} lk_replay_task;

/* All of a trial but its `back`. LINKD_E_DATA: a query cannot be mapped. */
LINKD_MUST_CHECK int lk_replay_run(const lk_replay_task *task,
                                   linkd_trial *ret_trial, linkd_error *err);

/* An empty one, with room for so many queries; freed with linkd_trial_clear(),
 * also after an error. */
LINKD_MUST_CHECK int lk_trial_make(size_t n_queries, linkd_trial *ret_trial,
                                   linkd_error *err);

#endif
