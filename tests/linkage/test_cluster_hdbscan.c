/* tests/linkage/test_cluster_hdbscan.c — trees of clusters, worked by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/linkage/points.h"
#include "tests/support/alloc_fail.h"

#define NOISE LINKD_CLUSTER_NOISE

/* At 1, 6 leaves; at .5, 0 1 2 and 3 4 5 are born, which last until their
 * members leave. */
static void two_dense_parts_are_two_clusters_and_the_rest_is_noise(void **state)
{
    static const size_t expected[] = {0, 0, 0, 1, 1, 1, NOISE};
    lk_span spans[] = {{1.0F, 5, 6}, {0.5F, 2, 3}, {0.1F, 0, 1},
                       {0.1F, 1, 2}, {0.2F, 3, 4}, {0.2F, 4, 5}};
    size_t clusters[7];
    size_t n = 0;

    (void)state;
    assert_int_equal(lk_spans_condense(spans, 7, 3, clusters, &n, NULL),
                     LINKD_OK);
    assert_int_equal(n, 2);
    assert_memory_equal(clusters, expected, sizeof(expected));
}

/* 0 1 2 and 3 4 5 part at .12: together they lasted from lambda 1 to 8.3, six
 * times 7.3 = 44; apart, to 10, they last for 3 * 1.7 = 5 each. */
static void parts_that_hardly_last_are_one_cluster(void **state)
{
    static const size_t expected[] = {0, 0, 0, 0, 0, 0, 1, 1, 1};
    lk_span spans[] = {{0.1F, 0, 1},  {0.1F, 1, 2}, {0.12F, 2, 3},
                       {0.1F, 3, 4},  {0.1F, 4, 5}, {1.0F, 5, 6},
                       {0.15F, 6, 7}, {0.15F, 7, 8}};
    size_t clusters[9];
    size_t n = 0;

    (void)state;
    assert_int_equal(lk_spans_condense(spans, 9, 3, clusters, &n, NULL),
                     LINKD_OK);
    assert_int_equal(n, 2);
    assert_memory_equal(clusters, expected, sizeof(expected));
}

/* The same, but they part at .5: 6 * 1 = 6 together, 3 * 8 = 24 each. */
static void parts_that_last_are_clusters_of_their_own(void **state)
{
    static const size_t expected[] = {0, 0, 0, 1, 1, 1, 2, 2, 2};
    lk_span spans[] = {{0.1F, 0, 1},  {0.1F, 1, 2}, {0.5F, 2, 3},
                       {0.1F, 3, 4},  {0.1F, 4, 5}, {1.0F, 5, 6},
                       {0.15F, 6, 7}, {0.15F, 7, 8}};
    size_t clusters[9];
    size_t n = 0;

    (void)state;
    assert_int_equal(lk_spans_condense(spans, 9, 3, clusters, &n, NULL),
                     LINKD_OK);
    assert_int_equal(n, 3);
    assert_memory_equal(clusters, expected, sizeof(expected));
}

static void one_part_alone_and_too_few_are_noise(void **state)
{
    lk_span spans[] = {{0.1F, 0, 1}, {0.1F, 1, 2}};
    size_t clusters[3];
    size_t n = 7;

    (void)state;
    assert_int_equal(lk_spans_condense(spans, 3, 2, clusters, &n, NULL),
                     LINKD_OK);
    assert_int_equal(n, 0);
    assert_int_equal(clusters[1], NOISE);
    assert_int_equal(lk_spans_condense(spans, 3, 5, clusters, &n, NULL),
                     LINKD_OK);
    assert_int_equal(clusters[1], NOISE);
    assert_int_equal(lk_spans_condense(spans, 1, 2, clusters, &n, NULL),
                     LINKD_OK);
    assert_int_equal(clusters[0], NOISE);
}

/* Nothing is infinitely dense, though equal vectors have no distance. */
static void equal_vectors_are_a_cluster(void **state)
{
    static const double degrees[] = {0, 90, 0, 90, 0, 90, 45};
    static const size_t expected[] = {0, 1, 0, 1, 0, 1, NOISE};
    points *p = *state;
    size_t clusters[7];
    size_t n = 0;

    points_turn(p, degrees, 7);
    assert_int_equal(lk_space_hdbscan(&p->space, 3, 2, clusters, &n, NULL),
                     LINKD_OK);
    assert_int_equal(n, 2);
    assert_memory_equal(clusters, expected, sizeof(expected));
}

/* 20 and 21 are near each other alone. With one sample that makes them a
 * cluster; with three their core distances reach as far as 2 and beyond, so they
 * are no denser than what is around them. */
static void lonely_pairs_are_not_dense_with_more_samples(void **state)
{
    static const double degrees[] = {0, 1, 2, 20, 21, 60, 61, 62, 63};
    static const size_t one[] = {0, 0, 0, 1, 1, 2, 2, 2, 2};
    points *p = *state;
    size_t clusters[9];
    size_t n = 0;

    points_turn(p, degrees, 9);
    assert_int_equal(lk_space_hdbscan(&p->space, 2, 1, clusters, &n, NULL),
                     LINKD_OK);
    assert_memory_equal(clusters, one, sizeof(one));
    assert_int_equal(lk_space_hdbscan(&p->space, 2, 3, clusters, &n, NULL),
                     LINKD_OK);
    assert_int_equal(n, 2);
    assert_int_equal(clusters[2], 0);
    assert_int_equal(clusters[8], 1);
}

static void no_vectors_are_no_clusters(void **state)
{
    points *p = *state;
    size_t clusters[1];
    size_t n = 7;

    p->space.n = 0;
    assert_int_equal(lk_space_hdbscan(&p->space, 3, 3, clusters, &n, NULL),
                     LINKD_OK);
    assert_int_equal(n, 0);
}

static void more_rows_than_the_limit_are_refused(void **state)
{
    points *p = *state;
    lk_space space = p->space;
    linkd_error err = {0};
    size_t clusters[1];
    size_t n = 0;

    space.n = LINKD_CLUSTER_PAIRWISE_MAX + 1;
    assert_int_equal(lk_space_hdbscan(&space, 3, 1, clusters, &n, &err),
                     LINKD_E_ARG);
    assert_string_equal(err.message, "hdbscan compares each row with each: "
                                     "50001 rows are more than its limit of "
                                     "50000");
}

static void memory_that_runs_out_is_reported(void **state)
{
    static const double degrees[] = {0, 10, 100, 101};
    points *p = *state;
    size_t clusters[4];

    points_turn(p, degrees, 4);
    for (size_t nth = 1;; nth++) {
        size_t n = 0;
        int rc;

        alloc_fail_at(nth);
        rc = lk_space_hdbscan(&p->space, 2, 2, clusters, &n, NULL);
        if (!alloc_fail_off())
            break;
        assert_int_equal(rc, LINKD_E_NOMEM);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            two_dense_parts_are_two_clusters_and_the_rest_is_noise),
        cmocka_unit_test(parts_that_hardly_last_are_one_cluster),
        cmocka_unit_test(parts_that_last_are_clusters_of_their_own),
        cmocka_unit_test(one_part_alone_and_too_few_are_noise),
        cmocka_unit_test(equal_vectors_are_a_cluster),
        cmocka_unit_test(lonely_pairs_are_not_dense_with_more_samples),
        cmocka_unit_test(no_vectors_are_no_clusters),
        cmocka_unit_test(more_rows_than_the_limit_are_refused),
        cmocka_unit_test(memory_that_runs_out_is_reported),
    };

    return cmocka_run_group_tests(tests, points_open, points_close);
}
