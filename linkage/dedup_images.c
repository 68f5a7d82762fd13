/* linkage/dedup_images.c — one table to entities by what its pictures look like:
 *
 *   cells ─► pixels ─► hashes ─► distinct hashes ─► near pairs ─► clusters
 *
 * Rows with one hash are one entity from the start, so that a thousand copies of
 * a picture are not half a million pairs: what is searched and clustered are the
 * distinct hashes, numbered in the order of their first rows. */
#include <stdlib.h>
#include <string.h>

#include "linkage/candidates.h"
#include "linkage/cluster.h"
#include "linkage/picture.h"

#define HASH_BITS 64

/* Pictures between two reports of progress. */
#define ROWS_PER_CHUNK ((size_t)256)

#define NONE SIZE_MAX

typedef struct dedup {
    const linkd_table *table;
    const linkd_dedup_images_options *options;
    lk_pool *pool;
    const linkd_progress *progress;
    size_t n_rows;
    lk_hashed *hashes; /* of the rows that have one, with their numbers */
    size_t n_hashes;
    size_t *firsts;  /* [n_rows] first row of that hash, or NONE */
    uint64_t *codes; /* distinct hashes */
    size_t *rows;    /* first row of each code */
    size_t n_codes;
    linkd_pair *candidates; /* of codes */
    size_t n_candidates;
    size_t *clusters; /* of codes */
    size_t n_clusters;
} dedup;

/* ---- pictures to hashes ------------------------------------------------- */

/* Some rows on their way; a task writes to its row's places only. */
typedef struct chunk {
    const dedup *d;
    size_t first;
    uint64_t hashes[ROWS_PER_CHUNK];
    linkd_error errors[ROWS_PER_CHUNK]; /* code 0: none */
    bool is_empty[ROWS_PER_CHUNK];
} chunk;

static int row_hash(void *ctx, size_t item, size_t worker, linkd_error *err)
{
    chunk *c = ctx;
    const dedup *d = c->d;
    const linkd_cell cell =
        linkd_table_cell(d->table, c->first + item, d->options->column);
    const linkd_str source = {cell.bytes, cell.len};
    linkd_image image = {0};
    int rc;

    (void)worker;
    c->is_empty[item] = cell.len == 0;
    c->errors[item] = (linkd_error){0};
    if (cell.len == 0)
        return LINKD_OK;
    rc = lk_picture_read(linkd_table_path(d->table), source, &d->options->image,
                         &image, &c->errors[item]);
    if (rc == LINKD_OK)
        rc = linkd_image_hash(&image, &c->hashes[item], &c->errors[item]);
    linkd_image_clear(&image);
    return rc == LINKD_E_NOMEM ? lk_fail_nomem(err) : LINKD_OK;
}

static int problem_note(linkd_image_problems *problems, const dedup *d,
                        size_t row, const linkd_error *problem,
                        linkd_error *err)
{
    const linkd_cell cell = linkd_table_cell(d->table, row, d->options->column);

    return lk_picture_problem(problems, row, (linkd_str){cell.bytes, cell.len},
                              problem, err);
}

static int chunk_take(dedup *d, const chunk *c, size_t n,
                      linkd_dedup_result *result,
                      linkd_image_problems *problems, linkd_error *err)
{
    int rc = LINKD_OK;

    for (size_t i = 0; i < n && rc == LINKD_OK; i++) {
        const size_t row = c->first + i;

        if (c->is_empty[i])
            result->n_empty++;
        else if (c->errors[i].code != LINKD_OK)
            rc = problem_note(problems, d, row, &c->errors[i], err);
        else
            d->hashes[d->n_hashes++] = (lk_hashed){c->hashes[i], row};
    }
    return rc;
}

static int rows_hash(dedup *d, linkd_dedup_result *result,
                     linkd_image_problems *problems, linkd_error *err)
{
    chunk *c = calloc(1, sizeof(*c));
    int rc = c != NULL ? LINKD_OK : lk_fail_nomem(err);

    if (rc == LINKD_OK)
        c->d = d;
    for (size_t first = 0; first < d->n_rows && rc == LINKD_OK;
         first += ROWS_PER_CHUNK) {
        const size_t left = d->n_rows - first;
        const size_t n = left < ROWS_PER_CHUNK ? left : ROWS_PER_CHUNK;

        c->first = first;
        rc = lk_pool_run(d->pool, n, row_hash, c, err);
        if (rc == LINKD_OK)
            rc = chunk_take(d, c, n, result, problems, err);
        if (rc == LINKD_OK)
            rc = lk_progress_report(d->progress, "hash", first + n, d->n_rows,
                                    err);
    }
    free(c);
    return rc;
}

/* ---- distinct hashes ---------------------------------------------------- */

static void codes_number(dedup *d)
{
    size_t first = 0;

    for (size_t row = 0; row < d->n_rows; row++)
        d->firsts[row] = NONE;
    qsort(d->hashes, d->n_hashes, sizeof(*d->hashes), lk_hashed_compare);
    for (size_t i = 0; i < d->n_hashes; i++) {
        if (d->hashes[i].hash != d->hashes[first].hash)
            first = i;
        d->firsts[d->hashes[i].number] = d->hashes[first].number;
        d->clusters[d->hashes[i].number] = i;
    }
    /* in the order of their first rows: `clusters` has the places for now */
    for (size_t row = 0; row < d->n_rows; row++)
        if (d->firsts[row] == row) {
            d->codes[d->n_codes] = d->hashes[d->clusters[row]].hash;
            d->rows[d->n_codes++] = row;
        }
}

/* ---- pairs and clusters ------------------------------------------------- */

static float score_of(unsigned distance)
{
    return 1.0F - (float)distance / (float)HASH_BITS;
}

static float codes_score(const void *ctx, size_t a, size_t b)
{
    const uint64_t *codes = ctx;

    return score_of((unsigned)__builtin_popcountll(codes[a] ^ codes[b]));
}

static int candidates_find(dedup *d, linkd_error *err)
{
    linkd_code_pair *pairs = NULL;
    size_t n = 0;
    int rc = linkd_hamming_pairs(d->codes, d->n_codes, d->options->max_distance,
                                 &pairs, &n, err);

    if (rc != LINKD_OK)
        return rc;
    d->candidates = calloc(n + 1, sizeof(*d->candidates));
    if (d->candidates == NULL) {
        free(pairs);
        return lk_fail_nomem(err);
    }
    for (size_t i = 0; i < n; i++)
        d->candidates[i] = (linkd_pair){.left = pairs[i].left,
                                        .right = pairs[i].right,
                                        .score = score_of(pairs[i].distance)};
    d->n_candidates = n;
    free(pairs);
    return LINKD_OK;
}

static int clusters_find(dedup *d, linkd_error *err)
{
    lk_cluster_input input = {.candidates = d->candidates,
                              .n = d->n_candidates,
                              .n_rows = d->n_codes,
                              .threshold = score_of(d->options->max_distance),
                              .score = codes_score,
                              .ctx = d->codes};

    return lk_cluster(&input, d->options->cluster, d->clusters, &d->n_clusters,
                      err);
}

/* ---- back to rows ------------------------------------------------------- */

/* The first row of an entity is the first row of one of its codes, so numbers
 * rise with the rows. */
static int entities_number(const dedup *d, linkd_dedup_result *result,
                           linkd_error *err)
{
    size_t *numbers = calloc(d->n_clusters + 1, sizeof(*numbers));
    size_t code = 0;

    result->entities = calloc(d->n_rows + 1, sizeof(*result->entities));
    if (numbers == NULL || result->entities == NULL) {
        free(numbers);
        return lk_fail_nomem(err);
    }
    for (size_t i = 0; i < d->n_clusters; i++)
        numbers[i] = NONE;
    for (size_t row = 0; row < d->n_rows; row++) {
        const size_t first = d->firsts[row];
        size_t alone = NONE;
        size_t *number = &alone;

        if (first != NONE && first != row) {
            result->entities[row] = result->entities[first];
            continue;
        }
        if (first == row)
            number = &numbers[d->clusters[code++]];
        if (*number == NONE)
            *number = result->n_entities++;
        result->entities[row] = *number;
    }
    free(numbers);
    return LINKD_OK;
}

/* Pairs of first rows, and each further row of a hash with its first. */
static int pairs_keep(const dedup *d, linkd_dedup_result *result,
                      linkd_error *err)
{
    result->pairs =
        calloc(d->n_candidates + d->n_hashes + 1, sizeof(*result->pairs));
    if (result->pairs == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < d->n_candidates; i++) {
        linkd_pair pair = d->candidates[i];

        if (d->clusters[pair.left] != d->clusters[pair.right])
            continue;
        pair.left = d->rows[pair.left];
        pair.right = d->rows[pair.right];
        result->pairs[result->n_pairs++] = pair;
    }
    for (size_t row = 0; row < d->n_rows; row++)
        if (d->firsts[row] != NONE && d->firsts[row] != row)
            result->pairs[result->n_pairs++] = (linkd_pair){
                .left = d->firsts[row], .right = row, .score = 1.0F};
    qsort(result->pairs, result->n_pairs, sizeof(*result->pairs),
          lk_pair_compare);
    result->n_candidates = d->n_candidates + d->n_hashes - d->n_codes;
    return LINKD_OK;
}

/* ---- all ---------------------------------------------------------------- */

static int dedup_init(dedup *d, linkd_error *err)
{
    const size_t n = d->n_rows + 1;

    d->hashes = calloc(n, sizeof(*d->hashes));
    d->firsts = calloc(n, sizeof(*d->firsts));
    d->codes = calloc(n, sizeof(*d->codes));
    d->rows = calloc(n, sizeof(*d->rows));
    d->clusters = calloc(n, sizeof(*d->clusters));
    if (d->hashes == NULL || d->firsts == NULL || d->codes == NULL ||
        d->rows == NULL || d->clusters == NULL)
        return lk_fail_nomem(err);
    return LINKD_OK;
}

static void dedup_clear(dedup *d)
{
    free(d->hashes);
    free(d->firsts);
    free(d->codes);
    free(d->rows);
    free(d->candidates);
    free(d->clusters);
}

static int entities_find(dedup *d, linkd_dedup_result *result, linkd_error *err)
{
    uint64_t start = lk_clock_ns();
    int rc;

    codes_number(d);
    rc = lk_progress_report(d->progress, "cluster", 0, d->n_codes, err);
    if (rc == LINKD_OK)
        rc = candidates_find(d, err);
    result->search_seconds = lk_clock_seconds_since(start);
    start = lk_clock_ns();
    if (rc == LINKD_OK)
        rc = clusters_find(d, err);
    if (rc == LINKD_OK)
        rc = entities_number(d, result, err);
    if (rc == LINKD_OK)
        rc = pairs_keep(d, result, err);
    if (rc == LINKD_OK)
        rc = lk_progress_report(d->progress, "cluster", d->n_codes, d->n_codes,
                                err);
    result->cluster_seconds = lk_clock_seconds_since(start);
    return rc;
}

int linkd_dedup_images(const linkd_table *table, lk_pool *pool,
                       const linkd_dedup_images_options *options,
                       const linkd_progress *progress,
                       linkd_dedup_result *ret_result,
                       linkd_image_problems *ret_problems, linkd_error *err)
{
    dedup d = {.table = table,
               .options = options,
               .pool = pool,
               .progress = progress,
               .n_rows = linkd_table_n_rows(table)};
    linkd_dedup_result result = {0};
    const uint64_t start = lk_clock_ns();
    int rc = dedup_init(&d, err);

    if (rc == LINKD_OK)
        rc = rows_hash(&d, &result, ret_problems, err);
    result.encode_seconds = lk_clock_seconds_since(start);
    result.encode.n_texts = d.n_hashes;
    if (rc == LINKD_OK)
        rc = entities_find(&d, &result, err);
    if (rc == LINKD_OK)
        *ret_result = result;
    else
        linkd_dedup_result_clear(&result);
    dedup_clear(&d);
    return rc;
}
