/* tests/linkage/test_cluster_limits.c — sets that may not grow at will. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "linkage/cluster.h"
#include "tests/support/alloc_fail.h"

#define N_ROWS ((size_t)5)

static const uint32_t sources[N_ROWS] = {0, 1, 0, 2, 1};

typedef struct fixture {
    lk_disjoint sets;
    lk_groups groups;
} fixture;

static void fixture_open(fixture *f, lk_cluster_limits limits)
{
    assert_int_equal(lk_disjoint_init(&f->sets, N_ROWS, NULL), LINKD_OK);
    assert_int_equal(lk_groups_init(&f->groups, &limits, &f->sets, NULL),
                     LINKD_OK);
}

static void fixture_close(fixture *f)
{
    lk_groups_clear(&f->groups);
    lk_disjoint_clear(&f->sets);
}

static void sets_stay_within_the_greatest_size(void **state)
{
    fixture f;

    (void)state;
    fixture_open(&f, (lk_cluster_limits){.max_rows = 3});
    assert_true(lk_groups_may_unite(&f.groups, 3, 1));
    lk_groups_unite(&f.groups, 3, 1);
    lk_groups_unite(&f.groups, 0, 4);
    assert_false(lk_groups_may_unite(&f.groups, 0, 1));
    assert_true(lk_groups_may_unite(&f.groups, 1, 2));
    assert_int_equal(lk_disjoint_find(&f.sets, 3), 1);
    fixture_close(&f);
}

static void no_set_has_two_rows_of_one_source(void **state)
{
    fixture f;

    (void)state;
    fixture_open(&f, (lk_cluster_limits){.sources = sources, .n_sources = 3});
    assert_false(lk_groups_may_unite(&f.groups, 0, 2));
    lk_groups_unite(&f.groups, 0, 3);
    lk_groups_unite(&f.groups, 2, 4);
    assert_false(lk_groups_may_unite(&f.groups, 0, 2));
    assert_true(lk_groups_may_unite(&f.groups, 0, 1));
    lk_groups_unite(&f.groups, 0, 1);
    /* row 1 is a later link of the chain */
    assert_false(lk_groups_may_unite(&f.groups, 0, 2));
    fixture_close(&f);
}

/* The mark of a source is a number that wraps around in the end. */
static void marks_begin_again_when_they_run_out(void **state)
{
    fixture f;

    (void)state;
    fixture_open(&f, (lk_cluster_limits){.sources = sources, .n_sources = 3});
    assert_true(lk_groups_may_unite(&f.groups, 0, 1)); /* marks 0 with 1 */
    f.groups.tick = UINT32_MAX;
    assert_true(lk_groups_may_unite(&f.groups, 1, 2));
    assert_int_equal(f.groups.tick, 1);
    fixture_close(&f);
}

static void without_limits_there_is_nothing_to_keep(void **state)
{
    fixture f;

    (void)state;
    fixture_open(&f, (lk_cluster_limits){0});
    assert_null(f.groups.sizes);
    lk_groups_unite(&f.groups, 4, 2);
    assert_true(lk_groups_may_unite(&f.groups, 0, 2));
    assert_int_equal(lk_disjoint_find(&f.sets, 4), 2);
    fixture_close(&f);
}

static void running_out_of_memory_leaves_nothing_behind(void **state)
{
    static const lk_cluster_limits limits = {.max_rows = 2};
    lk_disjoint sets;

    (void)state;
    assert_int_equal(lk_disjoint_init(&sets, N_ROWS, NULL), LINKD_OK);
    for (size_t nth = 1;; nth++) {
        lk_groups groups;
        int rc;

        alloc_fail_at(nth);
        rc = lk_groups_init(&groups, &limits, &sets, NULL);
        if (!alloc_fail_off()) {
            assert_int_equal(nth, 5);
            lk_groups_clear(&groups);
            break;
        }
        assert_int_equal(rc, LINKD_E_NOMEM);
    }
    lk_disjoint_clear(&sets);
}

static void more_rows_than_can_be_named_are_refused(void **state)
{
    static const lk_cluster_limits limits = {.max_rows = 2};
    lk_disjoint sets = {.n = UINT32_MAX};
    lk_groups groups;
    linkd_error err = {0};

    (void)state;
    assert_int_equal(lk_groups_init(&groups, &limits, &sets, &err),
                     LINKD_E_ARG);
    assert_string_equal(err.message, "too many rows to cluster");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sets_stay_within_the_greatest_size),
        cmocka_unit_test(no_set_has_two_rows_of_one_source),
        cmocka_unit_test(marks_begin_again_when_they_run_out),
        cmocka_unit_test(without_limits_there_is_nothing_to_keep),
        cmocka_unit_test(running_out_of_memory_leaves_nothing_behind),
        cmocka_unit_test(more_rows_than_can_be_named_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
