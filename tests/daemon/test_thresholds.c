/* tests/daemon/test_thresholds.c — a collection whose threshold is a false-match rate
 * or a probability, before and after its model is changed. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/daemon/upgrade_service.h"

#define RATE "{\"false_match_rate\":0.01}"

static void firms_with(const char *threshold, int n_records)
{
    char body[128];

    (void)snprintf(body, sizeof(body), "{\"text\":[\"name\"],\"threshold\":%s}",
                   threshold);
    collection_create("firms", body);
    records_put("firms", 0, n_records);
}

/* What every record finds within the collection's threshold; freed with free(). */
static char *neighbours_get(size_t *ret_n)
{
    lk_buf all = {0};

    *ret_n = 0;
    for (int i = 0; i < N_RECORDS; i++) {
        char body[64];

        (void)snprintf(body, sizeof(body), "{\"record\":\"r%d\",\"all\":true}",
                       i);
        assert_int_equal(call_json(lk_handle_search, "firms", body), 200);
        *ret_n += size_at("hits");
        for (size_t j = 0; j < size_at("hits"); j++) {
            char path[32];

            (void)snprintf(path, sizeof(path), "hits.%zu.id", j);
            assert_int_equal(
                lk_buf_printf(&all, NULL, "%s ", json_string_value(at(path))),
                LINKD_OK);
        }
        assert_int_equal(lk_buf_printf(&all, NULL, "\n"), LINKD_OK);
    }
    return all.data;
}

/* That of all pairs of records about one in a hundred is within it. */
static char *rate_check(const char *when)
{
    size_t n;
    char *all = neighbours_get(&n);
    double rate = (double)n / (double)(N_RECORDS * (N_RECORDS - 1));

    if (rate < 0.006 || rate > 0.014)
        fail_msg("%s: a rate of %g", when, rate);
    return all;
}

/* Before and after a start, and after a rollback, it is the same score to the bit. */
static void a_rate_is_the_same_through_an_upgrade(void **state)
{
    char *before;
    char *after;

    (void)state;
    firms_with(RATE, N_RECORDS);
    before = rate_check("before");
    start("other");
    after = rate_check("after the start");
    assert_string_equal(before, after);
    free(after);
    upgrade_do(lk_handle_upgrade_backfill, "{\"limit\":120}");
    free(rate_check("half backfilled"));
    upgrade_do(lk_handle_upgrade_backfill, NULL);
    free(rate_check("all backfilled"));
    assert_int_equal(call_json(lk_handle_upgrade_rollback, "firms", ""), 200);
    after = rate_check("after the rollback");
    assert_string_equal(before, after);
    free(after);
    free(before);
    assert_int_equal(call_json(lk_handle_get_collection, "firms", NULL), 200);
    assert_json_at("threshold", RATE);
}

static int attach(const char *id, const char *name, const char *threshold)
{
    char body[192];

    (void)snprintf(body, sizeof(body),
                   "{\"id\":\"%s\",\"fields\":{\"name\":\"%s\"}%s}", id, name,
                   threshold);
    return call_json(lk_handle_attach, "firms", body);
}

/* Decisions are those of the score that the rate comes to. */
static void attach_goes_by_the_collections_rate(void **state)
{
    char name[64];

    (void)state;
    name_write(7, name, sizeof(name));
    firms_with("{\"false_match_rate\":0.001}", N_RECORDS);
    assert_int_equal(attach("twin", name, ""), 200);
    assert_text_at("match.id", "r7");
    assert_int_equal(attach("odd", "j", ""), 200);
    assert_json_at("new", "true");
    assert_int_equal(
        attach("near", "w", ",\"threshold\":{\"false_match_rate\":0.9}"), 200);
    assert_json_at("new", "false");
    start("other");
    assert_int_equal(attach("twin2", name, ""), 200);
    assert_json_at("new", "false");
    assert_int_equal(attach("odd2", "x", ""), 200);
    assert_json_at("new", "true");
}

static void a_text_is_searched_by_a_rate(void **state)
{
    size_t n_few, n_many;

    (void)state;
    firms_make();
    search_for(1, ",\"k\":240,\"false_match_rate\":0.01");
    n_few = size_at("hits");
    search_for(1, ",\"k\":240,\"threshold\":{\"false_match_rate\":0.01}");
    assert_int_equal(size_at("hits"), n_few);
    search_for(1, ",\"all\":true,\"false_match_rate\":0.01");
    assert_int_equal(size_at("hits"), n_few);
    search_for(1, ",\"k\":240,\"false_match_rate\":0.3");
    n_many = size_at("hits");
    assert_true(n_few >= 1 && n_few < 12 && n_many > 24 && n_many < 144);
}

/* It has to say which model it is of. */
static void a_probability_waits_for_a_scale(void **state)
{
    static const char refusal[] =
        "\"probability\" is known only of a collection whose model was "
        "changed: an upgrade's start makes its scale";
    char name[64];

    (void)state;
    name_write(7, name, sizeof(name));
    firms_with("{\"probability\":0.2}", N_RECORDS);
    (void)attach("twin", name, "");
    assert_problem(400, "bad_request", refusal);
    (void)call_json(lk_handle_search, "firms",
                    "{\"record\":\"r1\",\"all\":true}");
    assert_problem(400, "bad_request", refusal);
    assert_int_equal(attach("other", name, ",\"threshold\":0.99"), 200);
    start("other");
    assert_int_equal(attach("twin", name, ""), 200);
    assert_json_at("new", "false");
    assert_int_equal(
        attach("sure", name, ",\"threshold\":{\"probability\":0.999}"), 200);
    assert_json_at("new", "true");
}

static void too_few_records_store_nothing(void **state)
{
    (void)state;
    firms_with(RATE, 50);
    (void)attach("twin", "quartz", "");
    assert_problem(400, "bad_request",
                   "\"false_match_rate\": 0.01 takes 104 records with vectors "
                   "to compare, and there are 48");
    (void)call_json(lk_handle_search, "firms",
                    "{\"text\":\"quartz\",\"false_match_rate\":0.001}");
    assert_problem(400, "bad_request",
                   "\"false_match_rate\": 0.001 takes 160 records with vectors "
                   "to compare, and there are 48");
    assert_int_equal(call_json(lk_handle_get_collection, "firms", NULL), 200);
    assert_json_at("records", "50");
}

/* They decide by probability or min_score, and need no threshold. */
static void jobs_run_whatever_the_threshold_is(void **state)
{
    uint64_t number;

    (void)state;
    firms_with("{\"probability\":0.5}", 50);
    number = job_submit("{\"kind\":\"dedup\",\"input\":{\"collection\":"
                        "\"firms\"},\"apply\":true}");
    job_wait(number);
    assert_text_at("state", "done");
}

#define TEST(name)                                                             \
 cmocka_unit_test_setup_teardown(name, job_service_enter, job_service_leave)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_rate_is_the_same_through_an_upgrade),
        TEST(attach_goes_by_the_collections_rate),
        TEST(a_text_is_searched_by_a_rate),
        TEST(a_probability_waits_for_a_scale),
        TEST(too_few_records_store_nothing),
        TEST(jobs_run_whatever_the_threshold_is),
    };

    return cmocka_run_group_tests(tests, upgrade_group_enter,
                                  service_group_leave);
}
