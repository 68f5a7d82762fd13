/* cli/cmd_eval.c — linkctl eval: how good a result is, given the truth, or how
 * much of it the candidates of a run still hold. */
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "cli/client.h"
#include "cli/columns.h"
#include "cli/number.h"
#include "cli/recall.h"

typedef struct eval_values {
    lk_recall_values recall; /* its id is also that of a RESULT */
    const char *truth_id;
    bool candidates;
    bool json;
} eval_values;

#define AT(member) offsetof(eval_values, member)

static const eval_values defaults = {.recall = {.model = LK_MODEL_DEFAULT}};

static const lk_option options[] = {
    {"id", 0, LK_OPTION_TEXT, AT(recall.compared.id), "COLUMN", NULL, 0, 0,
     "column of the ids in a RESULT that names entities\n"
     "(the first); of the tables, with --candidates"},
    {"truth-id", 0, LK_OPTION_TEXT, AT(truth_id), "COLUMN", NULL, 0, 0,
     "the same for TRUTH"},
    {"candidates", 0, LK_OPTION_FLAG, AT(candidates), NULL, NULL, 0, 0,
     "how many of the true pairs link or dedup looks at; the\n"
     "options below say how, as they do there"},
    {"first", 0, LK_OPTION_COUNT, AT(recall.first), "N", NULL, 1, 1e12,
     "also the recall of the N most promising candidates"},
    LK_CHANNELS_OPTION(AT(recall.channels)),
    {"k", 'k', LK_OPTION_COUNT, AT(recall.k), "N", NULL, 1, 10000,
     "neighbours looked at for each row by each channel"},
    {"model", 'm', LK_OPTION_TEXT, AT(recall.model), "NAME", NULL, 0, 0,
     "name or directory of the model (" LK_MODEL_DEFAULT ");\n"
     "none: compare words and letters only"},
    LK_COLUMNS_OPTIONS(AT(recall.compared)),
    LK_SIDE_ID_OPTIONS(AT(recall.compared)),
    LK_FORMAT_OPTION(AT(recall.compared)),
    LK_THREADS_OPTION(AT(recall.n_threads)),
    {"json", 0, LK_OPTION_FLAG, AT(json), NULL, NULL, 0, 0,
     "print one JSON object"},
};

/* RESULT TRUTH; with --candidates also LEFT RIGHT TRUTH: see the notes. */
static const char *const operands[] = {"RESULT", "TRUTH", "TRUTH"};

static const lk_syntax syntax = {
    .name = "eval",
    .operands = operands,
    .n_operands_min = 2,
    .n_operands_max = 3,
    .options = options,
    .n_options = sizeof(options) / sizeof(*options),
    .summary = "Compares a result, or the candidates of a run, with the truth.",
    .notes =
        "linkctl eval RESULT TRUTH\n"
        "linkctl eval --candidates LEFT RIGHT TRUTH\n"
        "linkctl eval --candidates FILE TRUTH\n\n"
        "RESULT and TRUTH are pairs (columns left_id and right_id) or entities "
        "(an\n"
        "id and entity_id). Pairs are compared as pairs; entities as the\n"
        "pairs of rows that they hold together, and row by row (B-cubed).\n\n"
        "A pair that is no candidate is never found. --candidates tells how "
        "many\n"
        "true pairs are candidates: by channel, of those that are among the "
        "best\n"
        "of a row, and how many have to be looked at, most promising first.\n"
        "A row: of both tables together.\n\n"
        "Examples:\n"
        "  linkctl eval pairs.csv truth.csv\n"
        "  linkctl eval entities.csv truth.csv --id person --json\n"
        "  linkctl eval --candidates a.csv b.csv truth.csv --model none\n",
};

static void table_print(const linkd_evaluation *e)
{
    (void)printf("%-8s %9s %9s %9s %12s %12s %12s\n", "", "precision", "recall",
                 "F1", "result", "truth", "common");
    (void)printf(
        "%-8s %9.4f %9.4f %9.4f %12s %12s %12s\n", "pairs", e->pairs.precision,
        e->pairs.recall, e->pairs.f1, lk_count(e->pairs.n_result).text,
        lk_count(e->pairs.n_truth).text, lk_count(e->pairs.n_common).text);
    if (!e->has_clusters)
        return;
    (void)printf("%-8s %9.4f %9.4f %9.4f\n", "B-cubed", e->b3_precision,
                 e->b3_recall, e->b3_f1);
    (void)printf("%s rows in %s entities; the truth has %s\n",
                 lk_count(e->n_rows).text, lk_count(e->n_entities_result).text,
                 lk_count(e->n_entities_truth).text);
}

static json_t *evaluation_json(const linkd_evaluation *e)
{
    json_t *root = json_pack(
        "{s:{s:f,s:f,s:f,s:I,s:I,s:I}}", "pairs", "precision",
        e->pairs.precision, "recall", e->pairs.recall, "f1", e->pairs.f1,
        "result", (json_int_t)e->pairs.n_result, "truth",
        (json_int_t)e->pairs.n_truth, "common", (json_int_t)e->pairs.n_common);

    if (root == NULL || !e->has_clusters)
        return root;
    if (json_object_set_new(root, "b_cubed",
                            json_pack("{s:f,s:f,s:f}", "precision",
                                      e->b3_precision, "recall", e->b3_recall,
                                      "f1", e->b3_f1)) != 0 ||
        json_object_set_new(root, "entities",
                            json_pack("{s:I,s:I,s:I}", "rows",
                                      (json_int_t)e->n_rows, "result",
                                      (json_int_t)e->n_entities_result, "truth",
                                      (json_int_t)e->n_entities_truth)) != 0) {
        json_decref(root);
        return NULL;
    }
    return root;
}

static int json_print(const linkd_evaluation *e, linkd_error *err)
{
    json_t *root = evaluation_json(e);
    int rc = lk_json_print(root, err);

    json_decref(root);
    return rc;
}

/* A result without a pair is a result, and so is a truth. */
static int judgement_read(lk_cli *cli, const char *path, const char *id_column,
                          linkd_table **ret_table, linkd_error *err)
{
    int rc = linkd_table_read_result(path, LINKD_FORMAT_AUTO, id_column,
                                     &cli->progress, ret_table, err);

    if (rc == LINKD_E_ARG)
        lk_columns_hint_file(cli, path, LINKD_FORMAT_AUTO);
    return rc;
}

/* Options of --candidates say nothing about a result, and the other way
 * round. */
static int options_check(const lk_cli *cli, bool candidates, linkd_error *err)
{
    static const char *const shared[] = {"id", "json", "candidates", NULL};

    for (size_t i = 0; i < syntax.n_options; i++) {
        const char *name = options[i].name;
        bool is_shared = false;

        for (size_t j = 0; shared[j] != NULL; j++)
            is_shared = is_shared || strcmp(shared[j], name) == 0;
        if (is_shared || !lk_args_given(&syntax, &cli->args, name) ||
            candidates != (strcmp(name, "truth-id") == 0))
            continue;
        return lk_fail(err, LINKD_E_ARG, "--%s says nothing %s --candidates",
                       name, candidates ? "with" : "without");
    }
    if (!candidates && cli->args.n_operands > 2)
        return lk_fail(err, LINKD_E_ARG,
                       "eval takes two tables only with --candidates");
    return LINKD_OK;
}

static int result_eval(lk_cli *cli, const eval_values *values, linkd_error *err)
{
    const char *const *paths = cli->args.operands;
    linkd_evaluation evaluation;
    linkd_table *result = NULL;
    linkd_table *truth = NULL;
    int rc;

    /* reading is the quick part here, so nobody wants to hear of it */
    cli->progress = (linkd_progress){NULL, NULL};
    rc =
        judgement_read(cli, paths[0], values->recall.compared.id, &result, err);
    if (rc == LINKD_OK)
        rc = judgement_read(cli, paths[1], values->truth_id, &truth, err);
    if (rc == LINKD_OK)
        rc = linkd_evaluate(result, truth, &evaluation, err);
    if (rc == LINKD_OK && values->json)
        rc = json_print(&evaluation, err);
    else if (rc == LINKD_OK)
        table_print(&evaluation);
    linkd_table_free(result);
    linkd_table_free(truth);
    return rc;
}

static int eval_run(lk_cli *cli, const void *opaque, linkd_error *err)
{
    const eval_values *values = opaque;
    int rc = options_check(cli, values->candidates, err);

    if (rc == LINKD_OK)
        rc = lk_inputs_check(cli, err);
    if (rc != LINKD_OK)
        return rc;
    return values->candidates
               ? lk_recall_run(cli, &values->recall, values->json, err)
               : result_eval(cli, values, err);
}

const lk_command lk_cmd_eval = {
    .syntax = &syntax,
    .defaults = &defaults,
    .values_size = sizeof(eval_values),
    .run = eval_run,
};
