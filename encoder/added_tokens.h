/* encoder/added_tokens.h — tokens whose names are found in a text as they are.
 */
#ifndef LK_ENCODER_ADDED_TOKENS_H
#define LK_ENCODER_ADDED_TOKENS_H

#include "encoder/trie.h"

#include <stdbool.h>

/* Where a token's name is looked for: the trees of the names' trie. */
enum {
    LK_ADDED_RAW,        /* in the raw text */
    LK_ADDED_NORMALIZED, /* in what the normalizer made of it */
    LK_ADDED_N_ROOTS
};

typedef struct lk_added_token {
    uint32_t id;
    bool single_word; /* not inside a word */
    bool lstrip;      /* takes the white space before it, too */
    bool rstrip;
} lk_added_token;

/* {0} before lk_added_init(). */
typedef struct lk_added {
    lk_trie names; /* to a place in tokens[] */
    lk_added_token *tokens;
    size_t n;
    size_t capacity;
    bool begins[LK_ADDED_N_ROOTS][256]; /* by a name's first byte */
} lk_added;

LINKD_MUST_CHECK int lk_added_init(lk_added *added, linkd_error *err);
void lk_added_clear(lk_added *added);

/* Adds a token under a name of at least one byte. Of two with one name the
 * first counts. LINKD_E_DATA: the tree is full. LINKD_E_NOMEM. */
LINKD_MUST_CHECK int lk_added_add(lk_added *added, uint32_t root,
                                  linkd_str name, const lk_added_token *token,
                                  linkd_error *err);

/* A text being cut at the tokens of one root. */
typedef struct lk_added_reader {
    const lk_added *added;
    uint32_t root;
    linkd_str text;
    size_t at;                   /* the search goes on here */
    size_t cut_at;               /* what was handed out ends here */
    const lk_added_token *token; /* found, its text not handed out; or NULL */
    size_t token_end;
} lk_added_reader;

typedef enum lk_added_kind {
    LK_ADDED_END,
    LK_ADDED_TEXT,  /* text between tokens: ret_text */
    LK_ADDED_TOKEN, /* a token: ret_id */
} lk_added_kind;

void lk_added_reader_init(lk_added_reader *reader, const lk_added *added,
                          uint32_t root, linkd_str text);
lk_added_kind lk_added_read(lk_added_reader *reader, linkd_str *ret_text,
                            uint32_t *ret_id);

#endif
