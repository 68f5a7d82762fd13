/* tests/index/test_search.c — searches against a search that anybody can read,
 * while records come, change and go. */
#include "tests/index/oracle.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/alloc_fail.h"

#define K         ((size_t)10)
#define N_QUERIES ((size_t)7)
#define N_CHANGES ((size_t)2000)
#define CUT       ((uint64_t)2048) /* the second segment is too small for FAISS */

static void hits_equal(const linkd_hit *hits, const linkd_hit *expected,
                       size_t n)
{
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(hits[i].id, expected[i].id);
        assert_memory_equal(&hits[i].score, &expected[i].score, sizeof(float));
    }
}

/* Hits that are not the true ones must be worse, in order and alive. Answers
 * how many are true. */
static size_t hits_judge(const linkd_hit *hits, const linkd_hit *expected,
                         size_t k)
{
    size_t n_true = 0;

    for (size_t i = 0; i < k; i++) {
        assert_true((hits[i].id == LINKD_ID_NONE) ==
                    (expected[i].id == LINKD_ID_NONE));
        assert_true(hits[i].score <= expected[i].score);
        for (size_t j = 0; j < k; j++)
            if (hits[i].id == expected[j].id) {
                assert_true(hits[i].score == expected[j].score);
                n_true++;
            }
    }
    return n_true;
}

/* Searches both ways, with filters and without, and adds to the recall of the
 * approximate way. */
static void searches_compare(size_t *n_true, size_t *n_hits)
{
    static const uint64_t group_counts[] = {1000, 500, 50, 1};
    float queries[N_QUERIES * DIM];
    linkd_hit hits[N_QUERIES * K];
    linkd_hit expected[K];
    linkd_search_stats stats;
    linkd_view *view = view_open();

    for (size_t i = 0; i < N_QUERIES; i++)
        random_vector(queries + i * DIM);
    for (size_t g = 0; g < 4; g++) {
        linkd_search_options options = LINKD_SEARCH_OPTIONS_INIT;
        linkd_selection *selection =
            select_groups(view, (double)group_counts[g]);

        options.selection = g == 0 ? NULL : selection;
        for (int exact = 0; exact < 2; exact++) {
            options.exact = exact == 1;
            options.effort = 64; /* as if the collection were large */
            assert_int_equal(linkd_view_search(view, queries, N_QUERIES,
                                               &options, hits, &stats, &err),
                             LINKD_OK);
            assert_int_equal(stats.exact, exact == 1 || g > 1);
            for (size_t i = 0; i < N_QUERIES; i++) {
                *n_hits += oracle_search(queries + i * DIM, K, group_counts[g],
                                         expected);
                if (stats.exact)
                    hits_equal(hits + i * K, expected, K);
                *n_true += hits_judge(hits + i * K, expected, K);
            }
        }
        linkd_selection_free(selection);
    }
    linkd_view_close(view);
}

static void searches_find_what_is_there_through_all_changes(void **state)
{
    size_t n_true = 0;
    size_t n_hits = 0;

    (void)state;
    oracle_reset(20261124);
    oracle_fill(0, ORACLE_IDS);
    oracle_build_segments(CUT);
    for (size_t i = 1; i <= N_CHANGES; i++) {
        oracle_change();
        if (i % 100 == 0)
            searches_compare(&n_true, &n_hits);
        if (i % 500 == 0) {
            scratch_store_reopen();
            oracle_build_segments(CUT);
        }
    }
    assert_true((double)n_true >= 0.95 * (double)n_hits);
}

static void a_row_is_short_only_when_no_more_records_exist(void **state)
{
    linkd_search_options options = LINKD_SEARCH_OPTIONS_INIT;
    linkd_hit *hits = calloc(ORACLE_IDS, sizeof(*hits));
    float query[DIM];
    linkd_view *view;

    (void)state;
    oracle_reset(2);
    oracle_fill(0, 2500);
    oracle_build_segments(CUT);
    view = view_open();
    random_vector(query);
    options.k = ORACLE_IDS;
    options.exclude = oracle[7].number;
    options.effort = ORACLE_IDS;
    assert_int_equal(
        linkd_view_search(view, query, 1, &options, hits, NULL, &err),
        LINKD_OK);
    assert_true(hits[2498].id != LINKD_ID_NONE);
    assert_true(hits[2499].id == LINKD_ID_NONE);
    for (size_t i = 0; i < 2499; i++)
        assert_true(hits[i].id != oracle[7].number);
    linkd_view_close(view);
    free(hits);
}

static void deleted_candidates_are_made_up_for(void **state)
{
    linkd_search_options options = LINKD_SEARCH_OPTIONS_INIT;
    linkd_hit hits[K];
    linkd_hit expected[64];
    linkd_search_stats stats;
    char name[32];
    float query[DIM];
    linkd_view *view;

    (void)state;
    oracle_reset(3);
    oracle_fill(0, ORACLE_IDS);
    oracle_build_segments(CUT);
    random_vector(query);
    (void)oracle_search(query, 64, 1000, expected);
    for (size_t i = 0; i < ORACLE_IDS; i++)
        for (size_t j = 0; j < 64; j++)
            if (oracle[i].number == expected[j].id) {
                (void)snprintf(name, sizeof(name), "r%zu", i);
                assert_int_equal(delete_one(name).n_deleted, 1);
                oracle[i].exists = false;
            }
    view = view_open();
    options.effort = 32;
    assert_int_equal(
        linkd_view_search(view, query, 1, &options, hits, &stats, &err),
        LINKD_OK);
    assert_int_equal(stats.n_segments, 2);
    assert_int_equal(oracle_search(query, K, 1000, expected), K);
    hits_equal(hits, expected, K);
    linkd_view_close(view);
}

/* A candidate costs a look-up and a row of floats from anywhere in the file, and
 * FAISS has put them into nearly the right order. */
static void only_the_first_candidates_are_scored(void **state)
{
    static const size_t efforts[2] = {64, 512};
    linkd_search_options options = LINKD_SEARCH_OPTIONS_INIT;
    linkd_search_stats stats[2];
    linkd_hit hits[K];
    linkd_hit expected[K];
    float query[DIM];
    linkd_view *view;

    (void)state;
    oracle_reset(8);
    oracle_fill(0, ORACLE_IDS);
    oracle_build_segments(CUT);
    view = view_open();
    random_vector(query);
    assert_int_equal(oracle_search(query, K, 1000, expected), K);
    for (size_t i = 0; i < 2; i++) {
        options.effort = efforts[i];
        assert_int_equal(
            linkd_view_search(view, query, 1, &options, hits, &stats[i], &err),
            LINKD_OK);
        hits_equal(hits, expected, K);
    }
    /* in each of two segments a fourth, at least 32 */
    assert_int_equal(stats[0].n_segments, 2);
    assert_int_equal(stats[1].n_scanned - stats[0].n_scanned,
                     2 * (512 / 4 - 32));
    linkd_view_close(view);
}

static void a_threshold_cuts_and_an_exclusion_moves_up(void **state)
{
    linkd_search_options options = LINKD_SEARCH_OPTIONS_INIT;
    linkd_hit hits[K];
    linkd_hit expected[K + 1];
    float query[DIM];
    linkd_view *view;

    (void)state;
    oracle_reset(4);
    oracle_fill(0, 300);
    view = view_open();
    random_vector(query);
    (void)oracle_search(query, K + 1, 1000, expected);
    options.exclude = expected[0].id;
    assert_int_equal(
        linkd_view_search(view, query, 1, &options, hits, NULL, &err),
        LINKD_OK);
    hits_equal(hits, expected + 1, K);
    options.threshold = expected[3].score;
    assert_int_equal(
        linkd_view_search(view, query, 1, &options, hits, NULL, &err),
        LINKD_OK);
    hits_equal(hits, expected + 1, 3);
    assert_true(hits[3].id == LINKD_ID_NONE);
    linkd_view_close(view);
}

static void a_range_holds_all_that_score_enough(void **state)
{
    linkd_search_options options = LINKD_SEARCH_OPTIONS_INIT;
    linkd_hit *expected = calloc(ORACLE_IDS, sizeof(*expected));
    linkd_hit *hits = NULL;
    size_t n = 0;
    float query[DIM];
    linkd_view *view;

    (void)state;
    oracle_reset(5);
    oracle_fill(0, ORACLE_IDS);
    oracle_build_segments(CUT);
    view = view_open();
    random_vector(query);
    (void)oracle_search(query, ORACLE_IDS, 1000, expected);
    for (int exact = 0; exact < 2; exact++) {
        options.exact = exact == 1;
        options.threshold = expected[899].score;
        assert_int_equal(
            linkd_view_range(view, query, &options, &hits, &n, NULL, &err),
            LINKD_OK);
        assert_int_equal(n, 900);
        hits_equal(hits, expected, n);
        free(hits);
    }
    options.threshold = 2.0F;
    assert_int_equal(
        linkd_view_range(view, query, &options, &hits, &n, NULL, &err),
        LINKD_OK);
    assert_int_equal(n, 0);
    free(hits);
    linkd_view_close(view);
    free(expected);
}

static void what_cannot_be_searched_is_refused(void **state)
{
    linkd_search_options options = LINKD_SEARCH_OPTIONS_INIT;
    float queries[2 * DIM] = {1.0F};
    linkd_hit hits[2 * K] = {{.id = 42}};
    linkd_view *view = view_open();

    (void)state;
    queries[DIM] = NAN;
    assert_int_equal(
        linkd_view_search(view, queries, 2, &options, hits, NULL, &err),
        LINKD_E_ARG);
    assert_string_equal(err.message, "query 1 is not finite");
    options.k = 0;
    assert_int_equal(
        linkd_view_search(view, queries, 1, &options, hits, NULL, &err),
        LINKD_E_ARG);
    assert_string_equal(err.message, "k is 0, not 1 to 10000");
    options.k = K;
    options.threshold = NAN;
    assert_int_equal(
        linkd_view_search(view, queries, 1, &options, hits, NULL, &err),
        LINKD_E_ARG);
    assert_int_equal(hits[0].id, 42);
    linkd_view_close(view);
}

static bool stop_always(void *ctx)
{
    ++*(int *)ctx;
    return true;
}

static void a_search_stops_when_it_is_told_to(void **state)
{
    static float queries[1000 * DIM];
    static linkd_hit hits[1000];
    linkd_search_options options = LINKD_SEARCH_OPTIONS_INIT;
    int n_asked = 0;
    linkd_view *view;

    (void)state;
    oracle_reset(6);
    oracle_fill(0, ORACLE_IDS);
    view = view_open();
    options.k = 1;
    options.stop_cb = stop_always;
    options.stop_ctx = &n_asked;
    assert_int_equal(
        linkd_view_search(view, queries, 1000, &options, hits, NULL, &err),
        LINKD_E_CANCELLED);
    assert_int_equal(n_asked, 1);
    linkd_view_close(view);
}

static void running_out_of_memory_is_reported(void **state)
{
    linkd_search_options options = LINKD_SEARCH_OPTIONS_INIT;
    float query[DIM];
    linkd_hit hits[K];
    linkd_hit *range = NULL;
    size_t n_range = 0;
    linkd_view *view;
    int rc = LINKD_OK;

    (void)state;
    oracle_reset(7);
    oracle_fill(0, ORACLE_IDS);
    oracle_build_segments(CUT);
    view = view_open();
    random_vector(query);
    options.effort = 64;
    for (size_t n = 1;; n++) {
        alloc_fail_at(n);
        rc = linkd_view_search(view, query, 1, &options, hits, NULL, &err);
        if (!alloc_fail_off())
            break;
        assert_int_equal(rc, LINKD_E_NOMEM);
    }
    assert_int_equal(rc, LINKD_OK);
    options.threshold = 0.9F;
    for (size_t n = 1;; n++) {
        alloc_fail_at(n);
        rc = linkd_view_range(view, query, &options, &range, &n_range, NULL,
                              &err);
        if (rc == LINKD_OK)
            free(range);
        if (!alloc_fail_off())
            break;
        /* giving memory back may fail without harm */
        assert_true(rc == LINKD_E_NOMEM || rc == LINKD_OK);
    }
    assert_int_equal(rc, LINKD_OK);
    linkd_view_close(view);
}

int main(void)
{
#define TEST(name)                                                             \
 cmocka_unit_test_setup_teardown(name, scratch_store_enter, scratch_store_leave)
    const struct CMUnitTest tests[] = {
        TEST(searches_find_what_is_there_through_all_changes),
        TEST(a_row_is_short_only_when_no_more_records_exist),
        TEST(deleted_candidates_are_made_up_for),
        TEST(only_the_first_candidates_are_scored),
        TEST(a_threshold_cuts_and_an_exclusion_moves_up),
        TEST(a_range_holds_all_that_score_enough),
        TEST(what_cannot_be_searched_is_refused),
        TEST(a_search_stops_when_it_is_told_to),
        TEST(running_out_of_memory_is_reported),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
