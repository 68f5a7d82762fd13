/* daemon/job_inputs.h — private: the tables of a job, kept as of submission.
 *
 *   left.jsonl|csv|tsv, right.…  the tables; a collection is written as JSON
 *                                lines with the columns linkd_id, linkd_text
 *                                and the fields that the job needs
 *   left.known, right.known      a collection's vectors, by linkd_text
 *   left.scales, left.origins, … see job_scales.h
 *
 * The fields: those that were named, else the text fields of the collection's
 * settings, else all; and the one that rows are blocked by. A collection whose
 * vectors were given ready-made has no texts: there linkd_text is the side and
 * the id, by which the vector is found. Of a record with a picture linkd_text is
 * its text and the picture's hash; the field of the picture is never written.
 * Without a model there is neither
 * linkd_text nor a vector. */
#ifndef LK_DAEMON_JOB_INPUTS_H
#define LK_DAEMON_JOB_INPUTS_H

#include "daemon/job_spec.h"
#include "daemon/service.h"

#define LK_JOB_ID_COLUMN   "linkd_id"
#define LK_JOB_TEXT_COLUMN "linkd_text"

/* How the vectors of a job are made: kept with it. */
typedef struct lk_job_vectors {
    linkd_str model; /* empty: all of them are known */
    linkd_str fingerprint;
    size_t dim; /* 0: the job uses none */
} lk_job_vectors;

/* Writes the inputs into `dir`, which exists, and syncs them. Strings of
 * `ret_vectors` live in the arena. LINKD_E_ABSENT: a collection, a file or the
 * model is not there. LINKD_E_ARG: the sides' vectors are not comparable, a
 * column is not there, or a table is empty; of NDJSON that is known only when
 * it is read. LINKD_E_CONFLICT: a collection's model is another one by now.
 * LINKD_E_FULL. */
LINKD_MUST_CHECK int lk_job_inputs_save(lk_service *service,
                                        const lk_job_spec *spec,
                                        const char *dir, lk_arena *arena,
                                        lk_job_vectors *ret_vectors,
                                        linkd_error *err);

/* Makes what was renamed in `dir` survive. */
LINKD_MUST_CHECK int lk_job_dir_sync(const char *dir, linkd_error *err);

/* Reads a side's table. */
LINKD_MUST_CHECK int lk_job_input_read(const char *dir, const lk_job_spec *spec,
                                       size_t side,
                                       const linkd_progress *progress,
                                       linkd_table **ret_table,
                                       linkd_error *err);
/* The path of a side's known vectors; empty if there are none. */
LINKD_MUST_CHECK int lk_job_input_known(const char *dir, size_t side,
                                        lk_buf *ret_path, linkd_error *err);
/* Likewise of its files by job_scales.h. */
LINKD_MUST_CHECK int lk_job_input_scales(const char *dir, size_t side,
                                         lk_buf *ret_path, linkd_error *err);
LINKD_MUST_CHECK int lk_job_input_origins(const char *dir, size_t side,
                                          lk_buf *ret_path, linkd_error *err);

#endif
