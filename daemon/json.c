/* daemon/json.c — JSON bodies, checked.
 *
 * jansson parses recursively and to its own depth; ours is lower and is counted
 * in one pass before it starts. What it does not check is here: members that
 * nobody reads, kinds and ranges, each with a message that says where. */
#include "daemon/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "linkage/linkage.h"

/* ---- parsing ------------------------------------------------------------- */

/* Counts brackets and commas, strings left out, before memory is spent. */
static int limits_check(linkd_str text, linkd_error *err)
{
    size_t depth = 0;
    size_t n_values = 0;
    bool in_string = false;

    for (size_t i = 0; i < text.len; i++) {
        char c = text.bytes[i];

        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '[' || c == '{') {
            depth++;
        } else if ((c == ']' || c == '}') && depth > 0) {
            depth--;
        }
        n_values += !in_string && c == ',';
        if (depth > LK_JSON_DEPTH_MAX)
            return lk_fail(err, LINKD_E_ARG,
                           "JSON is nested deeper than %d levels",
                           LK_JSON_DEPTH_MAX);
        if (n_values > LK_JSON_VALUES_MAX)
            return lk_fail(err, LINKD_E_ARG,
                           "JSON has more than %zu values: send vectors as "
                           "base64",
                           LK_JSON_VALUES_MAX);
    }
    return LINKD_OK;
}

int lk_json_parse(linkd_str text, json_t **ret_json, linkd_error *err)
{
    json_error_t why;
    json_t *json;
    int rc;

    if (text.len == 0)
        return lk_fail(err, LINKD_E_ARG, "the body is empty, not JSON");
    rc = limits_check(text, err);
    if (rc != LINKD_OK)
        return rc;
    json = json_loadb(text.bytes, text.len,
                      JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &why);
    if (json == NULL)
        return lk_fail(err, LINKD_E_ARG,
                       "not valid JSON: line %d column %d: %.120s", why.line,
                       why.column, why.text);
    *ret_json = json;
    return LINKD_OK;
}

int lk_json_check_members(const json_t *object, const char *where,
                          const char *const *names, linkd_error *err)
{
    void *it;

    if (!json_is_object(object))
        return lk_fail(err, LINKD_E_ARG, "%s is not an object", where);
    /* jansson iterates a const object through a pointer that is not */
    for (it = json_object_iter((json_t *)(uintptr_t)object); it != NULL;
         it = json_object_iter_next((json_t *)(uintptr_t)object, it)) {
        const char *name = json_object_iter_key(it);
        size_t i = 0;

        while (names[i] != NULL && strcmp(names[i], name) != 0)
            i++;
        if (names[i] == NULL)
            return lk_fail(err, LINKD_E_ARG, "%s has an unknown member \"%s\"",
                           where,
                           lk_label_of((linkd_str){name, strlen(name)}).text);
    }
    return LINKD_OK;
}

/* ---- members ------------------------------------------------------------- */

/* The member, or NULL for one that is absent or null. */
static const json_t *member_find(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);

    return json_is_null(value) ? NULL : value;
}

static linkd_str string_of(const json_t *value)
{
    return (linkd_str){json_string_value(value), json_string_length(value)};
}

int lk_json_get_string(const json_t *object, const char *name,
                       linkd_str *ret_value, linkd_error *err)
{
    const json_t *value = member_find(object, name);

    if (value == NULL)
        return LINKD_OK;
    if (!json_is_string(value))
        return lk_fail(err, LINKD_E_ARG, "\"%s\" is not a string", name);
    *ret_value = string_of(value);
    return LINKD_OK;
}

int lk_json_get_size(const json_t *object, const char *name, size_t lowest,
                     size_t highest, size_t *ret_value, linkd_error *err)
{
    const json_t *value = member_find(object, name);
    json_int_t number;

    if (value == NULL)
        return LINKD_OK;
    number = json_integer_value(value);
    if (!json_is_integer(value) || number < 0 || (size_t)number < lowest ||
        (size_t)number > highest)
        return lk_fail(err, LINKD_E_ARG,
                       "\"%s\" is not an integer from %zu to %zu", name, lowest,
                       highest);
    *ret_value = (size_t)number;
    return LINKD_OK;
}

int lk_json_get_limit(const json_t *object, const char *name,
                      linkd_limit *ret_value, linkd_error *err)
{
    const json_t *value = member_find(object, name);
    lk_buf text = {0};
    int rc;

    if (value == NULL)
        return LINKD_OK;
    rc = lk_json_put_value(&text, value, err);
    if (rc == LINKD_OK)
        rc = linkd_limit_parse((linkd_str){text.data, text.len}, name,
                               ret_value, err);
    lk_buf_clear(&text);
    return rc;
}

int lk_json_get_bool(const json_t *object, const char *name, bool *ret_value,
                     linkd_error *err)
{
    const json_t *value = member_find(object, name);

    if (value == NULL)
        return LINKD_OK;
    if (!json_is_boolean(value))
        return lk_fail(err, LINKD_E_ARG, "\"%s\" is not true or false", name);
    *ret_value = json_is_true(value);
    return LINKD_OK;
}

/* ---- vectors ------------------------------------------------------------- */

static int vector_read_array(const json_t *value, size_t dim, const char *where,
                             float *vector, linkd_error *err)
{
    if (json_array_size(value) != dim)
        return lk_fail(err, LINKD_E_ARG,
                       "%s has %zu numbers, not the collection's %zu", where,
                       json_array_size(value), dim);
    for (size_t i = 0; i < dim; i++) {
        const json_t *number = json_array_get(value, i);

        if (!json_is_number(number))
            return lk_fail(err, LINKD_E_ARG, "%s: number %zu is not a number",
                           where, i);
        vector[i] = (float)json_number_value(number);
    }
    return LINKD_OK;
}

static int vector_read_base64(linkd_str text, size_t dim, const char *where,
                              float *vector, linkd_error *err)
{
    linkd_error why;

    if (lk_base64_decoded_len(text) != dim * sizeof(*vector))
        return lk_fail(err, LINKD_E_ARG,
                       "%s is base64 of %zu bytes, not of the collection's "
                       "%zu numbers",
                       where, lk_base64_decoded_len(text), dim);
    if (lk_base64_decode(text, vector, &why) != LINKD_OK)
        return lk_fail(err, LINKD_E_ARG, "%s: %s", where, why.message);
    return LINKD_OK;
}

int lk_vector_normalize(float *vector, size_t dim, const char *where,
                        linkd_error *err)
{
    double sum = 0.0;

    for (size_t i = 0; i < dim; i++) {
        if (!isfinite(vector[i]))
            return lk_fail(err, LINKD_E_ARG, "%s: number %zu is not finite",
                           where, i);
        sum += (double)vector[i] * (double)vector[i];
    }
    if (sum <= 0.0)
        return lk_fail(err, LINKD_E_ARG, "%s is all zero", where);
    for (size_t i = 0; i < dim; i++)
        vector[i] = (float)((double)vector[i] / sqrt(sum));
    return LINKD_OK;
}

int lk_json_get_vector(const json_t *value, size_t dim, const char *where,
                       lk_arena *arena, const float **ret_vector,
                       linkd_error *err)
{
    float *vector = lk_arena_alloc(arena, dim * sizeof(*vector));
    int rc;

    if (vector == NULL)
        return lk_fail_nomem(err);
    if (json_is_array(value))
        rc = vector_read_array(value, dim, where, vector, err);
    else if (json_is_string(value))
        rc = vector_read_base64(string_of(value), dim, where, vector, err);
    else
        rc = lk_fail(err, LINKD_E_ARG, "%s is neither array nor base64", where);
    if (rc == LINKD_OK)
        rc = lk_vector_normalize(vector, dim, where, err);
    if (rc == LINKD_OK)
        *ret_vector = vector;
    return rc;
}

/* ---- writing ------------------------------------------------------------- */

/* Few digits if they give the numbers back: 0.1, not 0.10000000000000001. */
static char *value_dump(const json_t *value)
{
    for (size_t digits = 15; digits < 17; digits++) {
        char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY |
                                           JSON_REAL_PRECISION(digits));
        json_t *again = NULL;
        int is_same;

        if (text == NULL)
            return NULL;
        again = json_loads(text, JSON_DECODE_ANY, NULL);
        is_same = json_equal(value, again);
        json_decref(again);
        if (is_same)
            return text;
        free(text);
    }
    return json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
}

int lk_json_put_value(lk_buf *buf, const json_t *value, linkd_error *err)
{
    char *text = json_is_integer(value) || json_is_boolean(value)
                     ? json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY)
                     : value_dump(value);
    int rc;

    if (text == NULL)
        return lk_fail_nomem(err);
    rc = lk_buf_append(buf, text, strlen(text), err);
    free(text);
    return rc;
}

/* Bytes from `text` that need no escape. */
static size_t plain_len(linkd_str text)
{
    size_t n = 0;

    while (n < text.len && (unsigned char)text.bytes[n] >= 0x20 &&
           text.bytes[n] != '"' && text.bytes[n] != '\\')
        n++;
    return n;
}

int lk_json_put_string(lk_buf *buf, linkd_str text, linkd_error *err)
{
    int rc = lk_buf_append(buf, "\"", 1, err);

    while (rc == LINKD_OK && text.len > 0) {
        size_t n = plain_len(text);

        rc = lk_buf_append(buf, text.bytes, n, err);
        text.bytes += n;
        text.len -= n;
        if (rc != LINKD_OK || text.len == 0)
            break;
        if (*text.bytes == '"' || *text.bytes == '\\')
            rc = lk_buf_printf(buf, err, "\\%c", *text.bytes);
        else
            rc = lk_buf_printf(buf, err, "\\u%04x",
                               (unsigned int)(unsigned char)*text.bytes);
        text.bytes++;
        text.len--;
    }
    return rc == LINKD_OK ? lk_buf_append(buf, "\"", 1, err) : rc;
}
