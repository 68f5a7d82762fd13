/* encoder/config_json.h — what the readers of a model directory's small JSON
 * files share. */
#ifndef LK_ENCODER_CONFIG_JSON_H
#define LK_ENCODER_CONFIG_JSON_H

#include <jansson.h>

#include "encoder/config.h"
#include "encoder/json.h"

#define LK_CONFIG_FILE "config.json"

/* Larger than any encoder known, and small enough that no product of two
 * overflows: sizes from a file are multiplied freely after this check. */
#define LK_WIDTH_MAX ((size_t)1 << 16)
#define LK_COUNT_MAX ((size_t)1 << 24)

/* [CLS], one token and [SEP]. */
#define LK_TOKENS_MIN ((size_t)3)

/* A whole number from 1 to `max`. `file` begins the messages. LINKD_E_DATA. */
LINKD_MUST_CHECK int lk_config_size(const json_t *json, const char *file,
                                    const char *key, size_t max,
                                    size_t *ret_size, linkd_error *err);

/* A file that must be an object; the caller json_decref()s it. LINKD_E_DATA. */
LINKD_MUST_CHECK int lk_config_object(const void *bytes, size_t len,
                                      const char *name, json_t **ret_json,
                                      linkd_error *err);

/* config.json's members that ModernBERT alone has. LINKD_E_DATA. */
LINKD_MUST_CHECK int lk_config_modern(const json_t *json, lk_config *config,
                                      linkd_error *err);

/* The tower for texts in a CLIP's config.json, whose root it is. LINKD_E_DATA: a
 * number is unusable, or something is not supported. */
LINKD_MUST_CHECK int lk_config_clip(const json_t *root, lk_config *config,
                                    linkd_error *err);

#endif
