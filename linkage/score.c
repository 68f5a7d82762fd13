/* linkage/score.c — cosines of pairs that nobody chose: those that the caller
 * names, or all there are.
 *
 * All pairs of two tables are too many to keep, so they go by in rounds of left
 * rows. Workers fill the round's scores, a few left rows at a time, so that a
 * right vector is fetched once for them; then the caller gets them row by row:
 *
 *   left rows ─► rounds ─► tiles of rows ─► workers ─► [rows, n_right] ─► callback
 *
 * Sizes depend on the number of right rows alone, so nothing depends on how many
 * workers there are. */
#include <math.h>
#include <stdlib.h>

#include "linkage/vectors.h"

#define SCORES_PER_ROUND ((size_t)4 << 20) /* 16 MB */
#define ROWS_PER_TILE    ((size_t)8)

/* One table counts as both sides: [1] is then the same as [0]. */
typedef struct scoring {
    const linkd_table *tables[2];
    size_t n_sides;
    const linkd_score_options *options;
    bool *wanted[2]; /* rows of each side; NULL: every row */
    lk_vectors vectors[2];
    linkd_score_stats stats;
} scoring;

static const lk_vectors *right_vectors(const scoring *s)
{
    return &s->vectors[s->n_sides - 1];
}

/* ---- vectors ------------------------------------------------------------ */

static int tables_encode(scoring *s, const linkd_embedder *embedder,
                         const linkd_progress *progress, linkd_error *err)
{
    lk_vectors_maker maker = {.embedder = embedder, .progress = progress};
    uint64_t start = lk_clock_ns();
    int rc = LINKD_OK;

    for (size_t side = 0; side < s->n_sides; side++)
        maker.n_total += linkd_table_n_rows(s->tables[side]);
    for (size_t side = 0; side < s->n_sides && rc == LINKD_OK; side++) {
        size_t *columns = NULL;
        size_t n_columns = 0;

        maker.wanted = s->wanted[side];
        rc = lk_columns_of_side(s->tables[side], s->options->columns,
                                s->options->n_columns, side, &columns,
                                &n_columns, err);
        if (rc == LINKD_OK)
            rc = lk_vectors_make(&maker, s->tables[side], columns, n_columns,
                                 &s->vectors[side], err);
        free(columns);
    }
    s->stats.encode = maker.stats;
    s->stats.encode_seconds = lk_clock_seconds_since(start);
    return rc;
}

static scoring scoring_of(const linkd_table *left, const linkd_table *right,
                          const linkd_score_options *options)
{
    return (scoring){.tables = {left, right},
                     .n_sides = right != NULL ? 2 : 1,
                     .options = options};
}

static void scoring_clear(scoring *s)
{
    for (size_t side = 0; side < 2; side++) {
        lk_vectors_clear(&s->vectors[side]);
        free(s->wanted[side]);
    }
}

/* ---- pairs that the caller names ----------------------------------------- */

static int wanted_mark(scoring *s, const linkd_pair *pairs, size_t n_pairs,
                       linkd_error *err)
{
    for (size_t side = 0; side < s->n_sides; side++) {
        s->wanted[side] =
            calloc(linkd_table_n_rows(s->tables[side]) + 1, sizeof(bool));
        if (s->wanted[side] == NULL)
            return lk_fail_nomem(err);
    }
    for (size_t i = 0; i < n_pairs; i++) {
        s->wanted[0][pairs[i].left] = true;
        s->wanted[s->n_sides - 1][pairs[i].right] = true;
    }
    return LINKD_OK;
}

static size_t wanted_count(const bool *wanted, size_t n_rows)
{
    size_t n = 0;

    for (size_t row = 0; row < n_rows; row++)
        n += wanted[row];
    return n;
}

static int row_compare(const void *key, const void *item)
{
    size_t a = *(const size_t *)key;
    size_t b = *(const size_t *)item;

    return (a > b) - (a < b);
}

/* The vector of a row, or NULL. */
static const float *vector_of(const lk_vectors *v, size_t row)
{
    const size_t *found =
        bsearch(&row, v->rows, v->n, sizeof(*v->rows), row_compare);

    return found != NULL ? v->data + (size_t)(found - v->rows) * v->dim : NULL;
}

static void pairs_score(scoring *s, linkd_pair *pairs, size_t n_pairs)
{
    for (size_t i = 0; i < n_pairs; i++) {
        const float *a = vector_of(&s->vectors[0], pairs[i].left);
        const float *b = vector_of(right_vectors(s), pairs[i].right);

        pairs[i].score = NAN;
        if (a == NULL || b == NULL)
            continue;
        pairs[i].score =
            lk_score_round(linkd_index_score(a, b, s->vectors[0].dim));
        s->stats.n_scored++;
    }
}

int linkd_score_pairs(const linkd_table *left, const linkd_table *right,
                      const linkd_embedder *embedder,
                      const linkd_score_options *options,
                      const linkd_progress *progress, linkd_pair *pairs,
                      size_t n_pairs, linkd_score_stats *ret_stats,
                      linkd_error *err)
{
    scoring s = scoring_of(left, right, options);
    uint64_t start;
    int rc = wanted_mark(&s, pairs, n_pairs, err);

    if (rc == LINKD_OK)
        rc = tables_encode(&s, embedder, progress, err);
    start = lk_clock_ns();
    if (rc == LINKD_OK) {
        pairs_score(&s, pairs, n_pairs);
        for (size_t side = 0; side < s.n_sides; side++)
            s.stats.n_empty[side] =
                wanted_count(s.wanted[side],
                             linkd_table_n_rows(s.tables[side])) -
                s.vectors[side].n;
        s.stats.score_seconds = lk_clock_seconds_since(start);
        *ret_stats = s.stats;
    }
    scoring_clear(&s);
    return rc;
}

/* ---- all pairs ----------------------------------------------------------- */

typedef struct round_of_rows {
    const scoring *scoring;
    size_t first;  /* left vector */
    size_t n_rows; /* of this round */
    float *scores; /* [rows, n_right] */
} round_of_rows;

static int tile_task(void *ctx, size_t tile, size_t worker, linkd_error *err)
{
    const round_of_rows *r = ctx;
    const lk_vectors *left = &r->scoring->vectors[0];
    const lk_vectors *right = right_vectors(r->scoring);
    size_t begin = tile * ROWS_PER_TILE;
    size_t end =
        begin + ROWS_PER_TILE < r->n_rows ? begin + ROWS_PER_TILE : r->n_rows;

    (void)worker;
    (void)err;
    for (size_t j = 0; j < right->n; j++)
        for (size_t i = begin; i < end; i++)
            r->scores[i * right->n + j] = lk_score_round(
                linkd_index_score(left->data + (r->first + i) * left->dim,
                                  right->data + j * right->dim, left->dim));
    return LINKD_OK;
}

static int best_first(const void *a, const void *b)
{
    const linkd_pair *x = a;
    const linkd_pair *y = b;

    if (x->score != y->score)
        return x->score < y->score ? 1 : -1;
    return (x->right > y->right) - (x->right < y->right);
}

/* Keeps the k best of n; answers how many are left. */
static size_t best_keep(linkd_pair *pairs, size_t n, size_t k)
{
    qsort(pairs, n, sizeof(*pairs), best_first);
    return n < k ? n : k;
}

/* The pairs of one left row; `ret_pairs` [n_right]. */
static size_t row_collect(const scoring *s, size_t number, const float *scores,
                          linkd_pair *ret_pairs)
{
    const lk_vectors *right = right_vectors(s);
    bool within = s->n_sides == 1;
    size_t k = s->options->k;
    size_t n = 0;

    for (size_t j = within && k == 0 ? number + 1 : 0; j < right->n; j++) {
        if (scores[j] < s->options->least || (within && j == number))
            continue;
        ret_pairs[n++] = (linkd_pair){.left = s->vectors[0].rows[number],
                                      .right = right->rows[j],
                                      .score = scores[j]};
        /* now and then, so that no row is sorted as a whole */
        if (k > 0 && n / 2 == k)
            n = best_keep(ret_pairs, n, k);
    }
    return k > 0 ? best_keep(ret_pairs, n, k) : n;
}

static size_t rows_per_round(size_t n_right)
{
    size_t n = SCORES_PER_ROUND / (n_right + 1) / ROWS_PER_TILE;

    return n > 0 ? n * ROWS_PER_TILE : 1;
}

static int rounds_run(scoring *s, lk_pool *pool, const linkd_progress *progress,
                      linkd_scored_fn *scored_cb, void *ctx, linkd_error *err)
{
    size_t n_left = s->vectors[0].n;
    size_t n_right = right_vectors(s)->n;
    size_t n_round = rows_per_round(n_right);
    round_of_rows r = {.scoring = s};
    linkd_pair *pairs = calloc(n_right + 1, sizeof(*pairs));
    int rc = LINKD_OK;

    n_round = n_round < n_left ? n_round : n_left;
    r.scores = calloc(n_round * n_right + 1, sizeof(*r.scores));
    if (pairs == NULL || r.scores == NULL)
        rc = lk_fail_nomem(err);
    for (; r.first < n_left && rc == LINKD_OK; r.first += r.n_rows) {
        r.n_rows = n_left - r.first < n_round ? n_left - r.first : n_round;
        rc = lk_pool_run(pool, (r.n_rows + ROWS_PER_TILE - 1) / ROWS_PER_TILE,
                         tile_task, &r, err);
        for (size_t i = 0; i < r.n_rows && rc == LINKD_OK; i++) {
            size_t n =
                row_collect(s, r.first + i, r.scores + i * n_right, pairs);

            s->stats.n_scored += n;
            if (n > 0)
                rc = scored_cb(ctx, pairs, n, err);
        }
        if (rc == LINKD_OK)
            rc = lk_progress_report(progress, "score", r.first + r.n_rows,
                                    n_left, err);
    }
    free(r.scores);
    free(pairs);
    return rc;
}

int linkd_score_all(const linkd_table *left, const linkd_table *right,
                    const linkd_embedder *embedder, lk_pool *pool,
                    const linkd_score_options *options,
                    const linkd_progress *progress, linkd_scored_fn *scored_cb,
                    void *ctx, linkd_score_stats *ret_stats, linkd_error *err)
{
    scoring s = scoring_of(left, right, options);
    uint64_t start;
    int rc = tables_encode(&s, embedder, progress, err);

    start = lk_clock_ns();
    if (rc == LINKD_OK)
        rc = rounds_run(&s, pool, progress, scored_cb, ctx, err);
    if (rc == LINKD_OK) {
        s.stats.score_seconds = lk_clock_seconds_since(start);
        for (size_t side = 0; side < s.n_sides; side++)
            s.stats.n_empty[side] =
                linkd_table_n_rows(s.tables[side]) - s.vectors[side].n;
        *ret_stats = s.stats;
    }
    scoring_clear(&s);
    return rc;
}
