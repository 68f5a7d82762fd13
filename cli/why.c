/* cli/why.c — --explain, --report and --truth of link and dedup. */
#include "cli/why.h"

#include <math.h>
#include <string.h>

#include "cli/explanation.h"
#include "cli/report.h"

int lk_why_open(const lk_why_values *values, const lk_decide_values *decide,
                const char *const *inputs, size_t n_inputs,
                lk_output **ret_outputs, linkd_error *err)
{
    int rc = LINKD_OK;

    if (values->truth != NULL && values->report == NULL)
        return lk_fail(err, LINKD_E_ARG, "--truth needs --report");
    if (!isnan(decide->min_score) &&
        (values->explain != NULL || values->report != NULL))
        return lk_fail(err, LINKD_E_ARG, "--min-score excludes --%s",
                       values->explain != NULL ? "explain" : "report");
    if (values->explain != NULL && values->report != NULL &&
        strcmp(values->explain, values->report) == 0)
        return lk_fail(err, LINKD_E_ARG,
                       "--explain and --report are the same file");
    if (values->explain != NULL)
        rc = lk_output_open(values->explain, inputs, n_inputs, &ret_outputs[0],
                            err);
    if (rc == LINKD_OK && values->report != NULL)
        rc = lk_output_open(values->report, inputs, n_inputs, &ret_outputs[1],
                            err);
    return rc;
}

/* One line of `told`'s decision. */
static int line_write(const linkd_explainer *explainer, lk_told *told,
                      const linkd_pair *pair, lk_buf *line, lk_output *output,
                      linkd_error *err)
{
    linkd_explanation e = {0};
    int rc = linkd_explainer_explain(
        explainer, linkd_decision_find(told->decision, pair->left, pair->right),
        &e, err);

    if (rc != LINKD_OK)
        return rc;
    told->explanation = &e;
    lk_buf_reset(line);
    rc = lk_explanation_json(told, line, err);
    if (rc == LINKD_OK)
        rc = lk_output_write(output, line->data, line->len, err);
    told->explanation = NULL;
    linkd_explanation_clear(&e);
    return rc;
}

static int explanations_write(const linkd_table *left, const linkd_table *right,
                              const lk_decided *decided, lk_output *output,
                              linkd_error *err)
{
    lk_told told = {.decision = &decided->decision,
                    .tables = {left, right != NULL ? right : left}};
    linkd_explainer *explainer = NULL;
    lk_buf line = {0};
    int rc = linkd_explainer_new(decided->evidence, &decided->decision,
                                 &explainer, err);

    for (size_t i = 0; i < decided->n_pairs && rc == LINKD_OK; i++)
        rc = line_write(explainer, &told, &decided->pairs[i], &line, output,
                        err);
    lk_buf_clear(&line);
    linkd_explainer_free(explainer);
    return rc;
}

static int report_write(lk_cli *cli, const char *truth_path, lk_report *report,
                        lk_output *output, linkd_error *err)
{
    lk_truth truth = {0};
    lk_buf html = {0};
    int rc = LINKD_OK;

    if (truth_path != NULL) {
        rc = lk_truth_read(truth_path, report->left, report->right,
                           &report->decided->decision, &cli->progress, &truth,
                           err);
        report->truth = &truth;
    }
    if (rc == LINKD_OK)
        rc = lk_report_make(report, &html, err);
    if (rc == LINKD_OK)
        rc = lk_output_write(output, html.data, html.len, err);
    lk_buf_clear(&html);
    report->truth = NULL;
    lk_truth_clear(&truth);
    return rc;
}

int lk_why_write(lk_cli *cli, const lk_why_values *values, const char *command,
                 const linkd_table *left, const linkd_table *right,
                 const lk_decided *decided, lk_output *const *outputs,
                 linkd_error *err)
{
    lk_report report = {
        .command = command, .left = left, .right = right, .decided = decided};
    int rc = LINKD_OK;

    if (outputs[0] != NULL)
        rc = explanations_write(left, right, decided, outputs[0], err);
    if (rc == LINKD_OK && outputs[1] != NULL)
        rc = report_write(cli, values->truth, &report, outputs[1], err);
    return rc;
}
