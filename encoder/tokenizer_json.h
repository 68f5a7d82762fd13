/* encoder/tokenizer_json.h — what the readers of a tokenizer.json share. */
#ifndef LK_ENCODER_TOKENIZER_JSON_H
#define LK_ENCODER_TOKENIZER_JSON_H

#include "encoder/tokenizer_parts.h"

#include <jansson.h>

#define LK_TOKENIZER_FILE "tokenizer.json"

typedef struct lk_json_reader {
    lk_tokenizer *tokenizer;
    const json_t *root;
    const json_t *model;
    uint8_t *id_taken; /* [n_ids]; NULL of a rest */
    size_t n_ids;
    /* Only the rest of a file is read: the tokenizer has all else, but for the
     * normalizer's charsmap, which is here. */
    bool is_rest;
    const lk_charsmap *charsmap;
    linkd_error *err;
} lk_json_reader;

/* A whole file, parsed; of `root` the vocabulary and what else is large is gone
 * afterwards. LINKD_E_DATA as below. */
LINKD_MUST_CHECK int lk_tokenizer_json_read_root(lk_tokenizer *tokenizer,
                                                 json_t *root,
                                                 linkd_error *err);

/* The parts of the file; each fills the reader's tokenizer. LINKD_E_DATA: what
 * is there would change ids and is not done here, or is damaged. */

/* model: pieces, scores, merges; also counts the tokens. */
LINKD_MUST_CHECK int lk_json_model_read(lk_json_reader *reader);
/* model.type of that model. */
const char *lk_json_kind_name(lk_token_model model);
/* The first part of the normalizer that has a charsmap, or NULL. */
json_t *lk_json_charsmap_find(const json_t *root);
/* normalizer and pre_tokenizer. */
LINKD_MUST_CHECK int lk_json_steps_read(lk_json_reader *reader);

/* Counts all tokens: `n_pieces` of the model and those that are only added. */
LINKD_MUST_CHECK int lk_json_tokens_count(lk_json_reader *reader,
                                          const json_t *vocab, size_t n_pieces);

/* Members. `path` names the object in messages. */

/* A string that must be there. */
LINKD_MUST_CHECK int lk_json_text_get(const json_t *object, const char *path,
                                      const char *key, const char **ret_text,
                                      linkd_error *err);
/* A string; where it is missing or null `ret_text` stays as it is. */
LINKD_MUST_CHECK int lk_json_text_find(const json_t *object, const char *path,
                                       const char *key, const char **ret_text,
                                       linkd_error *err);
/* A boolean, likewise. */
LINKD_MUST_CHECK int lk_json_flag_find(const json_t *object, const char *path,
                                       const char *key, bool *ret_flag,
                                       linkd_error *err);
/* A member of the root that is an object with a type, or null. */
LINKD_MUST_CHECK int lk_json_part_find(const lk_json_reader *reader,
                                       const char *key, const json_t **ret_part,
                                       const char **ret_type);
LINKD_MUST_CHECK int lk_json_type_refuse(const char *key, const char *type,
                                         linkd_error *err);

/* An id below `n_ids`; taking it also checks that no other token has it. */
LINKD_MUST_CHECK int lk_json_id_get(const json_t *value, size_t n_ids,
                                    const char *token, uint32_t *ret_id,
                                    linkd_error *err);
LINKD_MUST_CHECK int lk_json_id_take(lk_json_reader *reader,
                                     const json_t *value, const char *token,
                                     uint32_t *ret_id);

#endif
