/* linkage/settings.c — what the records of a collection mean: which of their
 * fields become the text that is encoded, and from which score on two of them
 * are one entity.
 *
 *   {"text": ["name", "city"] | null, "template": "{name}, {city}" | null,
 *    "image": "photo" | null, "threshold": 0.74 | {"false_match_rate": 0.001}}
 *
 * The text of a record is put together by the same function as that of a row in
 * a file, so that a record scores the same in a collection as in a link of two
 * files. A template names fields in braces; "{{" and "}}" are braces. One whose
 * fields are all missing or blank makes no text, whatever stands between them.
 *
 * Where records have pictures what the text takes part with is named: without
 * "text" and "template" the picture is all there is.
 *
 * Settings are read back from the store for every request, so they are checked
 * here again as strictly as when they came in. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "linkage/limits.h"
#include "linkage/linkage.h"
#include "linkage/text.h"

/* Guess: more fields than a text of some hundred tokens has room for. */
#define TEXT_FIELDS_MAX ((size_t)256)

/* ---- templates ----------------------------------------------------------- */

typedef enum piece_kind {
    PIECE_LITERAL, /* stands as it is */
    PIECE_FIELD,   /* the value of the field of this name */
    PIECE_BAD,     /* a brace without its partner, or one without a name */
} piece_kind;

typedef struct piece {
    piece_kind kind;
    linkd_str text;
} piece;

/* Cuts the field that begins with the brace at the beginning of `rest`. */
static piece field_cut(linkd_str *rest)
{
    const char *end = memchr(rest->bytes, '}', rest->len);
    piece p = {PIECE_BAD, *rest};

    if (end != NULL)
        p.text = (linkd_str){rest->bytes + 1, (size_t)(end - rest->bytes) - 1};
    if (end != NULL && p.text.len > 0 &&
        memchr(p.text.bytes, '{', p.text.len) == NULL)
        p.kind = PIECE_FIELD;
    if (p.kind == PIECE_FIELD) {
        rest->bytes += p.text.len + 2;
        rest->len -= p.text.len + 2;
    }
    return p;
}

/* Cuts the next piece off what is left of a template. */
static piece piece_cut(linkd_str *rest)
{
    piece p = {PIECE_LITERAL, {rest->bytes, 0}};
    size_t used;

    while (p.text.len < rest->len && rest->bytes[p.text.len] != '{' &&
           rest->bytes[p.text.len] != '}')
        p.text.len++;
    used = p.text.len;
    if (used == 0) {
        char brace = rest->bytes[0];

        if (rest->len < 2 || rest->bytes[1] != brace)
            return brace == '{' ? field_cut(rest) : (piece){PIECE_BAD, *rest};
        p.text.len = 1;
        used = 2;
    }
    rest->bytes += used;
    rest->len -= used;
    return p;
}

static int template_check(linkd_str pattern, linkd_error *err)
{
    linkd_str rest = pattern;
    size_t n_fields = 0;

    while (rest.len > 0) {
        piece p = piece_cut(&rest);

        if (p.kind == PIECE_BAD)
            return lk_fail(err, LINKD_E_ARG,
                           "\"template\" has a brace that names no field at "
                           "\"%s\"",
                           lk_label_of(p.text).text);
        n_fields += p.kind == PIECE_FIELD;
    }
    if (n_fields == 0 || n_fields > TEXT_FIELDS_MAX)
        return lk_fail(err, LINKD_E_ARG,
                       "\"template\" names %zu fields, not 1 to %zu", n_fields,
                       TEXT_FIELDS_MAX);
    return LINKD_OK;
}

/* ---- reading ------------------------------------------------------------- */

static int string_copy(const json_t *value, lk_arena *arena, linkd_str *ret_str,
                       linkd_error *err)
{
    size_t len = json_string_length(value);
    char *copy = lk_arena_copy(arena, json_string_value(value), len);

    if (copy == NULL)
        return lk_fail_nomem(err);
    *ret_str = (linkd_str){copy, len};
    return LINKD_OK;
}

static bool is_name(const json_t *value)
{
    return json_is_string(value) && json_string_length(value) > 0;
}

static int text_read(const json_t *value, lk_arena *arena,
                     linkd_settings *settings, linkd_error *err)
{
    size_t n = json_array_size(value);
    linkd_str *names;
    int rc = LINKD_OK;

    if (!json_is_array(value) || n == 0 || n > TEXT_FIELDS_MAX)
        return lk_fail(err, LINKD_E_ARG,
                       "\"text\" is not an array of 1 to %zu fields",
                       TEXT_FIELDS_MAX);
    names = lk_arena_alloc(arena, n * sizeof(*names));
    if (names == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < n && rc == LINKD_OK; i++) {
        if (!is_name(json_array_get(value, i)))
            return lk_fail(err, LINKD_E_ARG,
                           "\"text\": item %zu is not a field's name", i);
        rc = string_copy(json_array_get(value, i), arena, &names[i], err);
    }
    settings->text = names;
    settings->n_text = n;
    return rc;
}

static int template_read(const json_t *value, lk_arena *arena,
                         linkd_settings *settings, linkd_error *err)
{
    int rc;

    if (!json_is_string(value))
        return lk_fail(err, LINKD_E_ARG, "\"template\" is not a string");
    rc = string_copy(value, arena, &settings->pattern, err);
    return rc == LINKD_OK ? template_check(settings->pattern, err) : rc;
}

static int image_read(const json_t *value, lk_arena *arena,
                      linkd_settings *settings, linkd_error *err)
{
    if (!is_name(value))
        return lk_fail(err, LINKD_E_ARG, "\"image\" is not a field's name");
    return string_copy(value, arena, &settings->image, err);
}

static int threshold_read(const json_t *value, lk_arena *arena,
                          linkd_settings *settings, linkd_error *err)
{
    (void)arena;
    return lk_limit_read(value, "threshold", &settings->threshold, err);
}

static const struct member {
    const char *name;
    int (*read)(const json_t *value, lk_arena *arena, linkd_settings *settings,
                linkd_error *err);
} members[] = {
    {"text", text_read},
    {"template", template_read},
    {"image", image_read},
    {"threshold", threshold_read},
};

/* A data URI is no text. */
static int image_check(const linkd_settings *settings, linkd_error *err)
{
    linkd_str rest = settings->pattern;
    bool is_text = false;

    if (settings->image.len == 0)
        return LINKD_OK;
    for (size_t i = 0; i < settings->n_text; i++)
        is_text = is_text || lk_str_equal(settings->text[i], settings->image);
    while (rest.len > 0) {
        piece p = piece_cut(&rest);

        is_text = is_text || (p.kind == PIECE_FIELD &&
                              lk_str_equal(p.text, settings->image));
    }
    if (!is_text)
        return LINKD_OK;
    return lk_fail(err, LINKD_E_ARG,
                   "\"image\": field \"%s\" is part of the text, too",
                   lk_label_of(settings->image).text);
}

/* A member that is null is as good as absent. */
static int member_read(const char *name, const json_t *value, lk_arena *arena,
                       linkd_settings *settings, linkd_error *err)
{
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        if (strcmp(members[i].name, name) != 0)
            continue;
        if (json_is_null(value))
            return LINKD_OK;
        return members[i].read(value, arena, settings, err);
    }
    return lk_fail(err, LINKD_E_ARG, "settings have no member \"%s\"",
                   lk_label_of((linkd_str){name, strlen(name)}).text);
}

int linkd_settings_parse(linkd_str json, lk_arena *arena,
                         linkd_settings *ret_settings, linkd_error *err)
{
    linkd_settings settings = {
        .threshold = {LINKD_LIMIT_SCORE, (double)(float)LINKD_DEDUP_THRESHOLD}};
    json_error_t why;
    json_t *object =
        json_loadb(json.bytes, json.len, JSON_REJECT_DUPLICATES, &why);
    int rc = LINKD_OK;

    if (object == NULL)
        return lk_fail(err, LINKD_E_ARG, "settings are not JSON: %.120s",
                       why.text);
    if (!json_is_object(object))
        rc = lk_fail(err, LINKD_E_ARG, "settings are not an object");
    for (void *it = json_object_iter(object); it != NULL && rc == LINKD_OK;
         it = json_object_iter_next(object, it))
        rc = member_read(json_object_iter_key(it), json_object_iter_value(it),
                         arena, &settings, err);
    if (rc == LINKD_OK)
        rc = image_check(&settings, err);
    json_decref(object);
    if (rc == LINKD_OK)
        *ret_settings = settings;
    return rc;
}

/* ---- printing ------------------------------------------------------------ */

static json_t *json_of_str(linkd_str text)
{
    return text.len > 0 ? json_stringn(text.bytes, text.len) : json_null();
}

static json_t *json_of_text(const linkd_settings *settings)
{
    json_t *array;

    if (settings->n_text == 0)
        return json_null();
    array = json_array();
    for (size_t i = 0; i < settings->n_text; i++) {
        if (json_array_append_new(array, json_of_str(settings->text[i])) != 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

static int json_append(lk_buf *buf, const char *prefix, json_t *take_value,
                       linkd_error *err)
{
    char *text = json_dumps(take_value, JSON_COMPACT | JSON_ENCODE_ANY);
    int rc;

    json_decref(take_value);
    if (text == NULL)
        return lk_fail_nomem(err);
    rc = lk_buf_printf(buf, err, "%s%s", prefix, text);
    free(text);
    return rc;
}

int linkd_settings_print(const linkd_settings *settings, lk_buf *ret_json,
                         linkd_error *err)
{
    int rc = json_append(ret_json, "{\"text\":", json_of_text(settings), err);

    if (rc == LINKD_OK)
        rc = json_append(ret_json,
                         ",\"template\":", json_of_str(settings->pattern), err);
    if (rc == LINKD_OK)
        rc = json_append(ret_json, ",\"image\":", json_of_str(settings->image),
                         err);
    if (rc == LINKD_OK)
        rc = lk_buf_printf(ret_json, err, ",\"threshold\":");
    if (rc == LINKD_OK)
        rc = linkd_limit_print(&settings->threshold, ret_json, err);
    return rc == LINKD_OK ? lk_buf_append(ret_json, "}", 1, err) : rc;
}

/* ---- the text of a record ------------------------------------------------ */

/* What a field says, trimmed; empty for one that is missing. */
static linkd_str value_find(const linkd_field *fields, size_t n_fields,
                            linkd_str name)
{
    for (size_t i = 0; i < n_fields; i++) {
        if (lk_str_equal(fields[i].name, name))
            return lk_str_trim(fields[i].value);
    }
    return (linkd_str){"", 0};
}

static int template_text(linkd_str pattern, const linkd_field *fields,
                         size_t n_fields, lk_buf *text, linkd_error *err)
{
    size_t begin = text->len;
    linkd_str rest = pattern;
    bool says_something = false;
    int rc = LINKD_OK;

    while (rest.len > 0 && rc == LINKD_OK) {
        piece p = piece_cut(&rest);

        if (p.kind == PIECE_FIELD) {
            p.text = value_find(fields, n_fields, p.text);
            says_something = says_something || p.text.len > 0;
        }
        LK_ASSERT(p.kind != PIECE_BAD);
        rc = lk_buf_append(text, p.text.bytes, p.text.len, err);
    }
    if (rc == LINKD_OK && !says_something) {
        text->len = begin;
        text->data[begin] = '\0';
    }
    return rc;
}

static int fields_compare(const void *a, const void *b)
{
    linkd_str left = (*(const linkd_field *const *)a)->name;
    linkd_str right = (*(const linkd_field *const *)b)->name;
    size_t len = left.len < right.len ? left.len : right.len;
    int order = len > 0 ? memcmp(left.bytes, right.bytes, len) : 0;

    return order != 0 ? order : (left.len > right.len) - (left.len < right.len);
}

/* All text fields in the order of their names. */
static int default_text(const linkd_field *fields, size_t n_fields,
                        lk_buf *text, linkd_error *err)
{
    const linkd_field **sorted = malloc((n_fields + 1) * sizeof(*sorted));
    size_t begin = text->len;
    size_t n = 0;
    int rc = LINKD_OK;

    if (sorted == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < n_fields; i++) {
        if (fields[i].kind == LINKD_FIELD_TEXT)
            sorted[n++] = &fields[i];
    }
    qsort(sorted, n, sizeof(*sorted), fields_compare);
    for (size_t i = 0; i < n && rc == LINKD_OK; i++)
        rc = lk_text_add(text, begin, sorted[i]->value, err);
    free(sorted);
    return rc;
}

static int text_append(const linkd_settings *settings,
                       const linkd_field *fields, size_t n_fields,
                       lk_buf *ret_text, linkd_error *err)
{
    size_t begin = ret_text->len;
    int rc = LINKD_OK;

    if (settings->pattern.len > 0)
        return template_text(settings->pattern, fields, n_fields, ret_text,
                             err);
    if (settings->n_text == 0 && settings->image.len == 0)
        return default_text(fields, n_fields, ret_text, err);
    for (size_t i = 0; i < settings->n_text && rc == LINKD_OK; i++)
        rc = lk_text_add(ret_text, begin,
                         value_find(fields, n_fields, settings->text[i]), err);
    return rc;
}

int linkd_settings_text(const linkd_settings *settings,
                        const linkd_field *fields, size_t n_fields,
                        lk_buf *ret_text, linkd_error *err)
{
    int rc = text_append(settings, fields, n_fields, ret_text, err);
    linkd_str picture;

    if (rc != LINKD_OK || settings->image.len == 0)
        return rc;
    picture = value_find(fields, n_fields, settings->image);
    return linkd_is_data_uri(picture)
               ? linkd_content_add_picture(ret_text, picture, err)
               : LINKD_OK;
}

int linkd_settings_check_picture(const linkd_settings *settings,
                                 const linkd_put *put, linkd_error *err)
{
    linkd_str picture = {"", 0};

    if (settings->image.len > 0)
        picture = value_find(put->fields, put->n_fields, settings->image);
    if (picture.len == 0)
        return LINKD_OK;
    return linkd_is_data_uri(picture)
               ? linkd_picture_check(picture, err)
               : lk_fail(err, LINKD_E_DATA,
                         "is no data URI: linkd opens no files for clients");
}
