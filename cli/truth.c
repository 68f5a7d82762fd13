/* cli/truth.c — which candidates are true, as a file of the truth says.
 *
 * Ids become rows by a sorted list of each table's ids; a true pair that is a
 * candidate is marked, one that is not counts as missed. */
#include "cli/truth.h"

#include <stdlib.h>

#include "cli/ids.h"

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
    lk_ids ids[2] = {{0}, {0}};
    const lk_ids *of_right = right != NULL ? &ids[1] : &ids[0];
    int rc = lk_ids_list(left, &ids[0], err);

    if (rc == LINKD_OK && right != NULL)
        rc = lk_ids_list(right, &ids[1], err);
    for (size_t i = 0; rc == LINKD_OK && i < linkd_table_n_rows(file); i++)
        pair_mark(d,
                  lk_ids_find(&ids[0], linkd_table_cell(file, i, columns[0])),
                  lk_ids_find(of_right, linkd_table_cell(file, i, columns[1])),
                  truth);
    lk_ids_clear(&ids[0]);
    lk_ids_clear(&ids[1]);
    return rc;
}

/* ---- entities ----------------------------------------------------------- */

static int by_text(const void *a, const void *b)
{
    return lk_str_compare(*(const linkd_str *)a, *(const linkd_str *)b);
}

static uint64_t pairs_within(const linkd_str *entities, size_t n)
{
    uint64_t n_pairs = 0;

    for (size_t i = 0, run = 0; i < n; i++) {
        run = i > 0 && lk_str_compare(entities[i], entities[i - 1]) == 0
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
                             const lk_ids *ids, const linkd_decision *d,
                             linkd_str *of_row, linkd_str *list,
                             lk_truth *truth)
{
    size_t id_column = linkd_table_id_column(file);
    size_t n = 0;

    for (size_t i = 0; i < linkd_table_n_rows(file); i++) {
        linkd_str entity = text_of(linkd_table_cell(file, i, column));
        size_t row =
            id_column == LINKD_COLUMN_NONE
                ? i
                : lk_ids_find(ids, linkd_table_cell(file, i, id_column));

        if (entity.len == 0)
            continue;
        list[n++] = entity;
        if (row < ids->n)
            of_row[row] = entity;
    }
    qsort(list, n, sizeof(*list), by_text);
    truth->n_true = pairs_within(list, n);
    for (size_t i = 0; i < d->n_candidates; i++) {
        linkd_str a = of_row[d->candidates[i].left];
        linkd_str b = of_row[d->candidates[i].right];

        truth->is_match[i] = a.len > 0 && lk_str_compare(a, b) == 0;
    }
}

static int entities_mark(const linkd_table *file, size_t column,
                         const linkd_table *table, const linkd_decision *d,
                         lk_truth *truth, linkd_error *err)
{
    lk_ids ids = {0};
    linkd_str *of_row = calloc(linkd_table_n_rows(table) + 1, sizeof(*of_row));
    linkd_str *list = calloc(linkd_table_n_rows(file) + 1, sizeof(*list));
    int rc = of_row == NULL || list == NULL ? lk_fail_nomem(err)
                                            : lk_ids_list(table, &ids, err);

    if (rc == LINKD_OK)
        entities_compare(file, column, &ids, d, of_row, list, truth);
    lk_ids_clear(&ids);
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
