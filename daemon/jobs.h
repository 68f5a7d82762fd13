/* daemon/jobs.h — private: work that takes minutes, survives a restart and
 * gives the same bytes with and without one.
 *
 * A job is a row of the store (job.h) and a directory <data>/jobs/<random>,
 * which the row names:
 *   left.* right.*   the inputs as of submission (job_inputs.h)
 *   vectors          what it has encoded (vector_sources.h)
 *   results.csv      under this name when it is complete
 *
 *   queued ─► running ─┬──────────────┬─► done
 *     │         │      └─► failed ◄─┐ │
 *     │         └────► cancelling ──┴─┴─► cancelled
 *     └────────────────────────────────► cancelled
 * A job whose last step was under way when it was to be cancelled is done or
 * failed all the same. One thread runs queued jobs in order of number, another one
 * backfills, which may be slow on purpose; jobs that change the model of the same
 * collection keep their order. After a crash an unfinished job runs again from its
 * inputs; blocks that are
 * checkpointed are not encoded again. Linking is deterministic, so the results
 * are the same. */
#ifndef LK_DAEMON_JOBS_H
#define LK_DAEMON_JOBS_H

#include <jansson.h>

#include "daemon/request.h"
#include "index/index.h"

typedef struct lk_service lk_service;
typedef struct lk_jobs lk_jobs;

/* Reads the jobs of the store and starts the thread; unfinished ones are queued
 * again. */
LINKD_MUST_CHECK int lk_jobs_new(lk_service *service, lk_jobs **ret_jobs,
                                 linkd_error *err);
/* Stops the running job where it is; it goes on after a restart. */
void lk_jobs_free(lk_jobs *jobs);

/* Keeps the inputs and queues the job: on return it is on disk. With a key that
 * was used before, the number of the first job, which may be deleted by now.
 * Takes a reference to `request`. LINKD_E_ARG: the request is wrong.
 * LINKD_E_ABSENT: an input is. LINKD_E_BUSY: LK_JOBS_MAX are kept. */
#define LK_JOBS_MAX ((size_t)10000)
LINKD_MUST_CHECK int lk_jobs_submit(lk_jobs *jobs, json_t *request,
                                    const linkd_once *once,
                                    uint64_t *ret_number, bool *ret_replayed,
                                    linkd_error *err);

/* Appends the job as JSON; `ret_version` changes with it. LINKD_E_ABSENT. */
LINKD_MUST_CHECK int lk_jobs_print(lk_jobs *jobs, uint64_t number, lk_buf *buf,
                                   uint64_t *ret_version, bool *ret_ended,
                                   linkd_error *err);
/* Appends an array of all, newest first. */
LINKD_MUST_CHECK int lk_jobs_print_all(lk_jobs *jobs, lk_buf *buf,
                                       linkd_error *err);

/* On return it is on disk that the job is to end. LINKD_E_CONFLICT: it has
 * ended. */
LINKD_MUST_CHECK int lk_jobs_cancel(lk_jobs *jobs, uint64_t number,
                                    linkd_error *err);
/* LINKD_E_CONFLICT: it has not ended. */
LINKD_MUST_CHECK int lk_jobs_delete(lk_jobs *jobs, uint64_t number,
                                    linkd_error *err);
/* The file of a job's results. LINKD_E_CONFLICT: it is not done. */
LINKD_MUST_CHECK int lk_jobs_results_path(lk_jobs *jobs, uint64_t number,
                                          lk_buf *ret_path, linkd_error *err);

/* For /metrics. */
typedef struct lk_jobs_stats {
    uint64_t n_queued, n_running, n_done, n_failed, n_cancelled;
} lk_jobs_stats;
void lk_jobs_read_stats(lk_jobs *jobs, lk_jobs_stats *ret_stats);

#endif
