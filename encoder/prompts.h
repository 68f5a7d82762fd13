/* encoder/prompts.h — what a model wants in front of texts, by the use that is
 * made of them ("query", "passage"): config_sentence_transformers.json. */
#ifndef LK_ENCODER_PROMPTS_H
#define LK_ENCODER_PROMPTS_H

#include <jansson.h>

#include "base/base.h"
#include "encoder/encoder.h"

/* {0} has none. */
typedef struct lk_prompts {
    json_t *file;
    const char
        *standard; /* goes before texts unless another is asked for; "" is
                           * none */
} lk_prompts;

/* From the file's bytes. LINKD_E_DATA: it is damaged, or its default is none of
 * its prompts. */
LINKD_MUST_CHECK int lk_prompts_parse(const void *bytes, size_t len,
                                      lk_prompts *ret_prompts,
                                      linkd_error *err);
/* From a model directory, which need not have the file. LINKD_E_IO. */
LINKD_MUST_CHECK int lk_prompts_read(const char *dir, lk_prompts *ret_prompts,
                                     linkd_error *err);
void lk_prompts_clear(lk_prompts *prompts);

/* NULL: there is none of that name. */
const char *lk_prompts_find(const lk_prompts *prompts, const char *name);

/* The prompt that texts of that use get: "query"; the first that is there of
 * "document", "passage" and "corpus"; else the default. "" is none. That is what
 * sentence-transformers says of encode_query() and encode_document(); its 6.2.0
 * takes a "query" or "document" that is not there for "". */
const char *lk_prompts_for(const lk_prompts *prompts, linkd_use use);

#endif
