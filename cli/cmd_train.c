/* cli/cmd_train.c — linkctl train: what labels teach, kept in a file for other
 * tables with the same columns. */
#include <math.h>
#include <stdlib.h>

#include "cli/compared.h"
#include "cli/number.h"
#include "cli/output.h"

typedef struct train_values {
    lk_compared_values compared;
    lk_decide_values decide;
    const char *model;
    const char *output;
    size_t k;
    size_t n_threads;
    int assign;
    bool json;
} train_values;

#define AT(member) offsetof(train_values, member)

static const train_values defaults = {
    .model = LK_MODEL_DEFAULT,
    .output = "-",
    .decide = {.threshold = LINKD_THRESHOLD_AUTO, .min_score = (double)NAN},
    .assign = LINKD_ASSIGN_AUTO,
};

static const lk_option options[] = {
    LK_LABELS_OPTION(AT(decide.labels)),
    {"output", 'o', LK_OPTION_TEXT, AT(output), "FILE", NULL, 0, 0,
     "the model, as JSON; - is standard output (default)"},
    LK_COMPARED_OPTIONS(AT(compared)),
    {"assign", 0, LK_OPTION_WORD, AT(assign), "HOW", lk_assign_words, 0, 0,
     "as for link: how pairs of a row compete (auto)"},
    {"k", 'k', LK_OPTION_COUNT, AT(k), "N", NULL, 1, 10000,
     "as for link and dedup"},
    LK_CHANNELS_OPTION(AT(decide.channels)),
    {"model", 'm', LK_OPTION_TEXT, AT(model), "NAME", NULL, 0, 0,
     "name or directory of the encoder (" LK_MODEL_DEFAULT ");\n"
     "none: compare words and letters only. Who uses the\n"
     "file needs the same"},
    LK_FORMAT_OPTION(AT(compared)),
    LK_THREADS_OPTION(AT(n_threads)),
    {"json", 0, LK_OPTION_FLAG, AT(json), NULL, NULL, 0, 0,
     "summary as one JSON object, on standard output unless\n"
     "the model goes there"},
};

static const char *const operands[] = {"LEFT", "RIGHT"};

static const lk_syntax syntax = {
    .name = "train",
    .operands = operands,
    .n_operands_min = 1,
    .n_operands_max = 2,
    .options = options,
    .n_options = sizeof(options) / sizeof(*options),
    .summary = "Learns from answered pairs, for other tables to be decided by.",
    .notes =
        "With one operand it is about the rows of one table, for dedup. link,\n"
        "dedup, score, explain and review take the file with --pair-model, "
        "for\n"
        "tables whose columns have the same names, and need no labels then.\n"
        "Labels prove themselves: each fifth of them is foretold by what the\n"
        "others teach. If that is no better than the decision without labels,\n"
        "the model says so, and leaves that decision as it is.\n\n"
        "Examples:\n"
        "  linkctl train ours.csv theirs.csv --labels labels.csv -o "
        "model.json\n"
        "  linkctl link new.csv theirs.csv --pair-model model.json -o "
        "pairs.csv\n"
        "  linkctl train people.csv --labels labels.csv --model none \\\n"
        "      -o people.json\n"
        "  linkctl dedup more.csv --pair-model people.json --model none \\\n"
        "      -o entities.csv\n",
};

typedef struct train_run {
    lk_cli *cli;
    const train_values *values;
    lk_compared compared;
    lk_engine engine;
    lk_labels labels;
    linkd_evidence *evidence;
    linkd_pair_model *model;
    lk_output *output;
    lk_manifest manifest;
    double train_seconds;
} train_run;

/* ---- the steps ---------------------------------------------------------- */

static int output_open(train_run *run, linkd_error *err)
{
    const train_values *v = run->values;
    lk_inputs inputs = lk_inputs_of(run->cli, &v->decide);

    return lk_result_open(v->output, inputs.paths, inputs.n, &run->output,
                          &run->manifest, err);
}

static int tables_read(train_run *run, linkd_error *err)
{
    const train_values *v = run->values;
    lk_compared *c = &run->compared;
    uint64_t start = lk_clock_ns();
    int rc = lk_compared_read(run->cli, &v->compared,
                              run->cli->args.n_operands == 1, c, err);

    if (rc == LINKD_OK)
        rc = lk_compared_pair(run->cli, &v->compared, NULL, c, err);
    if (rc == LINKD_OK)
        rc = lk_labels_read(v->decide.labels, c->left, c->right,
                            &run->cli->progress, &run->labels, err);
    c->read_seconds = lk_clock_seconds_since(start);
    return rc;
}

static int model_train(train_run *run, linkd_error *err)
{
    lk_decide_input input =
        lk_compared_input(&run->compared, &run->engine, run->values->k);
    linkd_decide_options opts = {.assign = (linkd_assign)run->values->assign,
                                 .threshold = LINKD_THRESHOLD_AUTO,
                                 .labels = run->labels.pairs,
                                 .n_labels = run->labels.n};
    uint64_t start;
    int rc;

    input.asked = run->labels.pairs;
    input.n_asked = run->labels.n_pairs;
    rc = lk_decide_gather(run->cli, &input, run->values->decide.channels,
                          &run->evidence, err);
    start = lk_clock_ns();
    if (rc == LINKD_OK)
        rc = linkd_evidence_train(run->evidence, &opts, &run->cli->progress,
                                  &run->model, err);
    run->train_seconds = lk_clock_seconds_since(start);
    lk_meter_finish(&run->cli->meter);
    return rc;
}

static int model_write(train_run *run, linkd_error *err)
{
    lk_buf json = {0};
    int rc = linkd_pair_model_encode(run->model, &json, err);

    if (rc == LINKD_OK)
        rc = lk_output_write(run->output, json.data, json.len, err);
    lk_buf_clear(&json);
    return rc;
}

/* ---- the summary -------------------------------------------------------- */

static void manifest_fill(train_run *run)
{
    const linkd_funnel *f = linkd_evidence_funnel(run->evidence);
    linkd_pair_model_info info = linkd_pair_model_describe(run->model);
    lk_manifest *m = &run->manifest;

    lk_compared_manifest(&run->compared, m);
    lk_manifest_engine(m, run->values->model, &run->engine);
    lk_manifest_count(m, "candidates", f->n_candidates);
    lk_manifest_count(m, "features", info.n_features);
    lk_manifest_learned(m, &info.learned);
    lk_manifest_seconds(m, "encode", f->encode_seconds);
    lk_manifest_seconds(m, "search", f->search_seconds);
    lk_manifest_seconds(m, "compare", f->compare_seconds);
    lk_manifest_seconds(m, "train", run->train_seconds);
}

static void foretold_print(const char *by, const linkd_foretold *f)
{
    (void)fprintf(stderr, "%s: ", by);
    if (isnan(f->precision))
        (void)fprintf(stderr, "recall %.3f", f->recall);
    else
        (void)fprintf(stderr, "precision %.3f, recall %.3f, F1 %.3f",
                      f->precision, f->recall, f->f1);
    (void)fprintf(stderr, ", log-loss %.3f\n", f->log_loss);
}

static void learned_print(const linkd_pair_model_info *info)
{
    const linkd_learned_info *learned = &info->learned;

    if (isnan(learned->without.log_loss)) {
        (void)fprintf(stderr, "too few labels to learn from: the model leaves "
                              "the decision without labels as it is\n");
        return;
    }
    if (learned->learner != LINKD_LEARNER_NONE) {
        (void)fprintf(stderr, "learned: %s on %zu features\n",
                      linkd_learner_words[learned->learner], info->n_features);
        foretold_print("held-out labels", &learned->held_out);
    }
    foretold_print("without learning", &learned->without);
    if (learned->learner == LINKD_LEARNER_NONE)
        (void)fprintf(stderr,
                      "no model foretells the labels better: this one leaves "
                      "the decision without labels as it is\n");
}

static void summary_print(const train_run *run)
{
    const linkd_funnel *f = linkd_evidence_funnel(run->evidence);
    linkd_pair_model_info info = linkd_pair_model_describe(run->model);

    (void)fprintf(stderr, "%s: %s, %s\n",
                  lk_counted(run->labels.n, "label", "labels").text,
                  lk_counted(info.learned.n_matches, "match", "matches").text,
                  lk_counted(info.learned.n_others, "other", "others").text);
    learned_print(&info);
    (void)fprintf(stderr, "read %.1f s, ", run->compared.read_seconds);
    if (f->encode.n_texts > 0) {
        lk_encode_note(f->encode_seconds, f->encode.n_texts);
        (void)fputs(", ", stderr);
    }
    (void)fprintf(stderr, "search %.1f s, compare %.1f s, train %.1f s\n",
                  f->search_seconds, f->compare_seconds, run->train_seconds);
}

static int summary(train_run *run, linkd_error *err)
{
    if (run->values->json)
        return lk_manifest_print(&run->manifest, &run->values->output, 1, err);
    if (!run->cli->args.quiet)
        summary_print(run);
    return LINKD_OK;
}

/* ---- all ---------------------------------------------------------------- */

static void train_clear(train_run *run)
{
    linkd_pair_model_free(run->model);
    linkd_evidence_free(run->evidence);
    lk_labels_clear(&run->labels);
    lk_engine_close(&run->engine);
    lk_compared_clear(&run->compared);
    lk_output_close(run->output);
    lk_manifest_clear(&run->manifest);
}

static int values_check(const train_run *run, linkd_error *err)
{
    const train_values *v = run->values;
    int rc;

    if (v->decide.labels == NULL)
        return lk_fail(err, LINKD_E_ARG, "train needs --labels");
    rc = lk_compared_check(&v->compared, NULL, run->cli->args.n_operands == 1,
                           err);
    if (rc == LINKD_OK)
        rc = lk_inputs_check(run->cli, err);
    return rc == LINKD_OK ? lk_decide_check(&v->decide, v->model, err) : rc;
}

static int steps_run(train_run *run, linkd_error *err)
{
    const train_values *v = run->values;
    int rc = output_open(run, err);

    if (rc == LINKD_OK)
        rc = lk_model_check(run->cli, v->model, err);
    if (rc == LINKD_OK)
        rc = tables_read(run, err);
    if (rc == LINKD_OK)
        rc =
            lk_engine_open(run->cli, v->model, v->n_threads, &run->engine, err);
    if (rc == LINKD_OK)
        rc = model_train(run, err);
    if (rc == LINKD_OK)
        rc = model_write(run, err);
    if (rc != LINKD_OK)
        return rc;
    manifest_fill(run);
    rc = lk_manifest_commit(&run->manifest, &run->output, 1, err);
    return rc == LINKD_OK ? summary(run, err) : rc;
}

static int train_run_all(lk_cli *cli, const void *values, linkd_error *err)
{
    train_run run = {.cli = cli, .values = values};
    int rc = values_check(&run, err);

    if (rc != LINKD_OK)
        return rc;
    lk_manifest_init(&run.manifest, &syntax, values);
    rc = steps_run(&run, err);
    train_clear(&run);
    return rc;
}

const lk_command lk_cmd_train = {
    .syntax = &syntax,
    .defaults = &defaults,
    .values_size = sizeof(train_values),
    .run = train_run_all,
};
