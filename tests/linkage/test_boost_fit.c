/* tests/linkage/test_boost_fit.c — what trees learn, and what they do not see. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "linkage/boost.h"
#include "tests/linkage/near.h"
#include "tests/linkage/random.h"
#include "tests/support/alloc_fail.h"

#define N_FEATURES ((size_t)3)

typedef struct fixture {
    lk_features features;
    lk_example *examples;
    lk_pool *pool;
    lk_boost_options options;
    lk_boost model;
    linkd_error err;
} fixture;

/* A match is where exactly one of features 0 and 1 is high, which no sum of
 * their effects can say. Feature 2 is noise, and often missing. */
static void make(fixture *f, size_t n)
{
    uint64_t seed = 11;

    *f = (fixture){.features = {.n_pairs = n, .n = N_FEATURES},
                   .options = LK_BOOST_OPTIONS_INIT};
    f->features.values = malloc(n * N_FEATURES);
    f->examples = malloc(n * sizeof(*f->examples));
    assert_non_null(f->features.values);
    assert_non_null(f->examples);
    for (size_t i = 0; i < n; i++) {
        uint8_t *values = f->features.values + i * N_FEATURES;

        for (size_t j = 0; j < N_FEATURES; j++)
            values[j] = (uint8_t)random_below(&seed, 255);
        if (random_below(&seed, 3) == 0)
            values[2] = LK_FEATURE_MISSING;
        f->examples[i] = (lk_example){
            .pair = (uint32_t)i,
            .answer = (values[0] > 120) != (values[1] > 180) ? 1 : 0,
            .weight = 1};
    }
    assert_int_equal(lk_pool_new(1, &f->pool, NULL), LINKD_OK);
}

/* Four pairs of a feature: 10 and 50 are no matches, 200 and 240 are. */
static void make_four(fixture *f)
{
    static const uint8_t values[] = {10, 50, 200, 240};

    make(f, 4);
    f->features.n = 1;
    memcpy(f->features.values, values, sizeof(values));
    for (size_t i = 0; i < 4; i++)
        f->examples[i].answer = i < 2 ? 0 : 1;
    f->options = (lk_boost_options){.n_trees = 1, .depth = 1, .rate = 1};
}

static void done(fixture *f)
{
    lk_boost_clear(&f->model);
    lk_pool_free(f->pool);
    free(f->features.values);
    free(f->examples);
}

static int fit(fixture *f)
{
    lk_boost_clear(&f->model);
    return lk_boost_fit(&f->features, f->examples, f->features.n_pairs,
                        &f->options, f->pool, &f->model, &f->err);
}

/* By hand: the gradients are -1/2 and 1/2, the hessians 1/4. */
static void a_stump_is_the_one_made_by_hand(void **state)
{
    static const uint8_t amid = 125, above = 126;
    fixture f;

    (void)state;
    make_four(&f);
    assert_int_equal(fit(&f), LINKD_OK);
    assert_int_equal(f.model.n_trees, 1);
    assert_int_equal(f.model.n_nodes, 3);
    assert_int_equal(f.model.nodes[0].feature, 0);
    assert_int_equal(f.model.nodes[0].below, 125); /* amid 50 and 200 */
    assert_near(lk_boost_log_odds(&f.model, &amid), -2, 1e-6);
    assert_near(lk_boost_log_odds(&f.model, &above), 2, 1e-6);

    f.options.penalty = 0.5; /* 1 / (2/4 + 1/2) */
    f.options.rate = 0.5;
    assert_int_equal(fit(&f), LINKD_OK);
    assert_near(lk_boost_log_odds(&f.model, &amid), -0.5, 1e-6);
    done(&f);
}

static void a_leaf_has_the_weight_that_is_asked_for(void **state)
{
    static const uint8_t low = 10, high = 240;
    fixture f;

    (void)state;
    make_four(&f);
    f.options.leaf_weight = 0.5; /* just what both sides have */
    assert_int_equal(fit(&f), LINKD_OK);
    assert_int_equal(f.model.n_nodes, 3);
    f.options.leaf_weight = 0.6;
    assert_int_equal(fit(&f), LINKD_OK);
    assert_int_equal(f.model.n_nodes, 1);
    assert_near(lk_boost_log_odds(&f.model, &low),
                lk_boost_log_odds(&f.model, &high), 0);
    done(&f);
}

/* The third pair's value is missing: it joins the fourth. */
static void missing_values_go_where_they_gain_more(void **state)
{
    static const uint8_t missing = LK_FEATURE_MISSING;
    fixture f;

    (void)state;
    make_four(&f);
    f.features.values[2] = missing;
    assert_int_equal(fit(&f), LINKD_OK);
    assert_false(f.model.nodes[0].missing_left);
    assert_near(lk_boost_log_odds(&f.model, &missing), 2, 1e-6);
    f.features.values[2] = 200;
    f.features.values[1] = missing;
    assert_int_equal(fit(&f), LINKD_OK);
    assert_true(f.model.nodes[0].missing_left);
    assert_near(lk_boost_log_odds(&f.model, &missing), -2, 1e-6);
    done(&f);
}

static void missing_alone_is_split_from_the_rest(void **state)
{
    static const uint8_t missing = LK_FEATURE_MISSING, one = LK_FEATURE_ONE;
    fixture f;

    (void)state;
    make_four(&f);
    f.features.values[2] = f.features.values[3] = missing;
    f.features.values[0] = f.features.values[1] = 7;
    assert_int_equal(fit(&f), LINKD_OK);
    assert_near(lk_boost_log_odds(&f.model, &missing), 2, 1e-6);
    assert_near(lk_boost_log_odds(&f.model, &one), -2, 1e-6);
    done(&f);
}

/* If none was missing where the tree grew, missing goes with the many. */
static void a_missing_value_never_seen_goes_with_the_many(void **state)
{
    static const uint8_t missing = LK_FEATURE_MISSING;
    fixture f;

    (void)state;
    make_four(&f);
    f.examples[3].answer = 1;
    f.examples[1].answer = 1; /* 10 | 50, 200, 240 */
    assert_int_equal(fit(&f), LINKD_OK);
    assert_int_equal(f.model.nodes[0].below, 30);
    assert_false(f.model.nodes[0].missing_left);
    assert_true(lk_boost_log_odds(&f.model, &missing) > 0);
    done(&f);
}

static void features_that_act_together_are_learned(void **state)
{
    size_t n_right = 0;
    fixture f;

    (void)state;
    make(&f, 4000);
    assert_int_equal(lk_boost_fit(&f.features, f.examples, 2000, &f.options,
                                  f.pool, &f.model, NULL),
                     LINKD_OK);
    assert_int_equal(f.model.n_trees, 100);
    for (size_t i = 2000; i < 4000; i++) { /* not learned from */
        double log_odds =
            lk_boost_log_odds(&f.model, f.features.values + i * N_FEATURES);

        n_right += (log_odds > 0) == (f.examples[i].answer > 0.5F);
    }
    assert_in_range(n_right, 1950, 2000);
    done(&f);
}

static void no_branch_is_deeper_than_asked_for(void **state)
{
    fixture f;

    (void)state;
    make(&f, 3000);
    f.options = (lk_boost_options){
        .n_trees = 3, .depth = LK_BOOST_MAX_DEPTH, .rate = 0.5, .penalty = 1};
    assert_int_equal(fit(&f), LINKD_OK);
    for (size_t i = 0; i < f.features.n_pairs; i++)
        for (size_t tree = 0; tree < 3; tree++) {
            const uint8_t *values = f.features.values + i * N_FEATURES;
            const lk_boost_node *node = &f.model.nodes[f.model.roots[tree]];
            size_t depth = 0;

            for (; node->feature != LK_BOOST_LEAF; depth++) {
                uint8_t value = values[node->feature];
                bool left = value == LK_FEATURE_MISSING ? node->missing_left
                                                        : value <= node->below;

                node = &f.model.nodes[left ? node->left : node->right];
            }
            assert_in_range(depth, 1, LK_BOOST_MAX_DEPTH);
        }
    done(&f);
}

static void weights_count_like_repeated_examples(void **state)
{
    lk_example *twice;
    lk_boost repeated = {0};
    fixture f;

    (void)state;
    make(&f, 500);
    twice = malloc(2 * 500 * sizeof(*twice));
    assert_non_null(twice);
    for (size_t i = 0; i < 500; i++) {
        twice[2 * i] = twice[2 * i + 1] = f.examples[i];
        f.examples[i].weight = 2;
    }
    assert_int_equal(lk_boost_fit(&f.features, twice, 1000, &f.options, f.pool,
                                  &repeated, NULL),
                     LINKD_OK);
    assert_int_equal(fit(&f), LINKD_OK);
    for (size_t i = 0; i < 500; i++) {
        const uint8_t *values = f.features.values + i * N_FEATURES;

        assert_near(lk_boost_log_odds(&f.model, values),
                    lk_boost_log_odds(&repeated, values), 1e-3);
    }
    lk_boost_clear(&repeated);
    free(twice);
    done(&f);
}

static void the_number_of_workers_does_not_show(void **state)
{
    lk_boost alone;
    fixture f;

    (void)state;
    make(&f, 3000);
    assert_int_equal(fit(&f), LINKD_OK);
    alone = f.model;
    f.model = (lk_boost){0};
    lk_pool_free(f.pool);
    assert_int_equal(lk_pool_new(3, &f.pool, NULL), LINKD_OK);
    assert_int_equal(fit(&f), LINKD_OK);
    assert_int_equal(f.model.n_nodes, alone.n_nodes);
    assert_near(f.model.base, alone.base, 0);
    for (size_t i = 0; i < alone.n_nodes; i++) {
        assert_int_equal(f.model.nodes[i].feature, alone.nodes[i].feature);
        assert_int_equal(f.model.nodes[i].below, alone.nodes[i].below);
        assert_near(f.model.nodes[i].value, alone.nodes[i].value, 0);
    }
    lk_boost_clear(&alone);
    done(&f);
}

static void examples_that_teach_nothing_are_refused(void **state)
{
    fixture f;

    (void)state;
    make(&f, 100);
    assert_int_equal(lk_boost_fit(&f.features, f.examples, 0, &f.options,
                                  f.pool, &f.model, &f.err),
                     LINKD_E_ARG);
    assert_string_equal(f.err.message, "there is no example to learn from");
    for (size_t i = 0; i < 100; i++)
        f.examples[i].answer = 0;
    assert_int_equal(fit(&f), LINKD_E_ARG);
    assert_string_equal(f.err.message, "all examples have the same answer");
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
        rc = fit(&f);
        if (!alloc_fail_off())
            break;
        assert_int_equal(rc, LINKD_E_NOMEM);
        assert_null(f.model.nodes);
    }
    done(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stump_is_the_one_made_by_hand),
        cmocka_unit_test(a_leaf_has_the_weight_that_is_asked_for),
        cmocka_unit_test(missing_values_go_where_they_gain_more),
        cmocka_unit_test(missing_alone_is_split_from_the_rest),
        cmocka_unit_test(a_missing_value_never_seen_goes_with_the_many),
        cmocka_unit_test(features_that_act_together_are_learned),
        cmocka_unit_test(no_branch_is_deeper_than_asked_for),
        cmocka_unit_test(weights_count_like_repeated_examples),
        cmocka_unit_test(the_number_of_workers_does_not_show),
        cmocka_unit_test(examples_that_teach_nothing_are_refused),
        cmocka_unit_test(memory_that_runs_out_is_reported),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
