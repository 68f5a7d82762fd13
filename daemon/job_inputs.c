/* daemon/job_inputs.c — the tables of a job, kept as of submission.
 *
 * A file is linked into the job's directory, so that nobody waits for a copy
 * and the upload may go. A collection is written out in one view: what is put
 * into it from then on is not the job's business. Columns are looked for here,
 * since whoever submits is there to be told. */
#include "daemon/job_inputs.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "daemon/bridges.h"
#include "daemon/job_scales.h"
#include "daemon/models.h"
#include "daemon/vector_sources.h"

static const char *const side_names[] = {"left", "right"};
static const char *const endings[] = {"jsonl", "csv", "tsv"};

static int file_fail(const char *verb, linkd_error *err)
{
    int code = lk_errno_code(errno);

    return lk_fail(err, code, "could not %s a job's input: %s", verb,
                   strerror(errno));
}

static int side_path(const char *dir, size_t side, const char *ending,
                     lk_buf *ret_path, linkd_error *err)
{
    lk_buf_reset(ret_path);
    return lk_buf_printf(ret_path, err, "%s/%s.%s", dir, side_names[side],
                         ending);
}

/* ---- a collection as a table --------------------------------------------- */

typedef struct export_state {
    linkd_view *view;
    FILE *file;
    lk_known_writer *known;
    linkd_settings settings;
    bool has_model;
    bool has_vectors; /* the job uses them */
    bool needs_fields;
    bool has_fields;          /* some record has one */
    linkd_bridges *bridges;   /* NULL: all vectors are of one model */
    uint32_t generation;      /* that the job compares in */
    bool by_score;            /* scores alone decide */
    lk_known_writer *origins; /* so that they need a scale; else NULL */
    linkd_generation generations[LINKD_GENERATIONS_MAX];
    size_t n_generations;
    float mapped[LINKD_DIM_MAX];
    size_t side;
    size_t n_records;
    const linkd_str *wanted; /* fields that some record has to have */
    bool *found;             /* [n_wanted] */
    size_t n_wanted;
    const linkd_str *kept; /* fields that are written, in this order; NULL: all
                            */
    size_t n_kept;
    lk_buf line;
    lk_buf text;
} export_state;

/* A picture is named by its hash: its bytes would make the table as large as the
 * collection, and its vector is known. */
static int picture_stand_in(lk_buf *text, linkd_error *err)
{
    linkd_str content = {text->data != NULL ? text->data : "", text->len};
    linkd_content c = linkd_content_split(content);
    XXH128_hash_t hash;

    if (c.picture.len == 0)
        return LINKD_OK;
    hash = XXH3_128bits(c.picture.bytes, c.picture.len);
    text->len = c.text.len;
    return lk_buf_printf(text, err, "%spicture:%016" PRIx64 "%016" PRIx64,
                         c.text.len > 0 ? " " : "", (uint64_t)hash.high64,
                         (uint64_t)hash.low64);
}

/* A record's text: what was encoded, or what stands for it. */
static int text_make(export_state *e, const linkd_stored *record,
                     linkd_error *err)
{
    int rc;

    lk_buf_reset(&e->text);
    if (e->has_model) {
        rc = linkd_settings_text(&e->settings, record->fields, record->n_fields,
                                 &e->text, err);
        return rc == LINKD_OK ? picture_stand_in(&e->text, err) : rc;
    }
    return lk_buf_printf(&e->text, err, "%s:%.*s", side_names[e->side],
                         (int)record->id.len, record->id.bytes);
}

static bool name_is(linkd_str name, const char *reserved)
{
    return name.len == strlen(reserved) &&
           memcmp(name.bytes, reserved, name.len) == 0;
}

static int member_print(lk_buf *line, linkd_str name, linkd_str value,
                        linkd_field_kind kind, linkd_error *err)
{
    int rc = lk_buf_append(line, line->len == 0 ? "{" : ",", 1, err);

    if (rc == LINKD_OK)
        rc = lk_json_put_string(line, name, err);
    if (rc == LINKD_OK)
        rc = lk_buf_append(line, ":", 1, err);
    if (rc != LINKD_OK)
        return rc;
    if (kind == LINKD_FIELD_TEXT)
        return lk_json_put_string(line, value, err);
    return lk_buf_append(line, value.bytes, value.len, err);
}

/* Pictures are compared by vectors, and not as fields. */
static bool is_picture(const export_state *e, linkd_str name)
{
    return e->settings.image.len > 0 && lk_str_equal(e->settings.image, name);
}

static int field_print(export_state *e, const linkd_field *field,
                       linkd_error *err)
{
    if (name_is(field->name, LK_JOB_ID_COLUMN) ||
        name_is(field->name, LK_JOB_TEXT_COLUMN) || is_picture(e, field->name))
        return LINKD_OK;
    return member_print(&e->line, field->name, field->value, field->kind, err);
}

/* A field that a record lacks is null, so that columns have the order of the
 * names. */
static int kept_print(export_state *e, const linkd_stored *record,
                      linkd_str name, linkd_error *err)
{
    linkd_field absent = {name, {"null", 4}, LINKD_FIELD_LITERAL};

    for (size_t i = 0; i < record->n_fields; i++)
        if (lk_str_equal(record->fields[i].name, name))
            return field_print(e, &record->fields[i], err);
    return field_print(e, &absent, err);
}

static int fields_print(export_state *e, const linkd_stored *record,
                        linkd_error *err)
{
    int rc = LINKD_OK;

    for (size_t i = 0; i < e->n_kept && rc == LINKD_OK; i++)
        rc = kept_print(e, record, e->kept[i], err);
    for (size_t i = 0; e->kept == NULL && i < record->n_fields; i++)
        if (rc == LINKD_OK)
            rc = field_print(e, &record->fields[i], err);
    return rc;
}

static int line_print(export_state *e, const linkd_stored *record,
                      linkd_error *err)
{
    static const linkd_str id_name = {LK_JOB_ID_COLUMN,
                                      sizeof(LK_JOB_ID_COLUMN) - 1};
    static const linkd_str text_name = {LK_JOB_TEXT_COLUMN,
                                        sizeof(LK_JOB_TEXT_COLUMN) - 1};
    linkd_str text = {e->text.data != NULL ? e->text.data : "", e->text.len};
    int rc;

    lk_buf_reset(&e->line);
    rc = member_print(&e->line, id_name, record->id, LINKD_FIELD_TEXT, err);
    if (rc == LINKD_OK && e->has_vectors)
        rc = member_print(&e->line, text_name, text, LINKD_FIELD_TEXT, err);
    if (rc == LINKD_OK)
        rc = fields_print(e, record, err);
    return rc == LINKD_OK ? lk_buf_append(&e->line, "}\n", 2, err) : rc;
}

static void wanted_note(export_state *e, const linkd_stored *record)
{
    for (size_t f = 0; f < record->n_fields && !e->has_fields; f++)
        e->has_fields = !is_picture(e, record->fields[f].name);
    for (size_t i = 0; i < e->n_wanted; i++)
        for (size_t f = 0; f < record->n_fields && !e->found[i]; f++)
            e->found[i] = lk_str_equal(e->wanted[i], record->fields[f].name);
}

static int wanted_check(const export_state *e, linkd_str collection,
                        linkd_error *err)
{
    if (e->n_records == 0)
        return lk_fail(err, LINKD_E_ARG, "collection \"%s\" has no records",
                       lk_label_of(collection).text);
    if (e->needs_fields && !e->has_fields)
        return lk_fail(err, LINKD_E_ARG,
                       "the records of collection \"%s\" have no fields: only "
                       "\"min_score\" compares vectors alone",
                       lk_label_of(collection).text);
    for (size_t i = 0; i < e->n_wanted; i++)
        if (!e->found[i])
            return lk_fail(err, LINKD_E_ARG,
                           "no record of collection \"%s\" has a field \"%s\"",
                           lk_label_of(collection).text,
                           lk_label_of(e->wanted[i]).text);
    return LINKD_OK;
}

/* The record's vector as one of the generation that serves: jobs compare in one
 * space. NULL: it has none. */
static int vector_find(export_state *e, uint64_t number,
                       const float **ret_vector, uint32_t *ret_generation,
                       linkd_error *err)
{
    uint32_t generation = 0;
    int rc;

    if (e->bridges == NULL)
        return linkd_view_vector(e->view, number, ret_vector, err);
    *ret_vector = NULL;
    rc = linkd_view_locate(e->view, number, &generation, err);
    if (rc != LINKD_OK || generation == 0)
        return rc;
    *ret_generation = generation;
    rc = linkd_view_turn_to(e->view, generation, err);
    if (rc == LINKD_OK)
        rc = linkd_view_vector(e->view, number, ret_vector, err);
    if (rc != LINKD_OK || generation == e->generation)
        return rc;
    rc = linkd_bridges_map(e->bridges, generation, e->generation, *ret_vector,
                           e->mapped, err);
    *ret_vector = e->mapped;
    return rc;
}

/* Which model's the text's vector is. */
static int origin_write(const export_state *e, uint32_t generation,
                        linkd_error *err)
{
    float mark = 0.0F;

    for (size_t i = 0; i < e->n_generations; i++)
        if (e->generations[i].number == generation)
            mark = (float)linkd_model_mark(e->generations[i].fingerprint);
    return lk_known_writer_add(
        e->origins, (linkd_str){e->text.data, e->text.len}, &mark, err);
}

static int record_export(export_state *e, uint64_t number, lk_arena *arena,
                         linkd_error *err)
{
    const float *vector = NULL;
    uint32_t generation = 0;
    linkd_stored record;
    int rc = linkd_view_read(e->view, number, arena, &record, err);

    if (rc != LINKD_OK)
        return rc;
    e->n_records++;
    wanted_note(e, &record);
    if (e->has_vectors)
        rc = text_make(e, &record, err);
    if (rc == LINKD_OK)
        rc = line_print(e, &record, err);
    if (rc == LINKD_OK &&
        fwrite(e->line.data, 1, e->line.len, e->file) != e->line.len)
        rc = file_fail("write", err);
    if (rc == LINKD_OK && e->has_vectors)
        rc = vector_find(e, number, &vector, &generation, err);
    if (rc == LINKD_OK && vector != NULL && e->text.len > 0)
        rc = lk_known_writer_add(
            e->known, (linkd_str){e->text.data, e->text.len}, vector, err);
    if (rc == LINKD_OK && vector != NULL && e->text.len > 0 &&
        e->origins != NULL)
        rc = origin_write(e, generation, err);
    return rc;
}

static int records_export(export_state *e, linkd_error *err)
{
    lk_arena arena = {0};
    uint64_t number = 0;
    bool found = true;
    int rc = LINKD_OK;

    while (rc == LINKD_OK) {
        rc = linkd_view_next(e->view, number, &number, &found, err);
        if (rc != LINKD_OK || !found)
            break;
        rc = record_export(e, number++, &arena, err);
        lk_arena_clear(&arena);
    }
    if (rc == LINKD_OK && (fflush(e->file) != 0 || fsync(fileno(e->file)) != 0))
        rc = file_fail("write", err);
    return rc;
}

static int export_open(export_state *e, size_t dim, const char *dir,
                       linkd_error *err)
{
    lk_buf path = {0};
    int rc = LINKD_OK;

    if (e->has_vectors)
        rc = side_path(dir, e->side, "known", &path, err);
    if (rc == LINKD_OK && e->has_vectors)
        rc = lk_known_writer_open(path.data, dim, &e->known, err);
    if (rc == LINKD_OK)
        rc = side_path(dir, e->side, "jsonl", &path, err);
    if (rc == LINKD_OK) {
        e->file = fopen(path.data, "we");
        if (e->file == NULL)
            rc = file_fail("write", err);
    }
    lk_buf_clear(&path);
    return rc;
}

/* After the bridges: scores of a changed collection alone need scales. */
static int scales_open(export_state *e, const char *dir, linkd_error *err)
{
    lk_buf path = {0};
    int rc = side_path(dir, e->side, "scales", &path, err);

    e->n_generations = linkd_view_generations(e->view, e->generations);
    if (rc == LINKD_OK)
        rc = lk_job_scales_save(path.data, e->bridges, e->view, e->generation,
                                err);
    if (rc == LINKD_OK)
        rc = side_path(dir, e->side, "origins", &path, err);
    if (rc == LINKD_OK)
        rc = lk_known_writer_open(path.data, 1, &e->origins, err);
    lk_buf_clear(&path);
    return rc;
}

/* NULL: none. `rc`: what became of all before. */
static int writer_close(lk_known_writer *writer, int rc, linkd_error *err)
{
    int rc_close = LINKD_OK;

    if (writer != NULL)
        rc_close = lk_known_writer_close(writer, rc == LINKD_OK,
                                         rc == LINKD_OK ? err : NULL);
    return rc == LINKD_OK ? rc_close : rc;
}

static int collection_save(lk_service *service, const lk_job_side *side,
                           export_state *e, const linkd_collection_info *info,
                           const char *dir, linkd_error *err)
{
    int rc = linkd_view_open(service->store, side->collection, &e->view, err);

    e->generation = info->generation;
    if (rc == LINKD_OK)
        rc = linkd_view_turn_to(e->view, e->generation, err);
    if (rc == LINKD_OK)
        rc = linkd_bridges_open(e->view, &e->bridges, err);
    if (rc == LINKD_OK && e->bridges != NULL && e->has_vectors && e->by_score)
        rc = scales_open(e, dir, err);
    if (rc == LINKD_OK)
        rc = export_open(e, info->options.dim, dir, err);
    if (rc == LINKD_OK)
        rc = records_export(e, err);
    if (rc == LINKD_OK)
        rc = wanted_check(e, side->collection, err);
    rc = writer_close(e->known, rc, err);
    rc = writer_close(e->origins, rc, err);
    if (e->file != NULL)
        (void)fclose(e->file);
    linkd_bridges_close(e->bridges);
    linkd_view_close(e->view);
    return lk_damage_name(rc, side->collection, err);
}

/* ---- which vectors ------------------------------------------------------- */

/* The first side decides; a second one has to agree. */
static int vectors_agree(lk_job_vectors *vectors, linkd_str model,
                         linkd_str fingerprint, size_t dim, linkd_error *err)
{
    if (vectors->dim == 0)
        *vectors = (lk_job_vectors){model, fingerprint, dim};
    if (vectors->dim != dim || !lk_str_equal(vectors->fingerprint, fingerprint))
        return lk_fail(err, LINKD_E_ARG,
                       "the vectors of the two sides are not of one model");
    return LINKD_OK;
}

/* Of a file: by the model that was asked for, else by the other side's, else by
 * the default one. */
static int file_vectors(lk_service *service, const lk_job_spec *spec,
                        lk_arena *arena, lk_job_vectors *vectors,
                        linkd_error *err)
{
    linkd_str name = spec->model;
    const linkd_encoder_info *info;
    lk_model *model;
    char *copy;
    int rc;

    if (name.len == 0 && vectors->dim > 0)
        name = vectors->model;
    else if (name.len == 0)
        name =
            (linkd_str){service->config->model, strlen(service->config->model)};
    if (name.len == 0)
        return lk_fail(err, LINKD_E_ARG,
                       "a file cannot be linked with ready-made vectors");
    rc = lk_models_get(service->models, name, &model, err);
    if (rc != LINKD_OK)
        return rc;
    info = lk_model_describe(model);
    copy = lk_arena_copy(arena, info->fingerprint, strlen(info->fingerprint));
    if (copy == NULL)
        return lk_fail_nomem(err);
    return vectors_agree(vectors, name, (linkd_str){copy, strlen(copy)},
                         info->dim, err);
}

/* ---- saving -------------------------------------------------------------- */

#define UPLOAD_DIGITS ((size_t)16)

/* Uploads are named by hex digits and an ending: nothing else is a path. NULL:
 * it is no such name. */
static const char *upload_ending(linkd_str name)
{
    if (name.len <= UPLOAD_DIGITS ||
        strspn(name.bytes, "0123456789abcdef") != UPLOAD_DIGITS ||
        name.bytes[UPLOAD_DIGITS] != '.')
        return NULL;
    for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++)
        if (strcmp(name.bytes + UPLOAD_DIGITS + 1, endings[i]) == 0)
            return endings[i];
    return NULL;
}

/* Messages of tables begin with the path, of which clients know the end. */
static void path_forget(const char *dir, linkd_error *err)
{
    size_t len = strlen(dir);

    if (err == NULL || strncmp(err->message, dir, len) != 0 ||
        err->message[len] != '/')
        return;
    memmove(err->message, err->message + len + 1,
            strlen(err->message + len + 1) + 1);
}

/* That a table has the columns that it is to be compared by. Columns of JSON
 * lines are found on the way, so those are not looked for. */
static int header_check(const char *dir, const char *path,
                        const linkd_str *wanted, size_t n_wanted,
                        linkd_error *err)
{
    linkd_reader *reader = NULL;
    int rc = linkd_reader_open(path, LINKD_FORMAT_AUTO, &reader, err);

    for (size_t i = 0; i < n_wanted && rc == LINKD_OK; i++)
        if (linkd_reader_find_column(reader, wanted[i]) == LINKD_COLUMN_NONE)
            rc = lk_fail(err, LINKD_E_ARG, "the file has no column \"%s\"",
                         lk_label_of(wanted[i]).text);
    linkd_reader_close(reader);
    if (rc != LINKD_OK)
        path_forget(dir, err);
    /* what a client uploaded is no damage of ours */
    if (rc == LINKD_E_DATA && err != NULL)
        err->code = LINKD_E_ARG;
    return rc == LINKD_E_DATA ? LINKD_E_ARG : rc;
}

static int absent_fail(const lk_job_side *side, linkd_error *err)
{
    return lk_fail(err, LINKD_E_ABSENT, "there is no uploaded file \"%s\"",
                   lk_label_of(side->file).text);
}

static int file_save(lk_service *service, const lk_job_side *side,
                     size_t number, const char *dir, const linkd_str *wanted,
                     size_t n_wanted, linkd_error *err)
{
    const char *ending = upload_ending(side->file);
    lk_buf from = {0};
    lk_buf to = {0};
    int rc;

    if (ending == NULL)
        return absent_fail(side, err);
    rc = lk_buf_printf(&from, err, "%s/%s", service->upload_dir,
                       side->file.bytes);
    if (rc == LINKD_OK)
        rc = side_path(dir, number, ending, &to, err);
    if (rc == LINKD_OK && link(from.data, to.data) != 0)
        rc = errno == ENOENT ? absent_fail(side, err) : file_fail("link", err);
    if (rc == LINKD_OK && strcmp(ending, "jsonl") != 0)
        rc = header_check(dir, to.data, wanted, n_wanted, err);
    lk_buf_clear(&from);
    lk_buf_clear(&to);
    return rc;
}

/* The collection's model has to be the one that its vectors are of. */
static int collection_vectors(lk_service *service, const lk_job_spec *spec,
                              const lk_job_side *side,
                              const linkd_collection_options *options,
                              lk_job_vectors *vectors, linkd_error *err)
{
    lk_model *model;
    int rc = vectors_agree(vectors, options->model, options->fingerprint,
                           options->dim, err);

    if (rc == LINKD_OK && options->model.len == 0 && side->on != NULL &&
        !isnan(spec->min_score))
        rc = lk_fail(err, LINKD_E_ARG,
                     "\"on\": the vectors of collection \"%s\" came ready-made",
                     lk_label_of(side->collection).text);
    if (rc != LINKD_OK || options->model.len == 0)
        return rc;
    rc = lk_models_get(service->models, options->model, &model, err);
    return rc == LINKD_OK
               ? lk_fingerprint_check(options->fingerprint,
                                      lk_model_describe(model)->fingerprint,
                                      options->model, side->collection, err)
               : rc;
}

/* Which fields are written, see job_inputs.h. */
static int kept_choose(export_state *e, const lk_job_spec *spec,
                       const lk_job_side *side, lk_arena *arena,
                       linkd_error *err)
{
    const linkd_str *names = side->on != NULL ? side->on : e->settings.text;
    size_t n = side->on != NULL ? side->n_on : e->settings.n_text;
    bool has_block = spec->block.len == 0;
    linkd_str *kept;

    if (n == 0)
        return LINKD_OK;
    kept = lk_arena_alloc(arena, (n + 1) * sizeof(*kept));
    if (kept == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < n; i++) {
        kept[i] = names[i];
        has_block = has_block || lk_str_equal(names[i], spec->block);
    }
    if (!has_block)
        kept[n++] = spec->block;
    e->kept = kept;
    e->n_kept = n;
    return LINKD_OK;
}

static int on_check(const export_state *e, const lk_job_side *side,
                    linkd_error *err)
{
    for (size_t i = 0; i < side->n_on && side->on != NULL; i++)
        if (is_picture(e, side->on[i]))
            return lk_fail(err, LINKD_E_ARG,
                           "\"on\": field \"%s\" is a picture, which is "
                           "compared without being named",
                           lk_label_of(side->on[i]).text);
    return LINKD_OK;
}

static int collection_export(lk_service *service, const lk_job_spec *spec,
                             export_state *e, const char *dir, lk_arena *arena,
                             lk_job_vectors *vectors, linkd_error *err)
{
    const lk_job_side *side = &spec->sides[e->side];
    linkd_collection_info info;
    int rc = linkd_store_describe(service->store, side->collection, arena,
                                  &info, err);

    if (rc == LINKD_OK)
        rc = linkd_settings_parse(info.options.settings, arena, &e->settings,
                                  err);
    if (rc == LINKD_OK)
        rc = on_check(e, side, err);
    if (rc == LINKD_OK)
        rc = kept_choose(e, spec, side, arena, err);
    e->has_vectors = !spec->without_model;
    e->by_score = !isnan(spec->min_score);
    e->needs_fields = !e->by_score;
    if (rc == LINKD_OK && e->has_vectors)
        rc = collection_vectors(service, spec, side, &info.options, vectors,
                                err);
    if (rc == LINKD_OK) {
        e->has_model = info.options.model.len > 0;
        rc = collection_save(service, side, e, &info, dir, err);
    }
    lk_buf_clear(&e->line);
    lk_buf_clear(&e->text);
    return rc;
}

static int side_save(lk_service *service, const lk_job_spec *spec,
                     size_t number, const char *dir, lk_arena *arena,
                     lk_job_vectors *vectors, linkd_error *err)
{
    const lk_job_side *side = &spec->sides[number];
    linkd_str *wanted =
        lk_arena_alloc(arena, (side->n_on + 1) * sizeof(*wanted));
    export_state e = {.side = number, .wanted = wanted};

    e.found = lk_arena_alloc(arena, (side->n_on + 1) * sizeof(*e.found));
    if (wanted == NULL || e.found == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < side->n_on; i++)
        wanted[e.n_wanted++] = side->on[i];
    if (spec->block.len > 0)
        wanted[e.n_wanted++] = spec->block;
    memset(e.found, 0, e.n_wanted * sizeof(*e.found));
    if (side->collection.len == 0)
        return file_save(service, side, number, dir, wanted, e.n_wanted, err);
    return collection_export(service, spec, &e, dir, arena, vectors, err);
}

int lk_job_dir_sync(const char *dir, linkd_error *err)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = LINKD_OK;

    if (fd < 0 || fsync(fd) != 0)
        rc = file_fail("sync", err);
    if (fd >= 0)
        (void)close(fd);
    return rc;
}

int lk_job_inputs_save(lk_service *service, const lk_job_spec *spec,
                       const char *dir, lk_arena *arena,
                       lk_job_vectors *ret_vectors, linkd_error *err)
{
    lk_job_vectors vectors = {{"", 0}, {"", 0}, 0};
    int rc = LINKD_OK;

    for (size_t i = 0; i < spec->n_sides && rc == LINKD_OK; i++)
        rc = side_save(service, spec, i, dir, arena, &vectors, err);
    for (size_t i = 0; i < spec->n_sides && rc == LINKD_OK; i++)
        if (spec->sides[i].file.len > 0 && !spec->without_model)
            rc = file_vectors(service, spec, arena, &vectors, err);
    if (rc == LINKD_OK)
        rc = lk_job_dir_sync(dir, err);
    if (rc == LINKD_OK)
        *ret_vectors = vectors;
    return rc;
}

/* ---- reading ------------------------------------------------------------- */

int lk_job_input_read(const char *dir, const lk_job_spec *spec, size_t side,
                      const linkd_progress *progress, linkd_table **ret_table,
                      linkd_error *err)
{
    bool is_collection = spec->sides[side].collection.len > 0;
    lk_buf path = {0};
    int rc = LINKD_OK;

    for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
        rc = side_path(dir, side, endings[i], &path, err);
        if (rc != LINKD_OK || access(path.data, F_OK) == 0)
            break;
    }
    if (rc == LINKD_OK)
        rc = linkd_table_read(path.data, LINKD_FORMAT_AUTO,
                              is_collection ? LK_JOB_ID_COLUMN : NULL, progress,
                              ret_table, err);
    if (rc != LINKD_OK)
        path_forget(dir, err);
    lk_buf_clear(&path);
    return rc;
}

static int optional_path(const char *dir, size_t side, const char *ending,
                         lk_buf *ret_path, linkd_error *err)
{
    int rc = side_path(dir, side, ending, ret_path, err);

    if (rc == LINKD_OK && access(ret_path->data, F_OK) != 0)
        lk_buf_reset(ret_path);
    return rc;
}

int lk_job_input_known(const char *dir, size_t side, lk_buf *ret_path,
                       linkd_error *err)
{
    return optional_path(dir, side, "known", ret_path, err);
}

int lk_job_input_scales(const char *dir, size_t side, lk_buf *ret_path,
                        linkd_error *err)
{
    return optional_path(dir, side, "scales", ret_path, err);
}

int lk_job_input_origins(const char *dir, size_t side, lk_buf *ret_path,
                         linkd_error *err)
{
    return optional_path(dir, side, "origins", ret_path, err);
}
