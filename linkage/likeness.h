/* linkage/likeness.h — private: one number for how alike two cells are, out of
 * what the comparators of a field say. */
#ifndef LK_LINKAGE_LIKENESS_H
#define LK_LINKAGE_LIKENESS_H

#include "linkage/features.h"

enum {
    /* gram, soft, contain, edit, exact, number */
    LK_LIKENESS_COLUMNS_MAX = 6,
    /* A mean of up to six bytes, as a whole number: 60 is what 1 … 6 divide. */
    LK_LIKENESS_SCALE = 60,
    LK_LIKENESS_ONE = 254 * LK_LIKENESS_SCALE,
    LK_LIKENESS_MISSING = LK_LIKENESS_ONE + 1,
    LK_LIKENESS_GRID = LK_LIKENESS_ONE + 2, /* numbers there are */
};

/* The comparators of a field whose mean is its likeness. */
typedef struct lk_likeness {
    size_t field; /* or LK_FIELD_RECORD */
    size_t n_columns;
    size_t columns[LK_LIKENESS_COLUMNS_MAX]; /* positions in a pair's values */
} lk_likeness;

/* The fields that have one, in the order of their first features; to be freed
 * with free(). */
LINKD_MUST_CHECK int lk_likeness_list(const lk_features *features,
                                      lk_likeness **ret_list, size_t *ret_n,
                                      linkd_error *err);

/* The position of a feature, or SIZE_MAX. */
size_t lk_feature_find(const lk_features *features, size_t field,
                       lk_comparator comparator);

/* The mean of what is not missing, times 254 * LK_LIKENESS_SCALE and exact; or
 * LK_LIKENESS_MISSING. */
static inline uint32_t lk_likeness_of(const lk_likeness *likeness,
                                      const uint8_t *values)
{
    uint32_t sum = 0;
    uint32_t n = 0;

    for (size_t i = 0; i < likeness->n_columns; i++) {
        uint8_t value = values[likeness->columns[i]];

        if (value == LK_FEATURE_MISSING)
            continue;
        sum += value;
        n++;
    }
    return n > 0 ? sum * ((uint32_t)LK_LIKENESS_SCALE / n)
                 : (uint32_t)LK_LIKENESS_MISSING;
}

#endif
