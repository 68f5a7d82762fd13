/* encoder/image_hash.c — a perceptual hash: what a picture looks like from far
 * away, in 64 bits.
 *
 *   picture ─► grey, 32 x 32 ─► cosine transform ─► its 8 x 8 lowest
 *   frequencies ─► a bit each: is it above their median?
 *
 * (C. Zauner, Implementation and Benchmarking of Perceptual Image Hash
 * Functions, 2010, section 3.2.1, in the variant of the Python package
 * ImageHash, so that hashes can be compared with those that people have.) A
 * crop moves all frequencies a little; a mirrored picture is another one. */
#include <math.h>
#include <stdlib.h>

#include "encoder/image_resize.h"

#define SIDE    ((size_t)32)
#define LOW     ((size_t)8) /* frequencies kept in each direction */
#define PI      3.14159265358979323846
#define N_BITS  (LOW * LOW)
#define FLAT_AC 1e-6 /* rounding of sums that are 0 is below 1e-9 */

/* Pillow's convert("L"): ITU-R 601-2 with 16 fractional bits. */
static uint8_t grey_of(const uint8_t *pixel)
{
    return (uint8_t)((pixel[0] * 19595U + pixel[1] * 38470U + pixel[2] * 7471U +
                      0x8000U) >>
                     16);
}

static int grey_make(const linkd_image *image, linkd_image *ret_grey,
                     linkd_error *err)
{
    const size_t n = image->width * image->height;

    *ret_grey = *image;
    ret_grey->pixels = lk_alloc_aligned(n, 3);
    if (ret_grey->pixels == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < n; i++) {
        uint8_t *out = ret_grey->pixels + i * 3;

        out[0] = out[1] = out[2] = grey_of(image->pixels + i * 3);
    }
    return LINKD_OK;
}

/* sum over x of 2 in[x] cos(pi k (2 x + 1) / 2 n), the DCT-II, of which `waves`
 * [SIDE] is the cosine */
static double cosine_sum(const double *in, size_t step, const double *waves)
{
    double sum = 0.0;

    for (size_t x = 0; x < SIDE; x++)
        sum += 2.0 * in[x * step] * waves[x];
    return sum;
}

/* `ret_low` [LOW, LOW]: rows are vertical frequencies. */
static void transform(const linkd_image *small, double *ret_low)
{
    double in[SIDE * SIDE];
    double columns[LOW * SIDE]; /* columns transformed */
    double waves[LOW * SIDE];

    for (size_t k = 0; k < LOW; k++)
        for (size_t x = 0; x < SIDE; x++)
            waves[k * SIDE + x] =
                cos(PI * (double)(k * (2 * x + 1)) / (double)(2 * SIDE));
    for (size_t i = 0; i < SIDE * SIDE; i++)
        in[i] = (double)small->pixels[i * 3];
    for (size_t v = 0; v < LOW; v++)
        for (size_t x = 0; x < SIDE; x++)
            columns[v * SIDE + x] = cosine_sum(in + x, SIDE, waves + v * SIDE);
    for (size_t v = 0; v < LOW; v++)
        for (size_t u = 0; u < LOW; u++)
            ret_low[v * LOW + u] =
                cosine_sum(columns + v * SIDE, 1, waves + u * SIDE);
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a;
    const double y = *(const double *)b;

    return (x > y) - (x < y);
}

static double median_of(const double *values)
{
    double sorted[N_BITS];

    for (size_t i = 0; i < N_BITS; i++)
        sorted[i] = values[i];
    qsort(sorted, N_BITS, sizeof(*sorted), compare);
    return (sorted[N_BITS / 2 - 1] + sorted[N_BITS / 2]) / 2.0;
}

static bool is_flat(const double *low)
{
    for (size_t i = 1; i < N_BITS; i++)
        if (fabs(low[i]) > FLAT_AC)
            return false;
    return true;
}

int linkd_image_hash(const linkd_image *image, uint64_t *ret_hash,
                     linkd_error *err)
{
    const lk_window all = {0, 0, SIDE, SIDE};
    linkd_image grey = {0};
    linkd_image small = {0};
    double low[N_BITS];
    double median;
    uint64_t hash = 0;
    int rc = grey_make(image, &grey, err);

    if (rc == LINKD_OK)
        rc = lk_image_resize(&grey, SIDE, SIDE, &all, LK_FILTER_LANCZOS, &small,
                             err);
    linkd_image_clear(&grey);
    if (rc != LINKD_OK)
        return rc;
    transform(&small, low);
    linkd_image_clear(&small);
    if (is_flat(low))
        return lk_fail(err, LINKD_E_DATA,
                       "image is of one colour and looks like any other");
    median = median_of(low);
    for (size_t i = 0; i < N_BITS; i++)
        hash = hash << 1 | (low[i] > median);
    *ret_hash = hash;
    return LINKD_OK;
}
