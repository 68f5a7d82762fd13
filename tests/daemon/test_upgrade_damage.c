/* tests/daemon/test_upgrade_damage.c — what is damaged of a change of the model is
 * named, and what does without it goes on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/models.h"
#include "tests/daemon/upgrade_service.h"

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

/* Jobs need the way from the old model to the new one, and of it the map alone,
 * unless scores decide. */
static void jobs_need_the_map_alone(void **state)
{
    static const char dedup[] =
        "{\"kind\":\"dedup\",\"input\":{\"collection\":\"firms\"}}";
    static const char by_score[] =
        "{\"kind\":\"dedup\",\"input\":{\"collection\":\"firms\"},"
        "\"min_score\":0.9}";

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
    assert_int_equal(call_json(lk_handle_submit_job, NULL, by_score), 500);
    assert_problem(500, "damaged",
                   "collection \"firms\": " BACK_DAMAGE
                   "damaged database: a blob has a wrong form");
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
    before = first_answers(limit);
    blob_flip(0, LINKD_BLOB_REFERENCE, 0);
    after = first_answers(limit);
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
    before = first_answers(limit);
    start("other");
    upgrade_do(lk_handle_upgrade_backfill, "{\"limit\":50}");
    blob_flip(0, LINKD_BLOB_REFERENCE, 0);
    assert_int_equal(call_json(lk_handle_upgrade_rollback, "firms", ""), 200);
    after = first_answers(limit);
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

#define TEST(name)                                                             \
 cmocka_unit_test_setup_teardown(name, job_service_enter, job_service_leave)

int main(void)
{
    const struct CMUnitTest tests[] = {
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
    };

    return cmocka_run_group_tests(tests, upgrade_group_enter,
                                  service_group_leave);
}
