/* cli/remote_dedup.c — linkctl dedup through linkd. See cli/remote.c.
 *
 * linkd answers ids and entities in the order of the rows. Of a file the other
 * columns are here, so the file is read again and its rows are written beside
 * the answer, row by row; the ids have to agree. */
#include "cli/remote_dedup.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "cli/manifest.h"
#include "cli/number.h"
#include "cli/remote.h"
#include "cli/rows.h"

typedef struct dedup_job {
    lk_cli *cli;
    const lk_remote_dedup *dedup;
    lk_client client;
    json_t *request;
    json_t *job;
    linkd_table *table; /* NULL: a collection */
    size_t n_rows;      /* written */
    linkd_str *columns;
    size_t n_columns;
    lk_output *output;
    lk_rows rows;
    lk_manifest manifest;
} dedup_job;

static int table_read(dedup_job *run, linkd_error *err)
{
    static const linkd_str taken = {"entity_id", 9};
    const char *path = run->cli->args.operands[0];
    int rc;

    if (lk_operand_collection(path) != NULL)
        return LINKD_OK;
    rc = lk_table_read(run->cli, path, run->dedup->format, NULL, &run->table,
                       err);
    if (rc == LINKD_OK &&
        linkd_table_find_column(run->table, taken) != LINKD_COLUMN_NONE) {
        lk_cli_hint(run->cli, "rename it: dedup writes a column of that name");
        rc = lk_fail(err, LINKD_E_DATA, "%s has a column \"entity_id\" already",
                     lk_label_of_path(path).text);
    }
    return rc;
}

static int request_fill(dedup_job *run, linkd_error *err)
{
    const lk_remote_dedup *d = run->dedup;
    json_t *q = run->request;
    int rc = lk_remote_columns(q, "on", "on", d->on, err);

    if (rc == LINKD_OK)
        rc = lk_remote_text(q, "block", d->block, err);
    if (rc == LINKD_OK)
        rc = lk_remote_text(q, "model", d->model, err);
    if (rc == LINKD_OK)
        rc = lk_remote_side(&run->client, run->cli->args.operands[0], d->format,
                            q, "input", err);
    return rc;
}

static int job_run(dedup_job *run, linkd_error *err)
{
    const lk_remote_dedup *d = run->dedup;
    int rc;

    run->request =
        json_pack("{s:s, s:s, s:I, s:f, s:b}", "kind", "dedup", "cluster",
                  lk_cluster_words[d->cluster], "k", (json_int_t)d->k,
                  "threshold", d->threshold, "apply", (int)d->apply);
    if (run->request == NULL)
        return lk_fail_nomem(err);
    rc = request_fill(run, err);
    if (rc == LINKD_OK)
        rc = lk_job_run(&run->client, "/v1/jobs", run->request, &run->job, err);
    if (rc != LINKD_OK)
        return rc;
    lk_manifest_source(&run->manifest, run->cli->args.operands[0],
                       lk_job_count(run->job, "rows"));
    lk_manifest_job(&run->manifest, run->job);
    return LINKD_OK;
}

/* ---- rows --------------------------------------------------------------- */

static int columns_name(dedup_job *run, linkd_error *err)
{
    size_t n = run->table != NULL ? linkd_table_n_columns(run->table) : 1;

    run->columns = calloc(n + 1, sizeof(*run->columns));
    if (run->columns == NULL)
        return lk_fail_nomem(err);
    run->columns[0] = (linkd_str){"id", 2};
    for (size_t i = 0; run->table != NULL && i < n; i++)
        run->columns[i] = linkd_table_column(run->table, i);
    run->columns[n] = (linkd_str){"entity_id", 9};
    run->n_columns = n + 1;
    return LINKD_OK;
}

static int table_row_put(dedup_job *run, linkd_str id, linkd_error *err)
{
    size_t row = run->n_rows;
    linkd_str own = {NULL, 0};

    if (row < linkd_table_n_rows(run->table))
        own = linkd_table_id(run->table, row);
    if (own.bytes == NULL || own.len != id.len ||
        memcmp(own.bytes, id.bytes, id.len) != 0)
        return lk_fail(err, LINKD_E_DATA,
                       "linkd's row %zu is not that of %s: has it changed?",
                       row + 1,
                       lk_label_of_path(run->cli->args.operands[0]).text);
    for (size_t i = 0; i + 1 < run->n_columns; i++)
        lk_rows_cell(&run->rows, linkd_table_cell(run->table, row, i));
    return LINKD_OK;
}

static int row_take(void *ctx, const json_t *row, linkd_error *err)
{
    dedup_job *run = ctx;
    const json_t *id = json_object_get(row, "id");
    linkd_str text = {json_is_string(id) ? json_string_value(id) : "",
                      json_string_length(id)};
    json_int_t entity = json_integer_value(json_object_get(row, "entity_id"));
    int rc = LINKD_OK;

    if (run->table != NULL)
        rc = table_row_put(run, text, err);
    else
        lk_rows_text(&run->rows, text);
    if (rc != LINKD_OK)
        return rc;
    lk_rows_count(&run->rows, (uint64_t)entity);
    run->n_rows++;
    return lk_rows_end(&run->rows, err);
}

static int rows_fetch(dedup_job *run, linkd_error *err)
{
    int rc = columns_name(run, err);

    if (rc == LINKD_OK)
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): dedup_job_clear frees */
        rc = lk_rows_init(&run->rows, run->output,
                          lk_rows_format(run->dedup->output), run->columns,
                          run->n_columns, err);
    if (rc == LINKD_OK)
        rc = lk_remote_rows(&run->client, run->job, row_take, run, err);
    if (rc == LINKD_OK && run->table != NULL &&
        run->n_rows != linkd_table_n_rows(run->table))
        rc = lk_fail(err, LINKD_E_DATA, "linkd answers %zu rows of %zu",
                     run->n_rows, linkd_table_n_rows(run->table));
    return rc;
}

/* ---- the command -------------------------------------------------------- */

static int summary(dedup_job *run, linkd_error *err)
{
    bool rows_on_stdout = strcmp(run->dedup->output, "-") == 0;
    const json_t *job = run->job;

    if (run->dedup->json)
        return lk_manifest_print(&run->manifest,
                                 rows_on_stdout ? stderr : stdout, err);
    if (run->cli->args.quiet)
        return LINKD_OK;
    (void)fprintf(
        stderr, "%s: %s, %s\n",
        lk_counted(lk_job_count(job, "rows"), "row", "rows").text,
        lk_counted(lk_job_count(job, "entities"), "entity", "entities").text,
        lk_counted(lk_job_count(job, "pairs"), "pair", "pairs").text);
    lk_texts_note(lk_job_count(job, "empty"), 0);
    return LINKD_OK;
}

static int outputs_open(dedup_job *run, linkd_error *err)
{
    const char *const *inputs = run->cli->args.operands;
    int rc = lk_output_open(run->dedup->output, inputs, 1, &run->output, err);

    if (rc == LINKD_OK)
        rc = lk_manifest_open(&run->manifest, run->output, run->dedup->output,
                              inputs, 1, err);
    return rc;
}

static void dedup_job_clear(dedup_job *run)
{
    lk_rows_clear(&run->rows);
    free(run->columns);
    linkd_table_free(run->table);
    lk_output_close(run->output);
    lk_manifest_clear(&run->manifest);
    json_decref(run->request);
    json_decref(run->job);
    lk_client_close(&run->client);
}

int lk_remote_dedup_run(lk_cli *cli, const lk_syntax *syntax,
                        const void *values, const lk_remote_dedup *dedup,
                        linkd_error *err)
{
    dedup_job run = {.cli = cli, .dedup = dedup};
    int rc;

    lk_manifest_init(&run.manifest, syntax, values);
    rc = outputs_open(&run, err);
    if (rc == LINKD_OK)
        rc = table_read(&run, err);
    if (rc == LINKD_OK)
        rc = lk_client_open(cli, dedup->socket, &run.client, err);
    if (rc == LINKD_OK)
        rc = job_run(&run, err);
    if (rc == LINKD_OK)
        rc = rows_fetch(&run, err);
    if (rc == LINKD_OK)
        rc = lk_manifest_commit(&run.manifest, &run.output, 1, err);
    if (rc == LINKD_OK)
        rc = summary(&run, err);
    dedup_job_clear(&run);
    return rc;
}
