/* tests/linkage/test_classify_nearest.c — which examples win a vote. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "linkage/classify.h"
#include "tests/support/alloc_fail.h"

enum { DIM = 2 };

/* Directions in degrees, and their labels. */
typedef struct fixture {
    float vectors[8][DIM];
    uint32_t labels[8];
    lk_labelled examples;
    lk_pool *pool;
} fixture;

static void direction(float degrees, float *ret_vector)
{
    float radians = degrees * 3.14159265F / 180.0F;

    ret_vector[0] = cosf(radians);
    ret_vector[1] = sinf(radians);
}

static void example_add(fixture *f, float degrees, uint32_t label)
{
    direction(degrees, f->vectors[f->examples.n]);
    f->labels[f->examples.n++] = label;
}

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    f->examples.vectors = f->vectors[0];
    f->examples.labels = f->labels;
    f->examples.dim = DIM;
    f->examples.n_labels = 3;
    assert_int_equal(lk_pool_new(1, &f->pool, NULL), LINKD_OK);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;

    lk_pool_free(f->pool);
    free(f);
    return 0;
}

static lk_vote ask(fixture *f, size_t k, float degrees)
{
    lk_vote vote = {99, 0};
    float query[DIM];

    direction(degrees, query);
    assert_int_equal(
        lk_classify_nearest(&f->examples, k, query, 1, f->pool, &vote, NULL),
        LINKD_OK);
    return vote;
}

static void most_of_the_near_ones_win(void **state)
{
    fixture *f = *state;
    lk_vote vote;

    example_add(f, 10, 1);
    example_add(f, -12, 2);
    example_add(f, 14, 2);
    example_add(f, 90, 0);
    vote = ask(f, 3, 0);
    assert_int_equal(vote.label, 2);
    assert_true(vote.confidence > 0.55F && vote.confidence < 0.72F);
    /* who is not among the k has no vote */
    vote = ask(f, 1, 0);
    assert_int_equal(vote.label, 1);
    assert_float_equal(vote.confidence, 1.0F, 1e-6F);
}

/* One example that is the very text outweighs many of the same kind. */
static void an_equal_example_outweighs_many_far_ones(void **state)
{
    fixture *f = *state;
    lk_vote vote;

    for (int i = 0; i < 4; i++)
        example_add(f, 60, 0);
    example_add(f, 0, 1);
    vote = ask(f, 5, 0);
    assert_int_equal(vote.label, 1);
    assert_true(vote.confidence > 0.9F);
    assert_int_equal(ask(f, 5, 50).label, 0);
}

static void a_tie_goes_to_the_lower_example(void **state)
{
    fixture *f = *state;
    lk_vote vote;

    example_add(f, 20, 2);
    example_add(f, 20, 1);
    vote = ask(f, 2, 0);
    assert_int_equal(vote.label, 2);
    assert_float_equal(vote.confidence, 0.5F, 1e-6F);
}

static void fewer_examples_than_k_all_vote(void **state)
{
    fixture *f = *state;

    example_add(f, 20, 2);
    assert_int_equal(ask(f, 50, 170).label, 2);
}

static void memory_that_runs_out_is_reported(void **state)
{
    fixture *f = *state;
    float query[DIM] = {1, 0};
    lk_vote vote;

    example_add(f, 20, 2);
    for (size_t nth = 1;; nth++) {
        int rc;

        alloc_fail_at(nth);
        rc = lk_classify_nearest(&f->examples, 1, query, 1, f->pool, &vote,
                                 NULL);
        if (!alloc_fail_off()) {
            assert_int_equal(rc, LINKD_OK);
            break;
        }
        assert_int_equal(rc, LINKD_E_NOMEM);
    }
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(most_of_the_near_ones_win),
        CASE(an_equal_example_outweighs_many_far_ones),
        CASE(a_tie_goes_to_the_lower_example),
        CASE(fewer_examples_than_k_all_vote),
        CASE(memory_that_runs_out_is_reported),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
