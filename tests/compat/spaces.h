/* tests/compat/spaces.h — two models' embeddings of the same made records: each
 * record has a hidden point, and each model sees it through a rotation of its
 * own, from a centre of its own, with noise of its own. */
#ifndef LINKD_TESTS_SPACES_H
#define LINKD_TESTS_SPACES_H

#include "compat/compat.h"

#define assert_near(a, b, tolerance)                                           \
 assert_true(((a) - (b)) <= (tolerance) && ((b) - (a)) <= (tolerance))

typedef struct spaces {
    linkd_rows from, to; /* of length 1; freed with spaces_clear() */
    uint64_t *groups;    /* [n]: records of one entity */
} spaces;

typedef struct spaces_options {
    size_t n, dim_from, dim_to;
    size_t n_entities; /* 0: each record is one */
    double noise;      /* of every value, where points have deviation 1 */
    double shift;      /* distance of the centres from the origin */
    uint64_t seed;
} spaces_options;

spaces spaces_make(spaces_options options);
void spaces_clear(spaces *made);

/* The mean cosine of rows of the same number, over the first `dim` values. */
double mean_cosine(const float *a, size_t stride_a, const float *b,
                   size_t stride_b, size_t n, size_t dim);

#endif
