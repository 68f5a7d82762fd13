/* daemon/jobs.h — private: work that takes minutes, survives a restart and
 * gives the same bytes with and without one.
 *
 * A job is a row of the store (its JSON object, see docs/http-api.md, and the
 * request) and a directory <data>/jobs/<number>:
 *   left.jsonl right.jsonl   the inputs as of submission, fsynced before 202
 *   vectors                  checkpoints: every encoded block, with a hash of
 *                            its texts and a checksum
 *   results.csv              under its final name when it is complete
 * One thread runs queued jobs in order of number. After a crash it runs an
 * unfinished job again from its inputs; blocks that are checkpointed are not
 * encoded again. Linking is deterministic, so the results are the same. */
#ifndef LK_DAEMON_JOBS_H
#define LK_DAEMON_JOBS_H

#include "daemon/request.h"

typedef struct lk_service lk_service;
typedef struct lk_jobs lk_jobs;

/* Reads the jobs of the store and starts the thread; unfinished ones are queued
 * again. */
LINKD_MUST_CHECK int lk_jobs_new(lk_service *service, lk_jobs **ret_jobs,
                                 linkd_error *err);
/* Stops the running job at its next checkpoint; it goes on after a restart. */
void lk_jobs_free(lk_jobs *jobs);

/* For /metrics. */
typedef struct lk_jobs_stats {
    uint64_t n_queued, n_running, n_done, n_failed, n_cancelled;
} lk_jobs_stats;
void lk_jobs_read_stats(lk_jobs *jobs, lk_jobs_stats *ret_stats);

#endif
