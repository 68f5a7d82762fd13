/* linkage/vectors.h — private: the rows of a table as vectors. */
#ifndef LK_LINKAGE_VECTORS_H
#define LK_LINKAGE_VECTORS_H

#include "linkage/linkage.h"

/* A row without text has no vector. Within linkage a vector is known by its
 * number, and numbers ascend with rows. */
typedef struct lk_vectors {
    float *data;  /* [n, dim], every row of length 1 */
    size_t *rows; /* [n]: the table's row of each vector */
    size_t n;
    size_t dim;
} lk_vectors;

/* What turns rows into vectors, and where the caller is told about it:
 * n_done of n_total rows are encoded when a table's turn comes. */
typedef struct lk_vectors_maker {
    const linkd_embedder *embedder;
    const linkd_progress *progress;
    uint64_t n_done;
    uint64_t n_total;
    const bool *wanted; /* of the table at hand; NULL: every row */
    /* rows have pictures in that column of the table at hand; NULL: they have
     * none. `embedder` may be NULL then, if no column has texts. */
    const linkd_pictures *pictures;
    size_t image;
    linkd_encode_stats stats;
} lk_vectors_maker;

/* The columns of one side (0: left) that take part, in their order; freed with
 * free(). LINKD_E_ARG: there is none. */
LINKD_MUST_CHECK int lk_columns_of_side(const linkd_table *table,
                                        const linkd_column_pair *pairs,
                                        size_t n_pairs, size_t side,
                                        size_t **ret_columns, size_t *ret_n,
                                        linkd_error *err);

/* Encodes the cells of `columns` of every row that is wanted, and its picture
 * (linkd_link_options). LINKD_E_ARG: texts and pictures have different models. */
LINKD_MUST_CHECK int lk_vectors_make(lk_vectors_maker *maker,
                                     const linkd_table *table,
                                     const size_t *columns, size_t n_columns,
                                     lk_vectors *ret_vectors, linkd_error *err);

/* The texts' alone. */
LINKD_MUST_CHECK int
lk_vectors_of_texts(lk_vectors_maker *maker, const linkd_table *table,
                    const size_t *columns, size_t n_columns,
                    lk_vectors *ret_vectors, linkd_error *err);

/* The vector [dim] of what has a text's, or NULL, and a picture's, or zeros: the
 * mean's direction of the two, or the one that there is. Returns whether there is
 * one. */
bool lk_vectors_fuse(const float *text, const float *picture, size_t dim,
                     float *ret_vector);

/* The block value of every vector: its row's cell of `column` without blanks
 * around it. NULL for LINKD_COLUMN_NONE; freed with free(). */
LINKD_MUST_CHECK int lk_vectors_read_blocks(const lk_vectors *vectors,
                                            const linkd_table *table,
                                            size_t column, linkd_str **ret_keys,
                                            linkd_error *err);

void lk_vectors_clear(lk_vectors *vectors);

#endif
