/* linkage/features.h — private: what is known of each candidate pair, as numbers.
 *
 *                field 0          field 1      record         context
 *   pair 0   [ gram soft edit … | num edit … | gram … dense | rank margin … ]
 *   pair 1   [ …
 *
 * One byte a number: 0 … 254 stand for 0 … 1, LK_FEATURE_MISSING for "one of the
 * two has no value here", which is information of its own and is kept apart from
 * "different". A byte is enough (a step is 0.004) and lets 15 million pairs fit
 * in memory, and trees use the bytes as their bins. */
#ifndef LK_LINKAGE_FEATURES_H
#define LK_LINKAGE_FEATURES_H

#include "linkage/pairset.h"

#define LK_FEATURE_MISSING ((uint8_t)255)
#define LK_FEATURE_ONE     ((uint8_t)254)

/* The field number of features of the whole record. */
#define LK_FIELD_RECORD SIZE_MAX

typedef enum lk_comparator {
    LK_COMPARE_GRAM,     /* cosine of 3-grams */
    LK_COMPARE_SOFT,     /* share of weighted words with a similar word */
    LK_COMPARE_CONTAIN,  /* the same seen from the side that has more of it */
    LK_COMPARE_EDIT,     /* edit similarity */
    LK_COMPARE_EXACT,    /* 1 if the words are equal */
    LK_COMPARE_EVIDENCE, /* idf of the words that agree, / (8 ln N), at most 1 */
    LK_COMPARE_CODE,     /* words with digits found within the other text */
    LK_COMPARE_WORD,     /* cosine of words */
    LK_COMPARE_NUMBER,   /* closeness of numbers or dates */
    LK_COMPARE_DENSE,    /* cosine of vectors, 0 if negative */
    LK_COMPARE_RANK,     /* 1 / (1 + rank) among the candidates of a record:
                            the better of both records' */
    LK_COMPARE_MARGIN,   /* lead over the runner-up, see rivals.c */
    LK_COMPARE_DENSE_RANK, /* the same by the cosine of vectors, while the two
                              above go by the record's mean of gram and soft */
    LK_COMPARE_DENSE_MARGIN,
    LK_COMPARE_GUESS,        /* log-odds decided without labels, see stack.h */
    LK_COMPARE_GUESS_CHANCE, /* and the probability */
    LK_COMPARE_GUESS_RANK,
    LK_COMPARE_GUESS_MARGIN,
    LK_N_COMPARATORS,
} lk_comparator;

typedef struct lk_feature {
    size_t field; /* LK_FIELD_RECORD, or a number of lk_fields */
    lk_comparator comparator;
} lk_feature;

/* A column of each side that are compared, and what it holds. */
typedef struct lk_field {
    linkd_str name;               /* of the left column, borrowed */
    size_t columns[2];            /* in one table both are the same */
    linkd_column_profile profile; /* of both columns as if they were one */
    linkd_holds compared_as;      /* mostly profile.type; EMPTY: not at all */
} lk_field;

typedef struct lk_features {
    uint8_t *values; /* [n_pairs, n] */
    size_t n_pairs;
    lk_feature *features; /* [n] */
    size_t n;
} lk_features;

typedef struct lk_features_source {
    const linkd_table *tables[2]; /* [1] NULL: one table */
    const lk_field *fields;
    size_t n_fields;
    const lk_texts *record_texts; /* the whole record */
    const lk_terms *record_grams;
    const lk_terms *record_words;
    /* [n_records], each [dim] or NULL: the record has none; NULL: no model */
    const float *const *vectors;
    size_t dim;
    /* No rank and no margin: a model without labels learns from pairs that were
     * chosen by their rank, so it would only learn the choice. */
    bool without_context;
    bool at_random; /* pairs that are no candidates: no rank, no margin */
    lk_pool *pool;
    const linkd_progress *progress; /* step "compare", in fields */
} lk_features_source;

/* Fields are read one after the other, so that memory holds the terms of one.
 * `pairs` may be any pairs, candidates or drawn at random. */
LINKD_MUST_CHECK int lk_features_make(const lk_features_source *source,
                                      const lk_pairset *pairs,
                                      lk_features *ret_features,
                                      linkd_error *err);
void lk_features_clear(lk_features *features);

/* A number of [0, 1] as a feature; NAN is missing. */
static inline uint8_t lk_feature_of(float value)
{
    if (!(value <= 1.0F))
        return value > 1.0F ? LK_FEATURE_ONE : LK_FEATURE_MISSING;
    /* NOLINTNEXTLINE(bugprone-incorrect-roundings): it is positive */
    return value > 0.0F ? (uint8_t)(value * 254.0F + 0.5F) : 0;
}

/* "gram", "soft", …: as files and explanations call a comparator. */
extern const char *const lk_comparator_words[LK_N_COMPARATORS];

#endif
