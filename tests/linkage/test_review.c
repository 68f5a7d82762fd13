/* tests/linkage/test_review.c — which pairs people are asked about. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "linkage/evidence.h"
#include "tests/support/alloc_fail.h"

enum { N_SIDE = 1000 };

/* Left row i and right row i are a candidate with the probability i / 1000; row
 * 500 of the left one has a second one. */
typedef struct fixture {
    uint32_t a[N_SIDE + 1];
    uint32_t b[N_SIDE + 1];
    linkd_candidate candidates[N_SIDE + 1];
    linkd_evidence evidence;
    linkd_decision decision;
} fixture;

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof(*f));
    size_t n = 0;

    assert_non_null(f);
    for (uint32_t i = 0; i < N_SIDE; i++)
        for (uint32_t twice = 0; twice < (i == 500 ? 2U : 1U); twice++) {
            f->a[n] = i;
            f->b[n] = N_SIDE + i + twice;
            f->candidates[n++] =
                (linkd_candidate){.left = i,
                                  .right = i + twice,
                                  .probability = (float)i / N_SIDE};
        }
    f->evidence.pairs = (lk_pairset){.a = f->a,
                                     .b = f->b,
                                     .n = n,
                                     .n_records = 2 * (size_t)N_SIDE,
                                     .n_left = N_SIDE};
    f->decision =
        (linkd_decision){.candidates = f->candidates, .n_candidates = n};
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    free(*state);
    return 0;
}

static size_t review(const fixture *f, const linkd_label *known, size_t n_known,
                     size_t n, size_t *chosen)
{
    size_t n_chosen = SIZE_MAX;

    assert_int_equal(linkd_evidence_review(&f->evidence, &f->decision, known,
                                           n_known, n, chosen, &n_chosen, NULL),
                     LINKD_OK);
    return n_chosen;
}

static void most_questions_are_near_one_half_and_some_are_not(void **state)
{
    const fixture *f = *state;
    size_t chosen[100];
    size_t n_middle = 0;
    size_t n_sure = 0;

    assert_int_equal(review(f, NULL, 0, 100, chosen), 100);
    for (size_t i = 0; i < 100; i++) {
        float p = f->candidates[chosen[i]].probability;

        assert_true(p > 0.001F);
        n_middle += p > 0.1F && p <= 0.9F;
        n_sure += p > 0.98F;
        for (size_t j = 0; j < i; j++)
            assert_int_not_equal(chosen[i], chosen[j]);
    }
    assert_int_equal(n_middle, 70);
    assert_int_equal(n_sure, 5);
}

static void a_record_is_asked_about_once_if_others_are_left(void **state)
{
    const fixture *f = *state;
    size_t chosen[900];
    size_t n = 0;

    assert_int_equal(review(f, NULL, 0, 900, chosen), 900);
    for (size_t i = 0; i < 900; i++)
        n += f->candidates[chosen[i]].left == 500;
    assert_true(n <= 1);
}

static void known_pairs_and_hopeless_ones_are_left_out(void **state)
{
    const fixture *f = *state;
    linkd_label known[N_SIDE];
    size_t chosen[2 * N_SIDE];

    for (size_t i = 0; i < N_SIDE; i++)
        known[i] = (linkd_label){.left = i, .right = i};
    /* all but those of probability 0 and .001 */
    assert_int_equal(review(f, NULL, 0, 2 * (size_t)N_SIDE, chosen),
                     N_SIDE + 1 - 2);
    assert_int_equal(review(f, known, N_SIDE, 10, chosen), 1);
    assert_int_equal(f->candidates[chosen[0]].right, 501);
}

static void running_out_of_memory_is_reported(void **state)
{
    const fixture *f = *state;
    size_t chosen[10];
    size_t n_chosen = 0;
    size_t n = 1;

    for (;; n++) {
        int rc;

        alloc_fail_at(n);
        rc = linkd_evidence_review(&f->evidence, &f->decision, NULL, 0, 10,
                                   chosen, &n_chosen, NULL);
        if (!alloc_fail_off())
            break;
        assert_int_equal(rc, LINKD_E_NOMEM);
    }
    assert_int_equal(n, 4);
}

#define REVIEW_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        REVIEW_TEST(most_questions_are_near_one_half_and_some_are_not),
        REVIEW_TEST(a_record_is_asked_about_once_if_others_are_left),
        REVIEW_TEST(known_pairs_and_hopeless_ones_are_left_out),
        REVIEW_TEST(running_out_of_memory_is_reported),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
