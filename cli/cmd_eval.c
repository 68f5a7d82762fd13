/* cli/cmd_eval.c — linkctl eval: how good a result is, given the truth. */
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>

#include "cli/columns.h"
#include "cli/command.h"
#include "cli/number.h"

typedef struct eval_values {
    const char *id;
    const char *truth_id;
    bool json;
} eval_values;

#define AT(member) offsetof(eval_values, member)

static const eval_values defaults = {0};

static const lk_option options[] = {
    {"id", 0, LK_OPTION_TEXT, AT(id), "COLUMN", NULL, 0, 0,
     "column of the ids in a RESULT that names entities\n"
     "(the first)"},
    {"truth-id", 0, LK_OPTION_TEXT, AT(truth_id), "COLUMN", NULL, 0, 0,
     "the same for TRUTH"},
    {"json", 0, LK_OPTION_FLAG, AT(json), NULL, NULL, 0, 0,
     "print one JSON object"},
};

static const char *const operands[] = {"RESULT", "TRUTH"};

static const lk_syntax syntax = {
    .name = "eval",
    .operands = operands,
    .n_operands_min = 2,
    .n_operands_max = 2,
    .options = options,
    .n_options = sizeof(options) / sizeof(*options),
    .summary = "Compares a result with the truth.",
    .notes =
        "Both files are pairs (columns left_id and right_id) or entities (an\n"
        "id and entity_id). Pairs are compared as pairs; entities as the\n"
        "pairs of rows that they hold together, and row by row (B-cubed).\n\n"
        "Examples:\n"
        "  linkctl eval pairs.csv truth.csv\n"
        "  linkctl eval entities.csv truth.csv --id person --json\n",
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
    char *text =
        root ? json_dumps(root, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
    int rc = LINKD_OK;

    if (text == NULL)
        rc = lk_fail_nomem(err);
    else
        (void)printf("%s\n", text);
    free(text);
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

static int eval_run(lk_cli *cli, const void *opaque, linkd_error *err)
{
    const eval_values *values = opaque;
    linkd_evaluation evaluation;
    linkd_table *result = NULL;
    linkd_table *truth = NULL;
    int rc;

    /* reading is the quick part here, so nobody wants to hear of it */
    cli->progress = (linkd_progress){NULL, NULL};
    rc = lk_inputs_check(cli, err);
    if (rc == LINKD_OK)
        rc = judgement_read(cli, cli->args.operands[0], values->id, &result,
                            err);
    if (rc == LINKD_OK)
        rc = judgement_read(cli, cli->args.operands[1], values->truth_id,
                            &truth, err);
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

const lk_command lk_cmd_eval = {
    .syntax = &syntax,
    .defaults = &defaults,
    .values_size = sizeof(eval_values),
    .run = eval_run,
};
