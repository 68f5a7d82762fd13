/* linkage/classify.h — private: vectors with labels to labels of vectors. */
#ifndef LK_LINKAGE_CLASSIFY_H
#define LK_LINKAGE_CLASSIFY_H

#include "linkage/linkage.h"

/* Vectors of length 1, each with the number of its label. Borrowed. */
typedef struct lk_labelled {
    const float *vectors;   /* [n, dim] */
    const uint32_t *labels; /* [n], below n_labels */
    size_t n;               /* at least 1 */
    size_t dim;
    size_t n_labels;
} lk_labelled;

typedef struct lk_vote {
    uint32_t label;
    float confidence; /* 0 to 1 */
} lk_vote;

/* What the k nearest examples vote for; ret_votes [n_queries]. */
LINKD_MUST_CHECK int lk_classify_nearest(const lk_labelled *examples, size_t k,
                                         const float *queries, size_t n_queries,
                                         lk_pool *pool, lk_vote *ret_votes,
                                         linkd_error *err);
/* What softmax regression on the examples finds likeliest. */
LINKD_MUST_CHECK int lk_classify_linear(const lk_labelled *examples,
                                        const float *queries, size_t n_queries,
                                        lk_pool *pool, lk_vote *ret_votes,
                                        linkd_error *err);

#endif
