/* encoder/graphemes.h — where what a reader calls a character ends. */
#ifndef LK_ENCODER_GRAPHEMES_H
#define LK_ENCODER_GRAPHEMES_H

#include "base/base.h"

/* Bytes of the grapheme cluster that `text`, valid UTF-8 of at least one byte,
 * begins with. */
size_t lk_grapheme_length(linkd_str text);

#endif
