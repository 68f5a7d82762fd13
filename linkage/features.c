/* linkage/features.c — all pairs through all comparators.
 *
 *   for each field:   cells ─► words ─► terms ─► its columns of every pair
 *   then the record:  texts, terms, vectors   ─► its columns of every pair
 *   then context:     likeness of records     ─► rank and margin of every pair
 *
 * Which comparators a field gets depends on what it holds: an edit distance of
 * long texts says nothing that costs its time, and a gram of a number little.
 *
 * Work is shared by runs of pairs. Each worker has a comparer of its own for the
 * field at hand, and writes to its own pairs' bytes. */
#include "linkage/features.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "index/index.h"
#include "linkage/compare.h"
#include "linkage/quantities.h"
#include "linkage/rivals.h"

enum {
    PAIRS_PER_ITEM = 4096,
    PAIRS_AHEAD = 3,     /* guess */
    MAX_COMPARATORS = 8, /* of one field */
};

/* How long before its turn a pair's words are sent for, and its record twice as
 * long: guess. */
#define PAIRS_AHEAD ((size_t)3)

const char *const lk_comparator_words[LK_N_COMPARATORS] = {
    [LK_COMPARE_GRAM] = "gram",
    [LK_COMPARE_SOFT] = "soft",
    [LK_COMPARE_CONTAIN] = "contain",
    [LK_COMPARE_EDIT] = "edit",
    [LK_COMPARE_EXACT] = "exact",
    [LK_COMPARE_EVIDENCE] = "evidence",
    [LK_COMPARE_CODE] = "code",
    [LK_COMPARE_WORD] = "word",
    [LK_COMPARE_NUMBER] = "number",
    [LK_COMPARE_DENSE] = "dense",
    [LK_COMPARE_RANK] = "rank",
    [LK_COMPARE_MARGIN] = "margin",
    [LK_COMPARE_DENSE_RANK] = "dense rank",
    [LK_COMPARE_DENSE_MARGIN] = "dense margin",
    [LK_COMPARE_GUESS] = "guess",
    [LK_COMPARE_GUESS_CHANCE] = "guessed probability",
    [LK_COMPARE_GUESS_RANK] = "guess rank",
    [LK_COMPARE_GUESS_MARGIN] = "guess margin",
};

/* ---- which features ----------------------------------------------------- */

typedef struct comparator_list {
    size_t n;
    lk_comparator items[MAX_COMPARATORS];
} comparator_list;

static const comparator_list FOR_NAMES = {
    6,
    {LK_COMPARE_GRAM, LK_COMPARE_SOFT, LK_COMPARE_CONTAIN, LK_COMPARE_EDIT,
     LK_COMPARE_EXACT, LK_COMPARE_EVIDENCE}};
static const comparator_list FOR_TEXTS = {4,
                                          {LK_COMPARE_GRAM, LK_COMPARE_SOFT,
                                           LK_COMPARE_CONTAIN,
                                           LK_COMPARE_EVIDENCE}};
static const comparator_list FOR_CODES = {
    5,
    {LK_COMPARE_GRAM, LK_COMPARE_EDIT, LK_COMPARE_EXACT, LK_COMPARE_EVIDENCE,
     LK_COMPARE_CODE}};
static const comparator_list FOR_QUANTITIES = {
    4,
    {LK_COMPARE_NUMBER, LK_COMPARE_EDIT, LK_COMPARE_EXACT,
     LK_COMPARE_EVIDENCE}};
static const comparator_list FOR_NOTHING = {0, {0}};
static const comparator_list FOR_RECORDS = {
    6,
    {LK_COMPARE_GRAM, LK_COMPARE_SOFT, LK_COMPARE_CONTAIN, LK_COMPARE_EVIDENCE,
     LK_COMPARE_CODE, LK_COMPARE_WORD}};
static const comparator_list FOR_RECORDS_DENSE = {
    7,
    {LK_COMPARE_GRAM, LK_COMPARE_SOFT, LK_COMPARE_CONTAIN, LK_COMPARE_EVIDENCE,
     LK_COMPARE_CODE, LK_COMPARE_WORD, LK_COMPARE_DENSE}};
static const comparator_list FOR_CONTEXT = {
    2, {LK_COMPARE_RANK, LK_COMPARE_MARGIN}};
static const comparator_list FOR_CONTEXT_DENSE = {
    4,
    {LK_COMPARE_RANK, LK_COMPARE_MARGIN, LK_COMPARE_DENSE_RANK,
     LK_COMPARE_DENSE_MARGIN}};

static const comparator_list *field_list(const lk_field *field)
{
    switch (field->compared_as) {
    case LINKD_HOLDS_NAME:
    case LINKD_HOLDS_CATEGORY:
        return &FOR_NAMES;
    case LINKD_HOLDS_TEXT:
        return &FOR_TEXTS;
    case LINKD_HOLDS_CODE:
        return &FOR_CODES;
    case LINKD_HOLDS_NUMBER:
    case LINKD_HOLDS_DATE:
        return &FOR_QUANTITIES;
    case LINKD_HOLDS_EMPTY:
    case LINKD_N_HOLDS:
        break;
    }
    return &FOR_NOTHING;
}

static void list_add(lk_features *features, size_t field,
                     const comparator_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        features->features[features->n++] = (lk_feature){field, list->items[i]};
}

/* Names the features and makes room for their values. */
static int features_plan(const lk_features_source *source, size_t n_pairs,
                         lk_features *features, linkd_error *err)
{
    features->n_pairs = n_pairs;
    features->features = calloc((source->n_fields + 2) * MAX_COMPARATORS,
                                sizeof(*features->features));
    if (features->features == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < source->n_fields; i++)
        list_add(features, i, field_list(&source->fields[i]));
    list_add(features, LK_FIELD_RECORD,
             source->vectors != NULL ? &FOR_RECORDS_DENSE : &FOR_RECORDS);
    if (!source->without_context)
        list_add(features, LK_FIELD_RECORD,
                 source->vectors != NULL ? &FOR_CONTEXT_DENSE : &FOR_CONTEXT);
    features->values = calloc(n_pairs + 1, features->n);
    return features->values != NULL ? LINKD_OK : lk_fail_nomem(err);
}

/* ---- one field through all pairs ---------------------------------------- */

/* A field, or the record, and what its comparators need. */
typedef struct pass {
    const lk_features_source *source;
    const lk_pairset *pairs;
    const comparator_list *list;
    size_t column; /* of its first feature */
    lk_compare compare;
    lk_comparer *comparers; /* [n_workers] */
    size_t n_comparers;
    lk_quantities quantities; /* fields of numbers or dates */
    float *likeness;          /* [n_pairs]: the record alone, for ranks */
    float *dense;             /* [n_pairs]: the same, if there are vectors */
    lk_features *features;
} pass;

static float dense_compare(const lk_features_source *source, size_t a, size_t b)
{
    const float *x = source->vectors[a];
    const float *y = source->vectors[b];

    return x == NULL || y == NULL
               ? NAN
               : fmaxf(linkd_index_score(x, y, source->dim), 0.0F);
}

static void pair_compare(const pass *p, lk_comparer *comparer, size_t pair)
{
    size_t a = p->pairs->a[pair];
    size_t b = p->pairs->b[pair];
    uint8_t *row = p->features->values + pair * p->features->n + p->column;
    float values[LK_N_COMPARATORS] = {0};

    lk_comparer_run(comparer, a, b, p->list->items, p->list->n, values);
    if (p->quantities.values != NULL)
        values[LK_COMPARE_NUMBER] =
            lk_quantities_closeness(&p->quantities, a, b);
    if (p->dense != NULL) {
        values[LK_COMPARE_DENSE] = dense_compare(p->source, a, b);
        p->dense[pair] = values[LK_COMPARE_DENSE];
    }
    if (p->likeness != NULL)
        p->likeness[pair] =
            0.5F * (values[LK_COMPARE_GRAM] + values[LK_COMPARE_SOFT]);
    for (size_t i = 0; i < p->list->n; i++)
        row[i] = lk_feature_of(values[p->list->items[i]]);
}

/* Sends for what the pairs that come next need; `a` is mostly there. */
static void pairs_expect(const pass *p, size_t pair, size_t end)
{
    if (pair + 2 * PAIRS_AHEAD < end)
        lk_compare_expect(&p->compare, p->pairs->b[pair + 2 * PAIRS_AHEAD]);
    if (pair + PAIRS_AHEAD < end)
        lk_compare_expect_words(&p->compare, p->pairs->b[pair + PAIRS_AHEAD]);
}

static int pairs_task(void *ctx, size_t item, size_t worker, linkd_error *err)
{
    const pass *p = ctx;
    size_t begin = item * PAIRS_PER_ITEM;
    size_t n = p->pairs->n - begin;
    size_t end = begin + (n < PAIRS_PER_ITEM ? n : PAIRS_PER_ITEM);

    (void)err;
    for (size_t i = begin; i < end; i++) {
        pairs_expect(p, i, end);
        pair_compare(p, &p->comparers[worker], i);
    }
    return LINKD_OK;
}

static int pass_run(pass *p, const lk_texts *texts, const lk_terms *grams,
                    const lk_terms *words, linkd_error *err)
{
    size_t n_workers = lk_pool_n_workers(p->source->pool);
    int rc = lk_compare_init(&p->compare, texts, grams, words, err);

    p->comparers = calloc(n_workers, sizeof(*p->comparers));
    if (p->comparers == NULL)
        return lk_fail_nomem(err);
    for (; p->n_comparers < n_workers && rc == LINKD_OK; p->n_comparers++)
        rc = lk_comparer_init(&p->comparers[p->n_comparers], &p->compare, err);
    if (rc != LINKD_OK)
        return rc;
    return lk_pool_run(p->source->pool,
                       (p->pairs->n + PAIRS_PER_ITEM - 1) / PAIRS_PER_ITEM,
                       pairs_task, p, err);
}

static void pass_clear(pass *p)
{
    for (size_t i = 0; i < p->n_comparers; i++)
        lk_comparer_clear(&p->comparers[i]);
    free(p->comparers);
    lk_compare_clear(&p->compare);
    lk_quantities_clear(&p->quantities);
    free(p->dense);
    free(p->likeness);
}

/* ---- a field ------------------------------------------------------------ */

/* The words and terms of one field's cells. */
typedef struct field_terms {
    lk_texts texts;
    lk_terms grams;
    lk_terms words;
} field_terms;

static bool list_has(const comparator_list *list, lk_comparator comparator)
{
    for (size_t i = 0; i < list->n; i++)
        if (list->items[i] == comparator)
            return true;
    return false;
}

static int field_terms_make(const lk_features_source *source,
                            const lk_field *field, bool with_grams,
                            field_terms *terms, linkd_error *err)
{
    lk_texts_source cells = {
        .tables = {source->tables[0], source->tables[1]},
        .columns = {&field->columns[0], &field->columns[1]},
        .n_columns = {1, source->tables[1] != NULL ? 1 : 0}};
    int rc = lk_texts_make(&cells, source->pool, &terms->texts, err);

    if (rc == LINKD_OK && with_grams)
        rc = lk_terms_make(&terms->texts, LK_TERM_GRAM, source->pool,
                           &terms->grams, err);
    if (rc == LINKD_OK)
        rc = lk_terms_make(&terms->texts, LK_TERM_WORD, source->pool,
                           &terms->words, err);
    return rc;
}

static int field_compare(const lk_features_source *source,
                         const lk_pairset *pairs, const lk_field *field,
                         size_t column, lk_features *features, linkd_error *err)
{
    const comparator_list *list = field_list(field);
    bool with_grams = list_has(list, LK_COMPARE_GRAM);
    field_terms terms = {0};
    pass p = {.source = source,
              .pairs = pairs,
              .list = list,
              .column = column,
              .features = features};
    int rc;

    if (list->n == 0)
        return LINKD_OK;
    rc = field_terms_make(source, field, with_grams, &terms, err);
    if (rc == LINKD_OK && list_has(list, LK_COMPARE_NUMBER))
        rc = lk_quantities_make(source->tables, field, &p.quantities, err);
    if (rc == LINKD_OK)
        rc = pass_run(&p, &terms.texts, with_grams ? &terms.grams : NULL,
                      &terms.words, err);
    pass_clear(&p);
    lk_terms_clear(&terms.words);
    lk_terms_clear(&terms.grams);
    lk_texts_clear(&terms.texts);
    return rc;
}

static int fields_compare(const lk_features_source *source,
                          const lk_pairset *pairs, lk_features *features,
                          size_t *ret_column, linkd_error *err)
{
    size_t column = 0;
    int rc = lk_progress_report(source->progress, "compare", 0,
                                source->n_fields + 1, err);

    for (size_t i = 0; i < source->n_fields && rc == LINKD_OK; i++) {
        const lk_field *field = &source->fields[i];

        rc = field_compare(source, pairs, field, column, features, err);
        column += field_list(field)->n;
        if (rc == LINKD_OK)
            rc = lk_progress_report(source->progress, "compare", i + 1,
                                    source->n_fields + 1, err);
    }
    *ret_column = column;
    return rc;
}

/* ---- the record --------------------------------------------------------- */

static void context_leave_out(lk_features *features, size_t column)
{
    for (size_t i = 0; i < features->n_pairs; i++)
        memset(features->values + i * features->n + column, LK_FEATURE_MISSING,
               features->n - column);
}

static int context_compare(const pass *p, size_t column, linkd_error *err)
{
    lk_pool *pool = p->source->pool;
    int rc;

    if (p->source->without_context)
        return LINKD_OK;
    if (p->source->at_random) {
        context_leave_out(p->features, column);
        return LINKD_OK;
    }
    rc = lk_rivals_compare(p->pairs, p->likeness, pool, column, p->features,
                           err);
    if (rc == LINKD_OK && p->dense != NULL)
        rc = lk_rivals_compare(p->pairs, p->dense, pool, column + 2,
                               p->features, err);
    return rc;
}

static int record_compare(const lk_features_source *source,
                          const lk_pairset *pairs, size_t column,
                          lk_features *features, linkd_error *err)
{
    bool with_vectors = source->vectors != NULL;
    pass p = {.source = source,
              .pairs = pairs,
              .list = with_vectors ? &FOR_RECORDS_DENSE : &FOR_RECORDS,
              .column = column,
              .features = features};
    int rc = LINKD_OK;

    p.likeness = calloc(pairs->n + 1, sizeof(*p.likeness));
    if (with_vectors)
        p.dense = calloc(pairs->n + 1, sizeof(*p.dense));
    if (p.likeness == NULL || (with_vectors && p.dense == NULL))
        rc = lk_fail_nomem(err);
    if (rc == LINKD_OK)
        rc = pass_run(&p, source->record_texts, source->record_grams,
                      source->record_words, err);
    if (rc == LINKD_OK)
        rc = context_compare(&p, column + p.list->n, err);
    pass_clear(&p);
    return rc;
}

/* ---- all ---------------------------------------------------------------- */

int lk_features_make(const lk_features_source *source, const lk_pairset *pairs,
                     lk_features *ret_features, linkd_error *err)
{
    lk_features features = {0};
    size_t column = 0;
    int rc = features_plan(source, pairs->n, &features, err);

    if (rc == LINKD_OK)
        rc = fields_compare(source, pairs, &features, &column, err);
    if (rc == LINKD_OK)
        rc = record_compare(source, pairs, column, &features, err);
    if (rc == LINKD_OK)
        rc =
            lk_progress_report(source->progress, "compare",
                               source->n_fields + 1, source->n_fields + 1, err);
    if (rc == LINKD_OK)
        *ret_features = features;
    else
        lk_features_clear(&features);
    return rc;
}

void lk_features_clear(lk_features *features)
{
    free(features->values);
    free(features->features);
    *features = (lk_features){0};
}
