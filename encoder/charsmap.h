/* encoder/charsmap.h — SentencePiece's table of replacements
 * (precompiled_charsmap), as Hugging Face's tokenizers apply it. */
#ifndef LK_ENCODER_CHARSMAP_H
#define LK_ENCODER_CHARSMAP_H

#include "base/base.h"

/* {0} replaces nothing. */
typedef struct lk_charsmap {
    const uint32_t *units; /* a double array over the bytes of the keys */
    size_t n_units;
    const char *texts;   /* the replacements, a NUL after each … */
    size_t n_text_bytes; /* … and one more after these */
    void *owned;         /* all of it, or NULL: it is borrowed */
} lk_charsmap;

/* Takes the bytes of a charsmap apart. LINKD_E_DATA: they are cut off.
 * LINKD_E_NOMEM. lk_charsmap_clear() frees it, after a failure too. */
LINKD_MUST_CHECK int lk_charsmap_parse(const uint8_t *bytes, size_t len,
                                       lk_charsmap *ret_map, linkd_error *err);
/* Borrows what another one has, which may be hostile: `texts` has n_text_bytes and
 * one more. LINKD_E_DATA: there are no units, or no NUL ends the texts. */
LINKD_MUST_CHECK int lk_charsmap_borrow(lk_charsmap *map, const uint32_t *units,
                                        size_t n_units, const char *texts,
                                        size_t n_text_bytes, linkd_error *err);
void lk_charsmap_clear(lk_charsmap *map);

/* Appends `text`, valid UTF-8, with its replacements to `out`. */
LINKD_MUST_CHECK int lk_charsmap_apply(const lk_charsmap *map, linkd_str text,
                                       lk_buf *out, linkd_error *err);

#endif
