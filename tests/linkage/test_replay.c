/* tests/linkage/test_replay.c — a sample is searched at every share, and at both
 * ends it is what the bridges say. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "linkage/replay.h"
#include "tests/linkage/random.h"
#include "tests/support/alloc_fail.h"

enum { N = 300, N_QUERIES = N / 5, DIM = 8 };

/* The old model sees records through much noise, the new one through little. */
typedef struct fixture {
    float anchors[2][N * DIM]; /* old, new */
    float queries[2][N_QUERIES * DIM];
    size_t answers[N_QUERIES];
    linkd_model_sample samples[2];
    linkd_bridge natives[2];
    linkd_bridge to_old;
    bool held[N];
    linkd_bridge_task sample;
    lk_held all; /* anchors, as if no map had been fitted on any */
    lk_held fifth;
    lk_replay_task task;
} fixture;

static fixture f;

static float noise(uint64_t *random)
{
    return (float)random_below(random, 2001) / 1000.0F - 1.0F;
}

static void view_make(const float *truth, float spread, uint64_t *random,
                      float *ret_vector)
{
    float length;

    for (size_t d = 0; d < DIM; d++)
        ret_vector[d] = truth[d] + spread * noise(random);
    length = sqrtf(linkd_index_score(ret_vector, ret_vector, DIM));
    for (size_t d = 0; d < DIM; d++)
        ret_vector[d] /= length;
}

static void vectors_make(void)
{
    static const float spreads[2] = {0.9F, 0.2F};
    uint64_t random = 5;

    for (size_t i = 0; i < N; i++) {
        float truth[DIM];

        for (size_t d = 0; d < DIM; d++)
            truth[d] = noise(&random);
        for (size_t m = 0; m < 2; m++) {
            view_make(truth, spreads[m], &random, f.anchors[m] + i * DIM);
            if (i % LINKD_ANCHORS_HELD == 0)
                view_make(truth, spreads[m], &random,
                          f.queries[m] + i / LINKD_ANCHORS_HELD * DIM);
        }
    }
}

static int enter(void **state)
{
    linkd_error err;

    (void)state;
    memset(&f, 0, sizeof(f));
    vectors_make();
    for (size_t i = 0; i < N_QUERIES; i++)
        f.answers[i] = i * LINKD_ANCHORS_HELD;
    f.sample = (linkd_bridge_task){.n_anchors = N,
                                   .n_queries = N_QUERIES,
                                   .answers = f.answers,
                                   .n_records = N,
                                   .head = LINKD_HEAD_PROCRUSTES};
    assert_int_equal(lk_pool_new(2, &f.sample.pool, &err), LINKD_OK);
    for (size_t m = 0; m < 2; m++) {
        f.samples[m] = (linkd_model_sample){DIM, f.anchors[m], f.queries[m]};
        assert_int_equal(
            linkd_bridge_native(&f.sample, &f.samples[m], &f.natives[m], &err),
            LINKD_OK);
    }
    assert_int_equal(linkd_bridge_fit(&f.sample, &f.samples[1], &f.samples[0],
                                      &f.to_old, &err),
                     LINKD_OK);
    memset(f.held, true, sizeof(f.held));
    f.sample.held = f.held;
    assert_int_equal(lk_held_make(&f.sample, &f.all, &err), LINKD_OK);
    f.sample.held = NULL;
    assert_int_equal(lk_held_make(&f.sample, &f.fifth, &err), LINKD_OK);
    f.task = (lk_replay_task){.sample = &f.sample,
                              .held = &f.all,
                              .old_sample = &f.samples[0],
                              .new_sample = &f.samples[1],
                              .old_native = &f.natives[0],
                              .new_native = &f.natives[1],
                              .to_old = &f.to_old,
                              .n_candidates = 20};
    return 0;
}

static int leave(void **state)
{
    (void)state;
    lk_pool_free(f.sample.pool);
    linkd_bridge_clear(&f.natives[0]);
    linkd_bridge_clear(&f.natives[1]);
    linkd_bridge_clear(&f.to_old);
    lk_held_clear(&f.all);
    lk_held_clear(&f.fifth);
    return 0;
}

static linkd_trial run(void)
{
    linkd_trial trial = {0};
    linkd_error err = {0};

    if (lk_replay_run(&f.task, &trial, &err) != LINKD_OK)
        fail_msg("%s", err.message);
    return trial;
}

static double mrr(const uint32_t *ranks)
{
    return linkd_compat_metrics_of(ranks, N_QUERIES).mrr_10;
}

static void the_curve_leads_from_fused_queries_to_the_new_model(void **state)
{
    double fuse = f.to_old.mrr_10[LINKD_WAY_FUSE];
    double native;
    linkd_trial trial;

    (void)state;
    f.task.held = &f.fifth;
    trial = run();
    native = mrr(trial.ranks[LINKD_TRIAL_NEW]);
    assert_true(native > fuse + 0.1); /* or this would show nothing */
    assert_true(fabs(trial.curve[0] - fuse) < 1e-9);
    assert_true(fabs(trial.curve[LINKD_TRIAL_SHARES - 1] - native) < 1e-9);
    assert_true(trial.curve[3] > fuse && trial.curve[3] < native);
    assert_true(trial.area > fuse && trial.area < native);
    linkd_trial_clear(&trial);
}

static uint32_t rank_among(size_t m, size_t query, size_t step)
{
    const float *q = f.queries[m] + query * DIM;
    const float *answer = f.anchors[m] + f.answers[query] * DIM;
    uint32_t rank = 1;

    for (size_t i = 0; i < N; i += step)
        rank += linkd_index_score(q, f.anchors[m] + i * DIM, DIM) >
                linkd_index_score(q, answer, DIM);
    return rank <= 10 ? rank : 0;
}

/* A map flatters the records that it was fitted on. */
static void ranks_are_among_what_is_held_out(void **state)
{
    static const linkd_trial_way ways[] = {LINKD_TRIAL_OLD, LINKD_TRIAL_NEW};
    linkd_trial trial;

    (void)state;
    f.task.held = &f.fifth;
    trial = run();
    for (size_t m = 0; m < 2; m++)
        for (size_t i = 0; i < N_QUERIES; i++) {
            assert_int_equal(trial.ranks[ways[m]][i],
                             rank_among(m, i, LINKD_ANCHORS_HELD));
            assert_int_equal(trial.all_ranks[m][i], rank_among(m, i, 1));
            assert_int_equal(trial.firsts[m][i] % LINKD_ANCHORS_HELD, 0);
        }
    linkd_trial_clear(&trial);
}

/* Fused queries are the old model's here, which knows nothing of them. */
static void a_cascade_finds_what_mapped_queries_do(void **state)
{
    linkd_trial trial;
    double some;

    (void)state;
    f.to_old.weight = 0.0;
    for (size_t i = 0; i < N_QUERIES; i++)
        memcpy(f.queries[0] + i * DIM, f.queries[0], DIM * sizeof(float));
    trial = run();
    some = mrr(trial.ranks[LINKD_TRIAL_CASCADE]);
    assert_true(trial.curve[0] < 0.1);
    assert_true(some > 0.5);
    linkd_trial_clear(&trial);
}

/* Leaves fused queries nothing to find by, and gives them a ranking by the mapped
 * query, which finds nearly all. */
static void ranking_make(void)
{
    const linkd_whitening options = {0.1, 0.3};

    f.to_old.weight = 0.0F;
    for (size_t i = 0; i < N_QUERIES; i++)
        memcpy(f.queries[0] + i * DIM, f.queries[0], DIM * sizeof(float));
    linkd_whitened_clear(&f.to_old.ranking.maps);
    assert_int_equal(
        linkd_compat_fit_whitened(&(linkd_rows){f.anchors[1], N, DIM},
                                  &(linkd_rows){f.anchors[0], N, DIM},
                                  &(linkd_rows){f.anchors[0], N, DIM}, &options,
                                  &f.to_old.ranking.maps, NULL),
        LINKD_OK);
    f.to_old.ranking.weight = 1.0F;
}

/* Of 300 records a hundred, of a million ten stand for what it would see. */
static void a_ranking_orders_what_fused_queries_find(void **state)
{
    linkd_trial few, many;

    (void)state;
    ranking_make();
    many = run();
    f.all.task.n_records = 1000000;
    few = run();
    assert_true(many.curve[0] > 0.1);
    assert_true(few.curve[0] < 0.05);
    assert_true(mrr(few.ranks[LINKD_TRIAL_CASCADE]) <
                mrr(many.ranks[LINKD_TRIAL_CASCADE]));
    assert_true(few.curve[LINKD_TRIAL_SHARES - 1] ==
                many.curve[LINKD_TRIAL_SHARES - 1]);
    f.task.n_candidates = 0;
    linkd_trial_clear(&few);
    few = run();
    assert_true(fabs(mrr(few.ranks[LINKD_TRIAL_CASCADE]) - few.curve[0]) <
                1e-9);
    linkd_trial_clear(&few);
    linkd_trial_clear(&many);
}

static void a_cascade_of_all_records_is_the_new_model(void **state)
{
    linkd_trial trial;

    (void)state;
    f.task.n_candidates = N;
    trial = run();
    assert_memory_equal(trial.ranks[LINKD_TRIAL_CASCADE],
                        f.natives[1].ranks[LINKD_WAY_NATIVE],
                        N_QUERIES * sizeof(*trial.ranks[LINKD_TRIAL_CASCADE]));
    linkd_trial_clear(&trial);
}

/* The more candidates, the nearer to the new model. */
static void a_cascade_of_some_records_lies_between(void **state)
{
    linkd_trial trial = run();
    double some = mrr(trial.ranks[LINKD_TRIAL_CASCADE]);

    (void)state;
    assert_true(some > trial.curve[0] + 0.02);
    assert_true(some <= trial.curve[LINKD_TRIAL_SHARES - 1]);
    linkd_trial_clear(&trial);
    f.task.n_candidates = 0;
    trial = run();
    assert_true(fabs(mrr(trial.ranks[LINKD_TRIAL_CASCADE]) - trial.curve[0]) <
                1e-9);
    linkd_trial_clear(&trial);
}

static void sum_check(const linkd_histogram *h)
{
    uint64_t n_matches = 0;
    uint64_t n_others = 0;

    for (size_t bin = 0; bin < LINKD_TRIAL_BINS; bin++) {
        n_matches += h->matches[bin];
        n_others += h->others[bin];
    }
    assert_int_equal(n_matches, N_QUERIES);
    assert_int_equal(n_others, N_QUERIES * (N - 1));
}

/* The mean bin of what is looked for, and of the rest. */
static double gap_of(const linkd_histogram *h)
{
    double matches = 0;
    double others = 0;

    for (size_t bin = 0; bin < LINKD_TRIAL_BINS; bin++) {
        matches += (double)bin * (double)h->matches[bin] / N_QUERIES;
        others += (double)bin * (double)h->others[bin] / (N_QUERIES * (N - 1));
    }
    return matches - others;
}

static void histograms_hold_every_pair_once(void **state)
{
    linkd_trial trial = run();

    (void)state;
    for (size_t way = 0; way < LINKD_N_TRIAL_SCORES; way++) {
        sum_check(&trial.scores[way]);
        sum_check(&trial.log_odds[way]);
        assert_true(gap_of(&trial.scores[way]) > 5.0);
        assert_true(gap_of(&trial.log_odds[way]) > 2.0);
    }
    assert_true(gap_of(&trial.scores[LINKD_TRIAL_NEW]) >
                gap_of(&trial.scores[LINKD_TRIAL_OLD]));
    linkd_trial_clear(&trial);
}

static void firsts_are_the_answers_of_rank_one(void **state)
{
    linkd_trial trial = run();

    (void)state;
    for (size_t m = 0; m < 2; m++)
        for (size_t i = 0; i < N_QUERIES; i++)
            assert_int_equal(trial.firsts[m][i] == f.answers[i],
                             f.natives[m].ranks[LINKD_WAY_NATIVE][i] == 1);
    linkd_trial_clear(&trial);
}

static uint64_t count_of(const linkd_histogram *h)
{
    uint64_t n = 0;

    for (size_t bin = 0; bin < LINKD_TRIAL_BINS; bin++)
        n += h->matches[bin] + h->others[bin];
    return n;
}

/* An anchor that is the query is in no place of any list. */
static void a_query_among_the_anchors_is_not_found(void **state)
{
    size_t asked[N_QUERIES];
    linkd_trial trial;

    (void)state;
    for (size_t i = 0; i < N_QUERIES; i++) {
        asked[i] = f.answers[i] + 1;
        for (size_t m = 0; m < 2; m++)
            memcpy(f.anchors[m] + asked[i] * DIM, f.queries[m] + i * DIM,
                   DIM * sizeof(float));
    }
    trial = run();
    assert_true(trial.curve[LINKD_TRIAL_SHARES - 1] < 0.6);
    linkd_trial_clear(&trial);
    f.sample.asked = asked;
    trial = run();
    assert_true(trial.curve[LINKD_TRIAL_SHARES - 1] > 0.7);
    assert_true(mrr(trial.ranks[LINKD_TRIAL_CASCADE]) > trial.curve[0]);
    assert_int_equal(count_of(&trial.scores[0]), N_QUERIES * (N - 1));
    for (size_t i = 0; i < N_QUERIES; i++)
        assert_int_not_equal(trial.firsts[1][i], asked[i]);
    linkd_trial_clear(&trial);
}

static void one_worker_finds_the_same_as_two(void **state)
{
    linkd_trial two = run();
    linkd_trial one;
    linkd_error err;

    (void)state;
    lk_pool_free(f.sample.pool);
    assert_int_equal(lk_pool_new(1, &f.sample.pool, &err), LINKD_OK);
    one = run();
    assert_memory_equal(one.curve, two.curve, sizeof(one.curve));
    assert_memory_equal(one.scores, two.scores, sizeof(one.scores));
    assert_memory_equal(one.log_odds, two.log_odds, sizeof(one.log_odds));
    assert_memory_equal(one.ranks[LINKD_TRIAL_CASCADE],
                        two.ranks[LINKD_TRIAL_CASCADE],
                        N_QUERIES * sizeof(*one.ranks[LINKD_TRIAL_CASCADE]));
    linkd_trial_clear(&one);
    linkd_trial_clear(&two);
}

static void candidates_of_a_sample_are_as_large_a_share(void **state)
{
    (void)state;
    assert_int_equal(linkd_trial_candidates(100, 3000, 3000), 100);
    assert_int_equal(linkd_trial_candidates(100, 4000, 10000), 40);
    assert_int_equal(linkd_trial_candidates(100, 4000, 1000000), 10);
}

static void running_out_of_memory_is_reported(void **state)
{
    linkd_trial trial = {0};

    (void)state;
    for (size_t nth = 1;; nth++) {
        int rc;

        alloc_fail_at(nth);
        rc = lk_replay_run(&f.task, &trial, NULL);
        if (!alloc_fail_off())
            break;
        assert_int_equal(rc, LINKD_E_NOMEM);
    }
    linkd_trial_clear(&trial);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, enter, leave)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_curve_leads_from_fused_queries_to_the_new_model),
        TEST(ranks_are_among_what_is_held_out),
        TEST(a_cascade_finds_what_mapped_queries_do),
        TEST(a_ranking_orders_what_fused_queries_find),
        TEST(a_cascade_of_all_records_is_the_new_model),
        TEST(a_cascade_of_some_records_lies_between),
        TEST(histograms_hold_every_pair_once),
        TEST(firsts_are_the_answers_of_rank_one),
        TEST(a_query_among_the_anchors_is_not_found),
        TEST(one_worker_finds_the_same_as_two),
        TEST(candidates_of_a_sample_are_as_large_a_share),
        TEST(running_out_of_memory_is_reported),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
