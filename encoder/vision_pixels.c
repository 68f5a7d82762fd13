/* encoder/vision_pixels.c — the layer of an image model that reads pixels.
 *
 * Folded while loading, without changing the result beyond rounding: rescaling
 * and normalising go into the weights, W (scale * byte + shift) + b =
 * (W scale) byte + (W shift + b). Bytes are exact in bf16, too. Models pad what
 * is normalised, so that their zeros are the byte -shift / scale, which need not
 * be a whole number. */
#include "encoder/vision_pixels.h"

#include <string.h>

typedef struct folding {
    const lk_preparation *preparation;
    size_t area; /* of a kernel */
} folding;

/* One output's weights for bytes in place of normalised values. */
static void row_fold(const void *ctx, size_t row, float *weights)
{
    const folding *f = ctx;

    (void)row;
    for (size_t k = 0; k < 3 * f->area; k++)
        weights[k] *= f->preparation->scales[k / f->area];
}

/* And its bias. */
static int bias_fold(const lk_packer *packer, const folding *f,
                     const lk_tensor *weights, size_t row, float *bias,
                     linkd_error *err)
{
    const size_t n = 3 * f->area;
    double sum = (double)*bias;
    int rc = lk_pack_values(packer, weights, row * n, n, packer->rows, err);

    for (size_t k = 0; k < n && rc == LINKD_OK; k++)
        sum += (double)packer->rows[k] *
               (double)f->preparation->shifts[k / f->area];
    *bias = (float)sum;
    return rc;
}

int lk_pixels_load(lk_packer *packer, const lk_preparation *preparation,
                   const char *name, bool needs_bias, size_t side, size_t dim,
                   lk_pixels *ret_pixels, linkd_error *err)
{
    const folding f = {preparation, side * side};
    lk_matrix m = {.n_parts = 1,
                   .n_rows_each = dim,
                   .n_columns = 3 * f.area,
                   .change = row_fold,
                   .change_ctx = &f};
    const lk_tensor *tensor = NULL;
    float *bias = NULL;
    int rc = lk_pack_numbers(packer, dim * m.n_columns, &m.parts[0], err,
                             "%s.weight", name);

    ret_pixels->side = side;
    for (size_t c = 0; c < 3; c++)
        ret_pixels->padding[c] =
            -preparation->shifts[c] / preparation->scales[c];
    if (rc == LINKD_OK)
        rc = lk_pack_matrix(packer, &m, &ret_pixels->linear, &bias, err);
    if (rc == LINKD_OK && (needs_bias || lk_pack_has(packer, "%s.bias", name)))
        rc = lk_pack_numbers(packer, dim, &tensor, err, "%s.bias", name);
    if (rc == LINKD_OK && tensor != NULL)
        rc = lk_pack_values(packer, tensor, 0, dim, bias, err);
    for (size_t i = 0; i < dim && rc == LINKD_OK && !packer->is_packed; i++)
        rc = bias_fold(packer, &f, m.parts[0], i, &bias[i], err);
    return rc;
}

void lk_pixels_read(const lk_pixels *pixels, const linkd_image *image,
                    ptrdiff_t x, ptrdiff_t y, float *ret_row)
{
    const ptrdiff_t side = (ptrdiff_t)pixels->side;
    const ptrdiff_t width = (ptrdiff_t)image->width;
    const ptrdiff_t height = (ptrdiff_t)image->height;
    const size_t n_in = pixels->linear.n_in;
    float *out = ret_row;

    for (ptrdiff_t c = 0; c < 3; c++)
        for (ptrdiff_t j = y; j < y + side; j++)
            for (ptrdiff_t i = x; i < x + side; i++)
                *out++ = j >= 0 && j < height && i >= 0 && i < width
                             ? (float)image->pixels[(j * width + i) * 3 + c]
                             : pixels->padding[c];
    memset(out, 0, (lk_stride(n_in) - n_in) * sizeof(*out));
}
