/* cli/labels.h — answered pairs from a file. */
#ifndef LINKD_CLI_LABELS_H
#define LINKD_CLI_LABELS_H

#include "linkage/linkage.h"

typedef enum lk_answer {
    LK_ANSWER_NO,
    LK_ANSWER_YES,
    LK_ANSWER_UNSURE, /* "?": was looked at, and cannot be told */
    LK_ANSWER_NONE,   /* still to be answered */
} lk_answer;

/* The pairs of a labels file, by their rows. */
typedef struct lk_labels {
    linkd_label *pairs; /* [n_pairs]: the answered ones, then those that wait
                           for an answer, then those that nobody can tell */
    size_t n_pairs;
    size_t n; /* answered */
    size_t n_waiting;
} lk_labels;

/* Reads left_id, right_id and match (1, yes, y or true; 0, no, n or false; ?;
 * empty) of every row; without a column match every row is a match. `right`
 * NULL: both ids are of `left`. A pair may be named again. LINKD_E_DATA: a
 * column is missing, an id unknown, both ids are of one row, a match is none of
 * these words, or a pair is answered with yes and with no; the message names
 * file, row and column. */
LINKD_MUST_CHECK int lk_labels_read(const char *path, const linkd_table *left,
                                    const linkd_table *right,
                                    const linkd_progress *progress,
                                    lk_labels *ret_labels, linkd_error *err);
void lk_labels_clear(lk_labels *labels);

/* False: it is none of the words of a match. */
bool lk_answer_of(linkd_str word, lk_answer *ret_answer);

#endif
