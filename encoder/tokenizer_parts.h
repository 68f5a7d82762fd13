/* encoder/tokenizer_parts.h — what tokenizer.c, tokenizer_json.c and
 * vocab_txt.c share: a tokenizer while it is put together. */
#ifndef LK_ENCODER_TOKENIZER_PARTS_H
#define LK_ENCODER_TOKENIZER_PARTS_H

#include "encoder/bert_words.h"
#include "encoder/tokenizer.h"
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

struct lk_tokenizer {
    const char *kind;
    size_t vocab_size;
    lk_trie vocabulary; /* roots: LK_WORDPIECE_* */
    uint32_t unknown_id;
    lk_bert_rules rules;
    lk_affix before, after;
};

/* A string literal or NUL-terminated string as a run of bytes. */
linkd_str lk_str(const char *text);

/* Each reader fills a zeroed tokenizer; lk_tokenizer_close() frees what a
 * failed one left. */
LINKD_MUST_CHECK int lk_tokenizer_json_read(lk_tokenizer *tokenizer,
                                            linkd_str json, linkd_error *err);
LINKD_MUST_CHECK int lk_vocab_txt_read(lk_tokenizer *tokenizer, linkd_str vocab,
                                       linkd_str config, linkd_error *err);

/* Adds a token of the model's vocabulary; an empty one matches nothing.
 * LINKD_E_DATA: it is there already, or the vocabulary is too large. */
LINKD_MUST_CHECK int lk_tokenizer_add_piece(lk_tokenizer *tokenizer,
                                            linkd_str token,
                                            linkd_str inside_prefix,
                                            uint32_t id, linkd_error *err);

/* Adds a token that is found in the raw text. */
LINKD_MUST_CHECK int lk_tokenizer_add_special(lk_tokenizer *tokenizer,
                                              linkd_str token, uint32_t id,
                                              linkd_error *err);

/* A name from a foreign file, fit for a message of one line. Returns `shown`.
 */
const char *lk_name_show(linkd_str name, char shown[LK_SHOWN_MAX]);

#endif
