/* Collections of records with pictures, by the tiny checkpoints of tests/golden:
 * "clip" reads texts and pictures, "vit" pictures alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/models.h"
#include "daemon/upgrade.h"
#include "tests/daemon/job_service.h"
#include "tests/linkage/scratch.h"

#define CUT "data:image/png;base64,AAAA"

static lk_buf pictures[2]; /* data URIs */

static void model_link(const char *golden, const char *path, const char *name)
{
    char from[1024], to[64];

    (void)snprintf(from, sizeof(from), "%s/%s", golden, path);
    (void)snprintf(to, sizeof(to), "models/%s", name);
    assert_int_equal(symlink(from, to), 0);
}

/* CLIP with a prompt before texts. */
static void prompted_make(const char *golden)
{
    static const char *const files[] = {"config.json", "model.safetensors",
                                        "preprocessor_config.json",
                                        "tokenizer.json"};

    assert_int_equal(mkdir("models/prompted", 0700), 0);
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        char path[64], name[64];

        (void)snprintf(path, sizeof(path), "clip/%s", files[i]);
        (void)snprintf(name, sizeof(name), "prompted/%s", files[i]);
        model_link(golden, path, name);
    }
    scratch_write_text("models/prompted/config_sentence_transformers.json",
                       "{\"prompts\":{\"query\":\"12 \"}}");
}

static int group_enter(void **state)
{
    static const char *const names[] = {"jpeg-95-0.jpg", "turned-1.png"};
    char golden[900], here[800];

    if (getcwd(here, sizeof(here)) == NULL || service_group_enter(state) != 0)
        return -1;
    (void)snprintf(golden, sizeof(golden), "%s/tests/golden", here);
    model_link(golden, "clip", "clip");
    model_link(golden, "vision/bare", "vit");
    prompted_make(golden);
    for (size_t i = 0; i < 2; i++) {
        char path[1024];

        (void)snprintf(path, sizeof(path), "%s/image/%s", golden, names[i]);
        assert_int_equal(linkd_picture_uri("", (linkd_str){path, strlen(path)},
                                           &pictures[i], NULL),
                         LINKD_OK);
    }
    return 0;
}

static int group_leave(void **state)
{
    lk_buf_clear(&pictures[0]);
    lk_buf_clear(&pictures[1]);
    return service_group_leave(state);
}

/* A body in which "@0" and "@1" stand for the pictures. */
static const char *body_of(const char *pattern)
{
    static char body[1 << 16];
    size_t len = 0;

    for (const char *c = pattern; *c != '\0'; c++) {
        if (*c == '@') {
            const lk_buf *picture = &pictures[*++c - '0'];

            assert_true(len + picture->len < sizeof(body) - 2);
            memcpy(body + len, picture->data, picture->len);
            len += picture->len;
        } else {
            body[len++] = *c;
        }
    }
    body[len] = '\0';
    return body;
}

static void put(const char *collection, const char *records)
{
    char pattern[2048];

    (void)snprintf(pattern, sizeof(pattern), "{\"records\":[%s]}", records);
    if (call_json(lk_handle_put_records, collection, body_of(pattern)) != 200)
        fail_msg("%s", last.body.data);
}

/* Five records: of one picture, of the same with a text, of another one, of a
 * picture that is none beside a text, and of one that is none alone. */
static void goods_make(const char *options)
{
    collection_create("goods", options);
    put("goods",
        "{\"id\":\"a\",\"fields\":{\"photo\":\"@0\"}},"
        "{\"id\":\"b\",\"fields\":{\"photo\":\"@0\",\"title\":\"hello\"}},"
        "{\"id\":\"c\",\"fields\":{\"photo\":\"@1\"}},"
        "{\"id\":\"d\",\"fields\":{\"photo\":\"" CUT "\","
        "\"title\":\"hello\"}},"
        "{\"id\":\"e\",\"fields\":{\"photo\":\"a.png\"}}");
}

#define CLIP "{\"model\":\"clip\",\"image\":\"photo\",\"text\":[\"title\"]}"
#define VIT  "{\"model\":\"vit\",\"image\":\"photo\"}"

static void search(const char *body)
{
    if (call_json(lk_handle_search, "goods", body_of(body)) != 200)
        fail_msg("%s", last.body.data);
}

static void a_model_has_to_read_what_records_have(void **state)
{
    static const struct {
        const char *body, *message;
    } cases[] = {
        {"{\"model\":\"tiny\",\"image\":\"photo\"}",
         "model \"tiny\" reads no pictures"},
        {"{\"model\":\"vit\"}", "model \"vit\" reads pictures alone, and no "
                                "texts"},
        {"{\"model\":\"vit\",\"image\":\"p\",\"text\":[\"title\"]}",
         "model \"vit\" reads pictures alone, and no texts"},
        {"{\"model\":null,\"dim\":3,\"image\":\"photo\"}",
         "\"image\" needs a model: without one vectors are given"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        (void)call_json(lk_handle_create_collection, "x", cases[i].body);
        assert_problem(400, "bad_request", cases[i].message);
    }
}

static void pictures_that_cannot_be_used_are_told_and_stored(void **state)
{
    (void)state;
    goods_make(CLIP);
    assert_json_at("created", "5");
    assert_json_at("unusable_images", "2");
    assert_json_at(
        "image_problems",
        "[{\"record\":3,\"problem\":\"image is no JPEG, PNG or WebP file\"},"
        "{\"record\":4,\"problem\":\"is no data URI: linkd opens no files for "
        "clients\"}]");
    assert_int_equal(call_json(lk_handle_get_collection, "goods", NULL), 200);
    assert_text_at("image", "photo");
    assert_json_at("records", "5");
    assert_json_at("vectors", "4");
    put("goods", "{\"id\":\"a\",\"fields\":{\"photo\":\"@0\"}}");
    assert_false(is_there("unusable_images"));
}

static void a_search_goes_by_text_picture_or_both(void **state)
{
    (void)state;
    goods_make(CLIP);
    search("{\"image\":\"@0\",\"k\":1}");
    assert_text_at("hits.0.id", "a");
    assert_json_at("hits.0.score", "1.0");
    search("{\"image\":\"@0\",\"text\":\"hello\",\"k\":1}");
    assert_text_at("hits.0.id", "b");
    assert_json_at("hits.0.score", "1.0");
    search("{\"text\":\"hello\",\"k\":1}");
    assert_text_at("hits.0.id", "d");
    assert_json_at("hits.0.score", "1.0");
    search("{\"queries\":[{\"image\":\"@1\"},{\"text\":\"hello\"}],\"k\":1}");
    assert_text_at("results.0.hits.0.id", "c");
    assert_text_at("results.1.hits.0.id", "d");
}

/* Before texts, that is, and not before pictures. */
static void a_prompt_goes_before_texts(void **state)
{
    (void)state;
    goods_make("{\"model\":\"prompted\",\"image\":\"photo\","
               "\"text\":[\"title\"]}");
    search("{\"image\":\"@0\",\"k\":1}");
    assert_text_at("hits.0.id", "a");
    assert_json_at("hits.0.score", "1.0");
    search("{\"image\":\"@0\",\"text\":\"hello\",\"k\":1}");
    assert_true(json_number_value(at("hits.0.score")) < 0.99999);
}

/* They are long: ten hits of a photograph each would be megabytes. */
static void hits_have_their_picture_if_it_is_named(void **state)
{
    (void)state;
    goods_make(CLIP);
    search("{\"image\":\"@0\",\"text\":\"hello\",\"k\":1}");
    assert_json_at("hits.0.fields", "{\"title\":\"hello\"}");
    search("{\"record\":\"b\",\"k\":1}");
    assert_json_at("hits.0.fields", "{}");
    search("{\"image\":\"@1\",\"fields\":[\"photo\"],\"k\":1}");
    assert_text_at("hits.0.fields.photo", pictures[1].data);
}

static void wrong_pictures_of_queries_are_refused(void **state)
{
    (void)state;
    goods_make(VIT);
    (void)call_json(lk_handle_search, "goods", "{\"image\":\"a.png\"}");
    assert_problem(400, "bad_request",
                   "the body: \"image\" is no data URI: linkd opens no files "
                   "for clients");
    (void)call_json(lk_handle_search, "goods", "{\"image\":\"" CUT "\"}");
    assert_problem(400, "bad_request",
                   "the body: \"image\": image is no JPEG, PNG or WebP file");
    (void)call_json(lk_handle_search, "goods", "{\"text\":\"hello\"}");
    assert_problem(400, "bad_request",
                   "model \"vit\" reads pictures alone: search by \"image\"");
    collection_create("texts", "{\"model\":\"tiny\"}");
    (void)call_json(lk_handle_search, "texts", body_of("{\"image\":\"@0\"}"));
    assert_problem(400, "bad_request", "model \"tiny\" reads no pictures");
}

static void a_record_is_attached_by_its_picture(void **state)
{
    (void)state;
    collection_create("goods", VIT);
    assert_int_equal(
        call_json(lk_handle_attach, "goods",
                  body_of("{\"id\":\"a\",\"fields\":{\"photo\":\"@0\"}}")),
        200);
    assert_int_equal(
        call_json(lk_handle_attach, "goods",
                  body_of("{\"id\":\"b\",\"fields\":{\"photo\":\"@0\"}}")),
        200);
    assert_text_at("match.id", "a");
    assert_false(is_there("image_problem"));
    assert_int_equal(call_json(lk_handle_attach, "goods",
                               "{\"id\":\"c\",\"fields\":{\"photo\":\"" CUT
                               "\"}}"),
                     200);
    assert_json_at("new", "true");
    assert_text_at("image_problem", "image is no JPEG, PNG or WebP file");
}

/* ---- jobs ---------------------------------------------------------------- */

/* Vectors are those that the collection has: nothing is encoded. */
static void a_dedup_job_compares_pictures(void **state)
{
    uint64_t before;
    uint64_t job;

    (void)state;
    goods_make(VIT);
    before = encoded_count();
    job = job_submit("{\"kind\":\"dedup\",\"input\":{\"collection\":"
                     "\"goods\"},\"min_score\":0.9999}");
    job_wait(job);
    assert_text_at("state", "done");
    assert_int_equal(encoded_count(), before);
    job_results(job, "format=csv");
    assert_string_equal(last.body.data,
                        "id,entity_id\na,1\nb,1\nc,2\nd,3\ne,4\n");
}

static void a_link_job_compares_collections_of_pictures(void **state)
{
    uint64_t job;

    (void)state;
    goods_make(CLIP);
    collection_create("more", CLIP);
    put("more", "{\"id\":\"x\",\"fields\":{\"photo\":\"@1\"}},"
                "{\"id\":\"y\",\"fields\":{\"photo\":\"@0\","
                "\"title\":\"hello\"}}");
    job = job_submit("{\"kind\":\"link\",\"left\":{\"collection\":\"goods\"},"
                     "\"right\":{\"collection\":\"more\"},"
                     "\"min_score\":0.9999}");
    job_wait(job);
    assert_text_at("state", "done");
    job_results(job, "format=csv");
    assert_non_null(strstr(last.body.data, "b,y,1.000000"));
    assert_non_null(strstr(last.body.data, "c,x,1.000000"));
    assert_null(strstr(last.body.data, "a,"));
}

static void a_picture_is_no_column_of_a_job(void **state)
{
    (void)state;
    goods_make(CLIP);
    (void)call_json(lk_handle_submit_job, NULL,
                    "{\"kind\":\"dedup\",\"input\":{\"collection\":\"goods\"},"
                    "\"on\":[\"photo\"]}");
    assert_problem(400, "bad_request",
                   "\"on\": field \"photo\" is a picture, which is compared "
                   "without being named");
}

/* ---- another model ------------------------------------------------------- */

enum { N_TURNS = 120 };

/* Parts of a picture are pictures of their own, as many as there are numbers. */
static void parts_make(void)
{
    collection_create("goods", VIT);
    for (int i = 0; i < N_TURNS; i++) {
        char record[200];

        (void)snprintf(record, sizeof(record),
                       "{\"id\":\"r%d\",\"fields\":{\"photo\":"
                       "\"@0#xywh=percent:%d,%d,%d,%d\"}}",
                       i, i % 11 * 4, i / 11 * 4, 40 + i % 7, 40 + i % 5);
        put("goods", record);
    }
}

static void upgrade_do(lk_handler *handler, const char *body)
{
    uint64_t job;

    if (call_json(handler, "goods", body) != 202)
        fail_msg("%s", last.body.data);
    job = (uint64_t)json_integer_value(at("job"));
    job_wait(job);
    if (strcmp(json_string_value(at("state")), "done") != 0)
        fail_msg("%s", last.body.data);
}

/* Record r7 is found by its picture, and its score is 1 only in its own space. */
static void search_r7(const char *way)
{
    search("{\"image\":\"@0#xywh=percent:28,0,40,42\",\"k\":1}");
    assert_text_at("hits.0.way", way);
}

static void a_collection_of_pictures_gets_another_model(void **state)
{
    (void)state;
    parts_make();
    upgrade_do(lk_handle_upgrade_start, "{\"model\":\"clip\"}");
    search_r7("fuse");
    upgrade_do(lk_handle_upgrade_backfill, "{}");
    search_r7("native");
    assert_text_at("hits.0.id", "r7");
    assert_json_at("hits.0.score", "1.0");
    assert_json_at("hits.0.generation", "2");
    assert_int_equal(call_json(lk_handle_upgrade_rollback, "goods", "{}"), 200);
    search_r7("native");
    assert_text_at("hits.0.id", "r7");
    assert_json_at("hits.0.generation", "1");
}

static void a_model_that_reads_no_pictures_is_refused(void **state)
{
    (void)state;
    goods_make(VIT);
    (void)call_json(lk_handle_upgrade_start, "goods", "{\"model\":\"tiny\"}");
    assert_problem(400, "bad_request", "model \"tiny\" reads no pictures");
}

/* Canaries of a model without texts are pictures, and are the same again. */
static void the_models_of_pictures_are_checked_at_start(void **state)
{
    linkd_error err = {0};

    (void)state;
    parts_make();
    upgrade_do(lk_handle_upgrade_start, "{\"model\":\"clip\"}");
    if (lk_upgrade_models_check(&service, &err) != LINKD_OK)
        fail_msg("%s", err.message);
}

int main(void)
{
#define TEST(name)                                                             \
 cmocka_unit_test_setup_teardown(name, service_enter, service_leave)
#define JOB(name)                                                              \
 cmocka_unit_test_setup_teardown(name, job_service_enter, job_service_leave)
    const struct CMUnitTest tests[] = {
        TEST(a_model_has_to_read_what_records_have),
        TEST(pictures_that_cannot_be_used_are_told_and_stored),
        TEST(a_search_goes_by_text_picture_or_both),
        TEST(a_prompt_goes_before_texts),
        TEST(hits_have_their_picture_if_it_is_named),
        TEST(wrong_pictures_of_queries_are_refused),
        TEST(a_record_is_attached_by_its_picture),
        JOB(a_dedup_job_compares_pictures),
        JOB(a_link_job_compares_collections_of_pictures),
        JOB(a_picture_is_no_column_of_a_job),
        JOB(a_collection_of_pictures_gets_another_model),
        JOB(a_model_that_reads_no_pictures_is_refused),
        JOB(the_models_of_pictures_are_checked_at_start),
    };

    return cmocka_run_group_tests_name("pictures", tests, group_enter,
                                       group_leave);
}
