/* linkage/learn.c — probabilities learned from answered pairs.
 *
 *   labels ───────────┐
 *   decision without  ├─► examples ─► models, each on 4 of 5 folds ─► which
 *   labels ─► stack ──┘                                               foretells
 *                                                                     best?
 *   the best on all examples ─► calibrated by what it said of held-out labels
 *                            ─► every pair's log-odds
 *
 * What was decided without labels is used thrice, so that few labels never do
 * harm. It is stacked as features (stack.h). A sample of pairs carries its
 * probabilities as examples of little weight ("trust"): with few labels a model
 * that fits them well says what was said before, with many they hardly count,
 * and far from all labels they keep it sane (Schapire et al. 2002, incorporating
 * prior knowledge into boosting). And it takes part in the comparison: where no
 * model is better on labels that it did not see, nothing changes but the
 * answered pairs.
 *
 * If all answers are yes, the rivals of the matches stand in for the other
 * answers: unlikely candidates of the same records, which together weigh as much
 * as the matches.
 *
 * Labels are held out by the pair's first record, since pairs of one record
 * resemble each other. */
#include "linkage/learn.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "linkage/learned.h"
#include "linkage/stack.h"

enum {
    FOLDS = 5,
    NO_FOLD = FOLDS, /* the fold to hold out: none */
    /* Answers of each kind below which nothing is compared: guess. */
    ANSWERS_MIN = 5,
    /* Pairs that stand for the decision without labels, of those it accepts
     * and of the others: guess. */
    TRUSTED = 1000,
};

/* L2 on weights: the usual 1. */
#define PENALTY 1.0

/* A pair this unlikely may stand for a "no" that nobody gave. */
#define RIVAL_MAX 0.1F

/* No probability is believed beyond when models are compared: one label that is
 * wrong must not outweigh all others. */
#define LOSS_MARGIN 0.005

/* Log-odds of pairs that were answered. */
#define PINNED 1000.0F

typedef struct recipe {
    bool boosted;
    double trust; /* weight of what was decided without labels, in labels */
} recipe;

static const recipe RECIPES[] = {
    {false, 10.0}, {false, 100.0}, {true, 10.0}, {true, 100.0}};

enum {
    N_RECIPES = sizeof(RECIPES) / sizeof(*RECIPES),
};

/* With so many labels trust makes no difference, and is not tried twice. */
#define LABELS_PLENTY ((size_t)2000)

typedef struct learner {
    const lk_decision_input *input;
    const lk_outcome *outcome;  /* decided without labels */
    const lk_features *context; /* see stack.h */
    uint8_t *answers;           /* [n_pairs] */
    float *weights;             /* [n_pairs]: of answered pairs */
    lk_features rows;  /* stacked: answered pairs first, then trusted ones */
    uint32_t *pair_of; /* [rows.n_pairs] */
    size_t n_answered;
    size_t n_yes;
    lk_example *examples; /* [n_answered + 2 trusted] */
    float *held_out;      /* [n_answered]: log-odds by one recipe */
    float *best_held_out; /* by the best so far */
    bool is_positive_only;
} learner;

static double sigmoid(double x)
{
    return 1.0 / (1.0 + exp(-x));
}

static uint32_t fold_of(const learner *l, size_t pair)
{
    return (uint32_t)((l->input->pairs->a[pair] * 2654435761U >> 16) % FOLDS);
}

/* ---- answers ------------------------------------------------------------ */

static void labels_mark(learner *l)
{
    const lk_decision_input *in = l->input;

    memset(l->answers, LK_UNANSWERED, in->pairs->n);
    for (size_t i = 0; i < in->n_labels; i++) {
        const linkd_label *label = &in->labels[i];
        size_t pair = lk_pairset_find(in->pairs, label->left, label->right);

        LK_ASSERT(pair != SIZE_MAX);
        l->answers[pair] = label->match;
        l->weights[pair] = 1.0F;
    }
}

/* Unlikely candidates of the records of matches become "no" with a weight that
 * makes those of a record as heavy as its matches. `counts` [n_records, 2]:
 * matches, rivals. */
static void rivals_mark(learner *l, uint32_t (*counts)[2])
{
    const lk_pairset *p = l->input->pairs;
    const float *chances = l->outcome->posteriors;

    for (size_t i = 0; i < p->n; i++) {
        size_t kind = l->answers[i] == 1 ? 0 : 1;

        if (kind == 1 && chances[i] > RIVAL_MAX)
            continue;
        counts[p->a[i]][kind]++;
        counts[p->b[i]][kind]++;
    }
    for (size_t i = 0; i < p->n; i++) {
        const uint32_t *of_a = counts[p->a[i]];
        const uint32_t *of_b = counts[p->b[i]];

        if (l->answers[i] == 1 || chances[i] > RIVAL_MAX ||
            of_a[0] + of_b[0] == 0)
            continue;
        l->answers[i] = 0;
        l->weights[i] =
            (float)of_a[0] / (float)of_a[1] + (float)of_b[0] / (float)of_b[1];
    }
}

static int answers_make(learner *l, linkd_error *err)
{
    size_t n = l->input->pairs->n;
    uint32_t(*counts)[2] = NULL;

    labels_mark(l);
    l->n_yes = lk_answers_count(l->answers, n, 1);
    l->is_positive_only =
        l->n_yes > 0 && lk_answers_count(l->answers, n, 0) == 0;
    if (!l->is_positive_only)
        return LINKD_OK;
    counts = calloc(l->input->pairs->n_records + 1, sizeof(*counts));
    if (counts == NULL)
        return lk_fail_nomem(err);
    rivals_mark(l, counts);
    free(counts);
    return LINKD_OK;
}

/* ---- rows --------------------------------------------------------------- */

/* Of the pairs that are likely, or unlikely, without labels. */
static bool is_trusted(const learner *l, size_t pair, bool likely)
{
    return l->answers[pair] == LK_UNANSWERED &&
           (l->outcome->posteriors[pair] >= 0.5F) == likely;
}

/* Evenly spaced ones, so that all records have their share. */
static void trusted_add(learner *l, bool likely)
{
    size_t n = 0;
    size_t seen = 0;

    for (size_t i = 0; i < l->input->pairs->n; i++)
        n += is_trusted(l, i, likely);
    for (size_t i = 0; i < l->input->pairs->n; i++) {
        size_t wanted = n < TRUSTED ? n : TRUSTED;

        if (!is_trusted(l, i, likely))
            continue;
        if (seen * wanted / n != (seen + 1) * wanted / n)
            l->pair_of[l->rows.n_pairs++] = (uint32_t)i;
        seen++;
    }
}

static int rows_make(learner *l, linkd_error *err)
{
    size_t n = l->input->pairs->n;
    size_t n_answered = n - lk_answers_count(l->answers, n, LK_UNANSWERED);
    size_t capacity = n_answered + 2 * (size_t)TRUSTED;

    l->rows.n = l->input->features->n + l->context->n;
    l->pair_of = calloc(capacity, sizeof(*l->pair_of));
    l->rows.values = calloc(capacity, l->rows.n);
    l->examples =
        calloc(n_answered + 4 * (size_t)TRUSTED, sizeof(*l->examples));
    l->held_out = calloc(n_answered + 1, sizeof(*l->held_out));
    l->best_held_out = calloc(n_answered + 1, sizeof(*l->best_held_out));
    if (l->pair_of == NULL || l->rows.values == NULL || l->examples == NULL ||
        l->held_out == NULL || l->best_held_out == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < l->input->pairs->n; i++)
        if (l->answers[i] != LK_UNANSWERED)
            l->pair_of[l->rows.n_pairs++] = (uint32_t)i;
    l->n_answered = l->rows.n_pairs;
    trusted_add(l, true);
    trusted_add(l, false);
    for (size_t i = 0; i < l->rows.n_pairs; i++)
        lk_stack_row(l->input->features, l->context, l->pair_of[i],
                     l->rows.values + i * l->rows.n);
    return LINKD_OK;
}

/* ---- one model ---------------------------------------------------------- */

static void example_add(learner *l, size_t *n, size_t row, double answer,
                        double weight)
{
    if (weight > 1e-6)
        l->examples[(*n)++] = (lk_example){.pair = (uint32_t)row,
                                           .answer = (float)answer,
                                           .weight = (float)weight};
}

/* All but those of a fold; likely and unlikely pairs have half of the trust
 * each. */
static size_t examples_make(learner *l, uint32_t fold, double trust)
{
    size_t n_trusted = l->rows.n_pairs - l->n_answered;
    size_t n_likely = 0;
    size_t n = 0;

    for (size_t i = 0; i < l->n_answered; i++) {
        size_t pair = l->pair_of[i];

        if (fold_of(l, pair) != fold)
            example_add(l, &n, i, l->answers[pair], (double)l->weights[pair]);
    }
    for (size_t i = l->n_answered; i < l->rows.n_pairs; i++)
        n_likely += l->outcome->posteriors[l->pair_of[i]] >= 0.5F;
    for (size_t i = l->n_answered; i < l->rows.n_pairs; i++) {
        double p = (double)l->outcome->posteriors[l->pair_of[i]];
        double share = (double)(p >= 0.5 ? n_likely : n_trusted - n_likely);

        example_add(l, &n, i, 1.0, 0.5 * trust / share * p);
        example_add(l, &n, i, 0.0, 0.5 * trust / share * (1.0 - p));
    }
    return n;
}

static bool examples_teach(const learner *l, size_t n)
{
    bool seen[2] = {false, false};

    for (size_t i = 0; i < n; i++)
        seen[l->examples[i].answer > 0.5F] = true;
    return seen[0] && seen[1];
}

/* Leaves the model empty if the examples are all of one kind. */
static int model_fit(learner *l, const recipe *r, uint32_t fold,
                     lk_fitted_model *ret_model, linkd_error *err)
{
    lk_boost_options options = LK_BOOST_OPTIONS_INIT;
    size_t n = examples_make(l, fold, r->trust);

    *ret_model = (lk_fitted_model){0};
    if (!examples_teach(l, n))
        return LINKD_OK;
    if (r->boosted)
        return lk_boost_fit(&l->rows, l->examples, n, &options, l->input->pool,
                            &ret_model->boost, err);
    return lk_logistic_fit(&l->rows, l->examples, n, PENALTY, l->input->pool,
                           &ret_model->logistic, err);
}

static bool is_fitted(const lk_fitted_model *model)
{
    return model->boost.n_trees > 0 || model->logistic.weights != NULL;
}

/* ---- which model? ------------------------------------------------------- */

/* Mean log-loss of the answered pairs. */
static double loss_of(const learner *l, const float *log_odds)
{
    double sum = 0.0;
    double weight = 0.0;

    for (size_t i = 0; i < l->n_answered; i++) {
        size_t pair = l->pair_of[i];
        double p = sigmoid((double)log_odds[i]);
        double w = (double)l->weights[pair];

        p = fmin(fmax(p, LOSS_MARGIN), 1.0 - LOSS_MARGIN);
        sum -= w * log(l->answers[pair] == 1 ? p : 1.0 - p);
        weight += w;
    }
    return sum / weight;
}

static double log_odds_of(float probability)
{
    double p = fmin(fmax((double)probability, 1e-7), 1.0 - 1e-7);

    return log(p / (1.0 - p));
}

/* What the decision without labels says of the answered pairs. */
static void guesses_fill(const learner *l, float *ret_log_odds)
{
    for (size_t i = 0; i < l->n_answered; i++)
        ret_log_odds[i] =
            (float)log_odds_of(l->outcome->posteriors[l->pair_of[i]]);
}

static int fold_judge(learner *l, const recipe *r, uint32_t fold,
                      linkd_error *err)
{
    lk_fitted_model model;
    int rc = model_fit(l, r, fold, &model, err);

    for (size_t i = 0; i < l->n_answered && rc == LINKD_OK; i++)
        if (is_fitted(&model) && fold_of(l, l->pair_of[i]) == fold)
            l->held_out[i] = (float)lk_fitted_model_log_odds(
                &model, l->rows.values + i * l->rows.n);
    lk_fitted_model_clear(&model);
    return rc;
}

static bool is_superfluous(const learner *l, const recipe *r)
{
    return l->n_answered > LABELS_PLENTY && r->trust > RECIPES[0].trust;
}

/* *ret_recipe NULL: none is better than the decision without labels. */
static int recipe_choose(learner *l, const recipe **ret_recipe,
                         double *ret_loss, linkd_error *err)
{
    int rc = LINKD_OK;

    *ret_recipe = NULL;
    guesses_fill(l, l->best_held_out);
    *ret_loss = loss_of(l, l->best_held_out);
    for (size_t i = 0; i < N_RECIPES; i++) {
        double loss;

        if (is_superfluous(l, &RECIPES[i]))
            continue;
        guesses_fill(l, l->held_out);
        for (uint32_t fold = 0; fold < FOLDS && rc == LINKD_OK; fold++)
            rc = fold_judge(l, &RECIPES[i], fold, err);
        if (rc != LINKD_OK)
            return rc;
        loss = loss_of(l, l->held_out);
        if (loss < *ret_loss) {
            float *swap = l->held_out;

            l->held_out = l->best_held_out;
            l->best_held_out = swap;
            *ret_loss = loss;
            *ret_recipe = &RECIPES[i];
        }
    }
    return LINKD_OK;
}

/* ---- calibration -------------------------------------------------------- */

/* As much as so many labels that say the model is right as it is: guess. */
#define CALIBRATION_PENALTY 10.0

/* Logistic regression on one number by Newton's method (Platt 1999), drawn
 * towards slope 1 and shift 0, on what was said of all held-out labels but those
 * of `fold`. */
static lk_calibration calibrate(const learner *l, uint32_t fold)
{
    lk_calibration c = {.slope = 1.0};

    for (size_t step = 0; step < 20; step++) {
        double g[2] = {CALIBRATION_PENALTY * (c.slope - 1.0),
                       CALIBRATION_PENALTY * c.shift};
        double h[3] = {CALIBRATION_PENALTY, 0.0, CALIBRATION_PENALTY};
        double det;

        for (size_t i = 0; i < l->n_answered; i++) {
            size_t pair = l->pair_of[i];
            double x = fmin(fmax((double)l->best_held_out[i], -20.0), 20.0);
            double p = sigmoid(c.slope * x + c.shift);
            double w = (double)l->weights[pair];
            double d = w * (p - (l->answers[pair] == 1 ? 1.0 : 0.0));

            if (fold_of(l, pair) == fold)
                continue;
            g[0] += d * x;
            g[1] += d;
            h[0] += w * p * (1.0 - p) * x * x;
            h[1] += w * p * (1.0 - p) * x;
            h[2] += w * p * (1.0 - p);
        }
        det = h[0] * h[2] - h[1] * h[1];
        c.slope -= (h[2] * g[0] - h[1] * g[1]) / det;
        c.shift -= (h[0] * g[1] - h[1] * g[0]) / det;
        c.slope = fmin(fmax(c.slope, LK_SLOPE_MIN), LK_SLOPE_MAX);
    }
    return c;
}

/* ---- how well labels are foretold ---------------------------------------- */

/* What is accepted at probability 1/2. */
static void accepted_judge(const learner *l, const float *log_odds,
                           linkd_foretold *foretold)
{
    size_t n_accepted = 0;
    size_t n_right = 0;

    for (size_t i = 0; i < l->n_answered; i++) {
        bool accepted = log_odds[i] >= 0.0F;

        n_accepted += accepted;
        n_right += accepted && l->answers[l->pair_of[i]] == 1;
    }
    foretold->recall = (double)n_right / (double)l->n_yes;
    if (l->is_positive_only) /* nobody said what is wrong */
        return;
    foretold->precision =
        n_accepted > 0 ? (double)n_right / (double)n_accepted : 0.0;
    foretold->f1 = 2.0 * (double)n_right / (double)(n_accepted + l->n_yes);
}

/* Calibrated without what is judged, too. */
static void held_out_calibrate(const learner *l, float *ret_log_odds)
{
    for (uint32_t fold = 0; fold < FOLDS; fold++) {
        lk_calibration c = calibrate(l, fold);

        for (size_t i = 0; i < l->n_answered; i++)
            if (fold_of(l, l->pair_of[i]) == fold)
                ret_log_odds[i] =
                    (float)(c.slope * (double)l->best_held_out[i] + c.shift);
    }
}

/* What is told of a model is what it says of labels that it did not learn from;
 * which of the recipes it is was chosen by all of them. */
static void info_fill(learner *l, const recipe *best, double loss,
                      linkd_learned_info *info)
{
    guesses_fill(l, l->held_out);
    info->without.log_loss = loss_of(l, l->held_out);
    accepted_judge(l, l->held_out, &info->without);
    if (best == NULL) {
        info->held_out = info->without;
        return;
    }
    info->learner =
        best->boosted ? LINKD_LEARNER_TREES : LINKD_LEARNER_LOGISTIC;
    info->held_out.log_loss = loss;
    held_out_calibrate(l, l->held_out);
    accepted_judge(l, l->held_out, &info->held_out);
}

/* ---- all ----------------------------------------------------------------- */

static bool is_enough(const learner *l)
{
    return l->n_yes >= ANSWERS_MIN && l->n_answered - l->n_yes >= ANSWERS_MIN;
}

static int learner_init(learner *l, linkd_error *err)
{
    const lk_decision_input *in = l->input;
    int rc;

    l->answers = malloc(in->pairs->n + 1);
    l->weights = calloc(in->pairs->n + 1, sizeof(*l->weights));
    if (l->answers == NULL || l->weights == NULL)
        return lk_fail_nomem(err);
    rc = answers_make(l, err);
    return rc == LINKD_OK ? rows_make(l, err) : rc;
}

static void learner_clear(learner *l)
{
    lk_features_clear(&l->rows);
    free(l->pair_of);
    free(l->examples);
    free(l->held_out);
    free(l->best_held_out);
    free(l->answers);
    free(l->weights);
}

static int learned_make(learner *l, lk_learned *learned, linkd_error *err)
{
    const recipe *best = NULL;
    double loss;
    int rc = recipe_choose(l, &best, &loss, err);

    if (rc == LINKD_OK && best != NULL)
        rc = model_fit(l, best, NO_FOLD, &learned->model, err);
    if (rc != LINKD_OK)
        return rc;
    if (best != NULL)
        learned->calibration = calibrate(l, NO_FOLD);
    info_fill(l, best, loss, &learned->info);
    return LINKD_OK;
}

int lk_learn_fit(const lk_decision_input *input, const lk_outcome *outcome,
                 const lk_features *context, lk_learned *ret_learned,
                 linkd_error *err)
{
    static const linkd_foretold unknown = {(double)NAN, (double)NAN,
                                           (double)NAN, (double)NAN};
    learner l = {.input = input, .outcome = outcome, .context = context};
    lk_learned learned = {.calibration.slope = 1.0,
                          .info = {.held_out = unknown, .without = unknown}};
    int rc = learner_init(&l, err);

    learned.info.n_matches = l.n_yes;
    if (!l.is_positive_only)
        learned.info.n_others = l.n_answered - l.n_yes;
    if (rc == LINKD_OK && is_enough(&l))
        rc = learned_make(&l, &learned, err);
    learner_clear(&l);
    if (rc == LINKD_OK)
        *ret_learned = learned;
    else
        lk_learned_clear(&learned);
    return rc;
}

int lk_learn_context(const lk_decision_input *input, const lk_outcome *outcome,
                     lk_features *ret_context, linkd_error *err)
{
    lk_guess guess = {outcome->log_odds, outcome->posteriors};

    return lk_stack_make(input->pairs, input->features, &guess, input->pool,
                         ret_context, err);
}

static void labels_pin(const lk_decision_input *in, lk_outcome *outcome)
{
    for (size_t i = 0; i < in->n_labels; i++) {
        const linkd_label *label = &in->labels[i];
        size_t pair = lk_pairset_find(in->pairs, label->left, label->right);

        outcome->log_odds[pair] = label->match ? PINNED : -PINNED;
        outcome->posteriors[pair] = label->match ? 1.0F : 0.0F;
    }
}

int lk_learn(const lk_decision_input *input, lk_outcome *outcome,
             linkd_error *err)
{
    lk_features context = {0};
    lk_learned learned = {0};
    int rc = lk_learn_context(input, outcome, &context, err);

    if (rc == LINKD_OK)
        rc = lk_learn_fit(input, outcome, &context, &learned, err);
    if (rc == LINKD_OK && learned.info.learner != LINKD_LEARNER_NONE)
        rc = lk_learned_apply(&learned, input, &context, outcome, err);
    if (rc == LINKD_OK) {
        lk_learned_tell(&learned.info, false, &outcome->verdict);
        labels_pin(input, outcome);
    }
    lk_learned_clear(&learned);
    lk_features_clear(&context);
    return rc;
}
