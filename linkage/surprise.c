/* linkage/surprise.c — how implausible the likeness of a pair is by chance.
 *
 * A likeness of .6 means little between two cities of one small table and much
 * between two addresses. What it means is told by pairs that were drawn at
 * random: the share of them that are at least as much alike is a p-value, and
 * -ln of it adds up over fields as in Fisher's method. Fields are not
 * independent, so the sum is no test; it only has to put the pairs in order. The
 * whole record counts as one more field, and the sum is weighed by how alike the
 * whole records are, as many fields that agree on nothing rare add up too.
 *
 *   field:   [ surprise of likeness 0, 1, … LK_LIKENESS_MISSING ]   one table
 *   pair:    sum over fields of table[likeness]  x  (gram + soft) / 2
 *
 * A likeness is a whole number, so the tables are exact. What is missing on
 * either side does not surprise, nor does a field that random pairs seldom
 * have. */
#include <math.h>
#include <stdlib.h>

#include "linkage/decision.h"
#include "linkage/likeness.h"

enum {
    CHUNK = 16384,      /* pairs of a task */
    RANDOM_MIN = 100,   /* fewer do not make a distribution */
    WEIGHT_COLUMNS = 2, /* the record's gram and soft */
};

typedef struct surpriser {
    const lk_features *features;
    const lk_features *random;
    lk_likeness *list; /* [n_fields], of `features` */
    size_t n_fields;
    float *tables;                         /* [n_fields, LK_LIKENESS_GRID] */
    size_t weight_columns[WEIGHT_COLUMNS]; /* SIZE_MAX: there is none */
    float *surprise;
} surpriser;

/* ---- tables ------------------------------------------------------------- */

/* From counts of random pairs to the surprise of a likeness. */
static void table_fill(const size_t *counts, size_t n, float *ret_table)
{
    size_t n_above = 0; /* pairs at least as alike */

    for (size_t i = LK_LIKENESS_ONE + 1; i-- > 0;) {
        n_above += counts[i];
        ret_table[i] = (float)-log(((double)n_above + 0.5) / ((double)n + 1.0));
    }
}

static void table_make(const lk_features *random, const lk_likeness *likeness,
                       size_t *counts, float *ret_table)
{
    size_t n = 0;

    for (size_t i = 0; i < LK_LIKENESS_GRID; i++)
        counts[i] = 0;
    for (size_t i = 0; i < random->n_pairs; i++)
        counts[lk_likeness_of(likeness, &random->values[i * random->n])]++;
    n = random->n_pairs - counts[LK_LIKENESS_MISSING];
    if (n >= RANDOM_MIN)
        table_fill(counts, n, ret_table);
}

static const lk_likeness *likeness_find(const lk_likeness *list, size_t n,
                                        size_t field)
{
    for (size_t i = 0; i < n; i++)
        if (list[i].field == field)
            return &list[i];
    return NULL;
}

static int tables_make(surpriser *s, linkd_error *err)
{
    size_t *counts = malloc(LK_LIKENESS_GRID * sizeof(*counts));
    lk_likeness *random_list = NULL;
    size_t n_random = 0;
    int rc = counts == NULL
                 ? lk_fail_nomem(err)
                 : lk_likeness_list(s->random, &random_list, &n_random, err);

    for (size_t i = 0; i < s->n_fields && rc == LINKD_OK; i++) {
        const lk_likeness *likeness =
            likeness_find(random_list, n_random, s->list[i].field);

        if (likeness != NULL)
            table_make(s->random, likeness, counts,
                       &s->tables[i * LK_LIKENESS_GRID]);
    }
    free(random_list);
    free(counts);
    return rc;
}

/* ---- pairs -------------------------------------------------------------- */

/* How alike the whole records are; 1 if nobody compared them. */
static float pair_weight(const surpriser *s, const uint8_t *values)
{
    uint32_t sum = 0;
    uint32_t n = 0;

    for (size_t i = 0; i < WEIGHT_COLUMNS; i++) {
        size_t column = s->weight_columns[i];

        if (column == SIZE_MAX)
            continue;
        n++;
        sum += values[column] == LK_FEATURE_MISSING ? 0U : values[column];
    }
    return n > 0 ? (float)sum / ((float)n * (float)LK_FEATURE_ONE) : 1.0F;
}

static int pairs_task(void *ctx, size_t item, size_t worker, linkd_error *err)
{
    const surpriser *s = ctx;
    size_t n = s->features->n_pairs;
    size_t end = (item + 1) * CHUNK < n ? (item + 1) * CHUNK : n;

    (void)worker;
    (void)err;
    for (size_t i = item * CHUNK; i < end; i++) {
        const uint8_t *values = &s->features->values[i * s->features->n];
        float sum = 0.0F;

        for (size_t f = 0; f < s->n_fields; f++)
            sum += s->tables[f * LK_LIKENESS_GRID +
                             lk_likeness_of(&s->list[f], values)];
        s->surprise[i] = sum * pair_weight(s, values);
    }
    return LINKD_OK;
}

static int tables_alloc(surpriser *s, linkd_error *err)
{
    s->tables = calloc(s->n_fields * LK_LIKENESS_GRID + 1, sizeof(*s->tables));
    return s->tables == NULL ? lk_fail_nomem(err) : LINKD_OK;
}

int lk_surprise(const lk_features *features, const lk_features *random,
                lk_pool *pool, float *ret_surprise, linkd_error *err)
{
    surpriser s = {.features = features,
                   .random = random,
                   .weight_columns = {lk_feature_find(features, LK_FIELD_RECORD,
                                                      LK_COMPARE_GRAM),
                                      lk_feature_find(features, LK_FIELD_RECORD,
                                                      LK_COMPARE_SOFT)},
                   .surprise = ret_surprise};
    size_t n_chunks = (features->n_pairs + CHUNK - 1) / CHUNK;
    int rc = lk_likeness_list(features, &s.list, &s.n_fields, err);

    if (rc == LINKD_OK)
        rc = tables_alloc(&s, err);
    if (rc == LINKD_OK)
        rc = tables_make(&s, err);
    if (rc == LINKD_OK)
        rc = lk_pool_run(pool, n_chunks, pairs_task, &s, err);
    free(s.list);
    free(s.tables);
    return rc;
}

/* ---- best pairs --------------------------------------------------------- */

static void best_renew(uint32_t *best, const float *scores, size_t i)
{
    if (*best == UINT32_MAX || scores[i] > scores[*best])
        *best = (uint32_t)i;
}

/* With two tables no record is `a` here and `b` there, so one array does; with
 * one table a record's best is the best of all its pairs. */
void lk_best_pairs(const lk_pairset *pairs, const float *scores,
                   bool *ret_best_of_a, bool *ret_best_of_b, uint32_t *scratch)
{
    for (size_t i = 0; i < pairs->n_records; i++)
        scratch[i] = UINT32_MAX;
    for (size_t i = 0; i < pairs->n; i++) {
        best_renew(&scratch[pairs->a[i]], scores, i);
        best_renew(&scratch[pairs->b[i]], scores, i);
    }
    for (size_t i = 0; i < pairs->n; i++) {
        ret_best_of_a[i] = scratch[pairs->a[i]] == i;
        ret_best_of_b[i] = scratch[pairs->b[i]] == i;
    }
}

int lk_most_surprising(const lk_decision_input *input, bool *ret_best_of_a,
                       bool *ret_best_of_b, linkd_error *err)
{
    const lk_pairset *pairs = input->pairs;
    float *surprise = calloc(pairs->n + 1, sizeof(*surprise));
    uint32_t *scratch = calloc(pairs->n_records + 1, sizeof(*scratch));
    int rc = surprise == NULL || scratch == NULL
                 ? lk_fail_nomem(err)
                 : lk_surprise(input->features, input->random, input->pool,
                               surprise, err);

    if (rc == LINKD_OK)
        lk_best_pairs(pairs, surprise, ret_best_of_a, ret_best_of_b, scratch);
    free(scratch);
    free(surprise);
    return rc;
}
