/* tests/daemon/test_job_decide.c — what jobs decide by probability, and the ids of
 * entities that they write back. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/daemon/job_service.h"

/* ---- by probability ------------------------------------------------------ */

#define N_PEOPLE 240

static uint32_t mix(uint32_t x)
{
    x = (x ^ (x >> 16)) * UINT32_C(0x45d9f3b);
    x = (x ^ (x >> 16)) * UINT32_C(0x45d9f3b);
    return x ^ (x >> 16);
}

static void name_make(uint32_t number, char *name)
{
    static const char *const syllables[] = {
        "ba", "ke", "li",  "mo",  "nu",  "ra",  "si",  "to",
        "vu", "ze", "dor", "fan", "gel", "hin", "jos", "pam"};

    (void)snprintf(name, 16, "%s%s%s", syllables[number % 16],
                   syllables[number / 16 % 16], syllables[number / 256 % 16]);
}

/* Appends record `id`: who is `person`, perhaps with a slip in the name. */
static void person_print(lk_buf *text, bool as_json, uint32_t id,
                         uint32_t person, bool slip)
{
    uint32_t note = mix(id) % 1000;
    uint32_t birth = mix(person * 3 + 7);
    char born[16];
    char family[16];
    char first[24];
    int rc;

    (void)snprintf(born, sizeof(born), "%u-%02u-%02u", 1900 + birth % 80,
                   1 + birth / 80 % 12, 1 + birth / 960 % 28);
    name_make(mix(person * 3 + 2), family);
    name_make(mix(person * 3 + 1), first);
    if (slip)
        (void)strcat(first, "x");
    if (as_json)
        rc = lk_buf_printf(text, NULL,
                           "%s{\"id\":\"p%u\",\"fields\":{\"note\":\"n%u\","
                           "\"born\":\"%s\",\"last\":\"%s\",\"first\":\"%s\"}}",
                           text->len > 0 ? "," : "", id, note, born, family,
                           first);
    else
        rc = lk_buf_printf(text, NULL, "p%u,n%u,%s,%s,%s\n", id, note, born,
                           family, first);
    assert_int_equal(rc, LINKD_OK);
}

/* Of each three records [begin, end) the first two are one person. */
static void people_print(lk_buf *text, bool as_json, uint32_t begin,
                         uint32_t end)
{
    for (uint32_t i = begin; i < end; i++)
        person_print(text, as_json, i, i % 3 == 1 ? i - 1 : i, i % 3 == 1);
}

static const char *people_upload(void)
{
    lk_buf text = {0};
    const char *name;

    assert_int_equal(lk_buf_printf(&text, NULL, "id,note,born,last,first\n"),
                     LINKD_OK);
    people_print(&text, false, 0, N_PEOPLE);
    name = table_upload("text/csv", text.data);
    lk_buf_clear(&text);
    return name;
}

static void people_put(const char *collection, uint32_t begin, uint32_t end)
{
    lk_buf text = {0};

    people_print(&text, true, begin, end);
    record_put(collection, text.data);
    lk_buf_clear(&text);
}

static uint64_t job_done(const char *body)
{
    uint64_t number = job_submit(body);

    job_wait(number);
    if (strcmp(json_string_value(at("state")), "done") != 0)
        fail_msg("%s", last.body.data);
    return number;
}

/* `more` begins with a comma, or is empty. */
static uint64_t dedup_done(const char *what, const char *name, const char *more)
{
    char body[256];

    (void)snprintf(body, sizeof(body),
                   "{\"kind\":\"dedup\",\"input\":{\"%s\":\"%s\"}%s}", what,
                   name, more);
    return job_done(body);
}

#define ON ",\"on\":[\"first\",\"last\",\"born\"]"

static void a_job_decides_by_probability(void **state)
{
    uint64_t number = dedup_done("file", people_upload(), ON);
    double f1 = json_number_value(at("verdict.f1"));

    (void)state;
    assert_json_at("verdict.supported", "true");
    assert_text_at("verdict.doubt", "");
    assert_json_at("counts.pairs", "80");
    assert_json_at("counts.entities", "160");
    assert_true(f1 > 0.9 && f1 <= 1.0);
    /* what the row in the store says, too */
    jobs_stop();
    jobs_start();
    assert_int_equal(job_call(lk_handle_get_job, number), 200);
    assert_true(json_number_value(at("verdict.f1")) == f1);
}

static void a_link_tells_how_probable_each_pair_is(void **state)
{
    uint64_t number;
    char body[256];
    char file[64];
    double probability;

    (void)state;
    (void)snprintf(file, sizeof(file), "%s", people_upload());
    (void)snprintf(body, sizeof(body),
                   "{\"kind\":\"link\",\"left\":{\"file\":\"%s\"},"
                   "\"right\":{\"file\":\"%s\"},\"threshold\":0.5,"
                   "\"assign\":\"one-to-one\"}",
                   file, file);
    number = job_done(body);
    assert_text_at("verdict.assign", "one-to-one");
    assert_json_at("verdict.threshold", "0.5");
    assert_json_at("counts.left_unmatched", "0");
    job_results(number, "limit=1");
    assert_text_at("left_id", "p0");
    assert_text_at("right_id", "p0");
    probability = json_number_value(at("probability"));
    assert_true(probability > 0.9 && probability <= 1.0);
}

static char *dedup_results(const char *what, const char *name, const char *more)
{
    return job_results_copy(dedup_done(what, name, more));
}

static void assert_same_results(char *take_a, char *take_b)
{
    assert_string_equal(take_a, take_b);
    free(take_a);
    free(take_b);
}

/* The fields that the settings name are columns, whatever their order in the
 * records; the vectors are those that the records have. */
static void a_collection_is_decided_as_the_same_table_is(void **state)
{
    uint64_t n_encoded;
    char *of_file = dedup_results("file", people_upload(), ON);
    char *of_collection;

    (void)state;
    collection_create("a", "{\"text\":[\"first\",\"last\",\"born\"]}");
    people_put("a", 0, N_PEOPLE);
    n_encoded = encoded_count();
    of_collection = dedup_results("collection", "a", "");
    assert_int_equal(encoded_count(), n_encoded);
    assert_same_results(of_collection, of_file);
}

static void named_fields_are_compared_in_place_of_the_settings(void **state)
{
    static const char on[] = ",\"on\":[\"last\",\"born\"]";

    (void)state;
    collection_create("a", "{\"text\":[\"note\"]}");
    people_put("a", 0, N_PEOPLE);
    assert_same_results(dedup_results("collection", "a", on),
                        dedup_results("file", people_upload(), on));
}

static void without_a_model_nothing_is_encoded(void **state)
{
    (void)state;
    collection_create("a", "{\"text\":[\"first\",\"last\",\"born\"]}");
    people_put("a", 0, N_PEOPLE);
    assert_same_results(
        dedup_results("collection", "a", ",\"model\":\"none\""),
        dedup_results("file", people_upload(), ON ",\"model\":\"none\""));
    assert_int_equal(encoded_count(), N_PEOPLE);
}

/* Columns of a file and fields of a collection are paired by name and content,
 * as those of two files are. */
static void a_file_meets_the_fields_of_a_collection(void **state)
{
    char body[256];

    (void)state;
    collection_create("a", "{\"text\":[\"first\",\"last\",\"born\"]}");
    people_put("a", 0, N_PEOPLE);
    (void)snprintf(body, sizeof(body),
                   "{\"kind\":\"link\",\"left\":{\"file\":\"%s\"},"
                   "\"right\":{\"collection\":\"a\"},"
                   "\"assign\":\"one-to-one\"}",
                   people_upload());
    (void)job_done(body);
    /* the file's notes are noise in its vectors */
    assert_in_range(json_integer_value(at("counts.pairs")), 230, N_PEOPLE);
}

/* Their vectors are found by the record, since there is no text. */
static void ready_made_vectors_go_with_fields(void **state)
{
    lk_buf text = {0};

    (void)state;
    collection_create("v", "{\"model\":null,\"dim\":4}");
    for (uint32_t i = 0; i < N_PEOPLE; i++) {
        uint32_t person = i % 3 == 1 ? i - 1 : i;
        uint32_t v = mix(person + 5);

        person_print(&text, true, i, person, i % 3 == 1);
        text.len--; /* the record's brace */
        assert_int_equal(lk_buf_printf(&text, NULL, ",\"vector\":[%u,%u,%u,1]}",
                                       v % 64, v / 64 % 64, v / 4096 % 64),
                         LINKD_OK);
    }
    record_put("v", text.data);
    lk_buf_clear(&text);
    (void)dedup_done("collection", "v", ON);
    assert_json_at("counts.entities", "160");
}

/* ---- entities that stay -------------------------------------------------- */

static json_int_t entity_of(const char *id)
{
    if (call_run(&(call){.handler = lk_handle_get_record,
                         .collection = "a",
                         .name = id}) != 200)
        fail_msg("%s: %s", id, last.body.data);
    return json_integer_value(at("entity"));
}

static void people_collect(void)
{
    collection_create("a", "{\"text\":[\"first\",\"last\",\"born\"]}");
    people_put("a", 0, N_PEOPLE);
    (void)dedup_done("collection", "a", ",\"apply\":true");
}

static void person_put(uint32_t id, uint32_t person)
{
    lk_buf text = {0};

    person_print(&text, true, id, person, false);
    record_put("a", text.data);
    lk_buf_clear(&text);
}

static void events_get(void)
{
    assert_int_equal(call_json(lk_handle_list_events, "a", NULL), 200);
}

/* Records that come later join whom they belong to; all others stay. */
static void entities_keep_their_ids_over_runs(void **state)
{
    json_int_t before[N_PEOPLE];
    char id[16];

    (void)state;
    people_collect();
    for (uint32_t i = 0; i < N_PEOPLE; i++) {
        (void)snprintf(id, sizeof(id), "p%u", i);
        before[i] = entity_of(id);
    }
    assert_int_equal(before[0], before[1]);
    for (uint32_t i = 0; i < 30; i++)
        person_put(1000 + i, 3 * i + 2);
    (void)dedup_done("collection", "a", ",\"apply\":true");
    for (uint32_t i = 0; i < N_PEOPLE; i++) {
        (void)snprintf(id, sizeof(id), "p%u", i);
        assert_int_equal(entity_of(id), before[i]);
    }
    assert_int_equal(entity_of("p1000"), before[2]);
    assert_int_equal(entity_of("p1029"), before[89]);
    events_get();
    assert_json_at("events", "[]");
    assert_json_at("next", "null");
}

static void a_split_and_a_merge_are_logged(void **state)
{
    json_int_t old;
    json_int_t parted;

    (void)state;
    people_collect();
    old = entity_of("p0");
    person_put(1, 5001); /* it was somebody else after all */
    (void)dedup_done("collection", "a", ",\"apply\":true");
    parted = entity_of("p1");
    assert_int_equal(entity_of("p0"), old);
    assert_true(parted > old);
    person_put(1, 0); /* or was it not? */
    (void)dedup_done("collection", "a", ",\"apply\":true");
    assert_int_equal(entity_of("p0"), old);
    assert_int_equal(entity_of("p1"), old);
    events_get();
    assert_int_equal(size_at("events"), 2);
    assert_text_at("events.0.event", "split");
    assert_int_equal(json_integer_value(at("events.0.entity")), old);
    assert_int_equal(json_integer_value(at("events.0.other")), parted);
    assert_text_at("events.1.event", "merge");
    assert_int_equal(json_integer_value(at("events.1.entity")), old);
    assert_int_equal(json_integer_value(at("events.1.other")), parted);
    assert_json_at("events.1.reason.records", "[\"p0\",\"p1\"]");
    assert_true(json_number_value(at("events.1.reason.probability")) > 0.5);
}

static void events_come_in_pages(void **state)
{
    call c = {.handler = lk_handle_list_events, .collection = "a"};
    char query[48];

    (void)state;
    people_collect();
    person_put(1, 5001);
    person_put(4, 5004);
    (void)dedup_done("collection", "a", ",\"apply\":true");
    c.query = "limit=1";
    assert_int_equal(call_run(&c), 200);
    assert_int_equal(size_at("events"), 1);
    (void)snprintf(query, sizeof(query), "limit=1&from=%" PRIu64,
                   (uint64_t)json_integer_value(at("next")));
    c.query = query;
    assert_int_equal(call_run(&c), 200);
    assert_int_equal(size_at("events"), 1);
    assert_json_at("next", "null");
    c.query = "limit=10001";
    assert_int_equal(call_run(&c), 400);
    assert_problem(400, "bad_request", "\"limit\" is not from 1 to 10000");
    c.query = "to=1";
    assert_int_equal(call_run(&c), 400);
    c.query = NULL;
    c.collection = "b";
    assert_int_equal(call_run(&c), 404);
}

/* New people and some who are known, under other names of the columns. */
static const char *newcomers_upload(const char *header)
{
    lk_buf text = {0};
    const char *name;

    assert_int_equal(lk_buf_printf(&text, NULL, "%s\n", header), LINKD_OK);
    for (uint32_t i = 0; i < 60; i++)
        person_print(&text, false, 2000 + i, i < 40 ? 3 * i + 2 : 7000 + i,
                     i % 4 == 1);
    name = table_upload("text/csv", text.data);
    lk_buf_clear(&text);
    return name;
}

static void link_apply(const char *file)
{
    char body[256];

    (void)snprintf(body, sizeof(body),
                   "{\"kind\":\"link\",\"left\":{\"file\":\"%s\"},"
                   "\"left_on\":[\"given\",\"family\",\"birth\"],"
                   "\"right\":{\"collection\":\"a\"},"
                   "\"right_on\":[\"first\",\"last\",\"born\"],\"apply\":true}",
                   file);
    (void)job_done(body);
}

static void a_link_attaches_new_rows_to_entities(void **state)
{
    static const char header[] = "id,note,birth,family,given";
    json_int_t known;
    json_int_t fresh;

    (void)state;
    people_collect();
    known = entity_of("p2");
    link_apply(newcomers_upload(header));
    assert_int_equal(entity_of("p2"), known);
    assert_int_equal(entity_of("p2000"), known);
    fresh = entity_of("p2059");
    assert_true(fresh > entity_of("p239"));
    assert_true(json_is_string(at("fields.note")));
    /* a field has the name of that it was compared with, and so a vector */
    entity_of("p2000");
    assert_true(json_is_string(at("fields.first")));
    assert_true(json_is_string(at("fields.born")));
    assert_int_equal(json_object_size(at("fields")), 4);
    events_get();
    assert_json_at("events", "[]");
    /* once more changes nothing */
    link_apply(newcomers_upload(header));
    assert_int_equal(entity_of("p2000"), known);
    assert_int_equal(entity_of("p2059"), fresh);
}

static void rows_without_ids_are_not_attached(void **state)
{
    char body[256];

    (void)state;
    people_collect();
    (void)snprintf(body, sizeof(body),
                   "{\"kind\":\"link\",\"left\":{\"file\":\"%s\"},"
                   "\"right\":{\"collection\":\"a\"},\"apply\":true}",
                   table_upload("text/csv", "first,last\nanna,x\nanna,y\n"));
    job_wait(job_submit(body));
    assert_text_at("state", "failed");
    assert_text_at("error",
                   "\"apply\" needs ids: a first column of values that "
                   "are neither empty nor repeated");
}

static void apply_writes_entities_and_keeps_ids(void **state)
{
    uint64_t number;
    json_int_t entity;

    (void)state;
    collection_create("a", "{\"text\":[\"name\"],\"threshold\":0.9}");
    assert_int_equal(call_json(lk_handle_attach, "a",
                               "{\"id\":\"b\",\"fields\":{\"name\":\"bert\"}}"),
                     200);
    entity = json_integer_value(at("entity"));
    record_put("a", "{\"id\":\"x\",\"fields\":{\"name\":\"anna maria\"}},"
                    "{\"id\":\"y\",\"fields\":{\"name\":\"anna marla\"}},"
                    "{\"id\":\"z\",\"fields\":{\"name\":\"bert\"}}");
    number = job_submit("{\"kind\":\"dedup\",\"input\":{\"collection\":\"a\"},"
                        "\"min_score\":0.9,\"apply\":true}");
    job_wait(number);
    assert_text_at("state", "done");
    assert_int_equal(call_run(&(call){.handler = lk_handle_get_record,
                                      .collection = "a",
                                      .name = "z"}),
                     200);
    assert_int_equal(json_integer_value(at("entity")), entity);
    assert_int_equal(call_run(&(call){.handler = lk_handle_get_record,
                                      .collection = "a",
                                      .name = "x"}),
                     200);
    entity = json_integer_value(at("entity"));
    assert_int_equal(call_run(&(call){.handler = lk_handle_get_record,
                                      .collection = "a",
                                      .name = "y"}),
                     200);
    assert_int_equal(json_integer_value(at("entity")), entity);
}

#define JOB_TEST(name)                                                         \
 cmocka_unit_test_setup_teardown(name, job_service_enter, job_service_leave)

int main(void)
{
    const struct CMUnitTest tests[] = {
        JOB_TEST(a_job_decides_by_probability),
        JOB_TEST(a_link_tells_how_probable_each_pair_is),
        JOB_TEST(a_collection_is_decided_as_the_same_table_is),
        JOB_TEST(named_fields_are_compared_in_place_of_the_settings),
        JOB_TEST(without_a_model_nothing_is_encoded),
        JOB_TEST(a_file_meets_the_fields_of_a_collection),
        JOB_TEST(ready_made_vectors_go_with_fields),
        JOB_TEST(entities_keep_their_ids_over_runs),
        JOB_TEST(a_split_and_a_merge_are_logged),
        JOB_TEST(events_come_in_pages),
        JOB_TEST(a_link_attaches_new_rows_to_entities),
        JOB_TEST(rows_without_ids_are_not_attached),
        JOB_TEST(apply_writes_entities_and_keeps_ids),
    };

    return cmocka_run_group_tests(tests, service_group_enter,
                                  service_group_leave);
}
