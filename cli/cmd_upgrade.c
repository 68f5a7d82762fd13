/* cli/cmd_upgrade.c — linkctl upgrade probe, start, status, backfill, rollback,
 * gc: another model for a collection of linkd's. */
#include <jansson.h>
#include <math.h>
#include <string.h>

#include "cli/client.h"
#include "cli/dsimplex.h"
#include "cli/grid.h"
#include "cli/job.h"
#include "cli/number.h"
#include "cli/output.h"
#include "cli/upgrade_report.h"
#include "cli/user_labels.h"
#include "cli/user_queries.h"

static const char *const name_operand[] = {"NAME"};

static const char *const head_words[] = {
    "auto", "procrustes", "ridge", "mlp", "bt2", "contrast", "dsimplex", NULL};
static const char *const way_words[] = {"fuse", "align", "cascade", NULL};
enum { HEAD_AUTO = 0, HEAD_CONTRAST = 5, HEAD_DSIMPLEX = 6 }; /* of these */

typedef struct upgrade_values {
    const char *socket;
    const char *model;
    const char *queries; /* a file */
    int head;
    int way;
    size_t anchors;
    size_t limit;
    size_t rate;
    const char *report;
    const char *labels;
    bool json;
} upgrade_values;

#define AT(member) offsetof(upgrade_values, member)

static const upgrade_values defaults = {.anchors = LINKD_ANCHORS};

#define JSON_OPTION                                                            \
 {                                                                             \
  "json", 0, LK_OPTION_FLAG, AT(json), NULL, NULL, 0, 0,                       \
      "print linkd's answer, for machines"                                     \
 }

/* Posts to, or gets, ".../upgrade<rest>"; a job is waited for. */
static int upgrade_ask(lk_cli *cli, const upgrade_values *v, const char *method,
                       const char *rest, const json_t *body, bool is_job,
                       json_t **ret_answer, linkd_error *err)
{
    lk_client client = {0};
    lk_buf path = {0};
    int rc = lk_collection_path(&path, cli->args.operands[0], rest, err);

    if (rc == LINKD_OK)
        rc = lk_client_open(cli, v->socket, &client, err);
    if (rc == LINKD_OK && is_job)
        rc = lk_job_run(&client, path.data, body, ret_answer, err);
    else if (rc == LINKD_OK)
        rc = lk_client_json(&client, method, path.data, body, ret_answer, err);
    lk_absence_hint(cli, rc, err);
    lk_client_close(&client);
    lk_buf_clear(&path);
    return rc;
}

/* ---- probe and start ------------------------------------------------------ */

/* Of both; --way is the start's, and first, --report the probe's, and last. */
static const lk_option all_options[] = {
    {"way", 0, LK_OPTION_WORD, AT(way), "WAY", way_words, 0, 0,
     "how older records are searched where a search does not\n"
     "say: fuse (the default), align or cascade"},
    LK_SOCKET_OPTION(AT(socket)),
    {"model", 'm', LK_OPTION_TEXT, AT(model), "NAME", NULL, 0, 0,
     "the new model, of linkd's model store (needed)"},
    {"head", 0, LK_OPTION_WORD, AT(head), "HEAD", head_words, 0, 0,
     "how queries are mapped: auto (the better one of the\n"
     "next two), procrustes, ridge, mlp; bt2, if its vectors\n"
     "are at least as long; contrast, by --labels; dsimplex:\n"
     "not at all, since both models have such a head"},
    {"labels", 0, LK_OPTION_TEXT, AT(labels), "FILE", NULL, 0, 0,
     "records that are one entity, which look for each other:\n"
     "left_id, right_id (and match), or id, entity_id. With\n"
     "--head dsimplex: the new model's head is learnt from\n"
     "this table of records with a column \"entity\""},
    {"anchors", 0, LK_OPTION_COUNT, AT(anchors), "N", NULL, LINKD_ANCHORS_MIN,
     LINKD_ANCHORS_MAX, "records that are encoded with both models (4000)"},
    {"queries", 0, LK_OPTION_TEXT, AT(queries), "FILE", NULL, 0, 0,
     "what your users ask: columns query and id, of the record\n"
     "that answers it (damaged texts of records)"},
    JSON_OPTION,
    {"report", 0, LK_OPTION_TEXT, AT(report), "FILE", NULL, 0, 0,
     "write a page of HTML about it: figures, curves, and\n"
     "queries that get better and worse"},
};
#define N_OPTIONS (sizeof(all_options) / sizeof(*all_options))

static const lk_syntax probe_syntax = {
    .name = "upgrade probe",
    .operands = name_operand,
    .n_operands_min = 1,
    .n_operands_max = 1,
    .options = all_options + 1,
    .n_options = N_OPTIONS - 1,
    .summary = "Tells what another model would bring a collection.",
    .notes =
        "Encodes some thousand records, and queries that are made from them\n"
        "or yours, and changes no collection; --head dsimplex --labels leaves\n"
        "the head in the model store. The verdict is no-upgrade-needed, "
        "fuse, "
        "cascade,\nbackfill or refuse: docs/upgrade.md says what follows.\n\n"
        "Examples:\n"
        "  linkctl upgrade probe firms --model bge-small-en-v1.5\n"
        "  linkctl upgrade probe firms --model other --report page.html\n",
};

static const lk_syntax start_syntax = {
    .name = "upgrade start",
    .operands = name_operand,
    .n_operands_min = 1,
    .n_operands_max = 1,
    .options = all_options,
    .n_options = N_OPTIONS - 1,
    .summary = "Changes a collection's model without encoding it anew.",
    .notes =
        "The new model serves at the end; all records stay as they are and\n"
        "are found by mapped queries. upgrade rollback goes back.\n\n"
        "Examples:\n"
        "  linkctl upgrade start firms --model bge-small-en-v1.5\n",
};

static double number_of(const json_t *verdict, const char *name)
{
    return json_number_value(json_object_get(verdict, name));
}

/* The MRR@10 of a way. */
static double way_of(const json_t *verdict, const char *way)
{
    return number_of(json_object_get(json_object_get(verdict, "ways"), way),
                     "mrr_10");
}

static void interval_print(const json_t *interval, const char *what)
{
    if (!json_is_number(json_object_get(interval, "value")))
        return;
    (void)printf("%-28s %+.3f  (95%%: %+.3f to %+.3f)\n", what,
                 number_of(interval, "value"), number_of(interval, "low"),
                 number_of(interval, "high"));
}

static void gain_print(const json_t *verdict, const char *way, const char *what)
{
    const json_t *ways = json_object_get(verdict, "ways");

    interval_print(json_object_get(json_object_get(ways, way), "gain"), what);
}

/* Where the queries are from. */
static const char *source_of(const json_t *verdict)
{
    static const char *const sources[][2] = {
        {"given", "of yours"},
        {"labelled", "by your labels"},
        {"provisional", "made from the records themselves"}};
    const char *word = json_string_value(json_object_get(verdict, "queries"));

    for (size_t i = 0; word != NULL && i < sizeof(sources) / sizeof(*sources);
         i++)
        if (strcmp(word, sources[i][0]) == 0)
            return sources[i][1];
    return "";
}

/* Whether mixed queries' best hits are put in order by a ranking. */
static bool is_ranked(const json_t *verdict)
{
    return json_is_number(json_object_get(verdict, "ranking_weight"));
}

static void ways_print(const json_t *verdict)
{
    (void)printf("  the model so far           %.3f\n"
                 "  new queries, mapped        %.3f\n"
                 "  mixed with the old ones    %.3f  (weight %.1f",
                 way_of(verdict, "old"), way_of(verdict, "align"),
                 way_of(verdict, "fuse"), number_of(verdict, "weight"));
    if (is_ranked(verdict))
        (void)printf(" in the ranking");
    (void)printf(", %s)\n"
                 "  the first %3.0f encoded anew %.3f\n"
                 "  the new model throughout   %.3f\n",
                 json_string_value(json_object_get(verdict, "head")),
                 number_of(verdict, "candidates"), way_of(verdict, "cascade"),
                 way_of(verdict, "new"));
}

/* What a start would bring that needs no new model. */
static void ranking_print(const json_t *verdict)
{
    const char *word = json_string_value(json_object_get(verdict, "verdict"));

    if (word != NULL && strcmp(word, "fuse") == 0 && is_ranked(verdict))
        (void)printf("%-28s part of that is the ranking's, which needs no new "
                     "model: see docs/compat.md\n",
                     "");
}

static void verdict_print(const json_t *verdict)
{
    if (!json_is_object(verdict))
        return;
    (void)printf(
        "MRR@10 of %.0f queries %s, on %s of %s:\n",
        number_of(verdict, "n_queries"), source_of(verdict),
        lk_count((uint64_t)number_of(verdict, "anchors")).text,
        lk_counted((uint64_t)number_of(verdict, "records"), "record", "records")
            .text);
    ways_print(verdict);
    interval_print(json_object_get(verdict, "difference"),
                   "the new model's difference");
    gain_print(verdict, "fuse", "share of it without backfill");
    gain_print(verdict, "cascade", "share of it with a cascade");
    (void)printf("encoding all records anew    about %s\n",
                 lk_duration(number_of(verdict, "backfill_seconds")).text);
    (void)printf("verdict                      %s\n",
                 json_string_value(json_object_get(verdict, "verdict")));
    ranking_print(verdict);
}

/* Queries that are made from records say how well damaged texts are found. */
static void provisional_hint(const lk_cli *cli, const json_t *verdict)
{
    const char *word = json_string_value(json_object_get(verdict, "queries"));

    if (!cli->args.quiet && word != NULL && strcmp(word, "provisional") == 0)
        (void)fprintf(stderr,
                      "hint: these queries are made from records, so the "
                      "figures are provisional;\n"
                      "hint: --queries FILE asks what your users ask\n");
}

static int report_write(lk_cli *cli, const upgrade_values *v,
                        const json_t *verdict, lk_output *output,
                        linkd_error *err)
{
    lk_buf html = {0};
    int rc = lk_upgrade_report_make(cli->args.operands[0], v->model, verdict,
                                    &html, err);

    if (rc == LINKD_OK)
        rc = lk_output_write(output, html.data, html.len, err);
    if (rc == LINKD_OK)
        rc = lk_output_commit(&output, 1, err);
    lk_buf_clear(&html);
    return rc;
}

/* Gives the model its head, of as many classes as that of the collection's model
 * has; without one there the older vectors are mapped as any other model's. */
static int head_make(lk_cli *cli, const upgrade_values *v, lk_buf *ret_model,
                     int *ret_head, linkd_error *err)
{
    lk_dsimplex options = {.base = v->model,
                           .collection = cli->args.operands[0],
                           .labels = v->labels};
    lk_client client = {0};
    lk_buf path = {0};
    json_t *info = NULL;
    const char *model;
    int rc = lk_collection_path(&path, cli->args.operands[0], "", err);

    if (rc == LINKD_OK)
        rc = lk_client_open(cli, v->socket, &client, err);
    if (rc == LINKD_OK)
        rc = lk_client_json(&client, NULL, path.data, NULL, &info, err);
    lk_client_close(&client);
    lk_buf_clear(&path);
    model = json_string_value(json_object_get(info, "model"));
    options.settings = info;
    if (rc == LINKD_OK && model != NULL)
        rc = lk_dsimplex_classes(model, &options.n_classes, err);
    *ret_head = options.n_classes > 0 ? HEAD_DSIMPLEX : HEAD_AUTO;
    options.earlier = options.n_classes > 0 ? model : NULL;
    if (rc == LINKD_OK)
        rc = lk_dsimplex_make(cli, &options, ret_model, err);
    json_decref(info);
    return rc;
}

static int start_check(const upgrade_values *v, linkd_error *err)
{
    if (v->model == NULL)
        return lk_fail(err, LINKD_E_ARG, "--model is needed");
    if (v->labels == NULL && v->head == HEAD_CONTRAST)
        return lk_fail(err, LINKD_E_ARG, "--head contrast needs --labels");
    return LINKD_OK;
}

/* Whether the new model gets a head from the labels. */
static bool makes_head(const upgrade_values *v)
{
    return v->labels != NULL && v->head == HEAD_DSIMPLEX;
}

/* The request; a model's head is made for it. */
static int start_body(lk_cli *cli, const upgrade_values *v, json_t **ret_body,
                      linkd_error *err)
{
    lk_buf model = {0};
    int head = v->head;
    int rc = makes_head(v) ? head_make(cli, v, &model, &head, err)
                           : lk_buf_printf(&model, err, "%s", v->model);

    if (rc == LINKD_OK) {
        *ret_body =
            json_pack("{s:s, s:s, s:I}", "model", model.data, "head",
                      head_words[head], "anchors", (json_int_t)v->anchors);
        rc = *ret_body == NULL ? lk_fail_nomem(err) : LINKD_OK;
    }
    lk_buf_clear(&model);
    return rc;
}

/* What helps where the request is refused. */
static void refusal_hint(lk_cli *cli, const upgrade_values *v, int rc,
                         const linkd_error *err)
{
    if (rc == LINKD_E_ARG && v->head == HEAD_DSIMPLEX && v->labels == NULL)
        lk_cli_hint(cli, "--labels FILE gives the new model such a head");
    else if (rc == LINKD_E_CONFLICT &&
             strstr(err->message, "generations already") != NULL)
        lk_cli_hint(cli, "linkctl upgrade gc %s frees those without records",
                    cli->args.operands[0]);
}

/* Of a start that has done what a probe would have advised against. */
static void warning_print(const lk_cli *cli, const json_t *verdict)
{
    const char *word = json_string_value(json_object_get(verdict, "verdict"));

    if (word == NULL || strcmp(word, "refuse") != 0)
        return;
    (void)fprintf(stderr,
                  "linkctl: warning: the new model is worse on these queries, "
                  "and serves now\n"
                  "hint: linkctl upgrade rollback %s goes back\n",
                  cli->args.operands[0]);
}

/* What it will cost, before it does. */
static int estimate_print(lk_cli *cli, const upgrade_values *v,
                          const json_t *body, linkd_error *err)
{
    json_t *estimate = NULL;
    int rc = upgrade_ask(cli, v, "POST", "/upgrade/estimate", body, false,
                         &estimate, err);

    if (rc == LINKD_OK && !cli->args.quiet &&
        number_of(estimate, "texts") > 0.0)
        (void)fprintf(
            stderr, "at most %s to encode, about %s\n",
            lk_counted((uint64_t)number_of(estimate, "texts"), "text", "texts")
                .text,
            lk_duration(number_of(estimate, "seconds")).text);
    json_decref(estimate);
    return rc;
}

/* There is no verdict on a model that the collection had before. */
static void return_print(const lk_cli *cli, const upgrade_values *v,
                         const json_t *verdict, bool starts)
{
    bool has_options = v->queries != NULL || v->labels != NULL ||
                       v->head != HEAD_AUTO || v->anchors != LINKD_ANCHORS;

    if (json_is_object(verdict))
        return;
    if (!starts && !v->json)
        (void)printf("the collection had this model before: a start goes back "
                     "to it as it was\n");
    if (has_options && !cli->args.quiet)
        (void)fprintf(stderr,
                      "linkctl: the collection had this model before and goes "
                      "back to it as it was:\n"
                      "linkctl: --queries, --labels, --head and --anchors have "
                      "no effect\n");
}

static int start_ask(lk_cli *cli, const upgrade_values *v, const char *rest,
                     linkd_error *err)
{
    bool starts = strcmp(rest, "/upgrade/start") == 0;
    lk_output *report = NULL;
    json_t *job = NULL;
    json_t *body = NULL;
    int rc = start_check(v, err);

    if (rc == LINKD_OK && v->report != NULL) /* before the work, not after it */
        rc = lk_output_open(v->report, NULL, 0, &report, err);
    if (rc == LINKD_OK)
        rc = start_body(cli, v, &body, err);
    if (rc == LINKD_OK && v->queries != NULL)
        rc = lk_user_queries_read(cli, v->queries, body, err);
    if (rc == LINKD_OK && v->labels != NULL && !makes_head(v))
        rc = lk_user_labels_read(cli, v->labels, body, err);
    if (rc == LINKD_OK)
        rc = estimate_print(cli, v, body, err);
    if (rc == LINKD_OK && starts &&
        json_object_set_new(body, "way", json_string(way_words[v->way])) != 0)
        rc = lk_fail_nomem(err);
    if (rc == LINKD_OK)
        rc = upgrade_ask(cli, v, "POST", rest, body, true, &job, err);
    refusal_hint(cli, v, rc, err);
    if (rc == LINKD_OK && report != NULL)
        rc = report_write(cli, v, json_object_get(job, "verdict"), report, err);
    if (rc == LINKD_OK && v->json)
        rc = lk_json_print(job, err);
    else if (rc == LINKD_OK && !(starts && cli->args.quiet))
        verdict_print(json_object_get(job, "verdict"));
    if (rc == LINKD_OK)
        return_print(cli, v, json_object_get(job, "verdict"), starts);
    if (rc == LINKD_OK)
        provisional_hint(cli, json_object_get(job, "verdict"));
    if (rc == LINKD_OK && starts)
        warning_print(cli, json_object_get(job, "verdict"));
    lk_output_close(report);
    json_decref(job);
    json_decref(body);
    return rc;
}

static int probe_run(lk_cli *cli, const void *opaque, linkd_error *err)
{
    return start_ask(cli, opaque, "/upgrade/probe", err);
}

static int start_run(lk_cli *cli, const void *opaque, linkd_error *err)
{
    const upgrade_values *v = opaque;
    const char *name = cli->args.operands[0];
    int rc = start_ask(cli, opaque, "/upgrade/start", err);

    if (rc == LINKD_OK && !cli->args.quiet)
        (void)fprintf(stderr, "%s%s%s serves collection %s\n", v->model,
                      makes_head(v) ? "+" : "", makes_head(v) ? name : "",
                      name);
    return rc;
}

const lk_command lk_cmd_upgrade_probe = {&probe_syntax, &defaults,
                                         sizeof(defaults), probe_run};
const lk_command lk_cmd_upgrade_start = {&start_syntax, &defaults,
                                         sizeof(defaults), start_run};

/* ---- status --------------------------------------------------------------- */

static const lk_option plain_options[] = {
    LK_SOCKET_OPTION(AT(socket)),
    JSON_OPTION,
};
#define N_PLAIN_OPTIONS (sizeof(plain_options) / sizeof(*plain_options))

static const lk_syntax status_syntax = {
    .name = "upgrade status",
    .operands = name_operand,
    .n_operands_min = 1,
    .n_operands_max = 1,
    .options = plain_options,
    .n_options = N_PLAIN_OPTIONS,
    .summary = "Tells of which models a collection's records are.",
    .notes = "How good it is was measured when the model was started. What is\n"
             "expected by now is so with the share that is encoded anew.\n\n"
             "Examples:\n"
             "  linkctl upgrade status firms\n",
};

static int cell_add(lk_grid *grid, const char *text, linkd_error *err)
{
    return lk_grid_add(grid, (linkd_str){text, strlen(text)}, err);
}

static int header_add(lk_grid *grid, linkd_error *err)
{
    static const char *const titles[] = {"generation", "state",   "model",
                                         "records",    "percent", "inactive",
                                         "way"};
    int rc = LINKD_OK;

    for (size_t i = 0; i < grid->n_columns && rc == LINKD_OK; i++)
        rc = cell_add(grid, titles[i], err);
    return rc;
}

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text != NULL ? text : "";
}

/* The model that serves, without which nothing is found. */
static bool is_gone(const json_t *generation)
{
    return strcmp(text_of(generation, "state"), "serving") == 0 &&
           json_is_false(json_object_get(generation, "present")) &&
           text_of(generation, "model")[0] != '\0';
}

static int generation_add(lk_grid *grid, const json_t *g, linkd_error *err)
{
    int rc = lk_grid_printf(grid, err, "%.0f", number_of(g, "generation"));

    if (rc == LINKD_OK)
        rc = cell_add(grid, text_of(g, "state"), err);
    if (rc == LINKD_OK)
        rc = cell_add(grid, text_of(g, "model"), err);
    if (rc == LINKD_OK)
        rc = cell_add(grid, lk_count((uint64_t)number_of(g, "vectors")).text,
                      err);
    if (rc == LINKD_OK)
        rc = lk_grid_printf(grid, err, "%.1f", number_of(g, "percent"));
    if (rc == LINKD_OK)
        rc = cell_add(grid, lk_count((uint64_t)number_of(g, "inactive")).text,
                      err);
    if (rc == LINKD_OK && is_gone(g))
        return cell_add(grid, "no model", err);
    if (rc == LINKD_OK && json_object_get(g, "damaged") != NULL)
        return cell_add(grid, "damaged", err);
    return rc == LINKD_OK ? cell_add(grid, text_of(g, "way"), err) : rc;
}

static int status_print(const json_t *status, linkd_error *err)
{
    lk_grid grid = {.n_columns = 7,
                    .is_right = {true, false, false, true, true, true, false}};
    const json_t *list = json_object_get(status, "generations");
    int rc = header_add(&grid, err);

    for (size_t i = 0; i < json_array_size(list) && rc == LINKD_OK; i++)
        rc = generation_add(&grid, json_array_get(list, i), err);
    if (rc == LINKD_OK)
        lk_grid_print(&grid, stdout);
    lk_grid_clear(&grid);
    return rc;
}

static void gone_print(const json_t *status)
{
    const json_t *list = json_object_get(status, "generations");

    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *g = json_array_get(list, i);

        if (is_gone(g))
            (void)printf("model %s is not in the model store, or is another "
                         "one by now: searches fail\n",
                         text_of(g, "model"));
    }
}

/* What the start of the model that serves has measured. */
static void quality_print(const json_t *status)
{
    static const char *const ways[][2] = {
        {"old", "the model before"},
        {"align", "new queries, mapped"},
        {"fuse", "mixed with the old ones"},
        {"cascade", "the first encoded anew"},
        {"new", "the new model throughout"},
    };
    const json_t *quality = json_object_get(status, "quality");
    const json_t *mrr_10 = json_object_get(quality, "mrr_10");

    if (!json_is_object(quality))
        return;
    (void)printf("MRR@10 of %.0f queries %s, on a sample, at the start:\n",
                 number_of(quality, "n_queries"), source_of(quality));
    for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++)
        (void)printf("  %-26s %.3f\n", ways[i][1],
                     number_of(mrr_10, ways[i][0]));
    (void)printf("  %-26s %.3f  (%s)\n", "expected by now",
                 number_of(quality, "expected"),
                 text_of(quality, "expected_way"));
}

static void left_print(const json_t *status)
{
    double n = number_of(status, "to_encode");
    uint64_t remaining = (uint64_t)number_of(status, "remaining");
    const json_t *seconds = json_object_get(status, "seconds_left");

    if (remaining == 0)
        return;
    (void)printf("%-28s %s, of which %s to encode", "left to move",
                 lk_counted(remaining, "record", "records").text,
                 lk_count((uint64_t)n).text);
    if (json_is_number(seconds) && n > 0.0)
        (void)printf(", about %s",
                     lk_duration(json_number_value(seconds)).text);
    (void)printf("\n");
}

/* What is damaged, in whole sentences. */
static void damages_print(const json_t *status)
{
    const json_t *list = json_object_get(status, "generations");

    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *damage = text_of(json_array_get(list, i), "damaged");

        if (*damage != '\0')
            (void)printf("damaged: %s\n", damage);
    }
    if (json_object_get(status, "damaged") != NULL)
        (void)printf("damaged: %s\n", text_of(status, "damaged"));
}

static int status_run(lk_cli *cli, const void *opaque, linkd_error *err)
{
    const upgrade_values *v = opaque;
    json_t *answer = NULL;
    int rc = upgrade_ask(cli, v, NULL, "/upgrade", NULL, false, &answer, err);

    if (rc == LINKD_OK)
        rc = v->json ? lk_json_print(answer, err) : status_print(answer, err);
    if (rc == LINKD_OK && !v->json) {
        gone_print(answer);
        quality_print(answer);
        left_print(answer);
        damages_print(answer);
    }
    json_decref(answer);
    return rc;
}

const lk_command lk_cmd_upgrade_status = {&status_syntax, &defaults,
                                          sizeof(defaults), status_run};

/* ---- backfill -------------------------------------------------------------- */

static const lk_option backfill_options[] = {
    LK_SOCKET_OPTION(AT(socket)),
    {"limit", 0, LK_OPTION_COUNT, AT(limit), "N", NULL, 1, 1e15,
     "stop after so many records (all)"},
    {"rate", 0, LK_OPTION_COUNT, AT(rate), "N", NULL, 1, 1e9,
     "records a second at most (as many as go)"},
    JSON_OPTION,
};

static const lk_syntax backfill_syntax = {
    .name = "upgrade backfill",
    .operands = name_operand,
    .n_operands_min = 1,
    .n_operands_max = 1,
    .options = backfill_options,
    .n_options = sizeof(backfill_options) / sizeof(*backfill_options),
    .summary = "Encodes older records with the model that serves.",
    .notes =
        "Records that searches have found since linkd started come first, "
        "most\n"
        "found ones before others, and then the order in which records were\n"
        "made. What was done stays done: after a stop, whatever its reason, "
        "the\n"
        "next one goes on.\n\n"
        "Examples:\n"
        "  linkctl upgrade backfill firms --rate 200\n",
};

static int backfill_run(lk_cli *cli, const void *opaque, linkd_error *err)
{
    const upgrade_values *v = opaque;
    json_t *body = json_object();
    json_t *job = NULL;
    int rc = body == NULL ? lk_fail_nomem(err) : LINKD_OK;

    if (rc == LINKD_OK && v->limit > 0 &&
        json_object_set_new(body, "limit",
                            json_integer((json_int_t)v->limit)) != 0)
        rc = lk_fail_nomem(err);
    if (rc == LINKD_OK && v->rate > 0 &&
        json_object_set_new(body, "rate", json_integer((json_int_t)v->rate)) !=
            0)
        rc = lk_fail_nomem(err);
    if (rc == LINKD_OK)
        rc = upgrade_ask(cli, v, "POST", "/upgrade/backfill", body, true, &job,
                         err);
    if (rc == LINKD_OK && v->json)
        rc = lk_json_print(job, err);
    else if (rc == LINKD_OK)
        (void)printf(
            "%s moved, %s encoded\n",
            lk_counted(lk_job_count(job, "moved"), "record", "records").text,
            lk_counted(lk_job_count(job, "encoded"), "text", "texts").text);
    json_decref(job);
    json_decref(body);
    return rc;
}

const lk_command lk_cmd_upgrade_backfill = {&backfill_syntax, &defaults,
                                            sizeof(defaults), backfill_run};

/* ---- rollback and gc --------------------------------------------------------- */

static const lk_syntax rollback_syntax = {
    .name = "upgrade rollback",
    .operands = name_operand,
    .n_operands_min = 1,
    .n_operands_max = 1,
    .options = plain_options,
    .n_options = N_PLAIN_OPTIONS,
    .summary = "Lets the model before serve again.",
    .notes =
        "Records that were there at the start are found as they were then;\n"
        "later ones by mapped queries, until a backfill.\n\n"
        "Examples:\n"
        "  linkctl upgrade rollback firms\n",
};

static int rollback_run(lk_cli *cli, const void *opaque, linkd_error *err)
{
    const upgrade_values *v = opaque;
    json_t *answer = NULL;
    int rc = upgrade_ask(cli, v, "POST", "/upgrade/rollback", NULL, false,
                         &answer, err);

    if (rc == LINKD_OK && v->json)
        rc = lk_json_print(answer, err);
    else if (rc == LINKD_OK)
        (void)printf("generation %.0f serves, %s went back\n",
                     number_of(answer, "serving"),
                     lk_counted((uint64_t)number_of(answer, "moved"), "record",
                                "records")
                         .text);
    json_decref(answer);
    return rc;
}

const lk_command lk_cmd_upgrade_rollback = {&rollback_syntax, &defaults,
                                            sizeof(defaults), rollback_run};

static const lk_syntax gc_syntax = {
    .name = "upgrade gc",
    .operands = name_operand,
    .n_operands_min = 1,
    .n_operands_max = 1,
    .options = plain_options,
    .n_options = N_PLAIN_OPTIONS,
    .summary = "Frees what older models have left behind.",
    .notes = "There is no way back to them after it.\n\n"
             "Examples:\n"
             "  linkctl upgrade gc firms\n",
};

static int gc_run(lk_cli *cli, const void *opaque, linkd_error *err)
{
    const upgrade_values *v = opaque;
    json_t *job = NULL;
    int rc = upgrade_ask(cli, v, "POST", "/upgrade/gc", NULL, true, &job, err);

    if (rc == LINKD_OK && v->json)
        rc = lk_json_print(job, err);
    else if (rc == LINKD_OK)
        (void)printf(
            "freed %s and %s\n",
            lk_counted(lk_job_count(job, "vectors"), "vector", "vectors").text,
            lk_counted(lk_job_count(job, "generations"), "generation",
                       "generations")
                .text);
    json_decref(job);
    return rc;
}

const lk_command lk_cmd_upgrade_gc = {&gc_syntax, &defaults, sizeof(defaults),
                                      gc_run};
