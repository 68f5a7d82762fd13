/* tests/linkage/test_assign.c — which candidates the modes choose. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "linkage/assign.h"
#include "tests/support/alloc_fail.h"

#define THRESHOLD 0.5F

/*      x    y    z
 *  a  .9   .8
 *  b  .9   .7   .6      b's .9 ties with a's for x
 *  c            .4      below the threshold
 *  d            .55  */
static const linkd_pair candidates[] = {
    {0, 0, 0.9F}, {0, 1, 0.8F}, {1, 0, 0.9F},  {1, 1, 0.7F},
    {1, 2, 0.6F}, {2, 2, 0.4F}, {3, 2, 0.55F},
};
#define N (sizeof(candidates) / sizeof(candidates[0]))

static const lk_assign_input input = {.candidates = candidates,
                                      .n = N,
                                      .n_left = 4,
                                      .n_right = 3,
                                      .threshold = THRESHOLD};

/* Asserts which candidates, by number, are chosen. */
static void assert_chosen(linkd_assign mode, const size_t *expected, size_t n)
{
    linkd_pair pairs[N];
    size_t n_pairs = 0;

    assert_int_equal(lk_assign(&input, mode, pairs, &n_pairs, NULL), LINKD_OK);
    assert_int_equal(n_pairs, n);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(pairs[i].left, candidates[expected[i]].left);
        assert_int_equal(pairs[i].right, candidates[expected[i]].right);
        assert_float_equal(pairs[i].score, candidates[expected[i]].score, 0.0F);
    }
}

static void reciprocal_takes_pairs_that_are_best_for_both(void **state)
{
    (void)state;
    assert_chosen(LINKD_ASSIGN_RECIPROCAL, (size_t[]){0}, 1);
}

static void many_to_one_takes_the_best_of_every_left_row(void **state)
{
    (void)state;
    assert_chosen(LINKD_ASSIGN_MANY_TO_ONE, (size_t[]){0, 2, 6}, 3);
}

static void one_to_many_takes_the_best_of_every_right_row(void **state)
{
    (void)state;
    assert_chosen(LINKD_ASSIGN_ONE_TO_MANY, (size_t[]){0, 1, 4}, 3);
}

static void many_to_many_takes_all_that_reach_the_threshold(void **state)
{
    (void)state;
    assert_chosen(LINKD_ASSIGN_MANY_TO_MANY, (size_t[]){0, 1, 2, 3, 4, 6}, 6);
}

static void one_to_one_takes_the_greatest_sum(void **state)
{
    (void)state;
    assert_chosen(LINKD_ASSIGN_ONE_TO_ONE, (size_t[]){1, 2, 6}, 3);
}

static void a_score_equal_to_the_threshold_is_enough(void **state)
{
    static const linkd_pair on_it = {0, 0, THRESHOLD};
    lk_assign_input one = {&on_it, 1, 1, 1, THRESHOLD};

    (void)state;
    for (linkd_assign mode = LINKD_ASSIGN_RECIPROCAL;
         mode <= LINKD_ASSIGN_MANY_TO_MANY; mode++) {
        linkd_pair pair;
        size_t n = 0;

        assert_int_equal(lk_assign(&one, mode, &pair, &n, NULL), LINKD_OK);
        assert_int_equal(n, 1);
    }
}

static void without_candidates_nothing_is_chosen(void **state)
{
    lk_assign_input none = {.n_left = 3, .n_right = 2, .threshold = THRESHOLD};

    (void)state;
    for (linkd_assign mode = LINKD_ASSIGN_RECIPROCAL;
         mode <= LINKD_ASSIGN_MANY_TO_MANY; mode++) {
        linkd_pair pair;
        size_t n = 7;

        assert_int_equal(lk_assign(&none, mode, &pair, &n, NULL), LINKD_OK);
        assert_int_equal(n, 0);
    }
}

static void memory_that_runs_out_is_reported(void **state)
{
    linkd_pair pairs[N];
    linkd_error err;
    size_t n_pairs;

    (void)state;
    for (linkd_assign mode = LINKD_ASSIGN_RECIPROCAL;
         mode <= LINKD_ASSIGN_ONE_TO_ONE; mode++)
        for (size_t nth = 1;; nth++) {
            int rc;

            alloc_fail_at(nth);
            rc = lk_assign(&input, mode, pairs, &n_pairs, &err);
            if (!alloc_fail_off())
                break;
            assert_int_equal(rc, LINKD_E_NOMEM);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reciprocal_takes_pairs_that_are_best_for_both),
        cmocka_unit_test(many_to_one_takes_the_best_of_every_left_row),
        cmocka_unit_test(one_to_many_takes_the_best_of_every_right_row),
        cmocka_unit_test(many_to_many_takes_all_that_reach_the_threshold),
        cmocka_unit_test(one_to_one_takes_the_greatest_sum),
        cmocka_unit_test(a_score_equal_to_the_threshold_is_enough),
        cmocka_unit_test(without_candidates_nothing_is_chosen),
        cmocka_unit_test(memory_that_runs_out_is_reported),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
