/* linkage/evaluate.c — how good a result is, by a file that tells the truth.
 *
 * Both files are pairs (left_id, right_id) or entities (an id, entity_id):
 *
 *   result    truth      what is compared
 *   pairs     pairs      the two sets of pairs, left with left
 *   pairs     entities   pairs, whichever way round, with the truth's pairs
 *   entities  any        rows of the result, grouped in two ways: as pairs
 *                        and by B-cubed
 *
 * Entities are never spelled out as pairs: one entity of 100,000 rows has five
 * billion. Each row of the result gets two numbers, its entity in the result
 * and in the truth; sorted by both, the rows of one (result, truth) cell lie
 * side by side and only have to be counted:
 *
 *   cell of n rows, in a result entity of c and a truth entity of t rows:
 *     common pairs    n (n - 1) / 2
 *     B-cubed         each of its n rows has precision n / c, recall n / t
 *
 * (Bagga and Baldwin, Entity-Based Cross-Document Coreferencing Using the
 * Vector Space Model, 1998.) A row that the truth does not mention, or whose
 * entity_id is empty, is an entity of its own. Ids are compared byte by byte.
 */
#include <stdlib.h>

#include "linkage/disjoint.h"
#include "linkage/linkage.h"
#include "linkage/names.h"
#include "linkage/text.h"

#define NUMBER_NONE SIZE_MAX

/* A file and what its columns mean. */
typedef struct judgement {
    const linkd_table *table;
    bool is_entities;
    size_t first;  /* left_id, or the id */
    size_t second; /* right_id, or entity_id */
} judgement;

/* Two numbers: of ids, or of a row's entities in result and truth. */
typedef struct duo {
    size_t a;
    size_t b;
} duo;

typedef struct duo_list {
    duo *items;
    size_t n;
} duo_list;

/* ---- reading ------------------------------------------------------------- */

static linkd_str str_of(const char *text)
{
    linkd_str str = {text, 0};

    while (text[str.len] != '\0')
        str.len++;
    return str;
}

static linkd_str judgement_get(const judgement *j, size_t row, size_t column)
{
    linkd_cell cell = linkd_table_cell(j->table, row, column);

    return (linkd_str){cell.bytes, cell.len};
}

/* A pair names both of its rows. */
static int pairs_check(const judgement *j, linkd_error *err)
{
    for (size_t row = 0; row < linkd_table_n_rows(j->table); row++) {
        bool has_left = judgement_get(j, row, j->first).len > 0;

        if (!has_left || judgement_get(j, row, j->second).len == 0)
            return lk_fail(err, LINKD_E_DATA, "%s: row %zu: the %s is empty",
                           lk_label_of_path(linkd_table_path(j->table)).text,
                           row + 1, has_left ? "right_id" : "left_id");
    }
    return LINKD_OK;
}

/* A table's id column is its first, by default and where it can be; any other
 * was named by the user. */
static bool id_column_is_named(const linkd_table *table)
{
    size_t column = linkd_table_id_column(table);

    return column != LINKD_COLUMN_NONE && column != 0;
}

static size_t id_column_of_entities(const linkd_table *table, size_t entity)
{
    if (id_column_is_named(table))
        return linkd_table_id_column(table);
    return entity == 0 ? 1 : 0;
}

static int judgement_init(judgement *j, const linkd_table *table,
                          linkd_error *err)
{
    size_t entity = linkd_table_find_column(table, str_of("entity_id"));

    *j = (judgement){.table = table,
                     .first = linkd_table_find_column(table, str_of("left_id")),
                     .second =
                         linkd_table_find_column(table, str_of("right_id"))};
    /* JSON lines without a line: there is no pair */
    if (linkd_table_n_columns(table) == 0 && linkd_table_n_rows(table) == 0)
        return LINKD_OK;
    if (j->first != LINKD_COLUMN_NONE && j->second != LINKD_COLUMN_NONE)
        return pairs_check(j, err);
    if (entity == LINKD_COLUMN_NONE || linkd_table_n_columns(table) < 2)
        return lk_fail(err, LINKD_E_DATA,
                       "%s: neither pairs (left_id, right_id) nor entities "
                       "(an id and entity_id)",
                       lk_label_of_path(linkd_table_path(table)).text);
    j->is_entities = true;
    j->first = id_column_of_entities(table, entity);
    j->second = entity;
    return LINKD_OK;
}

static int row_fail(const judgement *j, size_t row, const char *what,
                    linkd_error *err)
{
    return lk_fail(err, LINKD_E_DATA, "%s: row %zu: id \"%s\" %s",
                   lk_label_of_path(linkd_table_path(j->table)).text, row + 1,
                   lk_label_of(judgement_get(j, row, j->first)).text, what);
}

/* Gives every row's id a number, which is the row's own. */
static int ids_number(const judgement *j, lk_name_numbers *ids,
                      linkd_error *err)
{
    size_t n_rows = linkd_table_n_rows(j->table);
    size_t number;

    for (size_t row = 0; row < n_rows; row++) {
        int rc = lk_name_numbers_add(ids, judgement_get(j, row, j->first),
                                     &number, err);

        if (rc != LINKD_OK)
            return rc;
        if (number != row)
            return row_fail(j, row, "appears twice", err);
    }
    return LINKD_OK;
}

/* Unites the ids that the file says are one entity. Ids must be known. Rows
 * without an entity_id have nothing in common. */
static int entities_unite(const judgement *j, const lk_name_numbers *ids,
                          lk_disjoint *sets, linkd_error *err)
{
    size_t n_rows = linkd_table_n_rows(j->table);
    size_t *firsts = calloc(n_rows + 1, sizeof(*firsts));
    lk_name_numbers entities = {0};
    int rc = firsts != NULL ? LINKD_OK : lk_fail_nomem(err);

    for (size_t row = 0; row < n_rows && rc == LINKD_OK; row++) {
        size_t id = lk_name_numbers_find(ids, judgement_get(j, row, j->first));
        linkd_str name = judgement_get(j, row, j->second);
        size_t n_before = entities.n;
        size_t entity;

        if (id == NUMBER_NONE) {
            rc = row_fail(j, row, "is missing from the result", err);
            break;
        }
        if (name.len == 0)
            continue;
        rc = lk_name_numbers_add(&entities, name, &entity, err);
        if (rc != LINKD_OK)
            break;
        if (entity == n_before)
            firsts[entity] = id;
        lk_disjoint_unite(sets, firsts[entity], id);
    }
    lk_name_numbers_clear(&entities);
    free(firsts);
    return rc;
}

/* Unites the ids that the file says are a pair. Ids must be known. */
static int pairs_unite(const judgement *j, const lk_name_numbers *ids,
                       lk_disjoint *sets, linkd_error *err)
{
    for (size_t row = 0; row < linkd_table_n_rows(j->table); row++) {
        size_t a = lk_name_numbers_find(ids, judgement_get(j, row, j->first));
        size_t b = lk_name_numbers_find(ids, judgement_get(j, row, j->second));

        if (a == NUMBER_NONE || b == NUMBER_NONE)
            return lk_fail(
                err, LINKD_E_DATA,
                "%s: row %zu: id \"%s\" is missing from the result",
                lk_label_of_path(linkd_table_path(j->table)).text, row + 1,
                lk_label_of(
                    judgement_get(j, row,
                                  a == NUMBER_NONE ? j->first : j->second))
                    .text);
        lk_disjoint_unite(sets, a, b);
    }
    return LINKD_OK;
}

/* The entity of every id by what the file says. */
static int entities_read(const judgement *j, const lk_name_numbers *ids,
                         size_t *ret_numbers, size_t *ret_n_entities,
                         linkd_error *err)
{
    lk_disjoint sets;
    int rc = lk_disjoint_init(&sets, ids->n, err);

    if (rc == LINKD_OK)
        rc = j->is_entities ? entities_unite(j, ids, &sets, err)
                            : pairs_unite(j, ids, &sets, err);
    if (rc == LINKD_OK)
        *ret_n_entities = lk_disjoint_number(&sets, ret_numbers);
    lk_disjoint_clear(&sets);
    return rc;
}

static int duo_compare(const void *x, const void *y)
{
    const duo *p = x;
    const duo *q = y;

    if (p->a != q->a)
        return p->a > q->a ? 1 : -1;
    return (p->b > q->b) - (p->b < q->b);
}

/* The distinct pairs of a file, sorted. With one name space for both sides
 * (`right` == `left`) a pair is the same whichever way round. */
static int pairs_read(const judgement *j, lk_name_numbers *left,
                      lk_name_numbers *right, duo_list *ret_pairs,
                      linkd_error *err)
{
    size_t n_rows = linkd_table_n_rows(j->table);
    duo *pairs = calloc(n_rows + 1, sizeof(*pairs));
    size_t n = 0;
    int rc = pairs != NULL ? LINKD_OK : lk_fail_nomem(err);

    for (size_t row = 0; row < n_rows && rc == LINKD_OK; row++) {
        duo pair = {0, 0};

        rc = lk_name_numbers_add(left, judgement_get(j, row, j->first), &pair.a,
                                 err);
        if (rc == LINKD_OK)
            rc = lk_name_numbers_add(right, judgement_get(j, row, j->second),
                                     &pair.b, err);
        pairs[row] =
            left == right && pair.b < pair.a ? (duo){pair.b, pair.a} : pair;
    }
    if (rc != LINKD_OK) {
        free(pairs);
        return rc;
    }
    qsort(pairs, n_rows, sizeof(*pairs), duo_compare);
    for (size_t i = 0; i < n_rows; i++)
        if (n == 0 || duo_compare(&pairs[n - 1], &pairs[i]) != 0)
            pairs[n++] = pairs[i];
    *ret_pairs = (duo_list){pairs, n};
    return LINKD_OK;
}

/* Has no pair an id below these numbers, on its side? */
static bool is_all_new(const duo_list *pairs, size_t n_left, size_t n_right)
{
    for (size_t i = 0; i < pairs->n; i++) {
        if (pairs->items[i].a < n_left || pairs->items[i].b < n_right)
            return false;
    }
    return true;
}

/* A precision of 0 would blame the result. */
static int fail_apart(const judgement *result, const judgement *truth,
                      linkd_error *err)
{
    return lk_fail(err, LINKD_E_DATA, "%s and %s have no id in common",
                   lk_label_of_path(linkd_table_path(result->table)).text,
                   lk_label_of_path(linkd_table_path(truth->table)).text);
}

/* ---- counting ------------------------------------------------------------ */

static double ratio(double part, double whole)
{
    return whole > 0.0 ? part / whole : 0.0;
}

static double harmonic_mean(double a, double b)
{
    return ratio(2.0 * a * b, a + b);
}

static void quality_finish(linkd_pair_quality *q)
{
    q->precision = ratio((double)q->n_common, (double)q->n_result);
    q->recall = ratio((double)q->n_common, (double)q->n_truth);
    q->f1 = harmonic_mean(q->precision, q->recall);
}

static uint64_t pairs_among(uint64_t n)
{
    return n > 0 ? n * (n - 1) / 2 : 0;
}

static int sizes_count(const size_t *numbers, size_t n, size_t n_entities,
                       size_t **ret_sizes, uint64_t *ret_n_pairs,
                       linkd_error *err)
{
    size_t *sizes = calloc(n_entities + 1, sizeof(*sizes));

    if (sizes == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < n; i++)
        sizes[numbers[i]]++;
    *ret_n_pairs = 0;
    for (size_t i = 0; i < n_entities; i++)
        *ret_n_pairs += pairs_among(sizes[i]);
    *ret_sizes = sizes;
    return LINKD_OK;
}

/* Walks over the cells of sorted `rows`. */
static void cells_count(const duo_list *rows, const size_t *result_sizes,
                        const size_t *truth_sizes, linkd_evaluation *e)
{
    double precision = 0.0;
    double recall = 0.0;

    for (size_t begin = 0, end = 0; begin < rows->n; begin = end) {
        duo cell = rows->items[begin];
        double n;

        while (end < rows->n && duo_compare(&rows->items[end], &cell) == 0)
            end++;
        n = (double)(end - begin);
        e->pairs.n_common += pairs_among(end - begin);
        precision += n * n / (double)result_sizes[cell.a];
        recall += n * n / (double)truth_sizes[cell.b];
    }
    e->b3_precision = ratio(precision, (double)rows->n);
    e->b3_recall = ratio(recall, (double)rows->n);
    e->b3_f1 = harmonic_mean(e->b3_precision, e->b3_recall);
}

/* ---- the three comparisons ----------------------------------------------- */

static int clusters_compare(const size_t *result, const size_t *truth, size_t n,
                            linkd_evaluation *e, linkd_error *err)
{
    duo_list rows = {calloc(n + 1, sizeof(duo)), n};
    size_t *sizes[2] = {NULL, NULL};
    int rc = rows.items != NULL ? LINKD_OK : lk_fail_nomem(err);

    if (rc == LINKD_OK)
        rc = sizes_count(result, n, e->n_entities_result, &sizes[0],
                         &e->pairs.n_result, err);
    if (rc == LINKD_OK)
        rc = sizes_count(truth, n, e->n_entities_truth, &sizes[1],
                         &e->pairs.n_truth, err);
    if (rc == LINKD_OK) {
        for (size_t i = 0; i < n; i++)
            rows.items[i] = (duo){result[i], truth[i]};
        qsort(rows.items, n, sizeof(duo), duo_compare);
        cells_count(&rows, sizes[0], sizes[1], e);
    }
    free(sizes[1]);
    free(sizes[0]);
    free(rows.items);
    return rc;
}

static int entities_evaluate(const judgement *result, const judgement *truth,
                             linkd_evaluation *e, linkd_error *err)
{
    size_t n = linkd_table_n_rows(result->table);
    size_t *numbers = calloc(2 * n + 1, sizeof(*numbers));
    lk_name_numbers ids = {0};
    lk_name_numbers truth_ids = {0};
    int rc = numbers != NULL ? LINKD_OK : lk_fail_nomem(err);

    e->has_clusters = true;
    e->n_rows = n;
    if (rc == LINKD_OK)
        rc = ids_number(result, &ids, err);
    if (rc == LINKD_OK && truth->is_entities)
        rc = ids_number(truth, &truth_ids, err);
    if (rc == LINKD_OK)
        rc = entities_read(result, &ids, numbers, &e->n_entities_result, err);
    if (rc == LINKD_OK)
        rc = entities_read(truth, &ids, numbers + n, &e->n_entities_truth, err);
    if (rc == LINKD_OK)
        rc = clusters_compare(numbers, numbers + n, n, e, err);
    lk_name_numbers_clear(&truth_ids);
    lk_name_numbers_clear(&ids);
    free(numbers);
    return rc;
}

/* Pairs against the pairs that the truth's entities stand for. */
static int pairs_evaluate_by_entities(const judgement *result,
                                      const judgement *truth,
                                      linkd_evaluation *e, linkd_error *err)
{
    size_t n = linkd_table_n_rows(truth->table);
    size_t *numbers = calloc(n + 1, sizeof(*numbers));
    size_t *sizes = NULL;
    size_t n_entities = 0;
    lk_name_numbers ids = {0};
    duo_list pairs = {0};
    int rc = numbers != NULL ? LINKD_OK : lk_fail_nomem(err);

    if (rc == LINKD_OK)
        rc = ids_number(truth, &ids, err);
    if (rc == LINKD_OK)
        rc = entities_read(truth, &ids, numbers, &n_entities, err);
    if (rc == LINKD_OK)
        rc =
            sizes_count(numbers, n, n_entities, &sizes, &e->pairs.n_truth, err);
    if (rc == LINKD_OK)
        rc = pairs_read(result, &ids, &ids, &pairs, err);
    if (rc == LINKD_OK && n > 0 && pairs.n > 0 && is_all_new(&pairs, n, n))
        rc = fail_apart(result, truth, err);
    e->pairs.n_result = pairs.n;
    /* ids that only the result knows have numbers from n on */
    for (size_t i = 0; i < pairs.n; i++)
        if (pairs.items[i].b < n && pairs.items[i].a != pairs.items[i].b &&
            numbers[pairs.items[i].a] == numbers[pairs.items[i].b])
            e->pairs.n_common++;
    free(pairs.items);
    free(sizes);
    free(numbers);
    lk_name_numbers_clear(&ids);
    return rc;
}

static int pairs_evaluate(const judgement *result, const judgement *truth,
                          linkd_evaluation *e, linkd_error *err)
{
    lk_name_numbers left = {0};
    lk_name_numbers right = {0};
    duo_list r = {0};
    duo_list t = {0};
    int rc = pairs_read(result, &left, &right, &r, err);
    size_t n_left = left.n;
    size_t n_right = right.n;

    if (rc == LINKD_OK)
        rc = pairs_read(truth, &left, &right, &t, err);
    if (rc == LINKD_OK && r.n > 0 && t.n > 0 && is_all_new(&t, n_left, n_right))
        rc = fail_apart(result, truth, err);
    e->pairs.n_result = r.n;
    e->pairs.n_truth = t.n;
    for (size_t i = 0, j = 0; i < r.n && j < t.n;) {
        int order = duo_compare(&r.items[i], &t.items[j]);

        e->pairs.n_common += order == 0 ? 1 : 0;
        i += order <= 0 ? 1 : 0;
        j += order >= 0 ? 1 : 0;
    }
    free(t.items);
    free(r.items);
    lk_name_numbers_clear(&right);
    lk_name_numbers_clear(&left);
    return rc;
}

/* Unless the user named one, the result's id column goes by the truth's name
 * for it, if it has that. */
static void id_column_match(judgement *result, const judgement *truth)
{
    size_t column = LINKD_COLUMN_NONE;

    if (result->is_entities && truth->is_entities &&
        !id_column_is_named(result->table))
        column = linkd_table_find_column(
            result->table, linkd_table_column(truth->table, truth->first));
    if (column != LINKD_COLUMN_NONE)
        result->first = column;
}

int linkd_evaluate(const linkd_table *result, const linkd_table *truth,
                   linkd_evaluation *ret_evaluation, linkd_error *err)
{
    linkd_evaluation e = {0};
    judgement r;
    judgement t;
    int rc = judgement_init(&r, result, err);

    if (rc == LINKD_OK)
        rc = judgement_init(&t, truth, err);
    if (rc != LINKD_OK)
        return rc;
    id_column_match(&r, &t);
    if (r.is_entities)
        rc = entities_evaluate(&r, &t, &e, err);
    else if (t.is_entities)
        rc = pairs_evaluate_by_entities(&r, &t, &e, err);
    else
        rc = pairs_evaluate(&r, &t, &e, err);
    if (rc != LINKD_OK)
        return rc;
    quality_finish(&e.pairs);
    *ret_evaluation = e;
    return LINKD_OK;
}
