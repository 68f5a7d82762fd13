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

#include "compat/compat.h"

static int float_compare(const void *a, const void *b)
{
    float x = *(const float *)a;
    float y = *(const float *)b;

    return (x > y) - (x < y);
}

/* The share of impostors with at least the score of knot i. */
static double share_at(const linkd_quantiles *q, size_t i)
{
    return pow((double)q->n, -(double)i / (LINKD_QUANTILES - 1));
}

int linkd_quantiles_make(float *scores, size_t n,
                         linkd_quantiles *ret_quantiles, linkd_error *err)
{
    if (n < LINKD_QUANTILES)
        return lk_fail(err, LINKD_E_ARG,
                       "%zu scores are too few for a distribution: %d at least",
                       n, LINKD_QUANTILES);
    for (size_t i = 0; i < n; i++)
        if (!isfinite(scores[i]))
            return lk_fail(err, LINKD_E_DATA, "score %zu is not finite", i + 1);
    qsort(scores, n, sizeof(*scores), float_compare);
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
