/* daemon/bodies.c — records from request bodies.
 *
 * JSON values are kept as jansson parsed them, and the puts borrow their
 * strings from there; everything else is copied into the request's arena. The
 * message of a failure names the record by its place in the body, from 0, or
 * the line of NDJSON and the row of CSV, from 1, as editors count. */
#include "daemon/bodies.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "linkage/linkage.h"

static const char *const record_members[] = {"id", "fields", "vector", NULL};

/* ---- one JSON record ----------------------------------------------------- */

static int literal_copy(const json_t *value, lk_arena *arena,
                        linkd_str *ret_text, linkd_error *err)
{
    lk_buf text = {0};
    int rc = lk_json_put_value(&text, value, err);
    char *copy = NULL;

    if (rc == LINKD_OK) {
        copy = lk_arena_copy(arena, text.data, text.len);
        if (copy == NULL)
            rc = lk_fail_nomem(err);
        *ret_text = (linkd_str){copy, text.len};
    }
    lk_buf_clear(&text);
    return rc;
}

static int fields_read(const json_t *object, const char *where, lk_arena *arena,
                       linkd_put *put, linkd_error *err)
{
    json_t *source = (json_t *)(uintptr_t)object; /* only iterated */
    linkd_field *fields;
    size_t n = 0;
    int rc = LINKD_OK;

    if (!json_is_object(object))
        return lk_fail(err, LINKD_E_ARG, "%s: \"fields\" is not an object",
                       where);
    fields =
        lk_arena_alloc(arena, (json_object_size(object) + 1) * sizeof(*fields));
    if (fields == NULL)
        return lk_fail_nomem(err);
    for (void *it = json_object_iter(source); it != NULL && rc == LINKD_OK;
         it = json_object_iter_next(source, it)) {
        const json_t *value = json_object_iter_value(it);
        const char *name = json_object_iter_key(it);
        linkd_field *field = &fields[n];

        if (json_is_null(value))
            continue;
        n++;
        field->name = (linkd_str){name, strlen(name)};
        field->kind =
            json_is_string(value) ? LINKD_FIELD_TEXT : LINKD_FIELD_LITERAL;
        if (json_is_string(value))
            field->value = (linkd_str){json_string_value(value),
                                       json_string_length(value)};
        else
            rc = literal_copy(value, arena, &field->value, err);
    }
    put->fields = fields;
    put->n_fields = n;
    return rc;
}

/* An id may be given as an integer: it is kept as its digits. */
static int id_read(const json_t *object, const char *where, lk_arena *arena,
                   linkd_str *ret_id, linkd_error *err)
{
    const json_t *id = json_object_get(object, "id");

    if (json_is_integer(id))
        return literal_copy(id, arena, ret_id, err);
    if (!json_is_string(id) || json_string_length(id) == 0)
        return lk_fail(err, LINKD_E_ARG, "%s has no \"id\"", where);
    *ret_id = (linkd_str){json_string_value(id), json_string_length(id)};
    return LINKD_OK;
}

static int vector_read(const json_t *value, const char *where,
                       const lk_records_form *form, lk_arena *arena,
                       linkd_put *put, linkd_error *err)
{
    char name[96];

    if (value == NULL || json_is_null(value))
        return LINKD_OK;
    if (!form->takes_vectors)
        return lk_fail(err, LINKD_E_ARG,
                       "%s has a vector, but the collection has a model that "
                       "makes them",
                       where);
    (void)snprintf(name, sizeof(name), "%s: the vector", where);
    put->dim = form->dim;
    return lk_json_get_vector(value, form->dim, name, arena, &put->vector, err);
}

int lk_record_read(const json_t *object, const char *where,
                   const lk_records_form *form, lk_arena *arena,
                   linkd_put *ret_put, linkd_error *err)
{
    linkd_put put = {0};
    const json_t *fields;
    int rc;

    if (!json_is_object(object))
        return lk_fail(err, LINKD_E_ARG, "%s is not an object", where);
    rc = id_read(object, where, arena, &put.id, err);
    fields = json_object_get(object, "fields");
    if (rc == LINKD_OK && fields != NULL && !json_is_null(fields))
        rc = fields_read(fields, where, arena, &put, err);
    if (rc == LINKD_OK)
        rc = vector_read(json_object_get(object, "vector"), where, form, arena,
                         &put, err);
    if (rc == LINKD_OK)
        *ret_put = put;
    return rc;
}

/* ---- JSON and NDJSON ----------------------------------------------------- */

static int put_add(lk_records *records, const linkd_put *put, linkd_error *err)
{
    void *puts = records->puts;
    int rc;

    if (records->n >= LINKD_PUT_MAX)
        return lk_fail(err, LINKD_E_ARG,
                       "there are more than %zu records in one request",
                       LINKD_PUT_MAX);
    rc = lk_grow(&puts, &records->capacity, records->n + 1,
                 sizeof(*records->puts), err);
    if (rc != LINKD_OK)
        return rc;
    records->puts = puts;
    records->puts[records->n++] = *put;
    return LINKD_OK;
}

static int object_add(const json_t *object, const char *where,
                      const lk_records_form *form, lk_arena *arena,
                      lk_records *records, linkd_error *err)
{
    linkd_put put;
    int rc = lk_json_check_members(object, where, record_members, err);

    if (rc == LINKD_OK)
        rc = lk_record_read(object, where, form, arena, &put, err);
    if (rc == LINKD_OK)
        rc = put_add(records, &put, err);
    return rc;
}

static int json_read(linkd_str body, const lk_records_form *form,
                     lk_arena *arena, lk_records *records, linkd_error *err)
{
    static const char *const members[] = {"records", NULL};
    const json_t *array;
    int rc = lk_json_parse(body, &records->json, err);

    if (rc == LINKD_OK)
        rc = lk_json_check_members(records->json, "the body", members, err);
    if (rc != LINKD_OK)
        return rc;
    array = json_object_get(records->json, "records");
    if (!json_is_array(array))
        return lk_fail(err, LINKD_E_ARG, "\"records\" is not an array");
    for (size_t i = 0; i < json_array_size(array) && rc == LINKD_OK; i++) {
        char where[40];

        (void)snprintf(where, sizeof(where), "record %zu", i);
        rc = object_add(json_array_get(array, i), where, form, arena, records,
                        err);
    }
    return rc;
}

/* Parses one line and keeps it in records->json. */
static int line_read(linkd_str line, size_t number, const lk_records_form *form,
                     lk_arena *arena, lk_records *records, linkd_error *err)
{
    json_t *object = NULL;
    linkd_error why;
    char where[40];

    (void)snprintf(where, sizeof(where), "line %zu", number);
    if (lk_json_parse(line, &object, &why) != LINKD_OK)
        return lk_fail(err, LINKD_E_ARG, "%s: %s", where, why.message);
    if (json_array_append_new(records->json, object) != 0)
        return lk_fail_nomem(err);
    return object_add(object, where, form, arena, records, err);
}

static bool is_blank(linkd_str line)
{
    size_t i = 0;

    while (i < line.len && (line.bytes[i] == ' ' || line.bytes[i] == '\t' ||
                            line.bytes[i] == '\r'))
        i++;
    return i == line.len;
}

static int ndjson_read(linkd_str body, const lk_records_form *form,
                       lk_arena *arena, lk_records *records, linkd_error *err)
{
    int rc = LINKD_OK;

    records->json = json_array();
    if (records->json == NULL)
        return lk_fail_nomem(err);
    for (size_t number = 1; body.len > 0 && rc == LINKD_OK; number++) {
        const char *end = memchr(body.bytes, '\n', body.len);
        size_t len = end != NULL ? (size_t)(end - body.bytes) : body.len;
        linkd_str line = {body.bytes, len};

        if (!is_blank(line))
            rc = line_read(line, number, form, arena, records, err);
        body.bytes += len + (end != NULL);
        body.len -= len + (end != NULL);
    }
    return rc;
}

/* ---- CSV ----------------------------------------------------------------- */

static int cell_copy(const linkd_cell *cell, lk_arena *arena, linkd_str *ret,
                     linkd_error *err)
{
    char *copy = lk_arena_copy(arena, cell->bytes, cell->len);

    if (copy == NULL)
        return lk_fail_nomem(err);
    *ret = (linkd_str){copy, cell->len};
    return LINKD_OK;
}

/* Empty cells are fields that are not there. */
static int row_read(const linkd_record *record, size_t id_column,
                    const linkd_field *names, lk_arena *arena, linkd_put *put,
                    linkd_error *err)
{
    linkd_field *fields =
        lk_arena_alloc(arena, (record->n_cells + 1) * sizeof(*fields));
    int rc = LINKD_OK;

    *put = (linkd_put){.fields = fields};
    if (fields == NULL)
        return lk_fail_nomem(err);
    if (record->cells[id_column].len == 0)
        return lk_fail(err, LINKD_E_ARG, "the body: row %" PRIu64 " has no id",
                       record->row);
    for (size_t i = 0; i < record->n_cells && rc == LINKD_OK; i++) {
        const linkd_cell *cell = &record->cells[i];

        if (i == id_column) {
            rc = cell_copy(cell, arena, &put->id, err);
        } else if (cell->len > 0) {
            fields[put->n_fields] = names[i];
            rc = cell_copy(cell, arena, &fields[put->n_fields++].value, err);
        }
    }
    return rc;
}

/* Where the ids are, and every column's name as a field without value. */
static int header_read(const linkd_reader *reader, const lk_records_form *form,
                       lk_arena *arena, size_t *ret_id_column,
                       linkd_field **ret_names, linkd_error *err)
{
    size_t n = linkd_reader_n_columns(reader);
    linkd_str wanted = form->id_column;
    linkd_field *names = lk_arena_alloc(arena, (n + 1) * sizeof(*names));
    size_t id_column;

    if (names == NULL)
        return lk_fail_nomem(err);
    if (wanted.len == 0)
        wanted = (linkd_str){"id", 2};
    id_column = linkd_reader_find_column(reader, wanted);
    if (id_column == LINKD_COLUMN_NONE && form->id_column.len > 0)
        return lk_fail(err, LINKD_E_ARG, "the body has no column \"%s\"",
                       lk_label_of(wanted).text);
    if (id_column == LINKD_COLUMN_NONE)
        id_column = 0;
    for (size_t i = 0; i < n; i++) {
        linkd_str name = linkd_reader_column(reader, i);
        char *copy = lk_arena_copy(arena, name.bytes, name.len);

        if (copy == NULL)
            return lk_fail_nomem(err);
        names[i] = (linkd_field){.name = {copy, name.len}};
    }
    *ret_id_column = id_column;
    *ret_names = names;
    return LINKD_OK;
}

static int csv_read(linkd_str body, const lk_records_form *form,
                    lk_arena *arena, lk_records *records, linkd_error *err)
{
    linkd_reader *reader = NULL;
    linkd_field *names = NULL;
    size_t id_column = 0;
    bool more = true;
    int rc;

    rc = linkd_reader_open_bytes("the body", body, LINKD_FORMAT_CSV, &reader,
                                 err);
    if (rc == LINKD_OK)
        rc = header_read(reader, form, arena, &id_column, &names, err);
    while (rc == LINKD_OK && names != NULL && more) {
        linkd_record record;
        linkd_put put;

        rc = linkd_reader_next(reader, &record, &more, err);
        if (rc != LINKD_OK || !more)
            break;
        rc = row_read(&record, id_column, names, arena, &put, err);
        if (rc == LINKD_OK)
            rc = put_add(records, &put, err);
    }
    linkd_reader_close(reader);
    /* To the reader a bad table is bad data; here it is a bad request. */
    if (rc == LINKD_E_DATA && err != NULL)
        err->code = LINKD_E_ARG;
    return rc == LINKD_E_DATA ? LINKD_E_ARG : rc;
}

/* ---- vectors ------------------------------------------------------------- */

/* The numbers of a .npy of float32 or float64 [n, dim]. */
static int npy_open(linkd_str body, size_t dim, lk_npy_shape *ret_shape,
                    linkd_str *ret_data, linkd_error *err)
{
    lk_npy_shape shape = {0};
    linkd_error reason;

    if (lk_npy_read_head(body, &shape, &reason) != LINKD_OK)
        return lk_fail(err, LINKD_E_ARG, "the .npy cannot be read: %s",
                       reason.message);
    *ret_data = (linkd_str){body.bytes + shape.n_head_bytes,
                            body.len - shape.n_head_bytes};
    if (shape.dim != dim)
        return lk_fail(err, LINKD_E_ARG,
                       "vectors have %" PRIu64
                       " numbers, not the collection's %zu",
                       shape.dim, dim);
    if (!lk_npy_is_whole(&shape, ret_data->len))
        return lk_fail(err, LINKD_E_ARG,
                       "the .npy says %" PRIu64 " vectors but holds %zu bytes",
                       shape.n_rows, ret_data->len);
    *ret_shape = shape;
    return LINKD_OK;
}

int lk_vectors_read(linkd_str body, bool is_npy, size_t dim, lk_arena *arena,
                    float **ret_vectors, size_t *ret_n, linkd_error *err)
{
    lk_npy_shape shape = {.number_bytes = sizeof(float)};
    linkd_str data = body;
    float *vectors;
    size_t n;
    int rc = LINKD_OK;

    LK_ASSERT(dim > 0);
    if (is_npy)
        rc = npy_open(body, dim, &shape, &data, err);
    else if (body.len % (dim * sizeof(float)) != 0)
        rc = lk_fail(err, LINKD_E_ARG,
                     "%zu bytes are not a whole number of vectors of %zu f32",
                     body.len, dim);
    if (rc == LINKD_OK && data.len == 0)
        rc = lk_fail(err, LINKD_E_ARG, "there are no vectors in the body");
    if (rc != LINKD_OK)
        return rc;
    n = data.len / (dim * shape.number_bytes);
    vectors = lk_arena_alloc(arena, n * dim * sizeof(*vectors));
    if (vectors == NULL)
        return lk_fail_nomem(err);
    lk_npy_numbers(&shape, data.bytes, n * dim, vectors);
    for (size_t i = 0; i < n && rc == LINKD_OK; i++) {
        char where[40];

        (void)snprintf(where, sizeof(where), "vector %zu", i);
        rc = lk_vector_normalize(vectors + i * dim, dim, where, err);
    }
    *ret_vectors = vectors;
    *ret_n = n;
    return rc;
}

static int binary_read(linkd_str body, bool is_npy, const lk_records_form *form,
                       lk_arena *arena, lk_records *records, linkd_error *err)
{
    float *vectors = NULL;
    size_t n = 0;
    int rc;

    if (!form->takes_vectors)
        return lk_fail(err, LINKD_E_ARG,
                       "the collection has a model: send records, not vectors");
    rc = lk_vectors_read(body, is_npy, form->dim, arena, &vectors, &n, err);
    if (rc == LINKD_OK && form->first_id > UINT64_MAX - n)
        rc = lk_fail(err, LINKD_E_ARG, "\"first_id\" is too large");
    for (size_t i = 0; i < n && rc == LINKD_OK; i++) {
        char id[24];
        int len = snprintf(id, sizeof(id), "%" PRIu64, form->first_id + i);
        char *copy = lk_arena_copy(arena, id, (size_t)len);
        linkd_put put = {.id = {copy, (size_t)len},
                         .dim = form->dim,
                         .vector = vectors + i * form->dim};

        rc = copy == NULL ? lk_fail_nomem(err) : put_add(records, &put, err);
    }
    return rc;
}

/* ---- by content type ----------------------------------------------------- */

int lk_records_read(linkd_str body, const lk_records_form *form,
                    lk_arena *arena, lk_records *ret_records, linkd_error *err)
{
    linkd_str type = form->content_type;
    lk_records records = {0};
    int rc;

    if (lk_str_is(type, "application/json"))
        rc = json_read(body, form, arena, &records, err);
    else if (lk_str_is(type, "application/x-ndjson"))
        rc = ndjson_read(body, form, arena, &records, err);
    else if (lk_str_is(type, "text/csv"))
        rc = csv_read(body, form, arena, &records, err);
    else if (lk_str_is(type, "application/x-npy"))
        rc = binary_read(body, true, form, arena, &records, err);
    else if (lk_str_is(type, "application/octet-stream"))
        rc = binary_read(body, false, form, arena, &records, err);
    else
        rc = lk_fail(err, LINKD_E_ABSENT,
                     "content type \"%s\" is none of application/json, "
                     "application/x-ndjson, text/csv, application/x-npy and "
                     "application/octet-stream",
                     lk_label_of(type).text);
    if (rc != LINKD_OK)
        lk_records_clear(&records);
    else
        *ret_records = records;
    return rc;
}

void lk_records_clear(lk_records *records)
{
    free(records->puts);
    json_decref(records->json);
    *records = (lk_records){0};
}
