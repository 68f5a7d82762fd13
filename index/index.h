/* index/index.h — vectors to nearest neighbours, in memory, exactly. FAISS
 * finds the candidates; the scores that come back are recomputed in one fixed
 * order, so they do not depend on how queries were batched. The store on disk
 * is a later part. */
#ifndef LINKD_INDEX_H
#define LINKD_INDEX_H

#include "base/base.h"

#ifdef __cplusplus
extern "C" {
#endif

#define LINKD_ID_NONE UINT64_MAX

typedef struct linkd_index linkd_index;

typedef struct linkd_hit {
    uint64_t id; /* position in order of adding, or LINKD_ID_NONE */
    float score; /* inner product: the cosine for vectors of length 1 */
} linkd_hit;

LINKD_MUST_CHECK int linkd_index_new(size_t dim, linkd_index **ret_index,
                                     linkd_error *err);
void linkd_index_free(linkd_index *index);

/* Adds vectors [n, dim]; they get the ids that follow the last one. Not while
 * another thread searches. LINKD_E_ARG: a row is not finite; nothing is added.
 */
LINKD_MUST_CHECK int linkd_index_add(linkd_index *index, const float *vectors,
                                     size_t n, linkd_error *err);

/* Finds the `k` vectors nearest to each query.
 *   queries   [n_queries, dim] row-major
 *   ret_hits  [n_queries, k]   best first, equal scores by id;
 *                              LINKD_ID_NONE with score 0 fills a short row
 * Any thread, several at once: each search stays on its own thread.
 * LINKD_E_ARG: a query is not finite, or k is 0; nothing is written. */
LINKD_MUST_CHECK int linkd_index_search(const linkd_index *index,
                                        const float *queries, size_t n_queries,
                                        size_t k, linkd_hit *ret_hits,
                                        linkd_error *err);

/* Inner product of two vectors in the fixed order that all scores use. */
float linkd_index_score(const float *a, const float *b, size_t dim);

/* "faiss 1.13.2", for the manifest. */
const char *linkd_index_library(void);

#ifdef __cplusplus
}
#endif
#endif
