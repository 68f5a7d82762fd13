/* linkage/link.h — texts to vectors, and two tables to pairs by their cosines.
 * Part of linkage.h. */
#ifndef LINKD_LINKAGE_LINK_H
#define LINKD_LINKAGE_LINK_H

#include "linkage/tables.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- texts to vectors --------------------------------------------------- */

/* What turns texts into vectors. An encoder is one, see below; so is whatever
 * shares an encoder among many callers, or knows some vectors already. Plain
 * data that is copied freely: `ctx` and `fingerprint` are borrowed. */
typedef struct linkd_embedder {
    /* [n] texts of valid UTF-8 -> ret_vectors [n, dim], rows of length 1, each
     * depending on its text alone. `stats` may be NULL, else is added to.
     * Called on the thread that called linkd_link() or linkd_dedup(), one call
     * at a time; a failure ends the work and is passed on as it is. */
    int (*embed)(void *ctx, const linkd_str *texts, size_t n,
                 float *ret_vectors, linkd_encode_stats *stats,
                 linkd_error *err);
    /* Tells whether the vector would say anything about the text, see
     * linkd_encoder_knows(). A row of which it would not is never embedded. */
    bool (*knows)(void *ctx, linkd_str text);
    void *ctx;
    size_t dim;
    const char *fingerprint; /* vectors are comparable when it is equal */
} linkd_embedder;

/* An encoder and the workers it runs on, both borrowed. */
typedef struct linkd_encoder_embedder {
    linkd_encoder *encoder;
    lk_pool *pool;
} linkd_encoder_embedder;

/* The encoder as an embedder, which borrows `storage`. */
linkd_embedder linkd_embedder_of_encoder(linkd_encoder_embedder *storage);

/* ---- pictures of rows ---------------------------------------------------- */

/* What was wrong with a picture: "row 7: photos/x.jpg: JPEG image is cut off",
 * a line each, of the first rows only. Where there are two tables or columns a
 * line begins with them: "left.csv, photo, row 7: …". */
#define LINKD_IMAGE_PROBLEMS_MAX ((size_t)20)

typedef struct linkd_image_problems {
    size_t n;          /* pictures that could not be used */
    lk_buf lines;      /* cleared by the caller */
    const char *table; /* what lines begin with; NULL: nothing */
    linkd_str column;
} linkd_image_problems;

/* An image model and where its problems go to, all borrowed. `vision` has at
 * least as many workers as `pool`. */
typedef struct linkd_pictures {
    const linkd_vision *vision;
    lk_pool *pool;
    linkd_image_options image;
    linkd_image_problems *problems; /* added to */
} linkd_pictures;

/* ---- linking two tables ------------------------------------------------- */

/* Chosen among the candidates: pairs of which one row is among the k nearest
 * of the other. So of more than k rows that are equal some pairs are never
 * seen, whatever the threshold. */
typedef enum linkd_assign {
    LINKD_ASSIGN_RECIPROCAL,   /* each is the other's best */
    LINKD_ASSIGN_ONE_TO_ONE,   /* exact over the candidates: greatest sum of
                                  score - threshold */
    LINKD_ASSIGN_ONE_TO_MANY,  /* every right row to its best left row */
    LINKD_ASSIGN_MANY_TO_ONE,  /* every left row to its best right row */
    LINKD_ASSIGN_MANY_TO_MANY, /* every candidate */
    LINKD_ASSIGN_AUTO,         /* what the tables' own duplicates say; only with
                                  probabilities */
} linkd_assign;

typedef struct linkd_pair {
    size_t left;  /* row of the left table; in dedup the lower row */
    size_t right; /* row of the right table; in dedup the higher row */
    float score;  /* cosine, rounded to six decimals before it is compared */
} linkd_pair;

/* Neighbours by cosines alone, measured 2026-11-24 on seven public sets with all
 * columns as text: from 10 to 20 recall rises by 0 to 4 points, F1 by none. */
#define LINKD_LINK_K 10

/* What the cosine of two rows counts as, where that is not the same for all of
 * them: rising with it. Any thread. */
typedef struct linkd_rescoring {
    float (*score)(const void *ctx, size_t left_row, size_t right_row,
                   float cosine);
    const void *ctx;
} linkd_rescoring;

typedef struct linkd_link_options {
    const linkd_column_pair *columns;
    size_t n_columns;
    size_t left_block; /* column, or LINKD_COLUMN_NONE: only rows with equal, */
    size_t right_block; /* non-empty values there are compared */
    size_t k;           /* neighbours per row and direction */
    float threshold;    /* a pair needs score >= threshold */
    linkd_assign assign;
    /* Rows have pictures, too: paths, relative to the table's file, or data
     * URIs. NULL: they have none. With columns a row's vector is the mean of its
     * text's and its picture's, which takes one model for both (CLIP); without
     * (n_columns 0) it is the picture's, and there is no embedder. A row that has
     * one of the two alone, or whose picture cannot be read, has that vector. */
    const linkd_pictures *pictures;
    size_t left_image; /* columns */
    size_t right_image;
    const linkd_rescoring *rescoring; /* NULL: cosines count as they are */
} linkd_link_options;

typedef struct linkd_link_result {
    linkd_pair *pairs; /* by left row, then score descending, then right row */
    size_t n_pairs;
    size_t n_candidates; /* distinct pairs that were scored */
    size_t n_left_empty; /* rows without any text, or without a word that the
                            model knows: never compared */
    size_t n_right_empty;
    linkd_encode_stats encode;
    double encode_seconds;
    double search_seconds;
    double assign_seconds;
} linkd_link_result;

/* Reports the steps "encode" (rows of both sides), "search" and "assign". The
 * workers of `pool` search. */
LINKD_MUST_CHECK int
linkd_link(const linkd_table *left, const linkd_table *right,
           const linkd_embedder *embedder, lk_pool *pool,
           const linkd_link_options *options, const linkd_progress *progress,
           linkd_link_result *ret_result, linkd_error *err);
void linkd_link_result_clear(linkd_link_result *result);

#ifdef __cplusplus
}
#endif
#endif
