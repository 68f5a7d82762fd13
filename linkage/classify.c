/* linkage/classify.c — rows to labels, learned from labelled rows:
 *
 *   examples ─► vectors, labels ─► one of two methods ─► label of each row
 *                     └─► folds: fit on four, ask the fifth ─► accuracy
 *
 * Equal examples of one label are in one fold: a copy of what was asked for among
 * what was learned from would answer for itself. The labels' distinct examples
 * are dealt out in turn, so every fold has of every label what there is. */
#include "linkage/classify.h"

#include <stdlib.h>
#include <string.h>

#include "linkage/names.h"
#include "linkage/text.h"
#include "linkage/vectors.h"

#define N_FOLDS ((size_t)5)
/* Enough for an accuracy within 0.02: then no further fold is asked. */
#define ASKED_ENOUGH ((size_t)2000)

typedef struct classifying {
    const linkd_classify_options *options;
    lk_pool *pool;
    lk_vectors rows;
    lk_vectors examples; /* those with a label and a vector, once taken */
    lk_name_numbers names;
    uint32_t *labels; /* [examples.n] */
    uint8_t *folds;   /* [examples.n] */
} classifying;

/* ---- examples ------------------------------------------------------------ */

static linkd_str label_of(const linkd_table *table, size_t row, size_t column)
{
    linkd_cell cell = linkd_table_cell(table, row, column);

    return lk_str_trim((linkd_str){cell.bytes, cell.len});
}

/* Examples without a label teach nothing: their rows are not encoded. */
static bool *labelled_mark(const linkd_table *table, size_t column)
{
    size_t n = linkd_table_n_rows(table);
    bool *wanted = calloc(n + 1, sizeof(*wanted));

    for (size_t row = 0; wanted != NULL && row < n; row++)
        wanted[row] = label_of(table, row, column).len > 0;
    return wanted;
}

static int labels_number(classifying *c, const linkd_table *table,
                         linkd_error *err)
{
    size_t n = c->examples.n;
    int rc = LINKD_OK;

    if (n == 0)
        return lk_fail(err, LINKD_E_DATA,
                       "%s has no row with both a label and a text",
                       lk_label_of_path(linkd_table_path(table)).text);
    c->labels = calloc(n, sizeof(*c->labels));
    c->folds = calloc(n, sizeof(*c->folds));
    if (c->labels == NULL || c->folds == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < n && rc == LINKD_OK; i++) {
        size_t number = 0;

        rc = lk_name_numbers_add(
            &c->names,
            label_of(table, c->examples.rows[i], c->options->label_column),
            &number, err);
        c->labels[i] = (uint32_t)number;
    }
    if (rc == LINKD_OK && c->names.n > LINKD_LABELS_MAX)
        return lk_fail(err, LINKD_E_DATA,
                       "%s has %zu different labels, more than %zu",
                       lk_label_of_path(linkd_table_path(table)).text,
                       c->names.n, LINKD_LABELS_MAX);
    return rc;
}

/* ---- folds --------------------------------------------------------------- */

typedef struct fold_entry {
    const float *vector;
    size_t dim;
    size_t number;
    uint32_t label;
} fold_entry;

static int by_label_then_vector(const void *a, const void *b)
{
    const fold_entry *x = a;
    const fold_entry *y = b;
    int order;

    if (x->label != y->label)
        return x->label > y->label ? 1 : -1;
    order = memcmp(x->vector, y->vector, x->dim * sizeof(*x->vector));
    if (order != 0)
        return order;
    return (x->number > y->number) - (x->number < y->number);
}

static bool is_copy(const fold_entry *x, const fold_entry *y)
{
    return x->label == y->label &&
           memcmp(x->vector, y->vector, x->dim * sizeof(*x->vector)) == 0;
}

static int folds_deal(classifying *c, linkd_error *err)
{
    size_t n = c->examples.n;
    fold_entry *entries = calloc(n, sizeof(*entries));
    size_t fold = 0;

    if (entries == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < n; i++)
        entries[i] = (fold_entry){c->examples.data + i * c->examples.dim,
                                  c->examples.dim, i, c->labels[i]};
    qsort(entries, n, sizeof(*entries), by_label_then_vector);
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && !is_copy(&entries[i - 1], &entries[i]))
            fold = (fold + 1) % N_FOLDS;
        c->folds[entries[i].number] = (uint8_t)fold;
    }
    free(entries);
    return LINKD_OK;
}

/* ---- asking -------------------------------------------------------------- */

static int votes_take(const classifying *c, const lk_labelled *examples,
                      const float *queries, size_t n, lk_vote *ret_votes,
                      linkd_error *err)
{
    if (c->options->method == LINKD_CLASSIFY_LINEAR)
        return lk_classify_linear(examples, queries, n, c->pool, ret_votes,
                                  err);
    return lk_classify_nearest(examples, c->options->k, queries, n, c->pool,
                               ret_votes, err);
}

/* One fold: what is learned from, and what is asked. */
typedef struct split {
    float *vectors[2]; /* [n, dim]; 0: the other folds, 1: this one */
    uint32_t *labels[2];
    size_t n[2];
    lk_vote *votes;
} split;

static int split_make(const classifying *c, size_t fold, split *s,
                      linkd_error *err)
{
    size_t dim = c->examples.dim;

    for (size_t part = 0; part < 2; part++) {
        s->vectors[part] = calloc(c->examples.n, dim * sizeof(float));
        s->labels[part] = calloc(c->examples.n, sizeof(uint32_t));
    }
    s->votes = calloc(c->examples.n, sizeof(*s->votes));
    if (s->vectors[0] == NULL || s->vectors[1] == NULL ||
        s->labels[0] == NULL || s->labels[1] == NULL || s->votes == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < c->examples.n; i++) {
        size_t part = c->folds[i] == fold;
        size_t at = s->n[part]++;

        memcpy(s->vectors[part] + at * dim, c->examples.data + i * dim,
               dim * sizeof(float));
        s->labels[part][at] = c->labels[i];
    }
    return LINKD_OK;
}

static void split_clear(split *s)
{
    for (size_t part = 0; part < 2; part++) {
        free(s->vectors[part]);
        free(s->labels[part]);
    }
    free(s->votes);
}

static int fold_ask(const classifying *c, size_t fold,
                    linkd_classify_result *result, linkd_error *err)
{
    split s = {.n = {0, 0}};
    int rc = split_make(c, fold, &s, err);
    lk_labelled examples = {.vectors = s.vectors[0],
                            .labels = s.labels[0],
                            .n = s.n[0],
                            .dim = c->examples.dim,
                            .n_labels = c->names.n};

    if (rc == LINKD_OK && s.n[0] > 0 && s.n[1] > 0) {
        rc = votes_take(c, &examples, s.vectors[1], s.n[1], s.votes, err);
        for (size_t i = 0; rc == LINKD_OK && i < s.n[1]; i++)
            result->n_right += s.votes[i].label == s.labels[1][i];
        result->n_asked += s.n[1];
    }
    split_clear(&s);
    return rc;
}

static void most_frequent_count(const classifying *c,
                                linkd_classify_result *result)
{
    for (size_t label = 0; label < c->names.n; label++) {
        size_t n = 0;

        for (size_t i = 0; i < c->examples.n; i++)
            n += c->labels[i] == label;
        if (n > result->n_most_frequent)
            result->n_most_frequent = n;
    }
}

static int folds_ask(const classifying *c, const linkd_progress *progress,
                     linkd_classify_result *result, linkd_error *err)
{
    int rc = LINKD_OK;

    for (size_t fold = 0;
         fold < N_FOLDS && result->n_asked < ASKED_ENOUGH && rc == LINKD_OK;
         fold++) {
        rc = fold_ask(c, fold, result, err);
        if (rc == LINKD_OK)
            rc = lk_progress_report(progress, "check", fold + 1, N_FOLDS, err);
    }
    return rc;
}

/* ---- results ------------------------------------------------------------- */

static int names_copy(const classifying *c, linkd_classify_result *result,
                      linkd_error *err)
{
    result->names = calloc(c->names.n, sizeof(*result->names));
    if (result->names == NULL)
        return lk_fail_nomem(err);
    memcpy(result->names, c->names.strings,
           c->names.n * sizeof(*result->names));
    result->n_names = c->names.n;
    result->n_examples = c->examples.n;
    return LINKD_OK;
}

static int rows_classify(const classifying *c, size_t n_rows,
                         linkd_classify_result *result, linkd_error *err)
{
    lk_labelled examples = {.vectors = c->examples.data,
                            .labels = c->labels,
                            .n = c->examples.n,
                            .dim = c->examples.dim,
                            .n_labels = c->names.n};
    lk_vote *votes = calloc(c->rows.n + 1, sizeof(*votes));
    int rc = LINKD_OK;

    result->labels = calloc(n_rows + 1, sizeof(*result->labels));
    result->confidences = calloc(n_rows + 1, sizeof(*result->confidences));
    if (votes == NULL || result->labels == NULL || result->confidences == NULL)
        rc = lk_fail_nomem(err);
    if (rc == LINKD_OK)
        rc = votes_take(c, &examples, c->rows.data, c->rows.n, votes, err);
    for (size_t row = 0; row < n_rows && rc == LINKD_OK; row++)
        result->labels[row] = LINKD_LABEL_NONE;
    for (size_t i = 0; i < c->rows.n && rc == LINKD_OK; i++) {
        result->labels[c->rows.rows[i]] = votes[i].label;
        result->confidences[c->rows.rows[i]] =
            lk_score_round(votes[i].confidence);
    }
    result->n_empty = n_rows - c->rows.n;
    free(votes);
    return rc;
}

/* ---- all ----------------------------------------------------------------- */

static int side_encode(lk_vectors_maker *maker, const linkd_table *table,
                       const linkd_classify_options *o, size_t side,
                       lk_vectors *ret_vectors, linkd_error *err)
{
    size_t *columns = NULL;
    size_t n_columns = 0;
    int rc = lk_columns_of_side(table, o->columns, o->n_columns, side, &columns,
                                &n_columns, err);

    if (rc == LINKD_OK)
        rc =
            lk_vectors_make(maker, table, columns, n_columns, ret_vectors, err);
    free(columns);
    return rc;
}

static int tables_encode(classifying *c, const linkd_table *table,
                         const linkd_table *examples, lk_vectors_maker *maker,
                         linkd_error *err)
{
    bool *wanted = labelled_mark(examples, c->options->label_column);
    int rc = wanted == NULL ? lk_fail_nomem(err) : LINKD_OK;

    maker->wanted = wanted;
    if (rc == LINKD_OK)
        rc = side_encode(maker, examples, c->options, 1, &c->examples, err);
    maker->wanted = NULL;
    if (rc == LINKD_OK) /* before hours are spent on the rows */
        rc = labels_number(c, examples, err);
    if (rc == LINKD_OK)
        rc = side_encode(maker, table, c->options, 0, &c->rows, err);
    free(wanted);
    return rc;
}

static int steps_run(classifying *c, const linkd_table *table,
                     const linkd_table *examples, lk_vectors_maker *maker,
                     linkd_classify_result *result, linkd_error *err)
{
    uint64_t start = lk_clock_ns();
    int rc = tables_encode(c, table, examples, maker, err);

    result->encode = maker->stats;
    result->encode_seconds = lk_clock_seconds_since(start);
    start = lk_clock_ns();
    if (rc == LINKD_OK)
        rc = folds_deal(c, err);
    if (rc == LINKD_OK)
        rc = folds_ask(c, maker->progress, result, err);
    if (rc == LINKD_OK)
        rc = rows_classify(c, linkd_table_n_rows(table), result, err);
    if (rc == LINKD_OK)
        rc = names_copy(c, result, err);
    if (rc == LINKD_OK)
        most_frequent_count(c, result);
    result->classify_seconds = lk_clock_seconds_since(start);
    return rc;
}

int linkd_classify_rows(const linkd_table *table, const linkd_table *examples,
                        const linkd_embedder *embedder, lk_pool *pool,
                        const linkd_classify_options *options,
                        const linkd_progress *progress,
                        linkd_classify_result *ret_result, linkd_error *err)
{
    classifying c = {.options = options, .pool = pool};
    lk_vectors_maker maker = {.embedder = embedder,
                              .progress = progress,
                              .n_total = linkd_table_n_rows(table) +
                                         linkd_table_n_rows(examples)};
    linkd_classify_result result = {0};
    int rc;

    if (options->k == 0)
        return lk_fail(err, LINKD_E_ARG, "0 examples have no vote");
    rc = steps_run(&c, table, examples, &maker, &result, err);
    lk_vectors_clear(&c.rows);
    lk_vectors_clear(&c.examples);
    lk_name_numbers_clear(&c.names);
    free(c.labels);
    free(c.folds);
    if (rc == LINKD_OK)
        *ret_result = result;
    else
        linkd_classify_result_clear(&result);
    return rc;
}

void linkd_classify_result_clear(linkd_classify_result *result)
{
    free(result->names);
    free(result->confidences);
    free(result->labels);
    *result = (linkd_classify_result){0};
}
