/* cli/compared.c — the tables that a command compares, and by which columns. */
#include "cli/compared.h"

#include <stdlib.h>

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

int lk_compared_check(const lk_compared_values *values, bool within,
                      linkd_error *err)
{
    const lk_compared_values *v = values;
    int rc =
        sides_check(within, v->on.on, v->on.left_on, v->on.right_on, "on", err);

    if (rc == LINKD_OK)
        rc = one_needs_other(v->on.left_on, v->on.right_on, "on", err);
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

int lk_compared_read(lk_cli *cli, const lk_compared_values *values,
                     const char *const paths[2], lk_compared *ret_compared,
                     linkd_error *err)
{
    lk_compared c = {0};
    int rc = lk_table_read(cli, paths[0], (linkd_format)values->format,
                           either(values->left_id, values->id), &c.left, err);

    if (rc == LINKD_OK && paths[1] != NULL)
        rc = lk_table_read(cli, paths[1], (linkd_format)values->format,
                           either(values->right_id, values->id), &c.right, err);
    if (rc != LINKD_OK) {
        lk_compared_clear(&c);
        return rc;
    }
    c.tables[0] = c.left;
    c.tables[1] = c.right != NULL ? c.right : c.left;
    *ret_compared = c;
    return LINKD_OK;
}

void lk_compared_clear(lk_compared *compared)
{
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

int lk_compared_pair(lk_cli *cli, const lk_compared_values *values,
                     lk_compared *compared, linkd_error *err)
{
    const lk_compared_values *v = values;
    lk_compared *c = compared;
    int rc = c->right == NULL && v->on.on == NULL && v->on.left_on == NULL
                 ? columns_all(c, err)
                 : lk_columns_pair(cli, c->tables[0], c->tables[1], &v->on,
                                   &c->columns, &c->n_columns, err);

    if (rc == LINKD_OK)
        rc = lk_column_find(cli, c->tables[0], either(v->left_block, v->block),
                            &c->blocks[0], err);
    if (rc == LINKD_OK)
        rc = lk_column_find(cli, c->tables[1], either(v->right_block, v->block),
                            &c->blocks[1], err);
    return rc;
}

lk_decide_input lk_compared_input(const lk_compared *compared)
{
    return (lk_decide_input){.left = compared->left,
                             .right = compared->right,
                             .columns = compared->columns,
                             .n_columns = compared->n_columns,
                             .left_block = compared->blocks[0],
                             .right_block = compared->blocks[1],
                             .assign = LINKD_ASSIGN_AUTO};
}
