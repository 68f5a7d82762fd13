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
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "encoder/file.h"
#include "encoder/kernels_isa.h"

/* Prefix, layer and part of a tensor's name. */
enum { NAME_BYTES = 192 };

/* ---- the block ---------------------------------------------------------- */

void lk_block_clear(lk_block *block)
{
    free(block->owned);
    *block = (lk_block){0};
}

/* A forward pass walks over the whole block; on small pages that costs 1 to 2 %
 * (measured 2026-11-24). Advice: without huge pages all works as well. */
static void use_huge_pages(float *block, size_t n)
{
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    const uintptr_t begin = lk_round_up((uintptr_t)block, page);
    const uintptr_t end = (uintptr_t)(block + n) / page * page;

    if (begin < end)
        (void)madvise((void *)begin, end - begin, MADV_HUGEPAGE);
}

/* Room for what was measured. A model without numbers has a line of them, unused,
 * so that it has a block. */
static int block_new(lk_packer *packer, linkd_error *err)
{
    const size_t n = packer->n_taken > 0 ? packer->n_taken : LK_LINE_FLOATS;
    float *owned = lk_alloc_aligned(n, sizeof(*owned));

    packer->rows = lk_alloc_aligned(
        packer->kernels->panel_width * (packer->widest + 1), sizeof(float));
    packer->block = (lk_block){.floats = owned, .n = n, .owned = owned};
    if (owned == NULL || packer->rows == NULL)
        return lk_fail_nomem(err);
    memset(owned, 0, LK_LINE_FLOATS * sizeof(*owned));
    use_huge_pages(owned, n);
    return LINKD_OK;
}

static int measure(lk_packer *packer, const lk_pack_job *job, linkd_error *err)
{
    int rc;

    packer->is_packed = true;
    rc = job->load(packer, job->model, err);
    job->clear(job->model);
    packer->is_packed = false;
    return rc;
}

int lk_block_make(lk_packer *packer, const lk_pack_job *job,
                  lk_block *ret_block, linkd_error *err)
{
    int rc = measure(packer, job, err);

    if (rc == LINKD_OK)
        rc = block_new(packer, err);
    if (rc == LINKD_OK) {
        packer->n_taken = 0;
        rc = job->load(packer, job->model, err);
    }
    free(packer->rows);
    if (rc == LINKD_OK) {
        *ret_block = packer->block;
        return LINKD_OK;
    }
    job->clear(job->model);
    lk_block_clear(&packer->block);
    return rc;
}

int lk_block_place(lk_packer *packer, const lk_pack_job *job,
                   const float *floats, size_t n, lk_block *ret_block,
                   linkd_error *err)
{
    int rc;

    packer->block = (lk_block){.floats = floats, .n = n};
    packer->is_packed = true;
    rc = job->load(packer, job->model, err);
    if (rc == LINKD_OK &&
        n != (packer->n_taken > 0 ? packer->n_taken : LK_LINE_FLOATS))
        rc = lk_fail(err, LINKD_E_DATA, "packed weights of another model");
    if (rc == LINKD_OK)
        *ret_block = packer->block;
    else
        job->clear(job->model);
    return rc;
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
    const size_t at = packer->n_taken;

    packer->n_taken += lk_round_up(n, LK_LINE_FLOATS);
    if (packer->n_taken > packer->block.n) {
        LK_ASSERT(packer->is_packed);
        return NULL;
    }
    if (packer->is_packed)
        return (float *)(uintptr_t)(packer->block.floats + at);
    memset(packer->block.owned + at, 0,
           (packer->n_taken - at) * sizeof(*packer->block.owned));
    return packer->block.owned + at;
}

/* ---- tensors ------------------------------------------------------------ */

LK_PRINTF(2, 0)
static void name_print(const lk_packer *packer, const char *format,
                       va_list args, char ret_name[NAME_BYTES])
{
    const int len = snprintf(ret_name, NAME_BYTES, "%s", packer->prefix);

    (void)vsnprintf(ret_name + len, NAME_BYTES - (size_t)len, format, args);
}

int lk_pack_tensor(const lk_packer *packer, size_t n_rows, size_t n_columns,
                   const lk_tensor **ret_tensor, linkd_error *err,
                   const char *format, ...)
{
    char name[NAME_BYTES];
    va_list args;

    va_start(args, format);
    name_print(packer, format, args, name);
    va_end(args);
    return lk_weights_get(packer->weights, name, n_rows, n_columns, ret_tensor,
                          err);
}

int lk_pack_numbers(const lk_packer *packer, size_t n,
                    const lk_tensor **ret_tensor, linkd_error *err,
                    const char *format, ...)
{
    char name[NAME_BYTES];
    const lk_tensor *tensor;
    va_list args;

    va_start(args, format);
    name_print(packer, format, args, name);
    va_end(args);
    tensor = lk_weights_find(packer->weights, name);
    if (tensor == NULL)
        return lk_fail(err, LINKD_E_DATA, "weights have no tensor \"%s\"",
                       name);
    if (tensor->dtype == LK_DTYPE_OTHER || tensor->n_elements != n)
        return lk_fail(err, LINKD_E_DATA,
                       "tensor \"%s\" is not %zu numbers, as config.json says",
                       name, n);
    *ret_tensor = tensor;
    return LINKD_OK;
}

bool lk_pack_has(const lk_packer *packer, const char *format, ...)
{
    char name[NAME_BYTES];
    va_list args;

    va_start(args, format);
    name_print(packer, format, args, name);
    va_end(args);
    return lk_weights_find(packer->weights, name) != NULL;
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
    int rc = lk_pack_values(packer, matrix->parts[i / matrix->n_rows_each],
                            row * matrix->n_columns, matrix->n_columns, ret_row,
                            err);

    if (rc == LINKD_OK && matrix->change != NULL)
        matrix->change(matrix->change_ctx, i, ret_row);
    return rc;
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
    const bool has_scales =
        matrix->scales_inputs && packer->kernels->step == STEP_BYTES;
    float *scales =
        has_scales ? lk_pack_take(packer, lk_stride(matrix->n_columns)) : NULL;
    float *panels = lk_pack_take(
        packer, (n_rows + width - 1) / width *
                    lk_panel_floats(packer->kernels, matrix->n_columns));
    int rc = LINKD_OK;

    if (matrix->n_columns > packer->widest)
        packer->widest = matrix->n_columns;
    *ret_bias = lk_pack_take(packer, lk_stride(n_rows));
    *ret_linear = (lk_linear){.n_in = matrix->n_columns,
                              .n_out = n_rows,
                              .panels = panels,
                              .bias = *ret_bias,
                              .input_scales = scales};
    if (packer->is_packed)
        return LINKD_OK;
    if (has_scales)
        rc = scales_fill(packer, matrix, scales, err);
    return rc == LINKD_OK ? panels_pack(packer, matrix, scales, panels, err)
                          : rc;
}

int lk_pack_shift(const lk_packer *packer, const lk_tensor *matrix,
                  size_t n_out, const float *shift, size_t n_in, float *bias,
                  linkd_error *err)
{
    for (size_t i = 0; i < n_out && !packer->is_packed; i++) {
        double sum = (double)bias[i];
        int rc =
            lk_pack_values(packer, matrix, i * n_in, n_in, packer->rows, err);

        if (rc != LINKD_OK)
            return rc;
        for (size_t k = 0; k < n_in; k++)
            sum += (double)packer->rows[k] * (double)shift[k];
        bias[i] = (float)sum;
    }
    return LINKD_OK;
}

/* ---- norms -------------------------------------------------------------- */

int lk_pack_norm(lk_packer *packer, const char *name, size_t width,
                 float epsilon, lk_norm *ret_norm, linkd_error *err)
{
    const lk_tensor *gamma = NULL;
    const lk_tensor *beta = NULL;
    float *gammas = lk_pack_take(packer, lk_stride(width));
    float *betas = lk_pack_take(packer, lk_stride(width));
    int rc = lk_pack_tensor(packer, width, 0, &gamma, err, "%s.weight", name);

    *ret_norm = (lk_norm){
        .width = width, .epsilon = epsilon, .gamma = gammas, .beta = betas};
    if (rc == LINKD_OK)
        rc = lk_pack_tensor(packer, width, 0, &beta, err, "%s.bias", name);
    if (rc == LINKD_OK)
        rc = lk_pack_values(packer, gamma, 0, width, gammas, err);
    if (rc == LINKD_OK)
        rc = lk_pack_values(packer, beta, 0, width, betas, err);
    return rc;
}
