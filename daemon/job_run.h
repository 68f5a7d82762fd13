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

/* Does the work; writes <dir>/results.csv, which appears when it is complete (a
 * backup has none).
 * Appends the counts as a JSON object. LINKD_E_CANCELLED: progress or stop_cb
 * said so. Running it again gives the same bytes. */
LINKD_MUST_CHECK int lk_job_do(const lk_job_run *run, lk_buf *ret_counts,
                               linkd_error *err);

#endif
