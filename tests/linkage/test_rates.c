/* tests/linkage/test_rates.c — false-match rates of a collection whose model was
 * never changed: records of made vectors, r0, r1, … in the collection "c". */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "linkage/bridge.h"
#include "tests/index/scratch_store.h"
#include "tests/support/alloc_fail.h"

#define N_MOST ((size_t)512)

static float vectors[N_MOST][DIM];
static linkd_rates *rates;

/* The same ones each time: sines of large numbers. */
static int group_enter(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_MOST; i++) {
        double sum = 0.0;

        for (size_t j = 0; j < DIM; j++) {
            vectors[i][j] = sinf((float)((i * DIM + j) * 7919 % 100003));
            sum += (double)vectors[i][j] * (double)vectors[i][j];
        }
        for (size_t j = 0; j < DIM; j++)
            vectors[i][j] = (float)((double)vectors[i][j] / sqrt(sum));
    }
    return 0;
}

static void collection_make(const char *name)
{
    const linkd_collection_options options = {.dim = DIM};

    assert_int_equal(linkd_store_create_collection(store, str_of(name),
                                                   &options, NULL, NULL, &err),
                     LINKD_OK);
}

static int setup(void **state)
{
    int rc = scratch_store_enter(state);

    collection_make("c");
    assert_int_equal(linkd_rates_new(&rates, &err), LINKD_OK);
    return rc;
}

static int teardown(void **state)
{
    linkd_rates_free(rates);
    return scratch_store_leave(state);
}

/* Records [from, to), with vectors [to - from], unless these are NULL. */
static void vectors_put(size_t from, size_t to, const float (*of)[DIM])
{
    linkd_put puts[N_MOST];
    char ids[N_MOST][24];
    linkd_write_result result;

    for (size_t i = from; i < to; i++) {
        (void)snprintf(ids[i], sizeof(ids[i]), "r%zu", i);
        puts[i] = (linkd_put){.id = str_of(ids[i])};
        if (of != NULL) {
            puts[i].dim = DIM;
            puts[i].vector = of[i - from];
        }
    }
    assert_int_equal(linkd_store_put(store, str_of("c"), puts + from, to - from,
                                     NULL, &result, &err),
                     LINKD_OK);
}

static void records_put(size_t from, size_t to)
{
    vectors_put(from, to, (const float(*)[DIM])vectors + from);
}

static void records_delete(size_t from, size_t to)
{
    linkd_str gone[N_MOST];
    char ids[N_MOST][24];
    linkd_write_result result;

    for (size_t i = from; i < to; i++) {
        (void)snprintf(ids[i], sizeof(ids[i]), "r%zu", i);
        gone[i] = str_of(ids[i]);
    }
    assert_int_equal(linkd_store_delete(store, str_of("c"), gone + from,
                                        to - from, NULL, &result, &err),
                     LINKD_OK);
}

static int settle(linkd_rates *kept, const char *collection, linkd_limit *limit)
{
    linkd_view *view = NULL;
    int rc = linkd_view_open(store, str_of(collection), &view, &err);

    if (rc == LINKD_OK)
        rc = linkd_rates_settle(kept, view, limit, &err);
    linkd_view_close(view);
    return rc;
}

static double score_of(linkd_rates *kept, double rate)
{
    linkd_limit limit = {LINKD_LIMIT_FALSE_MATCH_RATE, rate};

    if (settle(kept, "c", &limit) != LINKD_OK)
        fail_msg("%s", err.message);
    assert_int_equal(limit.kind, LINKD_LIMIT_SCORE);
    return limit.value;
}

static void assert_refused(double rate, const char *message)
{
    linkd_limit limit = {LINKD_LIMIT_FALSE_MATCH_RATE, rate};

    assert_int_equal(settle(rates, "c", &limit), LINKD_E_ARG);
    assert_string_equal(err.message, message);
    assert_int_equal(limit.kind, LINKD_LIMIT_FALSE_MATCH_RATE);
}

/* ---- what it is ------------------------------------------------------------ */

/* Of all pairs, not only of those that were compared for it. */
static void so_many_strangers_reach_it_as_the_rate_says(void **state)
{
    static const double shares[] = {0.3, 0.05, 0.01};

    (void)state;
    records_put(0, N_MOST);
    for (size_t r = 0; r < 3; r++) {
        double score = score_of(rates, shares[r]);
        size_t n = 0;

        for (size_t i = 0; i < N_MOST; i++)
            for (size_t j = 0; j < N_MOST; j++)
                n += i != j && (double)linkd_index_score(vectors[i], vectors[j],
                                                         DIM) >= score;
        if (fabs((double)n / (double)(N_MOST * (N_MOST - 1)) / shares[r] -
                 1.0) > 0.2)
            fail_msg("%zu pairs at %g", n, shares[r]);
    }
}

/* So that nothing moves when a model is changed. */
static void it_is_what_an_upgrade_makes_of_the_same_records(void **state)
{
    const size_t n = 480; /* so many are looked at, whether 480 or 500 */
    linkd_model_sample sample = {.dim = DIM, .anchors = vectors[0]};
    linkd_bridge_task task = {.n_anchors = n};
    linkd_bridge bridge = {0};

    (void)state;
    assert_int_equal(lk_pool_new(2, &task.pool, &err), LINKD_OK);
    assert_int_equal(lk_bridge_fit_records(&task, NULL, &sample, &bridge, &err),
                     LINKD_OK);
    records_put(0, 500);
    assert_true(
        score_of(rates, 0.01) ==
        linkd_quantiles_score(&bridge.scales[LINKD_WAY_NATIVE].records, 0.01));
    lk_pool_free(task.pool);
    linkd_bridge_clear(&bridge);
}

static void a_score_and_no_limit_stay(void **state)
{
    linkd_limit score = {LINKD_LIMIT_SCORE, 0.5};
    linkd_limit none = {LINKD_LIMIT_NONE, 0.0};

    (void)state;
    assert_int_equal(settle(rates, "c", &score), LINKD_OK);
    assert_true(score.kind == LINKD_LIMIT_SCORE && score.value == 0.5);
    assert_int_equal(settle(rates, "c", &none), LINKD_OK);
    assert_int_equal(none.kind, LINKD_LIMIT_NONE);
}

static void of_a_probability_nothing_is_known(void **state)
{
    linkd_limit limit = {LINKD_LIMIT_PROBABILITY, 0.5};

    (void)state;
    records_put(0, N_MOST);
    assert_int_equal(settle(rates, "c", &limit), LINKD_E_ARG);
    assert_string_equal(err.message,
                        "\"probability\" is known only of a collection whose "
                        "model was changed: an upgrade's start makes its "
                        "scale");
}

/* ---- how many records it takes --------------------------------------------- */

static void too_few_records_are_told_how_many_it_takes(void **state)
{
    (void)state;
    assert_refused(0.1, "\"false_match_rate\": 0.1 takes 104 records with "
                        "vectors to compare, and there are 0");
    records_put(0, 103);
    assert_refused(0.1, "\"false_match_rate\": 0.1 takes 104 records with "
                        "vectors to compare, and there are 96");
    records_put(103, 104);
    (void)score_of(rates, 0.1);
    assert_refused(0.001, "\"false_match_rate\": 0.001 takes 160 records with "
                          "vectors to compare, and there are 104");
    records_put(104, 159);
    assert_refused(0.001, "\"false_match_rate\": 0.001 takes 160 records with "
                          "vectors to compare, and there are 144");
    records_put(159, 160);
    (void)score_of(rates, 0.001);
}

static void a_rate_that_no_sample_tells_is_refused(void **state)
{
    (void)state;
    records_put(0, N_MOST);
    assert_refused(1e-7, "\"false_match_rate\": 1e-07 is below 6.3e-06, the "
                         "lowest that can be told before the model is changed");
}

static void records_without_vectors_do_not_count(void **state)
{
    (void)state;
    records_put(0, 60);
    vectors_put(60, 160, NULL);
    assert_refused(0.1, "\"false_match_rate\": 0.1 takes 104 records with "
                        "vectors to compare, and there are 60");
}

/* Numbers of deleted records are no more given out. */
static void what_is_left_of_many_records_is_found(void **state)
{
    (void)state;
    records_put(0, N_MOST);
    records_delete(0, 300);
    records_delete(301, 400);
    (void)score_of(rates, 0.1); /* 113 are left */
    assert_refused(0.001, "\"false_match_rate\": 0.001 takes 160 records with "
                          "vectors to compare, and there are 109");
}

/* ---- how long it holds ------------------------------------------------------- */

static void it_does_not_matter_when_it_was_asked_for(void **state)
{
    double before, after;

    (void)state;
    records_put(0, 256);
    before = score_of(rates, 0.01);
    records_put(256, 287); /* 288 would be the next step */
    after = score_of(NULL, 0.01);
    assert_true(before == after);
    records_put(287, 288);
    after = score_of(rates, 0.01);
    assert_true(before != after);
    assert_true(after == score_of(NULL, 0.01));
}

/* What was deleted counts until something is written. */
static void it_is_kept_until_much_was_written(void **state)
{
    double before;

    (void)state;
    records_put(0, 256);
    before = score_of(rates, 0.01);
    records_delete(0, 128);
    assert_true(score_of(NULL, 0.01) != before);
    assert_true(score_of(rates, 0.01) == before);
    vectors_put(128, 160, (const float(*)[DIM])vectors + 300);
    assert_true(score_of(rates, 0.01) == score_of(NULL, 0.01));
}

static void collections_that_nobody_asks_for_make_room(void **state)
{
    double before;

    (void)state;
    records_put(0, 256);
    before = score_of(rates, 0.01);
    records_delete(0, 128);
    for (int i = 0; i < 64; i++) {
        linkd_limit limit = {LINKD_LIMIT_FALSE_MATCH_RATE, 0.1};
        char name[16];

        assert_true(i > 0 || score_of(rates, 0.01) == before);
        (void)snprintf(name, sizeof(name), "c%d", i);
        collection_make(name);
        assert_int_equal(settle(rates, name, &limit), LINKD_E_ARG);
    }
    assert_true(score_of(rates, 0.01) != before);
}

/* ---- failures ---------------------------------------------------------------- */

static void memory_may_run_out_anywhere(void **state)
{
    linkd_rates *other = NULL;
    linkd_view *view = NULL;
    size_t n = 0;
    int rc;

    (void)state;
    alloc_fail_at(1);
    assert_int_equal(linkd_rates_new(&other, &err), LINKD_E_NOMEM);
    assert_true(alloc_fail_off());
    records_put(0, 256);
    assert_int_equal(linkd_view_open(store, str_of("c"), &view, &err),
                     LINKD_OK);
    do {
        linkd_limit limit = {LINKD_LIMIT_FALSE_MATCH_RATE, 0.01};

        alloc_fail_at(++n);
        rc = linkd_rates_settle(rates, view, &limit, &err);
        assert_int_equal(limit.kind, rc == LINKD_OK
                                         ? LINKD_LIMIT_SCORE
                                         : LINKD_LIMIT_FALSE_MATCH_RATE);
        assert_int_equal(rc, alloc_fail_off() ? LINKD_E_NOMEM : LINKD_OK);
    } while (rc != LINKD_OK);
    assert_true(n > 4);
    linkd_view_close(view);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(so_many_strangers_reach_it_as_the_rate_says),
        TEST(it_is_what_an_upgrade_makes_of_the_same_records),
        TEST(a_score_and_no_limit_stay),
        TEST(of_a_probability_nothing_is_known),
        TEST(too_few_records_are_told_how_many_it_takes),
        TEST(a_rate_that_no_sample_tells_is_refused),
        TEST(records_without_vectors_do_not_count),
        TEST(what_is_left_of_many_records_is_found),
        TEST(it_does_not_matter_when_it_was_asked_for),
        TEST(it_is_kept_until_much_was_written),
        TEST(collections_that_nobody_asks_for_make_room),
        TEST(memory_may_run_out_anywhere),
    };

    return cmocka_run_group_tests_name("linkage/rates", tests, group_enter,
                                       NULL);
}
