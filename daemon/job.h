/* daemon/job.h — private: one job: its state, its row in the store and what a
 * client sees of it. No locks and no I/O here: jobs.c has them. */
#ifndef LK_DAEMON_JOB_H
#define LK_DAEMON_JOB_H

#include <jansson.h>

#include "daemon/job_inputs.h"

typedef enum lk_job_state {
    LK_JOB_QUEUED,
    LK_JOB_RUNNING,
    LK_JOB_CANCELLING,
    LK_JOB_DONE, /* from here on it has ended */
    LK_JOB_FAILED,
    LK_JOB_CANCELLED,
} lk_job_state;

/* Where a running job is. */
typedef struct lk_job_progress {
    char step[16];
    uint64_t done;
    uint64_t total;
    uint64_t begin_ns;   /* of the step */
    uint64_t begin_done; /* then */
    uint64_t told_ns;
} lk_job_progress;

typedef struct lk_job {
    struct lk_job *next; /* of a greater number */
    uint64_t number;
    json_t *request;
    json_t *vectors; /* an lk_job_vectors */
    json_t *counts;  /* NULL: none yet */
    json_t *verdict; /* NULL: none yet, or nothing was decided by probability */
    char *dir;       /* its name under <data>/jobs */
    char *error;     /* NULL: none */
    lk_job_state state;
    uint64_t submitted_ms; /* since 1970 */
    uint64_t started_ms;   /* 0: not yet, as all below */
    uint64_t ended_ms;
    lk_job_progress progress;
    uint64_t version; /* of what a client sees */
} lk_job;

/* A queued job; takes a reference to `request` and copies the rest. */
LINKD_MUST_CHECK int lk_job_new(json_t *request, const char *dir,
                                const lk_job_vectors *vectors, lk_job **ret_job,
                                linkd_error *err);
void lk_job_free(lk_job *job);

bool lk_job_has_ended(const lk_job *job);
const char *lk_job_state_name(lk_job_state state);
/* Whether it may go on for days, when it is given a rate. */
bool lk_job_is_backfill(const lk_job *job);
/* Whether both change the model of one collection: these take their turns. */
bool lk_job_shares(const lk_job *job, const lk_job *other);
/* Borrows from the job. */
lk_job_vectors lk_job_vectors_of(const lk_job *job);
/* The clock of submitted_ms and the others. */
uint64_t lk_job_now_ms(void);
/* Notes where the job is. Whether it is time to tell a watcher. */
bool lk_job_advance(lk_job *job, const char *step, uint64_t done,
                    uint64_t total);

/* The row of the store: everything but number and progress. LINKD_E_DATA: it is
 * not one. */
LINKD_MUST_CHECK int lk_job_encode(const lk_job *job, lk_buf *row,
                                   linkd_error *err);
LINKD_MUST_CHECK int lk_job_decode(linkd_str row, lk_job **ret_job,
                                   linkd_error *err);

/* Appends the job object of docs/http-api.md. */
LINKD_MUST_CHECK int lk_job_print(const lk_job *job, lk_buf *buf,
                                  linkd_error *err);

#endif
