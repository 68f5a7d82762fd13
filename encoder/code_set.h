/* encoder/code_set.h — sets of code points: what a class of a regular expression
 * stands for. */
#ifndef LK_ENCODER_CODE_SET_H
#define LK_ENCODER_CODE_SET_H

#include <stdbool.h>

#include "base/base.h"

typedef struct lk_code_range {
    uint32_t first, last;
} lk_code_range;

/* {0} is empty. */
typedef struct lk_code_set {
    lk_code_range *ranges; /* in order and apart, once it is finished */
    size_t n;
    size_t capacity;
    uint64_t ascii[2]; /* a bit each, once it is finished */
} lk_code_set;

void lk_code_set_clear(lk_code_set *set);

/* LINKD_E_NOMEM. */
LINKD_MUST_CHECK int lk_code_set_add(lk_code_set *set, uint32_t first,
                                     uint32_t last, linkd_error *err);
LINKD_MUST_CHECK int lk_code_set_add_set(lk_code_set *set,
                                         const lk_code_set *other,
                                         linkd_error *err);
/* All of a general category, of "L" or of "Lu"; LINKD_E_DATA: there is none of
 * that name. */
LINKD_MUST_CHECK int lk_code_set_add_category(lk_code_set *set, linkd_str name,
                                              linkd_error *err);
/* White space, as \s has it. */
LINKD_MUST_CHECK int lk_code_set_add_spaces(lk_code_set *set, linkd_error *err);

/* Puts the ranges in order. LINKD_E_NOMEM. */
LINKD_MUST_CHECK int lk_code_set_finish(lk_code_set *set, linkd_error *err);
/* All others instead; the set must be finished, and is so afterwards. */
LINKD_MUST_CHECK int lk_code_set_negate(lk_code_set *set, linkd_error *err);

bool lk_code_set_has(const lk_code_set *set, uint32_t cp);

#endif
