/* cli/survey.h — a first look at a file that will be streamed. */
#ifndef LINKD_CLI_SURVEY_H
#define LINKD_CLI_SURVEY_H

#include "cli/command.h"

/* Fingerprints kept at once: 2^20 slots of 8 bytes, at most half of them used.
 */
#define LK_SURVEY_SLOTS ((size_t)1 << 20)

typedef struct lk_survey {
    uint64_t n_rows;
    size_t id_column;        /* LINKD_COLUMN_NONE: row numbers */
    linkd_id_trial id_trial; /* of the first column, if none was named; of a
                                long file a part of the rows is looked at */
} lk_survey;

/* Reads a regular file once or more often: counts its rows, checks it as a
 * whole before hours are spent on it, and looks whether the values of its id
 * column are there and unique. `id_column` NULL: the first column, if so.
 * LINKD_E_ARG: there is no such column. LINKD_E_DATA: a named id is empty or
 * repeated, and all that linkd_reader_next says. `n_slots`, a power of two, is
 * LK_SURVEY_SLOTS outside of tests. */
LINKD_MUST_CHECK int lk_survey_file(const char *path, linkd_format format,
                                    const char *id_column, size_t n_slots,
                                    const linkd_progress *progress,
                                    lk_survey *ret_survey, linkd_error *err);

/* A pipe, which can be read only once? */
bool lk_is_pipe(const char *path);
/* The same of an input, with a hint if there is no such column; a pipe has
 * neither rows nor an id column, which is said where none was named. */
LINKD_MUST_CHECK int lk_survey_input(lk_cli *cli, const char *path,
                                     linkd_format format, const char *id_column,
                                     lk_survey *ret_survey, linkd_error *err);

/* Is the cell, in the column that was named for ids, an id? LINKD_E_DATA: it is
 * empty or missing. */
LINKD_MUST_CHECK int lk_id_check(const char *path, const linkd_record *record,
                                 const char *column, linkd_cell cell,
                                 linkd_error *err);

#endif
