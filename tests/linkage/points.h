/* tests/linkage/points.h — vectors of length 1 around a few directions. */
#ifndef LINKD_TESTS_POINTS_H
#define LINKD_TESTS_POINTS_H

#include <math.h>
#include <stdlib.h>

#include "linkage/cluster_vectors.h"
#include "tests/linkage/random.h"

#define POINTS_MAX ((size_t)400)
#define POINTS_DIM ((size_t)5)

typedef struct points {
    float vectors[POINTS_MAX * POINTS_DIM];
    lk_space space;
} points;

static inline float points_coordinate(uint64_t *random)
{
    return (float)random_below(random, 2001) / 1000.0F - 1.0F;
}

static inline void points_scale(float *vector)
{
    float length = sqrtf(linkd_index_score(vector, vector, POINTS_DIM));

    for (size_t i = 0; i < POINTS_DIM; i++)
        vector[i] /= length;
}

/* `spread` 0: all of one direction are equal. */
static inline void points_fill(points *p, uint64_t *random, size_t n,
                               size_t n_directions, float spread)
{
    float directions[8][POINTS_DIM];

    for (size_t i = 0; i < n_directions; i++) {
        for (size_t j = 0; j < POINTS_DIM; j++)
            directions[i][j] = points_coordinate(random) + 0.0005F;
        points_scale(directions[i]);
    }
    for (size_t i = 0; i < n; i++) {
        float *vector = p->vectors + i * POINTS_DIM;
        const float *direction = directions[random_below(random, n_directions)];

        for (size_t j = 0; j < POINTS_DIM; j++)
            vector[j] = direction[j] + spread * points_coordinate(random);
        points_scale(vector);
    }
    p->space.vectors = p->vectors;
    p->space.n = n;
    p->space.dim = POINTS_DIM;
}

/* Vectors in a plane, by their angles in degrees. */
static inline void points_turn(points *p, const double *degrees, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float *vector = p->vectors + i * POINTS_DIM;

        for (size_t j = 0; j < POINTS_DIM; j++)
            vector[j] = 0.0F;
        vector[0] = (float)cos(degrees[i] * 3.14159265358979 / 180.0);
        vector[1] = (float)sin(degrees[i] * 3.14159265358979 / 180.0);
    }
    p->space.vectors = p->vectors;
    p->space.n = n;
    p->space.dim = POINTS_DIM;
}

/* cmocka group set-up and tear-down. */
static inline int points_open(void **state)
{
    points *p = calloc(1, sizeof(*p));

    if (p == NULL || lk_pool_new(2, &p->space.pool, NULL) != LINKD_OK)
        return -1;
    *state = p;
    return 0;
}

static inline int points_close(void **state)
{
    points *p = *state;

    lk_pool_free(p->space.pool);
    free(p);
    return 0;
}

#endif
