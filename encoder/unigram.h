/* encoder/unigram.h — a part of a text into the likeliest pieces. */
#ifndef LK_ENCODER_UNIGRAM_H
#define LK_ENCODER_UNIGRAM_H

#include "encoder/byte_pieces.h"
#include "encoder/tokenizer.h"

/* {0} before the reader fills it. */
typedef struct lk_unigram {
    const double *scores; /* [n_pieces] logarithms of likelihoods */
    double *owned;        /* the same, or NULL: they are borrowed */
    size_t n_pieces;
    double unknown_score; /* of a character in no piece */
    uint32_t unknown_id;
    lk_byte_pieces bytes; /* instead of the unknown piece */
} lk_unigram;

/* The best way to a byte of the part. */
typedef struct lk_unigram_node {
    double score;
    uint32_t id;
    uint32_t begin; /* of the last piece; UINT32_MAX: no way yet */
} lk_unigram_node;

/* Scratch, reused from part to part. {0} is empty. */
typedef struct lk_unigram_scratch {
    lk_unigram_node *nodes;
    size_t capacity;
} lk_unigram_scratch;

/* Sets what follows from the scores. LINKD_E_DATA: one is not finite. */
LINKD_MUST_CHECK int lk_unigram_settle(lk_unigram *unigram, linkd_error *err);
void lk_unigram_clear(lk_unigram *unigram);

/* Appends the ids of `part`, valid UTF-8, whose pieces are the keys of `trie`
 * under `root`. LINKD_E_NOMEM. */
LINKD_MUST_CHECK int lk_unigram_split(const lk_unigram *unigram,
                                      const lk_trie *trie, uint32_t root,
                                      linkd_str part,
                                      lk_unigram_scratch *scratch,
                                      lk_tokens *tokens, linkd_error *err);

#endif
