/* daemon/filter.c — filters from JSON.
 *
 * Every node is an object with one member, the operator's name. The tree lives
 * in the request's arena and borrows its strings from the parsed body; depth
 * and number of nodes are the index's to limit, and depth is the parser's. */
#include <string.h>

#include "daemon/json.h"
#include "linkage/linkage.h"

typedef struct reader {
    lk_arena *arena;
    size_t n_nodes;
} reader;

static int filter_read(reader *r, const json_t *json, linkd_filter *ret_filter,
                       linkd_error *err);

static linkd_str key_of(void *it)
{
    const char *name = json_object_iter_key(it);

    return (linkd_str){name, strlen(name)};
}

/* The one member of an object. */
static int single_member(const json_t *object, const char *what,
                         linkd_str *ret_name, const json_t **ret_value,
                         linkd_error *err)
{
    void *it;

    if (!json_is_object(object) || json_object_size(object) != 1)
        return lk_fail(err, LINKD_E_ARG,
                       "filter: %s is not an object with one member", what);
    it = json_object_iter((json_t *)(uintptr_t)object);
    *ret_name = key_of(it);
    *ret_value = json_object_iter_value(it);
    return LINKD_OK;
}

static int value_read(const json_t *json, linkd_str field,
                      linkd_value *ret_value, linkd_error *err)
{
    if (json_is_string(json))
        *ret_value = (linkd_value){
            .kind = LINKD_VALUE_TEXT,
            .text = {json_string_value(json), json_string_length(json)}};
    else if (json_is_number(json))
        *ret_value = (linkd_value){.kind = LINKD_VALUE_NUMBER,
                                   .number = json_number_value(json)};
    else if (json_is_boolean(json))
        *ret_value = (linkd_value){.kind = LINKD_VALUE_BOOL,
                                   .boolean = json_is_true(json)};
    else
        return lk_fail(err, LINKD_E_ARG,
                       "filter: a value for \"%s\" is not a string, number or "
                       "boolean",
                       lk_label_of(field).text);
    return LINKD_OK;
}

static int equal_read(reader *r, const json_t *json, linkd_filter *filter,
                      linkd_error *err)
{
    linkd_value *value = lk_arena_alloc(r->arena, sizeof(*value));
    const json_t *given = NULL;
    int rc;

    if (value == NULL)
        return lk_fail_nomem(err);
    rc = single_member(json, "\"eq\"", &filter->field, &given, err);
    if (rc == LINKD_OK)
        rc = value_read(given, filter->field, value, err);
    filter->values = value;
    filter->n_values = 1;
    return rc;
}

static int in_read(reader *r, const json_t *json, linkd_filter *filter,
                   linkd_error *err)
{
    const json_t *given = NULL;
    linkd_value *values;
    int rc = single_member(json, "\"in\"", &filter->field, &given, err);

    if (rc != LINKD_OK)
        return rc;
    if (!json_is_array(given) || json_array_size(given) > LINKD_PUT_MAX)
        return lk_fail(err, LINKD_E_ARG,
                       "filter: \"in\" has no array of at most %zu values",
                       LINKD_PUT_MAX);
    filter->n_values = json_array_size(given);
    values = lk_arena_alloc(r->arena, (filter->n_values + 1) * sizeof(*values));
    if (values == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < filter->n_values && rc == LINKD_OK; i++)
        rc = value_read(json_array_get(given, i), filter->field, &values[i],
                        err);
    filter->values = values;
    return rc;
}

/* One bound: "gt", "gte", "lt" or "lte". */
static int bound_read(reader *r, linkd_str name, const json_t *json,
                      linkd_filter *filter, linkd_error *err)
{
    linkd_value *value = lk_arena_alloc(r->arena, sizeof(*value));
    bool is_lower = name.len >= 1 && name.bytes[0] == 'g';
    const linkd_value **bound = is_lower ? &filter->lower : &filter->upper;

    if (value == NULL)
        return lk_fail_nomem(err);
    if (strcmp(name.bytes, "gt") != 0 && strcmp(name.bytes, "gte") != 0 &&
        strcmp(name.bytes, "lt") != 0 && strcmp(name.bytes, "lte") != 0)
        return lk_fail(err, LINKD_E_ARG,
                       "filter: \"range\" has an unknown bound \"%s\"",
                       lk_label_of(name).text);
    if (*bound != NULL)
        return lk_fail(err, LINKD_E_ARG, "filter: \"range\" has two %s bounds",
                       is_lower ? "lower" : "upper");
    *bound = value;
    if (is_lower)
        filter->lower_excluded = name.len == 2;
    else
        filter->upper_excluded = name.len == 2;
    return value_read(json, filter->field, value, err);
}

static int range_read(reader *r, const json_t *json, linkd_filter *filter,
                      linkd_error *err)
{
    const json_t *bounds = NULL;
    json_t *object;
    int rc = single_member(json, "\"range\"", &filter->field, &bounds, err);

    if (rc != LINKD_OK)
        return rc;
    if (!json_is_object(bounds) || json_object_size(bounds) == 0)
        return lk_fail(err, LINKD_E_ARG,
                       "filter: \"range\" of \"%s\" has no bounds",
                       lk_label_of(filter->field).text);
    object = (json_t *)(uintptr_t)bounds;
    for (void *it = json_object_iter(object); it != NULL && rc == LINKD_OK;
         it = json_object_iter_next(object, it))
        rc = bound_read(r, key_of(it), json_object_iter_value(it), filter, err);
    return rc;
}

static int children_read(reader *r, const json_t *json, linkd_filter *filter,
                         linkd_error *err)
{
    linkd_filter *children;
    int rc = LINKD_OK;

    if (!json_is_array(json))
        return lk_fail(err, LINKD_E_ARG,
                       "filter: \"and\" and \"or\" take an array");
    filter->n_children = json_array_size(json);
    if (filter->n_children > LINKD_FILTER_NODES_MAX)
        return lk_fail(err, LINKD_E_ARG, "filter: it has more than %zu nodes",
                       LINKD_FILTER_NODES_MAX);
    children =
        lk_arena_alloc(r->arena, (filter->n_children + 1) * sizeof(*children));
    if (children == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < filter->n_children && rc == LINKD_OK; i++)
        rc = filter_read(r, json_array_get(json, i), &children[i], err);
    filter->children = children;
    return rc;
}

static int not_read(reader *r, const json_t *json, linkd_filter *filter,
                    linkd_error *err)
{
    linkd_filter *child = lk_arena_alloc(r->arena, sizeof(*child));

    if (child == NULL)
        return lk_fail_nomem(err);
    filter->children = child;
    filter->n_children = 1;
    return filter_read(r, json, child, err);
}

static int exists_read(reader *r, const json_t *json, linkd_filter *filter,
                       linkd_error *err)
{
    (void)r;
    if (!json_is_string(json))
        return lk_fail(err, LINKD_E_ARG,
                       "filter: \"exists\" takes a field's name");
    filter->field =
        (linkd_str){json_string_value(json), json_string_length(json)};
    return LINKD_OK;
}

static const struct operation {
    const char *name;
    linkd_filter_op op;
    int (*read)(reader *r, const json_t *json, linkd_filter *filter,
                linkd_error *err);
} operators[] = {
    {"eq", LINKD_FILTER_EQ, equal_read},
    {"in", LINKD_FILTER_IN, in_read},
    {"range", LINKD_FILTER_RANGE, range_read},
    {"exists", LINKD_FILTER_EXISTS, exists_read},
    {"and", LINKD_FILTER_AND, children_read},
    {"or", LINKD_FILTER_OR, children_read},
    {"not", LINKD_FILTER_NOT, not_read},
};

static int filter_read(reader *r, const json_t *json, linkd_filter *ret_filter,
                       linkd_error *err)
{
    const json_t *operand = NULL;
    linkd_str name = {"", 0};
    int rc = single_member(json, "a node", &name, &operand, err);

    if (rc != LINKD_OK)
        return rc;
    if (++r->n_nodes > LINKD_FILTER_NODES_MAX)
        return lk_fail(err, LINKD_E_ARG, "filter: it has more than %zu nodes",
                       LINKD_FILTER_NODES_MAX);
    *ret_filter = (linkd_filter){0};
    for (size_t i = 0; i < sizeof(operators) / sizeof(operators[0]); i++) {
        if (strcmp(operators[i].name, name.bytes) == 0) {
            ret_filter->op = operators[i].op;
            return operators[i].read(r, operand, ret_filter, err);
        }
    }
    return lk_fail(err, LINKD_E_ARG, "filter: unknown operator \"%s\"",
                   lk_label_of(name).text);
}

int lk_json_get_filter(const json_t *value, lk_arena *arena,
                       const linkd_filter **ret_filter, linkd_error *err)
{
    reader r = {.arena = arena};
    linkd_filter *filter = lk_arena_alloc(arena, sizeof(*filter));
    int rc;

    if (filter == NULL)
        return lk_fail_nomem(err);
    rc = filter_read(&r, value, filter, err);
    if (rc == LINKD_OK)
        *ret_filter = filter;
    return rc;
}
