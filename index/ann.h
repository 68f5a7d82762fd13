/* index/ann.h — private: one approximate index in memory, by FAISS (faiss.c).
 * Vectors are numbered in order of adding. Built once, then only searched. */
#ifndef LK_INDEX_ANN_H
#define LK_INDEX_ANN_H

#include <stdio.h>

#include "index/index.h"

typedef struct lk_ann lk_ann;

/* `factory` as newer versions of FAISS spell it: "HNSW<links>,SQ8_direct", a
 * graph over bytes, whose vectors all have one length; or "IVF<lists>,SQ8".
 * LINKD_E_ARG: it is neither. */
LINKD_MUST_CHECK int lk_ann_new(const char *factory, size_t dim,
                                lk_ann **ret_ann, linkd_error *err);
void lk_ann_free(lk_ann *ann);

/* How many threads FAISS uses on the calling thread from now on. */
void lk_ann_set_threads(size_t n);

/* Learns the range of the components (and the lists) from a sample, once. */
LINKD_MUST_CHECK int lk_ann_train(lk_ann *ann, const float *vectors, size_t n,
                                  linkd_error *err);
LINKD_MUST_CHECK int lk_ann_add(lk_ann *ann, const float *vectors, size_t n,
                                linkd_error *err);
/* Nothing more will be added: makes searches quicker, takes up to a second per
 * gigabyte. Reading does it, too. */
void lk_ann_settle(lk_ann *ann);
size_t lk_ann_count(const lk_ann *ann);

/* The `n_asked` candidates that look nearest, nearest first: positions, -1 where
 * there are none. A graph is searched as wide as n_asked, and at least 16; of
 * lists always as many. ret_scores [n_asked] is what FAISS goes by, and only
 * comparable within one answer. Any thread, several at once. */
LINKD_MUST_CHECK int lk_ann_search(const lk_ann *ann, const float *query,
                                   size_t n_asked, float *ret_scores,
                                   int64_t *ret_positions, linkd_error *err);

/* For qsort: hits best first, those of one score by id. */
int lk_hit_compare(const void *a, const void *b);

/* From and to an open file, at its position. Only ever read what a recorded
 * hash vouches for: FAISS's reader trusts its input. */
LINKD_MUST_CHECK int lk_ann_write(const lk_ann *ann, FILE *file,
                                  linkd_error *err);
LINKD_MUST_CHECK int lk_ann_read(FILE *file, size_t dim, lk_ann **ret_ann,
                                 linkd_error *err);

#endif
