/* tests/daemon/test_handle_upgrade.c — a collection gets another model, and all
 * that can be done to it meanwhile: every record is found, by its own model or by
 * the one that serves, and going back finds everything as it was. */
#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/bridges.h"
#include "daemon/models.h"
#include "daemon/upgrade.h"
#include "tests/daemon/upgrade_service.h"

/* That every record in [from, to) is the first answer to its own text, within a
 * generation and by a way. */
static void assert_found(int from, int to, int generation, const char *way)
{
    char id[16];

    for (int i = from; i < to; i++) {
        search_for(i, ",\"k\":1");
        (void)snprintf(id, sizeof(id), "r%d", i);
        assert_text_at("hits.0.id", id);
        assert_int_equal(json_integer_value(at("hits.0.generation")),
                         generation);
        assert_text_at("hits.0.way", way);
        assert_true(json_real_value(at("hits.0.probability")) > 0.0);
    }
}

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
    assert_false(is_there("generations.0.mrr_10"));
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

/* Of all answers: ids, scores, order. */
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
                lk_buf_printf(&answers, NULL, "%s %.9g\n",
                              json_string_value(json_object_get(hit, "id")),
                              json_real_value(json_object_get(hit, "score"))),
                LINKD_OK);
        }
    }
    return answers.data;
}

static void a_rollback_answers_as_before_the_start(void **state)
{
    char *before;
    char *after;

    (void)state;
    firms_make();
    before = answers_get(",\"k\":20");
    start("other");
    upgrade_do(lk_handle_upgrade_backfill, "{\"limit\":100}");
    assert_int_equal(call_json(lk_handle_upgrade_rollback, "firms", ""), 200);
    assert_json_at("serving", "1");
    assert_json_at("moved", "100");
    after = answers_get(",\"k\":20");
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

/* ---- limits ------------------------------------------------------------------- */

/* What a threshold lets in stays as seldom as it was. */
static void thresholds_keep_their_meaning(void **state)
{
    size_t n_before = 0;
    size_t n_after = 0;
    size_t n_same = 0; /* as many as the same cosine would let in */

    (void)state;
    firms_make();
    for (int i = 0; i < 40; i++) {
        search_for(i, ",\"all\":true,\"threshold\":0.8");
        n_before += size_at("hits");
    }
    start("other");
    upgrade_do(lk_handle_upgrade_backfill, NULL);
    for (int i = 0; i < 40; i++) {
        search_for(i, ",\"all\":true,\"threshold\":0.8");
        n_after += size_at("hits");
    }
    for (int i = 0; i < 40; i++) {
        search_for(i, ",\"k\":240");
        for (size_t j = 0; j < size_at("hits"); j++) {
            char path[32];

            (void)snprintf(path, sizeof(path), "hits.%zu.score", j);
            n_same += json_real_value(at(path)) >= 0.8;
        }
    }
    if (n_before <= 80 || n_after * 100 < n_before * 85 ||
        n_after * 100 > n_before * 115)
        fail_msg("%zu hits before, %zu after", n_before, n_after);
    assert_true(n_same * 100 > n_before * 115); /* or this shows nothing */
    search_for(1, ",\"k\":100,\"probability\":0.5");
    for (size_t i = 0; i < size_at("hits"); i++) {
        char path[48];

        (void)snprintf(path, sizeof(path), "hits.%zu.probability", i);
        assert_true(json_real_value(at(path)) >= 0.499);
    }
    search_for(1, ",\"k\":240,\"false_match_rate\":0.1");
    assert_true(size_at("hits") < 60);
}

static void limits_that_need_a_scale_are_refused_without_one(void **state)
{
    (void)state;
    firms_make();
    assert_int_equal(call_json(lk_handle_search, "firms",
                               "{\"text\":\"a\",\"probability\":0.5}"),
                     400);
    assert_int_equal(call_json(lk_handle_search, "firms",
                               "{\"text\":\"a\",\"probability\":0.5,"
                               "\"threshold\":0.5}"),
                     400);
    assert_problem(400, "bad_request",
                   "\"threshold\", \"false_match_rate\" and \"probability\" "
                   "exclude each other");
    assert_int_equal(call_json(lk_handle_search, "firms",
                               "{\"text\":\"a\",\"false_match_rate\":2}"),
                     400);
    assert_int_equal(call_json(lk_handle_search, "firms",
                               "{\"text\":\"a\",\"compat\":\"guess\"}"),
                     400);
}

/* ---- other queries -------------------------------------------------------------- */

static void a_query_by_record_finds_the_other_generation(void **state)
{
    (void)state;
    firms_make();
    record_put("firms", "{\"id\":\"twin\",\"fields\":{\"name\":"
                        "\"quartz zigzag 0\"}}");
    start("other");
    record_put("firms", "{\"id\":\"twin\",\"fields\":{\"name\":"
                        "\"quartz zigzag 0\"}}");
    assert_int_equal(
        call_json(lk_handle_search, "firms", "{\"record\":\"twin\",\"k\":3}"),
        200);
    assert_json_at("hits.0.generation", "1");
    assert_text_at("hits.0.way", "align");
    assert_int_equal(
        call_json(lk_handle_search, "firms", "{\"record\":\"r0\",\"k\":240}"),
        200);
    assert_int_equal(size_at("hits"), 240);
}

/* It would be compared with those of its own model, which are to be left out. */
static void a_record_of_an_older_model_is_no_native_query(void **state)
{
    static const char query[] =
        "{\"record\":\"r100\",\"k\":240,\"compat\":\"native\"}";

    (void)state;
    firms_make();
    start("other");
    records_put("firms", 0, 5);
    assert_int_equal(call_json(lk_handle_search, "firms", query), 400);
    assert_problem(400, "bad_request",
                   "record \"r100\" is of an older model, which \"compat\": "
                   "\"native\" leaves out");
    records_put("firms", 100, 101);
    assert_int_equal(call_json(lk_handle_search, "firms", query), 200);
    assert_int_equal(size_at("hits"), 5);
}

static void a_record_shows_the_vector_that_it_has(void **state)
{
    (void)state;
    firms_make();
    start("other");
    assert_int_equal(call_run(&(call){.handler = lk_handle_get_record,
                                      .collection = "firms",
                                      .name = "r1",
                                      .query = "vectors=true"}),
                     200);
    assert_int_equal(size_at("vector"), TINY_DIM);
}

/* ---- attach and jobs -------------------------------------------------------------- */

static void attach_one(const char *id, int i)
{
    char name[64];
    char body[160];

    name_write(i, name, sizeof(name));
    (void)snprintf(body, sizeof(body),
                   "{\"id\":\"%s\",\"fields\":{\"name\":\"%s\"},"
                   "\"threshold\":0.97}",
                   id, name);
    if (call_json(lk_handle_attach, "firms", body) != 200)
        fail_msg("%s", last.body.data);
}

/* Whichever model made the vector of the record that is there. */
static void attach_joins_records_of_every_generation(void **state)
{
    int64_t entity;

    (void)state;
    firms_make();
    attach_one("first", 500);
    entity = json_integer_value(at("entity"));
    start("other");
    upgrade_do(lk_handle_upgrade_backfill, "{\"limit\":100}");
    attach_one("second", 500);
    assert_text_at("match.id", "first");
    assert_int_equal(json_integer_value(at("entity")), entity);
    attach_one("third", 500);
    assert_int_equal(json_integer_value(at("entity")), entity);
    attach_one("moved", 1);
    assert_text_at("match.id", "r1");
    store_check();
}

/* Twins of which one has moved on are one entity all the same. */
static void dedup_finds_twins_of_two_generations(void **state)
{
    uint64_t number;
    char name[64];
    char body[160];

    (void)state;
    firms_make();
    start("other");
    for (int i = 0; i < 30; i++) {
        name_write(i, name, sizeof(name));
        (void)snprintf(body, sizeof(body),
                       "{\"id\":\"t%d\",\"fields\":{\"name\":\"%sx\"}}", i,
                       name);
        record_put("firms", body);
    }
    number = job_submit("{\"kind\":\"dedup\",\"input\":{\"collection\":"
                        "\"firms\"},\"apply\":true}");
    job_wait(number);
    assert_text_at("state", "done");
    for (int i = 0; i < 30; i++) {
        char t[16];
        char r[16];
        json_int_t entity;

        (void)snprintf(t, sizeof(t), "t%d", i);
        (void)snprintf(r, sizeof(r), "r%d", i);
        assert_int_equal(call_run(&(call){.handler = lk_handle_get_record,
                                          .collection = "firms",
                                          .name = t}),
                         200);
        entity = json_integer_value(at("entity"));
        assert_int_equal(call_run(&(call){.handler = lk_handle_get_record,
                                          .collection = "firms",
                                          .name = r}),
                         200);
        assert_int_equal(json_integer_value(at("entity")), entity);
    }
}

static const char twins[] =
    "id,name\nn1,quartz zigzag 0\nn2,melody zigzag 919\n"
    "n3,plaza syrup 573\n";

/* Rows of a file find their partners whichever model these are of. */
static void a_link_finds_partners_of_two_generations(void **state)
{
    static const char *const pairs[] = {
        "\"left_id\":\"n1\",\"right_id\":\"r0\"",
        "\"left_id\":\"n2\",\"right_id\":\"r1\"",
        "\"left_id\":\"n3\",\"right_id\":\"r67\""};
    uint64_t number;
    char body[256];

    (void)state;
    firms_make();
    start("other");
    upgrade_do(lk_handle_upgrade_backfill, "{\"limit\":50}");
    (void)snprintf(body, sizeof(body),
                   "{\"kind\":\"link\",\"left\":{\"file\":\"%s\"},"
                   "\"left_on\":[\"name\"],\"right\":{\"collection\":"
                   "\"firms\"},\"min_score\":0.7}",
                   table_upload("text/csv", twins));
    number = job_submit(body);
    job_wait(number);
    assert_text_at("state", "done");
    job_results(number, "limit=100");
    for (size_t i = 0; i < 3; i++)
        if (strstr(last.body.data, pairs[i]) == NULL)
            fail_msg("%s", last.body.data);
    store_check();
}

/* ---- damage ----------------------------------------------------------------------- */

#define DAMAGE                                                                 \
 "generation 1's records cannot be found by generation 2's model until a "     \
 "rollback, or until they are encoded anew: not a map: its checksum is wrong"

#define BACK_DAMAGE                                                            \
 "generation 2's records cannot be found by generation 1's model until those " \
 "of one of the two are encoded anew: "

/* What is damaged is named, by searches and by jobs, and nothing is changed by
 * either. */
static void damaged_bridges_are_named(void **state)
{
    static const char bytes[] = "these are no scales";
    const linkd_encoder_info *info;
    linkd_blob blobs[] = {{0, LINKD_BLOB_REFERENCE, 0, {bytes, 19}}};
    linkd_generation generation = {
        .number = 2, .previous = 1, .dim = TINY_DIM, .model = {"other", 5}};
    linkd_error err = {0};
    lk_model *other;

    (void)state;
    firms_make();
    assert_int_equal(
        lk_models_get(service.models, (linkd_str){"other", 5}, &other, &err),
        LINKD_OK);
    info = lk_model_describe(other);
    generation.fingerprint =
        (linkd_str){info->fingerprint, strlen(info->fingerprint)};
    assert_int_equal(linkd_store_add_generation(service.store,
                                                (linkd_str){"firms", 5},
                                                &generation, blobs, 1, &err),
                     LINKD_OK);
    assert_int_equal(
        call_json(lk_handle_search, "firms", "{\"text\":\"quartz\"}"), 500);
    assert_int_equal(
        call_json(lk_handle_attach, "firms",
                  "{\"id\":\"a\",\"fields\":{\"name\":\"quartz\"}}"),
        500);
    assert_int_equal(call_json(lk_handle_submit_job, NULL,
                               "{\"kind\":\"dedup\",\"input\":{"
                               "\"collection\":\"firms\"},"
                               "\"min_score\":0.9}"),
                     500);
    assert_problem(500, "damaged",
                   "collection \"firms\": " BACK_DAMAGE
                   "damaged database: generation 2 has no anchors");
    assert_int_equal(call_json(lk_handle_get_upgrade, "firms", NULL), 200);
    assert_true(is_there("generations.0.damaged"));
    assert_true(is_there("generations.1.damaged"));
    assert_true(is_there("damaged"));
    assert_int_equal(call_json(lk_handle_get_collection, "firms", NULL), 200);
    assert_json_at("records", "240");
    store_check();
}

/* One generation, and no fault. */
static void assert_untouched(void)
{
    assert_int_equal(call_json(lk_handle_get_upgrade, "firms", NULL), 200);
    assert_json_at("serving", "1");
    assert_int_equal(size_at("generations"), 1);
    store_check();
}

/* Changes a byte as a disk may. */
static void blob_flip(uint32_t generation, uint8_t kind, uint32_t other)
{
    static const linkd_str name = {"firms", 5};
    linkd_blob blob = {.generation = generation, .kind = kind, .other = other};
    linkd_view *view = NULL;
    linkd_str bytes;
    char *flipped;
    bool found = false;

    assert_int_equal(linkd_view_open(service.store, name, &view, NULL),
                     LINKD_OK);
    assert_int_equal(linkd_view_blob(view, blob.generation, blob.kind,
                                     blob.other, &bytes, &found, NULL),
                     LINKD_OK);
    assert_true(found);
    flipped = malloc(bytes.len);
    assert_non_null(flipped);
    memcpy(flipped, bytes.bytes, bytes.len);
    flipped[kind == LINKD_BLOB_MAP ? bytes.len / 2 : 1] ^= 4;
    blob.bytes = (linkd_str){flipped, bytes.len};
    linkd_view_close(view);
    assert_int_equal(linkd_store_put_blob(service.store, name, &blob, NULL),
                     LINKD_OK);
    free(flipped);
    lk_bridge_cache_free(service.bridges); /* as after a new start of linkd */
    assert_int_equal(lk_bridge_cache_new(&service.bridges, NULL), LINKD_OK);
}

/* It is named, the records stay, and what does without it goes on. */
static void a_flipped_byte_of_a_map_is_named(void **state)
{
    (void)state;
    firms_make();
    start("other");
    upgrade_do(lk_handle_upgrade_backfill, "{\"limit\":50}");
    blob_flip(2, LINKD_BLOB_MAP, 1);
    assert_int_equal(
        call_json(lk_handle_search, "firms", "{\"text\":\"quartz\"}"), 500);
    assert_problem(500, "damaged", "collection \"firms\": " DAMAGE);
    assert_int_equal(
        call_json(lk_handle_attach, "firms",
                  "{\"id\":\"a\",\"fields\":{\"name\":\"quartz\"}}"),
        500);
    assert_problem(500, "damaged", "collection \"firms\": " DAMAGE);
    assert_int_equal(call_json(lk_handle_get_upgrade, "firms", NULL), 200);
    assert_text_at("generations.0.damaged", DAMAGE);
    assert_text_at("generations.1.way", "native");
    search_for(5, ",\"k\":100,\"compat\":\"native\"");
    assert_text_at("hits.0.id", "r5");
    assert_int_equal(size_at("hits"), 50);
    upgrade_do(lk_handle_upgrade_backfill, "{}");
    search_for(5, ",\"k\":1");
    assert_text_at("hits.0.id", "r5");
    store_check();
}

/* Jobs need the way from the old model to the new one, and of it the map alone. */
static void jobs_need_the_map_alone(void **state)
{
    static const char dedup[] = "{\"kind\":\"dedup\",\"input\":{\"collection\":"
                                "\"firms\"},\"min_score\":0.9}";

    (void)state;
    firms_make();
    start("other");
    blob_flip(1, LINKD_BLOB_SCALES, 2);
    assert_int_equal(call_json(lk_handle_get_upgrade, "firms", NULL), 200);
    assert_text_at("generations.0.damaged",
                   BACK_DAMAGE "damaged database: a blob has a wrong form");
    assert_text_at("generations.0.way", "fuse");
    blob_flip(2, LINKD_BLOB_ANCHORS, 0);
    job_wait(job_submit(dedup));
    assert_text_at("state", "done");
    blob_flip(1, LINKD_BLOB_MAP, 2);
    assert_int_equal(call_json(lk_handle_submit_job, NULL, dedup), 500);
    assert_problem(500, "damaged",
                   "collection \"firms\": " BACK_DAMAGE
                   "not a map: its checksum is wrong");
}

/* What start has encoded is kept to spare work alone. */
static void a_backfill_does_without_a_damaged_sample(void **state)
{
    (void)state;
    firms_make();
    start("other");
    blob_flip(2, LINKD_BLOB_ANCHORS, 0);
    upgrade_do(lk_handle_upgrade_backfill, "{\"limit\":50}");
    assert_json_at("counts.moved", "50");
    assert_json_at("counts.encoded", "50");
    blob_flip(0, LINKD_BLOB_TEXTS, 0);
    upgrade_do(lk_handle_upgrade_backfill, "{\"limit\":50}");
    assert_json_at("counts.encoded", "50");
    store_check();
}

/* Without other models' records and without a limit scores decide. */
static void own_scales_are_missed_by_limits_alone(void **state)
{
    (void)state;
    firms_make();
    start("other");
    upgrade_do(lk_handle_upgrade_backfill, "{\"limit\":50}");
    blob_flip(2, LINKD_BLOB_ANCHORS, 0);
    assert_int_equal(
        call_json(lk_handle_search, "firms", "{\"text\":\"quartz\"}"), 500);
    search_for(5, ",\"k\":100,\"compat\":\"native\"");
    assert_text_at("hits.0.id", "r5");
    assert_int_equal(size_at("hits"), 50);
    assert_text_at("hits.0.way", "native");
    assert_false(is_there("hits.0.probability"));
    upgrade_do(lk_handle_upgrade_backfill, "{}");
    assert_int_equal(
        call_json(lk_handle_search, "firms", "{\"record\":\"r5\",\"k\":300}"),
        200);
    assert_int_equal(size_at("hits"), N_RECORDS - 1);
    assert_true(json_real_value(at("hits.0.score")) >=
                json_real_value(at("hits.1.score")));
    assert_int_equal(call_json(lk_handle_search, "firms",
                               "{\"record\":\"r5\",\"threshold\":0.5}"),
                     500);
    assert_problem(500, "damaged",
                   "collection \"firms\": limits and probabilities of "
                   "generation 2's model cannot be told: damaged database: a "
                   "blob has a wrong form");
}

static void a_rollback_does_without_a_damaged_map(void **state)
{
    (void)state;
    firms_make();
    start("other");
    blob_flip(2, LINKD_BLOB_MAP, 1);
    assert_int_equal(call_json(lk_handle_upgrade_rollback, "firms", ""), 200);
    search_for(5, ",\"k\":1");
    assert_text_at("hits.0.id", "r5");
    upgrade_do(lk_handle_upgrade_gc, "{}");
    assert_untouched();
}

#define LIMITS_DAMAGE "damaged database: a blob has a wrong form"

/* The scale of limits has a copy as long as the first generation is there. */
static void damaged_limits_are_missed_by_nothing_at_first(void **state)
{
    static const char limit[] = ",\"all\":true,\"threshold\":0.7";
    char *before;
    char *after;

    (void)state;
    firms_make();
    start("other");
    upgrade_do(lk_handle_upgrade_backfill, "{\"limit\":50}");
    before = answers_get(limit);
    blob_flip(0, LINKD_BLOB_REFERENCE, 0);
    after = answers_get(limit);
    assert_string_equal(before, after);
    attach_one("twin", 7);
    assert_text_at("match.id", "r7");
    assert_int_equal(call_json(lk_handle_get_upgrade, "firms", NULL), 200);
    assert_text_at("damaged", "the scale of limits has only its copy, which "
                              "goes with generation 1: " LIMITS_DAMAGE);
    assert_false(is_there("generations.0.damaged"));
    assert_false(is_there("generations.1.damaged"));
    free(before);
    free(after);
    store_check();
}

static void a_rollback_does_without_the_scale_of_limits(void **state)
{
    static const char limit[] = ",\"all\":true,\"threshold\":0.7";
    char *before;
    char *after;

    (void)state;
    firms_make();
    before = answers_get(limit);
    start("other");
    upgrade_do(lk_handle_upgrade_backfill, "{\"limit\":50}");
    blob_flip(0, LINKD_BLOB_REFERENCE, 0);
    assert_int_equal(call_json(lk_handle_upgrade_rollback, "firms", ""), 200);
    after = answers_get(limit);
    assert_string_equal(before, after);
    attach_one("twin", 7);
    assert_text_at("match.id", "r7");
    free(before);
    free(after);
    store_check();
}

#define NO_LIMIT                                                               \
 "collection \"firms\": scores cannot be limits any more, but probabilities "  \
 "and false-match rates can: " LIMITS_DAMAGE

/* When the first generation is gone, too. */
static void without_the_scale_of_limits_scores_alone_are_none(void **state)
{
    (void)state;
    firms_make();
    start("other");
    upgrade_do(lk_handle_upgrade_backfill, "{}");
    upgrade_do(lk_handle_upgrade_gc, "{}");
    blob_flip(0, LINKD_BLOB_REFERENCE, 0);
    assert_found(0, 5, 2, "native");
    search_for(5, ",\"k\":1,\"probability\":0.01");
    assert_text_at("hits.0.id", "r5");
    search_for(5, ",\"k\":1,\"false_match_rate\":0.01");
    assert_text_at("hits.0.id", "r5");
    assert_int_equal(call_json(lk_handle_search, "firms",
                               "{\"record\":\"r5\",\"threshold\":0.5}"),
                     500);
    assert_problem(500, "damaged", NO_LIMIT);
    assert_int_equal(
        call_json(lk_handle_attach, "firms",
                  "{\"id\":\"a\",\"fields\":{\"name\":\"quartz\"}}"),
        500);
    assert_problem(500, "damaged", NO_LIMIT);
    assert_int_equal(call_json(lk_handle_get_upgrade, "firms", NULL), 200);
    assert_true(is_there("damaged"));
    assert_int_equal(call_json(lk_handle_get_collection, "firms", NULL), 200);
    assert_json_at("records", "240");
    start("third");
    assert_found(0, 5, 2, "fuse");
    store_check();
}

/* A cascade asks for limits after it has found, where the rest is not asked again. */
static void a_cascade_without_the_scale_of_limits_says_so(void **state)
{
    (void)state;
    firms_make();
    start("other");
    blob_flip(0, LINKD_BLOB_REFERENCE, 0);
    blob_flip(1, LINKD_BLOB_SCALES, 1);
    search_for(5, ",\"k\":1,\"compat\":\"cascade\",\"candidates\":10");
    assert_text_at("hits.0.id", "r5");
    assert_int_equal(call_json(lk_handle_search, "firms",
                               "{\"text\":\"quartz\",\"threshold\":0.5,"
                               "\"compat\":\"cascade\",\"candidates\":10}"),
                     500);
    assert_problem(500, "damaged", NO_LIMIT);
}

/* ---- what cannot be ---------------------------------------------------------------- */

static void what_cannot_be_started_is_refused_at_once(void **state)
{
    (void)state;
    firms_make();
    collection_create("bare", "{\"model\":null,\"dim\":4}");
    assert_int_equal(
        call_json(lk_handle_upgrade_start, "firms", "{\"model\":\"tiny\"}"),
        409);
    assert_problem(409, "conflict",
                   "collection \"firms\" has the model \"tiny\" already");
    assert_int_equal(
        call_json(lk_handle_upgrade_start, "firms", "{\"model\":\"absent\"}"),
        404);
    assert_int_equal(
        call_json(lk_handle_upgrade_start, "nowhere", "{\"model\":\"other\"}"),
        404);
    assert_int_equal(
        call_json(lk_handle_upgrade_start, "bare", "{\"model\":\"other\"}"),
        400);
    assert_int_equal(call_json(lk_handle_upgrade_start, "firms", "{}"), 400);
    assert_problem(400, "bad_request", "\"model\" is missing");
    assert_int_equal(call_json(lk_handle_upgrade_start, "firms",
                               "{\"model\":\"other\",\"head\":\"hat\"}"),
                     400);
    assert_int_equal(call_json(lk_handle_upgrade_start, "firms",
                               "{\"model\":\"other\",\"anchors\":7}"),
                     400);
    assert_int_equal(call_json(lk_handle_upgrade_start, "firms",
                               "{\"model\":\"other\",\"kind\":\"backup\"}"),
                     400);
    assert_int_equal(call_json(lk_handle_upgrade_start, "firms",
                               "{\"model\":\"other\",\"way\":\"native\"}"),
                     400);
    assert_problem(400, "bad_request", "\"way\" is not fuse, align or cascade");
    assert_int_equal(call_json(lk_handle_upgrade_probe, "firms",
                               "{\"model\":\"other\",\"way\":\"fuse\"}"),
                     400);
    assert_int_equal(call_json(lk_handle_upgrade_rollback, "firms", ""), 409);
    assert_untouched();
}

static void start_fails(const char *reason)
{
    (void)upgrade_run(lk_handle_upgrade_start, "{\"model\":\"other\"}");
    assert_text_at("state", "failed");
    if (strstr(json_string_value(at("error")), reason) == NULL)
        fail_msg("%s", last.body.data);
    assert_untouched();
}

static void too_few_records_are_refused(void **state)
{
    (void)state;
    collection_create("firms", "{\"text\":[\"name\"]}");
    records_put("firms", 0, 99);
    start_fails("has 99 records to learn from, at least 100 are needed");
}

static void records_that_are_all_alike_are_refused(void **state)
{
    char body[80];

    (void)state;
    collection_create("firms", "{\"text\":[\"name\"]}");
    for (int i = 0; i < 120; i++) {
        (void)snprintf(body, sizeof(body),
                       "{\"id\":\"s%d\",\"fields\":{\"name\":\"same\"}}", i);
        record_put("firms", body);
    }
    start_fails("alike");
}

/* A contrast head learns from labels, and there are none. */
static void a_head_without_its_labels_is_refused(void **state)
{
    (void)state;
    firms_make();
    assert_int_equal(call_json(lk_handle_upgrade_start, "firms",
                               "{\"model\":\"other\",\"head\":\"contrast\"}"),
                     400);
    assert_problem(400, "bad_request", "the head contrast needs \"labels\"");
    assert_untouched();
}

/* Vectors of two ordinary models of one size would be taken for comparable. */
static void a_simplex_that_models_have_not_is_refused(void **state)
{
    lk_handler *const handlers[] = {lk_handle_upgrade_estimate,
                                    lk_handle_upgrade_probe,
                                    lk_handle_upgrade_start};

    (void)state;
    firms_make();
    for (size_t i = 0; i < sizeof(handlers) / sizeof(*handlers); i++) {
        assert_int_equal(
            call_json(handlers[i], "firms",
                      "{\"model\":\"other\",\"head\":\"dsimplex\"}"),
            400);
        assert_problem(400, "bad_request",
                       "\"dsimplex\" is for two models that have such a head: "
                       "\"other\" has none");
    }
    assert_untouched();
}

/* Before anything is encoded. */
static void a_generation_too_many_is_refused_at_once(void **state)
{
    lk_handler *const handlers[] = {lk_handle_upgrade_estimate,
                                    lk_handle_upgrade_probe,
                                    lk_handle_upgrade_start};
    linkd_generation g = {
        .model = {"gone", 4}, .fingerprint = {"x", 1}, .dim = 4};
    linkd_error err;

    (void)state;
    firms_make();
    for (g.previous = 1; g.previous < LINKD_GENERATIONS_MAX; g.previous++) {
        g.number = g.previous + 1;
        assert_int_equal(linkd_store_add_generation(service.store,
                                                    (linkd_str){"firms", 5}, &g,
                                                    NULL, 0, &err),
                         LINKD_OK);
    }
    for (size_t i = 0; i < sizeof(handlers) / sizeof(*handlers); i++) {
        assert_int_equal(
            call_json(handlers[i], "firms", "{\"model\":\"other\"}"), 409);
        assert_problem(409, "conflict",
                       "collection \"firms\" has 8 generations already, as "
                       "many as there can be");
    }
    upgrade_do(lk_handle_upgrade_gc, "{}");
    assert_json_at("counts.generations", "6");
    assert_int_equal(
        call_json(lk_handle_upgrade_estimate, "firms", "{\"model\":\"other\"}"),
        200);
}

/* Its name is the same and its weights are not: old vectors are not its own. */
static void an_older_model_that_is_another_by_now_is_refused(void **state)
{
    (void)state;
    firms_make();
    model_hide("tiny");
    model_make("tiny", 9);
    start_fails("model \"tiny\", of which older vectors are, is not in the "
                "model store, or is another one by now");
    assert_int_equal(system("rm -r models/tiny"), 0);
    model_show("tiny");
}

static void an_older_model_that_is_gone_is_named(void **state)
{
    (void)state;
    firms_make();
    model_hide("tiny");
    start_fails("model \"tiny\", of which older vectors are, is not in the "
                "model store");
    model_show("tiny");
}

/* ---- canaries ------------------------------------------------------------------------ */

static void models_that_are_the_same_pass_the_check(void **state)
{
    linkd_error err = {0};

    (void)state;
    firms_make();
    start("other");
    assert_int_equal(lk_upgrade_models_check(&service, &err), LINKD_OK);
}

/* The fingerprint of one model over the canaries of another. */
static void a_model_that_changed_silently_is_refused(void **state)
{
    linkd_error err = {0};
    linkd_generation generation = {
        .number = 2, .previous = 1, .dim = TINY_DIM, .model = {"other", 5}};
    const linkd_encoder_info *info;
    float vectors[LINKD_N_CANARIES * TINY_DIM];
    lk_buf bytes = {0};
    lk_model *tiny;
    lk_model *other;
    linkd_blob blob = {.generation = 2, .kind = LINKD_BLOB_CANARIES};

    (void)state;
    firms_make();
    assert_int_equal(
        lk_models_get(service.models, (linkd_str){"tiny", 4}, &tiny, &err),
        LINKD_OK);
    assert_int_equal(
        lk_models_get(service.models, (linkd_str){"other", 5}, &other, &err),
        LINKD_OK);
    info = lk_model_describe(other);
    generation.fingerprint =
        (linkd_str){info->fingerprint, strlen(info->fingerprint)};
    assert_int_equal(lk_canaries_embed(tiny, vectors, &err), LINKD_OK);
    assert_int_equal(
        linkd_vectors_encode(vectors, LINKD_N_CANARIES, TINY_DIM, &bytes, &err),
        LINKD_OK);
    blob.bytes = (linkd_str){bytes.data, bytes.len};
    assert_int_equal(linkd_store_add_generation(service.store,
                                                (linkd_str){"firms", 5},
                                                &generation, &blob, 1, &err),
                     LINKD_OK);
    assert_int_equal(lk_upgrade_models_check(&service, &err), LINKD_E_CONFLICT);
    assert_non_null(strstr(err.message,
                           "model \"other\" is not the one that collection "
                           "\"firms\" was made with: the model makes other "
                           "vectors than it did: cosine "));
    assert_non_null(strstr(err.message, "; put that one back, or give this one "
                                        "another name"));
    lk_buf_clear(&bytes);
}

/* Requests of texts would be refused one by one. */
static void a_serving_model_with_other_files_is_refused(void **state)
{
    linkd_error err = {0};

    (void)state;
    firms_make();
    start("other");
    model_hide("other");
    assert_int_equal(lk_upgrade_models_check(&service, &err), LINKD_OK);
    model_make("other", 9);
    assert_int_equal(lk_upgrade_models_check(&service, &err), LINKD_E_CONFLICT);
    assert_string_equal(err.message,
                        "model \"other\" is not the one that collection "
                        "\"firms\" was made with: its files are others; put "
                        "that one back, or give this one another name");
    assert_int_equal(system("rm -r models/other"), 0);
    model_show("other");
}

/* Its records are found by mapped queries. */
static void an_older_model_with_other_files_is_let_pass(void **state)
{
    linkd_error err = {0};

    (void)state;
    firms_make();
    start("other");
    model_hide("tiny");
    model_make("tiny", 9);
    assert_int_equal(lk_upgrade_models_check(&service, &err), LINKD_OK);
    search_for(5, ",\"k\":1");
    assert_text_at("hits.0.way", "align");
    assert_int_equal(system("rm -r models/tiny"), 0);
    model_show("tiny");
}

static void damaged_canaries_are_let_pass(void **state)
{
    linkd_error err = {0};

    (void)state;
    firms_make();
    start("other");
    blob_flip(2, LINKD_BLOB_CANARIES, 0);
    assert_int_equal(lk_upgrade_models_check(&service, &err), LINKD_OK);
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
        TEST(thresholds_keep_their_meaning),
        TEST(limits_that_need_a_scale_are_refused_without_one),
        TEST(a_query_by_record_finds_the_other_generation),
        TEST(a_record_of_an_older_model_is_no_native_query),
        TEST(a_record_shows_the_vector_that_it_has),
        TEST(attach_joins_records_of_every_generation),
        TEST(dedup_finds_twins_of_two_generations),
        TEST(a_link_finds_partners_of_two_generations),
        TEST(damaged_bridges_are_named),
        TEST(a_flipped_byte_of_a_map_is_named),
        TEST(jobs_need_the_map_alone),
        TEST(a_backfill_does_without_a_damaged_sample),
        TEST(own_scales_are_missed_by_limits_alone),
        TEST(a_rollback_does_without_a_damaged_map),
        TEST(damaged_limits_are_missed_by_nothing_at_first),
        TEST(a_rollback_does_without_the_scale_of_limits),
        TEST(without_the_scale_of_limits_scores_alone_are_none),
        TEST(a_cascade_without_the_scale_of_limits_says_so),
        TEST(what_cannot_be_started_is_refused_at_once),
        TEST(too_few_records_are_refused),
        TEST(records_that_are_all_alike_are_refused),
        TEST(a_head_without_its_labels_is_refused),
        TEST(a_simplex_that_models_have_not_is_refused),
        TEST(a_generation_too_many_is_refused_at_once),
        TEST(an_older_model_that_is_another_by_now_is_refused),
        TEST(an_older_model_that_is_gone_is_named),
        TEST(models_that_are_the_same_pass_the_check),
        TEST(a_model_that_changed_silently_is_refused),
        TEST(a_serving_model_with_other_files_is_refused),
        TEST(an_older_model_with_other_files_is_let_pass),
        TEST(damaged_canaries_are_let_pass),
    };

    return cmocka_run_group_tests(tests, upgrade_group_enter,
                                  service_group_leave);
}
