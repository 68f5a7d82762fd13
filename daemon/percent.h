/* daemon/percent.h — private: percent-encoded parts of a URL (RFC 3986 §2.1).
 */
#ifndef LK_DAEMON_PERCENT_H
#define LK_DAEMON_PERCENT_H

#include <stdbool.h>

#include "base/base.h"

/* The decoded text, in the arena; `plus_is_space` as in a query. LINKD_E_ARG:
 * an escape is not two hex digits, or the result is not UTF-8 without NUL. */
LINKD_MUST_CHECK int lk_percent_decode(lk_arena *arena, linkd_str text,
                                       bool plus_is_space, linkd_str *ret_text,
                                       linkd_error *err);

#endif
