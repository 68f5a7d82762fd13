/* compat/quantiles.c — what share of impostors a threshold lets in.
 *
 *   knot 0                     knot i                         knot 511
 *   lowest score     share above it falls as 10^(-D i / 511)  highest score
 *
 * Thresholds lie where one impostor in a thousand or a million is, so that the
 * knots stand at shares that fall geometrically from 1 to 1 / n, D = log10 n.
 * Between two knots the logarithm of the share is linear in the score. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "compat/compat.h"

/* A float's bits as a number of the same order: those of a negative one turned
 * over, of others above them all. */
static uint32_t key_of(float value)
{
    uint32_t bits;

    memcpy(&bits, &value, sizeof(bits));
    return bits & 0x80000000U ? ~bits : bits | 0x80000000U;
}

enum {
    DIGIT_BITS = 11,
    N_DIGITS = 3, /* 33 bits: all of a float */
    N_BUCKETS = 1 << DIGIT_BITS,
};

static size_t bucket_of(float value, int digit)
{
    return (key_of(value) >> (digit * DIGIT_BITS)) & (N_BUCKETS - 1);
}

/* By the lowest digit first (Knuth 5.2.5): millions of scores in a tenth of the
 * time that comparing takes. */
static int scores_sort(float *scores, size_t n, linkd_error *err)
{
    float *other = malloc(n * sizeof(*other));

    if (other == NULL)
        return lk_fail_nomem(err);
    for (int digit = 0; digit < N_DIGITS; digit++) {
        size_t starts[N_BUCKETS + 1] = {0};

        for (size_t i = 0; i < n; i++)
            starts[bucket_of(scores[i], digit) + 1]++;
        for (size_t i = 1; i < N_BUCKETS; i++)
            starts[i] += starts[i - 1];
        for (size_t i = 0; i < n; i++)
            other[starts[bucket_of(scores[i], digit)]++] = scores[i];
        memcpy(scores, other, n * sizeof(*scores));
    }
    free(other);
    return LINKD_OK;
}

/* The share of impostors with at least the score of knot i. */
static double share_at(const linkd_quantiles *q, size_t i)
{
    return pow((double)q->n, -(double)i / (LINKD_QUANTILES - 1));
}

int linkd_quantiles_make(float *scores, size_t n,
                         linkd_quantiles *ret_quantiles, linkd_error *err)
{
    int rc;

    if (n < LINKD_QUANTILES)
        return lk_fail(err, LINKD_E_ARG,
                       "%zu scores are too few for a distribution: %d at least",
                       n, LINKD_QUANTILES);
    for (size_t i = 0; i < n; i++)
        if (!isfinite(scores[i]))
            return lk_fail(err, LINKD_E_DATA, "score %zu is not finite", i + 1);
    rc = scores_sort(scores, n, err);
    if (rc != LINKD_OK)
        return rc;
    ret_quantiles->n = n;
    for (size_t i = 0; i < LINKD_QUANTILES; i++) {
        double above = share_at(ret_quantiles, i) * (double)n;
        size_t rank = (size_t)fmin(fmax(above, 1.0) + 0.5, (double)n);

        ret_quantiles->scores[i] = scores[n - rank];
    }
    return LINKD_OK;
}

double linkd_quantiles_false_match_rate(const linkd_quantiles *quantiles,
                                        double score)
{
    const float *s = quantiles->scores;
    size_t low = 0;
    size_t high = LINKD_QUANTILES - 1;
    double part, span;

    if (score <= (double)s[0])
        return 1.0;
    if (score > (double)s[high])
        return 0.0;
    while (high - low > 1) { /* s[low] < score <= s[high] */
        size_t middle = low + (high - low) / 2;

        if ((double)s[middle] < score)
            low = middle;
        else
            high = middle;
    }
    span = (double)s[high] - (double)s[low];
    part = span > 0.0 ? (score - (double)s[low]) / span : 1.0;
    return pow(share_at(quantiles, low), 1.0 - part) *
           pow(share_at(quantiles, high), part);
}

double linkd_quantiles_score(const linkd_quantiles *quantiles, double rate)
{
    double at = -log(fmax(rate, 1e-300)) / log((double)quantiles->n) *
                (LINKD_QUANTILES - 1);
    size_t low;
    double part;

    if (at <= 0.0)
        return (double)quantiles->scores[0];
    if (at >= LINKD_QUANTILES - 1)
        return (double)quantiles->scores[LINKD_QUANTILES - 1];
    low = (size_t)at;
    part = at - (double)low;
    return (1.0 - part) * (double)quantiles->scores[low] +
           part * (double)quantiles->scores[low + 1];
}
