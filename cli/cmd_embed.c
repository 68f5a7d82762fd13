/* cli/cmd_embed.c — linkctl embed: the vector of every row.
 *
 *   reader ─► chunk: texts and ids of up to 1,024 rows ─► encoder ─► output
 *
 * One chunk is all that is kept, whatever the length of the file. A file is
 * looked through before (cli/survey.c), a pipe cannot be. A row without text
 * is encoded as the empty text, so that vector i always belongs to row i. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/columns.h"
#include "cli/command.h"
#include "cli/ids.h"
#include "cli/looks.h"
#include "cli/manifest.h"
#include "cli/number.h"
#include "cli/rows.h"
#include "cli/survey.h"
#include "cli/vector_file.h"

/* Enough for the encoder to sort rows by length and fill its tiles. */
#define DIM_MAX     65536 /* no encoder has more (encoder/config.c) */
#define CHUNK_ROWS  1024
#define CHUNK_BYTES ((size_t)8 << 20) /* or this much text, if sooner */

typedef struct embed_values {
    const char *on;
    const char *id;
    lk_looks_values looks;
    const char *model;
    const char *prompt;
    const char *prompt_text;
    const char *output;
    size_t dim; /* 0: all that the model gives */
    size_t n_threads;
    int precision;
    int format;
    bool json;
} embed_values;

#define AT(member) offsetof(embed_values, member)

static const embed_values defaults = {
    .model = LK_MODEL_DEFAULT,
    .output = "-",
};

static const char *const precisions[] = {"auto", "f32", "bf16", "int8", NULL};

static const lk_option options[] = {
    {"on", 0, LK_OPTION_TEXT, AT(on), "A,B", NULL, 0, 0,
     "columns to embed; without it all but the id"},
    {"image", 0, LK_OPTION_TEXT, AT(looks.image), "COLUMN", NULL, 0, 0,
     "embed pictures by an image model (ViT, DINOv2, CLIP, Swin, CCT): the\n"
     "column has paths of JPEG, PNG or WebP files, as seen\n"
     "from the table, or data URIs"},
    {"upright", 0, LK_OPTION_FLAG, AT(looks.upright), NULL, NULL, 0, 0,
     "with --image: turn pictures as the camera was held"},
    LK_MERGE_TOKENS_OPTION(AT(looks.merge_tokens)),
    {"id", 0, LK_OPTION_TEXT, AT(id), "COLUMN", NULL, 0, 0,
     "column of the ids; without it the first column if its\n"
     "values are unique, else the row number"},
    {"model", 'm', LK_OPTION_TEXT, AT(model), "NAME", NULL, 0, 0,
     "name or directory of the model (" LK_MODEL_DEFAULT ")"},
    {"prompt", 0, LK_OPTION_TEXT, AT(prompt), "NAME", NULL, 0, 0,
     "put the model's prompt of that name before each text,\n"
     "such as query or passage; none is no prompt, and without\n"
     "this option it is the model's default"},
    {"prompt-text", 0, LK_OPTION_TEXT, AT(prompt_text), "TEXT", NULL, 0, 0,
     "put this before each text"},
    {"precision", 0, LK_OPTION_WORD, AT(precision), "P", precisions, 0, 0,
     "of the model's products: f32; bf16, twice as fast where\n"
     "the processor has it; int8, faster again, whose vectors\n"
     "compare with one another only; auto: bf16 if the\n"
     "processor has it (default)"},
    {"dim", 0, LK_OPTION_COUNT, AT(dim), "N", NULL, 1, (double)DIM_MAX,
     "the first N numbers of every vector, brought to length 1\n"
     "again, for models that are trained for it (Matryoshka)"},
    {"output", 'o', LK_OPTION_TEXT, AT(output), "FILE", NULL, 0, 0,
     "vectors as .npy or .jsonl; - is JSON lines on standard\n"
     "output (default)"},
    {"format", 0, LK_OPTION_WORD, AT(format), "FORMAT", lk_format_words, 0, 0,
     "csv, tsv or jsonl for the input, whatever its name\nends in"},
    LK_THREADS_OPTION(AT(n_threads)),
    {"json", 0, LK_OPTION_FLAG, AT(json), NULL, NULL, 0, 0,
     "summary as one JSON object, on standard output unless\n"
     "the vectors go there"},
};

static const char *const operands[] = {"FILE"};

static const lk_syntax syntax = {
    .name = "embed",
    .operands = operands,
    .n_operands_min = 1,
    .n_operands_max = 1,
    .options = options,
    .n_options = sizeof(options) / sizeof(*options),
    .summary = "Turns every row of a table into a vector of length 1.",
    .notes =
        "FILE is CSV, TSV or JSON lines of any length; - is standard input,\n"
        "where ids are row numbers unless --id names a column, and are not\n"
        "checked for repeats. Vector i belongs to row i; a row without text\n"
        "gets the vector of the empty text, and one without a picture that\n"
        "can be read gets zeros.\n\n"
        "Examples:\n"
        "  linkctl embed people.csv --on name,city -o vectors.npy\n"
        "  zcat big.csv.gz | linkctl embed - --id key -o vectors.jsonl\n",
};

/* Texts and ids of some rows, end to end; entry i ends where i + 1 begins. */
typedef struct chunk {
    lk_buf texts;
    lk_buf ids; /* JSON values */
    size_t text_ends[CHUNK_ROWS];
    size_t id_ends[CHUNK_ROWS];
    linkd_str views[CHUNK_ROWS];
    size_t n;
} chunk;

typedef struct embed_run {
    lk_cli *cli;
    const embed_values *values;
    lk_name_list on;
    lk_survey survey; /* of a file; n_rows 0 for a pipe */
    linkd_reader *reader;
    size_t *columns; /* that become text */
    size_t n_columns;
    size_t columns_capacity;
    size_t n_seen; /* columns of the reader when `columns` was made */
    size_t id_column;
    lk_engine engine;
    linkd_vision *vision; /* with --image, in place of the engine's encoder */
    linkd_image_problems problems;
    lk_output *output;
    lk_vector_file vectors;
    size_t model_dim;
    float *space; /* [CHUNK_ROWS, model_dim] */
    chunk chunk;
    uint64_t n_empty;
    linkd_encode_stats stats;
    double encode_seconds;
    lk_manifest manifest;
} embed_run;

/* ---- columns ------------------------------------------------------------ */

static int column_add(embed_run *run, size_t column, linkd_error *err)
{
    void *columns = run->columns;
    int rc = lk_grow(&columns, &run->columns_capacity, run->n_columns + 1,
                     sizeof(*run->columns), err);

    if (rc != LINKD_OK)
        return rc;
    run->columns = columns;
    run->columns[run->n_columns++] = column;
    return LINKD_OK;
}

static int columns_named(embed_run *run, linkd_error *err)
{
    int rc = LINKD_OK;

    for (size_t i = 0; i < run->on.n && rc == LINKD_OK; i++) {
        size_t column = linkd_reader_find_column(run->reader, run->on.names[i]);

        if (column != LINKD_COLUMN_NONE)
            rc = column_add(run, column, err);
    }
    return rc;
}

static int columns_all(embed_run *run, linkd_error *err)
{
    size_t n = linkd_reader_n_columns(run->reader);
    int rc = LINKD_OK;

    for (size_t i = 0; i < n && rc == LINKD_OK; i++) {
        if (i != run->id_column)
            rc = column_add(run, i, err);
    }
    if (rc == LINKD_OK && n == 1 && run->n_columns == 0)
        rc = column_add(run, 0, err); /* nothing but ids: then embed these */
    return rc;
}

/* JSON lines may bring new columns at any record. */
static int columns_update(embed_run *run, linkd_error *err)
{
    size_t n = linkd_reader_n_columns(run->reader);
    const char *id = run->values->id;

    if (n == run->n_seen)
        return LINKD_OK;
    run->n_seen = n;
    run->n_columns = 0;
    if (id != NULL)
        run->id_column =
            linkd_reader_find_column(run->reader, (linkd_str){id, strlen(id)});
    return run->on.n > 0 ? columns_named(run, err) : columns_all(run, err);
}

static int fail_column(embed_run *run, linkd_str name, linkd_error *err)
{
    lk_columns_hint(run->cli, run->reader);
    return lk_fail_column(linkd_reader_path(run->reader), name, err);
}

/* Once everything that is going to be seen was seen. */
static int columns_check(embed_run *run, linkd_error *err)
{
    const char *id = run->values->id;

    if (run->n_seen == 0)
        return lk_fail_fieldless(linkd_reader_path(run->reader), err);
    for (size_t i = 0; i < run->on.n; i++) {
        if (linkd_reader_find_column(run->reader, run->on.names[i]) ==
            LINKD_COLUMN_NONE)
            return fail_column(run, run->on.names[i], err);
    }
    if (id != NULL && run->id_column == LINKD_COLUMN_NONE)
        return fail_column(run, (linkd_str){id, strlen(id)}, err);
    return LINKD_OK;
}

/* ---- chunks ------------------------------------------------------------- */

static int id_append(embed_run *run, const linkd_record *record,
                     linkd_error *err)
{
    lk_buf *ids = &run->chunk.ids;
    linkd_cell cell = {.kind = LINKD_CELL_MISSING};
    int rc;

    if (run->values->id == NULL && run->id_column == LINKD_COLUMN_NONE)
        return lk_buf_printf(ids, err, "%" PRIu64, record->row);
    if (run->id_column < record->n_cells)
        cell = record->cells[run->id_column];
    if (run->values->id != NULL) {
        rc = lk_id_check(linkd_reader_path(run->reader), record,
                         run->values->id, cell, err);
        if (rc != LINKD_OK)
            return rc;
    }
    if (cell.kind == LINKD_CELL_LITERAL)
        return lk_buf_append(ids, cell.bytes, cell.len, err);
    return lk_json_append(ids, (linkd_str){cell.bytes, cell.len}, err);
}

static int record_add(embed_run *run, const linkd_record *record,
                      linkd_error *err)
{
    chunk *c = &run->chunk;
    size_t before = c->texts.len;
    int rc = columns_update(run, err);

    if (rc == LINKD_OK)
        rc = linkd_record_text(record->cells, record->n_cells, run->columns,
                               run->n_columns, &c->texts, err);
    if (rc == LINKD_OK)
        rc = id_append(run, record, err);
    if (rc != LINKD_OK)
        return rc;
    run->n_empty += c->texts.len == before;
    c->text_ends[c->n] = c->texts.len;
    c->id_ends[c->n] = c->ids.len;
    c->n++;
    return LINKD_OK;
}

/* Fills the chunk; it stays empty at the end of the file. */
static int chunk_read(embed_run *run, linkd_error *err)
{
    chunk *c = &run->chunk;
    linkd_record record;
    bool more = true;
    int rc = LINKD_OK;

    lk_buf_reset(&c->texts);
    lk_buf_reset(&c->ids);
    c->n = 0;
    while (rc == LINKD_OK && c->n < CHUNK_ROWS && c->texts.len < CHUNK_BYTES) {
        rc = linkd_reader_next(run->reader, &record, &more, err);
        if (rc != LINKD_OK || !more)
            break;
        rc = record_add(run, &record, err);
    }
    return rc;
}

static int chunk_encode(embed_run *run, linkd_error *err)
{
    chunk *c = &run->chunk;
    uint64_t start = lk_clock_ns();
    size_t from = 0;
    int rc;

    for (size_t i = 0; i < c->n; i++) {
        c->views[i].bytes = c->texts.len > 0 ? c->texts.data + from : "";
        c->views[i].len = c->text_ends[i] - from;
        from = c->text_ends[i];
    }
    if (run->vision != NULL) {
        linkd_image_options image = LINKD_IMAGE_OPTIONS_INIT;

        image.orient = run->values->looks.upright;
        rc = linkd_embed_images(run->vision, run->engine.pool,
                                linkd_reader_path(run->reader), c->views, c->n,
                                run->vectors.n_rows, &image, run->space,
                                &run->problems, err);
        run->encode_seconds += lk_clock_seconds_since(start);
        return rc;
    }
    rc = linkd_encoder_encode(run->engine.encoder, run->engine.pool, c->views,
                              c->n, run->space, &run->stats, err);
    run->encode_seconds += lk_clock_seconds_since(start);
    return rc;
}

/* Brings the first `dim` numbers to length 1; all zero they stay so. */
static void shorten(float *vector, size_t dim)
{
    double squares = 0.0;

    for (size_t i = 0; i < dim; i++)
        squares += (double)vector[i] * (double)vector[i];
    for (size_t i = 0; i < dim && squares > 0.0; i++)
        vector[i] = (float)((double)vector[i] / sqrt(squares));
}

static int chunk_write(embed_run *run, linkd_error *err)
{
    chunk *c = &run->chunk;
    size_t from = 0;
    int rc = LINKD_OK;

    for (size_t i = 0; i < c->n && rc == LINKD_OK; i++) {
        linkd_str id = {c->ids.data + from, c->id_ends[i] - from};

        float *vector = run->space + i * run->model_dim;

        from = c->id_ends[i];
        if (run->vectors.dim < run->model_dim)
            shorten(vector, run->vectors.dim);
        rc = lk_vector_file_add(&run->vectors, id, vector, err);
    }
    return rc;
}

static int chunks_run(embed_run *run, linkd_error *err)
{
    int rc = LINKD_OK;

    do {
        rc = chunk_read(run, err);
        if (rc == LINKD_OK && run->chunk.n > 0)
            rc = chunk_encode(run, err);
        if (rc == LINKD_OK)
            rc = chunk_write(run, err);
        if (rc == LINKD_OK)
            rc = lk_progress_report(&run->cli->progress, "embed",
                                    run->vectors.n_rows, run->survey.n_rows,
                                    err);
    } while (rc == LINKD_OK && run->chunk.n > 0);
    return rc;
}

/* ---- the steps ---------------------------------------------------------- */

static int choices_check(const embed_run *run, linkd_error *err)
{
    const embed_values *v = run->values;

    if (v->prompt != NULL && v->prompt_text != NULL)
        return lk_fail(err, LINKD_E_ARG, "--prompt excludes --prompt-text");
    if (v->looks.image != NULL && (v->prompt != NULL || v->prompt_text != NULL))
        return lk_fail(err, LINKD_E_ARG, "--image excludes prompts");
    if (v->looks.image == NULL && lk_model_is_none(v->model))
        return lk_fail(err, LINKD_E_ARG, "vectors need a model");
    if (v->looks.image == NULL)
        return lk_looks_need_image(&v->looks, err);
    if (v->on != NULL)
        return lk_fail(err, LINKD_E_ARG, "--image excludes --on");
    if (!lk_args_given(&syntax, &run->cli->args, "model"))
        return lk_fail(err, LINKD_E_ARG,
                       "--image needs an image model: "
                       "--model NAME");
    if (strchr(v->looks.image, ',') != NULL)
        return lk_fail(err, LINKD_E_ARG, "--image takes one column");
    return LINKD_OK;
}

static int output_open(embed_run *run, linkd_error *err)
{
    int rc =
        lk_vector_format_find(run->values->output, &run->vectors.format, err);

    if (rc == LINKD_OK)
        rc = choices_check(run, err);
    if (rc == LINKD_OK && run->values->looks.image != NULL)
        rc = lk_name_list_split("image", run->values->looks.image, &run->on,
                                err);
    else if (rc == LINKD_OK && run->values->on != NULL)
        rc = lk_name_list_split("on", run->values->on, &run->on, err);
    if (rc == LINKD_OK)
        rc = lk_result_open(run->values->output, run->cli->args.operands, 1,
                            &run->output, &run->manifest, err);
    run->vectors.output = run->output;
    if (rc == LINKD_OK)
        rc = lk_vector_file_begin(&run->vectors, err);
    return rc;
}

static int input_survey(embed_run *run, linkd_error *err)
{
    const char *path = run->cli->args.operands[0];
    const embed_values *v = run->values;
    int rc = lk_survey_input(run->cli, path, (linkd_format)v->format, v->id,
                             &run->survey, err);

    if (rc == LINKD_OK && linkd_id_trial_is_flawed(&run->survey.id_trial))
        lk_ids_flaw_warn(run->cli, path, &run->survey.id_trial);
    return rc;
}

static int input_open(embed_run *run, linkd_error *err)
{
    int rc =
        linkd_reader_open(run->cli->args.operands[0],
                          (linkd_format)run->values->format, &run->reader, err);

    if (rc != LINKD_OK)
        return rc;
    run->id_column = run->survey.id_column;
    rc = columns_update(run, err);
    /* JSON lines have no columns yet; theirs are checked at the end */
    if (rc == LINKD_OK && run->n_seen > 0)
        rc = columns_check(run, err);
    return rc;
}

static int vision_open(embed_run *run, const char *precision, linkd_error *err)
{
    const lk_vision_choice choice = {run->values->model, precision,
                                     run->values->looks.merge_tokens};
    int rc = lk_engine_open_as(run->cli, "none", NULL, run->values->n_threads,
                               &run->engine, err);

    if (rc == LINKD_OK)
        rc = lk_vision_open(run->cli, &choice, run->engine.pool, &run->vision,
                            err);
    if (rc == LINKD_OK)
        run->model_dim = linkd_vision_describe(run->vision)->dim;
    return rc;
}

/* The prompt that is asked for, if one is. */
static int prompt_set(embed_run *run, linkd_error *err)
{
    linkd_encoder *encoder = run->engine.encoder;
    const embed_values *v = run->values;
    const char *prompt = v->prompt_text;

    if (v->prompt != NULL) {
        prompt = linkd_encoder_find_prompt(encoder, v->prompt);
        if (prompt == NULL && strcmp(v->prompt, "none") == 0)
            prompt = "";
        if (prompt == NULL)
            return lk_fail(err, LINKD_E_ARG,
                           "model %s has no prompt \"%s\" in its "
                           "config_sentence_transformers.json",
                           v->model, v->prompt);
    }
    return prompt != NULL ? linkd_encoder_set_prompt(encoder, prompt, err)
                          : LINKD_OK;
}

static int engine_open(embed_run *run, linkd_error *err)
{
    const char *precision = lk_args_given(&syntax, &run->cli->args, "precision")
                                ? precisions[run->values->precision]
                                : NULL;
    int rc;

    if (run->values->looks.image != NULL)
        rc = vision_open(run, precision, err);
    else
        rc = lk_engine_open_as(run->cli, run->values->model, precision,
                               run->values->n_threads, &run->engine, err);
    if (rc == LINKD_OK && run->vision == NULL)
        rc = prompt_set(run, err);
    if (rc != LINKD_OK)
        return rc;
    if (run->vision == NULL)
        run->model_dim = linkd_encoder_describe(run->engine.encoder)->dim;
    run->vectors.dim = run->values->dim > 0 ? run->values->dim : run->model_dim;
    if (run->vectors.dim > run->model_dim)
        return lk_fail(err, LINKD_E_ARG,
                       "--dim %zu is more than the %zu of the model",
                       run->vectors.dim, run->model_dim);
    run->space =
        lk_alloc_aligned(CHUNK_ROWS * run->model_dim, sizeof(*run->space));
    return run->space != NULL ? LINKD_OK : lk_fail_nomem(err);
}

static int rows_embed(embed_run *run, linkd_error *err)
{
    int rc = chunks_run(run, err);

    if (rc == LINKD_OK)
        rc = columns_check(run, err);
    if (rc == LINKD_OK)
        rc = lk_vector_file_end(&run->vectors, err);
    if (rc == LINKD_OK)
        lk_meter_finish(&run->cli->meter);
    return rc;
}

/* ---- the summary -------------------------------------------------------- */

static void image_manifest(embed_run *run)
{
    lk_vision_manifest(run->vision, run->values->model, &run->manifest);
    lk_manifest_count(&run->manifest, "rows_without_image", run->n_empty);
    lk_manifest_count(&run->manifest, "unreadable_images", run->problems.n);
    lk_manifest_seconds(&run->manifest, "encode", run->encode_seconds);
}

static void manifest_fill(embed_run *run)
{
    lk_manifest *m = &run->manifest;
    linkd_str id = {NULL, 0};

    if (run->id_column != LINKD_COLUMN_NONE)
        id = linkd_reader_column(run->reader, run->id_column);
    lk_manifest_input(m, run->cli->args.operands[0], run->vectors.n_rows,
                      id.bytes != NULL ? &id : NULL);
    for (size_t i = 0; i < run->n_columns; i++)
        lk_manifest_column(m,
                           linkd_reader_column(run->reader, run->columns[i]));
    lk_manifest_count(m, "rows", run->vectors.n_rows);
    if (run->vision != NULL) {
        image_manifest(run);
    } else {
        lk_manifest_engine(m, run->values->model, &run->engine);
        lk_manifest_count(m, "rows_without_text", run->n_empty);
        lk_manifest_encode(m, &run->stats, run->encode_seconds);
    }
}

static void summary_print(const embed_run *run)
{
    (void)fprintf(stderr, "%s: vectors of %zu numbers\n",
                  lk_counted(run->vectors.n_rows, "row", "rows").text,
                  run->vectors.dim);
    if (run->vision != NULL)
        lk_images_note(run->n_empty, &run->problems);
    else
        lk_texts_note(run->n_empty, run->stats.n_truncated);
    lk_encode_note(run->encode_seconds, run->vectors.n_rows);
    (void)fputc('\n', stderr);
}

static int summary(embed_run *run, linkd_error *err)
{
    if (run->values->json)
        return lk_manifest_print(&run->manifest, &run->values->output, 1, err);
    if (!run->cli->args.quiet)
        summary_print(run);
    return LINKD_OK;
}

static void embed_free(embed_run *run)
{
    lk_engine_close(&run->engine);
    linkd_vision_close(run->vision);
    lk_buf_clear(&run->problems.lines);
    lk_vector_file_clear(&run->vectors);
    lk_output_close(run->output);
    linkd_reader_close(run->reader);
    lk_name_list_clear(&run->on);
    lk_buf_clear(&run->chunk.texts);
    lk_buf_clear(&run->chunk.ids);
    lk_manifest_clear(&run->manifest);
    free(run->columns);
    free(run->space);
    free(run);
}

static int embed_run_all(lk_cli *cli, const void *values, linkd_error *err)
{
    embed_run *run = calloc(1, sizeof(*run));
    int rc;

    if (run == NULL)
        return lk_fail_nomem(err);
    run->cli = cli;
    run->values = values;
    lk_manifest_init(&run->manifest, &syntax, values);
    rc = output_open(run, err);
    if (rc == LINKD_OK)
        rc = lk_model_check(cli, run->values->model, err);
    if (rc == LINKD_OK)
        rc = input_survey(run, err);
    if (rc == LINKD_OK)
        rc = input_open(run, err);
    if (rc == LINKD_OK)
        rc = engine_open(run, err);
    if (rc == LINKD_OK)
        rc = rows_embed(run, err);
    if (rc == LINKD_OK) {
        manifest_fill(run);
        rc = lk_manifest_commit(&run->manifest, &run->output, 1, err);
    }
    if (rc == LINKD_OK)
        rc = summary(run, err);
    embed_free(run);
    return rc;
}

const lk_command lk_cmd_embed = {
    .syntax = &syntax,
    .defaults = &defaults,
    .values_size = sizeof(embed_values),
    .run = embed_run_all,
};
