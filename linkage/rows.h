/* linkage/rows.h — rows to clusters of near rows, or to labels of the nearest
 * examples. Part of linkage.h. */
#ifndef LINKD_LINKAGE_ROWS_H
#define LINKD_LINKAGE_ROWS_H

#include "linkage/link.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- clusters of rows that are near each other --------------------------- */

typedef enum linkd_vector_method {
    LINKD_VECTORS_SLINK, /* single linkage: a chain of near rows is enough */
    LINKD_VECTORS_AGGLOMERATIVE,
    LINKD_VECTORS_DBSCAN,
    LINKD_VECTORS_HDBSCAN,
} linkd_vector_method;

typedef enum linkd_linkage { /* how far two clusters are from each other: */
                             LINKD_LINKAGE_SINGLE,   /* as their nearest rows */
                             LINKD_LINKAGE_COMPLETE, /* as their farthest rows */
                             LINKD_LINKAGE_AVERAGE, /* as all their rows in the mean */
                             LINKD_LINKAGE_WARD, /* by how much a merge adds to the squared
                                distances from means; two rows: plain distance,
                                sqrt(2 - 2 cosine) */
} linkd_linkage;

/* Limits of what takes the square of the rows: those that HDBSCAN or Ward's
 * linkage compare, or of complete and average linkage the rows that a chain of
 * near pairs connects. Complete linkage keeps 2 n^2 bytes. */
#define LINKD_CLUSTER_PAIRWISE_MAX ((size_t)50000)
#define LINKD_CLUSTER_MATRIX_MAX   ((size_t)20000)

#define LINKD_CLUSTER_NOISE SIZE_MAX

typedef struct linkd_cluster_rows_options {
    const size_t *columns;
    size_t n_columns;
    linkd_vector_method method;
    linkd_linkage linkage; /* LINKD_VECTORS_AGGLOMERATIVE */
    float distance;        /* 1 - cosine, but see Ward; not for HDBSCAN */
    size_t min_size;       /* LINKD_VECTORS_HDBSCAN: rows of a cluster, >= 2 */
    size_t min_samples;    /* DBSCAN, HDBSCAN: rows near enough to be dense, the
                              row itself included, >= 1 */
} linkd_cluster_rows_options;

typedef struct linkd_cluster_rows_result {
    size_t *clusters; /* [n_rows]: numbered from 0 in order of first row. Only
                         DBSCAN and HDBSCAN have LINKD_CLUSTER_NOISE; with the
                         others a row like no other is a cluster by itself */
    size_t n_clusters;
    size_t n_noise;
    size_t n_empty; /* as n_left_empty */
    linkd_encode_stats encode;
    double encode_seconds;
    double cluster_seconds;
} linkd_cluster_rows_result;

/* Reports the steps "encode", "search" and "cluster". Takes time with the square
 * of the rows, memory with the rows. LINKD_E_ARG: an option makes no sense, or
 * there are more rows than a limit above. */
LINKD_MUST_CHECK int
linkd_cluster_rows(const linkd_table *table, const linkd_embedder *embedder,
                   lk_pool *pool, const linkd_cluster_rows_options *options,
                   const linkd_progress *progress,
                   linkd_cluster_rows_result *ret_result, linkd_error *err);
void linkd_cluster_rows_result_clear(linkd_cluster_rows_result *result);

/* ---- labels of rows, learned from examples -------------------------------- */

typedef enum linkd_classify_method {
    LINKD_CLASSIFY_NEAREST, /* the nearest examples vote, nearer ones more */
    LINKD_CLASSIFY_LINEAR,  /* softmax regression on the vectors */
} linkd_classify_method;

#define LINKD_LABEL_NONE UINT32_MAX
/* More are a sign that the column holds no labels; 4 bytes are kept for each of
 * them and each example. */
#define LINKD_LABELS_MAX ((size_t)1000)

typedef struct linkd_classify_options {
    const linkd_column_pair
        *columns; /* left: of the rows, right: of examples */
    size_t n_columns;
    size_t label_column; /* of the examples; blank cells are no label */
    linkd_classify_method method;
    size_t k; /* examples that vote, >= 1 */
} linkd_classify_options;

typedef struct linkd_classify_result {
    uint32_t *labels;   /* [n_rows]: in names, or LINKD_LABEL_NONE: empty row */
    float *confidences; /* [n_rows]: 0 to 1, six decimals */
    linkd_str *names;   /* borrowed from the examples, in order of coming */
    size_t n_names;
    size_t n_examples; /* with a label and a text */
    size_t n_empty;    /* as n_left_empty */
    /* Examples that were asked for without having been learned from, and how
     * many were answered rightly. None with a single example. */
    size_t n_asked, n_right;
    size_t n_most_frequent; /* examples of the most frequent label */
    linkd_encode_stats encode;
    double encode_seconds;
    double classify_seconds;
} linkd_classify_result;

/* Gives each row of `table` a label of the examples'. Reports "encode" and
 * "check". LINKD_E_ARG: k is 0, or no column takes part. LINKD_E_DATA: no
 * example has a label and a text, or there are more than LINKD_LABELS_MAX. */
LINKD_MUST_CHECK int
linkd_classify_rows(const linkd_table *table, const linkd_table *examples,
                    const linkd_embedder *embedder, lk_pool *pool,
                    const linkd_classify_options *options,
                    const linkd_progress *progress,
                    linkd_classify_result *ret_result, linkd_error *err);
void linkd_classify_result_clear(linkd_classify_result *result);

#ifdef __cplusplus
}
#endif
#endif
