/* tests/linkage/test_trial.c — what is chosen by some queries is judged by others. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "linkage/trial.h"
#include "tests/linkage/bridged.h"
#include "tests/linkage/random.h"
#include "tests/support/alloc_fail.h"

static void assert_near(double a, double b, double tolerance)
{
    assert_true(fabs(a - b) <= tolerance);
}

static linkd_trial_task task_of(const bridged *b)
{
    return (linkd_trial_task){.sample = &b->task,
                              .old_sample = &b->older,
                              .new_sample = &b->newer,
                              .n_candidates = 20};
}

static linkd_trial run(const bridged *b)
{
    linkd_trial_task task = task_of(b);
    linkd_trial trial = {0};
    linkd_error err = {0};

    if (linkd_trial_run(&task, &trial, &err) != LINKD_OK)
        fail_msg("%s", err.message);
    return trial;
}

static double mrr(const linkd_trial *trial, linkd_trial_way way)
{
    return linkd_compat_metrics_of(trial->ranks[way], N_QUERIES).mrr_10;
}

static double align_mrr(const bridged *b)
{
    linkd_bridge bridge = {0};
    double mrr_10;

    assert_int_equal(
        linkd_bridge_fit(&b->task, &b->newer, &b->older, &bridge, NULL),
        LINKD_OK);
    mrr_10 = bridge.mrr_10[LINKD_WAY_ALIGN];
    linkd_bridge_clear(&bridge);
    return mrr_10;
}

/* What either head has on average. */
static double heads_mrr(bridged *b)
{
    double sum;

    b->task.auto_head = false;
    b->task.head = LINKD_HEAD_PROCRUSTES;
    sum = align_mrr(b);
    b->task.head = LINKD_HEAD_RIDGE;
    return (sum + align_mrr(b)) / 2.0;
}

/* Two of three answers are at random: no head is better than another for these, but
 * that it was chosen by them. */
static void chance_is_no_gain(void **state)
{
    const size_t n_rounds = 20;
    bridged *b = bridged_make(0.3, 0.3);
    double chosen = 0.0;
    double judged = 0.0;
    uint64_t random = 9;

    (void)state;
    for (size_t round = 0; round < n_rounds; round++) {
        double before;
        linkd_trial trial;

        for (size_t i = 0; i < N_QUERIES; i++)
            if (i % 3 != 0)
                b->answers[i] =
                    random_below(&random, N_QUERIES) * LINKD_ANCHORS_HELD;
        before = heads_mrr(b);
        b->task.auto_head = true;
        trial = run(b);
        chosen += align_mrr(b) - before;
        judged += mrr(&trial, LINKD_TRIAL_ALIGN) - before;
        linkd_trial_clear(&trial);
    }
    assert_true(chosen / (double)n_rounds > 0.001);
    assert_true(judged < chosen / 2.0);
    bridged_free(b);
}

/* Nothing is chosen for these. */
static void the_models_alone_are_judged_by_all_queries(void **state)
{
    bridged *b = bridged_make(0.3, 0.1);
    linkd_trial trial = run(b);
    linkd_bridge bridge = {0};
    const linkd_model_sample *samples[] = {&b->older, &b->newer};

    (void)state;
    for (size_t m = 0; m < 2; m++) {
        assert_int_equal(
            linkd_bridge_native(&b->task, samples[m], &bridge, NULL), LINKD_OK);
        assert_memory_equal(trial.all_ranks[m], bridge.ranks[LINKD_WAY_NATIVE],
                            N_QUERIES * sizeof(uint32_t));
        linkd_bridge_clear(&bridge);
    }
    assert_int_equal(
        linkd_bridge_fit(&b->task, &b->newer, &b->older, &bridge, NULL),
        LINKD_OK);
    assert_memory_equal(trial.ranks[LINKD_TRIAL_ALIGN],
                        bridge.ranks[LINKD_WAY_ALIGN],
                        N_QUERIES * sizeof(uint32_t));
    linkd_bridge_clear(&bridge);
    linkd_trial_clear(&trial);
    bridged_free(b);
}

static void the_new_model_is_better_at_every_stage(void **state)
{
    bridged *b = bridged_make(0.6, 0.1);
    linkd_trial trial = run(b);

    (void)state;
    assert_true(mrr(&trial, LINKD_TRIAL_NEW) > mrr(&trial, LINKD_TRIAL_OLD));
    assert_true(mrr(&trial, LINKD_TRIAL_CASCADE) >
                mrr(&trial, LINKD_TRIAL_FUSE));
    assert_near(trial.curve[0], mrr(&trial, LINKD_TRIAL_FUSE), 1e-9);
    assert_near(trial.curve[LINKD_TRIAL_SHARES - 1],
                mrr(&trial, LINKD_TRIAL_NEW), 1e-9);
    assert_true(trial.area > trial.curve[0]);
    assert_true(trial.area < trial.curve[LINKD_TRIAL_SHARES - 1]);
    /* no map makes the old model's queries better than the new model's are */
    assert_true(trial.back_mrr_10[LINKD_WAY_ALIGN] > 0.1);
    assert_true(trial.back_mrr_10[LINKD_WAY_ALIGN] <
                mrr(&trial, LINKD_TRIAL_NEW));
    assert_true(trial.back_mrr_10[LINKD_WAY_FUSE] >
                trial.back_mrr_10[LINKD_WAY_ALIGN]);
    linkd_trial_clear(&trial);
    bridged_free(b);
}

/* Else one of them would be judged by what the other has chosen. */
static void queries_for_the_same_records_are_in_one_half(void **state)
{
    bridged *b = bridged_make(0.3, 0.1);
    linkd_trial_task task = task_of(b);
    size_t groups[N_ANCHORS];
    linkd_trial trial;
    linkd_error err;

    (void)state;
    b->task.groups = groups;
    for (size_t i = 0; i < N_ANCHORS; i++)
        groups[i] = i % LINKD_ANCHORS_HELD == 0 ? 0 : i;
    assert_int_equal(linkd_trial_run(&task, &trial, &err), LINKD_E_ARG);
    assert_string_equal(err.message,
                        "the queries look for too few records: some choose "
                        "weights and others judge them");
    /* one is alone in its half */
    groups[b->answers[1]] = b->answers[1];
    assert_int_equal(linkd_trial_run(&task, &trial, &err), LINKD_E_ARG);
    groups[b->answers[3]] = b->answers[3];
    assert_int_equal(linkd_trial_run(&task, &trial, &err), LINKD_OK);
    linkd_trial_clear(&trial);
    bridged_free(b);
}

static void one_worker_finds_the_same_as_two(void **state)
{
    bridged *b = bridged_make(0.3, 0.1);
    linkd_trial one = run(b);
    linkd_trial two;

    (void)state;
    lk_pool_free(b->pool);
    assert_int_equal(lk_pool_new(2, &b->pool, NULL), LINKD_OK);
    b->task.pool = b->pool;
    two = run(b);
    assert_memory_equal(one.curve, two.curve, sizeof(one.curve));
    assert_memory_equal(one.scores, two.scores, sizeof(one.scores));
    assert_memory_equal(one.back_mrr_10, two.back_mrr_10,
                        sizeof(one.back_mrr_10));
    for (size_t way = 0; way < LINKD_N_TRIAL_WAYS; way++)
        assert_memory_equal(one.ranks[way], two.ranks[way],
                            N_QUERIES * sizeof(*one.ranks[way]));
    linkd_trial_clear(&one);
    linkd_trial_clear(&two);
    bridged_free(b);
}

static void running_out_of_memory_is_reported(void **state)
{
    bridged *b = bridged_make(0.3, 0.1);
    linkd_trial_task task = task_of(b);
    linkd_trial trial = {0};

    (void)state;
    for (size_t nth = 1;; nth++) {
        int rc;

        alloc_fail_at(nth);
        rc = linkd_trial_run(&task, &trial, NULL);
        if (!alloc_fail_off())
            break;
        assert_int_equal(rc, LINKD_E_NOMEM);
    }
    linkd_trial_clear(&trial);
    bridged_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chance_is_no_gain),
        cmocka_unit_test(the_models_alone_are_judged_by_all_queries),
        cmocka_unit_test(the_new_model_is_better_at_every_stage),
        cmocka_unit_test(queries_for_the_same_records_are_in_one_half),
        cmocka_unit_test(one_worker_finds_the_same_as_two),
        cmocka_unit_test(running_out_of_memory_is_reported),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
