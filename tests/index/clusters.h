/* tests/index/clusters.h — vectors as encoders make them: of length 1, in
 * clusters, the same for the same seed. */
#ifndef LINKD_TESTS_CLUSTERS_H
#define LINKD_TESTS_CLUSTERS_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>

#define CLUSTERS_N ((uint64_t)40)

/* In [-1, 1): one step of splitmix64. */
static inline float clusters_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15U;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return (float)(int32_t)((z ^ (z >> 31)) >> 32) / 2147483648.0F;
}

/* Row i of [n, dim] lies near one of the centres, which all seeds share. */
static inline void clusters_fill(float *rows, size_t n, size_t dim,
                                 uint64_t seed)
{
    uint64_t state = seed * 1000003;

    for (size_t i = 0; i < n; i++) {
        uint64_t centre = (i * 7 + seed) % CLUSTERS_N * 65537;
        double sum = 0.0;
        float *row = rows + i * dim;

        for (size_t j = 0; j < dim; j++) {
            row[j] = clusters_random(&centre) + clusters_random(&state);
            sum += (double)row[j] * (double)row[j];
        }
        for (size_t j = 0; j < dim; j++)
            row[j] /= (float)sqrt(sum);
    }
}

#endif
