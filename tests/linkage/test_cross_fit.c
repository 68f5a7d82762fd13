/* tests/linkage/test_cross_fit.c — who learns from whom. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "linkage/decision.h"
#include "tests/linkage/near.h"
#include "tests/linkage/random.h"
#include "tests/support/alloc_fail.h"

#define N_FEATURES ((size_t)2)
#define PER_RECORD ((size_t)10) /* pairs */

typedef struct fixture {
    lk_features features;
    lk_pairset pairs;
    uint8_t *answers;
    float *weights;
    float *log_odds;
    lk_pool *pool;
    lk_logistic model;
    linkd_error err;
} fixture;

/* Each record has ten pairs, of which the first is a match, and likely more
 * alike than the others. */
static void make(fixture *f, size_t n_records)
{
    size_t n = n_records * PER_RECORD;
    uint64_t seed = 3;

    *f = (fixture){.features = {.n_pairs = n, .n = N_FEATURES},
                   .pairs = {.n = n, .n_records = n_records}};
    f->features.values = malloc(n * N_FEATURES);
    f->pairs.a = malloc(n * sizeof(*f->pairs.a));
    f->answers = malloc(n);
    f->weights = malloc(n * sizeof(*f->weights));
    f->log_odds = malloc(n * sizeof(*f->log_odds));
    assert_true(f->features.values != NULL && f->pairs.a != NULL &&
                f->answers != NULL && f->weights != NULL &&
                f->log_odds != NULL);
    for (size_t i = 0; i < n; i++) {
        bool match = i % PER_RECORD == 0;

        f->pairs.a[i] = (uint32_t)(i / PER_RECORD);
        f->answers[i] = match ? 1 : 0;
        f->weights[i] = 1;
        for (size_t j = 0; j < N_FEATURES; j++)
            f->features.values[i * N_FEATURES + j] =
                (uint8_t)(random_below(&seed, 170) + (match ? 80 : 0));
    }
    assert_int_equal(lk_pool_new(1, &f->pool, NULL), LINKD_OK);
}

static void done(fixture *f)
{
    lk_logistic_clear(&f->model);
    lk_pool_free(f->pool);
    free(f->features.values);
    free(f->pairs.a);
    free(f->answers);
    free(f->weights);
    free(f->log_odds);
}

static int cross_fit(fixture *f)
{
    lk_logistic_clear(&f->model);
    return lk_cross_fit(&f->features, &f->pairs, f->answers, f->pool,
                        f->log_odds, &f->model, &f->err);
}

static int cross_fit_weighted(fixture *f)
{
    const lk_cross_input input = {.features = &f->features,
                                  .pairs = &f->pairs,
                                  .answers = f->answers,
                                  .weights = f->weights,
                                  .pool = f->pool};

    lk_logistic_clear(&f->model);
    return lk_cross_fit_weighted(&input, f->log_odds, &f->model, &f->err);
}

/* The log-odds by the model of all answers. */
static double log_odds_of(const fixture *f, size_t pair)
{
    return lk_logistic_log_odds(&f->model,
                                f->features.values + pair * N_FEATURES);
}

static void matches_get_higher_log_odds(void **state)
{
    double sums[2] = {0, 0};
    fixture f;

    (void)state;
    make(&f, 200);
    assert_int_equal(cross_fit(&f), LINKD_OK);
    for (size_t i = 0; i < f.pairs.n; i++)
        sums[f.answers[i]] += (double)f.log_odds[i];
    /* From odds of 1 : 9 for all. */
    assert_true(sums[1] / 200 > -1);
    assert_true(sums[0] / 1800 < -3);
    done(&f);
}

/* Wrong answers for a record's pairs change what is said of others, but not of
 * its own: they were not learned from. */
static void a_record_does_not_judge_itself(void **state)
{
    enum {
        N_RECORDS = 40,
    };
    float before[N_RECORDS * PER_RECORD];
    size_t n_changed = 0;
    fixture f;

    (void)state;
    make(&f, N_RECORDS);
    assert_int_equal(cross_fit(&f), LINKD_OK);
    memcpy(before, f.log_odds, sizeof(before));
    for (size_t i = 0; i < PER_RECORD; i++)
        f.answers[i] = f.answers[i] == 0;
    assert_int_equal(cross_fit(&f), LINKD_OK);
    for (size_t i = 0; i < PER_RECORD; i++)
        assert_near(f.log_odds[i], before[i], 1e-4);
    for (size_t i = 0; i < N_RECORDS; i++)
        n_changed +=
            fabsf(f.log_odds[i * PER_RECORD] - before[i * PER_RECORD]) > 0.01F;
    assert_in_range(n_changed, N_RECORDS / 4, 3 * N_RECORDS / 4);
    done(&f);
}

static void pairs_left_out_teach_nothing_and_are_judged(void **state)
{
    fixture f;
    lk_logistic model;

    (void)state;
    make(&f, 60);
    for (size_t i = 5; i < f.pairs.n; i += PER_RECORD)
        f.answers[i] = 255;
    assert_int_equal(cross_fit(&f), LINKD_OK);
    model = f.model;
    f.model = (lk_logistic){0};
    f.log_odds[5] = NAN;
    for (size_t i = 5; i < f.pairs.n; i += PER_RECORD) {
        f.answers[i] = 1;
        f.weights[i] = 0; /* the same in other words */
    }
    assert_int_equal(cross_fit_weighted(&f), LINKD_OK);
    assert_memory_equal(f.model.weights, model.weights,
                        (1 + 3 * N_FEATURES) * sizeof(*model.weights));
    assert_true(isfinite(f.log_odds[5]));
    lk_logistic_clear(&model);
    done(&f);
}

static void weights_count_like_repeated_pairs(void **state)
{
    double before;
    fixture f;

    (void)state;
    make(&f, 100);
    assert_int_equal(cross_fit(&f), LINKD_OK);
    before = log_odds_of(&f, 0);
    for (size_t i = 0; i < f.pairs.n; i += PER_RECORD)
        f.weights[i] = 20;
    assert_int_equal(cross_fit_weighted(&f), LINKD_OK);
    assert_true(log_odds_of(&f, 0) > before + 1.5); /* ln 20 = 3 at most */
    done(&f);
}

/* 180,000 non-matches, of which two thirds are learned from. */
static void a_sample_of_the_easy_pairs_stands_for_all(void **state)
{
    lk_logistic whole = {0};
    lk_example *examples;
    fixture f;

    (void)state;
    make(&f, 20000);
    examples = malloc(f.pairs.n * sizeof(*examples));
    assert_non_null(examples);
    for (size_t i = 0; i < f.pairs.n; i++)
        examples[i] = (lk_example){(uint32_t)i, (float)f.answers[i], 1};
    assert_int_equal(lk_logistic_fit(&f.features, examples, f.pairs.n, 1,
                                     f.pool, &whole, NULL),
                     LINKD_OK);
    assert_int_equal(cross_fit(&f), LINKD_OK);
    for (size_t i = 0; i < 100; i++)
        assert_near(
            log_odds_of(&f, i),
            lk_logistic_log_odds(&whole, f.features.values + i * N_FEATURES),
            0.3);
    assert_true(fabs(whole.weights[0] - f.model.weights[0]) > 1e-6);
    lk_logistic_clear(&whole);
    free(examples);
    done(&f);
}

static void the_number_of_workers_does_not_show(void **state)
{
    float *before;
    fixture f;

    (void)state;
    make(&f, 7000);
    before = malloc(f.pairs.n * sizeof(*before));
    assert_non_null(before);
    assert_int_equal(cross_fit(&f), LINKD_OK);
    memcpy(before, f.log_odds, f.pairs.n * sizeof(*before));
    lk_pool_free(f.pool);
    assert_int_equal(lk_pool_new(2, &f.pool, NULL), LINKD_OK);
    assert_int_equal(cross_fit(&f), LINKD_OK);
    assert_memory_equal(f.log_odds, before, f.pairs.n * sizeof(*before));
    free(before);
    done(&f);
}

/* Few seeds: all matches are of one record, so one half has none to offer. */
static void a_half_without_matches_is_stood_in_for(void **state)
{
    size_t n_by_all = 0;
    fixture f;

    (void)state;
    make(&f, 40);
    for (size_t i = 0; i < f.pairs.n; i++)
        f.answers[i] = i < 4;
    assert_int_equal(cross_fit(&f), LINKD_OK);
    for (size_t i = 0; i < f.pairs.n; i++)
        n_by_all += fabs(log_odds_of(&f, i) - (double)f.log_odds[i]) < 1e-4;
    assert_in_range(n_by_all, f.pairs.n / 4, f.pairs.n - f.pairs.n / 4);
    done(&f);
}

/* Negatives of one record and matches of another one of the other half. */
static void halves_that_teach_only_together_do_so(void **state)
{
    size_t partner;
    fixture f;

    (void)state;
    make(&f, 8);
    for (partner = 1; partner < 8; partner++) {
        for (size_t i = 0; i < f.pairs.n; i++)
            f.answers[i] = f.pairs.a[i] == 0         ? 0
                           : f.pairs.a[i] == partner ? 1
                                                     : 255;
        assert_int_equal(cross_fit(&f), LINKD_OK);
        for (size_t i = 0; i < f.pairs.n; i++)
            assert_true(isfinite(f.log_odds[i]));
    }
    done(&f);
}

static void the_model_of_all_need_not_be_asked_for(void **state)
{
    float with[100 * PER_RECORD];
    fixture f;

    (void)state;
    make(&f, 100);
    assert_int_equal(cross_fit(&f), LINKD_OK);
    memcpy(with, f.log_odds, sizeof(with));
    memset(f.log_odds, 0, sizeof(with));
    assert_int_equal(lk_cross_fit(&f.features, &f.pairs, f.answers, f.pool,
                                  f.log_odds, NULL, NULL),
                     LINKD_OK);
    assert_memory_equal(f.log_odds, with, sizeof(with));
    done(&f);
}

static void answers_that_teach_nothing_are_refused(void **state)
{
    fixture f;

    (void)state;
    make(&f, 10);
    memset(f.answers, 0, f.pairs.n);
    assert_int_equal(cross_fit(&f), LINKD_E_ARG);
    assert_string_equal(f.err.message, "all examples have the same answer");
    memset(f.answers, 255, f.pairs.n);
    assert_int_equal(cross_fit(&f), LINKD_E_ARG);
    assert_string_equal(f.err.message, "there is no example to learn from");
    assert_null(f.model.weights);
    done(&f);
}

static void memory_that_runs_out_is_reported(void **state)
{
    fixture f;

    (void)state;
    make(&f, 40);
    for (size_t nth = 1;; nth++) {
        int rc;

        alloc_fail_at(nth);
        rc = cross_fit(&f);
        if (!alloc_fail_off())
            break;
        assert_int_equal(rc, LINKD_E_NOMEM);
        assert_null(f.model.weights);
    }
    done(&f);
}

/* Five matches and one other are enough; doubtful pairs are neither. */
static void few_matches_or_nothing_but_matches_teach_nothing(void **state)
{
    uint8_t answers[] = {1, 1, 1, 1, 1, LK_UNANSWERED, 0};

    (void)state;
    assert_int_equal(lk_answers_count(answers, 7, 1), 5);
    assert_int_equal(lk_answers_count(answers, 7, LK_UNANSWERED), 1);
    assert_true(lk_answers_teach(answers, 7));
    assert_false(lk_answers_teach(answers, 6));
    answers[0] = LK_UNANSWERED;
    assert_false(lk_answers_teach(answers, 7));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matches_get_higher_log_odds),
        cmocka_unit_test(a_record_does_not_judge_itself),
        cmocka_unit_test(pairs_left_out_teach_nothing_and_are_judged),
        cmocka_unit_test(weights_count_like_repeated_pairs),
        cmocka_unit_test(a_sample_of_the_easy_pairs_stands_for_all),
        cmocka_unit_test(the_number_of_workers_does_not_show),
        cmocka_unit_test(a_half_without_matches_is_stood_in_for),
        cmocka_unit_test(halves_that_teach_only_together_do_so),
        cmocka_unit_test(the_model_of_all_need_not_be_asked_for),
        cmocka_unit_test(answers_that_teach_nothing_are_refused),
        cmocka_unit_test(few_matches_or_nothing_but_matches_teach_nothing),
        cmocka_unit_test(memory_that_runs_out_is_reported),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
