/* cli/decide.c — deciding by probability: gathers evidence, decides, and says
 * in a few lines what came of it:
 *
 *   one-to-one: partners per matched row: left 1.01, right 1.02; …
 *   labels: … (only with labels: what they were used for)
 *   expected: precision 0.97, recall 0.95, F1 0.96 at probability 0.52 or more
 *   about 120 matches more are expected, … (only where there are many such)
 *   doubtful: … (only where the data cannot support the decision) */
#include "cli/decide.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/number.h"

/* Share of the matches from which on it is said that more are unseen: what is
 * less than that, the rounding of what is expected hides. */
#define UNSEEN_MIN 0.05

/* ---- the accepted pairs ------------------------------------------------- */

static int accepted_list(lk_decided *d, linkd_error *err)
{
    size_t n = d->decision.n_accepted;
    linkd_candidate *accepted = NULL;
    int rc = linkd_decision_accepted(&d->decision, &accepted, err);

    if (rc != LINKD_OK)
        return rc;
    d->pairs = calloc(n + 1, sizeof(*d->pairs));
    d->probabilities = calloc(n + 1, sizeof(*d->probabilities));
    if (d->pairs == NULL || d->probabilities == NULL)
        rc = lk_fail_nomem(err);
    for (size_t i = 0; i < n && rc == LINKD_OK; i++) {
        d->pairs[i] = (linkd_pair){.left = accepted[i].left,
                                   .right = accepted[i].right,
                                   .score = accepted[i].score};
        d->probabilities[i] = accepted[i].probability;
    }
    d->n_pairs = n;
    free(accepted);
    return rc;
}

/* ---- options ------------------------------------------------------------ */

int lk_decide_check(const lk_decide_values *values, const char *model,
                    linkd_error *err)
{
    unsigned channels;

    if (values->labels != NULL && values->pair_model != NULL)
        return lk_fail(err, LINKD_E_ARG, "--labels excludes --pair-model");
    if (isnan(values->min_score))
        return lk_channels_parse(values->channels, !lk_model_is_none(model),
                                 &channels, err);
    if (values->channels != NULL)
        return lk_fail(err, LINKD_E_ARG, "--min-score excludes --channels");
    if (values->pair_model != NULL)
        return lk_fail(err, LINKD_E_ARG, "--min-score excludes --pair-model");
    if (values->threshold >= 0.0 || values->labels != NULL)
        return lk_fail(err, LINKD_E_ARG, "--min-score excludes --%s",
                       values->labels != NULL ? "labels" : "threshold");
    if (lk_model_is_none(model))
        return lk_fail(err, LINKD_E_ARG, "--min-score needs a model");
    return LINKD_OK;
}

lk_inputs lk_inputs_of(const lk_cli *cli, const lk_decide_values *values)
{
    const char *file =
        values->labels != NULL ? values->labels : values->pair_model;
    lk_inputs inputs = {.n = cli->args.n_operands};

    memcpy(inputs.paths, cli->args.operands, sizeof(cli->args.operands));
    if (file != NULL)
        inputs.paths[inputs.n++] = file;
    return inputs;
}

/* ---- running ------------------------------------------------------------ */

int lk_decide_gather(lk_cli *cli, const lk_decide_input *input,
                     const char *channels, linkd_evidence **ret_evidence,
                     linkd_error *err)
{
    linkd_encoder_embedder storage = {input->engine->encoder,
                                      input->engine->pool};
    linkd_embedder embedder;
    bool with_model = input->engine->encoder != NULL;
    linkd_evidence_options options = {
        .columns = input->columns,
        .n_columns = input->n_columns,
        .left_block = input->left_block,
        .right_block = input->right_block,
        .k = input->k,
        .asked = input->asked,
        .n_asked = input->n_asked,
        .pair_model = input->pair_model,
    };
    int rc = lk_channels_parse(channels, with_model, &options.channels, err);

    if (rc != LINKD_OK)
        return rc;
    if (with_model)
        embedder = linkd_embedder_of_encoder(&storage);
    return linkd_evidence_gather(
        input->left, input->right, with_model ? &embedder : NULL,
        input->engine->pool, &options, &cli->progress, ret_evidence, err);
}

/* Labelled pairs are asked for, too, answered or not. */
static int labels_gather(lk_cli *cli, const lk_decide_input *input,
                         const char *channels, const lk_labels *labels,
                         linkd_evidence **ret_evidence, linkd_error *err)
{
    lk_decide_input with = *input;
    linkd_label *asked =
        calloc(input->n_asked + labels->n_pairs + 1, sizeof(*asked));
    int rc;

    if (asked == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < input->n_asked; i++)
        asked[i] = input->asked[i];
    for (size_t i = 0; i < labels->n_pairs; i++)
        asked[input->n_asked + i] = labels->pairs[i];
    with.asked = asked;
    with.n_asked = input->n_asked + labels->n_pairs;
    rc = lk_decide_gather(cli, &with, channels, ret_evidence, err);
    free(asked);
    return rc;
}

int lk_decide_run(lk_cli *cli, const lk_decide_input *input,
                  const lk_decide_values *values, lk_decided *ret_decided,
                  linkd_error *err)
{
    lk_decided d = {0};
    linkd_decide_options options = {.assign = input->assign,
                                    .threshold = values->threshold,
                                    .entities = input->entities};
    uint64_t start;
    int rc = LINKD_OK;

    if (values->labels != NULL)
        rc = lk_labels_read(values->labels, input->left, input->right,
                            &cli->progress, &d.labels, err);
    if (rc == LINKD_OK)
        rc = labels_gather(cli, input, values->channels, &d.labels, &d.evidence,
                           err);
    options.labels = d.labels.pairs;
    options.n_labels = d.labels.n;
    options.pair_model = d.labels.n == 0 ? input->pair_model : NULL;
    start = lk_clock_ns();
    if (rc == LINKD_OK)
        rc = linkd_evidence_decide(d.evidence, &options, &cli->progress,
                                   &d.decision, err);
    d.decide_seconds = lk_clock_seconds_since(start);
    if (rc == LINKD_OK)
        rc = accepted_list(&d, err);
    if (rc != LINKD_OK) {
        lk_decided_clear(&d);
        return rc;
    }
    lk_meter_finish(&cli->meter);
    *ret_decided = d;
    return LINKD_OK;
}

void lk_decided_clear(lk_decided *decided)
{
    free(decided->probabilities);
    free(decided->pairs);
    lk_labels_clear(&decided->labels);
    linkd_decision_clear(&decided->decision);
    linkd_evidence_free(decided->evidence);
    *decided = (lk_decided){0};
}

/* ---- what came of it ---------------------------------------------------- */

void lk_decided_manifest(const lk_decided *decided, lk_manifest *manifest)
{
    const linkd_funnel *f = linkd_evidence_funnel(decided->evidence);

    lk_manifest_count(manifest, "candidates", f->n_candidates);
    lk_manifest_count(manifest, "candidates_dense", f->n_dense);
    lk_manifest_count(manifest, "candidates_lexical", f->n_lexical);
    lk_manifest_count(manifest, "candidates_words", f->n_words);
    lk_manifest_count(manifest, "candidates_fields", f->n_fields);
    lk_manifest_count(manifest, "pairs", decided->n_pairs);
    lk_manifest_encode(manifest, &f->encode, f->encode_seconds);
    lk_manifest_seconds(manifest, "search", f->search_seconds);
    lk_manifest_seconds(manifest, "compare", f->compare_seconds);
    lk_manifest_seconds(manifest, "decide", decided->decide_seconds);
    lk_manifest_verdict(manifest, &decided->decision.verdict,
                        lk_assign_words[decided->decision.verdict.assign],
                        decided->decision.threshold);
}

void lk_verdict_note(const linkd_verdict *v, double threshold)
{
    if (v->why[0] != '\0')
        (void)fprintf(stderr, "%s: %s\n", lk_assign_words[v->assign], v->why);
    if (v->learned[0] != '\0')
        (void)fprintf(stderr, "labels: %s\n", v->learned);
    if (v->supported)
        (void)fprintf(stderr,
                      "expected: precision %.2f, recall %.2f, F1 %.2f at "
                      "probability %.2f or more\n",
                      v->precision, v->recall, v->f1, threshold);
    if (v->supported && v->n_unseen >= UNSEEN_MIN * v->n_matches)
        (void)fprintf(stderr,
                      "about %.0f matches more are expected, which rows with "
                      "empty fields cannot show: recall is of those, too\n",
                      v->n_unseen);
    if (v->doubt[0] != '\0')
        (void)fprintf(stderr, "doubtful: %s\n", v->doubt);
}

void lk_decided_steps(const lk_decided *decided)
{
    const linkd_funnel *f = linkd_evidence_funnel(decided->evidence);

    if (f->encode.n_texts > 0) {
        lk_encode_note(f->encode_seconds, f->encode.n_texts);
        (void)fputs(", ", stderr);
    }
    (void)fprintf(stderr, "search %.1f s, compare %.1f s, decide %.1f s\n",
                  f->search_seconds, f->compare_seconds,
                  decided->decide_seconds);
}
