/* daemon/search.h — private: one request for a search, from its body to its
 * answer: search_read.c reads it, handle_search.c searches, search_print.c
 * prints. */
#ifndef LK_DAEMON_SEARCH_H
#define LK_DAEMON_SEARCH_H

#include "daemon/bridges.h"
#include "daemon/cascade.h"
#include "daemon/query_content.h"
#include "daemon/target.h"

typedef struct lk_query {
    linkd_str text; /* of a query by text, picture or both */
    linkd_str id;   /* of a query by record */
    const json_t *vector_json;
    const float *vector; /* [dim], or NULL: has no hits */
    uint32_t generation; /* that the vector is of */
    size_t place;        /* among the encoded texts; SIZE_MAX: no text */
    uint64_t exclude;
} lk_query;

typedef struct lk_search {
    lk_service *service;
    lk_request *request;
    lk_target target;
    lk_query *queries;
    size_t n;
    size_t n_texts;
    lk_query_kinds kinds; /* of these */
    bool is_list;         /* the answer is a list of lists */
    linkd_search_options options;
    bool has_k;
    linkd_limit limit; /* a score, where `bridges` is NULL, or NONE */
    float lowest;      /* score of a hit, rounded; then alone */
    bool own_only;     /* older models' records are not searched */
    bool has_way;      /* else the collection's serves */
    linkd_way way;
    bool has_candidates;
    size_t n_candidates; /* of each query, that are encoded anew */
    lk_cascade cascade;
    bool all;
    const linkd_filter *filter; /* may be NULL */
    bool shows_fields;
    const linkd_str *fields; /* [n_fields]; NULL: every one but pictures */
    size_t n_fields;
    linkd_str image; /* the field with the picture */
    linkd_view *view;
    const linkd_bridges *bridges; /* NULL: the model was never changed */
    lk_homes homes;
    lk_buf *body;
} lk_search;

/* Options and queries of either kind of body, and the collection. What is
 * read points into *ret_json, which the caller frees, whatever is returned.
 * LINKD_E_ARG, LINKD_E_ABSENT, LINKD_E_NOMEM. */
LINKD_MUST_CHECK int lk_search_read(lk_search *search, json_t **ret_json,
                                    linkd_error *err);

/* ---- the answer, at the end of search->body --------------------------------- */

/* LINKD_E_CANCELLED: the request's time is over. LINKD_E_ARG: the answer is too
 * long. */
LINKD_MUST_CHECK int lk_search_check_answer(const lk_search *search,
                                            linkd_error *err);
/* Goes before the list of each query but the first one. */
LINKD_MUST_CHECK int lk_search_print_separator(const lk_search *search,
                                               size_t i, linkd_error *err);
/* The list of one query. Errors as lk_search_check_answer() and
 * linkd_view_read(). */
LINKD_MUST_CHECK int lk_search_print_list(const lk_search *search,
                                          const linkd_found *hits, size_t n,
                                          const linkd_search_stats *stats,
                                          linkd_error *err);
/* The same of a search in one generation, as far as hits score enough. */
LINKD_MUST_CHECK int lk_search_print_hits(const lk_search *search,
                                          const linkd_hit *hits, size_t n,
                                          const linkd_search_stats *stats,
                                          linkd_error *err);

#endif
