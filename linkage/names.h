/* linkage/names.h — private: strings to numbers and back. */
#ifndef LK_LINKAGE_NAMES_H
#define LK_LINKAGE_NAMES_H

#include "linkage/strset.h"

/* Equal strings get equal numbers, from 0 in order of coming. The strings are
 * borrowed. {0} is empty; not to be moved once something was added. */
typedef struct lk_name_numbers {
    linkd_str *strings;
    size_t n;
    size_t capacity;
    lk_strset set;
} lk_name_numbers;

/* The number of `name`, which is a new one if ret_number == n before. */
LINKD_MUST_CHECK int lk_name_numbers_add(lk_name_numbers *names, linkd_str name,
                                         size_t *ret_number, linkd_error *err);

/* The number of `name`, or SIZE_MAX. */
size_t lk_name_numbers_find(const lk_name_numbers *names, linkd_str name);

void lk_name_numbers_clear(lk_name_numbers *names);

#endif
