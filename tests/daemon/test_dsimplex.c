/* tests/daemon/test_dsimplex.c — collections of models that have a d-Simplex head:
 * models change without a map, and what is stored is mapped, not encoded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "daemon/models.h"
#include "tests/daemon/upgrade_service.h"

enum {
    N_LABELLED = 192,
    N_CLASSES = 97, /* more than there are names: 96 */
    HEAD_DIM = N_CLASSES - 1,
};

static linkd_error err;

static lk_model *model_get(const char *name)
{
    lk_model *model = NULL;

    if (lk_models_get(service.models, (linkd_str){name, strlen(name)}, &model,
                      &err) != LINKD_OK)
        fail_msg("%s", err.message);
    return model;
}

static void embed(const char *model, const linkd_str *texts, size_t n,
                  float *ret_vectors)
{
    const lk_model_embedder e = {.model = model_get(model), .urgency = LK_JOB};

    assert_int_equal(lk_model_embed(&e, texts, n, ret_vectors, NULL, &err),
                     LINKD_OK);
}

/* "<base>+": a head that knows which of the records' names are alike but for
 * their numbers. */
static void head_of_make(const char *base, size_t n_classes)
{
    char names[N_LABELLED][64];
    linkd_str texts[N_LABELLED];
    uint64_t labels[N_LABELLED];
    static float vectors[N_LABELLED * TINY_DIM];
    linkd_compat_fit_options options = {
        .labels = labels, .seed = 1, .n_classes = n_classes};
    linkd_rows rows = {vectors, N_LABELLED, TINY_DIM};
    linkd_compat_map *map = NULL;
    char dir[64];

    for (int i = 0; i < N_LABELLED; i++) {
        name_write(i, names[i], sizeof(names[i]));
        texts[i] = (linkd_str){names[i], strlen(names[i])};
        labels[i] = (uint64_t)i % 96;
    }
    options.from =
        (const unsigned char *)lk_model_describe(model_get(base))->fingerprint;
    embed(base, texts, N_LABELLED, vectors);
    assert_int_equal(linkd_compat_fit_simplex(&rows, NULL, &options,
                                              &(linkd_progress){0}, &map, &err),
                     LINKD_OK);
    (void)snprintf(dir, sizeof(dir), "models/%s+", base);
    (void)mkdir(dir, 0700);
    assert_int_equal(
        linkd_model_head_write(dir, base, &(linkd_head_labels){0}, map, &err),
        LINKD_OK);
    linkd_compat_map_free(map);
}

static void head_make(const char *base)
{
    head_of_make(base, N_CLASSES);
}

static int setup(void **state)
{
    int rc = job_service_enter(state);

    head_make("tiny");
    head_make("other");
    return rc;
}

static int teardown(void **state)
{
    assert_int_equal(system("rm -r models/*+"), 0);
    return job_service_leave(state);
}

static const linkd_str text = {"quartz zigzag 7", 15};

static void a_model_with_a_head_makes_mapped_vectors(void **state)
{
    const linkd_encoder_info *info = lk_model_describe(model_get("tiny+"));
    float bare[TINY_DIM];
    float mapped[HEAD_DIM];
    float vector[HEAD_DIM];

    (void)state;
    assert_int_equal(info->dim, HEAD_DIM);
    assert_int_equal(strlen(info->fingerprint), LINKD_MODEL_DIGITS);
    assert_string_not_equal(info->fingerprint,
                            lk_model_describe(model_get("tiny"))->fingerprint);
    assert_null(lk_model_head_of(model_get("tiny")));
    embed("tiny", &text, 1, bare);
    embed("tiny+", &text, 1, vector);
    assert_int_equal(
        linkd_model_head_apply(lk_model_head_of(model_get("tiny+")), bare, 1,
                               mapped, &err),
        LINKD_OK);
    assert_memory_equal(vector, mapped, sizeof(vector));
}

static void get_fails(const char *name, int code, const char *message)
{
    lk_model *model = NULL;

    assert_int_equal(lk_models_get(service.models,
                                   (linkd_str){name, strlen(name)}, &model,
                                   &err),
                     code);
    assert_string_equal(err.message, message);
}

static void a_head_whose_model_is_another_by_now_is_refused(void **state)
{
    (void)state;
    assert_int_equal(system("cp -r models/tiny models/kept && "
                            "rm -r models/tiny && cp -r models/third "
                            "models/tiny"),
                     0);
    get_fails("tiny+", LINKD_E_CONFLICT,
              "the head was learnt from another model than \"tiny\" is by now");
    assert_int_equal(system("rm -r models/tiny"), 0);
    get_fails("tiny+", LINKD_E_ABSENT,
              "there is no model \"tiny\" in the model store");
    assert_int_equal(call_json(lk_handle_create_collection, "heads",
                               "{\"model\":\"tiny+\"}"),
                     400);
    assert_int_equal(system("mv models/kept models/tiny"), 0);
}

static void a_damaged_head_is_refused(void **state)
{
    (void)state;
    assert_int_equal(system("truncate -s -1 models/tiny+/head.map"), 0);
    get_fails("tiny+", LINKD_E_DATA,
              "head.map: not a map: its checksum is wrong");
}

static void heads_make(void)
{
    collection_create("firms", "{\"model\":\"tiny+\",\"text\":[\"name\"]}");
    records_put("firms", 0, N_RECORDS);
}

static size_t found_count(void)
{
    size_t n = 0;

    for (int i = 0; i < 60; i++) {
        char id[16];

        search_for(i, ",\"k\":5,\"compat\":\"align\"");
        (void)snprintf(id, sizeof(id), "r%d", i);
        for (size_t j = 0; j < size_at("hits"); j++) {
            char path[48];

            (void)snprintf(path, sizeof(path), "hits.%zu.id", j);
            n += strcmp(json_string_value(at(path)), id) == 0;
        }
    }
    return n;
}

/* New queries find old vectors with nothing between them. By chance five of 240
 * would be right in 60 * 5 / 240 = 1.25 of the cases. */
static void heads_of_two_models_need_no_map(void **state)
{
    (void)state;
    heads_make();
    upgrade_do(lk_handle_upgrade_start,
               "{\"model\":\"other+\",\"head\":\"dsimplex\"}");
    assert_text_at("verdict.head", "dsimplex");
    search_for(1, ",\"k\":1,\"compat\":\"align\"");
    assert_text_at("hits.0.way", "align");
    assert_json_at("hits.0.generation", "1");
    if (found_count() < 20)
        fail_msg("%zu of 60 found", found_count());
    store_check();
}

/* An older model without a head is mapped, beside one that has the simplex. */
static void a_model_before_the_first_head_is_mapped(void **state)
{
    (void)state;
    firms_make();
    upgrade_do(lk_handle_upgrade_start, "{\"model\":\"tiny+\"}");
    upgrade_do(lk_handle_upgrade_backfill, "{\"limit\":100}");
    upgrade_do(lk_handle_upgrade_start,
               "{\"model\":\"other+\",\"head\":\"dsimplex\"}");
    assert_text_at("verdict.head", "dsimplex");
    search_for(5, ",\"k\":1");
    assert_text_at("hits.0.id", "r5");
    assert_json_at("hits.0.generation", "2");
    search_for(230, ",\"k\":1");
    assert_text_at("hits.0.id", "r230");
    assert_json_at("hits.0.generation", "1");
    store_check();
}

static void start_is_refused(const char *body, const char *why)
{
    assert_int_equal(call_json(lk_handle_upgrade_start, "firms", body), 400);
    assert_problem(400, "bad_request", why);
    assert_int_equal(call_json(lk_handle_get_upgrade, "firms", NULL), 200);
    assert_json_at("serving", "1");
    assert_int_equal(size_at("generations"), 1);
}

static void heads_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    firms_make();
    start_is_refused("{\"model\":\"other+\",\"head\":\"dsimplex\"}",
                     "\"dsimplex\" is for two models that have such a head: "
                     "\"tiny\" has none");
    assert_int_equal(call_json(lk_handle_drop_collection, "firms", NULL), 200);
    heads_make();
    start_is_refused("{\"model\":\"other\",\"head\":\"bt2\"}",
                     "a lossless head needs a new model of at least as many "
                     "dimensions as the old one: 32 < 96");
    head_of_make("third", N_CLASSES + 1);
    start_is_refused("{\"model\":\"third+\",\"head\":\"dsimplex\"}",
                     "the heads of \"third+\" and \"tiny+\" have no simplex in "
                     "common: 97 and 96 dimensions");
}

/* The longer model's queries lose nothing; the way back has no room for that. */
static void a_lossless_head_leads_to_a_shorter_model(void **state)
{
    (void)state;
    firms_make();
    upgrade_do(lk_handle_upgrade_probe,
               "{\"model\":\"other+\",\"head\":\"bt2\"}");
    upgrade_do(lk_handle_upgrade_start,
               "{\"model\":\"other+\",\"head\":\"bt2\"}");
    assert_text_at("verdict.head", "bt2");
    search_for(5, ",\"k\":1");
    assert_text_at("hits.0.id", "r5");
    assert_text_at("hits.0.way", "fuse");
    records_put("firms", N_RECORDS, N_RECORDS + 1);
    assert_int_equal(call_json(lk_handle_upgrade_rollback, "firms", ""), 200);
    search_for(N_RECORDS, ",\"k\":1");
    assert_text_at("hits.0.id", "r240");
    assert_json_at("hits.0.generation", "2");
    store_check();
}

/* Of a collection that gets a head on the model that it has. */
static void stored_vectors_are_mapped_and_not_encoded(void **state)
{
    uint64_t n_before;
    float vector[HEAD_DIM];
    char name[64];
    linkd_str texts[1];

    (void)state;
    firms_make();
    upgrade_do(lk_handle_upgrade_start, "{\"model\":\"tiny+\"}");
    n_before = encoded_count();
    upgrade_do(lk_handle_upgrade_backfill, "{\"limit\":100}");
    assert_json_at("counts.moved", "100");
    upgrade_do(lk_handle_upgrade_backfill, NULL);
    assert_json_at("counts.moved", "140");
    assert_int_equal(encoded_count(), n_before);
    name_write(5, name, sizeof(name));
    texts[0] = (linkd_str){name, strlen(name)};
    embed("tiny+", texts, 1, vector);
    assert_int_equal(call_run(&(call){.handler = lk_handle_get_record,
                                      .collection = "firms",
                                      .name = "r5",
                                      .query = "vectors=true"}),
                     200);
    assert_int_equal(size_at("vector"), HEAD_DIM);
    for (size_t i = 0; i < HEAD_DIM; i++) {
        char path[24];

        (void)snprintf(path, sizeof(path), "vector.%zu", i);
        assert_true((float)json_number_value(at(path)) == vector[i]);
    }
    search_for(5, ",\"k\":1");
    assert_text_at("hits.0.id", "r5");
    assert_text_at("hits.0.way", "native");
    store_check();
}

/* Records of a third model are encoded, beside those that are mapped, unless the
 * start did it: every twelfth in five is an anchor. */
static void only_the_heads_own_model_is_mapped(void **state)
{
    uint64_t n_before;

    (void)state;
    firms_make();
    upgrade_do(lk_handle_upgrade_start,
               "{\"model\":\"other\",\"anchors\":100}");
    upgrade_do(lk_handle_upgrade_backfill, "{\"limit\":40}");
    upgrade_do(lk_handle_upgrade_start, "{\"model\":\"tiny+\"}");
    n_before = encoded_count();
    upgrade_do(lk_handle_upgrade_backfill, NULL);
    assert_json_at("counts.moved", "240");
    assert_json_at("counts.encoded", "24");
    assert_int_equal(encoded_count() - n_before, 24);
    for (int i = 30; i < 50; i++) {
        char id[16];

        search_for(i, ",\"k\":1");
        (void)snprintf(id, sizeof(id), "r%d", i);
        assert_text_at("hits.0.id", id);
        assert_true(json_real_value(at("hits.0.score")) > 0.9999);
    }
    store_check();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_model_with_a_head_makes_mapped_vectors),
        TEST(a_head_whose_model_is_another_by_now_is_refused),
        TEST(a_damaged_head_is_refused),
        TEST(heads_of_two_models_need_no_map),
        TEST(a_model_before_the_first_head_is_mapped),
        TEST(heads_that_do_not_fit_are_refused),
        TEST(a_lossless_head_leads_to_a_shorter_model),
        TEST(stored_vectors_are_mapped_and_not_encoded),
        TEST(only_the_heads_own_model_is_mapped),
    };

    return cmocka_run_group_tests(tests, upgrade_group_enter,
                                  service_group_leave);
}
