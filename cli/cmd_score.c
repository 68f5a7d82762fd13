/* cli/cmd_score.c — linkctl score: how alike given pairs are, without choosing
 * among them. What is asked for comes in three forms:
 *
 *   PAIRS                     a file of ids; probabilities, or cosines alone
 *   --all                     every combination; cosines, nothing is kept
 *   --left-on, --right-on     of one table: two columns of each row; cosines
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/asked.h"
#include "cli/number.h"
#include "cli/pairs.h"

typedef struct score_values {
    lk_compared_values compared;
    const char *model;
    const char *output;
    lk_decide_values decide;
    size_t k;
    size_t n_threads;
    double min_score;
    int assign;
    bool all;
    bool cosine;
    bool json;
} score_values;

#define AT(member) offsetof(score_values, member)

static const score_values defaults = {
    .model = LK_MODEL_DEFAULT,
    .output = "-",
    .decide = {.threshold = LINKD_THRESHOLD_AUTO, .min_score = (double)NAN},
    .min_score = -1.0,
    .assign = LINKD_ASSIGN_AUTO,
};

static const lk_option options[] = {
    {"all", 0, LK_OPTION_FLAG, AT(all), NULL, NULL, 0, 0,
     "score every combination of rows, by cosine"},
    {"min-score", 0, LK_OPTION_REAL, AT(min_score), "S", NULL, -1, 1,
     "with --all, write only pairs that score S or more"},
    {"cosine", 0, LK_OPTION_FLAG, AT(cosine), NULL, NULL, 0, 0,
     "the cosine of the rows' vectors alone, without\n"
     "probabilities; only rows in PAIRS are encoded then"},
    LK_COMPARED_OPTIONS(AT(compared)),
    {"assign", 0, LK_OPTION_WORD, AT(assign), "HOW", lk_assign_words, 0, 0,
     "as for link: how pairs of a row compete (auto)"},
    {"k", 'k', LK_OPTION_COUNT, AT(k), "N", NULL, 1, 10000,
     "with --all, write only the N best of each left row, or\n"
     "of one table the N best others of each row; else as for\n"
     "link and dedup"},
    LK_CHANNELS_OPTION(AT(decide.channels)),
    LK_LABELS_OPTION(AT(decide.labels)),
    LK_PAIR_MODEL_OPTION(AT(decide.pair_model)),
    {"model", 'm', LK_OPTION_TEXT, AT(model), "NAME", NULL, 0, 0,
     "name or directory of the model (" LK_MODEL_DEFAULT ");\n"
     "none: compare words and letters only"},
    {"output", 'o', LK_OPTION_TEXT, AT(output), "FILE", NULL, 0, 0,
     "scores as .csv, .tsv or .jsonl; - is standard output\n(default)"},
    LK_FORMAT_OPTION(AT(compared)),
    LK_THREADS_OPTION(AT(n_threads)),
    {"json", 0, LK_OPTION_FLAG, AT(json), NULL, NULL, 0, 0,
     "summary as one JSON object, on standard output unless\n"
     "the scores go there"},
};

static const char *const operands[] = {"LEFT", "RIGHT", "PAIRS"};

static const lk_syntax syntax = {
    .name = "score",
    .operands = operands,
    .n_operands_min = 1,
    .n_operands_max = 3,
    .options = options,
    .n_options = sizeof(options) / sizeof(*options),
    .summary = "Tells how alike given pairs are, or all.",
    .notes =
        "PAIRS has the columns left_id and right_id; its other columns are\n"
        "kept, and score and probability written beside the ids. Every pair\n"
        "gets them, likely or not. A probability is learned from both whole\n"
        "tables, as link and dedup do it. FILE PAIRS is about rows of one\n"
        "table.\n"
        "--all takes LEFT RIGHT or one FILE, whose pairs come once. It "
        "computes\n"
        "every combination and keeps none, so it takes time, not memory; with\n"
        "-k pairs come best first.\n"
        "An empty row has no score, and is in no pair of --all.\n\n"
        "Examples:\n"
        "  linkctl score ours.csv theirs.csv pairs.csv -o scored.csv\n"
        "  linkctl score people.csv pairs.csv --cosine\n"
        "  linkctl score a.csv b.csv --all --min-score 0.7 -o near.csv\n"
        "  linkctl score a.csv b.csv --all -k 3 -o nearest.csv\n"
        "  linkctl score names.csv --left-on old_name --right-on new_name\n",
};

typedef enum score_form {
    FORM_PAIRS,
    FORM_ALL,
    FORM_ROWS, /* two columns of each row */
} score_form;

typedef struct score_run {
    lk_cli *cli;
    const score_values *values;
    score_form form;
    bool within; /* one table */
    lk_compared compared;
    linkd_table *asked; /* PAIRS */
    lk_engine engine;
    linkd_pair *pairs; /* FORM_PAIRS, FORM_ROWS: [n_pairs] */
    size_t n_pairs;
    float *probabilities; /* [n_pairs]; NULL: cosines alone */
    lk_decided decided;
    linkd_score_stats stats;
    lk_rows rows; /* FORM_ALL */
    lk_output *output;
    lk_manifest manifest;
} score_run;

static bool by_cosine(const score_run *run)
{
    return run->form != FORM_PAIRS || run->values->cosine;
}

/* ---- options ------------------------------------------------------------ */

/* Which form the operands and options make. */
static int form_choose(score_run *run, linkd_error *err)
{
    size_t n = run->cli->args.n_operands;

    if (run->values->all && n == 3)
        return lk_fail(err, LINKD_E_ARG, "--all takes no PAIRS");
    if (run->values->all) {
        run->form = FORM_ALL;
        run->within = n == 1;
        return LINKD_OK;
    }
    run->form = n == 1 ? FORM_ROWS : FORM_PAIRS;
    run->within = n < 3;
    if (n == 1 && run->values->compared.on.left_on == NULL) {
        lk_cli_hint(run->cli, "or --all, or --left-on and --right-on for two "
                              "columns of each row");
        return lk_fail(err, LINKD_E_ARG, "PAIRS are needed");
    }
    return LINKD_OK;
}

/* Options that are about probabilities. */
static int cosine_check(const score_run *run, linkd_error *err)
{
    static const char *const vain[] = {"block",  "left-block", "right-block",
                                       "assign", "channels",   "k",
                                       "labels", "pair-model"};

    for (size_t i = 0; i < sizeof(vain) / sizeof(*vain); i++)
        if (lk_args_given(&syntax, &run->cli->args, vain[i]) &&
            (run->form != FORM_ALL || strcmp(vain[i], "k") != 0))
            return lk_fail(err, LINKD_E_ARG, "cosines take no --%s", vain[i]);
    if (lk_model_is_none(run->values->model))
        return lk_fail(err, LINKD_E_ARG, "cosines need a model");
    return LINKD_OK;
}

static int values_check(score_run *run, linkd_error *err)
{
    int rc = form_choose(run, err);

    if (rc == LINKD_OK)
        rc = lk_inputs_check(run->cli, err);
    if (rc == LINKD_OK)
        rc = lk_compared_check(&run->values->compared,
                               run->values->decide.pair_model,
                               run->within && run->form != FORM_ROWS, err);
    if (rc == LINKD_OK && run->form != FORM_ALL &&
        lk_args_given(&syntax, &run->cli->args, "min-score"))
        return lk_fail(err, LINKD_E_ARG, "--min-score needs --all");
    if (rc != LINKD_OK)
        return rc;
    return by_cosine(run)
               ? cosine_check(run, err)
               : lk_decide_check(&run->values->decide, run->values->model, err);
}

/* ---- inputs ------------------------------------------------------------- */

static int output_open(score_run *run, linkd_error *err)
{
    const score_values *v = run->values;
    lk_inputs inputs = lk_inputs_of(run->cli, &v->decide);

    return lk_result_open(v->output, inputs.paths, inputs.n, &run->output,
                          &run->manifest, err);
}

static int asked_read(score_run *run, linkd_error *err)
{
    size_t n = run->cli->args.n_operands;

    if (run->form != FORM_PAIRS)
        return LINKD_OK;
    return linkd_table_read_result(run->cli->args.operands[n - 1],
                                   LINKD_FORMAT_AUTO, NULL, &run->cli->progress,
                                   &run->asked, err);
}

static int tables_read(score_run *run, linkd_error *err)
{
    const score_values *v = run->values;
    lk_compared *c = &run->compared;
    uint64_t start = lk_clock_ns();
    int rc = lk_compared_read(run->cli, &v->compared, run->within, c, err);

    if (rc == LINKD_OK)
        rc = asked_read(run, err);
    c->read_seconds = lk_clock_seconds_since(start);
    if (rc == LINKD_OK && run->form == FORM_ROWS)
        rc = lk_column_check_free(run->cli, c->left, "score", "score", err);
    return rc == LINKD_OK ? lk_compared_pair(run->cli, &v->compared,
                                             v->decide.pair_model, c, err)
                          : rc;
}

/* ---- which pairs -------------------------------------------------------- */

static int pairs_list(score_run *run, linkd_error *err)
{
    if (run->form == FORM_ALL)
        return LINKD_OK;
    run->n_pairs = linkd_table_n_rows(
        run->form == FORM_PAIRS ? run->asked : run->compared.left);
    run->pairs = calloc(run->n_pairs + 1, sizeof(*run->pairs));
    if (run->pairs == NULL)
        return lk_fail_nomem(err);
    if (run->form == FORM_PAIRS)
        return lk_asked_resolve(run->asked, &run->compared, run->pairs, err);
    for (size_t row = 0; row < run->n_pairs; row++)
        run->pairs[row] = (linkd_pair){.left = row, .right = row};
    return LINKD_OK;
}

/* ---- scoring ------------------------------------------------------------ */

static linkd_score_options score_options(const score_run *run)
{
    return (linkd_score_options){.columns = run->compared.columns,
                                 .n_columns = run->compared.n_columns,
                                 .least = (float)run->values->min_score,
                                 .k = run->values->k};
}

static int cosines_find(score_run *run, linkd_error *err)
{
    linkd_encoder_embedder storage = {run->engine.encoder, run->engine.pool};
    linkd_embedder embedder = linkd_embedder_of_encoder(&storage);
    linkd_score_options opts = score_options(run);
    /* two columns of one row: the table is its own other side */
    const linkd_table *right =
        run->form == FORM_ROWS ? run->compared.left : run->compared.right;

    return linkd_score_pairs(run->compared.left, right, &embedder, &opts,
                             &run->cli->progress, run->pairs, run->n_pairs,
                             &run->stats, err);
}

static void probabilities_take(score_run *run)
{
    const linkd_decision *d = &run->decided.decision;

    for (size_t i = 0; i < run->n_pairs; i++) {
        size_t at =
            linkd_decision_find(d, run->pairs[i].left, run->pairs[i].right);

        LK_ASSERT(at != LINKD_CANDIDATE_NONE); /* it was asked for */
        run->pairs[i].score = d->candidates[at].score;
        run->probabilities[i] = d->candidates[at].probability;
    }
}

static int asked_decide(score_run *run, const linkd_label *asked,
                        linkd_error *err)
{
    lk_decide_input input =
        lk_compared_input(&run->compared, &run->engine, run->values->k);

    input.assign = (linkd_assign)run->values->assign;
    input.asked = asked;
    input.n_asked = run->n_pairs;
    return lk_decide_run(run->cli, &input, &run->values->decide, &run->decided,
                         err);
}

static int probabilities_find(score_run *run, linkd_error *err)
{
    linkd_label *asked = calloc(run->n_pairs + 1, sizeof(*asked));
    int rc;

    run->probabilities = calloc(run->n_pairs + 1, sizeof(float));
    if (asked == NULL || run->probabilities == NULL) {
        free(asked);
        return lk_fail_nomem(err);
    }
    for (size_t i = 0; i < run->n_pairs; i++) {
        const linkd_pair *pair = &run->pairs[i];
        bool swap = run->within && pair->left > pair->right;

        asked[i].left = swap ? pair->right : pair->left;
        asked[i].right = swap ? pair->left : pair->right;
    }
    rc = asked_decide(run, asked, err);
    if (rc == LINKD_OK)
        probabilities_take(run);
    free(asked);
    return rc;
}

/* ---- output ------------------------------------------------------------- */

/* Is it one of the columns that score writes itself? */
static bool is_fixed(linkd_str name)
{
    for (size_t i = 0; i < LK_PAIR_COLUMNS; i++)
        if (lk_str_compare(name, lk_pair_columns[i]) == 0)
            return true;
    return false;
}

static void score_write(lk_rows *rows, float score)
{
    if (isnan(score))
        lk_rows_none(rows);
    else
        lk_rows_score(rows, score);
}

static int pair_rows_write(const score_run *run, lk_rows *rows,
                           linkd_error *err)
{
    int rc = LINKD_OK;

    for (size_t i = 0; i < run->n_pairs && rc == LINKD_OK; i++) {
        lk_rows_id(rows, run->compared.left, run->pairs[i].left);
        lk_rows_id(rows, run->compared.tables[1], run->pairs[i].right);
        score_write(rows, run->pairs[i].score);
        if (run->probabilities != NULL)
            lk_rows_score(rows, run->probabilities[i]);
        for (size_t c = 0; c < linkd_table_n_columns(run->asked); c++)
            if (!is_fixed(linkd_table_column(run->asked, c)))
                lk_rows_cell(rows, linkd_table_cell(run->asked, i, c));
        rc = lk_rows_end(rows, err);
    }
    return rc;
}

static int own_rows_write(const score_run *run, lk_rows *rows, linkd_error *err)
{
    int rc = LINKD_OK;

    for (size_t i = 0; i < run->n_pairs && rc == LINKD_OK; i++) {
        for (size_t c = 0; c < linkd_table_n_columns(run->compared.left); c++)
            lk_rows_cell(rows, linkd_table_cell(run->compared.left, i, c));
        score_write(rows, run->pairs[i].score);
        rc = lk_rows_end(rows, err);
    }
    return rc;
}

/* The columns of the output; `names` has room for all. */
static size_t names_list(const score_run *run, linkd_str *names)
{
    const linkd_table *own =
        run->form == FORM_ROWS ? run->compared.left : run->asked;
    size_t n = 0;

    if (run->form != FORM_ROWS) {
        n = run->probabilities != NULL ? LK_PAIR_COLUMNS : 3;
        memcpy(names, lk_pair_columns, n * sizeof(*names));
    }
    for (size_t c = 0; own != NULL && c < linkd_table_n_columns(own); c++)
        if (run->form == FORM_ROWS || !is_fixed(linkd_table_column(own, c)))
            names[n++] = linkd_table_column(own, c);
    if (run->form == FORM_ROWS)
        names[n++] = lk_pair_columns[2];
    return n;
}

static int scored_cb(void *ctx, const linkd_pair *pairs, size_t n,
                     linkd_error *err)
{
    score_run *run = ctx;
    int rc = LINKD_OK;

    for (size_t i = 0; i < n && rc == LINKD_OK; i++) {
        lk_rows_id(&run->rows, run->compared.left, pairs[i].left);
        lk_rows_id(&run->rows, run->compared.tables[1], pairs[i].right);
        lk_rows_score(&run->rows, pairs[i].score);
        rc = lk_rows_end(&run->rows, err);
    }
    return rc;
}

static int all_write(score_run *run, linkd_error *err)
{
    linkd_encoder_embedder storage = {run->engine.encoder, run->engine.pool};
    linkd_embedder embedder = linkd_embedder_of_encoder(&storage);
    linkd_score_options opts = score_options(run);

    return linkd_score_all(run->compared.left, run->compared.right, &embedder,
                           run->engine.pool, &opts, &run->cli->progress,
                           scored_cb, run, &run->stats, err);
}

static int scores_write(score_run *run, linkd_error *err)
{
    const linkd_table *own =
        run->asked != NULL ? run->asked : run->compared.left;
    linkd_str *names = calloc(linkd_table_n_columns(own) + 4, sizeof(*names));
    int rc;

    if (names == NULL)
        return lk_fail_nomem(err);
    rc = lk_rows_init(&run->rows, run->output,
                      lk_rows_format(run->values->output), names,
                      names_list(run, names), err);
    if (rc == LINKD_OK && run->form == FORM_ALL)
        rc = all_write(run, err);
    else if (rc == LINKD_OK && run->form == FORM_PAIRS)
        rc = pair_rows_write(run, &run->rows, err);
    else if (rc == LINKD_OK)
        rc = own_rows_write(run, &run->rows, err);
    lk_rows_clear(&run->rows);
    free(names);
    return rc;
}

/* ---- the summary -------------------------------------------------------- */

static void manifest_fill(score_run *run)
{
    lk_manifest *m = &run->manifest;

    lk_compared_manifest(&run->compared, m);
    if (run->asked != NULL)
        lk_manifest_table(m, run->asked);
    lk_manifest_engine(m, run->values->model, &run->engine);
    if (!by_cosine(run)) {
        lk_manifest_count(m, "scored", run->n_pairs);
        lk_decided_manifest(&run->decided, m);
        return;
    }
    lk_manifest_count(m, "scored", run->stats.n_scored);
    lk_manifest_count(m, "rows_without_text",
                      run->stats.n_empty[0] + run->stats.n_empty[1]);
    lk_manifest_encode(m, &run->stats.encode, run->stats.encode_seconds);
    lk_manifest_seconds(m, "score", run->stats.score_seconds);
}

static void summary_print(const score_run *run)
{
    uint64_t n = by_cosine(run) ? run->stats.n_scored : run->n_pairs;

    (void)fprintf(stderr, "%s scored\n", lk_counted(n, "pair", "pairs").text);
    if (by_cosine(run)) {
        lk_texts_note(run->stats.n_empty[0] + run->stats.n_empty[1],
                      run->stats.encode.n_truncated);
        (void)fprintf(stderr, "read %.1f s, ", run->compared.read_seconds);
        lk_encode_note(run->stats.encode_seconds, run->stats.encode.n_texts);
        (void)fprintf(stderr, ", score %.1f s\n", run->stats.score_seconds);
        return;
    }
    lk_verdict_note(&run->decided.decision.verdict,
                    run->decided.decision.threshold);
    (void)fprintf(stderr, "read %.1f s, ", run->compared.read_seconds);
    lk_decided_steps(&run->decided);
}

static int summary(score_run *run, linkd_error *err)
{
    if (run->values->json)
        return lk_manifest_print(&run->manifest, &run->values->output, 1, err);
    if (!run->cli->args.quiet)
        summary_print(run);
    return LINKD_OK;
}

/* ---- all ---------------------------------------------------------------- */

static void score_clear(score_run *run)
{
    lk_decided_clear(&run->decided);
    free(run->probabilities);
    free(run->pairs);
    lk_engine_close(&run->engine);
    linkd_table_free(run->asked);
    lk_compared_clear(&run->compared);
    lk_output_close(run->output);
    lk_manifest_clear(&run->manifest);
}

static int steps_run(score_run *run, linkd_error *err)
{
    int rc = lk_model_check(run->cli, run->values->model, err);

    if (rc == LINKD_OK)
        rc = tables_read(run, err);
    if (rc == LINKD_OK)
        rc = pairs_list(run, err);
    if (rc == LINKD_OK)
        rc = lk_engine_open(run->cli, run->values->model,
                            run->values->n_threads, &run->engine, err);
    if (rc == LINKD_OK && !by_cosine(run))
        rc = probabilities_find(run, err);
    else if (rc == LINKD_OK && run->form != FORM_ALL)
        rc = cosines_find(run, err);
    if (rc == LINKD_OK)
        rc = scores_write(run, err);
    if (rc == LINKD_OK) {
        lk_meter_finish(&run->cli->meter);
        manifest_fill(run);
        rc = lk_manifest_commit(&run->manifest, &run->output, 1, err);
    }
    return rc;
}

static int score_run_all(lk_cli *cli, const void *values, linkd_error *err)
{
    score_run run = {.cli = cli, .values = values};
    int rc = values_check(&run, err);

    if (rc != LINKD_OK)
        return rc;
    lk_manifest_init(&run.manifest, &syntax, values);
    rc = output_open(&run, err);
    if (rc == LINKD_OK)
        rc = steps_run(&run, err);
    if (rc == LINKD_OK)
        rc = summary(&run, err);
    score_clear(&run);
    return rc;
}

const lk_command lk_cmd_score = {
    .syntax = &syntax,
    .defaults = &defaults,
    .values_size = sizeof(score_values),
    .run = score_run_all,
};
