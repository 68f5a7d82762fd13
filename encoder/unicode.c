/* encoder/unicode.c — looks code points up, and reads and writes UTF-8.
 * A property needs 2,495 ranges in all, since upper and lower case alternate in
 * whole blocks; one word a range makes a table of 10 KB that stays in the first
 * cache, and twelve steps without a branch find the range. ASCII never comes
 * here: bert_words.c has a table of its own for it. */
#include "encoder/unicode.h"

#include "encoder/unicode_forms.h"
#include "encoder/unicode_tables.h"

enum {
    PROPERTY_BITS = 8,
    PROPERTY_MASK = 0xFF,
};

/* Hangul syllables are decomposed by arithmetic (Unicode standard, 3.12). */
enum {
    SYLLABLE_FIRST = 0xAC00,
    SYLLABLE_LAST = 0xD7A3,
    LEAD_FIRST = 0x1100,
    VOWEL_FIRST = 0x1161,
    TAIL_NONE = 0x11A7,
    N_LEADS = 19,
    N_VOWELS = 21,
    N_TAILS = 28,
    N_VOWELS_TAILS = N_VOWELS * N_TAILS,
};

/* The last word that is not above `key`; the first is never above it. */
static uint32_t word_find(const uint32_t *words, size_t n, uint32_t key)
{
    while (n > 1) {
        size_t half = n / 2;

        words = words[half] <= key ? words + half : words;
        n -= half;
    }
    return *words;
}

uint32_t lk_unicode_properties(uint32_t cp)
{
    return word_find(lk_unicode_ranges, lk_unicode_n_ranges,
                     cp << PROPERTY_BITS | PROPERTY_MASK) &
           PROPERTY_MASK;
}

/* What a sorted table of single code points says; 0 for others. */
static uint32_t single_find(const uint32_t *words, size_t n, uint32_t cp)
{
    uint32_t word = word_find(words, n, cp << PROPERTY_BITS | PROPERTY_MASK);

    return word >> PROPERTY_BITS == cp ? word & PROPERTY_MASK : 0;
}

uint32_t lk_unicode_order(uint32_t cp)
{
    return single_find(lk_unicode_orders, lk_unicode_n_orders, cp);
}

uint32_t lk_unicode_class(uint32_t cp)
{
    return single_find(lk_unicode_classes, lk_unicode_n_classes, cp);
}

uint32_t lk_unicode_shape(uint32_t cp)
{
    return word_find(lk_unicode_shapes, lk_unicode_n_shapes,
                     cp << PROPERTY_BITS | PROPERTY_MASK) &
           PROPERTY_MASK;
}

static size_t pairs_read(const lk_unicode_pair *pairs, size_t n_pairs,
                         uint32_t cp, uint32_t *ret_cps)
{
    size_t low = 0, high = n_pairs, n = 0;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (pairs[middle].from < cp)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < n_pairs && pairs[low].from == cp; low++)
        ret_cps[n++] = pairs[low].to;
    return n;
}

static size_t syllable_decompose(uint32_t cp, uint32_t *ret_cps)
{
    uint32_t index = cp - SYLLABLE_FIRST;

    ret_cps[0] = LEAD_FIRST + index / N_VOWELS_TAILS;
    ret_cps[1] = VOWEL_FIRST + index % N_VOWELS_TAILS / N_TAILS;
    ret_cps[2] = TAIL_NONE + index % N_TAILS;
    return ret_cps[2] == TAIL_NONE ? 2 : 3;
}

size_t lk_unicode_decompose(uint32_t cp, uint32_t ret_cps[LK_EXPANSION_MAX])
{
    if (cp >= SYLLABLE_FIRST && cp <= SYLLABLE_LAST)
        return syllable_decompose(cp, ret_cps);
    return pairs_read(lk_unicode_decompositions, lk_unicode_n_decompositions,
                      cp, ret_cps);
}

size_t lk_unicode_decompose_fully(uint32_t cp,
                                  uint32_t ret_cps[LK_DECOMPOSED_MAX])
{
    size_t n;

    if (cp >= SYLLABLE_FIRST && cp <= SYLLABLE_LAST)
        return syllable_decompose(cp, ret_cps);
    n = pairs_read(lk_unicode_full_decompositions,
                   lk_unicode_n_full_decompositions, cp, ret_cps);
    if (n == 0)
        ret_cps[n++] = cp;
    return n;
}

size_t lk_unicode_decompose_compatibly(uint32_t cp,
                                       uint32_t ret_cps[LK_DECOMPOSED_MAX])
{
    size_t n = pairs_read(lk_unicode_compatible_decompositions,
                          lk_unicode_n_compatible_decompositions, cp, ret_cps);

    return n > 0 ? n : lk_unicode_decompose_fully(cp, ret_cps);
}

/* A lead and a vowel, or a syllable without tail and a tail; 0: neither. */
static uint32_t syllable_compose(uint32_t first, uint32_t second)
{
    if (first - LEAD_FIRST < N_LEADS && second - VOWEL_FIRST < N_VOWELS)
        return SYLLABLE_FIRST + (first - LEAD_FIRST) * N_VOWELS_TAILS +
               (second - VOWEL_FIRST) * N_TAILS;
    if (first >= SYLLABLE_FIRST && first <= SYLLABLE_LAST &&
        (first - SYLLABLE_FIRST) % N_TAILS == 0 && second > TAIL_NONE &&
        second < TAIL_NONE + N_TAILS)
        return first + (second - TAIL_NONE);
    return 0;
}

uint32_t lk_unicode_compose(uint32_t first, uint32_t second)
{
    const lk_unicode_composition *table = lk_unicode_compositions;
    size_t low = 0, high = lk_unicode_n_compositions;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (table[middle].first < first ||
            (table[middle].first == first && table[middle].second < second))
            low = middle + 1;
        else
            high = middle;
    }
    if (low < lk_unicode_n_compositions && table[low].first == first &&
        table[low].second == second)
        return table[low].composed;
    return syllable_compose(first, second);
}

size_t lk_unicode_lower(uint32_t cp, uint32_t ret_cps[LK_EXPANSION_MAX])
{
    return pairs_read(lk_unicode_lowers, lk_unicode_n_lowers, cp, ret_cps);
}

/* Bytes of the sequence that `lead` announces; 0: it announces none. */
static size_t utf8_length(uint8_t lead)
{
    if (lead < 0x80)
        return 1;
    if (lead < 0xC2)
        return 0;
    if (lead < 0xE0)
        return 2;
    if (lead < 0xF0)
        return 3;
    return lead < 0xF5 ? 4 : 0;
}

size_t lk_utf8_read(const uint8_t *bytes, size_t n, uint32_t *ret_cp)
{
    static const uint8_t lead_masks[] = {0, 0x7F, 0x1F, 0x0F, 0x07};
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t len = utf8_length(bytes[0]);
    uint32_t cp;

    *ret_cp = LK_REPLACEMENT_CP;
    if (len == 0 || len > n)
        return 1;
    cp = bytes[0] & lead_masks[len];
    for (size_t i = 1; i < len; i++) {
        if ((bytes[i] & 0xC0) != 0x80)
            return 1;
        cp = cp << 6 | (bytes[i] & 0x3F);
    }
    if (cp < smallest[len] || cp > 0x10FFFF || (cp >= 0xD800 && cp <= 0xDFFF))
        return 1;
    *ret_cp = cp;
    return len;
}

size_t lk_utf8_write(uint32_t cp, uint8_t ret_bytes[LK_UTF8_MAX])
{
    static const uint8_t leads[] = {0, 0, 0xC0, 0xE0, 0xF0};
    size_t len = cp < 0x80 ? 1 : cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;

    for (size_t i = len - 1; i > 0; i--) {
        ret_bytes[i] = (uint8_t)(0x80 | (cp & 0x3F));
        cp >>= 6;
    }
    ret_bytes[0] = (uint8_t)(leads[len] | cp);
    return len;
}
