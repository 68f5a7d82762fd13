/* cli/cmd_profile.c — linkctl profile: what the columns of a table hold. */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <time.h>

#include "cli/command.h"
#include "cli/grid.h"
#include "cli/number.h"

enum {
    CELL_CHARS = 40,
    DATE_BYTES = 16,
    SECONDS_PER_DAY = 86400,
};

typedef struct profile_values {
    const char *id;
    int format;
    bool json;
} profile_values;

#define AT(member) offsetof(profile_values, member)

static const profile_values defaults = {0};

static const lk_option options[] = {
    {"id", 0, LK_OPTION_TEXT, AT(id), "COLUMN", NULL, 0, 0,
     "column of the ids; without it the first column if its\n"
     "values are unique, else the row number"},
    {"format", 0, LK_OPTION_WORD, AT(format), "FORMAT", lk_format_words, 0, 0,
     "csv, tsv or jsonl for the input, whatever its name\nends in"},
    {"json", 0, LK_OPTION_FLAG, AT(json), NULL, NULL, 0, 0,
     "print one JSON object"},
};

static const char *const operands[] = {"FILE"};

static const lk_syntax syntax = {
    .name = "profile",
    .operands = operands,
    .n_operands_min = 1,
    .n_operands_max = 1,
    .options = options,
    .n_options = sizeof(options) / sizeof(*options),
    .summary = "Shows what the columns of a table hold.",
    .notes =
        "One line a column: what its cells are taken for when records are\n"
        "compared (name, text, code, number, date, category), how many are\n"
        "filled, how many values there are, and their mean length in\n"
        "characters. Then, of numbers and dates, where the middle nine tenths\n"
        "of them lie; of others the most common value, and how common it is.\n"
        "Values that differ in case, accents or punctuation alone are one.\n\n"
        "Examples:\n"
        "  linkctl profile people.csv\n"
        "  linkctl profile --id key --json products.jsonl\n"
        "  zcat people.csv.gz | linkctl profile -\n",
};

/* ---- values ------------------------------------------------------------- */

typedef struct date_text {
    char text[DATE_BYTES];
} date_text;

static date_text date_of(double days)
{
    time_t seconds = (time_t)days * SECONDS_PER_DAY;
    struct tm parts;
    date_text date = {""};

    if (gmtime_r(&seconds, &parts) != NULL)
        (void)snprintf(date.text, sizeof(date.text), "%04hd-%02hd-%02hd",
                       (short)(parts.tm_year + 1900), (short)(parts.tm_mon + 1),
                       (short)parts.tm_mday);
    return date;
}

/* One decimal; 100.0 only of all. */
static double percent(uint64_t n, uint64_t all)
{
    double share = all > 0 ? 100.0 * (double)n / (double)all : 0.0;

    return n < all && share > 99.9 ? 99.9 : share;
}

/* ---- for people --------------------------------------------------------- */

static int range_add(lk_grid *grid, const linkd_column_profile *p,
                     linkd_error *err)
{
    if (p->type == LINKD_HOLDS_DATE)
        return lk_grid_printf(grid, err, "%s to %s", date_of(p->low).text,
                              date_of(p->high).text);
    return lk_grid_printf(grid, err, "%.10g to %.10g", p->low, p->high);
}

static int common_add(lk_grid *grid, const linkd_column_profile *p,
                      linkd_error *err)
{
    int rc = lk_grid_add(grid, p->common, err);

    if (rc != LINKD_OK)
        return rc;
    if (p->n_common <= 1)
        return lk_grid_printf(grid, err, "%s", "");
    return lk_grid_printf(grid, err, "%.1f %%",
                          percent(p->n_common, p->n_filled));
}

static int values_add(lk_grid *grid, const linkd_column_profile *p,
                      linkd_error *err)
{
    int rc;

    if (p->type != LINKD_HOLDS_NUMBER && p->type != LINKD_HOLDS_DATE)
        return common_add(grid, p, err);
    rc = range_add(grid, p, err);
    return rc == LINKD_OK ? lk_grid_printf(grid, err, "%s", "") : rc;
}

static int row_add(lk_grid *grid, const linkd_column_profile *p,
                   linkd_error *err)
{
    int rc = lk_grid_add(grid, p->name, err);

    if (rc == LINKD_OK)
        rc = lk_grid_printf(grid, err, "%s", linkd_holds_words[p->type]);
    if (rc == LINKD_OK)
        rc = lk_grid_printf(grid, err, "%.1f %%",
                            percent(p->n_filled, p->n_rows));
    if (rc == LINKD_OK)
        rc = lk_grid_printf(grid, err, "%s", lk_count(p->n_distinct).text);
    if (rc == LINKD_OK)
        rc = lk_grid_printf(grid, err, "%.1f", p->mean_chars);
    return rc == LINKD_OK ? values_add(grid, p, err) : rc;
}

static int profiles_print(const linkd_table *table,
                          const linkd_column_profile *profiles,
                          linkd_error *err)
{
    static const char *const heads[] = {
        "COLUMN", "TYPE", "FILLED", "DISTINCT", "CHARS", "VALUES", ""};
    lk_grid grid = {.n_columns = sizeof(heads) / sizeof(*heads),
                    .cell_max = CELL_CHARS,
                    .is_right = {false, false, true, true, true, false, true}};
    size_t id = linkd_table_id_column(table);
    int rc = lk_grid_row(&grid, heads, grid.n_columns, err);

    for (size_t i = 0; i < linkd_table_n_columns(table) && rc == LINKD_OK; i++)
        rc = row_add(&grid, &profiles[i], err);
    if (rc == LINKD_OK) {
        linkd_str name =
            id == LINKD_COLUMN_NONE ? (linkd_str){"", 0} : profiles[id].name;

        lk_grid_print(&grid, stdout);
        (void)printf("\n%s; ids: %s\n",
                     lk_counted(linkd_table_n_rows(table), "row", "rows").text,
                     id == LINKD_COLUMN_NONE ? "row numbers"
                                             : lk_label_of(name).text);
    }
    lk_grid_clear(&grid);
    return rc;
}

/* ---- for programs ------------------------------------------------------- */

static json_t *str_json(linkd_str text)
{
    return json_stringn(text.bytes != NULL ? text.bytes : "", text.len);
}

static json_t *bound_json(const linkd_column_profile *p, double value)
{
    return p->type == LINKD_HOLDS_DATE ? json_string(date_of(value).text)
                                       : json_real(value);
}

/* What only some types have. */
static int extras_set(json_t *column, const linkd_column_profile *p)
{
    bool has_range =
        p->type == LINKD_HOLDS_NUMBER || p->type == LINKD_HOLDS_DATE;
    int failed = 0;

    if (has_range) {
        failed |= json_object_set_new(column, "low", bound_json(p, p->low));
        failed |= json_object_set_new(column, "high", bound_json(p, p->high));
        failed |= json_object_set_new(column, "spread", json_real(p->spread));
    }
    if (p->n_filled > 0) {
        failed |= json_object_set_new(column, "common", str_json(p->common));
        failed |= json_object_set_new(column, "n_common",
                                      json_integer((json_int_t)p->n_common));
    }
    return failed;
}

static json_t *column_json(const linkd_column_profile *p)
{
    json_t *column = json_pack(
        "{s:o*,s:s,s:I,s:I,s:f,s:f}", "name", str_json(p->name), "type",
        linkd_holds_words[p->type], "filled", (json_int_t)p->n_filled,
        "distinct", (json_int_t)p->n_distinct, "mean_chars", p->mean_chars,
        "mean_words", p->mean_words);

    if (column != NULL && extras_set(column, p) != 0) {
        json_decref(column);
        return NULL;
    }
    return column;
}

static json_t *table_json(const linkd_table *table,
                          const linkd_column_profile *profiles)
{
    size_t id = linkd_table_id_column(table);
    json_t *columns = json_array();
    int failed = columns == NULL;

    for (size_t i = 0; i < linkd_table_n_columns(table) && !failed; i++)
        failed = json_array_append_new(columns, column_json(&profiles[i]));
    if (failed) {
        json_decref(columns);
        return NULL;
    }
    return json_pack("{s:I,s:o?,s:o}", "rows",
                     (json_int_t)linkd_table_n_rows(table), "id_column",
                     id == LINKD_COLUMN_NONE ? NULL
                                             : str_json(profiles[id].name),
                     "columns", columns);
}

static int json_print(const linkd_table *table,
                      const linkd_column_profile *profiles, linkd_error *err)
{
    json_t *root = table_json(table, profiles);
    char *text =
        root ? json_dumps(root, JSON_COMPACT | JSON_REAL_PRECISION(15)) : NULL;
    int rc = LINKD_OK;

    if (text == NULL)
        rc = lk_fail_nomem(err);
    else
        (void)printf("%s\n", text);
    free(text);
    json_decref(root);
    return rc;
}

/* ---- command ------------------------------------------------------------ */

static int profiles_make(lk_cli *cli, const linkd_table *table,
                         linkd_column_profile *profiles, linkd_error *err)
{
    size_t n = linkd_table_n_columns(table);
    int rc = LINKD_OK;

    for (size_t i = 0; i < n && rc == LINKD_OK; i++) {
        rc = lk_progress_report(&cli->progress, "profile", i, n, err);
        if (rc == LINKD_OK)
            rc = linkd_column_profile_make(table, i, &profiles[i], err);
    }
    return rc == LINKD_OK
               ? lk_progress_report(&cli->progress, "profile", n, n, err)
               : rc;
}

static int profile_run(lk_cli *cli, const void *opaque, linkd_error *err)
{
    const profile_values *values = opaque;
    linkd_column_profile *profiles = NULL;
    linkd_table *table = NULL;
    int rc =
        lk_table_read(cli, cli->args.operands[0], (linkd_format)values->format,
                      values->id, &table, err);

    if (rc != LINKD_OK)
        goto done;
    profiles = calloc(linkd_table_n_columns(table), sizeof(*profiles));
    if (profiles == NULL) {
        rc = lk_fail_nomem(err);
        goto done;
    }
    rc = profiles_make(cli, table, profiles, err);
    if (rc == LINKD_OK)
        rc = values->json ? json_print(table, profiles, err)
                          : profiles_print(table, profiles, err);
done:
    free(profiles);
    linkd_table_free(table);
    return rc;
}

const lk_command lk_cmd_profile = {
    .syntax = &syntax,
    .defaults = &defaults,
    .values_size = sizeof(profile_values),
    .run = profile_run,
};
