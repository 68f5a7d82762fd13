/* cli/compared.c — the tables that a command compares, and by which columns. */
#include "cli/compared.h"

#include <stdlib.h>
#include <string.h>

#include "cli/pair_model.h"

/* ---- options ------------------------------------------------------------ */

static int sides_check(bool within, const char *both, const char *left,
                       const char *right, const char *name, linkd_error *err)
{
    if (within && (left != NULL || right != NULL))
        return lk_fail(err, LINKD_E_ARG,
                       "--left-%s and --right-%s need two tables", name, name);
    if (both != NULL && (left != NULL || right != NULL))
        return lk_fail(err, LINKD_E_ARG,
                       "--%s excludes --left-%s and --right-%s", name, name,
                       name);
    return LINKD_OK;
}

static int one_needs_other(const char *left, const char *right,
                           const char *name, linkd_error *err)
{
    if ((left == NULL) == (right == NULL))
        return LINKD_OK;
    return lk_fail(err, LINKD_E_ARG, "--%s-%s needs --%s-%s",
                   left != NULL ? "left" : "right", name,
                   left != NULL ? "right" : "left", name);
}

int lk_on_check(const lk_on_values *on, bool within, linkd_error *err)
{
    int rc = sides_check(within, on->on, on->left_on, on->right_on, "on", err);

    return rc == LINKD_OK
               ? one_needs_other(on->left_on, on->right_on, "on", err)
               : rc;
}

int lk_compared_check(const lk_compared_values *values, const char *pair_model,
                      bool within, linkd_error *err)
{
    const lk_compared_values *v = values;
    int rc = lk_on_check(&v->on, within, err);

    if (pair_model != NULL && (v->on.on != NULL || v->on.left_on != NULL))
        return lk_fail(err, LINKD_E_ARG,
                       "--pair-model excludes --%s: it names the columns",
                       v->on.on != NULL ? "on" : "left-on");
    if (rc == LINKD_OK)
        rc = sides_check(within, v->block, v->left_block, v->right_block,
                         "block", err);
    if (rc == LINKD_OK)
        rc = one_needs_other(v->left_block, v->right_block, "block", err);
    if (rc == LINKD_OK)
        rc = sides_check(within, v->id, v->left_id, v->right_id, "id", err);
    return rc;
}

static const char *either(const char *own, const char *both)
{
    return own != NULL ? own : both;
}

/* ---- tables ------------------------------------------------------------- */

static linkd_format format_of(const lk_compared_values *values,
                              const char *path, const char *other)
{
    if (strcmp(path, "-") != 0 && other != NULL && strcmp(other, "-") == 0)
        return LINKD_FORMAT_AUTO;
    return (linkd_format)values->format;
}

int lk_compared_read(lk_cli *cli, const lk_compared_values *values, bool within,
                     lk_compared *ret_compared, linkd_error *err)
{
    const char *left = cli->args.operands[0];
    const char *right = within ? NULL : cli->args.operands[1];
    lk_compared c = {0};
    uint64_t start = lk_clock_ns();
    int rc = lk_table_read(cli, left, format_of(values, left, right),
                           either(values->left_id, values->id), &c.left, err);

    if (rc == LINKD_OK && !within)
        rc = lk_table_read(cli, right, format_of(values, right, left),
                           either(values->right_id, values->id), &c.right, err);
    if (rc != LINKD_OK) {
        lk_compared_clear(&c);
        return rc;
    }
    c.tables[0] = c.left;
    c.tables[1] = c.right != NULL ? c.right : c.left;
    c.read_seconds = lk_clock_seconds_since(start);
    *ret_compared = c;
    return LINKD_OK;
}

void lk_compared_clear(lk_compared *compared)
{
    linkd_pair_model_free(compared->pair_model);
    free(compared->columns);
    linkd_table_free(compared->left);
    linkd_table_free(compared->right);
    *compared = (lk_compared){0};
}

/* ---- columns ------------------------------------------------------------ */

/* All columns but the ids, as dedup takes them. */
static int columns_all(lk_compared *c, linkd_error *err)
{
    size_t n = linkd_table_n_columns(c->left);

    c->columns = calloc(n + 1, sizeof(*c->columns));
    if (c->columns == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < n; i++)
        if (i != linkd_table_id_column(c->left))
            c->columns[c->n_columns++] = (linkd_column_pair){i, i, 1};
    if (c->n_columns == 0) /* nothing but ids to compare */
        c->columns[c->n_columns++] = (linkd_column_pair){0, 0, 1};
    return LINKD_OK;
}

static int columns_of_model(lk_compared *c, const char *path, linkd_error *err)
{
    int rc = lk_pair_model_load(path, &c->pair_model, err);

    return rc == LINKD_OK
               ? linkd_pair_model_columns(c->pair_model, c->left, c->right,
                                          &c->columns, &c->n_columns, err)
               : rc;
}

static int columns_find(lk_cli *cli, const lk_on_values *on,
                        const char *pair_model, lk_compared *c,
                        linkd_error *err)
{
    if (pair_model != NULL)
        return columns_of_model(c, pair_model, err);
    if (c->right == NULL && on->on == NULL && on->left_on == NULL)
        return columns_all(c, err);
    return lk_columns_pair(cli, c->tables[0], c->tables[1], on, &c->columns,
                           &c->n_columns, err);
}

int lk_compared_pair(lk_cli *cli, const lk_compared_values *values,
                     const char *pair_model, lk_compared *compared,
                     linkd_error *err)
{
    int rc = columns_find(cli, &values->on, pair_model, compared, err);

    return rc == LINKD_OK ? lk_compared_block(cli, values, compared, err) : rc;
}

int lk_compared_block(lk_cli *cli, const lk_compared_values *values,
                      lk_compared *compared, linkd_error *err)
{
    const lk_compared_values *v = values;
    lk_compared *c = compared;
    int rc = lk_column_find(cli, c->tables[0], either(v->left_block, v->block),
                            &c->blocks[0], err);

    if (rc == LINKD_OK)
        rc = lk_column_find(cli, c->tables[1], either(v->right_block, v->block),
                            &c->blocks[1], err);
    return rc;
}

int lk_compared_numbers(const lk_compared *compared, size_t **ret_columns,
                        linkd_error *err)
{
    size_t *columns = calloc(compared->n_columns + 1, sizeof(*columns));

    if (columns == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < compared->n_columns; i++)
        columns[i] = compared->columns[i].left;
    *ret_columns = columns;
    return LINKD_OK;
}

/* ---- what was compared --------------------------------------------------- */

void lk_compared_manifest(const lk_compared *compared, lk_manifest *manifest)
{
    const lk_compared *c = compared;

    lk_manifest_table(manifest, c->left);
    if (c->right != NULL)
        lk_manifest_table(manifest, c->right);
    lk_manifest_seconds(manifest, "read", c->read_seconds);
    for (size_t i = 0; i < c->n_columns; i++)
        if (c->right == NULL && c->columns[i].left == c->columns[i].right)
            lk_manifest_column(manifest,
                               linkd_table_column(c->left, c->columns[i].left));
        else
            lk_manifest_pairing(manifest, c->tables[0], c->tables[1],
                                &c->columns[i]);
}

lk_decide_input lk_compared_input(const lk_compared *compared,
                                  const lk_engine *engine, size_t k)
{
    return (lk_decide_input){.left = compared->left,
                             .right = compared->right,
                             .columns = compared->columns,
                             .n_columns = compared->n_columns,
                             .left_block = compared->blocks[0],
                             .right_block = compared->blocks[1],
                             .k = k,
                             .assign = LINKD_ASSIGN_AUTO,
                             .pair_model = compared->pair_model,
                             .engine = engine};
}
