/* daemon/job_run.c — one job from its inputs to its results.
 *
 *   tables ─► columns ─► linkd_link/linkd_dedup ─► results.csv.tmp ─► .csv
 *                            ▲ vectors: known ─► checkpoint ─► model
 *
 * Backup and fsck are jobs because they take long, not because they resume. */
#include "daemon/job_run.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/models.h"
#include "daemon/vector_sources.h"

/* ---- results ------------------------------------------------------------- */

typedef struct results {
    FILE *file;
    lk_buf path;
    lk_buf temporary;
} results;

static int results_fail(linkd_error *err)
{
    int code = lk_errno_code(errno);

    return lk_fail(err, code, "could not write the job's results: %s",
                   strerror(errno));
}

static int results_open(const char *dir, const char *header, results *r,
                        linkd_error *err)
{
    int rc = lk_buf_printf(&r->path, err, "%s/results.csv", dir);

    if (rc == LINKD_OK)
        rc = lk_buf_printf(&r->temporary, err, "%s/results.csv.tmp", dir);
    if (rc != LINKD_OK)
        return rc;
    r->file = fopen(r->temporary.data, "we");
    if (r->file == NULL || fputs(header, r->file) < 0)
        return results_fail(err);
    return LINKD_OK;
}

/* Syncs and renames, if `rc` is LINKD_OK so far: a job is called done when the
 * directory has its results under their name. */
static int results_close(const char *dir, results *r, int rc, linkd_error *err)
{
    if (rc == LINKD_OK &&
        (fflush(r->file) != 0 || fsync(fileno(r->file)) != 0 ||
         rename(r->temporary.data, r->path.data) != 0))
        rc = results_fail(err);
    if (rc == LINKD_OK)
        rc = lk_job_dir_sync(dir, err);
    if (r->file != NULL)
        (void)fclose(r->file);
    if (rc != LINKD_OK && r->temporary.data != NULL)
        (void)unlink(r->temporary.data);
    lk_buf_clear(&r->path);
    lk_buf_clear(&r->temporary);
    return rc;
}

/* RFC 4180: quoted where it has to be. */
static int cell_write(results *r, linkd_str cell, char after, linkd_error *err)
{
    bool is_plain = true;

    for (size_t i = 0; i < cell.len && is_plain; i++)
        is_plain = cell.bytes[i] != ',' && cell.bytes[i] != '"' &&
                   cell.bytes[i] != '\r' && cell.bytes[i] != '\n';
    if (!is_plain)
        (void)fputc('"', r->file);
    for (size_t i = 0; i < cell.len; i++) {
        if (cell.bytes[i] == '"')
            (void)fputc('"', r->file);
        (void)fputc(cell.bytes[i], r->file);
    }
    if (!is_plain)
        (void)fputc('"', r->file);
    (void)fputc(after, r->file);
    return ferror(r->file) ? results_fail(err) : LINKD_OK;
}

/* ---- columns ------------------------------------------------------------- */

static int column_find(const linkd_table *table, linkd_str name,
                       size_t *ret_column, linkd_error *err)
{
    size_t column = linkd_table_find_column(table, name);

    if (column == LINKD_COLUMN_NONE)
        return lk_fail(err, LINKD_E_ARG, "there is no column \"%s\"",
                       lk_label_of(name).text);
    *ret_column = column;
    return LINKD_OK;
}

/* The columns of one side: those that were named, else the text of a
 * collection, else all but the ids. */
static int columns_choose(const linkd_table *table, const lk_job_side *side,
                          size_t **ret_columns, size_t *ret_n, linkd_error *err)
{
    static const linkd_str text = {LK_JOB_TEXT_COLUMN,
                                   sizeof(LK_JOB_TEXT_COLUMN) - 1};
    const linkd_str *on = side->on;
    size_t n_on = side->n_on;
    size_t n = 0;
    size_t *columns;
    int rc = LINKD_OK;

    if (on == NULL && side->collection.len > 0) {
        on = &text;
        n_on = 1;
    }
    columns = calloc(n_on + linkd_table_n_columns(table), sizeof(*columns));
    if (columns == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; on != NULL && i < n_on && rc == LINKD_OK; i++)
        rc = column_find(table, on[i], &columns[n++], err);
    for (size_t i = 0; on == NULL && i < linkd_table_n_columns(table); i++)
        if (i != linkd_table_id_column(table))
            columns[n++] = i;
    if (rc != LINKD_OK) {
        free(columns);
        return rc;
    }
    *ret_columns = columns;
    *ret_n = n;
    return LINKD_OK;
}

static int block_find(const lk_job_spec *spec, const linkd_table *table,
                      size_t *ret_column, linkd_error *err)
{
    *ret_column = LINKD_COLUMN_NONE;
    if (spec->block.len == 0)
        return LINKD_OK;
    return column_find(table, spec->block, ret_column, err);
}

/* Pairs the chosen columns of both sides in their order; what one side has more
 * stands alone. Two files without named columns are paired by content. */
static int columns_pair(const lk_job_spec *spec, linkd_table *const tables[2],
                        linkd_column_pair **ret_pairs, size_t *ret_n,
                        linkd_error *err)
{
    size_t *columns[2] = {NULL, NULL};
    size_t n[2] = {0, 0};
    linkd_column_pair *pairs = NULL;
    int rc = LINKD_OK;

    if (spec->sides[0].on == NULL && spec->sides[1].on == NULL &&
        spec->sides[0].file.len > 0 && spec->sides[1].file.len > 0)
        return linkd_columns_pair(tables[0], tables[1], ret_pairs, ret_n, err);
    for (size_t i = 0; i < 2 && rc == LINKD_OK; i++)
        rc =
            columns_choose(tables[i], &spec->sides[i], &columns[i], &n[i], err);
    if (rc == LINKD_OK) {
        *ret_n = n[0] > n[1] ? n[0] : n[1];
        pairs = calloc(*ret_n + 1, sizeof(*pairs));
        if (pairs == NULL)
            rc = lk_fail_nomem(err);
    }
    for (size_t i = 0; pairs != NULL && i < *ret_n; i++)
        pairs[i] = (linkd_column_pair){
            .left = i < n[0] ? columns[0][i] : LINKD_COLUMN_NONE,
            .right = i < n[1] ? columns[1][i] : LINKD_COLUMN_NONE};
    free(columns[0]);
    free(columns[1]);
    if (rc == LINKD_OK)
        *ret_pairs = pairs;
    return rc;
}

/* ---- vectors ------------------------------------------------------------- */

/* The chain that the vectors of a run come through. */
typedef struct chain {
    lk_model_embedder storage;
    linkd_embedder model;
    linkd_embedder checkpointed;
    linkd_embedder top;
    lk_checkpoint *checkpoint;
    lk_known *known;
} chain;

static int chain_model(const lk_job_run *run, chain *c, linkd_error *err)
{
    const lk_job_vectors *vectors = run->vectors;
    lk_buf path = {0};
    int rc;

    c->storage = (lk_model_embedder){
        .urgency = LK_JOB, .stop_cb = run->stop_cb, .stop_ctx = run->stop_ctx};
    rc = lk_models_get(run->service->models, vectors->model, &c->storage.model,
                       err);
    if (rc != LINKD_OK)
        return rc;
    c->model = lk_model_embedder_of(&c->storage);
    if (strlen(c->model.fingerprint) != vectors->fingerprint.len ||
        memcmp(c->model.fingerprint, vectors->fingerprint.bytes,
               vectors->fingerprint.len) != 0)
        return lk_fail(err, LINKD_E_CONFLICT,
                       "model \"%s\" is not the one that the job began with",
                       lk_label_of(vectors->model).text);
    rc = lk_buf_printf(&path, err, "%s/vectors", run->dir);
    if (rc == LINKD_OK)
        rc = lk_checkpoint_open(path.data, &c->model, &c->checkpoint, err);
    if (rc == LINKD_OK)
        c->checkpointed = lk_checkpoint_embedder(c->checkpoint);
    lk_buf_clear(&path);
    return rc;
}

static int chain_open(const lk_job_run *run, chain *c, linkd_error *err)
{
    const linkd_embedder *below = NULL;
    lk_buf paths[2] = {{0}, {0}};
    const char *names[2] = {NULL, NULL};
    int rc = LINKD_OK;

    *c = (chain){0};
    if (run->vectors->model.len > 0) {
        rc = chain_model(run, c, err);
        below = &c->checkpointed;
    }
    for (size_t i = 0; i < 2 && rc == LINKD_OK; i++) {
        rc = lk_job_input_known(run->dir, i, &paths[i], err);
        names[i] = paths[i].len > 0 ? paths[i].data : NULL;
    }
    if (rc == LINKD_OK)
        rc = lk_known_open(names, 2, run->vectors->dim, below, &c->known, err);
    if (rc == LINKD_OK)
        c->top = lk_known_embedder(c->known);
    lk_buf_clear(&paths[0]);
    lk_buf_clear(&paths[1]);
    return rc;
}

static void chain_close(chain *c)
{
    lk_known_close(c->known);
    lk_checkpoint_close(c->checkpoint);
}

/* ---- link ---------------------------------------------------------------- */

static int pairs_write(const lk_job_run *run, linkd_table *const tables[2],
                       const linkd_link_result *result, linkd_error *err)
{
    results r = {0};
    int rc = results_open(run->dir, "left_id,right_id,score\n", &r, err);

    for (size_t i = 0; i < result->n_pairs && rc == LINKD_OK; i++) {
        const linkd_pair *pair = &result->pairs[i];

        rc = cell_write(&r, linkd_table_id(tables[0], pair->left), ',', err);
        if (rc == LINKD_OK)
            rc = cell_write(&r, linkd_table_id(tables[1], pair->right), ',',
                            err);
        if (rc == LINKD_OK &&
            fprintf(r.file, "%.6f\n", (double)pair->score) < 0)
            rc = results_fail(err);
    }
    return results_close(run->dir, &r, rc, err);
}

static int link_counts(linkd_table *const tables[2],
                       const linkd_link_result *result, lk_buf *counts,
                       linkd_error *err)
{
    return lk_buf_printf(
        counts, err,
        "{\"left_rows\":%zu,\"right_rows\":%zu,\"left_empty\":%zu,"
        "\"right_empty\":%zu,\"candidates\":%zu,\"pairs\":%zu}",
        linkd_table_n_rows(tables[0]), linkd_table_n_rows(tables[1]),
        result->n_left_empty, result->n_right_empty, result->n_candidates,
        result->n_pairs);
}

static int link_options(const lk_job_run *run, linkd_table *const tables[2],
                        linkd_link_options *options,
                        linkd_column_pair **ret_pairs, linkd_error *err)
{
    int rc =
        columns_pair(run->spec, tables, ret_pairs, &options->n_columns, err);

    options->columns = *ret_pairs;
    options->k = run->spec->k;
    options->threshold = run->spec->threshold;
    options->assign = run->spec->assign;
    if (rc == LINKD_OK)
        rc = block_find(run->spec, tables[0], &options->left_block, err);
    if (rc == LINKD_OK)
        rc = block_find(run->spec, tables[1], &options->right_block, err);
    return rc;
}

static int link_do(const lk_job_run *run, lk_pool *pool,
                   const linkd_embedder *embedder, lk_buf *counts,
                   linkd_error *err)
{
    linkd_table *tables[2] = {NULL, NULL};
    linkd_column_pair *pairs = NULL;
    linkd_link_options options = {0};
    linkd_link_result result = {0};
    int rc = LINKD_OK;

    for (size_t i = 0; i < 2 && rc == LINKD_OK; i++)
        rc = lk_job_input_read(run->dir, i, run->progress, &tables[i], err);
    if (rc == LINKD_OK)
        rc = link_options(run, tables, &options, &pairs, err);
    if (rc == LINKD_OK)
        rc = linkd_link(tables[0], tables[1], embedder, pool, &options,
                        run->progress, &result, err);
    if (rc == LINKD_OK)
        rc = pairs_write(run, tables, &result, err);
    if (rc == LINKD_OK)
        rc = link_counts(tables, &result, counts, err);
    linkd_link_result_clear(&result);
    free(pairs);
    linkd_table_free(tables[0]);
    linkd_table_free(tables[1]);
    return rc;
}

/* ---- dedup --------------------------------------------------------------- */

static int entities_write(const lk_job_run *run, const linkd_table *table,
                          const linkd_dedup_result *result, linkd_error *err)
{
    results r = {0};
    int rc = results_open(run->dir, "id,entity_id\n", &r, err);

    for (size_t i = 0; i < linkd_table_n_rows(table) && rc == LINKD_OK; i++) {
        rc = cell_write(&r, linkd_table_id(table, i), ',', err);
        if (rc == LINKD_OK &&
            fprintf(r.file, "%zu\n", result->entities[i] + 1) < 0)
            rc = results_fail(err);
    }
    return results_close(run->dir, &r, rc, err);
}

/* Those rows that are still there: a job may take hours. */
static int present_find(const lk_job_run *run, const linkd_table *table,
                        const linkd_dedup_result *result, linkd_str *ids,
                        uint64_t *groups, size_t *ret_n, linkd_error *err)
{
    linkd_view *view = NULL;
    size_t n = 0;
    int rc = linkd_view_open(run->service->store,
                             run->spec->sides[0].collection, &view, err);

    for (size_t i = 0; i < linkd_table_n_rows(table) && rc == LINKD_OK; i++) {
        uint64_t number;
        bool found = false;

        ids[n] = linkd_table_id(table, i);
        groups[n] = result->entities[i];
        rc = linkd_view_find(view, ids[n], &number, &found, err);
        n += found;
    }
    linkd_view_close(view);
    *ret_n = n;
    return rc;
}

/* Writes the entities back. A record that is deleted in between is left out in
 * the next try. Doing it again after a crash changes nothing. */
static int entities_apply(const lk_job_run *run, const linkd_table *table,
                          const linkd_dedup_result *result, linkd_error *err)
{
    size_t n_rows = linkd_table_n_rows(table);
    linkd_str *ids = calloc(n_rows + 1, sizeof(*ids));
    uint64_t *groups = calloc(n_rows + 1, sizeof(*groups));
    int rc = LINKD_E_ABSENT;

    if (ids == NULL || groups == NULL)
        rc = lk_fail_nomem(err);
    for (int try = 0; try < 10 && rc == LINKD_E_ABSENT; try++) {
        linkd_write_result written;
        size_t n = 0;

        rc = present_find(run, table, result, ids, groups, &n, err);
        if (rc == LINKD_OK && n > 0)
            rc = linkd_store_assign_entities(run->service->store,
                                             run->spec->sides[0].collection,
                                             ids, groups, n, &written, err);
    }
    free(ids);
    free(groups);
    return rc;
}

static int dedup_counts(const linkd_table *table,
                        const linkd_dedup_result *result, lk_buf *counts,
                        linkd_error *err)
{
    return lk_buf_printf(counts, err,
                         "{\"rows\":%zu,\"empty\":%zu,\"candidates\":%zu,"
                         "\"pairs\":%zu,\"entities\":%zu}",
                         linkd_table_n_rows(table), result->n_empty,
                         result->n_candidates, result->n_pairs,
                         result->n_entities);
}

static int dedup_do(const lk_job_run *run, lk_pool *pool,
                    const linkd_embedder *embedder, lk_buf *counts,
                    linkd_error *err)
{
    linkd_dedup_options options = {.k = run->spec->k,
                                   .threshold = run->spec->threshold,
                                   .cluster = run->spec->cluster};
    linkd_dedup_result result = {0};
    linkd_table *table = NULL;
    size_t *columns = NULL;
    int rc = lk_job_input_read(run->dir, 0, run->progress, &table, err);

    if (rc == LINKD_OK)
        rc = columns_choose(table, &run->spec->sides[0], &columns,
                            &options.n_columns, err);
    options.columns = columns;
    if (rc == LINKD_OK)
        rc = block_find(run->spec, table, &options.block, err);
    if (rc == LINKD_OK)
        rc = linkd_dedup(table, embedder, pool, &options, run->progress,
                         &result, err);
    if (rc == LINKD_OK && run->spec->apply)
        rc = entities_apply(run, table, &result, err);
    if (rc == LINKD_OK)
        rc = entities_write(run, table, &result, err);
    if (rc == LINKD_OK)
        rc = dedup_counts(table, &result, counts, err);
    linkd_dedup_result_clear(&result);
    free(columns);
    linkd_table_free(table);
    return rc;
}

static int linkage_do(const lk_job_run *run, lk_buf *counts, linkd_error *err)
{
    lk_pool *pool = NULL;
    chain c;
    int rc = chain_open(run, &c, err);

    if (rc == LINKD_OK)
        rc = lk_pool_new(run->service->config->n_encode_threads, &pool, err);
    if (rc == LINKD_OK && run->spec->kind == LK_JOB_LINK)
        rc = link_do(run, pool, &c.top, counts, err);
    else if (rc == LINKD_OK)
        rc = dedup_do(run, pool, &c.top, counts, err);
    lk_pool_free(pool);
    chain_close(&c);
    return rc;
}

/* ---- keeping ------------------------------------------------------------- */

static void fault_write(void *ctx, const char *message)
{
    results *r = ctx;

    /* a full disk is found when the file is closed */
    (void)cell_write(r, (linkd_str){message, strlen(message)}, '\n', NULL);
}

static int fsck_do(const lk_job_run *run, lk_buf *counts, linkd_error *err)
{
    linkd_check_report report = {0};
    results r = {0};
    int rc = results_open(run->dir, "fault\n", &r, err);

    if (rc == LINKD_OK)
        rc = linkd_store_check(run->service->store, run->progress, fault_write,
                               &r, &report, err);
    rc = results_close(run->dir, &r, rc, err);
    if (rc != LINKD_OK)
        return rc;
    return lk_buf_printf(counts, err,
                         "{\"collections\":%" PRIu64 ",\"records\":%" PRIu64
                         ",\"vectors\":%" PRIu64 ",\"segments\":%" PRIu64
                         ",\"jobs\":%" PRIu64 ",\"faults\":%" PRIu64
                         ",\"bad_segments\":%" PRIu64 "}",
                         report.n_collections, report.n_records,
                         report.n_vectors, report.n_segments, report.n_jobs,
                         report.n_faults, report.n_bad_segments);
}

static int backup_do(const lk_job_run *run, lk_buf *counts, linkd_error *err)
{
    lk_buf dir = {0};
    int rc = lk_buf_append(&dir, run->spec->directory.bytes,
                           run->spec->directory.len, err);

    if (rc == LINKD_OK)
        rc = linkd_store_backup(run->service->store, dir.data, run->progress,
                                err);
    if (rc == LINKD_OK)
        rc = lk_buf_printf(counts, err, "{}");
    lk_buf_clear(&dir);
    return rc;
}

int lk_job_do(const lk_job_run *run, lk_buf *ret_counts, linkd_error *err)
{
    switch (run->spec->kind) {
    case LK_JOB_BACKUP:
        return backup_do(run, ret_counts, err);
    case LK_JOB_FSCK:
        return fsck_do(run, ret_counts, err);
    case LK_JOB_LINK:
    case LK_JOB_DEDUP:
    default:
        return linkage_do(run, ret_counts, err);
    }
}
