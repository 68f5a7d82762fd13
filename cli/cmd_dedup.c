/* cli/cmd_dedup.c — linkctl dedup: the rows of one table that are the same. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/compared.h"
#include "cli/keep.h"
#include "cli/looks.h"
#include "cli/manifest.h"
#include "cli/number.h"
#include "cli/pairs.h"
#include "cli/remote_dedup.h"
#include "cli/weak.h"
#include "cli/why.h"

typedef struct dedup_values {
    const char *socket;
    lk_compared_values compared;
    const char *model;
    const char *output;
    const char *pairs;
    const char *weak;
    const char *one_per;
    lk_looks_values looks;
    size_t max_distance;
    size_t max_size;
    size_t k;
    size_t n_threads;
    lk_decide_values decide;
    lk_why_values why;
    lk_keep_values keep;
    int cluster;
    bool apply;
    bool json;
} dedup_values;

#define AT(member) offsetof(dedup_values, member)

static const dedup_values defaults = {
    .model = LK_MODEL_DEFAULT,
    .output = "-",
    .decide = {.threshold = LINKD_THRESHOLD_AUTO, .min_score = (double)NAN},
    .cluster = LINKD_CLUSTER_AVERAGE,
    .max_distance = LINKD_DEDUP_DISTANCE,
};

static const lk_option options[] = {
    LK_COMPARED_OPTION(AT(compared), on.on, "on", "A,B",
                       "columns to compare; without it all but the id"),
    {"image", 0, LK_OPTION_TEXT, AT(looks.image), "COLUMN", NULL, 0, 0,
     "compare pictures by a perceptual hash and nothing else,\n"
     "or, with --model (ViT, DINOv2, CLIP), by hash and vector,\n"
     "or by its vectors alone from --min-score on, by CLIP\n"
     "together with the texts of --on:\n"
     "the column has paths of JPEG, PNG or WebP files, as seen\n"
     "from the table, or data URIs"},
    {"max-distance", 0, LK_OPTION_COUNT, AT(max_distance), "N", NULL, 0,
     LINKD_HAMMING_RADIUS_MAX,
     "with --image: bits of 64 in which two hashes may differ\n"
     "(12)"},
    {"upright", 0, LK_OPTION_FLAG, AT(looks.upright), NULL, NULL, 0, 0,
     "with --image: turn pictures as the camera was held"},
    LK_MERGE_TOKENS_OPTION(AT(looks.merge_tokens)),
    LK_BLOCK_OPTION(AT(compared)),
    LK_ID_OPTION(AT(compared)),
    {"cluster", 0, LK_OPTION_WORD, AT(cluster), "HOW", lk_cluster_words, 0, 0,
     "average: parts of an entity are alike in the mean of\n"
     "all pairs between them, so no single pair decides\n"
     "(default); complete: every two rows of an entity are a\n"
     "pair (default with --min-score); components: a chain\n"
     "of pairs is enough; centre: rows around a row"},
    {"max-size", 0, LK_OPTION_COUNT, AT(max_size), "N", NULL, 1, 1e9,
     "at most N rows an entity"},
    {"one-per", 0, LK_OPTION_TEXT, AT(one_per), "COLUMN", NULL, 0, 0,
     "at most one row of each value of this column in an\n"
     "entity: of a source that has no duplicates itself"},
    {"threshold", 't', LK_OPTION_REAL, AT(decide.threshold), "P", NULL, 0, 1,
     "least probability that two parts of an entity belong\n"
     "together (of 0.5, 0.4, 0.3 and 0.2 what has the\n"
     "best expected F1)"},
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
     "the input with entity_id added, as .csv, .tsv or\n"
     ".jsonl; - is standard output (default)"},
    {"pairs", 'p', LK_OPTION_TEXT, AT(pairs), "FILE", NULL, 0, 0,
     "write the pairs inside entities, too"},
    {"weak", 0, LK_OPTION_TEXT, AT(weak), "FILE", NULL, 0, 0,
     "write how well each entity holds together, the one\n"
     "with the weakest link first"},
    LK_LABELS_OPTION(AT(decide.labels)),
    LK_PAIR_MODEL_OPTION(AT(decide.pair_model)),
    LK_KEEP_OPTIONS(AT(keep)),
    LK_WHY_OPTIONS(AT(why)),
    {"format", 0, LK_OPTION_WORD, AT(compared.format), "FORMAT",
     lk_format_words, 0, 0,
     "csv, tsv or jsonl for the input, whatever its name\nends in"},
    LK_THREADS_OPTION(AT(n_threads)),
    {"json", 0, LK_OPTION_FLAG, AT(json), NULL, NULL, 0, 0,
     "summary as one JSON object, on standard output unless\n"
     "the rows go there"},
    LK_SOCKET_OPTION(AT(socket)),
    {"apply", 0, LK_OPTION_FLAG, AT(apply), NULL, NULL, 0, 0,
     "write the entities to the collection that was read"},
};

static const char *const operands[] = {"FILE"};

static const lk_syntax syntax = {
    .name = "dedup",
    .operands = operands,
    .n_operands_min = 1,
    .n_operands_max = 1,
    .options = options,
    .n_options = sizeof(options) / sizeof(*options),
    .summary = "Finds the rows of one table that are the same thing.",
    .notes =
        "FILE is CSV, TSV or JSON lines; - is standard input. With --socket\n"
        "linkd does the work, and it can also be one of its collections, as\n"
        "collection:NAME; Ctrl-C stops the job. Rows of one entity get the "
        "same\n"
        "entity_id; a row that is like no other has an entity of its own.\n"
        "Entities are numbered from 1 in the order of their first rows.\n\n"
        "Examples:\n"
        "  linkctl dedup people.csv -o entities.csv\n"
        "  linkctl dedup firms.csv --on name,city --block country \\\n"
        "      --threshold 0.9 -o entities.csv --pairs pairs.csv\n"
        "  linkctl dedup people.csv --keep unique.csv --dropped gone.csv \\\n"
        "      -o entities.csv\n"
        "  linkctl dedup photos.csv --image file -o entities.csv\n"
        "  linkctl dedup goods.csv --image photo --on title --model my-clip "
        "\\\n"
        "      --min-score 0.9 -o entities.csv\n"
        "  linkctl dedup collection:firms --apply -o entities.csv\n",
};

/* Where in the array of outputs they begin. */
enum {
    OUT_ENTITIES,
    OUT_PAIRS,
    OUT_WEAK,
    OUT_WHY,
    OUT_KEEP = OUT_WHY + LK_WHY_OUTPUTS,
    N_OUTPUTS = OUT_KEEP + LK_KEEP_OUTPUTS,
};

typedef struct dedup_run {
    lk_cli *cli;
    const dedup_values *values;
    lk_compared compared;
    linkd_entities_options entities;
    lk_engine engine;
    lk_decided decided;        /* by probability, or else */
    linkd_dedup_result result; /* by score */
    size_t image;              /* column */
    lk_looks looks;
    lk_output *outputs[N_OUTPUTS];
    lk_manifest manifest;
} dedup_run;

/* ---- columns ------------------------------------------------------------ */

/* The column of pictures, and those of --on beside it. */
static int image_resolve(dedup_run *run, linkd_error *err)
{
    const lk_compared_values *v = &run->values->compared;
    lk_compared *c = &run->compared;
    int rc = lk_column_find(run->cli, c->left, run->values->looks.image,
                            &run->image, err);

    if (rc != LINKD_OK)
        return rc;
    return v->on.on != NULL ? lk_compared_pair(run->cli, v, NULL, c, err)
                            : lk_compared_block(run->cli, v, c, err);
}

static int columns_resolve(dedup_run *run, linkd_error *err)
{
    const dedup_values *v = run->values;
    int rc;

    if (v->looks.image != NULL)
        return image_resolve(run, err);
    rc = lk_compared_pair(run->cli, &v->compared, v->decide.pair_model,
                          &run->compared, err);
    if (rc == LINKD_OK)
        rc = lk_column_find(run->cli, run->compared.left, v->one_per,
                            &run->entities.one_per, err);
    return rc;
}

/* ---- the steps ---------------------------------------------------------- */

static int outputs_differ(const dedup_values *v, linkd_error *err)
{
    if (v->pairs != NULL && strcmp(v->pairs, v->output) == 0)
        return lk_fail(err, LINKD_E_ARG,
                       "--output and --pairs are the same file");
    if (v->weak != NULL &&
        (strcmp(v->weak, v->output) == 0 ||
         (v->pairs != NULL && strcmp(v->weak, v->pairs) == 0)))
        return lk_fail(err, LINKD_E_ARG, "--weak and --%s are the same file",
                       strcmp(v->weak, v->output) == 0 ? "output" : "pairs");
    return LINKD_OK;
}

static int outputs_open(dedup_run *run, linkd_error *err)
{
    const dedup_values *v = run->values;
    lk_inputs inputs = lk_inputs_of(run->cli, &v->decide);
    const char *const *in = inputs.paths;
    size_t n = inputs.n;
    const char *const taken[] = {v->output, v->pairs, v->weak};
    int rc = outputs_differ(v, err);

    if (rc == LINKD_OK)
        rc = lk_output_open(v->output, in, n, &run->outputs[OUT_ENTITIES], err);
    if (rc == LINKD_OK && v->pairs != NULL)
        rc = lk_output_open(v->pairs, in, n, &run->outputs[OUT_PAIRS], err);
    if (rc == LINKD_OK && v->weak != NULL)
        rc = lk_output_open(v->weak, in, n, &run->outputs[OUT_WEAK], err);
    if (rc == LINKD_OK)
        rc = lk_why_open(&v->why, &v->decide, in, n, &run->outputs[OUT_WHY],
                         err);
    if (rc == LINKD_OK)
        rc = lk_keep_open(&v->keep,
                          lk_args_given(&syntax, &run->cli->args, "keep-by"),
                          taken, 3, in, n, &run->outputs[OUT_KEEP], err);
    if (rc == LINKD_OK)
        rc = lk_manifest_open(&run->manifest, run->outputs[OUT_ENTITIES],
                              v->output, in, n, err);
    return rc;
}

static int table_read(dedup_run *run, linkd_error *err)
{
    int rc = lk_compared_read(run->cli, &run->values->compared, true,
                              &run->compared, err);

    return rc == LINKD_OK ? lk_column_check_free(run->cli, run->compared.left,
                                                 "entity_id", "dedup", err)
                          : rc;
}

static bool has_images(const dedup_run *run)
{
    return run->values->looks.image != NULL;
}

static bool by_hash(const dedup_run *run)
{
    return has_images(run) && lk_model_is_none(run->values->model);
}

/* By what stands out among the pictures' likenesses. */
static bool by_likeness(const dedup_run *run)
{
    return has_images(run) && !by_hash(run) &&
           isnan(run->values->decide.min_score);
}

static bool by_score(const dedup_run *run)
{
    return has_images(run) || !isnan(run->values->decide.min_score);
}

static int table_dedup_by_hash(dedup_run *run, linkd_error *err)
{
    const dedup_values *v = run->values;
    linkd_dedup_images_options dedup_options = {
        .column = run->image,
        .max_distance = (unsigned)v->max_distance,
        .image = LINKD_IMAGE_OPTIONS_INIT,
        .cluster = (linkd_cluster)v->cluster,
    };
    int rc;

    dedup_options.image.orient = v->looks.upright;
    rc = linkd_dedup_images(run->compared.left, run->engine.pool,
                            &dedup_options, &run->cli->progress, &run->result,
                            &run->looks.problems, err);
    if (rc == LINKD_OK)
        lk_meter_finish(&run->cli->meter);
    return rc;
}

static int table_dedup_by_score(dedup_run *run, linkd_error *err)
{
    const dedup_values *v = run->values;
    const lk_compared *c = &run->compared;
    linkd_encoder_embedder storage = {run->engine.encoder, run->engine.pool};
    linkd_embedder embedder = {0};
    size_t *columns = NULL;
    linkd_dedup_options dedup_options = {
        .n_columns = c->n_columns,
        .block = c->blocks[0],
        .k = v->k > 0 ? v->k : LINKD_DEDUP_K,
        .threshold = (float)v->decide.min_score,
        .cluster = (linkd_cluster)v->cluster,
        .pictures = has_images(run) ? &run->looks.pictures : NULL,
        .image = run->image,
    };
    int rc = lk_compared_numbers(c, &columns, err);

    if (storage.encoder != NULL)
        embedder = linkd_embedder_of_encoder(&storage);
    if (rc != LINKD_OK)
        return rc;
    dedup_options.columns = columns;
    rc = linkd_dedup(c->left, &embedder, run->engine.pool, &dedup_options,
                     &run->cli->progress, &run->result, err);
    free(columns);
    if (rc == LINKD_OK)
        lk_meter_finish(&run->cli->meter);
    return rc;
}

static int table_dedup_by_probability(dedup_run *run, linkd_error *err)
{
    const dedup_values *v = run->values;
    lk_decide_input input =
        lk_compared_input(&run->compared, &run->engine, v->k);

    run->entities.cluster = (linkd_cluster)v->cluster;
    run->entities.max_rows = v->max_size;
    input.entities = &run->entities;
    return lk_decide_run(run->cli, &input, &v->decide, &run->decided, err);
}

static int table_dedup(dedup_run *run, linkd_error *err)
{
    if (by_hash(run))
        return table_dedup_by_hash(run, err);
    return by_score(run) ? table_dedup_by_score(run, err)
                         : table_dedup_by_probability(run, err);
}

static const size_t *entities_of(const dedup_run *run)
{
    return by_score(run) ? run->result.entities
                         : run->decided.decision.entities;
}

static size_t entities_count(const dedup_run *run)
{
    return by_score(run) ? run->result.n_entities
                         : run->decided.decision.n_entities;
}

static int results_write(dedup_run *run, linkd_error *err)
{
    bool scored = by_score(run);
    lk_pairs pairs = {.left = run->compared.left,
                      .right = run->compared.left,
                      .pairs = scored ? run->result.pairs : run->decided.pairs,
                      .probabilities = run->decided.probabilities,
                      .n_pairs =
                          scored ? run->result.n_pairs : run->decided.n_pairs};
    int rc = lk_entities_write(run->compared.left, entities_of(run),
                               run->outputs[OUT_ENTITIES],
                               lk_rows_format(run->values->output), err);

    if (rc == LINKD_OK && run->values->pairs != NULL)
        rc = lk_pairs_write(&pairs, run->outputs[OUT_PAIRS],
                            lk_rows_format(run->values->pairs), err);
    if (rc == LINKD_OK && run->values->weak != NULL)
        rc = lk_weak_write(run->compared.left, &run->decided.decision,
                           run->outputs[OUT_WEAK],
                           lk_rows_format(run->values->weak), err);
    if (rc == LINKD_OK)
        rc = lk_keep_write(&run->values->keep, run->compared.left,
                           entities_of(run), entities_count(run),
                           &run->outputs[OUT_KEEP], err);
    return rc;
}

/* ---- the summary -------------------------------------------------------- */

static void score_manifest(const dedup_run *run, lk_manifest *m)
{
    const linkd_dedup_result *result = &run->result;

    lk_manifest_count(m, "candidates", result->n_candidates);
    lk_manifest_count(m, "pairs", result->n_pairs);
    if (has_images(run))
        lk_manifest_count(m, "unreadable_images", run->looks.problems.n);
    if (by_hash(run))
        lk_manifest_seconds(m, "hash", result->encode_seconds);
    else
        lk_manifest_encode(m, &result->encode, result->encode_seconds);
    lk_manifest_seconds(m, "search", result->search_seconds);
    lk_manifest_seconds(m, "cluster", result->cluster_seconds);
}

/* Rows without what is compared: a text, a picture, or by a model either. Of
 * those it counts the ones whose picture cannot be read, too. */
static size_t empty_count(const dedup_run *run)
{
    return by_score(run)
               ? run->result.n_empty
               : linkd_evidence_funnel(run->decided.evidence)->n_empty[0];
}

static void manifest_fill(dedup_run *run)
{
    lk_manifest *m = &run->manifest;

    lk_compared_manifest(&run->compared, m);
    if (has_images(run))
        lk_manifest_column(m,
                           linkd_table_column(run->compared.left, run->image));
    if (run->looks.vision != NULL)
        lk_vision_manifest(run->looks.vision, run->values->model, m);
    else
        lk_manifest_engine(m, run->values->model, &run->engine);
    lk_manifest_count(m, "rows", linkd_table_n_rows(run->compared.left));
    lk_manifest_count(m,
                      by_hash(run)      ? "rows_without_image"
                      : has_images(run) ? "rows_without_vector"
                                        : "rows_without_text",
                      empty_count(run));
    if (by_score(run))
        score_manifest(run, m);
    else
        lk_decided_manifest(&run->decided, m);
    lk_manifest_count(m, "entities", entities_count(run));
}

static void steps_print(const dedup_run *run)
{
    const linkd_dedup_result *result = &run->result;

    (void)fprintf(stderr, "read %.1f s, ", run->compared.read_seconds);
    if (!by_score(run)) {
        lk_decided_steps(&run->decided);
        return;
    }
    if (by_hash(run))
        (void)fprintf(stderr, "hash %.1f s", result->encode_seconds);
    else
        lk_encode_note(result->encode_seconds,
                       has_images(run) ? linkd_table_n_rows(run->compared.left)
                                       : result->encode.n_texts);
    (void)fprintf(stderr, ", search %.1f s, cluster %.1f s\n",
                  result->search_seconds, result->cluster_seconds);
}

static void looks_note(const dedup_run *run)
{
    const double limit = (double)run->result.limit;

    if (by_likeness(run) && run->result.n_pairs == 0)
        (void)fprintf(stderr, "no two pictures stand out from all others\n");
    else if (by_likeness(run))
        (void)fprintf(stderr,
                      "pairs from a score of %.1f on: one pair of strangers in "
                      "%.0f is as alike\n",
                      limit, pow(10.0, limit));
    lk_looks_note(empty_count(run), &run->looks.problems);
}

static void summary_print(const dedup_run *run)
{
    bool scored = by_score(run);
    size_t n_pairs = scored ? run->result.n_pairs : run->decided.n_pairs;

    (void)fprintf(
        stderr, "%s: %s, %s\n",
        lk_counted(linkd_table_n_rows(run->compared.left), "row", "rows").text,
        lk_counted(entities_count(run), "entity", "entities").text,
        lk_counted(n_pairs, "pair", "pairs").text);
    if (by_hash(run))
        lk_images_note(empty_count(run), &run->looks.problems);
    else if (has_images(run))
        looks_note(run);
    else
        lk_texts_note(empty_count(run),
                      scored ? run->result.encode.n_truncated
                             : linkd_evidence_funnel(run->decided.evidence)
                                   ->encode.n_truncated);
    if (!scored)
        lk_verdict_note(&run->decided.decision.verdict,
                        run->decided.decision.threshold);
    steps_print(run);
}

static int summary(dedup_run *run, linkd_error *err)
{
    const dedup_values *v = run->values;
    const char *const outputs[] = {v->output, v->pairs, v->weak};

    if (v->json)
        return lk_manifest_print(&run->manifest, outputs, 3, err);
    if (!run->cli->args.quiet)
        summary_print(run);
    return LINKD_OK;
}

static void dedup_clear(dedup_run *run)
{
    lk_decided_clear(&run->decided);
    linkd_dedup_result_clear(&run->result);
    lk_looks_close(&run->looks);
    lk_engine_close(&run->engine);
    lk_compared_clear(&run->compared);
    for (size_t i = 0; i < N_OUTPUTS; i++)
        lk_output_close(run->outputs[i]);
    lk_manifest_clear(&run->manifest);
}

/* What needs the whole table, or this machine's threads. */
static const char *const only_files[] = {
    "id",     "pairs",    "threads",      "explain",      "report",
    "truth",  "channels", "weak",         "max-size",     "one-per",
    "labels", "keep",     "keep-by",      "dropped",      "pair-model",
    "image",  "upright",  "max-distance", "merge-tokens", NULL};

static int dedup_remotely(lk_cli *cli, const dedup_values *v, linkd_error *err)
{
    lk_remote_dedup dedup = {
        .options = {.socket = v->socket,
                    .block = v->compared.block,
                    .model = lk_args_given(&syntax, &cli->args, "model")
                                 ? v->model
                                 : NULL,
                    .output = v->output,
                    .k = v->k,
                    .decide = v->decide,
                    .format = (linkd_format)v->compared.format,
                    .apply = v->apply,
                    .json = v->json},
        .on = v->compared.on.on,
        .cluster = v->cluster,
    };
    int rc = lk_remote_check(cli, &syntax, only_files, err);

    if (rc == LINKD_OK && isnan(v->decide.min_score) &&
        v->cluster != LINKD_CLUSTER_AVERAGE)
        return lk_fail(err, LINKD_E_ARG,
                       "linkd clusters by average linkage, unless there is "
                       "--min-score");
    return rc == LINKD_OK ? lk_remote_dedup_run(cli, &syntax, v, &dedup, err)
                          : rc;
}

/* Hashes are all that is compared. */
static int image_check(const lk_cli *cli, linkd_error *err)
{
    static const char *const excluded[] = {
        "on",       "block",      "min-score",    "threshold",
        "k",        "channels",   "labels",       "weak",
        "max-size", "one-per",    "explain",      "report",
        "truth",    "pair-model", "merge-tokens", NULL};
    const char *given = lk_args_first_given(&syntax, &cli->args, excluded);

    return given == NULL
               ? LINKD_OK
               : lk_fail(err, LINKD_E_ARG, "--image excludes --%s", given);
}

static int no_image_check(const lk_cli *cli, const dedup_values *v,
                          linkd_error *err)
{
    int rc = lk_looks_need_image(&v->looks, err);

    if (rc == LINKD_OK && lk_args_given(&syntax, &cli->args, "max-distance"))
        return lk_fail(err, LINKD_E_ARG, "--max-distance needs --image");
    return rc;
}

/* Vectors of pictures, if a model was named for them. */
static bool is_by_model(const lk_cli *cli, const dedup_values *v)
{
    return v->looks.image != NULL && !lk_model_is_none(v->model) &&
           lk_args_given(&syntax, &cli->args, "model");
}

static const char *const not_by_looks[] = {
    "threshold", "channels", "labels", "weak",         "max-size",   "one-per",
    "explain",   "report",   "truth",  "max-distance", "pair-model", NULL};

/* What only a decision by probability has. */
static int values_check(const lk_cli *cli, const dedup_values *v,
                        linkd_error *err)
{
    static const char *const only_probabilities[] = {"weak", "max-size",
                                                     "one-per", NULL};
    const char *given =
        lk_args_first_given(&syntax, &cli->args, only_probabilities);
    int rc;

    if (is_by_model(cli, v))
        rc = lk_looks_check(cli, &syntax, v->model, not_by_looks,
                            v->compared.on.on != NULL, err);
    else if (v->looks.image != NULL)
        return image_check(cli, err);
    else
        rc = no_image_check(cli, v, err);
    if (rc == LINKD_OK)
        rc = lk_compared_check(&v->compared, v->decide.pair_model, true, err);
    if (rc == LINKD_OK)
        rc = lk_decide_check(&v->decide, v->model, err);
    if (rc == LINKD_OK && !isnan(v->decide.min_score) && given != NULL)
        return lk_fail(err, LINKD_E_ARG, "--min-score excludes --%s", given);
    return rc;
}

/* The model of texts where there are any, and that of pictures. */
static int models_open(dedup_run *run, linkd_error *err)
{
    const dedup_values *v = run->values;
    const bool has_texts = !has_images(run) || v->compared.on.on != NULL;
    int rc = lk_engine_open(run->cli, has_texts ? v->model : "none",
                            v->n_threads, &run->engine, err);

    if (rc == LINKD_OK && has_images(run) && !by_hash(run))
        rc = lk_looks_open(run->cli, v->model, &v->looks, run->engine.pool,
                           &run->looks, err);
    return rc;
}

static int dedup_run_all(lk_cli *cli, const void *values, linkd_error *err)
{
    dedup_values v = *(const dedup_values *)values;
    dedup_run run = {.cli = cli, .values = &v};
    bool remote = lk_is_remote(cli, v.socket);
    int rc = values_check(cli, &v, err);

    if (rc != LINKD_OK)
        return rc;
    if (v.looks.image != NULL && !is_by_model(cli, &v))
        v.model = "none";
    if (by_score(&run) && !lk_args_given(&syntax, &cli->args, "cluster"))
        v.cluster = LINKD_CLUSTER_COMPLETE;
    if (remote)
        return dedup_remotely(cli, &v, err);
    if (v.apply)
        return lk_fail(err, LINKD_E_ARG, "--apply needs a collection");
    lk_manifest_init(&run.manifest, &syntax, &v);
    rc = outputs_open(&run, err);
    if (rc == LINKD_OK)
        rc = lk_model_check(cli, run.values->model, err);
    if (rc == LINKD_OK)
        rc = table_read(&run, err);
    if (rc == LINKD_OK)
        rc = columns_resolve(&run, err);
    if (rc == LINKD_OK)
        rc = models_open(&run, err);
    if (rc == LINKD_OK)
        rc = table_dedup(&run, err);
    if (rc == LINKD_OK)
        rc = results_write(&run, err);
    if (rc == LINKD_OK && !by_score(&run))
        rc = lk_why_write(cli, &run.values->why, "dedup", run.compared.left,
                          NULL, &run.decided, &run.outputs[OUT_WHY], err);
    if (rc == LINKD_OK) {
        manifest_fill(&run);
        rc = lk_manifest_commit(&run.manifest, run.outputs, N_OUTPUTS, err);
    }
    if (rc == LINKD_OK)
        rc = summary(&run, err);
    dedup_clear(&run);
    return rc;
}

const lk_command lk_cmd_dedup = {
    .syntax = &syntax,
    .defaults = &defaults,
    .values_size = sizeof(dedup_values),
    .run = dedup_run_all,
};
