/* daemon/bodies.h — private: request bodies that carry records: JSON, NDJSON,
 * CSV, .npy and bare floats. Foreign bytes: all of it is fuzzed. */
#ifndef LK_DAEMON_BODIES_H
#define LK_DAEMON_BODIES_H

#include "daemon/json.h"
#include "daemon/request.h"

/* Records as a body gave them. Strings, fields and vectors live in the arena
 * or in the JSON that is kept for them. */
typedef struct lk_records {
    linkd_put *puts;
    size_t n;
    size_t capacity;
    json_t *json; /* array of what the puts borrow from */
} lk_records;

typedef struct lk_records_form {
    linkd_str content_type;
    linkd_str id_column; /* of CSV; empty: "id", else the first */
    uint64_t first_id;   /* of binary vectors */
    size_t dim;
    bool takes_vectors; /* the collection has no model */
} lk_records_form;

/* LINKD_E_ARG: the message says which record (from 0), row or line. A content
 * type that is none of ours is LINKD_E_ABSENT. */
LINKD_MUST_CHECK int lk_records_read(linkd_str body,
                                     const lk_records_form *form,
                                     lk_arena *arena, lk_records *ret_records,
                                     linkd_error *err);
void lk_records_clear(lk_records *records);

/* One record from its JSON object, as in a body of many. */
LINKD_MUST_CHECK int lk_record_read(const json_t *object, const char *where,
                                    const lk_records_form *form,
                                    lk_arena *arena, linkd_put *ret_put,
                                    linkd_error *err);

/* Vectors [n, dim] in an octet stream or .npy, scaled to length 1, in the arena.
 */
LINKD_MUST_CHECK int lk_vectors_read(linkd_str body, bool is_npy, size_t dim,
                                     lk_arena *arena, float **ret_vectors,
                                     size_t *ret_n, linkd_error *err);

#endif
