/* linkage/dedup.c — one table to entities:
 *
 *   table ─► vectors ─► candidates among themselves ─► clusters ─► entities
 *
 * As in link.c, rows are vector numbers between the steps. A row without text
 * has no vector; it comes back as an entity of its own. Pictures may be decided on
 * by their resemblance: then a pair's score, and the threshold, are what that says. */
#include <math.h>
#include <stdlib.h>

#include "index/index.h"
#include "linkage/candidates.h"
#include "linkage/cluster.h"
#include "linkage/resemblance.h"

#define NUMBER_NONE SIZE_MAX

/* What lives while a table is deduplicated. */
typedef struct dedup {
    const linkd_table *table;
    lk_pool *pool;
    lk_vectors vectors;
    linkd_str *keys;
    lk_candidates candidates;
    lk_resemblance resemblance;       /* {0}: cosines decide */
    const linkd_rescoring *rescoring; /* NULL: none */
    float threshold;
    size_t *clusters; /* [vectors.n] */
    size_t n_clusters;
} dedup;

static bool is_by_resemblance(const linkd_dedup_options *options)
{
    return isnan(options->threshold) && options->pictures != NULL &&
           options->n_columns == 0;
}

static int options_check(const linkd_table *table,
                         const linkd_dedup_options *options, linkd_error *err)
{
    if (options->k == 0)
        return lk_fail(err, LINKD_E_ARG, "0 neighbours per row find no pair");
    if (!isfinite(options->threshold) && !is_by_resemblance(options))
        return lk_fail(err, LINKD_E_ARG, "the threshold is not a number");
    if (options->n_columns == 0 && options->pictures == NULL)
        return lk_fail(err, LINKD_E_ARG, "no column of %s takes part",
                       linkd_table_path(table));
    return LINKD_OK;
}

static int table_encode(dedup *d, lk_vectors_maker *maker,
                        const linkd_dedup_options *options, linkd_error *err)
{
    int rc;

    maker->pictures = options->pictures;
    maker->image = options->image;
    rc = lk_vectors_make(maker, d->table, options->columns, options->n_columns,
                         &d->vectors, err);
    if (rc == LINKD_OK)
        rc = lk_vectors_read_blocks(&d->vectors, d->table, options->block,
                                    &d->keys, err);
    return rc;
}

static int candidates_find(dedup *d, const linkd_progress *progress, size_t k,
                           linkd_error *err)
{
    lk_side side = {d->vectors.data, d->keys, d->vectors.n};
    lk_search_options search = {
        .dim = d->vectors.dim, .k = k, .pool = d->pool, .progress = progress};

    return lk_candidates_search(&side, NULL, &search, &d->candidates, err);
}

static float row_score(const dedup *d, size_t a, size_t b, float cosine)
{
    return d->rescoring == NULL
               ? cosine
               : d->rescoring->score(d->rescoring->ctx, d->vectors.rows[a],
                                     d->vectors.rows[b], cosine);
}

static void candidates_rescore(dedup *d)
{
    for (size_t i = 0; i < d->candidates.n; i++) {
        linkd_pair *pair = &d->candidates.pairs[i];

        pair->score = row_score(d, pair->left, pair->right, pair->score);
    }
}

static int resemblance_find(dedup *d, const linkd_dedup_options *options,
                            linkd_error *err)
{
    int rc = lk_resemblance_new(&d->resemblance, &d->vectors, d->keys, err);

    if (rc == LINKD_OK)
        rc = lk_resemblance_hash(&d->resemblance, d->table, options->pictures,
                                 options->image, err);
    if (rc == LINKD_OK)
        rc = lk_resemblance_measure(&d->resemblance, err);
    if (rc == LINKD_OK)
        rc = lk_resemblance_candidates(&d->resemblance, &d->candidates, err);
    if (rc == LINKD_OK)
        rc = lk_resemblance_limit(&d->resemblance, &d->candidates,
                                  &d->threshold, err);
    return rc;
}

static float rows_score(const void *ctx, size_t a, size_t b)
{
    const dedup *d = ctx;
    const lk_vectors *vectors = &d->vectors;

    return row_score(d, a, b,
                     lk_score_round(linkd_index_score(
                         vectors->data + a * vectors->dim,
                         vectors->data + b * vectors->dim, vectors->dim)));
}

static int clusters_find(dedup *d, const linkd_dedup_options *options,
                         linkd_error *err)
{
    lk_cluster_input input = {.candidates = d->candidates.pairs,
                              .n = d->candidates.n,
                              .n_rows = d->vectors.n,
                              .threshold = d->threshold,
                              .score = rows_score,
                              .ctx = d};

    if (is_by_resemblance(options)) {
        input.score = lk_resemblance_score;
        input.ctx = &d->resemblance;
    }

    d->clusters = calloc(d->vectors.n + 1, sizeof(*d->clusters));
    if (d->clusters == NULL)
        return lk_fail_nomem(err);
    return lk_cluster(&input, options->cluster, d->clusters, &d->n_clusters,
                      err);
}

/* Numbers the entities of all rows, those without a vector included. */
static int entities_number(const dedup *d, linkd_dedup_result *result,
                           linkd_error *err)
{
    size_t n_rows = linkd_table_n_rows(d->table);
    size_t *numbers = calloc(d->n_clusters + 1, sizeof(*numbers));
    size_t vector = 0;

    result->entities = calloc(n_rows + 1, sizeof(*result->entities));
    if (numbers == NULL || result->entities == NULL) {
        free(numbers);
        return lk_fail_nomem(err);
    }
    for (size_t i = 0; i < d->n_clusters; i++)
        numbers[i] = NUMBER_NONE;
    for (size_t row = 0; row < n_rows; row++) {
        size_t alone = NUMBER_NONE;
        size_t *number = &alone;

        if (vector < d->vectors.n && d->vectors.rows[vector] == row)
            number = &numbers[d->clusters[vector++]];
        if (*number == NUMBER_NONE)
            *number = result->n_entities++;
        result->entities[row] = *number;
    }
    free(numbers);
    return LINKD_OK;
}

static int pairs_keep(const dedup *d, linkd_dedup_result *result,
                      linkd_error *err)
{
    result->pairs = calloc(d->candidates.n + 1, sizeof(*result->pairs));
    if (result->pairs == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < d->candidates.n; i++) {
        linkd_pair pair = d->candidates.pairs[i];

        if (pair.score < d->threshold ||
            d->clusters[pair.left] != d->clusters[pair.right])
            continue;
        pair.left = d->vectors.rows[pair.left];
        pair.right = d->vectors.rows[pair.right];
        result->pairs[result->n_pairs++] = pair;
    }
    return LINKD_OK;
}

static int entities_find(dedup *d, const linkd_dedup_options *options,
                         const linkd_progress *progress,
                         linkd_dedup_result *result, linkd_error *err)
{
    uint64_t n = d->vectors.n;
    int rc = lk_progress_report(progress, "cluster", 0, n, err);

    if (rc == LINKD_OK)
        rc = clusters_find(d, options, err);
    if (rc == LINKD_OK)
        rc = entities_number(d, result, err);
    if (rc == LINKD_OK)
        rc = pairs_keep(d, result, err);
    if (rc == LINKD_OK)
        rc = lk_progress_report(progress, "cluster", n, n, err);
    return rc;
}

static int steps_run(dedup *d, lk_vectors_maker *maker,
                     const linkd_dedup_options *options,
                     linkd_dedup_result *result, linkd_error *err)
{
    uint64_t start = lk_clock_ns();
    int rc = table_encode(d, maker, options, err);

    result->encode_seconds = lk_clock_seconds_since(start);
    start = lk_clock_ns();
    if (rc == LINKD_OK)
        rc = candidates_find(d, maker->progress, options->k, err);
    if (rc == LINKD_OK)
        candidates_rescore(d);
    d->threshold = options->threshold;
    if (rc == LINKD_OK && is_by_resemblance(options))
        rc = resemblance_find(d, options, err);
    result->search_seconds = lk_clock_seconds_since(start);
    start = lk_clock_ns();
    if (rc == LINKD_OK)
        rc = entities_find(d, options, maker->progress, result, err);
    result->cluster_seconds = lk_clock_seconds_since(start);
    return rc;
}

static void dedup_clear(dedup *d)
{
    free(d->clusters);
    lk_resemblance_clear(&d->resemblance);
    lk_candidates_clear(&d->candidates);
    free(d->keys);
    lk_vectors_clear(&d->vectors);
}

int linkd_dedup(const linkd_table *table, const linkd_embedder *embedder,
                lk_pool *pool, const linkd_dedup_options *options,
                const linkd_progress *progress, linkd_dedup_result *ret_result,
                linkd_error *err)
{
    dedup d = {.table = table, .pool = pool, .rescoring = options->rescoring};
    lk_vectors_maker maker = {.embedder = embedder,
                              .progress = progress,
                              .n_total = linkd_table_n_rows(table)};
    linkd_dedup_result result = {0};
    int rc = options_check(table, options, err);

    if (rc == LINKD_OK)
        rc = steps_run(&d, &maker, options, &result, err);
    if (rc == LINKD_OK) {
        result.n_candidates = d.candidates.n;
        result.limit = d.threshold;
        result.n_empty = linkd_table_n_rows(table) - d.vectors.n;
        result.encode = maker.stats;
        *ret_result = result;
    } else {
        linkd_dedup_result_clear(&result);
    }
    dedup_clear(&d);
    return rc;
}

void linkd_dedup_result_clear(linkd_dedup_result *result)
{
    free(result->pairs);
    free(result->entities);
    *result = (linkd_dedup_result){0};
}
