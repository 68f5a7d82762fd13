/* linkage/logistic.h — private: logistic regression on pair features.
 *
 * The model sees each feature x as three columns: x, x * x (0 where missing) and
 * "is missing", so a feature's effect may bend and absence has a weight of its
 * own. Fitted by Newton's method (iteratively reweighted least squares) with an
 * L2 penalty: minimise sum_i w_i * loss_i + penalty / 2 * |weights|^2, the
 * intercept not penalised (Hastie, Tibshirani, Friedman, 2nd ed., 4.4.1). The
 * penalty is on the weights of columns from 0 to 1, as they are. */
#ifndef LK_LINKAGE_LOGISTIC_H
#define LK_LINKAGE_LOGISTIC_H

#include "linkage/features.h"

/* One weighted example: pair number, answer, weight. */
typedef struct lk_example {
    uint32_t pair;
    float answer; /* 0 or 1 */
    float weight;
} lk_example;

/* The log-odds of the answers alone. LINKD_E_ARG: no example, all answers are
 * the same, or the weights are too large to compute with. */
LINKD_MUST_CHECK int lk_examples_prior(const lk_example *examples, size_t n,
                                       double *ret_prior, linkd_error *err);

typedef struct lk_logistic {
    double *weights; /* [1 + 3 * n_features]: intercept, then x, x * x, missing
                        of each feature */
    size_t n_features;
} lk_logistic;

/* LINKD_E_ARG: no example, all answers are the same, or weights too large to
 * compute with. Deterministic, and the same for any number of workers. */
LINKD_MUST_CHECK int lk_logistic_fit(const lk_features *features,
                                     const lk_example *examples, size_t n,
                                     double penalty, lk_pool *pool,
                                     lk_logistic *ret_model, linkd_error *err);
/* The same from the weights of a model of like examples, which are replaced:
 * less work for the same answer. On failure the model is as it was. */
LINKD_MUST_CHECK int lk_logistic_refit(const lk_features *features,
                                       const lk_example *examples, size_t n,
                                       double penalty, lk_pool *pool,
                                       lk_logistic *model, linkd_error *err);
void lk_logistic_clear(lk_logistic *model);

/* Log-odds of one pair's features [n_features]. */
double lk_logistic_log_odds(const lk_logistic *model, const uint8_t *values);
/* What each feature adds to the log-odds; ret_parts [n_features]. */
void lk_logistic_parts(const lk_logistic *model, const uint8_t *values,
                       double *ret_parts);

/* ---- for loops over many pairs ------------------------------------------ */

/* What every byte of every feature adds to the log-odds. */
typedef struct lk_logistic_table {
    float *parts; /* [n_features, 256] */
    size_t n_features;
    float intercept;
} lk_logistic_table;

LINKD_MUST_CHECK int lk_logistic_table_make(const lk_logistic *model,
                                            lk_logistic_table *ret_table,
                                            linkd_error *err);
void lk_logistic_table_clear(lk_logistic_table *table);
/* As lk_logistic_log_odds() up to the rounding of floats. */
float lk_logistic_table_log_odds(const lk_logistic_table *table,
                                 const uint8_t *values);

#endif
