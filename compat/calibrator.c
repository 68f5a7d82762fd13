/* compat/calibrator.c — scores to log-odds by a line with a positive slope.
 *
 * Logistic regression on one variable by Newton's method, with Platt's (1999)
 * softened targets, so that separable scores have a finite slope. Steps of an
 * isotonic fit would make ties, and reorder most top tens. */
#include <math.h>

#include "compat/compat.h"

enum {
    STEPS_MAX = 100,
};

/* The centred and scaled score, so that Newton's steps are well behaved. */
typedef struct scale {
    double mean, deviation;
} scale;

static int scale_of(const float *scores, size_t n, scale *ret, linkd_error *err)
{
    double sum = 0.0;
    double squares = 0.0;

    for (size_t i = 0; i < n; i++) {
        if (!isfinite(scores[i]))
            return lk_fail(err, LINKD_E_DATA, "score %zu is not finite", i + 1);
        sum += (double)scores[i];
    }
    ret->mean = sum / (double)n;
    for (size_t i = 0; i < n; i++) {
        double d = (double)scores[i] - ret->mean;

        squares += d * d;
    }
    ret->deviation = sqrt(squares / (double)n);
    if (!(ret->deviation > 0.0))
        return lk_fail(err, LINKD_E_DATA, "all scores are the same");
    return LINKD_OK;
}

/* Gradient and Hessian of the loss at slope a and offset b. */
typedef struct newton {
    double ga, gb, haa, hab, hbb, loss;
} newton;

static newton newton_at(const float *scores, const bool *is_match, size_t n,
                        const scale *s, double a, double b,
                        const double targets[2])
{
    newton at = {0};

    for (size_t i = 0; i < n; i++) {
        double x = ((double)scores[i] - s->mean) / s->deviation;
        double t = targets[is_match[i]];
        double z = a * x + b;
        double p = 1.0 / (1.0 + exp(-z));
        double w = p * (1.0 - p);

        at.ga += (p - t) * x;
        at.gb += p - t;
        at.haa += w * x * x;
        at.hab += w * x;
        at.hbb += w;
        /* log(1 + e^z) - t z, without overflow */
        at.loss += fmax(z, 0.0) + log1p(exp(-fabs(z))) - t * z;
    }
    return at;
}

static void line_fit(const float *scores, const bool *is_match, size_t n,
                     const scale *s, const double targets[2], double *ret_a,
                     double *ret_b)
{
    double a = 1.0;
    double b = 0.0;
    newton at = newton_at(scores, is_match, n, s, a, b, targets);

    for (size_t step = 0; step < STEPS_MAX; step++) {
        double ridge = 1e-9 * (at.haa + at.hbb) + 1e-12;
        double det = (at.haa + ridge) * (at.hbb + ridge) - at.hab * at.hab;
        double da = ((at.hbb + ridge) * at.ga - at.hab * at.gb) / det;
        double db = ((at.haa + ridge) * at.gb - at.hab * at.ga) / det;
        double size = 1.0;
        newton next;

        do { /* halve until the loss falls */
            next = newton_at(scores, is_match, n, s, a - size * da,
                             b - size * db, targets);
            size /= 2.0;
        } while (next.loss > at.loss && size > 1e-10);
        if (next.loss > at.loss - 1e-12 * (1.0 + at.loss))
            break;
        a -= 2.0 * size * da;
        b -= 2.0 * size * db;
        at = next;
    }
    *ret_a = a;
    *ret_b = b;
}

int linkd_calibrator_fit(const float *scores, const bool *is_match, size_t n,
                         linkd_calibrator *ret_calibrator, linkd_error *err)
{
    size_t n_matches = 0;
    double targets[2];
    double a, b;
    scale s = {0};
    int rc;

    for (size_t i = 0; i < n; i++)
        n_matches += is_match[i];
    if (n_matches == 0 || n_matches == n)
        return lk_fail(err, LINKD_E_ARG,
                       "scores of matches and of others are needed, both");
    rc = scale_of(scores, n, &s, err);
    if (rc != LINKD_OK)
        return rc;
    targets[0] = 1.0 / ((double)(n - n_matches) + 2.0);
    targets[1] = ((double)n_matches + 1.0) / ((double)n_matches + 2.0);
    line_fit(scores, is_match, n, &s, targets, &a, &b);
    if (!(a > 0.0) || !isfinite(b))
        return lk_fail(err, LINKD_E_DATA,
                       "matches do not score higher than others");
    *ret_calibrator =
        (linkd_calibrator){a / s.deviation, b - a * s.mean / s.deviation};
    return LINKD_OK;
}

double linkd_calibrator_log_odds(const linkd_calibrator *calibrator,
                                 double score)
{
    return calibrator->slope * score + calibrator->offset;
}

double linkd_calibrator_score(const linkd_calibrator *calibrator,
                              double log_odds)
{
    return (log_odds - calibrator->offset) / calibrator->slope;
}
