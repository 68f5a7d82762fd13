/* cli/questions.h — pairs to be answered, added to a file of labels. */
#ifndef LINKD_CLI_QUESTIONS_H
#define LINKD_CLI_QUESTIONS_H

#include "cli/compared.h"

typedef struct lk_question {
    size_t left; /* rows */
    size_t right;
    float probability;
    lk_answer answer;
} lk_question;

/* Writes the file `path` anew, with the rows that it has and, behind them, the
 * questions: left_id, right_id, match, probability and the compared columns of
 * both rows, side by side, with _x and _y. Columns that the file does not have
 * are added; its own are kept. An answered question takes the place of the row
 * in which it waited. The file appears whole or stays as it was; it need not
 * exist. LINKD_E_ARG: it is one of the tables. */
LINKD_MUST_CHECK int lk_questions_write(const char *path,
                                        const lk_compared *compared,
                                        const lk_question *questions, size_t n,
                                        linkd_error *err);

/* Does the file exist, with a byte in it? */
bool lk_labels_exist(const char *path);

#endif
