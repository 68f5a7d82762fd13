/* cli/user_labels.c — see user_labels.h.
 *
 * Pairs become entities by a forest over the sorted ids: a match joins two trees,
 * and an entity is called by the first id of its tree. */
#include "cli/user_labels.h"

#include <stdlib.h>
#include <string.h>

#include "cli/labels.h"

typedef struct columns {
    size_t id, entity, left, right, match;
} columns;

static size_t column_find(const linkd_table *table, const char *name)
{
    return linkd_table_find_column(table, (linkd_str){name, strlen(name)});
}

static linkd_str text_at(const linkd_table *table, size_t row, size_t column)
{
    linkd_cell cell = linkd_table_cell(table, row, column);

    return (linkd_str){cell.len > 0 ? cell.bytes : "", cell.len};
}

static int label_add(json_t *labels, linkd_str id, linkd_str entity,
                     linkd_error *err)
{
    return json_array_append_new(
               labels, json_pack("{s:s%, s:s%}", "id", id.bytes, id.len,
                                 "entity", entity.bytes, entity.len)) == 0
               ? LINKD_OK
               : lk_fail_nomem(err);
}

/* A record without an entity is not labelled. */
static int entities_add(const linkd_table *table, const columns *c,
                        json_t *labels, linkd_error *err)
{
    int rc = LINKD_OK;

    for (size_t i = 0; i < linkd_table_n_rows(table) && rc == LINKD_OK; i++) {
        linkd_str entity = text_at(table, i, c->entity);

        if (entity.len > 0)
            rc = label_add(labels, text_at(table, i, c->id), entity, err);
    }
    return rc;
}

/* ---- pairs -------------------------------------------------------------------- */

typedef struct forest {
    linkd_str *ids;  /* [n], sorted, each once */
    size_t *parents; /* [n] */
    size_t n;
} forest;

static int by_text(const void *a, const void *b)
{
    return lk_str_compare(*(const linkd_str *)a, *(const linkd_str *)b);
}

static size_t root_of(const forest *f, linkd_str id)
{
    const linkd_str *found =
        bsearch(&id, f->ids, f->n, sizeof(*f->ids), by_text);
    size_t i = (size_t)(found - f->ids);

    while (f->parents[i] != i)
        i = f->parents[i];
    return i;
}

static int match_read(const linkd_table *table, const columns *c, size_t row,
                      bool *ret_is_match, linkd_error *err)
{
    lk_answer answer = LK_ANSWER_YES;

    if (c->match != LINKD_COLUMN_NONE &&
        !lk_answer_of(text_at(table, row, c->match), &answer))
        return lk_fail(err, LINKD_E_DATA,
                       "%s: row %zu, match: \"%s\" is neither 1, 0, yes, no, ? "
                       "nor empty",
                       lk_label_of_path(linkd_table_path(table)).text, row + 1,
                       lk_label_of(text_at(table, row, c->match)).text);
    *ret_is_match = answer == LK_ANSWER_YES;
    return LINKD_OK;
}

/* The ids of all matches, each once and a tree of its own. */
static int forest_plant(const linkd_table *table, const columns *c, forest *f,
                        linkd_error *err)
{
    size_t n = 0;
    int rc = LINKD_OK;

    f->ids = calloc(2 * linkd_table_n_rows(table) + 1, sizeof(*f->ids));
    f->parents = calloc(2 * linkd_table_n_rows(table) + 1, sizeof(*f->parents));
    if (f->ids == NULL || f->parents == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < linkd_table_n_rows(table) && rc == LINKD_OK; i++) {
        bool is_match = false;

        rc = match_read(table, c, i, &is_match, err);
        if (rc == LINKD_OK && is_match) {
            f->ids[n++] = text_at(table, i, c->left);
            f->ids[n++] = text_at(table, i, c->right);
        }
    }
    qsort(f->ids, n, sizeof(*f->ids), by_text);
    for (size_t i = 0; i < n; i++)
        if (f->n == 0 || by_text(&f->ids[i], &f->ids[f->n - 1]) != 0)
            f->ids[f->n++] = f->ids[i];
    for (size_t i = 0; i < f->n; i++)
        f->parents[i] = i;
    return rc;
}

static int forest_join(const linkd_table *table, const columns *c, forest *f,
                       linkd_error *err)
{
    int rc = LINKD_OK;

    for (size_t i = 0; i < linkd_table_n_rows(table) && rc == LINKD_OK; i++) {
        bool is_match = false;
        size_t a, b;

        rc = match_read(table, c, i, &is_match, err);
        if (rc != LINKD_OK || !is_match)
            continue;
        a = root_of(f, text_at(table, i, c->left));
        b = root_of(f, text_at(table, i, c->right));
        f->parents[a > b ? a : b] = a > b ? b : a;
    }
    return rc;
}

static int pairs_add(const linkd_table *table, const columns *c, json_t *labels,
                     linkd_error *err)
{
    forest f = {0};
    int rc = forest_plant(table, c, &f, err);

    if (rc == LINKD_OK)
        rc = forest_join(table, c, &f, err);
    for (size_t i = 0; i < f.n && rc == LINKD_OK; i++)
        rc = label_add(labels, f.ids[i], f.ids[root_of(&f, f.ids[i])], err);
    free(f.ids);
    free(f.parents);
    return rc;
}

/* ---- either ------------------------------------------------------------------- */

static int labels_fill(const linkd_table *table, json_t *labels,
                       linkd_error *err)
{
    columns c = {.id = column_find(table, "id"),
                 .entity = column_find(table, "entity_id"),
                 .left = column_find(table, "left_id"),
                 .right = column_find(table, "right_id"),
                 .match = column_find(table, "match")};

    if (c.left != LINKD_COLUMN_NONE && c.right != LINKD_COLUMN_NONE)
        return pairs_add(table, &c, labels, err);
    if (c.id != LINKD_COLUMN_NONE && c.entity != LINKD_COLUMN_NONE)
        return entities_add(table, &c, labels, err);
    return lk_fail(err, LINKD_E_DATA,
                   "%s has neither left_id and right_id nor id and entity_id",
                   lk_label_of_path(linkd_table_path(table)).text);
}

int lk_user_labels_read(lk_cli *cli, const char *path, json_t *body,
                        linkd_error *err)
{
    linkd_table *table = NULL;
    json_t *labels = json_array();
    int rc = labels == NULL
                 ? lk_fail_nomem(err)
                 : linkd_table_read_result(path, LINKD_FORMAT_AUTO, NULL,
                                           &cli->progress, &table, err);

    if (rc == LINKD_OK)
        rc = labels_fill(table, labels, err);
    if (rc == LINKD_OK && json_object_set(body, "labels", labels) != 0)
        rc = lk_fail_nomem(err);
    linkd_table_free(table);
    json_decref(labels);
    return rc;
}
