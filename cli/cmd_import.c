/* cli/cmd_import.c — linkctl collection import: a file into a collection.
 *
 *   reader ─► batch: NDJSON of up to 1,000 records ─► POST …/records ─► next
 *
 * A batch is one transaction of linkd's. Each has an Idempotency-Key of its own
 * made from a number drawn for the run, so that a batch whose answer got lost,
 * or that linkd was too busy for, is sent again and still stored once. Keys are
 * not made from the content: importing a file, changing the records and
 * importing the file again has to bring the old ones back. */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "cli/client.h"
#include "cli/columns.h"
#include "cli/ids.h"
#include "cli/npy.h"
#include "cli/number.h"
#include "cli/picture_cells.h"
#include "cli/rows.h"
#include "cli/survey.h"

#define BATCH_ROWS   1000
#define BATCH_BYTES  ((size_t)4 << 20) /* or this much JSON, if sooner */
#define TRIES_MAX    20
#define KEY_SIZE     48
#define VECTOR_FIELD "vector"

typedef struct import_values {
    const char *socket;
    const char *id;
    size_t first_id;
    int format;
} import_values;

#define AT(member) offsetof(import_values, member)

static const import_values defaults = {.first_id = 0};

static const lk_option options[] = {
    LK_SOCKET_OPTION(AT(socket)),
    {"id", 0, LK_OPTION_TEXT, AT(id), "COLUMN", NULL, 0, 0,
     "column of the ids; without it the first column if its\n"
     "values are unique, else the row number"},
    {"first-id", 0, LK_OPTION_COUNT, AT(first_id), "N", NULL, 0, 1e15,
     "id of the first vector of a .npy file (0)"},
    {"format", 0, LK_OPTION_WORD, AT(format), "FORMAT", lk_format_words, 0, 0,
     "csv, tsv or jsonl, whatever the name ends in"},
};

static const char *const operands[] = {"NAME", "FILE"};

static const lk_syntax syntax = {
    .name = "collection import",
    .operands = operands,
    .n_operands_min = 2,
    .n_operands_max = 2,
    .options = options,
    .n_options = sizeof(options) / sizeof(*options),
    .summary = "Puts the rows of a table into a collection.",
    .notes =
        "FILE is CSV, TSV or JSON lines, - is standard input; or a NumPy file\n"
        "of float32 or float64 [n, dim] for a collection without a model,\n"
        "whose ids are --first-id and the numbers after it. JSON lines for\n"
        "such a collection have the vector in the member \"vector\". A first\n"
        "column that looks like ids but repeats one is refused without --id.\n"
        "A record whose id is there already is replaced. Rows are stored in\n"
        "batches: after a failure those before it are there.\n\n"
        "Where the collection's records have pictures, the column of that "
        "name has\n"
        "paths, relative to FILE, or data URIs. linkctl reads the files: "
        "linkd\n"
        "keeps the pictures themselves.\n\n"
        "Examples:\n"
        "  linkctl collection import firms firms.csv --id key\n"
        "  zcat big.jsonl.gz | linkctl collection import firms - \\\n"
        "      --format jsonl --id id\n"
        "  linkctl collection import photos vectors.npy\n"
        "  linkctl collection import goods goods.csv --id sku\n",
};

typedef struct import_run {
    lk_cli *cli;
    const import_values *values;
    lk_client client;
    lk_buf path; /* of the collection's records */
    bool has_model;
    size_t dim;
    json_t *text; /* names of the fields that make texts; NULL: all do */
    uint64_t nonce;
    uint64_t n_batches;
    uint64_t n_created;
    uint64_t n_updated;
    lk_picture_cells pictures;
    /* tables */
    lk_survey survey; /* n_rows 0: a pipe */
    linkd_reader *reader;
    lk_buf body;
    size_t n_body_rows;
    uint64_t n_rows;
} import_run;

/* ---- the collection ----------------------------------------------------- */

static int collection_look(import_run *run, linkd_error *err)
{
    const char *name = run->cli->args.operands[0];
    json_t *info = NULL;
    lk_buf path = {0};
    int rc = lk_collection_path(&path, name, "", err);

    if (rc == LINKD_OK)
        rc = lk_client_json(&run->client, NULL, path.data, NULL, &info, err);
    if (rc == LINKD_E_ABSENT)
        lk_cli_hint(run->cli, "make it: linkctl collection create %s", name);
    if (rc == LINKD_OK) {
        const json_t *image = json_object_get(info, "image");

        run->has_model = json_is_string(json_object_get(info, "model"));
        run->text = json_incref(json_object_get(info, "text"));
        rc = lk_buf_append(&run->pictures.field, json_string_value(image),
                           json_string_length(image), err);
    }
    if (rc == LINKD_OK) {
        run->dim = (size_t)json_integer_value(json_object_get(info, "dim"));
        rc = lk_collection_path(&run->path, name, "/records", err);
    }
    json_decref(info);
    lk_buf_clear(&path);
    return rc;
}

/* ---- sending ------------------------------------------------------------ */

static int collect(void *ctx, const char *bytes, size_t len, linkd_error *err)
{
    return lk_buf_append(ctx, bytes, len, err);
}

static int answer_note(import_run *run, const lk_buf *text, linkd_error *err)
{
    json_t *answer =
        text->len > 0 ? json_loadb(text->data, text->len, 0, NULL) : NULL;
    int rc;

    if (answer == NULL)
        return lk_fail(err, LINKD_E_IO,
                       "linkd does not say what it has stored");
    run->n_created +=
        (uint64_t)json_integer_value(json_object_get(answer, "created"));
    run->n_updated +=
        (uint64_t)json_integer_value(json_object_get(answer, "updated"));
    rc = lk_picture_cells_answer(&run->pictures, answer, err);
    json_decref(answer);
    return rc;
}

/* Sends one batch, again while linkd is busy or away for a moment. */
static int batch_send(import_run *run, const char *path, const char *type,
                      linkd_str body, linkd_error *err)
{
    lk_ask ask = LK_ASK_INIT;
    lk_buf text = {0};
    char key[KEY_SIZE];
    int rc = LINKD_E_BUSY;

    (void)snprintf(key, sizeof(key), "linkctl-%016" PRIx64 "-%" PRIu64,
                   run->nonce, run->n_batches++);
    ask.method = "POST";
    ask.path = path;
    ask.content_type = type;
    ask.key = key;
    ask.body = body;
    ask.body_cb = collect;
    ask.ctx = &text;
    for (int tries = 0; tries < TRIES_MAX; tries++) {
        if (tries > 0)
            (void)sleep(1); /* as linkd's Retry-After asks */
        lk_buf_reset(&text);
        rc = lk_client_ask(&run->client, &ask, err);
        if (rc != LINKD_E_BUSY && rc != LINKD_E_IO)
            break;
    }
    if (rc == LINKD_OK)
        rc = answer_note(run, &text, err);
    lk_buf_clear(&text);
    return rc;
}

/* ---- tables ------------------------------------------------------------- */

/* What linkd says of a line of the batch, said of the row: to linkd it is a bad
 * request, here bad data. */
static int rows_fail(const import_run *run, int rc, const linkd_error *reason,
                     linkd_error *err)
{
    lk_label file = lk_label_of_path(run->cli->args.operands[1]);
    uint64_t first = run->n_rows - run->n_body_rows + 1;
    const char *what = reason->message;
    char *end;

    if (strncmp(what, "line ", 5) == 0) {
        first += strtoull(what + 5, &end, 10) - 1;
        return lk_fail(err, rc == LINKD_E_ARG ? LINKD_E_DATA : rc,
                       "%s: row %" PRIu64 "%s", file.text, first, end);
    }
    return lk_fail(err, rc, "%s: rows %" PRIu64 " to %" PRIu64 ": %s",
                   file.text, first, run->n_rows, what);
}

static int rows_send(import_run *run, linkd_error *err)
{
    linkd_str body = {run->body.data, run->body.len};
    linkd_error reason = {0};
    int rc;

    if (run->n_body_rows == 0)
        return LINKD_OK;
    rc = batch_send(run, run->path.data, "application/x-ndjson", body, &reason);
    if (rc != LINKD_OK)
        return rows_fail(run, rc, &reason, err);
    lk_buf_reset(&run->body);
    run->n_body_rows = 0;
    run->pictures.first_row = run->n_rows + 1;
    return lk_progress_report(&run->cli->progress, "import", run->n_rows,
                              run->survey.n_rows, err);
}

static int member_append(import_run *run, linkd_str name, linkd_cell cell,
                         bool *is_first, linkd_error *err)
{
    linkd_str text = {cell.bytes, cell.len};
    int rc = LINKD_OK;

    if (!*is_first)
        rc = lk_buf_append(&run->body, ",", 1, err);
    *is_first = false;
    if (rc == LINKD_OK)
        rc = lk_json_append(&run->body, name, err);
    if (rc == LINKD_OK)
        rc = lk_buf_append(&run->body, ":", 1, err);
    if (rc != LINKD_OK)
        return rc;
    if (cell.kind == LINKD_CELL_LITERAL)
        return lk_buf_append(&run->body, cell.bytes, cell.len, err);
    return lk_json_append(&run->body, text, err);
}

static bool is_vector(const import_run *run, linkd_str name)
{
    return !run->has_model && name.len == sizeof(VECTOR_FIELD) - 1 &&
           memcmp(name.bytes, VECTOR_FIELD, name.len) == 0;
}

/* An empty cell is a field that is not there. */
static bool is_field(const import_run *run, const linkd_record *record,
                     size_t i)
{
    linkd_cell cell = record->cells[i];

    return i != run->survey.id_column && cell.kind != LINKD_CELL_MISSING &&
           cell.len > 0 && !is_vector(run, linkd_reader_column(run->reader, i));
}

/* The picture itself in place of its path. */
static int picture_append(import_run *run, const linkd_record *record, size_t i,
                          bool *is_first, linkd_error *err)
{
    linkd_cell cell = record->cells[i];
    linkd_str uri;
    int rc =
        lk_picture_cells_read(&run->pictures, run->n_body_rows,
                              (linkd_str){cell.bytes, cell.len}, &uri, err);

    if (rc != LINKD_OK || uri.len == 0)
        return rc;
    return member_append(
        run, linkd_reader_column(run->reader, i),
        (linkd_cell){uri.bytes, (uint32_t)uri.len, LINKD_CELL_TEXT}, is_first,
        err);
}

static int fields_append(import_run *run, const linkd_record *record,
                         linkd_error *err)
{
    bool is_first = true;
    int rc = lk_buf_printf(&run->body, err, ",\"fields\":{");

    for (size_t i = 0; i < record->n_cells && rc == LINKD_OK; i++) {
        if (lk_picture_cells_is(&run->pictures,
                                linkd_reader_column(run->reader, i)))
            rc = picture_append(run, record, i, &is_first, err);
        else if (is_field(run, record, i))
            rc = member_append(run, linkd_reader_column(run->reader, i),
                               record->cells[i], &is_first, err);
    }
    if (rc == LINKD_OK)
        rc = lk_buf_printf(&run->body, err, "}");
    is_first = false; /* behind the fields a comma is needed */
    for (size_t i = 0; i < record->n_cells && rc == LINKD_OK; i++) {
        linkd_str name = linkd_reader_column(run->reader, i);

        if (is_vector(run, name) && record->cells[i].kind != LINKD_CELL_MISSING)
            rc = member_append(run, name, record->cells[i], &is_first, err);
    }
    return rc;
}

static int id_append(import_run *run, const linkd_record *record,
                     linkd_error *err)
{
    size_t column = run->survey.id_column;
    linkd_cell cell = {"", 0, LINKD_CELL_MISSING};
    int rc;

    if (column == LINKD_COLUMN_NONE)
        return lk_buf_printf(&run->body, err, "{\"id\":\"%" PRIu64 "\"",
                             record->row);
    if (column < record->n_cells)
        cell = record->cells[column];
    if (run->values->id != NULL) {
        rc = lk_id_check(run->cli->args.operands[1], record, run->values->id,
                         cell, err);
        if (rc != LINKD_OK)
            return rc;
    }
    rc = lk_buf_printf(&run->body, err, "{\"id\":");
    if (rc == LINKD_OK)
        rc = lk_json_append(&run->body, (linkd_str){cell.bytes, cell.len}, err);
    return rc;
}

/* The column of the ids, where JSON lines have it only from some line on. */
static void id_column_find(import_run *run)
{
    const char *id = run->values->id;

    if (run->survey.id_column == LINKD_COLUMN_NONE && id != NULL)
        run->survey.id_column =
            linkd_reader_find_column(run->reader, (linkd_str){id, strlen(id)});
}

static bool batch_is_full(const import_run *run)
{
    return run->n_body_rows == BATCH_ROWS || run->body.len >= BATCH_BYTES ||
           (run->pictures.field.len > 0 && run->n_body_rows == LK_PICTURE_ROWS);
}

static int row_add(import_run *run, const linkd_record *record,
                   linkd_error *err)
{
    const char *id = run->values->id;
    int rc;

    id_column_find(run);
    if (id != NULL && run->survey.id_column == LINKD_COLUMN_NONE) {
        lk_columns_hint(run->cli, run->reader);
        return lk_fail_column(run->cli->args.operands[1],
                              (linkd_str){id, strlen(id)}, err);
    }
    rc = id_append(run, record, err);
    if (rc == LINKD_OK)
        rc = fields_append(run, record, err);
    if (rc == LINKD_OK)
        rc = lk_buf_printf(&run->body, err, "}\n");
    run->n_body_rows++;
    run->n_rows++;
    if (rc == LINKD_OK && batch_is_full(run))
        rc = rows_send(run, err);
    return rc;
}

static bool has_column(const import_run *run, linkd_str name)
{
    return linkd_reader_find_column(run->reader, name) != LINKD_COLUMN_NONE;
}

/* A record without text is found by no search, so a table of nothing else is
 * taken for the wrong one. Of JSON lines nobody knows yet what will come. */
static int text_columns_check(import_run *run, linkd_error *err)
{
    const char *path = run->cli->args.operands[1];
    linkd_str image = {run->pictures.field.data, run->pictures.field.len};
    size_t n = json_array_size(run->text), n_missing = 0;
    lk_buf missing = {0};
    int rc = LINKD_OK;

    if (linkd_reader_n_columns(run->reader) == 0)
        return LINKD_OK;
    for (size_t i = 0; i < n && rc == LINKD_OK; i++) {
        const json_t *field = json_array_get(run->text, i);
        linkd_str name = {json_string_value(field), json_string_length(field)};

        if (!has_column(run, name))
            rc = lk_buf_printf(&missing, err, "%s\"%s\"",
                               n_missing++ > 0 ? ", " : "",
                               lk_label_of(name).text);
    }
    if (rc == LINKD_OK && n_missing > 0 && n_missing == n &&
        (image.len == 0 || !has_column(run, image))) {
        lk_columns_hint(run->cli, run->reader);
        rc = lk_fail(err, LINKD_E_ARG,
                     "%s has no column of those that make the text of %s: %s",
                     lk_label_of_path(path).text, run->cli->args.operands[0],
                     missing.data);
    } else if (rc == LINKD_OK && n_missing > 0 && !run->cli->args.quiet) {
        (void)fprintf(stderr, "%s has no column %s: texts are made without\n",
                      lk_label_of_path(path).text, missing.data);
    }
    lk_buf_clear(&missing);
    return rc;
}

static int table_import(import_run *run, linkd_error *err)
{
    const char *path = run->cli->args.operands[1];
    linkd_format format = (linkd_format)run->values->format;
    bool more = true;
    int rc = lk_survey_input(run->cli, path, format, run->values->id,
                             &run->survey, err);

    if (rc == LINKD_OK && linkd_id_trial_is_flawed(&run->survey.id_trial))
        rc = lk_ids_flaw_fail(run->cli, path, &run->survey.id_trial, err);
    if (rc == LINKD_OK)
        rc = linkd_reader_open(path, format, &run->reader, err);
    if (rc == LINKD_OK)
        rc = text_columns_check(run, err);
    while (rc == LINKD_OK && more) {
        linkd_record record;

        rc = linkd_reader_next(run->reader, &record, &more, err);
        if (rc == LINKD_OK && more)
            rc = row_add(run, &record, err);
    }
    return rc == LINKD_OK ? rows_send(run, err) : rc;
}

/* ---- vectors ------------------------------------------------------------ */

static int vectors_send(import_run *run, const float *rows, size_t n,
                        linkd_error *err)
{
    linkd_str body = {(const char *)rows, n * run->dim * sizeof(*rows)};
    lk_buf path = {0};
    int rc = lk_buf_printf(&path, err, "%s?first_id=%" PRIu64, run->path.data,
                           run->values->first_id + run->n_rows);

    if (rc == LINKD_OK)
        rc = batch_send(run, path.data, "application/octet-stream", body, err);
    run->n_rows += n;
    lk_buf_clear(&path);
    return rc;
}

static int vectors_check(const import_run *run, size_t dim, linkd_error *err)
{
    if (run->has_model)
        return lk_fail(err, LINKD_E_ARG,
                       "collection %s has a model: it takes records, not "
                       "vectors",
                       run->cli->args.operands[0]);
    if (dim != run->dim)
        return lk_fail(err, LINKD_E_ARG,
                       "vectors of %zu numbers do not fit collection %s, whose "
                       "have %zu",
                       dim, run->cli->args.operands[0], run->dim);
    return LINKD_OK;
}

static int vectors_import(import_run *run, linkd_error *err)
{
    const char *path = run->cli->args.operands[1];
    lk_npy_file npy = {0};
    float *rows = NULL;
    int rc = lk_npy_open(path, &npy, err);
    uint64_t n_rows = npy.shape.n_rows;

    if (rc == LINKD_OK)
        rc = vectors_check(run, (size_t)npy.shape.dim, err);
    if (rc == LINKD_OK)
        rc = lk_npy_check(&npy, err);
    if (rc == LINKD_OK) {
        rows = lk_alloc_aligned(BATCH_ROWS, run->dim * sizeof(*rows));
        if (rows == NULL)
            rc = lk_fail_nomem(err);
    }
    while (rc == LINKD_OK && run->n_rows < n_rows) {
        uint64_t rest = n_rows - run->n_rows;
        size_t n = rest < BATCH_ROWS ? (size_t)rest : BATCH_ROWS;

        rc = lk_npy_read(&npy, n, rows, err);
        if (rc == LINKD_OK)
            rc = vectors_send(run, rows, n, err);
        if (rc == LINKD_OK)
            rc = lk_progress_report(&run->cli->progress, "import", run->n_rows,
                                    n_rows, err);
    }
    free(rows);
    lk_npy_close(&npy);
    return rc;
}

/* ---- the command -------------------------------------------------------- */

static int nonce_draw(import_run *run, linkd_error *err)
{
    if (getrandom(&run->nonce, sizeof(run->nonce), 0) !=
        (ssize_t)sizeof(run->nonce))
        return lk_fail(err, LINKD_E_IO, "could not draw a random number: %s",
                       strerror(errno));
    return LINKD_OK;
}

static int import_all(lk_cli *cli, const void *values, linkd_error *err)
{
    import_run run = {
        .cli = cli,
        .values = values,
        .pictures = {.table_path = cli->args.operands[1], .first_row = 1}};
    bool is_npy = lk_path_ends_in(cli->args.operands[1], ".npy");
    int rc = LINKD_OK;

    if (lk_args_given(&syntax, &cli->args, "first-id") && !is_npy)
        return lk_fail(err, LINKD_E_ARG, "--first-id is for .npy files");
    if (lk_path_ends_in(cli->args.operands[1], ".fvecs"))
        return lk_fail(err, LINKD_E_ARG,
                       "vectors are imported from .npy files, not from %s",
                       lk_label_of_path(cli->args.operands[1]).text);
    if (run.values->id != NULL && is_npy)
        return lk_fail(err, LINKD_E_ARG, "--id is not for .npy files");
    rc = nonce_draw(&run, err);
    if (rc == LINKD_OK)
        rc = lk_client_open(cli, run.values->socket, &run.client, err);
    if (rc == LINKD_OK)
        rc = collection_look(&run, err);
    if (rc == LINKD_OK)
        rc = is_npy ? vectors_import(&run, err) : table_import(&run, err);
    if (rc == LINKD_OK)
        lk_meter_finish(&cli->meter);
    lk_images_note(run.pictures.n_empty, &run.pictures.problems);
    if (rc == LINKD_OK && !cli->args.quiet)
        (void)fprintf(stderr, "%s: %s created, %s replaced\n",
                      lk_counted(run.n_rows, "row", "rows").text,
                      lk_count(run.n_created).text,
                      lk_count(run.n_updated).text);
    linkd_reader_close(run.reader);
    lk_picture_cells_clear(&run.pictures);
    lk_buf_clear(&run.body);
    lk_buf_clear(&run.path);
    json_decref(run.text);
    lk_client_close(&run.client);
    return rc;
}

const lk_command lk_cmd_collection_import = {&syntax, &defaults,
                                             sizeof(defaults), import_all};
