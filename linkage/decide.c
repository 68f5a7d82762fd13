/* linkage/decide.c — evidence to a decision: asks decide_link.c or
 * decide_dedup.c for probabilities, learn.c to improve them where there are
 * labels, then accepts pairs by them.
 *
 * A probability says how likely a pair is; the mode says which pairs exclude
 * each other. So links are chosen by lk_assign() with probabilities in place of
 * scores, and the entities of one table are clusters of its log-odds. */
#include <math.h>
#include <stdlib.h>

#include "linkage/assign.h"
#include "linkage/evidence.h"
#include "linkage/learn.h"
#include "linkage/names.h"
#include "linkage/pair_model.h"
#include "linkage/text.h"

/* ---- progress ----------------------------------------------------------- */

static int rounds_report(const lk_rounds *rounds, linkd_error *err)
{
    return lk_progress_report(rounds->progress, "decide", rounds->done,
                              rounds->total, err);
}

int lk_rounds_begin(const linkd_progress *progress, uint64_t total,
                    lk_rounds *ret_rounds, linkd_error *err)
{
    *ret_rounds = (lk_rounds){.progress = progress, .total = total};
    return rounds_report(ret_rounds, err);
}

int lk_rounds_next(lk_rounds *rounds, linkd_error *err)
{
    LK_ASSERT(rounds->done < rounds->total);
    rounds->done++;
    return rounds_report(rounds, err);
}

/* ---- labels ------------------------------------------------------------- */

/* Labels name rows; inside they name records. */
static int labels_translate(const linkd_evidence *e,
                            const linkd_decide_options *options,
                            linkd_label **ret_labels, linkd_error *err)
{
    size_t shift = e->tables[1] != NULL ? e->pairs.n_left : 0;
    linkd_label *labels = calloc(options->n_labels + 1, sizeof(*labels));

    if (labels == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < options->n_labels; i++) {
        labels[i] = options->labels[i];
        labels[i].right += shift;
        if (lk_pairset_find(&e->pairs, labels[i].left, labels[i].right) ==
            SIZE_MAX) {
            free(labels);
            return lk_fail(err, LINKD_E_ARG,
                           "label %zu is of a pair that is no candidate",
                           i + 1);
        }
    }
    *ret_labels = labels;
    return LINKD_OK;
}

/* ---- what an entity may hold -------------------------------------------- */

/* Values of a column to numbers; a blank one is like no other. */
static int sources_number(const linkd_table *table, size_t column,
                          uint32_t *sources, size_t *ret_n, linkd_error *err)
{
    lk_name_numbers names = {0};
    size_t n_rows = linkd_table_n_rows(table);
    size_t n_blank = 0;
    int rc = LINKD_OK;

    for (size_t row = 0; row < n_rows && rc == LINKD_OK; row++) {
        linkd_cell cell = linkd_table_cell(table, row, column);
        linkd_str value = lk_str_trim((linkd_str){cell.bytes, cell.len});
        size_t number = n_rows + n_blank;

        if (value.len > 0)
            rc = lk_name_numbers_add(&names, value, &number, err);
        else
            n_blank++;
        sources[row] = (uint32_t)number;
    }
    lk_name_numbers_clear(&names);
    *ret_n = n_rows + n_blank;
    return rc;
}

/* ret_rule->limits.sources is freed with free(), through `ret_sources`. */
static int rule_make(const linkd_evidence *e,
                     const linkd_entities_options *options,
                     lk_entities_rule *ret_rule, uint32_t **ret_sources,
                     linkd_error *err)
{
    lk_entities_rule rule = {.method = options->cluster,
                             .limits = {.max_rows = options->max_rows}};
    size_t n_rows = e->pairs.n_records;
    uint32_t *sources = NULL;
    int rc = LINKD_OK;

    if (options->one_per != LINKD_COLUMN_NONE) {
        sources = calloc(n_rows + 1, sizeof(*sources));
        rc = sources == NULL
                 ? lk_fail_nomem(err)
                 : sources_number(e->tables[0], options->one_per, sources,
                                  &rule.limits.n_sources, err);
    }
    rule.limits.sources = sources;
    *ret_rule = rule;
    *ret_sources = sources;
    return rc;
}

/* ---- links -------------------------------------------------------------- */

static void pairs_mark(linkd_decision *d, const linkd_pair *chosen, size_t n)
{
    size_t next = 0;

    for (size_t i = 0; i < n; i++) {
        linkd_candidate *c = &d->candidates[next];

        while (c->left != chosen[i].left || c->right != chosen[i].right)
            c = &d->candidates[++next];
        c->accepted = true;
    }
}

static bool left_is_unique(linkd_assign assign)
{
    return assign != LINKD_ASSIGN_ONE_TO_MANY &&
           assign != LINKD_ASSIGN_MANY_TO_MANY;
}

static bool right_is_unique(linkd_assign assign)
{
    return assign != LINKD_ASSIGN_MANY_TO_ONE &&
           assign != LINKD_ASSIGN_MANY_TO_MANY;
}

/* Accepts the pairs that were answered with yes, whatever the mode, and marks in
 * `taken` [n_records] the records that the mode then has no other pair for. */
static void labels_accept(const lk_decision_input *in, linkd_decision *d,
                          bool *taken)
{
    LK_ASSERT(in->n_labels == 0 || in->labels != NULL);
    for (size_t i = 0; i < in->n_labels; i++) {
        const linkd_label *label = &in->labels[i];

        if (!label->match)
            continue;
        d->candidates[lk_pairset_find(in->pairs, label->left, label->right)]
            .accepted = true;
        taken[label->left] = left_is_unique(d->verdict.assign);
        taken[label->right] = right_is_unique(d->verdict.assign);
    }
}

/* The candidates that are left to choose from. */
static size_t pairs_list(const lk_decision_input *in, const linkd_decision *d,
                         const bool *taken, linkd_pair *ret_pairs)
{
    size_t n = 0;

    for (size_t i = 0; i < d->n_candidates; i++)
        if (!d->candidates[i].accepted && !taken[in->pairs->a[i]] &&
            !taken[in->pairs->b[i]])
            ret_pairs[n++] =
                (linkd_pair){.left = d->candidates[i].left,
                             .right = d->candidates[i].right,
                             .score = d->candidates[i].probability};
    return n;
}

static int links_accept(const lk_decision_input *in, linkd_decision *d,
                        linkd_error *err)
{
    lk_assign_input input = {.n_left = in->pairs->n_left,
                             .n_right =
                                 in->pairs->n_records - in->pairs->n_left,
                             .threshold = (float)d->threshold};
    linkd_pair *pairs = calloc(d->n_candidates + 1, sizeof(*pairs));
    linkd_pair *chosen = calloc(d->n_candidates + 1, sizeof(*chosen));
    bool *taken = calloc(in->pairs->n_records + 1, sizeof(*taken));
    size_t n = 0;
    int rc = LINKD_OK;

    if (pairs == NULL || chosen == NULL || taken == NULL) {
        rc = lk_fail_nomem(err);
    } else {
        labels_accept(in, d, taken);
        input.candidates = pairs;
        input.n = pairs_list(in, d, taken, pairs);
        rc = lk_assign(&input, d->verdict.assign, chosen, &n, err);
    }
    if (rc == LINKD_OK)
        pairs_mark(d, chosen, n);
    for (size_t i = 0; i < d->n_candidates && rc == LINKD_OK; i++)
        d->n_accepted += d->candidates[i].accepted;
    free(taken);
    free(chosen);
    free(pairs);
    return rc;
}

/* ---- entities ----------------------------------------------------------- */

/* A pair within an entity is accepted if it was a candidate at all. */
static void entity_pairs_accept(linkd_decision *d)
{
    LK_ASSERT(d->entities != NULL);
    for (size_t i = 0; i < d->n_candidates; i++) {
        linkd_candidate *c = &d->candidates[i];

        c->accepted = d->entities[c->left] == d->entities[c->right];
        d->n_accepted += c->accepted;
    }
}

static size_t entities_count(const linkd_decision *d, size_t n_rows)
{
    size_t n = 0;

    for (size_t i = 0; i < n_rows; i++)
        n = d->entities[i] >= n ? d->entities[i] + 1 : n;
    return n;
}

/* ---- all ---------------------------------------------------------------- */

/* At even odds, if nobody asks for another threshold: few labels leave many pairs
 * a little likely, and the cut of the best expected F1 would take them in. What
 * is expected includes the matches that rows with empty fields cannot show. */
static int entities_renew(const lk_decision_input *in, lk_outcome *outcome,
                          size_t *entities, linkd_error *err)
{
    lk_unseen unseen = {0};
    int rc;

    outcome->threshold =
        in->threshold >= 0.0 ? in->threshold : LK_ENTITIES_CUT_FIRST;
    rc = lk_decide_entities(in->pairs, outcome->log_odds,
                            lk_decide_entities_stop(outcome->threshold),
                            in->entities, entities, err);
    if (rc == LINKD_OK)
        rc = lk_unseen_count(in->pairs, in->features, outcome->posteriors,
                             &unseen, err);
    if (rc != LINKD_OK)
        return rc;
    lk_expected_of_entities(in->pairs, outcome->posteriors, entities,
                            unseen.n_matches, &outcome->verdict);
    return LINKD_OK;
}

static int cut_renew(const lk_decision_input *in, lk_outcome *outcome,
                     linkd_error *err)
{
    lk_expected expected = {0};
    lk_unseen unseen = {0};
    int rc = lk_unseen_count(in->pairs, in->features, outcome->posteriors,
                             &unseen, err);

    if (rc == LINKD_OK)
        rc = lk_expected_cut(outcome->posteriors, in->pairs->n,
                             unseen.n_matches, &expected, err);
    if (rc != LINKD_OK)
        return rc;
    if (in->threshold >= 0.0)
        expected = lk_expected_at(outcome->posteriors, in->pairs->n,
                                  in->threshold, unseen.n_matches);
    outcome->threshold = expected.threshold;
    outcome->verdict.precision = expected.precision;
    outcome->verdict.recall = expected.recall;
    outcome->verdict.f1 = expected.f1;
    outcome->verdict.n_unseen = unseen.n_matches;
    outcome->verdict.n_matches = 0.0;
    for (size_t i = 0; i < in->pairs->n; i++)
        outcome->verdict.n_matches += (double)outcome->posteriors[i];
    return LINKD_OK;
}

/* Without labels. `ret_entities` is of one table. */
static int outcome_guess(const linkd_evidence *e,
                         const lk_decision_input *input, lk_outcome *outcome,
                         size_t **ret_entities, linkd_error *err)
{
    lk_decision_input without = *input;

    without.n_labels = 0;
    if (e->tables[1] != NULL)
        return lk_decide_link(&without, outcome, err);
    *ret_entities = calloc(e->pairs.n_records + 1, sizeof(**ret_entities));
    if (*ret_entities == NULL)
        return lk_fail_nomem(err);
    return lk_decide_dedup(&without, outcome, *ret_entities, err);
}

static int outcome_find(const linkd_evidence *e, const lk_decision_input *input,
                        const linkd_pair_model *model, lk_outcome *outcome,
                        linkd_decision *d, linkd_error *err)
{
    int rc = outcome_guess(e, input, outcome, &d->entities, err);

    if (rc != LINKD_OK || (input->n_labels == 0 && model == NULL))
        return rc;
    rc = input->n_labels > 0
             ? lk_learn(input, outcome, err)
             : lk_pair_model_apply(model, e, input, outcome, err);
    if (rc != LINKD_OK || (model != NULL && lk_pair_model_is_idle(model)))
        return rc;
    return d->entities != NULL
               ? entities_renew(input, outcome, d->entities, err)
               : cut_renew(input, outcome, err);
}

static int decision_make(const linkd_evidence *e,
                         const lk_decision_input *input,
                         const linkd_pair_model *model, linkd_decision *d,
                         linkd_error *err)
{
    lk_outcome outcome = {0};
    int rc = outcome_find(e, input, model, &outcome, d, err);

    if (rc == LINKD_OK)
        rc = lk_evidence_candidates(e, outcome.posteriors, &d->candidates, err);
    if (rc != LINKD_OK)
        goto done;
    d->n_candidates = e->pairs.n;
    d->threshold = outcome.threshold;
    d->verdict = outcome.verdict;
    d->model = calloc(1, sizeof(*d->model));
    if (d->model == NULL) {
        rc = lk_fail_nomem(err);
        goto done;
    }
    *d->model = outcome.model;
    outcome.model = (lk_fitted_model){0};
    if (e->tables[1] != NULL) {
        rc = links_accept(input, d, err);
    } else {
        entity_pairs_accept(d);
        d->n_entities = entities_count(d, e->pairs.n_records);
    }
done:
    lk_outcome_clear(&outcome);
    return rc;
}

static lk_decision_input input_of(const linkd_evidence *evidence,
                                  const linkd_decide_options *options,
                                  const linkd_label *labels,
                                  const linkd_progress *progress)
{
    return (lk_decision_input){
        .pairs = &evidence->pairs,
        .features = &evidence->features,
        .random = &evidence->random,
        .text_numbers = evidence->text_numbers,
        .labels = labels,
        .n_labels = options->n_labels,
        .assign = options->assign,
        .threshold = options->threshold,
        .pool = evidence->pool,
        .progress = progress,
    };
}

int linkd_evidence_decide(const linkd_evidence *evidence,
                          const linkd_decide_options *options,
                          const linkd_progress *progress,
                          linkd_decision *ret_decision, linkd_error *err)
{
    linkd_label *labels = NULL;
    lk_entities_rule rule;
    uint32_t *sources = NULL;
    linkd_decision decision = {0};
    int rc;

    if (options->n_labels > 0 && options->pair_model != NULL)
        return lk_fail(err, LINKD_E_ARG,
                       "labels and a pair model exclude each other");
    rc = labels_translate(evidence, options, &labels, err);
    if (rc == LINKD_OK && options->entities != NULL)
        rc = rule_make(evidence, options->entities, &rule, &sources, err);
    if (rc == LINKD_OK) {
        lk_decision_input input = input_of(evidence, options, labels, progress);

        input.entities = options->entities != NULL ? &rule : NULL;
        rc = decision_make(evidence, &input, options->pair_model, &decision,
                           err);
    }
    free(sources);
    free(labels);
    if (rc == LINKD_OK)
        *ret_decision = decision;
    else
        linkd_decision_clear(&decision);
    return rc;
}

int linkd_evidence_train(const linkd_evidence *evidence,
                         const linkd_decide_options *options,
                         const linkd_progress *progress,
                         linkd_pair_model **ret_model, linkd_error *err)
{
    linkd_label *labels = NULL;
    size_t *entities = NULL;
    lk_outcome outcome = {0};
    int rc = labels_translate(evidence, options, &labels, err);

    if (rc == LINKD_OK) {
        lk_decision_input input = input_of(evidence, options, labels, progress);

        rc = outcome_guess(evidence, &input, &outcome, &entities, err);
        if (rc == LINKD_OK)
            rc =
                lk_pair_model_train(evidence, &input, &outcome, ret_model, err);
    }
    lk_outcome_clear(&outcome);
    free(entities);
    free(labels);
    return rc;
}

void lk_fitted_model_clear(lk_fitted_model *model)
{
    lk_features_clear(&model->context);
    lk_logistic_clear(&model->logistic);
    lk_boost_clear(&model->boost);
    *model = (lk_fitted_model){0};
}

/* ---- what was accepted --------------------------------------------------- */

static int accepted_order(const void *a, const void *b)
{
    const linkd_candidate *x = a;
    const linkd_candidate *y = b;

    if (x->left != y->left)
        return x->left > y->left ? 1 : -1;
    if (x->probability != y->probability)
        return x->probability < y->probability ? 1 : -1;
    return (x->right > y->right) - (x->right < y->right);
}

int linkd_decision_accepted(const linkd_decision *decision,
                            linkd_candidate **ret_accepted, linkd_error *err)
{
    linkd_candidate *accepted =
        calloc(decision->n_accepted + 1, sizeof(*accepted));
    size_t n = 0;

    if (accepted == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < decision->n_candidates; i++)
        if (decision->candidates[i].accepted)
            accepted[n++] = decision->candidates[i];
    LK_ASSERT(n == decision->n_accepted);
    qsort(accepted, n, sizeof(*accepted), accepted_order);
    *ret_accepted = accepted;
    return LINKD_OK;
}

void lk_outcome_clear(lk_outcome *outcome)
{
    free(outcome->log_odds);
    free(outcome->posteriors);
    lk_fitted_model_clear(&outcome->model);
    *outcome = (lk_outcome){0};
}

void linkd_decision_clear(linkd_decision *decision)
{
    if (decision->model != NULL)
        lk_fitted_model_clear(decision->model);
    free(decision->model);
    free(decision->entities);
    free(decision->candidates);
    *decision = (linkd_decision){0};
}
