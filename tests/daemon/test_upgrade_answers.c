/* tests/daemon/test_upgrade_answers.c — what limits, records that ask, attach and
 * jobs come to in a collection of two models. */
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

/* ---- limits ------------------------------------------------------------------- */

/* What a threshold lets in stays as seldom as it was. */
static size_t above_threshold(void)
{
    size_t n = 0;

    for (int i = 0; i < 40; i++) {
        search_for(i, ",\"all\":true,\"threshold\":0.8");
        n += size_at("hits");
    }
    return n;
}

/* Within a tenth and a half. */
static void assert_as_many(size_t n_before, size_t n_after, const char *when)
{
    if (n_after * 100 < n_before * 85 || n_after * 100 > n_before * 115)
        fail_msg("%zu before, %zu %s", n_before, n_after, when);
}

static void thresholds_keep_their_meaning(void **state)
{
    size_t n_before;
    size_t n_same = 0; /* as many as the same cosine would let in */

    (void)state;
    firms_make();
    n_before = above_threshold();
    assert_true(n_before > 80);
    start("other");
    assert_as_many(n_before, above_threshold(), "at the start");
    upgrade_do(lk_handle_upgrade_backfill, "{\"limit\":120}");
    assert_as_many(n_before, above_threshold(), "half encoded anew");
    upgrade_do(lk_handle_upgrade_backfill, NULL);
    assert_as_many(n_before, above_threshold(), "encoded anew");
    for (int i = 0; i < 40; i++) {
        search_for(i, ",\"k\":240");
        for (size_t j = 0; j < size_at("hits"); j++) {
            char path[32];

            (void)snprintf(path, sizeof(path), "hits.%zu.score", j);
            n_same += json_real_value(at(path)) >= 0.8;
        }
    }
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
    assert_json_at("generation", "1");
}

static void scroll_one(const char *cursor)
{
    char query[64];

    (void)snprintf(query, sizeof(query), "vectors=true&limit=1&cursor=%s",
                   cursor);
    assert_int_equal(call_run(&(call){.handler = lk_handle_scroll_records,
                                      .collection = "firms",
                                      .query = query}),
                     200);
}

/* Vectors of two models look alike and do not compare. */
static void vectors_say_of_which_generation_they_are(void **state)
{
    (void)state;
    firms_make();
    scroll_one("0");
    assert_true(is_there("records.0.vector"));
    assert_false(is_there("records.0.generation"));
    start("other");
    records_put("firms", 1, 2);
    scroll_one("0");
    assert_json_at("records.0.generation", "1");
    scroll_one("100000");
    assert_int_equal(size_at("records"), 0);
    assert_int_equal(call_run(&(call){.handler = lk_handle_get_record,
                                      .collection = "firms",
                                      .name = "r1",
                                      .query = "vectors=true"}),
                     200);
    assert_json_at("generation", "2");
}

/* ---- attach and jobs -------------------------------------------------------------- */

/* Whichever model made the vector of the record that is there. */
static void attach_joins_records_of_every_generation(void **state)
{
    int64_t entity;

    (void)state;
    firms_make();
    attach_one("first", 500);
    entity = json_integer_value(at("entity"));
    attach_one("again", 500);
    assert_text_at("match.id", "first");
    assert_false(is_there("match.generation"));
    start("other");
    upgrade_do(lk_handle_upgrade_backfill, "{\"limit\":100}");
    attach_one("second", 500);
    assert_text_at("match.id", "first");
    assert_json_at("match.generation", "1");
    assert_text_at("match.way", "fuse");
    assert_true(json_real_value(at("match.probability")) > 0.0);
    assert_int_equal(json_integer_value(at("entity")), entity);
    attach_one("third", 500);
    assert_int_equal(json_integer_value(at("entity")), entity);
    attach_one("moved", 1);
    assert_text_at("match.id", "r1");
    assert_json_at("match.generation", "2");
    assert_text_at("match.way", "native");
    store_check();
}

/* With all that was told of the match. */
static void a_repeated_attach_gets_the_first_ones_answer(void **state)
{
    const call c = {.handler = lk_handle_attach,
                    .collection = "firms",
                    .body = "{\"id\":\"twin\",\"fields\":{\"name\":"
                            "\"quartz zigzag 0\"}}",
                    .key = "key-1"};
    lk_buf first = {0};

    (void)state;
    firms_make();
    start("other");
    assert_int_equal(call_run(&c), 200);
    assert_text_at("match.id", "r0");
    assert_json_at("match.generation", "1");
    assert_text_at("match.way", "fuse");
    assert_int_equal(lk_buf_append(&first, last.body.data, last.body.len, NULL),
                     LINKD_OK);
    upgrade_do(lk_handle_upgrade_backfill, NULL);
    assert_int_equal(call_run(&c), 200);
    assert_true(last.replayed);
    assert_int_equal(last.body.len, first.len);
    assert_memory_equal(last.body.data, first.data, first.len);
    lk_buf_clear(&first);
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

/* What a dedup by scores alone finds: its pairs, and the entities' F1 where r0 and
 * t0, r1 and t1, … are one. */
typedef struct score_dedup {
    size_t n_pairs;
    double f1;
} score_dedup;

/* Row "r<i>" or "t<i>" of a result. */
static void entities_read(const char *csv, size_t ret_entities[2][N_RECORDS])
{
    for (const char *line = strchr(csv, '\n'); line != NULL && line[1] != '\0';
         line = strchr(line + 1, '\n')) {
        char *end = NULL;
        size_t i = strtoul(line + 2, &end, 10);

        assert_true(i < N_RECORDS && *end == ',');
        ret_entities[line[1] == 't'][i] = strtoul(end + 1, NULL, 10);
    }
}

static score_dedup dedup_by_score(size_t n_twins)
{
    static size_t entities[2][N_RECORDS];
    uint64_t number = job_submit("{\"kind\":\"dedup\",\"input\":{"
                                 "\"collection\":\"firms\"},"
                                 "\"min_score\":0.9}");
    score_dedup ret = {0};
    char *csv;
    size_t n_right = 0, n_found = 0;
    size_t sizes[2 * N_RECORDS + 1] = {0};

    job_wait(number);
    assert_text_at("state", "done");
    ret.n_pairs = (size_t)json_integer_value(at("counts.pairs"));
    csv = job_results_copy(number);
    entities_read(csv, entities);
    free(csv);
    for (size_t i = 0; i < N_RECORDS; i++)
        sizes[entities[0][i]]++;
    for (size_t i = 0; i < n_twins; i++) {
        sizes[entities[1][i]]++;
        n_right += entities[0][i] == entities[1][i];
    }
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
        n_found += sizes[i] * (sizes[i] - (sizes[i] > 0)) / 2;
    ret.f1 = 2.0 * (double)n_right / (double)(n_found + n_twins);
    return ret;
}

#define N_TWINS ((size_t)60)

static void twins_put(void)
{
    char name[64];
    char body[160];

    for (size_t i = 0; i < N_TWINS; i++) {
        name_write((int)i, name, sizeof(name));
        (void)snprintf(body, sizeof(body),
                       "{\"id\":\"t%zu\",\"fields\":{\"name\":\"%sx\"}}", i,
                       name);
        record_put("firms", body);
    }
}

/* However many records are of the new model, a job's score goes on meaning one of
 * the first model: as many pairs, as good. */
static void scores_of_jobs_keep_their_meaning(void **state)
{
    static const char *const limits[] = {NULL, "{\"limit\":150}", "{}"};
    static const char *const when[] = {"at the start", "half encoded anew",
                                       "encoded anew"};
    score_dedup before;
    score_dedup after[3];
    double least;

    (void)state;
    firms_make();
    twins_put();
    before = dedup_by_score(N_TWINS);
    assert_true(before.n_pairs > 60);
    start("other");
    for (size_t i = 0; i < 3; i++) {
        if (limits[i] != NULL)
            upgrade_do(lk_handle_upgrade_backfill, limits[i]);
        after[i] = dedup_by_score(N_TWINS);
    }
    least = fmin(before.f1, after[2].f1) - 0.01;
    for (size_t i = 0; i < 3; i++) {
        assert_as_many(before.n_pairs, after[i].n_pairs, when[i]);
        assert_true(after[i].f1 >= least);
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

#define TEST(name)                                                             \
 cmocka_unit_test_setup_teardown(name, job_service_enter, job_service_leave)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(thresholds_keep_their_meaning),
        TEST(limits_that_need_a_scale_are_refused_without_one),
        TEST(a_query_by_record_finds_the_other_generation),
        TEST(a_record_of_an_older_model_is_no_native_query),
        TEST(a_record_shows_the_vector_that_it_has),
        TEST(vectors_say_of_which_generation_they_are),
        TEST(attach_joins_records_of_every_generation),
        TEST(a_repeated_attach_gets_the_first_ones_answer),
        TEST(dedup_finds_twins_of_two_generations),
        TEST(scores_of_jobs_keep_their_meaning),
        TEST(a_link_finds_partners_of_two_generations),
    };

    return cmocka_run_group_tests(tests, upgrade_group_enter,
                                  service_group_leave);
}
