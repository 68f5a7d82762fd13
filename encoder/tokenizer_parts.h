/* encoder/tokenizer_parts.h — what a tokenizer is made of, for those that put
 * it together (tokenizer.c, tokenizer_json.c, vocab_txt.c, vocab_clip.c) and
 * for tokenize.c. */
#ifndef LK_ENCODER_TOKENIZER_PARTS_H
#define LK_ENCODER_TOKENIZER_PARTS_H

#include "encoder/added_tokens.h"
#include "encoder/bert_words.h"
#include "encoder/bpe.h"
#include "encoder/normalizer.h"
#include "encoder/splitter.h"
#include "encoder/tokenizer.h"
#include "encoder/unigram.h"
#include "encoder/wordpiece.h"

enum {
    LK_AFFIX_MAX = 8,      /* guess: BERT has one token before and one after */
    LK_WORD_CHARS = 100,   /* max_input_chars_per_word where a file is silent */
    LK_SHOWN_MAX = 64 + 1, /* bytes of a foreign name in a message */
};
#define LK_INSIDE_PREFIX "##"

/* Ids that come before or after those of every text. */
typedef struct lk_affix {
    uint32_t ids[LK_AFFIX_MAX];
    size_t n;
} lk_affix;

typedef enum lk_token_model {
    LK_MODEL_WORDPIECE,
    LK_MODEL_UNIGRAM,
    LK_MODEL_BPE,
} lk_token_model;

struct lk_tokenizer {
    lk_token_model model;
    size_t vocab_size;
    lk_trie vocabulary;  /* roots: LK_WORDPIECE_*; the first has all pieces */
    uint32_t unknown_id; /* LK_TRIE_NONE: there is none */
    uint32_t space_id;   /* of the piece that is a space alone, or the same */
    lk_bert_rules rules; /* WordPiece's words */
    lk_unigram unigram;
    lk_bpe bpe;
    lk_affix before, after;
    bool is_bare;   /* unknown tokens are left out */
    bool keeps_end; /* a text that is too long loses its beginning */
    /* Words are read straight from the raw text, by `rules`; otherwise from
     * what these three make of it. */
    bool is_direct;
    lk_added added;
    lk_normalizer normalizer;
    lk_splitter splitter;
    /* tokenizer.json without its vocabulary, merges and charsmap, for an image;
     * NULL of a direct one */
    char *rest;
};

/* A string literal or NUL-terminated string as a run of bytes. */
linkd_str lk_str(const char *text);

/* An empty tokenizer, for a reader. LINKD_E_NOMEM. */
LINKD_MUST_CHECK int lk_tokenizer_new(lk_tokenizer **ret_tokenizer,
                                      linkd_error *err);
/* Hands over what a reader made, or frees it when the reader failed. Answers
 * `rc`, what the reader answered. */
LINKD_MUST_CHECK int lk_tokenizer_finish(lk_tokenizer *tokenizer, int rc,
                                         lk_tokenizer **ret_tokenizer);

/* Each reader fills an empty tokenizer; lk_tokenizer_close() frees what a
 * failed one left. */
LINKD_MUST_CHECK int lk_tokenizer_json_read(lk_tokenizer *tokenizer,
                                            linkd_str json, linkd_error *err);
/* The rest of a tokenizer.json alone, for a tokenizer that has its vocabulary and
 * its scores or merges already. `charsmap` is that of the normalizer, which then
 * borrows it; {0} is none. The ids of tokens are in range, but perhaps not unique. */
LINKD_MUST_CHECK int lk_tokenizer_json_read_rest(lk_tokenizer *tokenizer,
                                                 linkd_str rest,
                                                 const lk_charsmap *charsmap,
                                                 linkd_error *err);
LINKD_MUST_CHECK int lk_vocab_txt_read(lk_tokenizer *tokenizer, linkd_str vocab,
                                       linkd_str config, linkd_error *err);

LINKD_MUST_CHECK int lk_vocab_clip_read(lk_tokenizer *tokenizer,
                                        linkd_str vocab, linkd_str merges,
                                        linkd_str config, linkd_error *err);

/* Adds a token of the model's vocabulary; an empty one matches nothing.
 * LINKD_E_DATA: it is there already, or the vocabulary is too large. */
LINKD_MUST_CHECK int lk_tokenizer_add_piece(lk_tokenizer *tokenizer,
                                            linkd_str token,
                                            linkd_str inside_prefix,
                                            uint32_t id, linkd_error *err);

/* Adds a token that is found in the raw text where words are read from it. */
LINKD_MUST_CHECK int lk_tokenizer_add_special(lk_tokenizer *tokenizer,
                                              linkd_str token, uint32_t id,
                                              linkd_error *err);

/* A name from a foreign file, fit for a message of one line. Returns `shown`.
 */
const char *lk_name_show(linkd_str name, char shown[LK_SHOWN_MAX]);

#endif
