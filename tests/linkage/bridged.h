/* tests/linkage/bridged.h — the same made records under two models, for tests of
 * bridges: the new model sees a record's hidden point with its axes exchanged,
 * from a centre of its own, and some axes more. */
#ifndef LINKD_TESTS_BRIDGED_H
#define LINKD_TESTS_BRIDGED_H

#include "linkage/linkage.h"

#define OLD_DIM   ((size_t)8)
#define NEW_DIM   ((size_t)12)
#define N_ANCHORS ((size_t)200)
#define N_QUERIES (N_ANCHORS / LINKD_ANCHORS_HELD)

typedef struct bridged {
    float old_anchors[N_ANCHORS * OLD_DIM], old_queries[N_QUERIES * OLD_DIM];
    float new_anchors[N_ANCHORS * NEW_DIM], new_queries[N_QUERIES * NEW_DIM];
    size_t answers[N_QUERIES];
    uint64_t labels[N_ANCHORS]; /* 20 of them */
    linkd_model_sample older, newer;
    linkd_bridge_task task; /* by procrustes; without labels */
    lk_pool *pool;
} bridged;

/* `old_noise` and `new_noise`: of a model's numbers, where points have
 * deviation 1. Freed with bridged_free(). */
bridged *bridged_make(double old_noise, double new_noise);
void bridged_free(bridged *made);

#endif
