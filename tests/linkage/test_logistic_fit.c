/* tests/linkage/test_logistic_fit.c — fits against a reference, and against
 * what makes a minimum: a gradient of zero. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "linkage/logistic.h"
#include "tests/linkage/near.h"
#include "tests/linkage/random.h"
#include "tests/support/alloc_fail.h"

#define N_FEATURES ((size_t)5)
#define N_WEIGHTS  (1 + 3 * N_FEATURES)

typedef struct fixture {
    lk_features features;
    lk_example *examples;
    lk_pool *pool;
    lk_logistic model;
    linkd_error err;
} fixture;

/* Pairs whose features 0 and 1 are missing together, 2 alone, and 3 never; 4
 * always is. One in ten is a match, of weight 3. */
static void make(fixture *f, size_t n)
{
    uint64_t seed = 7;

    *f = (fixture){.features = {.n_pairs = n, .n = N_FEATURES}};
    f->features.values = malloc(n * N_FEATURES);
    f->examples = malloc(n * sizeof(*f->examples));
    assert_non_null(f->features.values);
    assert_non_null(f->examples);
    for (size_t i = 0; i < n; i++) {
        uint8_t *values = f->features.values + i * N_FEATURES;
        bool match = random_below(&seed, 10) == 0;

        for (size_t j = 0; j < N_FEATURES; j++)
            values[j] = (uint8_t)(random_below(&seed, 180) + (match ? 70 : 0));
        if (random_below(&seed, 5) == 0)
            values[0] = values[1] = LK_FEATURE_MISSING;
        if (random_below(&seed, match ? 20 : 5) == 0)
            values[2] = LK_FEATURE_MISSING;
        values[4] = LK_FEATURE_MISSING;
        f->examples[i] = (lk_example){.pair = (uint32_t)i,
                                      .answer = match ? 1 : 0,
                                      .weight = match ? 3 : 1};
    }
    assert_int_equal(lk_pool_new(1, &f->pool, NULL), LINKD_OK);
}

static void done(fixture *f)
{
    lk_logistic_clear(&f->model);
    lk_pool_free(f->pool);
    free(f->features.values);
    free(f->examples);
}

static int fit(fixture *f, double penalty)
{
    lk_logistic_clear(&f->model);
    return lk_logistic_fit(&f->features, f->examples, f->features.n_pairs,
                           penalty, f->pool, &f->model, &f->err);
}

/* The gradient of the penalised loss, from its definition. */
static void gradient_of(const fixture *f, double penalty, double *ret_gradient)
{
    memset(ret_gradient, 0, N_WEIGHTS * sizeof(*ret_gradient));
    for (size_t i = 1; i < N_WEIGHTS; i++)
        ret_gradient[i] = penalty * f->model.weights[i];
    for (size_t i = 0; i < f->features.n_pairs; i++) {
        const lk_example *e = &f->examples[i];
        const uint8_t *values = f->features.values + e->pair * N_FEATURES;
        double z = lk_logistic_log_odds(&f->model, values);
        double residual =
            (double)e->weight * (1 / (1 + exp(-z)) - (double)e->answer);

        ret_gradient[0] += residual;
        for (size_t j = 0; j < N_FEATURES; j++) {
            bool missing = values[j] == LK_FEATURE_MISSING;
            double x = missing ? 0 : (double)values[j] / LK_FEATURE_ONE;

            ret_gradient[1 + 3 * j] += residual * x;
            ret_gradient[2 + 3 * j] += residual * x * x;
            ret_gradient[3 + 3 * j] += missing ? residual : 0;
        }
    }
}

/* scikit-learn 1.9.1, LogisticRegression(C=1, tol=1e-12, max_iter=10000) on the
 * columns x, x * x, missing of these pairs with these weights. */
static void a_fit_is_that_of_the_reference(void **state)
{
    static uint8_t values[] = {250, 255, 240, 200, 230, 10,  200, 255,
                               180, 180, 160, 60,  120, 240, 100, 255,
                               80,  30,  60,  120, 20,  255, 10,  20};
    static const float answers[] = {1, 1, 0, 1, 1, 0, 1, 0, 0, 1, 0, 0};
    static const float weights[] = {1, 2, 1, 1, 1, 1, 0.5F, 1, 1, 1, 3, 1};
    static const double expected[] = {-1.19404881, 0.72148408, 0.72986097, 0,
                                      0.8524677,   0.69854822, -0.02390774};
    const lk_features features = {.values = values, .n_pairs = 12, .n = 2};
    lk_example examples[12];
    lk_logistic model = {0};
    lk_pool *pool = NULL;

    (void)state;
    for (uint32_t i = 0; i < 12; i++)
        examples[i] = (lk_example){i, answers[i], weights[i]};
    assert_int_equal(lk_pool_new(1, &pool, NULL), LINKD_OK);
    assert_int_equal(
        lk_logistic_fit(&features, examples, 12, 1, pool, &model, NULL),
        LINKD_OK);
    assert_int_equal(model.n_features, 2);
    for (size_t i = 0; i < 7; i++)
        assert_near(model.weights[i], expected[i], 1e-6);
    lk_logistic_clear(&model);
    lk_pool_free(pool);
}

/* 50,000: enough for first steps on a sample, which must not show. */
static void the_gradient_is_zero_where_a_fit_ends(void **state)
{
    static const size_t sizes[] = {300, 5000, 50000};
    double gradient[N_WEIGHTS];

    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        fixture f;

        make(&f, sizes[i]);
        assert_int_equal(fit(&f, 1), LINKD_OK);
        gradient_of(&f, 1, gradient);
        for (size_t j = 0; j < N_WEIGHTS; j++)
            assert_near(gradient[j], 0, 1e-2);
        done(&f);
    }
}

static void features_missing_together_share_the_weight(void **state)
{
    fixture f;

    (void)state;
    make(&f, 1000);
    assert_int_equal(fit(&f, 1), LINKD_OK);
    assert_true(fabs(f.model.weights[3]) > 0.01);
    assert_near(f.model.weights[3], f.model.weights[6], 0);
    assert_true(fabs(f.model.weights[9]) > 0.01);
    assert_near(f.model.weights[12], 0, 0); /* never missing */
    done(&f);
}

static void the_number_of_workers_does_not_show(void **state)
{
    double weights[N_WEIGHTS];
    fixture f;

    (void)state;
    make(&f, 50000);
    assert_int_equal(fit(&f, 1), LINKD_OK);
    memcpy(weights, f.model.weights, sizeof(weights));
    lk_pool_free(f.pool);
    assert_int_equal(lk_pool_new(3, &f.pool, NULL), LINKD_OK);
    assert_int_equal(fit(&f, 1), LINKD_OK);
    assert_memory_equal(f.model.weights, weights, sizeof(weights));
    done(&f);
}

static void where_a_fit_starts_does_not_show(void **state)
{
    double weights[N_WEIGHTS];
    fixture f;

    (void)state;
    make(&f, 5000);
    assert_int_equal(fit(&f, 1), LINKD_OK);
    memcpy(weights, f.model.weights, sizeof(weights));
    for (size_t i = 0; i < N_WEIGHTS; i++)
        f.model.weights[i] = i % 2 == 0 ? 9 : -9; /* far off */
    assert_int_equal(lk_logistic_refit(&f.features, f.examples, 5000, 1, f.pool,
                                       &f.model, NULL),
                     LINKD_OK);
    for (size_t i = 0; i < N_WEIGHTS; i++)
        assert_near(f.model.weights[i], weights[i], 1e-3);
    done(&f);
}

/* Without a penalty nothing decides between the missing flags of features 0 and
 * 1, nor between the always missing feature and the intercept. */
static void columns_that_repeat_each_other_need_no_penalty(void **state)
{
    double gradient[N_WEIGHTS];
    fixture f;

    (void)state;
    make(&f, 5000);
    assert_int_equal(fit(&f, 0), LINKD_OK);
    gradient_of(&f, 0, gradient);
    for (size_t i = 0; i < N_WEIGHTS; i++)
        assert_near(gradient[i], 0, 1e-1);
    done(&f);
}

static void
answers_that_are_told_apart_exactly_give_finite_weights(void **state)
{
    fixture f;

    (void)state;
    make(&f, 1000);
    for (size_t i = 0; i < 1000; i++)
        f.features.values[i * N_FEATURES + 3] =
            f.examples[i].answer > 0.5F ? 254 : 0;
    assert_int_equal(fit(&f, 1), LINKD_OK);
    assert_in_range(f.model.weights[10], 2, 30);
    done(&f);
}

static void examples_that_teach_nothing_are_refused(void **state)
{
    fixture f;

    (void)state;
    make(&f, 100);
    assert_int_equal(lk_logistic_fit(&f.features, f.examples, 0, 1, f.pool,
                                     &f.model, &f.err),
                     LINKD_E_ARG);
    assert_string_equal(f.err.message, "there is no example to learn from");
    f.examples[0].weight = INFINITY;
    assert_int_equal(fit(&f, 1), LINKD_E_ARG);
    assert_string_equal(f.err.message, "weights of examples are too large");
    for (size_t i = 0; i < 100; i++)
        f.examples[i].weight = 3e38F; /* their sum is not a float */
    assert_int_equal(fit(&f, 1), LINKD_E_ARG);
    assert_string_equal(f.err.message, "weights of examples are too large");
    for (size_t i = 0; i < 100; i++)
        f.examples[i].answer = 1;
    assert_int_equal(fit(&f, 1), LINKD_E_ARG);
    assert_string_equal(f.err.message, "all examples have the same answer");
    assert_null(f.model.weights);
    done(&f);
}

static void memory_that_runs_out_is_reported(void **state)
{
    fixture f;

    (void)state;
    make(&f, 100);
    for (size_t nth = 1;; nth++) {
        int rc;

        alloc_fail_at(nth);
        rc = fit(&f, 1);
        if (!alloc_fail_off())
            break;
        assert_int_equal(rc, LINKD_E_NOMEM);
        assert_null(f.model.weights);
    }
    done(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fit_is_that_of_the_reference),
        cmocka_unit_test(the_gradient_is_zero_where_a_fit_ends),
        cmocka_unit_test(features_missing_together_share_the_weight),
        cmocka_unit_test(the_number_of_workers_does_not_show),
        cmocka_unit_test(where_a_fit_starts_does_not_show),
        cmocka_unit_test(columns_that_repeat_each_other_need_no_penalty),
        cmocka_unit_test(
            answers_that_are_told_apart_exactly_give_finite_weights),
        cmocka_unit_test(examples_that_teach_nothing_are_refused),
        cmocka_unit_test(memory_that_runs_out_is_reported),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
