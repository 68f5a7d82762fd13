/* tests/linkage/bridged.c — see bridged.h. */
#include "tests/linkage/bridged.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/linkage/random.h"

enum {
    N_LABELS = 20,
};

/* Deviation 1: the sum of twelve even ones (Irwin-Hall). */
static double normal(uint64_t *state)
{
    double sum = -6.0;

    for (int i = 0; i < 12; i++)
        sum += (double)random_next(state) / 4294967296.0;
    return sum;
}

static void unit(float *vector, size_t dim)
{
    double squares = 0.0;

    for (size_t i = 0; i < dim; i++)
        squares += (double)vector[i] * (double)vector[i];
    for (size_t i = 0; i < dim; i++)
        vector[i] = (float)((double)vector[i] / sqrt(squares));
}

static void old_see(const double *point, double noise, uint64_t *state,
                    float *ret_vector)
{
    for (size_t i = 0; i < OLD_DIM; i++)
        ret_vector[i] = (float)(point[i] + 0.5 + noise * normal(state));
    unit(ret_vector, OLD_DIM);
}

static void new_see(const double *point, double noise, uint64_t *state,
                    float *ret_vector)
{
    for (size_t i = 0; i < NEW_DIM; i++)
        ret_vector[i] =
            (float)((i < OLD_DIM ? -point[(3 * i + 1) % OLD_DIM] : 0.0) - 0.7 +
                    noise * normal(state));
    unit(ret_vector, NEW_DIM);
}

bridged *bridged_make(double old_noise, double new_noise)
{
    bridged *b = calloc(1, sizeof(*b));
    uint64_t state = 11;

    assert_non_null(b);
    for (size_t i = 0; i < N_ANCHORS; i++) {
        double point[OLD_DIM];
        size_t query = i / LINKD_ANCHORS_HELD;

        for (size_t k = 0; k < OLD_DIM; k++)
            point[k] = normal(&state);
        b->labels[i] = i % N_LABELS;
        old_see(point, old_noise, &state, b->old_anchors + i * OLD_DIM);
        new_see(point, new_noise, &state, b->new_anchors + i * NEW_DIM);
        if (i % LINKD_ANCHORS_HELD != 0)
            continue;
        b->answers[query] = i;
        for (size_t k = 0; k < OLD_DIM; k++)
            point[k] += 0.2 * normal(&state);
        old_see(point, old_noise, &state, b->old_queries + query * OLD_DIM);
        new_see(point, new_noise, &state, b->new_queries + query * NEW_DIM);
    }
    assert_int_equal(lk_pool_new(1, &b->pool, NULL), LINKD_OK);
    b->older = (linkd_model_sample){OLD_DIM, b->old_anchors, b->old_queries};
    b->newer = (linkd_model_sample){NEW_DIM, b->new_anchors, b->new_queries};
    b->task = (linkd_bridge_task){.n_anchors = N_ANCHORS,
                                  .n_queries = N_QUERIES,
                                  .answers = b->answers,
                                  .n_records = N_ANCHORS,
                                  .head = LINKD_HEAD_PROCRUSTES,
                                  .seed = 3,
                                  .pool = b->pool};
    return b;
}

void bridged_free(bridged *made)
{
    lk_pool_free(made->pool);
    free(made);
}
