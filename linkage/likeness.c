/* linkage/likeness.c — which features make up the likeness of a field.
 *
 * Only comparators that say "the same" with 1 and "nothing in common" with 0
 * can be averaged; how much evidence an agreement is, or how a pair stands among
 * others, is another scale. */
#include <stdlib.h>

#include "linkage/likeness.h"

static bool is_likeness(lk_comparator comparator)
{
    switch (comparator) {
    case LK_COMPARE_GRAM:
    case LK_COMPARE_SOFT:
    case LK_COMPARE_CONTAIN:
    case LK_COMPARE_EDIT:
    case LK_COMPARE_EXACT:
    case LK_COMPARE_NUMBER:
        return true;
    default:
        return false;
    }
}

static lk_likeness *of_field(lk_likeness *list, size_t *n, size_t field)
{
    for (size_t i = 0; i < *n; i++)
        if (list[i].field == field)
            return &list[i];
    list[*n] = (lk_likeness){.field = field};
    return &list[(*n)++];
}

int lk_likeness_list(const lk_features *features, lk_likeness **ret_list,
                     size_t *ret_n, linkd_error *err)
{
    lk_likeness *list = calloc(features->n + 1, sizeof(*list));
    size_t n = 0;

    if (list == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < features->n; i++) {
        lk_likeness *likeness;

        if (!is_likeness(features->features[i].comparator))
            continue;
        likeness = of_field(list, &n, features->features[i].field);
        LK_ASSERT(likeness->n_columns < LK_LIKENESS_COLUMNS_MAX);
        likeness->columns[likeness->n_columns++] = i;
    }
    *ret_list = list;
    *ret_n = n;
    return LINKD_OK;
}

size_t lk_feature_find(const lk_features *features, size_t field,
                       lk_comparator comparator)
{
    for (size_t i = 0; i < features->n; i++)
        if (features->features[i].field == field &&
            features->features[i].comparator == comparator)
            return i;
    return SIZE_MAX;
}
