/* linkage/rivals.c — rank and margin of pairs.
 *
 * A likeness of .6 is much where the next candidate has .2 and little where ten
 * others have .6 as well. For a pair with the score s let R be the scores of all
 * other candidates that share its a or its b:
 *
 *   rank    1 / (1 + r), r: how many candidates of a, or of b, whichever are
 *           fewer, score more than s; 1 for the best
 *   margin  .5 + .5 (s - max R): above .5 it leads, and by how much; without
 *           rivals max R is 0
 *
 * Equal scores have equal ranks and a margin of at most .5, so nothing depends
 * on the order of pairs.
 *
 *   record   0                  1          2
 *   scores [ .9 .4 .1         | .7       | .9 .7 .1 … ]   each run descending
 *            └ offsets[0]       └ [1]      └ [2]
 *
 * Each pair is in two runs, its a's and its b's. */
#include "linkage/rivals.h"

#include <math.h>
#include <stdlib.h>

enum {
    RECORDS_PER_ITEM = 4096,
    PAIRS_PER_ITEM = 16384,
};

typedef struct rivals {
    const lk_pairset *pairs;
    const float *own; /* [n_pairs] */
    size_t *offsets;  /* [n_records + 1] */
    float *scores;    /* of each record's candidates, descending */
    size_t column;
    lk_features *features;
} rivals;

/* ---- runs --------------------------------------------------------------- */

static void runs_count(rivals *r)
{
    const lk_pairset *pairs = r->pairs;

    for (size_t p = 0; p < pairs->n; p++)
        if (!isnan(r->own[p])) {
            r->offsets[pairs->a[p]]++;
            r->offsets[pairs->b[p]]++;
        }
}

/* Counts become ends, and filling from the back makes ends begins. */
static void runs_fill(rivals *r)
{
    const lk_pairset *pairs = r->pairs;

    for (size_t i = 1; i <= pairs->n_records; i++)
        r->offsets[i] += r->offsets[i - 1];
    for (size_t p = pairs->n; p-- > 0;)
        if (!isnan(r->own[p])) {
            r->scores[--r->offsets[pairs->a[p]]] = r->own[p];
            r->scores[--r->offsets[pairs->b[p]]] = r->own[p];
        }
}

static int descending(const void *a, const void *b)
{
    float x = *(const float *)a;
    float y = *(const float *)b;

    return (x < y) - (x > y);
}

static int runs_sort_task(void *ctx, size_t item, size_t worker,
                          linkd_error *err)
{
    const rivals *r = ctx;
    size_t n_records = r->pairs->n_records;
    size_t end = (item + 1) * RECORDS_PER_ITEM;

    (void)worker;
    (void)err;
    for (size_t i = item * RECORDS_PER_ITEM; i < end && i < n_records; i++)
        qsort(r->scores + r->offsets[i], r->offsets[i + 1] - r->offsets[i],
              sizeof(*r->scores), descending);
    return LINKD_OK;
}

/* ---- pairs -------------------------------------------------------------- */

/* How many of a record's candidates score more. */
static size_t better_count(const rivals *r, size_t record, float own)
{
    size_t begin = r->offsets[record];
    size_t low = begin;
    size_t high = r->offsets[record + 1];

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (r->scores[middle] > own)
            low = middle + 1;
        else
            high = middle;
    }
    return low - begin;
}

/* The best of a record's candidates but this one. */
static float rival_best(const rivals *r, size_t record, float own)
{
    size_t begin = r->offsets[record];

    if (r->scores[begin] > own)
        return r->scores[begin];
    return r->offsets[record + 1] - begin > 1 ? r->scores[begin + 1] : 0.0F;
}

static void pair_compare(const rivals *r, size_t p, uint8_t *ret_two)
{
    float own = r->own[p];
    size_t a = r->pairs->a[p];
    size_t b = r->pairs->b[p];
    size_t better_a, better_b;

    ret_two[0] = LK_FEATURE_MISSING;
    ret_two[1] = LK_FEATURE_MISSING;
    if (isnan(own))
        return;
    better_a = better_count(r, a, own);
    better_b = better_count(r, b, own);
    ret_two[0] = lk_feature_of(
        1.0F / (1.0F + (float)(better_a < better_b ? better_a : better_b)));
    ret_two[1] =
        lk_feature_of(0.5F + 0.5F * (own - fmaxf(rival_best(r, a, own),
                                                 rival_best(r, b, own))));
}

static int pairs_task(void *ctx, size_t item, size_t worker, linkd_error *err)
{
    const rivals *r = ctx;
    size_t end = (item + 1) * PAIRS_PER_ITEM;

    (void)worker;
    (void)err;
    for (size_t p = item * PAIRS_PER_ITEM; p < end && p < r->pairs->n; p++)
        pair_compare(r, p,
                     r->features->values + p * r->features->n + r->column);
    return LINKD_OK;
}

/* ---- all ---------------------------------------------------------------- */

static size_t items(size_t n, size_t per_item)
{
    return (n + per_item - 1) / per_item;
}

static int runs_make(rivals *r, lk_pool *pool, linkd_error *err)
{
    r->offsets = calloc(r->pairs->n_records + 1, sizeof(*r->offsets));
    r->scores = calloc(2 * r->pairs->n + 1, sizeof(*r->scores));
    if (r->offsets == NULL || r->scores == NULL)
        return lk_fail_nomem(err);
    runs_count(r);
    runs_fill(r);
    return lk_pool_run(pool, items(r->pairs->n_records, RECORDS_PER_ITEM),
                       runs_sort_task, r, err);
}

static void runs_clear(rivals *r)
{
    free(r->scores);
    free(r->offsets);
}

int lk_rivals_compare(const lk_pairset *pairs, const float *scores,
                      lk_pool *pool, size_t column, lk_features *features,
                      linkd_error *err)
{
    rivals r = {
        .pairs = pairs, .own = scores, .column = column, .features = features};
    int rc = runs_make(&r, pool, err);

    if (rc == LINKD_OK)
        rc = lk_pool_run(pool, items(pairs->n, PAIRS_PER_ITEM), pairs_task, &r,
                         err);
    runs_clear(&r);
    return rc;
}

int lk_rivals_stand(const lk_pairset *pairs, const float *scores, lk_pool *pool,
                    lk_standing *ret_standings, linkd_error *err)
{
    rivals r = {.pairs = pairs, .own = scores};
    int rc = runs_make(&r, pool, err);

    for (size_t p = 0; p < pairs->n && rc == LINKD_OK; p++) {
        size_t a = pairs->a[p];
        size_t b = pairs->b[p];
        size_t better_a = better_count(&r, a, scores[p]);
        size_t better_b = better_count(&r, b, scores[p]);

        ret_standings[p] = (lk_standing){
            .rank = 1 + (uint32_t)(better_a < better_b ? better_a : better_b),
            .lead = 2.0F * scores[p] - rival_best(&r, a, scores[p]) -
                    rival_best(&r, b, scores[p])};
    }
    runs_clear(&r);
    return rc;
}
