/* encoder/image_resize.c — Pillow's resize, to the bit.
 *
 * Every pixel of the result is a weighted mean over a run of input pixels: the
 * filter, stretched by the ratio when the image shrinks (which is what avoids
 * aliasing), placed on the pixel's centre and cut at the border. It is done for
 * columns, then for rows, with bytes in between; weights are integers of 22
 * fractional bits, made from doubles in Pillow's order of operations (its
 * Resample.c), as models saw images that were rounded in just this way.
 *
 *   image [height, width] ─► across [rows needed, window.width] ─► window
 *
 * A direction whose size stays is not touched. Only the window is computed. */
#include "encoder/image_resize.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CHANNELS      ((size_t)3)
#define FRACTION_BITS 22
#define PI            3.14159265358979323846

/* Where the result's pixels of one direction come from. */
typedef struct taps {
    size_t *firsts;   /* [n] first input pixel */
    size_t *counts;   /* [n] how many of them */
    int32_t *weights; /* [n, most] */
    size_t most;
    size_t n;
} taps;

/* ---- filters ------------------------------------------------------------ */

static double bilinear(double x)
{
    x = fabs(x);
    return x < 1.0 ? 1.0 - x : 0.0;
}

/* Keys' cubic with a = -0.5. */
static double bicubic(double x)
{
    const double a = -0.5;

    x = fabs(x);
    if (x < 1.0)
        return ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0;
    if (x < 2.0)
        return (((x - 5.0) * x + 8.0) * x - 4.0) * a;
    return 0.0;
}

static double sinc(double x)
{
    if (x == 0.0)
        return 1.0;
    x *= PI;
    return sin(x) / x;
}

static double lanczos(double x)
{
    return -3.0 <= x && x < 3.0 ? sinc(x) * sinc(x / 3.0) : 0.0;
}

typedef struct kernel {
    double (*at)(double x);
    double support; /* 0 from there on, at a ratio of 1 */
} kernel;

static kernel kernel_of(lk_filter filter)
{
    switch (filter) {
    case LK_FILTER_LANCZOS:
        return (kernel){lanczos, 3.0};
    case LK_FILTER_BICUBIC:
        return (kernel){bicubic, 2.0};
    default:
        return (kernel){bilinear, 1.0};
    }
}

/* ---- taps --------------------------------------------------------------- */

static void taps_clear(taps *t)
{
    free(t->firsts);
    free(t->counts);
    free(t->weights);
    *t = (taps){0};
}

static int taps_new(size_t n, double support, taps *t, linkd_error *err)
{
    t->n = n;
    t->most = (size_t)ceil(support) * 2 + 1;
    t->firsts = calloc(n, sizeof(*t->firsts));
    t->counts = calloc(n, sizeof(*t->counts));
    t->weights = calloc(n, t->most * sizeof(*t->weights));
    if (t->firsts == NULL || t->counts == NULL || t->weights == NULL)
        return lk_fail_nomem(err);
    return LINKD_OK;
}

static int32_t to_fixed(double weight)
{
    const double scaled = weight * (double)(1 << FRACTION_BITS);

    return (int32_t)(weight < 0.0 ? scaled - 0.5 : scaled + 0.5);
}

/* Pixel `i`, whose centre lies at `center` in the input. */
static void tap_fill(taps *t, size_t i, size_t in_size, double center,
                     double stretch, const kernel *k, double *scratch)
{
    const double support = k->support * stretch;
    const double begin = center - support + 0.5;
    const size_t first = begin > 0.0 ? (size_t)begin : 0;
    const size_t end = (size_t)(center + support + 0.5);
    const size_t count = (end < in_size ? end : in_size) - first;
    const double shrink = 1.0 / stretch;
    double sum = 0.0;

    for (size_t x = 0; x < count; x++) {
        scratch[x] = k->at(((double)(x + first) - center + 0.5) * shrink);
        sum += scratch[x];
    }
    for (size_t x = 0; x < count; x++)
        t->weights[i * t->most + x] =
            to_fixed(sum != 0.0 ? scratch[x] / sum : scratch[x]);
    t->firsts[i] = first;
    t->counts[i] = count;
}

/* The taps of the pixels first … first + n - 1 of out_size ones. */
static int taps_make(size_t in_size, size_t out_size, size_t first, size_t n,
                     const kernel *k, taps *ret_taps, linkd_error *err)
{
    const double scale = (double)in_size / (double)out_size;
    const double stretch = scale < 1.0 ? 1.0 : scale;
    double *scratch;
    int rc = taps_new(n, k->support * stretch, ret_taps, err);

    if (rc != LINKD_OK)
        return rc;
    scratch = calloc(ret_taps->most, sizeof(*scratch));
    if (scratch == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < n; i++)
        tap_fill(ret_taps, i, in_size, ((double)(first + i) + 0.5) * scale,
                 stretch, k, scratch);
    free(scratch);
    return LINKD_OK;
}

/* ---- passes ------------------------------------------------------------- */

static uint8_t to_byte(int32_t sum)
{
    const int32_t value = sum >> FRACTION_BITS;

    return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

static void row_across(const uint8_t *in, const taps *t, uint8_t *out)
{
    for (size_t i = 0; i < t->n; i++) {
        const int32_t *weights = t->weights + i * t->most;
        const uint8_t *p = in + t->firsts[i] * CHANNELS;
        int32_t sums[CHANNELS] = {1 << (FRACTION_BITS - 1),
                                  1 << (FRACTION_BITS - 1),
                                  1 << (FRACTION_BITS - 1)};

        for (size_t x = 0; x < t->counts[i]; x++)
            for (size_t c = 0; c < CHANNELS; c++)
                sums[c] += *p++ * weights[x];
        for (size_t c = 0; c < CHANNELS; c++)
            *out++ = to_byte(sums[c]);
    }
}

/* Row `i` of the result; `sums` [row_bytes]. */
static void row_down(const uint8_t *in, size_t row_bytes, size_t first_row,
                     const taps *t, size_t i, int32_t *sums, uint8_t *out)
{
    const int32_t *weights = t->weights + i * t->most;
    const uint8_t *row = in + (t->firsts[i] - first_row) * row_bytes;

    for (size_t x = 0; x < row_bytes; x++)
        sums[x] = 1 << (FRACTION_BITS - 1);
    for (size_t y = 0; y < t->counts[i]; y++, row += row_bytes)
        for (size_t x = 0; x < row_bytes; x++)
            sums[x] += row[x] * weights[y];
    for (size_t x = 0; x < row_bytes; x++)
        out[x] = to_byte(sums[x]);
}

/* Rows of the input that the result's rows are made of. */
typedef struct span {
    size_t first;
    size_t n;
} span;

static span rows_needed(const taps *down, const lk_window *window)
{
    const size_t last = down->n - 1;

    if (down->n == 0) /* the height stays */
        return (span){window->top, window->height};
    return (span){down->firsts[0],
                  down->firsts[last] + down->counts[last] - down->firsts[0]};
}

static int pass_across(const linkd_image *image, const lk_window *window,
                       const taps *across, span rows, linkd_image *ret_image,
                       linkd_error *err)
{
    const size_t row_bytes = window->width * CHANNELS;

    ret_image->pixels = lk_alloc_aligned(rows.n, row_bytes);
    if (ret_image->pixels == NULL)
        return lk_fail_nomem(err);
    ret_image->width = window->width;
    ret_image->height = rows.n;
    for (size_t y = 0; y < rows.n; y++) {
        const uint8_t *in =
            image->pixels + (rows.first + y) * image->width * CHANNELS;
        uint8_t *out = ret_image->pixels + y * row_bytes;

        if (across->n > 0)
            row_across(in, across, out);
        else
            memcpy(out, in + window->left * CHANNELS, row_bytes);
    }
    return LINKD_OK;
}

static int pass_down(const linkd_image *image, size_t first_row,
                     const taps *down, linkd_image *ret_image, linkd_error *err)
{
    const size_t row_bytes = image->width * CHANNELS;
    int32_t *sums = calloc(row_bytes, sizeof(*sums));

    ret_image->pixels = lk_alloc_aligned(down->n, row_bytes);
    if (sums == NULL || ret_image->pixels == NULL) {
        free(sums);
        return lk_fail_nomem(err);
    }
    ret_image->width = image->width;
    ret_image->height = down->n;
    for (size_t i = 0; i < down->n; i++)
        row_down(image->pixels, row_bytes, first_row, down, i, sums,
                 ret_image->pixels + i * row_bytes);
    free(sums);
    return LINKD_OK;
}

int lk_image_resize(const linkd_image *image, size_t width, size_t height,
                    const lk_window *window, lk_filter filter,
                    linkd_image *ret_image, linkd_error *err)
{
    const kernel k = kernel_of(filter);
    linkd_image narrow = {0};
    linkd_image result = {0};
    taps across = {0};
    taps down = {0};
    span rows;
    int rc = LINKD_OK;

    LK_ASSERT(window->width > 0 && window->left + window->width <= width);
    LK_ASSERT(window->height > 0 && window->top + window->height <= height);
    if (width != image->width)
        rc = taps_make(image->width, width, window->left, window->width, &k,
                       &across, err);
    if (rc == LINKD_OK && height != image->height)
        rc = taps_make(image->height, height, window->top, window->height, &k,
                       &down, err);
    if (rc != LINKD_OK)
        goto done;
    rows = rows_needed(&down, window);
    rc = pass_across(image, window, &across, rows, &narrow, err);
    if (rc == LINKD_OK && down.n > 0)
        rc = pass_down(&narrow, rows.first, &down, &result, err);
    if (rc == LINKD_OK)
        *ret_image = down.n > 0 ? result : narrow;
    if (rc == LINKD_OK && down.n == 0)
        narrow = (linkd_image){0};
done:
    if (rc != LINKD_OK)
        linkd_image_clear(&result);
    linkd_image_clear(&narrow);
    taps_clear(&across);
    taps_clear(&down);
    return rc;
}
