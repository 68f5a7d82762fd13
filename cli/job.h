/* cli/job.h — work that linkd does while linkctl waits. */
#ifndef LINKD_CLI_JOB_H
#define LINKD_CLI_JOB_H

#include <jansson.h>

#include "cli/client.h"
#include "cli/progress.h"

/* The step that a job was last seen at; "": at none. */
typedef struct lk_job_seen {
    char step[24];
    uint64_t total;
    bool is_done;
} lk_job_seen;

/* Shows how far the job is, as far as looking now and then tells: a step that
 * another one has followed is complete, and waiting is no step's time. */
void lk_job_show(lk_meter *meter, const json_t *job, lk_job_seen *seen);

/* Waits for the job's end and reports its steps meanwhile. On Ctrl-C the wait
 * ends and, if `owned`, the job with it; a second one ends linkctl at once.
 * LINKD_E_CANCELLED: either that, or somebody cancelled the job. LINKD_E_DATA:
 * the job failed. `ret_job`, the last state, is freed with json_decref(). */
LINKD_MUST_CHECK int lk_job_wait(lk_client *client, uint64_t number, bool owned,
                                 json_t **ret_job, linkd_error *err);

/* Submits and waits. */
LINKD_MUST_CHECK int lk_job_run(lk_client *client, const char *path,
                                const json_t *body, json_t **ret_job,
                                linkd_error *err);

LINKD_MUST_CHECK int lk_job_delete(lk_client *client, uint64_t number,
                                   linkd_error *err);

uint64_t lk_job_number(const json_t *job);
/* A number of the job's counts; 0 if it is not there. */
uint64_t lk_job_count(const json_t *job, const char *name);
/* What the job decided by probability; false: it decided by scores alone. */
bool lk_job_verdict(const json_t *job, linkd_verdict *ret_verdict,
                    double *ret_threshold);

#endif
