/* cli/truth.c — which candidates are true, as a file of the truth says.
 *
 * Ids become rows by a sorted list of each table's ids; a true pair that is a
 * candidate is marked, one that is not counts as missed. */
#include "cli/truth.h"

#include <stdlib.h>
#include <string.h>

#include "cli/explanation.h"

typedef struct id_row {
    linkd_str id;
    size_t row;
} id_row;

typedef struct id_list {
    id_row *items;
    size_t n;
    lk_arena arena;
} id_list;

static int str_compare(linkd_str a, linkd_str b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int order = n > 0 ? memcmp(a.bytes, b.bytes, n) : 0;

    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static int by_id(const void *a, const void *b)
{
    return str_compare(((const id_row *)a)->id, ((const id_row *)b)->id);
}

static void ids_clear(id_list *list)
{
    free(list->items);
    lk_arena_clear(&list->arena);
    *list = (id_list){0};
}

static int ids_list(const linkd_table *table, id_list *list, linkd_error *err)
{
    list->n = linkd_table_n_rows(table);
    list->items = calloc(list->n + 1, sizeof(*list->items));
    if (list->items == NULL)
        return lk_fail_nomem(err);
    for (size_t row = 0; row < list->n; row++) {
        lk_id_storage storage;
        linkd_str id = lk_id_text(table, row, &storage);

        if (id.bytes == storage.text) {
            id.bytes = lk_arena_copy(&list->arena, id.bytes, id.len);
            if (id.bytes == NULL)
                return lk_fail_nomem(err);
        }
        list->items[row] = (id_row){id, row};
    }
    qsort(list->items, list->n, sizeof(*list->items), by_id);
    return LINKD_OK;
}

/* The row of that id, or SIZE_MAX. */
static size_t row_of(const id_list *list, linkd_cell cell)
{
    id_row key = {{cell.len > 0 ? cell.bytes : "", cell.len}, 0};
    const id_row *found =
        bsearch(&key, list->items, list->n, sizeof(*list->items), by_id);

    return found != NULL ? found->row : SIZE_MAX;
}

/* ---- pairs -------------------------------------------------------------- */

static void pair_mark(const linkd_decision *d, size_t left, size_t right,
                      lk_truth *truth)
{
    size_t candidate = LINKD_CANDIDATE_NONE;

    if (left != SIZE_MAX && right != SIZE_MAX)
        candidate = linkd_decision_find(d, left, right);
    if (candidate == LINKD_CANDIDATE_NONE) {
        truth->n_true++;
    } else if (!truth->is_match[candidate]) { /* named twice: true once */
        truth->is_match[candidate] = true;
        truth->n_true++;
    }
}

static int pairs_mark(const linkd_table *file, const size_t columns[2],
                      const linkd_table *left, const linkd_table *right,
                      const linkd_decision *d, lk_truth *truth,
                      linkd_error *err)
{
    id_list ids[2] = {{0}, {0}};
    const id_list *of_right = right != NULL ? &ids[1] : &ids[0];
    int rc = ids_list(left, &ids[0], err);

    if (rc == LINKD_OK && right != NULL)
        rc = ids_list(right, &ids[1], err);
    for (size_t i = 0; rc == LINKD_OK && i < linkd_table_n_rows(file); i++)
        pair_mark(d, row_of(&ids[0], linkd_table_cell(file, i, columns[0])),
                  row_of(of_right, linkd_table_cell(file, i, columns[1])),
                  truth);
    ids_clear(&ids[0]);
    ids_clear(&ids[1]);
    return rc;
}

/* ---- entities ----------------------------------------------------------- */

static uint64_t pairs_within(const id_row *entities, size_t n)
{
    uint64_t n_pairs = 0;

    for (size_t i = 0, run = 0; i < n; i++) {
        run = i > 0 && str_compare(entities[i].id, entities[i - 1].id) == 0
                  ? run + 1
                  : 0;
        n_pairs += run;
    }
    return n_pairs;
}

static linkd_str text_of(linkd_cell cell)
{
    return (linkd_str){cell.len > 0 ? cell.bytes : "", cell.len};
}

/* `of_row` [n rows of the table] and `list` [rows of the file] are scratch. */
static void entities_compare(const linkd_table *file, size_t column,
                             const id_list *ids, const linkd_decision *d,
                             linkd_str *of_row, id_row *list, lk_truth *truth)
{
    size_t id_column = linkd_table_id_column(file);
    size_t n = 0;

    for (size_t i = 0; i < linkd_table_n_rows(file); i++) {
        linkd_str entity = text_of(linkd_table_cell(file, i, column));
        size_t row = id_column == LINKD_COLUMN_NONE
                         ? i
                         : row_of(ids, linkd_table_cell(file, i, id_column));

        if (entity.len == 0)
            continue;
        list[n++].id = entity;
        if (row < ids->n)
            of_row[row] = entity;
    }
    qsort(list, n, sizeof(*list), by_id);
    truth->n_true = pairs_within(list, n);
    for (size_t i = 0; i < d->n_candidates; i++) {
        linkd_str a = of_row[d->candidates[i].left];
        linkd_str b = of_row[d->candidates[i].right];

        truth->is_match[i] = a.len > 0 && str_compare(a, b) == 0;
    }
}

static int entities_mark(const linkd_table *file, size_t column,
                         const linkd_table *table, const linkd_decision *d,
                         lk_truth *truth, linkd_error *err)
{
    id_list ids = {0};
    linkd_str *of_row = calloc(linkd_table_n_rows(table) + 1, sizeof(*of_row));
    id_row *list = calloc(linkd_table_n_rows(file) + 1, sizeof(*list));
    int rc = of_row == NULL || list == NULL ? lk_fail_nomem(err)
                                            : ids_list(table, &ids, err);

    if (rc == LINKD_OK)
        entities_compare(file, column, &ids, d, of_row, list, truth);
    ids_clear(&ids);
    free(list);
    free(of_row);
    return rc;
}

/* ---- all ---------------------------------------------------------------- */

static int file_mark(const linkd_table *file, const linkd_table *left,
                     const linkd_table *right, const linkd_decision *d,
                     lk_truth *truth, linkd_error *err)
{
    size_t columns[2] = {
        linkd_table_find_column(file, (linkd_str){"left_id", 7}),
        linkd_table_find_column(file, (linkd_str){"right_id", 8})};
    size_t entity = linkd_table_find_column(file, (linkd_str){"entity_id", 9});

    if (columns[0] != LINKD_COLUMN_NONE && columns[1] != LINKD_COLUMN_NONE)
        return pairs_mark(file, columns, left, right, d, truth, err);
    if (right == NULL && entity != LINKD_COLUMN_NONE)
        return entities_mark(file, entity, left, d, truth, err);
    if (linkd_table_n_rows(file) == 0) /* nothing is true, in JSON lines */
        return LINKD_OK;
    return lk_fail(err, LINKD_E_DATA,
                   right == NULL ? "%s has neither left_id and right_id nor "
                                   "entity_id"
                                 : "%s has no left_id and right_id",
                   lk_label_of_path(linkd_table_path(file)).text);
}

int lk_truth_read(const char *path, const linkd_table *left,
                  const linkd_table *right, const linkd_decision *decision,
                  const linkd_progress *progress, lk_truth *ret_truth,
                  linkd_error *err)
{
    linkd_table *file = NULL;
    lk_truth truth = {.is_match =
                          calloc(decision->n_candidates + 1, sizeof(bool))};
    int rc = truth.is_match == NULL
                 ? lk_fail_nomem(err)
                 : linkd_table_read_result(path, LINKD_FORMAT_AUTO, NULL,
                                           progress, &file, err);

    if (rc == LINKD_OK)
        rc = file_mark(file, left, right, decision, &truth, err);
    linkd_table_free(file);
    if (rc == LINKD_OK)
        *ret_truth = truth;
    else
        lk_truth_clear(&truth);
    return rc;
}

void lk_truth_clear(lk_truth *truth)
{
    free(truth->is_match);
    *truth = (lk_truth){0};
}
