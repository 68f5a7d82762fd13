/* linkage/fs_em.c — matches and others as a mixture, field by field.
 *
 * Within one table a pair that is not the best of its records may be a match
 * all the same (an entity of five records has ten pairs), so mutual best pairs
 * do not do as answers. They do as a start: how often is each likeness seen
 * among them, and how often among the others? From that every pair gets odds,
 * from the odds new counts, and so on.
 *
 *   pair:   [ bin of field 0 | bin of field 1 | … | record | code | evidence ]
 *   column: [ ln P(bin | match) / P(bin | other) ]                      [N_BINS]
 *   log-odds = ln share / (1 - share)  +  WEIGHT / sqrt(columns) x sum of these
 *
 * Bins are quantiles, finer at the top, where the matches are; bin 0 is a
 * missing value and says nothing. Fields are not independent (the record
 * repeats all of them), hence the root: 1.5 / sqrt(columns) is measured.
 *
 * EM works on every nth pair if there are more than SAMPLE_MAX. The counts of a
 * chunk have their own place and are added in the order of the chunks. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "linkage/fs_em.h"
#include "linkage/likeness.h"

enum {
    ROUNDS = 30,
    SAMPLE_MAX = 2000000,
    CHUNK = 16384, /* pairs of a task */
    N_BOUNDS = 8,
    N_BINS = N_BOUNDS + 2, /* missing, and one more than bounds */
    N_EXTRA = 2,           /* the record's code and evidence */
};

#define WEIGHT       1.5
#define SEED         0.8 /* the start's probabilities, measured with the rest */
#define NO_SEED      0.02
#define LOG_ODDS_MAX 30.0 /* where a probability is as good as 0 or 1 */

static const double quantiles[N_BOUNDS] = {.225, .45, .675, .9,
                                           .95,  .98, .99,  .995};

typedef struct column {
    lk_likeness likeness;
    uint8_t bins[LK_LIKENESS_GRID]; /* of a likeness */
    size_t n_bins;
    double n_pairs[N_BINS]; /* of the sample */
    double logs[N_BINS];    /* log ratios, weight included */
} column;

typedef struct mixture {
    const lk_features *features;
    const bool *seeds;
    column *columns;
    size_t n_columns;
    size_t stride; /* every stride-th pair is in the sample */
    size_t n_sample;
    uint8_t *codes; /* [n_sample, n_columns] */
    double *parts;  /* [chunks, n_columns * N_BINS + 1]: matches; and in all */
    double prior;   /* log-odds of a pair about which nothing is known */
    bool started;
    float *log_odds;
} mixture;

static size_t chunk_count(size_t n)
{
    return (n + CHUNK - 1) / CHUNK;
}

static size_t chunk_end(size_t chunk, size_t n)
{
    size_t end = (chunk + 1) * CHUNK;

    return end < n ? end : n;
}

static size_t part_len(const mixture *m)
{
    return m->n_columns * N_BINS + 1;
}

static const uint8_t *sample_values(const mixture *m, size_t i)
{
    return &m->features->values[i * m->stride * m->features->n];
}

/* ---- bins --------------------------------------------------------------- */

/* The likeness of the pair at `rank` of those that have one. */
static size_t likeness_at(const size_t *counts, size_t rank)
{
    size_t likeness = 0;

    for (size_t n = counts[0]; n <= rank; n += counts[likeness])
        likeness++;
    return likeness;
}

/* The quantile, between two ranks as far as it lies between them; rounded up,
 * as a bin begins with its bound. */
static size_t likeness_quantile(const size_t *counts, size_t n, double quantile)
{
    double rank = quantile * (double)(n - 1);
    size_t below = (size_t)rank;
    size_t above = below + 1 < n ? below + 1 : below;
    double low = (double)likeness_at(counts, below);
    double high = (double)likeness_at(counts, above);

    return (size_t)ceil(low + (rank - (double)below) * (high - low));
}

/* Everything from `bound` up is one bin further. */
static void bins_split(column *c, size_t bound)
{
    for (size_t i = bound; i <= LK_LIKENESS_ONE; i++)
        c->bins[i]++;
    c->n_bins++;
}

static void bins_make(column *c, const size_t *counts, size_t n)
{
    size_t last = 0;

    c->bins[LK_LIKENESS_MISSING] = 0;
    memset(c->bins, 1, LK_LIKENESS_ONE + 1);
    c->n_bins = 2;
    for (size_t i = 0; i < N_BOUNDS && n > 0; i++) {
        size_t bound = likeness_quantile(counts, n, quantiles[i]);

        if (bound > last)
            bins_split(c, bound);
        last = bound;
    }
}

static int column_task(void *ctx, size_t item, size_t worker, linkd_error *err)
{
    mixture *m = ctx;
    column *c = &m->columns[item];
    size_t *counts = calloc(LK_LIKENESS_GRID, sizeof(*counts));

    (void)worker;
    if (counts == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < m->n_sample; i++)
        counts[lk_likeness_of(&c->likeness, sample_values(m, i))]++;
    bins_make(c, counts, m->n_sample - counts[LK_LIKENESS_MISSING]);
    for (size_t i = 0; i < LK_LIKENESS_GRID; i++)
        c->n_pairs[c->bins[i]] += (double)counts[i];
    free(counts);
    return LINKD_OK;
}

static uint8_t bin_of(const column *c, const uint8_t *values)
{
    return c->bins[lk_likeness_of(&c->likeness, values)];
}

static int code_task(void *ctx, size_t item, size_t worker, linkd_error *err)
{
    mixture *m = ctx;
    size_t end = chunk_end(item, m->n_sample);

    (void)worker;
    (void)err;
    for (size_t i = item * CHUNK; i < end; i++)
        for (size_t c = 0; c < m->n_columns; c++)
            m->codes[i * m->n_columns + c] =
                bin_of(&m->columns[c], sample_values(m, i));
    return LINKD_OK;
}

/* ---- EM ----------------------------------------------------------------- */

static double match_probability(const mixture *m, size_t i)
{
    const uint8_t *codes = &m->codes[i * m->n_columns];
    double log_odds = m->prior;

    if (!m->started)
        return m->seeds[i * m->stride] ? SEED : NO_SEED;
    for (size_t c = 0; c < m->n_columns; c++)
        log_odds += m->columns[c].logs[codes[c]];
    if (log_odds > LOG_ODDS_MAX)
        log_odds = LOG_ODDS_MAX;
    if (log_odds < -LOG_ODDS_MAX)
        log_odds = -LOG_ODDS_MAX;
    return 1.0 / (1.0 + exp(-log_odds));
}

static int count_task(void *ctx, size_t item, size_t worker, linkd_error *err)
{
    mixture *m = ctx;
    double *part = &m->parts[item * part_len(m)];
    size_t end = chunk_end(item, m->n_sample);

    (void)worker;
    (void)err;
    memset(part, 0, part_len(m) * sizeof(*part));
    for (size_t i = item * CHUNK; i < end; i++) {
        const uint8_t *codes = &m->codes[i * m->n_columns];
        double match = match_probability(m, i);

        for (size_t c = 0; c < m->n_columns; c++)
            part[c * N_BINS + codes[c]] += match;
        part[m->n_columns * N_BINS] += match;
    }
    return LINKD_OK;
}

/* Into the first. */
static void parts_unite(mixture *m)
{
    size_t n_chunks = chunk_count(m->n_sample);

    for (size_t chunk = 1; chunk < n_chunks; chunk++)
        for (size_t i = 0; i < part_len(m); i++)
            m->parts[i] += m->parts[chunk * part_len(m) + i];
}

/* Every bin has one pair more than were seen: none is impossible. */
static void column_estimate(column *c, const double *matches, double n_matches,
                            double n_others, double weight)
{
    double all_matches = n_matches + (double)c->n_bins;
    double all_others = n_others + (double)c->n_bins;

    c->logs[0] = 0.0;
    for (size_t i = 1; i < c->n_bins; i++) {
        double match = (matches[i] + 1.0) / all_matches;
        double other = (c->n_pairs[i] - matches[i] + 1.0) / all_others;

        c->logs[i] = weight * log(match / other);
    }
}

static void estimate(mixture *m)
{
    double n_matches = m->parts[m->n_columns * N_BINS];
    double n_others = (double)m->n_sample - n_matches;
    double weight = WEIGHT / sqrt((double)m->n_columns);

    m->prior = log(n_matches / n_others);
    for (size_t c = 0; c < m->n_columns; c++)
        column_estimate(&m->columns[c], &m->parts[c * N_BINS], n_matches,
                        n_others, weight);
    m->started = true;
}

static int em_run(mixture *m, lk_pool *pool, linkd_error *err)
{
    size_t n_chunks = chunk_count(m->n_sample);

    for (size_t i = 0; i < ROUNDS; i++) {
        int rc = lk_pool_run(pool, n_chunks, count_task, m, err);

        if (rc != LINKD_OK)
            return rc;
        parts_unite(m);
        estimate(m);
    }
    return LINKD_OK;
}

static int score_task(void *ctx, size_t item, size_t worker, linkd_error *err)
{
    const mixture *m = ctx;
    size_t end = chunk_end(item, m->features->n_pairs);

    (void)worker;
    (void)err;
    for (size_t i = item * CHUNK; i < end; i++) {
        const uint8_t *values = &m->features->values[i * m->features->n];
        double log_odds = m->prior;

        for (size_t c = 0; c < m->n_columns; c++)
            log_odds += m->columns[c].logs[bin_of(&m->columns[c], values)];
        m->log_odds[i] = (float)log_odds;
    }
    return LINKD_OK;
}

/* ---- the whole ---------------------------------------------------------- */

/* A single feature as a column. */
static void column_add(mixture *m, size_t position)
{
    if (position == SIZE_MAX)
        return;
    m->columns[m->n_columns++].likeness = (lk_likeness){
        .field = LK_FIELD_RECORD, .n_columns = 1, .columns = {position}};
}

static int columns_init(mixture *m, linkd_error *err)
{
    lk_likeness *list = NULL;
    size_t n = 0;
    int rc = lk_likeness_list(m->features, &list, &n, err);

    if (rc != LINKD_OK)
        return rc;
    m->columns = calloc(n + N_EXTRA, sizeof(*m->columns));
    if (m->columns == NULL) {
        free(list);
        return lk_fail_nomem(err);
    }
    for (size_t i = 0; i < n; i++)
        m->columns[m->n_columns++].likeness = list[i];
    column_add(m,
               lk_feature_find(m->features, LK_FIELD_RECORD, LK_COMPARE_CODE));
    column_add(
        m, lk_feature_find(m->features, LK_FIELD_RECORD, LK_COMPARE_EVIDENCE));
    free(list);
    return LINKD_OK;
}

static int mixture_init(mixture *m, linkd_error *err)
{
    size_t n = m->features->n_pairs;
    int rc = columns_init(m, err);

    if (rc != LINKD_OK)
        return rc;
    m->stride = (n + SAMPLE_MAX - 1) / SAMPLE_MAX;
    m->n_sample = (n + m->stride - 1) / m->stride;
    m->codes = malloc(m->n_sample * m->n_columns + 1);
    m->parts =
        malloc(chunk_count(m->n_sample) * part_len(m) * sizeof(*m->parts));
    if (m->codes == NULL || m->parts == NULL)
        return lk_fail_nomem(err);
    return LINKD_OK;
}

static void mixture_clear(mixture *m)
{
    free(m->columns);
    free(m->codes);
    free(m->parts);
}

int lk_fs_em(const lk_features *features, const bool *seeds, lk_pool *pool,
             float *ret_log_odds, linkd_error *err)
{
    mixture m = {
        .features = features, .seeds = seeds, .log_odds = ret_log_odds};
    int rc;

    if (features->n_pairs == 0)
        return LINKD_OK;
    rc = mixture_init(&m, err);
    if (rc == LINKD_OK)
        rc = lk_pool_run(pool, m.n_columns, column_task, &m, err);
    if (rc == LINKD_OK)
        rc = lk_pool_run(pool, chunk_count(m.n_sample), code_task, &m, err);
    if (rc == LINKD_OK)
        rc = em_run(&m, pool, err);
    if (rc == LINKD_OK)
        rc = lk_pool_run(pool, chunk_count(features->n_pairs), score_task, &m,
                         err);
    mixture_clear(&m);
    return rc;
}
