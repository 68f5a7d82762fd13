/* encoder/charsmap.c — the replacements of a SentencePiece model.
 * The format is SentencePiece's: four bytes that give the array's size, a
 * double array, texts that end in NUL. A unit holds a byte to be compared
 * (bits 0-7 and 31), whether a key ends here (bit 8), and the distance to its
 * children (from bit 10; bit 9: in steps of 256).
 *
 * How it is applied is Hugging Face's, quirks and all: a grapheme cluster of
 * fewer than six bytes is looked up whole, any other one character by
 * character; and a key that a chunk merely begins with replaces the whole
 * chunk, the shortest such key first. */
#include "encoder/charsmap.h"

#include "encoder/graphemes.h"
#include "encoder/unicode.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum {
    CLUSTER_BYTES_MAX = 5,
    LEAF_BIT = 1 << 8,
    LABEL_MASK = 0xFF,
};
#define VALUE_BIT (UINT32_C(1) << 31)

static uint32_t word_read(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 |
           (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

int lk_charsmap_parse(const uint8_t *bytes, size_t len, lk_charsmap *ret_map,
                      linkd_error *err)
{
    size_t n_array_bytes = len >= 4 ? word_read(bytes) : 0;
    uint32_t *units;
    char *texts;

    if (len < 4 || n_array_bytes > len - 4 || n_array_bytes % 4 != 0 ||
        n_array_bytes == 0)
        return lk_fail(err, LINKD_E_DATA, "precompiled_charsmap is cut off");
    units = malloc(len + 1 - 4);
    if (units == NULL)
        return lk_fail_nomem(err);
    texts = (char *)units + n_array_bytes;
    for (size_t i = 0; i < n_array_bytes / 4; i++)
        units[i] = word_read(bytes + 4 + 4 * i);
    memcpy(texts, bytes + 4 + n_array_bytes, len - 4 - n_array_bytes);
    texts[len - 4 - n_array_bytes] = '\0';
    *ret_map = (lk_charsmap){.units = units,
                             .n_units = n_array_bytes / 4,
                             .texts = texts,
                             .n_text_bytes = len - 4 - n_array_bytes,
                             .owned = units};
    return LINKD_OK;
}

int lk_charsmap_borrow(lk_charsmap *map, const uint32_t *units, size_t n_units,
                       const char *texts, size_t n_text_bytes, linkd_error *err)
{
    if (n_units == 0 || texts[n_text_bytes] != '\0')
        return lk_fail(err, LINKD_E_DATA, "no table of replacements");
    *map = (lk_charsmap){.units = units,
                         .n_units = n_units,
                         .texts = texts,
                         .n_text_bytes = n_text_bytes};
    return LINKD_OK;
}

void lk_charsmap_clear(lk_charsmap *map)
{
    free(map->owned);
    *map = (lk_charsmap){0};
}

static uint32_t children_of(uint32_t unit)
{
    return (unit >> 10) << ((unit >> 6) & 8);
}

/* The text of the shortest key that `chunk` begins with; NULL: none. */
static const char *replacement_find(const lk_charsmap *map, linkd_str chunk)
{
    uint32_t at = children_of(map->units[0]);

    for (size_t i = 0; i < chunk.len && chunk.bytes[i] != '\0'; i++) {
        uint8_t byte = (uint8_t)chunk.bytes[i];
        uint32_t unit;

        at ^= byte;
        if (at >= map->n_units)
            return NULL;
        unit = map->units[at];
        if ((unit & (VALUE_BIT | LABEL_MASK)) != byte)
            return NULL;
        at ^= children_of(unit);
        if ((unit & LEAF_BIT) && at < map->n_units &&
            (map->units[at] & ~VALUE_BIT) < map->n_text_bytes)
            return map->texts + (map->units[at] & ~VALUE_BIT);
    }
    return NULL;
}

static int chars_apply(const lk_charsmap *map, linkd_str cluster, lk_buf *out,
                       linkd_error *err)
{
    int rc = LINKD_OK;

    while (cluster.len > 0 && rc == LINKD_OK) {
        uint32_t cp;
        linkd_str one = {
            cluster.bytes,
            lk_utf8_read((const uint8_t *)cluster.bytes, cluster.len, &cp)};
        const char *text = replacement_find(map, one);

        rc = text != NULL ? lk_buf_append(out, text, strlen(text), err)
                          : lk_buf_append(out, one.bytes, one.len, err);
        cluster.bytes += one.len;
        cluster.len -= one.len;
    }
    return rc;
}

int lk_charsmap_apply(const lk_charsmap *map, linkd_str text, lk_buf *out,
                      linkd_error *err)
{
    int rc = LINKD_OK;

    while (text.len > 0 && rc == LINKD_OK) {
        linkd_str cluster = {text.bytes, lk_grapheme_length(text)};
        const char *whole = NULL;

        if (cluster.len <= CLUSTER_BYTES_MAX)
            whole = replacement_find(map, cluster);
        rc = whole != NULL ? lk_buf_append(out, whole, strlen(whole), err)
                           : chars_apply(map, cluster, out, err);
        text.bytes += cluster.len;
        text.len -= cluster.len;
    }
    return rc;
}
