/* The jobs of job_service.h. */
#include "tests/daemon/job_service.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <cmocka.h>

#include "tests/linkage/scratch.h"

static char data[] = "data";
static char files[] = "data/files";

void jobs_start(void)
{
    linkd_error err = {0};

    assert_null(service.jobs);
    if (lk_jobs_new(&service, &service.jobs, &err) != LINKD_OK)
        fail_msg("%s", err.message);
}

void jobs_stop(void)
{
    lk_jobs_free(service.jobs);
    service.jobs = NULL;
}

int job_service_enter(void **state)
{
    int rc = service_enter(state);

    config.data = data;
    config.n_encode_threads = 1;
    service.upload_dir = files;
    assert_int_equal(mkdir(files, 0700), 0);
    jobs_start();
    return rc;
}

int job_service_leave(void **state)
{
    jobs_stop();
    return service_leave(state);
}

const char *table_upload(const char *content_type, const char *text)
{
    static char name[64];

    scratch_write_text("data/files/temporary", text);
    if (call_run(&(call){.handler = lk_handle_upload_file,
                         .body = "data/files/temporary",
                         .content_type = content_type}) != 201)
        fail_msg("%s", last.body.data);
    (void)snprintf(name, sizeof(name), "%s", json_string_value(at("file")));
    return name;
}

const char *long_table_upload(void)
{
    lk_buf table = {0};
    const char *name;
    int rc = lk_buf_printf(&table, NULL, "id,name\n");

    for (int i = 0; i < LONG_TABLE_ROWS && rc == LINKD_OK; i++)
        rc = lk_buf_printf(&table, NULL,
                           "r%d,%d the quick brown fox jumps over it %d\n", i,
                           i * 7919 % 100003, i / 2);
    assert_int_equal(rc, LINKD_OK);
    name = table_upload("text/csv", table.data);
    lk_buf_clear(&table);
    return name;
}

uint64_t job_submit(const char *body)
{
    if (call_json(lk_handle_submit_job, NULL, body) != 202)
        fail_msg("%s", last.body.data);
    return (uint64_t)json_integer_value(at("job"));
}

int job_call(lk_handler *handler, uint64_t number)
{
    char text[24];

    (void)snprintf(text, sizeof(text), "%" PRIu64, number);
    return call_json(handler, text, NULL);
}

static void pause_shortly(void)
{
    static const struct timespec pause = {.tv_nsec = 5000000L};

    (void)nanosleep(&pause, NULL);
}

void job_wait(uint64_t number)
{
    for (;;) {
        assert_int_equal(job_call(lk_handle_get_job, number), 200);
        if (!json_is_null(at("ended")))
            return;
        pause_shortly();
    }
}

void job_wait_encoding(uint64_t number, uint64_t n)
{
    for (;;) {
        assert_int_equal(job_call(lk_handle_get_job, number), 200);
        if (!json_is_null(at("ended")))
            fail_msg("too late: %s", last.body.data);
        if (json_is_object(at("progress")) &&
            strcmp(json_string_value(at("progress.step")), "encode") == 0 &&
            (uint64_t)json_integer_value(at("progress.done")) >= n)
            return;
        pause_shortly();
    }
}

void job_results(uint64_t number, const char *query)
{
    char text[24];

    (void)snprintf(text, sizeof(text), "%" PRIu64, number);
    if (call_run(&(call){.handler = lk_handle_get_results,
                         .collection = text,
                         .query = query}) != 200)
        fail_msg("%s", last.body.data);
}

char *job_results_copy(uint64_t number)
{
    char *copy;

    job_results(number, "format=csv");
    copy = strndup(last.body.data, last.body.len);
    assert_non_null(copy);
    return copy;
}

uint64_t encoded_count(void)
{
    static const char name[] = "\nlinkd_encoder_texts_total ";
    linkd_error err = {0};
    lk_buf text = {0};
    const char *line;
    uint64_t n;

    assert_int_equal(lk_metrics_print(service.metrics, &service, &text, &err),
                     LINKD_OK);
    line = strstr(text.data, name);
    assert_non_null(line);
    n = strtoull(line + sizeof(name) - 1, NULL, 10);
    lk_buf_clear(&text);
    return n;
}
