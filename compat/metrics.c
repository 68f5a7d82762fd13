/* compat/metrics.c — what a change of models does to search, as numbers. */
#include <math.h>
#include <stdlib.h>

#include "compat/compat.h"
#include "compat/random.h"

static double reciprocal(uint32_t rank)
{
    return rank > 0 && rank <= 10 ? 1.0 / (double)rank : 0.0;
}

linkd_compat_metrics linkd_compat_metrics_of(const uint32_t *ranks, size_t n)
{
    linkd_compat_metrics m = {0};

    for (size_t i = 0; i < n; i++) {
        m.recall_1 += ranks[i] == 1;
        m.recall_10 += ranks[i] > 0 && ranks[i] <= 10;
        m.mrr_10 += reciprocal(ranks[i]);
    }
    if (n > 0) {
        m.recall_1 /= (double)n;
        m.recall_10 /= (double)n;
        m.mrr_10 /= (double)n;
    }
    return m;
}

linkd_flips linkd_compat_flips(const uint32_t *old_ranks,
                               const uint32_t *way_ranks, size_t n)
{
    linkd_flips flips = {0};

    for (size_t i = 0; i < n; i++) {
        flips.positive += old_ranks[i] != 1 && way_ranks[i] == 1;
        flips.negative += old_ranks[i] == 1 && way_ranks[i] != 1;
    }
    if (n > 0) {
        flips.positive /= (double)n;
        flips.negative /= (double)n;
    }
    return flips;
}

double linkd_compat_backfill_area(const double *shares, const double *metrics,
                                  size_t n)
{
    double area = 0.0;

    if (n < 2)
        return n == 1 ? metrics[0] : (double)NAN;
    for (size_t i = 1; i < n; i++)
        area += (shares[i] - shares[i - 1]) * (metrics[i] + metrics[i - 1]) / 2;
    return area / (shares[n - 1] - shares[0]);
}

linkd_compatibility linkd_compat_matrix_mean(const double *matrix, size_t n)
{
    linkd_compatibility c = {0};
    size_t n_better = 0;
    size_t n_known = 0;
    double sum = 0.0;

    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j <= i; j++) {
            double cell = matrix[i * n + j];
            double home = matrix[j * n + j];

            if (isnan(cell))
                continue;
            n_known++;
            sum += cell;
            c.n_cells += i != j && !isnan(home);
            n_better += i != j && cell > home;
        }
    c.ac = c.n_cells > 0 ? (double)n_better / (double)c.n_cells : (double)NAN;
    c.am = n_known > 0 ? sum / (double)n_known : (double)NAN;
    return c;
}

/* ---- bootstrap ---------------------------------------------------------- */

#define RESAMPLES ((size_t)1000)
/* Resampled values below the interval. */
#define BELOW ((size_t)(0.025 * (double)RESAMPLES))

/* Sums of reciprocal ranks over one resample of the queries. */
typedef struct sums {
    double old, way, new;
} sums;

static void sums_add(sums *s, const uint32_t *old_ranks,
                     const uint32_t *way_ranks, const uint32_t *new_ranks,
                     size_t i)
{
    s->old += reciprocal(old_ranks[i]);
    s->way += reciprocal(way_ranks[i]);
    s->new += new_ranks != NULL ? reciprocal(new_ranks[i]) : 0.0;
}

/* Without a new model the value is the mean difference. */
static double value_of(const sums *s, bool is_gain, size_t n)
{
    if (!is_gain)
        return (s->way - s->old) / (double)n;
    return s->new > s->old ? (s->way - s->old) / (s->new - s->old)
                           : (double)NAN;
}

static int double_compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Efron and Tibshirani 1993, 13.3: percentiles of the resampled values. A gain
 * has none in resamples without one; if these reach into the difference's
 * interval, which takes the same resamples, a share of it would be noise. */
static int bootstrap(const uint32_t *old_ranks, const uint32_t *way_ranks,
                     const uint32_t *new_ranks, size_t n, uint64_t seed,
                     linkd_interval *ret, linkd_error *err)
{
    lk_random random = {seed};
    double *values = malloc(RESAMPLES * sizeof(*values));
    size_t n_values = 0;
    sums all = {0};

    if (values == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < n; i++)
        sums_add(&all, old_ranks, way_ranks, new_ranks, i);
    for (size_t r = 0; r < RESAMPLES && n > 0; r++) {
        sums s = {0};

        for (size_t i = 0; i < n; i++)
            sums_add(&s, old_ranks, way_ranks, new_ranks,
                     lk_random_below(&random, n));
        values[n_values] = value_of(&s, new_ranks != NULL, n);
        n_values += isnan(values[n_values]) ? 0U : 1U;
    }
    qsort(values, n_values, sizeof(*values), double_compare);
    *ret = (linkd_interval){value_of(&all, new_ranks != NULL, n), (double)NAN,
                            (double)NAN};
    if (n_values < RESAMPLES - BELOW)
        ret->value = (double)NAN;
    if (!isnan(ret->value)) {
        ret->low = values[(size_t)(0.025 * (double)n_values)];
        ret->high = values[(size_t)(0.975 * (double)(n_values - 1))];
    }
    free(values);
    return LINKD_OK;
}

int linkd_compat_gain(const uint32_t *old_ranks, const uint32_t *way_ranks,
                      const uint32_t *new_ranks, size_t n, uint64_t seed,
                      linkd_interval *ret_gain, linkd_error *err)
{
    return bootstrap(old_ranks, way_ranks, new_ranks, n, seed, ret_gain, err);
}

int linkd_compat_difference(const uint32_t *old_ranks,
                            const uint32_t *way_ranks, size_t n, uint64_t seed,
                            linkd_interval *ret_difference, linkd_error *err)
{
    return bootstrap(old_ranks, way_ranks, NULL, n, seed, ret_difference, err);
}
