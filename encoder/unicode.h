/* encoder/unicode.h — what Hugging Face's tokenizers do to one code point. */
#ifndef LK_ENCODER_UNICODE_H
#define LK_ENCODER_UNICODE_H

#include <stddef.h>
#include <stdint.h>

/* The tables are the oracle's own answers, not a Unicode version: its general
 * categories stopped at Unicode 8 while its lower-casing moves on. */
enum {
    LK_CP_DROPPED = 1,     /* removed by clean_text */
    LK_CP_SPACE = 2,       /* separates words */
    LK_CP_PUNCTUATION = 4, /* a word of its own */
    LK_CP_CJK = 8,         /* gets spaces around it */
    LK_CP_MARK = 16,       /* removed by strip_accents */
    LK_CP_DECOMPOSES = 32, /* replaced by strip_accents */
    LK_CP_LOWERS = 64,     /* replaced by lowercase */
    LK_CP_NONSTARTER = 128 /* its combining class is not 0 */
};

/* A shape, from the same oracle: a grapheme class, a byte-level class, flags. */
enum {
    LK_SHAPE_GRAPHEME = 7, /* the class's bits */
    LK_GRAPHEME_OTHER = 0,
    LK_GRAPHEME_CONTROL = 1,    /* a cluster of its own */
    LK_GRAPHEME_EXTEND = 2,     /* belongs to what is before it */
    LK_GRAPHEME_PREPEND = 3,    /* belongs to what is after it */
    LK_GRAPHEME_PICTOGRAPH = 4, /* joins with another over U+200D */
    LK_SHAPE_BYTES = 3 << 3,    /* the class's bits */
    LK_BYTES_OTHER = 0 << 3,
    LK_BYTES_LETTER = 1 << 3,
    LK_BYTES_NUMBER = 2 << 3,
    LK_BYTES_SPACE = 3 << 3,
    LK_SHAPE_SPACE = 1 << 5, /* Unicode's White_Space */
    LK_SHAPE_MARK = 1 << 6,  /* any mark, removed by StripAccents */
    LK_SHAPE_WORD = 1 << 7,  /* \w of a regular expression */
};

enum {
    LK_REPLACEMENT_CP = 0xFFFD, /* stands for a byte that is not UTF-8 */
    LK_UTF8_MAX = 4,            /* bytes of one code point */
    LK_EXPANSION_MAX = 3,       /* code points that replace one */
    LK_DECOMPOSED_MAX = 18,     /* the same with all marks, or compatibly */
};

/* The properties, LK_CP_* ORed. */
uint32_t lk_unicode_properties(uint32_t cp);

/* Writes what replaces `cp` and returns how many code points that is. */
size_t lk_unicode_decompose(uint32_t cp, uint32_t ret_cps[LK_EXPANSION_MAX]);
size_t lk_unicode_lower(uint32_t cp, uint32_t ret_cps[LK_EXPANSION_MAX]);

/* The canonical combining class of what is left after accents are stripped. */
uint32_t lk_unicode_order(uint32_t cp);

/* The shape, LK_GRAPHEME_*, LK_BYTES_* and LK_SHAPE_* ORed. */
uint32_t lk_unicode_shape(uint32_t cp);

/* The canonical combining class, 0 for most. */
uint32_t lk_unicode_class(uint32_t cp);

/* Writes the full canonical decomposition, which is `cp` itself for most, and
 * returns how many code points that is. */
size_t lk_unicode_decompose_fully(uint32_t cp,
                                  uint32_t ret_cps[LK_DECOMPOSED_MAX]);
/* The same by the full compatibility decomposition. */
size_t lk_unicode_decompose_compatibly(uint32_t cp,
                                       uint32_t ret_cps[LK_DECOMPOSED_MAX]);
/* What the two compose to; 0: nothing. */
uint32_t lk_unicode_compose(uint32_t first, uint32_t second);

/* Reads one code point of `n` >= 1 bytes and returns its length. A byte that
 * begins no valid sequence is read alone, as U+FFFD. */
size_t lk_utf8_read(const uint8_t *bytes, size_t n, uint32_t *ret_cp);
/* Writes `cp`, returns its length. */
size_t lk_utf8_write(uint32_t cp, uint8_t ret_bytes[LK_UTF8_MAX]);

#endif
