/* cli/cmd_cluster.c — linkctl cluster: rows that are near each other. */
#include <math.h>
#include <stdlib.h>

#include "cli/compared.h"
#include "cli/number.h"
#include "cli/rows.h"

typedef struct cluster_values {
    lk_compared_values compared;
    const char *model;
    const char *output;
    size_t min_size;
    size_t min_samples;
    size_t n_threads;
    double distance;
    double similarity;
    int method;
    int linkage;
    bool json;
} cluster_values;

#define AT(member) offsetof(cluster_values, member)

static const cluster_values defaults = {
    .model = LK_MODEL_DEFAULT,
    .output = "-",
    .min_size = 5,
    .min_samples = 1,
    .distance = (double)NAN, /* depends on the method */
    .similarity = (double)NAN,
    .method = LINKD_VECTORS_SLINK,
    .linkage = LINKD_LINKAGE_AVERAGE,
};

/* In the order of linkd_vector_method and linkd_linkage. */
static const char *const method_words[] = {"slink", "agglomerative", "dbscan",
                                           "hdbscan", NULL};
static const char *const linkage_words[] = {"single", "complete", "average",
                                            "ward", NULL};

static const lk_option options[] = {
    {"on", 0, LK_OPTION_TEXT, AT(compared.on.on), "A,B", NULL, 0, 0,
     "columns to compare; without it all but the id"},
    {"id", 0, LK_OPTION_TEXT, AT(compared.id), "COLUMN", NULL, 0, 0,
     "column of the ids, which is not compared; without it\n"
     "the first column if its values are unique"},
    {"method", 0, LK_OPTION_WORD, AT(method), "HOW", method_words, 0, 0,
     "slink: a chain of near rows is enough (default);\n"
     "agglomerative: near clusters merge, see --linkage;\n"
     "dbscan: chains of dense rows and what is near them;\n"
     "hdbscan: the clusters that last as density grows"},
    {"distance", 'd', LK_OPTION_REAL, AT(distance), "D", NULL, 0, 1000,
     "greatest distance of near rows or clusters: 1 -\n"
     "cosine (0.18 for chains, 0.26 for other linkages and\n"
     "dbscan); with ward a plain distance (0.72)"},
    {"similarity", 's', LK_OPTION_REAL, AT(similarity), "S", NULL, -1, 1,
     "the same as a cosine: 1 - distance"},
    {"linkage", 0, LK_OPTION_WORD, AT(linkage), "HOW", linkage_words, 0, 0,
     "how far clusters are apart, with agglomerative: as\n"
     "their nearest rows (single), their farthest\n"
     "(complete), on average (default), or by ward"},
    {"min-size", 0, LK_OPTION_COUNT, AT(min_size), "N", NULL, 2, 1e9,
     "fewest rows of a cluster, with hdbscan (5)"},
    {"min-samples", 0, LK_OPTION_COUNT, AT(min_samples), "N", NULL, 1, 10000,
     "rows near a row that make it dense, itself included,\n"
     "with dbscan and hdbscan (1)"},
    {"model", 'm', LK_OPTION_TEXT, AT(model), "NAME", NULL, 0, 0,
     "name or directory of the model (" LK_MODEL_DEFAULT ")"},
    {"output", 'o', LK_OPTION_TEXT, AT(output), "FILE", NULL, 0, 0,
     "the input with the column cluster added, as .csv,\n"
     ".tsv or .jsonl; - is standard output (default)"},
    {"format", 0, LK_OPTION_WORD, AT(compared.format), "FORMAT",
     lk_format_words, 0, 0,
     "csv, tsv or jsonl for the input, whatever its name\nends in"},
    LK_THREADS_OPTION(AT(n_threads)),
    {"json", 0, LK_OPTION_FLAG, AT(json), NULL, NULL, 0, 0,
     "summary as one JSON object, on standard output unless\n"
     "the rows go there"},
};

static const char *const operands[] = {"FILE"};

static const lk_syntax syntax = {
    .name = "cluster",
    .operands = operands,
    .n_operands_min = 1,
    .n_operands_max = 1,
    .options = options,
    .n_options = sizeof(options) / sizeof(*options),
    .summary = "Groups the rows of one table by how near they are.",
    .notes =
        "FILE is CSV, TSV or JSON lines; - is standard input. For rows that\n"
        "are the same thing, linkctl dedup is the better tool: cluster goes "
        "by\n"
        "the distance of vectors alone.\n\n"
        "Clusters are numbered from 1 in the order of their first rows. With\n"
        "slink and agglomerative every row has a cluster, if one of its own.\n"
        "With dbscan and hdbscan the column is empty for noise: rows in no\n"
        "dense part, or without text.\n\n"
        "Time grows with the square of the rows, memory with the rows. "
        "hdbscan\n"
        "and ward take 50,000 rows; average and complete linkage 50,000 and\n"
        "20,000 rows that one chain of near rows connects. slink and dbscan\n"
        "have no limit.\n\n"
        "Examples:\n"
        "  linkctl cluster firms.csv --on name -s 0.8 -o clusters.csv\n"
        "  linkctl cluster news.csv --on title,text --method hdbscan \\\n"
        "      --min-size 10 -o topics.csv\n",
};

typedef struct cluster_run {
    lk_cli *cli;
    const cluster_values *values;
    lk_compared compared;
    lk_engine engine;
    linkd_cluster_rows_result result;
    lk_output *output;
    lk_manifest manifest;
} cluster_run;

/* ---- options that belong together --------------------------------------- */

static bool is_single(const cluster_values *v)
{
    return v->method == LINKD_VECTORS_SLINK ||
           (v->method == LINKD_VECTORS_AGGLOMERATIVE &&
            v->linkage == LINKD_LINKAGE_SINGLE);
}

static bool is_ward(const cluster_values *v)
{
    return v->method == LINKD_VECTORS_AGGLOMERATIVE &&
           v->linkage == LINKD_LINKAGE_WARD;
}

static double default_distance(const cluster_values *v)
{
    if (is_single(v))
        return 1.0 - LINKD_DEDUP_COMPONENTS_THRESHOLD;
    if (is_ward(v)) /* of two rows with the cosine below */
        return sqrt(2.0 - 2.0 * LINKD_DEDUP_THRESHOLD);
    return 1.0 - LINKD_DEDUP_THRESHOLD;
}

static int fail_misplaced(const char *option, const char *where,
                          linkd_error *err)
{
    return lk_fail(err, LINKD_E_ARG, "--%s says nothing without --%s", option,
                   where);
}

/* How near is said at most once, and only where it says something. */
static int nearness_check(const lk_cli *cli, const cluster_values *v,
                          linkd_error *err)
{
    bool similarity = lk_args_given(&syntax, &cli->args, "similarity");
    bool distance = lk_args_given(&syntax, &cli->args, "distance");

    if (similarity && distance)
        return lk_fail(err, LINKD_E_ARG,
                       "--distance and --similarity say the same thing");
    if (v->method == LINKD_VECTORS_HDBSCAN && (similarity || distance))
        return lk_fail(err, LINKD_E_ARG,
                       "hdbscan finds distances itself: it takes no --%s",
                       similarity ? "similarity" : "distance");
    if (similarity && is_ward(v))
        return lk_fail(err, LINKD_E_ARG, "ward takes no --similarity");
    return LINKD_OK;
}

/* What one method takes would be ignored by another. */
static int options_check(const lk_cli *cli, const cluster_values *v,
                         linkd_error *err)
{
    bool hdbscan = v->method == LINKD_VECTORS_HDBSCAN;

    if (lk_model_is_none(v->model))
        return lk_fail(err, LINKD_E_ARG, "clusters need a model");
    if (lk_args_given(&syntax, &cli->args, "linkage") &&
        v->method != LINKD_VECTORS_AGGLOMERATIVE)
        return fail_misplaced("linkage", "method agglomerative", err);
    if (lk_args_given(&syntax, &cli->args, "min-size") && !hdbscan)
        return fail_misplaced("min-size", "method hdbscan", err);
    if (lk_args_given(&syntax, &cli->args, "min-samples") && !hdbscan &&
        v->method != LINKD_VECTORS_DBSCAN)
        return fail_misplaced("min-samples", "method dbscan or hdbscan", err);
    return nearness_check(cli, v, err);
}

static void values_resolve(cluster_values *v)
{
    if (!isnan(v->similarity))
        v->distance = 1.0 - v->similarity;
    else if (isnan(v->distance))
        v->distance = default_distance(v);
    v->similarity = 1.0 - v->distance;
}

/* ---- the steps ---------------------------------------------------------- */

static int table_read(cluster_run *run, linkd_error *err)
{
    const lk_compared_values *v = &run->values->compared;
    lk_compared *c = &run->compared;
    int rc = lk_compared_read(run->cli, v, true, c, err);

    if (rc == LINKD_OK)
        rc = lk_column_check_free(run->cli, c->left, "cluster", "cluster", err);
    return rc == LINKD_OK ? lk_compared_pair(run->cli, v, NULL, c, err) : rc;
}

static int table_cluster(cluster_run *run, linkd_error *err)
{
    const cluster_values *v = run->values;
    linkd_encoder_embedder storage = {run->engine.encoder, run->engine.pool};
    linkd_embedder embedder = linkd_embedder_of_encoder(&storage);
    size_t *columns = NULL;
    linkd_cluster_rows_options cluster_options = {
        .n_columns = run->compared.n_columns,
        .method = (linkd_vector_method)v->method,
        .linkage = (linkd_linkage)v->linkage,
        .distance = (float)v->distance,
        .min_size = v->min_size,
        .min_samples = v->min_samples,
    };
    int rc = lk_compared_numbers(&run->compared, &columns, err);

    if (rc != LINKD_OK)
        return rc;
    cluster_options.columns = columns;
    rc = linkd_cluster_rows(run->compared.left, &embedder, run->engine.pool,
                            &cluster_options, &run->cli->progress, &run->result,
                            err);
    free(columns);
    if (rc == LINKD_OK)
        lk_meter_finish(&run->cli->meter);
    return rc;
}

/* ---- the output --------------------------------------------------------- */

static void cluster_write(void *of, lk_rows *rows, size_t row)
{
    const cluster_run *run = of;
    const size_t cluster = run->result.clusters[row];

    if (cluster == LINKD_CLUSTER_NOISE)
        lk_rows_none(rows);
    else
        lk_rows_count(rows, cluster + 1);
}

static int clusters_write(cluster_run *run, linkd_error *err)
{
    static const linkd_str column = {"cluster", 7};
    const lk_added with_clusters = {.columns = &column,
                                    .n_columns = 1,
                                    .cells_add = cluster_write,
                                    .of = run};

    return lk_rows_write_added(run->compared.left, &with_clusters, run->output,
                               lk_rows_format(run->values->output), err);
}

static void manifest_fill(cluster_run *run)
{
    const linkd_cluster_rows_result *result = &run->result;
    lk_manifest *m = &run->manifest;

    lk_compared_manifest(&run->compared, m);
    lk_manifest_engine(m, run->values->model, &run->engine);
    lk_manifest_count(m, "rows", linkd_table_n_rows(run->compared.left));
    lk_manifest_count(m, "rows_without_text", result->n_empty);
    lk_manifest_count(m, "clusters", result->n_clusters);
    lk_manifest_count(m, "noise", result->n_noise);
    lk_manifest_encode(m, &result->encode, result->encode_seconds);
    lk_manifest_seconds(m, "cluster", result->cluster_seconds);
}

static void summary_print(const cluster_run *run)
{
    const linkd_cluster_rows_result *result = &run->result;
    size_t n_rows = linkd_table_n_rows(run->compared.left);

    (void)fprintf(stderr, "%s: %s", lk_counted(n_rows, "row", "rows").text,
                  lk_counted(result->n_clusters, "cluster", "clusters").text);
    if (result->n_noise > 0)
        (void)fprintf(stderr, ", %s of noise",
                      lk_counted(result->n_noise, "row", "rows").text);
    (void)fputc('\n', stderr);
    lk_texts_note(result->n_empty, result->encode.n_truncated);
    (void)fprintf(stderr, "read %.1f s, ", run->compared.read_seconds);
    lk_encode_note(result->encode_seconds, result->encode.n_texts);
    (void)fprintf(stderr, ", cluster %.1f s\n", result->cluster_seconds);
}

static int summary(cluster_run *run, linkd_error *err)
{
    if (run->values->json)
        return lk_manifest_print(&run->manifest, &run->values->output, 1, err);
    if (!run->cli->args.quiet)
        summary_print(run);
    return LINKD_OK;
}

static void cluster_clear(cluster_run *run)
{
    linkd_cluster_rows_result_clear(&run->result);
    lk_engine_close(&run->engine);
    lk_compared_clear(&run->compared);
    lk_output_close(run->output);
    lk_manifest_clear(&run->manifest);
}

static int steps_run(cluster_run *run, linkd_error *err)
{
    int rc = lk_model_check(run->cli, run->values->model, err);

    if (rc == LINKD_OK)
        rc = table_read(run, err);
    if (rc == LINKD_OK)
        rc = lk_engine_open(run->cli, run->values->model,
                            run->values->n_threads, &run->engine, err);
    if (rc == LINKD_OK)
        rc = table_cluster(run, err);
    if (rc == LINKD_OK)
        rc = clusters_write(run, err);
    if (rc == LINKD_OK) {
        manifest_fill(run);
        rc = lk_manifest_commit(&run->manifest, &run->output, 1, err);
    }
    return rc;
}

static int cluster_run_all(lk_cli *cli, const void *values, linkd_error *err)
{
    cluster_values resolved = *(const cluster_values *)values;
    cluster_run run = {.cli = cli, .values = &resolved};
    int rc = options_check(cli, &resolved, err);

    if (rc != LINKD_OK)
        return rc;
    values_resolve(&resolved);
    lk_manifest_init(&run.manifest, &syntax, &resolved);
    rc = lk_result_open(resolved.output, cli->args.operands, 1, &run.output,
                        &run.manifest, err);
    if (rc == LINKD_OK)
        rc = steps_run(&run, err);
    if (rc == LINKD_OK)
        rc = summary(&run, err);
    cluster_clear(&run);
    return rc;
}

const lk_command lk_cmd_cluster = {
    .syntax = &syntax,
    .defaults = &defaults,
    .values_size = sizeof(cluster_values),
    .run = cluster_run_all,
};
