/* cli/cmd_explain.c — linkctl explain: why two rows are a pair, or are not.
 *
 * A pair's probability depends on all the others, so the whole run is done
 * again, which gives the same result every time; the pair that was asked for is
 * a candidate even if no channel proposes it. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/compared.h"
#include "cli/explanation.h"
#include "cli/output.h"

typedef struct explain_values {
    lk_compared_values compared;
    lk_decide_values decide;
    const char *model;
    const char *svg;
    size_t k;
    size_t n_threads;
    int assign;
    bool json;
} explain_values;

#define AT(member) offsetof(explain_values, member)

static const explain_values defaults = {
    .model = LK_MODEL_DEFAULT,
    .decide = {.threshold = LINKD_THRESHOLD_AUTO, .min_score = (double)NAN},
    .assign = LINKD_ASSIGN_AUTO,
};

static const lk_option options[] = {
    LK_COMPARED_OPTIONS(AT(compared)),
    {"assign", 0, LK_OPTION_WORD, AT(assign), "HOW", lk_assign_words, 0, 0,
     "as for link (auto)"},
    {"threshold", 't', LK_OPTION_REAL, AT(decide.threshold), "P", NULL, 0, 1,
     "as for link and dedup"},
    {"k", 'k', LK_OPTION_COUNT, AT(k), "N", NULL, 1, 10000,
     "as for link and dedup"},
    LK_CHANNELS_OPTION(AT(decide.channels)),
    {"model", 'm', LK_OPTION_TEXT, AT(model), "NAME", NULL, 0, 0,
     "name or directory of the model (" LK_MODEL_DEFAULT ");\n"
     "none: compare words and letters only"},
    LK_LABELS_OPTION(AT(decide.labels)),
    LK_PAIR_MODEL_OPTION(AT(decide.pair_model)),
    {"svg", 0, LK_OPTION_TEXT, AT(svg), "FILE", NULL, 0, 0,
     "write a picture, too: what each part adds"},
    LK_FORMAT_OPTION(AT(compared)),
    LK_THREADS_OPTION(AT(n_threads)),
    {"json", 0, LK_OPTION_FLAG, AT(json), NULL, NULL, 0, 0,
     "print one JSON object"},
};

static const char *const operands[] = {"LEFT", "RIGHT", "LEFT_ID", "RIGHT_ID"};

static const lk_syntax syntax = {
    .name = "explain",
    .operands = operands,
    .n_operands_min = 3,
    .n_operands_max = 4,
    .options = options,
    .n_options = sizeof(options) / sizeof(*options),
    .summary = "Tells why two rows are a pair, or are not.",
    .notes =
        "With three operands, FILE ID ID, it is about two rows of one table.\n"
        "The run is done again, so give the options that link or dedup had.\n"
        "The parts are log-odds and add up: +1 makes a pair 2.7 times as\n"
        "likely. Competition is what other pairs of the two rows take off or\n"
        "add.\n\n"
        "Examples:\n"
        "  linkctl explain ours.csv theirs.csv 17 A-203\n"
        "  linkctl explain people.csv 4 9 --svg why.svg\n"
        "  linkctl explain a.csv b.csv 1 2 --model none --json\n",
};

typedef struct explain_run {
    lk_cli *cli;
    const explain_values *values;
    bool within; /* one table */
    lk_compared compared;
    size_t rows[2];
    lk_engine engine;
    lk_decided decided;
    linkd_explanation explanation;
    lk_output *svg;
} explain_run;

/* ---- the steps ---------------------------------------------------------- */

static int row_find(explain_run *run, size_t side, linkd_error *err)
{
    const char *const *args = run->cli->args.operands;
    const char *id = args[(run->within ? 1 : 2) + side];
    const linkd_table *table = run->compared.tables[side];
    lk_id_storage storage;

    for (size_t row = 0; row < linkd_table_n_rows(table); row++) {
        linkd_str own = lk_id_text(table, row, &storage);

        if (own.len == strlen(id) && memcmp(own.bytes, id, own.len) == 0) {
            run->rows[side] = row;
            return LINKD_OK;
        }
    }
    return lk_fail(err, LINKD_E_ARG, "%s has no row with id \"%s\"",
                   lk_label_of_path(linkd_table_path(table)).text,
                   lk_label_of((linkd_str){id, strlen(id)}).text);
}

static int rows_find(explain_run *run, linkd_error *err)
{
    int rc = row_find(run, 0, err);

    if (rc == LINKD_OK)
        rc = row_find(run, 1, err);
    if (rc == LINKD_OK && run->within && run->rows[0] == run->rows[1])
        return lk_fail(err, LINKD_E_ARG, "both ids are of the same row");
    if (rc == LINKD_OK && run->within && run->rows[0] > run->rows[1]) {
        size_t row = run->rows[0];

        run->rows[0] = run->rows[1];
        run->rows[1] = row;
    }
    return rc;
}

static int tables_read(explain_run *run, linkd_error *err)
{
    const lk_compared_values *v = &run->values->compared;
    int rc = lk_compared_read(run->cli, v, run->within, &run->compared, err);

    if (rc == LINKD_OK)
        rc = rows_find(run, err);
    return rc == LINKD_OK
               ? lk_compared_pair(run->cli, v, run->values->decide.pair_model,
                                  &run->compared, err)
               : rc;
}

static int pair_explain(explain_run *run, linkd_error *err)
{
    const explain_values *v = run->values;
    linkd_label asked = {.left = run->rows[0], .right = run->rows[1]};
    lk_decide_input input =
        lk_compared_input(&run->compared, &run->engine, v->k);
    int rc;

    input.assign = (linkd_assign)v->assign;
    input.asked = &asked;
    input.n_asked = 1;
    rc = lk_decide_run(run->cli, &input, &v->decide, &run->decided, err);
    if (rc != LINKD_OK)
        return rc;
    return linkd_evidence_explain(
        run->decided.evidence, &run->decided.decision,
        linkd_decision_find(&run->decided.decision, asked.left, asked.right),
        &run->explanation, err);
}

/* ---- what came of it ---------------------------------------------------- */

static lk_told told_of(const explain_run *run)
{
    return (lk_told){
        .explanation = &run->explanation,
        .decision = &run->decided.decision,
        .tables = {run->compared.tables[0], run->compared.tables[1]}};
}

static int svg_write(explain_run *run, linkd_error *err)
{
    lk_told told = told_of(run);
    lk_buf svg = {0};
    int rc;

    if (run->svg == NULL)
        return LINKD_OK;
    rc = lk_explanation_svg(&told, &svg, err);
    if (rc == LINKD_OK)
        rc = lk_output_write(run->svg, svg.data, svg.len, err);
    if (rc == LINKD_OK)
        rc = lk_output_commit(&run->svg, 1, err);
    lk_buf_clear(&svg);
    return rc;
}

static int result_print(const explain_run *run, linkd_error *err)
{
    lk_told told = told_of(run);
    lk_buf line = {0};
    int rc;

    if (!run->values->json)
        return lk_explanation_print(&told, stdout, err);
    rc = lk_explanation_json(&told, &line, err);
    if (rc == LINKD_OK)
        (void)fwrite(line.data, 1, line.len, stdout);
    lk_buf_clear(&line);
    return rc;
}

static void explain_clear(explain_run *run)
{
    linkd_explanation_clear(&run->explanation);
    lk_decided_clear(&run->decided);
    lk_engine_close(&run->engine);
    lk_compared_clear(&run->compared);
    lk_output_close(run->svg);
}

static int steps_run(explain_run *run, linkd_error *err)
{
    const explain_values *v = run->values;
    int rc = LINKD_OK;

    if (v->svg != NULL)
        rc = lk_output_open(v->svg, run->cli->args.operands,
                            run->within ? 1 : 2, &run->svg, err);
    if (rc == LINKD_OK)
        rc = lk_model_check(run->cli, v->model, err);
    if (rc == LINKD_OK)
        rc = tables_read(run, err);
    if (rc == LINKD_OK)
        rc =
            lk_engine_open(run->cli, v->model, v->n_threads, &run->engine, err);
    if (rc == LINKD_OK)
        rc = pair_explain(run, err);
    if (rc == LINKD_OK)
        rc = svg_write(run, err);
    return rc == LINKD_OK ? result_print(run, err) : rc;
}

static int explain_run_all(lk_cli *cli, const void *values, linkd_error *err)
{
    explain_run run = {
        .cli = cli, .values = values, .within = cli->args.n_operands == 3};
    int rc = lk_compared_check(&run.values->compared,
                               run.values->decide.pair_model, run.within, err);

    if (rc == LINKD_OK)
        rc = lk_decide_check(&run.values->decide, run.values->model, err);
    if (rc == LINKD_OK && !run.within)
        rc = lk_inputs_check(cli, err);
    if (rc == LINKD_OK)
        rc = steps_run(&run, err);
    explain_clear(&run);
    return rc;
}

const lk_command lk_cmd_explain = {
    .syntax = &syntax,
    .defaults = &defaults,
    .values_size = sizeof(explain_values),
    .run = explain_run_all,
};
