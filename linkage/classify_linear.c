/* linkage/classify_linear.c — softmax regression on vectors of length 1.
 *
 * Minimises  mean_i loss_i + PENALTY / (2 n) |W|^2,  the intercepts not
 * penalised, by Nesterov's accelerated gradient descent from zero, with restarts
 * where the momentum points uphill (O'Donoghue and Candès 2015). The Hessian of
 * the loss is at most 1/2 |x, 1|^2 = 1, so a step of 1 / (1 + PENALTY / n) needs
 * no search for its length.
 *
 *   examples ─► shares [n, n_labels] ─► gradient [n_labels, dim + 1] ─► step
 *              (tiles of examples)       (label by label)
 *
 * Workers take examples for the first and labels for the second, so every sum
 * has one order, whatever their number. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "linkage/classify.h"

/* C = 10 in the terms of libsvm and scikit-learn: coordinates of vectors of
 * length 1 are small, so weights have to be large. A guess. */
#define PENALTY       0.1
#define STEPS_MAX     300
#define GRADIENT_TINY 1e-5F
#define ROWS_PER_TILE ((size_t)256)

typedef struct linear {
    const lk_labelled *examples;
    size_t width;   /* dim + 1: the intercept is last */
    float *weights; /* [n_labels, width] */
    float *ahead;   /* the same, with the momentum: where gradients are taken */
    float *gradient; /* the same */
    float *shares;   /* [n, n_labels]: of each label, then minus the truth */
    double t;        /* Nesterov's sequence */
    /* of a prediction */
    const float *queries;
    size_t n_queries;
    lk_vote *votes;
} linear;

static size_t tiles_of(size_t n)
{
    return (n + ROWS_PER_TILE - 1) / ROWS_PER_TILE;
}

/* ret_shares [n_labels], their sum 1. */
static void shares_of(const linear *l, const float *weights,
                      const float *vector, float *ret_shares)
{
    size_t n = l->examples->n_labels;
    float most = -INFINITY;
    float sum = 0.0F;

    for (size_t c = 0; c < n; c++) {
        const float *w = weights + c * l->width;

        ret_shares[c] = linkd_index_score(w, vector, l->width - 1);
        ret_shares[c] += w[l->width - 1];
        most = fmaxf(most, ret_shares[c]);
    }
    for (size_t c = 0; c < n; c++) {
        ret_shares[c] = expf(ret_shares[c] - most);
        sum += ret_shares[c];
    }
    for (size_t c = 0; c < n; c++)
        ret_shares[c] /= sum;
}

/* ---- fitting ------------------------------------------------------------- */

static int errors_task(void *ctx, size_t tile, size_t worker, linkd_error *err)
{
    linear *l = ctx;
    const lk_labelled *e = l->examples;
    size_t end = (tile + 1) * ROWS_PER_TILE;

    (void)worker;
    (void)err;
    for (size_t i = tile * ROWS_PER_TILE; i < end && i < e->n; i++) {
        float *shares = l->shares + i * e->n_labels;

        shares_of(l, l->ahead, e->vectors + i * e->dim, shares);
        shares[e->labels[i]] -= 1.0F;
    }
    return LINKD_OK;
}

static int gradient_task(void *ctx, size_t label, size_t worker,
                         linkd_error *err)
{
    linear *l = ctx;
    const lk_labelled *e = l->examples;
    float *g = l->gradient + label * l->width;
    const float *w = l->ahead + label * l->width;

    (void)worker;
    (void)err;
    memset(g, 0, l->width * sizeof(*g));
    for (size_t i = 0; i < e->n; i++) {
        float error = l->shares[i * e->n_labels + label];
        const float *x = e->vectors + i * e->dim;

        for (size_t d = 0; d < e->dim; d++)
            g[d] += error * x[d];
        g[e->dim] += error;
    }
    for (size_t d = 0; d < l->width; d++)
        g[d] =
            (g[d] + (d < e->dim ? (float)PENALTY * w[d] : 0.0F)) / (float)e->n;
    return LINKD_OK;
}

/* One step from `ahead` to new weights, and the momentum for the next one;
 * answers the largest slope. */
static float step(linear *l)
{
    size_t n = l->examples->n_labels * l->width;
    float length = (float)(1.0 / (1.0 + PENALTY / (double)l->examples->n));
    double next_t = (1.0 + sqrt(1.0 + 4.0 * l->t * l->t)) / 2.0;
    float momentum = (float)((l->t - 1.0) / next_t);
    double uphill = 0.0;
    float most = 0.0F;

    for (size_t i = 0; i < n; i++)
        uphill +=
            (double)l->gradient[i] *
            (double)(l->ahead[i] - length * l->gradient[i] - l->weights[i]);
    if (uphill > 0.0) {
        next_t = 1.0;
        momentum = 0.0F;
    }
    for (size_t i = 0; i < n; i++) {
        float moved = l->ahead[i] - length * l->gradient[i];

        most = fmaxf(most, fabsf(l->gradient[i]));
        l->ahead[i] = moved + momentum * (moved - l->weights[i]);
        l->weights[i] = moved;
    }
    l->t = next_t;
    return most;
}

static int linear_fit(linear *l, lk_pool *pool, linkd_error *err)
{
    const lk_labelled *e = l->examples;

    l->t = 1.0;
    for (int i = 0; i < STEPS_MAX; i++) {
        int rc = lk_pool_run(pool, tiles_of(e->n), errors_task, l, err);

        if (rc == LINKD_OK)
            rc = lk_pool_run(pool, e->n_labels, gradient_task, l, err);
        if (rc != LINKD_OK)
            return rc;
        if (step(l) < GRADIENT_TINY)
            break;
    }
    return LINKD_OK;
}

/* ---- predicting ---------------------------------------------------------- */

/* Every worker has a row of `shares` as scratch. */
static int votes_task(void *ctx, size_t tile, size_t worker, linkd_error *err)
{
    linear *l = ctx;
    const lk_labelled *e = l->examples;
    float *shares = l->shares + worker * e->n_labels;
    size_t end = (tile + 1) * ROWS_PER_TILE;

    (void)err;
    for (size_t i = tile * ROWS_PER_TILE; i < end && i < l->n_queries; i++) {
        lk_vote vote = {0, -1.0F};

        shares_of(l, l->weights, l->queries + i * e->dim, shares);
        for (uint32_t c = 0; c < e->n_labels; c++)
            if (shares[c] > vote.confidence)
                vote = (lk_vote){c, shares[c]};
        l->votes[i] = vote;
    }
    return LINKD_OK;
}

int lk_classify_linear(const lk_labelled *examples, const float *queries,
                       size_t n_queries, lk_pool *pool, lk_vote *ret_votes,
                       linkd_error *err)
{
    size_t width = examples->dim + 1;
    size_t n_workers = lk_pool_n_workers(pool);
    size_t n_shares = examples->n > n_workers ? examples->n : n_workers;
    linear l = {.examples = examples,
                .width = width,
                .queries = queries,
                .n_queries = n_queries,
                .votes = ret_votes};
    int rc = LINKD_OK;

    l.weights = calloc(examples->n_labels * width, sizeof(*l.weights));
    l.ahead = calloc(examples->n_labels * width, sizeof(*l.ahead));
    l.gradient = calloc(examples->n_labels * width, sizeof(*l.gradient));
    l.shares = calloc(n_shares * examples->n_labels, sizeof(*l.shares));
    if (l.weights == NULL || l.ahead == NULL || l.gradient == NULL ||
        l.shares == NULL)
        rc = lk_fail_nomem(err);
    if (rc == LINKD_OK)
        rc = linear_fit(&l, pool, err);
    if (rc == LINKD_OK)
        rc = lk_pool_run(pool, tiles_of(n_queries), votes_task, &l, err);
    free(l.shares);
    free(l.gradient);
    free(l.ahead);
    free(l.weights);
    return rc;
}
