/* daemon/job_run.h — private: one job from its inputs to its results, without
 * knowing of states, threads or clients. */
#ifndef LK_DAEMON_JOB_RUN_H
#define LK_DAEMON_JOB_RUN_H

#include "daemon/job_inputs.h"

typedef struct lk_job_run {
    lk_service *service;
    const lk_job_spec *spec;
    const lk_job_vectors *vectors;
    const char *dir;
    const linkd_progress *progress;
    bool (*stop_cb)(void *ctx); /* looked at while texts wait to be encoded */
    void *stop_ctx;
} lk_job_run;

/* What a client sees of it beside the rows. */
typedef struct lk_job_outcome {
    json_t *counts;
    json_t *verdict; /* NULL: nothing was decided by probability */
} lk_job_outcome;

/* Does the work; writes <dir>/results.csv, which appears when it is complete (a
 * backup has none). Fills `ret_outcome`, empty before, even in part when it
 * fails. LINKD_E_CANCELLED: progress or stop_cb said so. Running it again gives
 * the same bytes. */
LINKD_MUST_CHECK int lk_job_do(const lk_job_run *run,
                               lk_job_outcome *ret_outcome, linkd_error *err);

#endif
