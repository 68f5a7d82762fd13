/* tests/linkage/test_cluster_span.c — the spanning tree against Kruskal's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/linkage/points.h"

#define ROWS_MAX ((size_t)60)

static float reach(const points *p, const float *cores, size_t a, size_t b)
{
    float distance = 1.0F - lk_space_score(&p->space, a, b);

    return fmaxf(distance, fmaxf(cores[a], cores[b]));
}

/* The sum of the n - 1 least that tie parts; parts are few, so the least is
 * looked for anew each time. */
static double naive_sum(const points *p, const float *cores)
{
    size_t n = p->space.n;
    size_t parts[ROWS_MAX];
    double sum = 0.0;

    for (size_t i = 0; i < n; i++)
        parts[i] = i;
    for (size_t step = 1; step < n; step++) {
        float least = 9.0F;
        size_t from = 0;
        size_t to = 0;

        for (size_t a = 0; a < n; a++)
            for (size_t b = 0; b < a; b++)
                if (parts[a] != parts[b] && reach(p, cores, a, b) < least) {
                    least = reach(p, cores, a, b);
                    from = parts[a];
                    to = parts[b];
                }
        sum += (double)least;
        for (size_t i = 0; i < n; i++)
            parts[i] = parts[i] == from ? to : parts[i];
    }
    return sum;
}

static void the_tree_spans_all_at_the_least_sum(void **state)
{
    points *p = *state;
    uint64_t random = 31;

    for (size_t i = 0; i < 40; i++) {
        float cores[ROWS_MAX];
        lk_span spans[ROWS_MAX];
        lk_disjoint sets;
        double sum = 0.0;
        size_t numbers[ROWS_MAX];

        points_fill(p, &random, 1 + random_below(&random, ROWS_MAX), 1 + i % 5,
                    0.2F);
        for (size_t j = 0; j < p->space.n; j++)
            cores[j] = i % 2 == 0 ? 0.0F : 0.1F * random_score(&random);
        assert_int_equal(lk_space_span(&p->space, cores, spans, NULL),
                         LINKD_OK);
        assert_int_equal(lk_disjoint_init(&sets, p->space.n, NULL), LINKD_OK);
        for (size_t j = 0; j + 1 < p->space.n; j++) {
            assert_float_equal(spans[j].distance,
                               reach(p, cores, spans[j].a, spans[j].b), 0.0F);
            lk_disjoint_unite(&sets, spans[j].a, spans[j].b);
            sum += (double)spans[j].distance;
        }
        assert_int_equal(lk_disjoint_number(&sets, numbers), 1);
        assert_true(fabs(sum - naive_sum(p, cores)) < 1e-5);
        lk_disjoint_clear(&sets);
    }
}

/* More than one chunk of vectors, shared by two workers or by none. */
static void the_tree_does_not_depend_on_workers(void **state)
{
    enum { N = 2500 };
    points *p = *state;
    float *vectors = calloc(N * POINTS_DIM, sizeof(*vectors));
    float *cores = calloc(N, sizeof(*cores));
    lk_span *spans = calloc(2 * (size_t)N, sizeof(*spans));
    lk_space space = {vectors, N, POINTS_DIM, p->space.pool, NULL};
    uint64_t random = 32;
    lk_pool *one = NULL;

    assert_true(vectors != NULL && cores != NULL && spans != NULL);
    for (size_t i = 0; i < N; i++) {
        points_fill(p, &random, 1, 8, 0.2F);
        memcpy(vectors + i * POINTS_DIM, p->vectors,
               POINTS_DIM * sizeof(*vectors));
    }
    assert_int_equal(lk_space_span(&space, cores, spans, NULL), LINKD_OK);
    assert_int_equal(lk_pool_new(1, &one, NULL), LINKD_OK);
    space.pool = one;
    assert_int_equal(lk_space_span(&space, cores, spans + N, NULL), LINKD_OK);
    assert_memory_equal(spans, spans + N, (N - 1) * sizeof(*spans));
    lk_pool_free(one);
    free(spans);
    free(cores);
    free(vectors);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_tree_spans_all_at_the_least_sum),
        cmocka_unit_test(the_tree_does_not_depend_on_workers),
    };

    return cmocka_run_group_tests(tests, points_open, points_close);
}
