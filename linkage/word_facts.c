/* linkage/word_facts.c — what excludes that two words are alike, and a memory of
 * those that might be.
 *
 * The bound. Let m be the number of characters that two words of length p <= q
 * have in common, counted as a multiset. Each class of characters (a … z, and
 * six for all others) that only one of the two has is at least one character
 * without a partner, so m <= p - (classes only the one has), and the same for
 * the other. Jaro's similarity is at most (m/p + m/q + 1) / 3, and Winkler's
 * follows from it and the common beginning, of which the 16 lowest bits of four
 * characters give an upper bound. A word with digits needs an edit distance of at
 * most 0.21 q, and any edit distance is at least q - m. */
#include "linkage/word_facts.h"

#include <stdlib.h>

#include "linkage/similarity.h"

/* Thresholds of lk_word_similarity(), less what rounding may cost. */
static const float JARO_WINKLER_MIN = 0.8399F;
static const float EDIT_MIN = 0.7899F;
static const float PREFIX_WEIGHT = 0.1F;

enum {
    CACHE_BITS = 15, /* 512 KiB: fits beside the rest in a core's L2 */
};

typedef struct lk_word_cached {
    uint64_t words; /* the lower id << 32 | the higher one; 0: free */
    float similarity;
} lk_word_cached;

/* ---- facts -------------------------------------------------------------- */

/* The next character of valid UTF-8. */
static uint32_t char_next(linkd_str word, size_t *at)
{
    uint8_t lead = (uint8_t)word.bytes[(*at)++];
    uint32_t c = lead;

    if (lead >= 0xf0)
        c = lead & 0x07U;
    else if (lead >= 0xe0)
        c = lead & 0x0fU;
    else if (lead >= 0xc0)
        c = lead & 0x1fU;
    while (*at < word.len && ((uint8_t)word.bytes[*at] & 0xc0U) == 0x80U)
        c = c << 6 | ((uint8_t)word.bytes[(*at)++] & 0x3fU);
    return c;
}

static uint32_t char_class(uint32_t c)
{
    return c >= 'a' && c <= 'z' ? c - 'a' : 26 + c % 6;
}

lk_word_fact lk_word_fact_of(linkd_str word)
{
    lk_word_fact fact = {.text = word};
    size_t at = 0;

    while (at < word.len) {
        uint32_t c = char_next(word, &at);

        if (fact.n_chars < 4)
            fact.start |= (uint64_t)(c & 0xffffU) << (16 * fact.n_chars);
        fact.letters |= UINT32_C(1) << char_class(c);
        fact.has_digit = fact.has_digit || (c >= '0' && c <= '9');
        fact.n_chars++;
    }
    fact.per_char = fact.n_chars > 0 ? 1.0F / (float)fact.n_chars : 0.0F;
    return fact;
}

/* The word that ends at the next space. */
static linkd_str word_next(linkd_str *rest)
{
    linkd_str word = {rest->bytes, 0};
    size_t skip;

    while (word.len < rest->len && word.bytes[word.len] != ' ')
        word.len++;
    skip = word.len + (word.len < rest->len);
    *rest = (linkd_str){rest->bytes + skip, rest->len - skip};
    return word;
}

int lk_word_facts_make(const lk_texts *texts, const lk_terms *words,
                       lk_word_fact **ret_facts, linkd_error *err)
{
    lk_word_fact *facts = calloc((size_t)words->n_ids + 1, sizeof(*facts));

    if (facts == NULL)
        return lk_fail_nomem(err);
    for (size_t r = 0; r < texts->n; r++) {
        linkd_str rest = lk_texts_get(texts, r);

        for (size_t w = words->sequence_offsets[r];
             w < words->sequence_offsets[r + 1]; w++) {
            linkd_str word = word_next(&rest);
            uint32_t id = words->sequence[w];

            if (facts[id].n_chars == 0) {
                facts[id] = lk_word_fact_of(word);
                facts[id].idf = lk_terms_idf(words, id);
            }
        }
    }
    *ret_facts = facts;
    return LINKD_OK;
}

/* ---- the bound ---------------------------------------------------------- */

/* How many bits each half of a word has, in each half. */
static uint64_t halves_count(uint64_t bits)
{
    bits -= bits >> 1 & UINT64_C(0x5555555555555555);
    bits = (bits & UINT64_C(0x3333333333333333)) +
           (bits >> 2 & UINT64_C(0x3333333333333333));
    bits = (bits + (bits >> 4)) & UINT64_C(0x0f0f0f0f0f0f0f0f);
    bits += bits >> 8;
    bits += bits >> 16;
    return bits & UINT64_C(0x000000ff000000ff);
}

/* At least as many as they have in common. */
static uint32_t common_max(const lk_word_fact *a, const lk_word_fact *b)
{
    uint64_t counts = halves_count((uint64_t)(a->letters & ~b->letters) << 32 |
                                   (b->letters & ~a->letters));
    uint32_t of_a = a->n_chars - (uint32_t)(counts >> 32);
    uint32_t of_b = b->n_chars - (uint32_t)counts;

    return of_a < of_b ? of_a : of_b;
}

static uint32_t prefix_max(const lk_word_fact *a, const lk_word_fact *b)
{
    uint64_t differ = a->start ^ b->start;

    return differ == 0 ? 4 : (uint32_t)__builtin_ctzll(differ) / 16;
}

bool lk_word_may_be_like(const lk_word_fact *a, const lk_word_fact *b)
{
    float m = (float)common_max(a, b);
    float jaro = (m * (a->per_char + b->per_char) + 1.0F) / 3.0F;
    uint32_t prefix = prefix_max(a, b);
    uint32_t longest = a->n_chars > b->n_chars ? a->n_chars : b->n_chars;

    if (a->n_chars == 1 || b->n_chars == 1)
        return prefix > 0;
    if (longest > LK_EDIT_MAX_CHARS) /* compared by their beginnings */
        return true;
    if ((a->has_digit || b->has_digit) && m < EDIT_MIN * (float)longest)
        return false;
    return jaro + PREFIX_WEIGHT * (float)prefix * (1.0F - jaro) >=
           JARO_WINKLER_MIN;
}

/* ---- the memory --------------------------------------------------------- */

int lk_word_cache_init(lk_word_cache *cache, linkd_error *err)
{
    cache->entries = calloc((size_t)1 << CACHE_BITS, sizeof(*cache->entries));
    return cache->entries != NULL ? LINKD_OK : lk_fail_nomem(err);
}

void lk_word_cache_clear(lk_word_cache *cache)
{
    free(cache->entries);
    cache->entries = NULL;
}

float lk_word_cache_get(lk_word_cache *cache, const lk_word_fact *facts,
                        uint32_t x, uint32_t y)
{
    uint64_t words = x < y ? (uint64_t)x << 32 | y : (uint64_t)y << 32 | x;
    /* Fibonacci hashing, Knuth vol. 3, 6.4 */
    size_t slot = words * UINT64_C(0x9e3779b97f4a7c15) >> (64 - CACHE_BITS);
    lk_word_cached *entry = &cache->entries[slot];

    if (entry->words != words)
        *entry = (lk_word_cached){
            words, lk_word_similarity(facts[x].text, facts[y].text)};
    return entry->similarity;
}
