/* linkage/cluster_rows.c — the rows of one table that are alike:
 *
 *   table ─► vectors ─► one of four methods ─► clusters of vectors ─► of rows
 *
 * A row without text has no vector: with single linkage and agglomeration it is
 * a cluster of its own, as every row is that is like no other; with DBSCAN and
 * HDBSCAN it is noise. */
#include <math.h>
#include <stdlib.h>

#include "linkage/cluster_vectors.h"
#include "linkage/vectors.h"

int lk_clusters_number(size_t *clusters, size_t n, size_t *ret_n,
                       linkd_error *err)
{
    size_t *numbers = calloc(n + 1, sizeof(*numbers)); /* plus 1, by name */
    size_t n_clusters = 0;

    if (numbers == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < n; i++) {
        if (clusters[i] == LINKD_CLUSTER_NOISE)
            continue;
        if (numbers[clusters[i]] == 0)
            numbers[clusters[i]] = ++n_clusters;
        clusters[i] = numbers[clusters[i]] - 1;
    }
    free(numbers);
    *ret_n = n_clusters;
    return LINKD_OK;
}

static bool method_has_noise(linkd_vector_method method)
{
    return method == LINKD_VECTORS_DBSCAN || method == LINKD_VECTORS_HDBSCAN;
}

static int options_check(const linkd_table *table,
                         const linkd_cluster_rows_options *o, linkd_error *err)
{
    bool ward = o->method == LINKD_VECTORS_AGGLOMERATIVE &&
                o->linkage == LINKD_LINKAGE_WARD;

    if (o->n_columns == 0)
        return lk_fail(err, LINKD_E_ARG, "no column of %s takes part",
                       linkd_table_path(table));
    if (o->method == LINKD_VECTORS_HDBSCAN && o->min_size < 2)
        return lk_fail(err, LINKD_E_ARG,
                       "a cluster has at least 2 rows, not %zu", o->min_size);
    if (method_has_noise(o->method) && o->min_samples < 1)
        return lk_fail(err, LINKD_E_ARG, "0 rows make nothing dense");
    if (o->method != LINKD_VECTORS_HDBSCAN &&
        !(o->distance >= 0.0F && (ward || o->distance <= 2.0F)))
        return lk_fail(err, LINKD_E_ARG, "the distance is not between 0 and 2");
    return LINKD_OK;
}

/* ---- clusters of vectors ------------------------------------------------- */

static int sets_find(const lk_space *space, const linkd_cluster_rows_options *o,
                     size_t *clusters, size_t *ret_n, linkd_error *err)
{
    lk_disjoint sets;
    int rc = lk_disjoint_init(&sets, space->n, err);

    if (rc == LINKD_OK && (o->method == LINKD_VECTORS_SLINK ||
                           o->linkage == LINKD_LINKAGE_SINGLE))
        rc = lk_space_components(space, lk_score_round(1.0F - o->distance),
                                 &sets, err);
    else if (rc == LINKD_OK)
        rc = lk_space_agglomerate(space, o->linkage, o->distance, &sets, err);
    if (rc == LINKD_OK)
        *ret_n = lk_disjoint_number(&sets, clusters);
    lk_disjoint_clear(&sets);
    return rc;
}

static int clusters_find(const lk_space *space,
                         const linkd_cluster_rows_options *o, size_t *clusters,
                         size_t *ret_n, linkd_error *err)
{
    switch (o->method) {
    case LINKD_VECTORS_DBSCAN:
        return lk_space_dbscan(space, lk_score_round(1.0F - o->distance),
                               o->min_samples, clusters, ret_n, err);
    case LINKD_VECTORS_HDBSCAN:
        return lk_space_hdbscan(space, o->min_size, o->min_samples, clusters,
                                ret_n, err);
    case LINKD_VECTORS_SLINK:
    case LINKD_VECTORS_AGGLOMERATIVE:
        break;
    }
    return sets_find(space, o, clusters, ret_n, err);
}

/* ---- clusters of rows ---------------------------------------------------- */

/* Names rows by a row of their vectors' cluster, then numbers the names. */
static int rows_number(const lk_vectors *vectors, const size_t *clusters,
                       bool has_noise, size_t n_rows,
                       linkd_cluster_rows_result *result, linkd_error *err)
{
    size_t *first = calloc(vectors->n + 1, sizeof(*first));

    result->clusters = calloc(n_rows + 1, sizeof(*result->clusters));
    if (first == NULL || result->clusters == NULL) {
        free(first);
        return lk_fail_nomem(err);
    }
    for (size_t row = 0; row < n_rows; row++)
        result->clusters[row] = has_noise ? LINKD_CLUSTER_NOISE : row;
    for (size_t i = vectors->n; i-- > 0;)
        if (clusters[i] != LINKD_CLUSTER_NOISE)
            first[clusters[i]] = vectors->rows[i];
    for (size_t i = 0; i < vectors->n; i++)
        result->clusters[vectors->rows[i]] = clusters[i] == LINKD_CLUSTER_NOISE
                                                 ? clusters[i]
                                                 : first[clusters[i]];
    free(first);
    for (size_t row = 0; row < n_rows; row++)
        result->n_noise += result->clusters[row] == LINKD_CLUSTER_NOISE;
    return lk_clusters_number(result->clusters, n_rows, &result->n_clusters,
                              err);
}

static int vectors_cluster(const lk_space *space, const lk_vectors *vectors,
                           const linkd_cluster_rows_options *options,
                           size_t n_rows, linkd_cluster_rows_result *result,
                           linkd_error *err)
{
    size_t *clusters = calloc(vectors->n + 1, sizeof(*clusters));
    size_t n = 0;
    int rc = clusters != NULL ? LINKD_OK : lk_fail_nomem(err);

    if (rc == LINKD_OK)
        rc = clusters_find(space, options, clusters, &n, err);
    if (rc == LINKD_OK)
        rc = rows_number(vectors, clusters, method_has_noise(options->method),
                         n_rows, result, err);
    free(clusters);
    return rc;
}

int linkd_cluster_rows(const linkd_table *table, const linkd_embedder *embedder,
                       lk_pool *pool, const linkd_cluster_rows_options *options,
                       const linkd_progress *progress,
                       linkd_cluster_rows_result *ret_result, linkd_error *err)
{
    size_t n_rows = linkd_table_n_rows(table);
    lk_vectors_maker maker = {
        .embedder = embedder, .progress = progress, .n_total = n_rows};
    lk_vectors vectors = {0};
    linkd_cluster_rows_result result = {0};
    uint64_t start = lk_clock_ns();
    int rc = options_check(table, options, err);

    if (rc == LINKD_OK)
        rc = lk_vectors_make(&maker, table, options->columns,
                             options->n_columns, &vectors, err);
    result.encode_seconds = lk_clock_seconds_since(start);
    start = lk_clock_ns();
    if (rc == LINKD_OK) {
        lk_space space = {vectors.data, vectors.n, vectors.dim, pool, progress};

        rc = vectors_cluster(&space, &vectors, options, n_rows, &result, err);
    }
    result.cluster_seconds = lk_clock_seconds_since(start);
    if (rc == LINKD_OK) {
        result.n_empty = n_rows - vectors.n;
        result.encode = maker.stats;
        *ret_result = result;
    } else {
        linkd_cluster_rows_result_clear(&result);
    }
    lk_vectors_clear(&vectors);
    return rc;
}

void linkd_cluster_rows_result_clear(linkd_cluster_rows_result *result)
{
    free(result->clusters);
    *result = (linkd_cluster_rows_result){0};
}
