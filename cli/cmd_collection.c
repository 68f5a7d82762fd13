/* cli/cmd_collection.c — linkctl collection create, list, info, log, drop. */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/client.h"
#include "cli/columns.h"
#include "cli/dsimplex.h"
#include "cli/grid.h"
#include "cli/limit.h"
#include "cli/number.h"

static const char *const name_operand[] = {"NAME"};

/* ---- create ------------------------------------------------------------- */

static const char *const head_words[] = {"none", "dsimplex", NULL};

static const char *const index_words[] = {"auto", "exact", "hnsw", "ivf", NULL};

typedef struct create_values {
    const char *socket;
    const char *model;
    const char *on;
    const char *pattern;
    const char *image;
    const char *filter;
    const char *labels;
    size_t classes;
    size_t dim;
    lk_limit_values threshold;
    int index;
    int head;
} create_values;

#define AT(member) offsetof(create_values, member)

static const create_values create_defaults = {
    .threshold = {(double)NAN, (double)NAN, (double)NAN}};

static const lk_option create_options[] = {
    LK_SOCKET_OPTION(AT(socket)),
    {"model", 'm', LK_OPTION_TEXT, AT(model), "NAME", NULL, 0, 0,
     "model of linkd's that turns records into vectors (the\n"
     "one linkd was started with); none: vectors are given"},
    {"dim", 'd', LK_OPTION_COUNT, AT(dim), "N", NULL, 1, (double)LINKD_DIM_MAX,
     "with --model none: numbers of a vector"},
    {"on", 0, LK_OPTION_TEXT, AT(on), "A,B", NULL, 0, 0,
     "fields that are encoded, in this order; without it\n"
     "all that are text, by name"},
    {"template", 0, LK_OPTION_TEXT, AT(pattern), "TEXT", NULL, 0, 0,
     "text of a record in place of --on: \"{name}, {city}\""},
    {"image", 0, LK_OPTION_TEXT, AT(image), "FIELD", NULL, 0, 0,
     "field with a picture, which --model reads (CLIP, ViT,\n"
     "DINOv2, ...); --on is then text of the record, too"},
    {"filter", 'f', LK_OPTION_TEXT, AT(filter), "A,B", NULL, 0, 0,
     "fields that filters may use (all)"},
    {"index", 0, LK_OPTION_WORD, AT(index), "KIND", index_words, 0, 0,
     "auto: exact while small, then hnsw (default); exact;\nhnsw; ivf"},
    {"threshold", 't', LK_OPTION_REAL, AT(threshold.score), "SCORE", NULL, -1,
     1,
     "from which score on a new record is a known one (0.74);\ngoes on "
     "meaning a score of --model when that is changed"},
    {"false-match-rate", 0, LK_OPTION_REAL, AT(threshold.false_match_rate), "R",
     NULL, 0, 1,
     "in its place: from the score on that a share R of\n"
     "strangers has; some hundred records have to tell it"},
    {"probability", 0, LK_OPTION_REAL, AT(threshold.probability), "P", NULL, 0,
     1,
     "in its place: from which probability on, which is known\n"
     "after upgrade start"},
    {"head", 0, LK_OPTION_WORD, AT(head), "HEAD", head_words, 0, 0,
     "dsimplex: a head on the model that is learnt from\n"
     "--labels, so that later models compare with no map"},
    {"labels", 0, LK_OPTION_TEXT, AT(labels), "FILE", NULL, 0, 0,
     "for --head: a table of records with a column \"entity\""},
    {"classes", 0, LK_OPTION_COUNT, AT(classes), "N", NULL, 2,
     (double)LINKD_DIM_MAX,
     "for --head: entities that it has room for, which makes\n"
     "vectors of N - 1 numbers (1024)"},
};

static const lk_syntax create_syntax = {
    .name = "collection create",
    .operands = name_operand,
    .n_operands_min = 1,
    .n_operands_max = 1,
    .options = create_options,
    .n_options = sizeof(create_options) / sizeof(*create_options),
    .summary = "Makes a collection of records in linkd.",
    .notes = "A name is made of letters, digits and _ . - and does not begin "
             "with a\ndot.\n\n"
             "Examples:\n"
             "  linkctl collection create firms --on name,city --filter city\n"
             "  linkctl collection create firms --on name --false-match-rate "
             "0.0001\n"
             "  linkctl collection create photos --model none --dim 512\n"
             "  linkctl collection create goods --image photo --on title "
             "--model my-clip\n"
             "  linkctl collection create firms --on name --model "
             "all-MiniLM-L6-v2 \\\n"
             "      --head dsimplex --labels known-firms.csv\n",
};

static void put(json_t *object, const char *name, json_t *value, int *rc)
{
    if (json_object_set_new(object, name, value) != 0)
        *rc = LINKD_E_NOMEM;
}

/* "a,b" as an array under `member`; NULL is left out. */
static int names_put(json_t *object, const char *member, const char *option,
                     const char *text, linkd_error *err)
{
    json_t *names = NULL;
    int rc;

    if (text == NULL)
        return LINKD_OK;
    rc = lk_name_list_json(option, text, &names, err);
    if (rc != LINKD_OK)
        return rc;
    put(object, member, names, &rc);
    return rc == LINKD_OK ? rc : lk_fail_nomem(err);
}

static int create_check(const create_values *v, linkd_error *err)
{
    bool is_bare = v->model != NULL && strcmp(v->model, "none") == 0;

    if (v->on != NULL && v->pattern != NULL)
        return lk_fail(err, LINKD_E_ARG, "--on excludes --template");
    if (is_bare && v->dim == 0)
        return lk_fail(err, LINKD_E_ARG, "--model none needs --dim");
    if (!is_bare && v->dim != 0)
        return lk_fail(err, LINKD_E_ARG, "--dim needs --model none");
    if (v->head == 0 && (v->labels != NULL || v->classes > 0))
        return lk_fail(err, LINKD_E_ARG, "--%s needs --head",
                       v->labels != NULL ? "labels" : "classes");
    if (v->head != 0 && (v->labels == NULL || v->model == NULL || is_bare))
        return lk_fail(err, LINKD_E_ARG,
                       "--head needs --model, which gets it, and --labels");
    return LINKD_OK;
}

static int create_body(const create_values *v, json_t *body, linkd_error *err)
{
    int rc = names_put(body, "text", "on", v->on, err);

    if (rc == LINKD_OK)
        rc = names_put(body, "filter", "filter", v->filter, err);
    if (rc != LINKD_OK)
        return rc;
    put(body, "index", json_string(index_words[v->index]), &rc);
    if (v->dim > 0)
        put(body, "model", json_null(), &rc);
    else if (v->model != NULL)
        put(body, "model", json_string(v->model), &rc);
    if (v->dim > 0)
        put(body, "dim", json_integer((json_int_t)v->dim), &rc);
    if (v->pattern != NULL)
        put(body, "template", json_string(v->pattern), &rc);
    if (v->image != NULL)
        put(body, "image", json_string(v->image), &rc);
    return rc == LINKD_OK ? lk_limit_put(&v->threshold, body, err)
                          : lk_fail_nomem(err);
}

/* Asks about the collection that the first operand names. */
static int collection_ask(lk_cli *cli, const char *socket, const char *method,
                          const json_t *body, json_t **ret_answer,
                          linkd_error *err)
{
    lk_client client = {0};
    lk_buf path = {0};
    int rc = lk_client_open(cli, socket, &client, err);

    if (rc == LINKD_OK)
        rc = lk_collection_path(&path, cli->args.operands[0], "", err);
    if (rc == LINKD_OK)
        rc = lk_client_json(&client, method, path.data, body, ret_answer, err);
    if (rc == LINKD_E_ABSENT)
        lk_cli_hint(cli, "linkctl collection list shows those that exist");
    lk_buf_clear(&path);
    lk_client_close(&client);
    return rc;
}

/* Makes the model with the head, and that the collection's. */
static int head_make(lk_cli *cli, const create_values *v, json_t *body,
                     linkd_error *err)
{
    lk_dsimplex options = {.base = v->model,
                           .collection = cli->args.operands[0],
                           .labels = v->labels,
                           .settings = body,
                           .n_classes = v->classes};
    lk_buf name = {0};
    int rc = lk_dsimplex_make(cli, &options, &name, err);

    if (rc == LINKD_OK) {
        put(body, "model", json_string(name.data), &rc);
        rc = rc == LINKD_OK ? rc : lk_fail_nomem(err);
    }
    lk_buf_clear(&name);
    return rc;
}

static int create_run(lk_cli *cli, const void *opaque, linkd_error *err)
{
    const create_values *v = opaque;
    json_t *body = json_object();
    int rc = create_check(v, err);

    if (rc == LINKD_OK)
        rc = create_body(v, body, err);
    if (rc == LINKD_OK && v->head != 0)
        rc = head_make(cli, v, body, err);
    if (rc == LINKD_OK)
        rc = collection_ask(cli, v->socket, "PUT", body, NULL, err);
    if (rc == LINKD_OK && !cli->args.quiet)
        (void)fprintf(stderr, "created collection %s\n", cli->args.operands[0]);
    json_decref(body);
    return rc;
}

const lk_command lk_cmd_collection_create = {
    &create_syntax, &create_defaults, sizeof(create_defaults), create_run};

/* ---- list, info, drop --------------------------------------------------- */

typedef struct plain_values {
    const char *socket;
    bool json;
} plain_values;

static const plain_values plain_defaults = {.json = false};

static const lk_option plain_options[] = {
    LK_SOCKET_OPTION(offsetof(plain_values, socket)),
    {"json", 0, LK_OPTION_FLAG, offsetof(plain_values, json), NULL, NULL, 0, 0,
     "print JSON"},
};
#define N_PLAIN_OPTIONS (sizeof(plain_options) / sizeof(*plain_options))

static const lk_syntax list_syntax = {
    .name = "collection list",
    .options = plain_options,
    .n_options = N_PLAIN_OPTIONS,
    .summary = "Lists linkd's collections.",
    .notes = "Examples:\n"
             "  linkctl collection list\n"
             "  linkctl collection list --json | jq -r '.[].name'\n",
};

static const char *text_in(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text != NULL ? text : "none";
}

static uint64_t count_in(const json_t *object, const char *name)
{
    return (uint64_t)json_integer_value(json_object_get(object, name));
}

static int list_row(lk_grid *grid, const json_t *collection, linkd_error *err)
{
    static const char *const counts[] = {"dim", "records", "vectors",
                                         "entities"};
    const char *model = text_in(collection, "model");
    int rc = lk_grid_printf(grid, err, "%s", text_in(collection, "name"));

    if (rc == LINKD_OK)
        rc = lk_grid_printf(grid, err, "%s", model);
    for (size_t i = 0; i < sizeof(counts) / sizeof(*counts) && rc == LINKD_OK;
         i++)
        rc = lk_grid_printf(grid, err, "%s",
                            lk_count(count_in(collection, counts[i])).text);
    return rc;
}

static int list_print(const json_t *list, linkd_error *err)
{
    static const char *const heads[] = {"NAME",    "MODEL",   "DIM",
                                        "RECORDS", "VECTORS", "ENTITIES"};
    lk_grid grid = {.n_columns = 6,
                    .is_right = {false, false, true, true, true, true}};
    int rc = lk_grid_row(&grid, heads, grid.n_columns, err);

    for (size_t i = 0; i < json_array_size(list) && rc == LINKD_OK; i++)
        rc = list_row(&grid, json_array_get(list, i), err);
    if (rc == LINKD_OK)
        lk_grid_print(&grid, stdout);
    lk_grid_clear(&grid);
    return rc;
}

static int list_run(lk_cli *cli, const void *opaque, linkd_error *err)
{
    const plain_values *v = opaque;
    const json_t *list;
    json_t *answer = NULL;
    lk_client client = {0};
    int rc = lk_client_open(cli, v->socket, &client, err);

    if (rc == LINKD_OK)
        rc = lk_client_json(&client, NULL, "/v1/collections", NULL, &answer,
                            err);
    lk_client_close(&client);
    if (rc != LINKD_OK)
        return rc;
    list = json_object_get(answer, "collections");
    if (v->json)
        rc = lk_json_print(list, err);
    else if (json_array_size(list) > 0)
        rc = list_print(list, err);
    else
        (void)printf("there is no collection\n");
    json_decref(answer);
    return rc;
}

const lk_command lk_cmd_collection_list = {&list_syntax, &plain_defaults,
                                           sizeof(plain_defaults), list_run};

static const lk_syntax info_syntax = {
    .name = "collection info",
    .operands = name_operand,
    .n_operands_min = 1,
    .n_operands_max = 1,
    .options = plain_options,
    .n_options = N_PLAIN_OPTIONS,
    .summary = "Describes a collection.",
    .notes = "Examples:\n"
             "  linkctl collection info firms\n",
};

/* What has to be said of a value. */
static const char *remark_on(const json_t *info, const char *name)
{
    bool was_changed =
        json_integer_value(json_object_get(info, "generation")) > 1;

    return was_changed && strcmp(name, "threshold") == 0 &&
                   json_is_number(json_object_get(info, name))
               ? "  (a score of the first model)"
               : "";
}

static int info_print(json_t *info, linkd_error *err)
{
    lk_grid grid = {.n_columns = 2};
    const char *name;
    json_t *value;
    int rc = LINKD_OK;

    json_object_foreach(info, name, value)
    {
        char *text =
            json_is_null(value) || json_is_string(value)
                ? NULL
                : json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(6));

        if (rc == LINKD_OK && !json_is_null(value))
            rc = lk_grid_printf(&grid, err, "%s:", name);
        if (rc == LINKD_OK && !json_is_null(value))
            rc = lk_grid_printf(&grid, err, "%s%s",
                                text != NULL ? text : text_in(info, name),
                                remark_on(info, name));
        free(text);
    }
    if (rc == LINKD_OK && grid.n_cells > 0)
        lk_grid_print(&grid, stdout);
    lk_grid_clear(&grid);
    return rc;
}

static int info_run(lk_cli *cli, const void *opaque, linkd_error *err)
{
    const plain_values *v = opaque;
    json_t *info = NULL;
    int rc = collection_ask(cli, v->socket, NULL, NULL, &info, err);

    if (rc == LINKD_OK)
        rc = v->json ? lk_json_print(info, err) : info_print(info, err);
    json_decref(info);
    return rc;
}

const lk_command lk_cmd_collection_info = {&info_syntax, &plain_defaults,
                                           sizeof(plain_defaults), info_run};

static const lk_syntax drop_syntax = {
    .name = "collection drop",
    .operands = name_operand,
    .n_operands_min = 1,
    .n_operands_max = 1,
    .options = plain_options,
    .n_options = 1, /* without --json: there is nothing to print */
    .summary = "Drops a collection and everything in it.",
    .notes = "Nothing asks for confirmation; linkctl backup keeps a copy.\n\n"
             "Examples:\n"
             "  linkctl collection drop firms\n",
};

static int drop_run(lk_cli *cli, const void *opaque, linkd_error *err)
{
    const plain_values *v = opaque;
    int rc = collection_ask(cli, v->socket, "DELETE", NULL, NULL, err);

    if (rc == LINKD_OK && !cli->args.quiet)
        (void)fprintf(stderr, "dropped collection %s\n", cli->args.operands[0]);
    return rc;
}

const lk_command lk_cmd_collection_drop = {&drop_syntax, &plain_defaults,
                                           sizeof(plain_defaults), drop_run};

/* ---- log ---------------------------------------------------------------- */

static const lk_syntax log_syntax = {
    .name = "collection log",
    .operands = name_operand,
    .n_operands_min = 1,
    .n_operands_max = 1,
    .options = plain_options,
    .n_options = N_PLAIN_OPTIONS,
    .summary = "Tells which entities were merged and split, and why.",
    .notes = "Oldest first, with the most probable pair of records between the "
             "two\nentities. With --json each event is an object on a line of "
             "its own.\n\n"
             "Examples:\n"
             "  linkctl collection log firms\n",
};

static void event_print(const json_t *event)
{
    bool is_merge = strcmp(text_in(event, "event"), "merge") == 0;
    const json_t *reason = json_object_get(event, "reason");
    const json_t *records = json_object_get(reason, "records");

    (void)printf(is_merge ? "entity %llu: %llu was merged into it"
                          : "entity %llu: %llu was split off from it",
                 (unsigned long long)count_in(event, "entity"),
                 (unsigned long long)count_in(event, "other"));
    if (json_array_size(records) == 2)
        (void)printf(", since %s and %s are one with probability %.2f",
                     json_string_value(json_array_get(records, 0)),
                     json_string_value(json_array_get(records, 1)),
                     json_number_value(json_object_get(reason, "probability")));
    (void)printf("\n");
}

/* Prints one answer; *ret_from is where the next one begins, 0: there is none.
 */
static int events_print(const json_t *answer, bool as_json, uint64_t *ret_from,
                        linkd_error *err)
{
    const json_t *events = json_object_get(answer, "events");
    int rc = LINKD_OK;

    for (size_t i = 0; i < json_array_size(events) && rc == LINKD_OK; i++) {
        const json_t *event = json_array_get(events, i);

        if (as_json)
            rc = lk_json_print(event, err);
        else
            event_print(event);
    }
    *ret_from = count_in(answer, "next");
    return rc;
}

static int log_run(lk_cli *cli, const void *opaque, linkd_error *err)
{
    const plain_values *v = opaque;
    lk_client client = {0};
    lk_buf path = {0};
    uint64_t from = 0;
    int rc = lk_client_open(cli, v->socket, &client, err);

    do {
        json_t *answer = NULL;
        char query[48];

        (void)snprintf(query, sizeof(query), "/events?from=%llu",
                       (unsigned long long)from);
        lk_buf_reset(&path);
        if (rc == LINKD_OK)
            rc = lk_collection_path(&path, cli->args.operands[0], query, err);
        if (rc == LINKD_OK)
            rc = lk_client_json(&client, NULL, path.data, NULL, &answer, err);
        if (rc == LINKD_OK)
            rc = events_print(answer, v->json, &from, err);
        json_decref(answer);
    } while (rc == LINKD_OK && from > 0);
    if (rc == LINKD_E_ABSENT)
        lk_cli_hint(cli, "linkctl collection list shows those that exist");
    lk_buf_clear(&path);
    lk_client_close(&client);
    return rc;
}

const lk_command lk_cmd_collection_log = {&log_syntax, &plain_defaults,
                                          sizeof(plain_defaults), log_run};
