/* encoder/bert_words.h — a text as the normalised words that WordPiece splits.
 */
#ifndef LK_ENCODER_BERT_WORDS_H
#define LK_ENCODER_BERT_WORDS_H

#include "encoder/trie.h"
#include "encoder/unicode.h"

#include <stdbool.h>

enum {
    /* Hugging Face's default is 100; a word is kept on the stack */
    LK_WORD_CHARS_MAX = 1000,
    /* a CJK character between spaces, decomposed, each part lower-cased */
    LK_WORD_QUEUE_MAX = LK_EXPANSION_MAX * LK_EXPANSION_MAX + 2,
};

/* The options of Hugging Face's BertNormalizer, and what ASCII becomes under
 * them. Filled once by lk_bert_rules_init(), then shared by all readers. */
typedef struct lk_bert_rules {
    bool clean_text;
    bool handle_chinese_chars;
    bool strip_accents;
    bool lowercase;
    size_t max_word_chars;
    const lk_trie *added; /* tokens that are found in the raw text */
    uint32_t added_root;
    bool added_begins[256]; /* by an added token's first byte */
    uint8_t actions[256];   /* by a text's byte: see bert_words.c */
} lk_bert_rules;

/* The options, max_word_chars, added… and added_begins are set already. */
void lk_bert_rules_init(lk_bert_rules *rules);

typedef struct lk_word_char {
    uint32_t cp;
    uint32_t properties;
} lk_word_char;

typedef enum lk_word_kind {
    LK_WORD_END,   /* the text is over */
    LK_WORD_PLAIN, /* bytes[0 … len) is a word of n_chars code points */
    LK_WORD_ADDED, /* the text says the name of the added token added_id */
} lk_word_kind;

/* A text being read. A word longer than max_word_chars is read to its end and
 * counted, but only its beginning is kept. */
typedef struct lk_word_reader {
    const lk_bert_rules *rules;
    const uint8_t *at, *end;               /* the raw text ahead */
    lk_word_char queue[LK_WORD_QUEUE_MAX]; /* normalised, not yet in a word */
    size_t queue_at, queue_len;
    size_t n_chars;
    size_t len;
    size_t marks_at; /* marks are reordered no further back than here */
    uint32_t added_id;
    uint8_t bytes[LK_WORD_CHARS_MAX * LK_UTF8_MAX];
} lk_word_reader;

void lk_word_reader_init(lk_word_reader *reader, const lk_bert_rules *rules,
                         linkd_str text);
lk_word_kind lk_word_read(lk_word_reader *reader);

/* Appends what BertNormalizer makes of `text`, a part of a text without added
 * tokens: the same code points as the words, with their spaces. LINKD_E_NOMEM.
 */
LINKD_MUST_CHECK int lk_bert_normalize(const lk_bert_rules *rules,
                                       linkd_str text, lk_buf *out,
                                       linkd_error *err);

#endif
