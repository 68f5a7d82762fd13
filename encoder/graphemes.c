/* encoder/graphemes.c — grapheme clusters (Unicode's annex 29).
 * charsmap.c asks only for clusters of up to five bytes, so two rules are left
 * out that join nothing shorter: pairs of regional indicators (eight bytes) and
 * Indic conjuncts (nine). */
#include "encoder/graphemes.h"

#include "encoder/unicode.h"

#include <stdbool.h>

enum {
    JOINER = 0x200D,
};

/* Hangul's classes; NONE is every other character. */
typedef enum jamo { NONE, LEAD, VOWEL, TAIL, OPEN, CLOSED } jamo;

static bool within(uint32_t cp, uint32_t first, uint32_t last)
{
    return cp >= first && cp <= last;
}

static jamo jamo_of(uint32_t cp)
{
    if (within(cp, 0xAC00, 0xD7A3))
        return (cp - 0xAC00) % 28 == 0 ? OPEN : CLOSED;
    if (within(cp, 0x1100, 0x115F) || within(cp, 0xA960, 0xA97C))
        return LEAD;
    if (within(cp, 0x1160, 0x11A7) || within(cp, 0xD7B0, 0xD7C6))
        return VOWEL;
    if (within(cp, 0x11A8, 0x11FF) || within(cp, 0xD7CB, 0xD7FB))
        return TAIL;
    return NONE;
}

static bool jamos_join(uint32_t before, uint32_t after)
{
    jamo left = jamo_of(before), right = jamo_of(after);

    if (left == LEAD)
        return right == LEAD || right == VOWEL || right == OPEN ||
               right == CLOSED;
    if (left == VOWEL || left == OPEN)
        return right == VOWEL || right == TAIL;
    return (left == TAIL || left == CLOSED) && right == TAIL;
}

static uint32_t class_of(uint32_t cp)
{
    return lk_unicode_shape(cp) & LK_SHAPE_GRAPHEME;
}

size_t lk_grapheme_length(linkd_str text)
{
    const uint8_t *bytes = (const uint8_t *)text.bytes;
    uint32_t before, after;
    size_t at = lk_utf8_read(bytes, text.len, &before);
    uint32_t left = class_of(before);
    /* a pictograph and what extends it are behind us */
    bool is_pictograph = left == LK_GRAPHEME_PICTOGRAPH;

    if (before == '\r' && at < text.len && bytes[at] == '\n')
        return at + 1;
    while (at < text.len && left != LK_GRAPHEME_CONTROL) {
        size_t len = lk_utf8_read(bytes + at, text.len - at, &after);
        uint32_t right = class_of(after);
        bool joins =
            right == LK_GRAPHEME_EXTEND ||
            (left == LK_GRAPHEME_PREPEND && right != LK_GRAPHEME_CONTROL) ||
            (before == JOINER && is_pictograph &&
             right == LK_GRAPHEME_PICTOGRAPH) ||
            jamos_join(before, after);

        if (!joins)
            break;
        if (right != LK_GRAPHEME_EXTEND)
            is_pictograph = right == LK_GRAPHEME_PICTOGRAPH;
        before = after;
        left = right;
        at += len;
    }
    return at;
}
