/* linkage/twins.c — pairs that lost to one that is just as good.
 *
 * Where a record has at most one partner, its candidates share one match:
 *
 *   "ana ruiz"   and "ana ruiz, actor"     .23
 *                and "ana ruiz, actor"     .23    the same person four times
 *                and "ana ruiz, actor"     .23    in the other table: .92 that
 *                and "ana ruiz, writer"    .23    it is one of them
 *                and "ana luz, writer"     .01
 *
 * Each of a dozen such twins is improbable by itself, and yet none of them says
 * that two records which look like this are different: that they lost is due to
 * their number. So what a pair may teach is told by the probability that the
 * pair or one of its twins is a match.
 *
 * Twins are pairs of one record whose likelihood ratios, put in order, follow
 * each other closely. Pairs that are out of the question anyway, because their
 * other record has a better partner, are nobody's twins: they lost by what they
 * look like. */
#include <stdlib.h>

#include "linkage/decision.h"

/* Log ratios of twins differ by no more from one to the next. Of 0, 0.2 and 0.5
 * this is the best of twelve sets; from 0.5 on, versions of a paper become twins
 * (2026-11-29, docs/decisions.md). */
#define GAP 0.2F

/* Posteriors below are out of the question; a guess that leaves a thousand
 * twins. Few pairs are above, so that sorting them costs little. */
#define POSSIBLE_MIN 1e-3F

/* A pair as one of a record's. */
typedef struct rival {
    uint32_t record;
    float log_ratio;
    uint32_t pair;
} rival;

static int rival_compare(const void *a, const void *b)
{
    const rival *x = a;
    const rival *y = b;

    if (x->record != y->record)
        return x->record < y->record ? -1 : 1;
    if (x->log_ratio != y->log_ratio)
        return x->log_ratio < y->log_ratio ? -1 : 1;
    return (x->pair > y->pair) - (x->pair < y->pair);
}

static size_t possible_count(const float *posteriors, size_t n)
{
    size_t n_possible = 0;

    for (size_t i = 0; i < n; i++)
        n_possible += posteriors[i] >= POSSIBLE_MIN;
    return n_possible;
}

/* Every possible pair, once for each of its records that has one partner. */
static size_t rivals_list(const lk_pairset *pairs, const float *log_ratios,
                          const float *posteriors, lk_multiplicity multiplicity,
                          rival *ret_rivals)
{
    bool single_a =
        multiplicity == LK_ONE_TO_ONE || multiplicity == LK_MANY_TO_ONE;
    bool single_b =
        multiplicity == LK_ONE_TO_ONE || multiplicity == LK_ONE_TO_MANY;
    size_t n = 0;

    for (size_t i = 0; i < pairs->n; i++) {
        if (posteriors[i] < POSSIBLE_MIN)
            continue;
        if (single_a)
            ret_rivals[n++] = (rival){pairs->a[i], log_ratios[i], (uint32_t)i};
        if (single_b)
            ret_rivals[n++] = (rival){pairs->b[i], log_ratios[i], (uint32_t)i};
    }
    return n;
}

static bool are_twins(const rival *x, const rival *next)
{
    return x->record == next->record && next->log_ratio - x->log_ratio <= GAP;
}

/* From `begin` on; answers where the next twins begin. */
static size_t twins_sum(const rival *rivals, size_t n, size_t begin,
                        const float *posteriors, float *sums)
{
    double sum = (double)posteriors[rivals[begin].pair];
    size_t end = begin + 1;

    for (; end < n && are_twins(&rivals[end - 1], &rivals[end]); end++)
        sum += (double)posteriors[rivals[end].pair];
    for (size_t i = begin; i < end; i++)
        if ((float)sum > sums[rivals[i].pair])
            sums[rivals[i].pair] = (float)sum;
    return end;
}

int lk_twins(const lk_pairset *pairs, const float *log_ratios,
             const float *posteriors, lk_multiplicity multiplicity,
             float *ret_sums, linkd_error *err)
{
    size_t n = 2 * possible_count(posteriors, pairs->n);
    rival *rivals = calloc(n + 1, sizeof(*rivals));

    if (rivals == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < pairs->n; i++)
        ret_sums[i] = posteriors[i];
    n = rivals_list(pairs, log_ratios, posteriors, multiplicity, rivals);
    qsort(rivals, n, sizeof(*rivals), rival_compare);
    for (size_t i = 0; i < n;)
        i = twins_sum(rivals, n, i, posteriors, ret_sums);
    free(rivals);
    return LINKD_OK;
}
