/* daemon/cascade.h — private: records that a search has found in older
 * generations, encoded anew with the model that serves, for that search and, as
 * fast as the throttle lets them, for good.
 *
 *   lk_cascade_add ─► lk_cascade_read ─► lk_cascade_encode ─► fresh vectors
 *     numbers           texts (view)       (no view)             └► _write
 *
 * Nothing here fails a search: what could not be done is counted in metrics, and
 * `n_fresh` is 0, or the records stay where they are. */
#ifndef LK_DAEMON_CASCADE_H
#define LK_DAEMON_CASCADE_H

#include "daemon/models.h"
#include "daemon/request.h"
#include "daemon/service.h"

/* Records that a search has encoded for a query, where it does not say, and at
 * most. */
#define LK_CASCADE     ((size_t)100)
#define LK_CASCADE_MAX ((size_t)1000)
/* Those of all queries of a request; what goes beyond is not encoded. As many as
 * may wait for a model (models.c). */
#define LK_CASCADE_TEXTS_MAX ((size_t)4096)

typedef struct lk_candidate {
    uint64_t number;
    uint64_t seq;
    linkd_str text;
    const float *vector;
    size_t place; /* in the order in which they were found, best first */
} lk_candidate;

typedef struct lk_cascade {
    lk_service *service;
    lk_request *request; /* its arena has all arrays */
    linkd_str collection;
    linkd_settings settings;
    uint32_t generation;      /* that serves */
    lk_model *model;          /* NULL: nothing is encoded */
    lk_candidate *candidates; /* [n_most] */
    size_t n_most;
    size_t n;
    linkd_fresh *fresh; /* in order of number */
    size_t n_fresh;
} lk_cascade;

/* Opens the model of the collection, which `info` describes, for at most so many
 * candidates. */
void lk_cascade_open(lk_service *service, lk_request *request,
                     linkd_str collection, const linkd_collection_info *info,
                     size_t n_most, lk_cascade *ret_cascade);
/* Notes what of `found` is of another generation. */
void lk_cascade_add(lk_cascade *cascade, const linkd_found *found, size_t n);
/* Reads the texts of what was noted. */
void lk_cascade_read(lk_cascade *cascade, linkd_view *view);
/* Takes half of the time that the request has left at most. */
void lk_cascade_encode(lk_cascade *cascade);
/* Moves records to the generation that serves, the best ones first. */
void lk_cascade_write(lk_cascade *cascade);

#endif
