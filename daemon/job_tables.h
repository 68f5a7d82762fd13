/* daemon/job_tables.h — private: the tables of a job in memory, and which of
 * their columns are compared. */
#ifndef LK_DAEMON_JOB_TABLES_H
#define LK_DAEMON_JOB_TABLES_H

#include "daemon/job_inputs.h"

typedef struct lk_job_tables {
    const lk_job_spec *spec;    /* borrowed */
    linkd_table *tables[2];     /* a dedup has one */
    linkd_column_pair *columns; /* of a dedup left == right */
    size_t n_columns;
    size_t blocks[2]; /* LINKD_COLUMN_NONE: none */
} lk_job_tables;

/* Reads the inputs in `dir`. Reports "read". LINKD_E_ARG: a column is not there.
 * LINKD_E_DATA: a table is not well-formed. */
LINKD_MUST_CHECK int lk_job_tables_read(const char *dir,
                                        const lk_job_spec *spec,
                                        const lk_job_vectors *vectors,
                                        const linkd_progress *progress,
                                        lk_job_tables *ret_tables,
                                        linkd_error *err);
void lk_job_tables_clear(lk_job_tables *tables);

#endif
