/* encoder/unicode_normal.h — the normal forms of a text. */
#ifndef LK_ENCODER_UNICODE_NORMAL_H
#define LK_ENCODER_UNICODE_NORMAL_H

#include "base/base.h"

/* Scratch, reused from text to text. {0} is empty. */
typedef struct lk_code_points {
    uint32_t *words; /* combining class << 24 | code point */
    size_t n;
    size_t capacity;
} lk_code_points;

void lk_code_points_clear(lk_code_points *points);

/* Decomposed or composed again, by what is the same or by what is compatible
 * with it, such as a ligature with its letters. */
typedef enum lk_normal_form {
    LK_NFD,
    LK_NFC,
    LK_NFKD,
    LK_NFKC,
} lk_normal_form;

/* Appends that form of `text`, which is valid UTF-8, to `out`. LINKD_E_NOMEM. */
LINKD_MUST_CHECK int lk_unicode_normalize(linkd_str text, lk_normal_form form,
                                          lk_code_points *points, lk_buf *out,
                                          linkd_error *err);

#endif
