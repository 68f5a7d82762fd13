/* encoder/wordpiece.h — one normalised word into the pieces of a vocabulary. */
#ifndef LK_ENCODER_WORDPIECE_H
#define LK_ENCODER_WORDPIECE_H

#include "encoder/trie.h"

/* Roots of the vocabulary's trie. */
enum {
    LK_WORDPIECE_WORDS,  /* every token, as it begins a word */
    LK_WORDPIECE_INSIDE, /* tokens with the prefix, without it */
    LK_WORDPIECE_ADDED,  /* added tokens */
    LK_WORDPIECE_N_ROOTS
};

/* Splits `word` into the ids of its pieces, from the left the longest each
 * time; a word that does not split to its end is `unknown_id` alone. Writes at
 * most one id a byte and returns how many. */
size_t lk_wordpiece_split(const lk_trie *trie, linkd_str word,
                          uint32_t unknown_id, uint32_t *ret_ids);

#endif
