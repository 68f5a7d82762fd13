/* index/faiss_bytes.h — private to faiss.c: the graphs that FAISS's C API has no
 * words for (faiss_bytes.cpp). The handles are those of the C API. */
#ifndef LK_INDEX_FAISS_BYTES_H
#define LK_INDEX_FAISS_BYTES_H

#include "base/base.h"

#ifdef __cplusplus
extern "C" {
#endif

struct FaissIndex_H;

/* An empty graph with `n_links` links a node over vectors of `width` numbers,
 * each whole and 0 to 255; nearness is Euclidean. It needs no training. Freed
 * with faiss_Index_free(). LINKD_E_NOMEM. */
LINKD_MUST_CHECK int lk_faiss_bytes_new(size_t width, size_t n_links,
                                        struct FaissIndex_H **ret_index,
                                        linkd_error *err);

/* Makes a graph that was read from a file search as one that was built.
 * LINKD_E_DATA: it is something else. */
LINKD_MUST_CHECK int lk_faiss_bytes_adopt(struct FaissIndex_H *index,
                                          linkd_error *err);

/* Makes a graph that is complete quicker to search. */
void lk_faiss_bytes_settle(struct FaissIndex_H *index);

#ifdef __cplusplus
}
#endif
#endif
