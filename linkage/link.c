/* linkage/link.c — two tables to links:
 *
 *   left  ─► vectors ─┐
 *                     ├─► candidates ─► assignment ─► pairs of rows
 *   right ─► vectors ─┘
 *
 * Each step lies in a file of its own; here they are put in order, timed and
 * reported. Between the steps rows are vector numbers; only the pairs that
 * leave are rows of the tables. */
#include <math.h>
#include <stdlib.h>

#include "linkage/assign.h"
#include "linkage/candidates.h"
#include "linkage/vectors.h"

/* What lives while two tables are linked; [0] left, [1] right. */
typedef struct linking {
    const linkd_table *tables[2];
    lk_pool *pool;
    size_t *columns[2];
    size_t n_columns[2];
    lk_vectors vectors[2];
    linkd_str *keys[2];
    lk_candidates candidates;
} linking;

static int options_check(const linkd_link_options *options, linkd_error *err)
{
    if (options->k == 0)
        return lk_fail(err, LINKD_E_ARG, "0 neighbours per row find no pair");
    if (!isfinite(options->threshold))
        return lk_fail(err, LINKD_E_ARG, "the threshold is not a number");
    if ((options->left_block == LINKD_COLUMN_NONE) !=
        (options->right_block == LINKD_COLUMN_NONE))
        return lk_fail(err, LINKD_E_ARG,
                       "a block column is named for one table only");
    return LINKD_OK;
}

/* Where problems come from. */
static void place_tell(linkd_image_problems *problems, const linkd_table *table,
                       size_t image)
{
    problems->table = linkd_table_path(table);
    problems->column = linkd_table_column(table, image);
}

static int tables_encode(linking *l, lk_vectors_maker *maker,
                         const linkd_link_options *options, linkd_error *err)
{
    size_t blocks[2] = {options->left_block, options->right_block};
    size_t images[2] = {options->left_image, options->right_image};
    int rc = LINKD_OK;

    maker->pictures = options->pictures;
    for (size_t side = 0; side < 2 && rc == LINKD_OK; side++) {
        if (options->n_columns == 0 && options->pictures != NULL)
            continue;
        rc = lk_columns_of_side(l->tables[side], options->columns,
                                options->n_columns, side, &l->columns[side],
                                &l->n_columns[side], err);
    }
    for (size_t side = 0; side < 2 && rc == LINKD_OK; side++) {
        maker->image = images[side];
        if (options->pictures != NULL)
            place_tell(options->pictures->problems, l->tables[side],
                       images[side]);
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): linking_clear frees */
        rc = lk_vectors_make(maker, l->tables[side], l->columns[side],
                             l->n_columns[side], &l->vectors[side], err);
        if (rc == LINKD_OK)
            rc = lk_vectors_read_blocks(&l->vectors[side], l->tables[side],
                                        blocks[side], &l->keys[side], err);
    }
    return rc;
}

static int candidates_find(linking *l, const linkd_progress *progress, size_t k,
                           linkd_error *err)
{
    lk_search_options search = {.dim = l->vectors[0].dim,
                                .k = k,
                                .pool = l->pool,
                                .progress = progress};
    lk_side sides[2];

    for (size_t side = 0; side < 2; side++)
        sides[side] =
            (lk_side){l->vectors[side].data, l->keys[side], l->vectors[side].n};
    return lk_candidates_search(&sides[0], &sides[1], &search, &l->candidates,
                                err);
}

static void candidates_rescore(linking *l, const linkd_rescoring *rescoring)
{
    for (size_t i = 0; rescoring != NULL && i < l->candidates.n; i++) {
        linkd_pair *pair = &l->candidates.pairs[i];

        pair->score =
            rescoring->score(rescoring->ctx, l->vectors[0].rows[pair->left],
                             l->vectors[1].rows[pair->right], pair->score);
    }
}

static int pair_compare(const void *a, const void *b)
{
    const linkd_pair *x = a;
    const linkd_pair *y = b;

    if (x->left != y->left)
        return x->left > y->left ? 1 : -1;
    if (x->score != y->score)
        return x->score < y->score ? 1 : -1;
    return (x->right > y->right) - (x->right < y->right);
}

static int pairs_assign(linking *l, const linkd_link_options *options,
                        linkd_link_result *result, linkd_error *err)
{
    lk_assign_input input = {.candidates = l->candidates.pairs,
                             .n = l->candidates.n,
                             .n_left = l->vectors[0].n,
                             .n_right = l->vectors[1].n,
                             .threshold = options->threshold};
    int rc;

    result->pairs = calloc(input.n + 1, sizeof(*result->pairs));
    if (result->pairs == NULL)
        return lk_fail_nomem(err);
    rc = lk_assign(&input, options->assign, result->pairs, &result->n_pairs,
                   err);
    if (rc != LINKD_OK)
        return rc;
    for (size_t i = 0; i < result->n_pairs; i++) {
        linkd_pair *pair = &result->pairs[i];

        pair->left = l->vectors[0].rows[pair->left];
        pair->right = l->vectors[1].rows[pair->right];
    }
    qsort(result->pairs, result->n_pairs, sizeof(*result->pairs), pair_compare);
    return LINKD_OK;
}

static int links_find(linking *l, const linkd_link_options *options,
                      const linkd_progress *progress, linkd_link_result *result,
                      linkd_error *err)
{
    uint64_t n = l->candidates.n;
    int rc = lk_progress_report(progress, "assign", 0, n, err);

    if (rc == LINKD_OK)
        rc = pairs_assign(l, options, result, err);
    if (rc == LINKD_OK)
        rc = lk_progress_report(progress, "assign", n, n, err);
    return rc;
}

static int steps_run(linking *l, lk_vectors_maker *maker,
                     const linkd_link_options *options,
                     linkd_link_result *result, linkd_error *err)
{
    uint64_t start = lk_clock_ns();
    int rc = tables_encode(l, maker, options, err);

    result->encode_seconds = lk_clock_seconds_since(start);
    start = lk_clock_ns();
    if (rc == LINKD_OK)
        rc = candidates_find(l, maker->progress, options->k, err);
    if (rc == LINKD_OK)
        candidates_rescore(l, options->rescoring);
    result->search_seconds = lk_clock_seconds_since(start);
    start = lk_clock_ns();
    if (rc == LINKD_OK)
        rc = links_find(l, options, maker->progress, result, err);
    result->assign_seconds = lk_clock_seconds_since(start);
    return rc;
}

static void linking_clear(linking *l)
{
    lk_candidates_clear(&l->candidates);
    for (size_t side = 0; side < 2; side++) {
        free(l->keys[side]);
        lk_vectors_clear(&l->vectors[side]);
        free(l->columns[side]);
    }
}

int linkd_link(const linkd_table *left, const linkd_table *right,
               const linkd_embedder *embedder, lk_pool *pool,
               const linkd_link_options *options,
               const linkd_progress *progress, linkd_link_result *ret_result,
               linkd_error *err)
{
    linking l = {.tables = {left, right}, .pool = pool};
    lk_vectors_maker maker = {.embedder = embedder,
                              .progress = progress,
                              .n_total = linkd_table_n_rows(left) +
                                         linkd_table_n_rows(right)};
    linkd_link_result result = {0};
    int rc = options_check(options, err);

    if (rc == LINKD_OK)
        rc = steps_run(&l, &maker, options, &result, err);
    if (rc == LINKD_OK) {
        result.n_candidates = l.candidates.n;
        result.n_left_empty = linkd_table_n_rows(left) - l.vectors[0].n;
        result.n_right_empty = linkd_table_n_rows(right) - l.vectors[1].n;
        result.encode = maker.stats;
        *ret_result = result;
    } else {
        linkd_link_result_clear(&result);
    }
    linking_clear(&l);
    return rc;
}

void linkd_link_result_clear(linkd_link_result *result)
{
    free(result->pairs);
    *result = (linkd_link_result){0};
}
