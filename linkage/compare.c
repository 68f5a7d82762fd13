/* linkage/compare.c — the comparators of texts.
 *
 * Most of the time goes into words that are similar but not equal (after the
 * soft TF-IDF of Cohen, Ravikumar and Fienberg 2003, section 2.3, in both
 * directions and without their normalisation):
 *
 *            anna   maria   muller                best of a     x idf
 *   ana       .92     0       0                   .92  1  .94   ──►  sum of a
 *   maria      0      1       0          ─►
 *   mueller    0      0      .94                  best of b     x idf
 *                                                 .92  1  .94   ──►  sum of b
 *
 *   soft     = (sum of a + sum of b) / all idf
 *   contain  = the greater of sum / idf of the two sides
 *   evidence = mean of the two sums, as a share of 8 ln N
 *
 * Equal words are found by their ids. Two words that both have an equal partner
 * need not be compared; of the others word_facts.c excludes nearly all at once.
 *
 * The cosine of 3-grams is a sum over b's grams, with a's laid out by id: the
 * additions happen in the same order as in lk_terms_cosine(). */
#include "linkage/compare.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "linkage/similarity.h"

enum {
    CODE_MIN_BYTES = 3, /* shorter ones are found anywhere; guess */
};

/* An idf this many times ln N is the evidence of eight words that occur once;
 * more is not told apart. */
static const float EVIDENCE_WORDS = 8.0F;

/* ---- shared ------------------------------------------------------------- */

int lk_compare_init(lk_compare *compare, const lk_texts *texts,
                    const lk_terms *grams, const lk_terms *words,
                    linkd_error *err)
{
    *compare = (lk_compare){.texts = texts, .grams = grams, .words = words};
    compare->evidence_one = EVIDENCE_WORDS * logf(1.0F + (float)texts->n);
    for (size_t r = 0; r < texts->n; r++) {
        size_t len = lk_texts_get(texts, r).len;

        compare->max_bytes =
            len > compare->max_bytes ? len : compare->max_bytes;
    }
    return lk_word_facts_make(texts, words, &compare->facts, err);
}

void lk_compare_clear(lk_compare *compare)
{
    free(compare->facts);
    *compare = (lk_compare){0};
}

void lk_compare_expect(const lk_compare *compare, size_t record)
{
    const lk_terms *words = compare->words;
    const lk_terms *grams = compare->grams;

    __builtin_prefetch(&words->sequence[words->sequence_offsets[record]]);
    if (grams != NULL)
        __builtin_prefetch(&grams->terms[grams->offsets[record]]);
}

void lk_compare_expect_words(const lk_compare *compare, size_t record)
{
    const lk_terms *words = compare->words;
    size_t end = words->sequence_offsets[record + 1];

    for (size_t w = words->sequence_offsets[record]; w < end; w++)
        __builtin_prefetch(&compare->facts[words->sequence[w]].idf);
}

int lk_comparer_init(lk_comparer *comparer, const lk_compare *compare,
                     linkd_error *err)
{
    size_t n_grams = compare->grams != NULL ? compare->grams->n_ids : 0;
    int rc;

    *comparer = (lk_comparer){
        .compare = compare, .a.record = SIZE_MAX, .b.record = SIZE_MAX};
    comparer->a.squeezed = malloc(compare->max_bytes + 1);
    comparer->b.squeezed = malloc(compare->max_bytes + 1);
    comparer->gram_weights = calloc(n_grams + 1, sizeof(float));
    rc = lk_word_cache_init(&comparer->cache, err);
    if (comparer->a.squeezed == NULL || comparer->b.squeezed == NULL ||
        comparer->gram_weights == NULL)
        return lk_fail_nomem(err);
    return rc;
}

void lk_comparer_clear(lk_comparer *comparer)
{
    lk_word_cache_clear(&comparer->cache);
    free(comparer->gram_weights);
    free(comparer->b.squeezed);
    free(comparer->a.squeezed);
    *comparer = (lk_comparer){0};
}

/* ---- sides -------------------------------------------------------------- */

static bool is_code(const lk_word_fact *fact)
{
    return fact->has_digit && fact->text.len >= CODE_MIN_BYTES;
}

static void side_set(const lk_compare *compare, lk_compare_side *side,
                     size_t record)
{
    const lk_terms *words = compare->words;
    size_t begin = words->sequence_offsets[record];
    size_t n = words->sequence_offsets[record + 1] - begin;

    side->record = record;
    side->n_words = n < LK_COMPARE_MAX_WORDS ? n : LK_COMPARE_MAX_WORDS;
    side->n_squeezed = 0;
    side->weight = 0.0F;
    side->code_weight = 0.0F;
    for (size_t w = 0; w < side->n_words; w++) {
        uint32_t id = words->sequence[begin + w];
        const lk_word_fact *fact = &compare->facts[id];

        side->words[w] = id;
        side->weight += fact->idf;
        if (is_code(fact))
            side->code_weight += fact->idf;
    }
}

static void grams_lay(lk_comparer *comparer, size_t record, bool present)
{
    const lk_terms *grams = comparer->compare->grams;

    if (grams == NULL || record == SIZE_MAX)
        return;
    for (size_t t = grams->offsets[record]; t < grams->offsets[record + 1]; t++)
        comparer->gram_weights[grams->terms[t].id] =
            present ? grams->terms[t].weight : 0.0F;
}

static void sides_set(lk_comparer *comparer, size_t a, size_t b)
{
    if (comparer->a.record != a) {
        grams_lay(comparer, comparer->a.record, false);
        grams_lay(comparer, a, true);
        side_set(comparer->compare, &comparer->a, a);
    }
    side_set(comparer->compare, &comparer->b, b);
}

/* ---- 3-grams ------------------------------------------------------------ */

static float grams_cosine(const lk_comparer *comparer, size_t b)
{
    const lk_terms *grams = comparer->compare->grams;
    double sum = 0.0;

    for (size_t t = grams->offsets[b]; t < grams->offsets[b + 1]; t++)
        sum += (double)comparer->gram_weights[grams->terms[t].id] *
               (double)grams->terms[t].weight;
    return sum < 1.0 ? (float)sum : 1.0F;
}

/* ---- words -------------------------------------------------------------- */

static void equal_words_find(lk_compare_side *a, lk_compare_side *b)
{
    memset(a->best, 0, a->n_words * sizeof(*a->best));
    memset(b->best, 0, b->n_words * sizeof(*b->best));
    for (size_t x = 0; x < a->n_words; x++)
        for (size_t y = 0; y < b->n_words; y++)
            if (a->words[x] == b->words[y]) {
                a->best[x] = 1.0F;
                b->best[y] = 1.0F;
            }
}

static void similar_words_find(lk_comparer *comparer)
{
    const lk_word_fact *facts = comparer->compare->facts;
    lk_compare_side *a = &comparer->a;
    lk_compare_side *b = &comparer->b;

    for (size_t x = 0; x < a->n_words; x++) {
        const lk_word_fact *fact = &facts[a->words[x]];

        for (size_t y = 0; y < b->n_words; y++) {
            float alike;

            if ((a->best[x] == 1.0F && b->best[y] == 1.0F) ||
                !lk_word_may_be_like(fact, &facts[b->words[y]]))
                continue;
            alike = lk_word_cache_get(&comparer->cache, facts, a->words[x],
                                      b->words[y]);
            a->best[x] = alike > a->best[x] ? alike : a->best[x];
            b->best[y] = alike > b->best[y] ? alike : b->best[y];
        }
    }
}

static float side_sum(const lk_compare *compare, const lk_compare_side *side)
{
    float sum = 0.0F;

    for (size_t w = 0; w < side->n_words; w++)
        sum += side->best[w] * compare->facts[side->words[w]].idf;
    return sum;
}

/* Soft, containment and evidence come from the same sums. */
static void words_compare(lk_comparer *comparer, float *values)
{
    const lk_compare *compare = comparer->compare;
    lk_compare_side *a = &comparer->a;
    lk_compare_side *b = &comparer->b;
    float of_a, of_b;

    equal_words_find(a, b);
    similar_words_find(comparer);
    of_a = side_sum(compare, a);
    of_b = side_sum(compare, b);
    values[LK_COMPARE_SOFT] = (of_a + of_b) / (a->weight + b->weight);
    values[LK_COMPARE_CONTAIN] = fmaxf(of_a / a->weight, of_b / b->weight);
    values[LK_COMPARE_EVIDENCE] =
        fminf(0.5F * (of_a + of_b) / compare->evidence_one, 1.0F);
}

/* ---- codes -------------------------------------------------------------- */

static void side_squeeze(const lk_compare *compare, lk_compare_side *side)
{
    linkd_str text = lk_texts_get(compare->texts, side->record);

    if (side->n_squeezed > 0)
        return;
    for (size_t i = 0; i < text.len; i++)
        if (text.bytes[i] != ' ')
            side->squeezed[side->n_squeezed++] = text.bytes[i];
}

/* The share of a side's codes that occur anywhere in the other's text, so that
 * "kx 120 b" has "kx120b". */
static float codes_found(const lk_compare *compare, const lk_compare_side *side,
                         const lk_compare_side *other)
{
    float found = 0.0F;

    for (size_t w = 0; w < side->n_words; w++) {
        const lk_word_fact *fact = &compare->facts[side->words[w]];

        if (is_code(fact) && memmem(other->squeezed, other->n_squeezed,
                                    fact->text.bytes, fact->text.len) != NULL)
            found += fact->idf;
    }
    return found / side->code_weight;
}

static float codes_compare(lk_comparer *comparer)
{
    const lk_compare *compare = comparer->compare;
    lk_compare_side *a = &comparer->a;
    lk_compare_side *b = &comparer->b;

    if (a->code_weight == 0.0F || b->code_weight == 0.0F)
        return NAN;
    side_squeeze(compare, a);
    side_squeeze(compare, b);
    return fmaxf(codes_found(compare, a, b), codes_found(compare, b, a));
}

/* ---- all ---------------------------------------------------------------- */

static float texts_equal(linkd_str a, linkd_str b)
{
    return a.len == b.len && memcmp(a.bytes, b.bytes, a.len) == 0 ? 1.0F : 0.0F;
}

static void compare_one(lk_comparer *comparer, lk_comparator comparator,
                        float *values)
{
    const lk_compare *compare = comparer->compare;
    size_t a = comparer->a.record;
    size_t b = comparer->b.record;
    linkd_str text_a = lk_texts_get(compare->texts, a);
    linkd_str text_b = lk_texts_get(compare->texts, b);

    if (comparator == LK_COMPARE_GRAM)
        values[comparator] = grams_cosine(comparer, b);
    else if (comparator == LK_COMPARE_EDIT)
        values[comparator] = lk_edit_similarity(text_a, text_b);
    else if (comparator == LK_COMPARE_EXACT)
        values[comparator] = texts_equal(text_a, text_b);
    else if (comparator == LK_COMPARE_EVIDENCE)
        words_compare(comparer, values);
    else if (comparator == LK_COMPARE_CODE)
        values[comparator] = codes_compare(comparer);
    else if (comparator == LK_COMPARE_WORD)
        values[comparator] = lk_terms_cosine(compare->words, a, b);
}

void lk_comparer_run(lk_comparer *comparer, size_t a, size_t b,
                     const lk_comparator *comparators, size_t n,
                     float *ret_values)
{
    sides_set(comparer, a, b);
    if (comparer->a.n_words == 0 || comparer->b.n_words == 0) {
        for (size_t i = 0; i < n; i++)
            ret_values[comparators[i]] = NAN;
        return;
    }
    for (size_t i = 0; i < n; i++)
        compare_one(comparer, comparators[i], ret_values);
}
