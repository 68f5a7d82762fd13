/* tests/linkage/test_cluster_chain.c — chains of nearest neighbours against
 * merging the nearest of all, as one would write it down. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/linkage/points.h"
#include "tests/support/alloc_fail.h"

#define ROWS_MAX ((size_t)40)
#define N_INPUTS ((size_t)120)

static double naive_pairs(const points *p, linkd_linkage linkage,
                          const size_t *names, size_t x, size_t y)
{
    double sum = 0.0;
    double most = 0.0;
    double n = 0.0;

    for (size_t a = 0; a < p->space.n; a++)
        for (size_t b = 0; b < p->space.n; b++)
            if (names[a] == x && names[b] == y) {
                double d = 1.0 - (double)lk_space_score(&p->space, a, b);

                most = d > most ? d : most;
                sum += d;
                n += 1.0;
            }
    return linkage == LINKD_LINKAGE_COMPLETE ? most : sum / n;
}

static double naive_ward(const points *p, const size_t *names, size_t x,
                         size_t y)
{
    double n[2] = {0.0, 0.0};
    double means[2][POINTS_DIM] = {{0.0}};
    double square = 0.0;

    for (size_t a = 0; a < p->space.n; a++) {
        size_t side = names[a] == x ? 0 : 1;

        if (names[a] != x && names[a] != y)
            continue;
        n[side] += 1.0;
        for (size_t j = 0; j < POINTS_DIM; j++)
            means[side][j] += (double)p->vectors[a * POINTS_DIM + j];
    }
    for (size_t j = 0; j < POINTS_DIM; j++) {
        double difference = means[0][j] / n[0] - means[1][j] / n[1];

        square += difference * difference;
    }
    return sqrt(2.0 * n[0] * n[1] / (n[0] + n[1]) * square);
}

static bool naive_merge(const points *p, linkd_linkage linkage, double limit,
                        size_t *names)
{
    double least = 1e9;
    size_t best_x = 0;
    size_t best_y = 0;

    for (size_t x = 0; x < p->space.n; x++)
        for (size_t y = x + 1; y < p->space.n; y++) {
            double d;

            if (names[x] != x || names[y] != y)
                continue;
            d = linkage == LINKD_LINKAGE_WARD
                    ? naive_ward(p, names, x, y)
                    : naive_pairs(p, linkage, names, x, y);
            if (d < least) {
                least = d;
                best_x = x;
                best_y = y;
            }
        }
    if (least > limit)
        return false;
    for (size_t i = 0; i < p->space.n; i++)
        names[i] = names[i] == best_y ? best_x : names[i];
    return true;
}

static void assert_as_naive(const points *p, linkd_linkage linkage,
                            float distance)
{
    size_t names[ROWS_MAX];
    lk_disjoint sets;

    for (size_t i = 0; i < p->space.n; i++)
        names[i] = i;
    while (naive_merge(p, linkage, (double)distance, names)) {
    }
    assert_int_equal(lk_disjoint_init(&sets, p->space.n, NULL), LINKD_OK);
    assert_int_equal(
        lk_space_agglomerate(&p->space, linkage, distance, &sets, NULL),
        LINKD_OK);
    for (size_t i = 0; i < p->space.n; i++)
        assert_int_equal(lk_disjoint_find(&sets, i), names[i]);
    lk_disjoint_clear(&sets);
}

static void clusters_are_those_of_the_naive_method(void **state)
{
    static const linkd_linkage linkages[] = {
        LINKD_LINKAGE_COMPLETE, LINKD_LINKAGE_AVERAGE, LINKD_LINKAGE_WARD};
    points *p = *state;
    uint64_t random = 21;

    for (size_t i = 0; i < N_INPUTS; i++) {
        points_fill(p, &random, 2 + random_below(&random, ROWS_MAX - 1),
                    1 + i % 7, 0.1F + 0.1F * (float)(i % 5));
        assert_as_naive(p, linkages[i % 3],
                        0.05F + 0.01F * (float)random_below(&random, 40));
    }
}

static void equal_vectors_are_one_cluster_at_no_distance(void **state)
{
    static const double degrees[] = {30, 60, 30, 60, 30};
    points *p = *state;

    points_turn(p, degrees, 5);
    assert_as_naive(p, LINKD_LINKAGE_AVERAGE, 0.0F);
    assert_as_naive(p, LINKD_LINKAGE_COMPLETE, 0.0F);
    assert_as_naive(p, LINKD_LINKAGE_WARD, 0.01F);
}

/* 0 10 20 30: single linkage would take all within 10 degrees. */
static void complete_linkage_cuts_a_chain(void **state)
{
    static const double degrees[] = {0, 10, 21, 31};
    points *p = *state;
    size_t clusters[4];
    lk_disjoint sets;

    points_turn(p, degrees, 4);
    assert_int_equal(lk_disjoint_init(&sets, 4, NULL), LINKD_OK);
    assert_int_equal(lk_space_agglomerate(&p->space, LINKD_LINKAGE_COMPLETE,
                                          0.02F, &sets, NULL),
                     LINKD_OK);
    assert_int_equal(lk_disjoint_number(&sets, clusters), 2);
    assert_int_equal(clusters[1], 0);
    assert_int_equal(clusters[2], 1);
    lk_disjoint_clear(&sets);
}

static void memory_that_runs_out_is_reported(void **state)
{
    static const double degrees[] = {0, 10, 100};
    points *p = *state;

    points_turn(p, degrees, 3);
    for (linkd_linkage linkage = LINKD_LINKAGE_COMPLETE;
         linkage <= LINKD_LINKAGE_AVERAGE; linkage++)
        for (size_t nth = 1;; nth++) {
            lk_disjoint sets;
            int rc;

            assert_int_equal(lk_disjoint_init(&sets, 3, NULL), LINKD_OK);
            alloc_fail_at(nth);
            rc = lk_space_agglomerate(&p->space, linkage, 0.1F, &sets, NULL);
            lk_disjoint_clear(&sets);
            if (!alloc_fail_off())
                break;
            assert_int_equal(rc, LINKD_E_NOMEM);
        }
}

/* The limit is met before any memory is asked for or any vector is read. */
static void more_rows_than_the_limit_are_refused(void **state)
{
    points *p = *state;
    lk_space space = p->space;
    lk_disjoint sets = {0};
    linkd_error err = {0};

    space.n = LINKD_CLUSTER_PAIRWISE_MAX + 1;
    assert_int_equal(
        lk_space_agglomerate(&space, LINKD_LINKAGE_WARD, 0.1F, &sets, &err),
        LINKD_E_ARG);
    assert_string_equal(err.message,
                        "50001 rows would have to be compared each with each, "
                        "more than the limit of 50000");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clusters_are_those_of_the_naive_method),
        cmocka_unit_test(equal_vectors_are_one_cluster_at_no_distance),
        cmocka_unit_test(complete_linkage_cuts_a_chain),
        cmocka_unit_test(memory_that_runs_out_is_reported),
        cmocka_unit_test(more_rows_than_the_limit_are_refused),
    };

    return cmocka_run_group_tests(tests, points_open, points_close);
}
