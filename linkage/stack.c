/* linkage/stack.c — context of pairs for a model with labels. */
#include "linkage/stack.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "linkage/rivals.h"

/* Log-odds beyond are as good as certain: a step of a byte is then 0.12. */
#define LOG_ODDS_MAX 15.0F

static const lk_comparator LEXICAL[] = {LK_COMPARE_RANK, LK_COMPARE_MARGIN};
static const lk_comparator DENSE[] = {LK_COMPARE_DENSE_RANK,
                                      LK_COMPARE_DENSE_MARGIN};
static const lk_comparator GUESSED[] = {
    LK_COMPARE_GUESS, LK_COMPARE_GUESS_CHANCE, LK_COMPARE_GUESS_RANK,
    LK_COMPARE_GUESS_MARGIN};

enum {
    MAX_CONTEXT = 8,
};

typedef struct stack {
    const lk_pairset *pairs;
    const lk_features *features;
    const lk_guess *guess;
    lk_pool *pool;
    lk_features context;
    float *scores; /* [n_pairs]: what pairs are ranked by */
} stack;

/* The column of a record's feature, or SIZE_MAX. */
static size_t record_column(const lk_features *features,
                            lk_comparator comparator)
{
    for (size_t i = 0; i < features->n; i++)
        if (features->features[i].field == LK_FIELD_RECORD &&
            features->features[i].comparator == comparator)
            return i;
    return SIZE_MAX;
}

static float value_of(const lk_features *features, size_t pair, size_t column)
{
    uint8_t value = features->values[pair * features->n + column];

    return value == LK_FEATURE_MISSING ? NAN
                                       : (float)value / (float)LK_FEATURE_ONE;
}

/* Names the next columns; returns the first of them. */
static size_t columns_add(lk_features *context, const lk_comparator *list,
                          size_t n)
{
    size_t column = context->n;

    for (size_t i = 0; i < n; i++)
        context->features[context->n++] =
            (lk_feature){LK_FIELD_RECORD, list[i]};
    return column;
}

/* ---- columns ------------------------------------------------------------ */

static int lexical_rank(stack *s, size_t gram, size_t soft, size_t column,
                        linkd_error *err)
{
    for (size_t i = 0; i < s->pairs->n; i++)
        s->scores[i] = 0.5F * (value_of(s->features, i, gram) +
                               value_of(s->features, i, soft));
    return lk_rivals_compare(s->pairs, s->scores, s->pool, column, &s->context,
                             err);
}

static int dense_rank(stack *s, size_t dense, size_t column, linkd_error *err)
{
    for (size_t i = 0; i < s->pairs->n; i++)
        s->scores[i] = value_of(s->features, i, dense);
    return lk_rivals_compare(s->pairs, s->scores, s->pool, column, &s->context,
                             err);
}

static int guess_add(stack *s, size_t column, linkd_error *err)
{
    for (size_t i = 0; i < s->pairs->n; i++) {
        uint8_t *row = s->context.values + i * s->context.n + column;
        float log_odds =
            fminf(fmaxf(s->guess->log_odds[i], -LOG_ODDS_MAX), LOG_ODDS_MAX);

        s->scores[i] = 0.5F + 0.5F * log_odds / LOG_ODDS_MAX;
        row[0] = lk_feature_of(s->scores[i]);
        row[1] = lk_feature_of(s->guess->probabilities[i]);
    }
    return lk_rivals_compare(s->pairs, s->scores, s->pool, column + 2,
                             &s->context, err);
}

int lk_stack_make(const lk_pairset *pairs, const lk_features *features,
                  const lk_guess *guess, lk_pool *pool,
                  lk_features *ret_context, linkd_error *err)
{
    stack s = {.pairs = pairs,
               .features = features,
               .guess = guess,
               .pool = pool,
               .context = {.n_pairs = pairs->n},
               .scores = calloc(pairs->n + 1, sizeof(float))};
    size_t gram = record_column(features, LK_COMPARE_GRAM);
    size_t soft = record_column(features, LK_COMPARE_SOFT);
    size_t dense = record_column(features, LK_COMPARE_DENSE);
    bool lexical = gram != SIZE_MAX && soft != SIZE_MAX;
    size_t columns[3] = {0};
    int rc = LINKD_OK;

    s.context.features = calloc(MAX_CONTEXT, sizeof(lk_feature));
    s.context.values = calloc(pairs->n + 1, MAX_CONTEXT);
    if (s.scores == NULL || s.context.features == NULL ||
        s.context.values == NULL)
        rc = lk_fail_nomem(err);
    if (rc == LINKD_OK) {
        if (lexical)
            columns[0] = columns_add(&s.context, LEXICAL, 2);
        if (dense != SIZE_MAX)
            columns[1] = columns_add(&s.context, DENSE, 2);
        columns[2] = columns_add(&s.context, GUESSED, 4);
    }
    if (rc == LINKD_OK && lexical)
        rc = lexical_rank(&s, gram, soft, columns[0], err);
    if (rc == LINKD_OK && dense != SIZE_MAX)
        rc = dense_rank(&s, dense, columns[1], err);
    if (rc == LINKD_OK)
        rc = guess_add(&s, columns[2], err);
    free(s.scores);
    if (rc == LINKD_OK)
        *ret_context = s.context;
    else
        lk_features_clear(&s.context);
    return rc;
}

void lk_stack_row(const lk_features *features, const lk_features *context,
                  size_t pair, uint8_t *ret_row)
{
    memcpy(ret_row, features->values + pair * features->n, features->n);
    if (context->n > 0)
        memcpy(ret_row + features->n, context->values + pair * context->n,
               context->n);
}
