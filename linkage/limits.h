/* linkage/limits.h — private: limits in JSON. */
#ifndef LK_LINKAGE_LIMITS_H
#define LK_LINKAGE_LIMITS_H

#include <jansson.h>

#include "linkage/collection.h"

/* As linkd_limit_parse(). */
LINKD_MUST_CHECK int lk_limit_read(const json_t *value, const char *name,
                                   linkd_limit *ret_limit, linkd_error *err);

#endif
