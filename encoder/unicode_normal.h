/* encoder/unicode_normal.h — canonical decomposition and composition of a text.
 */
#ifndef LK_ENCODER_UNICODE_NORMAL_H
#define LK_ENCODER_UNICODE_NORMAL_H

#include "base/base.h"

#include <stdbool.h>

/* Scratch, reused from text to text. {0} is empty. */
typedef struct lk_code_points {
    uint32_t *words; /* combining class << 24 | code point */
    size_t n;
    size_t capacity;
} lk_code_points;

void lk_code_points_clear(lk_code_points *points);

/* Appends the NFC form of `text`, which is valid UTF-8, to `out`; the NFD form
 * where `composed` is false. LINKD_E_NOMEM. */
LINKD_MUST_CHECK int lk_unicode_normalize(linkd_str text, bool composed,
                                          lk_code_points *points, lk_buf *out,
                                          linkd_error *err);

#endif
