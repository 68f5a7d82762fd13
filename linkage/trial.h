/* linkage/trial.h — what searches would find while a collection's model is being
 * changed, told from the sample that bridges are fitted on. Part of
 * linkage/linkage.h. */
#ifndef LINKD_LINKAGE_TRIAL_H
#define LINKD_LINKAGE_TRIAL_H

#include "linkage/collection.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How a query is answered. */
typedef enum linkd_trial_way {
    LINKD_TRIAL_OLD,      /* by the model so far */
    LINKD_TRIAL_FUSE,     /* by fused queries, on the old vectors */
    LINKD_TRIAL_NEW,      /* by the new model, on vectors of its own */
    LINKD_N_TRIAL_SCORES, /* those whose scores are looked at */
    LINKD_TRIAL_ALIGN = LINKD_N_TRIAL_SCORES, /* by mapped queries */
    LINKD_TRIAL_CASCADE, /* by the new model on the first hits of FUSE and ALIGN */
    LINKD_N_TRIAL_WAYS,
} linkd_trial_way;

/* Bins of equal width; what is beyond an end is in the last one there. */
#define LINKD_TRIAL_BINS ((size_t)40)
typedef struct linkd_histogram {
    double low, high;
    uint64_t matches[LINKD_TRIAL_BINS]; /* of queries and what they look for */
    uint64_t others[LINKD_TRIAL_BINS];
} linkd_histogram;

/* Shares of records that are encoded anew. */
#define LINKD_TRIAL_SHARES ((size_t)7)
extern const double linkd_trial_shares[LINKD_TRIAL_SHARES]; /* 0, .1, … 1 */

typedef struct linkd_trial_task {
    const linkd_bridge_task *sample;
    const linkd_model_sample *old_sample, *new_sample;
    size_t n_candidates; /* that a cascade encodes anew in the collection */
} linkd_trial_task;

/* Ranks as those of linkd_bridge: 1 is first, 0: not among the first ten. They are
 * told among the anchors that no map is fitted on, since a map flatters the others,
 * which are no answers. */
typedef struct linkd_trial {
    double curve[LINKD_TRIAL_SHARES]; /* MRR@10 of fused queries, by share */
    double area;                      /* under it: its mean height */
    linkd_histogram scores[LINKD_N_TRIAL_SCORES];
    linkd_histogram log_odds[LINKD_N_TRIAL_SCORES];
    uint32_t *ranks[LINKD_N_TRIAL_WAYS]; /* [n_queries] each */
    uint32_t *all_ranks[2]; /* [n_queries]: among all anchors, by the model so
                               far and by the new one, which have no map */
    size_t *firsts[2]; /* [n_queries]: the anchor that comes first of those that
                          ranks are told among, by the same */
    size_t n_candidates; /* of these, that the cascade encoded anew */
    double back_mrr_10
        [LINKD_N_SCALES]; /* the other way: of the old model's queries
                                           on the new one's vectors, ALIGN, FUSE */
} linkd_trial;

/* Searches for every query as if the sample were the collection, with what was
 * chosen by other queries: the half that it is in has the head, the weights, the
 * ranking and the calibrators that are best for the other half, and the other way
 * round. Queries that the same anchors answer are in one half (a group's number is
 * that of one of its anchors). Which records
 * are encoded anew at a share is left to chance, the same each time.
 * LINKD_E_ARG: fewer than two queries in a half. Else as linkd_bridge_fit(). */
LINKD_MUST_CHECK int linkd_trial_run(const linkd_trial_task *task,
                                     linkd_trial *ret_trial, linkd_error *err);
void linkd_trial_clear(linkd_trial *trial);

/* Of a search in `n_records` records that takes `n_candidates` of them further,
 * how many of a sample stand for these: as large a share, but never fewer than
 * the ten that quality is measured by. */
size_t linkd_trial_candidates(size_t n_candidates, size_t n_sample,
                              uint64_t n_records);

#ifdef __cplusplus
}
#endif
#endif
