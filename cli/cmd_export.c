/* cli/cmd_export.c — linkctl collection export: a collection into a file.
 *
 *   {"id":"f1","fields":{"name":"Acme"}}  ─►  {"id":"f1","name":"Acme"}
 *                                         ─►  f1,Acme
 *
 * Rows are flat, as tables are and as collection import takes them. Fields are
 * passed on as the text that they came as, so numbers stay what they were. CSV
 * names its columns first, which only the last record could tell: so the
 * collection is read twice. */
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "cli/client.h"
#include "cli/output.h"
#include "cli/rows.h"

typedef struct export_values {
    const char *socket;
    const char *output;
    const char *id;
    const char *filter;
    int format;
} export_values;

#define AT(member) offsetof(export_values, member)

static const export_values defaults = {.output = "-", .id = "id"};

static const lk_option options[] = {
    LK_SOCKET_OPTION(AT(socket)),
    {"output", 'o', LK_OPTION_TEXT, AT(output), "FILE", NULL, 0, 0,
     "rows as .csv, .tsv or .jsonl; - is JSON lines on\n"
     "standard output (default)"},
    {"id", 0, LK_OPTION_TEXT, AT(id), "COLUMN", NULL, 0, 0,
     "name for the column of the ids (id)"},
    {"filter", 'f', LK_OPTION_TEXT, AT(filter), "JSON", NULL, 0, 0,
     "only records that it lets through, as in search"},
    {"format", 0, LK_OPTION_WORD, AT(format), "FORMAT", lk_format_words, 0, 0,
     "csv, tsv or jsonl, whatever the name ends in"},
};

static const char *const operands[] = {"NAME"};

static const lk_syntax syntax = {
    .name = "collection export",
    .operands = operands,
    .n_operands_min = 1,
    .n_operands_max = 1,
    .options = options,
    .n_options = sizeof(options) / sizeof(*options),
    .summary = "Writes the records of a collection as a table.",
    .notes = "Records come in the order in which they were made. JSON lines of "
             "a\ncollection without a model have the vectors, too, in the "
             "member\n\"vector\"; CSV and TSV have not.\n\n"
             "Examples:\n"
             "  linkctl collection export firms -o firms.csv\n"
             "  linkctl collection export firms --filter '{\"eq\": {\"city\": "
             "\"Bonn\"}}'\n",
};

typedef struct export_run {
    lk_cli *cli;
    const export_values *values;
    lk_client client;
    lk_buf path;
    linkd_format format;
    const char *step;   /* "columns" or "export" */
    uint64_t n_records; /* of the collection */
    uint64_t n_rows;
    lk_output *output;
    lk_lines lines;
    lk_buf line;
    /* CSV and TSV */
    linkd_str *columns; /* the first is that of the ids */
    linkd_cell *cells;  /* one for each */
    size_t n_columns;
    size_t capacity;
    lk_arena arena;
    lk_rows rows;
} export_run;

/* One record, while it is looked at. */
typedef struct record {
    linkd_str id;     /* as JSON text */
    linkd_cell cell;  /* as a value */
    linkd_str fields; /* a JSON object */
    linkd_str vector; /* a JSON array, or empty */
} record;

/* ---- records ------------------------------------------------------------ */

static linkd_cell cell_of(const linkd_reader *reader,
                          const linkd_record *members, const char *name)
{
    size_t i =
        linkd_reader_find_column(reader, (linkd_str){name, strlen(name)});

    return i < members->n_cells ? members->cells[i]
                                : (linkd_cell){"", 0, LINKD_CELL_MISSING};
}

/* Opens `text`, one JSON object, and reads its members. */
static int object_open(linkd_str text, linkd_reader **ret_reader,
                       linkd_record *ret_members, linkd_error *err)
{
    bool more = false;
    int rc = linkd_reader_open_bytes("the answer of linkd", text,
                                     LINKD_FORMAT_JSONL, ret_reader, err);

    if (rc == LINKD_OK)
        rc = linkd_reader_next(*ret_reader, ret_members, &more, err);
    if (rc == LINKD_OK && !more)
        rc = lk_fail(err, LINKD_E_DATA, "linkd sends a line without a record");
    return rc;
}

static size_t column_find(const export_run *run, linkd_str name, size_t guess)
{
    for (size_t i = 0; i < run->n_columns; i++) {
        size_t at = (guess + i) % run->n_columns;
        const linkd_str *column = &run->columns[at];

        if (column->len == name.len &&
            memcmp(column->bytes, name.bytes, name.len) == 0)
            return at;
    }
    return LINKD_COLUMN_NONE;
}

static int fail_id_taken(export_run *run, linkd_error *err)
{
    lk_cli_hint(run->cli, "--id gives the column of the ids another name");
    return lk_fail(err, LINKD_E_ARG,
                   "a record has a field \"%s\", as the "
                   "column of the ids is called",
                   run->values->id);
}

/* ---- JSON lines --------------------------------------------------------- */

static int line_write(export_run *run, const record *r, linkd_error *err)
{
    linkd_str name = {run->values->id, strlen(run->values->id)};
    int rc = lk_buf_append(&run->line, "{", 1, err);

    if (rc == LINKD_OK)
        rc = lk_json_append(&run->line, name, err);
    if (rc == LINKD_OK)
        rc = lk_buf_append(&run->line, ":", 1, err);
    if (rc == LINKD_OK)
        rc = lk_json_append(&run->line, r->id, err);
    if (rc == LINKD_OK && r->fields.len > 2) /* more than {} */
        rc = lk_buf_printf(&run->line, err, ",%.*s", (int)(r->fields.len - 2),
                           r->fields.bytes + 1);
    if (rc == LINKD_OK && r->vector.len > 0)
        rc = lk_buf_printf(&run->line, err, ",\"vector\":%.*s",
                           (int)r->vector.len, r->vector.bytes);
    if (rc == LINKD_OK)
        rc = lk_buf_append(&run->line, "}\n", 2, err);
    if (rc == LINKD_OK)
        rc = lk_output_write(run->output, run->line.data, run->line.len, err);
    lk_buf_reset(&run->line);
    return rc;
}

/* ---- tables ------------------------------------------------------------- */

static int column_add(export_run *run, linkd_str name, linkd_error *err)
{
    char *copy = lk_arena_copy(&run->arena, name.bytes, name.len);
    void *columns = run->columns;
    int rc;

    if (copy == NULL)
        return lk_fail_nomem(err);
    rc = lk_grow(&columns, &run->capacity, run->n_columns + 1,
                 sizeof(*run->columns), err);
    if (rc != LINKD_OK)
        return rc;
    run->columns = columns;
    run->columns[run->n_columns++] = (linkd_str){copy, name.len};
    return LINKD_OK;
}

static int columns_note(export_run *run, const linkd_reader *fields,
                        linkd_error *err)
{
    int rc = LINKD_OK;

    for (size_t i = 0; i < linkd_reader_n_columns(fields) && rc == LINKD_OK;
         i++) {
        linkd_str name = linkd_reader_column(fields, i);

        if (column_find(run, name, i + 1) == LINKD_COLUMN_NONE)
            rc = column_add(run, name, err);
    }
    return rc;
}

static int row_write(export_run *run, const record *r,
                     const linkd_reader *fields, const linkd_record *values,
                     linkd_error *err)
{
    for (size_t i = 0; i < run->n_columns; i++)
        run->cells[i] = (linkd_cell){"", 0, LINKD_CELL_MISSING};
    run->cells[0] = r->cell;
    for (size_t i = 0; i < values->n_cells; i++) {
        size_t at = column_find(run, linkd_reader_column(fields, i), i + 1);

        if (at == LINKD_COLUMN_NONE)
            return lk_fail(err, LINKD_E_CONFLICT,
                           "the collection got new fields while it was read");
        run->cells[at] = values->cells[i];
    }
    for (size_t i = 0; i < run->n_columns; i++)
        lk_rows_cell(&run->rows, run->cells[i]);
    return lk_rows_end(&run->rows, err);
}

/* ---- one record --------------------------------------------------------- */

static int record_write(export_run *run, const record *r, linkd_error *err)
{
    linkd_str id_name = {run->values->id, strlen(run->values->id)};
    linkd_reader *fields = NULL;
    linkd_record values;
    int rc = object_open(r->fields, &fields, &values, err);

    if (rc == LINKD_OK &&
        linkd_reader_find_column(fields, id_name) != LINKD_COLUMN_NONE)
        rc = fail_id_taken(run, err);
    if (rc == LINKD_OK) {
        if (run->format == LINKD_FORMAT_JSONL)
            rc = line_write(run, r, err);
        else if (run->cells == NULL)
            rc = columns_note(run, fields, err);
        else
            rc = row_write(run, r, fields, &values, err);
    }
    linkd_reader_close(fields);
    return rc;
}

static int record_take(void *ctx, linkd_str line, linkd_error *err)
{
    export_run *run = ctx;
    linkd_reader *reader = NULL;
    linkd_record members;
    int rc = object_open(line, &reader, &members, err);

    if (rc == LINKD_OK) {
        linkd_cell fields = cell_of(reader, &members, "fields");
        linkd_cell vector = cell_of(reader, &members, "vector");
        record r = {.cell = cell_of(reader, &members, "id")};

        r.id = (linkd_str){r.cell.bytes, r.cell.len};
        r.fields = fields.len > 0 ? (linkd_str){fields.bytes, fields.len}
                                  : (linkd_str){"{}", 2};
        r.vector = (linkd_str){vector.bytes, vector.len};
        rc = record_write(run, &r, err);
        run->n_rows++;
    }
    linkd_reader_close(reader);
    if (rc != LINKD_OK)
        return rc;
    return lk_progress_report(&run->cli->progress, run->step, run->n_rows,
                              run->n_records, err);
}

static int bytes_take(void *ctx, const char *bytes, size_t len,
                      linkd_error *err)
{
    return lk_lines_take(&((export_run *)ctx)->lines, bytes, len, err);
}

/* Reads all records and gives them to record_take(). */
static int records_read(export_run *run, linkd_error *err)
{
    lk_ask ask = LK_ASK_INIT;
    int rc;

    run->n_rows = 0;
    run->step = run->format != LINKD_FORMAT_JSONL && run->cells == NULL
                    ? "columns"
                    : "export";
    run->lines.line_cb = record_take;
    run->lines.ctx = run;
    ask.path = run->path.data;
    ask.accept = "application/x-ndjson";
    ask.body_cb = bytes_take;
    ask.ctx = run;
    rc = lk_client_ask(&run->client, &ask, err);
    return rc == LINKD_OK ? lk_lines_end(&run->lines, err) : rc;
}

/* ---- the command -------------------------------------------------------- */

/* Where the records are. Vectors are asked for where they were given. */
static int path_make(export_run *run, const json_t *info, linkd_error *err)
{
    const char *filter = run->values->filter;
    bool has_model = json_is_string(json_object_get(info, "model"));
    bool wants_vectors = !has_model && run->format == LINKD_FORMAT_JSONL;
    int rc = lk_collection_path(
        &run->path, run->cli->args.operands[0],
        wants_vectors ? "/records?vectors=true" : "/records", err);

    if (rc == LINKD_OK && filter != NULL)
        rc = lk_buf_printf(&run->path, err,
                           wants_vectors ? "&filter=" : "?filter=");
    if (rc == LINKD_OK && filter != NULL)
        rc = lk_url_append(&run->path, filter, err);
    return rc;
}

static int collection_look(export_run *run, linkd_error *err)
{
    json_t *info = NULL;
    lk_buf path = {0};
    int rc = lk_collection_path(&path, run->cli->args.operands[0], "", err);

    if (rc == LINKD_OK)
        rc = lk_client_json(&run->client, NULL, path.data, NULL, &info, err);
    if (rc == LINKD_E_ABSENT)
        lk_cli_hint(run->cli, "linkctl collection list shows those that exist");
    if (rc == LINKD_OK) {
        if (run->values->filter == NULL) /* else it is not known */
            run->n_records =
                (uint64_t)json_integer_value(json_object_get(info, "records"));
        rc = path_make(run, info, err);
    }
    json_decref(info);
    lk_buf_clear(&path);
    return rc;
}

static int table_write(export_run *run, linkd_error *err)
{
    linkd_str id = {run->values->id, strlen(run->values->id)};
    int rc = column_add(run, id, err);

    if (rc == LINKD_OK)
        rc = records_read(run, err);
    if (rc != LINKD_OK)
        return rc;
    run->cells = calloc(run->n_columns, sizeof(*run->cells));
    if (run->cells == NULL)
        return lk_fail_nomem(err);
    rc = lk_rows_init(&run->rows, run->output, run->format, run->columns,
                      run->n_columns, err);
    return rc == LINKD_OK ? records_read(run, err) : rc;
}

static linkd_format format_of(const export_values *v)
{
    if (v->format != LINKD_FORMAT_AUTO)
        return (linkd_format)v->format;
    return strcmp(v->output, "-") == 0 ? LINKD_FORMAT_JSONL
                                       : lk_rows_format(v->output);
}

static void export_clear(export_run *run)
{
    lk_output_close(run->output);
    lk_rows_clear(&run->rows);
    lk_lines_clear(&run->lines);
    lk_arena_clear(&run->arena);
    free(run->columns);
    free(run->cells);
    lk_buf_clear(&run->line);
    lk_buf_clear(&run->path);
    lk_client_close(&run->client);
}

static int export_all(lk_cli *cli, const void *values, linkd_error *err)
{
    export_run run = {.cli = cli, .values = values};
    int rc = lk_client_open(cli, run.values->socket, &run.client, err);

    run.format = format_of(run.values);
    if (rc == LINKD_OK)
        rc = collection_look(&run, err);
    if (rc == LINKD_OK)
        rc = lk_output_open(run.values->output, NULL, 0, &run.output, err);
    if (rc == LINKD_OK)
        rc = run.format == LINKD_FORMAT_JSONL ? records_read(&run, err)
                                              : table_write(&run, err);
    if (rc == LINKD_OK)
        rc = lk_output_commit(&run.output, 1, err);
    if (rc == LINKD_OK)
        lk_meter_finish(&cli->meter);
    if (rc == LINKD_OK && !cli->args.quiet)
        (void)fprintf(stderr, "%" PRIu64 " records\n", run.n_rows);
    export_clear(&run);
    return rc;
}

const lk_command lk_cmd_collection_export = {&syntax, &defaults,
                                             sizeof(defaults), export_all};
