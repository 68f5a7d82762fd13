#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utime.h>

#include <cmocka.h>

#include "tests/daemon/job_service.h"

/* Ids that CSV has to quote, one of them over two lines. */
static const char odd[] = "{\"id\":\"a,1\",\"name\":\"anna\"}\n"
                          "{\"id\":\"say \\\"b\\\"\",\"name\":\"bert\"}\n"
                          "{\"id\":\"two\\nlines\",\"name\":\"zoe\"}\n"
                          "{\"id\":\"d\",\"name\":\"dora\"}\n";

static uint64_t odd_dedup(void)
{
    char body[160];
    uint64_t number;

    (void)snprintf(body, sizeof(body),
                   "{\"kind\":\"dedup\",\"input\":{\"file\":\"%s\"},"
                   "\"threshold\":1}",
                   table_upload("application/x-ndjson", odd));
    number = job_submit(body);
    job_wait(number);
    assert_text_at("state", "done");
    return number;
}

static int results_get(uint64_t number, const char *query)
{
    char text[24];

    (void)snprintf(text, sizeof(text), "%" PRIu64, number);
    return call_run(&(call){
        .handler = lk_handle_get_results, .collection = text, .query = query});
}

static void csv_quotes_what_has_to_be(void **state)
{
    (void)state;
    job_results(odd_dedup(), "format=csv");
    assert_string_equal(last.body.data,
                        "id,entity_id\n\"a,1\",1\n\"say \"\"b\"\"\",2\n"
                        "\"two\nlines\",3\nd,4\n");
}

static void ndjson_has_the_ids_as_they_are(void **state)
{
    (void)state;
    job_results(odd_dedup(), NULL);
    assert_string_equal(last.body.data,
                        "{\"id\":\"a,1\",\"entity_id\":1}\n"
                        "{\"id\":\"say \\\"b\\\"\",\"entity_id\":2}\n"
                        "{\"id\":\"two\\u000alines\",\"entity_id\":3}\n"
                        "{\"id\":\"d\",\"entity_id\":4}\n");
}

/* Reads page by page, and compares with what comes without a limit. */
static void assert_pages(uint64_t number, const char *format, int limit)
{
    char cursor[32] = "0";
    lk_buf pages = {0};
    char query[128];

    for (;;) {
        (void)snprintf(query, sizeof(query), "format=%s&limit=%d&cursor=%s",
                       format, limit, cursor);
        job_results(number, query);
        assert_int_equal(
            lk_buf_append(&pages, last.body.data, last.body.len, NULL),
            LINKD_OK);
        if (header_of("Linkd-Cursor") == NULL)
            break;
        (void)snprintf(cursor, sizeof(cursor), "%s", header_of("Linkd-Cursor"));
    }
    (void)snprintf(query, sizeof(query), "format=%s", format);
    job_results(number, query);
    assert_string_equal(pages.data, last.body.data);
    lk_buf_clear(&pages);
}

static void pages_make_up_the_whole(void **state)
{
    uint64_t number = odd_dedup();

    (void)state;
    for (int limit = 1; limit <= 5; limit++) {
        assert_pages(number, "csv", limit);
        assert_pages(number, "ndjson", limit);
    }
}

static void the_last_page_has_no_cursor(void **state)
{
    uint64_t number = odd_dedup();

    (void)state;
    job_results(number, "limit=3");
    assert_non_null(header_of("Linkd-Cursor"));
    job_results(number, "limit=4");
    assert_null(header_of("Linkd-Cursor"));
}

static void what_is_no_page_is_refused(void **state)
{
    static const struct {
        const char *query;
        const char *detail;
    } cases[] = {
        {"limit=0", "\"limit\" is not from 1 to 100000"},
        {"limit=100001", "\"limit\" is not from 1 to 100000"},
        {"format=xml", "\"format\" is neither ndjson nor csv"},
        {"cursor=3", "\"cursor\" is not one of ours"},
        {"cursor=99999", "\"cursor\" is not one of ours"},
        {"cursor=x", "\"cursor\" is not a number: \"x\""},
    };
    uint64_t number = odd_dedup();

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(results_get(number, cases[i].query), 400);
        assert_problem(400, "bad_request", cases[i].detail);
    }
    assert_int_equal(results_get(77, NULL), 404);
    assert_problem(404, "absent", "there is no job 77");
}

static void a_number_that_is_none_is_absent(void **state)
{
    (void)state;
    assert_int_equal(call_json(lk_handle_get_job, "x1", NULL), 404);
    assert_problem(404, "absent", "there is no job \"x1\"");
}

/* Roles go by path: what admins do must not be reached through this one. */
static void backup_and_fsck_are_not_submitted_as_jobs(void **state)
{
    (void)state;
    assert_int_equal(
        call_json(lk_handle_submit_job, NULL,
                  "{\"kind\":\"backup\",\"directory\":\"/tmp/x\"}"),
        400);
    assert_problem(400, "bad_request", "\"kind\" is neither link nor dedup");
    assert_int_equal(
        call_json(lk_handle_submit_job, NULL, "{\"kind\":\"fsck\"}"), 400);
    assert_int_equal(call_json(lk_handle_submit_job, NULL, "[]"), 400);
}

static void fsck_is_a_job_with_counts(void **state)
{
    (void)state;
    collection_create("v", "{\"model\":null,\"dim\":2}");
    record_put("v", "{\"id\":\"a\",\"vector\":[1,0]}");
    assert_int_equal(call_json(lk_handle_fsck, NULL, NULL), 202);
    job_wait(1);
    assert_text_at("kind", "fsck");
    assert_text_at("state", "done");
    assert_json_at("counts.records", "1");
    assert_json_at("counts.faults", "0");
    job_results(1, "format=csv");
    assert_string_equal(last.body.data, "fault\n");
}

static void a_backup_is_a_job_that_makes_a_store(void **state)
{
    char body[600];
    char cwd[512];

    (void)state;
    assert_non_null(getcwd(cwd, sizeof(cwd)));
    (void)snprintf(body, sizeof(body), "{\"directory\":\"%s/data/copy\"}", cwd);
    assert_int_equal(call_json(lk_handle_backup, NULL, body), 202);
    job_wait(1);
    assert_text_at("state", "done");
    assert_int_equal(access("data/copy", F_OK), 0);
    assert_int_equal(results_get(1, NULL), 404);
    assert_problem(404, "absent", "job 1 has no results");
    assert_int_equal(
        call_json(lk_handle_backup, NULL, "{\"directory\":\"copy\"}"), 400);
    assert_problem(400, "bad_request", "\"directory\" is not an absolute path");
}

static void events_end_with_the_job(void **state)
{
    char body[160];
    const char *end;

    (void)state;
    (void)snprintf(body, sizeof(body),
                   "{\"kind\":\"dedup\",\"input\":{\"file\":\"%s\"}}",
                   table_upload("application/x-ndjson", odd));
    assert_int_equal(job_submit(body), 1);
    assert_int_equal(job_call(lk_handle_watch_job, 1), 200);
    assert_memory_equal(last.body.data, "{\"job\":1,", 9);
    end = strstr(last.body.data, "\"state\":\"done\"");
    assert_non_null(end);
    assert_string_equal(strchr(end, '\n'), "\n");
    assert_int_equal(job_call(lk_handle_watch_job, 2), 404);
}

static void an_upload_is_named_by_its_type(void **state)
{
    const char *name = table_upload("text/tab-separated-values", "id\na\n");
    char path[128];
    struct stat status;

    (void)state;
    assert_string_equal(strchr(name, '.'), ".tsv");
    assert_json_at("bytes", "5");
    (void)snprintf(path, sizeof(path), "data/files/%s", name);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_size, 5);
    assert_int_equal(call_run(&(call){.handler = lk_handle_upload_file,
                                      .body = "data/files/x",
                                      .content_type = "text/html"}),
                     415);
    assert_problem(415, "unsupported_type",
                   "content type \"text/html\" is none of text/csv, "
                   "text/tab-separated-values and application/x-ndjson");
}

static void uploads_that_nobody_used_go_after_days(void **state)
{
    const struct utimbuf long_ago = {1000000, 1000000};
    char path[128];

    (void)state;
    (void)snprintf(path, sizeof(path), "data/files/%s",
                   table_upload("text/csv", "id\na\n"));
    assert_int_equal(utime(path, &long_ago), 0);
    (void)table_upload("text/csv", "id\nb\n");
    assert_int_equal(access(path, F_OK), -1);
}

#define JOBS_TEST(name)                                                        \
 cmocka_unit_test_setup_teardown(name, job_service_enter, job_service_leave)

int main(void)
{
    const struct CMUnitTest tests[] = {
        JOBS_TEST(csv_quotes_what_has_to_be),
        JOBS_TEST(ndjson_has_the_ids_as_they_are),
        JOBS_TEST(pages_make_up_the_whole),
        JOBS_TEST(the_last_page_has_no_cursor),
        JOBS_TEST(what_is_no_page_is_refused),
        JOBS_TEST(a_number_that_is_none_is_absent),
        JOBS_TEST(backup_and_fsck_are_not_submitted_as_jobs),
        JOBS_TEST(fsck_is_a_job_with_counts),
        JOBS_TEST(a_backup_is_a_job_that_makes_a_store),
        JOBS_TEST(events_end_with_the_job),
        JOBS_TEST(an_upload_is_named_by_its_type),
        JOBS_TEST(uploads_that_nobody_used_go_after_days),
    };

    return cmocka_run_group_tests(tests, service_group_enter,
                                  service_group_leave);
}
