/* encoder/model_pack.c — tensors of a checkpoint into one block, as the kernels
 * read them.
 *
 * int8 and outliers. Behind a norm three or four inputs are often ten times the
 * others, and a token's steps are as wide as they ask for. SmoothQuant
 * (arXiv 2211.10438) divides an input by sqrt(its range / its weights' range) and
 * multiplies the weights by it, which leaves both about as wide. Ranges come from
 * a pass over a few texts (self_check.c); its scales go into the norm, ours into
 * the rounding of the inputs, since post-norm models add the norm's answer to the
 * residual, too. */
#include "encoder/model_pack.h"

#include <float.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "encoder/file.h"
#include "encoder/kernels_isa.h"

size_t lk_pack_linear_floats(const lk_kernels *kernels, size_t n_in,
                             size_t n_out)
{
    size_t n_panels = (n_out + kernels->panel_width - 1) / kernels->panel_width;

    return lk_round_up(n_panels * lk_panel_floats(kernels, n_in),
                       LK_LINE_FLOATS) +
           lk_stride(n_out);
}

size_t lk_pack_scales_floats(const lk_kernels *kernels, size_t n_in)
{
    return kernels->step == STEP_BYTES ? lk_stride(n_in) : 0;
}

const float *lk_pack_ranges(const lk_packer *packer, size_t dim, size_t layer,
                            lk_noted noted)
{
    return packer->ranges != NULL
               ? packer->ranges + (2 * layer + noted) * lk_stride(dim)
               : NULL;
}

float *lk_pack_take(lk_packer *packer, size_t n)
{
    float *taken = packer->next;

    n = lk_round_up(n, LK_LINE_FLOATS);
    LK_ASSERT(taken != NULL && n <= (size_t)(packer->end - taken));
    packer->next += n;
    if (!packer->is_packed)
        memset(taken, 0, n * sizeof(*taken));
    return taken;
}

/* ---- tensors ------------------------------------------------------------ */

int lk_pack_tensor(const lk_packer *packer, size_t n_rows, size_t n_columns,
                   const lk_tensor **ret_tensor, linkd_error *err,
                   const char *format, ...)
{
    char name[128];
    int len = snprintf(name, sizeof(name), "%s", packer->prefix);
    va_list args;

    va_start(args, format);
    (void)vsnprintf(name + len, sizeof(name) - (size_t)len, format, args);
    va_end(args);
    return lk_weights_get(packer->weights, name, n_rows, n_columns, ret_tensor,
                          err);
}

int lk_pack_values(const lk_packer *packer, const lk_tensor *tensor,
                   size_t first, size_t n, float *ret_values, linkd_error *err)
{
    if (packer->is_packed)
        return LINKD_OK;
    lk_tensor_read(tensor, first, n, ret_values);
    for (size_t i = 0; i < n; i++)
        if (!isfinite(ret_values[i]))
            return lk_fail(err, LINKD_E_DATA,
                           "tensor \"%s\" holds a value that is not finite",
                           tensor->name);
    return LINKD_OK;
}

/* ---- linear layers ------------------------------------------------------ */

static int row_read(const lk_packer *packer, const lk_matrix *matrix, size_t i,
                    float *ret_row, linkd_error *err)
{
    const size_t row = matrix->first_row + i % matrix->n_rows_each;

    return lk_pack_values(packer, matrix->parts[i / matrix->n_rows_each],
                          row * matrix->n_columns, matrix->n_columns, ret_row,
                          err);
}

/* `scales` is of the inputs, or NULL. */
static int rows_read(const lk_packer *packer, const lk_matrix *matrix,
                     const float *scales, size_t first, size_t n,
                     float *ret_rows, linkd_error *err)
{
    for (size_t i = 0; i < n; i++) {
        float *out = ret_rows + i * matrix->n_columns;
        int rc = row_read(packer, matrix, first + i, out, err);

        if (rc != LINKD_OK)
            return rc;
        for (size_t k = 0;
             first + i < matrix->n_scaled && k < matrix->n_columns; k++)
            out[k] = (float)((double)out[k] * matrix->factor);
        for (size_t k = 0; scales != NULL && k < matrix->n_columns; k++)
            out[k] /= scales[k];
    }
    return LINKD_OK;
}

static void note_largest(const float *row, size_t n, float *ranges)
{
    for (size_t k = 0; k < n; k++)
        ranges[k] = fmaxf(ranges[k], fabsf(row[k]));
}

/* The largest of n ranges; what is far below it is as good as a part of it, and
 * no scale is 0 or without bound. */
static float range_floor(const float *ranges, size_t n)
{
    float largest = 0.0F;

    for (size_t k = 0; k < n; k++)
        largest = fmaxf(largest, ranges[k]);
    return fmaxf(largest * 1e-3F, FLT_MIN);
}

static int scales_fill(const lk_packer *packer, const lk_matrix *matrix,
                       float *scales, linkd_error *err)
{
    const size_t n = matrix->n_columns;
    float input_floor, floor;

    for (size_t i = 0; i < matrix->n_parts * matrix->n_rows_each; i++) {
        int rc = row_read(packer, matrix, i, packer->rows, err);

        if (rc != LINKD_OK)
            return rc;
        note_largest(packer->rows, n, scales);
    }
    floor = range_floor(scales, n);
    input_floor = matrix->ranges != NULL ? range_floor(matrix->ranges, n) : 0;
    for (size_t k = 0; k < n; k++)
        scales[k] = matrix->ranges != NULL
                        ? sqrtf(fmaxf(scales[k], floor) /
                                fmaxf(matrix->ranges[k], input_floor))
                        : 1.0F;
    return LINKD_OK;
}

static int panels_pack(const lk_packer *packer, const lk_matrix *matrix,
                       const float *scales, float *panels, linkd_error *err)
{
    const size_t width = packer->kernels->panel_width;
    const size_t n_rows = matrix->n_parts * matrix->n_rows_each;
    const size_t panel_floats =
        lk_panel_floats(packer->kernels, matrix->n_columns);

    for (size_t first = 0; first < n_rows; first += width) {
        size_t n = n_rows - first < width ? n_rows - first : width;
        int rc = rows_read(packer, matrix, scales, first, n, packer->rows, err);

        if (rc != LINKD_OK)
            return rc;
        memset(packer->rows + n * matrix->n_columns, 0,
               (width - n) * matrix->n_columns * sizeof(*packer->rows));
        packer->kernels->pack(packer->rows, matrix->n_columns,
                              panels + first / width * panel_floats);
    }
    for (size_t i = 0; i < matrix->n_parts; i++)
        lk_file_release(matrix->parts[i]->data, matrix->parts[i]->n_bytes);
    return LINKD_OK;
}

int lk_pack_matrix(lk_packer *packer, const lk_matrix *matrix,
                   lk_linear *ret_linear, float **ret_bias, linkd_error *err)
{
    const size_t width = packer->kernels->panel_width;
    const size_t n_rows = matrix->n_parts * matrix->n_rows_each;
    const size_t n_scales =
        matrix->scales_inputs
            ? lk_pack_scales_floats(packer->kernels, matrix->n_columns)
            : 0;
    float *scales = n_scales > 0 ? lk_pack_take(packer, n_scales) : NULL;
    float *panels = lk_pack_take(
        packer, (n_rows + width - 1) / width *
                    lk_panel_floats(packer->kernels, matrix->n_columns));
    int rc = LINKD_OK;

    *ret_bias = lk_pack_take(packer, lk_stride(n_rows));
    *ret_linear = (lk_linear){.n_in = matrix->n_columns,
                              .n_out = n_rows,
                              .panels = panels,
                              .bias = *ret_bias,
                              .input_scales = scales};
    if (packer->is_packed)
        return LINKD_OK;
    if (scales != NULL)
        rc = scales_fill(packer, matrix, scales, err);
    return rc == LINKD_OK ? panels_pack(packer, matrix, scales, panels, err)
                          : rc;
}
