/* index/names.c — which of many names comes twice: by sorting, because the
 * names of one request are few, and it needs no memory beside the list. */
#include "index/names.h"

#include <stdlib.h>
#include <string.h>

int lk_names_add(lk_names *names, linkd_str str, linkd_error *err)
{
    void *array = names->names;
    int rc = lk_grow(&array, &names->capacity, names->n + 1,
                     sizeof(*names->names), err);

    names->names = array;
    if (rc == LINKD_OK) {
        names->names[names->n] = (lk_name){str, names->n};
        names->n++;
    }
    return rc;
}

/* Any order that has equal names side by side, in order of adding. */
static int name_compare(const void *left, const void *right)
{
    const lk_name *a = left;
    const lk_name *b = right;
    int order = 0;

    if (a->str.len != b->str.len)
        return a->str.len < b->str.len ? -1 : 1;
    if (a->str.len > 0)
        order = memcmp(a->str.bytes, b->str.bytes, a->str.len);
    if (order != 0)
        return order;
    return a->position < b->position ? -1 : a->position > b->position;
}

bool lk_names_repeated(lk_names *names, size_t *ret_position)
{
    size_t first = SIZE_MAX;

    if (names->n > 1)
        qsort(names->names, names->n, sizeof(*names->names), name_compare);
    for (size_t i = 1; i < names->n; i++) {
        if (lk_str_equal(names->names[i - 1].str, names->names[i].str) &&
            names->names[i].position < first)
            first = names->names[i].position;
    }
    if (first == SIZE_MAX)
        return false;
    *ret_position = first;
    return true;
}

void lk_names_reset(lk_names *names)
{
    names->n = 0;
}

void lk_names_clear(lk_names *names)
{
    free(names->names);
    *names = (lk_names){0};
}
