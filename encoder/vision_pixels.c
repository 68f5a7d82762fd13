/* encoder/vision_pixels.c — the layer of an image model that reads pixels.
 *
 * Folded while loading, without changing the result beyond rounding: rescaling
 * and normalising go into the weights, W (scale * byte + shift) + b =
 * (W scale) byte + (W shift + b). Bytes are exact in bf16, too. Models pad what
 * is normalised, so that their zeros are the byte -shift / scale, which need not
 * be a whole number. */
#include "encoder/vision_pixels.h"

#include <stdio.h>
#include <string.h>

static int tensors_read(lk_loader *loader, const char *name, bool needs_bias,
                        size_t n_in, size_t dim, float *ret_bias,
                        linkd_error *err)
{
    char path[128];
    int rc;

    (void)snprintf(path, sizeof(path), "%s.weight", name);
    rc = lk_loader_read(loader, path, dim * n_in, loader->rows, err);
    (void)snprintf(path, sizeof(path), "%s.bias", name);
    if (rc == LINKD_OK && (needs_bias || lk_loader_has(loader, path)))
        rc = lk_loader_read(loader, path, dim, ret_bias, err);
    return rc;
}

/* Turns one output's weights and bias from normalised values to bytes. */
static void output_fold(const lk_preparation *p, size_t area, float *weights,
                        float *bias)
{
    double sum = (double)*bias;

    for (size_t k = 0; k < 3 * area; k++) {
        const size_t colour = k / area;

        sum += (double)weights[k] * (double)p->shifts[colour];
        weights[k] *= p->scales[colour];
    }
    *bias = (float)sum;
}

int lk_pixels_load(lk_loader *loader, const lk_preparation *preparation,
                   const char *name, bool needs_bias, size_t side, size_t dim,
                   lk_pixels *ret_pixels, linkd_error *err)
{
    const size_t area = side * side;
    float *bias = lk_loader_floats(loader, lk_stride(dim), err);
    int rc;

    if (bias == NULL)
        return LINKD_E_NOMEM;
    rc = tensors_read(loader, name, needs_bias, 3 * area, dim, bias, err);
    if (rc != LINKD_OK)
        return rc;
    for (size_t i = 0; i < dim; i++)
        output_fold(preparation, area, loader->rows + i * 3 * area, &bias[i]);
    ret_pixels->side = side;
    for (size_t c = 0; c < 3; c++)
        ret_pixels->padding[c] =
            -preparation->shifts[c] / preparation->scales[c];
    return lk_loader_linear(loader, 3 * area, dim, bias, &ret_pixels->linear,
                            err);
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
