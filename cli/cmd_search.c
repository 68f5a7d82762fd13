/* cli/cmd_search.c — linkctl search: the records nearest to something. */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/client.h"
#include "cli/columns.h"
#include "cli/grid.h"
#include "cli/limit.h"
#include "cli/npy.h"

#define CELL_MAX      40 /* characters shown of a field: guess */
#define FIXED_COLUMNS 4  /* probability, generation, score and id */
#define PLAIN_COLUMNS 2  /* of these where the model was never changed */

typedef enum search_format {
    SEARCH_AUTO,
    SEARCH_TABLE,
    SEARCH_JSONL,
} search_format;

static const char *const format_words[] = {"auto", "table", "jsonl", NULL};
static const char *const compat_words[] = {"fuse", "align", "cascade", "native",
                                           NULL};

typedef struct search_values {
    const char *socket;
    const char *vector_file;
    const char *record;
    const char *image;
    const char *filter;
    const char *fields;
    size_t k;
    lk_limit_values threshold;
    int format;
    int compat;        /* a place in compat_words; -1: the collection's way */
    size_t candidates; /* 0: as many as linkd takes */
    bool exact;
    bool json;
} search_values;

#define AT(member) offsetof(search_values, member)

static const search_values defaults = {
    .k = 10,
    .threshold = {(double)NAN, (double)NAN, (double)NAN},
    .compat = -1};

static const lk_option options[] = {
    LK_SOCKET_OPTION(AT(socket)),
    {"vector-file", 0, LK_OPTION_TEXT, AT(vector_file), "FILE", NULL, 0, 0,
     "look for what is near the vector in this .npy file"},
    {"image", 0, LK_OPTION_TEXT, AT(image), "FILE", NULL, 0, 0,
     "look for what is near this picture, and TEXT if given"},
    {"record", 'r', LK_OPTION_TEXT, AT(record), "ID", NULL, 0, 0,
     "look for what is near this record"},
    {"k", 'k', LK_OPTION_COUNT, AT(k), "N", NULL, 1, (double)LINKD_K_MAX,
     "records to find (10)"},
    {"threshold", 't', LK_OPTION_REAL, AT(threshold.score), "SCORE", NULL, -1,
     1, "least score: a cosine from -1 to 1, of the collection's\nfirst model"},
    {"false-match-rate", 0, LK_OPTION_REAL, AT(threshold.false_match_rate), "R",
     NULL, 0, 1, "in its place: the score that a share R of strangers has"},
    {"probability", 0, LK_OPTION_REAL, AT(threshold.probability), "P", NULL, 0,
     1, "in its place: least probability, after an upgrade"},
    {"filter", 'f', LK_OPTION_TEXT, AT(filter), "JSON", NULL, 0, 0,
     "only records that it lets through"},
    {"fields", 0, LK_OPTION_TEXT, AT(fields), "A,B", NULL, 0, 0,
     "fields to show (all)"},
    {"exact", 0, LK_OPTION_FLAG, AT(exact), NULL, NULL, 0, 0,
     "compare with every vector: slower, misses nothing"},
    {"compat", 0, LK_OPTION_WORD, AT(compat), "WAY", compat_words, 0, 0,
     "how records of an older model are searched: fuse, align\n"
     "or cascade (as upgrade start --way said); native: they\n"
     "are not; see docs/upgrade.md"},
    {"candidates", 0, LK_OPTION_COUNT, AT(candidates), "N", NULL, 1, 1000,
     "records that --compat cascade encodes anew (100)"},
    {"format", 0, LK_OPTION_WORD, AT(format), "FORMAT", format_words, 0, 0,
     "table: for people, the default on a terminal; jsonl:\n"
     "the default elsewhere"},
    {"json", 0, LK_OPTION_FLAG, AT(json), NULL, NULL, 0, 0,
     "the same as --format jsonl"},
};

static const char *const operands[] = {"NAME", "TEXT"};

static const lk_syntax syntax = {
    .name = "search",
    .operands = operands,
    .n_operands_min = 1,
    .n_operands_max = 2,
    .options = options,
    .n_options = sizeof(options) / sizeof(*options),
    .summary = "Finds the records of a collection that are nearest.",
    .notes =
        "Filters: {\"eq\": {field: value}}, {\"in\": {field: [values]}},\n"
        "{\"range\": {field: {\"gte\": value, \"lt\": value}}}, {\"exists\": "
        "field},\n{\"and\": [...]}, {\"or\": [...]}, {\"not\": {...}}.\n\n"
        "Examples:\n"
        "  linkctl search firms 'ACME Corp, Berlin' -k 3\n"
        "  linkctl search firms --record f1 --filter '{\"eq\": {\"city\": "
        "\"Bonn\"}}'\n"
        "  linkctl search photos --vector-file query.npy --json\n"
        "  linkctl search goods 'a red chair'\n"
        "  linkctl search goods --image chair.jpg -k 5\n",
};

/* ---- the question ------------------------------------------------------- */

static void put(json_t *object, const char *name, json_t *value, int *rc)
{
    if (json_object_set_new(object, name, value) != 0)
        *rc = LINKD_E_NOMEM;
}

static int vector_read(const char *path, json_t *body, linkd_error *err)
{
    lk_npy_file npy = {0};
    float numbers[LINKD_DIM_MAX];
    json_t *vector = NULL;
    int rc = lk_npy_open(path, &npy, err);

    if (rc != LINKD_OK)
        return rc;
    if (npy.shape.n_rows != 1)
        rc = lk_fail(err, LINKD_E_DATA,
                     "%s holds %" PRIu64 " vectors, search takes one",
                     lk_label_of_path(path).text, npy.shape.n_rows);
    else
        rc = lk_npy_check(&npy, err);
    if (rc == LINKD_OK)
        rc = lk_npy_read(&npy, 1, numbers, err);
    vector = json_array();
    for (size_t i = 0; i < npy.shape.dim && rc == LINKD_OK; i++)
        if (json_array_append_new(vector, json_real((double)numbers[i])) != 0)
            rc = lk_fail_nomem(err);
    lk_npy_close(&npy);
    if (rc != LINKD_OK) {
        json_decref(vector);
        return rc;
    }
    put(body, "vector", vector, &rc);
    return rc == LINKD_OK ? rc : lk_fail_nomem(err);
}

static int picture_put(const char *path, json_t *body, linkd_error *err)
{
    linkd_str source = {path, strlen(path)};
    linkd_error why;
    lk_buf uri = {0};
    int rc = linkd_picture_uri("", source, &uri, &why);

    if (rc != LINKD_OK)
        rc = lk_fail(err, rc, "%s: %s", lk_label_of(source).text, why.message);
    if (rc == LINKD_OK) {
        put(body, "image", json_stringn(uri.data, uri.len), &rc);
        rc = rc == LINKD_OK ? rc : lk_fail_nomem(err);
    }
    lk_buf_clear(&uri);
    return rc;
}

static int text_put(const char *text, const char *option, const char *member,
                    json_t *body, linkd_error *err)
{
    int rc = LINKD_OK;

    put(body, member, json_string(text), &rc);
    return rc == LINKD_OK
               ? rc
               : lk_fail(err, LINKD_E_ARG, "%s is not valid UTF-8", option);
}

static int query_put(const lk_cli *cli, const search_values *v, json_t *body,
                     linkd_error *err)
{
    const char *text = cli->args.n_operands > 1 ? cli->args.operands[1] : NULL;
    int n_given = (text != NULL || v->image != NULL) +
                  (v->vector_file != NULL) + (v->record != NULL);
    int rc = LINKD_OK;

    if (n_given == 0)
        return lk_fail(err, LINKD_E_ARG,
                       "search needs TEXT, --image, --vector-file or --record");
    if (n_given > 1)
        return lk_fail(err, LINKD_E_ARG,
                       "TEXT or --image, --vector-file and --record exclude "
                       "each other");
    if (v->vector_file != NULL)
        return vector_read(v->vector_file, body, err);
    if (v->record != NULL)
        return text_put(v->record, "--record", "record", body, err);
    if (text != NULL)
        rc = text_put(text, "TEXT", "text", body, err);
    return rc == LINKD_OK && v->image != NULL ? picture_put(v->image, body, err)
                                              : rc;
}

static int filter_put(const search_values *v, json_t *body, linkd_error *err)
{
    json_error_t reason;
    json_t *filter;
    int rc = LINKD_OK;

    if (v->filter == NULL)
        return LINKD_OK;
    filter = json_loads(v->filter, JSON_REJECT_DUPLICATES, &reason);
    if (filter == NULL)
        return lk_fail(err, LINKD_E_ARG, "--filter is not JSON: %s",
                       reason.text);
    put(body, "filter", filter, &rc);
    return rc == LINKD_OK ? rc : lk_fail_nomem(err);
}

static int fields_put(const search_values *v, json_t *body, linkd_error *err)
{
    json_t *names = NULL;
    int rc;

    if (v->fields == NULL)
        return LINKD_OK;
    rc = lk_name_list_json("fields", v->fields, &names, err);
    if (rc != LINKD_OK)
        return rc;
    put(body, "fields", names, &rc);
    return rc == LINKD_OK ? rc : lk_fail_nomem(err);
}

static int body_fill(const lk_cli *cli, const search_values *v, json_t *body,
                     linkd_error *err)
{
    int rc = query_put(cli, v, body, err);

    if (rc == LINKD_OK)
        rc = filter_put(v, body, err);
    if (rc == LINKD_OK)
        rc = fields_put(v, body, err);
    if (rc != LINKD_OK)
        return rc;
    put(body, "k", json_integer((json_int_t)v->k), &rc);
    if (v->exact)
        put(body, "exact", json_true(), &rc);
    if (v->compat >= 0)
        put(body, "compat", json_string(compat_words[v->compat]), &rc);
    if (v->candidates > 0)
        put(body, "candidates", json_integer((json_int_t)v->candidates), &rc);
    return rc == LINKD_OK ? lk_limit_put(&v->threshold, body, err)
                          : lk_fail_nomem(err);
}

/* ---- the answer --------------------------------------------------------- */

static int lines_print(const json_t *hits, linkd_error *err)
{
    int rc = LINKD_OK;

    for (size_t i = 0; i < json_array_size(hits) && rc == LINKD_OK; i++)
        rc = lk_json_print(json_array_get(hits, i), err);
    return rc;
}

/* The names of the hits' fields, as many as there are columns for. */
static size_t names_collect(const json_t *hits, const char **names, size_t max)
{
    size_t n = 0;

    for (size_t i = 0; i < json_array_size(hits); i++) {
        json_t *fields = json_object_get(json_array_get(hits, i), "fields");
        const char *name;
        json_t *value;

        json_object_foreach(fields, name, value)
        {
            size_t at = 0;

            while (at < n && strcmp(names[at], name) != 0)
                at++;
            if (at == n && n < max)
                names[n++] = name;
        }
    }
    return n;
}

static int value_add(lk_grid *grid, const json_t *value, linkd_error *err)
{
    char *text;
    int rc;

    if (value == NULL || json_is_null(value))
        return lk_grid_add(grid, (linkd_str){"", 0}, err);
    if (json_is_string(value))
        return lk_grid_add(
            grid,
            (linkd_str){json_string_value(value), json_string_length(value)},
            err);
    text = json_dumps(value,
                      JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(9));
    if (text == NULL)
        return lk_fail_nomem(err);
    rc = lk_grid_add(grid, (linkd_str){text, strlen(text)}, err);
    free(text);
    return rc;
}

/* Of a collection whose model was changed: hits are in order of probability, and
 * scores of two generations do not compare. */
static int standing_add(lk_grid *grid, const json_t *hit, linkd_error *err)
{
    const json_t *probability = json_object_get(hit, "probability");
    int rc =
        json_is_number(probability)
            ? lk_grid_printf(grid, err, "%.4f", json_number_value(probability))
            : lk_grid_printf(grid, err, "-");

    return rc == LINKD_OK
               ? value_add(grid, json_object_get(hit, "generation"), err)
               : rc;
}

static int hit_add(lk_grid *grid, const json_t *hit, bool is_mixed,
                   const char *const *names, size_t n_names, linkd_error *err)
{
    const json_t *fields = json_object_get(hit, "fields");
    int rc = is_mixed ? standing_add(grid, hit, err) : LINKD_OK;

    if (rc == LINKD_OK)
        rc = lk_grid_printf(grid, err, "%.4f",
                            json_number_value(json_object_get(hit, "score")));
    if (rc == LINKD_OK)
        rc = value_add(grid, json_object_get(hit, "id"), err);
    for (size_t i = 0; i < n_names && rc == LINKD_OK; i++)
        rc = value_add(grid, json_object_get(fields, names[i]), err);
    return rc;
}

static int table_print(const json_t *hits, linkd_error *err)
{
    const char *names[LK_GRID_COLUMNS_MAX - FIXED_COLUMNS];
    bool is_mixed =
        json_object_get(json_array_get(hits, 0), "generation") != NULL;
    const char *const titles[] = {"PROBABILITY", "GENERATION", "SCORE", "ID"};
    size_t n_fixed = is_mixed ? FIXED_COLUMNS : PLAIN_COLUMNS;
    size_t n = names_collect(hits, names, LK_GRID_COLUMNS_MAX - FIXED_COLUMNS);
    lk_grid grid = {.n_columns = n + n_fixed,
                    .cell_max = CELL_MAX,
                    .is_right = {true, is_mixed, is_mixed}};
    int rc = lk_grid_row(&grid, titles + FIXED_COLUMNS - n_fixed, n_fixed, err);

    if (rc == LINKD_OK)
        rc = lk_grid_row(&grid, names, n, err);
    for (size_t i = 0; i < json_array_size(hits) && rc == LINKD_OK; i++)
        rc = hit_add(&grid, json_array_get(hits, i), is_mixed, names, n, err);
    if (rc == LINKD_OK && json_array_size(hits) > 0)
        lk_grid_print(&grid, stdout);
    else if (rc == LINKD_OK)
        (void)printf("no record is near enough\n");
    lk_grid_clear(&grid);
    return rc;
}

static bool wants_lines(const search_values *v)
{
    if (v->json || v->format != SEARCH_AUTO)
        return v->json || v->format == SEARCH_JSONL;
    return !isatty(STDOUT_FILENO);
}

static int search_ask(lk_cli *cli, const search_values *v, const json_t *body,
                      json_t **ret_answer, linkd_error *err)
{
    lk_client client = {0};
    lk_buf path = {0};
    int rc = lk_client_open(cli, v->socket, &client, err);

    if (rc == LINKD_OK)
        rc = lk_collection_path(&path, cli->args.operands[0], "/search", err);
    if (rc == LINKD_OK)
        rc = lk_client_json(&client, "POST", path.data, body, ret_answer, err);
    lk_absence_hint(cli, rc, err);
    lk_buf_clear(&path);
    lk_client_close(&client);
    return rc;
}

static int search_run(lk_cli *cli, const void *opaque, linkd_error *err)
{
    const search_values *v = opaque;
    json_t *body = json_object();
    json_t *answer = NULL;
    const json_t *hits;
    int rc = body_fill(cli, v, body, err);

    if (rc == LINKD_OK)
        rc = search_ask(cli, v, body, &answer, err);
    hits = json_object_get(answer, "hits");
    if (rc == LINKD_OK)
        rc = wants_lines(v) ? lines_print(hits, err) : table_print(hits, err);
    json_decref(body);
    json_decref(answer);
    return rc;
}

const lk_command lk_cmd_search = {&syntax, &defaults, sizeof(defaults),
                                  search_run};
