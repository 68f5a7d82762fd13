/* index/hamming.c — pairs of 64-bit codes that differ in few bits.
 *
 * Multi-index hashing (Norouzi, Punjani and Fleet, Fast Search in Hamming Space
 * with Multi-Index Hashing, CVPR 2012): cut each code into four parts of 16
 * bits. If two codes differ in at most r = 4 q + s bits, one of their first
 * s + 1 parts differs in at most q bits, or one of the others in at most q - 1.
 * So for each part the codes are sorted into 65,536 buckets by its value, and a
 * code looks only into the buckets whose number is that near to its own. A pair
 * that several parts find is taken from the first of them.
 *
 *   order   codes' numbers by bucket, ascending within     [n]
 *   starts  where each bucket begins in `order`            [65,537]
 *
 * Few codes are compared each with each: buckets cost more. */
#include "index/index.h"

#include <stdlib.h>
#include <string.h>

#define N_PARTS   4U
#define PART_BITS 16U
#define N_BUCKETS ((size_t)1 << PART_BITS)

/* A look into a bucket costs about as much as comparing with so many codes
 * (guess). */
#define LOOK_COST ((size_t)4)

typedef struct finder {
    const uint64_t *codes;
    size_t n;
    unsigned radius;
    uint32_t *starts;
    uint32_t *order;
    uint16_t *masks; /* bits that may differ in a part, fewest first */
    size_t n_masks[PART_BITS + 1]; /* with at most so many bits */
    linkd_code_pair *pairs;
    size_t n_pairs;
    size_t capacity;
} finder;

static unsigned distance_of(uint64_t a, uint64_t b)
{
    return (unsigned)__builtin_popcountll(a ^ b);
}

static unsigned part_of(uint64_t code, unsigned part)
{
    return (unsigned)(code >> (part * PART_BITS)) & (N_BUCKETS - 1);
}

/* Bits in which a part may differ; below 0: no bucket is looked into. */
static int part_radius(unsigned radius, unsigned part)
{
    return (int)(radius / N_PARTS) - (part > radius % N_PARTS);
}

static int pair_add(finder *f, size_t left, size_t right, linkd_error *err)
{
    void *pairs = f->pairs;
    int rc =
        lk_grow(&pairs, &f->capacity, f->n_pairs + 1, sizeof(*f->pairs), err);

    if (rc != LINKD_OK)
        return rc;
    f->pairs = pairs;
    f->pairs[f->n_pairs++] = (linkd_code_pair){
        .left = (uint32_t)left,
        .right = (uint32_t)right,
        .distance = distance_of(f->codes[left], f->codes[right])};
    return LINKD_OK;
}

/* ---- each with each ----------------------------------------------------- */

static int all_compare(finder *f, linkd_error *err)
{
    for (size_t i = 0; i < f->n; i++)
        for (size_t j = i + 1; j < f->n; j++) {
            int rc = LINKD_OK;

            if (distance_of(f->codes[i], f->codes[j]) <= f->radius)
                rc = pair_add(f, i, j, err);
            if (rc != LINKD_OK)
                return rc;
        }
    return LINKD_OK;
}

/* ---- by parts ----------------------------------------------------------- */

/* A counting sort. */
static void buckets_fill(finder *f, unsigned part)
{
    memset(f->starts, 0, (N_BUCKETS + 1) * sizeof(*f->starts));
    for (size_t i = 0; i < f->n; i++)
        f->starts[part_of(f->codes[i], part) + 1]++;
    for (size_t b = 0; b < N_BUCKETS; b++)
        f->starts[b + 1] += f->starts[b];
    for (size_t i = 0; i < f->n; i++)
        f->order[f->starts[part_of(f->codes[i], part)]++] = (uint32_t)i;
    /* each start has moved on to the next bucket's */
    memmove(f->starts + 1, f->starts, N_BUCKETS * sizeof(*f->starts));
    f->starts[0] = 0;
}

static bool is_found_before(const finder *f, unsigned part, uint64_t difference)
{
    for (unsigned p = 0; p < part; p++)
        if (__builtin_popcount(part_of(difference, p)) <=
            part_radius(f->radius, p))
            return true;
    return false;
}

static int bucket_search(finder *f, unsigned part, size_t i, size_t bucket,
                         linkd_error *err)
{
    for (size_t at = f->starts[bucket]; at < f->starts[bucket + 1]; at++) {
        const size_t j = f->order[at];
        const uint64_t difference = f->codes[i] ^ f->codes[j];
        int rc = LINKD_OK;

        if (j > i && distance_of(difference, 0) <= f->radius &&
            !is_found_before(f, part, difference))
            rc = pair_add(f, i, j, err);
        if (rc != LINKD_OK)
            return rc;
    }
    return LINKD_OK;
}

static int part_search(finder *f, unsigned part, linkd_error *err)
{
    const int most = part_radius(f->radius, part);

    if (most < 0)
        return LINKD_OK;
    buckets_fill(f, part);
    for (size_t i = 0; i < f->n; i++)
        for (size_t m = 0; m < f->n_masks[most]; m++) {
            int rc = bucket_search(
                f, part, i, part_of(f->codes[i], part) ^ f->masks[m], err);

            if (rc != LINKD_OK)
                return rc;
        }
    return LINKD_OK;
}

static void masks_fill(finder *f)
{
    size_t n = 0;

    for (unsigned bits = 0; bits <= PART_BITS; bits++) {
        for (size_t mask = 0; mask < N_BUCKETS; mask++)
            if ((unsigned)__builtin_popcountll(mask) == bits)
                f->masks[n++] = (uint16_t)mask;
        f->n_masks[bits] = n;
    }
}

/* Buckets that one code looks into, over all parts. */
static size_t looks_count(const finder *f)
{
    size_t n = 0;

    for (unsigned part = 0; part < N_PARTS; part++) {
        const int most = part_radius(f->radius, part);

        n += most < 0 ? 0 : f->n_masks[most];
    }
    return n;
}

static int compare(const void *a, const void *b)
{
    const linkd_code_pair *x = a;
    const linkd_code_pair *y = b;

    if (x->left != y->left)
        return x->left < y->left ? -1 : 1;
    return (x->right > y->right) - (x->right < y->right);
}

static int parts_search(finder *f, linkd_error *err)
{
    int rc = LINKD_OK;

    for (unsigned part = 0; part < N_PARTS && rc == LINKD_OK; part++)
        rc = part_search(f, part, err);
    if (rc == LINKD_OK && f->n_pairs > 0)
        qsort(f->pairs, f->n_pairs, sizeof(*f->pairs), compare);
    return rc;
}

int linkd_hamming_pairs(const uint64_t *codes, size_t n, unsigned radius,
                        linkd_code_pair **ret_pairs, size_t *ret_n,
                        linkd_error *err)
{
    finder f = {.codes = codes, .n = n, .radius = radius};
    int rc = LINKD_OK;

    if (radius > LINKD_HAMMING_RADIUS_MAX)
        return lk_fail(err, LINKD_E_ARG,
                       "a distance of %u bits is over the limit of %d", radius,
                       LINKD_HAMMING_RADIUS_MAX);
    if (n >= UINT32_MAX)
        return lk_fail(err, LINKD_E_ARG, "%zu codes are too many", n);
    f.starts = calloc(N_BUCKETS + 1, sizeof(*f.starts));
    f.order = calloc(n + 1, sizeof(*f.order));
    f.masks = calloc(N_BUCKETS, sizeof(*f.masks));
    if (f.starts == NULL || f.order == NULL || f.masks == NULL) {
        rc = lk_fail_nomem(err);
        goto done;
    }
    masks_fill(&f);
    rc = looks_count(&f) * LOOK_COST < n / 2 ? parts_search(&f, err)
                                             : all_compare(&f, err);
    if (rc != LINKD_OK)
        goto done;
    *ret_pairs = f.pairs;
    *ret_n = f.n_pairs;
    f.pairs = NULL;
done:
    free(f.pairs);
    free(f.masks);
    free(f.order);
    free(f.starts);
    return rc;
}
