/* cli/npy.h — vectors as a NumPy file. */
#ifndef LINKD_CLI_NPY_H
#define LINKD_CLI_NPY_H

#include <stdio.h>

#include "cli/output.h"

/* Writes a header that stands for any number of rows, then rows, then the real
 * shape. LINKD_E_ARG: `output` is no regular file, so that the header could
 * not be completed. */
LINKD_MUST_CHECK int lk_npy_begin(lk_output *output, linkd_error *err);
LINKD_MUST_CHECK int lk_npy_write(lk_output *output, const float *values,
                                  size_t n_values, linkd_error *err);
LINKD_MUST_CHECK int lk_npy_end(lk_output *output, uint64_t n_rows, size_t dim,
                                linkd_error *err);

/* A file of little-endian float32 or float64 in C order, of one dimension (then
 * it is one row) or two. {0} is a closed one. */
typedef struct lk_npy_file {
    const char *path; /* borrowed */
    FILE *file;
    lk_npy_shape shape;
} lk_npy_file;

/* Stands before the first row. LINKD_E_DATA: it is no such file, or it has not
 * the bytes that its shape says; its dimension is at most LINKD_DIM_MAX. */
LINKD_MUST_CHECK int lk_npy_open(const char *path, lk_npy_file *ret_npy,
                                 linkd_error *err);
/* The next `n` rows, ret_rows [n, dim]. LINKD_E_IO: they cannot be read. */
LINKD_MUST_CHECK int lk_npy_read(lk_npy_file *npy, size_t n, float *ret_rows,
                                 linkd_error *err);
/* Reads all rows, and goes back to the first. LINKD_E_DATA: one has a number that
 * is not finite, or no other than 0. LINKD_E_IO. */
LINKD_MUST_CHECK int lk_npy_check(lk_npy_file *npy, linkd_error *err);
void lk_npy_close(lk_npy_file *npy);

#endif
