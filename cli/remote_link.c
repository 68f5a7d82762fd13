/* cli/remote_link.c — linkctl link through linkd. See cli/remote.c. */
#include "cli/remote_link.h"

#include <jansson.h>
#include <string.h>

#include "cli/number.h"
#include "cli/pairs.h"

static int request_fill(lk_remote *r, const lk_remote_link *l, linkd_error *err)
{
    const char *const *paths = r->cli->args.operands;
    int rc = lk_remote_word(r, "kind", "link", err);

    if (rc == LINKD_OK)
        rc = lk_remote_word(r, "assign", lk_assign_words[l->assign], err);
    if (rc == LINKD_OK)
        rc = lk_remote_columns(r, "on", "on", l->on, err);
    if (rc == LINKD_OK)
        rc = lk_remote_columns(r, "left_on", "left-on", l->left_on, err);
    if (rc == LINKD_OK)
        rc = lk_remote_columns(r, "right_on", "right-on", l->right_on, err);
    if (rc == LINKD_OK)
        rc = lk_remote_side(r, paths[0], "left", err);
    if (rc == LINKD_OK)
        rc = lk_remote_side(r, paths[1], "right", err);
    return rc;
}

static void number_put(lk_rows *rows, const json_t *row, const char *name)
{
    const json_t *number = json_object_get(row, name);

    if (json_is_number(number))
        lk_rows_score(rows, (float)json_number_value(number));
    else
        lk_rows_none(rows);
}

static int row_take(void *ctx, const json_t *row, linkd_error *err)
{
    static const char *const ids[] = {"left_id", "right_id"};
    lk_rows *rows = ctx;

    for (size_t i = 0; i < 2; i++) {
        const json_t *id = json_object_get(row, ids[i]);

        lk_rows_text(
            rows, (linkd_str){json_string_value(id), json_string_length(id)});
    }
    number_put(rows, row, "score");
    number_put(rows, row, "probability");
    return lk_rows_end(rows, err);
}

static int rows_fetch(lk_remote *r, linkd_error *err)
{
    int rc =
        lk_rows_init(&r->rows, r->output, lk_rows_format(r->options->output),
                     lk_pair_columns, LK_PAIR_COLUMNS, err);

    return rc == LINKD_OK ? lk_remote_rows(r, row_take, &r->rows, err) : rc;
}

static void counts_note(const json_t *job)
{
    (void)fprintf(
        stderr, "%s, %s: %s, ",
        lk_counted(lk_job_count(job, "left_rows"), "left row", "left rows")
            .text,
        lk_counted(lk_job_count(job, "right_rows"), "right row", "right rows")
            .text,
        lk_counted(lk_job_count(job, "pairs"), "pair", "pairs").text);
    (void)fprintf(stderr, "%s left and %s right rows without a partner\n",
                  lk_count(lk_job_count(job, "left_unmatched")).text,
                  lk_count(lk_job_count(job, "right_unmatched")).text);
    lk_texts_note(
        lk_job_count(job, "left_empty") + lk_job_count(job, "right_empty"), 0);
}

static int job_run(lk_remote *r, const lk_remote_link *link, linkd_error *err)
{
    const char *const *paths = r->cli->args.operands;
    int rc = request_fill(r, link, err);

    if (rc == LINKD_OK)
        rc = lk_remote_run(r, err);
    if (rc != LINKD_OK)
        return rc;
    lk_manifest_source(&r->manifest, paths[0],
                       lk_job_count(r->job, "left_rows"));
    lk_manifest_source(&r->manifest, paths[1],
                       lk_job_count(r->job, "right_rows"));
    return LINKD_OK;
}

int lk_remote_link_run(lk_cli *cli, const lk_syntax *syntax, const void *values,
                       const lk_remote_link *link, linkd_error *err)
{
    lk_remote r;
    int rc = lk_remote_open(cli, syntax, values, &link->options, &r, err);

    if (rc == LINKD_OK)
        rc = job_run(&r, link, err);
    if (rc == LINKD_OK)
        rc = rows_fetch(&r, err);
    if (rc == LINKD_OK)
        rc = lk_remote_finish(&r, counts_note, err);
    lk_remote_close(&r);
    return rc;
}
