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

#include "linkage/stack.h"

enum {
    FOLDS = 5,
    ALL_FOLDS = FOLDS, /* the fold to hold out: none */
    /* Answers of each kind below which nothing is compared: guess. */
    ANSWERS_MIN = 5,
    /* Pairs that stand for the decision without labels, of those it accepts
     * and of the others: guess. */
    TRUSTED = 1000,
    SCORE_CHUNK = 1 << 14,
};

#define ANSWER_NONE ((uint8_t)255)

/* L2 on weights: the usual 1. */
#define PENALTY 1.0

/* A pair this unlikely may stand for a "no" that nobody gave. */
#define RIVAL_MAX 0.1F

/* No probability is believed beyond when models are compared: one label that is
 * wrong must not outweigh all others. */
#define LOSS_MARGIN 0.005

/* Below, see probability_of(). */
#define UNLIKELY 0.05F

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
    const lk_outcome *outcome; /* decided without labels */
    lk_features context;
    uint8_t *answers;  /* [n_pairs] */
    float *weights;    /* [n_pairs]: of answered pairs */
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

    memset(l->answers, ANSWER_NONE, in->pairs->n);
    for (size_t i = 0; i < in->n_labels; i++) {
        const linkd_label *label = &in->labels[i];
        size_t pair = lk_pairset_find(in->pairs, label->left, label->right);

        LK_ASSERT(pair != SIZE_MAX);
        l->answers[pair] = label->match;
        l->weights[pair] = 1.0F;
    }
}

static size_t answers_count(const learner *l, uint8_t answer)
{
    size_t n = 0;

    for (size_t i = 0; i < l->input->pairs->n; i++)
        n += l->answers[i] == answer;
    return n;
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
    uint32_t(*counts)[2] = NULL;

    labels_mark(l);
    l->n_yes = answers_count(l, 1);
    l->is_positive_only = l->n_yes > 0 && answers_count(l, 0) == 0;
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
    return l->answers[pair] == ANSWER_NONE &&
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
    size_t n_answered = l->input->pairs->n - answers_count(l, ANSWER_NONE);
    size_t capacity = n_answered + 2 * (size_t)TRUSTED;

    l->rows.n = l->input->features->n + l->context.n;
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
        if (l->answers[i] != ANSWER_NONE)
            l->pair_of[l->rows.n_pairs++] = (uint32_t)i;
    l->n_answered = l->rows.n_pairs;
    trusted_add(l, true);
    trusted_add(l, false);
    for (size_t i = 0; i < l->rows.n_pairs; i++)
        lk_stack_row(l->input->features, &l->context, l->pair_of[i],
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
                     lk_pair_model *ret_model, linkd_error *err)
{
    lk_boost_options options = LK_BOOST_OPTIONS_INIT;
    size_t n = examples_make(l, fold, r->trust);

    *ret_model = (lk_pair_model){0};
    if (!examples_teach(l, n))
        return LINKD_OK;
    if (r->boosted)
        return lk_boost_fit(&l->rows, l->examples, n, &options, l->input->pool,
                            &ret_model->boost, err);
    return lk_logistic_fit(&l->rows, l->examples, n, PENALTY, l->input->pool,
                           &ret_model->logistic, err);
}

static bool is_fitted(const lk_pair_model *model)
{
    return model->boost.n_trees > 0 || model->logistic.weights != NULL;
}

static double model_log_odds(const lk_pair_model *model, const uint8_t *row)
{
    return model->boost.n_trees > 0
               ? lk_boost_log_odds(&model->boost, row)
               : lk_logistic_log_odds(&model->logistic, row);
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
    lk_pair_model model;
    int rc = model_fit(l, r, fold, &model, err);

    for (size_t i = 0; i < l->n_answered && rc == LINKD_OK; i++)
        if (is_fitted(&model) && fold_of(l, l->pair_of[i]) == fold)
            l->held_out[i] =
                (float)model_log_odds(&model, l->rows.values + i * l->rows.n);
    lk_pair_model_clear(&model);
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

/* log-odds = slope * model's + shift */
typedef struct calibration {
    double slope;
    double shift;
} calibration;

/* As much as so many labels that say the model is right as it is: guess. */
#define CALIBRATION_PENALTY 10.0

/* Logistic regression on one number by Newton's method (Platt 1999), drawn
 * towards slope 1 and shift 0. */
static calibration calibrate(const learner *l)
{
    calibration c = {.slope = 1.0};

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

            g[0] += d * x;
            g[1] += d;
            h[0] += w * p * (1.0 - p) * x * x;
            h[1] += w * p * (1.0 - p) * x;
            h[2] += w * p * (1.0 - p);
        }
        det = h[0] * h[2] - h[1] * h[1];
        c.slope -= (h[2] * g[0] - h[1] * g[1]) / det;
        c.shift -= (h[0] * g[1] - h[1] * g[0]) / det;
        c.slope = fmin(fmax(c.slope, 0.25), 4.0);
    }
    return c;
}

/* Into the model itself, so that its parts still add up. */
static void model_calibrate(lk_pair_model *model, calibration c)
{
    for (size_t i = 0; model->logistic.weights != NULL &&
                       i < 1 + 3 * model->logistic.n_features;
         i++)
        model->logistic.weights[i] *= c.slope;
    if (model->logistic.weights != NULL)
        model->logistic.weights[0] += c.shift;
    for (size_t i = 0; i < model->boost.n_nodes; i++)
        model->boost.nodes[i].value *= (float)c.slope;
    model->boost.base = model->boost.base * c.slope + c.shift;
}

/* ---- every pair --------------------------------------------------------- */

typedef struct scoring {
    const learner *l;
    const lk_pair_model *model;
    uint8_t *rows; /* [n_workers, rows.n] */
    float *log_odds;
} scoring;

static int score_task(void *ctx, size_t item, size_t worker, linkd_error *err)
{
    const scoring *s = ctx;
    const learner *l = s->l;
    uint8_t *row = s->rows + worker * l->rows.n;
    size_t end = (item + 1) * SCORE_CHUNK;

    (void)err;
    for (size_t i = item * SCORE_CHUNK; i < end && i < l->input->pairs->n;
         i++) {
        lk_stack_row(l->input->features, &l->context, i, row);
        s->log_odds[i] = (float)model_log_odds(s->model, row);
    }
    return LINKD_OK;
}

static int pairs_score(const learner *l, const lk_pair_model *model,
                       float *ret_log_odds, linkd_error *err)
{
    size_t n_chunks = (l->input->pairs->n + SCORE_CHUNK - 1) / SCORE_CHUNK;
    scoring s = {.l = l,
                 .model = model,
                 .rows = calloc(lk_pool_n_workers(l->input->pool), l->rows.n),
                 .log_odds = ret_log_odds};
    int rc;

    if (s.rows == NULL)
        return lk_fail_nomem(err);
    rc = lk_pool_run(l->input->pool, n_chunks, score_task, &s, err);
    free(s.rows);
    return rc;
}

/* ---- the decision ------------------------------------------------------- */

/* Of a model that was taught pairs near the cut, most of it far from them, the
 * floor times a million candidates would be thousands of matches: what both take
 * for unlikely is as unlikely as either says. */
static float probability_of(float log_odds, float guessed)
{
    float p = (float)sigmoid((double)log_odds);

    return p < UNLIKELY && guessed < p ? guessed : p;
}

static int model_apply(learner *l, const recipe *r, lk_outcome *outcome,
                       linkd_error *err)
{
    float *log_odds = calloc(l->input->pairs->n + 1, sizeof(*log_odds));
    lk_pair_model model = {0};
    int rc = log_odds == NULL ? lk_fail_nomem(err)
                              : model_fit(l, r, ALL_FOLDS, &model, err);

    if (rc == LINKD_OK) {
        model_calibrate(&model, calibrate(l));
        rc = pairs_score(l, &model, log_odds, err);
    }
    if (rc != LINKD_OK) {
        free(log_odds);
        lk_pair_model_clear(&model);
        return rc;
    }
    for (size_t i = 0; i < l->input->pairs->n; i++)
        outcome->posteriors[i] =
            probability_of(log_odds[i], outcome->posteriors[i]);
    free(outcome->log_odds);
    outcome->log_odds = log_odds;
    lk_pair_model_clear(&outcome->model);
    outcome->model = model;
    outcome->model.context = l->context;
    l->context = (lk_features){0};
    return LINKD_OK;
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

static void verdict_tell(const learner *l, const recipe *r, double guess_loss,
                         double loss, linkd_verdict *verdict)
{
    char *text = verdict->learned;
    size_t size = sizeof(verdict->learned);
    size_t n_no = l->is_positive_only ? 0 : l->n_answered - l->n_yes;
    const char *name = r == NULL    ? "none"
                       : r->boosted ? "boosted trees"
                                    : "logistic";
    int n = snprintf(text, size, "%zu matches, %zu others: ", l->n_yes, n_no);

    LK_ASSERT(n > 0 && (size_t)n < size);
    if (isnan(loss))
        (void)snprintf(text + n, size - (size_t)n,
                       "too few to learn from, only these pairs were set");
    else if (r == NULL)
        (void)snprintf(text + n, size - (size_t)n,
                       "no model foretells them better (log-loss %.3f), only "
                       "these pairs were set",
                       loss);
    else
        (void)snprintf(text + n, size - (size_t)n,
                       "%s learned (log-loss of held-out labels %.3f, without "
                       "learning %.3f)",
                       name, loss, guess_loss);
}

static bool is_enough(const learner *l)
{
    return l->n_yes >= ANSWERS_MIN && l->n_answered - l->n_yes >= ANSWERS_MIN;
}

static int learner_init(learner *l, linkd_error *err)
{
    const lk_decision_input *in = l->input;
    lk_guess guess = {l->outcome->log_odds, l->outcome->posteriors};
    int rc;

    l->answers = malloc(in->pairs->n + 1);
    l->weights = calloc(in->pairs->n + 1, sizeof(*l->weights));
    if (l->answers == NULL || l->weights == NULL)
        return lk_fail_nomem(err);
    rc = answers_make(l, err);
    if (rc == LINKD_OK)
        rc = lk_stack_make(in->pairs, in->features, &guess, in->pool,
                           &l->context, err);
    return rc == LINKD_OK ? rows_make(l, err) : rc;
}

static void learner_clear(learner *l)
{
    lk_features_clear(&l->context);
    lk_features_clear(&l->rows);
    free(l->pair_of);
    free(l->examples);
    free(l->held_out);
    free(l->best_held_out);
    free(l->answers);
    free(l->weights);
}

int lk_learn(const lk_decision_input *input, lk_outcome *outcome,
             linkd_error *err)
{
    learner l = {.input = input, .outcome = outcome};
    const recipe *best = NULL;
    double guess_loss = (double)NAN;
    double loss = (double)NAN;
    int rc = learner_init(&l, err);

    if (rc == LINKD_OK && is_enough(&l)) {
        guesses_fill(&l, l.held_out);
        guess_loss = loss_of(&l, l.held_out);
        rc = recipe_choose(&l, &best, &loss, err);
    }
    if (rc == LINKD_OK && best != NULL)
        rc = model_apply(&l, best, outcome, err);
    if (rc == LINKD_OK) {
        if (best != NULL) { /* held-out labels speak for it */
            outcome->verdict.supported = true;
            outcome->verdict.doubt[0] = '\0';
        }
        verdict_tell(&l, best, guess_loss, loss, &outcome->verdict);
        labels_pin(input, outcome);
    }
    learner_clear(&l);
    return rc;
}
