/* encoder/normalizer.h — what a tokenizer.json does to a text before it is
 * split: a list of steps, each of which rewrites the whole text. */
#ifndef LK_ENCODER_NORMALIZER_H
#define LK_ENCODER_NORMALIZER_H

#include "encoder/bert_words.h"
#include "encoder/charsmap.h"
#include "encoder/pattern.h"
#include "encoder/unicode_normal.h"

typedef enum lk_normal_kind {
    LK_NORMAL_BERT,     /* BertNormalizer, by `rules` */
    LK_NORMAL_CHARSMAP, /* Precompiled */
    LK_NORMAL_REPLACE,  /* what `pattern` matches by `content` */
    LK_NORMAL_STRIP,    /* white space at the ends */
    LK_NORMAL_NFC,
    LK_NORMAL_NFD,
    LK_NORMAL_NFKC,
    LK_NORMAL_NFKD,
    LK_NORMAL_LOWERCASE,
    LK_NORMAL_STRIP_ACCENTS,
    LK_NORMAL_PREPEND, /* `content`, unless the text is empty */
} lk_normal_kind;

typedef struct lk_normal_step {
    lk_normal_kind kind;
    lk_bert_rules rules; /* BERT: its four options */
    lk_charsmap charsmap;
    lk_pattern *pattern; /* REPLACE, owned */
    lk_buf content;
    bool is_left, is_right; /* STRIP */
} lk_normal_step;

/* {0} leaves texts as they are. */
typedef struct lk_normalizer {
    lk_normal_step *steps;
    size_t n;
    size_t capacity;
} lk_normalizer;

/* Scratch, reused from text to text. {0} is empty. */
typedef struct lk_normal_scratch {
    lk_buf spare;
    lk_code_points points;
} lk_normal_scratch;

/* Appends a zeroed step, which the normalizer owns. LINKD_E_NOMEM. */
LINKD_MUST_CHECK int lk_normalizer_add(lk_normalizer *normalizer,
                                       lk_normal_step **ret_step,
                                       linkd_error *err);
void lk_normalizer_clear(lk_normalizer *normalizer);

/* Rewrites `text`, valid UTF-8, in place. LINKD_E_NOMEM. */
LINKD_MUST_CHECK int lk_normalizer_run(const lk_normalizer *normalizer,
                                       lk_normal_scratch *scratch, lk_buf *text,
                                       linkd_error *err);
void lk_normal_scratch_clear(lk_normal_scratch *scratch);

#endif
