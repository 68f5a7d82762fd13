/* daemon/base64.h — private: RFC 4648 §4, with padding. */
#ifndef LK_DAEMON_BASE64_H
#define LK_DAEMON_BASE64_H

#include "base/base.h"

/* Bytes that `text` decodes to if it is base64. */
size_t lk_base64_decoded_len(linkd_str text);
/* Writes lk_base64_decoded_len() bytes. LINKD_E_ARG: a character, the length
 * or the padding is wrong. */
LINKD_MUST_CHECK int lk_base64_decode(linkd_str text, void *ret_bytes,
                                      linkd_error *err);
LINKD_MUST_CHECK int lk_base64_encode(const void *bytes, size_t len,
                                      lk_buf *ret_text, linkd_error *err);

#endif
