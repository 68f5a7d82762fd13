/* daemon/json.h — private: JSON bodies, parsed strictly (jansson behind it):
 * UTF-8, no repeated members, no NaN, nothing after the value; depth and number
 * of values are limited, and counted before memory is spent on them. */
#ifndef LK_DAEMON_JSON_H
#define LK_DAEMON_JSON_H

#include <jansson.h>

#include "linkage/linkage.h"

#define LK_JSON_DEPTH_MAX 64
/* A value takes some 50 bytes in memory and 2 in the body, so a body alone is
 * no bound: 2^21 are 5,000 vectors of 384 numbers and 100 MB. */
#define LK_JSON_VALUES_MAX ((size_t)1 << 21)

/* `ret_json` is freed with json_decref(). LINKD_E_ARG: the message says what
 * and where ("line 1 column 9: …"). */
LINKD_MUST_CHECK int lk_json_parse(linkd_str text, json_t **ret_json,
                                   linkd_error *err);
/* LINKD_E_ARG: `object` is no object, or has a member that is not in `names`
 * (NULL ends the list). `where` begins the message: "record 3". */
LINKD_MUST_CHECK int lk_json_check_members(const json_t *object,
                                           const char *where,
                                           const char *const *names,
                                           linkd_error *err);
/* Members by kind: absent or null leaves *ret_value as it is. LINKD_E_ARG: it
 * is of another kind, or out of range. Strings borrow from `object`. */
LINKD_MUST_CHECK int lk_json_get_string(const json_t *object, const char *name,
                                        linkd_str *ret_value, linkd_error *err);
LINKD_MUST_CHECK int lk_json_get_size(const json_t *object, const char *name,
                                      size_t lowest, size_t highest,
                                      size_t *ret_value, linkd_error *err);
LINKD_MUST_CHECK int lk_json_get_limit(const json_t *object, const char *name,
                                       linkd_limit *ret_value,
                                       linkd_error *err);
LINKD_MUST_CHECK int lk_json_get_bool(const json_t *object, const char *name,
                                      bool *ret_value, linkd_error *err);

/* An array of `dim` numbers or base64 of dim little-endian f32, in the arena,
 * scaled to length 1. LINKD_E_ARG: other length, not finite, all zero. */
LINKD_MUST_CHECK int lk_json_get_vector(const json_t *value, size_t dim,
                                        const char *where, lk_arena *arena,
                                        const float **ret_vector,
                                        linkd_error *err);

/* Scales to length 1. LINKD_E_ARG: not finite, or all zero. */
LINKD_MUST_CHECK int lk_vector_normalize(float *vector, size_t dim,
                                         const char *where, linkd_error *err);

/* A filter as docs/http-api.md has it; the tree lives in the arena and borrows
 * strings from `value`. */
LINKD_MUST_CHECK int lk_json_get_filter(const json_t *value, lk_arena *arena,
                                        const linkd_filter **ret_filter,
                                        linkd_error *err);

/* The value that an array or object has as compact JSON, appended. */
LINKD_MUST_CHECK int lk_json_put_value(lk_buf *buf, const json_t *value,
                                       linkd_error *err);

/* Appends text as a JSON string with its quotes. */
LINKD_MUST_CHECK int lk_json_put_string(lk_buf *buf, linkd_str text,
                                        linkd_error *err);

#endif
