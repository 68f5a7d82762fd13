/* linkage/compare.h — private: how alike the texts of two records are, in one
 * field or as a whole.
 *
 * lk_compare is what all workers share of a field; each worker has its own
 * lk_comparer, which keeps what belongs to the last `a`: pairs that come in
 * order of a cost least. What is answered depends on the pair alone. */
#ifndef LK_LINKAGE_COMPARE_H
#define LK_LINKAGE_COMPARE_H

#include "linkage/features.h"
#include "linkage/word_facts.h"

enum {
    /* Of a text; later words count in cosines, in edits, and as what codes are
     * looked for in. */
    LK_COMPARE_MAX_WORDS = 48,
};

typedef struct lk_compare {
    const lk_texts *texts; /* borrowed, as are the terms */
    const lk_terms *grams; /* NULL where no 3-grams are compared */
    const lk_terms *words;
    lk_word_fact *facts; /* [words->n_ids] */
    size_t max_bytes;    /* of a text */
    float evidence_one;  /* idf that counts as 1 */
} lk_compare;

LINKD_MUST_CHECK int lk_compare_init(lk_compare *compare, const lk_texts *texts,
                                     const lk_terms *grams,
                                     const lk_terms *words, linkd_error *err);
void lk_compare_clear(lk_compare *compare);

/* In a large table a record and its words lie anywhere, and a comparison would
 * mostly wait for memory. Some pairs before a record's turn comes, first its
 * texts and terms are sent for, and when they are there, its words. */
void lk_compare_expect(const lk_compare *compare, size_t record);
void lk_compare_expect_words(const lk_compare *compare, size_t record);

/* One side of a pair. */
typedef struct lk_compare_side {
    size_t record; /* SIZE_MAX: none yet */
    size_t n_words;
    uint32_t words[LK_COMPARE_MAX_WORDS]; /* ids */
    float best[LK_COMPARE_MAX_WORDS];     /* likeness of the nearest word of the
                                             other side */
    float weight;                         /* idf of all words */
    float code_weight;                    /* idf of those that are codes */
    char *squeezed;                       /* [max_bytes]: the text, no spaces */
    size_t n_squeezed;                    /* 0: not done yet */
} lk_compare_side;

typedef struct lk_comparer {
    const lk_compare *compare;
    lk_compare_side a, b;
    float *gram_weights; /* [grams->n_ids]: of a's, the others are 0 */
    lk_word_cache cache;
} lk_comparer;

LINKD_MUST_CHECK int lk_comparer_init(lk_comparer *comparer,
                                      const lk_compare *compare,
                                      linkd_error *err);
void lk_comparer_clear(lk_comparer *comparer);

/* Fills ret_values [LK_N_COMPARATORS] at the `n` comparators that are asked for,
 * NAN where one of the two has nothing to compare. Soft and contain come with
 * evidence only. Those that compare no texts (number, dense, rank …) are the
 * caller's. */
void lk_comparer_run(lk_comparer *comparer, size_t a, size_t b,
                     const lk_comparator *comparators, size_t n,
                     float *ret_values);

#endif
