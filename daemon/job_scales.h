/* daemon/job_scales.h — private: what scores of a job's pairs count as, where a
 * collection's model was changed. Kept as of submission, as all inputs are:
 *
 *   left.scales, right.scales    of pairs (linkd_pair_scales)
 *   left.origins, right.origins  which model a text's vector is of, by linkd_text:
 *                                a file of lk_known_writer with one number a row
 *
 * Only jobs that decide by scores alone have them. */
#ifndef LK_DAEMON_JOB_SCALES_H
#define LK_DAEMON_JOB_SCALES_H

#include "daemon/job_tables.h"
#include "daemon/vector_sources.h"

/* Writes a side's scales. `bridges`: of the view's collection, whose generation
 * `serving` the job compares in. LINKD_E_DATA: one of them is damaged. */
LINKD_MUST_CHECK int lk_job_scales_save(const char *path,
                                        const linkd_bridges *bridges,
                                        linkd_view *view, uint32_t serving,
                                        linkd_error *err);

typedef struct lk_job_scales {
    linkd_pair_scales *scales; /* NULL: cosines count as they are */
    uint32_t *origins[2];      /* [n_rows] of each table: linkd_model_mark() */
    linkd_rescoring rescoring; /* by this struct, which stays where it is */
} lk_job_scales;

/* What is in the job's `dir`; of two sides with scales the left one's count, and
 * rows of a model that it never had as rows of the one that serves.
 * LINKD_E_DATA: a file is damaged. */
LINKD_MUST_CHECK int lk_job_scales_open(const char *dir,
                                        const lk_job_tables *tables,
                                        lk_job_scales *ret_scales,
                                        linkd_error *err);
void lk_job_scales_clear(lk_job_scales *scales);

#endif
