/* encoder/tokenizer.h — text to token ids, as Hugging Face's tokenizers do it.
 */
#ifndef LK_ENCODER_TOKENIZER_H
#define LK_ENCODER_TOKENIZER_H

#include "base/base.h"

#include <stdbool.h>

typedef struct lk_tokenizer lk_tokenizer;
typedef struct lk_token_scratch lk_token_scratch;

/* The ids of one text. {0} is empty; reused from text to text it stops
 * allocating. */
typedef struct lk_tokens {
    uint32_t *ids;
    size_t n;
    size_t capacity;
    bool truncated; /* the text had more tokens than were asked for */
    lk_token_scratch *scratch; /* made when a tokenizer needs one */
} lk_tokens;

/* Reads tokenizer.json of a model directory, else vocab.txt, else CLIP's
 * vocab.json and merges.txt, and then, if it is there, tokenizer_config.json.
 * Of the truncation that the file asks for only its side is heeded, of the
 * padding nothing.
 * LINKD_E_IO: a file cannot be read. LINKD_E_DATA: none is there, or it is
 * damaged or of a kind that is not supported; the message names the file. */
LINKD_MUST_CHECK int lk_tokenizer_open(const char *dir,
                                       lk_tokenizer **ret_tokenizer,
                                       linkd_error *err);

/* The same from memory: the content of tokenizer.json, or of vocab.txt, or
 * vocab.json and merges.txt, and tokenizer_config.json (empty: there is none).
 * LINKD_E_DATA as above. */
LINKD_MUST_CHECK int lk_tokenizer_parse_json(linkd_str json,
                                             lk_tokenizer **ret_tokenizer,
                                             linkd_error *err);
LINKD_MUST_CHECK int lk_tokenizer_parse_vocab(linkd_str vocab, linkd_str config,
                                              lk_tokenizer **ret_tokenizer,
                                              linkd_error *err);
LINKD_MUST_CHECK int lk_tokenizer_parse_clip(linkd_str vocab, linkd_str merges,
                                             linkd_str config,
                                             lk_tokenizer **ret_tokenizer,
                                             linkd_error *err);

/* Gives the ids of a text's own pieces alone from now on: nothing around them,
 * and none that is unknown, unless there is no other. */
void lk_tokenizer_bare(lk_tokenizer *tokenizer);

/* A text that is too long loses its beginning from now on, or its end. */
void lk_tokenizer_cut(lk_tokenizer *tokenizer, bool keeps_end);

/* Makes texts lower case before all else from now on. Tells whether that is news:
 * most vocabularies without capitals do so anyway. LINKD_E_NOMEM. */
LINKD_MUST_CHECK int lk_tokenizer_lowercase(lk_tokenizer *tokenizer,
                                            bool *ret_is_new, linkd_error *err);

void lk_tokenizer_close(lk_tokenizer *tokenizer);

/* "wordpiece", "unigram" or "bpe"; a constant. */
const char *lk_tokenizer_kind(const lk_tokenizer *tokenizer);

/* The largest id + 1. */
size_t lk_tokenizer_vocab_size(const lk_tokenizer *tokenizer);

/* Puts the ids of `text` into `tokens`, with those that begin and end every
 * text ([CLS], [SEP]) and at most `max_tokens` in all: a longer text loses its
 * end, or its beginning where the file says so. Reads no further than needed.
 * The name of an added token in the text ("[SEP]") is that token, as with
 * Hugging Face. A byte that is not UTF-8 counts as U+FFFD.
 * Any number of threads, each with its own `tokens`. LINKD_E_ARG: max_tokens
 * leaves no room for [CLS] and [SEP]. LINKD_E_NOMEM. After a failure `tokens`
 * holds no valid ids, but can be used again. */
LINKD_MUST_CHECK int lk_tokenizer_encode(const lk_tokenizer *tokenizer,
                                         linkd_str text, size_t max_tokens,
                                         lk_tokens *tokens, linkd_error *err);

/* True if one of the ids that lk_tokenizer_encode() gives is a piece of a word:
 * neither unknown nor that of an added token. Stops at the first. */
bool lk_tokenizer_knows(const lk_tokenizer *tokenizer, linkd_str text,
                        size_t max_tokens);

/* Appends one id. LINKD_E_NOMEM. */
LINKD_MUST_CHECK int lk_tokens_append(lk_tokens *tokens, uint32_t id,
                                      linkd_error *err);
void lk_tokens_clear(lk_tokens *tokens);

#endif
