/* tests/daemon/test_jobs.c — what becomes of a job from its submission to its end,
 * and what a stop in between does to it. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/daemon/job_service.h"
#include "tests/support/alloc_fail.h"

static const char people[] = "id,name\na,anna maria\nb,bert\nc,anna marla\n";

static uint64_t dedup_submit(const char *file)
{
    char body[160];

    (void)snprintf(body, sizeof(body),
                   "{\"kind\":\"dedup\",\"input\":{\"file\":\"%s\"},"
                   "\"on\":[\"name\"],\"min_score\":0.9}",
                   file);
    return job_submit(body);
}

/* Names in data/jobs, and the files in them. */
static size_t job_files_count(const char *wanted)
{
    DIR *dir = opendir("data/jobs");
    const struct dirent *item;
    size_t n = 0;

    assert_non_null(dir);
    while ((item = readdir(dir)) != NULL) {
        char path[512];

        (void)snprintf(path, sizeof(path), "data/jobs/%s/%s", item->d_name,
                       wanted);
        n += item->d_name[0] != '.' && access(path, F_OK) == 0;
    }
    (void)closedir(dir);
    return n;
}

static void a_job_runs_to_its_results(void **state)
{
    uint64_t number = dedup_submit(table_upload("text/csv", people));

    (void)state;
    assert_text_at("kind", "dedup");
    assert_json_at("error", "null");
    assert_string_equal(header_of("Location"), "/v1/jobs/1");
    job_wait(number);
    assert_text_at("state", "done");
    assert_json_at("counts", "{\"rows\":3,\"empty\":0,\"candidates\":3,"
                             "\"pairs\":1,\"entities\":2}");
    assert_json_at("progress", "null");
    job_results(number, "format=csv");
    assert_string_equal(last.body.data, "id,entity_id\na,1\nb,2\nc,1\n");
}

static void an_ended_job_keeps_its_results_only(void **state)
{
    uint64_t number = dedup_submit(table_upload("text/csv", people));

    (void)state;
    job_wait(number);
    jobs_stop(); /* it tidies up after it has said that it is done */
    assert_int_equal(job_files_count("left.csv"), 0);
    assert_int_equal(job_files_count("vectors"), 0);
    assert_int_equal(job_files_count("results.csv"), 1);
    jobs_start();
    job_results(number, "format=csv");
    assert_string_equal(last.body.data, "id,entity_id\na,1\nb,2\nc,1\n");
}

static void a_job_on_a_file_and_a_collection_links_them(void **state)
{
    char body[256];
    uint64_t number;

    (void)state;
    collection_create("a", "{\"text\":[\"name\"]}");
    record_put("a", "{\"id\":\"x\",\"fields\":{\"name\":\"anna maria\"}},"
                    "{\"id\":\"y\",\"fields\":{\"name\":\"zoe\"}}");
    (void)snprintf(body, sizeof(body),
                   "{\"kind\":\"link\",\"left\":{\"collection\":\"a\"},"
                   "\"right\":{\"file\":\"%s\"},\"right_on\":[\"name\"],"
                   "\"min_score\":0.64}",
                   table_upload("text/csv", people));
    number = job_submit(body);
    job_wait(number);
    assert_text_at("state", "done");
    job_results(number, "");
    assert_string_equal(
        last.body.data,
        "{\"left_id\":\"x\",\"right_id\":\"a\",\"score\":1.000000,"
        "\"probability\":null}\n");
}

static void a_collection_is_taken_as_of_submission(void **state)
{
    uint64_t blocker = dedup_submit(long_table_upload());
    uint64_t number;

    (void)state;
    collection_create("a", "{\"text\":[\"name\"]}");
    record_put("a", "{\"id\":\"x\",\"fields\":{\"name\":\"anna\"}}");
    number =
        job_submit("{\"kind\":\"dedup\",\"input\":{\"collection\":\"a\"}}");
    record_put("a", "{\"id\":\"y\",\"fields\":{\"name\":\"anna\"}}");
    assert_int_equal(job_call(lk_handle_cancel_job, blocker), 200);
    job_wait(number);
    job_results(number, "format=csv");
    assert_string_equal(last.body.data, "id,entity_id\nx,1\n");
}

/* The vectors of a collection are there already. */
static void a_job_on_a_collection_encodes_nothing(void **state)
{
    uint64_t n_encoded;
    uint64_t number;

    (void)state;
    collection_create("a", "{\"text\":[\"name\"]}");
    record_put("a", "{\"id\":\"a\",\"fields\":{\"name\":\"anna maria\"}},"
                    "{\"id\":\"b\",\"fields\":{\"name\":\"bert\"}},"
                    "{\"id\":\"c\",\"fields\":{\"name\":\"anna marla\"}},"
                    "{\"id\":\"d\"}");
    n_encoded = encoded_count();
    number = job_submit("{\"kind\":\"dedup\",\"min_score\":0.9,"
                        "\"input\":{\"collection\":\"a\"}}");
    job_wait(number);
    assert_json_at("counts", "{\"rows\":4,\"empty\":1,\"candidates\":3,"
                             "\"pairs\":1,\"entities\":3}");
    assert_int_equal(encoded_count(), n_encoded);
    job_results(number, "format=csv");
    assert_string_equal(last.body.data, "id,entity_id\na,1\nb,2\nc,1\nd,3\n");
}

static void a_job_on_ready_made_vectors_needs_no_model(void **state)
{
    uint64_t number;

    (void)state;
    collection_create("v", "{\"model\":null,\"dim\":2}");
    record_put("v", "{\"id\":\"a\",\"vector\":[1,0]},"
                    "{\"id\":\"b\",\"vector\":[0,1]},"
                    "{\"id\":\"c\",\"vector\":[1,0.1]}");
    number = job_submit("{\"kind\":\"dedup\",\"input\":{\"collection\":\"v\"},"
                        "\"min_score\":0.74}");
    job_wait(number);
    job_results(number, "format=csv");
    assert_string_equal(last.body.data, "id,entity_id\na,1\nb,2\nc,1\n");
}

static void a_running_job_can_be_cancelled(void **state)
{
    uint64_t number = dedup_submit(long_table_upload());

    (void)state;
    job_wait_encoding(number, 512);
    assert_int_equal(job_call(lk_handle_cancel_job, number), 200);
    job_wait(number);
    assert_text_at("state", "cancelled");
    assert_true(encoded_count() < LONG_TABLE_ROWS);
    assert_int_equal(job_call(lk_handle_get_results, number), 409);
    assert_problem(409, "conflict", "job 1 is cancelled and has no results");
    assert_int_equal(job_call(lk_handle_cancel_job, number), 409);
    assert_problem(409, "conflict", "job 1 is cancelled already");
}

static void a_cancelled_job_does_not_come_back(void **state)
{
    uint64_t running = dedup_submit(long_table_upload());
    uint64_t queued = dedup_submit(table_upload("text/csv", people));

    (void)state;
    job_wait_encoding(running, 1);
    assert_int_equal(job_call(lk_handle_cancel_job, queued), 200);
    assert_text_at("state", "cancelled");
    assert_int_equal(job_call(lk_handle_cancel_job, running), 200);
    jobs_stop();
    jobs_start();
    job_wait(running);
    assert_text_at("state", "cancelled");
    job_wait(queued);
    assert_text_at("state", "cancelled");
    assert_json_at("started", "null");
    assert_int_equal(job_files_count(""), 0);
}

static void a_job_that_was_stopped_goes_on_where_it_was(void **state)
{
    uint64_t number = dedup_submit(long_table_upload());
    uint64_t n_before;
    char *whole;
    char *resumed;

    (void)state;
    job_wait(number);
    whole = job_results_copy(number);
    number = dedup_submit(long_table_upload());
    n_before = encoded_count();
    job_wait_encoding(number, 2048);
    jobs_stop();
    jobs_start();
    job_wait(number);
    assert_text_at("state", "done");
    resumed = job_results_copy(number);
    assert_string_equal(resumed, whole);
    /* one block was lost, of those that were done none */
    assert_in_range(encoded_count() - n_before, LONG_TABLE_ROWS,
                    LONG_TABLE_ROWS + 512);
    free(whole);
    free(resumed);
}

static void a_submission_that_was_cut_off_leaves_nothing(void **state)
{
    (void)state;
    jobs_stop();
    assert_int_equal(system("mkdir data/jobs/00000000000000aa && "
                            "touch data/jobs/00000000000000aa/left.csv"),
                     0);
    jobs_start();
    assert_int_equal(job_files_count(""), 0);
    assert_int_equal(call_json(lk_handle_list_jobs, NULL, NULL), 200);
    assert_json_at("jobs", "[]");
}

static void a_key_answers_the_same_job(void **state)
{
    call c = {.handler = lk_handle_submit_job, .key = "once"};
    char body[160];

    (void)state;
    (void)snprintf(body, sizeof(body),
                   "{\"kind\":\"dedup\",\"input\":{\"file\":\"%s\"}}",
                   table_upload("text/csv", people));
    c.body = body;
    assert_int_equal(call_run(&c), 202);
    assert_false(last.replayed);
    job_wait(1);
    jobs_stop();
    jobs_start();
    assert_int_equal(call_run(&c), 202);
    assert_true(last.replayed);
    assert_json_at("job", "1");
    assert_text_at("state", "done");
    assert_int_equal(job_files_count(""), 1);
    c.body = "{\"kind\":\"link\"}";
    assert_int_equal(call_run(&c), 409);
}

/* What was refused may be sent again once it would be accepted. */
static void a_refused_submission_does_not_use_its_key_up(void **state)
{
    const call c = {.handler = lk_handle_submit_job,
                    .key = "once",
                    .body = "{\"kind\":\"dedup\",\"input\":"
                            "{\"collection\":\"a\"}}"};

    (void)state;
    assert_int_equal(call_run(&c), 404);
    collection_create("a", "{}");
    record_put("a", "{\"id\":\"x\",\"fields\":{\"name\":\"anna\"}}");
    assert_int_equal(call_run(&c), 202);
}

static void a_deleted_job_is_gone_for_its_key_too(void **state)
{
    call c = {.handler = lk_handle_submit_job, .key = "once"};
    char body[160];

    (void)state;
    (void)snprintf(body, sizeof(body),
                   "{\"kind\":\"dedup\",\"input\":{\"file\":\"%s\"}}",
                   table_upload("text/csv", people));
    c.body = body;
    assert_int_equal(call_run(&c), 202);
    job_wait(1);
    assert_int_equal(job_call(lk_handle_delete_job, 1), 200);
    assert_int_equal(job_files_count(""), 0);
    assert_int_equal(job_call(lk_handle_get_job, 1), 404);
    assert_problem(404, "absent", "there is no job 1");
    assert_int_equal(call_run(&c), 404);
    jobs_stop();
    jobs_start();
    assert_int_equal(job_call(lk_handle_get_job, 1), 404);
}

static void a_job_that_has_not_ended_is_not_deleted(void **state)
{
    uint64_t number = dedup_submit(long_table_upload());

    (void)state;
    job_wait_encoding(number, 1);
    assert_int_equal(job_call(lk_handle_delete_job, number), 409);
    assert_problem(409, "conflict", "job 1 is running: cancel it first");
    assert_int_equal(job_call(lk_handle_cancel_job, number), 200);
}

static void a_job_that_fails_says_why(void **state)
{
    uint64_t number =
        dedup_submit(table_upload("text/csv", "id,name\na,b,c\n"));

    (void)state;
    job_wait(number);
    assert_text_at("state", "failed");
    assert_json_at("counts", "null");
    assert_text_at("error",
                   "left.csv: row 1 (line 2): 3 fields where the header has 2");
    jobs_stop();
    jobs_start();
    assert_int_equal(job_call(lk_handle_get_job, number), 200);
    assert_text_at("state", "failed");
}

static void what_cannot_be_done_is_refused_at_once(void **state)
{
    static const struct {
        const char *body;
        int status;
        const char *detail;
    } cases[] = {
        {"{\"kind\":\"dedup\",\"input\":{\"collection\":\"b\"}}", 404,
         "there is no collection \"b\""},
        {"{\"kind\":\"dedup\",\"input\":{\"collection\":\"empty\"}}", 400,
         "collection \"empty\" has no records"},
        {"{\"kind\":\"dedup\",\"input\":{\"collection\":\"a\"},"
         "\"on\":[\"name\",\"town\"]}",
         400, "no record of collection \"a\" has a field \"town\""},
        {"{\"kind\":\"dedup\",\"input\":{\"collection\":\"a\"},"
         "\"block\":\"town\"}",
         400, "no record of collection \"a\" has a field \"town\""},
        {"{\"kind\":\"dedup\",\"input\":{\"collection\":\"v\"},"
         "\"on\":[\"name\"],\"min_score\":0.9}",
         400, "\"on\": the vectors of collection \"v\" came ready-made"},
        {"{\"kind\":\"dedup\",\"input\":{\"collection\":\"v\"}}", 400,
         "the records of collection \"v\" have no fields: only \"min_score\" "
         "compares vectors alone"},
        {"{\"kind\":\"link\",\"left\":{\"collection\":\"a\"},"
         "\"right\":{\"collection\":\"v\"}}",
         400, "the vectors of the two sides are not of one model"},
        {"{\"kind\":\"dedup\",\"input\":{\"file\":\"00.csv\"}}", 404,
         "there is no uploaded file \"00.csv\""},
        {"{\"kind\":\"dedup\",\"input\":{\"file\":\"0123456789abcdef.csv\"}}",
         404, "there is no uploaded file \"0123456789abcdef.csv\""},
        {"{\"kind\":\"dedup\",\"input\":"
         "{\"file\":\"0123456789abcdef./../../data.mdb\"}}",
         404, "there is no uploaded file \"0123456789abcdef./../../data.mdb\""},
    };

    (void)state;
    collection_create("empty", "{}");
    collection_create("a", "{}");
    record_put("a", "{\"id\":\"x\",\"fields\":{\"name\":\"anna\"}}");
    collection_create("v", "{\"model\":null,\"dim\":2}");
    record_put("v", "{\"id\":\"a\",\"vector\":[1,0]}");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        (void)call_json(lk_handle_submit_job, NULL, cases[i].body);
        assert_text_at("detail", cases[i].detail);
        assert_int_equal(last.status, cases[i].status);
    }
    assert_int_equal(job_files_count(""), 0);
}

static void a_column_that_a_file_lacks_is_told_at_once(void **state)
{
    char body[160];

    (void)state;
    (void)snprintf(body, sizeof(body),
                   "{\"kind\":\"dedup\",\"input\":{\"file\":\"%s\"},"
                   "\"on\":[\"town\"]}",
                   table_upload("text/csv", people));
    assert_int_equal(call_json(lk_handle_submit_job, NULL, body), 400);
    assert_problem(400, "bad_request", "the file has no column \"town\"");
}

static void jobs_are_listed_newest_first(void **state)
{
    const char *file = table_upload("text/csv", people);

    (void)state;
    job_wait(dedup_submit(file));
    job_wait(dedup_submit(file));
    assert_int_equal(call_json(lk_handle_list_jobs, NULL, NULL), 200);
    assert_int_equal(size_at("jobs"), 2);
    assert_json_at("jobs.0.job", "2");
    assert_json_at("jobs.1.job", "1");
}

static void a_submission_survives_every_lack_of_memory(void **state)
{
    json_t *request;
    const linkd_once once = {{"", 0}, 0, {"", 0}};
    char body[160];
    linkd_error err = {0};
    uint64_t number;
    bool replayed;
    size_t n_failures = 0;

    (void)state;
    (void)snprintf(body, sizeof(body),
                   "{\"kind\":\"dedup\",\"input\":{\"file\":\"%s\"}}",
                   table_upload("text/csv", people));
    request = json_loads(body, 0, NULL);
    assert_int_equal(
        lk_jobs_submit(service.jobs, request, &once, &number, &replayed, &err),
        LINKD_OK);
    job_wait(number);
    for (size_t i = 1;; i++) {
        int rc;

        alloc_fail_at(i);
        rc = lk_jobs_submit(service.jobs, request, &once, &number, &replayed,
                            &err);
        if (!alloc_fail_off() || rc == LINKD_OK)
            break;
        assert_int_equal(rc, LINKD_E_NOMEM);
        n_failures++;
    }
    assert_true(n_failures > 5);
    json_decref(request);
    jobs_stop();
    jobs_start();
}

#define JOB_TEST(name)                                                         \
 cmocka_unit_test_setup_teardown(name, job_service_enter, job_service_leave)

int main(void)
{
    const struct CMUnitTest tests[] = {
        JOB_TEST(a_job_runs_to_its_results),
        JOB_TEST(an_ended_job_keeps_its_results_only),
        JOB_TEST(a_job_on_a_file_and_a_collection_links_them),
        JOB_TEST(a_collection_is_taken_as_of_submission),
        JOB_TEST(a_job_on_a_collection_encodes_nothing),
        JOB_TEST(a_job_on_ready_made_vectors_needs_no_model),
        JOB_TEST(a_running_job_can_be_cancelled),
        JOB_TEST(a_cancelled_job_does_not_come_back),
        JOB_TEST(a_job_that_was_stopped_goes_on_where_it_was),
        JOB_TEST(a_submission_that_was_cut_off_leaves_nothing),
        JOB_TEST(a_key_answers_the_same_job),
        JOB_TEST(a_refused_submission_does_not_use_its_key_up),
        JOB_TEST(a_deleted_job_is_gone_for_its_key_too),
        JOB_TEST(a_job_that_has_not_ended_is_not_deleted),
        JOB_TEST(a_job_that_fails_says_why),
        JOB_TEST(what_cannot_be_done_is_refused_at_once),
        JOB_TEST(a_column_that_a_file_lacks_is_told_at_once),
        JOB_TEST(jobs_are_listed_newest_first),
        JOB_TEST(a_submission_survives_every_lack_of_memory),
    };

    return cmocka_run_group_tests(tests, service_group_enter,
                                  service_group_leave);
}
