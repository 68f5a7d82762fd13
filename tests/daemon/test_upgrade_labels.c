/* tests/daemon/test_upgrade_labels.c — entities that a user knows ask, answer and
 * teach. */
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

#define N_ENTITIES 24

static void append(lk_buf *body, const char *text)
{
    assert_int_equal(lk_buf_append(body, text, strlen(text), NULL), LINKD_OK);
}

/* Beside "r<8i>" there is "t<i>", of nearly the same name. */
static void twins_make(void)
{
    char name[64];
    char record[128];

    firms_make();
    for (int i = 0; i < N_ENTITIES; i++) {
        name_write(8 * i, name, sizeof(name));
        (void)snprintf(record, sizeof(record),
                       "{\"id\":\"t%d\",\"fields\":{\"name\":\"%s x\"}}", i,
                       name);
        record_put("firms", record);
    }
}

/* The twins of `shift` entities further on are labelled as one. */
static void labels_put(lk_buf *body, int n, int shift)
{
    append(body, ",\"labels\":[");
    for (int i = 0; i < n; i++)
        assert_int_equal(lk_buf_printf(body, NULL,
                                       "%s{\"id\":\"r%d\",\"entity\":\"e%d\"},"
                                       "{\"id\":\"t%d\",\"entity\":\"e%d\"}",
                                       i > 0 ? "," : "", 8 * i, i,
                                       (i + shift) % n, i),
                         LINKD_OK);
    append(body, "]");
}

static void probe(int n, int shift, const char *options)
{
    lk_buf body = {0};

    append(&body, "{\"model\":\"other\"");
    append(&body, options);
    labels_put(&body, n, shift);
    append(&body, "}");
    upgrade_do(lk_handle_upgrade_probe, body.data);
    lk_buf_clear(&body);
}

/* The query's own record, which is there, would come first. */
static void a_record_asks_for_the_others_of_its_entity(void **state)
{
    (void)state;
    twins_make();
    probe(N_ENTITIES, 0, "");
    assert_text_at("verdict.queries", "labelled");
    assert_json_at("verdict.n_queries", "24");
    assert_true(json_real_value(at("verdict.ways.old.mrr_10")) > 0.9);
    assert_true(json_real_value(at("verdict.ways.new.mrr_10")) > 0.9);
    assert_true(json_real_value(at("verdict.ways.cascade.mrr_10")) > 0.9);
    assert_true(json_real_value(at("verdict.curve.points.0.mrr_10")) > 0.9);
}

static void labels_that_are_wrong_find_little(void **state)
{
    (void)state;
    twins_make();
    probe(N_ENTITIES, 1, "");
    assert_json_at("verdict.n_queries", "24");
    assert_true(json_real_value(at("verdict.ways.old.recall_1")) < 0.2);
}

static void a_start_with_labels_keeps_its_anchors_only(void **state)
{
    lk_buf body = {0};

    (void)state;
    twins_make();
    append(&body, "{\"model\":\"other\",\"anchors\":100");
    labels_put(&body, N_ENTITIES, 0);
    append(&body, "}");
    upgrade_do(lk_handle_upgrade_start, body.data);
    assert_json_at("verdict.anchors", "100");
    search_for(5, ",\"k\":1");
    assert_text_at("hits.0.id", "r5");
    store_check();
    lk_buf_clear(&body);
}

/* Twins answer although the queries name other records, which are labelled as
 * theirs. */
static void what_is_labelled_as_the_answer_answers(void **state)
{
    lk_buf options = {0};
    char name[64];

    (void)state;
    twins_make();
    append(&options, ",\"queries\":[");
    for (int i = 0; i < N_ENTITIES; i++) {
        name_write(8 * ((i + N_ENTITIES - 1) % N_ENTITIES), name, sizeof(name));
        assert_int_equal(lk_buf_printf(&options, NULL,
                                       "%s{\"query\":\"%s x\",\"id\":\"r%d\"}",
                                       i > 0 ? "," : "", name, 8 * i),
                         LINKD_OK);
    }
    append(&options, "]");
    /* label i has r<8i> and t<i-1>: of the query's name */
    probe(N_ENTITIES, N_ENTITIES - 1, options.data);
    assert_text_at("verdict.queries", "given");
    assert_true(json_real_value(at("verdict.ways.old.mrr_10")) > 0.9);
    lk_buf_clear(&options);
}

/* Beginnings of 24 names. */
static void queries_put(lk_buf *body)
{
    char name[64];

    append(body, ",\"queries\":[");
    for (int i = 0; i < N_ENTITIES; i++) {
        name_write(8 * i + 3, name, sizeof(name));
        assert_int_equal(lk_buf_printf(body, NULL,
                                       "%s{\"query\":\"%.9s\",\"id\":\"r%d\"}",
                                       i > 0 ? "," : "", name, 8 * i + 3),
                         LINKD_OK);
    }
    append(body, "]");
}

static void one_entity_is_enough_beside_queries(void **state)
{
    lk_buf body = {0};

    (void)state;
    twins_make();
    append(&body, "{\"model\":\"other\"");
    queries_put(&body);
    append(&body, ",\"labels\":[{\"id\":\"r3\",\"entity\":\"e\"},"
                  "{\"id\":\"r4\",\"entity\":\"e\"}]}");
    upgrade_do(lk_handle_upgrade_probe, body.data);
    assert_text_at("verdict.queries", "given");
    lk_buf_clear(&body);
}

/* ---- heads that learn from labels ------------------------------------------------ */

/* The job of labels and queries. */
typedef struct job {
    lk_arena arena;
    json_t *json;
    lk_job_spec spec;
} job;

static void job_read(const char *members, job *ret_job)
{
    lk_buf body = {0};

    *ret_job = (job){0};
    append(&body, "{\"kind\":\"upgrade-probe\",\"collection\":\"firms\","
                  "\"model\":\"other\"");
    append(&body, members);
    append(&body, "}");
    ret_job->json = json_loads(body.data, 0, NULL);
    assert_non_null(ret_job->json);
    assert_int_equal(
        lk_job_spec_read(ret_job->json, &ret_job->arena, &ret_job->spec, NULL),
        LINKD_OK);
    lk_buf_clear(&body);
}

static void job_clear(job *j)
{
    json_decref(j->json);
    lk_arena_clear(&j->arena);
}

/* Pairs of one entity, both of which are fitted on. */
static size_t fitted_pairs(const lk_upgrade_sample *s)
{
    size_t n = 0;

    for (size_t i = 0; i < s->n; i++)
        for (size_t j = 0; j < i; j++)
            n += !s->held[i] && !s->held[j] && s->labels[i] == s->labels[j];
    return n;
}

static void answers_check(const lk_upgrade_sample *s)
{
    for (size_t q = 0; q < s->n_queries; q++)
        for (size_t i = 0; i < s->n; i++)
            if (s->groups[i] == s->groups[s->answers[q]])
                assert_true(s->held[i]);
}

/* Most twins are no anchors. */
static void entities_that_do_not_ask_teach(void **state)
{
    lk_upgrade_sample sample;
    lk_buf members = {0};
    job j;

    (void)state;
    twins_make();
    append(&members, ",\"head\":\"contrast\"");
    labels_put(&members, N_ENTITIES, 0);
    job_read(members.data, &j);
    assert_int_equal(sample_make(&j.spec, N_NAMES, &sample, NULL), LINKD_OK);
    assert_int_equal(sample.n_queries, N_ENTITIES / 2);
    assert_int_equal(fitted_pairs(&sample), N_ENTITIES / 2);
    answers_check(&sample);
    lk_upgrade_sample_clear(&sample);
    job_clear(&j);
    lk_buf_clear(&members);
}

/* All but the time that it took. */
static char *verdict_of(int shift, const char *options)
{
    json_t *verdict;
    char *text;

    probe(N_ENTITIES, shift, options);
    assert_text_at("verdict.head", "contrast");
    verdict = json_deep_copy(at("verdict"));
    assert_int_equal(json_object_del(verdict, "backfill_seconds"), 0);
    text = json_dumps(verdict, JSON_COMPACT);
    json_decref(verdict);
    return text;
}

/* Nothing else differs: what is asked, and what is fitted on, is the same. */
static void a_head_learns_from_labels(void **state)
{
    lk_buf options = {0};
    char *right;
    char *again;
    char *wrong;

    (void)state;
    twins_make();
    append(&options, ",\"head\":\"contrast\"");
    queries_put(&options);
    right = verdict_of(0, options.data);
    again = verdict_of(0, options.data);
    wrong = verdict_of(1, options.data);
    assert_string_equal(right, again);
    assert_string_not_equal(right, wrong);
    free(right);
    free(again);
    free(wrong);
    lk_buf_clear(&options);
}

/* Of the anchors 24 can be held out; 20 of them answer. */
static void what_is_fitted_on_does_not_answer(void **state)
{
    lk_upgrade_sample sample;
    lk_buf members = {0};
    size_t n_held = 0;
    job j;

    (void)state;
    twins_make();
    append(&members, ",\"queries\":[");
    for (int i = 0; i < 20; i++)
        assert_int_equal(lk_buf_printf(&members, NULL,
                                       "%s{\"query\":\"q%d\",\"id\":\"r%d\"}",
                                       i > 0 ? "," : "", i, i),
                         LINKD_OK);
    append(&members, "],\"labels\":[");
    for (int i = 0; i < 60; i++)
        assert_int_equal(lk_buf_printf(&members, NULL,
                                       "%s{\"id\":\"r%d\",\"entity\":\"e%d\"}",
                                       i > 0 ? "," : "", i, i % 20),
                         LINKD_OK);
    append(&members, "]");
    job_read(members.data, &j);
    assert_int_equal(sample_make(&j.spec, N_NAMES, &sample, NULL), LINKD_OK);
    answers_check(&sample);
    for (size_t i = 0; i < sample.n; i++)
        n_held += sample.held[i];
    assert_int_equal(n_held, N_NAMES / LINKD_ANCHORS_HELD);
    lk_upgrade_sample_clear(&sample);
    job_clear(&j);
    lk_buf_clear(&members);
}

/* Queries that only their answers could come before would find too much. */
static void beside_few_answers_others_are_held_out(void **state)
{
    lk_upgrade_sample sample;
    lk_buf members = {0};
    size_t n_held = 0;
    job j;

    (void)state;
    twins_make();
    append(&members, ",\"queries\":[");
    for (int i = 0; i < 10; i++)
        assert_int_equal(lk_buf_printf(&members, NULL,
                                       "%s{\"query\":\"q%d\",\"id\":\"r%d\"}",
                                       i > 0 ? "," : "", i, i),
                         LINKD_OK);
    append(&members, "]");
    job_read(members.data, &j);
    assert_int_equal(sample_make(&j.spec, N_NAMES, &sample, NULL), LINKD_OK);
    answers_check(&sample);
    for (size_t i = 0; i < sample.n; i++)
        n_held += sample.held[i];
    assert_int_equal(n_held, N_NAMES / LINKD_ANCHORS_HELD);
    lk_upgrade_sample_clear(&sample);
    job_clear(&j);
    lk_buf_clear(&members);
}

/* ---- what cannot be ------------------------------------------------------------- */

static void probe_fails(const char *labels, const char *why)
{
    lk_buf body = {0};

    assert_int_equal(lk_buf_printf(&body, NULL,
                                   "{\"model\":\"other\",\"labels\":[%s]}",
                                   labels),
                     LINKD_OK);
    (void)upgrade_run(lk_handle_upgrade_probe, body.data);
    assert_text_at("state", "failed");
    if (strstr(json_string_value(at("error")), why) == NULL)
        fail_msg("%s", last.body.data);
    lk_buf_clear(&body);
}

static void labels_that_tell_nothing_are_refused(void **state)
{
    (void)state;
    twins_make();
    probe_fails("{\"id\":\"r0\",\"entity\":\"e\"},"
                "{\"id\":\"t0\",\"entity\":\"e\"}",
                "the labels are of one entity");
    probe_fails("{\"id\":\"r0\",\"entity\":\"e\"},"
                "{\"id\":\"t0\",\"entity\":\"e\"},"
                "{\"id\":\"r8\",\"entity\":\"f\"}",
                "1 different queries can be asked, at least 10 are needed: "
                "labels ask one for each entity of two records or more");
    probe_fails("{\"id\":\"r0\",\"entity\":\"e\"},"
                "{\"id\":\"r999\",\"entity\":\"f\"}",
                "there is no record \"r999\", which a label names");
    assert_int_equal(call_json(lk_handle_get_upgrade, "firms", NULL), 200);
    assert_json_at("serving", "1");
    store_check();
}

/* Ten entities ask, and that is all of them. */
static void labels_that_only_ask_teach_nothing(void **state)
{
    lk_buf body = {0};

    (void)state;
    twins_make();
    append(&body, "{\"model\":\"other\",\"head\":\"contrast\"");
    labels_put(&body, 10, 0);
    append(&body, "}");
    (void)upgrade_run(lk_handle_upgrade_probe, body.data);
    assert_text_at("state", "failed");
    assert_text_at("error",
                   "the head learns nothing from the labels: they name "
                   "no entity of two records beside those that are "
                   "asked for");
    lk_buf_clear(&body);
}

static void labels_of_a_wrong_form_are_refused(void **state)
{
    (void)state;
    firms_make();
    assert_int_equal(call_json(lk_handle_upgrade_probe, "firms",
                               "{\"model\":\"other\",\"labels\":5}"),
                     400);
    assert_problem(400, "bad_request",
                   "\"labels\" is not an array of 2 to 50000 labels");
    assert_int_equal(call_json(lk_handle_upgrade_probe, "firms",
                               "{\"model\":\"other\",\"labels\":["
                               "{\"id\":\"r1\",\"entity\":\"e\"},"
                               "{\"id\":\"r2\"}]}"),
                     400);
    assert_problem(400, "bad_request",
                   "label 1 has no \"id\" or no \"entity\"");
}

#define TEST(name)                                                             \
 cmocka_unit_test_setup_teardown(name, job_service_enter, job_service_leave)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_record_asks_for_the_others_of_its_entity),
        TEST(labels_that_are_wrong_find_little),
        TEST(a_start_with_labels_keeps_its_anchors_only),
        TEST(what_is_labelled_as_the_answer_answers),
        TEST(one_entity_is_enough_beside_queries),
        TEST(entities_that_do_not_ask_teach),
        TEST(a_head_learns_from_labels),
        TEST(what_is_fitted_on_does_not_answer),
        TEST(beside_few_answers_others_are_held_out),
        TEST(labels_that_tell_nothing_are_refused),
        TEST(labels_that_only_ask_teach_nothing),
        TEST(labels_of_a_wrong_form_are_refused),
    };

    return cmocka_run_group_tests(tests, upgrade_group_enter,
                                  service_group_leave);
}
