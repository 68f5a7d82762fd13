/* daemon/job_decide.h — private: a job's decision, by probability or by scores
 * alone. */
#ifndef LK_DAEMON_JOB_DECIDE_H
#define LK_DAEMON_JOB_DECIDE_H

#include "daemon/job_tables.h"

typedef struct lk_job_deciding {
    const lk_job_tables *tables;
    const linkd_embedder *embedder;   /* NULL: without a model */
    const linkd_rescoring *rescoring; /* of scores alone, or NULL */
    lk_pool *pool;
    const linkd_progress *progress;
} lk_job_deciding;

typedef struct lk_job_pair {
    size_t left, right; /* rows; of a dedup left < right */
    float score;
    float probability; /* NaN: by scores alone */
} lk_job_pair;

typedef struct lk_job_decided {
    bool by_probability;
    linkd_decision decision;     /* if so */
    linkd_dedup_result by_score; /* of a dedup, if not */
    lk_job_pair *pairs;          /* accepted, in the order of the results */
    size_t n_pairs;
    size_t *entities; /* of a dedup: [n_rows], borrowed from either */
    size_t n_entities;
    size_t n_candidates;
    size_t n_empty[2]; /* rows that could not be compared */
} lk_job_decided;

/* LINKD_E_CANCELLED: progress said so. */
LINKD_MUST_CHECK int lk_job_decide(const lk_job_deciding *deciding,
                                   lk_job_decided *ret_decided,
                                   linkd_error *err);
void lk_job_decided_clear(lk_job_decided *decided);

#endif
