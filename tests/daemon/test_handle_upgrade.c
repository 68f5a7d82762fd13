/* tests/daemon/test_handle_upgrade.c — a collection gets another model and is
 * searched meanwhile: every record is found, by its own model or by the one that
 * serves, and going back finds everything as it was. */
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

static void assert_near(double a, double b)
{
    if (!(fabs(a - b) < 0.0005))
        fail_msg("%g is not near %g", a, b);
}

/* ---- start ------------------------------------------------------------------ */

static void a_start_serves_the_new_model_and_moves_no_record(void **state)
{
    (void)state;
    firms_make();
    start("other");
    assert_text_at("verdict.queries", "provisional");
    assert_int_equal(json_integer_value(at("counts.generation")), 2);
    assert_int_equal(call_json(lk_handle_get_upgrade, "firms", NULL), 200);
    assert_json_at("serving", "2");
    assert_json_at("previous", "1");
    assert_json_at("remaining", "240");
    assert_text_at("generations.0.state", "old");
    assert_text_at("generations.0.way", "fuse");
    assert_text_at("generations.1.state", "serving");
    assert_text_at("generations.1.model", "other");
    assert_json_at("generations.0.percent", "100.0");
    assert_int_equal(call_json(lk_handle_get_collection, "firms", NULL), 200);
    assert_text_at("model", "other");
    assert_json_at("generation", "2");
    assert_found(0, 20, 1, "fuse");
    store_check();
}

static void new_records_are_of_the_new_model(void **state)
{
    (void)state;
    firms_make();
    start("other");
    records_put("firms", N_RECORDS, N_RECORDS + 10);
    records_put("firms", 3, 4);
    assert_found(N_RECORDS, N_RECORDS + 10, 2, "native");
    assert_found(3, 4, 2, "native");
    assert_found(4, 10, 1, "fuse");
    store_check();
}

static void without_the_old_model_queries_are_aligned(void **state)
{
    (void)state;
    firms_make();
    start("other");
    model_hide("tiny");
    search_for(5, ",\"k\":1");
    assert_text_at("hits.0.way", "align");
    assert_int_equal(call_json(lk_handle_get_upgrade, "firms", NULL), 200);
    assert_text_at("generations.0.way", "align");
    assert_json_at("generations.0.present", "false");
    assert_text_at("quality.expected_way", "align");
    assert_near(json_number_value(at("quality.expected")),
                json_number_value(at("quality.mrr_10.align")));
    model_show("tiny");
    search_for(5, ",\"k\":1,\"compat\":\"align\"");
    assert_text_at("hits.0.way", "align");
}

/* A probe says what a start would, and changes nothing. */
static void a_probe_changes_nothing(void **state)
{
    (void)state;
    firms_make();
    upgrade_do(lk_handle_upgrade_probe, "{\"model\":\"other\"}");
    assert_true(is_there("verdict.verdict"));
    assert_true(is_there("verdict.difference.low"));
    assert_true(is_there("verdict.backfill_seconds"));
    assert_true(is_there("verdict.ways.cascade.gain.low"));
    assert_int_equal(size_at("verdict.matrix.fuse"), 2);
    assert_true(is_there("verdict.curve.area"));
    assert_int_equal(size_at("verdict.scores.fuse.matches"), 40);
    assert_int_equal(size_at("verdict.log_odds.new.others"), 40);
    assert_true(size_at("verdict.examples.better") <= 5);
    assert_true(size_at("verdict.examples.worse") <= 5);
    assert_int_equal(call_json(lk_handle_get_upgrade, "firms", NULL), 200);
    assert_json_at("serving", "1");
    assert_int_equal(size_at("generations"), 1);
    search_for(5, ",\"k\":1");
    assert_false(is_there("hits.0.generation"));
}

static bool never(void *ctx)
{
    (void)ctx;
    return false;
}

/* Appends a step's name when it begins. */
static int step_note(void *ctx, const char *step, uint64_t done, uint64_t total)
{
    lk_buf *steps = ctx;

    (void)done;
    (void)total;
    if (steps->len == 0 || strstr(steps->data, step) == NULL)
        assert_int_equal(lk_buf_printf(steps, NULL, "%s ", step), LINKD_OK);
    return 0;
}

/* So that whoever waits knows for what. */
static void a_probe_tells_its_steps(void **state)
{
    static const char text[] = "{\"kind\":\"upgrade-probe\",\"collection\":"
                               "\"firms\",\"model\":\"other\"}";
    json_t *request = json_loads(text, 0, NULL);
    lk_buf steps = {0};
    linkd_progress progress = {step_note, &steps};
    lk_arena arena = {0};
    lk_job_spec spec;
    lk_job_outcome outcome = {0};
    const lk_job_run run = {.service = &service,
                            .spec = &spec,
                            .dir = ".",
                            .progress = &progress,
                            .stop_cb = never};

    (void)state;
    firms_make();
    assert_int_equal(lk_job_spec_read(request, &arena, &spec, NULL), LINKD_OK);
    assert_int_equal(lk_upgrade_start(&run, &outcome, NULL), LINKD_OK);
    assert_string_equal(steps.data, "encode fit judge ");
    json_decref(outcome.verdict);
    json_decref(outcome.counts);
    json_decref(request);
    lk_arena_clear(&arena);
    lk_buf_clear(&steps);
}

/* A prompt that leaves no room for the query: whoever asks behind it finds
 * nothing, while records are as they were. */
static void the_verdict_is_on_queries_behind_their_prompt(void **state)
{
    (void)state;
    prompted_model_make(
        "deaf", 7,
        "{\"prompts\": {\"query\": \""
        "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz"
        "zzzzzzzzzzzzzzzz\"}}");
    firms_make();
    upgrade_do(lk_handle_upgrade_probe, "{\"model\":\"other\"}");
    assert_true(json_number_value(at("verdict.ways.new.mrr_10")) > 0.5);
    upgrade_do(lk_handle_upgrade_probe, "{\"model\":\"deaf\"}");
    assert_true(json_number_value(at("verdict.ways.new.mrr_10")) < 0.1);
    assert_true(json_number_value(at("verdict.ways.old.mrr_10")) > 0.5);
}

/* A start, whose model is found under afterwards, and the way back from it: an
 * entity for each pair of names. */
static void head_serves(const char *head)
{
    lk_buf body = {0};
    int rc = lk_buf_printf(
        &body, NULL, "{\"model\":\"other\",\"head\":\"%s\",\"labels\":[", head);

    for (int i = 0; i < N_RECORDS && rc == LINKD_OK; i++)
        rc = lk_buf_printf(&body, NULL, "%s{\"id\":\"r%d\",\"entity\":\"e%d\"}",
                           i > 0 ? "," : "", i, i % 96);
    assert_int_equal(rc, LINKD_OK);
    assert_int_equal(lk_buf_printf(&body, NULL, "]}"), LINKD_OK);
    upgrade_do(lk_handle_upgrade_start, body.data);
    lk_buf_clear(&body);
    assert_text_at("verdict.head", head);
    assert_found(0, 5, 1, "fuse");
    assert_int_equal(call_json(lk_handle_upgrade_rollback, "firms", ""), 200);
    upgrade_do(lk_handle_upgrade_gc, "{}");
}

static void each_head_can_be_asked_for(void **state)
{
    static const char *const heads[] = {"procrustes", "ridge", "bt2", "mlp",
                                        "contrast"};

    (void)state;
    firms_make();
    for (size_t i = 0; i < sizeof(heads) / sizeof(*heads); i++)
        head_serves(heads[i]);
}

/* ---- the collection's way ----------------------------------------------------- */

static void a_search_goes_the_collections_way(void **state)
{
    (void)state;
    firms_make();
    upgrade_do(lk_handle_upgrade_start,
               "{\"model\":\"other\",\"way\":\"align\"}");
    assert_int_equal(call_json(lk_handle_get_upgrade, "firms", NULL), 200);
    assert_text_at("way", "align");
    assert_text_at("generations.0.way", "align");
    search_for(5, ",\"k\":1");
    assert_text_at("hits.0.way", "align");
    search_for(5, ",\"k\":1,\"compat\":\"fuse\"");
    assert_text_at("hits.0.way", "fuse");
    search_for(5, ",\"k\":1,\"compat\":\"cascade\"");
    assert_text_at("hits.0.way", "cascade");
}

/* What a search cannot have together it has by fuse, unless it asks for both. */
static void a_collection_of_cascades_encodes_what_it_finds(void **state)
{
    (void)state;
    firms_make();
    upgrade_do(lk_handle_upgrade_start,
               "{\"model\":\"other\",\"way\":\"cascade\"}");
    assert_int_equal(call_json(lk_handle_get_upgrade, "firms", NULL), 200);
    assert_text_at("generations.0.way", "cascade");
    search_for(7, ",\"all\":true,\"threshold\":0.9");
    assert_text_at("hits.0.way", "fuse");
    search_for(5, ",\"k\":1,\"candidates\":10");
    assert_text_at("hits.0.id", "r5");
    assert_text_at("hits.0.way", "cascade");
    store_check();
}

/* A way is of the generation that serves: a rollback leaves it, and a start that
 * finds its generation there changes it. */
static void a_way_ends_with_its_generation(void **state)
{
    (void)state;
    firms_make();
    upgrade_do(lk_handle_upgrade_start,
               "{\"model\":\"other\",\"way\":\"align\"}");
    assert_int_equal(call_json(lk_handle_upgrade_rollback, "firms", ""), 200);
    assert_int_equal(call_json(lk_handle_get_upgrade, "firms", NULL), 200);
    assert_text_at("way", "fuse");
    upgrade_do(lk_handle_upgrade_start,
               "{\"model\":\"other\",\"way\":\"cascade\"}");
    assert_int_equal(call_json(lk_handle_get_upgrade, "firms", NULL), 200);
    assert_text_at("way", "cascade");
    store_check();
}

/* ---- backfill, rollback, gc --------------------------------------------------- */

static void a_backfill_moves_records_and_stops_at_its_limit(void **state)
{
    (void)state;
    firms_make();
    start("other");
    upgrade_do(lk_handle_upgrade_backfill, "{\"limit\":100}");
    assert_json_at("counts.moved", "100");
    assert_found(0, 5, 2, "native");
    assert_found(200, 205, 1, "fuse");
    upgrade_do(lk_handle_upgrade_backfill, "{\"rate\":100000}");
    assert_json_at("counts.moved", "140");
    upgrade_do(lk_handle_upgrade_backfill, NULL);
    assert_json_at("counts.moved", "0");
    assert_int_equal(call_json(lk_handle_get_upgrade, "firms", NULL), 200);
    assert_json_at("remaining", "0");
    assert_json_at("generations.0.inactive", "240");
    store_check();
}

/* A hundred of 240 are anchors. */
static void what_start_has_encoded_is_not_encoded_again(void **state)
{
    uint64_t n_before;

    (void)state;
    firms_make();
    upgrade_do(lk_handle_upgrade_start,
               "{\"model\":\"other\",\"anchors\":100}");
    n_before = encoded_count();
    upgrade_do(lk_handle_upgrade_backfill, "{\"limit\":120}");
    upgrade_do(lk_handle_upgrade_backfill, NULL);
    assert_json_at("counts.moved", "120");
    assert_json_at("counts.encoded", "70");
    assert_int_equal(encoded_count() - n_before, 140);
    /* all are as if they had been encoded */
    for (int i = 0; i < 240; i++) {
        search_for(i, ",\"k\":1");
        assert_text_at("hits.0.way", "native");
        assert_json_at("hits.0.score", "1.0");
    }
    store_check();
}

/* What the start has measured is kept, and told beside what is left. */
static void a_status_tells_how_good_it_is_and_what_is_left(void **state)
{
    double mrr[3];
    double seconds;

    (void)state;
    firms_make();
    upgrade_do(lk_handle_upgrade_start,
               "{\"model\":\"other\",\"anchors\":100}");
    mrr[0] = json_number_value(at("verdict.ways.fuse.mrr_10"));
    mrr[1] = json_number_value(at("verdict.curve.points.3.mrr_10"));
    mrr[2] = json_number_value(at("verdict.ways.new.mrr_10"));
    seconds = json_number_value(at("verdict.backfill_seconds")) / 240.0;
    assert_true(seconds > 0.0);
    assert_int_equal(call_json(lk_handle_get_upgrade, "firms", NULL), 200);
    assert_text_at("quality.queries", "provisional");
    assert_json_at("quality.n_queries", "20");
    assert_true(is_there("quality.mrr_10.old"));
    assert_int_equal(size_at("quality.curve"), 7);
    assert_near(json_number_value(at("quality.mrr_10.fuse")), mrr[0]);
    assert_near(json_number_value(at("quality.mrr_10.new")), mrr[2]);
    assert_near(json_number_value(at("quality.expected")), mrr[0]);
    assert_text_at("quality.expected_way", "fuse");
    assert_false(is_there("generations.0.mrr_10"));
    assert_json_at("to_encode", "140");
    assert_near(json_number_value(at("seconds_left")) / 140.0, seconds);
    upgrade_do(lk_handle_upgrade_backfill, "{\"limit\":120}");
    assert_int_equal(call_json(lk_handle_get_upgrade, "firms", NULL), 200);
    assert_near(json_number_value(at("quality.expected")), mrr[1]);
    assert_json_at("to_encode", "70");
    upgrade_do(lk_handle_upgrade_backfill, NULL);
    assert_int_equal(call_json(lk_handle_get_upgrade, "firms", NULL), 200);
    assert_near(json_number_value(at("quality.expected")), mrr[2]);
    assert_json_at("to_encode", "0");
    assert_near(json_number_value(at("seconds_left")), 0.0);
    assert_int_equal(call_json(lk_handle_upgrade_rollback, "firms", ""), 200);
    assert_int_equal(call_json(lk_handle_get_upgrade, "firms", NULL), 200);
    assert_true(json_is_null(at("quality")));
    store_check();
}

/* Searches that were answered before it count, and those for records that have
 * moved do not. */
static void a_backfill_begins_with_what_is_found_most(void **state)
{
    (void)state;
    firms_make();
    start("other");
    search_for(150, ",\"k\":1");
    search_for(220, ",\"k\":1");
    search_for(220, ",\"k\":1");
    upgrade_do(lk_handle_upgrade_backfill, "{\"limit\":1}");
    assert_found(220, 221, 2, "native");
    assert_found(150, 151, 1, "fuse");
    upgrade_do(lk_handle_upgrade_backfill, "{\"limit\":3}");
    assert_found(150, 151, 2, "native");
    assert_found(0, 2, 2, "native");
    assert_found(2, 3, 1, "fuse");
    upgrade_do(lk_handle_upgrade_backfill, NULL);
    assert_json_at("counts.moved", "236");
    assert_json_at("counts.without_words", "0");
    store_check();
}

static uint64_t slow_backfill_begin(void)
{
    uint64_t number;

    assert_int_equal(
        call_json(lk_handle_upgrade_backfill, "firms", "{\"rate\":1}"), 202);
    number = (uint64_t)json_integer_value(at("job"));
    do {
        assert_int_equal(job_call(lk_handle_get_job, number), 200);
    } while (!json_is_object(at("progress")));
    return number;
}

static void a_slow_backfill_holds_up_no_other_job(void **state)
{
    uint64_t backfill;
    uint64_t number;

    (void)state;
    firms_make();
    start("other");
    backfill = slow_backfill_begin();
    number = job_submit("{\"kind\":\"dedup\",\"input\":{\"collection\":"
                        "\"firms\"}}");
    job_wait(number);
    assert_text_at("state", "done");
    assert_int_equal(job_call(lk_handle_get_job, backfill), 200);
    assert_text_at("state", "running");
    assert_int_equal(job_call(lk_handle_cancel_job, backfill), 200);
    job_wait(backfill);
    assert_text_at("state", "cancelled");
    store_check();
}

/* Else a start could take the generation away that is being filled. */
static void changes_of_one_collection_take_their_turns(void **state)
{
    uint64_t backfill;
    uint64_t gc;

    (void)state;
    firms_make();
    start("other");
    backfill = slow_backfill_begin();
    assert_int_equal(call_json(lk_handle_upgrade_gc, "firms", "{}"), 202);
    gc = (uint64_t)json_integer_value(at("job"));
    job_wait(job_submit("{\"kind\":\"dedup\",\"input\":{\"collection\":"
                        "\"firms\"}}"));
    assert_int_equal(job_call(lk_handle_get_job, gc), 200);
    assert_text_at("state", "queued");
    assert_int_equal(job_call(lk_handle_cancel_job, backfill), 200);
    job_wait(gc);
    assert_text_at("state", "done");
    store_check();
}

static void a_rollback_answers_as_before_the_start(void **state)
{
    char *before;
    char *after;

    (void)state;
    firms_make();
    before = first_answers(",\"k\":20");
    start("other");
    upgrade_do(lk_handle_upgrade_backfill, "{\"limit\":100}");
    assert_int_equal(call_json(lk_handle_upgrade_rollback, "firms", ""), 200);
    assert_json_at("serving", "1");
    assert_json_at("moved", "100");
    after = first_answers(",\"k\":20");
    assert_string_equal(before, after);
    free(before);
    free(after);
    store_check();
    assert_int_equal(call_json(lk_handle_upgrade_rollback, "firms", ""), 409);
    assert_problem(409, "conflict", "there is no generation to go back to");
}

/* They are reached by the map the other way. */
static void records_of_between_are_found_after_a_rollback(void **state)
{
    (void)state;
    firms_make();
    start("other");
    records_put("firms", N_RECORDS, N_RECORDS + 5);
    assert_int_equal(call_json(lk_handle_upgrade_rollback, "firms", ""), 200);
    assert_found(0, 5, 1, "native");
    assert_found(N_RECORDS, N_RECORDS + 5, 2, "fuse");
    model_hide("other");
    search_for(N_RECORDS, ",\"k\":1");
    assert_true(size_at("hits") == 1);
    model_show("other");
    upgrade_do(lk_handle_upgrade_backfill, NULL);
    assert_json_at("counts.moved", "5");
    assert_found(N_RECORDS, N_RECORDS + 5, 1, "native");
    store_check();
}

/* Its generation is there: nothing is fitted or encoded again. */
static void a_start_after_a_rollback_goes_on(void **state)
{
    (void)state;
    firms_make();
    start("other");
    upgrade_do(lk_handle_upgrade_backfill, "{\"limit\":100}");
    assert_int_equal(call_json(lk_handle_upgrade_rollback, "firms", ""), 200);
    start("other");
    assert_json_at("counts.encoded", "0");
    assert_json_at("counts.records", "100");
    assert_json_at("counts.generation", "2");
    assert_found(0, 5, 2, "native");
    store_check();
}

static void gc_frees_what_was_left_behind(void **state)
{
    (void)state;
    firms_make();
    start("other");
    upgrade_do(lk_handle_upgrade_backfill, NULL);
    upgrade_do(lk_handle_upgrade_gc, NULL);
    assert_json_at("counts.vectors", "240");
    assert_json_at("counts.generations", "1");
    assert_int_equal(call_json(lk_handle_upgrade_rollback, "firms", ""), 409);
    assert_problem(409, "conflict", "the generation to go back to was freed");
    assert_found(0, 5, 2, "native");
    store_check();
    start("third");
    assert_found(0, 5, 2, "fuse");
    store_check();
}

/* Every generation by a map of its own, fitted on the same anchors. */
static void three_models_at_once(void **state)
{
    (void)state;
    firms_make();
    start("other");
    upgrade_do(lk_handle_upgrade_backfill, "{\"limit\":80}");
    start("third");
    upgrade_do(lk_handle_upgrade_backfill, "{\"limit\":40}");
    assert_int_equal(call_json(lk_handle_get_upgrade, "firms", NULL), 200);
    assert_int_equal(size_at("generations"), 3);
    assert_json_at("remaining", "200");
    assert_found(0, 5, 3, "native");
    assert_found(60, 65, 2, "fuse");
    assert_found(150, 155, 1, "fuse");
    store_check();
}

#define TEST(name)                                                             \
 cmocka_unit_test_setup_teardown(name, job_service_enter, job_service_leave)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_start_serves_the_new_model_and_moves_no_record),
        TEST(new_records_are_of_the_new_model),
        TEST(without_the_old_model_queries_are_aligned),
        TEST(a_probe_changes_nothing),
        TEST(a_probe_tells_its_steps),
        TEST(the_verdict_is_on_queries_behind_their_prompt),
        TEST(each_head_can_be_asked_for),
        TEST(a_search_goes_the_collections_way),
        TEST(a_collection_of_cascades_encodes_what_it_finds),
        TEST(a_way_ends_with_its_generation),
        TEST(a_backfill_moves_records_and_stops_at_its_limit),
        TEST(what_start_has_encoded_is_not_encoded_again),
        TEST(a_status_tells_how_good_it_is_and_what_is_left),
        TEST(a_backfill_begins_with_what_is_found_most),
        TEST(a_slow_backfill_holds_up_no_other_job),
        TEST(changes_of_one_collection_take_their_turns),
        TEST(a_rollback_answers_as_before_the_start),
        TEST(records_of_between_are_found_after_a_rollback),
        TEST(a_start_after_a_rollback_goes_on),
        TEST(gc_frees_what_was_left_behind),
        TEST(three_models_at_once),
    };

    return cmocka_run_group_tests(tests, upgrade_group_enter,
                                  service_group_leave);
}
