/* encoder/model_pack.c — tensors of a checkpoint into one block, as the kernels
 * read them. */
#include "encoder/model_pack.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "encoder/file.h"

size_t lk_pack_linear_floats(const lk_kernels *kernels, size_t n_in,
                             size_t n_out)
{
    size_t n_panels = (n_out + kernels->panel_width - 1) / kernels->panel_width;

    return lk_round_up(n_panels * lk_panel_floats(kernels, n_in),
                       LK_LINE_FLOATS) +
           lk_stride(n_out);
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

static int rows_read(const lk_packer *packer, const lk_matrix *matrix,
                     size_t first, size_t n, float *ret_rows, linkd_error *err)
{
    for (size_t i = 0; i < n; i++) {
        size_t part = (first + i) / matrix->n_rows_each;
        size_t row = matrix->first_row + (first + i) % matrix->n_rows_each;
        float *out = ret_rows + i * matrix->n_columns;
        int rc =
            lk_pack_values(packer, matrix->parts[part], row * matrix->n_columns,
                           matrix->n_columns, out, err);

        if (rc != LINKD_OK)
            return rc;
        for (size_t k = 0;
             first + i < matrix->n_scaled && k < matrix->n_columns; k++)
            out[k] = (float)((double)out[k] * matrix->factor);
    }
    return LINKD_OK;
}

static int panels_pack(const lk_packer *packer, const lk_matrix *matrix,
                       float *panels, linkd_error *err)
{
    const size_t width = packer->kernels->panel_width;
    const size_t n_rows = matrix->n_parts * matrix->n_rows_each;
    const size_t panel_floats =
        lk_panel_floats(packer->kernels, matrix->n_columns);

    for (size_t first = 0; first < n_rows; first += width) {
        size_t n = n_rows - first < width ? n_rows - first : width;
        int rc = rows_read(packer, matrix, first, n, packer->rows, err);

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
    float *panels = lk_pack_take(
        packer, (n_rows + width - 1) / width *
                    lk_panel_floats(packer->kernels, matrix->n_columns));

    *ret_bias = lk_pack_take(packer, lk_stride(n_rows));
    *ret_linear = (lk_linear){.n_in = matrix->n_columns,
                              .n_out = n_rows,
                              .panels = panels,
                              .bias = *ret_bias};
    return packer->is_packed ? LINKD_OK
                             : panels_pack(packer, matrix, panels, err);
}
