#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/daemon/service.h"

/* Four vectors at known angles to [1,0,0,0]: cosines 1, 0.8, 0.6 and 0. */
static void vectors_create(void)
{
    collection_create("v", "{\"model\":null,\"dim\":4}");
    record_put("v",
               "{\"id\":\"a\",\"vector\":[2,0,0,0],\"fields\":{\"n\":1,"
               "\"city\":\"Bonn\",\"raw\":{\"x\":[1.50,null]}}},"
               "{\"id\":\"b\",\"vector\":[0.8,0.6,0,0],\"fields\":{\"n\":2,"
               "\"city\":\"Kiel\"}},"
               "{\"id\":\"c\",\"vector\":[0.6,0,0.8,0],\"fields\":{\"n\":3,"
               "\"city\":\"say \\\"hi\\\"\\n\"}},"
               "{\"id\":\"d\",\"vector\":[0,0,0,1],\"fields\":{\"n\":4}}");
}

static int search(const char *body)
{
    return call_json(lk_handle_search, "v", body);
}

static void must_search(const char *body)
{
    if (search(body) != 200)
        fail_msg("%s", last.body.data);
}

static void assert_ids(const char *path, const char *expected)
{
    char ids[64] = "";

    for (size_t i = 0; i < size_at(path); i++) {
        char id[40];

        (void)snprintf(id, sizeof(id), "%s.%zu.id", path, i);
        strncat(ids, json_string_value(at(id)), sizeof(ids) - strlen(ids) - 1);
    }
    assert_string_equal(ids, expected);
}

static void hits_come_best_first_with_their_fields(void **state)
{
    (void)state;
    vectors_create();
    must_search("{\"vector\":[5,0,0,0],\"k\":3}");
    assert_ids("hits", "abc");
    assert_json_at("hits.0.score", "1.0");
    assert_json_at("hits.1.score", "0.8");
    assert_json_at("hits.0.fields",
                   "{\"n\":1,\"city\":\"Bonn\",\"raw\":{\"x\":[1.5,null]}}");
    assert_text_at("hits.2.fields.city", "say \"hi\"\n");
    assert_json_at("exact", "true");
    assert_json_at("scanned", "4");
    assert_false(is_there("hits.0.entity"));
}

/* Six digits, and numbers of fields as they were written. */
static void the_answer_is_compact_json(void **state)
{
    (void)state;
    vectors_create();
    must_search("{\"vector\":[1,0,0,0],\"k\":1}");
    assert_string_equal(last.body.data,
                        "{\"hits\":[{\"id\":\"a\",\"score\":1.000000,"
                        "\"fields\":{\"n\":1,\"city\":\"Bonn\","
                        "\"raw\":{\"x\":[1.5,null]}}}],"
                        "\"exact\":true,\"scanned\":4}\n");
}

static void ten_hits_are_the_default(void **state)
{
    (void)state;
    vectors_create();
    must_search("{\"vector\":[1,0,0,0]}");
    assert_int_equal(size_at("hits"), 4);
    must_search("{\"vector\":[1,0,0,0],\"k\":10000}");
    assert_int_equal(size_at("hits"), 4);
}

/* Records behind "a", queries behind "ab": what is found is the record whose
 * text, so changed, is the query, and not the one that is written as it. */
static void texts_are_searched_for_as_queries(void **state)
{
    (void)state;
    prompted_model_make(
        "prompted", 1,
        "{\"prompts\": {\"query\": \"ab\", \"document\": \"a\"}}");
    collection_create("p", "{\"model\":\"prompted\",\"text\":[\"name\"]}");
    record_put("p", "{\"id\":\"same\",\"fields\":{\"name\":\"acme\"}},"
                    "{\"id\":\"right\",\"fields\":{\"name\":\"bacme\"}}");
    assert_int_equal(
        call_json(lk_handle_search, "p", "{\"text\":\"acme\",\"k\":1}"), 200);
    assert_text_at("hits.0.id", "right");
    assert_json_at("hits.0.score", "1.0");
}

static void a_threshold_shortens_the_list(void **state)
{
    (void)state;
    vectors_create();
    must_search("{\"vector\":[1,0,0,0],\"threshold\":0.7}");
    assert_ids("hits", "ab");
}

/* In f32 the vector times itself is less than 1, and a hit that is shown with
 * the score that was asked for is one. */
static void equal_vectors_pass_a_threshold_of_1(void **state)
{
    (void)state;
    vectors_create();
    record_put("v", "{\"id\":\"e\",\"vector\":[1,1,0,0]}");
    must_search("{\"vector\":[1,1,0,0],\"threshold\":1}");
    assert_ids("hits", "e");
    must_search("{\"vector\":[1,1,0,0],\"threshold\":1,\"all\":true}");
    assert_ids("hits", "e");
    must_search("{\"vector\":[0.8,0.6,0,0],\"threshold\":0.8000001}");
    assert_int_equal(size_at("hits"), 3);
}

static void a_score_of_nothing_has_no_sign(void **state)
{
    (void)state;
    vectors_create();
    must_search("{\"vector\":[-1e-9,0,0,1],\"k\":4,\"fields\":false}");
    assert_non_null(strstr(last.body.data, ":0.000000"));
    assert_null(strstr(last.body.data, "-0.000000"));
}

static void a_filter_lets_others_in(void **state)
{
    (void)state;
    vectors_create();
    must_search("{\"vector\":[1,0,0,0],\"k\":1,"
                "\"filter\":{\"range\":{\"n\":{\"gte\":2,\"lt\":4}}}}");
    assert_ids("hits", "b");
}

static void fields_are_chosen(void **state)
{
    (void)state;
    vectors_create();
    must_search("{\"vector\":[1,0,0,0],\"k\":1,\"fields\":[\"city\",\"x\"]}");
    assert_json_at("hits.0.fields", "{\"city\":\"Bonn\"}");
    must_search("{\"vector\":[1,0,0,0],\"k\":1,\"fields\":[]}");
    assert_json_at("hits.0.fields", "{}");
    must_search("{\"vector\":[1,0,0,0],\"k\":1,\"fields\":false}");
    assert_false(is_there("hits.0.fields"));
    must_search("{\"vector\":[1,0,0,0],\"k\":1,\"fields\":true}");
    assert_json_at("hits.0.fields.n", "1");
}

static void a_record_finds_its_neighbours_without_itself(void **state)
{
    (void)state;
    vectors_create();
    must_search("{\"record\":\"a\",\"k\":2}");
    assert_ids("hits", "bc");
    (void)search("{\"record\":\"zz\"}");
    assert_problem(404, "absent", "there is no record \"zz\"");
}

static void several_queries_share_the_options(void **state)
{
    (void)state;
    vectors_create();
    must_search("{\"queries\":[{\"vector\":[1,0,0,0]},{\"record\":\"a\"},"
                "{\"vector\":\"AAAAAAAAAAAAAAAAAACAPw==\"},"
                "{\"vector\":[0,1,0,0]}],\"k\":2,\"fields\":false}");
    assert_int_equal(size_at("results"), 4);
    assert_ids("results.0.hits", "ab");
    assert_ids("results.1.hits", "bc");
    assert_ids("results.2.hits", "da");
    assert_json_at("results.2.hits.0.score", "1.0");
    assert_ids("results.3.hits", "ba");
    assert_json_at("results.3.exact", "true");
}

static void all_is_everything_above_the_threshold(void **state)
{
    (void)state;
    vectors_create();
    must_search("{\"vector\":[1,0,0,0],\"all\":true,\"threshold\":0.5}");
    assert_ids("hits", "abc");
    must_search("{\"queries\":[{\"record\":\"a\"},{\"vector\":[0,0,0,1]}],"
                "\"all\":true,\"threshold\":0.5}");
    assert_ids("results.0.hits", "bc");
    assert_ids("results.1.hits", "d");
}

/* That of attach, which is .74 where nobody has said. */
static void all_without_a_threshold_is_by_the_collections(void **state)
{
    (void)state;
    vectors_create();
    must_search("{\"vector\":[1,0,0,0],\"all\":true}");
    assert_ids("hits", "ab");
}

/* The dangerous sizes: 0, more than there can be, and the edge of 32 bits. */
static void sizes_out_of_range_are_refused(void **state)
{
    static const char *const sizes[] = {
        "0", "-1", "10001", "2147483648", "1.5", "\"3\"", "99999999999999999"};

    (void)state;
    vectors_create();
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        char body[80];

        (void)snprintf(body, sizeof(body), "{\"vector\":[1,0,0,0],\"k\":%s}",
                       sizes[i]);
        (void)search(body);
        assert_problem(400, "bad_request",
                       "\"k\" is not an integer from 1 to 10000");
    }
    (void)search("{\"vector\":[1,0,0,0],\"effort\":0}");
    assert_problem(400, "bad_request",
                   "\"effort\" is not an integer from 1 to 10000");
}

static void wrong_bodies_are_refused(void **state)
{
    static const char *const cases[][2] = {
        {"{}", "the body has not one of \"text\" or \"image\", \"vector\" and "
               "\"record\""},
        {"{\"vector\":[1,0,0,0],\"record\":\"a\"}",
         "the body has not one of \"text\" or \"image\", \"vector\" and "
         "\"record\""},
        {"{\"vector\":[1,0,0]}",
         "\"vector\" has 3 numbers, not the collection's 4"},
        {"{\"vector\":[0,0,0,0]}", "\"vector\" is all zero"},
        {"{\"vector\":[1,0,0,0],\"limit\":3}",
         "the body has an unknown member \"limit\""},
        {"{\"vector\":[1,0,0,0],\"threshold\":1.5}",
         "\"threshold\" is not a number from -1 to 1"},
        {"{\"vector\":[1,0,0,0],\"threshold\":{\"probability\":0.5},"
         "\"false_match_rate\":0.5}",
         "\"threshold\", \"false_match_rate\" and \"probability\" exclude "
         "each other"},
        {"{\"vector\":[1,0,0,0],\"all\":true,\"threshold\":0,\"k\":3}",
         "\"all\" takes no \"k\""},
        {"{\"vector\":[1,0,0,0],\"fields\":7}",
         "\"fields\" is not true, false or an array of at most 4096 names"},
        {"{\"vector\":[1,0,0,0],\"fields\":[7]}",
         "\"fields\": item 0 is not a field's name"},
        {"{\"vector\":[1,0,0,0],\"filter\":{\"is\":1}}",
         "filter: unknown operator \"is\""},
        {"{\"queries\":{}}", "\"queries\" is not an array"},
        {"{\"queries\":[]}", "0 queries at once, not 1 to 1000"},
        {"{\"queries\":[{\"vector\":[1,0,0,0],\"k\":3}]}",
         "query 0 has an unknown member \"k\""},
        {"{\"queries\":[{\"record\":\"a\"},{\"vector\":[1]}]}",
         "query 1 has 1 numbers, not the collection's 4"},
        {"{\"queries\":[{\"record\":\"a\"}],\"record\":\"a\"}",
         "the body has \"queries\" and a query beside them"},
        {"{\"text\":\"acme\"}",
         "the collection has no model to encode \"text\" with: search by "
         "\"vector\" or \"record\""},
    };

    (void)state;
    vectors_create();
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        (void)search(cases[i][0]);
        assert_problem(400, "bad_request", cases[i][1]);
    }
}

static void a_filter_on_a_field_that_has_no_index_is_refused(void **state)
{
    (void)state;
    collection_create("v", "{\"model\":null,\"dim\":4,\"filter\":[\"n\"]}");
    assert_int_equal(search("{\"vector\":[1,0,0,0],"
                            "\"filter\":{\"exists\":\"city\"}}"),
                     400);
    assert_text_at("code", "bad_request");
}

static void a_collection_that_is_not_there_is_404(void **state)
{
    (void)state;
    assert_int_equal(search("{\"vector\":[1,0,0,0]}"), 404);
    assert_text_at("code", "absent");
}

/* ---- bodies of bare vectors ---------------------------------------------- */

static int search_bytes(const float *vectors, size_t n_bytes, const char *query)
{
    return call_run(&(call){.handler = lk_handle_search,
                            .collection = "v",
                            .body = (const char *)vectors,
                            .body_len = n_bytes,
                            .query = query,
                            .content_type = "application/octet-stream"});
}

static void a_body_may_be_a_bare_vector(void **state)
{
    static const float vector[4] = {3.0F, 0.0F, 0.0F, 0.0F};

    (void)state;
    vectors_create();
    assert_int_equal(search_bytes(vector, sizeof(vector), "k=2&fields=false"),
                     200);
    assert_ids("hits", "ab");
    assert_false(is_there("hits.0.fields"));
    assert_int_equal(search_bytes(vector, sizeof(vector),
                                  "all=true&threshold=0.7&filter=%7B%22eq%22"
                                  ":%7B%22n%22:2%7D%7D&fields=%5B%22n%22%5D"),
                     200);
    assert_ids("hits", "b");
    assert_json_at("hits.0.fields", "{\"n\":2}");
}

static void several_bare_vectors_have_several_lists(void **state)
{
    static const float vectors[8] = {1.0F, 0.0F, 0.0F, 0.0F,
                                     0.0F, 0.0F, 0.0F, 1.0F};

    (void)state;
    vectors_create();
    assert_int_equal(search_bytes(vectors, sizeof(vectors), "k=1"), 200);
    assert_ids("results.0.hits", "a");
    assert_ids("results.1.hits", "d");
}

static void wrong_parameters_are_refused(void **state)
{
    static const float vector[4] = {3.0F, 0.0F, 0.0F, 0.0F};

    (void)state;
    vectors_create();
    (void)search_bytes(vector, sizeof(vector), "kk=2");
    assert_problem(400, "bad_request", "unknown query parameter \"kk\"");
    (void)search_bytes(vector, sizeof(vector), "k=0");
    assert_problem(400, "bad_request",
                   "\"k\" is not an integer from 1 to 10000");
    assert_int_equal(search_bytes(vector, sizeof(vector), "k=two"), 400);
    assert_int_equal(search_bytes(vector, sizeof(vector) - 1, "k=2"), 400);
    (void)call_run(&(call){.handler = lk_handle_search,
                           .collection = "v",
                           .body = "{\"record\":\"a\"}",
                           .query = "k=2"});
    assert_problem(400, "bad_request", "unknown query parameter \"k\"");
}

/* ---- texts --------------------------------------------------------------- */

static void texts_create(void)
{
    collection_create("v", "{\"text\":[\"name\"]}");
    record_put("v", "{\"id\":\"1\",\"fields\":{\"name\":\"acme corp\"}},"
                    "{\"id\":\"2\",\"fields\":{\"name\":\"zulu 99\"}},"
                    "{\"id\":\"3\",\"fields\":{\"name\":\"\xE2\x82\xAC\"}},"
                    "{\"id\":\"4\",\"fields\":{\"city\":\"bonn\"}}");
}

static void a_text_finds_the_record_of_that_text(void **state)
{
    (void)state;
    texts_create();
    must_search("{\"text\":\"acme corp\"}");
    assert_ids("hits", "12");
    assert_json_at("hits.0.score", "1.0");
}

static void texts_of_a_request_are_encoded_together(void **state)
{
    (void)state;
    texts_create();
    must_search("{\"queries\":[{\"text\":\"zulu 99\"},{\"record\":\"1\"},"
                "{\"text\":\"acme corp\"}],\"k\":1}");
    assert_ids("results.0.hits", "2");
    assert_ids("results.1.hits", "2");
    assert_ids("results.2.hits", "1");
}

/* All such texts have the same vector, which is near to nothing in particular. */
static void a_text_without_a_known_word_finds_nothing(void **state)
{
    (void)state;
    texts_create();
    must_search("{\"text\":\"\xE2\x82\xAC\"}");
    assert_int_equal(size_at("hits"), 0);
    assert_json_at("exact", "true");
    must_search("{\"queries\":[{\"text\":\"\"},{\"text\":\"acme corp\"}]}");
    assert_int_equal(size_at("results.0.hits"), 0);
    assert_ids("results.1.hits", "12");
}

static void a_record_without_a_vector_finds_nothing(void **state)
{
    (void)state;
    texts_create();
    must_search("{\"record\":\"3\"}");
    assert_int_equal(size_at("hits"), 0);
}

static void a_vector_searches_a_collection_with_a_model_too(void **state)
{
    char body[400];
    size_t len = 0;

    (void)state;
    texts_create();
    len += (size_t)snprintf(body, sizeof(body), "{\"vector\":[1");
    for (size_t i = 1; i < TINY_DIM; i++)
        len += (size_t)snprintf(body + len, sizeof(body) - len, ",0");
    (void)snprintf(body + len, sizeof(body) - len, "]}");
    must_search(body);
    assert_int_equal(size_at("hits"), 2);
}

static void a_request_that_is_over_is_not_searched(void **state)
{
    (void)state;
    vectors_create();
    assert_int_equal(call_run(&(call){.handler = lk_handle_search,
                                      .collection = "v",
                                      .body = "{\"vector\":[1,0,0,0]}",
                                      .is_over = true}),
                     504);
    assert_text_at("code", "deadline");
}

#define TEST(name)                                                             \
 cmocka_unit_test_setup_teardown(name, service_enter, service_leave)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(hits_come_best_first_with_their_fields),
        TEST(the_answer_is_compact_json),
        TEST(ten_hits_are_the_default),
        TEST(texts_are_searched_for_as_queries),
        TEST(a_threshold_shortens_the_list),
        TEST(equal_vectors_pass_a_threshold_of_1),
        TEST(a_score_of_nothing_has_no_sign),
        TEST(a_filter_lets_others_in),
        TEST(fields_are_chosen),
        TEST(a_record_finds_its_neighbours_without_itself),
        TEST(several_queries_share_the_options),
        TEST(all_is_everything_above_the_threshold),
        TEST(all_without_a_threshold_is_by_the_collections),
        TEST(sizes_out_of_range_are_refused),
        TEST(wrong_bodies_are_refused),
        TEST(a_filter_on_a_field_that_has_no_index_is_refused),
        TEST(a_collection_that_is_not_there_is_404),
        TEST(a_body_may_be_a_bare_vector),
        TEST(several_bare_vectors_have_several_lists),
        TEST(wrong_parameters_are_refused),
        TEST(a_text_finds_the_record_of_that_text),
        TEST(texts_of_a_request_are_encoded_together),
        TEST(a_text_without_a_known_word_finds_nothing),
        TEST(a_record_without_a_vector_finds_nothing),
        TEST(a_vector_searches_a_collection_with_a_model_too),
        TEST(a_request_that_is_over_is_not_searched),
    };

    return cmocka_run_group_tests(tests, service_group_enter,
                                  service_group_leave);
}
