/* linkage/word_facts.h — private: how alike two words are, for millions of pairs
 * of records that share their words.
 *
 * lk_word_similarity() takes 50 to 200 ns, and two records of ten words have a
 * hundred pairs of words. Nearly all of these are nothing alike, which a few
 * integers tell (lk_word_may_be_like); the others come again and again, and are
 * remembered. */
#ifndef LK_LINKAGE_WORD_FACTS_H
#define LK_LINKAGE_WORD_FACTS_H

#include "linkage/terms.h"

/* One word, by its id. */
typedef struct lk_word_fact {
    linkd_str text;   /* within the texts */
    uint64_t start;   /* the first four characters, 16 bits each */
    uint32_t letters; /* a bit for each class of characters that it has */
    uint32_t n_chars;
    float per_char; /* 1 / n_chars */
    float idf;
    bool has_digit;
} lk_word_fact;

/* Facts of all words; freed with free(). */
LINKD_MUST_CHECK int lk_word_facts_make(const lk_texts *texts,
                                        const lk_terms *words,
                                        lk_word_fact **ret_facts,
                                        linkd_error *err);

/* The facts of one word, all but idf. */
lk_word_fact lk_word_fact_of(linkd_str word);

/* False only where lk_word_similarity() is 0. */
bool lk_word_may_be_like(const lk_word_fact *a, const lk_word_fact *b);

/* Similarities that were computed before: direct-mapped, one per worker. */
typedef struct lk_word_cache {
    struct lk_word_cached *entries;
} lk_word_cache;

LINKD_MUST_CHECK int lk_word_cache_init(lk_word_cache *cache, linkd_error *err);
void lk_word_cache_clear(lk_word_cache *cache);

/* lk_word_similarity() of two different words. */
float lk_word_cache_get(lk_word_cache *cache, const lk_word_fact *facts,
                        uint32_t x, uint32_t y);

#endif
