/* tests/daemon/test_cascade.c — records of the older model are found by it, scored
 * by the new one, and stay there as fast as they may. */
#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/bridges.h"
#include "daemon/cascade.h"
#include "tests/daemon/upgrade_service.h"

#define CASCADE ",\"compat\":\"cascade\""

static void rate_set(size_t rate)
{
    lk_throttle_clear(&service.cascades);
    lk_throttle_init(&service.cascades, rate, lk_clock_ns());
}

static void upgraded_make(void)
{
    firms_make();
    start("other");
}

static size_t n_hits_of(const char *way)
{
    size_t n = 0;

    for (size_t i = 0; i < size_at("hits"); i++) {
        char path[32];

        (void)snprintf(path, sizeof(path), "hits.%zu.way", i);
        n += strcmp(json_string_value(at(path)), way) == 0;
    }
    return n;
}

static char *answers_get(const char *options)
{
    lk_buf answers = {0};

    for (int i = 0; i < 20; i++) {
        search_for(i, options);
        for (size_t j = 0; j < size_at("hits"); j++) {
            char path[32];
            const json_t *hit;

            (void)snprintf(path, sizeof(path), "hits.%zu", j);
            hit = at(path);
            assert_int_equal(
                lk_buf_printf(
                    &answers, NULL, "%s %.9g %.9g\n",
                    json_string_value(json_object_get(hit, "id")),
                    json_real_value(json_object_get(hit, "score")),
                    json_real_value(json_object_get(hit, "probability"))),
                LINKD_OK);
        }
    }
    return answers.data;
}

static int64_t moved_count(void)
{
    assert_int_equal(call_json(lk_handle_get_upgrade, "firms", NULL), 200);
    return json_integer_value(at("generations.1.vectors"));
}

static uint64_t metric(const char *name)
{
    lk_buf text = {0};
    const char *line;
    uint64_t value;

    assert_int_equal(lk_metrics_print(service.metrics, &service, &text, NULL),
                     LINKD_OK);
    line = strstr(text.data, name);
    while (line != NULL && line != text.data && line[-1] != '\n')
        line = strstr(line + 1, name);
    assert_non_null(line);
    value = line != NULL ? strtoull(line + strlen(name), NULL, 10) : 0;
    lk_buf_clear(&text);
    return value;
}

/* ---- scores ---------------------------------------------------------------- */

/* With all records as candidates, all that a backfill changes is the price. */
static void a_cascade_of_all_records_answers_as_after_a_backfill(void **state)
{
    char *cascade;
    char *native;

    (void)state;
    upgraded_make();
    cascade = answers_get(CASCADE ",\"candidates\":240,\"k\":20");
    assert_int_equal(n_hits_of("cascade"), 20);
    assert_json_at("hits.0.generation", "2");
    assert_int_equal(moved_count(), 0);
    upgrade_do(lk_handle_upgrade_backfill, NULL);
    native = answers_get(",\"k\":20");
    assert_string_equal(cascade, native);
    free(cascade);
    free(native);
}

static void no_more_than_the_candidates_are_encoded(void **state)
{
    (void)state;
    upgraded_make();
    search_for(7, CASCADE ",\"candidates\":5,\"k\":240");
    assert_int_equal(size_at("hits"), 240);
    assert_int_equal(n_hits_of("cascade"), 5);
    assert_int_equal(n_hits_of("fuse"), 235);
    assert_int_equal(metric("linkd_cascade_encoded_total "), 5);
}

static void a_limit_is_kept_by_the_final_score(void **state)
{
    size_t n_all = 0;

    (void)state;
    upgraded_make();
    search_for(7, CASCADE ",\"candidates\":240,\"k\":240,\"probability\":0.01");
    n_all = size_at("hits");
    assert_in_range(n_all, 1, 200);
    for (size_t i = 0; i < n_all; i++) {
        char path[48];

        (void)snprintf(path, sizeof(path), "hits.%zu.probability", i);
        assert_true(json_real_value(at(path)) >= 0.0099);
    }
    search_for(7, CASCADE ",\"k\":3");
    assert_int_equal(size_at("hits"), 3);
}

static void queries_of_a_list_share_what_is_encoded(void **state)
{
    (void)state;
    upgraded_make();
    assert_int_equal(
        call_json(lk_handle_search, "firms",
                  "{\"queries\":[{\"text\":\"quartz zigzag 0\"},"
                  "{\"text\":\"quartz zigzag 0\"},{\"record\":\"r1\"}],"
                  "\"candidates\":10,\"k\":10,\"compat\":\"cascade\"}"),
        200);
    assert_int_equal(metric("linkd_cascade_encoded_total "), 10);
    assert_text_at("results.0.hits.9.way", "cascade");
    assert_text_at("results.1.hits.9.way", "cascade");
    /* a record's own vector is of the older model: nothing to compare with */
    assert_text_at("results.2.hits.0.way", "native");
}

static void a_collection_of_one_model_is_searched_as_ever(void **state)
{
    char *plain;

    (void)state;
    firms_make();
    search_for(7, "");
    plain = strdup(last.body.data);
    search_for(7, CASCADE);
    assert_string_equal(last.body.data, plain);
    assert_int_equal(metric("linkd_cascade_encoded_total "), 0);
    assert_int_equal(metric("linkd_cascade_degraded_total "), 0);
    free(plain);
}

/* ---- moving ----------------------------------------------------------------- */

static void what_was_encoded_stays_and_scores_the_same(void **state)
{
    json_t *before;

    (void)state;
    upgraded_make();
    rate_set(1000);
    search_for(7, CASCADE ",\"candidates\":30,\"k\":10");
    before = json_deep_copy(at("hits.0.score"));
    assert_int_equal(moved_count(), 30);
    assert_int_equal(metric("linkd_cascade_moved_total "), 30);
    search_for(7, ",\"k\":10");
    assert_text_at("hits.0.way", "native");
    assert_true(json_equal(at("hits.0.score"), before));
    json_decref(before);
    store_check();
}

/* The best of them first. */
static void no_more_than_the_rate_lets_through_is_moved(void **state)
{
    char first[16];

    (void)state;
    upgraded_make();
    search_for(7, ",\"k\":1");
    (void)snprintf(first, sizeof(first), "%s",
                   json_string_value(at("hits.0.id")));
    rate_set(1);
    search_for(7, CASCADE ",\"candidates\":30,\"k\":10");
    assert_int_equal(n_hits_of("cascade"), 10);
    assert_int_equal(moved_count(), 1);
    assert_int_equal(metric("linkd_cascade_degraded_total "), 0);
    search_for(7, ",\"k\":240");
    assert_int_equal(n_hits_of("native"), 1);
    for (size_t i = 0; i < 240; i++) {
        char path[32];

        (void)snprintf(path, sizeof(path), "hits.%zu.way", i);
        if (strcmp(json_string_value(at(path)), "native") != 0)
            continue;
        (void)snprintf(path, sizeof(path), "hits.%zu.id", i);
        assert_text_at(path, first);
    }
    store_check();
}

/* ---- what goes wrong ---------------------------------------------------------- */

/* A query by vector needs no model until its hits are to be encoded. */
static void without_the_model_a_search_goes_on(void **state)
{
    lk_buf body = {0};

    (void)state;
    upgraded_make();
    assert_int_equal(
        lk_buf_printf(&body, NULL, "{\"k\":3" CASCADE ",\"vector\":[1"),
        LINKD_OK);
    for (size_t i = 1; i < TINY_DIM; i++)
        assert_int_equal(lk_buf_printf(&body, NULL, ",0.1"), LINKD_OK);
    assert_int_equal(lk_buf_printf(&body, NULL, "]}"), LINKD_OK);
    assert_int_equal(call_json(lk_handle_search, "firms", body.data), 200);
    assert_int_equal(n_hits_of("cascade"), 3);
    model_hide("other");
    assert_int_equal(call_json(lk_handle_search, "firms", body.data), 200);
    assert_int_equal(n_hits_of("align"), 3);
    assert_int_equal(metric("linkd_cascade_degraded_total "), 1);
    model_show("other");
    lk_buf_clear(&body);
}

static void cascade_begin(lk_request *request, lk_cascade *ret_cascade)
{
    linkd_collection_info info;
    linkd_view *view = NULL;
    const linkd_found found[] = {{.id = 5, .generation = 1},
                                 {.id = 3, .generation = 1},
                                 {.id = 3, .generation = 1},
                                 {.id = 4, .generation = 2}};

    assert_int_equal(linkd_store_describe(service.store,
                                          (linkd_str){"firms", 5},
                                          &request->arena, &info, NULL),
                     LINKD_OK);
    lk_cascade_open(&service, request, (linkd_str){"firms", 5}, &info, 10,
                    ret_cascade);
    assert_non_null(ret_cascade->model);
    lk_cascade_add(ret_cascade, found, 4);
    assert_int_equal(
        linkd_view_open(service.store, (linkd_str){"firms", 5}, &view, NULL),
        LINKD_OK);
    lk_cascade_read(ret_cascade, view);
    linkd_view_close(view);
}

/* It would be moved with the vector of its former text. */
static void a_record_that_was_written_meanwhile_is_left_alone(void **state)
{
    lk_request request = {.deadline_ns = UINT64_MAX};
    lk_cascade cascade;

    (void)state;
    upgraded_make();
    rate_set(10);
    cascade_begin(&request, &cascade);
    assert_int_equal(cascade.n, 2);
    record_put("firms", "{\"id\":\"r3\",\"fields\":{\"name\":\"anew\"}}");
    lk_cascade_encode(&cascade);
    assert_int_equal(cascade.n_fresh, 2);
    assert_int_equal(cascade.fresh[0].number, 3);
    lk_cascade_write(&cascade);
    assert_int_equal(metric("linkd_cascade_moved_total "), 1);
    assert_int_equal(moved_count(), 2);
    store_check();
    lk_arena_clear(&request.arena);
}

static void a_vector_of_another_text_scores_nothing(void **state)
{
    lk_request request = {.deadline_ns = UINT64_MAX};
    linkd_limit limit = {LINKD_LIMIT_NONE, 0.0};
    linkd_found found[2] = {
        {.id = 3, .score = 0.5F, .generation = 1, .way = LINKD_WAY_ALIGN},
        {.id = 5, .score = 0.4F, .generation = 1, .way = LINKD_WAY_ALIGN}};
    const linkd_bridges *bridges = NULL;
    linkd_mixed_query query = {.generation = 2};
    linkd_view *view = NULL;
    lk_cascade cascade;
    size_t n = 2;

    (void)state;
    upgraded_make();
    cascade_begin(&request, &cascade);
    lk_cascade_encode(&cascade);
    cascade.fresh[0].seq++;
    query.vector = cascade.fresh[1].vector;
    assert_int_equal(
        linkd_view_open(service.store, (linkd_str){"firms", 5}, &view, NULL),
        LINKD_OK);
    assert_int_equal(lk_bridges_get(service.bridges, view, &bridges, NULL),
                     LINKD_OK);
    assert_int_equal(linkd_mixed_rescore(bridges, view, &query, cascade.fresh,
                                         cascade.n_fresh, &limit, 2, found, &n,
                                         NULL),
                     LINKD_OK);
    assert_int_equal(n, 2);
    assert_int_equal(found[0].id, 5);
    assert_int_equal(found[0].way, LINKD_WAY_CASCADE);
    assert_true(fabsf(found[0].score - 1.0F) < 1e-5F);
    assert_int_equal(found[1].way, LINKD_WAY_ALIGN);
    assert_true(found[1].score == 0.5F);
    lk_bridges_release(service.bridges, bridges);
    linkd_view_close(view);
    lk_arena_clear(&request.arena);
}

/* Half of the time that is left is none. */
static void a_request_without_time_goes_on_without_a_cascade(void **state)
{
    lk_request request = {.deadline_ns = 1};
    lk_cascade cascade;

    (void)state;
    upgraded_make();
    cascade_begin(&request, &cascade);
    lk_cascade_encode(&cascade);
    assert_int_equal(cascade.n_fresh, 0);
    assert_int_equal(metric("linkd_cascade_degraded_total "), 1);
    lk_cascade_write(&cascade);
    assert_int_equal(moved_count(), 0);
    lk_arena_clear(&request.arena);
}

static void a_rollback_meanwhile_leaves_records_where_they_are(void **state)
{
    lk_request request = {.deadline_ns = UINT64_MAX};
    lk_cascade cascade;

    (void)state;
    upgraded_make();
    rate_set(10);
    cascade_begin(&request, &cascade);
    lk_cascade_encode(&cascade);
    assert_int_equal(call_json(lk_handle_upgrade_rollback, "firms", ""), 200);
    lk_cascade_write(&cascade);
    assert_int_equal(metric("linkd_cascade_degraded_total "), 1);
    assert_int_equal(metric("linkd_cascade_moved_total "), 0);
    store_check();
    lk_arena_clear(&request.arena);
}

static void refused(const char *body, const char *why)
{
    assert_int_equal(call_json(lk_handle_search, "firms", body), 400);
    assert_problem(400, "bad_request", why);
}

static void what_does_not_go_together_is_refused(void **state)
{
    (void)state;
    firms_make();
    refused("{\"text\":\"a\",\"candidates\":5}",
            "\"candidates\" needs \"compat\": \"cascade\"");
    refused("{\"text\":\"a\",\"all\":true,\"threshold\":0.5" CASCADE "}",
            "\"all\" takes no cascade");
    refused("{\"text\":\"a\",\"compat\":\"waterfall\"}",
            "\"compat\" is not fuse, align, cascade or native");
    assert_int_equal(call_json(lk_handle_search, "firms",
                               "{\"text\":\"a\",\"candidates\":0" CASCADE "}"),
                     400);
}

#define TEST(name)                                                             \
 cmocka_unit_test_setup_teardown(name, job_service_enter, job_service_leave)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_cascade_of_all_records_answers_as_after_a_backfill),
        TEST(no_more_than_the_candidates_are_encoded),
        TEST(a_limit_is_kept_by_the_final_score),
        TEST(queries_of_a_list_share_what_is_encoded),
        TEST(a_collection_of_one_model_is_searched_as_ever),
        TEST(what_was_encoded_stays_and_scores_the_same),
        TEST(no_more_than_the_rate_lets_through_is_moved),
        TEST(without_the_model_a_search_goes_on),
        TEST(a_record_that_was_written_meanwhile_is_left_alone),
        TEST(a_vector_of_another_text_scores_nothing),
        TEST(a_request_without_time_goes_on_without_a_cascade),
        TEST(a_rollback_meanwhile_leaves_records_where_they_are),
        TEST(what_does_not_go_together_is_refused),
    };

    return cmocka_run_group_tests(tests, upgrade_group_enter,
                                  service_group_leave);
}
