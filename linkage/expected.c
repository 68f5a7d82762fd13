/* linkage/expected.c — the cut with the best expected F1.
 *
 * Of k accepted pairs, tp = the sum of their posteriors are expected to be
 * right, of S = the sum of all posteriors (and of what lies beyond the
 * candidates), so F1 = 2 tp / (k + S). Accepting one more pair helps as long as
 * its posterior is above F1 / 2. That makes the best cut the fixed point of
 * "accept what is above half of the F1 of what was accepted" (Dinkelbach 1967),
 * which from below is reached in a handful of passes: nothing is sorted or
 * allocated. The ratio of expectations stands for the expectation of the ratio;
 * with more than a few pairs they are the same. */
#include <math.h>

#include "linkage/decision.h"

/* No pair is told that is less likely, however few others there are: of one row
 * and a table of strangers the best expected F1 would take the nearest. A guess;
 * half of an F1 of 0.1, which no benchmark is near. */
#define CUT_MIN 0.05

/* The pairs above a cut. */
typedef struct accepted {
    size_t n;
    double sum;     /* of their posteriors */
    float smallest; /* of them */
} accepted;

static accepted accept_above(const float *posteriors, size_t n, double cut)
{
    accepted a = {.smallest = 1.0F};

    for (size_t i = 0; i < n; i++) {
        if ((double)posteriors[i] <= cut)
            continue;
        a.n++;
        a.sum += (double)posteriors[i];
        if (posteriors[i] < a.smallest)
            a.smallest = posteriors[i];
    }
    return a;
}

static lk_expected judge(const accepted *a, double total)
{
    return (lk_expected){.threshold = (double)a->smallest,
                         .precision = a->sum / (double)a->n,
                         .recall = a->sum / total,
                         .f1 = 2.0 * a->sum / ((double)a->n + total)};
}

int lk_expected_cut(const float *posteriors, size_t n, double extra,
                    lk_expected *ret_expected, linkd_error *err)
{
    lk_expected expected = {.threshold = 1.0};
    accepted last;
    double total;

    for (size_t i = 0; i < n; i++)
        if (!(posteriors[i] >= 0.0F && posteriors[i] <= 1.0F))
            return lk_fail(err, LINKD_E_ARG,
                           "posterior %zu is not a probability", i);
    last = accept_above(posteriors, n, 0.0);
    total = last.sum + extra;
    /* Each set lies within the one before, so equal sizes are equal sets. */
    while (last.n > 0) {
        accepted next;

        expected = judge(&last, total);
        next = accept_above(posteriors, n, expected.f1 / 2.0);
        if (next.n == last.n)
            break;
        last = next;
    }
    if (expected.threshold < CUT_MIN)
        expected = lk_expected_at(posteriors, n, CUT_MIN, extra);
    *ret_expected = expected;
    return LINKD_OK;
}

lk_expected lk_expected_at(const float *posteriors, size_t n, double threshold,
                           double extra)
{
    /* the threshold itself counts */
    float below = nextafterf((float)threshold, -1.0F);
    accepted a = accept_above(posteriors, n, (double)below);
    double total = accept_above(posteriors, n, 0.0).sum + extra;
    lk_expected expected = {0};

    if (a.n > 0)
        expected = judge(&a, total);
    expected.threshold = threshold;
    return expected;
}

void lk_expected_of_entities(const lk_pairset *pairs, const float *posteriors,
                             const size_t *entities, double n_unseen,
                             linkd_verdict *verdict)
{
    accepted in = {0};
    double total = n_unseen;

    for (size_t i = 0; i < pairs->n; i++) {
        double p = (double)posteriors[i];
        bool is_in = entities[pairs->a[i]] == entities[pairs->b[i]];

        in.n += is_in;
        in.sum += is_in ? p : 0.0;
        total += p;
    }
    verdict->precision = in.n > 0 ? in.sum / (double)in.n : 0.0;
    verdict->recall = total > 0.0 ? in.sum / total : 0.0;
    verdict->f1 = total > 0.0 ? 2.0 * in.sum / ((double)in.n + total) : 0.0;
    verdict->n_matches = total - n_unseen;
    verdict->n_unseen = n_unseen;
}
