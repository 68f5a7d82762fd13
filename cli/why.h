/* cli/why.h — --explain, --report and --truth of link and dedup. */
#ifndef LINKD_CLI_WHY_H
#define LINKD_CLI_WHY_H

#include "cli/decide.h"
#include "cli/output.h"

enum {
    LK_WHY_OUTPUTS = 2, /* explanations, report */
};

typedef struct lk_why_values {
    const char *explain, *report, *truth;
} lk_why_values;

/* Rows of an option table; `at` is the offset of an lk_why_values. */
#define LK_WHY_OPTIONS(at)                                                     \
 {"explain",                                                                   \
  0,                                                                           \
  LK_OPTION_TEXT,                                                              \
  (at) + offsetof(lk_why_values, explain),                                     \
  "FILE",                                                                      \
  NULL,                                                                        \
  0,                                                                           \
  0,                                                                           \
  "write why each pair was accepted, one JSON object a\n"                      \
  "line, see linkctl explain"},                                                \
     {"report",                                                                \
      0,                                                                       \
      LK_OPTION_TEXT,                                                          \
      (at) + offsetof(lk_why_values, report),                                  \
      "FILE",                                                                  \
      NULL,                                                                    \
      0,                                                                       \
      0,                                                                       \
      "write one HTML page about the run"},                                    \
 {                                                                             \
  "truth", 0, LK_OPTION_TEXT, (at) + offsetof(lk_why_values, truth), "FILE",   \
      NULL, 0, 0, "true pairs or entities, for --report to compare with"       \
 }

/* Starts to write what was asked for; ret_outputs [LK_WHY_OUTPUTS] may be NULL
 * each. LINKD_E_ARG: there are no probabilities to explain, --truth without
 * --report, or a file that is an input. */
LINKD_MUST_CHECK int lk_why_open(const lk_why_values *values,
                                 const lk_decide_values *decide,
                                 const char *const *inputs, size_t n_inputs,
                                 lk_output **ret_outputs, linkd_error *err);
/* `right` NULL: one table. */
LINKD_MUST_CHECK int lk_why_write(lk_cli *cli, const lk_why_values *values,
                                  const char *command, const linkd_table *left,
                                  const linkd_table *right,
                                  const lk_decided *decided,
                                  lk_output *const *outputs, linkd_error *err);

#endif
