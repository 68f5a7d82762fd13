/* cli/report.h — one page of HTML about a run. */
#ifndef LINKD_CLI_REPORT_H
#define LINKD_CLI_REPORT_H

#include "cli/decide.h"
#include "cli/truth.h"

/* What the page is about. Borrowed. */
typedef struct lk_report {
    const char *command; /* "link", "dedup" */
    const linkd_table *left;
    const linkd_table *right; /* NULL: one table */
    const lk_decided *decided;
    const lk_truth *truth; /* NULL: unknown */
} lk_report;

/* The page, which needs nothing from anywhere else; cleared by the caller. */
LINKD_MUST_CHECK int lk_report_make(const lk_report *report, lk_buf *ret_html,
                                    linkd_error *err);

#endif
