#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/daemon/service.h"

static int embed(const char *body)
{
    return call_json(lk_handle_embeddings, NULL, body);
}

static void must_embed(const char *body)
{
    if (embed(body) != 200)
        fail_msg("%s", last.body.data);
}

static void a_text_becomes_a_vector_of_length_1(void **state)
{
    double sum = 0.0;

    (void)state;
    must_embed("{\"input\":\"acme\"}");
    assert_text_at("object", "list");
    assert_text_at("model", "tiny");
    assert_int_equal(size_at("data"), 1);
    assert_text_at("data.0.object", "embedding");
    assert_json_at("data.0.index", "0");
    assert_int_equal(size_at("data.0.embedding"), TINY_DIM);
    for (size_t i = 0; i < TINY_DIM; i++) {
        double x = json_number_value(json_array_get(at("data.0.embedding"), i));

        sum += x * x;
    }
    assert_true(fabs(sum - 1.0) < 1e-5);
}

/* [CLS] a c m e [SEP], and [CLS] b [SEP]. */
static void usage_counts_tokens(void **state)
{
    (void)state;
    must_embed("{\"input\":[\"acme\",\"b\"],\"model\":\"tiny\"}");
    assert_json_at("usage", "{\"prompt_tokens\":9,\"total_tokens\":9}");
}

static void an_input_type_chooses_the_prompt(void **state)
{
    static const char *const types[] = {"", ",\"input_type\":\"query\"",
                                        ",\"input_type\":\"document\""};
    static const int n_tokens[] = {6, 7, 8};

    (void)state;
    prompted_model_make(
        "prompted", 1,
        "{\"prompts\": {\"query\": \"a\", \"document\": \"ab\"}}");
    for (size_t i = 0; i < 3; i++) {
        char body[128];

        (void)snprintf(body, sizeof(body),
                       "{\"model\":\"prompted\",\"input\":\"acme\"%s}",
                       types[i]);
        must_embed(body);
        assert_int_equal(json_integer_value(at("usage.total_tokens")),
                         n_tokens[i]);
    }
    assert_int_equal(embed("{\"input\":\"acme\",\"input_type\":\"x\"}"), 400);
    assert_problem(400, "bad_request",
                   "\"input_type\" is neither query nor document");
}

static void many_texts_keep_their_order(void **state)
{
    float vectors[3][TINY_DIM];

    (void)state;
    must_embed("{\"input\":[\"acme\",\"zulu\",\"acme\"]}");
    assert_int_equal(size_at("data"), 3);
    assert_json_at("data.2.index", "2");
    for (size_t i = 0; i < TINY_DIM; i++) {
        static const char *const paths[] = {
            "data.0.embedding", "data.1.embedding", "data.2.embedding"};

        for (size_t j = 0; j < 3; j++)
            vectors[j][i] =
                (float)json_number_value(json_array_get(at(paths[j]), i));
    }
    assert_memory_equal(vectors[0], vectors[2], sizeof(vectors[0]));
    assert_memory_not_equal(vectors[0], vectors[1], sizeof(vectors[0]));
}

static void base64_is_the_same_vector(void **state)
{
    float plain[TINY_DIM];
    float decoded[TINY_DIM];
    const char *text;

    (void)state;
    must_embed("{\"input\":\"acme\",\"encoding_format\":\"float\"}");
    for (size_t i = 0; i < TINY_DIM; i++)
        plain[i] =
            (float)json_number_value(json_array_get(at("data.0.embedding"), i));
    must_embed("{\"input\":\"acme\",\"encoding_format\":\"base64\"}");
    text = json_string_value(at("data.0.embedding"));
    assert_int_equal(lk_base64_decoded_len((linkd_str){text, strlen(text)}),
                     sizeof(decoded));
    assert_int_equal(
        lk_base64_decode((linkd_str){text, strlen(text)}, decoded, NULL),
        LINKD_OK);
    assert_memory_equal(decoded, plain, sizeof(plain));
}

static void what_openai_knows_and_we_do_not_need_is_let_be(void **state)
{
    (void)state;
    must_embed("{\"input\":\"acme\",\"user\":\"ann\",\"dimensions\":32}");
}

static void wrong_bodies_are_refused(void **state)
{
    static const char *const cases[][2] = {
        {"{\"input\":[1,2,3]}",
         "\"input\" has token numbers: only texts are taken"},
        {"{\"input\":[[1,2],[3]]}",
         "\"input\" has token numbers: only texts are taken"},
        {"{\"input\":[\"a\",null]}", "\"input\": item 1 is not a text"},
        {"{\"input\":[]}", "\"input\" has 0 texts, not 1 to 2048"},
        {"{}", "\"input\" is missing"},
        {"{\"input\":\"a\",\"dimensions\":16}",
         "\"dimensions\" is 16, but vectors of the model have 32 numbers"},
        {"{\"input\":\"a\",\"encoding_format\":\"hex\"}",
         "\"encoding_format\" is neither float nor base64"},
        {"{\"input\":\"a\",\"inputs\":7}",
         "the body has an unknown member \"inputs\""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        (void)embed(cases[i][0]);
        assert_problem(400, "bad_request", cases[i][1]);
    }
}

static void more_than_2048_texts_are_refused(void **state)
{
    lk_buf body = {0};

    (void)state;
    assert_int_equal(lk_buf_printf(&body, NULL, "{\"input\":[\"a\""), LINKD_OK);
    for (size_t i = 0; i < 2048; i++)
        assert_int_equal(lk_buf_append(&body, ",\"a\"", 4, NULL), LINKD_OK);
    assert_int_equal(lk_buf_append(&body, "]}", 2, NULL), LINKD_OK);
    (void)embed(body.data);
    assert_problem(400, "bad_request",
                   "\"input\" has 2049 texts, not 1 to 2048");
    lk_buf_clear(&body);
}

/* A client may not make us open files of its choice. */
static void a_model_is_a_name_and_no_path(void **state)
{
    static const char *const names[] = {"nope", "../models/tiny", "/tmp", ".",
                                        ".hidden"};

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        lk_buf body = {0};

        assert_int_equal(lk_buf_printf(&body, NULL,
                                       "{\"input\":\"a\",\"model\":\"%s\"}",
                                       names[i]),
                         LINKD_OK);
        assert_int_equal(embed(body.data), 404);
        assert_text_at("code", "absent");
        lk_buf_clear(&body);
        assert_int_equal(call_json(lk_handle_get_model, names[i], NULL), 404);
    }
}

static void models_are_listed_and_described_once_open(void **state)
{
    (void)state;
    assert_int_equal(call_json(lk_handle_list_models, NULL, NULL), 200);
    assert_text_at("object", "list");
    assert_int_equal(size_at("data"), 1);
    assert_text_at("data.0.id", "tiny");
    assert_text_at("data.0.object", "model");
    assert_text_at("data.0.owned_by", "linkd");
    assert_false(is_there("data.0.dim"));
    must_embed("{\"input\":\"acme\"}");
    assert_int_equal(call_json(lk_handle_get_model, "tiny", NULL), 200);
    assert_text_at("id", "tiny");
    assert_json_at("dim", "32");
    assert_json_at("max_tokens", "64");
    assert_int_equal(strlen(json_string_value(at("fingerprint"))), 32);
}

#define TEST(name)                                                             \
 cmocka_unit_test_setup_teardown(name, service_enter, service_leave)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_text_becomes_a_vector_of_length_1),
        TEST(usage_counts_tokens),
        TEST(many_texts_keep_their_order),
        TEST(base64_is_the_same_vector),
        TEST(what_openai_knows_and_we_do_not_need_is_let_be),
        TEST(wrong_bodies_are_refused),
        TEST(more_than_2048_texts_are_refused),
        TEST(a_model_is_a_name_and_no_path),
        TEST(models_are_listed_and_described_once_open),
        TEST(an_input_type_chooses_the_prompt),
    };

    return cmocka_run_group_tests(tests, service_group_enter,
                                  service_group_leave);
}
