/* cli/cmd_link.c — linkctl link: the rows of two tables that are the same. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/compared.h"
#include "cli/looks.h"
#include "cli/manifest.h"
#include "cli/number.h"
#include "cli/pairs.h"
#include "cli/remote_link.h"
#include "cli/why.h"

typedef struct link_values {
    const char *socket;
    lk_compared_values compared;
    const char *model;
    const char *output;
    const char *unmatched;
    lk_looks_values looks;
    size_t k;
    size_t n_threads;
    lk_decide_values decide;
    lk_why_values why;
    int assign;
    bool wide;
    bool apply;
    bool json;
} link_values;

#define AT(member) offsetof(link_values, member)

static const link_values defaults = {
    .model = LK_MODEL_DEFAULT,
    .output = "-",
    .decide = {.threshold = LINKD_THRESHOLD_AUTO, .min_score = (double)NAN},
    .assign = LINKD_ASSIGN_AUTO,
};

static const lk_option options[] = {
    LK_COMPARED_OPTIONS(AT(compared)),
    {"image", 0, LK_OPTION_TEXT, AT(looks.image), "COLUMN", NULL, 0, 0,
     "compare pictures by the vectors of --model (ViT, DINOv2,\n"
     "CLIP) from --min-score on, by CLIP together with the\n"
     "texts of --on: the column of both tables has paths, as\n"
     "seen from the table, or data URIs"},
    {"upright", 0, LK_OPTION_FLAG, AT(looks.upright), NULL, NULL, 0, 0,
     "with --image: turn pictures as the camera was held"},
    LK_MERGE_TOKENS_OPTION(AT(looks.merge_tokens)),
    {"assign", 0, LK_OPTION_WORD, AT(assign), "HOW", lk_assign_words, 0, 0,
     "auto: what the tables' own duplicates say (default);\n"
     "one-to-one: best sum, each row once;\n"
     "one-to-many: every right row has its best left row;\n"
     "many-to-one: every left row has its best right row;\n"
     "many-to-many: every pair over the threshold;\n"
     "reciprocal: each is the other's best"},
    {"threshold", 't', LK_OPTION_REAL, AT(decide.threshold), "P", NULL, 0, 1,
     "least probability of a pair; without it the one that\n"
     "gives the best expected F1"},
    {"min-score", 0, LK_OPTION_REAL, AT(decide.min_score), "S", NULL, -1, 1,
     "decide by the cosine of the rows' vectors alone, from\n"
     "S on, without probabilities"},
    {"k", 'k', LK_OPTION_COUNT, AT(k), "N", NULL, 1, 10000,
     "neighbours looked at for each row by each channel\n"
     "(what suits the number of rows; 10 with --min-score)"},
    LK_CHANNELS_OPTION(AT(decide.channels)),
    {"model", 'm', LK_OPTION_TEXT, AT(model), "NAME", NULL, 0, 0,
     "name or directory of the model (" LK_MODEL_DEFAULT ");\n"
     "none: compare words and letters only, which is faster"},
    {"output", 'o', LK_OPTION_TEXT, AT(output), "FILE", NULL, 0, 0,
     "pairs as .csv, .tsv or .jsonl; - is standard output\n(default)"},
    {"unmatched", 'u', LK_OPTION_TEXT, AT(unmatched), "FILE", NULL, 0, 0,
     "write side and id of the rows without a partner"},
    {"wide", 'w', LK_OPTION_FLAG, AT(wide), NULL, NULL, 0, 0,
     "add the columns of both rows, named with _x and _y"},
    LK_LABELS_OPTION(AT(decide.labels)),
    LK_PAIR_MODEL_OPTION(AT(decide.pair_model)),
    LK_WHY_OPTIONS(AT(why)),
    LK_FORMAT_OPTION(AT(compared)),
    LK_THREADS_OPTION(AT(n_threads)),
    {"json", 0, LK_OPTION_FLAG, AT(json), NULL, NULL, 0, 0,
     "summary as one JSON object, on standard output unless\n"
     "the pairs go there"},
    LK_SOCKET_OPTION(AT(socket)),
    {"apply", 0, LK_OPTION_FLAG, AT(apply), NULL, NULL, 0, 0,
     "put the rows of LEFT into the collection RIGHT, each\n"
     "into the entity of its partner, else into a new one"},
};

static const char *const operands[] = {"LEFT", "RIGHT"};

static const lk_syntax syntax = {
    .name = "link",
    .operands = operands,
    .n_operands_min = 2,
    .n_operands_max = 2,
    .options = options,
    .n_options = sizeof(options) / sizeof(*options),
    .summary = "Finds the rows of two tables that are the same thing.",
    .notes =
        "LEFT and RIGHT are CSV, TSV or JSON lines; - is standard input.\n"
        "With --socket linkd does the work, and they can also be its\n"
        "collections, as collection:NAME; Ctrl-C stops the job.\n"
        "The pairs are left_id,right_id,score,probability in the order of LEFT."
        "\nThe score is the cosine of the two rows' vectors, without a model "
        "that of\n"
        "their letters; with --min-score the probability is empty.\n\n"
        "Examples:\n"
        "  linkctl link ours.csv theirs.csv -o pairs.csv\n"
        "  linkctl link a.csv b.csv --left-on name,city --right-on firm,town\n"
        "  linkctl link a.jsonl b.csv --block country --assign one-to-one \\\n"
        "      --threshold 0.9 --wide --unmatched rest.csv -o pairs.csv\n"
        "  linkctl link a.csv b.csv --model none -o pairs.csv\n"
        "  linkctl link a.csv b.csv --image photo --model my-clip \\\n"
        "      --min-score 0.9 -o pairs.csv\n"
        "  linkctl link new.csv collection:firms -o pairs.csv\n"
        "  linkctl link new.csv collection:firms --apply -o pairs.csv\n",
};

/* Everything that one run owns. */
typedef struct link_run {
    lk_cli *cli;
    const link_values *values;
    lk_compared compared;
    lk_engine engine;
    size_t images[2]; /* columns */
    lk_looks looks;
    lk_decided decided;                     /* by probability, or else */
    linkd_link_result result;               /* by score */
    lk_output *outputs[2 + LK_WHY_OUTPUTS]; /* pairs, unmatched */
    size_t n_left_unmatched, n_right_unmatched;
    lk_manifest manifest;
} link_run;

/* ---- options that belong together --------------------------------------- */

static const char *const not_by_looks[] = {"threshold",  "channels", "labels",
                                           "explain",    "report",   "truth",
                                           "pair-model", NULL};

static int values_check(const lk_cli *cli, const link_values *v,
                        linkd_error *err)
{
    int rc = lk_compared_check(&v->compared, v->decide.pair_model, false, err);

    if (rc == LINKD_OK)
        rc = lk_inputs_check(cli, err);
    if (rc == LINKD_OK)
        rc = lk_decide_check(&v->decide, v->model, err);
    if (rc == LINKD_OK && v->looks.image != NULL)
        rc = lk_looks_check(cli, &syntax, v->model, not_by_looks, true, err);
    if (rc == LINKD_OK)
        rc = lk_looks_need_image(&v->looks, err);
    if (rc != LINKD_OK)
        return rc;
    if (v->unmatched != NULL && strcmp(v->unmatched, v->output) == 0)
        return lk_fail(err, LINKD_E_ARG,
                       "--output and --unmatched are the same file");
    return LINKD_OK;
}

/* ---- columns ------------------------------------------------------------ */

static void pairing_print(const lk_compared *c, const linkd_column_pair *pair)
{
    static const char *const sides[] = {"left", "right"};
    size_t side = pair->left == LINKD_COLUMN_NONE;
    linkd_str name = linkd_table_column(c->tables[side],
                                        side == 0 ? pair->left : pair->right);
    linkd_str right;

    if (side == 1 || pair->right == LINKD_COLUMN_NONE) {
        (void)fprintf(stderr, "  %.*s alone on the %s\n", (int)name.len,
                      name.bytes, sides[side]);
        return;
    }
    right = linkd_table_column(c->right, pair->right);
    (void)fprintf(stderr, "  %.*s = %.*s (%.2f)\n", (int)name.len, name.bytes,
                  (int)right.len, right.bytes, (double)pair->similarity);
}

static void pairings_print(const lk_compared *c)
{
    (void)fprintf(stderr, "columns compared (--on chooses others):\n");
    for (size_t i = 0; i < c->n_columns; i++)
        pairing_print(c, &c->columns[i]);
}

static bool has_images(const link_run *run)
{
    return run->values->looks.image != NULL;
}

/* Beside pictures only those columns count that are named. */
static bool has_texts(const link_run *run)
{
    const lk_on_values *on = &run->values->compared.on;

    return !has_images(run) || on->on != NULL || on->left_on != NULL;
}

static int images_resolve(link_run *run, linkd_error *err)
{
    const link_values *v = run->values;
    lk_compared *c = &run->compared;
    int rc = has_texts(run)
                 ? lk_compared_pair(run->cli, &v->compared, NULL, c, err)
                 : lk_compared_block(run->cli, &v->compared, c, err);

    for (size_t side = 0; side < 2 && rc == LINKD_OK; side++)
        rc = lk_column_find(run->cli, c->tables[side], v->looks.image,
                            &run->images[side], err);
    return rc;
}

static int columns_resolve(link_run *run, linkd_error *err)
{
    const link_values *v = run->values;
    bool named = v->compared.on.on != NULL || v->compared.on.left_on != NULL ||
                 v->decide.pair_model != NULL;
    int rc;

    if (has_images(run))
        return images_resolve(run, err);
    rc = lk_compared_pair(run->cli, &v->compared, v->decide.pair_model,
                          &run->compared, err);
    if (rc == LINKD_OK && !named && !run->cli->args.quiet)
        pairings_print(&run->compared);
    return rc;
}

/* ---- the steps ---------------------------------------------------------- */

static int outputs_open(link_run *run, linkd_error *err)
{
    const link_values *v = run->values;
    lk_inputs inputs = lk_inputs_of(run->cli, &v->decide);
    const char *const *in = inputs.paths;
    size_t n = inputs.n;
    int rc = lk_output_open(v->output, in, n, &run->outputs[0], err);

    if (rc == LINKD_OK && v->unmatched != NULL)
        rc = lk_output_open(v->unmatched, in, n, &run->outputs[1], err);
    if (rc == LINKD_OK)
        rc = lk_why_open(&v->why, &v->decide, in, n, &run->outputs[2], err);
    if (rc == LINKD_OK)
        rc = lk_manifest_open(&run->manifest, run->outputs[0], v->output, in, n,
                              err);
    return rc;
}

static bool by_score(const link_run *run)
{
    return !isnan(run->values->decide.min_score);
}

static int tables_link_by_score(link_run *run, linkd_error *err)
{
    const link_values *v = run->values;
    linkd_encoder_embedder storage = {run->engine.encoder, run->engine.pool};
    linkd_embedder embedder = {0};
    linkd_link_options link_options = {
        .columns = run->compared.columns,
        .n_columns = run->compared.n_columns,
        .left_block = run->compared.blocks[0],
        .right_block = run->compared.blocks[1],
        .k = v->k > 0 ? v->k : LINKD_LINK_K,
        .threshold = (float)v->decide.min_score,
        .assign = v->assign == LINKD_ASSIGN_AUTO ? LINKD_ASSIGN_RECIPROCAL
                                                 : (linkd_assign)v->assign,
        .pictures = has_images(run) ? &run->looks.pictures : NULL,
        .left_image = run->images[0],
        .right_image = run->images[1],
    };
    int rc;

    if (storage.encoder != NULL)
        embedder = linkd_embedder_of_encoder(&storage);
    rc = linkd_link(run->compared.left, run->compared.right, &embedder,
                    run->engine.pool, &link_options, &run->cli->progress,
                    &run->result, err);
    if (rc == LINKD_OK)
        lk_meter_finish(&run->cli->meter);
    return rc;
}

static int tables_link(link_run *run, linkd_error *err)
{
    const link_values *v = run->values;
    lk_decide_input input =
        lk_compared_input(&run->compared, &run->engine, v->k);

    input.assign = (linkd_assign)v->assign;
    if (by_score(run))
        return tables_link_by_score(run, err);
    return lk_decide_run(run->cli, &input, &v->decide, &run->decided, err);
}

static int results_write(link_run *run, linkd_error *err)
{
    const link_values *v = run->values;
    bool scored = by_score(run);
    lk_pairs pairs = {.left = run->compared.left,
                      .right = run->compared.right,
                      .pairs = scored ? run->result.pairs : run->decided.pairs,
                      .probabilities = run->decided.probabilities,
                      .n_pairs =
                          scored ? run->result.n_pairs : run->decided.n_pairs,
                      .wide = v->wide};
    int rc =
        lk_pairs_write(&pairs, run->outputs[0], lk_rows_format(v->output), err);

    if (rc == LINKD_OK)
        rc = lk_unmatched_write(
            &pairs, run->outputs[1],
            lk_rows_format(v->unmatched != NULL ? v->unmatched : ""),
            &run->n_left_unmatched, &run->n_right_unmatched, err);
    return rc;
}

/* ---- the summary -------------------------------------------------------- */

static void score_manifest(const link_run *run, lk_manifest *m)
{
    const linkd_link_result *result = &run->result;

    lk_manifest_count(m, "candidates", result->n_candidates);
    lk_manifest_count(m, "pairs", result->n_pairs);
    if (has_images(run))
        lk_manifest_count(m, "unreadable_images", run->looks.problems.n);
    lk_manifest_encode(m, &result->encode, result->encode_seconds);
    lk_manifest_seconds(m, "search", result->search_seconds);
    lk_manifest_seconds(m, "assign", result->assign_seconds);
}

static void empty_count(const link_run *run, size_t *ret_left,
                        size_t *ret_right)
{
    *ret_left = run->result.n_left_empty;
    *ret_right = run->result.n_right_empty;
    if (!by_score(run)) {
        const linkd_funnel *f = linkd_evidence_funnel(run->decided.evidence);

        *ret_left = f->n_empty[0];
        *ret_right = f->n_empty[1];
    }
}

static void manifest_fill(link_run *run)
{
    lk_manifest *m = &run->manifest;
    size_t n_left_empty;
    size_t n_right_empty;

    lk_compared_manifest(&run->compared, m);
    if (has_images(run))
        lk_manifest_column(
            m, linkd_table_column(run->compared.left, run->images[0]));
    if (run->looks.vision != NULL)
        lk_vision_manifest(run->looks.vision, run->values->model, m);
    else
        lk_manifest_engine(m, run->values->model, &run->engine);
    empty_count(run, &n_left_empty, &n_right_empty);
    lk_manifest_count(m, "left_rows", linkd_table_n_rows(run->compared.left));
    lk_manifest_count(m, "right_rows", linkd_table_n_rows(run->compared.right));
    lk_manifest_count(m,
                      has_images(run) ? "left_rows_without_vector"
                                      : "left_rows_without_text",
                      n_left_empty);
    lk_manifest_count(m,
                      has_images(run) ? "right_rows_without_vector"
                                      : "right_rows_without_text",
                      n_right_empty);
    if (by_score(run))
        score_manifest(run, m);
    else
        lk_decided_manifest(&run->decided, m);
    lk_manifest_count(m, "left_unmatched", run->n_left_unmatched);
    lk_manifest_count(m, "right_unmatched", run->n_right_unmatched);
}

static void steps_print(const link_run *run)
{
    const linkd_link_result *result = &run->result;

    (void)fprintf(stderr, "read %.1f s, ", run->compared.read_seconds);
    if (!by_score(run)) {
        lk_decided_steps(&run->decided);
        return;
    }
    lk_encode_note(result->encode_seconds,
                   has_images(run) ? linkd_table_n_rows(run->compared.left) +
                                         linkd_table_n_rows(run->compared.right)
                                   : result->encode.n_texts);
    (void)fprintf(stderr, ", search %.1f s, assign %.1f s\n",
                  result->search_seconds, result->assign_seconds);
}

static void summary_print(const link_run *run)
{
    bool scored = by_score(run);
    size_t n_left = linkd_table_n_rows(run->compared.left);
    size_t n_right = linkd_table_n_rows(run->compared.right);
    size_t n_pairs = scored ? run->result.n_pairs : run->decided.n_pairs;
    size_t n_left_empty;
    size_t n_right_empty;

    empty_count(run, &n_left_empty, &n_right_empty);
    (void)fprintf(stderr, "%s, %s: %s, ",
                  lk_counted(n_left, "left row", "left rows").text,
                  lk_counted(n_right, "right row", "right rows").text,
                  lk_counted(n_pairs, "pair", "pairs").text);
    (void)fprintf(stderr, "%s left and %s right rows without a partner\n",
                  lk_count(run->n_left_unmatched).text,
                  lk_count(run->n_right_unmatched).text);
    if (has_images(run))
        lk_looks_note(n_left_empty + n_right_empty, &run->looks.problems);
    else
        lk_texts_note(n_left_empty + n_right_empty,
                      scored ? run->result.encode.n_truncated
                             : linkd_evidence_funnel(run->decided.evidence)
                                   ->encode.n_truncated);
    if (!scored)
        lk_verdict_note(&run->decided.decision.verdict,
                        run->decided.decision.threshold);
    steps_print(run);
}

static int summary(link_run *run, linkd_error *err)
{
    const link_values *v = run->values;
    const char *const outputs[] = {v->output, v->unmatched};

    if (v->json)
        return lk_manifest_print(&run->manifest, outputs, 2, err);
    if (!run->cli->args.quiet)
        summary_print(run);
    return LINKD_OK;
}

static void link_clear(link_run *run)
{
    lk_decided_clear(&run->decided);
    linkd_link_result_clear(&run->result);
    lk_looks_close(&run->looks);
    lk_engine_close(&run->engine);
    lk_compared_clear(&run->compared);
    for (size_t i = 0; i < 2 + LK_WHY_OUTPUTS; i++)
        lk_output_close(run->outputs[i]);
    lk_manifest_clear(&run->manifest);
}

/* What needs the whole tables, or this machine's models and threads. */
static const char *const only_files[] = {
    "left-block", "right-block",  "id",      "left-id",    "right-id",
    "unmatched",  "wide",         "threads", "explain",    "report",
    "truth",      "channels",     "labels",  "pair-model", "image",
    "upright",    "merge-tokens", NULL};

static int link_remotely(lk_cli *cli, const link_values *v, linkd_error *err)
{
    lk_remote_link link = {
        .options = {.socket = v->socket,
                    .block = v->compared.block,
                    .model = lk_args_given(&syntax, &cli->args, "model")
                                 ? v->model
                                 : NULL,
                    .output = v->output,
                    .k = v->k,
                    .decide = v->decide,
                    .apply = v->apply,
                    .format = (linkd_format)v->compared.format,
                    .json = v->json},
        .on = v->compared.on.on,
        .left_on = v->compared.on.left_on,
        .right_on = v->compared.on.right_on,
        .assign = v->assign,
    };
    int rc = lk_remote_check(cli, &syntax, only_files, err);

    return rc == LINKD_OK ? lk_remote_link_run(cli, &syntax, v, &link, err)
                          : rc;
}

static int models_open(link_run *run, linkd_error *err)
{
    const link_values *v = run->values;
    int rc = lk_engine_open(run->cli, has_texts(run) ? v->model : "none",
                            v->n_threads, &run->engine, err);

    if (rc == LINKD_OK && has_images(run))
        rc = lk_looks_open(run->cli, v->model, &v->looks, run->engine.pool,
                           &run->looks, err);
    return rc;
}

static int link_run_all(lk_cli *cli, const void *values, linkd_error *err)
{
    link_run run = {.cli = cli, .values = values};
    int rc = values_check(cli, values, err);

    if (rc != LINKD_OK)
        return rc;
    if (lk_is_remote(cli, run.values->socket))
        return link_remotely(cli, values, err);
    if (run.values->apply)
        return lk_fail(err, LINKD_E_ARG, "--apply needs a collection");
    lk_manifest_init(&run.manifest, &syntax, values);
    rc = outputs_open(&run, err);
    if (rc == LINKD_OK)
        rc = lk_model_check(cli, run.values->model, err);
    if (rc == LINKD_OK)
        rc = lk_compared_read(cli, &run.values->compared, false, &run.compared,
                              err);
    if (rc == LINKD_OK)
        rc = columns_resolve(&run, err);
    if (rc == LINKD_OK)
        rc = models_open(&run, err);
    if (rc == LINKD_OK)
        rc = tables_link(&run, err);
    if (rc == LINKD_OK)
        rc = results_write(&run, err);
    if (rc == LINKD_OK && !by_score(&run))
        rc = lk_why_write(cli, &run.values->why, "link", run.compared.left,
                          run.compared.right, &run.decided, &run.outputs[2],
                          err);
    if (rc == LINKD_OK) {
        manifest_fill(&run);
        rc = lk_manifest_commit(&run.manifest, run.outputs, 2 + LK_WHY_OUTPUTS,
                                err);
    }
    if (rc == LINKD_OK)
        rc = summary(&run, err);
    link_clear(&run);
    return rc;
}

const lk_command lk_cmd_link = {
    .syntax = &syntax,
    .defaults = &defaults,
    .values_size = sizeof(link_values),
    .run = link_run_all,
};
