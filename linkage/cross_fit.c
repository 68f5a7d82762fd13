/* linkage/cross_fit.c — every pair judged by a model that did not learn from it.
 *
 *   half 0 of the `a` records ── fit ──► model 0 ── scores the pairs of half 1
 *   half 1                    ── fit ──► model 1 ── scores the pairs of half 0
 *   both                      ── fit ──► the model that is returned
 *
 * A model sure of the answers it was given would only repeat them; one that saw
 * the other half of the records has to find them again, which is what lets the
 * rounds of a decision correct each other.
 *
 * All pairs of a record are in one half, told by a hash of its number. What a
 * half has of an answer beyond a limit is sampled, and each example that
 * remains counts for more. Each fit starts from the one before it, which saves
 * steps and does not change where they end. A half that lacks an answer teaches
 * nothing: both halves together judge in its place. */
#include <stdlib.h>
#include <string.h>

#include "linkage/decision.h"

enum {
    HALVES = 2,
    LEFT_OUT = 255,        /* an answer */
    SCORE_CHUNK = 1 << 16, /* pairs of one task: guess */
};

/* Examples of a half with one answer: no, yes. 60,000 easy pairs are plenty for
 * a few hundred weights: guess, with which all else was measured. */
static const size_t limits[2] = {60000, 120000};

/* L2 on the weights: the usual 1. */
#define PENALTY 1.0

typedef struct cross {
    const lk_cross_input *input;
    size_t counts[HALVES][2]; /* pairs by half and answer */
    lk_example *examples;     /* of half 0, then of half 1 */
    size_t starts[HALVES + 1];
    lk_logistic models[HALVES]; /* by the half they learned from */
    lk_logistic both;
    lk_logistic_table tables[HALVES]; /* by the half they judge */
    float *log_odds;
} cross;

/* Knuth's multiplicative hash, of which the high bits are the good ones. */
static size_t half_of(uint32_t record)
{
    return record * 2654435761U >> 31;
}

static float weight_of(const cross *c, size_t pair)
{
    return c->input->weights == NULL ? 1.0F : c->input->weights[pair];
}

static bool is_example(const cross *c, size_t pair)
{
    return c->input->answers[pair] != LEFT_OUT && weight_of(c, pair) > 0;
}

/* ---- examples ----------------------------------------------------------- */

static size_t at_most(size_t n, size_t limit)
{
    return n < limit ? n : limit;
}

static void count_pairs(cross *c)
{
    const lk_pairset *pairs = c->input->pairs;

    for (size_t i = 0; i < pairs->n; i++)
        if (is_example(c, i)) {
            LK_ASSERT(c->input->answers[i] <= 1);
            c->counts[half_of(pairs->a[i])][c->input->answers[i]]++;
        }
    for (size_t i = 0; i < HALVES; i++)
        c->starts[i + 1] = c->starts[i] + at_most(c->counts[i][0], limits[0]) +
                           at_most(c->counts[i][1], limits[1]);
}

/* Numbers that look random: Knuth's MMIX constants. */
static uint64_t below(uint64_t *state, uint64_t n)
{
    *state = *state * 6364136223846793005U + 1442695040888963407U;
    return (*state >> 32) * n >> 32;
}

/* Fills in the examples, in the order of the pairs. Of n pairs that are left,
 * one is taken with probability wanted / n, so that just as many as are wanted
 * are taken (Knuth, vol. 2, 3.4.2, algorithm S). */
static void sample(cross *c)
{
    const lk_pairset *pairs = c->input->pairs;
    size_t left[HALVES][2], wanted[HALVES][2], next[HALVES];
    uint64_t state = 1;

    memcpy(left, c->counts, sizeof(left));
    memcpy(next, c->starts, sizeof(next));
    for (size_t i = 0; i < HALVES; i++)
        for (size_t j = 0; j < 2; j++)
            wanted[i][j] = at_most(left[i][j], limits[j]);
    for (size_t i = 0; i < pairs->n; i++) {
        size_t half = half_of(pairs->a[i]);
        size_t answer = c->input->answers[i];
        double n;

        if (!is_example(c, i) ||
            below(&state, left[half][answer]--) >= wanted[half][answer])
            continue;
        wanted[half][answer]--;
        n = (double)c->counts[half][answer];
        c->examples[next[half]++] = (lk_example){
            .pair = (uint32_t)i,
            .answer = (float)answer,
            .weight = weight_of(c, i) *
                      (float)(n / (double)at_most(c->counts[half][answer],
                                                  limits[answer]))};
    }
}

static int make_examples(cross *c, linkd_error *err)
{
    count_pairs(c);
    c->examples = lk_alloc_aligned(c->starts[HALVES] + 1, sizeof(*c->examples));
    if (c->examples == NULL)
        return lk_fail_nomem(err);
    sample(c);
    return LINKD_OK;
}

/* ---- fits --------------------------------------------------------------- */

/* Whether a half has both answers. */
static bool teaches(const cross *c, size_t half)
{
    return c->counts[half][0] > 0 && c->counts[half][1] > 0;
}

static int copy_model(const lk_logistic *model, lk_logistic *ret_copy,
                      linkd_error *err)
{
    size_t n = 1 + 3 * model->n_features;
    double *weights = lk_alloc_aligned(n, sizeof(*weights));

    if (weights == NULL)
        return lk_fail_nomem(err);
    memcpy(weights, model->weights, n * sizeof(*weights));
    *ret_copy =
        (lk_logistic){.weights = weights, .n_features = model->n_features};
    return LINKD_OK;
}

/* On the examples of halves from `first` until `end`, from where the model
 * `start` is, if it was fitted. */
static int fit(const cross *c, size_t first, size_t end,
               const lk_logistic *start, lk_logistic *ret_model,
               linkd_error *err)
{
    const lk_features *features = c->input->features;
    const lk_example *examples = c->examples + c->starts[first];
    size_t n = c->starts[end] - c->starts[first];
    int rc;

    if (start->weights == NULL)
        return lk_logistic_fit(features, examples, n, PENALTY, c->input->pool,
                               ret_model, err);
    rc = copy_model(start, ret_model, err);
    if (rc == LINKD_OK)
        rc = lk_logistic_refit(features, examples, n, PENALTY, c->input->pool,
                               ret_model, err);
    return rc;
}

static int fit_all(cross *c, bool both, linkd_error *err)
{
    const lk_logistic *latest = &c->both; /* not fitted yet */
    int rc = LINKD_OK;

    for (size_t i = 0; rc == LINKD_OK && i < HALVES; i++) {
        if (teaches(c, i)) {
            rc = fit(c, i, i + 1, latest, &c->models[i], err);
            latest = &c->models[i];
        } else {
            both = true;
        }
    }
    if (rc == LINKD_OK && both)
        rc = fit(c, 0, HALVES, latest, &c->both, err);
    return rc;
}

/* ---- scores ------------------------------------------------------------- */

static int score_task(void *ctx, size_t item, size_t worker, linkd_error *err)
{
    const cross *c = ctx;
    const lk_pairset *pairs = c->input->pairs;
    const lk_features *features = c->input->features;
    size_t end = at_most((item + 1) * SCORE_CHUNK, pairs->n);

    (void)worker;
    (void)err;
    for (size_t i = item * SCORE_CHUNK; i < end; i++)
        c->log_odds[i] =
            lk_logistic_table_log_odds(&c->tables[half_of(pairs->a[i])],
                                       features->values + i * features->n);
    return LINKD_OK;
}

static int score(cross *c, linkd_error *err)
{
    size_t n_chunks = (c->input->pairs->n + SCORE_CHUNK - 1) / SCORE_CHUNK;
    int rc = LINKD_OK;

    for (size_t i = 0; rc == LINKD_OK && i < HALVES; i++) {
        size_t other = HALVES - 1 - i;

        rc = lk_logistic_table_make(teaches(c, other) ? &c->models[other]
                                                      : &c->both,
                                    &c->tables[i], err);
    }
    if (rc == LINKD_OK)
        rc = lk_pool_run(c->input->pool, n_chunks, score_task, c, err);
    return rc;
}

int lk_cross_fit_weighted(const lk_cross_input *input, float *ret_log_odds,
                          lk_logistic *ret_model, linkd_error *err)
{
    cross c = {.input = input, .log_odds = ret_log_odds};
    int rc = make_examples(&c, err);

    LK_ASSERT(input->features->n_pairs == input->pairs->n);
    if (rc == LINKD_OK)
        rc = fit_all(&c, ret_model != NULL, err);
    if (rc == LINKD_OK)
        rc = score(&c, err);
    if (rc == LINKD_OK && ret_model != NULL) {
        *ret_model = c.both;
        c.both = (lk_logistic){0};
    }
    for (size_t i = 0; i < HALVES; i++) {
        lk_logistic_table_clear(&c.tables[i]);
        lk_logistic_clear(&c.models[i]);
    }
    lk_logistic_clear(&c.both);
    free(c.examples);
    return rc;
}

int lk_cross_fit(const lk_features *features, const lk_pairset *pairs,
                 const uint8_t *answers, lk_pool *pool, float *ret_log_odds,
                 lk_logistic *ret_model, linkd_error *err)
{
    lk_cross_input input = {
        .features = features, .pairs = pairs, .answers = answers, .pool = pool};

    return lk_cross_fit_weighted(&input, ret_log_odds, ret_model, err);
}

/* ---- answers ------------------------------------------------------------ */

size_t lk_answers_count(const uint8_t *answers, size_t n, uint8_t answer)
{
    size_t n_such = 0;

    for (size_t i = 0; i < n; i++)
        n_such += answers[i] == answer;
    return n_such;
}

bool lk_answers_teach(const uint8_t *answers, size_t n)
{
    return lk_answers_count(answers, n, 1) >= LK_SEEDS_MIN &&
           lk_answers_count(answers, n, 0) > 0;
}
