/* linkage/resemblance.c — near-duplicates stand out among a table's own pictures.
 *
 * Nearly all pairs of a table are of strangers, so the table itself tells how alike
 * those are. That gives every pair two chances:
 *
 *   vector  the share of pairs whose cosine is as high, counted: no curve is good
 *           for its tail, as pictures of one kind are alike
 *   hash    a normal distribution of the bits that differ, whose width is that of
 *           the less alike half, where no duplicates are
 *
 * A crop moves the one little, other colours the other. As a hash knows nothing of
 * what a model sees, both are taken for independent of one another among strangers;
 * then a product of chances as small as q comes with the chance q (1 - ln q)
 * (Fisher 1925). The limit is Benjamini and Hochberg's (1995) at a rate of false
 * discoveries of 1 %: of all pairs of a table of n pictures those found with a
 * chance of .01 * found / (n (n - 1) / 2) and less. */
#include "linkage/resemblance.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "index/index.h"
#include "linkage/picture.h"

#define PAIRS_MAX  ((size_t)200000)
#define FALSE_RATE 0.01
#define HASH_BITS  64

/* Below any chance that both can have. */
#define CHANCE_MIN 1e-300

/* ---- hashes ------------------------------------------------------------- */

typedef struct hashing {
    lk_resemblance *resemblance;
    const linkd_table *table;
    const linkd_pictures *pictures;
    size_t column;
} hashing;

/* What cannot be read any more, or has one colour, has no hash. */
static int row_hash(void *ctx, size_t item, size_t worker, linkd_error *err)
{
    const hashing *h = ctx;
    lk_resemblance *r = h->resemblance;
    const linkd_cell cell =
        linkd_table_cell(h->table, r->vectors->rows[item], h->column);
    linkd_image image = {0};
    int rc = lk_picture_read(linkd_table_path(h->table),
                             (linkd_str){cell.bytes, cell.len},
                             &h->pictures->image, &image, NULL);

    (void)worker;
    if (rc == LINKD_OK)
        rc = linkd_image_hash(&image, &r->hashes[item], NULL);
    r->has_hash[item] = rc == LINKD_OK;
    linkd_image_clear(&image);
    return rc == LINKD_E_NOMEM ? lk_fail_nomem(err) : LINKD_OK;
}

static unsigned bits_apart(const lk_resemblance *r, size_t a, size_t b)
{
    return (unsigned)__builtin_popcountll(r->hashes[a] ^ r->hashes[b]);
}

/* ---- strangers ---------------------------------------------------------- */

/* splitmix64 (Steele et al. 2014) */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static int float_compare(const void *a, const void *b)
{
    const float x = *(const float *)a;
    const float y = *(const float *)b;

    return (x > y) - (x < y);
}

static float cosine(const lk_resemblance *r, size_t a, size_t b)
{
    const size_t dim = r->vectors->dim;

    return linkd_index_score(r->vectors->data + a * dim,
                             r->vectors->data + b * dim, dim);
}

static void pair_count(lk_resemblance *r, size_t a, size_t b,
                       size_t counts[HASH_BITS + 1])
{
    r->cosines[r->n_cosines++] = cosine(r, a, b);
    if (r->has_hash[a] && r->has_hash[b])
        counts[bits_apart(r, a, b)]++;
}

/* All pairs if they are not too many, else as many as that, drawn at random. */
static void pairs_count(lk_resemblance *r, size_t counts[HASH_BITS + 1])
{
    const size_t n = r->vectors->n;
    uint64_t state = n;

    if (n * (n - 1) / 2 <= PAIRS_MAX) {
        for (size_t b = 1; b < n; b++)
            for (size_t a = 0; a < b; a++)
                pair_count(r, a, b, counts);
        return;
    }
    while (r->n_cosines < PAIRS_MAX) {
        const size_t a = next_random(&state) % n;
        const size_t b = next_random(&state) % n;

        if (a != b)
            pair_count(r, a, b, counts);
    }
}

/* The median, and the spread of the half beyond it. */
static void hashes_measure(lk_resemblance *r,
                           const size_t counts[HASH_BITS + 1])
{
    size_t total = 0, below = 0, middle = 0;
    double squares = 0.0, n_beyond;

    for (size_t i = 0; i <= HASH_BITS; i++)
        total += counts[i];
    while (middle < HASH_BITS && 2 * (below + counts[middle]) < total)
        below += counts[middle++];
    n_beyond = 0.5 * (double)counts[middle];
    for (size_t i = middle + 1; i <= HASH_BITS; i++) {
        squares += (double)(counts[i] * (i - middle) * (i - middle));
        n_beyond += (double)counts[i];
    }
    r->middle = (double)middle;
    r->spread = squares > 0.0 ? sqrt(squares / n_beyond) : 1.0;
}

int lk_resemblance_measure(lk_resemblance *r, linkd_error *err)
{
    const size_t n_pairs = r->vectors->n * (r->vectors->n - 1) / 2;
    size_t counts[HASH_BITS + 1] = {0};

    r->cosines =
        calloc(n_pairs < PAIRS_MAX ? n_pairs : PAIRS_MAX, sizeof(*r->cosines));
    if (r->cosines == NULL)
        return lk_fail_nomem(err);
    pairs_count(r, counts);
    qsort(r->cosines, r->n_cosines, sizeof(*r->cosines), float_compare);
    hashes_measure(r, counts);
    return LINKD_OK;
}

int lk_resemblance_new(lk_resemblance *r, const lk_vectors *vectors,
                       const linkd_str *keys, linkd_error *err)
{
    *r = (lk_resemblance){.vectors = vectors, .keys = keys};
    if (vectors->n < LK_RESEMBLANCE_ROWS_MIN)
        return lk_fail(err, LINKD_E_ARG,
                       "%zu pictures do not show how alike strangers are, as "
                       "%zu do: --min-score is needed",
                       vectors->n, LK_RESEMBLANCE_ROWS_MIN);
    r->hashes = calloc(vectors->n, sizeof(*r->hashes));
    r->has_hash = calloc(vectors->n, sizeof(*r->has_hash));
    return r->hashes != NULL && r->has_hash != NULL ? LINKD_OK
                                                    : lk_fail_nomem(err);
}

int lk_resemblance_hash(lk_resemblance *r, const linkd_table *table,
                        const linkd_pictures *pictures, size_t column,
                        linkd_error *err)
{
    hashing h = {r, table, pictures, column};

    return lk_pool_run(pictures->pool, r->vectors->n, row_hash, &h, err);
}

void lk_resemblance_clear(lk_resemblance *r)
{
    free(r->hashes);
    free(r->has_hash);
    free(r->cosines);
    *r = (lk_resemblance){0};
}

/* ---- scores ------------------------------------------------------------- */

/* How many of the pairs that were looked at have a lower cosine. */
static size_t lower_count(const lk_resemblance *r, float value)
{
    size_t first = 0, end = r->n_cosines;

    while (first < end) {
        const size_t middle = first + (end - first) / 2;

        if (r->cosines[middle] < value)
            first = middle + 1;
        else
            end = middle;
    }
    return first;
}

float lk_resemblance_score(const void *ctx, size_t a, size_t b)
{
    const lk_resemblance *r = ctx;
    const size_t n = r->n_cosines;
    double chance =
        (double)(n + 1 - lower_count(r, cosine(r, a, b))) / (double)(n + 1);

    if (r->has_hash[a] && r->has_hash[b])
        chance *= 0.5 * erfc((r->middle - (double)bits_apart(r, a, b)) /
                             (r->spread * sqrt(2.0)));
    chance = fmax(chance, CHANCE_MIN);
    return (float)fmax(0.0, -log10(chance * (1.0 - log(chance))));
}

/* ---- candidates --------------------------------------------------------- */

/* The first vector of each hash, as thousands of copies would be millions of
 * pairs: those are near by their vectors, too. */
static size_t firsts_find(const lk_resemblance *r, lk_hashed *firsts,
                          uint64_t *codes)
{
    size_t n = 0, n_distinct = 0;

    for (size_t i = 0; i < r->vectors->n; i++)
        if (r->has_hash[i])
            firsts[n++] = (lk_hashed){r->hashes[i], i};
    qsort(firsts, n, sizeof(*firsts), lk_hashed_compare);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || firsts[i].hash != codes[n_distinct - 1]) {
            codes[n_distinct] = firsts[i].hash;
            firsts[n_distinct++] = firsts[i];
        }
    return n_distinct;
}

static bool is_one_block(const lk_resemblance *r, size_t a, size_t b)
{
    return r->keys == NULL ||
           (r->keys[a].len > 0 && r->keys[a].len == r->keys[b].len &&
            memcmp(r->keys[a].bytes, r->keys[b].bytes, r->keys[a].len) == 0);
}

/* Appends them to the candidates. */
static int near_add(const lk_resemblance *r, lk_candidates *c,
                    const linkd_code_pair *pairs, size_t n,
                    const lk_hashed *firsts, linkd_error *err)
{
    linkd_pair *all = realloc(c->pairs, (c->n + n + 1) * sizeof(*all));

    if (all == NULL)
        return lk_fail_nomem(err);
    c->pairs = all;
    for (size_t i = 0; i < n; i++) {
        const size_t a = firsts[pairs[i].left].number;
        const size_t b = firsts[pairs[i].right].number;

        if (is_one_block(r, a, b))
            c->pairs[c->n++] =
                (linkd_pair){.left = a < b ? a : b, .right = a < b ? b : a};
    }
    return LINKD_OK;
}

static int near_find(const lk_resemblance *r, lk_candidates *candidates,
                     linkd_error *err)
{
    lk_hashed *firsts = calloc(r->vectors->n, sizeof(*firsts));
    uint64_t *codes = calloc(r->vectors->n, sizeof(*codes));
    linkd_code_pair *pairs = NULL;
    size_t n = 0;
    int rc = LINKD_OK;

    if (firsts == NULL || codes == NULL)
        rc = lk_fail_nomem(err);
    if (rc == LINKD_OK)
        rc = linkd_hamming_pairs(codes, firsts_find(r, firsts, codes),
                                 LINKD_DEDUP_DISTANCE, &pairs, &n, err);
    if (rc == LINKD_OK)
        rc = near_add(r, candidates, pairs, n, firsts, err);
    free(firsts);
    free(codes);
    free(pairs);
    return rc;
}

int lk_resemblance_candidates(const lk_resemblance *r,
                              lk_candidates *candidates, linkd_error *err)
{
    int rc = near_find(r, candidates, err);
    size_t n = 0;

    if (rc != LINKD_OK)
        return rc;
    qsort(candidates->pairs, candidates->n, sizeof(*candidates->pairs),
          lk_pair_compare);
    for (size_t i = 0; i < candidates->n; i++) {
        linkd_pair pair = candidates->pairs[i];

        if (n > 0 && lk_pair_compare(&candidates->pairs[n - 1], &pair) == 0)
            continue;
        pair.score = lk_resemblance_score(r, pair.left, pair.right);
        candidates->pairs[n++] = pair;
    }
    candidates->n = n;
    return LINKD_OK;
}

int lk_resemblance_limit(const lk_resemblance *r,
                         const lk_candidates *candidates, float *ret_limit,
                         linkd_error *err)
{
    const double n = (double)r->vectors->n;
    float *scores = calloc(candidates->n + 1, sizeof(*scores));
    float limit = FLT_MAX;

    if (scores == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < candidates->n; i++)
        scores[i] = candidates->pairs[i].score;
    qsort(scores, candidates->n, sizeof(*scores), float_compare);
    for (size_t i = 0; i < candidates->n; i++) {
        const double n_found = (double)(candidates->n - i);

        if (pow(10.0, -(double)scores[i]) * n * (n - 1.0) / 2.0 <=
            FALSE_RATE * n_found) {
            limit = scores[i];
            break;
        }
    }
    free(scores);
    *ret_limit = limit;
    return LINKD_OK;
}
