/* cli/remote_link.c — linkctl link through linkd. See cli/remote.c. */
#include "cli/remote_link.h"

#include <jansson.h>
#include <string.h>

#include "cli/manifest.h"
#include "cli/number.h"
#include "cli/remote.h"
#include "cli/rows.h"

typedef struct link_job {
    lk_cli *cli;
    const lk_remote_link *link;
    lk_client client;
    json_t *request;
    json_t *job;
    lk_output *output;
    lk_rows rows;
    lk_manifest manifest;
} link_job;

static int request_fill(link_job *run, linkd_error *err)
{
    const lk_remote_link *l = run->link;
    const char *const *paths = run->cli->args.operands;
    json_t *q = run->request;
    int rc = lk_remote_columns(q, "on", "on", l->on, err);

    if (rc == LINKD_OK)
        rc = lk_remote_columns(q, "left_on", "left-on", l->left_on, err);
    if (rc == LINKD_OK)
        rc = lk_remote_columns(q, "right_on", "right-on", l->right_on, err);
    if (rc == LINKD_OK)
        rc = lk_remote_text(q, "block", l->block, err);
    if (rc == LINKD_OK)
        rc = lk_remote_text(q, "model", l->model, err);
    if (rc == LINKD_OK)
        rc = lk_remote_side(&run->client, paths[0], l->format, q, "left", err);
    if (rc == LINKD_OK)
        rc = lk_remote_side(&run->client, paths[1], l->format, q, "right", err);
    return rc;
}

static int row_take(void *ctx, const json_t *row, linkd_error *err)
{
    static const char *const ids[] = {"left_id", "right_id"};
    link_job *run = ctx;

    for (size_t i = 0; i < 2; i++) {
        const json_t *id = json_object_get(row, ids[i]);

        lk_rows_text(&run->rows, (linkd_str){json_string_value(id),
                                             json_string_length(id)});
    }
    lk_rows_score(&run->rows,
                  (float)json_number_value(json_object_get(row, "score")));
    lk_rows_none(&run->rows); /* the probability */
    return lk_rows_end(&run->rows, err);
}

static int rows_fetch(link_job *run, linkd_error *err)
{
    static const linkd_str columns[] = {
        {"left_id", 7}, {"right_id", 8}, {"score", 5}, {"probability", 11}};
    int rc =
        lk_rows_init(&run->rows, run->output, lk_rows_format(run->link->output),
                     columns, sizeof(columns) / sizeof(*columns), err);

    if (rc == LINKD_OK)
        rc = lk_remote_rows(&run->client, run->job, row_take, run, err);
    return rc;
}

static int summary(link_job *run, linkd_error *err)
{
    bool rows_on_stdout = strcmp(run->link->output, "-") == 0;
    const json_t *job = run->job;

    if (run->link->json)
        return lk_manifest_print(&run->manifest,
                                 rows_on_stdout ? stderr : stdout, err);
    if (run->cli->args.quiet)
        return LINKD_OK;
    (void)fprintf(
        stderr, "%s, %s: %s\n",
        lk_counted(lk_job_count(job, "left_rows"), "left row", "left rows")
            .text,
        lk_counted(lk_job_count(job, "right_rows"), "right row", "right rows")
            .text,
        lk_counted(lk_job_count(job, "pairs"), "pair", "pairs").text);
    lk_texts_note(
        lk_job_count(job, "left_empty") + lk_job_count(job, "right_empty"), 0);
    return LINKD_OK;
}

static int outputs_open(link_job *run, linkd_error *err)
{
    const char *const *inputs = run->cli->args.operands;
    int rc = lk_output_open(run->link->output, inputs, 2, &run->output, err);

    if (rc == LINKD_OK)
        rc = lk_manifest_open(&run->manifest, run->output, run->link->output,
                              inputs, 2, err);
    return rc;
}

static int job_run(link_job *run, linkd_error *err)
{
    const lk_remote_link *l = run->link;
    int rc;

    run->request = json_pack("{s:s, s:s, s:I, s:f}", "kind", "link", "assign",
                             lk_assign_words[l->assign], "k", (json_int_t)l->k,
                             "threshold", l->threshold);
    if (run->request == NULL)
        return lk_fail_nomem(err);
    rc = request_fill(run, err);
    if (rc == LINKD_OK)
        rc = lk_job_run(&run->client, "/v1/jobs", run->request, &run->job, err);
    if (rc != LINKD_OK)
        return rc;
    lk_manifest_source(&run->manifest, run->cli->args.operands[0],
                       lk_job_count(run->job, "left_rows"));
    lk_manifest_source(&run->manifest, run->cli->args.operands[1],
                       lk_job_count(run->job, "right_rows"));
    lk_manifest_job(&run->manifest, run->job);
    return LINKD_OK;
}

int lk_remote_link_run(lk_cli *cli, const lk_syntax *syntax, const void *values,
                       const lk_remote_link *link, linkd_error *err)
{
    link_job run = {.cli = cli, .link = link};
    int rc;

    lk_manifest_init(&run.manifest, syntax, values);
    rc = outputs_open(&run, err);
    if (rc == LINKD_OK)
        rc = lk_client_open(cli, link->socket, &run.client, err);
    if (rc == LINKD_OK)
        rc = job_run(&run, err);
    if (rc == LINKD_OK)
        rc = rows_fetch(&run, err);
    if (rc == LINKD_OK)
        rc = lk_manifest_commit(&run.manifest, &run.output, 1, err);
    if (rc == LINKD_OK)
        rc = summary(&run, err);
    lk_rows_clear(&run.rows);
    lk_output_close(run.output);
    lk_manifest_clear(&run.manifest);
    json_decref(run.request);
    json_decref(run.job);
    lk_client_close(&run.client);
    return rc;
}
