/* encoder/json.h — a model directory's JSON files. */
#ifndef LK_ENCODER_JSON_H
#define LK_ENCODER_JSON_H

#include <jansson.h>

#include "base/base.h"

/* Parses a JSON text; `name` begins the message. The caller json_decref()s the
 * result. LINKD_E_DATA: it is not JSON. */
LINKD_MUST_CHECK int lk_json_parse_bytes(const void *bytes, size_t len,
                                         const char *name, json_t **ret_json,
                                         linkd_error *err);

/* Parses the file dir/name. LINKD_E_IO: it cannot be read. */
LINKD_MUST_CHECK int lk_json_read(const char *dir, const char *name,
                                  json_t **ret_json, linkd_error *err);

#endif
