/* index/names.h — private: which of many names comes twice. */
#ifndef LK_INDEX_NAMES_H
#define LK_INDEX_NAMES_H

#include "index/index.h"

typedef struct lk_name {
    linkd_str str;
    size_t position; /* in order of adding */
} lk_name;

/* {0} is empty. Borrows the strings. */
typedef struct lk_names {
    lk_name *names;
    size_t n;
    size_t capacity;
} lk_names;

LINKD_MUST_CHECK int lk_names_add(lk_names *names, linkd_str str,
                                  linkd_error *err);
/* Finds the first name that equals one before it. Loses their order. */
bool lk_names_repeated(lk_names *names, size_t *ret_position);
void lk_names_reset(lk_names *names);
void lk_names_clear(lk_names *names);

#endif
