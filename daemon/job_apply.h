/* daemon/job_apply.h — private: what a job decided, into its collection. */
#ifndef LK_DAEMON_JOB_APPLY_H
#define LK_DAEMON_JOB_APPLY_H

#include "daemon/job_decide.h"
#include "daemon/job_run.h"

/* LINKD_E_ARG: what is to be applied has no ids. Row numbers are none: they would
 * overwrite records. */
LINKD_MUST_CHECK int lk_job_apply_check(const lk_job_tables *tables,
                                        linkd_error *err);
/* A dedup gives the collection's records their entities; a link puts the rows
 * of its file into the collection, each into its partner's entity or a new
 * one. Doing it again changes nothing. Reports "apply". LINKD_E_CANCELLED:
 * progress said so; some rows may be in. */
LINKD_MUST_CHECK int lk_job_apply(const lk_job_run *run,
                                  const lk_job_deciding *deciding,
                                  const lk_job_decided *decided,
                                  linkd_error *err);

#endif
