/* tests/daemon/test_upgrade_queries.c — a user's own queries take the place of
 * those that are made up; and what all of it will cost. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/upgrade.h"
#include "tests/daemon/upgrade_service.h"

/* Appends a query, by the name of record `query`, for the record `found`. */
static void query_put(lk_buf *body, int query, int found)
{
    char name[64];

    name_write(query, name, sizeof(name));
    assert_int_equal(
        lk_buf_printf(body, NULL, "%s{\"query\":\"%s\",\"id\":\"r%d\"}",
                      body->data[body->len - 1] == '[' ? "" : ",", name, found),
        LINKD_OK);
}

static void body_begin(lk_buf *body, const char *options)
{
    assert_int_equal(lk_buf_printf(body, NULL,
                                   "{\"model\":\"other\"%s,\"queries\":[",
                                   options),
                     LINKD_OK);
}

static void probe(lk_buf *body)
{
    assert_int_equal(lk_buf_printf(body, NULL, "]}"), LINKD_OK);
    upgrade_do(lk_handle_upgrade_probe, body->data);
    assert_text_at("verdict.queries", "given");
    lk_buf_clear(body);
}

/* Records answer their own names under any model. */
static void given_queries_are_asked_instead(void **state)
{
    lk_buf body = {0};

    (void)state;
    firms_make();
    body_begin(&body, "");
    for (int i = 0; i < 30; i++)
        query_put(&body, 8 * i + 1, 8 * i + 1);
    probe(&body);
    assert_json_at("verdict.n_queries", "30");
    assert_json_at("verdict.anchors", "240");
    assert_json_at("verdict.ways.old.mrr_10", "1.0");
    assert_json_at("verdict.ways.new.mrr_10", "1.0");
    assert_text_at("verdict.verdict", "no-upgrade-needed");
}

/* And wrong ones are not found: it is the answers that are looked at. */
static void an_answer_is_what_the_user_says_it_is(void **state)
{
    lk_buf body = {0};

    (void)state;
    firms_make();
    body_begin(&body, "");
    for (int i = 0; i < 30; i++)
        query_put(&body, 8 * i + 1, 8 * (i < 10 ? i + 10 : i) + 1);
    probe(&body);
    assert_true(json_real_value(at("verdict.ways.old.recall_1")) < 0.7);
}

static void one_of_several_answers_is_enough(void **state)
{
    lk_buf body = {0};

    (void)state;
    firms_make();
    body_begin(&body, "");
    for (int i = 0; i < 20; i++) {
        query_put(&body, 8 * i + 1, 8 * i + 2);
        query_put(&body, 8 * i + 1, 8 * i + 1);
    }
    probe(&body);
    assert_json_at("verdict.n_queries", "20");
    assert_json_at("verdict.ways.old.mrr_10", "1.0");
    assert_json_at("verdict.curve.points.0.mrr_10", "1.0");
}

/* With 100 anchors of 240 records most answers are none. */
static void answers_need_not_be_among_the_anchors(void **state)
{
    lk_buf body = {0};

    (void)state;
    firms_make();
    body_begin(&body, ",\"anchors\":100");
    for (int i = 0; i < 24; i++)
        query_put(&body, 10 * i + 1, 10 * i + 1);
    probe(&body);
    assert_json_at("verdict.n_queries", "24");
    assert_json_at("verdict.anchors", "100");
    assert_json_at("verdict.ways.old.mrr_10", "1.0");
}

/* Something has to be left to fit on. */
static void no_more_than_a_fifth_of_the_anchors_is_held_out(void **state)
{
    lk_buf body = {0};

    (void)state;
    firms_make();
    body_begin(&body, "");
    for (int i = 0; i < N_RECORDS; i++)
        query_put(&body, i, i);
    probe(&body);
    assert_json_at("verdict.n_queries", "48");
}

/* What is kept are the anchors, as without queries. */
static void a_start_with_queries_keeps_its_anchors_only(void **state)
{
    lk_buf body = {0};

    (void)state;
    firms_make();
    body_begin(&body, ",\"anchors\":100");
    for (int i = 0; i < 24; i++)
        query_put(&body, 10 * i + 1, 10 * i + 1);
    assert_int_equal(lk_buf_printf(&body, NULL, "]}"), LINKD_OK);
    upgrade_do(lk_handle_upgrade_start, body.data);
    search_for(5, ",\"k\":1");
    assert_text_at("hits.0.id", "r5");
    lk_buf_reset(&body);
    assert_int_equal(
        lk_buf_printf(&body, NULL, "{\"model\":\"third\",\"queries\":["),
        LINKD_OK);
    for (int i = 7; i < 27; i++)
        query_put(&body, i, i);
    assert_int_equal(lk_buf_printf(&body, NULL, "]}"), LINKD_OK);
    upgrade_do(lk_handle_upgrade_start, body.data);
    assert_json_at("verdict.anchors", "100");
    search_for(5, ",\"k\":1");
    assert_text_at("hits.0.id", "r5");
    store_check();
    lk_buf_clear(&body);
}

static void the_same_queries_have_the_same_verdict(void **state)
{
    char *verdicts[2];

    (void)state;
    firms_make();
    for (size_t run = 0; run < 2; run++) {
        lk_buf body = {0};
        json_t *verdict;

        body_begin(&body, "");
        for (int i = 0; i < 60; i++)
            query_put(&body, 4 * i + 1, 4 * i + 1);
        probe(&body);
        verdict = json_deep_copy(at("verdict"));
        assert_int_equal(json_object_del(verdict, "backfill_seconds"), 0);
        verdicts[run] = json_dumps(verdict, JSON_COMPACT);
        json_decref(verdict);
    }
    assert_string_equal(verdicts[0], verdicts[1]);
    free(verdicts[0]);
    free(verdicts[1]);
}

static void probe_fails(lk_buf *body, const char *why)
{
    assert_int_equal(lk_buf_printf(body, NULL, "]}"), LINKD_OK);
    (void)upgrade_run(lk_handle_upgrade_probe, body->data);
    assert_text_at("state", "failed");
    if (strstr(json_string_value(at("error")), why) == NULL)
        fail_msg("%s", last.body.data);
    lk_buf_clear(body);
}

static void an_answer_that_does_not_exist_is_named(void **state)
{
    lk_buf body = {0};

    (void)state;
    firms_make();
    body_begin(&body, "");
    for (int i = 0; i < 20; i++)
        query_put(&body, i, i < 19 ? i : 999);
    probe_fails(&body, "there is no record \"r999\", which a query looks for");
}

/* Nine texts, whatever the number of lines. */
static void too_few_different_queries_are_refused(void **state)
{
    lk_buf body = {0};

    (void)state;
    firms_make();
    body_begin(&body, "");
    for (int i = 0; i < 18; i++)
        query_put(&body, i % 9, i);
    probe_fails(&body, "9 different queries can be asked, at least 10");
}

/* No anchors, and there is room for five texts that are none. */
static void no_more_is_added_than_a_fit_takes(void **state)
{
    lk_job_query queries[12];
    char ids[12][8];
    const lk_job_spec spec = {.queries = queries, .n_queries = 12};
    lk_upgrade_sample sample;
    linkd_error err = {0};

    (void)state;
    firms_make();
    for (int i = 0; i < 12; i++) {
        int n = snprintf(ids[i], sizeof(ids[i]), "r%d", N_RECORDS - 1 - i);

        queries[i].id = queries[i].text = (linkd_str){ids[i], (size_t)n};
    }
    assert_int_equal(sample_make(&spec, LINKD_ANCHORS_MAX - 5, &sample, &err),
                     LINKD_E_ARG);
    assert_string_equal(
        err.message,
        "5 different queries can be asked, at least 10 are needed");
    assert_int_equal(sample.n, LINKD_ANCHORS_MAX);
    lk_upgrade_sample_clear(&sample);
}

static void refused(const char *queries, const char *why)
{
    lk_buf body = {0};

    assert_int_equal(lk_buf_printf(&body, NULL,
                                   "{\"model\":\"other\",\"queries\":%s}",
                                   queries),
                     LINKD_OK);
    assert_int_equal(call_json(lk_handle_upgrade_probe, "firms", body.data),
                     400);
    assert_problem(400, "bad_request", why);
    lk_buf_clear(&body);
}

#define NINE                                                                   \
 "{\"query\":\"a\",\"id\":\"r1\"},{\"query\":\"a\",\"id\":\"r1\"},"            \
 "{\"query\":\"a\",\"id\":\"r1\"},{\"query\":\"a\",\"id\":\"r1\"},"            \
 "{\"query\":\"a\",\"id\":\"r1\"},{\"query\":\"a\",\"id\":\"r1\"},"            \
 "{\"query\":\"a\",\"id\":\"r1\"},{\"query\":\"a\",\"id\":\"r1\"},"            \
 "{\"query\":\"a\",\"id\":\"r1\"}"

static void queries_of_a_wrong_form_are_refused(void **state)
{
    (void)state;
    firms_make();
    refused("5", "\"queries\" is not an array of 10 to 10000 queries");
    refused("[" NINE "]", "\"queries\" is not an array of 10 to 10000 queries");
    refused("[" NINE ",{\"query\":\"a\"}]",
            "query 9 has no \"query\" or no \"id\"");
    refused("[" NINE ",{\"query\":\"a\",\"id\":\"r1\",\"x\":1}]",
            "query 9 has an unknown member \"x\"");
}

/* ---- what it will cost ------------------------------------------------------- */

static double estimated(const char *head)
{
    char body[64];

    (void)snprintf(body, sizeof(body), "{\"model\":\"other\",\"head\":\"%s\"}",
                   head);
    assert_int_equal(call_json(lk_handle_upgrade_estimate, "firms", body), 200);
    return json_number_value(at("fit_seconds"));
}

/* With half of the sample they would take less, and a network takes more. */
static void fits_are_part_of_the_cost(void **state)
{
    double fit, texts, seconds;

    (void)state;
    firms_make();
    fit = estimated("auto");
    assert_true(fit > 0.0);
    texts = json_number_value(at("texts")) *
            json_number_value(at("seconds_per_text"));
    seconds = json_number_value(at("seconds"));
    assert_true(seconds > texts - 0.001 && seconds > fit - 0.001);
    if (!(fabs(seconds - texts - fit) < 0.003))
        fail_msg("%g is not %g and %g", seconds, texts, fit);
    assert_true(estimated("mlp") > fit);
}

static void the_cost_is_told_beforehand(void **state)
{
    (void)state;
    firms_make();
    assert_int_equal(call_json(lk_handle_upgrade_estimate, "firms",
                               "{\"model\":\"other\",\"anchors\":100}"),
                     200);
    assert_json_at("records", "240");
    /* 100 by the new model, and 20 queries by two models */
    assert_json_at("texts", "140");
    /* and one begun fifth more */
    assert_int_equal(call_json(lk_handle_upgrade_estimate, "firms",
                               "{\"model\":\"other\",\"anchors\":101}"),
                     200);
    assert_json_at("texts", "143");
    assert_true(json_number_value(at("seconds_per_text")) > 0.0);
    assert_true(json_number_value(at("backfill_seconds")) > 0.0);
    assert_int_equal(
        call_json(lk_handle_upgrade_estimate, "firms", "{\"model\":\"tiny\"}"),
        409);
}

/* What an estimate says of 20 entities of two records. */
static void assert_labelled_texts(const char *members, const char *texts)
{
    lk_buf body = {0};

    assert_int_equal(lk_buf_printf(&body, NULL,
                                   "{\"model\":\"other\"%s,\"labels\":[",
                                   members),
                     LINKD_OK);
    for (int i = 0; i < 40; i++)
        assert_int_equal(lk_buf_printf(&body, NULL,
                                       "%s{\"id\":\"r%d\",\"entity\":\"e%d\"}",
                                       i > 0 ? "," : "", 6 * i, i / 2),
                         LINKD_OK);
    assert_int_equal(lk_buf_printf(&body, NULL, "]}"), LINKD_OK);
    assert_int_equal(call_json(lk_handle_upgrade_estimate, "firms", body.data),
                     200);
    assert_json_at("texts", texts);
    lk_buf_clear(&body);
}

/* Under two models 20 queries, and what is labelled: 40 texts, as long as so many
 * records are no anchors. */
static void what_is_no_anchor_costs_something_too(void **state)
{
    (void)state;
    firms_make();
    assert_labelled_texts(",\"anchors\":100", "220");
    assert_labelled_texts(",\"anchors\":230", "290");
    assert_labelled_texts("", "280");
}

static void a_model_that_was_there_before_costs_nothing(void **state)
{
    (void)state;
    firms_make();
    start("other");
    assert_int_equal(call_json(lk_handle_upgrade_rollback, "firms", ""), 200);
    assert_int_equal(
        call_json(lk_handle_upgrade_estimate, "firms", "{\"model\":\"other\"}"),
        200);
    assert_json_at("texts", "0");
}

static void a_collection_without_records_costs_nothing(void **state)
{
    (void)state;
    collection_create("firms", "{\"text\":[\"name\"]}");
    assert_int_equal(
        call_json(lk_handle_upgrade_estimate, "firms", "{\"model\":\"other\"}"),
        200);
    assert_json_at("texts", "0");
    assert_json_at("records", "0");
}

#define TEST(name)                                                             \
 cmocka_unit_test_setup_teardown(name, job_service_enter, job_service_leave)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(given_queries_are_asked_instead),
        TEST(an_answer_is_what_the_user_says_it_is),
        TEST(one_of_several_answers_is_enough),
        TEST(answers_need_not_be_among_the_anchors),
        TEST(no_more_than_a_fifth_of_the_anchors_is_held_out),
        TEST(a_start_with_queries_keeps_its_anchors_only),
        TEST(the_same_queries_have_the_same_verdict),
        TEST(an_answer_that_does_not_exist_is_named),
        TEST(too_few_different_queries_are_refused),
        TEST(no_more_is_added_than_a_fit_takes),
        TEST(queries_of_a_wrong_form_are_refused),
        TEST(fits_are_part_of_the_cost),
        TEST(the_cost_is_told_beforehand),
        TEST(what_is_no_anchor_costs_something_too),
        TEST(a_model_that_was_there_before_costs_nothing),
        TEST(a_collection_without_records_costs_nothing),
    };

    return cmocka_run_group_tests(tests, upgrade_group_enter,
                                  service_group_leave);
}
