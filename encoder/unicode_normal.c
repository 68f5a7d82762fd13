/* encoder/unicode_normal.c — the normal forms (Unicode's annex 15).
 *
 *   text ─► decomposed, with classes ─► marks in order ─► composed ─► UTF-8
 *
 * The data are the oracle's, as in unicode.c: characters that its tables do not
 * know yet stay as they are. */
#include "encoder/unicode_normal.h"

#include "encoder/unicode.h"

#include <stdbool.h>
#include <stdlib.h>

enum {
    CLASS_SHIFT = 24,
    CP_MASK = (1 << CLASS_SHIFT) - 1,
};

void lk_code_points_clear(lk_code_points *points)
{
    free(points->words);
    *points = (lk_code_points){0};
}

/* Appends one mark or starter; marks of a higher class give way to it. */
static void point_put(lk_code_points *points, uint32_t cp)
{
    uint32_t class = lk_unicode_class(cp);
    size_t place = points->n++;

    while (class != 0 && place > 0 &&
           points->words[place - 1] >> CLASS_SHIFT > class) {
        points->words[place] = points->words[place - 1];
        place--;
    }
    points->words[place] = class << CLASS_SHIFT | cp;
}

static int decompose(linkd_str text, bool is_compatible, lk_code_points *points,
                     linkd_error *err)
{
    const uint8_t *at = (const uint8_t *)text.bytes;
    const uint8_t *end = at + text.len;
    uint32_t parts[LK_DECOMPOSED_MAX];

    points->n = 0;
    while (at < end) {
        uint32_t cp;
        size_t n;
        int rc =
            lk_grow((void **)&points->words, &points->capacity,
                    points->n + LK_DECOMPOSED_MAX, sizeof(*points->words), err);

        if (rc != LINKD_OK)
            return rc;
        at += lk_utf8_read(at, (size_t)(end - at), &cp);
        n = is_compatible ? lk_unicode_decompose_compatibly(cp, parts)
                          : lk_unicode_decompose_fully(cp, parts);
        for (size_t i = 0; i < n; i++)
            point_put(points, parts[i]);
    }
    return LINKD_OK;
}

/* Composes in place: each mark with the last starter, unless a mark of the same
 * or a higher class stands between them. */
static void compose(lk_code_points *points)
{
    uint32_t *words = points->words;
    uint32_t *starter = NULL;
    int32_t between = -1; /* class of the last that stayed; -1: none did */
    size_t n = 0;

    for (size_t i = 0; i < points->n; i++) {
        int32_t class = (int32_t)(words[i] >> CLASS_SHIFT);
        uint32_t composed = 0;

        if (starter != NULL && between < class)
            composed = lk_unicode_compose(*starter, words[i] & CP_MASK);
        if (composed != 0) {
            *starter = composed;
            continue;
        }
        words[n] = words[i];
        between = class;
        if (class == 0) {
            starter = &words[n];
            between = -1;
        }
        n++;
    }
    points->n = n;
}

static bool is_ascii(linkd_str text)
{
    for (size_t i = 0; i < text.len; i++)
        if ((uint8_t)text.bytes[i] >= 0x80)
            return false;
    return true;
}

int lk_unicode_normalize(linkd_str text, lk_normal_form form,
                         lk_code_points *points, lk_buf *out, linkd_error *err)
{
    int rc;

    if (is_ascii(text))
        return lk_buf_append(out, text.bytes, text.len, err);
    rc = decompose(text, form == LK_NFKD || form == LK_NFKC, points, err);
    if (rc == LINKD_OK && (form == LK_NFC || form == LK_NFKC))
        compose(points);
    for (size_t i = 0; i < points->n && rc == LINKD_OK; i++) {
        uint8_t utf8[LK_UTF8_MAX];
        size_t len = lk_utf8_write(points->words[i] & CP_MASK, utf8);

        rc = lk_buf_append(out, utf8, len, err);
    }
    return rc;
}
