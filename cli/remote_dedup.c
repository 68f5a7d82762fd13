/* cli/remote_dedup.c — linkctl dedup through linkd. See cli/remote.c.
 *
 * linkd answers ids and entities in the order of the rows. Of a file the other
 * columns are here, so the file is read again and its rows are written beside
 * the answer, row by row; the ids have to agree. */
#include "cli/remote_dedup.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/number.h"

typedef struct dedup_job {
    lk_remote remote;
    linkd_table *table; /* NULL: a collection */
    size_t n_rows;      /* written */
    linkd_str *columns;
    size_t n_columns;
} dedup_job;

static int table_read(dedup_job *run, linkd_error *err)
{
    static const linkd_str taken = {"entity_id", 9};
    const char *path = run->remote.cli->args.operands[0];
    int rc;

    if (lk_operand_collection(path) != NULL)
        return LINKD_OK;
    rc = lk_table_read(run->remote.cli, path, run->remote.options->format, NULL,
                       &run->table, err);
    if (rc == LINKD_OK &&
        linkd_table_find_column(run->table, taken) != LINKD_COLUMN_NONE) {
        lk_cli_hint(run->remote.cli,
                    "rename it: dedup writes a column of that name");
        rc = lk_fail(err, LINKD_E_DATA, "%s has a column \"entity_id\" already",
                     lk_label_of_path(path).text);
    }
    return rc;
}

static int job_run(dedup_job *run, const lk_remote_dedup *dedup,
                   linkd_error *err)
{
    lk_remote *r = &run->remote;
    const char *path = r->cli->args.operands[0];
    int rc = lk_remote_word(r, "kind", "dedup", err);

    /* linkd clusters probabilities by average linkage */
    if (rc == LINKD_OK && !isnan(dedup->options.decide.min_score))
        rc =
            lk_remote_word(r, "cluster", lk_cluster_words[dedup->cluster], err);
    if (rc == LINKD_OK)
        rc = lk_remote_columns(r, "on", "on", dedup->on, err);
    if (rc == LINKD_OK)
        rc = lk_remote_side(r, path, "input", err);
    if (rc == LINKD_OK)
        rc = lk_remote_run(r, err);
    if (rc == LINKD_OK)
        lk_manifest_source(&r->manifest, path, lk_job_count(r->job, "rows"));
    return rc;
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
        return lk_fail(
            err, LINKD_E_DATA,
            "linkd's row %zu is not that of %s: has it changed?", row + 1,
            lk_label_of_path(run->remote.cli->args.operands[0]).text);
    for (size_t i = 0; i + 1 < run->n_columns; i++)
        lk_rows_cell(&run->remote.rows, linkd_table_cell(run->table, row, i));
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
        lk_rows_text(&run->remote.rows, text);
    if (rc != LINKD_OK)
        return rc;
    lk_rows_count(&run->remote.rows, (uint64_t)entity);
    run->n_rows++;
    return lk_rows_end(&run->remote.rows, err);
}

static int rows_fetch(dedup_job *run, linkd_error *err)
{
    int rc = columns_name(run, err);

    if (rc == LINKD_OK)
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): dedup_job_clear frees */
        rc = lk_rows_init(&run->remote.rows, run->remote.output,
                          lk_rows_format(run->remote.options->output),
                          run->columns, run->n_columns, err);
    if (rc == LINKD_OK)
        rc = lk_remote_rows(&run->remote, row_take, run, err);
    if (rc == LINKD_OK && run->table != NULL &&
        run->n_rows != linkd_table_n_rows(run->table))
        rc = lk_fail(err, LINKD_E_DATA, "linkd answers %zu rows of %zu",
                     run->n_rows, linkd_table_n_rows(run->table));
    return rc;
}

/* ---- the command -------------------------------------------------------- */

static void counts_note(const json_t *job)
{
    (void)fprintf(
        stderr, "%s: %s, %s\n",
        lk_counted(lk_job_count(job, "rows"), "row", "rows").text,
        lk_counted(lk_job_count(job, "entities"), "entity", "entities").text,
        lk_counted(lk_job_count(job, "pairs"), "pair", "pairs").text);
    lk_texts_note(lk_job_count(job, "empty"), 0);
}

int lk_remote_dedup_run(lk_cli *cli, const lk_syntax *syntax,
                        const void *values, const lk_remote_dedup *dedup,
                        linkd_error *err)
{
    dedup_job run = {.table = NULL};
    int rc =
        lk_remote_open(cli, syntax, values, &dedup->options, &run.remote, err);

    if (rc == LINKD_OK)
        rc = table_read(&run, err);
    if (rc == LINKD_OK)
        rc = job_run(&run, dedup, err);
    if (rc == LINKD_OK)
        rc = rows_fetch(&run, err);
    if (rc == LINKD_OK)
        rc = lk_remote_finish(&run.remote, counts_note, err);
    free(run.columns);
    linkd_table_free(run.table);
    lk_remote_close(&run.remote);
    return rc;
}
