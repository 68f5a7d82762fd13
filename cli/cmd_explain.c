/* cli/cmd_explain.c — linkctl explain: why two rows are a pair, or are not.
 *
 * A pair's probability depends on all the others, so the whole run is done
 * again, which gives the same result every time; the pair that was asked for is
 * a candidate even if no channel proposes it. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/columns.h"
#include "cli/command.h"
#include "cli/decide.h"
#include "cli/explanation.h"
#include "cli/output.h"

typedef struct explain_values {
    lk_on_values on;
    const char *block, *left_block, *right_block;
    const char *id, *left_id, *right_id;
    const char *model;
    const char *svg;
    size_t k;
    size_t n_threads;
    double threshold;
    int assign;
    int format;
    bool json;
} explain_values;

#define AT(member) offsetof(explain_values, member)

static const explain_values defaults = {
    .model = LK_MODEL_DEFAULT,
    .threshold = LINKD_THRESHOLD_AUTO,
    .assign = LINKD_ASSIGN_AUTO,
};

static const lk_option options[] = {
    {"on", 0, LK_OPTION_TEXT, AT(on.on), "A,B", NULL, 0, 0,
     "columns to compare, as the run was given them"},
    {"left-on", 0, LK_OPTION_TEXT, AT(on.left_on), "A,B", NULL, 0, 0,
     "columns of LEFT to compare with those of --right-on"},
    {"right-on", 0, LK_OPTION_TEXT, AT(on.right_on), "A,B", NULL, 0, 0,
     "as many columns of RIGHT, in the same order"},
    {"block", 0, LK_OPTION_TEXT, AT(block), "COLUMN", NULL, 0, 0,
     "compare only rows with equal values in this column"},
    {"left-block", 0, LK_OPTION_TEXT, AT(left_block), "COLUMN", NULL, 0, 0,
     "the same where the names differ: the column of LEFT"},
    {"right-block", 0, LK_OPTION_TEXT, AT(right_block), "COLUMN", NULL, 0, 0,
     "and that of RIGHT"},
    {"id", 0, LK_OPTION_TEXT, AT(id), "COLUMN", NULL, 0, 0,
     "column of the ids; without it the first column if its\n"
     "values are unique, else the row number"},
    {"left-id", 0, LK_OPTION_TEXT, AT(left_id), "COLUMN", NULL, 0, 0,
     "column of the ids of LEFT"},
    {"right-id", 0, LK_OPTION_TEXT, AT(right_id), "COLUMN", NULL, 0, 0,
     "column of the ids of RIGHT"},
    {"assign", 0, LK_OPTION_WORD, AT(assign), "HOW", lk_assign_words, 0, 0,
     "as for link (auto)"},
    {"threshold", 't', LK_OPTION_REAL, AT(threshold), "P", NULL, 0, 1,
     "as for link and dedup"},
    {"k", 'k', LK_OPTION_COUNT, AT(k), "N", NULL, 1, 10000,
     "as for link and dedup"},
    {"model", 'm', LK_OPTION_TEXT, AT(model), "NAME", NULL, 0, 0,
     "name or directory of the model (" LK_MODEL_DEFAULT ");\n"
     "none: compare words and letters only"},
    {"svg", 0, LK_OPTION_TEXT, AT(svg), "FILE", NULL, 0, 0,
     "write a picture, too: what each part adds"},
    {"format", 0, LK_OPTION_WORD, AT(format), "FORMAT", lk_format_words, 0, 0,
     "csv, tsv or jsonl for the tables, whatever their names\nend in"},
    {"threads", 'j', LK_OPTION_COUNT, AT(n_threads), "N", NULL, 0,
     LK_THREADS_MAX, "threads to use (as many as there are processors)"},
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
    linkd_table *left;
    linkd_table *right; /* NULL: one table */
    const linkd_table *tables[2];
    size_t rows[2];
    linkd_column_pair *columns;
    size_t n_columns;
    size_t blocks[2];
    lk_engine engine;
    lk_decided decided;
    linkd_explanation explanation;
    lk_output *svg;
} explain_run;

/* ---- options ------------------------------------------------------------ */

static int sides_check(const explain_run *run, const char *both,
                       const char *left, const char *right, const char *name,
                       linkd_error *err)
{
    if (run->within && (left != NULL || right != NULL))
        return lk_fail(err, LINKD_E_ARG,
                       "--left-%s and --right-%s need two tables", name, name);
    if (both != NULL && (left != NULL || right != NULL))
        return lk_fail(err, LINKD_E_ARG,
                       "--%s excludes --left-%s and --right-%s", name, name,
                       name);
    return LINKD_OK;
}

static int one_needs_other(const char *left, const char *right,
                           const char *name, linkd_error *err)
{
    if ((left == NULL) == (right == NULL))
        return LINKD_OK;
    return lk_fail(err, LINKD_E_ARG, "--%s-%s needs --%s-%s",
                   left != NULL ? "left" : "right", name,
                   left != NULL ? "right" : "left", name);
}

static int values_check(const explain_run *run, linkd_error *err)
{
    const explain_values *v = run->values;
    int rc =
        sides_check(run, v->on.on, v->on.left_on, v->on.right_on, "on", err);

    if (rc == LINKD_OK)
        rc = one_needs_other(v->on.left_on, v->on.right_on, "on", err);
    if (rc == LINKD_OK)
        rc = sides_check(run, v->block, v->left_block, v->right_block, "block",
                         err);
    if (rc == LINKD_OK)
        rc = one_needs_other(v->left_block, v->right_block, "block", err);
    if (rc == LINKD_OK)
        rc = sides_check(run, v->id, v->left_id, v->right_id, "id", err);
    return rc;
}

static const char *either(const char *own, const char *both)
{
    return own != NULL ? own : both;
}

/* ---- the steps ---------------------------------------------------------- */

static int row_find(explain_run *run, size_t side, linkd_error *err)
{
    const char *const *args = run->cli->args.operands;
    const char *id = args[(run->within ? 1 : 2) + side];
    const linkd_table *table = run->tables[side];
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
    const explain_values *v = run->values;
    const char *const *paths = run->cli->args.operands;
    int rc = lk_table_read(run->cli, paths[0], (linkd_format)v->format,
                           either(v->left_id, v->id), &run->left, err);

    if (rc == LINKD_OK && !run->within)
        rc = lk_table_read(run->cli, paths[1], (linkd_format)v->format,
                           either(v->right_id, v->id), &run->right, err);
    if (rc != LINKD_OK)
        return rc;
    run->tables[0] = run->left;
    run->tables[1] = run->within ? run->left : run->right;
    return rows_find(run, err);
}

/* All columns but the ids, as dedup takes them. */
static int columns_all(explain_run *run, linkd_error *err)
{
    size_t n = linkd_table_n_columns(run->left);

    run->columns = calloc(n + 1, sizeof(*run->columns));
    if (run->columns == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < n; i++)
        if (i != linkd_table_id_column(run->left))
            run->columns[run->n_columns++] = (linkd_column_pair){i, i, 1};
    if (run->n_columns == 0) /* nothing but ids to compare */
        run->columns[run->n_columns++] = (linkd_column_pair){0, 0, 1};
    return LINKD_OK;
}

static int columns_resolve(explain_run *run, linkd_error *err)
{
    const explain_values *v = run->values;
    int rc = run->within && v->on.on == NULL
                 ? columns_all(run, err)
                 : lk_columns_pair(run->cli, run->tables[0], run->tables[1],
                                   &v->on, &run->columns, &run->n_columns, err);

    if (rc == LINKD_OK)
        rc = lk_column_find(run->cli, run->tables[0],
                            either(v->left_block, v->block), &run->blocks[0],
                            err);
    if (rc == LINKD_OK)
        rc = lk_column_find(run->cli, run->tables[1],
                            either(v->right_block, v->block), &run->blocks[1],
                            err);
    return rc;
}

static int pair_explain(explain_run *run, linkd_error *err)
{
    const explain_values *v = run->values;
    linkd_label asked = {.left = run->rows[0], .right = run->rows[1]};
    lk_decide_input input = {.left = run->left,
                             .right = run->right,
                             .columns = run->columns,
                             .n_columns = run->n_columns,
                             .left_block = run->blocks[0],
                             .right_block = run->blocks[1],
                             .k = v->k,
                             .assign = (linkd_assign)v->assign,
                             .asked = &asked,
                             .n_asked = 1,
                             .engine = &run->engine};
    lk_decide_values values = {.threshold = v->threshold,
                               .min_score = (double)NAN};
    int rc = lk_decide_run(run->cli, &input, &values, &run->decided, err);

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
    return (lk_told){.explanation = &run->explanation,
                     .decision = &run->decided.decision,
                     .tables = {run->tables[0], run->tables[1]}};
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
    free(run->columns);
    linkd_table_free(run->left);
    linkd_table_free(run->right);
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
        rc = columns_resolve(run, err);
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
    int rc = values_check(&run, err);

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
