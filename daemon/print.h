/* daemon/print.h — private: parts of JSON answers that several handlers print.
 * Straight into the response: no tree is built. */
#ifndef LK_DAEMON_PRINT_H
#define LK_DAEMON_PRINT_H

#include "daemon/request.h"
#include "index/index.h"

/* {"name":value,…}: texts as strings, literals as they are. */
LINKD_MUST_CHECK int lk_print_fields(lk_buf *buf, const linkd_field *fields,
                                     size_t n_fields, linkd_error *err);
/* ,"entity":7 or nothing for LINKD_ID_NONE. */
LINKD_MUST_CHECK int lk_print_entity(lk_buf *buf, uint64_t entity,
                                     linkd_error *err);
/* [0.1,…] with the nine digits that give every float back. */
LINKD_MUST_CHECK int lk_print_vector(lk_buf *buf, const float *vector,
                                     size_t dim, linkd_error *err);

/* Digits alone. LINKD_E_ARG: it is not, or too large; `name` is whose value. */
LINKD_MUST_CHECK int lk_str_to_u64(linkd_str text, const char *name,
                                   uint64_t *ret_value, linkd_error *err);

#endif
