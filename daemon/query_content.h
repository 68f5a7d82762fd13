/* daemon/query_content.h — private: what a search looks for by its text, its
 * picture, or both. */
#ifndef LK_DAEMON_QUERY_CONTENT_H
#define LK_DAEMON_QUERY_CONTENT_H

#include "daemon/json.h"
#include "daemon/models.h"

/* What queries of one search have, which their model has to read. */
typedef struct lk_query_kinds {
    bool texts;
    bool pictures;
} lk_query_kinds;

/* The content (linkage/content.h) of "text" and "image" of a query, of which it
 * has one at least. Lives in the arena or in the JSON; `kinds` is added to.
 * LINKD_E_ARG: the image is no data URI, or cannot be used; `where` is in the
 * message. */
LINKD_MUST_CHECK int lk_query_content_read(const json_t *query,
                                           const char *where, lk_arena *arena,
                                           lk_query_kinds *kinds,
                                           linkd_str *ret_content,
                                           linkd_error *err);

/* LINKD_E_ARG: the model, or NULL, does not read what the queries have. */
LINKD_MUST_CHECK int lk_query_kinds_check(const lk_query_kinds *kinds,
                                          const lk_model *model,
                                          linkd_str model_name,
                                          linkd_error *err);

#endif
