/* encoder/bpe.h — a part of a text into pieces by ranked merges. */
#ifndef LK_ENCODER_BPE_H
#define LK_ENCODER_BPE_H

#include "encoder/byte_pieces.h"
#include "encoder/tokenizer.h"

/* Two pieces that become one. */
typedef struct lk_merge {
    uint32_t left, right;
    uint32_t rank; /* the lowest goes first */
    uint32_t id;   /* LK_TRIE_NONE: the slot is free */
} lk_merge;

/* {0} before the reader fills it. */
typedef struct lk_bpe {
    const lk_merge *merges; /* open addressing by the pair */
    size_t n_slots;         /* a power of two, twice the number of merges */
    lk_merge *owned;        /* the same, or NULL: they are borrowed */
    bool has_unknown;       /* else characters in no piece vanish */
    uint32_t unknown_id;
    bool fuses_unknown;   /* unknown neighbours are one */
    bool ignores_merges;  /* a part that is a piece is that piece */
    lk_byte_pieces bytes; /* instead of the unknown piece */
    lk_buf inside_prefix; /* of characters but the first */
    lk_buf end_suffix;    /* of the last character */
} lk_bpe;

typedef struct lk_bpe_symbol {
    uint32_t id;
    uint32_t before, after; /* neighbours; LK_TRIE_NONE: the end */
    bool is_gone;
} lk_bpe_symbol;

typedef struct lk_bpe_candidate {
    uint32_t rank, at, id;
} lk_bpe_candidate;

/* Scratch, reused from part to part. {0} is empty. */
typedef struct lk_bpe_scratch {
    lk_bpe_symbol *symbols;
    size_t n_symbols, symbols_capacity;
    lk_bpe_candidate *heap; /* the lowest rank on top, then the leftmost */
    size_t n_heap, heap_capacity;
    lk_buf piece;
} lk_bpe_scratch;

void lk_bpe_clear(lk_bpe *bpe);
void lk_bpe_scratch_clear(lk_bpe_scratch *scratch);

/* Makes room for n merges; before lk_bpe_merge_put(). LINKD_E_NOMEM. */
LINKD_MUST_CHECK int lk_bpe_merges_init(lk_bpe *bpe, size_t n,
                                        linkd_error *err);
/* Of two merges of one pair the later counts. */
void lk_bpe_merge_put(lk_bpe *bpe, lk_merge merge);
/* Borrows the merges of another one, [n_slots], which may be hostile. LINKD_E_DATA:
 * they are no such table, or make a piece that is not below n_pieces. */
LINKD_MUST_CHECK int lk_bpe_merges_borrow(lk_bpe *bpe, const lk_merge *merges,
                                          size_t n_slots, size_t n_pieces,
                                          linkd_error *err);

/* Appends the ids of `part`, valid UTF-8, whose pieces are the keys of `trie`
 * under `root`. LINKD_E_NOMEM. */
LINKD_MUST_CHECK int lk_bpe_split(const lk_bpe *bpe, const lk_trie *trie,
                                  uint32_t root, linkd_str part,
                                  lk_bpe_scratch *scratch, lk_tokens *tokens,
                                  linkd_error *err);

#endif
