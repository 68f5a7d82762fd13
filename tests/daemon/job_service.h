/* tests/daemon/job_service.h — service.h with jobs: their thread runs. */
#ifndef LINKD_TESTS_JOB_SERVICE_H
#define LINKD_TESTS_JOB_SERVICE_H

#include "daemon/jobs.h"
#include "tests/daemon/service.h"

/* cmocka set-up and tear-down. */
int job_service_enter(void **state);
int job_service_leave(void **state);

/* As if the daemon was stopped, and started again. */
void jobs_stop(void);
void jobs_start(void);

/* Uploads a table and answers its name, valid until the next upload. */
const char *table_upload(const char *content_type, const char *text);
/* A table of many rows with texts of their own: it takes seconds to encode. */
const char *long_table_upload(void);
#define LONG_TABLE_ROWS 12000

/* Submits; fails the test unless it is accepted. Returns the number. */
uint64_t job_submit(const char *body);
/* Waits until the job has ended; the last answer is the job. */
void job_wait(uint64_t number);
/* Waits until it encodes and has done at least `n` texts. */
void job_wait_encoding(uint64_t number, uint64_t n);
/* The last answer is its results. */
void job_results(uint64_t number, const char *query);
/* Those as CSV; freed with free(). */
char *job_results_copy(uint64_t number);
/* Calls a handler with the job's number in the path. */
int job_call(lk_handler *handler, uint64_t number);

/* How many texts the models have encoded. */
uint64_t encoded_count(void);

#endif
