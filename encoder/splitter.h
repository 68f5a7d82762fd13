/* encoder/splitter.h — a normalised text into the parts that a model's pieces
 * never reach over (the pre_tokenizer of a tokenizer.json). */
#ifndef LK_ENCODER_SPLITTER_H
#define LK_ENCODER_SPLITTER_H

#include "base/base.h"
#include "encoder/pattern.h"
#include "encoder/unicode.h"

#include <stdbool.h>

enum {
    LK_SPLIT_STEPS_MAX = 4, /* guess: two are the most seen */
};

typedef enum lk_split_kind {
    LK_SPLIT_SPACES,     /* WhitespaceSplit: white space separates, and goes */
    LK_SPLIT_METASPACE,  /* spaces become a character that begins parts */
    LK_SPLIT_PATTERN,    /* Split: at what a pattern matches */
    LK_SPLIT_BYTE_LEVEL, /* GPT-2's words, each byte as one character */
} lk_split_kind;

/* What becomes of what a pattern matches. */
typedef enum lk_split_behavior {
    LK_SPLIT_REMOVED,
    LK_SPLIT_ISOLATED,
    LK_SPLIT_WITH_PREVIOUS, /* the end of the part before it */
    LK_SPLIT_WITH_NEXT,     /* the beginning of the part after it */
    LK_SPLIT_CONTIGUOUS,    /* neighbours are one part */
} lk_split_behavior;

typedef enum lk_prefixing {
    LK_PREFIX_NEVER,
    LK_PREFIX_FIRST, /* only at the very beginning of a text */
    LK_PREFIX_ALWAYS,
} lk_prefixing;

typedef struct lk_split_step {
    lk_split_kind kind;
    lk_prefixing prefixing;  /* METASPACE, BYTE_LEVEL: a space before */
    bool splits;             /* METASPACE, BYTE_LEVEL: into parts at all */
    char space[LK_UTF8_MAX]; /* METASPACE: what a space becomes */
    size_t space_len;
    lk_pattern *pattern;        /* PATTERN, owned */
    lk_split_behavior behavior; /* PATTERN */
    bool is_inverted;           /* PATTERN: the rest is what matches */
} lk_split_step;

/* {0} leaves a text whole. */
typedef struct lk_splitter {
    lk_split_step steps[LK_SPLIT_STEPS_MAX];
    size_t n;
} lk_splitter;

void lk_splitter_clear(lk_splitter *splitter);

/* Scratch, reused from text to text. {0} is empty. */
typedef struct lk_split_scratch {
    lk_buf texts[LK_SPLIT_STEPS_MAX];
    lk_buf levels;
} lk_split_scratch;

void lk_split_scratch_clear(lk_split_scratch *scratch);

/* Called for each part, in order; `*ret_stop` ends the splitting. */
typedef int (*lk_part_cb)(void *ctx, linkd_str part, bool *ret_stop,
                          linkd_error *err);

/* Splits `text`, valid UTF-8; `is_first`: nothing of the whole text is before
 * it. LINKD_E_NOMEM, or what `part_cb` fails with. */
LINKD_MUST_CHECK int lk_splitter_run(const lk_splitter *splitter,
                                     lk_split_scratch *scratch, linkd_str text,
                                     bool is_first, lk_part_cb part_cb,
                                     void *ctx, linkd_error *err);

/* The character that stands for a byte in a byte-level vocabulary. */
uint32_t lk_byte_level_char(uint8_t byte);

#endif
