/* linkage/decision.h — private: from features to probabilities, with labels or
 * without, for two tables (decide_link.c) and for one (decide_dedup.c). */
#ifndef LK_LINKAGE_DECISION_H
#define LK_LINKAGE_DECISION_H

#include "linkage/boost.h"
#include "linkage/cluster.h"
#include "linkage/matching.h"

/* How pairs become the entities of one table, in the end. */
typedef struct lk_entities_rule {
    linkd_cluster method;
    lk_cluster_limits limits;
} lk_entities_rule;

/* All that a decision rests on. Borrowed. */
typedef struct lk_decision_input {
    const lk_pairset *pairs;
    const lk_features *features; /* of the pairs */
    const lk_features *random; /* the same features of pairs drawn at random */
    /* Texts: equal numbers are equal texts; [n_records]. */
    const uint32_t *text_numbers;
    const linkd_label *labels; /* records, not rows; [n_labels] */
    size_t n_labels;
    linkd_assign assign;              /* LINKD_ASSIGN_AUTO: to be found out */
    double threshold;                 /* probability, or LINKD_THRESHOLD_AUTO */
    const lk_entities_rule *entities; /* one table; NULL: average linkage */
    lk_pool *pool;
    const linkd_progress *progress; /* step "decide", see lk_rounds */
} lk_decision_input;

/* What was fitted, so that it can be explained and used again. */
typedef struct lk_fitted_model {
    lk_logistic logistic;
    lk_boost boost; /* n_trees 0: the logistic model decides */
    double prior;   /* log-odds that are added to the model's */
    /* What a model with labels sees beside the features, see stack.h; n 0:
     * nothing. */
    lk_features context;
} lk_fitted_model;

void lk_fitted_model_clear(lk_fitted_model *model);

typedef struct lk_outcome {
    float *log_odds;   /* [n_pairs]: of the pair alone */
    float *posteriors; /* [n_pairs]: among its rivals; calibrated */
    lk_multiplicity multiplicity;
    double threshold; /* the one asked for, or the best expected F1's */
    lk_fitted_model model;
    linkd_verdict verdict;
} lk_outcome;

LINKD_MUST_CHECK int lk_decide_link(const lk_decision_input *input,
                                    lk_outcome *ret_outcome, linkd_error *err);
/* Also ret_entities [n_records], numbered from 0 in order of first records. */
LINKD_MUST_CHECK int lk_decide_dedup(const lk_decision_input *input,
                                     lk_outcome *ret_outcome,
                                     size_t *ret_entities, linkd_error *err);
void lk_outcome_clear(lk_outcome *outcome);

/* Entities of pairs whose log-odds, or the mean of them, reach `stop`; `rule`
 * NULL is average linkage without limits; ret_entities [n_records]. */
LINKD_MUST_CHECK int lk_decide_entities(const lk_pairset *pairs,
                                        const float *log_odds, float stop,
                                        const lk_entities_rule *rule,
                                        size_t *ret_entities, linkd_error *err);

/* Even odds: the cut of entities that doubts are measured at, before a better
 * one is looked for. */
#define LK_ENTITIES_CUT_FIRST 0.5

/* Tries cuts below outcome->threshold, and takes the one with the best expected
 * F1, `n_unseen` matches beyond the candidates included. The outcome's log_odds
 * and posteriors are read; its threshold and what its verdict expects are of
 * `entities` before and after. */
LINKD_MUST_CHECK int
lk_decide_entities_cut(const lk_pairset *pairs, const lk_entities_rule *rule,
                       double n_unseen, lk_outcome *outcome,
                       size_t *entities /* [n_records] */, linkd_error *err);
/* The log-odds of a threshold. */
float lk_decide_entities_stop(double threshold);

/* ---- shared by the two -------------------------------------------------- */

/* How far a decision is, in rounds of fitting: about equal times. More may turn
 * out to be needed on the way, and are added to the total. */
typedef struct lk_rounds {
    const linkd_progress *progress;
    uint64_t done;
    uint64_t total;
} lk_rounds;
LINKD_MUST_CHECK int lk_rounds_begin(const linkd_progress *progress,
                                     uint64_t total, lk_rounds *ret_rounds,
                                     linkd_error *err);
/* One more is done. LINKD_E_CANCELLED: it was the last one that is wanted. */
LINKD_MUST_CHECK int lk_rounds_next(lk_rounds *rounds, linkd_error *err);

/* How implausible each pair is by chance: sum over fields of
 * -ln P(a random pair is at least this similar), times the record's mean of
 * gram and soft; ret_surprise [n_pairs]. research: a p-value per field, summed
 * as in Fisher's method. */
LINKD_MUST_CHECK int lk_surprise(const lk_features *features,
                                 const lk_features *random, lk_pool *pool,
                                 float *ret_surprise, linkd_error *err);

/* The share of strangers among pairs as surprising as each, by chance alone;
 * 1: chance explains all of them; all 0 with a single field, where it cannot be
 * told; ret_chances [n_pairs]. `n_possible`: how many pairs of records
 * there are. */
LINKD_MUST_CHECK int lk_chance(const lk_features *features,
                               const lk_features *random, double n_possible,
                               float *ret_chances, linkd_error *err);

/* Pairs of less are believed. */
#define LK_CHANCE_SURE 0.2F
/* The mean of the chances of those pairs whose `values` are above `least`; 0: there
 * are none. */
double lk_chance_mean(const float *chances, const float *values, float least,
                      size_t n);

/* The pairs that are the best of their a record, and of their b record;
 * each [n_pairs]. Of equal scores the earlier pair is the better one. */
void lk_best_pairs(const lk_pairset *pairs, const float *scores,
                   bool *ret_best_of_a, bool *ret_best_of_b,
                   uint32_t *scratch /* [n_records] */);
/* The same by how surprising the pairs of the input are. */
LINKD_MUST_CHECK int lk_most_surprising(const lk_decision_input *input,
                                        bool *ret_best_of_a,
                                        bool *ret_best_of_b, linkd_error *err);

/* The probability that a pair, or a pair of the same record that is as good, is a
 * match, where that record has at most one partner; at least the posterior;
 * ret_sums [n_pairs]. `log_ratios` and `multiplicity` are what the posteriors
 * were inferred from (matching.h). */
LINKD_MUST_CHECK int lk_twins(const lk_pairset *pairs, const float *log_ratios,
                              const float *posteriors,
                              lk_multiplicity multiplicity, float *ret_sums,
                              linkd_error *err);

/* Answers of pairs are 0, 1, or this one, which teaches nothing. */
#define LK_UNANSWERED ((uint8_t)255)
size_t lk_answers_count(const uint8_t *answers, size_t n, uint8_t answer);
/* Fewer matches teach nothing. */
#define LK_SEEDS_MIN 5
/* Are there so many, and others to tell them from? */
bool lk_answers_teach(const uint8_t *answers, size_t n);
/* Posteriors above are matches, and between the two teach nothing. */
#define LK_SURE_MIN  0.5F
#define LK_DOUBT_MIN 0.1F

/* Log-odds of every pair from a model that did not see it: two folds by the
 * pair's `a` record (within one table by the lower record). `answers` [n_pairs]:
 * 0, 1, or LK_UNANSWERED: left out of fitting. Many easy negatives are
 * sampled and reweighted. The model that is returned is fitted on both folds;
 * ret_model may be NULL if it is not wanted, which saves a third of the time.
 * Where one fold's examples all have the same answer, that model judges the
 * other.
 * LINKD_E_ARG: no example, or all have the same answer. */
LINKD_MUST_CHECK int lk_cross_fit(const lk_features *features,
                                  const lk_pairset *pairs,
                                  const uint8_t *answers, lk_pool *pool,
                                  float *ret_log_odds, lk_logistic *ret_model,
                                  linkd_error *err);
/* The same with a weight of each pair as an example. */
typedef struct lk_cross_input {
    const lk_features *features;
    const lk_pairset *pairs;
    const uint8_t *answers; /* [n_pairs] */
    const float *weights;   /* [n_pairs], 0: left out; NULL: all 1 */
    lk_pool *pool;
} lk_cross_input;
LINKD_MUST_CHECK int lk_cross_fit_weighted(const lk_cross_input *input,
                                           float *ret_log_odds,
                                           lk_logistic *ret_model,
                                           linkd_error *err);

/* Log-odds of all pairs where there is too little to fit a model on; ret_log_odds
 * [n_pairs]. */
void lk_fallback_log_odds(const lk_features *features, float *ret_log_odds);

/* Matches beyond the sum of the posteriors, a lower bound told by rows with empty
 * fields; and the share of rows that are in a pair at all, of the side where it
 * is greater. */
typedef struct lk_unseen {
    double n_matches;
    double share_compared;
} lk_unseen;
LINKD_MUST_CHECK int lk_unseen_count(const lk_pairset *pairs,
                                     const lk_features *features,
                                     const float *posteriors /* [n_pairs] */,
                                     lk_unseen *ret_unseen, linkd_error *err);

/* The cut with the best expected F1 of posteriors, and what is expected there.
 * `extra` are matches that are expected beyond the candidates. Never below .05. */
typedef struct lk_expected {
    double threshold, precision, recall, f1;
} lk_expected;
LINKD_MUST_CHECK int lk_expected_cut(const float *posteriors, size_t n,
                                     double extra, lk_expected *ret_expected,
                                     linkd_error *err);
/* What is expected of a cut that somebody asked for. */
lk_expected lk_expected_at(const float *posteriors, size_t n, double threshold,
                           double extra);
/* What is expected if the pairs within entities are accepted: fills in
 * precision, recall, f1, n_matches and n_unseen. */
void lk_expected_of_entities(const lk_pairset *pairs,
                             const float *posteriors /* [n_pairs] */,
                             const size_t *entities /* [n_records] */,
                             double n_unseen, linkd_verdict *verdict);

/* Sets `supported`, and `doubt` if it is empty and there is a reason; precision
 * and recall are as the candidates show, without what is unseen. */
void lk_doubt_consider(linkd_verdict *verdict, double share_compared);
/* The doubt of what fallback.c decides. */
void lk_doubt_too_few(linkd_verdict *verdict);

/* An expected precision that is less is that of similar strangers: of all tables
 * that were measured, those decided rightly have 0.93 and more. */
#define LK_PRECISION_MIN 0.9

#endif
