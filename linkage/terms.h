/* linkage/terms.h — private: texts as sparse unit vectors of weighted terms.
 *
 * A term is a character 3-gram of a word (with a mark before and after the word)
 * or a whole word. Its weight in a record is (1 + ln count) * idf, with
 * idf = ln(1 + N / df), and each record's vector has length 1 (Salton and
 * Buckley 1988, "ltc"). */
#ifndef LK_LINKAGE_TERMS_H
#define LK_LINKAGE_TERMS_H

#include "linkage/texts.h"

typedef enum lk_term_kind {
    LK_TERM_GRAM, /* three characters (code points, not bytes) */
    LK_TERM_WORD,
} lk_term_kind;

typedef struct lk_term {
    uint32_t id; /* below n_ids */
    float weight;
} lk_term;

typedef struct lk_terms {
    lk_term *terms;  /* by record, then by id, each once */
    size_t *offsets; /* [n + 1] */
    size_t n;        /* records */
    size_t n_left;
    uint32_t n_ids;
    uint32_t *df; /* [n_ids]: records that hold the term */
    float *idf;   /* [n_ids] */
    /* LK_TERM_WORD only: the words of each record in the order of the text, with
     * repeats; word w of record r is sequence[sequence_offsets[r] + w], and its
     * bytes can be found by splitting the text at spaces. */
    uint32_t *sequence;
    size_t *sequence_offsets; /* [n + 1] */
} lk_terms;

LINKD_MUST_CHECK int lk_terms_make(const lk_texts *texts, lk_term_kind kind,
                                   lk_pool *pool, lk_terms *ret_terms,
                                   linkd_error *err);
void lk_terms_clear(lk_terms *terms);

/* ln(1 + N / df). */
static inline float lk_terms_idf(const lk_terms *terms, uint32_t id)
{
    return terms->idf[id];
}

/* Cosine of two records: 0 where one has no term. Within 0 and 1. */
float lk_terms_cosine(const lk_terms *terms, size_t a, size_t b);

#endif
