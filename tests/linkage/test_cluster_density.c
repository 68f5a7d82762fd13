/* tests/linkage/test_cluster_density.c — chains and DBSCAN, by angles. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/linkage/points.h"
#include "tests/support/alloc_fail.h"

/* cos 10 degrees is .9848, cos 11 is .9816 */
#define WITHIN_10 0.984F

static void a_chain_of_near_vectors_is_one_cluster(void **state)
{
    static const double degrees[] = {0, 90, 10, 20, 100, 45};
    static const size_t expected[] = {0, 1, 0, 0, 1, 2};
    points *p = *state;
    size_t clusters[6];
    lk_disjoint sets;

    points_turn(p, degrees, 6);
    assert_int_equal(lk_disjoint_init(&sets, 6, NULL), LINKD_OK);
    assert_int_equal(lk_space_components(&p->space, WITHIN_10, &sets, NULL),
                     LINKD_OK);
    assert_int_equal(lk_disjoint_number(&sets, clusters), 3);
    assert_memory_equal(clusters, expected, sizeof(expected));
    lk_disjoint_clear(&sets);
}

/* Cores with 3 near ones: 10, 20 (0 10 20 30), 100. 0 and 30 are near one core
 * each; 108 and 92 are near 100 alone; 60 is near none. */
static void cores_and_what_is_near_them_are_clusters(void **state)
{
    static const double degrees[] = {60, 92, 0, 10, 20, 30, 100, 108};
    static const size_t expected[] = {LINKD_CLUSTER_NOISE, 0, 1, 1, 1, 1, 0, 0};
    points *p = *state;
    size_t clusters[8];
    size_t n = 0;

    points_turn(p, degrees, 8);
    assert_int_equal(
        lk_space_dbscan(&p->space, WITHIN_10, 3, clusters, &n, NULL), LINKD_OK);
    assert_int_equal(n, 2);
    assert_memory_equal(clusters, expected, sizeof(expected));
}

/* 19 is near two cores, 10 and 27, and no core with 4: the nearer one wins,
 * whichever of them comes first. */
static void between_two_clusters_the_nearer_core_decides(void **state)
{
    static const double degrees[] = {0, 2, 10, 19, 27, 35, 36};
    points *p = *state;
    size_t clusters[7];
    size_t n = 0;

    points_turn(p, degrees, 7);
    assert_int_equal(
        lk_space_dbscan(&p->space, WITHIN_10, 4, clusters, &n, NULL), LINKD_OK);
    assert_int_equal(n, 2);
    assert_int_equal(clusters[2], 0);
    assert_int_equal(clusters[3], 1);
    assert_int_equal(clusters[4], 1);
}

static void with_one_sample_there_is_no_noise(void **state)
{
    static const double degrees[] = {0, 50, 100};
    points *p = *state;
    size_t clusters[3];
    size_t n = 0;

    points_turn(p, degrees, 3);
    assert_int_equal(
        lk_space_dbscan(&p->space, WITHIN_10, 1, clusters, &n, NULL), LINKD_OK);
    assert_int_equal(n, 3);
    assert_int_equal(clusters[2], 2);
}

static void memory_that_runs_out_is_reported(void **state)
{
    static const double degrees[] = {0, 50, 100};
    points *p = *state;
    size_t clusters[3];

    points_turn(p, degrees, 3);
    for (size_t nth = 1;; nth++) {
        size_t n = 0;
        int rc;

        alloc_fail_at(nth);
        rc = lk_space_dbscan(&p->space, WITHIN_10, 1, clusters, &n, NULL);
        if (!alloc_fail_off())
            break;
        assert_int_equal(rc, LINKD_E_NOMEM);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_chain_of_near_vectors_is_one_cluster),
        cmocka_unit_test(cores_and_what_is_near_them_are_clusters),
        cmocka_unit_test(between_two_clusters_the_nearer_core_decides),
        cmocka_unit_test(with_one_sample_there_is_no_noise),
        cmocka_unit_test(memory_that_runs_out_is_reported),
    };

    return cmocka_run_group_tests(tests, points_open, points_close);
}
