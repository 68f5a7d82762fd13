/* linkage/learned.c — what labels taught, applied to pairs.
 *
 * The same function applies a model to the tables that its labels are of and, as
 * a saved pair model, to others: it sees features and what was decided there
 * without labels, and nothing of where it comes from. */
#include "linkage/learned.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "linkage/stack.h"

enum {
    SCORE_CHUNK = 1 << 14, /* pairs of one task: guess */
};

/* Below, see probability_of(). */
#define UNLIKELY 0.05F

void lk_learned_clear(lk_learned *learned)
{
    lk_fitted_model_clear(&learned->model);
    *learned = (lk_learned){0};
}

double lk_fitted_model_log_odds(const lk_fitted_model *model,
                                const uint8_t *row)
{
    return model->boost.n_trees > 0
               ? lk_boost_log_odds(&model->boost, row)
               : lk_logistic_log_odds(&model->logistic, row);
}

/* ---- the model that decides --------------------------------------------- */

static void *copy_of(const void *items, size_t n, size_t size)
{
    void *copy = calloc(n + 1, size);

    if (copy != NULL && n > 0)
        memcpy(copy, items, n * size);
    return copy;
}

static int logistic_copy(const lk_logistic *from, lk_calibration c,
                         lk_logistic *ret_copy, linkd_error *err)
{
    size_t n = 1 + 3 * from->n_features;
    double *weights = copy_of(from->weights, n, sizeof(*weights));

    if (weights == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < n; i++)
        weights[i] *= c.slope;
    weights[0] += c.shift;
    *ret_copy = (lk_logistic){weights, from->n_features};
    return LINKD_OK;
}

static int boost_copy(const lk_boost *from, lk_calibration c,
                      lk_boost *ret_copy, linkd_error *err)
{
    lk_boost copy = *from;

    copy.nodes = copy_of(from->nodes, from->n_nodes, sizeof(*copy.nodes));
    copy.roots = copy_of(from->roots, from->n_trees, sizeof(*copy.roots));
    if (copy.nodes == NULL || copy.roots == NULL) {
        lk_boost_clear(&copy);
        return lk_fail_nomem(err);
    }
    for (size_t i = 0; i < copy.n_nodes; i++)
        copy.nodes[i].value *= (float)c.slope;
    copy.base = copy.base * c.slope + c.shift;
    *ret_copy = copy;
    return LINKD_OK;
}

/* The calibration goes into the model itself, so that its parts still add up. */
static int model_make(const lk_learned *learned, lk_fitted_model *ret_model,
                      linkd_error *err)
{
    *ret_model = (lk_fitted_model){0};
    return learned->model.boost.n_trees > 0
               ? boost_copy(&learned->model.boost, learned->calibration,
                            &ret_model->boost, err)
               : logistic_copy(&learned->model.logistic, learned->calibration,
                               &ret_model->logistic, err);
}

/* ---- every pair --------------------------------------------------------- */

typedef struct scoring {
    const lk_decision_input *input;
    const lk_features *context;
    const lk_fitted_model *model;
    size_t n_row;  /* features and context */
    uint8_t *rows; /* [n_workers, n_row] */
    float *log_odds;
} scoring;

static int score_task(void *ctx, size_t item, size_t worker, linkd_error *err)
{
    const scoring *s = ctx;
    uint8_t *row = s->rows + worker * s->n_row;
    size_t end = (item + 1) * SCORE_CHUNK;

    (void)err;
    for (size_t i = item * SCORE_CHUNK; i < end && i < s->input->pairs->n;
         i++) {
        lk_stack_row(s->input->features, s->context, i, row);
        s->log_odds[i] = (float)lk_fitted_model_log_odds(s->model, row);
    }
    return LINKD_OK;
}

static int pairs_score(const lk_decision_input *input,
                       const lk_features *context, const lk_fitted_model *model,
                       float *ret_log_odds, linkd_error *err)
{
    size_t n_chunks = (input->pairs->n + SCORE_CHUNK - 1) / SCORE_CHUNK;
    scoring s = {.input = input,
                 .context = context,
                 .model = model,
                 .n_row = input->features->n + context->n,
                 .log_odds = ret_log_odds};
    int rc;

    s.rows = calloc(lk_pool_n_workers(input->pool), s.n_row);
    if (s.rows == NULL)
        return lk_fail_nomem(err);
    rc = lk_pool_run(input->pool, n_chunks, score_task, &s, err);
    free(s.rows);
    return rc;
}

/* Of a model that was taught pairs near the cut, most of it far from them, the
 * floor times a million candidates would be thousands of matches: what both take
 * for unlikely is as unlikely as either says. */
static float probability_of(float log_odds, float guessed)
{
    float p = (float)(1.0 / (1.0 + exp(-(double)log_odds)));

    return p < UNLIKELY && guessed < p ? guessed : p;
}

int lk_learned_apply(const lk_learned *learned, const lk_decision_input *input,
                     lk_features *take_context, lk_outcome *outcome,
                     linkd_error *err)
{
    float *log_odds = calloc(input->pairs->n + 1, sizeof(*log_odds));
    lk_fitted_model model = {0};
    int rc = log_odds == NULL ? lk_fail_nomem(err)
                              : model_make(learned, &model, err);

    LK_ASSERT(learned->info.learner != LINKD_LEARNER_NONE);
    if (rc == LINKD_OK)
        rc = pairs_score(input, take_context, &model, log_odds, err);
    if (rc != LINKD_OK) {
        free(log_odds);
        lk_fitted_model_clear(&model);
        return rc;
    }
    for (size_t i = 0; i < input->pairs->n; i++)
        outcome->posteriors[i] =
            probability_of(log_odds[i], outcome->posteriors[i]);
    free(outcome->log_odds);
    outcome->log_odds = log_odds;
    lk_fitted_model_clear(&outcome->model);
    outcome->model = model;
    outcome->model.context = *take_context;
    *take_context = (lk_features){0};
    outcome->verdict.supported = true;
    outcome->verdict.doubt[0] = '\0';
    return LINKD_OK;
}

/* ---- what was learned ---------------------------------------------------- */

const char *const linkd_learner_words[LINKD_N_LEARNERS] = {
    [LINKD_LEARNER_NONE] = "none",
    [LINKD_LEARNER_LOGISTIC] = "logistic",
    [LINKD_LEARNER_TREES] = "boosted trees",
};

void lk_learned_tell(const linkd_learned_info *info, bool saved,
                     linkd_verdict *verdict)
{
    char *text = verdict->learned;
    size_t size = sizeof(verdict->learned);
    const char *rest =
        saved ? "so it decides nothing" : "only these pairs were set";
    int n = snprintf(text, size, "%zu matches, %zu others%s: ", info->n_matches,
                     info->n_others, saved ? " of the pair model" : "");

    LK_ASSERT(n > 0 && (size_t)n < size);
    if (isnan(info->without.log_loss))
        (void)snprintf(text + n, size - (size_t)n, "too few to learn from, %s",
                       rest);
    else if (info->learner == LINKD_LEARNER_NONE)
        (void)snprintf(text + n, size - (size_t)n,
                       "no model foretells them better (log-loss %.3f), %s",
                       info->without.log_loss, rest);
    else
        (void)snprintf(text + n, size - (size_t)n,
                       "%s learned (log-loss of held-out labels %.3f, without "
                       "learning %.3f)",
                       linkd_learner_words[info->learner],
                       info->held_out.log_loss, info->without.log_loss);
}
