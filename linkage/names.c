/* linkage/names.c — strings to numbers and back: an array of the strings, and
 * a set of its positions. Whoever compares ids compares numbers after this. */
#include "linkage/names.h"

#include <stdlib.h>

static linkd_str name_get(const void *ctx, size_t index)
{
    const lk_name_numbers *names = ctx;

    return names->strings[index];
}

int lk_name_numbers_add(lk_name_numbers *names, linkd_str name,
                        size_t *ret_number, linkd_error *err)
{
    void *strings = names->strings;
    int rc = lk_grow(&strings, &names->capacity, names->n + 1,
                     sizeof(*names->strings), err);

    names->strings = strings;
    if (rc != LINKD_OK)
        return rc;
    names->set.key = name_get;
    names->set.ctx = names;
    names->strings[names->n] = name;
    rc = lk_strset_add(&names->set, names->n, ret_number, err);
    if (rc == LINKD_OK && *ret_number == names->n)
        names->n++;
    return rc;
}

size_t lk_name_numbers_find(const lk_name_numbers *names, linkd_str name)
{
    return names->n > 0 ? lk_strset_find(&names->set, name) : SIZE_MAX;
}

void lk_name_numbers_clear(lk_name_numbers *names)
{
    lk_strset_clear(&names->set);
    free(names->strings);
    *names = (lk_name_numbers){0};
}
