/* linkage/similarity.c — how alike two strings are, some 100 million times a
 * run.
 *
 * Everything works on bytes: one byte is one character. ASCII is that already
 * and is read where it lies. Other strings are spelled anew in an alphabet of
 * the characters that occur in the two, of which there are at most 256, since
 * neither string is longer than LK_EDIT_MAX_CHARS:
 *
 *   "Łódź", "Lodz"  ──►  0 1 2 3,  4 5 2 6      alphabet: Ł ó d ź L o z
 *
 * Most pairs of words have nothing in common, so the cheapest look comes first:
 * a set of letters in 64 bits. A character of one word whose bit is not in the
 * other's set can match nothing, which bounds both measures from above.
 *
 * Edit distance is the bit-parallel one of Hyyrö, "A Bit-Vector Algorithm for
 * Computing Levenshtein and Damerau Edit Distances" (Nordic Journal of Computing
 * 10, 2003), figure 9: a column of the matrix of distances is two words, one of
 * the rows where it rises by one and one of those where it falls. We cut off
 * common beginnings and ends first, let the shorter string be the column, and
 * take two words' width where it is longer than one.
 *
 * Jaro counts half transpositions as halves (Winkler's program drops them), and
 * the bonus for a common beginning is given whatever the rest is like. */
#include "linkage/similarity.h"

#include <string.h>

enum {
    ALPHABET_SLOTS = 512, /* twice the characters: a power of two */
    PREFIX_MAX = 4,
    DIGITS_MIN = 4, /* shorter words with digits are equal or different */
    GAP_MAX = 4,    /* else a word must begin with the other */
};

/* Measured with the prototype of this on eleven public sets (2026-11-26). */
static const float EDIT_MIN = 0.79F;
static const float EDIT_WEIGHT = 0.5F;
static const float INITIAL = 0.6F;
static const float JARO_MIN = 0.84F;

static const float PREFIX_WEIGHT = 0.1F;
/* What rounding can do to a bound. */
static const float SLACK = 1e-5F;

/* A wider word than C has; both gcc and clang know it. */
__extension__ typedef unsigned __int128 wide;

typedef struct chars {
    const uint8_t *at; /* [n] one byte a character */
    size_t n;          /* at most LK_EDIT_MAX_CHARS */
    uint64_t letters;  /* set of characters, several to a bit */
    bool has_digit;
} chars;

typedef struct pair {
    chars a, b;
    uint8_t room[2][LK_EDIT_MAX_CHARS];
} pair;

/* ---- strings to bytes --------------------------------------------------- */

static bool is_digit(uint32_t c)
{
    return c - '0' < 10;
}

/* False if there is more than ASCII in what counts. */
static bool ascii_read(linkd_str text, chars *ret_chars)
{
    const uint8_t *at = (const uint8_t *)text.bytes;
    size_t n = text.len < LK_EDIT_MAX_CHARS ? text.len : LK_EDIT_MAX_CHARS;
    uint64_t letters = 0;
    unsigned all = 0, digits = 0;

    for (size_t i = 0; i < n; i++) {
        /* digits apart from letters, which a plain modulo would not do */
        letters |= UINT64_C(1) << ((at[i] & 31U) | (at[i] & 64U) >> 1);
        digits |= is_digit(at[i]);
        all |= at[i];
    }
    *ret_chars = (chars){at, n, letters, digits != 0};
    return all < 0x80;
}

/* The next character of valid UTF-8; of anything else some number. */
static uint32_t char_next(linkd_str *text)
{
    static const uint8_t lead_bits[] = {0x7F, 0x1F, 0x0F, 0x07};
    uint8_t lead = (uint8_t)text->bytes[0];
    size_t n_more = (size_t)(lead >= 0xC0) + (lead >= 0xE0) + (lead >= 0xF0);
    uint32_t c = lead & lead_bits[n_more];

    text->bytes++;
    text->len--;
    for (; n_more > 0 && text->len > 0; n_more--) {
        c = c << 6 | ((uint8_t)text->bytes[0] & 0x3FU);
        text->bytes++;
        text->len--;
    }
    return c;
}

typedef struct alphabet {
    uint32_t keys[ALPHABET_SLOTS]; /* character + 1, or 0: free */
    uint8_t numbers[ALPHABET_SLOTS];
    uint32_t n;
} alphabet;

static uint8_t alphabet_number(alphabet *letters, uint32_t c)
{
    /* Knuth's multiplicative hash, TAOCP 6.4; the top bits are the mixed ones */
    size_t at = c * UINT32_C(2654435761) >> 23;

    while (letters->keys[at] != 0 && letters->keys[at] != c + 1)
        at = (at + 1) % ALPHABET_SLOTS;
    if (letters->keys[at] == 0) {
        letters->keys[at] = c + 1;
        letters->numbers[at] = (uint8_t)letters->n++;
    }
    return letters->numbers[at];
}

static chars spell(alphabet *letters, linkd_str text, uint8_t *room)
{
    chars spelled = {.at = room};

    while (text.len > 0 && spelled.n < LK_EDIT_MAX_CHARS) {
        uint32_t c = char_next(&text);
        uint8_t number = alphabet_number(letters, c);

        room[spelled.n++] = number;
        spelled.letters |= UINT64_C(1) << number % 64;
        spelled.has_digit |= is_digit(c);
    }
    return spelled;
}

static void pair_spell(pair *of, linkd_str a, linkd_str b)
{
    alphabet letters;

    memset(letters.keys, 0, sizeof(letters.keys));
    letters.n = 0;
    of->a = spell(&letters, a, of->room[0]);
    of->b = spell(&letters, b, of->room[1]);
}

static void pair_read(pair *of, linkd_str a, linkd_str b)
{
    bool a_is_ascii = ascii_read(a, &of->a);

    if (!ascii_read(b, &of->b) || !a_is_ascii)
        pair_spell(of, a, b);
}

static size_t count_bits(uint64_t bits)
{
    return (size_t)__builtin_popcountll(bits);
}

/* At most so many characters of one find an equal one in the other. */
static size_t matches_max(const pair *of)
{
    size_t a = of->a.n - count_bits(of->a.letters & ~of->b.letters);
    size_t b = of->b.n - count_bits(of->b.letters & ~of->a.letters);

    return a < b ? a : b;
}

/* ---- Jaro-Winkler ------------------------------------------------------- */

static size_t prefix_len(const pair *of, size_t max)
{
    size_t n = 0;

    while (n < max && n < of->a.n && n < of->b.n && of->a.at[n] == of->b.at[n])
        n++;
    return n;
}

/* The measure from its parts: the same for what is and for what can be, so that
 * the one never exceeds the other. */
static float winkler(const pair *of, size_t n_matches, size_t n_misplaced)
{
    float m = (float)n_matches;
    float jaro;

    if (n_matches == 0)
        return 0.0F;
    jaro = (m / (float)of->a.n + m / (float)of->b.n +
            (m - (float)n_misplaced / 2.0F) / m) /
           3.0F;
    return jaro +
           (float)prefix_len(of, PREFIX_MAX) * PREFIX_WEIGHT * (1.0F - jaro);
}

/* Each character of `a` takes the first free equal one of `b` nearby. That is
 * the same matching whichever of the two is `a`. */
static float jaro_winkler(const pair *of)
{
    const chars *a = &of->a, *b = &of->b;
    size_t longer = a->n > b->n ? a->n : b->n;
    size_t reach = longer >= 4 ? longer / 2 - 1 : 0;
    uint8_t matched[LK_EDIT_MAX_CHARS]; /* characters of a, in its order */
    bool is_taken[LK_EDIT_MAX_CHARS];
    size_t n_matched = 0, n_seen = 0, n_misplaced = 0;

    memset(is_taken, 0, b->n);
    for (size_t i = 0; i < a->n; i++) {
        size_t end = i + reach + 1 < b->n ? i + reach + 1 : b->n;
        size_t j = i > reach ? i - reach : 0;

        while (j < end && (is_taken[j] || b->at[j] != a->at[i]))
            j++;
        if (j < end) {
            is_taken[j] = true;
            matched[n_matched++] = a->at[i];
        }
    }
    for (size_t j = 0; n_seen < n_matched; j++) {
        if (is_taken[j])
            n_misplaced += b->at[j] != matched[n_seen++];
    }
    return winkler(of, n_matched, n_misplaced);
}

/* ---- edit distance ------------------------------------------------------ */

/* Cuts off what both begin or end with, which costs no edit. */
static void ends_cut(chars *a, chars *b)
{
    while (a->n > 0 && b->n > 0 && a->at[0] == b->at[0]) {
        a->at++, b->at++;
        a->n--, b->n--;
    }
    while (a->n > 0 && b->n > 0 && a->at[a->n - 1] == b->at[b->n - 1])
        a->n--, b->n--;
}

/* `column` has 1 to 64 characters. Bit i of a word is row i + 1 of the matrix;
 * names as in the paper, so that the two can be read side by side. */
static size_t distance_narrow(const chars *column, const chars *across)
{
    uint64_t pm[256]; /* where in the column a character stands */
    uint64_t vp = ~UINT64_C(0), vn = 0, d0 = 0, pm_before = 0;
    size_t last = column->n - 1, distance = column->n;

    for (size_t i = 0; i < across->n; i++)
        pm[across->at[i]] = 0;
    for (size_t i = 0; i < column->n; i++)
        pm[column->at[i]] = 0;
    for (size_t i = 0; i < column->n; i++)
        pm[column->at[i]] |= UINT64_C(1) << i;
    for (size_t j = 0; j < across->n; j++) {
        uint64_t m = pm[across->at[j]], hp, hn;

        d0 = ((~d0 & m) << 1 & pm_before) | (((m & vp) + vp) ^ vp) | m | vn;
        hp = vn | ~(d0 | vp);
        hn = d0 & vp;
        distance += hp >> last & 1;
        distance -= hn >> last & 1;
        hp = hp << 1 | 1;
        vp = hn << 1 | ~(d0 | hp);
        vn = hp & d0;
        pm_before = m;
    }
    return distance;
}

/* The same for up to 128 characters. */
static size_t distance_wide(const chars *column, const chars *across)
{
    wide pm[256];
    wide vp = ~(wide)0, vn = 0, d0 = 0, pm_before = 0;
    size_t last = column->n - 1, distance = column->n;

    for (size_t i = 0; i < across->n; i++)
        pm[across->at[i]] = 0;
    for (size_t i = 0; i < column->n; i++)
        pm[column->at[i]] = 0;
    for (size_t i = 0; i < column->n; i++)
        pm[column->at[i]] |= (wide)1 << i;
    for (size_t j = 0; j < across->n; j++) {
        wide m = pm[across->at[j]], hp, hn;

        d0 = ((~d0 & m) << 1 & pm_before) | (((m & vp) + vp) ^ vp) | m | vn;
        hp = vn | ~(d0 | vp);
        hn = d0 & vp;
        distance += (size_t)(hp >> last & 1);
        distance -= (size_t)(hn >> last & 1);
        hp = hp << 1 | 1;
        vp = hn << 1 | ~(d0 | hp);
        vn = hp & d0;
        pm_before = m;
    }
    return distance;
}

static size_t distance_of(chars a, chars b)
{
    ends_cut(&a, &b);
    if (a.n > b.n) {
        chars longer = a;

        a = b;
        b = longer;
    }
    if (a.n == 0)
        return b.n;
    return a.n <= 64 ? distance_narrow(&a, &b) : distance_wide(&a, &b);
}

/* Of a distance that may be a bound. */
static float edit_share(const pair *of, size_t distance)
{
    size_t longer = of->a.n > of->b.n ? of->a.n : of->b.n;

    return longer == 0 ? 1.0F : 1.0F - (float)distance / (float)longer;
}

/* ---- strings ------------------------------------------------------------ */

static bool is_equal(linkd_str a, linkd_str b)
{
    return a.len == b.len &&
           (a.len == 0 || memcmp(a.bytes, b.bytes, a.len) == 0);
}

float lk_jaro_winkler(linkd_str a, linkd_str b)
{
    pair of;

    if (is_equal(a, b))
        return 1.0F;
    pair_read(&of, a, b);
    return jaro_winkler(&of);
}

float lk_edit_similarity(linkd_str a, linkd_str b)
{
    pair of;

    if (is_equal(a, b))
        return 1.0F;
    pair_read(&of, a, b);
    return edit_share(&of, distance_of(of.a, of.b));
}

/* Codes and numbers: a slip of the pen is possible, but another number is more
 * likely. */
static float digits_similarity(const pair *of)
{
    size_t longer = of->a.n > of->b.n ? of->a.n : of->b.n;
    float similarity;

    if (of->a.n < DIGITS_MIN || of->b.n < DIGITS_MIN ||
        edit_share(of, longer - matches_max(of)) < EDIT_MIN)
        return 0.0F;
    similarity = edit_share(of, distance_of(of->a, of->b));
    return similarity >= EDIT_MIN ? similarity * EDIT_WEIGHT : 0.0F;
}

static float letters_similarity(const pair *of)
{
    size_t shorter = of->a.n < of->b.n ? of->a.n : of->b.n;
    size_t longer = of->a.n > of->b.n ? of->a.n : of->b.n;
    float similarity;

    if (shorter <= 1)
        return prefix_len(of, 1) == 1 ? INITIAL : 0.0F;
    if (winkler(of, matches_max(of), 0) < JARO_MIN - SLACK)
        return 0.0F;
    if (longer - shorter > GAP_MAX && prefix_len(of, shorter) < shorter)
        return 0.0F;
    similarity = jaro_winkler(of);
    return similarity >= JARO_MIN ? similarity * similarity : 0.0F;
}

float lk_word_similarity(linkd_str a, linkd_str b)
{
    pair of;

    if (is_equal(a, b))
        return 1.0F;
    pair_read(&of, a, b);
    if (of.a.has_digit || of.b.has_digit)
        return digits_similarity(&of);
    return letters_similarity(&of);
}
