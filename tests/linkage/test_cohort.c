/* tests/linkage/test_cohort.c — scores with a cohort, in bytes, lie where those of
 * floats do. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "linkage/bridge.h"
#include "tests/linkage/random.h"
#include "tests/support/alloc_fail.h"

enum { DIM = 24, N = LK_COHORT_MAX + 1 };

static float anchors[N * DIM];
static float query[DIM];

static void vector_fill(float *vector, uint64_t *random)
{
    float length;

    for (size_t k = 0; k < DIM; k++)
        vector[k] = random_score(random) - 0.4F;
    length = sqrtf(linkd_index_score(vector, vector, DIM));
    for (size_t k = 0; k < DIM; k++)
        vector[k] /= length;
}

static int setup(void **state)
{
    uint64_t random = 7;

    (void)state;
    for (size_t i = 0; i < N; i++)
        vector_fill(anchors + i * DIM, &random);
    vector_fill(query, &random);
    return 0;
}

static lk_cohort cohort_of(const void *vectors, size_t n)
{
    lk_cohort cohort = {0};

    assert_int_equal(lk_cohort_make(vectors, n, DIM, &cohort, NULL), LINKD_OK);
    return cohort;
}

static void assert_level(const lk_cohort *cohort, const float *vector,
                         double mean, double deviation)
{
    linkd_level level = lk_cohort_level(cohort, vector);

    assert_true(fabs(level.mean - mean) < 2e-3);
    assert_true(fabs(level.deviation - deviation) < 2e-3);
}

/* Every second one of one more than there is room for. */
static void a_level_is_that_of_every_so_manieth_anchor(void **state)
{
    float scores[N / 2 + 1];
    linkd_level expected;
    lk_cohort cohort = cohort_of(anchors, N);

    (void)state;
    assert_int_equal(cohort.n, N / 2 + 1);
    for (size_t i = 0; i < cohort.n; i++)
        scores[i] = linkd_index_score(query, anchors + 2 * i * DIM, DIM);
    expected = linkd_level_of(scores, cohort.n);
    assert_true(expected.deviation > 0.03); /* or 2e-3 would be much */
    assert_level(&cohort, query, expected.mean, expected.deviation);
    lk_cohort_clear(&cohort);
}

/* Users may ask with any vector. */
static void lengths_of_queries_and_anchors_count(void **state)
{
    lk_cohort cohort = cohort_of(anchors, 100);
    linkd_level level = lk_cohort_level(&cohort, query);
    float longer[DIM];

    (void)state;
    for (size_t k = 0; k < DIM; k++)
        longer[k] = 3.0F * query[k];
    assert_level(&cohort, longer, 3.0 * level.mean, 3.0 * level.deviation);
    lk_cohort_clear(&cohort);
    for (size_t i = 0; i < (size_t)100 * DIM; i++)
        anchors[i] *= 0.5F;
    cohort = cohort_of(anchors, 100);
    assert_level(&cohort, query, 0.5 * level.mean, 0.5 * level.deviation);
    lk_cohort_clear(&cohort);
}

static void a_vector_without_direction_scores_nothing(void **state)
{
    lk_cohort cohort = cohort_of(anchors, 100);
    const float zeros[DIM] = {0};
    const float none[DIM] = {0.5F, NAN};

    (void)state;
    assert_level(&cohort, zeros, 0.0, 0.0);
    assert_level(&cohort, none, 0.0, 0.0);
    lk_cohort_clear(&cohort);
}

/* Blobs lie where the database has put them. */
static void anchors_may_lie_at_any_address(void **state)
{
    char *moved = malloc(1 + sizeof(float) * 100 * DIM);
    lk_cohort cohort = cohort_of(anchors, 100);
    linkd_level level = lk_cohort_level(&cohort, query);

    (void)state;
    assert_non_null(moved);
    lk_cohort_clear(&cohort);
    memcpy(moved + 1, anchors, sizeof(float) * 100 * DIM);
    cohort = cohort_of(moved + 1, 100);
    assert_level(&cohort, query, level.mean, level.deviation);
    lk_cohort_clear(&cohort);
    free(moved);
}

static void a_cohort_without_memory_is_none(void **state)
{
    (void)state;
    for (size_t nth = 1;; nth++) {
        lk_cohort cohort = {0};
        int rc;

        alloc_fail_at(nth);
        rc = lk_cohort_make(anchors, N, DIM, &cohort, NULL);
        if (!alloc_fail_off()) {
            assert_int_equal(rc, LINKD_OK);
            assert_true(nth > 2);
            lk_cohort_clear(&cohort);
            break;
        }
        assert_int_equal(rc, LINKD_E_NOMEM);
        assert_null(cohort.rows);
    }
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_level_is_that_of_every_so_manieth_anchor),
        TEST(lengths_of_queries_and_anchors_count),
        TEST(a_vector_without_direction_scores_nothing),
        TEST(anchors_may_lie_at_any_address),
        TEST(a_cohort_without_memory_is_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
