/* linkage/decide_link.c — which pairs of two tables are matches, told by the
 * tables themselves.
 *
 *   surprise ─► seeds ─► ┌ fit a model on them ─► likelihood ratios ┐ x ROUNDS
 *                        └ posteriors ◄─ pairs compete, EM on their ┘
 *                           │            number
 *                           └─► the mode, the cut, what is expected
 *
 * Seeds are pairs that are each other's best by how implausible their likeness
 * is by chance. A discriminative model learns to tell them from the other
 * candidates (each pair is scored by a model that did not see it), the pairs
 * compete for their records (matching.h), and who wins is the next round's
 * answer. Doubtful pairs teach nothing, and pairs that lost to one as good as
 * they are (twins.c) are doubtful, too.
 *
 * Which side may have several partners is tried: fitted so, and believed only
 * if many records do have several, and if nearly all of that side are matched
 * one to one as well: tables full of near-variants look like one-to-many too,
 * but leave most records of either side alone. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "linkage/decision.h"

enum {
    ROUNDS = 3,
    MODES = 3, /* that are tried */
};

/* A side has several partners if those that have any have so many on average,
 * and if so large a share of the side is matched one to one. Measured with the
 * rest of the algorithm. */
#define MULTIPLICITY_MIN 1.12
#define SATURATION_MIN   0.7

/* More of what was found explained by chance, and it is similar strangers if the
 * pairs hardly stand out either: 0.57 and more where up to a tenth of a side have
 * a partner, up to 0.46 in tables that were linked rightly; but 0.63 where fields
 * are empty, so that many pairs have a single name to show. */
#define CHANCE_MAX 0.5

typedef struct linker {
    const lk_decision_input *input;
    const lk_pairset *pairs;
    size_t n;
    bool *best_a;
    bool *best_b;
    uint8_t *answers;
    float *log_odds;  /* of the current round */
    float *ratios;    /* sum over the rounds, then of the current one */
    float *chances;   /* see lk_chance() */
    bool is_reseeded; /* chance explained what was found at first */
    lk_rounds rounds;
} linker;

/* One fit under one mode. */
typedef struct fit {
    lk_matching matching;
    lk_logistic model;
    double prior; /* log-odds taken off the model's to get ratios */
} fit;

static void fit_clear(fit *f)
{
    lk_matching_clear(&f->matching);
    lk_logistic_clear(&f->model);
    *f = (fit){0};
}

/* ---- seeds -------------------------------------------------------------- */

static void seeds_sow(linker *l, lk_multiplicity multiplicity)
{
    for (size_t i = 0; i < l->n; i++) {
        bool a = l->best_a[i];
        bool b = l->best_b[i];

        switch (multiplicity) {
        case LK_ONE_TO_ONE:
            l->answers[i] = a && b;
            break;
        case LK_ONE_TO_MANY:
            l->answers[i] = b;
            break;
        case LK_MANY_TO_ONE:
            l->answers[i] = a;
            break;
        case LK_MANY_TO_MANY:
            l->answers[i] = a || b;
            break;
        }
    }
}

/* Of the seeds those stay that chance does not explain; others teach nothing
 * unless it explains them all. */
static void seeds_weed(linker *l)
{
    for (size_t i = 0; i < l->n && l->is_reseeded; i++)
        if (l->answers[i] == 1 && l->chances[i] >= LK_CHANCE_SURE)
            l->answers[i] = l->chances[i] < 1.0F ? LK_UNANSWERED : 0;
}

/* ---- one fit ------------------------------------------------------------ */

static void ratios_add(linker *l, double prior)
{
    for (size_t i = 0; i < l->n; i++)
        l->ratios[i] += l->log_odds[i] - (float)prior;
}

/* The last round decides by the mean of all rounds: each alone is noisy. */
static void ratios_choose(linker *l, float *ret_ratios, double prior,
                          size_t round)
{
    bool is_last = round + 1 == ROUNDS;

    for (size_t i = 0; i < l->n; i++)
        ret_ratios[i] = is_last ? l->ratios[i] / (float)ROUNDS
                                : l->log_odds[i] - (float)prior;
}

/* A pair is as doubtful as it is with its twins. */
static int answers_renew(linker *l, lk_multiplicity multiplicity,
                         const float *ratios, const float *posteriors,
                         linkd_error *err)
{
    float *sums = calloc(l->n + 1, sizeof(*sums));
    int rc = sums == NULL ? lk_fail_nomem(err)
                          : lk_twins(l->pairs, ratios, posteriors, multiplicity,
                                     sums, err);

    for (size_t i = 0; i < l->n && rc == LINKD_OK; i++) {
        if (posteriors[i] > LK_SURE_MIN)
            l->answers[i] = 1;
        else
            l->answers[i] = sums[i] > LK_DOUBT_MIN ? LK_UNANSWERED : 0;
    }
    free(sums);
    return rc;
}

static int round_run(linker *l, lk_multiplicity multiplicity, size_t round,
                     float *ratios, fit *f, linkd_error *err)
{
    size_t n_seeds = lk_answers_count(l->answers, l->n, 1);
    double prior;
    int rc;

    /* doubtful ones are neither: all others may be doubtful */
    if (!lk_answers_teach(l->answers, l->n))
        return LINKD_OK;
    fit_clear(f);
    rc = lk_cross_fit(l->input->features, l->pairs, l->answers, l->input->pool,
                      l->log_odds, &f->model, err);
    if (rc != LINKD_OK)
        return rc;
    prior = log((double)n_seeds / (double)(l->n - n_seeds));
    f->prior = prior;
    ratios_add(l, prior);
    ratios_choose(l, ratios, prior, round);
    rc = lk_matching_infer(l->pairs, ratios, multiplicity, (double)n_seeds,
                           l->input->pool, &f->matching, err);
    if (rc == LINKD_OK)
        rc =
            answers_renew(l, multiplicity, ratios, f->matching.posteriors, err);
    return rc;
}

static int fit_run(linker *l, lk_multiplicity multiplicity, fit *ret_fit,
                   linkd_error *err)
{
    float *ratios = calloc(l->n + 1, sizeof(*ratios));
    fit f = {0};
    int rc = ratios == NULL ? lk_fail_nomem(err) : LINKD_OK;

    if (rc == LINKD_OK) {
        memset(l->ratios, 0, l->n * sizeof(*l->ratios));
        seeds_sow(l, multiplicity);
        seeds_weed(l);
    }
    for (size_t round = 0; round < ROUNDS && rc == LINKD_OK; round++) {
        rc = round_run(l, multiplicity, round, ratios, &f, err);
        if (rc == LINKD_OK)
            rc = lk_rounds_next(&l->rounds, err);
    }
    free(ratios);
    if (rc == LINKD_OK)
        *ret_fit = f;
    else
        fit_clear(&f);
    return rc;
}

/* ---- the mode ----------------------------------------------------------- */

static int key_compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

/* Partners of those records of one side that have any; records of one text
 * count once, as owners and as partners. */
static int partners_mean(const linker *l, const float *posteriors, bool of_a,
                         double *ret_mean, linkd_error *err)
{
    const uint32_t *numbers = l->input->text_numbers;
    uint64_t *keys = calloc(l->n + 1, sizeof(*keys));
    size_t n = 0;
    size_t n_owners = 0;
    size_t n_partners = 0;

    if (keys == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < l->n; i++) {
        uint64_t owner = numbers[of_a ? l->pairs->a[i] : l->pairs->b[i]];
        uint64_t partner = numbers[of_a ? l->pairs->b[i] : l->pairs->a[i]];

        if (posteriors[i] > LK_SURE_MIN)
            keys[n++] = owner << 32 | partner;
    }
    qsort(keys, n, sizeof(*keys), key_compare);
    for (size_t i = 0; i < n; i++) {
        n_partners += i == 0 || keys[i] != keys[i - 1];
        n_owners += i == 0 || keys[i] >> 32 != keys[i - 1] >> 32;
    }
    free(keys);
    *ret_mean = n_owners > 0 ? (double)n_partners / (double)n_owners : 1.0;
    return LINKD_OK;
}

/* What spoke for and against several partners. */
typedef struct trial {
    double partners_of_left; /* right partners a left record has */
    double partners_of_right;
    double n_one_to_one; /* matches if both sides had at most one */
} trial;

static int mode_try(linker *l, trial *t, linkd_error *err)
{
    fit f = {0};
    int rc = fit_run(l, LK_ONE_TO_MANY, &f, err);

    t->partners_of_left = t->partners_of_right = 1.0;
    if (rc == LINKD_OK && f.matching.posteriors != NULL)
        rc = partners_mean(l, f.matching.posteriors, true, &t->partners_of_left,
                           err);
    fit_clear(&f);
    if (rc == LINKD_OK)
        rc = fit_run(l, LK_MANY_TO_ONE, &f, err);
    if (rc == LINKD_OK && f.matching.posteriors != NULL)
        rc = partners_mean(l, f.matching.posteriors, false,
                           &t->partners_of_right, err);
    fit_clear(&f);
    if (rc == LINKD_OK)
        rc = fit_run(l, LK_ONE_TO_ONE, &f, err);
    t->n_one_to_one = f.matching.n_matches;
    fit_clear(&f);
    return rc;
}

static bool side_has_many(double partners, double n_matches, size_t n_side)
{
    return partners >= MULTIPLICITY_MIN &&
           n_matches >= SATURATION_MIN * (double)n_side;
}

static int mode_choose(linker *l, linkd_verdict *verdict, linkd_error *err)
{
    size_t n_left = l->pairs->n_left;
    size_t n_right = l->pairs->n_records - n_left;
    trial t = {0};
    int rc = mode_try(l, &t, err);
    bool left_many;
    bool right_many;

    if (rc != LINKD_OK)
        return rc;
    left_many = side_has_many(t.partners_of_left, t.n_one_to_one, n_left);
    right_many = side_has_many(t.partners_of_right, t.n_one_to_one, n_right);
    if (left_many)
        verdict->assign =
            right_many ? LINKD_ASSIGN_MANY_TO_MANY : LINKD_ASSIGN_ONE_TO_MANY;
    else
        verdict->assign =
            right_many ? LINKD_ASSIGN_MANY_TO_ONE : LINKD_ASSIGN_ONE_TO_ONE;
    (void)snprintf(verdict->why, sizeof(verdict->why),
                   "partners per matched row: left %.2f, right %.2f; matched "
                   "one to one: %.0f %% of left, %.0f %% of right",
                   t.partners_of_left, t.partners_of_right,
                   100.0 * t.n_one_to_one / (double)n_left,
                   100.0 * t.n_one_to_one / (double)n_right);
    return LINKD_OK;
}

static lk_multiplicity multiplicity_of(linkd_assign assign)
{
    switch (assign) {
    case LINKD_ASSIGN_ONE_TO_MANY:
        return LK_ONE_TO_MANY;
    case LINKD_ASSIGN_MANY_TO_ONE:
        return LK_MANY_TO_ONE;
    case LINKD_ASSIGN_MANY_TO_MANY:
        return LK_MANY_TO_MANY;
    default:
        return LK_ONE_TO_ONE;
    }
}

/* ---- all ---------------------------------------------------------------- */

static int linker_init(linker *l, const lk_decision_input *input,
                       linkd_error *err)
{
    bool is_auto = input->assign == LINKD_ASSIGN_AUTO;
    int rc;

    *l = (linker){.input = input, .pairs = input->pairs, .n = input->pairs->n};
    /* one more for what remains behind the fits */
    rc =
        lk_rounds_begin(input->progress, ROUNDS * (is_auto ? MODES + 1 : 1) + 1,
                        &l->rounds, err);
    if (rc != LINKD_OK)
        return rc;
    l->best_a = calloc(l->n + 1, sizeof(*l->best_a));
    l->best_b = calloc(l->n + 1, sizeof(*l->best_b));
    l->answers = calloc(l->n + 1, sizeof(*l->answers));
    l->log_odds = calloc(l->n + 1, sizeof(*l->log_odds));
    l->ratios = calloc(l->n + 1, sizeof(*l->ratios));
    l->chances = calloc(l->n + 1, sizeof(*l->chances));
    if (l->best_a == NULL || l->best_b == NULL || l->answers == NULL ||
        l->log_odds == NULL || l->ratios == NULL || l->chances == NULL)
        return lk_fail_nomem(err);
    return lk_most_surprising(input, l->best_a, l->best_b, err);
}

static void linker_clear(linker *l)
{
    free(l->best_a);
    free(l->best_b);
    free(l->answers);
    free(l->log_odds);
    free(l->ratios);
    free(l->chances);
}

static int is_by_chance(const linker *l, const float *posteriors, bool *ret_is,
                        linkd_error *err)
{
    lk_expected expected = {0};
    int rc = lk_expected_cut(posteriors, l->n, 0.0, &expected, err);

    *ret_is = lk_chance_mean(l->chances, posteriors, LK_SURE_MIN, l->n) >
                  CHANCE_MAX &&
              expected.precision < LK_PRECISION_MIN;
    return rc;
}

/* Fits anew, from seeds that chance does not explain, if it explains most of
 * what was found. */
static int chance_consider(linker *l, linkd_verdict *verdict, fit *f,
                           linkd_error *err)
{
    size_t len = strlen(verdict->why);
    double n_left = (double)l->pairs->n_left;
    double n_right = (double)l->pairs->n_records - n_left;
    int rc;

    if (f->matching.posteriors == NULL)
        return LINKD_OK;
    rc = lk_chance(l->input->features, l->input->random, n_left * n_right,
                   l->chances, err);
    if (rc == LINKD_OK)
        rc = is_by_chance(l, f->matching.posteriors, &l->is_reseeded, err);
    if (rc != LINKD_OK || !l->is_reseeded)
        return rc;
    (void)snprintf(verdict->why + len, sizeof(verdict->why) - len,
                   "%swhat chance explains was left out", len > 0 ? "; " : "");
    fit_clear(f);
    l->rounds.total += ROUNDS;
    return fit_run(l, multiplicity_of(verdict->assign), f, err);
}

/* What a pair is worth if nothing could be fitted. Of pairs that chance has been
 * taken from, those few that are each other's best are what it leaves. */
static float posterior_without_fit(const linker *l, size_t i)
{
    if (!l->is_reseeded)
        return 1.0F / (1.0F + expf(-l->log_odds[i]));
    return l->best_a[i] && l->best_b[i] && l->chances[i] < LK_CHANCE_SURE
               ? 1.0F - l->chances[i]
               : 0.0F;
}

/* Nothing could be fitted: pairs do not compete either, for how many matches
 * there are is as unknown. */
static int fit_fall_back(linker *l, fit *f, linkd_error *err)
{
    float *posteriors = calloc(l->n + 1, sizeof(*posteriors));

    if (posteriors == NULL)
        return lk_fail_nomem(err);
    lk_fallback_log_odds(l->input->features, l->log_odds);
    for (size_t i = 0; i < l->n; i++) {
        posteriors[i] = posterior_without_fit(l, i);
        f->matching.n_matches += (double)posteriors[i];
    }
    f->matching.posteriors = posteriors;
    return LINKD_OK;
}

static void expected_write(const lk_expected *expected, linkd_verdict *verdict)
{
    verdict->precision = expected->precision;
    verdict->recall = expected->recall;
    verdict->f1 = expected->f1;
}

static int outcome_fill(linker *l, fit *f, lk_outcome *outcome,
                        linkd_error *err)
{
    lk_expected expected = {0};
    lk_unseen unseen = {0};
    int rc = lk_unseen_count(l->pairs, l->input->features,
                             f->matching.posteriors, &unseen, err);

    /* doubts are about what candidates show */
    if (rc == LINKD_OK)
        rc = lk_expected_cut(f->matching.posteriors, l->n, 0.0, &expected, err);
    if (rc != LINKD_OK)
        return rc;
    expected_write(&expected, &outcome->verdict);
    lk_doubt_consider(&outcome->verdict, unseen.share_compared);
    rc = lk_expected_cut(f->matching.posteriors, l->n, unseen.n_matches,
                         &expected, err);
    if (rc != LINKD_OK)
        return rc;
    if (l->input->threshold >= 0.0)
        expected = lk_expected_at(f->matching.posteriors, l->n,
                                  l->input->threshold, unseen.n_matches);
    expected_write(&expected, &outcome->verdict);
    outcome->verdict.n_matches = f->matching.n_matches;
    outcome->verdict.n_unseen = unseen.n_matches;
    outcome->log_odds = l->log_odds;
    l->log_odds = NULL;
    outcome->posteriors = f->matching.posteriors;
    f->matching.posteriors = NULL;
    outcome->model.logistic = f->model;
    f->model = (lk_logistic){0};
    outcome->model.prior = -f->prior;
    outcome->threshold = expected.threshold;
    return LINKD_OK;
}

int lk_decide_link(const lk_decision_input *input, lk_outcome *ret_outcome,
                   linkd_error *err)
{
    lk_outcome outcome = {.verdict.assign = input->assign};
    linker l;
    fit f = {0};
    bool is_fitted;
    int rc = linker_init(&l, input, err);

    if (rc == LINKD_OK && input->assign == LINKD_ASSIGN_AUTO)
        rc = mode_choose(&l, &outcome.verdict, err);
    if (rc == LINKD_OK)
        rc = fit_run(&l, multiplicity_of(outcome.verdict.assign), &f, err);
    if (rc == LINKD_OK)
        rc = chance_consider(&l, &outcome.verdict, &f, err);
    is_fitted = f.matching.posteriors != NULL;
    if (rc == LINKD_OK && !is_fitted)
        rc = fit_fall_back(&l, &f, err);
    if (rc == LINKD_OK && !is_fitted)
        lk_doubt_too_few(&outcome.verdict);
    if (rc == LINKD_OK)
        rc = outcome_fill(&l, &f, &outcome, err);
    if (rc == LINKD_OK)
        rc = lk_rounds_next(&l.rounds, err);
    fit_clear(&f);
    linker_clear(&l);
    if (rc == LINKD_OK)
        *ret_outcome = outcome;
    else
        lk_outcome_clear(&outcome);
    return rc;
}
