/* tests/daemon/test_upgrade_canaries.c — linkd does not go on with a model that is
 * not the one that made the vectors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/models.h"
#include "daemon/upgrade.h"
#include "tests/daemon/upgrade_service.h"

static void models_that_are_the_same_pass_the_check(void **state)
{
    linkd_error err = {0};

    (void)state;
    firms_make();
    start("other");
    assert_int_equal(lk_upgrade_models_check(&service, &err), LINKD_OK);
}

/* Both fingerprints are told: which files are the wrong ones shows by them. */
static void a_model_of_another_fingerprint_is_refused(void **state)
{
    linkd_generation generation = {
        .number = 2, .previous = 1, .dim = TINY_DIM, .model = {"other", 5}};
    const char *fingerprints[2];
    char expected[256];
    linkd_error err = {0};

    (void)state;
    firms_make();
    for (size_t i = 0; i < 2; i++) {
        static const linkd_str names[] = {{"other", 5}, {"tiny", 4}};
        lk_model *model;

        assert_int_equal(lk_models_get(service.models, names[i], &model, &err),
                         LINKD_OK);
        fingerprints[i] = lk_model_describe(model)->fingerprint;
    }
    generation.fingerprint =
        (linkd_str){fingerprints[1], strlen(fingerprints[1])};
    assert_int_equal(linkd_store_add_generation(service.store,
                                                (linkd_str){"firms", 5},
                                                &generation, NULL, 0, &err),
                     LINKD_OK);
    (void)snprintf(expected, sizeof(expected),
                   "model \"other\" is not that of collection \"firms\": its "
                   "fingerprint is %s, not %s",
                   fingerprints[0], fingerprints[1]);
    assert_int_equal(
        call_json(lk_handle_search, "firms", "{\"text\":\"quartz\"}"), 409);
    assert_problem(409, "conflict", expected);
    assert_int_equal(call_json(lk_handle_submit_job, NULL,
                               "{\"kind\":\"dedup\",\"input\":{"
                               "\"collection\":\"firms\"},"
                               "\"min_score\":0.9}"),
                     409);
    assert_problem(409, "conflict", expected);
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
        TEST(models_that_are_the_same_pass_the_check),
        TEST(a_model_of_another_fingerprint_is_refused),
        TEST(a_model_that_changed_silently_is_refused),
        TEST(a_serving_model_with_other_files_is_refused),
        TEST(an_older_model_with_other_files_is_let_pass),
        TEST(damaged_canaries_are_let_pass),
    };

    return cmocka_run_group_tests(tests, upgrade_group_enter,
                                  service_group_leave);
}
