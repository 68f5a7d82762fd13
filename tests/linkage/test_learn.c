/* tests/linkage/test_learn.c — what labels teach, and when they do not. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "linkage/learn.h"
#include "linkage/stack.h"
#include "tests/linkage/random.h"
#include "tests/support/alloc_fail.h"

enum {
    N_SIDE = 100, /* records of each side */
    N_EACH = 10,  /* candidates of a left record */
    N_PAIRS = N_SIDE * N_EACH,
    N_FEATURES = 3,
};

/* What makes a pair a match. */
typedef enum rule {
    RULE_SUM,    /* feature 0 is high */
    RULE_EITHER, /* one of features 0 and 1 is high, not both */
} rule;

typedef struct fixture {
    uint32_t a[N_PAIRS];
    uint32_t b[N_PAIRS];
    bool truth[N_PAIRS];
    lk_pairset pairs;
    lk_feature names[N_FEATURES];
    uint8_t values[N_PAIRS * N_FEATURES];
    lk_features features;
    linkd_label labels[N_PAIRS];
    lk_decision_input input;
    lk_outcome outcome;
    lk_pool *pool;
    linkd_error err;
} fixture;

static void make(fixture *f, rule r)
{
    uint64_t seed = 5;

    for (size_t i = 0; i < N_PAIRS; i++) {
        uint8_t *values = f->values + i * N_FEATURES;

        f->a[i] = (uint32_t)(i / N_EACH);
        f->b[i] =
            N_SIDE + (uint32_t)(i % N_EACH * N_EACH + i / N_EACH % N_EACH);
        for (size_t j = 0; j < N_FEATURES; j++)
            values[j] = (uint8_t)random_below(&seed, 255);
        f->truth[i] = r == RULE_SUM ? values[0] > 200
                                    : (values[0] > 127) != (values[1] > 127);
    }
    f->pairs = (lk_pairset){.a = f->a,
                            .b = f->b,
                            .n = N_PAIRS,
                            .n_records = 2 * (size_t)N_SIDE,
                            .n_left = N_SIDE};
    for (size_t j = 0; j < N_FEATURES; j++)
        f->names[j] = (lk_feature){j, LK_COMPARE_EDIT};
    f->features = (lk_features){f->values, N_PAIRS, f->names, N_FEATURES};
    f->input = (lk_decision_input){.pairs = &f->pairs,
                                   .features = &f->features,
                                   .labels = f->labels,
                                   .threshold = LINKD_THRESHOLD_AUTO,
                                   .pool = f->pool};
}

/* Without labels a match was given `of_match`, another pair `of_other`. */
static void guess(fixture *f, float of_match, float of_other)
{
    lk_outcome_clear(&f->outcome);
    f->outcome.posteriors = calloc(N_PAIRS, sizeof(float));
    f->outcome.log_odds = calloc(N_PAIRS, sizeof(float));
    assert_non_null(f->outcome.posteriors);
    assert_non_null(f->outcome.log_odds);
    for (size_t i = 0; i < N_PAIRS; i++) {
        float p = f->truth[i] ? of_match : of_other;

        f->outcome.posteriors[i] = p;
        f->outcome.log_odds[i] = logf(p / (1.0F - p));
    }
}

/* Labels the first `n` pairs; `only_yes`: those of them that match. */
static void label(fixture *f, size_t n, bool only_yes)
{
    f->input.n_labels = 0;
    for (size_t i = 0; i < n; i++)
        if (f->truth[i] || !only_yes)
            f->labels[f->input.n_labels++] =
                (linkd_label){f->a[i], f->b[i], f->truth[i]};
}

/* The share of the pairs from `first` on that are told rightly. */
static double accuracy(const fixture *f, size_t first)
{
    size_t n = 0;

    for (size_t i = first; i < N_PAIRS; i++)
        n += (f->outcome.posteriors[i] > 0.5F) == f->truth[i];
    return (double)n / (double)(N_PAIRS - first);
}

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    assert_int_equal(lk_pool_new(1, &f->pool, &f->err), LINKD_OK);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;

    lk_outcome_clear(&f->outcome);
    lk_pool_free(f->pool);
    free(f);
    return 0;
}

static void labels_teach_what_the_guess_did_not_know(void **state)
{
    fixture *f = *state;

    make(f, RULE_SUM);
    guess(f, 0.2F, 0.2F);
    label(f, 300, false);
    assert_int_equal(lk_learn(&f->input, &f->outcome, &f->err), LINKD_OK);
    assert_true(accuracy(f, 300) > 0.97);
    assert_non_null(strstr(f->outcome.verdict.learned, "learned"));
    assert_true(f->outcome.verdict.supported);
}

static void trees_win_where_features_interact(void **state)
{
    fixture *f = *state;

    make(f, RULE_EITHER);
    guess(f, 0.5F, 0.5F);
    label(f, 700, false);
    assert_int_equal(lk_learn(&f->input, &f->outcome, &f->err), LINKD_OK);
    assert_non_null(strstr(f->outcome.verdict.learned, "boosted trees"));
    assert_true(f->outcome.model.boost.n_trees > 0);
    assert_true(accuracy(f, 700) > 0.9);
}

static void a_guess_that_foretells_the_labels_is_kept(void **state)
{
    fixture *f = *state;

    make(f, RULE_SUM);
    guess(f, 0.999F, 0.001F);
    label(f, 100, false);
    assert_int_equal(lk_learn(&f->input, &f->outcome, &f->err), LINKD_OK);
    assert_non_null(strstr(f->outcome.verdict.learned, "no model"));
    assert_int_equal(f->outcome.model.context.n, 0);
    for (size_t i = 100; i < N_PAIRS; i++)
        assert_true(f->outcome.posteriors[i] ==
                    (f->truth[i] ? 0.999F : 0.001F));
}

static void answered_pairs_are_as_they_were_answered(void **state)
{
    fixture *f = *state;

    make(f, RULE_SUM);
    guess(f, 0.9F, 0.1F);
    f->labels[0] = (linkd_label){f->a[0], f->b[0], !f->truth[0]};
    f->labels[1] = (linkd_label){f->a[1], f->b[1], true};
    f->labels[2] = (linkd_label){f->a[2], f->b[2], false};
    f->input.n_labels = 3;
    assert_int_equal(lk_learn(&f->input, &f->outcome, &f->err), LINKD_OK);
    assert_true(f->outcome.posteriors[0] == (f->truth[0] ? 0.0F : 1.0F));
    assert_true(f->outcome.posteriors[1] == 1.0F);
    assert_true(f->outcome.log_odds[1] > 100.0F);
    assert_true(f->outcome.posteriors[2] == 0.0F);
    assert_non_null(strstr(f->outcome.verdict.learned, "too few"));
    for (size_t i = 3; i < N_PAIRS; i++) /* three labels teach nothing */
        assert_true(f->outcome.posteriors[i] == (f->truth[i] ? 0.9F : 0.1F));
}

static void matches_alone_teach_by_their_rivals(void **state)
{
    fixture *f = *state;

    make(f, RULE_SUM);
    guess(f, 0.3F, 0.05F);
    label(f, 500, true);
    assert_int_equal(lk_learn(&f->input, &f->outcome, &f->err), LINKD_OK);
    assert_non_null(strstr(f->outcome.verdict.learned, "0 others: "));
    assert_non_null(strstr(f->outcome.verdict.learned, "learned"));
    assert_true(accuracy(f, 500) > 0.95);
}

/* The parts of an explanation must add up to what decides. */
static void the_model_says_what_the_outcome_says(void **state)
{
    fixture *f = *state;
    uint8_t row[N_FEATURES + 16];
    const lk_fitted_model *model = &f->outcome.model;

    make(f, RULE_SUM);
    guess(f, 0.2F, 0.2F);
    label(f, 300, false);
    assert_int_equal(lk_learn(&f->input, &f->outcome, &f->err), LINKD_OK);
    for (size_t i = 300; i < N_PAIRS; i++) {
        double log_odds;

        lk_stack_row(&f->features, &model->context, i, row);
        log_odds = model->boost.n_trees > 0
                       ? lk_boost_log_odds(&model->boost, row)
                       : lk_logistic_log_odds(&model->logistic, row);
        assert_true(fabs(log_odds - (double)f->outcome.log_odds[i]) < 1e-4);
    }
}

static void two_workers_learn_the_same(void **state)
{
    fixture *f = *state;
    float first[N_PAIRS];

    make(f, RULE_EITHER);
    guess(f, 0.5F, 0.4F);
    label(f, 200, false);
    assert_int_equal(lk_learn(&f->input, &f->outcome, &f->err), LINKD_OK);
    memcpy(first, f->outcome.posteriors, sizeof(first));
    lk_pool_free(f->pool);
    assert_int_equal(lk_pool_new(2, &f->pool, &f->err), LINKD_OK);
    f->input.pool = f->pool;
    guess(f, 0.5F, 0.4F);
    assert_int_equal(lk_learn(&f->input, &f->outcome, &f->err), LINKD_OK);
    assert_memory_equal(first, f->outcome.posteriors, sizeof(first));
}

/* The first allocations are its own; the fits' come a hundred times over. */
static void running_out_of_memory_leaves_the_guess(void **state)
{
    fixture *f = *state;

    make(f, RULE_SUM);
    for (size_t n = 1; n < 40; n++) {
        int rc;

        guess(f, 0.3F, 0.05F);
        label(f, 100, true);
        alloc_fail_at(n);
        rc = lk_learn(&f->input, &f->outcome, &f->err);
        if (!alloc_fail_off())
            break;
        assert_int_equal(rc, LINKD_E_NOMEM);
        assert_true(f->outcome.posteriors[0] == (f->truth[0] ? 0.3F : 0.05F));
    }
}

#define LEARN_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LEARN_TEST(labels_teach_what_the_guess_did_not_know),
        LEARN_TEST(trees_win_where_features_interact),
        LEARN_TEST(a_guess_that_foretells_the_labels_is_kept),
        LEARN_TEST(answered_pairs_are_as_they_were_answered),
        LEARN_TEST(matches_alone_teach_by_their_rivals),
        LEARN_TEST(the_model_says_what_the_outcome_says),
        LEARN_TEST(two_workers_learn_the_same),
        LEARN_TEST(running_out_of_memory_leaves_the_guess),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
