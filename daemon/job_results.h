/* daemon/job_results.h — private: the rows that a job leaves behind, as CSV in
 * <dir>/results.csv. */
#ifndef LK_DAEMON_JOB_RESULTS_H
#define LK_DAEMON_JOB_RESULTS_H

#include <stdio.h>

#include "base/base.h"

typedef struct lk_job_results {
    FILE *file;
    lk_buf path;
    lk_buf temporary;
} lk_job_results;

/* `header` is the first line. A failure, too, is followed by closing. */
LINKD_MUST_CHECK int lk_job_results_open(const char *dir, const char *header,
                                         lk_job_results *results,
                                         linkd_error *err);
/* RFC 4180: quoted where it has to be; then `after`. */
LINKD_MUST_CHECK int lk_job_results_cell(lk_job_results *results,
                                         linkd_str cell, char after,
                                         linkd_error *err);
/* As it is. */
LINKD_MUST_CHECK int lk_job_results_number(lk_job_results *results,
                                           const char *text, linkd_error *err);
/* Syncs and renames, if `rc` is LINKD_OK so far, and frees: a job is called done
 * when the directory has its results under their name. Returns `rc`, or what
 * went wrong here. */
LINKD_MUST_CHECK int lk_job_results_close(const char *dir,
                                          lk_job_results *results, int rc,
                                          linkd_error *err);

#endif
