/* daemon/job_tables.c — which columns of a job's tables are compared.
 *
 * By probability a collection's fields are compared one by one, while the
 * vector of a record is the one that it has already, found by linkd_text. Where
 * columns were named their text is embedded, as it is of a file. By scores
 * alone there is nothing but a text: linkd_text, or that of the named columns. */
#include "daemon/job_tables.h"

#include <math.h>
#include <stdlib.h>

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

static size_t text_column(const linkd_table *table)
{
    static const linkd_str name = {LK_JOB_TEXT_COLUMN,
                                   sizeof(LK_JOB_TEXT_COLUMN) - 1};

    return linkd_table_find_column(table, name);
}

/* All columns that may be compared; ids only where there is nothing else. */
static size_t columns_all(const linkd_table *table, size_t *columns)
{
    size_t n = 0;

    for (size_t i = 0; i < linkd_table_n_columns(table); i++)
        if (i != linkd_table_id_column(table) &&
            i != linkd_table_text_column(table))
            columns[n++] = i;
    if (n == 0)
        columns[n++] = 0;
    return n;
}

/* The columns of one side: those that were named, else by scores alone the
 * text of a collection, else all. */
static int columns_choose(const lk_job_tables *t, size_t side,
                          size_t **ret_columns, size_t *ret_n, linkd_error *err)
{
    const lk_job_side *s = &t->spec->sides[side];
    const linkd_table *table = t->tables[side];
    size_t *columns =
        calloc(s->n_on + linkd_table_n_columns(table) + 1, sizeof(*columns));
    size_t n = 0;
    int rc = LINKD_OK;

    if (columns == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; s->on != NULL && i < s->n_on && rc == LINKD_OK; i++)
        rc = column_find(table, s->on[i], &columns[n++], err);
    if (s->on == NULL && s->collection.len > 0 && !isnan(t->spec->min_score))
        columns[n++] = text_column(table);
    else if (s->on == NULL)
        n = columns_all(table, columns);
    if (rc != LINKD_OK) {
        free(columns);
        return rc;
    }
    *ret_columns = columns;
    *ret_n = n;
    return LINKD_OK;
}

/* Pairs the chosen columns of both sides in their order; what one side has more
 * stands alone. */
static int columns_line_up(lk_job_tables *t, linkd_error *err)
{
    size_t n_sides = t->spec->n_sides == 1 ? 1 : 2;
    size_t *columns[2] = {NULL, NULL};
    size_t n[2] = {0, 0};
    int rc = LINKD_OK;

    for (size_t i = 0; i < n_sides && rc == LINKD_OK; i++)
        rc = columns_choose(t, i, &columns[i], &n[i], err);
    if (rc == LINKD_OK) {
        t->n_columns = n[0] > n[1] ? n[0] : n[1];
        t->columns = calloc(t->n_columns + 1, sizeof(*t->columns));
        if (t->columns == NULL)
            rc = lk_fail_nomem(err);
    }
    for (size_t i = 0; rc == LINKD_OK && i < t->n_columns; i++) {
        size_t left = i < n[0] ? columns[0][i] : LINKD_COLUMN_NONE;
        size_t right = i < n[1] ? columns[1][i] : LINKD_COLUMN_NONE;

        t->columns[i] =
            (linkd_column_pair){left, n_sides == 1 ? left : right, 1};
    }
    free(columns[0]);
    free(columns[1]);
    return rc;
}

/* Two tables without named columns are paired by name and content. */
static int columns_pair(lk_job_tables *t, linkd_error *err)
{
    const lk_job_spec *spec = t->spec;
    bool by_score = !isnan(spec->min_score);

    for (size_t i = 0; i < spec->n_sides; i++)
        if (spec->sides[i].on != NULL ||
            (by_score && spec->sides[i].collection.len > 0))
            return columns_line_up(t, err);
    if (spec->n_sides == 1)
        return columns_line_up(t, err);
    return linkd_columns_pair(t->tables[0], t->tables[1], &t->columns,
                              &t->n_columns, err);
}

static int blocks_find(lk_job_tables *t, linkd_error *err)
{
    int rc = LINKD_OK;

    for (size_t i = 0; i < 2; i++)
        t->blocks[i] = LINKD_COLUMN_NONE;
    for (size_t i = 0; t->spec->block.len > 0 && i < t->spec->n_sides; i++)
        if (rc == LINKD_OK)
            rc = column_find(t->tables[i], t->spec->block, &t->blocks[i], err);
    return rc;
}

/* ---- tables -------------------------------------------------------------- */

/* By probability linkd_text is what is embedded, but where columns were named;
 * ready-made vectors have no other way to be found. */
static void text_column_set(lk_job_tables *t, size_t side, bool is_ready_made)
{
    const lk_job_side *s = &t->spec->sides[side];

    if (s->collection.len > 0 && isnan(t->spec->min_score) &&
        (s->on == NULL || is_ready_made))
        linkd_table_set_text_column(t->tables[side],
                                    text_column(t->tables[side]));
}

int lk_job_tables_read(const char *dir, const lk_job_spec *spec,
                       const lk_job_vectors *vectors,
                       const linkd_progress *progress,
                       lk_job_tables *ret_tables, linkd_error *err)
{
    lk_job_tables t = {.spec = spec};
    int rc = LINKD_OK;

    for (size_t i = 0; i < spec->n_sides && rc == LINKD_OK; i++) {
        rc = lk_job_input_read(dir, spec, i, progress, &t.tables[i], err);
        if (rc == LINKD_OK)
            text_column_set(&t, i, vectors->model.len == 0);
    }
    if (rc == LINKD_OK)
        rc = columns_pair(&t, err);
    if (rc == LINKD_OK)
        rc = blocks_find(&t, err);
    if (rc == LINKD_OK)
        *ret_tables = t;
    else
        lk_job_tables_clear(&t);
    return rc;
}

void lk_job_tables_clear(lk_job_tables *tables)
{
    free(tables->columns);
    linkd_table_free(tables->tables[0]);
    linkd_table_free(tables->tables[1]);
    *tables = (lk_job_tables){0};
}
