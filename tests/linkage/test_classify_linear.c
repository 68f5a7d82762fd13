/* tests/linkage/test_classify_linear.c — softmax regression against what must
 * hold at its optimum. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "linkage/classify.h"
#include "tests/linkage/random.h"
#include "tests/support/alloc_fail.h"

enum { DIM = 8, N_LABELS = 4, N = 600 };

typedef struct fixture {
    float vectors[N][DIM];
    uint32_t labels[N];
    lk_vote votes[N];
    lk_labelled examples;
    lk_pool *pool;
} fixture;

static float noise(uint64_t *random)
{
    return (float)random_below(random, 2001) / 1000.0F - 1.0F;
}

/* Label c lies around axis c, and `percent_wrong` of them are called by the next one. */
static void examples_make(fixture *f, size_t percent_wrong)
{
    uint64_t random = 7;

    for (size_t i = 0; i < N; i++) {
        float square = 0;

        f->labels[i] = (uint32_t)(i % N_LABELS);
        for (size_t d = 0; d < DIM; d++) {
            f->vectors[i][d] =
                noise(&random) * 0.5F + (d == f->labels[i] ? 1.5F : 0.0F);
            square += f->vectors[i][d] * f->vectors[i][d];
        }
        for (size_t d = 0; d < DIM; d++)
            f->vectors[i][d] /= sqrtf(square);
        if (random_below(&random, 100) < percent_wrong)
            f->labels[i] = (f->labels[i] + 1) % N_LABELS;
    }
}

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    f->examples = (lk_labelled){.vectors = f->vectors[0],
                                .labels = f->labels,
                                .n = N,
                                .dim = DIM,
                                .n_labels = N_LABELS};
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

static int run(fixture *f)
{
    return lk_classify_linear(&f->examples, f->vectors[0], N, f->pool, f->votes,
                              NULL);
}

static size_t right_count(const fixture *f)
{
    size_t n = 0;

    for (size_t i = 0; i < N; i++)
        n += f->votes[i].label == f->labels[i];
    return n;
}

static void labels_that_a_plane_separates_are_learned(void **state)
{
    fixture *f = *state;

    examples_make(f, 0);
    assert_int_equal(run(f), LINKD_OK);
    assert_int_equal(right_count(f), N);
    for (size_t i = 0; i < N; i++)
        assert_true(f->votes[i].confidence > 0.5F);
}

/* With an intercept for each label, the mean confidence at the optimum is what it
 * should be: a fifth of the labels being wrong, about four fifths. */
static void confidences_match_how_often_they_are_right(void **state)
{
    fixture *f = *state;
    double sum = 0;

    examples_make(f, 20);
    assert_int_equal(run(f), LINKD_OK);
    for (size_t i = 0; i < N; i++)
        sum += (double)f->votes[i].confidence;
    assert_float_equal((float)(sum / N), (float)right_count(f) / N, 0.03F);
    assert_true(right_count(f) > N * 75 / 100);
}

/* Vectors that say nothing leave the shares of the labels. */
static void without_evidence_frequencies_remain(void **state)
{
    fixture *f = *state;

    for (size_t i = 0; i < N; i++) {
        f->vectors[i][0] = 1.0F;
        f->labels[i] = i % 10 < 7 ? 2 : 3;
    }
    assert_int_equal(run(f), LINKD_OK);
    assert_int_equal(f->votes[0].label, 2);
    assert_float_equal(f->votes[0].confidence, 0.7F, 0.005F);
}

static void one_label_needs_no_evidence(void **state)
{
    fixture *f = *state;

    examples_make(f, 0);
    memset(f->labels, 0, sizeof(f->labels));
    f->examples.n_labels = 1;
    assert_int_equal(run(f), LINKD_OK);
    assert_int_equal(right_count(f), N);
    assert_float_equal(f->votes[0].confidence, 1.0F, 0.0F);
}

static void two_workers_learn_what_one_learns(void **state)
{
    fixture *f = *state;
    lk_vote one[N];

    examples_make(f, 20);
    assert_int_equal(run(f), LINKD_OK);
    memcpy(one, f->votes, sizeof(one));
    lk_pool_free(f->pool);
    assert_int_equal(lk_pool_new(2, &f->pool, NULL), LINKD_OK);
    assert_int_equal(run(f), LINKD_OK);
    assert_memory_equal(one, f->votes, sizeof(one));
}

static void memory_that_runs_out_is_reported(void **state)
{
    fixture *f = *state;

    examples_make(f, 0);
    for (size_t nth = 1;; nth++) {
        int rc;

        alloc_fail_at(nth);
        rc = run(f);
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
        CASE(labels_that_a_plane_separates_are_learned),
        CASE(confidences_match_how_often_they_are_right),
        CASE(without_evidence_frequencies_remain),
        CASE(one_label_needs_no_evidence),
        CASE(two_workers_learn_what_one_learns),
        CASE(memory_that_runs_out_is_reported),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
