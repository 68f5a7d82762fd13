/* linkage/explain.c — why a pair has the probability that it has.
 *
 * A model of sums explains itself: each feature adds its part to the log-odds
 * (of trees: the change of the mean along its path). Features of one field are
 * told as one part, since nobody asks which of seven ways to compare two names
 * counted.
 *
 *   prior + record + field 0 + field 1 + … = the pair's own log-odds
 *         + competition                    = log-odds of its probability
 *
 * Competition is what remains, so the parts always add up. For a model that has
 * the share of matches among its examples taken off (see lk_fitted_model.prior),
 * the share among the candidates is put back, or it would look like competition.
 * Probabilities have six decimals: where one is 0 or 1 as far as they tell, and
 * the pair's own log-odds go beyond, nothing is left to explain.
 *
 * The runner-up of a record is its best other candidate, so the best two of
 * every record are enough, found in one pass:
 *
 *   best [n_records, 2] of candidates, BEST_NONE where there is none */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "linkage/evidence.h"
#include "linkage/similarity.h"
#include "linkage/stack.h"
#include "linkage/texts.h"

#define BEST_NONE UINT32_MAX

/* What six decimals tell from 0 and 1. */
#define PROBABILITY_MIN 5e-7

struct linkd_explainer {
    const linkd_evidence *evidence;
    const linkd_decision *decision;
    uint32_t (*best)[2]; /* [n_records] */
};

/* ---- the best two of every record --------------------------------------- */

static bool is_better(const linkd_decision *d, uint32_t x, uint32_t y)
{
    const linkd_candidate *a = &d->candidates[x];
    const linkd_candidate *b;

    if (y == BEST_NONE)
        return true;
    b = &d->candidates[y];
    if (a->probability != b->probability)
        return a->probability > b->probability;
    return a->score > b->score; /* else the earlier one */
}

static void best_see(linkd_explainer *x, size_t record, uint32_t candidate)
{
    uint32_t *best = x->best[record];

    if (is_better(x->decision, candidate, best[0])) {
        best[1] = best[0];
        best[0] = candidate;
    } else if (is_better(x->decision, candidate, best[1])) {
        best[1] = candidate;
    }
}

int linkd_explainer_new(const linkd_evidence *evidence,
                        const linkd_decision *decision,
                        linkd_explainer **ret_explainer, linkd_error *err)
{
    size_t n_records = evidence->pairs.n_records;
    linkd_explainer *x = calloc(1, sizeof(*x));

    if (x == NULL)
        return lk_fail_nomem(err);
    x->evidence = evidence;
    x->decision = decision;
    x->best = calloc(n_records + 1, sizeof(*x->best));
    if (x->best == NULL) {
        free(x);
        return lk_fail_nomem(err);
    }
    for (size_t i = 0; i < n_records; i++)
        x->best[i][0] = x->best[i][1] = BEST_NONE;
    for (size_t i = 0; i < decision->n_candidates; i++) {
        best_see(x, evidence->pairs.a[i], (uint32_t)i);
        best_see(x, evidence->pairs.b[i], (uint32_t)i);
    }
    *ret_explainer = x;
    return LINKD_OK;
}

void linkd_explainer_free(linkd_explainer *explainer)
{
    if (explainer == NULL)
        return;
    free(explainer->best);
    free(explainer);
}

static double log_odds_of(float probability)
{
    double p =
        fmin(fmax((double)probability, PROBABILITY_MIN), 1.0 - PROBABILITY_MIN);

    return log(p / (1.0 - p));
}

static linkd_runner_up runner_up_find(const linkd_explainer *x, size_t record,
                                      size_t candidate)
{
    const lk_pairset *pairs = &x->evidence->pairs;
    const linkd_candidate *candidates = x->decision->candidates;
    uint32_t other = x->best[record][0];
    size_t partner;

    if (other == candidate)
        other = x->best[record][1];
    if (other == BEST_NONE)
        return (linkd_runner_up){.candidate = LINKD_CANDIDATE_NONE};
    partner = pairs->a[other] == record ? pairs->b[other] : pairs->a[other];
    return (linkd_runner_up){
        .candidate = other,
        .row = lk_evidence_row(x->evidence, partner),
        .margin = log_odds_of(candidates[candidate].probability) -
                  log_odds_of(candidates[other].probability)};
}

/* ---- words -------------------------------------------------------------- */

typedef struct word_list {
    linkd_str words[LINKD_EXPLAINED_WORDS];
    bool taken[LINKD_EXPLAINED_WORDS];
    size_t n;
} word_list;

static void words_split(const char *bytes, size_t len, word_list *list)
{
    size_t at = 0;

    while (at < len && list->n < LINKD_EXPLAINED_WORDS) {
        const char *space = memchr(bytes + at, ' ', len - at);
        size_t n = space != NULL ? (size_t)(space - bytes) - at : len - at;

        list->words[list->n++] = (linkd_str){bytes + at, n};
        at += n + 1;
    }
}

/* The words of a cell live in the arena. */
static int words_list(linkd_cell cell, lk_arena *arena, word_list *list,
                      linkd_error *err)
{
    lk_buf words = {0};
    char *copy = NULL;
    int rc = LINKD_OK;

    if (cell.len > 0)
        rc = lk_words_append((linkd_str){cell.bytes, cell.len}, &words, err);
    if (rc == LINKD_OK && words.len > 0) {
        copy = lk_arena_copy(arena, words.data, words.len);
        if (copy == NULL)
            rc = lk_fail_nomem(err);
        else
            words_split(copy, words.len, list);
    }
    lk_buf_clear(&words);
    return rc;
}

/* The most similar right word that is free, or SIZE_MAX. */
static size_t counterpart_find(linkd_str word, const word_list *right,
                               float at_least, float *ret_similarity)
{
    size_t best = SIZE_MAX;

    for (size_t i = 0; i < right->n; i++) {
        float similarity =
            right->taken[i] ? 0.0F : lk_word_similarity(word, right->words[i]);

        if (similarity > 0.0F && similarity >= at_least &&
            (best == SIZE_MAX || similarity > *ret_similarity)) {
            best = i;
            *ret_similarity = similarity;
        }
    }
    return best;
}

static size_t words_meet(const word_list *left, word_list *right,
                         linkd_word_pair *pairs)
{
    size_t n = left->n;

    /* equal words first, lest a similar one takes their place */
    for (size_t round = 0; round < 2; round++) {
        for (size_t i = 0; i < left->n; i++) {
            size_t other;

            pairs[i].left = left->words[i];
            if (pairs[i].right.len > 0)
                continue;
            other = counterpart_find(left->words[i], right,
                                     round == 0 ? 1.0F : 0.0F,
                                     &pairs[i].similarity);
            if (other == SIZE_MAX)
                continue;
            pairs[i].right = right->words[other];
            right->taken[other] = true;
        }
    }
    for (size_t i = 0; i < right->n; i++)
        if (!right->taken[i])
            pairs[n++] = (linkd_word_pair){.right = right->words[i]};
    return n;
}

static int words_compare(linkd_field_part *part, lk_arena *arena,
                         linkd_error *err)
{
    word_list *lists = calloc(2, sizeof(*lists));
    int rc = lists == NULL ? lk_fail_nomem(err) : LINKD_OK;

    if (rc == LINKD_OK)
        rc = words_list(part->cells[0], arena, &lists[0], err);
    if (rc == LINKD_OK)
        rc = words_list(part->cells[1], arena, &lists[1], err);
    if (rc == LINKD_OK) {
        size_t size = (lists[0].n + lists[1].n + 1) * sizeof(*part->words);

        part->words = lk_arena_alloc(arena, size);
        if (part->words == NULL) {
            rc = lk_fail_nomem(err);
        } else {
            memset(part->words, 0, size);
            part->n_words = words_meet(&lists[0], &lists[1], part->words);
        }
    }
    free(lists);
    return rc;
}

/* ---- parts -------------------------------------------------------------- */

/* The prior, and what every feature adds; false: nothing was fitted. `row`: the
 * features, then the model's context. */
static bool parts_make(const lk_fitted_model *model, const uint8_t *row,
                       double *ret_prior, double *ret_parts)
{
    if (model->boost.n_trees > 0) {
        lk_boost_parts(&model->boost, row, ret_parts);
        *ret_prior = model->boost.base + model->prior;
    } else if (model->logistic.weights != NULL) {
        lk_logistic_parts(&model->logistic, row, ret_parts);
        *ret_prior = model->logistic.weights[0] + model->prior;
    } else {
        return false;
    }
    return true;
}

/* Nothing was fitted: the whole record has decided. */
static double fallback_of(const lk_features *features, size_t candidate)
{
    lk_features one = *features;
    float log_odds = 0.0F;

    one.values += candidate * one.n;
    one.n_pairs = 1;
    lk_fallback_log_odds(&one, &log_odds);
    return (double)log_odds;
}

static double share_log_odds(const linkd_decision *d)
{
    double n = (double)d->n_candidates;
    double m = fmin(fmax(d->verdict.n_matches, 0.5), n - 0.5);

    return n > 1.0 ? log(m / (n - m)) : 0.0;
}

static int parts_sum(const linkd_explainer *x, size_t candidate,
                     linkd_explanation *e, linkd_error *err)
{
    const lk_features *f = &x->evidence->features;
    const lk_fitted_model *model = x->decision->model;
    size_t n = f->n + model->context.n;
    double *parts = calloc(n + 1, sizeof(*parts));
    uint8_t *row = calloc(n + 1, sizeof(*row));

    if (parts == NULL || row == NULL) {
        free(parts);
        free(row);
        return lk_fail_nomem(err);
    }
    lk_stack_row(f, &model->context, candidate, row);
    if (!parts_make(model, row, &e->prior, parts))
        e->record = fallback_of(f, candidate);
    else if (model->prior != 0.0)
        e->prior += share_log_odds(x->decision);
    for (size_t i = 0; i < n; i++) {
        size_t field = i < f->n ? f->features[i].field : LK_FIELD_RECORD;

        if (field == LK_FIELD_RECORD)
            e->record += parts[i];
        else
            e->fields[field].log_odds += parts[i];
    }
    free(row);
    free(parts);
    return LINKD_OK;
}

static void competition_find(linkd_explanation *e)
{
    double limit = log((1.0 - PROBABILITY_MIN) / PROBABILITY_MIN);
    double own = e->prior + e->record;

    for (size_t i = 0; i < e->n_fields; i++)
        own += e->fields[i].log_odds;
    e->log_odds = log_odds_of(e->candidate.probability);
    if ((own > limit && e->log_odds >= limit) ||
        (own < -limit && e->log_odds <= -limit))
        e->log_odds = own;
    e->competition = e->log_odds - own;
}

static int fields_describe(const linkd_explainer *x, linkd_explanation *e,
                           linkd_error *err)
{
    const linkd_evidence *evidence = x->evidence;
    size_t size = (evidence->n_fields + 1) * sizeof(*e->fields);
    int rc = LINKD_OK;

    e->fields = lk_arena_alloc(&e->arena, size);
    if (e->fields == NULL)
        return lk_fail_nomem(err);
    memset(e->fields, 0, size);
    e->n_fields = evidence->n_fields;
    for (size_t i = 0; i < e->n_fields && rc == LINKD_OK; i++) {
        const lk_field *field = &evidence->fields[i];
        linkd_field_part *part = &e->fields[i];
        size_t other = evidence->tables[1] != NULL;

        part->name = field->name;
        part->columns[0] = field->columns[0];
        part->columns[1] = field->columns[1];
        part->cells[0] = linkd_table_cell(evidence->tables[0],
                                          e->candidate.left, field->columns[0]);
        part->cells[1] = linkd_table_cell(
            evidence->tables[other], e->candidate.right, field->columns[1]);
        rc = words_compare(part, &e->arena, err);
    }
    return rc;
}

int linkd_explainer_explain(const linkd_explainer *explainer, size_t candidate,
                            linkd_explanation *ret_explanation,
                            linkd_error *err)
{
    const linkd_decision *d = explainer->decision;
    const lk_pairset *pairs = &explainer->evidence->pairs;
    linkd_explanation e = {0};
    int rc;

    if (candidate >= d->n_candidates)
        return lk_fail(err, LINKD_E_ARG, "there is no candidate %zu of %zu",
                       candidate, d->n_candidates);
    e.candidate = d->candidates[candidate];
    rc = fields_describe(explainer, &e, err);
    if (rc == LINKD_OK)
        rc = parts_sum(explainer, candidate, &e, err);
    if (rc != LINKD_OK) {
        linkd_explanation_clear(&e);
        return rc;
    }
    competition_find(&e);
    e.runners_up[0] = runner_up_find(explainer, pairs->a[candidate], candidate);
    e.runners_up[1] = runner_up_find(explainer, pairs->b[candidate], candidate);
    *ret_explanation = e;
    return LINKD_OK;
}

int linkd_evidence_explain(const linkd_evidence *evidence,
                           const linkd_decision *decision, size_t candidate,
                           linkd_explanation *ret_explanation, linkd_error *err)
{
    linkd_explainer *explainer = NULL;
    int rc = linkd_explainer_new(evidence, decision, &explainer, err);

    if (rc == LINKD_OK)
        rc =
            linkd_explainer_explain(explainer, candidate, ret_explanation, err);
    linkd_explainer_free(explainer);
    return rc;
}

void linkd_explanation_clear(linkd_explanation *explanation)
{
    lk_arena_clear(&explanation->arena);
    *explanation = (linkd_explanation){0};
}

/* ---- finding a pair ----------------------------------------------------- */

static size_t candidate_search(const linkd_decision *d, size_t left,
                               size_t right)
{
    size_t from = 0;
    size_t to = d->n_candidates;

    while (from < to) {
        size_t middle = from + (to - from) / 2;
        const linkd_candidate *c = &d->candidates[middle];

        if (c->left < left || (c->left == left && c->right < right))
            from = middle + 1;
        else
            to = middle;
    }
    if (from < d->n_candidates && d->candidates[from].left == left &&
        d->candidates[from].right == right)
        return from;
    return LINKD_CANDIDATE_NONE;
}

size_t linkd_decision_find(const linkd_decision *decision, size_t left,
                           size_t right)
{
    if (decision->entities != NULL && left > right)
        /* NOLINTNEXTLINE(readability-suspicious-call-argument): lower first */
        return candidate_search(decision, right, left);
    return candidate_search(decision, left, right);
}
