/* Feeds foreign JSON to the reader of filters: a tree that can be walked, with
 * no more nodes than there may be, or a message. */
#include <stdint.h>

#include "daemon/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void values_check(const linkd_value *values, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        LK_ASSERT(values[i].kind <= LINKD_VALUE_BOOL);
        if (values[i].kind == LINKD_VALUE_TEXT)
            LK_ASSERT(lk_utf8_check(values[i].text.bytes, values[i].text.len) ==
                      values[i].text.len);
    }
}

static size_t tree_check(const linkd_filter *filter, size_t depth)
{
    size_t n_nodes = 1;

    LK_ASSERT(depth <= LK_JSON_DEPTH_MAX);
    LK_ASSERT(filter->op <= LINKD_FILTER_NOT);
    values_check(filter->values, filter->n_values);
    values_check(filter->lower, filter->lower != NULL);
    values_check(filter->upper, filter->upper != NULL);
    for (size_t i = 0; i < filter->n_children; i++)
        n_nodes += tree_check(&filter->children[i], depth + 1);
    return n_nodes;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const linkd_filter *filter = NULL;
    lk_arena arena = {0};
    linkd_error err = {0};
    json_t *json = NULL;

    if (lk_json_parse((linkd_str){(const char *)data, size}, &json, &err) !=
        LINKD_OK)
        return 0;
    if (lk_json_get_filter(json, &arena, &filter, &err) == LINKD_OK)
        LK_ASSERT(tree_check(filter, 0) <= LINKD_FILTER_NODES_MAX);
    else
        LK_ASSERT(err.code == LINKD_E_ARG && err.message[0] != '\0');
    json_decref(json);
    lk_arena_clear(&arena);
    return 0;
}
