/* cli/cmd_classify.c — linkctl classify: labels for rows, learned from rows that
 * have them. */
#include <stdlib.h>
#include <string.h>

#include "cli/compared.h"
#include "cli/number.h"
#include "cli/rows.h"

typedef struct classify_values {
    const char *examples;
    const char *label;
    lk_on_values on;
    const char *model;
    const char *output;
    size_t k;
    size_t n_threads;
    double threshold;
    int method;
    int format;
    bool json;
} classify_values;

#define AT(member) offsetof(classify_values, member)
#define K_DEFAULT  5

static const classify_values defaults = {
    .model = LK_MODEL_DEFAULT, .output = "-", .k = K_DEFAULT};

/* In the order of linkd_classify_method. */
static const char *const method_words[] = {"nearest", "linear", NULL};

static const lk_option options[] = {
    {"examples", 'e', LK_OPTION_TEXT, AT(examples), "FILE", NULL, 0, 0,
     "labelled rows to learn from"},
    {"label", 'l', LK_OPTION_TEXT, AT(label), "COLUMN", NULL, 0, 0,
     "column of the labels in the examples; rows where it is\n"
     "blank teach nothing"},
    {"on", 0, LK_OPTION_TEXT, AT(on.on), "A,B", NULL, 0, 0,
     "columns to compare, of the same names in both files;\n"
     "without it all but ids and labels, paired by name and\n"
     "content"},
    {"left-on", 0, LK_OPTION_TEXT, AT(on.left_on), "A,B", NULL, 0, 0,
     "columns of FILE to compare with those of --right-on"},
    {"right-on", 0, LK_OPTION_TEXT, AT(on.right_on), "A,B", NULL, 0, 0,
     "as many columns of the examples, in the same order"},
    {"method", 0, LK_OPTION_WORD, AT(method), "HOW", method_words, 0, 0,
     "nearest: the examples nearest to a row vote, nearer\n"
     "ones more (default); linear: logistic regression on\n"
     "the vectors, better with many examples a label"},
    {"k", 'k', LK_OPTION_COUNT, AT(k), "N", NULL, 1, 1000,
     "examples that vote (5)"},
    {"threshold", 't', LK_OPTION_REAL, AT(threshold), "C", NULL, 0, 1,
     "least confidence of a label; below it the row gets\n"
     "none (0: every row gets one)"},
    {"model", 'm', LK_OPTION_TEXT, AT(model), "NAME", NULL, 0, 0,
     "name or directory of the model (" LK_MODEL_DEFAULT ")"},
    {"output", 'o', LK_OPTION_TEXT, AT(output), "FILE", NULL, 0, 0,
     "the input with class and confidence added, as .csv,\n"
     ".tsv or .jsonl; - is standard output (default)"},
    {"format", 0, LK_OPTION_WORD, AT(format), "FORMAT", lk_format_words, 0, 0,
     "csv, tsv or jsonl for FILE, whatever its name ends in"},
    LK_THREADS_OPTION(AT(n_threads)),
    {"json", 0, LK_OPTION_FLAG, AT(json), NULL, NULL, 0, 0,
     "summary as one JSON object, on standard output unless\n"
     "the rows go there"},
};

static const char *const operands[] = {"FILE"};

static const lk_syntax syntax = {
    .name = "classify",
    .operands = operands,
    .n_operands_min = 1,
    .n_operands_max = 1,
    .options = options,
    .n_options = sizeof(options) / sizeof(*options),
    .summary = "Gives rows the labels of examples like them.",
    .notes =
        "FILE is CSV, TSV or JSON lines; - is standard input. How often the\n"
        "labels are right is measured on the examples, each of which is asked\n"
        "for without having been learned from (up to a few thousand). The\n"
        "confidence is the share of the votes, or with linear the probability\n"
        "that the regression gives. A row without text gets no label.\n\n"
        "Examples:\n"
        "  linkctl classify firms.csv --examples done.csv --label industry \\\n"
        "      --on name,description -o labelled.csv\n"
        "  linkctl classify firms.csv -e done.csv -l industry --method linear "
        "\\\n"
        "      --threshold 0.8 -o labelled.csv\n",
};

typedef struct classify_run {
    lk_cli *cli;
    const classify_values *values;
    linkd_table *table;
    linkd_table *examples;
    size_t label_column;
    linkd_column_pair *columns;
    size_t n_columns;
    lk_engine engine;
    linkd_classify_result result;
    size_t n_unlabelled; /* by --threshold or without text */
    lk_output *output;
    lk_manifest manifest;
    double read_seconds;
} classify_run;

/* ---- options ------------------------------------------------------------ */

static int values_check(lk_cli *cli, const classify_values *v, linkd_error *err)
{
    int rc;

    if (v->examples == NULL || v->label == NULL)
        return lk_fail(err, LINKD_E_ARG, "--%s is needed",
                       v->examples == NULL ? "examples" : "label");
    rc = lk_on_check(&v->on, false, err);
    if (rc != LINKD_OK)
        return rc;
    if (v->method != LINKD_CLASSIFY_NEAREST &&
        lk_args_given(&syntax, &cli->args, "k"))
        return lk_fail(err, LINKD_E_ARG,
                       "--k says nothing without --method nearest");
    if (lk_model_is_none(v->model))
        return lk_fail(err, LINKD_E_ARG, "labels need a model");
    if (strcmp(v->examples, "-") == 0 &&
        strcmp(cli->args.operands[0], "-") == 0)
        return lk_fail(err, LINKD_E_ARG,
                       "FILE and the examples are both standard input");
    return LINKD_OK;
}

/* ---- inputs ------------------------------------------------------------- */

static const linkd_str added[] = {{"class", 5}, {"confidence", 10}};
#define N_ADDED (sizeof(added) / sizeof(*added))

static int output_open(classify_run *run, linkd_error *err)
{
    const char *inputs[] = {run->cli->args.operands[0], run->values->examples};

    return lk_result_open(run->values->output, inputs, 2, &run->output,
                          &run->manifest, err);
}

static int columns_are_free(const classify_run *run, linkd_error *err)
{
    int rc = LINKD_OK;

    for (size_t i = 0; i < N_ADDED && rc == LINKD_OK; i++)
        rc = lk_column_check_free(run->cli, run->table, added[i].bytes,
                                  "classify", err);
    return rc;
}

static int tables_read(classify_run *run, linkd_error *err)
{
    const classify_values *v = run->values;
    uint64_t start = lk_clock_ns();
    int rc = lk_table_read(run->cli, v->examples, LINKD_FORMAT_AUTO, NULL,
                           &run->examples, err);

    if (rc == LINKD_OK)
        rc = lk_column_find(run->cli, run->examples, v->label,
                            &run->label_column, err);
    if (rc == LINKD_OK)
        rc = lk_table_read(run->cli, run->cli->args.operands[0],
                           (linkd_format)v->format, NULL, &run->table, err);
    if (rc == LINKD_OK)
        rc = columns_are_free(run, err);
    if (rc != LINKD_OK)
        return rc;
    run->read_seconds = lk_clock_seconds_since(start);
    lk_manifest_table(&run->manifest, run->table);
    lk_manifest_table(&run->manifest, run->examples);
    return LINKD_OK;
}

/* Columns paired by themselves leave out the labels: what they are paired with
 * in FILE is what is looked for. */
static void labels_leave_out(classify_run *run)
{
    size_t n = 0;

    for (size_t i = 0; i < run->n_columns; i++)
        if (run->columns[i].right != run->label_column)
            run->columns[n++] = run->columns[i];
    run->n_columns = n;
}

static int columns_resolve(classify_run *run, linkd_error *err)
{
    const lk_on_values *on = &run->values->on;
    int rc = lk_columns_pair(run->cli, run->table, run->examples, on,
                             &run->columns, &run->n_columns, err);

    if (rc == LINKD_OK && on->on == NULL && on->left_on == NULL)
        labels_leave_out(run);
    for (size_t i = 0; rc == LINKD_OK && i < run->n_columns; i++)
        lk_manifest_pairing(&run->manifest, run->table, run->examples,
                            &run->columns[i]);
    return rc;
}

/* ---- the work ----------------------------------------------------------- */

static int table_classify(classify_run *run, linkd_error *err)
{
    const classify_values *v = run->values;
    linkd_encoder_embedder storage = {run->engine.encoder, run->engine.pool};
    linkd_embedder embedder = linkd_embedder_of_encoder(&storage);
    linkd_classify_options classify_options = {
        .columns = run->columns,
        .n_columns = run->n_columns,
        .label_column = run->label_column,
        .method = (linkd_classify_method)v->method,
        .k = v->k,
    };
    int rc = linkd_classify_rows(run->table, run->examples, &embedder,
                                 run->engine.pool, &classify_options,
                                 &run->cli->progress, &run->result, err);

    if (rc == LINKD_OK)
        lk_meter_finish(&run->cli->meter);
    return rc;
}

/* A label that is not sure enough is left out, its confidence is not. */
static void label_write(void *of, lk_rows *rows, size_t row)
{
    classify_run *run = of;
    const linkd_classify_result *r = &run->result;
    bool is_empty = r->labels[row] == LINKD_LABEL_NONE;

    if (is_empty || r->confidences[row] < (float)run->values->threshold) {
        lk_rows_none(rows);
        run->n_unlabelled++;
    } else {
        lk_rows_text(rows, r->names[r->labels[row]]);
    }
    if (is_empty)
        lk_rows_none(rows);
    else
        lk_rows_score(rows, r->confidences[row]);
}

static int labels_write(classify_run *run, linkd_error *err)
{
    const lk_added with_labels = {.columns = added,
                                  .n_columns = N_ADDED,
                                  .cells_add = label_write,
                                  .of = run};

    return lk_rows_write_added(run->table, &with_labels, run->output,
                               lk_rows_format(run->values->output), err);
}

/* ---- the summary -------------------------------------------------------- */

static void manifest_fill(classify_run *run)
{
    const linkd_classify_result *r = &run->result;
    lk_manifest *m = &run->manifest;

    lk_manifest_engine(m, run->values->model, &run->engine);
    lk_manifest_count(m, "rows", linkd_table_n_rows(run->table));
    lk_manifest_count(m, "rows_without_text", r->n_empty);
    lk_manifest_count(m, "rows_without_label", run->n_unlabelled);
    lk_manifest_count(m, "examples", r->n_examples);
    lk_manifest_count(m, "labels", r->n_names);
    lk_manifest_count(m, "checked", r->n_asked);
    lk_manifest_count(m, "checked_right", r->n_right);
    lk_manifest_count(m, "most_frequent", r->n_most_frequent);
    lk_manifest_seconds(m, "read", run->read_seconds);
    lk_manifest_encode(m, &r->encode, r->encode_seconds);
    lk_manifest_seconds(m, "classify", r->classify_seconds);
}

static double percent(size_t part, size_t whole)
{
    return 100.0 * (double)part / (double)whole;
}

static void summary_print(const classify_run *run)
{
    const linkd_classify_result *r = &run->result;

    (void)fprintf(
        stderr, "%s, %s of %s: %s without a label\n",
        lk_counted(linkd_table_n_rows(run->table), "row", "rows").text,
        lk_counted(r->n_examples, "example", "examples").text,
        lk_counted(r->n_names, "label", "labels").text,
        lk_counted(run->n_unlabelled, "row", "rows").text);
    if (r->n_asked > 0)
        (void)fprintf(stderr,
                      "held out: %.1f %% of %s right; the most frequent label "
                      "alone would be in %.1f %%\n",
                      percent(r->n_right, r->n_asked),
                      lk_counted(r->n_asked, "example", "examples").text,
                      percent(r->n_most_frequent, r->n_examples));
    lk_texts_note(r->n_empty, r->encode.n_truncated);
    (void)fprintf(stderr, "read %.1f s, ", run->read_seconds);
    lk_encode_note(r->encode_seconds, r->encode.n_texts);
    (void)fprintf(stderr, ", classify %.1f s\n", r->classify_seconds);
}

static int summary(classify_run *run, linkd_error *err)
{
    if (run->values->json)
        return lk_manifest_print(&run->manifest, &run->values->output, 1, err);
    if (!run->cli->args.quiet)
        summary_print(run);
    return LINKD_OK;
}

/* ---- all ---------------------------------------------------------------- */

static void classify_clear(classify_run *run)
{
    linkd_classify_result_clear(&run->result);
    lk_engine_close(&run->engine);
    free(run->columns);
    linkd_table_free(run->table);
    linkd_table_free(run->examples);
    lk_output_close(run->output);
    lk_manifest_clear(&run->manifest);
}

static int steps_run(classify_run *run, linkd_error *err)
{
    int rc = lk_model_check(run->cli, run->values->model, err);

    if (rc == LINKD_OK)
        rc = tables_read(run, err);
    if (rc == LINKD_OK)
        rc = columns_resolve(run, err);
    if (rc == LINKD_OK)
        rc = lk_engine_open(run->cli, run->values->model,
                            run->values->n_threads, &run->engine, err);
    if (rc == LINKD_OK)
        rc = table_classify(run, err);
    if (rc == LINKD_OK)
        rc = labels_write(run, err);
    if (rc == LINKD_OK) {
        manifest_fill(run);
        rc = lk_manifest_commit(&run->manifest, &run->output, 1, err);
    }
    return rc;
}

static int classify_run_all(lk_cli *cli, const void *values, linkd_error *err)
{
    classify_run run = {.cli = cli, .values = values};
    int rc = values_check(cli, values, err);

    if (rc != LINKD_OK)
        return rc;
    lk_manifest_init(&run.manifest, &syntax, values);
    rc = output_open(&run, err);
    if (rc == LINKD_OK)
        rc = steps_run(&run, err);
    if (rc == LINKD_OK)
        rc = summary(&run, err);
    classify_clear(&run);
    return rc;
}

const lk_command lk_cmd_classify = {
    .syntax = &syntax,
    .defaults = &defaults,
    .values_size = sizeof(classify_values),
    .run = classify_run_all,
};
